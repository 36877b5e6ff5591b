//! Reads what comes in files that people fetch or are sent: configuration, rules, registries, GeoIP, old logs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokenwatch::atlas::{Reloading, Settings};
use tokenwatch::cli::registry::{BadRows, read_registry};
use tokenwatch::config::{Colour, Config};
use tokenwatch::engine::geo::Atlas;
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::source::journal::cursor_of;
use tokenwatch::source::replay::{Input, Replay};

use crate::CANARY;

/// What old logs may hold unpacked: a few bytes can stand for gigabytes.
const MAX_UNPACKED: usize = 64 << 20;

/// Reads an input as a configuration; its faults can be shown.
pub fn read_config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(faults) = Config::parse(text, Path::new("/etc/tokenwatch.toml")) {
        assert!(faults.iter().next().is_some(), "refused without a reason");
        assert!(!faults.render(Colour::None, 80).is_empty());
    }
}

/// Reads an input as a file of rules, and writes the logs of its examples.
pub fn read_rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (set, faults) = RuleSet::new([("own.yml", text)], &[]);
    let n_lines = text.split('\n').count() + 1;
    assert!(
        faults.iter().all(|fault| fault.at.is_none_or(|at| (1..=n_lines).contains(&at.line))),
        "{faults:?}"
    );
    for rule in set.rules().iter().filter(|rule| rule.file == "own.yml") {
        for example in rule.examples.fire.iter().chain(&rule.examples.quiet) {
            drop(example.clock());
            drop(example.lines());
        }
    }
}

/// Reads an input as a registry. What is said of its faults shows no secret.
pub fn read_tokens(input: &[u8]) {
    let path = kept("registry", input);
    let Err(error) = read_registry(&path, &SealKey::new(b"key")) else { return };
    if let Some(rows) = error.downcast_ref::<BadRows>() {
        let canary = String::from_utf8_lossy(CANARY);
        assert!(rows.lines().all(|line| !line.contains(&*canary)), "{error:#}");
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
            assert!(is_on_earth, "{point:?}");
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
