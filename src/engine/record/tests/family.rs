//! The common-log family, HAProxy, error logs, and what a reject says.

use super::*;

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
fn brackets_of_another_program_are_no_error_log() {
    for line in [
        "[2026-03-05 10:20:30 +0000] [7] [INFO] 203.0.113.9 said GET /x",
        "[2026-03-05 10:20:30] [INFO] Authorization: Bearer x",
        "[05/Mar/2026:10:20:30 +0000] [main] GET /x?api_key=k 200",
    ] {
        assert!(preset("auto").parse(line.as_bytes()).is_err(), "{line}");
    }
}
