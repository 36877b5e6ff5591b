//! People's words on alerts, for the Judge, and a number that grows with each change.

use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::word::{Known, Word};

use super::codec::{get_json, get_text, get_u32, legible, to_json};
use super::{Reader, StoreError, setting};

impl Reader {
    /// Returns all words, in the order in which they were given.
    ///
    /// # Errors
    /// Any database error.
    pub fn words(&self) -> Result<Vec<Word>, StoreError> {
        self.read("reading the words on alerts", |db| {
            let mut statement =
                db.prepare_cached("SELECT number, body FROM word ORDER BY number")?;
            let rows = statement.query_map([], |row| {
                let word: Word = get_json(row, "body")?;
                Ok(Word { number: get_u32(row, "number")?, ..word })
            })?;
            legible("a word", rows)
        })
    }

    /// Returns a number that grows with each change to the words.
    ///
    /// # Errors
    /// Any database error.
    pub fn words_version(&self) -> Result<u64, StoreError> {
        self.read("reading the version of the words", |db| {
            setting::count(db, setting::WORDS_VERSION)
        })
    }
}

/// Stores a word about an alert or an incident, after all others; its own number is ignored.
pub(super) fn keep(db: &Connection, word: &Word, subject: &str) -> rusqlite::Result<()> {
    let word = Word { about: known(db, subject)?, ..word.clone() };
    db.execute(
        "INSERT INTO word (principal, body) VALUES (?1, ?2)",
        params![word.principal.as_str(), to_json(&word)?],
    )?;
    setting::bump(db, setting::WORDS_VERSION, 1)
}

/// Returns an incident, or that of an alert, as it is now.
fn known(db: &Connection, subject: &str) -> rusqlite::Result<Option<Known>> {
    let sql = "SELECT id, alerts FROM incident
        WHERE id IN (?1, (SELECT incident FROM alert WHERE alert.id = ?1))";
    db.query_row(sql, [subject], |row| {
        Ok(Known { incident: get_text(row, "id")?, n_alerts: get_u32(row, "alerts")? })
    })
    .optional()
}

/// Lets the words of a principal be about its new name.
pub(super) fn rename(db: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE word SET principal = ?2, body = json_set(body, '$.principal', ?2)
        WHERE principal = ?1";
    let n_renamed = db.execute(sql, [from, to])?;
    setting::bump(db, setting::WORDS_VERSION, u64::from(n_renamed > 0))
}

/// Removes the words of a principal. Returns how many there were.
pub(super) fn forget(db: &Connection, principal: &str) -> rusqlite::Result<usize> {
    let n_gone = db.execute("DELETE FROM word WHERE principal = ?1", [principal])?;
    setting::bump(db, setting::WORDS_VERSION, u64::from(n_gone > 0))?;
    Ok(n_gone)
}
