//! `object-enumeration`: one token requests one forbidden or missing object after another.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Enumeration, Order};

use super::{Detector, Judgement, because, fact, state, usual};

const NAME: &str = "object-enumeration";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "one principal asked for many different objects within ten minutes that were refused (403) or missing (404)",
    facts: &[
        fact("objects.count", "different objects, by their path"),
        fact("objects.requests", "requests for them"),
        fact("objects.minutes", "minutes since the first of them"),
        fact("objects.order", "rising or falling, if their numbers are; else scattered").one_of(&[
            "rising",
            "falling",
            "scattered",
        ]),
    ],
    judge: Judgement::House,
};

/// Adds the facts of a walk through objects.
pub fn walked(walk: &Enumeration, facts: &mut Facts) {
    let Enumeration { objects, requests, order, .. } = walk;
    let minutes = walk.seconds / 60;
    let (name, one_after_another) = match order {
        Order::Scattered => ("scattered", ""),
        Order::Falling => ("falling", ", number after number in descending order,"),
        Order::Rising => ("rising", ", number after number,"),
    };
    state(facts, "objects.count", Value::Int((*objects).into()));
    state(facts, "objects.requests", Value::Int((*requests).into()));
    state(facts, "objects.minutes", Value::Int(minutes));
    state(facts, "objects.order", Value::Text(SmolStr::new_static(name)));
    usual(facts, "objects.count", Value::Int(walk.usual.into()));
    let usual = match walk.usual {
        0 => "usually none".to_owned(),
        most => format!("usually at most {most}"),
    };
    let minutes = minutes.max(1);
    let text = format!(
        "{objects} objects that are refused or do not exist were requested{one_after_another} within {minutes} min, {usual}"
    );
    because(facts, NAME, 0.0, text);
}
