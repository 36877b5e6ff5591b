//! Whole pipeline: `replay` beside `wc -l` on the same file, in turn. `cargo bench --bench throughput [-- LINES]`
//!
//! Prints a table; asserts nothing. Times on a shared machine mean little alone: read the ratios.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may fail and prints"
)]

mod log;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use log::Form;

const RUNS: usize = 5;

fn main() {
    let lines =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput");
    std::fs::create_dir_all(&directory).unwrap();
    println!("| log | wc -l | replay | ratio | replay --save | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for form in [Form::Combined, Form::Json] {
        let path = directory.join(format!("{form:?}-{lines}.log"));
        if !path.exists() {
            log::write(&path, form, lines).unwrap();
        }
        measure(form, &path, lines, &directory);
    }
}

fn measure(form: Form, log: &Path, lines: u64, directory: &Path) {
    let mut times = [const { Vec::new() }; 3];
    let mut summary = String::new();
    for _ in 0..RUNS {
        let (count, _) = time(Command::new("wc").arg("-l").arg(log));
        let (in_memory, said) = time(&mut replay(log, directory, false));
        let (on_disk, _) = time(&mut replay(log, directory, true));
        times[0].push(count);
        times[1].push(in_memory);
        times[2].push(on_disk);
        summary = said;
    }
    let [count, in_memory, on_disk] = times.map(median);
    println!(
        "| {form:?}, {lines} lines | {count:.3} s | {in_memory:.2} s | {:.1} | {on_disk:.2} s | {:.1} |",
        in_memory / count,
        on_disk / count
    );
    println!("{}", summary.trim_end());
}

fn replay(log: &Path, directory: &Path, save: bool) -> Command {
    let state = directory.join("state");
    std::fs::remove_dir_all(&state).ok();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwatch"));
    command.arg("--state-dir").arg(&state).args(["replay", "--json"]).arg(log);
    if save {
        command.arg("--save");
    }
    command
}

fn time(command: &mut Command) -> (Duration, String) {
    let start = Instant::now();
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (took, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
