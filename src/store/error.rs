//! What can go wrong with the state, distinguished by what a caller or a person would do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::ErrorCode;

use super::Role;

/// Why the store could not do what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon or command is using this state.
    #[error("{}: held by another {}; end it first, or use another --state-dir", path.display(), named(*holder))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process id and role of the other, as far as it recorded them.
        holder: Option<(u32, Role)>,
    },
    /// The state is on a network file system.
    #[error("{}: a network file system, on which the database does not work; set `state_dir` to a local directory", path.display())]
    Remote {
        /// The state directory.
        path: PathBuf,
    },
    /// There is nothing to read yet.
    #[error("{}: no state yet, neither a daemon nor `replay --save` has written here", path.display())]
    Absent {
        /// The database.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error(
        "{}: schema version {found}, this program knows up to {known}: a newer tokenwatch wrote it; install that version \
         again, or use another --state-dir",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It was written by an older release, and a reader may not upgrade it.
    #[error("{}: schema version {found}, expected {known}; start the daemon once to upgrade it", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version that this program reads.
        known: i64,
    },
    /// A database of another program.
    #[error("{}: a database of another program; move it away, or set `state_dir` to another directory", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// In place of the database there is something other than a regular file: a symbolic link, a pipe.
    #[error("{}: a symbolic link or a pipe, not a regular file; put the database here, or set `state_dir` to where it is", path.display())]
    NoFile {
        /// The database.
        path: PathBuf,
    },
    /// A file of the database is not the one that was opened.
    #[error(
        "{}: removed or replaced while it was in use; start the daemon again, which restores what is gone, and opens \
         what was put in its place",
        path.display()
    )]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The contents of the file are invalid. What helps is said by commands only: the daemon itself does it.
    #[error("{}: {doing}: the database is damaged: {detail}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the database reported.
        detail: String,
    },
    /// Another process has locked the database for longer than the store waits.
    #[error("{}: {doing}: the database is locked by another process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// The disk is full.
    #[error("{}: {doing}: the disk is full", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// There is no space for copies of the database.
    #[error("{}: {what} needs {needs} B of free space, but only {has} B are available", path.display())]
    Room {
        /// The directory in which they would be.
        path: PathBuf,
        /// What they are for.
        what: &'static str,
        /// Bytes that they would take, including those that the database may need next.
        needs: u64,
        /// Bytes that are free.
        has: u64,
    },
    /// A file or directory of the state cannot be used.
    #[error("{}: {doing}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// Whoever may not write beside it cannot read all of it.
    #[error(
        "{}: may still be written, so that only a user who may write to its directory can read it: run this as the \
         owner of the database, or copy the whole directory and give the copy as `--state-dir`",
        path.display()
    )]
    Open {
        /// The database.
        path: PathBuf,
    },
    /// Somebody wrote to it while it was read by a user who cannot be kept from a mixture.
    #[error("{}: it was written while it was read; run this again", path.display())]
    Changed {
        /// The database.
        path: PathBuf,
    },
    /// Any other error of the database. The cause is no source: its own cause is the same text again.
    #[error("{}: {doing}: {error}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        error: rusqlite::Error,
    },
}

fn named(holder: Option<(u32, Role)>) -> String {
    match holder {
        Some((pid, Role::Daemon)) => format!("daemon, process {pid}"),
        Some((pid, Role::Command)) => format!("command, process {pid}"),
        None => "process".to_owned(),
    }
}

impl StoreError {
    /// Returns whether the same call may succeed later, with no change but time: the database is locked, the disk is
    /// full, or the device failed. Nothing of the call has taken effect.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } => true,
            // A full file system can appear as this, too: the shared memory beside the database cannot grow.
            Self::Database { error, .. } => {
                error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            }
            _ => false,
        }
    }

    /// Returns whether the database at `path` is damaged.
    #[must_use]
    pub fn is_damage_of(&self, database: &Path) -> bool {
        matches!(self, Self::Corrupt { path, .. } if path == database)
    }

    pub(super) fn database(path: &Path, doing: &'static str, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            // Columns contain what they are declared to (STRICT), unless their bytes have changed.
            None if is_illegible(&error) => {
                Self::Corrupt { path, doing, detail: error.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, doing },
            Some(ErrorCode::DiskFull) => Self::Full { path, doing },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, doing, detail: error.to_string() }
            }
            _ => Self::Database { path, doing, error },
        }
    }

    pub(super) fn file(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, source }
    }
}

/// How many times in a row a database is queried before it counts as damaged.
const TRIES: u32 = 5;

/// The pause between two of these attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls `ask` until it reports no damage, a few times at most. SQLite reports the same for a disk that could not read
/// (EIO becomes `SQLITE_IOERR_CORRUPTFS`, and that `SQLITE_CORRUPT`, in its `unixRead` and `sqlite3VdbeExec`), but
/// damage is still there at the next read.
///
/// # Errors
/// The error of the last attempt.
pub fn certain<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match ask() {
            Err(StoreError::Corrupt { .. }) => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    ask()
}

/// Returns whether a row was found but one of its values is invalid.
pub(super) const fn is_illegible(source: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        source,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_database_was_said_twice() {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
        let said = "attempt to write a readonly database".to_owned();
        let error = rusqlite::Error::SqliteFailure(code, Some(said.clone()));
        let error = StoreError::database(Path::new("db"), "opening", error);
        assert_eq!(error.to_string(), format!("db: opening: {said}"));
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn a_state_that_cannot_be_used_was_named_without_a_way_out() {
        let path = PathBuf::from("db");
        let cases = [
            (
                StoreError::Newer { path: path.clone(), found: 99, known: 15 },
                "install that version again",
            ),
            (StoreError::Foreign { path: path.clone() }, "move it away"),
            (StoreError::Moved { path }, "start the daemon again"),
        ];
        for (error, remedy) in cases {
            assert!(error.to_string().contains(&format!("; {remedy}")), "{error}");
        }
    }

    #[test]
    fn damage_is_believed_only_if_it_stays() {
        let damage =
            || StoreError::Corrupt { path: "db".into(), doing: "reading", detail: String::new() };
        let ask = |n_damaged: u32| {
            let mut n_asked = 0;
            let answer = certain(|| {
                n_asked += 1;
                if n_asked <= n_damaged { Err(damage()) } else { Ok(()) }
            });
            (answer.is_ok(), n_asked)
        };
        assert_eq!(
            [0, 1, 4, 5, 9].map(ask),
            [(true, 1), (true, 2), (true, 5), (false, 5), (false, 5)]
        );
        let mut n_asked = 0;
        let full = || StoreError::Full { path: "db".into(), doing: "writing" };
        let answer: Result<(), _> = certain(|| {
            n_asked += 1;
            Err(full())
        });
        assert!(matches!(answer, Err(StoreError::Full { .. })) && n_asked == 1);
    }
}
