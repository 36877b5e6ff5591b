//! A table that cannot grow: kept in parts, so that a commit writes only those that changed, each with
//! room for so many; of a full part the entry that matters least goes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::{SmolStr, format_smolstr};

use super::Part;
use crate::engine::commit::HouseRow;

/// How many parts a table is kept in.
const PARTS: usize = 64;

/// What a table holds.
pub trait Entry: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    /// Returns how much it matters at a time (seconds since 1970): the least goes first.
    fn worth(&self, now: i64) -> impl Ord;
}

/// At most 64 times `ROOM` entries, by a key that is spread evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T, const ROOM: usize> {
    parts: Vec<Part<BTreeMap<u64, T>>>,
}

impl<T: Entry, const ROOM: usize> Default for Table<T, ROOM> {
    fn default() -> Self {
        Self { parts: vec![Part { value: BTreeMap::new(), is_dirty: false }; PARTS] }
    }
}

/// The upper bits of a product depend on all lower ones (Fibonacci hashing).
fn part_of(key: u64) -> usize {
    usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58).unwrap_or(0)
}

fn name_of_part(table: &str, at: usize) -> SmolStr {
    format_smolstr!("{table}.{at:02}")
}

impl<T: Entry, const ROOM: usize> Table<T, ROOM> {
    /// Returns an entry.
    pub fn get(&self, key: u64) -> Option<&T> {
        self.parts.get(part_of(key))?.value.get(&key)
    }

    /// Returns an entry to be changed, if there is one.
    pub fn change(&mut self, key: u64) -> Option<&mut T> {
        let part = self.parts.get_mut(part_of(key))?;
        let entry = part.value.get_mut(&key)?;
        part.is_dirty = true;
        Some(entry)
    }

    /// Returns an entry to be changed, a new one if there is none. Never `None`.
    pub fn enter(&mut self, key: u64, now: i64) -> Option<&mut T> {
        let values = self.parts.get_mut(part_of(key))?.change();
        if values.len() >= ROOM && !values.contains_key(&key) {
            let least = values.iter().min_by_key(|(key, entry)| (entry.worth(now), **key));
            let least = least.map(|(key, _)| *key);
            least.and_then(|key| values.remove(&key));
        }
        Some(values.entry(key).or_default())
    }

    /// Takes out the parts that changed since the last time.
    pub fn take(&mut self, table: &'static str) -> impl Iterator<Item = HouseRow> {
        let parts = self.parts.iter_mut().enumerate();
        parts.filter_map(move |(at, part)| part.take(name_of_part(table, at)))
    }

    /// Reads what was kept; returns the names of the parts that cannot be read.
    pub fn restore(&mut self, rows: &[HouseRow], table: &str) -> Vec<SmolStr> {
        let names = (0..PARTS).map(|at| name_of_part(table, at));
        let parts = self.parts.iter_mut().zip(names);
        parts.filter_map(|(part, name)| (!part.restore(rows, &name)).then_some(name)).collect()
    }

    /// Returns how many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.value.len()).sum()
    }
}
