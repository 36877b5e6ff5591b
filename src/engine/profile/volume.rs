//! How many bytes a token takes away in an hour and in a day, beside the most of past days.

use crate::engine::profile::burst::Window;
use crate::engine::profile::params::Bytes;
use crate::engine::stats::{Maxima, narrow, whole};

/// More bytes than ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Within which time; `None` if it is one answer of a route never used.
    pub window: Option<Window>,
    /// So many bytes.
    pub bytes: u64,
    /// The usual most, of an hour or a day.
    pub usual: u64,
}

/// Bytes by hour and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub in_hour: u64,
    pub in_day: u64,
    /// The largest hour of today, as a logarithm to the base 2, in 1/256.
    pub most: u16,
    pub hours: Most,
    pub days: Most,
}

/// The largest of each past day, as logarithms to the base 2, in 1/256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Most {
    /// Mean and variance of the daily maxima.
    pub mean: u16,
    pub variance: u16,
    /// The largest of all: half of it is forgotten in 32 active days.
    pub peak: u16,
    /// Days learned.
    pub days: u16,
}

impl Most {
    /// What a peak loses in an active day: 1/32.
    const FADE: u16 = 8;
    /// Of the first day's variance: a factor of two up and down.
    const FIRST_VARIANCE: u16 = 256;

    fn maxima(self) -> Maxima {
        let [mean, variance] = [self.mean, self.variance].map(|steps| narrow(of_steps(steps)));
        Maxima { mean, variance, days: self.days }
    }

    fn learn(&mut self, log: u16) {
        let peak = self.peak.saturating_sub(Self::FADE).max(log);
        if self.days == 0 {
            *self = Self { mean: log, variance: Self::FIRST_VARIANCE, peak, days: 1 };
            return;
        }
        let mut maxima = self.maxima();
        maxima.absorb(of_steps(log));
        let [mean, variance] = [maxima.mean, maxima.variance].map(|of| in_steps(of.into()));
        *self = Self { mean, variance, peak, days: maxima.days };
    }

    /// Tells whether so many bytes are far above both the usual most and the peak.
    fn is_far(self, bytes: u64, params: &Bytes) -> bool {
        let log = log2(bytes);
        log >= of_steps(self.peak) + libm::log2(params.factor.max(1.0))
            && log >= self.maxima().maximum_at(params.nats)
    }

    fn usual(self) -> u64 {
        exp2(self.maxima().usual())
    }
}

const STEPS: f64 = 256.0;

fn in_steps(log: f64) -> u16 {
    u16::try_from(whole(log * STEPS + 0.5)).unwrap_or(u16::MAX)
}

fn of_steps(steps: u16) -> f64 {
    f64::from(steps) / STEPS
}

impl Volume {
    pub(super) const fn count(&mut self, bytes: u64) {
        self.in_hour = self.in_hour.saturating_add(bytes);
        self.in_day = self.in_day.saturating_add(bytes);
    }

    pub(super) fn end_hour(&mut self) {
        self.most = self.most.max(in_steps(log2(std::mem::take(&mut self.in_hour))));
    }

    pub(super) fn end_day(&mut self) {
        self.hours.learn(std::mem::take(&mut self.most));
        self.days.learn(in_steps(log2(std::mem::take(&mut self.in_day))));
    }

    /// Tells what stands out: the hour, the day, or one answer of a route never used.
    pub(super) fn flood(&self, answer: Option<u64>, params: &Bytes) -> Option<Flood> {
        let floor = libm::ldexp(params.least_mib, 20);
        let is_large = |bytes: u64| float(bytes) >= floor;
        let days = f64::from(self.days.days);
        if days < params.min_active_days || !is_large(self.in_day) {
            return None;
        }
        let of = |window, bytes, most: Most| {
            let is_flood = is_large(bytes) && most.is_far(bytes, params);
            is_flood.then(|| Flood { window: Some(window), bytes, usual: most.usual() })
        };
        let one = || {
            let bytes = answer.filter(|bytes| is_large(*bytes) && *bytes >= self.hours.usual())?;
            Some(Flood { window: None, bytes, usual: self.hours.usual() })
        };
        of(Window::Hour, self.in_hour, self.hours)
            .or_else(|| of(Window::Day, self.in_day, self.days))
            .or_else(one)
    }
}

fn float(bytes: u64) -> f64 {
    let low = u32::try_from(bytes & 0xffff_ffff).unwrap_or(0);
    let high = u32::try_from(bytes >> 32).unwrap_or(0);
    libm::ldexp(f64::from(high), 32) + f64::from(low)
}

fn log2(bytes: u64) -> f64 {
    libm::log2(float(bytes).max(1.0))
}

/// Rounded to 1/65536 of its size: what is shown is no more exact than that.
fn exp2(log: f64) -> u64 {
    let whole_log = whole(log);
    let fraction = libm::exp2(log - f64::from(whole_log));
    let mantissa = u64::from(whole(fraction * 65_536.0)); // of 17 bits
    match whole_log {
        0..16 => mantissa >> (16 - whole_log),
        16..64 => mantissa << (whole_log - 16),
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    const MIB: u64 = 1 << 20;

    /// Lives days with so many bytes in one hour, and returns those on which something stood out.
    fn told(days: u64, of_day: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut volume = Volume::default();
        let lived = (0..days).filter(|day| {
            volume.count(of_day(*day));
            let flood = volume.flood(None, &Bytes::default());
            volume.end_hour();
            volume.end_day();
            flood.is_some()
        });
        lived.collect()
    }

    #[test]
    fn an_export_at_the_end_of_the_month_is_told_once() {
        let export = |day| if day % 30 == 29 { 900 * MIB } else { 20 * MIB };
        assert_eq!(told(120, export), [29]);
    }

    #[test]
    fn what_comes_every_night_or_grows_is_not_told() {
        assert_eq!(told(60, |_| 500 * MIB), NONE);
        assert_eq!(told(60, |day| if day % 7 == 2 { 500 * MIB } else { MIB }), NONE);
        assert_eq!(told(60, |day| 20 * MIB + day * 4 * MIB), NONE);
        assert_eq!(
            told(60, |day| if day == 50 { 9 * MIB } else { 1000 }),
            NONE,
            "little all the same"
        );
        assert_eq!(told(6, |day| if day == 5 { 900 * MIB } else { 1000 }), NONE, "too young");
    }

    #[test]
    fn a_day_of_usual_hours_is_told_of_if_there_are_too_many() {
        let mut volume = Volume::default();
        for _ in 0..10 {
            volume.count(50 * MIB);
            volume.end_hour();
            volume.end_day();
        }
        let mut told = Vec::new();
        for hour in 0..24 {
            volume.count(50 * MIB);
            let flood = volume.flood(None, &Bytes::default());
            told.extend(flood.map(|flood| (hour, flood.window)));
            volume.end_hour();
        }
        assert!(told.first().is_some_and(|(hour, _)| (8..16).contains(hour)), "{told:?}");
        assert!(told.iter().all(|(_, window)| *window == Some(Window::Day)), "{told:?}");
    }

    #[test]
    fn logarithms_are_exact_enough_to_be_shown() {
        for bytes in [1, 612, MIB, 900 * MIB, u64::MAX / 2] {
            let back = exp2(log2(bytes));
            assert!(float(back.abs_diff(bytes)) <= 1.0 + float(bytes) / 30_000.0, "{bytes} {back}");
        }
        assert_eq!((exp2(0.0), exp2(-3.0), exp2(1e9)), (1, 0, u64::MAX));
    }
}
