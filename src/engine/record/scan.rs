//! Shared by all text formats: nom parsers over bytes, the position where a line stopped matching, escapes.
//!
//! Every parser here visits a byte a bounded number of times, so a hostile line costs no more than a long one.

use std::borrow::Cow;

use nom::bytes::complete::{tag, take_until};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::terminated;
use nom::{Err, IResult, Parser};

use super::time::Time;
use super::{Author, Reject, Text};

/// The separator of two quoted fields.
pub(super) const BETWEEN: &[u8] = b"\" \"";

/// Where a line stopped matching: the length of the rest of the line, and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    pub(super) rest: usize,
    expected: &'static str,
    author: Author,
}

/// The result of a parser in this module: the rest of the line, and the parsed text before it.
pub(super) type Scan<'a, T> = IResult<&'a [u8], T, Miss>;

impl ParseError<&[u8]> for Miss {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self::at(input, "")
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl Miss {
    /// Creates a miss where `rest` begins.
    pub(super) const fn at(rest: &[u8], expected: &'static str) -> Self {
        Self::with_left(rest.len(), expected)
    }

    /// Creates a miss at the end of the line.
    pub(super) const fn at_end(expected: &'static str) -> Self {
        Self::with_left(0, expected)
    }

    /// Creates a miss with `rest` bytes of the line left.
    pub(super) const fn with_left(rest: usize, expected: &'static str) -> Self {
        Self { rest, expected, author: Author::Anybody }
    }

    /// Creates the miss of a line of which a client wrote a part, so that no other format may accept it.
    const fn forged(rest: usize, expected: &'static str) -> Self {
        Self { author: Author::Client, ..Self::with_left(rest, expected) }
    }

    /// Creates the miss of a message of the server's own.
    pub(super) const fn of_server(expected: &'static str) -> Self {
        Self { author: Author::Server, ..Self::at_end(expected) }
    }

    /// Returns the one that got further in the line; if equal, this one.
    pub(super) const fn further(self, other: Self) -> Self {
        if other.rest < self.rest { other } else { self }
    }

    /// Returns whether a client wrote a part of the line, so that no other format may accept it.
    pub(super) const fn is_forged(self) -> bool {
        matches!(self.author, Author::Client)
    }

    /// Converts the miss into a reject with its column in `line`.
    pub(super) fn reject(self, line: &[u8]) -> Reject {
        let at = line.len().saturating_sub(self.rest);
        let reject = Reject::new(at + 1, self.expected, found_at(line, at));
        Reject { author: self.author, ..reject }
    }
}

impl From<Err<Self>> for Miss {
    fn from(error: Err<Self>) -> Self {
        match error {
            Err::Error(miss) | Err::Failure(miss) => miss,
            Err::Incomplete(_) => Self::at_end("more of the line"),
        }
    }
}

/// Describes what is at an offset: a character, a byte, the end of the line.
pub(super) fn found_at(line: &[u8], at: usize) -> Cow<'static, str> {
    match line.get(at) {
        None => "the end of the line".into(),
        Some(&byte) if byte.is_ascii_graphic() || byte == b' ' => {
            format!("'{}'", char::from(byte)).into()
        }
        Some(byte) => format!("byte 0x{byte:02x}").into(),
    }
}

/// Fails at the start of `input`.
pub(super) fn miss<T>(input: &[u8], expected: &'static str) -> Result<T, Err<Miss>> {
    Err(Err::Error(Miss::at(input, expected)))
}

/// Consumes `literal`, which must come next.
pub(super) fn literal<'a>(
    input: &'a [u8],
    literal: &[u8],
    expected: &'static str,
) -> Scan<'a, &'a [u8]> {
    tag::<_, _, Miss>(literal)(input).or_else(|_| miss(input, expected))
}

/// Splits off the text before the next `literal`, and drops the literal.
pub(super) fn before<'a>(
    input: &'a [u8],
    literal: &[u8],
    expected: &'static str,
) -> Scan<'a, &'a [u8]> {
    terminated(take_until::<_, _, Miss>(literal), tag(literal))
        .parse(input)
        .or_else(|_| miss(b"", expected))
}

/// Splits off `[TIME` and the text that closes it. `expected` describes a time that `read` accepts.
pub(super) fn bracketed_time<'a>(
    input: &'a [u8],
    close: &[u8],
    read: fn(&[u8]) -> Option<Time>,
    expected: &'static str,
) -> Scan<'a, Time> {
    let (inside, _) = literal(input, b"[", "'[' before the time")?;
    let (rest, text) = before(inside, close, "']' after the time")?;
    match read(text) {
        Some(time) => Ok((rest, time)),
        None => miss(inside, expected),
    }
}

/// Splits at the first `literal`: the text before it and the text after it.
pub(super) fn found_in<'a>(input: &'a [u8], literal: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = match *literal {
        [byte] => memchr::memchr(byte, input)?,
        _ => memchr::memmem::find(input, literal)?,
    };
    let (before, rest) = input.split_at(at);
    Some((before, rest.get(literal.len()..)?))
}

/// Splits off a word: the text before the next space (which is dropped) or before the end.
pub(super) fn word(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', input).and_then(|at| input.split_at_checked(at)) {
        Some((word, rest)) => (rest.get(1..).unwrap_or_default(), word),
        None => (b"", input),
    }
}

/// Splits off a word of a few bytes, for which checking each is faster than starting a vector search.
pub(super) fn short_word(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b' ').unwrap_or(input.len());
    let (word, rest) = input.split_at(end);
    (rest.get(1..).unwrap_or_default(), word)
}

/// Splits off the last word: returns the text before the last space, and the word.
pub(super) fn last_word(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b' ', input).and_then(|at| input.split_at_checked(at)) {
        Some((rest, word)) => (rest, word.get(1..).unwrap_or_default()),
        None => (b"", input),
    }
}

/// Splits off a field that may be quoted without escaping, and the space after it. A quote that never closes takes
/// everything.
pub(super) fn field(input: &[u8]) -> (&[u8], &[u8]) {
    let Some(inside) = input.strip_prefix(b"\"") else { return word(input) };
    let (rest, text) = unescaped_quoted(inside, is_end).unwrap_or((b"", inside));
    (rest.strip_prefix(b" ").unwrap_or(rest), text)
}

/// Splits off a text quoted without escaping, after its opening quote: up to the first quote after which `goes_on`
/// accepts the rest of the line.
pub(super) fn unescaped_quoted(
    input: &[u8],
    goes_on: impl Fn(&[u8]) -> bool,
) -> Option<(&[u8], &[u8])> {
    memchr::memchr_iter(b'"', input).find_map(|at| {
        let (raw, rest) = input.split_at_checked(at)?;
        let rest = rest.get(1..).filter(|rest| goes_on(rest))?;
        Some((rest, raw))
    })
}

/// Splits off a request quoted without escaping, after its opening quote. It ends at the quote after which everything
/// up to the next quoted field matches or, in a line that is truncated before that, at the quote after which a status
/// matches. If there are two such quotes, a client wrote one of them, and nobody can know which status is real.
pub(super) fn unescaped_request(
    input: &[u8],
    are_numbers_next: fn(&[u8]) -> bool,
    is_status_next: fn(&[u8]) -> bool,
) -> Result<(&[u8], &[u8]), Miss> {
    let ends = |goes_on: fn(&[u8]) -> bool| {
        let goes_on_at = move |at: &usize| input.get(at + 1..).is_some_and(goes_on);
        let mut ends = memchr::memchr_iter(b'"', input).filter(goes_on_at);
        (ends.next(), ends.next())
    };
    let found = match ends(are_numbers_next) {
        (None, _) => ends(is_status_next),
        found => found,
    };
    match found {
        (Some(end), None) => {
            let (request, after) = input.split_at(end);
            Ok((after.get(1..).unwrap_or_default(), request))
        }
        (Some(_), Some(second)) => {
            Err(Miss::forged(input.len() - second, "one status after the request, not two"))
        }
        (None, _) => Err(Miss::at_end("'\"' after the request, and a status")),
    }
}

/// Splits off a quoted text after its opening quote: up to the first quote that no backslash escapes and after
/// which `goes_on` accepts the rest of the line. (Writers that escape nothing leave quotes inside; the text after
/// them distinguishes them from the closing quote.)
pub(super) fn quoted(input: &[u8], goes_on: impl Fn(&[u8]) -> bool) -> Option<(&[u8], Quoted<'_>)> {
    let mut at = 0;
    let mut has_escapes = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', input.get(at..)?)?;
        if input.get(at) == Some(&b'\\') {
            has_escapes = true;
            at += 2;
            continue;
        }
        let (raw, rest) = input.split_at_checked(at)?;
        let rest = rest.get(1..)?;
        if goes_on(rest) {
            return Some((rest, Quoted { raw, has_escapes }));
        }
        at += 1;
    }
}

/// Returns whether a field ends here: at the end of the line or at a space.
pub(super) fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' '))
}

/// Returns whether a word begins the text that is a status, or one of the `marks` that stand for none.
pub(super) fn begins_with_status(text: &[u8], marks: &[u8]) -> bool {
    match text {
        [mark, rest @ ..] if marks.contains(mark) && is_end(rest) => true,
        [a, b, c, rest @ ..] => status(&[*a, *b, *c]).is_some() && is_end(rest),
        _ => false,
    }
}

/// The inside of a quoted text as it is in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    pub(super) raw: &'a [u8],
    pub(super) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    /// Decodes the escapes; without any, the text is borrowed.
    pub(super) fn text(self) -> Text<'a> {
        if self.has_escapes { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// Decodes the escapes of nginx (`\x22`), Apache (`\"`, `\\`, `\t`, `\xc3`), Go (`\u00e9`) and JSON (`\/`, surrogate
/// pairs); a backslash that begins none of these is kept.
pub(super) fn unescape(raw: &[u8]) -> Text<'_> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return Cow::Borrowed(raw) };
    let mut out = Vec::with_capacity(raw.len());
    let (plain, mut rest) = raw.split_at(first);
    out.extend_from_slice(plain);
    while let [b'\\', after @ ..] = rest {
        rest = escape_into(&mut out, after);
        let next = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(next);
        out.extend_from_slice(plain);
        rest = tail;
    }
    Cow::Owned(out)
}

/// Decodes one escape into `out` and returns the text after it.
fn escape_into<'a>(out: &mut Vec<u8>, after: &'a [u8]) -> &'a [u8] {
    let (byte, rest) = match after {
        [b'x', high, low, rest @ ..] => match hex(*high, *low) {
            Some(byte) => (byte, rest),
            None => (b'\\', after),
        },
        [b'u', a, b, c, d, rest @ ..] => {
            let Some((char, rest)) = utf16(unit(&[*a, *b, *c, *d]), rest) else {
                out.push(b'\\');
                return after;
            };
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return rest;
        }
        [b't', rest @ ..] => (b'\t', rest),
        [b'n', rest @ ..] => (b'\n', rest),
        [b'r', rest @ ..] => (b'\r', rest),
        [b'b', rest @ ..] => (0x08, rest),
        [b'v', rest @ ..] => (0x0b, rest),
        [b'f', rest @ ..] => (0x0c, rest),
        [b'a', rest @ ..] => (0x07, rest),
        [byte @ (b'"' | b'\\' | b'\'' | b'/'), rest @ ..] => (*byte, rest),
        _ => (b'\\', after),
    };
    out.push(byte);
    rest
}

/// Decodes a character whose first unit has been read: the second unit of a pair follows as `\udc00`.
fn utf16(first: Option<u16>, rest: &[u8]) -> Option<(char, &[u8])> {
    let first = first?;
    let (pair, after) = match rest {
        [b'\\', b'u', a, b, c, d, after @ ..] if (0xd800..0xdc00).contains(&first) => {
            ([first, unit(&[*a, *b, *c, *d])?], after)
        }
        _ => ([first, 0], rest),
    };
    char::decode_utf16(pair).next()?.ok().map(|char| (char, after))
}

/// Parses the four hex digits of a UTF-16 unit.
fn unit(digits: &[u8; 4]) -> Option<u16> {
    let [a, b, c, d] = *digits;
    Some(u16::from_be_bytes([hex(a, b)?, hex(c, d)?]))
}

/// Decodes `HAProxy`'s `#22`.
pub(super) fn unescape_hash(raw: &[u8]) -> Text<'_> {
    unescape_hex(raw, b'#')
}

/// Decodes `%22`, as Squid writes in headers and others everywhere.
pub(super) fn unescape_percent(raw: &[u8]) -> Text<'_> {
    unescape_hex(raw, b'%')
}

/// Decodes a mark followed by two hex digits; other marks are kept.
fn unescape_hex(raw: &[u8], mark: u8) -> Text<'_> {
    if memchr::memchr(mark, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        let escaped = match after {
            [high, low, tail @ ..] if *byte == mark => hex(*high, *low).map(|byte| (byte, tail)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((*byte, after));
        out.push(byte);
        rest = tail;
    }
    Cow::Owned(out)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Parses a status of three digits. (nginx writes `000` for a client that left before the response.)
pub(super) fn status(text: &[u8]) -> Option<u16> {
    match text {
        [a, b, c] if text.iter().all(u8::is_ascii_digit) => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

/// Parses a decimal number that fits 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns the text unless it stands for an absent value.
pub(super) fn present(text: &[u8]) -> Option<&[u8]> {
    (!matches!(text, b"" | b"-")).then_some(text)
}

/// Skips a terminal colour (`ESC [ 32 m`) if the text begins with one.
pub(super) fn uncolored(input: &[u8]) -> &[u8] {
    const LONGEST: usize = 16;
    let Some(inside) = input.strip_prefix(b"\x1b[") else { return input };
    let end = inside.iter().take(LONGEST).position(|b| !b.is_ascii_digit() && *b != b';');
    match end.and_then(|end| inside.get(end..)) {
        Some([b'm', rest @ ..]) => rest,
        _ => input,
    }
}

/// Returns the text in a record's form, unless it stands for an absent value.
pub(super) fn given(text: &[u8]) -> Option<Text<'_>> {
    present(text).map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_every_server_are_undone() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"plain", b"plain"),
            (br"\x22q\x22 \x5Cb\x09 \xC3\xA9", b"\"q\" \\b\t \xc3\xa9"),
            (br#"evil \"q\" \\b\t\xc3\xa9"#, b"evil \"q\" \\b\t\xc3\xa9"),
            (br"\u00e9\u0041", b"\xc3\xa9A"),
            (br"\ud800", br"\ud800"),
            (br"\ud83d\ude00 \ud83d\u0041 \/", b"\xf0\x9f\x98\x80 \\ud83dA /"),
            (br"\x4", br"\x4"),
            (br"\xzz", br"\xzz"),
            (br"a\", br"a\"),
            (br"\q", br"\q"),
        ];
        for (raw, expected) in cases {
            assert_eq!(&unescape(raw)[..], *expected, "{raw:?}");
        }
        assert_eq!(
            &unescape_hash(b"evil #22q#22 \\b #C3#A9#7C # #4 #zz")[..],
            b"evil \"q\" \\b \xc3\xa9| # #4 #zz"
        );
    }

    #[test]
    fn a_quote_closes_where_the_line_goes_on() {
        let inside = |line| quoted(line, is_end).map(|(rest, q)| (q.raw, rest));
        assert_eq!(inside(b"a\" b"), Some((&b"a"[..], &b" b"[..])));
        assert_eq!(inside(br#"a\" b" c"#), Some((&br#"a\" b"#[..], &b" c"[..])));
        assert_eq!(inside(br#"a"b" c"#), Some((&br#"a"b"#[..], &b" c"[..])));
        assert_eq!(inside(br#"a\\" c"#), Some((&br"a\\"[..], &b" c"[..])));
        assert_eq!(inside(b"\""), Some((&b""[..], &b""[..])));
        assert_eq!(inside(b"a b"), None);
        assert_eq!(inside(br"a\"), None);
        assert_eq!(inside(b""), None);
    }

    #[test]
    fn a_field_stands_in_quotes_or_is_a_word() {
        assert_eq!(field(b"a b"), (&b"b"[..], &b"a"[..]));
        assert_eq!(field(br#""a b\" c"#), (&b"c"[..], &br"a b\"[..]));
        assert_eq!(field(b"\"a b"), (&b""[..], &b"a b"[..]));
        assert_eq!(field(b""), (&b""[..], &b""[..]));
        for text in [&b"a b c"[..], b"a", b"", b" a", b"a "] {
            assert_eq!(short_word(text), word(text), "{text:?}");
        }
        assert_eq!(last_word(b"a b c"), (&b"a b"[..], &b"c"[..]));
        assert_eq!(last_word(b"a"), (&b""[..], &b"a"[..]));
        let inside = |line| unescaped_quoted(line, is_end);
        assert_eq!(inside(br#"a\" "b""#), Some((&br#" "b""#[..], &br"a\"[..])));
        assert_eq!(inside(br#"a"b" c"#), Some((&b" c"[..], &br#"a"b"#[..])));
        assert_eq!(inside(b"a b"), None);
    }

    #[test]
    fn a_colour_is_skipped() {
        for (text, rest) in [("\x1b[1;32mx", "x"), ("\x1b[mx", "x"), ("x", "x"), ("", "")] {
            assert_eq!(uncolored(text.as_bytes()), rest.as_bytes());
        }
        for text in ["\x1b[", "\x1b[1", "\x1b[2Jx", "\x1b]0;x\x07"] {
            assert_eq!(uncolored(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn numbers_are_in_range() {
        assert_eq!(status(b"200"), Some(200));
        assert!([&b"20"[..], b"2000", b"0xx", b"-", b"2 0"].iter().all(|t| status(t).is_none()));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b""), None);
    }
}
