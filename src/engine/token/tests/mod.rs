//! Tests of finding and sealing together: records in, usages out.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

mod privacy;

use super::jwt::tests::token as jwt_of;
use super::*;
use crate::engine::record::{Columns, Format};
use crate::engine::secret::SealKey;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Origin, Usage};

/// The key and the token of the recipes for proxies.
const KEY: &[u8] = b"site-key-from-file";
const STRIPE: &str = "sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz";
const STRIPE_ID: &str = "tw1_e72ab087281c9e371d43de6784010c4e";
/// A made-up secret without the shape of any vendor.
const RANDOM: &str = "q8Wz3Lp0Vt6Yc1Nb";

fn names() -> Names {
    Names {
        query: vec!["my-Key".into()],
        cookies: vec!["Session".into()],
        headers: vec!["X-Mine".into()],
        ..Names::default()
    }
}

/// Parses a line for a site with these ids, and returns the sealed ids found.
fn sealed_in(format: Format, ids: &[&str], line: &str) -> Vec<String> {
    let ids: Vec<SmolStr> = ids.iter().map(SmolStr::new).collect();
    let format = format.with_ids(&ids);
    let record = format.parse(line.as_bytes()).unwrap();
    let mut found = Vec::new();
    Finder::new(&Names { ids, ..Names::default() }).find(&record, &mut found);
    let sealed = found.iter().filter_map(|sighting| match &sighting.seen {
        Seen::Sealed(id) => Some(format!("{} {id}", sighting.carrier)),
        _ => None,
    });
    sealed.collect()
}

#[test]
fn an_id_in_a_header_counts_where_the_site_says_so_and_nowhere_else() {
    let traefik = format!(
        r#"{{"ClientHost":"192.0.2.7","RequestMethod":"GET","RequestPath":"/","DownstreamStatus":200,"time":"2026-03-02T08:00:00Z","request_X-Token-Id":"{STRIPE_ID}"}}"#
    );
    let nginx = traefik.replace("request_X-Token-Id", "http_x_token_id");
    let nested = traefik.replace(r#""request_X-Token-Id":"#, r#""headers":{"X-Token-Id":"#) + "}";
    for line in [&traefik, &nginx, &nested] {
        for preset in ["traefik-json", "auto"] {
            let sealed = |ids: &[&str]| sealed_in(Format::preset(preset).unwrap(), ids, line);
            assert_eq!(sealed(&[]), [""; 0], "whoever reads an id could send it: {line}");
            assert_eq!(sealed(&["x-other"]), [""; 0]);
            let found = sealed(&["X_Token-ID"]);
            assert_eq!(found.len(), 1, "{line}");
            assert!(found[0].starts_with("id:") && found[0].ends_with(STRIPE_ID), "{found:?}");
        }
    }
}

#[test]
fn a_field_that_the_site_names_an_id_is_one_whatever_the_format() {
    let json = r#"{"ip":"192.0.2.7","method":"GET","path":"/","status":200,"time":"2026-03-02T08:00:00Z","cred_ref":"ID"}"#;
    let deep = json.replace(r#""cred_ref":"ID""#, r#""request":{"cred_ref":"ID"}"#);
    let stray = json.replace(r#""cred_ref":"ID""#, r#""form":{"cred_ref":"ID"}"#);
    let text = r#"192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 ID"#;
    let nginx = r#"$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "#;
    let apache = r#"%h - - %t "%r" %>s %b "#;
    let auto = || Format::preset("auto").unwrap();
    let template = |text: String| Format::template(&text).unwrap();
    let cases = [
        (auto(), json.to_owned()),
        (auto(), deep),
        (auto(), text.replace("ID", "cred_ref=ID")),
        (auto(), text.replace("ID", "\"-\" \"c/1\" rt=0.1 Cred-Ref=\"ID\"")),
        (
            auto(),
            r#"[2026-03-02T08:00:00.250Z] "GET / HTTP/1.1" 200 - 0 5 3 2 "192.0.2.7" "c"1" "r" "h" "10.0.0.5:80" cred_ref="ID""#.to_owned(),
        ),
        (template(format!("{nginx}$cred_ref")), text.to_owned()),
        (template(format!("{nginx}${{upstream_http_cred_ref}}")), text.to_owned()),
        (template(format!("{nginx}$http_cred_ref")), text.to_owned()),
        (template(format!("{apache}%{{CRED_REF}}e")), text.to_owned()),
        (template(format!("{apache}%{{Cred-Ref}}i")), text.to_owned()),
    ];
    let ids = ["Cred-Ref", "upstream_http_cred_ref"];
    for (format, line) in cases {
        let found = sealed_in(format.clone(), &ids, &line.replace("ID", STRIPE_ID));
        assert_eq!(found.len(), 1, "{line}");
        assert!(found[0].starts_with("id:") && found[0].ends_with(STRIPE_ID), "{found:?}");
        assert_eq!(sealed_in(format, &ids, &line.replace("ID", "-")), [""; 0], "{line}");
    }
    assert_eq!(sealed_in(auto(), &ids, &stray.replace("ID", STRIPE_ID)), [""; 0]);
}

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

fn sealer() -> Sealer {
    Sealer::new(SealKey::new(KEY), &names())
}

fn text(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn blank<'a>() -> Record<'a> {
    Record { time: Some(Timestamp::from_seconds(1_795_453_833)), ..Record::default() }
}

fn with_target(target: &str) -> Record<'_> {
    Record { target: Some(text(target)), ..blank() }
}

fn with_referer(referer: &str) -> Record<'_> {
    Record { referer: Some(text(referer)), ..blank() }
}

fn with_field<'a>(name: FieldName<'a>, value: &'a str) -> Record<'a> {
    Record { fields: vec![(name, text(value))], ..blank() }
}

fn with_header<'a>(name: &'a str, value: &'a str) -> Record<'a> {
    with_field(FieldName::Header(Cow::Borrowed(name)), value)
}

fn usages(record: &Record<'_>) -> Vec<Usage> {
    let (mut sightings, mut out) = (Vec::new(), Vec::new());
    Finder::new(&names()).find(record, &mut sightings);
    sealer().seal(record, &sightings, Origin::default(), "", &mut out);
    out
}

/// `carrier kind`, one for each usage.
fn shown(record: &Record<'_>) -> String {
    let one = |usage: &Usage| format!("{} {}", usage.carrier, usage.kind);
    usages(record).iter().map(one).collect::<Vec<_>>().join(", ")
}

fn id(secret: &str) -> TokenId {
    SealKey::new(KEY).seal(&Secret::new(secret.as_bytes()))
}

fn find_in_targets(cases: &[(String, &str)]) {
    for (target, expected) in cases {
        assert_eq!(shown(&with_target(target)), *expected, "{target}");
    }
}

fn find_in_headers(cases: &[(&str, String, &str)]) {
    for (name, value, expected) in cases {
        let expected = match *expected {
            "" => String::new(),
            kind => format!("header:{name} {kind}"),
        };
        assert_eq!(shown(&with_header(name, value)), expected, "{name}: {value}");
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
    find_in_headers(&[
        ("ocp-apim-subscription-key", key.into(), "opaque"),
        ("user-key", RANDOM.into(), "opaque"),
        ("ocp-apim-trace", "true".into(), ""),
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
        (format!("/x?{STRIPE}%3D"), ""),
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
fn credentials_are_found_behind_their_schemes() {
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    find_in_headers(&[
        ("authorization", format!("Bearer {STRIPE}"), "stripe-live"),
        ("authorization", format!("bearer  {RANDOM}"), "opaque"),
        ("authorization", format!("Bearer {jwt}"), "jwt"),
        ("authorization", format!("Bearer {}", jwt.split('.').next().unwrap()), ""),
        ("authorization", "Bearer".into(), ""),
        ("authorization", "Bearer ****".into(), ""),
        ("authorization", "Bearer [REDACTED]".into(), ""),
        ("authorization", "Bearer undefined".into(), ""),
        ("authorization", "Bearer short".into(), "opaque"),
        ("authorization", "Basic dXNlcjpwYXNz".into(), "basic"),
        ("authorization", "Basic Og==".into(), ""),
        ("authorization", "Basic !!!!".into(), ""),
        ("proxy-authorization", "Basic dXNlcjpwYXNz".into(), "basic"),
        ("authorization", format!("Token {RANDOM}"), "opaque"),
        ("authorization", format!("Token token=\"{RANDOM}\", nonce=\"a\""), "opaque"),
        ("authorization", format!("ApiKey {RANDOM}"), "opaque"),
        ("authorization", format!("Api-Key {RANDOM}"), "opaque"),
        ("authorization", format!("OAuth oauth_token=\"{RANDOM}\",oauth_nonce=\"a\""), "opaque"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0a1b"
                .into(),
            "aws-access-key",
        ),
        ("authorization", "AWS minio:c2ln".into(), "aws-access-key"),
        ("authorization", "Digest username=\"ann\", nonce=\"q8Wz3Lp0Vt6Yc1Nb\"".into(), ""),
        ("authorization", format!("Negotiate {RANDOM}{RANDOM}"), ""),
        ("authorization", RANDOM.into(), "opaque"),
        ("authorization", STRIPE.into(), "stripe-live"),
        ("authorization", format!("Strange {RANDOM}"), "opaque"),
        ("authorization", "Strange thing".into(), ""),
        ("authorization", "9f86d081".into(), "reference"),
        ("authorization", "e3b0c442".into(), ""),
        ("authorization", "-".into(), ""),
        ("authorization", "".into(), ""),
    ]);
}

#[test]
fn credentials_are_found_in_headers_named_after_them() {
    find_in_headers(&[
        ("x-api-key", RANDOM.into(), "opaque"),
        ("x-vault-token", RANDOM.into(), "opaque"),
        ("private-token", RANDOM.into(), "opaque"),
        ("job-token", RANDOM.into(), "opaque"),
        ("x-auth-token", format!("Bearer {RANDOM}"), "opaque"),
        ("x-mine", "abcd".into(), "opaque"),
        ("x-api-key", "xxxxxxxxxxxx".into(), ""),
        ("postman-token", "6f1c9e2e-1f7a-4c4b-9d8a-0123456789ab".into(), ""),
        ("x-csrf-token", RANDOM.into(), ""),
        ("x-amz-security-token", RANDOM.into(), ""),
        ("x-request-id", RANDOM.into(), ""),
        ("x-request-id", STRIPE.into(), "stripe-live"),
    ]);
}

#[test]
fn credentials_are_found_in_cookies_that_are_configured_or_look_like_one() {
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    let cases = [
        ("cookie", format!("a=b; session={RANDOM}; theme=dark"), "cookie:session opaque"),
        ("cookie", format!("PHPSESSID={RANDOM}"), ""),
        ("cookie", format!("id=\"{jwt}\""), "cookie:id jwt"),
        ("cookie", "session=deleted; session=; =; ;".into(), ""),
        ("set-cookie", format!("session={RANDOM}"), ""),
        ("referer", format!("https://example.org/?token={RANDOM}"), "referer:token opaque"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(shown(&with_header(name, &value)), expected, "{name}: {value}");
    }
}

#[test]
fn credentials_are_found_in_other_fields() {
    let jti = || FieldName::Id(Cow::Borrowed("jti"));
    let cookie = |name| FieldName::Cookie(Cow::Borrowed(name));
    let cases = [
        (jti(), STRIPE_ID.to_owned(), "id:jti sealed"),
        (jti(), "tw1_-".into(), ""),
        (jti(), "abc-123".into(), "id:jti reference"),
        (jti(), "sk_live_51H8".into(), "id:jti reference"),
        (jti(), "sk_live_51H8...".into(), "id:jti reference"),
        (jti(), STRIPE.into(), "id:jti stripe-live"),
        (jti(), format!("Bearer {RANDOM}"), "id:jti opaque"),
        (jti(), "7".into(), "id:jti reference"),
        (jti(), "0".into(), ""),
        (jti(), "-".into(), ""),
        (jti(), "...".into(), ""),
        (jti(), "a".repeat(300), ""),
        (FieldName::Unnamed, STRIPE_ID.into(), "field sealed"),
        (FieldName::Unnamed, "tw1_-".into(), ""),
        (FieldName::Unnamed, format!("Bearer {RANDOM}"), "field opaque"),
        (FieldName::Unnamed, "Basic dXNlcjpwYXNz".into(), "field basic"),
        (FieldName::Unnamed, "Token expired for user".into(), ""),
        (FieldName::Unnamed, STRIPE.into(), "field stripe-live"),
        (FieldName::Unnamed, format!("token=\"{STRIPE}\""), "field stripe-live"),
        (FieldName::Unnamed, "token=\"sk_live_51H8\"".into(), ""),
        (FieldName::Unnamed, "jti=abc-123".into(), "id:jti reference"),
        (FieldName::Unnamed, "jti=-".into(), ""),
        (FieldName::Unnamed, format!("id={STRIPE_ID}"), "field sealed"),
        (FieldName::Unnamed, RANDOM.into(), ""),
        (FieldName::Unnamed, "-".into(), ""),
        (cookie("session"), RANDOM.into(), "cookie:session opaque"),
        (cookie("other"), RANDOM.into(), ""),
    ];
    for (name, value, expected) in cases {
        assert_eq!(shown(&with_field(name.clone(), &value)), expected, "{name:?} {value}");
    }
}

#[test]
fn a_token_in_the_place_of_a_user_is_found_by_its_shape() {
    let cases = [
        (STRIPE.into(), "user stripe-live"),
        (jwt_of(r#"{"alg":"HS256"}"#, "{}"), "user jwt"),
        (format!("oauth2:{STRIPE}"), "user stripe-live"),
        (format!("{STRIPE}:x-oauth-basic"), "user stripe-live"),
        (format!("{STRIPE}@example.org"), "user stripe-live"),
        (format!("Bearer {STRIPE}"), "user stripe-live"),
        (format!("Bearer {RANDOM}"), "user opaque"),
        (format!("token {STRIPE}"), "user stripe-live"),
        (STRIPE.replace('_', "%5F"), "user stripe-live"),
        ("ann".into(), ""),
        ("ann lee".into(), ""),
        ("ann.lee@example.org".into(), ""),
        ("Bearer of news".into(), ""),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301".into(), ""),
        (RANDOM.into(), ""),
        ("sk_live_51H8".into(), ""),
        ("%".into(), ""),
    ];
    for (name, expected) in cases {
        let user = Record { user: Some(text(&name)), ..blank() };
        assert_eq!(shown(&user), expected, "{name}");
    }
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

#[test]
fn a_sites_own_name_of_an_id_was_unknown_in_logfmt() {
    let line = format!(
        "time=2026-03-02T08:00:00Z method=GET path=/ status=200 remote_addr=192.0.2.7 cred_ref={STRIPE_ID}"
    );
    for preset in ["logfmt", "auto"] {
        let sealed = |ids: &[&str]| sealed_in(Format::preset(preset).unwrap(), ids, &line);
        assert_eq!(sealed(&["Cred-Ref"]).len(), 1, "{preset}");
        assert_eq!(sealed(&["other"]), [""; 0], "{preset}");
    }
}

#[test]
fn a_sites_own_name_of_an_id_was_unknown_among_columns() {
    let mut columns = Columns::default();
    columns.note(b"#Fields: date time c-ip cs-method cs-uri-stem sc-status X-Cred-Ref");
    let line = format!("2026-03-02 08:00:00 192.0.2.7 GET / 200 {STRIPE_ID}");
    for preset in ["w3c", "auto"] {
        let sealed = |id: &str| {
            let names = Names { ids: vec![id.into()], ..Names::default() };
            let format = Format::preset(preset).unwrap().with_ids(&names.ids);
            let record = format.parse_under(line.as_bytes(), &columns).unwrap();
            let mut found = Vec::new();
            Finder::new(&names).find(&record, &mut found);
            found.iter().filter(|sighting| matches!(sighting.seen, Seen::Sealed(_))).count()
        };
        assert_eq!(sealed("x_cred_ref"), 1, "{preset}");
        assert_eq!(sealed("other"), 0, "{preset}");
        // A part of the record stays one, even if its name is configured as an id.
        assert_eq!(sealed("c-ip"), 0, "{preset}");
    }
}

#[test]
fn ids_are_those_that_proxies_compute() {
    let bearer = format!("Bearer {STRIPE}");
    let query = format!("/v1/items?access_token={STRIPE}&x=1");
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"jti":"abc-123"}"#);
    let cookie = format!("id={jwt}");
    let cases = [
        (with_header("authorization", &bearer), STRIPE_ID.to_owned()),
        (with_target(&query), STRIPE_ID.to_owned()),
        (with_field(FieldName::Unnamed, STRIPE_ID), STRIPE_ID.to_owned()),
        (
            with_header("authorization", "Basic dXNlcjpwYXNz"),
            "tw1_3b23b25f9bae656ebe99deb2fda3a94a".to_owned(),
        ),
        (
            with_target("http://user:pass@example.org/"),
            "tw1_3b23b25f9bae656ebe99deb2fda3a94a".to_owned(),
        ),
        (with_header("cookie", &cookie), id(&jwt).to_string()),
    ];
    for (record, expected) in cases {
        assert_eq!(usages(&record)[0].token.to_string(), expected);
    }
}

/// Two nginx logs of the same requests: one with the credential, the other with the id that nginx computed from
/// it.
#[test]
fn ids_in_logs_of_real_proxies_agree_with_ours() {
    let logs =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recipes/real-proxy-logs");
    let read = |name: &str| std::fs::read_to_string(logs.join(name));
    let (Ok(plain), Ok(hashed)) = (read("ng-auth.log"), read("ng-hmac.log")) else { return };
    let mut n_compared = 0;
    for (plain, hashed) in plain.lines().zip(hashed.lines()) {
        let header = plain.rsplit('"').nth(1).unwrap();
        let logged = hashed.rsplit(' ').next().unwrap();
        if logged.starts_with("tw1_") {
            let ours = usages(&with_header("authorization", header));
            assert_eq!(ours[0].token.to_string(), logged);
            n_compared += 1;
        }
    }
    assert_eq!(n_compared, 2);
}

#[test]
fn one_token_in_several_places_is_one_usage_at_the_most_exposed() {
    let target = format!("/v1?access_token={STRIPE}");
    let referer = format!("https://example.org/?token={STRIPE}");
    let bearer = format!("Bearer {STRIPE}");
    let mut record = with_header("authorization", &bearer);
    record.referer = Some(text(&referer));
    assert_eq!(shown(&record), "header:authorization stripe-live");
    record.target = Some(text(&target));
    record.fields.push((FieldName::Unnamed, text(STRIPE_ID)));
    assert_eq!(shown(&record), "query:access_token stripe-live");
}

#[test]
fn two_tokens_in_one_line_are_two_usages() {
    let target = format!("/v1?access_token={RANDOM}");
    let bearer = format!("Bearer {STRIPE}");
    let mut record = with_header("authorization", &bearer);
    record.target = Some(text(&target));
    assert_eq!(shown(&record), "header:authorization stripe-live, query:access_token opaque");
}

#[test]
fn a_reference_beside_the_token_means_the_token() {
    let mut record = with_field(FieldName::Unnamed, STRIPE_ID);
    record.fields.push((FieldName::Unnamed, text("pfx=sk_live_51H8")));
    record.fields.push((FieldName::Unnamed, text("jti=abc-123")));
    assert_eq!(shown(&record), "field sealed");
    let referer = format!("https://example.org/?token={RANDOM}");
    let mut record = with_field(FieldName::Unnamed, "jti=abc-123");
    record.referer = Some(text(&referer));
    assert_eq!(shown(&record), "referer:token opaque, id:jti reference");
}

#[test]
fn identities_are_what_credentials_say() {
    let of = |value: &str| {
        usages(&with_header("authorization", value)).remove(0).identity.map(|who| who.to_string())
    };
    let basic = |pair: &str| of(&format!("Basic {}", STANDARD.encode(pair)));
    assert_eq!(basic("ann:hunter2"), Some("basic:ann".into()));
    assert_eq!(basic("ann@example.org:hunter2:x"), Some("basic:ann@example.org".into()));
    assert_eq!(basic(&format!("{STRIPE}:")), None);
    assert_eq!(basic(&format!("{STRIPE}:x")), None);
    assert_eq!(basic(&format!("{RANDOM}:x")), None);
    assert_eq!(basic("hunter2:hunter2"), None);
    assert_eq!(basic(":hunter2"), None);
    assert_eq!(of("AWS minio:c2ln"), Some("aws:minio".into()));
    let jwt = jwt_of(r#"{"alg":"none"}"#, r#"{"iss":"i","sub":"ann","exp":1795453833}"#);
    assert_eq!(of(&format!("Bearer {jwt}")), Some("jwt:i:ann".into()));
    let jwt = jwt_of(r#"{"alg":"none"}"#, &format!(r#"{{"iss":"i","sub":"{STRIPE}"}}"#));
    assert_eq!(of(&format!("Bearer {jwt}")), None);
}

#[test]
fn claims_tell_of_wrong_checksums_and_missing_signatures() {
    let is_malformed = |token: &str| {
        let bearer = format!("Bearer {token}");
        usages(&with_header("authorization", &bearer))[0].claims.is_malformed
    };
    assert!(!is_malformed("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"));
    assert!(!is_malformed("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"));
    assert!(is_malformed("ghp_q8Wz3Lp0Vt6Yc1NbDk5MxR2Ju7Ha9QTKG790"));
    let jwt = format!("Bearer {}", jwt_of(r#"{"alg":"none"}"#, r#"{"exp":1795453833}"#));
    let claims = &usages(&with_header("authorization", &jwt))[0].claims;
    assert!(claims.is_unsigned && !claims.is_malformed);
    assert_eq!(claims.expires_at, Some(Timestamp::from_seconds(1_795_453_833)));
}

#[test]
fn hints_show_the_prefix_and_four_characters_and_of_passwords_nothing() {
    let hint = |value: &str| usages(&with_header("authorization", value)).remove(0).hint;
    assert_eq!(hint(&format!("Bearer {STRIPE}")), "sk_live_...WxYz");
    assert_eq!(hint("Basic dXNlcjpwYXNzd29yZGxvbmdlcg=="), "...");
    assert_eq!(usages(&with_target("/?password=a-very-long-password"))[0].hint, "...");
}

#[test]
fn a_hostile_line_gives_a_bounded_number_of_sightings() {
    let target = format!("/?{}", format!("token={RANDOM}&").repeat(2000));
    let record = with_target(&target);
    let mut sightings = Vec::new();
    Finder::default().find(&record, &mut sightings);
    assert_eq!(sightings.len(), MAX_SIGHTINGS);
}

#[test]
fn a_record_without_a_time_makes_no_usage() {
    let target = format!("/?token={RANDOM}");
    let record = Record { time: None, ..with_target(&target) };
    let (mut sightings, mut out) = (Vec::new(), Vec::new());
    Finder::default().find(&record, &mut sightings);
    sealer().seal(&record, &sightings, Origin::default(), "", &mut out);
    assert!(out.is_empty() && sightings.len() == 1);
}

#[test]
fn a_usage_says_what_the_record_says() {
    let target = format!("/v1/items/42?token={RANDOM}");
    let record = Record {
        client: Some("::ffff:192.0.2.7".parse().unwrap()),
        method: Some(text("post")),
        agent: Some(text("curl/8.5.0")),
        host: Some(text("API.example.org:443")),
        ..with_target(&target)
    };
    let usage = usages(&record).remove(0);
    assert_eq!(usage.client, Some("192.0.2.7".parse().unwrap()));
    assert_eq!((usage.method.as_str(), usage.route.as_str()), ("POST", "/v1/items/{id}"));
    assert_eq!((usage.agent.family.as_str(), usage.agent.version.as_str()), ("curl", "8.5"));
    assert_eq!(usage.service, "api.example.org");
    assert_eq!(usage.hint, "...c1Nb");
}
