//! A mail server that refuses us until a person changes something, with a clock set by the test: the real pump,
//! database and server.

use tokenwatch::clock;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::time::{DAY, HOUR, SECOND, Timestamp};

use crate::pump::Site;
use crate::smtp::Script;

/// A site with this many mails that wait.
fn site(n_mails: u32, now: Timestamp) -> Site {
    let mut site = Site::new();
    for n in 0..n_mails {
        site.happen_to(&format!("principal-{n:04}-"), Level::Critical, now);
    }
    site
}

#[test]
fn a_wrong_password_was_tried_twice_a_minute_while_mails_waited() {
    let start = clock::now().plus(HOUR);
    let mut site = site(60, start);
    site.server.script(|script| script.is_locked = true);
    let now = site.run(start, start.plus(DAY));
    // 30 s to 16 min is half an hour, and then twice an hour.
    let n_tries = site.server.n_refused_logins();
    assert!((47..=54).contains(&n_tries), "{n_tries}");
    site.restart();
    let now = site.run(now, now.plus(SECOND));
    assert_eq!(site.server.n_refused_logins(), n_tries + 1, "a start tries at once");
    site.server.script(|script| script.is_locked = false);
    site.restart();
    site.run(now, now.plus(SECOND));
    assert!(!site.sent.is_empty());
}

#[test]
fn a_server_that_wants_none_of_our_mails_was_asked_twice_a_minute() {
    type Refuse = fn(&mut Script);
    let refusals: [(Refuse, &str); 2] = [
        (
            |script| script.greeting = Some("554 5.7.1 no service for this host"),
            "check mail.server",
        ),
        (|script| script.sender = Some("550 5.7.1 sender not allowed"), "check mail.from"),
    ];
    for (refuse, remedy) in refusals {
        let start = clock::now().plus(HOUR);
        let mut site = site(60, start);
        site.server.script(refuse);
        let now = site.run(start, start.plus(DAY));
        let n_tries = site.server.n_connections();
        assert!((47..=54).contains(&n_tries), "as seldom as with a wrong password: {n_tries}");
        let now = site.run(now, now.plus(5 * DAY));
        assert_eq!((site.n_in("waiting"), site.n_in("dead")), (60, 0), "it is no mail's fault");
        let errors = site.store.due(Timestamp(i64::MAX), 60).unwrap().into_iter();
        assert!(errors.map(|mail| mail.error).any(|error| error.contains(remedy)), "{remedy}");
        site.server.script(|script| *script = Script::default());
        site.restart();
        site.run(now, now.plus(SECOND));
        assert!(!site.sent.is_empty());
    }
}

#[test]
fn a_server_that_denied_relaying_for_an_hour_lost_every_alert_of_it() {
    let start = clock::now().plus(HOUR);
    let mut site = site(3, start);
    site.server.script(|script| script.is_denying = true);
    let now = site.run(start, start.plus(HOUR));
    assert_eq!((site.n_in("waiting"), site.n_in("dead")), (3, 0));
    let n_tries = site.server.n_connections();
    assert!((7..=9).contains(&n_tries), "as seldom as with a wrong password: {n_tries}");
    site.server.script(|script| script.is_denying = false);
    site.run(now, now.plus(HOUR / 2));
    assert_eq!((site.sent.len(), site.n_in("sent")), (3, 3));
}

#[test]
fn a_server_that_denies_relaying_for_five_days_gets_no_older_mail_and_status_knows() {
    let start = clock::now().plus(HOUR);
    let mut site = site(1, start);
    site.server.script(|script| script.is_denying = true);
    let now = site.run(start, start.plus(5 * DAY - HOUR));
    assert_eq!((site.n_in("waiting"), site.n_in("dead")), (1, 0));
    let now = site.run(now, now.plus(2 * HOUR));
    assert_eq!((site.n_in("waiting"), site.n_in("dead")), (0, 1));
    let lost = |site: &Site| site.store.stats().unwrap().outbox.lost;
    assert_eq!(lost(&site), 1);
    let why = site.store.last_refusal().unwrap();
    assert!(why.contains("Relay access denied; check mail.to, mail.from"), "{why}");
    site.server.script(|script| script.is_denying = false);
    site.happen_to("deploy-bot", Level::High, now);
    site.run(now, now.plus(HOUR));
    assert_eq!((site.sent.len(), lost(&site)), (1, 1), "what is sent later does not tell it");
}
