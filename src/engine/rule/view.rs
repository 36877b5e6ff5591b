//! What a rule sees. Of a usage: its facts by name, and its fields by their ECS names and by Sigma's names for web
//! servers. Of a log: its facts, and which log it is.

use std::borrow::Cow;

use rsigma_eval::event::{Event, EventValue};
use rsigma_parser::{Detection, DetectionItem, Detections};
use serde_json::Value as Json;

use crate::engine::alert::{Facts, Value};
use crate::engine::detect::{self, About, Detector, FactName};
use crate::engine::geo::Place;
use crate::engine::usage::{Outcome, Usage};

/// One usage or one log with its facts, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is judged.
    pub about: About,
    /// The usage and the location of its client; `None` for a log.
    pub usage: Option<(&'a Usage, &'a Place)>,
    /// The principal of the usage, or the log.
    pub principal: &'a str,
    /// The facts stated by detectors.
    pub facts: &'a Facts,
}

/// Every field that a rule may name besides facts: the ECS name, and Sigma's name for web server logs.
///
/// The query and the full User-Agent are not among them: they may contain secrets, and end at the seal.
pub const FIELDS: &[(&str, &str)] = &[
    ("source.ip", "c-ip"),
    ("source.geo.country_iso_code", ""),
    ("source.geo.city_name", ""),
    ("source.as.number", ""),
    ("source.as.organization.name", ""),
    ("http.request.method", "cs-method"),
    ("url.path", "cs-uri-stem"),
    ("http.response.status_code", "sc-status"),
    ("http.response.body.bytes", "sc-bytes"),
    ("user_agent.name", "cs-user-agent"),
    ("user_agent.version", ""),
    ("service.name", "cs-host"),
    ("event.outcome", ""),
    ("token.id", ""),
    ("token.kind", ""),
    (CARRIER, ""),
    (PRINCIPAL, "cs-username"),
];

/// The categories of `logsource`, by what their rules judge.
pub(super) const CATEGORIES: [(About, &str); 3] = [
    (About::Usages, "token_activity"),
    (About::Logs, "monitor_health"),
    (About::Site, "site_activity"),
];

const PRINCIPAL: &str = "principal";
const CARRIER: &str = "token.carrier";

/// Returns the ECS name of a field that may be named as Sigma does; other names as they are.
pub(super) fn ecs_name(name: &str) -> &str {
    FIELDS.iter().find(|(_, sigma)| *sigma == name).map_or(name, |(ecs, _)| ecs)
}

/// Checks that a rule names only fields and facts of what it judges: others would silently never match. Returns each
/// other name, and a message with the name that was probably meant.
pub(super) fn check_fields(detections: &Detections, about: About) -> Vec<(String, String)> {
    let known: Vec<&str> = known_names(about).collect();
    let unknown = names_in(detections).into_iter().filter(|name| !known.contains(name));
    let wrong = unknown.map(|name| {
        let meant = || detect::nearest(name, known.clone());
        let hint = match category_of(name) {
            Some(category) => Some(format!(": rules with `category: {category}` have it")),
            None => meant().map(|meant| format!(", did you mean `{meant}`?")),
        };
        (name.to_owned(), format!("unknown field or fact `{name}`{}", hint.unwrap_or_default()))
    });
    wrong.collect()
}

/// Returns the category of the rules that have a field or a fact.
fn category_of(name: &str) -> Option<&'static str> {
    let has_it = |(about, _): &(About, _)| known_names(*about).any(|known| known == name);
    CATEGORIES.into_iter().find(has_it).map(|(_, category)| category)
}

/// Returns the names of all fields of what a rule judges, and of all facts that a detector may state about it. A log
/// has one field, the principal.
fn known_names(about: About) -> impl Iterator<Item = &'static str> {
    let is_known = move |ecs: &str| about != About::Logs || ecs == PRINCIPAL;
    let fields = FIELDS.iter().filter(move |(ecs, _)| is_known(ecs));
    let names = fields.flat_map(|(ecs, sigma)| [*ecs, *sigma]).filter(|name| !name.is_empty());
    let detectors = detect::ALL.iter().filter(move |detector| detector.of() == about);
    names.chain(detectors.flat_map(|detector| detector.facts).map(|fact| fact.name))
}

/// Returns whether a name is that of a fact.
pub(super) fn is_fact(name: &str) -> bool {
    facts().any(|fact| fact.name == name)
}

/// Returns all that a fact may be; nothing if that is no closed list, or if it is no fact.
pub(super) fn values_of(name: &str) -> &'static [&'static str] {
    facts().find(|fact| fact.name == name).map_or(&[], |fact| fact.values)
}

fn facts() -> impl Iterator<Item = &'static FactName> {
    detect::ALL.iter().flat_map(|detector| detector.facts)
}

/// Returns the facts that a rule names, each once.
pub(super) fn facts_of(detections: &Detections) -> Vec<String> {
    names_in(detections).into_iter().filter(|name| is_fact(name)).map(str::to_owned).collect()
}

/// Returns the detectors that may state a fact that a rule names.
pub(super) fn detectors_of(detections: &Detections) -> Vec<&'static str> {
    let named = names_in(detections);
    let is_named = |detector: &&Detector| detector.facts.iter().any(|f| named.contains(&f.name));
    detect::ALL.iter().filter(is_named).map(|detector| detector.name).collect()
}

/// Returns whether a rule is meant for tokens in a Referer, too: it asks for facts of these, or where a token stands.
pub(super) fn is_of_referer(detections: &Detections) -> bool {
    let is_of_it = |name: &&str| *name == CARRIER || name.starts_with("referer.");
    names_in(detections).iter().any(is_of_it)
}

/// Returns all names of fields and facts in a rule, each once.
fn names_in(detections: &Detections) -> Vec<&str> {
    let mut named = Vec::new();
    detections.named.values().for_each(|detection| collect_fields(detection, &mut named));
    named.sort_unstable(); // they come from a hash map
    named.dedup();
    named
}

fn collect_fields<'a>(detection: &'a Detection, named: &mut Vec<&'a str>) {
    match detection {
        Detection::AllOf(items) => {
            named.extend(items.iter().filter_map(|item| item.field.name.as_deref()));
        }
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().for_each(|part| collect_fields(part, named));
        }
        Detection::ArrayMatch { field, .. } => named.push(field),
        Detection::Keywords(_) | Detection::Conditional { .. } => {}
    }
}

/// Returns all fields of a rule with what they are to be.
pub(super) fn items_of(detections: &Detections) -> Vec<&DetectionItem> {
    let mut items = Vec::new();
    detections.named.values().for_each(|detection| collect_items(detection, &mut items));
    items
}

fn collect_items<'a>(detection: &'a Detection, to: &mut Vec<&'a DetectionItem>) {
    match detection {
        Detection::AllOf(items) => to.extend(items),
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().for_each(|part| collect_items(part, to));
        }
        Detection::ArrayMatch { .. } | Detection::Keywords(_) | Detection::Conditional { .. } => {}
    }
}

impl View<'_> {
    /// Returns whether the request used the token, rather than only exposing it in its Referer.
    pub(super) fn is_used(&self) -> bool {
        self.usage.is_none_or(|(usage, _)| usage.is_used())
    }

    fn field(&self, name: &str) -> Option<EventValue<'_>> {
        let ecs = ecs_name(name);
        if ecs == PRINCIPAL {
            return text(self.principal);
        }
        let (usage, place) = self.usage?;
        match ecs {
            "source.ip" => usage.client.map(|ip| owned(ip.to_string())),
            "source.geo.country_iso_code" => place.country.map(|c| owned(c.to_string())),
            "source.geo.city_name" => text(&place.city),
            "source.as.number" => place.asn.map(|asn| EventValue::Int(i64::from(asn))),
            "source.as.organization.name" => text(&place.organization),
            "http.request.method" => text(&usage.method),
            "url.path" => text(&usage.route),
            "http.response.status_code" => usage.status.map(|s| EventValue::Int(i64::from(s))),
            "http.response.body.bytes" => i64::try_from(usage.bytes).ok().map(EventValue::Int),
            "user_agent.name" => text(&usage.agent.family),
            "user_agent.version" => text(&usage.agent.version),
            "service.name" => text(&usage.service),
            "event.outcome" => Some(borrowed(outcome(usage.outcome()))),
            "token.id" => Some(owned(usage.token.to_string())),
            "token.kind" => text(&usage.kind),
            CARRIER => Some(owned(usage.carrier.to_string())),
            _ => None,
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        FIELDS.iter().map(|(ecs, _)| *ecs).chain(self.facts.values.iter().map(|(name, _)| *name))
    }
}

impl Event for View<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.facts.get(path).map(value).or_else(|| self.field(path))
    }

    fn any_string_value(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.all_string_values().iter().any(|value| holds(value))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.names()
            .filter_map(|name| match self.get_field(name)? {
                EventValue::Str(text) => Some(text),
                _ => None,
            })
            .collect()
    }

    fn to_json(&self) -> Json {
        self.names()
            .filter_map(|name| Some((name.to_owned(), self.get_field(name)?.to_json())))
            .collect()
    }
}

fn value(value: &Value) -> EventValue<'_> {
    match value {
        Value::Bool(value) => EventValue::Bool(*value),
        Value::Int(value) => EventValue::Int(*value),
        Value::Float(value) => EventValue::Float(*value),
        Value::Text(value) => borrowed(value),
    }
}

fn text(text: &str) -> Option<EventValue<'_>> {
    (!text.is_empty()).then(|| borrowed(text))
}

const fn borrowed(text: &str) -> EventValue<'_> {
    EventValue::Str(Cow::Borrowed(text))
}

fn owned<'a>(text: String) -> EventValue<'a> {
    EventValue::Str(Cow::Owned(text))
}

/// Returns the name of an outcome in rules.
pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Redirected => "redirected",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    }
}
