//! The whole pipeline and its upper bounds, in turn on the same logs. `cargo bench --bench throughput [-- LINES]`
//!
//! Prints tables of medians and ratios; asserts nothing. On a shared machine, absolute times mean little: read the
//! ratios. Logs are generated, or named by `COMBINED_LOG` and `JSON_LOG` (keys as in `benches/log.rs`). `LIMITS` names
//! a program that splits a log by hand (`LIMITS split-full FILE`) and parses JSON (`LIMITS json-sonic FILE`), and with
//! `MMDB` also runs the prototype (`LIMITS pipe FILE MMDB DATABASE [json]`); without it, only line ends are searched.
//! `goaccess` and `crowdsec` run if they are installed, on the first lines.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may fail, prints, and counts"
)]

#[allow(dead_code, reason = "shared with other benches")]
mod log;
#[allow(dead_code, reason = "shared with other benches")]
mod measure;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use log::{Form, Plan};
use measure::{Cost, machine, median, number, run};
use tokenwatch::engine::reader::{Reader, Source};
use tokenwatch::engine::record::Format;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::token::{Finder, Names, Sealer};
use tokenwatch::source::replay::{Input, Replay};

const RUNS: usize = 5;
/// Lines that `goaccess` and `crowdsec` get: enough for seconds.
const GOACCESS_LINES: usize = 100_000;
const CROWDSEC_LINES: usize = 20_000;

fn main() {
    let lines =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput");
    std::fs::create_dir_all(&directory).unwrap();
    println!("{}; medians of {RUNS}, in turn", machine());
    for (form, name) in [(Form::Combined, "COMBINED_LOG"), (Form::Json, "JSON_LOG")] {
        let log = variable(name).unwrap_or_else(|| {
            let path = directory.join(format!("{form:?}-{lines}.log"));
            if !path.exists() {
                log::write(&path, Plan::usual(form, lines)).unwrap();
            }
            path
        });
        Bench { form, log, directory: directory.clone() }.measure().print(form);
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Makes the command of a peer.
type Peer = fn(&Bench) -> Command;

/// One log and where to work.
struct Bench {
    form: Form,
    log: PathBuf,
    directory: PathBuf,
}

impl Bench {
    fn measure(&self) -> Measured {
        let mut measured = Measured { lines: count(&self.log), ..Measured::default() };
        let peers = self.peers();
        for _ in 0..RUNS {
            measured
                .add("wc", run(Command::new("wc").arg("-l").arg(&self.log).stdout(Stdio::null())));
            let copy = File::create(self.directory.join("copy")).unwrap();
            measured.add("cat", run(Command::new("cat").arg(&self.log).stdout(copy)));
            measured.add("save", run(&mut self.replay(None)));
            measured.add("one", run(&mut self.replay(Some("0"))));
            let (cost, usages) = self.read();
            measured.add("reader", cost);
            measured.usages = usages;
            measured.add("split", self.split());
            if let Some(mut prototype) = self.prototype() {
                measured.add("prototype", run(&mut prototype));
            }
            for (name, peer) in &peers {
                measured.add(name, run(&mut peer(self)));
            }
        }
        std::fs::remove_file(self.directory.join("copy")).unwrap();
        measured
    }

    /// The program, with its state on disk; on one core, if that is named.
    fn replay(&self, core: Option<&str>) -> Command {
        let state = self.directory.join("state");
        std::fs::remove_dir_all(&state).ok();
        let program = env!("CARGO_BIN_EXE_tokenwatch");
        let mut command = core.map_or_else(
            || Command::new(program),
            |core| {
                let mut command = Command::new("taskset");
                command.args(["-c", core, program]);
                command
            },
        );
        command.arg("--state-dir").arg(&state).args(["replay", "--save", "--json"]).arg(&self.log);
        command.stdout(Stdio::null());
        command
    }

    /// The Reader alone: bytes to usages, on this thread; and how many usages there are.
    fn read(&self) -> (Cost, u64) {
        let names = Names::default();
        let sealer = Sealer::new(SealKey::new(b"a key"), &names);
        let source = Source::of(Format::preset("auto").unwrap());
        let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
        let input = Input { source: 0, path: self.log.clone() };
        let start = Instant::now();
        let batches = Replay::open(vec![input], |_, _: &[u8], _: &_, _| None);
        let usages = batches.map(|batch| reader.read(&batch.unwrap()).tally.usages).sum();
        (Cost { wall: start.elapsed().as_secs_f64(), ..Cost::default() }, usages)
    }

    /// What bounds the Reader.
    fn split(&self) -> Cost {
        if let Some(limits) = variable("LIMITS") {
            let how = match self.form {
                Form::Combined => "split-full",
                Form::Json => "json-sonic",
            };
            return run(Command::new(limits).arg(how).arg(&self.log).stdout(Stdio::null()));
        }
        let start = Instant::now();
        let lines = count(&self.log);
        assert!(0 < lines);
        Cost { wall: start.elapsed().as_secs_f64(), ..Cost::default() }
    }

    fn prototype(&self) -> Option<Command> {
        let mut command = Command::new(variable("LIMITS")?);
        command.arg("pipe").arg(&self.log).arg(variable("MMDB")?);
        command.arg(self.directory.join("prototype.db")).stdout(Stdio::null());
        if matches!(self.form, Form::Json) {
            command.arg("json");
        }
        Some(command)
    }

    /// The peers that are installed and read this log.
    fn peers(&self) -> Vec<(&'static str, Peer)> {
        let mut peers: Vec<(&'static str, Peer)> = Vec::new();
        if matches!(self.form, Form::Combined) {
            if is_installed("goaccess") {
                self.slice("goaccess.log", GOACCESS_LINES);
                peers.push(("goaccess", Self::goaccess));
            }
            if is_installed("crowdsec") {
                self.slice("crowdsec.log", CROWDSEC_LINES);
                peers.push(("crowdsec", Self::crowdsec));
            }
        }
        peers
    }

    fn goaccess(&self) -> Command {
        let mut command = Command::new("goaccess");
        command.arg(self.directory.join("goaccess.log"));
        command.args(["--log-format=COMBINED", "--no-global-config", "--no-progress", "-o"]);
        command.arg(self.directory.join("goaccess.json")).stdout(Stdio::null());
        command
    }

    fn crowdsec(&self) -> Command {
        let log = self.directory.join("crowdsec.log");
        let mut command = Command::new("crowdsec");
        command.args(["-no-api", "-type", "nginx", "-dsn"]);
        command.arg(format!("file://{}", log.display())).stdout(Stdio::null());
        command
    }

    /// The first lines, as a log of their own.
    fn slice(&self, name: &str, lines: usize) {
        let mut slice = File::create(self.directory.join(name)).unwrap();
        for line in BufReader::new(File::open(&self.log).unwrap()).split(b'\n').take(lines) {
            slice.write_all(&line.unwrap()).unwrap();
            slice.write_all(b"\n").unwrap();
        }
    }
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(program).is_file())
}

/// Finds the lines of a file.
fn count(path: &Path) -> u64 {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path).unwrap());
    let mut lines = 0;
    loop {
        let bytes = file.fill_buf().unwrap();
        if bytes.is_empty() {
            return lines;
        }
        lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let length = bytes.len();
        file.consume(length);
    }
}

/// What all runs took, by what ran.
#[derive(Default)]
struct Measured {
    lines: u64,
    usages: u64,
    costs: BTreeMap<&'static str, Vec<Cost>>,
}

impl Measured {
    fn add(&mut self, what: &'static str, cost: Cost) {
        self.costs.entry(what).or_default().push(cost);
    }

    fn middle(&self, what: &str, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        Some(median(self.costs.get(what)?.iter().map(of).collect()))
    }

    fn wall(&self, what: &str) -> f64 {
        self.middle(what, |cost| cost.wall).unwrap_or(f64::NAN)
    }

    /// The middle of the ratios of the walls, round by round.
    fn ratio(&self, what: &str, to: &[&str]) -> Option<f64> {
        let costs = self.costs.get(what)?;
        let ratios = costs.iter().enumerate().map(|(round, cost)| {
            let sum: f64 = to.iter().map(|to| self.costs[to][round].wall).sum();
            cost.wall / sum
        });
        Some(median(ratios.collect()))
    }

    fn print(&self, form: Form) {
        let Self { lines, usages, .. } = self;
        let (lines, usages) = (*lines as f64, *usages as f64);
        println!("\n{form:?}, {} lines, {} usages\n", number(lines), number(usages));
        println!("| what | measured | goal |\n| --- | --- | --- |");
        let goal = |combined, json| match form {
            Form::Combined => combined,
            Form::Json => json,
        };
        let bounds = self.wall("wc") + self.wall("cat");
        row(
            "`wc -l` + `cat`",
            &format!("{:.3} s + {:.3} s", self.wall("wc"), self.wall("cat")),
            "",
        );
        let processor = self.middle("save", |cost| cost.processor).unwrap_or(f64::NAN);
        let memory = self.middle("save", |cost| cost.memory).unwrap_or(f64::NAN) / 1_048_576.0;
        let wall = self.wall("save");
        row(
            "`replay --save`",
            &format!("{wall:.2} s, {processor:.2} s on the processor, {memory:.0} MiB at most"),
            "",
        );
        row("beside `wc -l` + `cat`", &format!("{:.1} times", wall / bounds), goal("4 times", ""));
        row("lines a second on the processor", &number(lines / processor), "");
        row("usages a second on the processor", &number(usages / processor), goal("", "600,000"));
        let gain = self.ratio("one", &["save"]).unwrap_or(f64::NAN);
        let one = self.wall("one");
        row(
            "on one core",
            &format!("{one:.2} s; two are {gain:.2} times as fast"),
            goal("", "1.7"),
        );
        if let Some(ratio) = self.ratio("save", &["prototype"]) {
            let prototype = self.wall("prototype");
            let beside = format!("{ratio:.2} times its {prototype:.2} s");
            row("beside the prototype on one core", &beside, goal("", "1"));
        }
        let reader = self.wall("reader");
        row("Reader alone, one core", &format!("{} lines/s", number(lines / reader)), "");
        let share = self.ratio("split", &["reader"]).unwrap_or(f64::NAN) * 100.0;
        let split = number(lines / self.wall("split"));
        let bound = match (variable("LIMITS"), form) {
            (None, _) => "finding lines",
            (Some(_), Form::Combined) => "`limits split-full`",
            (Some(_), Form::Json) => "`limits json-sonic`",
        };
        let wanted = if variable("LIMITS").is_some() { goal("60 %", "") } else { "" };
        row(&format!("beside {bound}"), &format!("{share:.1} % of {split} lines/s"), wanted);
        self.peer("goaccess", "GoAccess", GOACCESS_LINES, lines / processor, "30 times");
        self.peer("crowdsec", "CrowdSec", CROWDSEC_LINES, lines / processor, "1,000 times");
    }

    fn peer(&self, key: &str, name: &str, lines: usize, own: f64, goal: &str) {
        let Some(processor) = self.middle(key, |cost| cost.processor) else { return };
        let rate = (lines as f64).min(self.lines as f64) / processor;
        let beside = format!("{:.0} times its {} lines", own / rate, number(rate));
        row(&format!("lines a second on the processor, beside {name}"), &beside, goal);
    }
}

fn row(what: &str, measured: &str, goal: &str) {
    println!("| {what} | {measured} | {goal} |");
}
