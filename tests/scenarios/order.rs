//! The order of lines within two minutes of one another depends on buffers and hosts: alerts must not depend on it.

use std::collections::BTreeSet;
use std::path::Path;

use smol_str::SmolStr;
use tokenwatch::atlas::{Reloading, Settings};
use tokenwatch::engine::alert::{Alert, Level};
use tokenwatch::engine::detect::Params;
use tokenwatch::engine::incident::Policy;
use tokenwatch::engine::judge::Judge;
use tokenwatch::engine::line::Batch;
use tokenwatch::engine::memory::Memory;
use tokenwatch::engine::reader::{Reader, Source};
use tokenwatch::engine::record::Format;
use tokenwatch::engine::registry::{Registered, Registry};
use tokenwatch::engine::requests::Requests;
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::time::{HOUR, SECOND};
use tokenwatch::engine::token::{Finder, Names, Sealer};
use tokenwatch::engine::usage::Usage;

use crate::play;
use crate::random::Random;
use crate::story::Story;

/// How far lines may stand from their place.
const WITHIN: i64 = 120 * SECOND;

/// Lines of a hundred that come twice.
const DOUBLED: u64 = 3;

/// What a person is told: about whom, by which rule, how bad, in which hour.
type Told = BTreeSet<(String, SmolStr, Level, i64)>;

/// A story, read.
struct Read {
    usages: Vec<Usage>,
    registry: Vec<Registered>,
    params: Params,
    atlas: Reloading,
}

fn read(story: &Story, home: &Path) -> Read {
    story.world.write(home);
    let key = || SealKey::new(b"order");
    let names = Names::default();
    let format = Format::preset("auto").unwrap();
    let source = Source::of(format);
    let reader = Reader::new(Finder::new(&names), Sealer::new(key(), &names), vec![source]);
    let bytes = play::lines(story).into_bytes();
    let usages = reader.read(&Batch { bytes, ..Batch::default() }).usages;
    let text = story.registry();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let mut row = Registered::default();
        header
            .iter()
            .zip(&record)
            .for_each(|(column, text)| row.set(column, text, &key()).unwrap());
        row
    };
    let registry = rows.records().map(|record| row(record.unwrap())).collect();
    let (city, asn) = (vec![home.join("City.mmdb")], vec![home.join("ASN.mmdb")]);
    let sensitive = story.sensitive.iter().map(|text| Requests::parse(text).unwrap()).collect();
    let params = Params { sensitive, ..Params::default() };
    let atlas = Reloading::open(Settings { city, asn, usual: Vec::new() });
    Read { usages, registry, params, atlas }
}

fn judged(read: &Read, usages: &[Usage]) -> Vec<Alert> {
    let registry = Registry::new(read.registry.clone());
    let (params, rules) = (read.params.clone(), RuleSet::built_in());
    let mut judge = Judge::new(params, rules, registry, Policy::default());
    let mut memory = Memory::new(usize::MAX);
    memory.admit(usages, &[], &judge.registry);
    judge.judge(&mut memory, usages, &read.atlas);
    memory.take().alerts
}

/// Of a crowd it does not matter who it is: the first few that move with many are told of, whoever they are.
fn told(alerts: &[Alert], story: &Story) -> Told {
    let of = |alert: &Alert| {
        let hour = alert.time.0.div_euclid(HOUR);
        (story.crowd_of(&alert.principal), alert.rule.name.clone(), alert.rule.level, hour)
    };
    alerts.iter().map(of).collect()
}

/// The same usages, each up to two minutes late; some twice.
fn shuffled(usages: &[Usage], seed: u64, doubled: u64) -> Vec<Usage> {
    let mut random = Random::named(&format!("order {seed}"));
    let mut late: Vec<(i64, &Usage)> = Vec::new();
    for usage in usages {
        for _ in 0..1 + u64::from(random.below(100) < doubled) {
            late.push((usage.time.0 + random.below(WITHIN as u64) as i64, usage));
        }
    }
    late.sort_by_key(|(written, _)| *written);
    late.into_iter().map(|(_, usage)| usage.clone()).collect()
}

/// What is told in one order and not in the other. An hour more or less is a line across its end, and what is told
/// worse is told: evidence that comes in another order may reach the same height in fewer steps.
fn differences(a: &Told, b: &Told) -> Vec<String> {
    let has = |all: &Told, (who, rule, level, hour): &(String, SmolStr, Level, i64)| {
        all.iter().any(|one| {
            one.0 == *who && one.1 == *rule && one.2 >= *level && (one.3 - hour).abs() <= 1
        })
    };
    let lacks = a.iter().filter(|one| !has(b, one)).map(|one| format!("- {one:?}"));
    lacks.chain(b.iter().filter(|one| !has(a, one)).map(|one| format!("+ {one:?}"))).collect()
}

/// Tells what depends on the order of a story's lines, as sentences.
pub(crate) fn faults(story: &Story, seeds: u64) -> Vec<String> {
    let home = tempfile::tempdir().expect("temporary directory");
    let read = read(story, home.path());
    let whole = told(&judged(&read, &read.usages), story);
    let mut faults = Vec::new();
    for seed in 0..seeds {
        // Every other time some lines come twice, too.
        let doubled = if seed % 2 == 0 { 0 } else { DOUBLED };
        // A line that comes twice is two requests: what counts requests may say so.
        let counts = |rule: &str| doubled > 0 && ["unusual-use", "rate-spike"].contains(&rule);
        let other = told(&judged(&read, &shuffled(&read.usages, seed, doubled)), story);
        let whole: Told = whole.iter().filter(|one| !counts(&one.1)).cloned().collect();
        let other: Told = other.into_iter().filter(|one| !counts(&one.1)).collect();
        let different = differences(&whole, &other).into_iter();
        faults.extend(different.map(|one| format!("{}, seed {seed}: {one}", story.name)));
    }
    faults
}
