//! `dormant-token-woke`: a token that was idle for far longer than ever is used again.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Told, section};

use super::words::gap;
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "dormant-token-woke";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the first accepted use after at least a month, and after several times the longest gap so far",
    facts: &[
        fact("dormant.days", "days since the last use, less those on which nobody called"),
        fact("dormant.longest", "the longest earlier gap, in days"),
    ],
    judge: Usage(judge),
};

section! {
    /// When a token has been asleep.
    Dormant = "dormant" {
        /// Days without use.
        min_days = 30.0, "d", "own choice: a monthly job is not asleep";
        /// Multiple of the longest gap so far.
        factor = 5.0, "times", "own choice: a holiday after working weeks";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let (params, (days, longest)) = (&case.params.dormant, case.signals.gap_days);
    let is_long = days >= params.min_days && days >= params.factor * longest;
    if !case.signals.is_accepted || !is_long {
        return;
    }
    // An actor that is held back does not end the gap, but it is reported once all the same.
    if case.tell(told, NAME, &[], case.params.repeat.new_hours).is_none() {
        return;
    }
    state(facts, "dormant.days", Value::Float(days));
    state(facts, "dormant.longest", Value::Float(longest));
    usual(facts, "dormant.days", Value::Float(longest));
    let before = match longest {
        days if days < 1.0 => "the longest gap was less than a day".to_owned(),
        days => format!("the longest gap was {days:.0} days"),
    };
    let text = format!("first use in {}, {before}", gap(case.signals));
    because(facts, NAME, 0.0, text);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, reasons};
    use crate::engine::profile::tests::{Life, berlin, rented, stolen, usage};
    use crate::engine::time::{DAY, HOUR, SECOND};
    use crate::engine::usage::Usage;

    #[test]
    fn a_token_that_wakes_is_told_once_even_if_a_stranger_woke_it() {
        let mut life = Life::default();
        life.steady(5);
        let refused = Usage { status: Some(401), ..stolen(60 * DAY) };
        assert!(!has(&life.judged(&refused, &rented(), None), "dormant.days"));
        let facts = life.judged(&stolen(60 * DAY + HOUR), &rented(), None);
        let told = reasons(&facts, "dormant-token-woke");
        assert_eq!(told, ["first use in 55 days, the longest gap was less than a day"]);
        for day in 61..67 {
            assert!(!has(&life.judged(&stolen(day * DAY), &rented(), None), "dormant.days"));
        }
        let mut own = Life::default();
        own.steady(5);
        assert!(has(&own.judged(&usage(60 * DAY), &berlin(), None), "dormant.days"));
        assert!(!has(&own.judged(&usage(60 * DAY + 1), &berlin(), None), "dormant.days"));
    }

    #[test]
    fn a_weekly_job_that_moved_was_said_to_wake_each_week() {
        let mut life = Life::default();
        let week = |n: i64| (0..20).map(move |q| n * 7 * DAY + q * SECOND);
        for micros in (0..7).flat_map(week) {
            life.judged(&usage(micros), &berlin(), None);
        }
        for micros in (7..20).flat_map(week) {
            let moved = Usage { client: Some("198.51.100.7".parse().unwrap()), ..usage(micros) };
            assert!(
                !has(&life.judged(&moved, &rented(), None), "dormant.days"),
                "{}",
                micros / DAY
            );
        }
    }
}
