//! The daily backup, on its own thread and connection: neither the loop nor the mails wait for it. What it is made of
//! is compacted first if something was forgotten, for which the loop's commits do wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::{monotonic, now};
use crate::daemon::compaction::compact_beside_loop;
use crate::daemon::housekeeper::Chore;
use crate::store::{Reader, StoreError, backup_of, certain};

/// Interval between checks of whether a backup is due.
const EVERY: Duration = Duration::from_mins(1);

/// Wait after a failed backup.
const PAUSE: Duration = Duration::from_hours(6);

/// The database's backups.
pub struct Backups {
    database: PathBuf,
    /// Receives the outcome.
    chores: SyncSender<Chore>,
    asked: Option<Duration>,
    /// Wait before the next check.
    wait: Duration,
    is_running: bool,
}

/// The outcome of a backup.
pub enum Outcome {
    /// None was due.
    NotDue,
    /// A backup was made.
    Made,
    /// The backup failed.
    Failed(StoreError),
    /// The backup panicked.
    Panicked,
}

impl Backups {
    /// Creates the backups of this database.
    #[must_use]
    pub const fn new(database: PathBuf, chores: SyncSender<Chore>) -> Self {
        Self { database, chores, asked: None, wait: EVERY, is_running: false }
    }

    /// Starts a backup if one is due. Returns how long there is nothing to do, unless [`Chore::BackedUp`] arrives
    /// before.
    ///
    /// The end of the daemon does not wait for a running backup: it gets its final name only when it is complete.
    pub fn turn(&mut self) -> Duration {
        let asked = self.asked.map(|asked| monotonic().saturating_sub(asked));
        if self.is_running || asked.is_some_and(|ago| ago < self.wait) {
            return EVERY;
        }
        self.asked = Some(monotonic());
        self.wait = EVERY;
        let (database, chores) = (self.database.clone(), self.chores.clone());
        let begun = thread::Builder::new().name("backup".into()).spawn(move || {
            let outcome = outcome(|| certain(|| back_up(&database)));
            // The queue may be full: there is no hurry. The receiver is gone once the daemon ends.
            chores.send(Chore::BackedUp(Box::new(outcome))).ok();
        });
        match begun {
            Ok(_) => self.is_running = true,
            Err(error) => warn!(%error, "No backup can be made now."),
        }
        EVERY
    }

    /// Logs an outcome. Returns whether there is a new backup; `None` if none was due.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn note(&mut self, outcome: Outcome) -> Result<Option<bool>, StoreError> {
        self.is_running = false;
        match outcome {
            Outcome::NotDue => return Ok(None),
            Outcome::Made => {
                let path = backup_of(&self.database);
                info!(path = %path.display(), "A backup of the database was made.");
                return Ok(Some(true));
            }
            Outcome::Failed(error) if error.is_damage_of(&self.database) => return Err(error),
            Outcome::Failed(error) => {
                warn!(%error, "The backup failed; the last one is kept, and the next attempt is in 6 h.");
            }
            Outcome::Panicked => {
                error!(
                    "The backup panicked; the last one is kept, and the next attempt is in 6 h."
                );
            }
        }
        self.wait = PAUSE;
        Ok(Some(false))
    }
}

/// Returns the outcome of a backup. Catches its panic, which would go unnoticed otherwise.
fn outcome(action: impl FnOnce() -> Result<bool, StoreError>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(false)) => Outcome::NotDue,
        Ok(Ok(true)) => Outcome::Made,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(_) => Outcome::Panicked,
    }
}

/// Makes a backup if one is due; returns whether it was.
fn back_up(database: &Path) -> Result<bool, StoreError> {
    let reader = Reader::open(database)?;
    if !reader.is_backup_due(now())? {
        return Ok(false);
    }
    compact_beside_loop(&reader)?;
    reader.backup(&backup_of(database)).map(|()| true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::mpsc::sync_channel;
    use std::time::SystemTime;

    use super::*;
    use crate::engine::registry::Registered;
    use crate::engine::time::Timestamp;
    use crate::store::{Store, Who, backed_up};

    /// A database with contents, next to a backup from 1970.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokenwatch.db");
        let named = |n: u32| Registered { name: format!("ci-{n}").into(), ..Registered::default() };
        let rows: Vec<Registered> = (0..2000).map(named).collect();
        Store::open(&path).unwrap().register(&rows, "", Timestamp(0)).unwrap();
        File::create(backup_of(&path)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        (directory, path)
    }

    /// Makes one backup, if it is due; returns the noted result, and how long to wait for the next.
    fn finish(database: &Path) -> (Result<Option<bool>, StoreError>, Duration) {
        let (chores, reports) = sync_channel(1);
        let mut backups = Backups::new(database.to_owned(), chores);
        // The thread reports by itself, so a second turn does nothing.
        assert_eq!([backups.turn(), backups.turn()], [EVERY; 2]);
        let Chore::BackedUp(outcome) = reports.recv().unwrap() else { panic!() };
        assert!(reports.try_recv().is_err(), "one at a time");
        (backups.note(*outcome), backups.wait)
    }

    #[test]
    fn a_fault_of_the_program_is_told_like_any_that_keeps_a_backup_from_being_made() {
        let (chores, _reports) = sync_channel(1);
        let mut backups = Backups::new(PathBuf::new(), chores);
        let outcome = outcome(|| panic!("a fault"));
        assert!(matches!(outcome, Outcome::Panicked));
        assert_eq!(backups.note(outcome).unwrap(), Some(false));
        assert_eq!(backups.wait, PAUSE);
    }

    #[test]
    fn a_backup_that_is_due_is_made_once() {
        let (_directory, path) = site();
        let (noted, wait) = finish(&path);
        assert_eq!((noted.unwrap(), wait), (Some(true), EVERY));
        let made = backed_up(&path).unwrap();
        assert!(made > Timestamp(0));
        assert_eq!(finish(&path).0.unwrap(), None);
        assert_eq!(backed_up(&path), Some(made));
    }

    #[test]
    fn the_backup_after_something_was_forgotten_is_of_a_compacted_database() {
        let (_directory, path) = site();
        let mut store = Store::open(&path).unwrap();
        store.forget(&Who::Principal("ci-7".into())).unwrap();
        // Whoever has it in memory has still to forget it.
        assert_eq!(finish(&path).0.unwrap(), None);
        store.forget_again().unwrap();
        assert!(store.is_compaction_due().unwrap());
        assert_eq!(finish(&path).0.unwrap(), Some(true));
        assert!(!store.is_compaction_due().unwrap());
        let copy = Store::open(&backup_of(&path)).unwrap();
        assert_eq!(
            (copy.registry().unwrap().len(), copy.is_compaction_due().unwrap()),
            (1999, false)
        );
    }

    #[test]
    fn damage_that_a_backup_finds_is_told_and_leaves_the_last_one() {
        let (_directory, path) = site();
        let mut bytes = fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes.iter_mut().skip(half).for_each(|byte| *byte = 0x5a);
        fs::write(&path, bytes).unwrap();
        let damage = finish(&path).0.unwrap_err();
        assert!(damage.is_damage_of(&path), "{damage}");
        assert_eq!(backed_up(&path), Some(Timestamp(0)));
    }

    #[test]
    fn what_is_in_the_way_of_a_backup_is_tried_again_hours_later() {
        let (_directory, path) = site();
        fs::create_dir(path.with_file_name("tokenwatch.db.backup.partial")).unwrap();
        let (noted, wait) = finish(&path);
        assert_eq!((noted.unwrap(), wait), (Some(false), PAUSE));
        assert_eq!(backed_up(&path), Some(Timestamp(0)));
    }
}
