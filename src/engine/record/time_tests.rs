//! Times of every shape that is read, compared with chrono's reading.

use chrono::{DateTime, FixedOffset, TimeZone};
use proptest::prelude::*;

use super::*;

fn shown(time: Option<Time>) -> Option<String> {
    time.map(|t| t.at.to_rfc3339(t.digits))
}

#[test]
fn times_of_every_shape_are_read() {
    let cases: &[(&str, Option<&str>)] = &[
        ("10/Oct/2000:13:55:36 -0700", Some("2000-10-10T20:55:36Z")),
        ("1/Apr/2014:00:00:01 -0500", Some("2014-04-01T05:00:01Z")),
        ("22/Jan/2019:03:58:51 +0330", Some("2019-01-22T00:28:51Z")),
        ("23/Nov/2026:17:11:40.346", Some("2026-11-23T17:11:40.346Z")),
        ("23/Nov/2026:17:11:40.346 +0100", Some("2026-11-23T16:11:40.346Z")),
        ("29/Feb/2024:23:59:59 +0000", Some("2024-02-29T23:59:59Z")),
        ("31/Dec/2016:23:59:60 +0000", Some("2017-01-01T00:00:00Z")),
        ("2026-11-23T17:10:33+00:00", Some("2026-11-23T17:10:33Z")),
        ("2026-11-23T17:10:33Z", Some("2026-11-23T17:10:33Z")),
        ("2026-11-23 17:10:33,5", Some("2026-11-23T17:10:33.500Z")),
        ("2021-11-12T16:59:45+0000", Some("2021-11-12T16:59:45Z")),
        ("2026-01-14T10:45:33.759014877+01:00", Some("2026-01-14T09:45:33.759014Z")),
        ("1795453833", Some("2026-11-23T17:10:33Z")),
        ("1795453833.537", Some("2026-11-23T17:10:33.537Z")),
        ("1795453833537", Some("2026-11-23T17:10:33.537Z")),
        ("1795453833537001", Some("2026-11-23T17:10:33.537001Z")),
        ("1795453833537001999", Some("2026-11-23T17:10:33.537001Z")),
        ("", None),
        ("-", None),
        ("1795453833.", None),
        ("32/Oct/2000:13:55:36 -0700", None),
        ("00/Oct/2000:13:55:36 -0700", None),
        ("31/Apr/2000:13:55:36 -0700", None),
        ("29/Feb/2023:13:55:36 -0700", None),
        ("10/Okt/2000:13:55:36 -0700", None),
        ("10/Oct/2000:24:00:00 -0700", None),
        ("10/Oct/2000:13:60:00 -0700", None),
        ("10/Oct/2000:13:55:61 -0700", None),
        ("10/Oct/2000:13:55:36 -07", Some("2000-10-10T20:55:36Z")),
        ("10/Oct/2000:13:55:36 -0760", None),
        ("10/Oct/2000:13:55:36 0700", None),
        ("10/Oct/2000:13:55", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-23T17:10:33.Z", None),
        ("2026-11-23", None),
        ("[23/Nov/2026:17:10:33 +0000]", Some("2026-11-23T17:10:33Z")),
        ("2026/11/23 17:10:33", Some("2026-11-23T17:10:33Z")),
        ("2026/11/23 17:10:33.537", Some("2026-11-23T17:10:33.537Z")),
        ("2026/13/23 17:10:33", None),
        ("2026/11/23", None),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(read(text.as_bytes())).as_deref(), *expected, "{text}");
    }
}

#[test]
fn cpanels_month_stands_first() {
    let read = |text: &str| shown(cpanel(text.as_bytes()));
    assert_eq!(read("11/23/2026:17:10:33 -0000").as_deref(), Some("2026-11-23T17:10:33Z"));
    for text in ["23/11/2026:17:10:33 -0000", "11/23/2026:17:10:33 +0000", "11/23/2026", ""] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_c_librarys_time_is_read() {
    let cases = [
        ("Mon Nov 23 17:10:33 2026", Some("2026-11-23T17:10:33Z")),
        ("Sun Nov  1 17:10:33.537001 2026", Some("2026-11-01T17:10:33.537001Z")),
        ("Mon Nov 23 17:10:33.5 2026", Some("2026-11-23T17:10:33.500Z")),
        ("Mon Nov 23 17:10:33", None),
        ("Mon Nov 31 17:10:33 2026", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(asctime(text.as_bytes())).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_syslog_time_is_fifteen_bytes() {
    assert_eq!(syslog_length(b"Oct  1 22:14:15 host"), Some(15));
    assert_eq!(syslog_length(b"Oct 11 22:14:15"), Some(15));
    for text in ["Oct 41 22:14:15 h", "Okt 11 22:14:15 h", "Oct 11 24:14:15 h", "Oct 11 22:14"] {
        assert_eq!(syslog_length(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn the_year_of_a_syslog_time_is_that_of_the_file() {
    let ns =
        |text: &str| text.parse::<DateTime<FixedOffset>>().unwrap().timestamp_nanos_opt().unwrap();
    let cases = [
        ("Mar  2 08:00:00", "2026-03-02T08:00:01Z", Some("2026-03-02T08:00:00Z")),
        ("Mar  2 08:00:00", "2026-03-01T08:00:01Z", Some("2026-03-02T08:00:00Z")),
        ("Mar  2 08:00:00", "2026-03-01T07:00:00Z", Some("2025-03-02T08:00:00Z")),
        ("Dec 31 23:59:59", "2026-01-01T00:00:01Z", Some("2025-12-31T23:59:59Z")),
        ("Jan  1 00:30:00", "2025-12-31T23:30:00Z", Some("2026-01-01T00:30:00Z")),
        ("Feb 29 08:00:00", "2024-03-02T08:00:01Z", Some("2024-02-29T08:00:00Z")),
        ("Feb 29 08:00:00", "2026-03-02T08:00:01Z", None),
    ];
    for (text, written, expected) in cases {
        let time = syslog(format!("{text} host").as_bytes(), ns(written));
        assert_eq!(shown(time).as_deref(), expected, "{text} {written}");
        assert!(time.is_none_or(|time| time.is_local));
    }
    assert_eq!(syslog(b"Mar  2 08:00:00", 0), None);
}

proptest! {
    #[test]
    fn agrees_with_chrono(seconds in 0i64..32_503_680_000, micros in 0i64..1_000_000, east in -14 * 60..=14 * 60) {
        let zone = FixedOffset::east_opt(east * 60).unwrap();
        let time: DateTime<FixedOffset> = zone.timestamp_opt(seconds, u32::try_from(micros).unwrap() * 1000).unwrap();
        let whole = Time { at: Timestamp::from_seconds(seconds), digits: 0, is_local: false };
        let fine = Time { at: Timestamp(seconds * SECOND + micros), digits: 6, is_local: false };
        let print = |form: &str| time.format(form).to_string().into_bytes();
        prop_assert_eq!(clf(&print("%d/%b/%Y:%H:%M:%S %z")), Some(whole));
        prop_assert_eq!(iso(&print("%Y-%m-%dT%H:%M:%S%:z")), Some(whole));
        prop_assert_eq!(iso(&print("%Y-%m-%dT%H:%M:%S%.6f%z")), Some(fine));
        prop_assert_eq!(read(&print("%s%.6f")), Some(fine));
        let utc = time.to_utc();
        prop_assert_eq!(asctime(utc.format("%a %b %e %H:%M:%S %Y").to_string().as_bytes()).map(Time::in_utc), Some(whole));
    }

    #[test]
    fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..48)) {
        if let Some(time) = clf(&text).or(iso(&text)).or(epoch(&text)) {
            prop_assert_eq!(read(&text), Some(time));
        }
        prop_assert!(asctime(&text).is_none() || text.len() > 23);
        prop_assert!(syslog_length(&text).is_none_or(|length| length <= text.len()));
    }
}
