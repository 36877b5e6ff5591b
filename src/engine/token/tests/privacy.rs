//! Secrets planted everywhere and searched for in everything that leaves the seal; and odd records.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

#[test]
fn nothing_that_can_be_shown_shows_a_secret() {
    let target = format!("/?token={RANDOM}");
    let record = with_target(&target);
    let mut sightings = Vec::new();
    Finder::default().find(&record, &mut sightings);
    assert!(!format!("{sightings:?}").contains(RANDOM));
    assert!(!format!("{:?}", sealer().redaction(&sightings)).contains(RANDOM));
}

#[test]
fn a_secret_in_the_place_of_an_aws_key_id_is_not_public() {
    let credential =
        format!("AWS4-HMAC-SHA256 Credential={RANDOM}/20260302/eu/s3/aws4_request, Signature=0f");
    let target = format!("/?token={RANDOM}");
    let record =
        Record { target: Some(text(&target)), ..with_header("authorization", &credential) };
    let json = serde_json::to_string(&usages(&record)).unwrap();
    assert_eq!(leak(&json, RANDOM), None, "{json}");
    // If it occurs only here, it is the key's id.
    let json = serde_json::to_string(&usages(&with_header("authorization", &credential))).unwrap();
    assert_eq!(leak(&json, RANDOM), Some("plain"), "{json}");
}

/// Percent-encodes every byte.
fn encoded(secret: &str) -> String {
    secret.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Records with the secret in every carrier, and in places that are no carriers.
fn planted(secret: &str, place: usize) -> Vec<(FieldName<'static>, String)> {
    let header = |name: &'static str| FieldName::Header(Cow::Borrowed(name));
    let basic = STANDARD.encode(format!("ann:{secret}"));
    let reversed = STANDARD.encode(format!("{secret}:"));
    let (name, value) = match place {
        0 => (header("authorization"), format!("Bearer {secret}")),
        1 => (header("authorization"), format!("Basic {basic}")),
        2 => (header("authorization"), format!("Basic {reversed}")),
        3 => (header("x-api-key"), secret.to_owned()),
        4 => (header("cookie"), format!("session={secret}")),
        5 => (FieldName::Cookie(Cow::Borrowed("session")), encoded(secret)),
        6 => (FieldName::Unnamed, format!("Bearer {secret}")),
        7 => (FieldName::Id(Cow::Borrowed("kid")), secret.to_owned()),
        _ => (header("authorization"), format!("Token token=\"{secret}\"")),
    };
    vec![(name, value)]
}

fn planted_target(secret: &str, place: usize) -> String {
    let nested = encoded(&format!("https://example.org/?token={secret}"));
    match place {
        0 => format!("/v1/items?access_token={secret}"),
        1 => format!("/v1/items?access_token={}", encoded(secret)),
        2 => format!("/v1/items;jsessionid={secret}/{secret}"),
        3 => format!("https://ann:{secret}@example.org/{secret}"),
        4 => format!("/login?next={nested}"),
        5 => format!("/{secret}?{secret}={secret}&token={secret}"),
        _ => format!("/v1?password={secret}"),
    }
}

/// Returns which spelling of the secret is in the text.
fn leak(shown: &str, secret: &str) -> Option<&'static str> {
    let base64 = STANDARD.encode(secret);
    let core = base64.trim_end_matches('=');
    let core = core.get(..core.len().saturating_sub(1)).unwrap();
    let lower = shown.to_ascii_lowercase();
    if lower.contains(&secret.to_ascii_lowercase()) {
        Some("plain")
    } else if lower.contains(&encoded(secret).to_ascii_lowercase()) {
        Some("percent-encoded")
    } else if shown.contains(core) {
        Some("base64")
    } else {
        None
    }
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{8,60}",
        "[a-z0-9]{8,40}",
        "[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64}",
        "(ghp_|gho_|npm_)[0-9A-Za-z]{36}",
        "sk_live_[0-9A-Za-z]{24}",
        "glpat-[0-9A-Za-z_-]{20}",
        "xoxb-[0-9]{12}-[0-9A-Za-z]{24}",
        Just(jwt_of(r#"{"alg":"HS256"}"#, r#"{"iss":"i","sub":"ann"}"#)),
    ]
}

proptest! {
    #[test]
    fn no_usage_holds_the_secret_wherever_it_is_planted(
        secret in secret(),
        field in 0_usize..9,
        target_place in 0_usize..7,
        agent in any::<bool>(),
    ) {
        let fields = planted(&secret, field);
        let target = planted_target(&secret, target_place);
        let referer = format!("https://example.org/{secret}?token={secret}");
        let agent = if agent { format!("{secret}/1.0") } else { "curl/8.5".into() };
        let host = format!("{secret}.example.org");
        let record = Record {
            target: Some(text(&target)),
            referer: Some(text(&referer)),
            agent: Some(text(&agent)),
            host: Some(text(&host)),
            method: Some(text(&secret)),
            fields: fields.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            ..blank()
        };
        let usages = usages(&record);
        prop_assert!(!usages.is_empty());
        let json = serde_json::to_string(&usages).unwrap();
        prop_assert_eq!(leak(&json, &secret), None, "{}", json);

        let mut sightings = Vec::new();
        Finder::new(&names()).find(&record, &mut sightings);
        let redaction = sealer().redaction(&sightings);
        for field in [&target, &referer, &agent, &host] {
            let shown = String::from_utf8(redaction.apply(field.as_bytes()).into_owned()).unwrap();
            prop_assert_eq!(leak(&shown, &secret), None, "{}", shown);
        }
    }

    #[test]
    fn no_record_is_too_odd(
        target in proptest::collection::vec(any::<u8>(), 0..200),
        referer in "[a-z:/?&=%;@#.]{0,80}",
        value in "(Bearer |Basic |Token |AWS4-HMAC-SHA256 Credential=|tw1_|ey|\")?\\PC{0,60}",
        name in "[a-z-]{0,12}|authorization|cookie|x-api-key",
    ) {
        let header = FieldName::Header(Cow::Borrowed(name.as_str()));
        let id = FieldName::Id(Cow::Borrowed(name.as_str()));
        let record = Record {
            target: Some(Cow::Borrowed(&target)),
            referer: Some(text(&referer)),
            fields: vec![
                (header, text(&value)),
                (id, text(&value)),
                (FieldName::Unnamed, text(&value)),
            ],
            ..blank()
        };
        let mut sightings = Vec::new();
        Finder::new(&names()).find(&record, &mut sightings);
        prop_assert!(sightings.len() <= MAX_SIGHTINGS);
        usages(&record);
        for sighting in &sightings {
            if let Seen::Secret(secret, _) = &sighting.seen {
                prop_assert!(!secret.expose().is_empty());
            }
        }
        prop_assert!(!sealer().redaction(&sightings).apply(&target).is_empty() || target.is_empty());
    }

    #[test]
    fn percent_encoding_changes_no_id(secret in "[!-~]{12,40}") {
        let plain = format!("Bearer {secret}");
        let target = format!("/?my_key={}", encoded(&secret));
        let ids = |record: &Record<'_>| {
            usages(record).iter().map(|usage| usage.token).collect::<Vec<_>>()
        };
        let in_header = ids(&with_header("authorization", &plain));
        let in_target = ids(&with_target(&target));
        // A mask is a credential in neither.
        prop_assert_eq!(in_header, in_target);
    }
}
