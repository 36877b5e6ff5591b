//! How many scores a week reach a level, and the threshold that keeps mails within a budget.

use serde::{Deserialize, Serialize};

use crate::engine::profile::{Rise, Score};

/// Number of bins, each a quarter of a nat; the last one holds all higher scores.
const BINS: usize = 64;

/// Bins per nat.
const STEPS: f64 = 4.0;

/// One: counts and days are kept in steps of 1/256, so that they fade exactly.
const ONE: u32 = 256;

/// 2^(-1/28) in 1/65536: a half-life of four weeks. A budget is weekly, and a few scores a week say
/// little about the next one.
const FADE: u64 = 63_933;

/// Days of counting, faded, before the counts are used: about a week.
const LEAST_DAYS: f64 = 6.0;

/// The most days that pass at a time: nothing is known about a longer pause, and a wrong clock must not
/// erase all counts.
const LONGEST: i64 = 7;

/// The share of the budget within which the threshold falls below the default: scores there are the weakest
/// and the most frequent.
const MUCH_ROOM: f64 = 0.5;

/// Scores, faded by days: each story of a principal at its highest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scores {
    now: Counts,
    /// The counts at the start of the day, to which the threshold is fitted.
    fitted: Counts,
    has_begun: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    days: u32,
    bins: Vec<u32>,
}

/// The threshold in force, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The score from which a person is notified at once, in nats.
    pub nats: f64,
    /// Scores a week that reach the configured threshold; `None` before a week has been counted.
    pub weekly: Option<f64>,
    /// Scores a week that reach this one.
    pub mailed: Option<f64>,
}

impl Scores {
    /// Starts a day this many days after the last one; a negative number, from a wrong clock, counts as none.
    pub(super) fn begin_day(&mut self, since: i64) {
        let n_days = if self.has_begun { since.clamp(0, LONGEST) } else { 0 };
        self.has_begun = true;
        (0..n_days).for_each(|_| self.now.fade());
        self.fitted = self.now.clone();
    }

    /// Counts a story whose score rose.
    pub(super) fn note(&mut self, rise: Rise) {
        self.now.bins.resize(BINS, 0);
        if let Some(bin) = rise.from.and_then(|nats| self.now.bin(nats)) {
            *bin = bin.saturating_sub(ONE);
        }
        if let Some(bin) = self.now.bin(rise.to) {
            *bin = bin.saturating_add(ONE);
        }
    }

    /// Returns the least threshold within the budget: from `alert` up, but never above `critical`; down to
    /// `notice` if there is much room. A budget of 0 means no budget.
    pub(super) fn threshold(&self, budget: f64, score: &Score) -> Threshold {
        let weekly = |nats: f64| self.fitted.weekly(nats);
        let Some(at_alert) = weekly(score.alert) else {
            return Threshold { nats: score.alert, weekly: None, mailed: None };
        };
        let mut nats = score.alert;
        let is_within = |nats, part: f64| weekly(nats).is_none_or(|n| n <= budget * part);
        if budget > 0.0 && is_within(nats, 1.0) {
            let lower = |nats: f64| nats - 1.0 / STEPS;
            while lower(nats) >= score.notice && is_within(lower(nats), MUCH_ROOM) {
                nats = lower(nats);
            }
        } else if budget > 0.0 {
            while nats < score.critical && !is_within(nats, 1.0) {
                nats = (nats + 1.0 / STEPS).min(score.critical);
            }
        }
        Threshold { nats, weekly: Some(at_alert), mailed: weekly(nats) }
    }
}

impl Counts {
    fn fade(&mut self) {
        let faded = |n: u32| u32::try_from((u64::from(n) * FADE) >> 16).unwrap_or(u32::MAX);
        self.bins.iter_mut().for_each(|bin| *bin = faded(*bin));
        self.days = faded(self.days).saturating_add(ONE);
    }

    fn bin(&mut self, nats: f64) -> Option<&mut u32> {
        self.bins.get_mut(place(nats))
    }

    /// Returns how many scores a week reach this many nats; `None` while too few days have been counted.
    fn weekly(&self, nats: f64) -> Option<f64> {
        let days = f64::from(self.days) / f64::from(ONE);
        let reach: u64 = self.bins.iter().skip(place(nats)).map(|bin| u64::from(*bin)).sum();
        let reach = f64::from(u32::try_from(reach).unwrap_or(u32::MAX)) / f64::from(ONE);
        (days >= LEAST_DAYS).then(|| 7.0 * reach / days)
    }
}

fn place(nats: f64) -> usize {
    let at = crate::engine::stats::whole(libm::floor(nats * STEPS));
    usize::try_from(at).unwrap_or(BINS).min(BINS - 1)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;

    /// Returns four weeks with one story of each of these scores a day.
    fn lived(scores: &[f64]) -> Scores {
        let mut lived = Scores::default();
        lived.begin_day(20_000);
        for _ in 0..28 {
            scores.iter().for_each(|to| lived.note(Rise { from: None, to: *to }));
            lived.begin_day(1);
        }
        lived
    }

    fn threshold(scores: &[f64], budget: f64) -> f64 {
        lived(scores).threshold(budget, &Score::default()).nats
    }

    #[test]
    fn the_threshold_rises_until_the_week_is_within_the_budget_and_never_above_critical() {
        assert_eq!(threshold(&[8.1, 8.6, 9.3], 8.0), 8.75);
        assert_eq!(threshold(&[8.1, 8.6, 9.3], 15.0), 8.25);
        assert_eq!(threshold(&[12.0; 50], 5.0), 10.0);
    }

    #[test]
    fn with_much_room_it_falls_as_far_as_notice_and_with_little_it_stays() {
        assert_eq!(threshold(&[], 5.0), 6.0);
        assert_eq!(threshold(&[7.1], 15.0), 6.0);
        assert_eq!(threshold(&[7.1], 10.0), 7.25);
        assert_eq!(threshold(&[8.1], 10.0), 8.0);
    }

    #[test]
    fn without_a_budget_or_before_a_week_it_is_the_configured_one() {
        assert_eq!(threshold(&[8.1; 99], 0.0), 8.0);
        let mut young = Scores::default();
        young.begin_day(20_000);
        (0..5).for_each(|_| {
            young.note(Rise { from: None, to: 9.0 });
            young.begin_day(1);
        });
        assert_eq!(young.threshold(0.1, &Score::default()).nats, 8.0);
    }

    #[test]
    fn a_story_counts_once_at_its_highest_and_a_wrong_clock_forgets_a_week_at_most() {
        let mut rising = Scores::default();
        rising.note(Rise { from: None, to: 6.5 });
        rising.note(Rise { from: Some(6.5), to: 11.0 });
        assert_eq!(rising.now.bins.iter().sum::<u32>(), ONE);
        let mut lived = lived(&[9.0]);
        let before = lived.fitted.weekly(8.0).unwrap();
        assert!((before - 7.0).abs() < 0.2, "{before}");
        lived.begin_day(10_000);
        lived.begin_day(-10_000);
        assert!(lived.fitted.weekly(8.0).unwrap() > 4.0);
    }
}
