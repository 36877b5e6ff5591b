//! The sweep: looks at all names and files, once a second unless all is quiet. Its results are authoritative.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SourceError;
use super::discover::{self, Walk};
use super::follow::{Follower, Place, Watched};
use super::look::{self, Folders, Found, Look, Looks};
use super::marks;
use super::quiet::{is_glanced_at, note_swept};
use super::rotation::{self, Identity, Seen};
use super::tail::Tail;
use crate::engine::line::{Loss, ReadFrom, StreamId};

/// Time without a fault of a path after which its next fault is logged again.
pub(super) const CURED: Duration = Duration::from_hours(1);

/// A file that a watch names.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) source: usize,
    pub(super) read_from: ReadFrom,
    pub(super) found: Found,
}

/// Returns the group of files that are compared with one another and read in order: those of one directory whose names
/// lead back to the same log.
pub(super) fn group_of(resolved: &Path) -> u64 {
    marks::hash(look::log_of(resolved).as_os_str().as_encoded_bytes())
}

/// Returns the group of the log with this name one directory above.
pub(super) fn group_above(resolved: &Path) -> u64 {
    let above = discover::folder_of(&discover::folder_of(resolved));
    group_of(&above.join(resolved.file_name().unwrap_or_default()))
}

impl Follower {
    /// Looks at what is due: everything from time to time and when names changed, else the files that were written to,
    /// and once a second those that are not at rest.
    pub(super) fn look_around(&mut self, now: Duration) {
        let heard = self.wake.take_heard();
        let is_due = self.looked.is_none_or(|looked| now >= looked + self.options.sweep_every);
        let mut are_there = true;
        for tail in self.tails.iter_mut().filter(|tail| heard.written.contains(&tail.resolved)) {
            tail.is_unheard = false;
            are_there &= !has_name(tail) || is_there(tail, now);
        }
        if heard.is_renamed || (is_due && !self.is_quiet(now)) {
            return self.sweep(now, &heard.moved);
        }
        if is_due {
            self.looked = Some(now);
            let is_asked = |tail: &&mut Tail| has_name(tail) && is_glanced_at(tail, now);
            are_there &= self.tails.iter_mut().filter(is_asked).all(|tail| is_there(tail, now));
        }
        if !are_there {
            self.sweep(now, &heard.moved);
        }
    }

    fn sweep(&mut self, now: Duration, moved: &BTreeSet<PathBuf>) {
        (self.swept, self.looked) = (Some(now), Some(now));
        self.quiet.has_faults = false;
        self.warned.retain(|_, failed| now < *failed + CURED);
        if let Some(folder) = &mut self.options.exclude
            && let Ok(real) = folder.canonicalize()
        {
            *folder = real;
        }
        let mut looks = Looks::default();
        let mut folders = Folders::default();
        let mut roots = BTreeSet::new();
        let mut listed = self.list(&mut looks, &mut roots);
        self.retry_drains(now);
        let mut lost = Vec::new();
        for (at, tail) in self.tails.iter_mut().enumerate() {
            (tail.is_paused, tail.is_moved) = (false, false);
            match listed.remove(&tail.identity()) {
                Some(listed) => appear(tail, &listed, now),
                None => lost.push(at),
            }
        }
        folders.settle(&self.logs_to_find(&lost, &mut looks));
        lost.sort_by_key(|at| self.tails.get(*at).map(order_of_search));
        lost.retain(|at| self.relocate(*at, &mut folders, now).is_some());
        lost.sort_unstable();
        let logs = self.logs_in_doubt(&lost, &listed, &mut folders);
        folders.settle(&logs);
        self.follow_names(&logs, &mut folders, now);
        self.rank_known(&mut folders);
        self.admit_unknown(listed, &logs, &mut folders);
        self.judge_drains();
        self.reap(&mut folders, now);
        self.forget();
        let polled = |watched: &&Watched| watched.watch.is_polled;
        let sources = |watched: &Watched| {
            let like = watched.watch.like.iter().map(|watch| watch.source);
            like.chain([watched.watch.source]).collect::<Vec<_>>()
        };
        let polled: BTreeSet<usize> =
            self.watched.iter().filter(polled).flat_map(sources).collect();
        let is_heard = |tail: &&Tail| tail.source.is_some_and(|source| !polled.contains(&source));
        roots.extend(
            self.tails
                .iter()
                .filter(|tail| has_name(tail))
                .filter(is_heard)
                .map(|tail| discover::folder_of(&tail.resolved)),
        );
        if self.wake.watch(&roots, moved) {
            self.quiet.wake_up(now);
        }
        self.quiet.set(roots, self.n_turns);
    }

    /// Lists the files that the watches name, each file once, however many names it has.
    fn list(
        &mut self,
        looks: &mut Looks,
        roots: &mut BTreeSet<PathBuf>,
    ) -> BTreeMap<Identity, Listed> {
        let mut listed = BTreeMap::new();
        let mut watched = std::mem::take(&mut self.watched);
        for one in &mut watched {
            for pattern in &one.watch.patterns {
                let mut walk = Walk::outside(self.options.exclude.as_deref());
                walk.over(pattern);
                let is_first = one.swept.insert(pattern.clone());
                let is_followed = !is_first || self.is_known(pattern);
                for path in &walk.paths {
                    let Some(found) = self.look(looks, path, &mut walk.faults) else {
                        self.quiet.has_faults |= is_broken_link(path);
                        continue;
                    };
                    let source = one.watch.source_of(path);
                    let identity = found.seen.identity;
                    let is_new = is_followed || self.came_since(pattern, identity);
                    let read_from = if is_new { ReadFrom::Start } else { one.watch.read_from };
                    listed.entry(identity).or_insert(Listed { source, read_from, found });
                }
                self.quiet.has_faults |= !walk.faults.is_empty();
                if !one.watch.is_polled {
                    roots.append(&mut walk.folders);
                }
                self.warn_once(walk.faults);
            }
        }
        self.watched = watched;
        listed
    }

    /// Determines the order of the files known before the start, now that they were seen: they precede new files that
    /// began at the same moment. While names keep changing, the order is unknown.
    fn rank_known(&mut self, folders: &mut Folders) {
        let mut moving = BTreeMap::new();
        for tail in self.tails.iter().filter(|tail| tail.turn == 0) {
            let is_moving = || folders.is_moving(&look::log_of(&tail.resolved));
            moving.entry(tail.group).or_insert_with(is_moving);
        }
        let is_new = |tail: &Tail| {
            tail.turn == 0 && tail.place != Place::Unseen && moving.get(&tail.group) == Some(&false)
        };
        let new: Vec<usize> =
            (0..self.tails.len()).filter(|at| self.tails.get(*at).is_some_and(is_new)).collect();
        for at in &new {
            let began = self.tails.get(*at).map(|tail| self.began(tail)).unwrap_or_default();
            if let Some(tail) = self.tails.get_mut(*at) {
                tail.began = began;
            }
        }
        let mut known: Vec<&mut Tail> = self.tails.iter_mut().filter(|tail| is_new(tail)).collect();
        known.sort_by_cached_key(|tail| {
            let name = tail.resolved.file_name().unwrap_or_default();
            (tail.began, tail.position.generation, tail.seen.modified, rotation::youth(name))
        });
        for (tail, turn) in known.into_iter().zip(1..) {
            tail.turn = turn;
            tail.backlog = tail.seen.size;
        }
    }

    /// Returns when the contents of a file known before the start began. A later life of which nothing was read follows
    /// the copies, which were made before it began.
    fn began(&self, tail: &Tail) -> i64 {
        if tail.position.generation == 0 || tail.position.offset > 0 {
            return tail.seen.began();
        }
        let renewed = tail.position.tail.cast_signed();
        let is_copy = |one: &&Tail| {
            let is_away = !matches!(one.place, Place::Unseen | Place::Sought | Place::Gone);
            one.group == tail.group && is_away && one.seen.modified <= renewed
        };
        let copies = self.tails.iter().filter(is_copy).map(|one| one.seen.began());
        copies.fold(tail.seen.began(), i64::max)
    }

    fn look(&self, looks: &mut Looks, path: &Path, faults: &mut Vec<SourceError>) -> Option<Found> {
        if rotation::is_compressed(path) {
            return None;
        }
        match looks.at(path) {
            Ok(found) => found.filter(|found| !self.is_excluded(found)),
            Err(cause) => {
                let path = path.to_owned();
                faults.push(SourceError::Access { action: "looking at", path, cause });
                None
            }
        }
    }

    fn is_excluded(&self, found: &Found) -> bool {
        let is_in = |folder: &PathBuf| found.resolved.starts_with(folder);
        self.options.exclude.as_ref().is_some_and(is_in) || self.own.contains(&found.seen.identity)
    }

    pub(super) fn warn_once(&mut self, faults: Vec<SourceError>) {
        let now = self.swept.unwrap_or_default();
        for fault in faults {
            let (SourceError::Access { path, .. } | SourceError::Pattern { pattern: path, .. }) =
                &fault
            else {
                continue;
            };
            if self.warned.insert(path.clone(), now).is_none() {
                tracing::warn!(%fault, "Looking for log files was not possible everywhere.");
            }
        }
    }

    /// Returns whether a file that this pattern finds has been followed before.
    fn is_known(&self, pattern: &Path) -> bool {
        self.tails.iter().any(|tail| discover::origin(pattern, &tail.position.path).is_some())
    }

    /// Returns whether a file was created since the runs before began to follow a pattern, so that none of them can
    /// have left it out as history. Without a birth time, it counts as new: then nothing is lost.
    fn came_since(&self, pattern: &Path, file: Identity) -> bool {
        let since = self.options.followed.get(pattern);
        since.is_some_and(|since| file.born == 0 || since.0 <= file.born / 1000)
    }

    /// Returns the source that lists a file under its current name.
    pub(super) fn source_listing(&self, found: &Found) -> Option<usize> {
        self.watched
            .iter()
            .find(|one| one.watch.names(&found.path))
            .map(|one| one.watch.source_of(&found.path))
            .filter(|_| !rotation::is_compressed(&found.path))
    }

    /// Determines where the files known from before the start that no watch names any more would be; returns their
    /// logs.
    fn logs_to_find(&mut self, lost: &[usize], looks: &mut Looks) -> BTreeSet<PathBuf> {
        let mut logs = BTreeSet::new();
        for at in lost {
            let Some(tail) = self.tails.get(*at) else { continue };
            if tail.source.is_none() || tail.place != Place::Unseen {
                continue;
            }
            let resolved = looks.resolve(&tail.position.path);
            let home = self.home_of(&tail.position.path, &resolved);
            let Some(tail) = self.tails.get_mut(*at) else { continue };
            logs.insert(look::log_of(&resolved));
            tail.group = group_of(&resolved);
            (tail.resolved, tail.home) = (resolved, home);
        }
        logs
    }

    /// Finds out what became of a file that no watch names any more; returns `None` if that was known, or cannot be
    /// determined now.
    fn relocate(&mut self, at: usize, folders: &mut Folders, now: Duration) -> Option<()> {
        let tail = self.tails.get_mut(at)?;
        if tail.source.is_none() || tail.place == Place::Gone {
            return None;
        }
        let identity = tail.identity();
        // A directory that cannot be read shows nothing about its files.
        let near = folders.look(&tail.resolved)?;
        if tail.place != Place::Unseen
            && let Some(found) = near.find(identity)
        {
            self.rotate(at, found, now);
            return Some(());
        }
        let mut found = all_beside(tail, folders)?.find(identity).cloned();
        if found.is_none() && tail.place != Place::Deleted {
            found = folders.find_anywhere(&tail.resolved, identity);
        }
        if let Some(found) = found {
            self.rotate(at, &found, now);
        } else if let Some(seen) = tail.file.as_ref().and_then(|file| Seen::of(file).ok()) {
            tail.note(seen, now);
            tail.place = Place::Deleted;
            tail.backlog = seen.size;
        } else {
            let all = all_beside(tail, folders)?;
            self.bury(at, &all.files);
        }
        Some(())
    }

    /// Returns the path of a file before its rotation.
    fn home_of(&self, path: &Path, resolved: &Path) -> PathBuf {
        let mut patterns = self.watched.iter().flat_map(|one| &one.watch.patterns);
        match patterns.find_map(|pattern| discover::origin(pattern, path)) {
            Some(name) if path.file_name() != Some(&name) => resolved.with_file_name(name),
            _ => resolved.to_owned(),
        }
    }

    /// Records that a file has another name.
    pub(super) fn rotate(&mut self, at: usize, found: &Found, now: Duration) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        if rotation::is_compressed(&found.path) {
            // Read under the name in the stored position; its size shows whether it was read to the end or given up.
            tail.place = Place::Gone;
            if tail.position.size > tail.position.offset || tail.was_given_up {
                self.resume(at, found);
            }
            return;
        }
        if tail.place == Place::Unseen {
            tail.changed_at = now;
        }
        note_swept(tail, found.seen, now);
        tail.place = Place::Rotated;
        tail.backlog = found.seen.size;
        tail.resolved.clone_from(&found.resolved);
        tail.is_link = false;
        if look::log_of(&found.resolved) != look::log_of(&tail.home) {
            // Such a name does not lead back to the log. The last one that does is kept, by which the file is found
            // again.
            return;
        }
        // The name next to the watched one, unless there are links between the two.
        let path = discover::folder_of(&tail.position.path);
        let path = found.path.file_name().map(|name| path.join(name)).unwrap_or_default();
        let is_there = |seen: Seen| seen.identity == tail.identity();
        if path == found.path || Seen::at(&path).is_ok_and(is_there) {
            tail.position.path = path;
        }
    }

    /// Handles a file that is nowhere: finds its contents elsewhere, or reports what was lost. If that cannot be
    /// determined yet, it is searched for again in the next sweep.
    fn bury(&mut self, at: usize, siblings: &[Found]) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        tail.position.size = tail.known_end();
        let written = tail.written();
        let beside = self.find_copy(at, siblings, written);
        let found = if let Ok(None) = beside { self.find_below(at, written) } else { beside };
        let place = match found {
            Ok(Some(_)) => Place::Gone,
            Ok(None) => {
                self.tell_replaced(at);
                self.tell_gap(at, Loss::Removed);
                Place::Gone
            }
            Err(cause) => {
                self.pause(at, cause);
                Place::Sought
            }
        };
        if let Some(tail) = self.tails.get_mut(at) {
            tail.place = place;
        }
    }

    /// Forgets the oldest of the files that are gone. The youngest file of each log is forgotten last, and among those
    /// the ones whose directories are gone, since they may come back with the directories.
    fn forget(&mut self) {
        let gone = self.tails.iter().filter(|tail| tail.place == Place::Gone);
        let surplus = gone.clone().count().saturating_sub(self.options.max_gone);
        if surplus == 0 {
            return;
        }
        let age = |tail: &Tail| (tail.position.born, tail.turn);
        let mut youngest = BTreeMap::<u64, (i64, u64)>::new();
        for tail in &self.tails {
            let youngest = youngest.entry(tail.group).or_default();
            *youngest = age(tail).max(*youngest);
        }
        let mut folders = BTreeMap::<PathBuf, bool>::new();
        let mut last = |tail: &Tail| {
            let folder = folders.entry(discover::folder_of(&tail.resolved));
            let is_away = !*folder.or_insert_with_key(|folder| folder.exists());
            let is_youngest = youngest.get(&tail.group) == Some(&age(tail));
            (is_youngest, is_youngest && is_away)
        };
        let mut gone: Vec<_> = gone.map(|tail| (last(tail), age(tail), tail.stream)).collect();
        gone.sort_unstable();
        let oldest: BTreeSet<StreamId> =
            gone.into_iter().take(surplus).map(|(_, _, stream)| stream).collect();
        self.tails.retain(|tail| tail.place != Place::Gone || !oldest.contains(&tail.stream));
        self.forgotten.extend(oldest);
    }
}

/// Records that a file has a watched name.
pub(super) fn appear(tail: &mut Tail, listed: &Listed, now: Duration) {
    let found = &listed.found;
    note_swept(tail, found.seen, now);
    if tail.place == Place::Unseen {
        tail.home.clone_from(&found.resolved);
    }
    if tail.resolved != found.resolved {
        // Rotated to a name that is watched too: what was written before is read first.
        tail.backlog = found.seen.size;
    }
    tail.place = Place::Listed;
    tail.source = Some(listed.source);
    tail.resolved.clone_from(&found.resolved);
    tail.is_link = found.is_link;
    tail.position.path.clone_from(&found.path);
    tail.group = group_of(&found.resolved);
}

/// Returns the order in which lost files are searched for. Those with unread contents come first, since an unknown file
/// could belong to any of them; then those that were read furthest: a log that became another file several times
/// contains what was read of each of these, and continues after the last one.
const fn order_of_search(tail: &Tail) -> (bool, Reverse<u64>) {
    (tail.position.size <= tail.position.offset, Reverse(tail.position.offset))
}

/// Returns whether a link is broken: its target may appear without being reported.
fn is_broken_link(path: &Path) -> bool {
    !rotation::is_compressed(path) && path.is_symlink() && !path.exists()
}

/// Returns the files of a tail's log; if the tail has a name, in their state at one moment.
fn all_beside<'a>(tail: &Tail, folders: &'a mut Folders) -> Option<&'a Look> {
    match tail.place {
        Place::Deleted => folders.look(&tail.resolved),
        _ => folders.settled(&tail.resolved),
    }
}

/// Returns whether a file has a name.
const fn has_name(tail: &Tail) -> bool {
    matches!(tail.place, Place::Listed | Place::Rotated)
}

/// Looks at one file; returns false if another one has taken its place.
fn is_there(tail: &mut Tail, now: Duration) -> bool {
    let path = if tail.is_link { &tail.position.path } else { &tail.resolved };
    match Seen::at(path) {
        Ok(seen) if seen.identity == tail.identity() => {
            tail.note(seen, now);
            true
        }
        _ => false,
    }
}
