//! Values that a field never has: a rule that asks for one would silently never match.

use std::str::FromStr;

use rsigma_parser::{DetectionItem, Detections, Modifier, SigmaValue};

use crate::engine::detect::nearest;
use crate::engine::geo::Country;
use crate::engine::usage::Outcome;

use super::view::{ecs_name, is_fact, items_of, outcome, values_of};

/// Returns each field with such a value, and a message that says what it may be.
pub(super) fn check_values(detections: &Detections) -> Vec<(String, String)> {
    let mut wrong: Vec<_> = items_of(detections).into_iter().flat_map(faults).collect();
    wrong.sort_unstable(); // they come from a hash map
    wrong.dedup();
    wrong
}

/// Returns what is wrong with the values of an item. Only whole values are compared with what a field may be: what a
/// modifier or a wildcard makes of others is the rule's own business.
fn faults(item: &DetectionItem) -> Vec<(String, String)> {
    let DetectionItem { field, values, .. } = item;
    let name = field.name.as_deref().unwrap_or_default();
    let told = |message| vec![(name.to_owned(), message)];
    if field.has_modifier(Modifier::Exists) {
        let is_said = values.iter().all(|value| matches!(value, SigmaValue::Bool(_)));
        let message = || format!("`{name}|exists` is `true` or `false`, without quotes");
        return if is_said { Vec::new() } else { told(message()) };
    }
    if 1 < values.len() && values.contains(&SigmaValue::Null) {
        return told(format!(
            "`null` in a list matches nothing: write `{name}: null` as a selection of its own"
        ));
    }
    let case = match field.modifiers.as_slice() {
        [] => Case::Alike,
        [Modifier::Cased] => Case::Apart,
        _ => return Vec::new(),
    };
    let never = values.iter().filter_map(|value| {
        let text = whole(value)?;
        let expected = expected(ecs_name(name), &text, case)?;
        Some((name.to_owned(), format!("`{name}` is never \"{text}\": {expected}")))
    });
    never.collect()
}

/// Whether upper and lower case are the same, as for Sigma's values they are without `cased`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Alike,
    Apart,
}

/// Returns a value as the text that a field must be to equal it, if it can be only one.
fn whole(value: &SigmaValue) -> Option<String> {
    match value {
        SigmaValue::String(text) => text.as_plain(),
        SigmaValue::Integer(number) => Some(number.to_string()),
        SigmaValue::Bool(is_so) => Some(is_so.to_string()),
        SigmaValue::Float(_) | SigmaValue::Null => None,
    }
}

/// Returns what a field may be, if it is never this.
fn expected(field: &str, text: &str, case: Case) -> Option<String> {
    match field {
        _ if text.is_empty() && !is_fact(field) => {
            Some(format!("it is absent then, as in `{field}: null`"))
        }
        "event.outcome" => one_of(&OUTCOMES.map(outcome), text, case),
        "source.geo.country_iso_code" | "new.country" | "pinned.country" => {
            let code = text.to_ascii_uppercase();
            let is_so = case == Case::Alike || code == text;
            let is_one = is_so && Country::parse(&code).is_some();
            (!is_one).then(|| "it is a country code of two letters, as in `DE`".to_owned())
        }
        "source.as.number" | "new.network" => number::<u32>(text, 64500),
        "http.response.status_code" => number::<u16>(text, 403),
        fact => one_of(values_of(fact), text, case),
    }
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Ok, Outcome::Redirected, Outcome::Denied, Outcome::Failed, Outcome::Unknown];

/// Returns what a text that is no such number may be.
fn number<T: FromStr>(text: &str, example: u32) -> Option<String> {
    text.parse::<T>().is_err().then(|| format!("it is a number, as in {example}"))
}

/// Returns what a name that is none of these may be; nothing if the list is not closed.
fn one_of(names: &[&str], text: &str, case: Case) -> Option<String> {
    let is_it = |name: &&str| match case {
        Case::Alike => name.eq_ignore_ascii_case(text),
        Case::Apart => *name == text,
    };
    if names.is_empty() || names.iter().any(is_it) {
        return None;
    }
    let hint = nearest(text, names.to_vec());
    let hint = hint.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    Some(format!(
        "it is {} {}{hint}",
        if names.len() == 1 { "only" } else { "one of" },
        names.join(", ")
    ))
}
