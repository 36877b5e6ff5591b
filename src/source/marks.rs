//! Markers: hashes of a file's first and last committed bytes, which identify its content.
//!
//! FNV-1a with 64 bits (Fowler, Noll, Vo; RFC 9923): it grows byte by byte with the file and never changes between
//! versions. It distinguishes the files of one host. It is no defence against anyone who can write to the log, since
//! they could as well write the lines themselves.

use std::io;
use std::os::unix::fs::FileExt;

use crate::engine::line::Position;

/// The most leading bytes that the head marker covers.
pub(super) const HEAD: usize = 1024;
/// The most bytes before the offset that the tail marker covers.
pub(super) const TAIL: usize = 64;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const ZEROS: [u8; HEAD] = [0; HEAD];

/// Continues an FNV-1a hash over more bytes.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Hashes bytes from the start.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    fnv(FNV_OFFSET, bytes)
}

/// The markers of one file up to an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    head: u64,
    head_length: usize,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { head: FNV_OFFSET, head_length: 0, first: Vec::new(), last: Vec::new() }
    }
}

impl Marks {
    /// Advances the markers over the following bytes.
    pub(super) fn absorb(&mut self, bytes: &[u8]) {
        let wanted = HEAD.saturating_sub(self.head_length).min(bytes.len());
        self.head = fnv(self.head, bytes.get(..wanted).unwrap_or_default());
        self.head_length += wanted;
        let wanted = TAIL.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        let kept = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.last.extend_from_slice(kept);
        self.last.drain(..self.last.len().saturating_sub(TAIL));
    }

    /// Advances the markers over a run of NULs of any length.
    pub(super) fn absorb_nuls(&mut self, n_nuls: u64) {
        let seen = super::as_length(n_nuls).min(HEAD);
        self.absorb(ZEROS.get(..seen).unwrap_or(&ZEROS));
    }

    /// Returns the bytes just before the offset, at most [`TAIL`].
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// Returns the file's first bytes, at most [`TAIL`].
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Writes the markers into a position.
    pub(super) fn write_to(&self, position: &mut Position) {
        position.head = self.head;
        position.head_length = u32::try_from(self.head_length).unwrap_or(u32::MAX);
        position.tail = hash(&self.last);
    }

    /// Returns whether a stored position has these markers. A position of which nothing was read matches any.
    pub(super) fn agree(&self, position: &Position) -> bool {
        if position.offset == 0 {
            return true;
        }
        let mut mine = position.clone();
        self.write_to(&mut mine);
        (mine.head, mine.head_length, mine.tail)
            == (position.head, position.head_length, position.tail)
    }

    /// Reads a file's markers at an offset; a file with fewer bytes has other markers.
    pub(super) fn read(file: &impl FileExt, offset: u64) -> io::Result<Self> {
        let mut marks = Self::default();
        let head = read_at_most(file, 0, super::as_length(offset).min(HEAD))?;
        marks.absorb(&head);
        let length = super::as_length(offset).min(TAIL);
        marks.last = read_at_most(file, offset - length as u64, length)?;
        Ok(marks)
    }
}

/// Reads up to `length` bytes at `offset`; fewer only at the end of the file.
pub(super) fn read_at_most(file: &impl FileExt, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let n_read = fill_at(file, offset, &mut bytes)?;
    bytes.truncate(n_read);
    Ok(bytes)
}

/// Fills `buffer` from `offset`; returns the number of bytes read.
pub(super) fn fill_at(file: &impl FileExt, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, offset + filled as u64) {
            Ok(0) => break,
            Ok(n_read) => filled += n_read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn markers_do_not_depend_on_how_bytes_were_cut() {
        let bytes: Vec<u8> = (0..3000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for step in [1, 7, 64, 65, 1024, 3000] {
            let mut marks = Marks::default();
            let mut offset = 0;
            for piece in bytes.chunks(step) {
                marks.absorb(piece);
                offset += piece.len() as u64;
                assert_eq!(marks, Marks::read(&file, offset).unwrap(), "{step} {offset}");
            }
        }
    }

    #[test]
    fn nuls_count_like_bytes() {
        for n_nuls in [0, 1, 63, 64, 65, 1023, 1024, 5000] {
            let (mut one, mut two) = (Marks::default(), Marks::default());
            one.absorb(b"x");
            two.absorb(b"x");
            one.absorb(&vec![0; n_nuls]);
            two.absorb_nuls(n_nuls as u64);
            assert_eq!(one, two, "{n_nuls}");
        }
    }

    #[test]
    fn known_answers_of_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
