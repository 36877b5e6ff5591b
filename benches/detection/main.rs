//! How much is detected, and how many alerts are false: the Judge and three plain rules on the same labelled log.
//! `cargo bench --bench detection -- DIR`, or `just bench-detection DIR`
//!
//! DIR contains `access.log`, `registry.csv`, `City.mmdb`, `ASN.mmdb` and `labels.json`: `start`, `days`, `tokens`;
//! `classes` (human, machine) by principal; `attacks` with `principal` (`*` for none), `kind`, `start`, `end`,
//! `takeover` and `well_posed`; `examples`, a JWT by principal. The plain rules are those that people usually write
//! first. All judge the same usages, which the Reader extracts from the log.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark may fail and prints"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "counts and shares of a table"
)]

mod plain;
mod score;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use score::{Alert, Labels, Score};
use smol_str::SmolStr;
use tokenwatch::atlas::{Reloading, Settings};
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::detect::Params;
use tokenwatch::engine::geo::{Atlas as _, Place};
use tokenwatch::engine::health::Log;
use tokenwatch::engine::incident::Policy;
use tokenwatch::engine::judge::{Followed, Judge};
use tokenwatch::engine::line::{Batch, StreamId};
use tokenwatch::engine::memory::Memory;
use tokenwatch::engine::reader::{Reader, Source};
use tokenwatch::engine::record::Format;
use tokenwatch::engine::registry::{Registered, Registry};
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::secret::{SealKey, Secret, TokenId};
use tokenwatch::engine::time::Timestamp;
use tokenwatch::engine::token::{Finder, Names, Sealer};

/// Bytes read at once.
const CHUNK: usize = 4 << 20;

fn main() {
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(directory) = directory else {
        println!("DIR is missing: cargo bench --bench detection -- DIR");
        return;
    };
    let directory = Path::new(&directory);
    let text = fs::read_to_string(directory.join("labels.json")).expect("labels.json");
    let labels: Labels = serde_json::from_str(&text).expect("labels.json");
    let key = || SealKey::new(b"bench");
    let rows = rows(&directory.join("registry.csv"), &key());
    let registry = || Registry::new(rows.clone());
    let all = told(directory, &key, &registry);
    let names: Vec<SmolStr> = rows.iter().map(|row| row.name.clone()).collect();
    let whose = labels.whose(&names, |secret| key().seal(&Secret::new(secret.as_bytes())));
    let columns: Vec<(String, Score)> = all
        .into_iter()
        .map(|(name, least, alerts)| {
            let of_level = alerts.into_iter().filter(|alert| alert.level >= least);
            (name, labels.score(&whose, &of_level.collect::<Vec<_>>()))
        })
        .collect();
    score::print(&columns);
}

/// The registry's rows.
fn rows(path: &Path, key: &SealKey) -> Vec<Registered> {
    let mut reader = csv::Reader::from_path(path).expect("registry.csv");
    let header = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let mut row = Registered::default();
        header.iter().zip(&record).for_each(|(column, text)| row.set(column, text, key).unwrap());
        row
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// Reads and judges the log; returns the alerts of each column, with the column's least level.
fn told(
    directory: &Path,
    key: &dyn Fn() -> SealKey,
    registry: &dyn Fn() -> Registry,
) -> Vec<(String, Level, Vec<Alert>)> {
    let names = Names::default();
    let format = Format::preset("auto").unwrap();
    let source = Source::of(format);
    let reader = Reader::new(Finder::new(&names), Sealer::new(key(), &names), vec![source]);
    let atlas = Reloading::open(Settings {
        city: vec![directory.join("City.mmdb")],
        asn: vec![directory.join("ASN.mmdb")],
        usual: Vec::new(),
    });
    let rules = RuleSet::built_in();
    let mut judge = Judge::new(Params::default(), rules, registry(), Policy::default());
    let (mut memory, mut log) = (Memory::new(usize::MAX), Log::default());
    let mut plain = plain::Rules::new(registry());
    let mut places: BTreeMap<IpAddr, Place> = BTreeMap::new();
    let mut judged = Vec::new();
    for_each_chunk(&directory.join("access.log"), |bytes| {
        let reading = reader.read(&Batch { bytes, ..Batch::default() });
        memory.admit(&reading.usages, &[], &judge.registry);
        judge.judge(&mut memory, &reading.usages, &atlas);
        let now = reading.pulse.newest().unwrap_or_default();
        let path = Path::new("access.log");
        let of = Followed { path, file: path, stream: StreamId::default(), now };
        judge.check(&mut memory, &mut log, of, &reading.pulse);
        judged.extend(memory.take().alerts.iter().map(Alert::of));
        for usage in &reading.usages {
            let nowhere = Place::default();
            let place = usage.client.map_or(&nowhere, |client| {
                places.entry(client).or_insert_with(|| atlas.place(client))
            });
            plain.take(usage, place);
        }
    });
    let of_judge = [Level::Medium, Level::High, Level::Critical]
        .map(|level| (format!("Judge, {level}"), level, judged.clone()));
    of_judge.into_iter().chain(plain.told).collect()
}

/// Hands on whole lines, about [`CHUNK`] bytes at a time.
fn for_each_chunk(path: &Path, mut take: impl FnMut(Vec<u8>)) {
    let mut file = File::open(path).expect("access.log");
    let mut rest = Vec::new();
    loop {
        let had = rest.len();
        file.by_ref().take(CHUNK as u64).read_to_end(&mut rest).unwrap();
        if rest.len() == had {
            break;
        }
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let next = rest.split_off(end);
        take(std::mem::replace(&mut rest, next));
    }
    if !rest.is_empty() {
        take(rest);
    }
}

/// A time in seconds, for formulas of plain rules.
fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / 1e6
}

/// Whose an alert is, as labels name principals.
type ById = BTreeMap<TokenId, String>;
