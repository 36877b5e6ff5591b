//! The clock of a server that logs no zone: converts its times to UTC.
//!
//! A named zone comes from a table in the program (tzdata through `chrono-tz`), not from the host's files: the engine
//! stays pure, a replay has the same result on every machine, and a host without tzdata can read its logs.

use chrono::{MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

use super::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

/// Every zone is ahead of UTC by whole quarters of an hour (tz database) ...
const QUARTER: i64 = 15 * MINUTE;

/// ... and by no more than this, east or west.
const FURTHEST: i64 = 14 * HOUR;

/// A line may be this late and still belong to the first pass of a repeated hour: requests are logged when they end,
/// some of them with the time at which they began. A log whose clock is set back steps back by more than that, unless
/// it is silent for most of an hour: then the pass is unknown.
const LATE: i64 = 5 * MINUTE;

/// Returns the offset from UTC that explains by how much a clock is ahead, all in microseconds; `None` if no offset
/// does to within `slack`, or none is needed.
#[must_use]
pub fn offset_near(ahead: i64, slack: i64) -> Option<i64> {
    let ahead = ahead.clamp(-DAY, DAY);
    let offset = (ahead + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
    let is_zone = offset != 0 && offset.abs() <= FURTHEST && (ahead - offset).abs() <= slack;
    is_zone.then_some(offset)
}

/// A line may show a time this far ahead of the moment at which it was written, by differences of clocks and buffers.
const WRITING: i64 = 2 * MINUTE;

/// How far a clock is ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// A fixed number of seconds.
    Fixed(i64),
    /// The offset of a place, in summer and winter.
    Named(Tz),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// How far a log has come: the newest time in its lines, which distinguishes the second pass of a repeated hour. Kept
/// only for logs with a named zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reach(Option<Timestamp>);

impl Reach {
    /// Returns whether no line has contained a time.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Records a line's time. If it is more than a day older than the newest time, that one was wrong, or another log
    /// took its place: the older time replaces it.
    pub fn note(&mut self, time: Timestamp) {
        self.0 = self.0.filter(|newest| newest.since(time) <= DAY).max(Some(time));
    }
}

impl From<Option<Timestamp>> for Reach {
    fn from(newest: Option<Timestamp>) -> Self {
        Self(newest)
    }
}

impl Zone {
    /// Finds a zone by its name in the IANA database, such as `Europe/Berlin`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok().map(Self::Named)
    }

    /// Lists the names of all zones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// Returns whether it is a named zone, whose offset may change, so that a log's [`Reach`] matters.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    /// Returns the zone of a clock that showed a time when, or before, it was this late by another clock: the nearest
    /// one by which the time has passed. A request may be logged long after it began, which puts the time wrong by no
    /// more than it took.
    #[must_use]
    pub fn of_clock(shown: Timestamp, late: Timestamp) -> Self {
        let ahead = shown.since(late).clamp(-DAY, DAY).saturating_sub(WRITING);
        let offset = ahead.saturating_add(QUARTER - 1).div_euclid(QUARTER) * QUARTER;
        Self::Fixed(if offset.abs() <= FURTHEST { offset / SECOND } else { 0 })
    }

    /// Returns the instant of a time on this clock, given as if it were UTC, in a log that has come this far.
    ///
    /// A time that occurred twice on the clock belongs to the second pass if the log would otherwise step back by more
    /// than a few minutes. A time that the clock skipped is read as if it had not been set forward yet.
    #[must_use]
    pub fn instant(&self, shown: Timestamp, reach: Reach) -> Timestamp {
        match self {
            Self::Fixed(ahead) => shown.plus(-ahead.saturating_mul(SECOND)),
            Self::Named(zone) => instant(*zone, shown, reach),
        }
    }
}

fn instant(zone: Tz, shown: Timestamp, Reach(newest): Reach) -> Timestamp {
    let local = naive(shown);
    let at = |offset| shown.plus(-micros(&offset));
    match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) => at(offset),
        // The offset of a day before, since no clock is further from UTC.
        MappedLocalTime::None => at(zone.offset_from_utc_datetime(&naive(shown.plus(-DAY)))),
        MappedLocalTime::Ambiguous(one, other) => {
            let (first, second) = (at(one).min(at(other)), at(one).max(at(other)));
            let is_second = newest.is_some_and(|newest| newest.since(first) > LATE);
            if is_second { second } else { first }
        }
    }
}

fn naive(time: Timestamp) -> NaiveDateTime {
    time.to_chrono().naive_utc()
}

/// Returns how far an offset is ahead of UTC.
fn micros(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc()) * SECOND
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    /// Parses `2026-10-25 02:30:00` as an instant in UTC.
    fn utc(text: &str) -> Timestamp {
        NaiveDateTime::parse_from_str(text, "%F %T").unwrap().and_utc().into()
    }

    fn read(zone: &Zone, shown: &str, newest: Option<&str>) -> String {
        zone.instant(utc(shown), newest.map(utc).into()).to_rfc3339(0)
    }

    /// Reads a log's times in order.
    fn read_all(zone: &Zone, shown: &[Timestamp]) -> Vec<Timestamp> {
        let mut reach = Reach::default();
        let instant = |shown: &Timestamp| {
            let time = zone.instant(*shown, reach);
            reach.note(time);
            time
        };
        shown.iter().map(instant).collect()
    }

    #[test]
    fn a_clock_is_in_summer_and_winter_what_its_place_says() {
        let cases = [
            ("Europe/Berlin", "2026-01-15 12:00:00", "2026-01-15T11:00:00Z"),
            ("Europe/Berlin", "2026-07-15 12:00:00", "2026-07-15T10:00:00Z"),
            ("America/New_York", "2026-07-15 12:00:00", "2026-07-15T16:00:00Z"),
            ("Asia/Kolkata", "2026-07-15 12:00:00", "2026-07-15T06:30:00Z"),
            ("Etc/UTC", "2026-07-15 12:00:00", "2026-07-15T12:00:00Z"),
            // The hour that does not exist, and the times around it.
            ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
            ("Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-03-29 02:59:59", "2026-03-29T01:59:59Z"),
            ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
            // A whole day that did not exist.
            ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z"),
            ("Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30T10:00:00Z"),
        ];
        for (name, shown, expected) in cases {
            assert_eq!(read(&zone(name), shown, None), expected, "{shown} in {name}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_goes_by_how_far_its_log_has_come() {
        let (first, second) = ("2026-10-25T00:20:00Z", "2026-10-25T01:20:00Z");
        let cases = [
            (None, first),
            (Some("2026-10-24 20:00:00"), first),
            (Some("2026-10-25 00:19:59"), first),
            // Late in the first pass.
            (Some("2026-10-25 00:25:00"), first),
            // A quiet log, which steps back by less than half as much as its clock.
            (Some("2026-10-25 00:25:01"), second),
            (Some("2026-10-25 00:50:00"), second),
            (Some("2026-10-25 00:59:59"), second),
            // In the second pass, before and after the time.
            (Some("2026-10-25 01:00:01"), second),
            (Some("2026-10-25 01:19:59"), second),
            (Some("2026-10-25 01:59:59"), second),
            (Some("2026-10-25 03:00:00"), second),
        ];
        for (newest, expected) in cases {
            assert_eq!(
                read(&zone("Europe/Berlin"), "2026-10-25 02:20:00", newest),
                expected,
                "{newest:?}"
            );
        }
        // Just before the clock is set back, but written just after.
        let late = "2026-10-25 02:59:59";
        for (newest, expected) in [
            (Some("2026-10-25 01:00:01"), "2026-10-25T00:59:59Z"),
            (Some("2026-10-25 01:04:59"), "2026-10-25T00:59:59Z"),
            (Some("2026-10-25 01:05:00"), "2026-10-25T01:59:59Z"),
        ] {
            assert_eq!(read(&zone("Europe/Berlin"), late, newest), expected, "{newest:?}");
        }
        // Lord Howe's clock is set back by half an hour.
        let howe = zone("Australia/Lord_Howe");
        assert_eq!(
            read(&howe, "2026-04-05 01:40:00", Some("2026-04-04 14:45:00")),
            "2026-04-04T14:40:00Z"
        );
        assert_eq!(
            read(&howe, "2026-04-05 01:40:00", Some("2026-04-04 14:46:00")),
            "2026-04-04T15:10:00Z"
        );
    }

    #[test]
    fn a_time_far_ahead_is_forgotten_with_the_next_line() {
        let mut reach = Reach::default();
        for (time, newest) in [
            ("2026-10-25 00:10:00", "2026-10-25 00:10:00"),
            ("2026-10-24 23:10:00", "2026-10-25 00:10:00"),
            ("2036-01-01 00:00:00", "2036-01-01 00:00:00"),
            ("2026-10-25 00:11:00", "2026-10-25 00:11:00"),
        ] {
            reach.note(utc(time));
            assert_eq!(reach, Reach::from(Some(utc(newest))), "{time}");
        }
    }

    #[test]
    fn names_that_are_none_are_no_zones() {
        for name in ["", "Europe/Berlyn", "europe/berlin", "+01:00", "Europe"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        assert!(Zone::names().all(|name| Zone::named(name).is_some_and(|zone| zone.is_named())));
        assert!(Zone::names().count() > 400);
    }

    proptest! {
        #[test]
        fn a_log_is_read_exactly_through_both_turns(
            (name, start) in prop_oneof![
                Just(("Europe/Berlin", "2026-10-24 22:00:00")),
                Just(("Europe/Berlin", "2026-03-28 22:00:00")),
                Just(("America/New_York", "2026-11-01 03:00:00")),
                Just(("America/New_York", "2026-03-08 04:00:00")),
                Just(("America/St_Johns", "2026-11-01 02:00:00")),
            ],
            steps in prop::collection::vec((0..50 * MINUTE, 0..2 * MINUTE), 1..200),
        ) {
            let zone = zone(name);
            let Zone::Named(tz) = zone else { unreachable!() };
            let mut time = utc(start);
            // Each is written at the current time, some with a time slightly earlier.
            let written: Vec<Timestamp> = steps.iter().map(|(step, late)| {
                time = time.plus(*step);
                time.plus(-late)
            }).collect();
            let shown: Vec<Timestamp> = written.iter()
                .map(|time| time.plus(micros(&tz.offset_from_utc_datetime(&naive(*time)))))
                .collect();
            prop_assert_eq!(read_all(&zone, &shown), written);
        }

        #[test]
        fn no_time_is_too_far_off(shown in any::<i64>(), newest in any::<Option<i64>>()) {
            let newest = newest.map(Timestamp);
            let mut reach = Reach::from(newest);
            let near = zone("Europe/Berlin").instant(Timestamp(shown), reach);
            prop_assert!((near.since(Timestamp(shown))).abs() <= DAY);
            reach.note(near);
        }
    }
}
