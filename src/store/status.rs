//! The state of the store: sums for `status`.

use rusqlite::{Connection, named_params};
use smol_str::SmolStr;

use crate::engine::alert::Level;
use crate::engine::time::Timestamp;

use super::alerts::ALERTS;
use super::codec::{get_count, get_text};
use super::digest::UNTOLD;
use super::{Reader, StoreError, setting};

/// Sums over the whole store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Usages judged since the beginning.
    pub usages: u64,
    /// Refused usages of unknown tokens, which are only counted.
    pub refused_unknown: u64,
    /// Tokens that were used.
    pub tokens: u64,
    /// Principals with a profile.
    pub principals: u64,
    /// Rows of the registry.
    pub registered: u64,
    /// Alerts kept.
    pub alerts: u64,
    /// Incidents kept.
    pub incidents: u64,
    /// Size of the database, without its write-ahead log.
    pub bytes: u64,
    /// Mails.
    pub outbox: OutboxStats,
}

/// The state of the mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Waiting to be sent.
    pub waiting: u64,
    /// Waiting mails that report something critical.
    pub critical: u64,
    /// Sent, but postponed by some recipient, who is asked again.
    pub postponed: u64,
    /// When the oldest mail was queued that is waiting; an update that gathers counts from when it is due, which may be
    /// in the future.
    pub oldest: Option<Timestamp>,
    /// When the next attempt is due, also at one that is postponed.
    pub next_due: Option<Timestamp>,
    /// Given up.
    pub dead: u64,
    /// Given up since the last one was sent, or about alerts that no mail tells and nobody acknowledged.
    pub lost: u64,
    /// Sent, but permanently refused by some recipient.
    pub refused: u64,
    /// When the last one was sent.
    pub last_sent: Option<Timestamp>,
}

impl OutboxStats {
    /// Returns when the oldest mail was queued that should have been sent by now; `None` if there is none.
    #[must_use]
    pub fn late_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.oldest.filter(|oldest| *oldest <= now)
    }
}

impl Reader {
    /// Returns the sums over the whole store.
    ///
    /// # Errors
    /// Any database error.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        self.read("summing up", |db| {
            let one = |sql| db.query_row(sql, [], |row| get_count(row, "n"));
            Ok(Stats {
                usages: setting::count(db, setting::USAGES)?,
                refused_unknown: setting::count(db, setting::REFUSED_UNKNOWN)?,
                tokens: one("SELECT count(*) AS n FROM token")?,
                principals: one("SELECT count(*) AS n FROM profile")?,
                registered: one("SELECT count(*) AS n FROM registry")?,
                alerts: one("SELECT count(*) AS n FROM alert")?,
                incidents: one("SELECT count(*) AS n FROM incident")?,
                bytes: one("SELECT page_count * page_size AS n
                    FROM pragma_page_count, pragma_page_size")?,
                outbox: outbox(db)?,
            })
        })
    }
}

/// Whether a mail that was given up is about an alert that no mail tells, not even a digest that was queued later, and
/// that nobody acknowledged.
fn is_untold() -> String {
    format!(
        "EXISTS (SELECT 1 {ALERTS}
           WHERE k.subject IS NULL AND {UNTOLD}
             AND (a.incident = given_up.incident OR given_up.incident IS NULL
               AND given_up.after_alert < a.number AND a.number <= given_up.upto_alert)
             AND NOT EXISTS (
               SELECT 1 FROM outbox AS digest
               WHERE digest.day IS NOT NULL AND digest.state = 'sent'
                 AND digest.created >= given_up.due AND a.number <= digest.upto_alert
                 AND (given_up.incident IS NOT NULL OR digest.after_alert < a.number)))"
    )
}

/// Selects the mails that were given up and are still trouble. `:at_once` is the lowest level: whatever is mailed at
/// once, a mail that waits is sure to tell an alert of any level or to be given up in its turn.
fn lost() -> String {
    format!(
        "FROM outbox AS given_up
         WHERE state = 'dead' AND (
           due > (SELECT coalesce(max(sent_at), 0) FROM outbox WHERE state = 'sent')
           OR {})",
        is_untold()
    )
}

fn n_lost(db: &Connection) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) AS n {}", lost());
    db.query_row(&sql, named_params! { ":at_once": Level::Informational }, |row| {
        get_count(row, "n")
    })
}

impl Reader {
    /// Returns the first incidents about which a mail was given up that is still trouble. Digests are about none.
    ///
    /// # Errors
    /// Any database error.
    pub fn lost_incidents(&self, most: u32) -> Result<Vec<SmolStr>, StoreError> {
        self.read("looking for mails that were given up", |db| {
            let sql = format!(
                "SELECT incident {} AND incident IS NOT NULL
                 GROUP BY incident ORDER BY min(due) LIMIT :most",
                lost()
            );
            let mut statement = db.prepare_cached(&sql)?;
            let parameters = named_params! { ":at_once": Level::Informational, ":most": most };
            let found = statement.query_map(parameters, |row| get_text(row, "incident"))?;
            found.collect()
        })
    }
}

fn outbox(db: &Connection) -> rusqlite::Result<OutboxStats> {
    let lost = n_lost(db)?;
    db.query_row(
        "SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
           count(*) FILTER (WHERE state = 'waiting' AND incident IN
             (SELECT id FROM incident WHERE level >= ?1)) AS critical,
           min(CASE attempts WHEN 0 THEN max(created, due) ELSE created END)
             FILTER (WHERE state = 'waiting') AS oldest,
           min(due) FILTER (WHERE state = 'waiting' OR give_up_at IS NOT NULL) AS next_due,
           count(give_up_at) AS postponed,
           count(*) FILTER (WHERE state = 'dead') AS dead,
           count(*) FILTER (WHERE state = 'sent' AND error <> '') AS refused,
           max(sent_at) AS last_sent
         FROM outbox",
        [Level::Critical],
        |row| {
            Ok(OutboxStats {
                waiting: get_count(row, "waiting")?,
                critical: get_count(row, "critical")?,
                postponed: get_count(row, "postponed")?,
                oldest: row.get("oldest")?,
                next_due: row.get("next_due")?,
                dead: get_count(row, "dead")?,
                lost,
                refused: get_count(row, "refused")?,
                last_sent: row.get("last_sent")?,
            })
        },
    )
}
