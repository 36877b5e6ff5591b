//! What the keys of JSON and logfmt mean, by the kind of object they stand in. The keys themselves are [`rows`].

mod rows;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::names::{self, is_same};

/// The kind of object in which a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// The whole line, or an object that describes the request (`request`, `req`, `httpRequest`).
    Root,
    /// Request headers by name.
    Headers,
    /// Cookies by name.
    Cookies,
    /// ECS and Datadog `http`: what it does not know is as in [`Scope::Root`].
    Http,
    /// What describes the answer: `response`, `res`, ECS `http.response`.
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
    /// A gateway's `authenticated_entity`, `credential`: what the consumer showed.
    Credential,
    /// What a gateway's authorizer found in a token.
    Claims,
}

/// What a key means: where a plain value goes and how good a source it is, and what an object under it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) slot: Option<(Slot, u8)>,
    pub(super) scope: Option<Scope>,
}

impl Meaning {
    const fn part(part: Part, rank: u8) -> Self {
        Self { slot: Some((Slot::Part(part), rank)), scope: None }
    }

    const fn slot(slot: Slot) -> Self {
        Self { slot: Some((slot, 1)), scope: None }
    }

    const fn object(scope: Scope) -> Self {
        Self { slot: None, scope: Some(scope) }
    }

    /// Says whether the key means nothing to us.
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
    known
});

/// Returns what a key of our table means in an object of some kind.
#[inline]
pub(super) fn known(scope: Scope, key: &[u8]) -> Option<&'static Meaning> {
    // All our keys are shorter; a longer one need not be hashed.
    const LONGEST: usize = 48;
    if key.len() > LONGEST {
        return None;
    }
    let known = KNOWN.get(&(scope, key)).copied();
    match scope {
        Scope::Http if known.is_none() => KNOWN.get(&(Scope::Root, key)).copied(),
        _ => known,
    }
}

/// Returns what a key means by its kind, if it is none of our table: a header, a cookie, any of them under a
/// prefix.
pub(super) fn named(scope: Scope, key: &[u8]) -> Option<Meaning> {
    match scope {
        Scope::Headers => Some(header(key)),
        Scope::Cookies => Some(Meaning::slot(Slot::Cookie(owned(key)))),
        Scope::Root | Scope::Http => by_prefix(key),
        _ => None,
    }
    .filter(|meaning| !meaning.is_nothing())
}

/// Follows a key down as the nested objects would be: ECS is also written flat (`http.request.method`).
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
        // Traefik's header names are capitalised, which tells `request_Cookie` from nginx' `request_time`.
        [b'r', b'e', b'q', b'u', b'e', b's', b't', b'_', name @ ..] => {
            name.first().is_some_and(u8::is_ascii_uppercase).then(|| header(name))
        }
        [b'c', b'o', b'o', b'k', b'i', b'e', b'_' | b'.', name @ ..] => {
            Some(Meaning::slot(Slot::Cookie(owned(name))))
        }
        // GELF marks all but its own keys so.
        [b'_', name @ ..] => known(Scope::Root, name).cloned(),
        _ => None,
    }
}

fn owned(name: &[u8]) -> Cow<'static, str> {
    Cow::Owned(String::from_utf8_lossy(name).into_owned())
}

/// A header by its own name; those that are parts of a record go there.
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
        for key in ["request_time", "http_accept", "level", "_", "_level"] {
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
