//! How many requests are normal: level, hours of the day, days of the week, dispersion, daily maxima.
//!
//! The expected count of an hour is `level * hod[24] * dow[7]`, 31 numbers that handle a nightly job
//! and a weekly batch. Surprise is measured in four windows (5 minutes, the hour, the day so far,
//! three days) against a negative binomial, and then against the principal's own daily maxima.
//! Windows are aligned to the clock, so a burst that straddles two is seen with half its size.
//!
//! A window stays open until [`DISORDER`] after its end, and requests of the next five minutes are counted separately
//! meanwhile: what is learned does not depend on the order of lines this close together.
//! (docs/detection.md, Rate.)

mod learn;
#[cfg(test)]
mod tests;

use crate::engine::profile::DISORDER;
use crate::engine::profile::burst::{Burst, Busy, Window};
use crate::engine::profile::load::Load;
use crate::engine::profile::params::Rate;
use crate::engine::stats::{Maxima, Nats, least_count, narrow, surprise, whole};
use crate::engine::time::{HOUR, MINUTE, Timestamp};

/// A factor of the expected count, in steps of 1/2048.
type Factor = u16;
const ONE: Factor = 2048;

/// One principal's pace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pace {
    /// The hour that is being counted, since 1970.
    pub(super) hour: i64,
    /// The first hour.
    pub(super) born: i64,
    /// Hours learned.
    pub(super) hours: u32,
    /// Days learned.
    pub(super) days: u16,
    /// Mean requests in an hour.
    pub(super) level: f32,
    /// How the hours of the day differ.
    pub(super) hod: [Factor; 24],
    /// How the days of the week differ.
    pub(super) dow: [Factor; 7],
    /// Dispersion of hours as a ratio of moments: EW of (k - mu)^2 - mu, and of mu^2.
    pub(super) excess: [f32; 2],
    /// The first of these two for five minutes; the second is a twelfth of the hours'.
    pub(super) five_excess: f32,
    /// Dispersion of days, likewise.
    pub(super) day_excess: [f32; 2],
    /// The daily maxima.
    pub(super) maxima: Maxima,
    /// The largest surprise of today.
    pub(super) peak: f32,
    /// Which five minutes of the hour are open, and their requests.
    pub(super) five: (u8, u32),
    /// Requests of the five minutes after these, which may be the next hour's.
    pub(super) early: u32,
    /// Sum of the squared requests in the hour's finished five minutes.
    pub(super) squares: f32,
    /// Requests in the hour so far.
    pub(super) in_hour: u32,
    /// Requests in the day so far.
    pub(super) in_day: u32,
    /// Requests in the day's finished hours, extremes cut: the value that is learned.
    pub(super) learned: f32,
    /// Requests expected in the day's finished hours.
    pub(super) expected: f32,
    /// Requests of the day before and of the day before that, with the number expected.
    pub(super) before: [(u32, f32); 2],
    /// The last day whose worst moment was cut before it was learned (since 1970), and its surprise: a person
    /// may still say that it was in order.
    pub(super) cut: (i64, f32),
    /// The count of each window that is worth a closer look, for this hour.
    pub(super) limits: [u32; 4],
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            hour: i64::MIN,
            born: i64::MIN,
            hours: 0,
            days: 0,
            level: 0.0,
            hod: [ONE; 24],
            dow: [ONE; 7],
            excess: [0.0; 2],
            five_excess: 0.0,
            day_excess: [0.0; 2],
            maxima: Maxima::default(),
            peak: 0.0,
            five: (0, 0),
            early: 0,
            squares: 0.0,
            in_hour: 0,
            in_day: 0,
            learned: 0.0,
            expected: 0.0,
            before: [(0, 0.0); 2],
            cut: (0, 0.0),
            limits: [u32::MAX; 4],
        }
    }
}

/// The least expected count: dividing by next to nothing says nothing.
const LEAST_MU: f64 = 0.02;
/// The share of a day's requests expected at its start: people start earlier on some days.
const LEAST_OF_DAY: f64 = 0.25;
/// Dispersion of days: the prior, and the number of days it is worth.
const DAY_PRIOR: (f64, f64) = (0.3, 3.0);

/// Five minutes in an hour.
const FIVES: i64 = 12;

/// Returns the number of five-minute windows since 1970.
const fn five_of(time: Timestamp) -> i64 {
    time.0.div_euclid(5 * MINUTE)
}

/// Returns the index of a five-minute window within its hour.
const fn of_hour(five: i64) -> u8 {
    five.rem_euclid(FIVES).to_le_bytes()[0]
}

fn weekday_of(hour: i64) -> usize {
    Timestamp(hour.saturating_mul(HOUR)).weekday()
}

fn hour_of_day(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(24)).unwrap_or(0)
}

impl Pace {
    /// Returns the hour that is being counted, since 1970.
    #[must_use]
    pub(super) const fn current_hour(&self) -> i64 {
        self.hour
    }

    /// Returns the same counts with nothing learned, as in a first hour.
    pub(super) fn unlearned(&self) -> Self {
        let Self { hour, born, hours, days, five, early, squares, in_hour, in_day, .. } = *self;
        Self { hour, born, hours, days, five, early, squares, in_hour, in_day, ..Self::default() }
    }

    /// Turns a clock that was wrong back, and starts the hour and the day again.
    pub(super) fn turn_back(&mut self, hour: i64) {
        // Of a profile that has counted nothing, the first request says when it was born.
        if self.hour == i64::MIN {
            return;
        }
        (self.hour, self.born) = (hour, self.born.min(hour));
        (self.five, self.early, self.squares) = ((0, 0), 0, 0.0);
        (self.in_hour, self.in_day) = (0, 0);
        (self.peak, self.learned, self.expected) = (0.0, 0.0, 0.0);
        self.limits = [u32::MAX; 4];
    }

    /// Returns whether this request is worth a closer look; compares integers only.
    #[must_use]
    pub(super) fn is_notable(&self, time: Timestamp) -> bool {
        let counts = self.counts(time);
        time.hour() == self.hour && counts.iter().zip(&self.limits).any(|(k, limit)| k >= limit)
    }

    /// Returns how far this request's rate stands out, itself included; `None` if it does not. `load` knows the most
    /// of past days.
    #[must_use]
    pub(super) fn burst(
        &self,
        time: Timestamp,
        load: &Load,
        params: &Rate,
        cap: f64,
    ) -> Option<Burst> {
        if self.maxima.days == 0 {
            return None; // no past to judge by
        }
        let is_near = five_of(time) <= self.open_five().saturating_add(1);
        if is_near && time.hour() == self.hour {
            return self.burst_now(time, load, params, cap);
        }
        let mut rolled = self.clone();
        rolled.open(five_of(time), params);
        rolled.burst_now(time, load, params, cap)
    }

    fn burst_now(&self, time: Timestamp, load: &Load, params: &Rate, cap: f64) -> Option<Burst> {
        let counts = self.counts(time);
        let past = self.peak_with_five(params);
        let mut worst = (0.0, Window::FiveMinutes, 0, LEAST_MU, 0.0);
        for (window, count) in Window::ALL.into_iter().zip(counts) {
            if !self.is_mature(window, params) || f64::from(count) < params.least_requests {
                continue;
            }
            let (mu, phi) = self.expectation(window);
            let nats = surprise(count, mu, phi);
            if nats > worst.0 {
                worst = (nats, window, count, mu, phi);
            }
        }
        let (now, window, count, mu, phi) = worst;
        let nats = Nats::new(self.maxima.nats(f64::sqrt(2.0 * now.max(past)), cap));
        if nats == Nats(0) || count == 0 {
            return None;
        }
        Some(Burst {
            nats,
            window,
            count,
            expected: narrow(mu),
            usual: self.usual_most(mu, phi),
            busy: if load.is_as_before(counts, params) { Busy::AsBefore } else { Busy::More },
            is_now: now >= past,
            surprise: narrow(now.max(past)),
        })
    }

    /// Learns a day's worst moment as usual because a person says so: uncut, and once more if it would
    /// still be evidence of `least` nats. The day may have become worse since it was reported.
    pub(super) fn expect(&mut self, surprise: f32, time: Timestamp, least: f64, cap: f64) {
        let days = [(self.hour.div_euclid(24), self.peak), self.cut];
        let of_day = days.into_iter().filter(|(day, _)| *day == time.day());
        let surprise = of_day.fold(surprise, |most, (_, peak)| most.max(peak));
        let y = f64::sqrt(2.0 * f64::from(surprise));
        self.maxima.absorb_whole(y);
        if self.maxima.nats(y, cap) >= least {
            self.maxima.absorb_whole(y);
        }
    }

    /// Returns the most requests of a window on a usual day.
    fn usual_most(&self, mu: f64, phi: f64) -> u32 {
        let usual = self.maxima.usual();
        least_count((usual * usual / 2.0).max(0.1), mu, phi).saturating_sub(1)
    }

    /// Counts a request. `score` is the evidence from which a request [`is_notable`](Self::is_notable).
    pub(super) fn count(&mut self, time: Timestamp, params: &Rate, score: f64) {
        if self.hour == i64::MIN {
            (self.hour, self.born) = (time.hour(), time.hour());
            self.five.0 = of_hour(five_of(time));
        }
        let hour = self.hour;
        self.open(five_of(time.plus(-DISORDER)), params);
        if hour != self.hour {
            self.set_limits(params, score);
        }
        if five_of(time) > self.open_five() {
            self.early = self.early.saturating_add(1);
        } else {
            self.add(1);
        }
    }

    /// Returns the open five-minute window, since 1970.
    fn open_five(&self) -> i64 {
        self.hour.saturating_mul(FIVES).saturating_add(self.five.0.into())
    }

    /// Closes what is over and opens this five-minute window, unless it is open already.
    fn open(&mut self, five: i64, params: &Rate) {
        let next = self.open_five().saturating_add(1);
        if five < next {
            return;
        }
        let early = std::mem::take(&mut self.early);
        if early > 0 {
            self.pass(next, params);
            self.add(early);
        }
        if five > self.open_five() {
            self.pass(five, params);
        }
    }

    /// Advances to this five-minute window.
    fn pass(&mut self, five: i64, params: &Rate) {
        let hour = five.div_euclid(FIVES);
        if hour > self.hour {
            self.roll(hour, params);
        } else {
            self.peak = narrow(self.peak_with_five(params));
            self.squares = self.squares_with_five();
        }
        self.five = (of_hour(five), 0);
    }

    fn add(&mut self, requests: u32) {
        self.five.1 = self.five.1.saturating_add(requests);
        self.in_hour = self.in_hour.saturating_add(requests);
        self.in_day = self.in_day.saturating_add(requests);
    }

    /// Returns the counts of this hour's windows with one more request.
    fn counts(&self, time: Timestamp) -> [u32; 4] {
        let five = match five_of(time).saturating_sub(self.open_five()) {
            ..=0 => self.five.1,
            1 => self.early,
            _ => 0,
        };
        let is_last = i64::from(self.five.0) + 1 == FIVES;
        let early = if is_last { 0 } else { self.early };
        let [in_hour, in_day] =
            [self.in_hour, self.in_day].map(|count| count.saturating_add(early));
        [five, in_hour, in_day, self.with_days_before(in_day)].map(|count| count.saturating_add(1))
    }

    fn with_days_before(&self, in_day: u32) -> u32 {
        self.before.iter().fold(in_day, |sum, (count, _)| sum.saturating_add(*count))
    }

    /// Returns the mean and dispersion of a window's count at this hour.
    fn expectation(&self, window: Window) -> (f64, f64) {
        let hour = self.hour;
        let beside = self.mean(hour - 1).max(self.mean(hour + 1));
        let now = self.mean(hour).max(beside).max(LEAST_MU);
        let day = || {
            let whole = 24.0 * f64::from(self.level) * self.dow_of(hour);
            (f64::from(self.expected) + now).max(LEAST_OF_DAY * whole)
        };
        match window {
            Window::FiveMinutes => (now / 12.0, self.five_dispersion()),
            Window::Hour => (now, self.dispersion()),
            Window::Day => (day(), self.day_dispersion()),
            Window::ThreeDays => {
                let [(_, one), (_, two)] = self.before;
                (day() + f64::from(one) + f64::from(two), self.day_dispersion())
            }
        }
    }

    /// Returns how many requests are expected in a window of a few minutes or an hour.
    pub(super) fn expected(&self, hour: i64, window: Window) -> f64 {
        match window {
            Window::FiveMinutes => self.mean(hour) / 12.0,
            _ => self.mean(hour),
        }
    }

    fn is_mature(&self, window: Window, params: &Rate) -> bool {
        let least = match window {
            Window::FiveMinutes | Window::Hour => params.warm_up_hours,
            Window::Day | Window::ThreeDays => params.day_warm_up_hours,
        };
        self.age(self.hour) >= least
    }

    fn age(&self, hour: i64) -> f64 {
        let hours = hour.saturating_sub(self.born).clamp(0, i64::from(u32::MAX));
        if self.born == i64::MIN { 0.0 } else { f64::from(u32::try_from(hours).unwrap_or(0)) }
    }

    fn mean(&self, hour: i64) -> f64 {
        let hod = self.hod.get(hour_of_day(hour)).copied().unwrap_or(ONE);
        f64::from(self.level) * (f64::from(hod) / f64::from(ONE)) * self.dow_of(hour)
    }

    fn dow_of(&self, hour: i64) -> f64 {
        let dow = self.dow.get(weekday_of(hour)).copied().unwrap_or(ONE);
        f64::from(dow) / f64::from(ONE)
    }

    fn dispersion(&self) -> f64 {
        let [excess, square] = self.excess.map(f64::from);
        (excess / square.max(1e-9)).clamp(0.0, 1e6)
    }

    /// Returns the dispersion of five minutes: within an hour people come in bursts, far more than the hours differ.
    fn five_dispersion(&self) -> f64 {
        let square = f64::from(self.excess[1]) / 12.0;
        let seen = (f64::from(self.five_excess) / square.max(1e-9)).clamp(0.0, 1e6);
        seen.max(self.dispersion())
    }

    fn squares_with_five(&self) -> f32 {
        let five = f64::from(self.five.1);
        narrow(f64::from(self.squares) + five * five)
    }

    fn day_dispersion(&self) -> f64 {
        let [excess, square] = self.day_excess.map(f64::from);
        let (prior, worth) = DAY_PRIOR;
        let (seen, days) = ((excess / square.max(1e-9)).clamp(0.0, 1e6), f64::from(self.days));
        (seen * days + prior * worth) / (days + worth)
    }

    fn peak_with_five(&self, params: &Rate) -> f64 {
        self.peak_with(Window::FiveMinutes, self.five.1, params)
    }

    fn peak_with(&self, window: Window, count: u32, params: &Rate) -> f64 {
        let peak = f64::from(self.peak);
        if !self.is_mature(window, params) || f64::from(count) < params.least_requests {
            return peak;
        }
        let (mu, phi) = self.expectation(window);
        surprise(count, mu, phi).max(peak)
    }

    fn set_limits(&mut self, params: &Rate, score: f64) {
        let y = self.maxima.maximum_at(score);
        let least = whole(params.least_requests);
        self.limits = Window::ALL.map(|window| {
            if self.maxima.days == 0 || !self.is_mature(window, params) {
                return u32::MAX;
            }
            let (mu, phi) = self.expectation(window);
            least_count(y * y / 2.0, mu, phi).max(least)
        });
    }
}
