//! What the values of a template's variables mean, and where each ends.

use super::*;

#[test]
fn further_upstreams_shifted_the_fields_behind_them() {
    let head = "198.51.100.3 [12/Mar/2025:10:11:12 +0000] \"GET /x HTTP/1.1\" 200";
    let known = "2025-03-12T10:11:12Z client=198.51.100.3 method=GET target=/x version=1.1";
    let cases = [
        (
            "$upstream_addr $upstream_response_time $http_x_api_key",
            "192.0.2.1:80, 192.0.2.2:80 0.1, 0.2 exk_1",
            " 200 header:x-api-key=exk_1",
        ),
        (
            "$upstream_addr ${upstream_status} $body_bytes_sent",
            "192.0.2.1:80, 192.0.2.2:80 : unix:/run/a 502, 200 : 200 77",
            " 200 bytes=77",
        ),
        ("$upstream_addr $body_bytes_sent", "192.0.2.1:80 :  77", " 200 bytes=77"),
        ("$upstream_addr $body_bytes_sent", "- 77", " 200 bytes=77"),
        ("$body_bytes_sent $upstream_response_time", "77 0.1, 0.2 : 0.3", " 200 bytes=77"),
        (
            "$body_bytes_sent ut=$upstream_header_time, $http_x_api_key",
            "77 ut=0.1, exk_1",
            " 200 bytes=77 header:x-api-key=exk_1",
        ),
        (
            "$http_user_agent $upstream_addr $body_bytes_sent",
            "c/1 (x) 192.0.2.1:80, - : - 77",
            " agent=c/1 (x) 200 bytes=77",
        ),
        ("$http_user_agent $upstream_response_time", "c/1 (x) 0.1, 0.2", " agent=c/1 (x) 200"),
        ("$upstream_addr $body_bytes_sent", "192.0.2.1:80, 192.0", " 200"),
    ];
    for (fields, values, more) in cases {
        let template = format!("$remote_addr [$time_local] \"$request\" $status {fields}");
        assert_eq!(
            read_by(&template, &format!("{head} {values}")),
            format!("{known}{more}"),
            "{fields}"
        );
    }
}

#[test]
fn words_behind_a_last_list_do_not_fit() {
    let read = read_by("$msec $status $upstream_addr", "1795453833.537 200 192.0.2.1:80, - exk_1");
    assert!(read.contains("the end of the line"), "{read}");
}

#[test]
fn the_status_before_a_redirect_hid_the_final_one() {
    for statuses in ["%s %>s", "%<s %>s"] {
        let read = read_by(&format!("%t {statuses}"), "[23/Nov/2026:17:10:33 +0000] 302 404");
        assert_eq!(read, "2026-11-23T17:10:33Z 404", "{statuses}");
    }
    for statuses in ["%>s %s", "%>s %<s"] {
        let read = read_by(&format!("%t {statuses}"), "[23/Nov/2026:17:10:33 +0000] 404 302");
        assert_eq!(read, "2026-11-23T17:10:33Z 404", "{statuses}");
    }
}

#[test]
fn a_literal_that_came_too_late_was_taken_for_a_wrong_value() {
    for (template, line, expected) in [
        (
            "$remote_addr [$time_local] $status",
            "203.0.113.7 - bob [28/Nov/2026:17:10:33 +0000] 200",
            "12: ' [' after $remote_addr / ' '",
        ),
        (
            "$remote_addr [$time_local] $status [$body_bytes_sent]",
            "203.0.113.7 [28/Nov/2026:17:10:33 +0000] 200 512 [7]",
            "45: ' [' after $status / ' '",
        ),
        // The value itself is wrong.
        (
            "$remote_addr [$time_local] $status [$body_bytes_sent]",
            "203.0.113.7 [28/Nov/2026:17:10:33 +0000] ok 512 [7]",
            "42: a status / 'o'",
        ),
    ] {
        let read = read_by(template, line);
        assert!(read.contains(expected), "{read}");
    }
}

#[test]
fn a_parameter_that_the_log_has_apart_stands_in_the_query() {
    let template = "$remote_addr $msec $status $request_uri $arg_access_token $arg_page";
    let begin = "192.0.2.1 1795453833.537 200";
    let said = "2026-11-23T17:10:33.537Z client=192.0.2.1 target=";
    for (rest, target) in [
        ("/a exk_1 -", "/a?access_token=exk_1"),
        ("/a - -", "/a"),
        ("/a exk_1 2", "/a?access_token=exk_1&page=2"),
        ("/a?access_token=exk_1 exk_1 -", "/a?access_token=exk_1"),
        ("/a?page=2&Access_Token=exk_1&x exk_1 2", "/a?page=2&Access_Token=exk_1&x"),
        ("/a?access_token=[redacted] exk_1 -", "/a?access_token=[redacted]&access_token=exk_1"),
        ("/a?my_access_token=exk_1 exk_1 -", "/a?my_access_token=exk_1&access_token=exk_1"),
        ("/a?access_token=exk_12 exk_1 -", "/a?access_token=exk_12&access_token=exk_1"),
        ("- exk_1 -", "?access_token=exk_1"),
    ] {
        let line = format!("{begin} {rest}");
        assert_eq!(read_by(template, &line), format!("{said}{target} 200"), "{line}");
    }
}

#[test]
fn what_a_variable_tells_of_the_client_and_its_token_is_kept() {
    let time = "1795453833 200";
    for (variable, value, expected) in [
        ("$proxy_protocol_addr", "192.0.2.9", "client=192.0.2.9"),
        ("$realip_remote_addr", "192.0.2.9", "client=192.0.2.9"),
        ("$ssl_server_name", "a.example.org", "host=a.example.org"),
        ("$https", "on", "scheme=https"),
        ("$jwt_claim_sub", "user-17", "id:sub=user-17"),
        ("$jwt_claim_azp", "web", "id:client_id=web"),
        ("$jwt_claim_jti", "j-1", "id:jti=j-1"),
        ("$jwt_claim_username", "ann", "user=ann"),
        ("$cookie_sid", "s1", "cookie:sid=s1"),
        ("$http_x_api_key", "exk_1", "header:x-api-key=exk_1"),
        ("$sent_http_x_token_id", "k-17", "id:x_token_id=k-17"),
        ("%{X-Token-Id}o", "k-17", "id:X-Token-Id=k-17"),
        ("%{VCL_Log:token_id}x", "k-17", "id:token_id=k-17"),
        ("%{X-Api-Key}^ti", "exk_1", "header:x-api-key=exk_1"),
        ("%{HTTPS}e", "on", "scheme=https"),
        ("%{SSL_TLS_SNI}x", "a.example.org", "host=a.example.org"),
        ("%^FB", "17", ""),
        ("%({authorization}i)s", "exk_1", "header:authorization=exk_1"),
        ("%({wsgi.url_scheme}e)s", "https", "scheme=https"),
        ("%(a)s", "curl/8", "agent=curl/8"),
        ("%(M)s", "17", ""),
    ] {
        let begin = if variable.starts_with('$') { "$msec $status" } else { "%{sec}t %>s" };
        let read = read_by(&format!("{begin} {variable}"), &format!("{time} {value}"));
        let words: Vec<&str> = read.split(' ').filter(|word| *word != "200").collect();
        assert_eq!(words[1..].join(" "), expected, "{variable}: {read}");
    }
}

#[test]
fn json_keys_named_after_nginx_variables_tell_what_these_do() {
    let line = r#"{"msec":"1795453833.537","uri":"/a","status":200,"arg_api_key":"exk_1","jwt_claim_sub":"user-17"}"#;
    for name in ["nginx-json", "auto"] {
        assert_eq!(
            read(&preset(name), line),
            "2026-11-23T17:10:33.537Z target=/a?api_key=exk_1 200 id:sub=user-17"
        );
    }
}
