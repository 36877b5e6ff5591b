//! Spares looks: what has been at rest for a while, and would be heard of if it changed, is looked at once a minute.
//!
//! Between two sweeps there is only a glance, once a second: at the directories, whose time changes when a name in them
//! does, and at the files that have changed within the last minute, have other names, or have changed unheard before.
//! Whatever it meets that is not as it was is for a sweep to tell. And there is a sweep a second, as if nothing were ever
//! heard, where the kernel does not tell of changes, while names change, and as long as a sweep leaves something for the
//! next one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::drain::Drain;
use super::follow::{Follower, Place};
use super::rotation::{Identity, Seen};
use super::tail::Tail;
use super::wake::Wake;

/// So long nothing has changed that is at rest, and so often it is looked at all the same: not all is heard of. inotify(7)
/// tells neither of what is written through mmap(2) nor, below an overlay, of what is written to its layers.
const REST: Duration = Duration::from_secs(60);

/// What the last sweep came by, as far as it tells whether the next one can wait.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// The directories that may bring something new, each as it was before it was listed; nothing if it was not there.
    folders: BTreeMap<PathBuf, Option<(Identity, i64)>>,
    /// When one of them was last found changed.
    changed: Duration,
    /// Something that was listed could not be looked at.
    pub(super) has_faults: bool,
    /// A rotated file waits for its last words to be taken.
    pub(super) is_reaping: bool,
    /// How many files were admitted or begun anew by then.
    n_turns: u64,
}

impl Quiet {
    /// Sees to it that nothing counts as at rest before a while has passed.
    pub(super) const fn wake_up(&mut self, now: Duration) {
        self.changed = now;
    }

    /// Takes note of the directories of a sweep. One that is new counts as changed: how it was before, nobody knows.
    pub(super) fn set(&mut self, folders: BTreeSet<PathBuf>, n_turns: u64) {
        let mut known = std::mem::take(&mut self.folders);
        let with_known = |folder| {
            let seen = known.remove(&folder).flatten();
            (folder, seen)
        };
        self.folders = folders.into_iter().map(with_known).collect();
        self.n_turns = n_turns;
    }

    /// Looks at the directories. True if no name in them has changed for a while, and each would be heard of.
    fn is_at_rest(&mut self, wake: &Wake, now: Duration) -> bool {
        let mut is_heard = true;
        for (path, known) in &mut self.folders {
            let seen = Seen::at(path).ok().map(|seen| (seen.identity, seen.modified));
            is_heard &= seen.is_none_or(|(identity, _)| wake.hears(identity));
            if *known != seen {
                (*known, self.changed) = (seen, now);
            }
        }
        is_heard && self.changed + REST <= now
    }
}

impl Follower {
    /// Tells whether a glance will do where a sweep is due.
    pub(super) fn is_quiet(&mut self, now: Duration) -> bool {
        // Asked first, and always: a sweep that follows lists the directories after they were looked at.
        let is_at_rest = self.quiet.is_at_rest(&self.wake, now);
        is_at_rest
            && self.swept.is_some_and(|swept| now < swept + REST)
            && self.quiet.n_turns == self.n_turns
            && !self.quiet.has_faults
            && !self.quiet.is_reaping
            && !self.watched.iter().any(|watched| watched.watch.is_polled)
            && !self.tails.iter().any(is_for_a_sweep)
            && !self.drains.iter().any(Drain::is_paused)
    }
}

/// Tells whether the next sweep has something to do for a file.
fn is_for_a_sweep(tail: &Tail) -> bool {
    let is_unsettled = match tail.place {
        Place::Unseen | Place::Deleted | Place::Sought => true,
        Place::Listed | Place::Rotated => tail.is_paused || tail.is_moved || tail.has_revived(),
        Place::Gone => false,
    };
    tail.source.is_some() && (is_unsettled || tail.turn == 0)
}

/// Tells whether a glance is cast at a file. A link may be pointed elsewhere with nothing to be heard, and what is written
/// by another name is heard of in that one's directory.
pub(super) fn is_glanced_at(tail: &Tail, now: Duration) -> bool {
    tail.is_link || tail.seen.has_other_names || tail.is_unheard || now < tail.changed_at + REST
}

/// Takes note of how a file looks in a sweep. If it has changed though it was at rest, that was to be heard of before: as
/// long as it is not, whatever the reason, a glance is cast at the file.
pub(super) fn note_swept(tail: &mut Tail, seen: Seen, now: Duration) {
    let was_at_rest = tail.place != Place::Unseen && !is_glanced_at(tail, now);
    tail.note(seen, now);
    tail.is_unheard |= was_at_rest && tail.changed_at == now;
}
