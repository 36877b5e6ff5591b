//! Requests faster than ever: in which window, how many, and how many are usual.

use crate::engine::stats::Nats;

/// A window in which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Five minutes of the clock.
    FiveMinutes,
    /// One hour of the clock.
    Hour,
    /// The day so far, in UTC.
    Day,
    /// Today and the two days before.
    ThreeDays,
}

impl Window {
    /// All windows, shortest first.
    pub const ALL: [Self; 4] = [Self::FiveMinutes, Self::Hour, Self::Day, Self::ThreeDays];

    /// Returns the window's name for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5 min",
            Self::Hour => "1 h",
            Self::Day => "1 day",
            Self::ThreeDays => "3 days",
        }
    }
}

/// How a principal's busiest windows compare with those of its past days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// As before: no window exceeds the largest count that is remembered by more than has been forgotten since.
    AsBefore,
    /// More than that, or the past days are too few to tell.
    More,
    /// More than restarts and retries cause, and several times the largest count of all past days.
    Extremely,
}

/// Requests that came faster than expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// How much evidence the day's worst moment is.
    pub nats: Nats,
    /// The window that stands out most now.
    pub window: Window,
    /// Requests in it, this one included.
    pub count: u32,
    /// Requests expected in it.
    pub expected: f32,
    /// The usual maximum of the window; for an extreme burst, the largest count ever.
    pub usual: u32,
    /// Whether there was anything like it before.
    pub busy: Busy,
    /// Whether the evidence is from now, not from an earlier moment of the day.
    pub is_now: bool,
    /// The surprise of the day's worst moment.
    pub surprise: f32,
}
