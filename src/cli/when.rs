//! Times and durations as people type them: `2h`, `yesterday`, `2026-03-02`, RFC 3339.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::cli::exit::usage;
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp, WEEK};

/// Instants in UTC as the program prints them, and as people shorten them.
const PRINTED: [&str; 5] = [
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%d %H:%MZ",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
];

/// Units of durations, with the names that people use.
const UNITS: [(&[&str], i64); 5] = [
    (&["s", "sec", "secs", "second", "seconds"], SECOND),
    (&["m", "min", "mins", "minute", "minutes"], MINUTE),
    (&["h", "hour", "hours"], HOUR),
    (&["d", "day", "days"], DAY),
    (&["w", "week", "weeks"], WEEK),
];

/// Parses an instant; durations count back from `now`, dates begin at midnight UTC.
///
/// # Errors
/// The text has none of the forms, which the error lists.
pub fn instant(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let text = text.trim();
    let midnight = Timestamp(now.day() * DAY);
    match text {
        "now" => return Ok(now),
        "today" => return Ok(midnight),
        "yesterday" => return Ok(midnight.plus(-DAY)),
        "tomorrow" => return Ok(midnight.plus(DAY)),
        _ => {}
    }
    let date = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc().into());
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc().into());
    // The program's own forms: printed times can be given back.
    let printed = || {
        let read = |form| NaiveDateTime::parse_from_str(text, form).ok();
        Some(PRINTED.into_iter().find_map(read)?.and_utc().into())
    };
    let before = || Some(now.plus(-span(text.trim_start_matches('-'))?));
    match exact().or_else(date).or_else(printed).or_else(before) {
        Some(time) => Ok(time),
        None => Err(usage(format_args!(
            "{text:?} is not a time: expected 2h, 1h30m, 3d, today, yesterday, 2026-03-02, \
             \"2026-03-02 08:00\" (UTC) or 2026-03-02T08:00:00Z"
        ))),
    }
}

/// Parses an instant to come; durations count on from `now`.
///
/// # Errors
/// As for [`instant`].
pub fn ahead(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    match span(text.trim().trim_start_matches('+')) {
        Some(span) => Ok(now.plus(span)),
        None => instant(text, now),
    }
}

/// Parses the start and the end of a period.
///
/// # Errors
/// One of them is invalid, or the period is empty.
pub fn window(
    since: Option<&str>,
    until: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<(Option<Timestamp>, Option<Timestamp>)> {
    let read = |text: Option<&str>| text.map(|text| instant(text, now)).transpose();
    let (since, until) = (read(since)?, read(until)?);
    match since.zip(until) {
        Some((since, until)) if until <= since => Err(usage(format_args!(
            "--since {} is not before --until {}",
            since.to_words(),
            until.to_words()
        ))),
        _ => Ok((since, until)),
    }
}

/// Parses one or more numbers with units: `2h`, `1h30m`, `7days`, `7 days`; in the unit of [`Timestamp`].
fn span(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split(after.trim_start(), |c| !c.is_ascii_alphabetic());
        let (_, unit) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(*unit)?)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

fn split(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(is_end).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Parses a duration such as `90s`, `30m`, `8h`, `30d`, `2w`, in the unit of [`Timestamp`].
///
/// # Errors
/// The text is not a duration, or is a duration of zero.
pub fn duration(text: &str) -> anyhow::Result<i64> {
    match span(text.trim()) {
        Some(micros) if micros > 0 => Ok(micros),
        _ => Err(usage(format_args!("{text:?} is not a duration: expected 30m, 8h, 30d or 2w"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print;

    #[test]
    fn forms_that_people_type_first_were_refused() {
        let now = Timestamp::from_seconds(1_795_453_833); // 2026-11-23T17:10:33Z
        let say = |text| instant(text, now).unwrap().to_string();
        for text in ["2026-11-22 10:00", "2026-11-22 10:00:00", "2026-11-22T10:00"] {
            assert_eq!(say(text), "2026-11-22T10:00:00Z", "{text}");
        }
        for text in ["1h30m", "90min", "1 hour 30 minutes", "5400s"] {
            assert_eq!(say(text), "2026-11-23T15:40:33Z", "{text}");
        }
        for text in ["7days", "7 days", "1w", "1week"] {
            assert_eq!((say(text), duration(text).unwrap()), (say("7d"), WEEK), "{text}");
        }
    }

    #[test]
    fn people_say_when_in_many_ways() {
        let now = Timestamp::from_seconds(1_795_453_833); // 2026-11-23T17:10:33Z
        let say = |text| instant(text, now).unwrap().to_string();
        assert_eq!(say("2h"), "2026-11-23T15:10:33Z");
        assert_eq!(say("-1d"), "2026-11-22T17:10:33Z");
        let ahead = |text| ahead(text, now).unwrap().to_string();
        assert_eq!([ahead("2h"), ahead("+2h")], ["2026-11-23T19:10:33Z"; 2]);
        assert_eq!(ahead("2026-12-24"), "2026-12-24T00:00:00Z");
        assert_eq!(say("yesterday"), "2026-11-22T00:00:00Z");
        assert_eq!(say("2026-03-02"), "2026-03-02T00:00:00Z");
        assert_eq!(say("2026-03-02T08:00:00+02:00"), "2026-03-02T06:00:00Z");
        for time in [now, Timestamp::from_seconds(1_795_453_800)] {
            assert_eq!(instant(&time.to_words(), time).unwrap(), time);
        }
        assert_eq!(say(&print::minute(now)), "2026-11-23T17:10:00Z");
        for text in ["", "soon", "2h30", "2026-13-01", "h", "3 months", "99999999999999w"] {
            assert!(instant(text, now).is_err(), "{text}");
        }
        for text in ["0d", "0s", "-1d", "30"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(window(Some("2h"), Some("1h"), now).is_ok());
        for (since, until) in [("1h", "2h"), ("today", "today")] {
            assert!(window(Some(since), Some(until), now).is_err(), "{since} {until}");
        }
        assert_eq!(duration("2w").unwrap(), 14 * crate::engine::time::DAY);
    }
}
