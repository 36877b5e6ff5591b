//! Ends the reading of rotated files that are no longer written to.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::follow::{Follower, Place};
use super::rotation;
use super::tail::{Rest, Tail};

impl Follower {
    /// Takes the last lines of rotated files that are no longer written to, and closes the files.
    pub(super) fn reap(&mut self, now: Duration) {
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
            if !tail.is_finished() && tail.is_judged {
                match self.take_last_words(at) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(cause) => {
                        self.pause(at, cause);
                        continue;
                    }
                }
            }
            let Some(tail) = self.tails.get_mut(at) else { continue };
            tail.set_finished();
            tail.file = None;
            if tail.place == Place::Deleted {
                tail.place = Place::Gone;
            }
        }
    }

    /// Takes what follows the last line end. Returns false if there was more than that.
    fn take_last_words(&mut self, at: usize) -> io::Result<bool> {
        let has_rest = self.tails.get(at).is_some_and(|t| t.seen.size > t.position.offset);
        while has_rest && self.try_advance(at, Rest::Take)?.is_some() {}
        Ok(self.tails.get(at).is_some_and(|tail| tail.seen.size <= tail.position.offset))
    }
}

/// Returns whether a file was rotated from a log that began at `began`. If a short number in its name may belong to
/// another log, it was only if it had another name before, or was not written to since.
fn was_rotated(tail: &Tail, began: i64) -> bool {
    let is_numbered = tail.resolved.file_name().is_some_and(rotation::is_numbered);
    let is_left = tail.home != tail.resolved || tail.seen.modified <= began;
    tail.has_rotated_name() && (!is_numbered || is_left)
}
