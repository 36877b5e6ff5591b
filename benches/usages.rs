//! Usages to judge, and a world for them: the same arguments give the same usages.

use std::net::{IpAddr, Ipv4Addr};

use tokenwatch::engine::geo::{Atlas, Country, NetworkKind, Place, Point};
use tokenwatch::engine::line::StreamId;
use tokenwatch::engine::secret::TokenId;
use tokenwatch::engine::time::{DAY, Timestamp};
use tokenwatch::engine::usage::{Agent, Carrier, Claims, Origin, Transport, Usage};

/// Monday, 2 March 2026.
pub(crate) const START: Timestamp = Timestamp(20_514 * DAY);
pub(crate) const USES_A_DAY: u64 = 2;

/// The Nth of all usages: principals in turn, over the days.
pub(crate) fn usage(n: u64, principals: u64) -> Usage {
    let who = n % principals;
    let round = n / principals;
    let day = round / USES_A_DAY;
    let second = 28_800 + (round % USES_A_DAY) * 21_600 + who * 21_000 / principals;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&who.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    id[8..].copy_from_slice(&who.to_le_bytes());
    // Two places of its own, and a new one now and then.
    let net = (who * 3 + round % 2 + u64::from((who + round).is_multiple_of(11)) * 500) % 65_000;
    Usage {
        took_millis: 0,
        time: START.plus(day as i64 * DAY + second as i64 * 1_000_000),
        token: TokenId(id),
        kind: "opaque".into(),
        hint: "exk_...".into(),
        carrier: Carrier::Header("authorization".into()),
        identity: None,
        claims: Claims::default(),
        most_bits: None,
        client: Some(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + ((net as u32) << 8) + 7))),
        is_forgeable: false,
        agent: Agent {
            family: smol_str::format_smolstr!("client-{}", who % 50),
            version: smol_str::format_smolstr!("1.{}", day / 4),
        },
        method: "GET".into(),
        route: smol_str::format_smolstr!("/v1/things/{}", (who + round) % 12),
        status: Some(200),
        bytes: 612,
        object: None,
        transport: Transport::Tls,
        service: "api".into(),
        origin: Origin { stream: StreamId::default(), offset: n },
    }
}

/// As many operators and cities as there are bytes.
pub(crate) struct World;

impl Atlas for World {
    fn place(&self, address: IpAddr) -> Place {
        let IpAddr::V4(v4) = address else { return Place::default() };
        let [_, a, b, _] = v4.octets();
        Place {
            country: Country::new([b'A' + a % 26, b'A']),
            city: "City".into(),
            point: Some(Point {
                latitude: f32::from(a) / 3.0,
                longitude: f32::from(a),
                radius_km: 20.0,
            }),
            asn: Some(64_500 + u32::from(a) * 4 + u32::from(b % 4)),
            organization: "Example".into(),
            network: Some(NetworkKind::Residential),
        }
    }

    fn border_distance_km(&self, _: Country, _: Country) -> Option<f64> {
        None
    }
}
