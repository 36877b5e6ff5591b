//! `leaked-token-used`: a token is used after it became known to others.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Told;

use super::words::span_of;
use super::{Case, Detector, Judgement::Usage, UNANSWERED, because, fact, state, usual};

const NAME: &str = "leaked-token-used";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token is used after the registry says that it leaked",
    facts: &[
        fact("leaked.seconds", "seconds since the leak"),
        fact("leaked.accepted", "whether the server accepted it").is_so(),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let leaked_at = case.row.and_then(|row| row.leaked_at);
    let Some(leaked_at) = leaked_at.filter(|at| *at <= case.placed.usage.time) else { return };
    if case.tell_by_source(told, NAME, case.params.repeat.dead_hours).is_none() {
        return;
    }
    let seconds = case.placed.usage.time.since(leaked_at) / crate::engine::time::SECOND;
    state(facts, "leaked.seconds", Value::Int(seconds));
    state(facts, "leaked.accepted", Value::Bool(case.is_ok()));
    usual(facts, "leaked.accepted", Value::Bool(false));
    let ago = span_of(seconds);
    let what = match case.answer() {
        Some(true) => "accepted",
        Some(false) => "tried but not accepted",
        None => UNANSWERED,
    };
    because(facts, NAME, 0.0, format!("{what} {ago} after it leaked"));
}
