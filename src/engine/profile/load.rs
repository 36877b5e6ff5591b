//! Requests in five minutes, an hour and a day, compared with the largest counts of past days.
//!
//! The pace asks what is likely at this hour. People's hours differ so much that ten times the usual is hardly
//! surprising, and a weekly batch surprises it every week. The load asks a simpler question: was there ever anything
//! like it? (docs/detection.md, Rate alone.)

use crate::engine::profile::burst::Window;
use crate::engine::profile::params::Rate;
use crate::engine::stats::{Most, Nats, log};
use crate::engine::time::{HOUR, MINUTE, Timestamp};

/// Several times the largest number of requests ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peak {
    pub window: Window,
    pub count: u32,
    /// The largest count of past days, as far as remembered.
    pub largest: u32,
    pub nats: Nats,
}

/// Accepted requests in five minutes, an hour and a day of the clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Which five minutes of the hour are being counted, and their requests.
    pub five: (u8, u32),
    pub in_hour: u32,
    pub in_day: u32,
    /// The largest of today's finished five minutes and hours, as [`log`]s.
    pub today: [u16; 2],
    /// The largest of past days' five minutes and hours.
    pub past: [Most; 2],
    /// The largest of past days.
    pub days: Most,
}

impl Load {
    const WINDOWS: [Window; 2] = [Window::FiveMinutes, Window::Hour];

    /// Counts a request of the hour; a late one counts for the newest five minutes.
    pub(super) fn count(&mut self, time: Timestamp) {
        let five = (time.0.rem_euclid(HOUR) / (5 * MINUTE)).to_le_bytes()[0];
        if five > self.five.0 {
            self.end_five(five);
        }
        self.five.1 = self.five.1.saturating_add(1);
        self.in_hour = self.in_hour.saturating_add(1);
        self.in_day = self.in_day.saturating_add(1);
    }

    fn end_five(&mut self, next: u8) {
        let [most, _] = &mut self.today;
        *most = (*most).max(log(self.five.1.into()));
        self.five = (next, 0);
    }

    pub(super) fn end_hour(&mut self) {
        self.end_five(0);
        let [_, most] = &mut self.today;
        *most = (*most).max(log(std::mem::take(&mut self.in_hour).into()));
    }

    pub(super) fn end_day(&mut self) {
        let today = std::mem::take(&mut self.today);
        self.past.iter_mut().zip(today).for_each(|(past, most)| past.learn(most));
        self.days.learn(log(std::mem::take(&mut self.in_day).into()));
    }

    /// Turns a clock that was wrong back, and starts the day again.
    pub(super) fn turn_back(&mut self) {
        *self = Self { past: self.past, days: self.days, ..Self::default() };
    }

    /// Returns whether the requests in each [window](Window::ALL) are as many as there were before; three days are if
    /// each of them is.
    pub(super) fn is_as_before(&self, counts: [u32; 4], params: &Rate) -> bool {
        let [five, hour] = self.past;
        [five, hour, self.days].into_iter().zip(counts).all(|(past, count)| {
            f64::from(past.days) >= params.alone_days
                && !past.is_record(count.into(), params.usual_factor)
        })
    }

    /// Returns the window that stands out most, if one exceeds what restarts and retries cause, and several
    /// times the largest count so far.
    pub(super) fn peak(&self, params: &Rate, cap: f64) -> Option<Peak> {
        let counts = [self.five.1, self.in_hour];
        let is_extreme = |past: &Most, count: u32| {
            f64::from(count) >= params.alone_requests
                && f64::from(past.days) >= params.alone_days
                && past.is_record(count.into(), params.alone_factor)
        };
        let peaks = Self::WINDOWS.into_iter().zip(counts).zip(self.past);
        let extreme = peaks.filter(|((_, count), past)| is_extreme(past, *count));
        let peaks = extreme.map(|((window, count), past)| Peak {
            window,
            count,
            largest: u32::try_from(past.largest()).unwrap_or(u32::MAX),
            nats: Nats::new(past.nats(count.into(), cap)),
        });
        peaks.max_by_key(|peak| peak.nats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SECOND;

    /// Applies days with a number of requests within a quarter of an hour, and returns the last day's evidence.
    fn last_day(counts: &[u32]) -> Option<Peak> {
        let mut load = Load::default();
        let mut peak = None;
        for count in counts {
            for request in 0..*count {
                load.count(Timestamp(i64::from(request) * 900 * SECOND / i64::from(*count)));
                peak = load.peak(&Rate::default(), 12.0).or(peak);
            }
            load.end_hour();
            load.end_day();
            if load.past[0].days < u16::try_from(counts.len()).unwrap() {
                peak = None;
            }
        }
        peak
    }

    const BUSY: [u32; 12] = [30, 12, 45, 20, 52, 18, 40, 9, 33, 25, 50, 16];

    #[test]
    fn many_times_the_busiest_hour_is_strong_evidence() {
        let days = [&BUSY[..], &[300]].concat();
        let peak = last_day(&days).unwrap();
        assert_eq!((peak.window, peak.largest), (Window::Hour, 48));
        assert!(peak.nats.get() > 3.0, "{peak:?}");
    }

    #[test]
    fn a_busy_hour_as_there_was_one_is_none() {
        assert_eq!(last_day(&[&BUSY[..], &[110]].concat()), None);
    }

    #[test]
    fn the_batch_of_last_month_is_as_before_and_twice_as_much_is_not() {
        let mut load = Load::default();
        let day = |load: &mut Load, requests: u32| {
            let is_as_before = load.is_as_before([requests; 4], &Rate::default());
            (0..requests).for_each(|_| load.count(Timestamp(0)));
            load.end_hour();
            load.end_day();
            is_as_before
        };
        assert_eq!([40, 20].map(|n| day(&mut load, n)), [false; 2], "two days say little");
        (0..8).for_each(|_| _ = day(&mut load, 20));
        assert!(!day(&mut load, 400));
        (0..30).for_each(|_| assert!(day(&mut load, 20)));
        assert!(day(&mut load, 390));
        (0..30).for_each(|_| _ = day(&mut load, 20));
        assert!(!day(&mut load, 500));
    }

    #[test]
    fn growth_is_no_peak() {
        let grown: Vec<u32> = (0..40).map(|day| 60 + day * 8).collect();
        assert_eq!(last_day(&grown), None);
    }

    #[test]
    fn few_requests_are_no_peak_however_rare() {
        assert_eq!(last_day(&[1, 1, 1, 1, 1, 1, 1, 1, 40]), None);
    }

    #[test]
    fn a_first_week_says_nothing_yet() {
        assert_eq!(last_day(&[5, 5, 5, 5, 5, 5, 5000]), None);
    }
}
