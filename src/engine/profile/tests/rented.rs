//! Tokens of rented machines: what their operators and releases change.

use super::*;

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
fn a_probe_that_became_known_in_one_country_was_a_stranger_in_the_next() {
    let probe = |country, day, minutes, family: &str| {
        let agent = Agent { family: family.into(), version: "2.0".into() };
        let of_country = if country == "SG" { from(7, 0) } else { from(8, 0) };
        let at = START.plus(day * DAY + minutes * MINUTE);
        let there = place(country, "", (20.0, 100.0), 64801, NetworkKind::Hosting);
        (Usage { time: at, agent, ..of_country }, there)
    };
    let mut life = served(20);
    let days = (20..40).flat_map(|day| [("SG", day, 1), ("AU", day, 30)]);
    let mut told = Vec::new();
    for (country, day, minutes) in days {
        let (usage, place) = probe(country, day, minutes, "UptimeRobot");
        let signals = life.live(&usage, &place);
        if signals.novel.has(Family::Country) {
            assert_eq!(signals.was_seen, day > 20, "on day {day}");
        }
        if signals.tier >= Tier::Alert {
            told.push(day);
        }
        // The owner is there, too.
        life.live(&Usage { time: usage.time.plus(MINUTE), ..from(1, 0) }, &frankfurt());
    }
    assert_eq!(told, [20], "reported when it came, and never again");
    let (usage, place) = probe("JP", 41, 0, "curl");
    assert!(life.compare(&usage, &place).tier >= Tier::Alert, "another client is somebody else");
    let (usage, _) = probe("NG", 41, 0, "UptimeRobot");
    assert!(life.compare(&usage, &lagos()).tier >= Tier::Alert, "and so is another network");
}

#[test]
fn somebody_new_with_the_token_of_rented_machines_is_told_sooner() {
    let life = served(20);
    let at = |asn, network| place("DE", "Frankfurt", (50.1, 8.7), asn, network);
    let other = life.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Residential));
    assert!((6.0..7.0).contains(&other.score), "{}", other.score);
    assert_eq!((other.threshold, other.tier), (6.0, Tier::Alert));
    let office = life.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Business));
    assert_eq!((office.threshold, office.tier), (8.0, Tier::Notice), "its people's own");
    let mut desk = Life::default();
    desk.steady(20);
    let home = desk.compare(&from(1, 20 * DAY), &at(64801, NetworkKind::Hosting));
    assert_eq!(home.threshold, 8.0, "who has one place may be a person");
    let busy = (0..40).map(|n| usage(20 * DAY + n * SECOND));
    let mut life = life;
    let busy: Vec<Signals> = busy.map(|usage| life.live(&usage, &frankfurt())).collect();
    assert!(busy.iter().all(|signals| signals.threshold == 8.0), "nobody is new");
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
fn an_address_beside_those_that_peers_rent_was_as_good_as_theirs() {
    let mut rents = served(20);
    let mut at_home = Life::default();
    at_home.steady(20);
    let taken_off = |life: &mut Life, place: &Place| {
        let [alone, shared] = [0, 3].map(|others| {
            life.peers.others = others;
            life.compare(&from(1, 20 * DAY), place).evidence.get(Family::Prefix).get()
        });
        alone - shared
    };
    assert_eq!(taken_off(&mut rents, &frankfurt()), 0.0);
    assert!((1.3..1.5).contains(&taken_off(&mut at_home, &berlin())), "an office of theirs");
}
