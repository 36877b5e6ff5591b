//! Follows units of the systemd journal through the output of `journalctl --output=json`, one line per message.
//!
//! The journal's file format is internal to systemd, whose documentation refers to its programs
//! (`JOURNAL_FILE_FORMAT`), so journalctl runs as a child process. The cursor of the last message is part of the
//! position and is committed with it: after a restart, journalctl continues after that message. The message is in an
//! envelope that [`engine::record`](crate::engine::record) removes.
//!
//! A child that ends is started again after its last message. A separate thread reads it into a bounded channel: while
//! nothing is taken from the channel, journalctl waits.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use super::cut::{Cut, cut};
use super::marks;
use super::wake::Waker;
use crate::engine::line::{Batch, Directives, MAX_LINE, Missing, Position, ReadFrom, StreamId};

/// The most chunks that wait to be taken. A chunk is at most [`READ`] long.
const MAX_WAITING: usize = 16;
/// The most bytes of one read.
const READ: usize = super::MAX_BATCH;
/// The most chunks of one unit per call of [`Journals::poll`], so that others get their turn.
const MAX_CHUNKS: usize = 8;
/// The delay before a child that ended is started again; it doubles with each further end.
const RETRY: Duration = Duration::from_secs(5);
/// The longest delay. A child that ran for this long was well.
const MAX_RETRY: Duration = Duration::from_secs(60);
/// A unit without messages for this long counts as read to its end, which journalctl does not report. journalctl finds
/// a cursor and a unit's messages by index, within seconds.
const SETTLE: Duration = Duration::from_secs(30);
/// The most bytes read from a journalctl that ends by itself: a message may be as large as the journal permits, and its
/// cursor precedes it.
const MAX_LAST: usize = 4 * 1024 * 1024;
/// The prefix of a path that names a unit rather than a file.
const SCHEME: &str = "journal:";

/// One unit of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitWatch {
    /// Index of the source, passed on with each batch.
    pub source: usize,
    /// The unit's [`whole_name`].
    pub unit: String,
    /// A directory with journal files instead of this host's journal.
    pub directory: Option<PathBuf>,
    /// Where an unknown unit begins.
    pub read_from: ReadFrom,
}

impl UnitWatch {
    /// Parses a [`path`](Self::path): returns its unit, or `None` if it names a file.
    #[must_use]
    pub fn named(path: &Path) -> Option<Self> {
        let name = path.to_str()?.strip_prefix(SCHEME)?;
        let (directory, unit) = match name.rsplit_once('/') {
            Some((directory, unit)) => (Some(directory.into()), unit),
            None => (None, name),
        };
        let (unit, read_from) = (whole_name(unit), ReadFrom::End);
        Some(Self { source: 0, unit, directory, read_from })
    }

    /// Returns the path that represents the unit: `journal:nginx.service`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let folder = self.directory.as_ref().map(|folder| format!("{}/", folder.display()));
        format!("{SCHEME}{}{}", folder.unwrap_or_default(), self.unit).into()
    }
}

/// Returns whether a position is in the journal.
#[must_use]
pub fn is_journal(position: &Position) -> bool {
    position.path.as_os_str().as_encoded_bytes().starts_with(SCHEME.as_bytes())
}

/// The most messages that [`sample`] returns.
const SAMPLE: &str = "--lines=200";

/// Returns a unit's last messages in journalctl's output, one per line: enough to guess their format.
///
/// # Errors
/// journalctl cannot be run, or fails.
pub fn sample(watch: &UnitWatch) -> io::Result<Vec<u8>> {
    let unit = Unit::new(watch.clone(), &BTreeMap::new());
    let mut lines = unit.last(&[SAMPLE, &unit.filter()])?;
    if lines.len() == MAX_LAST {
        lines.truncate(memchr::memrchr(b'\n', &lines).map_or(0, |at| at + 1));
    }
    Ok(lines)
}

/// Returns the message with this cursor in journalctl's output.
///
/// # Errors
/// journalctl cannot be run, or fails, or the journal has no such message of this unit.
pub fn message(watch: &UnitWatch, cursor: &str) -> io::Result<Vec<u8>> {
    let unit = Unit::new(watch.clone(), &BTreeMap::new());
    let cursor_option = format!("--cursor={cursor}");
    let bytes = unit.last(&["--lines=1", &cursor_option, &unit.filter()])?;
    // If the message is gone, journalctl continues with the next one.
    if cursor_of(&bytes).as_deref() == Some(cursor) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no message has this cursor, or it is gone"))
}

/// Returns a unit's full name: without a type it is a service.
#[must_use]
pub fn whole_name(unit: &str) -> String {
    if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") }
}

/// All units that are followed.
#[derive(Debug)]
pub struct Journals {
    units: Vec<Unit>,
    waker: Waker,
}

impl Journals {
    /// Follows these units, continuing after the stored messages. `waker` is used when there are new ones.
    #[must_use]
    pub fn new(watches: Vec<UnitWatch>, known: &[(StreamId, Position)], waker: Waker) -> Self {
        let mut journals = Self { units: Vec::new(), waker };
        journals.set_watches(watches, known);
        journals
    }

    /// Follows these units from now on. Those that remain are not interrupted.
    pub fn set_watches(&mut self, watches: Vec<UnitWatch>, known: &[(StreamId, Position)]) {
        let known: BTreeMap<StreamId, &Position> =
            known.iter().map(|(stream, position)| (*stream, position)).collect();
        let mut old = std::mem::take(&mut self.units);
        for watch in watches {
            let unit = match old.iter().position(|unit| unit.watch == watch) {
                Some(at) => old.swap_remove(at),
                None => Unit::new(watch, &known),
            };
            // A unit that two sources name is read once, like a file.
            if self.units.iter().all(|other| other.stream != unit.stream) {
                self.units.push(unit);
            }
        }
    }

    /// Returns whether a path represents a unit that is followed.
    #[must_use]
    pub fn follows(&self, path: &Path) -> bool {
        self.units.iter().any(|unit| unit.watch.path() == path)
    }

    /// Returns whether a unit may have messages that were not taken; false for a path that is no followed unit.
    #[must_use]
    pub fn is_behind(&self, path: &Path, now: Duration) -> bool {
        let unit = self.units.iter().find(|unit| unit.watch.path() == path);
        unit.is_some_and(|unit| unit.moved.is_none_or(|moved| now < moved + SETTLE))
    }

    /// Returns what has arrived: whole lines. `now` is the time since any fixed moment and must not go back.
    pub fn poll(&mut self, now: Duration) -> Vec<Batch> {
        let waker = &self.waker;
        self.units.iter_mut().flat_map(|unit| unit.poll(now, waker)).collect()
    }
}

/// One unit and how far it has been read.
#[derive(Debug)]
struct Unit {
    watch: UnitWatch,
    stream: StreamId,
    position: Position,
    running: Option<Running>,
    retry: Retry,
    /// When the last messages arrived, or when it was first polled.
    moved: Option<Duration>,
}

/// When a child that ended is started again.
#[derive(Debug, Default)]
struct Retry {
    /// The earliest time.
    start_at: Duration,
    /// How many times in a row it ended without having been well.
    n_ends: u32,
}

impl Retry {
    /// Records an end; returns whether it is news.
    fn ended(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.start_at);
        if since >= MAX_RETRY {
            self.n_ends = 0;
        }
        let wait = RETRY.saturating_mul(1 << self.n_ends.min(6)).min(MAX_RETRY);
        self.start_at = now + wait;
        self.n_ends += 1;
        self.n_ends == 1
    }

    /// Records a message; returns whether it is news that there is one.
    const fn is_well(&mut self) -> bool {
        let is_news = self.n_ends > 0;
        self.n_ends = 0;
        is_news
    }
}

impl Unit {
    fn new(watch: UnitWatch, known: &BTreeMap<StreamId, &Position>) -> Self {
        let path = watch.path();
        let stream = StreamId(marks::hash(path.as_os_str().as_encoded_bytes()).cast_signed());
        let position = known.get(&stream).map_or_else(
            || Position { path, ..Position::default() },
            |position| (*position).clone(),
        );
        Self { watch, stream, position, running: None, retry: Retry::default(), moved: None }
    }

    fn poll(&mut self, now: Duration, waker: &Waker) -> Vec<Batch> {
        let mut batches = Vec::new();
        self.moved.get_or_insert(now);
        if self.running.is_none() && self.retry.start_at <= now {
            match self.start(waker) {
                Ok(announced) => batches.extend(announced),
                Err(cause) => self.ended(now, &cause.to_string()),
            }
        }
        for _ in 0..MAX_CHUNKS {
            let Some(running) = &mut self.running else { break };
            match running.chunks.try_recv() {
                Ok(chunk) => {
                    if self.retry.is_well() {
                        tracing::info!(unit = %self.watch.unit, "journalctl gives messages again.");
                    }
                    self.moved = Some(now);
                    batches.push(self.batch(chunk));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // Its output is closed; even if it has not ended, it is of no use any more.
                    running.child.kill().ok();
                    let status = running.child.wait();
                    self.ended(now, &status.map_or_else(|e| e.to_string(), |s| s.to_string()));
                }
            }
        }
        batches
    }

    fn ended(&mut self, now: Duration, why: &str) {
        self.running = None;
        if self.retry.ended(now) {
            tracing::warn!(unit = %self.watch.unit, why, "journalctl ended; it will be started again.");
        }
    }

    /// Starts journalctl. At the very first start, returns a batch without lines that contains where reading begins, so
    /// that this is stored before the first message.
    fn start(&mut self, waker: &Waker) -> io::Result<Option<Batch>> {
        let is_new = self.position.cursor.is_empty() && self.position.offset == 0;
        if is_new && self.watch.read_from == ReadFrom::End {
            // Of any unit: a cursor is a position in the whole journal.
            self.position.cursor = cursor_of(&self.last(&["--lines=1"])?).unwrap_or_default();
        }
        let mut command = self.journalctl();
        command.arg("--follow").arg("--no-tail").arg(self.filter());
        if !self.position.cursor.is_empty() {
            command.arg(format!("--after-cursor={}", self.position.cursor));
        }
        let mut child = command.spawn()?;
        let (sender, chunks) = sync_channel(MAX_WAITING);
        if let Some(output) = child.stdout.take() {
            let waker = waker.clone();
            // Ends with the child, or when the channel's receiver is gone.
            thread::Builder::new()
                .name("journal".into())
                .spawn(move || hand_on(output, &sender, &waker))?;
        }
        self.running = Some(Running { child, chunks });
        Ok(is_new.then(|| self.batch(Chunk::default())))
    }

    fn journalctl(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--output-fields=MESSAGE", "--all", "--quiet"]);
        if let Some(folder) = &self.watch.directory {
            command.arg("--directory").arg(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    /// Returns the filter for messages of the unit's own processes, without systemd's messages about the unit.
    fn filter(&self) -> String {
        format!("_SYSTEMD_UNIT={}", self.watch.unit)
    }

    /// Returns the output of a journalctl that ends by itself, at most [`MAX_LAST`] bytes of it.
    fn last(&self, arguments: &[&str]) -> io::Result<Vec<u8>> {
        let mut child = self.journalctl().args(arguments).spawn()?;
        let mut printed = Vec::new();
        let read = child
            .stdout
            .take()
            .map_or(Ok(0), |output| output.take(MAX_LAST as u64).read_to_end(&mut printed));
        if read.is_err() || printed.len() == MAX_LAST {
            // The rest is not read; it may have ended by itself.
            child.kill().ok();
            child.wait().ok();
            return read.map(|_| printed);
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(printed);
        }
        Err(io::Error::other(format!("journalctl: {status}")))
    }

    fn batch(&mut self, chunk: Chunk) -> Batch {
        let from = self.position.offset;
        self.position.offset += chunk.bytes.len() as u64 + chunk.discarded;
        self.position.size = self.position.offset;
        if let Some(cursor) = cursor_of(&chunk.bytes) {
            self.position.cursor = cursor;
        }
        Batch {
            stream: self.stream,
            source: self.watch.source,
            from,
            bytes: chunk.bytes,
            directives: Directives::default(),
            position: self.position.clone(),
            missing: Missing { discarded: chunk.discarded, ..Missing::default() },
            ..Batch::default()
        }
    }
}

/// Returns the cursor of the last message in some lines, the last of which may be truncated.
#[must_use]
pub fn cursor_of(lines: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(rename = "__CURSOR")]
        cursor: String,
    }
    let last = lines.rsplit(|byte| *byte == b'\n').find(|line| !line.is_empty())?;
    match serde_json::from_slice::<Entry>(last) {
        Ok(entry) => Some(entry.cursor),
        // Truncated. Inside a value, the quotes would be escaped.
        Err(_) => {
            const KEY: &[u8] = b"\"__CURSOR\":\"";
            let value = last.get(memchr::memmem::find(last, KEY)? + KEY.len()..)?;
            let end = memchr::memchr(b'"', value)?;
            String::from_utf8(value.get(..end)?.to_vec()).ok()
        }
    }
}

/// A child and its output.
#[derive(Debug)]
struct Running {
    child: Child,
    chunks: Receiver<Chunk>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whole lines; or an over-long line, cut, and the number of bytes left out.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    discarded: u64,
}

/// Reads to the end and passes on whole lines.
fn hand_on(mut output: ChildStdout, chunks: &SyncSender<Chunk>, waker: &Waker) {
    let mut buffer = Vec::with_capacity(READ);
    loop {
        let room = READ.saturating_sub(buffer.len()).max(1) as u64;
        // Not `read_to_end`: what has arrived is passed on, since more may take long to come.
        match read_some(&mut output, &mut buffer, room) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        loop {
            let chunk = match cut(&buffer) {
                Cut::Partial => break,
                Cut::Lines(n) => Chunk { bytes: split_to(&mut buffer, n), discarded: 0 },
                Cut::Nuls(n) => {
                    split_to(&mut buffer, n);
                    Chunk { bytes: Vec::new(), discarded: n as u64 }
                }
                Cut::Long => {
                    let bytes = split_to(&mut buffer, MAX_LINE);
                    let Ok(discarded) = skip_line(&mut output, &mut buffer) else { return };
                    Chunk { bytes, discarded }
                }
            };
            if chunks.send(chunk).is_err() {
                return;
            }
            waker.wake();
        }
    }
}

/// Reads what is available, at most `room` bytes.
fn read_some(from: &mut impl Read, buffer: &mut Vec<u8>, room: u64) -> io::Result<usize> {
    let old = buffer.len();
    buffer.resize(old + super::as_length(room), 0);
    let free = buffer.get_mut(old..).unwrap_or_default();
    let n_read = loop {
        match from.read(free) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    buffer.truncate(old + n_read.as_ref().copied().unwrap_or_default());
    n_read
}

/// Drops the rest of a line and its end; returns the number of bytes dropped.
fn skip_line(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        if let Some(end) = memchr::memchr(b'\n', buffer) {
            split_to(buffer, end + 1);
            return Ok(skipped + end as u64 + 1);
        }
        skipped += buffer.len() as u64;
        buffer.clear();
        if read_some(from, buffer, READ as u64)? == 0 {
            return Ok(skipped);
        }
    }
}

/// Splits off the first `n` bytes.
fn split_to(buffer: &mut Vec<u8>, n: usize) -> Vec<u8> {
    let rest = buffer.get(n..).unwrap_or_default().to_vec();
    buffer.truncate(n);
    std::mem::replace(buffer, rest)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
