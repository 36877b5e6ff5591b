//! JSON envelopes: an object that contains a server's whole line under one of its keys.
//!
//! ```text
//! {"log":"LINE\n","stream":"stdout","time":"..."}                         docker's json-file
//! {"__REALTIME_TIMESTAMP":"µs","MESSAGE":"LINE",...}                      journalctl -o json
//! {"@timestamp":"...","message":"LINE","log":{"file":...},...}            Filebeat, Fluent Bit, Fluentd
//! {"textPayload":"LINE","timestamp":"...",...}                            Google Cloud Logging
//! {"syslogtag":"nginx:","msg":"LINE",...}                                 rsyslog, Vector, Logstash, GELF of docker
//! ```
//!
//! A key that applications also use for their messages (`message`, `msg`) contains a line only if other keys show
//! that a shipper wrote the object, and no key shows an application's own logger. Otherwise an application that logs
//! a client's text would let that client forge records.
//!
//! Sources: docker "JSON File logging driver", systemd "Journal Export Formats" (a list of numbers is the bytes of
//! a non-UTF-8 value, `null` replaces a value that is too large), Fluent Bit and Filebeat documentation, rsyslog
//! "Properties", syslog-ng "format-json", Vector "file" and "syslog" sources, Logstash "file" input, Fluentd "syslog"
//! input, docker "Graylog Extended Format logging driver"; for the loggers: pino, bunyan, winston, zap, logrus,
//! Python's, ECS.

use std::borrow::Cow;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::json::text::{Broken, Cursor};
use crate::engine::record::keys::{self, Scope};
use crate::engine::record::scan;
use crate::engine::record::syslog::Envelope;
use crate::engine::record::time::{self, Time};
use crate::engine::record::{Reject, Text};

/// The most bytes that docker puts into one object; a longer line continues in the next.
const DOCKER_CHUNK: usize = 16 * 1024;

/// The kind of envelope that an object is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sealed<'a> {
    /// It contains a line that a shipper put there.
    Line(Envelope<Text<'a>>),
    /// It contains a text that an application may have put there.
    Text(Envelope<Text<'a>>),
    /// It contains a partial line or none.
    Cut(Cut),
}

/// Why an envelope does not contain a whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The container runtime cut the line.
    InParts,
    /// It was too large for the journal's export.
    Withheld,
}

impl Cut {
    /// Returns the reject of the line.
    pub(in crate::engine::record) fn reject(self) -> Reject {
        let (expected, found) = match self {
            Self::InParts => {
                ("a whole line (the container runtime cuts at 16 KiB)", "a part of one")
            }
            Self::Withheld => (
                "a message (journald shows none that is large: journalctl --all)",
                "an object without it",
            ),
        };
        Reject::new(1, expected, found)
    }
}

/// Parses an object as an envelope; `None` if it contains no text or is malformed.
pub(crate) fn envelope(line: &[u8]) -> Option<Sealed<'_>> {
    let mut object = Object { text: Cursor::new(line), ..Object::default() };
    object.read().ok()?;
    if let Some(cut) = object.cut {
        return Some(Sealed::Cut(cut));
    }
    let is_shippers = object.is_shippers();
    let is_shipped = object.holder != Holder::Journal && !object.has_stream;
    let envelope = Envelope { line: object.line?, time: object.time, is_shipped };
    Some(if is_shippers { Sealed::Line(envelope) } else { Sealed::Text(envelope) })
}

/// Who uses the key that contains the line: of several keys, the greatest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    #[default]
    Nobody,
    /// Used by applications and shippers: `msg`.
    Anyone,
    /// Used by GELF, whose protocol has a level: `short_message`.
    Gelf,
    /// Used by docker and Fluent, rarely by applications: `log`.
    Log,
    /// Used only by the journal and Google: `MESSAGE`.
    Journal,
}

impl Holder {
    const fn of(key: &[u8]) -> Self {
        match key {
            b"MESSAGE" | b"textPayload" => Self::Journal,
            b"log" => Self::Log,
            b"full_message" | b"short_message" => Self::Gelf,
            b"message" | b"msg" => Self::Anyone,
            _ => Self::Nobody,
        }
    }
}

/// What has been found in an object so far.
#[derive(Default)]
struct Object<'a> {
    text: Cursor<'a>,
    line: Option<Text<'a>>,
    holder: Holder,
    /// A key shows a shipper.
    is_shipped: bool,
    /// It names a container's output, which the runtime stamps line by line.
    has_stream: bool,
    /// A key shows an application's logger.
    is_logged: bool,
    time: Option<Time>,
    cut: Option<Cut>,
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

    /// Returns whether a shipper put the line there.
    const fn is_shippers(&self) -> bool {
        match self.holder {
            Holder::Journal => true,
            Holder::Log => self.is_shipped || !self.is_logged,
            Holder::Gelf => self.is_shipped,
            Holder::Anyone => self.is_shipped && !self.is_logged,
            Holder::Nobody => false,
        }
    }

    fn member(&mut self, key: &[u8]) -> Result<(), Broken> {
        let holder = Holder::of(key);
        let next = self.text.next();
        if holder == Holder::Nobody {
            self.is_shipped |= is_shippers(key, next);
            self.is_logged |= is_loggers(key);
            self.has_stream |= key == b"stream";
            return self.about(key);
        }
        match next {
            Some(b'"') => {
                let quoted = self.text.string()?;
                if holder > self.holder {
                    self.holder = holder;
                    self.line = Some(without_end(quoted.text(), key, &mut self.cut));
                }
                Ok(())
            }
            Some(b'[') if key == b"MESSAGE" => {
                self.line = Some(Cow::Owned(self.bytes()?));
                self.holder = holder;
                Ok(())
            }
            Some(b'n') if key == b"MESSAGE" => {
                self.cut = Some(Cut::Withheld);
                self.text.skip()
            }
            Some(b'{') if holder == Holder::Log => self.log(),
            _ => self.text.skip(),
        }
    }

    /// Parses ECS `log`: Filebeat names the line's file there, loggers the severity.
    fn log(&mut self) -> Result<(), Broken> {
        self.text.mark(b'{', "JSON: `{`")?;
        if self.text.take(b'}') {
            return Ok(());
        }
        loop {
            match self.text.key()?.raw {
                b"file" | b"offset" => self.is_shipped = true,
                b"level" | b"logger" => self.is_logged = true,
                _ => {}
            }
            self.text.skip()?;
            if self.text.ends(b'}', "JSON: `,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Parses a value that may describe the line: its time, or that it is partial.
    fn about(&mut self, key: &[u8]) -> Result<(), Broken> {
        let is_about_part = matches!(key, b"logtag" | b"partial_message");
        let is_about_time = key == b"__REALTIME_TIMESTAMP" || (self.time.is_none() && is_time(key));
        let value = match self.text.next() {
            _ if !is_about_part && !is_about_time => return self.text.skip(),
            Some(b'{' | b'[') => return self.text.skip(),
            Some(b'"') => self.text.string()?.raw,
            _ => self.text.plain()?,
        };
        if is_about_part && matches!(value, b"P" | b"true") {
            self.cut = Some(Cut::InParts);
        }
        if is_about_time {
            self.time = self.time.or_else(|| time::read(value));
        }
        Ok(())
    }

    /// Parses a list of numbers, each a byte.
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

/// Returns whether a key shows a shipper: a program that wraps other programs' lines. `next` begins the key's value.
fn is_shippers(key: &[u8], next: Option<u8>) -> bool {
    match key {
        // Applications use these names too, but not for objects.
        b"agent" | b"input" | b"kubernetes" | b"docker" | b"container" | b"beat"
        | b"prospector" | b"fileset" => next == Some(b'{'),
        b"stream" | b"logtag" | b"_p" | b"partial_message" | b"container_id"
        | b"container_name" | b"_container_id" | b"_container_name" | b"log.file.path"
        | b"log.offset" | b"source_type" | b"@version" | b"syslogtag" | b"programname"
        | b"PROGRAM" | b"fromhost" | b"fromhost-ip" | b"inputname" | b"ident" | b"logsource"
        | b"logGroup" | b"logStream" => true,
        key => key.starts_with(b"__") || key.starts_with(b"_SYSTEMD_"),
    }
}

/// Returns whether a key shows an application's own logger, which names the severity or the logger.
fn is_loggers(key: &[u8]) -> bool {
    matches!(
        key,
        b"level"
            | b"lvl"
            | b"@l"
            | b"levelname"
            | b"level_name"
            | b"levelno"
            | b"loglevel"
            | b"logLevel"
            | b"log_level"
            | b"log.level"
            | b"logger"
            | b"logger_name"
            | b"loggerName"
            | b"log.logger"
    )
}

fn is_time(key: &[u8]) -> bool {
    keys::known(Scope::Root, key)
        .is_some_and(|meaning| matches!(meaning.slot, Some((Slot::Part(Part::Time), _))))
}

/// Removes the line end; one of docker's chunks without a line end continues in the next.
fn without_end<'a>(line: Text<'a>, key: &[u8], cut: &mut Option<Cut>) -> Text<'a> {
    let length = line.trim_ascii_end().len();
    if key == b"log" && !line.ends_with(b"\n") && line.len() >= DOCKER_CHUNK {
        *cut = Some(Cut::InParts);
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
            format!(r#"{{"syslogtag":"nginx[1]:","severity":"info","msg":{line}}}"#),
            format!(r#"{{"PROGRAM":"nginx","MESSAGE":{line}}}"#),
            format!(r#"{{"host":"h","ident":"nginx","pid":"7","message":{line}}}"#),
            format!(r#"{{"date":1795453833.5,"log":{line}}}"#),
            format!(r#"{{"file":"/x","message":{line},"source_type":"file"}}"#),
            format!(
                r#"{{"@version":"1","@timestamp":"2026-11-23T17:10:33Z","host":"h","message":{line}}}"#
            ),
            format!(r#"{{"short_message":{line},"level":6,"_container_id":"0f"}}"#),
        ] {
            assert_eq!(read(&auto, &object), expected, "{object}");
            let twice = serde_json::json!({"message": object, "stream": "stdout"}).to_string();
            assert_eq!(read(&auto, &twice), expected, "{twice}");
        }
    }

    #[test]
    fn what_a_client_made_an_application_say_was_taken_for_a_record() {
        let auto = preset("auto");
        let text = serde_json::to_string(LINE).unwrap();
        for object in [
            format!(r#"{{"level":30,"time":1795453833537,"pid":7,"hostname":"h","msg":{text}}}"#),
            format!(r#"{{"level":"info","ts":1795453833.5,"logger":"http","msg":{text}}}"#),
            format!(
                r#"{{"level":"info","message":{text},"timestamp":"2026-11-23T17:10:33Z","input":"x","agent":"c/1"}}"#
            ),
            format!(
                r#"{{"@timestamp":"2026-11-23T17:10:33Z","log.level":"info","message":{text},"ecs":{{"version":"8.10.0"}}}}"#
            ),
            format!(r#"{{"log":{{"level":"info","origin":{{"file":{{}}}}}},"message":{text}}}"#),
            format!(r#"{{"severity":"INFO","message":{text}}}"#),
            format!(r#"{{"level":"info","log":{text}}}"#),
            format!(r#"{{"version":"1.1","host":"h","short_message":{text},"level":6}}"#),
            // A shipper that parsed an application's object.
            format!(r#"{{"level":"info","message":{text},"kubernetes":{{"pod":"x"}}}}"#),
            format!(r#"{{"message":{text}}}"#),
        ] {
            let expected = "1: a shipper's keys beside the message (stream, log.file.path, kubernetes, \
                            syslogtag) and no logger's (level): it may be a client's text / a message that is a line";
            assert_eq!(read(&auto, &object), expected, "{object}");
            assert!(preset("combined").parse(object.as_bytes()).is_err(), "{object}");
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
        let of = |is_shipped| Envelope { line: line.clone(), time, is_shipped };
        assert_eq!(envelope(sealed), Some(Sealed::Line(of(false))));
        let text = br#"{"ts":1795453833.537001,"msg":"a"}"#;
        assert_eq!(envelope(text), Some(Sealed::Text(of(true))));
        let shipped = br#"{"ts":1795453833.537001,"msg":"a","stream":"stdout"}"#;
        assert_eq!(envelope(shipped), Some(Sealed::Line(of(false))));
        for none in ["", "{", "{}", "{\"a\":1}", "{\"log\":{}}", "{\"log\":\"x"] {
            assert_eq!(envelope(none.as_bytes()), None, "{none}");
        }
    }
}
