//! Whether the files of an open database still have their names. SQLite does not look: whoever removes or replaces one
//! under a process leaves it writing into a file that nobody will open again.

use std::fs::symlink_metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::backup::beside;
use super::{Store, StoreError};

/// A file by its device and inode.
type Identity = (u64, u64);

/// The files of an open database, as they were when it was opened. None of them is ever replaced while it is open.
#[derive(Debug, Default)]
pub(super) struct Place(Vec<(PathBuf, Identity)>);

impl Place {
    /// Notes the files of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let files = ["", "-wal", "-shm"].map(|ending| beside(path, ending));
        let found = files.into_iter().filter_map(|file| Some((identity(&file)??, file)));
        Self(found.map(|(identity, file)| (file, identity)).collect())
    }

    /// Returns the first file that is gone or another one. What cannot be looked at is taken to be in place.
    fn missing(&self) -> Option<&Path> {
        let is_moved = |(file, noted): &&(PathBuf, Identity)| {
            identity(file).is_some_and(|found| found != Some(*noted))
        };
        self.0.iter().find(is_moved).map(|(file, _)| file.as_path())
    }
}

/// Returns which file has this name, `Some(None)` if none has, and `None` if that cannot be seen.
fn identity(file: &Path) -> Option<Option<Identity>> {
    match symlink_metadata(file) {
        Ok(found) => Some(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(None),
        Err(_) => None,
    }
}

impl Store {
    /// Checks that the database has not been removed or replaced since it was opened.
    ///
    /// # Errors
    /// [`StoreError::Moved`]. All that was committed is then in the file that was opened, wherever it is now, and none
    /// of it in a write-ahead log that a database put in its place could take for its own.
    pub fn expect_in_place(&self) -> Result<(), StoreError> {
        let Some(path) = self.place.missing() else { return Ok(()) };
        // If that fails, the next start checks the database, as it always does.
        self.reader.db.pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
        Err(StoreError::Moved { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Reader;
    use crate::store::sample::{NOON, commit_of, state};

    fn n_tokens(path: &Path) -> u64 {
        Reader::open(path).unwrap().stats().unwrap().tokens
    }

    #[test]
    fn a_database_was_written_on_though_its_files_were_removed_or_replaced() {
        for ending in ["", "-wal", "-shm"] {
            let (_directory, path) = state();
            let mut store = Store::open(&path).unwrap();
            store.commit(&commit_of(&[1]), NOON).unwrap();
            store.expect_in_place().unwrap();
            fs::remove_file(beside(&path, ending)).unwrap();
            let moved = store.expect_in_place().unwrap_err();
            assert!(!moved.is_temporary() && !moved.is_damage_of(&path), "{moved}");
            assert!(moved.to_string().contains(&format!("tokenwatch.db{ending}: ")), "{moved}");
        }
    }

    #[test]
    fn a_database_that_was_put_back_was_given_what_the_other_had_written() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        store.commit(&commit_of(&[1]), NOON).unwrap();
        let (old, away) = (beside(&path, ".old"), beside(&path, ".away"));
        store.backup(&old).unwrap();
        store.commit(&commit_of(&[2, 3]), NOON).unwrap();
        fs::rename(&path, &away).unwrap();
        fs::rename(&old, &path).unwrap();
        store.expect_in_place().unwrap_err();
        drop(store);
        assert_eq!((n_tokens(&path), n_tokens(&away)), (1, 3));
        assert!(Store::open(&path).unwrap().expect_in_place().is_ok());
    }

    #[test]
    fn whoever_opens_and_closes_the_database_leaves_it_in_place() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        for n in 1..4 {
            let mut other = Store::open(&path).unwrap();
            other.commit(&commit_of(&[n]), NOON).unwrap();
            drop((other, Reader::open(&path).unwrap()));
            store.expect_in_place().unwrap();
        }
        store.commit(&commit_of(&[7]), NOON).unwrap();
        store.expect_in_place().unwrap();
        Store::in_memory().unwrap().expect_in_place().unwrap();
    }
}
