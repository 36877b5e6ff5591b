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
