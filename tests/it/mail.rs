//! From a written line to a mail in somebody's mailbox: the daemon between real files and a real server.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mail_parser::{HeaderValue, MessageParser};
use rusqlite::Connection;

use crate::dump::assert_same;
use crate::lines::{named_command, paste};
use crate::program::{Home, PATIENCE, wait_until};
use crate::smtp::{Message, Options, Script, SmtpServer};

/// The promise is 2 s; a machine under load gets five times as long.
const SOON: Duration = Duration::from_secs(10);

const PASSWORD: &str = "s3cret of the mail server";

const SOURCE: &str = r#"
[[source]]
paths = ["logs/access.log"]
read_from = "start"
[output]
journal = false
"#;

fn options() -> Options {
    Options { login: Some(("tokenwatch".into(), PASSWORD.into())), ..Options::default() }
}

/// What a site writes to have mail, with `more` lines of it.
fn config(server: &SmtpServer, more: &str) -> String {
    format!(
        "{SOURCE}[mail]\nserver = \"smtp://localhost:{}\"\nuser = \"tokenwatch\"\n\
         password_file = \"password\"\nca_file = \"ca.pem\"\nfrom = \"Tokenwatch <tokenwatch@example.org>\"\n\
         to = [\"security@example.org\"]\ndigest = \"00:00\"\n{more}\n",
        server.port()
    )
}

fn home(server: &SmtpServer, config: &str) -> Home {
    let home = Home::new(config);
    fs::write(home.path("ca.pem"), server.ca_pem()).expect("certificate");
    fs::write(home.path("password"), format!("{PASSWORD}\n")).expect("password");
    home
}

fn token(n: u32) -> String {
    format!("exk_{n:08}0123456789abcdefgh")
}

fn line(second: u32, target: &str, status: u32, referer: &str, authorization: &str) -> String {
    let (minute, second) = (second / 60, second % 60);
    format!(
        "192.0.2.7 - - [02/Mar/2026:08:{minute:02}:{second:02} +0000] \"GET {target} HTTP/1.1\" {status} 612 \
         \"{referer}\" \"curl/8.5.0\" \"{authorization}\"\n"
    )
}

/// A request whose token stands in the URL: an alert of level high, once a day for each token.
fn leak_in_url(second: u32, n: u32) -> String {
    line(second, &format!("/v1/feed?access_token={}", token(n)), 200, "-", "-")
}

/// A request with a token, then one with it in the Referer: medium. A token that was never used is
/// nobody's: whoever writes it into a Referer tells nothing.
fn leak_in_referer(second: u32, n: u32) -> String {
    let referer = format!("https://app.example.org/?access_token={}", token(n));
    line(second, "/v1/items", 200, "-", &format!("Bearer {}", token(n)))
        + &line(second, "/static/app.css", 200, &referer, "-")
}

fn import(home: &Home, csv: &str) {
    let output = home.output_with(&["tokens", "import", "-"], csv);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn id(home: &Home, n: u32) -> String {
    let output = home.output_with(&["tokens", "id", "-"], &token(n));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// How many rows of the outbox are in a state; none before there is a database.
fn outbox(home: &Home, state: &str) -> i64 {
    asked(home, "SELECT count(*) FROM outbox WHERE state = ?1", [state], |row| row.get(0))
        .unwrap_or(0)
}

fn asked<T>(
    home: &Home,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(home.path("state/tokenwatch.db"), flags)?;
    database.query_row(sql, parameters, read)
}

/// A mail as its reader's program shows it.
struct Shown {
    id: String,
    subject: String,
    references: String,
    text: String,
    html: String,
}

fn shown(message: &Message) -> Shown {
    let mail = MessageParser::default().parse(&message.bytes).expect("a mail");
    let references = match mail.references() {
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::TextList(list) => list.join(" "),
        _ => String::new(),
    };
    Shown {
        id: mail.message_id().expect("Message-ID").to_owned(),
        subject: mail.subject().expect("Subject").to_owned(),
        references,
        text: mail.body_text(0).expect("text").into_owned(),
        html: mail.body_html(0).expect("HTML").into_owned(),
    }
}

#[test]
fn a_written_line_is_mailed_soon() {
    let server = SmtpServer::start(options());
    let home = home(&server, &config(&server, ""));
    let (bait, leaked) = (token(1), token(2));
    import(
        &home,
        &format!(
            "token,name,owner,decoy,leaked_at\n{bait},bait,,true,\n{leaked},old-key,ops,,2026-03-01\n"
        ),
    );
    let daemon = home.run(&[]);
    wait_until("the daemon runs", || home.daemon_log().contains("Started."));
    let stories = [
        (
            line(0, "/v1/items/1", 401, "-", &format!("Bearer {bait}")),
            "CRITICAL bait: honeytoken used",
        ),
        (
            line(1, "/v1/items/1", 200, "-", &format!("Bearer {leaked}")),
            "CRITICAL old-key: leaked token used",
        ),
        (leak_in_url(2, 3), "token in URL"),
    ];
    for (n, (line, words)) in (1..).zip(stories) {
        #[expect(clippy::disallowed_methods, reason = "measures how long a mail takes")]
        let written = Instant::now();
        home.append("logs/access.log", line);
        let message = server.wait_for(n, SOON).pop().expect("a mail");
        println!("mailed {:?} after the write", message.received.duration_since(written));
        assert!(message.is_encrypted);
        assert_eq!(message.user.as_deref(), Some("tokenwatch"));
        assert_eq!(message.to, ["security@example.org"]);
        let mail = shown(&message);
        assert!(mail.subject.to_lowercase().contains(&words.to_lowercase()), "{}", mail.subject);
        assert!(mail.text.contains("logs/access.log:"), "{}", mail.text);
        assert!(!mail.html.contains("http://") && !mail.html.contains("https://"), "no links");
    }
    let told = shown(&server.wait_for(2, SOON)[1]).text;
    let rows: Vec<_> = told.lines().map(str::trim).collect();
    assert!(rows.contains(&"Owner      ops"), "{told}");
    assert!(rows.contains(&"Leaked     since 2026-03-01 00:00:00 UTC"), "{told}");
    assert!(daemon.terminate().success());
    assert_eq!(server.messages().len(), 3);
}

#[test]
fn the_commands_of_a_mail_find_the_state_of_its_daemon() {
    let server = SmtpServer::start(options());
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 1));
    let mail = shown(&server.wait_for(1, PATIENCE)[0]);
    let commands: Vec<&str> =
        mail.text.lines().filter_map(|line| line.strip_prefix("  tokenwatch ")).collect();
    assert!(commands.len() > 3, "{}", mail.text);
    for command in commands {
        let output = paste(&home, &format!("cd / && tokenwatch {command}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {error}");
    }
    assert!(daemon.terminate().success());
}

#[test]
fn the_command_that_check_names_sends_a_test_mail() {
    let server = SmtpServer::start(options());
    let home = home(&server, &config(&server, ""));
    let checked = home.print(&["check"]);
    let line = checked.lines().find(|line| line.contains("sends a test mail")).unwrap();
    let output = paste(&home, &format!("cd / && {}", named_command(line)));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn mails_wait_for_a_server_that_is_down_and_outlive_the_daemon() {
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, "max_per_hour = 100"));
    import(&home, &format!("token,name,leaked_at\n{},old-key,2026-03-01\n", token(7)));
    let mut daemon = home.run(&[]);
    // Refused, then taken: two mails about one principal.
    let use_it =
        |second, status| line(second, "/v1/items", status, "-", &format!("Bearer {}", token(7)));
    let lines =
        [use_it(0, 403), use_it(1, 200)].into_iter().chain((2..8).map(|n| leak_in_url(n, n - 2)));
    for (n, line) in (1..).zip(lines) {
        home.append("logs/access.log", line);
        wait_until("the line is committed", || home.committed_lines() == n);
        // What the first mail tells is settled once it was tried: the second line needs another one.
        wait_until("a try has failed", || home.daemon_log().contains("it will be retried"));
        if n % 2 == 0 {
            daemon.kill();
            daemon = home.run(&[]);
        }
    }
    assert_eq!(outbox(&home, "waiting"), 8);
    server.restart();
    // The next try is half a minute away; a start does not wait for it.
    daemon.kill();
    let daemon = home.run(&[]);
    let messages = server.wait_for(8, PATIENCE);
    wait_until("all are marked", || outbox(&home, "sent") == 8);
    daemon.kill();
    let ids: BTreeSet<String> = messages.iter().map(|message| shown(message).id).collect();
    assert_eq!(ids.len(), 8, "each is another mail");
    let texts: String = messages.iter().map(|message| shown(message).text).collect();
    for n in 0..6 {
        assert!(texts.contains(&id(&home, n)), "the mail about token {n} is lost");
    }
    let subjects: Vec<String> = messages.iter().map(|message| shown(message).subject).collect();
    let place = |words: &str| subjects.iter().position(|subject| subject.ends_with(words));
    let (first, second) =
        (place("old-key: leaked token used"), place("leaked token used (update)"));
    assert!(first.is_some() && first < second, "in the order of what happened: {subjects:?}");
    // Nothing is sent anew by the next run.
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(10, 10));
    assert!(shown(&server.wait_for(9, PATIENCE)[8]).text.contains(&id(&home, 10)));
    assert!(daemon.terminate().success());
}

#[test]
fn of_many_mails_one_is_tried_while_the_server_is_down() {
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, "max_per_hour = 100"));
    let daemon = home.run(&[]);
    let n_tries = || home.daemon_log().matches("it will be retried").count();
    home.append("logs/access.log", (0..6).map(|n| leak_in_url(n, n)).collect::<String>());
    wait_until("one was tried", || outbox(&home, "waiting") == 6 && n_tries() == 1);
    // A reload tries at once.
    daemon.signal("HUP");
    wait_until("one was tried again", || n_tries() > 1);
    server.restart();
    daemon.signal("HUP");
    server.wait_for(6, PATIENCE);
    wait_until("all are marked", || outbox(&home, "sent") == 6);
    assert_eq!(n_tries(), 2, "{}", home.daemon_log());
    assert!(daemon.terminate().success());
}

#[test]
fn a_mail_that_somebody_on_the_way_answered_before_tls_was_marked_as_sent() {
    let answers =
        "250-evil\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued";
    let script = Script { injected: Some(answers), ..Script::default() };
    let server = SmtpServer::start(Options { script, ..options() });
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    let why = || home.json(&["status", "--json"]).remove(0)["outbox"]["last_error"].to_string();
    wait_until("a try is noted", || why().contains("sent more than an answer before TLS began"));
    assert_eq!((outbox(&home, "waiting"), outbox(&home, "sent")), (1, 0));
    server.script(|script| script.injected = None);
    daemon.signal("HUP");
    assert!(shown(&server.wait_for(1, PATIENCE)[0]).text.contains(&id(&home, 0)));
    wait_until("it is marked", || outbox(&home, "sent") == 1);
    assert!(daemon.terminate().success());
}

#[test]
fn a_server_that_says_later_is_asked_again_in_half_a_minute_and_after_a_reload_at_once() {
    let script = Script { greylist: 2, ..Script::default() };
    let server = SmtpServer::start(Options { script, ..options() });
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 1));
    for (n, wait) in [(1, 30), (2, 60)] {
        let state = || {
            let sql = "SELECT attempts, due, error FROM outbox WHERE state = 'waiting'";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            asked(&home, sql, [], read).unwrap_or((0, 0, String::new()))
        };
        wait_until("the try is noted", || state().0 == n);
        let (_, due, error): (i64, i64, String) = state();
        let left = (due - tokenwatch::clock::now().0) / 1_000_000;
        assert!((wait - 10..=wait * 11 / 10).contains(&left), "the next try is in {left} s");
        assert!(error.contains("451"), "{error}");
        // Reading goes on.
        let n_lines = home.committed_lines();
        home.append("logs/access.log", line(9, "/v1/items", 200, "-", "-"));
        wait_until("the line is committed", || home.committed_lines() == n_lines + 1);
        daemon.signal("HUP");
    }
    server.wait_for(1, PATIENCE);
    wait_until("it is marked", || outbox(&home, "sent") == 1);
    assert!(daemon.terminate().success());
}

#[test]
fn an_alert_that_cannot_be_read_costs_its_own_mail_and_nothing_else() {
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0) + &leak_in_url(1, 1));
    wait_until("both lines are committed", || home.committed_lines() == 2);
    assert_eq!(outbox(&home, "waiting"), 2);
    daemon.kill();
    let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
    let sql = "UPDATE alert SET body = 'x' || substr(body, 2) WHERE number = 1";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    server.restart();
    let mut daemon = home.run(&[]);
    wait_until("one is sent and one given up, or the daemon ends", || {
        daemon.has_ended() || (outbox(&home, "sent"), outbox(&home, "dead")) == (1, 1)
    });
    assert_eq!(home.json(&["alerts", "list", "--json"]).len(), 1);
    assert!(home.print(&["status"]).contains("1 given up"));
    assert!(home.daemon_log().contains("it is skipped"), "{}", home.daemon_log());
    home.append("logs/access.log", leak_in_url(2, 2));
    server.wait_for(2, PATIENCE);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn a_mail_whose_answer_was_lost_comes_again_under_its_message_id() {
    let script = Script { lose: 2, ..Script::default() };
    let server = SmtpServer::start(Options { script, ..options() });
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 1));
    for n in 1..=2 {
        wait_until("the answer is lost", || server.unanswered().len() == n);
        daemon.signal("HUP");
    }
    let message = server.wait_for(1, PATIENCE).remove(0);
    let lost = server.unanswered();
    assert_eq!(lost.len(), 2);
    for message in &lost {
        assert_eq!(shown(message).id, shown(&server.messages()[0]).id);
    }
    assert_eq!(shown(&lost[0]).text, shown(&message).text, "a repeat says the same");
    assert!(daemon.terminate().success());
}

#[test]
fn a_kill_between_the_answer_to_a_mail_and_its_mark_repeats_it_under_its_message_id() {
    let server = SmtpServer::start(options());
    let disturbed = home(&server, &config(&server, ""));
    let mut daemon = disturbed.run(&[]);
    server.script(|script| script.is_holding = true);
    disturbed.append("logs/access.log", leak_in_url(0, 1) + &line(1, "/v1/items", 200, "-", "-"));
    wait_until("the mail is on its way", || server.unanswered().len() == 1);
    wait_until("the lines are committed", || disturbed.committed_lines() == 2);
    for n in 1..=3 {
        // Nobody can write now, so that the daemon is killed when it knows that the mail was taken and has not said so.
        let mut other = Connection::open(disturbed.path("state/tokenwatch.db")).unwrap();
        let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
        let lock = lock.unwrap();
        server.script(|script| script.is_holding = false);
        wait_until("the answer is heard", || server.n_goodbyes() == n);
        server.script(|script| script.is_holding = n < 3);
        daemon.kill();
        drop(lock);
        assert_eq!(outbox(&disturbed, "waiting"), 1);
        daemon = disturbed.run(&[]);
        wait_until("it comes again", || {
            server.messages().len() + server.unanswered().len() == n + 1
        });
    }
    wait_until("it is marked", || outbox(&disturbed, "sent") == 1);
    assert!(daemon.terminate().success());
    let messages = server.messages();
    assert_eq!(messages.len(), 4);
    for message in &messages {
        let (first, again) = (shown(&messages[0]), shown(message));
        assert_eq!((again.id, again.text), (first.id, first.text), "a repeat is the same mail");
    }
    // Whoever was never disturbed has the same.
    let calm = home(&server, &config(&server, ""));
    fs::create_dir(calm.path("state")).unwrap();
    fs::copy(disturbed.path("state/seal.key"), calm.path("state/seal.key")).unwrap();
    let daemon = calm.run(&[]);
    calm.append("logs/access.log", leak_in_url(0, 1) + &line(1, "/v1/items", 200, "-", "-"));
    server.wait_for(5, PATIENCE);
    wait_until("it is marked", || outbox(&calm, "sent") == 1);
    assert!(daemon.terminate().success());
    let database = |home: &Home| home.path("state/tokenwatch.db");
    assert_same(&database(&disturbed), &database(&calm), "killed between answer and mark");
}

#[test]
fn one_event_is_one_mail_and_a_rise_of_its_level_one_more_in_the_thread() {
    let server = SmtpServer::start(options());
    let home = home(&server, &config(&server, ""));
    let leaked = token(1);
    import(&home, &format!("token,name,leaked_at\n{leaked},old-key,2026-03-01\n"));
    let daemon = home.run(&[]);
    let use_it = |seconds: std::ops::Range<u32>, status| {
        for second in seconds {
            let target = format!("/v1/customers?page={second}");
            home.append(
                "logs/access.log",
                line(second, &target, status, "-", &format!("Bearer {leaked}")),
            );
        }
    };
    use_it(0..60, 403);
    let first = shown(&server.wait_for(1, PATIENCE)[0]);
    assert!(first.subject.contains("HIGH old-key: leaked token used"), "{}", first.subject);
    use_it(60..120, 200);
    let second = shown(&server.wait_for(2, PATIENCE)[1]);
    assert!(second.subject.contains("CRITICAL old-key: "), "{}", second.subject);
    assert!(second.subject.ends_with("(update)"), "{}", second.subject);
    assert_ne!(second.id, first.id);
    assert!(!first.references.is_empty());
    assert_eq!(second.references, first.references, "mail programs show both as one thread");
    // Of what comes later, another event is mailed and this one not again.
    use_it(120..180, 200);
    home.append("logs/access.log", leak_in_url(180, 2));
    let third = shown(&server.wait_for(3, PATIENCE)[2]);
    assert!(third.text.contains(&id(&home, 2)), "{}", third.text);
    assert!(daemon.terminate().success());
    assert_eq!((server.messages().len(), outbox(&home, "waiting")), (3, 0));
}

#[test]
fn a_mail_that_waited_was_sent_though_somebody_had_answered() {
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0) + &leak_in_url(1, 1));
    wait_until("both wait", || outbox(&home, "waiting") == 2);
    let alerts = home.json(&["alerts", "list", "--json"]);
    let of = |n| alerts.iter().find(|alert| alert["principal"] == id(&home, n).as_str()).unwrap();
    home.print(&["alerts", "ack", of(0)["alert"].as_str().unwrap(), "--expected"]);
    server.restart();
    daemon.signal("HUP");
    assert!(shown(&server.wait_for(1, PATIENCE)[0]).text.contains(&id(&home, 1)));
    wait_until("none waits", || outbox(&home, "waiting") == 0);
    assert_eq!((server.messages().len(), outbox(&home, "sent"), outbox(&home, "dead")), (1, 1, 0));
    assert!(daemon.terminate().success());
}

#[test]
fn what_is_not_urgent_waits_for_the_digest() {
    let server = SmtpServer::start(options());
    let home = home(&server, SOURCE);
    let daemon = home.run(&[]);
    for n in 0..3 {
        home.append("logs/access.log", leak_in_referer(n, n));
    }
    wait_until("the lines are committed", || home.committed_lines() == 6);
    assert_eq!(outbox(&home, "waiting"), 0, "nothing is to be mailed at once");
    // The digest's time of this day has passed when mail is set up: it is due.
    home.configure(&config(&server, ""));
    daemon.signal("HUP");
    let digest = shown(&server.wait_for(1, PATIENCE)[0]);
    assert!(digest.subject.contains("digest of "), "{}", digest.subject);
    assert!(digest.subject.contains("3 alerts"), "{}", digest.subject);
    for n in 0..3 {
        assert!(digest.text.contains(&id(&home, n)), "{}", digest.text);
    }
    // Once a day: a further one waits for tomorrow, and what is urgent does not.
    home.append("logs/access.log", leak_in_referer(10, 10));
    home.append("logs/access.log", leak_in_url(11, 11));
    let urgent = shown(&server.wait_for(2, PATIENCE)[1]);
    assert!(urgent.text.contains(&id(&home, 11)), "{}", urgent.text);
    assert!(daemon.terminate().success());
    assert_eq!(server.messages().len(), 2);
}

#[test]
fn what_a_run_printed_about_old_lines_was_mailed_by_the_next_digest() {
    let server = SmtpServer::start(options());
    let home = home(&server, SOURCE);
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_referer(0, 0));
    wait_until("the lines are committed", || home.committed_lines() == 2);
    assert!(daemon.terminate().success());
    home.append("logs/old.log", leak_in_url(5, 5));
    let look = home.run(&["logs/old.log"]);
    wait_until("the line is committed", || home.committed_lines() == 3);
    look.terminate();
    home.configure(&config(&server, ""));
    let daemon = home.run(&[]);
    let digests = "SELECT count(*) FROM outbox WHERE day LIKE '20%'";
    wait_until("the day's digest", || asked(&home, digests, [], |row| row.get(0)) == Ok(1));
    // What the daemon found before is told all the same.
    let digest = shown(&server.wait_for(1, PATIENCE)[0]);
    assert!(digest.text.contains(&id(&home, 0)), "{}", digest.text);
    assert!(daemon.terminate().success());
    for mail in server.messages() {
        assert!(!shown(&mail).text.contains(&id(&home, 5)), "{}", shown(&mail).text);
    }
}

#[test]
fn what_was_urgent_before_there_was_a_server_for_mails_was_never_told() {
    let server = SmtpServer::start(options());
    let home = home(&server, SOURCE);
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    wait_until("the line is committed", || home.committed_lines() == 1);
    home.configure(&config(&server, ""));
    daemon.signal("HUP");
    let digest = shown(&server.wait_for(1, PATIENCE)[0]);
    assert!(digest.subject.contains("digest of ") && digest.subject.contains("HIGH"));
    assert!(digest.text.contains(&id(&home, 0)), "{}", digest.text);
    assert!(daemon.terminate().success());
}

#[test]
fn what_a_mute_kept_back_is_in_the_digest_once_the_mute_has_ended() {
    let server = SmtpServer::start(options());
    let home = home(&server, SOURCE);
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_referer(0, 0));
    wait_until("the first is committed", || home.committed_lines() == 2);
    home.print(&["alerts", "mute", "--rule", "token-in-url", "--reason", "migration"]);
    home.append("logs/access.log", leak_in_url(1, 1));
    wait_until("the muted one is committed", || home.committed_lines() == 3);
    assert_eq!(outbox(&home, "waiting"), 0, "nobody is told");
    home.print(&["alerts", "unmute", "1"]);
    home.configure(&config(&server, ""));
    daemon.signal("HUP");
    let digest = shown(&server.wait_for(1, PATIENCE)[0]);
    assert!(digest.subject.contains("HIGH"), "{}", digest.subject);
    assert!(digest.subject.ends_with("1 alert and 1 muted"), "{}", digest.subject);
    let row = digest.text.lines().find(|line| line.contains("migration")).unwrap();
    assert!(row.contains("token-in-url for everybody") && row.contains(" high "), "{row}");
    assert!(daemon.terminate().success());
}

#[test]
fn beyond_the_cap_of_an_hour_the_rest_waits_for_its_digest() {
    // As many as an hour has of tokens that are new here.
    const INCIDENTS: u32 = 20;
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, "max_per_hour = 5"));
    let daemon = home.run(&[]);
    for n in 0..INCIDENTS {
        home.append("logs/access.log", leak_in_url(n, n));
    }
    wait_until("the lines are committed", || home.committed_lines() == u64::from(INCIDENTS));
    server.restart();
    daemon.signal("HUP");
    let mail = shown(&server.wait_for(1, PATIENCE)[0]);
    wait_until("it is marked", || outbox(&home, "sent") == 1);
    assert!(mail.subject.ends_with("token in url"), "{}", mail.subject);
    assert!(mail.text.contains(&id(&home, 0)), "the oldest goes first: {}", mail.text);
    // Another rule has its mail all the same.
    let bait = token(50);
    import(&home, &format!("token,name,decoy\n{bait},bait,true\n"));
    home.append("logs/access.log", line(50, "/v1", 401, "-", &format!("Bearer {bait}")));
    let mail = shown(&server.wait_for(2, PATIENCE)[1]);
    assert!(mail.subject.contains("bait: honeytoken used"), "{}", mail.subject);
    wait_until("it is marked", || outbox(&home, "sent") == 2);
    assert!(daemon.terminate().success());
    // The others wait for the digest of the hour: pump.rs has its clock.
    assert_eq!((server.messages().len(), outbox(&home, "waiting")), (2, i64::from(INCIDENTS) - 1));
}

#[test]
fn status_says_that_mails_wait_for_the_hour_and_whether_critical_ones_do() {
    let mut server = SmtpServer::start(Options { is_down: true, ..options() });
    let home = home(&server, &config(&server, "max_per_hour = 1"));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    wait_until("the line is committed", || home.committed_lines() == 1);
    let outbox_of = || home.json(&["status", "--json"])[0]["outbox"].clone();
    assert_eq!(
        (&outbox_of()["waiting"], &outbox_of()["full_until"]),
        (&1.into(), &serde_json::Value::Null)
    );
    server.restart();
    daemon.signal("HUP");
    wait_until("it is marked", || outbox(&home, "sent") == 1);
    assert_eq!(outbox_of()["full_until"], serde_json::Value::Null, "nothing waits");
    let bait = token(50);
    import(&home, &format!("token,name,decoy\n{bait},bait,true\n"));
    home.append("logs/access.log", line(50, "/v1", 401, "-", &format!("Bearer {bait}")));
    home.append("logs/access.log", leak_in_url(51, 1));
    wait_until("both wait", || outbox(&home, "waiting") == 2);
    let waiting = outbox_of();
    assert_eq!((&waiting["waiting"], &waiting["critical"]), (&2.into(), &1.into()));
    assert!(waiting["full_until"].is_string() && waiting["critical_only"] == false, "{waiting}");
    let text = home.print(&["status"]);
    assert!(text.contains("2 waiting, 1 critical, the oldest queued"), "{text}");
    assert!(text.contains("mail.max_per_hour is reached until"), "{text}");
    assert!(daemon.terminate().success());
}

#[test]
fn a_recipient_who_is_refused_for_good_does_not_keep_the_mail_from_others() {
    let script = Script { refused: vec!["gone@example.org".into()], ..Script::default() };
    let server = SmtpServer::start(Options { script, ..options() });
    let config = config(&server, "")
        .replace("[\"security@example.org\"]", "[\"gone@example.org\", \"security@example.org\"]");
    let home = home(&server, &config);
    let daemon = home.run(&[]);
    for n in 0..2 {
        home.append("logs/access.log", leak_in_url(n, n));
        let count = usize::try_from(n).unwrap() + 1;
        let message = server.wait_for(count, PATIENCE).pop().expect("a mail");
        assert_eq!(message.to, ["security@example.org"]);
    }
    wait_until("both are marked", || outbox(&home, "sent") == 2);
    let log = home.daemon_log();
    assert!(
        log.contains("refused permanently for some recipients") && log.contains("gone@example.org"),
        "{log}"
    );
    let status = home.json(&["status", "--json"]).remove(0);
    assert_eq!((&status["outbox"]["refused"], &status["outbox"]["dead"]), (&2.into(), &0.into()));
    let why = status["outbox"]["last_refusal"].as_str().unwrap();
    assert!(why.contains("gone@example.org") && why.contains("550"), "{why}");
    let text = home.print(&["status"]);
    assert!(text.contains("0 waiting, 2 refused by a recipient"), "{text}");
    assert!(text.contains("last refused      gone@example.org: "), "{text}");
    assert!(daemon.terminate().success());
}

#[test]
fn a_mail_that_all_refuse_is_given_up_shown_and_never_tried_again() {
    let all = ["gone@example.org", "security@example.org"];
    let script = Script { refused: all.map(Into::into).into(), ..Script::default() };
    let server = SmtpServer::start(Options { script, ..options() });
    let config = config(&server, "")
        .replace("[\"security@example.org\"]", "[\"gone@example.org\", \"security@example.org\"]");
    let home = home(&server, &config);
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    wait_until("it is given up", || outbox(&home, "dead") == 1);
    let n_tries = server.n_connections();
    let told = || {
        let status = home.json(&["status", "--json"]).remove(0);
        assert_eq!(status["outbox"]["dead"], 1, "{status}");
        let why = status["outbox"]["last_refusal"].as_str().unwrap().to_owned();
        assert!(all.iter().all(|name| why.contains(name)) && why.contains("550"), "{why}");
        let text = home.print(&["status"]);
        assert!(text.contains("1 given up") && text.contains("last refused"), "{text}");
    };
    let check = || home.output(&["status", "--check"]).status.code();
    told();
    assert_eq!(check(), Some(1), "{}", home.print(&["status"]));
    let text = home.print(&["status"]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("1 mail was given up, and no other mail told its alerts (in_"),
        "{text}"
    );
    assert!(words.contains(" alerts show in_") && words.contains(" alerts ack in_"), "{text}");
    server.script(|script| script.refused.clear());
    // Neither a reload nor a restart wakes it, and what comes later gets through.
    daemon.signal("HUP");
    wait_until("the reload", || home.daemon_log().contains("The configuration was reloaded."));
    daemon.kill();
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(1, 1));
    let mail = server.wait_for(1, PATIENCE).remove(0);
    assert_eq!(mail.to, ["gone@example.org", "security@example.org"]);
    assert!(shown(&mail).text.contains(&id(&home, 1)));
    wait_until("it is marked", || outbox(&home, "sent") == 1);
    told();
    assert_eq!(check(), Some(1), "what is sent later does not tell it");
    let incident =
        asked(&home, "SELECT incident FROM outbox WHERE state = 'dead'", [], |row| row.get(0));
    let incident: String = incident.unwrap();
    home.print(&["alerts", "ack", &incident, "--expected"]);
    told();
    assert_eq!(check(), Some(0), "somebody has seen it");
    assert!(daemon.terminate().success());
    assert_eq!((server.n_connections(), outbox(&home, "dead")), (n_tries + 1, 1));
}

#[test]
fn mails_were_queued_from_a_start_without_a_server_for_them() {
    let server = SmtpServer::start(options());
    let home = home(&server, SOURCE);
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    let n_alerts = || asked(&home, "SELECT count(*) FROM alert", [], |row| row.get(0)).unwrap_or(0);
    wait_until("an alert is committed", || n_alerts() > 0);
    assert_eq!(outbox(&home, "waiting"), 0);
    assert_eq!(home.output(&["status", "--check"]).status.code(), Some(0));
    assert!(daemon.end().0.success());
    home.configure(&config(&server, ""));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(1, 1));
    wait_until("the next is mailed", || !server.messages().is_empty());
    drop(daemon);
}

#[test]
fn a_reload_waited_for_the_mails() {
    let server = SmtpServer::start(options());
    server.script(|script| script.hang = 9);
    let home = home(&server, &config(&server, "max_per_hour = 100"));
    let daemon = home.run(&[]);
    home.append("logs/access.log", leak_in_url(0, 0));
    wait_until("a mail hangs", || server.unanswered().len() == 1);
    // Each alert that is committed meanwhile is one more thing to wake up for.
    for n in 1..12 {
        home.append("logs/access.log", leak_in_url(n, n));
        wait_until("an alert is committed", || outbox(&home, "waiting") == i64::from(n) + 1);
    }
    daemon.signal("HUP");
    wait_until("it is reloaded", || home.daemon_log().contains("The configuration was reloaded"));
    assert_eq!(server.n_connections(), 1, "it still hangs");
    // Nor does the new mailer wait as long as an answer may take.
    server.wait_for_connections(2, PATIENCE);
    assert!(daemon.end_as_promised().success(), "{}", home.daemon_log());
}

#[test]
fn text_of_attackers_stays_text() {
    let server = SmtpServer::start(options());
    let home = home(&server, &config(&server, ""));
    let evil = "<img src=x onerror=alert(1)>\r\nBcc: evil@example.org\r\n\r\n.\r\n<script>\u{1b}[2J\u{202e}";
    // Whoever makes up a JWT makes up whose it is, and that is the name of its principal.
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(serde_json::json!({"iss": evil, "sub": evil}));
    let jwt = format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 32]));
    let daemon = home.run(&[]);
    let line = serde_json::json!({
        "time_iso8601": "2026-03-02T08:00:00+00:00",
        "remote_addr": "192.0.2.7",
        "request_method": "GET",
        "request_uri": format!("/v1/{evil}/x?access_token={jwt}"),
        "host": evil,
        "status": 200,
        "http_user_agent": evil,
        "http_referer": evil,
    });
    home.append("logs/access.log", format!("{line}\n"));
    let message = server.wait_for(1, PATIENCE).remove(0);
    assert!(daemon.terminate().success());
    assert_eq!(message.to, ["security@example.org"]);
    let mail = shown(&message);
    assert!(mail.subject.starts_with("[tokenwatch] HIGH token tw1_"), "{}", mail.subject);
    let parsed = MessageParser::default().parse(&message.bytes).expect("a mail");
    let names: Vec<&str> = parsed.headers().iter().map(mail_parser::Header::name).collect();
    assert!(!names.iter().any(|name| name.eq_ignore_ascii_case("bcc")), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.eq_ignore_ascii_case("subject")).count(), 1);
    for bad in ["<img", "<script", "\u{1b}", "\u{202e}"] {
        assert!(!mail.html.contains(bad), "{bad:?} in {}", mail.html);
    }
    for bad in ["\u{1b}", "\u{202e}", "\nBcc:"] {
        assert!(!mail.text.contains(bad), "{bad:?} in {}", mail.text);
    }
    assert!(mail.text.contains("onerror"), "it was told at all: {}", mail.text);
}

#[test]
fn a_server_that_never_answers_does_not_hold_up_the_end() {
    let server = SmtpServer::start(options());
    server.script(|script| script.hang = 9);
    let home = home(&server, &config(&server, "max_per_hour = 100"));
    let daemon = home.run(&[]);
    for n in 0..3 {
        home.append("logs/access.log", leak_in_url(n, n));
    }
    wait_until("a mail hangs", || server.unanswered().len() == 1);
    // Reading goes on, and what happens now is kept for later.
    let n_lines = home.committed_lines();
    for n in 10..20 {
        home.append("logs/access.log", line(n, "/v1/items", 200, "-", "-"));
        wait_until("lines are committed", || home.committed_lines() >= n_lines + u64::from(n) - 9);
    }
    wait_until("all are committed", || home.committed_lines() == 13);
    assert_eq!((server.n_connections(), server.messages().len()), (1, 0), "it still hangs");
    // A send may take minutes.
    assert!(daemon.end_as_promised().success(), "{}", home.daemon_log());
    assert_eq!(outbox(&home, "waiting"), 3, "what was not sent is sent by the next run");
    assert!(home.print(&["status"]).contains("3 waiting, the oldest queued"));
    home.configure("");
    let text = home.print(&["status"]);
    assert!(text.contains("3 waiting, but no [mail] is configured, the oldest"), "{text}");
}

#[test]
fn status_did_not_say_that_only_the_share_of_critical_mails_is_free() {
    let server = SmtpServer::start(options());
    // One of them is for critical alerts.
    let home = home(&server, &config(&server, "max_per_hour = 4"));
    let daemon = home.run(&[]);
    for n in 0..3 {
        home.append("logs/access.log", leak_in_url(n, n));
        wait_until("it is marked", || outbox(&home, "sent") == i64::from(n) + 1);
    }
    home.append("logs/access.log", leak_in_url(3, 3));
    wait_until("the fourth waits", || outbox(&home, "waiting") == 1);
    let waiting = home.json(&["status", "--json"])[0]["outbox"].clone();
    assert!(waiting["full_until"].is_string() && waiting["critical_only"] == true, "{waiting}");
    let text = home.print(&["status"]);
    assert!(
        text.contains(", mail.max_per_hour leaves room for critical alerts only: other"),
        "{text}"
    );
    assert!(daemon.terminate().success());
    assert_eq!((server.messages().len(), outbox(&home, "waiting")), (3, 1));
}
