//! Parses the text of a rule file. The parser stops at the first modifier that it does not know; for the other faults of
//! that rule, the text is parsed again without it.

use rsigma_parser::{SigmaCollection, SigmaRule, parse_sigma_yaml};

use crate::engine::detect::nearest;

/// Unknown modifiers that are reported at most: the text is parsed once for each.
const MOST: usize = 16;

/// What is reported where a modifier is expected to be.
const UNKNOWN: &str = "Unknown modifier '";

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
    /// Faults, each with its line, counted from 1, or 0 if it is unknown.
    pub(super) faults: Vec<(usize, String)>,
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
            parsed.fail(error.to_string());
            return parsed;
        }
    };
    let rest = parsed.leave_out_modifiers(text, whole.clone());
    // A rule without a level has a fault of ours, which says what levels there are.
    let is_ours = |error: &String| !rest.rules.is_empty() && error.starts_with("invalid level: ");
    rest.errors.iter().filter(|error| !is_ours(error)).for_each(|error| parsed.fail(error.clone()));
    if !rest.correlations.is_empty() {
        parsed.fail("correlation rules are not supported: profiles count over time".to_owned());
    }
    if !rest.filters.is_empty() {
        parsed.fail("filter rules are not supported: override the rule by its id".to_owned());
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
    fn fail(&mut self, message: String) {
        self.faults.push((line_of(&message), message));
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
            self.faults.extend(lines.into_iter().map(|line| (line, message.clone())));
            (text, rest) = (shorter, next);
        }
        rest
    }
}

/// Returns the modifier that an error of the parser is about.
fn unknown(error: &str) -> Option<&str> {
    error.strip_prefix(UNKNOWN)?.strip_suffix('\'').filter(|modifier| !modifier.is_empty())
}

/// Returns a text without a modifier, and the lines that it was in.
fn without(text: &str, modifier: &str) -> (String, Vec<usize>) {
    let mut lines = Vec::new();
    let mut shorter = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let mut rest = line.to_owned();
        for end in [':', '|', '"', '\''] {
            rest = rest.replace(&format!("|{modifier}{end}"), &end.to_string());
        }
        if rest.len() < line.len() {
            lines.push(number);
        }
        shorter.push_str(&rest);
    }
    (shorter, lines)
}

/// Extracts the line from a parser message, which contains the position as `at line 3 column 5`.
fn line_of(message: &str) -> usize {
    let after = message.split("line ").nth(1).unwrap_or_default();
    after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
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
        let text = "a|x: 1\n\"b|x|all\": 2\n{ c|re|x: 3, d|xy: 4 }\n# x\n'e|x': 5";
        let shorter = "a: 1\n\"b|all\": 2\n{ c|re: 3, d|xy: 4 }\n# x\n'e': 5";
        assert_eq!(without(text, "x"), (shorter.to_owned(), vec![1, 2, 3, 5]));
    }
}
