//! Where the reading of an old file continues: after what an earlier run read of it.
//!
//! A file is known by its identity or, once it was compressed or copied, as one of the same log with the same beginning
//! and continuation as a known one. A file whose bytes differ from those that were read begins a new life. If a file
//! was followed from its middle, the part before is read first: a replay must learn from it.

use std::path::{Path, PathBuf};

use super::SourceError;
use super::old::{OldFile, STDIN};
use super::rotation::{Identity, unrotated};
use crate::engine::line::Position;

/// How far files were read by earlier runs.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_log: Vec<(PathBuf, Position)>,
    /// Whether later runs continue after this one.
    is_kept: bool,
}

impl Known {
    pub(super) fn new(positions: Vec<Position>) -> Self {
        let by_log = |position: Position| (unrotated(&position.path), position);
        Self { by_log: positions.into_iter().map(by_log).collect(), is_kept: true }
    }

    /// Opens a file, and skips what was already read of it.
    pub(super) fn open(&self, source: usize, path: &Path) -> Result<OldFile, SourceError> {
        let mut file = self.open_behind(source, path)?;
        // A server writes under this name: a half line would count as a line, and its other half too.
        if self.is_kept && path.as_os_str() != STDIN && unrotated(path) == path {
            file.leave_last_words();
        }
        Ok(file)
    }

    fn open_behind(&self, source: usize, path: &Path) -> Result<OldFile, SourceError> {
        let mut file = OldFile::open(source, path)?;
        if path.as_os_str() == STDIN {
            // What comes this way has no identity: each time is a life of its own.
            let last = self.of_file(file.identity());
            file.begin(last.map_or(0, |last| last.generation.saturating_add(1)));
            return Ok(file);
        }
        let own = self.of_file(file.identity());
        let of_log = self.of_log(path, file.identity());
        for position in own.into_iter().chain(of_log) {
            let generation = own.filter(|own| *own == position).map_or(0, |own| own.generation);
            file.begin(generation);
            if file.skip_to(position) {
                return match self.without_start(position) {
                    Some(known) => Ok(OldFile::open(source, path)?.catch_up(known, file)),
                    None => Ok(file),
                };
            }
            if !file.is_untouched() {
                file = OldFile::open(source, path)?;
            }
        }
        file.begin(own.map_or(0, |own| own.generation + u32::from(own.offset > 0)));
        Ok(file)
    }

    /// Returns the position that began after the start of a file, if the start was never read: the file's own position,
    /// or that of the file of which it is a copy.
    fn without_start<'a>(&'a self, mut one: &'a Position) -> Option<&'a Position> {
        for _ in 0..=self.by_log.len() {
            if one.began <= one.early {
                return None;
            }
            let is_first = |other: &&Position| {
                Identity::of(other) != Identity::of(one)
                    && (other.head, other.head_length) == (one.head, one.head_length)
                    && one.began <= other.offset
            };
            match self.by_log.iter().map(|(_, other)| other).find(is_first) {
                Some(first) => one = first,
                None => return Some(one),
            }
        }
        None
    }

    /// Returns the position of a file's latest life.
    fn of_file(&self, identity: Identity) -> Option<&Position> {
        let own = self.by_log.iter().map(|(_, position)| position);
        own.filter(|position| Identity::of(position) == identity).max_by_key(|one| one.generation)
    }

    /// Returns the other files of a log, and earlier lives of this one, longest first.
    fn of_log(&self, path: &Path, identity: Identity) -> Vec<&Position> {
        let log = unrotated(path);
        let own = self.of_file(identity);
        let others = self.by_log.iter().filter(|(of, one)| *of == log && Some(one) != own);
        let mut others: Vec<&Position> =
            others.map(|(_, one)| one).filter(|one| one.offset > 0).collect();
        others.sort_by_key(|one| std::cmp::Reverse(one.offset));
        others
    }
}
