//! Tokens that nobody knows, and tokens that were not used.

use super::*;

#[test]
fn a_token_in_a_referer_is_told_and_teaches_nothing() {
    let used = usage(0);
    let carrier = Carrier::Referer("token".into());
    let exposed = Usage { carrier, time: used.time.plus(2 * DAY), ..usage(0) };
    let books = judged(&[used.clone(), exposed.clone()]);
    assert_eq!(books.alerts.len(), 1);
    assert_eq!(books.alerts[0].rule.name, "token-in-referer");
    let subject = books.subjects.values().next().unwrap();
    let subject = Subject::decode(subject).unwrap();
    assert_eq!(subject.profile.last_seen(), Some(used.time));
    assert!(judged(&[exposed]).alerts.is_empty(), "anybody can invent a Referer");
}

#[test]
fn tokens_that_nobody_knows_and_the_server_refuses_leave_no_rows() {
    let guess = |n: u8| Usage {
        token: TokenId([n; 16]),
        status: Some([400, 401, 403, 404, 429][usize::from(n % 5)]),
        ..usage(0)
    };
    let usages: Vec<Usage> = (100..200).map(guess).collect();
    let mut books = judged_in_parts(&usages, &BTreeSet::from([50]), 1, After::Forget, &[]);
    let told: Vec<_> = books.alerts.drain(..).map(|alert| alert.rule.name).collect();
    assert_eq!(
        (told, books.incidents.len(), books.notices.len()),
        (vec!["token-guessing".into()], 1, 1)
    );
    (books.incidents, books.notices) = Default::default();
    assert!(books.house.keys().all(|name| {
        ["clock", "exposures"].contains(&name.as_str())
            || name.starts_with("sources.")
            || name.starts_with("groups.")
    }));
    books.house.clear();
    let refused = Books { refused_unknown: 100, ..Books::default() };
    assert_eq!(books, refused);
}

#[test]
fn a_server_that_fails_makes_no_token_known_and_no_guesses() {
    let during_an_outage = |n: u8| Usage {
        token: TokenId([n; 16]),
        status: Some(500 + u16::from(n % 5)),
        ..usage(i64::from(n) * SECOND)
    };
    let mut books = judged(&(100..200).map(during_an_outage).collect::<Vec<_>>());
    assert!(books.house.keys().all(|name| name == "clock"), "{:?}", books.house.keys());
    books.house.clear();
    assert_eq!(books, Books { refused_unknown: 100, ..Books::default() });
    let redirected = Usage { status: Some(302), ..during_an_outage(100) };
    assert_eq!(judged(&[redirected]).tokens.len(), 1, "many an API redirects");
}

#[test]
fn who_guesses_has_a_source_and_who_guesses_right_a_token() {
    let tried = |n: u8| Usage {
        token: TokenId([n; 16]),
        client: Some("198.51.100.7".parse().unwrap()),
        status: Some(401),
        ..usage(20 * DAY + i64::from(n) * SECOND)
    };
    let own = (0..20).map(|n| Usage { token: TokenId([1; 16]), ..usage(n * DAY) });
    let found = Usage { token: TokenId([1; 16]), status: Some(200), ..tried(250) };
    let usages: Vec<Usage> = own.chain((100..150).map(tried)).chain([found]).collect();
    let books = judged_in_parts(&usages, &BTreeSet::from([30, 60]), 1, After::Restart, &[]);
    let alert = |name: &str| books.alerts.iter().find(|alert| alert.rule.name == name);
    let guessing = alert("token-guessing").unwrap();
    assert_eq!((guessing.principal.as_str(), &guessing.token), ("source:198.51.100.0/24", &None));
    assert_eq!(guessing.rule.level, Level::High);
    let success = alert("success-after-guessing").unwrap();
    assert_eq!((success.principal.as_str(), success.rule.level), ("orders", Level::Critical));
    assert_eq!(success.token.as_ref().map(|token| token.id), Some(TokenId([1; 16])));
    let words = "accepted from 198.51.100.0/24, where it was never used before and ";
    assert!(success.reason.starts_with(words), "{}", success.reason);
}
