//! `rotated-token-used`: a token is used although its successor has taken over.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Told, section};

use super::words::span_of;
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "rotated-token-used";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the server accepted a token after the overlap with its successor",
    facts: &[
        fact("rotated.seconds", "seconds since the rotation"),
        fact("rotated.to", "the successor"),
    ],
    judge: Usage(judge),
};

section! {
    /// When a rotated token is one.
    Rotated = "rotated" {
        /// How long both may be used.
        overlap_hours = 24.0, "h", "own choice: a day to roll a key out by hand";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let Some(row) = case.row.filter(|_| case.is_ok()) else { return };
    let overlap = case.params.rotated.overlap_hours * 3600.0;
    let Some(seconds) = case.seconds_after(row.rotated_at, overlap) else { return };
    if case.tell_by_source(told, NAME, case.params.repeat.dead_hours).is_none() {
        return;
    }
    state(facts, "rotated.seconds", Value::Int(seconds));
    state(facts, "rotated.to", Value::Text(row.rotated_to.clone()));
    usual(facts, "rotated.seconds", Value::Int(0));
    let ago = span_of(seconds);
    let to = if row.rotated_to.is_empty() { "its successor" } else { row.rotated_to.as_str() };
    because(facts, NAME, 0.0, format!("accepted {ago} after it was rotated to {to}"));
}
