//! Everything that one transaction must hold, or none of it.

use smol_str::SmolStr;

use crate::engine::alert::{Alert, Incident};
use crate::engine::ledger::Ledger;
use crate::engine::line::{Position, StreamId, Tally};

/// What the loop hands to the store: positions and all that they vouch for.
#[derive(Debug, Default)]
pub struct Commit {
    /// How far each stream has been read, and what became of its bytes.
    pub streams: Vec<StreamUpdate>,
    /// Principals whose memory changed, encoded.
    pub subjects: Vec<SubjectRow>,
    /// Additions to the history of tokens.
    pub ledger: Ledger,
    /// New alerts.
    pub alerts: Vec<Alert>,
    /// Incidents that are new or have changed.
    pub incidents: Vec<Incident>,
    /// Incidents that a person is to be told about now.
    pub notices: Vec<Notice>,
    /// Parts of what is known beyond one principal that changed.
    pub house: Vec<HouseRow>,
    /// Its alerts are no news: they tell of a past that is learned from.
    pub is_past: bool,
}

/// A stream's new position, and what to add to its counters.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamUpdate {
    /// Which stream.
    pub stream: StreamId,
    /// How many of its bytes were committed before.
    pub before: u64,
    /// What is true of it after this commit.
    pub position: Position,
    /// What to add.
    pub tally: Tally,
    /// How well its log is read, packed by the engine.
    pub health: String,
}

impl StreamUpdate {
    /// Returns how many bytes it commits that nothing accounts for; below 0 if more are counted than it commits.
    #[must_use]
    pub fn unaccounted(&self) -> i128 {
        let committed = i128::from(self.position.committed()) - i128::from(self.before);
        committed - i128::from(self.tally.committed())
    }
}

/// What the Judge remembers of one principal, as bytes that only the engine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// Whose.
    pub principal: SmolStr,
    /// Versioned.
    pub blob: Vec<u8>,
    /// In which of the site's hours its silence is to be looked at; `None` for never.
    pub due: Option<u32>,
}

/// A part of what is known beyond one principal, as bytes that only the engine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseRow {
    /// Which part.
    pub name: SmolStr,
    /// What it holds.
    pub body: Vec<u8>,
}

/// One mail to be sent about an incident. Two notices with one incident and revision are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The incident's id.
    pub incident: SmolStr,
    /// Its revision when the notice was made.
    pub revision: u32,
    /// Microseconds for which it waits for what else there is to tell.
    pub delay: i64,
}
