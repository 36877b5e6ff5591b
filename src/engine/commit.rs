//! Everything that one transaction must contain, or none of it.

use smol_str::SmolStr;

use crate::engine::alert::{Alert, Incident};
use crate::engine::ledger::Ledger;
use crate::engine::line::{Position, StreamId, Tally};

/// What the loop passes to the store: positions, and everything that was found up to them.
#[derive(Debug, Default)]
pub struct Commit {
    /// How far each stream has been read, and what became of its bytes.
    pub streams: Vec<StreamUpdate>,
    /// Streams whose rows need not say any more how well their log can be read: that of a later one does.
    pub left: Vec<StreamId>,
    /// Principals whose memory changed, encoded.
    pub subjects: Vec<SubjectRow>,
    /// Additions to the history of tokens.
    pub ledger: Ledger,
    /// New alerts.
    pub alerts: Vec<Alert>,
    /// Incidents that are new or have changed.
    pub incidents: Vec<Incident>,
    /// Incidents that are to be mailed now.
    pub notices: Vec<Notice>,
    /// Changed parts of what is known beyond one principal.
    pub house: Vec<HouseRow>,
    /// Its alerts are no news: they are about a past from which the program learns.
    pub is_past: bool,
}

/// A stream's new position, and what to add to its counters.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamUpdate {
    /// Which stream.
    pub stream: StreamId,
    /// How many of its bytes were committed before.
    pub before: u64,
    /// Its position after this commit.
    pub position: Position,
    /// What to add.
    pub tally: Tally,
    /// How well its log can be read, packed by the engine; empty if that is stored with another stream of the log.
    pub health: String,
}

impl StreamUpdate {
    /// Returns the number of committed bytes that are not accounted for; negative if more are accounted for than
    /// committed.
    #[must_use]
    pub fn unaccounted(&self) -> i128 {
        let committed = i128::from(self.position.committed()) - i128::from(self.before);
        committed - i128::from(self.tally.committed())
    }
}

/// What the Judge remembers about one principal, as bytes that only the engine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// The principal.
    pub principal: SmolStr,
    /// Versioned.
    pub blob: Vec<u8>,
    /// The hour of the site in which its silence must be checked; `None` for never.
    pub due: Option<u32>,
}

/// A part of what is known beyond one principal, as bytes that only the engine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseRow {
    /// Which part.
    pub name: SmolStr,
    /// Its contents.
    pub body: Vec<u8>,
}

/// One mail to send about an incident. Two notices with the same incident and revision are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The incident's id.
    pub incident: SmolStr,
    /// Its revision when the notice was made.
    pub revision: u32,
    /// Microseconds for which it waits for what else there is to tell.
    pub delay: i64,
}
