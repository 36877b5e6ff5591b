//! A use of a token as guessing is counted: from where, by whom, when.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::groups::{keys_of_groups, name_of_group};
use super::sources::Guessing;
use crate::engine::profile::Placed;
use crate::engine::stats::key;
use crate::engine::time::SECOND;
use crate::engine::usage::{Identity, Usage};

/// A use of a token as it is counted: from where, by whom, when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) address: IpAddr,
    /// The key of its source.
    pub(super) source: u64,
    /// Who fails or is known: the subject of a JWT, whose token changes with each refresh, otherwise the token.
    pub(super) who: u32,
    /// In seconds since 1970.
    pub(super) now: i64,
}

impl Visit {
    /// Returns the visit of a usage; `None` if nobody knows from where.
    pub(super) fn of(usage: &Usage) -> Option<Self> {
        let address = usage.client?;
        let now = usage.time.0.div_euclid(SECOND);
        Some(Self { address, source: key_of_source(address), who: who(usage), now })
    }
}

/// A use of an unknown token that the server refused.
pub(super) struct Try<'a> {
    pub(super) visit: Visit,
    pub(super) placed: &'a Placed<'a>,
    pub(super) params: &'a Guessing,
    keys_of_groups: [Option<u64>; 3],
}

impl<'a> Try<'a> {
    /// Returns the try of a usage; `None` if it is none, or nobody knows from where.
    pub(super) fn of(placed: &'a Placed<'a>, params: &'a Guessing) -> Option<Self> {
        let visit = Visit::of(placed.usage).filter(|_| is_try(placed.usage))?;
        Some(Self { visit, placed, params, keys_of_groups: keys_of_groups(placed) })
    }

    /// Returns the ranks and keys of what its source may have in common with others, the narrowest first.
    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, u64)> {
        self.keys_of_groups.into_iter().enumerate().filter_map(|(n, key)| Some((n, key?)))
    }

    /// Returns those that are wider than one.
    pub(super) fn wider(&self, than: usize) -> impl Iterator<Item = (usize, u64)> {
        self.groups().filter(move |(n, _)| than < *n)
    }

    pub(super) fn named(&self, n: usize, key: u64) -> Named {
        Named { key, name: name_of_group(n, self.placed) }
    }
}

/// A source or a group, as alerts name it.
pub(super) struct Named {
    pub(super) key: u64,
    pub(super) name: SmolStr,
}

/// Returns the key of a source: 24 bits of an IPv4 address, 64 of an IPv6 one (none of which is so small).
pub(super) fn key_of_source(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or_default(),
    }
}

fn who(usage: &Usage) -> u32 {
    match &usage.identity {
        Some(Identity::Jwt { issuer, subject }) => key(&[issuer.as_bytes(), subject.as_bytes()]),
        _ => {
            let [a, b, c, d, ..] = usage.token.0;
            u32::from_le_bytes([a, b, c, d])
        }
    }
}

/// Returns one bit of 64.
pub(super) const fn bit(hash: u32) -> u64 {
    1 << (hash.wrapping_mul(0x9e37_79b1) >> 26)
}

pub(super) fn bit_of_address(address: IpAddr) -> u64 {
    bit(match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => key(&[&v6.octets()]),
    })
}

/// Returns whether a use of an unknown token is a try: the server refused it (4xx). A server error is not one, or an
/// outage would look like guessing. Nor is a token in a Referer, which was not used, or a JWT that names its subject
/// and has expired: every client sends those while the service that refreshes them is down.
fn is_try(usage: &Usage) -> bool {
    let is_over = usage.claims.expires_at.is_some_and(|end| end <= usage.time);
    let is_late = matches!(usage.identity, Some(Identity::Jwt { .. })) && is_over;
    let is_turned_away = matches!(usage.status, Some(400..=499));
    is_turned_away && usage.is_used() && !is_late
}
