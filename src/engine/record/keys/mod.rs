//! The meaning of JSON and logfmt keys, by the kind of object that contains them. The keys themselves are in [`rows`].

mod rows;
mod said;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::names::{self, is_same};

pub(super) use said::Said;

/// What is expected if no key gives a time.
pub(super) const NO_TIME: &str = "a key for the time (time, ts, msec, @timestamp)";

/// What is expected if the value of such a key is no time.
pub(super) const TIMES: &str =
    "a time (2026-11-28T02:00:00Z, 28/Nov/2026:02:00:00 +0000, seconds since 1970)";

/// The kind of object that contains a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// The whole line, or an object that describes the request (`request`, `req`, `httpRequest`).
    Root,
    /// An object about the request alone: its sizes are not the response's. Keys that it does not define have the
    /// meaning of [`Scope::Root`].
    Request,
    /// An object in which applications put anything (`context`, `data`): like [`Scope::Root`], but any other source
    /// of a part ranks higher.
    Loose,
    /// Request headers by name.
    Headers,
    /// Cookies by name.
    Cookies,
    /// ECS and Datadog `http`: keys that it does not define have the meaning of [`Scope::Root`].
    Http,
    /// An object about the response: `response`, `res`, ECS `http.response`.
    Response,
    /// `http.response.body`.
    Body,
    /// `source`, `client`.
    Peer,
    /// `network`, `net`: the peers of a connection.
    Network,
    /// `url`.
    Url,
    /// `user_agent`.
    Agent,
    /// `user`.
    User,
    /// `tls`.
    Tls,
    /// A gateway's `consumer`.
    Consumer,
    /// A gateway's `authenticated_entity`, `credential`: what the consumer presented.
    Credential,
    /// Claims that a gateway's authorizer found in a token.
    Claims,
}

/// The meaning of a key: where a plain value is stored, the source's rank, and the kind of object under the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) slot: Option<(Slot, u8)>,
    pub(super) scope: Option<Scope>,
    pub(super) form: Form,
}

/// The form of a key's values, where the slot does not determine it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// Unchanged.
    #[default]
    Plain,
    /// A target, or some other name.
    Target,
    /// A URL whose scheme counts only if it is `https`.
    Whole,
    /// `on` or `off`: whether the connection had TLS.
    Switch,
    /// `%20` for a space.
    Percent,
    /// `%20` for a space, in the line's Referer too.
    Akamai,
    /// An object that is present only if the connection had TLS.
    Secured,
    /// The time at which a request began, not that of its answer.
    Beginning,
    /// A value that counts only beside an object for the request, as Caddy writes it.
    BesideRequest,
}

impl Meaning {
    /// The meaning of an unknown key.
    pub(super) const NOTHING: Self = Self { slot: None, scope: None, form: Form::Plain };

    const fn part(part: Part, rank: u8) -> Self {
        Self { slot: Some((Slot::Part(part), rank)), scope: None, form: Form::Plain }
    }

    const fn slot(slot: Slot) -> Self {
        Self { slot: Some((slot, 1)), scope: None, form: Form::Plain }
    }

    /// A key that the site configured as one of a token's id.
    pub(super) fn id(key: &[u8]) -> Self {
        Self::slot(Slot::Id(owned(key)))
    }

    const fn object(scope: Scope) -> Self {
        Self { slot: None, scope: Some(scope), form: Form::Plain }
    }

    /// Returns the same meaning with a form.
    const fn formed(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Returns the same meaning in a [`Scope::Loose`].
    fn loosened(&self) -> Self {
        let is_part = matches!(self.slot, Some((Slot::Part(_), _)));
        let slot = self.slot.clone().filter(|(slot, _)| !matches!(slot, Slot::Took(_)));
        let slot = slot.map(|(slot, rank)| (slot, if is_part { 0 } else { rank }));
        let scope = self.scope.map(|scope| match scope {
            Scope::Root | Scope::Request | Scope::Http => Scope::Loose,
            other => other,
        });
        Self { slot, scope, form: self.form }
    }

    /// Returns whether a list under the key is one of hops, in the order in which the request passed them.
    pub(super) fn is_hops(&self) -> bool {
        match &self.slot {
            Some((Slot::Part(Part::Client), _)) => true,
            Some((slot, _)) => slot.is_hops(),
            None => false,
        }
    }

    /// Returns whether the key is unknown.
    pub(super) const fn is_nothing(&self) -> bool {
        self.slot.is_none() && self.scope.is_none()
    }
}

type Known = HashMap<(Scope, &'static [u8]), &'static Meaning, FixedState>;

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known::default();
    for (scope, meaning, keys) in rows::ROWS {
        known.extend(keys.iter().map(|key| ((*scope, key.as_bytes()), meaning)));
    }
    let roots = rows::ROWS.iter().filter(|(scope, ..)| *scope == Scope::Root);
    for ((_, _, keys), meaning) in roots.zip(LOOSE.iter()) {
        known.extend(keys.iter().map(|key| ((Scope::Loose, key.as_bytes()), meaning)));
    }
    known
});

/// The rows of [`Scope::Root`], adapted to [`Scope::Loose`].
static LOOSE: LazyLock<Vec<Meaning>> = LazyLock::new(|| {
    let roots = rows::ROWS.iter().filter(|(scope, ..)| *scope == Scope::Root);
    roots.map(|(_, meaning, _)| meaning.loosened()).collect()
});

/// Returns the meaning of a key of our table in a kind of object.
#[inline]
pub(super) fn known(scope: Scope, key: &[u8]) -> Option<&'static Meaning> {
    // All our keys are shorter; hashing a longer one is unnecessary.
    const LONGEST: usize = 48;
    if key.len() > LONGEST {
        return None;
    }
    let known = KNOWN.get(&(scope, key)).copied();
    match scope {
        Scope::Http | Scope::Request if known.is_none() => KNOWN.get(&(Scope::Root, key)).copied(),
        _ => known,
    }
}

/// Returns where a claim of a token is stored, if it names the token's principal.
pub(super) fn claim(name: &str) -> Option<(Slot, u8)> {
    known(Scope::Claims, name.as_bytes())?.slot.clone()
}

/// Returns the meaning of a key outside our table from its kind: a header, a cookie, or either with a prefix.
pub(super) fn named(scope: Scope, key: &[u8]) -> Option<Meaning> {
    match scope {
        Scope::Headers => Some(header(key)),
        Scope::Cookies => Some(Meaning::slot(Slot::Cookie(owned(key)))),
        Scope::Root | Scope::Http | Scope::Request => by_prefix(key),
        Scope::Loose => by_prefix(key).map(|meaning| meaning.loosened()),
        _ => None,
    }
    .filter(|meaning| !meaning.is_nothing())
}

/// Resolves a dotted key like the nested objects: ECS is also written flat (`http.request.method`).
pub(super) fn followed(mut scope: Scope, mut key: &[u8]) -> Option<Meaning> {
    loop {
        let (first, rest) = key.split_at(memchr::memchr(b'.', key)?);
        scope = known(scope, first)?.scope?;
        key = rest.get(1..).unwrap_or_default();
        let known = known(scope, key).cloned();
        if let Some(meaning) = known.or_else(|| named(scope, key)) {
            return Some(meaning);
        }
    }
}

fn by_prefix(key: &[u8]) -> Option<Meaning> {
    match key {
        [b'h', b't', b't', b'p', b'_', name @ ..] => Some(header(name)),
        // Traefik's header names are capitalised, which distinguishes `request_Cookie` from nginx's `request_length`.
        [b'r', b'e', b'q', b'u', b'e', b's', b't', b'_', name @ ..] => {
            name.first().is_some_and(u8::is_ascii_uppercase).then(|| header(name))
        }
        [b'c', b'o', b'o', b'k', b'i', b'e', b'_' | b'.', name @ ..] => {
            Some(Meaning::slot(Slot::Cookie(owned(name))))
        }
        [b'a', b'r', b'g', b'_', name @ ..] => Some(Meaning::slot(Slot::Argument(owned(name)))),
        [b'j', b'w', b't', b'_', b'c', b'l', b'a', b'i', b'm', b'_', name @ ..] => {
            known(Scope::Claims, name).cloned()
        }
        // CloudFront uses W3C header names as keys, and writes a space in their values as %20.
        [b'c', b's', b'(', name @ .., b')'] => Some(header(name).formed(Form::Percent)),
        // GELF prefixes all additional fields with an underscore. (`_token` is Laravel's, against forged requests.)
        [b'_', name @ ..] => {
            let credential = || credential(name).filter(|_| name != b"token");
            known(Scope::Root, name).cloned().or_else(credential)
        }
        _ => credential(key),
    }
}

/// A key with a credential's own name, like the header of that name: `api_key`, `accessToken`. Not one of a header in
/// the answer, as nginx and Traefik name those: it was issued, not used.
fn credential(key: &[u8]) -> Option<Meaning> {
    const OF_ANSWERS: [&[u8]; 4] = [b"sent_http_", b"upstream_http_", b"origin_", b"downstream_"];
    let is_of_answer = || OF_ANSWERS.iter().any(|start| key.starts_with(start));
    let name = names::credential_key(key).filter(|_| !is_of_answer())?;
    Some(Meaning::slot(Slot::Header(name)))
}

fn owned(name: &[u8]) -> Cow<'static, str> {
    Cow::Owned(String::from_utf8_lossy(name).into_owned())
}

/// A header by its name; headers that are parts of a record are stored as those.
pub(super) fn header<N: AsRef<[u8]> + ?Sized>(name: &N) -> Meaning {
    let name = name.as_ref();
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => Meaning::part(Part::Host, 1),
        7 if name.eq_ignore_ascii_case(b"referer") => Meaning::part(Part::Referer, 1),
        10 if is_same(name, b"user-agent") => Meaning::part(Part::Agent, 1),
        _ => names::header(name)
            .map_or_else(Meaning::default, |name| Meaning::slot(Slot::Header(name))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn slot(key: &str) -> Option<Slot> {
        let known = known(Scope::Root, key.as_bytes()).cloned();
        known.or_else(|| named(Scope::Root, key.as_bytes()))?.slot.map(|(slot, _)| slot)
    }

    #[test]
    fn headers_are_known_under_every_prefix() {
        for key in ["http_x_api_key", "x_api_key", "request_X-Api-Key"] {
            assert_eq!(slot(key), Some(Slot::Header("x-api-key".into())), "{key}");
        }
        assert_eq!(slot("request_User-agent"), Some(Slot::Part(Part::Agent)));
        assert_eq!(slot("_remote_addr"), Some(Slot::Part(Part::Client)));
        for key in ["request_length", "http_accept", "level", "_", "_level"] {
            assert_eq!(slot(key), None, "{key}");
        }
    }

    #[test]
    fn every_key_stands_once_in_the_table_and_can_be_found() {
        let mut seen = BTreeSet::new();
        for (scope, meaning, keys) in rows::ROWS {
            for key in *keys {
                assert!(seen.insert((format!("{scope:?}"), *key)), "{scope:?} {key} stands twice");
                assert_eq!(known(*scope, key.as_bytes()), Some(meaning), "{scope:?} {key}");
            }
        }
    }
}
