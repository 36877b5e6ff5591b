//! Connections to the database file: how it is opened, how much of it each keeps in memory, when it is checkpointed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, backup};

/// How long a call waits for another process's transaction before it returns [`StoreError::Busy`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of one connection, in KiB. The kernel caches the file as well: replays were no faster with four times as
/// much.
pub(super) const CACHE_KIB: i64 = 8 * 1024;

/// Page cache, in KiB, of a connection that looks up keys beside another one that writes.
pub(super) const READING_CACHE_KIB: i64 = 4 * 1024;

/// Page cache, in KiB, of each of a daemon's connections, of which there are three or four: the kernel caches the same
/// pages.
pub(super) const DAEMON_CACHE_KIB: i64 = 2 * 1024;

/// The write-ahead log is checkpointed after this many pages (64 MB). With sorted keys, rare checkpoints double the
/// rate of upserts (measured).
pub(super) const CHECKPOINT_PAGES: i64 = 16_000;

/// Bytes of write-ahead log that may stay on disk after a checkpoint.
pub(super) const JOURNAL_BYTES: i64 = 64 << 20;

/// Prepared statements cached per connection: more than the hot path uses.
const STATEMENTS: usize = 64;

/// Opens the database, which must be a regular file. A symbolic link in its place, put there by the daemon's user,
/// could lead root to a file that only root may write, and opening a pipe would block.
///
/// # Errors
/// [`StoreError::NoFile`]; [`StoreError::File`] if nothing is there; otherwise any database error.
pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    Connection::open_with_flags(regular(path)?, flags(access))
        .map_err(|source| StoreError::database(path, "opening", source))
}

/// Returns the path of the database without links in its directory: SQLite refuses a link anywhere in a path, but
/// directories may be links.
///
/// # Errors
/// As for [`connect`].
pub(super) fn regular(path: &Path) -> Result<PathBuf, StoreError> {
    let looking = |source| StoreError::file(path, "looking at the database", source);
    let found = std::fs::symlink_metadata(path).map_err(looking)?;
    if !found.is_file() {
        return Err(StoreError::NoFile { path: path.to_owned() });
    }
    let directory = backup::directory(path).canonicalize().map_err(looking)?;
    Ok(path.file_name().map_or_else(|| path.to_owned(), |name| directory.join(name)))
}

/// Returns the flags with which the database is opened for `access`.
pub(super) fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// Prepares any connection.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    set_cache(db, CACHE_KIB)?;
    // A tampered schema must not run functions.
    db.pragma_update(None, "trusted_schema", false)
}

/// Sets the page cache of a connection, in KiB.
pub(super) fn set_cache(db: &Connection, kib: i64) -> rusqlite::Result<()> {
    // SQLite takes a positive number for pages.
    db.pragma_update(None, "cache_size", -kib)
}

/// Prepares a connection that writes.
pub(super) fn prepare_for_writing(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)
}
