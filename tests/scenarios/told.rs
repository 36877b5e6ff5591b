//! Compares the alerts with those that a scenario asks for.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::play::{DAY, START};
use crate::story::{Expectation, LEVELS, Story, Verb};

/// From this level on, what is told must have been asked for.
const MEDIUM: usize = 2;

/// An alert, as far as scenarios speak of it.
#[derive(Debug)]
pub(crate) struct Told {
    who: String,
    rule: String,
    level: usize,
    day: u64,
    at: String,
    reason: String,
}

impl Told {
    pub(crate) fn of(alert: &Value, story: &Story) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let at = text(&alert["@timestamp"]);
        let time = chrono::DateTime::parse_from_rfc3339(&at).expect("time").timestamp() as u64;
        let level = text(&alert["rule"]["level"]);
        Self {
            who: who(&text(&alert["principal"]), story),
            rule: text(&alert["rule"]["name"]),
            level: LEVELS.iter().position(|one| *one == level).expect("level"),
            day: time.saturating_sub(START) / DAY,
            at,
            reason: text(&alert["event"]["reason"]),
        }
    }
}

/// A registered name as it is; `log`, `fleet`, `source` without what follows; `stranger` for the rest.
fn who(principal: &str, story: &Story) -> String {
    let is_known = story
        .people
        .iter()
        .any(|person| story.members(&person.name).iter().any(|m| m == principal));
    let kind = principal.split(':').next().unwrap_or_default();
    match kind {
        _ if is_known => principal.to_owned(),
        kind if kind.starts_with("tw1_") => "stranger".to_owned(),
        kind => kind.to_owned(),
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, rule, level, day, at, reason } = self;
        write!(f, "day {day} {at} {who} {rule} {}: {reason}", LEVELS[*level])
    }
}

fn is_about(one: &Expectation, told: &Told, story: &Story) -> bool {
    let is_who =
        one.who == "*" || one.who == told.who || story.members(&one.who).contains(&told.who);
    is_who && one.days.holds(told.day)
}

fn is_built_in(rule: &str) -> bool {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    rules.join(format!("{rule}.yml")).exists()
}

/// Returns a sentence for each thing that was not told, or should not have been.
pub(crate) fn faults(story: &Story, alerts: &[Told]) -> Vec<String> {
    let name = &story.name;
    let mut faults = Vec::new();
    // A scenario may stand there before its rule does.
    for one in story.expectations.iter().filter(|one| is_built_in(&one.rule)) {
        let is_it = |told: &&Told| {
            is_about(one, told, story) && one.rule == told.rule && one.level <= told.level
        };
        let n = alerts.iter().filter(is_it).count();
        let what = format!("{} {} {}", one.who, one.rule, LEVELS[one.level]);
        match one.verb {
            Verb::Must if n == 0 => faults.push(format!("{name}: not told: {what}")),
            Verb::Once if n != 1 => faults.push(format!("{name}: told {n} times: {what}")),
            Verb::Never if n > 0 => faults.push(format!("{name}: told {n} times: {what}")),
            Verb::Shows if n == 0 => {
                faults.push(format!("{name}: no longer told, take the `shows` away: {what}"));
            }
            _ => {}
        }
    }
    let excuses = |one: &Expectation, told: &Told| {
        is_about(one, told, story)
            && match one.verb {
                Verb::Must | Verb::Once => true,
                Verb::Never => false,
                Verb::May | Verb::Shows => one.rule == told.rule && told.level <= one.level,
            }
    };
    let surplus = alerts.iter().filter(|told| {
        told.level >= MEDIUM && !story.expectations.iter().any(|one| excuses(one, told))
    });
    faults.extend(surplus.map(|told| format!("{name}: must not be told: {told}")));
    faults
}
