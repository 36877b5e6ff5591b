//! How far following lags behind: how long bytes have been in a file without being read.
//!
//! If a file has unread bytes, a mark is set at its end with the current time; it is passed once reading has reached
//! it. So a log that is always slightly behind, like a busy one, has no lag. Two other cases are no lag either: a last
//! line without an end, which cannot be read yet; and contents that were there at the start, or were moved there, as
//! long as reading advances in that file or in the files before it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::follow::Follower;
use super::rotation::unrotated;
use super::tail::{Rank, Tail};

/// Where a file ended when it had unread bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    since: Duration,
    end: u64,
    /// The offset at the previous check, if all bytes before `end` were there at the start.
    backlog: Option<u64>,
}

impl Follower {
    /// Returns each log's lag; to be called every few seconds. `now` is as for [`Follower::poll`].
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
