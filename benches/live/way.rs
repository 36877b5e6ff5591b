//! Time from a written line to a committed alert and to an accepted mail, under load; compared with a bare inotify
//! tail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use notify::{RecursiveMode, Watcher as _};

use crate::Daemon;
use crate::measure::{kib, processor};
use crate::program::{Home, PATIENCE, wait_until};
use crate::smtp::{Options, SmtpServer};

const TOKENS: u64 = 20_000;
/// How often the writer writes.
const TICK: Duration = Duration::from_millis(5);
/// How often a decoy is used.
const BAIT: Duration = Duration::from_millis(500);

/// When what happened, by decoy.
type Times = BTreeMap<u64, Instant>;

pub(crate) fn measure(length: Duration, rate: u64) {
    let server = SmtpServer::start(Options::default());
    let home = home(&server, length);
    let mut command = home.command(&["run", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut daemon = Daemon::start(command.stderr(File::create(home.path("daemon.log")).unwrap()));
    let output = daemon.0.stdout.take().unwrap();
    home.append("logs/site.log", lines(0, 1));
    wait_until("the daemon follows", || 0 < home.committed_lines());
    let before = processor(daemon.id()).unwrap();
    let is_over = AtomicBool::new(false);
    let log = home.path("logs/site.log");
    let (written, seen, told) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| tail(&log, &is_over));
        let told = scope.spawn(|| told(BufReader::new(output), length));
        let written = write(&home, length, rate);
        let share = (processor(daemon.id()).unwrap() - before) / length.as_secs_f64() * 100.0;
        let memory = kib(daemon.id(), "VmHWM").unwrap() / 1024;
        println!(
            "\n{rate} lines a second for {length:?}: {share:.1} % of a core, {memory} MiB at most\n"
        );
        let told = told.join().unwrap();
        is_over.store(true, Ordering::Relaxed);
        (written, seen.join().unwrap(), told)
    });
    wait_until("all decoys are mailed", || mailed(&server).len() == written.len());
    println!(
        "| from a line written to | p50 | p99 | most | goal |\n| --- | --- | --- | --- | --- |"
    );
    row("a bare inotify tail has it", &written, &seen, "");
    row("its alert is committed, and told", &written, &told, "p50 5 ms over that, p99 250 ms");
    row("its mail is accepted", &written, &mailed(&server), "p99 1 s");
    println!(
        "\n{} decoys used, {} alerts, {} mailed",
        written.len(),
        told.len(),
        mailed(&server).len()
    );
}

fn home(server: &SmtpServer, length: Duration) -> Home {
    let home = Home::new(&format!(
        "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\n[output]\njournal = false\n\
         [mail]\nserver = \"smtp://localhost:{}\"\nca_file = \"ca.pem\"\nmax_per_hour = 10000\n\
         from = \"tokenwatch@example.org\"\nto = [\"security@example.org\"]\n",
        server.port()
    ));
    std::fs::write(home.path("ca.pem"), server.ca_pem()).unwrap();
    let mut registry = "token,name,decoy\n".to_owned();
    for number in 0..=length.as_millis() / BAIT.as_millis() {
        writeln!(registry, "{},bait-{number},true", decoy(number as u64)).unwrap();
    }
    let output = home.output_with(&["tokens", "import", "-"], &registry);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    home
}

fn decoy(number: u64) -> String {
    format!("exk_{number:08}ba1tba1tba1tba1tba")
}

/// Writes at a steady rate; returns when each decoy was.
fn write(home: &Home, length: Duration, rate: u64) -> Times {
    let mut file = File::options().append(true).open(home.path("logs/site.log")).unwrap();
    let (mut written, mut n_lines) = (Times::new(), 1);
    let begun = Instant::now();
    while begun.elapsed() < length {
        let due = begun.elapsed().as_millis() as u64 * rate / 1000;
        let mut text = lines(n_lines, due.saturating_sub(n_lines));
        n_lines = n_lines.max(due);
        let n = written.len() as u64;
        let is_time = (BAIT * n as u32) <= begun.elapsed();
        if is_time {
            line(&mut text, "192.0.2.66", &decoy(n));
        }
        let now = Instant::now();
        file.write_all(text.as_bytes()).unwrap();
        if is_time {
            written.insert(n, now);
        }
        std::thread::sleep(TICK.saturating_sub(now.elapsed()));
    }
    written
}

fn lines(from: u64, n: u64) -> String {
    let mut text = String::new();
    for n in from..from + n {
        let token = n % TOKENS;
        let client = format!("198.51.{}.{}", 100 + token / 250 % 100, token % 250);
        line(&mut text, &client, &format!("exk_{token:08}0123456789abcdefgh"));
    }
    text
}

fn line(text: &mut String, client: &str, secret: &str) {
    let time = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
    writeln!(
        text,
        "{client} - - [{time}] \"GET /v1/items HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\" \"Bearer {secret}\""
    )
    .unwrap();
}

/// Follows the log as simply as can be; returns when it saw each decoy.
fn tail(log: &Path, is_over: &AtomicBool) -> Times {
    let (sender, events) = channel();
    let mut watcher = notify::recommended_watcher(move |_| sender.send(()).unwrap_or(())).unwrap();
    watcher.watch(log, RecursiveMode::NonRecursive).unwrap();
    let mut file = File::open(log).unwrap();
    let (mut seen, mut bytes) = (Times::new(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        if events.recv_timeout(Duration::from_millis(100)).is_err() {
            continue;
        }
        bytes.clear();
        file.read_to_end(&mut bytes).unwrap();
        let now = Instant::now();
        for at in memchr::memmem::find_iter(&bytes, "ba1tba1tba1tba1tba") {
            let number = std::str::from_utf8(&bytes[at - 8..at]).unwrap();
            seen.entry(number.parse().unwrap()).or_insert(now);
        }
    }
    seen
}

/// Reads what the daemon tells, which it does behind each commit, until every decoy was told.
fn told(output: BufReader<impl std::io::Read>, length: Duration) -> Times {
    let mut told = Times::new();
    let deadline = Instant::now() + length + PATIENCE;
    let all = length.as_millis().div_ceil(BAIT.as_millis()) as usize;
    for line in output.lines() {
        let (line, now) = (line.unwrap(), Instant::now());
        let name = line.split("bait-").nth(1);
        let digits = name.and_then(|name| name.split(|sign: char| !sign.is_ascii_digit()).next());
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            told.entry(number).or_insert(now);
        }
        if all <= told.len() || deadline < now {
            break;
        }
    }
    told
}

/// When each decoy was first named in a mail.
fn mailed(server: &SmtpServer) -> Times {
    let mut mailed = Times::new();
    for message in server.messages() {
        let mail = MessageParser::default().parse(&message.bytes).unwrap();
        let text = mail.body_text(0).unwrap();
        for name in text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-') {
            if let Some(number) = name.strip_prefix("bait-").and_then(|name| name.parse().ok()) {
                mailed.entry(number).or_insert(message.received);
            }
        }
    }
    mailed
}

fn row(what: &str, written: &Times, come: &Times, goal: &str) {
    let mut took: Vec<f64> = written
        .iter()
        .filter_map(|(number, from)| {
            Some(come.get(number)?.duration_since(*from).as_secs_f64() * 1e3)
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms | {goal} |", at(0.5), at(0.99), at(1.0));
}
