//! How far following is behind: for how long bytes have stood in a file that were not read.
//!
//! A mark is set where a file ends while it is behind, and says since when; it is over when reading has passed it. So a log
//! that is always a little behind, as a busy one is, has no lag. Two things are none either: a last line without an
//! end, which cannot be read yet; and what is there at the start, or was moved there, as long as reading
//! gets on in it or in the files that come before it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::follow::Follower;
use super::rotation::unrotated;
use super::tail::{Rank, Tail};

/// Where a file ended when it was behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    since: Duration,
    end: u64,
    /// Up to where it was read when it was looked at last, if all before `end` was there at the start.
    backlog: Option<u64>,
}

impl Follower {
    /// Returns by how much each log is behind; to be asked every few seconds. `now` is as for [`Follower::poll`].
    pub fn lags(&mut self, now: Duration) -> BTreeMap<PathBuf, Duration> {
        let ahead = self.ahead();
        let mut lags = BTreeMap::new();
        for tail in self.tails.iter_mut().filter(|tail| tail.source.is_some()) {
            let lag = lag(tail, ahead.get(&tail.group), now);
            let longest: &mut Duration = lags.entry(unrotated(&tail.position.path)).or_default();
            *longest = lag.max(*longest);
        }
        lags
    }
}

fn lag(tail: &mut Tail, first: Option<&Rank>, now: Duration) -> Duration {
    let (offset, end) = (tail.position.offset, tail.seen.size);
    if !tail.has_news() || end <= offset {
        tail.is_met = true;
        tail.mark = None;
        return Duration::ZERO;
    }
    let backlog = (!tail.is_met).then_some(offset);
    let is_waiting = first.is_some_and(|first| *first < tail.rank());
    let mark = tail.mark.get_or_insert(Mark { since: now, end, backlog });
    if mark.end <= offset {
        *mark = Mark { since: now, end, backlog: None };
    }
    if let Some(read) = &mut mark.backlog
        && (*read < offset || is_waiting)
    {
        (*read, mark.since) = (offset, now);
    }
    now.saturating_sub(mark.since)
}
