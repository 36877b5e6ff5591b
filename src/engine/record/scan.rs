//! What all text formats share: nom parsers over bytes, the place where a line stopped fitting, escapes.
//!
//! Every parser here looks at a byte a bounded number of times, so a hostile line costs no more than a
//! long one.

use std::borrow::Cow;

use nom::bytes::complete::{tag, take_until};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::terminated;
use nom::{Err, IResult, Parser};

use super::{Reject, Text};

/// What is asked for where a client wrote a status into the line.
const FORGED: &str = "one status after the request, not two";

/// What stands between two quoted fields.
pub(super) const BETWEEN: &[u8] = b"\" \"";

/// Where a line stopped fitting: what is left of it there, and what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    pub(super) rest: usize,
    pub(super) expected: &'static str,
}

/// What a parser of this module returns: the rest of the line, and what stood before it.
pub(super) type Scan<'a, T> = IResult<&'a [u8], T, Miss>;

impl ParseError<&[u8]> for Miss {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { rest: input.len(), expected: "" }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl Miss {
    /// Returns the one of two that got further in the line; of equals, this one.
    pub(super) const fn further(self, other: Self) -> Self {
        if other.rest < self.rest { other } else { self }
    }

    /// Says that a client wrote a part of the line: no other format may make sense of it.
    pub(super) fn is_forged(self) -> bool {
        self.expected == FORGED
    }

    /// Tells a person where in `line` the parser stood.
    pub(super) fn reject(self, line: &[u8]) -> Reject {
        let at = line.len().saturating_sub(self.rest);
        Reject::new(at + 1, self.expected, found_at(line, at))
    }
}

impl From<Err<Self>> for Miss {
    fn from(error: Err<Self>) -> Self {
        match error {
            Err::Error(miss) | Err::Failure(miss) => miss,
            Err::Incomplete(_) => Self { rest: 0, expected: "more of the line" },
        }
    }
}

/// Names what stands at an offset: a character, a byte, the end of the line.
pub(super) fn found_at(line: &[u8], at: usize) -> Cow<'static, str> {
    match line.get(at) {
        None => "the end of the line".into(),
        Some(&byte) if byte.is_ascii_graphic() || byte == b' ' => {
            format!("'{}'", char::from(byte)).into()
        }
        Some(byte) => format!("byte 0x{byte:02x}").into(),
    }
}

/// Fails at the beginning of `input`.
pub(super) fn miss<T>(input: &[u8], expected: &'static str) -> Result<T, Err<Miss>> {
    Err(Err::Error(Miss { rest: input.len(), expected }))
}

/// Takes `literal`, which must stand here.
pub(super) fn literal<'a>(
    input: &'a [u8],
    literal: &[u8],
    expected: &'static str,
) -> Scan<'a, &'a [u8]> {
    tag::<_, _, Miss>(literal)(input).or_else(|_| miss(input, expected))
}

/// Takes what stands before the next `literal`, and the literal.
pub(super) fn before<'a>(
    input: &'a [u8],
    literal: &[u8],
    expected: &'static str,
) -> Scan<'a, &'a [u8]> {
    terminated(take_until::<_, _, Miss>(literal), tag(literal))
        .parse(input)
        .or_else(|_| miss(b"", expected))
}

/// Splits at the first `literal`: what stands before it, and what behind.
pub(super) fn found_in<'a>(input: &'a [u8], literal: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = match *literal {
        [byte] => memchr::memchr(byte, input)?,
        _ => memchr::memmem::find(input, literal)?,
    };
    let (before, rest) = input.split_at(at);
    Some((before, rest.get(literal.len()..)?))
}

/// Takes a word: what stands before the next space (which is taken too) or the end.
pub(super) fn word(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', input).and_then(|at| input.split_at_checked(at)) {
        Some((word, rest)) => (rest.get(1..).unwrap_or_default(), word),
        None => (b"", input),
    }
}

/// Takes the last word: what stands before the space in front of it, and the word.
pub(super) fn last_word(input: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b' ', input).and_then(|at| input.split_at_checked(at)) {
        Some((rest, word)) => (rest, word.get(1..).unwrap_or_default()),
        None => (b"", input),
    }
}

/// Takes a field that a writer who escapes nothing may have put in quotes, and the space behind it. A quote
/// that never closes takes all.
pub(super) fn field(input: &[u8]) -> (&[u8], &[u8]) {
    let Some(inside) = input.strip_prefix(b"\"") else { return word(input) };
    let (rest, text) = unescaped_quoted(inside, is_end).unwrap_or((b"", inside));
    (rest.strip_prefix(b" ").unwrap_or(rest), text)
}

/// Takes a text that a writer who escapes nothing put in quotes, its opening quote taken: up to the first
/// quote after which the line goes on as `goes_on` asks.
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

/// Takes a request that a writer who escapes nothing put in quotes, its opening quote taken. It ends at the quote
/// behind which all that stands before the next quoted field may stand; of a line that is cut before that, at the one
/// behind which a status may. Where there are two such quotes, a client wrote one of them, and which status is true
/// nobody can tell.
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
        (Some(_), Some(second)) => Err(Miss { rest: input.len() - second, expected: FORGED }),
        (None, _) => Err(Miss { rest: 0, expected: "'\"' after the request, and a status" }),
    }
}

/// Takes a quoted text whose opening quote has been taken: up to the first quote that no backslash
/// escapes and after which the line goes on as `goes_on` asks. (Writers that escape nothing leave quotes
/// inside; what follows tells them from the closing one.)
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

/// Says whether a field ends here: with the line or with a space.
pub(super) fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' '))
}

/// The inside of a quoted text as it stands in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    pub(super) raw: &'a [u8],
    pub(super) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    /// Undoes the escapes; without any, the text is borrowed.
    pub(super) fn text(self) -> Text<'a> {
        if self.has_escapes { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// Undoes what nginx (`\x22`), Apache (`\"`, `\\`, `\t`, `\xc3`), Go (`\u00e9`) and JSON (`\/`, pairs of
/// surrogates) write; a backslash that begins none of these stays.
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

/// Writes what one escape stands for and returns what follows it.
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

/// Reads a character whose first unit has been taken: the second of a pair stands behind it as `\udc00`.
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

/// Reads the four hex digits of a UTF-16 unit.
fn unit(digits: &[u8; 4]) -> Option<u16> {
    let [a, b, c, d] = *digits;
    Some(u16::from_be_bytes([hex(a, b)?, hex(c, d)?]))
}

/// Undoes `HAProxy`'s `#22`.
pub(super) fn unescape_hash(raw: &[u8]) -> Text<'_> {
    unescape_hex(raw, b'#')
}

/// Undoes `%22`, as Squid writes in headers and others everywhere.
pub(super) fn unescape_percent(raw: &[u8]) -> Text<'_> {
    unescape_hex(raw, b'%')
}

/// Undoes a mark and two hex digits; a mark without them stays.
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

/// Reads a status of three digits. (nginx writes `000` for a client that left before it was answered.)
pub(super) fn status(text: &[u8]) -> Option<u16> {
    match text {
        [a, b, c] if text.iter().all(u8::is_ascii_digit) => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

/// Reads a decimal number that fits 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns the text unless it says that there is none.
pub(super) fn present(text: &[u8]) -> Option<&[u8]> {
    (!matches!(text, b"" | b"-")).then_some(text)
}

/// Skips a terminal's colour (`ESC [ 32 m`), if one stands here.
pub(super) fn uncolored(input: &[u8]) -> &[u8] {
    const LONGEST: usize = 16;
    let Some(inside) = input.strip_prefix(b"\x1b[") else { return input };
    let end = inside.iter().take(LONGEST).position(|b| !b.is_ascii_digit() && *b != b';');
    match end.and_then(|end| inside.get(end..)) {
        Some([b'm', rest @ ..]) => rest,
        _ => input,
    }
}

/// Returns the text as a record holds it, unless it says that there is none.
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
