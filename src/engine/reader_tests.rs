//! Tests of reading: cuts, clients behind proxies, impossible times.

use proptest::prelude::*;

use super::*;
use crate::engine::secret::SealKey;
use crate::engine::time::DAY;
use crate::engine::token::Names;

fn reader() -> Reader {
    let names = Names::default();
    let source = Source {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Source::of(Format::preset("auto").unwrap())
    };
    let sealer = Sealer::new(SealKey::new(b"key"), &names);
    Reader::new(Finder::new(&names), sealer, vec![source])
}

fn line() -> impl Strategy<Value = String> {
    let combined = (0..60u32, 0..3u8).prop_map(|(second, token)| {
        format!(
            "192.0.2.{token} - - [02/Mar/2026:08:00:{second:02} +0000] \"GET /v1/items HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_{token}123456789abcdef\"\n"
        )
    });
    let json = (0..60u32).prop_map(|second| {
        format!("{{\"time\":\"2026-03-02T08:00:{second:02}Z\",\"remote_addr\":\"192.0.2.9\",\"request\":\"GET /?api_key=exk_0123456789abcdef HTTP/1.1\",\"status\":200}}\r\n")
    });
    prop_oneof![combined, json, "[ -~]{0,40}\n"]
}

proptest! {
    #[test]
    fn cuts_between_lines_change_nothing(
        lines in prop::collection::vec(line(), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let reader = reader();
        let batch = |from: usize, lines: &[String]| Batch {
            from: from as u64,
            bytes: lines.concat().into_bytes(),
            ..Batch::default()
        };
        let whole = reader.read(&batch(0, &lines));
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(lines.len())).collect();
        at.extend([0, lines.len()]);
        at.sort_unstable();
        let (mut usages, mut tally, mut offset) = (Vec::new(), Tally::default(), 0);
        for pair in at.windows(2) {
            let part = &lines[pair[0]..pair[1]];
            let reading = reader.read(&batch(offset, part));
            offset += part.concat().len();
            usages.extend(reading.usages);
            tally.add(&reading.tally);
        }
        prop_assert_eq!(&usages, &whole.usages);
        prop_assert_eq!(tally, whole.tally);
        prop_assert_eq!(tally.bytes(), offset as u64);
    }
}

#[test]
fn a_log_without_a_peer_has_the_client_beyond_the_sites_own_hops() {
    let line = br#"[2026-03-02T08:00:00.000Z] "GET / HTTP/1.1" 200 - 0 5 1 1 "203.0.113.9, 192.168.7.7" "c/1" "id" "example.org" "10.0.0.5:80""#;
    let mut source = Source::of(Format::preset("auto").unwrap());
    let record =
        |source: &Source| source.record(line, &Columns::default(), &mut Reach::default()).unwrap();
    let client = |source: &Source| record(source).unwrap().client;
    assert_eq!(client(&source), Some("203.0.113.9".parse().unwrap()));
    // Once trusted proxies are configured, nothing else is trusted.
    source.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(client(&source), Some("192.168.7.7".parse().unwrap()));
}

#[test]
fn the_client_behind_a_trusted_proxy_takes_its_place() {
    let line = br#"{"time":"2026-03-02T08:00:00Z","remote_addr":"10.1.2.3","http_x_forwarded_for":"192.0.2.7, 10.9.9.9","request":"GET / HTTP/1.1","status":200}"#;
    let reader = reader();
    let record = reader.sources()[0]
        .record(line, &Columns::default(), &mut Reach::default())
        .unwrap()
        .unwrap();
    assert_eq!(record.client, Some("192.0.2.7".parse().unwrap()));
}

#[test]
fn a_time_of_more_than_a_day_ahead_is_that_of_its_coming_where_there_is_a_clock() {
    let line = |ahead: &str| {
        format!(
            "192.0.2.7 - - [{ahead}] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_0123456789abcdef\"\n"
        )
    };
    let now: Timestamp =
        "2026-03-02T08:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
    let cases = [
        ("02/Mar/2026:08:00:00 +0000", "2026-03-02T08:00:00Z"),
        ("03/Mar/2026:08:00:00 +0000", "2026-03-03T08:00:00Z"),
        ("03/Mar/2026:08:00:01 +0000", "2026-03-02T08:00:00Z"),
        ("31/Dec/9999:23:59:60 +0000", "2026-03-02T08:00:00Z"),
        ("01/Mar/2026:23:59:60 +0000", "2026-03-02T00:00:00Z"),
        ("01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"),
    ];
    let bytes = cases.map(|(said, _)| line(said)).concat().into_bytes();
    let batch = Batch { bytes, ..Batch::default() };
    let reading = reader().read_now(&batch, now);
    let times: Vec<_> = reading.usages.iter().map(|usage| usage.time.to_rfc3339(0)).collect();
    assert_eq!(times, cases.map(|(_, believed)| believed));
    assert_eq!((reading.tally.parsed, reading.bad_times.lines), (6, 2));
    assert_eq!(reading.bad_times.newest.unwrap().to_rfc3339(0), "+10000-01-01T00:00:00Z");
    assert!(reading.pulse.newest().unwrap().since(now) <= DAY);
    let replayed = reader().read(&batch);
    assert_eq!(replayed.bad_times, BadTimes::default());
    assert_eq!(replayed.usages[2].time.to_rfc3339(0), "2026-03-03T08:00:01Z");
}

#[test]
fn cuts_in_the_doubled_hour_change_nothing() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let names = Names::default();
    let source = Source { zone: Some(zone), ..Source::of(Format::preset("auto").unwrap()) };
    let sealer = Sealer::new(SealKey::new(b"key"), &names);
    let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
    let lines: Vec<String> = ["01:50:00", "02:10:00", "02:59:00", "02:01:00", "02:20:00", "02:59:00", "03:00:00"]
        .map(|clock| format!("time=2026-10-25T{clock} method=GET path=/ status=200 authorization=\"Bearer exk_0123456789abcdef\"\n"))
        .to_vec();
    let times = |cuts: &[usize]| {
        let (mut reach, mut times) = (Reach::default(), Vec::new());
        for cut in cuts.windows(2) {
            let bytes = lines[cut[0]..cut[1]].concat().into_bytes();
            let reading = reader.read(&Batch { bytes, reach, ..Batch::default() });
            reach = reading.reach;
            times.extend(reading.usages.iter().map(|usage| usage.time.to_rfc3339(0)));
        }
        times
    };
    let expected =
        ["24T23:50", "25T00:10", "25T00:59", "25T01:01", "25T01:20", "25T01:59", "25T02:00"]
            .map(|time| format!("2026-10-{time}:00Z"));
    assert_eq!(times(&[0, 7]), expected);
    for cut in 1..7 {
        assert_eq!(times(&[0, cut, 7]), expected, "{cut}");
    }
}

#[test]
fn the_zone_that_a_lines_envelope_names_was_not_used() {
    let haproxy = |clock: &str| {
        format!(
            "192.0.2.1:58430 [27/Nov/2026:{clock}.100] web~ api/a 0/0/1/2/3 200 5 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""
        )
    };
    let json = |clock: &str| format!(r#"{{"time":"2026-11-27 {clock}","uri":"/","status":200}}"#);
    let iso = |clock: &str| {
        format!("2026-11-27T09:54:00.123456+01:00 lb1 haproxy[1]: {}", haproxy(clock))
    };
    let rfc5424 =
        |clock: &str| format!("<134>1 2026-11-27T08:54:00Z lb1 haproxy 1 - - {}", haproxy(clock));
    let cri = |clock: &str| format!("2026-11-27T08:54:00.5Z stdout F {}", json(clock));
    let docker = |clock: &str| {
        serde_json::json!({"log": haproxy(clock), "stream": "stdout", "time": "2026-11-27T08:54:00.5Z"}).to_string()
    };
    let journal = |clock: &str| {
        serde_json::json!({"MESSAGE": haproxy(clock), "__REALTIME_TIMESTAMP": "1795769640500000"})
            .to_string()
    };
    let shipped = |clock: &str| {
        serde_json::json!({"message": haproxy(clock), "agent": {"type": "filebeat"}, "@timestamp": "2026-11-27T08:54:00.5Z"}).to_string()
    };
    let bsd = |clock: &str| format!("Nov 27 09:54:00 lb1 haproxy[1]: {}", haproxy(clock));
    let time_by = |source: &Source, line: &str| {
        let record = source.record(line.as_bytes(), &Columns::default(), &mut Reach::default());
        record.unwrap().unwrap().time.unwrap().to_rfc3339(0)
    };
    let auto = Source::of(Format::preset("auto").unwrap());
    let time = |line: &str| time_by(&auto, line);
    for (shown, utc) in [
        // Berlin, New York, Kolkata, UTC; and a request that took a minute.
        ("09:54:00", "08:54:00"),
        ("03:54:00", "08:54:00"),
        ("14:24:00", "08:54:00"),
        ("08:54:00", "08:54:00"),
        ("09:53:00", "08:53:00"),
        // Requests that took twelve minutes, and twenty: hours off would be too late to be judged.
        ("03:42:00", "08:42:00"),
        ("09:34:00", "08:49:00"),
    ] {
        let utc = format!("2026-11-27T{utc}Z");
        for line in [iso(shown), rfc5424(shown), cri(shown), docker(shown), journal(shown)] {
            assert_eq!(time(&line), utc, "{line}");
        }
        // A shipper may come long after, and an envelope without a zone knows no better.
        for line in [shipped(shown), bsd(shown), haproxy(shown)] {
            assert_eq!(time(&line), format!("2026-11-27T{shown}Z"), "{line}");
        }
    }
    // What is configured counts, and so does what the line says.
    for zone in [Zone::named("UTC"), Some(Zone::Fixed(0))] {
        let source = Source { zone, ..Source::of(Format::preset("auto").unwrap()) };
        assert_eq!(time_by(&source, &iso("09:54:00")), "2026-11-27T09:54:00Z");
    }
    let zoned = "2026-11-27T08:54:00.5Z stdout F {\"time\":\"2026-11-27T09:54:00Z\",\"uri\":\"/\",\"status\":200}";
    assert_eq!(time(zoned), "2026-11-27T09:54:00Z");
}

#[test]
fn a_time_without_a_zone_is_of_the_sources_clock() {
    let hour = 3600;
    let cases = [
        (
            "2026/03/02 09:00:00 [error] 7#7: *1 open() \"/x\" failed (2: No such file), client: 192.0.2.7, server: _, request: \"GET /?api_key=x HTTP/1.1\"",
            8,
        ),
        ("time=2026-03-02T09:00:00 method=GET path=/ status=200", 8),
        ("date=2026-03-02 time=09:00:00 method=GET path=/ status=200", 8),
        ("{\"time\":\"2026-03-02 09:00:00,5\",\"request\":\"GET / HTTP/1.1\",\"status\":200}", 8),
        ("2026-03-02 09:00:00,537 {\"method\":\"GET\",\"path\":\"/\",\"status\":200}", 8),
        ("time=2026-03-02T09:00:00Z method=GET path=/ status=200", 9),
        ("time=2026-03-02T09:00:00-02:00 method=GET path=/ status=200", 11),
        ("ts=1772442000 method=GET path=/ status=200", 9),
    ];
    let auto = || Source::of(Format::preset("auto").unwrap());
    let (utc, berlin) = (auto(), Source { zone: Some(Zone::Fixed(hour)), ..auto() });
    for (line, expected) in cases {
        let at = |source: &Source| {
            let record =
                source.record(line.as_bytes(), &Columns::default(), &mut Reach::default()).unwrap();
            record.unwrap().time.unwrap().hour_of_day()
        };
        assert_eq!(at(&berlin), expected, "{line}");
        assert_eq!(at(&utc), if expected == 8 { 9 } else { expected }, "{line}");
    }
    // W3C's times are in UTC anyway.
    for (clock, expected) in [("time", 9), ("time-local", 8)] {
        let mut columns = Columns::default();
        columns.note(format!("#Fields: date {clock} c-ip cs-uri-stem sc-status").as_bytes());
        let record = berlin
            .record(b"2026-03-02 09:00:00 192.0.2.7 / 200", &columns, &mut Reach::default())
            .unwrap();
        assert_eq!(record.unwrap().time.unwrap().hour_of_day(), expected, "{clock}");
    }
}
