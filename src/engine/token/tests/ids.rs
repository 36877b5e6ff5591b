//! Ids that a site, or its proxy, logs in place of a token.

use super::*;

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
        (with_field(FieldName::OfServer, STRIPE_ID), STRIPE_ID.to_owned()),
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
fn an_opaque_key_under_its_own_name_was_no_token_in_json_and_logfmt() {
    let auto = Format::preset("auto").unwrap();
    let found = |key: &str, value: &str| {
        let json = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"{key}":"{value}"}}"#
        );
        let logfmt = format!("time=2026-03-02T08:00:00Z uri=/ status=200 {key}={value}");
        let [json, logfmt] = [json, logfmt].map(|line| {
            let record = auto.parse(line.as_bytes()).unwrap().into_owned();
            shown(&record)
        });
        assert_eq!(json, logfmt, "{key}");
        json
    };
    for (key, carrier) in [
        ("api_key", "header:api-key"),
        ("apiKey", "header:apikey"),
        ("token", "header:token"),
        ("auth_token", "header:auth-token"),
        ("client_secret", "header:client-secret"),
    ] {
        assert_eq!(found(key, RANDOM), format!("{carrier} opaque"));
        assert_eq!(found(key, &format!("Bearer{RANDOM}")), format!("{carrier} opaque"));
        for value in ["valid", "true", "redacted", "********", "q8Wz***Nb"] {
            assert_eq!(found(key, value), "", "{key} {value}");
        }
    }
    for key in ["key", "csrf_token", "next_token", "session"] {
        assert_eq!(found(key, RANDOM), "", "{key}");
    }
}
