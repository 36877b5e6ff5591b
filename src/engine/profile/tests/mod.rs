//! Scenes: a principal's life, as a series of usages. `detect` builds its scenes with the same helpers.
#![expect(clippy::float_cmp, reason = "exact on purpose")]

mod people;
mod rented;
mod stored;
mod strangers;
mod times;

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::engine::geo::{Atlas, Country, NetworkKind, NoAtlas, Place, Point};
use crate::engine::line::StreamId;
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::usage::{Agent, Carrier, Claims, Origin, Transport, Usage};
use crate::engine::word::Heard;

/// Monday, 2 March 2026.
pub(crate) const START: Timestamp = Timestamp(20_514 * DAY);

/// A usage at `START` + `micros`: one request of a machine, as usual as can be.
pub(crate) fn usage(micros: i64) -> Usage {
    Usage {
        time: START.plus(micros),
        took_millis: 0,
        token: TokenId([7; 16]),
        kind: "opaque".into(),
        hint: "...".into(),
        carrier: Carrier::Header("authorization".into()),
        identity: None,
        claims: Claims::default(),
        most_bits: None,
        client: Some("192.0.2.10".parse().unwrap()),
        is_forgeable: false,
        agent: Agent { family: "orders-sync".into(), version: "1.4".into() },
        method: "GET".into(),
        route: "/v1/orders".into(),
        status: Some(200),
        bytes: 612,
        transport: Transport::Tls,
        service: "api".into(),
        object: None,
        origin: Origin { stream: StreamId::default(), offset: 0 },
    }
}

pub(crate) fn place(
    country: &str,
    city: &str,
    at: (f32, f32),
    asn: u32,
    network: NetworkKind,
) -> Place {
    Place {
        country: Country::parse(country),
        city: city.into(),
        point: Some(Point { latitude: at.0, longitude: at.1, radius_km: 20.0 }),
        asn: Some(asn),
        organization: "Example".into(),
        network: Some(network),
    }
}

pub(crate) fn berlin() -> Place {
    place("DE", "Berlin", (52.5, 13.4), 64500, NetworkKind::Residential)
}

pub(crate) fn lagos() -> Place {
    place("NG", "Lagos", (6.5, 3.4), 64666, NetworkKind::Residential)
}

/// Where an attacker rents: another country, network, kind.
pub(crate) fn rented() -> Place {
    place("SG", "Singapore", (1.35, 103.8), 64999, NetworkKind::Hosting)
}

/// What a site says in a scene: the default priors, that so many others know whatever a principal brings, and whether
/// many are busy.
#[derive(Default)]
struct Site {
    alone: Alone,
    others: u32,
    is_rush: bool,
}

impl Peers for Site {
    fn priors(&self, class: Class) -> &Priors {
        self.alone.priors(class)
    }

    fn known_by(&self, _: Class, _: Value) -> u32 {
        self.others
    }

    fn is_shared_change(&self, value: Value, time: Timestamp) -> bool {
        self.alone.is_shared_change(value, time)
    }

    fn is_rush(&self, _: Timestamp) -> bool {
        self.is_rush
    }

    fn is_fault(&self, route: u32, time: Timestamp) -> bool {
        self.alone.is_fault(route, time)
    }

    fn rested(&self, from: Timestamp, until: Timestamp) -> i64 {
        self.alone.rested(from, until)
    }
}

/// A live principal; each usage is followed by encoding and decoding.
#[derive(Default)]
pub(crate) struct Life {
    pub(crate) profile: Profile,
    pub(crate) params: Params,
    peers: Site,
    /// The threshold set by a mail budget.
    threshold: Option<f64>,
}

impl Life {
    pub(crate) fn compare(&self, usage: &Usage, place: &Place) -> Signals {
        let Self { peers, threshold, .. } = self;
        let (heard, threshold) = (Heard::default(), *threshold);
        let world = World { atlas: &NoAtlas, peers, heard, threshold, latest: Timestamp(i64::MAX) };
        self.profile.compare(&Placed::new(usage, place), &self.params, &world)
    }

    pub(crate) fn live(&mut self, usage: &Usage, place: &Place) -> Signals {
        let signals = self.compare(usage, place);
        let beat = u32::try_from(usage.time.hour()).unwrap();
        self.profile.call(usage, beat, &self.params.silence);
        self.profile.absorb(&Placed::new(usage, place), &signals, &self.params);
        signals
    }

    /// Applies usages and returns the highest score to report.
    pub(crate) fn told(&mut self, lives: impl IntoIterator<Item = (Usage, Place)>) -> f64 {
        let mut most = 0.0f64;
        for (usage, place) in lives {
            let signals = self.live(&usage, &place);
            if signals.tier > Tier::None {
                most = most.max(signals.score);
            }
        }
        most
    }

    /// A machine in Berlin that calls every ten minutes for a number of days.
    pub(crate) fn steady(&mut self, days: i64) -> f64 {
        self.told((0..days * 144).map(|n| (usage(n * 10 * MINUTE), berlin())))
    }
}

pub(crate) fn stolen(micros: i64) -> Usage {
    Usage {
        client: Some("198.51.100.7".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..usage(micros)
    }
}

fn count(n: i64) -> u32 {
    u32::try_from(n).unwrap()
}

fn east(n: i64) -> f32 {
    f32::from(u16::try_from(n % 9).unwrap())
}
