//! Envelopes: what a syslog daemon, a container runtime or a terminal puts before the line of a server.
//!
//! ```text
//! [<PRI>]Oct 11 22:14:15 [host ]tag[pid]: LINE                   RFC 3164
//! [<PRI>]2026-11-23T17:10:33.5+00:00 host tag[pid]: LINE         rsyslog's ISO form of it
//! <PRI>1 2026-11-23T17:10:33Z host app pid msgid - LINE          RFC 5424, the - may be [structured data]
//! 2026-11-23T17:10:33.5Z stdout F LINE                           container runtimes (CRI)
//! [host ]tag[pid]: LINE                                          a daemon's standard error, a time taken off
//! service | LINE                                                 docker compose
//! ```

use std::borrow::Cow;

use super::scan::{quoted, word};
use super::time::{self, Time};

/// What is inside of an envelope, and when the envelope was made: the time of a line that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope<L> {
    /// The server's line.
    pub(super) line: L,
    /// The envelope's time, if it says the year.
    pub(super) time: Option<Time>,
}

/// Says whether the line begins as an envelope does and as no server's line does.
pub(super) fn is_likely(line: &[u8]) -> bool {
    match line {
        [b'<', digit, ..] => digit.is_ascii_digit(),
        [b'A'..=b'Z', _, _, b' ', ..] => time::syslog_length(line).is_some(),
        [b'1'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => true,
        _ => false,
    }
}

/// Takes off one envelope; the server's line is the end of `line`.
pub(super) fn peel(line: &[u8]) -> Option<Envelope<&[u8]>> {
    let rest = after_priority(line);
    if rest.len() < line.len()
        && let Some(rest) = rest.strip_prefix(b"1 ")
    {
        return Some(Envelope { line: after_rfc5424(rest)?, time: time::iso(word(rest).1) });
    }
    if let Some(length) = time::syslog_length(rest) {
        let line = after_tag(rest.get(length..)?.strip_prefix(b" ")?)?;
        return Some(Envelope { line, time: None });
    }
    let (after, stamp) = word(rest);
    if let Some(time) = time::iso(stamp) {
        let line = after_stream(after).or_else(|| after_tag(after))?;
        return Some(Envelope { line, time: Some(time) });
    }
    if stamp.ends_with(b":") && stamp.contains(&b'[') {
        return Some(Envelope { line: after, time: None });
    }
    if is_name(stamp)
        && let (line, tag) = word(after)
        && let Some(tag) = tag.strip_suffix(b":")
        && tag.first().is_some_and(u8::is_ascii_alphabetic)
    {
        return Some(Envelope { line, time: None });
    }
    let bar = after.trim_ascii_start();
    let line = (is_name(stamp) && after.len() < rest.len()).then(|| bar.strip_prefix(b"| "))??;
    Some(Envelope { line, time: None })
}

/// Takes off docker's json-file envelope: `{"log":"LINE\n","stream":"stdout","time":"..."}`. The line inside
/// is escaped, so it is a copy. `None` if this is none, an error if it begins like one and is broken.
pub(super) fn docker(line: &[u8]) -> Option<Result<Envelope<Vec<u8>>, ()>> {
    #[derive(serde::Deserialize)]
    struct JsonFile<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        #[serde(default)]
        time: serde_json::Value,
    }
    let rest = line.strip_prefix(b"{\"log\":")?;
    if !rest.starts_with(b"\"") {
        return None;
    }
    let file = serde_json::from_slice::<JsonFile<'_>>(line).map_err(|_| ());
    Some(file.map(|file| Envelope {
        line: file.log.trim_end_matches(['\n', '\r']).as_bytes().to_vec(),
        time: file.time.as_str().and_then(|text| time::iso(text.as_bytes())),
    }))
}

/// Skips `<190>`.
fn after_priority(line: &[u8]) -> &[u8] {
    let inside = line.strip_prefix(b"<").unwrap_or_default();
    let digits = inside.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
    match inside.get(digits..) {
        Some([b'>', rest @ ..]) if digits > 0 => rest,
        _ => line,
    }
}

/// Skips time, host, application, process, message id and structured data, and a byte order mark.
fn after_rfc5424(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..5 {
        rest = word(rest).0;
    }
    while rest.starts_with(b"[") {
        rest = after_element(rest)?;
    }
    let rest = rest.strip_prefix(b"-").unwrap_or(rest).strip_prefix(b" ")?;
    Some(rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(rest))
}

/// Skips one element of structured data: `[id name="value" ...]`, where a value may hold `]`.
fn after_element(element: &[u8]) -> Option<&[u8]> {
    let mut rest = element.get(1..)?;
    loop {
        let at = memchr::memchr2(b'"', b']', rest)?;
        let (found, after) = rest.get(at..)?.split_first()?;
        if *found == b']' {
            return Some(after);
        }
        rest = quoted(after, |_| true)?.0;
    }
}

/// Skips `stdout F ` of a container runtime.
fn after_stream(rest: &[u8]) -> Option<&[u8]> {
    let (rest, stream) = word(rest);
    let (rest, tag) = word(rest);
    (matches!(stream, b"stdout" | b"stderr") && matches!(tag, b"F" | b"P")).then_some(rest)
}

/// Skips `host tag[pid]: `, `host tag: `, `tag: ` (no host), or `host ` (no tag).
fn after_tag(rest: &[u8]) -> Option<&[u8]> {
    let (after_first, first) = word(rest);
    if first.ends_with(b":") {
        return Some(after_first);
    }
    let (after_second, second) = word(after_first);
    let rest = if second.ends_with(b":") { after_second } else { after_first };
    let rest = rest.trim_ascii_start();
    (!rest.is_empty()).then_some(rest)
}

fn is_name(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_taken_off() {
        let heads = [
            ("<190>Oct 11 22:14:15 host nginx: ", ""),
            ("<190>Oct  1 22:14:15 nginx: ", ""),
            ("Oct 11 22:14:15 host haproxy[760]: ", ""),
            ("Oct 11 22:14:15 2001:db8::1 haproxy[760]: ", ""),
            ("<165>1 2026-11-23T17:10:33.003Z host nginx 760 - - ", "2026-11-23T17:10:33.003Z"),
            (
                "<165>1 2026-11-23T17:10:33.003Z host nginx - - [a@1 b=\"]\\\"]\"][c@2] ",
                "2026-11-23T17:10:33.003Z",
            ),
            ("<165>1 - host nginx 760 ID - \u{feff}", ""),
            ("2026-11-23T18:10:33.537001+01:00 host nginx[1]: ", "2026-11-23T17:10:33.537001Z"),
            ("2026-11-23T17:10:33.537001987Z stdout F ", "2026-11-23T17:10:33.537001Z"),
            ("haproxy[674]: ", ""),
            ("host haproxy[674]: ", ""),
            ("host nginx: ", ""),
            ("web-1  | ", ""),
        ];
        for (head, stamp) in heads {
            let line = format!("{head}192.0.2.1 - - [x] \"y\"");
            let inside = &b"192.0.2.1 - - [x] \"y\""[..];
            let time = time::iso(stamp.as_bytes());
            assert_eq!(peel(line.as_bytes()), Some(Envelope { line: inside, time }), "{head}");
        }
        let envelope = peel(b"2026-11-23T17:10:33+00:00 host  {\"a\":1}");
        assert_eq!(envelope.map(|envelope| envelope.line), Some(&b"{\"a\":1}"[..]));
    }

    #[test]
    fn docker_escapes_the_line_inside() {
        let line =
            br#"{"log":"192.0.2.1 \"y\"\n","stream":"stdout","time":"2026-11-23T17:10:33Z"}"#;
        let time = time::iso(b"2026-11-23T17:10:33Z");
        let inside = b"192.0.2.1 \"y\"".to_vec();
        assert_eq!(docker(line), Some(Ok(Envelope { line: inside, time })));
        let line = b"{\"log\":\"x\",\"time\":7}";
        assert_eq!(docker(line), Some(Ok(Envelope { line: b"x".to_vec(), time: None })));
        assert_eq!(docker(b"{\"log\":\"x"), Some(Err(())));
        assert_eq!(docker(b"{\"log\":{}}"), None);
        assert_eq!(docker(b"{}"), None);
    }

    #[test]
    fn a_servers_own_line_is_no_envelope() {
        for line in
            ["", "<", "<1", "192.0.2.1 - - [x] \"y\"", "{\"a\":1}", "host.example.org - -", "| x"]
        {
            assert_eq!(peel(line.as_bytes()), None, "{line}");
        }
    }
}
