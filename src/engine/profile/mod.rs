//! What is normal for one principal, in less than a kilobyte: compare with it, then absorb.
//!
//! Contract: [`Profile::compare`] judges a usage against the past and changes nothing,
//! [`Profile::absorb`] then makes it the past. Between any two usages a profile may be encoded and
//! decoded again; nothing is lost by it, so it does not matter where a stream is cut.
//!
//! The unit is the active day, not the request: requests of one day are not independent. Time is
//! event time; it runs backwards by at most two minutes. A usage that comes late says who, but not when; one that comes
//! later by more than a day is only counted.

mod absorb;
mod actor;
mod burst;
mod bytes;
mod calendar;
mod codec;
mod compare;
mod conduct;
mod family;
mod fan;
mod hear;
mod hourly;
mod hours;
mod load;
mod pace;
mod params;
mod peers;
mod signals;
mod silence;
mod strangers;
mod tables;
mod told;
mod travel;
mod turns;
mod volume;
mod word;

#[cfg(test)]
pub(crate) mod tests;

pub use actor::Tier;
pub use burst::{Burst, Busy, Window};
pub use bytes::CodecError;
pub(crate) use bytes::{Read, Reader, Writer};
pub use family::{Evidence, Families, Family, Prior, Priors, Value};
pub use fan::Spread;
pub use hear::Taught;
pub(crate) use params::section;
pub use params::{
    Bytes, Caps, Concurrent, FanOut, Learning, Parameter, Params, Rate, Score, Section, Travel,
};
pub use peers::{Alone, Class, Peers, SHARED, Share};
pub(crate) use signals::Keys;
pub use signals::{Absorbed, Errors, Placed, Rise, Signals, Usual, World};
pub use silence::{Silence, Silent};
pub use told::{Many, Told, report_key};
pub use travel::{Hop, name as place_name};
pub use turns::Turn;
pub use volume::Flood;
pub use word::{Brought, Heard, Known, Sighting, Verdict, Word};

use crate::engine::profile::actor::{Actors, Voice};
use crate::engine::profile::calendar::Calendar;
use crate::engine::profile::family::Hazards;
use crate::engine::profile::hourly::Hourly;
use crate::engine::profile::hours::Hours;
use crate::engine::profile::pace::Pace;
use crate::engine::profile::silence::Rhythm;
use crate::engine::profile::strangers::Strangers;
use crate::engine::profile::tables::Tables;
use crate::engine::profile::travel::Fix;
use crate::engine::profile::turns::Turns;
use crate::engine::stats::{Days, Nats};
use crate::engine::time::{HOUR, MINUTE, Timestamp};

/// How far lines may be out of order: writes are buffered, and a request is logged when it
/// ends. Whatever depends on time stays open for this long.
const DISORDER: i64 = 2 * MINUTE;

/// The highest score of a story, which lasts some hours; counted for the mail budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Story {
    /// In sixteenths of a nat, clamped, lead included, so that all stories are counted against one threshold.
    score: Nats,
    /// When it began, in minutes since 1970.
    minute: i64,
}

/// What is normal for one principal. `Default` knows nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Time of the last usage.
    last: Timestamp,
    /// Time of the last usage that was learned.
    trusted: Timestamp,
    /// Late usages, and how many in a row were late by more than a day.
    late: u32,
    late_run: u8,
    /// The last active day since 1970, the active days so far, and the same faded.
    day: i32,
    calendar: Calendar,
    n_days: u32,
    days: Days,
    hazards: Hazards,
    tables: Tables,
    hours: Hours,
    /// The longest gap between two active hours.
    max_gap_hours: u32,
    /// Refused and missing objects, and requests: of the past (faded), and of today.
    errors: [f32; 2],
    errors_today: [u32; 2],
    fix: Option<Fix>,
    strangers: Strangers,
    pace: Pace,
    actors: Actors,
    told_score: Voice,
    told_rate: Voice,
    story: Option<Story>,
    told: Told,
    class: Class,
    turns: Turns,
    hourly: Hourly,
    /// The number of the last word applied.
    heard: u32,
    rhythm: Rhythm,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            last: Timestamp(i64::MIN),
            trusted: Timestamp(i64::MIN),
            late: 0,
            late_run: 0,
            day: 0,
            calendar: Calendar::default(),
            n_days: 0,
            days: Days(0),
            hazards: Hazards::default(),
            tables: Tables::default(),
            hours: Hours::default(),
            max_gap_hours: 0,
            errors: [0.0; 2],
            errors_today: [0; 2],
            fix: None,
            strangers: Strangers::default(),
            pace: Pace::default(),
            actors: Actors::default(),
            told_score: Voice::default(),
            told_rate: Voice::default(),
            story: None,
            told: Told::default(),
            class: Class::default(),
            turns: Turns::default(),
            hourly: Hourly::default(),
            heard: 0,
            rhythm: Rhythm::default(),
        }
    }
}

impl Profile {
    /// Returns what was reported lately, for detectors to query and to update.
    pub const fn told(&mut self) -> &mut Told {
        &mut self.told
    }

    /// Returns the time of the last usage; `None` before the first.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        (self.last > Timestamp(i64::MIN)).then_some(self.last)
    }

    /// Returns the number of days on which the principal was active and trusted.
    #[must_use]
    pub const fn active_days(&self) -> u32 {
        self.n_days
    }

    /// Returns the hour in which something was first learned.
    pub(crate) fn known_since(&self) -> Option<Timestamp> {
        let hour = self.pace.born;
        (self.n_days > 0 && hour > i64::MIN).then(|| Timestamp(hour.saturating_mul(HOUR)))
    }

    /// Returns how many usages came late.
    #[must_use]
    pub const fn late(&self) -> u32 {
        self.late
    }
}

/// Returns the day since 1970, clamped to the range that is stored.
fn day_of(time: Timestamp) -> i32 {
    i32::try_from(time.day()).unwrap_or(i32::MAX)
}
