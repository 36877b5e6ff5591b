//! What tokens did since the last commit. Values are numbered, so that one that many tokens share is named once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

use crate::engine::geo::Place;
use crate::engine::ledger::{Facet, Seen, Span, TokenUse};
use crate::engine::time::Timestamp;
use crate::engine::usage::Usage;

/// So many values are looked through one by one: quicker than by a hash, and most tokens have fewer.
const FEW: usize = 32;

/// The values that tokens were seen with since the last commit.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// By the hash of facet and value, so that a value seen before costs no string.
    numbers: HashMap<u64, u32, FixedState>,
    known: Vec<(Facet, SmolStr)>,
}

impl Values {
    fn number(&mut self, facet: Facet, value: impl Hash, name: impl FnOnce() -> SmolStr) -> u32 {
        let Self { numbers, known } = self;
        *numbers.entry(FixedState::default().hash_one((facet, value))).or_insert_with(|| {
            known.push((facet, name()));
            u32::try_from(known.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Takes out all values, each with its place among them, ascending by facet and name; those of one name share one.
    pub(super) fn take(&mut self) -> Ranked {
        let known = std::mem::take(self).known;
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
pub(super) struct Ranked {
    known: Vec<(Facet, SmolStr)>,
    ranks: Vec<u32>,
}

impl Ranked {
    fn rank(&self, number: u32) -> u32 {
        usize::try_from(number).ok().and_then(|at| self.ranks.get(at)).copied().unwrap_or_default()
    }

    fn seen(&self, number: u32, span: Span) -> Option<Seen> {
        let (facet, value) = self.known.get(usize::try_from(number).ok()?)?;
        Some(Seen { facet: *facet, value: value.clone(), span })
    }
}

/// What a token did since the last commit.
#[derive(Debug)]
pub(super) struct Pending {
    /// All but the values.
    used: TokenUse,
    numbers: Vec<u32>,
    spans: Vec<Span>,
    /// The places of the numbers, if there are more than a few.
    places: HashMap<u32, usize, FixedState>,
}

impl Pending {
    pub(super) fn new(principal: &SmolStr, usage: &Usage) -> Self {
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
        Self { used, numbers: Vec::new(), spans: Vec::new(), places: HashMap::default() }
    }

    pub(super) fn add(&mut self, usage: &Usage, place: &Place, values: &mut Values) {
        let time = usage.time;
        self.used.count(time, usage.outcome(), usage.bytes);
        if let Some(ip) = usage.client {
            self.see(values.number(Facet::Address, ip, || ip.to_smolstr()), time);
        }
        if let Some(asn) = place.asn {
            let name = || format_smolstr!("AS{asn} {}", place.organization);
            self.see(values.number(Facet::Network, asn, name), time);
        }
        if let Some(country) = place.country {
            self.see(values.number(Facet::Country, country, || country.to_smolstr()), time);
        }
        let agent = &usage.agent;
        if !agent.family.is_empty() {
            let name = || client(&agent.family, &agent.version);
            self.see(values.number(Facet::Client, agent, name), time);
        }
        let (method, route) = (&usage.method, &usage.route);
        let name = || format_smolstr!("{method} {route}");
        self.see(values.number(Facet::Route, (method, route), name), time);
    }

    fn see(&mut self, number: u32, time: Timestamp) {
        let at = match self.places.is_empty() {
            true => self.numbers.iter().position(|known| *known == number),
            false => self.places.get(&number).copied(),
        };
        if let Some(span) = at.and_then(|at| self.spans.get_mut(at)) {
            return span.extend(time);
        }
        self.numbers.push(number);
        self.spans.push(Span::once(time));
        if self.numbers.len() > FEW {
            let n_placed = self.places.len();
            let new = self.numbers.iter().enumerate().skip(n_placed);
            self.places.extend(new.map(|(at, number)| (*number, at)));
        }
    }

    pub(super) fn finish(self, values: &Ranked) -> TokenUse {
        let mut seen: Vec<(u32, u32, Span)> = self
            .numbers
            .into_iter()
            .zip(self.spans)
            .map(|(number, span)| (values.rank(number), number, span))
            .collect();
        seen.sort_unstable_by_key(|(rank, number, _)| (*rank, *number));
        seen.dedup_by(|(rank, _, span), (before, _, sum)| {
            let is_same = rank == before;
            if is_same {
                *sum = sum.and(*span);
            }
            is_same
        });
        let facets = seen.into_iter().filter_map(|(_, number, span)| values.seen(number, span));
        TokenUse { facets: facets.collect(), ..self.used }
    }
}

fn client(family: &str, version: &str) -> SmolStr {
    format_smolstr!("{family} {version}").trim_end().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::profile::tests::usage;
    use crate::engine::time::{HOUR, SECOND};

    proptest! {
        #[test]
        fn every_value_is_there_once_with_all_its_uses(
            uses in prop::collection::vec((0_i64..100, 0_u8..120, 0_u8..2), 1..300),
        ) {
            let mut values = Values::default();
            let mut expected: BTreeMap<(Facet, SmolStr), Span> = BTreeMap::new();
            let mut pending = None;
            for (minute, host, client) in uses {
                let mut usage = usage(minute * 60 * SECOND);
                usage.client = Some([192, 0, 2, host].into());
                // Two that are named alike.
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
                pending
                    .get_or_insert_with(|| Pending::new(&SmolStr::default(), &usage))
                    .add(&usage, &Place::default(), &mut values);
            }
            let used = pending.unwrap().finish(&values.take());
            let seen = used.facets.into_iter().map(|seen| ((seen.facet, seen.value), seen.span));
            prop_assert_eq!(seen.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
            prop_assert!(values.known.is_empty());
        }
    }

    #[test]
    fn hours_ascend_in_whatever_order_they_come() {
        let times = [5, 3, 4, 3, 5].map(|hour| usage(hour * HOUR));
        let mut values = Values::default();
        let mut pending = Pending::new(&SmolStr::default(), &times[0]);
        times.iter().for_each(|usage| pending.add(usage, &Place::default(), &mut values));
        let first = times[1].time.hour();
        let hours = pending.finish(&values.take()).hours.into_iter();
        let hours: Vec<_> =
            hours.map(|(hour, activity)| (hour - first, activity.requests)).collect();
        assert_eq!(hours, [(0, 2), (1, 1), (2, 2)]);
    }
}
