//! `volume-spike`: far more bytes than on the principal's own largest days.
//!
//! It looks at an hour, a day, or one answer of a route that was never used. (docs/detection.md, Volume.)

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Told;

use super::words::size;
use super::{Case, DAY_HOURS, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "volume-spike";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "more bytes in an hour or a day than on the principal's largest days, or as many as in its largest hours in one answer of a new route",
    facts: &[
        fact("volume.bytes", "bytes within the window so far"),
        fact("volume.usual", "the usual maximum of bytes"),
        fact("volume.window", "1 h, 1 day, or answer: one answer of a route never used")
            .one_of(&["1 h", "1 day", "answer"]),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let Some(flood) = case.signals.flood else { return };
    let window = flood.window.map_or("answer", |window| window.as_str());
    // A large answer is news once; a download of ten times as much is news again.
    let digits = [u8::try_from(flood.bytes.max(1).ilog10()).unwrap_or(u8::MAX)];
    if case.tell(told, NAME, &[window.as_bytes(), &digits], DAY_HOURS).is_none() {
        return;
    }
    let count = |bytes: u64| Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX));
    state(facts, "volume.bytes", count(flood.bytes));
    state(facts, "volume.usual", count(flood.usual));
    state(facts, "volume.window", Value::Text(SmolStr::new_static(window)));
    usual(facts, "volume.bytes", count(flood.usual));
    let (bytes, most) = (size(flood.bytes), size(flood.usual));
    let text = match flood.window {
        Some(window) => format!("{bytes} in {}, usually at most {most}", window.as_str()),
        None => {
            let usage = case.placed.usage;
            let route = format!("{} {}", usage.method, usage.route);
            format!(
                "{bytes} in one response of {route}, never used before; usually at most {most} in 1 h"
            )
        }
    };
    because(facts, NAME, 0.0, text);
}
