//! Scenes of campaigns: what somebody with many sources can hide, and what he cannot.

use super::*;

/// A try by another client.
fn by(tool: &str, usage: Usage) -> Usage {
    Usage { agent: Agent { family: tool.into(), version: "1".into() }, ..usage }
}

/// Tokens from a network of one site, in as many seconds.
fn of_site(n: u32, n_tokens: u32, at: i64) -> Vec<Usage> {
    let client = format!("2001:db8:1:{n:x}::1");
    (0..n_tokens).map(|k| tried(50 * n + k, &client, at + i64::from(k) * SECOND)).collect()
}

fn sources(told: &[Guesses]) -> Vec<&str> {
    told.iter().map(|guesses| guesses.source.as_str()).collect()
}

#[test]
fn a_flood_from_one_site_pushed_out_who_guesses_beside_it() {
    // enough for a report of each, and just too few
    for n_each in [26, 14] {
        let mut scene = Scene::default();
        let flood = (0..4_600u32).flat_map(|n| of_site(n, n_each, i64::from(n) * SECOND / 4));
        let told = scene.all(flood);
        assert_eq!(sources(&told).last(), Some(&"2001:db8:1::/48"));
        let mut told = Vec::new();
        for n in 0..60u32 {
            let at = 20 * MINUTE + i64::from(n) * 30 * SECOND;
            let further = 5_000 + 15 * n..5_015 + 15 * n;
            told.extend(scene.all(further.flat_map(|n| of_site(n, n_each, at))));
            told.extend(scene.fail(&by("tool", tried(1_000_000 + n, "203.0.113.9", at))));
        }
        assert_eq!(sources(&told), ["203.0.113.0/24"], "{n_each} each");
        let found = accepted(by("tool", tried(2_000_000, "203.0.113.9", 51 * MINUTE)));
        assert!(scene.meet(&found, true).is_some(), "{n_each} each");
    }
}

#[test]
fn an_operator_that_was_part_of_a_report_kept_its_others_silent() {
    let mut scene = Scene::default();
    // five tokens from each of eight networks: of as many operators, and then of one, by the same client and route
    let decoy = (0..40u32).map(|n| {
        let place = Place { asn: Some(64_510 + n / 5), ..Place::default() };
        (tried(n, &format!("10.{}.113.9", n / 5), 0), place)
    });
    let few = |from: u32, at: i64| {
        (0..40u32).map(move |n| {
            (
                tried(1_000 * from + n, &format!("172.{from}.{}.9", n / 5), at + i64::from(n)),
                hosted(),
            )
        })
    };
    let told: Vec<_> = decoy
        .chain(few(16, MINUTE))
        .filter_map(|(usage, place)| scene.fail_at(&usage, &place))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let own = (0..200u32).map(|n| {
        let at = HOUR / 2 + i64::from(n) * SECOND;
        by("tool", tried(1_000 + n, "198.51.100.9", at))
    });
    let told: Vec<_> = own.filter_map(|usage| scene.fail_at(&usage, &hosted())).collect();
    assert_eq!(sources(&told), ["198.51.100.0/24"], "one by another client");
    let told: Vec<_> = few(17, 40 * MINUTE)
        .filter_map(|(usage, place)| scene.fail_at(&by("probe", usage), &place))
        .collect();
    assert!(told.len() == 1 && told[0].source.starts_with("probe "), "many by a third: {told:?}");
}

#[test]
fn slow_guessing_took_the_room_of_what_is_worse() {
    let mut scene = Scene::default();
    // twelve tokens each, as from a timer, from networks with nothing in common
    let slow = (0..12u32).flat_map(|k| {
        (0..26u32).map(move |n| {
            let at = i64::from(n) * 5 * SECOND + i64::from(k) * 500 * SECOND;
            by(&format!("tool-{n}"), tried(100 * n + k, &format!("10.{n}.113.9"), at))
        })
    });
    let told = scene.all(slow);
    assert!(told.iter().all(|guesses| guesses.manner == Manner::Slow), "{told:?}");
    assert_eq!((told.len(), told[20].room), (21, Room::Last(Exposed::Slow)));
    let worse = burst(5_000, "203.0.113.9", 5_700 * SECOND);
    let worse = scene.all(worse.into_iter().map(|usage| by("probe", usage)));
    assert_eq!((sources(&worse), worse[0].room), (vec!["203.0.113.0/24"], Room::One));
    let site = (0..8u32).flat_map(|n| of_site(1_000 + n, 26, 5_800 * SECOND));
    assert_eq!(sources(&scene.all(site)).last(), Some(&"2001:db8:1::/48"));
}

#[test]
fn the_report_on_five_of_one_site_kept_silent_what_was_accepted() {
    let mut scene = Scene::default();
    // an hour apart; from the fifth on, a token is accepted after the tenth try
    let one = |scene: &mut Scene, n: u32| {
        let at = i64::from(n) * HOUR;
        let tries = of_site(n, 30, at);
        let (first, rest) = tries.split_at(10);
        assert_eq!(scene.all(first.iter().cloned()), []);
        if n >= 4 {
            let found = tried(900_000 + n, &format!("2001:db8:1:{n:x}::1"), at + 10 * SECOND);
            assert_eq!(scene.meet(&accepted(found), true), None, "nobody is known to guess");
        }
        scene.all(rest.iter().cloned())
    };
    let mut told = (0..8).flat_map(|n| one(&mut scene, n));
    let site = told.find(|guesses| guesses.manner == Manner::Spread).unwrap();
    assert_eq!((site.source.as_str(), site.sources), ("2001:db8:1::/48", 5));
    assert_eq!((site.accepted > 0, site.known, site.usual), (true, None, None), "{site:?}");
}

#[test]
fn a_source_without_room_in_its_hour_kept_silent_what_was_accepted() {
    let mut scene = Scene::default();
    let flood = (0..30u32).flat_map(|n| apart(n, i64::from(n) * 2 * SECOND));
    assert_eq!(scene.all(flood).len(), 21);
    let own = apart(100, 10 * MINUTE);
    let (first, rest) = own.split_at(10);
    assert_eq!(scene.all(first.iter().cloned()), []);
    let found = Usage { token: tried(900_000, "203.0.113.9", 0).token, ..first[9].clone() };
    assert_eq!(scene.meet(&accepted(found), true), None, "nobody is known to guess");
    let told = scene.all(rest.iter().cloned());
    assert_eq!(sources(&told), ["10.0.100.0/24"]);
    assert_eq!((told[0].accepted, told[0].room), (1, Room::One));
}
