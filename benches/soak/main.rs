//! The soak: writers, rotations, SIGKILL, SIGSTOP and a mail server that comes and goes, for a while; then every line
//! must have been counted once. `cargo bench --bench soak -- [MINUTES] [SEED] [RATE] [HASTE] [peer]`
//!
//! HASTE shortens all pauses by that factor. Prints a table; exits with 1, and keeps the files, if a line was lost or
//! counted twice, an alert was not mailed, or memory grew. With `peer`, rsyslogd reads instead of the daemon, under the
//! same plan, and nothing is asserted. `-- draw OWN PEER` draws `docs/soak.svg` from what two runs printed.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark may fail, prints, and counts"
)]

mod figure;
mod log;
#[path = "../measure.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod measure;
mod own;
mod peer;
mod plan;
#[path = "../../tests/it/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the program")]
mod program;
mod reader;
mod report;
#[path = "../../tests/it/smtp/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the program")]
mod smtp;
#[path = "../svg.rs"]
mod svg;
mod watch;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use own::Own;
use peer::Peer;
use plan::Order;
use reader::{Process, Reader};
use smtp::{Options, SmtpServer};
use watch::Watch;
use writer::{Shared, WRITERS, Written};

/// How long the reader may get no further in the end before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [draw, own, peer] = words.as_slice()
        && draw == "draw"
    {
        return figure::draw([own, peer].map(Path::new));
    }
    let number = |place: usize, default: u64| {
        words.iter().filter_map(|word| word.parse().ok()).nth(place).unwrap_or(default)
    };
    let length = Duration::from_secs(60 * number(0, 30));
    let order =
        Order { seed: number(1, 1), length, rate: number(2, 20_000), haste: number(3, 1) as u32 };
    let is_good = if words.iter().any(|word| word == "peer") {
        soak_peer(order);
        true
    } else {
        soak(order)
    };
    if !is_good {
        std::process::exit(1);
    }
}

/// Soaks the daemon. False if anything is lost or too much.
fn soak(order: Order) -> bool {
    let server = SmtpServer::start(Options::default());
    let mut own = Own::new(&server, writer::n_decoys(order.length));
    let home = own.0.path("");
    let run = run(&mut own, &home, Some(server), order);
    let Run { written, watch, mut process, server } = run;
    let server = server.expect("the server of this run");
    let deadline = Instant::now() + 2 * PATIENCE;
    while own.n_waiting() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    process.end();
    let findings = own.findings(&written, &server);
    report::head(&own.name(), order, &written, &watch, &process);
    report::lag(order, &watch);
    report::own(&findings, watch.n_written());
    report::growth(order, &watch);
    let is_good = findings.are_good(watch.n_written()) && watch.memory_stays(order.length);
    if !is_good {
        println!("\nNot good. Files are kept: {}", home.display());
        std::mem::forget(own);
    }
    is_good
}

/// Soaks the peer; loss is what is measured.
fn soak_peer(order: Order) {
    let mut peer = Peer::new();
    let home = peer.path("");
    let Run { written, watch, mut process, .. } = run(&mut peer, &home, None, order);
    process.end();
    report::head(&peer.name(), order, &written, &watch, &process);
    report::peer(peer.lost_and_doubled(watch.n_written()), watch.n_written());
}

/// What a run leaves.
struct Run {
    written: Vec<Written>,
    watch: Watch,
    process: Process,
    server: Option<SmtpServer>,
}

/// Runs writers and reader until all is written, and read if it will be.
fn run(reader: &mut dyn Reader, home: &Path, server: Option<SmtpServer>, order: Order) -> Run {
    std::fs::create_dir(home.join("workshop")).unwrap();
    let log: PathBuf = home.join("daemon.log");
    let process = Process::start(reader, log);
    let shared = Shared::default();
    let mut watch = Watch::new(order, process, server);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|first| {
                scope.spawn({
                    let shared = &shared;
                    move || writer::write(home, first, order, shared)
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            watch.look(reader, &shared);
            std::thread::sleep(Duration::from_millis(100));
        }
        writers.into_iter().map(|writer| writer.join().unwrap().unwrap()).collect()
    });
    watch.calm(reader);
    let (mut n_read, mut since) = (0, Instant::now());
    while n_read < shared.written.load(Ordering::Relaxed) && since.elapsed() < PATIENCE {
        watch.look(reader, &shared);
        std::thread::sleep(Duration::from_millis(100));
        if n_read < watch.n_read() {
            (n_read, since) = (watch.n_read(), Instant::now());
        }
    }
    let (process, server) = watch.take();
    Run { written, watch, process, server }
}
