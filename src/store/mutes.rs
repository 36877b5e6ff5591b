//! What nobody wants to be told of, and a number that changes whenever that changes.

use rusqlite::{Connection, params};

use crate::engine::geo::Country;
use crate::engine::mute::{Mute, Scope};

use super::codec::{get_text, get_u32, legible};
use super::commit::bump;
use super::status::setting;
use super::{Reader, Store, StoreError};

impl Reader {
    /// Returns all mutes, oldest first, those that have ended too: they still say why old alerts
    /// were not mailed.
    ///
    /// # Errors
    /// What the database says.
    pub fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        self.read("reading mutes", all)
    }

    /// Returns a number that grows with each change to the mutes.
    ///
    /// # Errors
    /// What the database says.
    pub fn mutes_version(&self) -> Result<u64, StoreError> {
        self.read("reading the version of the mutes", |db| setting(db, "mutes_version"))
    }
}

impl Store {
    /// Keeps a mute; its own id is passed over, the one that it got is returned.
    ///
    /// # Errors
    /// What the database says.
    pub fn mute(&mut self, mute: &Mute) -> Result<i64, StoreError> {
        let scope = &mute.scope;
        self.write("muting", |db| {
            db.execute(
                "INSERT INTO mute (rule, principal, network, country, client, reason, since, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    scope.rule.as_str(),
                    scope.principal.as_str(),
                    scope.network.unwrap_or(0),
                    scope.country.map(|country| country.to_string()).unwrap_or_default(),
                    scope.client.as_str(),
                    mute.reason.as_str(),
                    mute.since,
                    mute.until
                ],
            )?;
            let id = db.last_insert_rowid();
            bump(db, "mutes_version", 1)?;
            Ok(id)
        })
    }

    /// Takes a mute back, as if it had never been said; tells whether there was one.
    ///
    /// # Errors
    /// What the database says.
    pub fn unmute(&mut self, id: i64) -> Result<bool, StoreError> {
        self.write("unmuting", |db| {
            let n_gone = db.execute("DELETE FROM mute WHERE id = ?1", [id])?;
            bump(db, "mutes_version", u64::from(n_gone > 0))?;
            Ok(n_gone > 0)
        })
    }
}

pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Mute>> {
    let mut statement = db.prepare_cached(
        "SELECT id, rule, principal, network, country, client, reason, since, until
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
            },
            reason: get_text(row, "reason")?,
            since: row.get("since")?,
            until: row.get("until")?,
        })
    })?;
    legible("a mute", rows)
}
