//! Step 10, commit: positions, memory, history, alerts and mails in one database, one transaction per batch.
//!
//! A [`Store`] writes, a [`Reader`] only reads; a `Store` dereferences to a `Reader`. Any number of both may use one
//! file at a time, in one process or several: each write is a `BEGIN IMMEDIATE` transaction that waits for the one
//! before it, and readers see the last commit without waiting. So the mail pump and the commands open a `Store` of
//! their own beside the loop's; nothing is shared in memory and no lock is held between calls. Only judging must not
//! happen twice: [`Lock`] prevents that.
//!
//! The store never reads a clock; `now` is an argument. It stores no secret: tokens are passed in as ids.

use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

mod alerts;
mod at_rest;
mod audit;
mod background;
mod backup;
mod codec;
mod commit;
mod compact;
mod connection;
mod digest;
mod error;
mod facets;
mod filter;
mod followed;
mod forget;
mod history;
mod ledger;
mod left;
mod lock;
mod many;
pub mod mend;
mod mutes;
mod outbox;
mod place;
mod postponed;
pub mod private;
mod prune;
mod recall;
mod registry;
mod rekey;
mod reported;
mod resolve;
mod schema;
mod setting;
mod slot;
mod standstill;
mod status;
mod storm;
mod streams;
mod summary;
mod tokens;
mod whence;
mod words;

use at_rest::AtRest;
use connection::{
    DAEMON_CACHE_KIB, READING_CACHE_KIB, configure, connect, prepare_for_writing, set_cache,
};

pub use alerts::{Ack, StoredAlert, StoredIncident};
pub use audit::Audited;
pub use backup::{backed_up, backup_of, remove_backup};
pub use commit::Committed;
pub use error::{StoreError, certain};
pub use facets::FACET_LIMIT;
pub use filter::AlertFilter;
pub use history::{FacetRow, History, HourRow, Outline, Window};
pub use lock::{Holder, Lock, Role, Start};
pub use outbox::{About, Outgoing};
pub use postponed::{Answers, Postponed};
pub use prune::{Pruned, Retention};
pub use registry::{Changed, LifecycleRow, Who};
pub use rekey::Bound;
pub use resolve::Found;
pub use standstill::Standstill;
pub use status::{OutboxStats, Stats};
pub use storm::Summary;
pub use streams::StreamStatus;
pub use summary::{Distinct, TokenState, TokenSummary};
pub use tokens::TokenFilter;
pub use whence::{Visitor, Visitors, Whence};

/// A connection that only reads. It works while the daemon writes.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
    /// The database, if it is read by a user who could not prevent others from writing.
    rest: Option<AtRest>,
}

/// A connection that reads and writes.
#[derive(Debug)]
pub struct Store {
    reader: Reader,
    is_new: bool,
    place: place::Place,
}

impl Reader {
    /// Opens the database at `path` for reading, also as a user who may not write to its directory.
    ///
    /// # Errors
    /// [`StoreError::Absent`] if there is no database or it is empty; [`StoreError::Older`], [`StoreError::Newer`] or
    /// [`StoreError::Foreign`] if it is not of this version; [`StoreError::Open`] if this user cannot read all of it;
    /// [`StoreError::Corrupt`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = match connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            Err(StoreError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Absent { path: path.to_owned() });
            }
            db => db,
        };
        db.and_then(|db| Self::new(db, path, None)).or_else(|refusal| Self::at_rest(path, refusal))
    }

    /// Opens the database at `path`, to which nobody may be writing: it could not be opened in the usual way.
    fn at_rest(path: &Path, refusal: StoreError) -> Result<Self, StoreError> {
        let (db, rest) = AtRest::open(path, refusal)?;
        Self::new(db, path, Some(rest))
    }

    /// Creates a reader of an open database, which must be of this version.
    fn new(db: Connection, path: &Path, rest: Option<AtRest>) -> Result<Self, StoreError> {
        configure(&db).map_err(|error| StoreError::database(path, "opening", error))?;
        let (known, path) = (schema::known(), path.to_owned());
        match schema::version(&db, &path)? {
            0 => Err(StoreError::Absent { path }),
            found if found < known => Err(StoreError::Older { path, found, known }),
            _ => Ok(Self { db, path, rest }),
        }
    }

    /// Returns the path of the database; `:memory:` for one in memory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Queries within one snapshot: all statements of `query` see the same commit.
    fn read<T>(
        &self,
        doing: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let ask = || {
            let snapshot = self.db.unchecked_transaction()?;
            let answer = query(&snapshot)?;
            snapshot.commit()?;
            Ok(answer)
        };
        let answer = ask().map_err(|error| StoreError::database(&self.path, doing, error));
        self.rest.iter().try_for_each(AtRest::expect_unchanged)?;
        answer
    }
}

impl Store {
    /// Opens the database at `path` for writing. Creates it (0600, in a directory that is created 0700 if absent) or
    /// upgrades it as needed.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::Foreign`] and [`StoreError::Corrupt`] for files that are left as they are;
    /// otherwise any database or file system error.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
            private::make_directory(directory)?;
        }
        // SQLite gives the files beside the database its mode and, if run as root, its owner. An existing database is
        // not opened here: closing it would release the locks that this process holds on it.
        if let Err(source) = private::make(path)
            && source.kind() != ErrorKind::AlreadyExists
        {
            return Err(StoreError::file(path, "making the database", source));
        }
        let fault = |source| StoreError::database(path, "opening", source);
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        configure(&db).map_err(fault)?;
        schema::version(&db, path)?;
        prepare_for_writing(&db).map_err(fault)?;
        let is_new = schema::upgrade(&db, path)? == 0;
        let place = place::Place::of(path);
        let reader = Reader { db, path: path.to_owned(), rest: None };
        Ok(Self { reader, is_new, place })
    }

    /// Creates a database in memory, for `replay` and tests.
    ///
    /// # Errors
    /// Any database error.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let fault = |source| StoreError::database(path, "opening", source);
        let db = Connection::open_in_memory().map_err(fault)?;
        configure(&db).map_err(fault)?;
        schema::upgrade(&db, path)?;
        let place = place::Place::default();
        let reader = Reader { db, path: path.to_owned(), rest: None };
        Ok(Self { reader, is_new: true, place })
    }

    /// Opens the same database once more; this connection must only read from then on, and its page cache shrinks.
    /// Returns `None` for a database in memory.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn twin(&self) -> Result<Option<Self>, StoreError> {
        let Reader { db, path, .. } = &self.reader;
        if db.path().is_none_or(str::is_empty) {
            return Ok(None);
        }
        set_cache(db, READING_CACHE_KIB)
            .map_err(|source| StoreError::database(path, "opening", source))?;
        let twin = Self::open(path)?;
        // A statement that inserts several rows can be undone alone: SQLite copies the pages that it changes first, by
        // default into a file, and more than go into the database if there are many alerts. This connection only
        // commits, and its statements change few pages each.
        twin.db
            .pragma_update(None, "temp_store", "MEMORY")
            .map_err(|source| StoreError::database(path, "opening", source))?;
        Ok(Some(twin))
    }

    /// Keeps few pages in memory from now on, for a daemon, which waits for lines and prefers a small size to speed.
    ///
    /// # Errors
    /// Any database error.
    pub fn keep_few_pages(&self) -> Result<(), StoreError> {
        let Reader { db, path, .. } = &self.reader;
        set_cache(db, DAEMON_CACHE_KIB)
            .map_err(|source| StoreError::database(path, "opening", source))
    }

    /// Returns whether opening found no state and created an empty one. A daemon that has run here before must report
    /// that.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Runs `change` in one transaction, which takes effect as a whole or, on error, not at all.
    fn write<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let Reader { db, path, .. } = &mut self.reader;
        let write = || {
            // IMMEDIATE: a transaction that starts as a reader cannot wait for its turn to write.
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = change(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        write().map_err(|source| StoreError::database(path, doing, source))
    }
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests;
