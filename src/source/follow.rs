//! Follows live files: passes on each whole line once, however files are rotated.
//!
//! The caller asks for batches ([`Follower::poll`]), commits them in the order in which they came, and waits
//! ([`Follower::wait`]) if there are none. The follower advances in memory as it passes batches on; a batch that cannot
//! be committed is kept and retried by the caller. After a restart it continues from the committed positions.
//!
//! A stream that begins, takes over from a copy, or starts again after a truncation is announced by a batch without
//! lines, so that its position is stored before anything depends on it; so is, once a second, how much is known to have
//! been written to a file where no other batch has told it. Consecutive batches without lines must be
//! committed together, with the preceding batch or later: one look found these streams, and a later run searches for
//! nothing older than what it knows.
//!
//! An unknown file begins at its start. The exception is [`ReadFrom::End`]: then files that a pattern finds in its
//! first sweep begin after their last whole line, provided that the pattern never found a stored position, and that
//! they were not created since an earlier run began to follow it. So a file that was created while the program was down
//! or running is read completely, and a pattern added to the configuration does not bring up the past. Files whose
//! names are those of compressed files are not followed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::decode::open_file;
use super::discover;
use super::drain::Drain;
use super::look::Folders;
use super::quiet::Quiet;
use super::rotation::{self, Identity, Seen};
pub use super::tail::Place;
use super::tail::{READ, Rank, Rest, Step, Tail};
use super::wake::{Wake, Waker};
use super::{SourceError, marks};
use crate::engine::line::{Batch, Position, ReadFrom, StreamId};
use crate::engine::time::Timestamp;

/// The approximate number of bytes that one call of [`Follower::poll`] passes on.
const POLL_BYTES: u64 = 4 * 1024 * 1024;

/// Files of one source.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Index of the source, passed on with each batch.
    pub source: usize,
    /// Names, or patterns with `*`, `?`, `[...]`, `**`. A directory stands for the logs in it and below it.
    pub patterns: Vec<PathBuf>,
    /// Where files begin that are unknown at the first start.
    pub read_from: ReadFrom,
    /// Its changes are found by looking, whatever its file system supports.
    pub is_polled: bool,
    /// Watches whose sources its files have instead, where one of them names the file.
    pub like: Vec<Watch>,
}

impl Watch {
    /// Returns whether a path is watched, whether or not it exists.
    #[must_use]
    pub fn names(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| discover::names(pattern, path))
    }

    /// Returns the source of a file that it watches.
    pub(super) fn source_of(&self, path: &Path) -> usize {
        source_of(&self.like, path).unwrap_or(self.source)
    }
}

/// Returns the source of the watch that names a file, or the log that it was rotated from.
#[must_use]
pub fn source_of(watches: &[Watch], path: &Path) -> Option<usize> {
    let naming = |path: &Path| watches.iter().find(|watch| watch.names(path));
    naming(path).or_else(|| naming(&rotation::unrotated(path))).map(|watch| watch.source)
}

/// Settings. The defaults suit a log host.
#[derive(Clone, Debug)]
pub struct Options {
    /// The interval between looks at all names and files, or at least at those that are not at rest. 1 s.
    pub sweep_every: Duration,
    /// How long a rotated file must be silent until its last line is taken without a line end, and a deleted one until
    /// it is closed. 5 s.
    pub rotate_wait: Duration,
    /// The most files kept open, apart from deleted ones, which cannot be opened again. Half of what the process may
    /// open, at most 512.
    pub max_open: usize,
    /// A directory whose files are never followed: the program's own state.
    pub exclude: Option<PathBuf>,
    /// The patterns that the run before followed, and since when they are followed.
    pub followed: BTreeMap<PathBuf, Timestamp>,
    /// The most files that are gone or compressed and still remembered. 4,096.
    pub max_gone: usize,
}

impl Default for Options {
    fn default() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = limit.map_or(usize::MAX, super::as_length) / 2;
        Self {
            sweep_every: Duration::from_secs(1),
            rotate_wait: Duration::from_secs(5),
            max_open: half.clamp(1, 512),
            exclude: None,
            followed: BTreeMap::new(),
            max_gone: 4096,
        }
    }
}

/// One watch, and its patterns that have been searched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) watch: Watch,
    pub(super) swept: BTreeSet<PathBuf>,
}

/// Follows live files.
#[derive(Debug)]
pub struct Follower {
    pub(super) watched: Vec<Watched>,
    pub(super) options: Options,
    pub(super) tails: Vec<Tail>,
    pub(super) drains: Vec<Drain>,
    pub(super) ready: VecDeque<Batch>,
    pub(super) swept: Option<Duration>,
    /// When it was last swept or glanced at.
    pub(super) looked: Option<Duration>,
    pub(super) quiet: Quiet,
    pub(super) wake: Wake,
    pub(super) n_turns: u64,
    /// Paths with a logged fault, and when they last had it.
    pub(super) warned: BTreeMap<PathBuf, Duration>,
    /// The program's own output, never followed: each of its messages would cause another one.
    pub(super) own: Vec<Identity>,
    /// Streams that are no longer remembered.
    pub(super) forgotten: Vec<StreamId>,
    /// Directories as listed in this call of `poll`.
    pub(super) folders: Folders,
    n_uses: u64,
    is_behind: bool,
    next: usize,
    scratch: Vec<u8>,
}

impl Follower {
    /// Takes the forgotten streams, whose positions need not be kept: younger files of their logs are known, or more
    /// files are gone than are remembered.
    pub fn take_forgotten(&mut self) -> Vec<StreamId> {
        std::mem::take(&mut self.forgotten)
    }

    /// Follows the files of `watches`, continuing from the stored positions.
    #[must_use]
    pub fn new(watches: Vec<Watch>, known: Vec<(StreamId, Position)>, options: Options) -> Self {
        let mut newest = BTreeMap::<Identity, (StreamId, Position)>::new();
        for (stream, position) in known {
            let held = newest.entry(Identity::of(&position)).or_insert((stream, position.clone()));
            if held.1.generation < position.generation {
                *held = (stream, position);
            }
        }
        let tail = |(stream, position): (StreamId, Position)| {
            let path = position.path.clone();
            Tail::new(stream, position, path)
        };
        let mut follower = Self {
            watched: Vec::new(),
            options,
            tails: newest.into_values().map(tail).collect(),
            drains: Vec::new(),
            forgotten: Vec::new(),
            ready: VecDeque::new(),
            swept: None,
            looked: None,
            quiet: Quiet::default(),
            wake: Wake::new(),
            // Lower turns are for files known before the start.
            n_turns: 1 << 32,
            warned: BTreeMap::new(),
            own: rotation::own_output(),
            folders: Folders::default(),
            n_uses: 0,
            is_behind: true,
            next: 0,
            scratch: vec![0; READ + marks::TAIL],
        };
        follower.set_watches(watches);
        follower
    }

    /// Follows these files from now on. Patterns that remain keep what was known of them.
    pub fn set_watches(&mut self, watches: Vec<Watch>) {
        let mut old = std::mem::take(&mut self.watched).into_iter();
        let swept: BTreeSet<PathBuf> = old.by_ref().flat_map(|watched| watched.swept).collect();
        self.watched = watches
            .into_iter()
            .map(|watch| {
                let is_kept = |pattern: &&PathBuf| swept.contains(*pattern);
                let swept = watch.patterns.iter().filter(is_kept).cloned().collect();
                Watched { watch, swept }
            })
            .collect();
        let patterns = self.patterns();
        self.options.followed.retain(|pattern, _| patterns.contains(pattern));
        for at in 0..self.tails.len() {
            let source = self.tails.get(at).and_then(|tail| self.source_of(&tail.position.path));
            let Some(tail) = self.tails.get_mut(at) else { continue };
            tail.source = source;
            if source.is_none() && tail.place != Place::Gone {
                tail.place = Place::Unseen;
                tail.file = None;
            }
        }
        (self.swept, self.looked) = (None, None);
    }

    /// Returns all patterns that are followed.
    #[must_use]
    pub fn patterns(&self) -> BTreeSet<PathBuf> {
        self.watched.iter().flat_map(|one| &one.watch.patterns).cloned().collect()
    }

    /// Returns a handle that ends [`Follower::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.wake.waker()
    }

    /// Waits until a watched directory changes or the [`Waker`] is used, at most `timeout`. Returns true if there may
    /// be something to read.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.wake.wait(timeout)
    }

    /// Reads new contents: whole lines, at most 256 KiB per batch and about 4 MiB per call, each file in turn. An empty
    /// result means that there is nothing until the next change.
    ///
    /// `now` is the time since any fixed moment and must not go back.
    pub fn poll(&mut self, now: Duration) -> Vec<Batch> {
        self.folders = Folders::default();
        self.look_around(now);
        self.read_drains(POLL_BYTES / 2);
        let mut budget = POLL_BYTES / 2;
        loop {
            let ahead = self.ahead();
            let mut has_moved = false;
            for _ in 0..self.tails.len() {
                if budget == 0 {
                    self.is_behind = true;
                    return self.take_ready(now);
                }
                self.next = if self.next < self.tails.len() { self.next } else { 0 };
                let at = self.next;
                self.next += 1;
                if let Some(n_bytes) = self.advance(at, &ahead) {
                    budget = budget.saturating_sub(n_bytes.max(1));
                    has_moved = true;
                }
            }
            if !has_moved {
                self.is_behind = !self.drains.iter().all(Drain::is_paused);
                return self.take_ready(now);
            }
        }
    }

    fn take_ready(&mut self, now: Duration) -> Vec<Batch> {
        // Once a second: a busy log would otherwise have one more after each batch.
        if self.looked == Some(now) {
            self.tell_ends();
        }
        self.ready.drain(..).collect()
    }

    /// Returns what is still to be announced before the program ends.
    pub fn end(&mut self) -> Vec<Batch> {
        self.tell_held();
        self.tell_ends();
        self.ready.drain(..).collect()
    }

    /// Returns whether the last call of [`Follower::poll`] saw anything that it left unread.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Returns whether a watch names a path.
    #[must_use]
    pub fn follows(&self, path: &Path) -> bool {
        self.source_of(path).is_some()
    }

    /// Returns the source whose watch names a path, or the log from which a path was rotated.
    #[must_use]
    pub fn source_of(&self, path: &Path) -> Option<usize> {
        let comes_from = |pattern: &PathBuf| discover::origin(pattern, path).is_some();
        self.watched
            .iter()
            .find(|watched| watched.watch.patterns.iter().any(comes_from))
            .map(|watched| watched.watch.source_of(path))
    }

    /// Returns the logs of which a file is remembered, and whether one of these is watched.
    #[must_use]
    pub fn logs(&self) -> BTreeMap<PathBuf, bool> {
        let mut logs = BTreeMap::new();
        for tail in &self.tails {
            let log = rotation::unrotated(&tail.position.path);
            *logs.entry(log).or_default() |= tail.source.is_some();
        }
        logs
    }

    /// Returns for each group the lowest rank that must be read before others.
    pub(super) fn ahead(&self) -> BTreeMap<u64, Rank> {
        let mut ahead = BTreeMap::new();
        for tail in self.tails.iter().filter(|tail| tail.is_ahead()) {
            let first = ahead.entry(tail.group).or_insert_with(|| tail.rank());
            *first = tail.rank().min(*first);
        }
        // A file being decompressed comes first, and so does a known file that was not found because names changed
        // while they were listed: the next sweep finds it.
        let is_unseen =
            |tail: &&Tail| tail.source.is_some() && (tail.place == Place::Unseen || tail.turn == 0);
        let unseen = self.tails.iter().filter(is_unseen).map(|tail| tail.group);
        for group in self.drains.iter().filter_map(Drain::blocks).chain(unseen) {
            ahead.insert(group, (false, i64::MIN, 0));
        }
        ahead
    }

    /// Advances by one step in one file. Returns the number of bytes processed, or `None` if there are none.
    fn advance(&mut self, at: usize, ahead: &BTreeMap<u64, Rank>) -> Option<u64> {
        let tail = self.tails.get(at)?;
        let has_to_wait = ahead.get(&tail.group).is_some_and(|first| *first < tail.rank());
        if has_to_wait || tail.is_paused || tail.is_moved || !tail.has_news() {
            return None;
        }
        match self.try_advance(at, Rest::Keep) {
            Ok(passed) => passed,
            Err(cause) => {
                self.pause(at, cause);
                None
            }
        }
    }

    pub(super) fn try_advance(&mut self, at: usize, rest: Rest) -> io::Result<Option<u64>> {
        if self.tails.get(at).is_some_and(|tail| tail.begins_at_end) {
            return Ok(self.start_at_end(at)?.then_some(0));
        }
        if self.search_copies(at) {
            return Ok(Some(0));
        }
        if !self.open(at)? || !self.is_own(at)? {
            return Ok(None);
        }
        if self.renew_if_cut(at)? {
            return Ok(Some(0));
        }
        let Some(tail) = self.tails.get_mut(at) else { return Ok(None) };
        let unread = (tail.position.offset == 0).then(|| tail.position.clone());
        let step = tail.step(&mut self.scratch, rest)?;
        if std::mem::take(&mut tail.is_warned) {
            tracing::info!(path = %tail.resolved.display(), "File can be read again.");
        }
        if let Some(unread) = unread
            && self.has_late_copies(at, unread)?
        {
            return Ok(Some(0));
        }
        match step {
            Step::Batch(batch) => {
                let n_bytes = batch.position.offset - batch.from;
                self.ready.push_back(*batch);
                Ok(Some(n_bytes))
            }
            Step::More(n_bytes) => Ok(Some(n_bytes)),
            Step::Idle => Ok(None),
            Step::Truncated => {
                self.begin_anew(at);
                Ok(Some(0))
            }
        }
    }

    /// Opens a file if it is still the one that was seen; closes the least recently used one. Returns false if another
    /// file has taken its place: the next sweep finds out.
    pub(super) fn open(&mut self, at: usize) -> io::Result<bool> {
        self.n_uses += 1;
        let n_uses = self.n_uses;
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        tail.used = n_uses;
        if tail.file.is_some() {
            return Ok(true);
        }
        let (resolved, identity) = (tail.resolved.clone(), tail.identity());
        self.make_room();
        let file = match open_file(&resolved) {
            Ok(file) => {
                Some(file).filter(|file| Seen::of(file).is_ok_and(|seen| seen.identity == identity))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(cause),
        };
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        tail.is_moved = file.is_none();
        tail.file = file;
        Ok(tail.file.is_some())
    }

    fn make_room(&mut self) {
        let is_spare = |tail: &&mut Tail| tail.file.is_some() && tail.place != Place::Deleted;
        while self.tails.iter_mut().filter(is_spare).count() >= self.options.max_open.max(1) {
            let oldest = self.tails.iter_mut().filter(is_spare).min_by_key(|tail| tail.used);
            if let Some(tail) = oldest {
                tail.file = None;
            }
        }
    }

    /// Skips a file until the next sweep; logs that once.
    pub(super) fn pause(&mut self, at: usize, cause: io::Error) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        tail.is_paused = true;
        if tail.place != Place::Deleted {
            tail.file = None;
        }
        if !std::mem::replace(&mut tail.is_warned, true) {
            let (path, offset) = (tail.resolved.clone(), tail.position.offset);
            let fault = SourceError::Read { path, offset, cause };
            tracing::warn!(%fault, "File cannot be read; trying again every second.");
        }
    }
}
