//! A storm of alerts: mails beyond those that wait one by one share one row, which states the range of their alert
//! numbers.
//!
//! So the outbox does not grow with the storm, and what the row represents can be summed up without holding it in
//! memory.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rusqlite::{Connection, ToSql, named_params, params};
use smol_str::SmolStr;

use crate::engine::alert::{Alert, Level};
use crate::engine::time::Timestamp;

use super::{Reader, StoreError, alerts, mutes};

/// The maximum number of waiting mails with a row of their own: far more than any mail lists. Each is looked at
/// whenever mails are sent.
const MAX_WAITING: i64 = 1000;

/// The same for mails about something critical, which a storm of lesser incidents must not reduce to a number: as many
/// again. Beyond that, the critical incidents themselves are the storm, and the most severe are reported first.
const MAX_WAITING_CRITICAL: i64 = 2 * MAX_WAITING;

/// What distinguishes the row of a storm from the others.
const IS_STORM: &str = "incident IS NULL AND day IS NULL";

/// The sum of many alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The most severe of them.
    pub alerts: Vec<Alert>,
    /// The number of all of them.
    pub n_alerts: u64,
    /// The number of their incidents.
    pub n_incidents: u64,
}

impl Reader {
    /// Sums up the alerts after one number up to another that are neither muted nor acknowledged and belong to
    /// incidents that had a mail coming, except the incidents in `told` and those whose current revision has a row of
    /// its own. Returns at most `most` alerts in full, and never holds more than twice as many.
    ///
    /// # Errors
    /// Any database error.
    pub fn summary(
        &self,
        (after, upto): (i64, i64),
        told: &BTreeSet<&SmolStr>,
        most: usize,
    ) -> Result<Summary, StoreError> {
        self.read("summing up a storm of alerts", |db| {
            let condition = "JOIN incident AS i ON i.id = a.incident
                 WHERE a.number > :after AND a.number <= :upto AND i.revision > 0
                   AND k.subject IS NULL AND NOT EXISTS (
                     SELECT 1 FROM outbox WHERE message_id = i.id || '.' || i.revision)
                 ORDER BY a.number";
            let parameters = named_params! { ":after": after, ":upto": upto };
            sum_up(db, condition, parameters, told, most)
        })
    }
}

/// Sums up the alerts that meet a condition, are not muted and do not belong to an incident in `told`. Returns at most
/// `most` of them in full, and never holds more than twice as many.
pub(super) fn sum_up(
    db: &Connection,
    condition: &str,
    parameters: &[(&str, &dyn ToSql)],
    told: &BTreeSet<&SmolStr>,
    most: usize,
) -> rusqlite::Result<Summary> {
    let mutes = mutes::all(db)?;
    let (mut summary, mut incidents) = (Summary::default(), BTreeSet::new());
    alerts::each(db, condition, parameters, |numbered| {
        if told.contains(&numbered.alert.incident) || mutes::cover(&mutes, &numbered) {
            return;
        }
        let alert = numbered.alert;
        summary.n_alerts += 1;
        incidents.insert(alert.incident.clone());
        summary.alerts.push(alert);
        if summary.alerts.len() >= most.saturating_mul(2) {
            keep_heaviest(&mut summary.alerts, most);
        }
    })?;
    keep_heaviest(&mut summary.alerts, most);
    summary.n_incidents = u64::try_from(incidents.len()).unwrap_or(u64::MAX);
    Ok(summary)
}

/// Keeps the heaviest alerts; of equal ones, the first.
fn keep_heaviest(alerts: &mut Vec<Alert>, most: usize) {
    alerts.sort_by_key(|alert| Reverse(alert.weight()));
    alerts.truncate(most);
}

/// How many mails are waiting, including those of this commit.
pub(super) struct Room {
    waiting: i64,
}

impl Room {
    pub(super) fn left(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT count(*) FROM outbox WHERE state = 'waiting'";
        db.prepare_cached(sql)?.query_row([], |row| Ok(Self { waiting: row.get(0)? }))
    }

    /// Takes a row for the mail about an incident; false if that has to share the row of the storm.
    pub(super) fn take(&mut self, db: &Connection, incident: &str) -> rusqlite::Result<bool> {
        let has_room = self.waiting < MAX_WAITING
            || (self.waiting < MAX_WAITING_CRITICAL && is_critical(db, incident)?);
        self.waiting += i64::from(has_room);
        Ok(has_room)
    }
}

fn is_critical(db: &Connection, incident: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM incident WHERE id = ?1 AND level >= ?2)")?
        .query_row(params![incident, Level::Critical], |row| row.get(0))
}

/// Adds the alerts that were committed after `before` to the row of the storm, or creates it.
pub(super) fn grow(db: &Connection, before: i64, now: Timestamp) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE outbox SET upto_alert = (SELECT max(number) FROM alert)
         WHERE state = 'waiting' AND {IS_STORM}"
    );
    if db.prepare_cached(&sql)?.execute([])? == 0 {
        db.prepare_cached(
            "INSERT INTO outbox
               (message_id, principal, after_alert, upto_alert, created, due, state, attempts, error)
             SELECT 'storm.' || ?1, '', ?1, max(number), ?2, ?2, 'waiting', 0, ''
             FROM alert HAVING max(number) > ?1
             ON CONFLICT (message_id) DO NOTHING",
        )?
        .execute(params![before, now])?;
    }
    Ok(())
}

/// Narrows the row of a storm that grew while a mail reported it up to `upto` to what that mail reported. A new row
/// represents the rest, and waits.
pub(super) fn leave_rest(
    db: &Connection,
    id: i64,
    upto: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let has_grown = format!("id = ?1 AND state = 'waiting' AND upto_alert > ?2 AND {IS_STORM}");
    let sql = format!(
        "INSERT INTO outbox
           (message_id, principal, after_alert, upto_alert, created, due, state, attempts, error)
         SELECT 'storm.' || ?2, '', ?2, upto_alert, ?3, ?3, 'waiting', 0, ''
         FROM outbox WHERE {has_grown}"
    );
    if db.prepare_cached(&sql)?.execute(params![id, upto, now])? > 0 {
        let sql = format!("UPDATE outbox SET upto_alert = ?2 WHERE {has_grown}");
        db.prepare_cached(&sql)?.execute(params![id, upto])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::commit::Commit;
    use crate::store::sample::{NOON, incident_commit};
    use crate::store::{About, Answers, Store};

    /// Commits incidents of one token each.
    fn storm(store: &mut Store, numbers: std::ops::Range<u32>) {
        let mut all = Commit::default();
        for n in numbers {
            let one = incident_commit(&format!("i{n}"), n.to_be_bytes()[3], 1);
            all.alerts.extend(one.alerts);
            all.incidents.extend(one.incidents);
            all.notices.extend(one.notices);
        }
        store.commit(&all, NOON).unwrap();
    }

    fn row(store: &Store) -> Option<(i64, (i64, i64))> {
        store.due(NOON, 5000).unwrap().iter().find_map(|mail| match mail.about {
            About::Storm { after, upto } => Some((mail.id, (after, upto))),
            _ => None,
        })
    }

    #[test]
    fn a_storm_takes_one_row_beyond_those_that_wait_one_by_one() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..600);
        assert_eq!(row(&store), None);
        storm(&mut store, 600..1200);
        storm(&mut store, 1200..3000);
        assert_eq!(store.stats().unwrap().outbox.waiting, 1001);
        let (_, range) = row(&store).unwrap();
        assert_eq!(range, (600, 3000));
        let told: SmolStr = "i2000".into();
        let told = BTreeSet::from([&told]);
        let summary = store.summary(range, &told, 10).unwrap();
        assert_eq!((summary.n_alerts, summary.n_incidents), (1999, 1999));
        assert_eq!(summary.alerts.len(), 10);
    }

    /// Commits one more incident, of a level.
    fn happen(store: &mut Store, name: &str, level: Level) {
        let mut one = incident_commit(name, 1, 1);
        for incident in &mut one.incidents {
            (incident.principal, incident.level) = (name.into(), level);
        }
        one.alerts.iter_mut().for_each(|alert| alert.rule.level = level);
        store.commit(&one, NOON).unwrap();
    }

    #[test]
    fn something_critical_in_a_storm_has_a_mail_of_its_own() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1500);
        happen(&mut store, "bait", Level::Critical);
        happen(&mut store, "lesser", Level::High);
        let due = store.due(NOON, 5000).unwrap();
        let first = due.first().unwrap();
        assert_eq!((first.message_id.as_str(), first.is_critical), ("bait.1", true));
        assert_eq!(due.len(), 1002);
        // It is also counted only once.
        let (_, range) = row(&store).unwrap();
        let storm = store.summary(range, &BTreeSet::new(), 10).unwrap();
        assert_eq!(storm.n_incidents, 501);
    }

    #[test]
    fn a_storm_of_critical_alerts_is_bounded_and_told_heaviest_first() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1100);
        for n in 0..1010 {
            happen(&mut store, &format!("c{n}"), Level::Critical);
        }
        assert_eq!(store.stats().unwrap().outbox.waiting, 2000);
        let (_, range) = row(&store).unwrap();
        let storm = store.summary(range, &BTreeSet::new(), 10).unwrap();
        assert!(storm.alerts.iter().all(|alert| alert.rule.level == Level::Critical));
        assert_eq!(storm.n_incidents, 100 + 11, "the rest of both storms");
    }

    #[test]
    fn what_comes_while_the_mail_of_a_storm_is_on_its_way_waits_for_the_next() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1500);
        let (id, (_, upto)) = row(&store).unwrap();
        storm(&mut store, 1500..1600);
        store.sent_bundled(&[id], upto, &Answers::default(), NOON).unwrap();
        let (rest, range) = row(&store).unwrap();
        assert_eq!(range, (1500, 1600));
        let sql = "SELECT state, upto_alert FROM outbox WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let told: (String, i64) = store.db.query_row(sql, [id], read).unwrap();
        assert_eq!(told, ("sent".to_owned(), upto), "what the mail reported");
        store.sent_bundled(&[rest], 1600, &Answers::default(), NOON).unwrap();
        assert_eq!(row(&store), None);
        // The next storm has a row of its own.
        storm(&mut store, 1600..1700);
        assert_eq!(row(&store).unwrap().1, (1600, 1700));
    }

    #[test]
    fn what_comes_while_a_storm_is_given_up_waits_for_the_next_mail() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1500);
        let due = store.due(NOON, 5000).unwrap();
        let read = due.iter().find(|mail| matches!(mail.about, About::Storm { .. })).unwrap();
        storm(&mut store, 1500..1600);
        store.dead(&[read], "550", NOON).unwrap();
        assert_eq!(row(&store).unwrap().1, (1500, 1600));
        assert_eq!(store.stats().unwrap().outbox.dead, 1, "what was read");
    }

    #[test]
    fn a_commit_that_is_tried_again_after_all_begins_no_storm_of_nothing() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1000);
        storm(&mut store, 0..1000);
        assert_eq!(row(&store), None);
    }

    #[test]
    fn a_storm_hides_nothing_from_the_digest_of_the_day_and_is_not_told_there_again() {
        let mut store = Store::in_memory().unwrap();
        storm(&mut store, 0..1500);
        for n in 0..30 {
            let mut one = incident_commit(&format!("quiet{n}"), 1, 0);
            one.notices.clear();
            store.commit(&one, NOON).unwrap();
        }
        storm(&mut store, 1500..1600);
        assert!(store.queue_digest("2026-11-23", Level::Medium, NOON).unwrap());
        let due = store.due(NOON, 5000).unwrap();
        let of_day = due.iter().find(|mail| matches!(mail.about, About::Digest { .. })).unwrap();
        let told = store.digest_summary(of_day, Level::Medium, 10).unwrap();
        assert_eq!((told.n_alerts, told.n_incidents), (30, 30));
        assert_eq!(told.alerts.len(), 10, "no more is held than of a storm");
        let (_, range) = row(&store).unwrap();
        let told = store.summary(range, &BTreeSet::new(), 10).unwrap();
        assert_eq!((range, told.n_incidents), ((0, 1630), 600));
    }
}
