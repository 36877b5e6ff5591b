//! The daily backup, on a thread and a connection of its own: neither the loop nor the mails wait for it.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{monotonic, now};
use crate::store::{Reader, StoreError, backup_of};

/// How often it is asked whether one is due.
const EVERY: Duration = Duration::from_mins(1);

/// After one that came to nothing, the next is not tried for so long.
const PAUSE: Duration = Duration::from_hours(6);

/// One that runs is looked after this often.
const RUNNING: Duration = Duration::from_millis(100);

/// The database's backups.
pub struct Backups {
    database: PathBuf,
    asked: Option<Duration>,
    /// How long to wait before it is asked again.
    wait: Duration,
    running: Option<JoinHandle<Result<bool, StoreError>>>,
}

impl Backups {
    /// Makes backups of this database, the first one when it is due.
    #[must_use]
    pub const fn new(database: PathBuf) -> Self {
        Self { database, asked: None, wait: EVERY, running: None }
    }

    /// Begins a backup if one is due, or tells how the last one went. Returns how long there is nothing to do.
    ///
    /// One that runs when the daemon ends is not waited for: it has another name until it is whole.
    ///
    /// # Errors
    /// The database is damaged.
    pub fn turn(&mut self) -> Result<Duration, StoreError> {
        if let Some(running) = self.running.take_if(|running| running.is_finished()) {
            self.note(running.join().unwrap_or(Ok(false)))?;
        }
        if self.running.is_some() {
            return Ok(RUNNING);
        }
        let is_due = self.asked.is_none_or(|asked| monotonic().saturating_sub(asked) >= self.wait);
        if !is_due {
            return Ok(self.wait);
        }
        self.asked = Some(monotonic());
        self.wait = EVERY;
        let database = self.database.clone();
        let begun = thread::Builder::new().name("backup".into()).spawn(move || back_up(&database));
        match begun {
            Ok(running) => self.running = Some(running),
            Err(error) => warn!(%error, "No backup can be made now."),
        }
        Ok(RUNNING)
    }

    fn note(&mut self, outcome: Result<bool, StoreError>) -> Result<(), StoreError> {
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                let path = backup_of(&self.database);
                info!(path = %path.display(), "A backup of the database was made.");
            }
            Err(error) if error.is_damage_of(&self.database) => return Err(error),
            Err(error) => {
                self.wait = PAUSE;
                warn!(%error, "No backup was made; the last one stays, and the next is tried in 6 h.");
            }
        }
        Ok(())
    }
}

/// Makes a backup if one is due; tells whether it was.
fn back_up(database: &Path) -> Result<bool, StoreError> {
    let reader = Reader::open(database)?;
    if !reader.is_backup_due(now())? {
        return Ok(false);
    }
    reader.backup(&backup_of(database)).map(|()| true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::*;
    use crate::engine::registry::Registered;
    use crate::engine::time::Timestamp;
    use crate::store::{Store, backed_up};

    /// A database that holds something, beside a backup of 1970.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokenwatch.db");
        let named = |n: u32| Registered { name: format!("ci-{n}").into(), ..Registered::default() };
        let rows: Vec<Registered> = (0..2000).map(named).collect();
        Store::open(&path).unwrap().register(&rows, "", Timestamp(0)).unwrap();
        File::create(backup_of(&path)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        (directory, path)
    }

    fn finish(backups: &mut Backups) -> Result<(), StoreError> {
        while backups.turn()? == RUNNING {
            thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn a_backup_that_is_due_is_made_once() {
        let (_directory, path) = site();
        let mut backups = Backups::new(path.clone());
        finish(&mut backups).unwrap();
        assert_eq!(backups.wait, EVERY);
        let made = backed_up(&path).unwrap();
        assert!(made > Timestamp(0));
        finish(&mut Backups::new(path.clone())).unwrap();
        assert_eq!(backed_up(&path), Some(made));
    }

    #[test]
    fn damage_that_a_backup_finds_is_told_and_leaves_the_last_one() {
        let (_directory, path) = site();
        let mut bytes = fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes.iter_mut().skip(half).for_each(|byte| *byte = 0x5a);
        fs::write(&path, bytes).unwrap();
        let damage = finish(&mut Backups::new(path.clone())).unwrap_err();
        assert!(damage.is_damage_of(&path), "{damage}");
        assert_eq!(backed_up(&path), Some(Timestamp(0)));
    }

    #[test]
    fn what_is_in_the_way_of_a_backup_is_tried_again_hours_later() {
        let (_directory, path) = site();
        fs::create_dir(path.with_file_name("tokenwatch.db.backup.partial")).unwrap();
        let mut backups = Backups::new(path.clone());
        finish(&mut backups).unwrap();
        assert_eq!(backups.wait, PAUSE);
        assert_eq!(backed_up(&path), Some(Timestamp(0)));
    }
}
