//! Guessing of unknown tokens: by source, and by what many sources have in common.
//!
//! Bounded whatever attackers send: 4,096 sources and 1,024 groups, each of fixed size, and one bit per
//! token. A known token costs only a look into the table, and a bit where its source or group has failed
//! lately.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::exposures::{Exposed, Exposures, Room};
use super::groups::{Course, Group, is_many_times, keys_of_groups};
use super::table::{Entry, Table};
use super::telling::{Telling, is_false};
use super::visit::{Named, Try, Visit, bit, bit_of_address};
use super::window::{Gaps, Limits, Window};
use crate::engine::commit::HouseRow;
use crate::engine::geo::Prefix;
use crate::engine::profile::{Families, Family, Placed, section};
use crate::engine::stats::{key, units, whole};
use crate::engine::time::{HOUR, SECOND};
use crate::engine::usage::{Outcome, Usage};

section! {
    /// Tokens that nobody knows, tried one after another.
    Guessing = "guessing" {
        /// Unknown tokens that one source tries without success within `window_minutes`.
        tokens = 15.0, "tokens", "Elastic, Okta credential stuffing: 15 users";
        /// Minimum tries with them.
        tries = 25.0, "tries", "Elastic, Okta credential stuffing: 25 attempts";
        /// Period in which they are counted.
        window_minutes = 15.0, "min", "Elastic, Okta credential stuffing: 15 min";
        /// Unknown tokens of one source within a day, however slowly.
        day_tokens = 50.0, "tokens", "own choice: twice 25; no client has fifty wrong tokens";
        /// Unknown tokens of one source within a day that come as regularly as from a timer.
        slow_tokens = 10.0, "tokens", "own choice: two thirds of 15; the timer is evidence too";
        /// Unknown tokens of many sources of one kind.
        spread_tokens = 25.0, "tokens", "Elastic, Okta password spray: 25 attempts";
        /// Sources (/24, /64) that share them.
        spread_sources = 5.0, "sources", "Elastic, Okta password spray: 5 addresses";
        /// Tokens of each source that count.
        spread_each = 5.0, "tokens", "Elastic, Okta password spray: 5 a user";
        /// Period in which they are counted.
        spread_minutes = 60.0, "min", "own choice: an incident is an hour";
        /// Multiple of its own usual below which a source with a past is unremarkable.
        usual_factor = 5.0, "times", "own choice: clearly more than the worst of other days";
        /// How long an accepted use from there is news.
        success_hours = 6.0, "h", "Elastic, Okta: success is correlated within 6 h";
    }
}

const DAY: i64 = 86_400;

/// The sources that fail, and what many of them have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sources {
    one: Table<Source, 64>,
    many: Table<Group, 16>,
}

/// A /24 or /64 that tried unknown tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Source {
    burst: Window,
    day: Window,
    /// Gaps between tokens tried for the first time, within the day's window.
    gaps: Gaps,
    /// When it last tried, in seconds since 1970.
    last: i64,
    /// Addresses and clients that tried within the day's window, as bits.
    addresses: u64,
    clients: u64,
    /// Tokens accepted from there that were never used from there before, likewise.
    accepted: u64,
    told: Option<Telling>,
    /// When its guessing was last news, reported or not, in seconds since 1970.
    #[serde(default)]
    caught: i64,
    /// Its last try belongs to what was reported about many.
    #[serde(default, skip_serializing_if = "is_false")]
    is_part: bool,
}

impl Entry for Source {
    fn worth(&self, now: i64) -> impl Ord {
        let is_live = now.saturating_sub(self.last).abs() < DAY;
        let strange = if is_live { self.day.strange.count() } else { 0 };
        // What is sent to fill the table shares its report: it must not push out who has not been reported yet.
        let rank = (Telling::rank(self.told, now), !self.is_part);
        (rank, strange, self.day.usual(), self.last)
    }
}

/// How tokens are guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Many within minutes.
    Burst,
    /// Many within a day.
    Day,
    /// Few, as from a timer.
    Slow,
    /// Few each, by many sources.
    Spread,
}

/// Unknown tokens, tried from one source or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guesses {
    /// Identifies the source.
    pub key: u64,
    /// The source: `203.0.113.0/24`, `AS64500`, `curl GET /v1/items`.
    pub source: SmolStr,
    /// The manner.
    pub manner: Manner,
    /// Different tokens; those of one JWT subject count once.
    pub tokens: u32,
    /// Requests with them.
    pub tries: u32,
    /// Seconds since the first of them.
    pub seconds: i64,
    /// Sources.
    pub sources: u32,
    /// Known principals that came from there meanwhile, if they were counted.
    pub known: Option<u32>,
    /// Tokens accepted from there meanwhile that were never used from there before.
    pub accepted: u32,
    /// The most tokens on other days, if there is a usual.
    pub usual: Option<u32>,
    /// Whether the hour has room for further reports.
    pub room: Room,
}

impl Guesses {
    /// Returns whose room in the hour the report takes: what is slow must not take that of what is worse, nor what was
    /// in vain that of what was not.
    const fn exposed(&self) -> Exposed {
        match self.manner {
            Manner::Slow => Exposed::Slow,
            Manner::Burst | Manner::Day | Manner::Spread if self.accepted > 0 => Exposed::Found,
            Manner::Burst | Manner::Day | Manner::Spread => Exposed::Guessing,
        }
    }
}

/// An accepted use from where tokens were guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// Tokens whose tries from there failed.
    pub tokens: u32,
    /// Requests with them.
    pub tries: u32,
    /// Seconds since the last of them.
    pub seconds: i64,
}

/// Notes that a source is due to be reported. Returns the narrowest group of which that is one too many, to be reported
/// instead.
fn join(many: &mut Table<Group, 16>, tried: &Try<'_>, source: &Source) -> Option<(usize, u64)> {
    let Try { visit, params, .. } = tried;
    tried.groups().find(|(_, key)| {
        let group = many.enter(*key, visit.now);
        group.is_some_and(|group| group.join(visit, &source.day, source.accepted, params))
    })
}

/// Forgets the sources of what is wider than a group that is reported: who else comes is not one of them.
fn release_wider(many: &mut Table<Group, 16>, tried: &Try<'_>, than: usize) {
    tried.wider(than).for_each(|(_, key)| _ = many.change(key).map(Group::release));
}

pub(super) fn seconds(minutes: f64) -> i64 {
    i64::from(whole(minutes * 60.0))
}

impl Sources {
    /// Notes a use of an unknown token that leaves it unknown. Returns what to report now, if its hour has room.
    pub(super) fn fail(
        &mut self,
        placed: &Placed<'_>,
        params: &Guessing,
        exposures: &mut Exposures,
    ) -> Option<Guesses> {
        let tried = Try::of(placed, params)?;
        let visit = &tried.visit;
        let is_part = self.told(tried.groups(), visit.now).is_some();
        let source = self.one.enter(visit.source, visit.now)?;
        source.fail(visit, placed.usage, params);
        source.is_part = is_part;
        if let Some(manner) = source.news(visit.now, params) {
            return self.speak(&tried, manner, exposures);
        }
        let is_one_of_many = f64::from(source.burst.strange.count()) <= params.spread_each;
        if Telling::goes_on(source.told, visit.now) || !is_one_of_many {
            return None;
        }
        self.fail_together(&tried, exposures)
    }

    /// Reports a source that guesses, or what it has in common with others that were reported. It is not reported while
    /// such a group is, unless it is much more; nor in an hour without room, but then it is as soon as there is.
    fn speak(
        &mut self,
        tried: &Try<'_>,
        manner: Manner,
        exposures: &mut Exposures,
    ) -> Option<Guesses> {
        let (visit, params) = (&tried.visit, tried.params);
        let told = self.told(tried.groups(), visit.now);
        let Self { one, many } = self;
        let source = one.change(visit.source)?;
        if let Some(told) = told.filter(|_| !source.is_more(params)) {
            source.imply(told, visit.now);
            return None;
        }
        let due = if told.is_none() { join(many, tried, source) } else { None };
        let together = due.and_then(|(n, key)| Some((n, many.change(key)?, tried.named(n, key))));
        let Some((n, group, named)) = together else {
            let guesses = source.guesses(visit, manner);
            let room = exposures.note(guesses.exposed(), tried.placed.usage.time)?;
            source.tell(manner, visit.now);
            return Some(Guesses { room, ..guesses });
        };
        let guesses = group.guesses_of_members(named, visit.now);
        let room = exposures.note(guesses.exposed(), tried.placed.usage.time)?;
        source.imply(group.tell_members(visit.now), visit.now);
        release_wider(many, tried, n);
        Some(Guesses { room, ..guesses })
    }

    /// Counts a try for what its source has in common with others, up to the first group that was reported itself.
    fn fail_together(&mut self, tried: &Try<'_>, exposures: &mut Exposures) -> Option<Guesses> {
        let (now, params) = (tried.visit.now, tried.params);
        for (n, key) in tried.groups() {
            let group = self.many.enter(key, now)?;
            group.fail(&tried.visit, params);
            match group.judge(now, params) {
                Course::Known => break,
                Course::Ordinary | Course::Part => continue,
                Course::News => {}
            }
            let is_more = group.is_more(params);
            let told = self.told(tried.wider(n), now).filter(|_| !is_more);
            let group = self.many.change(key)?;
            if let Some(told) = told {
                group.imply(told, now);
                continue;
            }
            let room = exposures.note(Exposed::Guessing, tried.placed.usage.time)?;
            let guesses = group.tell(tried.named(n, key), now);
            release_wider(&mut self.many, tried, n);
            return Some(Guesses { room, ..guesses });
        }
        None
    }

    /// Returns the first report of the last day about one of some groups.
    fn told(&self, groups: impl Iterator<Item = (usize, u64)>, now: i64) -> Option<Telling> {
        groups.filter_map(|(_, key)| self.many.get(key)?.told(now)).next()
    }

    /// Notes a use of a known token, whatever the answer; `novel` is what its principal's profile does not know.
    /// Returns what to report if it was accepted.
    pub(super) fn meet(
        &mut self,
        placed: &Placed<'_>,
        novel: Families,
        params: &Guessing,
    ) -> Option<Success> {
        let usage = placed.usage;
        let visit = Visit::of(usage)?;
        let mut success = None;
        let groups = keys_of_groups(placed);
        let is_caught = |at| self.many.get(at).is_some_and(|group| group.is_caught(visit.now));
        if let Some(source) = self.one.get(visit.source) {
            let is_caught = source.is_caught(visit.now)
                || source.day.strange.count() >= SPREAD_LEAST
                    && groups.into_iter().flatten().any(is_caught);
            let found = source.found(&visit, usage, novel);
            success = found.filter(|_| is_caught).and_then(|_| source.success(visit.now, params));
            self.note_known(&visit, found.unwrap_or(0), params);
        }
        let Visit { who, now, .. } = visit;
        for at in groups.into_iter().flatten() {
            if self.many.get(at).is_some_and(|group| group.misses(who, now, params)) {
                self.many.change(at)?.meet(who);
            }
        }
        success
    }

    /// Notes who came, and the bit of a token that may have been found.
    fn note_known(&mut self, visit: &Visit, found: u64, params: &Guessing) {
        let Visit { source: at, who, now, .. } = *visit;
        let Some(source) = self.one.get(at) else { return };
        let burst = source.burst.misses(who, now, seconds(params.window_minutes));
        let day = source.day.misses(who, now, DAY);
        if !burst && !day && source.accepted & found == found {
            return;
        }
        if let Some(source) = self.one.change(at) {
            let _ = burst && source.burst.known.add(who);
            let _ = day && source.day.known.add(who);
            source.accepted |= found;
        }
    }

    /// Returns the parts that changed since the last call.
    pub(super) fn take(&mut self) -> impl Iterator<Item = HouseRow> {
        self.one.take("sources").chain(self.many.take("groups"))
    }

    /// Restores the tables from their rows; returns the names of the parts that cannot be read.
    pub(super) fn restore(&mut self, rows: &[HouseRow]) -> Vec<SmolStr> {
        let mut faults = self.one.restore(rows, "sources");
        faults.extend(self.many.restore(rows, "groups"));
        faults
    }

    /// Returns the number of sources and groups.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.one.len(), self.many.len())
    }
}

/// Tokens that one of many sources must have tried for a success to count as guessing: a user with one
/// stale session who logs in again has tried one.
const SPREAD_LEAST: u32 = 3;

fn bit_of_token(usage: &Usage) -> u64 {
    bit(key(&[&usage.token.0]))
}

impl Source {
    fn fail(&mut self, visit: &Visit, usage: &Usage, params: &Guessing) {
        let Visit { address, who, now, .. } = *visit;
        self.burst.fail(who, now, seconds(params.window_minutes));
        let (is_over, is_new) = self.day.fail(who, now, DAY);
        if is_over {
            (self.addresses, self.clients, self.accepted) = (0, 0, 0);
            self.gaps = Gaps::from(now);
        } else if is_new {
            self.gaps.add(now);
        }
        self.last = now;
        Telling::follow(&mut self.told, who, now);
        self.addresses |= bit_of_address(address);
        self.clients |= bit(key(&[usage.agent.family.as_bytes()]));
    }

    /// Returns whether it guessed within a day, reported or not.
    fn is_caught(&self, now: i64) -> bool {
        now.saturating_sub(self.caught).abs() < DAY || Telling::lasts(self.told, now).is_some()
    }

    /// Returns whether it tries so many that it is reported even as a part of what was.
    fn is_more(&self, params: &Guessing) -> bool {
        is_many_times(&self.day, params.day_tokens, params)
    }

    /// Returns how it guesses, if that is to be reported now.
    fn news(&mut self, now: i64, params: &Guessing) -> Option<Manner> {
        let manner = self.manner(params)?;
        // Reported or not: neither window says anything about what is usual.
        self.burst.discount();
        self.day.discount();
        let is_news = match Telling::lasts(self.told, now) {
            Some(told) if told.is_implied => self.is_more(params),
            Some(told) => told.is_slow && manner != Manner::Slow,
            None => !Telling::repeats(&mut self.told, &self.day, now),
        };
        if is_news {
            self.caught = now;
        }
        is_news.then_some(manner)
    }

    fn manner(&mut self, params: &Guessing) -> Option<Manner> {
        let times = params.usual_factor;
        let of = |strange, tries| Limits { strange, tries, times };
        if self.burst.is_strange(&of(params.tokens, params.tries)) {
            Some(Manner::Burst)
        } else if self.day.is_strange(&of(params.day_tokens, params.day_tokens)) {
            Some(Manner::Day)
        } else if self.gaps.regular().is_some()
            && self.day.is_strange(&of(params.slow_tokens, params.slow_tokens))
        {
            Some(Manner::Slow)
        } else {
            None
        }
    }

    /// Makes it reported.
    fn tell(&mut self, manner: Manner, now: i64) {
        self.told = Some(Telling::new(manner == Manner::Slow, self.day.strange, now));
    }

    fn guesses(&self, visit: &Visit, manner: Manner) -> Guesses {
        let window = if manner == Manner::Burst { &self.burst } else { &self.day };
        let named = Named { key: visit.source, name: Prefix::subscriber(visit.address) };
        let accepted = self.accepted.count_ones();
        Guesses { accepted, ..guesses(named, manner, window, visit.now) }
    }

    /// Makes the source part of a group that was reported.
    fn imply(&mut self, by: Telling, now: i64) {
        self.told = Some(Telling::implied(by, self.day.strange, now));
    }

    /// Returns the bit of a token that may have been found by guessing: it was accepted and is new here, and comes
    /// from an address or by a client that guesses.
    fn found(&self, visit: &Visit, usage: &Usage, novel: Families) -> Option<u64> {
        if usage.outcome() != Outcome::Ok {
            return None;
        }
        let token = bit_of_token(usage);
        let is_new = novel.has(Family::Prefix) || self.accepted & token != 0;
        let client = bit(key(&[usage.agent.family.as_bytes()]));
        let is_same_hand =
            || self.addresses & bit_of_address(visit.address) != 0 || self.clients & client != 0;
        (is_new && is_same_hand()).then_some(token)
    }

    /// Returns how its guessing succeeded with a token that was found, if it tried others shortly before.
    fn success(&self, now: i64, params: &Guessing) -> Option<Success> {
        let seconds = now.saturating_sub(self.last);
        let is_soon = seconds.abs() <= units(params.success_hours, HOUR) / SECOND;
        let Window { tries, strange, .. } = &self.day;
        let success = || Success { tokens: strange.count().min(*tries), tries: *tries, seconds };
        (is_soon && self.day.is_mostly_strange()).then(success)
    }
}

/// Returns what a window says about one source, of whose tokens none was accepted.
pub(super) fn guesses(named: Named, manner: Manner, window: &Window, now: i64) -> Guesses {
    let Window { tries, strange, known, .. } = window;
    Guesses {
        key: named.key,
        source: named.name,
        manner,
        tokens: strange.count().min(*tries),
        tries: *tries,
        seconds: window.seconds(now),
        sources: 1,
        known: Some(known.count()),
        accepted: 0,
        usual: Some(window.usual()),
        room: Room::One,
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
