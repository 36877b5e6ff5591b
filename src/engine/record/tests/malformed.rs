//! What clients send that is no request, and fields with quotes and brackets in them.

use super::*;

/// The parts of a record that no noise in the request may move.
fn around(record: &Record<'_>) -> (String, i64, u16) {
    let client = record.client.unwrap().to_string();
    (client, record.time.unwrap().seconds(), record.status.unwrap())
}

/// 2 March 2026, 08:00 UTC.
const EIGHT: i64 = 1_772_438_400;

#[test]
fn what_is_no_request_is_marked_and_its_address_time_and_status_are_right() {
    let noise = [
        // A TLS handshake on a plain port, as nginx and Apache escape it.
        (r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 400),
        (r#"\x16\x03\x01\x00\xee\"\b\v\n\t "[] 200 5 \"-\""#, 400),
        // Gh0st, SOCKS, SSH, SMB, WebLogic's T3.
        (r"Gh0st\xAD\x00\x00\x00\xE0\x00\x00\x00x\x9CKS``\x98", 400),
        (r"\x05\x01\x00", 400),
        ("SSH-2.0-Go", 400),
        (r"\x00\x00\x00\xA4\xFFSMBr\x00\x00\x00\x00\x08\x01@", 400),
        (r"t3 12.1.2\x0a", 400),
        // A method that is none, or nothing behind it.
        (r"\x22GET\x22 /v1 HTTP/1.1", 405),
        ("%22GET%22 /v1 HTTP/1.1", 400),
        ("HELP", 501),
        ("GET ", 400),
    ];
    for (nth, (request, status)) in noise.iter().enumerate() {
        let line = format!(
            "192.0.2.{nth} - - [02/Mar/2026:08:00:{nth:02} +0000] \"{request}\" {status} 157 \"-\" \"-\""
        );
        for name in ["auto", "nginx-combined"] {
            let format = preset(name);
            let record = format.parse(line.as_bytes()).expect(&line);
            let seconds = EIGHT + i64::try_from(nth).unwrap();
            assert_eq!(around(&record), (format!("192.0.2.{nth}"), seconds, *status), "{line}");
            assert!(record.is_malformed && record.method.is_none(), "{line}");
            assert_eq!(text(&record.target), Some(*request), "{line}");
            assert_eq!(record.bytes, Some(157), "{line}");
        }
    }
}

#[test]
fn an_absent_request_is_not_marked() {
    for request in ["-", ""] {
        let line =
            format!("192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"{request}\" 400 0 \"-\" \"-\"");
        let record = preset("auto").parse(line.as_bytes()).expect(&line).into_owned();
        assert_eq!(around(&record), ("192.0.2.7".to_owned(), EIGHT, 400));
        assert!(!record.is_malformed && record.target.is_none(), "{line}");
    }
}

#[test]
fn quotes_and_brackets_in_a_field_leave_the_others_where_they_are() {
    let cases = [
        (r#"GET /a?q=\"x\"&n=1 HTTP/1.1"#, r#"/a?q="x"&n=1"#, r#"say \"hi\""#, r#"say "hi""#),
        ("GET /a?q=%22x%22 HTTP/1.1", "/a?q=%22x%22", "c/1", "c/1"),
        (r"GET /a?q=\x22x\x22 HTTP/1.1", r#"/a?q="x""#, r"c\x22/1", r#"c"/1"#),
        (r#"GET /a"b HTTP/1.1"#, r#"/a"b"#, "c/1", "c/1"),
        ("GET /[a](b]) HTTP/1.1", "/[a](b])", "x] [y", "x] [y"),
        ("GET /a[02/Mar/2027:09:00:00 HTTP/1.1", "/a[02/Mar/2027:09:00:00", "[", "["),
    ];
    for (request, target, logged, agent) in cases {
        let line = format!(
            "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"{request}\" 404 157 \"-\" \"{logged}\""
        );
        let record = preset("auto").parse(line.as_bytes()).expect(&line).into_owned();
        assert_eq!(around(&record), ("192.0.2.7".to_owned(), EIGHT, 404), "{line}");
        assert_eq!((text(&record.target), text(&record.agent)), (Some(target), Some(agent)));
        assert!(!record.is_malformed, "{line}");
    }
}

#[test]
fn an_objects_key_named_request_is_marked_only_where_it_is_all_there_is() {
    let cases = [
        (r#""request":"\u0016\u0003\u0001","request_method":"""#, true),
        (r#""request":"GET /a HTTP/1.1""#, false),
        (r#""request":"/a""#, false),
        (r#""request":"job 7 begins","path":"/a""#, false),
        (r#""request":"job 7 begins","method":"GET""#, false),
    ];
    for (keys, is_malformed) in cases {
        let line = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","remote_addr":"192.0.2.7","status":400,{keys}}}"#
        );
        let record = preset("json").parse(line.as_bytes()).expect(&line).into_owned();
        assert_eq!(around(&record), ("192.0.2.7".to_owned(), EIGHT, 400), "{line}");
        assert_eq!(record.is_malformed, is_malformed, "{line}");
    }
}

#[test]
fn what_haproxy_could_not_read_is_marked_and_what_it_cut_is_not() {
    let head = "192.0.2.7:1 [02/Mar/2026:08:00:00.000] f b/s 0/0/0/0/0";
    for (end, is_malformed) in [
        ("400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"", true),
        ("200 1 - - ---- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"", false),
        ("200 1 - - ---- 1/1/0/0/0 0/0 \"GE", false),
    ] {
        let line = format!("{head} {end}");
        let record = preset("haproxy").parse(line.as_bytes()).expect(&line).into_owned();
        assert_eq!(record.is_malformed, is_malformed, "{line}");
    }
}

#[test]
fn what_haproxy_could_not_read_was_marked_in_no_format_but_its_own() {
    let line = r#"192.0.2.7 [02/Mar/2026:08:00:00 +0000] "<BADREQ>" 400"#;
    let object = |keys: &str| {
        format!(
            r#"{{"time":"2026-03-02T08:00:00Z","remote_addr":"192.0.2.7","status":400,{keys}}}"#
        )
    };
    let json = preset("json");
    for (format, line) in [
        (&Format::template(r#"$remote_addr [$time_local] "$request" $status"#).unwrap(), line),
        (&Format::template(r#"%h %t "%r" %>s"#).unwrap(), line),
        (&json, &object(r#""request":"<BADREQ>""#)),
    ] {
        let record = format.parse(line.as_bytes()).expect(line).into_owned();
        assert_eq!(around(&record), ("192.0.2.7".to_owned(), EIGHT, 400), "{line}");
        assert!(record.is_malformed && record.target.is_none(), "{line}");
    }
    for keys in [r#""request":"<BADREQ>","path":"/a""#, r#""path":"/a","request":"<BADREQ>""#] {
        let record = json.parse(object(keys).as_bytes()).expect(keys).into_owned();
        assert_eq!((record.is_malformed, text(&record.target)), (false, Some("/a")), "{keys}");
    }
}

#[test]
fn what_a_load_balancer_could_not_read_is_marked_and_a_connection_is_not() {
    let time = "2026-03-02T08:00:00.000000Z";
    let request = format!(
        r#"http {time} app/lb/1 192.0.2.7:4711 - -1 -1 -1 400 - 34 0 "- http://api.example.org:80- -" "-" - -"#
    );
    let connection = format!(r#"{time} lb 192.0.2.7:4711 - -1 -1 -1 - - 82 305 "- - - " "-" - -"#);
    for (line, is_malformed) in [(request, true), (connection, false)] {
        let record = preset("auto").parse(line.as_bytes()).expect(&line).into_owned();
        assert_eq!(record.is_malformed, is_malformed, "{line}");
        assert!(record.target.is_none(), "{line}");
    }
}
