//! What is known beyond one principal: how often principals of a kind change, which values many of
//! them use, and what many of them took to at once.
//!
//! It is bounded, part of each commit, and exact: the same usages produce the same house, however the
//! log was cut. It is stored in parts, so that a commit writes only those that changed.

mod budget;
mod clock;
mod customs;
mod exposures;
mod fleet;
mod groups;
mod objects;
mod population;
mod sources;
mod table;
mod telling;
#[cfg(test)]
mod tests;
mod visit;
mod window;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

pub use budget::Threshold;
pub use exposures::{Exposed, Exposures, NAMED, Room};
pub use fleet::{Fleet, Shared, What, short_name};
pub use objects::{Blame, Enumeration, Objects, Order};
pub use sources::{Guesses, Guessing, Manner, Success};
pub use table::{Entry, Table};

use crate::engine::commit::HouseRow;
use crate::engine::house::budget::Scores;
use crate::engine::house::clock::Clock;
use crate::engine::house::customs::{BUCKETS, Bucket, Owner, bucket_of};
use crate::engine::house::fleet::Changes;
use crate::engine::house::objects::Askers;
use crate::engine::house::population::Population;
use crate::engine::house::sources::Sources;
use crate::engine::profile::{
    Absorbed, Class, Families, Family, Peers, Placed, Priors, Score, Share, Signals, Taught, Value,
};
use crate::engine::secret::TokenId;
use crate::engine::stats;
use crate::engine::time::{HOUR, Timestamp};
use crate::engine::usage::Usage;

/// What is known beyond one principal.
#[derive(Clone, Debug, PartialEq)]
pub struct House {
    population: Part<Population>,
    customs: Vec<Part<Bucket>>,
    changes: Part<Changes>,
    sources: Sources,
    askers: Askers,
    exposures: Exposures,
    scores: Part<Scores>,
    clock: Part<Clock>,
    /// By class; computed from the population.
    priors: [Priors; Class::ALL.len()],
}

/// A value that is stored separately, and written when it has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part<T> {
    value: T,
    is_dirty: bool,
}

impl<T: Default + PartialEq + Serialize + DeserializeOwned> Part<T> {
    /// Returns it for modification.
    pub const fn change(&mut self) -> &mut T {
        self.is_dirty = true;
        &mut self.value
    }

    /// Returns its row under a name, if it has changed since the last call.
    pub fn take(&mut self, name: SmolStr) -> Option<HouseRow> {
        let body = || serde_json::to_vec(&self.value).unwrap_or_default();
        std::mem::take(&mut self.is_dirty).then(|| HouseRow { name, body: body() })
    }

    /// Restores the row stored under a name; returns false if it cannot be read, and leaves the value new.
    #[must_use]
    pub fn restore(&mut self, rows: &[HouseRow], name: &str) -> bool {
        let Some(row) = rows.iter().find(|row| row.name == name) else { return true };
        let value = serde_json::from_slice(&row.body).ok();
        let is_fine = value.is_some();
        self.value = value.unwrap_or_default();
        is_fine
    }
}

/// A principal of the site, as the house knows it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The principal.
    pub principal: &'a str,
    /// The token that it uses now.
    pub token: TokenId,
    /// Its class.
    pub class: Class,
    /// Whether it speaks for others: the site registered it, or it is settled. Anybody can invent tokens that a
    /// public page answers, and what they do must not excuse anybody.
    pub counts: bool,
}

impl Member<'_> {
    fn who(&self) -> u32 {
        stats::key(&[self.principal.as_bytes()])
    }

    /// Returns the names under which it may have been seen: its token may have been registered meanwhile.
    fn names(&self) -> [u32; 2] {
        [self.who(), stats::key(&[self.token.to_smolstr().as_bytes()])]
    }

    fn owner(&self) -> Owner {
        Owner { class: self.class, who: self.who() }
    }
}

/// Settled principals from which a rest of all of them is the site's: fewer may well rest together by chance.
const MANY: u64 = 3;

/// Days by which a line may be late and still count as having the right clock.
const LATEST: i64 = 2;

const POPULATION: &str = "population";
const CHANGES: &str = "changes";
const SCORES: &str = "scores";
const CLOCK: &str = "clock";

fn name_of_bucket(at: usize) -> SmolStr {
    format_smolstr!("customs.{at:02}")
}

impl Default for House {
    fn default() -> Self {
        Self {
            population: Part::default(),
            customs: vec![Part::default(); BUCKETS],
            changes: Part::default(),
            sources: Sources::default(),
            askers: Askers::default(),
            exposures: Exposures::default(),
            scores: Part::default(),
            clock: Part::default(),
            priors: [Priors::default(); Class::ALL.len()],
        }
    }
}

impl House {
    /// Restores the house from its rows; returns it with the names of the parts that cannot be read.
    #[must_use]
    pub fn restore(rows: &[HouseRow]) -> (Self, Vec<SmolStr>) {
        let mut house = Self::default();
        let mut faults = Vec::new();
        let mut note = |is_fine: bool, name: SmolStr| {
            if !is_fine {
                faults.push(name);
            }
        };
        note(house.population.restore(rows, POPULATION), POPULATION.into());
        note(house.changes.restore(rows, CHANGES), CHANGES.into());
        note(house.scores.restore(rows, SCORES), SCORES.into());
        note(house.clock.restore(rows, CLOCK), CLOCK.into());
        for (at, bucket) in house.customs.iter_mut().enumerate() {
            let name = name_of_bucket(at);
            note(bucket.restore(rows, &name), name);
        }
        faults.extend(house.sources.restore(rows));
        faults.extend(objects::restore(&mut house.askers, rows));
        faults.extend(house.exposures.restore(rows));
        house.priors = house.population.value.priors();
        (house, faults)
    }

    /// Returns the parts that changed since the last call.
    pub fn take(&mut self) -> Vec<HouseRow> {
        let customs =
            self.customs.iter_mut().enumerate().map(|(at, part)| part.take(name_of_bucket(at)));
        let singles = [
            self.population.take(POPULATION.into()),
            self.changes.take(CHANGES.into()),
            self.scores.take(SCORES.into()),
            self.clock.take(CLOCK.into()),
        ];
        singles
            .into_iter()
            .chain(customs)
            .flatten()
            .chain(self.sources.take())
            .chain(objects::take(&mut self.askers))
            .chain(self.exposures.take())
            .collect()
    }

    /// Forgets the names of those who took to something lately, and counts anew who does.
    pub fn forget_names(&mut self) {
        if self.changes.value.has_names() {
            self.changes.change().forget_names();
        }
    }

    /// Starts a day if the site's hour is the first of one: priors are fitted to the population at the end of the
    /// day before. A day shortly before changes nothing; a day far ahead of all others, from a wrong clock, does not
    /// last.
    fn begin_day(&mut self, day: i64) {
        let since = day.saturating_sub(self.population.value.day());
        if !(-LATEST..=0).contains(&since) {
            self.priors = self.population.change().fit(day);
            self.scores.change().begin_day(since);
        }
    }

    /// Applies the time of a line; returns whether one of the site's hours begins with it. Days begin with hours, not
    /// with lines: one of a wrong clock would begin a day, and the next one would end it.
    pub fn begin_hour(&mut self, time: Timestamp) -> bool {
        let begins = self.clock.value.is_moved_by(time) && self.clock.change().pass(time);
        if begins {
            self.begin_day(self.hour().day());
        }
        begins
    }

    /// Returns the number of the current one of the site's hours.
    #[must_use]
    pub const fn beat(&self) -> u32 {
        self.clock.value.beat()
    }

    /// Returns when that hour began.
    #[must_use]
    pub const fn hour(&self) -> Timestamp {
        Timestamp(self.clock.value.hour().saturating_mul(HOUR))
    }

    /// Returns the hour that the site's clock last leapt to, since 1970.
    #[must_use]
    pub const fn leapt(&self) -> i64 {
        self.clock.value.leapt()
    }

    /// Returns the number of the site's hour after lines of these times, if one begins with them.
    pub fn beat_after(&self, times: impl Iterator<Item = Timestamp>) -> Option<u32> {
        let mut clock = None;
        for time in times {
            let of = clock.as_ref().unwrap_or(&self.clock.value);
            if of.is_moved_by(time) {
                clock.get_or_insert_with(|| self.clock.value.clone()).pass(time);
            }
        }
        Some(clock?.beat()).filter(|beat| *beat != self.clock.value.beat())
    }

    /// Notes that principals are silent together; `last` is when each last called.
    pub fn lose(&mut self, last: &[Timestamp]) {
        let hours = || last.iter().map(|time| time.hour());
        if let (Some(first), Some(last)) = (hours().min(), hours().max()) {
            self.clock.change().lose(first, last);
        }
    }

    /// Returns whether a principal that last called at a time is one of those reported as silent together.
    #[must_use]
    pub fn is_lost(&self, last: Timestamp) -> bool {
        self.clock.value.is_lost(last.hour())
    }

    /// Returns the score from which a person is notified at once, within a weekly mail budget.
    #[must_use]
    pub fn threshold(&self, budget: f64, score: &Score) -> Threshold {
        self.scores.value.threshold(budget, score)
    }

    /// Replaces what a principal contributes to the experience of its class, if a usage or a word changed it.
    pub fn replace_share(&mut self, before: Option<Share>, after: Option<Share>) {
        if before != after {
            self.population.change().replace(before.as_ref(), after.as_ref());
        }
    }

    /// Applies what became of a principal's usage: the score that it reached, the values that it made its own.
    ///
    /// Returns the changes that it shares with many others, as far as this usage makes them some.
    pub fn absorb(
        &mut self,
        member: Member<'_>,
        signals: &Signals,
        absorbed: Absorbed,
        params: &Fleet,
    ) -> Vec<Shared> {
        if let Some(rise) = absorbed.rise {
            self.scores.change().note(rise);
        }
        let is_quiet = absorbed.learned.is_empty() && absorbed.brought.is_empty();
        let is_quiet = is_quiet && absorbed.reclassed.is_empty();
        let conduct = [signals.is_rushing.then_some(What::Rush), signals.fault.map(What::Fault)];
        if !member.counts || is_quiet && conduct == [None; 2] {
            return Vec::new();
        }
        let (owner, day) = (member.owner(), signals.time.day());
        let learned = absorbed.learned.iter().filter_map(|family| signals.value(family));
        for value in learned.chain(absorbed.reclassed) {
            self.note(value, owner, day);
        }
        let values = self.strange(absorbed.brought, signals, params).into_iter().map(What::Value);
        let times = [signals.time, self.hour()];
        let all = values.chain(conduct.into_iter().flatten());
        all.filter_map(|what| self.changes.change().note(what, &member, times, params)).collect()
    }

    /// Returns the values that a usage brought, as far as they may be a change of many and are not known here.
    fn strange(&self, brought: Families, signals: &Signals, params: &Fleet) -> Vec<Value> {
        // An operator that others use does not distinguish an office or a gateway; its prefix does. Access providers'
        // customers share prefixes by chance.
        let has_network = signals.value(Family::Network).is_some();
        let is_operator = brought.has(Family::Network)
            && signals.value(Family::Network).is_some_and(|value| !self.is_custom(value, params));
        let is_change = |family: &Family| match family {
            Family::Network | Family::Client => true,
            Family::Prefix => !has_network || !is_operator && signals.is_of_site(),
            _ => false,
        };
        // Both together explain nothing: a client that comes with its place must not be excused elsewhere.
        let has_all_changed = signals.has_all_changed();
        let is_alone = |family: &Family| !(has_all_changed && *family == Family::Client);
        let brought = brought.iter().filter(is_change).filter(is_alone);
        let values = brought.filter_map(|family| signals.value(family));
        values.filter(|value| !self.is_custom(*value, params)).collect()
    }

    /// Notes a use of an unknown token that the server refused. Returns what to report about its source
    /// now.
    pub fn fail(&mut self, placed: &Placed<'_>, params: &Guessing) -> Option<Guesses> {
        self.sources.fail(placed, params, &mut self.exposures)
    }

    /// Notes a use of a known token. Returns what to report if it was accepted from where tokens were
    /// guessed.
    pub fn meet(
        &mut self,
        placed: &Placed<'_>,
        signals: &Signals,
        params: &Guessing,
    ) -> Option<Success> {
        self.sources.meet(placed, signals.novel, params)
    }

    /// Notes a usage of a principal; returns what to report if it requested one forbidden or missing object
    /// after another.
    pub fn ask(
        &mut self,
        principal: &str,
        usage: (&Usage, Blame),
        params: &Objects,
    ) -> Option<Enumeration> {
        objects::ask(&mut self.askers, principal, usage, params)
    }

    /// Returns how many exposures of tokens that are new here were reported.
    #[must_use]
    pub const fn exposures(&self) -> &Exposures {
        &self.exposures
    }

    /// Returns the same, for changes.
    pub const fn exposures_mut(&mut self) -> &mut Exposures {
        &mut self.exposures
    }

    /// Applies what a person's word taught a principal on a day.
    pub fn hear(&mut self, member: Member<'_>, taught: &Taught, day: i64) {
        let owner = member.owner();
        for value in taught.learned.iter().filter(|_| member.counts) {
            self.note(*value, owner, day);
        }
        for value in &taught.forgotten {
            if let Some(part) = self.customs.get_mut(bucket_of(*value)) {
                part.change().forget(*value, owner.who);
            }
        }
    }

    /// Notes that a principal has made a value its own.
    fn note(&mut self, value: Value, owner: Owner, day: i64) {
        let day = self.clock.value.believed(day);
        if Family::COMMON.contains(&value.family)
            && let Some(part) = self.customs.get_mut(bucket_of(value))
        {
            part.change().note(value, owner, day);
        }
    }

    fn is_custom(&self, value: Value, params: &Fleet) -> bool {
        f64::from(self.users_of(value).iter().sum::<u32>()) >= params.known
    }

    /// Returns how many principals of each class have made a value their own.
    fn users_of(&self, value: Value) -> [u32; 2] {
        let bucket = self.customs.get(bucket_of(value));
        bucket.map_or([0; 2], |part| part.value.known_by(value))
    }
}

/// What the other principals of a site say about one.
#[derive(Clone, Copy, Debug)]
pub struct Others<'a> {
    house: &'a House,
    member: Member<'a>,
    fleet: &'a Fleet,
}

impl House {
    /// Returns what the others say about a principal.
    #[must_use]
    pub const fn others<'a>(&'a self, member: Member<'a>, fleet: &'a Fleet) -> Others<'a> {
        Others { house: self, member, fleet }
    }
}

impl Others<'_> {
    fn is_shared(&self, what: What, time: Timestamp) -> bool {
        self.house.changes.value.is_shared(what, &self.member, time, self.fleet)
    }
}

impl Peers for Others<'_> {
    fn priors(&self, class: Class) -> &Priors {
        static NONE: std::sync::LazyLock<Priors> = std::sync::LazyLock::new(Priors::default);
        self.house.priors.get(class.index()).unwrap_or(&NONE)
    }

    fn known_by(&self, class: Class, value: Value) -> u32 {
        self.house.users_of(value).get(class.index()).copied().unwrap_or(0)
    }

    fn is_shared_change(&self, value: Value, time: Timestamp) -> bool {
        self.is_shared(What::Value(value), time)
    }

    fn is_rush(&self, time: Timestamp) -> bool {
        self.is_shared(What::Rush, time)
    }

    fn is_fault(&self, route: u32, time: Timestamp) -> bool {
        self.house.changes.value.is_known(What::Fault(route), time)
    }

    fn rested(&self, from: Timestamp, until: Timestamp) -> i64 {
        let is_of_site = self.house.population.value.principals() >= MANY;
        let hours = || self.house.clock.value.rested(from.hour(), until.hour());
        if is_of_site { hours() } else { 0 }
    }
}
