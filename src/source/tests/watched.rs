//! Which files are followed, and from where.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::engine::time::Timestamp;

#[test]
fn new_files_and_directories_are_found_within_a_sweep() {
    let mut bench = Bench::new(&["*/x*.log", "odd*"], ReadFrom::End);
    bench.poll();
    fs::create_dir(bench.path("new")).unwrap();
    bench.write("new/x1.log", "one\n");
    bench.poll();
    let odd = bench.dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff.log"));
    fs::write(odd, "two\n").unwrap();
    fs::create_dir(bench.path("odd.dir")).unwrap();
    fs::create_dir(bench.path("state")).unwrap();
    bench.write("state/x.log", "own\n");
    bench.write("odd.gz", gzip(b"packed\n"));
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_directory_is_followed_as_the_logs_in_it_are() {
    let mut bench = Bench::new(&["dd"], ReadFrom::End);
    fs::create_dir(bench.path("dd")).unwrap();
    bench.write("dd/a.log", "old\n");
    bench.poll();
    bench.write("dd/a.log", "one\n");
    bench.write("dd/b.log", "two\n");
    bench.write("dd/requests", "no name of a log\n");
    fs::create_dir(bench.path("dd/sub")).unwrap();
    bench.poll();
    let sorted = |bench: &mut Bench| {
        let mut lines = bench.take();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&mut bench), ["one", "two"]);
    bench.write("dd/sub/access", "three\n");
    bench.rename("dd/a.log", "dd/a.log.1");
    bench.write("dd/a.log.1", "four\n");
    bench.write("dd/a.log", "five\n");
    bench.poll();
    assert_eq!(sorted(&mut bench), ["five", "four", "three"]);
    bench.write("dd/a.log", "six\n");
    bench.restart();
    bench.write("dd/c.log", "while down\n");
    bench.rest();
    bench.gzip("dd/a.log.1");
    bench.rest();
    assert_eq!(sorted(&mut bench), ["six", "while down"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_directory_that_comes_later_is_followed_and_our_own_in_it_is_not() {
    let mut bench = Bench::start(&["."]);
    bench.write("a.log", "one\n");
    fs::create_dir(bench.path("state")).unwrap();
    bench.write("state/x.log", "own\n");
    bench.poll();
    assert!(!bench.follower.wake.watched().contains(&bench.path("state").as_path()));
    assert_eq!(bench.take(), ["one"]);
    let mut bench = Bench::new(&["later"], ReadFrom::End);
    bench.poll();
    fs::create_dir(bench.path("later")).unwrap();
    bench.poll();
    bench.write("later/a.log", "one\n");
    bench.poll();
    assert_eq!(bench.take(), ["one"]);
}

#[test]
fn only_what_was_there_at_the_first_start_begins_at_its_end() {
    let mut bench = Bench::new(&["*.log"], ReadFrom::End);
    bench.write("a.log", "old\nha");
    bench.poll();
    bench.restart();
    bench.write("a.log", "lf\n");
    bench.write("b.log", "while down\n");
    bench.poll();
    bench.write("c.log", "while running\n");
    bench.poll();
    assert_eq!(bench.take(), ["half", "while down", "while running"]);
    bench.write("d.txt", "old\n");
    let mut watches = bench.watches.clone();
    watches[0].patterns.push(bench.path("d.txt"));
    bench.follower.set_watches(watches);
    bench.poll();
    bench.write("d.txt", "new\n");
    bench.poll();
    assert_eq!(bench.take(), ["new"]);
}

#[test]
fn what_was_created_since_a_pattern_is_followed_is_no_history_though_it_never_found_a_file() {
    let (before, after) = (Timestamp(0), Timestamp(i64::MAX));
    for (since, expected) in [(before, &["while down", "new"][..]), (after, &["new"])] {
        let mut bench = Bench::new(&["*.log"], ReadFrom::End);
        bench.options.followed.insert(bench.path("*.log"), since);
        bench.restart();
        bench.write("a.log", "while down\n");
        bench.poll();
        bench.write("a.log", "new\n");
        bench.poll();
        assert_eq!(bench.take(), expected);
    }
}

#[test]
fn a_pattern_that_was_taken_out_and_comes_back_is_new() {
    let mut bench = Bench::new(&["*.log"], ReadFrom::End);
    bench.options.followed.insert(bench.path("*.log"), Timestamp(0));
    bench.restart();
    bench.follower.set_watches(Vec::new());
    bench.poll();
    bench.write("a.log", "while it was out\n");
    bench.follower.set_watches(bench.watches.clone());
    bench.poll();
    bench.write("a.log", "new\n");
    bench.poll();
    assert_eq!(bench.take(), ["new"]);
}

#[test]
fn a_file_that_is_no_longer_watched_rests_until_it_is_watched_again() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.follower.set_watches(Vec::new());
    bench.write("a", "two\n");
    bench.rest();
    assert_eq!(bench.take(), ["one"]);
    bench.follower.set_watches(bench.watches.clone());
    bench.poll();
    assert_eq!(bench.take(), ["two"]);
}

#[test]
fn more_files_than_may_be_open_are_all_read() {
    let mut bench = Bench::start(&["*.log"]);
    bench.options.max_open = 3;
    bench.restart();
    for round in 0..3 {
        for n in 0..40 {
            bench.write(&format!("{n}.log"), format!("{n} {round}\n"));
        }
        bench.poll();
        assert_eq!(bench.take().len(), 40);
    }
    for n in 0..40 {
        bench.write(&format!("{n}.log"), "moved\n");
        bench.rename(&format!("{n}.log"), &format!("{n}.log.1"));
    }
    bench.poll();
    assert_eq!(bench.take().len(), 40);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_busy_file_does_not_starve_the_others() {
    let mut bench = Bench::start(&["*.log"]);
    bench.write("busy.log", "x\n".repeat(10_000_000));
    bench.write("quiet.log", "one\n");
    bench.now += Duration::from_secs(1);
    let first = bench.follower.poll(bench.now);
    assert!(first.iter().any(|batch| batch.bytes == b"one\n"));
    assert!(first.iter().map(|batch| batch.bytes.len()).sum::<usize>() < 8 * 1024 * 1024);
}

#[test]
fn a_directory_that_cannot_be_read_says_nothing_about_its_files() {
    let mut bench = Bench::start(&["sub/a"]);
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/a", "one\n");
    bench.poll();
    bench.write("sub/a", "two\n");
    let folder = bench.path("sub");
    let allow = |mode| {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    };
    bound(|| {
        allow(0o000);
        assert!(fs::read_dir(&folder).is_err());
        bench.restart();
        bench.poll();
        assert_eq!(bench.lines, ["one"]);
        allow(0o755);
        bench.poll();
    });
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn writing_ends_the_wait_and_so_does_the_waker() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    while bench.follower.wait(Duration::ZERO) {}
    bench.write("a", "two\n");
    assert!(bench.follower.wait(Duration::from_secs(60)));
    // No second has passed: the report is enough.
    bench.read();
    assert_eq!(bench.take(), ["one", "two"]);
    while bench.follower.wait(Duration::ZERO) {}
    let waker = bench.follower.waker();
    let thread = std::thread::spawn(move || waker.wake());
    assert!(bench.follower.wait(Duration::from_secs(60)));
    thread.join().unwrap();
}

#[test]
fn a_file_to_be_read_from_its_end_that_could_not_be_read_at_first_was_read_whole() {
    for mode in [0o000, 0o644] {
        let mut bench = Bench::new(&["a"], ReadFrom::End);
        bench.write("a", "old\n");
        let path = bench.path("a");
        let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        bound(|| {
            allow(mode);
            bench.poll();
            let is_readable = mode != 0o000;
            assert_eq!(File::open(&path).is_ok(), is_readable, "{mode:o}");
            assert_eq!(!bench.known.is_empty(), is_readable, "{mode:o}");
            bench.restart();
            bench.poll();
            allow(0o644);
            bench.poll();
        });
        bench.write("a", "new\n");
        bench.rest();
        assert_eq!(bench.take(), ["new"], "{mode:o}");
    }
}

#[test]
fn each_log_of_a_directory_has_the_source_that_names_it() {
    let mut bench = Bench::start(&["dd"]);
    let like = |source, patterns: &[&str]| Watch {
        source,
        patterns: patterns.iter().map(|name| bench.path(name)).collect(),
        ..Watch::default()
    };
    bench.watches[0].like = vec![
        like(0, &["dd/x.log"]),
        like(1, &["dd/x-1.log", "dd/*/access.log"]),
        like(2, &["dd/deep"]),
    ];
    bench.follower.set_watches(bench.watches.clone());
    fs::create_dir_all(bench.path("dd/site")).unwrap();
    fs::create_dir_all(bench.path("dd/deep/est")).unwrap();
    let all = [
        ("dd/x.log", 0),
        ("dd/x.log.1", 0),
        ("dd/x-1.log", 1),
        ("dd/site/access.log", 1),
        ("dd/deep/est/a.log", 2),
        ("dd/other.log", 3),
    ];
    for (name, _) in all {
        bench.write(name, format!("{name}\n"));
    }
    bench.poll();
    for (name, source) in all {
        assert_eq!(bench.follower.source_of(&bench.path(name)), Some(source), "{name}");
    }
    let mut lines = bench.take();
    lines.sort();
    assert_eq!(lines.len(), all.len(), "{lines:?}");
}
