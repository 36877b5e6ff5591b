//! A site with numbered lines: each has its own token, so the database must contain each number once.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

pub(crate) use crate::program::CONFIG;
use crate::program::{Home, PATIENCE, Running, wait_at_most, wait_until};

/// A request with a token of 30 characters.
pub(crate) fn line_of(serial: u32, token: &str, status: u16) -> String {
    let (hour, minute, second) = (serial / 3600 % 24, serial / 60 % 60, serial % 60);
    format!(
        "192.0.2.7 - - [02/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /v1/items/{serial} HTTP/1.1\" \
         {status} 612 \"-\" \"curl/8.5.0\" \"Bearer {token}\"\n"
    )
}

/// The configuration of a site that mails through this server.
pub(crate) fn mailing(server: &crate::smtp::SmtpServer) -> String {
    format!(
        "{CONFIG}[mail]\nserver = \"smtp+insecure://127.0.0.1:{}\"\nfrom = \"tokenwatch@example.org\"\n\
         to = [\"security@example.org\"]\ndigest = \"00:00\"\n",
        server.port()
    )
}

/// A home, and how many numbered lines were written in it.
pub(crate) struct Site {
    pub(crate) home: Home,
    written: u32,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &str) -> Self {
        Self { home: Home::new(config), written: 0 }
    }

    /// Returns a site of its own with the same logs and the same state, and nothing said yet.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { home: Home::new(CONFIG), written: self.written };
        let from = self.home.path(".");
        let done = Command::new("cp").arg("-a").arg(from).arg(copy.home.path("")).status();
        assert!(done.expect("cp").success());
        fs::remove_file(copy.home.path("daemon.log")).expect("daemon.log");
        copy
    }

    /// Makes the next `n` lines; they have to be written.
    pub(crate) fn lines(&mut self, n: u32) -> String {
        let from = self.written;
        self.written += n;
        (from..self.written)
            .map(|serial| line_of(serial, &format!("exk_{serial:08}0123456789abcdefgh"), 200))
            .collect()
    }

    /// Appends the next `n` lines to a file.
    pub(crate) fn append(&mut self, name: impl AsRef<Path>, n: u32) {
        let lines = self.lines(n);
        append(&self.home.path(name), lines.as_bytes());
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.home.path(from), self.home.path(to)).expect("rename");
    }

    /// Starts the daemon and waits until it has looked at everything once.
    pub(crate) fn start(&self) -> Running {
        let n_before = self.n_starts();
        let daemon = self.home.run(&[]);
        wait_until("the daemon starts", || self.n_starts() > n_before);
        daemon
    }

    fn n_starts(&self) -> usize {
        self.home.daemon_log().matches("Started.").count()
    }

    /// Starts the program under another, which is to execute what its arguments end with.
    pub(crate) fn start_under(&self, wrapper: &[&str]) -> Running {
        let n_before = self.n_starts();
        let mut daemon = self.run_under(wrapper);
        wait_until("the daemon starts", || {
            let has_ended = daemon.has_ended();
            let has_started = self.n_starts() > n_before;
            assert!(has_started || !has_ended, "{}", self.home.daemon_log());
            has_started
        });
        daemon
    }

    /// The same without waiting for the start.
    pub(crate) fn run_under(&self, wrapper: &[&str]) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.home.path("daemon.log"));
        self.home.run_with(&[], |command| {
            let mut outer = Command::new(wrapper[0]);
            outer.args(&wrapper[1..]).arg(self.program()).args(command.get_args());
            outer.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
            outer.current_dir(self.home.path(""));
            outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("daemon.log"));
            // Of `strace -D` a process may be left that waits for ever: it goes with the group.
            outer.process_group(0);
            *command = outer;
        })
    }

    /// Lines written so far.
    pub(crate) fn written(&self) -> u64 {
        u64::from(self.written)
    }

    /// Where the program is: in the home, if others than us have to find it.
    pub(crate) fn program(&self) -> PathBuf {
        let own = self.home.path("tokenwatch");
        if own.exists() { own } else { env!("CARGO_BIN_EXE_tokenwatch").into() }
    }

    /// Gives the home to another user, with a copy of the program.
    pub(crate) fn give_to(&self, user: u32) {
        // Not by this process: what another test starts meanwhile would hold the copy open for writing, and nobody
        // could execute it until then.
        let mut copy = Command::new("cp");
        copy.arg(env!("CARGO_BIN_EXE_tokenwatch")).arg(self.home.path("tokenwatch"));
        assert!(copy.status().expect("cp").success());
        let owner = format!("{user}:{user}");
        let done = Command::new("chown").arg("-R").arg(owner).arg(self.home.path("")).status();
        assert!(done.expect("chown").success());
    }

    /// Has `logrotate` rotate now, as the home's `logrotate.conf` says.
    pub(crate) fn rotate(&self) {
        // A name by the second may be taken: then it skips, and says so.
        wait_until("logrotate rotates", || {
            let mut command = Command::new("logrotate");
            command.arg("--force").arg("--state").arg(self.home.path("logrotate.state"));
            let output = command.arg(self.home.path("logrotate.conf")).output().expect("logrotate");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || errors.contains("already exists"), "{errors}");
            output.status.success()
        });
    }

    /// Writes and rotates four times.
    pub(crate) fn rotate_often(&mut self) {
        for n in 0..4 {
            self.append("logs/a.log", 1 + n);
            self.rotate();
        }
        self.append("logs/a.log", 2);
    }

    /// Waits until all lines but `n` are committed.
    pub(crate) fn wait_but_for(&self, n: u32) {
        self.wait_for(u64::from(self.written - n));
    }

    /// Waits until the lines written so far are committed, and `n_more` others.
    pub(crate) fn wait_with(&self, n_more: u64) {
        self.wait_for(u64::from(self.written) + n_more);
    }

    fn wait_for(&self, wanted: u64) {
        let mut last = 0;
        let is_there = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("the lines are committed", || {
                last = self.home.committed_lines();
                last >= wanted
            });
        }));
        assert!(is_there.is_ok(), "{last} of {wanted} lines: {}", self.home.daemon_log());
        assert_eq!(self.home.committed_lines(), wanted, "{}", self.home.daemon_log());
    }

    /// Waits until the lines written so far are committed.
    pub(crate) fn wait(&self) {
        self.wait_with(0);
    }

    /// Waits as long as is promised until the lines written so far are committed.
    pub(crate) fn wait_as_promised(&self, soon: Duration) {
        wait_as_promised(soon, "the lines are committed", || {
            self.home.committed_lines() >= self.written()
        });
        assert_eq!(self.home.committed_lines(), self.written(), "{}", self.home.daemon_log());
    }

    /// Ends the daemon; shows that each line was counted once, and each byte accounted for.
    pub(crate) fn prove(&self, daemon: Running) {
        assert!(daemon.terminate().success(), "{}", self.home.daemon_log());
        let written = i64::from(self.written);
        assert_eq!(self.counts(), (written, written, written.min(1)), "{}", self.home.daemon_log());
        for stream in self.streams() {
            assert_eq!(stream["accounted"], true, "{stream}");
        }
        let verdict: String = self
            .database()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("integrity_check");
        assert_eq!(verdict, "ok");
    }

    /// Waits until the numbered lines are counted, whatever other lines there are.
    pub(crate) fn wait_until_counted(&self) {
        wait_until("the numbered lines are counted", || self.counts().1 >= i64::from(self.written));
    }

    /// Tokens, their requests, and the most requests of one.
    fn counts(&self) -> (i64, i64, i64) {
        let sql =
            "SELECT count(*), coalesce(sum(requests), 0), coalesce(max(requests), 0) FROM token";
        self.database()
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("counts")
    }

    pub(crate) fn database(&self) -> Connection {
        let path = self.home.path("state/tokenwatch.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("database")
    }

    pub(crate) fn streams(&self) -> Vec<Value> {
        let status = self.home.json(&["status", "--json"]).remove(0);
        status["streams"].as_array().expect("streams").clone()
    }

    /// Sums one number of `status` over all streams.
    pub(crate) fn sum(&self, key: &str) -> u64 {
        self.streams().iter().map(|stream| stream[key].as_u64().expect(key)).sum()
    }

    /// How often the daemon has said this.
    pub(crate) fn n_said(&self, text: &str) -> usize {
        self.home.daemon_log().matches(text).count()
    }

    pub(crate) fn wait_for_word(&self, text: &str) {
        wait_until(text, || self.n_said(text) > 0);
    }

    /// The daemon's process, as its lock names it.
    pub(crate) fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.home.path("state/tokenwatch.lock")).expect("lock");
        text.lines().next().and_then(|line| line.parse().ok()).expect("process id")
    }

    /// What the daemon has open: the targets of its descriptors.
    pub(crate) fn open_files(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = fs::read_dir(folder).expect("the daemon runs").flatten();
        let targets = entries.flat_map(|entry| fs::read_link(entry.path()));
        targets.map(|target| target.to_string_lossy().into_owned()).collect()
    }

    /// The bytes that the daemon has read from anything so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/io", self.pid())).expect("io");
        let number = text.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("rchar");
        number.parse().expect("bytes")
    }

    /// The most memory that the daemon ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("KiB")
    }

    /// Returns by how much the peak of memory has grown since it was so many KiB. The kernel's counters are exact to
    /// some pages only, so that it may seem to fall.
    pub(crate) fn growth(&self, before: u64) -> u64 {
        self.peak_memory().saturating_sub(before)
    }
}

/// How many times as long as promised something may take on a machine that is busy with other tests.
const BUSY: u32 = 5;

/// Waits for a condition that is promised to come true so soon.
pub(crate) fn wait_as_promised(soon: Duration, what: &str, holds: impl FnMut() -> bool) {
    wait_at_most(soon * BUSY, what, holds);
}

/// Waits for what the daemon next tells systemd.
pub(crate) fn next_notice(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            // A signal may come between: other tests stop and trace processes.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => {
                let length = received.expect("systemd is told");
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
        }
    }
}

/// Appends to a file.
pub(crate) fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).expect("append");
}

/// Cuts a file to nothing, as `copytruncate` does.
pub(crate) fn truncate(path: &Path) {
    File::options().write(true).open(path).and_then(|file| file.set_len(0)).expect("truncate");
}

/// Whether everything is run in full.
pub(crate) fn is_full() -> bool {
    std::env::var("TORTURE").is_ok_and(|how| how == "full")
}

/// Tells whether a command works here; says so if not. What `.ci/run` installs has to be there when it runs; what this
/// machine refuses (root, namespaces, tracing) nobody can help.
pub(crate) fn works(case: &str, program: &str, arguments: &[&str]) -> bool {
    let why = match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            assert!(
                !(is_ci && is_missing),
                "{case}: {program} is missing, and .ci/run installs it"
            );
            error.to_string()
        }
    };
    leave_out(case, &format!("`{program} {}` does not work here: {why}", arguments.join(" ")));
    false
}

/// Says that a case is not tried, also where the test's output is captured since it passes.
pub(crate) fn leave_out(case: &str, why: &str) {
    writeln!(std::io::stderr(), "NOT RUN: case {case}: {why}").expect("standard error");
}

/// Runs the daemon until it is killed at its `n`th of these calls of a thread, or `is_done`. Tells whether it was.
pub(crate) fn killed_at(site: &Site, calls: &str, n: usize, is_done: impl Fn() -> bool) -> bool {
    let inject = format!("inject={calls}:signal=SIGKILL:when={n}");
    // -D: the daemon, and not strace, is the process that we started.
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject, "--"];
    let mut daemon = site.run_under(&trace);
    let mut is_killed = false;
    wait_until("the daemon is killed or done", || {
        is_killed = daemon.has_ended();
        is_killed || is_done()
    });
    is_killed
}

/// Shows that so many kills came to pass in a full run, or in a sample: a call that is no longer made kills nobody.
pub(crate) fn expect_kills(n_kills: usize, full: usize, sampled: usize) {
    let least = if is_full() { full } else { sampled };
    eprintln!("killed {n_kills} times, at least {least}");
    assert!(least <= n_kills, "{n_kills} kills, less than {least}");
}

/// Which calls are tried: all of them, or more and more seldom.
pub(crate) fn sample(last: usize) -> Vec<usize> {
    if is_full() {
        return (1..=last).collect();
    }
    let next = |n: &usize| Some(n + 1 + n / 4);
    std::iter::successors(Some(1), next).take_while(|n| *n <= last).collect()
}
