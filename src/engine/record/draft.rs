//! A record under construction: values are stored by part, and the better source of a part wins.

use std::borrow::Cow;
use std::ops::Range;

use super::duration::{self, Whole};
use super::time::Time;
use super::{FieldName, Record, Text, client, names, scan, time};

/// The most further fields that a record keeps; the rest of a hostile line is ignored.
const MAX_FIELDS: usize = 64;

/// A part that a record has once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Time,
    Client,
    Request,
    Method,
    Target,
    Query,
    Version,
    Status,
    Bytes,
    Referer,
    Agent,
    User,
    Host,
    Scheme,
    Tls,
}

/// Where a value of a log is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Part(Part),
    Header(Cow<'static, str>),
    Cookie(Cow<'static, str>),
    /// A parameter of the query that the log writes separately.
    Argument(Cow<'static, str>),
    Id(Cow<'static, str>),
    /// A name that the site chose for something that a client may have sent.
    Named(Cow<'static, str>),
    /// A variable of the site's own, which is no header; the value shows what it means.
    Variable(Cow<'static, str>),
    /// How long the request took until it was logged.
    Took(Whole),
    OfServer,
    Unnamed,
    Skip,
}

impl Slot {
    /// Returns whether the value is a header with the proxies that a request passed.
    pub(super) fn is_hops(&self) -> bool {
        matches!(self, Self::Header(name) if matches!(&**name, "x-forwarded-for" | "forwarded"))
    }
}

/// How the log escaped a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Backslash,
    /// A plus for a space.
    Plus,
    /// A plus for the space behind a scheme and behind each comma; any other may be of the credential.
    Scheme,
    /// `%20` for a space, as in a URL.
    Percent,
}

/// A record and the rank of each part's source.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    record: Record<'a>,
    query: Option<Text<'a>>,
    arguments: Vec<(Cow<'static, str>, Text<'a>)>,
    ranks: [u8; 15],
}

impl<'a> Draft<'a> {
    /// Stores a value; returns `false` if it cannot be parsed as required. If two sources give the same part, the
    /// higher rank wins; of equal ranks, the first.
    pub(super) fn put(&mut self, slot: &Slot, rank: u8, raw: Text<'a>, escape: Escape) -> bool {
        if scan::present(&raw).is_none() {
            return true;
        }
        let name = match slot {
            Slot::Part(part) => return self.put_part(*part, rank, raw, escape),
            Slot::Header(name) => FieldName::Header(name.clone()),
            Slot::Cookie(name) => FieldName::Cookie(name.clone()),
            Slot::Id(name) => FieldName::Id(name.clone()),
            Slot::Named(name) => names::field(name).into_owned(),
            Slot::Variable(name) => names::variable(name, &raw).into_owned(),
            Slot::OfServer => FieldName::OfServer,
            Slot::Unnamed => FieldName::Unnamed,
            Slot::Argument(name) => {
                if self.arguments.len() < MAX_FIELDS {
                    self.arguments.push((name.clone(), unescaped(raw, escape)));
                }
                return true;
            }
            Slot::Took(whole) => {
                self.record.took_millis = duration::read(&raw, *whole).unwrap_or_default();
                return true;
            }
            Slot::Skip => return true,
        };
        self.field(name, unescaped(raw, escape));
        true
    }

    fn put_part(&mut self, part: Part, rank: u8, raw: Text<'a>, escape: Escape) -> bool {
        match part {
            Part::Time => return time::read(&raw).is_some_and(|time| self.time(rank, time)),
            Part::Status => {
                return raw[..] == *b"0"
                    || scan::status(&raw).is_some_and(|status| self.status(rank, status));
            }
            Part::Bytes => {
                return scan::decimal(&raw).is_some_and(|bytes| self.bytes(rank, bytes));
            }
            Part::Client => {
                // A name in place of an address leaves the part to another source.
                if let Some(address) = client::parse_address(&raw)
                    && self.wins(part, rank)
                {
                    self.record.client = Some(address);
                }
                return true;
            }
            Part::Request => {
                let text = unescaped(raw.clone(), escape);
                self.request(rank, Request::split(&text, raw));
                return true;
            }
            _ => {}
        }
        if part == Part::Version && is_scheme(&raw) {
            // Where the log distinguishes `http` and `https`, a protocol has no version.
            let text = Cow::Owned(raw.to_ascii_lowercase());
            return self.put_part(Part::Scheme, 1, text, Escape::None);
        }
        if !self.wins(part, rank) {
            return true;
        }
        let text = unescaped(raw, escape);
        let record = &mut self.record;
        match part {
            Part::Method => record.method = Some(text),
            Part::Target => record.target = Some(text),
            Part::Query => self.query = Some(text),
            Part::Version => record.version = Some(version_of(&text)),
            Part::Referer => record.referer = Some(text),
            Part::Agent => record.agent = Some(text),
            Part::User => record.user = Some(text),
            Part::Host => record.host = Some(text),
            // `https` is `on` in nginx and Apache, or absent.
            Part::Scheme if text[..] == *b"on" => record.scheme = Some(Cow::Borrowed(b"https")),
            Part::Scheme => record.scheme = Some(text),
            Part::Tls => record.tls = Some(text),
            Part::Time | Part::Client | Part::Status | Part::Bytes | Part::Request => {}
        }
        true
    }

    /// Stores a time; of sources with the same rank, the one with more digits wins.
    pub(super) fn time(&mut self, rank: u8, time: Time) -> bool {
        if self.wins(Part::Time, rank * 8 + time.digits) {
            self.record.set_time(time);
        }
        true
    }

    /// Stores a status.
    pub(super) fn status(&mut self, rank: u8, status: u16) -> bool {
        if self.wins(Part::Status, rank) {
            self.record.status = Some(status);
        }
        true
    }

    /// Stores the bytes sent.
    pub(super) fn bytes(&mut self, rank: u8, bytes: u64) -> bool {
        if self.wins(Part::Bytes, rank) {
            self.record.bytes = Some(bytes);
        }
        true
    }

    fn request(&mut self, rank: u8, request: Request<'a>) {
        let record = &mut self.record;
        for (part, place, text) in [
            (Part::Method, &mut record.method, request.method),
            (Part::Target, &mut record.target, request.target),
            (Part::Version, &mut record.version, request.version),
        ] {
            if text.is_some() && wins(&mut self.ranks, part, rank) {
                *place = text;
            }
        }
    }

    /// Adds a further field.
    pub(super) fn field(&mut self, name: FieldName<'a>, text: Text<'a>) {
        push_field(&mut self.record, name, text);
    }

    fn wins(&mut self, part: Part, rank: u8) -> bool {
        wins(&mut self.ranks, part, rank)
    }

    /// Returns whether the method is known.
    pub(super) const fn has_method(&self) -> bool {
        self.record.method.is_some()
    }

    /// Returns whether the status is known.
    pub(super) const fn has_status(&self) -> bool {
        self.record.status.is_some()
    }

    /// Returns whether anything of a request is known.
    pub(super) const fn has_request(&self) -> bool {
        let record = &self.record;
        record.target.is_some() || (record.method.is_some() && record.status.is_some())
    }

    /// Returns whether the client is known.
    pub(super) const fn has_client(&self) -> bool {
        self.record.client.is_some()
    }

    /// Returns whether the time is known.
    pub(super) const fn has_time(&self) -> bool {
        self.record.time.is_some()
    }

    /// Returns the record, complete.
    pub(super) fn finish(mut self) -> Record<'a> {
        std::mem::take(self.complete())
    }

    /// Completes the record. A query that the log writes separately is joined to the target, and so are parameters
    /// that are not in it yet.
    pub(super) fn complete(&mut self) -> &mut Record<'a> {
        let record = &mut self.record;
        // A log with the query but no path: it may still contain a token.
        if record.target.is_none() && self.query.is_some() {
            record.target = Some(Cow::Borrowed(b""));
        }
        if let (Some(target), Some(query)) = (&record.target, self.query.take())
            && memchr::memchr(b'?', target).is_none()
        {
            let mark: &[u8] = if query.starts_with(b"?") { b"" } else { b"?" };
            record.target = Some(Cow::Owned([&target[..], mark, &query[..]].concat()));
        }
        for (name, value) in self.arguments.drain(..) {
            let target = record.target.take().unwrap_or_default();
            record.target = Some(with_argument(target, name.as_bytes(), &value));
        }
        record
    }
}

/// Adds a parameter to a target's query, unless it is already there. nginx matches `$arg_NAME` regardless of letter
/// case, and takes the value as it was sent.
fn with_argument<'a>(target: Text<'a>, name: &[u8], value: &[u8]) -> Text<'a> {
    let (path, query) = target.split_at(memchr::memchr(b'?', &target).unwrap_or(target.len()));
    let is_argument = |at: usize| {
        let (before, rest) = query.split_at_checked(at).unwrap_or_default();
        let named = before
            .strip_suffix(b"=")
            .and_then(|b| b.split_at_checked(b.len().checked_sub(name.len())?));
        let is_named = named.is_some_and(|(before, own)| {
            own.eq_ignore_ascii_case(name) && matches!(before.last(), Some(b'?' | b'&'))
        });
        is_named && matches!(rest.get(value.len()), None | Some(b'&' | b'#'))
    };
    if memchr::memmem::find_iter(query, value).any(is_argument) {
        return target;
    }
    let mark: &[u8] = if query.is_empty() { b"?" } else { b"&" };
    Cow::Owned([path, query, mark, name, b"=", value].concat())
}

fn wins(ranks: &mut [u8; 15], part: Part, rank: u8) -> bool {
    // Ranks start at 1: 0 is a part that has no value yet.
    ranks.get_mut(part as usize).is_some_and(|held| {
        let is_better = *held <= rank;
        if is_better {
            *held = rank + 1;
        }
        is_better
    })
}

/// Adds a further field, up to the limit.
pub(super) fn push_field<'a>(record: &mut Record<'a>, name: FieldName<'a>, text: Text<'a>) {
    if record.fields.len() < MAX_FIELDS {
        record.fields.push((name, text));
    }
}

/// Stores a request line in a record: `text` as it was sent, `raw` as it was logged. For a whole URL, scheme
/// and host are stored too.
pub(super) fn put_request<'a>(record: &mut Record<'a>, text: &Text<'a>, raw: &'a [u8]) {
    let request = Request::split(text, Cow::Borrowed(raw));
    record.method = request.method;
    record.version = request.version;
    put_target(record, request.target);
}

/// Stores a target in a record. For a whole URL, scheme and host are stored too, unless they are known.
pub(super) fn put_target<'a>(record: &mut Record<'a>, target: Option<Text<'a>>) {
    if let Some(target) = &target
        && let Some((scheme, host)) = authority(target)
    {
        record.scheme = record.scheme.take().or_else(|| Some(slice(target, 0, scheme)));
        record.host = record.host.take().or_else(|| Some(slice(target, host.start, host.end)));
    }
    record.target = target;
}

/// Finds the end of the scheme in a whole URL, and the range of the host, without `user:password@`.
fn authority(target: &[u8]) -> Option<(usize, Range<usize>)> {
    const LONGEST_SCHEME: usize = 16;
    let near = target.get(..LONGEST_SCHEME + 3).unwrap_or(target);
    let scheme = memchr::memmem::find(near, b"://")?;
    if scheme == 0 || !target.get(..scheme)?.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let rest = target.get(scheme + 3..)?;
    let length = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let user = memchr::memrchr(b'@', rest.get(..length)?).map_or(0, |at| at + 1);
    (user < length).then_some((scheme, scheme + 3 + user..scheme + 3 + length))
}

fn unescaped(raw: Text<'_>, escape: Escape) -> Text<'_> {
    match (escape, raw) {
        (Escape::Backslash, Cow::Borrowed(raw)) => scan::unescape(raw),
        (Escape::Percent, Cow::Borrowed(raw)) => percent_encoding::percent_decode(raw).into(),
        (Escape::Plus, Cow::Borrowed(raw)) if memchr::memchr(b'+', raw).is_some() => {
            raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect()
        }
        (Escape::Scheme, Cow::Borrowed(raw)) => with_scheme_apart(raw),
        (_, raw) => raw,
    }
}

/// Returns `Bearer abc+d==` for `Bearer+abc+d==`. What stands before the first plus may as well be the beginning of a
/// credential without a scheme: base64 has a plus in any place, so it must be the name of one.
fn with_scheme_apart(raw: &[u8]) -> Text<'_> {
    let length = memchr::memchr(b'+', raw).unwrap_or(0);
    let word = raw.get(..length).unwrap_or_default();
    if !names::SCHEMES.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word)) {
        return raw.into();
    }
    let before = std::iter::once(&b',').chain(raw);
    let is_space = |(at, before): (usize, &u8)| at == length || *before == b',';
    let plain = raw.iter().zip(before.enumerate());
    plain.map(|(b, place)| if *b == b'+' && is_space(place) { b' ' } else { *b }).collect()
}

fn is_scheme(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"http")
}

fn version_of<'a>(text: &Text<'a>) -> Text<'a> {
    let start = if text.starts_with(b"HTTP/") { 5 } else { 0 };
    slice(text, start, text.len())
}

/// The parts of a request line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Option<Text<'a>>,
    pub(super) target: Option<Text<'a>>,
    pub(super) version: Option<Text<'a>>,
}

impl<'a> Request<'a> {
    /// Splits `GET /path HTTP/1.1`. The version may be missing, and the target may contain spaces. Anything that
    /// is no request (a TLS handshake, noise) becomes the target as the log wrote it, so that it stays printable.
    pub(super) fn split(text: &Text<'a>, raw: Text<'a>) -> Self {
        if scan::present(text).is_none() || text[..] == *b"<BADREQ>" || text[..] == *b"- - -" {
            return Self::default();
        }
        let space = memchr::memchr(b' ', text).unwrap_or(text.len());
        let is_method = |name: &[u8]| {
            (1..=32).contains(&name.len())
                && name.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
        };
        let after = text.get(space + 1..).unwrap_or_default();
        if after.is_empty() || !text.get(..space).is_some_and(is_method) {
            return Self { target: Some(raw), ..Self::default() };
        }
        let last = memchr::memrchr(b' ', after).map_or(0, |at| at + 1);
        let has_version = last > 0 && after.get(last..).is_some_and(|w| w.starts_with(b"HTTP/"));
        let start = space + 1;
        let end = if has_version { start + last - 1 } else { text.len() };
        Self {
            method: Some(slice(text, 0, space)),
            target: (start < end).then(|| slice(text, start, end)),
            version: has_version.then(|| slice(text, start + last + 5, text.len())),
        }
    }
}

/// Returns a part of a text, borrowed if the text is.
fn slice<'a>(text: &Text<'a>, start: usize, end: usize) -> Text<'a> {
    match text {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(start..end).unwrap_or_default()),
        Cow::Owned(bytes) => Cow::Owned(bytes.get(start..end).unwrap_or_default().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

    #[test]
    fn request_lines_are_taken_apart() {
        let cases: &[(&str, Parts<'_>)] = &[
            ("GET / HTTP/1.1", (Some("GET"), Some("/"), Some("1.1"))),
            ("GET /a b?c d HTTP/2", (Some("GET"), Some("/a b?c d"), Some("2"))),
            ("GET /", (Some("GET"), Some("/"), None)),
            ("GET /a b", (Some("GET"), Some("/a b"), None)),
            ("GET HTTP/1.1", (Some("GET"), Some("HTTP/1.1"), None)),
            ("GET  HTTP/1.1", (Some("GET"), None, Some("1.1"))),
            (
                "CONNECT example.org:443 HTTP/1.1",
                (Some("CONNECT"), Some("example.org:443"), Some("1.1")),
            ),
            ("M-SEARCH * HTTP/1.1", (Some("M-SEARCH"), Some("*"), Some("1.1"))),
            ("GARBAGE", (None, Some("GARBAGE"), None)),
            ("GET ", (None, Some("GET "), None)),
            ("", (None, None, None)),
            ("-", (None, None, None)),
            ("- - -", (None, None, None)),
            ("<BADREQ>", (None, None, None)),
        ];
        for (line, expected) in cases {
            let text = || Cow::Borrowed(line.as_bytes());
            let request = Request::split(&text(), text());
            let show =
                |t: &Option<Text<'_>>| t.as_ref().map(|t| String::from_utf8_lossy(t).into_owned());
            let shown = (show(&request.method), show(&request.target), show(&request.version));
            let shown = (shown.0.as_deref(), shown.1.as_deref(), shown.2.as_deref());
            assert_eq!(shown, *expected, "{line:?}");
        }
    }

    #[test]
    fn a_whole_url_has_scheme_and_host() {
        let cases = [
            ("https://example.org:443/a?b", Some(("https", "example.org:443"))),
            ("http://ann:x@[2001:db8::1]?b=@", Some(("http", "[2001:db8::1]"))),
            ("wss://example.org", Some(("wss", "example.org"))),
            ("/a?u=http://b/", None),
            ("a/b://c/", None),
            ("://c", None),
            ("http://ann@/", None),
            ("", None),
        ];
        for (target, expected) in cases {
            let mut record = Record::default();
            put_target(&mut record, Some(Cow::Borrowed(target.as_bytes())));
            let have = record.scheme.as_deref().zip(record.host.as_deref());
            let expected = expected.map(|(s, h): (&str, &str)| (s.as_bytes(), h.as_bytes()));
            assert_eq!(have, expected, "{target}");
        }
    }

    #[test]
    fn the_better_source_of_a_part_wins_whatever_comes_first() {
        let value = |text: &'static str| Cow::Borrowed(text.as_bytes());
        for turned in [false, true] {
            let mut puts = [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "a.name")];
            if turned {
                puts.reverse();
            }
            let mut draft = Draft::default();
            for (rank, text) in puts {
                draft.put(&Slot::Part(Part::Client), rank, value(text), Escape::None);
            }
            assert_eq!(draft.finish().client, Some("192.0.2.2".parse().unwrap()));
        }
        let mut draft = Draft::default();
        for text in ["2026-11-23T17:10:33Z", "1795453833.537", "2026-11-23T17:10:34Z"] {
            draft.put(&Slot::Part(Part::Time), 1, value(text), Escape::None);
        }
        let record = draft.finish();
        assert_eq!(
            (record.time.map(|t| t.0), record.time_digits),
            (Some(1_795_453_833_537_000), 3)
        );
    }
}
