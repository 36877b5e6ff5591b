//! How many neighbourhoods use a token within an hour, compared with the usual number now and weeks ago.

use crate::engine::profile::actor::distinct;
use crate::engine::profile::params::FanOut;

/// A token in many hands at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Neighbourhoods in this hour so far.
    pub prefixes: u32,
    /// Neighbourhoods in the hour before.
    pub before: u32,
    /// The usual maximum: that of the last week, or of the older week if the count stands out against that one.
    pub usual: u32,
}

/// Distinct neighbourhoods per hour, and the maxima of past weeks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fan {
    /// A bit for each neighbourhood of this hour: a linear counter.
    pub bits: u64,
    /// Requests in this hour.
    pub requests: u32,
    /// Neighbourhoods in the hour before, and requests; 0 if it was idle.
    pub before: (u16, u32),
    /// The two busiest hours of today.
    pub top: [u16; 2],
    /// The most that two hours of a day reached, this week so far and in the three before. A week is seven active days.
    pub weeks: [u16; 4],
    /// Days in this week.
    pub days: u8,
    /// Whole weeks, at most 3.
    pub whole_weeks: u8,
}

impl Fan {
    const DAYS_OF_WEEK: u8 = 7;
    const OLDEST: u8 = 3;

    pub(super) fn count(&mut self, bit: Option<u64>) {
        self.bits |= bit.unwrap_or(0);
        self.requests = self.requests.saturating_add(1);
    }

    /// Counts a neighbourhood as usual in all weeks, unless as many as there are in this hour already are: many
    /// principals took to it at once, as behind a proxy that is new in front of the server, so one of them has not come
    /// into many hands by it.
    pub(super) fn accept(&mut self) {
        let count = u16::try_from(distinct(self.bits)).unwrap_or(u16::MAX);
        self.weeks = self.weeks.map(|usual| usual.saturating_add(1).min(count).max(usual));
    }

    /// Ends the hour.
    pub(super) fn end_hour(&mut self) {
        let count = u16::try_from(distinct(self.bits)).unwrap_or(u16::MAX);
        let [most, second] = self.top;
        self.top = if count > most { [count, most] } else { [most, second.max(count)] };
        self.before = (count, self.requests);
        (self.bits, self.requests) = (0, 0);
    }

    /// Passes over idle hours.
    pub(super) const fn idle(&mut self) {
        self.before = (0, 0);
    }

    /// Ends the day. Its second-busiest hour counts, because a report takes two hours.
    pub(super) fn end_day(&mut self) {
        let [_, second] = std::mem::take(&mut self.top);
        let [week, first, other, _] = self.weeks;
        let week = week.max(second);
        self.days = self.days.saturating_add(1);
        if self.days < Self::DAYS_OF_WEEK {
            self.weeks = [week, first, other, self.weeks[3]];
            return;
        }
        self.weeks = [0, week, first, other];
        self.days = 0;
        self.whole_weeks = self.whole_weeks.saturating_add(1).min(Self::OLDEST);
    }

    /// Returns the spread if this hour, with this many neighbourhoods, and the one before stand out.
    pub(super) fn spread(&self, prefixes: u32, params: &FanOut) -> Option<Spread> {
        let (before, requests_before) = (u32::from(self.before.0), self.before.1);
        let least = f64::from(prefixes.min(before));
        let by_each =
            |requests: u32, prefixes: u32| f64::from(requests) / f64::from(prefixes.max(1));
        let most = by_each(self.requests, prefixes).max(by_each(requests_before, before));
        if self.whole_weeks == 0 || least < params.least || most > params.most_requests {
            return None;
        }
        let [week, last, _, older] = self.weeks;
        let is_far = |usual: &u16| least >= params.factor * f64::from(*usual);
        let older = Some(older).filter(|_| self.whole_weeks == Self::OLDEST);
        let usual = [Some(week.max(last)), older].into_iter().flatten().find(is_far)?;
        Some(Spread { prefixes, before, usual: usual.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];

    /// Applies days of ten hours, each with a number of neighbourhoods, and returns the days that stood out.
    fn told(days: u32, of_day: impl Fn(u32) -> u32) -> Vec<u32> {
        let mut fan = Fan::default();
        let mut told = Vec::new();
        for day in 0..days {
            for _ in 0..10 {
                // As many bits as a linear counter has for a count: 64 (1 - e^(-n/64)).
                let expected = 64.0 * (1.0 - libm::exp(-f64::from(of_day(day)) / 64.0));
                let ones = crate::engine::stats::whole(expected + 0.5);
                fan.bits = if ones >= 64 { u64::MAX } else { (1 << ones) - 1 };
                fan.requests = of_day(day);
                if fan.spread(distinct(fan.bits), &FanOut::default()).is_some() {
                    told.push(day);
                }
                fan.end_hour();
            }
            fan.idle();
            fan.end_day();
        }
        told.dedup();
        told
    }

    #[test]
    fn what_grows_by_a_few_percent_a_day_does_not_stand_out_and_a_ramp_does() {
        let grown = |percent: f64| {
            move |day: u32| {
                let factor = libm::pow(1.0 + percent / 100.0, f64::from(day));
                crate::engine::stats::whole(4.0 * factor).min(500)
            }
        };
        assert_eq!(told(60, grown(3.5)), NONE);
        assert!(!told(60, grown(8.0)).is_empty(), "slow, but three times within three weeks");
        assert_eq!(told(60, |_| 300), NONE, "always in many hands");
        assert_eq!(told(60, |day| if day % 7 == 3 { 40 } else { 2 }), NONE, "weekly");
    }

    #[test]
    fn a_jump_stands_out_from_the_second_week_on() {
        let jump = |at| move |day: u32| if day == at { 12 } else { 2 };
        assert_eq!(told(10, jump(5)), NONE);
        assert_eq!(told(10, jump(8)), [8]);
        assert_eq!(told(10, |day| if day == 8 { 3 } else { 1 }), NONE, "few");
    }

    #[test]
    fn servers_are_no_hands_and_one_hour_is_not_two() {
        let mut fan = Fan { whole_weeks: 1, weeks: [1; 4], ..Fan::default() };
        (fan.bits, fan.requests, fan.before) = (0xff, 20, (9, 20));
        let spread = |fan: &Fan| fan.spread(distinct(fan.bits), &FanOut::default());
        assert_eq!(spread(&fan), Some(Spread { prefixes: 9, before: 9, usual: 1 }));
        assert_eq!(spread(&Fan { requests: 900, ..fan.clone() }), None);
        assert_eq!(spread(&Fan { before: (9, 900), ..fan.clone() }), None);
        assert_eq!(spread(&Fan { before: (0, 0), ..fan.clone() }), None);
    }

    #[test]
    fn what_many_took_to_at_once_was_many_hands_for_each() {
        // An hour in which so many of the neighbourhoods are a change of many; returns whether it stands out.
        let hour = |fan: &mut Fan, bits: u64, shared: u32| {
            (fan.bits, fan.requests) = (bits, bits.count_ones());
            (0..shared).for_each(|_| fan.accept());
            let told = fan.spread(distinct(fan.bits), &FanOut::default()).is_some();
            fan.end_hour();
            told
        };
        let (proxied, sold) = (0xfff, u64::MAX >> 4);
        let new = Fan { whole_weeks: Fan::OLDEST, weeks: [1; 4], ..Fan::default() };
        let told = |shared: [u32; 3], bits: u64| {
            let mut fan = new.clone();
            shared.map(|shared| hour(&mut fan, bits, shared))
        };
        assert_eq!(told([0; 3], proxied), [false, true, true]);
        assert_eq!(told([12, 0, 0], proxied), [false; 3], "learned at once");
        assert_eq!(told([1, 1, 1], sold), [false, true, true], "the others are not excused");
        let mut fan = new.clone();
        assert_eq!([12, 0].map(|shared| hour(&mut fan, proxied, shared)), [false; 2]);
        fan.end_day();
        assert_eq!([0, 0].map(|shared| hour(&mut fan, sold, shared)), [false, true]);
    }
}
