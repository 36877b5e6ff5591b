//! Compacting: rewrites the database, so that its file holds nothing but what is stored.
//!
//! Forgotten rows are overwritten, but earlier versions of them, and copies from when pages were split, stay in unused
//! parts of the file until that room is used again, or until the whole file is rewritten. Two counters say whether that
//! is due: how often something was forgotten, and how often that had been when the database was last rewritten.

use std::path::PathBuf;

use rusqlite::Connection;
use rustix::fs::{Access, access};

use super::backup::{directory, expect_room};
use super::connection::JOURNAL_BYTES;
use super::forget::empty_log;
use super::setting::{self, COMPACTED, FORGOTTEN};
use super::{Reader, Store, StoreError, codec};

/// The largest database that is rewritten beside a daemon. Its commits wait meanwhile, 1.5 s where 80 MB take 1.8 s
/// (measured on two busy cores): an end waits 3 s for the last commit, and after 5 s without one people are told that
/// the database cannot be used.
const BESIDE_DAEMON: u64 = 64 << 20;

impl Reader {
    /// Returns how often something was forgotten.
    pub(super) fn n_forgotten(&self) -> Result<u64, StoreError> {
        self.read("reading how often something was forgotten", |db| setting::count(db, FORGOTTEN))
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
            let is_due = setting::count(db, COMPACTED)? < setting::count(db, FORGOTTEN)?;
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

    /// Checks that there is room for the temporary file, which may be beside the database, for the copy of all of it in
    /// the write-ahead log, and for what the database itself may need next.
    fn find_room_to_compact(&self) -> Result<(), StoreError> {
        let what = "compacting";
        let copy = self.stats()?.bytes;
        let journal = JOURNAL_BYTES.unsigned_abs();
        let beside = copy.saturating_mul(2).saturating_add(journal);
        expect_room(directory(self.path()), what, beside)?;
        expect_room(&temporary(), what, copy)
    }
}

impl Store {
    /// Rewrites the database, so that its file holds nothing but what is stored. Whoever else wants to write waits as
    /// long as copying it takes. Returns whether the file holds nothing else now: not while others read what was there
    /// before for longer than a call waits. Then it stays due.
    ///
    /// # Errors
    /// Any database error; [`StoreError::Room`] or [`StoreError::Full`] if there is no room for copies. The database
    /// stays as it was.
    pub fn compact(&mut self) -> Result<bool, StoreError> {
        // Read before: what is forgotten meanwhile makes the next one due.
        let n_forgotten = self.n_forgotten()?;
        self.find_room_to_compact()?;
        let rewritten = self.db.execute_batch("VACUUM");
        // If it failed half-way, the log is about as long as the database, and may have taken the last room.
        let emptied = empty_log(&self.db);
        let fault = |source| StoreError::database(self.path(), "compacting the database", source);
        if !rewritten.and(emptied).map_err(fault)? {
            return Ok(false);
        }
        self.write("noting that the database was compacted", |db| {
            setting::put(db, COMPACTED, codec::count(n_forgotten))
        })?;
        Ok(true)
    }
}

/// Returns the directory in which SQLite makes temporary files, of which it says nothing itself: `unixTempFileDir` in
/// its source, <https://www.sqlite.org/tempfiles.html>, section 5.
fn temporary() -> PathBuf {
    let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].map(PathBuf::from);
    let is_usable =
        |path: &PathBuf| path.is_dir() && access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    named.map(PathBuf::from).chain(usual).find(is_usable).unwrap_or_else(|| ".".into())
}

fn is_forgetting(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM forgotten)", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::store::Who;
    use crate::store::backup::beside;
    use crate::store::sample::{NOON, commit_of, id, state};

    /// A database of 16 MiB in which something was forgotten.
    fn forgetful(path: &Path) -> Store {
        let mut store = Store::open(path).unwrap();
        store.commit(&commit_of(&[1, 2]), NOON).unwrap();
        store
            .db
            .execute_batch(
                "CREATE TABLE filler (bytes BLOB);
                 INSERT INTO filler VALUES (zeroblob(16 * 1048576));",
            )
            .unwrap();
        store.forget(&Who::Token(id(1))).unwrap();
        store.forget_again().unwrap();
        assert!(store.is_compaction_due().unwrap());
        store
    }

    #[test]
    fn a_compaction_that_failed_left_a_log_as_long_as_the_database() {
        let (_directory, path) = state();
        let mut store = forgetful(&path);
        let pages: i64 = store.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        // The copy has some pages more, of which the last find no room.
        store.db.pragma_update(None, "auto_vacuum", "FULL").unwrap();
        store.db.pragma_update(None, "max_page_count", pages).unwrap();
        let fault = store.compact().unwrap_err();
        assert!(matches!(fault, StoreError::Full { .. }), "{fault}");
        assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0);
        assert!(store.is_compaction_due().unwrap());
        store.verify().unwrap();
        store.db.pragma_update(None, "max_page_count", 2 * pages).unwrap();
        assert!(store.compact().unwrap());
        assert_eq!(store.stats().unwrap().tokens, 1);
    }

    #[test]
    fn a_rewritten_database_that_somebody_keeps_reading_was_said_to_be_compacted() {
        let (_directory, path) = state();
        let mut store = forgetful(&path);
        store.db.busy_timeout(Duration::from_millis(1)).unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let sql = "SELECT count(*) FROM setting";
        let n_settings: i64 = reader.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(0 < n_settings);
        assert!(!store.compact().unwrap());
        assert!(store.is_compaction_due().unwrap());
        drop(reader);
        assert!(store.compact().unwrap());
        assert!(!store.is_compaction_due().unwrap());
    }
}
