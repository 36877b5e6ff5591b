//! One daemon per state directory: a lock that the kernel takes back when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{StoreError, private_directory};
use crate::mount::is_remote;

/// The right to judge and to mail for one state directory, until dropped.
///
/// Only `run` and `replay --save` need it. Commands that change the registry write beside a
/// running daemon, each in a transaction of its own.
#[derive(Debug)]
pub struct Lock {
    // Closing the file gives the lock back. The file itself stays: removing it would let two
    // daemons hold locks on two files of one name.
    _file: File,
}

impl Lock {
    /// The lock's file name in the state directory. It holds the process id of its holder.
    pub const FILE: &'static str = "tokenwatch.lock";

    /// Takes the lock of a state directory, which is made (0700) if it is absent.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process holds it; [`StoreError::Remote`] if the directory lies
    /// on another machine; otherwise what the file system says.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let is_remote = is_remote(directory)
            .map_err(|cause| StoreError::file(directory, "asking for the file system", cause))?;
        if is_remote {
            return Err(StoreError::Remote { path: directory.to_owned() });
        }
        let path = directory.join(Self::FILE);
        let fault = |doing| move |source| (doing, source);
        let take = || {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(fault("opening the lock"))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(Err(holder(&mut file))),
                Err(errno) => return Err(("locking", errno.into())),
            }
            file.set_len(0).map_err(fault("emptying the lock"))?;
            let pid = std::process::id();
            file.write_all(format!("{pid}\n").as_bytes()).map_err(fault("writing the lock"))?;
            Ok(Ok(Self { _file: file }))
        };
        match take() {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(holder)) => Err(StoreError::Locked { path, holder }),
            Err((doing, source)) => Err(StoreError::file(&path, doing, source)),
        }
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::take(directory.path()).unwrap();
        let second = Lock::take(directory.path()).unwrap_err();
        let StoreError::Locked { holder, .. } = &second else { panic!("{second}") };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(second.to_string().ends_with(&format!("process {}", std::process::id())));
        drop(first);
        assert!(Lock::take(directory.path()).is_ok());
    }

    #[test]
    fn the_lock_of_a_dead_daemon_is_free_whatever_it_wrote() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(Lock::FILE), "99999999999 and more text").unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        let text = std::fs::read_to_string(directory.path().join(Lock::FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(lock);
    }
}
