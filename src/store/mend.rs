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

/// Rolls back what a kill left half done. A restored database is given a write-ahead log under a rollback journal, which
/// whoever only reads cannot roll back (sqlite.org/lockingv3.html, "Dealing with hot journals").
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
        _ => restore(path)?,
    };
    damage.write(path)?;
    Ok(damage)
}

fn restore(path: &Path) -> Result<Outcome, StoreError> {
    let Some(made) = backed_up(path) else { return Ok(Outcome::Anew) };
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
mod tests {
    use super::*;
    use crate::store::sample::{NOON, commit_of, state};

    /// A database of 200 tokens, and its backup with 100 of them.
    fn lived() -> (tempfile::TempDir, PathBuf) {
        let (directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&(0..100).collect::<Vec<u8>>()), NOON).unwrap();
        store.backup(&backup_of(&path)).unwrap();
        store.commit(&commit_of(&(100..200).collect::<Vec<u8>>()), NOON).unwrap();
        (directory, path)
    }

    fn damage(path: &Path, from: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes.iter_mut().skip(from).for_each(|byte| *byte = 0xa5);
        fs::write(path, bytes).unwrap();
    }

    fn tokens(path: &Path) -> (u64, Option<Outcome>) {
        let (store, damage) = open(path, Start::Later, NOON).unwrap();
        (store.stats().unwrap().tokens, damage.map(|damage| damage.outcome))
    }

    #[test]
    fn a_whole_database_is_opened_as_it_is() {
        let (_directory, path) = lived();
        assert_eq!(tokens(&path), (200, None));
        assert!(Damage::last(&path, NOON).is_none());
        // A database that was suspected, or replaced by hand since, is checked, and that is all.
        let why = StoreError::Absent { path: path.clone() };
        suspect(&path, &why).unwrap();
        assert!(is_suspect(&path));
        assert_eq!(tokens(&path), (200, None));
        assert!(!is_suspect(&path));
    }

    #[test]
    fn damage_that_no_check_finds_twice_in_a_row_brings_the_backup_back_once() {
        let (_directory, path) = lived();
        let why = StoreError::Absent { path: path.clone() };
        suspect(&path, &why).unwrap();
        assert_eq!(tokens(&path), (200, None));
        absolve(&path).unwrap();
        suspect(&path, &why).unwrap();
        assert_eq!(tokens(&path), (200, None), "a run between them ended well");
        suspect(&path, &why).unwrap();
        let made = backed_up(&path).unwrap();
        assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))));
        assert_eq!(Damage::last(&path, NOON).unwrap().detail, why.to_string());
        for _ in 0..3 {
            suspect(&path, &why).unwrap();
            assert_eq!(tokens(&path), (100, None), "the same backup is of no use");
        }
    }

    #[test]
    fn without_a_backup_what_no_check_finds_is_left_as_it_is() {
        let (_directory, path) = lived();
        fs::remove_file(backup_of(&path)).unwrap();
        for _ in 0..3 {
            suspect(&path, &StoreError::Absent { path: path.clone() }).unwrap();
            assert_eq!(tokens(&path), (200, None));
        }
    }

    #[test]
    fn the_backup_takes_the_place_of_what_is_damaged_empty_or_gone() {
        for how in ["head", "middle", "empty", "gone"] {
            let (_directory, path) = lived();
            match how {
                "head" => damage(&path, 0),
                "middle" => damage(&path, 8192),
                "empty" => fs::write(&path, "").unwrap(),
                _ => fs::remove_file(&path).unwrap(),
            }
            let made = backed_up(&path).unwrap();
            assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))), "{how}");
            let noted = Damage::last(&path, NOON).unwrap();
            assert_eq!(noted.aside(&path).is_some(), ["head", "middle"].contains(&how));
            assert_eq!(tokens(&path), (100, None), "{how}");
            fs::remove_file(aside_of(&path, NOON)).ok();
            assert_eq!(Damage::last(&path, NOON).is_none(), noted.found == Ruin::Damaged);
            assert!(Damage::last(&path, NOON.plus(SHOWN)).is_none());
        }
    }

    #[test]
    fn without_a_whole_backup_a_new_one_begins_and_says_so() {
        let (_directory, path) = lived();
        damage(&path, 0);
        damage(&backup_of(&path), 8192);
        assert_eq!(tokens(&path), (0, Some(Outcome::AnewForBadBackup)));
        fs::remove_file(&path).unwrap();
        fs::remove_file(backup_of(&path)).unwrap();
        assert_eq!(tokens(&path), (0, Some(Outcome::Anew)));
        fs::remove_file(&path).unwrap();
        let (_, first) = open(&path, Start::First, NOON).unwrap();
        assert_eq!(first, None, "a first start is no loss");
    }

    #[test]
    fn what_was_cut_short_is_finished_wherever_it_was_cut() {
        let (_directory, path) = lived();
        damage(&path, 4096);
        fs::write(beside(&path, "-wal"), "what it held").unwrap();
        let note = Damage {
            time: NOON,
            found: Ruin::Damaged,
            detail: String::new(),
            outcome: Outcome::Open,
        };
        let aside = aside_of(&path, NOON);
        let steps: [&dyn Fn(); 5] = [
            &|| note.write(&path).unwrap(),
            &|| fs::rename(beside(&path, "-wal"), beside(&aside, "-wal")).unwrap(),
            &|| fs::rename(&path, &aside).unwrap(),
            &|| fs::write(beside(&path, ".restoring"), "half a copy").unwrap(),
            &|| fs::rename(beside(&path, ".restoring"), &path).unwrap(),
        ];
        let damaged = fs::read(&path).unwrap();
        for n in 1..=steps.len() {
            steps.iter().take(n).for_each(|step| step());
            if n == steps.len() {
                fs::copy(backup_of(&path), &path).unwrap();
            }
            let (n_tokens, outcome) = tokens(&path);
            assert_eq!(n_tokens, 100, "{n}");
            assert!(matches!(outcome, Some(Outcome::Restored(_))), "{n}");
            assert_eq!(fs::read(&aside).unwrap(), damaged, "{n}");
            assert_eq!(fs::read(beside(&aside, "-wal")).unwrap(), b"what it held", "{n}");
            fs::rename(&aside, &path).unwrap();
            fs::rename(beside(&aside, "-wal"), beside(&path, "-wal")).unwrap();
        }
    }

    #[test]
    fn a_database_that_was_gone_is_restored_once_wherever_that_was_cut() {
        let (_directory, path) = lived();
        fs::remove_file(&path).unwrap();
        let note =
            Damage { time: NOON, found: Ruin::Gone, detail: String::new(), outcome: Outcome::Open };
        let steps: [&dyn Fn(); 4] = [
            &|| note.write(&path).unwrap(),
            &|| fs::write(beside(&path, ".restoring"), "half a copy").unwrap(),
            &|| {
                fs::copy(backup_of(&path), beside(&path, ".restoring")).unwrap();
            },
            &|| fs::rename(beside(&path, ".restoring"), &path).unwrap(),
        ];
        let made = backed_up(&path).unwrap();
        for n in 1..=steps.len() {
            steps.iter().take(n).for_each(|step| step());
            assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))), "{n}");
            assert!(!aside_of(&path, NOON).exists(), "{n}: the copy stays");
            fs::remove_file(&path).unwrap();
        }
    }

    /// Leaves a database that has no write-ahead log as a kill in the middle of a change would: half changed, beside what
    /// undoes that.
    fn leave_half_changed(path: &Path) {
        let db = rusqlite::Connection::open(path).unwrap();
        db.pragma_update(None, "journal_mode", "DELETE").unwrap();
        // More than the cache holds, so that some of it reaches the file before the end.
        db.execute_batch(
            "PRAGMA cache_size = 10; BEGIN; DELETE FROM token; CREATE TABLE half AS
                 WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 SELECT hex(randomblob(100)) FROM n;",
        )
        .unwrap();
        let parts = ["", "-journal"].map(|part| beside(path, part));
        let left = parts.each_ref().map(|part| fs::read(part).unwrap());
        drop(db);
        for (part, bytes) in parts.iter().zip(left) {
            fs::write(part, bytes).unwrap();
        }
    }

    #[test]
    fn a_restored_database_that_was_half_changed_at_a_kill_kept_every_start_away() {
        let (_directory, path) = lived();
        leave_half_changed(&path);
        assert!(matches!(Reader::open(&path), Err(StoreError::Open { .. })));
        assert_eq!(tokens(&path), (200, None));
        assert!(!beside(&path, "-journal").exists());
    }

    #[test]
    fn what_undoes_a_change_of_a_damaged_database_is_set_aside_with_it() {
        let (_directory, path) = lived();
        leave_half_changed(&path);
        fs::write(&path, "no database at all").unwrap();
        let made = backed_up(&path).unwrap();
        assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))));
        assert_eq!(tokens(&path), (100, None));
    }

    #[test]
    fn what_this_program_does_not_know_is_not_damaged() {
        let (_directory, path) = lived();
        let store = Store::open(&path).unwrap();
        store.db.pragma_update(None, "user_version", 999).unwrap();
        drop(store);
        assert!(matches!(open(&path, Start::Later, NOON), Err(StoreError::Newer { .. })));
        assert!(!beside(&path, ".damage").exists());
    }
}
