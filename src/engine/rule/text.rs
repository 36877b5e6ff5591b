//! Parses the text of a rule file. The parser stops at the first modifier that it does not know; for the other faults
//! of that rule, the text is parsed again without it.

use rsigma_parser::{SigmaCollection, SigmaRule, parse_sigma_yaml};

use crate::engine::detect::nearest;
use crate::engine::rule::Spot;
use crate::engine::rule::spot::{self, At};

/// Unknown modifiers that are reported at most: the text is parsed once for each.
const MOST: usize = 16;

/// What is reported where a modifier is expected to be.
const UNKNOWN: &str = "Unknown modifier '";

/// What is reported about a condition: then where in it, and a drawing of it over several lines.
const BAD_CONDITION: &str = "Condition parse error";

/// What is reported about a text that is no YAML.
const YAML: &str = "YAML parse error";

/// The parser's modifiers, by the names that Sigma has for them (Sigma specification 2.1, Modifiers).
const MODIFIERS: [&str; 31] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "windash",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "cased",
    "exists",
    "expand",
    "fieldref",
    "gt",
    "gte",
    "lt",
    "lte",
    "neq",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

/// A rule file as the parser understands it.
#[derive(Default)]
pub(super) struct Parsed {
    /// The rules, and whether each is as it stands in the text.
    pub(super) rules: Vec<(SigmaRule, Wholeness)>,
    /// Faults, each with its place, if that is known.
    pub(super) faults: Vec<(Option<Spot>, String)>,
}

/// Whether a rule is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wholeness {
    Whole,
    /// Without modifiers: it is there to be checked, and must not be in force.
    Part,
}

/// Parses a file, which may contain several rules.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let whole = match parse_sigma_yaml(text) {
        Ok(collection) => collection,
        Err(error) => {
            parsed.fail(text, &error.to_string());
            return parsed;
        }
    };
    let rest = parsed.leave_out_modifiers(text, whole.clone());
    // A rule without a level has a fault of ours, which says what levels there are.
    let is_ours = |error: &String| !rest.rules.is_empty() && error.starts_with("invalid level: ");
    rest.errors.iter().filter(|error| !is_ours(error)).for_each(|error| parsed.fail(text, error));
    if !rest.correlations.is_empty() {
        parsed.fail(text, "correlation rules are not supported: profiles count over time");
    }
    if !rest.filters.is_empty() {
        parsed.fail(text, "filter rules are not supported: override the rule by its id");
    }
    parsed.rules = rest
        .rules
        .into_iter()
        .map(|rule| {
            let is_whole = whole.rules.contains(&rule);
            (rule, if is_whole { Wholeness::Whole } else { Wholeness::Part })
        })
        .collect();
    parsed
}

impl Parsed {
    fn fail(&mut self, text: &str, message: &str) {
        self.faults.push(placed(text, message));
    }

    /// Reports the unknown modifiers, and returns what is in the text besides.
    fn leave_out_modifiers(&mut self, text: &str, whole: SigmaCollection) -> SigmaCollection {
        let (mut text, mut rest) = (text.to_owned(), whole);
        for _ in 0..MOST {
            let Some(modifier) = rest.errors.iter().find_map(|error| unknown(error)) else { break };
            let (shorter, lines) = without(&text, modifier);
            let Ok(next) = parse_sigma_yaml(&shorter) else { break };
            // Two keys may differ in the modifier only; then the parser's own words have to do.
            if lines.is_empty() || next.errors.iter().any(|error| error.starts_with(YAML)) {
                break;
            }
            let near = nearest(modifier, MODIFIERS.to_vec());
            let hint = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            let message = format!("unknown modifier `{modifier}`{hint}");
            self.faults.extend(lines.into_iter().map(|spot| (Some(spot), message.clone())));
            (text, rest) = (shorter, next);
        }
        rest
    }
}

/// Returns the modifier that an error of the parser is about.
fn unknown(error: &str) -> Option<&str> {
    error.strip_prefix(UNKNOWN)?.strip_suffix('\'').filter(|modifier| !modifier.is_empty())
}

/// Returns a text without a modifier, and where it was.
fn without(text: &str, modifier: &str) -> (String, Vec<Spot>) {
    const ENDS: [char; 4] = [':', '|', '"', '\''];
    let part = format!("|{modifier}");
    let mut spots = Vec::new();
    let mut shorter = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let mut rest = line.to_owned();
        for end in ENDS {
            rest = rest.replace(&format!("{part}{end}"), &end.to_string());
        }
        let is_whole = |at: usize| line.get(at + part.len()..).is_some_and(|l| l.starts_with(ENDS));
        let mut all = line.match_indices(&part);
        if let Some((at, _)) = all.find(|(at, _)| is_whole(*at)) {
            let before = line.get(..at).unwrap_or_default();
            spots.push(Spot { line: number, column: before.chars().count() + 2 });
        }
        shorter.push_str(&rest);
    }
    (shorter, spots)
}

/// Returns the place that a message of the parser is about, and the message in a line and in words of ours.
fn placed(text: &str, message: &str) -> (Option<Spot>, String) {
    if let Some(rest) = message.strip_prefix(BAD_CONDITION) {
        let character = rest.strip_prefix(" at 1:").and_then(number).unwrap_or(1);
        let wanted = rest.rsplit_once("= ").map_or(rest, |(_, wanted)| wanted);
        let message = format!("condition: {}", in_a_line(&in_words(wanted)));
        return (spot::in_condition(text, character), message);
    }
    let after = |word| message.split_once(word).and_then(|(_, rest)| number(rest));
    let by_number = || Some(Spot { line: after("line ")?, column: after("column ")? });
    // `invalid status: 'foo'`
    let key = message.strip_prefix("invalid ").and_then(|rest| rest.split_once(':'));
    let by_key = || spot::of(text, &At::Key(key?.0.to_owned()));
    (by_number().or_else(by_key), in_a_line(message))
}

fn number(text: &str) -> Option<usize> {
    text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Replaces the names that the parser's grammar has for the parts of a condition.
fn in_words(text: &str) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("quantifier", "`1 of`"),
        ("ident", "the name of a selection"),
        ("not_op", "`not`"),
        ("and_op", "`and`"),
        ("or_op", "`or`"),
        ("EOI", "the end"),
    ];
    let word = |word: &str| {
        let (name, comma) = word.strip_suffix(',').map_or((word, ""), |name| (name, ","));
        let known = NAMES.iter().find(|(known, _)| *known == name);
        format!("{}{comma}", known.map_or(name, |(_, words)| words))
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Joins the lines of a message that was formatted for a terminal.
pub(super) fn in_a_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rsigma_parser::Modifier;

    use super::*;

    #[test]
    fn every_modifier_that_may_be_meant_is_one() {
        for name in MODIFIERS {
            assert!(name.parse::<Modifier>().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_modifier_is_left_out_wherever_a_key_can_have_it() {
        let text =
            "a|x: 1\n\"b|x|all\": 2\n{ c|re|x: 3, d|xy: 4 }\n# x\n'e|x': 5\n{ f|xy: 6, g|x: 7 }";
        let shorter = "a: 1\n\"b|all\": 2\n{ c|re: 3, d|xy: 4 }\n# x\n'e': 5\n{ f|xy: 6, g: 7 }";
        let places = [(1, 3), (2, 4), (3, 8), (5, 4), (6, 14)];
        let spots = places.map(|(line, column)| Spot { line, column });
        assert_eq!(without(text, "x"), (shorter.to_owned(), spots.to_vec()));
    }
}
