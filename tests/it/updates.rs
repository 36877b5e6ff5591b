//! Updates of incidents, with a clock set by the test: the real pump, database and server.

use mail_parser::MessageParser;
use tokenwatch::clock;
use tokenwatch::engine::alert::{Incident, Level};
use tokenwatch::engine::commit::{Commit, Notice};
use tokenwatch::engine::time::{DAY, HOUR, MINUTE, Timestamp};

use crate::pump::{CAP, Site, alert, id_of, incident};
use crate::smtp::Message;

const ANA: &str = "ana@example.org";
const BEN: &str = "ben@example.org";

/// The next midnight: the digest of the day is hours away.
fn midnight() -> Timestamp {
    Timestamp((clock::now().0 / DAY + 1) * DAY)
}

/// An incident that grows.
struct Growing {
    site: Site,
    incident: Incident,
}

impl Growing {
    fn at(now: Timestamp) -> Self {
        let none = Incident { revision: 0, alerts: 0, ..incident("in_1", "ci", Level::High, now) };
        Self { site: Site::to(&[ANA, BEN]), incident: none }
    }

    /// Commits alerts of the level high, each with a notice; the first is mailed at once, the others in an update.
    fn grow(&mut self, rules: &[&str], now: Timestamp) {
        let mut commit = Commit::default();
        for rule in rules {
            let of = &mut self.incident;
            of.revision += 1;
            of.alerts += 1;
            of.last = now;
            commit.alerts.push(alert(of, rule, Level::High, now));
            let delay = if of.revision == 1 { 0 } else { 5 * MINUTE };
            commit.notices.push(Notice { incident: of.id.clone(), revision: of.revision, delay });
        }
        commit.incidents.push(self.incident.clone());
        self.site.store.commit(&commit, now).unwrap();
    }

    /// Adds an alert that nobody is mailed about.
    fn add(&mut self, rule: &str, level: Level, now: Timestamp) {
        self.add_many(1, rule, level, now);
    }

    fn add_many(&mut self, n: usize, rule: &str, level: Level, now: Timestamp) {
        let mut next = || {
            self.incident.alerts += 1;
            alert(&self.incident, rule, level, now)
        };
        let alerts = (0..n).map(|_| next()).collect();
        let incidents = vec![self.incident.clone()];
        let commit = Commit { alerts, incidents, ..Commit::default() };
        self.site.store.commit(&commit, now).unwrap();
    }

    /// The alerts of each mail that somebody got, by Message-ID.
    fn got(&self, whom: &str) -> Vec<(String, String)> {
        let messages = self.site.server.messages();
        let of = |message: &&Message| message.to.iter().any(|to| to == whom);
        messages.iter().filter(of).map(told).collect()
    }

    /// The mails that Ana got: how many alerts each was about.
    fn n_told(&self) -> Vec<usize> {
        self.got(ANA).iter().map(|(_, alerts)| alerts.split(' ').count()).collect()
    }
}

fn is_bundle(message: &Message) -> bool {
    id_of(message).contains(".bundle.")
}

/// The text of a mail.
fn text(message: &Message) -> String {
    let mail = MessageParser::default().parse(&message.bytes).unwrap();
    mail.body_text(0).unwrap().into_owned()
}

/// The Message-ID of a mail and its alerts, in their order.
fn told(message: &Message) -> (String, String) {
    let text = String::from_utf8_lossy(&message.bytes).replace("\r\n ", " ");
    let header = text.lines().find_map(|line| line.strip_prefix("X-Tokenwatch-Alert: "));
    (id_of(message), header.unwrap_or_default().to_owned())
}

#[test]
fn what_the_first_mail_had_told_came_again_as_an_update() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.grow(&["token-in-url", "unusual-use"], start);
    growing.site.turn(start);
    growing.site.restart();
    // For the digest of the day, not for an update.
    growing.add("new-client", Level::Medium, start.plus(MINUTE));
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.n_told(), [2]);
    assert_eq!((growing.site.n_in("empty"), growing.site.n_in("waiting")), (1, 0));
}

#[test]
fn an_update_that_had_nothing_left_to_tell_passed_for_news_that_waits() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.grow(&["token-in-url", "unusual-use"], start);
    assert_eq!(growing.site.n_in("waiting"), 2);
    growing.site.turn(start);
    assert_eq!((growing.site.n_in("sent"), growing.site.n_in("empty")), (1, 1));
    assert_eq!(growing.site.n_in("waiting"), 0);
}

#[test]
fn an_update_with_news_outlives_the_first_mail_that_goes_out_late() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.site.server.script(|script| script.full = vec![ANA.into(), BEN.into()]);
    growing.grow(&["token-in-url", "unusual-use"], start);
    growing.site.turn(start);
    growing.grow(&["revoked-token-used"], start.plus(MINUTE));
    growing.site.server.script(|script| script.full.clear());
    growing.site.restart();
    growing.site.turn(start.plus(2 * MINUTE));
    assert_eq!((growing.site.n_in("sent"), growing.site.n_in("waiting")), (1, 1));
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.n_told(), [2, 3]);
}

#[test]
fn what_came_after_the_first_mail_is_told_once_by_an_update() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.grow(&["token-in-url", "unusual-use"], start);
    growing.site.turn(start);
    growing.grow(&["revoked-token-used"], start.plus(MINUTE));
    growing.site.restart();
    growing.site.turn(start.plus(6 * MINUTE));
    growing.site.restart();
    growing.site.turn(start.plus(HOUR));
    assert_eq!(growing.n_told(), [2, 3]);
    assert_eq!((growing.site.n_in("sent"), growing.site.n_in("waiting")), (2, 0));
}

#[test]
fn a_rule_that_the_first_mail_had_no_room_to_name_is_told_by_an_update() {
    let start = midnight();
    let mut growing = Growing::at(start);
    let rules: Vec<String> = (0..10).map(|n| format!("rule-{n}")).collect();
    let mut rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    rules.push("unusual-use");
    growing.grow(&rules, start);
    growing.site.turn(start);
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.n_told(), [11, 11]);
    let update = growing.site.server.messages().pop().unwrap();
    let text = String::from_utf8_lossy(&update.bytes).into_owned();
    assert!(text.contains("unusual-use (high)"), "{text}");
}

#[test]
fn a_rule_below_many_alerts_of_another_had_an_update_of_its_own() {
    let start = midnight();
    let mut growing = Growing::at(start);
    let mut rules = vec!["token-in-url"; 12];
    rules.push("unusual-use");
    growing.grow(&rules, start);
    growing.site.turn(start);
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.n_told(), [13]);
    let mail = text(&growing.site.server.messages().pop().unwrap());
    assert!(mail.contains("unusual-use (high): why"), "{mail}");
}

#[test]
fn a_rule_below_hundreds_of_graver_alerts_was_told_by_no_mail() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.grow(&["night-shift"], start);
    growing.add_many(300, "night-shift", Level::Critical, start);
    growing.grow(&["unusual-use"], start);
    growing.site.turn(start);
    growing.site.turn(start.plus(6 * MINUTE));
    let mails: Vec<String> = growing.site.server.messages().iter().map(text).collect();
    let [mail] = mails.as_slice() else { panic!("one mail tells all: {mails:?}") };
    assert!(mail.contains("unusual-use (high): why"), "{mail}");
}

#[test]
fn what_the_digest_of_an_hour_had_told_came_again_as_updates() {
    let start = midnight();
    let mut growing = Growing::at(start);
    for n in 0..CAP {
        growing.site.happen_to(&format!("principal-{n}-"), Level::Critical, start);
    }
    growing.site.turn(start);
    growing.grow(&["token-in-url", "unusual-use"], start);
    growing.site.turn(start.plus(3 * MINUTE));
    let bundle = growing.site.server.messages().pop().unwrap();
    assert!(is_bundle(&bundle));
    let text = text(&bundle);
    assert!(text.contains("token in url, unusual use"), "both rules are named: {text}");
    growing.site.restart();
    growing.site.turn(start.plus(2 * HOUR));
    assert_eq!(growing.got(ANA).len(), CAP as usize + 1);
    assert_eq!((growing.site.n_in("empty"), growing.site.n_in("waiting")), (1, 0));
    // What the digest could not know is told.
    growing.grow(&["revoked-token-used"], start.plus(2 * HOUR));
    growing.site.turn(start.plus(2 * HOUR + 6 * MINUTE));
    assert_eq!(growing.n_told().split_off(CAP as usize + 1), [3]);
}

#[test]
fn an_update_of_an_incident_that_a_digest_only_counted_was_dropped() {
    let start = midnight();
    let mut growing = Growing::at(start);
    for n in 0..CAP {
        growing.site.happen_to(&format!("principal-{n}-"), Level::Critical, start);
    }
    growing.site.turn(start);
    for n in 0..50 {
        growing.site.happen_to(&format!("another-{n}-"), Level::Critical, start);
    }
    growing.grow(&["token-in-url", "unusual-use"], start);
    growing.site.turn(start.plus(3 * MINUTE));
    let bundle = growing.site.server.messages().pop().unwrap();
    assert!(is_bundle(&bundle));
    assert!(text(&bundle).contains("and 1 incident more"), "{}", text(&bundle));
    growing.site.restart();
    growing.site.turn(start.plus(2 * HOUR));
    let got = growing.got(ANA);
    assert_eq!(got.len(), CAP as usize + 2);
    assert!(got.last().unwrap().0.starts_with("in_1.2@"), "{got:?}");
    assert_eq!(growing.n_told().last(), Some(&2));
}

#[test]
fn a_mail_that_somebody_postponed_came_with_other_alerts_under_its_message_id() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.site.server.script(|script| script.full = vec![BEN.into()]);
    growing.grow(&["token-in-url"], start);
    growing.site.turn(start);
    assert_eq!((growing.got(ANA).len(), growing.got(BEN).len()), (1, 0));
    growing.grow(&["revoked-token-used"], start.plus(1));
    growing.site.server.script(|script| script.full.clear());
    growing.site.restart();
    growing.site.turn(start.plus(MINUTE));
    assert_eq!(growing.got(ANA), growing.got(BEN));
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.got(ANA), growing.got(BEN));
    assert_eq!(growing.n_told(), [1, 2]);
}

#[test]
fn a_bundle_that_somebody_postponed_comes_as_it_was_sent_first() {
    let start = midnight();
    let mut growing = Growing::at(start);
    for n in 0..CAP {
        growing.site.happen_to(&format!("principal-{n}-"), Level::Critical, start);
    }
    growing.site.turn(start);
    growing.site.server.script(|script| script.full = vec![BEN.into()]);
    growing.grow(&["token-in-url"], start);
    growing.site.turn(start.plus(3 * MINUTE));
    growing.grow(&["revoked-token-used"], start.plus(3 * MINUTE));
    growing.site.server.script(|script| script.full.clear());
    growing.site.restart();
    growing.site.turn(start.plus(HOUR + MINUTE));
    let bundles: Vec<Message> =
        growing.site.server.messages().into_iter().filter(is_bundle).collect();
    let [ana, ben] = bundles.as_slice() else { panic!("{bundles:?}") };
    assert_eq!((&ana.to[0], &ben.to[0]), (&ANA.into(), &BEN.into()));
    assert_eq!(text(ana), text(ben));
}

#[test]
fn a_mail_whose_answer_was_lost_came_with_other_alerts_under_its_message_id() {
    let start = midnight();
    let mut growing = Growing::at(start);
    growing.site.server.script(|script| script.lose = 1);
    growing.grow(&["token-in-url"], start);
    growing.site.turn(start);
    growing.grow(&["revoked-token-used"], start.plus(1));
    growing.site.restart();
    growing.site.turn(start.plus(MINUTE));
    growing.site.turn(start.plus(6 * MINUTE));
    assert_eq!(growing.n_told().last(), Some(&2));
    let lost = growing.site.server.unanswered();
    let first = growing.got(ANA).into_iter().find(|(id, _)| id.starts_with("in_1.1@")).unwrap();
    assert!(lost.iter().map(told).all(|lost| lost == first), "{first:?}");
}

/// The next time at which a digest of the day is due.
fn of_day() -> Timestamp {
    midnight().plus(7 * HOUR + 30 * MINUTE)
}

/// Counts the mails that tell of a new client.
fn n_about_new_client(growing: &Growing) -> usize {
    let messages = growing.site.server.messages();
    messages.iter().filter(|message| text(message).contains("new client")).count()
}

#[test]
fn a_lesser_alert_that_a_digest_left_to_a_mail_beyond_the_cap_was_told_by_none() {
    let digest = of_day();
    let start = digest.plus(-30 * MINUTE);
    let mut growing = Growing::at(start);
    for n in 0..CAP {
        growing.site.happen_to(&format!("principal-{n}-"), Level::Critical, start);
    }
    growing.site.turn(digest.plus(-50 * MINUTE));
    for n in 0..60 {
        growing.site.happen_to(&format!("another-{n}-"), Level::Critical, start);
    }
    growing.grow(&["token-in-url"], start);
    growing.add("new-client", Level::Medium, start);
    growing.site.happen_to("quiet-", Level::Low, start);
    // All that is beyond the cap is tried as one, in vain.
    growing.site.server.script(|script| script.full = vec![ANA.into(), BEN.into()]);
    growing.site.turn(start.plus(3 * MINUTE));
    growing.site.turn(digest);
    growing.site.server.script(|script| script.full.clear());
    growing.site.restart();
    growing.site.turn(digest.plus(11 * MINUTE));
    let ids: Vec<_> = growing.got(ANA).into_iter().map(|(id, _)| id).collect();
    assert!(ids.iter().any(|id| id.starts_with("digest.")), "{ids:?}");
    assert!(ids.last().unwrap().contains(".bundle."), "{ids:?}");
    assert_eq!(
        n_about_new_client(&growing),
        0,
        "the digest leaves it to the mail, which only counts it"
    );
    for day in 1..3 {
        growing.site.turn(digest.plus(day * DAY));
        assert_eq!(n_about_new_client(&growing), 1, "day {day}");
    }
}
