//! When lines came, apart from what they say: an impossible time is not believed.

use crate::engine::time::{DAY, Timestamp};

/// A line further ahead of the clock than this has an impossible time: no two zones differ by more than 26 hours, and
/// clocks that are wrong by less are reported.
const TOO_FAR_AHEAD: i64 = DAY;

/// What is known of when the next lines of a log came, apart from what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing: they are believed.
    #[default]
    Unknown,
    /// They come now.
    Now(Timestamp),
    /// They came before now, after lines whose newest time is `newest`.
    Before {
        /// The present.
        now: Timestamp,
        /// The newest possible time of the lines above.
        newest: Option<Timestamp>,
    },
}

impl Arrival {
    /// Returns whether lines may have been written at this time.
    #[must_use]
    pub fn allows(self, said: Timestamp) -> bool {
        match self {
            Self::Unknown => true,
            Self::Now(now) | Self::Before { now, .. } => said.since(now) <= TOO_FAR_AHEAD,
        }
    }

    /// Returns the time of the next line, or, if what it says is impossible, the time as of which it counts.
    pub(super) fn believe(&mut self, said: Timestamp) -> Result<Timestamp, Timestamp> {
        let is_possible = self.allows(said);
        match self {
            Self::Now(now) if !is_possible => Err(*now),
            Self::Before { now, newest } if !is_possible => Err(newest.unwrap_or(*now).min(*now)),
            Self::Before { newest, .. } => {
                *newest = (*newest).max(Some(said));
                Ok(said)
            }
            Self::Unknown | Self::Now(_) => Ok(said),
        }
    }
}

/// Lines with a time more than a day ahead of the clock, which count as of their [`Arrival`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadTimes {
    /// How many.
    pub lines: u64,
    /// The newest such time.
    pub newest: Option<Timestamp>,
}

impl BadTimes {
    /// Counts a line that says this.
    pub(super) fn note(&mut self, said: Timestamp) {
        self.lines += 1;
        self.newest = self.newest.max(Some(said));
    }

    /// Adds those of another reading.
    pub fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.newest = self.newest.max(other.newest);
    }
}
