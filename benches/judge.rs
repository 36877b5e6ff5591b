//! The Judge alone: usages a second on one core, and bytes of memory a principal. `cargo bench --bench judge [-- PRINCIPALS...]`
//!
//! Each principal is used twice a day for a week (for two days, of many principals), by day and in turn, so that neighbours in time are strangers in memory. What
//! changed is taken out as for a commit after each 8,192 usages. Memory is the resident set beside that before (`/proc/self/status`), divided by the principals: all are kept.
//! Times on a shared machine mean little alone.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may fail and prints")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    reason = "counts and ids"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tokenwatch::engine::detect::Params;
use tokenwatch::engine::geo::{Atlas, Country, NetworkKind, Place, Point};
use tokenwatch::engine::incident::Policy;
use tokenwatch::engine::judge::Judge;
use tokenwatch::engine::line::StreamId;
use tokenwatch::engine::memory::Memory;
use tokenwatch::engine::registry::Registry;
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::secret::TokenId;
use tokenwatch::engine::time::{DAY, Timestamp};
use tokenwatch::engine::usage::{Agent, Carrier, Claims, Origin, Transport, Usage};

/// Monday, 2 March 2026.
const START: Timestamp = Timestamp(20_514 * DAY);
const USES_A_DAY: u64 = 2;
/// From so many principals on, two days have to do.
const MANY: u64 = 100_000;
/// Usages between two commits.
const BATCH: u64 = 8_192;

fn main() {
    let asked: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("| principals | usages | judged | taken for commits | memory a principal |");
    println!("| --- | --- | --- | --- | --- |");
    for n in if asked.is_empty() { vec![20_000, 1_000_000] } else { asked } {
        measure(n);
    }
}

fn measure(principals: u64) {
    let registry = Registry::new([]);
    let mut judge = Judge::new(Params::default(), RuleSet::built_in(), registry, Policy::default());
    let before = resident();
    let mut memory = Memory::new(usize::MAX);
    let (mut judging, mut taking) = (Duration::ZERO, Duration::ZERO);
    let days = if principals < MANY { 7 } else { 2 };
    let total = principals * USES_A_DAY * days;
    for from in (0..total).step_by(BATCH as usize) {
        let usages: Vec<Usage> =
            (from..total.min(from + BATCH)).map(|n| usage(n, principals)).collect();
        let start = Instant::now();
        memory.admit(&usages, &[], &judge.registry);
        judge.judge(&mut memory, &usages, &World);
        judging += start.elapsed();
        let start = Instant::now();
        drop(memory.take());
        taking += start.elapsed();
    }
    let bytes = resident().saturating_sub(before) as f64 / principals as f64;
    println!(
        "| {principals} | {total} | {:.0} a second | {:.0} a second | {bytes:.0} bytes |",
        total as f64 / judging.as_secs_f64(),
        total as f64 / taking.as_secs_f64(),
    );
}

/// The Nth of all usages: principals in turn, over the days.
fn usage(n: u64, principals: u64) -> Usage {
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
        time: START.plus(day as i64 * DAY + second as i64 * 1_000_000),
        token: TokenId(id),
        kind: "opaque".into(),
        hint: "exk_...".into(),
        carrier: Carrier::Header("authorization".into()),
        identity: None,
        claims: Claims::default(),
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
struct World;

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

/// Bytes in memory; 0 where there is no `/proc`.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
