//! `HAProxy`'s HTTP log (`option httplog`, `option httpslog`), as documented in section 8.2.3 of its manual.
//!
//! ```text
//! client:port [time] frontend backend/server timers status bytes cc cs state conns queues
//!   [ {req}][ {res}] "request"[ further]
//! ```
//!
//! The time has no zone and is read as UTC. Captured headers have no names: the values are further fields, and the
//! first request header that looks like a product is the user agent. httpslog appends (8.2.4)
//! ` fc_err/ssl_fc_err/ssl_c_err/ssl_c_ca_err/resumed sni/version/cipher`; the TLS server name is the host, unless
//! the target is a whole URL, as in HTTP/2.
//!
//! Lines can be truncated: the whole line at `log ... len` (1024 bytes), and a request at `tune.http.logurilen`,
//! which still closes its quote. The value that reaches the cut is omitted, since half a secret would count as
//! another token; everything before it is read.

use std::borrow::Cow;

use super::draft::push_field;
use super::request::put_request;
use super::scan::{
    Miss, before, bracketed_time, decimal, found_in, given, literal, status, unescape_hash, word,
};
use super::{FieldName, Record, Text, client, further, haproxy_own, names, time};

/// Bytes of a request that are logged unless `tune.http.logurilen` is larger: its default is 1024, of which the
/// last terminates the text.
const REQUEST: usize = 1023;

/// Returns whether a line begins with a peer (an address, `unix`), its port, and a bracket, or is a message of
/// `HAProxy`'s own.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let (rest, peer) = word(line.get(..64).unwrap_or(line));
    (rest.starts_with(b"[") && peer.contains(&b':')) || haproxy_own::is_message(line)
}

/// Parses a line of the HTTP log.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    if haproxy_own::is_message(line) {
        return Err(haproxy_own::OWN);
    }
    let (rest, peer) = before(line, b" ", "a space after the client's address")?;
    let expected = "a time like 10/Oct/2000:13:55:36.123";
    let (rest, time) = bracketed_time(rest, b"]", time::clf, expected)?;
    let mut record = Record { client: client::address_and_port(peer), ..Record::default() };
    record.set_time(time);
    let (rest, _) = literal(rest, b" ", "a space after the time")?;
    haproxy_own::expect_request(rest)?;
    let (rest, frontend) = before(rest, b" ", "the frontend")?;
    if frontend.ends_with(b"~") {
        record.scheme = Some(Cow::Borrowed(b"https"));
    }
    let rest = numbers(&mut record, rest)?;
    let Some(rest) = captures(&mut record, rest) else { return Ok(record) };
    let (inside, _) = literal(rest, b"\"", "'\"' before the request")?;
    // HAProxy escapes quotes: a request without a closing quote was truncated.
    let Some((raw, rest)) = found_in(inside, b"\"") else {
        set_cut_request(&mut record, inside);
        return Ok(record);
    };
    set_request(&mut record, raw);
    read_tail(&mut record, rest.strip_prefix(b" ").unwrap_or(rest));
    Ok(record)
}

/// Parses the fields from the backend to the queues.
fn numbers<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    let (rest, backend) = before(rest, b" ", "the backend and server")?;
    if memchr::memchr(b'/', backend).is_none() {
        let rest = rest.len() + backend.len() + 1;
        return Err(Miss::with_left(rest, "the backend and server, like web/web1"));
    }
    let (at_status, timers) = before(rest, b" ", "the timers")?;
    let (at_bytes, code) = before(at_status, b" ", "a status")?;
    if is_tcp(timers, at_bytes) {
        let expected = "a status (a line of option tcplog holds no request: set option httplog)";
        return Err(Miss::at(at_status, expected));
    }
    record.status = status(code);
    record.is_unanswered = record.status.is_none();
    if record.is_unanswered && code != b"-1" && code != b"-" {
        return Err(Miss::at(at_status, "a status"));
    }
    let (mut rest, size) = before(at_bytes, b" ", "the number of bytes sent")?;
    // `option logasap` writes a plus before the bytes, since more follow.
    record.bytes = decimal(size.strip_prefix(b"+").unwrap_or(size));
    if record.bytes.is_none() {
        return Err(Miss::at(at_bytes, "the number of bytes sent"));
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

/// Returns whether this is a line of `option tcplog`, which has three timers, the bytes and a two-letter
/// termination state where HTTP has five timers, the status and the bytes.
fn is_tcp(timers: &[u8], at_state: &[u8]) -> bool {
    let state = word(at_state).1;
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'-';
    memchr::memchr_iter(b'/', timers).count() == 2
        && state.len() == 2
        && state.iter().all(is_letter)
}

/// Parses up to two blocks of captured headers; `None` if the line was truncated in one. `HAProxy` escapes `{`,
/// `|`, `}` and `"` inside.
fn captures<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    for is_request in [true, false] {
        let Some(inside) = rest.strip_prefix(b"{") else { break };
        let Some((values, after)) = found_in(inside, b"}") else {
            let whole = memchr::memrchr(b'|', inside).and_then(|end| inside.get(..end));
            captured(record, whole.unwrap_or_default(), is_request);
            return None;
        };
        captured(record, values, is_request);
        rest = after.strip_prefix(b" ").unwrap_or(after);
    }
    Some(rest)
}

/// Parses the values of one block: captured headers of the request or of the response.
fn captured<'a>(record: &mut Record<'a>, values: &'a [u8], is_request: bool) {
    for value in values.split(|b| *b == b'|') {
        let Some(value) = names::credential(value) else { continue };
        if is_request && record.agent.is_none() && is_product(value) {
            record.agent = Some(unescape_hash(value));
        } else {
            // A client's headers are in the first block; the second one holds the response's.
            let name = if is_request { FieldName::Unnamed } else { FieldName::OfServer };
            push_field(record, name, unescape_hash(value));
        }
    }
}

/// Returns whether a value begins like a user agent: `curl/7.88.1`, `Mozilla/5.0 (...)`.
fn is_product(value: &[u8]) -> bool {
    let Some(slash) = memchr::memchr(b'/', value) else { return false };
    let is_name = |name: &[u8]| {
        name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    value.get(..slash).is_some_and(is_name)
        && value.get(slash + 1).is_some_and(|b| b.is_ascii_digit() || *b == b'v')
}

/// Stores a request whose quote is closed. One without a version is complete only if it is short: `HAProxy`
/// rejects HTTP/0.9 requests.
fn set_request<'a>(record: &mut Record<'a>, raw: &'a [u8]) {
    let text = unescape_hash(raw);
    let is_long = text.len() >= REQUEST;
    put_request(record, &text, raw);
    if is_long && record.version.is_none() {
        leave_cut_out(record);
    }
}

/// Stores a truncated request, which may end within an escape.
fn set_cut_request<'a>(record: &mut Record<'a>, raw: &'a [u8]) {
    put_request(record, &unescape_hash(raw), raw);
    // It may be cut within its method.
    record.is_malformed = false;
    // A version, even if itself truncated, shows that the target is complete.
    if record.version.take().is_none() {
        leave_cut_out(record);
    }
}

/// Removes the part of the target that reaches its end: the value of its last parameter, or the last segment of
/// its path. Without a method, removes the whole target.
fn leave_cut_out(record: &mut Record<'_>) {
    let Some(target) = record.target.take().filter(|_| record.method.is_some()) else { return };
    let length = whole_length(&target);
    let whole = match target {
        Text::Borrowed(target) => Text::Borrowed(target.get(..length).unwrap_or_default()),
        Text::Owned(mut target) => {
            target.truncate(length);
            Text::Owned(target)
        }
    };
    if whole.ends_with(b"://") {
        record.host = None;
    }
    record.target = given(&whole).is_some().then_some(whole);
}

/// Returns the length of the complete part of a truncated target.
fn whole_length(target: &[u8]) -> usize {
    let Some(query) = memchr::memchr(b'?', target).map(|at| at + 1) else {
        return memchr::memrchr(b'/', target).map_or(0, |at| at + 1);
    };
    let inside = target.get(query..).unwrap_or_default();
    let last = memchr::memrchr(b'&', inside).map_or(0, |at| at + 1);
    let name =
        inside.get(last..).and_then(|last| memchr::memchr(b'=', last)).map_or(0, |at| at + 1);
    query + last + name
}

/// Parses the text after the request: httpslog's `0/-/-/-/0 sni/TLSv1.3/cipher`, or the site's own fields.
fn read_tail<'a>(record: &mut Record<'a>, rest: &'a [u8]) {
    let Some((rest, connection)) = https_tail(rest) else {
        further::further(record, rest);
        return;
    };
    let mut parts = connection.rsplitn(3, |b| *b == b'/');
    let (_cipher, version, sni) = (parts.next(), parts.next(), parts.next());
    record.tls = version.filter(|version| version.starts_with(b"TLS")).map(Cow::Borrowed);
    if record.host.is_none() {
        record.host = sni.filter(|name| is_host(name)).and_then(given);
    }
    further::further(record, rest);
}

/// Splits off httpslog's two words and returns the second. The client chooses the name in it, which may contain a
/// slash; version and cipher do not.
fn https_tail(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, errors) = word(rest);
    let (rest, connection) = word(rest);
    let slashes = |text: &[u8]| memchr::memchr_iter(b'/', text).count();
    (slashes(errors) == 4 && slashes(connection) >= 2).then_some((rest, connection))
}

/// Returns whether a text has the form of a host name (RFC 6066, section 3: a DNS name without the trailing dot).
fn is_host(name: &[u8]) -> bool {
    name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{preset, read};

    const HEAD: &str = "192.0.2.1:43278 [23/Nov/2026:17:11:40.346] f1~ b/s1 0/0/1/2/3 200 73 - - ---- 1/1/0/0/0 0/0";
    const BEGIN: &str = "2026-11-23T17:11:40.346Z client=192.0.2.1";

    /// Parses a line that continues with `end` after the queues.
    fn line(end: &str) -> String {
        let line = format!("{HEAD} {end}");
        let record = read(&preset("haproxy"), &line);
        assert_eq!(read(&preset("auto"), &line), record, "{line}");
        record.strip_prefix(BEGIN).map_or(record.clone(), |said| said.trim().to_owned())
    }

    #[test]
    fn the_name_that_tls_asked_for_is_the_host() {
        let said = "scheme=https tls=TLSv1.3 200 bytes=73";
        for (name, host) in [
            ("api.example.org", "host=api.example.org "),
            ("-", ""),
            ("", ""),
            ("a/TLSv1/x", ""),
            ("a<b>", ""),
        ] {
            assert_eq!(
                line(&format!(
                    "\"GET /a HTTP/1.1\" 0/0/0/0/1 {name}/TLSv1.3/TLS_AES_128_GCM_SHA256 jti=j-1"
                )),
                format!("method=GET target=/a version=1.1 {host}{said} id:jti=j-1"),
                "{name}"
            );
        }
        let url = "\"GET https://www.example.org/a HTTP/2.0\" 0/0/0/0/1 api.example.org/TLSv1.3/X";
        assert_eq!(
            line(url),
            format!(
                "method=GET target=https://www.example.org/a version=2.0 host=www.example.org {said}"
            )
        );
    }

    #[test]
    fn a_cut_line_is_read_as_far_as_it_is_whole() {
        let said = "scheme=https 200 bytes=73";
        for (end, expected) in [
            ("\"GET /a?b=c&api_key=secr", format!("method=GET target=/a?b=c&api_key= {said}")),
            ("\"GET /a?b=c&api_k", format!("method=GET target=/a?b=c& {said}")),
            ("\"GET /a?api_key=se=cr", format!("method=GET target=/a?api_key= {said}")),
            ("\"GET /a?x=#2", format!("method=GET target=/a?x= {said}")),
            ("\"GET /a/secr", format!("method=GET target=/a/ {said}")),
            ("\"GET https://ann:secr", format!("method=GET target=https:// {said}")),
            ("\"GET /a?b=c HTTP/1", format!("method=GET target=/a?b=c {said}")),
            ("\"GET /a?b=c HT", format!("method=GET target=/a?b= {said}")),
            ("\"GE", said.to_owned()),
            ("\"", said.to_owned()),
            ("{x.example.org|c/1|Bearer sec", format!("agent=c/1 {said} field=x.example.org")),
            ("{x.example.org} {sec", format!("{said} field=x.example.org")),
        ] {
            assert_eq!(line(end), expected, "{end}");
        }
    }

    #[test]
    fn a_request_cut_at_its_own_limit_was_taken_for_whole() {
        let said = "scheme=https 200 bytes=73";
        let long = |length: usize| format!("GET /?b={}&api_key=secr", "x".repeat(length - 21));
        let target = format!("/?b={}&api_key=", "x".repeat(1023 - 21));
        let cut = long(1023);
        assert_eq!(cut.len(), 1023);
        assert_eq!(line(&format!("\"{cut}\"")), format!("method=GET target={target} {said}"));
        for whole in [format!("{cut} HTTP/1.1"), long(1022)] {
            assert!(line(&format!("\"{whole}\"")).contains("api_key=secr"), "{whole}");
        }
    }
}
