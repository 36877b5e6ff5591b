//! `tokens rekey`: what continues under a new seal key, and what does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;
use serde_json::Value;
use tokenwatch::store::Reader;

use crate::program::{CONFIG, Home, wait_until};

const NAMED: &str = "exk_000000010123456789abcdefgh";
const NAMELESS: &str = "exk_000000020123456789abcdefgh";

/// A token that says whose it is.
fn jwt() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"iss":"https://id.example.org","sub":"ana","iat":1772000000}"#;
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(claims), part("no signature"))
}

/// One request of each token.
fn requests(hour: u32) -> String {
    let line = |token: &str| {
        format!(
            "192.0.2.7 - - [02/Mar/2026:{hour:02}:00:00 +0000] \"GET /v1/items HTTP/1.1\" 200 612 \"-\" \
             \"curl/8.5.0\" \"Bearer {token}\"\n"
        )
    };
    [NAMED, NAMELESS, &jwt()].map(line).concat()
}

fn read(home: &Home, n: u64) {
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == n);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

fn register(home: &Home) -> String {
    let output = home.output_with(&["tokens", "add", "ci"], NAMED);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Principals, with how many tokens each has.
fn principals(home: &Home) -> Vec<(String, usize)> {
    let mut tokens: Vec<String> = home
        .json(&["tokens", "list", "--json"])
        .iter()
        .map(|token: &Value| token["principal"].as_str().unwrap().to_owned())
        .collect();
    tokens.sort();
    let chunks = tokens.chunk_by(|a, b| a == b);
    chunks.map(|chunk| (chunk[0].clone(), chunk.len())).collect()
}

#[test]
fn names_go_on_under_a_new_key_and_ids_do_not() {
    let home = Home::new(CONFIG);
    let old_id = register(&home);
    home.append("logs/a.log", requests(8));
    read(&home, 3);
    let key = fs::read(home.path("state/seal.key")).unwrap();

    let asked = home.output(&["tokens", "rekey"]);
    assert!(asked.status.success(), "a preview is no wrong command line");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("--yes"));
    assert_eq!(fs::read(home.path("state/seal.key")).unwrap(), key, "asking changes nothing");
    let told = String::from_utf8(asked.stdout).unwrap();
    insta::assert_snapshot!(told);

    let done = home.json(&["tokens", "rekey", "--yes", "--json"]).remove(0);
    assert_eq!(done["rekeyed"], true);
    assert_eq!(done["profiles"], serde_json::json!({"kept": 2, "left_behind": 1}));
    assert_eq!(done["registered"], serde_json::json!({"kept": 0, "left_behind": 1}));
    let new = fs::read(home.path("state/seal.key")).unwrap();
    assert!(new != key && new.len() == key.len());
    assert_eq!(fs::read(home.path("state/seal.key.old")).unwrap(), key);
    for name in ["seal.key", "seal.key.old"] {
        let mode = fs::metadata(home.path("state").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    assert_ne!(register(&home), old_id);
    home.append("logs/a.log", requests(9));
    read(&home, 6);
    let principals = principals(&home);
    let of = |name: &str| principals.iter().find(|(principal, _)| principal == name).unwrap().1;
    assert_eq!((of("ci"), of("jwt:https://id.example.org:ana")), (2, 2), "{principals:?}");
    let n_nameless = principals.iter().filter(|(name, _)| name.starts_with("tw1_")).count();
    assert_eq!(n_nameless, 2, "{principals:?}");
    let history = home.json(&["history", "ci", "--json"]).remove(0);
    assert_eq!(history["facets"]["route"][0]["count"], 2, "{history}");
}

#[test]
fn the_backup_is_made_anew_before_the_key_is() {
    let home = Home::new(CONFIG);
    home.append("logs/access.log", requests(8));
    read(&home, 3);
    let database = home.path("state/tokenwatch.db");
    let backup = home.path("state/tokenwatch.db.backup");
    Reader::open(&database).unwrap().backup(&backup).unwrap();
    let old = Connection::open(&backup).unwrap();
    old.execute("UPDATE profile SET due = 7", []).unwrap();
    drop(old);
    register(&home);
    home.print(&["tokens", "rekey", "--yes"]);
    let copy = Connection::open(&backup).unwrap();
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        count("SELECT count(*) FROM profile WHERE principal GLOB 'tw1_*' AND due IS NOT NULL"),
        0
    );
    assert!(count("SELECT count(*) FROM registry") > 0, "what was registered since is in it");
}

#[test]
fn a_key_that_could_be_guessed_is_refused_and_can_be_replaced() {
    let home = Home::new(CONFIG);
    let put = |key: &str| fs::write(home.path("state/seal.key"), key).unwrap();
    let refused = |arguments: &[&str]| {
        let output = home.output_with(arguments, "exk-a-0123456789abcdef");
        assert_eq!(output.status.code(), Some(70), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
    };
    fs::create_dir(home.path("state")).unwrap();
    for (key, fault) in [
        ("", "short"),
        ("12345\n", "short"),
        (&"x".repeat(15), "short"),
        (&"x".repeat(4097), "long"),
    ] {
        put(key);
        let error = refused(&["tokens", "id", "-"]);
        assert!(
            error.contains(&format!("is too {fault}")) && error.contains("remove it"),
            "{error}"
        );
        refused(&["run"]);
    }
    for key in ["x".repeat(16) + "\n", "x".repeat(4096)] {
        put(&key);
        let output = home.output_with(&["tokens", "id", "-"], "exk-a-0123456789abcdef");
        assert!(output.status.success(), "{} bytes", key.len());
    }
    register(&home);
    put("12345");
    let error = refused(&["tokens", "id", "-"]);
    assert!(error.contains("`tokenwatch tokens rekey`"), "{error}");
    let checked = String::from_utf8(home.output(&["check"]).stdout).unwrap();
    assert!(checked.contains("is too short"), "{checked}");
    home.print(&["tokens", "rekey", "--yes"]);
    register(&home);
}

#[test]
fn a_key_that_is_cut_is_another_key() {
    let home = Home::new(CONFIG);
    let id = || {
        let output = home.output_with(&["tokens", "id", "-"], "exk-a-0123456789abcdef");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let whole = id();
    assert_eq!(id(), whole);
    let key = fs::read(home.path("state/seal.key")).unwrap();
    for length in [16, 63] {
        fs::write(home.path("state/seal.key"), &key[..length]).unwrap();
        assert_ne!(id(), whole, "{length} bytes");
    }
    fs::write(home.path("state/seal.key"), &key[..64]).unwrap();
    assert_eq!(id(), whole, "only the line end is gone");
}

#[test]
fn the_key_stays_while_a_daemon_runs_and_where_there_is_no_database() {
    let home = Home::new(CONFIG);
    assert_eq!(home.output(&["tokens", "rekey", "--yes"]).status.code(), Some(70));
    assert!(!home.path("state/seal.key").exists());
    home.append("logs/a.log", requests(8));
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == 3);
    let key = fs::read(home.path("state/seal.key")).unwrap();
    let output = home.output(&["tokens", "rekey", "--yes"]);
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(home.path("state/seal.key")).unwrap(), key);
    assert!(daemon.terminate().success());
}
