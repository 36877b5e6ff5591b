//! Old logs as one: in the order of time, however they are compressed, and after what was already read of them.

use std::cell::Cell;
use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::engine::line::ReadFrom;
use crate::source::follow::{Follower, Options, Watch};
use crate::source::listing::{list, sample};

/// The lines of these tests begin with their time in seconds.
fn time_of(_: &Input, line: &[u8], _: &Directives, _: Reach) -> Option<Timestamp> {
    let text = std::str::from_utf8(line).ok()?;
    text.split(' ').next()?.parse().ok().map(Timestamp::from_seconds)
}

fn inputs(paths: &[PathBuf]) -> Vec<Input> {
    paths.iter().map(|path| Input { source: 0, path: path.clone() }).collect()
}

fn read(paths: &[PathBuf]) -> Vec<String> {
    let batches: Vec<Batch> =
        Replay::open(inputs(paths), time_of).collect::<Result<_, _>>().unwrap();
    texts(&batches)
}

fn texts(batches: &[Batch]) -> Vec<String> {
    for batch in batches {
        let missing = batch.missing.discarded + batch.missing.nuls;
        assert_eq!(batch.position.offset - batch.from, batch.bytes.len() as u64 + missing);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    batches.iter().flat_map(|batch| batch.lines().map(|line| text(&line.bytes))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_rotated_set_comes_in_the_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("access.log"), "5 e\n6 f\n6 g").unwrap();
    fs::write(dir.path().join("access.log.1"), "3 c\n5 d\n").unwrap();
    fs::write(dir.path().join("access.log.2.gz"), gzip(b"1 a\n2 b\n")).unwrap();
    fs::write(dir.path().join("expected.yaml"), "{}").unwrap();
    fs::write(dir.path().join("README.md"), "").unwrap();
    fs::write(dir.path().join("registry.csv"), "").unwrap();
    fs::write(dir.path().join(".access.log.swp"), "").unwrap();
    let (paths, faults) = list(&[dir.path().to_owned(), dir.path().join("*.log")], None);
    assert!(faults.is_empty());
    assert_eq!(paths.len(), 3);
    assert_eq!(read(&paths), ["1 a", "2 b", "3 c", "5 d", "5 e", "6 f", "6 g"]);
}

#[test]
fn files_without_times_came_in_an_order_of_their_own() {
    for oldest_first in [
        ["a.log-2", "a.log-1", "a.log"],
        ["a.log.10000", "a.log.2.gz", "a.log.1"],
        ["a.log-20251231", "a.log-20260101", "a.log"],
        ["a-2025-12-31.log", "a-2026-01-01.log", "a.log"],
        ["a.log-20260101", "a.log.1", "a.log"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = oldest_first.map(|name| dir.path().join(name));
        for (path, name) in paths.iter().zip(oldest_first) {
            fs::write(path, format!("{name}\n")).unwrap();
        }
        for _ in &oldest_first {
            paths.rotate_left(1);
            assert_eq!(read(&paths), oldest_first, "{paths:?}");
        }
    }
}

#[test]
fn lines_of_files_that_overlap_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [dir.path().join("a.log"), dir.path().join("b.log")];
    fs::write(&paths[0], "#head\n1 a\n5 a\n4 a late\nno time\n9 a\n").unwrap();
    fs::write(&paths[1], "2 b\n5 b\n8 b\n").unwrap();
    let expected = ["#head", "1 a", "2 b", "5 a", "4 a late", "no time", "5 b", "8 b", "9 a"];
    assert_eq!(read(&paths), expected);
}

#[test]
fn a_line_in_parts_stays_together_where_files_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [dir.path().join("a.log"), dir.path().join("b.log")];
    let (part, end) = ("2026-03-02T08:00:02Z stdout P b", "2026-03-02T08:00:02Z stdout F c");
    fs::write(&paths[0], format!("1 a\n{part}\n9 between\n{end}\n9 a\n")).unwrap();
    fs::write(&paths[1], "2 b\n5 b\n").unwrap();
    let joined = "2026-03-02T08:00:02Z stdout F bc";
    assert_eq!(read(&paths), ["1 a", "9 between", joined, "2 b", "5 b", "9 a"]);
}

#[test]
fn compression_is_known_by_content_not_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..50_000).map(|n| format!("{n} line\n")).collect();
    let bytes = text.as_bytes();
    let joined = [gzip(&bytes[..100_000]), gzip(&bytes[100_000..])].concat();
    let packed = [bytes.to_vec(), joined, zstd::encode_all(bytes, 1).unwrap(), bzip2(bytes)];
    for (n, packed) in packed.into_iter().enumerate() {
        let path = dir.path().join(format!("{n}.log"));
        fs::write(&path, packed).unwrap();
        assert_eq!(read(std::slice::from_ref(&path)).join("\n") + "\n", text, "{n}");
        assert!(text.as_bytes().starts_with(&sample(&path).unwrap()));
    }
}

#[test]
fn xz_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    // The output of `printf '1 a\n2 b\n' | xz --check=crc32`.
    let packed = b"\xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x07\x31\x20\x61\x0a\x32\x20\x62\x0a\x00\xb9\xe7\x91\xbf\x00\x01\x1c\x08\x44\x60\x2a\xc8\x90\x42\x99\x0d\x01\x00\x00\x00\x00\x01\x59\x5a";
    fs::write(&path, packed).unwrap();
    assert_eq!(read(&[path]), ["1 a", "2 b"]);
}

#[test]
fn a_truncated_file_gives_its_whole_lines_and_one_fault() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..100_000).map(|n| format!("{n} line\n")).collect();
    let mut packed = gzip(text.as_bytes());
    packed.truncate(packed.len() / 2);
    let paths = [dir.path().join("a.gz"), dir.path().join("b.log")];
    fs::write(&paths[0], packed).unwrap();
    fs::write(&paths[1], "999999 other\n").unwrap();
    let items: Vec<_> = Replay::open(inputs(&paths), time_of).collect();
    let (batches, faults): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    let lines = texts(&batches.into_iter().map(Result::unwrap).collect::<Vec<_>>());
    assert!(lines.len() > 10_000);
    assert_eq!(lines.last().unwrap(), "999999 other");
    assert!(text.starts_with(&lines[..lines.len() - 1].join("\n")));
    let fault = faults[0].as_ref().unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(matches!(fault, SourceError::Damaged { offset, .. } if *offset > 100_000));
    assert!(fault.to_string().contains("a.gz"), "{fault}");
}

#[test]
fn over_long_lines_and_nuls_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let long = "x".repeat(700_000);
    fs::write(&path, format!("1 a\n{}{long}\n2 b\n\0\0", "\0".repeat(600_000))).unwrap();
    let batches: Vec<Batch> =
        Replay::open(inputs(&[path]), time_of).collect::<Result<_, _>>().unwrap();
    let lines = texts(&batches);
    assert_eq!((lines[0].as_str(), lines[1].len(), lines[2].as_str()), ("1 a", MAX_LINE, "2 b"));
    let sum = |get: fn(&Batch) -> u64| batches.iter().map(get).sum::<u64>();
    assert_eq!(sum(|b| b.missing.nuls), 600_002);
    assert_eq!(sum(|b| b.missing.discarded), 700_000 - MAX_LINE as u64 + 1);
}

/// Counts how many lines are asked for their times.
fn counted(
    n_asked: &Cell<usize>,
) -> impl Fn(&Input, &[u8], &Directives, Reach) -> Option<Timestamp> {
    move |input, line, above, reach| {
        n_asked.set(n_asked.get() + 1);
        time_of(input, line, above, reach)
    }
}

/// Writes three files, with a line for each of the numbers that are their times.
fn three<N: Iterator<Item = usize>>(folder: &Path, numbers: impl Fn(usize) -> N) -> Vec<PathBuf> {
    let file = |file: usize| {
        let path = folder.join(format!("{file}.log"));
        let text: String = numbers(file).map(|n| format!("{n} line\n")).collect();
        fs::write(&path, text).unwrap();
        path
    };
    (0..3).map(file).collect()
}

#[test]
fn files_that_do_not_overlap_are_asked_for_few_times() {
    let dir = tempfile::tempdir().unwrap();
    let n_asked = Cell::new(0);
    let paths = three(dir.path(), |file| (0..100_000).map(move |n| file * 100_000 + n));
    assert_eq!(Replay::open(inputs(&paths[..1]), counted(&n_asked)).count(), 6);
    assert_eq!(n_asked.get(), 0);
    let n_lines: usize = Replay::open(inputs(&paths), counted(&n_asked))
        .map(|batch| batch.unwrap().lines().count())
        .sum();
    assert_eq!(n_lines, 300_000);
    // The first lines of each of 18 blocks, and their last lines.
    assert!(n_asked.get() < 20 * (SOME_LINES + 2), "{}", n_asked.get());
}

#[test]
fn lines_of_files_that_overlap_were_asked_for_their_times_three_times_each() {
    let dir = tempfile::tempdir().unwrap();
    let n_asked = Cell::new(0);
    let paths = three(dir.path(), |file| (0..20_000).map(move |n| 3 * n + file));
    let batches: Vec<Batch> =
        Replay::open(inputs(&paths), counted(&n_asked)).collect::<Result<_, _>>().unwrap();
    let expected: Vec<String> = (0..60_000).map(|n| format!("{n} line")).collect();
    assert_eq!(texts(&batches), expected);
    // Each file's first line once more, when the file is examined, and the first line of each batch after it.
    assert!((60_000..60_020).contains(&n_asked.get()), "{}", n_asked.get());
}

#[test]
fn many_files_are_read_with_few_open() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..1000 {
        let text = format!("{} a\n{} b\n", 2 * n, 2 * n + 1);
        fs::write(dir.path().join(format!("{:04}.log", 999 - n)), text).unwrap();
    }
    let (paths, _) = list(&[dir.path().to_owned()], None);
    let input = Input { source: 0, path: PathBuf::new() };
    let mut replay = Replay::open(inputs(&paths), time_of);
    let mut last = None;
    let mut n_lines = 0;
    while let Some(batch) = replay.next() {
        assert!(replay.open.len() <= 3);
        for line in batch.unwrap().lines() {
            let time = time_of(&input, &line.bytes, &Directives::default(), Reach::default());
            assert!(time > last);
            (last, n_lines) = (time, n_lines + 1);
        }
    }
    assert_eq!(n_lines, 2000);
}

#[test]
fn what_is_missing_is_told_and_the_rest_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.log"), "1 a\n").unwrap();
    let gone = dir.path().join("gone.log");
    let (paths, faults) =
        list(&[gone.clone(), dir.path().join("*.txt"), dir.path().to_owned()], None);
    assert_eq!((paths.len(), faults.len()), (1, 2));
    let items: Vec<_> = Replay::open(inputs(&[paths[0].clone(), gone]), time_of).collect();
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 1);
}

#[test]
fn a_later_run_goes_on_behind_what_was_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    fs::write(&path, "3 c\n4 d").unwrap();
    fs::write(dir.path().join("access.log.1.gz"), gzip(b"1 a\n2 b\n")).unwrap();
    let (paths, _) = list(&[dir.path().to_owned()], None);
    let mut known = std::collections::BTreeMap::<_, Position>::new();
    for batch in Replay::open(inputs(&paths), time_of) {
        let batch = batch.unwrap();
        known.insert(batch.stream, batch.position);
    }
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\n5 e\n").unwrap();
    let watch =
        Watch { source: 0, patterns: vec![path], read_from: ReadFrom::End, ..Watch::default() };
    let mut follower = Follower::new(vec![watch], known.into_iter().collect(), Options::default());
    let lines = texts(&follower.poll(std::time::Duration::ZERO));
    // The later line end is a line of its own; nothing is read twice.
    assert_eq!(lines, ["", "5 e"]);
}

#[test]
fn what_stands_before_a_stream_is_read_once_wherever_a_run_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let text =
        |from: u32, to: u32| -> String { (from..to).map(|n| format!("{n} line\n")).collect() };
    fs::write(&path, text(0, 100_000)).unwrap();
    let mut known = BTreeMap::<StreamId, Position>::new();
    let (patterns, read_from) = (vec![path.clone()], ReadFrom::End);
    let watch = Watch { patterns, read_from, ..Watch::default() };
    let mut follower = Follower::new(vec![watch], Vec::new(), Options::default());
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut followed = follower.poll(std::time::Duration::ZERO);
    file.write_all(text(100_000, 100_100).as_bytes()).unwrap();
    followed.extend(follower.poll(std::time::Duration::from_secs(1)));
    assert_eq!(texts(&followed).len(), 100);
    known.extend(followed.into_iter().map(|batch| (batch.stream, batch.position)));
    file.write_all(text(100_100, 100_200).as_bytes()).unwrap();
    let all = [text(0, 100_000), text(100_100, 100_200)].concat();
    for n_first in 0..8 {
        let mut known = known.clone();
        let mut read = String::new();
        for n_batches in [n_first, usize::MAX, usize::MAX] {
            let positions = known.values().cloned().collect();
            let replay = Replay::resume(inputs(std::slice::from_ref(&path)), positions, time_of);
            for batch in replay.take(n_batches) {
                let batch = batch.unwrap();
                read.push_str(std::str::from_utf8(&batch.bytes).unwrap());
                let before = batch.position.committed_before(batch.from);
                assert_eq!(before, known[&batch.stream].committed());
                assert_eq!(batch.position.committed() - before, batch.bytes.len() as u64);
                known.insert(batch.stream, batch.position);
            }
        }
        assert!(read == all, "{n_first}");
        assert_eq!(known.len(), 1);
    }
}

proptest! {
    #[test]
    fn merged_lines_are_in_the_order_of_time(
        files in proptest::collection::vec(proptest::collection::vec(0..50_u32, 0..40), 1..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        let mut paths = Vec::new();
        for (n, mut times) in files.into_iter().enumerate() {
            times.sort_unstable();
            let lines: Vec<String> = times.iter().map(|time| format!("{time} {n}")).collect();
            let path = dir.path().join(format!("{n}.log"));
            fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            expected.extend(lines);
            paths.push(path);
        }
        let lines = read(&paths);
        let time = |line: &String| line.split(' ').next().unwrap().parse::<u32>().unwrap();
        prop_assert!(lines.is_sorted_by_key(time));
        let (mut lines, mut expected) = (lines, expected);
        lines.sort();
        expected.sort();
        prop_assert_eq!(lines, expected);
    }
}
