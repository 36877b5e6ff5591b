//! Who else uses a token: thieves, new actors, those whom the server refuses.

use super::*;

#[test]
fn a_stolen_machine_token_is_told_at_the_first_request() {
    let mut life = Life::default();
    assert_eq!(life.steady(10), 0.0);
    let signals = life.live(&stolen(10 * DAY), &rented());
    assert!(signals.score >= 10.0, "{signals:?}");
    assert_eq!(signals.tier, Tier::Critical);
    let again = life.live(&stolen(10 * DAY + SECOND), &rented());
    assert_eq!(again.tier, Tier::None, "told once");
    assert!(again.score >= 10.0);
}

#[test]
fn the_first_day_is_silent() {
    let mut life = Life::default();
    let day = (0..200).map(|n| {
        let agent = Agent { family: format!("client-{}", n % 7).into(), version: "1".into() };
        let from = if n % 2 == 0 { berlin() } else { rented() };
        (Usage { agent, ..usage(n * 5 * MINUTE) }, from)
    });
    assert_eq!(life.told(day), 0.0);
}

#[test]
fn a_thief_is_not_learned_within_two_weeks_and_the_owner_goes_on() {
    let mut life = Life::default();
    life.steady(10);
    for day in 10..20 {
        life.live(&stolen(day * DAY), &rented());
        let own = life.live(&usage(day * DAY + HOUR), &berlin());
        assert_eq!(own.tier, Tier::None);
        assert_eq!(own.actor, Evidence::default(), "day {day}");
    }
    assert!(life.compare(&stolen(20 * DAY), &rented()).novel.has(Family::Country));
}

#[test]
fn a_quiet_new_actor_is_learned_on_its_third_day() {
    let mut life = Life::default();
    life.steady(10);
    // another office of the same operator and client: only the addresses are new
    let office = |micros| Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) };
    for day in 10..13 {
        let signals = life.live(&office(day * DAY + HOUR), &berlin());
        assert!(signals.novel.has(Family::Prefix), "day {day}");
        assert_eq!(signals.tier, Tier::None);
    }
    assert!(!life.compare(&office(13 * DAY), &berlin()).novel.has(Family::Prefix));
}

#[test]
fn the_usual_provider_in_another_country_is_mostly_an_error_of_the_data() {
    let mut life = Life::default();
    life.steady(10);
    let moved =
        |provider: &Place| Place { asn: provider.asn, network: provider.network, ..lagos() };
    let away = |micros| Usage { client: Some("198.51.100.7".parse().unwrap()), ..usage(micros) };
    let usual = life.compare(&away(10 * DAY), &moved(&berlin()));
    let strange = life.compare(&away(10 * DAY), &lagos());
    assert!(usual.score + 3.0 < strange.score, "{} {}", usual.score, strange.score);
    assert!(usual.evidence.get(Family::Country) > Nats(0), "less is not nothing");
}

#[test]
fn who_is_held_back_and_comes_daily_is_not_told_to_have_slept() {
    let mut life = Life::default();
    life.steady(10);
    let slept = |signals: &Signals| signals.evidence.get(Family::Dormancy) > Nats(0);
    assert!(slept(&life.compare(&stolen(20 * DAY), &rented())));
    for day in 10..20 {
        assert!(!slept(&life.live(&stolen(day * DAY), &rented())), "day {day}");
    }
    assert!(!slept(&life.compare(&stolen(20 * DAY), &rented())));
}

#[test]
fn an_actor_whose_first_request_of_each_day_is_refused_is_learned_too() {
    let mut life = Life::default();
    life.steady(10);
    let office = |micros| Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) };
    for day in 10..13 {
        let stale = Usage { status: Some(401), ..office(day * DAY + HOUR) };
        life.live(&stale, &berlin()); // it fetches a new token and goes on
        for n in 1..4 {
            let signals = life.live(&office(day * DAY + HOUR + n * SECOND), &berlin());
            assert_eq!(signals.novel.has(Family::Prefix), day < 12 || n == 1, "day {day}");
        }
    }
    assert!(!life.compare(&office(13 * DAY), &berlin()).novel.has(Family::Prefix));
}

#[test]
fn refusals_teach_nothing_and_still_count() {
    let mut life = Life::default();
    life.steady(10);
    let before = life.profile.clone();
    for n in 0..500 {
        let refused = Usage { status: Some(401), ..stolen(10 * DAY + n * SECOND) };
        let signals = life.live(&refused, &rented());
        assert!(signals.score >= 8.0);
    }
    let after = &life.profile;
    assert_eq!((&before.pace, &before.tables), (&after.pace, &after.tables));
    assert_eq!((&before.hazards, &before.hours), (&after.hazards, &after.hours));
    assert_eq!((before.days, before.n_days, &before.fix), (after.days, after.n_days, &after.fix));
}

/// Returns what is reported about a thief who uses the owner's client for four days, and then tools.
fn told_of_a_patient_thief(threshold: Option<f64>) -> Vec<Tier> {
    let mut life = Life { threshold, ..Life::default() };
    life.params.score.critical = 15.0;
    life.steady(20);
    let client = Some("198.51.100.7".parse().unwrap());
    let days = (20..24).map(|day| Usage { client, ..usage(day * DAY + 10 * HOUR) });
    let more = Usage { route: "/v1/admin/keys".into(), ..stolen(28 * DAY + 10 * HOUR) };
    days.chain([more]).map(|usage| life.live(&usage, &rented()).tier).collect()
}

#[test]
fn what_a_budget_keeps_quiet_about_is_not_learned_sooner() {
    use Tier::{Alert, Critical, None as Nothing, Notice};
    let told = [None, Some(15.0)].map(told_of_a_patient_thief);
    assert_eq!(told[0], [Alert, Nothing, Nothing, Nothing, Critical]);
    assert_eq!(told[1], [Notice, Nothing, Nothing, Nothing, Critical]);
}

#[test]
fn the_requests_of_the_owner_erased_the_evidence_against_somebody_else() {
    for day in [13, 50] {
        let mut life = Life::default();
        life.steady(10);
        for (thief, n) in (64_990..64_993).zip(10..) {
            life.live(&stolen(n * DAY), &Place { asn: Some(thief), ..rented() });
        }
        life.told((13..day).map(|day| (usage(day * DAY), berlin())));
        let elsewhere = Place { asn: Some(64_777), ..berlin() };
        let ask = |n: i64| {
            let client = Some("203.0.113.9".parse().unwrap());
            let route = format!("/v1/secrets-{n}").into();
            Usage { client, route, ..usage(day * DAY + n * 10 * MINUTE) }
        };
        let mut routes = Vec::new();
        for n in 0..10 {
            routes.push(life.live(&ask(n), &elsewhere).routes);
            life.live(&usage(day * DAY + n * 10 * MINUTE + MINUTE), &berlin());
        }
        assert!(routes.is_sorted() && routes[9] >= 8, "day {day}: {routes:?}");
    }
}
