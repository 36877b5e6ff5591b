//! Section d: a database that is damaged, empty or missing, with and without a backup.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use crate::program::{Running, wait_at_most, wait_until};
use crate::site::{CONFIG, Site, expect_kills, is_full, killed_at, sample, works};

const DAY: Duration = Duration::from_hours(24);

const MADE: &str = "A backup of the database was made.";

/// The system calls by which a database is set aside and a backup takes its place.
const CALLS: &str = "rename,openat,write,fsync,copy_file_range,unlink,pwrite64,linkat";

/// How a database is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Head,
    Middle,
    Empty,
    Removed,
}

const LOSSES: [Loss; 4] = [Loss::Head, Loss::Middle, Loss::Empty, Loss::Removed];

impl Loss {
    fn befall(self, site: &Site) {
        let database = site.home.path("state/tokenwatch.db");
        match self {
            Self::Head => noise(&database, 0..1),
            // Behind the first page and the schema: opening finds nothing wrong.
            Self::Middle => noise(&database, 30..pages(&database)),
            Self::Empty => fs::write(&database, "").unwrap(),
            Self::Removed => fs::remove_file(&database).unwrap(),
        }
    }
}

fn pages(database: &PathBuf) -> u64 {
    fs::metadata(database).unwrap().len() / 4096
}

fn noise(database: &PathBuf, pages: std::ops::Range<u64>) {
    let file = File::options().write(true).open(database).unwrap();
    let noise: Vec<u8> =
        (1..=4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for page in pages {
        file.write_all_at(&noise, page * 4096).unwrap();
    }
}

/// A site that has lived: 400 lines in its backup, 800 in its database, and no daemon. The first half of them stands in
/// a file that was rotated.
fn lived() -> Site {
    let mut site = Site::new();
    site.append("logs/a.log", 400);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    age_backup(&site);
    let daemon = site.start();
    site.wait_for_word(MADE);
    site.rename("logs/a.log", "logs/a.log.1");
    site.append("logs/a.log", 400);
    site.wait();
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    site
}

/// Has a backup of the day before yesterday stand there, which is no good.
fn age_backup(site: &Site) {
    let backup = site.home.path("state/tokenwatch.db.backup");
    fs::write(&backup, "an old one").unwrap();
    let file = File::options().write(true).open(&backup).unwrap();
    file.set_modified(SystemTime::now() - 2 * DAY).unwrap();
}

fn names(site: &Site, part: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(site.home.path("state")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(part)).collect()
}

/// Alerts about a lost database, as `alerts list` has them.
fn alerts(site: &Site) -> Vec<String> {
    let alerts = site.home.json(&["alerts", "list", "--json"]);
    let is_ours = |alert: &&serde_json::Value| {
        alert["principal"].as_str().is_some_and(|name| name.starts_with("database:"))
    };
    alerts.iter().filter(is_ours).map(|alert| alert.to_string()).collect()
}

/// Starts the daemon until it stays: systemd would.
fn restart(site: &Site) -> (Running, u32) {
    for n in 0..5 {
        let n_before = site.n_said("Started.");
        let mut daemon = site.home.run(&[]);
        wait_until("the daemon starts or ends", || {
            daemon.has_ended() || site.n_said("Started.") > n_before
        });
        // What is damaged is found when it is read, so it may start and end then.
        if site.n_said("Started.") > n_before {
            wait_until("the daemon reads all or ends", || {
                daemon.has_ended() || site.home.committed_lines() >= site.written()
            });
        }
        if !daemon.has_ended() {
            return (daemon, n);
        }
        assert_eq!(daemon.wait().code(), Some(70), "{}", site.home.daemon_log());
    }
    panic!("it ends again and again: {}", site.home.daemon_log());
}

#[test]
fn the_backup_of_a_lost_database_is_restored_and_the_logs_are_read_on_from_there() {
    for loss in LOSSES {
        let mut site = lived();
        assert!(site.home.print(&["status"]).contains(", backed up "));
        loss.befall(&site);
        site.append("logs/a.log", 200);
        let (daemon, n_failed) = restart(&site);
        site.wait();
        assert_eq!(n_failed, 0, "{loss:?}");
        assert_eq!(site.n_said("ERROR"), 1, "{loss:?}: {}", site.home.daemon_log());
        assert_eq!(site.n_said("by its backup"), 1, "{loss:?}: {}", site.home.daemon_log());
        wait_until("the alert", || alerts(&site).len() == 1);
        assert!(alerts(&site)[0].contains("by its backup"), "{:?}", alerts(&site));
        let status = site.home.print(&["status"]);
        assert!(status.contains("database: tokenwatch.db: "), "{loss:?}: {status}");
        let mut aside = names(&site, "damaged-");
        // Reading it made these.
        aside.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        assert_eq!(aside.len(), usize::from(loss != Loss::Removed), "{loss:?}: {aside:?}");
        site.prove(daemon);
        let daemon = site.start();
        site.wait();
        assert_eq!(alerts(&site).len(), 1, "told once");
        site.prove(daemon);
        // Whoever has looked at it removes it.
        for name in aside {
            fs::remove_file(site.home.path("state").join(name)).unwrap();
        }
        let is_told = site.home.print(&["status"]).contains("database: tokenwatch.db: ");
        assert_eq!(is_told, matches!(loss, Loss::Empty | Loss::Removed));
    }
}

#[test]
fn without_a_backup_a_lost_database_begins_anew_and_says_so() {
    for loss in LOSSES {
        let mut site = lived();
        fs::remove_file(site.home.path("state/tokenwatch.db.backup")).unwrap();
        loss.befall(&site);
        site.append("logs/a.log", 200);
        // As on a first start, what was rotated before is left alone.
        let daemon = site.start();
        site.wait_but_for(400);
        assert_eq!(site.n_said("everything starts over"), 1, "{}", site.home.daemon_log());
        wait_until("the alert", || alerts(&site).len() == 1);
        assert!(alerts(&site)[0].contains("everything starts over"), "{:?}", alerts(&site));
        assert!(site.home.print(&["status"]).contains("everything starts over"));
        assert!(daemon.terminate().success());
    }
}

#[test]
fn a_backup_that_is_damaged_too_is_kept_aside_and_no_longer_counts() {
    for loss in [Loss::Middle, Loss::Removed] {
        let mut site = lived();
        loss.befall(&site);
        let backup = site.home.path("state/tokenwatch.db.backup");
        noise(&backup, 2..pages(&backup));
        let damaged = fs::read(&backup).unwrap();
        site.append("logs/a.log", 200);
        let daemon = site.start();
        site.wait_but_for(400);
        wait_until("the alert", || alerts(&site).len() == 1);
        let aside = names(&site, "backup.damaged-");
        assert_eq!(aside.len(), 1, "{loss:?}: {aside:?}");
        let aside = aside.first().unwrap();
        assert_eq!(fs::read(site.home.path("state").join(aside)).unwrap(), damaged);
        let status = site.home.print(&["status"]);
        for text in [&alerts(&site)[0], &status] {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("its backup was damaged too, and is kept as"), "{text}");
            assert!(text.contains(aside.as_str()), "{text}");
        }
        assert!(status.contains("no backup yet") && !backup.exists(), "{status}");
        let status = site.home.json(&["status", "--json"]).remove(0);
        assert!(status["database"]["backed_up"].is_null(), "{status}");
        assert!(daemon.terminate().success());
        // What is no backup is not tried again.
        let daemon = site.start();
        assert_eq!((site.n_said("The database was lost."), alerts(&site).len()), (1, 1));
        assert!(daemon.terminate().success());
        fs::remove_file(site.home.path("state").join(aside)).unwrap();
        let status = site.home.print(&["status"]);
        assert!(status.contains("its backup was damaged too, so everything"), "{status}");
    }
}

#[test]
fn damage_that_is_found_while_running_ends_the_daemon_and_the_next_one_restores() {
    let mut site = lived();
    let daemon = site.start();
    site.wait();
    // As a failing disk would: behind the back of whoever has it open, in each page that is not in use all the time.
    let database = site.home.path("state/tokenwatch.db");
    noise(&database, 2..pages(&database));
    site.append("logs/a.log", 1500);
    assert_eq!(daemon.wait().code(), Some(70), "{}", site.home.daemon_log());
    assert!(names(&site, "suspect").len() == 1, "{}", site.home.daemon_log());
    let output = site.home.output(&["status"]);
    assert_eq!(output.status.code(), Some(70), "commands report, and repair nothing");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the daemon's next start restores the backup"), "{said}");
    assert!(names(&site, "damaged-").is_empty());
    let (daemon, _) = restart(&site);
    site.wait();
    assert_eq!(site.n_said("by its backup"), 1, "{}", site.home.daemon_log());
    assert!(names(&site, "suspect").is_empty());
    site.prove(daemon);
}

/// Removes what a daemon has open; returns whether the next one finds its database gone.
type Removal = fn(&Site) -> bool;

/// How soon a database that is gone ends the daemon on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(15);

#[test]
fn a_database_that_was_removed_or_replaced_under_the_daemon_was_written_on_into_nothing() {
    let cases: [Removal; 4] = [
        |site| {
            ["", "-wal", "-shm"].iter().for_each(|ending| remove(site, ending));
            true
        },
        |site| {
            remove(site, "");
            true
        },
        |site| {
            remove(site, "-wal");
            false
        },
        |site| {
            let [backup, database] =
                [".backup", ""].map(|end| site.home.path(format!("state/tokenwatch.db{end}")));
            fs::copy(&backup, site.home.path("state/copy")).unwrap();
            fs::rename(site.home.path("state/copy"), database).unwrap();
            false
        },
    ];
    for befall in cases {
        let mut site = lived();
        let mut daemon = site.start();
        site.wait();
        let is_gone = befall(&site);
        wait_at_most(AT_ONCE, "the daemon ends", || daemon.has_ended());
        assert_eq!(daemon.wait().code(), Some(70), "{}", site.home.daemon_log());
        assert_eq!(site.n_said("removed or replaced while it was in use"), 1);
        assert_eq!(site.home.output(&["status", "--check"]).status.code(), Some(1));
        site.append("logs/a.log", 100);
        let (daemon, n_failed) = restart(&site);
        site.wait();
        assert_eq!((n_failed, site.n_said("by its backup")), (0, usize::from(is_gone)));
        // Beside a database that is gone, there may be a write-ahead log to set aside.
        assert!(is_gone || names(&site, "damaged-").is_empty(), "{}", site.home.daemon_log());
        site.prove(daemon);
    }
}

fn remove(site: &Site, ending: &str) {
    fs::remove_file(site.home.path(format!("state/tokenwatch.db{ending}"))).unwrap();
}

/// A site that lived, whose rows then got bytes that no check of the database minds, and what it went on with.
fn garbled(sql: &str) -> (Site, Running, u32) {
    let mut site = lived();
    let database = Connection::open(site.home.path("state/tokenwatch.db")).unwrap();
    database.execute(sql, []).unwrap();
    drop(database);
    site.append("logs/a.log", 200);
    let (daemon, n_failed) = restart(&site);
    site.wait();
    (site, daemon, n_failed)
}

#[test]
fn damage_that_no_check_finds_ends_the_daemon_twice_and_then_the_backup_is_restored() {
    let (site, daemon, n_failed) = garbled("UPDATE stream SET cursor = CAST(x'ff' AS TEXT)");
    assert_eq!(n_failed, 2, "{}", site.home.daemon_log());
    assert_eq!(site.n_said("by its backup"), 1, "{}", site.home.daemon_log());
    assert!(names(&site, "suspect").is_empty() && names(&site, "cleared").is_empty());
    site.prove(daemon);
}

#[test]
fn how_a_log_was_read_starts_anew_where_it_cannot_be_read() {
    let (site, daemon, n_failed) = garbled("UPDATE stream SET health = CAST(x'7bff' AS TEXT)");
    assert_eq!(n_failed, 0, "{}", site.home.daemon_log());
    assert!(site.n_said("The statistics of this log are unreadable") > 0);
    assert!(names(&site, "damage").is_empty(), "nothing was lost");
    site.prove(daemon);
}

#[test]
fn a_kill_anywhere_in_the_restoring_is_made_good_by_the_next_start() {
    if !works("53", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let template = lived();
    let mut n_kills = 0;
    for loss in if is_full() { LOSSES.as_slice() } else { &[Loss::Middle, Loss::Removed] } {
        for (call, last) in
            [("rename", 8), ("fsync", 10), (CALLS, if is_full() { 120 } else { 40 })]
        {
            for n in sample(last) {
                let site = template.copy();
                loss.befall(&site);
                // What is damaged in the middle may still tell that all lines were committed.
                let is_done = || {
                    site.n_said("by its backup") > 0
                        && site.home.committed_lines() >= site.written()
                };
                n_kills += usize::from(killed_at(&site, call, n, is_done));
                let (daemon, _) = restart(&site);
                site.wait();
                wait_until("the alert", || !alerts(&site).is_empty());
                assert!(alerts(&site)[0].contains("by its backup"), "{loss:?} {call} {n}");
                site.prove(daemon);
                assert!(names(&site, "restoring").is_empty(), "{loss:?} {call} {n}");
            }
        }
    }
    // Of 552 planned, or of 48.
    expect_kills(n_kills, 300, 30);
}

#[test]
fn a_kill_in_a_rekey_leaves_the_old_key_or_the_new_one_and_a_daemon_that_works() {
    if !works("53", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    let key = || fs::read_to_string(site.home.path("state/seal.key")).unwrap();
    let mut keys = BTreeSet::from([key()]);
    let mut n_kills = 0;
    for call in ["rename,linkat,unlink,link", "fsync,fdatasync", "openat,write,pwrite64"] {
        for n in sample(if call.starts_with("openat") { 40 } else { 8 }) {
            let inject = format!("inject={call}:signal=SIGKILL:when={n}");
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject, "--"]);
            let own = site.home.command(&["tokens", "rekey", "--yes"]);
            command.arg(own.get_program()).args(own.get_args());
            command.current_dir(site.home.path(""));
            let before = key();
            let is_killed = !command.output().unwrap().status.success();
            n_kills += usize::from(is_killed);
            let now = key();
            assert!(now.len() == 65 && now.ends_with('\n'), "{call} {n}: {now:?}");
            assert!(is_killed || now != before, "{call} {n}");
            keys.insert(now);
        }
    }
    fs::write(site.home.path("state/.seal.key.4194303"), "a key that nobody has").unwrap();
    // Of 56 planned, since some of these calls are made more seldom.
    expect_kills(n_kills, 20, 6);
    assert!(keys.len() > 2, "{}", keys.len());
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    assert_eq!(names(&site, ".seal.key."), BTreeSet::new(), "no draft of a key is left");
    site.prove(daemon);
}

#[test]
fn a_newer_schema_is_left_alone_and_no_command_makes_a_new_database() {
    let site = lived();
    let database = site.home.path("state/tokenwatch.db");
    Connection::open(&database).unwrap().pragma_update(None, "user_version", 999).unwrap();
    assert_eq!(site.home.output(&["run"]).status.code(), Some(70));
    assert!(names(&site, "damage").is_empty());
    for is_removed in [false, true] {
        if is_removed {
            fs::remove_file(&database).unwrap();
        } else {
            fs::write(&database, "").unwrap();
        }
        let output =
            site.home.output_with(&["tokens", "add", "ci"], "exk_0123456789abcdefghijklmn");
        assert_eq!(output.status.code(), Some(70));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("start the daemon, which restores it"), "{text}");
    }
}

#[test]
fn a_backup_is_made_once_a_day_and_not_at_every_start() {
    let mut site = Site::with(CONFIG);
    site.append("logs/a.log", 100);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    age_backup(&site);
    let daemon = site.start();
    site.wait_for_word(MADE);
    daemon.kill();
    let backup = site.home.path("state/tokenwatch.db.backup");
    let made = fs::metadata(&backup).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    site.append("logs/a.log", 100);
    let daemon = site.start();
    site.wait();
    assert_eq!(fs::metadata(&backup).unwrap().modified().unwrap(), made.modified().unwrap());
    assert_eq!(site.n_said(MADE), 1);
    let status = site.home.json(&["status", "--json"]).remove(0);
    assert!(status["database"]["backed_up"].is_string(), "{status}");
    site.prove(daemon);
    let verdict = Connection::open(&backup).unwrap();
    let verdict: i64 =
        verdict.query_row("SELECT sum(requests) FROM token", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, 100);
}
