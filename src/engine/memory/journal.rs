//! What tokens did since the last commit. Values are numbered, so that a value shared by many tokens is stored once.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::SeedableRandomState;
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

use crate::engine::geo::Place;
use crate::engine::ledger::{Facet, Seen, Span, TokenUse, address};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Outcome, Usage};

/// The values that tokens were seen with since the last commit.
#[derive(Debug)]
struct Values {
    /// By the hash of facet and value, so that a known value needs no new string. Whoever chooses values cannot know
    /// the seed, or one of equal hash would count as another.
    numbers: HashMap<u64, u32, SeedableRandomState>,
    known: Vec<(Facet, SmolStr)>,
}

impl Values {
    fn number(&mut self, facet: Facet, value: impl Hash, name: impl FnOnce() -> SmolStr) -> u32 {
        let Self { numbers, known } = self;
        *numbers.entry(numbers.hasher().hash_one((facet, value))).or_insert_with(|| {
            known.push((facet, name()));
            u32::try_from(known.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Returns all values, each with its rank, ascending by facet and name; values with equal names share a rank.
    fn rank(self) -> Ranked {
        let known = self.known;
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_unstable_by_key(|number| known.get(*number));
        let mut ranks = vec![0; known.len()];
        let (mut rank, mut before) = (0_u32, None);
        for number in order {
            let value = known.get(number);
            rank += u32::from(before != value);
            before = value;
            ranks.get_mut(number).into_iter().for_each(|place| *place = rank);
        }
        Ranked { known, ranks }
    }
}

/// Values with their order.
struct Ranked {
    known: Vec<(Facet, SmolStr)>,
    ranks: Vec<u32>,
}

impl Ranked {
    fn rank(&self, number: u32) -> u32 {
        usize::try_from(number).ok().and_then(|at| self.ranks.get(at)).copied().unwrap_or_default()
    }

    /// Summarises when values were seen, each given by its rank and its number.
    fn sum_up(&self, seen: &mut [(u32, u32, Timestamp)]) -> Vec<Seen> {
        // Not by time as well: most values occur again and again, and only the first and last times matter.
        seen.sort_unstable_by_key(|(rank, ..)| *rank);
        let of_one = || seen.chunk_by(|a, b| a.0 == b.0);
        // Exact: a replay holds the sums of thousands of tokens twice, for this commit and the next.
        let mut sums = Vec::with_capacity(of_one().count());
        sums.extend(of_one().filter_map(|times| self.seen(times)));
        sums
    }

    /// Summarises one value.
    fn seen(&self, times: &[(u32, u32, Timestamp)]) -> Option<Seen> {
        let [(_, number, first), rest @ ..] = times else { return None };
        let (facet, value) = self.known.get(usize::try_from(*number).ok()?)?;
        let mut span = Span::once(*first);
        rest.iter().for_each(|(_, _, time)| span.extend(*time));
        Some(Seen { facet: *facet, value: value.clone(), span })
    }
}

/// One use of a token.
#[derive(Clone, Copy, Debug)]
struct Use {
    token: u32,
    time: Timestamp,
    outcome: Outcome,
    bytes: u64,
    /// The numbers of its values, in the order of facets; [`NONE`] for unknown ones.
    values: [u32; Facet::ALL.len()],
}

/// The number that stands for no value.
const NONE: u32 = u32::MAX;

/// What tokens did since the last commit: use after use, summarised only when taken out. Sums per token would touch a
/// cold place in memory for each use.
#[derive(Debug)]
pub(super) struct Journal {
    tokens: Vec<(TokenId, TokenUse)>,
    uses: Vec<Use>,
    values: Values,
}

impl Journal {
    /// Creates an empty journal that hashes values in this way.
    pub(super) fn hashing(by: SeedableRandomState) -> Self {
        let values = Values { numbers: HashMap::with_hasher(by), known: Vec::new() };
        Self { tokens: Vec::new(), uses: Vec::new(), values }
    }

    /// Returns the number of uses.
    pub(super) const fn len(&self) -> usize {
        self.uses.len()
    }

    /// Starts the entry of a token, with details from its first use; returns its number.
    pub(super) fn begin(&mut self, principal: &SmolStr, usage: &Usage) -> u32 {
        let used = TokenUse {
            kind: usage.kind.clone(),
            hint: usage.hint.clone(),
            principal: principal.clone(),
            issued_at: usage.claims.issued_at,
            expires_at: usage.claims.expires_at,
            first: usage.time,
            last: usage.time,
            hours: Vec::new(),
            facets: Vec::new(),
        };
        self.tokens.push((usage.token, used));
        u32::try_from(self.tokens.len() - 1).unwrap_or(NONE)
    }

    /// Adds a use of a token by its number.
    pub(super) fn add(&mut self, token: u32, usage: &Usage, place: &Place) {
        let values = &mut self.values;
        let Usage { client, is_forgeable, agent, method, route, .. } = usage;
        let named = |asn| format_smolstr!("AS{asn} {}", place.organization);
        let values = [
            client.map(|ip| {
                let name = || address(ip, *is_forgeable);
                values.number(Facet::Address, (ip, is_forgeable), name)
            }),
            place.asn.map(|asn| {
                values.number(Facet::Network, (asn, &place.organization), || named(asn))
            }),
            place.country.map(|code| values.number(Facet::Country, code, || code.to_smolstr())),
            (!agent.family.is_empty()).then(|| {
                values.number(Facet::Client, agent, || name_of(&agent.family, &agent.version))
            }),
            Some(
                values
                    .number(Facet::Route, (method, route), || format_smolstr!("{method} {route}")),
            ),
        ];
        self.uses.push(Use {
            token,
            time: usage.time,
            outcome: usage.outcome(),
            bytes: usage.bytes,
            values: values.map(|number| number.unwrap_or(NONE)),
        });
    }

    /// Takes out everything that tokens did, by token.
    pub(super) fn take(&mut self) -> BTreeMap<TokenId, TokenUse> {
        let empty = Self::hashing(self.values.numbers.hasher().clone());
        let Self { mut tokens, mut uses, values } = std::mem::replace(self, empty);
        let values = values.rank();
        // Each token has a use, or it would have no number.
        uses.sort_unstable_by_key(|used| used.token);
        let by_token = uses.chunk_by(|a, b| a.token == b.token);
        let mut seen = Vec::new();
        for ((_, used), uses) in tokens.iter_mut().zip(by_token) {
            seen.clear();
            for Use { time, outcome, bytes, values: numbers, .. } in uses {
                used.count(*time, *outcome, *bytes);
                let numbers = numbers.iter().filter(|number| **number != NONE);
                seen.extend(numbers.map(|number| (values.rank(*number), *number, *time)));
            }
            used.facets = values.sum_up(&mut seen);
        }
        tokens.into_iter().collect()
    }
}

fn name_of(family: &str, version: &str) -> SmolStr {
    format_smolstr!("{family} {version}").trim_end().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::ledger::read_address;
    use crate::engine::profile::tests::usage;
    use crate::engine::time::{HOUR, SECOND};

    fn new() -> Journal {
        Journal::hashing(SeedableRandomState::fixed())
    }

    proptest! {
        #[test]
        fn every_value_is_there_once_with_all_its_uses(
            uses in prop::collection::vec((0_i64..100, 0_u8..120, 0_u8..2), 1..300),
            is_fixed: bool,
        ) {
            let random = || Journal::hashing(SeedableRandomState::random());
            let mut journal = if is_fixed { new() } else { random() };
            let mut expected: BTreeMap<(Facet, SmolStr), Span> = BTreeMap::new();
            let mut token = None;
            for (minute, host, client) in uses {
                let mut usage = usage(minute * 60 * SECOND);
                usage.client = Some([192, 0, 2, host].into());
                // Two with the same name.
                let agents = [("Example Bot", ""), ("Example", "Bot")];
                let (family, version) = agents[usize::from(client)];
                (usage.agent.family, usage.agent.version) = (family.into(), version.into());
                let names = [
                    (Facet::Address, format_smolstr!("192.0.2.{host}")),
                    (Facet::Client, "Example Bot".into()),
                    (Facet::Route, format_smolstr!("{} {}", usage.method, usage.route)),
                ];
                for name in names {
                    let span = expected.entry(name);
                    span.and_modify(|span| span.extend(usage.time)).or_insert(Span::once(usage.time));
                }
                let token = *token.get_or_insert_with(|| journal.begin(&SmolStr::default(), &usage));
                journal.add(token, &usage, &Place::default());
            }
            let (_, used) = journal.take().pop_first().unwrap();
            let seen = used.facets.into_iter().map(|seen| ((seen.facet, seen.value), seen.span));
            prop_assert_eq!(seen.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!((journal.len(), journal.take().len()), (0, 0));
        }
    }

    #[test]
    fn the_sums_of_a_token_took_twice_the_room_that_they_need() {
        let mut journal = new();
        let token = journal.begin(&SmolStr::default(), &usage(0));
        for host in 0..7 {
            let usage = Usage { client: Some([192, 0, 2, host].into()), ..usage(SECOND) };
            journal.add(token, &usage, &Place::default());
        }
        let (_, used) = journal.take().pop_first().unwrap();
        assert_eq!((used.facets.len(), used.facets.capacity()), (9, 9));
        assert_eq!((used.hours.len(), used.hours.capacity()), (1, 1));
    }

    #[test]
    fn an_address_that_may_be_forged_is_told_from_the_same_one_that_is_not() {
        let mut usages = [1, 2, 3].map(|minute| usage(minute * 60 * SECOND));
        usages.iter_mut().for_each(|usage| usage.client = Some([192, 0, 2, 7].into()));
        usages[1].is_forgeable = true;
        let mut journal = new();
        let token = journal.begin(&SmolStr::default(), &usages[0]);
        usages.iter().for_each(|usage| journal.add(token, usage, &Place::default()));
        let (_, used) = journal.take().pop_first().unwrap();
        let addresses = used.facets.iter().filter(|seen| seen.facet == Facet::Address);
        let addresses: Vec<_> =
            addresses.map(|seen| (read_address(&seen.value), seen.span.count)).collect();
        assert_eq!(addresses, [(("192.0.2.7", false), 2), (("192.0.2.7", true), 1)]);
    }

    #[test]
    fn addresses_that_collide_under_a_known_seed_were_recorded_as_one() {
        // Of these, foldhash's product is zero under its fixed seeds, whatever else they say.
        let usages = ["2001:db8:1", "2001:db8:2"].map(|prefix| {
            let client = format!("{prefix}::dd50:7cc9:b729:acc0").parse().unwrap();
            Usage { client: Some(client), ..usage(0) }
        });
        let mut journal = Journal::hashing(SeedableRandomState::random());
        let token = journal.begin(&SmolStr::default(), &usages[0]);
        usages.iter().for_each(|usage| journal.add(token, usage, &Place::default()));
        let (_, used) = journal.take().pop_first().unwrap();
        let addresses = used.facets.iter().filter(|seen| seen.facet == Facet::Address);
        assert_eq!(addresses.count(), 2);
    }

    #[test]
    fn hours_ascend_in_whatever_order_they_come() {
        let times = [5, 3, 4, 3, 5].map(|hour| usage(hour * HOUR));
        let mut journal = new();
        let token = journal.begin(&SmolStr::default(), &times[0]);
        times.iter().for_each(|usage| journal.add(token, usage, &Place::default()));
        let first = times[1].time.hour();
        let hours = journal.take().pop_first().unwrap().1.hours.into_iter();
        let hours: Vec<_> =
            hours.map(|(hour, activity)| (hour - first, activity.requests)).collect();
        assert_eq!(hours, [(0, 2), (1, 1), (2, 2)]);
    }
}
