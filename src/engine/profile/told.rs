//! What was told lately, so that it is not told again.

use crate::engine::stats;
use crate::engine::time::{DAY, MINUTE, Timestamp};

/// One thing that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// What: a hash.
    pub key: u32,
    /// When it was told last, in minutes since 1970.
    pub minute: i64,
    /// How often it happened since then and was not told.
    pub silent: u32,
}

/// What is to be told of one of many things of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// This one, which was kept back so often.
    One(u32),
    /// That there are further ones, all of which were kept back so often.
    Further(u32),
}

/// The last things that were told of one principal. Bounded: who makes more of them at a time is
/// told of more often, never less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(pub(super) Vec<Telling>);

impl Told {
    /// How many are remembered.
    pub const SLOTS: usize = 24;

    /// How many things of a sort are told by name within a period.
    pub const NAMED: u32 = 5;

    /// Asks whether to tell something now: yes, if that was not done within `period` (microseconds).
    /// Returns how often it was kept back since the last time.
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
        // Not in the far future, where a line with a wrong clock was.
        let is_sane = last.saturating_sub(minute).saturating_mul(MINUTE) <= DAY;
        telling.minute = if is_sane { minute.max(last) } else { minute };
        is_sane.then(|| Timestamp(last.saturating_mul(MINUTE)))
    }

    /// Has something be news when it happens next.
    pub(super) fn forget(&mut self, key: u32) {
        self.0.retain(|telling| telling.key != key);
    }

    fn push(&mut self, telling: Telling) {
        if self.0.len() >= Self::SLOTS {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, telling)| telling.minute);
            if let Some((at, _)) = oldest {
                self.0.remove(at);
            }
        }
        self.0.push(telling);
    }
}

impl Told {
    /// The same for one of many things of a sort: the first [`NAMED`](Self::NAMED) of a period are
    /// told each, then once that there are further ones.
    pub fn tell_one(&mut self, sort: u32, key: u32, now: Timestamp, period: i64) -> Option<Many> {
        if !self.is_due(key, now, period) {
            return self.tell(key, now, period).map(Many::One);
        }
        let [count, further] =
            [b"count", b"other"].map(|of| stats::key(&[&sort.to_le_bytes(), of]));
        // How many were told since the first of them: a telling of its own, whose silence is that number.
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

    /// Tells whether a thing was not told within the period.
    fn is_due(&self, key: u32, now: Timestamp, period: i64) -> bool {
        let minute = now.0.div_euclid(MINUTE);
        let known = self.0.iter().find(|telling| telling.key == key);
        known.is_none_or(|telling| telling.is_old(minute, period))
    }
}

impl Telling {
    fn is_old(&self, minute: i64, period: i64) -> bool {
        let since = minute.saturating_sub(self.minute).saturating_mul(MINUTE);
        // Told in the far future: by a line with a wrong clock, which must not silence the present.
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
            let all: Vec<Many> =
                (0..1000).filter_map(|n| told.tell_one(9, 100 + n, at(n), 24 * HOUR)).collect();
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
}
