//! Event time: when something happened according to a log. The engine has no other time.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// One second, in the unit of [`Timestamp`].
pub const SECOND: i64 = 1_000_000;
/// One minute, in the unit of [`Timestamp`].
pub const MINUTE: i64 = 60 * SECOND;
/// One hour, in the unit of [`Timestamp`].
pub const HOUR: i64 = 60 * MINUTE;
/// One day, in the unit of [`Timestamp`].
pub const DAY: i64 = 24 * HOUR;
/// One week, in the unit of [`Timestamp`].
pub const WEEK: i64 = 7 * DAY;

/// Parses a duration of a whole number and one unit: `90s`, `20m`, `24h`, `10d`, `2w`; in the unit of [`Timestamp`].
/// Returns `None` for anything else, including negative and too large numbers.
#[must_use]
pub fn duration(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unit = match unit {
        's' => SECOND,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        'w' => WEEK,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

/// An instant in UTC, in microseconds since 1970. Finer fractions of a log are cut off.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the instant `seconds` after 1970, saturating at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// Returns whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Returns whole hours since 1970, rounded down.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(HOUR)
    }

    /// Returns whole days since 1970, rounded down.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// Returns the hour of the day in UTC, 0 to 23.
    #[must_use]
    pub fn hour_of_day(self) -> usize {
        usize::try_from(self.hour().rem_euclid(24)).unwrap_or_default()
    }

    /// Returns the day of the week in UTC, 0 for Monday to 6 for Sunday. (1 January 1970 was a Thursday.)
    #[must_use]
    pub fn weekday(self) -> usize {
        usize::try_from((self.day() + 3).rem_euclid(7)).unwrap_or_default()
    }

    /// Returns the instant `micros` later (earlier if negative), saturating.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Returns the microseconds since `earlier`; negative if this instant precedes it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Formats as RFC 3339 in UTC with `digits` of the fraction: 0, 3 or 6 (others are rounded up to these).
    #[must_use]
    pub fn to_rfc3339(self, digits: u8) -> String {
        let form = match digits {
            0 => SecondsFormat::Secs,
            1..=3 => SecondsFormat::Millis,
            _ => SecondsFormat::Micros,
        };
        self.to_chrono().to_rfc3339_opts(form, true)
    }

    /// Formats an instant for people, in mails and on terminals: `2026-11-23 17:10:33 UTC`. Readers have clocks of
    /// their own, so the zone is included.
    #[must_use]
    pub fn to_words(self) -> String {
        self.to_chrono().format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// Converts the instant for chrono; years beyond chrono's range become its limits.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        let end = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_micros(self.0).unwrap_or(end)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

/// RFC 3339 in UTC with as many digits as the instant needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.rem_euclid(SECOND) {
            0 => 0,
            fraction if fraction % 1000 == 0 => 3,
            _ => 6,
        };
        f.write_str(&self.to_rfc3339(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_precision_that_it_has() {
        let whole = Timestamp::from_seconds(1_795_453_833);
        assert_eq!(whole.to_string(), "2026-11-23T17:10:33Z");
        assert_eq!(whole.plus(537_000).to_string(), "2026-11-23T17:10:33.537Z");
        assert_eq!(whole.plus(7).to_string(), "2026-11-23T17:10:33.000007Z");
        assert_eq!(whole.plus(7).to_words(), "2026-11-23 17:10:33 UTC");
    }

    #[test]
    fn a_duration_reads_the_same_in_rules_and_on_the_command_line() {
        let known = [("90s", 90 * SECOND), ("20m", 20 * MINUTE), ("24h", DAY), ("2w", 14 * DAY)];
        for (text, expected) in known {
            assert_eq!(duration(text), Some(expected), "{text}");
        }
        for text in ["", "m", "20", "-1h", "+1h", "1 h", "1y", "1h30m", "9999999999999999d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn knows_the_calendar() {
        let monday = Timestamp::from_seconds(1_795_453_833);
        assert_eq!((monday.weekday(), monday.hour_of_day()), (0, 17));
        assert_eq!(Timestamp::from_seconds(-1).hour_of_day(), 23);
    }
}
