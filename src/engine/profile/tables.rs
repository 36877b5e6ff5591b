//! The values seen on the most days, family by family.

use std::ops::Range;

use crate::engine::profile::family::Family;
use crate::engine::stats::Days;

/// The families whose values are kept, in the order in which they are stored, and the most values of each.
pub(super) const TABLES: [(Family, usize); 7] = [
    (Family::Country, 8),
    (Family::Kind, 6),
    (Family::Network, 10),
    (Family::Prefix, 24),
    (Family::Client, 6),
    (Family::Version, 8),
    (Family::Routes, 40),
];

/// The most values of all families.
const MOST: usize = 102;

/// How many values there is room for at a time: each new one would otherwise move all to a larger place, and twice the
/// room, as a vector takes, would mostly stay empty.
const ROOM: usize = 6;

/// One value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// The value, or its [`key`](crate::engine::stats::key).
    pub key: u32,
    /// The number of days on which it was seen, faded.
    pub weight: Days,
    /// The last of these days, since 1970.
    pub day: i32,
}

/// The values seen on the most days, of each family a limited number.
///
/// As in Space-Saving (Metwally 2005), a new value replaces the lightest one, but it starts at one day instead of
/// inheriting the weight: a value first seen today never looks like an old one.
///
/// All are in one place on the heap: each usage searches them all, and most principals have few values of each family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    /// Table after table; within a table in the order in which they were added.
    slots: Vec<Slot>,
    /// Where each table ends.
    ends: [u8; TABLES.len()],
}

impl Tables {
    /// Creates empty ones with room for as many values as there may be; [`fitted`](Self::fitted) gives it back.
    pub(super) fn roomy() -> Self {
        Self { slots: Vec::with_capacity(MOST), ..Self::default() }
    }

    /// Returns them without unused room.
    pub(super) fn fitted(mut self) -> Self {
        self.slots.shrink_to_fit();
        self
    }

    /// Returns the values of a family in the order in which they were added.
    pub(super) fn of(&self, family: Family) -> &[Slot] {
        let range = number(family).map(|table| self.range(table));
        range.and_then(|range| self.slots.get(range)).unwrap_or_default()
    }

    /// Returns whether a value is known.
    pub(super) fn has(&self, family: Family, key: u32) -> bool {
        self.of(family).iter().any(|slot| slot.key == key)
    }

    /// Records that a value was seen on a day.
    pub(super) fn see(&mut self, family: Family, key: u32, day: i32) {
        let Some((table, most)) = number(family).zip(most(family)) else { return };
        let known = self.position(table, |slot| slot.key == key);
        if let Some(slot) = known.and_then(|at| self.slots.get_mut(at)) {
            if slot.day != day {
                slot.weight = slot.weight.and_one();
                slot.day = day;
            }
            return;
        }
        if self.range(table).len() >= most {
            self.evict(table);
        }
        self.push(table, Slot { key, weight: Days::ONE, day });
    }

    /// Forgets a value; returns whether it was known.
    pub(super) fn forget(&mut self, family: Family, key: u32) -> bool {
        let Some(table) = number(family) else { return false };
        let known = self.position(table, |slot| slot.key == key);
        known.inspect(|at| self.remove(table, *at)).is_some()
    }

    /// Fades all values by one active day, and forgets those that have faded to nothing.
    pub(super) fn fade(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.weight = slot.weight.faded());
        for table in 0..TABLES.len() {
            while let Some(at) = self.position(table, |slot| slot.weight == Days(0)) {
                self.remove(table, at);
            }
        }
    }

    /// Restores a stored value; returns false if there is no room or it is already there.
    #[must_use]
    pub(super) fn restore(&mut self, family: Family, slot: Slot) -> bool {
        let Some((table, most)) = number(family).zip(most(family)) else { return false };
        let is_fine = self.range(table).len() < most && !self.has(family, slot.key);
        if is_fine {
            self.push(table, slot);
        }
        is_fine
    }

    /// Removes the lightest value; of equally light ones, the one not seen for longest, then the first.
    fn evict(&mut self, table: usize) {
        let slots = self.slots.iter().enumerate();
        let Range { start, end } = self.range(table);
        let slots = slots.skip(start).take(end - start);
        let lightest = slots.min_by_key(|(_, slot)| (slot.weight, slot.day)).map(|(at, _)| at);
        lightest.into_iter().for_each(|at| self.remove(table, at));
    }

    fn push(&mut self, table: usize, slot: Slot) {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(ROOM);
        }
        self.slots.insert(self.range(table).end, slot);
        self.ends.iter_mut().skip(table).for_each(|end| *end += 1);
    }

    fn remove(&mut self, table: usize, at: usize) {
        self.slots.remove(at);
        self.ends.iter_mut().skip(table).for_each(|end| *end -= 1);
    }

    /// Returns the place of the first value in a table that is so.
    fn position(&self, table: usize, is_so: impl Fn(&Slot) -> bool) -> Option<usize> {
        let range = self.range(table);
        let start = range.start;
        self.slots.get(range)?.iter().position(is_so).map(|at| start + at)
    }

    fn range(&self, table: usize) -> Range<usize> {
        let end = |table: usize| self.ends.get(table).copied().map_or(0, usize::from);
        table.checked_sub(1).map_or(0, end)..end(table)
    }
}

/// Returns the number of a family's table; `None` if its values are not kept.
fn number(family: Family) -> Option<usize> {
    TABLES.iter().position(|(of, _)| *of == family)
}

/// Returns the most values that are kept of a family.
fn most(family: Family) -> Option<usize> {
    TABLES.iter().find(|(of, _)| *of == family).map(|(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(tables: &Tables, family: Family) -> Vec<u32> {
        tables.of(family).iter().map(|slot| slot.key).collect()
    }

    #[test]
    fn counts_days_not_uses() {
        let mut tables = Tables::default();
        (0..100).for_each(|_| tables.see(Family::Kind, 7, 1));
        assert_eq!(tables.of(Family::Kind), [Slot { key: 7, weight: Days::ONE, day: 1 }]);
        tables.see(Family::Kind, 7, 2);
        assert_eq!(tables.of(Family::Kind)[0].weight, Days(512));
    }

    #[test]
    fn the_lightest_makes_room_and_who_stays_keeps_its_place() {
        let mut tables = Tables::default();
        (1..=6).for_each(|key| tables.see(Family::Kind, key, 1));
        [1, 2, 4, 5, 6, 7].into_iter().for_each(|key| tables.see(Family::Kind, key, 2));
        assert_eq!(keys(&tables, Family::Kind), [1, 2, 4, 5, 6, 7]);
        // Of equally light ones, the one not seen for longest.
        tables.see(Family::Kind, 7, 4);
        tables.see(Family::Kind, 8, 4);
        assert_eq!(keys(&tables, Family::Kind), [2, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_not_seen_again_is_forgotten() {
        let mut tables = Tables::default();
        TABLES.iter().for_each(|(family, _)| tables.see(*family, 1, 1));
        (0..300).for_each(|_| tables.fade());
        assert_eq!(tables, Tables::default());
    }

    #[test]
    fn no_family_takes_the_place_of_another() {
        let mut tables = Tables::default();
        for n in 0..1000 {
            TABLES.iter().rev().for_each(|(family, _)| tables.see(*family, n, 1));
        }
        for (family, most) in TABLES {
            let newest: Vec<u32> = (0..1000).rev().take(most).rev().collect();
            assert_eq!(keys(&tables, family), newest, "{family:?}");
            assert!(!tables.restore(family, Slot::default()), "{family:?} is full");
        }
        assert_eq!(tables.slots.len(), MOST);
        assert!(tables.forget(Family::Prefix, 990) && !tables.forget(Family::Prefix, 990));
        assert!(!tables.has(Family::Prefix, 990) && tables.has(Family::Network, 990));
        assert!(!tables.restore(Family::Prefix, Slot { key: 991, ..Slot::default() }));
        assert!(tables.restore(Family::Prefix, Slot { key: 990, ..Slot::default() }));
        assert_eq!(keys(&tables, Family::Prefix).last(), Some(&990));
    }

    #[test]
    fn other_families_have_no_values() {
        let mut tables = Tables::default();
        tables.see(Family::Hour, 1, 1);
        assert!(tables.of(Family::Hour).is_empty() && !tables.forget(Family::Hour, 1));
        assert!(!tables.restore(Family::Hour, Slot::default()));
    }
}
