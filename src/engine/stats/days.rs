//! Counts of active days that fade with use rather than with the calendar.

/// A faded number of days, in steps of 1/256.
///
/// Each active day multiplies it by 2^(-1/30), so a count saturates at 43.8 days. A count that is not renewed loses at
/// least one step per day, and so reaches zero (half-life 30: docs/detection.md, Units).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(pub u16);

impl Days {
    /// One whole day.
    pub const ONE: Self = Self(256);
    /// 2^(-1/30) in 1/65536.
    const FADE: u32 = 64_039;

    /// Fades the count by one active day.
    #[must_use]
    pub fn faded(self) -> Self {
        let kept = (u32::from(self.0) * Self::FADE) >> 16;
        Self(u16::try_from(kept).unwrap_or(u16::MAX))
    }

    /// Adds one day.
    #[must_use]
    pub const fn and_one(self) -> Self {
        Self(self.0.saturating_add(Self::ONE.0))
    }

    /// Returns what the count was, in days, a number of active days ago, if it had one more on each of them.
    #[must_use]
    pub fn before(self, n_days: u8) -> f64 {
        let fade = f64::from(Self::FADE) / 65_536.0;
        (0..n_days).fold(self.get(), |days, _| (days - 1.0).max(0.0) / fade)
    }

    /// Returns the count in days.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / 256.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_forgotten_after_thirty_days() {
        let after = (0..30).fold(Days(40 * 256), |days, _| days.faded());
        assert!((after.get() - 20.0).abs() < 0.1, "{after:?}");
    }

    #[test]
    fn what_was_before_is_counted_back() {
        let lived = |n: u32| (0..n).fold(Days::default(), |days, _| days.faded().and_one());
        for n in [0, 1, 5, 30, 300] {
            let (then, now) = (lived(n).get(), lived(n + 14).before(14));
            assert!((then - now).abs() < 0.3, "{n}: {then} {now}");
        }
    }

    #[test]
    fn daily_use_saturates_and_disuse_reaches_zero() {
        let used = (0..1000).fold(Days::default(), |days, _| days.faded().and_one());
        assert!((42.5..44.0).contains(&used.get()), "{used:?}");
        assert_eq!((0..1000).fold(Days::ONE, |days, _| days.faded()), Days(0));
    }
}
