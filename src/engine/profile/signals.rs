//! The result of a comparison: a usage with its place, and how it differs from the past.

use std::net::IpAddr;

use crate::engine::geo::{Atlas, Country, NetworkKind, Place, Prefix};
use crate::engine::profile::actor::Tier;
use crate::engine::profile::burst::Burst;
use crate::engine::profile::family::{Evidence, Families, Family, Value};
use crate::engine::profile::fan::Spread;
use crate::engine::profile::peers::Peers;
use crate::engine::profile::travel::Hop;
use crate::engine::profile::turns::Turn;
use crate::engine::profile::volume::Flood;
use crate::engine::profile::word::Heard;
use crate::engine::stats::key;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Agent, Usage};

/// A usage and where it came from: the result of step 6.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The usage.
    pub usage: &'a Usage,
    /// Where its client is.
    pub place: &'a Place,
    /// The client's neighbourhood.
    pub prefix: Option<Prefix>,
}

impl<'a> Placed<'a> {
    /// Joins a usage with its place.
    #[must_use]
    pub fn new(usage: &'a Usage, place: &'a Place) -> Self {
        Self { usage, place, prefix: usage.client.map(Prefix::of) }
    }

    /// Returns whether the server accepted the token, or at least did not say otherwise.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.usage.is_accepted()
    }

    /// Returns whether the server refused a token that had expired by its own account: it opens no door.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        let has_ended = |end| end <= self.usage.time;
        !self.is_accepted() && self.usage.claims.expires_at.is_some_and(has_ended)
    }

    /// Returns whether an object was refused or missing: a 4xx that does not concern the token itself
    /// (401, 407) or the pace (429).
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.usage.status.is_some_and(|status| {
            (400..500).contains(&status) && !matches!(status, 401 | 407 | 429)
        })
    }
}

/// What is known beyond one principal.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Distances between countries.
    pub atlas: &'a dyn Atlas,
    /// What the other principals say.
    pub peers: &'a dyn Peers,
    /// What people said about this usage's actor.
    pub heard: Heard,
    /// The score from which a person is notified at once, if a mail budget sets it.
    pub threshold: Option<f64>,
    /// The latest time that a usage counts as of: a clock that is ahead must not make the present late.
    pub latest: Timestamp,
}

/// The values of a usage that are compared, as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    pub country: Option<u32>,
    pub kind: Option<u32>,
    pub network: Option<u32>,
    pub prefix: Option<u32>,
    pub client: u32,
    pub version: u32,
    pub route: u32,
}

impl Keys {
    pub(crate) fn of(placed: &Placed<'_>) -> Self {
        let Placed { usage, place, prefix } = placed;
        let route = key(&[usage.method.as_bytes(), usage.route.as_bytes()]);
        // 24 bits: many are stored, and collisions do no harm
        Self { route: route & 0x00ff_ffff, ..Self::new(place, *prefix, &usage.agent) }
    }

    /// Returns the values of an actor, without a route.
    pub(crate) fn new(place: &Place, prefix: Option<Prefix>, agent: &Agent) -> Self {
        let (family, version) = (agent.family.as_bytes(), agent.version.as_bytes());
        Self {
            country: place.country.map(country_key),
            kind: place.network.map(kind_key),
            network: place.asn,
            prefix: prefix.map(prefix_key),
            client: key(&[family]),
            version: key(&[family, version]),
            route: 0,
        }
    }

    /// Returns the value of a family whose values are learned.
    pub(super) fn get(&self, family: Family) -> Option<u32> {
        match family {
            Family::Country => self.country,
            Family::Kind => self.kind,
            Family::Network => self.network,
            Family::Prefix => self.prefix,
            Family::Client => Some(self.client),
            Family::Version => Some(self.version),
            _ => None,
        }
    }

    pub(super) fn value(&self, family: Family) -> Option<Value> {
        self.get(family).map(|key| Value::new(family, key))
    }

    /// Returns the key of an actor: its client and its operator; operator and country if only the country is new,
    /// because somebody from another country of a large operator would otherwise be a new actor in each
    /// neighbourhood; the neighbourhood if none of the three is new, or operators are unknown.
    pub(crate) fn actor(&self, novel: Families) -> u32 {
        let [country, network, prefix] = [self.country, self.network, self.prefix]
            .map(|value| value.unwrap_or_default().to_le_bytes());
        let client = self.client.to_le_bytes();
        if self.network.is_some() && (novel.has(Family::Network) || novel.has(Family::Client)) {
            key(&[&network, &client])
        } else if self.network.is_some() && novel.has(Family::Country) {
            key(&[&network, &client, &country])
        } else {
            key(&[&prefix, &client])
        }
    }

    /// Returns the key under which a profile remembers an actor. From a network or a country that is new, all known
    /// clients are one actor: a new office brings all of its programs, and each of them would be reported. A new client
    /// is one actor in all known countries: a new phone moves about. On hosting networks and VPNs strangers share an
    /// operator, so there each client is an actor of its own.
    pub(super) fn remembered(&self, novel: Families) -> u32 {
        let [country, network] =
            [self.country, self.network].map(|value| value.unwrap_or_default().to_le_bytes());
        let is_shared =
            matches!(self.kind.and_then(kind_of), Some(NetworkKind::Hosting | NetworkKind::Vpn));
        if is_shared || self.network.is_none() {
            return self.actor(novel);
        }
        match [Family::Client, Family::Network, Family::Country].map(|family| novel.has(family)) {
            [true, _, false] => key(&[b"client", &self.client.to_le_bytes()]),
            [false, true, _] => key(&[b"network", &network]),
            [false, false, true] => key(&[b"network", &network, &country]),
            _ => self.actor(novel),
        }
    }

    /// Returns the keys under which a profile may remember an actor from a new place since more of it was new: one of
    /// its days may have taught its client, or its network, but not this country.
    pub(super) fn remembered_before(&self, novel: Families) -> impl Iterator<Item = u32> {
        let is_elsewhere = novel.has(Family::Country) || novel.has(Family::Network);
        let with_client = is_elsewhere.then(|| self.actor([Family::Client].into_iter().collect()));
        let of_network = is_elsewhere && !novel.has(Family::Client);
        let of_network =
            of_network.then(|| self.remembered([Family::Network].into_iter().collect()));
        with_client.into_iter().chain(of_network)
    }

    /// Returns all keys under which a profile may remember an actor with these values, whichever of them are new.
    pub(super) fn all_remembered(&self) -> [u32; 6] {
        let new = |families: &[Family]| families.iter().copied().collect();
        [
            self.actor(Families::default()),
            self.actor(new(&[Family::Client])),
            self.remembered(new(&[Family::Client])),
            self.actor(new(&[Family::Country])),
            self.remembered(new(&[Family::Network])),
            self.remembered(new(&[Family::Country])),
        ]
    }

    /// Returns all keys that an actor with these values may have, whichever of them are new.
    pub(crate) fn actors(&self) -> [u32; 3] {
        [
            Families::default(),
            [Family::Country].into_iter().collect(),
            [Family::Network].into_iter().collect(),
        ]
        .map(|novel| self.actor(novel))
    }
}

pub(super) fn country_key(country: Country) -> u32 {
    u32::from(u16::from_be_bytes(country.code()))
}

pub(super) fn country_of(key: u32) -> Option<Country> {
    u16::try_from(key).ok().and_then(|code| Country::new(code.to_be_bytes()))
}

pub(super) fn kind_key(kind: NetworkKind) -> u32 {
    NetworkKind::ALL.iter().zip(0..).find(|(of, _)| **of == kind).map_or(0, |(_, key)| key)
}

pub(super) fn kind_of(key: u32) -> Option<NetworkKind> {
    NetworkKind::ALL.iter().zip(0..).find(|(_, of)| *of == key).map(|(kind, _)| *kind)
}

/// Returns the key of a neighbourhood: a /24 is its own 24 bits, a /48 a hash with the top bit set.
fn prefix_key(prefix: Prefix) -> u32 {
    match prefix.address() {
        IpAddr::V4(v4) => v4.to_bits() >> 8,
        IpAddr::V6(v6) => key(&[&v6.octets()]) | 1 << 31,
    }
}

/// Refused or missing objects among requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// How many.
    pub count: u32,
    /// Of how many requests.
    pub requests: u32,
}

/// How a usage differs from what its principal did before.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// The usage's time, never more than two minutes before the principal's last.
    pub time: Timestamp,
    /// It came late: who it is is judged and learned as always, but nothing about when.
    pub is_late: bool,
    /// It came later than that, or before anything was known: it is only counted.
    pub is_outdated: bool,
    /// The server accepted the token.
    pub is_accepted: bool,
    /// The server refused it, and it had expired by its own account.
    pub is_spent: bool,
    /// Its new identity values are worth enough to be held back: somebody else, as far as is known.
    pub is_somebody_else: bool,
    /// A person said that this actor is hostile: nothing of it may be learned.
    pub is_barred: bool,
    /// Its rate alone is worth reporting, whoever else is busy.
    pub is_rushing: bool,
    /// Active days before this one.
    pub active_days: u32,
    /// Some of what is new may have been seen: its actor was there on an earlier day, or a person said that it is not
    /// the principal's own.
    pub was_seen: bool,
    /// The values never seen. While nothing is known, these are all.
    pub novel: Families,
    /// Country and network are both known.
    pub is_place_known: bool,
    /// The principal is at home in three countries or more.
    pub is_distributed: bool,
    /// The families that say nothing about this principal, because many took to the same value at once.
    pub explained: Families,
    /// Evidence of this usage.
    pub evidence: Evidence,
    /// What its values are worth in nats, explained or not: a value that came with many stolen tokens
    /// must not be learned at once.
    pub novelty: f64,
    /// The most of each family within a day, by this usage's actor, this usage included.
    pub actor: Evidence,
    /// How its rate stands out.
    pub burst: Option<Burst>,
    /// The score in nats: `sum of actor + 0.5 R`, or R alone, which reaches no more than the tier
    /// notice, or alert if the burst is extreme.
    pub score: f64,
    /// The score is that of the rate alone.
    pub is_rate_alone: bool,
    /// What the rate adds to the score.
    pub rate_share: f64,
    /// How many nats less than usual suffice, for somebody new with a token of rented machines.
    pub lead: f64,
    /// The score from which a person is notified at once, in nats.
    pub threshold: f64,
    /// The tier to report now, by the threshold in force: `None` if there is nothing to report, or it was reported.
    pub tier: Tier,
    /// The same actor was reported before, as urgently, and has gone on since: this is said in the digest.
    pub is_reminder: bool,
    /// The score reaches the configured tier alert, whatever the threshold in force and reported or not: somebody
    /// else with such a score is not learned soon.
    pub is_serious: bool,
    /// The tier of the rate to report now.
    pub rate_tier: Tier,
    /// The hop from the last trusted place, if the address is new and both uses were accepted.
    pub hop: Option<Hop>,
    /// The network (prefix, if the operator is unknown) if it is new and accepted.
    pub stranger: Option<u32>,
    /// Such networks today, this one included.
    pub networks: u32,
    /// Routes never used before that the actor used today.
    pub routes: u32,
    /// The actor's refused or missing objects today, and its requests.
    pub errors: Errors,
    /// Whether this usage met an error that many meet, which is not held against it.
    pub is_fault: bool,
    /// The route that this usage found refused or missing, if errors are as much evidence as they may be.
    pub fault: Option<u32>,
    /// Days since the last trusted use, less those on which nobody called, and the longest gap before.
    pub gap_days: (f64, f64),
    /// Hours since the last trusted use in which nobody called, counting only rests of more than three days.
    pub rested_hours: i64,
    /// When the principal began to be known; `None` before anything was learned.
    pub known_since: Option<Timestamp>,
    /// Two places that take turns; this usage is the third of the sequence.
    pub turn: Option<Turn>,
    /// More neighbourhoods within this hour and the one before than ever.
    pub spread: Option<Spread>,
    /// More bytes than ever.
    pub flood: Option<Flood>,
    pub(super) keys: Keys,
    pub(super) actor_key: u32,
}

impl Signals {
    /// Returns this usage's value of a family whose values are learned, as it is stored.
    #[must_use]
    pub fn value(&self, family: Family) -> Option<Value> {
        self.keys.value(family)
    }

    /// Returns whether both network and client are new to the principal; the neighbourhood stands in for an unknown
    /// network. Who brings both is no part of a move, nor of a deployment: a thief of many tokens is.
    #[must_use]
    pub fn has_all_changed(&self) -> bool {
        let by_operator = self.keys.network.map_or(Family::Prefix, |_| Family::Network);
        self.novel.has(by_operator) && self.novel.has(Family::Client)
    }

    /// Returns whether it came from an office or a data centre, whose addresses are its own.
    #[must_use]
    pub fn is_of_site(&self) -> bool {
        let kind = self.keys.kind.and_then(kind_of);
        matches!(kind, Some(NetworkKind::Business | NetworkKind::Hosting))
    }
}

/// What became of a usage: which of its values are now the principal's own, and which it brought
/// that are not, although the server accepted it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// Values that are learned now.
    pub learned: Families,
    /// Values that came for the first time, learned or held back, after the first days.
    pub brought: Families,
    /// All values of its own, if its class changed or it became settled; otherwise empty.
    pub reclassed: Vec<Value>,
    /// The principal's current story is new, or worse than before.
    pub rise: Option<Rise>,
}

/// The score, in nats, of a story that is new or that rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// What it was before; `None` if it begins.
    pub from: Option<f64>,
    /// What it is.
    pub to: f64,
}

/// What is usual, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    /// Countries, most used first.
    pub countries: Vec<Country>,
    /// Kinds of network, likewise.
    pub kinds: Vec<NetworkKind>,
    /// Autonomous systems, likewise.
    pub networks: Vec<u32>,
    /// How many neighbourhoods.
    pub prefixes: usize,
    /// How many clients.
    pub clients: usize,
}
