//! Sigma rules over facts: which facts make an alert, at which level.
//!
//! A rule is matched against one usage and its facts. Evaluation is rsigma's. Our own parts are the view of a usage
//! that rules see ([`view`]), the built-in set, and the keys that a rule may have beyond Sigma's: `once_per` with
//! `within`, which prevent a cause from being reported twice, and `examples`.

mod built_in;
mod condition;
pub mod example;
#[cfg(test)]
mod fault_tests;
mod plain;
mod read;
mod spot;
#[cfg(test)]
mod tests;
mod text;
mod values;
pub mod view;

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use smol_str::SmolStr;

use crate::engine::alert::RuleRef;
pub use crate::engine::detect::About;
use crate::engine::detect::nearest;
pub use crate::engine::rule::built_in::{BUILT_IN, is_built_in};
use crate::engine::rule::condition::Condition;
use crate::engine::rule::example::Examples;
use crate::engine::rule::view::View;
use crate::engine::time::HOUR;

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Id, name, level and title, as in alerts.
    pub head: RuleRef,
    /// The file it comes from.
    pub file: SmolStr,
    /// What it judges, according to the category of its `logsource`.
    pub about: About,
    /// Which matches count as one.
    pub once: Once,
    /// The detectors of whose facts it names some.
    pub detectors: Vec<&'static str>,
    /// Whether it also judges tokens that stand in a Referer: the request did not use those.
    pub is_of_referer: bool,
    /// Lines for which it must match, and lines for which it must not.
    pub examples: Examples,
}

impl Rule {
    /// Returns whether it judges this at all.
    fn judges(&self, view: &View<'_>) -> bool {
        self.about == view.about && (self.is_of_referer || view.is_used())
    }
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
    /// What the detectors of its facts keep apart, for as long as they do: they do not repeat themselves.
    Report,
}

/// A place in a rule file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// A fault in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The file.
    pub file: SmolStr,
    /// Where it is; nothing if it concerns the whole file, or that is unknown.
    pub at: Option<Spot>,
    /// What is wrong, and what would be correct.
    pub message: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(Spot { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The name of a rule that is disabled, and where a person wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The name.
    pub name: SmolStr,
    /// The file.
    pub file: SmolStr,
    /// The place in it, if known.
    pub at: Option<Spot>,
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
        disabled: &[Disabled],
    ) -> (Self, Vec<RuleFault>) {
        let mut faults = Vec::new();
        let mut parsed: Vec<(Rule, Condition)> = Vec::new();
        for (file, text) in BUILT_IN.iter().copied() {
            let (rules, faulty) = read::read(file, text);
            faults.extend(faulty);
            parsed.extend(rules);
        }
        let mut own: Vec<(Rule, Condition)> = Vec::new();
        for (file, text) in files {
            let (rules, faulty) = read::read(file, text);
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
        let names: Vec<&str> = parsed.iter().map(|(rule, _)| rule.head.name.as_str()).collect();
        let strangers = disabled.iter().filter(|at| !names.contains(&at.name.as_str()));
        faults.extend(strangers.map(|at| unknown(at, names.clone())));
        parsed.retain(|(rule, _)| !disabled.iter().any(|at| rule.head.name == at.name));
        (Self::of(parsed), faults)
    }

    fn of(rules: Vec<(Rule, Condition)>) -> Self {
        let is_plain = |(rule, condition): &(Rule, Condition)| {
            rule.about == About::Usages && condition.is_plain()
        };
        let has_plain = rules.iter().any(is_plain);
        let (rules, conditions) = rules.into_iter().unzip();
        Self { rules, conditions, has_plain }
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
            .filter(|(rule, condition)| rule.judges(view) && condition.holds(view))
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

/// Returns the fault of a disabled rule that is none of `names`.
fn unknown(Disabled { name, file, at }: &Disabled, names: Vec<&str>) -> RuleFault {
    let message = match nearest(name, names) {
        Some(near) => format!("no rule is named {name:?}, did you mean {near:?}?"),
        None => format!("no rule is named {name:?}; `tokenwatch rules list` shows the names"),
    };
    RuleFault { file: file.clone(), at: *at, message }
}

/// Returns the fault of a rule whose id another rule of the site already has.
fn twice(rule: &Rule, known: &Rule) -> RuleFault {
    let (name, id, before) = (&rule.head.name, &rule.head.id, &known.head.name);
    let message = format!("rule {name}: the id {id} is that of {before} in {} already", known.file);
    RuleFault { file: rule.file.clone(), at: None, message }
}
