//! A database that takes no outcome of a mail, as on a full disk, with a clock set by the test: the real pump, database
//! and server.

use rusqlite::Connection;
use tokenwatch::clock;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::time::{HOUR, MINUTE, SECOND, Timestamp};

use crate::pump::{CAP, Site};

const ANA: &str = "ana@example.org";
const BEN: &str = "ben@example.org";

fn run_sql(site: &Site, sql: &str) {
    Connection::open(site.store.path()).unwrap().execute_batch(sql).unwrap();
}

/// From now on the database takes everything but what became of a mail.
fn fill(site: &Site) {
    let sql = "CREATE TRIGGER no_room BEFORE UPDATE OF attempts ON outbox
         BEGIN SELECT RAISE(ABORT, 'no room'); END";
    run_sql(site, sql);
}

fn make_room(site: &Site) {
    run_sql(site, "DROP TRIGGER no_room");
}

/// Lets the pump have turns, each second as the daemon does after an error, until one succeeds after there is room.
fn turns(site: &mut Site, from: Timestamp) -> Timestamp {
    for n in 0..5 {
        assert!(site.pump.turn(from.plus(n * SECOND)).is_err(), "the outcome is not noted");
    }
    make_room(site);
    let now = from.plus(5 * SECOND);
    site.turn(now);
    now
}

#[test]
fn a_mail_that_could_not_be_marked_as_sent_was_sent_each_second() {
    let (mut site, now) = (Site::new(), clock::now().plus(HOUR));
    site.happen_to("deploy-bot", Level::High, now);
    fill(&site);
    let now = turns(&mut site, now);
    assert_eq!((site.server.messages().len(), site.n_in("sent")), (1, 1));
    // What happened meanwhile is not held back, and the cap knows of the first.
    site.happen_to("owner", Level::Critical, now);
    site.turn(now.plus(SECOND));
    let n_counted = site.store.sent_since(now.plus(-HOUR), now.plus(HOUR)).unwrap();
    assert_eq!((site.server.messages().len(), n_counted), (2, 2));
}

#[test]
fn an_hourly_digest_that_could_not_be_marked_as_sent_was_sent_each_second() {
    let (mut site, now) = (Site::new(), clock::now().plus(HOUR));
    for n in 0..=CAP {
        site.happen_to(&format!("principal-{n}"), Level::High, now);
    }
    site.turn(now);
    assert_eq!(site.sent.len(), 1, "one of a rule");
    fill(&site);
    turns(&mut site, now.plus(3 * MINUTE));
    assert_eq!((site.server.messages().len(), site.n_in("waiting")), (2, 0));
    assert!(site.sent[1].1.is_bundle);
}

#[test]
fn a_mail_that_could_not_be_marked_as_received_by_somebody_who_missed_it_came_each_second() {
    let (mut site, now) = (Site::to(&[ANA, BEN]), clock::now().plus(HOUR));
    site.server.script(|script| script.full = vec![BEN.into()]);
    site.happen_to("deploy-bot", Level::High, now);
    site.turn(now);
    site.server.script(|script| script.full.clear());
    fill(&site);
    turns(&mut site, now.plus(HOUR));
    let whom: Vec<_> = site.server.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(whom, [[ANA], [BEN]]);
    assert_eq!(site.store.stats().unwrap().outbox.postponed, 0);
}

#[test]
fn a_server_that_says_later_was_asked_each_second_while_that_could_not_be_noted() {
    let (mut site, now) = (Site::new(), clock::now().plus(HOUR));
    site.server.script(|script| script.greylist = usize::MAX);
    site.happen_to("deploy-bot", Level::High, now);
    fill(&site);
    let now = turns(&mut site, now);
    assert_eq!(site.server.n_connections(), 1);
    site.server.script(|script| script.greylist = 0);
    site.turn(now.plus(MINUTE));
    assert_eq!(site.sent.len(), 1);
}
