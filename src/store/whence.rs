//! Which tokens were used from an address, a network, an operator or a country: the first question about an attacker.

use std::net::IpAddr;

use ipnet::IpNet;
use rusqlite::Connection;

use crate::engine::geo::Country;
use crate::engine::ledger::{Facet, Seen, Span, read_address};
use crate::engine::time::Timestamp;

use super::history::{FacetRow, Window};
use super::summary::{self, TokenSummary};
use super::{Reader, StoreError, facets};

/// Where tokens were used from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// An address or a network.
    Addresses(IpNet),
    /// An autonomous system.
    Operator(u32),
    /// A country.
    Country(Country),
}

impl Whence {
    /// Returns the facet whose values it selects.
    #[must_use]
    pub const fn facet(self) -> Facet {
        match self {
            Self::Addresses(_) => Facet::Address,
            Self::Operator(_) => Facet::Network,
            Self::Country(_) => Facet::Country,
        }
    }

    /// Returns whether a value of its facet is there.
    fn holds(self, value: &str) -> bool {
        match self {
            Self::Addresses(network) => {
                let address = read_address(value).0.parse::<IpAddr>();
                address.is_ok_and(|address| network.contains(&address.to_canonical()))
            }
            Self::Operator(asn) => {
                let number = value.split(' ').next().and_then(|name| name.strip_prefix("AS"));
                number.and_then(|number| number.parse().ok()) == Some(asn)
            }
            Self::Country(country) => value == country.as_str(),
        }
    }
}

/// A token that was used from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Visitor {
    /// The token.
    pub token: TokenSummary,
    /// The values from which it was used.
    pub values: Vec<FacetRow>,
    /// When and how often it was used from all of them.
    pub span: Span,
}

/// The tokens that were used from there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visitors {
    /// Those used from there last come first.
    pub visitors: Vec<Visitor>,
    /// How many of all tokens have further values that are no longer known, of which one may be there.
    pub n_folded: usize,
}

impl Reader {
    /// Returns the tokens that were used from somewhere, the `limit` that were used from there last. A window selects
    /// values whose first and last use it meets; counts are of all time. Of a token the last
    /// [`FACET_LIMIT`](super::FACET_LIMIT) addresses are known, at least.
    ///
    /// # Errors
    /// Any database error.
    pub fn visitors(
        &self,
        whence: Whence,
        window: Window,
        limit: u32,
        now: Timestamp,
    ) -> Result<Visitors, StoreError> {
        self.read("looking for who was there", |db| {
            let (mut found, n_folded) = found(db, whence, window)?;
            found.sort_by_key(|found| (std::cmp::Reverse(found.span.last), found.number));
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let mut visitors = Vec::new();
            for Found { number, values, span } in found {
                let token = summary::of_number(db, number, now)?;
                visitors.extend(token.map(|token| Visitor { token, values, span }));
            }
            Ok(Visitors { visitors, n_folded })
        })
    }
}

/// What is known of one token.
struct Found {
    number: i64,
    values: Vec<FacetRow>,
    span: Span,
}

/// Returns the tokens with a value there, and the number of those that have values which are no longer known.
fn found(db: &Connection, whence: Whence, window: Window) -> rusqlite::Result<(Vec<Found>, usize)> {
    let is_wanted = |seen: &Seen| {
        seen.facet == whence.facet() && window.meets(seen.span) && whence.holds(&seen.value)
    };
    let (mut all, mut n_folded) = (Vec::new(), 0);
    facets::each(db, |number, values| {
        let is_folded = |seen: &Seen| seen.facet == whence.facet() && seen.value.is_empty();
        n_folded += usize::from(values.iter().any(is_folded));
        let values = values.into_iter().filter(is_wanted);
        let values: Vec<FacetRow> =
            values.map(|Seen { value, span, .. }| FacetRow { value, span }).collect();
        if let Some(span) = values.iter().map(|row| row.span).reduce(Span::and) {
            all.push(Found { number, values, span });
        }
    })?;
    Ok((all, n_folded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::commit::Commit;
    use crate::engine::ledger::Ledger;
    use crate::engine::time::HOUR;
    use crate::store::Store;
    use crate::store::sample::{NOON, id, record};

    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        let mut ledger = Ledger::default();
        record(&mut ledger, id(1), NOON, "192.0.2.7");
        record(&mut ledger, id(1), NOON.plus(HOUR), "192.0.2.8");
        record(&mut ledger, id(1), NOON.plus(HOUR), "192.0.2.8");
        record(&mut ledger, id(2), NOON.plus(2 * HOUR), "192.0.2.7");
        record(&mut ledger, id(3), NOON, "2001:db8::1");
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        store
    }

    fn who(store: &Store, whence: Whence, window: Window) -> Vec<(u8, u64)> {
        let found = store.reader.visitors(whence, window, 100, NOON).unwrap().visitors;
        found.iter().map(|one| (one.token.token.unwrap().0[0], one.span.count)).collect()
    }

    #[test]
    fn tokens_are_found_by_where_they_were_used() {
        let store = store();
        let addresses = |net: &str| Whence::Addresses(net.parse().unwrap());
        let of = |whence| who(&store, whence, Window::default());
        assert_eq!(of(addresses("192.0.2.0/24")), [(2, 1), (1, 3)], "the latest first");
        assert_eq!(of(addresses("192.0.2.8/32")), [(1, 2)]);
        assert_eq!(of(addresses("2001:db8::/32")), [(3, 1)]);
        assert_eq!(of(addresses("198.51.100.0/24")), []);
        let late = Window::new(Some(NOON.plus(2 * HOUR)), None);
        assert_eq!(who(&store, addresses("192.0.2.0/24"), late), [(2, 1)]);
        let early = Window::new(None, Some(NOON.plus(HOUR)));
        assert_eq!(who(&store, addresses("192.0.2.0/24"), early), [(1, 1)]);
    }

    #[test]
    fn a_value_is_there_or_not() {
        let net = Whence::Addresses("192.0.2.0/24".parse().unwrap());
        assert!(net.holds("192.0.2.9") && net.holds("192.0.2.9?") && !net.holds("192.0.3.9"));
        assert!(!net.holds("") && !net.holds("2001:db8::1"));
        let operator = Whence::Operator(64_500);
        assert!(operator.holds("AS64500 Example") && operator.holds("AS64500"));
        assert!(!operator.holds("AS645001 Example") && !operator.holds("AS6450"));
        let country = Whence::Country(Country::parse("DE").unwrap());
        assert!(country.holds("DE") && !country.holds("NG") && !country.holds(""));
    }
}
