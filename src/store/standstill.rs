//! The sign of a daemon whose database takes nothing: a lock on the state directory. What cannot be written can take no
//! note of that either, and the kernel removes a lock with the process that held it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::lock::holders;

/// Shows other processes that this one waits for the database, until dropped.
#[derive(Debug)]
pub struct Standstill {
    // Closing the directory releases the lock.
    _directory: File,
}

impl Standstill {
    /// Shows that whoever holds the [lock](super::Lock) of a state directory waits for the database in it.
    ///
    /// # Errors
    /// Any file system error.
    pub fn show(directory: &Path) -> io::Result<Self> {
        let directory = File::open(directory)?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { _directory: directory })
    }

    /// Returns whether a process shows this. Reads the kernel's list, as for [`Lock::holder`](super::Lock::holder).
    #[must_use]
    pub fn is_shown_by(pid: u32, directory: &Path) -> bool {
        let inode = fs::metadata(directory).map(|found| found.ino());
        inode.and_then(holders).is_ok_and(|pids| pids.contains(&pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_shown_until_it_is_over_and_nobody_else_shows_it() {
        let directory = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let is_shown = |pid| Standstill::is_shown_by(pid, directory.path());
        assert!(!is_shown(own));
        let standstill = Standstill::show(directory.path()).unwrap();
        assert!(is_shown(own) && !is_shown(own + 1));
        drop(standstill);
        assert!(!is_shown(own));
        assert!(!Standstill::is_shown_by(own, &directory.path().join("absent")));
    }
}
