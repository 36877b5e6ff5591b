//! The usages that sightings become.

use super::*;

#[test]
fn one_token_in_several_places_is_one_usage_at_the_most_exposed() {
    let target = format!("/v1?access_token={STRIPE}");
    let referer = format!("https://example.org/?token={STRIPE}");
    let bearer = format!("Bearer {STRIPE}");
    let mut record = with_header("authorization", &bearer);
    record.referer = Some(text(&referer));
    assert_eq!(shown(&record), "header:authorization stripe-live");
    record.target = Some(text(&target));
    record.fields.push((FieldName::OfServer, text(STRIPE_ID)));
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
    let jti = || FieldName::Id(Cow::Borrowed("jti"));
    let mut record = with_field(FieldName::OfServer, STRIPE_ID);
    record.fields.push((FieldName::Other("pfx".into()), text("sk_live_51H8")));
    record.fields.push((jti(), text("abc-123")));
    assert_eq!(shown(&record), "field sealed");
    let referer = format!("https://example.org/?token={RANDOM}");
    let mut record = with_field(jti(), "abc-123");
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
fn only_a_secret_of_unknown_make_says_how_few_bits_it_can_have() {
    let bits = |record: &Record<'_>| usages(record).remove(0).most_bits;
    let in_header = |value: &str| bits(&with_header("authorization", value));
    assert_eq!(in_header(&format!("Bearer {RANDOM}")), Some(95));
    assert_eq!(in_header("Bearer 12345678"), Some(26));
    assert_eq!(bits(&with_target("/?api_key=k3y-0f-my-d0g")), Some(69));
    assert_eq!(in_header("Bearer 1b4e28ba-2fa1-41d2-883f-0016d3cca427"), None);
    let jwt = jwt_of(r#"{"alg":"none"}"#, "{}");
    for known in [format!("Bearer {jwt}"), format!("Bearer {STRIPE}")] {
        assert_eq!(in_header(&known), None, "{known}");
    }
    for known in ["Basic YW5uOmh1bnRlcjI=", "AWS minio:c2ln"] {
        assert_eq!(in_header(known), None, "{known}");
    }
    assert_eq!(bits(&with_target("/?password=hunter2hunter2")), None);
    assert_eq!(bits(&with_field(FieldName::OfServer, STRIPE_ID)), None);
    assert_eq!(bits(&with_field(FieldName::Id(Cow::Borrowed("jti")), "abc-123")), None);
}

#[test]
fn a_usage_that_was_written_before_there_were_bits_is_still_read() {
    let strong = usages(&with_header("authorization", &format!("Bearer {STRIPE}"))).remove(0);
    let written = serde_json::to_value(&strong).unwrap();
    assert_eq!(written.get("most_bits"), None);
    assert_eq!(serde_json::from_value::<Usage>(written).unwrap(), strong);
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
