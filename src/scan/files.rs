//! Files, those in directories, and standard input.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{STDIN, Scan, ScanError, utf16};

/// The largest file in a directory that is read: no code or configuration is larger, but archives and dumps are. One
/// that is named itself is read whatever its size.
pub const MAX_FILE: u64 = 64 << 20;

/// How many first bytes tell whether a file is binary, as in git; but text in UTF-16 with its mark is text.
const HEAD: u64 = 8 * 1024;

/// What git keeps in a working tree: read by [`Scan::history`].
const GIT: &str = ".git";

impl Scan<'_> {
    /// Searches a file, the files in a directory and below it, or standard input (`-`).
    ///
    /// In a directory, everything is read whatever its name, also what git ignores, except `.git`, links, binary files
    /// and those that are too large. A file that is named itself is read in any case.
    ///
    /// # Errors
    /// Those of `tell`.
    pub fn path(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str() == STDIN {
            let is_whole = self.stream(path, io::stdin().lock())?;
            self.tally.files += u64::from(is_whole);
            return Ok(());
        }
        match fs::metadata(path) {
            Ok(of) if of.is_dir() => self.folder(path),
            Ok(of) if of.is_file() => self.named(path),
            Ok(_) => {
                self.note(ScanError::Special { path: path.to_owned() });
                Ok(())
            }
            Err(cause) => {
                self.note(ScanError::Read { doing: "opening", path: path.to_owned(), cause });
                Ok(())
            }
        }
    }

    fn named(&mut self, path: &Path) -> io::Result<()> {
        match open(path) {
            Ok(file) => {
                let is_whole = self.stream(path, file)?;
                self.tally.files += u64::from(is_whole);
            }
            Err(cause) => {
                self.note(ScanError::Read { doing: "opening", path: path.to_owned(), cause });
            }
        }
        Ok(())
    }

    /// Searches a directory without recursion: directories can be nested deeper than a stack is.
    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            let mut folders = Vec::new();
            for (path, kind) in self.list(&folder) {
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    self.listed(&path)?;
                }
            }
            waiting.extend(folders.into_iter().rev());
        }
        Ok(())
    }

    /// Returns what is in a directory, by name, without `.git`.
    fn list(&mut self, folder: &Path) -> Vec<(PathBuf, fs::FileType)> {
        let list = || {
            let mut found = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_name() != GIT {
                    found.push((entry.path(), entry.file_type()?));
                }
            }
            Ok(found)
        };
        match list() {
            Ok(mut found) => {
                found.sort_by(|(a, _), (b, _)| a.cmp(b));
                found
            }
            Err(cause) => {
                self.note_unless_gone("listing", folder, cause);
                Vec::new()
            }
        }
    }

    /// Searches a file that was seen in a directory, unless it is binary or too large.
    fn listed(&mut self, path: &Path) -> io::Result<()> {
        let look = || {
            let mut file = open(path)?;
            let length = file.metadata()?.len();
            let mut head = Vec::new();
            file.by_ref().take(HEAD).read_to_end(&mut head)?;
            Ok((file, length, head))
        };
        let (file, length, head) = match look() {
            Ok(seen) => seen,
            Err(cause) => {
                self.note_unless_gone("opening", path, cause);
                return Ok(());
            }
        };
        if memchr::memchr(0, &head).is_some() && !utf16::is_marked(&head) {
            self.tally.binary += 1;
        } else if MAX_FILE < length {
            self.tally.large += 1;
        } else {
            let is_whole = self.stream(path, head.as_slice().chain(file))?;
            self.tally.files += u64::from(is_whole);
        }
        Ok(())
    }

    /// Notes a fault, unless somebody has removed what was there when the directory was listed.
    fn note_unless_gone(&mut self, doing: &'static str, path: &Path, cause: io::Error) {
        if cause.kind() != io::ErrorKind::NotFound {
            self.note(ScanError::Read { doing, path: path.to_owned(), cause });
        }
    }
}

/// Opens a file for reading. Never waits: it may have become a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::engine::token::Spot;
    use crate::scan::Whereabouts;
    use crate::scan::sample::{STRIPE, found, scanned, searcher};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn hidden_files_are_read_and_git_links_and_binary_files_are_not() {
        let folder = folder();
        let line = format!("x\nkey={STRIPE}\n");
        for name in [".env", "a/b/c.yml", ".git/config", "a/.git", "z"] {
            write(folder.path(), name, &line);
        }
        write(folder.path(), "a/logo.png", [line.as_bytes(), b"\0"].concat());
        symlink(folder.path().join(".git"), folder.path().join("linked")).unwrap();
        symlink(folder.path().join("z"), folder.path().join("y")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        let (told, tally, faults) = scanned(|scan| scan.path(folder.path()));
        assert_eq!(found(&told, folder.path()), [".env:2:5", "z:2:5", "a/b/c.yml:2:5"]);
        assert_eq!((tally.files, tally.binary, faults.len()), (3, 1, 0));
    }

    #[test]
    fn text_in_utf_16_was_skipped_as_binary() {
        let folder = folder();
        let text = format!("\u{feff}one\r\nkey={STRIPE}\r\n");
        let orders = [("be", u16::to_be_bytes as fn(u16) -> [u8; 2]), ("le", u16::to_le_bytes)];
        for (name, bytes) in orders {
            let text: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            write(folder.path(), name, text);
        }
        let (told, tally, _) = scanned(|scan| scan.path(folder.path()));
        assert_eq!(found(&told, folder.path()), ["be:2:5", "le:2:5"]);
        assert_eq!((tally.files, tally.binary), (2, 0));
        let (told, ..) = scanned(|scan| scan.path(&folder.path().join("le")));
        assert_eq!(found(&told, folder.path()), ["le:2:5"]);
    }

    #[test]
    fn what_is_named_is_read_whatever_it_is() {
        let folder = folder();
        write(folder.path(), "core", [b"\0\0 ", STRIPE.as_bytes()].concat());
        let (told, ..) = scanned(|scan| scan.path(&folder.path().join("core")));
        assert_eq!(found(&told, folder.path()), ["core:1:4"]);
        let (told, _, faults) = scanned(|scan| scan.path(Path::new("/dev/zero")));
        assert!(told.is_empty());
        assert_eq!(faults, ["/dev/zero: neither a file nor a directory"]);
        let (_, _, faults) = scanned(|scan| scan.path(&folder.path().join("gone")));
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn a_file_that_vanishes_while_others_are_read_is_no_fault() {
        let folder = folder();
        write(folder.path(), "a", STRIPE);
        write(folder.path(), "b", STRIPE);
        write(folder.path(), "c", STRIPE);
        let gone = folder.path().join("b");
        let searcher = searcher();
        let mut n_told = 0;
        let mut tell = |_: &Whereabouts, _: &Spot| {
            n_told += 1;
            fs::remove_file(&gone).or(Ok(()))
        };
        let mut scan = Scan::new(&searcher, &mut tell);
        scan.path(folder.path()).unwrap();
        assert_eq!((scan.tally.files, scan.n_faults), (2, 0));
        assert_eq!(n_told, 2);
    }

    #[test]
    fn a_large_file_is_skipped_and_counted() {
        let folder = folder();
        write(folder.path(), "dump.sql", STRIPE);
        let file = OpenOptions::new().write(true).open(folder.path().join("dump.sql")).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        // A hole has NULs, which a text has not: those behind the first bytes are not looked at.
        write(folder.path(), "big.txt", "x".repeat(9000));
        let file = OpenOptions::new().write(true).open(folder.path().join("big.txt")).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        let (_, tally, _) = scanned(|scan| scan.path(folder.path()));
        assert_eq!((tally.files, tally.large, tally.binary), (0, 1, 1));
    }
}
