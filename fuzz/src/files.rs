//! Reads what comes in files that people fetch or are sent: configuration, rules, registries, GeoIP, old logs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokenwatch::atlas::{Reloading, Settings};
use tokenwatch::cli::registry::read_registry;
use tokenwatch::config::{Colour, Config};
use tokenwatch::engine::geo::Atlas;
use tokenwatch::engine::rule::{Rule, RuleSet};
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::trial::try_rule;
use tokenwatch::source::journal::cursor_of;
use tokenwatch::source::replay::{Input, Replay};

use crate::CANARY;

/// What old logs may hold unpacked: a few bytes can stand for gigabytes.
const MAX_UNPACKED: usize = 64 << 20;

/// The examples of a rule that are tried have at most this many lines: a few bytes can stand for thousands.
const MAX_TRIED: u32 = 100;

/// Reads an input as a configuration; its faults are in it and can be shown.
pub fn read_config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Err(faults) = Config::parse(text, Path::new("/etc/tokenwatch.toml")) else { return };
    assert!(!faults.is_empty(), "refused without a reason");
    let n_lines = text.split('\n').count();
    for (line, _) in faults.iter().filter_map(|fault| fault.span.line_and_column()) {
        assert!((1..=n_lines).contains(&line), "{faults}");
    }
    let drawn = faults.render(Colour::None, 80);
    let is_shown = |c: char| c == '\n' || !c.is_control();
    assert!(!drawn.is_empty() && drawn.chars().all(is_shown), "{drawn:?}");
}

/// Reads an input as a file of rules, and tries their examples.
pub fn read_rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (set, faults) = RuleSet::new([("own.yml", text)], &[]);
    let n_lines = text.split('\n').count() + 1;
    assert!(
        faults.iter().all(|fault| fault.at.is_none_or(|at| (1..=n_lines).contains(&at.line))),
        "{faults:?}"
    );
    let set = Arc::new(set);
    for rule in set.rules().iter().filter(|rule| rule.file == "own.yml" && is_short(rule)) {
        let examples = &rule.examples;
        assert_eq!(try_rule(rule, &set).len(), examples.fire.len() + examples.quiet.len());
    }
}

fn is_short(rule: &Rule) -> bool {
    let examples = rule.examples.fire.iter().chain(&rule.examples.quiet);
    let times = examples.flat_map(|example| &example.log).map(|line| line.times.unwrap_or(1));
    times.fold(0, u32::saturating_add) <= MAX_TRIED
}

/// Reads an input as a registry. Neither its rows nor what is said of its faults shows a secret.
pub fn read_tokens(input: &[u8]) {
    let path = kept("registry", input);
    let Ok(file) = read_registry(&path, &SealKey::new(b"key")) else { return };
    let canary = String::from_utf8_lossy(CANARY);
    match file.meant(&[]) {
        Ok(rows) => {
            assert!(rows.len() <= file.n_rows());
            assert!(!format!("{rows:?}").contains(&*canary), "{rows:?}");
        }
        Err(bad) => assert!(bad.lines().all(|line| !line.contains(&*canary)), "{bad:?}"),
    }
}

/// Reads an input as a GeoIP file and asks for addresses.
pub fn read_geo(input: &[u8]) {
    let path = kept("mmdb", input);
    let atlas =
        Reloading::open(Settings { city: vec![path.clone()], asn: vec![path], usual: vec![] });
    for address in ["1.1.1.1", "81.2.69.142", "223.255.255.255", "2001:218::1", "2a02:1::"] {
        let address: IpAddr = address.parse().unwrap();
        let place = atlas.place(address);
        if let Some(point) = place.point {
            let is_on_earth = (-90.0..=90.0).contains(&point.latitude)
                && (-180.0..=180.0).contains(&point.longitude);
            assert!(is_on_earth && point.radius_km.is_finite(), "{point:?}");
        }
        drop(atlas.knowing(address));
    }
    drop(atlas.faults());
}

/// Reads an input as an old log, packed or not; and as the journal's messages.
pub fn read_old(input: &[u8]) {
    drop(cursor_of(input));
    let input = Input { source: 0, path: kept("old", input) };
    let mut unpacked = 0;
    for batch in Replay::open(vec![input], |_, _, _, _| None) {
        let Ok(batch) = batch else { break };
        let missing = batch.missing.discarded + batch.missing.nuls;
        let length = batch.bytes.len();
        assert_eq!(batch.position.offset - batch.from, length as u64 + missing);
        unpacked += length;
        if MAX_UNPACKED < unpacked {
            break;
        }
    }
}

/// Writes an input to a file in memory, one for each process and sort.
pub(super) fn kept(sort: &str, input: &[u8]) -> PathBuf {
    let path = PathBuf::from(format!("/dev/shm/tokenwatch-fuzz-{}-{sort}", std::process::id()));
    std::fs::write(&path, input).unwrap();
    path
}
