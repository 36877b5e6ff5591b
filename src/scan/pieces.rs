//! Reads a text line by line, a long line in pieces, without splitting words.

use std::io::{self, BufRead, BufReader, Read};

use crate::engine::token::{LONGEST_WORD, is_of_word};

/// The most bytes of one piece.
pub(super) const MAX_PIECE: usize = 256 * 1024;

/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// A line with its end, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'p> {
    pub(super) bytes: &'p [u8],
    /// The line, counted from 1.
    pub(super) line: u64,
    /// The first byte's place in its line, counted from 0.
    pub(super) column: u64,
}

/// The lines of what is read.
pub(super) struct Pieces<R> {
    from: BufReader<R>,
    /// The piece that was handed out last, and what was read behind it.
    buffer: Vec<u8>,
    n_used: usize,
    line: u64,
    column: u64,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(from: R) -> Self {
        let buffer = Vec::with_capacity(BUFFER);
        let from = BufReader::with_capacity(BUFFER, from);
        Self { from, buffer, n_used: 0, line: 1, column: 0 }
    }

    /// Reads the next piece; `None` at the end.
    ///
    /// # Errors
    /// Those of the reader.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.buffer.drain(..self.n_used);
        self.n_used = 0;
        let room = MAX_PIECE - self.buffer.len().min(MAX_PIECE);
        let limit = u64::try_from(room).unwrap_or_default();
        let n_read = (&mut self.from).take(limit).read_until(b'\n', &mut self.buffer)?;
        let is_end = self.buffer.last() == Some(&b'\n');
        let is_cut = !is_end && n_read == room;
        self.n_used = if is_cut { cut(&self.buffer) } else { self.buffer.len() };
        let (line, column) = (self.line, self.column);
        if is_end {
            (self.line, self.column) = (line + 1, 0);
        } else {
            self.column += u64::try_from(self.n_used).unwrap_or_default();
        }
        let bytes = self.buffer.get(..self.n_used).unwrap_or_default();
        Ok((!bytes.is_empty()).then_some(Piece { bytes, line, column }))
    }
}

/// Returns where to cut a text so that its last word, which may go on, is left whole, unless it is too long to matter.
fn cut(text: &[u8]) -> usize {
    let word = text.iter().rev().take(LONGEST_WORD + 1).take_while(|b| is_of_word(**b)).count();
    if word <= LONGEST_WORD && word < text.len() { text.len() - word } else { text.len() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<(Vec<u8>, u64, u64)> {
        let mut pieces = Pieces::new(text);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            all.push((piece.bytes.to_vec(), piece.line, piece.column));
        }
        all
    }

    #[test]
    fn pieces_know_where_they_stand() {
        assert_eq!(read(b""), []);
        let lines = read(b"a\n\nbc");
        assert_eq!(lines, [(b"a\n".into(), 1, 0), (b"\n".into(), 2, 0), (b"bc".into(), 3, 0)]);
    }

    #[test]
    fn a_long_line_is_cut_beside_a_word() {
        let start = [b"x".repeat(MAX_PIECE - 4), b" word".to_vec(), b"s and more\nend".to_vec()];
        let first = MAX_PIECE as u64 - 3;
        let pieces = read(&start.concat());
        assert_eq!(pieces[0].0.len() as u64, first);
        assert_eq!(pieces[1], (b"words and more\n".into(), 1, first));
        assert_eq!(pieces[2], (b"end".into(), 2, 0));
        let endless = read(&b"y".repeat(3 * MAX_PIECE));
        assert_eq!(endless.len(), 3);
        assert_eq!(endless[2].2, 2 * MAX_PIECE as u64);
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_piece(lines in prop::collection::vec("[ -~]{0,50}", 0..20)) {
            let text = lines.join("\n");
            let pieces = read(text.as_bytes());
            let joined: Vec<u8> = pieces.iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
            prop_assert_eq!(joined, text.as_bytes());
        }
    }
}
