//! One followed file: reads whole lines after its offset, and notices when its contents are replaced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::above::directives_above;
use super::cut::{Cut, cut};
use super::lag::Mark;
use super::loss::written_of;
use super::marks::{self, Marks};
use super::rotation::{self, Evidence, Identity, Meaning, Seen, decide};
use crate::engine::line::{Batch, MAX_LINE, Missing, Position, StreamId};

/// The size of one read in bytes.
pub(super) const READ: usize = super::MAX_BATCH;
/// The bytes of an over-long line that are skipped in one step, so that other files get their turn.
const STRIDE: u64 = 16 * 1024 * 1024;

/// The state of a followed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Known from before the start; not searched for yet.
    Unseen,
    /// Under a name that is watched.
    Listed,
    /// Renamed to a name next to the watched one.
    Rotated,
    /// Without a name, but still open.
    Deleted,
    /// Nowhere, but its remains may be in a file that cannot be opened now.
    Sought,
    /// Nowhere; remembered in case it comes back.
    Gone,
}

/// The result of one step in a file.
#[derive(Debug)]
pub(super) enum Step {
    /// Lines, or skipped bytes.
    Batch(Box<Batch>),
    /// Nothing yet, but more can be read at once. The number of bytes examined.
    More(u64),
    /// Nothing more until the file changes.
    Idle,
    /// The bytes before the offset differ from those that were read.
    Truncated,
}

/// What to do with a last line without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Its end will come, so leave it.
    Keep,
    /// The file is no longer written to, so take it.
    Take,
}

/// An over-long line whose end has not been found.
#[derive(Debug)]
struct Long {
    /// The offset up to which there is no line end.
    scanned: u64,
    /// The end of what is not NUL before that offset.
    written: u64,
    marks: Marks,
}

/// Order of reading within a group: the log itself last, then by when the content began, then in the order of
/// admission, which is that of the names.
pub(super) type Rank = (bool, i64, u64);

/// One followed file.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) stream: StreamId,
    /// The source to which it belongs; `None` while no watch names it.
    pub(super) source: Option<usize>,
    pub(super) position: Position,
    /// The file's path with links resolved.
    pub(super) resolved: PathBuf,
    /// The file's path under a watched name, before any rotation; links resolved.
    pub(super) home: PathBuf,
    pub(super) place: Place,
    /// Files of one log share a group, in which lower ranks are read first.
    pub(super) group: u64,
    /// When its contents began, which determines its rank; ns since 1970.
    pub(super) began: i64,
    /// The sequence number of its admission; 0 before it was first seen.
    pub(super) turn: u64,
    /// The offset up to which files of higher rank wait for this one.
    pub(super) backlog: u64,
    pub(super) seen: Seen,
    /// The size in the position that was last passed on.
    pub(super) told: u64,
    pub(super) changed_at: Duration,
    /// It is named by a link.
    pub(super) is_link: bool,
    /// It has changed although it was at rest, and the change was not reported.
    pub(super) is_unheard: bool,
    /// False until its first bytes were compared with the other files of the group.
    pub(super) is_judged: bool,
    /// It is read from its end, which has not been found yet; until then it is not announced.
    pub(super) begins_at_end: bool,
    /// Reading failed; retried after the next sweep. Others do not wait for it.
    pub(super) is_paused: bool,
    /// Another file has taken its place, so it was rotated since the last sweep. Others wait.
    pub(super) is_moved: bool,
    /// It was logged that it cannot be read.
    pub(super) is_warned: bool,
    /// An earlier run gave it up, since its compressed contents were cut short or damaged.
    pub(super) was_given_up: bool,
    /// It was read to its end since the start.
    pub(super) is_met: bool,
    /// The mark from which it lags behind.
    pub(super) mark: Option<Mark>,
    pub(super) used: u64,
    pub(super) file: Option<File>,
    marks: Option<Marks>,
    long: Option<Long>,
    /// The file's size and time when it was read to its end.
    read_to_end: Option<(u64, i64)>,
    /// The same when its last line was taken.
    finished: Option<(u64, i64)>,
}

impl Tail {
    /// Starts at a position, before anything is read.
    pub(super) fn new(stream: StreamId, mut position: Position, resolved: PathBuf) -> Self {
        let was_given_up = rotation::is_compressed(&resolved) && position.directives.written < 0;
        if was_given_up {
            position.directives.written = !position.directives.written;
        }
        Self {
            stream,
            source: None,
            is_judged: position.offset > 0
                || (position.generation > 0 && !has_rotated_name(&resolved)),
            seen: Seen { size: position.size, ..Seen::default() },
            told: position.size,
            home: resolved.clone(),
            resolved,
            place: Place::Unseen,
            group: 0,
            began: 0,
            turn: 0,
            backlog: 0,
            changed_at: Duration::ZERO,
            is_link: false,
            is_unheard: false,
            begins_at_end: false,
            is_paused: false,
            is_moved: false,
            is_warned: false,
            was_given_up,
            is_met: false,
            mark: None,
            used: 0,
            file: None,
            marks: None,
            long: None,
            read_to_end: None,
            finished: None,
            position,
        }
    }

    pub(super) const fn identity(&self) -> Identity {
        Identity::of(&self.position)
    }

    /// Returns its place in the order of reading.
    pub(super) fn rank(&self) -> Rank {
        (self.place == Place::Listed && !self.has_rotated_name(), self.began, self.turn)
    }

    /// Returns whether its name is one that logs get when they are rotated.
    pub(super) fn has_rotated_name(&self) -> bool {
        has_rotated_name(&self.resolved)
    }

    /// Returns when it was last written to, as far as known, in ns since 1970; 0 if unknown. The position contains that
    /// time as of when the file was first seen, if nothing of it was read, else as of the last read.
    pub(super) fn written(&self) -> i64 {
        let known = match self.position.offset {
            0 => self.position.tail.cast_signed(),
            _ => self.position.directives.written,
        };
        self.seen.modified.max(known)
    }

    /// Records how the file looks now.
    pub(super) fn note(&mut self, seen: Seen, now: Duration) {
        if (self.seen.size, self.seen.modified) != (seen.size, seen.modified) {
            self.changed_at = now;
        }
        if seen.size < self.seen.size {
            // It may be cut: then what was seen of it is gone.
            self.position.size = self.known_end();
        }
        self.seen = seen;
    }

    /// Returns whether the file may contain unread bytes.
    pub(super) fn has_news(&self) -> bool {
        !matches!(self.place, Place::Sought | Place::Gone)
            && self.source.is_some()
            && self.read_to_end != Some((self.seen.size, self.seen.modified))
    }

    /// Returns whether files of higher rank must wait.
    pub(super) fn is_ahead(&self) -> bool {
        self.has_news() && !self.is_paused && self.position.offset < self.backlog
    }

    /// Returns whether the last line was taken, or there is none to wait for.
    pub(super) fn is_finished(&self) -> bool {
        self.finished == Some((self.seen.size, self.seen.modified))
    }

    /// Returns whether it has changed since its last line was taken.
    pub(super) fn has_revived(&self) -> bool {
        self.finished.is_some() && !self.is_finished()
    }

    pub(super) const fn set_finished(&mut self) {
        self.finished = Some((self.seen.size, self.seen.modified));
    }

    /// Records that there is nothing to read until the file changes.
    pub(super) const fn set_read(&mut self) {
        self.read_to_end = Some((self.seen.size, self.seen.modified));
    }

    /// Returns the markers, once they have been compared with the file.
    pub(super) const fn marks(&self) -> Option<&Marks> {
        self.marks.as_ref()
    }

    /// Continues at a position in another file with the same contents.
    pub(super) fn adopt(&mut self, position: Position) {
        self.is_judged = true;
        self.position = position;
        self.marks = None;
        self.long = None;
        self.read_to_end = None;
    }

    /// Begins the next life of the same file, at its start.
    pub(super) fn renew(&mut self) {
        let (identity, generation) = (self.identity(), self.position.generation + 1);
        let mut position = identity.start(&self.position.path, generation, self.seen.modified);
        // The writer continues as before, and the line that names its columns is among the removed contents.
        position.directives = std::mem::take(&mut self.position.directives);
        self.stream = identity.stream(generation);
        self.adopt(position);
        // The log may have been copied into it: `cp a.log a.log.1`.
        self.is_judged = !self.has_rotated_name();
        self.marks = Some(Marks::default());
    }

    /// Begins after the last whole line that the file contains now.
    pub(super) fn start_at_end(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut end = Seen::of(file)?.size;
        while end > 0 {
            let from = end.saturating_sub(READ as u64);
            let bytes = marks::read_at_most(file, from, super::as_length(end - from))?;
            if let Some(at) = memchr::memrchr(b'\n', &bytes) {
                end = from + at as u64 + 1;
                break;
            }
            end = from;
        }
        let marks = Marks::read(file, end)?;
        (self.position.offset, self.position.began) = (end, end);
        self.position.directives = directives_above(file, end)?;
        self.position.directives.written = self.seen.modified;
        marks.write_to(&mut self.position);
        self.marks = Some(marks);
        (self.is_judged, self.begins_at_end) = (true, false);
        Ok(())
    }

    /// Compares the open file with the position.
    pub(super) fn meaning(&mut self) -> io::Result<Meaning> {
        let Some(file) = &self.file else { return Ok(Meaning::Same) };
        let marks = Marks::read(file, self.position.offset)?;
        let size = Seen::of(file)?.size;
        let has_lost_all = self.position.offset == 0 && size < self.position.size;
        let meaning = decide(Evidence {
            same_identity: true,
            long_enough: size >= self.position.offset && !has_lost_all,
            same_marks: marks.agree(&self.position),
        });
        if meaning == Meaning::Same {
            self.marks = Some(marks);
        }
        Ok(meaning)
    }

    /// Advances by one step.
    pub(super) fn step(&mut self, scratch: &mut [u8], rest: Rest) -> io::Result<Step> {
        if self.long.is_some() {
            return self.pass_long(scratch, rest);
        }
        let (Some(file), Some(marks)) = (&self.file, &self.marks) else { return Ok(Step::Idle) };
        let known = marks.last();
        let n_known = known.len();
        let room = scratch.get_mut(..READ + n_known).unwrap_or_default();
        let n_read = marks::fill_at(file, self.position.offset - n_known as u64, room)?;
        let bytes = scratch.get(..n_read).unwrap_or_default();
        let Some(fresh) = bytes.strip_prefix(known) else { return Ok(Step::Truncated) };
        match cut(fresh) {
            Cut::Lines(n) => {
                let lines = fresh.get(..n).unwrap_or_default().to_vec();
                // Less than there is room for: all that the file has.
                let is_all = fresh.len() < READ;
                let end = is_all.then(|| self.position.offset + written_of(fresh));
                let end = end.unwrap_or(self.seen.size);
                Ok(Step::Batch(Box::new(self.hand_on(lines, end))))
            }
            Cut::Nuls(n) => self.pass_nuls(n as u64, scratch, rest),
            Cut::Long => {
                let (from, mut marks) = (self.position.offset, marks.clone());
                let first = fresh.get(..MAX_LINE).unwrap_or_default();
                marks.absorb(first);
                let (scanned, written) = (from + MAX_LINE as u64, from + written_of(first));
                self.long = Some(Long { scanned, written, marks });
                self.pass_long(scratch, rest)
            }
            Cut::Partial if rest == Rest::Take && !fresh.is_empty() => {
                let line = fresh.to_vec();
                Ok(Step::Batch(Box::new(self.hand_on(line, self.seen.size))))
            }
            Cut::Partial => {
                self.position.size = self.position.offset + written_of(fresh);
                self.set_read();
                Ok(Step::Idle)
            }
        }
    }

    /// Returns a batch of the next bytes; `end` is that of what is known to have been written.
    fn hand_on(&mut self, bytes: Vec<u8>, end: u64) -> Batch {
        let from = self.position.offset;
        let mut marks = self.marks.take().unwrap_or_default();
        marks.absorb(&bytes);
        self.position.offset += bytes.len() as u64;
        self.batch(from, bytes, Missing::default(), marks, end)
    }

    /// Skips NULs where a line should start; holes take one jump. A run at the end of the file is left alone: the
    /// writer may still fill it.
    fn pass_nuls(&mut self, n_nuls: u64, scratch: &mut [u8], rest: Rest) -> io::Result<Step> {
        let (Some(file), Some(marks)) = (&self.file, &self.marks) else { return Ok(Step::Idle) };
        let from = self.position.offset;
        let mut end = from + n_nuls;
        loop {
            end = skip_hole(file, end)?;
            let n_read = marks::fill_at(file, end, scratch)?;
            let bytes = scratch.get(..n_read).unwrap_or_default();
            let n_more = bytes.iter().take_while(|byte| **byte == 0).count();
            end += n_more as u64;
            if n_more < n_read {
                break;
            }
            if n_read == 0 && rest == Rest::Keep {
                self.position.size = from;
                self.set_read();
                return Ok(Step::Idle);
            }
            if n_read == 0 {
                break;
            }
        }
        let mut marks = marks.clone();
        marks.absorb_nuls(end - from);
        self.position.offset = end;
        let missing = Missing { nuls: end - from, ..Missing::default() };
        Ok(Step::Batch(Box::new(self.batch(from, Vec::new(), missing, marks, self.seen.size))))
    }

    /// Searches for the end of an over-long line. Nothing of the line is kept until its end is found; then its first
    /// bytes are read again.
    fn pass_long(&mut self, scratch: &mut [u8], rest: Rest) -> io::Result<Step> {
        let (Some(file), Some(mut long)) = (&self.file, self.long.take()) else {
            return Ok(Step::Idle);
        };
        let begun = long.scanned;
        loop {
            let known = long.marks.last();
            let n_read = marks::fill_at(file, long.scanned - known.len() as u64, scratch)?;
            let bytes = scratch.get(..n_read).unwrap_or_default();
            let Some(fresh) = bytes.strip_prefix(known) else { return Ok(Step::Truncated) };
            let end = memchr::memchr(b'\n', fresh).map(|at| at + 1);
            let passed = fresh.get(..end.unwrap_or(fresh.len())).unwrap_or_default();
            long.marks.absorb(passed);
            if passed.iter().any(|byte| *byte != 0) {
                long.written = long.scanned + written_of(passed);
            }
            long.scanned += passed.len() as u64;
            if end.is_some() || (passed.is_empty() && rest == Rest::Take) {
                return self.take_long(long).map(|batch| Step::Batch(Box::new(batch)));
            }
            if passed.is_empty() {
                self.position.size = long.written;
                // NULs at the end may be space in which the writer goes on: then all of it is examined again.
                if long.written == long.scanned {
                    self.long = Some(long);
                }
                self.set_read();
                return Ok(Step::Idle);
            }
            if passed.last() == Some(&0) {
                let data = skip_hole(file, long.scanned)?;
                long.marks.absorb_nuls(data - long.scanned);
                long.scanned = data;
            }
            if long.scanned - begun >= STRIDE {
                let n_bytes = long.scanned - begun;
                self.long = Some(long);
                return Ok(Step::More(n_bytes));
            }
        }
    }

    fn take_long(&mut self, long: Long) -> io::Result<Batch> {
        let from = self.position.offset;
        let bytes = match &self.file {
            Some(file) => marks::read_at_most(file, from, MAX_LINE)?,
            None => Vec::new(),
        };
        self.position.offset = long.scanned;
        let discarded = long.scanned - from - bytes.len() as u64;
        let missing = Missing { discarded, ..Missing::default() };
        Ok(self.batch(from, bytes, missing, long.marks, self.seen.size))
    }

    fn batch(
        &mut self,
        from: u64,
        bytes: Vec<u8>,
        missing: Missing,
        marks: Marks,
        end: u64,
    ) -> Batch {
        marks.write_to(&mut self.position);
        self.marks = Some(marks);
        self.position.size = end.max(self.position.offset);
        self.position.directives.written = self.seen.modified;
        let above = self.position.directives.clone();
        self.position.directives.note_all(&bytes);
        Batch { directives: above, ..self.tell(from, bytes, missing) }
    }

    /// Returns a batch without lines that contains the stream's position.
    pub(super) fn announce(&mut self) -> Batch {
        self.tell(self.position.offset, Vec::new(), Missing::default())
    }

    pub(super) fn tell(&mut self, from: u64, bytes: Vec<u8>, missing: Missing) -> Batch {
        self.told = self.position.size;
        let (stream, source) = (self.stream, self.source.unwrap_or_default());
        let directives = self.position.directives.clone();
        let position = self.position.clone();
        Batch { stream, source, from, bytes, directives, position, missing, ..Batch::default() }
    }
}

fn has_rotated_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| rotation::base(name) != name)
}

/// Returns the first offset from `offset` on at which there may be bytes other than NUL. That is `offset` itself on
/// file systems without holes. If the file ends in a hole, it is the file's end.
fn skip_hole(file: &File, offset: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(data.max(offset)),
        Err(Errno::NXIO) => Ok(Seen::of(file)?.size.max(offset)),
        Err(_) => Ok(offset),
    }
}
