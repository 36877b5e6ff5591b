//! Durations, sizes, times of day and mail servers in the form in which people write them.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{NaiveTime, Timelike};

use crate::engine::smtp::{Security, Server};
use crate::engine::zone::Zone;

/// Why a text is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What it should be.
    pub expected: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Wrong {
    pub(super) fn new(expected: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { expected: expected.into(), hint: hint.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl std::error::Error for Wrong {}

/// Units of time and their milliseconds, longest first.
const TIME_UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Common spellings of units, and ours. Months and years have none, since they differ in length.
const OTHER_TIME_UNITS: [(&[&str], &str); 6] = [
    (&["min", "mins", "minute", "minutes", "M"], "m"),
    (&["sec", "secs", "second", "seconds", "S"], "s"),
    (&["hr", "hrs", "hour", "hours", "H"], "h"),
    (&["day", "days", "D"], "d"),
    (&["week", "weeks", "W"], "w"),
    (&["msec", "millis", "milliseconds"], "ms"),
];

const DURATION: &str = "a duration such as \"200ms\", \"10m\", \"36h\", \"400d\"";

/// Parses a duration: whole numbers with a unit of `ms`, `s`, `m`, `h`, `d` or `w`, such as `10m` or `1h30m`.
///
/// # Errors
/// Reports what was expected, with a hint if the intended meaning can be guessed.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| !c.is_ascii_digit());
        if digits.is_empty() {
            return Err(Wrong::new(DURATION, ""));
        }
        let millis = time_unit(digits, unit)?;
        let part = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(millis));
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.ok_or_else(|| Wrong::new("a duration of less than a million years", ""))?;
        rest = after;
    }
    if text.is_empty() { Err(Wrong::new(DURATION, "")) } else { Ok(Duration::from_millis(total)) }
}

fn time_unit(digits: &str, unit: &str) -> Result<u64, Wrong> {
    if let Some((_, millis)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) {
        return Ok(*millis);
    }
    let hint = match unit.trim() {
        "" => {
            format!(
                "a number needs a unit: \"{digits}s\", \"{digits}m\", \"{digits}h\" or \"{digits}d\""
            )
        }
        word if word.starts_with("mo") || word.starts_with('y') => {
            "months and years differ in length: count in days (d) or weeks (w)".to_owned()
        }
        "." | "," => "only whole numbers: \"90m\" for one and a half hours".to_owned(),
        word => {
            let exact = TIME_UNITS.iter().find(|(name, _)| *name == word).map(|(name, _)| *name);
            let other = OTHER_TIME_UNITS.iter().find(|(names, _)| names.contains(&word));
            let meant = exact.or_else(|| other.map(|(_, name)| *name));
            meant.map(|unit| format!("write \"{digits}{unit}\"")).unwrap_or_default()
        }
    };
    Err(Wrong::new(DURATION, hint))
}

/// Formats a duration in the form that [`duration`] parses, in the longest units that fit: `1w`, `90m`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = |unit: u64| millis.is_multiple_of(u128::from(unit));
    let (name, unit) = TIME_UNITS
        .into_iter()
        // Weeks are only parsed: 400 days are easier to compare with 90.
        .find(|(name, unit)| *name != "w" && millis != 0 && fits(*unit))
        .unwrap_or(("s", 1000));
    format!("{}{name}", millis / u128::from(unit))
}

const SIZE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SIZE: &str = "a size such as \"64KiB\", \"256MiB\", \"1GiB\"";

/// Parses a size: a whole number with a unit of `B`, `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// Reports what was expected, with a hint if the intended meaning can be guessed.
pub fn size(text: &str) -> Result<u64, Wrong> {
    let (digits, unit) = split(text, |c| c.is_ascii_digit());
    if digits.is_empty() {
        return Err(Wrong::new(SIZE, ""));
    }
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let Some((_, bytes)) = known else {
        let letter = unit.trim().chars().next().map(|c| c.to_ascii_uppercase());
        let meant = match letter {
            Some('K') => "KiB",
            Some('M') => "MiB",
            Some('G') => "GiB",
            Some('B') => "B",
            None => return Err(Wrong::new(SIZE, format!("a number needs a unit: \"{digits}B\""))),
            Some(_) => return Err(Wrong::new(SIZE, "")),
        };
        return Err(Wrong::new(SIZE, format!("write \"{digits}{meant}\"")));
    };
    let total = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(*bytes));
    total.ok_or_else(|| Wrong::new("a size of less than 16 EiB", ""))
}

/// Formats a size in the form that [`size`] parses, in the largest unit that fits.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let fits = |unit: u64| bytes != 0 && bytes.is_multiple_of(unit);
    let (name, unit) = SIZE_UNITS.into_iter().find(|(_, unit)| fits(*unit)).unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

/// Parses a time of day such as `07:30`, two digits each.
pub(super) fn time_of_day(text: &str) -> Result<NaiveTime, Wrong> {
    let wrong = || Wrong::new("a time of day in UTC from \"00:00\" to \"23:59\"", "");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let two = |text: &str| {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let time = two(hour).zip(two(minute)).and_then(|(h, m)| NaiveTime::from_hms_opt(h, m, 0));
    time.ok_or_else(wrong)
}

/// Parses a clock: `UTC`, its offset from UTC (`+01:00`, `-03:30`), or its place (`Europe/Berlin`).
pub(super) fn zone(text: &str) -> Result<Zone, Wrong> {
    const EXPECTED: &str = "a zone of the IANA database such as \"Europe/Berlin\", \"UTC\", or what it is ahead of UTC such as \"+01:00\"";
    if text == "UTC" || text == "Z" {
        return Ok(Zone::default());
    }
    let zone = offset(text).map(Zone::Fixed).or_else(|| Zone::named(text));
    zone.ok_or_else(|| {
        let meant = zone_like(text).map(|name| format!("did you mean \"{name}\"?"));
        Wrong::new(EXPECTED, meant.unwrap_or_default())
    })
}

/// Parses hours and minutes ahead of UTC; returns seconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let ahead = time_of_day(rest).ok()?.num_seconds_from_midnight();
    // Kiribati is furthest ahead.
    let is_on_earth = ahead <= 14 * 3600;
    is_on_earth.then_some(sign * i64::from(ahead))
}

/// Returns the zone that is most similar to a misspelt name, as a whole or by its city, if any is similar enough.
fn zone_like(text: &str) -> Option<&'static str> {
    /// Below this, Jaro-Winkler matches words that merely share letters; there are many city names.
    const LIKE: f64 = 0.85;
    let written = text.to_lowercase();
    let likeness = |name: &'static str| {
        let name = name.to_lowercase();
        let city = name.rsplit('/').next().unwrap_or_default();
        strsim::jaro_winkler(&written, &name).max(strsim::jaro_winkler(&written, city))
    };
    let best = Zone::names().map(|name| (likeness(name), name));
    let best = best.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(likeness, _)| LIKE <= *likeness).map(|(_, name)| name)
}

const SERVER: &str =
    "\"smtps://HOST\" (TLS) or \"smtp://HOST\" (STARTTLS), with \":PORT\" if needed";

/// Parses a mail server's URL.
pub(super) fn server(text: &str) -> Result<Server, Wrong> {
    let wrong = |hint: &str| Wrong::new(SERVER, hint);
    let Some((scheme, rest)) = text.split_once("://") else {
        let is_name = is_host(text);
        let hint = format!("put a scheme before it: \"smtps://{text}\"");
        return Err(wrong(if is_name { &hint } else { "" }));
    };
    let (security, default_port) = match scheme {
        "smtps" => (Security::Tls, 465),
        "smtp" => (Security::StartTls, 587),
        "smtp+insecure" => (Security::Plain, 25),
        _ => return Err(wrong("")),
    };
    if rest.contains('@') {
        return Err(wrong("the user goes into `user`, the password into a file: `password_file`"));
    }
    let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest))
        .ok_or_else(|| wrong("an IPv6 address stands in brackets: \"smtps://[2001:db8::1]\""))?;
    if !is_host(host) {
        return Err(wrong("nothing but a host and a port can follow the scheme"));
    }
    let port = match port {
        None => default_port,
        Some(port) => {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0);
            port.ok_or_else(|| wrong("a port is a number from 1 to 65535"))?
        }
    };
    let server = Server { security, host: host.to_owned(), port };
    if security == Security::Plain && !server.is_loopback() {
        let hint = "unencrypted mail goes to this machine only: use smtps:// or smtp://";
        return Err(Wrong::new("\"localhost\" or a loopback address after smtp+insecure://", hint));
    }
    Ok(server)
}

fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return if after.is_empty() {
            Some((host, None))
        } else {
            Some((host, Some(after.strip_prefix(':')?)))
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
    }
}

fn is_host(host: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.chars().all(is_name))
}

/// Splits before the first character for which `belongs` is false.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units() {
        let secs = |text| duration(text).unwrap().as_secs();
        assert_eq!(secs("10m"), 600);
        assert_eq!(secs("36h"), 129_600);
        assert_eq!(secs("400d"), 34_560_000);
        assert_eq!(secs("1w"), 604_800);
        assert_eq!(secs("1h30m"), 5400);
        assert_eq!(secs("0s"), 0);
        assert_eq!(duration("200ms").unwrap().as_millis(), 200);
    }

    #[test]
    fn wrong_durations_say_what_was_meant() {
        let hint = |text| duration(text).unwrap_err().hint;
        assert_eq!(hint("10 minutes"), "write \"10m\"");
        assert_eq!(hint("10 m"), "write \"10m\"");
        assert_eq!(hint("3hours"), "write \"3h\"");
        assert!(hint("10").starts_with("a number needs a unit"));
        assert!(hint("1h30").starts_with("a number needs a unit"));
        assert!(hint("6months").contains("days"));
        assert!(hint("1.5h").contains("whole"));
        for text in ["", "h", "-1h", "ten", "1h-", "99999999999999999999d", "9999999999999999w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("256MiB"), Ok(268_435_456));
        assert_eq!(size("7B"), Ok(7));
        let hint = |text| size(text).unwrap_err().hint;
        assert_eq!(hint("64KB"), "write \"64KiB\"");
        assert_eq!(hint("64 k"), "write \"64KiB\"");
        assert_eq!(hint("64"), "a number needs a unit: \"64B\"");
        for text in ["", "KiB", "1.5MiB", "1XiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_day_have_two_digits_each() {
        assert_eq!(time_of_day("07:30"), Ok(NaiveTime::from_hms_opt(7, 30, 0).unwrap()));
        assert!(time_of_day("23:59").is_ok() && time_of_day("00:00").is_ok());
        for text in ["", "7:30", "24:00", "07:60", "07:30:00", "0730", "+7:30", "07:3 "] {
            assert!(time_of_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_zone_is_an_offset_or_a_name() {
        for (text, seconds) in
            [("UTC", 0), ("Z", 0), ("+00:00", 0), ("+01:00", 3600), ("-03:30", -12_600)]
        {
            assert_eq!(zone(text), Ok(Zone::Fixed(seconds)), "{text}");
        }
        for name in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "CET", "Etc/UTC"] {
            assert_eq!(zone(name).ok(), Zone::named(name), "{name}");
        }
        for text in ["", "+1:00", "+0100", "01:00", "+14:01", "utc+1", "é", "+"] {
            assert!(zone(text).is_err(), "{text}");
        }
        for (text, meant) in [
            ("Europe/Berlyn", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("Berlin", "Europe/Berlin"),
            ("new york", "America/New_York"),
            ("America/NewYork", "America/New_York"),
        ] {
            assert_eq!(zone(text).unwrap_err().hint, format!("did you mean \"{meant}\"?"));
        }
        assert_eq!(zone("nowhere at all").unwrap_err().hint, "");
    }

    #[test]
    fn mail_servers_are_urls() {
        let show = |text| server(text).map(|server| server.to_string());
        assert_eq!(show("smtps://mail.example.org"), Ok("smtps://mail.example.org:465".into()));
        assert_eq!(show("smtp://mail.example.org/"), Ok("smtp://mail.example.org:587".into()));
        assert_eq!(show("smtp://[2001:db8::1]:25"), Ok("smtp://[2001:db8::1]:25".into()));
        assert_eq!(show("smtp+insecure://localhost"), Ok("smtp+insecure://localhost:25".into()));
        assert_eq!(show("smtp+insecure://[::1]:2525"), Ok("smtp+insecure://[::1]:2525".into()));
        assert!(show("smtp+insecure://127.0.0.9:2525").is_ok());
    }

    #[test]
    fn mail_in_clear_stays_on_this_machine() {
        for text in [
            "smtp+insecure://mail.example.org",
            "smtp+insecure://192.0.2.1",
            "smtp+insecure://localhost.example.org",
        ] {
            assert!(server(text).unwrap_err().hint.contains("this machine"), "{text}");
        }
    }

    #[test]
    fn wrong_mail_servers_say_what_was_meant() {
        let hint = |text| server(text).unwrap_err().hint;
        assert_eq!(
            hint("mail.example.org"),
            "put a scheme before it: \"smtps://mail.example.org\""
        );
        assert!(hint("smtps://me:secret@mail.example.org").contains("password_file"));
        assert!(hint("smtps://2001:db8::1").contains("brackets"));
        assert!(hint("smtps://mail.example.org:0").contains("port"));
        assert!(hint("smtps://mail.example.org:99999").contains("port"));
        for text in [
            "",
            "smtps://",
            "smtps://:465",
            "http://a",
            "smtps://a/b",
            "smtps://a b",
            "smtps://[::1",
            "smtps://[::1]x",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}|[0-9]{1,21}[a-zA-Z]{0,3}") {
            drop((duration(&text), size(&text), time_of_day(&text), server(&text)));
        }

        #[test]
        fn what_is_shown_is_read_again(n in 0..u64::MAX / 2) {
            let span = Duration::from_millis(n);
            prop_assert_eq!(duration(&show_duration(span)), Ok(span));
            prop_assert_eq!(size(&show_size(n)), Ok(n));
        }
    }
}
