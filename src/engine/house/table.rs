//! A table of bounded size: stored in parts, so that a commit writes only those that changed. Each part
//! has a fixed number of entries; a full part evicts the entry that matters least.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::{SmolStr, format_smolstr};

use super::Part;
use crate::engine::commit::HouseRow;

/// How many parts a table is stored in.
const PARTS: usize = 64;

/// An entry of a table.
pub trait Entry: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    /// Returns how much it matters at a time (seconds since 1970): the least is evicted first.
    fn worth(&self, now: i64) -> impl Ord;
}

/// At most 64 times `ROOM` entries, under evenly spread keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T, const ROOM: usize> {
    parts: Vec<Part<BTreeMap<u64, T>>>,
    /// The bits of each part's keys: most keys looked up are absent, and need no search.
    bits: Vec<u64>,
}

impl<T: Entry, const ROOM: usize> Default for Table<T, ROOM> {
    fn default() -> Self {
        let none = Part { value: BTreeMap::new(), is_dirty: false };
        Self { parts: vec![none; PARTS], bits: vec![0; PARTS] }
    }
}

/// The upper bits of a product depend on all lower ones (Fibonacci hashing).
const fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn part_of(key: u64) -> usize {
    usize::try_from(spread(key) >> 58).unwrap_or(0)
}

/// Returns one of 64 bits, chosen by other bits of the key than the part is.
const fn bit_of(key: u64) -> u64 {
    1 << ((spread(key) >> 52) & 63)
}

fn bits_of<T>(values: &BTreeMap<u64, T>) -> u64 {
    values.keys().fold(0, |bits, key| bits | bit_of(*key))
}

fn name_of_part(table: &str, at: usize) -> SmolStr {
    format_smolstr!("{table}.{at:02}")
}

impl<T: Entry, const ROOM: usize> Table<T, ROOM> {
    /// Returns an entry.
    pub fn get(&self, key: u64) -> Option<&T> {
        let at = part_of(key);
        if self.bits.get(at)? & bit_of(key) == 0 {
            return None;
        }
        self.parts.get(at)?.value.get(&key)
    }

    /// Returns an entry for modification, if there is one.
    pub fn change(&mut self, key: u64) -> Option<&mut T> {
        let part = self.parts.get_mut(part_of(key))?;
        let entry = part.value.get_mut(&key)?;
        part.is_dirty = true;
        Some(entry)
    }

    /// Returns an entry for modification, a new one if there is none. Never `None`.
    pub fn enter(&mut self, key: u64, now: i64) -> Option<&mut T> {
        let at = part_of(key);
        let (values, bits) = (self.parts.get_mut(at)?.change(), self.bits.get_mut(at)?);
        if values.len() >= ROOM && !values.contains_key(&key) {
            let least = values.iter().min_by_key(|(key, entry)| (entry.worth(now), **key));
            let least = least.map(|(key, _)| *key);
            least.and_then(|key| values.remove(&key));
            *bits = bits_of(values);
        }
        *bits |= bit_of(key);
        Some(values.entry(key).or_default())
    }

    /// Returns the parts that changed since the last call.
    pub fn take(&mut self, table: &'static str) -> impl Iterator<Item = HouseRow> {
        let parts = self.parts.iter_mut().enumerate();
        parts.filter_map(move |(at, part)| part.take(name_of_part(table, at)))
    }

    /// Restores the table from its rows; returns the names of the parts that cannot be read.
    pub fn restore(&mut self, rows: &[HouseRow], table: &str) -> Vec<SmolStr> {
        let names = (0..PARTS).map(|at| name_of_part(table, at));
        let parts = self.parts.iter_mut().zip(names);
        let faults =
            parts.filter_map(|(part, name)| (!part.restore(rows, &name)).then_some(name)).collect();
        self.bits = self.parts.iter().map(|part| bits_of(&part.value)).collect();
        faults
    }

    /// Returns the number of entries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.value.len()).sum()
    }
}
