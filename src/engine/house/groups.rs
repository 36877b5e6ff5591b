//! What sources of guesses have in common: a /48, an operator, or client and route.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::sources::{Guesses, Guessing, Manner, guesses, seconds};
use super::table::Entry;
use super::telling::Telling;
use super::visit::{Named, Visit, bit, key_of_source};
use super::window::{Limits, Window};
use crate::engine::profile::Placed;
use crate::engine::stats::{Sketch, key};
use crate::engine::usage::Usage;

/// In seconds.
const DAY: i64 = 86_400;

/// Sources that have a /48, an operator, or client and route in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    window: Window,
    /// Its sources, as bits.
    sources: u64,
    last: i64,
    told: Option<Telling>,
    #[serde(default)]
    members: Members,
    /// When its guessing was last news, reported or not, in seconds since 1970.
    #[serde(default)]
    caught: i64,
}

/// The sources of a group that were reported one by one within a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Members {
    /// When the first of them was reported, and when its window began.
    since: i64,
    began: i64,
    /// As bits.
    sources: u64,
    tries: u32,
    tokens: Sketch,
    /// Tokens accepted from there that were never used from there before, as bits.
    #[serde(default)]
    accepted: u64,
}

/// What a try means for its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It is no sign of guessing.
    Ordinary,
    /// It belongs to what was reported about the group.
    Known,
    /// It may belong to what was reported about a wider group of which this one was a part: that one decides.
    Part,
    /// It is to be reported now.
    News,
}

impl Entry for Group {
    fn worth(&self, now: i64) -> impl Ord {
        let is_live = now.saturating_sub(self.last).abs() < DAY;
        let strange = if is_live { self.window.strange.count() } else { 0 };
        (Telling::rank(self.told, now), strange, self.window.usual(), self.last)
    }
}

impl Group {
    pub(super) fn fail(&mut self, visit: &Visit, params: &Guessing) {
        let Visit { source, who, now, .. } = *visit;
        Telling::follow(&mut self.told, who, now);
        let (is_over, _) = self.window.fail(who, now, seconds(params.spread_minutes));
        self.sources = bit_of_source(source) | if is_over { 0 } else { self.sources };
        self.last = now;
    }

    /// Judges what has failed so far.
    pub(super) fn judge(&mut self, now: i64, params: &Guessing) -> Course {
        let is_guessing = self.is_guessing(params);
        match Telling::lasts(self.told, now) {
            Some(told) if !told.is_implied => return Course::Known,
            Some(_) if !(is_guessing && self.is_more(params)) => return Course::Part,
            None if !is_guessing => return Course::Ordinary,
            None if Telling::repeats(&mut self.told, &self.window, now) => return Course::Known,
            _ => {}
        }
        self.caught = now;
        Course::News
    }

    /// Returns whether so much fails that it is reported even as a part of what was.
    pub(super) fn is_more(&self, params: &Guessing) -> bool {
        is_many_times(&self.window, params.spread_tokens, params)
    }

    /// Returns what was reported about the group itself within a day. A report of which it is only a part says nothing
    /// about others of the group.
    pub(super) fn told(&self, now: i64) -> Option<Telling> {
        Telling::lasts(self.told, now).filter(|told| !told.is_implied)
    }

    /// Returns whether somebody known is still to be counted.
    pub(super) fn misses(&self, who: u32, now: i64, params: &Guessing) -> bool {
        self.window.misses(who, now, seconds(params.spread_minutes))
    }

    /// Counts somebody known.
    pub(super) fn meet(&mut self, who: u32) {
        self.window.known.add(who);
    }

    /// Returns whether it guessed within a day, reported or not.
    pub(super) fn is_caught(&self, now: i64) -> bool {
        now.saturating_sub(self.caught).abs() < DAY || Telling::lasts(self.told, now).is_some()
    }

    fn is_guessing(&mut self, params: &Guessing) -> bool {
        let Guessing { spread_tokens, spread_sources, usual_factor, .. } = *params;
        let limits = Limits { strange: spread_tokens, tries: spread_tokens, times: usual_factor };
        spread_sources <= f64::from(self.sources.count_ones()) && self.window.is_strange(&limits)
    }

    pub(super) fn tell(&mut self, named: Named, now: i64) -> Guesses {
        self.told = Some(Telling::new(false, self.window.strange, now));
        let sources = self.sources.count_ones();
        Guesses { sources, ..guesses(named, Manner::Spread, &self.window, now) }
    }

    /// Makes the group part of a wider one that was reported.
    pub(super) fn imply(&mut self, by: Telling, now: i64) {
        self.told = Some(Telling::implied(by, self.window.strange, now));
    }

    /// Notes a source that is due to be reported itself, by what it tried within a day and what was accepted from
    /// there. Returns whether so many of the group are that it is reported instead.
    pub(super) fn join(
        &mut self,
        visit: &Visit,
        day: &Window,
        accepted: u64,
        params: &Guessing,
    ) -> bool {
        self.members.add(visit, day);
        self.members.accepted |= accepted;
        params.spread_sources <= f64::from(self.members.sources.count_ones())
    }

    /// Makes the group reported for its members; returns that report.
    pub(super) fn tell_members(&mut self, now: i64) -> Telling {
        let told = Telling::new(false, self.members.tokens, now);
        (self.told, self.caught) = (Some(told), now);
        told
    }

    /// Returns what its members tried. The group's window says neither what is usual for them nor who is known there:
    /// it holds what they tried in other hours themselves.
    pub(super) fn guesses_of_members(&self, named: Named, now: i64) -> Guesses {
        let Members { began, sources, tries, tokens, accepted, .. } = self.members;
        Guesses {
            tokens: tokens.count().min(tries),
            tries,
            seconds: now.saturating_sub(began).max(0),
            sources: sources.count_ones(),
            known: None,
            accepted: accepted.count_ones(),
            usual: None,
            ..guesses(named, Manner::Spread, &self.window, now)
        }
    }

    /// Forgets sources that a narrower group was reported for: who else comes is not one of them.
    pub(super) fn release(&mut self) {
        (self.sources, self.members) = Default::default();
    }
}

impl Members {
    fn add(&mut self, visit: &Visit, day: &Window) {
        let Visit { source, now, .. } = *visit;
        let began = now.saturating_sub(day.seconds(now));
        if now.saturating_sub(self.since).abs() >= DAY {
            *self = Self { since: now, began, ..Self::default() };
        }
        self.began = self.began.min(began);
        self.tokens.merge(&day.strange);
        let source = bit_of_source(source);
        if self.sources & source == 0 {
            self.tries = self.tries.saturating_add(day.tries);
        }
        self.sources |= source;
    }
}

fn bit_of_source(source: u64) -> u64 {
    bit(key(&[&source.to_le_bytes()]))
}

/// Returns whether a window holds as many times a limit as make a past no excuse.
pub(super) fn is_many_times(window: &Window, limit: f64, params: &Guessing) -> bool {
    let most = (params.usual_factor * limit).min(f64::from(Sketch::FULL));
    most <= f64::from(window.strange.count())
}

/// Returns what a source may have in common with others, the narrowest first.
pub(super) fn keys_of_groups(placed: &Placed<'_>) -> [Option<u64>; 3] {
    const SITE: u64 = 1 << 56;
    const OPERATOR: u64 = 2 << 56;
    const MANNER: u64 = 3 << 56;
    let v6 = placed.usage.client.filter(IpAddr::is_ipv6);
    let site = v6.map(|address| SITE | key_of_source(address) >> 16);
    let operator = placed.place.asn.map(|asn| OPERATOR | u64::from(asn));
    let Usage { agent, method, route, .. } = placed.usage;
    let manner = key(&[agent.family.as_bytes(), method.as_bytes(), route.as_bytes()]);
    [site, operator, Some(MANNER | u64::from(manner))]
}

pub(super) fn name_of_group(at: usize, placed: &Placed<'_>) -> SmolStr {
    let Usage { agent, method, route, .. } = placed.usage;
    match (at, placed.prefix, placed.place.asn) {
        (0, Some(prefix), _) => format_smolstr!("{prefix}"),
        (1, _, Some(asn)) => format_smolstr!("AS{asn}"),
        _ => format_smolstr!("{} {method} {route}", agent.family).trim_start().into(),
    }
}
