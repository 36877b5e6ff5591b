//! Words of reasons that several detectors share.

pub(super) use crate::engine::numbers::{counted, grouped, size, span};
use crate::engine::profile::{Hop, Signals};

/// Prints a span of whole seconds.
pub(super) fn span_of(seconds: i64) -> String {
    span(u32::try_from(seconds).unwrap_or(u32::MAX).into())
}

/// Prints an upper bound on a span of time: `within a minute`.
pub(super) fn within(seconds: f64) -> String {
    let is_minute = (59.5..60.5).contains(&seconds);
    if is_minute { "within a minute".to_owned() } else { format!("within {}", span(seconds)) }
}

/// Prints when a hop was, relative to the use before: `12 min later`, `within a minute`.
pub(super) fn later(hop: &Hop) -> String {
    if hop.is_sooner { within(hop.seconds) } else { format!("{} later", span(hop.seconds)) }
}

/// Prints the days since the last use: `60 days on which others called, and 32 on which nobody did`.
pub(super) fn gap(signals: &Signals) -> String {
    let (days, _) = signals.gap_days;
    match signals.rested_hours / 24 {
        0 => format!("{days:.0} days"),
        rested => {
            format!("{days:.0} days on which others called, and {rested} on which nobody did")
        }
    }
}

/// Joins at most five names.
pub(super) fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
    let more = names.len() - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_five_names_are_listed() {
        assert_eq!(listed(&[1, 2, 3, 4, 5, 6]), "1, 2, 3, 4, 5 and 1 more");
        assert_eq!(listed(&[1, 2]), "1, 2");
    }
}
