//! Formats that are given as a template: which lines fit, and where they do not.

use super::*;

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
    // A truncated user agent is still its beginning.
    let agent = line.find("agent").unwrap();
    assert!(read(&format, &line[..agent + 3]).contains("agent=age"));
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
    assert_eq!(read(&format, line), "10: ' [' after $remote_addr / ' '");
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
fn a_log_with_no_address_but_the_forwarded_one_had_no_client() {
    let rest = r#"- - [23/Nov/2026:17:10:33 +0000] "GET / HTTP/1.1" 200 5"#;
    let apache = r#"LogFormat "%{X-Forwarded-For}i %l %u %t \"%r\" %>s %b" proxied"#;
    let nginx = r#"$http_x_forwarded_for - - [$time_local] "$request" $status $body_bytes_sent"#;
    let peer = apache.replace("%l", "%h");
    let of = |template: &str, line: &str| {
        let record =
            Format::template(template).unwrap().parse(line.as_bytes()).unwrap().into_owned();
        (record.client.map(|client| client.to_string()), record.is_forwarded)
    };
    let forwarded = |client: &str| (Some(client.to_owned()), true);
    for template in [apache, nginx] {
        let of = |list: &str| of(template, &format!("{list} {rest}"));
        assert_eq!(of("203.0.113.9"), forwarded("203.0.113.9"), "{template}");
        assert_eq!(of("6.6.6.6, 203.0.113.9"), forwarded("203.0.113.9"), "{template}");
        assert_eq!(of("-"), (None, false), "{template}");
        assert_eq!(of("203.0.113.9, unknown"), (None, false), "{template}");
        // A client that ends its list with a comma made the line unreadable.
        assert_eq!(of("203.0.113.9,"), (None, false), "{template}");
    }
    let line = format!("203.0.113.9 {}", rest.replacen('-', "10.0.0.1", 1));
    assert_eq!(of(&peer, &line), (Some("10.0.0.1".to_owned()), false));
    let name = format!("203.0.113.9 {}", rest.replacen('-', "cache.example.org", 1));
    assert_eq!(of(&peer, &name), (None, false), "a name is a peer too");
}

#[test]
fn a_word_of_the_clients_before_the_forwarded_address_shifted_the_fields() {
    let template = r#"%{X-Forwarded-For}i %l %u %t "%r" %>s"#;
    let format = Format::template(template).unwrap();
    let rest = r#"[05/Mar/2026:10:20:30 +0000] "GET / HTTP/1.1" 200"#;
    for (hops, client) in [
        ("203.0.113.9", Some("203.0.113.9")),
        ("6.6.6.6, 203.0.113.9", Some("203.0.113.9")),
        ("x y, 203.0.113.9", Some("203.0.113.9")),
        ("1.1.1.1 , 203.0.113.9", Some("203.0.113.9")),
        ("1.1.1.1 x,203.0.113.9", Some("203.0.113.9")),
        ("-", None),
    ] {
        for user in ["-", "ann"] {
            let line = format!("{hops} - {user} {rest}");
            let record = format.parse(line.as_bytes()).unwrap();
            assert_eq!(record.client, client.map(|client| client.parse().unwrap()), "{line}");
            assert_eq!(record.user.as_deref(), (user == "ann").then_some(&b"ann"[..]), "{line}");
            assert!(record.lack.is_none(), "{line}");
        }
    }
}

#[test]
fn a_line_that_ends_before_its_template_was_not_told() {
    let template = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time "$http_x_api_key" "$http_authorization""#;
    let format = Format::template(template).unwrap();
    let line = r#"203.0.113.9 - - [05/Mar/2026:10:20:30 +0000] "GET /?api_key=exk_1 HTTP/1.1" 200 5 "-" "curl""#;
    for (rest, lack) in [
        ("", Some("the whole $request_time")),
        (" 0.1", Some("the whole $request_time")),
        (r#" 0.1 "-""#, Some("the whole $http_authorization")),
        (r#" garbage garbage2 "x""#, Some("the whole $http_authorization")),
        (r#" 0.1 "-" "Bearer exk_1"#, Some("the whole $http_authorization")),
        (r#" 0.1 "-" "-""#, None),
    ] {
        for envelope in ["", "<158>Mar  5 10:20:30 host nginx: "] {
            let line = format!("{envelope}{line}{rest}");
            let record = format.parse(line.as_bytes()).unwrap();
            assert_eq!(record.target.as_deref(), Some(&b"/?api_key=exk_1"[..]), "{line}");
            let said = record.lack.map(|lack| (lack.column, lack.expected.into_owned()));
            let expected = lack.map(|lack| (line.len() + 1, lack.to_owned()));
            assert_eq!(said, expected, "{line}");
        }
    }
}
