//! Finds the comment in a line: plain, or in the envelope of a syslog daemon or a container runtime.
//!
//! ```text
//! #Fields: date time c-ip
//! <190>Mar  2 08:00:00 [host ]tag: #Fields: date time c-ip            RFC 3164
//! <165>1 2026-03-02T08:00:00Z host app pid msgid - #Fields: ...       RFC 5424, without structured data
//! 2026-03-02T08:00:00Z [host ]tag: #Fields: date time c-ip            rsyslog's ISO times
//! 2026-03-02T08:00:00.5Z stdout F #Fields: date time c-ip             CRI
//! {"log":"#Fields: date time c-ip\n","stream":"stdout","time":"..."}  docker's json-file
//! ```
//!
//! Nothing but an envelope may precede it: a client that writes `#Fields` into its user agent must not change how the
//! log is parsed. So only the exact envelopes above count, and a comment in any other envelope is lost.

use std::borrow::Cow;

use super::{parts, unmarked};

/// More words than the longest of these envelopes has.
const MAX_WORDS: usize = 9;

/// Returns the comment, from its `#` on, if the line is a comment.
#[must_use]
pub fn comment(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (head, text) = line.split_at_checked(memchr::memchr(b'#', line)?)?;
    let head = unmarked(head);
    if head.is_empty() || is_envelope(head) {
        return Some(Cow::Borrowed(text));
    }
    parts::docker_text(line).filter(|text| text.starts_with(b"#")).and_then(unescaped)
}

fn is_envelope(head: &[u8]) -> bool {
    let Some(head) = head.strip_suffix(b" ") else { return false };
    let words = head.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = words.take(MAX_WORDS).collect();
    match *words {
        [time, b"stdout" | b"stderr", b"F"] => is_iso(time),
        [first, time, _, _, _, _, b"-"] => is_priority(first.strip_suffix(b"1")) && is_iso(time),
        [time, tag] => is_iso(bare(time)) && is_tag(tag),
        [time, host, tag] => is_iso(bare(time)) && !is_tag(host) && is_tag(tag),
        [month, _, time, tag] => is_month(bare(month)) && is_clock(time) && is_tag(tag),
        [month, _, time, host, tag] => {
            is_month(bare(month)) && is_clock(time) && !is_tag(host) && is_tag(tag)
        }
        _ => false,
    }
}

/// Returns whether a word is `<190>`.
fn is_priority(word: Option<&[u8]>) -> bool {
    let digits = word.and_then(|word| word.strip_prefix(b"<")?.strip_suffix(b">"));
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// Strips `<190>` from a word.
fn bare(word: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'>', word).map_or(0, |at| at + 1);
    let (priority, rest) = word.split_at(end);
    if is_priority(Some(priority)) { rest } else { word }
}

fn is_tag(word: &[u8]) -> bool {
    word.ends_with(b":")
}

fn is_month(word: &[u8]) -> bool {
    matches!(word, [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z'])
}

fn is_clock(word: &[u8]) -> bool {
    matches!(word, [_, _, b':', _, _, b':', _, _])
}

fn is_iso(word: &[u8]) -> bool {
    matches!(word, [b'1'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..])
}

/// Decodes the escapes that a comment may have in JSON; one with other escapes is none of ours.
fn unescaped(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = text.strip_suffix(b"\\n").unwrap_or(text);
    let text = text.strip_suffix(b"\\r").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b't' => b'\t',
                b'"' => b'"',
                _ => return None,
            },
            plain => *plain,
        });
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stands_alone_or_in_an_envelope() {
        let heads = [
            "",
            "<190>Mar  2 08:00:00 host iis: ",
            "Mar 12 08:00:00 iis[7]: ",
            "<165>1 2026-03-02T08:00:00.5Z host iis 7 - - ",
            "2026-03-02T08:00:00+01:00 host iis: ",
            "<13>2026-03-02T08:00:00+01:00 iis: ",
            "2026-03-02T08:00:00.5Z stdout F ",
        ];
        for head in heads {
            let line = format!("{head}#Fields: date #x");
            let found = comment(line.as_bytes());
            assert_eq!(found.as_deref(), Some(&b"#Fields: date #x"[..]), "{head}");
        }
        let docker =
            br##"{"log":"#fields\ta\r\n","stream":"stdout","time":"2026-03-02T08:00:00Z"}"##;
        assert_eq!(comment(docker).as_deref(), Some(&b"#fields\ta"[..]));
    }

    #[test]
    fn what_a_client_wrote_is_no_comment() {
        for line in [
            "192.0.2.1 - #Fields: x",
            "Mar  2 08:00:00 host nginx: 192.0.2.1 - #Fields: x",
            "Mar  2 08:00:00 nginx: a: #Fields: x",
            "<165>1 2026-03-02T08:00:00.5Z host app 7 - - #a - #Fields: x",
            "2026-03-02T08:00:00.5Z stdout P #Fields: x",
            "2026-03-02T08:00:00.5Z stdout F \"x\" #Fields: x",
            r##"{"log":"a #Fields: x\n","stream":"stdout"}"##,
            r##"{"log":"#Fields: \u0041\n","stream":"stdout"}"##,
            "a#",
            "",
        ] {
            let found = comment(line.as_bytes());
            assert!(found.is_none_or(|text| !text.starts_with(b"#Fields")), "{line}");
        }
    }
}
