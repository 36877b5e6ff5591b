//! Section a: bytes that the daemon has seen and not taken, and that are gone then.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::{wait_at_most, wait_until};
use crate::site::{Site, append, truncate, works};

const TORN: &[u8] = b"192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /";

/// What may become of a log.
type Fate = fn(&Path);

fn cut(path: &Path) {
    truncate(path);
}

fn removed(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// Waits until the database has so many bytes as what is known to have been written to all files.
fn wait_until_stored(site: &Site, n_bytes: u64) {
    let sum = "SELECT coalesce(sum(size), 0) FROM stream";
    let stored = || site.database().query_row(sum, [], |row| row.get::<_, i64>(0)).unwrap();
    wait_until("what was seen is stored", || stored().cast_unsigned() == n_bytes);
}

fn alerts(site: &Site) -> Vec<Value> {
    site.home.json(&["alerts", "list", "--rule", "monitor-health", "--json"])
}

/// Waits for a gap of so many bytes. It is one alert, and the same after another start.
fn expect_gap(site: &Site, n_bytes: u64, cause: &str) {
    wait_until("the gap is committed", || site.sum("gap_bytes") > 0);
    assert_eq!(site.sum("gap_bytes"), n_bytes, "{}", site.home.daemon_log());
    let told = alerts(site);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["facts"]["health.gap_bytes"], n_bytes);
    assert_eq!(told[0]["facts"]["health.gap_cause"], cause);
}

/// Loses bytes that were written by themselves after whole lines: under the daemon, or after it has ended by a signal.
fn lose(bytes: &[u8], fate: Fate, signal: Option<&str>) -> Site {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let mut daemon = site.start();
    site.wait();
    let path = site.home.path("logs/a.log");
    append(&path, bytes);
    wait_until_stored(&site, fs::metadata(&path).unwrap().len());
    if let Some(signal) = signal {
        daemon.signal(signal);
        daemon.wait();
        fate(&path);
        site.append("logs/a.log", 3);
        daemon = site.start();
    } else {
        fate(&path);
        site.append("logs/a.log", 3);
    }
    // Whether they are lost, or taken as a line.
    wait_until("they are accounted for", || site.sum("gap_bytes") + site.sum("rejected") > 0);
    site.wait_with(site.sum("rejected"));
    daemon.kill();
    site
}

#[test]
fn a_torn_last_line_that_was_written_by_itself_was_lost_without_a_gap() {
    for signal in [None, Some("TERM"), Some("KILL")] {
        for (fate, cause) in [(cut as Fate, "truncated"), (removed, "removed")] {
            println!("{signal:?} {cause}");
            let site = lose(TORN, fate, signal);
            let daemon = site.start();
            if signal.is_none() && cause == "removed" {
                // The daemon had it open, and took it for a line once its file was silent.
                assert_eq!((site.sum("gap_bytes"), site.sum("rejected")), (0, 1));
                assert!(alerts(&site).is_empty());
            } else {
                expect_gap(&site, TORN.len() as u64, cause);
            }
            site.prove(daemon);
        }
    }
}

#[test]
fn twenty_megabytes_without_a_line_end_were_lost_without_a_gap() {
    let bytes = vec![b'x'; 20_000_000];
    for (fate, cause, signal) in
        [(cut as Fate, "truncated", None), (removed, "removed", Some("TERM"))]
    {
        let site = lose(&bytes, fate, signal);
        let daemon = site.start();
        expect_gap(&site, bytes.len() as u64, cause);
        site.prove(daemon);
    }
}

/// What runs a program as a user without rights.
const NOBODY: [&str; 5] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

#[test]
fn a_log_that_could_not_be_read_and_grew_was_lost_without_a_gap() {
    if !works("23", NOBODY[0], &[&NOBODY[1..], &["true"]].concat()) {
        return;
    }
    for is_killed in [false, true] {
        let mut site = Site::new();
        site.append("logs/a.log", 3);
        site.give_to(65534);
        let mut daemon = site.start_under(&NOBODY);
        site.wait();
        let path = site.home.path("logs/a.log");
        let n_read = fs::metadata(&path).unwrap().len();
        site.rename("logs/a.log", "logs/a.log.1");
        let mut log =
            OpenOptions::new().create_new(true).append(true).mode(0o000).open(&path).unwrap();
        let mut n_lost = 0;
        for n_lines in [1, 300] {
            log.write_all(site.lines(n_lines).as_bytes()).unwrap();
            n_lost = log.metadata().unwrap().len();
            wait_until_stored(&site, n_read + n_lost);
        }
        let vanish = || {
            site.rename("logs/a.log", "logs/a.log.2");
            fs::remove_file(site.home.path("logs/a.log.2")).unwrap();
        };
        if is_killed {
            daemon.kill();
            vanish();
            daemon = site.start_under(&NOBODY);
        } else {
            vanish();
        }
        expect_gap(&site, n_lost, "removed");
        daemon.kill();
        daemon = site.start_under(&NOBODY);
        expect_gap(&site, n_lost, "removed");
        assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    }
}

/// How soon a damaged file is given up that does not change: within a minute, and the time to find that out.
const GIVEN_UP: Duration = Duration::from_mins(3);

#[test]
fn a_damaged_file_was_said_to_be_removed() {
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    site.append("logs/a.log", 500);
    site.rename("logs/a.log", "logs/a.log.1");
    let file = site.home.path("logs/a.log.1");
    assert!(Command::new("gzip").arg(&file).status().expect("gzip").success());
    let packed = File::options().write(true).open(site.home.path("logs/a.log.1.gz")).unwrap();
    packed.set_len(packed.metadata().unwrap().len() / 2).unwrap();
    site.append("logs/a.log", 2);
    let daemon = site.start();
    let said = "The rest of a damaged file cannot be read.";
    wait_at_most(GIVEN_UP, said, || site.n_said(said) > 0);
    expect_gap(&site, 1, "damaged");
    assert_eq!(site.n_said("removed"), 0, "{}", site.home.daemon_log());
    daemon.kill();
    let daemon = site.start();
    expect_gap(&site, 1, "damaged");
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    assert_eq!(site.n_said(said), 1, "once");
}
