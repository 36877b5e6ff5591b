//! What a file's content says about where it comes from: copies, truncations, files in between.
//!
//! Copying a log takes time, and a look may come at any moment of it. So a file that begins with
//! what another one of its group holds is not read, as long as that other one is whole: the copy's
//! lines are read from the original. When the original loses its content, or vanishes, the copy is
//! taken over at the offset that the original had reached.

use std::cmp::Reverse;
use std::fs::File;
use std::io;

use super::discover::{Folders, Found};
use super::follow::{Drain, Follower, Place};
use super::old::OldFile;
use super::rotation::{self, Identity, Meaning, Seen};
use super::search::{Head, compare, is_beginning, is_copy};
use super::tail::{Rank, Tail};

impl Follower {
    /// Tells whether a file is to be read as it stands. Its first bytes are compared once with the
    /// other files of its group; a copy waits, or is taken over where its original left off.
    pub(super) fn is_own(&mut self, at: usize) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at).filter(|tail| !tail.is_judged) else { return Ok(true) };
        let Some(file) = &tail.file else { return Ok(false) };
        let size = Seen::of(file)?.size;
        if size == 0 {
            // Nothing to compare yet. What has vanished from it is for `meaning` to tell.
            let has_lost_all = tail.position.size > 0;
            if let Some(tail) = self.tails.get_mut(at) {
                tail.set_read();
            }
            return Ok(has_lost_all);
        }
        let file = file.try_clone()?;
        let Some(original) = self.original_of(at, &file, size)? else {
            if let Some(tail) = self.tails.get_mut(at) {
                tail.is_judged = true;
            }
            return Ok(true);
        };
        if self.tails.get(original).is_some_and(|tail| tail.place == Place::Gone) {
            self.take_over(original, at);
        } else if self.open(original)? && self.is_truncated(original)? {
            self.begin_anew(original);
        } else if let Some(tail) = self.tails.get_mut(at) {
            // The original is whole, or has just been moved: then the next sweep knows more.
            tail.set_read();
        }
        Ok(self.tails.get(at).is_some_and(|tail| tail.is_judged))
    }

    /// Finds the file of the same group that this one is a copy of, as far as that one was read.
    fn original_of(&mut self, at: usize, file: &File, size: u64) -> io::Result<Option<usize>> {
        let Some(group) = self.tails.get(at).map(|tail| tail.group) else { return Ok(None) };
        let mut head = Head::read(file)?;
        let mut best = None;
        let mut furthest = 0;
        for other in 0..self.tails.len() {
            let Some(tail) = self.tails.get(other) else { continue };
            let offset = tail.position.offset;
            if other == at || tail.group != group || offset <= furthest {
                continue;
            }
            let is_original = if size >= offset {
                head.fits(&tail.position) && compare(file, &tail.position)? == Meaning::Copied
            } else {
                tail.marks().is_some_and(|marks| head.agrees(marks.first()))
                    && self.open(other)?
                    && self.begins_with(other, file)?
            };
            if is_original {
                (best, furthest) = (Some(other), offset);
            }
        }
        Ok(best)
    }

    fn begins_with(&self, original: usize, copy: &File) -> io::Result<bool> {
        let file = self.tails.get(original).and_then(|tail| tail.file.as_ref());
        file.map_or(Ok(false), |file| is_beginning(copy, file))
    }

    fn is_truncated(&mut self, at: usize) -> io::Result<bool> {
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        Ok(tail.meaning()? == Meaning::Truncated)
    }

    /// A file lost its content: reads what is left of it in a copy, then starts it anew.
    pub(super) fn begin_anew(&mut self, at: usize) {
        let path = self.tails.get(at).map(|tail| tail.resolved.clone()).unwrap_or_default();
        let mut siblings = self.folders.siblings(&path).unwrap_or_default();
        let mut copy = self.find_copy(at, &siblings);
        if copy.is_none() {
            // Directories are large and seldom change: listed anew only where it matters.
            siblings = Folders::default().siblings(&path).unwrap_or_default();
            copy = self.find_copy(at, &siblings);
        }
        match copy {
            Some(copy) => {
                let others: Vec<Found> = siblings
                    .into_iter()
                    .filter(|found| found.seen.modified >= copy.seen.modified)
                    .collect();
                self.admit_between(at, others);
            }
            None => self.tell_gap(at),
        }
        let rank = self.rank_of(at);
        let Some(tail) = self.tails.get_mut(at) else { return };
        tracing::info!(path = %path.display(), "File was truncated; starting from its beginning.");
        tail.renew();
        tail.rank = rank;
        tail.backlog = tail.seen.size;
        self.ready.push_back(tail.announce());
    }

    /// Before the first bytes of a file are read that has changed since it was first seen: admits the
    /// copies made since, which hold what was written in between. False if there are none.
    pub(super) fn search_copies(&mut self, at: usize) -> bool {
        let Some(tail) = self.tails.get(at) else { return false };
        let (born, known) = (tail.position.born, tail.position.tail.cast_signed());
        if tail.position.offset > 0 || tail.seen.modified == known {
            return false;
        }
        let wait = i64::try_from(self.options.rotate_wait.as_nanos()).unwrap_or(i64::MAX);
        let path = tail.resolved.clone();
        let mut siblings = Folders::default().siblings(&path).unwrap_or_default();
        siblings.retain(|found| {
            let seen = &found.seen;
            if rotation::is_compressed(&found.path) {
                // Compressed files keep the time; a late writer may have touched an older one.
                seen.modified > known.saturating_add(wait)
            } else {
                seen.modified > known && (born == 0 || seen.identity.born >= born)
            }
        });
        let has_copies = !siblings.is_empty();
        let n_before = self.tails.len();
        self.admit_between(at, siblings);
        let rank = self.rank_of(at);
        if has_copies && let Some(tail) = self.tails.get_mut(at) {
            tail.rank = rank;
            if std::mem::take(&mut tail.position.size) > 0 {
                // What it held is not lost: a later run must not count it as a gap.
                self.ready.push_back(tail.announce());
            }
        }
        self.tails.len() > n_before
    }

    /// Says how many bytes were lost with a file, if any.
    pub(super) fn tell_gap(&mut self, at: usize) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        if let Some(batch) = tail.gap() {
            let (path, gap) = (tail.position.path.display(), batch.missing.gap);
            tracing::warn!(path = %path, bytes = gap, "Lines were removed before they were read.");
            self.ready.push_back(batch);
        }
    }

    /// Finds a file whose content goes on from a position, and sees to it that it is read from there.
    pub(super) fn find_copy(&mut self, at: usize, siblings: &[Found]) -> Option<Found> {
        let position = self.tails.get(at)?.position.clone();
        let mut others: Vec<&Found> = siblings
            .iter()
            .filter(|found| found.seen.identity != Identity::of(&position))
            .collect();
        others.sort_by_key(|found| (rotation::is_compressed(&found.path), -found.seen.modified));
        for found in others {
            let claimed = self.tails.iter().position(|t| t.identity() == found.seen.identity);
            let is_match = if rotation::is_compressed(&found.path) {
                self.drain_rest(at, found, claimed)
            } else {
                is_copy(found, &position).unwrap_or(false)
            };
            if !is_match {
                continue;
            }
            if !rotation::is_compressed(&found.path) {
                let copy = claimed.unwrap_or_else(|| self.admit(Place::Rotated, found, at));
                if self.tails.get(copy).is_some_and(|tail| !tail.is_judged) {
                    self.take_over(at, copy);
                }
            }
            return Some(found.clone());
        }
        None
    }

    /// Goes on in a copy from where its original was read to.
    fn take_over(&mut self, original: usize, copy: usize) {
        let Some(from) = self.tails.get(original).map(|tail| tail.position.clone()) else { return };
        let rank = self.rank_of(copy);
        let Some(tail) = self.tails.get_mut(copy) else { return };
        let mut position = tail.identity().start(&tail.position.path, tail.position.generation, 0);
        (position.offset, position.size) = (from.offset, tail.seen.size.max(from.offset));
        (position.head, position.head_length, position.tail) =
            (from.head, from.head_length, from.tail);
        position.directives = from.directives;
        tail.adopt(position);
        tail.rank = rank;
        tail.backlog = tail.seen.size;
        self.ready.push_back(tail.announce());
        if let Some(tail) = self.tails.get_mut(original) {
            tail.position.size = tail.position.offset;
        }
    }

    /// Reads the rest of a file from where it was compressed to. False if that is another file.
    fn drain_rest(&mut self, at: usize, found: &Found, claimed: Option<usize>) -> bool {
        let Some(tail) = self.tails.get(at).filter(|tail| tail.position.offset > 0) else {
            return false;
        };
        if let Some(other) = claimed.and_then(|other| self.tails.get(other)) {
            return other.position.offset >= tail.position.offset
                && (other.position.head, other.position.head_length)
                    == (tail.position.head, tail.position.head_length);
        }
        let Ok(mut file) = OldFile::open(tail.source.unwrap_or_default(), &found.path) else {
            return false;
        };
        if !file.skip_to(&tail.position) {
            return false;
        }
        let group = tail.group;
        self.keep(found, at);
        self.drains.push_back(Drain { group, file });
        true
    }

    /// Goes on in a compressed file that an earlier run did not read to its end.
    pub(super) fn resume(&mut self, at: usize, found: &Found) {
        let Some(tail) = self.tails.get(at) else { return };
        match OldFile::open(tail.source.unwrap_or_default(), &found.path) {
            Ok(mut file) => {
                if file.skip_to(&tail.position) {
                    self.drains.push_back(Drain { group: tail.group, file });
                }
            }
            Err(fault) => tracing::warn!(%fault, "Rotated file could be read in part only."),
        }
    }

    /// Admits files that came and were rotated away while nobody looked: never seen, newer than
    /// what is known, and older than what stands under the watched name now. Oldest first; of those
    /// last written to at the same moment, the longer or later name (`log.10`, `log.9`) is older.
    pub(super) fn admit_between(&mut self, at: usize, mut others: Vec<Found>) {
        let Some(group) = self.tails.get(at).map(|tail| tail.group) else { return };
        others.retain(|found| self.source_listing(found).is_none());
        others.sort_by_cached_key(|found| {
            let name = (found.path.as_os_str().len(), found.path.clone());
            (found.seen.modified, found.seen.identity.born, Reverse(name))
        });
        for found in others {
            if self.tails.iter().any(|tail| tail.identity() == found.seen.identity) {
                continue;
            }
            if rotation::is_compressed(&found.path) {
                let source = self.tails.get(at).and_then(|tail| tail.source).unwrap_or_default();
                if !self.is_known_content(group, &found)
                    && let Ok(file) = OldFile::open(source, &found.path)
                {
                    self.keep(&found, at);
                    self.drains.push_back(Drain { group, file });
                }
            } else {
                let new = self.admit(Place::Rotated, &found, at);
                self.ready.extend(self.tails.get(new).map(Tail::announce));
            }
        }
    }

    /// Tells whether a compressed file holds what was read of some file of the group.
    fn is_known_content(&self, group: u64, found: &Found) -> bool {
        self.tails.iter().filter(|tail| tail.group == group && tail.position.offset > 0).any(
            |tail| OldFile::open(0, &found.path).is_ok_and(|mut file| file.skip_to(&tail.position)),
        )
    }

    /// Admits a sibling of a file; returns its index.
    fn admit(&mut self, place: Place, found: &Found, sibling: usize) -> usize {
        let of = self.tails.get(sibling).map(|tail| (tail.source, tail.home.clone()));
        let (source, home) = of.unwrap_or_default();
        let at = self.add(found, place, source);
        if let Some(tail) = self.tails.get_mut(at) {
            tail.home = home;
        }
        at
    }

    /// Keeps in mind that a compressed file is taken care of.
    fn keep(&mut self, found: &Found, sibling: usize) {
        self.admit(Place::Gone, found, sibling);
    }

    fn add(&mut self, found: &Found, place: Place, source: Option<usize>) -> usize {
        let identity = found.seen.identity;
        let mut position = identity.start(&found.path, 0, found.seen.modified);
        position.size = found.seen.size;
        let mut tail = Tail::new(identity.stream(0), position, found.resolved.clone());
        tail.source = source;
        tail.place = place;
        tail.group = super::sweep::group_of(&found.resolved);
        tail.backlog = found.seen.size;
        tail.seen = found.seen;
        tail.changed_at = self.swept.unwrap_or_default();
        self.tails.push(tail);
        let at = self.tails.len() - 1;
        let rank = self.rank_of(at);
        if let Some(tail) = self.tails.get_mut(at) {
            tail.rank = rank;
        }
        at
    }

    /// Admits a file that a watch names; returns its index.
    pub(super) fn admit_listed(&mut self, found: &Found, source: usize) -> usize {
        self.add(found, Place::Listed, Some(source))
    }

    /// Returns the rank of a file that is seen as it stands now for the first time.
    pub(super) fn rank_of(&mut self, at: usize) -> Rank {
        self.n_ranks += 1;
        (self.tails.get(at).map_or(0, |tail| tail.seen.modified), self.n_ranks)
    }
}
