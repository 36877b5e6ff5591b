//! Principals whose silence is news at the begin of an hour: found in memory without asking each of them each hour.

use smol_str::SmolStr;

use super::{Handle, Memory};
use crate::engine::commit::SubjectRow;
use crate::engine::incident::Desk;
use crate::engine::profile::CodecError;
use crate::engine::usage::Usage;

impl Memory {
    /// Returns up to which of the site's hours principals may fall due while these usages are judged. They have to be
    /// recalled before ([`Memory::invite`]); `None` if no hour begins, and so nobody does.
    #[must_use]
    pub fn due_by(&self, usages: &[Usage]) -> Option<u32> {
        self.house.beat_after(usages.iter().map(|usage| usage.time))
    }

    /// Tells whether a principal is in memory.
    #[must_use]
    pub fn knows(&self, principal: &str) -> bool {
        self.subjects.place(principal).is_some()
    }

    /// Takes in what the store recalled of principals that fall due; whoever is in memory is known better there.
    /// Returns those that cannot be unpacked.
    pub fn invite(&mut self, rows: Vec<SubjectRow>) -> Vec<(SmolStr, CodecError)> {
        let strange = |row: &SubjectRow| !self.knows(&row.principal);
        let rows: Vec<SubjectRow> = rows.into_iter().filter(strange).collect();
        rows.iter().for_each(|row| {
            self.subjects.enter(row.principal.clone());
        });
        self.remember(rows)
    }

    /// Returns those whose silence is to be looked at in one of the site's hours, by their names.
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

    /// Notes when a subject falls due that was changed.
    pub fn note_due(&mut self, handle: Handle) {
        let due = self.subjects.due(handle.0);
        self.next_due = self.next_due.min(due.unwrap_or(u32::MAX));
    }

    /// Returns what was told of what many do at once, to be changed.
    pub const fn fleet_desk(&mut self) -> &mut Desk {
        self.fleet.change()
    }
}
