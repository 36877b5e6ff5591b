//! Reads old logs as one: files, directories, patterns and standard input, merged by time.
//!
//! The merge takes lines by (running maximum of the time within the file, file order). The running
//! maximum keeps a file's own order, whatever its clock did; a line without a time goes with the line
//! before it. One file alone is not merged, and no time is asked for. Where a block of one file ends
//! before the next file begins, it passes whole: its first lines and its last one were asked for.
//!
//! Files are opened when the merge reaches their first line. More than [`MAX_OPEN`] that overlap in
//! time are not merged exactly: the later ones begin when a place is free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceError;
use super::discover::{self, Walk};
pub use super::old::STDIN;
use super::old::{Next, OldFile};
use super::resume::Known;
use super::rotation::{self, Seen};
use crate::engine::line::{Batch, Directives, MAX_LINE, Position, Seams, StreamId};
use crate::engine::time::Timestamp;
use crate::engine::zone::Reach;

/// Files open at a time, each with 256 KiB and what its decoder holds.
pub const MAX_OPEN: usize = 128;
/// Lines that are asked one by one whether they are next, before a block is asked as a whole: where logs overlap, a turn has few.
const SOME_LINES: usize = 64;
/// Lines that are asked for a time before a file counts as having none.
const MAX_HEADER: usize = 64;

/// One log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Index of the source: handed on with each batch.
    pub source: usize,
    /// The file; `-` is standard input.
    pub path: PathBuf,
}

/// Lists the logs that arguments name, each file once, and what could not be found.
///
/// A file is taken whatever its name, and so is what a pattern matches. Of a directory, and of those
/// in it, the names are taken that contain `.log` or `access` or look rotated or compressed (`.1`,
/// `-20260101`, `.gz`, ...); hidden ones and `README*` are not. `exclude` is never looked into.
#[must_use]
pub fn list(arguments: &[PathBuf], exclude: Option<&Path>) -> (Vec<PathBuf>, Vec<SourceError>) {
    let mut listing = Listing { exclude: exclude.map(real), ..Listing::default() };
    for argument in arguments {
        if argument.as_os_str() == STDIN {
            listing.paths.push(argument.clone());
            continue;
        }
        let mut walk = Walk::default();
        walk.over(argument);
        listing.faults.append(&mut walk.faults);
        if walk.paths.is_empty() {
            let cause = io::Error::new(io::ErrorKind::NotFound, "no file matches");
            listing.faults.push(access("looking for", argument, cause));
        }
        for path in walk.paths {
            listing.add(&path);
        }
    }
    (listing.paths, listing.faults)
}

#[derive(Default)]
struct Listing {
    paths: Vec<PathBuf>,
    seen: BTreeSet<rotation::Identity>,
    exclude: Option<PathBuf>,
    faults: Vec<SourceError>,
}

impl Listing {
    fn add(&mut self, path: &Path) {
        if self.exclude.as_ref().is_some_and(|folder| real(path).starts_with(folder)) {
            return;
        }
        match Seen::at(path) {
            Ok(seen) if path.is_dir() => {
                if self.seen.insert(seen.identity) {
                    self.add_folder(path);
                }
            }
            Ok(seen) => {
                if self.seen.insert(seen.identity) {
                    self.paths.push(path.to_owned());
                }
            }
            Err(cause) => self.faults.push(access("looking at", path, cause)),
        }
    }

    fn add_folder(&mut self, folder: &Path) {
        let names = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(mut names) => {
                names.sort();
                for name in names {
                    let path = folder.join(&name);
                    if !discover::is_hidden(&name) && (path.is_dir() || is_log(&name)) {
                        self.add(&path);
                    }
                }
            }
            Err(cause) => self.faults.push(access("listing", folder, cause)),
        }
    }
}

fn is_log(name: &OsStr) -> bool {
    let lower = name.to_string_lossy().to_lowercase();
    !lower.starts_with("readme")
        && (lower.contains(".log") || lower.contains("access") || rotation::base(name) != *name)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn access(action: &'static str, path: &Path, cause: io::Error) -> SourceError {
    SourceError::Access { action, path: path.to_owned(), cause }
}

/// Returns a file's first whole lines, decompressed: as many as its first 16 KiB hold, enough to guess its format.
///
/// # Errors
/// The file cannot be opened, or not decompressed at all. Standard input cannot be looked at twice:
/// it gives nothing.
pub fn sample(path: &Path) -> Result<Vec<u8>, SourceError> {
    if path.as_os_str() == STDIN {
        return Ok(Vec::new());
    }
    let mut file = OldFile::open(0, path)?;
    loop {
        match file.look() {
            Next::Lines(n) => return Ok(file.take(n).bytes),
            Next::Nuls => drop(file.take_odd()),
            Next::Long => return Ok(file.take_odd().bytes),
            Next::End => return file.finish().map(|_| Vec::new()),
        }
    }
}

/// A file that waits for its turn.
#[derive(Debug)]
struct Waiting {
    input: Input,
    first: Option<Timestamp>,
    /// Standard input cannot be opened again.
    file: Option<OldFile>,
}

/// A file that is being read. Its key is the running maximum of its lines' times.
#[derive(Debug)]
struct Open {
    file: OldFile,
    source: usize,
    key: Option<Timestamp>,
}

/// What is compared in the merge. Files without any time come first.
type Turn = (Option<Timestamp>, usize);

/// Old logs as one sequence of batches. A file with a fault ends with it; the others go on.
#[derive(Debug)]
pub struct Replay<F> {
    time_of: F,
    waiting: VecDeque<(usize, Waiting)>,
    open: BTreeMap<usize, Open>,
    turns: BinaryHeap<Reverse<Turn>>,
    faults: VecDeque<SourceError>,
    known: Known,
    /// Of which file that is read which stands before a stream's beginning, where several hold it: of its own, if that is
    /// among them, since both write the stream's position.
    starts: BTreeMap<StreamId, PathBuf>,
}

impl<F: Fn(usize, &[u8], &Directives, Reach) -> Option<Timestamp>> Replay<F> {
    /// Prepares reading. `time_of` says what time a line (without its line end) of a source has, under the
    /// directives above it, in a file that has come so far.
    ///
    /// With several files each is opened for a moment, to see when it begins.
    pub fn open(inputs: Vec<Input>, time_of: F) -> Self {
        Self::behind(Known::default(), inputs, time_of)
    }

    /// The same, behind what earlier runs read, by the positions that they stored, and for later ones to go on: the last
    /// line of a file that is not rotated is left to them if it has no end.
    pub fn resume(inputs: Vec<Input>, known: Vec<Position>, time_of: F) -> Self {
        Self::behind(Known::new(known), inputs, time_of)
    }

    fn behind(known: Known, inputs: Vec<Input>, time_of: F) -> Self {
        let mut replay = Self {
            known,
            starts: BTreeMap::new(),
            time_of,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            turns: BinaryHeap::new(),
            faults: VecDeque::new(),
        };
        let is_alone = inputs.len() == 1;
        let mut waiting: Vec<Waiting> = inputs
            .into_iter()
            .filter_map(|input| {
                if is_alone {
                    return Some(Waiting { input, first: None, file: None });
                }
                replay.look_into(input)
            })
            .collect();
        waiting.sort_by_key(|one| (one.first, Reverse(age(&one.input.path))));
        replay.waiting = waiting.into_iter().enumerate().collect();
        replay
    }

    fn look_into(&mut self, input: Input) -> Option<Waiting> {
        let mut file = match self.known.open(input.source, &input.path) {
            Ok(file) => file,
            Err(fault) => {
                self.faults.push_back(fault);
                return None;
            }
        };
        if let Some((stream, is_own)) = file.catches_up()
            && (is_own || !self.starts.contains_key(&stream))
        {
            self.starts.insert(stream, input.path.clone());
        }
        let first = match file.look() {
            Next::Lines(n) => {
                let mut above = file.directives().clone();
                let mut lines = lines(file.unread().get(..n).unwrap_or_default());
                lines.by_ref().take(MAX_HEADER).find_map(|line| {
                    above.note(line);
                    self.time(input.source, line, &above, None)
                })
            }
            _ => {
                let line = file.unread().get(..MAX_LINE).unwrap_or_default();
                self.time(input.source, line, file.directives(), None)
            }
        };
        let file = (input.path.as_os_str() == STDIN).then_some(file);
        Some(Waiting { input, first, file })
    }

    fn time(
        &self,
        source: usize,
        line: &[u8],
        above: &Directives,
        newest: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (self.time_of)(source, line.strip_suffix(b"\r").unwrap_or(line), above, newest.into())
    }

    /// Opens the files whose turn has come.
    fn admit(&mut self) {
        while self.open.len() < MAX_OPEN
            && let Some((order, next)) = self.waiting.front()
            && self.turns.peek().is_none_or(|Reverse(turn)| (next.first, *order) <= *turn)
            && let Some((order, next)) = self.waiting.pop_front()
        {
            let Waiting { input, first, file } = next;
            match file.map_or_else(|| self.known.open(input.source, &input.path), Ok) {
                Ok(file) => {
                    let file = self.without_copied_start(file, &input.path);
                    self.open.insert(order, Open { file, source: input.source, key: first });
                    self.turns.push(Reverse((first, order)));
                }
                Err(fault) => self.faults.push_back(fault),
            }
        }
    }

    /// Leaves out what stands before the beginning of a stream, if that is read of another file.
    fn without_copied_start(&self, mut file: OldFile, path: &Path) -> OldFile {
        let of = file.catches_up().and_then(|(stream, _)| self.starts.get(&stream));
        if of.is_some_and(|of| of != path) { file.rest().unwrap_or(file) } else { file }
    }

    /// Hands on the lines of one file that stand before all other files' next lines.
    fn take_turn(&mut self, order: usize) -> Option<Result<Batch, SourceError>> {
        let waiting = self.waiting.front().map(|(order, next)| (next.first, *order));
        let until = self.turns.peek().map(|Reverse(turn)| *turn);
        let until = match (until, waiting.filter(|_| self.open.len() < MAX_OPEN)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let mut open = self.open.remove(&order)?;
        let batch = match open.file.look() {
            Next::End => match open.file.rest() {
                Some(rest) => {
                    open.file = rest;
                    None
                }
                None => return open.file.finish().transpose(),
            },
            Next::Long | Next::Nuls => Some(open.file.take_odd()),
            Next::Lines(n) => {
                let n = until.map_or(n, |until| self.before(&mut open, order, n, until));
                Some(open.file.take(n))
            }
        };
        if until.is_some() {
            open.key = open.key.max(self.next_time(&mut open));
        }
        self.turns.push(Reverse((open.key, order)));
        self.open.insert(order, open);
        batch.map(Ok)
    }

    /// Returns how many bytes of the `n` that are whole lines stand before `until`: at least a line. Only once some of
    /// them do it is worth while to ask the last one of the block for all.
    fn before(&self, open: &mut Open, order: usize, n: usize, until: Turn) -> usize {
        let block = open.file.unread().get(..n).unwrap_or_default();
        let mut passed = 0;
        let mut above = open.file.directives().clone();
        let mut seams = Seams::default();
        for (at, line) in lines(block).enumerate() {
            if at == SOME_LINES {
                let key = open.key.max(self.last_time(open, block));
                if (key, order) <= until {
                    open.key = key;
                    return n;
                }
            }
            above.note(line);
            let key = open.key.max(self.time(open.source, line, &above, open.key));
            let is_seam = seams.are_before(line);
            if is_seam && passed > 0 && (key, order) > until {
                break;
            }
            open.key = key;
            passed += line.len();
        }
        passed
    }

    /// Returns the time of the last line of a block that is next in its file.
    fn last_time(&self, open: &Open, block: &[u8]) -> Option<Timestamp> {
        let inner = block.strip_suffix(b"\n").unwrap_or(block);
        let last = memchr::memrchr(b'\n', inner).map_or(0, |at| at + 1);
        let mut above = open.file.directives().clone();
        above.note_all(block);
        self.time(open.source, block.get(last..).unwrap_or_default(), &above, open.key)
    }

    fn next_time(&self, open: &mut Open) -> Option<Timestamp> {
        match open.file.look() {
            Next::Lines(n) => {
                let line = lines(open.file.unread().get(..n).unwrap_or_default()).next();
                line.and_then(|line| self.time(open.source, line, open.file.directives(), open.key))
            }
            Next::Long => {
                let line = open.file.unread().get(..MAX_LINE)?;
                self.time(open.source, line, open.file.directives(), open.key)
            }
            Next::Nuls | Next::End => None,
        }
    }
}

impl<F: Fn(usize, &[u8], &Directives, Reach) -> Option<Timestamp>> Iterator for Replay<F> {
    type Item = Result<Batch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.admit();
            if let Some(fault) = self.faults.pop_front() {
                return Some(Err(fault));
            }
            let Some(Reverse((_, order))) = self.turns.pop() else {
                if self.waiting.is_empty() {
                    return None;
                }
                continue;
            };
            if let Some(item) = self.take_turn(order) {
                return Some(item);
            }
        }
    }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|byte| *byte == b'\n')
}

/// Returns how often a file was rotated by number: `.3` is older than `.2`, `.2` than no number.
fn age(path: &Path) -> u32 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_number = |part: &str| (1..=4).contains(&part.len());
    name.rsplit('.')
        .take(2)
        .filter(|part| is_number(part))
        .find_map(|part| part.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::source::follow::{Follower, Options, ReadFrom, Watch};

    /// The lines of these tests begin with their time in seconds.
    fn time_of(_source: usize, line: &[u8], _: &Directives, _: Reach) -> Option<Timestamp> {
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
        fs::write(dir.path().join("expected.json"), "{}").unwrap();
        fs::write(dir.path().join("README.md"), "").unwrap();
        fs::write(dir.path().join("registry.csv"), "").unwrap();
        fs::write(dir.path().join(".access.log.swp"), "").unwrap();
        let (paths, faults) = list(&[dir.path().to_owned(), dir.path().join("*.log")], None);
        assert!(faults.is_empty());
        assert_eq!(paths.len(), 3);
        assert_eq!(read(&paths), ["1 a", "2 b", "3 c", "5 d", "5 e", "6 f", "6 g"]);
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
        // What `printf '1 a\n2 b\n' | xz --check=crc32` gives.
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
        assert_eq!(
            (lines[0].as_str(), lines[1].len(), lines[2].as_str()),
            ("1 a", MAX_LINE, "2 b")
        );
        let sum = |get: fn(&Batch) -> u64| batches.iter().map(get).sum::<u64>();
        assert_eq!(sum(|b| b.missing.nuls), 600_002);
        assert_eq!(sum(|b| b.missing.discarded), 700_000 - MAX_LINE as u64 + 1);
    }

    #[test]
    fn files_that_do_not_overlap_are_asked_for_few_times() {
        let dir = tempfile::tempdir().unwrap();
        let n_asked = Cell::new(0);
        let ask = |source: usize, line: &[u8], above: &Directives, reach: Reach| {
            n_asked.set(n_asked.get() + 1);
            time_of(source, line, above, reach)
        };
        let mut paths = Vec::new();
        for file in 0..3 {
            let text: String =
                (0..100_000).map(|n| format!("{} line\n", file * 100_000 + n)).collect();
            paths.push(dir.path().join(format!("{file}.log")));
            fs::write(&paths[file], text).unwrap();
        }
        assert_eq!(Replay::open(inputs(&paths[..1]), ask).count(), 6);
        assert_eq!(n_asked.get(), 0);
        let n_lines: usize =
            Replay::open(inputs(&paths), ask).map(|batch| batch.unwrap().lines().count()).sum();
        assert_eq!(n_lines, 300_000);
        // The first lines of each of 18 blocks, and their last ones.
        assert!(n_asked.get() < 20 * (SOME_LINES + 2), "{}", n_asked.get());
    }

    #[test]
    fn many_files_are_read_with_few_open() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..1000 {
            let text = format!("{} a\n{} b\n", 2 * n, 2 * n + 1);
            fs::write(dir.path().join(format!("{:04}.log", 999 - n)), text).unwrap();
        }
        let (paths, _) = list(&[dir.path().to_owned()], None);
        let mut replay = Replay::open(inputs(&paths), time_of);
        let mut last = None;
        let mut n_lines = 0;
        while let Some(batch) = replay.next() {
            assert!(replay.open.len() <= 3);
            for line in batch.unwrap().lines() {
                let time = time_of(0, &line.bytes, &Directives::default(), Reach::default());
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
        let mut follower =
            Follower::new(vec![watch], known.into_iter().collect(), Options::default());
        let lines = texts(&follower.poll(std::time::Duration::ZERO));
        // The line end that came later is a line of its own; nothing is read twice.
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
                let replay =
                    Replay::resume(inputs(std::slice::from_ref(&path)), positions, time_of);
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
}
