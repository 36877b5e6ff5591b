//! Which days were counted, so that a day that is read twice counts once.

/// The newest day that was counted, and which of the 64 days before it were.
///
/// Logs of one site are often read one after the other, and then the same days come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    /// Days since 1970; `i32::MIN` before the first.
    pub(super) newest: i32,
    /// The lowest bit is the day before `newest`.
    pub(super) before: u64,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { newest: i32::MIN, before: 0 }
    }
}

impl Calendar {
    /// Counts a day; returns whether it had not been counted yet.
    ///
    /// A day more than 64 days before the newest makes the newest a wrong clock's: counting starts again from there.
    pub(super) fn count(&mut self, day: i32) -> bool {
        let behind = i64::from(self.newest) - i64::from(day);
        if behind == 0 {
            return false;
        }
        let Some(bit) = u32::try_from(behind.abs() - 1).ok().and_then(|n| 1_u64.checked_shl(n))
        else {
            *self = Self { newest: day, before: 0 };
            return true;
        };
        if behind > 0 {
            let is_new = self.before & bit == 0;
            self.before |= bit;
            return is_new;
        }
        // As many days later: the newest takes its place among those before.
        let older =
            u32::try_from(-behind).ok().and_then(|n| self.before.checked_shl(n)).unwrap_or(0);
        *self = Self { newest: day, before: older | bit };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_that_come_again_count_once() {
        let mut calendar = Calendar::default();
        assert!((20_000..20_009).all(|day| calendar.count(day)));
        assert!(!(20_000..20_009).any(|day| calendar.count(day)));
        assert!(calendar.count(19_999), "the day before them all");
        assert!(calendar.count(20_009));
    }

    #[test]
    fn a_wrong_clock_does_not_end_counting() {
        let mut calendar = Calendar::default();
        assert!(calendar.count(20_000));
        assert!(calendar.count(47_000), "a clock of 2098");
        assert!(calendar.count(20_001) && calendar.count(20_002));
    }

    proptest! {
        #[test]
        fn within_64_days_it_is_a_set(days in prop::collection::vec(20_000..20_065_i32, 0..200)) {
            let mut calendar = Calendar::default();
            let mut set = BTreeSet::new();
            for day in days {
                prop_assert_eq!(calendar.count(day), set.insert(day));
            }
        }
    }
}
