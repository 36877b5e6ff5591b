//! Scenes of guessing, and of what looks like it.

use super::*;
use crate::engine::geo::Place;
use crate::engine::profile::tests::usage;
use crate::engine::time::{HOUR, MINUTE};
use crate::engine::usage::{Agent, Claims, Identity};

fn tried(n: u32, client: &str, micros: i64) -> Usage {
    let mut tried = usage(micros);
    for (part, salt) in tried.token.0.chunks_exact_mut(4).zip(0u8..) {
        part.copy_from_slice(&key(&[&n.to_le_bytes(), &[salt]]).to_le_bytes());
    }
    Usage { client: Some(client.parse().unwrap()), status: Some(401), ..tried }
}

fn jwt(n: u32, micros: i64) -> Usage {
    let subject = format!("client-{n}").into();
    let issuer = "https://login.example.org".into();
    Usage { identity: Some(Identity::Jwt { issuer, subject }), ..tried(n, "203.0.113.9", micros) }
}

fn hosted() -> Place {
    Place { asn: Some(64_502), ..Place::default() }
}

/// A house whose sources are restored from what was kept, time and again.
#[derive(Default)]
struct Scene(Sources, Exposures);

impl Scene {
    fn fail_at(&mut self, usage: &Usage, place: &Place) -> Option<Guesses> {
        let placed = Placed::new(usage, place);
        self.0.fail(&placed, &Guessing::default(), &mut self.1)
    }

    fn fail(&mut self, usage: &Usage) -> Option<Guesses> {
        self.fail_at(usage, &Place::default())
    }

    /// A known token comes from where its principal is new, or was before.
    fn meet(&mut self, usage: &Usage, is_new_here: bool) -> Option<Success> {
        let place = Place::default();
        let novel = is_new_here.then_some(Family::Prefix).into_iter().collect();
        self.0.meet(&Placed::new(usage, &place), novel, &Guessing::default())
    }

    fn all(&mut self, usages: impl IntoIterator<Item = Usage>) -> Vec<Guesses> {
        usages.into_iter().filter_map(|usage| self.fail(&usage)).collect()
    }
}

#[test]
fn sixty_tokens_from_one_address_are_told_once_when_it_is_sure() {
    let tries = (0..60).map(|n| tried(n, "203.0.113.9", i64::from(n) * 5 * SECOND));
    let told = Scene::default().all(tries);
    assert_eq!(told.len(), 1, "{told:?}");
    let Guesses { source, manner, tokens, tries, sources, usual, .. } = &told[0];
    assert_eq!((source.as_str(), *manner, *tries), ("203.0.113.0/24", Manner::Burst, 25));
    assert!((23..=25).contains(tokens) && (*sources, *usual) == (1, Some(0)));
}

#[test]
fn sixty_tokens_in_two_hours_are_told_by_the_day() {
    let tries = (0..60).map(|n| tried(n, "2001:db8:1:2::3", i64::from(n) * 2 * MINUTE));
    let told = Scene::default().all(tries);
    let manners: Vec<_> = told.iter().map(|guesses| guesses.manner).collect();
    assert_eq!(manners, [Manner::Slow, Manner::Day], "few at first, and then worse: {told:?}");
    assert_eq!(told[1].source, "2001:db8:1:2::/64");
}

#[test]
fn one_stale_token_is_no_guessing_however_often() {
    let tries = (0..2000).map(|n| tried(1, "203.0.113.9", i64::from(n) * SECOND));
    assert_eq!(Scene::default().all(tries), []);
}

#[test]
fn jwts_that_are_over_are_late_and_not_guessed() {
    let over = |n: u32| {
        let used = jwt(n, i64::from(n) * SECOND);
        let claims = Claims { expires_at: Some(used.time.plus(-MINUTE)), ..Claims::default() };
        Usage { claims, ..used }
    };
    let mut scene = Scene::default();
    assert_eq!(scene.all((0..500).map(over)), []);
    assert_eq!(scene.0.len(), (0, 0));
}

#[test]
fn a_hundred_tokens_of_one_subject_are_one() {
    let one = |n: u32| Usage {
        identity: jwt(0, 0).identity,
        ..tried(n, "203.0.113.9", i64::from(n) * SECOND)
    };
    assert_eq!(Scene::default().all((0..100).map(one)), []);
    assert_eq!(Scene::default().all((0..100).map(|n| jwt(n, i64::from(n) * SECOND))).len(), 1);
}

#[test]
fn a_proxy_for_everybody_fails_now_and_then() {
    let mut scene = Scene::default();
    for n in 0..20_000u32 {
        let now = i64::from(n) * 10 * SECOND;
        let used = Usage { status: Some(200), ..tried(n % 300, "203.0.113.9", now) };
        assert_eq!(scene.meet(&used, n < 300), None);
        // of fifty requests one brings a token that nobody knows
        if n % 50 == 0 {
            assert_eq!(scene.fail(&tried(100_000 + n, "203.0.113.9", now)), None, "{n}");
        }
    }
}

#[test]
fn few_each_from_many_networks_are_told_as_one() {
    let tries = (0u32..40).map(|n| {
        let client = format!("{}.{}.113.9", 10 + n % 8, n % 8);
        Usage {
            agent: Agent { family: format!("tool-{}", n % 8).into(), version: "1".into() },
            ..tried(n, &client, i64::from(n) * 30 * SECOND)
        }
    });
    let mut scene = Scene::default();
    let told: Vec<_> = tries.filter_map(|usage| scene.fail_at(&usage, &hosted())).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].source.as_str(), told[0].manner), ("AS64502", Manner::Spread));
    assert!(told[0].sources >= 5);
}

#[test]
fn one_who_guesses_is_not_many() {
    let own = (0..24).map(|n| tried(n, "203.0.113.9", i64::from(n) * SECOND));
    let others = (100..104u32).map(|n| tried(n, &format!("198.51.{n}.7"), 40 * SECOND));
    assert_eq!(Scene::default().all(own.chain(others)), []);
}

#[test]
fn random_addresses_and_tokens_leave_it_bounded_and_are_seen() {
    let mut scene = Scene::default();
    let mut told = Vec::new();
    for n in 0..200_000u32 {
        let [a, b] = [key(&[&n.to_le_bytes()]), key(&[&n.to_be_bytes(), b"b"])].map(|x| x & 0xffff);
        let client = format!("2001:db8:1:{a:x}::{b:x}");
        told.extend(scene.fail(&tried(n, &client, i64::from(n) * 20_000)));
    }
    let (sources, groups) = scene.0.len();
    assert!(sources <= 4096 && groups <= 1024, "{sources} {groups}");
    let bytes: usize = scene.0.take().map(|row| row.body.len()).sum();
    assert!(bytes < 3_000_000, "{bytes}");
    let first = told.first().map(|guesses| guesses.source.as_str());
    assert_eq!(first, Some("2001:db8:1::/48"), "{told:?}");
    assert!(told.len() < 20, "{}", told.len());
}

#[test]
fn random_networks_and_routes_leave_it_bounded_and_keep_who_guesses_most() {
    let mut scene = Scene::default();
    let mut told = 0;
    for n in 0..100_000u32 {
        let x = key(&[&n.to_le_bytes()]);
        let other = Usage {
            route: format!("/{x}").into(),
            agent: Agent { family: format!("x{}", x >> 7).into(), version: "1".into() },
            ..tried(n, &format!("2001:{:x}:{:x}::1", x >> 16, x & 0xffff), i64::from(n) * 2000)
        };
        scene.fail(&other);
        if n % 2000 == 0 {
            let own = tried(1_000_000 + n, "203.0.113.9", i64::from(n) * 2000);
            told += usize::from(scene.fail(&own).is_some());
        }
    }
    assert_eq!(told, 1);
    let (sources, groups) = scene.0.len();
    assert!(sources <= 4096 && groups <= 1024, "{sources} {groups}");
}

#[test]
fn a_success_is_one_where_tokens_were_guessed_lately_by_the_same_hand() {
    let ok =
        |n: u32, client: &str, micros: i64| Usage { status: Some(200), ..tried(n, client, micros) };
    let mut scene = Scene::default();
    assert_eq!(scene.meet(&ok(900, "203.0.113.9", 0), true), None, "nobody has guessed");
    scene.all((0..30).map(|n| tried(n, "203.0.113.9", i64::from(n) * SECOND)));
    assert_eq!(scene.meet(&ok(901, "203.0.113.9", MINUTE), false), None, "it was there before");
    let other = Usage { agent: Agent::default(), ..ok(902, "203.0.113.77", MINUTE) };
    assert_eq!(scene.meet(&other, true), None, "somebody else of the same /24");
    let denied = tried(903, "203.0.113.9", MINUTE);
    assert_eq!(scene.meet(&denied, true), None, "not accepted");
    let found = scene.meet(&ok(904, "203.0.113.9", MINUTE), true).unwrap();
    assert!((28..=32).contains(&found.tokens) && found.tries == 30, "{found:?}");
    assert!(scene.meet(&ok(904, "203.0.113.9", 2 * MINUTE), false).is_some(), "it still is");
    assert_eq!(scene.meet(&ok(905, "203.0.113.9", 7 * HOUR), true), None, "too late");
}

#[test]
fn a_token_found_before_it_was_clear_that_somebody_guesses_is_not_forgotten() {
    let ok = |n: u32, micros: i64| Usage { status: Some(200), ..tried(n, "203.0.113.9", micros) };
    let mut scene = Scene::default();
    scene.all((0..10).map(|n| tried(n, "203.0.113.9", i64::from(n) * SECOND)));
    assert_eq!(scene.meet(&ok(900, 11 * SECOND), true), None);
    let told = scene.all((20..50).map(|n| tried(n, "203.0.113.9", i64::from(n) * SECOND)));
    assert_eq!((told.len(), told[0].accepted), (1, 1));
    assert!(scene.meet(&ok(900, MINUTE), false).is_some());
}

#[test]
fn a_source_that_goes_on_is_told_once_a_day() {
    let tries = (0..3000).map(|n| tried(n, "203.0.113.9", i64::from(n) * MINUTE));
    let told = Scene::default().all(tries);
    let days: Vec<i64> = told.iter().map(|guesses| guesses.seconds / 3600).collect();
    assert!((2..=5).contains(&told.len()), "{days:?}");
}

/// The days of five on which 18 kiosks and, from the third on, further ones are reported; each tries its own token.
fn kiosks_told_on(n_further: u32) -> Vec<(i64, Manner)> {
    let mut scene = Scene::default();
    let mut told = Vec::new();
    for day in 0..5 {
        let n_kiosks = 18 + if day < 2 { 0 } else { n_further };
        for n in 0..4 * n_kiosks {
            let at = day * DAY * SECOND + i64::from(n) * 6 * SECOND;
            let guesses = scene.fail(&tried(n % n_kiosks, "203.0.113.9", at));
            told.extend(guesses.map(|guesses| (day, guesses.manner)));
        }
        let living =
            Usage { status: Some(200), ..tried(900, "203.0.113.9", (day * DAY + 600) * SECOND) };
        assert_eq!(scene.meet(&living, true).is_some(), told.iter().any(|(on, _)| *on == day));
    }
    told
}

#[test]
fn stale_clients_that_try_the_same_tokens_were_guessing_anew_each_day() {
    assert_eq!(kiosks_told_on(0), [(0, Manner::Burst)]);
    assert_eq!(kiosks_told_on(3), [(0, Manner::Burst)], "a few more of them");
    assert_eq!(kiosks_told_on(18), [(0, Manner::Burst), (2, Manner::Burst)], "as many others");
}

#[test]
fn new_guesses_hid_behind_those_that_were_reported() {
    let mut scene = Scene::default();
    let day = |day: i64, n: std::ops::Range<u32>| {
        n.map(move |n| tried(n, "203.0.113.9", day * DAY * SECOND + i64::from(n) * 6 * SECOND))
    };
    assert_eq!(scene.all(day(0, 0..60)).len(), 1);
    assert_eq!(scene.all(day(2, 0..60)).len(), 0);
    assert_eq!(scene.all(day(4, 0..75)).len(), 1, "the same, and fifteen others");
    let found = Usage { status: Some(200), ..tried(900, "203.0.113.9", 4 * DAY * SECOND + HOUR) };
    assert!(scene.meet(&found, true).is_some());
}

#[test]
fn offices_of_one_operator_with_stale_clients_are_not_many_that_guess() {
    let mut scene = Scene::default();
    let told = (0..4).map(|day| {
        let kiosk = |n: u32| {
            let at = day * DAY * SECOND + i64::from(n) * 6 * SECOND;
            tried(n, &format!("10.{}.113.9", n % 6), at)
        };
        let lives = (0..4).flat_map(|_| (0..108).map(kiosk)).collect::<Vec<_>>();
        lives.iter().filter_map(|usage| scene.fail_at(usage, &hosted())).count()
    });
    let told: Vec<usize> = told.collect();
    assert_eq!(told[2..], [0, 0], "{told:?}");
}

#[test]
fn phones_with_a_withdrawn_app_are_told_once() {
    let mut scene = Scene::default();
    let told = (0..5).map(|day| {
        let phone = |n: u32| {
            let at = day * DAY * SECOND + i64::from(n) * 20 * SECOND;
            tried(n, &format!("10.{n}.113.9"), at)
        };
        (0..60).filter_map(|n| scene.fail_at(&phone(n), &hosted())).count()
    });
    assert_eq!(told.collect::<Vec<_>>(), [1, 0, 0, 0, 0]);
}

/// Returns the days on which it is reported that a source tries a number of tokens; a known one comes from there
/// if `is_known`.
fn told_on(n_tokens: &[u32], is_known: bool) -> Vec<usize> {
    let mut scene = Scene::default();
    let mut days = Vec::new();
    for (day, n_tokens) in n_tokens.iter().enumerate() {
        let begin = i64::try_from(day).unwrap() * DAY * SECOND;
        // at no regular intervals
        let at = |n: u32| begin + i64::from((100 * n + 37 * (n * n % 7)) * 800 / n_tokens) * SECOND;
        for n in 0..*n_tokens {
            let token = 100_000 * u32::try_from(day).unwrap() + n;
            days.extend(scene.fail(&tried(token, "203.0.113.9", at(n))).map(|_| day));
            if is_known && n == 0 {
                let own = Usage { status: Some(200), ..tried(4_000_000, "203.0.113.9", begin) };
                scene.meet(&own, false);
            }
        }
    }
    days.dedup();
    days
}

#[test]
fn nobody_makes_guessing_usual() {
    let rising = [45, 45, 45, 45, 200, 550, 3000, 3000, 5000];
    assert_eq!(told_on(&rising, false), [4, 5, 6, 7, 8]);
    assert_eq!(
        told_on(&rising, true),
        [5, 6, 7, 8],
        "five times as ever is the most that is excused"
    );
    assert_eq!(told_on(&[45, 45, 45, 45, 200, 200, 200, 200, 200], true), [] as [usize; 0]);
}

#[test]
fn many_sources_that_go_on_make_nothing_usual() {
    let mut scene = Scene::default();
    let day = |day: u32| {
        let one = move |n: u32| {
            let at = i64::from(day) * DAY * SECOND + i64::from(n) * 90 * SECOND;
            tried(1000 * day + n, &format!("{}.{}.113.9", 10 + n / 4, n % 4), at)
        };
        (0..800).map(one)
    };
    let told = (0..6).map(|n| {
        let all = day(n).filter_map(|usage| scene.fail_at(&usage, &hosted()));
        all.filter(|guesses| guesses.manner == Manner::Spread).count()
    });
    let told: Vec<usize> = told.collect();
    assert!(told.iter().all(|n| *n > 0), "{told:?}");
}

#[test]
fn what_was_kept_is_what_was_there() {
    let mut scene = Scene::default();
    scene.all((0..40).map(|n| tried(n, "203.0.113.9", i64::from(n) * SECOND)));
    scene.meet(&Usage { status: Some(200), ..tried(900, "203.0.113.9", MINUTE) }, true);
    let rows: Vec<_> = scene.0.take().collect();
    let mut restored = Sources::default();
    assert!(restored.restore(&rows).is_empty());
    assert_eq!(restored, scene.0);
    assert_eq!(scene.0.take().count(), 0, "nothing has changed");
}

/// Twenty-six tokens from an address, in as many seconds.
fn burst(first: u32, client: &str, at: i64) -> Vec<Usage> {
    (0..26).map(|n| tried(first + n, client, at + i64::from(n) * SECOND)).collect()
}

/// A source of its own, with the operator, client and route of its own.
fn apart(n: u32, at: i64) -> Vec<Usage> {
    let agent = Agent { family: format!("tool-{n}").into(), version: "1".into() };
    let client = format!("{}.{}.{}.9", 10 + n / 65_536, n / 256 % 256, n % 256);
    let own = burst(1_000_000 + 26 * n, &client, at);
    own.into_iter().map(|usage| Usage { agent: agent.clone(), ..usage }).collect()
}

fn accepted(usage: Usage) -> Usage {
    Usage { status: Some(200), ..usage }
}

#[test]
fn each_of_five_thousand_networks_of_one_site_raised_an_alert() {
    let mut scene = Scene::default();
    let flood = (0..5_000u32)
        .flat_map(|n| burst(26 * n, &format!("2001:db8:1:{n:x}::1"), i64::from(n) * 10 * SECOND));
    let told = scene.all(flood);
    let sources: Vec<&str> = told.iter().map(|guesses| guesses.source.as_str()).collect();
    assert!(sources.len() <= 6, "{sources:?}");
    assert_eq!(sources.last(), Some(&"2001:db8:1::/48"), "the others are part of it");
    // who has nothing in common with them, and who has client and route
    let elsewhere: Vec<_> = ["198.51.100.7", "203.0.113.9"]
        .iter()
        .zip(0..)
        .flat_map(|(client, n)| scene.all(burst(500_000 + 26 * n, client, 14 * HOUR)))
        .map(|guesses| guesses.source)
        .collect();
    assert_eq!(elsewhere, ["198.51.100.0/24", "203.0.113.0/24"]);
    // what is found by one of those is news, reported or not
    let found = accepted(tried(900_000, "2001:db8:1:1387::1", 14 * HOUR));
    assert!(scene.meet(&found, true).is_some());
}

#[test]
fn each_of_fifteen_hundred_networks_of_nobody_raised_an_alert() {
    let mut scene = Scene::default();
    let flood = (0..1_500u32).flat_map(|n| apart(n, i64::from(n) * 2 * SECOND));
    let told = scene.all(flood);
    assert_eq!(told.len(), 21, "of an hour");
    let n_last =
        told.iter().filter(|guesses| guesses.room == Room::Last(Exposed::Guessing)).count();
    assert_eq!((n_last, told[20].room), (1, Room::Last(Exposed::Guessing)));
    let found = accepted(apart(1_499, 2_999 * SECOND)[0].clone());
    assert!(scene.meet(&found, true).is_some(), "of one that was not reported");
    let later: Vec<_> =
        scene.all(apart(1_499, HOUR + MINUTE)).into_iter().map(|of| of.source).collect();
    assert_eq!(later, ["10.5.219.0/24"], "it goes on in the next hour");
}

#[test]
fn clients_and_routes_without_number_raised_an_alert_each() {
    let mut scene = Scene::default();
    // five tokens from each of five networks, again and again under another name
    let flood = (0..20_000u32).map(|n| Usage {
        agent: Agent { family: format!("tool-{}", n / 25).into(), version: "1".into() },
        ..tried(n, &format!("10.{}.{}.9", n / 1_280, n / 5 % 256), i64::from(n) * SECOND / 10)
    });
    let told = scene.all(flood);
    assert!(told.iter().all(|guesses| guesses.manner == Manner::Spread));
    assert_eq!(told.len(), 21);
}

#[test]
fn the_fifth_that_is_reported_of_one_site_is_the_site() {
    let mut scene = Scene::default();
    // an hour apart, so that they are never many at once
    let one = |n: u32| burst(26 * n, &format!("2001:db8:1:{n:x}::1"), i64::from(n) * HOUR);
    let told = scene.all((0..72).flat_map(one));
    let sites: Vec<_> = (0..).zip(&told).filter(|(_, of)| of.manner == Manner::Spread).collect();
    assert_eq!(sites.len(), 3, "one a day: {told:?}");
    assert!(told.len() <= 18, "and five sources before each: {told:?}");
    let (n_before, site) = sites[0];
    assert_eq!((site.source.as_str(), site.room), ("2001:db8:1::/48", Room::One));
    assert!((4..=5).contains(&n_before) && site.sources == 5, "{told:?}");
    assert!(100 < site.tokens && site.tokens <= site.tries && 4 * 3600 <= site.seconds, "{site:?}");
}

#[test]
fn nobody_hides_behind_a_report_for_more_than_a_day_or_five_times_as_many() {
    let mut scene = Scene::default();
    let sources = |told: Vec<Guesses>| told.into_iter().map(|of| of.source).collect::<Vec<_>>();
    // few each, by the same client and route
    let decoy = (0..40u32).map(|n| tried(n, &format!("10.{}.113.9", n / 5), 0));
    assert_eq!(scene.all(decoy).len(), 1);
    let own = |from: u32, n: u32, at: i64| {
        (from..from + n).map(move |n| tried(n, "203.0.113.9", at + i64::from(n) * SECOND))
    };
    assert_eq!(scene.all(own(1_000, 150, HOUR)), [], "part of what was reported");
    assert!(scene.meet(&accepted(tried(9_000, "203.0.113.9", 2 * HOUR)), true).is_some());
    assert_eq!(
        sources(scene.all(own(2_000, 300, 2 * HOUR))),
        ["203.0.113.0/24"],
        "it is much more"
    );
    let quiet = burst(5_000, "198.51.100.9", 23 * HOUR);
    assert_eq!(scene.all(quiet), []);
    let again = burst(6_000, "198.51.100.9", 24 * HOUR + MINUTE);
    assert_eq!(sources(scene.all(again)), ["198.51.100.0/24"]);
}

#[test]
fn an_operator_is_reported_beside_client_and_route_if_it_is_much_more() {
    let mut scene = Scene::default();
    let decoy = (0..40u32).map(|n| tried(n, &format!("10.{}.113.9", n / 5), 0));
    assert_eq!(scene.all(decoy).len(), 1);
    let hosted = |n: u32| {
        let usage = tried(100 + n, &format!("172.16.{}.9", n / 5), MINUTE + i64::from(n) * SECOND);
        (n, usage)
    };
    let told: Vec<_> = (0..300)
        .map(hosted)
        .filter_map(|(n, usage)| Some((n, scene.fail_at(&usage, &self::hosted())?.source)))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1 == "AS64502" && (100..160).contains(&told[0].0), "{told:?}");
}

#[test]
fn what_was_stored_before_groups_had_members_is_read() {
    let mut scene = Scene::default();
    scene.all(burst(0, "203.0.113.9", 0));
    let mut rows: Vec<_> = scene.0.take().collect();
    for row in &mut rows {
        let mut entries: serde_json::Value = serde_json::from_slice(&row.body).unwrap();
        for entry in entries.as_object_mut().unwrap().values_mut() {
            let fields = entry.as_object_mut().unwrap();
            fields.remove("members");
            assert!(fields.remove("caught").is_some());
        }
        row.body = serde_json::to_vec(&entries).unwrap();
    }
    let mut old = Scene::default();
    assert!(old.0.restore(&rows).is_empty());
    assert_eq!(old.all(burst(100, "203.0.113.9", MINUTE)), [], "it was reported");
    assert!(old.meet(&accepted(tried(900, "203.0.113.9", 2 * MINUTE)), true).is_some());
}

#[path = "campaigns_tests.rs"]
mod campaigns;
