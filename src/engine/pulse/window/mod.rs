//! The latest ten minutes of one log: how many lines it had, and how many of them were rejected.
//!
//! Time is the newest time in the log's lines. For a log without any time so far, or after [`STALE`] rejected lines in
//! a row, it is that of the clock passed in by the caller. Whole lines are counted in order, so how a log is cut into
//! batches does not matter, as long as its own time counts.

use serde::{Deserialize, Serialize};

use crate::engine::line::StreamId;
use crate::engine::pulse::{Misfit, Stretch, minute};
use crate::engine::time::{DAY, Timestamp};
use crate::engine::usage::Origin;

/// Length of the window: long enough for a quiet log to be representative, short enough to be news.
pub const WINDOW_MINUTES: i64 = 10;

/// After this many rejected lines in a row, the log's own time is outdated.
const STALE: u64 = 64;

/// After this many lines in a row that are late by more than a day, not they but the newest time was wrong.
const LATE: u64 = 64;

/// The latest minutes of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    newest: Option<Timestamp>,
    /// Lines in a row that were late by more than a day.
    n_late: u64,
    /// The newest time of those late lines that are in the same minute as the last one.
    #[serde(default)]
    late: Option<Timestamp>,
    /// Rejected lines in a row.
    n_in_row: u64,
    current: Minute,
    /// Earlier minutes that are still in the window, oldest first.
    earlier: Vec<Minute>,
}

/// Lines of one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    /// Minutes since 1970.
    minute: i64,
    lines: u64,
    rejected: u64,
    first: Option<Sight>,
}

/// A rejected line: its stream, and why it was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Its stream.
    pub stream: StreamId,
    /// Where it is and where it stopped matching.
    pub misfit: Misfit,
}

impl Sight {
    /// Returns where to read the line.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        Origin { stream: self.stream, offset: self.misfit.offset }
    }
}

/// A moment at which too many of a log's lines were rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spell {
    /// When, in the log's time.
    pub time: Timestamp,
    /// Lines in the window.
    pub lines: u64,
    /// Rejected ones among them.
    pub rejected: u64,
    /// The first of these.
    pub first: Sight,
}

impl Window {
    /// Counts a stretch. Returns the moments at which `is_bad`, called with the window's lines and rejected lines,
    /// first became true: at most one before the log's time is stale, and one after.
    pub fn count(
        &mut self,
        stream: StreamId,
        stretch: &Stretch,
        now: Timestamp,
        is_bad: impl Fn(u64, u64) -> bool,
    ) -> [Option<Spell>; 2] {
        self.read(stretch.time, stretch.read, now);
        let Some(misfit) = stretch.first.clone() else { return [None, None] };
        let sight = Sight { stream, misfit };
        let n_fresh = stretch.rejected.min(STALE.saturating_sub(self.n_in_row));
        let fresh = self.reject(n_fresh, &sight, now, &is_bad);
        let n_stale = stretch.rejected - n_fresh;
        if n_stale > 0 {
            self.newest = self.newest.map(|newest| newest.max(now));
        }
        [fresh, self.reject(n_stale, &sight, now, &is_bad)]
    }

    /// Returns the lines of the window and the rejected ones among them.
    #[must_use]
    pub fn sums(&self) -> (u64, u64) {
        let minutes = self.earlier.iter().chain([&self.current]);
        minutes.fold((0, 0), |(lines, rejected), minute| {
            (lines + minute.lines, rejected + minute.rejected)
        })
    }

    /// Returns the log's time; `None` before it had one.
    #[must_use]
    pub const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    fn read(&mut self, time: Option<Timestamp>, n_lines: u64, now: Timestamp) {
        if n_lines == 0 && time.is_none() {
            return;
        }
        self.n_in_row = 0;
        let mut n_counted = n_lines;
        if let Some(time) = time {
            let newest = self.newest.unwrap_or_else(|| self.begin(time));
            // Compared by minute, since the lines of a stretch share only that.
            if minute(time.plus(DAY)) < minute(newest) {
                self.n_late += n_lines;
                let late = self.late.filter(|late| minute(*late) == minute(time));
                let time = late.map_or(time, |late| late.max(time));
                self.late = Some(time);
                if LATE <= self.n_late {
                    n_counted = self.n_late - LATE + 1;
                    *self = Self { newest: Some(time), ..Self::default() };
                }
            } else {
                (self.n_late, self.late) = (0, None);
                self.newest = Some(newest.max(time));
            }
        }
        self.roll(now);
        self.current.lines += n_counted;
    }

    /// Starts with the log's first time, which counts for all lines before it.
    fn begin(&mut self, time: Timestamp) -> Timestamp {
        let (lines, rejected) = self.sums();
        let first = self.first().cloned();
        self.current = Minute { minute: minute(time), lines, rejected, first };
        self.earlier.clear();
        time
    }

    fn reject(
        &mut self,
        n_lines: u64,
        sight: &Sight,
        now: Timestamp,
        is_bad: impl Fn(u64, u64) -> bool,
    ) -> Option<Spell> {
        if n_lines == 0 {
            return None;
        }
        self.roll(now);
        let (lines, rejected) = self.sums();
        let bad = (1..=n_lines).find(|n| is_bad(lines + n, rejected + n));
        self.current.first.get_or_insert_with(|| sight.clone());
        self.current.lines += n_lines;
        self.current.rejected += n_lines;
        self.n_in_row = self.n_in_row.saturating_add(n_lines);
        let n = bad?;
        let first = self.first()?.clone();
        let time = self.newest.unwrap_or(now);
        Some(Spell { time, lines: lines + n, rejected: rejected + n, first })
    }

    /// Starts a new minute if it has come, and forgets the minutes that have left the window.
    fn roll(&mut self, now: Timestamp) {
        let present = minute(self.newest.unwrap_or(now));
        if self.current.minute == present {
            return;
        }
        let next = Minute { minute: present, ..Minute::default() };
        let before = std::mem::replace(&mut self.current, next);
        self.earlier.push(before);
        self.earlier.retain(|one| {
            0 < one.lines && present - WINDOW_MINUTES < one.minute && one.minute < present
        });
    }

    /// Returns the first rejected line of the window.
    #[must_use]
    pub fn first(&self) -> Option<&Sight> {
        self.earlier.iter().chain([&self.current]).find_map(|minute| minute.first.as_ref())
    }
}

#[cfg(test)]
mod tests;
