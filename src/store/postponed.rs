//! Mails that some recipients accepted and others postponed: whom to ask again, and until when.
//!
//! Such a mail counts as sent. It holds no other mail back: whoever has a full mailbox must not keep mails from others.

use std::collections::BTreeMap;

use rusqlite::{Connection, Params, Row, params};

use crate::engine::time::Timestamp;

use super::codec::{get_count, get_json, to_json};
use super::error::is_illegible;
use super::outbox::{Outgoing, SELECT, outgoing};
use super::{Reader, Store, StoreError, left, setting};

/// What the recipients of a mail answered that at least one of them accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Who refused it for good or was given up, and why; empty if nobody did.
    pub refused: String,
    /// The addresses of those who postponed it, and what was answered.
    pub postponed: BTreeMap<String, String>,
    /// When they are to be asked again.
    pub next: Timestamp,
    /// When they are given up.
    pub give_up_at: Timestamp,
}

/// A mail that somebody postponed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// Its row; its first one if several went out as one mail. The error says who refused it for good.
    pub mail: Outgoing,
    /// Whether it was a bundle of what exceeded the hourly cap.
    pub is_bundle: bool,
    /// The addresses of those who are to be asked again, and what was answered.
    pub whom: BTreeMap<String, String>,
    /// When they are given up.
    pub give_up_at: Timestamp,
}

impl Reader {
    /// Returns the postponed mails that are due, at most `limit`: first the one that waits longest to be asked.
    ///
    /// # Errors
    /// Any database error.
    pub fn postponed(&self, now: Timestamp, limit: u32) -> Result<Vec<Postponed>, StoreError> {
        let sql = format!(
            "{SELECT}, postponed, give_up_at, sent_in < 0 AS is_bundle FROM outbox AS mail
             WHERE give_up_at IS NOT NULL AND due <= ?1 ORDER BY due, id LIMIT ?2"
        );
        self.read("reading postponed mails", |db| {
            db.prepare_cached(&sql)?.query_map(params![now, limit], postponed)?.collect()
        })
    }

    /// Returns the rows that went out in one mail, `first` at the beginning; none if that had a mail of its own.
    ///
    /// # Errors
    /// Any database error.
    pub fn bundled_with(&self, first: i64) -> Result<Vec<Outgoing>, StoreError> {
        let sql = format!(
            "{SELECT} FROM outbox AS mail
             WHERE sent_in < 0 AND sent_in = -?1 ORDER BY id <> ?1, id"
        );
        self.read("reading the mails of a bundle", |db| {
            db.prepare_cached(&sql)?.query_map([first], outgoing)?.collect()
        })
    }

    /// Counts the mails of their own that somebody who had postponed them accepted from `time` until `now`.
    ///
    /// # Errors
    /// Any database error.
    pub fn repeated_since(&self, time: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.read("counting repeated mails", |db| {
            let sql = "SELECT count(*) AS n FROM outbox
                 WHERE state = 'sent' AND sent_at BETWEEN ?1 AND ?2 AND sent_in = 0";
            db.prepare_cached(sql)?.query_row([time, now], |row| get_count(row, "n"))
        })
    }

    /// Returns when somebody last accepted a bundle that they had postponed.
    ///
    /// # Errors
    /// Any database error.
    pub fn bundle_repeated(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("reading when a bundle was repeated", |db| {
            setting::get(db, setting::BUNDLE_REPEATED)
        })
    }
}

impl Store {
    /// Records what those answered who were asked again, and when somebody accepted the mail.
    ///
    /// # Errors
    /// Any database error.
    pub fn asked_again(
        &mut self,
        mail: &Outgoing,
        answers: &Answers,
        accepted: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.write("noting who has a mail", |db| {
            // Under the cap, the mail counts from the last time that somebody accepted it.
            let sql = "UPDATE outbox SET attempts = attempts + 1, error = ?2,
                   sent_at = coalesce(?3, sent_at), sent_in = iif(?3 IS NULL, sent_in, min(sent_in, 0))
                 WHERE id = ?1";
            db.prepare_cached(sql)?.execute(params![mail.id, answers.refused, accepted])?;
            // A bundle does not count under the cap.
            let sql = "INSERT INTO setting (name, value)
                 SELECT ?3, ?2 FROM outbox
                 WHERE id = ?1 AND sent_in < 0 AND ?2 IS NOT NULL
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            db.prepare_cached(sql)?.execute(params![mail.id, accepted, setting::BUNDLE_REPEATED])?;
            if answers.postponed.is_empty() {
                left::note_repeated(db, mail.id)?;
            }
            keep(db, mail.id, answers)
        })
    }
}

/// Keeps whom to ask again about a mail.
pub(super) fn keep(db: &Connection, id: i64, answers: &Answers) -> rusqlite::Result<()> {
    let Answers { postponed, next, give_up_at, .. } = answers;
    if postponed.is_empty() {
        let sql = "UPDATE outbox SET postponed = '', give_up_at = NULL
             WHERE id = ?1 AND give_up_at IS NOT NULL";
        return db.prepare_cached(sql)?.execute([id]).map(drop);
    }
    let sql = "UPDATE outbox SET postponed = ?2, due = ?3, give_up_at = ?4 WHERE id = ?1";
    let of = params![id, to_json(postponed)?, next, give_up_at];
    db.prepare_cached(sql)?.execute(of).map(drop)
}

/// Removes the mails that a condition names, and returns how many these were. Whom to ask again about a bundle stays
/// known: its next row takes the place of the first.
pub(super) fn drop_mails(
    db: &Connection,
    condition: &str,
    parameters: impl Params,
) -> rusqlite::Result<usize> {
    // First rows last, so that a row that stays takes their place.
    let sql = format!("SELECT id FROM outbox WHERE {condition} ORDER BY sent_in IS -id");
    let ids: Vec<i64> =
        db.prepare(&sql)?.query_map(parameters, |row| row.get("id"))?.collect::<Result<_, _>>()?;
    for id in &ids {
        hand_on(db, *id)?;
        db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
    }
    Ok(ids.len())
}

/// Lets another row take the place of the first one of a bundle that somebody postponed.
fn hand_on(db: &Connection, first: i64) -> rusqlite::Result<()> {
    let sql = "SELECT min(other.id) FROM outbox AS mail JOIN outbox AS other
         ON other.sent_in < 0 AND other.sent_in = -mail.id AND other.id <> mail.id
         WHERE mail.id = ?1 AND mail.give_up_at IS NOT NULL";
    let next: Option<i64> = db.prepare_cached(sql)?.query_row([first], |row| row.get(0))?;
    let Some(next) = next else { return Ok(()) };
    for sql in [
        "UPDATE outbox SET (due, attempts, error, sent_at, postponed, give_up_at) = (
           SELECT due, attempts, error, sent_at, postponed, give_up_at FROM outbox WHERE id = ?1)
         WHERE id = ?2",
        "UPDATE outbox SET sent_in = -?2 WHERE sent_in < 0 AND sent_in = -?1",
    ] {
        db.prepare_cached(sql)?.execute([first, next])?;
    }
    Ok(())
}

/// Reads a row; in an unreadable one, nobody is left to ask.
fn postponed(row: &Row<'_>) -> rusqlite::Result<Postponed> {
    let whom = match get_json(row, "postponed") {
        Err(fault) if is_illegible(&fault) => BTreeMap::new(),
        outcome => outcome?,
    };
    let (is_bundle, give_up_at) = (row.get("is_bundle")?, row.get("give_up_at")?);
    Ok(Postponed { mail: outgoing(row)?, is_bundle, whom, give_up_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR, MINUTE};
    use crate::store::Who;
    use crate::store::sample::{NOON, id, incident_commit, state};

    /// What somebody answers who has no room.
    fn postponed_by(whom: &str) -> Answers {
        let postponed = [(whom.to_owned(), "later".to_owned())].into();
        Answers { postponed, next: NOON, give_up_at: NOON.plus(DAY), ..Answers::default() }
    }

    #[test]
    fn a_rule_of_yesterday_that_was_repeated_counted_as_reported_anew() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&incident_commit("i", 1, 1), NOON.plus(-DAY)).unwrap();
        store.commit(&incident_commit("j", 2, 1), NOON.plus(-MINUTE)).unwrap();
        let counts = |store: &Store| {
            let from = NOON.plus(-5 * MINUTE);
            let told = store.rules_told_since(from, NOON).unwrap().len();
            (told, store.repeated_since(from, NOON).unwrap(), store.sent_since(from, NOON).unwrap())
        };
        for (mail, sent) in store.due(NOON, 2).unwrap().iter().zip([-2 * HOUR, -MINUTE]) {
            store.sent(mail.id, &postponed_by("ben"), NOON.plus(sent)).unwrap();
        }
        assert_eq!(counts(&store), (1, 0, 1));
        let missed = store.postponed(NOON, 2).unwrap();
        store.asked_again(&missed[1].mail, &postponed_by("ben"), None).unwrap();
        assert_eq!(counts(&store), (1, 0, 1), "nobody accepted it");
        store.asked_again(&missed[1].mail, &Answers::default(), Some(NOON)).unwrap();
        assert_eq!(counts(&store), (1, 1, 1), "it is as new as before");
        store.asked_again(&missed[0].mail, &Answers::default(), Some(NOON)).unwrap();
        assert_eq!(counts(&store), (1, 2, 2), "and one more is under the cap");
    }

    #[test]
    fn a_missed_digest_about_many_was_forgotten_with_the_first_of_them() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        for (name, token) in [("i", 1), ("j", 2), ("k", 3)] {
            store.commit(&incident_commit(name, token, 1), NOON).unwrap();
        }
        store.sent_bundled(&[2, 1, 3], 0, &postponed_by("ben"), NOON).unwrap();
        let missed = |store: &Store| {
            let ids = |mail: Postponed| {
                assert_eq!((mail.is_bundle, mail.whom.len()), (true, 1));
                let rows = store.bundled_with(mail.mail.id).unwrap();
                rows.iter().map(|row| row.id).collect::<Vec<_>>()
            };
            let all = store.postponed(NOON, 3).unwrap();
            all.into_iter().map(ids).collect::<Vec<_>>()
        };
        assert_eq!(missed(&store), [[2, 1, 3]]);
        store.forget(&Who::Token(id(2))).unwrap();
        assert_eq!(missed(&store), [[1, 3]]);
        store.forget(&Who::Token(id(3))).unwrap();
        assert_eq!(missed(&store), [[1]]);
        store.forget(&Who::Token(id(1))).unwrap();
        assert_eq!(missed(&store), [[0; 0]; 0]);
    }
}
