//! `HAProxy`'s HTTP log (`option httplog`, `option httpslog`), as its configuration manual draws it in 8.2.3.
//!
//! ```text
//! client:port [time] frontend backend/server timers status bytes cc cs state conns queues[ {req}][ {res}] "request"[ further]
//! ```
//!
//! The time has no zone and is taken as UTC. Captured headers have no names: the values are further fields,
//! and the first of the request's that looks like a product is the user agent.

use std::borrow::Cow;

use super::draft::{Request, push_field};
use super::scan::{Miss, before, decimal, literal, status, unescape_hash, word};
use super::{FieldName, Record, client, combined, names, time};

/// Says whether a line begins with a peer (an address, `unix`), its port, and a bracket.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let (rest, peer) = word(line.get(..64).unwrap_or(line));
    rest.starts_with(b"[") && peer.contains(&b':')
}

/// Reads a line of the HTTP log.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let (rest, peer) = before(line, b" ", "a space after the client's address")?;
    let (inside, _) = literal(rest, b"[", "'[' before the time")?;
    let (rest, text) = before(inside, b"]", "']' after the time")?;
    let Some(time) = time::clf(text) else {
        let expected = "a time like 10/Oct/2000:13:55:36.123";
        return Err(Miss { rest: inside.len(), expected });
    };
    let mut record = Record {
        client: client::address_and_port(peer),
        time: Some(time.at),
        time_digits: time.digits,
        ..Record::default()
    };
    let (rest, _) = literal(rest, b" ", "a space after the time")?;
    let (rest, frontend) = before(rest, b" ", "the frontend")?;
    if frontend.ends_with(b"~") {
        record.scheme = Some(Cow::Borrowed(b"https"));
    }
    let rest = numbers(&mut record, rest)?;
    let rest = captures(&mut record, rest);
    let (rest, _) = literal(rest, b"\"", "'\"' before the request")?;
    let (rest, raw) = before(rest, b"\"", "'\"' after the request")?;
    set_request(&mut record, raw);
    read_tail(&mut record, rest.strip_prefix(b" ").unwrap_or(rest));
    Ok(record)
}

/// Reads from the backend to the queues.
fn numbers<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    let (rest, backend) = before(rest, b" ", "the backend and server")?;
    if memchr::memchr(b'/', backend).is_none() {
        let rest = rest.len() + backend.len() + 1;
        return Err(Miss { rest, expected: "the backend and server, like web/web1" });
    }
    let (at_status, timers) = before(rest, b" ", "the timers")?;
    let (at_bytes, code) = before(at_status, b" ", "a status")?;
    if is_tcp(timers, at_bytes) {
        let expected = "a status (a line of option tcplog holds no request: set option httplog)";
        return Err(Miss { rest: at_status.len(), expected });
    }
    record.status = status(code);
    if record.status.is_none() && code != b"-1" && code != b"-" {
        return Err(Miss { rest: at_status.len(), expected: "a status" });
    }
    let (mut rest, size) = before(at_bytes, b" ", "the number of bytes sent")?;
    // `option logasap` writes a plus before the bytes, since more will follow.
    record.bytes = decimal(size.strip_prefix(b"+").unwrap_or(size));
    if record.bytes.is_none() {
        return Err(Miss { rest: at_bytes.len(), expected: "the number of bytes sent" });
    }
    for expected in [
        "the captured request cookie",
        "the captured response cookie",
        "the termination state",
        "the connection counts",
        "the queue lengths",
    ] {
        let (after, text) = before(rest, b" ", expected)?;
        if expected.ends_with("cookie")
            && let Some(cookie) = names::credential(text)
        {
            push_field(record, FieldName::Unnamed, unescape_hash(cookie));
        }
        rest = after;
    }
    Ok(rest)
}

/// Says whether this is a line of `option tcplog`: three timers, the bytes, and a termination state of two
/// letters where HTTP has five timers, the status and the bytes.
fn is_tcp(timers: &[u8], at_state: &[u8]) -> bool {
    let state = word(at_state).1;
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'-';
    memchr::memchr_iter(b'/', timers).count() == 2
        && state.len() == 2
        && state.iter().all(is_letter)
}

/// Reads up to two blocks of captured headers. `HAProxy` escapes `{`, `|`, `}` and `"` inside.
fn captures<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> &'a [u8] {
    for block in 0..2 {
        let Some(inside) = rest.strip_prefix(b"{") else { break };
        let Some(end) = memchr::memchr(b'}', inside) else { break };
        let (values, after) = inside.split_at(end);
        for value in values.split(|b| *b == b'|') {
            let Some(value) = names::credential(value) else { continue };
            if block == 0 && record.agent.is_none() && is_product(value) {
                record.agent = Some(unescape_hash(value));
            } else {
                push_field(record, FieldName::Unnamed, unescape_hash(value));
            }
        }
        rest = after.get(1..).unwrap_or_default();
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    rest
}

/// Says whether a value begins like a user agent: `curl/7.88.1`, `Mozilla/5.0 (...)`.
fn is_product(value: &[u8]) -> bool {
    let Some(slash) = memchr::memchr(b'/', value) else { return false };
    let is_name = |name: &[u8]| {
        name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    value.get(..slash).is_some_and(is_name)
        && value.get(slash + 1).is_some_and(|b| b.is_ascii_digit() || *b == b'v')
}

fn set_request<'a>(record: &mut Record<'a>, raw: &'a [u8]) {
    let request = Request::split(&unescape_hash(raw), Cow::Borrowed(raw));
    record.method = request.method;
    record.target = request.target;
    record.version = request.version;
}

/// Reads what stands behind the request: httpslog's `0/-/-/-/0 sni/TLSv1.3/cipher`, or the site's own fields.
fn read_tail<'a>(record: &mut Record<'a>, rest: &'a [u8]) {
    if !is_https_tail(rest) {
        combined::further(record, rest);
        return;
    }
    let (rest, _) = word(rest);
    let (rest, tls) = word(rest);
    let version = tls.split(|b| *b == b'/').nth(1).filter(|v| v.starts_with(b"TLS"));
    record.tls = version.map(Cow::Borrowed);
    combined::further(record, rest);
}

fn is_https_tail(rest: &[u8]) -> bool {
    let (rest, errors) = word(rest);
    let slashes = |text: &[u8]| memchr::memchr_iter(b'/', text).count();
    slashes(errors) == 4 && slashes(word(rest).1) == 2
}
