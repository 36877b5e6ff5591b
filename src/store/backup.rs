//! Copies of the database that are known to be whole, and moving a damaged one out of the way.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::engine::time::Timestamp;

use super::{Reader, StoreError};

impl Reader {
    /// Copies the last commit to `to` (0600), in place of what was there. The copy takes that name
    /// only after it was found whole and the disk has it; the daemon may go on writing.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the path of the copy if it is not whole, which then is removed.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let partial = beside(to, ".partial");
        let outcome = self.copy(&partial).and_then(|()| {
            std::fs::rename(&partial, to)
                .map_err(|source| StoreError::file(to, "naming the backup", source))?;
            let directory = to.parent().filter(|path| !path.as_os_str().is_empty());
            sync(directory.unwrap_or(Path::new(".")))
        });
        if outcome.is_err() && partial.exists() {
            std::fs::remove_file(&partial)
                .map_err(|source| StoreError::file(&partial, "removing a backup", source))?;
        }
        outcome
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(to)
            .map_err(|source| StoreError::file(to, "making a backup", source))?;
        let copy = || {
            let mut copy = Connection::open(to)?;
            // All pages in one step: one snapshot, which no writer has to wait for.
            let pause = Duration::from_millis(10);
            Backup::new(&self.db, &mut copy)?.run_to_completion(i32::MAX, pause, None)?;
            // One file, without a log beside it.
            copy.pragma_update(None, "journal_mode", "DELETE")?;
            copy.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
        };
        let doing = "backing up";
        match copy() {
            Ok(verdict) if verdict == "ok" => sync(to),
            Ok(detail) => Err(StoreError::Corrupt { path: to.to_owned(), doing, detail }),
            Err(source) => Err(StoreError::database(to, doing, source)),
        }
    }
}

/// Moves a damaged database and the files beside it out of the way, for a person to look at:
/// `tokenwatch.db.damaged-1795453833`. Returns the new path. Nobody may have it open.
///
/// # Errors
/// What the file system says.
pub fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let aside = beside(path, &format!(".damaged-{}", now.seconds()));
    for part in ["-wal", "-shm", ""] {
        let from = beside(path, part);
        match std::fs::rename(&from, beside(&aside, part)) {
            Ok(()) => {}
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::file(&from, "setting aside", source)),
        }
    }
    Ok(aside)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| StoreError::file(path, "writing to disk", source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::Store;
    use crate::store::sample::{NOON, commit_of, state};

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
}
