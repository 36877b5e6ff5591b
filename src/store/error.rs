//! What can go wrong with the state, told apart by what a caller or a person would do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::ErrorCode;

use super::Role;

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon or command works on this state.
    #[error("{}: held by another {}", path.display(), named(*holder))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The other's process id and role, as far as it wrote them.
        holder: Option<(u32, Role)>,
    },
    /// The state lies on a network file system.
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
    /// A later release wrote it.
    #[error("{}: schema version {found}, this program knows up to {known}; a newer tokenwatch wrote it", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// An older release wrote it, and a reader may not upgrade it.
    #[error("{}: schema version {found}, expected {known}; start the daemon once to upgrade it", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version that this program reads.
        known: i64,
    },
    /// A database, but somebody else's.
    #[error("{}: a database of another program", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// Something else than a file stands in the place of the database: a link, a pipe.
    #[error("{}: a symbolic link or a pipe, not a regular file; put the database here, or set `state_dir` to where it is", path.display())]
    NoFile {
        /// The database.
        path: PathBuf,
    },
    /// The file's bytes make no sense.
    #[error("{}: {doing}: the database is damaged: {detail}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        detail: String,
    },
    /// Another process holds the database for longer than the store waits.
    #[error("{}: {doing}: the database is locked by another process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// No space left.
    #[error("{}: {doing}: the disk is full", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// There is no room for a copy of the database.
    #[error("{}: a backup needs {needs} B of room, and there are {has}", path.display())]
    Room {
        /// The backup.
        path: PathBuf,
        /// Bytes that it would take, with those that the database may need next.
        needs: u64,
        /// Bytes that are free.
        has: u64,
    },
    /// A file or directory of the state cannot be used.
    #[error("{}: {doing}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Anything else that the database refuses.
    #[error("{}: {doing}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: rusqlite::Error,
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
    /// Tells whether the same call may succeed later, with nothing changed but time: the database
    /// is locked, the disk is full, or the device failed. Nothing of the call has taken effect.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } => true,
            // A full file system shows here too: the shared memory beside the database cannot grow.
            Self::Database { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            }
            _ => false,
        }
    }

    /// Tells whether the database at `path` is damaged.
    #[must_use]
    pub fn is_damage_of(&self, database: &Path) -> bool {
        matches!(self, Self::Corrupt { path, .. } if path == database)
    }

    pub(super) fn database(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            // Columns hold what they are declared to (STRICT), unless their bytes have changed.
            None if is_illegible(&source) => {
                Self::Corrupt { path, doing, detail: source.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, doing },
            Some(ErrorCode::DiskFull) => Self::Full { path, doing },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, doing, detail: source.to_string() }
            }
            _ => Self::Database { path, doing, source },
        }
    }

    pub(super) fn file(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, source }
    }
}

/// So often in a row a database is asked before it counts as damaged ...
const TRIES: u32 = 5;

/// ... with so long in between.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until the answer is no damage, a few times at most. SQLite says the same of a disk that could not read (EIO makes
/// `SQLITE_IOERR_CORRUPTFS`, and that `SQLITE_CORRUPT`, in its `unixRead` and `sqlite3VdbeExec`): damage is still there at the next read.
///
/// # Errors
/// The last answer.
pub fn certain<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match ask() {
            Err(StoreError::Corrupt { .. }) => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    ask()
}

/// Tells whether a row was found and one of its values makes no sense.
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
