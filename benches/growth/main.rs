//! The cost of a line by number of principals, days of history, and number of files.
//! `cargo bench --bench growth [-- LINES]`
//!
//! Before a log is timed, another log teaches the program each principal, or each day of history. So each line uses a
//! known token; the cost of first uses is listed next to it. Prints tables, and draws `docs/growth.svg`.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may fail, prints, and counts"
)]

#[path = "../log.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod log;
#[path = "../measure.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod measure;
mod plot;
#[path = "../svg.rs"]
mod svg;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use log::{Form, Plan, Tokens};
use measure::{Cost, machine, median, number, run};
use plot::{Panel, Point};

const RUNS: usize = 3;
const DAY: u64 = 86_400;
const PRINCIPALS: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const DAYS: [u64; 3] = [1, 7, 30];
const FILES: [u64; 3] = [1, 100, 5_000];
/// Principals where something else grows.
const FEW: u64 = 1_000;

fn main() {
    let lines =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(2_000_000);
    let bench = Bench { lines, directory: tempfile::tempdir().unwrap().keep() };
    println!("{}; {} JSON lines, medians of {RUNS}", machine(), number(lines as f64));
    let panels = [
        bench.panel("principals", &PRINCIPALS, |principals| {
            (bench.teach(principals, principals, DAY), bench.day(principals, DAY, 1))
        }),
        bench.panel("days of history", &DAYS, |days| {
            // An hour of each principal has a line.
            (bench.teach(FEW, FEW * 24 * days, days * DAY), bench.day(FEW, days * DAY, 1))
        }),
        bench.panel("files", &FILES, |files| (None, bench.day(FEW, 0, files))),
    ];
    std::fs::remove_dir_all(&bench.directory).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth.svg");
    std::fs::write(&path, plot::draw(&panels)).unwrap();
    println!("\n{}", path.display());
}

struct Bench {
    lines: u64,
    directory: PathBuf,
}

impl Bench {
    /// Measures one series; prints its table.
    fn panel(
        &self,
        what: &'static str,
        counts: &[u64],
        make: impl Fn(u64) -> (Option<f64>, PathBuf),
    ) -> Panel {
        println!(
            "\n| {what} | µs a line | µs a line on the processor | peak memory | database | first use |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        let mut points = Vec::new();
        for count in counts {
            std::fs::remove_dir_all(self.taught()).ok();
            let (first, log) = make(*count);
            let costs: Vec<Cost> = (0..RUNS).map(|_| self.time(&log)).collect();
            let middle = |of: fn(&Cost) -> f64| median(costs.iter().map(of).collect());
            let each = |seconds: f64| seconds * 1e6 / self.lines as f64;
            let (wall, processor) = (each(middle(|c| c.wall)), each(middle(|c| c.processor)));
            let memory = middle(|cost| cost.memory) / 1_048_576.0;
            let database = size(&self.state().join("tokenwatch.db")) as f64 / 1_048_576.0;
            let first = first.map_or_else(String::new, |first| format!("{first:.1} µs"));
            println!(
                "| {} | {wall:.2} | {processor:.2} | {memory:.0} MiB | {} MiB | {first} |",
                number(*count as f64),
                number(database)
            );
            points.push(Point { count: *count as f64, wall, processor });
        }
        Panel { what, points }
    }

    /// Teaches the program with a log of its own; returns the µs on the processor of each principal's first use, if
    /// each has one.
    fn teach(&self, principals: u64, lines: u64, seconds: u64) -> Option<f64> {
        let tokens = Tokens::InTurn(principals);
        let log = self.directory.join("taught.log");
        log::write(&log, Plan { form: Form::Json, lines, from: 0, seconds, tokens }).unwrap();
        let cost = run(&mut replay(&self.taught(), &log));
        std::fs::remove_file(&log).unwrap();
        // Of few, it is the start of the program.
        (FEW < lines && lines == principals).then(|| cost.processor * 1e6 / lines as f64)
    }

    /// Writes the log that is timed: a day, in so many files that are written at the same time.
    fn day(&self, principals: u64, from: u64, files: u64) -> PathBuf {
        let logs = self.directory.join("logs");
        std::fs::remove_dir_all(&logs).ok();
        std::fs::create_dir(&logs).unwrap();
        let tokens = Tokens::InTurn(principals);
        let plan = Plan { form: Form::Json, lines: self.lines, from, seconds: DAY, tokens };
        let mut parts: Vec<Vec<u8>> = vec![Vec::new(); usize::try_from(files).unwrap()];
        if files == 1 {
            log::write(&logs.join("site.log"), plan).unwrap();
            return logs;
        }
        let mut turn = 0;
        log::each(plan, |line| {
            turn = (turn + 1) % parts.len();
            parts.get_mut(turn).unwrap().write_all(line.as_bytes())
        })
        .unwrap();
        for (number, part) in parts.iter().enumerate() {
            let mut file =
                BufWriter::new(File::create(logs.join(format!("site-{number}.log"))).unwrap());
            file.write_all(part).unwrap();
        }
        logs
    }

    /// Replays a log on a copy of what was taught.
    fn time(&self, logs: &Path) -> Cost {
        let (taught, state) = (self.taught(), self.state());
        std::fs::remove_dir_all(&state).ok();
        if taught.exists() {
            std::fs::create_dir(&state).unwrap();
            for file in std::fs::read_dir(&taught).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), state.join(file.file_name())).unwrap();
            }
        }
        run(&mut replay(&state, logs))
    }

    fn taught(&self) -> PathBuf {
        self.directory.join("taught")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }
}

fn replay(state: &Path, logs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwatch"));
    command.arg("--state-dir").arg(state).args(["replay", "--save", "--json"]).arg(logs);
    command.stdout(Stdio::null());
    command
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
