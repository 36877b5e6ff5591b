//! One daemon per state directory: a lock that the kernel releases when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{StoreError, private};
use crate::mount::is_remote;

/// The right to judge and to mail for one state directory, until dropped.
///
/// `run` and `replay --save` need it, and so does what replaces the key or the backup. Other commands that change
/// something write beside a running daemon, each in a transaction of its own.
#[derive(Debug)]
pub struct Lock {
    // Closing the file releases the lock. The file itself stays: removing it would let two daemons hold locks on two
    // files of the same name.
    file: File,
    role: Role,
    has_run: bool,
}

/// What the lock is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Watching.
    Daemon,
    /// A command that ends by itself: `replay --save`, `tokens rekey`, `tokens forget`.
    Command,
}

/// Whether a start of the lock's holder is the first. Only at a later one can a database be lost: the first may be
/// interrupted at any point and leave an empty file or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There was never a database.
    First,
    /// There was one.
    Later,
}

/// Who holds the lock of a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The process with this id, for this.
    Process(u32, Role),
    /// Nobody.
    Nobody,
}

/// The kernel's list of locks.
const LOCKS: &str = "/proc/locks";

/// What the file contains below its holder's process id once there was a database.
const RAN: &str = "has run\n";

/// What the file contains below that while a command holds the lock. A daemon writes nothing, as earlier versions
/// always did.
const COMMAND: &str = "command\n";

/// More than the length of the file.
const MAX_TEXT: u64 = 64;

impl Lock {
    /// The lock's file name in the state directory. Its first line is the process id of its holder.
    pub const FILE: &'static str = "tokenwatch.lock";

    /// Takes the lock of a state directory, which is created (0700) if it is absent.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process holds it; [`StoreError::Remote`] if the directory is on another
    /// machine; otherwise any file system error.
    pub fn take(directory: &Path, role: Role) -> Result<Self, StoreError> {
        private::make_directory(directory)?;
        let is_remote = is_remote(directory)
            .map_err(|cause| StoreError::file(directory, "identifying the file system", cause))?;
        if is_remote {
            return Err(StoreError::Remote { path: directory.to_owned() });
        }
        let path = directory.join(Self::FILE);
        let fault = |doing| move |source| (doing, source);
        let take = || {
            let mut file = private::open_or_make(&path).map_err(fault("opening the lock"))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(Err(holder(&mut file))),
                Err(errno) => return Err(("locking", errno.into())),
            }
            let has_run = text(&mut file).map_err(fault("reading the lock"))?.contains(RAN);
            let mut lock = Self { file, role, has_run };
            lock.write().map_err(fault("writing the lock"))?;
            Ok(Ok(lock))
        };
        match take() {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(holder)) => Err(StoreError::Locked { path, holder }),
            Err((doing, source)) => Err(StoreError::file(&path, doing, source)),
        }
    }

    /// Returns who holds the lock of a state directory; `None` if that cannot be determined.
    ///
    /// Reads the kernel's list: trying to take the lock could make a daemon's start fail at that moment.
    #[must_use]
    pub fn holder(directory: &Path) -> Option<Holder> {
        let path = directory.join(Self::FILE);
        let mut file = match private::open(&path, OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Holder::Nobody),
            file => file.ok()?,
        };
        let pids = holders(file.metadata().ok()?.ino()).ok()?;
        if pids.is_empty() {
            return Some(Holder::Nobody);
        }
        // Inode numbers of two file systems may be equal, and a container has process ids of its own.
        let (pid, role) = holder(&mut file).filter(|(pid, _)| pids.contains(pid))?;
        Some(Holder::Process(pid, role))
    }

    /// Returns whether there was ever a database in a state directory, as far as its lock can be read.
    #[must_use]
    pub fn last_start(directory: &Path) -> Start {
        let mut options = OpenOptions::new();
        let file = private::open(&directory.join(Self::FILE), options.read(true));
        let is_later = file.and_then(|mut file| text(&mut file)).is_ok_and(|it| it.contains(RAN));
        if is_later { Start::Later } else { Start::First }
    }

    /// Returns whether there was a database under this lock before.
    #[must_use]
    pub const fn start(&self) -> Start {
        if self.has_run { Start::Later } else { Start::First }
    }

    /// Records that there is a database.
    ///
    /// # Errors
    /// Any file system error.
    pub fn note_run(&mut self, directory: &Path) -> Result<(), StoreError> {
        if self.has_run {
            return Ok(());
        }
        self.has_run = true;
        let noted = self.write().and_then(|()| self.file.sync_all());
        noted.map_err(|source| {
            self.has_run = false;
            StoreError::file(&directory.join(Self::FILE), "writing the lock", source)
        })
    }

    /// Overwrites the file before truncating it: a kill in between leaves what was recorded.
    fn write(&mut self) -> io::Result<()> {
        let role = match self.role {
            Role::Daemon => "",
            Role::Command => COMMAND,
        };
        let text = format!("{}\n{}{role}", std::process::id(), if self.has_run { RAN } else { "" });
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// Returns the processes that hold an exclusive flock(2) on an inode, of whatever file system.
pub(super) fn holders(inode: u64) -> io::Result<Vec<u32>> {
    let locks = std::fs::read_to_string(LOCKS)?;
    Ok(locks.lines().filter_map(|line| pid_of_flock(line, inode)).collect())
}

/// Returns the process that holds an exclusive flock(2) on an inode, if this line of the kernel's list names one (see
/// `proc_locks(5)`):
///
/// ```text
/// 2: FLOCK  ADVISORY  WRITE 2001 08:01:7864554 0 EOF
/// ```
fn pid_of_flock(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", pid, file, ..] = words.as_slice() else { return None };
    let is_it = file.rsplit(':').next()?.parse() == Ok(inode);
    pid.parse().ok().filter(|_| is_it)
}

fn text(file: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn holder(file: &mut File) -> Option<(u32, Role)> {
    let text = text(file).ok()?;
    let role = if text.ends_with(COMMAND) { Role::Command } else { Role::Daemon };
    let pid = text.lines().next()?.trim().parse().ok()?;
    Some((pid, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        for (role, name) in [(Role::Daemon, "daemon"), (Role::Command, "command")] {
            let first = Lock::take(directory.path(), role).unwrap();
            let second = Lock::take(directory.path(), Role::Daemon).unwrap_err();
            let StoreError::Locked { holder, .. } = &second else { panic!("{second}") };
            assert_eq!(*holder, Some((pid, role)));
            let said = format!("held by another {name}, process {pid}");
            assert!(second.to_string().contains(&said), "{second}");
            drop(first);
        }
        assert!(Lock::take(directory.path(), Role::Daemon).is_ok());
    }

    #[test]
    fn who_holds_the_lock_is_known_without_trying_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Lock::holder(directory.path()), Some(Holder::Nobody));
        for role in [Role::Command, Role::Daemon] {
            let mut lock = Lock::take(directory.path(), role).unwrap();
            let holder = Some(Holder::Process(std::process::id(), role));
            assert_eq!(Lock::holder(directory.path()), holder);
            lock.note_run(directory.path()).unwrap();
            assert_eq!(Lock::holder(directory.path()), holder);
            drop(lock);
            assert_eq!(Lock::holder(directory.path()), Some(Holder::Nobody));
        }
    }

    #[test]
    fn a_list_of_locks_is_read_as_the_kernel_writes_it() {
        let line = "2: FLOCK  ADVISORY  WRITE 2001 08:01:7864554 0 EOF";
        assert_eq!(pid_of_flock(line, 7_864_554), Some(2001));
        for (line, inode) in [
            (line, 7_864_555),
            ("1: POSIX  ADVISORY  READ 5433 08:01:7864554 128 128", 7_864_554),
            ("2: -> FLOCK  ADVISORY  WRITE 2002 08:01:7864554 0 EOF", 7_864_554),
            ("2: FLOCK", 7_864_554),
            ("", 0),
        ] {
            assert_eq!(pid_of_flock(line, inode), None, "{line}");
        }
    }

    #[test]
    fn the_lock_of_a_dead_daemon_is_free_whatever_it_wrote() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(Lock::FILE), "99999999999 and more text").unwrap();
        let lock = Lock::take(directory.path(), Role::Daemon).unwrap();
        let text = std::fs::read_to_string(directory.path().join(Lock::FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(lock);
    }

    #[test]
    fn that_there_was_a_database_is_kept_over_restarts() {
        let directory = tempfile::tempdir().unwrap();
        for n in 0..3 {
            let mut lock = Lock::take(directory.path(), Role::Daemon).unwrap();
            assert_eq!(
                lock.start() == Start::Later,
                n > 1,
                "a first start may end before there is one"
            );
            if n > 0 {
                lock.note_run(directory.path()).unwrap();
            }
            let second = Lock::take(directory.path(), Role::Daemon).unwrap_err();
            let StoreError::Locked { holder, .. } = &second else { panic!("{second}") };
            assert_eq!(*holder, Some((std::process::id(), Role::Daemon)));
        }
    }
}
