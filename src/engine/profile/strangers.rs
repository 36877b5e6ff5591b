//! How many networks new to a principal appear within one day.

use crate::engine::profile::actor::distinct;
use crate::engine::profile::family::Prior;
use crate::engine::stats::{narrow, surprise};

/// New networks in one day that a trip brings: the airport's, the hotel's and the roaming partner's.
const TRIP: u32 = 3;
/// The least that is expected of a day with several new networks: a day out has as many for whoever never moves.
const LEAST: f64 = 0.5;
/// The most new networks learned from one day: this many times the expected number, plus those of a trip.
const LEARNED: f64 = 3.0;

/// The networks of one day that the principal did not know, and how many past days had.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Strangers {
    /// The day, since 1970.
    pub(super) day: i32,
    /// A bit for each of its networks: a linear counter.
    pub(super) today: u64,
    /// New networks of all past days, faded by active days.
    pub(super) past: f32,
}

impl Strangers {
    /// Notes a network that the principal does not know, after `days` active days. Some of those of the day before
    /// become usual.
    pub(super) fn note(&mut self, network: u32, day: i32, days: f64) {
        if self.day != day {
            let most = LEARNED * f64::from(self.past) / (days + 1.0) + f64::from(TRIP);
            let learned = f64::from(distinct(self.today)).min(most);
            (self.past, self.day, self.today) = (self.past + narrow(learned), day, 0);
        }
        self.today |= bit(network);
    }

    /// Returns the number of new networks of a day, one more included.
    pub(super) fn with(&self, network: u32, day: i32) -> u32 {
        let today = if self.day == day { self.today } else { 0 };
        distinct(today | bit(network))
    }

    /// Returns the number expected on a day, after `days` active days.
    pub(super) fn expected(&self, days: f64, prior: Prior) -> f64 {
        let often = (f64::from(self.past) + prior.alpha) / (days + prior.beta);
        often.max(LEAST)
    }

    /// Makes the networks of the last such day usual, all of them, because a person says so.
    pub(super) fn expect(&mut self) {
        self.past += narrow(f64::from(distinct(self.today)));
        self.today = 0;
    }

    /// Fades the count by one active day.
    pub(super) fn fade(&mut self) {
        self.past = narrow(f64::from(self.past) * libm::exp2(-1.0 / 30.0));
    }
}

/// Returns the evidence of this many new networks in a day where `expected` are:
///
/// `D(k; expected, 1) - D(3; expected, 1)`, 0 for `k` up to 3
///
/// Each of them is evidence of its own already; this is for their number (docs/detection.md, Strangers).
pub(super) fn evidence(networks: u32, expected: f64) -> f64 {
    (surprise(networks, expected, 1.0) - surprise(TRIP, expected, 1.0)).max(0.0)
}

fn bit(network: u32) -> u64 {
    // the upper bits of a product depend on all lower ones (Fibonacci hashing)
    1 << (network.wrapping_mul(0x9e37_79b1) >> 26)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;

    const PRIOR: Prior = Prior { alpha: 0.4, beta: 15.0 };

    #[test]
    fn a_trip_is_no_evidence_and_a_market_is() {
        assert_eq!([0, 1, 2, 3].map(|networks| evidence(networks, 0.05)), [0.0; 4]);
        let expected = Strangers::default().expected(30.0, PRIOR);
        assert!((0.5..1.0).contains(&evidence(4, expected)), "a fourth on a day out");
        assert!(evidence(8, expected) > 4.0, "eight, of somebody who never moves");
        assert!(evidence(8, 4.0) < 2.0, "of somebody who always does");
    }

    #[test]
    fn a_token_of_many_places_gets_used_to_it() {
        let mut strangers = Strangers::default();
        for day in 0..40_i32 {
            strangers.fade();
            let days = f64::from(day);
            (0..20).for_each(|n| strangers.note(1000 * n + day.unsigned_abs(), day, days));
        }
        let expected = strangers.expected(30.0, PRIOR);
        assert!((10.0..25.0).contains(&expected), "{expected}");
    }

    #[test]
    fn one_day_of_a_market_does_not_become_usual() {
        let mut strangers = Strangers::default();
        (0..30).for_each(|n| strangers.note(n, 40, 30.0));
        assert!((28..45).contains(&strangers.with(30, 40)));
        assert_eq!(strangers.with(30, 41), 1, "the next day has its own");
        strangers.note(30, 41, 30.0);
        assert_eq!(strangers.expected(30.0, PRIOR), LEAST);
    }
}
