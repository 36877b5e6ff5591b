//! Properties: what is printed is read back, and no line does any harm.

use super::*;

fn quotable() -> impl Strategy<Value = String> {
    "[ -~é]{1,30}".prop_filter("an absent value", |text| text != "-")
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
