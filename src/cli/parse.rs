//! `parse`: shows how each line is parsed, one JSON object per line; nothing is saved.

use std::borrow::Cow;
use std::net::IpAddr;
use std::process::ExitCode;

use serde::Serialize;
use smol_str::SmolStr;

use crate::cli::Context;
use crate::cli::args::Lines as Options;
use crate::cli::lines::{Logs, Numbered, Visit};
use crate::cli::print::{self, Printer, counted, number};
use crate::cli::scrub::{self, Cleaner};
use crate::engine::reader::Reader;
use crate::engine::record::{Record, Reject};
use crate::engine::secret::TokenId;
use crate::engine::token::Sealed;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let logs = Logs::find(&context.site, options)?;
    let has_files = logs.is_many();
    let mut parser = Parser { printer: &mut context.printer, has_files, count: Count::default() };
    let read = logs.read(&mut parser);
    parser.printer.flush()?;
    parser.count.say();
    read.map(|()| ExitCode::SUCCESS)
}

struct Parser<'p> {
    printer: &'p mut Printer,
    has_files: bool,
    count: Count,
}

/// What happened to the lines. The daemon's tally counts a skipped line as read.
#[derive(Default)]
struct Count {
    read: u64,
    passed_over: u64,
    rejected: u64,
    tokens: u64,
}

impl Count {
    /// Prints the counts on standard error.
    fn say(&self) {
        let Self { read, passed_over, rejected, tokens } = *self;
        let lines = counted(read + passed_over + rejected, "line");
        let tokens = counted(tokens, "token");
        let [read, rejected] = [read, rejected].map(number);
        let silent = match passed_over {
            0 => String::new(),
            n => format!("{} skipped (empty, directives), ", number(n)),
        };
        let why = if self.read == 0 && self.rejected > 0 {
            "; `tokenwatch explain` shows why, and what to do"
        } else {
            ""
        };
        print::say(format_args!(
            "{lines}: {read} read, {silent}{rejected} rejected; {tokens} found{why}"
        ));
    }
}

impl Visit for Parser<'_> {
    fn line(&mut self, reader: &Reader, seen: &Numbered<'_>) -> anyhow::Result<()> {
        let file = self.has_files.then(|| seen.path.to_string_lossy());
        let head = Head { file, line: seen.number };
        let Some(source) = reader.source(seen.source, seen.path) else { return Ok(()) };
        match source.record(&seen.line.bytes, seen.columns, &mut { seen.reach }) {
            Ok(Some(record)) => {
                let mut sightings = Vec::new();
                reader.finder().find(&record, &mut sightings);
                let sealed = reader.sealer().tokens(&sightings);
                let cleaner = Cleaner::new(reader, &sightings);
                let lack = record.lack.as_deref();
                let record = Shown::new(&record, &cleaner);
                let tokens: Vec<_> = sealed.iter().map(Token::new).collect();
                self.count.tokens += tokens.len() as u64;
                let template = source.format.template_text();
                let error = lack.map(|lack| Why::new(lack, template));
                self.count.read += u64::from(error.is_none());
                self.count.rejected += u64::from(error.is_some());
                self.printer.json(&Parsed { head, record, tokens, error })?;
            }
            Ok(None) => {
                self.count.passed_over += 1;
                // A directive says something, though not about a request. Lines that say nothing are not shown.
                if seen.line.bytes.starts_with(b"#") {
                    self.printer.json(&Rejected { head, error: Why::of_directive() })?;
                }
            }
            Err(reject) => {
                self.count.rejected += 1;
                let template = source.format.template_text();
                self.printer.json(&Rejected { head, error: Why::new(&reject, template) })?;
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        Ok(self.printer.flush()?)
    }
}

/// Where a line is.
#[derive(Serialize)]
pub(super) struct Head<'a> {
    /// Its file, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Cow<'a, str>>,
    /// Its number, counted from 1.
    pub line: u64,
}

#[derive(Serialize)]
struct Parsed<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    record: Shown<'a>,
    tokens: Vec<Token<'a>>,
    /// What the line lacks of its template.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Why<'a>>,
}

#[derive(Serialize)]
struct Rejected<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    error: Why<'a>,
}

/// Why a line was rejected. Contains at most one character of the line.
#[derive(Serialize)]
struct Why<'a> {
    message: String,
    column: usize,
    /// The template that the line does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    /// The column of the template up to which the line matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    template_column: Option<usize>,
}

impl<'a> Why<'a> {
    /// A directive is no record, and none is missing: it is shown, but not counted as rejected.
    fn of_directive() -> Self {
        let message = "expected a request, found a directive: skipped".to_owned();
        Self { message, column: 1, template: None, template_column: None }
    }

    fn new(reject: &Reject, template: Option<&'a str>) -> Self {
        Self {
            message: reject.to_string(),
            column: reject.column,
            template,
            template_column: reject.template,
        }
    }
}

/// A token in a line.
#[derive(Serialize)]
pub(super) struct Token<'a> {
    id: TokenId,
    kind: &'a SmolStr,
    carrier: String,
    hint: &'a SmolStr,
}

impl<'a> Token<'a> {
    pub(super) fn new(sealed: &'a Sealed) -> Self {
        let Sealed { id, kind, hint, carrier, .. } = sealed;
        Self { id: *id, kind, carrier: carrier.to_string(), hint }
    }
}

/// A record in the field names of the Elastic Common Schema, without its secrets. Fields that the line does not have
/// are left out.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    #[serde(rename = "@timestamp", skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Address>,
    #[serde(skip_serializing_if = "is_empty")]
    http: Http<'a>,
    #[serde(skip_serializing_if = "is_empty")]
    url: Url<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Original<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Name<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    event: Event,
}

/// How long before the line's time the request began.
#[derive(Default, PartialEq, Serialize)]
struct Event {
    #[serde(rename = "duration", skip_serializing_if = "is_empty")]
    nanoseconds: u64,
}

#[derive(Serialize)]
struct Address {
    ip: IpAddr,
    /// The address comes from a header: the log names no peer.
    #[serde(skip_serializing_if = "is_empty")]
    forgeable: bool,
}

#[derive(Default, PartialEq, Serialize)]
struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_empty")]
    request: Request<'a>,
    #[serde(skip_serializing_if = "is_empty")]
    response: Response,
}

#[derive(Default, PartialEq, Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<Cow<'a, str>>,
    /// What was sent is no request: `url.original` is all of it.
    #[serde(skip_serializing_if = "is_empty")]
    malformed: bool,
}

#[derive(Default, PartialEq, Serialize)]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
}

#[derive(PartialEq, Serialize)]
struct Body {
    bytes: u64,
}

#[derive(Default, PartialEq, Serialize)]
struct Url<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Original<'a> {
    original: Cow<'a, str>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: Cow<'a, str>,
}

/// The version of TLS in ECS's two parts (ECS field reference, "TLS fields"): logs spell it in many ways.
#[derive(Debug, PartialEq, Serialize)]
struct Tls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_protocol: Option<&'static str>,
}

impl<'a> Tls<'a> {
    /// Parses `TLSv1.2`, `TLS 1.3`, `tls1_1`, `TLSv12`, `1.3`, `SSLv3` and the numbers of the record layer (RFC 8446,
    /// section 4.2.1); `none` is Cloudflare's word for plain HTTP. Other text is shown unchanged.
    fn new(text: Cow<'a, str>) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (protocol, rest) = match (lower.strip_prefix("tls"), lower.strip_prefix("ssl")) {
            (Some(rest), _) => (Some("tls"), rest),
            (_, Some(rest)) => (Some("ssl"), rest),
            _ => (None, lower.as_str()),
        };
        let rest = rest.trim_start_matches(['v', ' ', '_', '-']).trim_end();
        let digits: String = rest.chars().filter(|c| !matches!(c, '.' | '_')).collect();
        let (protocol, version) = match (protocol, digits.as_str()) {
            (None, "none") => return None,
            (Some(protocol), "") => (protocol, None),
            (Some("ssl"), "2" | "20") => ("ssl", Some("2.0")),
            (Some("ssl"), "3" | "30") | (None, "768") => ("ssl", Some("3.0")),
            (_, "1" | "10" | "769") => ("tls", Some("1.0")),
            (_, "11" | "770") => ("tls", Some("1.1")),
            (_, "12" | "771") => ("tls", Some("1.2")),
            (_, "13" | "772") => ("tls", Some("1.3")),
            _ => return Some(Self { version: Some(text), version_protocol: None }),
        };
        Some(Self { version: version.map(Cow::Borrowed), version_protocol: Some(protocol) })
    }
}

fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> Shown<'a> {
    /// Returns the record to show; `cleaner` removes its secrets.
    pub(super) fn new(record: &'a Record<'_>, cleaner: &Cleaner<'_>) -> Self {
        let show = |field: &'a Option<Cow<'_, [u8]>>| Some(clean(field.as_deref()?, cleaner));
        Self {
            time: record.time.map(|time| time.to_rfc3339(record.time_digits)),
            source: record
                .client
                .map(|ip| Address { ip: ip.to_canonical(), forgeable: record.is_forwarded }),
            http: Http {
                version: show(&record.version),
                request: Request {
                    method: show(&record.method),
                    referrer: show(&record.referer),
                    malformed: record.is_malformed,
                },
                response: Response {
                    status_code: record.status,
                    body: record.bytes.map(|bytes| Body { bytes }),
                },
            },
            url: Url::new(record, show),
            user_agent: show(&record.agent).map(|original| Original { original }),
            user: show(&record.user).map(|name| Name { name: scrub::user(name) }),
            tls: show(&record.tls).and_then(Tls::new),
            event: Event { nanoseconds: u64::from(record.took_millis) * 1_000_000 },
        }
    }
}

impl<'a> Url<'a> {
    /// The target is cleaned before it is split: a secret may contain a separator.
    fn new<'r: 'a>(
        record: &'a Record<'r>,
        show: impl Fn(&'a Option<Cow<'r, [u8]>>) -> Option<Cow<'a, str>>,
    ) -> Self {
        let host = show(&record.host);
        let scheme = show(&record.scheme);
        let Some(original) = show(&record.target) else {
            return Self { domain: host.map(without_port), scheme, ..Self::default() };
        };
        let (before, query) = split(original.clone(), '?');
        let (own_scheme, authority, path) = match before.split_once("://") {
            Some((scheme, rest)) if !before.starts_with('/') => {
                let at = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(at);
                let host = authority.rsplit('@').next().unwrap_or(authority);
                let path = if path.is_empty() { "/" } else { path };
                (Some(scheme.to_owned()), Some(host.to_owned()), Cow::Owned(path.to_owned()))
            }
            _ => (None, None, before),
        };
        Self {
            path: Some(path),
            query,
            domain: host.or(authority.map(Cow::Owned)).map(without_port),
            scheme: scheme.or(own_scheme.map(Cow::Owned)),
            original: Some(original),
        }
    }
}

/// Splits at the first `at`, and borrows if the text is borrowed.
fn split(whole: Cow<'_, str>, at: char) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    match whole {
        Cow::Borrowed(text) => match text.split_once(at) {
            Some((before, after)) => (before.into(), Some(after.into())),
            None => (text.into(), None),
        },
        Cow::Owned(text) => match text.split_once(at) {
            Some((before, after)) => (before.to_owned().into(), Some(after.to_owned().into())),
            None => (text.into(), None),
        },
    }
}

/// `[2001:db8::1]:443` and `example.org:443` without the port.
fn without_port(host: Cow<'_, str>) -> Cow<'_, str> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let cut = host
        .rsplit_once(':')
        .filter(|(name, port)| is_port(port) && (!name.contains(':') || name.ends_with(']')));
    match cut.map(|(name, _)| name.len()) {
        None => host,
        Some(length) => match host {
            Cow::Borrowed(text) => text.get(..length).unwrap_or(text).into(),
            Cow::Owned(mut text) => {
                text.truncate(length);
                text.into()
            }
        },
    }
}

/// Returns a field without its secrets. JSON cannot contain bytes: each maximal part that is not UTF-8 becomes U+FFFD
/// (Unicode, section 3.9), as in Elastic, Vector and Python's `errors="replace"`. An escape could not be told from the
/// same characters in the log.
fn clean<'a>(field: &'a [u8], cleaner: &Cleaner<'_>) -> Cow<'a, str> {
    match cleaner.clean(field) {
        Cow::Borrowed(field) => String::from_utf8_lossy(field),
        Cow::Owned(field) => String::from_utf8_lossy(&field).into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_version_of_tls_is_shown_as_one() {
        let spellings: [(&[&str], Option<&str>, &str); 6] = [
            (&["TLSv1", "TLSv1.0", "tls1.0", "1.0", "769"], Some("1.0"), "tls"),
            (&["TLSv1.1", "tls1_1", "TLS 1.1", "TLSv11"], Some("1.1"), "tls"),
            (&["TLSv1.2", "TLS1.2", "tlsv1_2", "1.2", "771"], Some("1.2"), "tls"),
            (&["TLSv1.3", "TLS 1.3", "tls1.3", "1.3", "772"], Some("1.3"), "tls"),
            (&["SSLv3", "ssl3.0", "768"], Some("3.0"), "ssl"),
            (&["TLS"], None, "tls"),
        ];
        for (texts, version, protocol) in spellings {
            for text in texts {
                let expected =
                    Tls { version: version.map(Into::into), version_protocol: Some(protocol) };
                assert_eq!(Tls::new((*text).into()), Some(expected), "{text}");
            }
        }
        assert_eq!(Tls::new("none".into()), None);
        let other = Tls { version: Some("QUIC".into()), version_protocol: None };
        assert_eq!(Tls::new("QUIC".into()), Some(other));
    }
}
