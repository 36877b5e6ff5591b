//! People on the move: phones, VPNs, regions, journeys.

use super::*;

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
fn a_client_that_tried_its_last_jwt_first_was_reported_twice() {
    let at = |seconds: i64| 20 * DAY + 9 * HOUR + seconds * SECOND;
    let tried = |status, end: i64| {
        let claims = Claims { expires_at: Some(START.plus(at(end))), ..Claims::default() };
        Usage { status: Some(status), claims, ..stolen(at(1)) }
    };
    let tiers = |usages: [Usage; 2]| {
        let mut life = Life::default();
        life.steady(20);
        usages.map(|usage| life.live(&usage, &lagos()).tier)
    };
    let [spent, next] = tiers([tried(401, 0), stolen(at(2))]);
    assert!(spent == Tier::Notice && next >= Tier::Alert, "{spent:?} {next:?}");
    let [refused, _] = tiers([tried(401, 60), stolen(at(2))]);
    assert!(refused >= Tier::Alert, "one that has not expired is tried by a thief");
    let [accepted, again] = tiers([tried(200, 0), tried(401, 0)]);
    assert!(accepted >= Tier::Alert && again == Tier::None, "{accepted:?} {again:?}");
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

/// Working days of a team behind one address: six clients, every other one in a second office if there is one.
fn team(days: std::ops::Range<i64>, has_second: bool) -> Vec<(Usage, Place)> {
    const CLIENTS: [&str; 6] = ["AcmeDesk", "Firefox", "Chrome", "Safari", "okhttp", "AcmeShop"];
    let second = place("DE", "Munich", (48.1, 11.6), 64540, NetworkKind::Business);
    let working = days.filter(|day| day % 7 < 5);
    let calls = working.flat_map(|day| (0..CLIENTS.len()).map(move |n| (day, n)));
    calls
        .map(|(day, n)| {
            let agent = Agent { family: CLIENTS[n].into(), version: "5".into() };
            let at = day * DAY + 9 * HOUR + i64::try_from(n).unwrap() * 10 * MINUTE;
            let is_second = has_second && (day + i64::try_from(n).unwrap()) % 2 == 1;
            let (address, place) =
                if is_second { ("198.51.100.9", second.clone()) } else { ("192.0.2.1", berlin()) };
            let client = Some(address.parse().unwrap());
            (Usage { client, agent, ..usage(at) }, place)
        })
        .collect()
}

/// How often somebody would be told of what a life brings.
fn times_told(life: &mut Life, lives: &[(Usage, Place)]) -> usize {
    lives.iter().filter(|(usage, place)| life.live(usage, place).tier > Tier::None).count()
}

#[test]
fn a_second_office_was_told_of_again_with_each_of_its_clients() {
    let mut life = Life::default();
    assert_eq!(times_told(&mut life, &team(0..28, false)), 0);
    let told = times_told(&mut life, &team(28..56, true));
    assert!((1..=2).contains(&told), "once, or once more at a higher tier: {told}");
}

#[test]
fn a_client_never_seen_from_an_office_that_was_told_of_is_news() {
    let mut life = Life::default();
    times_told(&mut life, &team(0..28, false));
    let office = team(28..30, true);
    assert!(times_told(&mut life, &office) > 0);
    let (last, there) = office.into_iter().rfind(|(_, place)| place.asn == Some(64540)).unwrap();
    let agent = Agent { family: "curl".into(), version: "8".into() };
    let thief = Usage { agent, time: last.time.plus(25 * HOUR), ..last };
    assert!(life.live(&thief, &there).tier > Tier::None);
}

#[test]
fn a_new_phone_at_ever_new_networks_was_told_of_at_each() {
    let mut life = Life::default();
    life.told(person(0..28, |_, _| ("192.0.2.1".into(), berlin())));
    let phone = person(28..56, |day, _| {
        let asn = 65_000 + u32::try_from(day % 10).unwrap();
        let there = place("DE", "Berlin", (52.5, 13.4), asn, NetworkKind::Residential);
        (format!("198.51.{}.1", day % 10), there)
    });
    let agent = Agent { family: "AcmeShop".into(), version: "3.0".into() };
    let phone = phone.into_iter().map(|(usage, at)| (Usage { agent: agent.clone(), ..usage }, at));
    let told = times_told(&mut life, &phone.collect::<Vec<_>>());
    assert!((1..=2).contains(&told), "once, or once more at a higher tier: {told}");
}

#[test]
fn an_actor_that_is_watched_became_stranger_day_by_day() {
    let mut life = Life::default();
    life.told(person(0..14, |_, _| ("192.0.2.1".into(), berlin())));
    let abroad = place("FR", "Paris", (48.9, 2.4), 64901, NetworkKind::Residential);
    let both = person(14..28, |_, n| match n % 2 {
        0 => ("192.0.2.1".into(), berlin()),
        _ => ("198.51.100.1".into(), abroad.clone()),
    });
    let days: Vec<(i64, f64)> = both
        .iter()
        .map(|(usage, at)| (usage.time.day(), life.live(usage, at).evidence.sum()))
        .collect();
    let most = |of: i64| {
        days.iter().filter(|(day, _)| *day == of).map(|(_, sum)| *sum).fold(0.0, f64::max)
    };
    let first = most(days[0].0);
    assert!(first > 5.0, "{first}");
    let last = most(days[days.len() - 1].0);
    assert!((first - 0.3..=first + 0.1).contains(&last), "{last} {first}");
}

#[test]
fn a_thief_does_not_become_less_strange_where_the_owner_is_idle() {
    let mut life = Life::default();
    life.told(person(0..14, |_, _| ("192.0.2.1".into(), berlin())));
    let thief = |day: i64| Usage { client: stolen(0).client, ..usage((14 + day) * DAY + 9 * HOUR) };
    let sums: Vec<f64> =
        (3..15).map(|day| life.live(&thief(day), &lagos()).evidence.sum()).collect();
    assert!(sums.iter().all(|sum| *sum >= sums[0] - 0.1), "{sums:?}");
}

/// Returns the score that is reported of an owner who meets some dead links.
fn dead_links(n: i64) -> f64 {
    let mut life = Life::default();
    life.steady(30);
    let missing = |nth: i64| Usage { status: Some(404), ..usage(30 * DAY + nth * 10 * MINUTE) };
    life.told((0..n).map(|nth| (missing(nth), berlin())))
}

#[test]
fn three_dead_links_of_the_owner_were_reported() {
    assert_eq!([3, 5, 9].map(dead_links), [0.0; 3]);
}

#[test]
fn ten_errors_where_there_usually_are_none_are_reported() {
    assert_eq!(dead_links(10), 6.0);
    assert_eq!(dead_links(30), 6.0);
}

#[test]
fn three_errors_of_somebody_new_count_in_full() {
    let mut life = Life::default();
    life.steady(30);
    let client = Some("203.0.113.9".parse().unwrap());
    let missing =
        |nth: i64| Usage { client, status: Some(404), ..usage(30 * DAY + nth * 10 * MINUTE) };
    let evidence = (0..3).map(|nth| life.live(&missing(nth), &berlin()).evidence).last().unwrap();
    assert_eq!(evidence.get(Family::Errors).get(), 6.0);
}

/// Twelve requests a day of a customer to whom the provider gives another address every third day, for three weeks.
fn customer() -> Life {
    let mut life = Life::default();
    let usual = (0..21 * 12).map(|n| {
        let (day, nth) = (n / 12, n % 12);
        (Usage { client: at_home(day), ..usage(day * DAY + 7 * HOUR + nth * HOUR) }, berlin())
    });
    life.told(usual);
    life
}

/// The customer's address: the same on two days of three.
fn at_home(day: i64) -> Option<IpAddr> {
    let third = if day % 3 == 0 { day } else { 200 };
    format!("198.51.{third}.9").parse().ok()
}

/// An evening with more requests than ever, of a route never used, a few of them in vain.
fn evening(client: Option<IpAddr>) -> impl Iterator<Item = Usage> {
    (0..20).map(move |n| Usage {
        client,
        route: "/v1/films".into(),
        status: Some(if n % 6 == 5 { 404 } else { 200 }),
        ..usage(21 * DAY + 21 * HOUR + n * 10 * SECOND)
    })
}

#[test]
fn a_new_address_made_three_dead_links_a_reason_for_a_mail() {
    let mut life = customer();
    let missing = evening(at_home(21)).map(|usage| Usage { status: Some(404), ..usage });
    let all = missing.take(3).map(|usage| life.live(&usage, &berlin()).evidence);
    let evidence = all.last().unwrap();
    let [errors, address] =
        [Family::Errors, Family::Prefix].map(|family| evidence.get(family).get());
    assert!(0.0 < address && address < 2.5, "{address}");
    assert!((errors - 1.8).abs() < 0.1, "as without it: {errors}");
}
