//! Reading speed of every format, per byte, relative to combined. `cargo bench --bench formats [-- NAME]`
//!
//! Each log of `tests/formats` is read repeatedly with its own preset and with `auto`, alternating with the combined
//! log. Prints a table of ratios; asserts nothing.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may fail and prints"
)]

#[path = "../src/engine/record/hostile.rs"]
mod hostile;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use hostile::PIECES;
use tokenwatch::engine::record::{Columns, Format};

/// The log that the others are measured by.
const BASE: &str = "nginx-combined";
/// Bytes of one run.
const BYTES: usize = 4 << 20;
const RUNS: usize = 9;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let base = Log::open(BASE);
    println!("| format | ns a byte | speed, combined = 1 | found by auto |");
    println!("| --- | --- | --- | --- |");
    for name in names().iter().filter(|name| wanted.as_ref().is_none_or(|w| name.contains(w))) {
        let log = Log::open(name);
        let (own, auto) = (Format::preset(name).unwrap(), Format::preset("auto").unwrap());
        let combined = Format::preset(BASE).unwrap();
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..RUNS {
            times[0].push(base.time(&combined));
            times[1].push(log.time(&own));
            times[2].push(log.time(&auto));
        }
        let [base, own, auto] = times.map(median);
        println!("| {name} | {own:.2} | {:.2} | {:.2} |", base / own, base / auto);
    }
    println!("\nThe slowest of the hostile lines of 64 KiB:\n");
    println!("| format | ms | made of |");
    println!("| --- | --- | --- |");
    for (name, ms, piece) in slowest().iter().take(5) {
        println!("| {name} | {ms:.2} | {piece:?} |");
    }
}

/// Times lines of the longest kind that repeat one piece behind the beginning of a line of each format, by every
/// preset; returns the slowest first, each the best of three.
fn slowest() -> Vec<(&'static str, f64, String)> {
    let begins: Vec<Vec<u8>> = names()
        .iter()
        .filter_map(|name| Log::open(name).0.split(|b| *b == b'\n').next().map(<[u8]>::to_vec))
        .flat_map(|line| [line.get(..line.len() / 2).unwrap_or_default().to_vec(), line])
        .chain([Vec::new()])
        .collect();
    let mut all = Vec::new();
    for (name, _) in Format::presets() {
        let format = Format::preset(name).unwrap();
        for (begin, piece) in
            begins.iter().flat_map(|begin| PIECES.iter().map(move |piece| (begin, *piece)))
        {
            let mut line = begin.clone();
            line.extend(piece.bytes().cycle().take(64 * 1024 - begin.len()));
            let best = (0..3)
                .map(|_| {
                    let start = Instant::now();
                    black_box(format.parse(black_box(&line)).ok());
                    start.elapsed().as_secs_f64() * 1e3
                })
                .fold(f64::MAX, f64::min);
            all.push((name, best, piece.to_owned()));
        }
    }
    all.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    all
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            Some(file.unwrap().file_name().to_str()?.strip_suffix(".log")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

struct Log(Vec<u8>);

impl Log {
    fn open(name: &str) -> Self {
        Self(std::fs::read(folder().join(format!("{name}.log"))).unwrap())
    }

    /// Reads about [`BYTES`] of it; returns ns a byte.
    fn time(&self, format: &Format) -> f64 {
        let rounds = BYTES / self.0.len();
        let start = Instant::now();
        for _ in 0..rounds {
            let mut columns = Columns::default();
            for line in self.0.split(|byte| *byte == b'\n') {
                columns.note(line);
                black_box(format.parse_under(black_box(line), &columns).ok());
            }
        }
        start.elapsed().as_secs_f64() * 1e9 / (rounds * self.0.len()) as f64
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
