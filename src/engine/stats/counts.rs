//! How surprising a count is: the generalised likelihood ratio of the negative binomial.

use super::num::whole;

/// Below this dispersion the negative binomial is treated as a Poisson distribution.
const POISSON: f64 = 1e-6;

/// Returns the evidence in nats that the mean of a count has risen above `mu`:
///
/// `D(k; mu, phi) = k ln(k/mu) - (k + 1/phi) ln((k + 1/phi) / (mu + 1/phi))`, 0 if `k <= mu`
///
/// for counts of variance `mu + phi mu^2`. `phi` = 0 is the Poisson distribution. (docs/detection.md, Rate.)
#[must_use]
pub fn surprise(k: u32, mu: f64, phi: f64) -> f64 {
    let k = f64::from(k);
    if mu <= 0.0 || k <= mu {
        return 0.0;
    }
    let raised = k * libm::log(k / mu);
    if phi < POISSON {
        return raised - (k - mu);
    }
    let r = 1.0 / phi;
    (raised - (k + r) * libm::log((k + r) / (mu + r))).max(0.0)
}

/// Returns the least count whose [`surprise`] is at least `nats`; `u32::MAX` if there is none.
#[must_use]
pub fn least_count(nats: f64, mu: f64, phi: f64) -> u32 {
    let is_enough = |k| surprise(k, mu, phi) >= nats;
    let mut low = whole(mu); // never enough, as nats > 0
    let mut high = low.saturating_mul(2).max(4);
    while !is_enough(high) {
        if high == u32::MAX {
            return u32::MAX;
        }
        low = high;
        high = high.saturating_mul(2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_the_formula() {
        // Poisson: 10 ln 10 - 9
        assert!((surprise(10, 1.0, 0.0) - (10.0 * 10f64.ln() - 9.0)).abs() < 1e-12);
        // phi = 1: 10 ln 10 - 11 ln (11/2)
        let by_hand = 10.0 * 10f64.ln() - 11.0 * 5.5f64.ln();
        assert!((surprise(10, 1.0, 1.0) - by_hand).abs() < 1e-12);
        assert_eq!([surprise(1, 1.0, 0.3), surprise(0, 0.0, 0.3)], [0.0, 0.0]);
    }

    #[test]
    fn the_poisson_is_the_limit() {
        assert!((surprise(90, 30.0, 0.0) - surprise(90, 30.0, 2e-6)).abs() < 0.01);
    }

    #[test]
    fn the_least_count_is_the_least() {
        for (nats, mu, phi) in
            [(6.0, 0.02, 0.0), (6.0, 3.0, 0.4), (20.0, 900.0, 0.01), (9.0, 0.5, 80.0)]
        {
            let k = least_count(nats, mu, phi);
            assert!(surprise(k, mu, phi) >= nats && surprise(k - 1, mu, phi) < nats, "{k}");
        }
        assert_eq!(least_count(1e12, 1e9, 1e4), u32::MAX);
    }
}
