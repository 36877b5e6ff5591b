//! Begins a file that lost its contents anew, once what it held is found in a copy.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::SourceError;
use super::follow::{Follower, Place};
use super::look::{self, Found};
use super::old::OldFile;
use super::rotation::{self, Meaning, Youth};
use super::search::{compare, is_beginning, open_found};
use super::tail::Tail;
use crate::engine::line::Loss;

/// Returns whether opening failed for lack of descriptors or memory, which is temporary.
fn is_shortage(cause: &io::Error) -> bool {
    let named = cause.get_ref().and_then(|inner| inner.downcast_ref());
    let cause = if let Some(SourceError::Access { cause, .. }) = named { cause } else { cause };
    matches!(Errno::from_io_error(cause), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

impl Follower {
    /// Begins a file anew if it lost its contents; returns whether it did.
    ///
    /// The first time after a start, it may have been copied and cut, and begin again with what was read of it.
    pub(super) fn renew_if_cut(&mut self, at: usize) -> io::Result<bool> {
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        let is_first = tail.marks().is_none();
        if tail.meaning()? == Meaning::Truncated {
            self.begin_anew(at);
            return Ok(true);
        }
        let cut = if is_first { self.find_cut_alike(at) } else { None };
        let Some((copy, others)) = cut else { return Ok(false) };
        let began = self.began_after(at, &copy, &others);
        // First: what follows the heading is not known to have been read.
        self.renew(at, began);
        self.admit_between(at, others);
        Ok(true)
    }

    /// Begins a known file anew if the contents of a younger one, `by`, were copied into it: `cp a.log a.log.1`, as
    /// after the rotation before.
    ///
    /// Only an older name counts, or files with exchanged contents would take turns for ever.
    pub(super) fn renew_if_overwritten(
        &mut self,
        at: usize,
        found: &Found,
        by: usize,
    ) -> io::Result<()> {
        let youth = |path: &Path| rotation::youth(path.file_name().unwrap_or_default());
        let is_older =
            self.tails.get(by).is_some_and(|by| youth(&found.path) < youth(&by.resolved));
        let looked = self.looked.unwrap_or_default();
        let Some(tail) = self.tails.get_mut(at).filter(|tail| is_older && tail.is_judged) else {
            return Ok(());
        };
        let Some((_, file)) = open_found(found)? else { return Ok(()) };
        if compare(&file, &tail.position)? == Meaning::New {
            tail.note(found.seen, looked);
            self.begin_anew(at);
        }
        Ok(())
    }

    /// Handles a file that lost its contents: reads the remaining ones from a copy, then starts the file again.
    pub(super) fn begin_anew(&mut self, at: usize) {
        let path = self.tails.get(at).map(|tail| tail.resolved.clone()).unwrap_or_default();
        let copy = match self.find_cut(at, &path) {
            Ok(copy) => copy,
            // It may be readable in a moment; then nothing is lost.
            Err(cause) if is_shortage(&cause) => return self.pause(at, cause),
            Err(cause) => {
                let path = path.display();
                tracing::warn!(%path, %cause, "Rotated file cannot be read; what only it holds is lost.");
                None
            }
        };
        let began = match copy {
            Some((copy, siblings)) => {
                let began = self.began_after(at, &copy, &siblings);
                self.admit_between(at, siblings);
                began
            }
            None => {
                self.tell_gap(at, Loss::Truncated);
                self.tails.get(at).map(|tail| tail.began)
            }
        };
        self.renew(at, began);
    }

    /// Returns when the copies of a file began, after which it is read.
    fn began_after(&self, at: usize, copy: &Found, siblings: &[Found]) -> Option<i64> {
        let own = self.tails.get(at).map(|tail| tail.began);
        own.max(Some(copy.seen.began())).max(self.began_behind(at, siblings))
    }

    /// Starts a file again.
    fn renew(&mut self, at: usize, began: Option<i64>) {
        let turn = self.next_turn();
        let Some(tail) = self.tails.get_mut(at) else { return };
        let path = tail.resolved.display();
        tracing::info!(%path, "File was truncated; starting from its beginning.");
        tail.renew();
        (tail.began, tail.turn) = (began.unwrap_or_default(), turn);
        tail.backlog = tail.seen.size;
        self.ready.push_back(tail.announce());
    }

    /// Finds the copy of a file's contents before the truncation, and the files that are no older than the copy.
    fn find_cut(&mut self, at: usize, path: &Path) -> io::Result<Option<(Found, Vec<Found>)>> {
        // The truncation changed the file's time.
        let written = self.tails.get(at).map(|tail| tail.position.directives.written);
        let written = written.unwrap_or_default();
        let mut siblings = self.folders.siblings(path).unwrap_or_default();
        let mut copy = self.find_copy(at, &siblings, written);
        if !matches!(copy, Ok(Some(_))) {
            // Directories are large and seldom change, so they are listed again only where it matters. While names are
            // shifted, one may be missed.
            siblings = look::settled(path).unwrap_or_default();
            copy = self.find_copy(at, &siblings, written);
        }
        let Some(copy) = copy? else {
            let below = self.find_below(at, written)?;
            return Ok(below.map(|copy| (copy, Vec::new())));
        };
        // Nothing older than what is known now will ever be searched for, so no name may be missed.
        let mut siblings = look::settled(path).unwrap_or(siblings);
        siblings.retain(|found| found.seen.modified >= copy.seen.modified);
        Ok(Some((copy, siblings)))
    }

    /// Finds the copy of a file that was cut although it has all bytes that were read of it, since each of its lives
    /// begins with them: the heading of its columns, a banner. Such a copy was made since, under the name of a rotated
    /// file, and continues differently. The oldest one is read first, then those that are no older.
    fn find_cut_alike(&mut self, at: usize) -> Option<(Found, Vec<Found>)> {
        let tail = self.tails.get(at)?;
        if tail.place != Place::Listed || tail.has_rotated_name() || tail.position.offset == 0 {
            return None;
        }
        let path = tail.resolved.clone();
        let has_any =
            self.folders.siblings(&path)?.iter().any(|found| self.is_made_since(at, found));
        let mut made = if has_any { look::settled(&path)? } else { return None };
        made.retain(|found| self.is_made_since(at, found));
        made.sort_by_key(|found| found.seen.modified);
        let is_cut = |found: &Found| self.goes_on_otherwise(at, found).unwrap_or(false);
        let others = made.split_off(made.iter().position(is_cut)?);
        let copy = others.first()?.clone();
        self.continue_in(at, &copy).then_some((copy, others))
    }

    /// Returns whether an unread file may be a copy of a log that was made after the log was last read.
    fn is_made_since(&self, at: usize, found: &Found) -> bool {
        let Some(tail) = self.tails.get(at) else { return false };
        let (name, seen) = (found.path.file_name().unwrap_or_default(), &found.seen);
        let is_known = |one: &Tail| {
            one.identity() == seen.identity && (one.is_judged || one.place == Place::Gone)
        };
        seen.modified > tail.position.directives.written
            && (tail.position.born == 0 || seen.identity.born >= tail.position.born)
            && rotation::youth(name) < Youth::Log
            && self.is_name_of(name, &tail.home)
            && !self.tails.iter().any(is_known)
    }

    /// Returns whether another file contains what was read of a log, and then something that the log does not.
    fn goes_on_otherwise(&self, at: usize, found: &Found) -> io::Result<bool> {
        let Some(tail) = self.tails.get(at) else { return Ok(false) };
        let Some(log) = &tail.file else { return Ok(false) };
        if !rotation::is_compressed(&found.path) {
            let Some((_, file)) = open_found(found)? else { return Ok(false) };
            return Ok(
                compare(&file, &tail.position)? == Meaning::Copied && !is_beginning(&file, log)?
            );
        }
        let Some(mut file) = OldFile::reopen(0, found)? else { return Ok(false) };
        let Some(whole) = OldFile::reopen(0, found)? else { return Ok(false) };
        Ok(file.skip_to(&tail.position) && !whole.begins(log)?)
    }
}
