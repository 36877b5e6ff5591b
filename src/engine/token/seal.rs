//! Seals sightings into usages, after which no secret is left.

use std::net::IpAddr;

use smol_str::SmolStr;
use zeroize::Zeroizing;

use super::redact::Redaction;
use super::request::{host_name, method, number, transport};
use super::{Form, Names, SHORTEST, Seen, Sighting, jwt};
use crate::engine::agent::agent;
use crate::engine::record::Record;
use crate::engine::route::{OTHER, path, route};
use crate::engine::secret::{SealKey, Secret, TokenId, mask};
use crate::engine::shape::{decode, is_secretive, is_token_shaped, most_bits};
use crate::engine::usage::{Agent, Carrier, Claims, Identity, NO_ANSWER, Object, Origin, Usage};

/// The longest path that counts as an object.
const MAX_PATH: usize = 512;

/// The limit of basic authentication user names in bytes; longer ones are cut.
const MAX_USER: usize = 64;

/// Shown for a secret of which nothing may be shown.
const HIDDEN: SmolStr = SmolStr::new_static("...");

/// Turns sightings into usages with the site's key.
#[derive(Clone, Debug)]
pub struct Sealer {
    key: SealKey,
    principal_claims: Vec<SmolStr>,
}

/// One token of a line, sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The token's id.
    pub id: TokenId,
    /// `github-pat`, `jwt`, `basic`, `opaque`; `sealed` and `reference` if the secret was not seen.
    pub kind: SmolStr,
    /// The part that may be shown.
    pub hint: SmolStr,
    /// Where it was; if in several places, the most exposed.
    pub carrier: Carrier,
    /// Its principal, if it names one.
    pub identity: Option<Identity>,
    /// What it states about itself.
    pub claims: Claims,
    /// The most bits that it can have, if they are few; see [`Usage`].
    pub most_bits: Option<u8>,
}

impl Sealer {
    /// Creates a sealer from the key and the claims that identify a principal.
    #[must_use]
    pub fn new(key: SealKey, names: &Names) -> Self {
        Self { key, principal_claims: names.principal_claims.clone() }
    }

    /// Appends one usage for each token of a record. `service` is the configured name; if it is empty, the record's
    /// host is used.
    ///
    /// A record without a time makes no usages: give it one first, if the previous line has one to lend.
    pub fn seal(
        &self,
        record: &Record<'_>,
        sightings: &[Sighting<'_>],
        origin: Origin,
        service: &str,
        out: &mut Vec<Usage>,
    ) {
        let (Some(time), false) = (record.time, sightings.is_empty()) else { return };
        let scrub = Scrub::new(sightings);
        let target = record.target.as_deref().unwrap_or_default();
        let user_agent = scrub.agent(agent(record.agent.as_deref().unwrap_or_default()));
        let route = scrub.text(route(target), &OTHER);
        let service = match service {
            "" => scrub.text(host_name(record), &SmolStr::new_static("other")),
            given => SmolStr::new(given),
        };
        let object = self.object(record.status, target, &scrub);
        for token in self.distinct(sightings, &scrub) {
            out.push(Usage {
                time,
                took_millis: record.took_millis,
                token: token.id,
                kind: token.kind,
                hint: token.hint,
                carrier: token.carrier,
                identity: token.identity,
                claims: token.claims,
                most_bits: token.most_bits,
                client: record.client.as_ref().map(IpAddr::to_canonical),
                is_forgeable: record.is_forwarded,
                agent: user_agent.clone(),
                method: method(record),
                route: route.clone(),
                status: if record.is_unanswered { Some(NO_ANSWER) } else { record.status },
                bytes: record.bytes.unwrap_or_default(),
                transport: transport(record),
                service: service.clone(),
                object,
                origin,
            });
        }
    }

    /// Returns the requested object if access to it was denied: a keyed hash. Returns nothing for a path that contains
    /// a secret of the line.
    fn object(&self, status: Option<u16>, target: &[u8], scrub: &Scrub<'_>) -> Option<Object> {
        if !matches!(status, Some(403 | 404)) {
            return None;
        }
        let path = path(target).filter(|path| path.len() <= MAX_PATH)?;
        if scrub.holds(std::str::from_utf8(path).ok()?) {
            return None;
        }
        let [a, b, c, d, ..] = self.key.seal_reference("object", &Secret::new(path)).0;
        Some(Object { hash: u32::from_le_bytes([a, b, c, d]), number: number(path) })
    }

    /// Returns the distinct tokens among a record's sightings, in order of first appearance.
    ///
    /// A reference (`jti`, key id) counts only if the token itself is not seen in use: next to a token, it refers to
    /// that token. Of several references the first counts.
    #[must_use]
    pub fn tokens(&self, sightings: &[Sighting<'_>]) -> Vec<Sealed> {
        self.distinct(sightings, &Scrub::new(sightings))
    }

    fn distinct(&self, sightings: &[Sighting<'_>], scrub: &Scrub<'_>) -> Vec<Sealed> {
        let is_reference = |s: &&Sighting<'_>| matches!(s.seen, Seen::Reference(..));
        let is_in_use = |s: &Sighting<'_>| {
            !matches!(s.seen, Seen::Reference(..)) && !matches!(s.carrier, Carrier::Referer(_))
        };
        let reference = sightings.iter().find(is_reference);
        let reference = reference.filter(|_| !sightings.iter().any(is_in_use));
        let mut tokens: Vec<Sealed> = Vec::with_capacity(sightings.len());
        for sighting in sightings.iter().filter(|s| !is_reference(s)).chain(reference) {
            let sealed = scrub.token(self.sealed(sighting));
            match tokens.iter_mut().find(|token| token.id == sealed.id) {
                Some(known) => known.join(sealed),
                None => tokens.push(sealed),
            }
        }
        tokens
    }

    /// Prepares the removal of a record's secrets from whatever is shown of it.
    #[must_use]
    pub fn redaction(&self, sightings: &[Sighting<'_>]) -> Redaction {
        let is_logged_as_id = |carrier: &Carrier| matches!(carrier, Carrier::Id(_));
        Redaction::new(sightings.iter().filter_map(|sighting| match &sighting.seen {
            Seen::Secret(secret, form) => Some((self.key.seal(secret), secret, *form)),
            // What looks like a logger's hash may still be a short secret.
            Seen::Reference(scheme, value) if !is_logged_as_id(&sighting.carrier) => {
                Some((self.key.seal_reference(scheme, value), value, Form::OPAQUE))
            }
            Seen::Reference(..) | Seen::Sealed(_) => None,
        }))
    }

    fn sealed(&self, sighting: &Sighting<'_>) -> Sealed {
        let carrier = sighting.carrier.clone();
        let (claims, most_bits) = (Claims::default(), None);
        match &sighting.seen {
            Seen::Sealed(id) => {
                let kind = SmolStr::new_static("sealed");
                Sealed { id: *id, kind, hint: HIDDEN, carrier, identity: None, claims, most_bits }
            }
            Seen::Reference(scheme, value) => {
                let id = self.key.seal_reference(scheme, value);
                let kind = SmolStr::new_static("reference");
                let hint = mask(value, 0);
                Sealed { id, kind, hint, carrier, identity: None, claims, most_bits }
            }
            Seen::Secret(secret, form) => {
                let said = self.said(secret, *form);
                Sealed {
                    id: self.key.seal(secret),
                    kind: SmolStr::new_static(form.kind),
                    hint: form.prefix.map_or(HIDDEN, |prefix| mask(secret, prefix)),
                    carrier,
                    identity: said.identity,
                    claims: Claims { is_malformed: form.is_malformed, ..said.claims },
                    most_bits: few_bits(secret, *form),
                }
            }
        }
    }

    /// Reads what a secret states about itself.
    fn said(&self, secret: &Secret<'_>, form: Form) -> jwt::Said {
        let of = |identity| jwt::Said { identity, claims: Claims::default() };
        match form.kind {
            kind if kind == Form::JWT.kind => {
                let said = jwt::read(secret.expose(), &self.principal_claims);
                let is_shown = |identity: &Identity| match identity {
                    Identity::Jwt { issuer, subject } => {
                        !is_token_shaped(issuer.as_bytes()) && !is_token_shaped(subject.as_bytes())
                    }
                    _ => true,
                };
                jwt::Said { identity: said.identity.filter(is_shown), ..said }
            }
            kind if kind == Form::BASIC.kind => of(basic_user(secret)),
            kind if kind == Form::AWS.kind => {
                let id = std::str::from_utf8(secret.expose()).ok();
                of(id.map(|id| Identity::Aws(SmolStr::new(id))))
            }
            _ => jwt::Said::default(),
        }
    }
}

impl Sealed {
    /// Merges a second sighting of the same token.
    fn join(&mut self, other: Self) {
        if exposure(&self.carrier) < exposure(&other.carrier) {
            self.carrier = other.carrier;
        }
        if self.kind == "sealed" {
            self.kind = other.kind;
            self.hint = other.hint;
            self.identity = other.identity;
            self.claims = other.claims;
            self.most_bits = other.most_bits;
        }
    }
}

/// Returns the most bits that a secret can have, if they are few. How vendors and JWTs are made is known, and a
/// password is chosen by a person.
fn few_bits(secret: &Secret<'_>, form: Form) -> Option<u8> {
    if form.kind == Form::OPAQUE.kind { most_bits(secret.expose()) } else { None }
}

/// Ranks carriers by how many others may have read the token there. A Referer ranks last, since the token is not in
/// use there.
const fn exposure(carrier: &Carrier) -> u8 {
    match carrier {
        Carrier::Query(_) => 7,
        Carrier::Path(_) => 6,
        Carrier::Userinfo => 5,
        Carrier::Header(_) => 4,
        Carrier::Cookie(_) => 3,
        Carrier::Field | Carrier::User => 2,
        Carrier::Id(_) => 1,
        Carrier::Referer(_) => 0,
    }
}

/// Returns the user, unless the user is the secret: many services accept a key in place of the user.
fn basic_user(secret: &Secret<'_>) -> Option<Identity> {
    let pair = decode(secret.expose())?;
    let mut parts = pair.splitn(2, |b| *b == b':');
    let (user, password) = (parts.next()?, parts.next()?);
    let is_email = user.contains(&b'@');
    if password.is_empty() || is_token_shaped(user) || (!is_email && is_secretive(user)) {
        return None;
    }
    let user = jwt::clean(std::str::from_utf8(user).ok()?, MAX_USER);
    (!user.is_empty()).then_some(Identity::Basic(user))
}

/// The secrets of one line, to ensure that nothing that is kept of it contains one: a password may also be in the
/// path.
struct Scrub<'s> {
    sightings: &'s [Sighting<'s>],
    passwords: Vec<Zeroizing<Vec<u8>>>,
    /// The length of the shortest of them: most texts that are kept are shorter than all tokens.
    shortest: usize,
}

impl<'s> Scrub<'s> {
    fn new(sightings: &'s [Sighting<'s>]) -> Self {
        let passwords: Vec<_> = sightings.iter().filter_map(password).collect();
        let length = |sighting: &Sighting<'_>| match &sighting.seen {
            Seen::Secret(value, _) | Seen::Reference(_, value) => Some(value.expose().len()),
            Seen::Sealed(_) => None,
        };
        let lengths = sightings.iter().filter_map(length);
        let shortest = lengths.chain(passwords.iter().map(|password| password.len())).min();
        Self { sightings, passwords, shortest: shortest.unwrap_or(usize::MAX) }
    }

    fn holds(&self, text: &str) -> bool {
        let is_here = |sighting: &Sighting<'_>| match &sighting.seen {
            Seen::Reference(_, value) => is_in(text, value.expose()),
            Seen::Secret(..) | Seen::Sealed(_) => false,
        };
        self.shortest <= text.len()
            && (self.holds_secret(text) || self.sightings.iter().any(is_here))
    }

    fn holds_secret(&self, text: &str) -> bool {
        let is_here = |sighting: &Sighting<'_>| match &sighting.seen {
            // The id of an AWS key is public; the key itself is never logged.
            Seen::Secret(secret, form) => {
                form.kind != Form::AWS.kind && is_in(text, secret.expose())
            }
            Seen::Reference(..) | Seen::Sealed(_) => false,
        };
        self.sightings.iter().any(is_here)
            || self.passwords.iter().any(|password| is_in(text, password))
    }

    fn text(&self, text: SmolStr, instead: &SmolStr) -> SmolStr {
        if self.holds(&text) { instead.clone() } else { text }
    }

    fn agent(&self, agent: Agent) -> Agent {
        let family = self.text(agent.family, &SmolStr::new_static("other"));
        Agent { family, version: self.text(agent.version, &SmolStr::default()) }
    }

    fn token(&self, mut token: Sealed) -> Sealed {
        // The id of an AWS key is public, unless it is a secret elsewhere in the line.
        let is_aws = matches!(token.identity, Some(Identity::Aws(_)));
        token.identity = token.identity.filter(|who| {
            let who = who.to_string();
            if is_aws { !self.holds_secret(&who) } else { !self.holds(&who) }
        });
        match &mut token.carrier {
            Carrier::Header(name)
            | Carrier::Cookie(name)
            | Carrier::Query(name)
            | Carrier::Path(name)
            | Carrier::Referer(name)
            | Carrier::Id(name) => {
                *name = self.text(name.clone(), &SmolStr::new_static("other"));
            }
            Carrier::Userinfo | Carrier::Field | Carrier::User => {}
        }
        token
    }
}

/// Returns the password in basic credentials.
fn password(sighting: &Sighting<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let Seen::Secret(secret, Form::BASIC) = &sighting.seen else { return None };
    let pair = decode(secret.expose())?;
    let password = pair.splitn(2, |b| *b == b':').nth(1)?;
    Some(Zeroizing::new(password.to_vec()))
}

/// Returns whether a text contains a secret, ignoring letter case. A secret shorter than any credential would be in
/// most texts, so it is ignored.
fn is_in(text: &str, secret: &[u8]) -> bool {
    SHORTEST <= secret.len()
        && text.as_bytes().windows(secret.len()).any(|w| w.eq_ignore_ascii_case(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_its_path_and_never_one_with_a_secret() {
        let sealer = Sealer::new(SealKey::new(b"key"), &Names::default());
        let secret = b"exk_5b1f0c92d7a8463e9c0fb7d1264e83a5".as_slice();
        let seen = Seen::Secret(Secret::new(secret), Form::OPAQUE);
        let sightings = [Sighting { seen, carrier: Carrier::Path("token".into()) }];
        let of = |status, target: &str| {
            sealer.object(Some(status), target.as_bytes(), &Scrub::new(&sightings))
        };
        let number = |target| of(404, target).map(|object| object.number);
        assert_eq!(number("/v1/orders/42?x=1"), Some(Some(42)));
        assert_eq!(number("/v1/users/7/mail"), Some(Some(7)));
        assert_eq!(number("/v1/orders"), Some(None));
        assert_eq!(of(403, "/v1/orders/42?x=2"), of(404, "https://example.org/v1/orders/42"));
        assert_ne!(of(404, "/v1/orders/42"), of(404, "/v1/orders/43"));
        assert_eq!(of(200, "/v1/orders/42"), None);
        assert_eq!(of(404, "/hook/exk_5b1f0c92d7a8463e9c0fb7d1264e83a5/42"), None);
        assert_eq!(of(404, &"/a".repeat(300)), None);
    }
}
