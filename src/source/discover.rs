//! Finds the files that patterns name, with names of any bytes, and the logs in directories that they name.
//!
//! The `glob` crate skips names that are not UTF-8, so only its matching of one name is used.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::SourceError;
use super::rotation::{self, Identity, Seen};

/// As in shells: `*` does not match a leading dot.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What names of logs contain.
const PARTS: [&str; 2] = [".log", "access"];
/// How other names of logs end: a file rotated from `x.json` counts as a log by its name, so `x.json` itself does too.
const ENDINGS: [&str; 5] = [".json", ".jsonl", ".ndjson", ".txt", ".out"];

/// What a walk over patterns found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Paths that the pattern names, in order, and those of the logs in directories that it names. A plain name is
    /// included even if nothing is there.
    pub(super) paths: Vec<PathBuf>,
    /// Directories in which a new match could appear.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Existing directories that could not be listed, and invalid patterns.
    pub(super) faults: Vec<SourceError>,
    /// Files in those directories whose names are not those of logs, except files for people to read.
    pub(super) passed_over: Vec<PathBuf>,
    /// Something has a name that the pattern matches, even if only a directory without logs.
    pub(super) is_met: bool,
    /// Directories whose logs are already listed, or must never be.
    entered: BTreeSet<Identity>,
}

impl Walk {
    /// Prepares a walk that does not list the logs in `exclude`.
    pub(super) fn outside(exclude: Option<&Path>) -> Self {
        let seen = exclude.and_then(|folder| Seen::at(folder).ok());
        let entered = seen.into_iter().map(|seen| seen.identity).collect();
        Self { entered, ..Self::default() }
    }

    /// Walks one pattern: a plain name, or one with `*`, `?`, `[...]` in any part, or `**`.
    pub(super) fn over(&mut self, pattern: &Path) {
        let parts: Vec<&OsStr> = pattern.components().map(Component::as_os_str).collect();
        if parts.iter().any(|part| is_pattern(part)) && pattern.symlink_metadata().is_err() {
            return self.descend(PathBuf::new(), &parts);
        }
        let is_folder = pattern.is_dir();
        if !is_folder {
            self.folders.insert(folder_of(pattern));
        }
        self.find(pattern.to_owned(), is_folder);
    }

    /// Adds what the pattern names: a file, or the logs in a directory.
    fn find(&mut self, path: PathBuf, is_folder: bool) {
        self.is_met = true;
        if is_folder {
            self.enter(&path);
        } else {
            self.paths.push(path);
        }
    }

    /// Adds the logs in a directory and those below it, each directory once. Links to directories are not followed:
    /// whoever may write to a directory could make them lead anywhere.
    fn enter(&mut self, folder: &Path) {
        if !Seen::at(folder).is_ok_and(|seen| self.entered.insert(seen.identity)) {
            return;
        }
        for (name, is_folder) in self.list(folder) {
            if is_hidden(&name) {
                continue;
            }
            let path = folder.join(&name);
            if is_folder {
                if !path.is_symlink() {
                    self.enter(&path);
                }
            } else if is_log(&name) {
                self.paths.push(path);
            } else if !is_readme(&name) {
                self.passed_over.push(path);
            }
        }
    }

    fn descend(&mut self, at: PathBuf, parts: &[&OsStr]) {
        let Some((part, rest)) = parts.split_first() else {
            // After a pattern, a plain name need not exist.
            if at.symlink_metadata().is_ok() {
                let is_folder = at.is_dir();
                self.find(at, is_folder);
            }
            return;
        };
        if *part == "**" {
            self.descend(at.clone(), rest);
            for (name, is_folder) in self.list(&at) {
                if is_folder && !is_hidden(&name) && !at.join(&name).is_symlink() {
                    self.descend(at.join(name), parts);
                }
            }
        } else if is_pattern(part) {
            self.match_names(&at, part, rest);
        } else {
            if rest.is_empty() {
                self.folders.insert(if at.as_os_str().is_empty() {
                    ".".into()
                } else {
                    at.clone()
                });
            }
            self.descend(at.join(part), rest);
        }
    }

    fn match_names(&mut self, at: &Path, part: &OsStr, rest: &[&OsStr]) {
        let pattern = match Pattern::new(&part.to_string_lossy()) {
            Ok(pattern) => pattern,
            Err(cause) => {
                self.faults.push(SourceError::Pattern { pattern: at.join(part), cause });
                return;
            }
        };
        for (name, is_folder) in self.list(at) {
            if !pattern.matches_with(&name.to_string_lossy(), MATCHING) {
                continue;
            }
            if rest.is_empty() {
                self.find(at.join(name), is_folder);
            } else if is_folder {
                self.descend(at.join(name), rest);
            }
        }
    }

    /// Lists names in order, each with whether it leads to a directory. Pipes, sockets and devices are left out:
    /// reading a pipe with a log's name would block.
    fn list(&mut self, folder: &Path) -> Vec<(OsString, bool)> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        self.folders.insert(folder.to_owned());
        let names = std::fs::read_dir(folder).and_then(|entries| {
            let kinds = entries.map(|entry| entry.and_then(|entry| kind_of(&entry)));
            kinds.filter_map(Result::transpose).collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(mut names) => {
                names.sort();
                names
            }
            Err(cause) => {
                if cause.kind() != io::ErrorKind::NotFound {
                    let path = folder.to_owned();
                    self.faults.push(SourceError::Access { action: "listing", path, cause });
                }
                Vec::new()
            }
        }
    }
}

/// Returns an entry's name and whether it leads to a directory; `None` if it leads to neither a directory nor a file.
fn kind_of(entry: &DirEntry) -> io::Result<Option<(OsString, bool)>> {
    let mut kind = entry.file_type()?;
    if kind.is_symlink() {
        // A broken link remains a link.
        kind = entry.path().metadata().map_or(kind, |target| target.file_type());
    }
    let is_special = !(kind.is_dir() || kind.is_file() || kind.is_symlink());
    Ok((!is_special).then(|| (entry.file_name(), kind.is_dir())))
}

/// Returns whether a pattern names a path, or a directory in which it is a log, even if the file no longer exists.
pub(super) fn names(pattern: &Path, path: &Path) -> bool {
    // Without a trailing slash.
    let pattern: PathBuf = pattern.components().collect();
    let glob = Pattern::new(&pattern.to_string_lossy()).ok();
    let is_named = |path: &Path| {
        let matches = |glob: &Pattern| glob.matches_with(&path.to_string_lossy(), MATCHING);
        pattern == path || glob.as_ref().is_some_and(matches)
    };
    is_named(path) || (path.file_name().is_some_and(is_log) && is_inside(path, is_named))
}

/// Returns whether a file's name shows that it is for people to read.
fn is_readme(name: &OsStr) -> bool {
    name.to_string_lossy().to_lowercase().starts_with("readme")
}

/// Returns whether a path is in or below a directory that is named, and not hidden there.
fn is_inside(path: &Path, is_named: impl Fn(&Path) -> bool) -> bool {
    let is_open = |path: &&Path| path.file_name().is_some_and(|name| !is_hidden(name));
    path.ancestors().take_while(is_open).filter_map(Path::parent).any(is_named)
}

/// Returns whether a file counts, by its name, as one of the logs in a directory that is named.
///
/// A log's name, without the suffixes of rotation and compression (`.1`, `-20260101`, `.gz`, ...), contains `.log` or
/// `access`, or has one of the [`ENDINGS`], and does not begin with `README`. The name before rotation counts, so that
/// no file is followed only after it was rotated.
fn is_log(name: &OsStr) -> bool {
    let lower = rotation::base(name).to_string_lossy().to_lowercase();
    let has_part = PARTS.iter().any(|part| lower.contains(part));
    let has_ending = ENDINGS.iter().any(|ending| lower.ends_with(ending));
    !is_readme(name) && (has_part || has_ending)
}

/// Returns the name that a path had before it was rotated, if a pattern names it.
pub(super) fn origin(pattern: &Path, path: &Path) -> Option<OsString> {
    let mut origins = rotation::origins(path.file_name()?).into_iter();
    origins.find(|name| names(pattern, &path.with_file_name(name)))
}

/// Returns whether a part of a path may match several names.
pub(super) fn is_pattern(part: &OsStr) -> bool {
    part.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Returns whether a name begins with a dot.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// Returns the directory that contains a path.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::FileType;

    use super::*;

    fn walk(pattern: &Path) -> Vec<PathBuf> {
        let mut walk = Walk::default();
        walk.over(pattern);
        assert!(walk.faults.is_empty());
        walk.paths
    }

    #[test]
    fn patterns_match_names_of_any_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join(OsStr::from_bytes(b"a\xff.log"));
        std::fs::create_dir_all(dir.path().join("x/y")).unwrap();
        for path in [
            &odd,
            &dir.path().join("b.log"),
            &dir.path().join(".c.log"),
            &dir.path().join("x/y/d.log"),
        ] {
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(walk(&dir.path().join("*.log")), [odd.clone(), dir.path().join("b.log")]);
        assert_eq!(walk(&odd), [odd.as_path()]);
        assert_eq!(walk(&dir.path().join("*/y/?.log")), [dir.path().join("x/y/d.log")]);
        assert_eq!(walk(&dir.path().join("**/d.log")), [dir.path().join("x/y/d.log")]);
        assert!(names(&dir.path().join("*.log"), &dir.path().join("gone.log")));
        assert!(!names(&dir.path().join("*.log"), &dir.path().join("x/gone.log")));
    }

    #[test]
    fn a_name_with_brackets_that_exists_is_no_pattern() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a[1].log");
        std::fs::write(&path, "").unwrap();
        assert_eq!(walk(&path), [path]);
    }

    #[test]
    fn a_directory_stands_for_the_same_logs_whether_they_are_looked_for_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["dd/sub", "dd/.old", "dd/state", "else"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(path("dd"), path("dd/loop")).unwrap();
        std::os::unix::fs::symlink(path("else"), path("dd/elsewhere")).unwrap();
        let logs = ["dd/access.log", "dd/access.log.1", "dd/sub/shop_access", "dd/x.json.gz"];
        let others = [
            "dd/.a.log",
            "dd/.old/a.log",
            "dd/README.log",
            "dd/requests",
            "dd/requests.1",
            "else/a.log",
        ];
        for name in logs.into_iter().chain(others).chain(["dd/state/a.log"]) {
            std::fs::write(path(name), "").unwrap();
        }
        let patterns = ["dd", "dd/", "d?", "d*/", "[d]d/**"].map(path);
        for pattern in &patterns {
            let mut walk = Walk::outside(Some(&path("dd/state")));
            walk.over(pattern);
            assert_eq!(walk.paths, logs.map(path), "{}", pattern.display());
            assert!(walk.folders.contains(&path("dd/sub")), "{:?}", walk.folders);
            assert!(logs.iter().all(|name| names(pattern, &path(name))));
        }
        for pattern in &patterns[..4] {
            assert!(!others.iter().any(|name| names(pattern, &path(name))), "{pattern:?}");
        }
        let mut walk_of_all = Walk::default();
        walk_of_all.over(&path("dd"));
        assert_eq!(walk_of_all.passed_over, [path("dd/requests"), path("dd/requests.1")]);
        // A file that the pattern itself names is a log, whatever its name.
        assert_eq!(walk(&path("dd/req*")), [path("dd/requests"), path("dd/requests.1")]);
        assert!(names(&path("dd/req*"), &path("dd/requests")));
    }

    #[test]
    fn the_name_of_a_log_is_one_whether_it_is_rotated_or_not() {
        for name in ["app.json", "traefik.jsonl", "a.ndjson", "nginx.txt", "app.OUT", "a.log"] {
            for name in [name.to_owned(), format!("{name}.1"), format!("{name}-20260101.gz")] {
                assert!(is_log(OsStr::new(&name)), "{name}");
            }
        }
        for name in ["README.json", "readme.txt", "registry.csv", "requests", "json", "a.yaml"] {
            assert!(!is_log(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_pipe_that_was_named_like_a_log_was_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path("a.log"), FileType::Fifo, mode, 0).unwrap();
        for (name, target) in [("b.log", "a.log"), ("c.log", "nowhere")] {
            std::os::unix::fs::symlink(path(target), path(name)).unwrap();
        }
        std::fs::write(path("d.log"), "").unwrap();
        for pattern in [dir.path(), &path("*.log")] {
            assert_eq!(walk(pattern), [path("c.log"), path("d.log")]);
        }
        // A file named explicitly is meant.
        assert_eq!(walk(&path("a.log")), [path("a.log")]);
    }

    #[test]
    fn a_broken_pattern_is_told() {
        let mut walk = Walk::default();
        walk.over(Path::new("/[a/*"));
        assert_eq!(walk.faults.len(), 1);
    }
}
