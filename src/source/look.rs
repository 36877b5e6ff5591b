//! Looks at the contents of directories: each is listed once, each file is looked at once, and the files of a log count
//! as known once two successive looks agree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use super::discover::folder_of;
use super::rotation::{self, Identity, Seen};

/// One file that a pattern or a listing found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path as found.
    pub(super) path: PathBuf,
    /// The path with links resolved: rotated siblings are there.
    pub(super) resolved: PathBuf,
    /// The name is a link to the file.
    pub(super) is_link: bool,
    pub(super) seen: Seen,
}

/// Looks at files, resolving each directory once.
#[derive(Debug, Default)]
pub(super) struct Looks {
    resolved: BTreeMap<PathBuf, PathBuf>,
}

impl Looks {
    /// Looks at one path, with a single look if it is no link; returns `None` if there is no regular file.
    pub(super) fn at(&mut self, path: &Path) -> io::Result<Option<Found>> {
        let look = |seen: io::Result<Seen>| match seen {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            seen => seen.map(Some),
        };
        let Some(named) = look(Seen::named(path))? else { return Ok(None) };
        if named.is_file {
            let resolved = self.resolve_folder(path);
            let path = path.to_owned();
            return Ok(Some(Found { path, resolved, is_link: false, seen: named }));
        }
        let found = |seen| {
            let resolved = self.resolve(path);
            Found { path: path.to_owned(), resolved, is_link: true, seen }
        };
        Ok(look(Seen::at(path))?.filter(|seen| seen.is_file).map(found))
    }

    /// Resolves the links of a path; the path of something that does not exist is returned unchanged.
    pub(super) fn resolve(&mut self, path: &Path) -> PathBuf {
        if path.is_symlink() {
            return path.canonicalize().unwrap_or_else(|_| path.to_owned());
        }
        self.resolve_folder(path)
    }

    /// Resolves a path whose last part is no link.
    fn resolve_folder(&mut self, path: &Path) -> PathBuf {
        let folder = folder_of(path);
        let real = self
            .resolved
            .entry(folder)
            .or_insert_with_key(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()));
        path.file_name().map_or_else(|| real.clone(), |name| real.join(name))
    }
}

/// File names by the name of the log to which they lead back.
type Names = BTreeMap<OsString, Vec<OsString>>;

/// The regular files of directories: each directory is listed once, and each file is looked at once.
#[derive(Debug, Default)]
pub(super) struct Folders {
    listed: BTreeMap<PathBuf, Option<Names>>,
    /// Results of [`Folders::look`], by the log's name.
    looked: BTreeMap<PathBuf, Option<Look>>,
    /// Results of [`Folders::settled`], by the log's name.
    settled: BTreeMap<PathBuf, Option<Look>>,
    /// All names in directories, by inode.
    inodes: BTreeMap<PathBuf, BTreeMap<u64, Vec<OsString>>>,
    /// The directories in directories.
    below: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Folders {
    /// Looks at the files in `path`'s directory that belong to the same log by name. Returns `None` if the directory
    /// cannot be read, which shows nothing about its files.
    pub(super) fn look(&mut self, path: &Path) -> Option<&Look> {
        let log = log_of(path);
        if !self.looked.contains_key(&log) {
            let look = self.look_anew(path);
            self.looked.insert(log.clone(), look);
        }
        self.looked.get(&log)?.as_ref()
    }

    /// Returns the files of [`Folders::look`] in their current state, by the names that were listed.
    pub(super) fn siblings(&mut self, path: &Path) -> Option<Vec<Found>> {
        self.look_anew(path).map(|look| look.files)
    }

    fn look_anew(&mut self, path: &Path) -> Option<Look> {
        let base = rotation::base(path.file_name()?);
        let folder = folder_of(path);
        let names = self.listed.entry(folder.clone()).or_insert_with(|| list_files(&folder).ok());
        let (mut files, mut is_whole) = (Vec::new(), true);
        for name in names.as_ref()?.get(&base).into_iter().flatten() {
            let path = folder.join(name);
            match Seen::at(&path) {
                Ok(seen) => {
                    files.push(Found { resolved: path.clone(), path, is_link: false, seen });
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => is_whole = false,
                Err(_) => return None,
            }
        }
        let mut places = BTreeMap::new();
        for (at, found) in files.iter().enumerate() {
            places.entry(found.seen.identity).or_insert(at);
        }
        Some(Look { files, places, is_whole })
    }

    /// Looks at the same files until they are seen in their state at one moment, without a rotation in progress. Also
    /// returns `None` if names keep changing.
    pub(super) fn settled(&mut self, path: &Path) -> Option<&Look> {
        let log = log_of(path);
        self.settle(&BTreeSet::from([log.clone()]));
        self.settled.get(&log)?.as_ref()
    }

    /// Finds a file in `path`'s directory, or in one directly below it, under any name, including names that lead back
    /// to no log: `a.log.old`, `old/a.log.1`.
    pub(super) fn find_anywhere(&mut self, path: &Path, identity: Identity) -> Option<Found> {
        let own = folder_of(path);
        let below = self.folders_below(&own).to_owned();
        self.find_in(&own, identity)
            .or_else(|| below.iter().find_map(|folder| self.find_in(folder, identity)))
    }

    fn find_in(&mut self, folder: &Path, identity: Identity) -> Option<Found> {
        let names = self.inodes.entry(folder.to_owned());
        let names = names.or_insert_with_key(|folder| list_inodes(folder));
        names.get(&identity.inode)?.iter().find_map(|name| {
            let path = folder.join(name);
            let seen = Seen::named(&path).ok().filter(|seen| seen.identity == identity)?;
            Some(Found { resolved: path.clone(), path, is_link: false, seen })
        })
    }

    /// Returns the files that belong to the same log by name and are one directory below, where logrotate's `olddir`
    /// often is. Directories that cannot be read are skipped.
    pub(super) fn below(&mut self, path: &Path) -> Vec<Found> {
        let Some(name) = path.file_name() else { return Vec::new() };
        let folders = self.folders_below(&folder_of(path)).to_owned();
        folders.iter().filter_map(|folder| self.siblings(&folder.join(name))).flatten().collect()
    }

    fn folders_below(&mut self, folder: &Path) -> &[PathBuf] {
        self.below.entry(folder.to_owned()).or_insert_with_key(|folder| list_folders(folder))
    }

    /// Returns whether a log was looked at until it settled, or until the limit was reached.
    pub(super) fn has_settled(&self, log: &Path) -> bool {
        self.settled.contains_key(log)
    }

    /// Returns whether the names of a log kept changing during the looks.
    pub(super) fn is_moving(&mut self, log: &Path) -> bool {
        matches!(self.settled.get(log), Some(None)) && self.look(log).is_some()
    }

    /// Looks at several logs until each has settled; per look, directories that they share are listed once.
    pub(super) fn settle(&mut self, logs: &BTreeSet<PathBuf>) {
        let mut moving: Vec<&PathBuf> =
            logs.iter().filter(|log| !self.settled.contains_key(*log)).collect();
        let mut first = Self::default();
        let mut last: Vec<_> = moving.iter().map(|log| first.look_anew(log)).collect();
        for _ in 1..MAX_LOOKS {
            let mut folders = Self::default();
            let mut before = std::mem::take(&mut last).into_iter();
            moving.retain(|log| {
                let (next, before) = (folders.look_anew(log), before.next().flatten());
                let has_settled = next.is_none() || are_alike(before.as_ref(), next.as_ref());
                if has_settled {
                    self.settled.insert((*log).clone(), next);
                } else {
                    last.push(next);
                }
                !has_settled
            });
        }
        self.settled.extend(moving.into_iter().map(|log| (log.clone(), None)));
    }
}

/// The most looks in search of two that agree.
const MAX_LOOKS: usize = 16;

/// The files of a log, and whether each name was still there when it was looked at.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) files: Vec<Found>,
    /// The index of each file, under the first of its names.
    places: BTreeMap<Identity, usize>,
    is_whole: bool,
}

impl Look {
    /// Finds a file by its identity, whatever its name.
    pub(super) fn find(&self, identity: Identity) -> Option<&Found> {
        self.files.get(*self.places.get(&identity)?)
    }
}

/// Returns all files of a log in their state at one moment: [`Folders::settled`], from newly listed directories.
pub(super) fn settled(path: &Path) -> Option<Vec<Found>> {
    Folders::default().settled(path).map(|look| look.files.clone())
}

/// Returns whether two successive looks agree. A single look may miss a file, or see it twice, while a rotation renames
/// one file after the other.
fn are_alike(last: Option<&Look>, next: Option<&Look>) -> bool {
    let names = |look: &Look| -> Vec<_> {
        look.files.iter().map(|found| (found.path.clone(), found.seen.identity)).collect()
    };
    let is_whole = |look: &Look| look.is_whole;
    last.is_some_and(is_whole) && next.is_some_and(is_whole) && last.map(names) == next.map(names)
}

/// Returns the path to which all files of a log lead back: [`rotation::base`], in their directory.
pub(super) fn log_of(path: &Path) -> PathBuf {
    path.with_file_name(path.file_name().map(rotation::base).unwrap_or_default())
}

/// Lists the names of regular files in order.
fn list_files(folder: &Path) -> io::Result<Names> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Names::new()),
        Err(cause) => return Err(cause),
    };
    let mut names = Names::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name();
            names.entry(rotation::base(&name)).or_default().push(name);
        }
    }
    for names in names.values_mut() {
        names.sort();
    }
    Ok(names)
}

/// Lists the directories in a directory, but no links to directories.
fn list_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_folder).map(|entry| entry.path()).collect()
}

/// Lists all names by inode. Errors of listing were reported before.
fn list_inodes(folder: &Path) -> BTreeMap<u64, Vec<OsString>> {
    let mut inodes = BTreeMap::<u64, Vec<OsString>>::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        inodes.entry(entry.ino()).or_default().push(entry.file_name());
    }
    inodes
}

#[cfg(test)]
mod tests {
    use super::super::tests::meanwhile;
    use super::*;

    #[test]
    fn a_look_in_the_middle_of_a_rotation_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["a", "a.1", "a.2"] {
            std::fs::write(path(name), name).unwrap();
        }
        let shift = [("a.2", "a.3"), ("a.1", "a.2"), ("a", "a.1")];
        let mut shift = shift.map(|(from, to)| (path(from), path(to))).into_iter();
        let mut n_looks = 0;
        let found = meanwhile(
            move || {
                n_looks += 1;
                if n_looks % 3 == 0
                    && let Some((from, to)) = shift.next()
                {
                    std::fs::rename(from, to).unwrap();
                }
            },
            || settled(&path("a")),
        );
        let names: Vec<_> = found.unwrap().into_iter().map(|found| found.path).collect();
        assert_eq!(names, vec![path("a.1"), path("a.2"), path("a.3")]);
    }

    #[test]
    fn names_that_never_settle_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |n: usize| dir.path().join(format!("a.{n}"));
        std::fs::write(path(0), "").unwrap();
        std::fs::write(path(1_000), "").unwrap();
        let mut n = 0;
        let mut folders = Folders::default();
        let (from, settles) = (dir.path().to_owned(), path(0));
        let rename = move || {
            let name = |n| from.join(format!("a.{n}"));
            std::fs::rename(name(n), name(n + 1)).unwrap();
            n += 1;
        };
        assert!(meanwhile(rename, || folders.settled(&settles)).is_none());
        // Not searched for again in the same sweep.
        assert!(folders.settled(&settles).is_none());
    }
}
