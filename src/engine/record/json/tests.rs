//! Which keys of an object count, in whatever dialect, and how far broken objects are read.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::record::tests::{preset, read};
use crate::engine::record::{Format, client_behind};

pub(super) fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(read(&preset("auto"), line), *expected, "{line}");
    }
}

#[test]
fn what_a_logger_breaks_is_read_as_far_as_can_be() {
    check(&[
        // nginx without escape=json; a number that is absent.
        (
            r#"{"time":"2026-11-23T17:10:33Z","request":"GET /\x22a\x5C HTTP/1.1","upstream_time":-,"status":200}"#,
            r#"2026-11-23T17:10:33Z method=GET target=/\"a\\ version=1.1 200"#,
        ),
        ("{\"ts\":1,\n \"uri\" : \"/p\" }\t", "1970-01-01T00:00:01Z target=/p"),
        // Truncated JSON is reported with its position.
        (
            r#"{"ts":1,"uri":"/p","status":2"#,
            "30: the rest of the JSON object / the end of the line",
        ),
        (r#"{"ts":1,"uri":"/p"} x"#, "21: the end of the line after the JSON object / 'x'"),
        (r#"{"ts":1,"uri":nope}"#, "15: JSON: a value / 'n'"),
        (r#"{"ts":1 "uri":"/p"}"#, "9: JSON: `,` or `}` / '\"'"),
        (r#"{"ts":1,uri:"/p"}"#, "9: JSON: a key / 'u'"),
    ]);
}

#[test]
fn the_first_of_two_keys_counts_and_deep_ones_do_not() {
    let deep = format!("{}\"uri\":\"/deep\"{}", "{\"request\":".repeat(40), "}".repeat(40));
    let deep = deep.replacen("{\"request\":\"uri\"", "{\"uri\"", 1);
    let line = format!("{{\"ts\":1,\"uri\":\"/a\",\"uri\":\"/b\",\"ts\":2,\"request\":{deep}}}");
    assert_eq!(read(&preset("auto"), &line), "1970-01-01T00:00:01Z target=/a");
}

/// The client and whether it is only forwarded, as the reader sees it with a trusted proxy.
fn client(line: &str) -> (String, bool) {
    let format = preset("auto");
    let record = format.parse(line.as_bytes()).unwrap();
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    let client = client_behind(record.client, record.forwarded(), &trusted);
    (client.unwrap().to_string(), record.is_forwarded)
}

#[test]
fn json_with_no_address_but_the_forwarded_one_had_no_client() {
    let of = |line: &str| {
        let record = preset("auto").parse(line.as_bytes()).unwrap().into_owned();
        (record.client.map(|client| client.to_string()), record.is_forwarded)
    };
    for list in ["203.0.113.9", "6.6.6.6, 203.0.113.9"] {
        let line = format!(r#"{{"ts":1,"http_x_forwarded_for":"{list}","uri":"/p"}}"#);
        assert_eq!(of(&line), (Some("203.0.113.9".to_owned()), true), "{line}");
    }
    let socket =
        r#"{"ts":1,"remote_addr":"unix:","http_x_forwarded_for":"203.0.113.9","uri":"/p"}"#;
    assert_eq!(of(socket), (None, false));
}

#[test]
fn the_forged_first_element_of_an_array_of_hops_won() {
    for line in [
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","headers":{"X-Forwarded-For":["9.9.9.9","203.0.113.9"]}}"#,
        r#"{"ts":1,"request":{"uri":"/p","remote_ip":"10.0.0.1","headers":{"X-Forwarded-For":["9.9.9.9, 203.0.113.9","10.0.0.2"]}}}"#,
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","x_forwarded_for":["9.9.9.9","203.0.113.9"]}"#,
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","headers":{"Forwarded":["for=9.9.9.9","for=203.0.113.9"]}}"#,
        r#"{"ts":1,"httpRequest":{"clientIp":"10.0.0.1","uri":"/p","headers":[{"name":"X-Forwarded-For","value":"9.9.9.9"},{"name":"Host","value":"a"},{"name":"x-forwarded-for","value":"203.0.113.9"}]}}"#,
    ] {
        assert_eq!(client(line), ("203.0.113.9".to_owned(), false), "{line}");
    }
    check(&[(
        r#"{"ts":1,"uri":"/p","headers":{"Authorization":["Bearer x","Bearer y"]}}"#,
        "1970-01-01T00:00:01Z target=/p header:authorization=Bearer x header:authorization=Bearer y",
    )]);
}

#[test]
fn a_list_under_a_clients_key_was_no_client() {
    let told = ("203.0.113.9".to_owned(), true);
    let peer = ("198.51.100.7".to_owned(), false);
    for (keys, expected) in [
        (r#""client_ip":"9.9.9.9, 203.0.113.9""#, &told),
        (r#""ClientHost":["9.9.9.9","203.0.113.9"]"#, &told),
        (r#""client_ip":"9.9.9.9, 203.0.113.9, 10.0.0.1""#, &told),
        (
            r#""client_ip":"9.9.9.9","remote_addr":"198.51.100.7, 203.0.113.9""#,
            &("9.9.9.9".to_owned(), false),
        ),
        (r#""client_ip":"9.9.9.9, 203.0.113.9","remote_addr":"198.51.100.7""#, &peer),
        (r#""ClientAddr":"198.51.100.7:1","ClientHost":"9.9.9.9, 203.0.113.9""#, &peer),
        (r#""client_ip":["198.51.100.7"]"#, &peer),
        (
            r#""client_ip":"9.9.9.9, 203.0.113.9","ClientAddr":"10.0.0.1:1""#,
            &("203.0.113.9".to_owned(), false),
        ),
    ] {
        let line = format!(r#"{{"ts":1,"uri":"/p",{keys}}}"#);
        assert_eq!(&client(&line), expected, "{line}");
    }
    check(&[(
        r#"{"ts":1,"uri":"/p","client_ip":"9.9.9.9, 203.0.113.9","tw_id":"a-1"}"#,
        "1970-01-01T00:00:01Z client=203.0.113.9 target=/p header:x-forwarded-for=9.9.9.9, 203.0.113.9 id:tw_id=a-1",
    )]);
}

#[test]
fn what_applications_put_into_loose_objects_does_not_stand_before_the_servers_keys() {
    let loose = r#""data":{"client_ip":"9.9.9.9","_remote_addr":"9.9.9.9","uri":"/forged","request":{"client_ip":"9.9.9.9"},"http":{"url":"/forged"}}"#;
    let keys = r#""remote_addr":"192.0.2.1","path":"/p""#;
    for line in [format!("{{\"ts\":1,{loose},{keys}}}"), format!("{{\"ts\":1,{keys},{loose}}}")] {
        let expected = "1970-01-01T00:00:01Z client=192.0.2.1 target=/p";
        assert_eq!(read(&preset("auto"), &line), expected, "{line}");
    }
}

#[test]
fn a_path_in_a_loose_object_does_not_hide_the_line_in_the_message() {
    check(&[(
        r#"{"@timestamp":"2026-03-05T10:20:30Z","agent":{"type":"filebeat"},"labels":{"path":"/var/log/x"},"message":"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 5"}"#,
        "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/a version=1.1 200 bytes=5",
    )]);
}

#[test]
fn the_size_of_a_request_was_that_of_its_answer() {
    check(&[
        (
            r#"{"request":{"size":75,"uri":"/p","method":"GET"},"response":{"size":998,"status":200},"started_at":1795453833537}"#,
            "2026-11-23T17:10:33.537Z method=GET target=/p 200 bytes=998",
        ),
        (
            r#"{"ts":1,"http":{"request":{"method":"GET","bytes":75},"response":{"bytes":9}},"url":{"path":"/p"},"http.request.bytes":75}"#,
            "1970-01-01T00:00:01Z method=GET target=/p bytes=9",
        ),
    ]);
}

#[test]
fn a_scheme_that_follows_from_something_else_was_not_seen() {
    for (keys, expected) in [
        (r#""uri":"/p","properties":{"sslEnabled":"on"}"#, "scheme=https"),
        (r#""uri":"/p","properties":{"sslEnabled":"off"}"#, "scheme=http"),
        (r#""uri":"/p","ClientSSLProtocol":"none""#, "scheme=http"),
        (r#""uri":"/p","ClientSSLProtocol":"none","scheme":"https""#, "scheme=https"),
        (r#""uri":"/p","scheme":"https","ClientSSLProtocol":"none""#, "scheme=https"),
        (r#""uri":"/p","ClientSSLProtocol":"TLSv1.3""#, "tls=TLSv1.3"),
        (r#""request":{"uri":"/p","url":"https://a:8443/p"}"#, "scheme=https"),
        (r#""request":{"uri":"/p","url":"https://a:8443/p"},"scheme":"http""#, "scheme=http"),
        (
            r#""request":{"uri":"/p","tls":{"resumed":false,"version":772}}"#,
            "scheme=https tls=TLSv1.3",
        ),
        (r#""request":{"uri":"/p","tls":null}"#, ""),
    ] {
        let expected = format!("1970-01-01T00:00:01Z target=/p {expected}");
        let line = format!("{{\"ts\":1,{keys}}}");
        assert_eq!(read(&preset("auto"), &line), expected.trim_end(), "{line}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_prints_is_read_back(
        path in "/[^?]{0,20}",
        agent in any::<String>().prop_filter("absent", |a| !matches!(a.as_str(), "" | "-")),
        token in any::<String>().prop_filter("absent", |a| !matches!(a.as_str(), "" | "-")),
        others in prop::collection::vec(any_value(), 4),
        (status, millis) in (100u16..600, 0i64..4_000_000_000_000),
        pretty in any::<bool>(),
    ) {
        // Unknown members may be anywhere.
        let [a, b, c, d] = &others[..] else { unreachable!() };
        let line = json!({
            "Unknown": a,
            "request": {
                "unknown": b, "uri": path, "headers": {"User-Agent": [agent], "Authorization": token},
            },
            "status": status, "time": 100_000_000_000 + millis, "resp_headers": c, "zzz": d,
        });
        let line = if pretty { serde_json::to_string_pretty(&line) } else { serde_json::to_string(&line) };
        let line = line.unwrap();
        let format = preset("json");
        let record = format.parse(line.as_bytes()).unwrap();
        prop_assert_eq!(record.target.as_deref(), Some(path.as_bytes()));
        prop_assert_eq!(record.agent.as_deref(), Some(agent.as_bytes()));
        prop_assert_eq!(record.fields.first().map(|(_, text)| &text[..]), Some(token.as_bytes()));
        prop_assert_eq!(record.status, Some(status));
        prop_assert_eq!(record.time.map(|time| time.0), Some((100_000_000_000 + millis) * 1000));
    }
}

#[test]
fn a_malformed_request_was_taken_for_a_line_of_another_format() {
    let auto = preset("auto");
    let time = "2026-03-02T08:00:00Z";
    for (rest, said) in [
        (r#""remote_addr":"192.0.2.1","request":"","status":400"#, "client=192.0.2.1 400"),
        (r#""remote_addr":"192.0.2.1","request":"-","status":"408""#, "client=192.0.2.1 408"),
        (r#""method":null,"path":null,"response_code":400"#, "400"),
        (r#""method":null,"path":null,"response_code":0"#, ""),
        (r#""request_uri":"","remote_addr":"192.0.2.1""#, "client=192.0.2.1"),
        (
            r#""request":{"method":"","uri":"","remote_ip":"192.0.2.1"},"status":400"#,
            "client=192.0.2.1 400",
        ),
    ] {
        let line = format!(r#"{{"time":"{time}",{rest}}}"#);
        assert_eq!(read(&auto, &line), format!("{time} {said}").trim_end(), "{line}");
    }
    let template = Format::template(
        r#"{"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":"$status"}"#,
    );
    let line = format!(r#"{{"t":"{time}","a":"192.0.2.1","r":"","s":"400"}}"#);
    assert_eq!(read(&template.unwrap(), &line), format!("{time} client=192.0.2.1 400"));
    for rest in [
        r#""method":null,"path":"""#,
        r#""status":400,"remote_addr":"192.0.2.1""#,
        r#""method":"login","remote_addr":"192.0.2.1""#,
        r#""status":400,"context":{"path":""}"#,
    ] {
        let line = format!(r#"{{"time":"{time}",{rest}}}"#);
        assert!(read(&auto, &line).contains("a key for the request"), "{line}");
    }
}

#[test]
fn an_opaque_key_under_a_credentials_name_was_no_header() {
    let auto = preset("auto");
    for (key, header) in [
        ("api_key", "api-key"),
        ("apikey", "apikey"),
        ("apiKey", "apikey"),
        ("api-key", "api-key"),
        ("token", "token"),
        ("access_token", "access-token"),
        ("accessToken", "accesstoken"),
        ("auth_token", "auth-token"),
        ("session_token", "session-token"),
        ("x_auth_token", "x-auth-token"),
        ("bearer", "bearer"),
        ("jwt", "jwt"),
        ("client_secret", "client-secret"),
        ("secret", "secret"),
        ("_api_key", "api-key"),
    ] {
        let json = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"{key}":"opaquekey0"}}"#
        );
        let logfmt = format!("time=2026-03-02T08:00:00Z uri=/ status=200 {key}=opaquekey0");
        for line in [json, logfmt] {
            let read = read(&auto, &line);
            assert!(read.ends_with(&format!("header:{header}=opaquekey0")), "{line}: {read}");
        }
    }
    for key in
        ["key", "_token", "sent_http_x_token", "origin_X-Token", "tokens", "token_type", "keyboard"]
    {
        let line = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"{key}":"opaquekey0"}}"#
        );
        assert!(!read(&auto, &line).contains("header:"), "{line}");
    }
    let line = r#"{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"secret":true,"token":7}"#;
    assert!(auto.parse(line.as_bytes()).unwrap().fields.is_empty());
}

#[test]
fn a_time_of_another_form_was_told_as_a_missing_key() {
    let auto = preset("auto");
    let rest = r#""uri":"/","status":200}"#;
    let times = "a time (2026-11-28T02:00:00Z, 28/Nov/2026:02:00:00 +0000, seconds since 1970)";
    for (time, column, key) in [
        (r#""time":"28.11.2026 02:00:00""#, 9, "time"),
        (r#""ts": -5"#, 7, "ts"),
        (r#""level":"info","@timestamp":"now""#, 30, "@timestamp"),
        (r#""date":"2026-11-28""#, 9, "date"),
    ] {
        let line = format!("{{{time},{rest}");
        let expected = format!("{column}: {times} / something else under {key:?}");
        assert_eq!(read(&auto, &line), expected, "{line}");
    }
    for time in [r#""time":null"#, r#""time":"""#, r#""level":"info""#] {
        let line = format!("{{{time},{rest}");
        assert!(read(&auto, &line).contains("a key for the time"), "{line}");
    }
    for time in ["2026-11-28 02:00:00 UTC", "20261128T020000Z", "20261128T030000.000+0100"] {
        let line = format!(r#"{{"time":"{time}",{rest}"#);
        let record = auto.parse(line.as_bytes()).unwrap();
        assert!(!record.is_local, "{line}");
        assert_eq!(record.time.unwrap().to_rfc3339(0), "2026-11-28T02:00:00Z", "{line}");
    }
}
