//! One window over a source: the tokens that failed in it, the known principals that came from there meanwhile,
//! and what is usual there.

use serde::{Deserialize, Serialize};

use crate::engine::stats::Sketch;

/// Days with failures after which a source is measured by its own usual.
const HISTORY: u8 = 3;

/// The limits above which failures within a window are no accident.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The least number of different ones that fail.
    pub strange: f64,
    /// The least number of failures.
    pub tries: f64,
    /// The multiple of what is usual, where the past is an excuse.
    pub times: f64,
}

/// How odd a window is at its worst; it decides what the window teaches about what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Oddness {
    /// Few failed, or few compared with the known: that is usual from now on.
    #[default]
    Ordinary,
    /// Only the past excuses it: it teaches no more than that past, because a little more each day would
    /// otherwise make anything usual in the end.
    Excused,
    /// It is no accident, reported or not: it teaches nothing.
    Strange,
}

impl Oddness {
    fn is_ordinary(&self) -> bool {
        *self == Self::Ordinary
    }
}

/// A window that begins with the first failure after the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// When it began, in seconds since 1970.
    since: i64,
    /// Failures.
    pub tries: u32,
    /// What failed: tokens, or the subjects that they name.
    pub strange: Sketch,
    /// The known ones that came from there, whatever the answer.
    pub known: Sketch,
    // Databases have it under its first name.
    #[serde(default, skip_serializing_if = "Oddness::is_ordinary", rename = "standing")]
    oddness: Oddness,
    /// Its day since 1970, and the largest window of this day and of the days before.
    day: i64,
    today: u32,
    before: u32,
    n_days: u8,
}

impl Window {
    /// Counts a failure, in a new window if the last one is over. Returns whether it is new, and whether somebody
    /// new failed. A time far before the window also starts a new one: the earlier time was wrong.
    pub(super) fn fail(&mut self, who: u32, now: i64, seconds: i64) -> (bool, bool) {
        let is_over = !self.is_open(now, seconds);
        if is_over {
            self.close(now);
        }
        self.tries = self.tries.saturating_add(1);
        (is_over, self.strange.add(who))
    }

    /// Returns whether a time lies within the window.
    pub(super) const fn is_open(&self, now: i64, seconds: i64) -> bool {
        self.tries > 0 && now.saturating_sub(self.since).abs() < seconds
    }

    /// Returns whether somebody known is still to be counted.
    pub(super) fn misses(&self, who: u32, now: i64, seconds: i64) -> bool {
        self.is_open(now, seconds) && !self.known.has(who)
    }

    fn close(&mut self, now: i64) {
        let failed = self.strange.count();
        let taught = match self.oddness {
            Oddness::Ordinary => failed,
            Oddness::Excused => failed.min(self.usual()),
            Oddness::Strange => 0,
        };
        let most = self.today.max(taught);
        let day = now.div_euclid(86_400);
        let (mut today, mut before, mut n_days) = (most, self.before, self.n_days);
        if self.tries > 0 && day != self.day {
            // the maximum fades by an eighth for each further day with failures
            before = most.max(before - before.div_ceil(8));
            (today, n_days) = (0, n_days.saturating_add(1));
        }
        *self = Self { since: now, day, today, before, n_days, ..Self::default() };
    }

    /// Returns the seconds since the window began.
    pub(super) fn seconds(&self, now: i64) -> i64 {
        now.saturating_sub(self.since).max(0)
    }

    /// Returns the most that failed in an earlier window.
    pub(super) fn usual(&self) -> u32 {
        self.before.max(self.today)
    }

    /// Returns whether enough have failed that it is no accident, and records that in the window.
    pub(super) fn is_strange(&mut self, limits: &Limits) -> bool {
        let now = self.oddness_by(limits);
        self.oddness = self.oddness.max(now);
        now == Oddness::Strange
    }

    /// Makes the window teach nothing about what is usual: it is part of something strange.
    pub(super) const fn discount(&mut self) {
        self.oddness = Oddness::Strange;
    }

    /// Judges what has failed so far. Where somebody known comes from there and others failed on days before, the past
    /// decides: `times` the usual is no accident. Elsewhere it is twice the known, so that a source of nothing but
    /// guessing has no excuse. Neither the ordinary failures of an office nor those of all clients behind one proxy
    /// stand out. Where `times` the usual exceeds what can be counted, the known again decide whether a full counter is
    /// an accident.
    fn oddness_by(&self, limits: &Limits) -> Oddness {
        let strange = self.strange.count();
        if f64::from(strange) < limits.strange || f64::from(self.tries) < limits.tries {
            return Oddness::Ordinary;
        }
        let most = limits.times * f64::from(self.usual());
        let is_countable = most <= f64::from(Sketch::FULL);
        let is_more = most.min(f64::from(Sketch::FULL)) <= f64::from(strange);
        match (self.has_past() && self.known.count() > 0, self.is_mostly_strange()) {
            (true, is_mostly) if is_more && (is_mostly || is_countable) => Oddness::Strange,
            (true, true) => Oddness::Excused,
            (false, true) => Oddness::Strange,
            (_, false) => Oddness::Ordinary,
        }
    }

    /// Returns whether at least twice as many failed as are known.
    pub(super) fn is_mostly_strange(&self) -> bool {
        2 * self.known.count() <= self.strange.count()
    }

    const fn has_past(&self) -> bool {
        HISTORY <= self.n_days
    }
}

/// How regularly something comes: timers are regular, people are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gaps {
    last: i64,
    n: u32,
    sum: u64,
    squares: u64,
}

impl Gaps {
    /// Starts with the first.
    pub(super) const fn from(now: i64) -> Self {
        Self { last: now, n: 0, sum: 0, squares: 0 }
    }

    /// Adds the next, in seconds.
    pub(super) fn add(&mut self, now: i64) {
        let gap = u64::try_from(now.saturating_sub(self.last)).unwrap_or(0);
        self.last = now;
        self.n = self.n.saturating_add(1);
        self.sum = self.sum.saturating_add(gap);
        self.squares = self.squares.saturating_add(gap.saturating_mul(gap));
    }

    /// Returns the mean gap in seconds if gaps are regular: the standard deviation is below half of the
    /// mean (for chance arrivals it equals the mean, for a timer with 50 % of jitter it is 0.29 of it), over
    /// at least an hour.
    pub(super) fn regular(&self) -> Option<u64> {
        const LEAST: u32 = 8;
        const HOUR: u64 = 3_600;
        if self.n < LEAST || self.sum < HOUR {
            return None;
        }
        let n = u64::from(self.n);
        let mean = self.sum / n;
        let variance = (self.squares / n).saturating_sub(mean.saturating_mul(mean));
        (variance.saturating_mul(4) < mean.saturating_mul(mean)).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stats::key;

    fn failed(window: &mut Window, from: u32, n: u32, now: i64) {
        for who in from..from + n {
            window.fail(key(&[&who.to_le_bytes()]), now, 900);
        }
    }

    const LIMITS: Limits = Limits { strange: 15.0, tries: 15.0, times: 5.0 };

    fn met(window: &mut Window, n: u32) {
        (900_000..900_000 + n).for_each(|who| {
            window.known.add(key(&[&who.to_le_bytes()]));
        });
    }

    /// Applies a day on which `n` fail and `n_known` come from there; returns whether that is strange.
    fn lived(window: &mut Window, day: i64, n: u32, n_known: u32) -> bool {
        let from = 10_000 * u32::try_from(day).unwrap();
        failed(window, from, 1, day * 86_400);
        met(window, n_known);
        (1..n).any(|n| {
            failed(window, from + n, 1, day * 86_400);
            window.is_strange(&LIMITS)
        })
    }

    #[test]
    fn a_source_with_a_past_and_known_ones_is_measured_by_the_past() {
        let mut window = Window::default();
        assert!(!(0..5).any(|day| lived(&mut window, day, 8, 1)));
        assert!(!lived(&mut window, 5, 25, 1));
        assert!(lived(&mut window, 6, 60, 1));
    }

    #[test]
    fn a_source_without_a_past_is_measured_by_who_is_known_there() {
        assert!(lived(&mut Window::default(), 0, 30, 0));
        assert!(!lived(&mut Window::default(), 0, 30, 30));
    }

    #[test]
    fn the_past_excuses_nobody_where_nobody_known_comes_from() {
        let mut window = Window::default();
        assert!(!(0..9).any(|day| lived(&mut window, day, 12, 0)));
        assert!(lived(&mut window, 9, 20, 0));
    }

    #[test]
    fn a_little_more_each_day_does_not_make_all_usual() {
        let mut window = Window::default();
        assert!(!(0..4).any(|day| lived(&mut window, day, 14, 1)));
        let told: Vec<bool> = [50, 200, 550, 3000]
            .into_iter()
            .zip(4..)
            .map(|(n, day)| lived(&mut window, day, n, 1))
            .collect();
        assert_eq!(told, [false, true, true, true]);
        assert!(window.usual() < 20, "{}", window.usual());
    }

    #[test]
    fn no_past_excuses_more_than_can_be_counted_and_a_proxy_for_all_is_quiet() {
        let mut window = Window::default();
        assert!(!(0..4).any(|day| lived(&mut window, day, 200, 300)), "among many who are known");
        assert!(!lived(&mut window, 4, 3000, 3000), "on a busy day");
        assert!(lived(&mut window, 5, 3000, 100));
    }

    #[test]
    fn what_is_strange_is_not_what_is_usual_whether_told_or_not() {
        let mut window = Window::default();
        assert!(lived(&mut window, 0, 60, 0));
        failed(&mut window, 0, 1, 86_400);
        assert_eq!((window.usual(), window.tries), (0, 1));
    }

    #[test]
    fn a_timer_is_regular_and_chance_is_not() {
        let of = |gaps: &[i64]| {
            let mut all = Gaps::from(0);
            gaps.iter().fold(0, |now, gap| {
                all.add(now + gap);
                now + gap
            });
            all.regular()
        };
        assert_eq!(of(&[600; 9]), Some(600));
        assert!(of(&[300, 900, 500, 700, 400, 800, 600, 600, 600]).is_some());
        assert_eq!(of(&[60, 2400, 10, 10, 3000, 20, 5, 900, 2000]), None);
        assert_eq!(of(&[30; 9]), None, "within minutes");
    }
}
