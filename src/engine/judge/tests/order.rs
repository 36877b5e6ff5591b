//! The order of lines within two minutes of one another does not change what is reported.
//!
//! The lives are the same in each run: evidence that depends on what came a moment before may still reach another
//! height in another order, about once in a thousand alerts (docs/detection.md, Determinism).

use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

/// How far lines may be out of order.
const WITHIN: i64 = 2 * MINUTE;

/// Tokens of four principals, so that none of them is one of a fleet; one leaked, one is bait, one was revoked.
const TOKENS: [u8; 6] = [1, 2, 3, 4, 5, 20];

/// Lives that are judged, three times each.
const CASES: u32 = 32;

/// What counts requests: a line that comes twice is two.
const COUNTING: [&str; 4] = ["unusual-use", "rate-spike", "volume-spike", "fan-out"];

/// A day, minutes, a token, a place, a client, requests, in so many seconds, and chance.
type Visit = (i64, i64, usize, usize, u8, i64, i64, u8);

/// Visits to tokens: mostly from home, now and then by somebody else. None is at midnight: a day that has only lines
/// within two minutes of its end does not count if the next day's lines come first.
fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let minute = prop_oneof![3 => 8 * 60..18 * 60i64, 1 => 5..23 * 60i64];
    let token =
        prop_oneof![8 => Just(0usize), 8 => Just(2usize), 8 => Just(5usize), 1 => 0..TOKENS.len()];
    let requests = prop_oneof![6 => 1..6i64, 2 => 6..40i64, 1 => 40..200i64];
    let client = prop_oneof![8 => Just(0usize), 2 => Just(1usize), 1 => 0..CLIENTS.len()];
    let agent = prop_oneof![8 => Just(0u8), 1 => 0u8..3];
    let visit = (0..14i64, minute, token, client, agent, requests, 1..1800i64, any::<u8>());
    prop::collection::vec(visit, 30..120)
}

/// Returns the requests of visits, in the order of their times. Each day begins with a use from home: the first use
/// of a day is compared with one active day less.
fn lived(visits: &[Visit]) -> Vec<Usage> {
    let mut usages: Vec<Usage> = Vec::new();
    for (day, minute, token, client, agent, requests, seconds, chance) in visits.iter().copied() {
        let start = day * DAY + minute * MINUTE + i64::from(chance % 60) * SECOND;
        let step = seconds * SECOND / requests;
        usages.extend((0..requests).map(|n| {
            // Now and then somebody else comes in between.
            let is_strange = chance % 8 == 3 && n == requests / 2;
            let (client, agent) = if is_strange { (3, 9) } else { (client, agent) };
            Usage {
                token: TokenId([TOKENS[token]; 16]),
                client: Some(CLIENTS[client].parse().unwrap()),
                agent: Agent { family: format!("client-{agent}").into(), version: "1.0".into() },
                route: format!("/v1/{}", (i64::from(chance) + n * n) % 5).into(),
                status: Some(if chance % 16 == 1 && n % 2 == 0 { 401 } else { 200 }),
                carrier: match chance % 16 {
                    2 => Carrier::Query("api_key".into()),
                    _ => Carrier::Header("authorization".into()),
                },
                ..usage(start + n * step)
            }
        }));
    }
    let home = |day, token| Usage {
        token: TokenId([token; 16]),
        agent: Agent { family: "client-0".into(), version: "1.0".into() },
        ..usage(day * DAY + 3 * MINUTE)
    };
    usages.extend(TOKENS.into_iter().flat_map(|token| (0..14).map(move |day| home(day, token))));
    usages.sort_by_key(|usage| usage.time);
    usages
}

/// Each line is written so late, and those of which `is_double` says so are written twice.
fn written(usages: &[Usage], delays: &[i64], is_double: impl Fn(usize) -> bool) -> Vec<Usage> {
    let mut delays = delays.iter().cycle();
    let mut lines: Vec<(i64, &Usage)> = Vec::new();
    for (n, usage) in usages.iter().enumerate() {
        for delay in delays.by_ref().take(1 + usize::from(is_double(n))) {
            lines.push((usage.time.0 + delay, usage));
        }
    }
    lines.sort_by_key(|(written, _)| *written);
    lines.into_iter().map(|(_, usage)| usage.clone()).collect()
}

/// Principal, rule and worst level. What was reported at a worse level first is not reported at a milder one, too.
type Told = BTreeSet<(SmolStr, SmolStr, Level)>;

fn told(usages: &[Usage]) -> Told {
    let mut told = BTreeMap::new();
    for alert in judged(usages).alerts {
        let key = (alert.principal, alert.rule.name);
        let level = told.entry(key).or_insert(alert.rule.level);
        *level = alert.rule.level.max(*level);
    }
    told.into_iter().map(|((who, rule), level)| (who, rule, level)).collect()
}

#[test]
fn lines_out_of_order_within_two_minutes_tell_the_same() {
    let mut runner = TestRunner::deterministic();
    let mut rules = BTreeSet::new();
    for _ in 0..CASES {
        let usages = lived(&visits().new_tree(&mut runner).unwrap().current());
        let delays = prop::collection::vec(0..WITHIN, 997).new_tree(&mut runner).unwrap().current();
        let (in_order, shuffled) = (told(&usages), told(&written(&usages, &delays, |_| false)));
        assert_eq!(in_order, shuffled);
        let facts = |told: &Told| -> Told {
            told.iter().filter(|(_, rule, _)| !COUNTING.contains(&rule.as_str())).cloned().collect()
        };
        let doubled = told(&written(&usages, &delays, |n| n % 7 == 0));
        assert_eq!(facts(&in_order), facts(&doubled));
        rules.extend(in_order.into_iter().map(|(_, rule, _)| rule));
    }
    let reached = [
        "concurrent-use",
        "leaked-token-used",
        "new-country",
        "rate-spike",
        "token-in-url",
        "unusual-use",
    ];
    assert!(reached.iter().all(|rule| rules.contains(*rule)), "{rules:?}");
}
