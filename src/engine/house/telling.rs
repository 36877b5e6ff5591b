//! What was reported about a source of guesses, and whether it is the same story again: stale clients try the same
//! tokens day after day, a guesser tries others.

use serde::{Deserialize, Serialize};

use super::window::Window;
use crate::engine::stats::Sketch;

/// In seconds.
const DAY: i64 = 86_400;

/// How long somebody whose story goes on is not counted among others: over a weekend.
const PAUSE: i64 = 3 * DAY;

/// How long a story is remembered after its latest day, in seconds: own choice, as long as a stale client.
const STORY: i64 = 30 * DAY;

/// How much a source or group must be kept where others need its room: the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is part of what was reported, and will be again when it comes back.
    Part,
    /// It may still become a report.
    Untold,
    /// It was reported itself, and would be once more.
    Told,
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Telling {
    /// Few were tried, as from a timer.
    pub is_slow: bool,
    /// When it was reported, in seconds since 1970.
    at: i64,
    /// The tokens that it was about, with those that followed within a day.
    #[serde(default)]
    tokens: Sketch,
    /// The latest time at which the same was tried again, in seconds since 1970.
    #[serde(default)]
    seen: i64,
    /// It was not reported itself, but what it has in common with others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_implied: bool,
}

pub(super) const fn is_false(is_so: &bool) -> bool {
    !*is_so
}

impl Telling {
    /// Makes a report about tokens.
    pub(super) const fn new(is_slow: bool, tokens: Sketch, now: i64) -> Self {
        Self { is_slow, at: now, tokens, seen: now, is_implied: false }
    }

    /// Makes one about tokens that are part of a wider report: it ends with that.
    pub(super) const fn implied(by: Self, tokens: Sketch, now: i64) -> Self {
        Self { is_slow: false, at: by.at, tokens, seen: now, is_implied: true }
    }

    /// Returns the report, if it is of the last day.
    pub(super) fn lasts(this: Option<Self>, now: i64) -> Option<Self> {
        this.filter(|told| now.saturating_sub(told.at).abs() < DAY)
    }

    /// Returns how much what it is about must be kept.
    pub(super) fn rank(this: Option<Self>, now: i64) -> Rank {
        match Self::lasts(this, now) {
            None => Rank::Untold,
            Some(told) if told.is_implied => Rank::Part,
            Some(_) => Rank::Told,
        }
    }

    /// Returns whether the story went on lately.
    pub(super) fn goes_on(this: Option<Self>, now: i64) -> bool {
        this.is_some_and(|told| now.saturating_sub(told.seen).abs() < PAUSE)
    }

    /// Notes a token that is tried within a day of the report: it belongs to the story.
    pub(super) fn follow(this: &mut Option<Self>, who: u32, now: i64) {
        if let Some(told) = this
            && Self::lasts(Some(*told), now).is_some()
        {
            told.tokens.add(who);
        }
    }

    /// Returns whether a window holds what was reported: the same tokens, and hardly any others. Then the story goes
    /// on.
    pub(super) fn repeats(this: &mut Option<Self>, window: &Window, now: i64) -> bool {
        let Some(told) = this else { return false };
        let is_lately = now.saturating_sub(told.seen).abs() < STORY;
        let is_same = is_lately && window.strange.is_mostly_in(&told.tokens);
        if is_same {
            told.seen = now;
        }
        is_same
    }
}
