//! Numbers as people read them, in reasons, mails and on a terminal: rounded once, the same everywhere.

/// Prints a span of time with one unit: `45 s`, `12 min`, `5 h`, `3 days`.
#[must_use]
pub fn span(seconds: f64) -> String {
    let rounded = |unit: f64| (seconds / unit).round();
    match seconds {
        _ if rounded(1.0) < 120.0 => format!("{} s", rounded(1.0)),
        _ if rounded(60.0) < 120.0 => format!("{} min", rounded(60.0)),
        _ if rounded(3600.0) < 48.0 => format!("{} h", rounded(3600.0)),
        _ => format!("{} days", rounded(86_400.0)),
    }
}

/// Prints a count with a comma between thousands: `1,234,567`.
#[must_use]
pub fn number(count: u64) -> String {
    with_commas(&count.to_string())
}

/// Prints a number without decimals, with a comma between thousands: `5,200`.
#[must_use]
pub fn grouped(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", with_commas(&format!("{:.0}", number.abs())))
}

fn with_commas(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a count with its noun: `1 day`, `2 days`, `1,000 days`.
#[must_use]
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    counted_as(count, noun, &format!("{noun}s"))
}

/// Prints a count and what follows it in the singular or in the plural: `1 address`, `1,000 addresses`.
#[must_use]
pub fn counted_as(count: impl Into<u64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// Prints a size with one unit, to two digits at least: `612 B`, `1.4 MiB`, `38 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let rounded = |parts: u128, unit: u128| (u128::from(bytes) * parts + unit / 2) / unit;
    let (mut unit, mut name) = (1, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if rounded(1, unit) < 1024 {
            break;
        }
        (unit, name) = (unit * 1024, larger);
    }
    match rounded(10, unit) {
        tenths if tenths < 100 && 1 < unit => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", rounded(1, unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_said_120_min_of_what_the_mail_called_119() {
        let cases = [
            (0.0, "0 s"),
            (45.0, "45 s"),
            (119.4, "119 s"),
            (119.6, "2 min"),
            (7149.0, "119 min"),
            (7170.0, "2 h"),
            (47.4 * 3600.0, "47 h"),
            (47.6 * 3600.0, "2 days"),
            (1e6, "12 days"),
        ];
        for (seconds, printed) in cases {
            assert_eq!(span(seconds), printed, "{seconds}");
        }
    }

    #[test]
    fn counts_have_commas_and_nouns() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (count, printed) in cases {
            assert_eq!(number(count), printed);
        }
        assert_eq!(
            [grouped(5199.6), grouped(-1234.0), grouped(1e6)],
            ["5,200", "-1,234", "1,000,000"]
        );
        assert_eq!([counted(1_u32, "day"), counted(4100_u32, "day")], ["1 day", "4,100 days"]);
        let addresses = [0_u32, 1, 4100].map(|n| counted_as(n, "address", "addresses"));
        assert_eq!(addresses, ["0 addresses", "1 address", "4,100 addresses"]);
    }

    #[test]
    fn sizes_are_rounded_once() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_468_006, "1.4 MiB"),
            (10_240, "10 KiB"),
            (1_048_063, "1023 KiB"),
            (1_048_064, "1.0 MiB"),
            (1_468_006_400, "1.4 GiB"),
            (40_802_189_312, "38 GiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, printed) in cases {
            assert_eq!(size(bytes), printed, "{bytes}");
        }
    }
}
