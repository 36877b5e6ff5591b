//! Credentials in headers and in fields of unknown meaning.

use smol_str::SmolStr;

use super::names::promise;
use super::url::{Place, split_once};
use super::{Form, LONGEST_REFERENCE, Need, Search, Seen, carrier_name, masked, percent, verdict};
use crate::engine::record::AUTHORIZATIONS;
use crate::engine::secret::{Bytes, TokenId};
use crate::engine::shape::decode;
use crate::engine::usage::Carrier;

/// The most parts of a user name that are examined; hostile names have more.
const MAX_PARTS: usize = 16;

impl<'a> Search<'_, 'a> {
    /// Searches one request header; `name` is in lower case.
    pub(super) fn header(&mut self, name: &str, value: &'a [u8]) {
        let value = value.trim_ascii();
        if let Some(name) = AUTHORIZATIONS.iter().find(|known| **known == name) {
            self.authorization(Carrier::Header(SmolStr::new_static(name)), value);
            return;
        }
        let carrier = || Carrier::Header(carrier_name(name.as_bytes()));
        match name {
            "cookie" => self.cookies(value),
            // Issued by this response, not used by this request.
            "set-cookie" => {}
            "referer" => self.url(value, Place::Referer),
            _ if self.finder.is_header(name) => {
                self.add(carrier, Bytes::Line(without_scheme(value)), Need::Any);
            }
            _ => {
                // A likely name of a header is as reliable as an unmistakable name of a parameter.
                let need = match Need::of(promise(name.as_bytes())) {
                    Need::Likely => Need::Named,
                    need => need,
                };
                self.add(carrier, Bytes::Line(without_scheme(value)), need);
            }
        }
    }

    fn authorization(&mut self, carrier: Carrier, value: &'a [u8]) {
        let carrier = || carrier;
        match Scheme::of(value) {
            (Scheme::Bearer, rest) => self.add(carrier, Bytes::Line(rest), Need::Any),
            (Scheme::Token, rest) => {
                self.add(carrier, Bytes::Line(parameter(rest, b"token")), Need::Any);
            }
            (Scheme::OAuth, rest) => {
                self.add(carrier, Bytes::Line(parameter(rest, b"oauth_token")), Need::Any);
            }
            (Scheme::Basic, rest) => self.basic(carrier(), rest),
            (Scheme::AwsV4, rest) => {
                self.aws(carrier(), Bytes::Line(parameter(rest, b"Credential")));
            }
            (Scheme::AwsV2, rest) => self.aws(carrier(), Bytes::Line(split_once(rest, b':').0)),
            (Scheme::Proof, _) => {}
            (Scheme::Unknown, rest) => self.add(carrier, Bytes::Line(rest), Need::Likely),
            (Scheme::None, value) => {
                // A single word: Caddy's hash of the whole field, or a token without a scheme.
                let need = if value.len() == 8 { Need::Named } else { Need::Likely };
                self.add(carrier, Bytes::Line(value), need);
            }
        }
    }

    /// Adds basic credentials. The id is that of the base64 text, as the recipes for proxies compute it.
    pub(super) fn basic(&mut self, carrier: Carrier, text: &'a [u8]) {
        let is_pair = |pair: &[u8]| 1 < pair.len() && pair.contains(&b':');
        if decode(text).is_some_and(|pair| is_pair(&pair)) {
            self.push(carrier, Seen::Secret(Bytes::Line(text).into(), Form::BASIC));
        }
    }

    /// Adds the key id of `KEYID/date/region/service/aws4_request`, which is all that a log has of an AWS key. The
    /// signature next to it is valid for one request and is no token.
    pub(super) fn aws(&mut self, carrier: Carrier, credential: Bytes<'a>) {
        let (id, _) = split_once(&credential, b'/');
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let is_fit = 3 <= id.len() && id.len() <= 128 && id.iter().all(is_word);
        if !is_fit || masked::is_masked(id) {
            return;
        }
        let length = id.len();
        let id = match credential {
            Bytes::Line(line) => Bytes::Line(line.get(..length).unwrap_or_default()),
            Bytes::Own(mut own) => {
                own.truncate(length);
                Bytes::Own(own)
            }
        };
        self.push(carrier, Seen::Secret(id.into(), Form::AWS));
    }

    fn cookies(&mut self, list: &'a [u8]) {
        for cookie in list.split(|b| *b == b';') {
            if let (name, Some(value)) = split_once(cookie.trim_ascii(), b'=') {
                self.cookie(name, value);
            }
        }
    }

    /// Searches one cookie: it counts if its name is configured or if it is shaped like a token.
    pub(super) fn cookie(&mut self, name: &[u8], value: &'a [u8]) {
        let need = if self.finder.is_cookie(name) { Need::Any } else { Need::Shape };
        let value = percent::decode(unquoted(value.trim_ascii()));
        self.add(|| Carrier::Cookie(carrier_name(name)), value, need);
    }

    /// Searches a field that the site configured as an id of the token.
    pub(super) fn id(&mut self, name: &str, value: &'a [u8]) {
        let value = unquoted(value.trim_ascii());
        let carrier = || Carrier::Id(carrier_name(name.as_bytes()));
        if value.starts_with(TokenId::PREFIX.as_bytes()) {
            self.sealed(carrier(), value);
        } else if !matches!(Scheme::of(value).0, Scheme::None | Scheme::Unknown) {
            self.authorization(carrier(), value);
        } else if verdict(value, Need::Shape).is_some() {
            self.add(carrier, Bytes::Line(value), Need::Shape);
        } else {
            let value = masked::uncut(value);
            let is_number =
                value.iter().all(u8::is_ascii_digit) && value.iter().any(|b| *b != b'0');
            if value.len() <= LONGEST_REFERENCE && (is_number || !masked::is_masked(value)) {
                let scheme = SmolStr::new(name.to_ascii_lowercase());
                self.push(carrier(), Seen::Reference(scheme, Bytes::Line(value).into()));
            }
        }
    }

    /// Searches a field that the server wrote on its own: for an id too.
    pub(super) fn of_server(&mut self, value: &'a [u8]) {
        let own = unquoted(value.trim_ascii());
        if own.starts_with(TokenId::PREFIX.as_bytes()) {
            self.sealed(Carrier::Field, own);
        } else {
            self.unnamed(value);
        }
    }

    /// Searches a field of unknown meaning for a scheme with its credential, or for a token's shape. Whatever looks
    /// like an id may have been sent by a client that has read it somewhere.
    pub(super) fn unnamed(&mut self, value: &'a [u8]) {
        let value = unquoted(value.trim_ascii());
        let (scheme, rest) = Scheme::of(value);
        let is_scheme = !matches!(scheme, Scheme::None | Scheme::Unknown | Scheme::Proof);
        if is_scheme && (!rest.contains(&b' ') || scheme == Scheme::AwsV4) {
            self.authorization(Carrier::Field, value);
        } else {
            self.add(|| Carrier::Field, Bytes::Line(value), Need::Shape);
        }
    }

    /// Searches the user name, where only its shape distinguishes a token from a name: alone, after a scheme, or as a
    /// part, as in `oauth2:TOKEN` and `TOKEN@example.org`.
    pub(super) fn user(&mut self, name: &'a [u8]) {
        let (scheme, rest) = Scheme::of(name);
        if matches!(scheme, Scheme::Bearer | Scheme::Basic) && !rest.contains(&b' ') {
            self.authorization(Carrier::User, name);
            return;
        }
        let is_between =
            |b: &u8| matches!(b, b' ' | b':' | b'@' | b'/' | b'=' | b',' | b';' | b'"');
        let before = self.out.len();
        self.add(|| Carrier::User, percent::decode(name), Need::Shape);
        if self.out.len() == before {
            for part in name.split(is_between).take(MAX_PARTS) {
                self.add(|| Carrier::User, percent::decode(part), Need::Shape);
            }
        }
    }

    /// Adds a `tw1_` id. `tw1_-` and other texts that only begin like one are ignored.
    fn sealed(&mut self, carrier: Carrier, text: &[u8]) {
        let id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        if let Some(id) = id {
            self.push(carrier, Seen::Sealed(id));
        }
    }
}

/// How to parse the value of an Authorization header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// The rest is the token.
    Bearer,
    /// The rest is the token, or `token=...` with other parameters.
    Token,
    /// The rest is the token, or `oauth_token="..."` with other parameters.
    OAuth,
    /// The rest is base64 of `user:password`.
    Basic,
    /// `Credential=KEYID/..., SignedHeaders=..., Signature=...`.
    AwsV4,
    /// `KEYID:SIGNATURE`.
    AwsV2,
    /// A proof that the client knows the secret, different in each request.
    Proof,
    /// Some other word precedes the rest.
    Unknown,
    /// No word precedes the value.
    None,
}

/// Schemes by name in lower case.
const SCHEMES: [(&str, Scheme); 27] = [
    ("bearer", Scheme::Bearer),
    ("basic", Scheme::Basic),
    ("token", Scheme::Token),
    ("apikey", Scheme::Bearer),
    ("api-key", Scheme::Bearer),
    ("x-api-key", Scheme::Bearer),
    ("apitoken", Scheme::Bearer),
    ("api-token", Scheme::Bearer),
    ("api_key", Scheme::Bearer),
    ("jwt", Scheme::Bearer),
    ("dpop", Scheme::Bearer),
    ("geniekey", Scheme::Bearer),
    ("sso-key", Scheme::Bearer),
    ("splunk", Scheme::Bearer),
    ("private-token", Scheme::Bearer),
    ("oauth", Scheme::OAuth),
    ("aws4-hmac-sha256", Scheme::AwsV4),
    ("aws4-ecdsa-p256-sha256", Scheme::AwsV4),
    ("aws", Scheme::AwsV2),
    ("digest", Scheme::Proof),
    ("negotiate", Scheme::Proof),
    ("ntlm", Scheme::Proof),
    ("kerberos", Scheme::Proof),
    ("hawk", Scheme::Proof),
    ("signature", Scheme::Proof),
    ("hmac", Scheme::Proof),
    ("mutual", Scheme::Proof),
];

impl Scheme {
    /// Splits a value into scheme and rest.
    fn of(value: &[u8]) -> (Self, &[u8]) {
        let Some(at) = memchr::memchr2(b' ', b'\t', value) else { return (Self::None, value) };
        let (word, rest) = value.split_at_checked(at).unwrap_or((value, b""));
        let is_named = |(name, _): &&(&str, Self)| name.as_bytes().eq_ignore_ascii_case(word);
        let scheme = SCHEMES.iter().find(is_named).map_or(Self::Unknown, |(_, scheme)| *scheme);
        (scheme, rest.trim_ascii())
    }
}

/// Strips `Bearer` and similar words from the value of a header that needs no scheme.
fn without_scheme(value: &[u8]) -> &[u8] {
    match Scheme::of(value) {
        (Scheme::Bearer | Scheme::Token, rest) => rest,
        _ => value,
    }
}

/// Returns the named parameter of `a=1, b="2"`, or the whole text if it has none of that name.
fn parameter<'t>(text: &'t [u8], name: &[u8]) -> &'t [u8] {
    text.split(|b| *b == b',')
        .filter_map(|part| match split_once(part.trim_ascii(), b'=') {
            (known, Some(value)) if known.eq_ignore_ascii_case(name) => Some(unquoted(value)),
            _ => None,
        })
        .next()
        .unwrap_or(text)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_with_a_plus_for_a_space_know_every_scheme() {
        for (name, _) in SCHEMES {
            assert!(crate::engine::record::SCHEMES.contains(&name), "{name}");
        }
    }
}
