//! Numbers, times, places and rule names in words for people.

use crate::engine::alert::{Alert, Value, Values};
use crate::engine::geo::Place;
pub(super) use crate::engine::numbers::{counted, number, size, span};
use crate::engine::usage::{Agent, NO_ANSWER, Outcome};

use super::safe::{plain, safe};

/// How many kinds a subject names.
const MAX_KINDS: usize = 3;

/// How many rules the line of an incident in a digest names: more than the built-in ones that one misuse meets.
const MAX_RULES: usize = 8;

/// The longest name of a rule in a subject, in characters. Rules may be the user's own.
const MAX_RULE: usize = 40;

/// The longest title of a rule in a subject, in characters.
const MAX_TITLE: usize = 60;

/// The names of the score's families. The facts contain their evidence in nats.
const FAMILIES: [(&str, &str); 14] = [
    ("unusual.country", "new country"),
    ("unusual.hop", "impossible travel"),
    ("unusual.kind", "new kind of network"),
    ("unusual.network", "new network"),
    ("unusual.prefix", "new addresses"),
    ("unusual.client", "new client"),
    ("unusual.version", "new client version"),
    ("unusual.hour", "off hours"),
    ("unusual.rate", "rate"),
    ("unusual.errors", "errors"),
    ("unusual.routes", "new routes"),
    ("unusual.dormancy", "dormant"),
    ("unusual.watched", "confirmed misuse"),
    ("unusual.strangers", "many new networks"),
];

/// Facts whose usual values are informative, and the names of these values.
const USUAL: [(&str, &str); 14] = [
    ("dormant.days", "longest gap"),
    ("fan.prefixes", "networks in an hour"),
    ("health.silent_hours", "longest silence"),
    ("new.country", "country"),
    ("new.network", "network"),
    ("objects.count", "objects"),
    ("pinned.country", "allowed countries"),
    ("pinned.network", "allowed networks"),
    ("rate.count", "requests"),
    ("silence.hours", "longest silence"),
    ("unusual.country", "country"),
    ("unusual.kind", "kind"),
    ("unusual.network", "network"),
    ("volume.bytes", "bytes"),
];

/// Returns the text with its first letter in upper case.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str()
}

/// Prints a fact's value with the unit that the fact's name ends with: `volume.bytes`, `travel.speed_kmh`.
pub(super) fn value(fact: &str, value: &Value) -> String {
    let last = fact.rsplit(['.', '_']).next().unwrap_or_default();
    if let ("bytes", Value::Int(bytes)) = (last, value) {
        return size(bytes.unsigned_abs());
    }
    let text = match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Int(int) if *int < 0 => format!("-{}", number(int.unsigned_abs())),
        Value::Int(int) => number(int.unsigned_abs()),
        Value::Float(_) => value.to_string(),
        Value::Text(text) => safe(text),
    };
    match unit(last) {
        Some(unit) if !matches!(value, Value::Bool(_)) => format!("{text} {unit}"),
        _ => text,
    }
}

/// Returns the name of a fact's usual value. `None` if that is a limit, or says only that such things do not happen: 0
/// seconds after its end, no use of a decoy.
pub(super) fn usual(fact: &str) -> Option<&'static str> {
    USUAL.iter().find(|(name, _)| *name == fact).map(|(_, words)| *words)
}

/// Returns the unit that the last word of a fact's name stands for.
fn unit(word: &str) -> Option<&'static str> {
    const UNITS: [(&str, &str); 5] =
        [("kmh", "km/h"), ("km", "km"), ("days", "days"), ("hours", "h"), ("seconds", "s")];
    UNITS.into_iter().find(|(last, _)| *last == word).map(|(_, unit)| unit)
}

/// Prints city and country, as far as known: `Lagos, NG`.
pub(super) fn place(place: &Place) -> Option<String> {
    let country = place.country.map(|country| country.to_string());
    match (place.city.is_empty(), country) {
        (false, Some(country)) => Some(format!("{}, {country}", safe(&place.city))),
        (false, None) => Some(safe(&place.city)),
        (true, country) => country,
    }
}

/// Prints the network, as far as known: `AS64500 Example Broadband (mobile)`.
pub(super) fn network(place: &Place) -> Option<String> {
    let mut words = Vec::new();
    words.extend(place.asn.map(|asn| format!("AS{asn}")));
    if !place.organization.is_empty() {
        words.push(safe(&place.organization));
    }
    words.extend(place.network.map(|kind| format!("({})", kind.as_str())));
    (!words.is_empty()).then(|| words.join(" "))
}

/// Prints the program and its version: `curl 8.5`.
pub(super) fn client(agent: &Agent) -> Option<String> {
    let name = format!("{} {}", agent.family, agent.version);
    (!agent.family.is_empty()).then(|| safe(name.trim_end()))
}

/// Prints a status and what it means: `200 (accepted)`.
pub(super) fn status(status: Option<u16>) -> Option<String> {
    if status == Some(NO_ANSWER) {
        return Some("none".to_owned());
    }
    let meaning = match Outcome::of(status) {
        Outcome::Ok => "accepted",
        Outcome::Redirected => "redirected",
        Outcome::Denied => "refused",
        Outcome::Failed => "failed",
        Outcome::Unknown => return None,
    };
    status.map(|status| format!("{status} ({meaning})"))
}

/// Returns the kinds of these alerts, most severe first, for a subject: `unusual use, new country`.
pub(super) fn kinds(alerts: &[&Alert]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    let mut add = |kind: String| {
        if !kind.is_empty() && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    for alert in alerts {
        if alert.is_score() {
            // A plain fact is more informative than the signs of it.
            alerts.iter().filter_map(|alert| pinned(alert)).for_each(|words| add(words.to_owned()));
        }
        add(kind(alert));
        if alert.is_score() {
            strongest(&alert.facts).into_iter().for_each(|family| add(family.to_owned()));
        }
    }
    kinds.truncate(MAX_KINDS);
    kinds.join(", ")
}

/// Returns the kinds of these alerts for a line of a digest, which may be all that is told of them: all rules, then
/// what a score consists of, if there is room.
pub(super) fn line(alerts: &[&Alert]) -> String {
    let mut kinds = rules(alerts);
    let scores = alerts.iter().filter(|alert| alert.is_score());
    for family in scores.flat_map(|alert| strongest(&alert.facts)) {
        if kinds.len() < MAX_KINDS && !kinds.iter().any(|kind| kind == family) {
            kinds.push(family.to_owned());
        }
    }
    kinds.join(", ")
}

/// Returns what the rules of these alerts are called in the line of a digest, as many as it names.
pub(super) fn rules(alerts: &[&Alert]) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for rule in alerts.iter().map(|alert| kind(alert)) {
        if !rule.is_empty() && !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules.truncate(MAX_RULES);
    rules
}

/// The built-in rule for several causes of degraded monitoring: rules/monitor-health.yml.
const DEGRADED: &str = "71c4d9e8-2f35-4a60-9b81-d60e5f3a7c12";

/// These causes, by the fact that reports each.
const DEGRADATIONS: [(&str, &str); 5] = [
    ("health.skew_seconds", "lines are dated in the future"),
    ("health.lag_seconds", "lines are not read in time"),
    ("health.geoip_days", "GeoIP data is old"),
    ("health.mail_minutes", "mails are not sent"),
    ("health.database", "database was lost"),
];

/// Returns the cause of degraded monitoring.
fn degradation(alert: &Alert) -> Option<&'static str> {
    if alert.rule.id != DEGRADED {
        return None;
    }
    if matches!(alert.facts.get("health.skew_seconds"), Some(Value::Int(..0))) {
        return Some("lines are dated in the past");
    }
    let mut known = DEGRADATIONS.iter().filter(|(fact, _)| alert.facts.contains(fact));
    known.next().map(|(_, words)| *words)
}

/// The rule whose alerts are told by their titles: several causes share its name.
const HEALTH: &str = "monitor-health";

/// What use from a place is called that the registry does not allow, by the rule and its fact.
const PINNED: [(&str, &str, &str); 2] = [
    ("new-country", "pinned.country", "country not allowed"),
    ("new-network", "pinned.network", "network not allowed"),
];

/// Returns what an alert is about: its rule's name, or something more exact if several things share one name.
pub(super) fn kind(alert: &Alert) -> String {
    if let Some(words) = degradation(alert).or_else(|| pinned(alert)) {
        return words.to_owned();
    }
    if alert.rule.name == HEALTH && !alert.rule.title.is_empty() {
        let title = plain(&alert.rule.title, MAX_TITLE);
        let mut letters = title.chars();
        let first = letters.next().into_iter().flat_map(char::to_lowercase);
        return first.collect::<String>() + letters.as_str();
    }
    plain(&alert.rule.name, MAX_RULE).replace('-', " ")
}

/// Returns what an alert about a use from a place that the registry does not allow is called.
fn pinned(alert: &Alert) -> Option<&'static str> {
    let is_it = |rule: &str, fact: &str| alert.rule.name == rule && alert.facts.contains(fact);
    PINNED.iter().find(|(rule, fact, _)| is_it(rule, fact)).map(|(.., words)| *words)
}

/// Returns the families that a score consists of, strongest first.
fn strongest(facts: &Values) -> Vec<&'static str> {
    let mut families: Vec<(f64, &str)> = FAMILIES
        .iter()
        .filter_map(|(fact, words)| match facts.get(fact) {
            Some(Value::Float(nats)) if *nats > 0.0 => Some((*nats, *words)),
            _ => None,
        })
        .collect();
    families.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    families.into_iter().map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::alert::UNUSUAL_USE;
    use crate::engine::detect::{ALL, Detector};
    use crate::engine::rule::BUILT_IN;

    fn detector(name: &str) -> &'static Detector {
        ALL.iter().find(|detector| detector.name == name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn every_kind_of_evidence_has_words() {
        let facts = detector(UNUSUAL_USE).facts.iter();
        let evidence = facts.filter(|fact| fact.about.starts_with("nats: ")).map(|fact| fact.name);
        let words = FAMILIES.iter().map(|(fact, _)| *fact);
        assert_eq!(words.collect::<BTreeSet<_>>(), evidence.collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_cause_that_the_rule_for_several_names_has_words() {
        let (_, rules) = BUILT_IN.iter().find(|(file, _)| *file == "monitor-health.yml").unwrap();
        let rule = rules.split("\n---\n").find(|rule| rule.contains(DEGRADED)).unwrap();
        assert!(rule.contains(&format!("\nname: {HEALTH}\n")), "{rule}");
        let causes = rule.lines().filter_map(|line| line.trim().strip_suffix("|exists: true"));
        let words = DEGRADATIONS.iter().map(|(fact, _)| *fact);
        assert_eq!(words.collect::<BTreeSet<_>>(), causes.collect::<BTreeSet<_>>());
    }

    #[test]
    fn a_rule_that_is_named_is_a_detector_with_the_fact() {
        for (rule, fact, _) in PINNED {
            assert!(detector(rule).facts.iter().any(|of| of.name == fact), "{rule}: {fact}");
        }
        assert!(!detector(HEALTH).facts.is_empty());
    }

    #[test]
    fn values_of_facts_have_units() {
        assert_eq!(value("travel.speed_kmh", &Value::Int(9420)), "9,420 km/h");
        assert_eq!(value("expired.seconds", &Value::Int(-7)), "-7 s");
        assert_eq!(value("health.silent_hours", &Value::Int(5)), "5 h");
        assert_eq!(value("x.accepted", &Value::Bool(true)), "yes");
        assert_eq!(value("x", &Value::Text("a\u{202e}b".into())), "a\\u{202e}b");
    }

    #[test]
    fn facts_that_are_named_by_their_unit_alone_had_none() {
        assert_eq!(value("dormant.days", &Value::Float(12.34)), "12.3 days");
        assert_eq!(value("silence.hours", &Value::Int(5)), "5 h");
        assert_eq!(value("volume.bytes", &Value::Int(1_468_006_400)), "1.4 GiB");
        assert_eq!(value("rate.count", &Value::Int(1200)), "1,200");
    }

    #[test]
    fn what_is_unknown_is_not_printed() {
        let nowhere = Place::default();
        assert_eq!(
            (place(&nowhere), network(&nowhere), client(&Agent::default()), status(None)),
            (None, None, None, None)
        );
    }
}
