//! The Common Log Format family: common, combined, with a virtual host in front, with further fields at the end.
//!
//! ```text
//! [host[:port] ]client ident user [time] "request" status bytes[ "referer" "agent"[ further ...]]
//! ```
//!
//! Related formats are read too. lighttpd writes the host in place of ident, Gandi a duration ` (0 s)` after the
//! time, cPanel dates like `11/23/2026`, morgan any time that [`time::read`] accepts, and `LiteSpeed` a virtual host
//! in front, `["name"] `, and the user in quotes. Where a site logs X-Forwarded-For in place of the client, that
//! field is a list of addresses.
//!
//! Sources: Apache `mod_log_config`, nginx `ngx_http_log_module`, Traefik access logs, lighttpd `mod_accesslog`,
//! `OpenLiteSpeed`'s `accesslog.cpp`. Where real lines differ from the manual, the lines count: see the tests' table.

use std::borrow::Cow;

use nom::Err;

use super::client::{is_address_list, last_hop, parse_address};
use super::draft::push_field;
use super::further::{further, quoted_or_absent, quoted_or_cut};
use super::request::Request;
use super::scan::{
    Miss, Quoted, Scan, begins_with_status, decimal, given, is_end, literal, miss, present, quoted,
};
use super::scan::{short_word, status, unescape, word};
use super::time::Time;
use super::{FieldName, Record, names, time};

/// The fields after the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Referer and user agent if present, then further fields.
    Combined,
    /// Further fields only.
    Common,
    /// Referer and user agent, then Traefik's count, router, server URL and duration.
    Traefik,
}

/// Parses a line of the family.
#[inline]
pub(super) fn read(line: &[u8], tail: Tail) -> Result<Record<'_>, Miss> {
    // Filled in place: a record is 400 bytes, and moving it between the steps would take a tenth of the total time.
    let mut record = Record::default();
    let line = after_host(&mut record, line);
    let rest = head(&mut record, line)?;
    let rest = after_name(&mut record, after_duration(rest));
    let (rest, _) = literal(rest, b" \"", "a space and '\"' before the request")?;
    let Some((rest, request)) = quoted(rest, is_status_next) else {
        let cut: &[u8] = quoted(rest, |_| true).map_or(b"", |(rest, _)| rest);
        let expected =
            if cut.is_empty() { "'\"' after the request" } else { "a status after the request" };
        return Err(Miss::at(cut, expected));
    };
    set_request(&mut record, request);
    let rest = numbers(&mut record, rest)?;
    read_tail(&mut record, rest, tail);
    Ok(record)
}

/// Parses a line of the family whose request, referer and user agent have no quotes. The request ends at the
/// first text that looks like a status and a size. Since no quotes mark it, it must also look like a request.
/// The first word after the numbers is the referer. The last word is a further field if it cannot belong to a
/// user agent.
pub(super) fn read_bare(line: &[u8]) -> Result<Record<'_>, Miss> {
    if word(line).0.starts_with(b"[") {
        return miss(word(line).0, "the user before the time").map_err(Miss::from);
    }
    let mut record = Record::default();
    let rest = head(&mut record, line)?;
    let (rest, _) = literal(rest, b" ", "a space before the request")?;
    if rest.starts_with(b"\"") {
        return miss(rest, "a request without quotes").map_err(Miss::from);
    }
    let mut spaces = memchr::memchr_iter(b' ', rest);
    let Some(end) = spaces.find(|at| rest.get(*at..).is_some_and(|r| numbers_length(r).is_some()))
    else {
        return Err(Miss::at(rest, "'\"' before the request"));
    };
    let (request, after) = rest.split_at(end);
    let is_refusal = record.client.is_some() && is_refused(request, after);
    if !is_request(request) && !is_refusal {
        return Err(Miss::at(rest, "a request: a method and a target"));
    }
    let rest = after;
    let has_escapes = memchr::memchr(b'\\', request).is_some();
    set_request(&mut record, Quoted { raw: request, has_escapes });
    let rest = numbers(&mut record, rest)?;
    let (rest, referer) = word(rest.strip_prefix(b" ").unwrap_or(rest));
    let (agent, last) = match memchr::memrchr(b' ', rest).and_then(|at| rest.split_at_checked(at)) {
        Some((agent, last)) if is_id(last) => (agent, last.get(1..).unwrap_or_default()),
        _ => (rest, &b""[..]),
    };
    record.referer = present(referer).map(unescape);
    record.agent = present(agent).map(unescape);
    if let Some(id) = names::credential(last) {
        push_field(&mut record, FieldName::OfServer, Cow::Borrowed(id));
    }
    Ok(record)
}

/// Returns whether a text is a proper request (RFC 9112, section 3): a method in capitals, a target in one of the
/// four forms, and optionally a version. Without a version the target is a single word.
fn is_request(text: &[u8]) -> bool {
    let (rest, method) = word(text);
    let is_of_method = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'-' | b'_');
    let is_method = (3..=20).contains(&method.len())
        && method.iter().all(is_of_method)
        && method.first().is_some_and(u8::is_ascii_uppercase);
    let last = memchr::memrchr(b' ', rest).and_then(|at| rest.split_at_checked(at));
    let target = match last {
        Some((target, version)) if version.starts_with(b" HTTP/") => target,
        Some(_) => return false,
        None => rest,
    };
    is_method
        && (target.starts_with(b"/")
            || target == b"*"
            || target.starts_with(b"http://")
            || target.starts_with(b"https://")
            || (method == b"CONNECT" && is_authority(target)))
}

/// Returns whether a text is a host and a port.
fn is_authority(text: &[u8]) -> bool {
    let parts = memchr::memrchr(b':', text).and_then(|at| text.split_at_checked(at));
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && port.len() > 1 && port.iter().skip(1).all(u8::is_ascii_digit)
    })
}

/// Returns whether the server refused as malformed what a client sent: one word of garbage or nothing, answered
/// with 400. In a line that does not begin with an address it could be anything.
fn is_refused(request: &[u8], after: &[u8]) -> bool {
    memchr::memchr(b' ', request).is_none() && after.starts_with(b" 400 ")
}

/// Returns whether a word (with the space before it) cannot be part of a user agent: `-`, or a token's id.
fn is_id(word: &[u8]) -> bool {
    word == b" -" || word.starts_with(b" tw1_")
}

/// Skips the virtual host that `LiteSpeed` writes before the line, or the quote with which its configured format
/// begins.
fn after_host<'a>(record: &mut Record<'a>, line: &'a [u8]) -> &'a [u8] {
    const LONGEST: usize = 260;
    let [b'[', b'"', inside @ ..] = line else { return line.strip_prefix(b"\"").unwrap_or(line) };
    let near = inside.get(..LONGEST).unwrap_or(inside);
    let Some(end) = memchr::memmem::find(near, b"\"] ") else { return line };
    record.host = inside.get(..end).and_then(given);
    inside.get(end + 3..).unwrap_or_default()
}

/// Parses everything before the request.
fn head<'a>(record: &mut Record<'a>, line: &'a [u8]) -> Result<&'a [u8], Miss> {
    let (rest, first) = word(line);
    if first.len() == line.len() {
        return Err(Miss::at_end("a space after the client's address"));
    }
    let is_absent = first.is_empty() && rest.starts_with(b"- ");
    if !is_absent && (first.is_empty() || is_tag(first)) {
        return Err(Miss::at(line, "the client's address"));
    }
    // Two spaces or a bar: docker compose put its own name before the line, so the word is no client.
    if matches!(rest.first(), Some(b' ' | b'|')) {
        return Err(Miss::at(rest, "the words before the time"));
    }
    let (rest, (between, time)) = time_after(rest)?;
    set_names(record, line.get(..first.len() + 1 + between.len()).unwrap_or_default());
    if let Some(time) = time {
        record.set_time(time);
    }
    Ok(rest)
}

/// Returns whether a word is a daemon's tag such as `haproxy[674]:` rather than a host or client. For a client without
/// an address, nginx writes `unix:`, and Gunicorn nothing.
fn is_tag(word: &[u8]) -> bool {
    word.ends_with(b":") && !word.ends_with(b"::") && word != b"unix:"
}

/// Returns the text before the bracketed time, and the time. A user name may contain brackets and even a time, so
/// the first time that a quote follows counts, else the first time. Servers that escape no quotes (Traefik,
/// morgan) let a client write a time and a request into its name or after the real ones. The real one is then
/// unknown, and the line is rejected.
fn time_after(input: &[u8]) -> Scan<'_, (&[u8], Option<Time>)> {
    let mut first_fault = None;
    let mut first_time = None;
    for open in openings(input) {
        let (between, rest) = input.split_at(open);
        match bracket(rest) {
            Ok((rest, time)) => {
                let found = (rest, (between.trim_ascii_end(), time));
                if after_duration(rest).starts_with(b" \"") {
                    return if is_begun_again(rest) {
                        miss(rest, "one time and request, not two")
                    } else {
                        Ok(found)
                    };
                }
                first_time = first_time.or(Some(found));
            }
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    if let Some(found) = first_time {
        return Ok(found);
    }
    let after_names = match input {
        [b'-', b' ', b'-', b' ', rest @ ..] => rest,
        _ => input,
    };
    Err(first_fault.unwrap_or(Err::Error(Miss::at(after_names, "'[' before the time"))))
}

/// Returns the positions of brackets that begin a word.
fn openings(input: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'[', input)
        .filter(|open| open.checked_sub(1).is_none_or(|at| input.get(at) == Some(&b' ')))
}

/// Returns whether a second time and request follow. Servers that escape quotes never write that: a quote inside
/// a field can only close it, and a space follows.
fn is_begun_again(rest: &[u8]) -> bool {
    let request = openings(rest).find_map(|open| {
        let (after, _) = bracket(rest.get(open..)?).ok()?;
        let request = after_duration(after).strip_prefix(b" \"")?;
        (!is_end(request)).then_some(request)
    });
    // If the request closes after a later request, it also closes after the first one.
    request.is_some_and(|request| quoted(request, is_status_next).is_some())
}

/// Skips the ` (12 s)` that Gandi's servers write after the time.
fn after_duration(rest: &[u8]) -> &[u8] {
    const LONGEST: usize = 20;
    let Some(inside) = rest.strip_prefix(b" (") else { return rest };
    let digits = inside.iter().take(LONGEST).take_while(|b| b.is_ascii_digit()).count();
    let after = inside.get(digits..).and_then(|unit| unit.strip_prefix(b" s)"));
    after.filter(|_| digits > 0).unwrap_or(rest)
}

/// Skips the virtual host that Apache writes between time and request on some sites.
fn after_name<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> &'a [u8] {
    let Some(inside) = rest.strip_prefix(b" ").filter(|r| !r.starts_with(b"\"")) else {
        return rest;
    };
    let (after, name) = word(inside);
    if !after.starts_with(b"\"") || !is_host(name) || parse_address(name).is_some() {
        return rest;
    }
    record.host = Some(Cow::Borrowed(name));
    inside.get(name.len()..).unwrap_or_default()
}

/// Parses `[time]`; `[-]` is no time.
fn bracket(input: &[u8]) -> Scan<'_, Option<Time>> {
    const LONGEST: usize = 48;
    let inside = input.get(1..).unwrap_or_default();
    let near = inside.get(..LONGEST).unwrap_or(inside);
    let Some((text, _)) = memchr::memchr(b']', near).and_then(|end| near.split_at_checked(end))
    else {
        return miss(inside, "a time and ']' after it");
    };
    let rest = inside.get(text.len() + 1..).unwrap_or_default();
    match time::clf(text).or_else(|| time::read(text)).or_else(|| time::cpanel(text)) {
        None if text != b"-" => miss(inside, "a time like 10/Oct/2000:13:55:36 -0700"),
        time => Ok((rest, time)),
    }
}

/// Stores the client. In a list, the last address is the peer's, or that of the last known proxy.
fn set_client<'a>(record: &mut Record<'a>, text: &'a [u8]) {
    let Some(comma) = memchr::memrchr(b',', text) else {
        record.client = parse_address(text);
        return;
    };
    record.client = text.get(comma + 1..).and_then(parse_address);
    if record.client.is_some() {
        record.is_forwarded = true;
        push_field(record, FieldName::Header("x-forwarded-for".into()), Cow::Borrowed(text));
    }
}

/// Sorts the words before the time into host, client and user.
fn set_names<'a>(record: &mut Record<'a>, names: &'a [u8]) {
    let (between, first) = word(names);
    if between == b"- -" {
        set_client(record, first);
        return;
    }
    let user = match hops(names) {
        Some((user, list)) => {
            set_hops(record, list);
            user
        }
        None => set_client_and_host(record, first, between),
    };
    // What a client calls itself may look like the end of a list, with the address in front as what it sent.
    record.is_forwarded |= hops(user).is_some();
    if !user.ends_with(b" -") {
        let inside = user.strip_prefix(b"\"").and_then(|user| user.strip_suffix(b"\""));
        record.user = present(inside.unwrap_or(user)).map(unescape);
    }
}

/// Splits off a list of hops in the client's place: returns the user behind it, and the list. A client can write
/// anything into the list, but its proxy adds a comma and an address, which `-` or a host follows. A comma behind a
/// lone address that is followed like that is in the user's name.
fn hops(names: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = names;
    let mut is_behind_comma = false;
    while !rest.is_empty() {
        let (after, text) = word(rest);
        let (user, ident) = word(after);
        let comma = memchr::memrchr(b',', text);
        let hop = comma.and_then(|at| text.get(at + 1..)).unwrap_or(text);
        let is_followed = !user.is_empty() && (ident == b"-" || is_host(ident));
        if is_followed && parse_address(hop).is_some() {
            let list = names.get(..names.len() - after.len() - 1)?;
            return (is_behind_comma || comma.is_some()).then_some((user, list));
        }
        is_behind_comma = text.ends_with(b",") || (text.is_empty() && is_behind_comma);
        rest = after;
    }
    None
}

/// Stores a list of hops, and the host that precedes it.
fn set_hops<'a>(record: &mut Record<'a>, list: &'a [u8]) {
    let (addresses, host) = word(list);
    let is_host_first = !host.ends_with(b",") && is_address_list(addresses);
    if is_host_first {
        record.host = present(host).map(Cow::Borrowed);
    }
    set_client(record, if is_host_first { addresses } else { list });
}

/// Stores the client, and the host in front of it or in place of ident. Returns the user.
fn set_client_and_host<'a>(
    record: &mut Record<'a>,
    first: &'a [u8],
    between: &'a [u8],
) -> &'a [u8] {
    let (more, second) = word(between);
    record.client = parse_address(second);
    if record.client.is_some() || (is_host_with_port(first) && !more.is_empty()) {
        record.host = present(first).map(Cow::Borrowed);
        return word(more).0;
    }
    set_client(record, first);
    // lighttpd writes the virtual host in place of ident. Answers of ident are no host names.
    if record.client.is_some() && is_host(second) {
        record.host = Some(Cow::Borrowed(second));
    }
    more
}

/// Returns whether a word looks like a host name, with or without a port.
fn is_host(text: &[u8]) -> bool {
    let name = text.split(|b| *b == b':').next().unwrap_or_default();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    name.iter().all(is_name)
        && (memchr::memchr(b'.', name).is_some() || name.eq_ignore_ascii_case(b"localhost"))
}

fn is_host_with_port(text: &[u8]) -> bool {
    let port = memchr::memrchr(b':', text).and_then(|at| text.get(at + 1..)).unwrap_or_default();
    !port.is_empty() && port.iter().all(u8::is_ascii_digit) && parse_address(text).is_none()
}

fn set_request<'a>(record: &mut Record<'a>, request: Quoted<'a>) {
    Request::split(&request.text(), Cow::Borrowed(request.raw)).store(record);
}

/// Returns whether a status may follow the request's closing quote.
fn is_status_next(rest: &[u8]) -> bool {
    // Caddy's transform encoder and Traefik write 0 where nginx writes 000.
    rest.strip_prefix(b" ").is_some_and(|rest| begins_with_status(rest, b"-0"))
}

/// Parses ` 200 612`; the line may end after the status.
fn numbers<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    let (after, code) = short_word(rest.get(1..).unwrap_or_default());
    record.status = status(code);
    let (behind, size) = short_word(after);
    if present(size).is_none() || size.starts_with(b"\"") {
        return Ok(if size.starts_with(b"\"") { after } else { behind });
    }
    record.bytes = decimal(size);
    if record.bytes.is_none() {
        return Err(Miss::at(after, "the number of bytes sent, or '-'"));
    }
    Ok(behind)
}

/// Returns the length of ` 200 612` if the text begins like that.
fn numbers_length(rest: &[u8]) -> Option<usize> {
    if !is_status_next(rest) {
        return None;
    }
    let (after, code) = word(rest.get(1..)?);
    // A size has at most 20 digits, so a longer word need not be examined.
    let (_, size) = word(after.get(..21).unwrap_or(after));
    (size == b"-" || decimal(size).is_some()).then_some(code.len() + size.len() + 2)
}

/// Parses the fields after the bytes, as far as the line is complete.
fn read_tail<'a>(record: &mut Record<'a>, rest: &'a [u8], tail: Tail) {
    let mut rest = rest;
    if tail != Tail::Common {
        if let Some((after, referer)) = quoted_or_absent(rest) {
            record.referer = referer;
            rest = after;
        }
        if let Some((after, agent)) = quoted_or_cut(rest) {
            record.agent = agent;
            rest = if tail == Tail::Combined { after_forwarded(record, after) } else { after };
        }
    }
    if tail != Tail::Traefik && !rest.is_empty() {
        further(record, rest);
    }
}

/// Splits off a list of hops directly after the user agent, where X-Forwarded-For is logged: whatever a client wrote
/// there, its proxy added an address. Addresses further back are something else: an upstream's, the server's own.
fn after_forwarded<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> &'a [u8] {
    match quoted_or_absent(rest) {
        Some((after, Some(text))) if last_hop(&text).is_some() => {
            push_field(record, FieldName::Header("x-forwarded-for".into()), text);
            after
        }
        _ => rest,
    }
}
