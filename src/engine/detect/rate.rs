//! `rate-spike`: requests far faster than the principal's own worst days.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Burst, Busy, Tier, Told, Window, report_key};

use super::words::grouped;
use super::{Case, Detector, Judgement::Usage, because, fact, period, state, usual};

const NAME: &str = "rate-spike";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "more requests in 5 minutes, an hour, a day or three than on the principal's worst days",
    facts: &[
        fact("rate.count", "requests in the window so far"),
        fact("rate.expected", "requests expected in it"),
        fact("rate.window", "5 min, 1 h, 1 day or 3 days")
            .one_of(&["5 min", "1 h", "1 day", "3 days"]),
        fact("rate.nats", "evidence, in nats"),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, _: &mut Told, facts: &mut Facts) {
    let Some(burst) = &case.signals.burst else { return };
    let tier = case.signals.rate_tier;
    if tier == Tier::None {
        return;
    }
    // The profile remembers it, and that a higher tier is news.
    let key = report_key(NAME.as_bytes(), &[&tier.number().to_le_bytes()]);
    case.report.set(Some((key, period(case.params.profile.score.repeat_hours))));
    state(facts, "rate.count", Value::Int(burst.count.into()));
    state(facts, "rate.expected", Value::Float(f64::from(burst.expected)));
    state(facts, "rate.window", Value::Text(SmolStr::new_static(burst.window.as_str())));
    state(facts, "rate.nats", Value::Float(burst.nats.get()));
    usual(facts, "rate.count", Value::Int(burst.usual.into()));
    because(facts, NAME, burst.nats.get(), sentence(burst));
}

/// `37 requests in 5 min, usually at most 4`; `usually none`; for a record `never more than 69 before`. If the evidence
/// is an earlier moment of the day, which the numbers of now do not show, it says so.
pub(super) fn sentence(burst: &Burst) -> String {
    if !burst.is_now && burst.count <= burst.usual {
        return "far more requests earlier today than usual".to_owned();
    }
    let usual = grouped(burst.usual.into());
    let usual = match burst.usual {
        _ if burst.busy == Busy::Extremely => format!("never more than {usual} before"),
        0 => "usually none".to_owned(),
        _ => format!("usually at most {usual}"),
    };
    let count = grouped(burst.count.into());
    let when = match burst.window {
        Window::FiveMinutes => "in 5 min",
        Window::Hour => "in 1 h",
        // What is usual is what such a day had by this hour.
        Window::Day => "today so far",
        Window::ThreeDays => "in 3 days so far",
    };
    format!("{count} requests {when}, {usual}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stats::Nats;

    fn burst(count: u32, usual: u32) -> Burst {
        Burst {
            nats: Nats(99),
            window: Window::FiveMinutes,
            count,
            expected: 0.1,
            usual,
            busy: Busy::More,
            is_now: true,
            surprise: 20.0,
        }
    }

    #[test]
    fn a_rush_of_this_morning_was_told_with_numbers_of_now_that_contradicted_it() {
        let over = |count, usual| sentence(&Burst { is_now: false, ..burst(count, usual) });
        for (count, usual) in [(342, 497), (16, 16), (0, 0)] {
            assert_eq!(over(count, usual), "far more requests earlier today than usual");
        }
        assert_eq!(over(17, 16), "17 requests in 5 min, usually at most 16", "they show it");
    }

    #[test]
    fn a_sentence_never_says_at_most_0() {
        assert_eq!(sentence(&burst(10, 0)), "10 requests in 5 min, usually none");
        assert_eq!(sentence(&burst(3700, 4)), "3,700 requests in 5 min, usually at most 4");
        let record = Burst { busy: Busy::Extremely, ..burst(209, 69) };
        assert_eq!(sentence(&record), "209 requests in 5 min, never more than 69 before");
    }
}
