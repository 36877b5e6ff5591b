//! Lives of several principals through the whole Judge: reported once, and the same however they are cut.

mod again;
mod cuts;
mod exposed;
mod health;
mod order;
mod others;
mod single;
mod strangers;
mod told;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::engine::alert::Incident;
use crate::engine::commit::{Commit, HouseRow, Notice, SubjectRow};
use crate::engine::geo::Country;
use crate::engine::ledger::{Activity, Seen, TokenUse};
use crate::engine::memory::Subject;
use crate::engine::profile::tests::{START, berlin, lagos, rented, usage};
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::usage::{Agent, Carrier, Identity, Object};
use crate::engine::word::{Verdict, Word};

/// Three places, by the first byte of the address.
struct World;

impl Atlas for World {
    fn place(&self, address: IpAddr) -> Place {
        match address {
            IpAddr::V4(v4) if v4.octets()[0] == 192 => berlin(),
            IpAddr::V4(v4) if v4.octets()[0] == 198 => lagos(),
            IpAddr::V4(_) => rented(),
            IpAddr::V6(_) => Place::default(),
        }
    }

    fn border_distance_km(&self, _: Country, _: Country) -> Option<f64> {
        None
    }
}

const CLIENTS: [&str; 5] =
    ["192.0.2.10", "192.0.2.200", "198.51.100.7", "203.0.113.9", "2001:db8::1"];

/// Two tokens of one name, one that leaked, one that is bait, one more, and somebody by name; the others are not
/// registered.
fn registry() -> Registry {
    let row = |n: u8, name: &str| Registered {
        token: Some(TokenId([n; 16])),
        name: name.into(),
        ..Registered::default()
    };
    Registry::new([
        row(1, "orders"),
        row(2, "orders"),
        Registered { leaked_at: Some(START.plus(2 * DAY)), ..row(3, "reports") },
        Registered { decoy: true, ..row(4, "bait") },
        Registered { revoked_at: Some(START.plus(DAY)), ..row(5, "orders") },
        row(6, "stock"),
        Registered { token: None, ..row(7, "basic:anna") },
    ])
}

/// Returns a judge that reports guessing early, so that short streams reach it.
pub(super) fn judge() -> Judge {
    let mut params = Params::default();
    params.guessing.tokens = 3.0;
    params.guessing.tries = 4.0;
    params.guessing.spread_tokens = 4.0;
    params.guessing.spread_sources = 2.0;
    params.objects.objects = 3.0;
    Judge::new(params, RuleSet::built_in(), registry(), Policy::default())
}

/// The contents of a store after commits: later rows replace, counts are summed, news is appended.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Books {
    subjects: BTreeMap<SmolStr, Vec<u8>>,
    tokens: BTreeMap<TokenId, TokenUse>,
    refused_unknown: u64,
    pub(super) alerts: Vec<Alert>,
    incidents: BTreeMap<SmolStr, Incident>,
    notices: Vec<Notice>,
    house: BTreeMap<SmolStr, Vec<u8>>,
}

impl Books {
    fn commit(&mut self, commit: Commit) {
        self.subjects.extend(commit.subjects.into_iter().map(|row| (row.principal, row.blob)));
        self.refused_unknown += commit.ledger.refused_unknown;
        for (token, used) in commit.ledger.tokens {
            match self.tokens.get_mut(&token) {
                Some(sum) => add(sum, used),
                None => {
                    self.tokens.insert(token, used);
                }
            }
        }
        self.alerts.extend(commit.alerts);
        let incidents = commit.incidents.into_iter();
        self.incidents.extend(incidents.map(|incident| (incident.id.clone(), incident)));
        self.notices.extend(commit.notices);
        self.house.extend(commit.house.into_iter().map(|row| (row.name, row.body)));
    }

    /// A memory as after a restart.
    fn recalled(&self) -> Memory {
        let mut memory = Memory::new(2);
        let row = |(name, body): (&SmolStr, &Vec<u8>)| HouseRow {
            name: name.clone(),
            body: body.clone(),
        };
        assert!(memory.furnish(&self.house.iter().map(row).collect::<Vec<_>>()).is_empty());
        memory
    }

    /// Judges usages as the loop does.
    pub(super) fn judge(&self, memory: &mut Memory, judge: &mut Judge, usages: &[Usage]) {
        if let Some(beat) = memory.due_by(usages) {
            let due = |(principal, blob): (&SmolStr, &Vec<u8>)| {
                let due = Subject::decode(blob).unwrap().profile.due();
                let row = SubjectRow { principal: principal.clone(), blob: blob.clone(), due };
                due.is_some_and(|due| due <= beat).then_some(row)
            };
            let rows = self.subjects.iter().filter_map(due).collect();
            assert!(memory.invite(rows).is_empty());
        }
        let strange = memory.missing_tokens(usages);
        let mut known: Vec<TokenId> =
            strange.into_iter().filter(|token| self.tokens.contains_key(token)).collect();
        known.sort_unstable();
        let names = memory.unknown_principals(usages, &known, &judge.registry);
        let rows = names.into_iter().filter_map(|principal| {
            let blob = self.subjects.get(&principal)?.clone();
            Some(SubjectRow { principal, blob, due: None })
        });
        memory.admit(usages, &known, &judge.registry);
        assert!(memory.remember(rows.collect()).is_empty());
        judge.judge(memory, usages, &World);
    }
}

fn add(sum: &mut TokenUse, more: TokenUse) {
    sum.first = sum.first.min(more.first);
    sum.last = sum.last.max(more.last);
    for (hour, activity) in more.hours {
        let at = sum.hours.binary_search_by_key(&hour, |(hour, _)| *hour);
        let at = at.unwrap_or_else(|at| {
            sum.hours.insert(at, (hour, Activity::default()));
            at
        });
        let known = &mut sum.hours[at].1;
        known.requests += activity.requests;
        known.ok += activity.ok;
        known.denied += activity.denied;
        known.failed += activity.failed;
        known.bytes += activity.bytes;
    }
    for seen in more.facets {
        let key = |seen: &Seen| (seen.facet, seen.value.clone());
        match sum.facets.binary_search_by_key(&key(&seen), key) {
            Ok(at) => sum.facets[at].span = sum.facets[at].span.and(seen.span),
            Err(at) => sum.facets.insert(at, seen),
        }
    }
}

/// What lives on across a commit, beside the books.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum After {
    /// Nothing: the program is started again.
    Restart,
    /// Two subjects, in memory.
    Forget,
}

/// Judges a stream cut at some places, with a commit after each so many parts. Words come no sooner than
/// with the part that they are due in.
pub(super) fn judged_in_parts(
    usages: &[Usage],
    cuts: &BTreeSet<usize>,
    n_parts: usize,
    after: After,
    words: &[Word],
) -> Books {
    let (mut books, mut judge, mut memory) = (Books::default(), judge(), Memory::new(2));
    judge.policy.budget = 1.0;
    judge.params.fleet.principals = 2.0;
    let inner = cuts.iter().copied().filter(|to| *to < usages.len());
    let ends: Vec<usize> = inner.chain([usages.len()]).collect();
    let mut from = 0;
    for (n, to) in (1..).zip(&ends) {
        let newest = usages.iter().take(*to).map(|usage| usage.time).max();
        let said = words.iter().filter(|word| Some(word.at) <= newest).cloned();
        judge.policy.words = Words::new(said.collect());
        books.judge(&mut memory, &mut judge, &usages[from..*to]);
        from = *to;
        if n % n_parts > 0 && n < ends.len() {
            continue;
        }
        books.commit(memory.take());
        match after {
            After::Forget => memory.forget(),
            After::Restart => {
                memory = books.recalled();
                judge.forget_places();
            }
        }
    }
    books
}

fn judged(usages: &[Usage]) -> Books {
    judged_with(usages, &[])
}

fn judged_with(usages: &[Usage], words: &[Word]) -> Books {
    judged_in_parts(usages, &BTreeSet::new(), 1, After::Forget, words)
}

pub(super) fn own(n: u8, micros: i64) -> Usage {
    Usage { token: TokenId([n; 16]), ..usage(micros) }
}

/// curl from a rented machine.
fn stranger(n: u8, micros: i64) -> Usage {
    Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..own(n, micros)
    }
}

/// Two principals that are used once a day for 20 days, `orders` by a stranger at the end.
fn theft() -> Vec<Usage> {
    let days = (0..20).flat_map(|n| [own(1, n * DAY), own(5, n * DAY + MINUTE)]);
    days.chain([stranger(1, 20 * DAY)]).collect()
}

fn word(books: &Books, number: u32, verdict: Verdict, days: i64) -> Word {
    let alerts: Vec<&Alert> = books.alerts.iter().collect();
    let word = Word::of(verdict, START.plus(days * DAY), &alerts).unwrap();
    Word { number, ..word }
}

fn names(books: &Books, after: usize) -> Vec<&str> {
    books.alerts[after..].iter().map(|alert| alert.rule.name.as_str()).collect()
}

/// Whether what an alert's sentences add comes to its score.
fn adds_up(alert: &Alert) -> bool {
    let sum: f64 = alert.reasons.iter().map(|reason| f64::from(reason.nats)).sum();
    match alert.facts.get("unusual.score") {
        Some(Value::Float(score)) if alert.rule.name == "unusual-use" => (sum - score).abs() < 1e-6,
        _ => true,
    }
}
