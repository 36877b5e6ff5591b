//! Whatever a mail server says, nothing is told in the clear that is for the server alone, nothing counts as accepted
//! that was not, and what it says can be shown.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::scripted::Scripted;
use crate::smtp::{Options, SmtpServer};

/// What a server says to a mail for two recipients that it takes.
const TALK: [&str; 9] = [
    "220 mail.example.org ESMTP\r\n",
    "250-mail.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
    "235 2.7.0 welcome\r\n",
    "250 2.1.0 ok\r\n",
    "250 2.1.5 ok\r\n",
    "250 2.1.5 ok\r\n",
    "354 go ahead\r\n",
    "250 2.0.0 queued\r\n",
    "221 bye\r\n",
];

fn server() -> Scripted {
    Scripted::new(Some(SmtpServer::start(Options::default()).ca_pem()))
}

#[test]
fn a_talk_of_which_each_word_is_right_delivers_without_tls_only() {
    let server = server();
    let deliveries = server.check(&TALK.map(str::as_bytes));
    assert!(deliveries.iter().all(|delivery| delivery.result.is_ok()), "{deliveries:?}");
    assert_eq!(deliveries.len(), 2);
    // All of it before anything was asked is no talk.
    let early = TALK.concat();
    server.check(&[early.as_bytes()]);
    let begun =
        ["220 x\r\n", "250 STARTTLS\r\n", "220 go\r\n250 x\r\n250 ok\r\n354 go\r\n250 ok\r\n"];
    server.check(&begun.map(str::as_bytes));
}

/// A word of the talk, or something else in its place.
fn answer(n: usize) -> impl Strategy<Value = Vec<u8>> {
    let right = TALK.get(n).copied().unwrap_or_default().as_bytes().to_vec();
    let odd = "(220|250|235|334|354|421|451|530|550|554|999|2)[- ](STARTTLS|AUTH PLAIN|5\\.1\\.1|SIZE|.{0,9})(\r\n|\n|\r|)";
    let odd = proptest::collection::vec(odd, 1..4).prop_map(|lines| lines.concat().into_bytes());
    prop_oneof![
        6 => Just(right),
        2 => odd,
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_of_a_server_makes_a_client_say_or_believe_too_much(
        answers in (0..TALK.len()).map(answer).collect::<Vec<_>>(),
        n_said in 0..=TALK.len(),
    ) {
        static SERVER: LazyLock<Scripted> = LazyLock::new(server);
        let answers: Vec<&[u8]> = answers.iter().take(n_said).map(Vec::as_slice).collect();
        SERVER.check(&answers);
    }
}
