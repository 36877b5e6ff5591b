//! How a log's clock stands to the moments at which its lines arrive.
//!
//! ```text
//! newest line - arrival      +2 h             from the future: the clock is wrong
//!                            -7 min, -3 min   shipped late, or caught up with
//!                            -5 h for 10 min  neither: the clock is 5 h behind, a zone west of UTC
//! ```
//!
//! Lines from the past are no fault as such, so only a log whose newest lines lag behind by the same whole quarters of
//! an hour, without a pause, has a clock that is behind.

use serde::{Deserialize, Serialize};

use crate::engine::time::{MINUTE, Timestamp};
use crate::engine::zone::offset_near;

/// A line takes a moment to arrive, and clocks differ slightly.
const SLACK: i64 = MINUTE;

/// For so long the lines must be behind: whoever catches up is elsewhere by then.
const STEADY: i64 = 10 * MINUTE;

/// After a longer pause it begins anew: what is shipped in bundles is as late as its bundle.
const PAUSE: i64 = 3 * MINUTE;

/// What is remembered of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    /// By how many microseconds the latest lines were ahead of their arrival.
    latest: i64,
    /// Lines without a zone that are behind by whole quarters of an hour.
    behind: Option<Behind>,
}

/// Since when they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Behind {
    /// The offset from UTC that would explain it, in microseconds.
    offset: i64,
    since: Timestamp,
    latest: Timestamp,
}

impl Skew {
    /// Notes the newest time in lines that arrived `now`, and in those of them that name no zone.
    pub fn note(&mut self, newest: Option<Timestamp>, local: Option<Timestamp>, now: Timestamp) {
        if let Some(newest) = newest {
            self.latest = newest.since(now);
        }
        if let Some(local) = local {
            let offset = offset_near(local.since(now), SLACK).filter(|offset| *offset < 0);
            self.behind = offset.map(|offset| {
                let goes_on = |was: &Behind| was.offset == offset && now.since(was.latest) <= PAUSE;
                let since = self.behind.filter(goes_on).map_or(now, |was| was.since);
                Behind { offset, since, latest: now }
            });
        }
    }

    /// Returns by how many microseconds the log's clock is ahead; less than 0 if it is certainly behind.
    #[must_use]
    pub fn micros(&self) -> i64 {
        let is_steady = |behind: &Behind| STEADY <= behind.latest.since(behind.since);
        let behind = self.behind.filter(is_steady).map(|behind| behind.offset);
        behind.unwrap_or_else(|| self.latest.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{HOUR, SECOND};

    const NOON: Timestamp = Timestamp::from_seconds(1_795_435_200);

    /// Notes lines without a zone: each arrives at a moment after noon, and is this far ahead.
    fn after(lines: impl IntoIterator<Item = (i64, i64)>) -> i64 {
        let mut skew = Skew::default();
        for (at, ahead) in lines {
            let now = NOON.plus(at);
            let time = Some(now.plus(ahead));
            skew.note(time, time, now);
        }
        skew.micros()
    }

    /// A line a minute, of so many, each this far ahead.
    fn minutes(n: i64, ahead: impl Fn(i64) -> i64) -> i64 {
        after((0..n).map(|at| (at * MINUTE, ahead(at))))
    }

    #[test]
    fn a_clock_that_was_behind_was_never_told() {
        for offset in [-HOUR, -9 * HOUR, -3 * HOUR - 30 * MINUTE, -12 * HOUR] {
            assert_eq!(minutes(10, |_| offset), 0, "not yet {offset}");
            assert_eq!(minutes(11, |_| offset), offset);
            assert_eq!(minutes(600, |at| offset - at % 7 * SECOND), offset);
            assert_eq!(minutes(600, |at| offset + at % 3 * 20 * SECOND), offset);
        }
        // Once it is set right, or the zone is configured, it is over.
        assert_eq!(minutes(600, |at| if at < 599 { -HOUR } else { -SECOND }), 0);
    }

    #[test]
    fn lines_that_are_merely_late_are_no_matter_of_the_clock() {
        let cases: [(&str, i64); 6] = [
            ("shipped a minute or ten late", minutes(600, |at| -(at % 10) * MINUTE)),
            ("caught up with, twice as fast as written", minutes(600, |at| (at - 600) * MINUTE)),
            ("as late as no zone is", minutes(600, |_| -HOUR - 5 * MINUTE)),
            ("later than any zone", minutes(600, |_| -20 * HOUR)),
            ("an hour late, in bundles", after((0..99).map(|at| (at * 5 * MINUTE, -HOUR)))),
            ("an hour late for a while", minutes(600, |at| -HOUR - at / 9 % 2 * 9 * MINUTE)),
        ];
        for (case, micros) in cases {
            assert_eq!(micros, 0, "{case}");
        }
        // Lines that name their zone say themselves how late they are.
        let mut skew = Skew::default();
        for at in 0..600 {
            let now = NOON.plus(at * MINUTE);
            skew.note(Some(now.plus(-HOUR)), None, now);
        }
        assert_eq!(skew.micros(), 0);
    }

    #[test]
    fn a_clock_that_is_ahead_is_told_by_the_lines_that_came_last() {
        assert_eq!(after([(0, 2 * HOUR)]), 2 * HOUR);
        assert_eq!(after([(0, 2 * HOUR), (SECOND, -SECOND)]), 0);
        assert_eq!(after([]), 0);
    }
}
