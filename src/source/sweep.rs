//! The sweep: once a second, looks at all names and files; that is the truth about them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SourceError;
use super::discover::{self, Folders, Found, Looks, Walk};
use super::follow::{Follower, Place, ReadFrom};
use super::marks;
use super::rotation::{self, Identity, Seen};
use super::tail::{Rest, Tail};

/// Files that are gone and kept in mind, at most.
const MAX_GONE: usize = 4096;

/// A file that a watch names.
struct Listed {
    source: usize,
    read_from: ReadFrom,
    found: Found,
}

/// The newest known file of a log of which no known file stands under the watched name.
struct Front {
    at: usize,
    born: i64,
    modified: i64,
    /// When the oldest known file of the log was born; 0 if that is not known.
    oldest: i64,
}

/// Says which files are compared with one another and read in order: those of one directory whose
/// names lead back to the same log.
pub(super) fn group_of(resolved: &Path) -> u64 {
    let name = resolved.file_name().map(rotation::base).unwrap_or_default();
    marks::hash(resolved.with_file_name(name).as_os_str().as_encoded_bytes())
}

impl Follower {
    /// Looks at what is due: everything once in a while and when names changed, else the files that
    /// were written to.
    pub(super) fn look_around(&mut self, now: Duration) {
        let heard = self.wake.take_heard();
        let is_due = self.swept.is_none_or(|swept| now >= swept + self.options.sweep_every);
        let is_due = is_due || heard.is_renamed;
        let written = |tail: &Tail| {
            matches!(tail.place, Place::Listed | Place::Rotated)
                && heard.written.contains(&tail.resolved)
        };
        if is_due || !self.tails.iter_mut().filter(|t| written(t)).all(|t| is_there(t, now)) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.swept = Some(now);
        if let Some(folder) = &mut self.options.exclude
            && let Ok(real) = folder.canonicalize()
        {
            *folder = real;
        }
        let mut looks = Looks::default();
        let mut folders = Folders::default();
        let mut roots = BTreeSet::new();
        let mut listed = self.list(&mut looks, &mut roots);
        let mut lost = Vec::new();
        for (at, tail) in self.tails.iter_mut().enumerate() {
            tail.is_paused = false;
            match listed.remove(&tail.identity()) {
                Some(listed) => appear(tail, &listed, now),
                None => lost.push(at),
            }
        }
        lost.retain(|at| self.relocate(*at, &mut looks, &mut folders, now).is_some());
        self.search_between(&lost, &mut listed, &mut folders);
        self.admit_new(listed);
        self.rank_known();
        self.reap(now);
        self.forget();
        roots.extend(
            self.tails
                .iter()
                .filter(|tail| matches!(tail.place, Place::Listed | Place::Rotated))
                .map(|tail| discover::folder_of(&tail.resolved)),
        );
        self.wake.watch(&roots);
    }

    /// Lists the files that the watches name, each file once however many names it has.
    fn list(
        &mut self,
        looks: &mut Looks,
        roots: &mut BTreeSet<PathBuf>,
    ) -> BTreeMap<Identity, Listed> {
        let mut listed = BTreeMap::new();
        let mut watched = std::mem::take(&mut self.watched);
        for one in &mut watched {
            for pattern in &one.watch.patterns {
                let mut walk = Walk::default();
                walk.over(pattern);
                let is_first = one.swept.insert(pattern.clone());
                let read_from = if is_first && !self.is_known(pattern) {
                    one.watch.read_from
                } else {
                    ReadFrom::Start
                };
                for path in &walk.paths {
                    if let Some(found) = self.look(looks, path, &mut walk.faults) {
                        let source = one.watch.source;
                        let identity = found.seen.identity;
                        listed.entry(identity).or_insert(Listed { source, read_from, found });
                    }
                }
                roots.append(&mut walk.folders);
                self.warn_once(walk.faults);
            }
        }
        self.watched = watched;
        listed
    }

    /// Ranks what was known before the start, now that it was seen: before what is new, of files that
    /// were written to in the same moment.
    fn rank_known(&mut self) {
        let is_new = |tail: &Tail| tail.rank == (0, 0) && tail.place != Place::Unseen;
        let mut known: Vec<&mut Tail> = self.tails.iter_mut().filter(|tail| is_new(tail)).collect();
        known.sort_by_key(|tail| (tail.seen.modified, tail.position.born));
        for (tail, n) in known.into_iter().zip(1..) {
            tail.rank = (tail.seen.modified, n);
            tail.backlog = tail.seen.size;
        }
    }

    fn look(&self, looks: &mut Looks, path: &Path, faults: &mut Vec<SourceError>) -> Option<Found> {
        if rotation::is_compressed(path) {
            return None;
        }
        match looks.at(path) {
            Ok(found) => found.filter(|found| !self.is_excluded(&found.resolved)),
            Err(cause) => {
                let path = path.to_owned();
                faults.push(SourceError::Access { action: "looking at", path, cause });
                None
            }
        }
    }

    fn is_excluded(&self, resolved: &Path) -> bool {
        self.options.exclude.as_ref().is_some_and(|folder| resolved.starts_with(folder))
    }

    fn warn_once(&mut self, faults: Vec<SourceError>) {
        for fault in faults {
            let (SourceError::Access { path, .. } | SourceError::Pattern { pattern: path, .. }) =
                &fault
            else {
                continue;
            };
            if self.warned.insert(path.clone()) {
                tracing::warn!(%fault, "Looking for log files was not possible everywhere.");
            }
        }
    }

    /// Tells whether something that this pattern finds has been followed before.
    fn is_known(&self, pattern: &Path) -> bool {
        self.tails.iter().any(|tail| discover::origin(pattern, &tail.position.path).is_some())
    }

    /// Returns the source that lists a file under the name it has.
    pub(super) fn source_listing(&self, found: &Found) -> Option<usize> {
        self.watched
            .iter()
            .find(|one| one.watch.patterns.iter().any(|p| discover::names(p, &found.path)))
            .map(|one| one.watch.source)
            .filter(|_| !rotation::is_compressed(&found.path))
    }

    /// Finds out what became of a file that no watch names any more; nothing if that was known, or
    /// cannot be known now.
    fn relocate(
        &mut self,
        at: usize,
        looks: &mut Looks,
        folders: &mut Folders,
        now: Duration,
    ) -> Option<()> {
        let tail = self.tails.get(at)?;
        if tail.source.is_none() || tail.place == Place::Gone {
            return None;
        }
        if tail.place == Place::Unseen {
            let resolved = looks.resolve(&tail.position.path);
            let home = self.home_of(&tail.position.path, &resolved);
            let tail = self.tails.get_mut(at)?;
            tail.group = group_of(&resolved);
            (tail.resolved, tail.home) = (resolved, home);
        }
        let tail = self.tails.get_mut(at)?;
        let identity = tail.identity();
        let find = |siblings: &[Found]| {
            siblings.iter().find(|found| found.seen.identity == identity).cloned()
        };
        // A directory that cannot be read says nothing about its files.
        if let Some(found) = find(&folders.siblings(&tail.resolved)?) {
            self.rotate(at, &found, now);
        } else if let Some(seen) = tail.file.as_ref().and_then(|file| Seen::of(file).ok()) {
            tail.note(seen, now);
            tail.place = Place::Deleted;
            tail.backlog = seen.size;
        } else {
            let siblings = folders.settled(&tail.resolved)?;
            match find(&siblings) {
                Some(found) => self.rotate(at, &found, now),
                None => self.bury(at, &siblings),
            }
        }
        Some(())
    }

    /// Returns where a file stood before it was rotated.
    fn home_of(&self, path: &Path, resolved: &Path) -> PathBuf {
        let mut patterns = self.watched.iter().flat_map(|one| &one.watch.patterns);
        match patterns.find_map(|pattern| discover::origin(pattern, path)) {
            Some(name) if path.file_name() != Some(&name) => resolved.with_file_name(name),
            _ => resolved.to_owned(),
        }
    }

    /// Admits the files that stood for a while under a watched name and were rotated away unseen:
    /// newer than all that is known of the log. What stands there now and is new has to wait if
    /// files are being renamed, since nothing older is looked for once it is known.
    fn search_between(
        &mut self,
        lost: &[usize],
        listed: &mut BTreeMap<Identity, Listed>,
        folders: &mut Folders,
    ) {
        let new: BTreeSet<PathBuf> = listed.values().map(|l| l.found.resolved.clone()).collect();
        let known: BTreeSet<Identity> = self.tails.iter().map(Tail::identity).collect();
        for (home, front) in self.fronts() {
            // Of a log that was gone before this look, nothing is looked for until it is back.
            if !new.contains(&home) && lost.binary_search(&front.at).is_err() {
                continue;
            }
            let Some(siblings) = folders.siblings(&home) else { continue };
            if !new.contains(&home) && self.newer_than(&home, &front, &known, siblings).is_empty() {
                continue;
            }
            match folders.settled(&home) {
                Some(siblings) => {
                    let between = self.newer_than(&home, &front, &known, siblings);
                    self.admit_between(front.at, between);
                }
                None => listed.retain(|_, listed| listed.found.resolved != home),
            }
        }
    }

    /// Returns the newest known file of each log of which no known file stands at home.
    fn fronts(&self) -> BTreeMap<PathBuf, Front> {
        let is_listed = |tail: &&Tail| tail.place == Place::Listed;
        let at_home: BTreeSet<&Path> =
            self.tails.iter().filter(is_listed).map(|tail| tail.resolved.as_path()).collect();
        let mut fronts = BTreeMap::<PathBuf, Front>::new();
        for (at, tail) in self.tails.iter().enumerate() {
            let is_away = tail.source.is_some()
                && !matches!(tail.place, Place::Unseen | Place::Listed)
                && !at_home.contains(tail.home.as_path());
            if !is_away {
                continue;
            }
            // A compressed file is born later than what it holds, but keeps the time of it.
            let is_compressed = rotation::is_compressed(&tail.resolved);
            let born = if is_compressed { 0 } else { tail.position.born };
            let modified = tail.seen.modified;
            let front = Front { at, born, modified, oldest: born };
            let front = fronts.entry(tail.home.clone()).or_insert(front);
            let oldest = [front.oldest, born].into_iter().filter(|born| *born > 0).min();
            front.oldest = oldest.unwrap_or_default();
            if (front.born, front.modified) <= (born, modified) {
                // When a file that is gone was written to is not known: then another one says it.
                let modified = if modified == 0 { front.modified } else { modified };
                *front = Front { at, born, modified, ..*front };
            } else if front.modified == 0 {
                front.modified = modified;
            }
        }
        fronts
    }

    /// Keeps what no one knows, comes from home, was last written to after the newest known file,
    /// and born after the oldest one: what was rotated before the first start was born before that.
    /// The newest one's birth is no bound, since files are admitted in the order of their last
    /// writing. After a crash among them, a copy may be known that is younger than its original.
    fn newer_than(
        &self,
        home: &Path,
        front: &Front,
        known: &BTreeSet<Identity>,
        mut siblings: Vec<Found>,
    ) -> Vec<Found> {
        let paths: BTreeSet<PathBuf> = siblings.iter().map(|found| found.path.clone()).collect();
        siblings.retain(|found| {
            let seen = &found.seen;
            let is_newer = if rotation::is_compressed(&found.path) {
                // Beside its original it is still being made.
                let is_whole = !paths.contains(&found.path.with_extension(""));
                is_whole && front.modified > 0 && seen.modified > front.modified
            } else {
                front.oldest.max(front.modified) > 0
                    && seen.identity.born >= front.oldest
                    && seen.modified >= front.modified
            };
            let comes_from_home = || {
                let name = found.path.file_name().unwrap_or_default();
                rotation::origins(name).iter().any(|name| home.file_name() == Some(name))
            };
            is_newer
                && !known.contains(&seen.identity)
                && comes_from_home()
                && self.source_listing(found).is_none()
        });
        siblings
    }

    /// Takes note that a file stands under another name.
    fn rotate(&mut self, at: usize, found: &Found, now: Duration) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        if rotation::is_compressed(&found.path) {
            // Read by name of the stored position; whether to its end, its size says.
            tail.place = Place::Gone;
            if tail.position.size > tail.position.offset {
                self.resume(at, found);
            }
            return;
        }
        if tail.place == Place::Unseen {
            tail.changed_at = now;
        }
        tail.note(found.seen, now);
        tail.place = Place::Rotated;
        tail.backlog = found.seen.size;
        tail.resolved.clone_from(&found.resolved);
        // The name beside the one that is watched, if links do not come between the two.
        let path = discover::folder_of(&tail.position.path);
        let path = found.path.file_name().map(|name| path.join(name)).unwrap_or_default();
        if Seen::at(&path).is_ok_and(|seen| seen.identity == tail.identity()) {
            tail.position.path = path;
        }
    }

    /// A file is nowhere: finds its content elsewhere, or says what was lost.
    fn bury(&mut self, at: usize, siblings: &[Found]) {
        if self.find_copy(at, siblings).is_none() {
            self.tell_gap(at);
        }
        if let Some(tail) = self.tails.get_mut(at) {
            tail.place = Place::Gone;
        }
    }

    /// Admits what the watches name and nobody knew, oldest first.
    fn admit_new(&mut self, listed: BTreeMap<Identity, Listed>) {
        let claimed: BTreeSet<Identity> = self.tails.iter().map(Tail::identity).collect();
        let mut new: Vec<Listed> = listed
            .into_values()
            .filter(|listed| !claimed.contains(&listed.found.seen.identity))
            .collect();
        new.sort_by(|one, two| {
            let key = |l: &Listed| (l.found.seen.modified, std::cmp::Reverse(l.found.path.clone()));
            key(one).cmp(&key(two))
        });
        for listed in new {
            let at = self.admit_listed(&listed.found, listed.source);
            if listed.read_from == ReadFrom::End
                && let Err(cause) = self.start_at_end(at)
            {
                self.pause(at, cause);
            }
            self.ready.extend(self.tails.get(at).map(Tail::announce));
        }
    }

    fn start_at_end(&mut self, at: usize) -> io::Result<()> {
        if self.open(at)?
            && let Some(tail) = self.tails.get_mut(at)
        {
            tail.start_at_end()?;
        }
        Ok(())
    }

    /// Takes the last words of rotated files that nobody writes to any more, and lets go of them.
    fn reap(&mut self, now: Duration) {
        // Where the watches name rotated files too, those count as rotated that have a successor.
        let has_first_name = |tail: &&Tail| tail.place == Place::Listed && !has_rotated_name(tail);
        let live: BTreeSet<u64> =
            self.tails.iter().filter(has_first_name).map(|tail| tail.group).collect();
        for at in 0..self.tails.len() {
            let Some(tail) = self.tails.get(at) else { continue };
            let is_rotated = matches!(tail.place, Place::Rotated | Place::Deleted)
                || (has_rotated_name(tail) && live.contains(&tail.group));
            let is_over = is_rotated
                && tail.place != Place::Gone
                && !tail.has_news()
                && now >= tail.changed_at + self.options.rotate_wait;
            if !is_over {
                continue;
            }
            if !tail.is_finished() && tail.is_judged {
                match self.take_last_words(at) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(cause) => {
                        self.pause(at, cause);
                        continue;
                    }
                }
            }
            let Some(tail) = self.tails.get_mut(at) else { continue };
            tail.set_finished();
            tail.file = None;
            if tail.place == Place::Deleted {
                tail.place = Place::Gone;
            }
        }
    }

    /// Takes what stands behind the last line end. False if there was more than that.
    fn take_last_words(&mut self, at: usize) -> io::Result<bool> {
        let has_rest = self.tails.get(at).is_some_and(|t| t.seen.size > t.position.offset);
        while has_rest && self.try_advance(at, Rest::Take)?.is_some() {}
        Ok(self.tails.get(at).is_some_and(|tail| tail.seen.size <= tail.position.offset))
    }

    /// Forgets the files that have been gone longest.
    fn forget(&mut self) {
        let n_gone = self.tails.iter().filter(|tail| tail.place == Place::Gone).count();
        let mut surplus = n_gone.saturating_sub(MAX_GONE);
        self.tails.retain(|tail| {
            let is_kept = tail.place != Place::Gone || surplus == 0;
            surplus -= usize::from(!is_kept);
            is_kept
        });
    }
}

fn has_rotated_name(tail: &Tail) -> bool {
    tail.resolved.file_name().is_some_and(|name| rotation::base(name) != name)
}

/// Takes note that a file stands under a name that is watched.
fn appear(tail: &mut Tail, listed: &Listed, now: Duration) {
    let found = &listed.found;
    tail.note(found.seen, now);
    tail.place = Place::Listed;
    tail.source = Some(listed.source);
    tail.resolved.clone_from(&found.resolved);
    tail.position.path.clone_from(&found.path);
    tail.group = group_of(&found.resolved);
}

/// Looks at one file; false if another one stands in its place.
fn is_there(tail: &mut Tail, now: Duration) -> bool {
    match Seen::at(&tail.resolved) {
        Ok(seen) if seen.identity == tail.identity() => {
            tail.note(seen, now);
            true
        }
        _ => false,
    }
}
