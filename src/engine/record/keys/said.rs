//! The values of one line's keys so far: a draft, and what can be resolved only after all keys.
//!
//! ```text
//! "date":"2026-03-05","time":"10:20:30"        a day and a time of day, joined
//! "client_ip":"198.51.100.7, 203.0.113.9"      a list of hops: the last is the client, unless a key has the peer
//! "UA":"a%2F1","referer":"https%3A%2F%2Fb"     Akamai: the key of the user agent implies the referer's escape
//! ```

use std::borrow::Cow;
use std::net::IpAddr;

use crate::engine::record::draft::{Draft, Part, Slot};
use crate::engine::record::escape::Escape;
use crate::engine::record::keys::{Form, Meaning, Scope};
use crate::engine::record::{FieldName, Record, Text, parse_address, scan, time};

/// A line being parsed into a record.
#[derive(Debug, Default)]
pub(in crate::engine::record) struct Said<'a> {
    pub(in crate::engine::record) draft: Draft<'a>,
    /// The list under a client key, and its last hop.
    hops: Option<(IpAddr, Text<'a>)>,
    /// A key names the peer, or something in its place.
    has_peer: bool,
    /// A key of the line itself gave the target, not one in an application's object.
    has_target: bool,
    /// A key of the line itself is that of a request, but has no value: the server could not parse what was sent.
    has_empty_request: bool,
    /// A value under a key for the time is none.
    pub(in crate::engine::record) has_unread_time: bool,
    /// A key names the time at which the request began.
    pub(in crate::engine::record) has_beginning: bool,
    /// There is an object for the request.
    has_request_object: bool,
    /// The duration counts only beside one.
    pub(in crate::engine::record) needs_request_object: bool,
    day: Option<Text<'a>>,
    clock: Option<Text<'a>>,
    /// The line's Referer is percent-encoded.
    is_encoded: bool,
}

impl<'a> Said<'a> {
    /// Stores a text as its key requires. One that does not fit its key is ignored; the line may contain the value
    /// elsewhere.
    pub(in crate::engine::record) fn put(&mut self, meaning: &Meaning, text: Text<'a>) {
        let Some((slot, rank)) = &meaning.slot else { return };
        let Some(text) = self.formed(meaning.form, text) else { return };
        if scan::present(&text).is_none() {
            self.absent(meaning);
        }
        self.has_target |= *rank > 0 && matches!(slot, Slot::Part(Part::Target | Part::Request));
        self.has_peer |= matches!(slot, Slot::Part(Part::Client));
        match slot {
            Slot::Part(Part::Client) if let Some(last) = last_hop(&text) => {
                self.hops.get_or_insert((last, text));
            }
            Slot::Part(Part::Tls) if text.eq_ignore_ascii_case(b"none") => self.scheme(b"http"),
            Slot::Part(Part::Time) => self.time(*rank, text),
            slot => {
                self.draft.put(slot, *rank, text, Escape::None);
            }
        }
    }

    /// Notes a key without a value: `null`, `""` or `-`.
    pub(in crate::engine::record) fn absent(&mut self, meaning: &Meaning) {
        let Some((Slot::Part(part), rank)) = &meaning.slot else { return };
        let is_of_request = matches!(part, Part::Request | Part::Method | Part::Target);
        self.has_empty_request |= *rank > 0 && is_of_request;
    }

    /// Notes an object under a key, whose presence alone can have a meaning.
    pub(in crate::engine::record) fn opened(&mut self, meaning: &Meaning) {
        if meaning.form == Form::Secured {
            self.scheme(b"https");
        }
        self.has_request_object |= meaning.scope == Some(Scope::Request);
    }

    /// Returns whether anything of a request is known. A path alone in an application's object may be a file's,
    /// with the request in the message next to it. Of a request that was refused as malformed, servers know only
    /// what they answered, and whom.
    pub(in crate::engine::record) const fn has_request(&self) -> bool {
        let draft = &self.draft;
        let is_refused = self.has_empty_request && (draft.has_status() || draft.has_client());
        is_refused
            || draft.has_request() && (self.has_target || draft.has_method() || draft.has_status())
    }

    /// Decodes a key's value by its form; `None` if the value does not have that form.
    fn formed(&mut self, form: Form, text: Text<'a>) -> Option<Text<'a>> {
        match form {
            Form::Plain | Form::Secured => Some(text),
            Form::Beginning => {
                self.has_beginning = true;
                Some(text)
            }
            Form::BesideRequest => {
                self.needs_request_object = true;
                Some(text)
            }
            Form::Target => is_target(&text).then_some(text),
            Form::Whole => {
                if text.starts_with(b"https://") {
                    self.scheme(b"https");
                }
                Some(text)
            }
            Form::Switch => match &*text {
                b"on" => Some(Cow::Borrowed(b"https")),
                b"off" => Some(Cow::Borrowed(b"http")),
                _ => None,
            },
            Form::Percent => Some(decoded(text)),
            Form::Akamai => {
                self.is_encoded = true;
                Some(decoded(text))
            }
        }
    }

    /// Stores a scheme that is only implied: an explicit one ranks higher.
    fn scheme(&mut self, scheme: &'static [u8]) {
        self.draft.put(&Slot::Part(Part::Scheme), 0, Cow::Borrowed(scheme), Escape::None);
    }

    /// Stores a time, or a day or a time of day until the other one is known.
    fn time(&mut self, rank: u8, text: Text<'a>) {
        if let Some(time) = time::read(&text) {
            self.draft.time(rank, time);
            return;
        }
        self.has_unread_time |= scan::present(&text).is_some();
        if is_day(&text) {
            self.day.get_or_insert(text);
        } else if text.get(2) == Some(&b':') {
            self.clock.get_or_insert(text);
        }
    }

    /// Joins a separate day and time of day.
    pub(in crate::engine::record) fn join_time(&mut self) {
        /// The rank of the keys `date` and `time`.
        const RANK: u8 = 3;
        if let (Some(day), Some(clock)) = (self.day.take(), self.clock.take())
            && let Some(time) = time::of_day(&day, &clock)
        {
            self.draft.time(RANK, time);
        }
    }

    /// Completes the record, in place: it is 400 bytes, and a draft more, which each call would move.
    pub(in crate::engine::record) fn finish(&mut self) -> Record<'a> {
        self.join_time();
        let record = self.draft.complete();
        if self.has_beginning || self.needs_request_object && !self.has_request_object {
            record.took_millis = 0;
        }
        if self.is_encoded {
            let is_encoded = |text: &Text<'_>| memchr::memmem::find(text, b"://").is_none();
            let referer = record.referer.take();
            record.referer = referer.map(|t| if is_encoded(&t) { decoded(t) } else { t });
        }
        if !self.has_peer {
            record.take_last_hop();
        }
        if let Some((last, list)) = self.hops.take() {
            if record.client.is_none() {
                record.client = Some(last);
                record.is_forwarded = true;
            }
            if record.forwarded().is_none() {
                // In front, so that it is kept if a line has more fields than the limit.
                let name = FieldName::Header(Cow::Borrowed("x-forwarded-for"));
                record.fields.insert(0, (name, list));
            }
        }
        std::mem::take(record)
    }
}

/// Returns the last of several hops; `None` if the text is no list or its last entry is no address.
fn last_hop(text: &[u8]) -> Option<IpAddr> {
    let (_, last) = text.split_at_checked(memchr::memrchr(b',', text)?)?;
    parse_address(last.get(1..)?)
}

/// Distinguishes a request's target from a logger's name: Rust's tracing writes `tower_http::trace` as `target`.
fn is_target(text: &[u8]) -> bool {
    text.starts_with(b"/") || memchr::memmem::find(text, b"://").is_some()
}

/// Returns whether a text is `2026-03-05`.
fn is_day(text: &[u8]) -> bool {
    matches!(text, [_, _, _, _, b'-', _, _, b'-', _, _])
}

fn decoded(text: Text<'_>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => scan::unescape_percent(text),
        Cow::Owned(text) => Cow::Owned(scan::unescape_percent(&text).into_owned()),
    }
}
