//! The names of columns in registry files: which are unknown, misspelt or repeated.

use crate::cli::state;
use crate::engine::registry::COLUMNS;
use crate::engine::shape::is_secretive;

/// A heading at least this similar (Jaro-Winkler) to a column's name is taken for a misspelling.
const LIKENESS: f64 = 0.85;

/// Returns what is wrong with a heading. A row in its place is one fault: its cells are no misspelt names.
pub(super) fn faults(headings: &csv::StringRecord) -> Vec<String> {
    let is_like_one = |name: &str| near(name).is_some() || other_mark(name).is_some();
    if !headings.is_empty() && !headings.iter().any(is_like_one) {
        let columns = COLUMNS.join(", ");
        return vec![format!(
            "the first line must be the heading: some of the columns {columns}, with commas between them"
        )];
    }
    let unknown = (1..).zip(headings.iter()).filter(|(_, name)| !COLUMNS.contains(name));
    let unknown = unknown.map(|(n, name)| unknown_column(n, name));
    unknown.chain(repeated(headings).map(|name| format!("column {name} is there twice"))).collect()
}

/// Returns the known columns that a heading repeats: it is unclear which of the two counts.
fn repeated(headings: &csv::StringRecord) -> impl Iterator<Item = &'static str> {
    let is_repeated = |name: &&str| headings.iter().filter(|heading| heading == name).count() > 1;
    COLUMNS.iter().copied().filter(is_repeated)
}

/// Returns the column that a name is, or is a misspelling of.
fn near(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let likeness = |column: &str| strsim::jaro_winkler(column, &name);
    let best = COLUMNS.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|column| LIKENESS <= likeness(column))
}

/// Returns the mark that separates columns in place of commas.
fn other_mark(name: &str) -> Option<char> {
    let parts = |mark: &char| name.split(*mark).any(|part| COLUMNS.contains(&part.trim()));
    [';', '\t', '|'].into_iter().find(parts)
}

/// Describes an unknown key of JSON, quoted unless it may be a secret.
pub(super) fn unknown_key(name: &str) -> String {
    let columns = COLUMNS.join(", ");
    match near(name) {
        Some(near) => format!("unknown key {name:?}, did you mean {near:?}? keys are {columns}"),
        None if is_secretive(name.as_bytes()) || state::holds_secret(name) => {
            format!("a key is unknown and looks like a secret; keys are {columns}")
        }
        None => format!("unknown key {name:?}; keys are {columns}"),
    }
}

/// Describes an unknown heading. Quotes it only if it is nearly a column's name: in a file without headings it may be a
/// secret.
fn unknown_column(n: usize, name: &str) -> String {
    let columns = COLUMNS.join(", ");
    if let Some(mark) = other_mark(name) {
        return format!("expected commas between columns, found {mark:?}");
    }
    match near(name) {
        Some(near) => {
            format!("unknown column {name:?}, did you mean {near:?}? columns are {columns}")
        }
        None => format!(
            "column {n} of the heading is unknown; columns, with commas between them, are {columns}"
        ),
    }
}
