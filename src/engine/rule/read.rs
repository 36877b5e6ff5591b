//! Reads a rule file: its rules, and all that is wrong with them, each fault with its line.

use rsigma_eval::EvalError;
use rsigma_parser::SigmaRule;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use smol_str::SmolStr;

use crate::engine::alert::{Level, RuleRef};
use crate::engine::detect::nearest;
use crate::engine::rule::condition::Condition;
use crate::engine::rule::spot::{self, At, CONDITION};
use crate::engine::rule::text::{self, Wholeness, in_a_line};
use crate::engine::rule::{About, Once, Rule, RuleFault, values, view};
use crate::engine::time::duration;

/// The limit of a rule file in bytes: compiling a regular expression of 10 MB takes minutes until it is refused
/// (measured). The largest built-in file has 41 KB.
pub(super) const MAX_FILE: usize = 128 * 1024;

/// Reads a file, which may contain several rules (`---` between them).
pub(super) fn read(file: &str, text: &str) -> (Vec<(Rule, Condition)>, Vec<RuleFault>) {
    let fault = |at, message: String| RuleFault { file: SmolStr::new(file), at, message };
    if text.len() > MAX_FILE {
        let message = format!("{} bytes; a rule file has {MAX_FILE} at most", text.len());
        return (Vec::new(), vec![fault(None, message)]);
    }
    let parsed = text::parse(text);
    let told = parsed.faults.into_iter().map(|(at, message)| fault(at, message));
    let mut faults: Vec<RuleFault> = told.collect();
    let mut rules = Vec::new();
    for (sigma, wholeness) in parsed.rules {
        let read = rule_of(file, &sigma, wholeness);
        match (read, Condition::of(&sigma), wholeness) {
            (Ok(rule), Ok(condition), Wholeness::Whole) => rules.push((rule, condition)),
            (read, condition, _) => {
                let Wrong(mut wrong) = read.err().unwrap_or_default();
                wrong.extend(
                    condition.err().into_iter().flat_map(|error| of_condition(&sigma, &error)),
                );
                faults.extend(wrong.into_iter().map(|(at, message)| {
                    fault(spot::of(text, &at), format!("rule {:?}: {message}", sigma.title))
                }));
            }
        }
    }
    (rules, faults)
}

/// Returns the faults of a condition that cannot be compiled: at the fields that are not understood, else its own.
fn of_condition(sigma: &SigmaRule, error: &EvalError) -> Vec<(At, String)> {
    let fields = Condition::faulty_fields(sigma).into_iter();
    let told = |(field, error): (String, EvalError)| {
        let message = format!("`{field}`: {}", in_a_line(&error.to_string()));
        (At::Field(field), message)
    };
    let of_fields: Vec<_> = fields.map(told).collect();
    let own = of_fields.is_empty();
    let own = own.then(|| (At::Field(CONDITION.to_owned()), in_a_line(&error.to_string())));
    of_fields.into_iter().chain(own).collect()
}

/// The faults of a rule, each with its position.
#[derive(Default)]
struct Wrong(Vec<(At, String)>);

impl Wrong {
    /// Records a fault, so that the rest of the rule is checked too.
    fn keep<T>(&mut self, key: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.0.push((At::Key(key.to_owned()), message))).ok()
    }
}

fn rule_of(file: &str, sigma: &SigmaRule, wholeness: Wholeness) -> Result<Rule, Wrong> {
    let mut wrong = Wrong::default();
    let id = sigma.id.as_deref().filter(|id| is_uuid(id));
    let id = id.ok_or_else(|| "`id` has to be a UUID, as `uuidgen` makes them".to_owned());
    let id = wrong.keep("id", id);
    let name = sigma.name.as_deref();
    let name = name.ok_or_else(|| "`name` has to be a name such as `new-country`".to_owned());
    let name = wrong.keep("name", name);
    let level = sigma.level.and_then(|level| Level::parse(level.as_str()));
    let level = level.ok_or_else(|| {
        "`level` has to be one of informational, low, medium, high, critical".to_owned()
    });
    let level = wrong.keep("level", level);
    for key in sigma.custom_attributes.keys().filter(|key| !OWN_KEYS.contains(&key.as_str())) {
        wrong.0.push((At::Key(key.clone()), unknown_key(key)));
    }
    let about = wrong.keep("logsource", check_source(sigma));
    let fields = about.into_iter().flat_map(|of| view::check_fields(&sigma.detection, of));
    // A modifier that was left out would have made another value of it.
    let values = (wholeness == Wholeness::Whole).then(|| values::check_values(&sigma.detection));
    let fields = fields.chain(values.into_iter().flatten());
    wrong.0.extend(fields.map(|(field, message)| (At::Field(field), message)));
    let per = wrong.keep("once_per", attribute(sigma, "once_per"));
    let within = wrong.keep("within", within_of(sigma));
    let examples = wrong.keep("examples", attribute(sigma, "examples"));
    let head = id.zip(name).zip(level);
    let (Some(((id, name), level)), Some(about), Some(per), Some(within), Some(examples), true) =
        (head, about, per, within, examples, wrong.0.is_empty())
    else {
        return Err(wrong);
    };
    let default = Once::default();
    let (id, name, title) = (SmolStr::new(id), SmolStr::new(name), SmolStr::new(&sigma.title));
    Ok(Rule {
        head: RuleRef { id, name, level, title },
        file: SmolStr::new(file),
        about,
        once: Once { per: per.unwrap_or(default.per), within: within.unwrap_or(default.within) },
        detectors: view::detectors_of(&sigma.detection),
        is_of_referer: view::is_of_referer(&sigma.detection),
        examples: examples.unwrap_or_default(),
    })
}

/// Returns whether a text has the form of a UUID (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    let groups = text
        .split('-')
        .map(|group| group.bytes().all(|b| b.is_ascii_hexdigit()).then_some(group.len()));
    groups.eq([8, 4, 4, 4, 12].map(Some))
}

/// The keys that a rule may have besides Sigma's.
const OWN_KEYS: [&str; 3] = ["once_per", "within", "examples"];

/// Sigma's keys (Sigma specification 2.1, Rules).
const SIGMA_KEYS: [&str; 19] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
];

fn unknown_key(key: &str) -> String {
    let meant = nearest(key, [&SIGMA_KEYS[..], &OWN_KEYS].concat());
    let hint = meant.map(|meant| format!(", did you mean `{meant}`?"));
    format!("unknown key `{key}`{}", hint.unwrap_or_default())
}

/// Checks that a rule is meant for tokenwatch, or for the logs of web servers and proxies in general, whose Sigma
/// field names are supported here. A rule for any other log would never match, and nobody would notice.
fn check_source(sigma: &SigmaRule) -> Result<About, String> {
    let source = &sigma.logsource;
    let of = |category| view::CATEGORIES.into_iter().find(|(_, name)| *name == category);
    let about = match (source.product.as_deref(), source.category.as_deref()) {
        (Some("tokenwatch"), None) | (None, Some("webserver" | "proxy")) => Some(About::Usages),
        (Some("tokenwatch"), Some(category)) => of(category).map(|(about, _)| about),
        _ => None,
    };
    if let Some(about) = about.filter(|_| source.service.is_none()) {
        return Ok(about);
    }
    let named = [
        ("product", &source.product),
        ("category", &source.category),
        ("service", &source.service),
    ];
    let named = named.iter().filter_map(|(key, name)| Some(format!("{key} {}", name.as_ref()?)));
    let found = named.collect::<Vec<_>>().join(", ");
    Err(format!(
        "logsource: expected product tokenwatch, or category webserver or proxy, found {}",
        if found.is_empty() { "neither" } else { &found }
    ))
}

fn within_of(sigma: &SigmaRule) -> Result<Option<i64>, String> {
    let Some(text) = attribute::<String>(sigma, "within")? else { return Ok(None) };
    let within = duration(&text);
    within
        .map(Some)
        .ok_or_else(|| format!("within: expected a duration such as 24h, found {text:?}"))
}

fn attribute<T: for<'de> Deserialize<'de>>(
    sigma: &SigmaRule,
    key: &str,
) -> Result<Option<T>, String> {
    let Some(value) = sigma.custom_attributes.get(key) else { return Ok(None) };
    T::deserialize(value.clone().into_deserializer())
        .map(Some)
        .map_err(|error| format!("{key}: {error}"))
}
