//! The predefined formats without a time of morgan, the logger of Node's Express: `dev`, `short`, `tiny`.
//!
//! ```text
//! METHOD url status length - millis ms                                    tiny
//! client user METHOD url HTTP/1.1 status length - millis ms               short
//! METHOD url status millis ms - length                                    dev, coloured
//! ```
//!
//! Source: morgan, README and `index.js`. Its `combined` and `common` are Apache's. Nothing is escaped. A URL contains
//! no space, but a user name may, so `short` is parsed from the end.

use std::borrow::Cow;

use super::Record;
use super::client::parse_address;
use super::request::put_target;
use super::scan::{Miss, decimal, given, last_word, literal, status, uncolored, word};

/// The longest end of a `dev` line: duration, length and a colour.
const DEV_END: usize = 64;

/// Returns whether a line begins with a method and a URL, and ends in milliseconds.
pub(super) fn is_likely_tiny(line: &[u8]) -> bool {
    line.ends_with(b" ms") && begins_with_method(line)
}

/// Returns whether a line begins with an address, and ends in milliseconds.
pub(super) fn is_likely_short(line: &[u8]) -> bool {
    line.ends_with(b" ms") && parse_address(word(line).1).is_some()
}

/// Returns whether a line begins with a method and a URL, and has milliseconds before its last word.
pub(super) fn is_likely_dev(line: &[u8]) -> bool {
    matches!(line.first(), Some(0x1b | b'A'..=b'Z')) && begins_with_method(uncolored(line)) && {
        let end = line.get(line.len().saturating_sub(DEV_END)..).unwrap_or_default();
        memchr::memmem::find(end, b" ms - ").is_some()
    }
}

fn begins_with_method(line: &[u8]) -> bool {
    const LONGEST: usize = 16;
    let (rest, method) = word(line.get(..LONGEST + 2).unwrap_or(line));
    matches!(rest.first(), Some(b'/' | b'*' | b'h'))
        && method.len() >= 3
        && method.iter().all(|b| b.is_ascii_uppercase() || *b == b'-')
}

/// Parses a line of `tiny`; the envelope supplies the time.
pub(super) fn read_tiny(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let (url, method) = word(read_end(&mut record, line)?);
    record.method = given(method);
    put_target(&mut record, given(url));
    Ok(record)
}

/// Parses a line of `short`; the envelope supplies the time.
pub(super) fn read_short(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let rest = read_end(&mut record, line)?;
    let (rest, protocol) = last_word(rest);
    let is_version = |v: &&[u8]| v.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let Some(version) = protocol.strip_prefix(b"HTTP/").filter(is_version) else {
        return Err(Miss::with_left(line.len() - rest.len(), "the protocol"));
    };
    record.version = Some(Cow::Borrowed(version));
    let (rest, url) = last_word(rest);
    put_target(&mut record, given(url));
    let (rest, method) = last_word(rest);
    record.method = given(method);
    let (user, client) = word(rest);
    record.client = parse_address(client);
    record.user = given(user);
    Ok(record)
}

/// Parses ` status length - millis ms` at the end, and returns the text before it.
fn read_end<'a>(record: &mut Record<'a>, line: &'a [u8]) -> Result<&'a [u8], Miss> {
    let Some(rest) = line.strip_suffix(b" ms") else {
        return Err(Miss::at_end("' ms' at the end"));
    };
    let (rest, _millis) = last_word(rest);
    let Some(rest) = rest.strip_suffix(b" -") else {
        return Err(Miss::with_left(line.len() - rest.len(), "'-' before the milliseconds"));
    };
    let (rest, length) = last_word(rest);
    record.bytes = decimal(length);
    let (rest, code) = last_word(rest);
    record.status = read_status(code, line.len() - rest.len())?;
    Ok(rest)
}

/// Parses a status, or the dash that stands for none.
fn read_status(code: &[u8], rest: usize) -> Result<Option<u16>, Miss> {
    let status = status(code);
    let is_known = status.is_some() || code == b"-";
    is_known.then_some(status).ok_or(Miss::with_left(rest, "a status, or '-'"))
}

/// Parses a line of `dev`, coloured or not; the envelope supplies the time.
pub(super) fn read_dev(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let (rest, method) = word(uncolored(line));
    record.method = given(method);
    let (at_status, url) = word(rest);
    put_target(&mut record, given(url));
    let (rest, code) = word(uncolored(at_status));
    record.status = read_status(before_color(code), at_status.len())?;
    let (rest, _millis) = word(rest);
    let (rest, _) = literal(rest, b"ms - ", "'ms - ' behind the milliseconds")?;
    record.bytes = decimal(before_color(rest));
    Ok(record)
}

fn before_color(text: &[u8]) -> &[u8] {
    memchr::memchr(0x1b, text).and_then(|at| text.get(..at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample;
    use super::super::tests::{preset, read};

    #[test]
    fn lines_are_read_in_an_envelope() {
        let head = "2026-11-23T17:10:33.5Z stdout F ";
        let said = "method=GET target=/v1?api_key=k";
        let time = "2026-11-23T17:10:33.500Z";
        let cases = [
            (
                "morgan-tiny",
                "GET /v1?api_key=k 200 12 - 3.456 ms",
                format!("{time} {said} 200 bytes=12"),
            ),
            ("morgan-tiny", "GET /v1?api_key=k - - - - ms", format!("{time} {said}")),
            (
                "morgan-short",
                "::ffff:192.0.2.1 ann lee GET /v1?api_key=k HTTP/1.1 200 12 - 3.456 ms",
                format!("{time} client=192.0.2.1 {said} version=1.1 user=ann lee 200 bytes=12"),
            ),
            (
                "morgan-short",
                "192.0.2.1 GET / HTTP/1.1 500 1 - 1 ms GET /v1?api_key=k HTTP/1.1 200 - - 3.456 ms",
                format!(
                    "{time} client=192.0.2.1 {said} version=1.1 user=GET / HTTP/1.1 500 1 - 1 ms 200"
                ),
            ),
            (
                "morgan-dev",
                "\x1b[0mGET /v1?api_key=k \x1b[32m200\x1b[0m 3.456 ms - 12\x1b[0m",
                format!("{time} {said} 200 bytes=12"),
            ),
            ("morgan-dev", "GET /v1?api_key=k 304 3.456 ms - -", format!("{time} {said} 304")),
        ];
        for (name, line, expected) in &cases {
            assert_eq!(read(&preset(name), &format!("{head}{line}")), *expected, "{line}");
            assert_eq!(read(&preset("auto"), &format!("{head}{line}")), *expected, "{line}");
        }
        let rejects = [
            ("morgan-tiny", "GET / OK 12 - 3 ms", "6: a status, or '-' / ' '"),
            ("morgan-tiny", "GET / 200 12 3 ms", "13: '-' before the milliseconds / ' '"),
            ("morgan-short", "192.0.2.1 - GET / 200 12 - 3 ms", "16: the protocol / ' '"),
            ("morgan-dev", "GET / OK 3 ms - -", "7: a status, or '-' / 'O'"),
            ("morgan-dev", "GET / 200 12 - 3 ms", "14: 'ms - ' behind the milliseconds / '-'"),
        ];
        for (name, line, expected) in rejects {
            assert_eq!(read(&preset(name), line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_without_a_time_says_what_to_do() {
        for (name, line) in [
            ("morgan-tiny", "GET / 200 12 - 3.456 ms"),
            ("morgan-short", "192.0.2.1 - GET / HTTP/1.1 200 12 - 3.456 ms"),
            ("morgan-dev", "GET / 200 3.456 ms - 12"),
            ("uvicorn", "INFO:     192.0.2.1:50424 - \"GET / HTTP/1.1\" 200 OK"),
        ] {
            for name in [name, "auto"] {
                let said = read(&preset(name), line);
                assert!(said.contains("a time: use a format that has one"), "{said}");
                let said = read(&preset(name), &format!("Oct 11 22:14:15 host app[7]: {line}"));
                assert!(said.contains("a time: use a format that has one"), "{said}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample(), user in "[a-z]{1,8}( [a-z]{1,8})?") {
            let head = s.time("%Y-%m-%dT%H:%M:%S%.6fZ stdout F ");
            let short = format!(
                "{head}{} {user} {} {} HTTP/1.1 {} {} - 1.234 ms",
                s.client, s.method, s.target, s.status, s.bytes,
            );
            let record = s.read_back("morgan-short", &short, 6);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.user.as_deref(), Some(user.as_bytes()));
            prop_assert_eq!(record.bytes, Some(s.bytes));
            let tiny = format!("{head}{} {} {} {} - 1.234 ms", s.method, s.target, s.status, s.bytes);
            let dev = format!(
                "{head}\x1b[0m{} {} \x1b[36m{}\x1b[0m 1.234 ms - {}\x1b[0m",
                s.method, s.target, s.status, s.bytes,
            );
            for (name, line) in [("morgan-tiny", tiny), ("morgan-dev", dev)] {
                for name in [name, "auto"] {
                    let record = preset(name).parse(line.as_bytes()).unwrap();
                    prop_assert_eq!(record.time.map(|time| time.0), Some(s.micros));
                    prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
                    prop_assert_eq!(record.method.as_deref(), Some(s.method.as_bytes()));
                    prop_assert_eq!((record.status, record.bytes), (Some(s.status), Some(s.bytes)));
                }
            }
        }
    }
}
