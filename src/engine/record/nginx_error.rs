//! The error log of nginx, as `ngx_log_error_core` and `ngx_http_log_error_handler` write it ("`error_log`" in the core
//! module's documentation).
//!
//! ```text
//! 2026/03/02 08:00:00 [error] PID#TID: [*CONNECTION ]message[, client: A, server: S[, request: "R"]
//!     [, subrequest: "R"][, upstream: "U"][, host: "H"][, referrer: "R"]]
//! ```
//!
//! The time has no zone and is read as UTC. Nothing is escaped: a path in the message and any quoted field may contain
//! a complete forged tail. If all tails name the same client, the real one is the first that parses to the end of the
//! line without a quote inside a value, except in the referrer, which is last. If they disagree, the first one is real
//! if the message before it quotes nothing; after a user name, the only complete tail is real. Otherwise the real one
//! is unknown, and the record has no client and no request. A line that names no client (`signal process started`) is
//! a record with only a time: it is complete and makes no request.

use std::borrow::Cow;

use memchr::memmem;

use super::request::Request;
use super::scan::{Miss, before, found_in, last_word, present, word};
use super::{Record, client, time};

/// The most tails that are tried; a line with more is forged.
const MAX_TAILS: usize = 16;

/// The longest text that can be an address, including a zone.
const LONGEST_CLIENT: usize = 64;

const TAIL: &[u8] = b", client: ";

/// Returns whether a line begins with nginx's time and a bracket.
pub(super) fn is_likely(line: &[u8]) -> bool {
    matches!(
        line,
        [
            b'1' | b'2',
            _,
            _,
            _,
            b'/',
            _,
            _,
            b'/',
            _,
            _,
            b' ',
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _,
            b' ',
            b'[',
            ..
        ]
    )
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let (rest, stamp) = before(line, b" [", "a time like 2026/03/02 08:00:00 and '['")?;
    let Some(time) = time::slashed(stamp) else {
        return Err(Miss::at(line, "a time like 2026/03/02 08:00:00"));
    };
    let (rest, _) = before(rest, b"] ", "']' after the level")?;
    let mut record = Record::default();
    record.set_time(time);
    if let Some(tail) = tail_of(rest) {
        record.client = client::parse_address(tail.client);
        record.host = tail.host.and_then(present).map(Cow::Borrowed);
        record.referer = tail.referrer.and_then(present).map(Cow::Borrowed);
        let request = Cow::Borrowed(tail.request.unwrap_or_default());
        Request::split(&request, request.clone()).store(&mut record);
    }
    Ok(record)
}

/// What nginx writes about the request after its message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tail<'a> {
    client: &'a [u8],
    request: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    referrer: Option<&'a [u8]>,
    /// The whole tail was parsed, and no quote is where none is allowed.
    is_whole: bool,
}

fn tail_of(message: &[u8]) -> Option<Tail<'_>> {
    if !is_one_client(message) {
        return behind_name(message).or_else(|| first_proven(message));
    }
    let mut first = None;
    for at in memmem::find_iter(message, TAIL).take(MAX_TAILS) {
        let tail = read_tail(message.get(at + TAIL.len()..)?);
        if tail.is_whole {
            return Some(tail);
        }
        first = first.or(Some(tail));
    }
    first
}

/// Returns whether everything that looks like a tail names the same client.
fn is_one_client(message: &[u8]) -> bool {
    let mut clients = memmem::find_iter(message, TAIL).map(|at| {
        let text = message.get(at + TAIL.len()..).unwrap_or_default();
        let near = text.get(..LONGEST_CLIENT).unwrap_or(text);
        memchr::memchr(b',', near).and_then(|end| near.get(..end)).unwrap_or(near)
    });
    let first = clients.next();
    clients.all(|client| Some(client) == first)
}

/// Returns the only complete tail after the name of a refused user. By then the request had been parsed, so no
/// quote follows the version in it, and a Host with spaces had been refused (since nginx 1.21.1). So the real tail is
/// complete. An incomplete tail whose request has a version is part of the name or the referrer.
fn behind_name(message: &[u8]) -> Option<Tail<'_>> {
    let said = word(word(message).0).0;
    if !said.starts_with(b"user \"") {
        return None;
    }
    let mut only = None;
    for (n, at) in memmem::find_iter(said, TAIL).enumerate() {
        let tail = read_tail(said.get(at + TAIL.len()..)?);
        let is_known = tail.is_whole || tail.request.is_some_and(has_version);
        if n == MAX_TAILS || !is_known || (tail.is_whole && only.is_some()) {
            return None;
        }
        only = only.or(Some(tail).filter(|tail| tail.is_whole));
    }
    only
}

/// Returns whether a request ends like an HTTP request: ` HTTP/1.1`.
fn has_version(request: &[u8]) -> bool {
    let (_, version) = last_word(request);
    matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// Returns the first tail if the message before it contains nothing from a client, which nginx would have quoted;
/// a module's own message (`[lua] ...`) may contain anything. If the tail has a stray quote, only the client is
/// certain.
fn first_proven(message: &[u8]) -> Option<Tail<'_>> {
    let (said, rest) = found_in(message, TAIL)?;
    let said = match found_in(said, b" by zone \"") {
        Some((said, zone)) if memchr::memchr(b'"', zone) == zone.len().checked_sub(1) => said,
        _ => said,
    };
    if memchr::memchr2(b'"', b'[', said).is_some() {
        return None;
    }
    let tail = read_tail(rest);
    Some(if tail.is_whole { tail } else { Tail { client: tail.client, ..Tail::default() } })
}

fn read_tail(text: &[u8]) -> Tail<'_> {
    let (client, mut rest) = found_in(text, b", server: ").unwrap_or((text, b""));
    let mut tail =
        Tail { client, is_whole: client::parse_address(client).is_some(), ..Tail::default() };
    let server = memchr::memchr(b',', rest).unwrap_or(rest.len());
    rest = rest.get(server..).unwrap_or_default();
    while !rest.is_empty() {
        let named = rest.strip_prefix(b", ").and_then(|rest| found_in(rest, b": \""));
        let Some((name, quoted)) =
            named.filter(|(name, _)| name.iter().all(u8::is_ascii_lowercase))
        else {
            return Tail { is_whole: false, ..tail };
        };
        let (value, after) = if name == b"referrer" {
            (quoted.strip_suffix(b"\"").unwrap_or(quoted), &b""[..])
        } else {
            // A value without a closing quote was truncated or contains a quote.
            found_in(quoted, b"\"").unwrap_or((quoted, b"\""))
        };
        match name {
            b"request" => tail.request = tail.request.or(Some(value)),
            b"host" => tail.host = tail.host.or(Some(value)),
            b"referrer" => tail.referrer = Some(value),
            _ => {}
        }
        rest = after;
    }
    tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::tests::{preset, read as shown};

    const HEAD: &str = "2026/03/02 08:00:00 [error] 31#31: *6 ";

    #[test]
    fn lines_of_the_error_log_are_read() {
        let time = "2026-03-02T08:00:00Z";
        let cases = [
            (
                "open() \"/srv/x\" failed (2: No such file or directory), client: 192.0.2.1, server: example.org, request: \"GET /x?api_key=exk_1 HTTP/1.1\", upstream: \"http://10.0.0.1/x\", host: \"example.org:80\", referrer: \"http://example.org/\"",
                "client=192.0.2.1 method=GET target=/x?api_key=exk_1 version=1.1 referer=http://example.org/ host=example.org:80",
            ),
            (
                "SSL_do_handshake() failed (SSL: error:1) while SSL handshaking, client: 2001:db8::1, server: 0.0.0.0:443",
                "client=2001:db8::1",
            ),
            (
                "access forbidden by rule, client: 192.0.2.1, server: , request: \"GET / HTTP/2.0\", host: \"e\"",
                "client=192.0.2.1 method=GET target=/ version=2.0 host=e",
            ),
            ("client 192.0.2.1 closed keepalive connection", ""),
            (
                "cut, client: 192.0.2.1, server: e, request: \"GET /a",
                "client=192.0.2.1 method=GET target=/a",
            ),
            // Forged in the user name, and in the referrer.
            (
                "user \"a\": password mismatch, client: 198.51.100.9, server: e, request: \"GET /f HTTP/1.1\", host: \"e\"\": was not found in \"p\", client: 192.0.2.1, server: , request: \"GET / HTTP/1.1\", host: \"e\"",
                "client=192.0.2.1 method=GET target=/ version=1.1 host=e",
            ),
            (
                "limited, client: 192.0.2.1, server: e, request: \"GET / HTTP/1.1\", host: \"e\", referrer: \"x\", client: 198.51.100.9, server: e, request: \"GET /f HTTP/1.1\", host: \"e\"",
                "client=192.0.2.1 method=GET target=/ version=1.1 referer=x\\\", client: 198.51.100.9, server: e, request: \\\"GET /f HTTP/1.1\\\", host: \\\"e host=e",
            ),
        ];
        for (rest, expected) in cases {
            let line = format!("{HEAD}{rest}");
            let expected = format!("{time} {expected}");
            assert_eq!(shown(&preset("nginx-error"), &line), expected.trim_end(), "{line}");
            assert_eq!(shown(&preset("auto"), &line), expected.trim_end(), "{line}");
        }
        for line in [
            "2026/03/02 08:00:00 [notice] 1#1: signal process started",
            "2026/03/02 08:00:00 [crit] 80:2 ",
        ] {
            assert_eq!(shown(&preset("auto"), line), time, "{line}");
        }
    }

    #[test]
    fn a_client_in_a_request_was_read_for_the_true_one() {
        let time = "2026-03-02T08:00:00Z";
        let tail = ", client: 203.0.113.9, server: localhost, request: \"GET /real";
        let fake = ", client: 6.6.6.6, server: y, request: \"GET /fake HTTP/1.1\"";
        let client = format!("{time} client=203.0.113.9");
        let cases = [
            (format!("limiting requests, excess: 0.5 by zone \"z\"{tail}{fake}"), client.as_str()),
            (format!("upstream timed out (110: x){tail}{fake}"), &client),
            (format!("open() \"/srv/x\" failed (2: x){tail}{fake}"), time),
            (format!("open() \"/srv/x{fake}, referrer: \"\" failed{tail} HTTP/1.1\""), time),
            (format!("open() \"/srv/x by zone \"z\"{fake}\" failed{tail} HTTP/1.1\""), time),
            (format!("limiting by zone \"z\" \"x{fake}{tail} HTTP/1.1\""), time),
            (format!("user \"a\": password mismatch{tail}{fake}"), time),
            (format!("user \"a{fake}, referrer: \"\": password mismatch{tail} HTTP/1.1\""), time),
            (format!("[lua] a.lua:3: user x{fake}{tail} HTTP/1.1\""), time),
        ];
        for (rest, expected) in cases {
            assert_eq!(shown(&preset("auto"), &format!("{HEAD}{rest}")), expected, "{rest}");
        }
    }

    #[test]
    fn other_lines_are_rejected() {
        let format = preset("nginx-error");
        for (line, expected) in [
            ("", "1: a time like 2026/03/02 08:00:00 and '[' / the end of the line"),
            ("2026/13/02 08:00:00 [error] 1#1: x", "1: a time like 2026/03/02 08:00:00 / '2'"),
            ("2026/03/02 08:00:00 [error", "27: ']' after the level / the end of the line"),
        ] {
            assert_eq!(shown(&format, line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_nginx_prints_is_read_back(
            message in "[ -~&&[^,\"]]{0,40}",
            address in any::<u32>().prop_map(std::net::Ipv4Addr::from),
            path in "/[!-~&&[^\"]]{0,30}",
            host in "[a-z.]{1,20}",
            referrer in prop::option::of("[!-~]{2,30}"),
        ) {
            let referrer_part = referrer.as_ref().map(|r| format!(", referrer: \"{r}\"")).unwrap_or_default();
            let line = format!("{HEAD}{message}, client: {address}, server: x, request: \"GET {path} HTTP/1.1\", host: \"{host}\"{referrer_part}");
            let record = read(line.as_bytes()).unwrap();
            prop_assert_eq!(record.client, Some(address.into()));
            prop_assert_eq!(record.target.as_deref(), Some(path.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(host.as_bytes()));
            prop_assert_eq!(record.referer.as_deref(), referrer.as_deref().map(str::as_bytes));
        }
    }
}
