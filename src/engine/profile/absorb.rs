//! Makes a usage part of the past, or holds it back if somebody unknown did it.

use crate::engine::profile::actor::{Actor, Actors, Newcomer, Tier, Voice, minute};
use crate::engine::profile::compare::is_stranger;
use crate::engine::profile::conduct::route_bit;
use crate::engine::profile::family::{Families, Family};
use crate::engine::profile::params::Params;
use crate::engine::profile::signals::{Absorbed, Placed, Rise, Signals};
use crate::engine::profile::told::Told;
use crate::engine::profile::travel::Fix;
use crate::engine::profile::{Profile, Story, day_of};
use crate::engine::stats::{Nats, narrow};
use crate::engine::time::{DAY, HOUR, Timestamp};

/// Consecutive usages, each late by more than a day, after which the last time is the wrong one: one
/// line from the future must not block a principal for good.
const LATE_RUN: u8 = 64;
/// The most errors learned from one day: this many times the expected number, plus a few.
const ERRORS_LEARNED: (f64, f64) = (3.0, 10.0);

impl Profile {
    /// Makes a compared usage part of the past. `signals` are those of this usage and this profile.
    ///
    /// Values of known actors become normal at once. Values of a new actor become normal at once if they
    /// are little evidence, otherwise on its third day of accepted use, or on its fourteenth if it is
    /// suspect. A usage that the server refused to an actor with any new value teaches nothing, but its
    /// evidence counts.
    pub fn absorb(&mut self, seen: &Placed<'_>, signals: &Signals, params: &Params) -> Absorbed {
        if signals.is_late {
            self.count_late(seen.usage.time);
        } else {
            self.note_time(seen, signals, params);
        }
        if signals.is_outdated {
            return Absorbed::default();
        }
        if let Some(network) = signals.stranger {
            self.strangers.note(network, self.today(signals.time), self.days.get());
        }
        let rise = self.note_score(signals, params);
        let is_held = self.note_actor(seen, signals, params);
        let is_refused = !signals.is_accepted && is_stranger(signals, params);
        let is_learned = !is_held && !is_refused;
        let identity = Family::IDENTITY.into_iter().filter(|family| signals.novel.has(*family));
        let new: Families = identity.collect();
        let is_brought = signals.is_accepted && self.is_warm(params);
        let mut absorbed = Absorbed {
            learned: if is_learned { new } else { Families::default() },
            brought: if is_brought { new } else { Families::default() },
            reclassed: Vec::new(),
            rise,
        };
        if is_learned {
            let was = (self.class, self.is_settled());
            self.learn(seen, signals, params);
            if (self.class, self.is_settled()) != was {
                absorbed.reclassed = self.values();
            }
        }
        absorbed
    }

    /// Notes what a usage says about when the principal is active.
    fn note_time(&mut self, seen: &Placed<'_>, signals: &Signals, params: &Params) {
        self.late_run = 0;
        self.last = self.last.max(signals.time);
        if self.is_counted(signals, params) {
            self.pace.count(signals.time, &params.rate, params.score.notice);
        }
        self.note_turn(signals, params);
        self.note_hour(signals, seen);
    }

    fn count_late(&mut self, time: Timestamp) {
        self.late = self.late.saturating_add(1);
        let is_far = self.last.since(time) > DAY;
        self.late_run = if is_far { self.late_run.saturating_add(1) } else { 0 };
        if self.late_run >= LATE_RUN {
            self.turn_back(time);
        }
    }

    /// Sets the principal's clock to a usage if it is so far ahead that even the latest possible usage would be late:
    /// the clock of the machine or of a log was wrong then.
    pub fn correct_clock(&mut self, time: Timestamp, latest: Timestamp, params: &Params) {
        if self.is_late(latest, params) {
            self.turn_back(time);
        }
    }

    fn turn_back(&mut self, time: Timestamp) {
        self.late_run = 0;
        self.last = time;
        self.trusted = self.trusted.min(time);
        self.day = self.day.min(day_of(time));
        self.rhythm.day = self.rhythm.day.min(day_of(time));
        self.max_gap_hours = self.max_gap_hours.min(self.longest_gap_before(time));
        self.pace.turn_back(time.hour());
        self.hourly.turn_back(time.hour());
        self.turns.recent.clear();
        (self.fix, self.actors, self.told) = (None, Actors::default(), Told::default());
        (self.told_score, self.told_rate) = (Voice::default(), Voice::default());
        self.story = None;
    }

    /// Returns how many hours nothing can have been used for at most, by the number of active days before a time: the
    /// longest gap must not be the one to a wrong clock.
    fn longest_gap_before(&self, time: Timestamp) -> u32 {
        let Some(born) = self.known_since().filter(|born| *born <= time) else { return u32::MAX };
        let active = i64::from(self.n_days.saturating_sub(1)); // one is of the wrong clock
        let lived = time.day() - born.day() + 1;
        // It begins within an active day, and ends within one.
        let most = lived.saturating_sub(active).max(0) + 2;
        u32::try_from(most.saturating_mul(DAY / HOUR)).unwrap_or(u32::MAX)
    }

    /// Notes the score of a story, which begins when something is reported and lasts until it may be reported again.
    fn note_score(&mut self, signals: &Signals, params: &Params) -> Option<Rise> {
        let minute = minute(signals.time);
        let score = Nats::new(signals.score + signals.lead);
        let hours = params.score.repeat_hours;
        let is_open = |story: &Story| {
            let told = Voice { tier: Tier::Notice, minute: story.minute, ..Voice::default() };
            told.within(signals.time, hours) > Tier::None
        };
        let story = self.story.filter(is_open);
        let rises = match story {
            Some(story) => score > story.score,
            None => signals.tier > Tier::None,
        };
        if !rises {
            return None;
        }
        self.story = Some(Story { score, minute: story.map_or(minute, |story| story.minute) });
        Some(Rise { from: story.map(|story| story.score.get()), to: score.get() })
    }

    /// Notes the actor and what was reported; returns whether the actor's values are held back.
    fn note_actor(&mut self, seen: &Placed<'_>, signals: &Signals, params: &Params) -> bool {
        let (time, day) = (signals.time, self.today(signals.time));
        let (is_refused, is_own) = (!signals.is_accepted, !signals.is_somebody_else);
        let voice = |tier| Voice { tier, minute: minute(time), ..Voice::default() };
        let told = Voice { is_refused, is_own, ..voice(signals.tier) };
        let score = &params.score;
        if signals.tier > Tier::None {
            self.told_score = told.beside(self.told_score, time, score.repeat_hours);
        }
        if signals.rate_tier > Tier::None {
            self.told_rate = voice(signals.rate_tier);
        }
        let newcomer = newcomer(signals, day, score.actor_repeat_days);
        let Some(actor) = self.actors.entry(&newcomer) else { return false };
        if actor.was_away(day, score.actor_repeat_days) {
            actor.told = Voice::default();
        }
        let before = if signals.is_reminder { actor.told.tier } else { Tier::None };
        count_today(actor, seen, signals, day);
        if signals.evidence.sum() > 0.0 {
            actor.add(time, &signals.evidence);
        }
        let hold = params.learning.hold;
        if signals.tier > Tier::None {
            let told = Voice { tier: told.tier.max(before), ..told };
            actor.told = told.beside(actor.told, time, score.actor_repeat_days * 24.0);
        }
        if signals.is_barred {
            actor.is_suspect = true; // its place is kept
            return true;
        }
        let identity = signals.novelty;
        // A value that has become known adds no evidence, but its earlier evidence is kept for a day.
        let is_still_new = identity > 0.0 && signals.is_somebody_else;
        actor.is_suspect |= signals.is_serious && is_still_new;
        let is_new = identity >= hold || (actor.days > 0 && identity > 0.0); // once held, to the end
        if !is_new && !actor.is_suspect {
            actor.days = 0;
            return false;
        }
        if !signals.is_accepted {
            return true;
        }
        if !actor.is_day_counted || actor.days == 0 {
            actor.days = actor.days.saturating_add(1);
            actor.is_day_counted = true;
        }
        let learning = &params.learning;
        let days =
            if actor.is_suspect { learning.promote_alerted_days } else { learning.promote_days };
        if f64::from(actor.days) >= days {
            (actor.days, actor.is_suspect) = (0, false);
            return false;
        }
        if actor.days == 1 && !actor.is_suspect {
            self.count_novelty(signals);
        }
        true
    }

    /// Notes which families had something new today, at most once a day.
    fn count_novelty(&mut self, signals: &Signals) {
        let families = Family::IDENTITY.into_iter().chain([Family::Hop]);
        let is_new = |family: &Family| signals.evidence.get(*family) > Nats(0);
        let new: Families = families.filter(is_new).collect();
        new.iter().for_each(|family| self.hazards.count(family));
    }

    fn learn(&mut self, seen: &Placed<'_>, signals: &Signals, params: &Params) {
        let is_new_day = self.n_days == 0 || self.today(signals.time) > self.day;
        if is_new_day && !signals.is_late {
            self.begin_day(signals.time.max(self.last));
        }
        let day = self.day;
        if self.days.get() > params.learning.warm_up {
            self.count_novelty(signals);
        }
        let keys = &signals.keys;
        let _ = keys.country.map(|key| self.tables.see(Family::Country, key, day));
        let _ = keys.kind.map(|key| self.tables.see(Family::Kind, key, day));
        let _ = keys.network.map(|key| self.tables.see(Family::Network, key, day));
        let _ = keys.prefix.map(|key| self.tables.see(Family::Prefix, key, day));
        self.tables.see(Family::Client, keys.client, day);
        self.tables.see(Family::Version, keys.version, day);
        if !matches!(seen.usage.status, Some(401 | 407)) {
            if signals.novel.has(Family::Routes) {
                self.hazards.routes = self.hazards.routes.saturating_add(256);
            }
            self.tables.see(Family::Routes, keys.route, day);
        }
        let [errors, requests] = &mut self.errors_today;
        *requests = requests.saturating_add(1);
        *errors = errors.saturating_add(u32::from(seen.is_error()));
        if !signals.is_late {
            self.learn_time(signals);
        }
        if signals.is_accepted && !signals.is_late {
            self.learn_place(signals.time, seen);
        }
    }

    /// Learns when the principal is active.
    fn learn_time(&mut self, signals: &Signals) {
        let time = signals.time;
        self.hours.see(time.max(Timestamp(i64::from(self.day).saturating_mul(DAY))));
        let gap_hours = time.since(self.trusted) / HOUR - signals.rested_hours;
        let gap_hours = u32::try_from(gap_hours).unwrap_or(0);
        if self.n_days > 1 {
            self.max_gap_hours = self.max_gap_hours.max(gap_hours);
        }
        self.trusted = self.trusted.max(time);
    }

    /// Learns where the principal was last.
    fn learn_place(&mut self, time: Timestamp, seen: &Placed<'_>) {
        let is_latest = self.fix.as_ref().is_none_or(|fix| fix.time <= time);
        if is_latest && let Some(fix) = Fix::of(time, seen.place) {
            self.fix = Some(fix);
        }
    }

    /// Ends the last active day.
    fn begin_day(&mut self, time: Timestamp) {
        let [errors, requests] = self.errors_today.map(f64::from);
        let limit = ERRORS_LEARNED.0 * requests * self.error_rate() + ERRORS_LEARNED.1;
        let fade = libm::exp2(-1.0 / 30.0);
        let [old_errors, old_requests] = self.errors.map(f64::from);
        self.errors =
            [narrow(old_errors * fade + errors.min(limit)), narrow(old_requests * fade + requests)];
        self.errors_today = [0, 0];

        self.day = day_of(time);
        if self.calendar.count(self.day) {
            self.n_days = self.n_days.saturating_add(1);
            self.days = self.days.faded().and_one();
            self.hazards.fade();
            self.strangers.fade();
        }
        self.tables.fade();
        self.hours.begin_day(time);
        self.turns.begin_day();
        self.class = self.classify();
    }
}

fn newcomer(signals: &Signals, day: i32, watch_days: f64) -> Newcomer {
    // what others explain is no evidence, but held back
    let is_new = signals.evidence.identity() > 0.0 || signals.novelty > 0.0;
    let is_notable = is_new || signals.is_barred;
    Newcomer { key: signals.actor_key, day, watch_days, is_notable }
}

fn count_today(actor: &mut Actor, seen: &Placed<'_>, signals: &Signals, day: i32) {
    let (requests, errors, routes) = actor.today(day);
    actor.is_day_counted &= actor.day == day;
    actor.day = day;
    actor.requests = requests.saturating_add(1);
    actor.errors = errors.saturating_add(u32::from(seen.is_error() && !signals.is_fault));
    let is_new_route = signals.novel.has(Family::Routes);
    actor.routes = if is_new_route { routes | route_bit(signals.keys.route) } else { routes };
}
