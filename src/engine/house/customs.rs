//! The values that principals have made their own: networks, neighbourhoods and clients known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::profile::{Class, Value};

/// Number of parts in which the table is stored.
pub(super) const BUCKETS: usize = 64;

/// Values per part: 8,192 in all, those learned last.
const VALUES: usize = 128;

/// Values per part and principal: a profile has 40 networks, neighbourhoods and clients, which are spread over all
/// parts, so that nobody has this many in one part without inventing them.
const VALUES_EACH: usize = 8;

/// Principals per class that are distinguished for one value; more make no difference.
const PRINCIPALS: usize = 4;

/// Returns the part that holds a value.
pub(super) fn bucket_of(value: Value) -> usize {
    let family = u32::try_from(value.family.index()).unwrap_or(0).wrapping_mul(0x85eb_ca6b);
    // the upper bits of a product depend on all lower ones (Fibonacci hashing)
    let mixed = (value.key ^ family).wrapping_mul(0x9e37_79b1);
    usize::try_from(mixed >> 26).unwrap_or(0)
}

/// A principal that makes a value its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub class: Class,
    /// Hash of its name.
    pub who: u32,
}

/// One part of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bucket(BTreeMap<Value, Custom>);

/// The principals that made a value their own, people and machines: hashes of names, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Custom {
    by: Few,
    #[serde(default, skip_serializing_if = "Few::is_empty")]
    by_machines: Few,
    /// When that last happened, in days since 1970.
    day: i64,
}

/// Up to [`PRINCIPALS`], in place: a part is searched for one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u32>", into = "Vec<u32>")]
struct Few {
    who: [u32; PRINCIPALS],
    len: usize,
}

impl Bucket {
    /// Notes that a principal has made a value its own.
    pub(super) fn note(&mut self, value: Value, owner: Owner, day: i64) {
        let Owner { class, who } = owner;
        self.make_room(value, who);
        if self.0.len() >= VALUES && !self.0.contains_key(&value) {
            self.evict();
        }
        let custom = self.0.entry(value).or_default();
        custom.day = custom.day.max(day);
        custom.forget(who);
        custom.of(class).push(who);
    }

    /// Notes that a value is no longer a principal's own.
    pub(super) fn forget(&mut self, value: Value, who: u32) {
        self.take_from(value, who);
    }

    /// Returns how many principals of each class have made a value their own, up to four.
    pub(super) fn known_by(&self, value: Value) -> [u32; 2] {
        let custom = self.0.get(&value);
        let count = |by: &Few| u32::try_from(by.len).unwrap_or(u32::MAX);
        custom.map_or([0; 2], |custom| [&custom.by, &custom.by_machines].map(count))
    }

    /// Drops the value learned first by a principal that has as many values as allowed.
    fn make_room(&mut self, value: Value, who: u32) {
        if self.0.get(&value).is_some_and(|custom| custom.has(who)) {
            return;
        }
        let own = || self.0.iter().filter(|(_, custom)| custom.has(who));
        if own().count() < VALUES_EACH {
            return;
        }
        let oldest = own().min_by_key(|(_, custom)| custom.day).map(|(value, _)| *value);
        oldest.into_iter().for_each(|oldest| self.take_from(oldest, who));
    }

    fn take_from(&mut self, value: Value, who: u32) {
        if let Some(custom) = self.0.get_mut(&value) {
            custom.forget(who);
            if custom.count() == 0 {
                self.0.remove(&value);
            }
        }
    }

    /// Evicts the value that few have and that nobody took to for longest.
    fn evict(&mut self) {
        let worth = |custom: &Custom| (custom.count() > 1, custom.day);
        let least = self.0.iter().min_by_key(|(_, custom)| worth(custom));
        if let Some(value) = least.map(|(value, _)| *value) {
            self.0.remove(&value);
        }
    }
}

impl Custom {
    const fn of(&mut self, class: Class) -> &mut Few {
        match class {
            Class::Human => &mut self.by,
            Class::Machine => &mut self.by_machines,
        }
    }

    fn forget(&mut self, who: u32) {
        Class::ALL.into_iter().for_each(|class| self.of(class).remove(who));
    }

    fn has(&self, who: u32) -> bool {
        self.by.all().contains(&who) || self.by_machines.all().contains(&who)
    }

    const fn count(&self) -> usize {
        self.by.len + self.by_machines.len
    }
}

impl Few {
    fn all(&self) -> &[u32] {
        self.who.get(..self.len).unwrap_or_default()
    }

    const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one, in the place of the first if there is no room.
    fn push(&mut self, who: u32) {
        if self.len == PRINCIPALS {
            self.who.rotate_left(1);
            self.len -= 1;
        }
        if let Some(free) = self.who.get_mut(self.len) {
            (*free, self.len) = (who, self.len + 1);
        }
    }

    fn remove(&mut self, who: u32) {
        let others = self.all().iter().filter(|by| **by != who);
        *self = others.fold(Self::default(), |mut few, by| {
            few.push(*by);
            few
        });
    }
}

impl From<Vec<u32>> for Few {
    /// Keeps the latest, if there are too many.
    fn from(all: Vec<u32>) -> Self {
        all.into_iter().fold(Self::default(), |mut few, who| {
            few.push(who);
            few
        })
    }
}

impl From<Few> for Vec<u32> {
    fn from(few: Few) -> Self {
        few.all().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::profile::Family;

    const CLIENT: Value = Value::new(Family::Client, 9);
    const NETWORK: Value = Value::new(Family::Network, 64_500);

    fn human(who: u32) -> Owner {
        Owner { class: Class::Human, who }
    }

    #[test]
    fn principals_are_counted_once_and_up_to_four() {
        let mut bucket = Bucket::default();
        for who in [1, 2, 1, 3, 2, 4, 5, 6] {
            bucket.note(CLIENT, human(who), 1);
        }
        assert_eq!(bucket.known_by(CLIENT), [4, 0]);
        assert_eq!(bucket.known_by(Value { family: Family::Network, ..CLIENT }), [0, 0]);
    }

    #[test]
    fn a_principal_whose_class_changes_is_counted_in_the_new_one_only() {
        let mut bucket = Bucket::default();
        bucket.note(CLIENT, human(1), 1);
        bucket.note(CLIENT, Owner { class: Class::Machine, ..human(1) }, 2);
        assert_eq!(bucket.known_by(CLIENT), [0, 1]);
        bucket.forget(CLIENT, 1);
        assert_eq!(bucket, Bucket::default());
    }

    #[test]
    fn what_one_principal_invents_does_not_push_out_what_many_share() {
        let mut bucket = Bucket::default();
        let prefix = |key| Value::new(Family::Prefix, key);
        (1..=3).for_each(|who| bucket.note(NETWORK, human(who), 1));
        (0..10_000).for_each(|key| bucket.note(prefix(key), human(77), 2));
        assert_eq!(bucket.known_by(NETWORK), [3, 0]);
        assert_eq!(bucket.0.len(), 1 + VALUES_EACH);
        assert_eq!(bucket.known_by(prefix(9_999)), [1, 0]);
    }

    #[test]
    fn what_two_invent_together_does_not_push_out_what_one_has() {
        let mut bucket = Bucket::default();
        bucket.note(NETWORK, human(1), 1);
        for key in 0..10_000 {
            let client = Value::new(Family::Client, key);
            [77, 78].into_iter().for_each(|who| bucket.note(client, human(who), 2));
        }
        assert_eq!(bucket.known_by(NETWORK), [1, 0]);
    }

    #[test]
    fn parts_are_stored_under_the_names_of_their_values() {
        let mut bucket = Bucket::default();
        for who in 1..=6 {
            bucket.note(NETWORK, Owner { class: Class::Machine, who }, 3);
        }
        let stored = r#"{"2:64500":{"by":[],"by_machines":[3,4,5,6],"day":3}}"#;
        assert_eq!(serde_json::to_string(&bucket).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Bucket>(stored).unwrap(), bucket);
        assert!(serde_json::from_str::<Bucket>(&stored.replace("2:", "77:")).is_err());
    }

    #[test]
    fn values_are_spread_over_all_parts() {
        let mut hits = [0; BUCKETS];
        (0..6_400).for_each(|key| hits[bucket_of(Value { key, ..NETWORK })] += 1);
        assert!(hits.iter().all(|hits| (50..200).contains(hits)), "{hits:?}");
    }
}
