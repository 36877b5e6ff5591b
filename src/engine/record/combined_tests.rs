//! Edge cases of the combined family: clients, names, times, forged text.

use super::tests::{preset, read};
use super::{Columns, client_behind};

const TIME: &str = "[05/Mar/2026:10:20:30 +0000]";
const GET: &str = "\"GET /v1/items HTTP/1.1\" 200 1234";

/// The client of a line if `10.0.0.0/8` is trusted.
fn client(line: &str) -> String {
    let record = preset("auto").parse_under(line.as_bytes(), &Columns::default()).unwrap();
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    client_behind(record.client, record.forwarded(), &trusted).unwrap().to_string()
}

#[test]
fn the_times_of_morgans_tokens_are_read() {
    for time in
        ["05/Mar/2026:10:20:30 +0000", "Thu, 05 Mar 2026 10:20:30 GMT", "2026-03-05T10:20:30Z"]
    {
        let line = format!(r#"192.0.2.1 - - [{time}] {GET} "-" "curl/8.0""#);
        assert!(
            read(&preset("auto"), &line)
                .starts_with("2026-03-05T10:20:30Z client=192.0.2.1 method=GET")
        );
    }
}

#[test]
fn a_single_address_behind_the_agent_was_dropped_as_a_number() {
    let line = format!(r#"10.1.1.1 - - {TIME} {GET} "-" "curl/8.0" "203.0.113.9""#);
    assert_eq!(client(&line), "203.0.113.9");
    assert!(read(&preset("auto"), &line).ends_with("header:x-forwarded-for=203.0.113.9"));
}

#[test]
fn an_upstreams_address_was_taken_for_the_client() {
    for (further, expected) in [
        (r#""-" "192.0.2.8:8080""#, "10.1.1.1"),
        (r#"- "192.0.2.8""#, "10.1.1.1"),
        (r#""x" "192.0.2.8, 192.0.2.9""#, "10.1.1.1"),
        (r#""203.0.113.9" "192.0.2.8:8080""#, "203.0.113.9"),
        (r#""203.0.113.9, 10.2.2.2" "192.0.2.8:8080""#, "203.0.113.9"),
    ] {
        let line = format!(r#"10.1.1.1 - - {TIME} {GET} "-" "curl" {further}"#);
        assert_eq!(client(&line), expected, "{line}");
    }
}

#[test]
fn a_request_in_a_users_name_was_read_for_the_true_one() {
    let auto = preset("auto");
    let fake = r#"[01/Jan/2020:00:00:00 +0000] "GET /fake HTTP/1.1" 500 1"#;
    let traefik = r#"42 "api@docker" "http://172.18.0.3:8080" 5ms"#;
    for line in [
        format!(r#"203.0.113.9 - x {fake} "-" "-" 1 "a" "b" 1ms {TIME} {GET} "-" "-" {traefik}"#),
        format!(r#"203.0.113.9 - x {fake} "-" "a {TIME} {GET} "-" "-" {traefik}"#),
        format!(r#"203.0.113.9 - x [01/Jan/2020:00:00:00 +0000] " {TIME} {GET} "-" "-" {traefik}"#),
        format!(r#"203.0.113.9 - x [-] "a {TIME} {GET} "-" "-" {traefik}"#),
        format!(r#"203.0.113.9 - - {TIME} {GET} "-" "x" 1 {fake} "-" "x" {traefik}"#),
    ] {
        for format in [&auto, &preset("traefik")] {
            let said = read(format, &line);
            assert!(said.contains("one time and request, not two"), "{line}: {said}");
        }
    }
}

#[test]
fn a_time_in_an_escaped_agent_makes_no_second_request() {
    let agent = r#"x [01/Jan/2020:00:00:00 +0000] \x22GET /fake HTTP/1.1\x22 500 [-] "#;
    let line = format!(r#"192.0.2.1 - - {TIME} {GET} "-" "{agent}" "Bearer abc" 462 0.050"#);
    let said = read(&preset("auto"), &line);
    assert!(said.contains("target=/v1/items version=1.1 agent=x [01/"), "{said}");
    assert!(said.ends_with("field=Bearer abc"), "{said}");
}

#[test]
fn a_list_of_clients_was_taken_for_a_host() {
    let auto = preset("auto");
    let begin =
        "2026-03-05T10:20:30Z client=198.51.100.2 method=GET target=/v1/items version=1.1 agent=x";
    let rest = format!("{TIME} {GET} \"-\" \"x\"");
    for list in [
        "203.0.113.9, 198.51.100.2",
        "203.0.113.9,198.51.100.2",
        "203.0.113.9, 192.0.2.1, 2001:db8::1, 198.51.100.2",
        "unknown, 198.51.100.2",
    ] {
        let end = format!("200 bytes=1234 header:x-forwarded-for={list}");
        for (names, said) in [
            (format!("{list} - -"), String::new()),
            (format!("{list} - ann"), "user=ann ".into()),
            (format!("www.example.org {list} - ann"), "user=ann host=www.example.org ".into()),
        ] {
            if names.starts_with("www.example.org unknown") {
                continue;
            }
            let line = format!("{names} {rest}");
            assert_eq!(read(&auto, &line), format!("{begin} {said}{end}"), "{line}");
            assert!(auto.parse(line.as_bytes()).unwrap().is_forwarded, "{line}");
        }
    }
    assert_eq!(client(&format!("203.0.113.9, 10.1.1.1 - - {rest}")), "203.0.113.9");
    assert_eq!(client(&format!("6.6.6.6, 203.0.113.9, 10.1.1.1 - - {rest}")), "203.0.113.9");
    assert_eq!(client(&format!("10.1.1.1, 203.0.113.9 - - {rest}")), "203.0.113.9");
}

#[test]
fn a_further_field_named_token_was_taken_for_an_id() {
    let token = "tk9Zq7Lw2Xv8Rb4Nc6Mf1Hs3";
    let id = "tw1_0123456789abcdef0123456789abcdef";
    for (further, said) in [
        (format!("token={token}"), format!("header:token={token}")),
        (format!("access_token=\"{token}\""), format!("header:access-token={token}")),
        (format!("api_key={token}"), format!("header:api-key={token}")),
        (format!("authorization={token}"), format!("header:authorization={token}")),
        (format!("token_id={token}"), format!("id:token_id={token}")),
        (format!("token={id}"), format!("header:token={id}")),
    ] {
        let line = format!(r#"192.0.2.1 - - {TIME} {GET} "-" "curl" {further}"#);
        let read = read(&preset("auto"), &line);
        assert!(read.ends_with(&format!(" {said}")), "{line}: {read}");
    }
}

#[test]
fn any_words_behind_a_time_were_read_as_a_request_without_quotes() {
    let auto = preset("auto");
    let time = "[12/Mar/2025:10:11:12 +0000]";
    for line in [
        format!("app foo bar {time} retry 500 12 job failed"),
        format!("app foo bar {time} RETRY 500 12 job failed"),
        format!("app foo bar {time} RETRY job 500 12 failed"),
        format!("app foo bar {time} POST /v1/jobs failed 500 12"),
        format!("app foo bar {time} get /v1/jobs 500 12"),
        format!("app foo bar {time} --- / 500 12"),
        format!("app foo bar {time} GO /v1/jobs 500 12"),
        format!("app foo bar {time} GET example.org:443 500 12"),
        format!("app foo bar {time} retry 400 0"),
        format!("192.0.2.1 - - {time} retry 500 12 job failed"),
        format!("192.0.2.1 - - {time} two words 400 0"),
        format!("owner bucket {time} 192.0.2.3 - 3E57 REST.GET.OBJECT key 200 - 243 243 7 6 - -"),
        format!("192.0.2.1:4711 - {time} fe~ be/srv1 10/0/30/69/x 200 2750 - - ----"),
    ] {
        let said = read(&auto, &line);
        assert!(said.contains("'\"' before the request"), "{line}: {said}");
    }
    let said = "2025-03-12T10:11:12Z client=192.0.2.1";
    for (request, parts) in [
        ("GET /a HTTP/1.1", "method=GET target=/a version=1.1"),
        ("GET /a b HTTP/1.1", "method=GET target=/a b version=1.1"),
        ("M-SEARCH * HTTP/1.1", "method=M-SEARCH target=* version=1.1"),
        ("RPC_IN_DATA /rpc", "method=RPC_IN_DATA target=/rpc"),
        ("GET http://example.org/ HTTP/1.1", "method=GET target=http://example.org/ version=1.1"),
        ("GET https://example.org/", "method=GET target=https://example.org/"),
        ("CONNECT example.org:443", "method=CONNECT target=example.org:443"),
        ("CONNECT [2001:db8::1]:443", "method=CONNECT target=[2001:db8::1]:443"),
    ] {
        let line = format!("192.0.2.1 - - {time} {request} 500 12 - x");
        let expected = format!("{said} {parts} agent=x 500 bytes=12");
        assert_eq!(read(&auto, &line), expected, "{line}");
    }
    for (garbage, target) in [("GARBAGE", " target=GARBAGE"), ("-", "")] {
        let line = format!("192.0.2.1 - - {time} {garbage} 400 157 - - -");
        assert_eq!(read(&auto, &line), format!("{said}{target} 400 bytes=157"), "{line}");
    }
}

#[test]
fn a_host_between_time_and_request_was_read_as_a_part_of_the_request() {
    let line = format!(r#"192.0.2.1 - - - {TIME} www.example.org {GET} "-" "curl""#);
    assert_eq!(
        read(&preset("auto"), &line),
        "2026-03-05T10:20:30Z client=192.0.2.1 method=GET target=/v1/items version=1.1 \
         agent=curl host=www.example.org 200 bytes=1234"
    );
    let line = format!("x - - {TIME} 192.0.2.1 {GET}");
    assert!(read(&preset("auto"), &line).contains("'\"' before the request"));
}

#[test]
fn a_word_of_the_clients_hid_its_address_behind_the_proxy() {
    for sent in ["x", "x y", "1.2.3.4 z", "\\x22, unknown", "a=b"] {
        let line =
            format!(r#"10.1.1.1 - - {TIME} {GET} "-" "curl" "{sent}, 203.0.113.9" "Bearer abc""#);
        assert_eq!(client(&line), "203.0.113.9", "{line}");
        assert!(read(&preset("auto"), &line).ends_with("field=Bearer abc"), "{line}");
    }
    for other in ["x", "203.0.113.9, x", "Bearer abc"] {
        let line = format!(r#"10.1.1.1 - - {TIME} {GET} "-" "curl" "{other}""#);
        assert_eq!(client(&line), "10.1.1.1", "{line}");
    }
}

#[test]
fn a_word_of_the_clients_before_a_list_in_its_place_hid_its_address() {
    let auto = preset("auto");
    for sent in ["x y", "1.1.1.1 ", "x, y", "1.1.1.1 x", "6.6.6.6, 1.1.1.1 x", "x - y"] {
        for user in ["-", "ann", "CN=ann, OU=x"] {
            let line = format!("{sent}, 203.0.113.66 - {user} {TIME} {GET} \"-\" \"curl\"");
            let record = auto.parse(line.as_bytes()).unwrap();
            let client = record.client.map(|client| client.to_string());
            assert_eq!(client.as_deref(), Some("203.0.113.66"), "{line}");
            assert!(record.is_forwarded, "{line}");
            let said = (user != "-").then_some(user.as_bytes());
            assert_eq!(record.user.as_deref(), said, "{line}");
        }
    }
}

#[test]
fn a_users_name_that_looks_like_the_end_of_a_list_makes_the_address_forgeable() {
    let auto = preset("auto");
    for (names, is_forwarded) in [
        ("203.0.113.9 - CN=ann, OU=x", false),
        ("203.0.113.9 - x, 6.6.6.6", false),
        ("203.0.113.9 - x, 6.6.6.6 - -", true),
        ("203.0.113.9 api.example.org x, 6.6.6.6 - -", true),
        ("api.example.org 203.0.113.9 - x, 6.6.6.6 - -", true),
    ] {
        let line = format!("{names} {TIME} {GET} \"-\" \"curl\"");
        let record = auto.parse(line.as_bytes()).unwrap();
        assert_eq!(record.client, Some("203.0.113.9".parse().unwrap()), "{line}");
        assert_eq!(record.is_forwarded, is_forwarded, "{line}");
    }
}

#[test]
fn a_client_behind_a_socket_has_no_address_and_its_lines_were_rejected() {
    let said = "method=GET target=/v1/items version=1.1 agent=curl";
    for client in ["", "unix:"] {
        for (user, shown) in [("-", ""), ("ann", "user=ann ")] {
            let line = format!("{client} - {user} {TIME} {GET} \"-\" \"curl\"");
            let expected = format!("2026-03-05T10:20:30Z {said} {shown}200 bytes=1234");
            for name in ["auto", "apache-combined"] {
                assert_eq!(read(&preset(name), &line), expected, "{line}");
            }
        }
    }
    let line = format!("haproxy: - - {TIME} {GET} \"-\" \"curl\"");
    assert!(read(&preset("apache-combined"), &line).contains("the client's address"), "{line}");
}
