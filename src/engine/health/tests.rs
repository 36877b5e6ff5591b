//! Logs that have lines in every hour, until they stop.

use proptest::prelude::*;
use smol_str::SmolStr;

use super::{Log, Roll};
use crate::engine::detect::Health;
use crate::engine::pulse::{Pulse, Window};
use crate::engine::record::Reject;
use crate::engine::time::{DAY, HOUR, Timestamp};

const START: i64 = 20_000 * DAY;
const NEVER: Timestamp = Timestamp(i64::MAX);

fn at(hour: i64) -> Timestamp {
    Timestamp(START + hour * HOUR)
}

fn hear(roll: &mut Roll, log: &str, hours: impl IntoIterator<Item = i64>) {
    let mut pulse = Pulse::default();
    hours.into_iter().for_each(|hour| pulse.read(Some(at(hour))));
    roll.hear(&SmolStr::new(log), &pulse, &Window::default(), NEVER);
}

/// The missing logs, for how many hours, and since when.
fn missing(roll: &mut Roll) -> Vec<(String, u32, i64)> {
    let source_of = |log: &str| log.split_once(':').map(|(source, _)| source.len());
    let found = roll.missing(|_| true, source_of, &Health::default());
    for (name, _) in &found {
        roll.tell(name);
    }
    let hour = |time: Timestamp| time.hour() - START / HOUR;
    found.into_iter().map(|(name, one)| (name.to_string(), one.wait, hour(one.time))).collect()
}

#[test]
fn what_is_damaged_is_nothing() {
    assert_eq!(Log::decode(&Log::default().encode()), Some(Log::default()));
    assert_eq!((Log::decode(""), Log::decode("{}")), (None, None));
    assert_eq!(Roll::decode(b"{}"), None);
}

#[test]
fn a_log_of_every_hour_is_missed_after_two_and_once() {
    let mut roll = Roll::default();
    hear(&mut roll, "a", 0..200);
    for hour in 0..210 {
        hear(&mut roll, "b", [hour]);
        let expected = if hour == 202 { vec![("a".to_owned(), 2, 202)] } else { Vec::new() };
        assert_eq!(missing(&mut roll), expected, "{hour}");
    }
    hear(&mut roll, "a", [210]);
    hear(&mut roll, "b", 210..230);
    // Heard again: with a pause of ten hours in its week, it may pause for fifty.
    assert_eq!(missing(&mut roll), []);
    hear(&mut roll, "b", 230..262);
    assert_eq!(missing(&mut roll), [("a".to_owned(), 50, 261)]);
}

#[test]
fn who_is_not_known_for_a_week_or_rests_often_need_not_have_lines() {
    let mut roll = Roll::default();
    hear(&mut roll, "new", 40..200);
    hear(&mut roll, "office", (0..200).filter(|hour| (8..18).contains(&(hour % 24))));
    hear(&mut roll, "all", 0..400);
    assert_eq!(missing(&mut roll), []);
}

#[test]
fn a_log_that_ended_with_its_month_was_called_silent() {
    let logs = [("web:march", 0..200), ("web:april", 199..400), ("web:may", 400..500)];
    let mut roll = Roll::default();
    for hour in 0..500 {
        hear(&mut roll, "other", [hour]);
        for (log, hours) in &logs {
            hear(&mut roll, log, Some(hour).filter(|hour| hours.contains(hour)));
        }
        roll = Roll::decode(&serde_json::to_vec(&roll).unwrap()).unwrap();
        assert_eq!(missing(&mut roll), [], "{hour}");
    }
    assert_eq!(roll.unheard("web:april", &Health::default()), None);
}

#[test]
fn a_log_of_another_source_or_of_before_continues_none() {
    let mut roll = Roll::default();
    hear(&mut roll, "web:a", 0..200);
    hear(&mut roll, "web:b", 197..300);
    hear(&mut roll, "web:c", 202..300);
    hear(&mut roll, "proxy:new", 200..300);
    assert_eq!(missing(&mut roll), [("web:a".to_owned(), 2, 202)]);
}

#[test]
fn one_log_that_began_vouched_for_all_that_stopped() {
    for (began, n_missing) in [(197, 2), (198, 1), (201, 1), (202, 2)] {
        let mut roll = Roll::default();
        hear(&mut roll, "web:a", 0..200);
        hear(&mut roll, "web:b", 0..200);
        hear(&mut roll, "web:new", began..300);
        hear(&mut roll, "other", 0..300);
        assert_eq!(missing(&mut roll).len(), n_missing, "{began}");
    }
}

#[test]
fn a_log_that_is_rarely_written_began_with_each_line() {
    let mut roll = Roll::default();
    hear(&mut roll, "web:rare", [-600]);
    hear(&mut roll, "web:a", 0..200);
    hear(&mut roll, "web:rare", [200]);
    hear(&mut roll, "other", 0..300);
    assert_eq!(missing(&mut roll).len(), 1);
}

#[test]
fn hours_in_which_nobody_has_lines_do_not_pass() {
    let mut roll = Roll::default();
    let awake = |hour: &i64| hour % 24 < 16;
    hear(&mut roll, "a", (0..216).filter(awake));
    hear(&mut roll, "b", (0..209).filter(awake));
    hear(&mut roll, "b", [216]);
    assert_eq!(missing(&mut roll), [], "eight hours of night");
    hear(&mut roll, "b", 217..219);
    assert_eq!(missing(&mut roll), []);
    hear(&mut roll, "b", [219]);
    assert_eq!(missing(&mut roll).len(), 1);
}

#[test]
fn a_clock_that_is_days_ahead_says_nothing() {
    let mut roll = Roll::default();
    hear(&mut roll, "a", 0..200);
    hear(&mut roll, "b", 0..200);
    let mut pulse = Pulse::default();
    pulse.read(Some(at(9000)));
    roll.hear(&SmolStr::new("b"), &pulse, &Window::default(), at(200));
    assert_eq!(missing(&mut roll), []);
    hear(&mut roll, "b", 200..203);
    assert_eq!(missing(&mut roll).len(), 1);
}

#[test]
fn lines_that_cannot_be_read_are_lines() {
    let mut roll = Roll::default();
    hear(&mut roll, "a", 0..200);
    hear(&mut roll, "b", 0..206);
    let mut pulse = Pulse::default();
    pulse.reject(7, &Reject::new(1, "a time", "none"));
    roll.hear(&SmolStr::new("a"), &pulse, &Window::default(), at(205));
    assert_eq!(missing(&mut roll), []);
}

proptest! {
    #[test]
    fn neither_the_order_of_logs_nor_a_restart_changes_what_is_missed(
        n_known in 150..250i64, pauses in prop::collection::vec(0..250i64, 0..6), more in 1..80i64, cut in 0..250i64,
    ) {
        let lines = |hour: &i64| !pauses.contains(hour);
        let mut whole = Roll::default();
        for hour in 0..n_known + more {
            hear(&mut whole, "a", Some(hour).filter(lines).filter(|hour| *hour < n_known));
            hear(&mut whole, "b", [hour]);
        }
        let mut parts = Roll::default();
        hear(&mut parts, "b", cut..n_known + more);
        hear(&mut parts, "a", (0..n_known).rev().filter(lines));
        let packed = parts.take().unwrap();
        parts = Roll::decode(&packed).unwrap();
        hear(&mut parts, "b", 0..cut.min(n_known + more));
        prop_assert_eq!(missing(&mut parts), missing(&mut whole));
    }
}
