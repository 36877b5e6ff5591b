//! What a token is accepted for beyond its scopes, or without a second factor: from the command line to the alert.

use serde_json::{Value, json};

use crate::program::{CONFIG, Home};

const KEY: &str = "exk-sue-0123456789abcdef0123";

/// `kim` of id.example.org, who gave a password; and who gave a password and another factor.
const BY_PASSWORD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwic3ViIjoia2ltIiwiYW1yIjpbInB3ZCJdfQ.c2lnbmF0dXJlLW9mLWEtdGVzdA";
const BY_BOTH: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwic3ViIjoia2ltIiwiYW1yIjpbInB3ZCIsIm1mYSJdfQ.c2lnbmF0dXJlLW9mLWEtdGVzdA";

/// A request of 12 March 2026, `02:13:07`.
fn line(time: &str, request: &str, status: u16, token: &str) -> String {
    format!(
        "84.150.1.9 - - [12/Mar/2026:{time} +0000] \"{request} HTTP/1.1\" {status} 612 \"-\" \"curl/8.5.0\" \"Bearer {token}\"\n"
    )
}

fn reasons(home: &Home, rule: &str) -> Vec<Value> {
    let alerts = home.json(&["alerts", "list", "--rule", rule, "--json"]);
    alerts
        .iter()
        .map(|alert| json!([alert["principal"], alert["rule"]["level"], alert["event"]["reason"]]))
        .collect()
}

#[test]
fn a_token_that_is_accepted_beyond_its_scopes_is_told() {
    let home = Home::new(CONFIG);
    let added = home.output_with(&["tokens", "add", "sue", "scopes=read;billing"], KEY);
    assert!(added.status.success(), "{added:?}");
    let told = String::from_utf8_lossy(&added.stderr);
    assert_eq!(told, "permits: read; labels, which permit nothing: billing\n");
    home.append(
        "logs/access.log",
        line("02:13:07", "GET /v1/items/17", 200, KEY)
            + &line("02:14:07", "DELETE /v1/items/17", 403, KEY)
            + &line("02:15:07", "DELETE /v1/items/18", 204, KEY)
            + &line("02:16:07", "DELETE /v1/items/19", 204, KEY),
    );
    home.print(&["replay", "--save", "logs/access.log"]);
    let reason = "accepted for DELETE /v1/items/{id}, which none of its scopes permits: read";
    assert_eq!(reasons(&home, "scope-violation"), [json!(["sue", "medium", reason])]);
    assert!(
        home.print(&["tokens", "show", "sue"])
            .contains("  permits     read\n  labels      billing\n")
    );
    let set = home.output(&["tokens", "set", "sue", "scopes=reed"]);
    let told = String::from_utf8_lossy(&set.stderr);
    assert!(set.status.success() && told.ends_with("did you mean \"read\"?\n"), "{told}");
    home.print(&["tokens", "set", "sue", "scopes=read DELETE:/v1/items/*"]);
    home.append("logs/access.log", line("02:17:07", "DELETE /v1/tags/17", 204, KEY));
    home.append("logs/access.log", line("02:18:07", "DELETE /v1/items/17", 204, KEY));
    home.print(&["replay", "--save", "logs/access.log"]);
    assert_eq!(reasons(&home, "scope-violation").len(), 2, "of the tags");
}

#[test]
fn a_scope_that_is_meant_as_a_permission_and_is_none_is_refused_with_what_to_write() {
    let home = Home::new(CONFIG);
    for scope in ["GET:items", "DELETE:users", "/v1/*/tags", "GETT:/v1"] {
        let refused =
            home.output_with(&["tokens", "add", "sue", &format!("scopes=read {scope}")], KEY);
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        assert!(errors.contains("column scopes: expected "), "{errors}");
        assert!(errors.contains("as in GET:/v1/items/*"), "{errors}");
    }
    home.append("registry.csv", format!("token,name,scopes\n{KEY},sue,GET:items\n"));
    let refused = home.output(&["tokens", "import", "registry.csv"]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && errors.contains("registry.csv:2"), "{errors}");
    assert!(!home.path("state/tokenwatch.db").exists(), "nothing was registered");
}

#[test]
fn a_sensitive_route_without_a_second_factor_is_told() {
    let home = Home::new(&format!("{CONFIG}[tokens]\nsensitive = [\"/admin/*\"]\n"));
    home.append(
        "logs/access.log",
        line("02:13:07", "GET /v1/items/17", 200, BY_PASSWORD)
            + &line("02:14:07", "GET /admin/users", 403, BY_PASSWORD)
            + &line("02:15:07", "GET /admin/logs", 200, BY_BOTH),
    );
    home.print(&["replay", "--save", "logs/access.log"]);
    assert_eq!(reasons(&home, "mfa-missing"), [Value::Null; 0]);
    let used = line("02:16:07", "GET /admin/users", 200, BY_PASSWORD);
    home.append("logs/access.log", &used);
    home.print(&["replay", "--save", "logs/access.log"]);
    let reason =
        "accepted for GET /admin/users without a second factor, according to the token itself";
    let principal = "jwt:https://id.example.org:kim";
    assert_eq!(reasons(&home, "mfa-missing"), [json!([principal, "medium", reason])]);
    let explained = home.output_with(&["explain"], &used);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("second factor"), "{explained}");
}

#[test]
fn check_shows_where_a_sensitive_route_is_none() {
    let home = Home::new(&format!("{CONFIG}[tokens]\nsensitive = [\"/admin/*\", \"admin/*\"]\n"));
    let output = home.output(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("tokenwatch.toml:11:26"), "{text}");
    assert!(text.contains("expected a path, which begins with /"), "{text}");
}
