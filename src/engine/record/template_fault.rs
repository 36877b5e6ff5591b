//! Faults of a template.

use std::fmt;

use super::syntax::{Variable, is_nginx};

/// Why a template cannot be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// Character position in the template, counted from 1.
    pub column: usize,
    /// What is there.
    pub found: String,
    /// What could be parsed instead.
    pub expected: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {}: found {}, expected {}; {}",
            self.column, self.found, self.expected, self.hint
        )
    }
}

impl std::error::Error for TemplateFault {}

/// Returns the fault of a variable that directly follows another.
pub(super) fn adjacent(name: &str, column: usize) -> TemplateFault {
    TemplateFault {
        column,
        found: format!("{name} with nothing before it to end the last variable"),
        expected: "some text between two variables".to_owned(),
        hint: "put a space or quotes between them in the server's configuration".to_owned(),
    }
}

/// Returns the fault of a template whose parts of a time do not make a whole one.
pub(super) fn part_of_time(variable: &Variable) -> TemplateFault {
    TemplateFault {
        column: variable.column,
        found: format!("{}, which is no whole time", variable.name),
        expected: "a date and a time of day, or seconds since 1970".to_owned(),
        hint: "use %t, %{sec}t or %{%Y-%m-%dT%H:%M:%S%z}t, or add what is missing: %{%F}t %{%T}t"
            .to_owned(),
    }
}

/// Returns the fault of a template without a time.
pub(super) fn no_time(template: &str) -> TemplateFault {
    let time = if is_nginx(template) { "$time_local, $time_iso8601 or $msec" } else { "%t" };
    TemplateFault {
        column: 1,
        found: "no variable for the time".to_owned(),
        expected: time.to_owned(),
        hint: "a line without its time cannot be judged; add the time to the server's log format"
            .to_owned(),
    }
}
