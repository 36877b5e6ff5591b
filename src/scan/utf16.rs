//! Text in UTF-16, as Windows tools write it, read as UTF-8. Only a byte order mark tells it from binary files.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};

/// Bytes that are decoded at once.
const CHUNK: usize = 16 * 1024;

/// The length of a mark.
const MARK: u64 = 2;

/// First halves of the pairs that stand for characters beyond U+FFFF.
const HIGH: std::ops::Range<u16> = 0xd800..0xdc00;

type Unit = fn([u8; 2]) -> u16;

/// Returns how a text that begins like this is written, if a mark says that it is UTF-16.
fn order(head: &[u8]) -> Option<Unit> {
    match head {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    }
}

/// Returns whether a text begins with a mark of UTF-16.
pub(super) fn is_marked(head: &[u8]) -> bool {
    order(head).is_some()
}

/// A text, in UTF-8 if it was in UTF-16.
pub(super) enum Text<R> {
    AsItIs(io::Chain<Cursor<Vec<u8>>, R>),
    Decoded(Decoded<R>),
}

impl<R: Read> Text<R> {
    /// Looks for a mark.
    ///
    /// # Errors
    /// Those of the reader.
    pub(super) fn of(mut from: R) -> io::Result<Self> {
        let mut head = Vec::new();
        from.by_ref().take(MARK).read_to_end(&mut head)?;
        Ok(match order(&head) {
            Some(unit) => Self::Decoded(Decoded::new(from, unit)),
            None => Self::AsItIs(Cursor::new(head).chain(from)),
        })
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::AsItIs(text) => text.read(buffer),
            Self::Decoded(text) => text.read(buffer),
        }
    }
}

/// What is read behind a mark.
pub(super) struct Decoded<R> {
    from: R,
    unit: Unit,
    /// What was read and is not decoded yet: at most a half of a pair and a byte.
    rest: Vec<u8>,
    ready: VecDeque<u8>,
    is_over: bool,
}

impl<R: Read> Decoded<R> {
    const fn new(from: R, unit: Unit) -> Self {
        Self { from, unit, rest: Vec::new(), ready: VecDeque::new(), is_over: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let n_read = self.from.read(&mut chunk)?;
        self.is_over = n_read == 0;
        self.rest.extend(chunk.iter().take(n_read));
        let (pairs, _) = self.rest.as_chunks();
        let mut units: Vec<u16> = pairs.iter().map(|pair| (self.unit)(*pair)).collect();
        if !self.is_over {
            units.pop_if(|last| HIGH.contains(last));
        }
        self.rest.drain(..2 * units.len());
        for char in char::decode_utf16(units) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.ready.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.is_over {
            self.fill()?;
        }
        self.ready.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str, of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(of).collect()
    }

    fn read(from: impl Read) -> Vec<u8> {
        let mut text = Vec::new();
        Text::of(from).unwrap().read_to_end(&mut text).unwrap();
        text
    }

    /// Hands out one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(1);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn what_has_no_mark_is_left_as_it_is() {
        for text in [&b""[..], b"\xff", b"x", b"\xef\xbb\xbfx", b"a\0b\0", b"\xff\xff\xfe"] {
            assert_eq!(read(text), text);
        }
    }

    #[test]
    fn half_of_a_pair_and_half_of_a_unit_are_no_end() {
        let lone = bytes("\u{feff}a", u16::to_le_bytes);
        assert_eq!(read([&lone[..], &[0x3d, 0xd8]].concat().as_slice()), "a\u{fffd}".as_bytes());
        assert_eq!(read([&lone[..], b"b"].concat().as_slice()), b"a");
    }

    proptest! {
        #[test]
        fn text_of_both_orders_is_read_however_it_comes(text in "[a\n\u{e9}\u{20ac}\u{1f511}]{0,40}") {
            for of in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes = bytes(&format!("\u{feff}{text}"), of);
                prop_assert_eq!(read(bytes.as_slice()), text.as_bytes());
                prop_assert_eq!(read(Slow(&bytes)), text.as_bytes());
            }
        }
    }
}
