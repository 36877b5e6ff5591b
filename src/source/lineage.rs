//! What a file's content shows about its origin: copies, truncations, files in between.
//!
//! Copying a log takes time, and a look may come at any moment of it. So a file that begins with the contents of
//! another file of its group is not read as long as the other one is complete: the copy's lines are read from the
//! original. If the original loses its contents, or disappears, the copy takes over at the offset that the original had
//! reached.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::admit::name_of;
use super::follow::{Follower, Place};
use super::look::{self, Folders, Found};
use super::old::OldFile;
use super::rotation::{self, Identity, Meaning, Seen};
use super::search::{Head, compare, is_beginning, is_copy};
use super::sweep::group_above;
use super::tail::Tail;
use crate::engine::line::Position;

/// Returns whether a file is completely unread and has changed since it was first seen.
fn has_changed_unread(tail: &Tail) -> bool {
    tail.position.offset == 0 && tail.seen.modified != tail.position.tail.cast_signed()
}

/// Returns whether a file may contain unread bytes of another one: that one was last written to at `written`, and a
/// file copied or compressed from it since is no older.
pub(super) const fn may_hold_more(found: &Found, position: &Position, written: i64) -> bool {
    let known = rotation::as_kept(written, found.seen.modified);
    let has_rest = position.size > position.offset;
    found.seen.modified > known && written > 0 || found.seen.modified >= known && has_rest
}

/// Returns whether a file that cannot be opened now may become readable later without being changed.
pub(super) fn may_open(cause: &io::Error) -> bool {
    cause.kind() != io::ErrorKind::Unsupported
}

impl Follower {
    /// Returns whether a file is to be read as it is. Its first bytes are compared once with the other files of its
    /// group; a copy waits, or takes over where its original stopped.
    pub(super) fn is_own(&mut self, at: usize) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at).filter(|tail| !tail.is_judged) else { return Ok(true) };
        let Some(file) = &tail.file else { return Ok(false) };
        let size = Seen::of(file)?.size;
        if size == 0 {
            // Nothing to compare yet. `meaning` finds out what has disappeared from it.
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
        if self.is_succeeded(original, size)? {
            let holds_rest = self.compare_with(original, |other| is_beginning(other, &file))?;
            self.take_over(original, at);
            if let Some(tail) = self.tails.get_mut(original).filter(|_| holds_rest) {
                // Also a last line without an end.
                tail.set_finished();
            }
            return Ok(self.tails.get(at).is_some_and(|tail| tail.is_judged));
        }
        let is_open = self.open(original)?;
        // Its size before it is found to be complete.
        let held = self.held_under_a_name(original)?;
        let is_cut = is_open && self.renew_if_cut(original)?;
        if !is_cut && let Some(tail) = self.tails.get_mut(at) {
            // A file with more contents than a complete file is no copy of it, but only has the same beginning, for
            // example the heading of a day without requests. Else the original is complete, or was just moved: then the
            // next sweep finds out.
            let held = held.filter(|_| is_open);
            tail.is_judged = held.is_some_and(|held| held < size);
            if !tail.is_judged {
                tail.set_read();
            }
            if held.is_some_and(|held| size <= held) && std::mem::take(&mut tail.position.size) > 0
            {
                // All of it is in the original: nothing is lost if the copy is removed, or made anew.
                self.ready.push_back(tail.announce());
            }
        }
        Ok(self.tails.get(at).is_some_and(|tail| tail.is_judged))
    }

    /// Returns whether a file of this size, which begins with what was read of an original, is read in its place: the
    /// original has lost its last name, and everything that was written to it before was read. It may stay open for
    /// seconds, and in the meantime the copy may itself be replaced by a copy.
    fn is_succeeded(&self, original: usize, size: u64) -> io::Result<bool> {
        let Some(tail) = self.tails.get(original) else { return Ok(false) };
        match tail.place {
            Place::Gone => Ok(true),
            Place::Deleted if tail.has_news() || size < tail.position.offset => Ok(false),
            Place::Deleted => Ok(self.held_under_a_name(original)?.is_none()),
            _ => Ok(false),
        }
    }

    /// Returns the current size of an open file that has a name. A deleted file may have been moved to another file
    /// system, where it grows.
    fn held_under_a_name(&self, at: usize) -> io::Result<Option<u64>> {
        let Some(file) = self.tails.get(at).and_then(|tail| tail.file.as_ref()) else {
            return Ok(None);
        };
        let found = file.metadata()?;
        Ok((found.nlink() > 0).then_some(found.len()))
    }

    /// Finds the file of the same group of which this one is a copy, as far as that one was read.
    fn original_of(&mut self, at: usize, file: &File, size: u64) -> io::Result<Option<usize>> {
        let Some(tail) = self.tails.get(at) else { return Ok(None) };
        // A copy may be in a directory below, under the same name.
        let groups = [tail.group, group_above(&tail.resolved)];
        let mut head = Head::read(file)?;
        let mut best = None;
        let mut furthest = 0;
        for other in 0..self.tails.len() {
            let Some(tail) = self.tails.get(other) else { continue };
            let offset = tail.position.offset;
            if other == at || !groups.contains(&tail.group) || offset <= furthest {
                continue;
            }
            let is_original = if size >= offset {
                head.fits(&tail.position) && compare(file, &tail.position)? == Meaning::Copied
            } else {
                let is_alike = match tail.marks() {
                    Some(marks) => head.agrees(marks.first()),
                    // Not read since the restart.
                    None => head.fits(&tail.position),
                };
                is_alike
                    && tail.place != Place::Gone
                    && self.open(other)?
                    && self.compare_with(other, |original| is_beginning(file, original))?
            };
            if is_original {
                (best, furthest) = (Some(other), offset);
            }
        }
        Ok(best)
    }

    fn compare_with(
        &self,
        original: usize,
        compare: impl Fn(&File) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let file = self.tails.get(original).and_then(|tail| tail.file.as_ref());
        file.map_or(Ok(false), compare)
    }

    /// Called before the first bytes of a file are read that has changed since it was first seen: admits the copies
    /// made since then, which contain what was written in between. Returns true if that changes what is next.
    ///
    /// Directories are listed once per poll for all such files. A later copy is followed by a truncation, and a file
    /// that has changed by the time that its first bytes were read is checked once more.
    pub(super) fn search_copies(&mut self, at: usize) -> bool {
        let mut folders = std::mem::take(&mut self.folders);
        let mut has_more = self.has_copies(at, &mut folders);
        if has_more {
            self.settle_unread(at, &mut folders);
            has_more = self.admit_copies(at, &mut folders);
        }
        self.folders = folders;
        has_more
    }

    /// Returns whether a file's sibling may be a copy made before its first bytes were read.
    fn has_copies(&self, at: usize, folders: &mut Folders) -> bool {
        let Some(tail) = self.tails.get(at).filter(|tail| has_changed_unread(tail)) else {
            return false;
        };
        let look = folders.look(&tail.resolved);
        look.is_some_and(|look| look.files.iter().any(|found| self.is_copy_since(tail, found)))
    }

    /// Looks at all logs with changed unread files at once, unless that was already done for this file's log.
    fn settle_unread(&self, at: usize, folders: &mut Folders) {
        let log = |tail: &Tail| look::log_of(&tail.resolved);
        if self.tails.get(at).is_some_and(|tail| !folders.has_settled(&log(tail))) {
            let is_unread = |tail: &&Tail| tail.has_news() && has_changed_unread(tail);
            folders.settle(&self.tails.iter().filter(is_unread).map(log).collect());
        }
    }

    fn admit_copies(&mut self, at: usize, folders: &mut Folders) -> bool {
        let Some(tail) = self.tails.get(at) else { return false };
        let path = tail.resolved.clone();
        let settled = folders.settled(&path).map_or(&[][..], |look| &look.files);
        let is_there =
            |found: &Found| found.seen.identity == tail.identity() && found.resolved == path;
        let is_moved = tail.place != Place::Deleted && !settled.iter().any(is_there);
        let is_copy = |found: &&Found| self.is_copy_since(tail, found);
        let copies: Vec<Found> = settled.iter().filter(is_copy).cloned().collect();
        if is_moved && let Some(tail) = self.tails.get_mut(at) {
            // Rotated since the last sweep, so its siblings need not be older.
            tail.is_moved = true;
            return true;
        }
        if copies.is_empty() {
            return false;
        }
        let began = self.began_behind(at, &copies);
        let n_before = self.tails.len();
        self.admit_between(at, copies);
        let turn = self.next_turn();
        let has_more = self.tails.len() > n_before;
        let Some(tail) = self.tails.get_mut(at) else { return false };
        if let Some(began) = began {
            (tail.began, tail.turn) = (tail.began.max(began), turn);
        }
        if std::mem::take(&mut tail.position.size) > 0 {
            // Its earlier contents are not lost: a later run must not count them as a gap.
            self.ready.push_back(tail.announce());
        }
        has_more
    }

    /// Called after the first bytes of a file were read: searches for copies again if the file has changed since the
    /// last look. It may have been copied and cut just before it was read, and only now is the copy certain to be
    /// there. Returns true if there are copies; then nothing of the file counts as read yet.
    pub(super) fn has_late_copies(&mut self, at: usize, unread: Position) -> io::Result<bool> {
        let looked = self.looked.unwrap_or_default();
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        let Some(seen) = tail.file.as_ref().map(Seen::of).transpose()? else { return Ok(false) };
        if tail.position.offset == 0 || seen.modified == tail.seen.modified {
            return Ok(false);
        }
        tail.note(seen, looked);
        let read = std::mem::replace(&mut tail.position, unread);
        let mut folders = Folders::default();
        let has_copies = self.has_copies(at, &mut folders) && self.admit_copies(at, &mut folders);
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        if has_copies {
            tail.adopt(tail.position.clone());
        } else {
            tail.position = read;
        }
        Ok(has_copies)
    }

    /// Returns whether a file may be a copy made since another one was first seen. A file that began after a rotated
    /// file was last written to is its successor.
    fn is_copy_since(&self, tail: &Tail, found: &Found) -> bool {
        let (born, known) = (tail.position.born, tail.position.tail.cast_signed());
        let wait = i64::try_from(self.options.rotate_wait.as_nanos()).unwrap_or(i64::MAX);
        let seen = &found.seen;
        let is_since = if rotation::is_compressed(&found.path) {
            // Compressed files keep the time; a late writer may have written to an older one.
            seen.modified > known.saturating_add(wait)
        } else {
            seen.modified > known && (born == 0 || seen.identity.born >= born)
        };
        is_since
            && seen.identity != tail.identity()
            && (tail.place == Place::Listed || seen.began() < tail.seen.modified)
    }

    /// Returns when the last copy of a file began, after which the file is read. A rotated file whose name is older
    /// than those of the files made since is no original of them.
    pub(super) fn began_behind(&self, at: usize, copies: &[Found]) -> Option<i64> {
        let tail = self.tails.get(at)?;
        let youth = |path: &Path| rotation::youth(path.file_name().unwrap_or_default());
        let own = youth(&tail.resolved);
        let is_older = |copy: &Found| {
            let is_rotated = tail.place == Place::Listed && self.source_listing(copy).is_none();
            copy.seen.identity != tail.identity()
                && copy.seen.began() < tail.seen.modified
                && (is_rotated || youth(&copy.path) < own)
        };
        copies.iter().fold(None, |last, copy| {
            let began = Some(copy.seen.began());
            if last < began && is_older(copy) { began } else { last }
        })
    }

    /// Finds a file whose contents continue where the reading of another one stopped, and arranges that it is read from
    /// there. `written` is when the other one was last written to, as far as known.
    ///
    /// Returns an error if it may be a file that cannot be opened now.
    pub(super) fn find_copy(
        &mut self,
        at: usize,
        siblings: &[Found],
        written: i64,
    ) -> io::Result<Option<Found>> {
        let Some(tail) = self.tails.get(at) else { return Ok(None) };
        let position = tail.position.clone();
        if position.offset == 0 {
            return self.find_unread(at, siblings);
        }
        let mut others: Vec<&Found> = siblings
            .iter()
            .filter(|found| found.seen.identity != Identity::of(&position))
            .collect();
        others.sort_by_key(|found| (rotation::is_compressed(&found.path), -found.seen.modified));
        let mut fault = None;
        for found in others {
            let is_match = if rotation::is_compressed(&found.path) {
                self.drain_rest(at, found)
            } else {
                is_copy(found, &position)
            };
            match is_match {
                Ok(true) => {
                    self.go_on_in(at, found)?;
                    return Ok(Some(found.clone()));
                }
                Err(cause) if may_hold_more(found, &position, written) && may_open(&cause) => {
                    fault = Some(cause);
                }
                Ok(false) | Err(_) => {}
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Searches in the same way one directory below, where only the contents are evidence.
    pub(super) fn find_below(&mut self, at: usize, written: i64) -> io::Result<Option<Found>> {
        let Some(tail) = self.tails.get(at).filter(|tail| tail.position.head_length > 0) else {
            return Ok(None);
        };
        let below = self.folders.below(&tail.home);
        self.find_copy(at, &below, written)
    }

    /// Continues in a copy of a file, plain or compressed; returns false if it is gone.
    pub(super) fn continue_in(&mut self, at: usize, found: &Found) -> bool {
        if rotation::is_compressed(&found.path) {
            return self.drain_rest(at, found).unwrap_or(false);
        }
        self.go_on_in(at, found).is_ok()
    }

    /// Continues in a plain copy of a file, unless it is known as one.
    fn go_on_in(&mut self, at: usize, found: &Found) -> io::Result<()> {
        if rotation::is_compressed(&found.path) {
            return Ok(());
        }
        let claimed = self.tails.iter().position(|t| t.identity() == found.seen.identity);
        if let Some(copy) = claimed {
            self.renew_if_overwritten(copy, found, at)?;
        }
        let copy = claimed.unwrap_or_else(|| self.admit(Place::Rotated, found, at));
        if self.tails.get(copy).is_some_and(|tail| !tail.is_judged) {
            self.take_over(at, copy);
        }
        Ok(())
    }

    /// Finds the compressed form of an unread file, and arranges that it is read. The file was last written to when it
    /// was seen, or later, and a compressed file keeps that time.
    fn find_unread(&mut self, at: usize, siblings: &[Found]) -> io::Result<Option<Found>> {
        let Some(tail) = self.tails.get(at) else { return Ok(None) };
        let known = tail.written();
        // If its original is next to it, it is still being written.
        let is_made = |found: &Found| {
            rotation::is_compressed(&found.path)
                && !siblings.iter().any(|one| one.path == found.path.with_extension(""))
        };
        let known_as = |found: &Found| rotation::as_kept(known, found.seen.modified);
        let is_later = |found: &&Found| is_made(found) && found.seen.modified >= known_as(found);
        let mut later: Vec<&Found> = siblings.iter().filter(is_later).collect();
        later.sort_by_cached_key(|found| (found.seen.modified, name_of(&found.path)));
        if tail.position.head_length > 0 {
            return self.find_by_head(at, &later);
        }
        // Its contents were never seen: it is the oldest one among those of which nothing was read either.
        for found in later {
            if self.tails.iter().any(|tail| tail.identity() == found.seen.identity) {
                // If the time is equal, it may be the other one: nothing is recorded that a later run would rely on.
                if found.seen.modified == known_as(found) {
                    return Ok(Some(found.clone()));
                }
                continue;
            }
            match self.unpack_unread(at, found) {
                Ok(true) => {
                    self.set_elsewhere(at);
                    return Ok(Some(found.clone()));
                }
                Err(cause) if may_open(&cause) => return Err(cause),
                Ok(false) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Finds the compressed file that has the same beginning as an unread file.
    fn find_by_head(&mut self, at: usize, others: &[&Found]) -> io::Result<Option<Found>> {
        let mut fault = None;
        for found in others {
            match self.is_begun(at, found) {
                Ok(true) => {
                    self.set_elsewhere(at);
                    return Ok(Some((*found).clone()));
                }
                Ok(false) => {}
                Err(cause) if may_open(&cause) => fault = Some(cause),
                Err(_) => {}
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Returns whether a compressed file has the same beginning as an unread file, and is or was read in its place.
    fn is_begun(&mut self, at: usize, found: &Found) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at) else { return Ok(false) };
        let group = tail.group;
        if !OldFile::reopen(0, found)?.is_some_and(|mut file| file.skip_to(&tail.position)) {
            return Ok(false);
        }
        let is_claimed = self.tails.iter().any(|one| one.identity() == found.seen.identity);
        Ok(is_claimed || self.is_known_content(group, found)? || self.unpack_unread(at, found)?)
    }

    /// Continues in a copy from where the reading of its original stopped.
    fn take_over(&mut self, original: usize, copy: usize) {
        let Some(from) = self.tails.get(original).map(|tail| tail.position.clone()) else { return };
        let Some(tail) = self.tails.get_mut(copy) else { return };
        let from = Position { size: tail.seen.size, ..from };
        let known = &tail.position;
        tail.adopt(tail.identity().go_on(&known.path, known.generation, from));
        tail.backlog = tail.seen.size;
        self.ready.push_back(tail.announce());
        self.set_elsewhere(original);
    }

    /// Records that the rest of a file is read in another one that has just been announced: a later run continues in
    /// that one, and must not report this one as missing once the other is gone too.
    pub(super) fn set_elsewhere(&mut self, at: usize) {
        let has_rest = |tail: &&mut Tail| tail.position.size.max(tail.told) > tail.position.offset;
        if let Some(tail) = self.tails.get_mut(at).filter(has_rest) {
            tail.position.size = tail.position.offset;
            self.ready.push_back(tail.announce());
        }
    }
}
