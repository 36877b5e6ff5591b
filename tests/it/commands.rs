//! The commands that read and change the state: their output for people and programs, and what they refuse.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokenwatch::store::{Lock, Role, Store};

use crate::program::{CONFIG, Home};

/// The secret of the token that the stories are about.
const SECRET: &str = "exk-ci-0123456789abcdef0123";

/// Another one, which nobody registers.
const OTHER: &str = "exk-web-fedcba98765432100";

/// Twelve days of two tokens; on the last day one of them is used from elsewhere, by something else.
fn story() -> String {
    let mut log = String::new();
    for hour in 0..12 * 24 {
        let time = format!("{:02}/Mar/2026:{:02}:05:00 +0000", 2 + hour / 24, hour % 24);
        for (client, secret) in [("84.150.1.9", SECRET), ("84.150.2.7", OTHER)] {
            log += &line(client, &time, "/v1/items/17", 200, "curl/8.5.0", secret);
        }
    }
    for second in 0..30 {
        let time = format!("14/Mar/2026:02:13:{second:02} +0000");
        let (client, agent) = ("105.112.7.9", "python-requests/2.31");
        log += &line(client, &time, "/v1/customers", 200, agent, SECRET);
    }
    log
}

fn line(client: &str, time: &str, target: &str, status: u16, agent: &str, secret: &str) -> String {
    format!(
        "{client} - - [{time}] \"GET {target} HTTP/1.1\" {status} 612 \"-\" \"{agent}\" \"Bearer {secret}\"\n"
    )
}

/// A home that knows the story; the token is registered as `ci`.
fn home() -> Home {
    let home = Home::new("");
    let added = home.output_with(&["tokens", "add", "ci", "owner=ops"], &format!("{SECRET}\n"));
    assert!(added.status.success(), "{}", errors(&added));
    home.append("logs/access.log", story());
    home.print(&["replay", "--save", "logs/access.log"]);
    home
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a terminal of so many columns shows.
fn shown(home: &Home, columns: u16, arguments: &[&str]) -> String {
    let mut command = home.command(arguments);
    let output = command.env("COLUMNS", columns.to_string()).output().expect("output");
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a command that must fail says, and its status.
fn refused(home: &Home, arguments: &[&str], input: &str) -> (String, Option<i32>) {
    let output = home.output_with(arguments, input);
    assert_eq!(output.stdout, b"", "{arguments:?}");
    (errors(&output), output.status.code())
}

/// Compares with a snapshot, ids and ages left out.
macro_rules! snapshot {
    ($home:expr, $text:expr) => {
        let root = regex_of($home);
        insta::with_settings!({ filters => vec![
            (root.as_str(), "[home]"),
            (r"tw1_[0-9a-f]{32}", "[id]"),
            (r"tw1_[0-9a-f]{8}", "[short id]"),
            (r"al_[0-9a-f]{16}", "[alert]"),
            (r"al_[0-9a-f]{10}", "[short alert]"),
            (r"in_[0-9a-f]{16}", "[incident]"),
            (r"(in \d+ d\b|\d+ d ago) {2,}", "[ago]  "),
            (r"in \d+ d\b|\d+ d ago", "[ago]"),
            (r"(first seen|time) {2,}", "$1  "),
            (r"[0-9-]+ [0-9:]+Z  registered", "[now]  registered"),
        ] }, { insta::assert_snapshot!($text); });
    };
}

fn regex_of(home: &Home) -> String {
    home.path("").to_string_lossy().trim_end_matches('/').replace('.', r"\.")
}

fn first(home: &Home, arguments: &[&str]) -> Value {
    home.json(arguments).into_iter().next().expect("an object")
}

#[test]
fn tokens_are_listed_and_shown() {
    let home = home();
    snapshot!(&home, shown(&home, 160, &["tokens", "list"]));
    snapshot!(&home, shown(&home, 60, &["tokens", "list"]));
    snapshot!(&home, shown(&home, 160, &["tokens", "show", "ci"]));
    let ci = first(&home, &["tokens", "list", "ops", "--json"]);
    assert_eq!(ci["token"]["name"], "ci");
    assert_eq!((&ci["principal"], &ci["state"]), (&"ci".into(), &"active".into()));
    assert_eq!((&ci["requests"], &ci["ok"], &ci["denied"]), (&318.into(), &318.into(), &0.into()));
    assert_eq!((&ci["countries"], &ci["addresses"]), (&2.into(), &2.into()));
    assert_eq!(ci["first_seen"], "2026-03-02T00:05:00Z");
    let open = home.json(&["tokens", "list", "--state", "unregistered", "--json"]);
    assert_eq!(open.len(), 1);
    assert_eq!(home.print(&["tokens", "list", "--since", "2h"]), "no tokens\n");
    let (error, code) = refused(&home, &["tokens", "list", "--state", "lost"], "");
    assert!(error.contains("states are decoy, leaked") && code == Some(2), "{error}");
}

#[test]
fn a_token_is_found_by_name_id_beginning_and_secret() {
    let home = home();
    let id = home.output_with(&["tokens", "id", "-"], SECRET).stdout;
    let id = String::from_utf8(id).expect("UTF-8");
    let id = id.trim();
    for token in ["ci", id, &id[..12]] {
        assert_eq!(
            first(&home, &["tokens", "show", token, "--json"])["token"]["id"],
            id,
            "{token}"
        );
    }
    let by_secret = home.output_with(&["tokens", "show", "-", "--json"], &format!("{SECRET}\n"));
    assert!(String::from_utf8_lossy(&by_secret.stdout).contains(id));
    let (error, code) = refused(&home, &["tokens", "show", "nobody"], "");
    assert!(
        error.contains("nobody") && error.contains("tokens list") && code == Some(2),
        "{error}"
    );
}

#[test]
fn what_people_say_of_a_token_is_kept() {
    let home = home();
    home.print(&[
        "tokens",
        "set",
        "ci",
        "owner=platform",
        "expires_at=2031-01-01",
        "countries=DE;FR",
    ]);
    let registered = first(&home, &["tokens", "show", "ci", "--json"])["registered"].clone();
    assert_eq!(registered["owner"], "platform");
    assert_eq!(registered["expires_at"], "2031-01-01T00:00:00Z");
    assert_eq!(registered["countries"], serde_json::json!(["DE", "FR"]));
    home.print(&["tokens", "set", "ci", "countries=", "expires_at="]);
    let registered = first(&home, &["tokens", "show", "ci", "--json"])["registered"].clone();
    assert_eq!((registered.get("countries"), registered.get("expires_at")), (None, None));
    let state = || first(&home, &["tokens", "show", "ci", "--json"])["state"].clone();
    home.print(&["tokens", "revoke", "ci", "--at", "2026-03-15", "--note", "rotated by hand"]);
    assert_eq!(state(), "revoked");
    home.print(&["tokens", "leak", "ci"]);
    assert_eq!(state(), "leaked");
    home.print(&["tokens", "decoy", "ci"]);
    assert_eq!(state(), "decoy");
    let lifecycle = first(&home, &["history", "ci", "--json"])["lifecycle"].clone();
    let what: Vec<_> =
        lifecycle.as_array().unwrap().iter().map(|row| row["what"].clone()).collect();
    for word in ["registered", "changed", "revoked", "leaked", "decoy"] {
        assert!(what.contains(&word.into()), "{word}: {what:?}");
    }
    assert!(lifecycle.to_string().contains("rotated by hand"));
    let forgot = home.print(&["tokens", "forget", "ci", "--yes"]);
    assert!(forgot.contains("requests 318"), "{forgot}");
    assert_eq!(refused(&home, &["tokens", "show", "ci"], "").1, Some(2));
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 1);
}

#[test]
fn how_a_mark_is_taken_back_was_not_said() {
    let home = home();
    let state = || registered(&home).1;
    let help = |command: &str| {
        let help = home.print(&["tokens", command, "--help"]);
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (command, column) in
        [("leak", "leaked_at="), ("revoke", "revoked_at="), ("decoy", "decoy=")]
    {
        let way = format!("To undo: `tokens set TOKEN {column}`");
        assert!(help(command).contains(&way), "{}", help(command));
        home.print(&["tokens", command, "ci"]);
        assert_ne!(state(), "active");
        home.print(&["tokens", "set", "ci", column]);
        assert_eq!(state(), "active", "{column}");
    }
    assert!(help("set").contains("`rotated_at= rotated_to=` undoes it"), "{}", help("set"));
    home.print(&["tokens", "set", "ci", "rotated_at=2026-03-01", "rotated_to=ci-2"]);
    assert_eq!(state(), "rotated");
    home.print(&["tokens", "set", "ci", "rotated_at=", "rotated_to="]);
    assert_eq!(state(), "active");
    home.print(&["tokens", "set", "ci", "rotated_to=ci-2"]);
    let row = first(&home, &["tokens", "show", "ci", "--json"])["registered"].clone();
    assert!(row["rotated_at"].is_string(), "since now: {row}");
}

#[test]
fn a_token_may_be_marked_before_anybody_saw_it() {
    let home = Home::new("");
    let done = home
        .output_with(&["tokens", "leak", "-", "--note", "in a gist"], "exk-new-0123456789abcdef");
    assert!(done.status.success(), "{}", errors(&done));
    home.print(&["tokens", "set", "jwt:https://id.example.org:ann", "mfa=true"]);
    home.print(&["tokens", "add", "jwt:https://id.example.org:bob", "owner=bob"]);
    let tokens = home.json(&["tokens", "list", "--json"]);
    let states: Vec<_> = tokens.iter().map(|token| token["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "active").count(), 2, "{states:?}");
    assert_eq!(states.iter().filter(|state| **state == "leaked").count(), 1, "{states:?}");
    let rename = refused(&home, &["tokens", "set", "jwt:https://id.example.org:ann", "name=x"], "");
    assert!(rename.0.contains("cannot change"), "{}", rename.0);
}

#[test]
fn a_registry_file_is_imported() {
    let home = Home::new("");
    home.append("registry.csv", "token,name,owner\nexk-a-0123456789abcdef,a,ops\n,jwt:i:s,\n");
    assert_eq!(
        home.print(&["tokens", "import", "registry.csv"]),
        "2 rows read, 2 of them new or changed\n"
    );
    assert_eq!(
        home.print(&["tokens", "import", "registry.csv"]),
        "2 rows read, 0 of them new or changed\n"
    );
    home.append("bad.csv", "token,expires_at\nexk-b,soon\n");
    let (error, _) = refused(&home, &["tokens", "import", "bad.csv"], "");
    assert!(error.contains("bad.csv:2") && !error.contains("exk-b"), "{error}");
}

#[test]
fn a_revocation_by_name_was_imported_beside_the_token_of_that_name() {
    let home = Home::new("");
    assert!(home.output_with(&["tokens", "add", "ci"], SECRET).status.success());
    home.append("bad.csv", "name,decoy\nghost,true\n");
    let (error, code) = refused(&home, &["tokens", "import", "bad.csv"], "");
    let told = "bad.csv:2: expected a token and not only a name that no token has\n";
    assert!(error.starts_with(told) && code == Some(70), "{error}");
    home.append("logs/access.log", story());
    let (error, code) = refused(&home, &["replay", "--registry", "bad.csv", "logs"], "");
    assert!(error.contains(told) && code == Some(70), "{error}");

    home.append("ci.csv", "name,revoked_at\nci,2026-01-01\n");
    let alerts = home.print(&["replay", "--json", "--registry", "ci.csv", "logs"]);
    assert!(alerts.contains("revoked-token-used"), "{alerts}");
    let said = home.print(&["tokens", "import", "ci.csv"]);
    assert_eq!(said, "1 row read, 1 of them new or changed\n");
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 1);
    assert_eq!(registered(&home).1, "revoked");
}

/// What is registered of `ci`, and its state.
fn registered(home: &Home) -> (Value, Value) {
    let ci = first(home, &["tokens", "show", "ci", "--json"]);
    (ci["registered"].clone(), ci["state"].clone())
}

/// A home where `ci` is registered with pins, an expiry and notes, and is known to have leaked.
fn leaked() -> Home {
    let home = Home::new("");
    let columns = ["expires_at=2031-01-01", "networks=192.0.2.0/24", "notes=by hand", "owner=ops"];
    let added = home.output_with(&[&["tokens", "add", "ci"], &columns[..]].concat(), SECRET);
    assert!(added.status.success(), "{}", errors(&added));
    home.print(&["tokens", "leak", "ci", "--at", "2026-03-01"]);
    home
}

#[test]
fn an_import_took_back_what_it_had_no_column_for() {
    let home = leaked();
    let (before, _) = registered(&home);
    let csv = format!("token,name,owner\n{SECRET},ci,platform\n");
    let json = format!("{{\"token\":\"{SECRET}\",\"owner\":\"ann\"}}\n");
    for (file, text, owner) in [("a.csv", csv, "platform"), ("a.jsonl", json, "ann")] {
        home.append(file, text);
        let said = home.print(&["tokens", "import", file]);
        assert_eq!(said, "1 row read, 1 of them new or changed\n");
        let mut expected = before.clone();
        expected["owner"] = owner.into();
        assert_eq!(registered(&home), (expected, "leaked".into()), "{file}");
    }
    let life = first(&home, &["history", "ci", "--json"])["lifecycle"].to_string();
    assert!(!life.contains("unleaked"), "{life}");
}

#[test]
fn a_registry_beside_the_logs_was_imported_for_good() {
    let home = leaked();
    home.append("logs/access.log", story());
    home.append("logs/registry.csv", format!("token,leaked_at\n{SECRET},\n"));
    let replay = |options: &[&str]| {
        let output = home.output(&[&["replay"], options, &["logs"]].concat());
        assert!(output.status.success(), "{}", errors(&output));
        errors(&output)
    };
    let told = replay(&["--save"]);
    let refused =
        "registry: logs/registry.csv: not imported: with --save, name it with --registry\n";
    assert!(told.contains(refused) && !told.contains("no longer has"), "{told}");
    assert_eq!(registered(&home).1, "leaked");
    let told = replay(&[]);
    assert!(told.contains("registry: logs/registry.csv: 1 row for this run\n"), "{told}");
    assert_eq!(registered(&home).1, "leaked");
    let told = replay(&["--save", "--registry", "logs/registry.csv"]);
    assert!(told.contains("registry: logs/registry.csv: 1 row imported\n"), "{told}");
    assert!(told.contains("no longer has leaked_at"), "{told}");
    assert_eq!(registered(&home).1, "active");
}

#[test]
fn a_replay_that_keeps_nothing_did_not_know_what_is_registered() {
    let home = leaked();
    home.append("logs/access.log", story());
    let replay = |options: &[&str]| {
        let output = home.output(&[&["--json", "replay"], options, &["logs"]].concat());
        assert!(output.status.success(), "{}", errors(&output));
        let is_leak = String::from_utf8_lossy(&output.stdout).contains("leaked-token-used");
        (is_leak, errors(&output))
    };
    let (is_leak, told) = replay(&[]);
    assert!(is_leak && told.contains("tokenwatch.db: 1 row for this run\n"), "{told}");
    home.append("other.csv", format!("token,owner\n{SECRET},ann\n"));
    assert!(replay(&["--registry", "other.csv"]).0, "it says nothing of the leak");
    assert_eq!(registered(&home).0["owner"], "ops", "nothing is kept");
    home.append("back.csv", format!("token,leaked_at\n{SECRET},\n"));
    assert!(!replay(&["--registry", "back.csv"]).0, "taken back, for this run");
    let (is_leak, told) = replay(&["--save"]);
    assert!(is_leak && !told.contains("registry:"), "{told}");
}

#[test]
fn a_list_in_json_ended_at_its_limit_without_a_word() {
    let home = home();
    for what in ["alerts", "tokens"] {
        let of = |arguments: &[&str]| {
            let output = home.output(&[&[what, "list", "--json"], arguments].concat());
            (String::from_utf8_lossy(&output.stdout).lines().count(), errors(&output))
        };
        assert_eq!(of(&["-n", "1"]), (1, "1 shown; -n for more\n".into()), "{what}");
        assert_eq!(of(&[]).1, "", "{what}");
    }
}

#[test]
fn an_import_says_which_marks_an_empty_cell_takes_back() {
    let home = leaked();
    home.print(&["tokens", "decoy", "ci"]);
    home.append("a.csv", format!("token,leaked_at,decoy,revoked_at,notes\n{SECRET},,,,\n"));
    let said = home.print(&["tokens", "import", "a.csv"]);
    let id = registered(&home).0["token"].as_str().unwrap().to_owned();
    assert_eq!(
        said,
        format!("1 row read, 1 of them new or changed\nci {id}: no longer has leaked_at, decoy\n")
    );
    let (row, state) = registered(&home);
    assert_eq!((row.get("notes"), row.get("leaked_at"), state), (None, None, "active".into()));
    assert_eq!(row["networks"], serde_json::json!(["192.0.2.0/24"]));

    home.print(&["tokens", "revoke", "ci"]);
    home.append("a.jsonl", format!("{{\"token\":\"{SECRET}\",\"revoked_at\":null}}\n"));
    let said = first(&home, &["tokens", "import", "a.jsonl", "--json"]);
    let taken_back = serde_json::json!([{"token": id, "name": "ci", "columns": ["revoked_at"]}]);
    assert_eq!((&said["changed"], &said["taken_back"]), (&1.into(), &taken_back));
    let again = first(&home, &["tokens", "import", "a.jsonl", "--json"]);
    assert_eq!((&again["changed"], &again["taken_back"]), (&0.into(), &json!([])));
}

#[test]
fn of_a_token_that_stood_twice_in_a_file_the_last_line_won() {
    let home = Home::new("");
    home.append("a.csv", format!("token,name\n{SECRET},ci\n{OTHER},web\n{SECRET},deploy\n"));
    let (error, code) = refused(&home, &["tokens", "import", "a.csv"], "");
    assert_eq!(
        (error.as_str(), code),
        (
            "a.csv:4: repeats the token of line 2 with other values: keep one of the two\n\
             tokenwatch: a.csv: 1 row cannot be read; nothing was imported\n",
            Some(70)
        )
    );
    home.append("same.csv", format!("token,name\n{SECRET},ci\n{OTHER},ci\n{SECRET},ci\n"));
    let said = home.print(&["tokens", "import", "same.csv"]);
    assert_eq!(said, "3 rows read, 2 of them new or changed\n");
}

#[test]
fn one_was_counted_like_many() {
    let home = Home::new("[rules]\ndir = \"rules\"\n");
    home.append(
        "logs/a.log",
        line("192.0.2.1", "02/Mar/2026:08:00:00 +0000", "/", 200, "x", SECRET),
    );
    let said = errors(&home.output(&["parse", "logs/a.log"]));
    assert_eq!(said, "1 line: 1 read, 0 rejected; 1 token found\n");
    let (error, _) = refused(&home, &["parse", "logs/a.log", "--line", "2"], "");
    assert!(error.contains("logs/a.log has 1 line in "), "{error}");
    std::fs::create_dir(home.path("rules")).unwrap();
    let replay = || errors(&home.output(&["replay", "logs/a.log"]));
    home.append("rules/a.yml", "title: [\n");
    assert!(!replay().contains("shows all"), "{}", replay());
    home.append("rules/b.yml", "title: [\n");
    assert!(replay().contains(", and 1 more (`tokenwatch check` shows all)"), "{}", replay());
    home.append("one.csv", format!("token\n{SECRET}\n{OTHER},b\n"));
    let (error, _) = refused(&home, &["tokens", "import", "one.csv"], "");
    assert!(error.contains("one.csv:3: expected 1 column, as the heading has, found 2"), "{error}");
}

#[test]
fn a_heading_without_commas_was_an_unknown_column() {
    let home = Home::new("");
    let said = |text: &str| refused(&home, &["tokens", "import", "-"], text).0;
    for mark in [";", "\t", "|"] {
        let text = format!("token,name\n{SECRET},ci\n").replace(',', mark);
        let told = format!(
            "-:1: expected commas between columns, found {:?}\n",
            &mark.chars().next().unwrap()
        );
        assert!(said(&text).starts_with(&told), "{}", said(&text));
    }
    let secret = said("exk-secret;x\n");
    assert!(
        secret.starts_with("-:1: the first line must be the heading: ") && !secret.contains("exk"),
        "{secret}"
    );
    let near = said("token,nmae\n");
    assert!(near.contains("unknown column \"nmae\", did you mean \"name\"?"), "{near}");
}

#[test]
fn secrets_do_not_belong_on_a_command_line() {
    let home = home();
    let secret = ["glpat-", "Zq8xK2vN4mB6wR1tY7uP"].concat();
    let column = format!("notes={secret}");
    let cases: [&[&str]; 7] = [
        &["tokens", "show", &secret],
        &["tokens", "leak", &secret],
        &["tokens", "add", &secret],
        &["tokens", "set", "ci", &column],
        &["tokens", "list", &secret],
        &["history", &secret],
        &["alerts", "list", "--principal", &secret],
    ];
    for arguments in cases {
        let (error, code) = refused(&home, arguments, "");
        assert!(error.contains("standard input") && !error.contains(&secret), "{error}");
        assert_eq!(code, Some(2));
    }
    for input in ["", "\n", "Bearer abcdef", "two\nlines"] {
        let (error, code) = refused(&home, &["tokens", "add", "x"], input);
        assert!(error.contains("the secret") && code == Some(2), "{input:?}: {error}");
    }
    let token = refused(&home, &["tokens", "set", "ci", "token=abc"], "");
    assert!(token.0.contains("no column to set") && !token.0.contains("abc"), "{}", token.0);
    let again = refused(&home, &["tokens", "add", "other"], SECRET);
    assert!(again.0.contains("is already registered as \"ci\""), "{}", again.0);
    let output = home.output(&["tokens", "show", "ci", "--json"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains(SECRET));
}

#[test]
fn rows_that_cannot_be_imported_are_told_one_a_line() {
    let home = Home::new("");
    home.append("tokens.csv", "token,name,expires_at\nexk_secret,a,soon\n,,\n");
    let output = home.output(&["tokens", "import", "tokens.csv"]);
    assert_eq!(output.status.code(), Some(70));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "tokens.csv:2: column expires_at: expected a date or RFC 3339 time\n\
         tokens.csv:3: expected a token or a name, found neither\n\
         tokenwatch: tokens.csv: 2 rows cannot be read; nothing was imported\n"
    );
}

#[test]
fn a_format_that_is_none_is_answered_with_those_that_are_like_it() {
    let home = home();
    let said = |name: &str| {
        let output = home.output(&["parse", "--format", name, "logs/access.log"]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said("ngnix-main");
    assert_eq!(code, Some(2));
    assert!(text.contains("did you mean \"nginx-main\""), "{text}");
    assert!(!said("qqq").1.contains("did you mean"));
    assert_eq!(said("nginx-main").0, Some(0));
}

#[test]
fn a_command_line_that_cannot_be_meant_ends_with_the_status_of_usage() {
    let home = home();
    let cases: [&[&str]; 33] = [
        &["who", "DE", "-n", "0"],
        &["who", "somewhere"],
        &["who", "DE", "--since", "soon"],
        &["history", "ci", "--since", "soon"],
        &["history", "ci", "--until", "2026-13-01"],
        &["alerts", "list", "--since", "2h30"],
        &["alerts", "list", "--level", "loud"],
        &["alerts", "show", ""],
        &["alerts", "mute", "--for", "8h"],
        &["alerts", "mute", "--forever"],
        &["alerts", "mute", "--client", "curl"],
        &["alerts", "mute", "--network", "cloud", "--reason", "x"],
        &["alerts", "mute", "--country", "Germany", "--reason", "x"],
        &["alerts", "mute", "--route", "/v1/items", "--reason", "x"],
        &["alerts", "mute", "--rule", "honeytoken-used", "--reason", "x"],
        &["alerts", "mute", "--rule", "new-client", "--reason", "x", "--for", "8h", "--forever"],
        &["alerts", "mute", "--rule", "unusual-use"],
        &["alerts", "mute", "--rule", "unusul-use", "--reason", "x"],
        &["alerts", "mute", "--rule", "unusual-use", "--reason", "x", "--for", "long"],
        &["tokens", "list", "--state", "sleepy"],
        &["tokens", "list", "--since", "soon"],
        &["tokens", "set", "ci", "owner"],
        &["tokens", "set", "ci", "ownr=ops"],
        &["tokens", "set", "ci", "owner=a", "owner=b"],
        &["tokens", "set", "ci", "expires_at=soon"],
        &["tokens", "revoke", "ci", "--at", "soon"],
        &["tokens", "decoy", "ci", "--at", "today"],
        &["tokens", "sow"],
        &["parse", "--format", "combind", "logs/access.log"],
        &["explain", "--format", "$remote_addr $time_locl", "logs/access.log"],
        &["replay", "--format", "combind", "logs/access.log"],
        &["replay", "--fail-on", "loud", "logs/access.log"],
        &["run"],
    ];
    for arguments in cases {
        let (error, code) = refused(&home, arguments, "");
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert_ne!(error, "", "{arguments:?}");
    }
    let (error, code) = refused(&home, &["tokens", "add", "new", "name=other"], SECRET);
    assert_eq!(code, Some(2), "{error}");
    // A file that is not there is another matter.
    assert_eq!(refused(&home, &["parse", "logs/none.log"], "").1, Some(70));
}

#[test]
fn the_exit_status_of_an_unknown_name_depended_on_the_command() {
    let home = home();
    let cases: [&[&str]; 11] = [
        &["tokens", "show", "nobody"],
        &["tokens", "show", "tw1_00112233445566778899aabbccddeeff"],
        &["tokens", "revoke", "nobody"],
        &["tokens", "forget", "nobody"],
        &["history", "nobody"],
        &["alerts", "list", "--principal", "nobody"],
        &["alerts", "show", "al_x"],
        &["alerts", "show", "al_"],
        &["alerts", "ack", "in_x", "--expected"],
        &["alerts", "unmute", "7"],
        &["rules", "show", "nobody"],
    ];
    for arguments in cases {
        let (error, code) = refused(&home, arguments, "");
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
    }
}

#[test]
fn an_id_needs_no_database() {
    let home = Home::new("");
    let id = home.output_with(&["tokens", "id", "-"], "exk-a-0123456789abcdef\n").stdout;
    assert_eq!(home.output_with(&["tokens", "id"], "exk-a-0123456789abcdef").stdout, id);
    assert!(id.starts_with(b"tw1_") && id.len() == 37);
    assert!(home.path("state/seal.key").exists() && !home.path("state/tokenwatch.db").exists());
}

#[test]
fn who_was_there_is_shown_by_address_network_operator_and_country() {
    let home = home();
    snapshot!(&home, shown(&home, 160, &["who", "0.0.0.0/0"]));
    let country = home.json(&["who", "de", "--json"]);
    let ci = country.iter().find(|row| row["principal"] == "ci").unwrap();
    assert_eq!(ci["from"][0]["value"], "DE");
    assert_eq!(ci["from"][0]["count"], 288);
    let address = ci_address(&home);
    let there = home.json(&["who", &address, "--json"]);
    assert!(there.iter().any(|row| row["principal"] == "ci"), "{there:?}");
    assert!(there.iter().all(|row| row["from"][0]["value"] == address.as_str()), "{there:?}");
    assert_eq!(home.json(&["who", &address, "--since", "2026-03-20", "--json"]), [] as [Value; 0]);
    let added = home.output_with(&["tokens", "add", "ci"], OTHER);
    assert!(added.status.success(), "{}", errors(&added));
    let both = home.json(&["who", "0.0.0.0/0", "--json"]);
    assert_eq!(both.len(), 1, "tokens of one name are one row: {both:?}");
    assert_eq!([&both[0]["tokens"], &both[0]["requests"]], [2, 606]);
    assert_eq!(both[0]["from"].as_array().unwrap().len(), 3);
    assert_eq!(both[0]["last_seen"], "2026-03-14T02:13:29Z");
    let nobody = "no known token was used from there\n";
    assert_eq!(shown(&home, 80, &["who", "2001:db8::/32"]), nobody);
}

/// The address from which `ci` was used most.
fn ci_address(home: &Home) -> String {
    let history = first(home, &["history", "ci", "--json"]);
    history["facets"]["address"][0]["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_history_is_a_life() {
    let home = home();
    snapshot!(&home, shown(&home, 160, &["history", "ci"]));
    let history = first(&home, &["history", "ci", "--json"]);
    assert_eq!(history["token"]["name"], "ci");
    assert_eq!(history["hours"][0]["hour"], "2026-03-02T00:00:00Z");
    assert_eq!(history["hours"].as_array().unwrap().len(), 12 * 24 + 1);
    assert_eq!(history["facets"]["country"][0]["value"], "DE");
    assert_eq!(history["facets"]["country"][0]["count"], 288);
    for facet in ["address", "network", "country", "client", "route"] {
        assert_eq!(history["facets"][facet].as_array().unwrap().len(), 2, "{facet}");
    }
    assert_eq!(history["incidents"][0]["principal"], "ci");
    assert_eq!(history["lifecycle"][0]["what"], "registered");
    let late = first(&home, &["history", "ci", "--since", "2026-03-14", "--json"]);
    assert_eq!(late["hours"].as_array().unwrap().len(), 1);
    let two = home.output_with(&["tokens", "add", "ci"], "exk-ci-abcdef0123456789abcd");
    assert!(two.status.success(), "{}", errors(&two));
    let both = first(&home, &["history", "ci", "--json"]);
    assert_eq!((&both["requests"], &both["countries"]), (&318.into(), &2.into()));
    assert_eq!(both["tokens"].as_array().unwrap().len(), 2);
    let late = first(&home, &["history", "ci", "--since", "2026-03-14", "--json"]);
    assert_eq!(late["facets"]["country"].as_array().unwrap().len(), 1);
    assert_eq!((&late["requests"], &late["countries"]), (&318.into(), &2.into()), "of all time");
    assert!(shown(&home, 100, &["history", "ci"]).contains("2 tokens, 318 requests"));
}

#[test]
fn alerts_are_listed_and_explained() {
    let home = home();
    snapshot!(&home, shown(&home, 180, &["alerts", "list", "--level", "medium"]));
    snapshot!(&home, shown(&home, 60, &["alerts", "list", "--level", "medium"]));
    let unusual = first(&home, &["alerts", "list", "--rule", "unusual-use", "--json"]);
    assert_eq!((&unusual["principal"], &unusual["ack"]), (&"ci".into(), &Value::Null));
    assert_eq!(unusual["muted"], false);
    let id = unusual["alert"].as_str().unwrap();
    snapshot!(&home, shown(&home, 160, &["alerts", "show", id]));
    let whole = first(&home, &["alerts", "show", id, "--json"]);
    assert!(whole["reasons"][0]["nats"].as_f64().unwrap() > 0.0);
    let incident =
        first(&home, &["alerts", "show", unusual["incident"].as_str().unwrap(), "--json"]);
    let alerts = incident["alerts"].as_array().unwrap();
    assert!(alerts.iter().any(|alert| alert["alert"] == id), "{alerts:?}");
    // The facts of one request are shown once, however many rules it matched.
    let text = home.print(&["alerts", "show", unusual["incident"].as_str().unwrap()]);
    assert_eq!(text.matches("  unusual.score ").count(), 1, "{text}");
    assert!(text.contains(&format!("  facts       as of {id}")), "{text}");
    assert_eq!(
        home.json(&["alerts", "list", "--principal", "ci", "--json"]).len(),
        home.json(&["alerts", "list", "--json"]).len()
    );
    assert_eq!(home.print(&["alerts", "list", "--since", "1h"]), "no alerts\n");
    let (error, code) = refused(&home, &["alerts", "show", "al_x"], "");
    assert!(error.contains("al_x") && code == Some(2), "{error}");
    assert!(refused(&home, &["alerts", "show", "al_"], "").0.contains("may mean al_"));
}

#[test]
fn a_word_on_an_alert_is_kept_and_says_what_it_does() {
    let home = home();
    let unusual = first(&home, &["alerts", "list", "--rule", "unusual-use", "--json"]);
    let (id, incident) =
        (unusual["alert"].as_str().unwrap(), unusual["incident"].as_str().unwrap());
    let said = home.print(&["alerts", "ack", &id[..14], "--expected", "--note", "on a trip"]);
    for part in
        [": expected\n", "from its next use on, ci knows ", "addresses 105.112.7.0/24", "client "]
    {
        assert!(said.contains(part), "{said}");
    }
    let again = home.print(&["alerts", "ack", &id[..14], "--expected", "--note", "on a trip"]);
    assert!(again.contains("already acknowledged"), "{again}");
    let ack = first(&home, &["alerts", "show", id, "--json"])["ack"].clone();
    assert_eq!((&ack["verdict"], &ack["note"]), (&"expected".into(), &"on a trip".into()));
    assert!(!home.json(&["alerts", "list", "--open", "--json"]).is_empty());
    let said = first(&home, &["alerts", "ack", incident, "--confirmed", "--json"]);
    let effects = said["effects"].to_string();
    for part in ["ci forgets ", "ci never learns", "for 30 days"] {
        assert!(effects.contains(part), "{effects}");
    }
    assert!(home.json(&["alerts", "list", "--open", "--json"]).is_empty());
    assert_eq!(home.output(&["alerts", "ack", id]).status.code(), Some(2));
}

#[test]
fn several_are_acknowledged_at_once_all_or_none() {
    let home = home();
    let open = || home.json(&["alerts", "list", "--open", "--json"]);
    let ids: Vec<String> =
        open().iter().map(|alert| alert["incident"].as_str().unwrap().to_owned()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert!(ids.len() > 1 && ids[0] == ids[1], "one incident, as often as it has alerts");
    let wrong = [&["alerts", "ack", "--expected"], &ids[..], &["in_x"]].concat();
    assert!(refused(&home, &wrong, "").0.contains("in_x"));
    assert_eq!(open().len(), ids.len(), "none of them");
    let said = home.json(&[&["alerts", "ack", "--expected", "--json"], &ids[..]].concat());
    assert!(open().is_empty());
    let of: Vec<&str> = said.iter().map(|said| said["id"].as_str().unwrap()).collect();
    assert_eq!(of.len(), of.iter().collect::<BTreeSet<_>>().len(), "each once: {of:?}");
}

#[test]
fn a_word_without_a_note_erased_the_note_before() {
    let home = home();
    let alert = first(&home, &["alerts", "list", "--json"])["alert"].clone();
    let id = alert.as_str().unwrap();
    let say = |more: &[&str]| home.print(&[&["alerts", "ack", id, "--expected"], more].concat());
    let note = || first(&home, &["alerts", "show", id, "--json"])["ack"]["note"].clone();
    say(&["--note", "first"]);
    assert!(say(&[]).contains("already acknowledged; nothing is new"));
    assert_eq!(note(), "first");
    assert!(say(&["--note", "second"]).contains("already acknowledged; only the note is new"));
    assert_eq!(note(), "second");
    home.print(&["alerts", "ack", id, "--confirmed"]);
    assert_eq!(note(), "second");
    say(&["--note", ""]);
    assert_eq!(note(), Value::Null);
}

#[test]
fn alerts_are_muted() {
    let home = home();
    let unusual = first(&home, &["alerts", "list", "--rule", "unusual-use", "--json"]);
    let id = unusual["alert"].as_str().unwrap();
    assert_eq!(home.print(&["alerts", "mute"]), "no mutes\n");
    let muted = home.print(&[
        "alerts",
        "mute",
        "--rule",
        "unusual-use",
        "--principal",
        "ci",
        "--reason",
        "travel",
        "--for",
        "8h",
    ]);
    assert!(muted.starts_with("mute 1: unusual-use for ci until"), "{muted}");
    let is_muted = || first(&home, &["alerts", "show", id, "--json"])["muted"] == true;
    assert!(!is_muted(), "what was before it was said is told");
    let database = rusqlite::Connection::open(home.path("state/tokenwatch.db")).unwrap();
    let change = |sql: &str| assert_eq!(database.execute(sql, []).unwrap(), 1);
    change("UPDATE mute SET after_alert = 0");
    assert!(is_muted());
    let mute = first(&home, &["alerts", "mute", "--json"]);
    assert_eq!((&mute["id"], &mute["reason"]), (&1.into(), &"travel".into()));
    assert_eq!(home.print(&["alerts", "unmute", "1"]), "mute 1 has ended\n");
    assert!(is_muted(), "by what was in force then");
    change("DELETE FROM mute");
    let scope = ["--client", "python-requests", "--country", "ng", "--reason", "a scanner of ours"];
    let said = home.print(&[&["alerts", "mute"], &scope[..]].concat());
    assert!(
        said.starts_with("mute 2: every rule for everybody in NG by python-requests until "),
        "{said}"
    );
    assert!(said.contains("critical alerts are still mailed"), "{said}");
    change("UPDATE mute SET after_alert = 0");
    assert_eq!(unusual["rule"]["level"], "critical");
    assert_eq!(first(&home, &["alerts", "show", id, "--json"])["muted"], false);
    let new = first(&home, &["alerts", "list", "--rule", "new-client", "--json"]);
    assert_eq!(new["muted"], true);
    let mutes = home.json(&["alerts", "mute", "--json"]);
    let end = mutes[0]["until"].as_str().unwrap();
    assert_ne!(end, "", "30 days, if nobody says");
    let route = ["--rule", "new-client", "--route", "GET /v1/items", "--reason", "legacy"];
    let routed = home.print(&[&["alerts", "mute"], &route[..]].concat());
    assert!(routed.starts_with("mute 3: new-client for everybody at GET /v1/items"), "{routed}");
    let mutes = home.json(&["alerts", "mute", "--json"]);
    assert_eq!(mutes[1]["route"], "GET /v1/items");
    let forever =
        home.print(&["alerts", "mute", "--network", "AS64500", "--forever", "--reason", "ours"]);
    assert!(forever.contains("from AS64500 without end"), "{forever}");
    home.print(&["alerts", "unmute", "2"]);
    assert_eq!(first(&home, &["alerts", "show", id, "--json"])["muted"], false);
    assert!(refused(&home, &["alerts", "unmute", "2"], "").0.contains("no mute 2"));
    assert!(
        refused(&home, &["alerts", "mute", "--rule", "unusual-use"], "").0.contains("--reason")
    );
    let unknown = refused(&home, &["alerts", "mute", "--rule", "unusul", "--reason", "x"], "");
    assert!(unknown.0.contains("rules list"), "{}", unknown.0);
    assert!(refused(&home, &["alerts", "mute", "--for", "8h"], "").0.contains("--rule"));
}

#[test]
fn principals_are_muted_by_their_names() {
    let home = home();
    let principal = |name: &str| {
        home.output(&["alerts", "mute", "--principal", name, "--reason", "x", "--for", "8h"])
    };
    home.print(&["tokens", "set", "ci", "name=deploy-bot"]);
    let slip = principal("deploy-bto");
    let said = String::from_utf8(slip.stderr).unwrap();
    assert_eq!(slip.status.code(), Some(2));
    assert!(said.contains("\"deploy-bto\", did you mean \"deploy-bot\"?"), "{said}");
    // Who says itself who it is may be muted ahead of time; so may a log that is known.
    let status = first(&home, &["status", "--json"]);
    let log = format!("log:{}", status["streams"][0]["path"].as_str().unwrap());
    // So may what has no token: where guesses come from, and all together.
    for name in
        ["deploy-bot", "jwt:https://id.example.org:kim", "source:192.0.2.0/24", "fleet", &log]
    {
        assert!(principal(name).status.success(), "{name}");
    }
}

#[test]
fn the_status_accounts_for_every_byte() {
    let home = home();
    home.append("logs/other.log", "no request at all\n");
    home.append(
        "logs/other.log",
        line("84.150.1.9", "15/Mar/2026:00:00:00 +0000", "/v1/x", 200, "curl/8.5.0", OTHER),
    );
    home.print(&["replay", "--save", "logs/other.log"]);
    let status = first(&home, &["status", "--json"]);
    let streams = status["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2);
    for stream in streams {
        assert_eq!(stream["accounted"], true, "{stream}");
        assert_eq!(stream["offset"], stream["size"], "{stream}");
        assert_eq!(stream["lag_seconds"], 0, "{stream}");
    }
    let is_other = |stream: &&Value| stream["path"].as_str().unwrap().ends_with("other.log");
    let other = streams.iter().find(is_other).unwrap();
    assert_eq!((&other["lines"], &other["rejected"]), (&2.into(), &1.into()));
    assert_eq!((&status["usages"], &status["tokens"]), (&607.into(), &2.into()));
    assert_eq!(status["outbox"]["waiting"], 0, "learning from the past mails nothing");
    assert!(status["geoip"]["layers"][0]["role"].is_string());
    assert!(status["database"]["bytes"].as_u64().unwrap() > 0);
    assert!(status["database"]["backed_up"].is_null());
    let text = shown(&home, 120, &["status"]);
    assert!(text.contains("other.log") && text.contains(", no backup yet"), "{text}");
}

#[test]
fn the_status_hid_that_rented_machines_are_told_sooner() {
    let home = home();
    let shown = home.print(&["status"]).split_whitespace().collect::<Vec<_>>().join(" ");
    let line = "mailed at once scores from 8 nats on (2.3 nats: ten times as unusual) (from 6 for somebody new with a token used only from hosting networks): no";
    assert!(shown.contains(line), "{shown}");
    assert_eq!(first(&home, &["status", "--json"])["threshold"]["rented"], 6.0);
    home.configure("[detect.score]\nrented_lead = 0\n");
    assert!(
        home.print(&["status"])
            .contains("scores from 8 nats on (2.3 nats: ten times as unusual): no")
    );
}

#[test]
fn without_a_database_there_is_advice() {
    let home = Home::new("");
    for arguments in [
        &["tokens", "list"][..],
        &["history", "ci"],
        &["alerts", "list"],
        &["alerts", "mute"],
        &["tokens", "forget", "ci"],
    ] {
        let (error, code) = refused(&home, arguments, "");
        assert!(error.contains("replay --save") && code == Some(70), "{error}");
    }
    let status = first(&home, &["status", "--json"]);
    assert_eq!((&status["usages"], &status["streams"]), (&0.into(), &json!([])));
    assert!(home.print(&["status"]).contains("no database yet"));
    assert!(!home.path("state/tokenwatch.db").exists());
}

#[test]
fn before_the_first_start_the_status_says_what_is_missing_and_how_it_comes() {
    let home = Home::new(CONFIG);
    home.append("logs/access.log", "");
    for directory in ["logs", "state"] {
        fs::create_dir_all(home.path(directory)).unwrap();
        let output = home.output(&["status", "--check"]);
        let told = String::from_utf8(output.stdout).unwrap();
        let database = home.path("state/tokenwatch.db");
        let new =
            format!("no database yet: the daemon's first start creates {}\n", database.display());
        assert!(told.starts_with(&new), "{told}");
        assert!(told.contains("daemon            not running: nothing is watched\n"), "{told}");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &b""[..]));
        let status = first(&home, &["status", "--json"]);
        assert_eq!((&status["daemon"]["running"], &status["health"]), (&false.into(), &json!([])));
    }
}

#[test]
fn a_database_that_was_removed_counted_as_none_yet() {
    let home = Home::new("");
    home.append("logs/access.log", "");
    home.print(&["replay", "--save", "logs"]);
    fs::remove_file(home.path("state/tokenwatch.db")).unwrap();
    let told = home.print(&["status"]);
    let lost = "database: tokenwatch.db: there is none though there was one";
    assert!(told.contains(lost) && !told.contains("no database yet"), "{told}");
    assert_eq!(first(&home, &["status", "--json"])["health"][0]["kind"], "database");
}

#[test]
fn without_a_database_a_daemon_that_runs_is_not_well() {
    let home = Home::new("");
    let daemon = Lock::take(&home.path("state"), Role::Daemon).unwrap();
    let told = "database: tokenwatch.db: there is none though the daemon runs";
    let output = home.output(&["status", "--check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains(told), "{text}");
    let health = first(&home, &["status", "--json"])["health"].clone();
    assert_eq!(health[0]["kind"], "database", "{health}");
    drop(Store::open(&home.path("state/tokenwatch.db")).unwrap());
    assert_eq!(home.output(&["status", "--check"]).status.code(), Some(0));
    drop(daemon);
}

#[test]
fn an_unknown_name_made_a_database() {
    let home = Home::new("");
    let cases: [&[&str]; 6] = [
        &["tokens", "leak", "x"],
        &["tokens", "revoke", "tw1_0123"],
        &["tokens", "decoy", "x"],
        &["tokens", "set", "x", "owner=ops"],
        &["alerts", "mute", "--principal", "x", "--reason", "y"],
        &["alerts", "unmute", "7"],
    ];
    for arguments in cases {
        let (error, code) = refused(&home, arguments, "");
        assert!(error.contains("no database in") && code == Some(70), "{arguments:?}: {error}");
        assert!(!home.path("state").exists(), "{arguments:?}");
    }
    // What may be named before anybody saw it is another matter.
    let id = "tw1_00112233445566778899aabbccddeeff";
    home.print(&["tokens", "leak", id]);
    assert_eq!(first(&home, &["tokens", "show", id, "--json"])["state"], "leaked");
    let (error, _) = refused(&home, &["tokens", "leak", "x"], "");
    assert!(error.contains("no token or principal is known as \"x\""), "{error}");
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let home = Home::new("");
    let mut log = String::new();
    let user = "ZXYbWzMxbWls4oCuOnB3LTAxMjM0NTY3ODk="; // a user of ESC and U+202E
    for hour in 0..10 * 24 {
        let time = format!("{:02}/Mar/2026:{:02}:00:00 +0000", 2 + hour / 24, hour % 24);
        log += &line(
            "84.150.1.9",
            &time,
            "/v1/\x1b[2J/\u{202e}<script>",
            200,
            "ev\x1b]0;il\x07\u{200b}/1.0",
            SECRET,
        );
        log += &line("84.150.1.9", &time, "/v1/x", 200, "curl/8.5.0", "x")
            .replace("Bearer x", &format!("Basic {user}"));
    }
    for second in 0..20 {
        let time = format!("12/Mar/2026:02:13:{second:02} +0000");
        log += &line("105.112.7.9", &time, "/\x1b[31m\u{9b}<img>", 200, "\x1b[1m<b>", SECRET);
    }
    home.append("logs/access.log", log);
    home.print(&["replay", "--save", "logs/access.log"]);
    let id = home.output_with(&["tokens", "id", "-"], SECRET).stdout;
    let id = String::from_utf8(id).unwrap().trim().to_owned();
    home.print(&["tokens", "set", &id, "name=a\x1b[2J\u{202e}b", "owner=\x07", "notes=\u{2066}x"]);
    let alerts = home.json(&["alerts", "list", "--json"]);
    let incident = alerts[0]["incident"].as_str().unwrap();
    let commands: [&[&str]; 7] = [
        &["tokens", "list"],
        &["tokens", "show", &id],
        &["history", &id],
        &["alerts", "list"],
        &["alerts", "show", incident],
        &["status"],
        &["alerts", "mute"],
    ];
    for command in commands {
        for json in [&["--json"][..], &[]] {
            let text = shown(&home, 160, &[command, json].concat());
            let bad = text.chars().find(|c| {
                (c.is_control() && *c != '\n')
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}')
            });
            assert_eq!(bad, None, "{command:?}: {text}");
        }
    }
    assert!(home.print(&["tokens", "list"]).contains("a\\x1b[2J\\u{202e}b"));
}

#[test]
fn tables_fit_the_terminal() {
    let home = home();
    let incident = first(&home, &["alerts", "list", "--json"])["incident"].clone();
    home.print(&["alerts", "ack", incident.as_str().unwrap(), "--expected"]);
    home.print(&[
        "alerts",
        "mute",
        "--rule",
        "new-client",
        "--reason",
        "a reason that is longer than most",
    ]);
    for arguments in [
        &["tokens", "list"][..],
        &["alerts", "list"],
        &["alerts", "mute"],
        &["history", "ci"],
        &["status"],
    ] {
        let text = shown(&home, 60, arguments);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 60, "{arguments:?}: {widest}\n{text}");
    }
}

#[test]
fn logs_and_facets_were_torn_into_columns_of_a_few_letters() {
    let home = home();
    let status = shown(&home, 60, &["status"]);
    let mut lines = status.lines();
    assert!(lines.next().unwrap().ends_with("/logs/access.log"), "{status}");
    let line = lines.next().unwrap();
    assert!(line.starts_with("  size ") && line.contains(", read 100.0 %, lines 6"), "{status}");
    let history = shown(&home, 60, &["history", "ci"]);
    for facet in ["addresses", "networks", "countries", "clients", "routes"] {
        let is_it = |part: &&str| part.trim_start().starts_with(facet);
        let part = history.split("\n\n").find(is_it).unwrap();
        let mut rows = part.lines().skip(1).filter(|row| !row.contains("which --json shows"));
        assert!(rows.all(|row| row.matches(" ago").count() == 2), "{history}");
    }
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let home = home();
    assert!(!home.print(&["alerts", "list"]).contains('\x1b'));
    assert!(home.print(&["alerts", "list", "--color", "always"]).contains("\x1b["));
    let coloured = home.print(&["tokens", "list", "--color", "always"]);
    let plain = home.print(&["tokens", "list"]);
    let lengths = |text: &str| text.lines().map(|line| line.chars().count()).collect::<Vec<_>>();
    assert_eq!(
        lengths(&coloured.replace("\x1b[32m", "").replace("\x1b[36m", "").replace("\x1b[0m", "")),
        lengths(&plain)
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let home = home();
    let mut command = home.command(&["alerts", "list", "--json", "-n", "100000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    drop(child.stdout.take());
    let status = child.wait().expect("end");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success() && said.is_empty(), "{status}: {said}");
}

#[test]
fn the_help_of_config_was_a_remark_for_programmers() {
    let help = Home::new("").print(&["status", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = "Read this configuration file [default: `$TOKENWATCH_CONFIG`, else /etc/tokenwatch/tokenwatch.toml";
    assert!(help.contains(text), "{help}");
}
