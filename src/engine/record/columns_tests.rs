//! Logs whose columns are named by an earlier line, and lines that have lost it.

use proptest::prelude::*;

use super::*;
use crate::engine::record::{Format, Text};

/// Parses the lines of a log; `None` for those without a record.
fn read(log: &str) -> Vec<Option<String>> {
    let format = Format::preset("auto").unwrap();
    let mut columns = Columns::default();
    log.lines()
        .map(|line| {
            columns.note(line.as_bytes());
            let record = format.parse_under(line.as_bytes(), &columns).ok()?;
            let text = |text: &Option<Text<'_>>| {
                text.as_ref().map_or("-".into(), |t| String::from_utf8_lossy(t).into_owned())
            };
            Some(format!(
                "{} {} {} {} {} {} {}",
                record.time.map_or("-".into(), |time| time.to_rfc3339(record.time_digits)),
                record.client.map_or("-".into(), |client| client.to_string()),
                text(&record.method),
                text(&record.target),
                record.status.unwrap_or_default(),
                record.bytes.map_or("-".into(), |bytes| bytes.to_string()),
                text(&record.agent),
            ))
        })
        .collect()
}

#[test]
fn columns_named_in_an_envelope_were_not_obeyed() {
    let fields = "#Fields: date time cs-method cs-uri-stem c-ip sc-status";
    let line = "2026-03-02 08:00:00 GET /a 192.0.2.7 200";
    let expected = Some("2026-03-02T08:00:00Z 192.0.2.7 GET /a 200 - -".to_owned());
    for head in [
        "<190>Mar  2 08:00:00 host iis: ",
        "<165>1 2026-03-02T08:00:00.5Z host iis 7 - - ",
        "2026-03-02T08:00:00.5Z stdout F ",
    ] {
        let log = format!("{head}{fields}\n{head}{line}\n");
        assert_eq!(read(&log), [None, expected.clone()], "{head}");
        let format = Format::preset("auto").unwrap();
        assert!(format.is_silent(log.lines().next().unwrap().as_bytes()), "{head}");
        let mut stored = Directives::default();
        stored.note_all(log.as_bytes());
        assert_eq!(stored.fields(), fields.as_bytes(), "{head}");
    }
    let docker = |line: &str| {
        format!(
            "{{\"log\":\"{line}\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-02T08:00:00Z\"}}\n"
        )
    };
    assert_eq!(read(&(docker(fields) + &docker(line))), [None, expected]);
}

#[test]
fn columns_change_half_way() {
    let log = "#Software: Microsoft Internet Information Services 10.0\n\
         #Date: 2026-03-02 08:00:00\n\
         #Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status sc-bytes cs(User-Agent)\n\
         2026-03-02 08:00:01 203.0.113.7 GET /v1/items api_key=k1 200 512 curl/8.5.0\n\
         #Fields: time c-ip cs(User-Agent) sc-status cs-method cs-uri-stem\n\
         08:00:02 203.0.113.8 an+agent 404 POST /v2\n\
         #Fields: date time c-ip\n\
         2026-03-02 08:00:03 203.0.113.9\n";
    let expected = [
        None,
        None,
        None,
        Some("2026-03-02T08:00:01Z 203.0.113.7 GET /v1/items?api_key=k1 200 512 curl/8.5.0"),
        None,
        Some("2026-03-02T08:00:02Z 203.0.113.8 POST /v2 404 - an agent"),
        None,
        Some("2026-03-02T08:00:03Z 203.0.113.9 - - 0 - -"),
    ];
    assert_eq!(read(log), expected.map(|line| line.map(str::to_owned)));
}

#[test]
fn comments_and_days_do_not_name_the_columns_anew() {
    let mut columns = Columns::default();
    columns.note(b"#Fields: date time c-ip");
    let named = columns.columns.as_ptr();
    for line in ["#", "#Software: x", "#Date: 2026-03-02 08:00:00", "#open"] {
        columns.note(line.as_bytes());
        assert_eq!(columns.columns.as_ptr(), named, "{line}");
    }
    assert_eq!((columns.columns.len(), &columns.day[..]), (3, &b"2026-03-02"[..]));
    columns.note(b"#Fields:");
    assert!(columns.columns.is_empty());
}

#[test]
fn a_line_under_no_directive_is_read_by_its_shape() {
    let cases = [
        (
            "2026-03-02 08:00:01 192.0.2.9 GET /a q=1 443 - 203.0.113.7 Mozilla/5.0+(X11) - 200 0 0 15",
            "2026-03-02T08:00:01Z 203.0.113.7 GET /a?q=1 200 - Mozilla/5.0 (X11)",
        ),
        (
            "2026-03-02 08:00:01 192.0.2.9 GET /a - 443 ann 203.0.113.7 c/1 - 200 0 0 512 99 15",
            "2026-03-02T08:00:01Z 203.0.113.7 GET /a 200 512 c/1",
        ),
        (
            "2026-03-02 08:00:01 W3SVC1 WEB1 192.0.2.9 GET /a - 443 - 2001:db8::7 HTTP/1.1 c/1 a=b - www.example.org 200 0 0 512 99 15",
            "2026-03-02T08:00:01Z 2001:db8::7 GET /a 200 512 c/1",
        ),
        (
            "2026-03-02 08:00:01.250 192.0.2.9 GET /a - 80 - \"203.0.113.7\" \"c/1 (a \"\"b\"\")\" \"-\" \"www.example.org\" 200 0 0 15",
            "2026-03-02T08:00:01.250Z 203.0.113.7 GET /a 200 - c/1 (a \"\"b\"\")",
        ),
        (
            "2026-03-02 08:00:01 203.0.113.7 - 192.0.2.9 80 GET /a - 200 c/1",
            "2026-03-02T08:00:01Z 203.0.113.7 GET /a 200 - c/1",
        ),
        (
            "2026-03-02\t08:00:01\tFRA50-C1\t512\t203.0.113.7\tGET\td0.cloudfront.net\t/a\t200\t-\tc/1%20(x)\tq=1\t-\tHit\tid==\twww.example.org\thttps\t99\t0.1\t-\tTLSv1.3\tx\tHit\tHTTP/2.0\t-\t-",
            "2026-03-02T08:00:01Z 203.0.113.7 GET /a?q=1 200 512 c/1 (x)",
        ),
        (
            "1772438401.250000\tCx1\t203.0.113.7\t4711\t192.0.2.9\t80\t1\tGET\twww.example.org\t/a?q=1\t-\t1.1\tc/1 \\x28\t-\t0\t512\t200\tOK\t-\t-\t(empty)\t-\t-\t-\t-\t-\t-\tF1\t-\ttext/html",
            "2026-03-02T08:00:01.250000Z 203.0.113.7 GET /a?q=1 200 512 c/1 (",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(read(line), [Some(expected.to_owned())], "{line}");
    }
}

#[test]
fn a_time_of_day_without_a_day_is_no_record() {
    let line = "08:00:01 203.0.113.7 [1]USER anonymous 331";
    let day = "#Date: 2026-03-02 00:00:00";
    let said = "2026-03-02T08:00:01Z 203.0.113.7 [1]USER anonymous 331 - -";
    assert_eq!(read(line), [None]);
    assert_eq!(read(&format!("{day}\n{line}")), [None, Some(said.to_owned())]);
}

#[test]
fn what_has_other_columns_is_no_record() {
    let log = "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n\
         2026-03-02 08:00:01 203.0.113.7 GET\n\
         2026-03-02 08:00:01 203.0.113.7 GET /a 200 more\n\
         2026-03-02 25:00:01 203.0.113.7 GET /a 200\n\
         2026-03-02 08:00:01 203.0.113.7 GET /a none\n";
    assert_eq!(read(log), [None, None, None, None, None]);
    let directives = Directives::from_lines(log.lines().next().unwrap().as_bytes());
    let line = b"2026-03-02 08:00:01 203.0.113.7 GET /a none";
    let reject =
        Format::preset("w3c").unwrap().parse_under(line, &Columns::new(&directives)).unwrap_err();
    assert_eq!((reject.column, reject.expected.as_ref()), (40, "a status"));
}

#[test]
fn a_tab_in_a_value_is_no_separator_of_columns_between_spaces() {
    let log = "#Fields: date time c-ip cs-method cs-uri-path cs-uri-query cs(User-Agent) sc-status\n\
         2026-03-02 08:00:01 203.0.113.7 GET /a api_key=k1 c/1\tx 200\n";
    let read = read(log);
    let expected = "2026-03-02T08:00:01Z 203.0.113.7 GET /a?api_key=k1 200 - c/1\tx";
    assert_eq!(read[1].as_deref(), Some(expected));
}

#[test]
fn headers_and_ids_of_columns_are_handed_on() {
    let directives = Directives::from_lines(
        b"#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(Cookie) cs(X-Api-Key) x-token-id s-xff\n",
    );
    let line = b"2026-03-02 08:00:01 10.0.0.1 GET /a 200 a=1;+b=2 k1 tw1_0f 203.0.113.7";
    let columns = Columns::new(&directives);
    let record = columns.read(line, &[]).unwrap();
    let fields: Vec<String> = record
        .fields
        .iter()
        .map(|(name, text)| format!("{name:?} {}", String::from_utf8_lossy(text)))
        .collect();
    assert_eq!(
        fields,
        [
            "Header(\"cookie\") a=1; b=2",
            "Header(\"x-api-key\") k1",
            "Id(\"x-token-id\") tw1_0f",
            "Header(\"x-forwarded-for\") 203.0.113.7"
        ]
    );
}

#[test]
fn the_scheme_of_a_credential_was_taken_for_a_part_of_it() {
    let header = |name: &str, value: &str| {
        let fields = format!("#Fields: date time c-ip cs-method cs-uri-stem sc-status {name}\n");
        let columns = Columns::new(&Directives::from_lines(fields.as_bytes()));
        let line = format!("2026-03-02 08:00:01 10.0.0.1 GET /a 200 {value}");
        let record = columns.read(line.as_bytes(), &[]).unwrap();
        record.fields.iter().map(|(_, text)| String::from_utf8_lossy(text)).collect::<String>()
    };
    for (logged, sent) in [
        ("Bearer+exk_1234", "Bearer exk_1234"),
        ("Basic+dXNl+cjpw+Q==", "Basic dXNl+cjpw+Q=="),
        (
            "AWS4-HMAC-SHA256+Credential=k/s,+Signature=0f",
            "AWS4-HMAC-SHA256 Credential=k/s, Signature=0f",
        ),
        ("OAuth+realm=\"\",+oauth_token=\"a+b\"", "OAuth realm=\"\", oauth_token=\"a+b\""),
        // Without a scheme, a plus is of the credential.
        ("exk_1234", "exk_1234"),
        ("Zm9v/YmFy+YmF6", "Zm9v/YmFy+YmF6"),
        ("0Zm9vYmFy+YmF6", "0Zm9vYmFy+YmF6"),
        ("Zm9vYmFyZm9vYmFyZm9vYmFyZm9v+YmF6", "Zm9vYmFyZm9vYmFyZm9vYmFyZm9v+YmF6"),
        ("Qk+dXNl+cjpw", "Qk+dXNl+cjpw"),
        ("eyJhbGciOi+J9", "eyJhbGciOi+J9"),
        ("bearer+exk_1234", "bearer exk_1234"),
        ("APIKEY+exk_1234", "APIKEY exk_1234"),
        ("Bearers+exk_1234", "Bearers+exk_1234"),
        ("+a", "+a"),
    ] {
        for name in ["cs(Authorization)", "cs(Proxy-Authorization)"] {
            assert_eq!(header(name, logged), sent, "{name}");
        }
    }
    assert_eq!(header("cs(X-Api-Key)", "a+b"), "a+b");
}

/// A value as a W3C writer prints it: `-` if empty, without spaces.
fn value() -> impl Strategy<Value = String> {
    "[!#-,.-~][!-~]{0,20}".prop_filter("no quotes", |v| !v.contains('"'))
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        second in 0i64..4_000_000_000,
        client in any::<u32>(),
        path in "/[!-~]{0,30}",
        agent in value(),
        status in 100u16..600,
        bytes in any::<u32>(),
        order in Just(vec![0usize, 1, 2, 3, 4, 5, 6]).prop_shuffle(),
    ) {
        prop_assume!(!path.contains(['?', '"']) && !agent.contains('+') && agent != "-");
        let time = chrono::DateTime::from_timestamp(second, 0).unwrap();
        let client = std::net::Ipv4Addr::from(client);
        let columns = ["date", "time", "c-ip", "cs-uri-stem", "cs(User-Agent)", "sc-status", "sc-bytes"];
        let values = [
            time.format("%Y-%m-%d").to_string(),
            time.format("%H:%M:%S").to_string(),
            client.to_string(),
            path.clone(),
            agent.clone(),
            status.to_string(),
            bytes.to_string(),
        ];
        let of = |texts: &[&str]| order.iter().map(|at| texts[*at]).collect::<Vec<_>>().join(" ");
        let line = of(&values.each_ref().map(String::as_str));
        let directives = Directives::from_lines(format!("#Fields: {}", of(&columns)).as_bytes());
        let columns = Columns::new(&directives);
        let record = columns.read(line.as_bytes(), &[]).unwrap();
        prop_assert_eq!(record.time.map(|time| time.seconds()), Some(second));
        prop_assert_eq!(record.client, Some(client.into()));
        prop_assert_eq!(record.target.as_deref(), Some(path.as_bytes()));
        prop_assert_eq!(record.agent.as_deref(), Some(agent.as_bytes()));
        prop_assert_eq!((record.status, record.bytes), (Some(status), Some(u64::from(bytes))));
    }

    #[test]
    fn no_directive_or_line_makes_it_panic(
        fields in "#Fields: [a-z() -]{0,60}",
        line in prop::collection::vec(any::<u8>(), 0..120),
        text in "[0-9a-z\"\t :.-]{0,80}",
    ) {
        let columns = Columns::new(&Directives::from_lines(fields.as_bytes()));
        for line in [&line[..], text.as_bytes()] {
            if let Err(miss) = columns.read(line, &[]) {
                prop_assert!(miss.rest <= line.len());
            }
        }
    }
}

#[test]
fn every_name_of_a_default_layout_has_its_column() {
    for line in [
        "2026-03-02 08:00:01 W3SVC1 web-1 192.0.2.9 GET /a b=c 443 ann 203.0.113.7 HTTP/1.1 c/1 x=y https://example.org/ www.example.org 200 0 0 5 6 7",
        "2026-03-02 08:00:01 203.0.113.7 - 192.0.2.9 80 GET /a - 200 c/1",
        "08:00:01 203.0.113.7 GET /a 226",
    ] {
        let words = words(line.as_bytes(), false).unwrap();
        let names = w3c::layout(&words).unwrap();
        assert_eq!(names.len(), words.values.len(), "{line}");
        for name in names {
            assert_eq!(Column::default_of(name), &Column::of(name.as_bytes()), "{name}");
            assert!(DEFAULTS.contains_key(name), "{name}");
        }
    }
}
