//! `honeytoken-used`: somebody uses bait.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Told;

use super::words::counted;
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "honeytoken-used";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token that the registry marks as a decoy is used, whatever the answer",
    facts: &[
        fact("decoy.used", "always true").is_so(),
        fact("decoy.accepted", "whether the server accepted it, which it should not").is_so(),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    if !case.row.is_some_and(|row| row.decoy) {
        return;
    }
    let Some(before) = case.tell_by_source(told, NAME, case.params.repeat.decoy_hours) else {
        return;
    };
    state(facts, "decoy.used", Value::Bool(true));
    state(facts, "decoy.accepted", Value::Bool(case.is_ok()));
    usual(facts, "decoy.used", Value::Bool(false));
    let again = match before {
        0 => String::new(),
        n => format!(", {} since the last alert", counted(n, "more use")),
    };
    because(facts, NAME, 0.0, format!("a decoy, which nobody has a reason to use{again}"));
}
