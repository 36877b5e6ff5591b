//! Counts distinct values in 128 bits.

use serde::{Deserialize, Serialize};

use super::num::whole;

/// A linear counter: each value sets the bit chosen by its hash, and of `m` bits `m e^(-n/m)` are expected to stay
/// clear, so `n = -m ln(clear / m)` [Whang 1990]. Exact to one or two up to 25; if no bit is clear, there were 620 or
/// more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch([u64; 2]);

impl Sketch {
    /// The count of a full sketch.
    pub const FULL: u32 = 620;

    const BITS: f64 = 128.0;

    /// Adds a value by its hash; returns whether its bit was clear.
    pub fn add(&mut self, hash: u32) -> bool {
        let (at, bit) = Self::place(hash);
        let Some(word) = self.0.get_mut(at) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Adds the values of another one.
    pub fn merge(&mut self, other: &Self) {
        let ([a, b], [c, d]) = (self.0, other.0);
        self.0 = [a | c, b | d];
    }

    /// Returns whether a value's bit is set.
    #[must_use]
    pub fn has(&self, hash: u32) -> bool {
        let (at, bit) = Self::place(hash);
        self.0.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Returns the number of distinct values added, to the nearest whole number.
    #[must_use]
    pub fn count(&self) -> u32 {
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let clear = Self::BITS - f64::from(set);
        if clear < 1.0 {
            return Self::FULL;
        }
        whole(-Self::BITS * libm::log(clear / Self::BITS) + 0.5)
    }

    /// Returns whether these values are among others, all but a few: at least three quarters, and fewer than five are
    /// not. Of more than 88 others (half of the bits) that cannot be told: other values would share their bits by
    /// chance.
    #[must_use]
    pub fn is_mostly_in(&self, others: &Self) -> bool {
        const MOST: u32 = 64;
        const FEW: u32 = 5;
        let count = |words: [u64; 2]| words.iter().map(|word| word.count_ones()).sum::<u32>();
        let ([a, b], [c, d]) = (self.0, others.0);
        let (shared, further) = (count([a & c, b & d]), count([a & !c, b & !d]));
        shared > 0 && 3 * further <= shared && further < FEW && count(others.0) <= MOST
    }

    /// Returns the bit of a hash. The upper bits of a product depend on all lower ones (Fibonacci hashing).
    fn place(hash: u32) -> (usize, u64) {
        let mixed = hash.wrapping_mul(0x9e37_79b1) >> 25;
        (usize::try_from(mixed >> 6).unwrap_or(0), 1 << (mixed & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stats::key;

    #[test]
    fn few_values_are_counted_to_one_or_two_and_repeats_are_free() {
        for n in [0u32, 1, 5, 15, 25, 60] {
            let mut sketch = Sketch::default();
            for _ in 0..3 {
                (0..n).for_each(|value| {
                    sketch.add(key(&[&value.to_le_bytes()]));
                });
            }
            let most = 1 + n / 10;
            assert!(sketch.count().abs_diff(n) <= most, "{n} {}", sketch.count());
        }
    }

    #[test]
    fn two_together_count_what_is_in_either() {
        let of = |values: std::ops::Range<u32>| {
            let mut sketch = Sketch::default();
            values.for_each(|value| _ = sketch.add(key(&[&value.to_le_bytes()])));
            sketch
        };
        let mut both = of(0..20);
        both.merge(&of(10..30));
        assert_eq!(both, of(0..30));
    }

    #[test]
    fn many_values_fill_it() {
        let mut sketch = Sketch::default();
        (0..100_000u32).for_each(|value| {
            sketch.add(key(&[&value.to_le_bytes()]));
        });
        assert_eq!(sketch.count(), Sketch::FULL);
        assert!(sketch.has(7) && !sketch.add(7));
    }

    #[test]
    fn the_same_values_again_are_told_from_others() {
        let of = |values: std::ops::Range<u32>| {
            let mut sketch = Sketch::default();
            values.for_each(|value| _ = sketch.add(key(&[&value.to_le_bytes()])));
            sketch
        };
        assert!(of(0..15).is_mostly_in(&of(0..20)) && of(0..80).is_mostly_in(&of(0..80)));
        assert!(of(2..20).is_mostly_in(&of(0..18)), "16 of 18");
        assert!(!of(9..27).is_mostly_in(&of(0..18)), "half of them");
        let n_mistaken = |n_values: u32| {
            let others = (1..1000).map(|n| of(n * 1000..n * 1000 + n_values));
            others.filter(|others| others.is_mostly_in(&of(0..80))).count()
        };
        assert!(n_mistaken(10) < 60, "at first one in twenty");
        assert!(n_mistaken(25) < 5, "and soon none");
        assert!(!of(0..88).is_mostly_in(&of(0..80)), "the same and eight others");
        assert!(!of(0..0).is_mostly_in(&of(0..9)) && !of(0..200).is_mostly_in(&of(0..200)));
    }
}
