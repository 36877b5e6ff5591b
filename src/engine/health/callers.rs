//! The callers of one log in its latest hours: if nearly all of them have one address, it is a proxy's.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::engine::detect::{Crowd, Health};
use crate::engine::stats::key;
use crate::engine::usage::Usage;

/// Hours of event time that are examined together.
const HOURS: i64 = 6;
/// The most tokens that are kept, the first ones: enough to distinguish 90 % from less.
const MAX_TOKENS: usize = 32;
/// The interval between checks, in usages.
const EVERY: u64 = 100;
/// The most addresses that are reported.
const MAX_TOLD: usize = 16;

/// The callers of one log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Callers {
    /// The hour in which the current period began.
    since: i64,
    /// Accepted usages.
    usages: u64,
    tokens: Vec<Caller>,
    /// The addresses that were reported.
    told: Vec<IpAddr>,
}

/// A token and its principal, both hashed, and the token's latest address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Caller(u32, u32, IpAddr);

impl Callers {
    /// Adds an accepted usage; returns a crowd behind one address if that is news. `principal` returns its hash.
    pub fn call(
        &mut self,
        usage: &Usage,
        principal: impl FnOnce() -> u32,
        params: &Health,
    ) -> Option<Crowd> {
        let client = usage.client?;
        let hour = usage.time.hour();
        let hours = hour.saturating_sub(self.since);
        if !(-HOURS..HOURS).contains(&hours) {
            (self.since, self.usages) = (hour, 0);
            self.tokens.clear();
        }
        self.usages += 1;
        let (token, n_tokens) = (key(&[&usage.token.0]), self.tokens.len());
        match self.tokens.iter_mut().find(|caller| caller.0 == token) {
            Some(caller) => caller.2 = client,
            None if n_tokens < MAX_TOKENS => {
                self.tokens.push(Caller(token, principal(), client));
            }
            None => {}
        }
        let crowd = self.usages.is_multiple_of(EVERY).then(|| self.crowd(params)).flatten()?;
        if self.told.contains(&crowd.address) || self.told.len() == MAX_TOLD {
            return None;
        }
        self.told.push(crowd.address);
        Some(crowd)
    }

    /// Forgets who called from where, and counts anew. What was reported is the address of many, and stays reported.
    pub fn forget_addresses(&mut self) {
        *self = Self { told: std::mem::take(&mut self.told), ..Self::default() };
    }

    /// Returns the address that nearly all principals have.
    #[must_use]
    pub fn crowd(&self, params: &Health) -> Option<Crowd> {
        let principals = distinct(self.tokens.iter().map(|caller| caller.1));
        let behind = distinct(self.tokens.iter().map(|caller| (caller.2, caller.1)));
        let by_address = behind.chunk_by(|one, other| one.0 == other.0);
        let most = by_address.max_by_key(|those| those.len())?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let crowd = Crowd {
            address: most.first()?.0,
            behind: number(most.len()),
            principals: number(principals.len()),
            usages: self.usages,
            hours: HOURS,
        };
        params.is_proxied(&crowd).then_some(crowd)
    }
}

/// Returns the values sorted, each once.
fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Hashes a principal's name.
#[must_use]
pub fn hashed(principal: &str) -> u32 {
    key(&[principal.as_bytes()])
}
