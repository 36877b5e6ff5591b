//! How often principals of a class change: moments of the whole population, and the priors fitted to them.

use serde::{Deserialize, Serialize};

use crate::engine::profile::{Class, Prior, Priors, SHARED, Share};

/// How many principals the default priors are worth.
const DEFAULTS_WORTH: f64 = 20.0;

/// How many active days each of them stands for.
const DEFAULT_DAYS: f64 = 20.0;

/// Steps in a day: [`crate::engine::stats::Days`].
const STEPS: f64 = 256.0;

/// The moments of the population now, and those that the priors in force were fitted to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Population {
    now: [Moments; Class::ALL.len()],
    fitted: [Moments; Class::ALL.len()],
    /// The day since 1970 that they were fitted on.
    day: i64,
}

/// Sums over the principals of one class: of A, the faded active days, and of nu, the days among them with
/// something new. They are in steps of 1/256 day, so that adding and subtracting is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moments {
    /// How many principals.
    n: u64,
    /// A and A squared.
    days: [u64; 2],
    /// nu, nu squared, nu times A, for each family of [`SHARED`].
    new: [[u64; 3]; SHARED.len()],
}

impl Population {
    /// Returns the day that the priors were fitted on.
    pub(super) const fn day(&self) -> i64 {
        self.day
    }

    /// Returns how many principals contribute.
    pub(super) fn principals(&self) -> u64 {
        self.now.iter().map(|moments| moments.n).fold(0, u64::saturating_add)
    }

    /// Replaces what a principal contributes.
    pub(super) fn replace(&mut self, before: Option<&Share>, after: Option<&Share>) {
        if let Some(share) = before {
            self.add(share, u64::wrapping_sub);
        }
        if let Some(share) = after {
            self.add(share, u64::wrapping_add);
        }
    }

    fn add(&mut self, share: &Share, with: fn(u64, u64) -> u64) {
        let Some(sums) = self.now.get_mut(share.class.index()) else { return };
        let days = u64::from(share.days.0);
        sums.n = with(sums.n, 1);
        let [sum, square] = &mut sums.days;
        (*sum, *square) = (with(*sum, days), with(*square, days * days));
        for ([sum, square, product], new) in sums.new.iter_mut().zip(share.new) {
            let new = u64::from(new.0);
            *sum = with(*sum, new);
            *square = with(*square, new * new);
            *product = with(*product, new * days);
        }
    }

    /// Fits the priors to the population as it is now.
    pub(super) fn fit(&mut self, day: i64) -> [Priors; Class::ALL.len()] {
        (self.fitted, self.day) = (self.now, day);
        self.priors()
    }

    /// Returns the priors in force.
    pub(super) fn priors(&self) -> [Priors; Class::ALL.len()] {
        self.fitted.map(|moments| moments.priors())
    }
}

impl Moments {
    /// Fits a Gamma-Poisson to each family by moments, shrunk towards the defaults while principals are few.
    fn priors(&self) -> Priors {
        let mut priors = Priors::default();
        for (family, new) in SHARED.into_iter().zip(&self.new) {
            priors.set(family, self.prior(priors.get(family), new));
        }
        priors
    }

    /// With unequal exposures A and counts nu, `E (nu - m A)^2 = m A + v A^2` where the rate's mean is m
    /// and its variance v, so `m = sum nu / sum A` and `v = (sum (nu - m A)^2 - m sum A) / sum A^2`
    /// (moments of the Gamma-Poisson, as Marshall 1991 fits rates of small areas); then `beta = m / v`,
    /// `alpha = m beta`.
    fn prior(&self, default: Prior, [new, new2, product]: &[u64; 3]) -> Prior {
        let [days, days2] = [real(self.days[0]) / STEPS, real(self.days[1]) / (STEPS * STEPS)];
        let new = real(*new) / STEPS;
        let [new2, product] = [new2, product].map(|sum| real(*sum) / (STEPS * STEPS));
        let default_rate = default.alpha / default.beta;
        let worth = DEFAULTS_WORTH * DEFAULT_DAYS;
        let mean = (new + default_rate * worth) / (days + worth);
        let square = new2 - 2.0 * mean * product + mean * mean * days2;
        let variance = (square - mean * days) / days2.max(1e-9);
        let fitted = if variance > 0.0 { mean / variance } else { f64::MAX };
        let n = real(self.n);
        let beta =
            (n * fitted.clamp(1.0, 30.0) + DEFAULTS_WORTH * default.beta) / (n + DEFAULTS_WORTH);
        Prior { alpha: mean * beta, beta }
    }
}

const fn real(sum: u64) -> f64 {
    sum as f64
}
