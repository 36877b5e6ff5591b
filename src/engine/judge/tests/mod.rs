//! Lives of several principals through the whole Judge: reported once, and the same however they are cut.

mod again;
mod health;
mod order;
mod others;

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
use crate::engine::usage::{Agent, Identity, Object};
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

fn usages() -> impl Strategy<Value = Vec<Usage>> {
    let step = prop_oneof![
        4 => 0..3 * SECOND,
        3 => 0..HOUR,
        2 => 6 * HOUR..DAY,
        1 => -2 * DAY..0,
    ];
    // tokens that are used, and such that are tried once
    let token = prop_oneof![3 => 1u8..8, 1 => 100u8..=255];
    let one = (step, token, 0..CLIENTS.len(), 0u8..3, 0u8..5, 0u8..8, 0u8..6);
    prop::collection::vec(one, 1..150).prop_map(|steps| {
        let mut now = 0;
        let stream = steps.into_iter().map(|(step, token, client, agent, route, status, at)| {
            now += step;
            Usage {
                token: TokenId([token; 16]),
                client: Some(CLIENTS[client].parse().unwrap()),
                agent: Agent { family: format!("client-{agent}").into(), version: "1.0".into() },
                route: format!("/v1/{route}").into(),
                bytes: if route == 4 { 90 << 20 } else { 612 },
                status: match token {
                    100.. if status > 0 => Some(401),
                    _ => [Some(200), None, Some(401), Some(404), Some(302), Some(503)]
                        .get(usize::from(status))
                        .copied()
                        .unwrap_or(Some(200)),
                },
                object: (status == 3).then(|| Object {
                    hash: u32::from(route) * 31 + u32::from(agent),
                    number: Some(u32::from(route)),
                }),
                carrier: match at {
                    0 => Carrier::Query("api_key".into()),
                    1 => Carrier::Referer("token".into()),
                    _ => Carrier::Header("authorization".into()),
                },
                identity: (token == 7).then(|| Identity::Basic("anna".into())),
                ..usage(now)
            }
        });
        stream.collect()
    })
}

/// Whether what an alert's sentences add comes to its score.
fn adds_up(alert: &Alert) -> bool {
    let sum: f64 = alert.reasons.iter().map(|reason| f64::from(reason.nats)).sum();
    match alert.facts.get("unusual.score") {
        Some(Value::Float(score)) if alert.rule.name == "unusual-use" => (sum - score).abs() < 1e-6,
        _ => true,
    }
}

/// What people say of some alerts, each so long after it.
fn words_on(alerts: &[Alert], said: &[(prop::sample::Index, bool, i64)]) -> Vec<Word> {
    let word = |(number, (which, is_fine, later)): (u32, &(prop::sample::Index, bool, i64))| {
        let alert = which.get(alerts);
        let verdict = if *is_fine { Verdict::Expected } else { Verdict::Confirmed };
        let word = Word::of(verdict, alert.time.plus(*later), &[alert])?;
        Some(Word { number, ..word })
    };
    let mut words: Vec<Word> = match alerts {
        [] => Vec::new(),
        _ => (1..).zip(said).filter_map(word).collect(),
    };
    words.sort_by_key(|word| word.at);
    words.iter_mut().zip(1..).for_each(|(word, number)| word.number = number);
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn it_does_not_matter_where_a_stream_is_cut(
        usages in usages(),
        cuts in prop::collection::btree_set(0usize..150, 0..20),
        said in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 0..3 * DAY), 0..6),
    ) {
        let words = words_on(&judged(&usages).alerts, &said);
        let whole = judged_with(&usages, &words);
        for alert in &whole.alerts {
            prop_assert!(adds_up(alert), "{:?}", alert);
        }
        for (n_parts, after) in [(1, After::Restart), (1, After::Forget), (3, After::Restart)] {
            prop_assert_eq!(&judged_in_parts(&usages, &cuts, n_parts, after, &words), &whole);
        }
    }
}

/// Ten days of one token, in which it is stolen, passed on, robbed and revoked, and sleeps for two months.
fn eventful() -> Vec<Usage> {
    let own = |micros| Usage { token: TokenId([1; 16]), ..usage(micros) };
    let mut usages: Vec<Usage> = (0..240).map(|n| own(n * HOUR)).collect();
    let thief = |micros| Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..own(micros)
    };
    let at = 10 * DAY;
    usages.extend([own(at), thief(at + 5 * MINUTE), own(at + 10 * MINUTE)]);
    let hands = (0..16).map(|n| Usage {
        client: Some(format!("198.51.{}.7", n % 8).parse().unwrap()),
        ..own(at + 50 * MINUTE + n * 4 * MINUTE)
    });
    usages.extend(hands);
    usages.push(Usage { bytes: 90 << 20, ..own(at + 5 * HOUR) });
    usages.push(Usage { token: TokenId([5; 16]), status: Some(401), ..own(at + 6 * HOUR) });
    usages.extend((1..4).map(|n| own(at + 60 * DAY + n * MINUTE)));
    usages
}

#[test]
fn an_eventful_life_is_told_the_same_however_it_is_cut() {
    let usages = eventful();
    let whole = judged(&usages);
    let told: BTreeSet<&str> = whole.alerts.iter().map(|alert| alert.rule.name.as_str()).collect();
    let expected =
        ["concurrent-use", "dead-token-tried", "dormant-token-woke", "fan-out", "volume-spike"];
    assert!(expected.iter().all(|name| told.contains(name)), "{told:?}");
    for step in [1, 2, 7] {
        let cuts = (0..usages.len()).step_by(step).collect();
        for after in [After::Restart, After::Forget] {
            assert_eq!(judged_in_parts(&usages, &cuts, 1, after, &[]), whole, "{step}");
        }
    }
}

#[test]
fn a_stolen_token_is_one_incident_with_one_mail() {
    let own = |micros| Usage { token: TokenId([1; 16]), ..usage(micros) };
    let theft = Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..own(20 * DAY + MINUTE)
    };
    let again = (0..5).map(|n| Usage { time: theft.time.plus(n * 5 * MINUTE), ..theft.clone() });
    let usages: Vec<Usage> = (0..20).map(|n| own(n * DAY)).chain(again).collect();
    let books = judged_in_parts(&usages, &BTreeSet::from([10, 21, 23]), 1, After::Restart, &[]);
    let told: Vec<&str> = books.alerts.iter().map(|alert| alert.rule.name.as_str()).collect();
    assert_eq!(told, ["unusual-use", "new-client", "new-country", "new-network"]);
    let unusual = &books.alerts[0];
    assert_eq!((unusual.rule.level, unusual.principal.as_str()), (Level::Critical, "orders"));
    assert!(unusual.reason.starts_with("client curl, never seen in 20 active days; "));
    assert!(unusual.risk > 88);
    assert_eq!((books.incidents.len(), books.notices.len()), (1, 1));
    let incident = books.incidents.values().next().unwrap();
    assert_eq!((incident.alerts, incident.level), (4, Level::Critical));
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

#[test]
fn that_a_country_is_not_allowed_stood_behind_the_signs_of_it() {
    let abroad = Usage { client: Some("198.51.100.7".parse().unwrap()), ..stranger(1, 20 * DAY) };
    let mut usages = theft();
    usages.pop();
    usages.push(abroad);
    let pinned = Registered {
        token: Some(TokenId([1; 16])),
        name: "orders".into(),
        countries: vec![Country::parse("DE").unwrap()],
        ..Registered::default()
    };
    let mut judge = judge();
    judge.registry = Registry::new([pinned]);
    let (mut books, mut memory) = (Books::default(), Memory::new(2));
    books.judge(&mut memory, &mut judge, &usages);
    books.commit(memory.take());
    let last = START.plus(20 * DAY);
    let of = |name: &str| {
        let told = books.alerts.iter().filter(|alert| alert.time == last);
        told.filter(|alert| alert.rule.name == name).map(|alert| &alert.reasons[0].text).next()
    };
    assert!(of("unusual-use").is_some(), "{:?}", names(&books, 0));
    for name in ["unusual-use", "new-country"] {
        assert!(of(name).is_none_or(|text| text.contains("not among the allowed")), "{name}");
    }
    assert!(of("new-client").is_none_or(|text| text.starts_with("client curl")));
}

#[test]
fn what_was_expected_is_not_told_again_and_news_weighs_less() {
    let theft = theft();
    let told = judged(&theft);
    let expected = word(&told, 1, Verdict::Expected, 21);
    let again: Vec<Usage> = theft.iter().cloned().chain([stranger(1, 60 * DAY)]).collect();
    assert!(judged(&again).alerts.len() > told.alerts.len(), "it would be told");
    let books = judged_with(&again, std::slice::from_ref(&expected));
    assert_eq!(names(&books, told.alerts.len()), ["dormant-token-woke"], "it did sleep");
    // Somebody else yet is less of a surprise.
    let else_where =
        |micros| Usage { client: Some("198.51.100.7".parse().unwrap()), ..own(1, micros) };
    let score = |books: &Books| match books.alerts.last().unwrap().facts.get("unusual.score") {
        Some(Value::Float(score)) => *score,
        _ => 0.0,
    };
    let twice: Vec<Usage> = theft.iter().cloned().chain([else_where(22 * DAY)]).collect();
    assert!(score(&judged_with(&twice, &[expected])) + 2.0 < score(&judged(&twice)));
}

#[test]
fn another_stranger_is_told_though_the_one_before_was_expected() {
    let theft = theft();
    let expected = Word {
        at: START.plus(20 * DAY + 10 * MINUTE),
        ..word(&judged(&theft), 1, Verdict::Expected, 0)
    };
    let agent = Agent { family: "wget".into(), version: "1.21".into() };
    let client = Some("198.51.100.7".parse().unwrap());
    let other = Usage { client, agent, ..own(1, 20 * DAY + 30 * MINUTE) };
    let told = |later: Usage, words: &[Word]| {
        let usages: Vec<Usage> = theft.iter().cloned().chain([later]).collect();
        let books = judged_with(&usages, words);
        books.alerts.iter().filter(|alert| alert.rule.name == "unusual-use").count()
    };
    let expected = std::slice::from_ref(&expected);
    assert_eq!((told(other.clone(), &[]), told(other, expected)), (1, 2));
    // The one who was expected is still at it.
    assert_eq!(told(stranger(1, 20 * DAY + 30 * MINUTE), expected), 1);
}

#[test]
fn each_stranger_who_takes_turns_is_told_and_again_once_that_is_confirmed() {
    let agent = Agent { family: "wget".into(), version: "1.21".into() };
    let client = Some("198.51.100.7".parse().unwrap());
    let other = |micros| Usage { client, agent: agent.clone(), ..own(1, micros) };
    let past = || (0..20).map(|n| own(1, n * DAY));
    let at = |day: i64, minute: i64| day * DAY + minute * MINUTE;
    let in_turns = |day: i64| {
        [
            own(1, at(day, 0)),
            stranger(1, at(day, 2)),
            own(1, at(day, 4)),
            other(at(day, 6)),
            own(1, at(day, 8)),
        ]
    };
    let told = |days: &[i64], words: &[Word]| {
        let usages: Vec<Usage> = past().chain(days.iter().flat_map(|day| in_turns(*day))).collect();
        let books = judged_with(&usages, words);
        books.alerts.iter().filter(|alert| alert.rule.name == "concurrent-use").count()
    };
    // Both within the hour, at the owner's use.
    assert_eq!((told(&[20], &[]), told(&[20, 22], &[])), (2, 2));
    let first: Vec<Usage> = past().chain(in_turns(20)).collect();
    let confirmed = word(&judged(&first), 1, Verdict::Confirmed, 21);
    assert_eq!(told(&[20, 22], &[confirmed]), 4);
}

#[test]
fn after_a_theft_was_confirmed_the_next_thief_was_not_told_for_a_day() {
    let next = Usage {
        client: Some("198.51.100.7".parse().unwrap()),
        agent: Agent { family: "wget".into(), version: "1.21".into() },
        ..own(1, 20 * DAY + 3 * HOUR)
    };
    let told = judged(&theft());
    let usages: Vec<Usage> = theft().into_iter().chain([next]).collect();
    let n_told = |words: &[Word]| {
        let books = judged_with(&usages, words);
        names(&books, told.alerts.len()).into_iter().filter(|name| *name == "unusual-use").count()
    };
    let said = |verdict| {
        let alerts: Vec<&Alert> = told.alerts.iter().collect();
        Word::of(verdict, START.plus(20 * DAY + HOUR), &alerts)
            .map(|word| Word { number: 1, ..word })
    };
    let after = |verdict| n_told(&[said(verdict).unwrap()]);
    // One story a day, until somebody has read it.
    assert_eq!((n_told(&[]), after(Verdict::Expected), after(Verdict::Confirmed)), (0, 1, 1));
}

#[test]
fn a_quiet_site_with_a_budget_hears_of_less() {
    let threshold = |alerts: &[Alert]| {
        let unusual = alerts.iter().find(|alert| alert.rule.name == "unusual-use").unwrap();
        unusual.facts.get("unusual.threshold").cloned()
    };
    assert_eq!(threshold(&judged(&theft()).alerts), Some(Value::Float(6.0)));
    let mut judge = judge();
    let mut memory = Memory::new(9);
    Books::default().judge(&mut memory, &mut judge, &theft());
    assert_eq!(threshold(&memory.take().alerts), Some(Value::Float(7.0)));
}

#[test]
fn what_was_confirmed_is_forgotten_and_never_learned() {
    let theft = theft();
    let told = judged(&theft);
    // The thief stays for so long that it would be learned.
    let stay = (21..60).map(|day| stranger(1, day * DAY));
    let stays: Vec<Usage> = theft.iter().cloned().chain(stay).collect();
    let (n, at) = (stays.len(), |day| vec![stranger(1, day * DAY)]);
    let last = |books: &Books| {
        let subject = Subject::decode(&books.subjects["orders"]).unwrap();
        subject.profile.active_days()
    };
    let confirmed = word(&told, 1, Verdict::Confirmed, 22);
    let books = judged_with(&stays, std::slice::from_ref(&confirmed));
    assert_eq!((last(&judged(&stays)) > 40, last(&books)), (true, 20));
    // Confirmed late: what it taught is gone, and it is reported when it comes back.
    let late: Vec<Usage> = stays.iter().cloned().chain(at(63)).collect();
    let confirmed = Word { at: START.plus(62 * DAY), ..confirmed };
    let before = judged(&stays).alerts.len();
    assert_eq!(judged(&late).alerts.len(), before);
    let books = judged_with(&late, std::slice::from_ref(&confirmed));
    assert!(names(&books, before).contains(&"unusual-use"), "{:?} {n}", names(&books, before));
    // It was seen, and that is not denied.
    let alert = books.alerts.iter().rev().find(|alert| alert.rule.name == "unusual-use").unwrap();
    let says = |text: &str| alert.reasons.iter().any(|reason| reason.text.contains(text));
    assert!(says(", not one of its own in ") && !says("never seen"), "{:?}", alert.reasons);
    // The owner's own values are still known.
    let owner: Vec<Usage> = stays.iter().cloned().chain([own(1, 63 * DAY)]).collect();
    assert_eq!(judged_with(&owner, &[confirmed]).alerts.len(), before);
}

#[test]
fn misuse_of_one_principal_is_evidence_for_all_for_a_month() {
    let theft = theft();
    let told = judged(&theft);
    let confirmed = word(&told, 1, Verdict::Confirmed, 21);
    let taken_back = word(&told, 2, Verdict::Expected, 22);
    for (day, words, is_watched) in [
        (23, vec![confirmed.clone()], true),
        (20, vec![confirmed.clone()], false),
        (52, vec![confirmed.clone()], false),
        (23, vec![confirmed, taken_back], false),
    ] {
        let other = stranger(5, day * DAY + 2 * MINUTE);
        let usages: Vec<Usage> = theft.iter().cloned().chain([other]).collect();
        let books = judged_with(&usages, &words);
        let alert = books.alerts.iter().rev().find(|alert| alert.rule.name == "unusual-use");
        let nats = alert.unwrap().facts.get("unusual.watched");
        assert_eq!(nats, is_watched.then_some(&Value::Float(1.0)), "{day}");
        let says = alert.unwrap().reason.contains("misuse by these was confirmed recently");
        assert_eq!(says, is_watched);
    }
}

#[test]
fn a_burst_that_was_expected_is_not_told_the_next_time() {
    let steady = |days: std::ops::Range<i64>| {
        days.flat_map(|day| (0..144).map(move |n| own(1, day * DAY + n * 10 * MINUTE)))
    };
    let burst = |day: i64| (0..400).map(move |n| own(1, day * DAY + HOUR + n * SECOND));
    let usages: Vec<Usage> =
        steady(0..20).chain(burst(20)).chain(steady(21..24)).chain(burst(24)).collect();
    let told = judged(&usages);
    let days = |books: &Books| -> BTreeSet<i64> {
        books.alerts.iter().map(|alert| alert.time.since(START) / DAY).collect()
    };
    assert_eq!(days(&told), BTreeSet::from([20, 24]));
    assert!(told.alerts.iter().all(adds_up), "{:?}", told.alerts);
    let alone = |alert: &&Alert| alert.reasons.iter().any(|why| why.how.ends_with("alone at most"));
    assert!(told.alerts.iter().find(alone).is_some(), "the rate alone is held");
    let first: Vec<&Alert> =
        told.alerts.iter().filter(|alert| alert.time < START.plus(21 * DAY)).collect();
    let expected = Word::of(Verdict::Expected, START.plus(22 * DAY), &first).unwrap();
    let books = judged_with(&usages, &[Word { number: 1, ..expected }]);
    assert_eq!(days(&books), BTreeSet::from([20]));
}

#[test]
fn a_token_in_a_referer_is_told_and_teaches_nothing() {
    let used = usage(0);
    let carrier = Carrier::Referer("token".into());
    let exposed = Usage { carrier, time: used.time.plus(2 * DAY), ..usage(0) };
    let books = judged(&[used.clone(), exposed.clone()]);
    assert_eq!(books.alerts.len(), 1);
    assert_eq!(books.alerts[0].rule.name, "token-in-referer");
    let subject = books.subjects.values().next().unwrap();
    let subject = Subject::decode(subject).unwrap();
    assert_eq!(subject.profile.last_seen(), Some(used.time));
    assert!(judged(&[exposed]).alerts.is_empty(), "anybody can invent a Referer");
}

#[test]
fn two_pieces_of_news_of_one_second_have_ids_of_their_own() {
    let bait = |client: &str| Usage {
        token: TokenId([4; 16]),
        client: Some(client.parse().unwrap()),
        ..usage(0)
    };
    let books = judged(&[bait("192.0.2.10"), bait("203.0.113.9")]);
    let is_bait = |alert: &&Alert| alert.rule.name == "honeytoken-used";
    let ids: BTreeSet<_> = books.alerts.iter().filter(is_bait).map(|alert| &alert.id).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_line_with_a_wrong_clock_does_not_silence_the_present() {
    let leaked = |time| Usage { token: TokenId([3; 16]), time, ..usage(0) };
    let wrong = leaked(START.plus(3650 * DAY));
    let days = (3..7).map(|day| leaked(START.plus(day * DAY)));
    let usages: Vec<Usage> = std::iter::once(wrong).chain(days).collect();
    let books = judged(&usages);
    let is_now = |alert: &&Alert| alert.time < START.plus(3650 * DAY);
    let told: BTreeSet<_> = books.alerts.iter().filter(is_now).map(|a| &a.incident).collect();
    assert!(!told.is_empty(), "{:?}", books.alerts);
    assert!(!books.incidents.values().any(|one| one.last.since(one.opened) > DAY));
}

#[test]
fn tokens_that_nobody_knows_and_the_server_refuses_leave_no_rows() {
    let guess = |n: u8| Usage {
        token: TokenId([n; 16]),
        status: Some([400, 401, 403, 404, 429][usize::from(n % 5)]),
        ..usage(0)
    };
    let usages: Vec<Usage> = (100..200).map(guess).collect();
    let mut books = judged_in_parts(&usages, &BTreeSet::from([50]), 1, After::Forget, &[]);
    let told: Vec<_> = books.alerts.drain(..).map(|alert| alert.rule.name).collect();
    assert_eq!(
        (told, books.incidents.len(), books.notices.len()),
        (vec!["token-guessing".into()], 1, 1)
    );
    (books.incidents, books.notices) = Default::default();
    assert!(books.house.keys().all(|name| {
        name == "clock" || name.starts_with("sources.") || name.starts_with("groups.")
    }));
    books.house.clear();
    let refused = Books { refused_unknown: 100, ..Books::default() };
    assert_eq!(books, refused);
}

#[test]
fn a_server_that_fails_makes_no_token_known_and_no_guesses() {
    let during_an_outage = |n: u8| Usage {
        token: TokenId([n; 16]),
        status: Some(500 + u16::from(n % 5)),
        ..usage(i64::from(n) * SECOND)
    };
    let mut books = judged(&(100..200).map(during_an_outage).collect::<Vec<_>>());
    assert!(books.house.keys().all(|name| name == "clock"), "{:?}", books.house.keys());
    books.house.clear();
    assert_eq!(books, Books { refused_unknown: 100, ..Books::default() });
    let redirected = Usage { status: Some(302), ..during_an_outage(100) };
    assert_eq!(judged(&[redirected]).tokens.len(), 1, "many an API redirects");
}

#[test]
fn who_guesses_has_a_source_and_who_guesses_right_a_token() {
    let tried = |n: u8| Usage {
        token: TokenId([n; 16]),
        client: Some("198.51.100.7".parse().unwrap()),
        status: Some(401),
        ..usage(20 * DAY + i64::from(n) * SECOND)
    };
    let own = (0..20).map(|n| Usage { token: TokenId([1; 16]), ..usage(n * DAY) });
    let found = Usage { token: TokenId([1; 16]), status: Some(200), ..tried(250) };
    let usages: Vec<Usage> = own.chain((100..150).map(tried)).chain([found]).collect();
    let books = judged_in_parts(&usages, &BTreeSet::from([30, 60]), 1, After::Restart, &[]);
    let alert = |name: &str| books.alerts.iter().find(|alert| alert.rule.name == name);
    let guessing = alert("token-guessing").unwrap();
    assert_eq!((guessing.principal.as_str(), &guessing.token), ("source:198.51.100.0/24", &None));
    assert_eq!(guessing.rule.level, Level::High);
    let success = alert("success-after-guessing").unwrap();
    assert_eq!((success.principal.as_str(), success.rule.level), ("orders", Level::Critical));
    assert_eq!(success.token.as_ref().map(|token| token.id), Some(TokenId([1; 16])));
    let words = "accepted from 198.51.100.0/24, where it was never used before and ";
    assert!(success.reason.starts_with(words), "{}", success.reason);
}
