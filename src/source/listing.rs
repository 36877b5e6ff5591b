//! Lists the old logs that arguments name, and returns the beginning of one.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::discover::{Walk, origin};
use super::old::{Next, OldFile, STDIN};
use super::rotation::{self, Seen};

/// Returns the logs that arguments name, and what could not be found: [`Listing::of`].
#[must_use]
pub fn list(arguments: &[PathBuf], exclude: Option<&Path>) -> (Vec<PathBuf>, Vec<SourceError>) {
    let listing = Listing::of(arguments, exclude);
    (listing.paths, listing.faults)
}

/// What arguments name.
#[derive(Debug, Default)]
pub struct Listing {
    /// The logs, each file once.
    pub paths: Vec<PathBuf>,
    /// What could not be found. If there is no log at all, that is reported for each argument.
    pub faults: Vec<SourceError>,
    /// Files in directories whose names are not those of logs.
    pub passed_over: BTreeSet<PathBuf>,
    seen: BTreeSet<rotation::Identity>,
    exclude: Option<PathBuf>,
}

impl Listing {
    /// Searches for what arguments name.
    ///
    /// A file counts whatever its name, and so does anything that a pattern matches. A directory stands for the logs in
    /// it and below it, recognised by name, as when they are followed. `exclude` is never searched.
    #[must_use]
    pub fn of(arguments: &[PathBuf], exclude: Option<&Path>) -> Self {
        let mut listing = Self { exclude: exclude.map(real), ..Self::default() };
        for argument in arguments {
            if argument.as_os_str() == STDIN {
                listing.paths.push(argument.clone());
            } else {
                listing.look_for(argument);
            }
        }
        // A file skipped in one argument's directory may be named by another argument.
        listing.paths.iter().for_each(|path| {
            listing.passed_over.remove(path);
        });
        if listing.paths.is_empty() && listing.faults.is_empty() {
            let none = |argument: &PathBuf| {
                let cause = io::Error::new(io::ErrorKind::NotFound, "no log is there");
                access("looking for logs in", argument, cause)
            };
            listing.faults.extend(arguments.iter().map(none));
        }
        listing
    }

    fn look_for(&mut self, argument: &Path) {
        let mut walk = Walk::outside(self.exclude.as_deref());
        walk.over(argument);
        self.faults.append(&mut walk.faults);
        self.passed_over.extend(walk.passed_over);
        if !walk.is_met {
            let cause = io::Error::new(io::ErrorKind::NotFound, "no file matches");
            self.faults.push(access("looking for", argument, cause));
        }
        for path in walk.paths {
            self.add(path);
        }
    }

    fn add(&mut self, path: PathBuf) {
        if self.exclude.as_ref().is_some_and(|folder| real(&path).starts_with(folder)) {
            return;
        }
        match Seen::at(&path) {
            Ok(seen) => {
                if self.seen.insert(seen.identity) {
                    self.paths.push(path);
                }
            }
            Err(cause) => self.faults.push(access("looking at", &path, cause)),
        }
    }
}

/// Returns whether a pattern names a path, or the log from which the path was rotated.
#[must_use]
pub fn names(pattern: &Path, path: &Path) -> bool {
    origin(pattern, path).is_some()
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn access(action: &'static str, path: &Path, cause: io::Error) -> SourceError {
    SourceError::Access { action, path: path.to_owned(), cause }
}

/// Returns a file's first whole lines, decompressed: those in its first 16 KiB, enough to guess its format.
///
/// # Errors
/// The file cannot be opened, or not decompressed at all. Standard input cannot be read twice, so it returns nothing.
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
