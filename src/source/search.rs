//! Compares the contents of files: finds copies of what was read, plain and compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::decode::open_file;
use super::look::{Folders, Found};
use super::marks::{self, HEAD, Marks, TAIL};
use super::rotation::{Evidence, Meaning, Seen, decide};
use crate::engine::line::Position;

/// The first bytes of a file, with their hashes by length.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    hashes: BTreeMap<usize, u64>,
}

impl Head {
    pub(super) fn read(file: &File) -> io::Result<Self> {
        Ok(Self { bytes: marks::read_at_most(file, 0, HEAD)?, hashes: BTreeMap::new() })
    }

    /// Returns whether the file begins like the file of a position.
    pub(super) fn fits(&mut self, position: &Position) -> bool {
        let length = super::as_length(u64::from(position.head_length));
        let Some(bytes) = self.bytes.get(..length) else { return false };
        *self.hashes.entry(length).or_insert_with(|| marks::hash(bytes)) == position.head
    }

    /// Returns whether the beginnings are equal, as far as both go.
    pub(super) fn agrees(&self, first: &[u8]) -> bool {
        self.bytes.iter().zip(first).all(|(one, other)| one == other)
    }
}

/// Records how an unread file begins, so that it is recognised once it is compressed. If it cannot be read, only its
/// time identifies it.
pub(super) fn note_head(found: &Found, position: &mut Position) {
    let read = |(_, file): (PathBuf, File)| marks::read_at_most(&file, 0, HEAD).ok();
    if let Some(head) = open_found(found).ok().flatten().and_then(read) {
        position.head = marks::hash(&head);
        position.head_length = u32::try_from(head.len()).unwrap_or_default();
    }
}

/// The most searches for a file's name while names are shifted.
const MAX_TRIES: usize = 16;

/// Opens the file that was found, under its current name: names may have been shifted since the look, so that another
/// file of the log has the old name. Returns `None` if the file is gone.
pub(super) fn open_found(found: &Found) -> io::Result<Option<(PathBuf, File)>> {
    let mut path = found.resolved.clone();
    for _ in 0..MAX_TRIES {
        match open_file(&path) {
            Ok(file) if Seen::of(&file)?.identity == found.seen.identity => {
                return Ok(Some((path, file)));
            }
            // An error of another file shows nothing about this one.
            Err(cause) if cause.kind() != io::ErrorKind::NotFound && is_at(found, &path) => {
                return Err(cause);
            }
            _ => {}
        }
        let Some(siblings) = Folders::default().siblings(&found.resolved) else {
            return Err(io::Error::other("the directory cannot be listed"));
        };
        let mut siblings = siblings.into_iter();
        if let Some(now) = siblings.find(|one| one.seen.identity == found.seen.identity) {
            path = now.resolved;
        }
    }
    Ok(None)
}

/// Returns whether a file that was found is at a path, as far as that can be determined.
fn is_at(found: &Found, path: &Path) -> bool {
    Seen::at(path).map_or(true, |seen| seen.identity == found.seen.identity)
}

/// Determines the relation of an open file, which is not the position's own, to a position.
pub(super) fn compare(file: &File, position: &Position) -> io::Result<Meaning> {
    let same_marks = Marks::read(file, position.offset)?.agree(position);
    let long_enough = Seen::of(file)?.size >= position.offset;
    Ok(decide(Evidence { same_identity: false, long_enough, same_marks }))
}

/// Returns whether the file that was found contains what was read up to a position.
pub(super) fn is_copy(found: &Found, position: &Position) -> io::Result<bool> {
    if position.offset == 0 || found.seen.size < position.offset {
        return Ok(false);
    }
    let Some((_, file)) = open_found(found)? else { return Ok(false) };
    Ok(compare(&file, position)? == Meaning::Copied)
}

/// Returns whether a file's contents, according to its first and last bytes, are the beginning of another file: then it
/// is a copy in progress.
pub(super) fn is_beginning(copy: &File, original: &File) -> io::Result<bool> {
    let size = Seen::of(copy)?.size;
    let last = size.saturating_sub(TAIL as u64);
    let same = |from, length| -> io::Result<bool> {
        Ok(marks::read_at_most(copy, from, length)? == marks::read_at_most(original, from, length)?)
    };
    Ok(same(0, super::as_length(size).min(HEAD))? && same(last, super::as_length(size - last))?)
}
