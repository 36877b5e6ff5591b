//! Credentials in URLs: query and path parameters, path segments, userinfo; in the request's target and in the
//! Referer.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;
use smol_str::SmolStr;
use zeroize::Zeroizing;

use super::names::{Name, promise};
use super::{Form, Need, Search, Seen, carrier_name, masked, percent};
use crate::engine::secret::Bytes;
use crate::engine::shape;
use crate::engine::usage::Carrier;

/// The longest URL inside a parameter, in bytes, that is searched.
const MAX_NESTED: usize = 8 * 1024;

/// The most parameters of one URL that are searched.
const MAX_PARAMETERS: usize = 256;

/// Schemes of addresses with a name before the `@` and no password.
const MAIL_SCHEMES: [&[u8]; 5] = [b"mailto", b"sip", b"sips", b"xmpp", b"acct"];

/// Where the URL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The request's.
    Target,
    /// In a parameter of the request's URL.
    Nested,
    /// The previous page's.
    Referer,
    /// In a parameter of the previous page's URL.
    NestedReferer,
    /// In a word of the user agent.
    Agent,
    /// In a parameter there.
    NestedAgent,
}

/// Used for each Referer, so the searcher is built once.
static SCHEME_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"://"));

const AGENT: Carrier = Carrier::Header(SmolStr::new_static("user-agent"));

impl Place {
    /// Returns the place one level down; `None` at the lowest level.
    const fn nested(self) -> Option<Self> {
        match self {
            Self::Target => Some(Self::Nested),
            Self::Referer => Some(Self::NestedReferer),
            Self::Agent => Some(Self::NestedAgent),
            Self::Nested | Self::NestedReferer | Self::NestedAgent => None,
        }
    }

    pub(super) fn query(self, name: &[u8]) -> Carrier {
        self.carrier(carrier_name(name), Carrier::Query)
    }

    fn path(self, name: &[u8]) -> Carrier {
        self.carrier(carrier_name(name), Carrier::Path)
    }

    fn userinfo(self) -> Carrier {
        self.carrier(SmolStr::new_static("userinfo"), |_| Carrier::Userinfo)
    }

    /// Returns the carrier of a part with this name, which is that of `target` in the request's own URL.
    fn carrier(self, name: SmolStr, target: fn(SmolStr) -> Carrier) -> Carrier {
        match self {
            Self::Agent | Self::NestedAgent => AGENT,
            Self::Referer | Self::NestedReferer => Carrier::Referer(name),
            Self::Target | Self::Nested => target(name),
        }
    }
}

impl<'a> Search<'_, 'a> {
    /// Searches a URL, or a path with its query.
    pub(super) fn url(&mut self, url: &'a [u8], place: Place) {
        let (before, query) = split_once(url, b'?');
        let path = if before.starts_with(b"/") { before } else { self.authority(before, place) };
        let (path, fragment) = split_once(path, b'#');
        self.path(path, place);
        for query in fragment.into_iter().chain(query) {
            self.query(query, place);
        }
    }

    /// Searches `scheme://user:password@host` and returns the path after it.
    fn authority(&mut self, url: &'a [u8], place: Place) -> &'a [u8] {
        let Some(at) = SCHEME_END.find(url) else {
            if place == Place::Target {
                self.bare_authority(url);
            }
            return url;
        };
        let rest = url.get(at + 3..).unwrap_or_default();
        let end = memchr::memchr2(b'/', b'#', rest).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
        if let Some(at) = memchr::memrchr(b'@', authority) {
            self.userinfo(authority.get(..at).unwrap_or_default(), place);
        }
        path
    }

    /// Searches `user:password@host:443`, the target of CONNECT. `mailto:ann@host` has a name before the colon too.
    fn bare_authority(&mut self, url: &'a [u8]) {
        let end = memchr::memchr2(b'/', b'#', url).unwrap_or(url.len());
        let authority = url.get(..end).unwrap_or_default();
        let Some(at) = memchr::memrchr(b'@', authority) else { return };
        let (userinfo, host) = authority.split_at_checked(at).unwrap_or_default();
        let is_host = |b: &u8| b.is_ascii_alphanumeric() || b"@.-_:[]".contains(b);
        let (user, password) = split_once(userinfo, b':');
        let is_mail = MAIL_SCHEMES.iter().any(|scheme| user.eq_ignore_ascii_case(scheme));
        if password.is_some() && !is_mail && host.iter().all(is_host) {
            self.userinfo(userinfo, Place::Target);
        }
    }

    /// Adds `user:password`, which a client sends as basic authentication, with the id that it has there.
    fn userinfo(&mut self, userinfo: &'a [u8], place: Place) {
        match basic(userinfo) {
            Some(pair) => self.push(place.userinfo(), Seen::Secret(pair.into(), Form::BASIC)),
            None => {
                let (user, _) = split_once(userinfo, b':');
                self.add(|| place.userinfo(), percent::decode(user), Need::Shape);
            }
        }
    }

    fn path(&mut self, path: &'a [u8], place: Place) {
        let has_parameters = memchr::memchr(b';', path).is_some();
        if path.len() < shape::SHORTEST && !has_parameters {
            return;
        }
        let mut rest = path;
        loop {
            let (segment, after) = split_segment(rest);
            if shape::SHORTEST <= segment.len() || has_parameters {
                self.segment(segment, place);
            }
            let Some(after) = after else { return };
            match segment {
                b"services" => self.slack(after, place),
                b"webhooks" => self.discord(after, place),
                _ => {}
            }
            rest = after;
        }
    }

    fn segment(&mut self, segment: &'a [u8], place: Place) {
        let (segment, mut parameters) = split_once(segment, b';');
        if shape::SHORTEST <= segment.len() {
            let segment =
                segment.strip_prefix(b"bot").filter(|id| is_telegram(id)).unwrap_or(segment);
            self.add(|| place.path(b"segment"), percent::decode(segment), Need::Shape);
        }
        while let Some(rest) = parameters {
            let (parameter, after) = split_once(rest, b';');
            match split_once(parameter, b'=') {
                (name, Some(value)) => {
                    let name = percent::decode(name);
                    let need = self.need(&name, promise(&name));
                    self.add(|| place.path(&name), plain(value, need), need);
                }
                (bare, None) => {
                    self.add(|| place.path(b"segment"), percent::decode(bare), Need::Shape);
                }
            }
            parameters = after;
        }
    }

    /// Searches `/services/T.../B.../SECRET`: an incoming webhook of Slack.
    fn slack(&mut self, rest: &'a [u8], place: Place) {
        let mut segments = rest.split(|b| *b == b'/');
        let is_id = |segment: Option<&[u8]>, first: u8| {
            segment.is_some_and(|s| 9 <= s.len() && s.len() <= 14 && s.starts_with(&[first]))
        };
        if is_id(segments.next(), b'T') && is_id(segments.next(), b'B') {
            let secret = segments.next().unwrap_or_default();
            self.webhook(secret, "slack-webhook", 20, place);
        }
    }

    /// Searches `/webhooks/NUMBER/SECRET`: a webhook of Discord.
    fn discord(&mut self, rest: &'a [u8], place: Place) {
        let mut segments = rest.split(|b| *b == b'/');
        let number = segments.next().unwrap_or_default();
        if 17 <= number.len() && number.iter().all(u8::is_ascii_digit) {
            let secret = segments.next().unwrap_or_default();
            self.webhook(secret, "discord-webhook", 60, place);
        }
    }

    fn webhook(&mut self, secret: &'a [u8], kind: &'static str, shortest: usize, place: Place) {
        let is_plain = secret.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if shortest <= secret.len() && is_plain && !masked::is_masked(secret) {
            let form = Form { kind, ..Form::OPAQUE };
            self.push(place.path(kind.as_bytes()), Seen::Secret(Bytes::Line(secret).into(), form));
        }
    }

    pub(super) fn query(&mut self, query: &'a [u8], place: Place) {
        let parameters = query.split(|b| matches!(b, b'&' | b'#' | b';'));
        for parameter in parameters.take(MAX_PARAMETERS) {
            match split_once(parameter, b'=') {
                (name, Some(value)) if super::SHORTEST <= value.len() => {
                    self.parameter(name, value, place);
                }
                (_, Some(_)) => {}
                (bare, None) => match self.split_encoded(bare) {
                    Some((name, value)) => self.parameter(name, value, place),
                    None => {
                        self.add(|| place.query(b""), percent::decode(bare), Need::Shape);
                    }
                },
            }
        }
    }

    /// Splits `access_token%3DT` if the name implies something.
    fn split_encoded(&self, parameter: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let is_sign = |at: &usize| {
            parameter.get(*at..*at + 3).is_some_and(|code| code.eq_ignore_ascii_case(b"%3D"))
        };
        let at = memchr::memchr_iter(b'%', parameter).find(is_sign)?;
        let (name, value) = parameter.split_at_checked(at)?;
        let decoded = percent::decode(name);
        let is_known = promise(&decoded) != Name::Unknown || self.finder.is_query(&decoded);
        is_known.then_some((name, value.get(3..)?))
    }

    fn parameter(&mut self, name: &'a [u8], value: &'a [u8], place: Place) {
        let name = percent::decode(name);
        let promised = promise(&name);
        if promised == Name::AwsCredential {
            self.aws(place.query(&name), percent::decode(uncluttered(value)));
            return;
        }
        let need = self.need(&name, promised);
        let is_named = matches!(need, Need::Any | Need::Password | Need::Named);
        if !is_named && need != Need::Likely && value.len() < shape::SHORTEST {
            return;
        }
        let before = self.out.len();
        let own = plain(value, need);
        if !is_named && is_nested(&own) {
            self.nested(own, place);
        } else {
            self.add(|| place.query(&name), own, need);
        }
        // `token=Bearer%20T`: behind what ends a token there may be one that its shape proves.
        if need != Need::Shape && need != Need::Vendor && self.out.len() == before {
            self.add(|| place.query(&name), percent::decode(value), Need::Shape);
        }
    }

    /// Searches a URL in a parameter, such as `next=https%3A%2F%2Fexample.org%2F%3Fapi_key%3D...`: one level down.
    fn nested(&mut self, url: Bytes<'a>, place: Place) {
        let Some(place) = place.nested().filter(|_| url.len() <= MAX_NESTED) else { return };
        match url {
            Bytes::Line(url) => self.url(url, place),
            Bytes::Own(url) => {
                let mut found = Vec::new();
                Search { finder: self.finder, out: &mut found, room: super::MAX_SIGHTINGS }
                    .url(&url, place);
                for sighting in found {
                    let sighting = sighting.into_owned();
                    self.push(sighting.carrier, sighting.seen);
                }
            }
        }
    }

    /// Returns what a parameter's value must be, by the parameter's name.
    fn need(&self, name: &[u8], promised: Name) -> Need {
        if self.finder.is_query(name) { Need::Any } else { Need::of(promised) }
    }
}

/// Returns the `user:password` of a URL as basic authentication encodes it; `None` if there is no password, or only a
/// mask of it.
pub(super) fn basic(userinfo: &[u8]) -> Option<Bytes<'static>> {
    let (_, password) = split_once(userinfo, b':');
    if masked::is_masked(&percent::decode(password.unwrap_or_default())) {
        return None;
    }
    let decoded = percent::decode(userinfo);
    let mut encoded = Zeroizing::new(vec![0; decoded.len().div_ceil(3) * 4]);
    STANDARD.encode_slice(&*decoded, &mut encoded).ok()?;
    Some(Bytes::Own(encoded))
}

/// Returns whether a value is a whole URL, or a path with a query.
fn is_nested(value: &[u8]) -> bool {
    SCHEME_END.find(value).is_some()
        || (value.starts_with(b"/") && memchr::memchr(b'?', value).is_some())
}

/// Returns whether a byte ends a value even without `&`: no token contains white space, quotes or `<` and `>`.
const fn is_clutter(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>')
}

/// Returns a value without leading quotes and without the text after it: `T` for `T foo` and for `"T"`.
pub(super) fn uncluttered(value: &[u8]) -> &[u8] {
    let quotes = value.iter().take_while(|b| matches!(b, b'"' | b'\'')).count();
    let value = value.get(quotes..).unwrap_or_default();
    let end = value.iter().position(|b| is_clutter(*b)).unwrap_or(value.len());
    value.get(..end).unwrap_or_default()
}

/// Decodes a value. A password may contain anything that was encoded; a token ends there as well. One that only its
/// shape can prove is searched for in the whole value.
fn plain(value: &[u8], need: Need) -> Bytes<'_> {
    if need == Need::Shape {
        return percent::decode(value);
    }
    let value = uncluttered(value);
    let is_whole = matches!(need, Need::Any | Need::Password | Need::Vendor);
    match percent::decode(value) {
        Bytes::Own(mut own) if !is_whole => {
            let length = uncluttered(&own).len();
            let quotes = own.iter().take_while(|b| matches!(b, b'"' | b'\'')).count();
            own.drain(..quotes);
            own.truncate(length);
            Bytes::Own(own)
        }
        decoded => decoded,
    }
}

fn is_telegram(id: &[u8]) -> bool {
    id.first().is_some_and(u8::is_ascii_digit)
}

/// Splits at the first slash. Segments are short, so checking each byte is faster than starting a vector search.
fn split_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}

/// Splits at the first separator.
pub(super) fn split_once(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(separator, text) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}
