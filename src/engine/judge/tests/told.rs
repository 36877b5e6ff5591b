//! What a detector states, and what its own rule makes of it: what one keeps apart, the other must not drop as the
//! same.

use super::*;
use crate::engine::detect::detect;
use crate::engine::house::Exposures;
use crate::engine::incident::within;
use crate::engine::profile::tests::Life;
use crate::engine::requests::Requests;
use crate::engine::rule::Dimension;
use crate::engine::usage::{Claims, Transport};

/// One principal, and what the built-in rules make of its usages.
#[derive(Default)]
struct Scene {
    life: Life,
    desk: Desk,
    params: Params,
    row: Option<Registered>,
    /// Every alert's rule with what its detectors reported, and when.
    told: Vec<(SmolStr, Vec<u32>, Timestamp)>,
}

impl Scene {
    fn of(row: Registered) -> Self {
        Self { row: Some(row), ..Self::default() }
    }

    /// Judges a usage by the built-in rules, of which each alert has the name and the reason.
    fn told(&mut self, usage: &Usage, place: &Place) -> Vec<(SmolStr, String)> {
        let Self { life, desk, params, row, .. } = self;
        let placed = Placed::new(usage, place);
        let signals = life.compare(usage, place);
        let exposures = &mut Exposures::default();
        let facts = detect(&placed, &signals, row.as_ref(), &mut life.profile, exposures, params);
        life.profile.absorb(&placed, &signals, &params.profile);
        let (about, principal) = (About::Usages, "orders");
        let brought = Brought::default();
        let of = Of { about, principal, facts: &facts, token: None, brought };
        let (rules, policy) = (RuleSet::built_in(), Policy::default());
        let told = told_of(&rules, &policy, desk, &placed, &of);
        let view = View { about, usage: Some((usage, place)), principal, facts: &facts };
        let keys = |rule: &Rule| {
            let of_rule = facts.reports.iter().filter(|one| rule.detectors.contains(&one.by));
            of_rule.map(|report| report.key).collect::<Vec<_>>()
        };
        for rule in rules.matching(&view) {
            let (name, keys) = (&rule.head.name, keys(rule));
            let is_told = told.iter().any(|(alert, _)| alert.rule.name == *name);
            let of_rule = facts.reports.iter().filter(|one| rule.detectors.contains(&one.by));
            let period = of_rule.map(|one| one.period).min().unwrap_or_default();
            let is_left = !rule.once.per.contains(&Dimension::Report)
                || !keys.is_empty() && within(rule, &facts) == period - MINUTE;
            assert!(is_left, "{name} does not leave to its detector what it repeats, and when");
            let is_same = |(known, of, at): &(SmolStr, Vec<u32>, Timestamp)| {
                known == name && *of == keys && usage.time.since(*at) < period
            };
            // Somebody about whom more is reported than can be remembered.
            let is_repeated = !keys.is_empty() && self.told.iter().any(is_same);
            assert!(is_told || is_repeated, "{name} was dropped: {:?}", facts.reasons);
            self.told.push((name.clone(), keys, usage.time));
        }
        told.into_iter().map(|(alert, _)| (alert.rule.name, alert.reason)).collect()
    }

    /// Counts the alerts of a rule that usages at home cause.
    fn count(&mut self, rule: &str, usages: impl IntoIterator<Item = Usage>) -> usize {
        let of_rule = |usage: Usage| {
            let told = self.told(&usage, &berlin());
            told.into_iter().filter(|(name, _)| name == rule).count()
        };
        usages.into_iter().map(of_rule).sum()
    }
}

fn row() -> Registered {
    Registered { token: Some(usage(0).token), name: "orders".into(), ..Registered::default() }
}

/// What may be said of a token.
fn rows() -> Vec<Option<Registered>> {
    let (day, never) = (Some(START.plus(DAY)), Timestamp(i64::MAX));
    vec![
        None,
        Some(Registered { decoy: true, ..row() }),
        Some(Registered { leaked_at: day, ..row() }),
        Some(Registered { revoked_at: day, ..row() }),
        Some(Registered { rotated_at: day, rotated_to: "next".into(), ..row() }),
        Some(Registered { expires_at: day, ..row() }),
        Some(Registered { expires_at: Some(START.plus(14 * DAY)), ..row() }),
        Some(Registered { expires_at: Some(never), mfa: Some(false), ..row() }),
        Some(Registered { countries: vec![Country::parse("FR").unwrap()], ..row() }),
        Some(Registered { networks: vec!["203.0.113.0/24".parse().unwrap()], ..row() }),
    ]
}

/// A use that differs from the usual one in what the bits of `n` say.
fn varied(n: u64, at: i64) -> (Usage, Place) {
    let is = |bit: u32| n >> bit & 1 == 1;
    let one_of = |bit: u32, n_of: u64| (n >> bit) % n_of;
    let mut used = usage(at);
    let place = if is(0) { rented() } else { berlin() };
    if is(1) {
        used.agent = Agent { family: "curl".into(), version: "8.5".into() };
    }
    used.client = Some(if is(0) { "203.0.113.9" } else { "192.0.2.10" }.parse().unwrap());
    used.token = TokenId([if is(2) { 7 } else { 8 }; 16]);
    used.status = [Some(200), Some(200), Some(401), None][usize::try_from(one_of(3, 4)).unwrap()];
    used.transport = match one_of(5, 4) {
        0 => Transport::Plain,
        1 => Transport::Tls10,
        _ => Transport::Tls,
    };
    if is(7) && is(8) {
        used.carrier = Carrier::Query("api_key".into());
    }
    used.bytes = if is(9) && is(10) { 80_000_000 } else { 600 };
    let late = [90, 3 * 3600, 100 * 3600][usize::try_from(one_of(11, 3)).unwrap()];
    used.claims = Claims {
        expires_at: is(13).then(|| used.time.plus(-late * SECOND)),
        issued_at: is(14).then(|| used.time.plus(-DAY)),
        is_unsigned: is(15) && is(16),
        ..Claims::default()
    };
    used.most_bits = (is(17) && is(18)).then_some(40);
    (used, place)
}

#[test]
fn no_fact_that_a_detector_states_is_dropped_by_its_own_rule() {
    let mut names = BTreeSet::new();
    for (seed, row) in (1_u64..).zip(rows()) {
        let mut scene = Scene { row, ..Scene::default() };
        scene.params.sensitive = vec![Requests::parse("GET:/v1/orders").unwrap()];
        scene.life.steady(9);
        let mut n = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for step in 0..600_i64 {
            n = n.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let (used, place) = varied(n >> 33, 9 * DAY + step * 7 * MINUTE);
            names.extend(scene.told(&used, &place).into_iter().map(|(name, _)| name));
        }
    }
    assert!(names.len() >= 16, "{names:?}");
}

#[test]
fn a_jwt_accepted_ninety_seconds_late_hid_that_it_was_for_hours() {
    let mut scene = Scene::default();
    scene.life.steady(10);
    let late = |seconds: i64| {
        let used = usage(10 * DAY + seconds * SECOND);
        let expires_at = Some(START.plus(10 * DAY));
        Usage { claims: Claims { expires_at, ..Claims::default() }, ..used }
    };
    let told = |scene: &mut Scene, all: &[i64]| {
        scene.count("expired-token-accepted", all.iter().map(|seconds| late(*seconds)))
    };
    assert_eq!(told(&mut scene, &[90, 95]), 1);
    assert_eq!(told(&mut scene, &[3 * 3600, 4 * 3600, 20 * 3600]), 1, "hours");
    assert_eq!(told(&mut scene, &[28 * 3600, 50 * 3600]), 1, "more than a day");
}

#[test]
fn one_large_answer_hid_the_gigabytes_that_followed() {
    let mut scene = Scene::default();
    scene.life.steady(10);
    let answer = |hour: i64, route: &str, bytes: u64| Usage {
        route: route.into(),
        bytes,
        ..usage(10 * DAY + hour * HOUR)
    };
    let mut told = |usage| scene.count("volume-spike", [usage]);
    assert_eq!(told(answer(1, "/v1/export", 11 << 20)), 1);
    assert_eq!(told(answer(2, "/v1/orders", 3 << 30)), 1);
    assert_eq!(told(answer(3, "/v1/orders", 3 << 30)), 0, "as much again");
    assert_eq!(told(answer(4, "/v1/orders", 30 << 30)), 1);
}

#[test]
fn old_tls_or_another_token_hid_plain_http() {
    let mut scene = Scene::of(row());
    let sent = |minute: i64, token: u8, transport: Transport| Usage {
        token: TokenId([token; 16]),
        transport,
        ..usage(minute * MINUTE)
    };
    let mut told = |usage| scene.count("insecure-transport", [usage]);
    assert_eq!(told(sent(0, 1, Transport::Tls10)), 1);
    assert_eq!(told(sent(1, 1, Transport::Plain)), 1);
    assert_eq!(told(sent(2, 2, Transport::Plain)), 1);
    assert_eq!(told(sent(3, 2, Transport::Plain)), 0);
    let many = (3..60).map(|n| sent(i64::from(n), n, Transport::Plain));
    assert_eq!(many.map(told).sum::<usize>(), 4, "five by name, and that there are more");
}

#[test]
fn what_was_known_of_five_tokens_was_news_of_the_next_five() {
    let mut scene = Scene::of(row());
    let mut news = 0;
    for n in 0..30_u8 {
        let at = i64::from(n / 5) * DAY + i64::from(n % 5) * MINUTE;
        let sent = Usage { token: TokenId([n; 16]), transport: Transport::Plain, ..usage(at) };
        let told = scene.told(&sent, &berlin());
        let is_news = |(rule, reason): &&(SmolStr, String)| {
            rule == "insecure-transport" && !reason.contains("still")
        };
        assert!(told.iter().any(|(rule, _)| rule == "insecure-transport"), "{n}");
        news += told.iter().filter(is_news).count();
    }
    assert_eq!(news, 1);
}

#[test]
fn tokens_that_were_too_many_to_remember_were_each_told_again() {
    let mut scene = Scene::of(Registered { leaked_at: Some(START), ..row() });
    let uses = (0..10).flat_map(|hour| {
        (0..40).map(move |token| Usage { token: TokenId([token; 16]), ..usage(hour * HOUR) })
    });
    assert_eq!(scene.count("leaked-token-used", uses), 40);
}

#[test]
fn many_jwts_that_somebody_made_up_were_as_many_alerts() {
    let mut scene = Scene::default();
    scene.life.steady(10);
    let forged = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let mut used = usage(10 * DAY + i64::from(n) * SECOND);
        used.token = TokenId([high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
        used.claims.is_unsigned = true;
        used
    };
    assert_eq!(scene.count("jwt-alg-none", (0..300).map(forged)), 1);
    let elsewhere = |n| scene.told(&forged(n), &rented());
    let told: Vec<_> = (300..600).flat_map(elsewhere).collect();
    let is_forgery = |(rule, _): &&(SmolStr, String)| rule == "jwt-alg-none";
    assert_eq!(told.iter().filter(is_forgery).count(), 1, "another network");
}

#[test]
fn a_refused_decoy_hid_that_it_was_accepted() {
    let mut scene = Scene::of(Registered { decoy: true, ..row() });
    let used = |minute: i64, status: u16| Usage { status: Some(status), ..usage(minute * MINUTE) };
    let of = "honeytoken-used";
    assert_eq!(scene.count(of, [used(0, 401), used(5, 401)]), 1);
    assert_eq!(scene.count(of, [used(10, 200), used(20, 200)]), 1);
    assert_eq!(scene.count(of, [used(61, 401), used(71, 200)]), 2, "an hour later");
}

#[test]
fn a_token_in_ever_more_hands_was_told_of_once() {
    let mut scene = Scene::default();
    scene.life.steady(10);
    let mut told = 0;
    for (hour, hands) in [(8, 8), (9, 8), (10, 80), (11, 80), (12, 80)] {
        for n in 0..hands {
            let client = Some(format!("10.{n}.5.9").parse().unwrap());
            let used = Usage { client, ..usage(10 * DAY + hour * HOUR + n * 30 * SECOND) };
            let alerts = scene.told(&used, &Place::default());
            told += alerts.iter().filter(|(name, _)| name == "fan-out").count();
        }
    }
    assert!((2..=5).contains(&told), "each doubling once: {told}");
}

#[test]
fn a_jwt_that_ends_soon_hid_that_it_lives_for_years() {
    let mut scene = Scene::of(Registered { expires_at: Some(START.plus(5 * DAY)), ..row() });
    let used = |hour: i64| {
        let (issued_at, expires_at) = (Some(START.plus(-20 * DAY)), Some(START.plus(900 * DAY)));
        Usage {
            claims: Claims { issued_at, expires_at, ..Claims::default() },
            ..usage(hour * HOUR)
        }
    };
    let told = |hour| scene.told(&used(hour), &berlin());
    let told: Vec<_> = (0..4).flat_map(told).filter(|(name, _)| name == "lifecycle").collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].1.starts_with("expires in 5 days") && told[1].1.contains("920 days"));
}
