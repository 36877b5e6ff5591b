//! Mails to be sent: queued with what they are about, marked as sent once a server accepts them.
//!
//! The sender decides when to retry and how many mails to send per hour; this module only records it. Each call is a
//! small transaction. The pump opens a [`Store`] of its own, so that it waits for the loop's transaction, not for the
//! loop.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use smol_str::SmolStr;

use crate::engine::alert::Level;
use crate::engine::time::{HOUR, Timestamp};

use super::codec::{get_text, get_u32};
use super::error::is_illegible;
use super::postponed::{self, Answers};
use super::{Reader, Store, StoreError, left, setting, storm};

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The row's number.
    pub id: i64,
    /// The part of the Message-ID before the `@`, the same for every repeat of this mail.
    pub message_id: SmolStr,
    /// The principal that it is about; empty if about many.
    pub principal: SmolStr,
    /// The rule of the most severe alert that it reports; empty if about many.
    pub rule: SmolStr,
    /// Whether it reports something critical.
    pub is_critical: bool,
    /// What it is about.
    pub about: About,
    /// When it was queued.
    pub created: Timestamp,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// How many attempts there were.
    pub attempts: u32,
    /// Why the last attempt failed; empty before the first.
    pub error: String,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// One incident.
    Incident {
        /// Its id.
        incident: SmolStr,
        /// Its revision when the mail was queued; the incident may have grown since.
        revision: u32,
        /// The last alert that it reports; `None` until it is first sent.
        upto: Option<i64>,
    },
    /// The alerts that were committed since the previous digest.
    Digest {
        /// The day it is for, as passed to [`Store::queue_digest`].
        day: SmolStr,
        /// It begins after the alert with this number ...
        after: i64,
        /// ... and ends with this one.
        upto: i64,
    },
    /// The incidents of a storm: alerts that were committed after one number, up to another.
    Storm {
        /// It begins after the alert with this number ...
        after: i64,
        /// ... and ends with this one.
        upto: i64,
    },
    /// The row cannot be read.
    Illegible,
}

/// What a query for mails selects.
pub(super) const SELECT: &str = "SELECT id, message_id, principal, incident, revision, day,
    after_alert, upto_alert, reported_upto, created, due, attempts, error,
    coalesce((SELECT rule FROM alert WHERE alert.incident = mail.incident
      ORDER BY level DESC, number LIMIT 1), '') AS rule,
    coalesce((SELECT level FROM incident WHERE id = mail.incident), 0) AS level";

/// Whether a mail that was sent reported an alert of level ?3. Its incident may have grown since.
const WAS_CRITICAL: &str = "EXISTS (SELECT 1 FROM alert WHERE alert.incident = outbox.incident
    AND alert.number <= outbox.reported_upto AND alert.level >= ?3)";

impl Reader {
    /// Returns mails that are due, at most `limit`: first those of principals with something critical to report, then
    /// the oldest. Mails of one principal keep their order: one that waits for a retry holds back those after it.
    ///
    /// # Errors
    /// Any database error.
    pub fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Outgoing>, StoreError> {
        self.read("reading the outbox", |db| {
            let mut statement = db.prepare_cached(&format!(
                "{SELECT}, EXISTS (
                     SELECT 1 FROM outbox AS other JOIN incident ON incident.id = other.incident
                     WHERE other.state = 'waiting' AND other.principal = mail.principal
                       AND incident.level >= :critical) AS urgent
                 FROM outbox AS mail
                 WHERE state = 'waiting' AND due <= :now AND NOT EXISTS (
                   SELECT 1 FROM outbox AS earlier
                   WHERE earlier.state = 'waiting' AND earlier.principal = mail.principal
                     AND mail.principal <> '' AND earlier.id < mail.id AND earlier.due > :now
                     AND earlier.attempts > 0)
                 ORDER BY urgent DESC, id LIMIT :limit"
            ))?;
            let parameters =
                named_params! { ":now": now, ":limit": limit, ":critical": Level::Critical };
            statement.query_map(parameters, outgoing)?.collect()
        })
    }

    /// Returns when the oldest mail was queued that is waiting. One that only some recipients postponed is not: others
    /// have it.
    ///
    /// # Errors
    /// Any database error.
    pub fn oldest_mail(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("looking for the oldest mail", |db| {
            // An update counts as waiting only once it is due.
            let sql = "SELECT min(CASE attempts WHEN 0 THEN max(created, due) ELSE created END)
                 FROM outbox WHERE state = 'waiting'";
            db.prepare_cached(sql)?.query_row([], |row| row.get(0))
        })
    }

    /// Returns why the last mail that was given up, or refused by a recipient, failed; empty if there is none.
    ///
    /// # Errors
    /// Any database error.
    pub fn last_refusal(&self) -> Result<String, StoreError> {
        self.read("looking for refused mails", |db| {
            let mut statement = db.prepare_cached(
                "SELECT error FROM outbox WHERE state IN ('dead', 'sent') AND error <> ''
                 ORDER BY id DESC LIMIT 1",
            )?;
            let found = statement.query_row([], |row| row.get(0)).optional()?;
            Ok(found.unwrap_or_default())
        })
    }

    /// Returns when the next mail is due that is waiting or postponed; `None` if there is none.
    ///
    /// # Errors
    /// Any database error.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("reading the outbox", |db| {
            let sql = "SELECT min(due) FROM (
                   SELECT due FROM outbox WHERE state = 'waiting'
                   UNION ALL SELECT due FROM outbox WHERE give_up_at IS NOT NULL)";
            db.prepare_cached(sql)?.query_row([], |row| row.get(0))
        })
    }

    /// Counts the mails sent from `time` until `now`, without bundles of what exceeds the hourly cap. A mail sent
    /// before the clock was set back, at a time that is now in the future, is not counted.
    ///
    /// # Errors
    /// Any database error.
    pub fn sent_since(&self, time: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.read("counting sent mails", |db| {
            db.prepare_cached(
                "SELECT count(*) AS n FROM outbox
                 WHERE state = 'sent' AND sent_at BETWEEN ?1 AND ?2 AND sent_in >= 0",
            )?
            .query_row([time, now], |row| super::codec::get_count(row, "n"))
        })
    }

    /// Counts those of [`sent_since`](Self::sent_since) that reported something critical.
    ///
    /// # Errors
    /// Any database error.
    pub fn critical_since(&self, time: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.read("counting critical mails", |db| {
            db.prepare_cached(&format!(
                "SELECT count(*) AS n FROM outbox
                 WHERE state = 'sent' AND sent_at BETWEEN ?1 AND ?2 AND sent_in >= 0 AND {WAS_CRITICAL}"
            ))?
            .query_row(params![time, now, Level::Critical], |row| super::codec::get_count(row, "n"))
        })
    }

    /// Returns until when no more mails may be sent, if as many of `cap` as `reserve` are for critical ones: when so
    /// many of the last mails are an hour old that there is room again. Returns `None` if mails may be sent now.
    ///
    /// # Errors
    /// Any database error.
    pub fn full_until(
        &self,
        cap: u32,
        reserve: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read("checking the hourly cap", |db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT sent_at, {WAS_CRITICAL} FROM outbox
                 WHERE state = 'sent' AND sent_at BETWEEN ?1 AND ?2 AND sent_in >= 0
                 ORDER BY sent_at DESC"
            ))?;
            let mut sent = statement.query(params![now.plus(-HOUR), now, Level::Critical])?;
            let (mut n_sent, mut reserved) = (0, reserve);
            while let Some(row) = sent.next()? {
                let (at, is_critical): (Timestamp, bool) = (row.get(0)?, row.get(1)?);
                n_sent += 1;
                reserved = reserved.saturating_sub(u32::from(is_critical));
                if cap <= reserved.saturating_add(n_sent) {
                    return Ok(Some(at.plus(HOUR)));
                }
            }
            Ok(None)
        })
    }

    /// Returns the rules that were reported in mails of their own from `time` until `now`. A mail that was repeated
    /// since reported something new only if it was queued then.
    ///
    /// # Errors
    /// Any database error.
    pub fn rules_told_since(
        &self,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeSet<SmolStr>, StoreError> {
        self.read("reading which rules were mailed", |db| {
            let mut statement = db.prepare_cached(
                "SELECT DISTINCT (SELECT rule FROM alert WHERE alert.incident = mail.incident
                     ORDER BY level DESC, number LIMIT 1) AS rule
                 FROM outbox AS mail
                 WHERE state = 'sent' AND sent_at BETWEEN ?1 AND ?2 AND incident IS NOT NULL
                   AND (sent_in = id OR sent_in = 0 AND created >= ?1)",
            )?;
            let rules = statement.query_map([time, now], |row| row.get::<_, Option<String>>(0))?;
            rules.filter_map(|rule| rule.map(|rule| rule.map(SmolStr::from)).transpose()).collect()
        })
    }

    /// Returns when the last bundle of what exceeded the hourly cap was sent.
    ///
    /// # Errors
    /// Any database error.
    pub fn bundled(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("reading when mails were bundled", |db| setting::get(db, setting::MAILS_BUNDLED))
    }
}

impl Store {
    /// Marks a mail as sent: somebody accepted it.
    ///
    /// # Errors
    /// Any database error.
    pub fn sent(&mut self, id: i64, answers: &Answers, now: Timestamp) -> Result<(), StoreError> {
        self.write("marking a mail as sent", |db| {
            mark_sent(db, &[id], id, &answers.refused, now)?;
            left::note_sent(db, id, answers, now)?;
            postponed::keep(db, id, answers)
        })
    }

    /// Marks mails as sent in one bundle of what exceeds the hourly cap. The bundle reported a storm up to the alert
    /// `upto`; later alerts keep waiting.
    ///
    /// # Errors
    /// Any database error.
    pub fn sent_bundled(
        &mut self,
        ids: &[i64],
        upto: i64,
        answers: &Answers,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("marking mails as sent in a bundle", |db| {
            setting::put(db, setting::MAILS_BUNDLED, now)?;
            for id in ids {
                storm::leave_rest(db, *id, upto, now)?;
            }
            let first = ids.first().copied().unwrap_or_default();
            mark_sent(db, ids, -first, &answers.refused, now)?;
            postponed::keep(db, first, answers)
        })
    }

    /// Records a failed attempt at one mail for these rows, its cause, and when the next one is due.
    ///
    /// # Errors
    /// Any database error.
    pub fn failed(&mut self, ids: &[i64], error: &str, next: Timestamp) -> Result<(), StoreError> {
        self.write("marking a mail as delayed", |db| {
            let mut delay = db.prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, error = ?2, due = ?3
                 WHERE id = ?1 AND state = 'waiting'",
            )?;
            ids.iter().try_for_each(|id| delay.execute(params![id, error, next]).map(drop))
        })
    }

    /// Makes due now the mails that wait for a retry, or that somebody postponed, or that were queued by a clock that
    /// was ahead. Updates that gather alerts keep their time.
    ///
    /// # Errors
    /// Any database error.
    pub fn hasten(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write("retrying mails at once", |db| {
            let sql = "UPDATE outbox SET due = ?1
                 WHERE due > ?1 AND (give_up_at IS NOT NULL
                   OR state = 'waiting' AND (attempts > 0 OR created > ?1))";
            db.prepare_cached(sql)?.execute([now])?;
            Ok(())
        })
    }

    /// Drops mails whose alerts were all acknowledged or muted, or told by other mails. What a storm has grown by since
    /// it was read keeps waiting.
    ///
    /// # Errors
    /// Any database error.
    pub fn settled(&mut self, mails: &[&Outgoing], now: Timestamp) -> Result<(), StoreError> {
        self.write("dropping mails", |db| {
            let sql = "UPDATE outbox SET state = 'empty' WHERE id = ?1 AND state = 'waiting'";
            let mut drop_one = db.prepare_cached(sql)?;
            mails.iter().try_for_each(|mail| {
                leave_rest(db, mail, now)?;
                drop_one.execute([mail.id])?;
                left::note_sent(db, mail.id, &Answers::default(), now)
            })
        })
    }

    /// Gives up mails; their `due` is the time of that from then on, and they stay visible in `status`. What a storm
    /// has grown by since it was read keeps waiting.
    ///
    /// # Errors
    /// Any database error.
    pub fn dead(
        &mut self,
        mails: &[&Outgoing],
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("giving up mails", |db| {
            let mut give_up = db.prepare_cached(
                "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ?2, due = ?3
                 WHERE id = ?1 AND state = 'waiting'",
            )?;
            mails.iter().try_for_each(|mail| {
                leave_rest(db, mail, now)?;
                give_up.execute(params![mail.id, error, now]).map(drop)
            })
        })
    }
}

/// Leaves what a storm has grown by since a mail about it was read.
fn leave_rest(db: &Connection, mail: &Outgoing, now: Timestamp) -> rusqlite::Result<()> {
    let About::Storm { upto, .. } = mail.about else { return Ok(()) };
    storm::leave_rest(db, mail.id, upto, now)
}

/// Marks rows as sent in one mail. For a mail of its own, `sent_in` is the id of its row, and 0 once somebody has it
/// who had postponed it; for a bundle of what exceeds the hourly cap, it is the negated id of its first row.
fn mark_sent(
    db: &Connection,
    ids: &[i64],
    sent_in: i64,
    refused: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    for id in ids {
        db.prepare_cached(
            "UPDATE outbox SET state = 'sent', attempts = attempts + 1, error = ?4,
               sent_at = ?2, sent_in = ?3
             WHERE id = ?1 AND state <> 'sent'",
        )?
        .execute(params![id, now, sent_in, refused])?;
    }
    Ok(())
}

/// Reads a row; of an unreadable row, only what is needed to give it up.
pub(super) fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    match legible_outgoing(row) {
        Err(fault) if is_illegible(&fault) => Ok(Outgoing {
            id: row.get("id")?,
            message_id: SmolStr::default(),
            principal: SmolStr::default(),
            rule: SmolStr::default(),
            is_critical: false,
            about: About::Illegible,
            created: row.get("created")?,
            due: row.get("due")?,
            attempts: 0,
            error: fault.to_string(),
        }),
        outcome => outcome,
    }
}

fn legible_outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    let about = match row.get::<_, Option<String>>("incident")? {
        Some(incident) => {
            let (revision, upto) = (get_u32(row, "revision")?, row.get("reported_upto")?);
            About::Incident { incident: incident.into(), revision, upto }
        }
        None => {
            let (after, upto) = (row.get("after_alert")?, row.get("upto_alert")?);
            match row.get::<_, Option<String>>("day")? {
                Some(day) => About::Digest { day: day.into(), after, upto },
                None => About::Storm { after, upto },
            }
        }
    };
    Ok(Outgoing {
        id: row.get("id")?,
        message_id: get_text(row, "message_id")?,
        principal: get_text(row, "principal")?,
        rule: get_text(row, "rule")?,
        is_critical: row.get::<_, Level>("level")? >= Level::Critical,
        about,
        created: row.get("created")?,
        due: row.get("due")?,
        attempts: get_u32(row, "attempts")?,
        error: row.get("error")?,
    })
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
