//! Envelopes, and JSON with the keys of many programs.

use super::*;

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
fn white_space_at_a_lines_edge_lost_its_last_field() {
    let combined = r#"192.0.2.1 - - [05/Mar/2026:10:20:30 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" "Bearer abc""#;
    let logfmt = "time=2026-03-05T10:20:30Z method=GET path=/ status=200 token=abcdefgh";
    let json = r#"{"time":"2026-03-05T10:20:30Z","uri":"/","status":200,"http_authorization":"Bearer abc"}"#;
    let syslog = format!("<158>1 2026-03-05T10:20:30Z host nginx 1 - - {combined}");
    let docker = format!(
        "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"2026-03-05T10:20:30Z\"}}",
        serde_json::Value::from(format!("{combined}\r\r\n"))
    );
    let auto = preset("auto");
    assert_eq!(read(&auto, &docker), read(&auto, combined));
    for line in [combined, logfmt, json, &syslog] {
        let expected = read(&auto, line);
        for end in ["\r", "\r\r", " ", "\t", " \r"] {
            // A tab may end an empty column, and is only taken off behind a quote.
            if end == "\t" && line == logfmt {
                continue;
            }
            let line = format!("{line}{end}");
            assert_eq!(read(&auto, &line), expected, "{line:?}");
        }
    }
    let template = Format::template(r#"$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_authorization""#).unwrap();
    let line = format!("  {combined}\r");
    assert!(read(&template, &line).ends_with("header:authorization=Bearer abc"), "{line:?}");
    // Programs indent what continues a message: only a format that the site has named begins behind spaces.
    let indented = format!("    {combined}");
    assert_eq!(read(&preset("nginx-combined"), &indented), read(&auto, combined));
    assert!(auto.parse(indented.as_bytes()).is_err());
    assert!(auto.parse(format!("\t{json}").as_bytes()).is_err());
}

#[test]
fn a_byte_order_mark_hid_the_first_client() {
    let mark = "\u{feff}";
    let combined =
        r#"192.0.2.1 - - [05/Mar/2026:10:20:30 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;
    let json = r#"{"time":"2026-03-05T10:20:30Z","uri":"/","status":200}"#;
    let auto = preset("auto");
    for line in [combined, json] {
        assert_eq!(read(&auto, &format!("{mark}{line}")), read(&auto, line));
    }
    let broken = auto.parse("192.0.2.1 - - x".as_bytes()).unwrap_err();
    let marked = format!("{mark}192.0.2.1 - - x");
    assert_eq!(auto.parse(marked.as_bytes()).unwrap_err().column, broken.column + mark.len());
    let mut columns = Columns::default();
    let fields = format!("{mark}#Fields: date time c-ip cs-uri-stem sc-status");
    columns.note(fields.as_bytes());
    assert!(auto.is_silent(fields.as_bytes()));
    let record = auto.parse_under(b"2026-03-02 09:00:00 192.0.2.7 / 200", &columns).unwrap();
    assert_eq!(record.client, Some("192.0.2.7".parse().unwrap()));
}
