//! Section d: what goes on while reads of the database fail, or the disk is full.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::program::wait_until;
use crate::site::{Site, is_full, works};
use crate::storage::Small;

/// A strace that has calls for a file of the database fail.
struct Failing(Child);

impl Failing {
    fn begin(site: &Site, file: &str, fault: &str) -> Self {
        let (pid, inject) = (site.pid().to_string(), format!("inject={fault}"));
        let file = site.home.path(file);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-P", file.to_str().unwrap()]);
        let strace = strace.args(["-e", &inject, "-p", &pid]).spawn().unwrap();
        let traced = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        wait_until("it is traced", || !traced().contains("TracerPid:\t0"));
        Self(strace)
    }

    fn end(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const WAL: &str = "state/tokenwatch.db-wal";

#[test]
fn reads_that_fail_while_changes_are_taken_in_do_not_end_the_daemon() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    // A commit takes fewer reads: one that failed once passes at its second try.
    let failing = Failing::begin(&site, WAL, "pread64:error=ENOMEM:when=3+97");
    for n in 0..if is_full() { 120 } else { 40 } {
        let rows = format!("token,name\ntw1_{n:032x},ci-{n}\n");
        fs::write(site.home.path("registry.csv"), rows).unwrap();
        site.home.print(&["tokens", "import", "registry.csv"]);
        if n % 2 == 1 {
            daemon.signal("HUP");
        }
        site.append("logs/a.log", 1 + n % 8);
        site.wait();
    }
    failing.end();
    site.prove(daemon);
}

/// Pages that a commit changed are read anew after it failed: SQLite drops them. So as long as a commit takes more reads
/// than there are between two that fail, it does not pass, however often it is tried; it is told, and tried until it does.
#[test]
fn reads_that_fail_in_every_commit_are_waited_out_and_told() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 200);
    let daemon = site.start();
    site.wait();
    let failing = Failing::begin(&site, WAL, "pread64:error=ENOMEM:when=1+4");
    // Another process changes something, so that nothing of what the daemon holds in memory is true any more.
    fs::write(site.home.path("registry.csv"), "token,name\ntw1_0,ci\n").unwrap();
    site.home.print(&["tokens", "import", "registry.csv"]);
    site.append("logs/a.log", 60);
    site.wait_for_word("The database cannot be written; reading stops until it can.");
    daemon.signal("HUP");
    assert_eq!(site.home.committed_lines(), 200);
    failing.end();
    site.wait();
    site.wait_for_word("The configuration was reloaded.");
    assert_eq!(site.n_said("The database works again."), 1, "{}", site.home.daemon_log());
    site.prove(daemon);
}

#[test]
fn a_backup_that_does_not_fit_is_restored_once_there_is_room_and_takes_none_before() {
    let mut site = Site::new();
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    assert!(daemon.terminate().success());
    let [database, copy] =
        ["tokenwatch.db", "tokenwatch.db.restoring"].map(|name| site.home.path("state").join(name));
    fs::rename(&database, site.home.path("state/tokenwatch.db.backup")).unwrap();
    let filler = small.fill();
    let socket = UnixDatagram::bind(site.home.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let daemon = site.home.run_with(&[], |command| {
        command.env("NOTIFY_SOCKET", site.home.path("notify"));
    });
    let mut tries = Vec::new();
    wait_until("the daemon tries three times", || {
        let mut message = [0; 256];
        let n = socket.recv(&mut message).unwrap_or_default();
        // The first asks for time to look for damage.
        if message[..n].starts_with(b"EXTEND_TIMEOUT_USEC=") && site.n_said("the start waits") > 0 {
            tries.push(Instant::now());
        }
        tries.len() == 3
    });
    assert!(
        tries[2] - tries[0] >= Duration::from_millis(2900),
        "each wait is longer than the last"
    );
    wait_until("half a copy is removed", || !copy.exists());
    fs::remove_file(filler).unwrap();
    wait_until("it is restored", || database.exists());
    site.wait();
    site.prove(daemon);
}
