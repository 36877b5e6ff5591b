//! Narrowing of numbers to the width in which they are stored.

use std::fmt;

/// Evidence in sixteenths of a nat, 0 to 15.9: fine enough to add up, small enough to store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nats(pub u8);

impl Nats {
    /// Steps in one nat.
    pub const STEPS: f64 = 16.0;

    /// Rounds to the nearest step; negative evidence becomes 0, and too much becomes the maximum.
    #[must_use]
    pub fn new(nats: f64) -> Self {
        let steps = whole(libm::floor(nats * Self::STEPS + 0.5)).min(255);
        Self(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    /// Returns the evidence in nats.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / Self::STEPS
    }
}

impl fmt::Display for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.get())
    }
}

/// Rounds to the nearest `f32`.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
pub const fn narrow(x: f64) -> f32 {
    x as f32
}

/// Cuts the fraction off; a value that does not fit (NaN, negative, huge) becomes the nearest limit.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating on purpose"
)]
pub const fn whole(x: f64) -> u32 {
    x as u32
}

/// Returns `number` units, in thousandths of a unit, so that half an hour is not cut to none; 4 million units at most.
#[must_use]
pub fn units(number: f64, unit: i64) -> i64 {
    i64::from(whole(number * 1000.0)).saturating_mul(unit / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_unit_was_none() {
        let hour = 3_600_000_000;
        assert_eq!(units(0.5, hour), hour / 2);
        assert_eq!(units(1.5, hour), hour + hour / 2);
        assert_eq!(units(-1.0, hour), 0);
        assert_eq!(units(f64::MAX, i64::MAX), i64::MAX);
    }

    #[test]
    fn nats_are_kept_in_sixteenths() {
        assert_eq!(Nats::new(5.1).0, 82);
        assert_eq!((Nats::new(-1.0).0, Nats::new(f64::NAN).0, Nats::new(99.0).0), (0, 0, 255));
    }
}
