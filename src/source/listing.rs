//! Lists the old logs that arguments name, and says how one begins.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::discover::{self, Walk};
use super::old::{Next, OldFile, STDIN};
use super::rotation::{self, Seen};

/// Lists the logs that arguments name, each file once, and what could not be found.
///
/// A file is taken whatever its name, and so is what a pattern matches. Of a directory, and of those
/// in it, the names are taken that contain `.log` or `access` or look rotated or compressed (`.1`,
/// `-20260101`, `.gz`, ...); hidden ones and `README*` are not. `exclude` is never looked into.
#[must_use]
pub fn list(arguments: &[PathBuf], exclude: Option<&Path>) -> (Vec<PathBuf>, Vec<SourceError>) {
    let mut listing = Listing { exclude: exclude.map(real), ..Listing::default() };
    for argument in arguments {
        if argument.as_os_str() == STDIN {
            listing.paths.push(argument.clone());
            continue;
        }
        let mut walk = Walk::default();
        walk.over(argument);
        listing.faults.append(&mut walk.faults);
        if walk.paths.is_empty() {
            let cause = io::Error::new(io::ErrorKind::NotFound, "no file matches");
            listing.faults.push(access("looking for", argument, cause));
        }
        for path in walk.paths {
            listing.add(&path);
        }
    }
    (listing.paths, listing.faults)
}

#[derive(Default)]
struct Listing {
    paths: Vec<PathBuf>,
    seen: BTreeSet<rotation::Identity>,
    exclude: Option<PathBuf>,
    faults: Vec<SourceError>,
}

impl Listing {
    fn add(&mut self, path: &Path) {
        if self.exclude.as_ref().is_some_and(|folder| real(path).starts_with(folder)) {
            return;
        }
        match Seen::at(path) {
            Ok(seen) if path.is_dir() => {
                if self.seen.insert(seen.identity) {
                    self.add_folder(path);
                }
            }
            Ok(seen) => {
                if self.seen.insert(seen.identity) {
                    self.paths.push(path.to_owned());
                }
            }
            Err(cause) => self.faults.push(access("looking at", path, cause)),
        }
    }

    fn add_folder(&mut self, folder: &Path) {
        let names = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(mut names) => {
                names.sort();
                for name in names {
                    let path = folder.join(&name);
                    if !discover::is_hidden(&name) && (path.is_dir() || is_log(&name)) {
                        self.add(&path);
                    }
                }
            }
            Err(cause) => self.faults.push(access("listing", folder, cause)),
        }
    }
}

fn is_log(name: &OsStr) -> bool {
    let lower = name.to_string_lossy().to_lowercase();
    !lower.starts_with("readme")
        && (lower.contains(".log") || lower.contains("access") || rotation::base(name) != *name)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn access(action: &'static str, path: &Path, cause: io::Error) -> SourceError {
    SourceError::Access { action, path: path.to_owned(), cause }
}

/// Returns a file's first whole lines, decompressed: as many as its first 16 KiB hold, enough to guess its format.
///
/// # Errors
/// The file cannot be opened, or not decompressed at all. Standard input cannot be looked at twice:
/// it gives nothing.
pub fn sample(path: &Path) -> Result<Vec<u8>, SourceError> {
    if path.as_os_str() == STDIN {
        return Ok(Vec::new());
    }
    let mut file = OldFile::open(0, path)?;
    loop {
        match file.look() {
            Next::Lines(n) => return Ok(file.take(n).bytes),
            Next::Nuls => drop(file.take_odd()),
            Next::Long => return Ok(file.take_odd().bytes),
            Next::End => return file.finish().map(|_| Vec::new()),
        }
    }
}
