//! Instructions of `replay --save` on fixed logs, compared with the accepted numbers (`.ci/instructions.txt`).
//! `cargo bench --profile dev --bench instructions -- PROGRAM [accept]`; `.ci/instructions` builds both.
//!
//! Exits with 1 if a log takes more than [`LEEWAY`] more, or a byte of hostile lines more than [`MOST`] times what one
//! of combined lines takes. Callgrind counts them: it runs threads in turn and emulates
//! one kind of processor, so load and machine hardly matter; compiler and C library do. Seal key, zone and core are
//! pinned. The instructions of the first lines are subtracted: they are the start of the program.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a check may fail, prints, and counts"
)]

mod hostile;
#[allow(dead_code, reason = "shared with other benches")]
mod log;
#[allow(dead_code, reason = "shared with other benches")]
mod measure;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hostile::Kind;
use log::{Form, Plan};
use measure::number;

const LINES: u64 = 20_000;
/// Lines that are not counted, but taken for the start: the first token has tables unpacked.
const FIRST: usize = 200;
/// What may be more, or less, before somebody has to say so.
const LEEWAY: f64 = 0.05;
/// What a byte of hostile lines may take, by what one of combined lines does: half of the throughput is promised.
const MOST: f64 = 2.0;
const MARKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/instructions.txt");
const LOGS: [(&str, Form); 2] = [("combined", Form::Combined), ("json", Form::Json)];

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let program = words.first().unwrap();
    let Some(tools) = tools() else {
        println!("NOT RUN: instructions: valgrind does not work here.");
        return;
    };
    let bench = Bench { program: program.into(), directory: tempfile::tempdir().unwrap().keep() };
    let counts = LOGS.map(|(name, form)| (name, bench.ordinary(name, form)));
    let are_few = bench.hostile_are_few(&counts[0].1);
    std::fs::remove_dir_all(&bench.directory).unwrap();
    let counts = counts.map(|(name, counted)| (name, counted.instructions));
    if words.iter().any(|word| word == "accept") {
        accept(&counts, &tools);
    } else if !compare(&counts, &tools) || !are_few {
        std::process::exit(1);
    }
}

/// What is counted with: counts of others are not the same. `None` if it does not run.
fn tools() -> Option<String> {
    let say = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
    };
    say("valgrind", &["--tool=none", "-q", "true"])?;
    let valgrind = say("valgrind", &["--version"])?;
    Some(format!("{}, {valgrind}, {}", say("rustc", &["--version"])?, std::env::consts::ARCH))
}

/// What a usual log takes.
struct Counted {
    /// Of the lines but the first ones, and the bytes of these lines.
    instructions: u64,
    bytes: usize,
    /// The first lines, and the instructions of a replay of these only.
    first: String,
    start: u64,
}

struct Bench {
    program: PathBuf,
    directory: PathBuf,
}

impl Bench {
    /// Counts all lines of a usual log but the first ones.
    fn ordinary(&self, name: &str, form: Form) -> Counted {
        let log = self.directory.join("usual");
        log::write(&log, Plan::usual(form, LINES)).unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let first: String = text.split_inclusive('\n').take(FIRST).collect();
        let start = self.count("start", &[&first]);
        let instructions = self.count(name, &[&text]) - start;
        Counted { instructions, bytes: text.len() - first.len(), first, start }
    }

    /// Says of each kind of hostile lines what a byte takes. False if it is too much.
    fn hostile_are_few(&self, usual: &Counted) -> bool {
        let mut are_few = true;
        for Kind { name, text } in hostile::kinds() {
            let instructions = self.count("hostile", &[&usual.first, &text]) - usual.start;
            let each = instructions as f64 / text.len() as f64;
            let times = each / (usual.instructions as f64 / usual.bytes as f64);
            println!("{name}: {each:.0} instructions a byte, {times:.2} times combined");
            if MOST < times {
                are_few = false;
                println!("Hostile lines may take {MOST} times as much: SECURITY.md, case 42.");
            }
        }
        are_few
    }

    /// Instructions of a replay of these logs.
    fn count(&self, name: &str, texts: &[&str]) -> u64 {
        let (logs, counted) = (self.directory.join("logs"), counted(name));
        std::fs::remove_dir_all(&logs).ok();
        std::fs::create_dir(&logs).unwrap();
        for (number, text) in texts.iter().enumerate() {
            std::fs::write(logs.join(format!("{number}.log")), text).unwrap();
        }
        let state = self.directory.join("state");
        std::fs::remove_dir_all(&state).ok();
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("seal.key"), "the seal key of a benchmark").unwrap();
        let config = self.directory.join("tokenwatch.toml");
        std::fs::write(&config, "").unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "valgrind", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", counted.display())).arg(&self.program);
        command.arg("--config").arg(&config).arg("--state-dir").arg(&state);
        command.args(["replay", "--save", "--json"]).arg(logs);
        let output = command.env("TZ", "UTC").stdout(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let of_all = said.lines().find_map(|line| line.split("Collected : ").nth(1));
        of_all.unwrap_or_else(|| unreachable!("{said}")).trim().parse().unwrap()
    }
}

/// Where callgrind leaves what it counted.
fn counted(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.callgrind"))
}

/// Says of each log how it stands. False if one takes too many.
fn compare(counts: &[(&str, u64)], tools: &str) -> bool {
    let marks = std::fs::read_to_string(MARKS).unwrap();
    if !marks.contains(tools) {
        println!("The marks were counted with other tools than {tools}: {MARKS}");
    }
    let mut is_good = true;
    for (name, count) in counts {
        let mark =
            marks.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let mark = mark.unwrap_or(f64::NAN);
        let more = *count as f64 / mark - 1.0;
        let counted_as = number(*count as f64);
        println!("{name}: {counted_as} instructions, {:+.2} % to the mark", more * 100.0);
        if more < -LEEWAY {
            println!("Well done. Lower the mark, so that it guards: just accept-instructions");
        } else if more.is_nan() || LEEWAY < more {
            is_good = false;
            println!(
                "`replay --save` of {LINES} {name} lines takes {:.1} % more than was accepted ({}). Where: \
                 callgrind_annotate {}. If it is worth that: just accept-instructions, and say why in the commit.",
                more * 100.0,
                number(mark),
                counted(name).display()
            );
        }
    }
    is_good
}

fn accept(counts: &[(&str, u64)], tools: &str) {
    let mut text = format!(
        "# Instructions of `replay --save` of {LINES} lines: benches/instructions.rs. Written by `just accept-instructions`.\n\
         # {tools}\n"
    );
    for (name, count) in counts {
        writeln!(text, "{name} {count}").unwrap();
    }
    std::fs::write(MARKS, &text).unwrap();
    print!("{text}");
}
