//! Section d: kills in the middle of commits, locked databases, full disks, damaged files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use crate::dump::{assert_same, dump};
use crate::program::{Home, wait_until};
use crate::site::{
    Site, append, expect_kills, is_full, killed_at, mailing, next_notice, sample, wait_as_promised,
    works,
};
use crate::smtp::{Encryption, Options, SmtpServer};

/// What makes a commit durable: one or the other, by how SQLite was built.
pub(crate) const SYNCS: &str = "fsync,fdatasync";

/// The system calls by which a commit reaches the disk.
pub(crate) const CALLS: &str =
    "pwrite64,fdatasync,fsync,ftruncate,write,openat,unlink,fallocate,rename,linkat";

#[test]
fn a_kill_at_any_system_call_of_a_commit_loses_and_repeats_nothing() {
    if !works("48", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let server =
        SmtpServer::start(Options { tls: Encryption::Off, is_down: true, ..Options::default() });
    let mut site = Site::with(&mailing(&server));
    site.append("logs/a.log", 1);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    let (mut n_kills, mut n_leaks) = (0, 0);
    for call in ["pwrite64", SYNCS, CALLS] {
        for n in sample(if call == SYNCS { 20 } else { 400 }) {
            site.append("logs/a.log", 20);
            append(&site.home.path("logs/a.log"), leak(n_leaks).as_bytes());
            n_leaks += 1;
            let wanted = site.written() + u64::from(n_leaks);
            let is_done = || site.home.committed_lines() >= wanted;
            if killed_at(&site, call, n, is_done) {
                n_kills += 1;
            } else if call != CALLS {
                break;
            }
        }
    }
    // Of 800 planned beside the few that sync.
    expect_kills(n_kills, 720, 11);
    let daemon = site.start();
    site.wait_with(u64::from(n_leaks));
    assert!(site.streams().iter().all(|stream| stream["accounted"] == true));
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    // Left alone, in the same place: alerts about a log name its path.
    let [state, killed] = ["state", "killed"].map(|name| site.home.path(name));
    fs::rename(&state, &killed).unwrap();
    fs::create_dir(&state).unwrap();
    fs::copy(killed.join("seal.key"), state.join("seal.key")).unwrap();
    let daemon = site.start();
    site.wait_with(u64::from(n_leaks));
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let [calm, killed] = [state, killed].map(|state| state.join("tokenwatch.db"));
    let content = dump(&killed);
    for (table, rows) in &content {
        // Words come from commands.
        assert!(!rows.is_empty() || table == "words", "{table}: nothing to compare");
    }
    assert_eq!(content["tokens"].len() as u64, site.written() + u64::from(n_leaks));
    assert_same(&killed, &calm, "killed and left alone");
}

#[test]
fn a_schema_that_is_killed_in_the_making_is_made_by_the_next_start() {
    if !works("57", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut n_kills = 0;
    for n in sample(if is_full() { 120 } else { 60 }) {
        let mut site = Site::new();
        site.append("logs/a.log", 3);
        let wanted = site.written();
        let is_done = || site.home.committed_lines() >= wanted;
        n_kills += usize::from(killed_at(&site, CALLS, n, is_done));
        let daemon = site.start();
        site.wait();
        assert_eq!(site.n_said("The database was lost."), 0, "a first start has none to lose");
        site.prove(daemon);
    }
    // Of 120 planned: the last come when all is read.
    expect_kills(n_kills, 80, 6);
}

/// Takes a database back to what the first version of the schema had.
const BACK_TO_1: &str = "
    BEGIN;
    ALTER TABLE stream DROP COLUMN directives;
    ALTER TABLE stream DROP COLUMN cursor;
    ALTER TABLE stream DROP COLUMN began;
    ALTER TABLE stream DROP COLUMN health;
    ALTER TABLE stream DROP COLUMN early;
    ALTER TABLE stream DROP COLUMN written;
    DROP TABLE forgotten;
    DROP TABLE house;
    DROP TABLE word;
    ALTER TABLE mute DROP COLUMN network;
    ALTER TABLE mute DROP COLUMN country;
    ALTER TABLE mute DROP COLUMN client;
    ALTER TABLE mute DROP COLUMN route;
    ALTER TABLE mute DROP COLUMN after_alert;
    ALTER TABLE ack DROP COLUMN upto_alert;
    DROP INDEX outbox_bundled;
    DROP INDEX outbox_postponed;
    ALTER TABLE outbox DROP COLUMN postponed;
    ALTER TABLE outbox DROP COLUMN give_up_at;
    ALTER TABLE outbox DROP COLUMN reported_upto;
    DROP INDEX alert_principal;
    CREATE INDEX alert_principal ON alert (principal, time);
    DROP INDEX incident_principal;
    CREATE INDEX incident_principal ON incident (principal, last);
    DROP INDEX incident_opened;
    CREATE INDEX incident_last ON incident (last);
    DROP INDEX profile_due;
    ALTER TABLE profile DROP COLUMN due;
    DROP TABLE facets;
    CREATE TABLE facet (
      token INTEGER NOT NULL,
      facet INTEGER NOT NULL,
      value TEXT NOT NULL,
      first_seen INTEGER NOT NULL,
      last_seen INTEGER NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (token, facet, value)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO facet SELECT number, 0, '192.0.2.7', first_seen, last_seen, requests FROM token;
    PRAGMA user_version = 1;
    COMMIT;
    PRAGMA wal_checkpoint(TRUNCATE);";

/// The version of a schema, and all that it consists of.
fn schema(database: &Path) -> (i64, Vec<String>) {
    let database = Connection::open(database).unwrap();
    let version = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let sql = "SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let mut statement = database.prepare(sql).unwrap();
    let parts = statement.query_map([], |row| row.get(0)).unwrap();
    (version, parts.map(Result::unwrap).collect())
}

#[test]
fn an_upgrade_that_is_killed_leaves_the_old_schema_or_the_new_and_the_same_content() {
    if !works("57", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let server =
        SmtpServer::start(Options { tls: Encryption::Off, is_down: true, ..Options::default() });
    let mut site = Site::with(&mailing(&server));
    site.append("logs/a.log", 300);
    (0..20).for_each(|n| append(&site.home.path("logs/a.log"), leak(n).as_bytes()));
    let daemon = site.start();
    site.wait_with(20);
    assert!(daemon.terminate().success());
    let path = site.home.path("state/tokenwatch.db");
    let back = || Connection::open(&path).unwrap().execute_batch(BACK_TO_1).unwrap();
    // Undisturbed.
    let mut before = dump(&path);
    back();
    let old = schema(&path);
    let is_there = |(table, rows): (&String, &Vec<String>)| table == "words" || !rows.is_empty();
    assert!(before.iter().all(is_there), "{before:?}");
    assert!(site.start().terminate().success());
    let new = schema(&path);
    assert!(old.0 == 1 && 1 < new.0, "{} {}", old.0, new.0);
    let content = dump(&path);
    // Of what tokens were used with, the old schema was given the addresses only.
    before.insert("facets".to_owned(), content["facets"].clone());
    // And of the house and of logs, nothing.
    for table in ["house", "health"] {
        assert_eq!(content[table], [""; 0], "{table}");
        before.insert(table.to_owned(), Vec::new());
    }
    assert_eq!((&content, content["facets"].len()), (&before, content["tokens"].len()));
    let (mut n_kills, mut found) = (0, BTreeSet::new());
    for call in ["pwrite64", SYNCS, CALLS] {
        for n in sample(if is_full() { 150 } else { 60 }) {
            back();
            assert_eq!(schema(&path), old);
            let n_before = site.n_said("Started.");
            if killed_at(&site, call, n, || site.n_said("Started.") > n_before) {
                n_kills += 1;
                let left = schema(&path);
                assert!(left == old || left == new, "{call} {n}: {left:?}");
                found.insert(left.0);
            } else if call != CALLS {
                break;
            }
            assert!(site.start().terminate().success(), "{}", site.home.daemon_log());
            assert_eq!(schema(&path), new, "{call} {n}");
            assert_eq!(dump(&path), content, "{call} {n}");
        }
    }
    assert_eq!(site.n_said("The database was lost."), 0, "{}", site.home.daemon_log());
    // An upgrade makes some fifty of either.
    expect_kills(n_kills, 90, 11);
    assert_eq!(found, BTreeSet::from([old.0, new.0]));
    // What comes next is counted with what was there.
    site.append("logs/a.log", 20);
    let daemon = site.start();
    site.wait_with(20);
    assert!(daemon.terminate().success());
    let tokens = &dump(&path)["tokens"];
    assert_eq!(tokens.len(), 340);
}

/// When a lock of the database is told.
const TOLD_LOCKED: Duration = Duration::from_secs(5);

#[test]
fn a_locked_database_costs_no_memory_and_commands_still_answer() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    let other = Connection::open(site.home.path("state/tokenwatch.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // More than one commit takes: the daemon has read what it can when it says so.
    let locked = Instant::now();
    site.append("logs/a.log", 500);
    wait_as_promised(TOLD_LOCKED, "the lock is told", || {
        site.n_said("The database cannot be used; reading stops until it can.") > 0
    });
    assert!(locked.elapsed() >= TOLD_LOCKED, "a short lock is nobody's business");
    let before = site.peak_memory();
    let filler =
        "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    let n_more = 400_000;
    site.home.append("logs/a.log", filler.repeat(n_more));
    assert!(site.home.print(&["status"]).contains("a.log"));
    assert_eq!(site.home.committed_lines(), 10);
    let grown = site.growth(before);
    assert!(grown < 4 * 1024, "{grown} KiB");
    assert_eq!(site.n_said("The database cannot be used"), 1, "{}", site.home.daemon_log());
    other.execute_batch("ROLLBACK").unwrap();
    site.wait_with(n_more as u64);
    assert_eq!(site.n_said("The database works again."), 1);
    assert_eq!(site.sum("gap_bytes") + site.sum("rejected"), 0);
    site.prove(daemon);
}

/// What `status` says while the daemon waits for its database.
const TAKES_NOTHING: &str =
    "database: tokenwatch.db: it cannot be used, and nothing is read until it can";

/// Returns how `status --check` ends, and whether it says that the daemon waits for its database.
fn check(site: &Site) -> (Option<i32>, bool) {
    let output = site.home.output(&["status", "--check"]);
    (output.status.code(), String::from_utf8(output.stdout).unwrap().contains(TAKES_NOTHING))
}

#[test]
fn status_blamed_the_log_or_the_load_for_a_database_that_takes_nothing() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    assert_eq!(check(&site), (Some(0), false));
    let other = Connection::open(site.home.path("state/tokenwatch.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    site.append("logs/a.log", 10);
    wait_until("the lock is told", || site.n_said("The database cannot be used") == 1);
    assert_eq!(check(&site), (Some(1), true));
    other.execute_batch("ROLLBACK").unwrap();
    site.wait();
    wait_until("status finds nothing", || check(&site) == (Some(0), false));
    // A kill leaves no trace of it.
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    site.append("logs/a.log", 10);
    wait_until("the lock is told", || site.n_said("The database cannot be used") == 2);
    assert_eq!(check(&site), (Some(1), true));
    daemon.kill();
    assert_eq!(check(&site), (Some(1), false), "no daemon runs");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let daemon = site.start();
    assert_eq!(check(&site), (Some(0), false));
    site.prove(daemon);
}

#[test]
fn whoever_reads_for_long_keeps_no_commit_waiting_and_commands_answer_meanwhile() {
    let mut site = Site::new();
    site.append("logs/a.log", 50);
    let daemon = site.start();
    site.wait();
    // An old snapshot, held open all the while.
    let reader = site.database();
    reader.execute_batch("BEGIN").unwrap();
    let seen = |reader: &Connection| -> i64 {
        reader.query_row("SELECT count(*) FROM token", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(seen(&reader), 50);
    let batches: Vec<String> = (0..20).map(|_| site.lines(20)).collect();
    let (home, is_over) = (&site.home, AtomicBool::new(false));
    let n_answers = std::thread::scope(|scope| {
        let ask = |arguments: &'static [&'static str]| {
            let is_over = &is_over;
            scope.spawn(move || {
                for n_answers in 0.. {
                    if 0 < n_answers && is_over.load(Ordering::Relaxed) {
                        return n_answers;
                    }
                    assert!(!home.print(arguments).is_empty());
                }
                0
            })
        };
        let askers = [ask(&["status", "--json"]), ask(&["tokens", "list", "--json"])];
        for (n, batch) in (1..).zip(&batches) {
            append(&home.path("logs/a.log"), batch.as_bytes());
            wait_until("the batch is committed", || home.committed_lines() == 50 + 20 * n);
        }
        is_over.store(true, Ordering::Relaxed);
        askers.map(|asker| asker.join().unwrap())
    });
    println!("answers while 20 batches were committed: {n_answers:?}");
    assert_eq!(seen(&reader), 50, "its snapshot stays");
    assert_eq!(site.n_said("cannot be used"), 0, "{}", site.home.daemon_log());
    drop(reader);
    site.prove(daemon);
}

/// A small file system of memory in the place of the state, until it is dropped.
pub(crate) struct Small(PathBuf);

impl Small {
    pub(crate) fn mount(home: &Home, size: &str) -> Option<Self> {
        let path = home.path("state");
        fs::create_dir(&path).unwrap();
        let path_text = path.to_str().unwrap();
        let options = format!("size={size},mode=0700");
        let arguments = ["-t", "tmpfs", "-o", &options, "tokenwatch-test", path_text];
        works("51", "mount", &arguments).then_some(Self(path))
    }

    /// Leaves no room; returns the file that takes it.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_stops_reading_and_room_resumes_it() {
    let mut site = Site::new();
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    for round in 1..=if is_full() { 3 } else { 1 } {
        let filler = small.fill();
        site.append("logs/a.log", 300);
        wait_until("the daemon says that it waits", || {
            site.n_said("The database cannot be used; reading stops until it can.") == round
        });
        assert!(site.home.committed_lines() < site.written());
        let before = site.peak_memory();
        site.append("logs/a.log", 300);
        if round == 1 {
            assert!(site.home.print(&["status"]).contains(TAKES_NOTHING));
        }
        assert!(site.growth(before) < 4 * 1024);
        fs::remove_file(filler).unwrap();
        site.wait();
    }
    site.prove(daemon);
}

#[test]
fn a_full_disk_is_told_by_mail_once_though_no_mail_can_be_queued() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    // The next try takes half a minute.
    server.script(|script| script.greylist = usize::from(is_full()));
    let mut site = Site::with(&mailing(&server));
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    for n_spells in 1..=2 {
        let filler = small.fill();
        site.append("logs/a.log", 300);
        wait_until("the daemon says that it waits", || {
            site.n_said("The database cannot be used; reading stops until it can.") == n_spells
        });
        if n_spells == 1 {
            let mails = server.wait_for(1, Duration::from_secs(90));
            let text = String::from_utf8_lossy(&mails[0].bytes).into_owned();
            assert!(text.contains("Subject: [tokenwatch] the database cannot be used"), "{text}");
            assert!(text.contains("the disk is full"), "{text}");
        }
        fs::remove_file(filler).unwrap();
        site.wait();
    }
    assert_eq!(server.messages().len(), 1, "twice within an hour is one piece of news");
    site.prove(daemon);
}

/// A token in a URL: an alert at once.
pub(crate) fn leak(n: u32) -> String {
    let (minute, second) = (n / 60, n % 60);
    format!(
        "192.0.2.7 - - [02/Mar/2026:08:{minute:02}:{second:02} +0000] \"GET /v1/items?access_token=exk_9{n:07}0123456789abcdefgh HTTP/1.1\" \
         200 612 \"-\" \"curl/8.5.0\"\n"
    )
}

#[test]
fn a_full_disk_is_told_though_the_mails_before_it_hang_and_what_waits_is_told_once() {
    let mut server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    server.script(|script| script.hang = 1);
    let site = Site::with(&mailing(&server));
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    let daemon = site.start();
    // More alerts than the queue between the threads holds.
    for n in 0..12 {
        append(&site.home.path("logs/a.log"), leak(n).as_bytes());
        wait_until("the alert", || site.home.committed_lines() == u64::from(n) + 1);
    }
    let filler = small.fill();
    let filling: String =
        (0..300).map(|n| crate::site::line_of(n, &format!("exk_{n:026}"), 200)).collect();
    append(&site.home.path("logs/a.log"), filling.as_bytes());
    site.wait_for_word("The database cannot be used; reading stops until it can.");
    // What hangs ends, and the next try is half a minute later.
    server.stop();
    site.wait_for_word("The mail about the blocked database was not sent");
    server.restart();
    wait_until("the mail about the database", || {
        server.messages().iter().any(|mail| {
            String::from_utf8_lossy(&mail.bytes).contains("the database cannot be used")
        })
    });
    let said = "Mails are waiting because the database cannot be read or written.";
    assert_eq!(site.n_said(said), 1, "{}", site.home.daemon_log());
    fs::remove_file(filler).unwrap();
    wait_until("all is read", || site.home.committed_lines() == 312);
    site.wait_for_word("Mails are sent again.");
    assert!(daemon.terminate().success());
}

#[test]
fn a_backup_that_does_not_fit_is_told_and_not_made() {
    let mut site = Site::new();
    let Some(_small) = Small::mount(&site.home, "6m") else { return };
    let backup = site.home.path("state/tokenwatch.db.backup");
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    fs::write(&backup, "an old one").unwrap();
    File::options()
        .write(true)
        .open(&backup)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let daemon = site.start();
    site.wait_for_word("The backup failed; the last one is kept");
    assert_eq!(fs::read(&backup).unwrap(), b"an old one");
    site.append("logs/a.log", 10);
    site.wait();
    assert_eq!(site.n_said("The backup failed"), 1, "{}", site.home.daemon_log());
    wait_until("status shows it", || {
        site.home.print(&["status"]).contains("backup: tokenwatch.db.backup: the attempt ")
    });
    site.prove(daemon);
}

const WAITS: &str = "The database cannot be opened; the start waits until it can.";

#[test]
fn a_start_on_a_full_disk_waits_for_room_is_told_and_loses_nothing() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    for is_first in [true, false] {
        let mut site = Site::with(&mailing(&server));
        let Some(small) = Small::mount(&site.home, "6m") else { return };
        site.append("logs/a.log", 10);
        if !is_first {
            let daemon = site.start();
            site.wait();
            // What a kill leaves beside the database is room enough to open it.
            assert!(daemon.terminate().success());
        }
        let filler = small.fill();
        site.append("logs/a.log", 10);
        let socket = UnixDatagram::bind(site.home.path("notify")).unwrap();
        let told = || next_notice(&socket);
        let path = site.home.path("notify");
        let mut daemon = site.home.run_with(&[], |command| {
            command.env("NOTIFY_SOCKET", path);
        });
        let n_mails = 1 + usize::from(!is_first);
        wait_until("the daemon waits and mails, or has ended", || {
            daemon.has_ended() || server.messages().len() == n_mails
        });
        assert!(!daemon.has_ended(), "{}", site.home.daemon_log());
        let first = told();
        assert!(first.starts_with("STATUS=Waiting: "), "{first} {}", site.home.daemon_log());
        for _ in 0..3 {
            assert!(told().starts_with("EXTEND_TIMEOUT_USEC="));
        }
        fs::remove_file(filler).unwrap();
        site.wait();
        while told().trim() != "READY=1" {}
        assert_eq!(site.n_said(WAITS), 1, "{}", site.home.daemon_log());
        assert_eq!(site.n_said("The database was lost."), 0, "{}", site.home.daemon_log());
        site.prove(daemon);
        assert_eq!(server.messages().len(), n_mails);
    }
}

#[test]
fn a_start_that_waits_for_room_ends_at_once_and_leaves_no_loss_to_tell() {
    let mut site = Site::new();
    let Some(small) = Small::mount(&site.home, "6m") else { return };
    site.append("logs/a.log", 10);
    let filler = small.fill();
    for _ in 0..2 {
        let n_before = site.n_said(WAITS);
        let daemon = site.home.run(&[]);
        wait_until("the daemon waits", || site.n_said(WAITS) > n_before);
        let (status, took) = daemon.end();
        assert!(status.success() && took < Duration::from_secs(3), "{status} {took:?}");
    }
    fs::remove_file(filler).unwrap();
    let daemon = site.start();
    site.wait();
    assert_eq!(site.n_said("The database was lost."), 0, "{}", site.home.daemon_log());
    site.prove(daemon);
}

#[test]
fn a_disk_that_fails_now_and_then_costs_no_line() {
    if !works("51", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let faults = [
        (SYNCS, "error=EIO:when=3+5", "state/tokenwatch.db-wal"),
        ("pwrite64", "error=ENOSPC:when=7+333", "state/tokenwatch.db-wal"),
        ("pwrite64", "error=EIO:when=7+333", "state/tokenwatch.db-wal"),
        ("pread64", "error=EIO:when=2+11", "logs/a.log"),
        ("openat", "error=EMFILE:when=2+3", "logs/a.log"),
    ];
    for (call, fault, path) in faults {
        let mut site = Site::new();
        site.append("logs/a.log", 5);
        let daemon = site.start();
        site.wait();
        daemon.kill();
        let (path, inject) = (site.home.path(path), format!("inject={call}:{fault}"));
        let path = path.to_str().unwrap();
        let trace =
            ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", &inject, "--"];
        let daemon = site.start_under(&trace);
        for n in 0..10 {
            site.append("logs/a.log", 1 + n);
            site.wait();
        }
        site.prove(daemon);
    }
}

#[test]
fn a_state_directory_on_nfs_is_refused() {
    let site = Site::new();
    // The kernel's answer is replaced by 0x6969, the number of NFS (statfs(2)).
    let inject = "inject=statfs:poke_exit=@arg2=6969000000000000";
    if !works("28", "strace", &["-o", "/dev/null", "-e", inject, "true"]) {
        return;
    }
    let daemon =
        site.run_under(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", inject, "--"]);
    assert_eq!(daemon.wait().code(), Some(70));
    assert_eq!(site.n_said("a network file system"), 1, "{}", site.home.daemon_log());
    assert!(!site.home.path("state/tokenwatch.db").exists());
}

#[test]
fn a_log_of_writes_that_was_cut_is_read_again_from_the_logs() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    for _ in 0..20 {
        site.append("logs/a.log", 20);
        site.wait();
    }
    daemon.kill();
    let wal = site.home.path("state/tokenwatch.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    File::options().write(true).open(&wal).unwrap().set_len(length / 2).unwrap();
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}
