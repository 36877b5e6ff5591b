//! Ends the reading of rotated files that are no longer written to, and finds the rest of those that were replaced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

use tracing::warn;

use super::follow::{Follower, Place};
use super::look::{Folders, Found};
use super::rotation::{self, Seen};
use super::search::{is_beginning, open_found};
use super::tail::{Rest, Tail};

impl Follower {
    /// Takes the last lines of rotated files that are no longer written to, and closes the files.
    pub(super) fn reap(&mut self, folders: &mut Folders, now: Duration) {
        // If the watches name rotated files too, those with a successor count as rotated.
        let has_first_name = |tail: &&Tail| tail.place == Place::Listed && !tail.has_rotated_name();
        let live = self.tails.iter().filter(has_first_name);
        let live: BTreeMap<u64, i64> = live.map(|tail| (tail.group, tail.seen.began())).collect();
        self.quiet.is_reaping = false;
        for at in 0..self.tails.len() {
            let Some(tail) = self.tails.get(at) else { continue };
            let is_rotated = matches!(tail.place, Place::Rotated | Place::Deleted)
                || live.get(&tail.group).is_some_and(|began| was_rotated(tail, *began));
            let is_rotated = is_rotated && tail.place != Place::Gone;
            self.quiet.is_reaping |= is_rotated && !tail.is_finished();
            let is_over =
                is_rotated && !tail.has_news() && now >= tail.changed_at + self.options.rotate_wait;
            if !is_over {
                continue;
            }
            let (is_finished, is_judged) = (tail.is_finished(), tail.is_judged);
            let rest = self.find_rest(at, folders);
            // Half a line is not taken while its rest may be found.
            if !is_finished && is_judged && matches!(rest, Ok(None)) {
                match self.take_last_words(at) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(cause) => {
                        self.pause(at, cause);
                        continue;
                    }
                }
            }
            self.close(at, rest);
        }
    }

    fn close(&mut self, at: usize, rest: io::Result<Option<Found>>) {
        let is_sought = rest.map_err(|cause| self.pause(at, cause)).is_err();
        let Some(tail) = self.tails.get_mut(at) else { return };
        tail.set_finished();
        tail.file = None;
        if tail.place == Place::Deleted {
            tail.place = if is_sought { Place::Sought } else { Place::Gone };
        }
    }

    /// Finds the file in which a deleted one continues, and arranges that it is read from there: whoever pulls the logs
    /// of another machine may replace the log before bringing the rest of the old one under the name of a rotated file.
    ///
    /// That file is no older and contains all of the deleted one, or else could be from before the first start.
    fn find_rest(&mut self, at: usize, folders: &mut Folders) -> io::Result<Option<Found>> {
        let is_read = |tail: &&Tail| tail.place == Place::Deleted && tail.position.offset > 0;
        let Some(tail) = self.tails.get(at).filter(is_read) else { return Ok(None) };
        let Some(held) = &tail.file else { return Ok(None) };
        let written = tail.written();
        let is_rest = |found: &Found| {
            rotation::as_kept(written, found.seen.modified) <= found.seen.modified
                // One that cannot be opened now is searched for again.
                && contains(found, held).unwrap_or(true)
        };
        let mut beside = folders.siblings(&tail.resolved).unwrap_or_default();
        let mut below = self.folders.below(&tail.home);
        beside.retain(is_rest);
        below.retain(is_rest);
        match self.find_copy(at, &beside, written)? {
            Some(found) => Ok(Some(found)),
            None => self.find_copy(at, &below, written),
        }
    }

    /// Says, at the first start that finds it so, that a log has been replaced since the stop and is nowhere. Nobody
    /// can know whether anything was written to it meanwhile, so it is no gap; a gap that is known is reported as such.
    pub(super) fn tell_replaced(&self, at: usize) {
        let Some(tail) = self.tails.get(at) else { return };
        let age = |one: &Tail| (one.position.born, one.position.directives.written);
        // If a younger file of the log is known, this one was rotated before the stop, whatever became of it since.
        let is_younger = |one: &Tail| age(tail) < age(one) && one.home == tail.home;
        let is_whole = tail.position.size <= tail.position.offset && !tail.has_rotated_name();
        if tail.turn > 0 || !is_whole || self.tails.iter().any(is_younger) {
            return;
        }
        let Ok(successor) = Seen::at(&tail.resolved) else { return };
        if !self.tails.iter().any(|one| one.identity() == successor.identity) {
            let path = tail.resolved.display();
            warn!(%path, "Log was replaced while nobody read it; if anything was written to it since, that is lost.");
        }
    }

    /// Says, before the program ends, which deleted files may still be written to: no later run can read them.
    pub(super) fn tell_held(&self) {
        let is_held = |tail: &&Tail| tail.place == Place::Deleted && tail.file.is_some();
        for tail in self.tails.iter().filter(is_held) {
            let path = tail.resolved.display();
            warn!(%path, "Deleted log may still be written to; what is written from now on is lost.");
        }
    }

    /// Takes what follows the last line end. Returns false if there was more than that.
    fn take_last_words(&mut self, at: usize) -> io::Result<bool> {
        let has_rest = self.tails.get(at).is_some_and(|t| t.seen.size > t.position.offset);
        while has_rest && self.try_advance(at, Rest::Take)?.is_some() {}
        Ok(self.tails.get(at).is_some_and(|tail| tail.seen.size <= tail.position.offset))
    }
}

/// Returns whether the file that was found begins with all contents of an open one. A compressed file, which was
/// complete when it was compressed, is not compared here.
fn contains(found: &Found, held: &File) -> io::Result<bool> {
    if rotation::is_compressed(&found.path) {
        return Ok(true);
    }
    let opened = open_found(found)?;
    opened.map_or(Ok(false), |(_, file)| is_beginning(held, &file))
}

/// Returns whether a file was rotated from a log that began at `began`. If a short number in its name may belong to
/// another log, it was only if it had another name before, or was not written to since.
fn was_rotated(tail: &Tail, began: i64) -> bool {
    let is_numbered = tail.resolved.file_name().is_some_and(rotation::is_numbered);
    let is_left = tail.home != tail.resolved || tail.seen.modified <= began;
    tail.has_rotated_name() && (!is_numbered || is_left)
}
