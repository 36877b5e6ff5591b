//! `concurrent-use`: somebody known and somebody unknown use the token in turns.
//!
//! Silent if places take turns as a habit, and if both are known or neither is. (docs/detection.md,
//! Turns.)

use smol_str::{SmolStr, ToSmolStr};

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::Told;
use crate::engine::stats::units;
use crate::engine::time::DAY;

use super::words::counted;
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "concurrent-use";

/// What `concurrent.stranger` may be.
const HERE: &str = "here";
const THERE: &str = "there";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a known and an unknown place use the token in turns within half an hour",
    facts: &[
        fact(
            "concurrent.minutes",
            "minutes within which one place, the other, and the first again used it",
        ),
        fact("concurrent.here", "country and network of this use"),
        fact("concurrent.there", "country and network of the other place"),
        fact("concurrent.stranger", "which of the two is not known: here or there")
            .one_of(&[HERE, THERE]),
        fact("concurrent.days", "active days on which known places took turns, faded"),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let (signals, params) = (case.signals, &case.params.profile.concurrent);
    let Some(turn) = signals.turn.filter(|turn| turn.is_strange()) else { return };
    let (habit, days) = turn.days;
    let is_young = f64::from(signals.active_days) < params.min_active_days;
    if is_young || habit * 100.0 > params.habit_percent * days {
        return;
    }
    // A stranger is reported once per period, as with the score.
    let period = units(case.params.profile.score.actor_repeat_days, DAY);
    if case.tell_key(told, turn.stranger, period).is_none() {
        return;
    }
    let place = case.placed.place;
    let here = name(place.country.map(|country| country.to_smolstr()), place.asn);
    let there = name(turn.country.map(|country| country.to_smolstr()), turn.network);
    // This use may be the owner's: the reader of an alert must know which of the two to look at.
    let (known, unknown, stranger) = match turn.is_stranger_here {
        true => (&there, &here, HERE),
        false => (&here, &there, THERE),
    };
    let within = match turn.minutes {
        0 => "a minute".to_owned(),
        minutes => counted(u32::try_from(minutes).unwrap_or(u32::MAX), "minute"),
    };
    let often = match habit {
        days if days < 1.0 => "places never alternated before".to_owned(),
        days => format!("places alternated on {days:.0} days before"),
    };
    let text = format!(
        "used alternately from {known} and, by somebody unknown, from {unknown} within {within}; {often}"
    );
    state(facts, "concurrent.minutes", Value::Int(turn.minutes));
    state(facts, "concurrent.here", Value::Text(here));
    state(facts, "concurrent.there", Value::Text(there));
    state(facts, "concurrent.stranger", Value::Text(SmolStr::new_static(stranger)));
    state(facts, "concurrent.days", Value::Float(habit));
    usual(facts, "concurrent.minutes", Value::Float(params.window_minutes));
    because(facts, NAME, 0.0, text);
}

/// `DE (AS64500)`, `AS64500`, `another network`.
fn name(country: Option<SmolStr>, asn: Option<u32>) -> SmolStr {
    match (country, asn) {
        (Some(country), Some(asn)) => smol_str::format_smolstr!("{country} (AS{asn})"),
        (Some(country), None) => country,
        (None, Some(asn)) => smol_str::format_smolstr!("AS{asn}"),
        (None, None) => SmolStr::new_static("another network"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, reasons};
    use crate::engine::geo::{NetworkKind, Place};
    use crate::engine::profile::tests::{Life, berlin, lagos, place, rented, stolen, usage};
    use crate::engine::time::{DAY, HOUR, MINUTE};
    use crate::engine::usage::{Agent, Usage};

    const FACT: &str = "concurrent.minutes";

    fn phone(micros: i64) -> (Usage, Place) {
        let agent = Agent { family: "ExampleApp".into(), version: "3".into() };
        let client = Some("203.0.113.40".parse().unwrap());
        let mobile = place("DE", "Berlin", (52.4, 13.2), 64501, NetworkKind::Mobile);
        (Usage { agent, client, ..usage(micros) }, mobile)
    }

    #[test]
    fn an_owner_and_a_thief_in_turns_are_told_once() {
        let mut life = Life::default();
        life.steady(10);
        assert!(!has(&life.judged(&stolen(10 * DAY + MINUTE), &rented(), None), FACT));
        let facts = life.judged(&usage(10 * DAY + 10 * MINUTE), &berlin(), None);
        let told = reasons(&facts, "concurrent-use");
        assert_eq!(
            told,
            [
                "used alternately from DE (AS64500) and, by somebody unknown, from SG (AS64999) within 20 minutes; \
              places never alternated before"
            ]
        );
        assert!(!has(&life.judged(&stolen(10 * DAY + 11 * MINUTE), &rented(), None), FACT));
        assert!(!has(&life.judged(&usage(10 * DAY + 12 * MINUTE), &berlin(), None), FACT));
    }

    /// The same program, with another operator of the city.
    fn copied(micros: i64) -> (Usage, Place) {
        let client = Some("198.51.100.7".parse().unwrap());
        let other = place("DE", "Berlin", (52.5, 13.4), 64502, NetworkKind::Residential);
        (Usage { client, ..usage(micros) }, other)
    }

    #[test]
    fn a_copy_of_a_machine_is_told_by_the_one_that_goes_on_beside_it() {
        let mut life = Life::default();
        life.steady(10);
        let (theirs, there) = copied(10 * DAY + 5 * MINUTE);
        assert!(!has(&life.judged(&theirs, &there, None), FACT));
        let facts = life.judged(&usage(10 * DAY + 10 * MINUTE), &berlin(), None);
        assert!(has(&facts, FACT));
    }

    #[test]
    fn a_machine_that_moved_is_not_at_two_places() {
        let mut life = Life::default();
        life.steady(10);
        for n in 1..100 {
            let (moved, there) = copied(10 * DAY + n * 10 * MINUTE);
            assert!(!has(&life.judged(&moved, &there, None), FACT), "{n}");
        }
    }

    #[test]
    fn a_stranger_who_was_told_of_is_no_news_for_a_month_and_another_is() {
        let mut life = Life::default();
        life.steady(10);
        let mut in_turns = |start: i64, other: &(Usage, Place)| {
            life.judged(&usage(start), &berlin(), None);
            let other_use = Usage { time: other.0.time.plus(start), ..other.0.clone() };
            life.judged(&other_use, &other.1, None);
            has(&life.judged(&usage(start + 10 * MINUTE), &berlin(), None), FACT)
        };
        let thief = (stolen(MINUTE), rented());
        let client = Some("198.51.100.7".parse().unwrap());
        let another = (Usage { client, ..stolen(MINUTE) }, lagos());
        assert!(in_turns(10 * DAY, &thief));
        assert!(!in_turns(11 * DAY, &thief));
        assert!(in_turns(11 * DAY + 5 * HOUR, &another));
        assert!(!in_turns(12 * DAY, &another));
        assert!(in_turns(41 * DAY, &thief));
    }

    #[test]
    fn a_thief_who_is_the_last_of_the_turns_is_still_the_unknown_one() {
        let mut life = Life::default();
        life.steady(10);
        life.judged(&stolen(10 * DAY + 60 * MINUTE), &rented(), None);
        life.judged(&usage(10 * DAY + 65 * MINUTE), &berlin(), None);
        let facts = life.judged(&stolen(10 * DAY + 70 * MINUTE), &rented(), None);
        let told = reasons(&facts, "concurrent-use");
        assert!(told[0].contains("by somebody unknown, from SG (AS64999) within"), "{told:?}");
    }

    #[test]
    fn who_takes_turns_as_a_habit_is_not_told_of() {
        let mut life = Life::default();
        for day in 0..10 {
            for n in 0..6 {
                let at = day * DAY + 9 * HOUR + n * 10 * MINUTE;
                assert!(!has(&life.judged(&usage(at), &berlin(), None), FACT));
                let (usage, place) = phone(at + 5 * MINUTE);
                assert!(!has(&life.judged(&usage, &place, None), FACT));
            }
        }
        let abroad = |micros| (Usage { client: stolen(0).client, ..phone(micros).0 }, lagos());
        for n in 0..3 {
            let (away, lagos) = abroad(10 * DAY + n * 10 * MINUTE);
            assert!(!has(&life.judged(&away, &lagos, None), FACT));
            let home = usage(10 * DAY + (n * 10 + 5) * MINUTE);
            assert!(!has(&life.judged(&home, &berlin(), None), FACT));
        }
    }

    #[test]
    fn what_strangers_do_in_turns_is_no_habit() {
        let mut life = Life::default();
        let mut at = |(of, place): (Usage, Place), time: i64| {
            let facts = life.judged(&Usage { time: of.time.plus(time), ..of }, &place, None);
            has(&facts, FACT)
        };
        let [owner, thief] = [(usage(0), berlin()), (stolen(0), rented())];
        for day in 0..13 {
            (0..6).for_each(|n| _ = at(owner.clone(), day * DAY + 9 * HOUR + n * 10 * MINUTE));
            if day >= 10 {
                let night = day * DAY + 22 * HOUR;
                let other = (stolen(0), lagos());
                (0..3).for_each(|n| {
                    assert!(!at(thief.clone(), night + n * 10 * MINUTE));
                    assert!(!at(other.clone(), night + (n * 10 + 5) * MINUTE));
                });
            }
        }
        let day = 13 * DAY + 9 * HOUR;
        assert!(!at(owner.clone(), day));
        assert!(!at(thief, day + 5 * MINUTE));
        assert!(at(owner, day + 10 * MINUTE));
    }

    #[test]
    fn a_refused_stranger_does_not_take_turns() {
        let mut life = Life::default();
        life.steady(10);
        let refused = Usage { status: Some(401), ..stolen(10 * DAY + MINUTE) };
        assert!(!has(&life.judged(&refused, &rented(), None), FACT));
        assert!(!has(&life.judged(&usage(10 * DAY + 10 * MINUTE), &berlin(), None), FACT));
    }
}
