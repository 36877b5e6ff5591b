//! What the keys of JSON and logfmt mean, by the kind of object they stand in. The keys themselves are [`rows`].

mod rows;
mod said;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::names::{self, is_same};

pub(super) use said::Said;

/// What is asked for where no key gives a time.
pub(super) const NO_TIME: &str = "a key for the time (time, ts, msec, @timestamp)";

/// The kind of object in which a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// The whole line, or an object that describes the request (`request`, `req`, `httpRequest`).
    Root,
    /// An object of the request alone: its sizes are not the answer's. What it does not know is as in
    /// [`Scope::Root`].
    Request,
    /// An object in which applications put what they like (`context`, `data`): as [`Scope::Root`], but of a part
    /// any other source is better.
    Loose,
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
    pub(super) form: Form,
}

/// How the values of a key are written, where the slot does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    #[default]
    Plain,
    /// A target, or a name of something else.
    Target,
    /// A URL whose scheme counts if it is `https`.
    Whole,
    /// `on` or `off`: whether the connection had TLS.
    Switch,
    /// `%20` for a space.
    Percent,
    /// `%20` for a space, in the line's Referer too.
    Akamai,
    /// An object that stands only where the connection had TLS.
    Secured,
}

impl Meaning {
    /// What a key means that is none of ours.
    pub(super) const NOTHING: Self = Self { slot: None, scope: None, form: Form::Plain };

    const fn part(part: Part, rank: u8) -> Self {
        Self { slot: Some((Slot::Part(part), rank)), scope: None, form: Form::Plain }
    }

    const fn slot(slot: Slot) -> Self {
        Self { slot: Some((slot, 1)), scope: None, form: Form::Plain }
    }

    /// A key that the site named as one of a token's id.
    pub(super) fn id(key: &[u8]) -> Self {
        Self::slot(Slot::Id(owned(key)))
    }

    const fn object(scope: Scope) -> Self {
        Self { slot: None, scope: Some(scope), form: Form::Plain }
    }

    /// The same with a form.
    const fn formed(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The same in a [`Scope::Loose`].
    fn loosened(&self) -> Self {
        let is_part = matches!(self.slot, Some((Slot::Part(_), _)));
        let slot = self.slot.clone().map(|(slot, rank)| (slot, if is_part { 0 } else { rank }));
        let scope = self.scope.map(|scope| match scope {
            Scope::Root | Scope::Request | Scope::Http => Scope::Loose,
            other => other,
        });
        Self { slot, scope, form: self.form }
    }

    /// Says whether a list under the key is one of hops, in the order in which they were passed.
    pub(super) fn is_hops(&self) -> bool {
        match &self.slot {
            Some((Slot::Part(Part::Client), _)) => true,
            Some((Slot::Header(name), _)) => matches!(&**name, "x-forwarded-for" | "forwarded"),
            _ => false,
        }
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
    let roots = rows::ROWS.iter().filter(|(scope, ..)| *scope == Scope::Root);
    for ((_, _, keys), meaning) in roots.zip(LOOSE.iter()) {
        known.extend(keys.iter().map(|key| ((Scope::Loose, key.as_bytes()), meaning)));
    }
    known
});

/// The rows of [`Scope::Root`] as they are in [`Scope::Loose`].
static LOOSE: LazyLock<Vec<Meaning>> = LazyLock::new(|| {
    let roots = rows::ROWS.iter().filter(|(scope, ..)| *scope == Scope::Root);
    roots.map(|(_, meaning, _)| meaning.loosened()).collect()
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
        Scope::Http | Scope::Request if known.is_none() => KNOWN.get(&(Scope::Root, key)).copied(),
        _ => known,
    }
}

/// Returns where a claim of a token goes, if it tells whose token it is.
pub(super) fn claim(name: &str) -> Option<(Slot, u8)> {
    known(Scope::Claims, name.as_bytes())?.slot.clone()
}

/// Returns what a key means by its kind, if it is none of our table: a header, a cookie, any of them under a
/// prefix.
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
        [b'a', b'r', b'g', b'_', name @ ..] => Some(Meaning::slot(Slot::Argument(owned(name)))),
        [b'j', b'w', b't', b'_', b'c', b'l', b'a', b'i', b'm', b'_', name @ ..] => {
            known(Scope::Claims, name).cloned()
        }
        // CloudFront writes W3C's names of headers as keys, and spaces in their values as %20.
        [b'c', b's', b'(', name @ .., b')'] => Some(header(name).formed(Form::Percent)),
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
