//! `silence`: a principal that calls regularly has stopped. It is judged at the start of an hour.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Silent;
use crate::engine::time::HOUR;

use super::fleet::Common;
use super::{Detector, Judgement::Site, because, fact, state, usual};

const NAME: &str = "silence";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a program that calls at all times has stopped, while others continue",
    facts: &[
        fact("silence.hours", "hours in which others called, but not this principal"),
        fact("silence.longest_gap_hours", "its longest earlier pause, in such hours, faded"),
        fact("silence.active_days", "active days without a longer pause"),
    ],
    judge: Site,
};

/// States the facts of a principal that has stopped calling.
#[must_use]
pub fn fell_silent(silent: &Silent) -> Facts {
    let Silent { hours, longest, days, .. } = *silent;
    let mut facts = Facts::default();
    state(&mut facts, "silence.hours", Value::Int(hours.into()));
    state(&mut facts, "silence.longest_gap_hours", Value::Int(longest.into()));
    state(&mut facts, "silence.active_days", Value::Int(days.into()));
    usual(&mut facts, "silence.hours", Value::Int(longest.into()));
    let before = match longest {
        0 => "called in every such hour".to_owned(),
        1 => "never paused for longer than 1 such hour".to_owned(),
        hours => format!("never paused for longer than {hours} such hours"),
    };
    let text = format!(
        "no request for {hours} h in which others called; on the {days} active days before that it {before}"
    );
    because(&mut facts, NAME, 0.0, text);
    facts
}

/// States the facts of many that are silent at once: one thing happened to all of them.
#[must_use]
pub fn lost(silent: &[Silent]) -> Facts {
    let lasts = || silent.iter().map(|silent| silent.last);
    let (first, last) = (lasts().min().unwrap_or_default(), lasts().max().unwrap_or_default());
    let hours = silent.iter().map(|silent| silent.hours).max().unwrap_or(0);
    let minutes = last.since(first) / (HOUR / 60);
    let principals = silent.len();
    let value = format!("no request for {hours} h");
    let text = format!("{value} from {principals} principals that always call, the last at {last}");
    Common { change: "silence", value: &value, principals, minutes }.stated(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Timestamp;

    fn silent(hours: u32, longest: u32) -> Silent {
        Silent { hours, longest, days: 40, last: Timestamp(0), is_over: false }
    }

    #[test]
    fn the_sentence_says_for_how_long_and_what_is_usual() {
        let facts = fell_silent(&silent(9, 1));
        let text = "no request for 9 h in which others called; on the 40 active days before that it never paused \
                    for longer than 1 such hour";
        assert_eq!(facts.reasons[0].text, text);
        assert_eq!(facts.usual, [("silence.hours", Value::Int(1))]);
        let text = "no request for 3 h in which others called; on the 40 active days before that it called in \
                    every such hour";
        assert_eq!(fell_silent(&silent(3, 0)).reasons[0].text, text);
    }

    #[test]
    fn of_many_it_is_said_how_many() {
        let all = [silent(4, 0); 7];
        let text = "no request for 4 h from 7 principals that always call, the last at \
                    1970-01-01T00:00:00Z";
        assert_eq!(lost(&all).reasons[0].text, text);
    }
}
