//! Opening a database that may be damaged, empty or missing: what is left of it is set aside, the backup replaces it,
//! and a note reports it. Only for the holder of the lock; readers just report.
//!
//! A kill at any point is repaired by the next opening. The note is written before anything is moved, and says that the
//! work is not finished; which files exist shows what has been moved:
//!
//! ```text
//! tokenwatch.db.suspect           a run ended after it found damage: check the whole database
//! tokenwatch.db.cleared           that check found no damage: if the next run ends the same way, the backup is
//!                                 used, once
//! tokenwatch.db.damage            the note: what was found, and what was done about it
//! tokenwatch.db.damaged-SECONDS   what was set aside, with -wal, -shm and -journal; the database itself is moved last
//! tokenwatch.db.restoring         a copy of the backup in progress
//! tokenwatch.db.backup.damaged-SECONDS   a backup that was found damaged when it was needed
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;
use serde::{Deserialize, Serialize};

use crate::engine::time::{DAY, Timestamp};

use super::backup::{
    Check, aside_of, backed_up, backup_of, beside, directory, remove, set_aside, sync, verify,
};
use super::{Reader, Start, Store, StoreError, certain, configure, connect, private, schema};

/// Larger databases are checked only after damage was found in them: 256 MiB take less than half a second from memory
/// (measured: 618 MB in 0.9 s) and three from a slow disk, and every start waits for it.
const CHECKED_AT_START: u64 = 256 << 20;

/// How long the note is shown if nothing was set aside.
const SHOWN: i64 = 30 * DAY;

/// The state in which a database was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruin {
    /// Its contents are invalid.
    Damaged,
    /// There is a file with nothing in it.
    Empty,
    /// There is no file.
    Gone,
}

/// What was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Not known yet: that opening was interrupted.
    Open,
    /// The backup of this time replaced it.
    Restored(Timestamp),
    /// There was no backup: a new database was created.
    Anew,
    /// The backup was damaged too: a new database was created.
    AnewForBadBackup,
}

/// The note about a lost database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// When the loss was detected.
    pub time: Timestamp,
    /// What was found.
    pub found: Ruin,
    /// What the database reported.
    pub detail: String,
    /// What was done about it.
    pub outcome: Outcome,
}

impl Damage {
    /// Returns what last happened to the database at `path`, as long as a person should see it: while the file that was
    /// set aside still exists or, if there was none, for 30 days.
    #[must_use]
    pub fn last(path: &Path, now: Timestamp) -> Option<Self> {
        let damage = Self::read(path).filter(|damage| damage.outcome != Outcome::Open)?;
        let is_shown = damage.aside(path).is_some()
            || (damage.found != Ruin::Damaged && now.since(damage.time) < SHOWN);
        is_shown.then_some(damage)
    }

    /// Returns the path of the damaged file, if it still exists.
    #[must_use]
    pub fn aside(&self, path: &Path) -> Option<PathBuf> {
        let aside = aside_of(path, self.time);
        (self.found == Ruin::Damaged && aside.exists()).then_some(aside)
    }

    /// Returns the path of the backup that was found damaged too, if it still exists.
    #[must_use]
    pub fn aside_backup(&self, path: &Path) -> Option<PathBuf> {
        let aside = aside_of(&backup_of(path), self.time);
        aside.exists().then_some(aside)
    }

    /// Returns `None` for a note that is unreadable, perhaps written by a later release.
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&private::read(&beside(path, ".damage")).ok()?).ok()
    }

    fn write(&self, path: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        write_whole(&beside(path, ".damage"), &text)
    }
}

/// Records that the database at `path` was found damaged while in use, so that the next opening checks the whole of it.
///
/// # Errors
/// Any file system error.
pub fn suspect(path: &Path, why: &StoreError) -> Result<(), StoreError> {
    write_whole(&beside(path, ".suspect"), why.to_string().as_bytes())
}

/// Records that a run ended well: an earlier suspicion about the database at `path` is dropped.
///
/// # Errors
/// Any file system error.
pub fn absolve(path: &Path) -> Result<(), StoreError> {
    remove(&beside(path, ".cleared"))
}

/// Returns whether opening takes long: the whole database is checked, or a copy is made.
#[must_use]
pub fn is_suspect(path: &Path) -> bool {
    beside(path, ".suspect").exists()
        || Damage::read(path).is_some_and(|damage| damage.outcome == Outcome::Open)
}

/// Opens the database at `path` as [`Store::open`] does. If it is damaged, or existed before and is gone, it is first
/// replaced by its backup or by a new one. Returns what happened in that case.
///
/// # Errors
/// As for [`Store::open`], except for damage; and any file system error. A database that this program does not know is
/// not damaged.
pub fn open(
    path: &Path,
    start: Start,
    now: Timestamp,
) -> Result<(Store, Option<Damage>), StoreError> {
    let cut_short = Damage::read(path).filter(|damage| damage.outcome == Outcome::Open);
    let damage = match cut_short {
        Some(damage) => Some(damage),
        None => look(path, start, now)?,
    };
    let damage = damage.map(|damage| replace(path, damage)).transpose()?;
    match damage {
        Some(_) => unmark(path)?,
        None => clear(path)?,
    }
    Ok((Store::open(path)?, damage))
}

/// Removes the marks of a database that was replaced.
fn unmark(path: &Path) -> Result<(), StoreError> {
    remove(&beside(path, ".cleared"))?;
    remove(&beside(path, ".suspect"))
}

/// Replaces the mark that demanded a check of the whole database by one that says that nothing was found.
fn clear(path: &Path) -> Result<(), StoreError> {
    let (suspect, cleared) = (beside(path, ".suspect"), beside(path, ".cleared"));
    match fs::rename(&suspect, &cleared) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(StoreError::file(&suspect, "replacing a mark", source))
        }
        _ => Ok(()),
    }
}

/// Returns why two runs in a row ended, if the checks of the database find nothing wrong with it and there is a backup
/// that has not been tried.
fn twice(path: &Path) -> Option<String> {
    let made = backed_up(path)?;
    let was_tried = Damage::read(path).is_some_and(|last| last.outcome == Outcome::Restored(made));
    let why = private::read(&beside(path, ".suspect")).ok()?;
    let is_twice = beside(path, ".cleared").exists() && !was_tried;
    is_twice.then(|| String::from_utf8_lossy(&why).into_owned())
}

/// Checks whether the database is in order.
fn look(path: &Path, start: Start, now: Timestamp) -> Result<Option<Damage>, StoreError> {
    let was_there = start == Start::Later || backed_up(path).is_some();
    let lost = |found, detail| Damage { time: now, found, detail, outcome: Outcome::Open };
    let inspect = || {
        roll_back(path)?;
        Reader::open(path)?.inspect()
    };
    Ok(match certain(inspect) {
        Err(StoreError::Absent { .. }) if was_there => {
            let found = if path.exists() { Ruin::Empty } else { Ruin::Gone };
            Some(lost(found, String::new()))
        }
        Err(StoreError::Corrupt { detail, .. }) => {
            read_through(path)?;
            Some(lost(Ruin::Damaged, detail))
        }
        Ok(()) => twice(path).map(|detail| lost(Ruin::Damaged, detail)),
        Err(StoreError::Absent { .. } | StoreError::Older { .. }) => None,
        Err(error) => return Err(error),
    })
}

/// Rolls back what a kill left half done. A restored database is given a write-ahead log under a rollback journal,
/// which whoever only reads cannot roll back (sqlite.org/lockingv3.html, "Dealing with hot journals").
fn roll_back(path: &Path) -> Result<(), StoreError> {
    if !path.exists() || !beside(path, "-journal").exists() {
        return Ok(());
    }
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&db).map_err(|source| StoreError::database(path, "rolling back", source))?;
    schema::version(&db, path).map(drop)
}

/// Reads all files of a database. What the disk cannot read is not known to be damaged, and cannot be set aside either.
fn read_through(path: &Path) -> Result<(), StoreError> {
    for part in ["", "-wal"] {
        let path = beside(path, part);
        let read = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        if let Err(source) = read
            && source.kind() != ErrorKind::NotFound
        {
            return Err(StoreError::file(&path, "reading the whole file", source));
        }
    }
    Ok(())
}

impl Reader {
    /// Checks the whole of a database in which damage was found, and the structure of any other that is not large.
    fn inspect(&self) -> Result<(), StoreError> {
        if beside(&self.path, ".suspect").exists() {
            return self.verify();
        }
        let size = fs::metadata(&self.path).map(|file| file.len()).unwrap_or_default();
        if size <= CHECKED_AT_START { verify(&self.db, &self.path, Check::Quick) } else { Ok(()) }
    }
}

/// Sets aside what is there and puts the backup in its place.
fn replace(path: &Path, mut damage: Damage) -> Result<Damage, StoreError> {
    damage.write(path)?;
    // If no file was found, one that exists now is the copy already: it gets that name once it is complete.
    let is_restored = damage.found == Ruin::Gone && path.exists();
    // The database is moved last: if it was set aside, so was the rest of it, and the file that has its name now is the
    // copy.
    if !is_restored && !aside_of(path, damage.time).exists() {
        set_aside(path, damage.time)?;
    }
    damage.outcome = match backed_up(path) {
        Some(made) if is_restored => Outcome::Restored(made),
        Some(made) => restore(path, made, &damage)?,
        // It was moved before this opening was interrupted.
        None if damage.aside_backup(path).is_some() => Outcome::AnewForBadBackup,
        None => Outcome::Anew,
    };
    damage.write(path)?;
    Ok(damage)
}

/// Puts the backup in the place of the database. One that is damaged too is moved out of the way: it no longer counts
/// as a backup, so a new one is soon due.
fn restore(path: &Path, made: Timestamp, damage: &Damage) -> Result<Outcome, StoreError> {
    let draft = beside(path, ".restoring");
    let fault = |doing| move |source| StoreError::file(path, doing, source);
    let copy = || {
        let mut backup = private::open(&backup_of(path), OpenOptions::new().read(true))?;
        io::copy(&mut backup, &mut private::make_anew(&draft)?)
    };
    if let Err(source) = copy() {
        // Half a copy must not take up space that others wait for.
        remove(&draft)?;
        return Err(fault("copying the backup")(source));
    }
    match certain(|| Reader::open(&draft).and_then(|reader| reader.verify())) {
        Ok(()) | Err(StoreError::Older { .. }) => {}
        Err(StoreError::Corrupt { .. } | StoreError::Absent { .. }) => {
            read_through(&draft)?;
            remove(&draft)?;
            set_aside(&backup_of(path), damage.time)?;
            return Ok(Outcome::AnewForBadBackup);
        }
        Err(error) => return Err(error),
    }
    sync(&draft)?;
    fs::rename(&draft, path).map_err(fault("restoring the backup"))?;
    sync(directory(path))?;
    Ok(Outcome::Restored(made))
}

/// Writes a file (0600) completely or not at all.
fn write_whole(path: &Path, text: &[u8]) -> Result<(), StoreError> {
    let draft = beside(path, ".draft");
    let write = || {
        let mut file = private::make_anew(&draft)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| StoreError::file(path, "writing a note", source))?;
    sync(directory(path))
}

#[cfg(test)]
#[path = "mend_tests.rs"]
mod tests;
