//! The hourly cap of mails, with a clock set by the test: the real pump, database and server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveTime;
use mail_parser::MessageParser;
use serde_json::json;
use tokenwatch::clock;
use tokenwatch::daemon::outbox::Pump;
use tokenwatch::daemon::post::{Cut, Post, Rules};
use tokenwatch::deliver::email::{MailSettings, Mailer, Password, Security, Server, Timeouts};
use tokenwatch::deliver::render::Host;
use tokenwatch::engine::alert::{Alert, Incident, Level};
use tokenwatch::engine::commit::{Commit, Notice};
use tokenwatch::engine::geo::Place;
use tokenwatch::engine::mute::{Mute, Scope};
use tokenwatch::engine::time::{HOUR, MINUTE, SECOND, Timestamp};
use tokenwatch::engine::word::Verdict;
use tokenwatch::store::{About, Ack, Answers, Store};

use crate::smtp::{Encryption, Message, Options, SmtpServer};

pub(crate) const CAP: u32 = 5;

const USER: &str = "tokenwatch";

const PASSWORD: &str = "s3cret of the mail server";

/// A site with mail, and when each of its mails went out.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    to: &'static [&'static str],
    pub(crate) server: SmtpServer,
    pub(crate) store: Store,
    pub(crate) pump: Pump,
    n_incidents: usize,
    pub(crate) sent: Vec<(Timestamp, Mail)>,
}

/// What a mail tells of, and whom.
pub(crate) struct Mail {
    pub(crate) is_bundle: bool,
    pub(crate) to: Vec<String>,
    pub(crate) id: String,
    pub(crate) text: String,
}

/// An incident with one alert.
pub(crate) fn incident(id: &str, principal: &str, level: Level, now: Timestamp) -> Incident {
    Incident {
        id: id.into(),
        principal: principal.into(),
        opened: now,
        last: now,
        level,
        revision: 1,
        alerts: 1,
    }
}

/// The latest alert of an incident.
pub(crate) fn alert(of: &Incident, rule: &str, level: Level, now: Timestamp) -> Alert {
    let alert = json!({
        "id": format!("al_{}_{}", of.id, of.alerts), "incident": of.id, "time": now.0,
        "rule": { "id": "r", "name": rule, "level": level, "title": rule },
        "token": {
            "id": format!("tw1_{:0>32}", of.id.trim_start_matches("in_")),
            "name": "", "kind": "opaque", "hint": "...4f2a",
        },
        "principal": of.principal, "client": null, "place": Place::default(), "agent": { "family": "", "version": "" },
        "route": "GET /", "status": 200, "risk": 75, "reason": "why", "reasons": [], "facts": {},
        "usual": {}, "evidence": [],
    });
    serde_json::from_value(alert).unwrap()
}

fn post(to: &[&str], server: &SmtpServer, turn: Duration) -> Post {
    let settings = MailSettings {
        server: Server { security: Security::Plain, host: "127.0.0.1".into(), port: server.port() },
        user: Some(USER.into()),
        password: Some(Password::new(PASSWORD.to_owned().into())),
        ca_pem: None,
        from: "tokenwatch@example.org".into(),
        to: to.iter().map(ToString::to_string).collect(),
        hello_name: None,
        timeouts: Timeouts::PATIENT,
    };
    let rules = Rules {
        at_once: Level::High,
        digest: NaiveTime::from_hms_opt(7, 30, 0).unwrap(),
        max_per_hour: CAP,
        turn,
    };
    Post { mailer: Mailer::new(settings).unwrap(), rules }
}

fn pump(directory: &tempfile::TempDir, to: &[&str], server: &SmtpServer) -> Pump {
    let Post { mailer, rules } = post(to, server, Rules::TURN);
    let store = Store::open(&directory.path().join("tokenwatch.db")).unwrap();
    let host = Host { name: "host".into(), program: "tokenwatch".into() };
    Pump::new(store, mailer, rules, host, Cut::default()).unwrap()
}

impl Site {
    /// Who gets mail, unless a test says otherwise.
    const TO: [&str; 1] = ["security@example.org"];

    pub(crate) fn new() -> Self {
        Self::to(&Self::TO)
    }

    /// A site that mails to these.
    pub(crate) fn to(to: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let login = Some((USER.to_owned(), PASSWORD.to_owned()));
        let tls = Encryption::Off;
        let server = SmtpServer::start(Options { tls, login, ..Options::default() });
        let store = Store::open(&directory.path().join("tokenwatch.db")).unwrap();
        let pump = pump(&directory, to, &server);
        Self { directory, to, server, store, pump, n_incidents: 0, sent: Vec::new() }
    }

    pub(crate) fn restart(&mut self) {
        self.pump = pump(&self.directory, self.to, &self.server);
    }

    /// One more incident of a principal of its own.
    fn happen(&mut self, level: Level, now: Timestamp) {
        let principal = format!("principal-{:04}-", self.n_incidents);
        self.happen_to(&principal, level, now);
    }

    /// One more incident.
    pub(crate) fn happen_to(&mut self, principal: &str, level: Level, now: Timestamp) {
        let id = format!("in_{:04}", self.n_incidents);
        self.n_incidents += 1;
        let incident = incident(&id, principal, level, now);
        let notice = Notice { incident: id.into(), revision: 1, delay: 0 };
        let commit = Commit {
            alerts: vec![alert(&incident, "token-in-url", level, now)],
            notices: if level < Level::High { Vec::new() } else { vec![notice] },
            incidents: vec![incident],
            ..Commit::default()
        };
        self.store.commit(&commit, now).unwrap();
    }

    pub(crate) fn tell_blocked(&self, since: Timestamp) -> Result<(), String> {
        self.pump.tell_blocked(since, "the disk is full")
    }

    /// Lets the pump have a turn; returns when it is to have the next.
    pub(crate) fn turn(&mut self, now: Timestamp) -> Timestamp {
        let before = self.sent.len();
        let next = self.pump.turn(now).unwrap();
        let new: Vec<Message> = self.server.messages().split_off(before);
        for message in new {
            let mail = MessageParser::default().parse(&message.bytes).unwrap();
            let is_bundle = mail.subject().unwrap().contains("beyond");
            let id = mail.message_id().unwrap().to_owned();
            let text = mail.body_text(0).unwrap().into_owned();
            self.sent.push((now, Mail { is_bundle, to: message.to, id, text }));
        }
        next
    }

    /// Lets the pump work as the daemon does, until a time.
    pub(crate) fn run(&mut self, from: Timestamp, until: Timestamp) -> Timestamp {
        let mut now = from;
        while now < until {
            let next = self.turn(now);
            assert!(now < next, "it rests between two turns");
            now = next.min(until);
        }
        now
    }

    /// Counts the single mails and the digests of the hour that ends at a time.
    fn of_hour(&self, end: Timestamp) -> (usize, usize) {
        let within = |time: &Timestamp| time.0 <= end.0 && end.since(*time) <= HOUR;
        let mails: Vec<&Mail> =
            self.sent.iter().filter(|(time, _)| within(time)).map(|(_, mail)| mail).collect();
        let n_bundles = mails.iter().filter(|mail| mail.is_bundle).count();
        (mails.len() - n_bundles, n_bundles)
    }
}

#[test]
fn no_hour_has_more_mails_than_the_cap_and_one_digest() {
    let mut site = Site::new();
    let start = clock::now();
    // A burst at once, then an incident every two minutes for three hours, then nothing.
    for minute in 0..420_u32 {
        let now = start.plus(i64::from(minute) * MINUTE);
        let n_new = match minute {
            0 => 30,
            60..240 if minute.is_multiple_of(2) => 1,
            _ => 0,
        };
        (0..n_new).for_each(|_| site.happen(Level::High, now));
        if minute.is_multiple_of(7) {
            site.restart();
        }
        site.turn(now);
        let (n_single, n_bundles) = site.of_hour(now);
        assert!(n_single <= CAP as usize && n_bundles <= 1, "{minute}: {n_single}, {n_bundles}");
    }
    let n_bundles = site.sent.iter().filter(|(_, mail)| mail.is_bundle).count();
    assert!((4..=5).contains(&n_bundles), "{n_bundles}");
    // The digest of a burst holds all of it, and comes soon.
    let (time, first) = site.sent.iter().find(|(_, mail)| mail.is_bundle).unwrap();
    assert!(time.since(start) <= 5 * MINUTE);
    assert!(first.text.contains("29 alerts in 29 incidents"), "{}", first.text);
    for n in 0..site.n_incidents {
        let name = format!("principal-{n:04}-");
        let n_told = site.sent.iter().filter(|(_, mail)| mail.text.contains(&name)).count();
        assert_eq!(n_told, 1, "{name} is told of once");
    }
}

#[test]
fn a_slow_server_held_up_all_that_shares_the_thread_until_the_last_mail() {
    let (mut site, now) = (Site::new(), clock::now());
    let short = Duration::from_secs(1);
    site.pump.replace(post(site.to, &site.server, short));
    site.server.script(|script| script.delay = 2 * short);
    (0..3).for_each(|_| site.happen(Level::Critical, now));
    for n in 1..=3_u8 {
        site.turn(now.plus(i64::from(n) * SECOND));
        assert_eq!(site.sent.len(), usize::from(n), "a mail a turn");
    }
    // A server that is well gets all of them in one turn.
    site.server.script(|script| script.delay = Duration::ZERO);
    site.pump.replace(post(site.to, &site.server, Rules::TURN));
    (0..2).for_each(|_| site.happen(Level::Critical, now));
    site.turn(now.plus(MINUTE));
    assert_eq!(site.sent.len(), 5);
}

#[test]
fn a_flood_of_lesser_alerts_does_not_hold_up_a_critical_one() {
    let (mut site, start) = (Site::new(), clock::now());
    for minute in (0..40).step_by(5) {
        let now = start.plus(minute * MINUTE);
        site.happen(Level::High, now);
        site.turn(now);
    }
    assert_eq!(site.of_hour(start.plus(40 * MINUTE)), (CAP as usize - 1, 1));
    for _ in 0..40 {
        site.happen(Level::High, start.plus(40 * MINUTE));
    }
    site.happen_to("owner", Level::High, start.plus(41 * MINUTE));
    site.happen_to("owner", Level::Critical, start.plus(41 * MINUTE));
    let critical = format!("in_{:04}", site.n_incidents - 1);
    site.turn(start.plus(42 * MINUTE));
    let (_, mail) = site.sent.last().unwrap();
    assert!(!mail.is_bundle && mail.text.contains(&critical), "{}", mail.text);
    assert_eq!(site.of_hour(start.plus(42 * MINUTE)), (CAP as usize, 1), "and the cap holds");
}

#[test]
fn critical_mails_took_the_room_of_others_and_left_their_own() {
    let (mut site, start) = (Site::new(), clock::now());
    let reserve = Rules::reserve(CAP);
    for minute in 0..CAP - reserve {
        let now = start.plus(i64::from(minute) * MINUTE);
        site.happen(Level::Critical, now);
        site.turn(now);
    }
    let last = start.plus(30 * MINUTE);
    let until = |reserve| site.store.full_until(CAP, reserve, last).unwrap();
    assert_eq!((until(reserve), until(0)), (None, None));
    for n in 0..=reserve {
        let now = last.plus(i64::from(n) * 6 * MINUTE);
        site.happen(Level::High, now);
        site.turn(now);
    }
    let after = start.plus(50 * MINUTE);
    assert_eq!(site.of_hour(after).0, CAP as usize, "all of the cap, and no more");
    let full = site.store.full_until(CAP, reserve, after).unwrap().unwrap();
    assert!((0..MINUTE).contains(&full.since(start.plus(HOUR))), "until the first is an hour old");
}

#[test]
fn a_storm_of_which_more_waits_leaves_the_cap_as_it_is() {
    let (mut site, start) = (Site::new(), clock::now());
    (0..CAP).for_each(|_| site.happen(Level::Critical, start));
    site.turn(start);
    assert_eq!(site.of_hour(start), (CAP as usize, 0));
    site.happen(Level::Critical, start);
    (0..1005).for_each(|_| site.happen(Level::High, start));
    let due = site.store.due(start, 5000).unwrap();
    let storm = due.iter().find(|mail| matches!(mail.about, About::Storm { .. })).unwrap();
    let About::Storm { upto, .. } = storm.about else { unreachable!() };
    // It grew by one while the mail of it was on its way.
    site.store.sent_bundled(&[storm.id], upto - 1, &Answers::default(), start).unwrap();
    site.turn(start.plus(MINUTE));
    assert_eq!(site.of_hour(start.plus(MINUTE)), (CAP as usize, 0));
}

#[test]
fn a_clock_that_was_set_back_held_up_all_mails() {
    let mut site = Site::new();
    let (start, ahead) = (clock::now(), clock::now().plus(3 * HOUR));
    (0..CAP - 1).for_each(|_| site.happen(Level::Critical, ahead));
    site.turn(ahead);
    assert_eq!(site.sent.len(), CAP as usize - 1);
    // One is queued by the wrong clock, one by the right one.
    site.happen(Level::Critical, ahead);
    site.happen(Level::Critical, start.plus(MINUTE));
    site.turn(start.plus(MINUTE));
    assert_eq!(site.sent.len(), CAP as usize + 1);
    // The cap holds, and what is beyond it has its digest soon.
    (0..9).for_each(|_| site.happen(Level::High, start.plus(2 * MINUTE)));
    for minute in 2..6 {
        site.turn(start.plus(minute * MINUTE));
        assert!(site.of_hour(start.plus(minute * MINUTE)).0 <= CAP as usize);
    }
    assert!(site.sent.last().unwrap().1.is_bundle);
}

/// A storm of which five were mailed, the rest waits, and some of that shares a row.
fn stormy(start: Timestamp) -> Site {
    let mut site = Site::new();
    (0..CAP).for_each(|_| site.happen(Level::Critical, start));
    site.turn(start);
    (0..1010).for_each(|_| site.happen(Level::High, start));
    site
}

impl Site {
    pub(crate) fn n_in(&self, state: &str) -> i64 {
        let database = self.directory.path().join("tokenwatch.db");
        let database = rusqlite::Connection::open(database).unwrap();
        let sql = "SELECT count(*) FROM outbox WHERE state = ?1";
        database.query_row(sql, [state], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_storm_that_was_acknowledged_was_mailed_all_the_same() {
    let start = clock::now();
    let mut site = stormy(start);
    for n in CAP as usize..site.n_incidents - 1 {
        let subject = format!("in_{n:04}").into();
        let ack = Ack { subject, verdict: Verdict::Expected, note: String::new(), at: start };
        site.store.ack(&ack, None).unwrap();
    }
    site.turn(start.plus(5 * MINUTE));
    let (_, mail) = site.sent.last().unwrap();
    assert!(mail.is_bundle && mail.text.contains("1 alert in 1 incident"), "{}", mail.text);
}

#[test]
fn a_storm_of_which_everything_was_muted_was_given_up() {
    let start = clock::now();
    let mut site = stormy(start);
    let scope = Scope { rule: "token-in-url".into(), ..Scope::default() };
    site.store.mute(&Mute { scope, ..Mute::default() }).unwrap();
    let database = rusqlite::Connection::open(site.directory.path().join("tokenwatch.db")).unwrap();
    database.execute("UPDATE mute SET after_alert = 0", []).unwrap();
    site.turn(start.plus(5 * MINUTE));
    let states = ["sent", "dead", "waiting"].map(|state| site.n_in(state));
    assert_eq!(states, [CAP.into(), 0, 0]);
}

#[test]
fn a_digest_of_many_mails_that_was_not_accepted_was_a_transaction_for_each_of_them() {
    let start = clock::now();
    for (greylist, refused, state) in [(1, vec![], "waiting"), (0, Site::TO.to_vec(), "dead")] {
        let mut site = stormy(start);
        let n_written = |site: &Site| {
            let log = site.directory.path().join("tokenwatch.db-wal");
            std::fs::metadata(log).unwrap().len()
        };
        let before = n_written(&site);
        site.server.script(|script| {
            script.greylist = greylist;
            script.refused = refused.into_iter().map(Into::into).collect();
        });
        site.turn(start.plus(5 * MINUTE));
        assert_eq!(site.n_in(state), 1001, "all in one mail");
        // Each transaction writes at least a page of 4 KiB.
        let n_pages = (n_written(&site) - before) / 4096;
        assert!(n_pages < 500, "{state}: {n_pages} pages");
    }
}

#[test]
fn the_digest_of_the_day_counts_as_one_of_the_hour() {
    let mut site = Site::new();
    let start = clock::now();
    site.happen(Level::Medium, start);
    let mut days = BTreeSet::new();
    for minute in 0..26 * 60_u32 {
        let now = start.plus(i64::from(minute) * MINUTE);
        site.happen(Level::High, now);
        site.turn(now);
        let (n_single, n_bundles) = site.of_hour(now);
        assert!(n_single <= CAP as usize && n_bundles <= 1, "{minute}: {n_single}, {n_bundles}");
        let is_daily = |mail: &Mail| mail.text.contains("Not mailed at once");
        days.extend(site.sent.iter().filter(|(_, mail)| is_daily(mail)).map(|(time, _)| time.0));
    }
    assert_eq!(days.len(), 1, "in a flood, too");
}

/// When each mail was tried in vain, and when it is to be tried again.
#[derive(Default)]
struct Tries(BTreeMap<String, Vec<(Timestamp, Timestamp)>>);

impl Tries {
    fn look(&mut self, site: &Site, now: Timestamp) {
        for mail in site.store.due(Timestamp(i64::MAX), 100).unwrap() {
            let tries = self.0.entry(mail.message_id.to_string()).or_default();
            if tries.len() < mail.attempts as usize {
                tries.push((now, mail.due));
            }
            assert_eq!(tries.len(), mail.attempts as usize, "each try is seen");
        }
    }
}

#[test]
fn a_server_that_says_later_for_six_hours_is_asked_ever_more_seldom_and_gets_all_in_order() {
    let mut site = Site::new();
    site.server.script(|script| script.greylist = usize::MAX);
    // Ahead of the clock, which the pump looks at after each try.
    let start = clock::now().plus(HOUR);
    for principal in ["ana", "bob", "ana"] {
        site.happen_to(principal, Level::High, start);
    }
    let (mut now, mut tries) = (start, Tries::default());
    let restarted = start.plus(3 * HOUR);
    while now.since(start) < 6 * HOUR {
        let next = site.pump.turn(now).unwrap();
        tries.look(&site, now);
        if now.0 < restarted.0 && restarted.0 <= next.0 {
            site.restart();
            now = restarted;
        } else {
            assert!(now.0 < next.0, "it rests between two turns");
            now = next;
        }
    }
    for id in ["in_0000.1", "in_0001.1"] {
        let tried = &tries.0[id];
        let waits: Vec<i64> = tried.iter().map(|(now, due)| due.since(*now)).collect();
        let doubled = (0..).map(|n| (30 * SECOND).saturating_mul(1 << n).min(30 * MINUTE));
        for (n, (wait, base)) in waits.iter().zip(doubled).enumerate() {
            assert!((base..=base + base / 10).contains(wait), "{id}, try {n}: {wait} us");
        }
        // 30 s to 16 min is half an hour, and then twice an hour; once more at the restart.
        assert!((14..=18).contains(&waits.len()), "{id}: {} tries", waits.len());
        for pair in tried.windows(2) {
            let again = pair[1].0;
            assert!(pair[0].1.0 <= again.0 || again == restarted, "{id}: tried before its time");
        }
        assert!(
            tried.iter().any(|(now, _)| *now == restarted),
            "{id}: whoever restarts it wants it now"
        );
    }
    assert!(tries.0["in_0002.1"].is_empty(), "the second mail about ana waits for the first");
    site.server.script(|script| script.greylist = 0);
    while site.server.messages().len() < 3 {
        assert!(now.since(start) < 7 * HOUR, "all are delivered within half an hour");
        now = site.pump.turn(now).unwrap();
    }
    let ids: Vec<String> = site.server.messages().iter().map(id_of).collect();
    let place = |n: usize| ids.iter().position(|id| id.starts_with(&format!("in_{n:04}.1@")));
    assert!(place(0).is_some() && place(1).is_some() && place(0) < place(2), "{ids:?}");
}

pub(crate) fn id_of(message: &Message) -> String {
    let mail = MessageParser::default().parse(&message.bytes).unwrap();
    mail.message_id().unwrap().to_owned()
}
