//! Admits unknown files: those that the watches name, and those that were there for a while and were rotated away
//! unseen.
//!
//! If any file of a log is known, new ones are admitted only from a look at all of its files at one moment: a look
//! while names change could miss an older file, and once a younger file is known, nothing older is searched for.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SourceError;
use super::follow::{Follower, Place};
use super::lineage::may_open;
use super::look::{self, Folders, Found};
use super::rotation::{self, Identity, Youth};
use super::search;
use super::sweep::{Listed, appear, group_of};
use super::tail::Tail;
use crate::engine::line::ReadFrom;

/// Order among the files of one log, oldest first: by when the content began; then by when it was last changed, since
/// both may fall into one tick of the file system's clock; then by name.
type Age = (i64, i64, (Youth, PathBuf));

fn age(found: &Found) -> Age {
    (found.seen.began(), found.seen.modified, name_of(&found.path))
}

/// Returns the order of files by their names alone, oldest first.
pub(super) fn name_of(path: &Path) -> (Youth, PathBuf) {
    (rotation::youth(path.file_name().unwrap_or_default()), path.to_owned())
}

/// The youngest known file of a log, if no known file of the log has the watched name.
struct Front {
    at: usize,
    group: u64,
    began: i64,
    /// When it, or else another known file, was last written to; 0 if unknown.
    modified: i64,
}

/// Adds a known file of a log, which may be its youngest.
fn add_front(fronts: &mut BTreeMap<PathBuf, Front>, home: PathBuf, at: usize, tail: &Tail) {
    // A compressed file has a later birth than its content, but keeps the content's time.
    let is_compressed = rotation::is_compressed(&tail.resolved);
    let began = match tail.place {
        _ if is_compressed => 0,
        Place::Gone | Place::Sought => tail.position.born,
        _ => tail.began,
    };
    let modified = tail.written();
    let front = Front { at, group: tail.group, began, modified };
    let front = fronts.entry(home).or_insert(front);
    if (front.began, front.modified) <= (began, modified) {
        // When a missing file was last written to is unknown; another file's time is used.
        let modified = if modified == 0 { front.modified } else { modified };
        *front = Front { at, group: tail.group, began, modified };
    } else if front.modified == 0 {
        front.modified = modified;
    }
}

/// An unknown file, and how it was found.
enum Unknown {
    /// A watch names it, or did so when names were listed; and how it was found now.
    Listed(Listed, Found),
    /// It was rotated from the same name as a known file.
    Sibling(Found, usize),
}

impl Unknown {
    fn listed(listed: Listed) -> Self {
        let found = listed.found.clone();
        Self::Listed(listed, found)
    }

    const fn found(&self) -> &Found {
        match self {
            Self::Listed(_, found) | Self::Sibling(found, _) => found,
        }
    }
}

impl Follower {
    /// Returns the logs with known files that need a look at all of their files at one moment: because a watch names a
    /// new file, because a file may have come and gone, or because their order is needed. `lost` are the files that no
    /// watch names any more.
    pub(super) fn logs_in_doubt(
        &self,
        lost: &[usize],
        listed: &BTreeMap<Identity, Listed>,
        folders: &mut Folders,
    ) -> BTreeSet<PathBuf> {
        let mut known = BTreeMap::<u64, usize>::new();
        for tail in &self.tails {
            *known.entry(tail.group).or_default() += 1;
        }
        let mut logs: BTreeSet<PathBuf> = listed
            .values()
            .map(|listed| look::log_of(&listed.found.resolved))
            .filter(|log| known.contains_key(&group_of(log)))
            .collect();
        let is_unordered = |tail: &&Tail| {
            tail.turn == 0
                && tail.source.is_some()
                && known.get(&tail.group).is_some_and(|n| *n > 1)
        };
        let unordered = self.tails.iter().filter(is_unordered);
        logs.extend(unordered.map(|tail| look::log_of(&tail.resolved)));
        for (home, front) in self.fronts() {
            // If a log was gone before this look, nothing is searched for until it is back.
            let is_lost = lost.binary_search(&front.at).is_ok();
            let look = if is_lost { folders.look(&home) } else { None };
            let siblings = look.map_or(&[][..], |look| &look.files);
            if siblings.iter().any(|found| self.is_unseen(found, &home, &front, siblings)) {
                logs.insert(look::log_of(&home));
            }
        }
        logs
    }

    /// Updates the names of known files.
    pub(super) fn follow_names(
        &mut self,
        logs: &BTreeSet<PathBuf>,
        folders: &mut Folders,
        now: Duration,
    ) {
        let identities = self.tails.iter().map(Tail::identity).zip(0..);
        let known: BTreeMap<Identity, usize> = identities.collect();
        for log in logs {
            let Some(look) = folders.settled(log) else { continue };
            let files = &look.files;
            let is_plain = |found: &&Found| !rotation::is_compressed(&found.path);
            for found in files.iter().filter(is_plain) {
                let at = known.get(&found.seen.identity).copied();
                let Some((at, tail)) = at.and_then(|at| Some((at, self.tails.get(at)?))) else {
                    continue;
                };
                let is_there = |one: &Found| {
                    one.seen.identity == found.seen.identity && one.resolved == tail.resolved
                };
                let is_here = tail.source.is_some() && look::log_of(&tail.resolved) == *log;
                if is_here && !files.iter().any(is_there) {
                    self.follow_name(at, found, now);
                }
            }
        }
    }

    fn follow_name(&mut self, at: usize, found: &Found, now: Duration) {
        match self.source_listing(found) {
            Some(source) => {
                let found = found.clone();
                let listed = Listed { source, read_from: ReadFrom::Start, found };
                if let Some(tail) = self.tails.get_mut(at) {
                    appear(tail, &listed, now);
                }
            }
            None => self.rotate(at, found, now),
        }
    }

    /// Admits the unknown files that the watches name, and those that were rotated away unseen: younger than all known
    /// files of a log of which no known file has the watched name any more.
    pub(super) fn admit_unknown(
        &mut self,
        listed: BTreeMap<Identity, Listed>,
        in_doubt: &BTreeSet<PathBuf>,
        folders: &mut Folders,
    ) {
        let mut logs: BTreeMap<PathBuf, Vec<Listed>> =
            in_doubt.iter().map(|log| (log.clone(), Vec::new())).collect();
        for listed in listed.into_values() {
            logs.entry(look::log_of(&listed.found.resolved)).or_default().push(listed);
        }
        let known: BTreeSet<Identity> = self.tails.iter().map(Tail::identity).collect();
        let fronts = self.fronts();
        for (log, listed) in logs {
            let mut is_readable = || folders.look(&log).is_some();
            if !in_doubt.contains(&log) || !is_readable() {
                self.admit_all(listed.into_iter().map(Unknown::listed).collect());
            } else if let Some(look) = folders.settled(&log) {
                let all = &look.files;
                let is_new = |found: &&Found| !known.contains(&found.seen.identity);
                let unknown = all.iter().filter(is_new).filter_map(|found| {
                    self.know(found, &listed).or_else(|| self.sibling(found, &log, &fronts, all))
                });
                let unknown = unknown.collect();
                self.admit_all(unknown);
            }
        }
    }

    /// Returns how a file was found that a watch names, or named when names were listed.
    fn know(&self, found: &Found, listed: &[Listed]) -> Option<Unknown> {
        let named = listed.iter().find(|one| one.found.seen.identity == found.seen.identity);
        match (named, self.source_listing(found)) {
            (Some(one), _) if one.found.resolved == found.resolved => {
                Some(Unknown::listed(one.clone()))
            }
            (_, Some(source)) => {
                // A file that came since names were listed begins like the listed files.
                let read_from = listed.first().map_or(ReadFrom::Start, |listed| listed.read_from);
                Some(Unknown::listed(Listed { source, read_from, found: found.clone() }))
            }
            (Some(one), None) => Some(Unknown::Listed(one.clone(), found.clone())),
            (None, None) => None,
        }
    }

    /// Admits files, oldest first. A truncated log is older than its copies here; its rank ensures that the copies are
    /// read first.
    fn admit_all(&mut self, mut unknown: Vec<Unknown>) {
        unknown.sort_by_cached_key(|unknown| age(unknown.found()));
        for unknown in unknown {
            match unknown {
                Unknown::Listed(listed, found) => self.admit_listed(&listed, &found),
                Unknown::Sibling(found, at) => self.admit_sibling(at, &found),
            }
        }
    }

    fn admit_listed(&mut self, listed: &Listed, found: &Found) {
        if self.tails.iter().any(|tail| tail.identity() == found.seen.identity) {
            return;
        }
        let is_listed = listed.found.resolved == found.resolved;
        let place = if is_listed { Place::Listed } else { Place::Rotated };
        let at = self.add(found, place, Some(listed.source));
        if let Some(tail) = self.tails.get_mut(at) {
            tail.home.clone_from(&listed.found.resolved);
            tail.begins_at_end = listed.read_from == ReadFrom::End;
        }
        if listed.read_from == ReadFrom::Start {
            self.ready.extend(self.tails.get_mut(at).map(Tail::announce));
        } else if let Err(cause) = self.start_at_end(at) {
            self.pause(at, cause);
        }
    }

    /// Makes a file begin at its end, and announces that. Returns false if another file has taken its place.
    pub(super) fn start_at_end(&mut self, at: usize) -> io::Result<bool> {
        let is_open = self.open(at)?;
        if let Some(tail) = self.tails.get_mut(at).filter(|_| is_open) {
            tail.start_at_end()?;
            self.ready.push_back(tail.announce());
        }
        Ok(is_open)
    }

    /// Admits files that came and were rotated away unseen, as siblings of a known one; oldest first.
    pub(super) fn admit_between(&mut self, at: usize, mut others: Vec<Found>) {
        let known: BTreeSet<Identity> = self.tails.iter().map(Tail::identity).collect();
        let home = self.tails.get(at).map(|tail| tail.home.clone()).unwrap_or_default();
        others.retain(|found| {
            !known.contains(&found.seen.identity)
                && self.source_listing(found).is_none()
                && self.is_name_of(found.path.file_name().unwrap_or_default(), &home)
        });
        others.sort_by_cached_key(age);
        for found in others {
            self.admit_sibling(at, &found);
        }
    }

    fn admit_sibling(&mut self, at: usize, found: &Found) {
        if self.tails.iter().any(|tail| tail.identity() == found.seen.identity) {
            return;
        }
        if rotation::is_compressed(&found.path) {
            match self.unpack_unread(at, found) {
                Ok(_) => {}
                Err(cause) if may_open(&cause) => self.unpack_later(at, found, &cause),
                Err(cause) => {
                    let path = found.path.clone();
                    self.warn_once(vec![SourceError::Access { action: "opening", path, cause }]);
                }
            }
        } else {
            let new = self.admit(Place::Rotated, found, at);
            self.ready.extend(self.tails.get_mut(new).map(Tail::announce));
        }
    }

    /// Returns what a file is that was rotated away unseen: the sibling of the youngest known file of its log.
    fn sibling(
        &self,
        found: &Found,
        log: &Path,
        fronts: &BTreeMap<PathBuf, Front>,
        all: &[Found],
    ) -> Option<Unknown> {
        let group = group_of(log);
        let mut fronts = fronts.iter().filter(|(_, front)| front.group == group);
        let (_, front) = fronts.find(|(home, front)| self.is_unseen(found, home, front, all))?;
        Some(Unknown::Sibling(found.clone(), front.at))
    }

    /// Returns the youngest known file of each log of which no known file has its original name.
    fn fronts(&self) -> BTreeMap<PathBuf, Front> {
        let is_listed = |tail: &&Tail| tail.place == Place::Listed;
        let at_home: BTreeSet<&Path> =
            self.tails.iter().filter(is_listed).map(|tail| tail.resolved.as_path()).collect();
        let mut fronts = BTreeMap::<PathBuf, Front>::new();
        let is_known = |tail: &Tail| tail.source.is_some() && tail.place != Place::Unseen;
        for (at, tail) in self.tails.iter().enumerate().filter(|(_, tail)| is_known(tail)) {
            for home in self.homes_of(tail).filter(|home| !at_home.contains(home.as_path())) {
                add_front(&mut fronts, home, at, tail);
            }
        }
        fronts
    }

    /// Returns the path that a file had before any rotation that was seen, and before any at all: if a watch names both
    /// the log and its rotated files, the file may have been rotated when it was first seen.
    fn homes_of(&self, tail: &Tail) -> impl Iterator<Item = PathBuf> {
        let first = rotation::unrotated(&tail.home);
        let is_watched =
            first != tail.home && self.watched.iter().any(|one| one.watch.names(&first));
        [Some(tail.home.clone()), is_watched.then_some(first)].into_iter().flatten()
    }

    /// Returns whether a file was rotated from `home` and is younger than the youngest known one. Files that were
    /// rotated before the first start are older.
    ///
    /// If a file began later but was last written to earlier, its name decides: if the name is younger, the known file
    /// was still written to after its rotation. Else the file is a copy of the known one, made by `copytruncate` before
    /// the first start.
    fn is_unseen(&self, found: &Found, home: &Path, front: &Front, siblings: &[Found]) -> bool {
        let Some(known) = self.tails.get(front.at) else { return false };
        let (name, seen) = (found.path.file_name().unwrap_or_default(), &found.seen);
        let is_younger = if rotation::is_compressed(&found.path) {
            // If its original is next to it, it is still being written.
            let original = found.path.with_extension("");
            let is_whole = !siblings.iter().any(|found| found.path == original);
            is_whole && front.modified > 0 && self.is_later(found, front.modified, siblings)
        } else {
            let known_name = known.resolved.file_name().unwrap_or_default();
            let is_named = matches!(known.place, Place::Rotated | Place::Listed);
            let is_later = seen.modified > known.seen.modified
                || (seen.modified == known.seen.modified && seen.began() > front.began);
            seen.began() >= front.began
                && (!is_named || is_later || rotation::youth(name) > rotation::youth(known_name))
        };
        is_younger
            && rotation::origins(name).iter().any(|name| home.file_name() == Some(name))
            && self.is_name_of(name, home)
            && self.source_listing(found).is_none()
            && !self.tails.iter().any(|tail| tail.identity() == seen.identity)
    }

    /// Returns whether a name that leads back to a log belongs to no other log. If a number may be part of another
    /// log's name, it belongs to this log only if a file of this log has had such a name.
    pub(super) fn is_name_of(&self, name: &OsStr, home: &Path) -> bool {
        let log = home.file_name().unwrap_or_default();
        let is_ambiguous = |name: &OsStr| rotation::is_ambiguous(name, log);
        let is_given =
            |tail: &Tail| tail.home == home && tail.resolved.file_name().is_some_and(is_ambiguous);
        !is_ambiguous(name) || self.tails.iter().any(is_given)
    }

    /// Returns whether a compressed file was written to after a time at which a known one was. Of files from one tick
    /// of the clock, a file is later if its name is younger than those of all known files from that tick.
    fn is_later(&self, found: &Found, known: i64, siblings: &[Found]) -> bool {
        let kept = found.seen.modified;
        let is_known = |one: &&Found| {
            rotation::as_kept(one.seen.modified, kept) == kept
                && self.tails.iter().any(|tail| tail.identity() == one.seen.identity)
        };
        match kept.cmp(&rotation::as_kept(known, kept)) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => {
                let name = name_of(&found.path);
                siblings.iter().filter(is_known).all(|known| name_of(&known.path) < name)
            }
        }
    }

    /// Admits a sibling of a file; returns its index.
    pub(super) fn admit(&mut self, place: Place, found: &Found, sibling: usize) -> usize {
        let of = self.tails.get(sibling).map(|tail| (tail.source, tail.home.clone()));
        let (source, home) = of.unwrap_or_default();
        let at = self.add(found, place, source);
        if let Some(tail) = self.tails.get_mut(at) {
            tail.home = home;
        }
        at
    }

    fn add(&mut self, found: &Found, place: Place, source: Option<usize>) -> usize {
        let identity = found.seen.identity;
        let mut position = identity.start(&found.path, 0, found.seen.modified);
        position.size = found.seen.size;
        if position.size > 0 && !rotation::is_compressed(&found.path) {
            search::note_head(found, &mut position);
        }
        let mut tail = Tail::new(identity.stream(0), position, found.resolved.clone());
        tail.source = source;
        tail.place = place;
        tail.group = group_of(&found.resolved);
        tail.backlog = found.seen.size;
        tail.seen = found.seen;
        tail.changed_at = self.looked.unwrap_or_default();
        tail.turn = self.next_turn();
        tail.began = found.seen.began();
        self.tails.push(tail);
        self.tails.len() - 1
    }

    /// Returns the turn of a file that is admitted or starts again.
    pub(super) const fn next_turn(&mut self) -> u64 {
        self.n_turns += 1;
        self.n_turns
    }
}
