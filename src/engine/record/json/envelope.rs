//! Envelopes that are JSON: an object that holds a server's whole line under one of its keys.
//!
//! ```text
//! {"log":"LINE\n","stream":"stdout","time":"..."}                         docker's json-file
//! {"__REALTIME_TIMESTAMP":"µs","MESSAGE":"LINE",...}                      journalctl -o json
//! {"@timestamp":"...","message":"LINE","log":{"file":...},...}            Filebeat, Fluent Bit, Fluentd
//! {"textPayload":"LINE","timestamp":"...",...}                            Google Cloud Logging
//! ```
//!
//! Sources: docker "JSON File logging driver", systemd "Journal Export Formats" (a list of numbers is bytes that
//! are no UTF-8, `null` stands for what is too large to be shown), Fluent Bit and Filebeat documentation.

use std::borrow::Cow;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::json::text::{Broken, Cursor};
use crate::engine::record::keys::{self, Scope};
use crate::engine::record::scan;
use crate::engine::record::syslog::Envelope;
use crate::engine::record::time::{self, Time};
use crate::engine::record::{Text, syslog};

/// How many bytes docker puts into one object; a longer line goes on in the next.
const DOCKER_CHUNK: usize = 16 * 1024;

/// What an object is, as an envelope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sealed<'a> {
    /// It holds a line, under a key that shippers give to lines.
    Line(Envelope<Text<'a>>),
    /// It holds a text, under a key that applications give to what they say: this may be a line.
    Text(Envelope<Text<'a>>),
    /// It holds a part of a line, or none: why.
    Cut(&'static str),
}

/// Looks into an object; `None` if it holds no text or is broken.
pub(crate) fn envelope(line: &[u8]) -> Option<Sealed<'_>> {
    let mut object = Object { text: Cursor::new(line), ..Object::default() };
    object.read().ok()?;
    if let Some(why) = object.cut {
        return Some(Sealed::Cut(why));
    }
    let line = object.line?;
    let envelope = Envelope { line, time: object.time };
    Some(if object.rank > 1 { Sealed::Line(envelope) } else { Sealed::Text(envelope) })
}

/// What has been seen of an object.
#[derive(Default)]
struct Object<'a> {
    text: Cursor<'a>,
    line: Option<Text<'a>>,
    /// How sure the line's key is; 0 while there is none.
    rank: u8,
    time: Option<Time>,
    cut: Option<&'static str>,
}

impl<'a> Object<'a> {
    fn read(&mut self) -> Result<(), Broken> {
        self.text.mark(b'{', "JSON: `{`")?;
        if self.text.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.text.key()?;
            self.member(key.raw)?;
            if self.text.ends(b'}', "JSON: `,` or `}`")? {
                return Ok(());
            }
        }
    }

    fn member(&mut self, key: &[u8]) -> Result<(), Broken> {
        let rank = match key {
            b"log" | b"MESSAGE" | b"textPayload" => 3,
            b"message" | b"full_message" => 2,
            b"msg" | b"short_message" => 1,
            b"logtag" | b"partial_message" | b"__REALTIME_TIMESTAMP" => 0,
            _ if self.time.is_none() && is_time(key) => 0,
            _ => return self.text.skip(),
        };
        match (rank, self.text.next()) {
            (0, Some(b'{' | b'[')) => self.text.skip(),
            (0, _) => self.about(key),
            (_, Some(b'"')) => {
                let quoted = self.text.string()?;
                if rank > self.rank {
                    self.rank = rank;
                    self.line = Some(without_end(quoted.text(), key, &mut self.cut));
                }
                Ok(())
            }
            (_, Some(b'[')) if key == b"MESSAGE" => {
                self.line = Some(Cow::Owned(self.bytes()?));
                self.rank = rank;
                Ok(())
            }
            (_, Some(b'n')) if key == b"MESSAGE" => {
                self.cut = Some("a message (journald shows none that is large: journalctl --all)");
                self.text.skip()
            }
            _ => self.text.skip(),
        }
    }

    /// Reads a value that says something of the line: its time, or that it is a part.
    fn about(&mut self, key: &[u8]) -> Result<(), Broken> {
        let value = match self.text.next() {
            Some(b'"') => self.text.string()?.raw,
            _ => self.text.plain()?,
        };
        match key {
            b"logtag" | b"partial_message" if matches!(value, b"P" | b"true") => {
                self.cut = Some(syslog::WHOLE);
            }
            b"logtag" | b"partial_message" => {}
            _ => self.time = self.time.or_else(|| time::read(value)),
        }
        Ok(())
    }

    /// Reads a list of numbers, each a byte.
    fn bytes(&mut self) -> Result<Vec<u8>, Broken> {
        let mut bytes = Vec::new();
        self.text.mark(b'[', "JSON: `[`")?;
        if self.text.take(b']') {
            return Ok(bytes);
        }
        loop {
            let number = scan::decimal(self.text.plain()?);
            bytes.extend(number.and_then(|number| u8::try_from(number).ok()));
            if self.text.ends(b']', "JSON: `,` or `]`")? {
                return Ok(bytes);
            }
        }
    }
}

fn is_time(key: &[u8]) -> bool {
    keys::known(Scope::Root, key)
        .is_some_and(|meaning| matches!(meaning.slot, Some((Slot::Part(Part::Time), _))))
}

/// Takes the line end off; a chunk of docker's without one goes on in the next.
fn without_end<'a>(line: Text<'a>, key: &[u8], cut: &mut Option<&'static str>) -> Text<'a> {
    let length = line.trim_ascii_end().len();
    if key == b"log" && !line.ends_with(b"\n") && line.len() >= DOCKER_CHUNK {
        *cut = Some(syslog::WHOLE);
    }
    match line {
        Cow::Borrowed(line) => Cow::Borrowed(line.get(..length).unwrap_or(line)),
        Cow::Owned(mut line) => {
            line.truncate(length);
            Cow::Owned(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::tests::{preset, read};

    const LINE: &str = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 5"#;

    #[test]
    fn a_line_is_read_inside_of_every_shippers_object() {
        let auto = preset("auto");
        let expected = read(&auto, LINE);
        let line = serde_json::to_string(&format!("{LINE}\n")).unwrap();
        let bytes: Vec<String> = LINE.bytes().map(|b| b.to_string()).collect();
        for object in [
            format!(
                r#"{{"log":{line},"stream":"stdout","attrs":{{"tag":"x"}},"time":"2026-11-23T17:10:33Z"}}"#
            ),
            format!(
                r#"{{"stream":"stdout","logtag":"F","log":{line},"kubernetes":{{"host":"h","labels":{{"app":"x"}}}}}}"#
            ),
            format!(
                r#"{{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795453833537001","_PID":"1","MESSAGE":{line},"_HOSTNAME":"h"}}"#
            ),
            format!(r#"{{"_HOSTNAME":"h","MESSAGE":[{}]}}"#, bytes.join(",")),
            format!(
                r#"{{"@timestamp":"2026-11-23T17:10:33.537Z","log":{{"offset":1,"file":{{"path":"/x"}}}},"message":{line},"host":{{"name":"h"}},"agent":{{"type":"filebeat"}}}}"#
            ),
            format!(
                r#"{{"insertId":"i","textPayload":{line},"timestamp":"2026-11-23T17:10:33Z"}}"#
            ),
            format!(r#"{{"level":"info","msg":{line}}}"#),
        ] {
            assert_eq!(read(&auto, &object), expected, "{object}");
            let twice = serde_json::json!({"message": object}).to_string();
            assert_eq!(read(&auto, &twice), expected, "{twice}");
        }
    }

    #[test]
    fn what_is_no_whole_line_says_so() {
        let auto = preset("auto");
        let long = "x".repeat(DOCKER_CHUNK);
        for (line, expected) in [
            (
                r#"{"_PID":"1","MESSAGE":null}"#.to_owned(),
                "1: a message (journald shows none that is large: journalctl --all) / an object without it",
            ),
            (
                format!(r#"{{"log":"{long}","stream":"stdout"}}"#),
                "1: a whole line (the container runtime cuts at 16 KiB) / a part of one",
            ),
            (
                r#"{"log":"x","logtag":"P"}"#.to_owned(),
                "1: a whole line (the container runtime cuts at 16 KiB) / a part of one",
            ),
            (
                r#"{"level":"info","msg":"started"}"#.to_owned(),
                "1: a key for the request (request, uri, path, method with status) / an object without it",
            ),
        ] {
            assert_eq!(read(&auto, &line), expected, "{}", line.len());
        }
    }

    #[test]
    fn the_time_and_the_line_are_what_the_object_says() {
        let time = time::read(b"1795453833537001");
        let line = Cow::Borrowed(&b"a"[..]);
        let sealed = br#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"1795453833537001"}"#;
        assert_eq!(envelope(sealed), Some(Sealed::Line(Envelope { line: line.clone(), time })));
        let text = br#"{"ts":1795453833.537001,"msg":"a"}"#;
        assert_eq!(envelope(text), Some(Sealed::Text(Envelope { line, time })));
        for none in ["", "{", "{}", "{\"a\":1}", "{\"log\":{}}", "{\"log\":\"x"] {
            assert_eq!(envelope(none.as_bytes()), None, "{none}");
        }
    }
}
