//! What was reported lately, so that it is not repeated.

use crate::engine::stats;
use crate::engine::time::{DAY, MINUTE, Timestamp};

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// The key of its subject: a hash.
    pub key: u32,
    /// When it was last reported, in minutes since 1970.
    pub minute: i64,
    /// How often it has been suppressed since.
    pub silent: u32,
}

/// What to report about one of many things of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// This one, which was suppressed this many times.
    One(u32),
    /// That there are further ones, which were suppressed this many times in all.
    Further(u32),
}

/// Returns the key of a report: its sort in the upper 8 bits, its subject in the others.
#[must_use]
pub fn report_key(sort: &[u8], parts: &[&[u8]]) -> u32 {
    let whole: Vec<&[u8]> = std::iter::once(sort).chain(parts.iter().copied()).collect();
    // These 8 bits differ between all sorts there are, which a test of the detectors checks.
    stats::key(&[sort]) << 16 & SORT | stats::key(&whole) & !SORT
}

/// The reports of one group: those by name, their count, and that there are further ones.
const GROUP: usize = Told::NAMED as usize + 2;

/// The bits of a key that are its sort.
const SORT: u32 = 0xff00_0000;

/// The last reports about one principal. Their number is bounded: a principal that causes more at a time
/// is reported more often, never less. What floods pushes out reports of its own sort first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(pub(super) Vec<Telling>);

impl Told {
    /// How many reports are remembered.
    pub const SLOTS: usize = 24;

    /// How many things of a sort are reported by name within a period.
    pub const NAMED: u32 = 5;

    /// Returns how often something was suppressed since it was last reported, if it is to be reported now: that is,
    /// if it was not reported within `period` (microseconds). Otherwise suppresses it and returns `None`.
    pub fn tell(&mut self, key: u32, now: Timestamp, period: i64) -> Option<u32> {
        let minute = now.0.div_euclid(MINUTE);
        if let Some(telling) = self.0.iter_mut().find(|telling| telling.key == key) {
            if !telling.is_old(minute, period) {
                telling.silent = telling.silent.saturating_add(1);
                return None;
            }
            let silent = telling.silent;
            *telling = Telling { key, minute, silent: 0 };
            return Some(silent);
        }
        self.push(Telling { key, minute, silent: 0 });
        Some(0)
    }

    /// Notes that something happened. Returns when it happened last, if that is remembered.
    pub fn touch(&mut self, key: u32, now: Timestamp) -> Option<Timestamp> {
        let minute = now.0.div_euclid(MINUTE);
        let Some(telling) = self.0.iter_mut().find(|telling| telling.key == key) else {
            self.push(Telling { key, minute, silent: 0 });
            return None;
        };
        let last = telling.minute;
        // Not in the far future, where a line with a wrong clock may have set it.
        let is_sane = last.saturating_sub(minute).saturating_mul(MINUTE) <= DAY;
        telling.minute = if is_sane { minute.max(last) } else { minute };
        is_sane.then(|| Timestamp(last.saturating_mul(MINUTE)))
    }

    /// Returns whether something of a sort that happened within `period` may have been forgotten: the oldest of a sort
    /// goes first, so an older one that is left proves that none was.
    #[must_use]
    pub fn may_forget(&self, sort: &[u8], now: Timestamp, period: i64) -> bool {
        let sort = report_key(sort, &[]) & SORT;
        let minute = now.0.div_euclid(MINUTE);
        let mut all = self.0.iter().filter(|telling| telling.key & SORT == sort).peekable();
        let has_any = all.peek().is_some();
        self.is_full() && has_any && !all.any(|telling| telling.is_old(minute, period))
    }

    fn is_full(&self) -> bool {
        self.0.len() >= Self::SLOTS
    }

    /// Makes the next occurrence of something news.
    pub(super) fn forget(&mut self, key: u32) {
        self.0.retain(|telling| telling.key != key);
    }

    fn push(&mut self, telling: Telling) {
        if self.is_full() {
            let sort = |telling: &Telling| telling.key & SORT;
            let n_of =
                |one: &Telling| self.0.iter().filter(|other| sort(other) == sort(one)).count();
            // Small sorts are equal: one group of things told by name must not push out its own beginning.
            let worth = |one: &Telling| (std::cmp::Reverse(n_of(one).max(GROUP)), one.minute);
            let least = self.0.iter().enumerate().min_by_key(|(_, telling)| worth(telling));
            if let Some((at, _)) = least {
                self.0.remove(at);
            }
        }
        self.0.reserve_exact(1); // most principals have one or two
        self.0.push(telling);
    }
}

impl Told {
    /// Like [`tell`](Self::tell), for one of many things of a group: the first [`NAMED`](Self::NAMED) of a period are
    /// reported individually, then once that there are further ones. `count` and `further` are keys of the group.
    pub fn tell_one(
        &mut self,
        [key, count, further]: [u32; 3],
        now: Timestamp,
        period: i64,
    ) -> Option<Many> {
        if !self.is_due(key, now, period) {
            return self.tell(key, now, period).map(Many::One);
        }
        // The number reported since the first of them is a report of its own; its suppressed count is that number.
        if self.is_due(count, now, period) {
            self.tell(count, now, period);
        }
        let named = self.0.iter_mut().find(|telling| telling.key == count);
        if let Some(named) = named.filter(|named| named.silent < Self::NAMED) {
            named.silent += 1;
            return self.tell(key, now, period).map(Many::One);
        }
        self.tell(further, now, period).map(Many::Further)
    }

    /// Returns whether something was not reported within the period.
    fn is_due(&self, key: u32, now: Timestamp, period: i64) -> bool {
        let minute = now.0.div_euclid(MINUTE);
        let known = self.0.iter().find(|telling| telling.key == key);
        known.is_none_or(|telling| telling.is_old(minute, period))
    }
}

impl Telling {
    fn is_old(&self, minute: i64, period: i64) -> bool {
        let since = minute.saturating_sub(self.minute).saturating_mul(MINUTE);
        // A report in the far future: from a line with a wrong clock, which must not suppress present ones.
        since >= period || since.saturating_neg() > period.saturating_add(DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::HOUR;

    #[test]
    fn is_told_once_in_a_period_and_then_with_the_count() {
        let (mut told, start) = (Told::default(), Timestamp(1_000 * HOUR));
        assert_eq!(told.tell(1, start, HOUR), Some(0));
        assert_eq!(told.tell(1, start.plus(HOUR - 1), HOUR), None);
        assert_eq!(told.tell(1, start.plus(-5 * HOUR), HOUR), None);
        assert_eq!(told.tell(2, start, HOUR), Some(0));
        assert_eq!(told.tell(1, start.plus(HOUR), HOUR), Some(2));
    }

    #[test]
    fn of_many_things_a_few_are_told_by_name_and_the_rest_once_a_period() {
        let (mut told, start) = (Told::default(), Timestamp(1_000 * HOUR));
        for period in 0..3 {
            let at = |n: u32| start.plus(period * 24 * HOUR + i64::from(n) * MINUTE);
            let all: Vec<Many> = (0..1000)
                .filter_map(|n| told.tell_one([100 + n, 1, 2], at(n), 24 * HOUR))
                .collect();
            assert_eq!(all.len(), 6, "{all:?}");
            let kept = if period == 0 { 0 } else { 994 };
            assert_eq!(all.last(), Some(&Many::Further(kept)), "{period}");
        }
    }

    #[test]
    fn is_bounded() {
        let mut told = Told::default();
        (0..100)
            .for_each(|key| assert_eq!(told.tell(key, Timestamp(i64::from(key)), HOUR), Some(0)));
        assert_eq!(told.0.len(), Told::SLOTS);
    }

    #[test]
    fn a_flood_of_one_sort_pushed_out_reports_of_all_others() {
        let mut told = Told::default();
        let of = |sort: &[u8], n: u32| report_key(sort, &[&n.to_le_bytes()]);
        let at = |n: u32| Timestamp(i64::from(n) * MINUTE);
        told.tell(of(b"turn", 0), at(0), 24 * HOUR);
        (0..100).for_each(|n| _ = told.tell(of(b"dead", n), at(n), 24 * HOUR));
        assert_eq!(told.tell(of(b"turn", 0), at(100), 24 * HOUR), None);
        assert_eq!(told.0.len(), Told::SLOTS);
    }

    #[test]
    fn a_few_are_told_by_name_even_if_much_else_is_remembered() {
        let mut told = Told::default();
        let of = |sort: u8, n: u32| report_key(&[sort], &[&n.to_le_bytes()]);
        for sort in 1..9 {
            (0..3).for_each(|n| _ = told.tell(of(sort, n), Timestamp(0), 30 * DAY));
        }
        let at = |n: u32| Timestamp(DAY + i64::from(n) * MINUTE);
        let keys = |n: u32| [of(99, n % 100), of(99, 1000), of(99, 1001)];
        let all = (0..200).filter_map(|n| told.tell_one(keys(n), at(n), DAY));
        assert_eq!(all.count(), 6);
    }
}
