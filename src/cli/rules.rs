//! `rules`: lists the rules in force and their files, and checks and tests rules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::args::Rules as Options;
use crate::cli::print::{Printer, safe};
use crate::cli::table::table;
use crate::cli::{Context, exit, print};
use crate::daemon::site::{Site, rule_files};
use crate::engine::detect::nearest;
use crate::engine::rule::{BUILT_IN, Rule, RuleFault, RuleSet, is_built_in};
use crate::engine::trial::try_rule;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let Context { site, printer, .. } = context;
    match options {
        Options::List => list(site, printer),
        Options::Show { name } => show(site, printer, name),
        Options::Check { files } => check(site, printer, files),
        Options::Test { files } => test(site, printer, files),
    }
}

fn list(site: &Site, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let (rules, faults) = site.rules()?;
    let mut lines = table(&["NAME", "LEVEL", "TITLE", "FILE", "EXAMPLES"]);
    for rule in rules.rules() {
        let head = &rule.head;
        let examples = rule.examples.fire.len() + rule.examples.quiet.len();
        let file = origin(&rule.file);
        if printer.is_json() {
            printer.json(&json!({
                "rule": { "id": head.id, "name": head.name, "level": head.level, "title": head.title },
                "file": file, "examples": examples,
            }))?;
        } else {
            let level = head.level.to_string();
            let examples = examples.to_string();
            lines.add_row([safe(&head.name), level, safe(&head.title), safe(file), examples]);
        }
    }
    if !printer.is_json() {
        printer.line(lines)?;
    }
    told(printer, &faults)
}

fn show(site: &Site, printer: &mut Printer, name: &str) -> anyhow::Result<ExitCode> {
    let (rules, _) = site.rules()?;
    let found: Vec<&Rule> = rules.rules().iter().filter(|rule| rule.head.name == name).collect();
    if found.is_empty() {
        return Err(exit::usage(absent(site, name, &rules)));
    }
    let mut files: Vec<&str> = found.iter().map(|rule| rule.file.as_str()).collect();
    files.dedup();
    for file in files {
        let text = text_of(file)?;
        if printer.is_json() {
            printer.json(&json!({ "file": origin(file), "text": text }))?;
        } else {
            printer.line(format_args!("# {}", safe(origin(file))))?;
            for line in text.lines() {
                printer.line(print::Safe(line))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns why there is no rule of this name.
fn absent(site: &Site, name: &str, rules: &RuleSet) -> String {
    if site.config.rules.disable.iter().any(|at| at.value == name) {
        return format!("the rule {name:?} is not in force: [rules] disable names it");
    }
    let names = rules.rules().iter().map(|rule| rule.head.name.as_str()).collect();
    let near = nearest(name, names).map(|near| format!(", did you mean {near:?}?"));
    format!("no rule in force is named {name:?}{}", near.unwrap_or_default())
}

/// Returns the text of a rule file in force: a built-in one, or one on the disk.
fn text_of(file: &str) -> anyhow::Result<String> {
    match BUILT_IN.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => Ok((*text).to_owned()),
        None => fs::read_to_string(file).with_context(|| format!("reading {file}")),
    }
}

/// Returns the file of a rule; built-in ones have a prefix.
pub(super) fn origin(file: &str) -> String {
    if is_built_in(file) { format!("built-in:{file}") } else { file.to_owned() }
}

/// The rules of the chosen files and directories, next to those in force, and their faults.
struct Chosen {
    rules: Arc<RuleSet>,
    /// The files, as rules name them; `None` for all.
    names: Option<Vec<String>>,
    faults: Vec<RuleFault>,
}

impl Chosen {
    fn new(site: &Site, files: &[PathBuf]) -> anyhow::Result<Self> {
        if files.is_empty() {
            let (rules, faults) = site.rules()?;
            return Ok(Self { rules: Arc::new(rules), names: None, faults });
        }
        let (mut texts, mut faults) = (Vec::new(), Vec::new());
        for path in files {
            match read(path) {
                Ok(found) => texts.extend(found),
                Err(error) => faults.push(RuleFault {
                    file: named(path).into(),
                    at: None,
                    message: format!("cannot be read: {error}"),
                }),
            }
        }
        let names = Some(texts.iter().map(|(name, _)| name.clone()).collect());
        let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let (rules, faulty) = RuleSet::new(texts, &[]);
        faults.extend(faulty);
        Ok(Self { rules: Arc::new(rules), names, faults })
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let is_chosen = |rule: &&Rule| {
            let names = self.names.as_deref();
            names.is_none_or(|names| names.iter().any(|name| *name == *rule.file))
        };
        self.rules.rules().iter().filter(is_chosen)
    }
}

/// Reads a rule file, or all rule files of a directory as the daemon does.
fn read(path: &Path) -> io::Result<Vec<(String, String)>> {
    if path.is_dir() {
        rule_files(path)
    } else {
        Ok(vec![(named(path), fs::read_to_string(path)?)])
    }
}

/// Returns a path as the rules of that file name it; never the name of a built-in file.
fn named(path: &Path) -> String {
    let name = path.display().to_string();
    if is_built_in(&name) { format!("./{name}") } else { name }
}

fn check(site: &Site, printer: &mut Printer, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let chosen = Chosen::new(site, files)?;
    let code = told(printer, &chosen.faults)?;
    let n_rules = chosen.rules().count();
    if chosen.faults.is_empty() && printer.is_json() {
        printer.json(&json!({ "rules": n_rules, "faults": 0 }))?;
    } else if chosen.faults.is_empty() {
        printer.line(format_args!("no faults; rules: {n_rules}"))?;
    }
    Ok(code)
}

/// Prints faults. Fails if there are any.
fn told(printer: &mut Printer, faults: &[RuleFault]) -> anyhow::Result<ExitCode> {
    for fault in faults {
        let RuleFault { file, at, message } = fault;
        if printer.is_json() {
            let (line, column) = at.map(|at| (at.line, at.column)).unzip();
            let fault = json!({ "file": file, "line": line, "column": column, "fault": message });
            printer.json(&fault)?;
        } else {
            printer.line(safe(fault.to_string()))?;
        }
    }
    Ok(ExitCode::from(if faults.is_empty() { 0 } else { exit::CONDITION }))
}

fn test(site: &Site, printer: &mut Printer, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let chosen = Chosen::new(site, files)?;
    let broken = told(printer, &chosen.faults)?;
    let (mut held, mut failed) = (0_u64, 0_u64);
    for (rule, outcome) in trials(&chosen) {
        let Some(fault) = &outcome.fault else {
            held += 1;
            continue;
        };
        failed += 1;
        if printer.is_json() {
            printer.json(&json!({
                "file": rule.file, "rule": rule.head.name, "example": outcome.title, "fault": fault,
            }))?;
        } else {
            let (name, title) = (safe(&rule.head.name), safe(&outcome.title));
            let file = safe(origin(&rule.file));
            printer.line(format_args!("{file}: {name}: {title:?}: {}", safe(fault)))?;
        }
    }
    let bare = chosen.rules().filter(|rule| is_bare(rule)).map(|rule| safe(&rule.head.name));
    let bare: Vec<String> = bare.collect();
    if printer.is_json() {
        printer.json(&json!({ "held": held, "failed": failed, "without_examples": bare }))?;
    } else {
        let held = print::counted_as(held, "example passes", "examples pass");
        printer.line(format_args!("{held}, {failed} fail"))?;
        if !bare.is_empty() {
            printer.line(format_args!("without examples: {}", bare.join(", ")))?;
        }
    }
    Ok(if failed > 0 { ExitCode::from(exit::CONDITION) } else { broken })
}

fn is_bare(rule: &Rule) -> bool {
    rule.examples.fire.is_empty() && rule.examples.quiet.is_empty()
}

fn trials(chosen: &Chosen) -> impl Iterator<Item = (&Rule, crate::engine::trial::Outcome)> {
    chosen.rules().flat_map(move |rule| {
        let outcomes = try_rule(rule, &chosen.rules);
        outcomes.into_iter().map(move |outcome| (rule, outcome))
    })
}
