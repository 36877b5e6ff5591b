//! Scenes of a site with many principals.

use proptest::prelude::*;

use super::*;
use crate::engine::geo::{NetworkKind, Place};
use crate::engine::profile::tests::{Life, berlin, rented, usage};
use crate::engine::profile::{Placed, Prior, Profile, SHARED, World};
use crate::engine::secret::TokenId;
use crate::engine::stats::Days;
use crate::engine::time::{DAY, MINUTE};
use crate::engine::usage::{Agent, Usage};
use crate::engine::word::Heard;

fn share(class: Class, days: u16, new: u16) -> Share {
    Share { class, days: Days(days * 256), new: [Days(new * 256); SHARED.len()] }
}

fn restored(house: &mut House) -> House {
    let (restored, faults) = House::restore(&house.take());
    assert!(faults.is_empty(), "{faults:?}");
    restored
}

#[test]
fn few_principals_leave_the_defaults() {
    let mut house = House::default();
    house.population.change().replace(None, Some(&share(Class::Machine, 4, 0)));
    house.begin_day(20_000);
    let (fitted, default) = (&house.priors[Class::Machine.index()], Priors::default());
    for family in SHARED {
        let ratio = |of: &Priors| of.get(family).alpha / of.get(family).beta;
        assert!((0.9..=1.0).contains(&(ratio(fitted) / ratio(&default))), "{family:?}");
    }
    assert_eq!(house.priors[Class::Human.index()], default);
}

#[test]
fn many_steady_principals_make_news_rarer_than_the_default() {
    let mut house = House::default();
    for n in 0..1000u16 {
        let population = house.population.change();
        population.replace(None, Some(&share(Class::Machine, 30, u16::from(n % 100 == 0))));
        population.replace(None, Some(&share(Class::Human, 20, n % 2 * 16)));
    }
    house.begin_day(20_000);
    let rate = |class: Class, family| {
        let Prior { alpha, beta } = house.priors[class.index()].get(family);
        alpha / beta
    };
    // 10 days with something new in 30,000; 8,000 in 20,000
    assert!((rate(Class::Machine, Family::Network) - 1.0 / 1500.0).abs() < 5e-4);
    assert!((rate(Class::Human, Family::Network) - 0.4).abs() < 0.01);
    // those differ much from one another: the prior is worth few days
    assert!(house.priors[Class::Human.index()].get(Family::Network).beta < 4.0);
}

#[test]
fn a_day_far_ahead_does_not_stop_the_fitting() {
    let mut house = House::default();
    house.begin_day(20_000);
    house.begin_day(30_000);
    house.begin_day(20_001);
    assert_eq!(house.population.value.day(), 20_001);
    house.begin_day(20_000);
    assert_eq!(house.population.value.day(), 20_001);
}

proptest! {
    #[test]
    fn what_comes_and_goes_leaves_nothing(
        shares in prop::collection::vec((0usize..2, 3u16..43, 0u16..40), 1..30),
    ) {
        let shares: Vec<Share> =
            shares.into_iter().map(|(class, days, new)| share(Class::ALL[class], days, new)).collect();
        let mut house = House::default();
        shares.iter().for_each(|share| house.population.change().replace(None, Some(share)));
        prop_assert_eq!(&restored(&mut house.clone()), &House { population: Part { is_dirty: false, ..house.population.clone() }, ..house.clone() });
        shares.iter().for_each(|share| house.population.change().replace(Some(share), None));
        prop_assert_eq!(&house.population.value, &Population::default());
    }
}

const ANYBODY: Member<'_> =
    Member { principal: "anybody", token: TokenId([0; 16]), class: Class::Human, counts: true };

/// A company: lives that share a house. It registers its tokens.
struct Company {
    house: House,
    lives: Vec<Life>,
    is_registered: bool,
}

impl Company {
    /// Machines in Berlin that have called every hour for ten days.
    fn settled(n: usize) -> Self {
        Self::of(n, true)
    }

    /// The same; not registered, they are not settled yet.
    fn of(n: usize, is_registered: bool) -> Self {
        let mut company = Self { house: House::default(), lives: Vec::new(), is_registered };
        company.lives.resize_with(n, Life::default);
        for hour in 0..240 {
            company.all_at_home(hour);
        }
        company
    }

    fn all_at_home(&mut self, hour: i64) {
        for at in 0..self.lives.len() {
            self.live(at, &usage(hour * HOUR), &berlin());
        }
    }

    fn live(&mut self, at: usize, usage: &Usage, place: &Place) -> (f64, Option<Shared>) {
        let (score, changes) = self.live_with(at, usage, place, |_| {});
        assert!(changes.len() <= 1, "{changes:?}");
        (score, changes.into_iter().next())
    }

    /// The same with other signals.
    fn live_with(
        &mut self,
        at: usize,
        usage: &Usage,
        place: &Place,
        change: impl FnOnce(&mut Signals),
    ) -> (f64, Vec<Shared>) {
        let Self { house, lives, is_registered } = self;
        house.begin_day(usage.time.day());
        let Life { profile, params, .. } = &mut lives[at];
        let placed = Placed::new(usage, place);
        let name = format!("service-{at}");
        let (fleet, is_registered) = (Fleet::default(), *is_registered);
        let member = |profile: &Profile| Member {
            principal: &name,
            token: usage.token,
            class: profile.class(),
            counts: is_registered || profile.is_settled(),
        };
        let world = World {
            atlas: &crate::engine::geo::NoAtlas,
            peers: &house.others(member(profile), &fleet),
            heard: Heard::default(),
            threshold: None,
            latest: Timestamp(i64::MAX),
        };
        let mut signals = profile.compare(&placed, params, &world);
        change(&mut signals);
        let before = profile.share();
        let absorbed = profile.absorb(&placed, &signals, params);
        house.replace_share(before, profile.share());
        let changes = house.absorb(member(profile), &signals, absorbed, &fleet);
        *house = restored_all(house);
        (signals.score, changes)
    }
}

fn network_of(place: &Place) -> What {
    What::Value(Value::new(Family::Network, place.asn.unwrap()))
}

/// Rented machines in the same city.
fn rack() -> Place {
    Place { country: berlin().country, point: berlin().point, ..rented() }
}

/// Written in parts and read again, with the parts that did not change.
fn restored_all(house: &House) -> House {
    let mut all = house.clone();
    all.population.is_dirty = true;
    all.changes.is_dirty = true;
    all.customs.iter_mut().for_each(|part| part.is_dirty = true);
    restored(&mut all)
}

#[test]
fn a_company_that_moves_is_one_change_and_the_rest_of_it_is_quiet() {
    let mut company = Company::settled(12);
    let moved = |n: usize| {
        let micros = 10 * DAY + i64::try_from(n).unwrap() * 5 * MINUTE;
        Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) }
    };
    let lived: Vec<_> = (0..12).map(|n| company.live(n, &moved(n), &rack())).collect();
    let changes: Vec<_> = lived.iter().filter_map(|(_, change)| change.clone()).collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((changes[0].what, changes[0].principals.len()), (network_of(&rack()), 5));
    // the fifth is one of the many, those before it were judged as anybody is
    assert!(lived[0].0 > 6.0 && lived[4..].iter().all(|(score, _)| *score < 1.0), "{lived:?}");
}

#[test]
fn a_move_hid_the_rush_that_the_same_use_completed() {
    let mut company = Company::settled(5);
    let hurry = |signals: &mut Signals| signals.is_rushing = true;
    let of = |at: usize| {
        let used = usage(240 * HOUR + i64::try_from(at).unwrap() * MINUTE);
        company.live_with(at, &used, &rack(), hurry).1
    };
    let all: Vec<What> = (0..5).flat_map(of).map(|change| change.what).collect();
    assert_eq!(all, [network_of(&rack()), What::Rush]);
}

#[test]
fn many_that_move_within_an_operator_are_one_change() {
    for (kind, n_changes) in [(NetworkKind::Business, 1), (NetworkKind::Residential, 0)] {
        let mut company = Company::settled(8);
        let there = Place { network: Some(kind), ..berlin() };
        let moved = |n: usize| {
            let micros = 10 * DAY + i64::try_from(n).unwrap() * 5 * MINUTE;
            Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) }
        };
        let lived: Vec<_> = (0..8).map(|n| company.live(n, &moved(n), &there)).collect();
        let changes: Vec<_> = lived.iter().filter_map(|(_, change)| change.clone()).collect();
        assert_eq!(changes.len(), n_changes, "{kind:?} {changes:?}");
        for change in changes {
            let What::Value(value) = change.what else { panic!("{change:?}") };
            assert_eq!((value.family, change.principals.len()), (Family::Prefix, 5));
        }
    }
}

fn gateway() -> Agent {
    Agent { family: "gateway".into(), version: "1.0".into() }
}

#[test]
fn a_deployment_to_new_addresses_of_a_known_operator_was_no_change() {
    let there = Place { network: Some(NetworkKind::Hosting), ..berlin() };
    for (addresses, families) in [
        ("10.0.{n}.9", vec![Family::Client]),
        ("203.0.113.9", vec![Family::Prefix, Family::Client]),
    ] {
        let mut company = Company::settled(12);
        let deployed = |n: usize| Usage {
            client: Some(addresses.replace("{n}", &n.to_string()).parse().unwrap()),
            agent: gateway(),
            ..usage(10 * DAY + i64::try_from(n).unwrap() * MINUTE)
        };
        let mut live = |n| company.live_with(n, &deployed(n), &there, |_| {});
        let lived: Vec<_> = (0..12).map(&mut live).collect();
        let whats = lived.iter().flat_map(|(_, changes)| changes).map(|change| change.what);
        let changed: Vec<Family> = whats
            .map(|what| match what {
                What::Value(value) => value.family,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(changed, families, "{addresses}");
    }
}

#[test]
fn a_client_from_a_network_that_only_others_use_excused_everybody() {
    let mut company = Company { house: House::default(), lives: Vec::new(), is_registered: true };
    company.lives.resize_with(18, Life::default);
    let elsewhere =
        |micros| Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) };
    for hour in 0..240 {
        (0..12).for_each(|at| _ = company.live(at, &usage(hour * HOUR), &berlin()));
        (12..18).for_each(|at| _ = company.live(at, &elsewhere(hour * HOUR), &rack()));
    }
    for n in 0..8 {
        let at = 10 * DAY + i64::try_from(n).unwrap() * MINUTE;
        let stolen = Usage { agent: gateway(), ..elsewhere(at) };
        let (score, changes) = company.live_with(n, &stolen, &rack(), |_| {});
        assert!(score > 3.0 && changes.is_empty(), "{score} {changes:?}");
    }
    let own = Usage { agent: gateway(), ..usage(11 * DAY) };
    let (score, _) = company.live(10, &own, &berlin());
    assert!(score > 1.0, "{score}");
}

#[test]
fn a_client_of_their_own_is_still_evidence_where_many_have_moved() {
    let mut company = Company::settled(7);
    for n in 0..6 {
        let moved = Usage {
            client: Some("203.0.113.9".parse().unwrap()),
            ..usage(10 * DAY + i64::try_from(n).unwrap() * MINUTE)
        };
        company.live(n, &moved, &rented());
    }
    let stolen = Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..usage(10 * DAY + 10 * MINUTE)
    };
    let (score, _) = company.live(6, &stolen, &rented());
    assert!(score > 3.0, "{score}");
}

#[test]
fn what_three_others_use_is_weaker_evidence() {
    let mut company = Company::settled(5);
    // what is taken off is taken off before the cap: none here
    company.lives.iter_mut().for_each(|life| life.params.caps.network = 15.0);
    let elsewhere =
        |micros: i64| Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) };
    let (alone, _) = company.live(0, &elsewhere(10 * DAY), &rented());
    // an actor that is suspect is learned on its fourteenth day
    for day in 11..26 {
        company.live(4, &usage(day * DAY), &berlin());
        for hour in 0..24 {
            for at in 1..4 {
                company.live(at, &elsewhere(day * DAY + hour * HOUR), &rented());
            }
        }
    }
    let (shared, _) = company.live(4, &elsewhere(26 * DAY), &rented());
    assert!(shared < alone - 1.0, "{shared} {alone}");
    // a principal that is not a machine is a stranger where only machines are at home
    let peers = company.house.clone();
    let by = |class| {
        let fleet = Fleet::default();
        let network = Value::new(Family::Network, rented().asn.unwrap());
        peers.others(ANYBODY, &fleet).known_by(class, network)
    };
    assert_eq!((by(Class::Machine), by(Class::Human)), (3, 0));
}

#[test]
fn what_is_damaged_starts_anew_and_is_named() {
    let rows = [HouseRow { name: POPULATION.into(), body: b"{".to_vec() }];
    let (house, faults) = House::restore(&rows);
    assert_eq!((house, faults), (House::default(), vec![POPULATION.into()]));
}

#[test]
fn a_change_under_a_clock_far_ahead_spoke_for_everybody_for_years() {
    let mut company = Company::settled(7);
    let moved = |n: usize, micros: i64| {
        let micros = micros + i64::try_from(n).unwrap() * MINUTE;
        Usage { client: Some("203.0.113.9".parse().unwrap()), ..usage(micros) }
    };
    let mut changes = company.house.changes.value.clone();
    let ahead = usage(3650 * DAY).time;
    for who in ["a", "b", "c", "d", "e"] {
        changes.note(
            network_of(&rented()),
            &Member { principal: who, ..ANYBODY },
            [ahead; 2],
            &Fleet::default(),
        );
    }
    let network = network_of(&rented());
    assert!(changes.is_shared(network, &ANYBODY, ahead, &Fleet::default()));
    company.house.changes.value = changes;
    let (score, _) = company.live(0, &moved(0, 10 * DAY), &rented());
    assert!(score > 6.0, "{score}");
}

#[test]
fn a_token_that_got_a_name_counted_twice() {
    let mut changes = Changes::default();
    let (network, time) = (network_of(&rented()), usage(0).time);
    let mut note = |principal: &str, token: u8| {
        let member = Member { principal, token: TokenId([token; 16]), ..ANYBODY };
        changes.note(network, &member, [time; 2], &Fleet::default()).is_some()
    };
    let ids = [1, 2, 3].map(|n| TokenId([n; 16]).to_string());
    let known = [1, 2, 3].map(|n| note(&ids[usize::from(n) - 1], n));
    let named = [("ci", 1), ("web", 2)].map(|(name, token)| note(name, token));
    assert_eq!((known, named), ([false; 3], [false; 2]));
    assert_eq!([("a", 4), ("b", 5)].map(|(name, token)| note(name, token)), [false, true]);
}

#[test]
fn a_line_with_a_wrong_clock_ended_all_changes_of_the_fleet() {
    let fleet = Fleet::default();
    let (network, now) = (network_of(&rented()), usage(0).time);
    for wrong in [-2000, 2000].map(|days| usage(days * DAY).time) {
        let mut changes = Changes::default();
        let mut note = |principal: &str| {
            let member = Member { principal, ..ANYBODY };
            let found = changes.note(network, &member, [now; 2], &fleet).is_some();
            let odd = Member { principal: "odd", ..ANYBODY };
            assert!(changes.note(What::Rush, &odd, [wrong, now], &fleet).is_none());
            (found, changes.is_shared(network, &odd, now, &fleet))
        };
        let lived = ["a", "b", "c", "d", "e"].map(&mut note);
        assert_eq!(
            lived[3..],
            [(false, true), (true, true)],
            "the fourth makes it one with the next"
        );
        assert_eq!(note("f"), (false, true));
    }
}

#[test]
fn a_change_after_a_rest_begins_before_the_sites_clock_knows() {
    let fleet = Fleet::default();
    let (network, now, before) = (network_of(&rented()), usage(0).time, usage(-3 * DAY).time);
    let mut changes = Changes::default();
    let mut note = |principal: &str| {
        let member = Member { principal, ..ANYBODY };
        changes.note(network, &member, [now, before], &fleet).is_some()
    };
    assert_eq!(["a", "b", "c", "d", "e"].map(&mut note), [false, false, false, false, true]);
}

#[test]
fn a_value_under_a_clock_far_ahead_takes_no_place_for_years() {
    let mut house = House::default();
    let at = |day: i64| usage(day * DAY).time;
    let client = |key: u32| Value::new(Family::Client, key);
    let mut note = |key: u32, day: i64, written: i64| {
        house.begin_hour(at(day));
        for who in 1..=2 {
            let owner = Owner { class: Class::Human, who };
            house.note(client(key), owner, at(written).day());
        }
        house.users_of(client(9))
    };
    assert_eq!(note(9, 0, 3650), [2, 0]);
    let others = (10..40_000).filter(|key| bucket_of(client(*key)) == bucket_of(client(9)));
    let left: Vec<[u32; 2]> = others.map(|key| note(key, 1, 1)).collect();
    assert_eq!(left.last(), Some(&[0, 0]));
}

#[test]
fn tokens_that_nobody_registered_make_no_fleet_before_they_are_settled() {
    let moved = |n: usize, day: i64| Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        ..usage(day * DAY + i64::try_from(n).unwrap() * MINUTE)
    };
    let mut company = Company::of(6, false);
    let lived: Vec<_> = (0..6).map(|n| company.live(n, &moved(n, 10), &rented())).collect();
    assert!(lived.iter().all(|(score, change)| *score > 6.0 && change.is_none()), "{lived:?}");
    let mut company = Company::of(6, false);
    for hour in 240..384 {
        company.all_at_home(hour);
    }
    let lived: Vec<_> = (0..6).map(|n| company.live(n, &moved(n, 16), &rack())).collect();
    assert!(lived[4].1.is_some() && lived[5].0 < 1.0, "{lived:?}");
}

#[test]
fn what_unsettled_tokens_use_is_known_to_nobody_and_what_settled_ones_have_is() {
    let known = |company: &Company| {
        let (house, fleet) = (&company.house, Fleet::default());
        let prefix = Value::new(Family::Prefix, 0xc0_00_02);
        let by = |class| house.others(ANYBODY, &fleet).known_by(class, prefix);
        Class::ALL.map(by).into_iter().sum::<u32>()
    };
    let mut company = Company::of(3, false);
    assert_eq!(known(&company), 0);
    company.house.begin_day(usage(11 * DAY).time.day());
    assert_eq!(company.house.priors, House::default().priors);
    for hour in 240..360 {
        company.all_at_home(hour);
    }
    assert_eq!(known(&company), 3, "all that they have, not only what is new on that day");
    assert_eq!(known(&Company::of(3, true)), 3);
}
