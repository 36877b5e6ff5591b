//! One window over a source: which tokens failed in it, who is known that came from there meanwhile, and
//! what is usual there.

use serde::{Deserialize, Serialize};

use crate::engine::stats::Sketch;

/// Days with failures after which a source's own usual is what it is measured by.
const HISTORY: u8 = 3;

/// What happens in a window that begins with the first failure after the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// When it began, in seconds since 1970.
    since: i64,
    /// Failures.
    pub tries: u32,
    /// Whose: tokens, or those whom tokens name.
    pub strange: Sketch,
    /// Who is known and came from there, whatever the answer.
    pub known: Sketch,
    /// It was told of: it says nothing of what is usual.
    pub is_told: bool,
    /// Its day since 1970, and the most of a window on this day and on days before.
    day: i64,
    today: u32,
    before: u32,
    n_days: u8,
}

impl Window {
    /// Counts a failure; begins anew if the window is over. Tells whether it did, and whether somebody
    /// new failed. A time far before the window's begins anew too: it was the other that was wrong.
    pub(super) fn fail(&mut self, who: u32, now: i64, seconds: i64) -> (bool, bool) {
        let is_over = !self.is_open(now, seconds);
        if is_over {
            self.close(now);
        }
        self.tries = self.tries.saturating_add(1);
        (is_over, self.strange.add(who))
    }

    /// Tells whether a time lies within the window.
    pub(super) const fn is_open(&self, now: i64, seconds: i64) -> bool {
        self.tries > 0 && now.saturating_sub(self.since).abs() < seconds
    }

    /// Tells whether somebody who is known is to be counted.
    pub(super) fn misses(&self, who: u32, now: i64, seconds: i64) -> bool {
        self.is_open(now, seconds) && !self.known.has(who)
    }

    fn close(&mut self, now: i64) {
        let failed = if self.is_told { 0 } else { self.strange.count() };
        let most = self.today.max(failed);
        let day = now.div_euclid(86_400);
        let has_failed = self.tries > 0;
        *self = Self {
            since: now,
            day,
            today: most,
            before: self.before,
            n_days: self.n_days,
            ..Self::default()
        }
        .after(self.day, has_failed);
    }

    /// Lets the days pass: what was most fades by an eighth a day with failures.
    fn after(mut self, day: i64, has_failed: bool) -> Self {
        if has_failed && day != self.day {
            self.before = self.today.max(self.before - self.before.div_ceil(8));
            self.today = 0;
            self.n_days = self.n_days.saturating_add(1);
        }
        self
    }

    /// Returns seconds from the window's beginning.
    pub(super) fn seconds(&self, now: i64) -> i64 {
        now.saturating_sub(self.since).max(0)
    }

    /// Returns the most that failed in a window before.
    pub(super) fn usual(&self) -> u32 {
        self.before.max(self.today)
    }

    /// Tells whether so many failed that it is no accident: a source with a past, `times` as many as
    /// ever; another, twice as many as are known and came from there. So neither the ordinary failures
    /// of an office nor those of all clients behind one proxy are anything.
    pub(super) fn is_strange(&self, tokens: f64, tries: f64, times: f64) -> bool {
        let strange = f64::from(self.strange.count());
        if strange < tokens || f64::from(self.tries) < tries {
            return false;
        }
        match self.has_past() {
            true => times * f64::from(self.usual()) <= strange,
            false => self.is_mostly_strange(),
        }
    }

    /// Tells whether twice as many failed as are known.
    pub(super) fn is_mostly_strange(&self) -> bool {
        2 * self.known.count() <= self.strange.count()
    }

    const fn has_past(&self) -> bool {
        HISTORY <= self.n_days
    }
}

/// How regular something comes: what a timer does, and people do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gaps {
    last: i64,
    n: u32,
    sum: u64,
    squares: u64,
}

impl Gaps {
    /// Begins with the first.
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

    /// Returns the mean gap in seconds if gaps are regular: the standard deviation below half of the
    /// mean (chance arrivals have as much as the mean, a timer with 50 % of jitter 0.29 of it), over an
    /// hour at least.
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

    #[test]
    fn a_source_with_a_past_is_measured_by_it() {
        let mut window = Window::default();
        for day in 0..5 {
            failed(&mut window, 1000 * u32::try_from(day).unwrap(), 8, day * 86_400);
        }
        failed(&mut window, 50_000, 20, 5 * 86_400);
        assert!(window.usual().abs_diff(8) <= 1 && !window.is_strange(15.0, 15.0, 5.0));
        failed(&mut window, 60_000, 40, 5 * 86_400 + 60);
        assert!(window.is_strange(15.0, 25.0, 5.0));
    }

    #[test]
    fn a_source_without_a_past_is_measured_by_who_is_known_there() {
        let mut window = Window::default();
        failed(&mut window, 0, 30, 0);
        assert!(window.is_strange(15.0, 25.0, 5.0));
        (100..130u32).for_each(|who| {
            window.known.add(key(&[&who.to_le_bytes()]));
        });
        assert!(!window.is_strange(15.0, 25.0, 5.0));
    }

    #[test]
    fn what_was_told_is_not_what_is_usual() {
        let mut window = Window::default();
        failed(&mut window, 0, 60, 0);
        window.is_told = true;
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
