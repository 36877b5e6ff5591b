//! Sigma rules over facts: which facts make an alert, at which level.
//!
//! A rule is matched against one usage and its facts. Evaluation is rsigma's. Our own parts are the view of a usage
//! that rules see ([`view`]), the built-in set, and the keys that a rule may have beyond Sigma's: `once_per` with
//! `within`, which prevent a cause from being reported twice, and `examples`.

mod condition;
pub mod example;
mod plain;
#[cfg(test)]
mod tests;
mod text;
mod values;
pub mod view;

use std::fmt;
use std::sync::{Arc, LazyLock};

use rsigma_parser::SigmaRule;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use smol_str::SmolStr;

use crate::engine::alert::{Level, RuleRef};
pub use crate::engine::detect::About;
use crate::engine::detect::nearest;
use crate::engine::rule::condition::Condition;
use crate::engine::rule::example::Examples;
use crate::engine::rule::text::Wholeness;
use crate::engine::rule::view::View;
use crate::engine::time::{HOUR, duration};

/// The built-in rules: file name and text, in alphabetical order.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("concurrent-use.yml", include_str!("../../../rules/concurrent-use.yml")),
    ("dead-token-tried.yml", include_str!("../../../rules/dead-token-tried.yml")),
    ("dormant-token-woke.yml", include_str!("../../../rules/dormant-token-woke.yml")),
    ("expired-token-accepted.yml", include_str!("../../../rules/expired-token-accepted.yml")),
    ("fan-out.yml", include_str!("../../../rules/fan-out.yml")),
    ("fleet-change.yml", include_str!("../../../rules/fleet-change.yml")),
    ("honeytoken-used.yml", include_str!("../../../rules/honeytoken-used.yml")),
    ("impossible-travel.yml", include_str!("../../../rules/impossible-travel.yml")),
    ("insecure-transport.yml", include_str!("../../../rules/insecure-transport.yml")),
    ("jwt-alg-none.yml", include_str!("../../../rules/jwt-alg-none.yml")),
    ("leaked-token-used.yml", include_str!("../../../rules/leaked-token-used.yml")),
    ("lifecycle.yml", include_str!("../../../rules/lifecycle.yml")),
    ("mfa-missing.yml", include_str!("../../../rules/mfa-missing.yml")),
    ("monitor-health.yml", include_str!("../../../rules/monitor-health.yml")),
    ("new-client.yml", include_str!("../../../rules/new-client.yml")),
    ("new-country.yml", include_str!("../../../rules/new-country.yml")),
    ("new-network.yml", include_str!("../../../rules/new-network.yml")),
    ("object-enumeration.yml", include_str!("../../../rules/object-enumeration.yml")),
    ("rate-spike.yml", include_str!("../../../rules/rate-spike.yml")),
    ("revoked-token-used.yml", include_str!("../../../rules/revoked-token-used.yml")),
    ("rotated-token-used.yml", include_str!("../../../rules/rotated-token-used.yml")),
    ("scope-violation.yml", include_str!("../../../rules/scope-violation.yml")),
    ("silence.yml", include_str!("../../../rules/silence.yml")),
    ("success-after-guessing.yml", include_str!("../../../rules/success-after-guessing.yml")),
    ("token-guessing.yml", include_str!("../../../rules/token-guessing.yml")),
    ("token-in-referer.yml", include_str!("../../../rules/token-in-referer.yml")),
    ("token-in-url.yml", include_str!("../../../rules/token-in-url.yml")),
    ("unusual-use.yml", include_str!("../../../rules/unusual-use.yml")),
    ("volume-spike.yml", include_str!("../../../rules/volume-spike.yml")),
    ("weak-token.yml", include_str!("../../../rules/weak-token.yml")),
];

/// Returns whether a rule file is one of [`BUILT_IN`].
#[must_use]
pub fn is_built_in(file: &str) -> bool {
    BUILT_IN.iter().any(|(ours, _)| *ours == file)
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Id, name, level and title, as in alerts.
    pub head: RuleRef,
    /// The file it comes from.
    pub file: SmolStr,
    /// What it judges, according to the category of its `logsource`.
    pub about: About,
    /// What it is for.
    pub description: String,
    /// ATT&CK techniques and the like.
    pub tags: Vec<String>,
    /// What else can make it match.
    pub false_positives: Vec<String>,
    /// Which matches count as one.
    pub once: Once,
    /// Lines for which it must match, and lines for which it must not.
    pub examples: Examples,
}

/// When a second match is the same news: all dimensions in `per` are equal, and at most `within` has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// What must be equal, besides rule and principal.
    pub per: Vec<Dimension>,
    /// The period, in the unit of `Timestamp`.
    pub within: i64,
}

impl Default for Once {
    /// Once per token and day.
    fn default() -> Self {
        Self { per: vec![Dimension::Token], within: 24 * HOUR }
    }
}

/// What can distinguish two matches of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Nothing beyond the principal.
    Principal,
    /// The token.
    Token,
    /// The client's neighbourhood (IPv4 /24, IPv6 /48).
    Network,
    /// The client's address.
    Address,
    /// The client program.
    Client,
    /// Method and route.
    Route,
    /// Where the token was.
    Carrier,
    /// Whether the server accepted it.
    Answer,
}

/// The limit of a rule file in bytes: compiling a regular expression of 10 MB takes minutes until it is refused
/// (measured). The largest built-in file has 41 KB.
const MAX_FILE: usize = 128 * 1024;

/// A fault in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The file.
    pub file: SmolStr,
    /// Line, counted from 1, or 0 if it concerns the whole file.
    pub line: usize,
    /// What is wrong, and what would be correct.
    pub message: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// All rules in force, compiled.
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Their conditions, in the same order.
    conditions: Vec<Condition>,
    /// Some rule may match a usage without facts.
    has_plain: bool,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Returns the built-in rules, compiled once.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<RuleSet>> =
            LazyLock::new(|| Arc::new(RuleSet::new([], &[]).0));
        Arc::clone(&BUILT_IN)
    }

    /// Compiles the built-in rules together with those of the site: a rule with a known id replaces the built-in one,
    /// and a name in `disabled` removes every rule of that name. Faulty rules are left out and reported.
    #[must_use]
    pub fn new<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        disabled: &[String],
    ) -> (Self, Vec<RuleFault>) {
        let mut faults = Vec::new();
        let mut parsed: Vec<(Rule, SigmaRule)> = Vec::new();
        for (file, text) in BUILT_IN.iter().copied() {
            let (rules, faulty) = parse_file(file, text);
            faults.extend(faulty);
            parsed.extend(rules);
        }
        let mut own: Vec<(Rule, SigmaRule)> = Vec::new();
        for (file, text) in files {
            let (rules, faulty) = parse_file(file, text);
            faults.extend(faulty);
            for rule in rules {
                match own.iter().find(|(known, _)| known.head.id == rule.0.head.id) {
                    Some((known, _)) => faults.push(twice(&rule.0, known)),
                    None => own.push(rule),
                }
            }
        }
        parsed.retain(|(rule, _)| own.iter().all(|(site, _)| site.head.id != rule.head.id));
        parsed.extend(own);
        faults.extend(disabled.iter().filter_map(|name| {
            let names = || parsed.iter().map(|(rule, _)| rule.head.name.as_str());
            (!names().any(|known| known == name)).then(|| RuleFault {
                file: SmolStr::new_static("[rules] disable"),
                line: 0,
                message: match nearest(name, names().collect()) {
                    Some(near) => format!("no rule is named {name:?}, did you mean {near:?}?"),
                    None => format!(
                        "no rule is named {name:?}; `tokenwatch rules list` shows the names"
                    ),
                },
            })
        }));
        parsed.retain(|(rule, _)| !disabled.iter().any(|name| rule.head.name == **name));
        let (set, refused) = Self::compile(parsed);
        faults.extend(refused);
        (set, faults)
    }

    fn compile(parsed: Vec<(Rule, SigmaRule)>) -> (Self, Vec<RuleFault>) {
        let mut set = Self { rules: Vec::new(), conditions: Vec::new(), has_plain: false };
        let mut faults = Vec::new();
        for (rule, sigma) in parsed {
            match Condition::of(&sigma) {
                Ok(condition) => {
                    set.has_plain |= rule.about == About::Usages && condition.is_plain();
                    set.rules.push(rule);
                    set.conditions.push(condition);
                }
                Err(error) => faults.push(RuleFault {
                    file: rule.file,
                    line: 0,
                    message: format!("rule {}: {}", rule.head.name, in_a_line(&error.to_string())),
                }),
            }
        }
        (set, faults)
    }

    /// Returns the rules, built-in ones first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the matching rules, worst level first; rules with the same name count once, at their worst level.
    #[must_use]
    pub fn matching(&self, view: &View<'_>) -> Vec<&Rule> {
        if view.facts.is_empty() && !self.has_plain {
            return Vec::new();
        }
        let rules = self.rules.iter().zip(&self.conditions);
        let mut matching: Vec<&Rule> = rules
            .filter(|(rule, condition)| rule.about == view.about && condition.holds(view))
            .map(|(rule, _)| rule)
            .collect();
        matching.sort_by(|a, b| {
            let by_level = b.head.level.cmp(&a.head.level);
            let by_name = || a.head.name.cmp(&b.head.name);
            by_level.then_with(by_name).then_with(|| a.head.id.cmp(&b.head.id))
        });
        let mut names: Vec<&str> = Vec::new();
        matching.retain(|rule| {
            let is_first = !names.contains(&rule.head.name.as_str());
            names.push(&rule.head.name);
            is_first
        });
        matching
    }
}

/// Parses one file, which may contain several rules (`---` between them).
fn parse_file(file: &str, text: &str) -> (Vec<(Rule, SigmaRule)>, Vec<RuleFault>) {
    let fault = |line, message: String| RuleFault { file: SmolStr::new(file), line, message };
    if text.len() > MAX_FILE {
        let message = format!("{} bytes; a rule file has {MAX_FILE} at most", text.len());
        return (Vec::new(), vec![fault(0, message)]);
    }
    let parsed = text::parse(text);
    let told = parsed.faults.into_iter().map(|(line, message)| fault(line, message));
    let mut faults: Vec<RuleFault> = told.collect();
    let mut rules = Vec::new();
    for (sigma, wholeness) in parsed.rules {
        let read = rule_of(file, &sigma, wholeness);
        match (read, wholeness) {
            (Ok(rule), Wholeness::Whole) => rules.push((rule, sigma)),
            (read, _) => {
                let Wrong(wrong) = read.err().unwrap_or_default().and_condition(&sigma);
                faults.extend(wrong.into_iter().map(|(at, message)| {
                    fault(line_at(text, &at), format!("rule {:?}: {message}", sigma.title))
                }));
            }
        }
    }
    (rules, faults)
}

/// Returns the fault of a rule whose id another rule of the site already has.
fn twice(rule: &Rule, known: &Rule) -> RuleFault {
    let (name, id, before) = (&rule.head.name, &rule.head.id, &known.head.name);
    let message = format!("rule {name}: the id {id} is that of {before} in {} already", known.file);
    RuleFault { file: rule.file.clone(), line: 0, message }
}

/// Joins the lines of a message that was formatted for a terminal.
fn in_a_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Where in a rule a fault is.
enum At {
    /// At a key of the rule itself.
    Key(String),
    /// At a field named in `detection`.
    Field(String),
}

/// The faults of a rule, each with its position.
#[derive(Default)]
struct Wrong(Vec<(At, String)>);

impl Wrong {
    /// Records a fault, so that the rest of the rule is checked too.
    fn keep<T>(&mut self, key: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.0.push((At::Key(key.to_owned()), message))).ok()
    }

    /// Adds the fault of the condition, which is compiled only if nothing else is wrong.
    fn and_condition(mut self, sigma: &SigmaRule) -> Self {
        let fault = Condition::of(sigma).err().map(|error| in_a_line(&error.to_string()));
        self.0.extend(fault.map(|message| (At::Field("condition".to_owned()), message)));
        self
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
        description: sigma.description.clone().unwrap_or_default(),
        tags: sigma.tags.clone(),
        false_positives: sigma.falsepositives.clone(),
        once: Once { per: per.unwrap_or(default.per), within: within.unwrap_or(default.within) },
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

/// Returns the line, counted from 1, that is the only one to begin with the faulty key or field. Returns 0 if there is
/// no such line, or if the file has several documents: the parser does not report which document a rule is from.
fn line_at(text: &str, at: &At) -> usize {
    let lines = (1..).zip(text.lines());
    let found: Vec<(usize, &str)> = match at {
        _ if !is_one_document(text) => Vec::new(),
        At::Key(key) => lines.filter(|(_, line)| begins_with(line, key)).collect(),
        At::Field(field) => lines
            .skip_while(|(_, line)| !begins_with(line, "detection"))
            .skip(1)
            .take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#']))
            .filter(|(_, line)| begins_with(line.trim_start_matches([' ', '-']), field))
            .collect(),
    };
    match found.as_slice() {
        [(number, _)] => *number,
        _ => 0,
    }
}

/// Returns whether a text has no document separator (YAML 1.2.2, section 9.1) except one before everything else.
fn is_one_document(text: &str) -> bool {
    let is_above = |line: &&str| line.trim().is_empty() || line.starts_with(['#', '%']);
    let mut below = text.lines().skip_while(is_above).skip(1);
    below.all(|line| !line.starts_with("---") && !line.starts_with("..."))
}

/// Returns whether a line begins, without indentation, with a key, quoted or not.
fn begins_with(line: &str, key: &str) -> bool {
    let rest = line.trim_start_matches(['"', '\'']).strip_prefix(key);
    rest.is_some_and(|rest| rest.starts_with([':', '|', '"', '\'']))
}

/// Checks that a rule is meant for tokenwatch, or for the logs of web servers and proxies in general, whose Sigma
/// field names are supported here. A rule for any other log would never match, and nobody would notice.
fn check_source(sigma: &SigmaRule) -> Result<About, String> {
    let source = &sigma.logsource;
    let about = match (source.product.as_deref(), source.category.as_deref()) {
        (Some("tokenwatch"), None | Some("token_activity"))
        | (None, Some("webserver" | "proxy")) => Some(About::Usages),
        (Some("tokenwatch"), Some("monitor_health")) => Some(About::Logs),
        (Some("tokenwatch"), Some("site_activity")) => Some(About::Site),
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
