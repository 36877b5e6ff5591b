//! Compares the content of files: finds copies of what was read, plain and compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::decode::open_file;
use super::discover::Found;
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

    /// Tells whether the file begins like the one of a position.
    pub(super) fn fits(&mut self, position: &Position) -> bool {
        let length = super::as_length(u64::from(position.head_length));
        let Some(bytes) = self.bytes.get(..length) else { return false };
        *self.hashes.entry(length).or_insert_with(|| marks::hash(bytes)) == position.head
    }

    /// Tells whether one of the two begins as the other does, as far as both go.
    pub(super) fn agrees(&self, first: &[u8]) -> bool {
        self.bytes.iter().zip(first).all(|(one, other)| one == other)
    }
}

/// Says what an open file, which is not the position's own, is to a position.
pub(super) fn compare(file: &File, position: &Position) -> io::Result<Meaning> {
    let same_marks = Marks::read(file, position.offset)?.agree(position);
    let long_enough = Seen::of(file)?.size >= position.offset;
    Ok(decide(Evidence { same_identity: false, long_enough, same_marks }))
}

/// Tells whether the file that was found holds what was read up to a position.
pub(super) fn is_copy(found: &Found, position: &Position) -> io::Result<bool> {
    if position.offset == 0 || found.seen.size < position.offset {
        return Ok(false);
    }
    Ok(compare(&open_file(&found.resolved)?, position)? == Meaning::Copied)
}

/// Tells whether all of a file, by its first and last bytes, stands at the start of another: it is
/// a copy being made.
pub(super) fn is_beginning(copy: &File, original: &File) -> io::Result<bool> {
    let size = Seen::of(copy)?.size;
    let last = size.saturating_sub(TAIL as u64);
    let same = |from, length| -> io::Result<bool> {
        Ok(marks::read_at_most(copy, from, length)? == marks::read_at_most(original, from, length)?)
    };
    Ok(same(0, super::as_length(size).min(HEAD))? && same(last, super::as_length(size - last))?)
}
