//! Envelopes: what a syslog daemon, a container runtime or a terminal adds to a server's line.
//!
//! ```text
//! [<PRI>]Oct 11 22:14:15 [host ]tag[pid]: LINE                   RFC 3164
//! [<PRI>]2026-11-23T17:10:33.5+00:00 host tag[pid]: LINE         rsyslog's ISO form of it
//! <PRI>1 2026-11-23T17:10:33Z host app pid msgid - LINE          RFC 5424, the - may be [structured data]
//! 2026-11-23T17:10:33.5Z stdout F LINE                           container runtimes (CRI)
//! 2026-11-23 17:10:33,537 LINE                                   Python's logging, `%(asctime)s`
//! 2026/11/23 17:10:33.537 INFO http.log.access MESSAGE {LINE}    Caddy's console encoder, tabs between
//! [host ]tag[pid]: LINE                                          a daemon's standard error, its time removed
//! service | LINE                                                 docker compose
//! MESSAGE=LINE                                                   journalctl -o export, the time above it
//! MESSAGE, and below it 8 bytes of length and LINE               the same, if not all of it is printable
//! 123 <34>1 ...                                                  RFC 6587, a message's length before it
//! ESC[32m LINE ESC[0m                                            a terminal's colours
//! ```

use super::columns::Columns;
use super::scan::{found_in, quoted, word};
use super::time::{self, Time};
use crate::engine::time::Timestamp;

/// The field of a journal export that contains the line.
const MESSAGE: &[u8] = b"MESSAGE=";

/// The field's name if the line is not entirely printable: its length and the line follow.
const BINARY: &[u8] = b"MESSAGE";

const ESCAPE: u8 = 0x1b;

/// The contents of an envelope, and the envelope's time, for a line without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope<L> {
    /// The server's line.
    pub(super) line: L,
    /// The envelope's time, if its year is known.
    pub(super) time: Option<Time>,
    /// A shipper wrapped the line, perhaps long after it was written.
    pub(super) is_shipped: bool,
}

impl<L> Envelope<L> {
    const fn new(line: L, time: Option<Time>) -> Self {
        Self { line, time, is_shipped: false }
    }

    /// Returns when the line was written, if the envelope is from that moment and names its zone.
    pub(super) fn written(&self) -> Option<Timestamp> {
        self.time.filter(|time| !time.is_local && !self.is_shipped).map(|time| time.at)
    }
}

/// Returns whether the line begins like an envelope and unlike any server's line.
pub(super) fn is_likely(line: &[u8]) -> bool {
    match line {
        [b'<', digit, ..] => digit.is_ascii_digit(),
        [b'{', b'"', b'l', b'o', b'g', b'"', b':', b'"', ..] | [b'{', b'"', b'_', b'_', ..] => true,
        [b'M', b'E', b'S', b'S', b'A', b'G', b'E', b'=', ..] | [_, _, _, 0, 0, 0, 0, 0, _, ..] => {
            true
        }
        [b'A'..=b'Z', _, _, b' ', ..] => time::syslog_length(line).is_some(),
        [b'1'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => true,
        [b'1'..=b'9', ..] => after_count(line).is_some(),
        _ => false,
    }
}

/// Removes one envelope; the server's line is the end of `line`.
pub(super) fn peel<'a>(line: &'a [u8], columns: &Columns) -> Option<Envelope<&'a [u8]>> {
    if let Some(line) = line.strip_prefix(MESSAGE) {
        return Some(Envelope::new(line, columns.realtime()));
    }
    if let (Some(line), Some(time)) = (after_length(line), columns.realtime()) {
        return Some(Envelope::new(line, Some(time)));
    }
    let line = after_count(line).unwrap_or(line);
    let rest = after_priority(line);
    if rest.len() < line.len()
        && let Some(rest) = rest.strip_prefix(b"1 ")
    {
        return Some(Envelope::new(after_rfc5424(rest)?, time::iso(word(rest).1)));
    }
    if let Some(length) = time::syslog_length(rest) {
        let line = after_tag(rest.get(length..)?.strip_prefix(b" ")?)?;
        return Some(Envelope::new(line, time::syslog(rest, columns.written())));
    }
    let (after, stamp) = word(rest);
    if let Some(time) = time::iso(stamp) {
        let line = after_stream(after).or_else(|| after_tag(after))?;
        return Some(Envelope::new(line, Some(time)));
    }
    if let Some((line, time)) = after_asctime(rest).or_else(|| after_console(rest)) {
        return Some(Envelope::new(line, Some(time)));
    }
    if stamp.ends_with(b":") && stamp.contains(&b'[') {
        return Some(Envelope::new(after, None));
    }
    if is_name(stamp)
        && let (line, tag) = word(after)
        && let Some(tag) = tag.strip_suffix(b":")
        && tag.first().is_some_and(u8::is_ascii_alphabetic)
    {
        return Some(Envelope::new(line, None));
    }
    let bar = after.trim_ascii_start();
    let line = (is_name(stamp) && after.len() < rest.len()).then(|| bar.strip_prefix(b"| "))??;
    Some(Envelope::new(line, None))
}

/// Returns whether the line is a part of one that a container runtime split: `2026-11-23T17:10:33.5Z stdout P ...`.
pub(super) fn is_part(line: &[u8]) -> bool {
    let (rest, stamp) = word(line.get(..80).unwrap_or(line));
    let (rest, stream) = word(rest);
    matches!(stream, b"stdout" | b"stderr") && rest.starts_with(b"P ") && time::iso(stamp).is_some()
}

/// Journal fields other than those that the journal itself adds, which begin with `_` (`systemd.journal-fields`).
const FIELDS: &[&[u8]] = &[
    b"PRIORITY",
    b"MESSAGE_ID",
    b"ERRNO",
    b"TID",
    b"UNIT",
    b"USER_UNIT",
    b"INVOCATION_ID",
    b"DOCUMENTATION",
    b"JOB_ID",
    b"JOB_TYPE",
    b"JOB_RESULT",
    b"LEADER",
];

/// Skips the length of a binary message (eight bytes, little-endian); what follows is the message's first line.
fn after_length(line: &[u8]) -> Option<&[u8]> {
    let (length, text) = line.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(*length);
    (length < 1 << 24 && text.len() as u64 <= length && !text.is_empty()).then_some(text)
}

/// Returns whether the line is a field of a journal export (`_PID=1`, `PRIORITY=6`) other than the message.
pub(super) fn is_field(line: &[u8]) -> bool {
    const LONGEST: usize = 64;
    let near = line.get(..LONGEST).unwrap_or(line);
    if line == BINARY {
        return true;
    }
    let is_name = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    let length = near.iter().take_while(|b| is_name(b)).count();
    let name = near.get(..length).unwrap_or_default();
    let is_known = name.starts_with(b"_")
        || FIELDS.contains(&name)
        || [&b"SYSLOG_"[..], b"CODE_", b"OBJECT_"].iter().any(|part| name.starts_with(part));
    is_known && near.get(length) == Some(&b'=')
}

/// Returns whether terminal colours are at either end of the line.
pub(super) fn is_coloured(line: &[u8]) -> bool {
    line.first() == Some(&ESCAPE) || (line.ends_with(b"m") && ends_in_colour(line))
}

fn ends_in_colour(line: &[u8]) -> bool {
    const LONGEST: usize = 12;
    let near = line.get(line.len().saturating_sub(LONGEST)..).unwrap_or_default();
    let Some(at) = memchr::memrchr(ESCAPE, near) else { return false };
    after_colour(near.get(at + 1..).unwrap_or_default()).is_some_and(<[u8]>::is_empty)
}

/// Returns the line without terminal colours, if it has any (ECMA-48: `ESC [`, numbers, a letter).
pub(super) fn uncoloured(line: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(ESCAPE, line)?;
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        let (plain, colour) = rest.split_at(at);
        out.extend_from_slice(plain);
        let inside = colour.get(1..).unwrap_or_default();
        rest = after_colour(inside).unwrap_or_else(|| {
            out.push(ESCAPE);
            inside
        });
    }
    out.extend_from_slice(rest);
    (out.len() < line.len()).then_some(out)
}

/// Skips `[1;32m`, or `[K`, which clears the rest of the line.
fn after_colour(inside: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 24;
    let numbers = inside.strip_prefix(b"[")?;
    let is_number = |b: &&u8| b.is_ascii_digit() || matches!(b, b';' | b':');
    let length = numbers.iter().take(LONGEST).take_while(is_number).count();
    match numbers.get(length..)? {
        [b'm' | b'K', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Skips the length of a message sent over TCP (RFC 6587): `123 <34>1 ...`.
fn after_count(line: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 6;
    let digits = line.iter().take(LONGEST).take_while(|b| b.is_ascii_digit()).count();
    let rest = line.get(digits..)?.strip_prefix(b" ")?;
    (digits > 0 && after_priority(rest).len() < rest.len()).then_some(rest)
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

/// Skips time, host, application, process, message id and structured data, and a byte order mark. Heroku omits the
/// structured data.
fn after_rfc5424(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..5 {
        rest = word(rest).0;
    }
    if rest.starts_with(b"[") {
        while rest.starts_with(b"[") {
            rest = after_element(rest)?;
        }
        rest = rest.strip_prefix(b" ")?;
    } else {
        rest = rest.strip_prefix(b"- ").unwrap_or(rest);
    }
    Some(rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(rest))
}

/// Skips one element of structured data: `[id name="value" ...]`, where a value may contain `]`.
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

/// Removes `2026-11-23 17:10:33,537 `, which Python's logging writes for `%(asctime)s`.
fn after_asctime(line: &[u8]) -> Option<(&[u8], Time)> {
    const LENGTH: usize = 23;
    let (stamp, rest) = line.split_at_checked(LENGTH)?;
    let time = time::iso(stamp).filter(|_| stamp.get(19) == Some(&b','))?;
    Some((rest.strip_prefix(b" ")?, time))
}

/// Removes what Caddy's console encoder writes before the object of an access log: time (UTC), level, logger and the
/// message, which is Caddy's own. ("log (Caddyfile directive)"; only these loggers print requests.)
fn after_console(line: &[u8]) -> Option<(&[u8], Time)> {
    let (stamp, rest) = found_in(line, b"\t")?;
    let time = time::slashed(stamp)?;
    let (_level, rest) = found_in(rest, b"\t")?;
    let (_message, line) = found_in(rest.strip_prefix(b"http.log.access")?, b"\t{")?;
    rest.get(rest.len() - line.len() - 1..).map(|line| (line, time))
}

/// Skips a container runtime's `stdout F `.
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
    use crate::engine::line::Directives;

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
            ("<158>1 - host heroku router - ", ""),
            ("2026-11-23T18:10:33.537001+01:00 host nginx[1]: ", "2026-11-23T17:10:33.537001Z"),
            ("2026-11-23T17:10:33.537001987Z stdout F ", "2026-11-23T17:10:33.537001Z"),
            ("MESSAGE=", ""),
            ("77 <165>1 2026-11-23T17:10:33.003Z host nginx 760 - - ", "2026-11-23T17:10:33.003Z"),
            ("2026-11-23 17:10:33,537 ", "2026-11-23T17:10:33.537Z"),
            ("haproxy[674]: ", ""),
            ("host haproxy[674]: ", ""),
            ("host nginx: ", ""),
            ("web-1  | ", ""),
        ];
        for (head, stamp) in heads {
            let line = format!("{head}192.0.2.1 - - [x] \"y\"");
            let inside = &b"192.0.2.1 - - [x] \"y\""[..];
            let is_local = head.contains(",537 ");
            let time = time::iso(stamp.as_bytes()).map(|time| Time { is_local, ..time });
            assert_eq!(
                peel(line.as_bytes(), &Columns::default()),
                Some(Envelope::new(inside, time)),
                "{head}"
            );
        }
        let envelope = peel(b"2026-11-23T17:10:33+00:00 host  {\"a\":1}", &Columns::default());
        assert_eq!(envelope.map(|envelope| envelope.line), Some(&b"{\"a\":1}"[..]));
    }

    #[test]
    fn colours_are_taken_off_and_nothing_else() {
        for (line, plain) in [
            (&b"\x1b[0m\x1b[1;32ma\x1b[0m"[..], Some(&b"a"[..])),
            (b"a\x1b[Kb", Some(b"ab")),
            (b"a\x1b[2Jb\x1b", None),
            (b"a", None),
            (b"\x1b[\x1b[0mm", Some(b"\x1b[m")),
        ] {
            assert_eq!(uncoloured(line).as_deref(), plain, "{}", line.escape_ascii());
        }
        assert!(is_coloured(b"\x1b[0ma") && is_coloured(b"a\x1b[0m") && is_coloured(b"a\x1b[m"));
        assert!(!is_coloured(b"") && !is_coloured(b"am") && !is_coloured(b"a\x1b[0m m"));
    }

    #[test]
    fn fields_of_a_journal_are_told_from_lines() {
        for field in ["_PID=1", "PRIORITY=6", "__CURSOR=s=1;i=2", "_TRANSPORT=", "MESSAGE"] {
            assert!(is_field(field.as_bytes()), "{field}");
        }
        for line in ["", "=", "MESSAGE=x", "MESSAGES", "level=info", "GET /?A=b", "A b=c"] {
            assert!(!is_field(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_part_of_a_line_is_told_from_a_whole_one() {
        assert!(is_part(b"2026-11-23T17:10:33.5Z stdout P 192.0.2.1"));
        for line in [
            "",
            "2026-11-23T17:10:33.5Z stdout F P x",
            "x stdout P x",
            "2026-11-23T17:10:33.5Z h P x",
        ] {
            assert!(!is_part(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_servers_own_line_is_no_envelope() {
        for line in
            ["", "<", "<1", "192.0.2.1 - - [x] \"y\"", "{\"a\":1}", "host.example.org - -", "| x"]
        {
            assert_eq!(peel(line.as_bytes(), &Columns::default()), None, "{line}");
        }
    }

    /// Parses a log with its own directives, in a file last written to on 2 March 2026.
    fn times(log: &[u8]) -> Vec<Option<String>> {
        let format = crate::engine::record::Format::preset("auto").unwrap();
        let mut file = Directives::default();
        file.written = 1_772_438_400_000_000_000;
        let mut columns = Columns::new(&file);
        let lines = log.split(|byte| *byte == b'\n').filter(|line| !format.is_silent(line));
        lines
            .map(|line| {
                columns.note(line);
                let record = format.parse_under(line, &columns).ok()?;
                Some(record.time?.to_rfc3339(record.time_digits))
            })
            .collect()
    }

    #[test]
    fn a_line_without_a_time_has_that_of_its_syslog_header() {
        let line = "method=GET path=/ status=200";
        let log =
            format!("<158>Mar  2 07:00:00 host app: {line}\n<158>Dec 31 23:00:00 app: {line}");
        let expected = ["2026-03-02T07:00:00Z", "2025-12-31T23:00:00Z"];
        assert_eq!(times(log.as_bytes()), expected.map(|time| Some(time.to_owned())));
    }

    #[test]
    fn a_line_without_a_time_has_that_of_its_journal_entry() {
        let line = b"method=GET path=/ status=200";
        let format = crate::engine::record::Format::preset("auto").unwrap();
        let text = [&b"__REALTIME_TIMESTAMP=1772438400250000\nMESSAGE="[..], line].concat();
        let length = line.len().to_le_bytes();
        let binary =
            [b"__REALTIME_TIMESTAMP=1772438400250000\nMESSAGE\n", &length[..], line].concat();
        for log in [text, binary] {
            let mut columns = Columns::default();
            let mut times = Vec::new();
            for line in log.split(|byte| *byte == b'\n') {
                columns.note(line);
                match format.parse_under(line, &columns) {
                    Ok(record) => times.push(record.time.unwrap().to_rfc3339(record.time_digits)),
                    Err(_) => assert!(format.is_silent(line), "{}", line.escape_ascii()),
                }
            }
            assert_eq!(times, ["2026-03-02T08:00:00.250000Z"]);
            // It also stays in force across batches.
            let mut stored = Directives::default();
            stored.note_all(&log);
            assert_eq!(stored.realtime(), b"1772438400250000");
            assert_eq!(Directives::from_lines(&stored.to_lines()), stored);
        }
    }
}
