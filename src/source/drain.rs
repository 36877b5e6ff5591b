//! Rotated files that were compressed: each is read on from where its reading stopped, one at a time, oldest first.
//!
//! There may be many after a downtime, so each is opened only when it is its turn; until then at most a descriptor is
//! held. A file that cannot be opened or read is retried with each sweep, and nothing waits for it. If it could not
//! even be compared with what was read before, that is done as soon as it can be opened.
//!
//! A file that cannot be unpacked may still be written: it is tried again when it changes, and is a gap if it does not
//! for a while; if it changes later, its rest is read nevertheless.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::SourceError;
use super::admit::name_of;
use super::follow::{Follower, Place};
use super::lineage::may_hold_more;
use super::look::Found;
use super::old::{Next, OldFile};
use super::rotation::Seen;
use super::search::open_found;
use super::tail::Tail;
use crate::engine::line::{Batch, Loss, Position};

/// How long a file that cannot be unpacked has to be unchanged until it counts as damaged. Compressors and copies write
/// all the time; this includes pauses of a slow disk or network.
const PATIENCE: Duration = Duration::from_mins(1);

/// The state of a file that could not be unpacked.
#[derive(Debug)]
struct Damage {
    /// Its size and time when it was opened.
    opened_as: (u64, i64),
    /// When it was first found unchanged.
    since: Option<Duration>,
}

/// What is to be done about a file that could not be read.
enum Outlook {
    Retry,
    Wait,
    GiveUp,
}

/// What became of reading on in a file.
enum Step {
    Batch(Box<Batch>),
    /// The last batch, if there is one.
    End(Option<Box<Batch>>),
    /// It is no longer there, or has other contents.
    Gone,
    Paused,
}

/// A compressed file that is to be read to its end.
#[derive(Debug)]
pub(super) struct Drain {
    group: u64,
    source: usize,
    found: Found,
    /// Where its reading continues.
    from: Position,
    /// Held if there is room, in case the file is removed before its turn.
    held: Option<File>,
    /// Open when it is its turn.
    file: Option<OldFile>,
    /// False until it was compared with what was read of the other files in its group.
    is_judged: bool,
    /// It cannot be read; retried after the next sweep. Others do not wait for it.
    is_paused: bool,
    /// It could not be unpacked.
    damage: Option<Damage>,
    /// Its rest was reported as lost.
    is_given_up: bool,
    /// The failure was logged.
    is_warned: bool,
}

impl Drain {
    /// Returns whether it is known that it cannot be read.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns whether the next sweep has to look at it; later ones look at all.
    pub(super) const fn is_for_a_sweep(&self) -> bool {
        self.is_paused && !self.is_given_up
    }

    /// Returns the group that waits until the file is read, if any.
    pub(super) fn blocks(&self) -> Option<u64> {
        (!self.is_paused).then_some(self.group)
    }

    /// Opens the file under its current name, else by the held descriptor, and skips what was already read.
    fn open(&mut self) -> io::Result<Option<OldFile>> {
        let opened = match (OldFile::reopen(self.source, &self.found), self.held.take()) {
            (Ok(None) | Err(_), Some(held)) => {
                OldFile::in_file(self.source, &self.found.resolved, held).map(Some)
            }
            (opened, _) => opened,
        };
        let Some(mut file) = opened? else { return Ok(None) };
        file.begin(self.from.generation);
        if file.skip_to(&self.from) {
            return Ok(Some(file));
        }
        let Some(fault) = file.take_fault() else { return Ok(None) };
        self.note(&fault, file.opened_as());
        Err(io::Error::other(fault))
    }

    /// Reads on, and opens the file if it is not open.
    fn step(&mut self) -> Step {
        let opened = self.file.take().map_or_else(|| self.open(), |file| Ok(Some(file)));
        let mut file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Step::Gone,
            Err(cause) => {
                self.pause(&cause);
                return Step::Paused;
            }
        };
        let next = file.look();
        let batch = match next {
            Next::Lines(n) => Some(file.take(n)),
            Next::Long | Next::Nuls => Some(file.take_odd()),
            Next::End => None,
        };
        // Lines before a fault are valid, but a long one that it cuts is read anew.
        let is_valid = matches!(next, Next::Lines(_));
        if !is_valid && let Some(fault) = file.take_fault() {
            self.note(&fault, file.opened_as());
            self.pause(&io::Error::other(fault));
            return Step::Paused;
        }
        let Some(batch) = batch else {
            return Step::End(file.finish().ok().flatten().map(Box::new));
        };
        self.from = batch.position.clone();
        self.file = Some(file);
        Step::Batch(Box::new(batch))
    }

    /// Records what ended the file before its end.
    fn note(&mut self, fault: &SourceError, opened_as: (u64, i64)) {
        let is_damaged = matches!(fault, SourceError::Damaged { .. });
        self.damage = is_damaged.then_some(Damage { opened_as, since: None });
    }

    /// Decides what is to be done about a file that could not be read.
    fn outlook(&mut self, now: Duration) -> Outlook {
        let Some(damage) = &mut self.damage else { return Outlook::Retry };
        // If it cannot be looked at, opening it shows why.
        let found = open_found(&self.found).ok().flatten();
        let seen = found.and_then(|(_, file)| Seen::of(&file).ok());
        if seen.is_none_or(|seen| (seen.size, seen.modified) != damage.opened_as) {
            return Outlook::Retry;
        }
        let since = *damage.since.get_or_insert(now);
        let is_over = since + PATIENCE <= now && !self.is_given_up;
        if is_over { Outlook::GiveUp } else { Outlook::Wait }
    }

    /// Skips the file until the next sweep; logs that once.
    fn pause(&mut self, cause: &io::Error) {
        self.is_paused = true;
        if !std::mem::replace(&mut self.is_warned, true) {
            tracing::warn!(fault = %cause, "Rotated file cannot be read to its end; trying again.");
        }
    }
}

impl Follower {
    /// Reads compressed files in the order of the queue.
    pub(super) fn read_drains(&mut self, mut budget: u64) {
        let is_due = |drain: &Drain| drain.is_judged && !drain.is_paused;
        while budget > 0
            && let Some(at) = self.drains.iter().position(is_due)
            && let Some(drain) = self.drains.get_mut(at)
        {
            match drain.step() {
                Step::Batch(batch) => {
                    budget = budget.saturating_sub(batch.position.offset - batch.from);
                    self.ready.push_back(*batch);
                }
                Step::End(batch) => {
                    self.ready.extend(batch.map(|batch| *batch));
                    self.drains.remove(at);
                }
                Step::Gone => self.let_go(at, Loss::Removed),
                Step::Paused => {}
            }
        }
    }

    /// Reports what was lost with a compressed file.
    fn let_go(&mut self, at: usize, loss: Loss) {
        let Drain { found, from, .. } = self.drains.remove(at);
        self.tell_rest(&found, from, loss);
    }

    /// Reports what was lost with a compressed file that stays damaged, and keeps it in case it is completed after all.
    fn give_up(&mut self, at: usize) {
        let Some(drain) = self.drains.get_mut(at) else { return };
        let (found, from) = (drain.found.clone(), drain.from.clone());
        drain.is_given_up = true;
        // It is not lost once more if the file is removed.
        drain.from.size = from.offset;
        self.tell_rest(&found, from, Loss::Damaged);
    }

    fn tell_rest(&mut self, found: &Found, from: Position, loss: Loss) {
        let is_own = |tail: &Tail| tail.identity() == found.seen.identity;
        let Some(at) = self.tails.iter().position(is_own) else { return };
        if let Some(tail) = self.tails.get_mut(at) {
            tail.position = from;
        }
        self.tell_gap(at, loss);
    }

    /// Queues a compressed file, as sibling of a known one, to be read on from where it was read in another form.
    /// Returns false if it is a different file.
    pub(super) fn drain_rest(&mut self, at: usize, found: &Found) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at) else { return Ok(false) };
        let is_same = |one: &&Tail| one.identity() == found.seen.identity;
        if let Some(other) = self.tails.iter().find(is_same).filter(|one| !self.is_unjudged(one)) {
            return Ok(other.position.offset >= tail.position.offset
                && (other.position.head, other.position.head_length)
                    == (tail.position.head, tail.position.head_length));
        }
        let Some(mut file) = OldFile::reopen(tail.source.unwrap_or_default(), found)? else {
            return Ok(false);
        };
        let is_whole = file.try_skip_to(&tail.position)?;
        let (known, written) = (tail.position.clone(), tail.position.directives.written);
        let is_cut = file.is_cut_before(&known) && may_hold_more(found, &known, written);
        if !is_whole && !is_cut {
            return Ok(false);
        }
        self.drains.retain(|drain| drain.found.seen.identity != found.seen.identity);
        if is_whole {
            self.unpack(at, found, file.announce());
        } else {
            self.unpack_once_whole(at, found, known);
        }
        self.set_elsewhere(at);
        Ok(true)
    }

    /// Returns whether the contents of a compressed file are still unknown.
    fn is_unjudged(&self, tail: &Tail) -> bool {
        let is_own = |drain: &Drain| drain.found.seen.identity == tail.identity();
        match self.drains.iter().find(|drain| is_own(drain)) {
            Some(drain) => !drain.is_judged,
            None => tail.place == Place::Unseen && tail.position.offset == 0,
        }
    }

    /// Queues an unread compressed file, as sibling of a known one. Returns false if it is gone, or if its contents
    /// were read elsewhere.
    pub(super) fn unpack_unread(&mut self, at: usize, found: &Found) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at) else { return Ok(false) };
        if self.is_known_content(tail.group, found)? {
            return Ok(false);
        }
        let Some(mut file) = OldFile::reopen(tail.source.unwrap_or_default(), found)? else {
            return Ok(false);
        };
        self.unpack(at, found, file.announce());
        Ok(true)
    }

    /// Queues a compressed file that was compared with the others.
    fn unpack(&mut self, sibling: usize, found: &Found, begin: Batch) {
        let from = begin.position.clone();
        // Known from now on: once younger files are known, nothing else shows that it was not read.
        self.ready.push_back(begin);
        let at = self.keep(found, sibling);
        self.enqueue(at, found, from, true);
    }

    /// Queues a compressed file that is cut short before the point up to which its contents were read in another form:
    /// it may still be written.
    fn unpack_once_whole(&mut self, sibling: usize, found: &Found, known: Position) {
        let at = self.keep(found, sibling);
        let Some(tail) = self.tails.get_mut(at) else { return };
        let known = Position { size: known.size.max(known.offset + 1), ..known };
        let from = tail.identity().go_on(&found.path, tail.position.generation, known);
        tail.adopt(from.clone());
        self.ready.push_back(tail.announce());
        self.enqueue(at, found, from, true);
    }

    /// Queues a compressed file that cannot be opened: it is compared and read as soon as possible.
    pub(super) fn unpack_later(&mut self, sibling: usize, found: &Found, cause: &io::Error) {
        let at = self.keep(found, sibling);
        let Some(tail) = self.tails.get_mut(at) else { return };
        // Larger than the offset, like any file that is not read completely; the actual size is unknown.
        tail.position.size = tail.position.offset + 1;
        let from = tail.position.clone();
        self.ready.push_back(tail.announce());
        if let Some(drain) = self.enqueue(at, found, from, false) {
            drain.pause(cause);
        }
    }

    /// Continues with a compressed file that an earlier run did not read to its end.
    pub(super) fn resume(&mut self, at: usize, found: &Found) {
        let Some(tail) = self.tails.get(at) else { return };
        let from = tail.position.clone();
        let is_queued = |drain: &Drain| drain.found.seen.identity == found.seen.identity;
        if !self.drains.iter().any(is_queued) {
            let is_judged = from.offset > 0;
            self.enqueue(at, found, from, is_judged);
        }
    }

    /// Inserts a compressed file into the queue: oldest first, files from one tick of the clock by name.
    fn enqueue(
        &mut self,
        at: usize,
        found: &Found,
        from: Position,
        is_judged: bool,
    ) -> Option<&mut Drain> {
        let tail = self.tails.get(at)?;
        let n_held = self.drains.iter().filter(|drain| drain.held.is_some()).count();
        let has_room = n_held < self.options.max_open / 4;
        let held = has_room.then(|| open_found(found).ok().flatten()).flatten();
        let drain = Drain {
            group: tail.group,
            source: tail.source.unwrap_or_default(),
            found: found.clone(),
            from,
            held: held.map(|(_, file)| file),
            file: None,
            is_judged,
            is_paused: false,
            damage: None,
            is_given_up: false,
            is_warned: false,
        };
        let age = |drain: &Drain| (drain.found.seen.modified, name_of(&drain.found.path));
        let own = age(&drain);
        let at = self.drains.partition_point(|other| age(other) <= own);
        self.drains.insert(at, drain);
        self.drains.get_mut(at)
    }

    /// Records that a compressed file is taken care of; returns its index.
    fn keep(&mut self, found: &Found, sibling: usize) -> usize {
        let known = self.tails.iter().position(|tail| tail.identity() == found.seen.identity);
        known.unwrap_or_else(|| self.admit(Place::Gone, found, sibling))
    }

    /// Makes the files that could not be read due again, and gives up those that stay damaged.
    pub(super) fn retry_drains(&mut self, now: Duration) {
        for at in (0..self.drains.len()).rev() {
            let Some(drain) = self.drains.get_mut(at) else { continue };
            match drain.outlook(now) {
                Outlook::Retry => (drain.is_paused, drain.is_given_up) = (false, false),
                Outlook::Wait => {}
                Outlook::GiveUp => self.give_up(at),
            }
        }
    }

    /// Compares the files for which that is still to be done with what was read of the others in their groups. One may
    /// be the remains of a file that is still sought; then that one must be found first.
    pub(super) fn judge_drains(&mut self) {
        for at in (0..self.drains.len()).rev() {
            let Some(drain) = self.drains.get(at).filter(|drain| !drain.is_judged) else {
                continue;
            };
            let (group, found) = (drain.group, drain.found.clone());
            let is_sought = |tail: &Tail| tail.group == group && tail.place == Place::Sought;
            let has_sought = self.tails.iter().any(is_sought);
            if matches!(open_found(&found), Ok(None)) {
                self.let_go(at, Loss::Removed);
                continue;
            }
            let is_known = (!has_sought).then(|| self.is_known_content(group, &found)).transpose();
            let Some(drain) = self.drains.get_mut(at) else { continue };
            match is_known {
                Err(cause) => drain.pause(&cause),
                Ok(None) => drain.is_paused = true,
                Ok(Some(false)) => drain.is_judged = true,
                Ok(Some(true)) => {
                    self.drains.remove(at);
                    self.set_whole(&found);
                }
            }
        }
    }

    /// Records that all of a compressed file was read elsewhere.
    fn set_whole(&mut self, found: &Found) {
        let is_own = |tail: &Tail| tail.identity() == found.seen.identity;
        if let Some(at) = self.tails.iter().position(is_own) {
            self.set_elsewhere(at);
        }
    }

    /// Returns whether a compressed file contains what was, or is about to be, read of another file in the group.
    pub(super) fn is_known_content(&self, group: u64, found: &Found) -> io::Result<bool> {
        let is_read = |tail: &&Tail| tail.group == group && tail.position.offset > 0;
        for tail in self.tails.iter().filter(is_read) {
            let Some(mut file) = OldFile::reopen(0, found)? else { return Ok(false) };
            if file.try_skip_to(&tail.position)? {
                return Ok(true);
            }
        }
        self.is_held(group, found)
    }

    /// Returns whether a compressed file has the same contents as a deleted file of the group that is still open and
    /// not yet read: it is read there. It may have been deleted since names were listed.
    fn is_held(&self, group: u64, found: &Found) -> io::Result<bool> {
        let is_unread = |tail: &&Tail| tail.group == group && tail.position.offset == 0;
        for tail in self.tails.iter().filter(is_unread) {
            let Some(held) = &tail.file else { continue };
            if tail.place != Place::Deleted && held.metadata()?.nlink() > 0 {
                continue;
            }
            let Some(file) = OldFile::reopen(0, found)? else { return Ok(false) };
            if file.begins(held)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
