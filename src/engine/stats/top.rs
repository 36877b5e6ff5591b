//! A bounded table of the values seen on the most days.

use super::days::Days;

/// One value of a [`Top`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The value, or its [`key`].
    pub key: u32,
    /// The number of days on which it was seen, faded.
    pub weight: Days,
    /// The last of these days, since 1970.
    pub day: i32,
}

/// The values seen on the most days, at most `N` of them.
///
/// As in Space-Saving (Metwally 2005), a new value replaces the lightest one, but it starts at one day instead of
/// inheriting the weight: a value first seen today never looks like an old one.
///
/// Stored inline, not on the heap: a principal has several, and each usage searches all of them.
#[derive(Clone, Debug)]
pub struct Top<const N: usize> {
    slots: [Slot; N],
    len: usize,
}

impl<const N: usize> Default for Top<N> {
    fn default() -> Self {
        Self { slots: [Slot::default(); N], len: 0 }
    }
}

impl<const N: usize> PartialEq for Top<N> {
    fn eq(&self, other: &Self) -> bool {
        self.slots() == other.slots()
    }
}

impl<const N: usize> Top<N> {
    /// Returns whether a value is known.
    #[must_use]
    pub fn has(&self, key: u32) -> bool {
        self.slots().iter().any(|slot| slot.key == key)
    }

    /// Records that a value was seen on a day.
    pub fn see(&mut self, key: u32, day: i32) {
        if let Some(slot) = self.slots_mut().iter_mut().find(|slot| slot.key == key) {
            if slot.day != day {
                slot.weight = slot.weight.and_one();
                slot.day = day;
            }
            return;
        }
        if self.len >= N {
            self.evict();
        }
        self.push(Slot { key, weight: Days::ONE, day });
    }

    /// Forgets a value; returns whether it was known.
    pub fn forget(&mut self, key: u32) -> bool {
        let before = self.len;
        self.retain(|slot| slot.key != key);
        self.len < before
    }

    /// Fades all values by one active day, and forgets those that have faded to nothing.
    pub fn fade(&mut self) {
        self.retain(|slot| {
            slot.weight = slot.weight.faded();
            slot.weight > Days(0)
        });
    }

    /// Returns the values in the order in which they were added.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        self.slots.get(..self.len).unwrap_or_default()
    }

    /// Restores a stored slot; returns false if there is no room or the value is already there.
    #[must_use]
    pub fn restore(&mut self, slot: Slot) -> bool {
        let is_fine = self.len < N && !self.has(slot.key);
        if is_fine {
            self.push(slot);
        }
        is_fine
    }

    /// Removes the lightest value; of equally light ones, the one not seen for longest, then the first.
    fn evict(&mut self) {
        let slots = self.slots().iter().enumerate();
        let lightest = slots.min_by_key(|(_, slot)| (slot.weight, slot.day));
        let Some(at) = lightest.map(|(at, _)| at) else { return };
        if let Some(rest) = self.slots_mut().get_mut(at..) {
            rest.rotate_left(1);
            self.len -= 1;
        }
    }

    fn slots_mut(&mut self) -> &mut [Slot] {
        self.slots.get_mut(..self.len).unwrap_or_default()
    }

    fn push(&mut self, slot: Slot) {
        if let Some(free) = self.slots.get_mut(self.len) {
            *free = slot;
            self.len += 1;
        }
    }

    /// Keeps some values in their order; `is_kept` may change them.
    fn retain(&mut self, mut is_kept: impl FnMut(&mut Slot) -> bool) {
        let before = std::mem::take(self);
        for mut slot in before.slots().iter().copied() {
            if is_kept(&mut slot) {
                self.push(slot);
            }
        }
    }
}

/// Returns the 32-bit key of a value: FNV-1a (64 bit) over its parts, folded. It is the same on every machine and in
/// every version, since profiles are stored with it.
#[must_use]
pub fn key(parts: &[&[u8]]) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = parts.iter().fold(OFFSET, |hash, part| {
        let hash = part.iter().fold(hash, |hash, byte| step(hash, *byte));
        step(hash, 0xff) // never in UTF-8 text: parts cannot run together
    });
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_days_not_uses() {
        let mut top = Top::<4>::default();
        (0..100).for_each(|_| top.see(7, 1));
        assert_eq!(top.slots(), [Slot { key: 7, weight: Days::ONE, day: 1 }]);
        top.see(7, 2);
        assert_eq!(top.slots()[0].weight, Days(512));
    }

    #[test]
    fn the_lightest_makes_room() {
        let mut top = Top::<2>::default();
        [(1, 1), (1, 2), (2, 2), (3, 3)].into_iter().for_each(|(key, day)| top.see(key, day));
        assert!(top.has(1) && top.has(3) && !top.has(2));
    }

    #[test]
    fn who_stays_keeps_its_place() {
        let mut top = Top::<3>::default();
        [(1, 2), (2, 1), (3, 3), (4, 4)].into_iter().for_each(|(key, day)| top.see(key, day));
        assert_eq!(top.slots().iter().map(|slot| slot.key).collect::<Vec<_>>(), [1, 3, 4]);
    }

    #[test]
    fn what_is_not_seen_again_is_forgotten() {
        let mut top = Top::<2>::default();
        top.see(1, 1);
        (0..300).for_each(|_| top.fade());
        assert!(top.slots().is_empty());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"ab"]), key(&[b"ab", b""]));
        assert_eq!(key(&[]), 0xcbf2_9ce4 ^ 0x8422_2325); // the offset, folded: profiles depend on it
    }
}
