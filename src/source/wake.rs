//! Shortens the wait between two sweeps: the kernel reports which directories changed.
//!
//! Nothing is decided by these reports. Events are lost or late, and some file systems send none and are not watched;
//! the sweep is authoritative.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::SourceError;
use super::rotation::{Identity, Seen};
use crate::mount::hears_changes;

/// The most paths that are recorded individually; beyond that, everything is looked at.
const MAX_TOUCHED: usize = 1024;

/// What was reported since the last look.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Files that were written to.
    pub(super) written: BTreeSet<PathBuf>,
    /// Former paths of whatever was removed or renamed: changes in such directories, and below them, may no longer be
    /// reported.
    pub(super) moved: BTreeSet<PathBuf>,
    /// Names appeared, disappeared or changed, or events were lost.
    pub(super) is_renamed: bool,
}

/// Ends the wait of a follower from another thread.
#[derive(Clone, Debug)]
pub struct Waker(SyncSender<()>);

impl Waker {
    /// Ends the current wait, or else the next one.
    pub fn wake(&self) {
        match self.0.try_send(()) {
            // Full: already woken. Disconnected: the follower is gone.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// A follower's receiver of the kernel's reports.
#[derive(Debug)]
pub(super) struct Wake {
    waker: Waker,
    woken: Receiver<()>,
    heard: Arc<Mutex<Heard>>,
    watcher: Option<RecommendedWatcher>,
    /// Directories that are watched, by their real paths.
    watched: BTreeMap<Identity, PathBuf>,
    /// Directories in which no changes would be reported.
    deaf: BTreeSet<Identity>,
    is_warned: bool,
}

impl Wake {
    pub(super) fn new() -> Self {
        let (sender, woken) = sync_channel(1);
        let heard = Arc::<Mutex<Heard>>::default();
        let waker = Waker(sender);
        let mut wake = Self {
            waker: waker.clone(),
            woken,
            heard: Arc::clone(&heard),
            watcher: None,
            watched: BTreeMap::new(),
            deaf: BTreeSet::new(),
            is_warned: false,
        };
        let listen = move |event: notify::Result<Event>| {
            if note(&mut heard.lock().unwrap_or_else(PoisonError::into_inner), event) {
                waker.wake();
            }
        };
        match notify::recommended_watcher(listen) {
            Ok(watcher) => wake.watcher = Some(watcher),
            Err(cause) => wake.warn(Path::new("."), cause),
        }
        wake
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits until something is reported or the waker is used, at most `timeout`. Returns true if woken.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        self.woken.recv_timeout(timeout).is_ok()
    }

    pub(super) fn take_heard(&self) -> Heard {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether a directory's changes are reported.
    pub(super) fn hears(&self, folder: Identity) -> bool {
        self.watched.contains_key(&folder)
    }

    /// Returns the directories that are watched.
    #[cfg(test)]
    pub(super) fn watched(&self) -> Vec<&Path> {
        self.watched.values().map(PathBuf::as_path).collect()
    }

    /// Watches these directories and no others. The kernel knows a directory once, whatever paths lead to it, so each
    /// is watched once, and changes are reported under its real path.
    ///
    /// Directories that were moved are watched again, even if they are back: when a path is renamed, `notify` drops its
    /// watches there and below. Returns whether any directory is newly watched: earlier changes in it were not
    /// reported.
    pub(super) fn watch(&mut self, folders: &BTreeSet<PathBuf>, moved: &BTreeSet<PathBuf>) -> bool {
        let Some(mut watcher) = self.watcher.take() else { return false };
        let mut wanted = BTreeMap::new();
        for path in folders {
            if let Ok(seen) = Seen::at(path) {
                wanted.entry(seen.identity).or_insert(path);
            }
        }
        self.deaf.retain(|identity| wanted.contains_key(identity));
        let is_kept = |(identity, real): (&Identity, &PathBuf)| {
            let is_there = |seen: Seen| seen.identity == *identity;
            let has_moved = real.ancestors().any(|path| moved.contains(path));
            wanted.contains_key(identity) && !has_moved && Seen::at(real).is_ok_and(is_there)
        };
        let old: Vec<Identity> =
            self.watched.iter().filter(|one| !is_kept(*one)).map(|one| *one.0).collect();
        for identity in old {
            self.unwatch(&mut watcher, identity);
        }
        let mut is_new = false;
        for (identity, path) in wanted {
            if !self.watched.contains_key(&identity) && !self.deaf.contains(&identity) {
                self.watch_one(&mut watcher, identity, path);
                is_new |= self.hears(identity);
            }
        }
        self.watcher = Some(watcher);
        is_new
    }

    fn watch_one(&mut self, watcher: &mut RecommendedWatcher, identity: Identity, path: &Path) {
        if !hears_changes(path) {
            tracing::info!(path = %path.display(), "Changes are found by looking once a second: others may write there.");
            self.deaf.insert(identity);
            return;
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match watcher.watch(&real, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(identity, real);
            }
            Err(cause) => self.warn(path, cause),
        }
    }

    fn unwatch(&mut self, watcher: &mut RecommendedWatcher, identity: Identity) {
        if let Some(real) = self.watched.remove(&identity)
            && let Err(cause) = watcher.unwatch(&real)
        {
            tracing::debug!(path = %real.display(), %cause, "Directory was not watched any more.");
        }
    }

    fn warn(&mut self, path: &Path, cause: notify::Error) {
        if !std::mem::replace(&mut self.is_warned, true) {
            let fault = SourceError::Watch { path: path.to_owned(), cause };
            tracing::warn!(%fault, "Changes are found by looking once a second only.");
        }
    }
}

/// Records an event; returns whether it is worth waking up for.
fn note(heard: &mut Heard, event: notify::Result<Event>) -> bool {
    match event {
        Ok(event) if event.need_rescan() => heard.is_renamed = true,
        Ok(event) => match event.kind {
            // Our own reads are reported too.
            EventKind::Access(_) => return false,
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                heard.written.extend(event.paths);
                if heard.written.len() > MAX_TOUCHED {
                    heard.written.clear();
                    heard.is_renamed = true;
                }
            }
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                note_moved(heard, event.paths);
            }
            _ => heard.is_renamed = true,
        },
        Err(_) => heard.is_renamed = true,
    }
    true
}

/// Records what was moved; above the limit, as if everything had been.
fn note_moved(heard: &mut Heard, paths: impl IntoIterator<Item = PathBuf>) {
    heard.is_renamed = true;
    heard.moved.extend(paths);
    if heard.moved.len() > MAX_TOUCHED {
        heard.moved = BTreeSet::from(["/".into()]);
    }
}
