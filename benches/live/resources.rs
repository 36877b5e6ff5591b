//! Resources of the daemon: memory with many tokens, processor time while idle, time to start and to answer.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Daemon;
use crate::log::{self, Form, Plan, Tokens};
use crate::measure::{kib, median, number, run};
use crate::program::{CONFIG, Home, PATIENCE, wait_until};

const TOKENS: u64 = 20_000;
const PRINCIPALS: u64 = 1_000_000;
const DAY: u64 = 86_400;
/// How long after reading the daemon counts as idle.
const SETTLED: Duration = Duration::from_secs(5);
/// How long the idle daemon is looked at.
const IDLE: Duration = Duration::from_secs(30);
const RUNS: usize = 5;

pub(crate) fn measure() {
    println!("\n| what | measured | goal |\n| --- | --- | --- |");
    follow();
    answer();
}

/// Many tokens in one log that then is quiet.
fn follow() {
    let home = Home::new(CONFIG);
    let plan = Plan {
        form: Form::Json,
        lines: 10 * TOKENS,
        from: 0,
        seconds: DAY,
        tokens: Tokens::InTurn(TOKENS),
    };
    log::write(&home.path("logs/site.log"), plan).unwrap();
    let daemon = start(&home);
    wait_until("all is read", || home.committed_lines() == plan.lines);
    let (most, now) = (kib(daemon.id(), "VmHWM"), kib(daemon.id(), "VmRSS"));
    row(
        &format!("memory with {} tokens", number(TOKENS as f64)),
        &format!("{} MiB, {} MiB at most", now.unwrap() / 1024, most.unwrap() / 1024),
        "64 MB",
    );
    // What reading has left to be done is no rest.
    std::thread::sleep(SETTLED);
    let before = on_processor(daemon.id());
    std::thread::sleep(IDLE);
    let share = (on_processor(daemon.id()) - before) / IDLE.as_secs_f64() * 100.0;
    row("a core, following one quiet log", &format!("{share:.3} %"), "0.1 %");
}

/// A database of many principals: how soon it is ready, and answers.
fn answer() {
    let home = Home::new(CONFIG);
    let log = home.path("past.log");
    let tokens = Tokens::InTurn(PRINCIPALS);
    let plan = Plan { form: Form::Json, lines: PRINCIPALS, from: 0, seconds: DAY, tokens };
    log::write(&log, plan).unwrap();
    let log = log.display().to_string();
    let past = run(home.command(&["replay", "--save", "--json", &log]).stdout(Stdio::null()));
    std::fs::remove_file(&log).unwrap();
    let many = number(PRINCIPALS as f64);
    let memory = past.memory / 1_048_576.0;
    row(
        &format!("memory of the replay of {many} principals"),
        &format!("{memory:.0} MiB"),
        "256 MB",
    );
    let files = ["state/tokenwatch.db", "state/tokenwatch.db-wal"].map(|name| home.path(name));
    let bytes: u64 =
        files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
    let each = bytes as f64 / PRINCIPALS as f64;
    row("database, a principal, its first hour included", &format!("{each:.0} bytes"), "1.5 KB");
    row(
        &format!("from exec to READY with {many} principals"),
        &format!("{:.0} ms", middle(|| ready(&home))),
        "1 s",
    );
    let first = home.json(&["tokens", "list", "--limit", "1", "--json"]).remove(0);
    let token = first["token"]["id"].as_str().unwrap().to_owned();
    let asked =
        [("history TOKEN", vec!["history", &token]), ("tokens list", vec!["tokens", "list"])];
    for (name, arguments) in asked {
        let took = middle(|| run(home.command(&arguments).stdout(Stdio::null())).wall * 1e3);
        row(&format!("`{name}` there"), &format!("{took:.0} ms"), "50 ms");
    }
}

fn start(home: &Home) -> Daemon {
    let log = std::fs::File::create(home.path("daemon.log")).unwrap();
    Daemon::start(home.command(&["run"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log))
}

/// Milliseconds from exec until systemd would be told.
fn ready(home: &Home) -> f64 {
    let path = home.path("notify");
    std::fs::remove_file(&path).ok();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).stdin(Stdio::null());
    let begun = Instant::now();
    let _daemon = Daemon::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let mut bytes = [0; 4096];
    loop {
        let length = socket.recv(&mut bytes).unwrap();
        if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == "READY=1") {
            return begun.elapsed().as_secs_f64() * 1e3;
        }
    }
}

/// Seconds on the processor, of all threads that are, to the nanosecond.
fn on_processor(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn middle(mut once: impl FnMut() -> f64) -> f64 {
    median((0..RUNS).map(|_| once()).collect())
}

fn row(what: &str, measured: &str, goal: &str) {
    println!("| {what} | {measured} | {goal} |");
}
