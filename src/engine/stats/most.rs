//! The largest count of each past day, as a logarithm, for counts that grow and vary by factors.

use super::maxima::Maxima;
use super::num::{narrow, whole};

/// The largest count of each past day, as logarithms to the base 2, in 1/256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Mean of the daily maxima.
    pub mean: u16,
    /// Their variance.
    pub variance: u16,
    /// The largest of all: it halves in 32 active days.
    pub peak: u16,
    /// Days learned.
    pub days: u16,
}

impl Most {
    /// What a peak loses per active day, in steps: 1/32 of a factor of two.
    const FADE: u16 = 8;
    /// The variance after the first day: a factor of two up and down.
    const FIRST_VARIANCE: u16 = 256;

    fn maxima(self) -> Maxima {
        let [mean, variance] = [self.mean, self.variance].map(|steps| narrow(of_steps(steps)));
        Maxima { mean, variance, days: self.days }
    }

    /// Learns the largest count of a day, as a [`log`].
    pub fn learn(&mut self, log: u16) {
        let peak = self.peak.saturating_sub(Self::FADE).max(log);
        if self.days == 0 {
            *self = Self { mean: log, variance: Self::FIRST_VARIANCE, peak, days: 1 };
            return;
        }
        let mut maxima = self.maxima();
        maxima.absorb(of_steps(log));
        if log < self.mean {
            maxima.variance = self.maxima().variance; // idle days show nothing about busy ones
        }
        let [mean, variance] = [maxima.mean, maxima.variance].map(|of| in_steps(of.into()));
        *self = Self { mean, variance, peak, days: maxima.days };
    }

    /// Returns whether a count is at least `factor` times the largest of all.
    #[must_use]
    pub fn is_record(self, count: u64, factor: f64) -> bool {
        // An integer comparison excludes most counts: this runs for every request.
        let is_possible = 64 - count.leading_zeros() >= u32::from(self.peak >> 8);
        is_possible && log2(count) >= of_steps(self.peak) + libm::log2(factor.max(1.0))
    }

    /// Returns the evidence in nats, at most `cap`, that a count does not belong to these maxima.
    #[must_use]
    pub fn nats(self, count: u64, cap: f64) -> f64 {
        self.maxima().nats(log2(count), cap)
    }

    /// Returns the upper limit of the usual largest count of a day.
    #[must_use]
    pub fn usual(self) -> u64 {
        exp2(self.maxima().usual())
    }

    /// Returns the largest of all, as far as it is remembered.
    #[must_use]
    pub fn largest(self) -> u64 {
        exp2(of_steps(self.peak))
    }
}

/// Returns the logarithm of a count in its stored form.
#[must_use]
pub fn log(count: u64) -> u16 {
    in_steps(log2(count))
}

const STEPS: f64 = 256.0;

fn in_steps(log: f64) -> u16 {
    u16::try_from(whole(log * STEPS + 0.5)).unwrap_or(u16::MAX)
}

fn of_steps(steps: u16) -> f64 {
    f64::from(steps) / STEPS
}

/// Returns a count as a float, converted in two parts: a 64-bit conversion would not be exact.
fn float(count: u64) -> f64 {
    let low = u32::try_from(count & 0xffff_ffff).unwrap_or(0);
    let high = u32::try_from(count >> 32).unwrap_or(0);
    libm::ldexp(f64::from(high), 32) + f64::from(low)
}

fn log2(count: u64) -> f64 {
    libm::log2(float(count).max(1.0))
}

/// Rounds to 1/65536 of the value: what is shown is no more exact than that.
fn exp2(log: f64) -> u64 {
    let whole_log = whole(log);
    let fraction = libm::exp2(log - f64::from(whole_log));
    let mantissa = u64::from(whole(fraction * 65_536.0)); // 17 bits
    match whole_log {
        0..16 => mantissa >> (16 - whole_log),
        16..64 => mantissa << (whole_log - 16),
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_factor_above_the_largest() {
        let mut most = Most::default();
        [20, 30, 25].into_iter().for_each(|count| most.learn(log(count)));
        assert_eq!(most.largest(), 29, "half of 30 is forgotten in 32 days");
        assert!(most.is_record(90, 3.0) && !most.is_record(86, 3.0) && !most.is_record(3, 1.0));
        assert!(most.nats(300, 12.0) > most.nats(100, 12.0));
        assert_eq!((most.nats(30, 12.0), most.usual()), (0.0, 38));
    }

    #[test]
    fn logarithms_are_exact_enough_to_be_shown() {
        for bytes in [1, 612, 1 << 20, 900 << 20, u64::MAX / 2] {
            let back = exp2(log2(bytes));
            assert!(float(back.abs_diff(bytes)) <= 1.0 + float(bytes) / 30_000.0, "{bytes} {back}");
        }
        assert_eq!((exp2(0.0), exp2(-3.0), exp2(1e9)), (1, 0, u64::MAX));
    }
}
