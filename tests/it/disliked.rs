//! A mail server with a filter: it refuses mails for their text, part of which is chosen by whoever sends requests.
//! With a clock set by the test: the real pump, database and server.

use tokenwatch::clock;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::time::{DAY, HOUR, MINUTE, Timestamp};
use tokenwatch::engine::word::Verdict;
use tokenwatch::store::Ack;

use crate::pump::{CAP, Site};

/// What the filter dislikes, as the issuer of a token.
const WORD: &str = "casino";

const REFUSED: &str = "554 5.7.1 blocked for its content";

/// A filter that refuses everything.
const ALL: (&str, &str) = ("", REFUSED);

fn site() -> (Site, Timestamp) {
    let site = Site::new();
    site.server.script(|script| script.disliked = Some((WORD, REFUSED)));
    // Ahead of the clock, which the pump looks at after each try.
    (site, clock::now().plus(HOUR))
}

/// Returns the texts that name an incident or its alert.
fn told(site: &Site, n: usize) -> Vec<&str> {
    let id = format!("in_{n:04}");
    let texts = site.sent.iter().map(|(_, mail)| mail.text.as_str());
    texts.filter(|text| text.contains(&id)).collect()
}

fn is_bare(text: &str) -> bool {
    text.contains("Alerts whose text the mail server refused") && !text.contains(WORD)
}

fn n_lost(site: &Site) -> u64 {
    site.store.stats().unwrap().outbox.lost
}

#[test]
fn a_word_that_the_mail_server_dislikes_kept_an_alert_from_everybody() {
    let (mut site, start) = site();
    site.happen_to(WORD, Level::Critical, start);
    site.happen_to("deploy-bot", Level::Critical, start);
    site.run(start, start.plus(MINUTE));
    assert_eq!((site.sent.len(), site.n_in("sent"), n_lost(&site)), (2, 2, 0));
    let [bare] = told(&site, 0)[..] else { panic!("it is told once") };
    assert!(is_bare(bare) && bare.starts_with("CRITICAL"), "{bare}");
    assert!(bare.lines().any(|line| line == "  tokenwatch alerts show al_in_0000_1"), "{bare}");
    assert_eq!(site.sent[0].1.id, "in_0000.1@host", "the id of the mail that was refused");
    assert!(told(&site, 1)[0].contains("deploy-bot"), "others are told in full");
}

#[test]
fn a_word_that_the_mail_server_dislikes_took_the_alerts_in_the_same_digest_with_it() {
    let (mut site, start) = site();
    (0..CAP).for_each(|n| site.happen_to(&format!("bot-{n}-"), Level::High, start));
    let (first, last) = (CAP as usize, CAP as usize + 2);
    for principal in ["ana", WORD, "bob"] {
        site.happen_to(principal, Level::High, start);
    }
    let now = site.run(start, start.plus(10 * MINUTE));
    for n in first..=last {
        let told = told(&site, n);
        assert!(told.len() == 1 && is_bare(told[0]), "{n}: {told:?}");
    }
    assert_eq!((site.n_in("waiting"), site.n_in("dead")), (0, 0));
    // The digest of the day.
    site.happen_to(WORD, Level::Medium, now);
    site.happen_to("eve", Level::Medium, now);
    site.run(now, now.plus(DAY));
    let (_, digest) = site.sent.last().unwrap();
    assert!(digest.id.starts_with("digest.") && is_bare(&digest.text), "{}", digest.text);
    for n in [last + 1, last + 2] {
        assert!(digest.text.contains(&format!("alerts show al_in_{n:04}_1")), "{}", digest.text);
    }
}

#[test]
fn a_text_that_is_to_come_later_again_and_again_was_never_told() {
    let (mut site, start) = site();
    site.server.script(|script| script.disliked = Some((WORD, "451 4.7.1 try again later")));
    site.happen_to(WORD, Level::Critical, start);
    // Greylisting says so for minutes: the text is worth waiting for.
    let now = site.run(start, start.plus(50 * MINUTE));
    assert_eq!((site.sent.len(), site.n_in("waiting")), (0, 1));
    site.run(now, now.plus(HOUR));
    assert!(site.sent.len() == 1 && is_bare(told(&site, 0)[0]));
}

#[test]
fn whoever_postponed_a_mail_whose_text_was_refused_never_got_it() {
    let mut site = Site::to(&["full@example.org", "security@example.org"]);
    let start = clock::now().plus(HOUR);
    site.server.script(|script| {
        script.disliked = Some((WORD, REFUSED));
        script.full = vec!["full@example.org".into()];
    });
    site.happen_to(WORD, Level::Critical, start);
    let now = site.run(start, start.plus(MINUTE));
    site.server.script(|script| script.full.clear());
    site.run(now, now.plus(HOUR));
    let [first, second] = [0, 1].map(|n| &site.sent[n].1);
    assert_eq!((&first.id, &first.text), (&second.id, &second.text));
    assert_eq!(
        [&first.to[..], &second.to[..]].concat(),
        ["security@example.org", "full@example.org"]
    );
    assert!(is_bare(&second.text), "{}", second.text);
}

#[test]
fn a_mail_that_was_refused_for_its_content_was_given_up_at_the_first_try() {
    let (mut site, start) = site();
    site.server.script(|script| script.disliked = Some(ALL));
    site.happen_to("ana", Level::Critical, start);
    let now = site.run(start, start.plus(5 * DAY - HOUR));
    assert_eq!((site.n_in("waiting"), site.n_in("dead")), (1, 0));
    let n_tries = site.server.n_connections() / 2;
    assert!((230..=260).contains(&n_tries), "twice an hour: {n_tries}");
    let now = site.run(now, now.plus(2 * HOUR));
    assert_eq!((site.n_in("waiting"), site.n_in("dead"), n_lost(&site)), (0, 1, 1));
    let why = site.store.last_refusal().unwrap();
    assert!(why.contains(REFUSED) && why.ends_with("; given up"), "{why}");
    // That the server works again does not tell what it refused.
    site.server.script(|script| script.disliked = None);
    site.happen_to("bob", Level::Critical, now);
    let now = site.run(now, now.plus(HOUR));
    assert_eq!((site.sent.len(), n_lost(&site)), (1, 1));
    let (subject, verdict) = ("in_0000".into(), Verdict::Expected);
    site.store.ack(&Ack { subject, verdict, note: String::new(), at: now }, None).unwrap();
    assert_eq!(n_lost(&site), 0, "somebody has seen it");
}

#[test]
fn the_digest_after_one_that_was_given_up_began_behind_it() {
    let (mut site, start) = site();
    site.server.script(|script| script.disliked = Some(ALL));
    site.happen_to("deploy-bot", Level::Medium, start);
    let now = site.run(start, start.plus(6 * DAY + HOUR));
    assert_eq!((site.n_in("dead"), n_lost(&site)), (1, 1));
    site.server.script(|script| script.disliked = None);
    site.run(now, now.plus(DAY));
    let [(_, digest)] = &site.sent[..] else { panic!("one mail tells it") };
    assert!(digest.text.contains("deploy-bot"), "{}", digest.text);
    assert_eq!(n_lost(&site), 0);
}
