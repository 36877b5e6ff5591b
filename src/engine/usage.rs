//! One use of one token: the output of the Reader. Owned, serialisable, without any secret.
//!
//! This is the privacy boundary, the parallelism boundary, and the wire format if several log hosts feed one analyser.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::line::StreamId;
use crate::engine::secret::TokenId;
use crate::engine::time::{SECOND, Timestamp};

/// One use of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// When it happened according to the log.
    pub time: Timestamp,
    /// How long before `time` the request began, in milliseconds; 0 if `time` is its beginning, or nothing says it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_millis: u32,
    /// Which token.
    pub token: TokenId,
    /// The kind of token, e.g. `github-pat`, `jwt`, `basic`, `opaque`.
    pub kind: SmolStr,
    /// The part that may be shown, e.g. `ghp_...4f2a`.
    pub hint: SmolStr,
    /// Where the token was.
    pub carrier: Carrier,
    /// The principal named in the token, if any.
    pub identity: Option<Identity>,
    /// What the token states about itself.
    pub claims: Claims,
    /// The most bits that the secret can have, by its length and characters: if they are fewer than 128, and nothing
    /// else is known about how it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_bits: Option<u8>,
    /// The client's address, from the trusted hop; v4-mapped v6 becomes v4.
    pub client: Option<IpAddr>,
    /// The address comes from a header: the log names no peer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_forgeable: bool,
    /// The program that used it.
    pub agent: Agent,
    /// HTTP method, upper case; `-` if unknown.
    pub method: SmolStr,
    /// The path without its query, ids replaced: `/v1/items/{id}`.
    pub route: SmolStr,
    /// Status code, if the log has one.
    pub status: Option<u16>,
    /// Bytes sent to the client.
    pub bytes: u64,
    /// How the request was transported.
    pub transport: Transport,
    /// The service (configured) or virtual host it went to; may be empty.
    pub service: SmolStr,
    /// What was requested, if the response was a 403 or 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// The line it was read from.
    pub origin: Origin,
}

/// A requested object to which access failed: enough of its path to distinguish it, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// A keyed hash of the path without its query.
    pub hash: u32,
    /// The lower bits of the last numeric segment: shows whether ids are enumerated.
    pub number: Option<u32>,
}

impl Usage {
    /// Returns when the request began, as far as the log says. The server looked at the token then: what ends the token
    /// later ends no request that is under way (a download, server-sent events).
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.time.plus(-i64::from(self.took_millis) * (SECOND / 1000))
    }

    /// Returns how the server responded.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        Outcome::of(self.status)
    }

    /// Returns whether the request used the token, rather than only exposing it in its Referer.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        !matches!(self.carrier, Carrier::Referer(_))
    }

    /// Returns whether the server accepted the token, or at least is not known to have refused it.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.outcome().is_accepted()
    }
}

/// Returns whether a number is zero.
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The position of a usage in the logs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Origin {
    /// The stream.
    pub stream: StreamId,
    /// Offset of the line's first byte.
    pub offset: u64,
}

/// Where a token was in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// A header, by its name in lower case.
    Header(SmolStr),
    /// A cookie, by its name.
    Cookie(SmolStr),
    /// A query parameter, by its name.
    Query(SmolStr),
    /// A path parameter (`;jsessionid=`) or segment, by its name.
    Path(SmolStr),
    /// `https://user:secret@host/`.
    Userinfo,
    /// A parameter of the Referer: exposed there, not used by this request.
    Referer(SmolStr),
    /// A log field that contains an id instead of the secret, by its name.
    Id(SmolStr),
    /// A log field without a name; the token was found by its shape.
    Field,
    /// The log's column for the user's name; the token was found by its shape.
    User,
}

/// `header:authorization`, `query:access_token`, `userinfo`.
impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Path(name) => write!(f, "path:{name}"),
            Self::Userinfo => f.write_str("userinfo"),
            Self::Referer(name) => write!(f, "referer:{name}"),
            Self::Id(name) => write!(f, "id:{name}"),
            Self::Field => f.write_str("field"),
            Self::User => f.write_str("user"),
        }
    }
}

/// The principal that a token names. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// A JWT's issuer and subject (or `azp`, `client_id`).
    Jwt {
        /// `iss`, may be empty.
        issuer: SmolStr,
        /// `sub`, else `azp`, else `client_id`.
        subject: SmolStr,
    },
    /// The user of basic authentication.
    Basic(SmolStr),
    /// An AWS access-key id.
    Aws(SmolStr),
}

impl Identity {
    /// How the names begin that tokens state.
    const PREFIXES: [&str; 3] = ["jwt:", "basic:", "aws:"];

    /// Returns whether a principal's name is its own statement: `jwt:ISS:SUB` and the like.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        Self::PREFIXES.iter().any(|start| start.len() < name.len() && name.starts_with(start))
    }
}

/// `jwt:ISS:SUB`, `basic:USER`, `aws:KEYID`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jwt { issuer, subject } => write!(f, "jwt:{issuer}:{subject}"),
            Self::Basic(user) => write!(f, "basic:{user}"),
            Self::Aws(key) => write!(f, "aws:{key}"),
        }
    }
}

/// What a token states about itself; nothing of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// Whether a second factor was used at sign-in, by `amr`; `None` if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// The header's `alg` is `none`: anybody could have written the token.
    pub is_unsigned: bool,
    /// A checksum in the token is wrong: it was never issued.
    pub is_malformed: bool,
}

/// The program that made a request, according to its User-Agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Agent {
    /// `curl`, `python-requests`, `Chrome`; empty if the log has none.
    pub family: SmolStr,
    /// Major and minor version; may be empty.
    pub version: SmolStr,
}

/// How a request was transported, as far as the log shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The log does not show it.
    #[default]
    Unknown,
    /// Plain HTTP.
    Plain,
    /// TLS of an unknown version, or 1.2 and newer.
    Tls,
    /// SSL, of any version.
    Ssl,
    /// TLS 1.0.
    #[serde(rename = "tls1.0")]
    Tls10,
    /// TLS 1.1.
    #[serde(rename = "tls1.1")]
    Tls11,
}

/// The status of a use to which no answer was sent, or of which an error log does not say which.
pub const NO_ANSWER: u16 = 0;

/// How the server responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Accepted: 2xx, the handshake of a `WebSocket` (101), and the redirects that cannot lead to a login (301, 304,
    /// 307, 308).
    Ok,
    /// 302 and 303, which may lead to a login, and other 1xx and 3xx: neither accepted nor refused.
    Redirected,
    /// 401, 403 and 407: the credential was refused.
    Denied,
    /// Other 4xx and 5xx, and 0: no answer was sent, or an error log does not say which.
    Failed,
    /// The log has no status.
    Unknown,
}

impl Outcome {
    /// Classifies a status code.
    #[must_use]
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::Unknown,
            Some(101 | 200..=299 | 301 | 304 | 307 | 308) => Self::Ok,
            Some(401 | 403 | 407) => Self::Denied,
            Some(NO_ANSWER | 400..) => Self::Failed,
            Some(_) => Self::Redirected,
        }
    }

    /// Tells whether the server accepted the token, or at least did not say that it did not.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Ok | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_means_that_no_login_can_follow() {
        let of = |status| Outcome::of(Some(status));
        assert_eq!([of(200), of(204), of(304), of(308)], [Outcome::Ok; 4]);
        assert_eq!([of(302), of(303), of(102)], [Outcome::Redirected; 3]);
        assert_eq!([of(401), of(403), of(407)], [Outcome::Denied; 3]);
        assert_eq!([of(400), of(404), of(499), of(500)], [Outcome::Failed; 4]);
        assert_eq!(Outcome::of(None), Outcome::Unknown);
    }

    #[test]
    fn a_websocket_that_was_opened_counted_as_a_redirect() {
        assert_eq!(Outcome::of(Some(101)), Outcome::Ok);
    }
}
