//! Section a: files that are renamed, copied, truncated, deleted, linked, forbidden, numerous, or large.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::program::wait_until;
use crate::site::{CONFIG, Site, append, line_of, truncate, works};

/// How soon a change is found that nobody reports: by the next sweep or the one after.
const SWEPT: Duration = Duration::from_secs(2);

/// How long a deleted file has been silent before it is let go of, and how long that may take on a busy machine.
const SILENT: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(15);

/// Waits until the daemon has let go of a file.
pub(crate) fn wait_for_release(site: &Site, name: &str) {
    wait_until("the file is let go of", || {
        !site.open_files().iter().any(|path| path.contains(name))
    });
}

#[test]
fn a_late_writer_is_read_before_and_after_the_file_was_let_go_of() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    let mut old = OpenOptions::new().append(true).open(site.home.path("logs/a.log")).unwrap();
    site.rename("logs/a.log", "logs/a.log.1");
    site.append("logs/a.log", 3);
    old.write_all(site.lines(4).as_bytes()).unwrap();
    site.wait();
    wait_for_release(&site, "a.log.1");
    old.write_all(site.lines(4).as_bytes()).unwrap();
    site.append("logs/a.log", 3);
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_deleted_file_is_one_gap_of_the_bytes_that_were_seen() {
    let mut site = Site::new();
    let torn = b"192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /";
    let lines = site.lines(5);
    append(&site.home.path("logs/a.log"), &[lines.as_bytes(), torn].concat());
    let daemon = site.start();
    site.wait();
    daemon.kill();
    site.rename("logs/a.log", "logs/a.log.1");
    fs::remove_file(site.home.path("logs/a.log.1")).unwrap();
    site.append("logs/a.log", 3);
    for _ in 0..2 {
        let daemon = site.start();
        site.wait();
        wait_until("the gap is committed", || site.sum("gap_bytes") > 0);
        assert_eq!(site.sum("gap_bytes"), torn.len() as u64);
        daemon.kill();
    }
    assert_eq!(site.n_said("Lines were removed before they were read."), 1);
    site.prove(site.start());
}

#[test]
fn a_copy_and_truncation_while_down_is_read_once_and_not_again() {
    let mut site = Site::new();
    site.append("logs/a.log", 20);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    site.append("logs/a.log", 3);
    fs::copy(site.home.path("logs/a.log"), site.home.path("logs/a.log.1")).unwrap();
    truncate(&site.home.path("logs/a.log"));
    site.append("logs/a.log", 2);
    for _ in 0..2 {
        let daemon = site.start();
        site.wait();
        daemon.kill();
    }
    site.append("logs/a.log", 1);
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_writer_that_does_not_append_leaves_nuls_that_are_counted() {
    let mut site = Site::new();
    let path = site.home.path("logs/a.log");
    let mut writer = File::create(&path).unwrap();
    writer.write_all(site.lines(50).as_bytes()).unwrap();
    let daemon = site.start();
    site.wait();
    let n_nuls = writer.stream_position().unwrap();
    truncate(&path);
    writer.write_all(site.lines(5).as_bytes()).unwrap();
    site.wait();
    assert_eq!(site.sum("nul_bytes"), n_nuls);
    site.prove(daemon);
}

/// A file system of its own in the place of the logs, until it is dropped: ext4 gives a freed inode to the next file.
struct Ext4(PathBuf);

impl Ext4 {
    fn mount(site: &Site) -> Option<Self> {
        let image = site.home.path("ext4.img");
        File::create(&image).and_then(|file| file.set_len(16 << 20)).unwrap();
        let (image, logs) = (image.to_str().unwrap().to_owned(), site.home.path("logs"));
        let logs_text = logs.to_str().unwrap();
        let is_there = works("12", "mkfs.ext4", &["-q", "-F", &image])
            && works("12", "mount", &["-o", "loop", &image, logs_text]);
        is_there.then_some(Self(logs))
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

#[test]
fn an_inode_that_is_used_again_is_a_new_file() {
    let mut site = Site::new();
    let Some(_ext4) = Ext4::mount(&site) else { return };
    site.append("logs/a.log", 5);
    let path = site.home.path("logs/a.log");
    let inode = fs::metadata(&path).unwrap().ino();
    let mut daemon = site.start();
    site.wait();
    let mut n_reused = 0;
    // With the daemon away, and under it; once shorter than what was read, then ever longer.
    for (n, is_down) in (3..13).zip([true, false].into_iter().cycle()) {
        let mut replaced = || {
            // The daemon holds what it has open: such an inode is not free.
            let lines = site.lines(n);
            fs::remove_file(&path).unwrap();
            fs::write(&path, &lines).unwrap();
            n_reused += u32::from(fs::metadata(&path).unwrap().ino() == inode);
        };
        if is_down {
            daemon.kill();
            replaced();
            daemon = site.start();
        } else {
            replaced();
        }
        site.wait();
    }
    println!("12: {n_reused} of 10 files had the inode of the first");
    assert!(n_reused > 0, "ext4 gives it to the next file");
    site.prove(daemon);
}

#[test]
fn a_file_renamed_over_another_leaves_none_of_both_unread() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    for n in 1..20 {
        site.append("logs/a.log", n % 3);
        site.append("new", 2);
        site.rename("new", "logs/a.log");
        // What is replaced before it was ever open, nobody can read.
        site.wait();
    }
    site.prove(daemon);
}

#[test]
fn a_link_that_is_pointed_elsewhere_is_followed_to_both_ends() {
    let mut site = Site::new();
    fs::create_dir(site.home.path("targets")).unwrap();
    site.append("targets/one", 5);
    let link = site.home.path("logs/current.log");
    symlink(site.home.path("targets/one"), &link).unwrap();
    let daemon = site.start();
    site.wait();
    // `ln -sfn` does it so: another link, renamed over the first.
    site.append("targets/two", 3);
    symlink(site.home.path("targets/two"), site.home.path("link")).unwrap();
    site.append("targets/one", 2);
    site.rename("link", "logs/current.log");
    site.wait();
    // And the target rotates.
    site.append("targets/two", 2);
    site.rename("targets/two", "targets/two.1");
    site.append("targets/two", 4);
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_hard_link_counts_once_before_and_after_a_restart() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    fs::hard_link(site.home.path("logs/a.log"), site.home.path("logs/b.log")).unwrap();
    let daemon = site.start();
    site.append("logs/b.log", 5);
    site.wait();
    daemon.kill();
    fs::remove_file(site.home.path("logs/a.log")).unwrap();
    site.append("logs/b.log", 5);
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

#[test]
fn files_with_the_same_beginning_are_both_read() {
    let mut site = Site::new();
    // Combined lines without a token, which count as lines and make no row.
    let head = "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n"
        .repeat(40);
    for name in ["a", "b", "c"] {
        append(&site.home.path(format!("logs/{name}.log")), head.as_bytes());
        site.append(format!("logs/{name}.log"), 5);
    }
    let daemon = site.start();
    site.wait_with(120);
    daemon.kill();
    site.append("logs/b.log", 5);
    let daemon = site.start();
    site.wait_with(120);
    site.prove(daemon);
}

#[test]
fn more_files_than_descriptors_are_all_read_and_new_ones_found() {
    let mut site = Site::with(&CONFIG.replace("logs/*.log", "logs/**/*.log"));
    if !works("18", "prlimit", &["--version"]) {
        return;
    }
    let n_files = if crate::site::is_full() { 5000 } else { 1000 };
    for n in 0..n_files {
        site.append(format!("logs/{n}.log"), 1);
    }
    let daemon = site.start_under(&["prlimit", "--nofile=256:256", "--"]);
    site.wait();
    for n in (0..n_files).step_by(7) {
        site.append(format!("logs/{n}.log"), 1);
    }
    site.wait();
    fs::create_dir_all(site.home.path("logs/new/deep")).unwrap();
    site.append("logs/new/deep/x.log", 3);
    site.wait_as_promised(SWEPT);
    // Logs have half of what the process may open; the rest is for all that is no log.
    let n_logs = site.open_files().iter().filter(|path| path.contains("/logs/")).count();
    assert!(n_logs <= 128, "{n_logs} logs are open");
    assert_eq!(site.n_said("WARN") + site.n_said("ERROR"), 0, "{}", site.home.daemon_log());
    site.prove(daemon);
}

#[test]
fn a_directory_that_cannot_be_watched_is_swept() {
    if !works("19", "unshare", &["-Ur", "sh", "-c", "echo 5 >/proc/sys/user/max_inotify_watches"]) {
        return;
    }
    let mut site = Site::with(&CONFIG.replace("logs/*.log", "logs/**/*.log"));
    for n in 0..20 {
        fs::create_dir(site.home.path(format!("logs/{n}"))).unwrap();
        site.append(format!("logs/{n}/a.log"), 2);
    }
    // The limit holds in this user namespace only.
    let shell = "echo 5 >/proc/sys/user/max_inotify_watches; exec \"$@\"";
    let daemon = site.start_under(&["unshare", "-Ur", "sh", "-c", shell, "sh"]);
    site.wait();
    for n in 0..20 {
        site.append(format!("logs/{n}/a.log"), 2);
    }
    site.wait_as_promised(SWEPT);
    fs::create_dir(site.home.path("logs/new")).unwrap();
    site.append("logs/new/a.log", 2);
    site.wait_as_promised(SWEPT);
    assert_eq!(site.n_said("Changes are found by looking once a second only."), 1);
    assert_eq!(site.n_said("WARN"), 1, "{}", site.home.daemon_log());
    site.prove(daemon);
}

/// What a start may read: the program, libraries, the database, and a few buffers of the log.
const READ_BESIDES_A_HOLE: u64 = 64 << 20;

#[test]
fn a_file_beyond_4_gb_is_read_behind_its_hole() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let path = site.home.path("logs/a.log");
    let before = fs::metadata(&path).unwrap().len();
    let size = 5 * (1 << 30);
    File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    assert_eq!(site.sum("nul_bytes"), size - before);
    // The hole is jumped over, not read.
    assert!(site.bytes_read() < READ_BESIDES_A_HOLE, "{} B", site.bytes_read());
    daemon.kill();
    let daemon = site.start();
    site.append("logs/a.log", 5);
    site.wait();
    assert!(site.bytes_read() < READ_BESIDES_A_HOLE, "{} B", site.bytes_read());
    let position = site.streams().remove(0);
    assert_eq!(position["offset"], fs::metadata(&path).unwrap().len());
    assert_eq!(position["nul_bytes"], size - before, "once");
    site.prove(daemon);
}

/// Whether the kernel tells the daemon what changes in the directory of the logs: fdinfo of proc(5).
fn is_told_of_changes(site: &Site) -> bool {
    let inode = fs::metadata(site.home.path("logs")).unwrap().ino();
    let mark = format!(" ino:{inode:x} ");
    let entries = fs::read_dir(format!("/proc/{}/fdinfo", site.pid())).unwrap().flatten();
    entries
        .flat_map(|entry| fs::read_to_string(entry.path()))
        .any(|text| text.lines().any(|line| line.starts_with("inotify ") && line.contains(&mark)))
}

#[test]
fn logs_on_nfs_are_swept_and_read_once_over_rotations_and_a_kill() {
    // For this directory, the kernel's answer is replaced by 0x6969, the number of NFS (statfs(2)).
    let inject = "inject=statfs:poke_exit=@arg2=6969000000000000";
    if !works("28", "strace", &["-o", "/dev/null", "-e", inject, "true"]) {
        return;
    }
    let mut site = Site::new();
    let logs = site.home.path("logs");
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", logs.to_str().unwrap()];
    let trace = [&trace[..], &["-e", inject, "--"]].concat();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    assert!(is_told_of_changes(&site), "elsewhere it is");
    assert!(daemon.terminate().success());
    let mut daemon = site.start_under(&trace);
    for n in 1..=4 {
        site.append("logs/a.log", 3);
        site.wait_as_promised(SWEPT);
        assert!(!is_told_of_changes(&site));
        site.rename("logs/a.log", &format!("logs/a.log.{}", 5 - n));
        site.append("logs/a.log", 2);
        site.append(format!("logs/new{n}.log"), 1);
        if n == 3 {
            daemon.kill();
            daemon = site.start_under(&trace);
        }
        site.wait();
    }
    // Once in each run.
    assert_eq!(site.n_said("Changes are found by looking once a second: others may write"), 2);
    assert_eq!(site.n_said("WARN") + site.n_said("ERROR"), 0, "{}", site.home.daemon_log());
    site.prove(daemon);
}

#[test]
fn a_name_that_is_no_utf_8_is_followed_and_rotated() {
    let mut site = Site::new();
    let name = OsStr::from_bytes(b"logs/a\xff.log");
    site.append(name, 3);
    let daemon = site.start();
    site.wait();
    let rotated = OsStr::from_bytes(b"logs/a\xff.log.1");
    site.append(name, 2);
    fs::rename(site.home.path(name), site.home.path(rotated)).unwrap();
    site.append(name, 2);
    site.wait();
    daemon.kill();
    site.append(rotated, 1);
    site.append(name, 1);
    // Another name that differs in that byte only.
    site.append(OsStr::from_bytes(b"logs/a\xfe.log"), 1);
    let daemon = site.start();
    site.wait();
    let (told, streams) = (site.home.print(&["status"]), site.streams());
    for name in ["a\\xff.log", "a\\xfe.log"] {
        assert!(told.contains(name), "{told}");
        let is_named =
            |stream: &&serde_json::Value| stream["path"].as_str().unwrap().ends_with(name);
        assert_eq!(streams.iter().filter(is_named).count(), 1, "{name}: {streams:?}");
    }
    assert!(!told.contains(char::REPLACEMENT_CHARACTER), "{told}");
    site.prove(daemon);
}

/// What runs a program as a user without rights.
const NOBODY: [&str; 5] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

#[test]
fn a_forbidden_file_is_told_once_and_read_on_when_it_is_allowed() {
    if !works("23", NOBODY[0], &[&NOBODY[1..], &["true"]].concat()) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    site.give_to(65534);
    let daemon = site.start_under(&NOBODY);
    site.wait();
    daemon.kill();
    let allow = |mode| {
        let path = site.home.path("logs/a.log");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(0o000);
    site.append("logs/a.log", 3);
    let daemon = site.start_under(&NOBODY);
    // Other files show that sweeps go by.
    for n in 0..4 {
        site.append(format!("logs/b{n}.log"), 1);
        site.wait_but_for(3);
    }
    assert_eq!(site.n_said("a.log"), 1, "{}", site.home.daemon_log());
    let path = site.home.path("logs/a.log");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_file_of_before_its_pattern_that_could_not_be_read_begins_at_its_end_unless_another_was_found()
{
    if !works("3b", NOBODY[0], &[&NOBODY[1..], &["true"]].concat()) {
        return;
    }
    for is_another_found in [false, true] {
        let mut site = Site::with(&CONFIG.replace("read_from = \"start\"\n", ""));
        let n_history: u32 = 5;
        let history = line_of(0, "-", 200).repeat(n_history as usize);
        let path = site.home.path("logs/a.log");
        append(&path, history.as_bytes());
        if is_another_found {
            append(&site.home.path("logs/b.log"), history.as_bytes());
        }
        site.give_to(65534);
        let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o000);
        let daemon = site.start_under(&NOBODY);
        site.wait_for_word("File cannot be read; trying again every second.");
        wait_until("the pattern is noted", || {
            let sql = "SELECT count(*) FROM setting WHERE name LIKE 'followed:%'";
            site.database().query_row(sql, [], |row| row.get(0)) == Ok(1)
        });
        if is_another_found {
            site.append("logs/b.log", 1);
            site.wait();
        }
        daemon.kill();
        allow(0o644);
        let daemon = site.start_under(&NOBODY);
        site.append("logs/a.log", 3);
        site.wait_with(if is_another_found { u64::from(n_history) } else { 0 });
        site.prove(daemon);
    }
}

#[test]
fn a_compressed_file_is_read_as_soon_as_it_may_be_read() {
    if !works("23", NOBODY[0], &[&NOBODY[1..], &["true"]].concat()) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    site.give_to(65534);
    let daemon = site.start_under(&NOBODY);
    site.wait();
    daemon.kill();
    // What is left of the known one, and one that nobody saw.
    for (n_lines, name) in [(4, "logs/a.log.2"), (5, "logs/a.log.1")] {
        site.append("logs/a.log", n_lines);
        site.rename("logs/a.log", name);
        assert!(Command::new("gzip").arg(site.home.path(name)).status().expect("gzip").success());
    }
    let packed = ["logs/a.log.2.gz", "logs/a.log.1.gz"].map(|name| site.home.path(name));
    let allow = |mode| {
        for path in &packed {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o000);
    site.append("logs/a.log", 1);
    let mut daemon = site.start_under(&NOBODY);
    site.wait_but_for(9);
    daemon.kill();
    daemon = site.start_under(&NOBODY);
    for n in 0..4 {
        site.append(format!("logs/b{n}.log"), 1);
        site.wait_but_for(9);
    }
    // Each of the two, and the known file that is sought; at the second start the others wait for that.
    assert_eq!(site.n_said("cannot be read"), 3 + 1, "{}", site.home.daemon_log());
    allow(0o644);
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_bad_sector_is_told_once_and_keeps_no_other_file_waiting() {
    if !works("23", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    let daemon = site.start();
    site.wait();
    daemon.kill();
    site.append("logs/a.log", 3);
    // The first and last bytes that were read can be read again; what is new cannot.
    let path = site.home.path("logs/a.log");
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", path.to_str().unwrap()];
    let inject = ["-e", "inject=pread64:error=EIO:when=3+3", "--"];
    let daemon = site.start_under(&[&trace[..], &inject].concat());
    site.wait_for_word("File cannot be read; trying again every second.");
    for n in 0..4 {
        let name = format!("logs/b{n}.log");
        site.append(&name, 1);
        site.wait_but_for(3);
    }
    assert_eq!(site.n_said("can"), 1, "{}", site.home.daemon_log());
    daemon.kill();
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

#[test]
fn an_unlinked_file_is_read_while_it_is_held_and_then_let_go_of() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    site.wait();
    let path = site.home.path("logs/a.log");
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    writer.write_all(site.lines(5).as_bytes()).unwrap();
    site.wait();
    site.append("logs/a.log", 5);
    let last = Instant::now();
    writer.write_all(site.lines(5).as_bytes()).unwrap();
    site.wait();
    wait_for_release(&site, "(deleted)");
    let silent = last.elapsed();
    assert!(SILENT.contains(&silent), "{silent:?}");
    site.prove(daemon);
}

#[test]
fn the_program_does_not_follow_what_it_writes_itself() {
    let mut site = Site::with(&CONFIG.replace("\"logs/*.log\"", "\"logs/*\", \"state/*\""));
    site.append("logs/a.log", 5);
    symlink(site.home.path("state"), site.home.path("logs/ours")).unwrap();
    symlink(site.home.path("state/tokenwatch.db"), site.home.path("logs/database")).unwrap();
    let daemon = site.start();
    site.wait();
    site.append("logs/a.log", 5);
    site.wait();
    assert_eq!(site.streams().len(), 1, "{:?}", site.streams());
    site.prove(daemon);
}

#[test]
fn what_the_program_says_makes_no_further_line() {
    let mut site = Site::with(&CONFIG.replace("\"logs/*.log\"", "\"*.log\", \"logs/*.log\""));
    symlink(site.home.path("daemon.log"), site.home.path("logs/own.log")).unwrap();
    site.append("logs/a.log", 5);
    // Each batch that is read is told.
    let daemon = site.home.run(&["-vv"]);
    site.wait();
    site.append("logs/a.log", 5);
    site.wait();
    assert_eq!(site.streams().len(), 1, "{:?}", site.streams());
    site.prove(daemon);
}

/// How long a log keeps its name.
const TURN: Duration = Duration::from_millis(20);

#[test]
fn fifty_renames_a_second_lose_nothing() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    // What was rotated before a log was ever seen is older than the first start, for all that can be known.
    site.wait();
    let n_rounds = if crate::site::is_full() { 3000 } else { 200 };
    let begun = Instant::now();
    for round in 1..=n_rounds {
        let mut old = OpenOptions::new().append(true).open(site.home.path("logs/a.log")).unwrap();
        old.write_all(site.lines(1 + round % 3).as_bytes()).unwrap();
        site.rename("logs/a.log", &format!("logs/a.log.{}", n_rounds + 1 - round));
        site.append("logs/a.log", round % 2);
        // A writer that has not reopened its log yet.
        old.write_all(site.lines(u32::from(round % 4 == 0)).as_bytes()).unwrap();
        std::thread::sleep((TURN * round).saturating_sub(begun.elapsed()));
    }
    println!("1: {n_rounds} renames in {:?}", begun.elapsed());
    site.append("logs/a.log", 5);
    site.wait();
    assert_eq!(site.sum("gap_bytes"), 0);
    site.prove(daemon);
}

/// Has `logrotate` rotate from now on, in some way.
fn configure_rotation(site: &Site, how: &str) {
    let log = site.home.path("logs/a.log");
    let conf = format!("\"{}\" {{\nrotate 99\n{how}\n}}\n", log.display());
    fs::write(site.home.path("logrotate.conf"), conf).unwrap();
    fs::set_permissions(site.home.path("logs"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_daemon_that_stood_still_over_rotations_reads_what_is_left() {
    if !works("1, 3", "logrotate", &["--version"]) {
        return;
    }
    let compressed = "create\ncompress";
    let later = "create\ncompress\ndelaycompress";
    for how in ["create", compressed, later, "copytruncate", "copytruncate\ncompress"] {
        let mut site = Site::new();
        configure_rotation(&site, how);
        site.append("logs/a.log", 5);
        let mut daemon = site.start();
        site.wait();
        for is_dead in [false, true, false] {
            if is_dead {
                daemon.kill();
                // Until the next start: nothing runs.
                site.rotate_often();
                daemon = site.start();
            } else {
                daemon.signal("STOP");
                site.rotate_often();
                daemon.signal("CONT");
            }
            site.wait();
        }
        site.prove(daemon);
    }
}

#[test]
fn more_changes_than_the_kernel_remembers_are_found() {
    let mut site = Site::new();
    for name in ["a", "b"] {
        site.append(format!("logs/{name}.log"), 1);
    }
    let daemon = site.start();
    site.wait();
    daemon.signal("STOP");
    // Changes of two files in turn are not merged; the queue holds 16,384 (fs.inotify.max_queued_events).
    for n in 0..9000 {
        for name in ["a", "b"] {
            let line = if n % 1000 == 0 { site.lines(1) } else { "\n".to_owned() };
            append(&site.home.path(format!("logs/{name}.log")), line.as_bytes());
        }
    }
    site.rename("logs/a.log", "logs/a.log.1");
    site.append("logs/a.log", 3);
    daemon.signal("CONT");
    site.wait_until_counted();
    site.prove(daemon);
}

#[test]
fn logrotate_loses_nothing_however_it_rotates() {
    if !works("1, 7", "logrotate", &["--version"]) {
        return;
    }
    let n_rounds = if crate::site::is_full() { 40 } else { 8 };
    for how in [
        "create",
        "create\ncompress\ndelaycompress",
        "copytruncate",
        "create\ndateext\ndateformat -%s",
    ] {
        let mut site = Site::new();
        configure_rotation(&site, how);
        site.append("logs/a.log", 5);
        let mut daemon = site.start();
        // What was rotated before a log was ever seen is older than the first start, for all that can be known.
        site.wait();
        for round in 0..n_rounds {
            site.append("logs/a.log", 1 + round % 4);
            let is_copied = how == "copytruncate";
            if is_copied || how.contains("dateext") {
                // What is written between copy and truncation nobody can read; one name a second.
                site.wait();
            }
            if round % 4 == 3 && !is_copied {
                daemon.kill();
                site.append("logs/a.log", 2);
                site.rotate();
                site.append("logs/a.log", 2);
                daemon = site.start();
            } else {
                site.rotate();
            }
        }
        site.append("logs/a.log", 5);
        site.wait();
        site.prove(daemon);
    }
}
