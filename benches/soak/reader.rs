//! The reader under test: a process that is started, killed and stopped, and the kernel's figures about it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::plan::{Blow, Trouble};

/// After a start, memory is of no interest for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// Ticks of the processor a second, in what the kernel tells (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A reader of logs: Tokenwatch, or its peer.
pub(crate) trait Reader {
    /// What it is called in the table.
    fn name(&self) -> String;
    /// How it is started.
    fn command(&self) -> Command;
    /// How many lines it has read and put where they outlive it.
    fn n_read(&mut self) -> u64;
}

/// The process, through its lives.
pub(crate) struct Process {
    log: PathBuf,
    child: Option<Child>,
    stopped: bool,
    back: Option<Instant>,
    begun: Instant,
    /// Ticks of the processor, by process.
    ticks: BTreeMap<u32, u64>,
    pub(crate) n_kills: u64,
    pub(crate) n_stops: u64,
    pub(crate) away: Duration,
}

impl Process {
    /// Starts the reader; what it says goes to a file.
    pub(crate) fn start(reader: &dyn Reader, log: PathBuf) -> Self {
        let mut process = Self {
            log,
            child: None,
            stopped: false,
            back: None,
            begun: Instant::now(),
            ticks: BTreeMap::new(),
            n_kills: 0,
            n_stops: 0,
            away: Duration::ZERO,
        };
        process.begin(reader);
        process
    }

    fn begin(&mut self, reader: &dyn Reader) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = reader.command();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.begun = Instant::now();
    }

    /// Hits the reader, if it is there to be hit.
    pub(crate) fn hit(&mut self, blow: Trouble<Blow>, now: Instant) {
        if self.back.is_some() {
            return;
        }
        self.back = Some(now + blow.rest);
        self.away += blow.rest;
        match blow.what {
            Blow::Kill => {
                self.n_kills += 1;
                self.kill();
            }
            Blow::Stop => {
                self.n_stops += 1;
                self.stopped = true;
                self.signal(Signal::STOP);
            }
        }
    }

    /// Ends a rest that is over. Whoever ended by himself is an error.
    pub(crate) fn recover(&mut self, reader: &dyn Reader, now: Instant) {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait().unwrap()
        {
            panic!("the reader ended by itself: {status}: {}", self.said());
        }
        if self.back.is_none_or(|back| now < back) {
            return;
        }
        self.back = None;
        if std::mem::take(&mut self.stopped) {
            self.signal(Signal::CONT);
        } else {
            self.begin(reader);
        }
    }

    /// Whether a rest is over.
    pub(crate) fn is_up(&self) -> bool {
        self.back.is_none()
    }

    /// Whether it has had time to read its state.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        self.is_up() && SETTLED < now - self.begun
    }

    /// What the reader said last.
    pub(crate) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The resident memory in KiB, if it runs; counts its time on the processor, too.
    pub(crate) fn sample(&mut self) -> Option<u64> {
        let pid = self.child.as_ref()?.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name: state is field 3, user and system time are 14 and 15 (proc(5)).
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        self.ticks.insert(pid, ticks);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        resident.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Seconds on the processor, in all lives.
    pub(crate) fn processor(&self) -> f64 {
        self.ticks.values().sum::<u64>() as f64 / TICKS
    }

    /// Asks the reader to end and waits for it.
    pub(crate) fn end(&mut self) {
        self.sample();
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            let status = child.wait().unwrap();
            assert!(status.success(), "the reader ended with {status}: {}", self.said());
        }
    }

    fn kill(&mut self) {
        self.sample();
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
