//! Credentials in headers, cookies and other fields.

use super::*;

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
fn headers_of_azure_and_3scale_were_missed() {
    find_in_headers(&[
        ("ocp-apim-subscription-key", "11112222333344445555666677778888".into(), "opaque"),
        ("user-key", RANDOM.into(), "opaque"),
        ("ocp-apim-trace", "true".into(), ""),
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
        (FieldName::OfServer, STRIPE_ID.into(), "field sealed"),
        (FieldName::OfServer, "tw1_-".into(), ""),
        (FieldName::OfServer, STRIPE.into(), "field stripe-live"),
        (FieldName::Unnamed, STRIPE_ID.into(), ""),
        (FieldName::Unnamed, "tw1_-".into(), ""),
        (FieldName::Unnamed, format!("Bearer {RANDOM}"), "field opaque"),
        (FieldName::Unnamed, "Basic dXNlcjpwYXNz".into(), "field basic"),
        (FieldName::Unnamed, "Token expired for user".into(), ""),
        (FieldName::Unnamed, STRIPE.into(), "field stripe-live"),
        (FieldName::Unnamed, format!("token=\"{STRIPE}\""), "field stripe-live"),
        (FieldName::Unnamed, "token=\"sk_live_51H8\"".into(), ""),
        (FieldName::Unnamed, "jti=abc-123".into(), ""),
        (FieldName::Unnamed, format!("id={STRIPE_ID}"), ""),
        (FieldName::Other("ref".into()), STRIPE_ID.into(), ""),
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
