//! Parses the times in logs: fixed positions, checked ranges, about 20 ns each.

use chrono::Datelike;

use crate::engine::time::{DAY, SECOND, Timestamp};

/// A time, and the digits of its fraction in the log: 0, 3 or 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The instant; digits beyond microseconds are cut off.
    pub at: Timestamp,
    /// 0, 3 or 6.
    pub digits: u8,
    /// The log names no zone: the instant is read as UTC until the zone is known.
    pub is_local: bool,
}

impl Time {
    /// Returns the time of a log whose times are all UTC, so that it needs no zone.
    #[must_use]
    pub const fn in_utc(self) -> Self {
        Self { is_local: false, ..self }
    }
}

/// Parses a time of any form below, or an epoch like [`epoch`]. Apache's `%t` includes its brackets.
#[must_use]
pub fn read(text: &[u8]) -> Option<Time> {
    let text = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    match text {
        [_, _, _, _, b'-', ..] => iso(text),
        [_, _, _, _, b'/', ..] => slashed(text),
        [_, b'/', ..] | [_, _, b'/', ..] => clf(text),
        [_, _, _, b',', ..] => http(text),
        [_, _, _, _, _, _, _, _, b'T', ..] => basic(text),
        _ => epoch(text),
    }
}

/// Parses `10/Oct/2000:13:55:36 -0700`. A fraction may follow the second, the day may have one digit, and without a
/// zone (as in `HAProxy`) the time is UTC.
#[must_use]
pub fn clf(text: &[u8]) -> Option<Time> {
    let (day, rest) = day(text)?;
    let (&[m1, m2, m3, b'/', y1, y2, y3, y4, b':'], rest) = rest.split_first_chunk::<9>()? else {
        return None;
    };
    let date = Date { year: number([y1, y2, y3, y4])?, month: month([m1, m2, m3])?, day };
    clock(&date, rest)
}

/// Parses ISO 8601 and RFC 3339: `2026-11-23T17:10:33.537+00:00`, optionally with a space for the `T`, any
/// fraction, and a zone with or without a colon; without a zone the time is UTC.
#[must_use]
pub fn iso(text: &[u8]) -> Option<Time> {
    let (&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' '], rest) =
        text.split_first_chunk::<11>()?
    else {
        return None;
    };
    let date = Date::of([y1, y2, y3, y4], [m1, m2], [d1, d2])?;
    clock(&date, rest)
}

/// Parses ISO 8601 without separators, `20261123T171033Z`, with any fraction and zone; without a zone the time is UTC.
#[must_use]
pub fn basic(text: &[u8]) -> Option<Time> {
    let (&[y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2], rest) =
        text.split_first_chunk::<15>()?
    else {
        return None;
    };
    let date = Date::of([y1, y2, y3, y4], [m1, m2], [d1, d2])?;
    instant(&date, [[h1, h2], [n1, n2], [s1, s2]], rest)
}

/// Parses a separate day and time of day: `2026-11-23` and `17:10:33.537`. UTC.
#[must_use]
pub fn of_day(day: &[u8], clock: &[u8]) -> Option<Time> {
    const LONGEST: usize = 40;
    let mut text = [0; LONGEST];
    let length = day.len() + 1 + clock.len();
    let (to_day, rest) = text.get_mut(..length)?.split_at_mut_checked(day.len())?;
    let (mark, to_clock) = rest.split_first_mut()?;
    to_day.copy_from_slice(day);
    *mark = b'T';
    to_clock.copy_from_slice(clock);
    iso(text.get(..length)?)
}

/// Parses cPanel's `11/23/2026:17:10:33 -0000`, the month first. Numeric months are accepted only with that zone:
/// elsewhere the day may come first.
#[must_use]
pub fn cpanel(text: &[u8]) -> Option<Time> {
    let (&[m1, m2, b'/', d1, d2, b'/', y1, y2, y3, y4, b':'], rest) =
        text.strip_suffix(b" -0000")?.split_first_chunk::<11>()?
    else {
        return None;
    };
    let date = Date::of([y1, y2, y3, y4], [m1, m2], [d1, d2])?;
    clock(&date, rest).map(Time::in_utc)
}

/// Parses `2026/11/23 17:10:33`, as in nginx's error log and Caddy's `wall`, with any fraction; the time is UTC.
#[must_use]
pub fn slashed(text: &[u8]) -> Option<Time> {
    let (&[y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' '], rest) =
        text.split_first_chunk::<11>()?
    else {
        return None;
    };
    let date = Date::of([y1, y2, y3, y4], [m1, m2], [d1, d2])?;
    clock(&date, rest)
}

/// Parses `Mon Nov 23 17:10:33.537001 2026`, C's `asctime` with any fraction, as in Apache's error log; the time is
/// UTC.
#[must_use]
pub fn asctime(text: &[u8]) -> Option<Time> {
    let (&[_, _, _, b' ', m1, m2, m3, b' ', d1, d2, b' '], rest) =
        text.split_first_chunk::<11>()?
    else {
        return None;
    };
    let (clock_text, &[b' ', y1, y2, y3, y4]) = rest.split_last_chunk::<5>()? else { return None };
    let day = number([if d1 == b' ' { b'0' } else { d1 }, d2])?;
    let date = Date { year: number([y1, y2, y3, y4])?, month: month([m1, m2, m3])?, day };
    clock(&date, clock_text)
}

/// Parses `Mon, 23 Nov 2026 17:10:33 GMT`, as in HTTP dates (RFC 9110, section 5.6.7) and morgan's `:date[web]`.
#[must_use]
pub fn http(text: &[u8]) -> Option<Time> {
    let (&[_, _, _, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' '], rest) =
        text.strip_suffix(b" GMT")?.split_first_chunk::<17>()?
    else {
        return None;
    };
    let date = Date {
        year: number([y1, y2, y3, y4])?,
        month: month([m1, m2, m3])?,
        day: number([d1, d2])?,
    };
    clock(&date, rest)
}

/// Parses seconds since 1970 with or without a fraction, or whole milli-, micro- or nanoseconds, distinguished by
/// magnitude ([`epoch_of`]).
#[must_use]
pub fn epoch(text: &[u8]) -> Option<Time> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => text.split_at_checked(dot)?,
        None => (text, &b""[..]),
    };
    if whole.is_empty() || whole.len() > 19 || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let base = epoch_of(value)?;
    if fraction.is_empty() || base.digits > 0 {
        return Some(base);
    }
    let ((micros, digits), rest) = fraction_of(fraction)?;
    rest.is_empty().then_some(Time { at: base.at.plus(micros), digits, is_local: false })
}

/// Converts a whole epoch: below 10^11 seconds (to the year 5138), below 10^14 milliseconds, below 10^17
/// microseconds, else nanoseconds. These overlap only before 1973.
#[must_use]
pub fn epoch_of(value: i64) -> Option<Time> {
    let (micros, digits) = match value {
        ..0 => return None,
        0..100_000_000_000 => (value.checked_mul(SECOND)?, 0),
        100_000_000_000..100_000_000_000_000 => (value.checked_mul(1000)?, 3),
        100_000_000_000_000..100_000_000_000_000_000 => (value, 6),
        _ => (value / 1000, 6),
    };
    Some(Time { at: Timestamp(micros), digits, is_local: false })
}

/// Converts seconds since 1970 in floating point, which keeps microseconds until the year 2242; larger numbers are
/// milliseconds and finer units, as in [`epoch_of`]. The time has as many digits as it needs.
#[must_use]
pub fn epoch_of_float(value: f64) -> Option<Time> {
    // Beyond 2^53 a float cannot represent every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let micros = if value < 100_000_000_000.0 { value * 1_000_000.0 } else { value * 1_000.0 };
    if !(0.0..EXACT).contains(&micros) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked, the fraction is rounded off"
    )]
    let micros = micros.round() as i64;
    let digits = match micros {
        _ if micros % SECOND == 0 => 0,
        _ if micros % 1000 == 0 => 3,
        _ => 6,
    };
    Some(Time { at: Timestamp(micros), digits, is_local: false })
}

/// Parses a syslog time, `Oct 11 22:14:15`, in a file last written to at `written`, in ns since 1970, or 0 if
/// unknown. It has neither year nor zone. The year is the latest that puts it before that time, or less than a day
/// after it, since no zone is further ahead.
#[must_use]
pub fn syslog(text: &[u8], written: i64) -> Option<Time> {
    let text = text.get(..syslog_length(text)?)?;
    let (&[m1, m2, m3, b' ', d1, d2, b' '], rest) = text.split_first_chunk::<7>()? else {
        return None;
    };
    let day = number([if d1 == b' ' { b'0' } else { d1 }, d2])?;
    let month = month([m1, m2, m3])?;
    let written = Some(Timestamp(written / 1000)).filter(|_| written > 0)?;
    let last = i64::from(written.to_chrono().year());
    // The last 29 February may be longer ago than a log is kept.
    let years = [last + 1, last, last - 1].into_iter();
    years
        .filter_map(|year| clock(&Date { year, month, day }, rest))
        .find(|time| time.at <= written.plus(DAY))
}

/// Returns the length of a syslog time, `Oct  1 22:14:15` or `Oct 11 22:14:15`, at the beginning of `text`.
/// [`syslog`] converts it.
#[must_use]
pub fn syslog_length(text: &[u8]) -> Option<usize> {
    const LENGTH: usize = 15;
    let &[m1, m2, m3, b' ', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        text.first_chunk::<LENGTH>()?
    else {
        return None;
    };
    let day = number([if d1 == b' ' { b'0' } else { d1 }, d2])?;
    let is_time = month([m1, m2, m3]).is_some()
        && (1..=31).contains(&day)
        && number([h1, h2])? < 24
        && number([n1, n2])? < 60
        && number([s1, s2])? <= 60;
    is_time.then_some(LENGTH)
}

/// A day of the calendar.
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Date {
    /// Parses a date from its digits.
    fn of(year: [u8; 4], month: [u8; 2], day: [u8; 2]) -> Option<Self> {
        Some(Self { year: number(year)?, month: number(month)?, day: number(day)? })
    }
}

/// Parses a day of one or two digits and the slash after it.
fn day(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [d1, d2, b'/', rest @ ..] => Some((number([*d1, *d2])?, rest)),
        [d, b'/', rest @ ..] => Some((number([*d])?, rest)),
        _ => None,
    }
}

/// Parses `13:55:36[.fraction][ ][zone]` to the end and combines it with the date.
fn clock(date: &Date, text: &[u8]) -> Option<Time> {
    let (&[h1, h2, b':', m1, m2, b':', s1, s2], rest) = text.split_first_chunk::<8>()? else {
        return None;
    };
    instant(date, [[h1, h2], [m1, m2], [s1, s2]], rest)
}

/// Combines a date with the digits of hour, minute and second, and with the `[.fraction][ ][zone]` after them.
fn instant(date: &Date, [hour, minute, second]: [[u8; 2]; 3], rest: &[u8]) -> Option<Time> {
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let days = days_since_1970(date)?;
    // A leap second is written as second 60 and is the first second of the next minute in Unix time.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let ((micros, digits), rest) = match rest {
        [b'.' | b',', ..] => fraction_of(rest)?,
        _ => ((0, 0), rest),
    };
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    let east = zone(text)?;
    let seconds = hour * 3600 + minute * 60 + second - east;
    let at = Timestamp(days * DAY + seconds * SECOND + micros);
    Some(Time { at, digits, is_local: text.is_empty() })
}

/// Parses `.537`: returns the microseconds and the number of digits to keep, and the text after the digits.
fn fraction_of(text: &[u8]) -> Option<((i64, u8), &[u8])> {
    let digits = text.get(1..)?;
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut micros = 0;
    for at in 0..6 {
        let digit = digits.get(at).filter(|_| at < length).map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    let kept = match length {
        0 => return None,
        1..=3 => 3,
        _ => 6,
    };
    Some(((micros, kept), digits.get(length..)?))
}

/// Parses `+0100`, `-03:30`, `+01`, `Z`, `UTC`, nothing (UTC): seconds east of Greenwich.
pub(super) fn zone(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *text {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] => return Some(0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, [h1, h2], [m1, m2]),
        [sign, h1, h2] => (sign, [h1, h2], *b"00"),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let east = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(east),
        b'-' => Some(-east),
        _ => None,
    }
}

fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Parses the English name of a month, cut to three letters.
pub(super) fn month(name: [u8; 3]) -> Option<i64> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Counts days from 1 January 1970 in the Gregorian calendar, with years that begin in March so that the
/// leap day is the last (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
pub(super) fn days_since_1970(&Date { year, month, day }: &Date) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || length < day {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
