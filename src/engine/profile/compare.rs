//! Compares a usage with the past: evidence by family, the actor's sum, the tier to report.

use crate::engine::geo::{Atlas, NetworkKind};
use crate::engine::profile::actor::{By, Tier};
use crate::engine::profile::burst::{Burst, Busy};
use crate::engine::profile::family::{Evidence, Families, Family};
use crate::engine::profile::load::Peak;
use crate::engine::profile::params::{Params, Score};
use crate::engine::profile::peers::{Class, Peers};
use crate::engine::profile::signals::{
    Errors, Keys, Placed, Signals, Usual, World, country_of, kind_of,
};
use crate::engine::profile::tables::Slot;
use crate::engine::profile::travel::Hop;
use crate::engine::profile::{DISORDER, Profile, day_of};
use crate::engine::stats::{Days, Nats, narrow};
use crate::engine::time::{DAY, MINUTE, Timestamp};

/// Number of countries, each used for at least a day, from which a principal is at home everywhere.
const DISTRIBUTED: usize = 3;
/// Number of principals of a class that must use a value before the class knows it: Entra ID disregards locations
/// that others of the organisation use. Where only machines are at home, a person is as strange as ever.
const KNOWN_HERE: u32 = 3;
/// ln 4: how much likelier the owner is to bring a value that its peers use.
const KNOWN_DISCOUNT: f64 = 1.386_294_361_119_890_6;

/// Returns the share of a family's evidence that counts beside what it follows from (docs/detection.md, Identity).
pub(super) fn chain(family: Family, novel: Families, placed: &Placed<'_>) -> f64 {
    let is_v6 = placed.prefix.is_some_and(|prefix| prefix.address().is_ipv6());
    let network = placed.place.network;
    match family {
        // the user chooses a VPN exit's country: it says little beside the exit itself
        Family::Country if network == Some(NetworkKind::Vpn) && novel.has(Family::Kind) => 0.5,
        // an access provider's customers are where it is: a thief abroad uses another one, so the database is wrong
        Family::Country | Family::Hop if is_access_known(novel, placed) => 0.35,
        Family::Kind => match network {
            Some(NetworkKind::Hosting | NetworkKind::Vpn) => 1.0,
            _ => 0.4,
        },
        Family::Network if novel.has(Family::Country) => 0.35,
        Family::Prefix if novel.has(Family::Network) => 0.15,
        // if operators are unknown, the prefix stands in for them
        Family::Prefix if placed.place.asn.is_none() && novel.has(Family::Country) => 0.35,
        // privacy addresses and dual stack: within a known network a new /48 is next to nothing
        Family::Prefix if is_v6 => 0.35,
        Family::Hop => 0.6,
        // travellers live by local time
        Family::Hour if novel.has(Family::Country) => 0.35,
        Family::Hour => 0.7,
        _ => 1.0,
    }
}

/// Returns whether the operator is known and is not one whose machines anybody can rent anywhere.
fn is_access_known(novel: Families, placed: &Placed<'_>) -> bool {
    let place = placed.place;
    place.asn.is_some() && !novel.has(Family::Network) && !is_rented(place.network)
}

const fn is_rented(kind: Option<NetworkKind>) -> bool {
    matches!(kind, Some(NetworkKind::Hosting | NetworkKind::Vpn))
}

/// Returns the discount on a value's evidence if others of the class use it: ln 4 (docs/detection.md, Peers). That they
/// rent a machine of a neighbourhood excuses no other machine of it: the next customer of the hoster has that.
fn discount(class: Class, family: Family, keys: &Keys, peers: &dyn Peers) -> f64 {
    let is_known = |value| peers.known_by(class, value) >= KNOWN_HERE;
    let is_anybodys = family == Family::Prefix && is_rented(keys.kind.and_then(kind_of));
    let is_shared = Family::COMMON.contains(&family) && keys.value(family).is_some_and(is_known);
    if is_shared && !is_anybodys { KNOWN_DISCOUNT } else { 0.0 }
}

/// Returns the families that a fleet change explains: what many took to at once says nothing about one of them.
/// A shared network explains where a principal is, a shared client what it uses, but not both: an office that moves
/// keeps its programs, and a deployment its network, whereas a thief of many tokens brings both. And nobody moves
/// abroad to machines that anybody can rent by the hour.
fn explained(signals: &Signals, seen: &Placed<'_>, peers: &dyn Peers) -> Families {
    if signals.has_all_changed() {
        return Families::default();
    }
    let is_shared = |family: Family| {
        let value = signals.value(family);
        value.is_some_and(|value| peers.is_shared_change(value, signals.time))
    };
    let has_moved = is_shared(Family::Network) || is_shared(Family::Prefix);
    let place = [Family::Country, Family::Kind, Family::Network, Family::Prefix, Family::Hop];
    let client = [Family::Client, Family::Version];
    let is_abroad = signals.novel.has(Family::Country) && is_rented(seen.place.network);
    let is_told = |family: &Family| is_abroad && matches!(family, Family::Country | Family::Hop);
    let place = place.into_iter().filter(|family| has_moved && !is_told(family));
    place.chain(client.into_iter().filter(|_| is_shared(Family::Client))).collect()
}

impl Profile {
    /// Compares a usage with the past. Changes nothing; [`absorb`](Self::absorb) makes it the past.
    #[must_use]
    pub fn compare(&self, seen: &Placed<'_>, params: &Params, world: &World<'_>) -> Signals {
        let keys = Keys::of(seen);
        let novel = self.novel(&keys, world.atlas);
        let time = seen.usage.time.min(world.latest).max(self.last.plus(-DISORDER));
        let is_late = self.is_late(seen.usage.time, params);
        let mut signals = Signals {
            time,
            is_late,
            is_outdated: is_late && self.is_outdated(seen.usage.time),
            is_accepted: seen.is_accepted(),
            is_spent: seen.is_spent(),
            is_somebody_else: false,
            is_fault: false,
            fault: None,
            is_rate_alone: false,
            is_rushing: false,
            rate_share: 0.0,
            is_barred: world.heard.is_barred && is_somebody_new(novel),
            active_days: self.days_before(day_of(time)),
            was_seen: false,
            novel,
            is_place_known: self.knows_place(novel, &keys),
            is_distributed: self.is_distributed(),
            explained: Families::default(),
            evidence: Evidence::default(),
            novelty: 0.0,
            actor: Evidence::default(),
            burst: None,
            score: 0.0,
            lead: 0.0,
            threshold: world.threshold.unwrap_or(params.score.alert),
            tier: Tier::None,
            is_reminder: false,
            is_serious: false,
            rate_tier: Tier::None,
            hop: None,
            routes: 0,
            stranger: None,
            networks: 0,
            errors: Errors::default(),
            gap_days: (0.0, 0.0),
            rested_hours: 0,
            known_since: self.known_since(),
            turn: None,
            spread: None,
            flood: None,
            keys,
            actor_key: self.actors.key_of(&keys, novel),
        };
        signals.was_seen = world.heard.has_forgotten || self.was_seen(&signals);
        if signals.is_outdated || self.n_days == 0 {
            return signals;
        }
        self.compare_identity(&mut signals, seen, params, world);
        self.compare_conduct(&mut signals, seen, params, world.peers);
        self.compare_rate(&mut signals, params);
        if !signals.is_late {
            self.compare_moment(&mut signals, seen, params, world.atlas);
        }
        self.score(&mut signals, params, world.peers);
        signals
    }

    /// Compares what only an hour, or the places of the last minutes, can say.
    fn compare_moment(
        &self,
        signals: &mut Signals,
        seen: &Placed<'_>,
        params: &Params,
        atlas: &dyn Atlas,
    ) {
        signals.turn = self.compare_turns(signals, params, atlas);
        let (spread, flood, peak) = self.compare_hour(signals, seen, params);
        (signals.spread, signals.flood) = (spread, flood);
        signals.burst = self.burst_with(signals.burst, peak, signals.time);
    }

    /// Returns whether a late usage says nothing any more.
    fn is_outdated(&self, time: Timestamp) -> bool {
        self.n_days == 0 || self.last.since(time) > DAY
    }

    /// Returns the active days before this one: the same for a day's first and second use, whichever line came first.
    fn days_before(&self, day: i32) -> u32 {
        self.n_days.saturating_sub(u32::from(self.day >= day))
    }

    /// Returns the day of a usage, or the current one if that has already begun.
    pub(super) fn today(&self, time: Timestamp) -> i32 {
        day_of(time.max(self.last))
    }

    pub(super) fn is_late(&self, time: Timestamp, params: &Params) -> bool {
        let late = u32::try_from(self.last.since(time) / MINUTE).unwrap_or(0);
        f64::from(late) >= params.learning.late_minutes && self.last.since(time) > 0
    }

    /// Returns whether a usage's actor was there on an earlier day: what is new may have been seen.
    fn was_seen(&self, signals: &Signals) -> bool {
        let actor = self.actors.get(signals.actor_key);
        actor.is_some_and(|actor| actor.was_there_before(self.today(signals.time)))
    }

    /// Returns whether an autonomous system is known, or another one of its operator.
    fn knows_operator(&self, asn: u32, atlas: &dyn Atlas) -> bool {
        let mut known = self.tables.of(Family::Network).iter().map(|slot| slot.key);
        self.tables.has(Family::Network, asn)
            || known.any(|known| atlas.is_one_operator(known, asn))
    }

    /// Returns which identity values are not in the tables.
    fn novel(&self, keys: &Keys, atlas: &dyn Atlas) -> Families {
        let mut novel = Families::default();
        let mut note = |family, is_new: bool| {
            if is_new {
                novel.add(family);
            }
        };
        note(
            Family::Country,
            keys.country.is_some_and(|key| !self.tables.has(Family::Country, key)),
        );
        note(Family::Kind, keys.kind.is_some_and(|key| !self.tables.has(Family::Kind, key)));
        note(Family::Network, keys.network.is_some_and(|asn| !self.knows_operator(asn, atlas)));
        note(Family::Prefix, keys.prefix.is_some_and(|key| !self.tables.has(Family::Prefix, key)));
        let is_new_client = !self.tables.has(Family::Client, keys.client);
        note(Family::Client, is_new_client);
        note(Family::Version, !is_new_client && !self.tables.has(Family::Version, keys.version));
        novel
    }

    fn knows_place(&self, novel: Families, keys: &Keys) -> bool {
        let is_network_known = match keys.network {
            Some(_) => !novel.has(Family::Network),
            None => !novel.has(Family::Prefix),
        };
        !novel.has(Family::Country) && is_network_known
    }

    fn is_distributed(&self) -> bool {
        let homes = self.tables.of(Family::Country).iter().filter(|slot| slot.weight >= Days::ONE);
        homes.count() >= DISTRIBUTED
    }

    pub(super) fn is_warm(&self, params: &Params) -> bool {
        self.days.get() > params.learning.warm_up
    }

    fn compare_identity(
        &self,
        signals: &mut Signals,
        seen: &Placed<'_>,
        params: &Params,
        world: &World<'_>,
    ) {
        if signals.novel == Families::default() {
            return;
        }
        let priors = world.peers.priors(self.class);
        let days = self.days_before_actor(signals);
        let weigh = |family: Family| {
            let seen_days = self.hazards.get(family);
            let known = discount(self.class, family, &signals.keys, world.peers);
            let nats = priors.evidence(family, seen_days, days) - known;
            let nats = nats.clamp(0.0, family.cap(&params.caps));
            Nats::new(nats * chain(family, signals.novel, seen))
        };
        let mut evidence = Evidence::default();
        if self.is_warm(params) {
            signals.novel.iter().for_each(|family| evidence.raise(family, weigh(family)));
        }
        if signals.novel.has(Family::Prefix) && signals.is_accepted && !signals.is_late {
            signals.hop = self.hop(signals.time, seen, params, world);
            // machines do not travel: one rented elsewhere is there at once
            let is_rental = self.is_rented() && is_rented(seen.place.network);
            let counts = self.is_warm(params) && !is_rental;
            let is_evidence = |hop: &Hop| counts && is_evidence(hop, params);
            if signals.hop.as_ref().is_some_and(is_evidence) {
                evidence.raise(Family::Hop, weigh(Family::Hop));
            }
        }
        signals.novelty = evidence.identity();
        // what many do does not excuse an actor whose misuse a person has confirmed
        if !world.heard.is_watched {
            signals.explained = explained(signals, seen, world.peers);
        }
        signals.evidence = evidence.without(signals.explained);
        if world.heard.is_watched && self.is_warm(params) && is_somebody_new(signals.novel) {
            signals.evidence.raise(Family::Watched, Nats::new(params.caps.watched));
        }
    }

    /// Returns the active days before an actor that is held back: a value does not become stranger while its actor is
    /// watched and its principal lives on. Where nobody else was there for a day, those days did not pass.
    fn days_before_actor(&self, signals: &Signals) -> f64 {
        let lives_on = signals.time.since(self.trusted) <= DAY;
        let watched = self.actors.get(signals.actor_key).map_or(0, |actor| actor.days);
        self.days.before(if lives_on { watched } else { 0 })
    }

    fn hop(
        &self,
        time: Timestamp,
        seen: &Placed<'_>,
        params: &Params,
        world: &World<'_>,
    ) -> Option<Hop> {
        self.fix.as_ref()?.hop(time, seen.place, world.atlas, &params.travel)
    }

    fn compare_rate(&self, signals: &mut Signals, params: &Params) {
        let time = signals.time;
        let actor = self.actors.get(signals.actor_key);
        let past = actor.map(|actor| actor.evidence_at(time)).unwrap_or_default();
        signals.actor = past.or(&signals.evidence);
        let is_wanted = signals.actor != Evidence::default()
            || time.hour() != self.pace.current_hour()
            || self.pace.is_notable(time);
        if is_wanted && !signals.is_late && self.is_counted(signals, params) {
            let (load, cap) = (&self.hourly.load, params.caps.rate);
            let burst = self.pace.burst(time, load, &params.rate, cap);
            // At an hour of rest it is news, however many there were at other hours.
            let is_at_rest = signals.evidence.get(Family::Hour) > Nats(0);
            signals.burst = match burst {
                Some(burst) if is_at_rest => Some(Burst { busy: Busy::More, ..burst }),
                burst => burst,
            };
        }
    }

    /// Returns the burst, with the peak in its place if there is one.
    fn burst_with(
        &self,
        burst: Option<Burst>,
        peak: Option<Peak>,
        time: Timestamp,
    ) -> Option<Burst> {
        let Some(Peak { window, count, largest, nats }) = peak else { return burst };
        let (others, surprise) = burst.map_or((Nats(0), 0.0), |burst| (burst.nats, burst.surprise));
        Some(Burst {
            nats: nats.max(others),
            window,
            count,
            expected: narrow(self.pace.expected(time.hour(), window)),
            usual: largest,
            busy: Busy::Extremely,
            is_now: true,
            surprise,
        })
    }

    /// Returns whether a usage counts for the pace. Requests that the server refused to somebody unknown do
    /// not: otherwise anybody who can send requests to the service could move the baseline.
    pub(super) fn is_counted(&self, signals: &Signals, params: &Params) -> bool {
        signals.is_accepted || !is_stranger(signals, params)
    }

    fn score(&self, signals: &mut Signals, params: &Params, peers: &dyn Peers) {
        let score = &params.score;
        let busy = signals.burst.map_or(Busy::More, |burst| burst.busy);
        signals.is_rushing = busy == Busy::Extremely || rate_now(signals) >= score.notice;
        let is_rush = signals.burst.is_some() && peers.is_rush(signals.time);
        if is_rush && busy != Busy::Extremely {
            signals.burst = None; // what many do at once says nothing about one of them
        }
        let rate = signals.burst.map_or(0.0, |burst| burst.nats.get());
        let now = rate_now(signals);
        let sum = signals.actor.sum();
        let is_extreme = busy == Busy::Extremely && !is_rush;
        let most = match busy {
            Busy::AsBefore => 0.0,
            Busy::Extremely if is_extreme => score.alert,
            _ => score.notice,
        };
        // several times the largest count ever is worth reporting, however much people's days differ
        let alone = if is_extreme { most } else { now.min(most) };
        // Nobody else is there: what the rate adds to hours and routes only says how busy the owner is, so it
        // raises no story above what the rate alone may reach.
        let beside = match signals.actor.identity() > 0.0 {
            _ if is_rush => 0.0,
            true => 0.5 * rate,
            false => (0.5 * rate).min((most - sum).max(0.0)),
        };
        let joined = if sum > 0.0 { sum + beside } else { 0.0 };
        signals.is_somebody_else = is_somebody_else(&signals.actor, params);
        signals.is_rate_alone = alone > joined;
        signals.score = joined.max(alone);
        signals.rate_share = match signals.is_rate_alone {
            true => signals.score,
            false => signals.score - sum,
        };

        signals.lead = self.lead(signals, score);
        signals.threshold = score.sooner(signals.threshold, signals.lead);
        // a rate that is held at the tier notice stays there, however low the threshold
        let is_held = signals.is_rate_alone && !is_extreme;
        self.rank(signals, score, if is_held { Tier::Notice } else { Tier::Critical });
    }

    /// Returns the lead for a token of rented machines. These rarely move, so somebody new who is not on an office
    /// network is reported sooner, with no more false alarms than for people (docs/detection.md, Tiers and risk).
    /// Each release brings another machine of the same operator and another version: these do not count.
    fn lead(&self, signals: &Signals, score: &Score) -> f64 {
        let of_release = [Family::Prefix, Family::Version].into_iter().collect();
        let is_somebody_new = signals.actor.without(of_release).identity() > 0.0;
        let is_office = signals.keys.kind.and_then(kind_of) == Some(NetworkKind::Business);
        if is_somebody_new && !is_office && self.is_rented() { score.rented_lead } else { 0.0 }
    }

    /// Determines the tiers to report: those above what was reported already, up to `most`.
    fn rank(&self, signals: &mut Signals, score: &Score, most: Tier) {
        let time = signals.time;
        let Signals { is_accepted, is_somebody_else, .. } = *signals;
        let by = By { is_accepted, is_somebody_else };
        let (actor, days) = (self.actors.get(signals.actor_key), score.actor_repeat_days);
        let by_actor = actor.map_or(Tier::None, |actor| actor.told.covers(time, days * 24.0, by));
        let lasting = actor.filter(|actor| !actor.was_away(self.today(time), days));
        let before = lasting.map_or(Tier::None, |actor| actor.reported(by));
        let told = self.told_score.covers(time, score.repeat_hours, by).max(by_actor);
        let tier = |alert| Tier::of(signals.score, &Score { alert, ..*score }).min(most);
        let configured = score.sooner(score.alert, signals.lead);
        let is_serious = tier(configured) >= Tier::Alert;
        // Somebody else who was reported, and goes on, is no news: the digest says so again.
        let tier = tier(signals.threshold);
        // Clients try the token that they have before they get the next: who is at work is reported with that.
        let tier = if signals.is_spent { tier.min(Tier::Notice) } else { tier };
        let to_tell = newly(if tier <= before { tier.min(Tier::Notice) } else { tier }, told);
        // What nothing but the rate says at the tier notice, `rate-spike` says.
        let is_of_rate = signals.is_rate_alone && signals.actor.identity() <= 0.0;
        let to_tell = if is_of_rate && to_tell == Tier::Notice { Tier::None } else { to_tell };
        (signals.tier, signals.is_serious) = (to_tell, is_serious);
        signals.is_reminder = to_tell > Tier::None && tier <= before;
        let told = self.told_rate.within(time, score.repeat_hours);
        signals.rate_tier = newly(Tier::of(rate_now(signals), score), told);
    }

    /// Returns what is usual; used only when something is reported.
    #[must_use]
    pub fn usual(&self) -> Usual {
        Usual {
            countries: heaviest(self.tables.of(Family::Country)).filter_map(country_of).collect(),
            kinds: heaviest(self.tables.of(Family::Kind)).filter_map(kind_of).collect(),
            networks: heaviest(self.tables.of(Family::Network)).collect(),
            prefixes: self.tables.of(Family::Prefix).len(),
            clients: self.tables.of(Family::Client).len(),
        }
    }
}

/// Returns what the rate adds where it stands out right now, and is not one that came before.
fn rate_now(signals: &Signals) -> f64 {
    let now = signals.burst.filter(|burst| burst.is_now && burst.busy != Busy::AsBefore);
    now.map_or(0.0, |burst| burst.nats.get())
}

fn newly(tier: Tier, told: Tier) -> Tier {
    if tier > told { tier } else { Tier::None }
}

fn is_evidence(hop: &Hop, params: &Params) -> bool {
    hop.km > params.travel.evidence_distance_km && hop.kmh > params.travel.min_speed_kmh
}

/// Returns whether somebody else is there. Less evidence than that is what the owner brings now and then: another
/// address of the usual provider.
pub(super) fn is_somebody_else(evidence: &Evidence, params: &Params) -> bool {
    evidence.identity() >= params.learning.hold
}

/// Returns whether a usage is by somebody whose values must not be learned from a refusal.
pub(super) fn is_stranger(signals: &Signals, params: &Params) -> bool {
    is_somebody_else(&signals.evidence, params) || is_somebody_new(signals.novel)
}

/// Returns whether country, network, neighbourhood or client is new.
fn is_somebody_new(novel: Families) -> bool {
    [Family::Country, Family::Network, Family::Prefix, Family::Client]
        .into_iter()
        .any(|family| novel.has(family))
}

fn heaviest(slots: &[Slot]) -> impl Iterator<Item = u32> {
    let mut slots = slots.to_vec();
    slots.sort_by_key(|slot| (std::cmp::Reverse(slot.weight), slot.key));
    slots.into_iter().map(|slot| slot.key)
}
