//! Tests of the registry: columns, names, ends.

use super::*;

fn row(columns: &[(&str, &str)]) -> Result<Registered, ColumnFault> {
    let key = SealKey::new(b"key");
    let mut row = Registered::default();
    columns.iter().try_for_each(|(column, text)| row.set(column, text, &key))?;
    Ok(row)
}

#[test]
fn columns_are_read_by_their_kind() {
    let row = row(&[
        ("name", "ci"),
        ("expires_at", "2026-03-01"),
        ("revoked_at", "2026-03-02T10:00:00+02:00"),
        ("networks", "192.0.2.0/24;2001:db8::1"),
        ("countries", "DE fr"),
        ("decoy", "True"),
        ("mfa", ""),
    ])
    .unwrap();
    assert_eq!(row.expires_at.unwrap().to_string(), "2026-03-01T00:00:00Z");
    assert_eq!(row.revoked_at.unwrap().to_string(), "2026-03-02T08:00:00Z");
    assert_eq!(row.networks.len(), 2);
    assert_eq!(row.countries, [Country::parse("DE").unwrap(), Country::parse("FR").unwrap()]);
    assert_eq!((row.decoy, row.mfa), (true, None));
}

#[test]
fn a_token_with_a_successor_and_no_time_was_shown_as_rotated_and_its_use_was_no_alert() {
    let key = SealKey::new(b"key");
    let mut row = Registered::default();
    let mut change = |columns: &[(&str, &str)], at| {
        let mut changes = Changes::default();
        columns.iter().for_each(|(name, text)| changes.set(name, text, &key).unwrap());
        changes.apply(&mut row, Timestamp(at));
        row.rotated_at
    };
    assert_eq!(change(&[("owner", "ops")], 1), None);
    assert_eq!(change(&[("rotated_to", "ci-2")], 2), Some(Timestamp(2)));
    let again = [("rotated_at", ""), ("rotated_to", "ci-2")];
    assert_eq!(change(&again, 3), Some(Timestamp(2)), "the same file once more");
    let day = Some(Timestamp::from_seconds(1_772_323_200));
    assert_eq!(change(&[("rotated_at", "2026-03-01"), ("rotated_to", "ci-3")], 4), day);
    assert_eq!(change(&[("rotated_at", ""), ("rotated_to", "")], 5), None, "taken back");
}

#[test]
fn a_token_was_registered_under_the_name_of_alerts_about_many_or_about_a_log() {
    for name in ["fleet", "log:/var/log/nginx/access.log", "log:x", "source:203.0.113.0/24"] {
        let fault = row(&[("name", name)]).unwrap_err().to_string();
        assert!(fault.starts_with("column name: expected another name: fleet, "), "{fault}");
    }
    for name in ["fleet-7", "logs", "login:ci", "jwt:https://id.example.org:bob"] {
        assert_eq!(row(&[("name", name)]).unwrap().name, name);
    }
}

#[test]
fn a_token_may_be_given_by_its_id() {
    let secret = row(&[("token", "hunter2-hunter2")]).unwrap().token.unwrap();
    assert_eq!(row(&[("token", &secret.to_string())]).unwrap().token, Some(secret));
}

#[test]
fn a_token_with_its_scheme_was_sealed_together_with_it_and_never_found_again() {
    for text in ["Bearer hunter2-hunter2", "token\thunter2-hunter2"] {
        let fault = row(&[("token", text)]).unwrap_err().to_string();
        assert!(fault.ends_with("without words such as Bearer"), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    assert_eq!(row(&[("token", " hunter2-hunter2 ")]), row(&[("token", "hunter2-hunter2")]));
}

#[test]
fn a_shortened_or_mistyped_id_was_sealed_as_a_secret() {
    let id = row(&[("token", "hunter2-hunter2")]).unwrap().token.unwrap().to_string();
    let (short, lacking) = (id.split_at(12).0, id.split_at(35).0);
    for text in [short, lacking, &format!("{id}0"), "tw1_", "tw1_zzz"] {
        let fault = row(&[("token", text)]).unwrap_err().to_string();
        assert!(fault.contains("the whole id: tw1_ and 32 hex digits"), "{fault}");
    }
    assert!(row(&[("token", "tw1-hunter2")]).is_ok());
}

#[test]
fn faults_name_the_column_and_the_remedy() {
    let fault = row(&[("expires_at", "soon")]).unwrap_err();
    assert_eq!(fault.to_string(), "column expires_at: expected a date or RFC 3339 time");
    assert!(row(&[("expiry", "2026-03-01")]).is_err());
}

#[test]
fn a_principal_is_over_with_the_last_of_its_tokens() {
    let token = |n: u8| Some(TokenId([n; 16]));
    let row = |n, name: &str, end: Option<i64>| Registered {
        token: token(n),
        name: name.into(),
        revoked_at: end.map(Timestamp),
        ..Registered::default()
    };
    let rows = [row(1, "a", Some(5)), row(2, "a", None), row(3, "b", Some(5)), row(4, "", None)];
    let registry = Registry::new(rows.into_iter().chain([row(3, "c", Some(9))]));
    let own = TokenId([4; 16]).to_string();
    let over = |name: &str, at| registry.is_over(name, Timestamp(at));
    assert_eq!(
        (over("a", 6), over("c", 8), over("c", 9), over(&own, 9)),
        (false, false, true, false)
    );
    assert!(!over("b", 9) && !over("unknown", 9), "renamed, or never registered");
    let only = |name: &str| registry.only_token(name, Timestamp(6));
    assert_eq!((only("a"), only(&own), only("unknown")), (token(2), token(4), None));
    assert_eq!(registry.only_token("a", Timestamp(0)), None);
}

#[test]
fn a_name_that_was_cleared_is_an_old_one_like_any_other() {
    let row = |n: u8, name: &str| Registered {
        token: Some(TokenId([n; 16])),
        name: name.into(),
        ..Registered::default()
    };
    let before = Registry::new([row(1, "a"), row(2, "b"), row(3, ""), row(4, "d"), row(5, "")]);
    let rows = [row(1, ""), row(2, "c"), row(3, "e"), row(4, "d"), row(5, ""), row(6, "")];
    let id = TokenId([3; 16]).to_smolstr();
    assert_eq!(before.renamed_in(&Registry::new(rows)), ["a".into(), "b".into(), id].into());
}

#[test]
fn a_row_of_labels_alone_forbids_nothing_and_labels_beside_permissions_grant_nothing() {
    let forbids =
        |scopes: &str, method, route| row(&[("scopes", scopes)]).unwrap().forbids(method, route);
    assert!(!forbids("", "DELETE", "/v1/items"));
    assert!(!forbids("billing repo:status", "DELETE", "/v1/items"));
    assert!(!forbids("read;POST:/v1/orders,billing", "GET", "/v1/items"));
    assert!(!forbids("read|POST:/v1/orders", "POST", "/v1/orders"));
    assert!(forbids("read POST:/v1/orders billing", "POST", "/billing"));
    assert!(!forbids("write read", "DELETE", "/v1/items"));
}

#[test]
fn a_scope_that_is_meant_as_a_permission_and_is_none_is_refused() {
    let fault = row(&[("scopes", "read GET:items")]).unwrap_err().to_string();
    assert!(fault.starts_with("column scopes: expected a path, "), "{fault}");
    assert!(fault.ends_with("GET:/v1/items/*"), "{fault}");
}
