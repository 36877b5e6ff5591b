//! Faults of files, simulated with real ones: whatever happens, each line is read once.

mod acts;
mod copied;
mod directives;
mod lag;
mod lines;
mod looks;
mod moments;
mod packed;
mod packing;
mod refused;
mod replaced;
mod rotated;
mod seen;
mod spoiled;
mod watched;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::follow::{Follower, Options, Place, Watch};
use crate::engine::line::{Batch, MAX_LINE, Missing, Position, ReadFrom, StreamId};

/// A directory, a follower, and what was committed.
struct Bench {
    dir: tempfile::TempDir,
    watches: Vec<Watch>,
    options: Options,
    follower: Follower,
    known: BTreeMap<StreamId, Position>,
    lines: Vec<String>,
    missing: Missing,
    /// The sum of each stream's bytes.
    counted: BTreeMap<StreamId, u64>,
    now: Duration,
    /// The time for the next write to a file, so that it advances visibly.
    written: u64,
}

impl Bench {
    fn new(patterns: &[&str], read_from: ReadFrom) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let patterns = patterns.iter().map(|name| dir.path().join(name)).collect();
        let watches = vec![Watch { source: 3, patterns, read_from, ..Watch::default() }];
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

    /// Rotates and compresses the log unseen and continues with a line; then everything is read, also after a restart.
    fn compress_unseen(&mut self, line: &str) {
        self.rename("a", "a.1");
        self.gzip("a.1");
        self.write("a", line);
        self.rest();
        self.restart();
        self.rest();
    }

    /// Sets a file's time to so many thousandths of the same second.
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

    /// Appends to a file while it cannot be opened: that is seen, and not read.
    fn write_unread(&mut self, name: &str, text: impl AsRef<[u8]>) {
        self.restart();
        refuse_all(Errno::ACCESS);
        self.write(name, text);
        self.poll();
        grant();
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
        let is_like = self.watches[0].like.iter().any(|watch| watch.source == batch.source);
        assert!(is_like || batch.source == 3, "{}", batch.source);
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

    /// Returns the state of each file that a watch names.
    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let watched = self.follower.tails.iter().filter(|tail| tail.source.is_some());
        watched.map(|tail| tail.place)
    }

    /// Advances by a second, reads everything and commits it.
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

    /// Stops abruptly and starts again from what was committed.
    fn restart(&mut self) {
        let known = self.known.clone().into_iter().collect();
        self.follower = Follower::new(self.watches.clone(), known, self.options.clone());
    }

    /// Reads, commits so many batches and those that belong to them, stops abruptly and starts again.
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Meanwhile = Box<dyn FnMut()>;

thread_local! {
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
    static TICK: Cell<i64> = const { Cell::new(1) };
    /// The error of opening a compressed file; 0 for none.
    static REFUSAL: Cell<i32> = const { Cell::new(0) };
    /// Whether no other file can be opened either.
    static IS_ALL_REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Which reading of an old file from now on fails; 0 for none.
    static FAILURE: Cell<u32> = const { Cell::new(0) };
}

/// Fails if it is the turn of the reading that a device fails.
pub(super) fn failure() -> io::Result<()> {
    let n_left = FAILURE.get();
    FAILURE.set(n_left.saturating_sub(1));
    if n_left == 1 { Err(io::Error::from(Errno::IO)) } else { Ok(()) }
}

/// Fails if compressed files cannot be opened, or no files at all.
pub(super) fn refusal(path: &Path) -> io::Result<()> {
    let fault = REFUSAL.get();
    let is_meant = path.extension().is_some_and(|ending| ending == "gz") || IS_ALL_REFUSED.get();
    if fault != 0 && is_meant { Err(io::Error::from_raw_os_error(fault)) } else { Ok(()) }
}

/// Makes opening compressed files fail: `EMFILE`, `EACCES`.
fn refuse(fault: Errno) {
    REFUSAL.set(fault.raw_os_error());
}

/// Makes opening any file fail.
fn refuse_all(fault: Errno) {
    refuse(fault);
    IS_ALL_REFUSED.set(true);
}

/// Makes opening them succeed again.
fn grant() {
    REFUSAL.set(0);
    IS_ALL_REFUSED.set(false);
}

/// Runs `act` as somebody whom permissions bind: they do not bind root.
fn bound(act: impl FnOnce()) {
    let own = capabilities(None).unwrap();
    let mut bound = own;
    bound.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    // Of this thread only.
    set_capabilities(None, bound).unwrap();
    act();
    set_capabilities(None, own).unwrap();
}

/// Returns a time as recorded by a clock that advances in ticks.
pub(super) fn tick_of(time: i64) -> i64 {
    time - time % TICK.get()
}

/// Called before each look at a file: lets other things happen.
pub(super) fn pass() {
    // Taken out while it runs.
    let step = MEANWHILE.with_borrow_mut(Option::take);
    if let Some(mut step) = step {
        step();
        MEANWHILE.set(Some(step));
    }
}

/// Runs `act` while `step` runs before each of its looks at files.
pub(super) fn meanwhile<T>(step: impl FnMut() + 'static, act: impl FnOnce() -> T) -> T {
    MEANWHILE.set(Some(Box::new(step)));
    let done = act();
    MEANWHILE.set(None);
    done
}
