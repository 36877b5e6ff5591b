//! `explain`: walks lines through all ten steps; nothing is saved.

mod sketch;
mod walk;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value as Json, json};

use crate::cli::args::Lines as Options;
use crate::cli::explain::walk::Walk;
use crate::cli::lines::{Logs, Numbered, Visit};
use crate::cli::print::{self, Printer, bold, safe};
use crate::cli::{Context, advice};
use crate::engine::line::Line;
use crate::engine::reader::Reader;
use crate::engine::record::Columns;
use crate::engine::zone::Reach;

/// Lines that are explained by default: the last ones.
const LINES: usize = 20;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let Context { site, printer, global, .. } = context;
    let logs = Logs::find(site, options)?;
    let mut walk = Walk::new(site)?;
    if 0 < global.verbose || !logs.is_whole() {
        logs.read(&mut AtOnce { walk: &mut walk, printer })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut last = Last::default();
    let read = logs.read(&mut last);
    for kept in &last.kept {
        walk.explain(&logs.reader, &kept.numbered())?.print(printer)?;
    }
    printer.flush()?;
    last.say_what_was_left_out();
    read.map(|()| ExitCode::SUCCESS)
}

/// Explains each line at once.
struct AtOnce<'a> {
    walk: &'a mut Walk,
    printer: &'a mut Printer,
}

impl Visit for AtOnce<'_> {
    fn line(&mut self, reader: &Reader, line: &Numbered<'_>) -> anyhow::Result<()> {
        self.walk.explain(reader, line)?.print(self.printer)
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        Ok(self.printer.flush()?)
    }
}

/// Keeps the last lines.
#[derive(Default)]
struct Last {
    kept: VecDeque<Kept>,
    n_seen: u64,
}

struct Kept {
    path: PathBuf,
    source: usize,
    number: u64,
    bytes: Vec<u8>,
    offset: u64,
    length: u64,
    nth: usize,
    columns: Columns,
    reach: Reach,
}

impl Kept {
    fn numbered(&self) -> Numbered<'_> {
        let Self { path, source, number, bytes, offset, length, nth, columns, reach } = self;
        let bytes = bytes.as_slice().into();
        let line = Line { bytes, offset: *offset, length: *length, nth: *nth };
        Numbered { path, source: *source, number: *number, line, columns, reach: *reach }
    }
}

impl Last {
    /// Reports on standard error if earlier lines were left out.
    fn say_what_was_left_out(&self) {
        if u64::try_from(self.kept.len()).is_ok_and(|n_kept| n_kept < self.n_seen) {
            let n_seen = print::number(self.n_seen);
            print::say(format_args!(
                "the last {LINES} of {n_seen} lines; -v for all, --line N for one"
            ));
        }
    }
}

impl Visit for Last {
    fn line(&mut self, _: &Reader, seen: &Numbered<'_>) -> anyhow::Result<()> {
        self.n_seen += 1;
        if self.kept.len() == LINES {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept {
            path: seen.path.to_owned(),
            source: seen.source,
            number: seen.number,
            bytes: seen.line.bytes.to_vec(),
            offset: seen.line.offset,
            length: seen.line.length,
            nth: seen.line.nth,
            columns: seen.columns.clone(),
            reach: seen.reach,
        });
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A line's explanation: the steps of the line, and those of each usage.
struct Explained {
    file: String,
    line: u64,
    steps: Vec<Step>,
    usages: Vec<Vec<Step>>,
    reject: Option<Rejected>,
}

/// One step and its values.
struct Step {
    number: u8,
    name: &'static str,
    says: Vec<(String, Json)>,
}

impl Step {
    const fn new(number: u8, name: &'static str) -> Self {
        Self { number, name, says: Vec::new() }
    }

    /// Adds a value; a repeated name is numbered.
    fn say(&mut self, what: impl Into<String>, value: impl Into<Json>) {
        let what = what.into();
        let same = |known: &str| {
            known.strip_prefix(&what).is_some_and(|n| n.is_empty() || n.starts_with(" ("))
        };
        let said = self.says.iter().filter(|(known, _)| same(known)).count();
        let what = if said == 0 { what } else { format!("{what} ({})", said + 1) };
        self.says.push((what, value.into()));
    }
}

/// A line that no format matches, without its secrets.
struct Rejected {
    /// The part of the line around the place where it stopped matching.
    text: String,
    /// The position of that place in the text, in characters.
    at: usize,
    column: usize,
    expected: String,
    found: String,
    template: Option<Parting>,
    /// For a line that no preset reads: a template that may.
    sketch: Option<String>,
    /// It is a line of JSON, for which a source may name keys.
    is_object: bool,
}

/// Where a line stops matching a template.
struct Parting {
    template: String,
    /// That place in the template, as shown.
    at: usize,
    /// The column of that place, counted from 1.
    column: usize,
    /// The variables before that place and their values, without secrets.
    values: Vec<(String, String)>,
}

impl Explained {
    fn print(&self, printer: &mut Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            return Ok(printer.json(&self.to_json())?);
        }
        printer.line(bold(format_args!("{}, line {}", safe(&self.file), self.line)))?;
        print_steps(printer, &self.steps)?;
        if let Some(reject) = &self.reject {
            reject.print(printer)?;
        }
        for (at, steps) in self.usages.iter().enumerate() {
            if self.usages.len() > 1 {
                printer.line(format_args!("  token {} of {}", at + 1, self.usages.len()))?;
            }
            print_steps(printer, steps)?;
        }
        Ok(printer.line("")?)
    }

    fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("file".into(), self.file.as_str().into());
        object.insert("line".into(), self.line.into());
        object.insert("steps".into(), steps_json(&self.steps));
        if let Some(reject) = &self.reject {
            let Rejected { text, column, expected, found, template, sketch, .. } = reject;
            let message = format!("expected {expected}, found {found}");
            object.insert("error".into(), json!({ "message": message, "column": column }));
            object.insert("text".into(), text.as_str().into());
            if let Some(Parting { template, column, values, .. }) = template {
                let values: Map<_, _> =
                    values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                let parting = json!({ "text": template, "column": column, "values": values });
                object.insert("template".into(), parting);
            }
            if let Some(sketch) = sketch {
                object.insert("sketch".into(), sketch.as_str().into());
            }
        }
        if self.reject.is_none() || !self.usages.is_empty() {
            let usages = self.usages.iter().map(|steps| steps_json(steps)).collect();
            object.insert("usages".into(), usages);
        }
        object.into()
    }
}

impl Rejected {
    fn print(&self, printer: &mut Printer) -> anyhow::Result<()> {
        printer.line(format_args!("     {}", self.text))?;
        printer.line(format_args!("     {:>width$}", "^", width = self.at + 1))?;
        let Self { column, expected, found, .. } = self;
        let (expected, found) = (safe(expected), safe(found));
        printer.line(format_args!("     column {column}: expected {expected}"))?;
        printer.line(format_args!(
            "     {:indent$}  found {found}",
            "",
            indent = 7 + digits(*column)
        ))?;
        if let Some(sketch) = &self.sketch {
            let sketch = safe(advice::quoted(OsStr::new(sketch)));
            printer.line("     no preset reads it. This template does; check that it names each column correctly:")?;
            printer.line(format_args!("     --format {sketch}"))?;
        }
        if self.is_object {
            printer.line("     name keys of your own in its [[source]], each by its path:")?;
            printer
                .line("     fields = { client = \"edge.peer\", authorization = \"req.auth\" }")?;
        }
        self.template.as_ref().map_or(Ok(()), |parting| parting.print(printer))
    }
}

impl Parting {
    fn print(&self, printer: &mut Printer) -> anyhow::Result<()> {
        const TEMPLATE: &str = "template: ";
        let width = TEMPLATE.len() + self.at + 1;
        printer.line(format_args!("     {TEMPLATE}{}", safe(&self.template)))?;
        printer.line(format_args!("     {:>width$}", "^"))?;
        for (name, value) in &self.values {
            printer.line(format_args!("     {:<24} {value}", safe(name)))?;
        }
        Ok(())
    }
}

fn digits(n: usize) -> usize {
    n.to_string().len()
}

fn steps_json(steps: &[Step]) -> Json {
    let of = |step: &Step| {
        let says = step.says.iter().cloned().collect::<Map<_, _>>();
        (step.name.to_owned(), Json::Object(says))
    };
    steps.iter().map(of).collect::<Map<_, _>>().into()
}

fn print_steps(printer: &mut Printer, steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        let mut head = format!("{:>3} {}", step.number, step.name);
        for (what, value) in &step.says {
            let value = match value {
                Json::String(text) => safe(text),
                Json::Number(number) => shortened(number),
                other => safe(other.to_string()),
            };
            let what = safe(what);
            printer.line(format_args!("{head:<13} {what:<24} {value}").to_string().trim_end())?;
            head.clear();
        }
    }
    Ok(())
}

/// Rounds a measure to two decimal places, for people.
fn shortened(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(measure) => format!("{measure:.2}"),
        None => number.to_string(),
    }
}
