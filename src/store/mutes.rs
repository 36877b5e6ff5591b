//! Mutes: what nobody wants to be notified about, and a number that grows with each change.

use rusqlite::{Connection, params};

use crate::engine::geo::Country;
use crate::engine::mute::{Mute, Scope};
use crate::engine::time::Timestamp;

use super::alerts::Numbered;
use super::codec::{get_text, get_u32, legible};
use super::{Reader, Store, StoreError, setting};

impl Reader {
    /// Returns all mutes, oldest first, including those that have ended: they still explain why old alerts were not
    /// mailed.
    ///
    /// # Errors
    /// Any database error.
    pub fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        self.read("reading mutes", all)
    }

    /// Returns a number that grows with each change to the mutes.
    ///
    /// # Errors
    /// Any database error.
    pub fn mutes_version(&self) -> Result<u64, StoreError> {
        self.read("reading the version of the mutes", |db| {
            setting::count(db, setting::MUTES_VERSION)
        })
    }
}

impl Store {
    /// Stores a mute of alerts from now on. Its own id is ignored; the one assigned to it is returned.
    ///
    /// # Errors
    /// Any database error.
    pub fn mute(&mut self, mute: &Mute) -> Result<i64, StoreError> {
        let scope = &mute.scope;
        self.write("muting", |db| {
            db.execute(
                "INSERT INTO mute (rule, principal, network, country, client, route, reason, since, until, after_alert)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, (SELECT coalesce(max(number), 0) FROM alert))",
                params![
                    scope.rule.as_str(),
                    scope.principal.as_str(),
                    scope.network.unwrap_or(0),
                    scope.country.map(|country| country.to_string()).unwrap_or_default(),
                    scope.client.as_str(),
                    scope.route.as_str(),
                    mute.reason.as_str(),
                    mute.since,
                    mute.until
                ],
            )?;
            let id = db.last_insert_rowid();
            setting::bump(db, setting::MUTES_VERSION, 1)?;
            Ok(id)
        })
    }

    /// Ends a mute. Returns whether there was one that had not ended. What it covered until then stays muted.
    ///
    /// # Errors
    /// Any database error.
    pub fn unmute(&mut self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.write("unmuting", |db| {
            let sql = "UPDATE mute SET until = ?2 WHERE id = ?1 AND (until IS NULL OR until > ?2)";
            let n_ended = db.execute(sql, params![id, now])?;
            setting::bump(db, setting::MUTES_VERSION, u64::from(n_ended > 0))?;
            Ok(n_ended > 0)
        })
    }
}

/// Returns whether an alert is muted.
pub(super) fn cover(mutes: &[Mute], numbered: &Numbered) -> bool {
    mutes.iter().any(|mute| covers(mute, numbered))
}

/// Returns whether a mute covers an alert. Mutes follow a token to its new name, and alerts keep the old one.
pub(super) fn covers(mute: &Mute, Numbered { number, alert, called }: &Numbered) -> bool {
    let is_of_new_name = || mute.scope.principal == *called && mute.covers_as_of(alert, called);
    mute.after < *number && (mute.covers(alert) || is_of_new_name())
}

/// Lets the mutes of a principal be about its new name.
pub(super) fn rename(db: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE mute SET principal = ?2 WHERE principal = ?1";
    let n_renamed = db.execute(sql, [from, to])?;
    setting::bump(db, setting::MUTES_VERSION, u64::from(n_renamed > 0))
}

pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Mute>> {
    let mut statement = db.prepare_cached(
        "SELECT id, rule, principal, network, country, client, route, reason, since, until, after_alert
         FROM mute ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        let network = get_u32(row, "network")?;
        Ok(Mute {
            id: row.get("id")?,
            scope: Scope {
                rule: get_text(row, "rule")?,
                principal: get_text(row, "principal")?,
                network: (network > 0).then_some(network),
                country: Country::parse(&get_text(row, "country")?),
                client: get_text(row, "client")?,
                route: get_text(row, "route")?,
            },
            reason: get_text(row, "reason")?,
            since: row.get("since")?,
            until: row.get("until")?,
            after: row.get("after_alert")?,
        })
    })?;
    legible("a mute", rows)
}
