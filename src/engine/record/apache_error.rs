//! Apache's error log, version 2.2 and 2.4, and the lines of `ModSecurity` in it ("`ErrorLogFormat`" in Apache's core
//! documentation).
//!
//! ```text
//! [Mon Mar 02 08:00:00.123456 2026] [core:error] [pid P:tid T] [(errno)text: ][client A:PORT] message[, referer: R]
//! [Mon Mar 02 08:00:00 2026] [error] [client A] message[, referer: R]
//! ```
//!
//! The time has no zone and is read as UTC; a syslog envelope is removed first. Apache writes the client before any
//! text from the client, so the first client block counts. A line without one (a notice) is a record with a time.

use std::borrow::Cow;
use std::net::IpAddr;

use memchr::memmem;

use super::request::Request;
use super::scan::{Miss, found_in, present, unescape};
use super::time::Time;
use super::{Record, client, time};

/// Returns whether a line begins with a bracketed time followed by another bracket, with a bracketed module and
/// level, or with a bracketed client.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let near = line.get(..80).unwrap_or(line);
    let Some((block, rest)) = block(near) else { return false };
    match block {
        [_, _, _, b' ', _, _, _, b' ', _, _, b' ', ..] => rest.starts_with(b" ["),
        [b'0'..=b'9', ..] => rest.starts_with(b" [") && stamp(block).is_some(),
        _ => block.starts_with(b"client ") || (is_level(block) && rest.starts_with(b" [pid ")),
    }
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let mut has_port = false;
    let mut rest = line;
    let (mut is_first, mut has_level) = (true, false);
    while let Some((inside, after)) = block(rest) {
        let is_known = match inside {
            [b'c', b'l', b'i', b'e', b'n', b't', b' ', address @ ..]
            | [b'r', b'e', b'm', b'o', b't', b'e', b' ', address @ ..] => {
                record.client = address_of(address, has_port);
                let message = after.strip_prefix(b" ").unwrap_or(after);
                read_message(&mut record, message);
                return Ok(record);
            }
            [b'p', b'i', b'd', b' ', ..] => {
                has_port = true;
                true
            }
            _ if is_first && let Some(time) = stamp(inside) => {
                record.set_time(time);
                true
            }
            _ => {
                has_level |= is_level(inside);
                is_level(inside)
            }
        };
        if !is_known {
            break;
        }
        is_first = false;
        rest = after.strip_prefix(b" ").unwrap_or(after);
        rest = after_error(rest).unwrap_or(rest);
    }
    if is_first {
        return Err(Miss::at(line, "a time like [Mon Mar 02 08:00:00 2026]"));
    }
    // Other programs' lines also begin with brackets, and a request may follow these.
    if !has_level {
        return Err(Miss::at(rest, "a level like [core:error] or [error]"));
    }
    Ok(record)
}

/// Splits off a `[...]` block.
fn block(text: &[u8]) -> Option<(&[u8], &[u8])> {
    found_in(text.strip_prefix(b"[")?, b"]")
}

fn stamp(text: &[u8]) -> Option<Time> {
    time::asctime(text).or_else(|| time::iso(text)).or_else(|| time::clf(text))
}

/// Returns whether a block is `error` or `module:error`.
fn is_level(block: &[u8]) -> bool {
    const LEVELS: &[&[u8]] =
        &[b"emerg", b"alert", b"crit", b"error", b"warn", b"notice", b"info", b"debug"];
    let level = block.rsplit(|b| *b == b':').next().unwrap_or_default();
    LEVELS.contains(&level) || level.starts_with(b"trace")
}

/// Skips `(70014)End of file found: ` or `file.c(123): ` where a client block follows.
fn after_error(text: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 200;
    if text.starts_with(b"[") {
        return None;
    }
    let near = text.get(..LONGEST).unwrap_or(text);
    let end = memchr::memchr(b'[', near)?;
    let is_error = near.get(..end)?.ends_with(b": ") && memchr::memchr(b'(', near)? < end;
    text.get(end..).filter(|rest| is_error && rest.starts_with(b"[client "))
}

/// Parses a client's address. Version 2.4, which also logs the process, appends the port, even to an IPv6 address
/// without brackets.
fn address_of(text: &[u8], has_port: bool) -> Option<IpAddr> {
    let with_port = has_port.then(|| client::address_and_port(text)).flatten();
    with_port.or_else(|| client::parse_address(text))
}

/// Extracts what the message contains of the request.
fn read_message<'a>(record: &mut Record<'a>, message: &'a [u8]) {
    const REFERER: &[u8] = b", referer: ";
    let mut message = message;
    if let Some(at) = memmem::rfind(message, REFERER) {
        let (before, referer) = message.split_at(at);
        record.referer = referer.get(REFERER.len()..).and_then(present).map(unescape);
        message = before;
    }
    if memmem::find(message.get(..64).unwrap_or(message), b"ModSecurity: ").is_some()
        || message.starts_with(b"Coraza: ")
    {
        // Both escape quotes and write these fields after the text that they matched.
        record.target = last_named(message, b"[uri \"").map(unescape);
        record.host = last_named(message, b"[hostname \"").map(unescape);
    } else if let Some((_, raw)) = found_in(message, b" in request ") {
        let raw = found_in(raw, b" - ").map_or(raw, |(raw, _)| raw);
        Request::split(&unescape(raw), Cow::Borrowed(raw)).store(record);
    }
}

/// Returns the value of the last `[name "value"]`.
fn last_named<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::rfind(message, name)?;
    let (value, _) = found_in(message.get(at + name.len()..)?, b"\"]")?;
    present(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::tests::{preset, read as shown};

    #[test]
    fn lines_of_the_error_log_are_read() {
        let cases = [
            (
                "[Mon Mar 02 08:00:00.123456 2026] [core:error] [pid 7:tid 14] [client 192.0.2.1:4711] AH00126: Invalid URI in request GET /a/../b?c=d HTTP/1.1, referer: http://example.org/",
                "2026-03-02T08:00:00.123456Z client=192.0.2.1 method=GET target=/a/../b?c=d version=1.1 referer=http://example.org/",
            ),
            (
                "[Mon Mar 02 08:00:00 2026] [error] [client 2001:db8::1] File does not exist: /srv/x",
                "2026-03-02T08:00:00Z client=2001:db8::1",
            ),
            (
                "[Mon Mar 02 08:00:00.1 2026] [:error] [pid 7] [client 2001:db8::1:4711] x",
                "2026-03-02T08:00:00.100Z client=2001:db8::1",
            ),
            (
                "[Mon Mar 02 08:00:00.1 2026] [ssl:info] [pid 7:tid 7] (70014)End of file found: [client 192.0.2.1:17036] AH02006: x",
                "2026-03-02T08:00:00.100Z client=192.0.2.1",
            ),
            (
                "[Mon Mar 02 08:00:00 2026] [error] [client 192.0.2.1] Invalid method in request \\x16\\x03 - possible attempt",
                "2026-03-02T08:00:00Z client=192.0.2.1 target=\\\\x16\\\\x03",
            ),
            (
                "[2026-03-02 08:00:00.5] [php7:emerg] [pid 3] [client 192.0.2.1:5] x",
                "2026-03-02T08:00:00.500Z client=192.0.2.1",
            ),
            (
                "[02/Mar/2026:08:00:00 +0000] [ab:alert] [pid 3] [client 192.0.2.1:25] x",
                "2026-03-02T08:00:00Z client=192.0.2.1",
            ),
            (
                "Mar 02 08:00:00 h httpd[7]: [authz_core:error] [pid 7] [client 192.0.2.1:25] x",
                "client=192.0.2.1",
            ),
            (
                "[Mon Mar 02 08:00:00 2026] [:error] [pid 7] [client 192.0.2.1] ModSecurity: Warning. [data \"x [uri \\\"/f\\\"]\"] [hostname \"example.org\"] [uri \"/p\"] [unique_id \"u\"]",
                "2026-03-02T08:00:00Z client=192.0.2.1 target=/p host=example.org",
            ),
            (
                "[Mon Mar 02 08:00:00 2026] [mpm_event:notice] [pid 7:tid 7] AH00489: Apache configured",
                "2026-03-02T08:00:00Z",
            ),
            // A client block forged after the real one.
            (
                "[Mon Mar 02 08:00:00 2026] [error] [client 192.0.2.1] user [client 198.51.100.9] not found: /",
                "2026-03-02T08:00:00Z client=192.0.2.1",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(&preset("apache-error"), line), expected, "{line}");
            assert_eq!(shown(&preset("auto"), line), expected, "{line}");
        }
        for (line, expected) in [
            ("", "1: a time like [Mon Mar 02 08:00:00 2026] / the end of the line"),
            ("[x] [y] [client 192.0.2.1] z", "1: a time like [Mon Mar 02 08:00:00 2026] / '['"),
        ] {
            assert_eq!(shown(&preset("apache-error"), line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_apache_prints_is_read_back(
            address in any::<u128>().prop_map(std::net::Ipv6Addr::from).prop_filter("mapped", |a| a.to_ipv4_mapped().is_none()),
            port in 1024u16..,
            message in "[ -~]{0,40}",
            referer in "[!-~&&[^\\\\]]{2,30}",
        ) {
            let line = format!("[Mon Mar 02 08:00:00.123456 2026] [core:error] [pid 7:tid 14] [client {address}:{port}] {message}, referer: {referer}");
            let record = read(line.as_bytes()).unwrap();
            prop_assert_eq!(record.client, Some(address.into()));
            prop_assert_eq!(record.referer.as_deref(), Some(referer.as_bytes()));
            prop_assert_eq!(record.time.map(|t| t.to_rfc3339(6)), Some("2026-03-02T08:00:00.123456Z".to_owned()));
        }
    }
}
