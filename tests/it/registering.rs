//! Registering and marking tokens: the effects, where they are shown, and names that match several tokens.

use std::fs;
use std::process::Output;

use rusqlite::Connection;
use serde_json::{Value, json};
use tokenwatch::store::Reader;

use crate::program::{CONFIG, Home};

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
    use_with(home, time, client, &format!("Bearer {secret}"));
}

/// The same with this `Authorization`.
fn use_with(home: &Home, time: &str, client: &str, authorization: &str) {
    let request = "\"GET /v1/items/17 HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\"";
    let line = format!("{client} - - [12/Mar/2026:{time} +0000] {request} \"{authorization}\"\n");
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
fn why_a_token_was_revoked_is_shown_with_it() {
    let home = Home::new("");
    add(&home, "tom", OLD, &[]);
    for note in ["a slip", "INC-7"] {
        home.print(&["tokens", "set", "tom", "revoked_at="]);
        home.print(&["tokens", "revoke", "tom", "--at", "2026-03-11T08:00:00Z", "--note", note]);
    }
    let told = home.print(&["tokens", "show", "tom"]);
    assert!(told.contains("  revoked     2026-03-11 08:00:00 UTC: INC-7\n"), "{told}");
    let said = first(&home, &["tokens", "show", "tom", "--json"])["lifecycle"].clone();
    assert_eq!(said, first(&home, &["history", "tom", "--json"])["lifecycle"]);
    let last = said.as_array().expect("a list").last().expect("an entry");
    assert_eq!((&last["what"], &last["note"]), (&json!("revoked"), &json!("INC-7")));
    add(&home, "sue", NEW, &["revoked_at=2026-03-12"]);
    let told = home.print(&["tokens", "show", "sue"]);
    assert!(told.contains("  revoked     2026-03-12 00:00:00 UTC\n"), "{told}");
}

#[test]
fn tokens_that_nobody_uses_and_those_that_end_soon_are_listed() {
    let home = Home::new("");
    add(&home, "tom", OLD, &["expires_at=2999-01-01"]);
    use_at(&home, "02:13:07", "84.150.1.9", OLD);
    add(&home, "sue", NEW, &["owner=platform"]);
    let names = |options: &[&str]| {
        let listed = home.json(&[&["tokens", "list", "--json"], options].concat());
        listed.iter().map(|token| token["registered"]["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["tom", "sue"]);
    assert_eq!(names(&["--unused", "1d"]), ["tom"], "sue was registered just now");
    assert_eq!(names(&["--unused", "2026-03-12"]), [""; 0], "tom was used that day");
    assert_eq!(names(&["--expiring", "2999-01-01"]), ["tom"]);
    assert_eq!(names(&["--expiring", "30d"]), [""; 0]);
    for columns in ["60", "160"] {
        let mut command = home.command(&["tokens", "list", "--expiring", "2999-01-01"]);
        let table = command.env("COLUMNS", columns).output().expect("output").stdout;
        let table = String::from_utf8(table).expect("UTF-8");
        assert!(table.contains("ends") && table.contains(" in "), "{table}");
    }
    let sue = home.json(&["tokens", "list", "sue", "--json"]).remove(0);
    assert_eq!(sue["registered"]["owner"], "platform");
}

#[test]
fn a_former_name_is_told_what_it_was_changed_to() {
    let home = Home::new("");
    add(&home, "tom", OLD, &[]);
    home.print(&["tokens", "set", "tom", "name=tim"]);
    for command in [&["history", "tom"][..], &["tokens", "show", "tom"]] {
        let (error, code) = refused(&home, command);
        let told = "\"tom\" any more: it was renamed, and is called \"tim\" now";
        assert!(error.contains(told) && code == Some(2), "{error}");
    }
}

#[test]
fn a_word_on_an_alert_from_before_a_token_was_renamed_was_about_nobody() {
    let home = Home::new("");
    add(&home, "tom", OLD, &["decoy=true"]);
    use_at(&home, "02:13:07", "84.150.1.9", OLD);
    let alert = first(&home, &["alerts", "list", "--json"]);
    let id = alert["alert"].as_str().expect("an id");
    home.print(&["tokens", "set", "tom", "name=tim"]);
    let told = home.print(&["alerts", "ack", id, "--expected"]);
    assert!(told.contains("  from its next use on, tim knows "), "{told}");
    home.print(&["tokens", "set", "tim", "name="]);
    let own = alert["token"]["id"].as_str().expect("an id");
    let told = home.print(&["alerts", "ack", id, "--confirmed"]);
    assert!(told.contains(own) && !told.contains("tom") && !told.contains("tim"), "{told}");
    // Nothing of its address is left behind.
    home.print(&["tokens", "set", own, "name=tom"]);
    home.print(&["tokens", "forget", "tom", "--yes"]);
    let database = Connection::open(home.path("state/tokenwatch.db")).expect("a database");
    let n_words: i64 =
        database.query_row("SELECT count(*) FROM word", [], |row| row.get(0)).expect("a count");
    assert_eq!(n_words, 0);
}

#[test]
fn a_token_was_registered_under_a_name_by_which_mails_took_its_alerts_for_those_of_a_log() {
    let home = Home::new("");
    add(&home, "sue", OLD, &[]);
    home.append("tokens.csv", format!("token,name\n{NEW},log:x\n"));
    for arguments in [
        &["tokens", "add", "fleet"][..],
        &["tokens", "set", "sue", "name=source:203.0.113.0/24"],
        &["tokens", "import", "tokens.csv"],
    ] {
        let (error, code) = refused(&home, arguments);
        assert!(error.contains("expected another name: fleet, "), "{arguments:?}: {error}");
        assert_eq!(code, Some(if arguments[1] == "import" { 70 } else { 2 }), "{arguments:?}");
    }
    let tokens = home.json(&["tokens", "list", "--json"]);
    let names: Vec<&Value> = tokens.iter().map(|token| &token["token"]["name"]).collect();
    assert_eq!(names, ["sue"]);
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
                \x20 the last 2026-03-12 04:00:00 UTC; requests are counted by the hour: 2 between 2026-03-12 02:00Z \
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
    // What is only for later says nothing of now.
    assert_eq!(leak("2099-01-01", &[]).lines().count(), 1);
    let told = home.print(&["tokens", "revoke", "gus", "--at", day]);
    assert!(told.contains("  used since then: 4 requests, 4 accepted"), "{told}");
}

#[test]
fn a_decoy_that_was_in_use_was_taken_without_a_word() {
    let home = Home::new("");
    let id = add(&home, "gus", OLD, &[]);
    let head = format!("gus {id}: a decoy; its use is an alert from now on\n");
    let told = home.print(&["tokens", "decoy", "gus"]);
    assert_eq!(told, format!("{head}  never used, as far as is known\n"));
    home.print(&["tokens", "set", "gus", "decoy="]);
    use_at(&home, "02:13:07", "84.150.1.9", OLD);
    let told = home.print(&["tokens", "decoy", "gus"]);
    let used = "  used so far: 1 request, 1 accepted, from 1 network, 1 country\n";
    assert!(told.starts_with(&format!("{head}{used}")), "{told}");
    assert!(told.contains(&format!(" history {id}\n")), "{told}");
    let config = home.path("tokenwatch.toml");
    let set = format!("tokenwatch --config {} tokens set {id} decoy=\n", config.display());
    assert!(told.ends_with(&format!("if another one was meant: {set}")), "{told}");
    let told = home.print(&["tokens", "decoy", "gus", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let used = &told["used"];
    assert_eq!((&used["requests"], used.get("since")), (&json!(1), None), "{used}");
}

#[test]
fn a_mark_on_a_principal_did_not_say_how_many_tokens_it_is_about() {
    let home = Home::new("");
    let principal = "basic:ann";
    let about = |command: &str| {
        let told = home.print(&["tokens", command, principal]);
        told.lines().nth(1).expect("a second line").trim().to_owned()
    };
    assert_eq!(about("leak"), "no token of it is known yet: about those issued from now on");
    for (n, words) in [(1, "its one known token"), (2, "all 2 tokens of it")] {
        // The password is a part of the token, the principal is the user.
        let password = format!("ann:secret-of-ann-{n}");
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, password);
        use_with(&home, &format!("0{n}:13:07"), "84.150.1.9", &format!("Basic {basic}"));
        assert_eq!(about("leak"), format!("about {words}, and those issued from now on"));
    }
    let told = home.print(&["tokens", "revoke", principal, "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["tokens"], 2, "{told}");
}

#[test]
fn the_commands_of_a_mail_reached_one_of_a_users_tokens() {
    let home = Home::new("");
    for n in 1..=2 {
        let password = format!("ann:secret-of-ann-{n}");
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, password);
        use_with(&home, &format!("0{n}:13:07"), "84.150.1.9", &format!("Basic {basic}"));
    }
    let token = first(&home, &["tokens", "list", "--json"]);
    let id = token["token"]["id"].as_str().expect("an id");
    assert!(!home.print(&["history", id]).contains("2 tokens"));
    let all = home.print(&["history", id, "--principal"]);
    assert!(all.starts_with("basic:ann: 2 tokens, 2 requests\n"), "{all}");
    let set = home.print(&["tokens", "set", id, "--principal", "owner=ann"]);
    assert_eq!(set, "basic:ann: changed\n");
    let revoked = home.print(&["tokens", "revoke", id, "--principal"]);
    assert!(revoked.starts_with("basic:ann: revoked since "), "{revoked}");
    assert!(revoked.contains("about all 2 tokens of it, and those issued from now on"));
    // A token of no other name is its own principal.
    use_at(&home, "04:13:07", "84.150.1.9", OLD);
    let own = home.output_with(&["tokens", "id"], OLD).stdout;
    let own = String::from_utf8(own).expect("UTF-8");
    let own = own.trim();
    let revoked = home.print(&["tokens", "revoke", own, "--principal"]);
    assert!(revoked.starts_with(&format!("{own}: revoked since ")), "{revoked}");
    let strange = format!("tw1_{}", "0".repeat(32));
    let (error, code) = refused(&home, &["tokens", "revoke", &strange, "--principal"]);
    assert!(code == Some(2) && error.contains("nothing is known about the token"), "{error}");
}

/// A home where `sue` has a token in use and its successor, which nobody has used yet; with their ids.
fn rotated() -> (Home, [String; 2]) {
    let home = Home::new("");
    let ids = [add(&home, "sue", OLD, &[]), add(&home, "sue", NEW, &[])];
    use_at(&home, "02:13:07", "84.150.1.9", OLD);
    (home, ids)
}

fn state(home: &Home, id: &str) -> String {
    first(home, &["tokens", "show", id, "--json"])["state"].as_str().expect("text").to_owned()
}

#[test]
fn revoking_by_name_revoked_the_successor_too() {
    let (home, [old, new]) = rotated();
    for command in ["revoke", "leak", "decoy"] {
        let (error, code) = refused(&home, &["tokens", command, "sue"]);
        let listed = [
            format!(
                "  {old} ...0123  active, first used 2026-03-12 02:13Z, last 2026-03-12 02:13Z\n"
            ),
            format!("  {new}  active, never used\n"),
        ];
        assert!(error.starts_with("sue is the name of 2 tokens:\n"), "{error}");
        assert!(listed.iter().all(|line| error.contains(line)), "{error}");
        let advice = "nothing was changed: give the id of one token, or --all\n";
        assert!(error.ends_with(advice) && code == Some(2), "{error}");
    }
    assert_eq!([state(&home, &old), state(&home, &new)], ["active"; 2]);
    // An id, the beginning of one, or the secret is one token.
    home.print(&["tokens", "revoke", &old[..12], "--at", "2026-03-13"]);
    assert_eq!([state(&home, &old), state(&home, &new)], ["revoked", "active"]);
    let leaked = home.output_with(&["tokens", "leak", "-"], OLD);
    assert!(leaked.status.success(), "{}", errors(&leaked));
    assert_eq!([state(&home, &old), state(&home, &new)], ["leaked", "active"]);
}

#[test]
fn of_a_name_the_one_token_is_meant_of_which_it_does_not_hold_yet() {
    let (home, [old, new]) = rotated();
    home.print(&["tokens", "leak", &old]);
    // Another end is no answer to which one is meant.
    assert_eq!(refused(&home, &["tokens", "revoke", "sue"]).1, Some(2));
    home.print(&["tokens", "revoke", &old, "--at", "2026-03-13", "--note", "INC-7"]);
    let told = home.print(&["tokens", "revoke", "sue", "--at", "2026-03-14"]);
    assert!(told.contains(&new) && !told.contains(&old), "{told}");
    let revoked = |id: &str| {
        first(&home, &["tokens", "show", id, "--json"])["registered"]["revoked_at"].clone()
    };
    assert_eq!([revoked(&old), revoked(&new)], ["2026-03-13T00:00:00Z", "2026-03-14T00:00:00Z"]);
    // Once more, nobody knows of which.
    assert_eq!(refused(&home, &["tokens", "revoke", "sue"]).1, Some(2));
    home.print(&["tokens", "revoke", "sue", "--all", "--at", "2026-03-15"]);
    assert_eq!([revoked(&old), revoked(&new)], ["2026-03-15T00:00:00Z"; 2]);
}

#[test]
fn all_tokens_of_a_name_are_marked_if_that_is_asked_for() {
    let (home, [old, new]) = rotated();
    home.print(&["tokens", "leak", &old, "--at", "2026-03-01"]);
    let told = home.print(&["tokens", "leak", "sue", "--all"]);
    assert_eq!([state(&home, &old), state(&home, &new)], ["leaked"; 2]);
    assert!(!told.contains(&old), "what was said of it before stays: {told}");
}

#[test]
fn columns_of_one_token_are_not_set_of_its_successor() {
    let (home, [old, new]) = rotated();
    for column in ["revoked_at=2026-03-13", "leaked_at=", "expires_at=2026-03-13", "decoy=true"] {
        let (error, code) = refused(&home, &["tokens", "set", "sue", "owner=ops", column]);
        assert!(error.contains(&old) && error.contains(&new) && code == Some(2), "{error}");
    }
    home.print(&["tokens", "set", "sue", "owner=ops"]);
    home.print(&["tokens", "set", "sue", "--all", "expires_at=2026-03-13"]);
    for id in [&old, &new] {
        let row = first(&home, &["tokens", "show", id, "--json"])["registered"].clone();
        assert_eq!(
            (&row["owner"], &row["expires_at"]),
            (&"ops".into(), &"2026-03-13T00:00:00Z".into())
        );
    }
    home.print(&["tokens", "set", "sue", "name=sue-laptop"]);
    assert_eq!(home.json(&["tokens", "show", "sue-laptop", "--json"]).len(), 2);
}

#[test]
fn forgetting_asked_nothing() {
    let (home, [old, new]) = rotated();
    home.print(&["tokens", "revoke", &old, "--at", "2026-03-13"]);
    let forget = |arguments: &[&str]| home.output(&[&["tokens", "forget"], arguments].concat());
    let asked = forget(&[&old]);
    assert!(asked.status.success(), "a preview is no wrong command line");
    let told = format!(
        "would forget {old}: tokens 1, requests 1, incidents 0\n  \
         and that sue {old} is revoked: its use would no longer be an alert for that\n"
    );
    assert_eq!(String::from_utf8_lossy(&asked.stdout), told);
    assert!(errors(&asked).contains("nothing was forgotten: give --yes"), "{}", errors(&asked));
    let asked: Value = serde_json::from_slice(&forget(&[&old, "--json"]).stdout).expect("JSON");
    assert_eq!(asked["to_forget"], json!({"tokens": 1, "requests": 1, "incidents": 0}));
    // A name is not guessed here, either.
    let several = forget(&["sue", "--yes"]);
    assert!(errors(&several).starts_with("sue is the name of 2 tokens:"), "{}", errors(&several));
    assert_eq!((several.status.code(), state(&home, &old)), (Some(2), "revoked".to_owned()));
    assert!(forget(&[&old, "--yes"]).status.success());
    assert_eq!(state(&home, &new), "active");
    assert!(forget(&["sue", "--yes"]).status.success(), "one is left");
    assert_eq!(home.print(&["tokens", "list"]), "no tokens\n");
    let (home, _) = rotated();
    home.print(&["tokens", "forget", "sue", "--all", "--yes"]);
    assert_eq!(home.print(&["tokens", "list"]), "no tokens\n");
}

#[test]
fn what_was_forgotten_could_still_be_read_in_the_database_and_in_its_backup() {
    let home = Home::new("");
    let id = add(&home, "the-bot-of-ann", OLD, &["owner=ann-of-accounting"]);
    for minute in 10..40 {
        use_at(&home, &format!("02:{minute}:07"), "84.150.1.9", OLD);
        home.print(&["tokens", "set", "the-bot-of-ann", &format!("notes=n{minute}")]);
    }
    home.print(&["tokens", "decoy", "the-bot-of-ann"]);
    use_at(&home, "03:13:07", "84.150.1.9", OLD);
    let database = home.path("state/tokenwatch.db");
    let backup = home.path("state/tokenwatch.db.backup");
    Reader::open(&database).expect("a database").backup(&backup).expect("a backup");
    let found = || {
        let files = std::fs::read_dir(home.path("state")).expect("the state");
        let names = files.map(|file| file.expect("a file").file_name().into_string());
        let mut found: Vec<(String, &str)> = Vec::new();
        for name in names.map(|name| name.expect("UTF-8")) {
            let bytes = std::fs::read(home.path("state").join(&name)).expect("bytes");
            for text in ["the-bot-of-ann", "ann-of-accounting", id.as_str()] {
                let has = bytes.windows(text.len()).any(|part| part == text.as_bytes());
                found.extend(has.then(|| (name.clone(), text)));
            }
        }
        found
    };
    assert!(found().len() > 4, "{:?}", found());
    home.print(&["tokens", "forget", "the-bot-of-ann", "--yes"]);
    assert!(backup.exists());
    assert_eq!(found(), []);
}

#[test]
fn the_lifecycle_showed_the_future_and_hid_when_it_was_said() {
    let home = Home::new("");
    add(&home, "fay", OLD, &[]);
    home.print(&["tokens", "leak", "fay", "--at", "2099-12-01"]);
    home.print(&["tokens", "set", "fay", "leaked_at="]);
    home.print(&["tokens", "revoke", "fay", "--at", "2026-03-11T08:00:00Z", "--note", "INC-7"]);
    let told = home.print(&["history", "fay", "--since", "1h"]);
    let (_, life) = told.split_once("lifecycle\n").expect("a lifecycle");
    // Behind the time at which each was said.
    let life: Vec<&str> =
        life.lines().map(|line| line.split_once("Z  ").expect("a time").1).collect();
    assert_eq!(life[0], "registered fay");
    let taken_back = "leaked fay, as of 2099-12-01 00:00:00 UTC, taken back 20";
    assert!(life[1].starts_with(taken_back) && life[1].ends_with(" UTC"), "{life:?}");
    assert_eq!(life[2..], ["unleaked fay", "revoked fay, as of 2026-03-11 08:00:00 UTC: INC-7"]);
    let rows = first(&home, &["history", "fay", "--json"])["lifecycle"].clone();
    assert_eq!(rows[1]["taken_back"], rows[2]["noted"]);
    assert_eq!((rows[3].get("taken_back"), &rows[3]["note"]), (None, &"INC-7".into()));
}

#[test]
fn a_registry_named_the_token_of_another_one_beside_it() {
    let home = Home::new("");
    let line = "192.0.2.7 - - [02/Mar/2026:08:00:07 +0000] \"GET /v1/items HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk-a-0123456789abcdef\"\n";
    for directory in ["logs/a", "logs/b"] {
        fs::create_dir_all(home.path(directory)).unwrap();
    }
    home.append("logs/a/access.log", line);
    fs::write(home.path("logs/a/registry.csv"), "name,revoked_at\nci,2026-01-01\n").unwrap();
    fs::write(home.path("logs/b/registry.csv"), "token,name\nexk-a-0123456789abcdef,ci\n").unwrap();
    let told = home.print(&["replay", "logs"]);
    assert!(told.contains("revoked-token-used"), "{told}");
    // A name that nobody has stays a fault, and nothing is said to be imported.
    fs::remove_file(home.path("logs/b/registry.csv")).unwrap();
    let output = home.output(&["replay", "logs"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert!(told.contains("a name that no token has") && !told.contains("1 row for"), "{told}");
}

#[test]
fn secrets_came_into_the_registry_in_clear() {
    let home = Home::new("");
    let id = add(&home, "gus", OLD, &[]);
    let secret = format!("glpat-{}", "Zq8xK2vN4mB6wR1tY7uP");
    let said = format!("was {secret}");
    let column = format!("notes={said}");
    home.append("swapped.csv", format!("token,name\ngrafana,{secret}\n"));
    home.append("logs/access.log", "");
    for arguments in [
        &["tokens", "import", "swapped.csv"][..],
        &["replay", "--registry", "swapped.csv", "logs/access.log"],
        &["replay", "--save", "--registry", "swapped.csv", "logs/access.log"],
        &["tokens", "set", "gus", &column],
        &["tokens", "add", &said],
        &["tokens", "revoke", "gus", "--note", &said],
        &["alerts", "ack", "al_0", "--expected", "--note", &said],
        &["alerts", "mute", "--country", "DE", "--reason", &said],
        &["alerts", "mute", "--client", &said, "--reason", "INC-7"],
    ] {
        let (error, code) = refused(&home, arguments);
        assert!(error.contains("secret") && !error.contains(&secret), "{arguments:?}: {error}");
        assert!(matches!(code, Some(2 | 70)), "{arguments:?}: {error}");
    }
    home.append("rotated.csv", format!("token,rotated_to\n{id},{secret}\n"));
    home.print(&["tokens", "import", "rotated.csv"]);
    let successor =
        first(&home, &["tokens", "show", "gus", "--json"])["registered"]["rotated_to"].clone();
    let sealed = home.output_with(&["tokens", "id"], &secret);
    assert_eq!(successor, String::from_utf8(sealed.stdout).expect("UTF-8").trim());
    for file in fs::read_dir(home.path("state")).expect("the state") {
        let bytes = fs::read(file.expect("a file").path()).expect("bytes");
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
}

#[test]
fn a_shortened_id_was_registered_as_a_secret() {
    let home = Home::new("");
    let id = add(&home, "gus", OLD, &[]);
    let short = id.split_at(12).0;
    // A known one is completed.
    assert_eq!(home.output_with(&["tokens", "id"], short).stdout, format!("{id}\n").as_bytes());
    let again = home.output_with(&["tokens", "add", "tom"], short);
    assert!(errors(&again).contains("already registered as \"gus\""), "{}", errors(&again));
    for text in ["tw1_zzz", &format!("{id}0")] {
        let refused = home.output_with(&["tokens", "add", "tom"], text);
        assert!(errors(&refused).contains("tw1_ and 32 hex digits"), "{}", errors(&refused));
        assert_eq!(refused.stdout, b"");
    }
    home.append("short.csv", format!("token,name\n{short},tom\n"));
    let (error, _) = self::refused(&home, &["tokens", "import", "short.csv"]);
    assert!(
        error.contains("short.csv:2: column token: expected the secret, or the whole id"),
        "{error}"
    );
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 1);
}

#[test]
fn a_file_with_invalid_rows_makes_no_database() {
    let home = Home::new("");
    home.append("tokens.csv", format!("token,name,decoy\n{OLD},gus,so\n,ghost,\n"));
    home.append("logs/access.log", "");
    for arguments in [
        &["tokens", "import", "tokens.csv"][..],
        &["replay", "--save", "--registry", "tokens.csv", "logs/access.log"],
    ] {
        let (error, _) = refused(&home, arguments);
        assert!(
            error.contains("tokens.csv:2: column decoy")
                && error.contains("tokens.csv:3: expected a token"),
            "{error}"
        );
        assert!(error.contains("2 rows cannot be read"), "{error}");
        assert!(!home.path("state/tokenwatch.db").exists());
    }
}

#[test]
fn one_user_with_many_jwts_filled_every_list() {
    let home = Home::new(CONFIG);
    let head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let kim = "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwic3ViIjoia2ltIiwiYW1yIjpbInB3ZCJdfQ";
    let line = |token: String| {
        format!(
            "84.150.1.9 - - [12/Mar/2026:02:13:07 +0000] \"GET /v1/items HTTP/1.1\" 200 612 \"-\" \
             \"curl/8.5.0\" \"Bearer {token}\"\n"
        )
    };
    let jwts = (0..25).map(|n| line(format!("{head}.{kim}.{n:04}bmF0dXJlLW9mLWEtdGVzdA")));
    home.append("logs/access.log", jwts.collect::<String>());
    home.append("logs/access.log", line("exk-sue-0123456789abcdef0123".to_owned()));
    home.print(&["replay", "--save", "logs/access.log"]);
    let n_rows = |arguments: &[&str]| {
        let list = home.print(&[&["tokens", "list"], arguments].concat());
        list.lines().filter(|line| line.contains("unregistered")).count()
    };
    let list = home.print(&["tokens", "list", "--unused", "10d", "-n", "2"]);
    assert!(list.contains("jwt:https://id.example.org:kim (25 tokens)"), "{list}");
    assert_eq!((n_rows(&[]), n_rows(&["--each"]), n_rows(&["-n", "1"])), (2, 26, 1));
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 26);
    let shown = home.print(&["tokens", "show", "jwt:https://id.example.org:kim"]);
    let n_cards = shown.lines().filter(|line| line.starts_with("  id ")).count();
    assert_eq!(n_cards, 20, "{shown}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.starts_with("and 5 used earlier: tokenwatch "), "{last}");
    assert!(last.ends_with(" tokens list jwt:https://id.example.org:kim --each"), "{last}");
}

#[test]
fn counts_of_a_thousand_were_printed_without_a_comma() {
    const N: u32 = 1021;
    let home = Home::new("");
    let secret = |n: u32| format!("exk_{n:08}0123456789abcdefgh");
    let rows: String = (0..N).map(|n| format!("{},orders\n", secret(n))).collect();
    let imported = home.output_with(&["tokens", "import", "-"], &format!("token,name\n{rows}"));
    assert_eq!(
        String::from_utf8_lossy(&imported.stdout),
        "1,021 rows read, 1,021 of them new or changed\n"
    );
    let line = |n: u32| {
        let (client, token) = (format!("198.18.{}.{}", n / 256, n % 256), secret(n));
        format!(
            "{client} - - [12/Mar/2026:02:13:07 +0000] \"GET /v1/items?access_token={token} HTTP/1.1\" 200 612 \
             \"-\" \"curl/8.5.0\"\n"
        )
    };
    home.append("logs/access.log", (0..N).map(line).collect::<String>());
    home.print(&["replay", "--save", "logs/access.log"]);
    let (asked, _) = refused(&home, &["tokens", "revoke", "orders"]);
    assert!(asked.starts_with("orders is the name of 1,021 tokens:\n"), "{asked}");
    let printed: [(&[&str], &[&str]); 3] = [
        (&["history", "orders"], &["orders: 1,021 tokens, ", " and 1,001 more, which --json"]),
        (
            &["tokens", "forget", "orders", "--all"],
            &["would forget orders: tokens 1,021, requests 1,021,"],
        ),
        (&["who", "198.18.0.0/16"], &["orders (1,021 tokens)", "1,021 addresses"]),
    ];
    for (arguments, texts) in printed {
        let printed = home.print(arguments);
        assert!(texts.iter().all(|text| printed.contains(text)), "{arguments:?}: {printed}");
    }
    assert!(asked.contains("\n  and 1,001 more\n"), "{asked}");
    let list = errors(&home.output(&["tokens", "list", "--each", "-n", "1000"]));
    assert_eq!(list, "1,000 shown; -n for more\n");
}
