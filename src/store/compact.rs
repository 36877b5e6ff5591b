//! Compacting: rewrites the database, so that its file holds nothing but what is stored.
//!
//! Forgotten rows are overwritten, but earlier versions of them, and copies from when pages were split, stay in unused
//! parts of the file until that room is used again, or until the whole file is rewritten. Two counters say whether that
//! is due: how often something was forgotten, and how often that had been when the database was last rewritten.

use rusqlite::Connection;

use super::forget::empty_log;
use super::status::setting;
use super::{Reader, Store, StoreError};

/// Counts how often something was forgotten.
pub(super) const FORGOTTEN: &str = "forgotten";

/// The value of [`FORGOTTEN`] of which no unused part holds anything any more.
const COMPACTED: &str = "compacted";

/// The largest database that is rewritten beside a daemon. Its commits wait meanwhile: 50 MiB take a second on a slow
/// disk, and after five without a commit people are told that the database cannot be used.
const BESIDE_DAEMON: u64 = 256 << 20;

impl Reader {
    /// Returns how often something was forgotten.
    pub(super) fn n_forgotten(&self) -> Result<u64, StoreError> {
        self.read("reading how often something was forgotten", |db| setting(db, FORGOTTEN))
    }

    /// Returns whether the daemon has still to forget something once more.
    pub(super) fn is_forgetting(&self) -> Result<bool, StoreError> {
        self.read("reading what was forgotten", is_forgetting)
    }

    /// Returns whether unused parts of the database may still hold what was forgotten. Not while something has to be
    /// [forgotten once more](Store::forget_again).
    ///
    /// # Errors
    /// Any database error.
    pub fn is_compaction_due(&self) -> Result<bool, StoreError> {
        self.read("looking for something to compact", |db| {
            let is_due = setting(db, COMPACTED)? < setting(db, FORGOTTEN)?;
            Ok(is_due && !is_forgetting(db)?)
        })
    }

    /// Returns whether the database may be compacted while a daemon commits to it.
    ///
    /// # Errors
    /// Any database error.
    pub fn is_compacted_beside_daemon(&self) -> Result<bool, StoreError> {
        Ok(self.stats()?.bytes <= BESIDE_DAEMON)
    }
}

impl Store {
    /// Rewrites the database, so that its file holds nothing but what is stored. Whoever else wants to write waits as long as
    /// copying it takes.
    ///
    /// # Errors
    /// Any database error; [`StoreError::Room`] or [`StoreError::Full`] if there is no room for copies. The database
    /// stays as it was.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        // Read before: what is forgotten meanwhile makes the next one due.
        let n_forgotten = self.n_forgotten()?;
        self.find_room(self.path())?;
        let done = self.db.execute_batch("VACUUM").and_then(|()| empty_log(&self.db));
        let fault = |source| StoreError::database(self.path(), "compacting the database", source);
        if !done.map_err(fault)? {
            // The write-ahead log still holds it: the next backup tries again.
            return Ok(());
        }
        self.write("noting that the database was compacted", |db| {
            let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            db.execute(sql, (COMPACTED, super::codec::count(n_forgotten))).map(drop)
        })
    }
}

fn is_forgetting(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM forgotten)", [], |row| row.get(0))
}
