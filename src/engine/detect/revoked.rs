//! `revoked-token-used`: a token is used after it was revoked.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Told, section};

use super::words::span_of;
use super::{Case, Detector, Judgement::Usage, UNANSWERED, because, fact, state, usual};

const NAME: &str = "revoked-token-used";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token is used after the registry says that it was revoked",
    facts: &[
        fact("revoked.seconds", "seconds since the revocation"),
        fact("revoked.accepted", "whether the server accepted it, if the log says so").is_so(),
    ],
    judge: Usage(judge),
};

section! {
    /// When a revoked token is one.
    Revoked = "revoked" {
        /// How long a revocation may take to reach all servers.
        grace_seconds = 10.0, "s", "own choice: caches and replicas of a revocation list";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let revoked_at = case.row.and_then(|row| row.revoked_at);
    let Some(seconds) = case.seconds_after(revoked_at, case.params.revoked.grace_seconds) else {
        return;
    };
    if case.tell_by_source(told, NAME, case.params.repeat.dead_hours).is_none() {
        return;
    }
    state(facts, "revoked.seconds", Value::Int(seconds));
    if let Some(is_accepted) = case.answer() {
        state(facts, "revoked.accepted", Value::Bool(is_accepted));
        usual(facts, "revoked.accepted", Value::Bool(false));
    }
    let ago = span_of(seconds);
    let what = match case.answer() {
        Some(true) => "accepted",
        Some(false) => "tried and refused",
        None => UNANSWERED,
    };
    let text = format!("{what} {ago} after it was revoked{}", case.length());
    because(facts, NAME, 0.0, text);
}
