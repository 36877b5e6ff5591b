//! The actors: up to four pairs of network and client, each with the evidence against it.

use crate::engine::profile::family::{Evidence, Families};
use crate::engine::profile::signals::Keys;
use crate::engine::time::{DAY, MINUTE, Timestamp};

/// How urgently a score is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Nothing.
    #[default]
    None,
    /// For the digest.
    Notice,
    /// At once.
    Alert,
    /// At once, whatever else is going on.
    Critical,
}

impl Tier {
    /// All, mildest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Notice, Self::Alert, Self::Critical];

    /// Returns the tier's number: 0 for none to 3 for critical.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Notice => 1,
            Self::Alert => 2,
            Self::Critical => 3,
        }
    }

    /// Returns the tier of a score.
    #[must_use]
    pub fn of(score: f64, params: &super::Score) -> Self {
        if score >= params.critical {
            Self::Critical
        } else if score >= params.alert {
            Self::Alert
        } else if score >= params.notice {
            Self::Notice
        } else {
            Self::None
        }
    }
}

/// The highest tier reported, and when (minutes since 1970).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Voice {
    /// The highest tier.
    pub tier: Tier,
    /// When it was reported.
    pub minute: i64,
    /// Whether the server had refused the reported usage.
    pub is_refused: bool,
    /// Whether it was the owner, as far as is known.
    pub is_own: bool,
}

impl Voice {
    /// Returns the tier that need not be reported again, if the last report is at most `hours` old.
    #[must_use]
    pub(super) fn within(self, time: Timestamp, hours: f64) -> Tier {
        let minutes = minute(time).saturating_sub(self.minute).clamp(0, i64::from(u32::MAX));
        let age = f64::from(u32::try_from(minutes).unwrap_or(u32::MAX)) / 60.0;
        if age < hours { self.tier } else { Tier::None }
    }

    /// Like [`within`](Self::within), but another story is [news](Self::is_news).
    #[must_use]
    pub(super) fn covers(self, time: Timestamp, hours: f64, by: By) -> Tier {
        if self.is_news(by) { Tier::None } else { self.within(time, hours) }
    }

    /// Returns whether something is another story than what was reported: an accepted use after a report of a refused
    /// one, a stranger after a report about the owner.
    const fn is_news(self, by: By) -> bool {
        by.is_somebody_else && (self.is_own || self.is_refused && by.is_accepted)
    }

    /// Combines this report with the one before, so that they cover what either covers. Otherwise an actor that is
    /// refused and accepted by turns would be reported each time.
    #[must_use]
    pub(super) fn beside(self, before: Self, time: Timestamp, hours: f64) -> Self {
        match before.within(time, hours) {
            Tier::None => self,
            tier => Self {
                tier: self.tier.max(tier),
                is_refused: self.is_refused && before.is_refused,
                is_own: self.is_own && before.is_own,
                ..self
            },
        }
    }
}

/// Who is at work, and whether the server accepts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    /// Whether this is an accepted use.
    pub is_accepted: bool,
    /// Whether the evidence says that it is not the owner.
    pub is_somebody_else: bool,
}

/// Returns whole minutes since 1970.
pub(super) const fn minute(time: Timestamp) -> i64 {
    time.0.div_euclid(MINUTE)
}

/// A network and a client that use the token together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actor {
    /// Hash of the operator (or neighbourhood, where both are known) and the client.
    pub key: u32,
    /// The last day on which it was active, since 1970.
    pub day: i32,
    /// Distinct days of accepted use while the actor is held back.
    pub days: u8,
    /// Whether today is among them.
    pub is_day_counted: bool,
    /// Whether it was somebody else with a score of the tier alert, reported or not: a mail budget decides what
    /// is reported, never what is learned.
    pub is_suspect: bool,
    /// What was reported about it.
    pub told: Voice,
    /// When the evidence began to accumulate, in minutes since 1970; it is kept for a day.
    pub since: i64,
    /// The most evidence of each family since then.
    pub evidence: Evidence,
    /// Requests today.
    pub requests: u32,
    /// Of these, refused or not found.
    pub errors: u32,
    /// A bit for each route used today that is new to the principal: a linear counter.
    pub routes: u64,
}

impl Actor {
    /// Returns the evidence that still counts.
    #[must_use]
    pub(super) fn evidence_at(&self, time: Timestamp) -> Evidence {
        let age = minute(time).saturating_sub(self.since);
        if age.saturating_mul(MINUTE) < DAY { self.evidence } else { Evidence::default() }
    }

    /// Returns the highest tier reported about it, as long as it is watched, and what it does is not news by itself.
    #[must_use]
    pub(super) fn reported(&self, by: By) -> Tier {
        if self.is_held() && !self.told.is_news(by) { self.told.tier } else { Tier::None }
    }

    /// Returns whether it was not there for so many days until this one.
    #[must_use]
    pub(super) fn was_away(&self, day: i32, days: f64) -> bool {
        f64::from(day.saturating_sub(self.day)) > days
    }

    /// Returns whether it was there on a day before this one.
    #[must_use]
    pub(super) fn was_there_before(&self, day: i32) -> bool {
        let told = Timestamp(self.told.minute.saturating_mul(MINUTE));
        let was_told = self.told.tier > Tier::None && told.day() < i64::from(day);
        self.day < day || self.days > 1 || was_told
    }

    /// Returns today's requests, errors and bits of new routes.
    #[must_use]
    pub(super) const fn today(&self, day: i32) -> (u32, u32, u64) {
        if self.day == day { (self.requests, self.errors, self.routes) } else { (0, 0, 0) }
    }

    /// Collects evidence.
    pub(super) fn add(&mut self, time: Timestamp, evidence: &Evidence) {
        let kept = self.evidence_at(time);
        if kept == Evidence::default() {
            self.since = minute(time);
        }
        self.evidence = kept.or(evidence);
    }

    /// Returns whether it is being watched: somebody else, as far as is known.
    #[must_use]
    pub(super) const fn is_held(&self) -> bool {
        self.days > 0 || self.is_suspect
    }

    /// Returns how much would be lost with it: suspects first, then others that are held, then whoever was seen last.
    /// Who was away for too long is neither: three suspects of last year would otherwise leave one slot for everybody.
    fn worth(&self, newcomer: &Newcomer) -> Worth {
        let is_here = !self.was_away(newcomer.day, newcomer.watch_days);
        (is_here && self.is_suspect, is_here && self.is_held(), self.day)
    }
}

type Worth = (bool, bool, i32);

/// Somebody who needs a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer {
    /// The key of the actor.
    pub key: u32,
    /// Its day, since 1970.
    pub day: i32,
    /// After how many days somebody who was away is not watched any more.
    pub watch_days: f64,
    /// Whether anything about this use is evidence.
    pub is_notable: bool,
}

/// The actors seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actors(pub(super) Vec<Actor>);

impl Actors {
    /// How many are kept.
    pub(super) const SLOTS: usize = 4;

    /// Returns an actor.
    #[must_use]
    pub(super) fn get(&self, key: u32) -> Option<&Actor> {
        self.0.iter().find(|actor| actor.key == key)
    }

    /// Returns the key of somebody with these values: that of an actor who is watched, or was reported, since when more
    /// of them was new. What one of its days taught would otherwise make it somebody else, reported once more.
    #[must_use]
    pub(super) fn key_of(&self, keys: &Keys, novel: Families) -> u32 {
        let own = keys.remembered(novel);
        if self.get(own).is_some() {
            return own;
        }
        let is_met = |actor: &Actor| actor.is_held() || actor.told.tier > Tier::None;
        let mut before = keys.remembered_before(novel);
        before.find(|key| self.get(*key).is_some_and(is_met)).unwrap_or(own)
    }

    /// Returns the actors under which somebody with these values may be stored.
    pub(super) fn known_as(&mut self, keys: &Keys) -> impl Iterator<Item = &mut Actor> {
        let known = keys.all_remembered();
        self.0.iter_mut().filter(move |actor| known.contains(&actor.key))
    }

    /// Returns an actor, adding it if necessary, in place of the least suspicious one that was unseen for longest.
    /// `None` if all others are watched, and nothing about this one is notable: each request of the owner would
    /// otherwise erase the evidence against a thief.
    pub(super) fn entry(&mut self, newcomer: &Newcomer) -> Option<&mut Actor> {
        let key = newcomer.key;
        if self.get(key).is_none() {
            if self.0.len() >= Self::SLOTS {
                self.evict(newcomer)?;
            }
            self.0.reserve_exact(1); // most have one or two
            self.0.push(Actor { key, ..Actor::default() });
        }
        self.0.iter_mut().find(|actor| actor.key == key)
    }

    fn evict(&mut self, newcomer: &Newcomer) -> Option<Actor> {
        let worth = self.0.iter().map(|actor| actor.worth(newcomer)).enumerate();
        let (at, (_, is_held, _)) = worth.min_by_key(|(_, worth)| *worth)?;
        (newcomer.is_notable || !is_held).then(|| self.0.remove(at))
    }
}

/// Returns how many distinct routes a linear counter of 64 bits has seen: `-64 ln(1 - ones/64)`
/// (Whang 1990), at most 266.
#[must_use]
pub(super) fn distinct(bits: u64) -> u32 {
    let ones = bits.count_ones();
    if ones <= 1 {
        return ones;
    }
    let empty = f64::from(64 - ones).max(1.0) / 64.0;
    crate::engine::stats::whole(-64.0 * libm::log(empty) + 0.5)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;
    use crate::engine::profile::family::Family;
    use crate::engine::stats::Nats;
    use crate::engine::time::HOUR;

    #[test]
    fn evidence_is_the_most_by_family_for_a_day() {
        let (mut actor, start) = (Actor::default(), Timestamp(1000 * DAY));
        let mut one = Evidence::default();
        one.raise(Family::Country, Nats(40));
        actor.add(start, &one);
        actor.add(start.plus(HOUR), &one);
        assert_eq!(actor.evidence_at(start.plus(23 * HOUR)).sum(), 2.5);
        assert_eq!(actor.evidence_at(start.plus(24 * HOUR)).sum(), 0.0);
    }

    #[test]
    fn the_alerted_stay_when_a_slot_is_needed() {
        let mut actors = Actors::default();
        actors.entry(&newcomer(1, 9)).unwrap().is_suspect = true;
        (2..100).for_each(|key| actors.entry(&newcomer(key, 9)).unwrap().day = 9);
        assert_eq!(actors.0.len(), Actors::SLOTS);
        assert!(actors.get(1).is_some() && actors.get(99).is_some());
    }

    fn newcomer(key: u32, day: i32) -> Newcomer {
        Newcomer { key, day, watch_days: 30.0, is_notable: false }
    }

    /// Four suspects, seen on day 0 to 3.
    fn suspects() -> Actors {
        let of = |key: u32, day| Actor { key, day, is_suspect: true, ..Actor::default() };
        Actors((0..4).zip(0..).map(|(key, day)| of(key, day)).collect())
    }

    #[test]
    fn a_suspect_that_was_away_for_a_month_kept_its_slot() {
        let mut actors = suspects();
        assert_eq!(actors.entry(&newcomer(9, 30)), None);
        assert!(actors.entry(&newcomer(9, 31)).is_some());
        assert!(actors.get(0).is_none() && actors.get(3).is_some());
    }

    #[test]
    fn a_use_without_evidence_took_the_slot_of_somebody_who_is_watched() {
        let mut actors = suspects();
        assert_eq!(actors.entry(&newcomer(9, 4)), None);
        assert_eq!(actors, suspects());
        assert!(actors.entry(&Newcomer { is_notable: true, ..newcomer(9, 4) }).is_some());
        assert!(actors.get(0).is_none());
        assert!(actors.entry(&newcomer(10, 4)).is_some(), "nobody watches the other one");
        assert!(actors.get(9).is_none() && actors.get(3).is_some());
    }

    #[test]
    fn a_linear_counter_counts() {
        assert_eq!([distinct(0), distinct(4), distinct(0xff), distinct(u64::MAX)], [0, 1, 9, 266]);
    }
}
