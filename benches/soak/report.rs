//! The table, in the form of SECURITY.md.

use std::time::Duration;

use crate::own::Findings;
use crate::plan::Order;
use crate::reader::Process;
use crate::watch::{MOST_GROWTH, STRETCH, Watch};
use crate::writer::{self, LOGS, Written};

/// What was done, and what it cost.
pub(crate) fn head(
    name: &str,
    order: Order,
    written: &[Written],
    watch: &Watch,
    process: &Process,
) {
    let n = watch.n_written();
    let (seconds, seed, wanted) = (order.length.as_secs(), order.seed, order.rate);
    let rate = n as f64 / order.length.as_secs_f64();
    let held_up = written.iter().map(|written| written.held_up).max().unwrap_or_default();
    println!("| soak | {name} |\n| --- | --- |");
    let haste = if order.haste > 1 { format!(", haste {}", order.haste) } else { String::new() };
    row("length, seed", &format!("{} min, {seed}{haste}", seconds / 60));
    row(
        "lines",
        &format!(
            "{n} in {LOGS} files, {rate:.0} a second of {wanted} wanted; a writer was held up {:.1} s at most",
            held_up.as_secs_f64()
        ),
    );
    let ways = writer::by_way(written).map(|(way, n)| format!("{way:?} {n}"));
    row("rotations", &ways.collect::<Vec<_>>().join(", "));
    row(
        "SIGKILL, SIGSTOP",
        &format!(
            "{}, {}; {:.0} s away in all",
            process.n_kills,
            process.n_stops,
            process.away.as_secs_f64()
        ),
    );
    if watch.n_silences > 0 {
        row("mail server down", &format!("{} times", watch.n_silences));
    }
    let processor = process.processor();
    row(
        "processor",
        &format!("{processor:.0} s, {:.1} s a million lines", processor / n as f64 * 1e6),
    );
    for (from, values) in watch.stretches() {
        let [least, middle, most] = values.map(|kib| kib / 1024);
        let (from, to) = (from / 60, (from + STRETCH) / 60);
        row(
            &format!("memory, minutes {from} to {to}"),
            &format!("min {least} MiB, median {middle} MiB, max {most} MiB"),
        );
    }
}

/// How far behind the reader was. Means nothing for one that loses lines.
pub(crate) fn lag(order: Order, watch: &Watch) {
    let [middle, late, most] = quantiles(&watch.lags);
    row(
        "lag, times away included",
        &format!("p50 {middle:.1} s, p99 {late:.1} s, max {most:.1} s"),
    );
    row(
        "all read after the last line",
        &format!("{:.0} s", watch.took.saturating_sub(order.length).as_secs_f64()),
    );
}

/// How much memory grew, if the run was long enough to tell.
pub(crate) fn growth(order: Order, watch: &Watch) {
    if let Some(growth) = watch.growth(order.length) {
        row("memory, last five minutes by second", &format!("{growth:.2}, at most {MOST_GROWTH}"));
    }
}

/// What became of the lines and alerts.
pub(crate) fn own(findings: &Findings, written: u64) {
    let Findings { missing, doubled, rejected, gap_bytes, unaccounted, .. } = findings;
    row("lines counted", &format!("{} of {written}, {rejected} rejected", findings.lines));
    row("usages missing, counted twice", &format!("{missing}, {doubled}"));
    row("bytes in gaps; streams not accounted for", &format!("{gap_bytes}; {unaccounted}"));
    row(
        "decoys used, told, mailed",
        &format!("{}, {}, {}", findings.decoys, findings.alerts, findings.mailed),
    );
    row(
        "mails taken, again, never",
        &format!("{}, {}, {}", findings.mails, findings.repeated, findings.unsent),
    );
}

/// What became of the lines.
pub(crate) fn peer((lost, doubled): (u64, u64), written: u64) {
    let share = |n: u64| format!("{n} ({:.3} %)", n as f64 / written as f64 * 100.0);
    row("lines missing, written twice", &format!("{}, {}", share(lost), share(doubled)));
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// The middle, the 99th in a hundred, and the last, in seconds.
fn quantiles(lags: &[Duration]) -> [f64; 3] {
    let mut sorted: Vec<f64> = lags.iter().map(Duration::as_secs_f64).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (sorted.len() as f64 * share) as usize;
        sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    [at(0.5), at(0.99), at(1.0)]
}
