//! How many bytes a token downloads in an hour and in a day, compared with the largest amounts of past days.

use crate::engine::profile::burst::Window;
use crate::engine::profile::params::Bytes;
use crate::engine::stats::{Most, log};

/// More bytes than ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// The period; `None` if it is one answer of a route never used.
    pub window: Option<Window>,
    /// Bytes in it.
    pub bytes: u64,
    /// The usual maximum, of an hour or a day.
    pub usual: u64,
}

/// Bytes per hour and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub in_hour: u64,
    pub in_day: u64,
    /// The largest hour of today, as a binary logarithm in steps of 1/256.
    pub most: u16,
    pub hours: Most,
    pub days: Most,
}

impl Volume {
    pub(super) const fn count(&mut self, bytes: u64) {
        self.in_hour = self.in_hour.saturating_add(bytes);
        self.in_day = self.in_day.saturating_add(bytes);
    }

    pub(super) fn end_hour(&mut self) {
        self.most = self.most.max(log(std::mem::take(&mut self.in_hour)));
    }

    pub(super) fn end_day(&mut self) {
        self.hours.learn(std::mem::take(&mut self.most));
        self.days.learn(log(std::mem::take(&mut self.in_day)));
    }

    /// Returns what stands out: the hour, the day, or one answer of a route never used.
    pub(super) fn flood(&self, answer: Option<u64>, params: &Bytes) -> Option<Flood> {
        let kib = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        let is_large = |bytes: u64| kib(bytes) >= 1024.0 * params.least_mib;
        let days = f64::from(self.days.days);
        if days < params.min_active_days || !is_large(self.in_day) {
            return None;
        }
        let of = |window, bytes, most: Most| {
            let is_flood = is_large(bytes)
                && most.is_record(bytes, params.factor)
                && most.nats(bytes, f64::MAX) >= params.nats;
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

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    const MIB: u64 = 1 << 20;

    /// Applies days with a number of bytes in one hour, and returns those that stood out.
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
}
