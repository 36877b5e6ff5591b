//! Begins a file that lost its contents anew, once what it held is found in a copy.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::SourceError;
use super::follow::Follower;
use super::look::{self, Found};
use super::rotation::Meaning;
use crate::engine::line::Loss;

/// Returns whether opening failed for lack of descriptors or memory, which is temporary.
fn is_shortage(cause: &io::Error) -> bool {
    let named = cause.get_ref().and_then(|inner| inner.downcast_ref());
    let cause = if let Some(SourceError::Access { cause, .. }) = named { cause } else { cause };
    matches!(Errno::from_io_error(cause), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

impl Follower {
    pub(super) fn is_truncated(&mut self, at: usize) -> io::Result<bool> {
        let Some(tail) = self.tails.get_mut(at) else { return Ok(false) };
        Ok(tail.meaning()? == Meaning::Truncated)
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
        let mut began = self.tails.get(at).map(|tail| tail.began);
        match copy {
            Some((copy, siblings)) => {
                began = began.max(Some(copy.seen.began())).max(self.began_behind(at, &siblings));
                self.admit_between(at, siblings);
            }
            None => self.tell_gap(at, Loss::Truncated),
        }
        let turn = self.next_turn();
        let Some(tail) = self.tails.get_mut(at) else { return };
        tracing::info!(path = %path.display(), "File was truncated; starting from its beginning.");
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
}
