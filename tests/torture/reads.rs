//! Section d: what continues while reads of the database fail, or the disk is full.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::program::wait_until;
use crate::site::{CONFIG, Site, append, is_full, mailing, next_notice, works};
use crate::smtp::{Encryption, Options, SmtpServer};
use crate::storage::{Small, leak};

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

    /// A signal on its way to the daemon may be lost with the strace that was to pass it on.
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
    // For EIO, SQLite says that the database is damaged.
    for error in ["ENOMEM", "EIO"] {
        let mut site = Site::new();
        site.append("logs/a.log", 5);
        let daemon = site.start();
        site.wait();
        // A commit takes fewer reads: one that failed once passes at its second try.
        let failing = Failing::begin(&site, WAL, &format!("pread64:error={error}:when=3+97"));
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
        assert_eq!(site.n_said("damage"), 0, "{}", site.home.daemon_log());
    }
}

/// Pages that a commit changed are read anew after it failed: SQLite drops them. So as long as a commit takes more
/// reads than there are between two that fail, it does not pass, however often it is tried; it is told, and tried until
/// it does.
#[test]
fn reads_that_fail_in_every_commit_are_waited_out_and_told() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 200);
    let socket = UnixDatagram::bind(site.home.path("notify")).unwrap();
    let daemon = site.home.run_with(&[], |command| {
        command.env("NOTIFY_SOCKET", site.home.path("notify"));
    });
    site.wait();
    let failing = Failing::begin(&site, WAL, "pread64:error=ENOMEM:when=1+4");
    // Another process changes something, so that nothing of what the daemon holds in memory is true any more.
    let rows = format!("token,name\ntw1_{:032x},ci\n", 0);
    fs::write(site.home.path("registry.csv"), rows).unwrap();
    site.home.print(&["tokens", "import", "registry.csv"]);
    site.append("logs/a.log", 60);
    site.wait_for_word("The database cannot be used; reading stops until it can.");
    daemon.signal("HUP");
    while !next_notice(&socket).starts_with("RELOADING=1") {}
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

#[test]
fn a_reload_is_taken_in_though_the_database_takes_nothing() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let mut site = Site::new();
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    let mut n_reloads = 0;
    let mut reload = |site: &Site, config: &str| {
        n_reloads += 1;
        site.home.configure(config);
        daemon.signal("HUP");
        n_reloads
    };
    let wait = |site: &Site, n| {
        wait_until("the reload", || {
            site.n_said("is not used") > 0 || site.n_said("The configuration was reloaded.") == n
        });
        assert_eq!(site.n_said("is not used"), 0, "{}", site.home.daemon_log());
    };
    let filler = small.fill();
    // Nobody was mailed to before, then somebody is, then nobody again.
    for config in [&mailing(&server), CONFIG, &mailing(&server)] {
        let n = reload(&site, config);
        wait(&site, n);
    }
    site.append("logs/a.log", 300);
    site.wait_for_word("The database cannot be used; reading stops until it can.");
    let mails = server.wait_for(1, Duration::from_secs(60));
    assert!(String::from_utf8_lossy(&mails[0].bytes).contains("the database cannot be used"));
    // What was read has to be committed first.
    let n = reload(&site, CONFIG);
    fs::remove_file(filler).unwrap();
    wait(&site, n);
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_reload_is_taken_in_though_the_database_cannot_be_opened_once_more() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    let failing = Failing::begin(&site, "state/tokenwatch.db", "openat:error=EMFILE");
    site.home.configure(&mailing(&server));
    daemon.signal("HUP");
    site.wait_for_word("Mails are waiting because the database cannot be read or written.");
    site.wait_for_word("The configuration was reloaded.");
    failing.end();
    site.wait_for_word("Mails are sent again.");
    append(&site.home.path("logs/a.log"), leak(1).as_bytes());
    server.wait_for(1, Duration::from_secs(60));
    assert!(daemon.terminate().success());
    assert_eq!(site.n_said("is not used"), 0, "{}", site.home.daemon_log());
}

#[test]
fn a_start_waits_for_a_disk_that_cannot_read_the_database_and_takes_it_for_whole() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 300);
    let daemon = site.start();
    site.wait();
    assert!(daemon.terminate().success());
    let backup = site.home.path("state/tokenwatch.db.backup");
    fs::copy(site.home.path("state/tokenwatch.db"), backup).unwrap();
    let database = site.home.path("state/tokenwatch.db");
    // The first pages can be read: of a failure there SQLite says what it is, and of one behind them that there is
    // damage.
    let rest = "inject=pread64:error=EIO:when=16+16";
    let whole = "inject=read:error=EIO";
    let path = database.to_str().unwrap();
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", path];
    let daemon = site.run_under(&[&trace[..], &["-e", rest, "-e", whole, "--"]].concat());
    site.wait_for_word("The database cannot be opened; the start waits until it can.");
    assert_eq!(
        site.n_said("reading the whole file: Input/output error"),
        1,
        "{}",
        site.home.daemon_log()
    );
    let status = fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:\t")).unwrap();
    assert!(Command::new("kill").args(["-KILL", tracer]).status().unwrap().success());
    site.wait_for_word("Started.");
    site.append("logs/a.log", 10);
    site.wait();
    assert_eq!(site.n_said("was lost"), 0, "{}", site.home.daemon_log());
    site.prove(daemon);
}
