//! Exposures of tokens that are new here, and their use after the end that they state. Anybody can invent tokens that a
//! public page answers, and links that work once bring new ones all day: of an hour the first are reported, then once
//! that further ones are not. So it is, within thirty days, with what everybody meets (a server's leeway) or has (an
//! issuer's long-lived JWTs). And so it is, within an hour, with sources of guesses: anybody can rent many.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Part;
use crate::engine::commit::HouseRow;
use crate::engine::time::Timestamp;

/// How many exposures of one sort are reported individually within a period: enough to see what they are. With the
/// last one of each hour and 2 KiB each, a flood that never ends fills a megabyte a day.
pub const NAMED: u32 = 20;

/// How many counts of a sort are kept. Logs that are read side by side come from different hours, if one is behind or
/// in another zone: the hours of a day.
const COUNTS: usize = 24;

/// The hours for which is known what a site's principals have in common: as long as the same is not reported again of
/// one principal (`repeat.new_hours`).
const MONTH_HOURS: i64 = 30 * 24;

const NAME: &str = "exposures";

/// What happened to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposed {
    /// It was in the URL of a request.
    Url,
    /// It was in a Referer.
    Referer,
    /// It crossed the wire in clear.
    Insecure,
    /// It was accepted after its end.
    Expired,
    /// It was accepted without a second factor where one is needed.
    Mfa,
    /// It is not new here, and was accepted a few minutes after the end that it states.
    Leeway,
    /// It was accepted although nobody signed it.
    Unsigned,
    /// It is too short.
    Short,
    /// It is not new here, and too short.
    Weak,
    /// It is not new here, and was issued for long.
    Lasting,
    /// It is not new here, and was issued for longer, or without an end.
    Endless,
    /// Nobody knows it, and it was tried as one of many.
    Guessing,
    /// Nobody knows it, and it was tried as one of few, as from a timer.
    Slow,
    /// It was accepted from where many that nobody knows were tried.
    Found,
}

impl Exposed {
    /// Returns for how many hours from the first on reports share a room.
    const fn hours(self) -> i64 {
        match self {
            Self::Leeway | Self::Short | Self::Weak | Self::Lasting | Self::Endless => MONTH_HOURS,
            Self::Unsigned => 24,
            Self::Url | Self::Referer | Self::Insecure | Self::Expired | Self::Mfa => 1,
            Self::Guessing | Self::Slow | Self::Found => 1,
        }
    }
}

/// What there is room for in the reports of an hour, a day, or thirty days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// This exposure, and at least one more.
    One,
    /// This exposure, with the word that further ones of its sort are not reported.
    Last(Exposed),
}

/// How many exposures of tokens that are new here were reported lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposures(Part<Counts>);

/// The count that rose last is the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts(Vec<Count>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    of: Exposed,
    /// Since 1970, the first.
    hour: i64,
    /// Reports: one more than [`NAMED`] at most.
    n: u32,
}

impl Exposures {
    /// Counts an exposure of a token that is new here, or what a site has in common. Returns what to report; `None` if
    /// its hour, or its thirty days, have had their reports.
    pub fn note(&mut self, of: Exposed, time: Timestamp) -> Option<Room> {
        let count = self.0.value.of(of, time.hour());
        let n = count.n;
        // Beyond the limit nothing changes, so a flood costs no write.
        let room = match n {
            ..NAMED => Room::One,
            NAMED => Room::Last(of),
            _ => return None,
        };
        self.0.change().set(Count { n: n + 1, ..count });
        Some(room)
    }

    /// Returns its row, if it has changed since the last call.
    pub(super) fn take(&mut self) -> Option<HouseRow> {
        self.0.take(NAME.into())
    }

    /// Restores it from the rows; returns its name if it cannot be read.
    pub(super) fn restore(&mut self, rows: &[HouseRow]) -> Option<SmolStr> {
        (!self.0.restore(rows, NAME)).then(|| NAME.into())
    }
}

impl Counts {
    /// Returns the count that an hour belongs to.
    fn of(&self, of: Exposed, hour: i64) -> Count {
        let is_near = |count: &&Count| count.of == of && (hour - count.hour).abs() < of.hours();
        self.0.iter().find(is_near).copied().unwrap_or(Count { of, hour, n: 0 })
    }

    fn set(&mut self, count: Count) {
        self.0.retain(|other| (other.of, other.hour) != (count.of, count.hour));
        let is_alike = |other: &&Count| other.of == count.of;
        if self.0.iter().filter(is_alike).count() >= COUNTS
            && let Some(oldest) = self.0.iter().find(is_alike).copied()
        {
            self.0.retain(|other| *other != oldest);
        }
        self.0.push(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR, MINUTE};

    const START: i64 = 20_000 * DAY;

    fn noted(exposures: &mut Exposures, of: Exposed, times: &[i64]) -> Vec<Room> {
        times.iter().filter_map(|time| exposures.note(of, Timestamp(START + time))).collect()
    }

    #[test]
    fn twenty_of_an_hour_and_sort_have_room_and_the_next_is_the_last() {
        let mut exposures = Exposures::default();
        let hour: Vec<i64> = (0..1_000).collect();
        for of in [Exposed::Url, Exposed::Referer] {
            let rooms = noted(&mut exposures, of, &hour);
            assert_eq!(rooms, [&[Room::One; 20][..], &[Room::Last(of)]].concat(), "{of:?}");
        }
        assert_eq!(noted(&mut exposures, Exposed::Url, &[HOUR - 1, HOUR]), [Room::One]);
    }

    #[test]
    fn lines_of_two_hours_mixed_are_counted_as_in_order() {
        let times: Vec<i64> = (0..200).map(|n| HOUR - MINUTE + n * MINUTE / 100).collect();
        let mixed: Vec<i64> = (0..200).map(|n| times[n * 77 % 200]).collect();
        for times in [times, mixed] {
            let rooms = noted(&mut Exposures::default(), Exposed::Url, &times);
            let n_last = rooms.iter().filter(|room| **room == Room::Last(Exposed::Url)).count();
            assert_eq!((rooms.len(), n_last), (42, 2));
        }
    }

    #[test]
    fn a_restart_forgets_no_count_and_beyond_the_limit_nothing_is_written() {
        let mut exposures = Exposures::default();
        assert_eq!(exposures.take(), None);
        noted(&mut exposures, Exposed::Url, &[0; 15]);
        let row = exposures.take().unwrap();
        assert_eq!(row.body, br#"[{"of":"url","hour":480000,"n":15}]"#);
        let mut restored = Exposures::default();
        assert_eq!(restored.restore(&[row]), None);
        assert_eq!(restored, exposures);
        assert_eq!(noted(&mut restored, Exposed::Url, &[0; 15]).len(), 6);
        assert!(restored.take().is_some());
        assert_eq!(noted(&mut restored, Exposed::Url, &[0; 15]), []);
        assert_eq!(restored.take(), None);
        let damaged = HouseRow { name: NAME.into(), body: b"{".to_vec() };
        assert_eq!(restored.restore(&[damaged]), Some(NAME.into()));
    }

    #[test]
    fn a_leeway_is_told_for_thirty_days_whatever_else_is_exposed() {
        let mut exposures = Exposures::default();
        let mut leeways = |day: i64| {
            let at = Timestamp(START + day * DAY);
            let n = (0..15).filter_map(|_| exposures.note(Exposed::Leeway, at)).count();
            (0..24).for_each(|hour| {
                exposures.note(Exposed::Url, at.plus(hour * HOUR));
            });
            n
        };
        assert_eq!([0, 1, 2, 29, 30].map(&mut leeways), [15, 6, 0, 0, 15]);
    }

    #[test]
    fn times_of_any_year_leave_it_bounded() {
        let mut exposures = Exposures::default();
        let times: Vec<i64> = (0..10_000).map(|n| n * 7 * HOUR).collect();
        assert_eq!(noted(&mut exposures, Exposed::Url, &times).len(), 10_000);
        assert_eq!(exposures.0.value.0.len(), COUNTS);
        let ends = [i64::MIN, i64::MAX].map(|time| exposures.note(Exposed::Url, Timestamp(time)));
        assert_eq!(ends, [Some(Room::One); 2]);
    }
}
