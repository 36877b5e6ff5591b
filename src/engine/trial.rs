//! Runs the examples in rules through the real Reader and Judge.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::engine::detect::{Eye, Params, Strain};
use crate::engine::health::{Log, Roll, principal};
use crate::engine::incident::Policy;
use crate::engine::judge::{Followed, Judge};
use crate::engine::line::{Batch, Loss, Missing, StreamId};
use crate::engine::memory::Memory;
use crate::engine::reader::{Reader, Reading, Source};
use crate::engine::record::Format;
use crate::engine::registry::{Registered, Registry};
use crate::engine::rule::example::Example;
use crate::engine::rule::{About, Rule, RuleSet};
use crate::engine::secret::SealKey;
use crate::engine::time::Timestamp;
use crate::engine::token::{Finder, Names, Sealer};

/// The outcome of one example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The example's title.
    pub title: String,
    /// Whether the rule had to match.
    pub must_fire: bool,
    /// What is wrong; `None` if the example passes.
    pub fault: Option<String>,
}

/// Runs all examples of a rule against the whole set of rules.
///
/// Parameters are the defaults, so that an example has the same outcome on every site.
#[must_use]
pub fn try_rule(rule: &Rule, rules: &Arc<RuleSet>) -> Vec<Outcome> {
    let examples = &rule.examples;
    let title = |example: &Example| example.title.clone();
    let fire = examples.fire.iter().map(|example| Outcome {
        title: title(example),
        must_fire: true,
        fault: must_fire(rule, example, rules).err(),
    });
    let quiet = examples.quiet.iter().map(|example| Outcome {
        title: title(example),
        must_fire: false,
        fault: must_not_fire(rule, example, rules).err(),
    });
    fire.chain(quiet).collect()
}

fn must_fire(rule: &Rule, example: &Example, rules: &Arc<RuleSet>) -> Result<(), String> {
    let fired = fired(example, rule.about, Arc::clone(rules))?;
    let fault = || format!("did not fire; fired: {}", list(&fired));
    fired.contains_key(&rule.head.id).then_some(()).ok_or_else(fault)
}

fn must_not_fire(rule: &Rule, example: &Example, rules: &Arc<RuleSet>) -> Result<(), String> {
    let fired = fired(example, rule.about, Arc::clone(rules))?;
    let is_quiet = !fired.contains_key(&rule.head.id);
    is_quiet.then_some(()).ok_or_else(|| "fired, and must not".to_owned())
}

fn list(fired: &BTreeMap<SmolStr, String>) -> String {
    if fired.is_empty() {
        return "nothing".to_owned();
    }
    fired.values().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Returns the rules that match somewhere in an example's log, by id, with a text for each. Unreadable lines are an
/// error in the example, unless the rule is about them.
fn fired(
    example: &Example,
    about: About,
    rules: Arc<RuleSet>,
) -> Result<BTreeMap<SmolStr, String>, String> {
    let key = SealKey::new(b"example");
    let registry = example.registry.iter().map(|row| registered(row, &key));
    let registry = Registry::new(registry.collect::<Result<Vec<_>, _>>()?);
    let names = Names::default();
    let source = Source::of(Format::preset("auto").ok_or("no format `auto`")?);
    let reader = Reader::new(Finder::new(&names), Sealer::new(key, &names), vec![source]);
    let parts = example.by_file();
    let parts = parts.iter().map(|(file, part)| Ok((*file, read(part, &reader)?)));
    let parts = parts.collect::<Result<Vec<_>, String>>()?;
    let reject = parts.iter().find_map(|(_, (_, reading))| reading.rejects.first());
    if let (About::Usages, Some((_, reject))) = (about, reject) {
        return Err(format!("a line of the log cannot be read: {reject}"));
    }
    let usages = match parts.as_slice() {
        [(_, (_, only))] => Cow::Borrowed(&only.usages),
        _ => Cow::Owned(read(example, &reader)?.1.usages),
    };
    let params = Params { sensitive: example.sensitive()?, ..Params::default() };
    let mut judge = Judge::new(params, rules, registry, Policy::default());
    let mut memory = Memory::new(usize::MAX);
    memory.admit(&usages, &[], &judge.registry);
    judge.judge(&mut memory, &usages, example);
    let mut roll = Roll::default();
    for (file, (now, reading)) in &parts {
        let (path, mut log) = (Path::new(file), Log::default());
        let of = Followed { path, file: path, stream: StreamId::default(), now: *now };
        judge.count(&mut memory, &mut log, of, &reading.usages);
        judge.check(&mut memory, &mut log, of, &reading.pulse);
        let ahead = example.clock()?.zip(reading.pulse.newest());
        let strain = ahead.map(|(clock, newest)| Strain {
            principal: principal(path),
            eye: Eye::Clock,
            about: (*file).to_owned(),
            cause: String::new(),
            // Late lines are no fault.
            micros: newest.since(clock).max(0),
        });
        judge.strain(&mut memory, &mut roll, strain.as_slice(), *now);
        roll.hear(&principal(path), &reading.pulse, &log.window, *now);
    }
    judge.look(&mut memory, &mut roll, |_| true, |_| None);
    let told = memory.alerts().iter().map(|alert| &alert.rule);
    Ok(told.map(|rule| (rule.id.clone(), format!("{} ({})", rule.name, rule.level))).collect())
}

/// Reads all lines of an example as one log; also returns the time of the last one.
fn read(example: &Example, reader: &Reader) -> Result<(Timestamp, Reading), String> {
    let (times, lines): (Vec<_>, Vec<_>) = example.lines()?.into_iter().unzip();
    let bytes = lines.join("\n").into_bytes();
    let missing = Missing { gap: example.lost, ..Missing::default() };
    let loss = (example.lost > 0).then_some(Loss::Truncated);
    let reading = reader.read(&Batch { bytes, missing, loss, ..Batch::default() });
    Ok((times.last().copied().unwrap_or_default(), reading))
}

fn registered(row: &BTreeMap<String, String>, key: &SealKey) -> Result<Registered, String> {
    let mut registered = Registered::default();
    for (column, text) in row {
        registered.set(column, text, key).map_err(|fault| format!("registry: {fault}"))?;
    }
    Ok(registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_examples_and_all_of_them_hold() {
        let (rules, faults) = RuleSet::new([], &[]);
        let rules = Arc::new(rules);
        let mut faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for rule in rules.rules() {
            let name = format!("{} {} ({})", rule.file, rule.head.name, rule.head.level);
            if rule.examples.fire.is_empty() || rule.examples.quiet.is_empty() {
                faults.push(format!("{name}: needs an example that fires, and one that must not"));
            }
            for outcome in try_rule(rule, &rules) {
                let fault =
                    outcome.fault.map(|fault| format!("{name}: {:?}: {fault}", outcome.title));
                faults.extend(fault);
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }
}
