//! Tests of the outbox: what waits, fails, is sent, and counts under the cap.

use super::*;
use crate::engine::time::{DAY, MINUTE, SECOND};
use crate::store::sample::{NOON, incident_commit, state};

fn ids(store: &Store, now: Timestamp) -> Vec<SmolStr> {
    store.due(now, 10).unwrap().into_iter().map(|mail| mail.message_id).collect()
}

#[test]
fn a_mail_waits_fails_waits_and_is_sent_with_one_message_id() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&incident_commit("i", 1, 2), NOON).unwrap();
    assert_eq!(ids(&store, NOON.plus(-1)), [""; 0]);
    let mail = store.due(NOON, 10).unwrap().remove(0);
    assert_eq!(mail.message_id, "i.2");
    assert_eq!(mail.about, About::Incident { incident: "i".into(), revision: 2, upto: None });
    store.failed(&[mail.id], "450 try later", NOON.plus(MINUTE)).unwrap();
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(ids(&store, NOON.plus(SECOND)), [""; 0]);
    assert_eq!(store.next_due().unwrap(), Some(NOON.plus(MINUTE)));
    let again = store.due(NOON.plus(MINUTE), 10).unwrap().remove(0);
    assert_eq!((again.attempts, again.error.as_str()), (1, "450 try later"));
    assert_eq!(again.message_id, mail.message_id);
    store.sent(mail.id, &Answers::default(), NOON.plus(MINUTE)).unwrap();
    assert_eq!(ids(&store, NOON.plus(DAY)), [""; 0]);
    store.failed(&[mail.id], "too late to fail", NOON).unwrap();
    assert_eq!(ids(&store, NOON.plus(DAY)), [""; 0], "sent is sent");
    assert_eq!(store.stats().unwrap().outbox.last_sent, Some(NOON.plus(MINUTE)));
}

#[test]
fn mails_of_one_principal_keep_their_order() {
    let mut store = Store::in_memory().unwrap();
    for (incident, token, revision) in [("i", 1, 1), ("i", 1, 2), ("j", 2, 1)] {
        store.commit(&incident_commit(incident, token, revision), NOON).unwrap();
    }
    assert_eq!(ids(&store, NOON), ["i.1", "i.2", "j.1"]);
    let first = store.due(NOON, 1).unwrap().remove(0);
    store.failed(&[first.id], "450", NOON.plus(HOUR)).unwrap();
    assert_eq!(ids(&store, NOON), ["j.1"]);
    store.dead(&[&first], "550", NOON).unwrap();
    assert_eq!(ids(&store, NOON), ["i.2", "j.1"], "what is given up holds nothing back");
    assert_eq!(store.stats().unwrap().outbox.dead, 1);
}

/// Queues a mail about the incident `i`.
fn queue(store: &mut Store, revision: u32, delay: i64) {
    let mut commit = incident_commit("i", 1, revision);
    commit.notices.iter_mut().for_each(|notice| notice.delay = delay);
    store.commit(&commit, NOON).unwrap();
}

#[test]
fn an_update_gathers_until_it_is_due_or_something_worse_is_mailed() {
    let mut store = Store::in_memory().unwrap();
    queue(&mut store, 1, 0);
    queue(&mut store, 2, HOUR);
    store.hasten(NOON).unwrap();
    assert_eq!(ids(&store, NOON), ["i.1"], "an update is no retry");
    assert_eq!(store.next_due().unwrap(), Some(NOON));
    assert_eq!(ids(&store, NOON.plus(HOUR)), ["i.1", "i.2"]);
    queue(&mut store, 3, 0);
    assert_eq!(ids(&store, NOON), ["i.1", "i.2"], "what is worse hastens the update");
    assert_eq!(ids(&store, NOON.plus(HOUR)), ["i.1", "i.2"]);
    queue(&mut store, 4, MINUTE / 2);
    queue(&mut store, 5, MINUTE * 5);
    queue(&mut store, 6, MINUTE * 11);
    let all = ["i.1", "i.2", "i.4", "i.5"];
    assert_eq!(ids(&store, NOON.plus(5 * MINUTE)), all, "none takes another's place");
    assert_eq!(ids(&store, NOON.plus(HOUR)), all);
}

#[test]
fn rows_that_went_out_in_one_mail_are_not_counted_under_the_cap() {
    let mut store = Store::in_memory().unwrap();
    for revision in 1..=4 {
        store.commit(&incident_commit("i", 1, revision), NOON).unwrap();
    }
    let due: Vec<i64> = store.due(NOON, 10).unwrap().iter().map(|mail| mail.id).collect();
    store.sent(due[0], &Answers::default(), NOON.plus(-HOUR)).unwrap();
    store.sent_bundled(&due[1..3], 0, &Answers::default(), NOON).unwrap();
    store.sent(due[3], &Answers::default(), NOON).unwrap();
    assert_eq!(store.sent_since(NOON.plus(-HOUR), NOON).unwrap(), 2);
    assert_eq!(store.sent_since(NOON, NOON).unwrap(), 1);
    assert_eq!(store.sent_since(NOON.plus(1), NOON.plus(HOUR)).unwrap(), 0);
    assert_eq!(store.sent_since(NOON.plus(-HOUR), NOON.plus(-1)).unwrap(), 1, "set back");
}

#[test]
fn when_mails_were_bundled_outlives_the_program() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.bundled().unwrap(), None);
    store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
    store.sent_bundled(&[1], 0, &Answers::default(), NOON).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.bundled().unwrap(), Some(NOON));
    assert_eq!(store.sent_since(NOON, NOON).unwrap(), 0);
    assert_eq!(ids(&store, NOON), [""; 0]);
}

#[test]
fn a_pump_marks_mails_through_a_connection_of_its_own() {
    let (_directory, path) = state();
    let mut daemon = Store::open(&path).unwrap();
    let mut pump = Store::open(&path).unwrap();
    for revision in 1..=5 {
        daemon.commit(&incident_commit("i", 1, revision), NOON).unwrap();
        let due = pump.due(NOON, 10).unwrap();
        pump.sent(due[0].id, &Answers::default(), NOON).unwrap();
    }
    assert_eq!(daemon.stats().unwrap().outbox.waiting, 0);
    assert_eq!(daemon.sent_since(NOON, NOON).unwrap(), 5);
}
