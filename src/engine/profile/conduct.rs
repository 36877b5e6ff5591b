//! Compares what a principal does, rather than who it is: the hour, new routes, errors, gaps, and how many strangers
//! come.

use crate::engine::profile::actor::distinct;
use crate::engine::profile::compare::{chain, is_somebody_else};
use crate::engine::profile::family::{Evidence, Family, Priors};
use crate::engine::profile::params::Params;
use crate::engine::profile::peers::Peers;
use crate::engine::profile::signals::{Errors, Placed, Signals};
use crate::engine::profile::{Profile, strangers};
use crate::engine::stats::{Nats, surprise};
use crate::engine::time::{DAY, HOUR, MINUTE, Timestamp};

/// The shortest gap worth reporting: a week.
const WEEK_DAYS: i64 = 7;
const SHORTEST_GAP: i64 = WEEK_DAYS * DAY;
/// Fewer refused or missing objects per actor and day are chance, however rare they are.
const LEAST_ERRORS: u32 = 3;
/// Errors of the owner, as far as is known, from which they may say as much as errors ever do. Dead links and missing
/// files come in clumps: where there usually are none, chance explains three no worse than one.
const ENOUGH_ERRORS: f64 = 10.0;

impl Profile {
    /// Compares hour, routes, errors and dormancy.
    pub(super) fn compare_conduct(
        &self,
        signals: &mut Signals,
        seen: &Placed<'_>,
        params: &Params,
        peers: &dyn Peers,
    ) {
        let priors = peers.priors(self.class);
        let (time, caps, warm_up) = (signals.time, &params.caps, params.learning.warm_up);
        if !signals.is_late {
            let hour = self.hours.evidence(time, priors, warm_up, caps.hour);
            let hour = hour * chain(Family::Hour, signals.novel, seen);
            signals.evidence.raise(Family::Hour, Nats::new(hour));
            self.compare_gap(signals, params, peers);
        }
        let actor = self.actors.get(signals.actor_key);
        let (requests, errors, bits) =
            actor.map_or((0, 0, 0), |actor| actor.today(self.today(time)));
        signals.errors = Errors { count: errors, requests: requests.saturating_add(1) };
        if !self.tables.has(Family::Routes, signals.keys.route) {
            signals.novel.add(Family::Routes);
            signals.routes = distinct(bits | route_bit(signals.keys.route));
            if self.is_warm(params) {
                let usual =
                    (f64::from(self.hazards.routes) / 256.0 + 0.3) / (self.days.get() + 1.0);
                let nats = (surprise(signals.routes, usual, 1.0) - 0.5).min(caps.routes);
                // a release brings both: another version, and routes that the old one could not request
                let is_version = |evidence: Evidence| evidence.get(Family::Version) > Nats(0);
                let has_version = is_version(signals.evidence)
                    || actor.is_some_and(|actor| is_version(actor.evidence_at(time)));
                let chain = if has_version { 0.5 } else { 1.0 };
                signals.evidence.raise(Family::Routes, Nats::new(nats * chain));
            }
        }
        if seen.is_error() {
            self.compare_errors(signals, errors, params, peers);
        }
        self.compare_strangers(signals, seen, params, priors);
    }

    /// Compares errors, of which the actor had so many today before this one.
    fn compare_errors(
        &self,
        signals: &mut Signals,
        before: u32,
        params: &Params,
        peers: &dyn Peers,
    ) {
        let (time, route, cap) = (signals.time, signals.keys.route, params.caps.errors);
        let counted = Errors { count: before.saturating_add(1), ..signals.errors };
        let nats = if self.is_warm(params) { self.error_nats(counted).min(cap) } else { 0.0 };
        let share = (f64::from(counted.count) / ENOUGH_ERRORS).min(1.0);
        let of_owner = nats.min(cap * share);
        // fewer are chance, and on a large site there are always some who met a few
        let is_full = nats > 0.0 && of_owner >= cap;
        signals.fault = is_full.then_some(route);
        signals.is_fault = peers.is_fault(route, time);
        if !signals.is_fault {
            let past = self.actors.get(signals.actor_key).map(|actor| actor.evidence_at(time));
            let evidence = past.unwrap_or_default().or(&signals.evidence);
            let nats = if is_somebody_else(&evidence, params) { nats } else { of_owner };
            signals.errors = counted;
            signals.evidence.raise(Family::Errors, Nats::new(nats));
        }
    }

    /// Compares dormancy: the first use after a long gap. An actor that is held back does not end the gap for others,
    /// but it does for itself. When nobody called, a log was lost, or all had a holiday: that is no gap of one
    /// principal.
    fn compare_gap(&self, signals: &mut Signals, params: &Params, peers: &dyn Peers) {
        let (time, cap) = (signals.time, params.caps.dormancy);
        let was_here = self.actors.get(signals.actor_key);
        let used = was_here.filter(|actor| actor.days > 0);
        let used = used.map(|actor| Timestamp(i64::from(actor.day).saturating_mul(DAY)));
        if time.since(self.trusted) > DAY {
            signals.rested_hours = peers.rested(self.trusted, time);
        }
        let last = used.map_or(self.trusted, |used| used.max(self.trusted));
        if time.since(last) <= SHORTEST_GAP || !self.is_warm(params) {
            return;
        }
        let gap = time.since(last) - peers.rested(last, time) * HOUR;
        if gap <= SHORTEST_GAP {
            return;
        }
        let days =
            |micros: i64| f64::from(u32::try_from(micros / MINUTE).unwrap_or(u32::MAX)) / 1440.0;
        signals.gap_days = (days(gap), f64::from(self.max_gap_hours) / 24.0);
        let is_first = was_here.is_none_or(|actor| time.day() - i64::from(actor.day) > WEEK_DAYS);
        if is_first {
            let nats = 1.5 * libm::log(signals.gap_days.0 / (signals.gap_days.1 + 1.0));
            signals.evidence.raise(Family::Dormancy, Nats::new(nats.min(cap)));
        }
    }

    /// Compares the number of today's new networks, if this usage comes from one of them.
    fn compare_strangers(
        &self,
        signals: &mut Signals,
        seen: &Placed<'_>,
        params: &Params,
        priors: &Priors,
    ) {
        let family = if signals.keys.network.is_some() { Family::Network } else { Family::Prefix };
        let is_new = signals.novel.has(family) && !signals.explained.has(family);
        // without operators, each privacy address of IPv6 may look like a network of its own
        let is_v6 = seen.prefix.is_some_and(|prefix| prefix.address().is_ipv6());
        let is_new = is_new && !(is_v6 && family == Family::Prefix);
        if !is_new || !signals.is_accepted || !self.is_warm(params) {
            return;
        }
        let Some(network) = signals.keys.get(family) else { return };
        signals.stranger = Some(network);
        signals.networks = self.strangers.with(network, self.today(signals.time));
        let expected = self.strangers.expected(self.days.get(), priors.get(family));
        let nats = strangers::evidence(signals.networks, expected).min(params.caps.strangers);
        signals.evidence.raise(Family::Strangers, Nats::new(nats));
    }

    /// Returns the evidence of a day's errors.
    fn error_nats(&self, Errors { count, requests }: Errors) -> f64 {
        let usual = f64::from(requests) * self.error_rate();
        if count < LEAST_ERRORS { 0.0 } else { surprise(count, usual, 0.5) - 1.5 }
    }

    pub(super) fn error_rate(&self) -> f64 {
        let [errors, requests] = self.errors.map(f64::from);
        (errors + 0.3) / (requests + 30.0)
    }
}

pub(super) const fn route_bit(route: u32) -> u64 {
    1 << (route % 64)
}
