//! How often files are looked at: each once per sweep, and those at rest once a minute.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::super::rotation::Seen;
use super::super::sweep::CURED;
use super::*;

/// Counts the looks at files and directories during `act`.
fn n_looks(act: impl FnOnce()) -> usize {
    let n = Rc::new(Cell::new(0));
    let count = Rc::clone(&n);
    meanwhile(move || count.set(count.get() + 1), act);
    n.get()
}

/// Follows a log and its rotated files, all of them read.
fn with_rotated(patterns: &[&str], n_rotated: usize) -> Bench {
    let mut bench = Bench::start(patterns);
    for n in 0..n_rotated {
        bench.write("a", format!("{n}\n"));
        bench.poll();
        bench.rename("a", &format!("a-2026{n:04}"));
    }
    bench.write("a", "last\n");
    bench.rest();
    assert_eq!(bench.take().len(), n_rotated + 1);
    bench
}

#[test]
fn a_sweep_looks_at_each_file_once_however_often_a_log_was_rotated() {
    for pattern in ["a", "a*"] {
        let mut bench = with_rotated(&[pattern], 40);
        bench.follower.set_watches(bench.watches.clone());
        bench.poll();
        bench.follower.set_watches(bench.watches.clone());
        let n = n_looks(|| bench.poll());
        assert!((41..50).contains(&n), "{pattern}: {n} looks at 41 files");
    }
}

/// Advances second by second until only glances are needed.
fn come_to_rest(bench: &mut Bench) {
    let is_quiet = |bench: &mut Bench| {
        bench.poll();
        bench.follower.is_quiet(bench.now + Duration::from_secs(1))
    };
    assert!((0..1000).any(|_| is_quiet(bench)), "files that do not change come to rest");
}

/// Waits until the kernel has reported everything that was done, and discards the reports.
fn lose_what_is_heard(bench: &mut Bench) {
    let end = bench.path("end");
    // Reports come in order, and this one comes last.
    let mut file = OpenOptions::new().append(true).open(&end).unwrap();
    file.write_all(b"\n").unwrap();
    hear_of(bench, &end);
}

/// Waits until the kernel has reported a change of a file, and discards that report and all earlier ones.
fn hear_of(bench: &mut Bench, path: &Path) {
    let has_heard = |bench: &mut Bench| {
        bench.follower.wait(Duration::from_secs(1));
        bench.follower.wake.take_heard().written.contains(path)
    };
    assert!((0..60).any(|_| has_heard(bench)), "{}", path.display());
}

/// Waits until the next change in the directory will show in its time.
pub(super) fn pass_a_tick(bench: &Bench) {
    let known = fs::metadata(bench.dir.path()).unwrap().modified().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let time = || {
        let file = tempfile::NamedTempFile::new_in(elsewhere.path()).unwrap();
        file.as_file().metadata().unwrap().modified().unwrap()
    };
    while time() <= known {}
}

#[test]
fn files_at_rest_are_looked_at_once_a_minute() {
    let mut bench = with_rotated(&["a*"], 40);
    come_to_rest(&mut bench);
    let n = n_looks(|| (0..60).for_each(|_| bench.poll()));
    assert!((41..400).contains(&n), "{n} looks at 41 files in 60 seconds");
}

#[test]
fn a_change_of_a_file_at_rest_is_found_within_a_minute_though_nobody_tells() {
    let mut bench = with_rotated(&["a*"], 40);
    bench.write("end", "");
    come_to_rest(&mut bench);
    bench.write("a", "unheard\n");
    bench.write("a-20260007", "late\n");
    lose_what_is_heard(&mut bench);
    (0..61).for_each(|_| bench.poll());
    assert_eq!(bench.take(), ["late", "unheard"]);
    // It has woken up: the next change is found within the second.
    bench.write("a", "awake\n");
    lose_what_is_heard(&mut bench);
    bench.poll();
    assert_eq!(bench.take(), ["awake"]);
}

#[test]
fn a_rotation_of_files_at_rest_is_found_within_a_second_though_nobody_tells() {
    let mut bench = with_rotated(&["a"], 3);
    bench.write("end", "");
    come_to_rest(&mut bench);
    pass_a_tick(&bench);
    bench.write("a", "old\n");
    bench.rename("a", "a-20270101");
    bench.write("a", "new\n");
    lose_what_is_heard(&mut bench);
    bench.poll();
    assert_eq!(bench.take(), ["old", "new"]);
}

#[test]
fn a_link_at_rest_that_is_pointed_elsewhere_is_found_within_a_second_though_nobody_tells() {
    let mut bench = Bench::start(&["a.log"]);
    for folder in ["targets", "links"] {
        fs::create_dir(bench.path(folder)).unwrap();
    }
    bench.write("targets/one", "one\n");
    bench.write("targets/two", "two\n");
    let link = |to: &str, from: &str| symlink(bench.path(to), bench.path(from)).unwrap();
    link("links/now", "a.log");
    link("targets/one", "links/now");
    bench.poll();
    (0..100).for_each(|_| bench.poll());
    // The directory of the links is not watched.
    fs::remove_file(bench.path("links/now")).unwrap();
    symlink(bench.path("targets/two"), bench.path("links/now")).unwrap();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_file_whose_changes_are_not_heard_of_is_looked_at_every_second_for_ever() {
    let mut bench = Bench::start(&["a"]);
    bench.watches[0].is_polled = true;
    bench.restart();
    bench.write("a", "one\n");
    (0..100).for_each(|_| bench.poll());
    bench.write("a", "two\n");
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_file_at_rest_below_a_link_to_its_directory_is_heard_of() {
    let mut bench = Bench::start(&["logs/a"]);
    fs::create_dir(bench.path("real")).unwrap();
    symlink(bench.path("real"), bench.path("logs")).unwrap();
    bench.write("logs/a", "one\n");
    come_to_rest(&mut bench);
    bench.write("logs/a", "two\n");
    let real = bench.path("real/a");
    hear_of(&mut bench, &real);
}

#[test]
fn a_start_among_files_that_were_written_to_unread_looks_at_each_a_few_times() {
    let mut bench = Bench::start(&["a*"]);
    let names: Vec<String> = (0..40).map(|n| format!("a-2026{n:04}")).collect();
    names.iter().for_each(|name| bench.write(name, ""));
    bench.poll();
    names.iter().for_each(|name| bench.write(name, format!("{name}\n")));
    bench.restart();
    let n = n_looks(|| bench.poll());
    assert!(n < 400, "{n} looks at 40 files");
    let mut lines = bench.take();
    lines.sort();
    assert_eq!(lines, names);
}

#[test]
fn files_that_are_polled_are_read_once_each_and_the_kernel_is_not_asked() {
    let mut bench = Bench::start(&["a.log", "b*.log"]);
    bench.watches[0].is_polled = true;
    bench.restart();
    bench.write("a.log", "a1\n");
    bench.write("b.log", "b1\n");
    bench.poll();
    bench.write("a.log", "a2\n");
    bench.rename("a.log", "a.log.1");
    bench.write("a.log.1", "a3\n");
    bench.write("a.log", "a4\n");
    bench.write("b2.log", "b2\n");
    bench.poll();
    bench.poll();
    assert_eq!(bench.follower.wake.watched().len(), 0);
    let mut lines = bench.take();
    lines.sort();
    assert_eq!(lines, ["a1", "a2", "a3", "a4", "b1", "b2"]);
    // No longer polled, its changes are reported.
    bench.watches[0].is_polled = false;
    bench.follower.set_watches(bench.watches.clone());
    bench.poll();
    assert_eq!(bench.follower.wake.watched().len(), 1);
}

#[test]
fn a_file_at_rest_is_found_within_a_second_though_it_is_written_to_by_another_name() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    fs::create_dir(bench.path("elsewhere")).unwrap();
    fs::hard_link(bench.path("a"), bench.path("elsewhere/b")).unwrap();
    fs::hard_link(bench.path("a"), bench.path("c")).unwrap();
    for name in ["elsewhere/b", "c"] {
        come_to_rest(&mut bench);
        bench.write(name, format!("by {name}\n"));
        bench.poll();
    }
    assert_eq!(bench.take(), ["one", "by elsewhere/b", "by c"]);
}

#[test]
fn a_directory_that_was_away_for_a_moment_is_still_heard_of() {
    let mut bench = Bench::start(&["*/a"]);
    fs::create_dir(bench.path("logs")).unwrap();
    bench.write("logs/a", "one\n");
    come_to_rest(&mut bench);
    bench.rename("logs", "away");
    bench.rename("away", "logs");
    assert!(bench.follower.wait(Duration::from_secs(60)));
    come_to_rest(&mut bench);
    bench.write("logs/a", "two\n");
    let log = bench.path("logs/a");
    hear_of(&mut bench, &log);
}

#[test]
fn a_file_of_which_nothing_was_heard_once_is_looked_at_every_second_from_then_on() {
    let mut bench = Bench::start(&["a"]);
    bench.write("end", "");
    bench.write("a", "one\n");
    come_to_rest(&mut bench);
    bench.write("a", "unheard\n");
    lose_what_is_heard(&mut bench);
    (0..61).for_each(|_| bench.poll());
    assert_eq!(bench.take(), ["one", "unheard"]);
    (0..200).for_each(|_| bench.poll());
    bench.write("a", "unheard, too\n");
    lose_what_is_heard(&mut bench);
    bench.poll();
    assert_eq!(bench.take(), ["unheard, too"]);
    // Once changes are reported, the reports suffice.
    bench.write("a", "heard\n");
    while !bench.follower.wait(Duration::from_secs(1)) {}
    bench.poll();
    assert_eq!(bench.take(), ["heard"]);
}

#[test]
fn a_file_that_is_mounted_has_another_name() {
    let bench = Bench::start(&["a"]);
    for name in ["a", "b"] {
        fs::write(bench.path(name), "").unwrap();
    }
    let mut seen = [bench.path("a"), bench.path("b")].map(|path| Seen::at(&path).unwrap());
    assert!(!seen.iter().any(|seen| seen.has_other_names));
    let (a, b) = (bench.path("a"), bench.path("b"));
    // A machine may forbid namespaces; then nothing can be checked.
    let script = "mount --bind \"$0\" \"$1\" && echo mounted && read -r line";
    let mut apart = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .args([&a, &b])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    BufReader::new(apart.stdout.take().unwrap()).read_line(&mut told).unwrap();
    if told == "mounted\n" {
        let root = PathBuf::from(format!("/proc/{}/root", apart.id()));
        let below = |path: &Path| root.join(path.strip_prefix("/").unwrap());
        seen = [below(&a), below(&b)].map(|path| Seen::at(&path).unwrap());
        assert_eq!(seen[0].identity, seen[1].identity);
        assert_eq!(seen.map(|seen| seen.has_other_names), [false, true]);
    }
    drop(apart.stdin.take());
    apart.wait().unwrap();
}

#[test]
fn a_copy_that_is_met_while_all_is_at_rest_is_given_time_to_end_its_last_line() {
    let mut bench = Bench::start(&["a"]);
    bench.write("end", "");
    bench.write("a", "one\nha");
    come_to_rest(&mut bench);
    (0..30).for_each(|_| bench.poll());
    bench.copy("a", "a-20270101");
    lose_what_is_heard(&mut bench);
    let log = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    log.set_len(0).unwrap();
    // Before a glance is due, on reports alone; the first one may be about the copy.
    let is_met = |bench: &mut Bench| {
        bench.follower.wait(Duration::from_secs(1));
        bench.read();
        bench.places().any(|place| place == Place::Rotated)
    };
    assert!((0..60).any(|_| is_met(&mut bench)), "the copy is met");
    bench.poll();
    bench.write("a-20270101", "lf\n");
    bench.rest();
    assert_eq!(bench.take(), ["one", "half"]);
}

#[test]
fn the_second_fault_of_a_path_was_never_logged() {
    let mut bench = Bench::start(&["a"]);
    let pass = |bench: &mut Bench, n_minutes: u64| {
        for _ in 0..n_minutes {
            bench.now += Duration::from_mins(1);
            bench.read();
        }
    };
    let n_minutes = CURED.as_secs() / 60;
    symlink(bench.path("a"), bench.path("a")).unwrap();
    bench.poll();
    let failing = bench.follower.warned.clone();
    assert_eq!(failing.len(), 1);
    pass(&mut bench, 2 * n_minutes);
    assert!(bench.follower.warned.keys().eq(failing.keys()), "it still fails: logged once");
    fs::remove_file(bench.path("a")).unwrap();
    pass(&mut bench, n_minutes / 2);
    assert_eq!(bench.follower.warned.len(), 1, "it may fail now and then");
    pass(&mut bench, n_minutes);
    assert!(bench.follower.warned.is_empty());
}
