//! How far today's worst moment stands out among the worst moments of past days.

use super::num::narrow;

/// Mean and variance of daily maxima, starting from a prior worth one day.
///
/// A token's own worst moments calibrate the alarm: a bursty token needs a larger burst. The predictive distribution is
/// a Student-t, whose tails are heavy while there are few days. (docs/detection.md, Rate.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maxima {
    /// Mean of the daily maxima, each the square root of twice a surprise.
    pub mean: f32,
    /// Their variance.
    pub variance: f32,
    /// Days absorbed.
    pub days: u16,
}

impl Default for Maxima {
    fn default() -> Self {
        Self { mean: 2.5, variance: 2.5, days: 0 }
    }
}

impl Maxima {
    /// The lower limit of the variance: the resolution of a maximum.
    const LEAST_VARIANCE: f64 = 0.4;
    /// The formula's constant: + 0.7 for a broad alternative, - 1.5 for using four windows.
    const OFFSET: f64 = 0.7 - 1.5;
    /// Below this many standard deviations there is no evidence.
    const LEAST_Z: f64 = 0.5;
    /// The number of days whose maxima are not cut.
    const TAKEN_WHOLE: u16 = 3;
    /// The lower limit of the gain: a memory of about 20 days.
    const LEAST_GAIN: f64 = 0.05;

    /// Returns the evidence in nats, at most `cap`, that a maximum `y` does not belong to this series.
    #[must_use]
    pub fn nats(&self, y: f64, cap: f64) -> f64 {
        let z = (y - f64::from(self.mean)) / self.spread();
        if z <= Self::LEAST_Z {
            return 0.0;
        }
        let nu = self.freedom();
        let nats = 0.5 * (nu + 1.0) * libm::log1p(z * z / nu) + Self::OFFSET;
        nats.clamp(0.0, cap)
    }

    /// Returns the maximum at which [`nats`](Self::nats) reaches a value: the inverse function.
    #[must_use]
    pub fn maximum_at(&self, nats: f64) -> f64 {
        let nu = self.freedom();
        let z2 = nu * libm::expm1(2.0 * (nats - Self::OFFSET) / (nu + 1.0));
        let z = f64::sqrt(z2.max(0.0)).max(Self::LEAST_Z);
        f64::from(self.mean) + z * self.spread()
    }

    /// Returns the upper limit of the usual maximum: mean plus one standard deviation.
    #[must_use]
    pub fn usual(&self) -> f64 {
        f64::from(self.mean) + f64::sqrt(f64::from(self.variance).max(Self::LEAST_VARIANCE))
    }

    /// Absorbs the maximum of a day with a gain of 2/(n + 3): later days weigh more, since on the first days the pace
    /// itself is hardly known and looks erratic. Cuts it at three standard deviations above the mean, except on the
    /// first few days: otherwise a weekly batch would need half a year to become usual. Returns whether it was cut.
    pub fn absorb(&mut self, y: f64) -> bool {
        let (mean, variance) = (f64::from(self.mean), f64::from(self.variance));
        let limit = mean + 3.0 * f64::sqrt(variance.max(Self::LEAST_VARIANCE));
        let is_cut = self.days >= Self::TAKEN_WHOLE && y > limit;
        self.absorb_whole(if is_cut { limit } else { y });
        is_cut
    }

    /// Absorbs a maximum uncut, because a person confirmed that it is in order.
    pub fn absorb_whole(&mut self, y: f64) {
        let (mean, variance) = (f64::from(self.mean), f64::from(self.variance));
        self.days = self.days.saturating_add(1);
        let gain = (2.0 / (f64::from(self.days) + 3.0)).max(Self::LEAST_GAIN);
        let step = y - mean;
        self.mean = narrow(mean + gain * step);
        self.variance = narrow((1.0 - gain) * (variance + gain * step * step));
    }

    fn spread(&self) -> f64 {
        let n = f64::from(self.days);
        f64::sqrt(f64::from(self.variance).max(Self::LEAST_VARIANCE) * (n + 3.0) / (n + 2.0))
    }

    fn freedom(&self) -> f64 {
        (2.0 + 0.7 * f64::from(self.days)).min(20.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_the_prior_and_moves_by_half() {
        let mut maxima = Maxima::default();
        maxima.absorb(1.0);
        assert!((maxima.mean - 1.75).abs() < 1e-6);
        // 1/2 (2.5 + 1/2 * 1.5^2)
        assert!((maxima.variance - 1.8125).abs() < 1e-6);
    }

    #[test]
    fn evidence_is_that_of_the_student_t() {
        let maxima = Maxima { mean: 1.0, variance: 1.0, days: 8 };
        let (z, nu) = (4.0 / (1.1f64).sqrt(), 7.6);
        let by_hand = 0.5 * (nu + 1.0) * (1.0 + z * z / nu).ln() - 0.8;
        assert!((maxima.nats(5.0, 12.0) - by_hand).abs() < 1e-9);
        assert_eq!((maxima.nats(1.2, 12.0), maxima.nats(1e9, 12.0)), (0.0, 12.0));
    }

    #[test]
    fn the_inverse_is_the_inverse() {
        let maxima = Maxima { mean: 2.0, variance: 0.7, days: 11 };
        for nats in [1.0, 6.0, 10.0] {
            assert!((maxima.nats(maxima.maximum_at(nats), 12.0) - nats).abs() < 1e-9);
        }
    }
}
