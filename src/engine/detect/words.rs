//! Numbers as people read them.

use crate::engine::profile::Hop;

/// Prints a span of time with one unit: `45 s`, `12 min`, `5 h`, `3 days`.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Prints a span of time that was not filled: `within a minute`.
pub(super) fn within(seconds: f64) -> String {
    let is_minute = (59.5..60.5).contains(&seconds);
    if is_minute { "within a minute".to_owned() } else { format!("within {}", span(seconds)) }
}

/// Prints when a hop was, by the use before: `12 min later`, `within a minute`.
pub(super) fn later(hop: &Hop) -> String {
    if hop.is_sooner { within(hop.seconds) } else { format!("{} later", span(hop.seconds)) }
}

/// Prints a number without decimals, with a comma between thousands.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a size with one unit: `612 B`, `1.4 MiB`, `38 GiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), "B");
    while tenths >= 10_240 {
        let Some(next) = units.next() else { break };
        (tenths, unit) = (tenths / 1024, next);
    }
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 10 && tenth > 0 {
        format!("{whole}.{tenth} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// Prints a count with its noun: `1 day`, `2 days`.
pub(super) fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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
    fn numbers_read_well() {
        assert_eq!([span(45.0), span(720.0), span(1e6)], ["45 s", "12 min", "12 days"]);
        assert_eq!([grouped(5199.6), grouped(12.0), grouped(1e6)], ["5,200", "12", "1,000,000"]);
        let sizes = [size(0), size(612), size(1_468_006), size(40_802_189_312), size(u64::MAX)];
        assert_eq!(sizes, ["0 B", "612 B", "1.3 MiB", "38 GiB", "1677721 TiB"]);
        assert_eq!([counted(1, "day"), counted(41, "day")], ["1 day", "41 days"]);
        assert_eq!(listed(&[1, 2, 3, 4, 5, 6]), "1, 2, 3, 4, 5 and 1 more");
    }
}
