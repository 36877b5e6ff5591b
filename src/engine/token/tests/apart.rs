//! Tokens that stand apart in a longer value, proved by their shape.

use super::*;

/// Texts around `T`, in which it stands apart.
const AROUND: [&str; 16] = [
    "T",
    "(T)",
    "a,T,b",
    "[T]",
    "<T>",
    "x:T",
    "u:T",
    "foo|T|x",
    "T.",
    "a/T",
    "T/1.0",
    "'T'",
    "x;T",
    "{\"t\":\"T\"}",
    "token=T",
    "key:T",
];

fn tokens() -> [(String, &'static str); 4] {
    [
        (STRIPE.to_owned(), "stripe-live"),
        ("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".to_owned(), "github-pat"),
        (jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#), "jwt"),
        (format!("12345678:A{}", "b4".repeat(17)), "telegram-bot"),
    ]
}

fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    let byte = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

/// `kind`, one for each usage.
fn kinds(record: &Record<'_>, token: &str) -> String {
    let usages = usages(record);
    assert!(usages.iter().all(|usage| usage.token == id(token)), "{record:?}");
    usages.iter().map(|usage| usage.kind.as_str()).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_token_that_stood_apart_in_a_value_was_missed() {
    for (token, kind) in tokens() {
        for around in AROUND {
            let value = around.replace('T', &token);
            let encoded = percent(&value);
            let query = format!("/v1?q={encoded}");
            assert_eq!(kinds(&with_target(&query), &token), kind, "{query}");
            let referer = format!("https://example.org/a/{encoded}");
            assert_eq!(kinds(&with_referer(&referer), &token), kind, "{referer}");
            let agent = Record { agent: Some(text(&value)), ..blank() };
            assert_eq!(kinds(&agent, &token), kind, "{value}");
            let field = with_field(FieldName::Unnamed, &value);
            assert_eq!(kinds(&field, &token), kind, "{value}");
            let cookie = with_field(FieldName::Cookie("a".into()), &encoded);
            assert_eq!(kinds(&cookie, &token), kind, "{value}");
            let header = with_header("x-request-id", &value);
            assert_eq!(kinds(&header, &token), kind, "{value}");
        }
        for target in ["/v1/x;T", "/(T)", "/v1/x,T", "/v1?q=Bearer%20T", "/v1?token=Bearer%20T"] {
            let target = target.replace('T', &token);
            assert_eq!(kinds(&with_target(&target), &token), kind, "{target}");
        }
    }
}

#[test]
fn what_only_contains_the_beginning_of_a_token_is_none() {
    let ghp = "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";
    for value in [
        format!("x{ghp}"),
        format!("x-{ghp}"),
        format!("x.{ghp}"),
        format!("{ghp}_x"),
        format!("s.{}.js", "q8Wz3Lp0Vt6Y".repeat(2)),
        "/styles.5d41402abc4b2a76b9719d911017c592.css".to_owned(),
        "a,ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,b".to_owned(),
        "a,eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ,b".to_owned(),
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
        "2026-03-02T08:00:00.250Z/12345678:AAAA".to_owned(),
    ] {
        let target = format!("/v1/{value}?q={value}");
        assert_eq!(shown(&with_target(&target)), "", "{value}");
        assert_eq!(shown(&with_field(FieldName::Unnamed, &value)), "", "{value}");
        assert_eq!(shown(&Record { agent: Some(text(&value)), ..blank() }), "", "{value}");
    }
    // Its name says that it is none.
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    assert_eq!(shown(&with_target(&format!("/callback?state=x,{jwt}"))), "");
}
