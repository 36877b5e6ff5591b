//! Verified copies of the database, and moving a damaged database out of the way.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::statvfs;

use crate::engine::time::{DAY, HOUR, Timestamp};

use super::connection::{JOURNAL_BYTES, connect};
use super::{Reader, Store, StoreError, private, setting};

/// How thoroughly a database is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Its structure: everything that can make reading fail (`PRAGMA quick_check`).
    Quick,
    /// Also its indices against its tables.
    Full,
}

/// Returns the path of the backup of the database at `path`.
#[must_use]
pub fn backup_of(path: &Path) -> PathBuf {
    beside(path, ".backup")
}

/// Returns when the backup of the database at `path` was made, if there is one. Only a complete backup ever has that
/// name.
#[must_use]
pub fn backed_up(path: &Path) -> Option<Timestamp> {
    let made = std::fs::metadata(backup_of(path)).and_then(|file| file.modified()).ok()?;
    Some(instant(made))
}

/// Removes the backup of the database at `path`.
///
/// # Errors
/// Any file system error.
pub fn remove_backup(path: &Path) -> Result<(), StoreError> {
    remove(&backup_of(path))
}

fn instant(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// How old a database is when its first backup is made: by then, tokens were registered by hand and old logs replayed.
const FIRST: i64 = HOUR;

impl Reader {
    /// Returns whether a backup is due: the last one is a day old or, if there is none, the database is an hour old,
    /// and it contains something, none of which has still to be forgotten. Uses the files' own times, so that restarts
    /// make no backups.
    ///
    /// # Errors
    /// Any database error.
    pub fn is_backup_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        // Not every file system knows when a file was created; an unknown time counts as old.
        let made = || {
            let made = std::fs::metadata(&self.path).and_then(|file| file.created());
            made.map(instant).unwrap_or_default()
        };
        let (last, wait) =
            backed_up(&self.path).map_or_else(|| (made(), FIRST), |last| (last, DAY));
        // A clock that was set back must not postpone the next backup any longer.
        if now.since(last).abs() < wait || self.is_forgetting()? {
            return Ok(false);
        }
        self.read("looking for something to back up", |db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM stream) OR EXISTS (SELECT 1 FROM registry)";
            db.query_row(sql, [], |row| row.get(0))
        })
    }

    /// Checks the whole database.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is damaged.
    pub fn verify(&self) -> Result<(), StoreError> {
        verify(&self.db, &self.path, Check::Full)
    }

    /// Copies the last commit to `to` (0600), replacing what was there. The copy gets that name only after it was
    /// verified and is on disk. The daemon may keep writing. If something is forgotten meanwhile, a new copy is made.
    ///
    /// # Errors
    /// [`StoreError::Room`] if it would take the last space on the disk; [`StoreError::Corrupt`] with the path of the
    /// database if that is damaged, with the path of the copy if only the copy is. The copy is then removed.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.outlast_forgetting(to, || self.back_up(to))
    }

    /// Makes a backup until nothing is forgotten meanwhile. Whoever forgets something removes the backup afterwards,
    /// which one that gets its name later would survive.
    fn outlast_forgetting(
        &self,
        to: &Path,
        mut back_up: impl FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            let n_forgotten = self.n_forgotten()?;
            back_up()?;
            if self.n_forgotten()? == n_forgotten {
                return Ok(());
            }
            // It must not stay if the next cannot be made.
            remove(to)?;
        }
    }

    fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        let partial = beside(to, ".partial");
        // An interrupted backup must not take the space of the next one.
        remove(&partial)?;
        self.find_room(to)?;
        let outcome = self.copy(&partial).and_then(|()| {
            std::fs::rename(&partial, to)
                .map_err(|source| StoreError::file(to, "renaming the backup", source))?;
            sync(directory(to))
        });
        if outcome.is_err() {
            remove(&partial)?;
        }
        match outcome {
            // Is the database damaged, or only the copy?
            Err(StoreError::Corrupt { .. }) => self.verify().and(outcome),
            outcome => outcome,
        }
    }

    /// Checks that a backup leaves the space that the database itself may need next, for its write-ahead log.
    fn find_room(&self, to: &Path) -> Result<(), StoreError> {
        let needs = self.stats()?.bytes.saturating_add(JOURNAL_BYTES.unsigned_abs());
        expect_room(directory(to), "a backup", needs)
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        private::make(to).map_err(|source| StoreError::file(to, "making a backup", source))?;
        let mut copy = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut fill = || {
            // All pages in one step: a single snapshot, for which no writer has to wait.
            let pause = Duration::from_millis(10);
            Backup::new(&self.db, &mut copy)?.run_to_completion(i32::MAX, pause, None)?;
            // A single file, without a write-ahead log beside it.
            copy.pragma_update(None, "journal_mode", "DELETE")
        };
        fill().map_err(|source| StoreError::database(to, "backing up", source))?;
        verify(&copy, to, Check::Full)?;
        sync(to)
    }
}

impl Reader {
    /// Returns when the last attempt at a backup failed, if none has succeeded since.
    ///
    /// # Errors
    /// Any database error.
    pub fn backup_failed(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("reading how the backup went", |db| setting::get(db, setting::BACKUP_FAILED))
    }
}

impl Store {
    /// Records when a backup failed, or that one was made.
    ///
    /// # Errors
    /// Any database error.
    pub fn note_backup(&mut self, failed: Option<Timestamp>) -> Result<(), StoreError> {
        self.write("noting how the backup went", |db| match failed {
            Some(failed) => setting::put(db, setting::BACKUP_FAILED, failed),
            None => setting::remove(db, setting::BACKUP_FAILED),
        })
    }
}

/// Checks that so many bytes are free in a directory, for what is done next.
pub(super) fn expect_room(
    directory: &Path,
    what: &'static str,
    needs: u64,
) -> Result<(), StoreError> {
    let system = statvfs(directory)
        .map_err(|errno| StoreError::file(directory, "checking free space", errno.into()))?;
    let has = system.f_bavail.saturating_mul(system.f_frsize);
    if has < needs {
        return Err(StoreError::Room { path: directory.to_owned(), what, needs, has });
    }
    Ok(())
}

/// Checks a database for damage.
pub(super) fn verify(db: &Connection, path: &Path, check: Check) -> Result<(), StoreError> {
    let doing = "checking for damage";
    let sql = match check {
        Check::Quick => "PRAGMA quick_check(1)",
        Check::Full => "PRAGMA integrity_check(1)",
    };
    match db.query_row(sql, [], |row| row.get::<_, String>(0)) {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(detail) => Err(StoreError::Corrupt { path: path.to_owned(), doing, detail }),
        Err(source) => Err(StoreError::database(path, doing, source)),
    }
}

/// Moves a damaged database and the files beside it out of the way, to `tokenwatch.db.damaged-1795453833`, for a person
/// to look at. Returns the new path. Nobody may have the database open.
///
/// # Errors
/// Any file system error.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let aside = aside_of(path, now);
    for part in ["-wal", "-shm", "-journal", ""] {
        let from = beside(path, part);
        match std::fs::rename(&from, beside(&aside, part)) {
            Ok(()) => {}
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::file(&from, "setting aside", source)),
        }
    }
    sync(directory(path))?;
    Ok(aside)
}

/// Returns the path to which a database found damaged at this time is moved.
pub(super) fn aside_of(path: &Path, found: Timestamp) -> PathBuf {
    beside(path, &format!(".damaged-{}", found.seconds()))
}

/// Returns the directory of a file.
pub(super) fn directory(path: &Path) -> &Path {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Removes a file if it exists.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(StoreError::file(path, "removing a file", source))
        }
        _ => Ok(()),
    }
}

pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| StoreError::file(path, "writing to disk", source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::Who;
    use crate::store::sample::{NOON, commit_of, id, state};

    #[test]
    fn a_backup_is_one_whole_private_file_with_the_last_commit() {
        let (directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[1, 2, 3]), NOON).unwrap();
        let to = directory.path().join("backup.db");
        std::fs::write(&to, "the backup before").unwrap();
        Reader::open(&path).unwrap().backup(&to).unwrap();
        let names = std::fs::read_dir(directory.path()).unwrap();
        let n_backups = names.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("backup")
        });
        assert_eq!(n_backups.count(), 1);
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = Store::open(&to).unwrap();
        assert_eq!(copy.stats().unwrap().tokens, 3);
        assert!(!copy.is_new());
    }

    #[test]
    fn a_backup_of_a_damaged_database_leaves_the_one_before() {
        let (directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        let ids: Vec<u8> = (0..=255).collect();
        store.commit(&commit_of(&ids), NOON).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].iter_mut().for_each(|byte| *byte = 0x5a);
        std::fs::write(&path, bytes).unwrap();
        let to = directory.path().join("backup.db");
        std::fs::write(&to, "the backup before").unwrap();
        let fault = Reader::open(&path).unwrap().backup(&to).unwrap_err();
        assert!(matches!(fault, StoreError::Corrupt { .. }), "{fault}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "the backup before");
        assert!(!beside(&to, ".partial").exists());
    }

    #[test]
    fn a_backup_is_due_once_a_day_and_never_of_nothing() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        let made = std::fs::metadata(&path).and_then(|file| file.modified()).map(instant).unwrap();
        assert!(!store.is_backup_due(made.plus(2 * DAY)).unwrap(), "it holds nothing");
        store.commit(&commit_of(&[1]), NOON).unwrap();
        assert!(!store.is_backup_due(made.plus(HOUR / 2)).unwrap(), "its first hour");
        assert!(store.is_backup_due(made.plus(HOUR + HOUR / 2)).unwrap());
        store.backup(&backup_of(&path)).unwrap();
        let file = File::options().write(true).open(backup_of(&path)).unwrap();
        for (age, is_due) in [(DAY - 1, false), (DAY, true), (1 - DAY, false), (-DAY, true)] {
            let made = u64::try_from(NOON.0 - age).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_micros(made)).unwrap();
            assert_eq!(store.is_backup_due(NOON).unwrap(), is_due, "{age}");
        }
    }

    #[test]
    fn a_backup_that_began_before_something_was_forgotten_kept_it() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[1, 2, 3]), NOON).unwrap();
        let (reader, to) = (Reader::open(&path).unwrap(), backup_of(&path));
        let mut n_made = 0;
        let back_up = || {
            reader.back_up(&to)?;
            n_made += 1;
            if n_made < 3 {
                store.forget(&Who::Token(id(n_made)))?;
            }
            Ok(())
        };
        reader.outlast_forgetting(&to, back_up).unwrap();
        assert_eq!(n_made, 3);
        assert_eq!(Store::open(&to).unwrap().stats().unwrap().tokens, 1);
        // Nor does it stay if the next one cannot be made.
        let mut is_first = true;
        let fault = reader.outlast_forgetting(&to, || {
            if !std::mem::take(&mut is_first) {
                return Err(StoreError::file(&to, "backing up", ErrorKind::StorageFull.into()));
            }
            reader.back_up(&to)?;
            store.forget(&Who::Token(id(3))).map(drop)
        });
        assert!(fault.is_err() && backed_up(&path).is_none());
    }

    #[test]
    fn no_backup_is_due_before_everything_is_forgotten_once_more() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[1, 2]), NOON).unwrap();
        let far = NOON.plus(9000 * DAY);
        store.forget(&Who::Token(id(1))).unwrap();
        assert!(!store.is_backup_due(far).unwrap());
        store.forget_again().unwrap();
        assert!(store.is_backup_due(far).unwrap());
    }

    #[test]
    fn a_copy_of_a_database_that_is_written_to_all_the_time_ends() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        let ids: Vec<u8> = (0..=255).collect();
        store.commit(&commit_of(&ids), NOON).unwrap();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        let n_commits = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut n_commits = 0;
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    store.commit(&commit_of(&ids), NOON).unwrap();
                    n_commits += 1;
                }
                n_commits
            });
            let reader = Reader::open(&path).unwrap();
            for _ in 0..5 {
                reader.backup(&backup_of(&path)).unwrap();
            }
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            writer.join().unwrap()
        });
        assert!(n_commits > 0);
        assert_eq!(Store::open(&backup_of(&path)).unwrap().stats().unwrap().tokens, 256);
    }
}
