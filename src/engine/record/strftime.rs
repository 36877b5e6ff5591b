//! Times as Apache's `%{...}t` prints them: in one piece, or split over several directives of a line.
//!
//! The grammar is that of strftime(3) in the C locale and of `mod_log_config`, section "Custom Log Formats": `sec`,
//! `msec`, `usec` since 1970, `msec_frac`, `usec_frac` of the second, each alone in its braces.

use super::time::{self, Date, Time};
use crate::engine::time::{SECOND, Timestamp};

/// What Apache's plain `%t` prints in brackets.
const CLF: &str = "%d/%b/%Y:%H:%M:%S %z";

/// One component of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
    /// The hour from 1 to 12.
    Hour12,
    /// 0 before noon, 12 after.
    Half,
    Minute,
    Second,
    /// Seconds east of Greenwich.
    Zone,
    EpochSeconds,
    EpochMillis,
    EpochMicros,
    Millis,
    Micros,
}

const N_FIELDS: usize = Field::Micros as usize + 1;

/// How a field is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// Text between the fields.
    Text(Box<[u8]>),
    /// At most so many digits, perhaps with spaces instead of leading zeros.
    Digits(Field, usize),
    /// Two digits of a year: in POSIX, 69 to 99 are in the twentieth century, 00 to 68 in the next (strptime(3)).
    ShortYear,
    /// A month's name; any letters after the first three are the rest of it.
    MonthName,
    /// `AM` or `PM`.
    HalfName,
    /// `+0100`.
    Offset,
    /// The name of a zone.
    ZoneName,
    /// The name of a day, which is redundant.
    Word,
    /// A redundant number of at most so many digits.
    Number(usize),
}

/// A compiled `%{...}t`: the items that it prints, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    items: Box<[Item]>,
    is_end: bool,
}

impl Pattern {
    /// Compiles the text in the braces, empty for a plain `%t`; `None` if a part of it is unknown.
    pub(super) fn compile(form: &str) -> Option<Self> {
        let begin = form.strip_prefix("begin:").unwrap_or(form);
        let (form, is_end) = form.strip_prefix("end:").map_or((begin, false), |form| (form, true));
        let mut items = Vec::new();
        match form {
            "" => expand(CLF, &mut items)?,
            "sec" => items.push(Item::Digits(Field::EpochSeconds, 12)),
            "msec" => items.push(Item::Digits(Field::EpochMillis, 15)),
            "usec" => items.push(Item::Digits(Field::EpochMicros, 18)),
            "msec_frac" => items.push(Item::Digits(Field::Millis, 3)),
            "usec_frac" => items.push(Item::Digits(Field::Micros, 6)),
            form => expand(form, &mut items)?,
        }
        Some(Self { items: items.into(), is_end })
    }

    /// Parses the beginning of `text` and returns the length of the match.
    pub(super) fn read(&self, text: &[u8], moments: &mut Moments) -> Option<usize> {
        let moment = moments.of(self);
        let mut rest = text;
        for item in &*self.items {
            rest = item.read(rest, moment)?;
        }
        Some(text.len() - rest.len())
    }

    /// Marks the components that a line will contain.
    pub(super) fn promise(&self, moments: &mut Moments) {
        let moment = moments.of(self);
        for item in &*self.items {
            match item {
                Item::Digits(field, _) => moment.set(*field, 1),
                Item::ShortYear => moment.set(Field::Year, 1),
                Item::MonthName => moment.set(Field::Month, 1),
                Item::HalfName => moment.set(Field::Half, 0),
                Item::Text(_) | Item::Offset | Item::ZoneName | Item::Word | Item::Number(_) => {}
            }
        }
    }
}

/// Compiles strftime(3) conversions.
fn expand(form: &str, items: &mut Vec<Item>) -> Option<()> {
    let mut chars = form.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            push_text(items, char);
            continue;
        }
        let letter = chars.next()?;
        if let Some(item) = item(letter) {
            items.push(item);
            continue;
        }
        match letter {
            '%' => push_text(items, '%'),
            'n' => push_text(items, '\n'),
            't' => push_text(items, '\t'),
            'D' | 'x' => expand("%m/%d/%y", items)?,
            'F' => expand("%Y-%m-%d", items)?,
            'T' | 'X' => expand("%H:%M:%S", items)?,
            'R' => expand("%H:%M", items)?,
            'r' => expand("%I:%M:%S %p", items)?,
            'c' => expand("%a %b %e %H:%M:%S %Y", items)?,
            _ => return None,
        }
    }
    Some(())
}

fn item(letter: char) -> Option<Item> {
    Some(match letter {
        'Y' => Item::Digits(Field::Year, 4),
        'y' => Item::ShortYear,
        'm' => Item::Digits(Field::Month, 2),
        'b' | 'B' | 'h' => Item::MonthName,
        'd' | 'e' => Item::Digits(Field::Day, 2),
        'j' => Item::Digits(Field::DayOfYear, 3),
        'H' | 'k' => Item::Digits(Field::Hour, 2),
        'I' | 'l' => Item::Digits(Field::Hour12, 2),
        'p' | 'P' => Item::HalfName,
        'M' => Item::Digits(Field::Minute, 2),
        'S' => Item::Digits(Field::Second, 2),
        's' => Item::Digits(Field::EpochSeconds, 12),
        'z' => Item::Offset,
        'Z' => Item::ZoneName,
        'a' | 'A' => Item::Word,
        'u' | 'w' => Item::Number(1),
        'C' | 'g' | 'U' | 'V' | 'W' => Item::Number(2),
        'G' => Item::Number(4),
        _ => return None,
    })
}

fn push_text(items: &mut Vec<Item>, char: char) {
    let mut bytes = [0; 4];
    let bytes = char.encode_utf8(&mut bytes).as_bytes();
    match items.last_mut() {
        Some(Item::Text(text)) => *text = [text, bytes].concat().into(),
        _ => items.push(Item::Text(bytes.into())),
    }
}

impl Item {
    /// Parses the item at the beginning of `text` and returns the rest.
    fn read<'a>(&self, text: &'a [u8], moment: &mut Moment) -> Option<&'a [u8]> {
        let letters = || text.iter().take_while(|b| b.is_ascii_alphabetic() || !b.is_ascii());
        match self {
            Self::Text(literal) => text.strip_prefix(&**literal),
            Self::Digits(field, width) => {
                let (value, rest) = digits(text, *width)?;
                moment.set(*field, value);
                Some(rest)
            }
            Self::ShortYear => {
                let (year, rest) = digits(text, 2)?;
                moment.set(Field::Year, if year < 69 { 2000 + year } else { 1900 + year });
                Some(rest)
            }
            Self::MonthName => {
                moment.set(Field::Month, time::month(*text.first_chunk()?)?);
                text.get(letters().count()..)
            }
            Self::HalfName => {
                let (half, rest) = text.split_at_checked(2)?;
                let is_afternoon = half.eq_ignore_ascii_case(b"pm");
                (is_afternoon || half.eq_ignore_ascii_case(b"am")).then_some(())?;
                moment.set(Field::Half, if is_afternoon { 12 } else { 0 });
                Some(rest)
            }
            Self::Offset => {
                let (offset, rest) = text.split_at_checked(5)?;
                moment.set(Field::Zone, time::zone(offset)?);
                Some(rest)
            }
            Self::ZoneName => {
                let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-');
                let (name, rest) =
                    text.split_at_checked(text.iter().take_while(is_name).count())?;
                if let Some(east) = zone_of(name) {
                    moment.set(Field::Zone, east);
                }
                Some(rest)
            }
            Self::Word => text.get(letters().count()..),
            Self::Number(width) => digits(text, *width).map(|(_, rest)| rest),
        }
    }
}

/// Parses up to `width` digits; spaces may replace leading zeros.
fn digits(text: &[u8], width: usize) -> Option<(i64, &[u8])> {
    let near = text.get(..width).unwrap_or(text);
    let n_spaces = near.iter().take_while(|b| **b == b' ').count();
    let near = near.get(n_spaces..)?;
    let n_digits = near.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = std::str::from_utf8(near.get(..n_digits)?).ok()?.parse().ok()?;
    Some((value, text.get(n_spaces + n_digits..)?))
}

/// Returns the offset of a named zone. Names are unambiguous only where RFC 5322, section 4.3, defines them; tzdata
/// names a zone without a name of its own by its offset.
fn zone_of(name: &[u8]) -> Option<i64> {
    let hours = match name {
        b"UTC" | b"GMT" | b"UT" | b"Z" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return time::zone(name).filter(|_| !name.is_empty()),
    };
    Some(hours * 3600)
}

/// What a line contains of the times when its request began and ended.
#[derive(Debug, Default)]
pub(super) struct Moments {
    begin: Moment,
    end: Moment,
}

impl Moments {
    const fn of(&mut self, pattern: &Pattern) -> &mut Moment {
        if pattern.is_end { &mut self.end } else { &mut self.begin }
    }

    /// Returns whether no component of a time is known.
    pub(super) fn is_empty(&self) -> bool {
        [&self.begin, &self.end].into_iter().all(|moment| moment.0.iter().all(Option::is_none))
    }

    /// Returns the time when the request began, else when it ended, if either is complete.
    pub(super) fn time(&self) -> Option<Time> {
        // Both are printed in the server's zone, so one of them is enough.
        let zone = self.begin.get(Field::Zone).or_else(|| self.end.get(Field::Zone));
        self.begin.time(zone).or_else(|| self.end.time(zone))
    }
}

/// The components of one time.
#[derive(Debug, Default)]
struct Moment([Option<i64>; N_FIELDS]);

impl Moment {
    fn set(&mut self, field: Field, value: i64) {
        if let Some(place) = self.0.get_mut(field as usize) {
            *place = Some(value);
        }
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.0.get(field as usize).copied().flatten()
    }

    /// Combines the components; `zone` is the server's offset in seconds east of Greenwich, if known. Seconds since
    /// 1970 need no zone, so they take precedence over a date.
    fn time(&self, zone: Option<i64>) -> Option<Time> {
        let of = |field, unit| self.get(field)?.checked_mul(unit);
        let date = || (self.civil()? - zone.unwrap_or(0)).checked_mul(SECOND);
        let epoch = (of(Field::EpochMicros, 1).map(|micros| (micros, 6)))
            .or_else(|| Some((of(Field::EpochMillis, 1000)?, 3)))
            .or_else(|| Some((of(Field::EpochSeconds, SECOND)?, 0)));
        let is_local = epoch.is_none() && zone.is_none();
        let (micros, digits) = epoch.or_else(|| Some((date()?, 0)))?;
        let fraction = of(Field::Micros, 1).map(|micros| (micros, 6));
        match fraction.or_else(|| Some((of(Field::Millis, 1000)?, 3))) {
            Some((fraction, finer)) if digits < finer => {
                let second = micros.div_euclid(SECOND) * SECOND;
                Some(Time { at: Timestamp(second + fraction), digits: finer, is_local })
            }
            _ => Some(Time { at: Timestamp(micros), digits, is_local }),
        }
    }

    /// Seconds of the local date and time since the start of 1970 at the same place. A time without seconds is the
    /// minute's first second.
    fn civil(&self) -> Option<i64> {
        let days = self.days()?;
        let hour = match self.get(Field::Hour) {
            Some(hour) => hour,
            None => self.get(Field::Hour12)? % 12 + self.get(Field::Half)?,
        };
        let (minute, second) = (self.get(Field::Minute)?, self.get(Field::Second).unwrap_or(0));
        // A leap second is second 60, as in `time`.
        let is_clock = hour < 24 && minute < 60 && second <= 60;
        is_clock.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// Days from 1970 to the date.
    fn days(&self) -> Option<i64> {
        let year = self.get(Field::Year)?;
        let of = |month, day| time::days_since_1970(&Date { year, month, day });
        match (self.get(Field::Month), self.get(Field::Day), self.get(Field::DayOfYear)) {
            (Some(month), Some(day), _) => of(month, day),
            (_, _, Some(day @ 1..=366)) => Some(of(1, 1)? + day - 1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses the output of several directives, in order.
    fn joined(forms: &[(&str, &str)]) -> Option<String> {
        let mut moments = Moments::default();
        for (form, text) in forms {
            let length = Pattern::compile(form)?.read(text.as_bytes(), &mut moments)?;
            assert_eq!(length, text.len(), "{form}");
        }
        moments.time().map(|time| time.at.to_rfc3339(time.digits))
    }

    #[test]
    fn a_time_in_one_piece_is_read() {
        let cases = [
            ("", "23/Nov/2026:18:10:33 +0100", "2026-11-23T17:10:33Z"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-23T18:10:33+0100", "2026-11-23T17:10:33Z"),
            ("%F %T %Z", "2026-11-23 12:10:33 EST", "2026-11-23T17:10:33Z"),
            ("%F %T %Z", "2026-11-23 14:10:33 -03", "2026-11-23T17:10:33Z"),
            ("%F %T %Z", "2026-11-23 17:10:33 WIB", "2026-11-23T17:10:33Z"),
            ("%D %R", "11/23/26 17:10", "2026-11-23T17:10:00Z"),
            ("%D %T", "11/23/69 17:10:33", "1969-11-23T17:10:33Z"),
            ("%c", "Mon Nov  2 17:10:33 2026", "2026-11-02T17:10:33Z"),
            (
                "%A, %e %B %Y at %l:%M:%S%P",
                "Monday, 23 November 2026 at  5:10:33pm",
                "2026-11-23T17:10:33Z",
            ),
            ("%x %r", "11/23/26 12:10:33 AM", "2026-11-23T00:10:33Z"),
            ("%Y%m%d%H%M%S", "20261123171033", "2026-11-23T17:10:33Z"),
            ("%Y.%j %k:%M", "2026.327  7:10", "2026-11-23T07:10:00Z"),
            ("at %s%%", "at 1795453833%", "2026-11-23T17:10:33Z"),
            ("begin:sec", "1795453833", "2026-11-23T17:10:33Z"),
            ("msec", "1795453833537", "2026-11-23T17:10:33.537Z"),
            ("end:usec", "1795453833537001", "2026-11-23T17:10:33.537001Z"),
            ("%F %T", "2016-12-31 23:59:60", "2017-01-01T00:00:00Z"),
        ];
        for (form, text, expected) in cases {
            assert_eq!(joined(&[(form, text)]).as_deref(), Some(expected), "{form}");
        }
    }

    #[test]
    fn the_parts_of_a_time_are_joined_in_any_order() {
        let parts = [("%d/%b/%Y", "23/Nov/2026"), ("%T", "18:10:33"), ("%z", "+0100")];
        let fractions = [("msec_frac", "037", "037"), ("usec_frac", "037001", "037001")];
        for turn in 0..parts.len() {
            for (form, text, digits) in fractions {
                let mut forms = [parts[0], parts[1], parts[2], (form, text)];
                forms.rotate_left(turn);
                let expected = format!("2026-11-23T17:10:33.{digits}Z");
                assert_eq!(joined(&forms), Some(expected), "{forms:?}");
            }
        }
        let seconds = [("%F %T", "2026-11-23 20:10:33"), ("sec", "1795453833"), ("usec_frac", "5")];
        assert_eq!(joined(&seconds).as_deref(), Some("2026-11-23T17:10:33.000005Z"));
        let finer = [("msec", "1795453833537"), ("usec_frac", "537001")];
        assert_eq!(joined(&finer).as_deref(), Some("2026-11-23T17:10:33.537001Z"));
    }

    #[test]
    fn the_beginning_of_a_request_is_better_than_its_end() {
        let (begin, end) = (("begin:%F %T", "2026-11-23 17:10:33"), ("end:sec", "1795453899"));
        for forms in [[begin, end], [end, begin]] {
            assert_eq!(joined(&forms).as_deref(), Some("2026-11-23T17:10:33Z"));
        }
        let zone = [("%F %T", "2026-11-23 18:10:33"), ("end:", "23/Nov/2026:18:10:39 +0100")];
        assert_eq!(joined(&zone).as_deref(), Some("2026-11-23T17:10:33Z"));
        let part = [("%T", "17:10:33"), end];
        assert_eq!(joined(&part).as_deref(), Some("2026-11-23T17:11:39Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for (form, text) in [
            ("%F %T", "2026-02-30 17:10:33"),
            ("%F %T", "2026-11-23 24:10:33"),
            ("%F %T", "2026-11-23 17:10"),
            ("%F", "2026-11-23"),
            ("%I:%M %F", "05:10 2026-11-23"),
            ("%d/%b/%Y %T", "23/Okt/2026 17:10:33"),
            ("%F %T %z", "2026-11-23 17:10:33 0100"),
            ("%F %Q", "2026-11-23 x"),
            ("%F %", "2026-11-23 "),
            ("msec_frac", "537"),
            ("sec", ""),
        ] {
            assert_eq!(joined(&[(form, text)]), None, "{form}: {text}");
        }
    }
}
