//! Reading the database as a user who may not write beside it: a copy of evidence, a read-only mount, another user.
//!
//! Whoever reads a database with a write-ahead log takes part in it and needs both files beside the database, or must
//! be able to make them (sqlite.org/wal.html, "Read-Only Databases"). Without them, SQLite reads what it is told to be
//! immutable, and it believes that: it passes over a write-ahead log, and over a writer. So only a database without
//! these files is read in this way, since a daemon always has both, and each answer is checked by the database's size
//! and time of change.

use std::fmt::Write as _;
use std::fs::symlink_metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::StoreError;
use super::backup::beside;
use super::connection::{flags, regular};

/// A database that nobody writes, as it was when it was opened.
#[derive(Debug)]
pub(super) struct AtRest {
    path: PathBuf,
    seen: Seen,
}

/// What shows that somebody wrote: file, size, and the time of the last change.
type Seen = (u64, u64, i64, i64);

impl AtRest {
    /// Opens the database at `path`, which could not be opened in the usual way because of `refusal`.
    ///
    /// # Errors
    /// [`StoreError::Open`] if only the files beside the database can tell what it contains; otherwise that refusal, or
    /// any database error.
    pub(super) fn open(path: &Path, refusal: StoreError) -> Result<(Connection, Self), StoreError> {
        let is_refused = matches!(&refusal, StoreError::Database { error, .. }
            if matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)));
        if !is_refused {
            return Err(refusal);
        }
        let real = regular(path)?;
        rustix::fs::access(&real, rustix::fs::Access::READ_OK)
            .map_err(|errno| StoreError::file(path, "opening the database", errno.into()))?;
        let Some(seen) = seen(path) else {
            return Err(StoreError::Open { path: path.to_owned() });
        };
        let access = flags(OpenFlags::SQLITE_OPEN_READ_ONLY) | OpenFlags::SQLITE_OPEN_URI;
        let db = Connection::open_with_flags(immutable(&real), access)
            .map_err(|error| StoreError::database(path, "opening", error))?;
        Ok((db, Self { path: path.to_owned(), seen }))
    }

    /// Checks that nobody has begun to write.
    ///
    /// # Errors
    /// [`StoreError::Changed`]: what was read may be a mixture.
    pub(super) fn expect_unchanged(&self) -> Result<(), StoreError> {
        if seen(&self.path) == Some(self.seen) {
            return Ok(());
        }
        Err(StoreError::Changed { path: self.path.clone() })
    }
}

/// Looks at the database; `None` if there is a file beside it.
fn seen(path: &Path) -> Option<Seen> {
    let is_there = |ending| beside(path, ending).symlink_metadata().is_ok();
    if is_there("-wal") || is_there("-shm") || is_there("-journal") {
        return None;
    }
    let found = symlink_metadata(path).ok()?;
    Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// Returns the URI of an immutable database (sqlite.org/uri.html).
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::sample::{NOON, commit_of, state};
    use crate::store::{Reader, Store};

    fn refusal(path: &Path) -> StoreError {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
        StoreError::database(path, "opening", rusqlite::Error::SqliteFailure(code, None))
    }

    #[test]
    fn a_database_at_rest_is_read_as_it_is_and_nothing_is_made_beside_it() {
        let (directory, _) = state();
        let path = directory.path().join("a b%3f?#ü/tokenwatch.db");
        Store::open(&path).unwrap().commit(&commit_of(&[1, 2]), NOON).unwrap();
        let reader = Reader::at_rest(&path, refusal(&path)).unwrap();
        assert_eq!(reader.stats().unwrap().tokens, 2);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_stands_in_the_files_beside_a_database_would_have_been_missed() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[1]), NOON).unwrap();
        let copy = path.with_file_name("copy.db");
        fs::copy(&path, &copy).unwrap();
        fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
        for database in [&path, &copy] {
            let fault = Reader::at_rest(database, refusal(database)).unwrap_err();
            assert!(matches!(fault, StoreError::Open { .. }), "{fault}");
        }
    }

    #[test]
    fn an_answer_from_a_database_that_is_written_meanwhile_is_none() {
        let (_directory, path) = state();
        Store::open(&path).unwrap().commit(&commit_of(&[1]), NOON).unwrap();
        let reader = Reader::at_rest(&path, refusal(&path)).unwrap();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[2]), NOON).unwrap();
        let is_changed = || matches!(reader.stats(), Err(StoreError::Changed { .. }));
        assert!(is_changed());
        drop(store);
        assert!(is_changed());
    }

    #[test]
    fn other_refusals_stay_what_they_are() {
        let (_directory, path) = state();
        drop(Store::open(&path).unwrap());
        let busy = StoreError::Busy { path: path.clone(), doing: "opening" };
        assert!(matches!(Reader::at_rest(&path, busy), Err(StoreError::Busy { .. })));
    }
}
