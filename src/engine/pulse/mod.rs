//! The pulse of a batch: which of its lines could be read and which could not, in order.
//!
//! The Reader records it ([`Pulse`]); a [`Window`] per log sums it up over the latest ten minutes. For a rejected line
//! it keeps the position and what was expected there, but no byte of the line itself, which may contain a secret.

mod window;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::record::Reject;
use crate::engine::time::{MINUTE, Timestamp};

pub use crate::engine::line::Loss;
pub use window::{Sight, Spell, WINDOW_MINUTES, Window};

/// The longest text of what was expected, in bytes; the formats' own texts are far shorter.
const MAX_EXPECTED: usize = 120;

/// Which lines of a batch were read and which were rejected, as stretches in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    stretches: Vec<Stretch>,
    gap: Option<Gap>,
}

/// Lines of one minute that were read, and the rejected lines directly after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The newest time of those that were read; all are in its minute. `None` if they contain no time.
    pub time: Option<Timestamp>,
    /// How many were read, whole.
    pub read: u64,
    /// How many were rejected.
    pub rejected: u64,
    /// The first of the rejected ones.
    pub first: Option<Misfit>,
}

/// Bytes that were gone before they could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The offset up to which their file was read.
    pub offset: u64,
    /// Their number when the file was last looked at.
    pub bytes: u64,
    /// What became of them.
    pub loss: Loss,
}

/// Where a line stopped matching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// Offset of the line's first byte in its stream.
    pub offset: u64,
    /// Byte position in the line, counted from 1.
    pub column: u64,
    /// What was expected there.
    pub expected: SmolStr,
}

impl Pulse {
    /// Adds a line that was read, with its time.
    pub fn read(&mut self, time: Option<Timestamp>) {
        match self.stretches.last_mut() {
            Some(last) if last.rejected == 0 && is_of_minute(last.time, time) => {
                last.time = last.time.max(time);
                last.read += 1;
            }
            _ => self.stretches.push(Stretch { time, read: 1, ..Stretch::default() }),
        }
    }

    /// Adds a line that was rejected.
    pub fn reject(&mut self, offset: u64, why: &Reject) {
        if self.stretches.is_empty() {
            self.stretches.push(Stretch::default());
        }
        if let Some(last) = self.stretches.last_mut() {
            last.rejected += 1;
            last.first.get_or_insert_with(|| Misfit::new(offset, why));
        }
    }

    /// Adds a line that was read, but not whole: it counts as rejected, at its time.
    pub fn read_in_part(&mut self, time: Option<Timestamp>, offset: u64, why: &Reject) {
        // A stretch of its own, so that cuts between such lines do not matter.
        self.stretches.push(Stretch { time, ..Stretch::default() });
        self.reject(offset, why);
    }

    /// Records bytes from which no line could be read.
    pub const fn lose(&mut self, gap: Gap) {
        self.gap = Some(gap);
    }

    /// Returns the bytes from which no line could be read.
    #[must_use]
    pub const fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Returns the stretches in the order of their lines.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Returns the newest time in a line.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.stretches.iter().filter_map(|stretch| stretch.time).max()
    }
}

impl Misfit {
    /// Records where the line at this offset stopped matching, and nothing of the line itself.
    #[must_use]
    pub fn new(offset: u64, why: &Reject) -> Self {
        let expected = match &why.expected {
            Cow::Borrowed(text) => SmolStr::new_static(text),
            Cow::Owned(text) => {
                let end = text.floor_char_boundary(MAX_EXPECTED);
                SmolStr::new(text.get(..end).unwrap_or_default())
            }
        };
        Self { offset, column: u64::try_from(why.column).unwrap_or(u64::MAX), expected }
    }
}

#[cfg(test)]
mod tests;

const fn minute(time: Timestamp) -> i64 {
    time.0.div_euclid(MINUTE)
}

fn is_of_minute(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    one.map(minute) == other.map(minute)
}
