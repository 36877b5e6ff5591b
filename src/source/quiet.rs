//! Avoids looks: a file that has been at rest for a while, and whose changes would be reported, is looked at once a
//! minute.
//!
//! Between two sweeps there is only a glance, once a second: at the directories, whose time changes when a name in them
//! does, and at the files that have changed within the last minute, have other names, or have changed unreported
//! before. If it finds anything changed, a sweep finds out the rest. There is a sweep every second, as if nothing were
//! ever reported, where the kernel reports no changes, while names change, and as long as a sweep leaves work for the
//! next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::drain::Drain;
use super::follow::{Follower, Place};
use super::rotation::{Identity, Seen};
use super::tail::Tail;
use super::wake::Wake;

/// How long a file at rest has been unchanged, and how often it is looked at nevertheless, since not all changes are
/// reported: inotify(7) reports neither writes through mmap(2) nor, below an overlay, writes to its layers.
const REST: Duration = Duration::from_secs(60);

/// The results of the last sweep that determine whether the next one can wait.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// The directories in which something new may appear, each in its state before it was listed; `None` if it did not
    /// exist.
    folders: BTreeMap<PathBuf, Option<(Identity, i64)>>,
    /// When one of them was last found changed.
    changed: Duration,
    /// Something in a listing could not be looked at.
    pub(super) has_faults: bool,
    /// A rotated file waits until its last line is taken.
    pub(super) is_reaping: bool,
    /// How many files had been admitted or started again by then.
    n_turns: u64,
}

impl Quiet {
    /// Prevents anything from counting as at rest before a while has passed.
    pub(super) const fn wake_up(&mut self, now: Duration) {
        self.changed = now;
    }

    /// Records the directories of a sweep. A new one counts as changed, since its previous state is unknown.
    pub(super) fn set(&mut self, folders: BTreeSet<PathBuf>, n_turns: u64) {
        let mut known = std::mem::take(&mut self.folders);
        let with_known = |folder| {
            let seen = known.remove(&folder).flatten();
            (folder, seen)
        };
        self.folders = folders.into_iter().map(with_known).collect();
        self.n_turns = n_turns;
    }

    /// Looks at the directories. Returns true if no name in them has changed for a while, and changes in each would be
    /// reported.
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
    /// Returns whether a glance suffices where a sweep is due.
    pub(super) fn is_quiet(&mut self, now: Duration) -> bool {
        // Called first, and always: a sweep that follows must list the directories after this look.
        let is_at_rest = self.quiet.is_at_rest(&self.wake, now);
        is_at_rest
            && self.swept.is_some_and(|swept| now < swept + REST)
            && self.quiet.n_turns == self.n_turns
            && !self.quiet.has_faults
            && !self.quiet.is_reaping
            && !self.watched.iter().any(|watched| watched.watch.is_polled)
            && !self.tails.iter().any(is_for_a_sweep)
            && !self.drains.iter().any(Drain::is_for_a_sweep)
    }
}

/// Returns whether the next sweep has work to do for a file.
fn is_for_a_sweep(tail: &Tail) -> bool {
    let is_unsettled = match tail.place {
        Place::Unseen | Place::Deleted | Place::Sought => true,
        Place::Listed | Place::Rotated => tail.is_paused || tail.is_moved || tail.has_revived(),
        Place::Gone => false,
    };
    tail.source.is_some() && (is_unsettled || tail.turn == 0)
}

/// Returns whether a glance includes a file. A link may be changed without being reported, and a write under another
/// name is reported in the directory of that name.
pub(super) fn is_glanced_at(tail: &Tail, now: Duration) -> bool {
    tail.is_link || tail.seen.has_other_names || tail.is_unheard || now < tail.changed_at + REST
}

/// Records how a file looks in a sweep. If it has changed although it was at rest, the change should have been reported
/// before: as long as changes are not, whatever the reason, glances include the file.
pub(super) fn note_swept(tail: &mut Tail, seen: Seen, now: Duration) {
    let was_at_rest = tail.place != Place::Unseen && !is_glanced_at(tail, now);
    tail.note(seen, now);
    tail.is_unheard |= was_at_rest && tail.changed_at == now;
}
