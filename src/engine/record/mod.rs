//! Records: the contents of one line, borrowed from it. A line that does not match is a [`Reject`], never an error.
//!
//! There is one file per family of formats and one preset per format ([`Format::presets`]). Parsing is stateless
//! and visits each byte a bounded number of times.

mod apache_error;
mod client;
mod columns;
mod combined;
mod directive;
mod draft;
mod duration;
mod elb;
mod envoy;
mod escape;
mod family;
mod format;
mod further;
mod guess;
mod haproxy;
mod haproxy_own;
#[cfg(test)]
mod hostile;
mod json;
mod keys;
mod lighttpd_error;
mod logfmt;
mod morgan;
mod names;
mod nginx_error;
mod npm;
mod open;
mod own_keys;
mod request;
mod s3;
#[cfg(test)]
mod sample;
mod scan;
mod squid;
mod strftime;
mod syntax;
mod syslog;
mod template;
mod template_fault;
mod template_step;
pub mod time;
mod upstreams;
mod utf16;
mod uvicorn;
mod uwsgi;
mod variables;
mod w3c;
mod zoraxy;

use std::borrow::Cow;
use std::net::IpAddr;

pub use client::{
    address_and_port, client_behind, client_beyond_private, is_private, parse_address,
};
pub use columns::Columns;
pub use format::{Format, is_error_log};
pub use guess::{Guess, guess};
#[cfg(test)]
pub(crate) use names::SCHEMES;
pub(crate) use names::{AUTHORIZATIONS, is_same};
pub use template_fault::TemplateFault;

use crate::engine::time::Timestamp;

/// Bytes of a field, unescaped: borrowed unless the log escaped something in it.
pub type Text<'a> = Cow<'a, [u8]>;

/// The contents of one line. Absent values (`-`, an empty JSON string) are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// When the request was made (or answered), according to the log.
    pub time: Option<Timestamp>,
    /// Digits of the fraction of a second that the log has: 0, 3 or 6 (further digits are cut off).
    pub time_digits: u8,
    /// The log names no zone: `time` is read as UTC until the zone is known.
    pub is_local: bool,
    /// When the line was written, if an envelope knows it with its zone.
    pub written: Option<Timestamp>,
    /// How long before `time` the request began, in milliseconds; 0 if `time` is its beginning, or nothing says it.
    pub took_millis: u32,
    /// The peer that the server saw or, if that is a trusted proxy, the client behind it.
    pub client: Option<IpAddr>,
    /// No answer was sent, or it is an error log, which does not say which: neither accepted nor refused.
    pub is_unanswered: bool,
    /// The log names no peer: `client` is the last hop of `X-Forwarded-For`.
    pub is_forwarded: bool,
    /// What was sent is no request, such as a TLS handshake: `target` is all of it, as the log wrote it.
    pub is_malformed: bool,
    /// HTTP method.
    pub method: Option<Text<'a>>,
    /// The request target as sent: path and query, or a whole URL.
    pub target: Option<Text<'a>>,
    /// HTTP version without the name: `1.1`, `2.0`.
    pub version: Option<Text<'a>>,
    /// Status code of the answer to the client; `None` too if there was none: `0`, `000`, `-1`.
    pub status: Option<u16>,
    /// Bytes sent to the client: the body's size, where the log separates it from the headers'.
    pub bytes: Option<u64>,
    /// The Referer header.
    pub referer: Option<Text<'a>>,
    /// The User-Agent header.
    pub agent: Option<Text<'a>>,
    /// The authenticated user's name.
    pub user: Option<Text<'a>>,
    /// The Host header or virtual host, with its port if the log has it.
    pub host: Option<Text<'a>>,
    /// `http` or `https`.
    pub scheme: Option<Text<'a>>,
    /// The TLS version as logged, for example `TLSv1.3`.
    pub tls: Option<Text<'a>>,
    /// All other fields that may contain a credential.
    pub fields: Vec<(FieldName<'a>, Text<'a>)>,
    /// The line ends before its template does, here: tokens may be missing.
    pub lack: Option<Box<Reject>>,
}

impl Record<'_> {
    const fn set_time(&mut self, time: time::Time) {
        self.time = Some(time.at);
        self.time_digits = time.digits;
        self.is_local = time.is_local;
    }

    /// Returns the value of `X-Forwarded-For`, else of `Forwarded`, for [`client_behind`].
    #[must_use]
    pub fn forwarded(&self) -> Option<&[u8]> {
        let of = |wanted: &str| {
            self.fields.iter().find_map(|(name, text)| match name {
                FieldName::Header(header) if header == wanted => Some(&text[..]),
                _ => None,
            })
        };
        of("x-forwarded-for").or_else(|| of("forwarded"))
    }

    /// Takes the last hop of `X-Forwarded-For` for the client, in a log that names no peer.
    fn take_last_hop(&mut self) {
        self.client = self.forwarded().and_then(client::last_hop);
        self.is_forwarded = self.client.is_some();
    }

    /// Returns whether the record has a place where a token could be: a URL, a header, a cookie, an id.
    fn may_hold_token(&self) -> bool {
        let is_named = |(name, _): &(FieldName<'_>, Text<'_>)| {
            !matches!(name, FieldName::Other(_) | FieldName::OfServer | FieldName::Unnamed)
        };
        self.target.is_some() || self.fields.iter().any(is_named)
    }

    /// Returns the record as an owned copy that no longer borrows the line.
    #[must_use]
    pub fn into_owned(self) -> Record<'static> {
        fn text(text: Option<Text<'_>>) -> Option<Text<'static>> {
            text.map(|t| Cow::Owned(t.into_owned()))
        }
        let field =
            |(name, text): (FieldName<'_>, Text<'_>)| -> (FieldName<'static>, Text<'static>) {
                (name.into_owned(), Cow::Owned(text.into_owned()))
            };
        Record {
            time: self.time,
            time_digits: self.time_digits,
            is_local: self.is_local,
            written: self.written,
            took_millis: self.took_millis,
            client: self.client,
            is_unanswered: self.is_unanswered,
            is_forwarded: self.is_forwarded,
            is_malformed: self.is_malformed,
            method: text(self.method),
            target: text(self.target),
            version: text(self.version),
            status: self.status,
            bytes: self.bytes,
            referer: text(self.referer),
            agent: text(self.agent),
            user: text(self.user),
            host: text(self.host),
            scheme: text(self.scheme),
            tls: text(self.tls),
            fields: self.fields.into_iter().map(field).collect(),
            lack: self.lack,
        }
    }
}

/// The meaning of a further field, as far as the format defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName<'a> {
    /// A request header, its name in lower case with `-`: `authorization`, `x-api-key`, `cookie`.
    Header(Cow<'a, str>),
    /// One cookie's value, by the cookie's name.
    Cookie(Cow<'a, str>),
    /// A field that the site configured as an id of the token: `jti`, `tw_id`, `kid`.
    Id(Cow<'a, str>),
    /// A field with a name of the site's own, whose meaning only the site knows: `ref=...`.
    Other(Cow<'a, str>),
    /// A field without a name that the server wrote on its own, not for a client: it may be a token's id.
    OfServer,
    /// A field whose meaning the format does not define. A client may have sent it.
    Unnamed,
}

impl FieldName<'_> {
    fn into_owned(self) -> FieldName<'static> {
        match self {
            Self::Header(name) => FieldName::Header(Cow::Owned(name.into_owned())),
            Self::Cookie(name) => FieldName::Cookie(Cow::Owned(name.into_owned())),
            Self::Id(name) => FieldName::Id(Cow::Owned(name.into_owned())),
            Self::Other(name) => FieldName::Other(Cow::Owned(name.into_owned())),
            Self::OfServer => FieldName::OfServer,
            Self::Unnamed => FieldName::Unnamed,
        }
    }
}

/// Why and where a line could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Byte position in the line, counted from 1.
    pub column: usize,
    /// What the format expected there: `'[' before the time`.
    pub expected: Cow<'static, str>,
    /// What was found there: `'x'`, `the end of the line`.
    pub found: Cow<'static, str>,
    /// For a template: the character in it, counted from 1, up to which the line matches.
    pub template: Option<usize>,
    author: Author,
}

/// Who wrote what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    /// Nobody can know: the line may be of another format.
    Anybody,
    /// A client, who wrote what looks like the server's: no other format may accept the line.
    Client,
    /// The server, for itself: it is no line of a request.
    Server,
}

impl Reject {
    /// Creates a reject for a mismatch at a column.
    pub(crate) fn new(
        column: usize,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (expected, found) = (expected.into(), found.into());
        Self { column, expected, found, template: None, author: Author::Anybody }
    }

    /// Returns whether the line is a message of the server's own, in a log that is otherwise of requests: it makes no
    /// request and is no fault.
    #[must_use]
    pub const fn is_of_server(&self) -> bool {
        matches!(self.author, Author::Server)
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

#[cfg(test)]
mod combined_tests;
#[cfg(test)]
mod tests;
