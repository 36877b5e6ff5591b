//! `fan-out`: a token in far more hands than ever.
//!
//! Two hours running, against the last week; and against the week three weeks ago, so that a slow ramp
//! shows as well. (docs/detection.md, Fan-out.)

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Told;

use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "fan-out";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "in two consecutive hours, several times as many neighbourhoods as ever use the token, each a little",
    facts: &[
        fact("fan.prefixes", "neighbourhoods in this hour so far"),
        fact("fan.before", "neighbourhoods in the hour before"),
        fact("fan.usual", "the usual maximum for two hours of a day, last week or three weeks ago"),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let Some(spread) = case.signals.spread else { return };
    // More users are news once; several times as many are news again.
    let size = [u8::try_from(spread.prefixes.max(1).ilog2()).unwrap_or(u8::MAX)];
    if case.tell(told, NAME, &[&size], case.params.repeat.new_hours).is_none() {
        return;
    }
    state(facts, "fan.prefixes", Value::Int(spread.prefixes.into()));
    state(facts, "fan.before", Value::Int(spread.before.into()));
    state(facts, "fan.usual", Value::Int(spread.usual.into()));
    usual(facts, "fan.prefixes", Value::Int(spread.usual.into()));
    let (now, before) = (spread.prefixes, spread.before);
    let text = format!(
        "used from about {now} neighbourhoods this hour and {before} the hour before, usually at most {}",
        spread.usual.max(1)
    );
    because(facts, NAME, 0.0, text);
}
