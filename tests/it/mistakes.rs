//! Mistakes of users, and the messages about them: complete, and nothing false.

use std::fs;
use std::process::{Command, Output};

use rusqlite::Connection;

use crate::program::{CONFIG, Home, wait_until};

/// An access log's line with a token that nobody registered.
const LINE: &str = "192.0.2.7 - - [02/Mar/2026:08:00:07 +0000] \"GET /v1/items HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk-a-0123456789abcdef\"\n";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// What a command says that ends with this status.
fn said(home: &Home, arguments: &[&str], status: i32) -> String {
    let output = home.output(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// A home whose database knows one token.
fn home() -> Home {
    let home = Home::new("");
    home.append("logs/access.log", LINE);
    home.print(&["replay", "--save", "logs/access.log"]);
    home
}

#[test]
fn check_tells_faults_of_keys_formats_parameters_and_rules_at_once() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/*.log\"]\nformat = \"nginx-jsn\"\ntrusted_proxys = []\n\
         [detect.travel]\nmin_speed = 900\n[detect.score]\nalert = -1\n[rules]\ndisable = [\"silense\"]\n",
    );
    let told = said(&home, &["check"], 78);
    for fault in [
        "unknown key \"trusted_proxys\"",
        "the format \"nginx-jsn\"",
        "unknown key \"min_speed\"",
        "found -1, expected a number of at least 0",
        "no rule is named \"silense\", did you mean \"silence\"?",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    home.configure("[rules\n[[source]]\nformat = \"nginx-jsn\"\n");
    let told = said(&home, &["check"], 78);
    assert!(!told.contains("ok "), "of what is no TOML nothing else is said: {told}");
}

#[test]
fn check_tells_of_a_database_that_cannot_be_read() {
    let home = home();
    home.print(&["check"]);
    fs::write(home.path("state/tokenwatch.db"), "rubbish").unwrap();
    let told = said(&home, &["check"], 78);
    assert!(told.contains("fault   state") && told.contains("damaged"), "{told}");
}

#[test]
fn a_replay_that_could_not_read_everything_does_not_end_well() {
    let home = Home::new("");
    home.append("logs/access.log", LINE);
    let told = said(&home, &["replay", "logs", "gone.log"], 70);
    assert!(
        told.contains("gone.log") && told.contains("1 line, 0 rejected, 1 usage, 1 token"),
        "{told}"
    );
    fs::create_dir(home.path("empty")).unwrap();
    assert!(said(&home, &["replay", "empty"], 70).contains("logs in empty: no log is there"));
}

#[test]
fn a_cause_is_named_once() {
    let home = Home::new("");
    fs::write(home.path("file"), "").unwrap();
    let told = said(&home, &["--state-dir", "file", "status"], 70);
    assert_eq!(told.matches("Not a directory").count(), 1, "{told}");
}

#[test]
fn a_variable_that_is_empty_is_none_and_one_that_is_wrong_is_named() {
    let home = Home::new("");
    let with = |value: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwatch"));
        command.args(["--state-dir", "state"]).args(arguments).current_dir(home.path(""));
        command.env("TOKENWATCH_CONFIG", value).env("TOKENWATCH_LOG", "").output().unwrap()
    };
    let empty = with("", &["status"]);
    assert!(empty.status.success(), "{}", text(&empty));
    for arguments in [&["status"][..], &["check"]] {
        let wrong = with("gone.toml", arguments);
        assert_eq!(wrong.status.code(), Some(78), "{}", text(&wrong));
        assert!(text(&wrong).contains("TOKENWATCH_CONFIG names"), "{}", text(&wrong));
        let typed = with("gone.toml", &[arguments, &["--config", "gone, too.toml"]].concat());
        assert!(!text(&typed).contains("TOKENWATCH_CONFIG"), "{}", text(&typed));
    }
    let right = with(home.path("tokenwatch.toml").to_str().unwrap(), &["check"]);
    assert!(text(&right).contains("tokenwatch.toml"), "{}", text(&right));
}

#[test]
fn a_time_that_ends_before_it_begins_is_refused() {
    let home = home();
    for command in [&["history", "tw1_"][..], &["alerts", "list"]] {
        let all = [command, &["--since", "1h", "--until", "2h"]].concat();
        assert!(said(&home, &all, 2).contains(" is not before --until "));
    }
}

#[test]
fn all_that_is_wrong_with_columns_is_told() {
    let home = home();
    let token = home.json(&["tokens", "list", "--json"])[0]["token"]["id"].clone();
    let set = ["tokens", "set", token.as_str().unwrap(), "expirs_at=x", "networks=1", "decoy=ja"];
    let told = said(&home, &set, 2);
    assert!(told.contains("\"expirs_at\", did you mean \"expires_at\"? columns are "), "{told}");
    assert!(told.contains("column networks") && told.contains("column decoy"), "{told}");
}

#[test]
fn alerts_of_a_rule_or_principal_that_never_was_are_not_just_none() {
    let home = home();
    let told = said(&home, &["alerts", "list", "--principal", "nobody"], 2);
    assert!(told.contains("\"nobody\""), "{told}");
    let told = said(&home, &["alerts", "list", "--rule", "unusal-use"], 2);
    assert!(told.contains("did you mean \"unusual-use\"?"), "{told}");
    assert_eq!(said(&home, &["alerts", "list", "--rule", "unusual-use"], 0), "no alerts\n");
}

#[test]
fn a_rule_that_is_disabled_or_gone_is_no_slip_where_alerts_are_listed() {
    let home = Home::new("[rules]\ndir = \"rules\"\ndisable = [\"silence\"]\n");
    fs::create_dir(home.path("rules")).unwrap();
    let rule = "title: A read\nid: 5f3c1c52-7c4f-4a52-9a1e-3c6d1f0b7a11\nname: a-read\n\
        logsource: { product: tokenwatch }\n\
        detection:\n  selection:\n    cs-method: GET\n  condition: selection\nlevel: high\n";
    fs::write(home.path("rules/own.yml"), rule).unwrap();
    home.append("logs/access.log", LINE);
    home.print(&["replay", "--save", "logs/access.log"]);
    fs::remove_file(home.path("rules/own.yml")).unwrap();
    let list = |rule: &str, level: &str, status: i32| {
        said(&home, &["alerts", "list", "--rule", rule, "--level", level], status)
    };
    assert!(list("a-read", "high", 0).contains("a-read"));
    assert_eq!(list("a-read", "critical", 0), "no alerts\n");
    assert_eq!(list("silence", "low", 0), "no alerts\n");
    assert!(list("a-raed", "low", 2).contains("no rule is named \"a-raed\""));
}

#[test]
fn a_word_on_an_alert_is_one_of_two() {
    let told = said(&home(), &["alerts", "ack", "al_1"], 2);
    assert!(told.contains("<--expected|--confirmed>"), "{told}");
}

#[test]
fn a_rule_that_is_disabled_is_not_taken_for_a_slip() {
    let home = Home::new("[rules]\ndisable = [\"silence\"]\n");
    let told = said(&home, &["rules", "show", "silence"], 2);
    assert!(told.contains("[rules] disable names it"), "{told}");
    assert!(!said(&home, &["rules", "show", "zzz"], 2).contains("did you mean"));
}

#[test]
fn a_rule_file_that_is_missing_hides_no_fault_of_another() {
    let home = Home::new("");
    fs::write(home.path("bad.yml"), "foo: [\n").unwrap();
    let told = said(&home, &["rules", "check", "none.yml", "bad.yml"], 1);
    assert!(told.contains("none.yml: cannot be read") && told.contains("bad.yml"), "{told}");
}

#[test]
fn status_says_whether_anybody_watches() {
    let home = Home::new(CONFIG);
    home.append("logs/access.log", LINE);
    let running = home.run(&[]);
    wait_until("the line is committed", || home.committed_lines() == 1);
    let daemon = || home.json(&["status", "--json"])[0]["daemon"].clone();
    assert_eq!(daemon()["running"], true);
    drop(running);
    assert_eq!(daemon(), serde_json::json!({"running": false}));
    assert!(said(&home, &["status"], 0).contains("daemon            not running"));
}

#[test]
fn a_status_that_is_asked_for_a_check_fails_where_nothing_is_watched() {
    let home = Home::new(CONFIG);
    let check = || home.output(&["status", "--check"]).status.code();
    assert_eq!(check(), Some(1));
    home.append("logs/access.log", LINE);
    let running = home.run(&[]);
    wait_until("the line is committed", || home.committed_lines() == 1);
    assert_eq!(check(), Some(0));
    // Bytes that are lost are over.
    let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
    database.execute("UPDATE stream SET gap = 7", []).unwrap();
    assert!(said(&home, &["status", "--check"], 0).contains("7 B were lost"));
    assert_eq!(home.json(&["status", "--check", "--json"])[0]["daemon"]["running"], true);
    drop(running);
    assert_eq!(check(), Some(1));
    assert_eq!(home.output(&["--json", "status", "--check"]).status.code(), Some(1));
    assert_eq!(home.output(&["status"]).status.code(), Some(0));
}

/// The line again, some minutes later and from elsewhere; all of it long before anybody says anything.
fn later(minute: u32, client: &str) -> String {
    let time = format!("02/Mar/2026:08:{minute:02}:07");
    LINE.replace("02/Mar/2026:08:00:07", &time).replace("192.0.2.7", client)
}

#[test]
fn what_follows_a_word_is_an_incident_of_its_own() {
    let home = Home::new("");
    let add = ["tokens", "add", "ci", "expires_at=2025-01-01"];
    assert!(home.output_with(&add, "exk-a-0123456789abcdef").status.success());
    let grow = |line: String| {
        home.append("logs/access.log", line);
        home.print(&["replay", "--save", "logs/access.log"]);
    };
    let open = || home.json(&["alerts", "list", "--open", "--json"]);
    let mut before = String::new();
    let clients = ["192.0.2.7", "198.51.100.9", "203.0.113.9"];
    for (minute, (client, verdict)) in
        (0..).zip(clients.iter().zip(["--confirmed", "--expected", "--confirmed"]))
    {
        grow(later(minute, client));
        let own = open();
        let incident = own[0]["incident"].as_str().unwrap().to_owned();
        assert!(own.len() == 1 && incident != before, "{own:?}");
        home.print(&["alerts", "ack", &incident, verdict]);
        assert_eq!(open().len(), 0);
        let again = home.print(&["alerts", "ack", &incident, verdict]);
        assert!(again.contains("already acknowledged"), "{again}");
        before = incident;
    }
}

#[test]
fn a_history_of_a_time_says_which_of_its_counts_are_of_all_time() {
    let home = home();
    let token = home.json(&["tokens", "list", "--json"])[0]["token"]["id"].clone();
    let token = token.as_str().unwrap();
    let all = said(&home, &["history", token], 0);
    assert!(!all.contains("for all time") && all.contains("requests per hour"), "{all}");
    let some = said(&home, &["history", token, "--since", "2026-03-01"], 0);
    assert!(some.contains("are for all time"), "{some}");
}

#[test]
fn a_log_whose_tokens_are_not_seen_was_ok() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/*.log\"]\nfields = { client = \"peer\", authorization = \"q.crd\" }\n",
    );
    let line = |token: &str| {
        format!(
            "{{\"time\":\"2026-03-02T08:00:00Z\",\"peer\":\"192.0.2.7\",\"request\":\"GET / HTTP/1.1\",\"status\":200,\
             \"q\":{{\"cred\":\"{token}\"}}}}\n"
        )
    };
    let log = "Bearer exk_0123456789abcdef0123456789abcdef";
    home.append("logs/a.log", line(log));
    let told = said(&home, &["check"], 0);
    assert!(told.contains("ok      source") && told.contains("none with a token; `"), "{told}");
    home.append("logs/a.log", line(log).repeat(19));
    let told = said(&home, &["check"], 0);
    assert!(told.contains("warning source"), "{told}");
    assert!(
        told.contains("none with a token; the format may not log the token: docs/formats.md#"),
        "{told}"
    );
    assert!(told.contains("logs/a.log` shows what is seen"), "{told}");
    home.configure("[[source]]\npaths = [\"logs/*.log\"]\nfields = { client = \"per\" }\n");
    let told = said(&home, &["check"], 0);
    assert!(
        told.contains("warning source") && told.contains("none with a client's address"),
        "{told}"
    );
    home.configure(
        "[[source]]\npaths = [\"logs/*.log\"]\nfields = { client = \"peer\", authorization = \"q.cred\" }\n",
    );
    let told = said(&home, &["check"], 0);
    assert!(told.contains("ok      source"), "{told}");
    assert!(told.contains("20 with a token (in clear: header:authorization)"), "{told}");
    assert!(!told.contains("client's address"), "{told}");
    // An id is no secret.
    home.configure("[[source]]\npaths = [\"logs/*.log\"]\n");
    let request =
        "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET / HTTP/1.1\" 200 6 \"-\" \"curl/8.5.0\"";
    let line = format!("{request} tw1_0123456789abcdef0123456789abcdef\n");
    fs::write(home.path("logs/a.log"), line).unwrap();
    let told = said(&home, &["check"], 0);
    assert!(told.contains("1 with a token") && !told.contains("in clear"), "{told}");
}

#[test]
fn a_faulty_rule_ended_the_daemon_with_70() {
    let home = Home::new("[rules]\ndir = \"rules\"\n");
    fs::create_dir(home.path("rules")).unwrap();
    let rule = |id: &str, field: &str| {
        format!(
            "title: A read\nid: {id}\nname: a-read\nlogsource: {{ product: tokenwatch }}\n\
             detection:\n  selection:\n    {field}: GET\n  condition: selection\nlevel: high\n"
        )
    };
    fs::write(home.path("rules/a.yml"), rule("abc", "cs-method")).unwrap();
    fs::write(home.path("rules/b.yml"), rule("5f3c1c52-7c4f-4a52-9a1e-3c6d1f0b7a11", "cs-methd"))
        .unwrap();
    home.append("logs/access.log", LINE);
    for command in [&["run", "logs/access.log"][..], &["replay", "logs/access.log"]] {
        let told = said(&home, command, 78);
        assert!(told.contains("a.yml:2:1: rule \"A read\": `id` has to be a UUID"), "{told}");
        assert!(told.contains(", and 1 more (`tokenwatch check` shows all)"), "{told}");
    }
    let told = said(&home, &["check"], 78);
    assert!(told.contains("did you mean `cs-method`?"), "{told}");
}

#[test]
fn a_typing_error_in_the_configuration_hid_the_alerts_of_the_daemon_that_runs_on() {
    let home = Home::new("");
    home.append("logs/access.log", "x\n");
    home.print(&["replay", "--save", "logs/access.log"]);
    let shows: [&[&str]; 4] =
        [&["alerts", "list"], &["tokens", "list"], &["status"], &["who", "192.0.2.7"]];
    // What can be understood names the state.
    home.configure("[[source]]\npahts = [\"logs/access.log\"]\n");
    for show in shows {
        let output = home.output(show);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{show:?}: {said}");
        assert!(said.starts_with("warning: the configuration is faulty: "), "{said}");
        assert!(said.contains("more: `tokenwatch check`") && said.lines().count() == 1, "{said}");
    }
    let told = home.print(&["status"]);
    assert!(
        told.contains("configuration: configuration: ") && told.contains("not in effect"),
        "{told}"
    );
    // Where nothing can be, the command line has to.
    home.configure("[[source]\npaths = [\"logs/access.log\"]\n");
    for show in shows {
        let output = home.output(show);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("add --state-dir DIR") && !said.contains("unknown key"), "{said}");
        let state = home.path("state");
        let output = home.output(&[show, &["--state-dir", state.to_str().unwrap()]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{show:?}: {said}");
        assert!(said.contains(":2:10: ") && said.lines().count() == 1, "{said}");
    }
    // What changes something needs a configuration without faults.
    let change = ["alerts", "mute", "--rule", "new-country", "--state-dir", "state"];
    assert_eq!(home.output(&change).status.code(), Some(78));
}

/// A log of which nobody wrote the status down.
#[test]
fn a_log_without_a_status_hid_that_a_revoked_token_is_used() {
    let home = Home::new("[[source]]\npaths = [\"logs/a.log\"]\nformat = \"nginx-json\"\n");
    let line = |minute| {
        format!(
            "{{\"time\":\"2026-03-02T08:{minute:02}:00Z\",\"remote_addr\":\"192.0.2.7\",\"request_method\":\"GET\",\
             \"request_uri\":\"/v1/items\",\"http_authorization\":\"Bearer exk-a-0123456789abcdef\"}}\n"
        )
    };
    fs::write(home.path("logs/a.log"), (0..10).map(line).collect::<String>()).unwrap();
    let told = said(&home, &["check"], 0);
    let warning = told.lines().find(|line| line.contains("a.log")).unwrap();
    assert!(warning.starts_with("warning") && warning.contains("none with a status"), "{told}");
    fs::write(
        home.path("registry.csv"),
        "token,name,revoked_at\nexk-a-0123456789abcdef,orders,2026-03-02T08:01:00Z\n",
    )
    .unwrap();
    let alerts =
        home.json(&["replay", "--save", "--json", "--registry", "registry.csv", "logs/a.log"]);
    let revoked =
        alerts.iter().find(|alert| alert["rule"]["name"] == "revoked-token-used").unwrap();
    assert_eq!(revoked["rule"]["level"], "high");
    let why = revoked["event"]["reason"].as_str().unwrap();
    assert!(why.contains("the log does not say whether it was accepted"), "{why}");
    let id = revoked["token"]["id"].as_str().unwrap();
    let told = said(&home, &["tokens", "revoke", id, "--at", "2026-03-02T08:01:00Z"], 0);
    assert!(told.contains("10 requests, answers unknown"), "{told}");
}

#[test]
fn an_alert_of_an_own_rule_gave_the_reason_of_another() {
    let home = Home::new("[rules]\ndir = \"rules\"\n");
    fs::create_dir(home.path("rules")).unwrap();
    let rule = "title: Items are read\nid: 5f3c1c52-7c4f-4a52-9a1e-3c6d1f0b7a11\nname: items-read\n\
                logsource: { product: tokenwatch }\ndetection:\n  selection:\n    url.path: /v1/items\n\
                \x20 condition: selection\nlevel: high\n";
    fs::write(home.path("rules/a.yml"), rule).unwrap();
    home.append("logs/access.log", LINE);
    fs::write(
        home.path("registry.csv"),
        "token,name,leaked_at\nexk-a-0123456789abcdef,orders,2026-03-01T00:00:00Z\n",
    )
    .unwrap();
    let alerts = home.json(&["replay", "--json", "--registry", "registry.csv", "logs/access.log"]);
    let why = |name: &str| {
        let alert = alerts.iter().find(|alert| alert["rule"]["name"] == name).unwrap();
        alert["event"]["reason"].as_str().unwrap().to_owned()
    };
    assert!(why("items-read").starts_with("Items are read; "), "{}", why("items-read"));
    assert!(!why("leaked-token-used").contains("Items"), "{}", why("leaked-token-used"));
}

#[test]
fn history_printed_every_token_of_a_principal() {
    let home = Home::new("");
    let lines = (0..25).map(|n| LINE.replace("cdef", &format!("{n:04}")));
    fs::write(home.path("logs/access.log"), lines.collect::<String>()).unwrap();
    let rows = (0..25).map(|n| format!("exk-a-0123456789ab{n:04},orders\n"));
    fs::write(home.path("registry.csv"), format!("token,name\n{}", rows.collect::<String>()))
        .unwrap();
    home.print(&["tokens", "import", "registry.csv"]);
    home.print(&["replay", "--save", "logs/access.log"]);
    let told = home.print(&["history", "orders"]);
    assert!(
        told.contains("25 tokens") && told.contains(" and 5 more, which --json shows"),
        "{told}"
    );
}

#[test]
fn a_principal_copied_from_a_mail_was_marked_under_a_name_that_nobody_has() {
    let home = home();
    let kim = "jwt:https://id.example.org:kim";
    home.print(&["tokens", "add", kim, "owner=kim"]);
    let mailed = "jwt:https[:]//id.example[.]org:kim";
    let told = said(&home, &["tokens", "leak", mailed], 0);
    assert!(told.starts_with(&format!("{kim}: leaked since ")), "{told}");
    let told = said(&home, &["alerts", "mute", "--principal", mailed, "--reason", "x"], 0);
    assert!(told.contains(&format!(" for {kim} until ")) && !told.contains("warning"), "{told}");
    assert_eq!(said(&home, &["alerts", "list", "--principal", mailed], 0), "no alerts\n");
    said(&home, &["history", mailed], 0);
}

#[test]
fn a_mark_on_an_unknown_name_is_warned_of_with_the_one_that_may_be_meant() {
    let home = home();
    home.print(&["tokens", "add", "jwt:https://id.example.org:kim", "owner=kim"]);
    let slip = "jwt:https://id.example.org:kin";
    let told = said(&home, &["tokens", "revoke", slip], 0);
    let warning = "warning: nothing is known as \"jwt:https://id.example.org:kin\" so far, \
                   did you mean \"jwt:https://id.example.org:kim\"?\n";
    assert!(told.contains(warning), "{told}");
    assert!(!said(&home, &["tokens", "leak", slip], 0).contains("warning"), "known by its mark");
    let mute = ["alerts", "mute", "--reason", "x", "--principal"];
    for arguments in [
        &["tokens", "decoy", "aws:AKIAIOSFODNN7EXAMPLE"][..],
        &[&mute[..], &["basic:eve"]].concat(),
        &[&mute[..], &["source:203.0.113.7"]].concat(),
        &["alerts", "list", "--principal", "jwt:https://id.example.org:kem"],
    ] {
        assert!(
            said(&home, arguments, 0).contains("warning: nothing is known as "),
            "{arguments:?}"
        );
    }
    let mutes = said(&home, &["alerts", "mute", "--json"], 0);
    assert!(mutes.contains("\"source:203.0.113.0/24\""), "{mutes}");
    let told = said(&home, &[&mute[..], &["source:203.0.113"]].concat(), 2);
    assert!(told.contains("names no source: expected source: and an address"), "{told}");
}

#[test]
fn check_names_a_proxy_that_hides_the_clients() {
    let source = "[[source]]\npaths = [\"logs/*.log\"]\n";
    let home = Home::new(source);
    let line = |n: u32| {
        format!(
            "{{\"time\":\"2026-03-02T08:00:0{n}Z\",\"remote_addr\":\"10.0.0.5\",\"request\":\"GET / HTTP/1.1\",\
             \"status\":200,\"http_x_forwarded_for\":\"203.0.113.{n}\",\
             \"http_authorization\":\"Bearer exk_0123456789abcdef0123456789abcdef\"}}\n"
        )
    };
    home.append("logs/a.log", (0..4).map(line).collect::<String>());
    assert!(!said(&home, &["check"], 0).contains("trusted_proxies"), "too few to tell");
    home.append("logs/a.log", (4..8).map(line).collect::<String>());
    let told = said(&home, &["check"], 0);
    assert!(told.contains("warning source"), "{told}");
    assert!(told.contains("set trusted_proxies = [\"10.0.0.5\"]"), "{told}");
    home.configure(&format!("{source}trusted_proxies = [\"10.0.0.5\"]\n"));
    assert!(!said(&home, &["check"], 0).contains("trusted_proxies"));
}

#[test]
fn a_secret_given_as_a_column_is_said_to_be_in_the_history_of_the_shell() {
    let home = home();
    let told = said(&home, &["tokens", "add", "foo", "secret123"], 2);
    assert!(told.contains("expected COLUMN=VALUE") && told.contains("shell's history"), "{told}");
    assert!(!told.contains("secret123"), "{told}");
}

#[test]
fn an_alert_said_only_what_its_token_was_called_then() {
    let home = Home::new(CONFIG);
    let in_url = LINE.replace("/v1/items", "/v1/items?access_token=exk-b-0123456789abcdef");
    home.append("logs/access.log", in_url.replace("Bearer exk-a-0123456789abcdef", "-"));
    home.print(&["replay", "--save", "logs/access.log"]);
    let alert = home.json(&["alerts", "list", "--json"]).remove(0);
    let id = alert["id"].as_str().unwrap();
    let token = alert["token"]["id"].as_str().unwrap();
    let shown = || home.print(&["alerts", "show", id]);
    assert!(!shown().contains("(now "), "{}", shown());
    home.print(&["tokens", "set", token, "name=deploy-bot"]);
    assert!(shown().contains(&format!("  principal   {token} (now deploy-bot)\n")), "{}", shown());
    home.print(&["alerts", "ack", id, "--expected"]);
    assert!(shown().contains("  answer      expected on "), "{}", shown());
}

#[test]
fn a_campaign_of_guesses_could_not_be_muted_nor_listed_by_an_address() {
    let home = Home::new("");
    let guess = |address: &str, client: &str, n: usize| {
        format!(
            "{address} - - [02/Mar/2026:08:00:07 +0000] \"GET /v1/orders HTTP/1.1\" 401 5 \"-\" \"{client}\" \
             \"Bearer exk-a-0123456789abc{n:03}\"\n"
        )
    };
    for n in 0..48 {
        let address = format!("2001:db8:{}::7", n % 12);
        home.append("logs/access.log", guess(&address, "curl/8.5.0", n));
    }
    for n in 100..180 {
        home.append("logs/access.log", guess("203.0.113.7", "okhttp/4.12.0", n));
    }
    home.print(&["replay", "--save", "logs/access.log"]);
    let list = |principal: &str| {
        let arguments = ["alerts", "list", "--json", "--principal", principal];
        home.json(&arguments).iter().map(|alert| alert["principal"].clone()).collect::<Vec<_>>()
    };
    let campaign = "source:curl GET /v1/orders";
    assert_eq!(list(campaign), [campaign]);
    assert_eq!(list("source:203.0.113.7"), ["source:203.0.113.0/24"]);
    let mute = ["alerts", "mute", "--reason", "x", "--rule", "token-guessing", "--principal"];
    let muted = |name: &str| said(&home, &[&mute[..], &[name]].concat(), 0);
    for name in [campaign, "source:203.0.113.0/24"] {
        let told = muted(name);
        assert!(told.contains(name) && !told.contains("warning"), "{told}");
    }
    for name in ["source:AS64500", "source:2001:db8:1::/48", "source:wget GET /v1/orders"] {
        let told = muted(name);
        assert!(told.contains(name) && told.contains("warning: nothing is known as "), "{told}");
    }
    for command in [&mute[..], &["alerts", "list", "--principal"]] {
        let told = said(&home, &[command, &["source:203.0.112.0/23"]].concat(), 2);
        assert!(told.contains("names no source: expected source: and an address"), "{told}");
    }
}

#[test]
fn a_made_up_name_took_the_place_of_the_one_that_a_mail_shows() {
    let home = home();
    let (kim, mailed) = ("jwt:https://id.example.org:kim", "jwt:https[:]//id.example.org:kim");
    home.print(&["tokens", "add", mailed, "owner=eve"]);
    assert!(
        said(&home, &["tokens", "leak", mailed], 0).starts_with(mailed),
        "nobody else is meant"
    );
    home.print(&["tokens", "add", kim, "owner=kim"]);
    for command in [
        &["tokens", "leak"][..],
        &["history"],
        &["alerts", "list", "--principal"],
        &["alerts", "mute", "--reason", "x", "--principal"],
    ] {
        let told = said(&home, &[command, &[mailed]].concat(), 2);
        for name in [kim, mailed] {
            assert!(told.contains(&format!("\"{name}\"")), "{told}");
        }
        said(&home, &[command, &[kim]].concat(), 0);
    }
}
