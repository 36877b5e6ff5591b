//! Pipes in the place of files of git, which git would open and wait for, for as long as nobody writes.

use std::fs::{self, File, FileType};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The longest path that is read in a file of git.
const MAX_PATH: u64 = 4096;

/// Returns a pipe or a device among the files that git reads of a repository, if there is one.
pub(super) fn pipe_in(repository: &Path) -> Option<PathBuf> {
    let dot_git = repository.join(".git");
    let directory = match fs::metadata(&dot_git) {
        Ok(of) if of.is_dir() => dot_git,
        // A submodule, or a further working tree.
        Ok(of) if of.is_file() => repository.join(named(&dot_git, "gitdir: ")?),
        Ok(of) => return is_waited_for(of.file_type()).then_some(dot_git),
        // Without a working tree.
        Err(_) => repository.to_owned(),
    };
    pipe_below(&directory).or_else(|| {
        let common = directory.join(named(&directory.join("commondir"), "")?);
        pipe_below(&common)
    })
}

/// Reads a path from a file of one line.
fn named(file: &Path, head: &str) -> Option<String> {
    if !fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut line = String::new();
    File::open(file).ok()?.take(MAX_PATH).read_to_string(&mut line).ok()?;
    line.trim_end().strip_prefix(head).map(str::to_owned)
}

/// Without recursion, and without links to directories, which might lead round in circles.
fn pipe_below(directory: &Path) -> Option<PathBuf> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if !kind.is_file()
                && fs::metadata(entry.path()).is_ok_and(|of| is_waited_for(of.file_type()))
            {
                return Some(entry.path());
            }
        }
    }
    None
}

/// A socket cannot be opened: nobody waits for it, and git has one of its own.
fn is_waited_for(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    fn make_pipe(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        mknodat(CWD, path, Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    /// Looks in a repository in which something was made.
    fn found(make: impl Fn(&Path)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("other/refs")).unwrap();
        make(folder.path());
        let found = pipe_in(folder.path())?;
        Some(found.strip_prefix(folder.path()).unwrap().display().to_string())
    }

    #[test]
    fn a_pipe_is_found_wherever_git_reads() {
        let name = |name: &'static str| move |folder: &Path| make_pipe(&folder.join(name));
        assert_eq!(found(name(".git")).unwrap(), ".git");
        assert_eq!(found(name(".git/packed-refs")).unwrap(), ".git/packed-refs");
        assert_eq!(found(name("objects/ab/cd")).unwrap(), "objects/ab/cd");
        let linked = |folder: &Path| {
            fs::create_dir(folder.join(".git")).unwrap();
            symlink("/dev/zero", folder.join(".git/shallow")).unwrap();
        };
        assert_eq!(found(linked).unwrap(), ".git/shallow");
        let elsewhere = |folder: &Path| {
            fs::write(folder.join(".git"), "gitdir: other\n").unwrap();
            fs::write(folder.join("other/commondir"), "../common\n").unwrap();
            make_pipe(&folder.join("common/HEAD"));
        };
        assert_eq!(found(elsewhere).unwrap(), "other/../common/HEAD");
    }

    #[test]
    fn what_git_does_not_wait_for_is_left_alone() {
        let usual = |folder: &Path| {
            fs::create_dir(folder.join(".git")).unwrap();
            make_pipe(&folder.join("pipe"));
            symlink("..", folder.join(".git/around")).unwrap();
            symlink("nowhere", folder.join(".git/dangling")).unwrap();
            drop(UnixListener::bind(folder.join(".git/fsmonitor--daemon.ipc")).unwrap());
        };
        assert_eq!(found(usual), None);
        assert_eq!(found(|folder| fs::write(folder.join(".git"), "no path").unwrap()), None);
    }
}
