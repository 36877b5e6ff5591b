//! A record under construction: values are stored by part, and the better source of a part wins.

use std::borrow::Cow;

use super::duration::{self, Whole};
use super::escape::{Escape, unescaped};
use super::request::{Request, slice};
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
            Part::Target => (record.target, record.is_malformed) = (Some(text), false),
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
        let has_target = request.target.is_some();
        for (part, place, text) in [
            (Part::Method, &mut record.method, request.method),
            (Part::Target, &mut record.target, request.target),
            (Part::Version, &mut record.version, request.version),
        ] {
            if text.is_some() && wins(&mut self.ranks, part, rank) {
                *place = text;
                record.is_malformed = request.is_malformed;
            }
        }
        // It has no part that could say so.
        if !has_target && record.target.is_none() {
            record.is_malformed |= request.is_malformed;
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

    /// Returns whether anything of a request is known, if only that it was none.
    pub(super) const fn has_request(&self) -> bool {
        let record = &self.record;
        record.target.is_some()
            || record.is_malformed
            || (record.method.is_some() && record.status.is_some())
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
        // With a method of its own, a key named `request` is about something else.
        record.is_malformed &= record.method.is_none();
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

fn is_scheme(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"http")
}

fn version_of<'a>(text: &Text<'a>) -> Text<'a> {
    let start = if text.starts_with(b"HTTP/") { 5 } else { 0 };
    slice(text, start, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

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
