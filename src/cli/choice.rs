//! Which lines of a log are selected: all, those with certain numbers, or the one that contains a byte.

use std::ops::{Range, RangeInclusive};

use crate::cli::args::Lines as Options;

/// The selected lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// All of them.
    All,
    /// Those with these numbers, counted from 1.
    Numbers(RangeInclusive<u64>),
    /// The one that contains this byte, counted from 0, as in evidence and `status`.
    Holding(u64),
}

impl Choice {
    /// Returns the selection of a command line, which has at most one.
    pub(super) fn new(options: &Options) -> Self {
        let numbers = options.line.clone().map(Self::Numbers);
        numbers.or(options.offset.map(Self::Holding)).unwrap_or(Self::All)
    }

    /// Returns whether a line is selected, by its number and its bytes.
    pub(super) fn takes(&self, number: u64, bytes: Range<u64>) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => numbers.contains(&number),
            Self::Holding(byte) => bytes.contains(byte),
        }
    }

    /// Returns whether no line after this one, which has this number and ends at this byte, is selected.
    pub(super) fn ends_before(&self, number: u64, end: u64) -> bool {
        match self {
            Self::All => false,
            Self::Numbers(numbers) => *numbers.end() <= number,
            Self::Holding(byte) => *byte < end,
        }
    }
}

/// Parses `7`, `7..12` (inclusive) or `7..`.
pub(super) fn numbers(text: &str) -> Result<RangeInclusive<u64>, String> {
    const EXPECTED: &str = "expected a line's number, counted from 1, or a range such as 10..20";
    let number = |text: &str| text.parse().ok().filter(|number| 0 < *number);
    let range = match text.split_once("..") {
        None => number(text).map(|number| number..=number),
        Some((from, "")) => number(from).map(|from| from..=u64::MAX),
        Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..=to),
    };
    range.filter(|range| !range.is_empty()).ok_or_else(|| EXPECTED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_ranges_with_both_ends_are_read() {
        assert_eq!(numbers("7"), Ok(7..=7));
        assert_eq!(numbers("7..12"), Ok(7..=12));
        assert_eq!(numbers("7.."), Ok(7..=u64::MAX));
        for text in ["", "0", "-1", "x", "7..6", "..", "..7", "7..x", "99999999999999999999"] {
            assert!(numbers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_is_meant_by_each_of_its_bytes() {
        let choice = Choice::Holding(10);
        let taken = |bytes| choice.takes(1, bytes);
        assert_eq!(
            [taken(0..10), taken(10..11), taken(5..20), taken(11..12)],
            [false, true, true, false]
        );
        assert_eq!([choice.ends_before(1, 10), choice.ends_before(1, 11)], [false, true]);
    }
}
