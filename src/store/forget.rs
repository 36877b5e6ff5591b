//! Forgetting: removes everything stored about a token or a principal, in one transaction, and overwrites it.
//!
//! SQLite leaves what is deleted in the file until the room is used again. Rows that are deleted here are overwritten,
//! and the write-ahead log is emptied. Earlier versions of rows, and copies of them from when pages were split, remain
//! until the database is [compacted](Store::compact).

use rusqlite::{Connection, params};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::house::short_name;
use crate::engine::reserved::Reserved;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::recall::token_number;
use super::registry::{self, Who};
use super::{Store, StoreError, many, postponed, setting, slot, summary, words};

/// Deletes the alerts of a principal that is not the alert's own token. Separate from [`DROP_OWN`], since each uses an
/// index of its own.
const DROP_OTHER: &str = "DELETE FROM alert
    WHERE principal = ?1 AND principal <> 'tw1_' || lower(hex(token))";

/// Deletes the alerts of a principal that is the alert's own token.
const DROP_OWN: &str = "DELETE FROM alert WHERE principal = ?1 AND token = ?2";

const DROP_MENTIONS: &str = "DELETE FROM alert
    WHERE principal = ?2 AND principal <> 'tw1_' || lower(hex(token)) AND (
      instr(body, ': ' || ?1 || ',') OR instr(body, ', ' || ?1 || ',')
      OR instr(body, ', ' || ?1 || ';') OR instr(body, ': ' || ?1 || ';')
      OR instr(body, ', ' || ?1 || ' and '))";

impl Store {
    /// Removes a token, or a principal with all its tokens: registry, lifecycle, history, profile, alerts, mutes and
    /// mails. What several tokens share stays until the last of them is forgotten. Returns whether there was anything
    /// to remove.
    ///
    /// The version of the registry grows: a running daemon commits what it has in memory, drops it, and
    /// [forgets this once more](Self::forget_again).
    ///
    /// # Errors
    /// Any database error.
    pub fn forget(&mut self, who: &Who) -> Result<bool, StoreError> {
        self.overwrite("forgetting", |db| {
            let n_gone = erase(db, who, Extent::All)?;
            if n_gone > 0 {
                many::forget_names(db)?;
                note(db, who)?;
            }
            for version in [setting::REGISTRY_VERSION, setting::FORGOTTEN] {
                setting::bump(db, version, u64::from(n_gone > 0))?;
            }
            Ok(n_gone > 0)
        })
    }

    /// Removes what was committed after it was forgotten, by somebody who still had it in memory. Whoever commits calls
    /// this when nothing of it is in memory any more but addresses and names that are counted of many. What people said
    /// since stays. Returns whether anything was forgotten.
    ///
    /// # Errors
    /// Any database error.
    pub fn forget_again(&mut self) -> Result<bool, StoreError> {
        // Usually there is nothing to write, and the disk may be full.
        let noted = self.read("reading what was forgotten", noted)?;
        if noted.is_empty() {
            return Ok(false);
        }
        self.overwrite("forgetting once more", |db| {
            for who in &noted {
                erase(db, who, Extent::Committed)?;
            }
            many::forget_names(db)?;
            db.execute("DELETE FROM forgotten", [])
        })?;
        Ok(true)
    }

    /// Makes a change that overwrites what it deletes, in the database and in its write-ahead log.
    fn overwrite<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let fault = |store: &Self, source| StoreError::database(store.path(), doing, source);
        let secure = |store: &Self, is_on: bool| {
            let done = store.db.pragma_update(None, "secure_delete", is_on);
            done.map_err(|source| fault(store, source))
        };
        secure(self, true)?;
        let answer = self.write(doing, |db| change(db));
        // Everything else that is deleted all day long would cost more writes.
        secure(self, false)?;
        let answer = answer?;
        empty_log(&self.db).map_err(|source| fault(self, source))?;
        Ok(answer)
    }
}

/// Moves the write-ahead log into the database and empties it. Returns whether it is empty: if others read for longer
/// than a call waits, it is emptied later, the next time that all of it was moved and it is written to.
pub(super) fn empty_log(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

fn note(db: &Connection, who: &Who) -> rusqlite::Result<()> {
    let (token, principal) = match who {
        Who::Token(token) => (Some(*token), None),
        Who::Principal(name) => (None, Some(name.as_str())),
    };
    let sql = "INSERT INTO forgotten (token, principal) VALUES (?1, ?2)";
    db.execute(sql, params![token, principal]).map(drop)
}

fn noted(db: &Connection) -> rusqlite::Result<Vec<Who>> {
    let mut find = db.prepare("SELECT token, principal FROM forgotten")?;
    let rows = find.query_map([], |row| {
        let name: Option<String> = row.get("principal")?;
        Ok(match name {
            Some(name) => Who::Principal(name.into()),
            None => Who::Token(row.get("token")?),
        })
    })?;
    rows.collect()
}

/// What is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Everything.
    All,
    /// What is committed with lines, and nothing that a person said: not the registry, mutes and acknowledgements.
    Committed,
}

/// Removes a token or a principal. Returns how many rows were removed.
fn erase(db: &Connection, who: &Who, extent: Extent) -> rusqlite::Result<usize> {
    let n_gone = match who {
        Who::Token(token) => forget_token(db, *token, extent)?,
        Who::Principal(name) => {
            let mut n_gone = 0;
            for found in summary::of_principal(db, name, Timestamp::default())? {
                if let Some(token) = found.summary.token {
                    n_gone += forget_token(db, token, extent)?;
                }
            }
            if extent == Extent::All {
                n_gone += db.execute("DELETE FROM registry WHERE name = ?1", [name.as_str()])?;
            }
            n_gone + forget_principal(db, name, extent)?
        }
    };
    sweep_incidents(db)?;
    Ok(n_gone)
}

/// Removes a token. Returns how many rows were removed.
fn forget_token(db: &Connection, token: TokenId, extent: Extent) -> rusqlite::Result<usize> {
    let mut principals = vec![token.to_smolstr()];
    principals.extend(registry::of(db, &Who::Token(token))?.into_iter().map(|row| row.name));
    let mut n_gone = 0;
    if let Some(number) = token_number(db, token)? {
        principals.push(stored_principal(db, number)?);
        n_gone += drop_history(db, number)?;
    }
    n_gone += db.prepare_cached("DELETE FROM alert WHERE token = ?1")?.execute([token])?;
    if extent == Extent::All {
        for sql in
            ["DELETE FROM registry WHERE token = ?1", "DELETE FROM lifecycle WHERE token = ?1"]
        {
            n_gone += db.prepare_cached(sql)?.execute([token])?;
        }
    }
    for principal in principals.iter().filter(|name| !name.is_empty()) {
        if !registry::is_in_use(db, principal)? {
            n_gone += forget_principal(db, principal, extent)?;
        }
    }
    Ok(n_gone)
}

/// Removes a token's row with its hours and facets. Returns how many rows were removed.
pub(super) fn drop_history(db: &Connection, number: i64) -> rusqlite::Result<usize> {
    let mut n_gone = 0;
    for sql in [
        "DELETE FROM activity WHERE token = ?1",
        "DELETE FROM facets WHERE token = ?1",
        "DELETE FROM token WHERE number = ?1",
    ] {
        n_gone += db.prepare_cached(sql)?.execute([number])?;
    }
    Ok(n_gone)
}

/// Removes a principal's profile. Returns whether it had one.
pub(super) fn drop_profile(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    let n_gone = db
        .prepare_cached(
            "DELETE FROM profile WHERE number BETWEEN ?1 AND ?1 + 255 AND principal = ?2",
        )?
        .execute((slot::of_principal(name), name))?;
    Ok(n_gone > 0)
}

/// Returns the principal stored in a token's row; empty for the token itself.
pub(super) fn stored_principal(db: &Connection, number: i64) -> rusqlite::Result<SmolStr> {
    db.prepare_cached("SELECT principal FROM token WHERE number = ?1")?
        .query_row([number], |row| super::codec::get_text(row, "principal"))
}

fn forget_principal(db: &Connection, name: &str, extent: Extent) -> rusqlite::Result<usize> {
    let mut n_gone = usize::from(drop_profile(db, name)?);
    let sql = "DELETE FROM incident WHERE principal = ?1";
    n_gone += db.prepare_cached(sql)?.execute([name])?;
    n_gone += postponed::drop_mails(db, "principal = ?1", [name])?;
    n_gone += drop_alerts(db, name)? + drop_mentions(db, name)?;
    if extent == Extent::All {
        n_gone += forget_said(db, name)?;
    }
    Ok(n_gone)
}

/// Removes what people said of a principal.
fn forget_said(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM lifecycle WHERE name = ?1 AND token IS NULL";
    let n_gone = db.prepare_cached(sql)?.execute([name])?;
    let n_mutes = db.prepare_cached("DELETE FROM mute WHERE principal = ?1")?.execute([name])?;
    setting::bump(db, setting::MUTES_VERSION, u64::from(n_mutes > 0))?;
    Ok(n_gone + n_mutes + words::forget(db, name)?)
}

/// Removes the alerts of a principal.
fn drop_alerts(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let mut n_gone = db.prepare_cached(DROP_OTHER)?.execute([name])?;
    if let Ok(token) = name.parse::<TokenId>() {
        n_gone += db.prepare_cached(DROP_OWN)?.execute(params![name, token])?;
    }
    Ok(n_gone)
}

/// Removes alerts about many tokens at once that name a principal: whole names in a list, as `detect::fleet` writes it.
/// Long names are shortened; two that begin alike cannot be told apart.
fn drop_mentions(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let quoted = serde_json::Value::from(short_name(name).as_str()).to_string();
    db.prepare_cached(DROP_MENTIONS)?.execute([quoted.trim_matches('"'), Reserved::FLEET])
}

/// Removes incidents, mails and acknowledgements whose alerts are gone.
fn sweep_incidents(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM incident WHERE NOT EXISTS (
           SELECT 1 FROM alert WHERE alert.incident = incident.id);",
    )?;
    let without = "incident IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM incident WHERE incident.id = outbox.incident)";
    postponed::drop_mails(db, without, [])?;
    sweep_acks(db)
}

/// Removes acknowledgements of alerts and incidents that are gone.
pub(super) fn sweep_acks(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM ack WHERE NOT EXISTS (SELECT 1 FROM alert WHERE alert.id = ack.subject)
           AND NOT EXISTS (SELECT 1 FROM incident WHERE incident.id = ack.subject)",
    )
}

#[cfg(test)]
#[path = "forget_tests.rs"]
mod tests;
