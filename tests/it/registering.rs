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

#[test]
fn whether_a_token_was_used_since_it_leaked_was_not_said() {
    let home = Home::new("");
    let id = add(&home, "gus", OLD, &[]);
    let leak = |at: &str, more: &[&str]| {
        home.print(&[&["tokens", "leak", "gus", "--at", at], more].concat())
    };
    let config = home.path("tokenwatch.toml").display().to_string();
    let look = |at: &str| format!("  tokenwatch --config {config} history {id} --since {at}\n");
    let head = |at: &str| format!("gus {id}: leaked since {at}; its use is an alert from now on\n");
    let told = leak("2026-03-11", &[]);
    assert_eq!(told, head("2026-03-11 00:00:00 UTC") + "  never used, as far as is known\n");

    for (time, client) in [
        ("01:05:00", "84.150.1.9"),
        ("02:13:07", "105.112.7.9"),
        ("02:13:09", "105.112.7.9"),
        ("04:00:00", "84.150.1.9"),
    ] {
        use_at(&home, time, client, OLD);
    }
    // All of it.
    let (at, day) = ("2026-03-12 00:00:00 UTC", "2026-03-12");
    let all = "  used since then: 4 requests, 4 accepted, from 2 networks, 2 countries\n\
               \x20 the first between 2026-03-12 01:00Z and 2026-03-12 02:00Z, the last 2026-03-12 04:00:00 UTC\n";
    assert_eq!(leak(day, &[]), head(at) + all + &look("2026-03-12T00:00:00Z"));
    // Within an hour that had requests: some of them may be earlier.
    let (at, exact) = ("2026-03-12T02:13:08Z", "2026-03-12 02:13:08 UTC");
    let some = "  used since then: 3 requests, 3 accepted, from 2 networks, 2 countries\n\
                \x20 the last 2026-03-12 04:00:00 UTC; they are counted by the hour: 2 between 2026-03-12 02:00Z \
                and 2026-03-12 03:00Z may be earlier\n";
    assert_eq!(leak(at, &[]), head(exact) + some + &look(at));
    let used: Value = serde_json::from_str(&leak(at, &["--json"])).expect("JSON");
    let expected = json!({
        "since": at, "counted_from": "2026-03-12T02:00:00Z", "requests": 3, "ok": 3,
        "first_hour": "2026-03-12T02:00:00Z", "last": "2026-03-12T04:00:00Z", "networks": 2, "countries": 2
    });
    assert_eq!(used["used"], expected);
    // The hour had a request, but before.
    let told = leak("2026-03-12T04:00:01Z", &[]);
    let not = "  not used since then; the last use was 2026-03-12 04:00:00 UTC\n";
    assert_eq!(told, head("2026-03-12 04:00:01 UTC") + not);
    let used: Value =
        serde_json::from_str(&leak("2026-03-12T04:00:01Z", &["--json"])).expect("JSON");
    let expected =
        json!({"since": "2026-03-12T04:00:01Z", "requests": 0, "last": "2026-03-12T04:00:00Z"});
    assert_eq!(used["used"], expected);
    // What is only for later says nothing of now; nor does bait.
    assert_eq!(leak("2099-01-01", &[]).lines().count(), 1);
    assert_eq!(home.print(&["tokens", "decoy", "gus"]).lines().count(), 1);
    let told = home.print(&["tokens", "revoke", "gus", "--at", day]);
    assert!(told.contains("  used since then: 4 requests, 4 accepted"), "{told}");
}
