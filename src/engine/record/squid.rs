//! Squid's native access log, in the form of its `logformat` directive's `squid`.
//!
//! ```text
//! seconds.millis elapsed client TAG/status bytes METHOD url user HIERARCHY/server type[ [request] [response]]
//! ```
//!
//! Sources: Squid, `logformat` and `log_mime_hdrs`. The bracketed headers are present if `log_mime_hdrs` is on, each
//! header line ending in `%0D%0A`. Squid removes the query unless `strip_query_terms` is off. Its `common` and
//! `combined` are read as what they are.

use super::client::parse_address;
use super::draft::push_field;
use super::duration::{self, Whole};
use super::request::put_target;
use super::scan::{Miss, before, decimal, given, present, status, unescape_percent, word};
use super::{FieldName, Record, further, names, time};

/// The end of a header's line in the log.
const LINE_END: &[u8] = b"%0D%0A";

/// Returns whether a line begins with seconds, milliseconds, and a fourth word that ends in a status.
pub(super) fn is_likely(line: &[u8]) -> bool {
    if line.get(9) != Some(&b'.') && line.get(10) != Some(&b'.') {
        return false;
    }
    let (rest, stamp) = word(line.get(..256).unwrap_or(line));
    let [seconds @ .., b'.', a, b, c] = stamp else { return false };
    let is_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let is_stamp =
        (9..=10).contains(&seconds.len()) && is_digits(seconds) && is_digits(&[*a, *b, *c]);
    is_stamp && {
        let (rest, elapsed) = word(rest.trim_ascii_start());
        let (_, result) = word(word(rest).0);
        is_digits(elapsed.strip_prefix(b"-").unwrap_or(elapsed)) && code(result).is_some()
    }
}

/// Returns the status in `TCP_MISS/200`.
fn code(result: &[u8]) -> Option<&[u8]> {
    match result {
        [tag @ .., b'/', _, _, _] if tag.first().is_some_and(u8::is_ascii_uppercase) => {
            result.get(tag.len() + 1..)
        }
        _ => None,
    }
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let (rest, stamp) = before(line, b" ", "a space after the time")?;
    let Some(time) = time::epoch(stamp) else {
        return Err(Miss::at(line, "a time like 1795453833.537"));
    };
    record.set_time(time);
    let (rest, elapsed) = before(rest.trim_ascii_start(), b" ", "the milliseconds it took")?;
    record.took_millis = duration::read(elapsed, Whole::Millis).unwrap_or_default();
    let (at_result, client) = before(rest, b" ", "the client's address")?;
    record.client = parse_address(client);
    let (at_bytes, result) = before(at_result, b" ", "the result, like TCP_MISS/200")?;
    let Some(code) = code(result) else {
        return Err(Miss::at(at_result, "the result, like TCP_MISS/200"));
    };
    record.status = status(code);
    let (rest, size) = before(at_bytes, b" ", "the number of bytes sent")?;
    record.bytes = decimal(size);
    if record.bytes.is_none() && size != b"-" {
        return Err(Miss::at(at_bytes, "the number of bytes sent"));
    }
    let (rest, method) = before(rest, b" ", "the method")?;
    record.method = given(method).filter(|m| !m.starts_with(b"NONE"));
    let rest = read_url(&mut record, rest)?;
    let (rest, _type) = word(rest);
    read_tail(&mut record, rest);
    Ok(record)
}

/// Parses URL, user and hierarchy. A URL may contain spaces (`uri_whitespace allow`): it ends two words before the
/// hierarchy.
fn read_url<'a>(record: &mut Record<'a>, url: &'a [u8]) -> Result<&'a [u8], Miss> {
    let (mut rest, first) = word(url);
    let (mut length, mut user) = (first.len(), word(rest).1);
    loop {
        let after_user = word(rest).0;
        let (behind, hierarchy) = word(after_user);
        if is_hierarchy(hierarchy) {
            put_target(record, url.get(..length).and_then(given));
            record.user = given(user);
            return Ok(behind);
        }
        if after_user.is_empty() {
            return Err(Miss::at(url, "a URL, the user, and a hierarchy"));
        }
        length += 1 + user.len();
        rest = after_user;
        user = word(rest).1;
    }
}

/// Returns whether a word is `HIER_DIRECT/192.0.2.1` or, before version 3.2, `DIRECT/192.0.2.1`.
fn is_hierarchy(word: &[u8]) -> bool {
    let Some(name) = memchr::memchr(b'/', word).and_then(|at| word.get(..at)) else { return false };
    name.len() >= 4 && name.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
}

/// Parses the text after the type: bracketed headers, or the site's own fields.
fn read_tail<'a>(record: &mut Record<'a>, rest: &'a [u8]) {
    let Some(inside) = rest.strip_prefix(b"[") else {
        further::further(record, rest);
        return;
    };
    // Brackets inside are escaped. The response's headers, in the second pair, do not concern the client.
    let end = memchr::memchr(b']', inside).unwrap_or(inside.len());
    let mut headers = inside.get(..end).unwrap_or_default();
    while !headers.is_empty() {
        let end = memchr::memmem::find(headers, LINE_END).unwrap_or(headers.len());
        let (line, after) = headers.split_at(end);
        headers = after.get(LINE_END.len()..).unwrap_or_default();
        put_header(record, line);
    }
}

/// Stores one header, `Name: value`.
fn put_header<'a>(record: &mut Record<'a>, line: &'a [u8]) {
    let Some(colon) = memchr::memchr(b':', line) else { return };
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if present(value).is_none() {
        return;
    }
    let text = unescape_percent(value);
    match () {
        () if name.eq_ignore_ascii_case(b"user-agent") => record.agent = Some(text),
        () if name.eq_ignore_ascii_case(b"referer") => record.referer = Some(text),
        () => {
            if let Some(name) = names::header(name) {
                push_field(record, FieldName::Header(name), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample;
    use super::super::tests::{preset, read};

    #[test]
    fn lines_are_read() {
        let head = "1795453833.537     12 192.0.2.1";
        let begin = "2026-11-23T17:10:33.537Z client=192.0.2.1";
        let target = "target=http://example.org/a?token=t";
        let url = "http://example.org/a?token=t";
        let cases = [
            (
                format!("{head} TCP_MISS/200 1293 GET {url} ann HIER_DIRECT/203.0.113.9 text/html"),
                format!(
                    "{begin} method=GET {target} user=ann host=example.org scheme=http 200 bytes=1293"
                ),
            ),
            (
                format!("{head} TCP_MISS/200 1293 GET http://example.org/a b c - NONE/- -"),
                format!(
                    "{begin} method=GET target=http://example.org/a b c host=example.org scheme=http 200 bytes=1293"
                ),
            ),
            (
                format!(
                    "{head} TCP_TUNNEL/200 39 CONNECT example.org:443 - HIER_DIRECT/2001:db8::9 -"
                ),
                format!("{begin} method=CONNECT target=example.org:443 200 bytes=39"),
            ),
            (
                format!("{head} NONE_NONE/400 39 NONE error:invalid-request - HIER_NONE/- -"),
                format!("{begin} target=error:invalid-request 400 bytes=39"),
            ),
            (
                format!(
                    "{head} TCP_MISS/200 12 GET {url} - HIER_DIRECT/203.0.113.9 - [User-Agent: c/1 %5b%25%5d%0D%0AAuthorization: Bearer x1%0D%0AAccept: */*%0D%0AHost: h%0D%0A] [Server: s%0D%0A]"
                ),
                format!(
                    "{begin} method=GET {target} agent=c/1 [%] host=example.org scheme=http 200 bytes=12 header:authorization=Bearer x1 header:host=h"
                ),
            ),
            (
                format!(
                    "{head} TCP_MISS/200 12 GET {url} - HIER_DIRECT/203.0.113.9 - tw1_0f \"Bearer x1\""
                ),
                format!(
                    "{begin} method=GET {target} host=example.org scheme=http 200 bytes=12 field=tw1_0f field=Bearer x1"
                ),
            ),
            (
                format!("{head} TCP_MISS/2000 12 GET / - HIER_NONE/- -"),
                "33: the result, like TCP_MISS/200 / 'T'".into(),
            ),
            (
                format!("{head} TCP_MISS/200 12 GET / - x"),
                "53: a URL, the user, and a hierarchy / '/'".into(),
            ),
            ("x".into(), "2: a space after the time / the end of the line".into()),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("squid"), line), *expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample()) {
            let hex = |text: &str| text.bytes().fold(String::new(), |out, byte| match byte {
                b'%' | b'[' | b']' | b'\\' | ..0x20 | 0x7f.. => format!("{out}%{byte:02X}"),
                _ => format!("{out}{}", char::from(byte)),
            });
            let url = format!("https://{}{}", s.host, s.target);
            let line = format!(
                "{} {:6} {} TCP_MISS/{} {} {} {url} - HIER_DIRECT/203.0.113.9 text/html [Referer: {}%0D%0AUser-Agent: {}%0D%0A] []",
                s.time("%s%.3f"), 12, s.client, s.status, s.bytes, s.method, hex(&s.referer), hex(&s.agent),
            );
            let record = s.read_back("squid", &line, 3);
            let text = |text: &str| Some(text.trim().to_owned().into_bytes()).filter(|t| !t.is_empty() && t != b"-");
            prop_assert_eq!(record.target.as_deref(), Some(url.as_bytes()));
            let (referer, agent) = (text(&s.referer), text(&s.agent));
            prop_assert_eq!(record.referer.as_deref(), referer.as_deref());
            prop_assert_eq!(record.agent.as_deref(), agent.as_deref());
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
