//! Tests of the whole parser: tables of lines, the real lines of the recipes, properties.

#![allow(
    clippy::string_slice,
    clippy::too_many_lines,
    reason = "tables of cases are long, and cut at known places"
)]

// All of the file is tests; the mark is what tests/tidy.rs looks for.
#[cfg(test)]
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::hostile::PIECES;
use super::{Columns, FieldName, Format, Record, Reject, Text, guess};

/// Formats a record as one line of text: its values in a fixed order.
pub(super) fn shown(record: &Record<'_>) -> String {
    let mut out = String::new();
    if let Some(time) = record.time {
        write!(out, "{} ", time.to_rfc3339(record.time_digits)).unwrap();
    }
    if let Some(client) = record.client {
        write!(out, "client={client} ").unwrap();
    }
    for (name, text) in [
        ("method", &record.method),
        ("target", &record.target),
        ("version", &record.version),
        ("referer", &record.referer),
        ("agent", &record.agent),
        ("user", &record.user),
        ("host", &record.host),
        ("scheme", &record.scheme),
        ("tls", &record.tls),
    ] {
        if let Some(text) = text {
            write!(out, "{name}={} ", text.escape_ascii()).unwrap();
        }
    }
    if let Some(status) = record.status {
        write!(out, "{status} ").unwrap();
    }
    if let Some(bytes) = record.bytes {
        write!(out, "bytes={bytes} ").unwrap();
    }
    for (name, text) in &record.fields {
        let name = match name {
            FieldName::Header(name) => format!("header:{name}"),
            FieldName::Cookie(name) => format!("cookie:{name}"),
            FieldName::Id(name) => format!("id:{name}"),
            FieldName::Other(_) | FieldName::Unnamed => "field".to_owned(),
        };
        write!(out, "{name}={} ", text.escape_ascii()).unwrap();
    }
    out.trim_end().to_owned()
}

pub(super) fn read(format: &Format, line: &str) -> String {
    match format.parse(line.as_bytes()) {
        Ok(record) => shown(&record),
        Err(Reject { column, expected, found, .. }) => format!("{column}: {expected} / {found}"),
    }
}

pub(super) fn preset(name: &str) -> Format {
    Format::preset(name).unwrap()
}

#[test]
fn the_combined_family_is_read_as_servers_write_it() {
    let auto = preset("auto");
    let time = "[10/Oct/2000:13:55:36 -0700]";
    let begin = "2000-10-10T20:55:36Z client=192.0.2.1";
    let get = "method=GET target=/ version=1.1";
    let cases = [
        (
            format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} 200 bytes=5"),
        ),
        (format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 -"#), format!("{begin} {get} 200")),
        (format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200"#), format!("{begin} {get} 200")),
        (format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" - -"#), format!("{begin} {get}")),
        (
            format!(r#"192.0.2.1 - {time} "GET / HTTP/1.1" 200 5 "-" "-""#),
            format!("{begin} {get} 200 bytes=5"),
        ),
        (
            format!(r#"192.0.2.1 {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} 200 bytes=5"),
        ),
        (
            format!(r#"192.0.2.1 - ann lee {time} "GET / HTTP/1.1" 200 5 "" """#),
            format!("{begin} {get} user=ann lee 200 bytes=5"),
        ),
        (
            format!(r#"192.0.2.1 - a [b] {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} user=a [b] 200 bytes=5"),
        ),
        (format!(r#"192.0.2.1 - - {time} "-" 408 -"#), format!("{begin} 408")),
        (format!(r#"192.0.2.1 - - {time} "" 400 0 "" """#), format!("{begin} 400 bytes=0")),
        (
            format!(r#"192.0.2.1 - - {time} "\x16\x03\x01" 400 157 "-" "-""#),
            format!(r"{begin} target=\\x16\\x03\\x01 400 bytes=157"),
        ),
        (
            format!(r#"192.0.2.1 - - {time} "GARBAGE" 400 157"#),
            format!("{begin} target=GARBAGE 400 bytes=157"),
        ),
        (
            format!(r#"192.0.2.1 - - {time} "GET /a b" 400 157"#),
            format!("{begin} method=GET target=/a b 400 bytes=157"),
        ),
        (
            format!(r#"192.0.2.1 - - {time} "GET /"a" b HTTP/1.1" 400 157"#),
            format!(r#"{begin} method=GET target=/\"a\" b version=1.1 400 bytes=157"#),
        ),
        (
            format!(
                r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5 "http://example.org/" "a \"b\" \x22c\x5C""#
            ),
            format!(r#"{begin} {get} referer=http://example.org/ agent=a \"b\" \"c\\ 200 bytes=5"#),
        ),
        (
            format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5 "-" "cut off agen"#),
            format!("{begin} {get} agent=cut off agen 200 bytes=5"),
        ),
        (
            format!(r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5 - -"#),
            format!("{begin} {get} 200 bytes=5"),
        ),
        (
            format!(
                r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5 "-" "c/1" "Bearer abc" "203.0.113.9, 10.0.0.1" tw1_0f token="sk_1 2" kid=k1 rt=0.05 0.050 462 -"#
            ),
            format!(
                "{begin} {get} agent=c/1 200 bytes=5 field=Bearer abc field=203.0.113.9, 10.0.0.1 field=tw1_0f header:token=sk_1 2 id:kid=k1"
            ),
        ),
        (
            format!(r#"www.example.org 192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} host=www.example.org 200 bytes=5"),
        ),
        (
            format!(r#"www.example.org:443 192.0.2.1 - ann {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} user=ann host=www.example.org:443 200 bytes=5"),
        ),
        (
            format!(r#"www.example.org 192.0.2.1 - req-7 - {time} "GET / HTTP/1.1" 200 5"#),
            format!("{begin} {get} host=www.example.org 200 bytes=5"),
        ),
        (
            format!(
                r#"192.0.2.1 - - {time} "GET / HTTP/1.1" 200 5 "-" "c/1" 7 "web@docker" "http://10.0.0.9:80" 12ms"#
            ),
            format!(
                "{begin} {get} agent=c/1 200 bytes=5 field=web@docker field=http://10.0.0.9:80 field=12ms"
            ),
        ),
    ];
    for (line, expected) in &cases {
        assert_eq!(read(&auto, line), *expected, "{line}");
    }
    let others = [
        (
            "192.0.2.1 - a [01/Jan/1999:00:00:00 +0000] [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5",
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 user=a [01/Jan/1999:00:00:00 +0000] 200 bytes=5",
        ),
        (
            "client.example.org - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5",
            "2000-10-10T20:55:36Z method=GET target=/ version=1.1 200 bytes=5",
        ),
        (
            "www.example.org:80 client.example.org - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5",
            "2000-10-10T20:55:36Z method=GET target=/ version=1.1 host=www.example.org:80 200 bytes=5",
        ),
        (
            "2001:db8::1 - - [2000-10-10T20:55:36.5Z] \"GET / HTTP/1.1\" 200 5",
            "2000-10-10T20:55:36.500Z client=2001:db8::1 method=GET target=/ version=1.1 200 bytes=5",
        ),
        (
            r#"192.0.2.1 www.example.org - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1""#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=c/1 host=www.example.org 200 bytes=5",
        ),
        (
            r#"192.0.2.1 localhost:8080 ann [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 user=ann host=localhost:8080 200 bytes=5",
        ),
        (
            r#"192.0.2.1 ident ann [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 user=ann 200 bytes=5",
        ),
        (
            r#"["Example"] 192.0.2.1 - "ann" [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1" "www.example.org""#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=c/1 user=ann host=Example 200 bytes=5 field=www.example.org",
        ),
        (
            r#""www.example.org 192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 host=www.example.org 200 bytes=5",
        ),
        (
            r#"www.example.org 192.0.2.1 - ann [10/Oct/2000:13:55:36 -0700] (12 s) "GET / HTTP/1.1" 200 5 "-" "c/1""#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=c/1 user=ann host=www.example.org 200 bytes=5",
        ),
        (
            r#"192.0.2.1 - - [10/13/2000:20:55:36 -0000] "GET /cpsess123/x HTTP/1.1" 200 5 "-" "c/1" "s" "-" 2086"#,
            "2000-10-13T20:55:36Z client=192.0.2.1 method=GET target=/cpsess123/x version=1.1 agent=c/1 200 bytes=5",
        ),
        (
            r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET http://example.org/a HTTP/1.1" 200 5 "-" "c/1" TCP_MISS:HIER_DIRECT"#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=http://example.org/a version=1.1 agent=c/1 200 bytes=5 field=TCP_MISS:HIER_DIRECT",
        ),
        (
            r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1" kong_request_id: "r-1""#,
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=c/1 200 bytes=5 field=kong_request_id: field=r-1",
        ),
        ("- - ann [-] \"- - -\" - - \"-\" \"-\" - \"-\" \"-\" 0ms", "user=ann field=0ms"),
    ];
    for (line, expected) in others {
        assert_eq!(read(&auto, line), expected, "{line}");
    }
}

#[test]
fn a_reject_says_what_was_expected_where() {
    let auto = preset("auto");
    let cases = [
        ("", "1: a space after the client's address / the end of the line"),
        ("x", "2: a space after the client's address / the end of the line"),
        ("192.0.2.1 - - x", "15: '[' before the time / 'x'"),
        (
            "192.0.2.1 - - [tomorrow] \"GET /\" 200 5",
            "16: a time like 10/Oct/2000:13:55:36 -0700 / 't'",
        ),
        (
            "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / 200 5",
            "56: '\"' after the request / the end of the line",
        ),
        (
            "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /\" OK 5",
            "51: a status after the request / ' '",
        ),
        (
            "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /\" 200 5kB",
            "56: the number of bytes sent, or '-' / '5'",
        ),
        ("Oct 11 22:14:15 host nginx: 192.0.2.1 - - \x01", "43: '[' before the time / byte 0x01"),
        ("{\"a\":1", "7: the rest of the JSON object / the end of the line"),
        ("{\"a\" 1}", "6: JSON: `:` / '1'"),
        (
            "{\"level\":\"info\"}",
            "1: a key for the request (request, uri, path, method with status) / an object without it",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(read(&auto, line), expected, "{line}");
    }
}

#[test]
fn envelopes_are_taken_off_before_every_format() {
    let inside = "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5";
    let json = r#"{"time":"2000-10-10T20:55:36Z","remote_addr":"192.0.2.1","request":"GET / HTTP/1.1","status":200,"bytes":5}"#;
    let auto = preset("auto");
    let expected = read(&auto, inside);
    for head in [
        "",
        "<190>Oct 11 22:14:15 host nginx: ",
        "Oct  1 22:14:15 host nginx[7]: ",
        "<165>1 2026-11-23T17:10:33.003Z host nginx 7 - - ",
        "2026-11-23T17:10:33.537001+00:00 host nginx: ",
        "2026-11-23T17:10:33.5Z stdout F ",
        "2026-11-23T17:10:33.5Z stdout F Oct  1 22:14:15 host nginx[7]: ",
        "web-1  | ",
    ] {
        assert_eq!(read(&auto, &format!("{head}{inside}")), expected, "{head}");
        assert_eq!(read(&auto, &format!("{head}{json}")), expected, "{head}");
    }
    let docker = serde_json::json!({"log": format!("{inside}\n"), "stream": "stdout", "time": "2026-11-23T17:10:33Z"});
    assert_eq!(read(&auto, &docker.to_string().replace("\"log\": ", "\"log\":")), expected);
}

#[test]
fn an_envelope_lends_its_time_to_a_line_that_has_none() {
    let auto = preset("auto");
    let bare = r#"{"remote_addr":"192.0.2.1","request":"GET / HTTP/1.1","status":200}"#;
    let said = "client=192.0.2.1 method=GET target=/ version=1.1 200";
    assert!(auto.parse(bare.as_bytes()).is_err());
    let stamp = "2026-11-23T17:10:33.500Z";
    for head in [
        "2026-11-23T17:10:33.5Z stdout F ",
        "2026-11-23T18:10:33.5+01:00 host app[7]: ",
        "<165>1 2026-11-23T17:10:33.5Z host app 7 - - ",
        "2026-11-23T17:10:34.9Z stdout F <165>1 2026-11-23T17:10:33.5Z host app 7 - - ",
        "2026-11-23T17:10:33.5Z stdout F Oct 11 22:14:15 host app: ",
    ] {
        assert_eq!(read(&auto, &format!("{head}{bare}")), format!("{stamp} {said}"), "{head}");
    }
    let docker = serde_json::json!({"log": bare, "time": "2026-11-23T17:10:33.5Z"});
    let docker = docker.to_string().replace("\"log\": ", "\"log\":");
    assert_eq!(read(&auto, &docker), format!("{stamp} {said}"));
    // No year, hence no time.
    assert!(auto.parse(format!("Oct 11 22:14:15 host app: {bare}").as_bytes()).is_err());
    let absent = r#"2026-11-23T17:10:33.5Z stdout F 192.0.2.1 - - [-] "GET / HTTP/1.1" 200 -"#;
    assert_eq!(read(&auto, absent), format!("{stamp} {said}"));
}

#[test]
fn a_status_of_zero_was_a_redirect_in_some_formats_and_no_answer_in_others() {
    let auto = preset("auto");
    let w3c = "#Fields: date time c-ip cs-method cs-uri-stem sc-status";
    let mut columns = Columns::default();
    columns.note(w3c.as_bytes());
    let template = Format::template("$remote_addr [$time_local] \"$request\" $status").unwrap();
    for (format, line) in [
        (
            &auto,
            r#"192.0.2.1 - - [02/Mar/2026:08:00:00 +0000] "GET /a HTTP/1.1" STATUS 0 "-" "c/1""#,
        ),
        (
            &auto,
            r#"{"ts":1,"request":{"remote_ip":"192.0.2.1","method":"GET","uri":"/a"},"status":STATUS}"#,
        ),
        (
            &auto,
            r#"{"ts":1,"client_ip":"192.0.2.1","method":"GET","path":"/a","response_code":"STATUS"}"#,
        ),
        (&auto, "ts=1795453833.5 method=GET path=/a status=STATUS remote_addr=192.0.2.1"),
        (
            &auto,
            "1795453833.537 12 192.0.2.1 TCP_MISS_ABORTED/STATUS 0 GET http://a/ - HIER_DIRECT/- -",
        ),
        (&auto, "2026-03-02 08:00:00 192.0.2.1 GET /a STATUS"),
        (&template, r#"192.0.2.1 [02/Mar/2026:08:00:00 +0000] "GET /a HTTP/1.1" STATUS"#),
    ] {
        for (said, status) in [("0", None), ("000", None), ("302", Some(302)), ("200", Some(200))] {
            let line = line.replace("STATUS", said);
            // JSON has no number with leading zeros, and Squid none without.
            if line.ends_with(":000}") || line.contains("/0 ") {
                continue;
            }
            let record = format.parse_under(line.as_bytes(), &columns);
            assert_eq!(record.unwrap().status, status, "{line}");
        }
    }
}

#[test]
fn haproxy_lines_are_read() {
    let haproxy = preset("haproxy");
    let head = "192.0.2.1:43278 [23/Nov/2026:17:11:40.346] f1 b/<NOSRV> 0/-1/-1/-1/0";
    let begin = "2026-11-23T17:11:40.346Z client=192.0.2.1";
    let cases = [
        (
            format!("{head} 200 73 - - LR-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""),
            format!("{begin} method=GET target=/ version=1.1 200 bytes=73"),
        ),
        (
            format!("{head} 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\""),
            format!("{begin} 400 bytes=0"),
        ),
        (format!("{head} -1 +0 - - CR-- 1/1/0/0/0 0/0 \"<BADREQ>\""), format!("{begin} bytes=0")),
        (
            format!(
                "{head} 200 73 - SID=abc LR-- 1/1/0/0/0 0/0 {{Bearer sk_1|curl/7.88.1}} {{}} \"GET /#22 HTTP/1.1\" tw1_- pfx=- jti=abc-1"
            ),
            format!(
                "{begin} method=GET target=/\\\" version=1.1 agent=curl/7.88.1 200 bytes=73 field=SID=abc field=Bearer sk_1 id:jti=abc-1"
            ),
        ),
        (
            format!(
                "{head} 200 73 - - LR-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\" 0/-/-/-/0 example.org/TLSv1.3/TLS_AES"
            ),
            format!(
                "{begin} method=GET target=/ version=1.1 host=example.org tls=TLSv1.3 200 bytes=73"
            ),
        ),
    ];
    for (line, expected) in &cases {
        assert_eq!(read(&haproxy, line), *expected, "{line}");
        assert_eq!(read(&preset("auto"), line), *expected, "{line}");
    }
    let tcp = "192.0.2.1:43278 [23/Nov/2026:17:11:40.346] f1 b/s1 0/0/5007 212 -- 0/0/0/0/3 0/0";
    assert_eq!(
        read(&haproxy, tcp),
        "61: a status (a line of option tcplog holds no request: set option httplog) / '2'"
    );
    let six = "2001:db8::1:5843 [23/Nov/2026:17:11:40.346] f1~ b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/2.0\"";
    assert_eq!(
        read(&haproxy, six),
        "2026-11-23T17:11:40.346Z client=2001:db8::1 method=GET target=/ version=2.0 scheme=https 200 bytes=1"
    );
}

#[test]
fn json_of_every_dialect_is_read() {
    let auto = preset("auto");
    let cases = [
        (
            r#"{"time":"2026-11-23T17:10:33+00:00","msec":1795453833.537,"remote_addr":"192.0.2.1","request":"GET /a?b=c HTTP/1.1","status":200,"ua":"c/1","authz":"Bearer x"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/a?b=c version=1.1 agent=c/1 200 header:authorization=Bearer x",
        ),
        (
            r#"{"msec":"1795453833.537","request_method":"GET","uri":"/index","request_uri":"/?x=1","status":"404","body_bytes_sent":"7","bytes_sent":"99","http_x_api_key":"k","http_accept":"*/*","request_time":"0.002"}"#,
            "2026-11-23T17:10:33.537Z method=GET target=/?x=1 404 bytes=7 header:x-api-key=k",
        ),
        (
            r#"{"level":"info","ts":1795453903.982515,"request":{"remote_ip":"10.0.0.1","client_ip":"192.0.2.1","proto":"HTTP/2.0","method":"GET","host":"example.org","uri":"/v1","headers":{"User-Agent":["c/1"],"Authorization":["Bearer x"],"Accept":["*/*"],"Cookie":[],"X-Own":["v"]},"tls":{"version":772}},"user_id":"","size":2,"status":200,"resp_headers":{"Server":["Caddy"]}}"#,
            "2026-11-23T17:11:43.982515Z client=192.0.2.1 method=GET target=/v1 version=2.0 agent=c/1 host=example.org scheme=https tls=TLSv1.3 200 bytes=2 header:authorization=Bearer x header:x-own=v",
        ),
        (
            r#"{"ClientAddr":"10.0.0.1:9","ClientHost":"192.0.2.1","ClientUsername":"-","DownstreamContentSize":15,"DownstreamStatus":200,"OriginStatus":504,"RequestHost":"example.org","RequestAddr":"x","RequestMethod":"GET","RequestPath":"/p?q","RequestProtocol":"HTTP/1.1","RequestScheme":"http","StartUTC":"2023-08-11T11:39:21.773360139Z","time":"2023-08-11T11:39:22Z","request_X-Api-Key":"k"}"#,
            "2023-08-11T11:39:21.773360Z client=192.0.2.1 method=GET target=/p?q version=1.1 host=example.org scheme=http 200 bytes=15 header:x-api-key=k",
        ),
        (
            r#"{"@timestamp":"2026-11-23T17:10:33.5Z","source":{"ip":"192.0.2.1"},"http":{"version":"1.1","request":{"method":"GET","referrer":"r"},"response":{"status_code":200,"body":{"bytes":612}}},"url":{"path":"/p","query":"q=1","domain":"example.org"},"user_agent":{"original":"c/1"},"user":{"name":"ann"},"host":{"name":"loghost"}}"#,
            "2026-11-23T17:10:33.500Z client=192.0.2.1 method=GET target=/p?q=1 version=1.1 referer=r agent=c/1 user=ann host=example.org 200 bytes=612",
        ),
        (
            r#"{"@timestamp":"2026-11-23T17:10:33Z","source.ip":"192.0.2.1","http.request.method":"GET","http.response.status_code":200,"url.original":"/p"}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/p 200",
        ),
        (
            r#"{"ts":1,"path":"/a","path":"/b","jti":"j","consumer":{"id":"c1"},"cookies":{"sid":"s"},"api_key_id":7}"#,
            "1970-01-01T00:00:01Z target=/a id:jti=j id:consumer=c1 cookie:sid=s id:api_key_id=7",
        ),
        (
            r#"{"ts":"10/Oct/2000:13:55:36 -0700","request":"\u0016\"\\zz","status":400}"#,
            r#"2000-10-10T20:55:36Z target=\x16\"\\zz 400"#,
        ),
        (
            r#"{"ts":true,"status":{},"path":null,"uri":"/x","time":1795453833537,"bytes":-1}"#,
            "2026-11-23T17:10:33.537Z target=/x",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(read(&auto, line), expected, "{line}");
    }
}

#[test]
fn json_that_is_no_utf8_is_read_all_the_same() {
    let line = b"{\"ts\":1,\"path\":\"/\xff\",\"authorization\":\"Bearer x\"}";
    let record = preset("json").parse(line).unwrap();
    assert_eq!(record.target.as_deref(), Some(&b"/\xff"[..]));
    assert_eq!(record.fields.len(), 1);
}

#[test]
fn a_sites_own_keys_win() {
    let fields: BTreeMap<String, String> = [
        ("client", "net.peer.ip"),
        ("time", "when"),
        ("id.gateway", "auth.key"),
        ("header.x-own", "own"),
        ("status", "remote_addr"),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_owned()))
    .into();
    let format = Format::json(&fields).unwrap();
    let line = r#"{"time":9,"when":1,"client_ip":"192.0.2.9","net":{"x":1,"peer":{"ip":"192.0.2.1"}},"auth":{"key":"k-17"},"own":"o","uri":"/","remote_addr":"201"}"#;
    assert_eq!(
        read(&format, line),
        "1970-01-01T00:00:01Z client=192.0.2.1 target=/ 201 id:gateway=k-17 header:x-own=o"
    );
    let unknown = [("clint".to_owned(), "x".to_owned())].into();
    assert!(Format::json(&unknown).unwrap_err().found.contains("clint"));
}

#[test]
fn templates_are_read() {
    let cases = [
        (
            r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_authorization" ${cookie_sid} kid=$jwt_claim_kid"#,
            r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "a \x22b\x22" "Bearer x" s1 kid=k1"#,
            r#"2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=a \"b\" 200 bytes=5 header:authorization=Bearer x cookie:sid=s1 id:jwt_claim_kid=k1"#,
        ),
        (
            "$remote_addr [$time_local] $own_request $status $body_bytes_sent $http_referer $http_user_agent $tw_id",
            r"192.0.2.1 [10/Oct/2000:13:55:36 -0700] GET /a 404 b HTTP/1.1 200 5 - a b c tw1_0f",
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/a 404 b version=1.1 agent=a b c 200 bytes=5 id:tw_id=tw1_0f",
        ),
        (
            "$msec|$remote_addr|$request_method|$scheme|$host$uri$is_args$args|$status|$upstream_addr|$http_user_agent",
            "1795453833.537|192.0.2.1|GET|https|example.org/p?q=1|200|10.0.0.1:80, 10.0.0.2:80|a|b",
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p?q=1 agent=a|b host=example.org scheme=https 200",
        ),
        (
            r#"%v:%p %a %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%400,501{User-Agent}i\" \"%{Authorization}i\" %{TW_ID}e %{UNIQUE_ID}e %%"#,
            r#"example.org:80 192.0.2.1 - ann lee [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "a \"b\"" "Basic eA==" id-1 u-1 %"#,
            r#"2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 agent=a \"b\" user=ann lee host=example.org 200 bytes=5 header:authorization=Basic eA== id:TW_ID=id-1 field=u-1"#,
        ),
        (
            "%h %{%Y-%m-%dT%H:%M:%S%z}t \"%m %U%q %H\" %<s %b %D",
            "192.0.2.1 2000-10-10T13:55:36-0700 \"GET /a?b HTTP/1.1\" 200 - 1234",
            "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/a?b version=1.1 200",
        ),
    ];
    for (template, line, expected) in cases {
        assert_eq!(read(&Format::template(template).unwrap(), line), expected, "{template}");
    }
}

#[test]
fn a_template_line_cut_short_is_read_as_far_as_it_goes() {
    let format = Format::nginx(
        r#"$remote_addr [$time_local] "$request" $status "$http_user_agent" $request_id"#,
    )
    .unwrap();
    let begin = "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1";
    let whole = r#"192.0.2.1 [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 "agent" r1"#;
    assert_eq!(read(&format, whole), format!("{begin} agent=agent 200"));
    assert_eq!(read(&format, &whole[..whole.len() - 5]), format!("{begin} agent=agen 200"));
    assert_eq!(read(&format, &whole[..60]), "60: ' \"' after $status / ' '");
    assert_eq!(read(&format, "192.0.2.1 [x] \"\" 200"), "12: a time / 'x'");
    assert_eq!(read(&format, "x"), "2: ' [' after $remote_addr / the end of the line");
}

#[test]
fn half_a_secret_is_no_token() {
    let begin = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;
    let line =
        format!(r#"{begin} "https://example.org/?api_key=exk_1234" "agent" "Bearer exk_1234""#);
    let format = Format::preset("combined").unwrap();
    for cut in begin.len()..line.len() {
        let text = read(&format, &line[..cut]);
        let referer = text.matches("api_key=exk_1234 ").count();
        assert_eq!(text.matches("exk").count(), referer, "{text}");
    }
    assert_eq!(read(&format, &line).matches("exk_1234").count(), 2);
    // A truncated user agent is still its beginning; and a quote before two line ends closes nothing.
    let agent = line.find("agent").unwrap();
    assert!(read(&format, &line[..agent + 3]).contains("agent=age"));
    assert_eq!(read(&format, &format!("{line}\r")).matches("exk_1234").count(), 1);
    let npm = Format::preset("npm").unwrap();
    let line = r#"[10/Oct/2000:13:55:36 -0700] - 200 200 - GET https example.org "/" [Client 192.0.2.1] [Length 5] [Gzip -] [Sent-to 192.0.2.9] "agent" "https://example.org/?api_key=exk_1234""#;
    assert_eq!(read(&npm, line).matches("exk_1234").count(), 1, "{}", read(&npm, line));
    assert!(!read(&npm, &line[..line.len() - 1]).contains("exk"));
}

#[test]
fn a_template_line_that_ends_behind_a_quote_has_no_quote_in_its_value() {
    let template =
        r#"$remote_addr [$time_local] "$request" $status "$http_x_api_key" $request_time"#;
    let format = Format::nginx(template).unwrap();
    let begin = r#"192.0.2.1 [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200"#;
    let said = "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 200";
    let expected = format!("{said} header:x-api-key=exk_1");
    assert_eq!(read(&format, &format!(r#"{begin} "exk_1""#)), expected);
    // Half a secret is no token.
    assert_eq!(read(&format, &format!(r#"{begin} "exk_1"#)), said);
    assert!(read(&format, &format!(r#"{begin} "exk_1"x"#)).contains(" / "));
}

#[test]
fn a_template_line_with_more_than_an_address_for_the_client_does_not_fit() {
    let format = Format::nginx(r#"$remote_addr [$time_local] "$request" $status"#).unwrap();
    let line = r#"192.0.2.1 - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200"#;
    assert_eq!(read(&format, line), "1: an address or a name / '1'");
}

#[test]
fn a_gateways_id_in_a_header_of_the_answer_is_an_id() {
    let template = "$remote_addr [$time_local] $status $upstream_http_x_token_id";
    let format = Format::nginx(template).unwrap();
    let line = "192.0.2.1 [10/Oct/2000:13:55:36 -0700] 200 k-17";
    assert!(read(&format, line).ends_with("200 id:x_token_id=k-17"), "{}", read(&format, line));
}

#[test]
fn a_quoted_value_at_a_templates_end_takes_nothing_of_what_stands_behind() {
    let format =
        Format::nginx(r#"$remote_addr [$time_local] "$request" $status "$http_referer""#).unwrap();
    let begin =
        r#"192.0.2.1 [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 "http://a/?api_key=k""#;
    assert!(format.parse(begin.as_bytes()).is_ok());
    let reject = format.parse(format!(r#"{begin} "curl""#).as_bytes()).unwrap_err();
    assert_eq!(
        (reject.column, reject.expected.as_ref()),
        (begin.len() + 1, "the end of the line, where the template ends")
    );
    let short = Format::nginx("$remote_addr [$time_local] $status").unwrap();
    let line = "192.0.2.1 [10/Oct/2000:13:55:36 -0700] 200 512";
    assert_eq!(read(&short, line), "43: the end of the line, where the template ends / ' '");
}

#[test]
fn a_time_of_a_template_keeps_its_zone() {
    let format = Format::nginx("$remote_addr $time_local $request_method $uri $status").unwrap();
    let line = "192.0.2.1 10/Oct/2000:13:55:36 -0700 GET /x 200";
    assert!(read(&format, line).starts_with("2000-10-10T20:55:36Z client=192.0.2.1 method=GET"));
}

#[test]
fn brackets_of_another_program_are_no_error_log() {
    for line in [
        "[2026-03-05 10:20:30 +0000] [7] [INFO] 203.0.113.9 said GET /x",
        "[2026-03-05 10:20:30] [INFO] Authorization: Bearer x",
        "[05/Mar/2026:10:20:30 +0000] [main] GET /x?api_key=k 200",
    ] {
        assert!(preset("auto").parse(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn a_variable_named_token_was_taken_for_an_id() {
    let begin = "192.0.2.1 [10/Oct/2000:13:55:36 -0700] 200";
    let id = "tw1_0123456789abcdef0123456789abcdef";
    for format in [
        Format::nginx("$remote_addr [$time_local] $status $token").unwrap(),
        Format::template("%h %t %>s %{TOKEN}n").unwrap(),
    ] {
        let said = read(&format, &format!("{begin} abc-123"));
        assert!(said.ends_with("200 header:token=abc-123"), "{said}");
        let said = read(&format, &format!("{begin} {id}")).to_lowercase();
        assert!(said.ends_with(&format!("200 id:token={id}")), "{said}");
    }
}

#[test]
fn a_template_that_prints_json_is_read_as_json() {
    let format = Format::nginx(r#"{"t":"$time_iso8601","who":{"ip":"$remote_addr"},"r":"$request","s":$status,"a":"$http_authorization","tid":"$tw_id","k":"v"}"#).unwrap();
    let line = r#"{"t":"2000-10-10T20:55:36+00:00","who":{"ip":"192.0.2.1"},"r":"GET / HTTP/1.1","s":200,"a":"Bearer x","tid":"tw1_0f","k":"v"}"#;
    assert_eq!(
        read(&format, line),
        "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/ version=1.1 200 header:authorization=Bearer x id:tw_id=tw1_0f"
    );
}

#[test]
fn template_faults_name_the_column() {
    let cases = [
        ("$remote_addr$time_local", 13, "$time_local with"),
        ("$remote_addr [$time_local] ${status", 28, "'$'"),
        ("$remote_addr $status", 1, "no variable for the time"),
        ("%h %t %Z", 7, "%Z"),
        ("%h %t %", 7, "'%' at the end"),
        ("%h %{%Y}t", 4, "%{%Y}t"),
        ("%h %{nonsense %Q}t", 4, "%{nonsense %Q}t"),
        ("%h%t%r", 6, "no fault"),
        ("", 1, "no variable for the time"),
        ("{\"a\":\"$status\"}", 1, "no variable for the time"),
    ];
    for (template, column, found) in cases {
        match Format::template(template) {
            Ok(_) => assert_eq!(found, "no fault", "{template}"),
            Err(fault) => {
                assert!(fault.found.starts_with(found), "{template}: {fault}");
                assert_eq!(fault.column, column, "{template}: {fault}");
            }
        }
    }
}

#[test]
fn every_preset_exists_and_has_its_name() {
    for (name, what) in Format::presets() {
        assert_eq!(preset(name).name(), name);
        assert!(!what.is_empty());
    }
    assert_eq!(preset("combined").name(), "apache-combined");
    assert!(Format::preset("combind").is_none());
}

#[test]
fn a_guess_names_the_preset_that_most_lines_fit() {
    let combined = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1""#;
    let common = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;
    let cases = [
        (vec![], "auto", 0),
        (vec!["", "# comment"], "auto", 0),
        (vec!["x"], "auto", 1),
        (vec![combined, combined, common, "x"], "nginx-combined", 1),
        (vec![common], "common", 0),
        (vec![r#"{"ts":1,"uri":"/","remote_addr":"192.0.2.1"}"#], "nginx-json", 0),
        (vec![r#"{"ts":1,"request":{"uri":"/","method":"GET"}}"#], "caddy-json", 0),
        (vec![r#"{"ts":1,"path":"/"}"#], "json", 0),
        (
            vec![
                r#"192.0.2.1:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
            ],
            "haproxy",
            0,
        ),
    ];
    for (lines, name, rejected) in cases {
        let guess = guess(lines.iter().map(|line| line.as_bytes()));
        assert_eq!((guess.name, guess.rejected), (name, rejected), "{lines:?}");
    }
}

/// The directory `../shared/NAME` next to the repository, if it exists.
fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.ancestors().map(|dir| dir.join("shared").join(name)).find(|dir| dir.is_dir())
}

fn real_lines(file: &str) -> Vec<String> {
    let Some(dir) = shared("recipes/real-proxy-logs") else { return Vec::new() };
    let text = std::fs::read(dir.join(file)).unwrap();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[test]
fn what_real_servers_wrote_is_read() {
    for file in [
        "ap-auth",
        "ap-tw",
        "ap-vhost",
        "caddy",
        "caddy2",
        "ha",
        "ng-auth",
        "ng-combined",
        "ng-hmac",
        "ng-json",
        "ng-prefix",
    ] {
        for line in real_lines(&format!("{file}.log")) {
            let record = read(&preset("auto"), &line);
            assert!(
                record.starts_with("2026-11-23T17:1") && record.contains("client=127.0.0.1"),
                "{record}\n{line}"
            );
            let is_request = line.contains("GET");
            assert_eq!(record.contains("method=GET target=/"), is_request, "{record}\n{line}");
            if line.contains("evil") {
                assert!(record.contains(r#"evil \"q"#), "{record}\n{line}");
            }
            for id in [
                "tw1_e72ab087281c9e371d43de6784010c4e",
                "Bearer sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz",
                "id:jti=abc-123",
            ] {
                assert!(!line.contains(id) || record.contains(id), "{record}\n{line}");
            }
        }
    }
    for line in real_lines("caddy-out.log") {
        assert!(preset("auto").parse(line.as_bytes()).is_err(), "{line}");
    }
    for line in real_lines("ap-error.log") {
        let notice = preset("auto").parse(line.as_bytes()).expect(&line).into_owned();
        assert!(notice.time.is_some() && notice.target.is_none(), "{line}");
    }
}

#[test]
fn the_recipes_templates_read_what_their_servers_wrote() {
    let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    let apache = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#;
    let cases = [
        ("ng-auth.log", format!("{combined} \"$http_authorization\"")),
        ("ng-combined.log", combined.to_owned()),
        ("ng-prefix.log", format!("{} token=\"$tw_prefix\"", combined.replace("$request", "$tw_request"))),
        ("ng-hmac.log", "$remote_addr - $remote_user [$time_local] $tw_request $status $body_bytes_sent $http_referer $http_user_agent $tw_id".to_owned()),
        ("ng-json.log", r#"{"time":"$time_iso8601","msec":$msec,"remote_addr":"$remote_addr","request":"$request","status":$status,"ua":"$http_user_agent","authz":"$http_authorization"}"#.to_owned()),
        ("ap-auth.log", format!("{apache} \\\"%{{Authorization}}i\\\"")),
        ("ap-tw.log", apache.replace("%r", "%m %U %H") + " \\\"%{TW_PREFIX}e\\\" \\\"%{X-TW-Id}i\\\""),
        ("ap-vhost.log", format!("%v:%p {}", apache.replace("%b", "%B"))),
    ];
    for (file, template) in cases {
        let format = Format::template(&template).unwrap();
        for line in real_lines(file) {
            let auto = preset("auto");
            let (by_template, by_auto) =
                (format.parse(line.as_bytes()).unwrap(), auto.parse(line.as_bytes()).unwrap());
            let without_fields =
                |record: Record<'_>| shown(&Record { fields: Vec::new(), host: None, ..record });
            assert_eq!(without_fields(by_template), without_fields(by_auto), "{line}");
        }
    }
}

fn quotable() -> impl Strategy<Value = String> {
    "[ -~é]{1,30}".prop_filter("an absent value", |text| text != "-")
}

/// Escapes a text like nginx.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => write!(out, "\\x{byte:02X}").unwrap(),
            _ => out.push(char::from(byte)),
        }
        out
    })
}

pub(super) fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|t| std::str::from_utf8(t).unwrap())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        client in any::<u32>().prop_map(std::net::Ipv4Addr::from),
        user in "[a-z][a-z.@ ]{0,10}[a-z]",
        seconds in 0i64..4_000_000_000,
        path in "/[!-~]{0,30}",
        (status, bytes) in (100u16..600, any::<u64>()),
        (referer, agent, authorization) in (quotable(), quotable(), quotable()),
    ) {
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%d/%b/%Y:%H:%M:%S %z");
        let line = format!(
            "{client} - {user} [{time}] \"GET {} HTTP/1.1\" {status} {bytes} \"{}\" \"{}\" \"Bearer {}\"",
            escaped(&path), escaped(&referer), escaped(&agent), escaped(&authorization),
        );
        let template = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_authorization""#;
        for format in [preset("auto"), preset("nginx-combined"), Format::nginx(template).unwrap()] {
            let record = format.parse(line.as_bytes()).unwrap();
            prop_assert_eq!(record.client, Some(client.into()));
            prop_assert_eq!(record.time.map(|t| t.seconds()), Some(seconds));
            prop_assert_eq!((record.status, record.bytes), (Some(status), Some(bytes)));
            prop_assert_eq!(text(&record.user), Some(&user[..]));
            prop_assert_eq!(text(&record.target), Some(&path[..]));
            prop_assert_eq!(text(&record.referer), Some(&referer[..]));
            prop_assert_eq!(text(&record.agent), Some(&agent[..]));
            let bearer = format!("Bearer {authorization}");
            prop_assert_eq!(record.fields.first().map(|(_, t)| &t[..]), Some(bearer.as_bytes()));
        }
    }

    #[test]
    fn no_line_makes_it_panic_and_columns_stay_inside(line in prop::collection::vec(any::<u8>(), 0..200)) {
        check_every_format(&line);
    }

    #[test]
    fn a_damaged_line_does_not_make_it_panic(which in 0usize..17, cut in 0usize..400, at in 0usize..400, byte in any::<u8>()) {
        let lines = [
            r#"<190>Oct 11 22:14:15 host nginx: 192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a\x22 HTTP/1.1" 200 5 "-" "c/1" kid="k" [x]"#,
            r#"192.0.2.1:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 {a#22|b} {} "GET / HTTP/1.1" 0/-/-/-/0 -/-/-"#,
            r#"{"ts":1795453903.98,"request":{"uri":"/","headers":{"Authorization":["x"]}},"http.request.method":"GET"}"#,
            r#"{"log":"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /\" 200 5\n","stream":"stdout"}"#,
            r#"<165>1 2026-11-23T17:10:33.003Z host nginx 7 - [a b="\"]"] 192.0.2.1 - - [-] "-" - -"#,
            "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] GET / HTTP/1.1 200 5 - c/1 tw1_0f",
            r#"["x"] 192.0.2.1 - "ann" [11/23/2026:13:55:36 -0000] (3 s) "GET / HTTP/1.1" 200 5 "-" "c/1" "h""#,
            r#"[2026-11-23T17:10:33.537Z] "GET / HTTP/2" 200 - via_upstream - "-" 1 2 3 4 "192.0.2.1" "c/1" "r" "h" "10.0.0.9:80" in|80|| 10.0.0.8:1 10.0.0.7:80 192.0.2.1:0 - default kid=k"#,
            r#"h2 2026-11-23T17:10:33.537001Z app/lb/1 192.0.2.1:1 - -1 -1 -1 200 - 3 4 "GET https://h:443/ HTTP/2.0" "c/1" ECDHE TLSv1.3 arn "Root=1""#,
            r#"2026-11-23T17:10:33.537001Z lb 192.0.2.1:1 10.0.0.9:80 0.1 0.1 0.1 200 200 3 4 "GET http://h:80/ HTTP/1.1" "c/1" - -"#,
            r#"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47e0001 b [23/Nov/2026:17:10:33 +0000] 192.0.2.1 - 3E REST.GET k "GET / HTTP/1.1" 200 - 1 - 7 - "-" "c/1" - h= SigV4 E A h TLSv1.2"#,
            "1795453833.537     12 192.0.2.1 TCP_MISS/200 12 GET http://h/a b - HIER_DIRECT/203.0.113.9 - [Authorization: %42earer x%0D%0A] []",
            r#"[23/Nov/2026:17:10:33 +0000] - 502, 200 200 - GET https h "/\x22" [Client 192.0.2.1] [Length 5] [Gzip -] [Sent-to a] "c/1" "-""#,
            r#"[23/Nov/2026:17:10:33 +0000] h 192.0.2.1 0.1 "GET / HTTP/2.0" 200 1 2 - c/1 (x)"#,
            "h [pid: 1|app: 0|req: 3/2] 192.0.2.1 () {1 vars in 2 bytes} [Mon Nov 23 17:10:33 2026] GET / => generated 4 bytes in 3 msecs (HTTP/1.1 200) 9",
            "2026/11/23 17:10:33 [2026-11-23 17:10:33.537001] [router:x] [origin:h] [client: 192.0.2.1] [useragent: c] GET / 200",
            "2026-11-23T17:10:33.5Z stdout F \x1b[32mINFO\x1b[0m:     192.0.2.1:5 - \"\x1b[1mGET / HTTP/1.1\x1b[0m\" \x1b[32m200 OK",
        ];
        let mut line = lines[which].as_bytes().to_vec();
        line.truncate(cut);
        if let Some(place) = line.get_mut(at) {
            *place = byte;
        }
        check_every_format(&line);
    }
}

fn check_every_format(line: &[u8]) {
    let fields = [("client".to_owned(), "request.x".to_owned())].into();
    let formats = Format::presets().map(|(name, _)| preset(name)).chain([
        Format::template(r#"$remote_addr [$time_local] $request $status "$http_cookie" $http_user_agent $request_id"#).unwrap(),
        Format::template("%h %t %r %>s %{User-Agent}i %{x}e").unwrap(),
        Format::template("%h %r %{%A %Z %B}t%{%c}t %{usec_frac}t %>s %{x}e").unwrap(),
        Format::template("log_format m escape=none '$msec $request_uri $arg_a \"$http_cookie\" \"$tw_id\"'").unwrap(),
        Format::json(&fields).unwrap(),
    ]);
    for format in formats {
        if let Err(reject) = format.parse(line) {
            assert!(
                1 <= reject.column && reject.column <= line.len() + 1,
                "{}: {reject:?}",
                format.name()
            );
        }
    }
}

#[test]
fn hostile_lines_of_64_kib_are_read_to_an_answer() {
    let key = "request.".repeat(8 * 1024);
    check_every_format(format!("{{\"{key}\":1,\"http.{key}\":{{}}}}").as_bytes());
    let head = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "#;
    for piece in PIECES {
        let tail = piece.repeat(64 * 1024 / piece.len());
        check_every_format(tail.as_bytes());
        check_every_format(format!("{head}{tail}").as_bytes());
        check_every_format(format!("{head}\"{tail}\"").as_bytes());
        check_every_format(format!("{}{tail}", &head[..44]).as_bytes());
    }
    for (head, piece) in [
        ("[2026-11-23T17:10:33.537Z] \"GET /\" 200 - 1 2 3 4 ", "\" \""),
        ("[2026-11-23T17:10:33.537Z] \"GET /", "\" 2"),
        ("[2026-11-23T17:10:33.537Z] \"GET /", "\" 200 - \"x\" 1 2 3 "),
        ("[2026-11-23T17:10:33.537Z] \"GET /\" 200 - 1 2 3 4 \"192.0.2.1\" \"", ", 1.1.1.1\" \""),
        ("[2026-11-23T17:10:33.537Z] \"GET /\" 200 - 1 2 3 4 \"192.0.2.1\" \"", " x=\"y\""),
        ("http 2026-11-23T17:10:33Z a 192.0.2.1:1 - 0 0 0 200 - 0 0 \"GET /", "\" - - "),
        ("1795453833.537 12 192.0.2.1 TCP_MISS/200 12 GET ", "a "),
        ("1795453833.537 12 192.0.2.1 TCP_MISS/200 12 GET / - NONE/- - [", "a:%0D%0A"),
        ("[23/Nov/2026:17:10:33 +0000] ", "- 200 "),
        ("[pid: 1] 192.0.2.1 () {} [Mon Nov 23 17:10:33 2026] GET ", " => generated "),
    ] {
        check_every_format(format!("{head}{}", piece.repeat(64 * 1024 / piece.len())).as_bytes());
    }
}

/// A field of a corpus row that differs between the record and the row.
fn wrong(record: &Record<'_>, expect: &serde_json::Value) -> Option<String> {
    let text =
        |text: &Option<Text<'_>>| text.as_ref().map(|t| String::from_utf8_lossy(t).into_owned());
    let target = record
        .target
        .as_ref()
        .map(|t| t.escape_ascii().to_string().replace("\\\\", "\\").replace("\\'", "'"));
    let target = target.map(|t| match t.find("://") {
        Some(at) if !t.starts_with('/') && !t[..at].contains('?') => {
            t[at + 3..].find('/').map_or("/".to_owned(), |p| t[at + 3 + p..].to_owned())
        }
        _ => t,
    });
    let path = target.as_deref().map(|t| t.split('?').next().unwrap().to_owned());
    let have = [
        ("client_ip", record.client.map(|c| c.to_string())),
        ("method", text(&record.method)),
        ("path", path),
        ("status", record.status.map(|s| s.to_string())),
        ("bytes", record.bytes.map(|b| b.to_string())),
        ("referer", text(&record.referer)),
        ("user_agent", text(&record.agent)),
        ("host", text(&record.host).map(|h| h.split(':').next().unwrap().to_owned())),
        ("user", text(&record.user)),
        ("time_utc", record.time.map(|t| t.seconds().to_string())),
    ];
    have.into_iter().find_map(|(key, have)| {
        let want = match expect.get(key)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) if key == "time_utc" => {
                super::time::read(text.as_bytes()).map(|t| t.at.seconds().to_string())
            }
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        (want != have).then(|| format!("{key}: {want:?}, got {have:?}"))
    })
}

#[test]
fn other_projects_real_lines_are_read_right() {
    let Some(dir) = shared("corpora") else { return };
    let auto = preset("auto");
    let (mut right, mut asked) = (0, 0);
    for group in [
        "awstats__clf",
        "crowdsec_hub__apache2",
        "crowdsec_hub__bunkerweb",
        "crowdsec_hub__caddy_json",
        "crowdsec_hub__clf_no_assert",
        "crowdsec_hub__haproxy",
        "crowdsec_hub__nginx",
        "crowdsec_hub__nginx_proxy_manager",
        "crowdsec_hub__npmplus",
        "crowdsec_hub__traefik",
        "crowdsec_hub__traefik_json",
        "elastic_examples__apache_combined",
        "fail2ban__apache_access",
        "fail2ban__haproxy_http",
        "envoy_docs__envoy_default",
        "fail2ban__nginx_access",
        "fail2ban__squid",
        "fail2ban__traefik_access",
        "haproxy_docs__haproxy_http",
        "lnav__caddy_json",
        "lnav__clf",
        "lnav__cloudflare_json",
        "logstash_patterns_core__apache_combined",
        "logstash_patterns_core__aws_elb_classic",
        "logstash_patterns_core__aws_s3_access",
        "logstash_patterns_core__haproxy_http",
        "logstash_patterns_core__squid",
        "matomo__apache_combined",
        "matomo__apache_vhost_combined",
        "matomo__aws_alb",
        "matomo__aws_elb_classic",
        "matomo__traefik_json",
        "nginxlog_exporter__clf",
        "ossec__clf",
        "traefik__traefik_clf",
        "vrl__apache_combined",
        "vrl__aws_alb",
        "vrl__apache_common",
        "vrl__clf",
        "vrl__nginx_combined",
        "vrl__nginx_ingress_upstreaminfo",
        "vrl__nginx_main",
    ] {
        let Ok(rows) = std::fs::read_to_string(dir.join(format!("{group}.jsonl"))) else {
            continue;
        };
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let Some(line) = row["line"].as_str() else { continue };
            let parsed = auto.parse(line.as_bytes());
            let fault = match (row["verdict"].as_str(), parsed) {
                (Some("parse"), Ok(record)) => wrong(&record, &row["expect"]),
                (Some("parse"), Err(reject)) => Some(format!("{}: {reject}", reject.column)),
                (Some("reject"), Ok(record)) => {
                    Some(format!("should be rejected: {}", shown(&record)))
                }
                _ => continue,
            };
            asked += 1;
            right += usize::from(fault.is_none());
            if let Some(fault) = fault {
                println!("{group}: {fault}\n    {line}");
            }
        }
    }
    println!("{right} of {asked}");
    assert!(right * 100 >= asked * 98, "{right} of {asked}");
}

/// The lines of `tests/formats/NAME.log`.
fn format_log(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let log = std::fs::read(folder.join(format!("{name}.log"))).expect(name);
    log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn every_format_is_recognised_by_itself_and_read_as_by_its_name() {
    let auto = preset("auto");
    for (name, _) in
        Format::presets().filter(|(name, _)| !["auto", "apache-combined"].contains(name))
    {
        let lines = format_log(name);
        let look = guess(lines.iter().map(Vec::as_slice));
        assert_eq!((look.name, look.rejected), (name, 0));
        let mut columns = Columns::default();
        for line in &lines {
            columns.note(line);
            if auto.is_silent(line) {
                continue;
            }
            // Traefik's preset knows the meaning of unnamed fields, so there is nothing to compare.
            let named = |format: &Format| {
                let mut record = format.parse_under(line, &columns).expect(name).into_owned();
                record.fields.retain(|(field, _)| *field != FieldName::Unnamed);
                record
            };
            let record = named(&preset(name));
            assert_eq!(named(&auto), record, "{name}");
            let is_request = record.target.is_some() || name == "lighttpd-error";
            assert!(record.time.is_some() && is_request, "{name}: {record:?}");
        }
    }
}
