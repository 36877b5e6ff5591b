//! Credentials in targets and referers.

use super::*;

#[test]
fn a_parameter_that_the_log_has_apart_is_one_of_the_query() {
    let template = "$msec $status $request_uri $arg_access_token";
    let format = Format::template(template).unwrap();
    for uri in ["/v1?a=b".to_owned(), format!("/v1?access_token={RANDOM}&a=b"), "-".to_owned()] {
        let line = format!("1795453833 200 {uri} {RANDOM}");
        let record = format.parse(line.as_bytes()).unwrap();
        let mut sightings = Vec::new();
        Finder::new(&names()).find(&record, &mut sightings);
        assert_eq!(sightings.len(), 1, "{uri}");
        assert_eq!(shown(&record), "query:access_token opaque", "{uri}");
    }
}

fn find_in_targets(cases: &[(String, &str)]) {
    for (target, expected) in cases {
        assert_eq!(shown(&with_target(target)), *expected, "{target}");
    }
}

#[test]
fn credentials_are_found_in_queries() {
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    find_in_targets(&[
        (format!("/v1?access_token={STRIPE}"), "query:access_token stripe-live"),
        (format!("/v1?a=b&access%5Ftoken={RANDOM}#x"), "query:access_token opaque"),
        (format!("/v1?AccessToken={RANDOM}"), "query:AccessToken opaque"),
        (format!("/v1?my_key={RANDOM}"), "query:my_key opaque"),
        ("/v1?my_key=abcd".into(), "query:my_key opaque"),
        ("/v1?access_token=hunter2!".into(), "query:access_token opaque"),
        ("/v1?access_token=hunter2".into(), ""),
        ("/v1?access_token=[redacted]&x=1".into(), ""),
        ("/v1?access_token=%5Bredacted%5D".into(), ""),
        ("/v1?access_token=e3b0c442".into(), ""),
        ("/v1?access_token=9f86d081".into(), "query:access_token reference"),
        ("/v1?access_token=".into(), ""),
        ("/v1?access_token".into(), ""),
        ("/v1?password=hunter2".into(), "query:password password"),
        (format!("/v1?key={RANDOM}"), "query:key opaque"),
        ("/v1?key=aaaabbbbaaaabbbb".into(), ""),
        ("/v1?key=short".into(), ""),
        (format!("/v1?color={RANDOM}"), ""),
        (format!("/v1?color={STRIPE}"), "query:color stripe-live"),
        (format!("/v1?{STRIPE}"), "query:other stripe-live"),
        (format!("/v1?{STRIPE}={STRIPE}"), "query:other stripe-live"),
        (format!("/v1?color={jwt}"), "query:color jwt"),
        (format!("/callback?code={RANDOM}&state={jwt}"), ""),
        (format!("/form?csrf_token={RANDOM}&_token={RANDOM}"), ""),
        ("".into(), ""),
        ("?".into(), ""),
        ("&=&=?=".into(), ""),
    ]);
}

#[test]
fn keys_of_azure_and_3scale_were_missed() {
    // Thirty-two hex digits that repeat so much that a likely name would not do.
    let key = "11112222333344445555666677778888";
    find_in_targets(&[
        (format!("/v1?subscription-key={key}"), "query:subscription-key opaque"),
        (format!("/v1?user_key={RANDOM}"), "query:user_key opaque"),
        (format!("/v1?consumer_key=ck_{RANDOM}"), "query:consumer_key opaque"),
        (format!("/v1?developerKey={RANDOM}"), "query:developerKey opaque"),
        ("/v1?user_key=JIRAUSER10101".into(), ""),
        ("/v1?user_key=6ba7b810".into(), ""),
        ("/v1?consumer_key=web-frontend".into(), ""),
        ("/v1?subscription-key=***".into(), ""),
        ("/v1?subscription=0123456789abcdef0123456789abcdef".into(), ""),
        ("/v1?appid=0123456789abcdef0123456789abcdef&app_id=80a4e03b".into(), ""),
    ]);
}

#[test]
fn a_token_was_missed_if_a_space_or_quote_stood_behind_it() {
    for end in [" foo", "\n", "\t", "\"", "'", "<b>", ">", ";x", "%20foo", "%22", "%3Cb"] {
        let query = format!("/x?access_token={STRIPE}{end}");
        assert_eq!(usages(&with_target(&query))[0].token, id(STRIPE), "{end}");
        let query = format!("/x?access_token={RANDOM}{end}&y=1");
        assert_eq!(usages(&with_target(&query))[0].token, id(RANDOM), "{end}");
        let referer = format!("https://a/?access_token={RANDOM}{end}");
        assert_eq!(usages(&with_referer(&referer))[0].token, id(RANDOM), "{end}");
        let path = format!("/x;jsessionid={RANDOM}{end}");
        assert_eq!(usages(&with_target(&path))[0].token, id(RANDOM), "{end}");
    }
    for quoted in ["\"T\"", "'T'", "%22T%22"] {
        let query = format!("/x?access_token={}", quoted.replace('T', RANDOM));
        assert_eq!(usages(&with_target(&query))[0].token, id(RANDOM), "{quoted}");
    }
    find_in_targets(&[
        (format!("/files/{STRIPE} foo"), "path:segment stripe-live"),
        (format!("/x?{STRIPE} foo"), "query:other stripe-live"),
        ("/x?access_token=hunter2 and more of it".into(), ""),
        ("/x?access_token=<redacted>".into(), ""),
    ]);
    let password = usages(&with_target("/x?password=open%20sesame"))[0].token;
    assert_eq!(password, id("open sesame"));
}

#[test]
fn a_token_was_missed_behind_a_list_name_a_semicolon_or_an_encoded_sign() {
    find_in_targets(&[
        (format!("/x?access_token[]={RANDOM}"), "query:access_token[] opaque"),
        (format!("/x?access_token%5B0%5D={RANDOM}"), "query:access_token[0] opaque"),
        (format!("/x?my_key[2]={RANDOM}"), "query:my_key[2] opaque"),
        (format!("/x?user[password]={RANDOM}"), "query:user[password] password"),
        (format!("/x?x=1;access_token={RANDOM}"), "query:access_token opaque"),
        (format!("/x?access_token={RANDOM};x=1"), "query:access_token opaque"),
        (format!("/x?access_token%3D{RANDOM}"), "query:access_token opaque"),
        (format!("/x?x=1&access%5Ftoken%3d{RANDOM}"), "query:access_token opaque"),
        (format!("/x?color%3D{RANDOM}"), ""),
        (format!("/x?{STRIPE}%3D"), "query:other stripe-live"),
        (format!("/x?form[_token]={RANDOM}"), ""),
    ]);
}

#[test]
fn userinfo_was_missed_in_a_target_without_a_scheme() {
    find_in_targets(&[
        (format!("kim:{RANDOM}@a:443"), "userinfo basic"),
        (format!("kim:{RANDOM}@[2001:db8::1]:443"), "userinfo basic"),
        ("a.example.org:443".into(), ""),
        ("ann@a.example.org:443".into(), ""),
        ("mailto:ann@example.org".into(), ""),
        ("/a:b@c".into(), ""),
        ("@".into(), ""),
    ]);
    let usage = &usages(&with_target(&format!("kim:{RANDOM}@a:443")))[0];
    assert!(!serde_json::to_string(usage).unwrap().contains(RANDOM));
}

#[test]
fn credentials_are_found_in_signed_and_nested_urls() {
    find_in_targets(&[
        (format!("/f?sig={RANDOM}&X-Amz-Signature={RANDOM}&X-Amz-Security-Token={RANDOM}"), ""),
        (
            "/f?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261123%2Fus-east-1%2Fs3%2Faws4_request"
                .into(),
            "query:X-Amz-Credential aws-access-key",
        ),
        (
            format!("/login?next=https%3A%2F%2Fexample.org%2Fp%3Fapi_key%3D{RANDOM}"),
            "query:api_key opaque",
        ),
        (format!("/login?next=/p?api_key={RANDOM}"), "query:api_key opaque"),
        (
            format!("/login?next=https://example.org/?next=https://example.org/?api_key={RANDOM}"),
            "",
        ),
    ]);
}

#[test]
fn credentials_are_found_in_paths_and_before_hosts() {
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    find_in_targets(&[
        (format!("/app;jsessionid={RANDOM}/x"), "path:jsessionid opaque"),
        (format!("/app;v=1;jsessionid={RANDOM}?x=1"), "path:jsessionid opaque"),
        (format!("/files/{STRIPE}/x"), "path:segment stripe-live"),
        (format!("/files/{jwt}"), "path:segment jwt"),
        (format!("/bot12345678:A{}/getMe", "b4".repeat(17)), "path:segment telegram-bot"),
        (
            "/services/T0123ABCD/B0123ABCD/q8Wz3Lp0Vt6Yc1NbDk5M".into(),
            "path:slack-webhook slack-webhook",
        ),
        ("/services/list/of/all/the/services/here".into(), ""),
        ("https://ann:hunter2@example.org/".into(), "userinfo basic"),
        ("https://ann@example.org/".into(), ""),
        ("https://ann:****@example.org/".into(), ""),
        (format!("https://{STRIPE}@example.org/"), "userinfo stripe-live"),
        (format!("https://example.org/?token={RANDOM}"), "query:token opaque"),
        ("/v1/items?limit=5".into(), ""),
        ("/a/rather/long/path/without/any/secret/in/it".into(), ""),
    ]);
}

#[test]
fn a_referer_is_read_like_a_target() {
    let cases = [
        (format!("https://example.org/?access_token={RANDOM}"), "referer:access_token opaque"),
        (format!("https://example.org/#access_token={RANDOM}"), "referer:access_token opaque"),
        (format!("https://example.org/;jsessionid={RANDOM}"), "referer:jsessionid opaque"),
        ("https://ann:hunter2@example.org/".into(), "referer:userinfo basic"),
        (
            format!("https://example.org/?u=https%3A%2F%2Fa%2F%3Ftoken%3D{RANDOM}"),
            "referer:token opaque",
        ),
        ("https://example.org/search?q=token".into(), ""),
        ("-".into(), ""),
    ];
    for (referer, expected) in cases {
        assert_eq!(shown(&with_referer(&referer)), expected, "{referer}");
    }
}

#[test]
fn credentials_in_the_words_of_agents_and_referers_were_missed() {
    let agents = [
        (format!("curl Bearer {STRIPE}"), "header:user-agent stripe-live"),
        (format!("Authorization: Bearer {RANDOM}"), "header:user-agent opaque"),
        ("x Basic dXNlcjpwYXNz".into(), "header:user-agent basic"),
        (format!("x (+https://a/?access_token={RANDOM})"), "header:user-agent opaque"),
        (format!("x (+https://ann:{RANDOM}@a/)"), "header:user-agent basic"),
        (format!("x access_token={RANDOM}; y"), "header:user-agent opaque"),
        ("Mozilla/5.0 (compatible; x/2.1; +http://example.org/bot.html)".into(), ""),
        ("Bearer of news, Basic authentication".into(), ""),
    ];
    for (agent, expected) in agents {
        let record = Record { agent: Some(text(&agent)), ..blank() };
        assert_eq!(shown(&record), expected, "{agent}");
    }
    let referer = format!("curl Bearer {RANDOM}");
    assert_eq!(shown(&with_referer(&referer)), "referer:bearer opaque");
}
