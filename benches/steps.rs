//! Each step of the pipeline alone. `cargo bench --bench steps [-- NAME]`
//!
//! Steps 2 to 5 process 1,000 lines per iteration; the others print their number.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a benchmark may fail, and counts"
)]

#[allow(dead_code, reason = "shared with other benches")]
mod log;
mod usages;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use log::{Form, Plan};
use tokenwatch::atlas::{Reloading, Settings};
use tokenwatch::engine::commit::Commit;
use tokenwatch::engine::detect::Params;
use tokenwatch::engine::geo::Atlas as _;
use tokenwatch::engine::incident::Policy;
use tokenwatch::engine::judge::Judge;
use tokenwatch::engine::line::Batch;
use tokenwatch::engine::memory::{Memory, Subject};
use tokenwatch::engine::record::{Columns, Format, Record};
use tokenwatch::engine::registry::Registry;
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::time::{MINUTE, Timestamp};
use tokenwatch::engine::token::{Finder, Names, Sealer, Sighting};
use tokenwatch::engine::usage::{Origin, Usage};
use tokenwatch::store::{Store, TokenFilter, Who};
use usages::{START, World, usage};

const LINES: u64 = 1_000;
/// Usages of the token before it counts as known: one a minute for two weeks.
const KNOWN: u64 = 14 * 24 * 60;
/// Usages that are made at a time.
const CHUNK: u64 = 4_096;
/// Principals of a commit.
const DIRTY: u64 = 20_000;

criterion_main!(steps);
criterion_group!(steps, read, place, judge, pack, store);

fn bytes(form: Form) -> Vec<u8> {
    let mut bytes = Vec::new();
    let take = |line: &str| {
        bytes.extend_from_slice(line.as_bytes());
        Ok::<(), Infallible>(())
    };
    let Ok(()) = log::each(Plan::usual(form, LINES), take);
    bytes
}

/// Steps 2 to 5: lines, records, sightings, usages.
fn read(criterion: &mut Criterion) {
    for (form, name) in [(Form::Combined, "combined"), (Form::Json, "json")] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(LINES));
        let batch = Batch { bytes: bytes(form), ..Batch::default() };
        group.bench_function("split", |b| b.iter(|| black_box(&batch).lines().count()));

        let lines: Vec<_> = batch.lines().map(|line| line.bytes).collect();
        let (format, columns) = (Format::preset("auto").unwrap(), Columns::default());
        let parse = |line| format.parse_under(line, &columns).unwrap();
        group.bench_function("parse", |b| {
            b.iter(|| lines.iter().for_each(|line| drop(black_box(parse(line)))));
        });

        let records: Vec<Record<'_>> = lines.iter().map(|line| parse(line)).collect();
        let finder = Finder::new(&Names::default());
        let find = |record| {
            let mut sightings = Vec::new();
            finder.find(record, &mut sightings);
            sightings
        };
        group.bench_function("find", |b| {
            b.iter(|| records.iter().for_each(|record| drop(black_box(find(record)))));
        });

        let sightings: Vec<Vec<Sighting<'_>>> = records.iter().map(find).collect();
        let sealer = Sealer::new(SealKey::new(b"a key"), &Names::default());
        group.bench_function("seal", |b| {
            b.iter(|| {
                let mut usages = Vec::new();
                for (record, sightings) in records.iter().zip(&sightings) {
                    sealer.seal(record, sightings, Origin::default(), "api", &mut usages);
                }
                usages
            });
        });
        group.finish();
    }
}

/// Step 6, without the Judge's cache of addresses.
fn place(criterion: &mut Criterion) {
    let atlas = Reloading::open(Settings { usual: Vec::new(), ..Settings::default() });
    let addresses: Vec<_> = (0..LINES).filter_map(|n| usage(n, LINES).client).collect();
    let mut group = criterion.benchmark_group("place");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("built-in table", |b| {
        b.iter(|| addresses.iter().for_each(|address| drop(black_box(atlas.place(*address)))));
    });
    group.finish();
}

/// The Nth use of one token, a minute after the one before it.
fn minutely(n: u64) -> Usage {
    Usage { time: START.plus(n as i64 * MINUTE), ..usage(0, 1) }
}

/// A memory that has seen these usages, and by whom it was taught.
fn learned(usages: impl Iterator<Item = Usage>) -> (Judge, Memory) {
    let registry = Registry::new([]);
    let mut judge = Judge::new(Params::default(), RuleSet::built_in(), registry, Policy::default());
    let mut memory = Memory::new(usize::MAX);
    let usages: Vec<Usage> = usages.collect();
    memory.admit(&usages, &[], &judge.registry);
    judge.judge(&mut memory, &usages, &World);
    (judge, memory)
}

/// Steps 6 to 9: one usage of a token that has been used for two weeks, in a place that is at hand.
fn judge(criterion: &mut Criterion) {
    let (mut judge, mut memory) = learned((0..KNOWN).map(minutely));
    let mut next = KNOWN;
    criterion.bench_function("judge/known token", |b| {
        b.iter_custom(|n| {
            let mut took = Duration::ZERO;
            for from in (0..n).step_by(CHUNK as usize) {
                let until = next + CHUNK.min(n - from);
                let usages: Vec<Usage> = (next..until).map(minutely).collect();
                next = until;
                let start = Instant::now();
                judge.judge(&mut memory, &usages, &World);
                took += start.elapsed();
                drop(memory.take());
            }
            took
        });
    });
}

/// A profile of two weeks, to bytes and back.
fn pack(criterion: &mut Criterion) {
    let (_, mut memory) = learned((0..KNOWN).map(minutely));
    let blob = memory.take().subjects.remove(0).blob;
    let subject = Subject::decode(&blob).unwrap();
    criterion.bench_function("profile/pack", |b| b.iter(|| black_box(&subject).encode()));
    criterion.bench_function("profile/unpack", |b| b.iter(|| Subject::decode(black_box(&blob))));
}

/// Step 10, on disk, and what is asked of it.
fn store(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("tokenwatch.db")).unwrap();
    let (_, mut memory) = learned((0..DIRTY).map(|n| usage(n, DIRTY)));
    let commit: Commit = memory.take();
    assert_eq!(commit.subjects.len() as u64, DIRTY);
    let now: Timestamp = usage(DIRTY, DIRTY).time;
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10);
    group.bench_function("commit 20,000 principals", |b| {
        b.iter(|| store.commit(&commit, now).unwrap());
    });
    group.finish();
    let who = Who::Token(usage(7, DIRTY).token);
    criterion.bench_function("store/history", |b| {
        b.iter(|| store.history(&who, None, None, now).unwrap());
    });
    let filter = TokenFilter { limit: Some(50), ..TokenFilter::default() };
    criterion.bench_function("store/first page of tokens", |b| {
        b.iter(|| store.tokens(&filter, now).unwrap());
    });
}
