//! The pace of a clockwork, of people, of batches, and of lines out of order.

use super::*;
use crate::engine::time::{DAY, SECOND};

const START: Timestamp = Timestamp(20_518 * DAY); // a Saturday

/// Feeds (seconds since start) and returns the largest evidence by day.
fn feed(pace: &mut Pace, times: impl IntoIterator<Item = i64>) -> Vec<f64> {
    let params = Rate::default();
    let mut most = Vec::new();
    for seconds in times {
        let time = START.plus(seconds * SECOND);
        let burst = pace.burst(time, &Load::default(), &params, 12.0);
        let day = usize::try_from(seconds / 86_400).unwrap();
        most.resize(most.len().max(day + 1), 0.0f64);
        if let Some(burst) = burst {
            most[day] = most[day].max(burst.nats.get());
            let is_told = burst.is_now && burst.nats.get() > 6.1;
            assert!(!is_told || time.hour() != pace.hour || pace.is_notable(time), "{burst:?}");
        }
        pace.count(time, &params, 6.0);
    }
    most
}

fn every(step: i64, days: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    (days.start * 86_400..days.end * 86_400).step_by(usize::try_from(step).unwrap())
}

#[test]
fn a_clockwork_is_quiet_and_twenty_times_its_rate_is_not() {
    let mut pace = Pace::default();
    let quiet = feed(&mut pace, every(60, 0..10));
    assert!(quiet.iter().all(|nats| *nats < 2.0), "{quiet:?}");
    let noon = 10 * 86_400 + 12 * 3600;
    let before = every(60, 10..11).take_while(|t| *t < noon);
    let burst = feed(&mut pace, before.chain((noon..noon + 600).step_by(3)));
    assert!(burst[10] >= 8.0, "{burst:?}");
}

#[test]
fn a_nightly_batch_is_quiet() {
    let mut pace = Pace::default();
    let night = (0..30).flat_map(|day| {
        let at = day * 86_400 + 2 * 3600 + (day * 7 % 5) * 60;
        (0..2000 + day * 37 % 300).map(move |n| at + n / 3)
    });
    let nats = feed(&mut pace, night);
    assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
}

#[test]
fn a_weekly_batch_is_quiet() {
    let mut pace = Pace::default();
    let weekly = (0..12).flat_map(|week| (0..3000).map(move |n| week * 7 * 86_400 + 3600 + n / 2));
    let nats = feed(&mut pace, weekly);
    assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
}

#[test]
fn office_hours_and_a_holiday_are_quiet() {
    let mut pace = Pace::default();
    let working = |day: &i64| (day + 5) % 7 < 5 && !(28..42).contains(day);
    let work = (0..70).filter(working).flat_map(|day| {
        let start = day * 86_400 + (8 * 60 + day * 13 % 50) * 60;
        (0..100 + day * 31 % 60).map(move |n| start + n * 200 + n * n * 37 % 150)
    });
    let nats = feed(&mut pace, work);
    assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
}

#[test]
fn what_stood_out_on_its_own_day_was_told_again_on_the_next_two() {
    let mut pace = Pace::default();
    let pull = (0..3000).map(|n| 20 * 86_400 + 43_200 + n);
    let days = every(600, 0..20).chain(pull).chain(every(600, 21..25));
    let nats = feed(&mut pace, days);
    assert!(nats[20] >= 8.0, "{nats:?}");
    assert!(nats[21..].iter().all(|nats| *nats < 3.0), "{nats:?}");
}

#[test]
fn a_day_that_was_no_news_counts_in_full_for_the_next_two() {
    let mut pace = Pace::default();
    let nats = feed(&mut pace, every(600, 0..20).chain(every(330, 20..22)));
    assert!((4.0..6.0).contains(&nats[20]), "{nats:?}");
    assert_eq!(pace.before[0].0, 262, "all of the first of both days");
}

#[test]
fn growth_of_three_percent_a_day_is_quiet() {
    let mut pace = Pace::default();
    let grown = (0..40i64).flat_map(|day| {
        let n = i64::from(whole(600.0 * libm::pow(1.03, f64::from(i32::try_from(day).unwrap()))));
        (0..n).map(move |i| day * 86_400 + i * 86_400 / n)
    });
    let nats = feed(&mut pace, grown);
    assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
}

/// Seconds, the same in each run.
fn chance(below: i64) -> impl FnMut() -> i64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(state >> 33).unwrap() % below
    }
}

#[test]
fn what_is_learned_does_not_depend_on_the_order_of_lines_within_two_minutes() {
    // Steps of up to six minutes, some of hours, over the ends of hours, days and weeks.
    let (mut step, mut delay) = (chance(360), chance(120));
    let mut at = 0;
    let mut times: Vec<i64> = Vec::new();
    for n in 0..9000 {
        at += if n % 1500 == 0 { 9 * 3600 } else { step() };
        times.push(at);
    }
    let end = [at + 3 * 86_400];
    let mut late: Vec<(i64, i64)> = times.iter().map(|time| (time + delay(), *time)).collect();
    late.sort_unstable();
    let (mut in_order, mut shuffled) = (Pace::default(), Pace::default());
    feed(&mut in_order, times.iter().copied().chain(end));
    feed(&mut shuffled, late.iter().map(|(_, time)| *time).chain(end));
    assert_ne!(late.iter().map(|(_, time)| *time).collect::<Vec<_>>(), times);
    assert_eq!(in_order, shuffled);
    assert!(in_order.hours > 21 * 24, "{}", in_order.hours);
}

#[test]
fn the_next_windows_requests_count_apart_until_this_one_is_closed() {
    let (mut pace, params) = (Pace::default(), Rate::default());
    let at = |seconds: i64| START.plus(seconds * SECOND);
    let mut count = |seconds| {
        pace.count(at(seconds), &params, 6.0);
        (pace.hour - START.hour(), pace.five, pace.early, pace.in_hour)
    };
    assert_eq!(count(3590), (0, (11, 1), 0, 1));
    assert_eq!(count(3601), (0, (11, 1), 1, 1));
    assert_eq!(count(3595), (0, (11, 2), 1, 2), "late, and in its own hour");
    assert_eq!(count(3719), (0, (11, 2), 2, 2));
    assert_eq!(count(3720), (1, (0, 3), 0, 3), "two minutes after its end the hour is over");
}

#[test]
fn the_first_two_days_say_nothing() {
    let mut pace = Pace::default();
    let nats = feed(&mut pace, every(600, 0..1).chain(86_400..90_000));
    assert_eq!(nats, [0.0, 0.0]);
}

#[test]
fn a_gap_of_years_costs_a_week_of_hours() {
    let mut pace = Pace::default();
    feed(&mut pace, every(600, 0..10));
    feed(&mut pace, [100 * 365 * 86_400]);
    assert!(pace.hours < 11 * 24 + 170, "{}", pace.hours);
}

#[test]
fn a_clock_set_before_the_first_request_left_a_pace_unborn_for_ever() {
    let mut pace = Pace::default();
    pace.turn_back(START.hour());
    assert_eq!(pace, Pace::default());
    feed(&mut pace, every(60, 0..10));
    assert_eq!(pace.born, START.hour());
    let burst = feed(&mut pace, (10 * 86_400..10 * 86_400 + 600).step_by(3));
    assert!(burst[10] >= 8.0, "{burst:?}");
}
