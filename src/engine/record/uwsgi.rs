//! uWSGI's own request log, as printed by `uwsgi_logit_simple` in its `core/logging.c`.
//!
//! ```text
//! [host ][{address space usage: ...} {rss usage: ...} ][pid: P|app: A|req: N/M] client (user) {V vars in B bytes}
//!     [Mon Nov 23 17:10:33 2026] METHOD uri => generated N bytes in T msecs[ via x()] (HTTP/1.1 200) H headers ...
//! ```
//!
//! The time has no zone and is read as UTC. Nothing is escaped. No text of a client follows the URI, so the URI ends at
//! the last ` => generated `. A user name and a URI may also contain variables and a time: if those occur twice, nobody
//! can know which are real, and the line is rejected.

use std::borrow::Cow;

use super::client::parse_address;
use super::request::put_target;
use super::scan::{Miss, before, decimal, given, literal, present, status, word};
use super::{Record, time};

const PID: &[u8] = b"[pid: ";
const USAGE: &[u8] = b"{address space usage: ";
const BEFORE_TIME: &[u8] = b"} [";
const GENERATED: &[u8] = b" => generated ";

/// Returns whether a line begins with uWSGI's bracket or usage. If it ends like uWSGI's lines, a virtual host may
/// come first.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let is_own = |text: &[u8]| text.starts_with(PID) || text.starts_with(USAGE);
    is_own(line) || line.ends_with(b")") && is_own(word(line.get(..280).unwrap_or(line)).0)
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let mut rest = line;
    if !(line.starts_with(PID) || line.starts_with(USAGE)) {
        let (after, host) = before(line, b" ", "[pid: or a virtual host")?;
        record.host = given(host);
        rest = after;
    }
    while rest.starts_with(b"{") {
        rest = before(rest, b"} ", "'}' after the usage of memory")?.0;
    }
    let (rest, _) = literal(rest, PID, "[pid:")?;
    let (rest, _) = before(rest, b"] ", "']' after the number of requests")?;
    let (rest, client) = before(rest, b" (", "the client and '(' before the user")?;
    record.client = parse_address(client);
    let (rest, user) = before(rest, b") {", "')' after the user")?;
    record.user = given(user);
    let (inside, _) = before(rest, BEFORE_TIME, "the variables, and '[' before the time")?;
    let (rest, text) = before(inside, b"] ", "']' after the time")?;
    let Some(time) = time::asctime(text) else {
        return Err(Miss::at(inside, "a time like Mon Nov 23 17:10:33 2026"));
    };
    record.set_time(time);
    if let Some(second) = second_time(rest) {
        return Err(Miss::at(second, "one time, not two"));
    }
    let (uri, method) = before(rest, b" ", "the method")?;
    record.method = given(method);
    let Some((uri, rest)) =
        memchr::memmem::rfind(uri, GENERATED).and_then(|at| uri.split_at_checked(at))
    else {
        return Err(Miss::at_end("'=> generated' after the URI"));
    };
    put_target(&mut record, present(uri).map(Cow::Borrowed));
    let rest = rest.get(GENERATED.len()..).unwrap_or_default();
    read_response(&mut record, rest)?;
    Ok(record)
}

/// Finds a second time in the position of one, after the first.
fn second_time(rest: &[u8]) -> Option<&[u8]> {
    const LENGTH: usize = 24;
    memchr::memmem::find_iter(rest, BEFORE_TIME).find_map(|at| {
        let inside = rest.get(at + BEFORE_TIME.len()..)?;
        let (text, after) = inside.split_at_checked(LENGTH)?;
        (after.starts_with(b"] ") && time::asctime(text).is_some()).then_some(inside)
    })
}

/// Parses `47 bytes in 35 msecs (HTTP/1.1 200) ...`.
fn read_response<'a>(record: &mut Record<'a>, size: &'a [u8]) -> Result<(), Miss> {
    let (rest, number) = word(size);
    record.bytes = decimal(number);
    if record.bytes.is_none() {
        return Err(Miss::at(size, "the number of bytes sent"));
    }
    let (rest, _) = before(rest, b" (", "'(' before the protocol")?;
    let (rest, protocol) = before(rest, b" ", "the protocol")?;
    record.version = protocol.strip_prefix(b"HTTP/").map(Cow::Borrowed);
    let (_, code) = before(rest, b")", "a status and ')'")?;
    record.status = status(code);
    // 0 means that no response was started.
    if record.status.is_none() && code != b"0" {
        return Err(Miss::at(rest, "a status"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample;
    use super::super::tests::{preset, read};

    #[test]
    fn lines_are_read() {
        let pid = "[pid: 88185|app: 0|req: 3/2]";
        let vars = "{38 vars in 696 bytes} [Mon Nov 23 17:10:33 2026]";
        let end = "9 headers in 378 bytes (1 switches on core 30)";
        let begin = "2026-11-23T17:10:33Z client=192.0.2.1 method=GET";
        let cases = [
            (
                format!(
                    "{pid} 192.0.2.1 () {vars} GET /v1?api_key=k => generated 47 bytes in 35 msecs (HTTP/1.1 200) {end}"
                ),
                format!("{begin} target=/v1?api_key=k version=1.1 200 bytes=47"),
            ),
            (
                format!(
                    "h.example.org {{address space usage: 7 bytes/0MB}} {{rss usage: 5 bytes/0MB}} {pid} 192.0.2.1 (ann) {vars} GET / => generated 47 bytes in 35 micros via sendfile() (HTTP/2 503) {end}"
                ),
                format!("{begin} target=/ version=2 user=ann host=h.example.org 503 bytes=47"),
            ),
            (
                format!(
                    "{pid} 192.0.2.1 () {vars} GET /a => generated 5 bytes in 1 msecs (HTTP/1.1 200) 1 => generated 47 bytes in 35 msecs (HTTP/1.1 404) {end}"
                ),
                format!(
                    "{begin} target=/a => generated 5 bytes in 1 msecs (HTTP/1.1 200) 1 version=1.1 404 bytes=47"
                ),
            ),
            (
                format!("{pid} 0.0.0.0 () {vars} - - => generated 0 bytes in 35 msecs (- 0) {end}"),
                "2026-11-23T17:10:33Z client=0.0.0.0 bytes=0".into(),
            ),
            (
                format!("{pid} 192.0.2.1 () {vars} GET / => generated 47 bytes"),
                "120: '(' before the protocol / the end of the line".into(),
            ),
            (
                format!("{pid} 192.0.2.1 () {{1 vars}} [x] GET"),
                "53: a time like Mon Nov 23 17:10:33 2026 / 'x'".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("uwsgi"), line), *expected, "{line}");
        }
    }

    #[test]
    fn a_request_in_a_users_name_was_read_for_the_true_one() {
        let begin = "[pid: 88185|app: 0|req: 3/2] 192.0.2.1";
        let fake = "{1 vars in 2 bytes} [Wed Jan  1 00:00:00 2020] GET /fake";
        let vars = "{38 vars in 696 bytes} [Mon Nov 23 17:10:33 2026] GET /real";
        let done = "=> generated 47 bytes in 35 msecs (HTTP/1.1 200) 9 headers in 378 bytes";
        for line in [
            format!("{begin} (x) {fake} {done} y) {vars} {done}"),
            format!("{begin} (x) {fake}) {vars} {done}"),
            format!("{begin} () {vars} {fake} {done}"),
        ] {
            let said = read(&preset("uwsgi"), &line);
            assert!(said.contains(": one time, not two / "), "{line}: {said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample()) {
            let line = format!(
                "[pid: 1|app: -1|req: -1/7] {} () {{1 vars in 2 bytes}} [{}] {} {} => generated {} bytes in 3 msecs (HTTP/1.1 {}) 4 headers in 5 bytes (1 switches on core 0)",
                s.client, s.time("%a %b %e %H:%M:%S %Y"), s.method, s.target, s.bytes, s.status,
            );
            let record = s.read_back("uwsgi", &line, 0);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
