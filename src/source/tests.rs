//! Faults of files, played with real ones: whatever happens, each line comes once.

mod looks;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::follow::{Follower, Options, Place, ReadFrom, Watch};
use crate::engine::line::{Batch, MAX_LINE, Missing, Position, StreamId};

/// A directory, a follower and what was committed of it.
struct Bench {
    dir: tempfile::TempDir,
    watches: Vec<Watch>,
    options: Options,
    follower: Follower,
    known: BTreeMap<StreamId, Position>,
    lines: Vec<String>,
    missing: Missing,
    /// What each stream's bytes came to.
    counted: BTreeMap<StreamId, u64>,
    now: Duration,
    /// The time that files are written at, so that it goes on visibly.
    written: u64,
}

impl Bench {
    fn new(patterns: &[&str], read_from: ReadFrom) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let patterns = patterns.iter().map(|name| dir.path().join(name)).collect();
        let watches = vec![Watch { source: 3, patterns, read_from, is_polled: false }];
        let options = Options { exclude: Some(dir.path().join("state")), ..Options::default() };
        let follower = Follower::new(watches.clone(), Vec::new(), options.clone());
        Self {
            dir,
            watches,
            options,
            follower,
            known: BTreeMap::new(),
            lines: Vec::new(),
            missing: Missing::default(),
            counted: BTreeMap::new(),
            now: Duration::ZERO,
            written: 0,
        }
    }

    fn start(patterns: &[&str]) -> Self {
        Self::new(patterns, ReadFrom::Start)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn touch(&mut self, path: &Path) {
        self.written += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + self.written);
        OpenOptions::new().append(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// Rotates and compresses the log while nobody looks and goes on with a line; then all is read, after a start too.
    fn compress_unseen(&mut self, line: &str) {
        self.rename("a", "a.1");
        self.gzip("a.1");
        self.write("a", line);
        self.rest();
        self.restart();
        self.rest();
    }

    /// Has a file be of so many thousandths after the one second.
    fn set_time(&self, name: &str, millis: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(2_000_000_000_000 + millis);
        let file = OpenOptions::new().append(true).open(self.path(name));
        file.unwrap().set_modified(time).unwrap();
    }

    fn write(&mut self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        file.write_all(text.as_ref()).unwrap();
        self.touch(&path);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copy(&mut self, from: &str, to: &str) {
        let bytes = fs::read(self.path(from)).unwrap();
        fs::write(self.path(to), "").unwrap();
        self.write(to, bytes);
    }

    fn truncate(&mut self, name: &str) {
        let path = self.path(name);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        self.touch(&path);
    }

    fn gzip(&mut self, name: &str) {
        let path = self.path(name);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let gz = self.path(&format!("{name}.gz"));
        fs::write(&gz, gzip(&fs::read(&path).unwrap())).unwrap();
        OpenOptions::new().append(true).open(gz).unwrap().set_modified(modified).unwrap();
        fs::remove_file(path).unwrap();
    }

    fn commit(&mut self, batch: Batch) {
        let Missing { discarded, gap, nuls } = batch.missing;
        let length = batch.bytes.len() as u64 + discarded + nuls;
        assert_eq!(batch.position.offset - batch.from, length, "{:?}", batch.position);
        assert!(batch.bytes.len() <= super::MAX_BATCH);
        assert_eq!(batch.source, 3);
        if let Some(known) = self.known.get(&batch.stream) {
            let is_taken_over = batch.bytes.is_empty() && known.offset == 0;
            assert!(known.offset == batch.from || is_taken_over, "{known:?} {:?}", batch.position);
        }
        let counted = self.counted.entry(batch.stream).or_default();
        *counted += length;
        assert_eq!(batch.position.committed(), *counted, "{:?}", batch.position);
        self.missing.discarded += discarded;
        self.missing.gap += gap;
        self.missing.nuls += nuls;
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        self.lines.extend(batch.lines().map(|line| text(&line.bytes)));
        self.known.insert(batch.stream, batch.position);
    }

    /// Lets a second pass, reads everything and commits it.
    fn poll(&mut self) {
        self.now += Duration::from_secs(1);
        self.read();
    }

    fn read(&mut self) {
        loop {
            let batches = self.follower.poll(self.now);
            if batches.is_empty() {
                return;
            }
            for batch in batches {
                self.commit(batch);
            }
        }
    }

    fn rest(&mut self) {
        self.poll();
        self.now += self.options.rotate_wait;
        self.poll();
        self.poll();
    }

    /// Ends without a word and starts again from what was committed.
    fn restart(&mut self) {
        let known = self.known.clone().into_iter().collect();
        self.follower = Follower::new(self.watches.clone(), known, self.options.clone());
    }

    /// Reads, commits so many batches and what belongs to them, ends without a word and starts again.
    fn crash(&mut self, n_committed: usize) {
        self.now += Duration::from_secs(1);
        let mut batches = self.follower.poll(self.now).into_iter().peekable();
        for n in 0.. {
            let belongs = n > 0 && batches.peek().is_some_and(|next| next.bytes.is_empty());
            if n >= n_committed && !belongs {
                break;
            }
            let Some(batch) = batches.next() else { break };
            self.commit(batch);
        }
        self.restart();
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
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
    // Not polled any more, it is heard of.
    bench.watches[0].is_polled = false;
    bench.follower.set_watches(bench.watches.clone());
    bench.poll();
    assert_eq!(bench.follower.wake.watched().len(), 1);
}

/// More than a few polls read.
fn flood() -> String {
    format!("{}\n", "x".repeat(99)).repeat(200_000)
}

#[test]
fn a_log_is_behind_once_bytes_stay_unread_and_not_while_a_start_catches_up() {
    let mut bench = Bench::start(&["a.log"]);
    // Not heard of, so that no look depends on when the kernel tells.
    bench.watches[0].is_polled = true;
    bench.restart();
    let lags = |bench: &mut Bench| {
        bench.now += Duration::from_secs(10);
        bench.follower.poll(bench.now);
        bench.follower.lags(bench.now).into_values().max().unwrap_or_default().as_secs()
    };
    // What is there at the start takes ten polls, a hundred seconds.
    bench.write("a.log", flood());
    for n in 0..9 {
        assert_eq!(lags(&mut bench), 0, "{n}");
    }
    lags(&mut bench);
    assert_eq!(lags(&mut bench), 0, "it is read to its end");
    // Of what comes then, the same is late.
    bench.write("a.log", flood());
    let late: Vec<u64> = (0..7).map(|_| lags(&mut bench)).collect();
    assert_eq!(late, [0, 10, 20, 30, 40, 50, 60]);
    for _ in 0..4 {
        lags(&mut bench);
    }
    assert_eq!(lags(&mut bench), 0);
    // A line without an end waits for it; one that is always there is none that was there before.
    bench.write("a.log", "no end");
    assert_eq!((0..9).map(|_| lags(&mut bench)).max(), Some(0));
    bench.write("a.log", "\n");
    for _ in 0..9 {
        bench.write("a.log", "one more\n");
        assert_eq!(lags(&mut bench), 0);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn fifty_renames_under_a_busy_writer_lose_nothing() {
    let mut bench = Bench::start(&["a"]);
    let mut expected = Vec::new();
    for round in 0..50 {
        for line in 0..3 {
            expected.push(format!("{round} {line}"));
            bench.write("a", format!("{round} {line}\n"));
        }
        if round % 3 != 2 {
            bench.poll();
        }
        bench.rename("a", &format!("a.{}", 100 - round));
        if round % 4 == 0 {
            expected.push(format!("{round} late"));
            bench.write(&format!("a.{}", 100 - round), format!("{round} late\n"));
        }
    }
    bench.write("a", "last\n");
    expected.push("last".into());
    bench.poll();
    assert_eq!(bench.lines, expected);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_renamed_while_down_is_read_to_its_end_before_the_new_one() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        bench.write("a", "one\n");
        bench.poll();
        bench.write("a", "two\n");
        bench.rename("a", "a.2");
        bench.write("a", "three\n");
        bench.rename("a", "a.1");
        bench.write("a", "four\n");
        bench.restart();
        bench.poll();
        assert_eq!(bench.take(), ["one", "two", "three", "four"], "{pattern}");
        bench.restart();
        bench.write("a.1", "late\n");
        bench.poll();
        assert_eq!(bench.take(), ["late"], "{pattern}");
    }
}

#[test]
fn a_file_that_came_and_went_after_its_predecessor_was_seen_rotated_is_read() {
    for has_restart in [false, true] {
        for names in [["a.3", "a.2", "a.1"], ["a-20260101", "a-20260102", "a-20260103"]] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", "one\n");
            bench.poll();
            bench.rename("a", names[0]);
            // A look while nothing stands under the watched name.
            bench.poll();
            bench.write(names[0], "late\n");
            bench.poll();
            for (name, line) in [(names[1], "two\n"), (names[2], "three\n")] {
                bench.write("a", line);
                bench.rename("a", name);
            }
            bench.write("a", "four\n");
            if has_restart {
                bench.restart();
            }
            bench.poll();
            let expected = ["one", "late", "two", "three", "four"];
            assert_eq!(bench.take(), expected, "{names:?} {has_restart}");
            bench.restart();
            bench.rest();
            assert!(bench.take().is_empty());
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn a_burst_of_rotations_that_leaves_no_file_under_the_watched_name_is_read_in_order() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "0\n");
    bench.poll();
    for round in 1..=12 {
        for n in (1..round).rev() {
            bench.rename(&format!("a.{n}"), &format!("a.{}", n + 1));
        }
        bench.rename("a", "a.1");
        if round == 1 {
            bench.poll();
        }
        if round < 12 {
            bench.write("a", format!("{round}\n"));
        }
    }
    bench.poll();
    let expected: Vec<String> = (0..12).map(|round| round.to_string()).collect();
    assert_eq!(bench.take(), expected);
}

#[test]
fn a_rotated_file_is_found_after_a_crash_that_left_only_its_younger_copies_known() {
    let mut bench = Bench::start(&["a.log"]);
    bench.options.max_open = 1;
    bench.restart();
    bench.write("a.log", "");
    bench.poll();
    let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
    for act in [
        Act::Rename,
        Act::CopyTruncate,
        Act::CopyTruncate,
        Act::Write(1),
        Act::Rename,
        Act::Crash(2),
    ] {
        writer.play(&act);
    }
    writer.write(1);
    writer.bench.rest();
    assert_eq!(writer.bench.take(), ["line 0", "line 1"]);
    assert_eq!(writer.bench.missing, Missing::default());
}

#[test]
fn files_rotated_before_the_first_start_stay_unread_when_the_log_rotates() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a.2", "oldest\n");
    bench.write("a.1", "old\n");
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a", "a.0");
    bench.poll();
    bench.write("a", "two\n");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_compressed_file_in_the_making_is_not_read_beside_its_original() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a", "a.1");
    bench.poll();
    let part = gzip(b"one\n");
    bench.write("a.1.gz", &part[..part.len() / 2]);
    bench.write("a", "two\n");
    bench.poll();
    fs::remove_file(bench.path("a.1.gz")).unwrap();
    bench.gzip("a.1");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_rotated_log_with_a_number_in_its_name_is_read_on_and_its_neighbour_left_alone() {
    for (log, other) in [("n-1.log", "n-2.log"), ("access_8080.log", "access_8081.log")] {
        let mut bench = Bench::start(&[log]);
        let rotated = format!("{log}.1");
        bench.write(log, "one\n");
        bench.poll();
        bench.rename(log, &rotated);
        bench.write(&rotated, "two\n");
        bench.write(other, "not ours\n");
        bench.poll();
        bench.restart();
        bench.write(&rotated, "three\n");
        bench.write(log, "four\n");
        bench.rename(&rotated, &format!("{log}.2"));
        bench.rename(log, &rotated);
        bench.write(log, "five\n");
        bench.poll();
        bench.write(other, "not ours\n");
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three", "four", "five"], "{log}");
    }
}

#[test]
fn a_file_compressed_while_down_is_read_on_from_its_offset_once() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write("a", "two\n");
    bench.rename("a", "a.2");
    bench.gzip("a.2");
    bench.write("a", "three\n");
    bench.rename("a", "a.1");
    bench.gzip("a.1");
    bench.write("a", "four\n");
    for _ in 0..3 {
        bench.restart();
        bench.poll();
    }
    assert_eq!(bench.take(), ["one", "two", "three", "four"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_that_was_compressed_before_anything_of_it_was_read_is_read_once() {
    // The second one is written to after it was seen.
    for late in ["", "late\n"] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.crash(1);
        assert!(bench.lines.is_empty() && bench.known.len() == 1, "{:?}", bench.known);
        bench.write("a", late);
        bench.rename("a", "a.2");
        bench.gzip("a.2");
        bench.write("a", "two\n");
        bench.rename("a", "a.1");
        bench.gzip("a.1");
        bench.write("a", "three\n");
        for _ in 0..6 {
            bench.crash(1);
        }
        bench.rest();
        let expected = ["one\n", late, "two\n", "three\n"].concat();
        assert_eq!(bench.take().concat(), expected.replace('\n', ""));
        assert_eq!(bench.missing, Missing::default());
    }
}

#[test]
fn files_that_were_compressed_unseen_are_read_once_whatever_was_committed_of_younger_ones() {
    for n_committed in 1..6 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.restart();
        for (line, name) in [("two\n", "a.9"), ("three\n", "a.8"), ("four\n", "a.7")] {
            bench.rename("a", name);
            bench.gzip(name);
            bench.write("a", line);
        }
        bench.rename("a", "a.6");
        bench.write("a", "five\n");
        bench.crash(n_committed);
        bench.gzip("a.6");
        bench.rename("a", "a.5");
        bench.gzip("a.5");
        bench.write("a", "six\n");
        for _ in 0..8 {
            bench.crash(n_committed);
        }
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three", "four", "five", "six"], "{n_committed}");
        assert_eq!(bench.missing, Missing::default());
    }
}

/// Names that one log was given, oldest first: shifted numbers, and dates.
const ROTATIONS: [[&str; 4]; 2] =
    [["a.4", "a.3", "a.2", "a.1"], ["a-20260301", "a-20260302", "a-20260303", "a-20260304"]];

#[test]
fn files_of_one_tick_of_the_clock_that_were_compressed_unseen_are_read_once() {
    for [before, names @ ..] in ROTATIONS {
        for n_committed in 1..6 {
            let mut bench = Bench::start(&["a"]);
            let write = |bench: &mut Bench, line: &str| {
                bench.written = 0;
                bench.write("a", line);
            };
            write(&mut bench, "zero\n");
            bench.rename("a", before);
            bench.gzip(before);
            write(&mut bench, "one\n");
            bench.poll();
            bench.restart();
            for (name, line) in names.into_iter().zip(["two\n", "three\n", "four\n"]) {
                bench.rename("a", name);
                bench.gzip(name);
                write(&mut bench, line);
            }
            for _ in 0..8 {
                bench.crash(n_committed);
            }
            bench.rest();
            let lines = bench.take();
            assert_eq!(lines, ["one", "two", "three", "four"], "{names:?} {n_committed}");
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn files_that_were_compressed_with_whole_seconds_of_their_time_are_read_once() {
    for is_read in [false, true] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.set_time("a", 700);
        if is_read {
            bench.poll();
        } else {
            bench.crash(1);
        }
        for (name, line, millis) in [("a.2", "two\n", 800), ("a.1", "three\n", 900)] {
            bench.rename("a", name);
            bench.gzip(name);
            bench.set_time(&format!("{name}.gz"), 0);
            bench.write("a", line);
            bench.set_time("a", millis);
        }
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{is_read}");
        assert_eq!(bench.missing, Missing::default(), "{is_read}");
    }
}

/// Shifts the names `a.3.gz` to `a.1.gz` by one before the look at a file of this number.
fn shift_before(n_looks: usize, dir: PathBuf) -> impl FnMut() + 'static {
    let mut n_left = n_looks;
    move || {
        if n_left == 0 {
            for n in (1..=3).rev() {
                let name = |n: usize| dir.join(format!("a.{n}.gz"));
                fs::rename(name(n), name(n + 1)).unwrap();
            }
        }
        n_left = n_left.wrapping_sub(1);
    }
}

#[test]
fn compressed_files_whose_names_are_shifted_while_they_are_looked_for_are_read_once() {
    for n_looks in 0..80 {
        for n_committed in [0, 1, 9] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", "one\n");
            bench.poll();
            for (line, name) in [("two\n", "a.3"), ("three\n", "a.2"), ("four\n", "a.1")] {
                bench.rename("a", name);
                bench.gzip(name);
                bench.write("a", line);
            }
            bench.restart();
            let dir = bench.dir.path().to_owned();
            meanwhile(shift_before(n_looks, dir), || bench.crash(n_committed));
            bench.poll();
            bench.restart();
            bench.rest();
            assert_eq!(bench.take(), ["one", "two", "three", "four"], "{n_looks} {n_committed}");
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn of_files_that_are_gone_the_oldest_are_forgotten_and_none_is_read_again() {
    let mut bench = Bench::start(&["a"]);
    bench.options.max_gone = 3;
    bench.restart();
    let mut n_forgotten = 0;
    for n in 0..12 {
        bench.write("a", format!("{n}\n"));
        bench.rest();
        // The packed ones stay; of those that were renamed only the packed form does.
        bench.rename("a", &format!("a.{}", 50 - n));
        bench.write("a", "");
        bench.gzip(&format!("a.{}", 50 - n));
        bench.rest();
        for stream in bench.follower.take_forgotten() {
            n_forgotten += 1;
            bench.known.remove(&stream);
            bench.counted.remove(&stream);
        }
        if n % 3 == 2 {
            bench.restart();
        }
    }
    bench.write("a", "12\n");
    bench.rest();
    let expected: Vec<String> = (0..13).map(|n| n.to_string()).collect();
    assert_eq!((&bench.lines, bench.missing), (&expected, Missing::default()));
    assert!(n_forgotten >= 8 && bench.known.len() <= 6, "{n_forgotten}, {:?}", bench.known);
}

#[test]
fn a_compressed_file_that_is_removed_after_it_was_read_is_no_gap() {
    // Nothing of the first one was read when it was compressed; or a line, of one and a half.
    for (first, more) in [("one\ntwo\n", ""), ("one\ntw", "o\n")] {
        for n_committed in 1..6 {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", first);
            bench.crash(n_committed);
            bench.write("a", more);
            bench.rename("a", "a.2");
            bench.gzip("a.2");
            bench.write("a", "three\n");
            bench.rename("a", "a.1");
            bench.gzip("a.1");
            bench.write("a", "four\n");
            for _ in 0..8 {
                bench.crash(n_committed);
            }
            for name in ["a.2.gz", "a.1.gz"] {
                fs::remove_file(bench.path(name)).unwrap();
                bench.restart();
                bench.rest();
            }
            assert_eq!(bench.take(), ["one", "two", "three", "four"], "{first} {n_committed}");
            assert_eq!(bench.missing, Missing::default(), "{first} {n_committed}");
        }
    }
}

#[test]
fn a_file_that_was_removed_unread_is_not_taken_for_another_that_was_compressed_unread() {
    // The second one is written to after it was seen.
    for late in ["", "late\n"] {
        let mut bench = Bench::start(&["a"]);
        let mut names = ["first", "second"];
        names.iter().for_each(|name| bench.write(name, ""));
        // What has the lower number is looked for first.
        names.sort_by_key(|name| fs::metadata(bench.path(name)).unwrap().ino());
        bench.rename(names[0], "a");
        bench.write("a", "longer\n");
        bench.crash(1);
        bench.rename("a", "a.1");
        bench.rename(names[1], "a");
        bench.write("a", "two\n");
        bench.crash(1);
        assert!(bench.lines.is_empty() && bench.known.len() == 2, "{:?}", bench.known);
        fs::remove_file(bench.path("a.1")).unwrap();
        bench.write("a", late);
        bench.compress_unseen("three\n");
        let expected = ["two\n", late, "three\n"].concat();
        assert_eq!(bench.take().concat(), expected.replace('\n', ""));
        assert_eq!(bench.missing.gap, 7, "the first file alone was lost");
    }
}

#[test]
fn a_file_that_was_cut_unread_and_then_compressed_is_read() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.crash(1);
    assert!(bench.lines.is_empty() && bench.known.len() == 1, "{:?}", bench.known);
    bench.truncate("a");
    bench.write("a", "longer than one\n");
    bench.compress_unseen("three\n");
    assert_eq!(bench.take(), ["longer than one", "three"]);
    assert_eq!(bench.missing.gap, 4, "what was cut");
}

#[test]
fn a_file_that_was_read_in_its_compressed_form_takes_no_other_file_s_away() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "zero\n");
    bench.poll();
    for (first, more) in [("one\n", "two\n"), ("three\n", "four\n")] {
        bench.rename("a", "a.0");
        fs::remove_file(bench.path("a.0")).unwrap();
        bench.poll();
        bench.write("a", first);
        // Known from now on, and nothing of it read.
        bench.crash(1);
        bench.write("a", more);
        bench.rename("a", "a.1");
        bench.gzip("a.1");
        bench.rename("a.1.gz", if first == "one\n" { "a.2.gz" } else { "a.1.gz" });
        bench.write("a", "");
        bench.rest();
        bench.restart();
    }
    bench.rest();
    let lines = bench.take();
    assert_eq!(lines, ["zero", "one", "two", "three", "four"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_rotated_file_deleted_before_it_was_read_is_one_gap() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntw");
    bench.poll();
    bench.restart();
    fs::remove_file(bench.path("a")).unwrap();
    bench.write("a", "three\n");
    for _ in 0..2 {
        bench.poll();
        bench.restart();
    }
    assert_eq!(bench.take(), ["one", "three"]);
    // What had been seen of the second line when the first one was committed.
    assert_eq!(bench.missing.gap, 2);
}

#[test]
fn an_unlinked_file_that_is_still_written_is_read_to_its_end() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    bench.poll();
    fs::remove_file(bench.path("a")).unwrap();
    writer.write_all(b"two\n").unwrap();
    bench.poll();
    writer.write_all(b"three").unwrap();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
    bench.rest();
    assert_eq!(bench.take(), ["three"]);
    assert!(bench.follower.streams().all(|stream| stream.place == Place::Gone));
}

#[test]
fn copytruncate_is_followed_and_its_copy_not_read_again() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        for round in 0..6 {
            bench.write("a", format!("{round} read\n"));
            bench.poll();
            bench.write("a", format!("{round} unread\n"));
            if round == 3 {
                bench.poll();
            }
            bench.copy("a", &format!("a.{}", 9 - round));
            if round % 2 == 0 {
                bench.poll();
            }
            bench.truncate("a");
            if round % 3 == 0 {
                bench.poll();
            }
            bench.write("a", format!("{round} new, and longer than before by far\n"));
            if round == 4 {
                bench.restart();
            }
            bench.poll();
            let expected = ["read", "unread", "new, and longer than before by far"];
            assert_eq!(bench.take(), expected.map(|text| format!("{round} {text}")), "{pattern}");
        }
        bench.restart();
        bench.rest();
        assert!(bench.take().is_empty());
        assert_eq!(bench.missing, Missing::default());
    }
}

#[test]
fn a_copy_in_the_making_is_not_taken_for_a_log() {
    let mut bench = Bench::start(&["a*"]);
    let text = "a line that is long enough to be told apart from others\n".repeat(50);
    bench.write("a", &text);
    bench.poll();
    let n_lines = bench.take().len();
    for length in [0, 10, 60, 1500] {
        fs::write(bench.path("a.1"), &text.as_bytes()[..length]).unwrap();
        bench.poll();
    }
    bench.write("a", "unread\n");
    bench.copy("a", "a.1");
    bench.poll();
    bench.truncate("a");
    bench.poll();
    assert_eq!((n_lines, bench.take()), (50, vec!["unread".to_owned()]));
}

#[test]
fn a_truncated_file_without_a_copy_is_one_gap_and_read_from_its_start() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntwo\nthr");
    bench.poll();
    bench.truncate("a");
    bench.write("a", "4\n");
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two", "4"]);
    assert_eq!(bench.missing.gap, 3);
    bench.restart();
    bench.poll();
    assert!(bench.take().is_empty());
    assert_eq!(bench.missing.gap, 3);
    let generations: Vec<_> = bench.known.values().map(|position| position.generation).collect();
    assert_eq!(generations.iter().max(), Some(&1));
}

#[test]
fn regrowth_past_the_offset_with_the_same_first_line_is_noticed() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "#head\nm1\nm2\n");
    bench.poll();
    bench.restart();
    bench.truncate("a");
    bench.write("a", "#head\nn1\nn2\nn3\nn4\n");
    bench.poll();
    assert_eq!(bench.take(), ["#head", "m1", "m2", "#head", "n1", "n2", "n3", "n4"]);
}

#[test]
fn an_inode_used_again_is_another_file() {
    let mut bench = Bench::start(&["a"]);
    for round in 0..20 {
        bench.write("a", format!("{round}\n"));
        bench.poll();
        if round % 2 == 0 {
            bench.restart();
        }
        fs::remove_file(bench.path("a")).unwrap();
    }
    let expected: Vec<String> = (0..20).map(|round| round.to_string()).collect();
    assert_eq!(bench.take(), expected);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_replaced_by_rename_is_read_to_its_end_first() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write("a", "two\n");
    bench.write("new", "three\n");
    bench.rename("new", "a");
    bench.poll();
    assert_eq!(bench.take(), ["one", "two", "three"]);
}

#[test]
fn both_targets_of_a_link_that_was_pointed_elsewhere_are_read() {
    let mut bench = Bench::start(&["link"]);
    fs::create_dir(bench.path("pods")).unwrap();
    bench.write("pods/0.log", "one\n");
    std::os::unix::fs::symlink(bench.path("pods/0.log"), bench.path("link")).unwrap();
    bench.poll();
    bench.write("pods/0.log", "two\n");
    bench.rename("pods/0.log", "pods/0.log.20260101-120000");
    bench.write("pods/0.log", "three\n");
    bench.restart();
    bench.poll();
    bench.write("pods/1.log", "five\n");
    bench.write("pods/0.log", "four\n");
    fs::remove_file(bench.path("link")).unwrap();
    std::os::unix::fs::symlink(bench.path("pods/1.log"), bench.path("link")).unwrap();
    bench.poll();
    let mut lines = bench.take();
    lines[3..].sort();
    assert_eq!(lines, ["one", "two", "three", "five", "four"]);
}

#[test]
fn two_names_of_one_file_count_once() {
    let mut bench = Bench::start(&["*.log"]);
    bench.write("a.log", "one\n");
    fs::hard_link(bench.path("a.log"), bench.path("b.log")).unwrap();
    bench.poll();
    bench.write("b.log", "two\n");
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.poll();
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn files_that_begin_alike_are_told_apart() {
    let mut bench = Bench::start(&["*"]);
    let head = "#Software: a server\n#Fields: date time c-ip\n".repeat(40);
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        bench.write(name, &head);
        bench.poll();
    }
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        bench.write(name, format!("{name}\n"));
    }
    bench.poll();
    bench.restart();
    bench.poll();
    let lines = bench.take();
    assert_eq!(lines.len(), 4 * 81);
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        assert_eq!(lines.iter().filter(|line| *line == name).count(), 1, "{name}");
    }
}

#[test]
fn a_line_in_the_making_is_read_once_it_is_whole() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\r\ntw");
    bench.poll();
    assert_eq!(bench.take(), ["one"]);
    bench.restart();
    bench.poll();
    bench.now += Duration::from_secs(100);
    bench.poll();
    bench.write("a", "o\r");
    bench.poll();
    assert!(bench.take().is_empty());
    bench.write("a", "\n");
    bench.poll();
    assert_eq!(bench.take(), ["two"]);
}

#[test]
fn a_last_line_without_an_end_is_taken_when_the_file_was_rotated_and_is_silent() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        bench.write("a", "one\ntwo");
        bench.poll();
        bench.rename("a", "a.1");
        bench.write("a", "three\nfour");
        bench.poll();
        assert_eq!(bench.take(), ["one", "three"]);
        bench.rest();
        assert_eq!(bench.take(), ["two"], "{pattern}");
        bench.restart();
        bench.rest();
        assert!(bench.take().is_empty());
    }
}

#[test]
fn an_over_long_line_is_cut_and_counted() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    for _ in 0..20 {
        bench.write("a", vec![b'x'; 1024 * 1024]);
        bench.poll();
    }
    assert_eq!(bench.take(), ["one"]);
    bench.restart();
    bench.poll();
    bench.write("a", "\ntwo\n");
    bench.poll();
    let lines = bench.take();
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, 3]);
    assert_eq!(bench.missing.discarded, 20 * 1024 * 1024 - MAX_LINE as u64 + 1);
}

#[test]
fn lines_about_the_limit_are_whole_or_cut_by_their_last_byte() {
    let mut bench = Bench::start(&["a"]);
    for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE, 0, 300 * 1024] {
        bench.write("a", [vec![b'x'; length], b"\n".to_vec()].concat());
    }
    bench.poll();
    let lengths: Vec<usize> = bench.take().iter().map(String::len).collect();
    assert_eq!(lengths, [MAX_LINE - 1, MAX_LINE, MAX_LINE, MAX_LINE, 0, MAX_LINE]);
    let cut = 1 + 1 + 2 * MAX_LINE + 1 + 300 * 1024 - MAX_LINE + 1;
    assert_eq!(bench.missing.discarded, cut as u64);
}

#[test]
fn leading_nuls_of_any_number_are_skipped_and_counted() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "before\n");
    bench.poll();
    let file = OpenOptions::new().write(true).open(bench.path("a")).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(b"one\n", 5_000_000_000).unwrap();
    bench.poll();
    file.write_all_at(b"two\n", 5_000_100_000).unwrap();
    bench.poll();
    file.set_len(5_000_200_000).unwrap();
    bench.poll();
    assert_eq!(bench.take(), ["before", "one", "two"]);
    assert_eq!(bench.missing.nuls, 5_000_000_000 + 100_000 - 4);
    file.write_all_at(b"three\n", 5_000_100_004).unwrap();
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["three"]);
}

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
    use std::os::unix::fs::PermissionsExt;
    let mut bench = Bench::start(&["sub/a"]);
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/a", "one\n");
    bench.poll();
    let folder = bench.path("sub");
    let allow = |mode| {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    };
    bench.write("sub/a", "two\n");
    allow(0o000);
    let is_root = fs::read_dir(bench.path("sub")).is_ok();
    allow(if is_root { 0o755 } else { 0o000 });
    bench.restart();
    bench.poll();
    allow(0o755);
    bench.poll();
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
    // No second has passed: what was heard is enough.
    bench.read();
    assert_eq!(bench.take(), ["one", "two"]);
    while bench.follower.wait(Duration::ZERO) {}
    let waker = bench.follower.waker();
    let thread = std::thread::spawn(move || waker.wake());
    assert!(bench.follower.wait(Duration::from_secs(60)));
    thread.join().unwrap();
}

#[derive(Clone, Debug)]
enum Act {
    Write(u8),
    Half,
    Poll,
    Rest,
    Restart,
    Crash(u8),
    Rename,
    CopyTruncate,
    Gzip,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..40_u8).prop_map(Act::Write),
        2 => Just(Act::Half),
        4 => Just(Act::Poll),
        1 => Just(Act::Rest),
        1 => Just(Act::Restart),
        2 => (0..4_u8).prop_map(Act::Crash),
        2 => Just(Act::Rename),
        2 => Just(Act::CopyTruncate),
        1 => Just(Act::Gzip),
    ]
}

/// A writer of numbered lines and its logrotate.
struct Writer {
    bench: Bench,
    n_lines: u32,
    is_half: bool,
    n_rotated: u32,
}

impl Writer {
    fn write(&mut self, n_lines: u8) {
        let mut text = String::new();
        for _ in 0..n_lines {
            if !std::mem::take(&mut self.is_half) {
                text.push_str("line ");
            }
            text.push_str(&format!("{}\n", self.n_lines));
            self.n_lines += 1;
        }
        self.bench.write("a.log", text);
    }

    fn half(&mut self) {
        if !std::mem::replace(&mut self.is_half, true) {
            self.bench.write("a.log", "line ");
        }
    }

    fn rotated(&mut self) -> String {
        if self.is_half {
            self.write(1);
        }
        self.n_rotated += 1;
        format!("a.log.{}", self.n_rotated)
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Write(n_lines) => self.write(*n_lines),
            Act::Half => self.half(),
            Act::Poll => self.bench.poll(),
            Act::Rest => self.bench.rest(),
            Act::Restart => self.bench.restart(),
            Act::Crash(n_committed) => self.bench.crash(usize::from(*n_committed)),
            Act::Rename => {
                let to = self.rotated();
                self.bench.rename("a.log", &to);
                self.bench.write("a.log", "");
            }
            Act::CopyTruncate => {
                let to = self.rotated();
                self.bench.copy("a.log", &to);
                self.bench.truncate("a.log");
            }
            Act::Gzip => {
                let name = format!("a.log.{}", self.n_rotated);
                if self.bench.path(&name).exists() {
                    // Compressed only once the program had a look at it, as with delaycompress.
                    self.bench.poll();
                    self.bench.gzip(&name);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn each_line_comes_once_whatever_happens(
        acts in proptest::collection::vec(act(), 1..40),
        is_glob in any::<bool>(),
        max_open in 1..4_usize,
    ) {
        let mut bench = Bench::start(&[if is_glob { "a.log*" } else { "a.log" }]);
        bench.options.max_open = max_open;
        bench.restart();
        bench.write("a.log", "");
        bench.poll();
        let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
        for act in &acts {
            writer.play(act);
        }
        writer.write(1);
        writer.bench.rest();
        let mut lines = writer.bench.take();
        lines.sort();
        let mut expected: Vec<String> = (0..writer.n_lines).map(|n| format!("line {n}")).collect();
        expected.sort();
        prop_assert_eq!(lines, expected);
        prop_assert_eq!(writer.bench.missing, Missing::default());
    }
}

#[test]
fn reading_everything_leaves_no_lag() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntw");
    bench.poll();
    let streams: Vec<_> = bench.follower.streams().collect();
    assert_eq!(streams.len(), 1);
    assert_eq!((streams[0].offset, streams[0].size, streams[0].lag), (4, 6, 2));
    assert_eq!(streams[0].path, bench.path("a"));
    let file = File::open(bench.path("a")).unwrap();
    let marks = super::marks::Marks::read(&file, 4).unwrap();
    assert!(marks.agree(&bench.known[&streams[0].stream]));
}

/// What a log and its reader go through when rotations come at any moment.
#[derive(Clone, Debug)]
enum Beat {
    Write(u8),
    /// Goes on with the rotation: so many renames, of as many files as there are.
    Rename(u8),
    /// Polls while the log goes on: one step of it before each of these looks at a file.
    Poll(Vec<(u8, Step)>),
    /// So many batches of such a poll are committed; then the program is killed.
    Crash(u8, Vec<(u8, Step)>),
    /// Copies the log and cuts it.
    Cut,
}

/// What happens to the log between two looks.
#[derive(Clone, Debug)]
enum Step {
    Write,
    Rename(u8),
    Cut,
}

fn beat() -> impl Strategy<Value = Beat> {
    let step = prop_oneof![
        2 => Just(Step::Write),
        3 => (1..12_u8).prop_map(Step::Rename),
    ];
    let steps = proptest::collection::vec((0..12_u8, step), 0..8);
    prop_oneof![
        4 => (1..4_u8).prop_map(Beat::Write),
        5 => (1..12_u8).prop_map(Beat::Rename),
        2 => steps.clone().prop_map(Beat::Poll),
        3 => ((0..6_u8), steps).prop_map(|(n, steps)| Beat::Crash(n, steps)),
    ]
}

type Meanwhile = Box<dyn FnMut()>;

thread_local! {
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    static TICK: Cell<i64> = const { Cell::new(1) };
}

/// Returns a time as a clock shows it that goes on in ticks.
pub(super) fn tick_of(time: i64) -> i64 {
    time - time % TICK.get()
}

/// Lets the world go on, before each look at a file.
pub(super) fn pass() {
    // Taken out while it runs.
    let step = MEANWHILE.with_borrow_mut(Option::take);
    if let Some(mut step) = step {
        step();
        MEANWHILE.set(Some(step));
    }
}

/// Does something while something else happens before each of its looks at files.
pub(super) fn meanwhile<T>(step: impl FnMut() + 'static, act: impl FnOnce() -> T) -> T {
    MEANWHILE.set(Some(Box::new(step)));
    let done = act();
    MEANWHILE.set(None);
    done
}

/// Does something while the steps of a log happen between its looks at files.
fn amid<T>(log: &Rc<RefCell<Shifted>>, steps: Vec<(u8, Step)>, act: impl FnOnce() -> T) -> T {
    let mut steps = steps.into_iter();
    let (log, mut next) = (Rc::clone(log), steps.next());
    let step = move || match &mut next {
        Some((0, step)) => {
            match step {
                Step::Write => log.borrow_mut().write(1),
                Step::Rename(n_renames) => log.borrow_mut().rotate(usize::from(*n_renames)),
                Step::Cut => log.borrow_mut().cut(),
            }
            next = steps.next();
        }
        Some((n_looks, _)) => *n_looks -= 1,
        None => {}
    };
    meanwhile(step, act)
}

/// A log that is rotated as logrotate does it, one rename after the other: the youngest is `a.1`.
/// Files get the times that the system gives them, so that many share one tick of its clock.
struct Shifted {
    dir: PathBuf,
    n_rotated: usize,
    /// Renames of the rotation under way that are still to be done.
    pending: Vec<usize>,
    written: Vec<String>,
    /// Its files get times of their own instead.
    is_timed: bool,
    n_touched: u64,
}

impl Shifted {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            n_rotated: 0,
            pending: Vec::new(),
            written: Vec::new(),
            is_timed: false,
            n_touched: 0,
        }
    }

    /// The same, but each change is later than the one before by the clock.
    fn timed(dir: &Path) -> Self {
        Self { is_timed: true, ..Self::new(dir) }
    }

    fn name(&self, n: usize) -> PathBuf {
        self.dir.join(if n == 0 { "a".to_owned() } else { format!("a.{n}") })
    }

    fn write(&mut self, n_lines: usize) {
        self.rename(usize::MAX);
        let mut text = String::new();
        for _ in 0..n_lines {
            let line = format!("{:06}", self.written.len());
            text.push_str(&line);
            text.push('\n');
            self.written.push(line);
        }
        let mut file = OpenOptions::new().append(true).create(true).open(self.name(0)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(0);
    }

    /// Goes on with a rotation, at most so many renames.
    fn rename(&mut self, n_renames: usize) {
        for _ in 0..n_renames {
            let Some(n) = self.pending.pop() else { return };
            fs::rename(self.name(n), self.name(n + 1)).unwrap();
        }
    }

    /// Rotates as `copytruncate` does it, between two looks.
    fn cut(&mut self) {
        self.rename(usize::MAX);
        if !self.name(0).exists() {
            return;
        }
        for n in (1..=self.n_rotated).rev() {
            fs::rename(self.name(n), self.name(n + 1)).unwrap();
        }
        self.n_rotated += 1;
        fs::copy(self.name(0), self.name(1)).unwrap();
        self.touch(1);
        File::options().write(true).open(self.name(0)).unwrap().set_len(0).unwrap();
        self.touch(0);
    }

    fn touch(&mut self, n: usize) {
        if self.is_timed {
            self.n_touched += 1;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + self.n_touched);
            File::options().append(true).open(self.name(n)).unwrap().set_modified(time).unwrap();
        }
    }

    fn rotate(&mut self, n_renames: usize) {
        if self.pending.is_empty() && self.name(0).exists() {
            self.pending = (0..=self.n_rotated).collect();
            self.n_rotated += 1;
        }
        self.rename(n_renames);
    }
}

/// A log that is copied and cut at any moment.
fn beat_with_cuts() -> impl Strategy<Value = Beat> {
    let step = prop_oneof![2 => Just(Step::Write), 2 => Just(Step::Cut)];
    let steps = proptest::collection::vec((0..12_u8, step), 0..8);
    prop_oneof![
        4 => (1..4_u8).prop_map(Beat::Write),
        3 => Just(Beat::Cut),
        2 => steps.clone().prop_map(Beat::Poll),
        3 => ((0..6_u8), steps).prop_map(|(n, steps)| Beat::Crash(n, steps)),
    ]
}

fn rotated_at_any_moment(
    pattern: &str,
    new: fn(&Path) -> Shifted,
    beats: &[Beat],
) -> Result<(), TestCaseError> {
    let mut bench = Bench::start(&[pattern]);
    let log = Rc::new(RefCell::new(new(bench.dir.path())));
    log.borrow_mut().write(1);
    bench.poll();
    for beat in beats {
        match beat {
            Beat::Write(n_lines) => log.borrow_mut().write(usize::from(*n_lines)),
            Beat::Rename(n_renames) => log.borrow_mut().rotate(usize::from(*n_renames)),
            Beat::Cut => log.borrow_mut().cut(),
            Beat::Poll(steps) => amid(&log, steps.clone(), || bench.poll()),
            Beat::Crash(n_committed, steps) => {
                amid(&log, steps.clone(), || bench.crash(usize::from(*n_committed)));
            }
        }
    }
    log.borrow_mut().write(1);
    bench.poll();
    bench.poll();
    if log.borrow().is_timed {
        // Where looks come amid a cut, the copy may be known only after the log.
        bench.lines.sort();
    }
    prop_assert_eq!(&bench.lines, &log.borrow().written);
    prop_assert_eq!(bench.missing, Missing::default());
    Ok(())
}

/// The clock of the file system: exact, as most are, or as coarse as the oldest.
fn tick() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(4_000_000), Just(1_000_000_000)]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5000, ..ProptestConfig::default() })]
    #[test]
    fn rotations_at_any_moment_and_crashes_keep_the_order(
        beats in proptest::collection::vec(beat(), 1..40),
        tick in tick(),
    ) {
        TICK.set(tick);
        rotated_at_any_moment("a", Shifted::new, &beats)?;
    }

    #[test]
    fn copies_and_cuts_at_any_moment_and_crashes_lose_nothing(
        beats in proptest::collection::vec(beat_with_cuts(), 1..40),
    ) {
        rotated_at_any_moment("a", Shifted::timed, &beats)?;
    }

    #[test]
    fn rotations_of_files_that_a_pattern_names_keep_the_order(
        beats in proptest::collection::vec(beat(), 1..40),
        tick in tick(),
    ) {
        TICK.set(tick);
        rotated_at_any_moment("a*", Shifted::new, &beats)?;
    }
}

#[test]
fn a_log_that_is_copied_and_cut_before_its_first_bytes_are_read_is_read_whole() {
    // It happens before the first look, before the second one, and so on.
    for n_looks in 0.. {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.copy("a", "a.1");
        bench.truncate("a");
        bench.write("a", "two\n");
        bench.restart();
        let [log, first, second] = ["a", "a.1", "a.2"].map(|name| bench.path(name));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&first, &second).unwrap();
                let mut time = fs::metadata(&log).unwrap().modified().unwrap();
                let mut next = || {
                    time += Duration::from_secs(1);
                    time
                };
                fs::write(&first, fs::read(&log).unwrap()).unwrap();
                File::options().append(true).open(&first).unwrap().set_modified(next()).unwrap();
                fs::write(&log, "three\n").unwrap();
                File::options().append(true).open(&log).unwrap().set_modified(next()).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        if !bench.path("a.2").exists() {
            assert!(n_looks > 5, "there are some looks");
            return;
        }
        bench.written += 2;
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
        assert_eq!(bench.missing, Missing::default(), "{n_looks}");
    }
}

#[test]
fn copies_whose_names_are_shifted_while_the_log_begins_anew_are_all_read() {
    // Names are looked at in their order: the tenth before the ninth.
    for n_looks in 0..40 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        for (copy, next) in [("a.10", "two\n"), ("a.9", "three\n")] {
            bench.copy("a", copy);
            bench.truncate("a");
            bench.write("a", next);
        }
        bench.restart();
        let [ninth, tenth, last] = ["a.9", "a.10", "a.11"].map(|name| bench.path(name));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&tenth, &last).unwrap();
                fs::rename(&ninth, &tenth).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
        assert_eq!(bench.missing, Missing::default(), "{n_looks}");
    }
}

#[test]
fn a_file_that_is_renamed_before_it_is_opened_is_not_overtaken() {
    // The rename comes before the first look, before the second one, and so on.
    for n_looks in 0..40 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.write("a", "two\n");
        bench.rename("a", "a.1");
        bench.write("a", "three\n");
        bench.restart();
        let (from, to) = (bench.path("a.1"), bench.path("a.2"));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&from, &to).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        bench.poll();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
    }
}

#[test]
fn what_follows_a_file_that_was_rotated_unread_is_no_copy_of_it() {
    let mut bench = Bench::start(&["a"]);
    let mut log = Shifted::new(bench.dir.path());
    log.write(1);
    bench.poll();
    log.rotate(usize::MAX);
    log.write(1);
    // Seen, but not read.
    bench.crash(0);
    bench.crash(2);
    log.write(1);
    for _ in 0..3 {
        log.rotate(usize::MAX);
        log.write(1);
    }
    bench.poll();
    assert_eq!(bench.lines, log.written);
}

#[test]
fn a_late_write_to_a_rotated_file_hides_nothing_that_came_after_it() {
    for names in [["a.3", "a.2", "a.1"], ["a-20260101", "a-20260102", "a-20260103"]] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        for (name, line) in names.iter().zip(["two\n", "three\n", "four\n"]) {
            bench.rename("a", name);
            bench.write("a", line);
        }
        bench.write(names[0], "late\n");
        bench.restart();
        bench.poll();
        assert_eq!(bench.take(), ["one", "late", "two", "three", "four"], "{names:?}");
    }
}

#[test]
fn copies_made_before_the_first_start_stay_unread_when_the_log_is_renamed() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "oldest\n");
    bench.copy("a", "a.1");
    bench.truncate("a");
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a.1", "a.2");
    bench.rename("a", "a.1");
    bench.write("a", "two\n");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_file_deleted_before_its_first_line_was_read_is_read_beside_its_successor() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "");
    bench.poll();
    let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    // Read to its end, so that it is open.
    writer.write_all(b"o").unwrap();
    bench.poll();
    fs::remove_file(bench.path("a")).unwrap();
    writer.write_all(b"ne\n").unwrap();
    bench.write("a", "two\n");
    bench.rename("a", "a.1");
    bench.write("a", "three\n");
    bench.rest();
    assert_eq!(bench.take(), ["one", "two", "three"]);
}

#[test]
fn a_log_that_was_copied_and_then_renamed_is_found_after_crashes_that_left_its_copies_known() {
    let mut bench = Bench::start(&["a.log"]);
    bench.write("a.log", "");
    bench.poll();
    let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
    for act in [
        Act::Rename,
        Act::CopyTruncate,
        Act::CopyTruncate,
        Act::Write(1),
        Act::Crash(1),
        Act::Crash(1),
        Act::Rename,
    ] {
        writer.play(&act);
    }
    writer.write(1);
    writer.bench.rest();
    assert_eq!(writer.bench.take(), ["line 0", "line 1"]);
}
