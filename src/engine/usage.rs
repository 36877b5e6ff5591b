//! One use of one token: what leaves the Reader. Owned, serialisable, holds no secret.
//!
//! This is the seam: the privacy boundary, the parallelism boundary, and the wire format when
//! several log hosts feed one analyser.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::line::StreamId;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

/// One use of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// When the log says that it happened.
    pub time: Timestamp,
    /// Which token.
    pub token: TokenId,
    /// What sort of token, e.g. `github-pat`, `jwt`, `basic`, `opaque`.
    pub kind: SmolStr,
    /// What a person may see of it, e.g. `ghp_...4f2a`.
    pub hint: SmolStr,
    /// Where the token stood.
    pub carrier: Carrier,
    /// Who the token says it belongs to, if it says so.
    pub identity: Option<Identity>,
    /// What the token says of itself.
    pub claims: Claims,
    /// The client's address, from the trusted hop; v4-mapped v6 as v4.
    pub client: Option<IpAddr>,
    /// The address is what a header said: the log names no peer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_forgeable: bool,
    /// The program that used it.
    pub agent: Agent,
    /// HTTP method, upper case; `-` if unknown.
    pub method: SmolStr,
    /// The path without query, ids replaced: `/v1/items/{id}`.
    pub route: SmolStr,
    /// Status code, where the log has one.
    pub status: Option<u16>,
    /// Bytes sent to the client.
    pub bytes: u64,
    /// How the request travelled.
    pub transport: Transport,
    /// The service (configured) or virtual host it went to; may be empty.
    pub service: SmolStr,
    /// What it asked for, where it got a 403 or 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// The line it was read from.
    pub origin: Origin,
}

/// An object that may not be had: enough of its path to tell it from others, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// A keyed hash of the path without its query.
    pub hash: u32,
    /// The lower bits of the last segment that is a number: whether ids are walked through.
    pub number: Option<u32>,
}

impl Usage {
    /// Returns how the server answered.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        Outcome::of(self.status)
    }

    /// Tells whether the server accepted the token, or at least did not say that it did not.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.outcome().is_accepted()
    }
}

/// Where in the logs a usage stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Origin {
    /// The stream.
    pub stream: StreamId,
    /// Offset of the line's first byte.
    pub offset: u64,
}

/// Where a token stood in a request.
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
    /// A log field that holds an id instead of the secret, by its name.
    Id(SmolStr),
    /// A log field without a name, found by its shape.
    Field,
    /// The log's column for the user's name, found by its shape.
    User,
}

impl Carrier {
    /// Tells whether the secret stood in the request's URL, where logs, histories and proxies keep it.
    #[must_use]
    pub const fn is_url(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Path(_) | Self::Userinfo)
    }
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

/// Who a token says it belongs to. Nothing of it is verified.
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

/// What a token says of itself; nothing of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// The header's `alg` is `none`: anybody could have written the token.
    pub is_unsigned: bool,
    /// A checksum in the token is wrong: it was never issued.
    pub is_malformed: bool,
}

/// The program that made a request, as its User-Agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Agent {
    /// `curl`, `python-requests`, `Chrome`; empty if the log has none.
    pub family: SmolStr,
    /// Major and minor version; may be empty.
    pub version: SmolStr,
}

/// How a request travelled, as far as the log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The log does not say.
    #[default]
    Unknown,
    /// Plain HTTP.
    Plain,
    /// TLS of an unknown version.
    Tls,
    /// TLS older than 1.2, or SSL.
    OldTls,
}

/// How the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Accepted: 2xx, and the redirects that cannot lead to a login (301, 304, 307, 308).
    Ok,
    /// 302 and 303, which may lead to a login, and other 1xx and 3xx: neither accepted nor refused.
    Redirected,
    /// 401, 403 and 407: the credential was refused.
    Denied,
    /// Other 4xx and 5xx.
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
            Some(200..=299 | 301 | 304 | 307 | 308) => Self::Ok,
            Some(401 | 403 | 407) => Self::Denied,
            Some(400..) => Self::Failed,
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
        assert_eq!([of(302), of(303), of(101)], [Outcome::Redirected; 3]);
        assert_eq!([of(401), of(403), of(407)], [Outcome::Denied; 3]);
        assert_eq!([of(400), of(404), of(499), of(500)], [Outcome::Failed; 4]);
        assert_eq!(Outcome::of(None), Outcome::Unknown);
    }
}
