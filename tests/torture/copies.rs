//! Section a, continued: logs that become other files, or are copied into files that were there before.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use crate::files::wait_for_release;
use crate::site::{CONFIG, Site, append, truncate};

/// Gives a file this name and content at once, as a pull of logs does.
fn bring(site: &Site, name: &str, content: &[u8]) {
    append(&site.home.path("logs/coming"), content);
    site.rename("logs/coming", name);
}

#[test]
fn a_log_that_is_another_file_after_each_restart_is_read_once() {
    let mut site = Site::new();
    for _ in 0..4 {
        site.append("logs/a.log", 5);
        let daemon = site.start();
        site.append("logs/a.log", 3);
        site.wait();
        daemon.kill();
        bring(&site, "logs/a.log", &fs::read(site.home.path("logs/a.log")).unwrap());
    }
    site.append("logs/a.log", 2);
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

/// Copies the log into the same file as before, with lines that may be unread, and cuts it.
fn rotate(site: &mut Site) {
    let (log, copy) = (site.home.path("logs/a.log"), site.home.path("logs/a.log.1"));
    site.append("logs/a.log", 2);
    fs::copy(&log, &copy).unwrap();
    truncate(&log);
    site.append("logs/a.log", 3);
}

#[test]
fn a_log_that_is_copied_into_the_same_file_at_each_rotation_is_read_once() {
    for is_down in [false, true] {
        let mut site = Site::new();
        site.append("logs/a.log", 10);
        let mut daemon = site.start();
        for _ in 0..4 {
            site.append("logs/a.log", 10);
            site.wait();
            if is_down {
                daemon.kill();
                rotate(&mut site);
                daemon = site.start();
            } else {
                rotate(&mut site);
            }
            site.wait();
        }
        site.prove(daemon);
        assert_eq!(site.sum("gap_bytes"), 0);
    }
}

#[test]
fn a_copy_that_is_made_anew_of_a_log_that_goes_on_is_not_read() {
    let mut site = Site::with(&CONFIG.replace("*.log", "*.log*"));
    let daemon = site.start();
    for _ in 0..4 {
        site.append("logs/a.log", 5);
        site.wait();
        fs::copy(site.home.path("logs/a.log"), site.home.path("logs/a.log.1")).unwrap();
    }
    site.append("logs/a.log", 1);
    site.wait();
    site.prove(daemon);
    assert_eq!(site.sum("gap_bytes"), 0);
}

#[test]
fn a_pull_that_brings_the_rest_of_a_log_last_loses_nothing() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    let seen = fs::read(site.home.path("logs/a.log")).unwrap();
    let (rest, new) = (site.lines(5), site.lines(7));
    bring(&site, "logs/a.log", new.as_bytes());
    site.wait_but_for(5);
    bring(&site, "logs/a.log.1", &[seen.as_slice(), rest.as_bytes()].concat());
    site.wait();
    site.prove(daemon);
}

#[test]
fn the_rest_of_a_log_that_comes_later_than_five_seconds_is_read_from_the_next_start_on() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    let seen = fs::read(site.home.path("logs/a.log")).unwrap();
    let (rest, new) = (site.lines(5), site.lines(7));
    bring(&site, "logs/a.log", new.as_bytes());
    site.wait_but_for(5);
    // It is let go of after so long.
    wait_for_release(&site, "(deleted)");
    bring(&site, "logs/a.log.1", &[seen.as_slice(), rest.as_bytes()].concat());
    // Other files show that sweeps go by.
    for n in 0..3 {
        site.append(format!("logs/b{n}.log"), 1);
        site.wait_but_for(5);
    }
    assert!(daemon.terminate().success());
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
    assert_eq!(site.sum("gap_bytes"), 0);
}

#[test]
fn a_copy_of_the_same_name_in_a_directory_below_is_counted_once() {
    let mut site = Site::with(&CONFIG.replace("logs/*.log", "logs/**/*.log"));
    let [log, copy] = ["logs/a.log", "logs/backup/a.log"].map(|name| site.home.path(name));
    fs::create_dir(site.home.path("logs/backup")).unwrap();
    site.append("logs/a.log", 5);
    let mut daemon = site.start();
    site.wait();
    for is_down in [false, true, false] {
        if is_down {
            daemon.kill();
            fs::copy(&log, &copy).unwrap();
            daemon = site.start();
        } else {
            fs::copy(&log, &copy).unwrap();
        }
        // Another file shows that a sweep has found the copy.
        site.append("logs/other.log", 1);
        site.append("logs/a.log", 2);
        site.wait();
    }
    site.append("logs/a.log", 2);
    site.wait();
    site.prove(daemon);
    assert_eq!(site.sum("gap_bytes"), 0);
}

#[test]
fn a_compressed_file_that_is_cut_short_before_what_was_read_of_it_is_waited_for() {
    let mut site = Site::new();
    site.append("logs/a.log", 3000);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    site.append("logs/a.log", 500);
    site.rename("logs/a.log", "logs/a.log.1");
    let [file, packed] = ["logs/a.log.1", "logs/a.log.1.gz"].map(|name| site.home.path(name));
    assert!(Command::new("gzip").arg(&file).status().expect("gzip").success());
    let bytes = fs::read(&packed).unwrap();
    fs::remove_file(&packed).unwrap();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    fs::write(&packed, first).unwrap();
    site.append("logs/a.log", 2);
    let mut daemon = site.start();
    site.wait_but_for(500);
    daemon.kill();
    daemon = site.start();
    site.append("logs/a.log", 2);
    site.wait_but_for(500);
    append(&packed, rest);
    site.wait();
    site.prove(daemon);
    assert_eq!(site.sum("gap_bytes"), 0);
}

const REPLACED: &str = "Log was replaced while nobody read it";

#[test]
fn a_log_that_was_replaced_while_down_is_told_once_and_one_that_was_rotated_is_not() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    assert!(daemon.terminate().success());
    // A deletion of the oldest, as by logrotate, is no loss.
    for number in [1, 0] {
        let name = |n| if n == 0 { "logs/a.log".to_owned() } else { format!("logs/a.log.{n}") };
        if site.home.path(name(number)).exists() {
            site.rename(&name(number), &name(number + 1));
        }
    }
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    assert!(daemon.terminate().success());
    fs::remove_file(site.home.path("logs/a.log.1")).unwrap();
    let daemon = site.start();
    site.append("logs/a.log", 1);
    site.wait();
    assert!(daemon.terminate().success());
    assert_eq!(site.n_said(REPLACED), 0, "{}", site.home.daemon_log());
    let path = site.home.path("logs/a.log");
    let mut held = OpenOptions::new().append(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    writeln!(held, "a line that nobody can read any more").unwrap();
    site.append("logs/a.log", 2);
    for _ in 0..2 {
        let daemon = site.start();
        site.append("logs/a.log", 2);
        site.wait();
        assert!(daemon.terminate().success());
        assert_eq!(site.n_said(REPLACED), 1, "{}", site.home.daemon_log());
    }
    assert_eq!(site.sum("gap_bytes"), 0, "nobody knows whether there was anything");
}

#[test]
fn a_deleted_log_that_is_still_open_when_the_daemon_ends_is_told() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    let path = site.home.path("logs/a.log");
    let mut held = OpenOptions::new().append(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    site.append("logs/a.log", 1);
    held.write_all(site.lines(2).as_bytes()).unwrap();
    site.wait();
    site.prove(daemon);
    assert_eq!(site.n_said("Deleted log may still be written to"), 1);
}
