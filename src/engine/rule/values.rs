//! Values that a field never has: a rule that asks for one would silently never match.

use rsigma_parser::{Detection, DetectionItem, Detections, SigmaValue};

use crate::engine::detect::{LIFECYCLES, nearest};
use crate::engine::geo::{Country, NetworkKind};
use crate::engine::usage::Outcome;

use super::view::{ecs_name, outcome};

/// Returns each field with such a value, and a message that says what it may be.
pub(super) fn check_values(detections: &Detections) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    detections.named.values().for_each(|detection| collect(detection, &mut wrong));
    wrong.sort_unstable(); // they come from a hash map
    wrong.dedup();
    wrong
}

fn collect(detection: &Detection, wrong: &mut Vec<(String, String)>) {
    match detection {
        Detection::AllOf(items) => wrong.extend(items.iter().flat_map(faults)),
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().for_each(|part| collect(part, wrong));
        }
        Detection::ArrayMatch { .. } | Detection::Keywords(_) | Detection::Conditional { .. } => {}
    }
}

/// Only whole values are checked: what a modifier or a wildcard makes of others is the rule's own business.
fn faults(item: &DetectionItem) -> impl Iterator<Item = (String, String)> + '_ {
    let name = item.field.name.as_deref().unwrap_or_default();
    let values = item.values.iter().filter(|_| item.field.modifiers.is_empty());
    values.filter_map(move |value| {
        let SigmaValue::String(text) = value else { return None };
        let text = text.as_plain()?;
        let expected = expected(ecs_name(name), &text)?;
        Some((name.to_owned(), format!("`{name}` is never \"{text}\": it is {expected}")))
    })
}

/// Returns what a field may be, if it is never this.
fn expected(field: &str, text: &str) -> Option<String> {
    match field {
        // Sigma's empty value: there is none.
        _ if text.is_empty() => None,
        "event.outcome" => one_of(&OUTCOMES.map(outcome), text),
        "new.network_kind" => one_of(&NetworkKind::ALL.map(NetworkKind::as_str), text),
        "lifecycle.what" => one_of(&LIFECYCLES, text),
        "mfa.according_to" => one_of(&["token", "registry"], text),
        "source.geo.country_iso_code" | "new.country" => {
            (Country::parse(&text.to_ascii_uppercase()).is_none())
                .then(|| "a country code of two letters, as in `DE`".to_owned())
        }
        "source.as.number" | "new.network" => {
            text.parse::<u32>().is_err().then(|| "a number, as in 64500".to_owned())
        }
        "http.response.status_code" => {
            text.parse::<u16>().is_err().then(|| "a number, as in 403".to_owned())
        }
        _ => None,
    }
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Ok, Outcome::Redirected, Outcome::Denied, Outcome::Failed, Outcome::Unknown];

fn one_of(names: &[&str], text: &str) -> Option<String> {
    // Sigma's values are the same in upper and lower case.
    if names.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return None;
    }
    let hint = nearest(text, names.to_vec());
    let hint = hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    Some(format!("one of {}{hint}", names.join(", ")))
}
