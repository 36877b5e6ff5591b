//! Where in the text of a rule file a fault is: the parser does not say in which line a key or a field is.

use crate::engine::rule::Spot;

/// The key of a rule's condition.
pub(super) const CONDITION: &str = "condition";

/// Where in a rule a fault is.
pub(super) enum At {
    /// At a key of the rule itself.
    Key(String),
    /// At a key of `detection`, or at a field named in it.
    Field(String),
}

/// Returns the place of the only line that begins with the faulty key or field. Returns nothing if there is no such
/// line, or if the file has several documents: the parser does not report which document a rule is from.
pub(super) fn of(text: &str, at: &At) -> Option<Spot> {
    let (line, _, column) = only(text, at)?;
    Some(Spot { line, column })
}

/// Returns the place of a character of the condition, counted from 1; that of its key, if they are not in one line.
pub(super) fn in_condition(text: &str, character: usize) -> Option<Spot> {
    let (line, content, column) = only(text, &At::Field(CONDITION.to_owned()))?;
    let value =
        content.split_once(':').map(|(_, value)| value.trim_start_matches([' ', '"', '\'']));
    let value = value.filter(|value| !value.is_empty() && !value.starts_with(['|', '>', '[', '#']));
    let start = value.map(|value| content.chars().count() - value.chars().count());
    Some(Spot { line, column: start.map_or(column, |start| start + character) })
}

/// Returns the number and the content of that line, and the column at which the key or the field begins.
fn only<'a>(text: &'a str, at: &At) -> Option<(usize, &'a str, usize)> {
    if !is_one_document(text) {
        return None;
    }
    let lines = (1..).zip(text.lines());
    let found: Vec<(usize, &str)> = match at {
        At::Key(key) => lines.filter(|(_, line)| begins_with(line, key)).collect(),
        At::Field(field) => lines
            .skip_while(|(_, line)| !begins_with(line, "detection"))
            .skip(1)
            .take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#']))
            .filter(|(_, line)| begins_with(line.trim_start_matches([' ', '-']), field))
            .collect(),
    };
    let [(number, line)] = found.as_slice() else { return None };
    let column = 1 + line.len() - line.trim_start_matches([' ', '-']).len();
    Some((*number, line, column))
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
