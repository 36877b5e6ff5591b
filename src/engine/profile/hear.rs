//! Applies what a person says about an incident: the values are the principal's own after all, or they are not.

use crate::engine::profile::family::{Family, Value};
use crate::engine::profile::params::Params;
use crate::engine::profile::turns::strangers_of;
use crate::engine::profile::word::{Sighting, Verdict, Word};
use crate::engine::profile::{Keys, Profile, Voice};
use crate::engine::time::HOUR;

/// The values that a word made a principal's own, and those that it took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// Values that are its own from now on.
    pub learned: Vec<Value>,
    /// Values that are no longer its own.
    pub forgotten: Vec<Value>,
}

impl Profile {
    /// Returns the number of the last word applied.
    #[must_use]
    pub const fn heard(&self) -> u32 {
        self.heard
    }

    /// Applies a word (docs/detection.md, Words).
    pub fn hear(&mut self, word: &Word, params: &Params) -> Taught {
        self.heard = word.number;
        let mut taught = Taught::default();
        match word.verdict {
            Verdict::Expected => self.trust(word, params, &mut taught),
            Verdict::Confirmed => {
                // Somebody else may still come, and this one may come back: both are news.
                (self.told_score, self.story) = (Voice::default(), None);
                word.actors.iter().for_each(|seen| self.distrust(seen, &mut taught));
            }
        }
        taught
    }

    fn trust(&mut self, word: &Word, params: &Params, taught: &mut Taught) {
        // Nothing was said about anybody else.
        (self.told_score, self.story) = (Voice::default(), None);
        for seen in &word.actors {
            let keys = seen.keys();
            self.settle_turns(&strangers_of(seen));
            for value in values(&keys) {
                if !self.tables.has(value.family, value.key) {
                    self.tables.see(value.family, value.key, self.day);
                    taught.learned.push(value);
                }
            }
            for actor in self.actors.known_as(&keys) {
                (actor.days, actor.is_suspect) = (0, false);
                actor.evidence = Default::default();
            }
            if seen.families.has(Family::Dormancy) {
                let gap_hours = u32::try_from(seen.time.since(self.trusted) / HOUR).unwrap_or(0);
                self.max_gap_hours = self.max_gap_hours.max(gap_hours);
                self.trusted = self.trusted.max(seen.time.min(self.last));
            }
        }
        word.families().iter().for_each(|family| self.hazards.add(family));
        if word.families().has(Family::Strangers) {
            self.strangers.expect();
        }
        let last = word.actors.iter().map(|seen| seen.time).max();
        if let Some(last) = last.filter(|_| word.surprise() > 0.0) {
            self.pace.expect(word.surprise(), last, params.score.notice, params.caps.rate);
        }
    }

    /// Forgets what an actor brought; values that were there before its first alert stay.
    fn distrust(&mut self, seen: &Sighting, taught: &mut Taught) {
        let keys = seen.keys();
        let brought = values(&keys).filter(|value| seen.novel.has(value.family));
        for value in brought {
            if self.tables.forget(value.family, value.key) {
                taught.forgotten.push(value);
            }
        }
        let has_moved = seen.novel.has(Family::Country) || seen.novel.has(Family::Network);
        let is_there =
            |place: &super::Fix| (place.country, place.asn) == (seen.place.country, seen.place.asn);
        if has_moved && self.fix.as_ref().is_some_and(is_there) {
            self.fix = None;
        }
        // Its return would be news.
        let strangers = strangers_of(seen);
        self.settle_turns(&strangers);
        self.forget_turns(&strangers);
        for actor in self.actors.known_as(&keys) {
            (actor.days, actor.told) = (0, Voice::default());
        }
    }

    /// Returns all values that are its own.
    pub(super) fn values(&self) -> Vec<Value> {
        let of = |family: Family| {
            self.tables.of(family).iter().map(move |slot| Value::new(family, slot.key))
        };
        Family::IDENTITY.into_iter().flat_map(of).collect()
    }
}

/// Returns the values that identify an actor.
fn values(keys: &Keys) -> impl Iterator<Item = Value> {
    Family::IDENTITY.into_iter().filter_map(|family| keys.value(family))
}
