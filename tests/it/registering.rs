//! What people say of tokens: what comes of it, where it is shown, and when it is not clear which token is meant.

use std::process::Output;

use serde_json::{Value, json};

use crate::program::Home;

/// Two tokens of one name: the second took the place of the first.
const OLD: &str = "exk-sue-0123456789abcdef0123";
const NEW: &str = "exk-sue-fedcba9876543210fedc";

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command that must fail says, and its status.
fn refused(home: &Home, arguments: &[&str]) -> (String, Option<i32>) {
    let output = home.output(arguments);
    assert_eq!(output.stdout, b"", "{arguments:?}");
    (errors(&output), output.status.code())
}

fn first(home: &Home, arguments: &[&str]) -> Value {
    home.json(arguments).into_iter().next().expect("an object")
}

fn add(home: &Home, name: &str, secret: &str, columns: &[&str]) -> String {
    let added = home.output_with(&[&["tokens", "add", name], columns].concat(), secret);
    assert!(added.status.success(), "{}", errors(&added));
    String::from_utf8(added.stdout).expect("UTF-8").trim().to_owned()
}

/// Reads one request at a time of 12 March 2026, `02:13:07`.
fn use_at(home: &Home, time: &str, client: &str, secret: &str) {
    let request = "\"GET /v1/items/17 HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\"";
    let line = format!("{client} - - [12/Mar/2026:{time} +0000] {request} \"Bearer {secret}\"\n");
    home.append("logs/access.log", line);
    home.print(&["replay", "--save", "logs/access.log"]);
}

#[test]
fn an_alert_shows_whom_to_ask_and_what_was_said() {
    let home = Home::new("");
    add(&home, "tom", OLD, &["owner=platform", "notes=nightly import"]);
    home.print(&["tokens", "revoke", "tom", "--at", "2026-03-11T08:00:00Z", "--note", "INC-7"]);
    use_at(&home, "02:13:07", "84.150.1.9", OLD);
    let alert = first(&home, &["alerts", "list", "--rule", "revoked-token-used", "--json"]);
    let id = alert["alert"].as_str().expect("an id");
    let told = home.print(&["alerts", "show", id]);
    for words in [
        "  owner       platform\n",
        "  notes       nightly import\n",
        "  revoked     since 2026-03-11 08:00:00 UTC: INC-7\n",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let revoked = json!({"what": "revoked", "@timestamp": "2026-03-11T08:00:00Z", "note": "INC-7"});
    let registered = json!({"owner": "platform", "notes": "nightly import", "marks": [revoked]});
    assert_eq!(first(&home, &["alerts", "show", id, "--json"])["registered"], registered);
    let incident = alert["incident"].as_str().expect("an id");
    let told = first(&home, &["alerts", "show", incident, "--json"]);
    assert_eq!(told["alerts"][0]["registered"], registered);
}

#[test]
fn an_alert_about_a_token_that_nobody_registered_shows_nothing_of_the_registry() {
    let home = Home::new("");
    let log = format!(
        "192.0.2.7 - - [12/Mar/2026:02:13:07 +0000] \"GET /v1?access_token={NEW} HTTP/1.1\" 200 6 \"-\" \"curl/8.5.0\"\n"
    );
    home.append("logs/access.log", log);
    home.print(&["replay", "--save", "logs/access.log"]);
    let alert = first(&home, &["alerts", "list", "--json"]);
    let id = alert["alert"].as_str().expect("an id");
    assert_eq!(first(&home, &["alerts", "show", id, "--json"]).get("registered"), None);
    assert!(!home.print(&["alerts", "show", id]).contains("  owner  "));
}
