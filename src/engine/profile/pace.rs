//! How many requests are normal: level, hours of the day, days of the week, dispersion, daily maxima.
//!
//! The expected count of an hour is `level * hod[24] * dow[7]`, 31 numbers that handle a nightly job
//! and a weekly batch. Surprise is measured in four windows (5 minutes, the hour, the day so far,
//! three days) against a negative binomial, and then against the principal's own daily maxima.
//! Windows are aligned to the clock, so a burst that straddles two is seen with half its size.
//! (docs/detection.md, Rate.)

use crate::engine::profile::burst::{Burst, Window};
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
    /// The first of both for five minutes; the second is a twelfth of the hours'.
    pub(super) five_excess: f32,
    /// Dispersion of days, likewise.
    pub(super) day_excess: [f32; 2],
    /// The daily maxima.
    pub(super) maxima: Maxima,
    /// The largest surprise of today.
    pub(super) peak: f32,
    /// Which five minutes of the hour are being counted, and their requests.
    pub(super) five: (u8, u32),
    /// Squares of the requests in the hour's finished five minutes, summed up.
    pub(super) squares: f32,
    /// Requests in the hour so far.
    pub(super) in_hour: u32,
    /// Requests in the day so far.
    pub(super) in_day: u32,
    /// Requests in the day's finished hours, extremes cut: what is learned from.
    pub(super) learned: f32,
    /// Requests expected in the day's finished hours.
    pub(super) expected: f32,
    /// Requests of the day before and of the one before that, and how many were expected.
    pub(super) before: [(u32, f32); 2],
    /// The last day whose worst moment was cut before it was learned, since 1970, and its surprise: a person
    /// may yet say that it was in order.
    pub(super) cut: (i64, f32),
    /// From which count on each window is worth a closer look, for this hour.
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

/// Idle hours that are learned from at a time; a longer silence is a pause, not a new normal.
const LONGEST_IDLE: i64 = 7 * 24;
/// While a day is idle, the level falls so much slower.
const IDLE_GAIN: f64 = 0.25;
/// An expected count is never smaller: dividing by next to nothing says nothing.
const LEAST_MU: f64 = 0.02;
/// Of a day's requests, so many are expected at once: people start earlier on some days.
const LEAST_OF_DAY: f64 = 0.25;
/// Dispersion of days: the prior, and how many days it is worth.
const DAY_PRIOR: (f64, f64) = (0.3, 3.0);

const fn five_of(time: Timestamp) -> u8 {
    (time.0.rem_euclid(HOUR) / (5 * MINUTE)).to_le_bytes()[0]
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

    /// Returns the same counts without anything learned: what a first hour looks like.
    pub(super) fn unlearned(&self) -> Self {
        let Self { hour, born, hours, days, five, squares, in_hour, in_day, .. } = *self;
        Self { hour, born, hours, days, five, squares, in_hour, in_day, ..Self::default() }
    }

    /// Sets the clock back, where it had been set wrong, and begins the hour and the day anew.
    pub(super) fn turn_back(&mut self, hour: i64) {
        (self.hour, self.born) = (hour, self.born.min(hour));
        (self.five, self.squares, self.in_hour, self.in_day) = ((0, 0), 0.0, 0, 0);
        (self.peak, self.learned, self.expected) = (0.0, 0.0, 0.0);
        self.limits = [u32::MAX; 4];
    }

    /// Tells whether this request makes a closer look worth it: integer comparisons only.
    #[must_use]
    pub(super) fn is_notable(&self, time: Timestamp) -> bool {
        let counts = self.counts(time);
        time.hour() == self.hour && counts.iter().zip(&self.limits).any(|(k, limit)| k >= limit)
    }

    /// Returns how far this request's rate stands out, itself included; `None` if it does not.
    #[must_use]
    pub(super) fn burst(&self, time: Timestamp, params: &Rate, cap: f64) -> Option<Burst> {
        if self.maxima.days == 0 {
            return None; // no past to judge by
        }
        if time.hour() == self.hour {
            return self.burst_now(time, params, cap);
        }
        let mut rolled = self.clone();
        rolled.roll(time.hour(), params);
        rolled.burst_now(time, params, cap)
    }

    fn burst_now(&self, time: Timestamp, params: &Rate, cap: f64) -> Option<Burst> {
        let counts = self.counts(time);
        let past = self.peak_with_five(params);
        let mut worst = (0.0, Window::FiveMinutes, 0, LEAST_MU, 0.0);
        for (window, count) in Window::ALL.into_iter().zip(counts) {
            let (mu, phi) = self.expectation(window);
            if self.is_mature(window, params) && f64::from(count) >= params.least_requests {
                let nats = surprise(count, mu, phi);
                if nats > worst.0 {
                    worst = (nats, window, count, mu, phi);
                }
            }
        }
        let (now, window, count, mu, phi) = worst;
        let nats = Nats::new(self.maxima.nats(libm::sqrt(2.0 * now.max(past)), cap));
        if nats == Nats(0) || count == 0 {
            return None;
        }
        Some(Burst {
            nats,
            window,
            count,
            expected: narrow(mu),
            usual: self.usual_most(mu, phi),
            is_extreme: self.is_extreme(counts, params),
            is_now: now >= past,
            surprise: narrow(now.max(past)),
        })
    }

    /// Takes a day's worst moment for usual, because a person says so: uncut, and once more if that would
    /// still be evidence of `least` nats. The day may have become worse since it was told.
    pub(super) fn expect(&mut self, surprise: f32, time: Timestamp, least: f64, cap: f64) {
        let days = [(self.hour.div_euclid(24), self.peak), self.cut];
        let of_day = days.into_iter().filter(|(day, _)| *day == time.day());
        let surprise = of_day.fold(surprise, |most, (_, peak)| most.max(peak));
        let y = libm::sqrt(2.0 * f64::from(surprise));
        self.maxima.absorb_whole(y);
        if self.maxima.nats(y, cap) >= least {
            self.maxima.absorb_whole(y);
        }
    }

    /// The most requests of a window on a usual day.
    fn usual_most(&self, mu: f64, phi: f64) -> u32 {
        let usual = self.maxima.usual();
        least_count((usual * usual / 2.0).max(0.1), mu, phi).saturating_sub(1)
    }

    fn is_extreme(&self, counts: [u32; 4], params: &Rate) -> bool {
        Window::ALL.into_iter().zip(counts).any(|(window, count)| {
            let (mu, phi) = self.expectation(window);
            let count = f64::from(count);
            self.is_mature(window, params)
                && count >= params.alone_requests
                && count >= params.alone_factor * f64::from(self.usual_most(mu, phi))
        })
    }

    /// Counts a request. `score` is the evidence from which on [`is_notable`](Self::is_notable).
    pub(super) fn count(&mut self, time: Timestamp, params: &Rate, score: f64) {
        let hour = time.hour();
        if self.hour == i64::MIN {
            (self.hour, self.born) = (hour, hour);
        }
        if hour > self.hour {
            self.roll(hour, params);
            self.set_limits(params, score);
        }
        let five = five_of(time);
        if five == self.five.0 {
            self.five.1 = self.five.1.saturating_add(1);
        } else {
            self.peak = narrow(self.peak_with_five(params));
            self.squares = self.squares_with_five();
            self.five = (five, 1);
        }
        self.in_hour = self.in_hour.saturating_add(1);
        self.in_day = self.in_day.saturating_add(1);
    }

    /// The counts of the windows with one request more.
    fn counts(&self, time: Timestamp) -> [u32; 4] {
        let five = if five_of(time) == self.five.0 { self.five.1 } else { 0 };
        let [(one, _), (two, _)] = self.before;
        let three = self.in_day.saturating_add(one).saturating_add(two);
        [five, self.in_hour, self.in_day, three].map(|count| count.saturating_add(1))
    }

    /// Mean and dispersion of a window's count at this hour.
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

    /// Within an hour people come in bursts, far more than the hours differ.
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

    /// Lets the hours pass until `to`, learning from each; of a long silence from the first week.
    fn roll(&mut self, to: i64, params: &Rate) {
        while self.hour < to {
            self.close_hour(params);
            let idle = to.saturating_sub(self.hour);
            let is_day_over = hour_of_day(self.hour + 1) == 0;
            if is_day_over {
                self.close_day(params);
            }
            self.hour += 1;
            if idle > LONGEST_IDLE {
                self.skip_to(to - LONGEST_IDLE, params);
            }
        }
    }

    /// Nothing is known of the hours between.
    fn skip_to(&mut self, hour: i64, params: &Rate) {
        if self.in_day > 0 {
            self.close_day(params);
        }
        self.hour = hour;
        self.expected = 0.0;
        self.before = [(0, 0.0); 2];
    }

    fn close_hour(&mut self, params: &Rate) {
        let fives = self.peak_with_five(params);
        let hours = self.peak_with(Window::Hour, self.in_hour, params);
        let days = self.peak_with(Window::Day, self.in_day, params);
        let three = self.counts(Timestamp(self.hour.saturating_mul(HOUR)))[3].saturating_sub(1);
        let three = self.peak_with(Window::ThreeDays, three, params);
        self.peak = narrow(fives.max(hours).max(days).max(three));
        self.learn_hour(params);
        (self.five, self.squares, self.in_hour) = ((0, 0), 0.0, 0);
    }

    /// Learns level, hour of the day and dispersion from the hour; a count beyond four standard
    /// deviations is cut to them, so that an attack does not become normal at once.
    fn learn_hour(&mut self, params: &Rate) {
        let n = f64::from(self.hours);
        let (mu, phi) = (self.mean(self.hour), self.dispersion());
        let k = f64::from(self.in_hour);
        let limit = mu + 4.0 * libm::sqrt(mu + phi * mu * mu) + 1.0;
        let k = if self.hours < 24 { k } else { k.min(limit) };
        let fading = 1.0 - libm::exp2(-1.0 / (24.0 * params.level_half_life_days).max(1.0));
        let idle = if self.in_day == 0 { IDLE_GAIN } else { 1.0 };

        let level = f64::from(self.level);
        let gain = (1.0 / (n + 1.0)).max(fading * idle);
        self.level = narrow((level + gain * (k - mu)).max(0.0));
        self.expected = narrow(f64::from(self.expected) + mu);
        self.learned = narrow(f64::from(self.learned) + k);
        if self.hours >= 24 {
            let gain = (1.0 / (n + 1.0)).max(fading / 2.0);
            let error = (k - mu) * (k - mu) - mu;
            self.excess = moved(self.excess, [error, mu * mu], gain);
            // the sum over twelve windows of (k - m)^2 - m, for m = mu / 12, cut like the hour
            let cut = if self.in_hour > 0 { k / f64::from(self.in_hour) } else { 1.0 };
            let squares = f64::from(self.squares_with_five()) * cut * cut;
            let error = squares - 2.0 * k * mu / 12.0 + mu * mu / 12.0 - mu;
            self.five_excess = moved([self.five_excess; 2], [error; 2], gain)[0];
            let gain = (1.0 / (n / 24.0 + 2.0)).max(0.05);
            let scale = level * self.dow_of(self.hour).max(1.0);
            if scale > 0.0
                && let Some(hod) = self.hod.get_mut(hour_of_day(self.hour))
            {
                *hod = factor(f64::from(*hod) / f64::from(ONE) + gain * (k - mu) / scale);
            }
        }
        self.hours = self.hours.saturating_add(1);
    }

    fn close_day(&mut self, params: &Rate) {
        if self.in_day > 0 && self.age(self.hour) >= params.warm_up_hours {
            let y = libm::sqrt(2.0 * f64::from(self.peak));
            if self.maxima.absorb(y) {
                self.cut = (self.hour.div_euclid(24), self.peak);
            }
        }
        if self.hours >= 48 {
            self.learn_day();
        }
        self.before = [(self.in_day, self.expected), self.before[0]];
        (self.in_day, self.peak, self.learned, self.expected) = (0, 0.0, 0.0, 0.0);
    }

    fn learn_day(&mut self) {
        let (k, mu) = (f64::from(self.learned), f64::from(self.expected));
        self.days = self.days.saturating_add(1);
        let gain = (1.0 / f64::from(self.days)).max(0.05);
        self.day_excess = moved(self.day_excess, [(k - mu) * (k - mu) - mu, mu * mu], gain);

        let whole = 24.0 * f64::from(self.level);
        let gain = (1.0 / (f64::from(self.days) / 7.0 + 3.0)).max(0.1);
        if whole > 0.0
            && let Some(dow) = self.dow.get_mut(weekday_of(self.hour))
        {
            let was = f64::from(*dow) / f64::from(ONE);
            *dow = factor(was + gain * ((k / whole).min(7.0) - was));
        }
        let scale = centre(&mut self.hod) * centre(&mut self.dow);
        self.level = narrow(f64::from(self.level) * scale);
    }
}

fn moved(mean: [f32; 2], to: [f64; 2], gain: f64) -> [f32; 2] {
    let [a, b] = mean.map(f64::from);
    [narrow(a + gain * (to[0] - a)), narrow(b + gain * (to[1] - b))]
}

fn factor(x: f64) -> Factor {
    Factor::try_from(whole(x * f64::from(ONE) + 0.5)).unwrap_or(Factor::MAX)
}

/// Scales factors to a mean of one and returns what the mean was.
fn centre(factors: &mut [Factor]) -> f64 {
    let sum: f64 = factors.iter().map(|f| f64::from(*f)).sum();
    let mean = sum / f64::from(ONE) / f64::from(u32::try_from(factors.len()).unwrap_or(1));
    if mean <= 0.0 {
        factors.fill(ONE);
        return 0.0;
    }
    factors.iter_mut().for_each(|f| *f = factor(f64::from(*f) / f64::from(ONE) / mean));
    mean
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, SECOND};

    const START: Timestamp = Timestamp(20_518 * DAY); // a Saturday

    /// Feeds (seconds since start) and returns the largest evidence by day.
    fn feed(pace: &mut Pace, times: impl IntoIterator<Item = i64>) -> Vec<f64> {
        let params = Rate::default();
        let mut most = Vec::new();
        for seconds in times {
            let time = START.plus(seconds * SECOND);
            let burst = pace.burst(time, &params, 12.0);
            let day = usize::try_from(seconds / 86_400).unwrap();
            most.resize(most.len().max(day + 1), 0.0f64);
            if let Some(burst) = burst {
                most[day] = most[day].max(burst.nats.get());
                let is_told = burst.is_now && burst.nats.get() > 6.1;
                assert!(!is_told || time.hour() != pace.hour || pace.is_notable(time), "{burst:?}");
            }
            pace.count(time, &params, 6.0);
        }
        most
    }

    fn every(step: i64, days: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
        (days.start * 86_400..days.end * 86_400).step_by(usize::try_from(step).unwrap())
    }

    #[test]
    fn a_clockwork_is_quiet_and_twenty_times_its_rate_is_not() {
        let mut pace = Pace::default();
        let quiet = feed(&mut pace, every(60, 0..10));
        assert!(quiet.iter().all(|nats| *nats < 2.0), "{quiet:?}");
        let noon = 10 * 86_400 + 12 * 3600;
        let before = every(60, 10..11).take_while(|t| *t < noon);
        let burst = feed(&mut pace, before.chain((noon..noon + 600).step_by(3)));
        assert!(burst[10] >= 8.0, "{burst:?}");
    }

    #[test]
    fn a_nightly_batch_is_quiet() {
        let mut pace = Pace::default();
        let night = (0..30).flat_map(|day| {
            let at = day * 86_400 + 2 * 3600 + (day * 7 % 5) * 60;
            (0..2000 + day * 37 % 300).map(move |n| at + n / 3)
        });
        let nats = feed(&mut pace, night);
        assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
    }

    #[test]
    fn a_weekly_batch_is_quiet() {
        let mut pace = Pace::default();
        let weekly =
            (0..12).flat_map(|week| (0..3000).map(move |n| week * 7 * 86_400 + 3600 + n / 2));
        let nats = feed(&mut pace, weekly);
        assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
    }

    #[test]
    fn office_hours_and_a_holiday_are_quiet() {
        let mut pace = Pace::default();
        let working = |day: &i64| (day + 5) % 7 < 5 && !(28..42).contains(day);
        let work = (0..70).filter(working).flat_map(|day| {
            let start = day * 86_400 + (8 * 60 + day * 13 % 50) * 60;
            (0..100 + day * 31 % 60).map(move |n| start + n * 200 + n * n * 37 % 150)
        });
        let nats = feed(&mut pace, work);
        assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
    }

    #[test]
    fn growth_of_three_percent_a_day_is_quiet() {
        let mut pace = Pace::default();
        let grown = (0..40i64).flat_map(|day| {
            let n =
                i64::from(whole(600.0 * libm::pow(1.03, f64::from(i32::try_from(day).unwrap()))));
            (0..n).map(move |i| day * 86_400 + i * 86_400 / n)
        });
        let nats = feed(&mut pace, grown);
        assert!(nats.iter().all(|nats| *nats < 6.0), "{nats:?}");
    }

    #[test]
    fn the_first_two_days_say_nothing() {
        let mut pace = Pace::default();
        let nats = feed(&mut pace, every(600, 0..1).chain(86_400..90_000));
        assert_eq!(nats, [0.0, 0.0]);
    }

    #[test]
    fn a_gap_of_years_costs_a_week_of_hours() {
        let mut pace = Pace::default();
        feed(&mut pace, every(600, 0..10));
        feed(&mut pace, [100 * 365 * 86_400]);
        assert!(pace.hours < 11 * 24 + 170, "{}", pace.hours);
    }
}
