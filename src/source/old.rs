//! Reads one finished log from its start to its end, in blocks of whole lines.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use super::cut::{Cut, cut};
use super::decode::{self, Bytes};
use super::look::Found;
use super::marks::{self, Marks};
use super::rotation::{Identity, Seen};
use super::{SourceError, as_length, search};
use crate::engine::line::{Batch, Directives, MAX_LINE, Missing, Position, StreamId};

/// The size of a file's buffer. Four lines of the greatest length fit.
pub(super) const BUFFER: usize = super::MAX_BATCH;
/// The size of the first read, which is often the only one: it shows when a file begins.
const FIRST: usize = 16 * 1024;

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This many bytes of whole lines: take any of them with [`OldFile::take`].
    Lines(usize),
    /// An over-long line: take it with [`OldFile::take_odd`].
    Long,
    /// NULs: take them with [`OldFile::take_odd`].
    Nuls,
    /// The end.
    End,
}

/// What follows the first part of a file, which is read in the name of the position that began after it.
struct Behind {
    known: Position,
    rest: OldFile,
}

/// One finished log.
pub(super) struct OldFile {
    source: usize,
    stream: StreamId,
    position: Position,
    marks: Marks,
    input: Bytes,
    is_compressed: bool,
    buffer: Vec<u8>,
    /// The start of the unread part of `buffer`.
    at: usize,
    /// The length of the unread part that is known to be whole lines.
    whole: usize,
    is_at_end: bool,
    /// It is known under another name.
    is_renamed: bool,
    /// Nothing after this offset is read.
    limit: u64,
    /// What is read after that, if this is the part before a known position.
    behind: Option<Box<Behind>>,
    /// The rest of its last line may still be written.
    is_growing: bool,
    /// What its unpacked contents had at least, as its log was seen before it was compressed.
    least: u64,
    fault: Option<SourceError>,
}

impl OldFile {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(source: usize, path: &Path) -> Result<Self, SourceError> {
        let fault =
            |action| move |cause| SourceError::Access { action, path: path.to_owned(), cause };
        if path.as_os_str() == STDIN {
            let decoded = decode::decode(std::io::stdin()).map_err(fault("opening"))?;
            let mut position = Identity::default().start(path, 0, 0);
            position.directives.written = stdin_written();
            return Ok(Self::over(source, position, decoded));
        }
        let file = decode::open_named(path).map_err(fault("opening"))?;
        Self::in_file(source, path, file).map_err(fault("opening"))
    }

    /// Opens the file that was found, whatever its current name; returns `None` if it is gone.
    pub(super) fn reopen(source: usize, found: &Found) -> io::Result<Option<Self>> {
        let named = |cause: io::Error| {
            let path = found.path.clone();
            let kind = cause.kind();
            io::Error::new(kind, SourceError::Access { action: "opening", path, cause })
        };
        let Some((path, file)) = search::open_found(found).map_err(named)? else {
            return Ok(None);
        };
        Self::in_file(source, &path, file).map(Some).map_err(named)
    }

    /// Begins with an open file.
    pub(super) fn in_file(source: usize, path: &Path, file: File) -> io::Result<Self> {
        let seen = Seen::of(&file)?;
        let mut position = seen.identity.start(path, 0, seen.modified);
        position.size = seen.size;
        position.directives.written = seen.modified;
        Ok(Self::over(source, position, decode::decode(file)?))
    }

    fn over(source: usize, position: Position, (input, is_compressed): (Bytes, bool)) -> Self {
        Self {
            source,
            stream: Identity::of(&position).stream(0),
            position,
            marks: Marks::default(),
            input,
            is_compressed,
            buffer: Vec::new(),
            at: 0,
            whole: 0,
            is_at_end: false,
            is_renamed: false,
            limit: u64::MAX,
            behind: None,
            is_growing: false,
            least: 0,
            fault: None,
        }
    }

    /// Returns the file's identity in the file system.
    pub(super) const fn identity(&self) -> Identity {
        Identity::of(&self.position)
    }

    /// Sets the life of the file.
    pub(super) fn begin(&mut self, generation: u32) {
        self.position.generation = generation;
        self.stream = self.identity().stream(generation);
    }

    /// Returns whether nothing was processed yet.
    pub(super) const fn is_untouched(&self) -> bool {
        self.position.offset == 0
    }

    /// Reads up to the offset of a position. Returns false if the contents differ from the position's; if the first
    /// bytes differ, nothing more is read.
    pub(super) fn skip_to(&mut self, position: &Position) -> bool {
        self.fill();
        let head = self.unread().get(..as_length(u64::from(position.head_length)));
        if head.map(marks::hash) != Some(position.head) {
            return false;
        }
        while self.position.offset < position.offset {
            if self.unread().is_empty() {
                self.fill();
            }
            let left = as_length(position.offset - self.position.offset);
            let step = left.min(self.unread().len());
            if step == 0 {
                return false;
            }
            self.pass(step);
        }
        self.is_renamed = self.position.path != position.path;
        // The bytes before were read from the file from which this one was compressed.
        let is_same = Identity::of(position) == Identity::of(&self.position);
        (self.position.began, self.position.early) =
            if is_same { (position.began, position.early) } else { (position.offset, 0) };
        self.least = position.size;
        let written = self.position.directives.written;
        self.position.directives.clone_from(&position.directives);
        self.position.directives.written = written;
        self.marks.agree(position)
    }

    /// Reads up to the offset of a position like [`OldFile::skip_to`], but an error of the device shows nothing about
    /// the contents.
    pub(super) fn try_skip_to(&mut self, position: &Position) -> io::Result<bool> {
        let is_same = self.skip_to(position);
        let is_read = |fault: &mut SourceError| matches!(fault, SourceError::Read { .. });
        match self.fault.take_if(|fault| !is_same && is_read(fault)) {
            Some(fault) => Err(io::Error::other(fault)),
            None => Ok(is_same),
        }
    }

    /// Returns whether this file, which was to be read up to a position, ends before that because it is cut short or
    /// damaged, and begins like the position's file.
    pub(super) fn is_cut_before(&self, position: &Position) -> bool {
        let is_damaged = matches!(self.fault, Some(SourceError::Damaged { .. }));
        is_damaged && 0 < self.position.offset && self.position.offset < position.offset
    }

    /// Takes what ended the file before its end, if anything did.
    pub(super) const fn take_fault(&mut self) -> Option<SourceError> {
        self.fault.take()
    }

    /// Returns the size and the time of the file on the disk when it was opened.
    pub(super) const fn opened_as(&self) -> (u64, i64) {
        (self.position.size, self.position.directives.written)
    }

    /// Returns whether another file begins with all contents of this one, according to its first and last bytes. If
    /// their beginnings differ, nothing more is read.
    pub(super) fn begins(mut self, other: &File) -> io::Result<bool> {
        self.fill();
        let length = self.unread().len().min(marks::HEAD);
        if self.unread().get(..length) != Some(&*marks::read_at_most(other, 0, length)?) {
            return Ok(false);
        }
        self.pass_until(|_| None);
        Ok(self.fault.is_none() && self.marks == Marks::read(other, self.position.offset)?)
    }

    /// Returns the directives in force at the start of the unread part.
    pub(super) const fn directives(&self) -> &Directives {
        &self.position.directives
    }

    /// Reads the part of a file before the contents that were read according to `known`, as far as no replay has read
    /// it, and then continues with `rest`, which begins after that part.
    pub(super) fn catch_up(mut self, known: &Position, mut rest: Self) -> Self {
        self.limit = known.early;
        // These lines are not needed, but may contain directives for the following ones.
        loop {
            match self.look() {
                Next::Lines(n) => drop(self.take(n)),
                Next::Long | Next::Nuls => drop(self.take_odd()),
                Next::End => break,
            }
        }
        (self.limit, self.is_at_end) = (known.began, false);
        self.stream = Identity::of(known).stream(known.generation);
        if rest.stream == self.stream {
            rest.position.early = known.began;
        }
        self.behind = Some(Box::new(Behind { known: known.clone(), rest }));
        self
    }

    /// Returns the stream in whose name the part before its beginning is read, if it is, and whether this is the
    /// stream's own file.
    pub(super) fn catches_up(&self) -> Option<(StreamId, bool)> {
        self.behind.as_ref().map(|behind| (self.stream, behind.rest.stream == self.stream))
    }

    /// Returns the rest after the first part of a file, if this is such a part and could be read.
    pub(super) fn rest(&mut self) -> Option<Self> {
        let behind = self.behind.take_if(|_| self.fault.is_none())?;
        Some(behind.rest)
    }

    /// Leaves a last line without an end to a later reader: it may still be written.
    pub(super) const fn leave_last_words(&mut self) {
        self.is_growing = true;
    }

    /// Returns what comes next, reading more if needed.
    pub(super) fn look(&mut self) -> Next {
        if self.whole > 0 {
            return Next::Lines(self.whole);
        }
        loop {
            match cut(self.unread()) {
                Cut::Lines(n) => {
                    self.whole = n;
                    return Next::Lines(n);
                }
                Cut::Nuls(_) => return Next::Nuls,
                Cut::Long => return Next::Long,
                Cut::Partial if !self.is_at_end => self.fill(),
                // A fault truncated this line: half a line is worse than none.
                Cut::Partial if self.fault.is_some() || self.is_growing => return Next::End,
                Cut::Partial => {
                    self.whole = self.unread().len();
                    return if self.whole == 0 { Next::End } else { Next::Lines(self.whole) };
                }
            }
        }
    }

    /// Returns the bytes that were read but not taken yet.
    pub(super) fn unread(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Passes on the next `n` bytes of whole lines.
    pub(super) fn take(&mut self, n: usize) -> Batch {
        let from = self.position.offset;
        let bytes = if self.at == 0 && n * 2 > self.buffer.len() {
            // Most of the buffer is passed on: pass it on as it is and copy what remains.
            let mut rest = Vec::with_capacity(BUFFER);
            rest.extend_from_slice(self.buffer.get(n..).unwrap_or_default());
            let mut bytes = std::mem::replace(&mut self.buffer, rest);
            bytes.truncate(n);
            self.marks.absorb(&bytes);
            self.position.offset += bytes.len() as u64;
            bytes
        } else {
            let bytes = self.unread().get(..n).unwrap_or_default().to_vec();
            self.pass(bytes.len());
            bytes
        };
        self.whole = self.whole.saturating_sub(bytes.len());
        self.batch(from, bytes, Missing::default())
    }

    /// Passes on an over-long line, cut, or a run of NULs, counted.
    pub(super) fn take_odd(&mut self) -> Batch {
        let from = self.position.offset;
        if self.unread().first() == Some(&0) {
            let is_text = |byte: &u8| *byte != 0;
            self.pass_until(|bytes| bytes.iter().position(is_text));
            let nuls = self.position.offset - from;
            return self.batch(from, Vec::new(), Missing { nuls, ..Missing::default() });
        }
        let bytes = self.unread().get(..MAX_LINE).unwrap_or_default().to_vec();
        self.pass(bytes.len());
        self.pass_until(|bytes| memchr::memchr(b'\n', bytes).map(|at| at + 1));
        let discarded = self.position.offset - from - bytes.len() as u64;
        self.batch(from, bytes, Missing { discarded, ..Missing::default() })
    }

    /// Returns the batch that makes a file known before anything of it is taken.
    pub(super) fn announce(&mut self) -> Batch {
        self.batch(self.position.offset, Vec::new(), Missing::default())
    }

    /// Returns the batch that marks the end of a compressed file: a last position whose size is its offset. Until then
    /// its size exceeds its offset, so that a later run continues reading. If the file has another name than the known
    /// one, the batch contains the new name.
    pub(super) fn finish(&mut self) -> Result<Option<Batch>, SourceError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if !self.is_compressed && !self.is_renamed {
            return Ok(None);
        }
        let mut batch = self.batch(self.position.offset, Vec::new(), Missing::default());
        batch.position.size = batch.position.offset;
        Ok(Some(batch))
    }

    /// Skips bytes until `end` finds one at which to stop, or the file ends.
    fn pass_until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) {
        loop {
            let found = end(self.unread());
            self.pass(found.unwrap_or(self.unread().len()));
            if found.is_some() || self.is_at_end {
                return;
            }
            self.fill();
        }
    }

    fn pass(&mut self, n: usize) {
        let bytes = self.buffer.get(self.at..self.at + n).unwrap_or_default();
        self.marks.absorb(bytes);
        self.position.offset += bytes.len() as u64;
        self.at += bytes.len();
    }

    /// Reads until the buffer is full or the file ends. A fault also ends the file.
    fn fill(&mut self) {
        self.buffer.drain(..self.at);
        self.at = 0;
        let goal = if self.buffer.capacity() == 0 { FIRST } else { BUFFER };
        let room = goal.saturating_sub(self.buffer.len());
        self.buffer.reserve_exact(room);
        let left = self.limit.saturating_sub(self.position.offset + self.buffer.len() as u64);
        let room = left.min(room as u64);
        let mut read = || self.input.by_ref().take(room).read_to_end(&mut self.buffer);
        match super::moment::failure().and_then(|()| read()) {
            Ok(n_read) => self.is_at_end = (n_read as u64) < room || room == left,
            Err(cause) => {
                self.is_at_end = true;
                let path = self.position.path.clone();
                let offset = self.position.offset + self.buffer.len() as u64;
                // Only the system's errors have a number: the decoders pass them on as they are.
                let is_damaged = self.is_compressed && cause.raw_os_error().is_none();
                self.fault = Some(if is_damaged {
                    SourceError::Damaged { path, offset, cause }
                } else {
                    SourceError::Read { path, offset, cause }
                });
            }
        }
    }

    fn batch(&mut self, from: u64, bytes: Vec<u8>, missing: Missing) -> Batch {
        self.marks.write_to(&mut self.position);
        let directives = self.position.directives.clone();
        self.position.directives.note_all(&bytes);
        let mut position = self.position.clone();
        if self.is_compressed {
            position.size = self.least.max(position.offset + 1);
        } else {
            position.size = position.size.max(position.offset);
        }
        if let Some(behind) = &self.behind {
            position = Position { early: position.offset, ..behind.known.clone() };
        }
        let (stream, source) = (self.stream, self.source);
        Batch { stream, source, from, bytes, directives, position, missing, ..Batch::default() }
    }
}

/// Returns when standard input was last written to; for a pipe, when it was created; 0 if unknown.
fn stdin_written() -> i64 {
    let file = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| Seen::of(&file)).map_or(0, |seen| seen.modified)
}

impl std::fmt::Debug for OldFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OldFile").field("position", &self.position).finish_non_exhaustive()
    }
}
