//! Reads old logs, including standard input, as one, merged by time.
//!
//! The merge orders lines by (running maximum of the time within the file, file order). The running maximum keeps a
//! file's own order, whatever its clock did; a line without a time stays with the previous line. A single file is not
//! merged, and no times are determined. If a block of one file ends before the next file begins, it passes as a whole:
//! only the times of its first lines and of its last one are determined.
//!
//! Files are opened when the merge reaches their first line. If more than [`MAX_OPEN`] overlap in time, the merge is
//! not exact: the later ones begin when another file ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::path::{Path, PathBuf};

use crate::engine::line::{Batch, Directives, MAX_LINE, Position, Seams, StreamId};
use crate::engine::time::Timestamp;
use crate::engine::zone::Reach;
use crate::source::SourceError;
pub use crate::source::old::STDIN;
use crate::source::old::{Next, OldFile};
use crate::source::resume::Known;
use crate::source::rotation::youth;

/// The most files open at a time, each with 256 KiB and its decoder's memory.
pub const MAX_OPEN: usize = 128;
/// How many lines are checked individually before a block is checked as a whole: if logs overlap, a turn has few lines.
const SOME_LINES: usize = 64;
/// How many lines are searched for a time before a file counts as having none.
const MAX_HEADER: usize = 64;

/// One log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Index of the source, passed on with each batch.
    pub source: usize,
    /// The file; `-` is standard input.
    pub path: PathBuf,
}

/// A file waiting for its turn.
#[derive(Debug)]
struct Waiting {
    input: Input,
    first: Option<Timestamp>,
    /// Standard input cannot be opened again.
    file: Option<OldFile>,
}

/// A file being read. Its key is the running maximum of its lines' times.
#[derive(Debug)]
struct Open {
    file: OldFile,
    input: Input,
    key: Option<Timestamp>,
    /// The key includes the next line, whose time need not be determined again, which costs as much as reading it.
    is_of_next: bool,
}

/// The key of the merge. Files without any time come first.
type Turn = (Option<Timestamp>, usize);

/// Old logs as one sequence of batches. A file with a fault ends at the fault; the others continue.
#[derive(Debug)]
pub struct Replay<F> {
    time_of: F,
    waiting: VecDeque<(usize, Waiting)>,
    /// Boxed: each turn takes one out and puts it back, and the tree would move its neighbours completely.
    open: BTreeMap<usize, Box<Open>>,
    turns: BinaryHeap<Reverse<Turn>>,
    faults: VecDeque<SourceError>,
    known: Known,
    /// The file from which the part before a stream's beginning is read, if several contain it: the stream's own file
    /// if it is among them, since both write the stream's position.
    starts: BTreeMap<StreamId, PathBuf>,
    /// Files that are already read to their end.
    over: BTreeSet<PathBuf>,
}

impl<F: Fn(&Input, &[u8], &Directives, Reach) -> Option<Timestamp>> Replay<F> {
    /// Prepares reading. `time_of` returns the time of a line of an input (without its line end), given the directives
    /// above it and how far its file has come.
    ///
    /// If there are several files, each is opened briefly to see when it begins.
    pub fn open(inputs: Vec<Input>, time_of: F) -> Self {
        Self::behind(Known::default(), inputs, time_of)
    }

    /// Prepares reading after what earlier runs read, given the positions that they stored, and for later runs to
    /// continue: if the last line of an unrotated file has no end, it is left to them.
    pub fn resume(inputs: Vec<Input>, known: Vec<Position>, time_of: F) -> Self {
        Self::behind(Known::new(known), inputs, time_of)
    }

    fn behind(known: Known, inputs: Vec<Input>, time_of: F) -> Self {
        let mut replay = Self {
            known,
            starts: BTreeMap::new(),
            over: BTreeSet::new(),
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
        // Without times, or with equal ones, the names decide, as for files that are followed.
        waiting.sort_by_cached_key(|one| {
            (one.first, youth(one.input.path.file_name().unwrap_or_default()))
        });
        replay.waiting = waiting.into_iter().enumerate().collect();
        replay
    }

    /// Returns the files waiting to be read, except those of which nothing is left. A single file is not examined for
    /// this.
    pub fn unread(&self) -> impl Iterator<Item = &Path> {
        let waiting = self.waiting.iter().map(|(_, waiting)| waiting.input.path.as_path());
        waiting.filter(|path| !self.over.contains(*path))
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
            Next::End => {
                if file.catches_up().is_none() {
                    self.over.insert(input.path.clone());
                }
                None
            }
            Next::Lines(n) => {
                let mut above = file.directives().clone();
                let mut lines = lines(file.unread().get(..n).unwrap_or_default());
                lines.by_ref().take(MAX_HEADER).find_map(|line| {
                    above.note(line);
                    self.time(&input, line, &above, None)
                })
            }
            Next::Long | Next::Nuls => {
                let line = file.unread().get(..MAX_LINE).unwrap_or_default();
                self.time(&input, line, file.directives(), None)
            }
        };
        let file = (input.path.as_os_str() == STDIN).then_some(file);
        Some(Waiting { input, first, file })
    }

    fn time(
        &self,
        input: &Input,
        line: &[u8],
        above: &Directives,
        newest: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (self.time_of)(input, line.strip_suffix(b"\r").unwrap_or(line), above, newest.into())
    }

    /// Opens the files whose turn it is.
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
                    let open = Open { file, input, key: first, is_of_next: false };
                    self.open.insert(order, Box::new(open));
                    self.turns.push(Reverse((first, order)));
                }
                Err(fault) => self.faults.push_back(fault),
            }
        }
    }

    /// Skips the part before the beginning of a stream, if it is read from another file.
    fn without_copied_start(&self, mut file: OldFile, path: &Path) -> OldFile {
        let of = file.catches_up().and_then(|(stream, _)| self.starts.get(&stream));
        if of.is_some_and(|of| of != path) { file.rest().unwrap_or(file) } else { file }
    }

    /// Passes on the lines of one file that precede all other files' next lines.
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
                    (open.file, open.is_of_next) = (rest, false);
                    None
                }
                None => return open.file.finish().transpose(),
            },
            Next::Long | Next::Nuls => {
                open.is_of_next = false;
                Some(open.file.take_odd())
            }
            Next::Lines(n) => {
                let n = until.map_or(n, |until| self.before(&mut open, order, n, until));
                Some(open.file.take(n))
            }
        };
        if until.is_some() && !open.is_of_next {
            open.key = open.key.max(self.next_time(&mut open));
            open.is_of_next = true;
        }
        self.turns.push(Reverse((open.key, order)));
        self.open.insert(order, open);
        batch.map(Ok)
    }

    /// Returns how many of the `n` bytes of whole lines precede `until`: at least one line. Only after several lines
    /// does it pay to check the last line of the block for all of them.
    fn before(&self, open: &mut Open, order: usize, n: usize, until: Turn) -> usize {
        let block = open.file.unread().get(..n).unwrap_or_default();
        let mut passed = 0;
        let mut above = open.file.directives().clone();
        let mut seams = Seams::default();
        let is_known = std::mem::take(&mut open.is_of_next);
        for (at, line) in lines(block).enumerate() {
            if at == SOME_LINES {
                let key = open.key.max(self.last_time(open, block));
                if (key, order) <= until {
                    open.key = key;
                    return n;
                }
            }
            above.note(line);
            let key = match at {
                0 if is_known => open.key,
                _ => open.key.max(self.time(&open.input, line, &above, open.key)),
            };
            let is_seam = seams.are_before(line);
            open.key = key;
            if is_seam && passed > 0 && (key, order) > until {
                open.is_of_next = true;
                break;
            }
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
        self.time(&open.input, block.get(last..).unwrap_or_default(), &above, open.key)
    }

    fn next_time(&self, open: &mut Open) -> Option<Timestamp> {
        match open.file.look() {
            Next::Lines(n) => {
                let line = lines(open.file.unread().get(..n).unwrap_or_default()).next();
                line.and_then(|line| self.time(&open.input, line, open.file.directives(), open.key))
            }
            Next::Long => {
                let line = open.file.unread().get(..MAX_LINE)?;
                self.time(&open.input, line, open.file.directives(), open.key)
            }
            Next::Nuls | Next::End => None,
        }
    }
}

impl<F: Fn(&Input, &[u8], &Directives, Reach) -> Option<Timestamp>> Iterator for Replay<F> {
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
    let mut rest = block;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests;
