//! Principals whose silence is news at the start of an hour, found in memory without checking all of them every hour.

use smol_str::SmolStr;

use super::{Handle, Memory, makes_known};
use crate::engine::commit::SubjectRow;
use crate::engine::incident::Desk;
use crate::engine::profile::CodecError;
use crate::engine::usage::Usage;

impl Memory {
    /// Returns the last of the site's hours in which principals may fall due while these usages are judged. Such
    /// principals must be recalled first ([`Memory::invite`]). Returns `None` if no hour begins, so none falls due.
    #[must_use]
    pub fn due_by(&self, usages: &[Usage]) -> Option<u32> {
        let counted = usages.iter().filter(|usage| makes_known(usage));
        self.house.beat_after(counted.map(|usage| usage.time))
    }

    /// Returns whether a principal is in memory.
    #[must_use]
    pub fn knows(&self, principal: &str) -> bool {
        self.subjects.place(principal).is_some()
    }

    /// Accepts what the store recalled of principals that fall due; of those already in memory, the copy in memory
    /// is newer. Returns the ones that cannot be unpacked.
    pub fn invite(&mut self, rows: Vec<SubjectRow>) -> Vec<(SmolStr, CodecError)> {
        let strange = |row: &SubjectRow| !self.knows(&row.principal);
        let rows: Vec<SubjectRow> = rows.into_iter().filter(strange).collect();
        rows.iter().for_each(|row| {
            self.subjects.enter(row.principal.clone());
        });
        self.remember(rows)
    }

    /// Returns the principals whose silence must be checked in one of the site's hours, sorted by name.
    pub fn due(&mut self, beat: u32) -> Vec<Handle> {
        if beat < self.next_due {
            return Vec::new();
        }
        self.next_due = u32::MAX;
        let mut due: Vec<(SmolStr, Handle)> = Vec::new();
        for (at, principal, when) in self.subjects.all_due() {
            if when <= beat {
                due.push((principal.clone(), Handle(at)));
            } else {
                self.next_due = self.next_due.min(when);
            }
        }
        due.sort_by(|a, b| a.0.cmp(&b.0));
        due.into_iter().map(|(_, handle)| handle).collect()
    }

    /// Records when a changed subject falls due.
    pub fn note_due(&mut self, handle: Handle) {
        let due = self.subjects.due(handle.0);
        self.next_due = self.next_due.min(due.unwrap_or(u32::MAX));
    }

    /// Returns what was reported about many at once, for changes.
    pub const fn fleet_desk(&mut self) -> &mut Desk {
        self.fleet.change()
    }
}
