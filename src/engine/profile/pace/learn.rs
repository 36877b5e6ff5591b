//! What a pace learns from finished hours and days.

use super::{Factor, LEAST_MU, ONE, Pace, hour_of_day, weekday_of};
use crate::engine::profile::burst::Window;
use crate::engine::profile::params::Rate;
use crate::engine::stats::{narrow, surprise, whole};

/// The most idle hours learned at a time; a longer silence is a pause, not a new normal.
const LONGEST_IDLE: i64 = 7 * 24;
/// How much more slowly the level falls while a day is idle.
const IDLE_GAIN: f64 = 0.25;
/// Evidence in nats from which a day's worst moment is worth a note (docs/detection.md, Tiers and risk).
const NEWS: f64 = 6.0;

impl Pace {
    /// Ends the hours before `to` and learns from each; of a long silence only from the first week.
    pub(super) fn roll(&mut self, to: i64, params: &Rate) {
        let fading = 1.0 - libm::exp2(-1.0 / (24.0 * params.level_half_life_days).max(1.0));
        while self.hour < to {
            self.close_hour(fading, params);
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

    /// Skips hours about which nothing is known.
    fn skip_to(&mut self, hour: i64, params: &Rate) {
        if self.in_day > 0 {
            self.close_day(params);
        }
        self.hour = hour;
        self.expected = 0.0;
        self.before = [(0, 0.0); 2];
    }

    fn close_hour(&mut self, fading: f64, params: &Rate) {
        let fives = self.peak_with_five(params);
        let hours = self.peak_with(Window::Hour, self.in_hour, params);
        let days = self.peak_with(Window::Day, self.in_day, params);
        let three = self.with_days_before(self.in_day);
        let three = self.peak_with(Window::ThreeDays, three, params);
        self.peak = narrow(fives.max(hours).max(days).max(three));
        self.learn_hour(fading);
        (self.five, self.squares, self.in_hour) = ((0, 0), 0.0, 0);
    }

    /// Learns level, hour of the day and dispersion from the hour. A count beyond four standard
    /// deviations is cut to that limit, so that an attack does not become normal at once. `fading` is what the level
    /// loses in an hour.
    fn learn_hour(&mut self, fading: f64) {
        let n = f64::from(self.hours);
        let (mu, phi) = (self.mean(self.hour), self.dispersion());
        let k = f64::from(self.in_hour);
        let limit = mu + 4.0 * f64::sqrt(mu + phi * mu * mu) + 1.0;
        let k = if self.hours < 24 { k } else { k.min(limit) };
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
        let mut counted = self.in_day;
        if self.in_day > 0 && self.age(self.hour) >= params.warm_up_hours {
            let y = f64::sqrt(2.0 * f64::from(self.peak));
            // What was news on its own day is not news again in the windows of the next two days.
            let mu = f64::from(self.expected).max(LEAST_MU);
            let own = f64::sqrt(2.0 * surprise(self.in_day, mu, self.day_dispersion()));
            if self.maxima.days > 0 && own >= self.maxima.maximum_at(NEWS) {
                counted = counted.min(whole(self.expected.into()));
            }
            if self.maxima.absorb(y) {
                self.cut = (self.hour.div_euclid(24), self.peak);
            }
        }
        if self.hours >= 48 {
            self.learn_day();
        }
        self.before = [(counted, self.expected), self.before[0]];
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
