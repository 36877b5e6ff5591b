//! Runs the real binary: a home for each test, commands, a running daemon.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// How long a condition may take before the test gives up: generous, for machines under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Follows the logs of the home from their start, and commits at once.
pub(crate) const CONFIG: &str = r#"
[[source]]
paths = ["logs/*.log"]
read_from = "start"
[limits]
commit_interval = "5ms"
[output]
journal = false
"#;

/// A directory with a configuration, a state directory and logs.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// Makes a home whose configuration is `config` after a `state_dir` line.
    pub(crate) fn new(config: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().expect("temporary directory") };
        fs::create_dir(home.path("logs")).expect("logs");
        home.configure(config);
        home
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, config: &str) {
        let text = format!("state_dir = \"state\"\n{config}");
        fs::write(self.path("tokenwatch.toml"), text).expect("configuration");
    }

    /// Returns a path below the home.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Appends to a file below the home.
    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = OpenOptions::new().create(true).append(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(bytes.as_ref())).expect("append");
    }

    /// Returns the program with this home's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwatch"));
        command.arg("--config").arg(self.path("tokenwatch.toml")).args(arguments);
        command
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end, with `input` on its standard input.
    pub(crate) fn output_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("input");
        child.wait_with_output().expect("output")
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.output_with(arguments, "")
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn print(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} ended with {}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs a command that must succeed and print one JSON object a line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.print(arguments);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Starts the daemon; its standard error goes to `daemon.log`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Running {
        self.run_with(arguments, |_| {})
    }

    /// Starts the daemon after `change` has had its way with the command.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.path("daemon.log"));
        let mut all = vec!["run"];
        all.extend(arguments);
        let mut command = self.command(&all);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("daemon.log"));
        change(&mut command);
        Running { child: command.spawn().expect("start") }
    }

    /// Returns what the daemon has said so far.
    pub(crate) fn daemon_log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// Returns the lines that the daemon has committed, over all streams; 0 before there is a database.
    pub(crate) fn committed_lines(&self) -> u64 {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let count = || {
            let database = Connection::open_with_flags(self.path("state/tokenwatch.db"), flags)?;
            let sql = "SELECT coalesce(sum(lines), 0) FROM stream";
            database.query_row(sql, [], |row| row.get::<_, i64>(0))
        };
        count().map_or(0, i64::cast_unsigned)
    }
}

/// A daemon that runs; it is killed when dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Ends the daemon at whatever instruction it is.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends a signal by number.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let done = Command::new("kill").arg(format!("-{signal}")).arg(pid).status().expect("kill");
        assert!(done.success(), "the daemon is gone");
    }

    /// Asks the daemon to end, and waits for it.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Tells whether the daemon has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Waits for the daemon to end by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait_until("the daemon ends", || self.has_ended());
        self.child.wait().expect("wait")
    }

    /// Asks the daemon to end; returns how it ended and how long that took.
    pub(crate) fn end(self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let status = self.terminate();
        (status, asked.elapsed())
    }

    /// Asks the daemon to end; returns how it did, before systemd would have killed it.
    pub(crate) fn end_as_promised(self) -> ExitStatus {
        let (status, took) = self.end();
        assert!(took < longest_end(), "{took:?}");
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        // What else is left of a group that it leads; of another's, nothing is named by this.
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().ok();
        self.child.wait().ok();
    }
}

/// How long systemd lets the daemon end before it kills it, as the unit says: three times as long as is promised, which
/// has to do on a machine that is busy with other tests, too.
fn longest_end() -> Duration {
    let mut lines = include_str!("../../systemd/tokenwatch.service").lines();
    let limit = lines.find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
    Duration::from_secs(limit.and_then(|limit| limit.parse().ok()).expect("TimeoutStopSec"))
}

/// Waits for a condition; fails the test when it does not come true.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    wait_at_most(PATIENCE, what, holds);
}

/// Waits for a condition for so long; fails the test when it does not come true.
pub(crate) fn wait_at_most(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes a database larger by so many MiB.
pub(crate) fn enlarge(database: &Path, mib: u32) {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob({mib} * 1048576));"
    );
    let database = Connection::open(database).expect("the database");
    database.execute_batch(&sql).expect("room");
}

/// Small, seeded random numbers (splitmix64), so that a failure names its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns the next number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
