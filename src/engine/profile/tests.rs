//! Scenes: a principal's life, as a series of usages. `detect` builds its scenes with the same helpers.
#![allow(clippy::float_cmp, reason = "exact on purpose")]

use proptest::prelude::*;

use super::*;
use std::net::IpAddr;

use crate::engine::geo::{Atlas, Country, NetworkKind, NoAtlas, Place, Point};
use crate::engine::line::StreamId;
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::usage::{Agent, Carrier, Claims, Origin, Transport, Usage};
use crate::engine::word::Heard;

/// Monday, 2 March 2026.
pub(crate) const START: Timestamp = Timestamp(20_514 * DAY);

/// A usage at `START` + `micros`: one request of a machine, as usual as can be.
pub(crate) fn usage(micros: i64) -> Usage {
    Usage {
        time: START.plus(micros),
        token: TokenId([7; 16]),
        kind: "opaque".into(),
        hint: "...".into(),
        carrier: Carrier::Header("authorization".into()),
        identity: None,
        claims: Claims::default(),
        client: Some("192.0.2.10".parse().unwrap()),
        is_forgeable: false,
        agent: Agent { family: "orders-sync".into(), version: "1.4".into() },
        method: "GET".into(),
        route: "/v1/orders".into(),
        status: Some(200),
        bytes: 612,
        transport: Transport::Tls,
        service: "api".into(),
        object: None,
        origin: Origin { stream: StreamId::default(), offset: 0 },
    }
}

pub(crate) fn place(
    country: &str,
    city: &str,
    at: (f32, f32),
    asn: u32,
    network: NetworkKind,
) -> Place {
    Place {
        country: Country::parse(country),
        city: city.into(),
        point: Some(Point { latitude: at.0, longitude: at.1, radius_km: 20.0 }),
        asn: Some(asn),
        organization: "Example".into(),
        network: Some(network),
    }
}

pub(crate) fn berlin() -> Place {
    place("DE", "Berlin", (52.5, 13.4), 64500, NetworkKind::Residential)
}

pub(crate) fn lagos() -> Place {
    place("NG", "Lagos", (6.5, 3.4), 64666, NetworkKind::Residential)
}

/// Where an attacker rents: another country, network, kind.
pub(crate) fn rented() -> Place {
    place("SG", "Singapore", (1.35, 103.8), 64999, NetworkKind::Hosting)
}

/// A live principal; each usage is followed by encoding and decoding.
#[derive(Default)]
pub(crate) struct Life {
    pub(crate) profile: Profile,
    pub(crate) params: Params,
    peers: Alone,
    /// The threshold set by a mail budget.
    threshold: Option<f64>,
}

impl Life {
    pub(crate) fn compare(&self, usage: &Usage, place: &Place) -> Signals {
        let Self { peers, threshold, .. } = self;
        let (heard, threshold) = (Heard::default(), *threshold);
        let world = World { atlas: &NoAtlas, peers, heard, threshold, latest: Timestamp(i64::MAX) };
        self.profile.compare(&Placed::new(usage, place), &self.params, &world)
    }

    pub(crate) fn live(&mut self, usage: &Usage, place: &Place) -> Signals {
        let signals = self.compare(usage, place);
        let beat = u32::try_from(usage.time.hour()).unwrap();
        self.profile.call(usage, beat, &self.params.silence);
        self.profile.absorb(&Placed::new(usage, place), &signals, &self.params);
        signals
    }

    /// Applies usages and returns the highest score to report.
    pub(crate) fn told(&mut self, lives: impl IntoIterator<Item = (Usage, Place)>) -> f64 {
        let mut most = 0.0f64;
        for (usage, place) in lives {
            let signals = self.live(&usage, &place);
            if signals.tier > Tier::None {
                most = most.max(signals.score);
            }
        }
        most
    }

    /// A machine in Berlin that calls every ten minutes for a number of days.
    pub(crate) fn steady(&mut self, days: i64) -> f64 {
        self.told((0..days * 144).map(|n| (usage(n * 10 * MINUTE), berlin())))
    }
}

pub(crate) fn stolen(micros: i64) -> Usage {
    Usage {
        client: Some("198.51.100.7".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..usage(micros)
    }
}

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

/// A service on rented machines in Frankfurt that calls every ten minutes for a number of days.
fn served(days: i64) -> Life {
    let mut life = Life::default();
    life.told((0..days * 144).map(|n| (usage(n * 10 * MINUTE), frankfurt())));
    life
}

fn frankfurt() -> Place {
    place("DE", "Frankfurt", (50.1, 8.7), 64800, NetworkKind::Hosting)
}

/// The same client from an address of a /24 of its own.
fn from(third: i64, micros: i64) -> Usage {
    Usage { client: format!("198.51.{third}.7").parse().ok(), ..usage(micros) }
}

#[test]
fn an_operator_of_many_countries_is_one_actor_in_a_new_one() {
    let mut life = served(20);
    let tokyo = Place { asn: frankfurt().asn, network: frankfurt().network, ..tokyo() };
    let tiers: Vec<Tier> =
        (0..18).map(|day| life.live(&from(day, (20 + day) * DAY), &tokyo).tier).collect();
    let told = tiers.iter().filter(|tier| **tier > Tier::None);
    assert_eq!((tiers[0] > Tier::None, told.count()), (true, 1), "each /24 was somebody new");
    assert!(!life.compare(&from(99, 40 * DAY), &tokyo).novel.has(Family::Country), "learned");
}

fn tokyo() -> Place {
    place("JP", "Tokyo", (35.7, 139.7), 64801, NetworkKind::Hosting)
}

#[test]
fn somebody_new_with_the_token_of_rented_machines_is_told_sooner() {
    let life = served(20);
    let at = |asn, network| place("DE", "Frankfurt", (50.1, 8.7), asn, network);
    let other = life.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Residential));
    assert!((6.0..7.0).contains(&other.score), "{}", other.score);
    assert_eq!((other.threshold, other.tier), (6.0, Tier::Alert));
    let office = life.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Business));
    assert_eq!((office.threshold, office.tier), (7.0, Tier::Notice), "its people's own");
    let mut desk = Life::default();
    desk.steady(20);
    let home = desk.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Hosting));
    assert_eq!(home.threshold, 7.0, "who has one place may be a person");
    let busy = (0..40).map(|n| usage(20 * DAY + n * SECOND));
    let mut life = life;
    let busy: Vec<Signals> = busy.map(|usage| life.live(&usage, &frankfurt())).collect();
    assert!(busy.iter().all(|signals| signals.threshold == 7.0), "nobody is new");
}

/// A new machine of the same operator, with another version, which requests a number of new routes.
fn released(version: &str, n_routes: u8) -> impl Iterator<Item = (Usage, Place)> {
    let agent = Agent { family: "orders-sync".into(), version: version.into() };
    (0..n_routes).map(move |n| {
        let at = 20 * DAY + i64::from(n) * 10 * MINUTE;
        let usage =
            Usage { route: format!("/v2/route-{n}").into(), agent: agent.clone(), ..from(1, at) };
        (usage, frankfurt())
    })
}

#[test]
fn a_release_on_rented_machines_is_not_taken_for_theft() {
    let most = served(20).told(released("1.5", 12));
    assert!(most < 7.0, "for the digest at most: {most}");
    let (usage, _) = released("1.5", 1).next().unwrap();
    let thief = served(20).compare(&usage, &lagos());
    assert!(thief.tier >= Tier::Alert, "from elsewhere it is: {}", thief.score);
}

#[test]
fn numbers_of_one_operator_are_one_network() {
    struct Siblings;
    impl Atlas for Siblings {
        fn place(&self, _: IpAddr) -> Place {
            frankfurt()
        }
        fn border_distance_km(&self, _: Country, _: Country) -> Option<f64> {
            None
        }
        fn is_one_operator(&self, a: u32, b: u32) -> bool {
            [64800, 64802].contains(&a) && [64800, 64802].contains(&b)
        }
    }
    let life = served(20);
    let is_new = |asn| {
        let place = Place { asn: Some(asn), ..frankfurt() };
        let world = World {
            atlas: &Siblings,
            peers: &Alone::default(),
            heard: Heard::default(),
            threshold: None,
            latest: Timestamp(i64::MAX),
        };
        let usage = from(1, 20 * DAY);
        let signals = life.profile.compare(&Placed::new(&usage, &place), &life.params, &world);
        signals.novel.has(Family::Network)
    };
    assert_eq!([64800, 64802, 64801].map(is_new), [false, false, true]);
}

#[test]
fn rented_machines_do_not_travel() {
    // used at home, and ten minutes later from there
    let hop = |mut life: Life, home: &Place, there: &Place| {
        life.live(&usage(20 * DAY), home);
        let far = life.compare(&from(1, 20 * DAY + 10 * MINUTE), there);
        assert!(far.hop.is_some(), "it is measured anyway");
        far.evidence.get(Family::Hop)
    };
    assert_eq!(hop(served(20), &frankfurt(), &tokyo()), Nats(0));
    assert!(hop(served(20), &frankfurt(), &lagos()) > Nats(0), "nobody rents machines there");
    let mut person = Life::default();
    person.steady(20);
    assert!(hop(person, &berlin(), &tokyo()) > Nats(0));
}

#[test]
fn who_uses_nothing_but_rented_machines_is_a_machine_on_the_third_day() {
    let daily = |place: &Place, days: i64| {
        let mut life = Life::default();
        life.told((0..days * 8).map(|n| {
            let third = n % 2;
            (from(third, n / 8 * DAY + 9 * HOUR + n % 8 * HOUR), place.clone())
        }));
        life.profile.class()
    };
    let classes = [2, 4].map(|days| daily(&frankfurt(), days));
    assert_eq!(classes, [Class::Human, Class::Machine]);
    assert_eq!(daily(&berlin(), 12), Class::Human);
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

/// Returns the tiers reported for `n` requests at intervals of `seconds` by a machine that calls every ten minutes.
fn told_of_burst(n: i64, seconds: i64) -> Vec<Tier> {
    let mut life = Life::default();
    life.steady(10);
    let burst = (0..n).map(|n| life.live(&usage(10 * DAY + n * seconds * SECOND), &berlin()).tier);
    burst.filter(|tier| *tier > Tier::None).collect()
}

#[test]
fn a_restart_with_ten_retries_is_not_mailed_and_a_flood_is() {
    assert_eq!(told_of_burst(12, 20), [Tier::Notice]);
    assert_eq!(told_of_burst(45, 5), [Tier::Notice]);
    assert_eq!(told_of_burst(300, 2), [Tier::Notice, Tier::Alert]);
    assert_eq!(told_of_burst(5000, 1), [Tier::Notice, Tier::Alert], "never critical alone");
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
    assert_eq!((&before.pace, &before.countries), (&after.pace, &after.countries));
    assert_eq!((&before.hazards, &before.hours), (&after.hazards, &after.hours));
    assert_eq!((before.days, before.n_days, &before.fix), (after.days, after.n_days, &after.fix));
}

#[test]
fn two_families_of_addresses_of_one_network_are_one_place() {
    let mut life = Life::default();
    let dual = (0..20 * 144).map(|n| {
        let six = Some("2001:db8:1::1".parse().unwrap());
        let from = Usage { client: six, ..usage(n * 10 * MINUTE) };
        (if n > 1500 && n % 3 == 0 { from } else { usage(n * 10 * MINUTE) }, berlin())
    });
    assert_eq!(life.told(dual), 0.0);
}

fn count(n: i64) -> u32 {
    u32::try_from(n).unwrap()
}

fn east(n: i64) -> f32 {
    f32::from(u16::try_from(n % 9).unwrap())
}

/// Working days of a person: forty requests from nine to five, each from what `from` says.
fn person(
    days: std::ops::Range<i64>,
    from: impl Fn(i64, i64) -> (String, Place),
) -> Vec<(Usage, Place)> {
    let working = days.filter(|day| day % 7 < 5);
    working
        .flat_map(|day| (0..40).map(move |n| (day, n)))
        .map(|(day, n)| {
            let (address, place) = from(day, n);
            let agent =
                Agent { family: "Firefox".into(), version: (120 + day / 28).to_string().into() };
            let at = day * DAY + 9 * HOUR + n * 12 * MINUTE + (day * 7 + n * 3) % 10 * MINUTE;
            let client = Some(address.parse().unwrap());
            (Usage { client, agent, ..usage(at) }, place)
        })
        .collect()
}

#[test]
fn a_phone_and_privacy_addresses_do_not_alert() {
    let mobile = place("DE", "Berlin", (52.4, 13.2), 64501, NetworkKind::Mobile);
    let mut life = Life::default();
    let told = life.told(person(0..90, |day, n| {
        if n % 8 == 0 {
            (format!("198.51.{}.{}", (day * 5 + n) % 40, n), mobile.clone())
        } else {
            (format!("2001:db8:{day:x}::{n}"), berlin())
        }
    }));
    assert!(told < 8.0, "{told}");
}

#[test]
fn a_vpn_with_many_exits_does_not_alert() {
    let exits = ["NL", "SE", "CH", "US", "GB", "FR", "IT", "ES"];
    let mut life = Life::default();
    let told = life.told(person(0..90, |day, n| {
        let at = usize::try_from(day / 2 % 8).unwrap();
        let exit = place(exits[at], "", (50.0, east(day) * 5.0), 64700, NetworkKind::Vpn);
        if n < 20 { ("192.0.2.1".into(), berlin()) } else { (format!("203.0.{at}.1"), exit) }
    }));
    assert!(told < 8.0, "{told}");
}

#[test]
fn a_service_in_many_regions_does_not_alert() {
    let mut life = Life::default();
    let regions = [("DE", 8.0), ("IE", -6.0), ("US", -77.0), ("SG", 103.0)];
    let told = life.told((0..60 * 288).map(|n| {
        let (country, east) = regions[usize::try_from(n % 4).unwrap()];
        let from = place(country, "", (40.0, east), 64800, NetworkKind::Hosting);
        let client = format!("203.{}.{}.1", n % 4, n / 288 * 3 % 25).parse().ok();
        (Usage { client, ..usage(n * 5 * MINUTE) }, from)
    }));
    assert!(told < 8.0, "{told}");
}

#[test]
fn a_traveller_with_the_same_client_does_not_alert() {
    let mut life = Life::default();
    let trips = [("FR", 64901, 2.3), ("ES", 64902, -3.7), ("GB", 64903, -0.1)];
    let told = life.told(person(0..100, |day, _| match day {
        30..34 | 51..55 | 72..76 => {
            let (country, asn, east) = trips[usize::try_from(day / 21 - 1).unwrap()];
            let from = place(country, "", (48.0, east), asn, NetworkKind::Residential);
            (format!("198.51.{}.1", day / 21), from)
        }
        _ => ("192.0.2.1".into(), berlin()),
    }));
    assert!(told < 8.0, "{told}");
}

#[test]
fn a_burst_of_twenty_times_is_told_and_a_growing_machine_is_not() {
    let mut life = Life::default();
    let grown = (0..40i64).flat_map(|day| {
        let n = 300 + day * 9;
        (0..n).map(move |i| (usage(day * DAY + i * DAY / n), berlin()))
    });
    assert_eq!(life.told(grown), 0.0);
    let noon = 40 * DAY + 12 * HOUR;
    let rest = (0..300).map(|i| (usage(40 * DAY + i * DAY / 700), berlin()));
    assert_eq!(life.told(rest), 0.0);
    let burst = (0..90).map(|i| (usage(noon + i * 6 * SECOND), berlin()));
    let told = life.told(burst);
    assert!(told >= 6.0, "{told}");
}

#[test]
fn a_day_counts_when_it_is_over_whoever_comes_first_in_it() {
    let mut life = Life::default();
    life.steady(3);
    let theft = stolen(3 * DAY + HOUR);
    let before_the_owner = life.compare(&theft, &lagos());
    life.live(&usage(3 * DAY + MINUTE), &berlin());
    let after_the_owner = life.compare(&theft, &lagos());
    assert_eq!([before_the_owner.active_days, after_the_owner.active_days], [3, 3]);
}

#[test]
fn what_comes_late_is_counted_and_nothing_else() {
    let mut life = Life::default();
    life.steady(10);
    let before = life.profile.clone();
    let signals = life.live(&stolen(9 * DAY), &rented());
    assert!(signals.is_late && signals.tier == Tier::None);
    assert_eq!(life.profile.late(), 1);
    assert_eq!(Profile { late: 0, ..life.profile.clone() }.pace, before.pace);
    // a little out of order is not late, and time runs backwards by at most two minutes
    let signals = life.live(&usage(10 * DAY - 15 * MINUTE), &berlin());
    assert!(!signals.is_late);
    assert_eq!(signals.time, START.plus(10 * DAY - 12 * MINUTE));
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
fn one_line_from_the_future_does_not_deafen() {
    let mut life = Life::default();
    life.steady(10);
    life.live(&usage(4000 * DAY), &berlin());
    let days = (10 * 144..12 * 144).map(|n| (usage(n * 10 * MINUTE), berlin()));
    assert_eq!(life.told(days), 0.0);
    let signals = life.live(&stolen(12 * DAY), &rented());
    assert!(!signals.is_late && signals.score >= 8.0, "{signals:?}");
}

#[test]
fn a_second_log_of_the_same_days_counts_no_day_again() {
    let mut life = Life::default();
    life.steady(10);
    let once = (life.profile.active_days(), life.profile.days);
    let again = (0..10 * 144).map(|n| (usage(n * 10 * MINUTE), berlin()));
    life.told(again);
    assert_eq!(life.profile.late(), 64, "then the clock was set back");
    assert_eq!((life.profile.active_days(), life.profile.days), once);
    life.steady(11);
    assert_eq!(life.profile.active_days(), once.0 + 1);
}

#[test]
fn a_full_profile_has_less_than_a_kilobyte_and_a_young_one_little() {
    let mut young = Life::default();
    young.live(&usage(0), &berlin());
    let young = young.profile.encode().len();
    let mut life = Life::default();
    for n in 0..60 * 1440i64 {
        let at = usize::try_from(n % 9).unwrap();
        let country = ["DE", "FR", "ES", "GB", "NL", "SE", "US", "SG", "CH"][at];
        let from = place(
            country,
            "Frankfurt am Main",
            (50.0, east(n)),
            4_200_000_000 + count(n % 12),
            NetworkKind::Hosting,
        );
        let agent = Agent {
            family: format!("agent-{}", n % 7).into(),
            version: (n % 11).to_string().into(),
        };
        let route = format!("/v1/things/{}", n % 50).into();
        let client = format!("203.0.{}.1", n % 40).parse().ok();
        let status = Some(if n % 10 == 0 { 404 } else { 200 });
        life.live(&Usage { agent, route, client, status, ..usage(n * MINUTE) }, &from);
        if n > 80_000 {
            life.profile.told().tell(count(n % 8), START.plus(n * MINUTE), HOUR);
        }
    }
    let full = life.profile.encode().len();
    println!("young {young} B, full {full} B");
    assert!(young <= 165 && full <= 1024, "young {young} B, full {full} B");
}

#[test]
fn other_bytes_are_no_profile() {
    let mut life = Life::default();
    life.steady(3);
    let bytes = life.profile.encode();
    assert_eq!(Profile::decode(&[]), Err(CodecError::Length));
    assert_eq!(Profile::decode(&[9]), Err(CodecError::Version(9)));
    for cut in 0..bytes.len() {
        assert!(Profile::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(Profile::decode(&[bytes.as_slice(), &[0]].concat()), Err(CodecError::Length));
    assert_eq!(Profile::decode(&Profile::default().encode()), Ok(Profile::default()));
}

/// One step of a random life: seconds since the last usage, and choices.
fn steps() -> impl Strategy<Value = Vec<(i64, u8, u8, u8, u16)>> {
    let status = prop_oneof![6 => Just(200u16), 1 => Just(401), 1 => Just(404), 1 => Just(500)];
    let pause =
        prop_oneof![20 => 0i64..2000, 5 => 0i64..90_000, 1 => -4000i64..0, 1 => 0i64..3_000_000];
    prop::collection::vec((pause, 0u8..6, 0u8..4, any::<u8>(), status), 1..400)
}

fn lived(step: (i64, u8, u8, u8, u16), clock: &mut i64) -> (Usage, Place) {
    let (pause, from, client, route, status) = step;
    *clock += pause * SECOND;
    let places = [berlin(), lagos(), rented(), Place::default(), berlin(), berlin()];
    let usage = Usage {
        client: (from != 3).then(|| format!("192.0.{from}.{}", route % 9).parse().unwrap()),
        agent: Agent {
            family: format!("c{client}").into(),
            version: (route % 3).to_string().into(),
        },
        route: format!("/{route}").into(),
        status: Some(status),
        ..usage(*clock)
    };
    (usage, places[usize::from(from)].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn storing_between_any_two_usages_changes_nothing(steps in steps()) {
        let (mut whole, mut cut, mut clock) = (Life::default(), Life::default(), 0);
        for step in steps {
            let (usage, place) = lived(step, &mut clock);
            let signals = whole.live(&usage, &place);
            prop_assert_eq!(&signals, &cut.live(&usage, &place));
            let bytes = cut.profile.encode();
            let decoded = Profile::decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, &cut.profile);
            prop_assert_eq!(&decoded.encode(), &bytes);
            // What `codec::tests::widest` takes; about 1 KB is usual.
            prop_assert!(bytes.len() <= 1740, "{} B", bytes.len());
            if signals.is_accepted {
                whole.profile.told().tell(u32::from(step.3), usage.time, HOUR);
                cut.profile.told().tell(u32::from(step.3), usage.time, HOUR);
            }
            cut.profile = Profile::decode(&cut.profile.encode()).unwrap();
        }
        prop_assert_eq!(whole.profile, cut.profile);
    }

    #[test]
    fn a_budget_mutes_nothing_critical_and_teaches_nothing(steps in steps(), threshold in 6.0..=10.0) {
        let (mut life, mut clock) = (Life::default(), 0);
        let mut within = Life { threshold: Some(threshold), ..Life::default() };
        for step in steps {
            let (usage, place) = lived(step, &mut clock);
            let (told, told_within) = (life.live(&usage, &place), within.live(&usage, &place));
            prop_assert_eq!(told.score, told_within.score);
            let is_critical = [told, told_within].map(|signals| signals.tier == Tier::Critical);
            prop_assert_eq!(is_critical[0], is_critical[1]);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1 + *first % 6;
        }
        if let Ok(profile) = Profile::decode(&bytes) {
            let stored = profile.encode();
            prop_assert_eq!(Profile::decode(&stored).unwrap(), profile);
        }
    }

    #[test]
    fn a_broken_profile_still_judges(steps in steps(), at in 1usize..600, byte in any::<u8>()) {
        let (mut life, mut clock) = (Life::default(), 0);
        let (first, rest) = steps.split_at(steps.len() / 2);
        first.iter().for_each(|step| {
            let (usage, place) = lived(*step, &mut clock);
            life.live(&usage, &place);
        });
        let mut bytes = life.profile.encode();
        if let Some(broken) = bytes.get_mut(at) {
            *broken = byte;
        }
        if let Ok(profile) = Profile::decode(&bytes) {
            life.profile = profile;
        }
        for step in rest {
            let (usage, place) = lived(*step, &mut clock);
            prop_assert!(life.live(&usage, &place).score.is_finite());
        }
    }
}
