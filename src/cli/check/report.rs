//! The results of `check`, and how they are printed.

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::atlas::Layer;
use crate::cli::print::{Printer, safe};
use crate::cli::sample::Sample;
use crate::config::{Fault, Faults, Span};
use crate::engine::rule::RuleFault;

/// The results of all checks.
#[derive(Default)]
pub(super) struct Report(pub(super) Vec<Outcome>);

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warning,
    Fault,
}

/// The result of one check.
#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) hint: String,
    /// For a log: how its first lines fit the format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Sample>,
}

impl Outcome {
    /// Adds its place.
    pub(super) fn at(mut self, span: &Span) -> Self {
        self.file = span.path().map(|path| path.display().to_string());
        let place = span.line_and_column();
        (self.line, self.column) = (place.map(|(line, _)| line), place.map(|(_, column)| column));
        self
    }

    /// Prints a line.
    pub(super) fn print(&self, printer: &mut Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            return Ok(printer.json(self)?);
        }
        let (word, color) = match self.level {
            Level::Ok => ("ok", AnsiColor::Green),
            Level::Warning => ("warning", AnsiColor::Yellow),
            Level::Fault => ("fault", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(color.into()));
        let mut place = String::new();
        if let Some(file) = &self.file {
            let numbers = [self.line, self.column].into_iter().flatten();
            let numbers: String = numbers.map(|number| format!(":{number}")).collect();
            place = format!("{file}{numbers}: ");
        }
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        let text = safe(format!("{place}{}{hint}", self.message));
        printer.line(format_args!("{style}{word:<8}{style:#}{:<14} {text}", self.check))?;
        Ok(())
    }
}

impl Report {
    /// Adds that a check found nothing.
    pub(super) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(outcome(check, Level::Ok, message));
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(outcome(check, Level::Warning, message));
    }

    /// Adds a fault; `hint` may be empty.
    pub(super) fn fault(&mut self, check: &'static str, message: impl Into<String>, hint: &str) {
        let hint = hint.to_owned();
        self.0.push(Outcome { hint, ..outcome(check, Level::Fault, message) });
    }

    /// Adds faults in configuration files.
    pub(super) fn faults(&mut self, check: &'static str, faults: &Faults) {
        faults.iter().for_each(|fault| self.configured(check, fault));
    }

    /// Adds a fault in a configuration file.
    fn configured(&mut self, check: &'static str, fault: &Fault) {
        let Fault { span, found, expected, hint } = fault;
        let expected =
            if expected.is_empty() { String::new() } else { format!(", expected {expected}") };
        let outcome = outcome(check, Level::Fault, format!("{found}{expected}"));
        self.0.push(Outcome { hint: hint.clone(), ..outcome }.at(span));
    }

    /// Adds a fault in a rule, or in the name of one.
    pub(super) fn rule(&mut self, fault: &RuleFault) {
        let RuleFault { file, at, message } = fault;
        let (line, column) = at.map(|at| (at.line, at.column)).unzip();
        let outcome = outcome("rules", Level::Fault, message);
        self.0.push(Outcome { file: Some(file.to_string()), line, column, ..outcome });
    }

    /// Adds a GeoIP file, which the configuration names at `span`.
    pub(super) fn layer(&mut self, layer: &Layer, span: &Span) {
        let name = match &layer.path {
            Some(path) => path.display().to_string(),
            None => "built-in table".to_owned(),
        };
        let (level, message) = match (&layer.fault, &layer.kind) {
            (Some(fault), _) => (Level::Fault, format!("{name}: {fault}")),
            (None, Some(_)) if layer.path.is_none() => (Level::Ok, name),
            (None, Some(kind)) => (Level::Ok, format!("{name}: {kind}")),
            (None, None) => (Level::Warning, format!("{name}: not in use")),
        };
        let outcome = outcome("geoip", level, message);
        self.0.push(if level == Level::Ok { outcome } else { outcome.at(span) });
    }
}

/// Returns a result with nothing but its words.
pub(super) fn outcome(check: &'static str, level: Level, message: impl Into<String>) -> Outcome {
    let (file, line, column, hint, log) = (None, None, None, String::new(), None);
    Outcome { check, level, message: message.into(), file, line, column, hint, log }
}
