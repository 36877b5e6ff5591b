//! Finds the credentials of a record ([`Finder`]) and seals them into usages ([`Sealer`]).
//!
//! ```text
//! Record --Finder::find--> [Sighting] --Sealer::seal--> [Usage]        once a line
//!                                     --Sealer::tokens, redaction-->   for `parse` and `explain`
//! ```
//!
//! A sighting still borrows the secret; a usage contains none. Masks such as `****` or `[REDACTED]` are no
//! credentials. A truncated value is one only if the site configured the field as an id, and then only a reference:
//! otherwise all tokens with the same beginning would count as one.

mod header;
mod jwt;
mod masked;
mod names;
mod percent;
mod redact;
mod replaced;
mod request;
mod seal;
mod text;
mod url;
mod words;

use smol_str::SmolStr;
use zeroize::Zeroizing;

use crate::engine::record::{FieldName, Record, is_same};
use crate::engine::secret::{Bytes, Secret, TokenId};
use crate::engine::shape::{self, Jwt, is_secretive};
use crate::engine::usage::Carrier;

pub use redact::Redaction;
pub use replaced::Replaced;
pub use seal::{Sealed, Sealer};
pub use text::{LONGEST_WORD, Searcher, Spot, is_of_word};

/// The most credentials taken from one line; hostile lines contain more.
pub const MAX_SIGHTINGS: usize = 16;

/// The shortest credential in a header; anything shorter cannot be distinguished from noise.
const SHORTEST: usize = 4;

/// The shortest value under an unmistakable name.
const SHORTEST_NAMED: usize = 8;

/// The shortest value under a likely name, which also needs [`LEAST_ENTROPY`].
const SHORTEST_LIKELY: usize = 16;

/// Bits per character, as in gitleaks' rule for generic keys.
const LEAST_ENTROPY: f64 = 3.5;

/// The longest id of a token.
const LONGEST_REFERENCE: usize = 256;

/// Names that a site adds to the built-in ones, and the claims that identify a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Query and path parameters; letter case, `-`, `_` and `.` are ignored.
    pub query: Vec<SmolStr>,
    /// Cookies; letter case is ignored. There are no built-in ones.
    pub cookies: Vec<SmolStr>,
    /// Request headers; letter case is ignored.
    pub headers: Vec<SmolStr>,
    /// Log fields, headers and cookies that contain a token's id and that no client can set; letter case is ignored,
    /// and `-` equals `_`.
    pub ids: Vec<SmolStr>,
    /// Claims of a JSON web token that identify the principal; `iss` and `sub` by default.
    pub principal_claims: Vec<SmolStr>,
}

impl Default for Names {
    fn default() -> Self {
        let principal_claims = vec![SmolStr::new_static("iss"), SmolStr::new_static("sub")];
        let none = Vec::new;
        Self { query: none(), cookies: none(), headers: none(), ids: none(), principal_claims }
    }
}

/// A credential seen in a record.
#[derive(Debug)]
pub struct Sighting<'a> {
    /// What was seen.
    pub seen: Seen<'a>,
    /// Where it was.
    pub carrier: Carrier,
}

/// The visible form of a credential.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The secret itself, and the properties of its shape.
    Secret(Secret<'a>, Form),
    /// Its id, computed by the proxy.
    Sealed(TokenId),
    /// A substitute for it: a `jti`, a gateway's key id, its first characters, a short hash.
    Reference(SmolStr, Secret<'a>),
}

/// The properties of a secret that follow from its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// `github-pat`, `jwt`, `basic`, `opaque`, ...
    pub kind: &'static str,
    /// The number of leading bytes that are the vendor's public prefix; `None` if nothing may be shown at all.
    pub prefix: Option<usize>,
    /// A checksum in the secret is wrong: it was never issued.
    pub is_malformed: bool,
}

impl Form {
    const OPAQUE: Self = Self { kind: "opaque", prefix: Some(0), is_malformed: false };
    const PASSWORD: Self = Self { kind: "password", prefix: None, is_malformed: false };
    const BASIC: Self = Self { kind: "basic", prefix: None, is_malformed: false };
    const JWT: Self = Self { kind: "jwt", prefix: Some(0), is_malformed: false };
    const JWE: Self = Self { kind: "jwe", prefix: Some(0), is_malformed: false };
    const AWS: Self = Self { kind: "aws-access-key", prefix: Some(4), is_malformed: false };
}

impl Sighting<'_> {
    fn into_owned(self) -> Sighting<'static> {
        let seen = match self.seen {
            Seen::Secret(secret, form) => Seen::Secret(secret.into_owned(), form),
            Seen::Sealed(id) => Seen::Sealed(id),
            Seen::Reference(scheme, value) => Seen::Reference(scheme, value.into_owned()),
        };
        Sighting { seen, carrier: self.carrier }
    }
}

/// Finds the credentials of records. Stateless; one instance serves all threads.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    query: Vec<Box<[u8]>>,
    cookies: Vec<SmolStr>,
    headers: Vec<SmolStr>,
    ids: Vec<SmolStr>,
}

impl Finder {
    /// Creates a finder with the site's names.
    #[must_use]
    pub fn new(names: &Names) -> Self {
        let fold = |name: &SmolStr| names::Folded::new(name.as_bytes());
        Self {
            query: names.query.iter().filter_map(fold).map(|name| name.as_bytes().into()).collect(),
            cookies: names.cookies.clone(),
            headers: names.headers.clone(),
            ids: names.ids.clone(),
        }
    }

    /// Appends all credentials of a record in the order of its fields; a secret that occurs twice makes two sightings.
    /// There are at most [`MAX_SIGHTINGS`]; a record without any causes no allocation.
    pub fn find<'a>(&self, record: &'a Record<'_>, out: &mut Vec<Sighting<'a>>) {
        let room = out.len() + MAX_SIGHTINGS;
        let mut search = Search { finder: self, out, room };
        for (name, value) in &record.fields {
            match name {
                FieldName::Header(name) | FieldName::Cookie(name) | FieldName::Other(name)
                    if self.is_id(name) =>
                {
                    search.id(name, value);
                }
                FieldName::Header(name) => search.header(name, value),
                FieldName::Cookie(name) => search.cookie(name.as_bytes(), value),
                FieldName::Id(name) => search.id(name, value),
                FieldName::OfServer => search.of_server(value),
                FieldName::Other(_) | FieldName::Unnamed => search.unnamed(value),
            }
        }
        if let Some(target) = &record.target {
            search.url(target, url::Place::Target);
            search.schemes(target, url::Place::Target);
        }
        if let Some(referer) = &record.referer {
            search.url(referer, url::Place::Referer);
            search.schemes(referer, url::Place::Referer);
        }
        if let Some(agent) = &record.agent {
            search.agent(agent);
        }
        if let Some(user) = &record.user {
            search.user(user);
        }
    }

    fn is_query(&self, name: &[u8]) -> bool {
        let is_named = |folded: names::Folded| self.query.iter().any(|n| **n == *folded.as_bytes());
        !self.query.is_empty() && names::Folded::new(names::bare(name)).is_some_and(is_named)
    }

    fn is_cookie(&self, name: &[u8]) -> bool {
        self.cookies.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    fn is_id(&self, name: &str) -> bool {
        self.ids.iter().any(|known| is_same(known.as_bytes(), name.as_bytes()))
    }

    fn is_header(&self, name: &str) -> bool {
        self.headers.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// How closely a value must resemble a credential to count as one, given its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It is in a position where only credentials occur.
    Any,
    /// It is a person's password.
    Password,
    /// Its name is unmistakable.
    Named,
    /// Its name is likely: it must look random.
    Likely,
    /// Only its shape can prove it: a vendor's prefix, a JSON web token.
    Shape,
    /// Its name suggests otherwise: only a vendor's prefix proves it.
    Vendor,
}

impl Need {
    const fn of(promised: names::Name) -> Self {
        match promised {
            names::Name::Password => Self::Password,
            names::Name::Sure => Self::Named,
            names::Name::Likely => Self::Likely,
            names::Name::AwsCredential | names::Name::Unknown => Self::Shape,
            names::Name::Never => Self::Vendor,
        }
    }
}

/// One search through one record, and its results.
struct Search<'s, 'a> {
    finder: &'s Finder,
    out: &'s mut Vec<Sighting<'a>>,
    room: usize,
}

impl<'a> Search<'_, 'a> {
    /// Adds a value if it is a credential; where only its shape can prove it, also those that stand apart in it.
    fn add(&mut self, carrier: impl FnOnce() -> Carrier, value: Bytes<'a>, need: Need) {
        match verdict(&value, need) {
            Some(Verdict::Secret(form)) => {
                self.push(carrier(), Seen::Secret(value.into(), form));
            }
            Some(Verdict::Hash) => {
                let scheme = SmolStr::new_static("sha256-8");
                self.push(carrier(), Seen::Reference(scheme, value.into()));
            }
            None if need == Need::Shape && shape::may_hold(&value) => {
                self.add_apart(carrier, &value);
            }
            None => {}
        }
    }

    fn add_apart(&mut self, carrier: impl FnOnce() -> Carrier, value: &Bytes<'a>) {
        let mut tokens = shape::apart(value).peekable();
        if tokens.peek().is_none() {
            return;
        }
        let carrier = carrier();
        for token in tokens {
            if let Some(Verdict::Secret(form)) = verdict(token, Need::Shape) {
                let token = Bytes::Own(Zeroizing::new(token.to_vec()));
                self.push(carrier.clone(), Seen::Secret(token.into(), form));
            }
        }
    }

    fn push(&mut self, carrier: Carrier, seen: Seen<'a>) {
        if self.out.len() < self.room {
            self.out.push(Sighting { seen, carrier });
        }
    }
}

/// The kind of credential that a value is.
enum Verdict {
    Secret(Form),
    /// Written by Caddy's `hash` filter: the first four bytes of SHA-256, in hex.
    Hash,
}

fn verdict(value: &[u8], need: Need) -> Option<Verdict> {
    if value.len() < SHORTEST {
        return None;
    }
    if let Some(kind) = shape::vendor(value) {
        let form = Form {
            kind: kind.name,
            prefix: Some(kind.prefix.len()),
            is_malformed: kind.is_malformed(value),
        };
        let body = value.get(kind.prefix.len()..).unwrap_or_default();
        return (!masked::is_masked(body)).then_some(Verdict::Secret(form));
    }
    if need == Need::Vendor {
        return None;
    }
    match shape::jwt(value) {
        Jwt::Signed => return Some(Verdict::Secret(Form::JWT)),
        Jwt::Encrypted => return Some(Verdict::Secret(Form::JWE)),
        Jwt::Cut => return None,
        Jwt::Other => {}
    }
    let is_enough = match need {
        Need::Vendor | Need::Shape => false,
        Need::Any | Need::Password => true,
        Need::Named => SHORTEST_NAMED <= value.len() && is_text(value),
        Need::Likely => {
            SHORTEST_LIKELY <= value.len()
                && is_text(value)
                && LEAST_ENTROPY <= shape::entropy(value)
        }
    };
    if !is_enough || masked::is_masked(value) {
        return None;
    }
    Some(match need {
        Need::Password => Verdict::Secret(Form::PASSWORD),
        Need::Named if is_short_hash(value) => Verdict::Hash,
        _ => Verdict::Secret(Form::OPAQUE),
    })
}

/// Returns whether a value is taken for a token at least where a token is certain to stand, as after `Bearer`.
#[must_use]
pub fn is_ever_found(value: &[u8]) -> bool {
    verdict(value, Need::Any).is_some()
}

/// Returns whether a value has neither spaces nor control characters, like all tokens.
fn is_text(value: &[u8]) -> bool {
    value.iter().all(|b| 0x20 < *b && *b != 0x7f)
}

fn is_short_hash(value: &[u8]) -> bool {
    value.len() == 8
        && value.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

/// Returns a name from a log in a form that a carrier may have: short, plain, and no secret itself.
fn carrier_name(name: &[u8]) -> SmolStr {
    const LONGEST: usize = 40;
    let is_plain = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'[' | b']' | b'$' | b'@')
    };
    let is_fit = !name.is_empty()
        && name.len() <= LONGEST
        && name.iter().all(is_plain)
        && !is_secretive(name);
    match std::str::from_utf8(name) {
        Ok(name) if is_fit => SmolStr::new(name),
        _ => SmolStr::new_static("other"),
    }
}

#[cfg(test)]
mod tests;
