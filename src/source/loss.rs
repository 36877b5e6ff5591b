//! What is known to have been written to a file, and so is lost at least if it disappears unread.
//!
//! That end is the size in the file's position. It is stored even if nothing of the file is taken, since a line without
//! an end, or a file that cannot be read, may disappear at any time, and the program may be killed before that. It does
//! not include NULs at the end: they may be space that was allocated in advance.
//!
//! Only reading shows that a file still has the contents that were read of it. If it has grown since, these bytes may
//! follow what was read, or the file was cut and has other contents now. They are lost if the file is gone or has
//! become smaller; if it turns out to have other contents, they are not, since they are among these.

use tracing::warn;

use super::follow::{Follower, Place};
use super::tail::Tail;
use crate::engine::line::{Batch, Loss, Missing, Position};

impl Tail {
    /// Returns the end of what is known to have been written to the file. An unread file may be a copy that is being
    /// made, all of which is in its original, so only what is found by reading counts, unless it cannot be read.
    pub(super) fn known_end(&self) -> u64 {
        let counts = self.position.offset > 0 || self.is_warned;
        if counts && self.has_news() && !self.begins_at_end {
            self.position.size.max(self.seen.size)
        } else {
            self.position.size
        }
    }

    /// Returns a batch with the end of what is known to have been written, if none has told it yet.
    fn tell_end(&mut self) -> Option<Batch> {
        let size = self.known_end();
        if size == self.told || self.begins_at_end {
            return None;
        }
        let batch = self.announce();
        self.told = size;
        let position = Position { size, ..batch.position };
        Some(Batch { position, ..batch })
    }

    /// Returns the bytes that are known to have been written but cannot be read any more. They are reported once, since
    /// the position records it; of a damaged file, also that it is not read to its end: it may still be completed.
    fn gap(&mut self, loss: Loss) -> Option<Batch> {
        if self.begins_at_end {
            // Its end was to be found first: all of it is history.
            return None;
        }
        let gap = self.position.size.saturating_sub(self.position.offset);
        self.position.size = self.position.offset;
        let missing = Missing { gap, ..Missing::default() };
        let mut batch = self.tell(self.position.offset, Vec::new(), missing);
        if loss == Loss::Damaged {
            batch.position.directives.written = !batch.position.directives.written;
        }
        (gap > 0).then_some(Batch { loss: Some(loss), ..batch })
    }
}

impl Follower {
    /// Announces what is known to have been written to files where no batch has told it.
    pub(super) fn tell_ends(&mut self) {
        let is_there = |tail: &&mut Tail| {
            tail.source.is_some() && !matches!(tail.place, Place::Unseen | Place::Gone)
        };
        let ends = self.tails.iter_mut().filter(is_there).filter_map(Tail::tell_end);
        self.ready.extend(ends);
    }

    /// Reports how many bytes were lost with a file, if any.
    pub(super) fn tell_gap(&mut self, at: usize, loss: Loss) {
        let Some(tail) = self.tails.get_mut(at) else { return };
        if let Some(batch) = tail.gap(loss) {
            let (path, bytes) = (tail.position.path.display(), batch.missing.gap);
            warn!(%path, bytes, "{}", sentence(loss));
            self.ready.push_back(batch);
        }
    }
}

/// Returns the length of bytes without the NULs at their end.
pub(super) fn written_of(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// Returns what the journal says of lost bytes.
const fn sentence(loss: Loss) -> &'static str {
    match loss {
        Loss::Truncated => "Lines were cut off before they were read.",
        Loss::Removed => "Lines were removed before they were read.",
        Loss::Damaged => "The rest of a damaged file cannot be read.",
    }
}
