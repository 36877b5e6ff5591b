//! The largest size of a profile, and profiles as earlier versions wrote them.

use super::*;
use crate::engine::profile::fan::Fan;
use crate::engine::profile::hourly::Hourly;
use crate::engine::profile::load::Load;
use crate::engine::profile::peers::Class;
use crate::engine::profile::silence::Rhythm;
use crate::engine::profile::turns::{Net, Spot, Turns};
use crate::engine::profile::volume::Volume;
use crate::engine::stats::Most;
use crate::engine::time::{DAY, HOUR};

/// Sixty days of many values, as version 5 wrote them.
const FULL: &str = include_str!("old/full-5.hex");
/// Three days of a machine, without a rhythm and without loads.
const BARE: &str = include_str!("old/bare-5.hex");

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

#[test]
fn a_profile_in_whole_bytes_is_read_without_loss_and_becomes_smaller() {
    let old = bytes_of(FULL);
    let profile = Profile::decode(&old).unwrap();
    let lens = [profile.tables.of(Family::Network).len(), profile.tables.of(Family::Prefix).len()];
    assert_eq!(
        (lens, profile.tables.of(Family::Routes).len(), profile.told.0.len()),
        ([10, 24], 40, 8)
    );
    assert_eq!(profile.fix.as_ref().unwrap().city, "Frankfurt am Main");
    assert_eq!((profile.n_days, profile.actors.0.len(), profile.rhythm.days), (60, 4, 55));
    let new = profile.encode();
    for version in [6, WITHOUT_CALENDAR] {
        // What these reported covers both outcomes; an empty calendar, no strangers and no days' loads take three
        // bytes.
        let rest = new[1..new.len() - 3].iter().copied();
        let before: Vec<u8> = [version].into_iter().chain(rest).collect();
        assert_eq!(Profile::decode(&before).as_ref(), Ok(&profile), "version {version}");
    }
    assert_eq!(Profile::decode(&new), Ok(profile));
    assert!(new.len() * 5 < old.len() * 4, "{} of {} B", new.len(), old.len());
}

#[test]
fn a_profile_of_version_4_is_read_without_what_came_later() {
    let mut old = bytes_of(BARE);
    let expected = Profile::decode(&old).unwrap();
    assert_eq!((expected.n_days, &expected.rhythm), (3, &Rhythm::default()));
    old[0] = 4;
    // an empty rhythm is a byte, an empty load six
    assert_eq!(old.split_off(old.len() - 7), [0; 7]);
    assert_eq!(Profile::decode(&old), Ok(expected));
}

const TODAY: i32 = 20_514;

/// Tables full of values with this many bits, each seen on different days.
fn tables() -> Tables {
    let mut tables = Tables::default();
    for ((family, most), bits) in TABLES.into_iter().zip([16, 3, 32, 32, 32, 32, 24]) {
        for n in 0..u32::try_from(most).unwrap() {
            let key = (u32::MAX >> (32 - bits)) - n;
            let age = 1000 + i32::try_from(n).unwrap();
            let slot = Slot { key, weight: Days(11_000), day: TODAY - age };
            assert!(tables.restore(family, slot));
        }
    }
    tables
}

fn actor(key: u32, minute: i64) -> Actor {
    let mut evidence = Evidence::default();
    Family::ALL.into_iter().for_each(|family| evidence.raise(family, Nats(255)));
    Actor {
        key,
        day: TODAY - 1000,
        days: 13,
        is_day_counted: true,
        is_suspect: true,
        told: Voice { tier: Tier::Critical, minute, is_refused: true, is_own: true },
        since: minute,
        evidence,
        requests: 9_999_999,
        errors: 9_999_999,
        routes: u64::MAX,
    }
}

fn spot(client: u16, second: i64) -> Spot {
    let net = Net::V6(0x00ff_ffff);
    Spot { net, country: 0x5a5a, client, since: second - 7200, last: second - 60, is_strange: true }
}

fn pace(hour: i64) -> Pace {
    let many = 9_999_999;
    Pace {
        hour,
        born: hour - 100_000,
        hours: 100_000,
        days: 4000,
        level: 0.1,
        hod: [2049; 24],
        dow: [2049; 7],
        excess: [0.1; 2],
        five_excess: 0.1,
        day_excess: [0.1; 2],
        maxima: Maxima { mean: 0.1, variance: 0.1, days: 4000 },
        peak: 0.1,
        five: (11, many),
        early: many,
        squares: 0.1,
        in_hour: many,
        in_day: many,
        learned: 0.1,
        expected: 0.1,
        before: [(many, 0.1); 2],
        cut: (hour / 24 - 1000, 0.1),
        limits: [many; 4],
    }
}

fn hourly(hour: i64) -> Hourly {
    let (many, bytes) = (9_999_999, 1 << 50);
    let most = Most { mean: 10_000, variance: 10_000, peak: 10_000, days: 4000 };
    Hourly {
        hour,
        fan: Fan {
            bits: u64::MAX,
            requests: many,
            before: (300, many),
            top: [300; 2],
            weeks: [300; 4],
            days: 6,
            whole_weeks: 3,
        },
        volume: Volume { in_hour: bytes, in_day: bytes, most: 10_000, hours: most, days: most },
        load: Load {
            five: (11, many),
            in_hour: many,
            in_day: many,
            today: [10_000; 2],
            past: [most; 2],
            days: most,
        },
    }
}

fn fix(time: Timestamp) -> Fix {
    Fix {
        time,
        degrees: Some((-9000, -18_000)),
        radius_km: 1000,
        country: Country::parse("GB"),
        asn: Some(u32::MAX),
        network: Some(NetworkKind::Business),
        city: "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch".into(),
    }
}

fn rhythm(second: i64) -> Rhythm {
    Rhythm {
        beat: 1 << 20,
        days: 4000,
        day: TODAY - 1,
        pause: 9_999,
        wait: 9_999,
        token: 0xffff,
        is_renewed: true,
        ends: Some(second + 9_999_999),
        is_told: true,
    }
}

/// A profile in which every table is full, values are as wide as possible (counts of ten million, years of use), and
/// no two were seen on the same days.
fn widest() -> Profile {
    let last = Timestamp(i64::from(TODAY) * DAY + 23 * HOUR + 3_599_999_999);
    let minute = last.0 / 60_000_000 - 10_000;
    let telling = |n: u32| Telling {
        key: u32::MAX - n,
        minute: minute - i64::from(n % 2) * 40_000,
        silent: 9_999,
    };
    let mut hours = Hours { days: [Days(11_000); 2], today: 0x00ff_ffff, ..Hours::default() };
    hours.bins.iter_mut().zip(0..).for_each(|(bin, at)| *bin = Days(11_000 - at));
    Profile {
        last,
        trusted: last.plus(-DAY),
        late: 9_999_999,
        late_run: 63,
        day: TODAY,
        calendar: Calendar { newest: TODAY, before: u64::MAX },
        n_days: 4000,
        days: Days(11_000),
        hazards: Hazards { days: [Days(11_000); 7], routes: 1 << 20, today: Families(0x0fff) },
        tables: tables(),
        hours,
        max_gap_hours: 9_999,
        errors: [0.1; 2],
        errors_today: [9_999_999; 2],
        fix: Some(fix(last.plus(-DAY))),
        strangers: Strangers { day: TODAY - 1000, today: u64::MAX, past: 0.1 },
        pace: pace(last.hour()),
        actors: Actors((0..4).map(|n| actor(u32::MAX - n, minute)).collect()),
        told_score: Voice { tier: Tier::Critical, minute, is_refused: true, is_own: true },
        told_rate: Voice { tier: Tier::Alert, minute, is_refused: false, is_own: true },
        story: Some(Story { score: Nats(255), minute }),
        told: Told((0..24).map(telling).collect()),
        class: Class::ALL[Class::ALL.len() - 1],
        turns: Turns {
            habit: Days(11_000),
            is_counted: true,
            recent: (0..Turns::SLOTS)
                .map(|n| spot(u16::try_from(n).unwrap(), last.seconds()))
                .collect(),
        },
        hourly: hourly(last.hour()),
        heard: u32::MAX,
        rhythm: rhythm(last.seconds()),
    }
}

#[test]
fn a_profile_that_is_full_of_wide_values_has_less_than_two_kilobytes() {
    let widest = widest();
    let bytes = widest.encode();
    assert_eq!(Profile::decode(&bytes), Ok(widest));
    assert!(bytes.len() <= 1780, "{} B", bytes.len());
}

#[test]
fn a_pace_that_was_stored_unborn_is_born_when_it_is_read() {
    let mut unborn = widest();
    unborn.pace.born = i64::MIN;
    let read = Profile::decode(&unborn.encode()).unwrap();
    assert_eq!(read.pace.born, read.pace.hour);
}
