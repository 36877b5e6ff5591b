//! Principals that call regularly, and when it becomes news that one has stopped.
//!
//! Time is counted in the site's hours: those in which anybody called (see `house::clock`). An hour whose log was
//! lost, or in which everybody rested, does not count against anybody.

use crate::engine::profile::{Class, Profile, section};
use crate::engine::stats::key;
use crate::engine::time::Timestamp;
use crate::engine::usage::Usage;

section! {
    /// A token that always calls stopped.
    Silence = "silence" {
        /// Minimum hours without a call.
        min_hours = 3.0, "h", "own choice: a restart, a deployment and most outages are over by then";
        /// Multiple of its longest pause so far.
        factor = 5.0, "times", "own choice: as for a token that is asleep, `dormant.factor`";
        /// Active days without a longer pause before it is expected to call.
        active_days = 14.0, "d", "Entra ID, atypical travel: learns for 14 days";
        /// The longest pause of a regular caller.
        longest_pause_hours = 36.0, "h", "own choice: a nightly job pauses for 23, a person for a weekend";
    }
}

/// One hour: pauses are stored in steps of 1/256 of an hour, so that they fade.
const ONE: u32 = 256;

/// 2^(-1/30) in 1/65536: half is forgotten after thirty active days (docs/detection.md, Units).
const FADE: u32 = 64_039;

/// How regularly a principal calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// The site's hour of the last call.
    pub beat: u32,
    /// Active days since it last paused for too long (0 before the first call), and the last of them, since 1970.
    pub days: u16,
    pub day: i32,
    /// Its longest pause on these days, faded.
    pub pause: u32,
    /// Hours of silence from which it is news; 0 while no call is expected.
    pub wait: u16,
    /// The token that it used last, and whether it used others before on these days.
    pub token: u16,
    pub is_renewed: bool,
    /// When that token expires by its own `exp`, in seconds since 1970.
    pub ends: Option<i64>,
    /// This silence was examined.
    pub is_told: bool,
}

/// A principal that called regularly and has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Hours without a call in which others called.
    pub hours: u32,
    /// The longest pause before, in hours.
    pub longest: u32,
    /// The number of active days observed.
    pub days: u32,
    /// The last call.
    pub last: Timestamp,
    /// The one token that it used has expired by its own `exp`.
    pub is_over: bool,
}

impl Rhythm {
    /// Returns the hours without a call since the last, before a call in one of the site's hours.
    const fn pause_before(&self, beat: u32) -> u32 {
        beat.saturating_sub(self.beat).saturating_sub(1)
    }

    /// Notes a call, the first in one of the site's hours.
    fn call(&mut self, usage: &Usage, beat: u32, params: &Silence) {
        let day = i32::try_from(usage.time.day()).unwrap_or(i32::MAX);
        if self.days == 0 || day > self.day {
            self.pause =
                u32::try_from((u64::from(self.pause) * u64::from(FADE)) >> 16).unwrap_or(0);
            (self.days, self.day) = (self.days.saturating_add(1), day);
        }
        if self.beat > 0 {
            self.pause = self.pause.max(self.pause_before(beat).saturating_mul(ONE));
        }
        let [low, high, ..] = key(&[&usage.token.0]).to_le_bytes();
        let token = u16::from_le_bytes([low, high]);
        self.is_renewed |= self.beat > 0 && token != self.token;
        self.token = token;
        self.ends = usage.claims.expires_at.map(Timestamp::seconds);
        (self.beat, self.is_told) = (beat, false);
        self.wait = self.wait_for(params);
    }

    fn longest(&self) -> u32 {
        self.pause.div_ceil(ONE)
    }

    fn wait_for(&self, params: &Silence) -> u16 {
        if f64::from(self.days) < params.active_days {
            return 0;
        }
        let hours = (params.factor * f64::from(self.longest())).max(params.min_hours).max(1.0);
        u16::try_from(crate::engine::stats::whole(libm::ceil(hours))).unwrap_or(u16::MAX)
    }

    /// Returns the site's hour at whose start its silence is news: after this many whole hours.
    fn due(&self) -> Option<u32> {
        let is_expected = self.wait > 0 && !self.is_told;
        is_expected.then(|| self.beat.saturating_add(u32::from(self.wait) + 1))
    }
}

impl Profile {
    /// Notes that there was a call in one of the site's hours; only the first in each counts. Nobody expects a person
    /// to call, or whoever paused for too long: that starts from the beginning.
    pub fn call(&mut self, usage: &Usage, beat: u32, params: &Silence) {
        if self.rhythm.beat == beat {
            return;
        }
        let paused = f64::from(self.rhythm.pause_before(beat));
        if self.class != Class::Machine || paused > params.longest_pause_hours {
            self.rhythm = Rhythm::default();
        }
        self.rhythm.call(usage, beat, params);
    }

    /// Returns the site's hour at whose start its silence is news; `None` if no call is expected or it was examined.
    #[must_use]
    pub fn due(&self) -> Option<u32> {
        self.rhythm.due()
    }

    /// Returns how many hours it may be silent before that is news; `None` if no call is expected.
    #[must_use]
    pub fn patience(&self) -> Option<u16> {
        Some(self.rhythm.wait).filter(|hours| *hours > 0)
    }

    /// Examines the silence at the start of one of the site's hours; `hour` is that hour since 1970, `leapt` the one
    /// that the site's clock last leapt to. A silence that is news is not examined again before the next call. That
    /// many hours of the clock must have passed, too, without a leap: where logs are read out of order, the site's
    /// hours may run ahead of the clock, and after a leap nobody had the time to call. Then the silence is due later.
    pub fn silence(&mut self, beat: u32, hour: i64, leapt: i64) -> Option<Silent> {
        let Self { rhythm, last, .. } = self;
        if rhythm.due()? > beat {
            return None;
        }
        let wait = u32::from(rhythm.wait);
        let passed = hour.saturating_sub(last.hour()).saturating_sub(1);
        let missing = i64::from(wait).saturating_sub(passed.min(hour.saturating_sub(leapt)));
        if missing > 0 {
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            rhythm.beat = beat.saturating_add(missing).saturating_sub(wait + 1);
            return None;
        }
        rhythm.is_told = true;
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        Some(Silent {
            hours: beat.saturating_sub(rhythm.beat).saturating_sub(1).min(passed),
            longest: rhythm.longest(),
            days: rhythm.days.into(),
            last: *last,
            is_over: !rhythm.is_renewed
                && rhythm.ends.is_some_and(|ends| ends <= hour.saturating_mul(3600)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR};

    /// A profile that may be silent for three hours; its last call was in hour 100, the site's tenth.
    fn expected() -> Profile {
        let rhythm = Rhythm { beat: 10, days: 20, wait: 3, ..Rhythm::default() };
        Profile { rhythm, last: Timestamp(100 * HOUR), ..Profile::default() }
    }

    #[test]
    fn silence_is_news_after_so_many_whole_hours_and_once() {
        let mut profile = expected();
        assert_eq!((profile.due(), profile.patience()), (Some(14), Some(3)));
        assert_eq!(profile.silence(13, 103, 0), None);
        assert_eq!(profile.silence(14, 104, 0).map(|silent| silent.hours), Some(3));
        assert_eq!((profile.due(), profile.silence(15, 105, 0)), (None, None));
    }

    #[test]
    fn where_the_sites_hours_run_ahead_those_of_the_day_are_waited_for() {
        let mut profile = expected();
        assert_eq!(profile.silence(14, 101, 0), None);
        assert_eq!((profile.due(), profile.silence(16, 103, 0)), (Some(17), None));
        assert_eq!(profile.silence(17, 104, 0).map(|silent| silent.hours), Some(3));
        // Far ahead itself: by a line with a wrong clock.
        let mut profile = Profile { last: Timestamp(100_000 * DAY), ..expected() };
        assert_eq!((profile.silence(14, 104, 0), profile.silence(5000, 5000, 0)), (None, None));
    }

    #[test]
    fn after_a_leap_of_the_clock_there_is_time_to_call() {
        let mut profile = expected();
        assert_eq!(profile.silence(14, 204, 204), None);
        assert_eq!(profile.due(), Some(17));
        assert_eq!(
            profile.silence(17, 207, 204).map(|silent| silent.last),
            Some(Timestamp(100 * HOUR))
        );
    }

    #[test]
    fn the_wait_follows_the_longest_pause_which_fades() {
        let mut profile = Profile { class: Class::Machine, ..Profile::default() };
        let params = Silence::default();
        let usage = |hour: u32| Usage {
            time: Timestamp(i64::from(hour) * HOUR),
            ..crate::engine::profile::tests::usage(0)
        };
        let mut waits = Vec::new();
        for hour in (1..=24 * 80).filter(|hour| !(240..250).contains(hour)) {
            profile.call(&usage(hour), hour, &params);
            if hour % 240 == 239 {
                waits.push(profile.rhythm.wait);
            }
        }
        // 5 * ceil(10 * 2^(-n/30)) after n of 9, 19, ... further days; a day loses up to a step more
        assert_eq!(waits, [0, 45, 35, 30, 25, 20, 15, 10]);
        profile.call(&usage(3000), 3000, &params);
        let Rhythm { days, wait, .. } = profile.rhythm;
        assert_eq!((days, wait), (1, 0), "paused for too long: it begins anew");
        profile.class = Class::Human;
        profile.call(&usage(3001), 3001, &params);
        assert_eq!(profile.rhythm.days, 1, "a person is never expected");
    }
}
