//! Files for the owner of the state directory alone. What root does there by hand (`tokens rekey`, `replay --save`)
//! leaves nothing behind that the daemon, as another user, could not read: a file that root creates is given to the
//! directory's owner.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::StoreError;
use super::backup::directory;

/// Creates a file (0600), open for reading and writing.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if it exists; otherwise any file system error.
pub fn make(path: &Path) -> io::Result<File> {
    let file = opening().create_new(true).mode(0o600).open(path)?;
    give(&file, directory(path))?;
    Ok(file)
}

/// Creates a file as [`make`] does, replacing one that was left behind.
///
/// # Errors
/// Any file system error.
pub fn make_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => make(path),
    }
}

/// Creates a directory that only its owner may enter; an existing one is left as it is.
pub(super) fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::file(path, "making the state directory", source))
}

/// Opens an existing file if it belongs to the directory's owner, to root or to the current user, and has no other
/// name. Otherwise the directory's owner could put a link there to a file that only root may read or write.
///
/// # Errors
/// [`ErrorKind::PermissionDenied`] for anything else; otherwise any file system error, also for a symbolic link.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening a pipe must not block.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    let owners = [fs::metadata(directory(path))?.uid(), 0, geteuid().as_raw()];
    if found.is_file() && found.nlink() == 1 && owners.contains(&found.uid()) {
        return Ok(file);
    }
    let why = "expected a regular file with a single link, owned by the directory's owner";
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}

/// Reads one of the program's own notes, at most 64 KiB of it.
///
/// # Errors
/// As for [`open`].
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(MAX_NOTE).read_to_end(&mut text)?;
    Ok(text)
}

/// More than any of the program's notes needs.
const MAX_NOTE: u64 = 64 * 1024;

/// Opens a file for reading and writing, as it is; if there is none, creates it.
///
/// # Errors
/// As for [`open`].
pub(super) fn open_or_make(path: &Path) -> io::Result<File> {
    match make(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => open(path, &mut opening()),
        made => made,
    }
}

/// Returns the program's files in a directory that belong to another user than the directory, with that user's id.
///
/// # Errors
/// Any file system error.
pub fn foreign(directory: &Path) -> io::Result<Vec<(PathBuf, u32)>> {
    let owner = fs::metadata(directory)?.uid();
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = match entry.metadata() {
            // The daemon removes and renames files.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file?,
        };
        if is_named_by_us(&entry.file_name()) && file.is_file() && file.uid() != owner {
            found.push((entry.path(), file.uid()));
        }
    }
    found.sort();
    Ok(found)
}

fn is_named_by_us(name: &OsStr) -> bool {
    ["tokenwatch.", "seal.key"]
        .iter()
        .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
}

fn opening() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

/// Gives a file to the owner of its directory, if root created it. Only for a file created just now: the directory's
/// owner could put a link in place of an older one, and root would give away what that leads to.
fn give(file: &File, directory: &Path) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    if !geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        // Root of a container may lack the permission; `check` then names the file.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn no_link_is_followed_to_what_is_not_ours_to_make() {
        let directory = tempfile::tempdir().unwrap();
        let [file, there, absent] =
            ["file", "there", "absent"].map(|name| directory.path().join(name));
        fs::write(&there, "whole").unwrap();
        for target in [&there, &absent] {
            symlink(target, &file).unwrap();
            assert_eq!(make(&file).unwrap_err().kind(), ErrorKind::AlreadyExists);
            make_anew(&file).unwrap();
            let made = fs::symlink_metadata(&file).unwrap();
            assert!(made.is_file() && made.permissions().mode() & 0o777 == 0o600);
            fs::remove_file(&file).unwrap();
        }
        assert!(!absent.exists());
        assert_eq!(fs::read_to_string(&there).unwrap(), "whole");
        open_or_make(&there).unwrap();
        assert_eq!(fs::read_to_string(&there).unwrap(), "whole");
        assert_eq!(foreign(directory.path()).unwrap(), []);
    }

    #[test]
    fn what_is_opened_is_a_file_under_this_name_alone() {
        let directory = tempfile::tempdir().unwrap();
        let [file, other, pipe] = ["file", "other", "pipe"].map(|name| directory.path().join(name));
        let open = |path: &Path| open(path, OpenOptions::new().read(true));
        fs::write(&file, "whole").unwrap();
        open_or_make(&file).unwrap();
        assert_eq!(io::read_to_string(open(&file).unwrap()).unwrap(), "whole");
        symlink(&file, &other).unwrap();
        assert!(open(&other).is_err() && open_or_make(&other).is_err());
        fs::remove_file(&other).unwrap();
        fs::hard_link(&file, &other).unwrap();
        assert_eq!(open(&other).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(open(&pipe).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
