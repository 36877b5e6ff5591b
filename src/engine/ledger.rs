//! History: what each token did, as additions to what the store already has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// What a batch adds to the history of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Additions by token.
    pub tokens: BTreeMap<TokenId, TokenUse>,
    /// Usages of unknown tokens that the server refused: counted, but never stored as rows.
    pub refused_unknown: u64,
}

/// What one token did in a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenUse {
    /// The kind of token.
    pub kind: SmolStr,
    /// The part that may be shown.
    pub hint: SmolStr,
    /// Its principal.
    pub principal: SmolStr,
    /// When the token claims to have been issued.
    pub issued_at: Option<Timestamp>,
    /// When the token claims to expire.
    pub expires_at: Option<Timestamp>,
    /// First usage of the batch.
    pub first: Timestamp,
    /// Last usage of the batch.
    pub last: Timestamp,
    /// Counts by hour since 1970, ascending.
    pub hours: Vec<(i64, Activity)>,
    /// Values seen, each once, ascending by facet and value.
    pub facets: Vec<Seen>,
}

impl TokenUse {
    /// Counts one request.
    pub fn count(&mut self, time: Timestamp, outcome: Outcome, bytes: u64) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        let hour = time.hour();
        match self.hours.binary_search_by_key(&hour, |(hour, _)| *hour) {
            Ok(at) => {
                let known = self.hours.get_mut(at).into_iter();
                known.for_each(|(_, activity)| activity.count(outcome, bytes));
            }
            Err(at) => {
                let mut activity = Activity::default();
                activity.count(outcome, bytes);
                if self.hours.is_empty() {
                    // Between two commits, most tokens are used in one hour.
                    self.hours.reserve_exact(1);
                }
                self.hours.insert(at, (hour, activity));
            }
        }
    }
}

/// A value that a token was seen with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The facet of the value.
    pub facet: Facet,
    /// The value.
    pub value: SmolStr,
    /// When, and how many times.
    pub span: Span,
}

/// Counts of requests by outcome, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// All requests.
    pub requests: u64,
    /// Accepted.
    pub ok: u64,
    /// Refused: 401, 403, 407.
    pub denied: u64,
    /// Other 4xx and 5xx.
    pub failed: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl Activity {
    /// Counts one request. Redirects and unknown outcomes count as requests only.
    pub const fn count(&mut self, outcome: Outcome, bytes: u64) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Denied => self.denied += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Redirected | Outcome::Unknown => {}
        }
    }

    /// Returns the sum of two activities; its counts saturate.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            ok: self.ok.saturating_add(other.ok),
            denied: self.denied.saturating_add(other.denied),
            failed: self.failed.saturating_add(other.failed),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// The subject of a history table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    /// Client addresses, as formatted by [`address`].
    Address,
    /// Networks: `AS64500 Example Broadband`.
    Network,
    /// Countries.
    Country,
    /// Clients: `curl 8.5`.
    Client,
    /// Methods and routes.
    Route,
}

impl Facet {
    /// All facets.
    pub const ALL: [Self; 5] =
        [Self::Address, Self::Network, Self::Country, Self::Client, Self::Route];

    /// Returns the facet's name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Network => "network",
            Self::Country => "country",
            Self::Client => "client",
            Self::Route => "route",
        }
    }
}

/// The suffix of an address that a client may have forged, since the log names no peer that vouches for it. No address
/// contains it.
const FORGEABLE: char = '?';

/// Formats a value of [`Facet::Address`]. One that may be forged is a separate value: a claim must not be counted as a
/// real source of requests.
#[must_use]
pub fn address(ip: IpAddr, is_forgeable: bool) -> SmolStr {
    if is_forgeable { format_smolstr!("{ip}{FORGEABLE}") } else { ip.to_smolstr() }
}

/// Parses a value of [`Facet::Address`]: the address, and whether it may be forged.
#[must_use]
pub fn read_address(value: &str) -> (&str, bool) {
    value.strip_suffix(FORGEABLE).map_or((value, false), |address| (address, true))
}

/// When a value was seen, and how many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First time.
    pub first: Timestamp,
    /// Last time.
    pub last: Timestamp,
    /// How many times.
    pub count: u64,
}

impl Span {
    /// Starts with one occurrence.
    #[must_use]
    pub const fn once(time: Timestamp) -> Self {
        Self { first: time, last: time, count: 1 }
    }

    /// Adds one occurrence; times may come in any order.
    pub fn extend(&mut self, time: Timestamp) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.count += 1;
    }

    /// Returns the union of two spans.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            count: self.count.saturating_add(other.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_two_activities_saturates() {
        let one = Activity { requests: 15, ok: 1, denied: 2, failed: 4, bytes: u64::MAX };
        let other = Activity { requests: 240, ok: 16, denied: 32, failed: 64, bytes: 1 };
        let sum = Activity { requests: 255, ok: 17, denied: 34, failed: 68, bytes: u64::MAX };
        assert_eq!([one.and(other), one.and(Activity::default())], [sum, one]);
    }
}
