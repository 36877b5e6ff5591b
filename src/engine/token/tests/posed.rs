//! Ids that a client sends, which must not count, and ids that servers write, which must.

use super::*;

/// Text lines in which `ID` stands where a client can put it.
const POSED: [(&str, &str); 16] = [
    ("nginx-combined", r#"HEAD "-" "c/1" "ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" "192.0.2.9, ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" "x token_id=ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" "token_id=ID" "-""#),
    ("nginx-combined", r#"HEAD "-" "c/1" "Bearer ID""#),
    ("nginx-combined", r#"HEAD "-" "ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1 token_id=ID" "-""#),
    ("nginx-combined", r#"HEAD "ID" "c/1""#),
    ("nginx-combined", r#"HEAD "https://a/?token_id=ID" "c/1""#),
    ("nginx-combined", r#"HEAD "-" "c/1" x_api_key="ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" http_x_token_id="ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" request_id="ID""#),
    ("nginx-combined", r#"HEAD "-" "c/1" 20 0.1 [default-api-80] [] 10.0.0.5:80 5 0.1 200 ID"#),
    (
        "haproxy",
        r#"192.0.2.7:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 {ID} "GET / HTTP/1.1""#,
    ),
    (
        "envoy",
        r#"[2026-03-02T08:00:00.250Z] "GET / HTTP/1.1" 200 - 0 5 3 2 "192.0.2.7" "c/1" "ID" "h" "10.0.0.5:80""#,
    ),
    (
        "envoy",
        r#"[2026-03-02T08:00:00.250Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 5 3 2 "192.0.2.7" "c/1" "r" "h" "10.0.0.5:80" in|80|| 10.0.0.8:1 10.0.0.7:80 192.0.2.1:0 ID default"#,
    ),
];

/// Text lines in which the server writes `ID`.
const WRITTEN: [(&str, &str); 7] = [
    ("nginx-combined", r#"HEAD "-" "c/1" ID"#),
    ("nginx-combined", r#"HEAD "-" "c/1" "192.0.2.9" ID"#),
    ("nginx-combined", r#"HEAD "-" "c/1" "-" 0.05 token_id=ID"#),
    ("nginx-combined", r#"HEAD "-" "c/1" token_id="ID""#),
    ("auto", "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] GET / HTTP/1.1 200 5 - c/1 ID"),
    (
        "haproxy",
        r#"192.0.2.7:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 {c} {ID} "GET / HTTP/1.1""#,
    ),
    (
        "haproxy",
        r#"192.0.2.7:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" ID pfx=- jti=-"#,
    ),
];

fn found(preset: &str, line: &str) -> usize {
    const HEAD: &str = r#"192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5"#;
    let line = line.replace("HEAD", HEAD).replace("ID", STRIPE_ID);
    let [named, auto] =
        [preset, "auto"].map(|preset| sealed_in(Format::preset(preset).unwrap(), &[], &line).len());
    assert_eq!(named, auto, "{line}");
    auto
}

#[test]
fn whoever_knew_an_id_posed_as_its_token_through_a_field_of_unknown_meaning() {
    for (preset, line) in POSED {
        assert_eq!(found(preset, line), 0, "{line}");
    }
    for (preset, line) in WRITTEN {
        assert_eq!(found(preset, line), 1, "{line}");
    }
}

#[test]
fn a_column_of_a_credential_posed_as_an_id() {
    let mut columns = Columns::default();
    columns.note(b"#Fields: date time c-ip cs-method cs-uri-stem sc-status X-Api-Key X-Token-Id");
    let sealed = |values: &str| {
        let line = format!("2026-03-02 08:00:00 192.0.2.7 GET / 200 {values}");
        let format = Format::preset("w3c").unwrap();
        let record = format.parse_under(line.as_bytes(), &columns).unwrap();
        let mut found = Vec::new();
        Finder::default().find(&record, &mut found);
        found.iter().filter(|sighting| matches!(sighting.seen, Seen::Sealed(_))).count()
    };
    assert_eq!(sealed(&format!("{STRIPE_ID} -")), 0);
    assert_eq!(sealed(&format!("- {STRIPE_ID}")), 1);
}
