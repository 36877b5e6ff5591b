//! Uvicorn's access log in its default `LOGGING_CONFIG`. It has no time.
//!
//! ```text
//! INFO:     client:port - "METHOD target HTTP/1.1" status phrase
//! 2026-11-23 17:10:33,537 - uvicorn.access - INFO - client:port - "METHOD target HTTP/1.1" status
//! ```
//!
//! The second form is the result of a site's own `%(asctime)s - %(name)s - %(levelname)s - %(message)s`, in any order,
//! with dashes, bars, colons or brackets; its time is an envelope's.
//!
//! Sources: Uvicorn, `config.py` and `logging.py`. On a terminal, level, request and status are coloured. The path is
//! percent-encoded, the query is not, and neither contains a space.

use std::borrow::Cow;

use super::Record;
use super::client::{address_and_port, parse_address};
use super::request::put_request;
use super::scan::{
    Miss, before, begins_with_status, literal, status, uncolored, unescaped_quoted, word,
};

const LEVEL: &[u8] = b"INFO";

/// The logger's name.
const LOGGER: &[u8] = b"uvicorn.access";

/// Returns whether a line begins with an access log's level, padded as by Uvicorn, or with the logger's name.
pub(super) fn is_likely(line: &[u8]) -> bool {
    // Lines of other formats begin with an address; these never do.
    if line.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    after_level(line).is_some_and(|rest| rest.starts_with(b":     "))
        || after_logger(line).is_some()
}

/// Skips what a site's own format writes before the client: level, logger name, and separators.
fn after_logger(line: &[u8]) -> Option<&[u8]> {
    const NEAR: usize = 32;
    let at = memchr::memmem::find(line.get(..NEAR).unwrap_or(line), LOGGER)?;
    let (before, rest) = line.split_at_checked(at)?;
    let is_head = after_marks(after_marks(before).strip_prefix(LEVEL).unwrap_or(before));
    let rest = after_marks(rest.strip_prefix(LOGGER)?);
    is_head.is_empty().then(|| rest.strip_prefix(LEVEL).map_or(rest, after_marks))
}

/// Skips separators; a colon only at the beginning, since an address may begin with one.
fn after_marks(text: &[u8]) -> &[u8] {
    let rest = text.strip_prefix(b":").unwrap_or(text);
    let length = rest.iter().take_while(|b| matches!(b, b' ' | b'-' | b'|' | b'[' | b']')).count();
    rest.get(length..).unwrap_or_default()
}

fn after_level(line: &[u8]) -> Option<&[u8]> {
    Some(uncolored(uncolored(line).strip_prefix(LEVEL)?))
}

/// Parses a line; the envelope supplies the time.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let rest = match (after_logger(line), after_level(line)) {
        (Some(rest), _) => rest,
        (None, Some(rest)) => literal(rest, b":     ", "a colon and five spaces after INFO")?.0,
        (None, None) => return Err(Miss::at(line, "INFO and a colon")),
    };
    let (rest, client) = before(rest, b" - \"", "the client's address, a dash and '\"'")?;
    record.client = address_and_port(client).or_else(|| parse_address(client));
    let Some((rest, request)) = unescaped_quoted(uncolored(rest), is_status_next) else {
        return Err(Miss::at_end("'\"' after the request, and a status"));
    };
    let request = memchr::memchr(0x1b, request).and_then(|at| request.get(..at)).unwrap_or(request);
    put_request(&mut record, &Cow::Borrowed(request), request);
    record.status = status(word(uncolored(rest.get(1..).unwrap_or_default())).1);
    Ok(record)
}

fn is_status_next(rest: &[u8]) -> bool {
    rest.strip_prefix(b" ").is_some_and(|rest| begins_with_status(uncolored(rest), b""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample;
    use super::super::tests::{preset, read};

    #[test]
    fn lines_are_read_in_an_envelope() {
        let head = "2026-11-23T17:10:33.5Z stdout F ";
        let begin = "2026-11-23T17:10:33.500Z client=192.0.2.1";
        let said = "method=GET target=/v1?api_key=k version=1.1 200";
        let cases = [
            (
                "INFO:     192.0.2.1:50424 - \"GET /v1?api_key=k HTTP/1.1\" 200 OK",
                format!("{begin} {said}"),
            ),
            (
                "INFO:     2001:db8::1:50424 - \"GET /v1?api_key=k HTTP/1.1\" 200",
                format!("2026-11-23T17:10:33.500Z client=2001:db8::1 {said}"),
            ),
            (
                "INFO:      - \"GET /v1?api_key=k HTTP/1.1\" 200 OK",
                format!("2026-11-23T17:10:33.500Z {said}"),
            ),
            (
                "\x1b[32mINFO\x1b[0m:     192.0.2.1:50424 - \"\x1b[1mGET /v1?api_key=k HTTP/1.1\x1b[0m\" \x1b[32m200 OK\x1b[0m",
                format!("{begin} {said}"),
            ),
            (
                "INFO:     Application startup complete.",
                "72: the client's address, a dash and '\"' / the end of the line".into(),
            ),
            (
                "INFO:     192.0.2.1:50424 - \"GET / HTTP/1.1\" OK",
                "80: '\"' after the request, and a status / the end of the line".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("uvicorn"), &format!("{head}{line}")), *expected, "{line}");
        }
    }

    #[test]
    fn lines_of_a_sites_own_format_are_read() {
        let said = "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/v1?api_key=k version=1.1 200";
        let message = "192.0.2.1:50424 - \"GET /v1?api_key=k HTTP/1.1\" 200";
        for head in [
            "- uvicorn.access - INFO - ",
            "uvicorn.access INFO ",
            "[INFO] uvicorn.access: ",
            "INFO - uvicorn.access - ",
            "| INFO | uvicorn.access | ",
            "INFO:uvicorn.access:",
        ] {
            let line = format!("2026-11-23 17:10:33,537 {head}{message}");
            for name in ["uvicorn", "auto"] {
                assert_eq!(read(&preset(name), &line), said, "{line}");
            }
        }
        let six = "2026-11-23 17:10:33,537 INFO:uvicorn.access:::1:50424 - \"GET / HTTP/1.1\" 200";
        assert_eq!(
            read(&preset("uvicorn"), six),
            "2026-11-23T17:10:33.537Z client=::1 method=GET target=/ version=1.1 200"
        );
        for other in ["- app - INFO - ", "- app uvicorn.access - ", "- uvicorn.error - INFO - "] {
            let line = format!("2026-11-23 17:10:33,537 {other}{message}");
            assert!(preset("uvicorn").parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample()) {
            let line = format!(
                "{} stdout F INFO:     {}:4711 - \"{} {} HTTP/1.1\" {} Phrase of it",
                s.time("%Y-%m-%dT%H:%M:%S%.6fZ"), s.client, s.method, s.target, s.status,
            );
            let record = s.read_back("uvicorn", &line, 6);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
        }
    }
}
