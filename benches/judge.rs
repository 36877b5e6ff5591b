//! The Judge alone: usages per second on one core, and bytes of memory per principal.
//! `cargo bench --bench judge [-- PRINCIPALS...]`
//!
//! Each principal is used twice a day for a week (two days if there are many principals), by day and in turn, so that
//! neighbours in time are far apart in memory. Changes are taken out, as for a commit, after every 8,192 usages. Memory
//! is the growth of the resident set (`/proc/self/status`) divided by the number of principals: all are kept, and as
//! many of them open as by default. On a shared machine, absolute times mean little.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "counts and ids")]

mod usages;

use std::time::{Duration, Instant};

use tokenwatch::engine::detect::Params;
use tokenwatch::engine::incident::Policy;
use tokenwatch::engine::judge::Judge;
use tokenwatch::engine::memory::Memory;
use tokenwatch::engine::registry::Registry;
use tokenwatch::engine::rule::RuleSet;
use tokenwatch::engine::usage::Usage;

use usages::{USES_A_DAY, World, usage};

/// From so many principals on, two days have to do.
const MANY: u64 = 100_000;
/// What subjects and tokens may take by default; nothing is forgotten here.
const ROOM: usize = 120 << 20;
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
    let mut memory = Memory::new(ROOM);
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

/// Bytes in memory; 0 where there is no `/proc`.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
