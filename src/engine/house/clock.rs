//! The site's hours: those of event time in which anybody called and was not turned away, counted.
//!
//! Silence is measured in them: while everybody is silent, a log is lost, or nobody is at work, no hour passes.

use serde::{Deserialize, Serialize};

use crate::engine::time::Timestamp;

/// Lines this many hours from the clock are out of order, or have a wrong clock.
const FAR: i64 = 24;

/// After this many of them in a row the site's clock is wrong, or time has passed: as many as turn a profile back.
const RUN: u8 = 64;

/// Hours without a call from which the whole site rested. Weekends are part of how often principals call.
const REST: i64 = 72;

/// Rests that are remembered: years of holidays and outages.
const RESTS: usize = 16;

/// The site's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// The current hour since 1970.
    hour: i64,
    /// Its number among the site's hours, from 1; 0 before the first.
    beat: u32,
    /// Consecutive lines far from it, and the hour of the first of them.
    far: u8,
    #[serde(default)]
    far_from: i64,
    /// The hour that it last leapt to, forward or back.
    #[serde(default)]
    leapt: i64,
    /// The hour from which it last leapt back: those up to it were counted.
    #[serde(default)]
    left: Option<i64>,
    /// The longest rests: from the last hour in which anybody called to the next.
    #[serde(default)]
    rests: Vec<(i64, i64)>,
    /// The first and the last hour in which those who fell silent together last called. A principal that is reported
    /// later and has been silent since then is one of them.
    lost: Option<(i64, i64)>,
}

impl Clock {
    /// Returns whether a line changes anything: most fall in the current hour.
    pub(super) const fn is_moved_by(&self, time: Timestamp) -> bool {
        let hour = time.hour();
        self.beat == 0 || hour > self.hour || self.far > 0 || hour < self.hour.saturating_sub(FAR)
    }

    /// Applies the time of a line; returns whether one of the site's hours begins with it.
    pub(super) fn pass(&mut self, time: Timestamp) -> bool {
        let hour = time.hour();
        let ahead = hour.saturating_sub(self.hour);
        if self.beat > 0 && ahead.saturating_abs() > FAR {
            // One line from the past among those after a rest begins no run of its own.
            let is_ahead = self.far_from > self.hour;
            if self.far == 0 || is_ahead != (ahead > 0) {
                (self.far, self.far_from) = (0, hour);
            }
            self.far += 1;
            return self.far >= RUN && self.leap(hour);
        }
        self.far = 0;
        if self.beat > 0 && ahead <= 0 {
            return false;
        }
        self.hour = hour;
        self.beat = self.beat.saturating_add(1);
        true
    }

    /// Sets the clock to a far hour; returns whether one of the site's hours begins with it. Where two logs take turns,
    /// one of them with a wrong clock, the hours of both are counted once.
    fn leap(&mut self, hour: i64) -> bool {
        let from = std::mem::replace(&mut self.hour, hour);
        (self.far, self.leapt) = (0, hour);
        if hour < from {
            self.left = Some(from);
            // What lies ahead was a wrong clock's.
            self.rests.retain(|(_, until)| *until <= hour);
            return false;
        }
        let left = self.left.take_if(|left| left.saturating_sub(FAR) <= hour);
        let begins = left.is_none_or(|left| left < hour);
        self.note_rest(left.map_or(from, |left| left.max(from)), self.far_from.min(hour));
        self.beat = self.beat.saturating_add(u32::from(begins));
        begins
    }

    /// Notes a rest between two hours, if it was one. The shortest makes room.
    fn note_rest(&mut self, from: i64, until: i64) {
        if until.saturating_sub(from) <= REST {
            return;
        }
        self.rests.push((from, until));
        let length = |(from, until): (i64, i64)| until.saturating_sub(from);
        let shortest = self.rests.iter().enumerate().min_by_key(|(_, rest)| length(**rest));
        if let Some(at) = shortest.map(|(at, _)| at).filter(|_| self.rests.len() > RESTS) {
            self.rests.remove(at);
        }
    }

    /// Returns how many hours between two hours lie in rests. One that has just ended is among them: the clock has not
    /// leapt yet.
    pub(super) fn rested(&self, from: i64, until: i64) -> i64 {
        let end = if self.far > 0 { self.far_from } else { until };
        let is_rest = self.beat > 0 && end.saturating_sub(self.hour) > REST;
        let last = is_rest.then_some((self.hour, end));
        let within =
            |(start, end): (i64, i64)| end.min(until).saturating_sub(start.max(from)).max(0);
        self.rests.iter().copied().chain(last).map(within).sum()
    }

    /// Returns the hour that it last leapt to, since 1970: before that, hours of the day say little.
    pub(super) const fn leapt(&self) -> i64 {
        self.leapt
    }

    /// Returns the number of the current hour among the site's hours.
    pub(super) const fn beat(&self) -> u32 {
        self.beat
    }

    /// Returns the current hour since 1970.
    pub(super) const fn hour(&self) -> i64 {
        self.hour
    }

    /// Returns a day since 1970, or the site's own if the day lies far ahead of it, as from a wrong clock.
    pub(super) const fn believed(&self, day: i64) -> i64 {
        let today = self.hour.div_euclid(24);
        if self.beat > 0 && day > today + FAR / 24 { today } else { day }
    }

    /// Notes when those who are silent together last called.
    pub(super) const fn lose(&mut self, first: i64, last: i64) {
        self.lost = Some((first, last));
    }

    /// Returns whether a principal that last called in an hour is one of those who are silent together.
    pub(super) fn is_lost(&self, hour: i64) -> bool {
        self.lost.is_some_and(|(first, last)| (first..=last).contains(&hour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR, MINUTE};

    const START: i64 = 20_000 * DAY;

    fn beats(times: impl IntoIterator<Item = i64>) -> (u32, i64) {
        let mut clock = Clock::default();
        for time in times {
            let time = Timestamp(START + time);
            let (before, is_moved) = (clock.clone(), clock.is_moved_by(time));
            clock.pass(time);
            assert!(is_moved || clock == before);
        }
        (clock.beat(), clock.hour() - START / HOUR)
    }

    #[test]
    fn hours_without_a_line_are_none() {
        assert_eq!(beats([0, MINUTE, HOUR, HOUR + MINUTE, 9 * HOUR]), (3, 9));
        assert_eq!(beats([0, 5 * HOUR, 3 * HOUR, 5 * HOUR]), (2, 5));
    }

    #[test]
    fn a_clock_far_ahead_is_not_believed_and_a_long_rest_is_over_soon() {
        let ahead = (0..100).flat_map(|n| [n * MINUTE, 3650 * DAY + n * MINUTE]);
        assert_eq!(beats(ahead), (2, 1));
        let rested = std::iter::once(0).chain((0..63).map(|n| 9 * DAY + n));
        assert_eq!(beats(rested.clone()), (1, 0));
        assert_eq!(beats(rested.chain([9 * DAY + 64])), (2, 216));
    }

    #[test]
    fn a_day_far_ahead_is_today() {
        let mut clock = Clock::default();
        assert_eq!(clock.believed(9), 9, "nothing is known yet");
        clock.pass(Timestamp(START));
        assert_eq!(
            [19_000, 20_000, 20_001].map(|day| clock.believed(day)),
            [19_000, 20_000, 20_001]
        );
        assert_eq!([20_002, 99_999, i64::MAX].map(|day| clock.believed(day)), [20_000; 3]);
    }

    #[test]
    fn two_clocks_that_take_turns_count_each_hour_once() {
        let run = |start: i64| (0..70).map(move |n| start + n);
        let turns = (0..6).flat_map(|n| run(2 * DAY + n * MINUTE).chain(run(n * MINUTE)));
        assert_eq!(beats(turns), (1, 0));
        let on = run(2 * DAY + HOUR).chain(run(HOUR));
        let all = run(0).chain(run(2 * DAY)).chain(run(1)).chain(on);
        assert_eq!(beats(all), (3, 1));
    }

    /// A clock after lines of these hours, each of them often enough to be believed.
    fn lived(hours: impl IntoIterator<Item = i64>) -> Clock {
        let mut clock = Clock::default();
        for hour in hours {
            (0..i64::from(RUN)).for_each(|n| _ = clock.pass(Timestamp(hour * HOUR + n)));
        }
        clock
    }

    #[test]
    fn days_on_which_nobody_called_are_a_rest() {
        let clock = lived([0, 20, 92, 200, 210, 600]);
        assert_eq!(clock.rests, [(92, 200), (210, 600)]);
        assert_eq!([clock.rested(0, 600), clock.rested(100, 220)], [108 + 390, 100 + 10]);
        // It has not leapt yet: the first line after a rest, and the second.
        let mut clock = lived([0, 20]);
        assert_eq!([clock.rested(0, 92), clock.rested(0, 100)], [0, 80]);
        clock.pass(Timestamp(100 * HOUR));
        assert_eq!(clock.rested(10, 190), 80);
    }

    #[test]
    fn an_old_line_after_a_rest_hides_no_rest() {
        let mut clock = lived([0, 20]);
        clock.pass(Timestamp(-1000 * HOUR));
        for n in 0..i64::from(RUN) {
            clock.pass(Timestamp(900 * HOUR + n));
        }
        assert_eq!(clock.rests, [(20, 900)]);
    }

    #[test]
    fn neither_a_wrong_clock_nor_old_lines_leave_a_rest() {
        assert_eq!(lived([1000, 1001, 5000, 1002, 1003]).rests, []);
        assert_eq!(lived([1000, 1001, 5, 6, 1002, 1003]).rests, []);
        assert_eq!(lived([1000, 1100, 5000, 1101]).rests, [(1000, 1100)]);
    }

    #[test]
    fn the_longest_rests_are_remembered() {
        let weeks = (0..40).flat_map(|week| [week * 168, week * 168 + 100]);
        let clock = lived(weeks.chain([40 * 168 + 900]).filter(|hour| *hour != 5 * 168));
        assert_eq!(clock.rests.len(), RESTS);
        assert_eq!(clock.rests[0], (4 * 168 + 100, 5 * 168 + 100));
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_turned_back_without_an_hour_gained() {
        let ahead = (0..64).map(|n| 3650 * DAY + n);
        let now = (0..64).map(|n| HOUR + n);
        assert_eq!(beats(std::iter::once(0).chain(ahead).chain(now)), (2, 1));
    }
}
