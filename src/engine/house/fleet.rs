//! What many principals took to at once: a company that moved, a deployment of a new client, a launch that makes
//! all of them busy. It is one event, reported once, and says nothing about any one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::house::Member;
use crate::engine::profile::{Value, section};
use crate::engine::stats::{self, units, whole};
use crate::engine::time::{DAY, HOUR, MINUTE, Timestamp};

section! {
    /// What many principals take to at once is one event.
    Fleet = "fleet" {
        /// Principals that take to the same new network or client.
        principals = 5.0, "principals", "docs/detection.md, Fleet";
        /// Period in which they are counted.
        window_minutes = 60.0, "min", "docs/detection.md, Fleet";
        /// Principals that know a value from which it is new for nobody.
        known = 3.0, "principals", "docs/detection.md, Fleet";
        /// How long a network or client then says nothing about one principal.
        keep_days = 14.0, "d", "docs/detection.md, Learning: as long as a suspect actor is watched";
        /// How long a rush of many then says nothing about one principal.
        rush_hours = 24.0, "h", "own choice: a launch, a month's end, the day after an outage";
        /// How long refused and missing answers of a route that many met say nothing about one principal.
        fault_hours = 24.0, "h", "own choice: a release is mended or taken back within a day";
    }
}

/// Number of values whose arrivals are counted at a time.
const VALUES: usize = 256;

/// Arrivals stored per value: this many at once are a fleet, whatever number is configured.
const ARRIVALS: usize = 64;

/// Prefix of the name of a route's errors.
const FAULT: &str = "fault:";

/// Characters stored of a principal's name, to say who took to something.
const NAME: usize = 64;

/// Returns a principal's name as alerts about many tokens have it.
#[must_use]
pub fn short_name(principal: &str) -> SmolStr {
    principal.chars().take(NAME).collect()
}

/// Recent arrivals. A value is `family:key`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Changes(BTreeMap<String, Change>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Change {
    /// The principals that took to it last, each once.
    arrivals: Vec<Arrival>,
    /// The period in which it is known as shared, in minutes since 1970.
    shared: Option<(i64, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Arrival {
    /// Hash of the name.
    who: u32,
    /// The name, truncated.
    name: SmolStr,
    /// In minutes since 1970.
    at: i64,
}

impl Change {
    /// Returns whether it is shared at a minute. A period that begins far ahead does not count: it comes from a wrong
    /// clock, and must not excuse anybody for years.
    fn is_shared_at(&self, minute: i64) -> bool {
        self.shared.is_some_and(|(from, until)| from - DAY / MINUTE <= minute && minute < until)
    }

    /// Returns whether it would be shared with one more principal.
    fn is_shared_with(&self, member: &Member<'_>, minute: i64, params: &Fleet) -> bool {
        let enough = |arrivals: usize| real(arrivals + 1) >= params.principals;
        if self.shared.is_some() || !enough(self.arrivals.len()) {
            return false;
        }
        let (own, window) = (member.names(), params.window());
        let is_other =
            |one: &&Arrival| !own.contains(&one.who) && (minute - one.at).abs() <= window;
        enough(self.arrivals.iter().filter(is_other).count())
    }
}

impl Fleet {
    fn window(&self) -> i64 {
        i64::from(whole(self.window_minutes))
    }
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What many may take to at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A value of a family: a network, a prefix, a client.
    Value(Value),
    /// Requests far faster than on each principal's own worst days.
    Rush,
    /// Far more refused and missing answers than ever, the last of them on this route.
    Fault(u32),
}

/// A change that many principals have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What changed.
    pub what: What,
    /// The principals that took to it so far, in that order.
    pub principals: Vec<SmolStr>,
    /// When it began.
    pub since: Timestamp,
    /// For how many minutes it then says nothing about others.
    pub minutes: i64,
}

impl What {
    fn name(self) -> String {
        match self {
            Self::Value(value) => value.to_string(),
            Self::Rush => "rush".to_owned(),
            Self::Fault(route) => format!("{FAULT}{route}"),
        }
    }

    /// Returns a hash that distinguishes it.
    #[must_use]
    pub fn key(self) -> u32 {
        stats::key(&[self.name().as_bytes()])
    }

    /// Returns how many minutes it stays shared.
    fn minutes(self, params: &Fleet) -> i64 {
        match self {
            Self::Value(..) => units(params.keep_days, DAY) / MINUTE,
            Self::Rush => units(params.rush_hours, HOUR) / MINUTE,
            Self::Fault(_) => units(params.fault_hours, HOUR) / MINUTE,
        }
    }
}

impl Changes {
    /// Returns whether many took to something lately, or would have with this principal, if it counts: the one that
    /// makes it a change of many is one of them.
    pub(super) fn is_shared(
        &self,
        what: What,
        member: &Member<'_>,
        time: Timestamp,
        params: &Fleet,
    ) -> bool {
        let minute = time.0.div_euclid(MINUTE);
        self.get(what).is_some_and(|change| {
            let is_last = || change.is_shared_with(member, minute, params);
            change.is_shared_at(minute) || member.counts && is_last()
        })
    }

    /// Returns whether many took to something lately.
    pub(super) fn is_known(&self, what: What, time: Timestamp) -> bool {
        self.get(what).is_some_and(|change| change.is_shared_at(time.0.div_euclid(MINUTE)))
    }

    fn get(&self, what: What) -> Option<&Change> {
        // usually there is none, and no name to build
        if self.0.is_empty() { None } else { self.0.get(&what.name()) }
    }

    /// Notes that a principal took to something, in one of the site's hours; returns what is shared if that makes it
    /// so.
    pub(super) fn note(
        &mut self,
        what: What,
        member: &Member<'_>,
        [time, hour]: [Timestamp; 2],
        params: &Fleet,
    ) -> Option<Shared> {
        let [minute, hour] = [time, hour].map(|time| time.0.div_euclid(MINUTE));
        let (name, window) = (what.name(), params.window());
        self.pass([minute, hour], window);
        if self.0.len() >= VALUES && !self.0.contains_key(&name) {
            self.evict();
        }
        let change = self.0.entry(name).or_default();
        // By the site's hour it may last a little longer than by this line, and be shared anew.
        if change.shared.is_some_and(|(_, until)| minute < until) {
            return None;
        }
        let own = member.names();
        change.arrivals.retain(|one| !own.contains(&one.who));
        if change.arrivals.len() < ARRIVALS {
            let (who, name) = (member.who(), short_name(member.principal));
            change.arrivals.push(Arrival { who, name, at: minute });
        }
        let is_near = |one: &Arrival| (minute - one.at).abs() <= window;
        let n_near = change.arrivals.iter().filter(|one| is_near(one)).count();
        if real(n_near) < params.principals && n_near < ARRIVALS {
            return None;
        }
        let minutes = what.minutes(params);
        let mut arrivals = std::mem::take(&mut change.arrivals);
        arrivals.retain(is_near);
        let first = arrivals.iter().map(|one| one.at).min().unwrap_or(minute);
        change.shared = Some((first, minute + minutes));
        let principals = arrivals.into_iter().map(|one| one.name).collect();
        Some(Shared { what, principals, since: Timestamp(first * MINUTE), minutes })
    }

    /// Returns whether it holds the names of principals: what is shared needs none.
    pub(super) fn has_names(&self) -> bool {
        self.0.values().any(|change| !change.arrivals.is_empty())
    }

    /// Forgets who took to something, and counts anew.
    pub(super) fn forget_names(&mut self) {
        self.0.retain(|_, change| {
            change.arrivals.clear();
            change.shared.is_some()
        });
    }

    /// Drops what is over: what is no longer shared, and arrivals too old to be among many. A line with a wrong clock
    /// ends nothing that lasts by the site's, and that may be far behind after a rest.
    fn pass(&mut self, now: [i64; 2], window: i64) {
        // The site's hour has sixty minutes.
        let is_near =
            |one: &Arrival| now.iter().any(|now| (now - one.at).abs() <= window + HOUR / MINUTE);
        self.0.retain(|_, change| {
            change.arrivals.retain(is_near);
            match change.shared {
                Some(_) => now.iter().any(|now| change.is_shared_at(*now)),
                None => !change.arrivals.is_empty(),
            }
        });
    }

    /// Evicts what is not shared and nobody took to for longest; errors first, because one scanner makes any number.
    fn evict(&mut self) {
        let last = |change: &Change| change.arrivals.iter().map(|one| one.at).max();
        let is_fault = |name: &str| name.starts_with(FAULT);
        let worth = |name: &str, change: &Change| (change.shared, !is_fault(name), last(change));
        let least = self.0.iter().min_by_key(|(name, change)| worth(name, change));
        if let Some(name) = least.map(|(name, _)| name.clone()) {
            self.0.remove(&name);
        }
    }
}
