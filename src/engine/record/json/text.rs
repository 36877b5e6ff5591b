//! The pieces of JSON text (RFC 8259): strings, plain values, and skipping what is not needed.
//!
//! Follows what loggers write rather than the RFC: raw control bytes and invalid UTF-8 are accepted as they are, a
//! bare `-` is an absent number, and a backslash that begins no JSON escape is kept (nginx writes `\x22` if
//! `escape=json` was forgotten).
//!
//! This is a cursor rather than the parser combinators of the text formats. Those pass on more than fits in
//! registers, which costs more than the parsing itself when a line has a hundred pieces.

use crate::engine::record::scan::{Miss, Quoted};

/// What is expected where the line ends too early.
const REST: &str = "the rest of the JSON object";

/// The line does not match; the cursor has the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A position in JSON text. White space is skipped before each piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    expected: &'static str,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor at the beginning.
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, expected: "" }
    }

    /// Returns where and why the text did not match.
    pub(super) const fn miss(&self) -> Miss {
        Miss::at(self.rest, self.expected)
    }

    #[cold]
    fn broken(&mut self, expected: &'static str) -> Broken {
        self.rest = self.rest.trim_ascii_start();
        self.expected = if self.rest.is_empty() { REST } else { expected };
        Broken
    }

    /// Returns the next byte that is not white space.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        if let Some(b' ' | b'\t' | b'\r' | b'\n') = self.rest.first() {
            self.rest = self.rest.trim_ascii_start();
        }
        self.rest.first().copied()
    }

    /// Consumes a byte if it comes next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_here = self.next() == Some(byte);
        if is_here {
            self.step(1);
        }
        is_here
    }

    /// Consumes a byte that must come next.
    #[inline]
    pub(super) fn mark(&mut self, byte: u8, expected: &'static str) -> Result<(), Broken> {
        if self.take(byte) { Ok(()) } else { Err(self.broken(expected)) }
    }

    /// Consumes what follows a value: `close`, which ends the object or list, or a comma.
    #[inline]
    pub(super) fn ends(&mut self, close: u8, expected: &'static str) -> Result<bool, Broken> {
        match self.next() {
            Some(b',') => self.step(1),
            Some(byte) if byte == close => {
                self.step(1);
                return Ok(true);
            }
            _ => return Err(self.broken(expected)),
        }
        Ok(false)
    }

    /// Requires that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.broken("the end of the line after the JSON object")),
        }
    }

    #[inline]
    fn step(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    /// Consumes a key and the colon after it.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Quoted<'a>, Broken> {
        if self.next() != Some(b'"') {
            return Err(self.broken("JSON: a key"));
        }
        let key = self.string()?;
        self.mark(b':', "JSON: `:`")?;
        Ok(key)
    }

    /// Consumes a string, at whose opening quote the cursor is.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, Broken> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let mut at = plain_length(inside);
        let mut has_escapes = false;
        while inside.get(at) == Some(&b'\\') {
            has_escapes = true;
            at += 2;
            at += plain_length(inside.get(at..).unwrap_or_default());
        }
        match inside.split_at_checked(at) {
            Some((raw, [_, rest @ ..])) => {
                self.rest = rest;
                Ok(Quoted { raw, has_escapes })
            }
            _ => {
                self.rest = b"";
                Err(self.broken(REST))
            }
        }
    }

    /// Consumes a number, `true`, `false` or `null`.
    pub(super) fn plain(&mut self) -> Result<&'a [u8], Broken> {
        self.next();
        let is_end = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' | b':');
        let length = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(length);
        let is_digit = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
        let is_number = !text.is_empty() && text.iter().all(is_digit);
        if !is_number && !matches!(text, b"true" | b"false" | b"null") {
            return Err(self.broken("JSON: a value"));
        }
        self.rest = rest;
        Ok(text)
    }

    /// Skips a value. Brackets are counted, not matched; nothing inside is parsed.
    pub(super) fn skip(&mut self) -> Result<(), Broken> {
        let mut depth = 0usize;
        loop {
            match self.next() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.step(1);
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.step(1);
                }
                Some(b',' | b':') if depth > 0 => self.step(1),
                _ => {
                    self.plain()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Returns the number of bytes before the next quote or backslash. Most strings are short, and for them eight
/// bytes at a time are faster than starting a vector search; long ones are left to it.
#[inline]
fn plain_length(input: &[u8]) -> usize {
    const SHORT: usize = 4;
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest byte that becomes zero has its high bit set; no byte below it does.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let mut rest = input;
    for _ in 0..SHORT {
        let Some((word, after)) = rest.split_first_chunk::<8>() else { break };
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (LOW * u64::from(b'"'))) | zeros(word ^ (LOW * u64::from(b'\\')));
        if found != 0 {
            return input.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let passed = input.len() - rest.len();
    passed + memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_at_the_first_bare_quote() {
        for length in 0..80 {
            let inside = "x".repeat(length);
            let escaped = format!("{inside}\\\"\\\\{inside}");
            for (raw, has_escapes) in [(&inside, false), (&escaped, true)] {
                let line = format!("\"{raw}\",1");
                let mut cursor = Cursor::new(line.as_bytes());
                let quoted = cursor.string().unwrap();
                assert_eq!((quoted.raw, quoted.has_escapes), (raw.as_bytes(), has_escapes));
                assert_eq!(cursor.rest, b",1");
            }
            for line in [format!("\"{inside}"), format!("\"{inside}\\"), format!("\"{inside}\\\"")]
            {
                let mut cursor = Cursor::new(line.as_bytes());
                assert!(cursor.string().is_err(), "{line}");
                assert_eq!(cursor.miss(), Miss::at_end(REST));
            }
        }
    }

    #[test]
    fn values_of_every_kind_are_passed_over() {
        for value in [
            "1",
            "-1.5e+9",
            "true",
            "null",
            "-",
            "\"\"",
            "\"a\\\"}\"",
            "[]",
            "{\"a\" : [1, {\"b\":\"]\"}]}",
        ] {
            let line = format!("{value},\"next\"");
            let mut cursor = Cursor::new(line.as_bytes());
            assert_eq!(cursor.skip(), Ok(()), "{value}");
            assert_eq!(cursor.rest, b",\"next\"", "{value}");
        }
        for value in ["", "x", ",", "]", "[1", "{\"a\"", "\"a", "[x]", "tru"] {
            assert!(Cursor::new(value.as_bytes()).skip().is_err(), "{value}");
        }
    }
}
