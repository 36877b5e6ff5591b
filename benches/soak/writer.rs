//! The writers: lines with serial numbers at a steady rate, and the rotations of the plan.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::log::Log;
use crate::plan::{self, Order, WAYS, Way};
use crate::program::Random;

/// Logs that are written.
pub(crate) const LOGS: usize = 50;

/// Threads that write them.
pub(crate) const WRITERS: usize = 2;

/// Tokens that the site knows.
pub(crate) const TOKENS: u64 = 400;

const TICK: Duration = Duration::from_millis(10);

/// Lines that a log gets at once, at most: who was held up does not make up for it in one blow.
const BURST: u64 = 200;

/// How often a decoy is used, by one of the writers.
const BAIT: Duration = Duration::from_secs(7);

/// What all writers count, and what they are told.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Lines written so far.
    pub(crate) written: AtomicU64,
    /// The next serial number.
    serial: AtomicU64,
    /// Whether the reader is near: only then may files be removed.
    pub(crate) may_prune: AtomicBool,
}

/// What one writer has written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Lines by token.
    pub(crate) by_token: Vec<u64>,
    /// Lines with a token that nobody knows.
    pub(crate) refused: u64,
    /// Decoys used, once each.
    pub(crate) decoys: u64,
    /// Rotations, by way.
    pub(crate) rotations: [u64; WAYS.len()],
    /// The longest that this writer was behind.
    pub(crate) held_up: Duration,
}

/// A secret of the site.
pub(crate) fn secret(token: u64) -> String {
    format!("exk_{token:08}0123456789abcdefgh")
}

/// A decoy.
pub(crate) fn decoy(number: u64) -> String {
    format!("exk_{number:08}ba1tba1tba1tba1tba")
}

/// The decoys that there are, used or not.
pub(crate) fn n_decoys(length: Duration) -> u64 {
    length.as_secs() / BAIT.as_secs() + 1
}

struct Site {
    log: Log,
    way: usize,
    turns: VecDeque<Duration>,
    n_lines: u64,
}

/// Writes every so manieth log, from the one with this number on.
pub(crate) fn write(
    home: &Path,
    first: usize,
    order: Order,
    shared: &Shared,
) -> io::Result<Written> {
    let mut sites = Vec::new();
    for number in (first..LOGS).step_by(WRITERS) {
        let way = number % WAYS.len();
        let log = Log::create(home, number, WAYS[way])?;
        let turns = plan::rotations(order, number).into();
        sites.push(Site { log, way, turns, n_lines: 0 });
    }
    let mut writer = Writer {
        random: Random(order.seed ^ first as u64),
        written: Written { by_token: vec![0; TOKENS as usize], ..Written::default() },
        shared,
        time: String::new(),
        lines: String::new(),
    };
    let begun = Instant::now();
    while begun.elapsed() < order.length {
        let tick = Instant::now();
        writer.time = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
            .format("%d/%b/%Y:%H:%M:%S +0000")
            .to_string();
        let has_bait =
            first == 0 && writer.written.decoys < begun.elapsed().as_secs() / BAIT.as_secs();
        if has_bait {
            writer.bait(&mut sites[0].log)?;
        }
        for site in &mut sites {
            writer.turn(site, begun.elapsed(), order)?;
        }
        writer.written.held_up = writer.written.held_up.max(tick.elapsed());
        std::thread::sleep(TICK.saturating_sub(tick.elapsed()));
    }
    for site in &mut sites {
        site.log.finish()?;
    }
    Ok(writer.written)
}

struct Writer<'a> {
    random: Random,
    written: Written,
    shared: &'a Shared,
    /// Now, as a log has it.
    time: String,
    lines: String,
}

impl Writer<'_> {
    /// Rotates a log if it is time to, and writes the lines that are due.
    fn turn(&mut self, site: &mut Site, since: Duration, order: Order) -> io::Result<()> {
        let now = Instant::now();
        if site.turns.front().is_some_and(|at| *at <= since) {
            if self.shared.may_prune.load(Ordering::Relaxed) {
                site.log.prune(now)?;
            }
            if site.log.rotate(now)? {
                site.turns.pop_front();
                self.written.rotations[site.way] += 1;
            }
        }
        let due = since.as_millis() as u64 * order.rate / (1000 * LOGS as u64);
        let n = due.saturating_sub(site.n_lines).min(BURST);
        if n == 0 {
            return Ok(());
        }
        // What is too much for one turn is left out, and so seen in the rate.
        site.n_lines = due;
        self.lines.clear();
        for _ in 0..n {
            self.line();
        }
        let n_torn = if self.random.below(16) == 0 { self.random.below(120) as usize } else { 0 };
        site.log.write(self.lines.as_bytes(), n_torn, now)?;
        self.shared.written.fetch_add(n, Ordering::Relaxed);
        Ok(())
    }

    /// Adds one line of a token: some are used much, some little, and one line in fifty has a token that nobody knows.
    fn line(&mut self) {
        let token = self.random.below(TOKENS).min(self.random.below(TOKENS));
        if self.random.below(50) == 0 {
            self.written.refused += 1;
            let secret = format!("exk_{:016x}{:010}", self.random.below(u64::MAX), token);
            self.push(&format!("203.0.113.{}", token % 250), &secret, 401);
        } else {
            self.written.by_token[token as usize] += 1;
            self.push(&format!("198.51.100.{}", token % 250), &secret(token), 200);
        }
    }

    fn bait(&mut self, log: &mut Log) -> io::Result<()> {
        self.lines.clear();
        let secret = decoy(self.written.decoys);
        self.push("192.0.2.66", &secret, 401);
        self.written.decoys += 1;
        log.write(self.lines.as_bytes(), 0, Instant::now())?;
        self.shared.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn push(&mut self, client: &str, secret: &str, status: u16) {
        let serial = self.shared.serial.fetch_add(1, Ordering::Relaxed);
        let time = &self.time;
        writeln!(
            self.lines,
            "{client} - - [{time}] \"GET /v1/items/{serial} HTTP/1.1\" {status} 612 \"-\" \"curl/8.5.0\" \"Bearer {secret}\""
        )
        .unwrap();
    }
}

/// The ways in which a log may be rotated, with how often they were.
pub(crate) fn by_way(written: &[Written]) -> impl Iterator<Item = (Way, u64)> {
    let sum = |way: usize| written.iter().map(|written| written.rotations[way]).sum();
    WAYS.into_iter()
        .enumerate()
        .map(move |(number, way)| (way, sum(number)))
        .collect::<Vec<_>>()
        .into_iter()
}
