//! Which hours of the latest three weeks had lines.

use serde::{Deserialize, Serialize};

/// Bits of one word.
const WORD: i64 = 64;
/// The number of words: 512 hours, a little over three weeks.
const WORDS: usize = 8;
/// Hours that are kept.
pub(super) const KEPT: i64 = 512;

/// The newest hour with a line, since 1970, and which of the hours before it had lines. As a set, it does not depend on
/// the order in which hours are noted, so logs may be read one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hours {
    newest: i64,
    /// Bit N stands for the hour N before the newest; before the first line no bit is set.
    bits: [u64; WORDS],
}

impl Hours {
    /// Notes that an hour had a line; returns whether that is new.
    pub(super) fn note(&mut self, hour: i64) -> bool {
        if !self.is_empty() && hour <= self.newest {
            return self.set(self.newest.saturating_sub(hour));
        }
        let ahead = hour.saturating_sub(self.newest);
        self.shift(ahead);
        self.newest = hour;
        self.set(0)
    }

    fn is_empty(&self) -> bool {
        self.bits == [0; WORDS]
    }

    /// Returns the newest hour with a line; `None` before the first.
    pub(super) fn newest(&self) -> Option<i64> {
        (!self.is_empty()).then_some(self.newest)
    }

    /// Returns whether an hour is known to have had a line.
    pub(super) fn has(&self, hour: i64) -> bool {
        let Some((word, bit)) = place(self.newest.saturating_sub(hour)) else { return false };
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn set(&mut self, ago: i64) -> bool {
        let Some((word, bit)) = place(ago) else { return false };
        let Some(bits) = self.bits.get_mut(word) else { return false };
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    }

    /// Moves all bits this many hours into the past.
    fn shift(&mut self, ahead: i64) {
        let old = std::mem::take(&mut self.bits);
        let old = |word: i64| usize::try_from(word).ok().and_then(|word| old.get(word)).copied();
        let (n_words, n_bits) = (ahead.div_euclid(WORD), ahead.rem_euclid(WORD));
        for (word, bits) in (0..).zip(&mut self.bits) {
            let (this, before) = (old(word - n_words), old(word - n_words - 1));
            *bits = this.unwrap_or(0) << n_bits;
            if n_bits > 0 {
                *bits |= before.unwrap_or(0) >> (WORD - n_bits);
            }
        }
    }
}

/// Returns the position of the bit of an hour by its age; `None` if it is not kept.
fn place(ago: i64) -> Option<(usize, u64)> {
    if !(0..KEPT).contains(&ago) {
        return None;
    }
    Some((usize::try_from(ago / WORD).ok()?, 1 << (ago % WORD)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hours_are_a_set_in_whatever_order_they_come(noted in prop::collection::vec(1000..2600i64, 0..60)) {
            let mut hours = Hours::default();
            let mut set = BTreeSet::new();
            for hour in noted {
                let newest = set.last().copied().unwrap_or(hour);
                let is_kept = newest - hour < KEPT;
                prop_assert_eq!(hours.note(hour), is_kept && !set.contains(&hour));
                if is_kept {
                    set.insert(hour);
                }
                let newest = newest.max(hour);
                set.retain(|old| newest - old < KEPT);
            }
            prop_assert_eq!(hours.newest(), set.last().copied());
            for hour in 900..2700 {
                prop_assert_eq!(hours.has(hour), set.contains(&hour), "{}", hour);
            }
        }
    }

    #[test]
    fn times_far_off_are_no_trouble() {
        let mut hours = Hours::default();
        for hour in [i64::MIN, i64::MAX, 0, -1, i64::MIN + 1] {
            hours.note(hour);
        }
        assert_eq!((hours.newest(), hours.has(0)), (Some(i64::MAX), false));
    }
}
