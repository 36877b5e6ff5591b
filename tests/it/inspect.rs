//! What the program reports about lines, rules, configuration and itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::program::{CONFIG, Home, wait_until};

const SECRET: &str = "exk_5b1f0c92d7a8463e9c0fb7d1264e83a5";

fn combined(target: &str, referer: &str, further: &str) -> String {
    format!(
        "192.0.2.7 - ann [12/Mar/2026:02:13:07 +0000] \"GET {target} HTTP/1.1\" 200 612 \"{referer}\" \"curl/8.5.0\"{further}\n"
    )
}

fn parse(home: &Home, lines: &str) -> Vec<Value> {
    let output = home.output_with(&["parse"], lines);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("hunter22"), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn parse_prints_a_record_in_ecs_names_and_leaves_out_what_is_absent() {
    let home = Home::new("");
    let lines = combined("/v1/items?page=2", "-", "");
    let parsed = parse(&home, &lines);
    let expected = json!({
        "line": 1,
        "@timestamp": "2026-03-12T02:13:07Z",
        "source": { "ip": "192.0.2.7" },
        "http": {
            "version": "1.1",
            "request": { "method": "GET" },
            "response": { "status_code": 200, "body": { "bytes": 612 } },
        },
        "url": { "original": "/v1/items?page=2", "path": "/v1/items", "query": "page=2" },
        "user_agent": { "original": "curl/8.5.0" },
        "user": { "name": "ann" },
        "tokens": [],
    });
    assert_eq!(parsed, [expected]);
}

#[test]
fn parse_marks_a_request_that_is_none() {
    let home = Home::new("");
    let line = |request: &str| combined("/", "-", "").replace("GET / HTTP/1.1", request);
    let lines = [r"\x16\x03\x01\x02", "GET / HTTP/1.1", "-"].map(line);
    let parsed = parse(&home, &lines.concat());
    let (noise, plain, absent) = (&parsed[0], &parsed[1], &parsed[2]);
    assert_eq!(noise["http"]["request"], json!({ "malformed": true }));
    assert_eq!(noise["url"]["original"], r"\x16\x03\x01\x02");
    assert_eq!(noise["http"]["response"]["status_code"], 200);
    assert_eq!(plain["http"]["request"], json!({ "method": "GET" }));
    assert_eq!((&absent["http"]["request"], &absent["url"]), (&Value::Null, &Value::Null));
    let explained = explain(&home, &[], &lines[0]);
    assert!(explained.contains("http.request.malformed"), "{explained}");
}

#[test]
fn parse_shows_ids_in_the_place_of_secrets_whatever_carries_them() {
    let home = Home::new("");
    let id = home.output_with(&["parse"], &combined(&format!("/?api_key={SECRET}"), "-", ""));
    let id: Value = serde_json::from_slice(&id.stdout).unwrap();
    let id = id["tokens"][0]["id"].as_str().unwrap().to_owned();
    let cases = [
        (combined(&format!("/a?access_token={SECRET}"), "-", ""), "query:access_token"),
        (combined(&format!("/a;api_key={SECRET}"), "-", ""), "path:api_key"),
        (combined("/a", &format!("https://example.org/?api_key={SECRET}"), ""), "referer:api_key"),
        (combined("/a", "-", &format!(" \"Bearer {SECRET}\"")), "field"),
        (combined("/a", "-", "").replace(" ann ", &format!(" Bearer {SECRET} ")), "user"),
        (
            json!({ "time": "2026-03-12T02:13:07Z", "remote_addr": "192.0.2.7", "method": "GET",
                "uri": format!("/x/{SECRET}"), "status": 200,
                "http_authorization": format!("Bearer {SECRET}") })
            .to_string()
                + "\n",
            "header:authorization",
        ),
    ];
    for (line, carrier) in cases {
        let parsed = &parse(&home, &line)[0];
        assert_eq!(parsed["tokens"][0]["id"], *id, "{line}{parsed}");
        assert_eq!(parsed["tokens"][0]["carrier"], carrier, "{line}{parsed}");
        assert_eq!(parsed["tokens"][0]["hint"], "...83a5", "{line}");
    }
    let parsed = &parse(&home, &combined("https://ann:hunter22@example.org:8443/x", "-", ""))[0];
    assert_eq!(parsed["tokens"][0]["carrier"], "userinfo");
    assert_eq!(parsed["url"]["domain"], "example.org");
    assert_eq!(parsed["url"]["scheme"], "https");
    assert_eq!(parsed["url"]["path"], "/x");
}

#[test]
fn parse_hides_secrets_beyond_those_that_are_looked_for() {
    let home = Home::new("");
    let many =
        |n: usize| (0..n).map(|i| format!("api_key={i:04}hunter22")).collect::<Vec<_>>().join("&");
    for n in [15, 16, 17, 40, 200] {
        let parsed = parse(&home, &combined(&format!("/a?{}", many(n)), "-", ""));
        assert!(parsed[0]["url"]["original"].is_string(), "{n}");
    }
    explain(&home, &[], &format!("no request {}&api_key={SECRET}\n", many(100)));
}

#[test]
fn parse_tells_where_a_line_stopped_fitting_and_goes_on() {
    let home = Home::new("");
    let lines = [
        format!("192.0.2.7 - - x12/Mar/2026 {SECRET}\n"),
        combined("/", "-", ""),
        format!("{{\"http_authorization\":\"Bearer {SECRET}\"\n"),
    ];
    let parsed = parse(&home, &lines.concat());
    assert_eq!(parsed[0]["line"], 1);
    assert_eq!(parsed[0]["error"]["column"], 15);
    let message = parsed[0]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("expected ") && message.ends_with("found 'x'"), "{message}");
    assert!(parsed[2]["error"]["column"].is_u64());
}

#[test]
fn parse_prints_what_is_not_utf_8_as_the_replacement_character() {
    let home = Home::new("");
    // Latin-1, Big5, a character cut after two of its four bytes; the log's escapes and its own bytes.
    for (target, path) in [
        ("/caf\\xe9", "/caf\u{fffd}"),
        ("/\\xa4\\xa4\\xa4\\xe5", "/\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ("/\\xf0\\x9f.", "/\u{fffd}."),
        ("/caf\\xc3\\xa9", "/caf\u{e9}"),
    ] {
        let parsed = parse(&home, &combined(target, "-", ""));
        assert_eq!(parsed[0]["url"]["path"], path, "{target}");
    }
}

#[test]
fn parse_numbers_the_lines_of_each_file_and_reads_in_the_source_format() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/own.log\"]\ntemplate = '$remote_addr $status $request_uri [$time_iso8601]'\n",
    );
    home.append("logs/own.log", "192.0.2.7 404 /x [2026-03-12T02:13:07+00:00]\n");
    home.append("logs/access.log", combined("/a", "-", "") + &combined("/b", "-", ""));
    let parsed = home.json(&["parse", "logs/access.log", "logs/own.log"]);
    let seen: Vec<_> = parsed.iter().map(|p| (p["file"].as_str().unwrap(), &p["line"])).collect();
    assert_eq!(
        seen,
        [
            ("logs/access.log", &json!(1)),
            ("logs/access.log", &json!(2)),
            ("logs/own.log", &json!(1))
        ]
    );
    assert_eq!(parsed[2]["http"]["response"]["status_code"], 404);
    let named = home.json(&["parse", "--format", "common", "logs/own.log"]);
    assert!(named[0]["error"].is_object());
    let missing = home.output(&["parse", "logs/none.log"]);
    assert_eq!(missing.status.code(), Some(70));
}

fn explain(home: &Home, arguments: &[&str], input: &str) -> String {
    let mut all = vec!["explain"];
    all.extend(arguments);
    let output = home.output_with(&all, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(SECRET), "{text}");
    text
}

#[test]
fn explain_walks_a_line_through_the_steps() {
    let home = Home::new("");
    let line = combined(&format!("/v1/items/5?access_token={SECRET}"), "-", "");
    let text = explain(&home, &[], &line);
    insta::with_settings!({ filters => [("tw1_[0-9a-f]{32}", "tw1_ID")] }, {
        insta::assert_snapshot!(text);
    });
    let json: Value = serde_json::from_str(&explain(&home, &["--json"], &line)).unwrap();
    assert_eq!(json["usages"][0]["rule"]["token-in-url"], "high");
    assert!(!home.path("state/tokenwatch.db").exists(), "nothing is kept");
}

#[test]
fn explain_points_at_the_place_where_a_line_stopped_fitting() {
    let home = Home::new("");
    let template = "$remote_addr [$time_local] \"$request\" $status";
    let line =
        format!("192.0.2.7 [12/Mar/2026:02:13:07 +0000] \"GET / HTTP/1.1\" Bearer {SECRET}\n");
    let text = explain(&home, &["--format", template], &line);
    insta::with_settings!({ filters => [("tw1_[0-9a-f]{32}", "tw1_ID")] }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn explain_shows_a_pasted_directive_as_it_was_understood() {
    let home = Home::new("");
    let pasted =
        "log_format own escape=none '$remote_addr [$time_local] '\n '\"$request\" $status';";
    let line = "192.0.2.7 [12/Mar/2026:02:13:07 +0000] \"GET / HTTP/1.1\" 200\n";
    let text = explain(&home, &["--format", pasted], line);
    let shown = "template                 $remote_addr [$time_local] \"$request\" $status\n";
    assert!(text.contains(shown), "{text}");
}

#[test]
fn explain_recalls_what_is_stored_and_takes_the_last_lines() {
    let home = Home::new("");
    let day = |n| {
        let line = combined("/v1/items", "-", &format!(" \"Bearer {SECRET}\""));
        line.replace("12/Mar", &format!("{n:02}/Mar"))
    };
    home.append("logs/access.log", (1..=25).map(day).collect::<String>());
    home.print(&["replay", "--save", "logs/access.log"]);
    let text = explain(&home, &[], &day(26));
    assert!(text.contains("active days"), "{text}");
    let lines = home.json(&["explain", "--json", "logs/access.log"]);
    assert_eq!((lines.len(), &lines[0]["line"]), (20, &json!(6)));
    assert_eq!(home.json(&["explain", "-v", "--json", "logs/access.log"]).len(), 25);
}

#[test]
fn check_tells_every_fault_at_once() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/*.log\"]\nformat = \"nginx-combine\"\n[[source]]\njournal = \"nginx\"\njournal_directory = \"nowhere\"\n\
         [detect.travl]\nmin_speed_kmh = 1\n[rules]\ndir = \"rules.d\"\n[mail]\nserver = \"smtps://mail.example.org\"\n\
         user = \"a\"\npassword_file = \"none\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n",
    );
    home.append("logs/a.log", combined("/", "-", ""));
    fs::create_dir(home.path("rules.d")).unwrap();
    fs::write(
        home.path("rules.d/own.yml"),
        "title: No id\nlogsource: {product: tokenwatch}\ndetection: {a: {b: 1}, condition: a}\n",
    )
    .unwrap();
    fs::create_dir(home.path("state")).unwrap();
    fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o775)).unwrap();
    let output = home.output(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stdout).unwrap();
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let faults = all.iter().filter(|one| one["level"] == "fault");
    let faults: Vec<_> = faults
        .map(|one| (one["check"].as_str().unwrap(), one["line"].as_u64(), one["column"].as_u64()))
        .collect();
    assert_eq!(
        faults,
        [
            ("format", Some(4), Some(10)),
            ("source", Some(6), Some(11)),
            ("detect", Some(8), Some(1)),
            ("rules", None, None), // no id,
            ("rules", None, None), // no name,
            ("rules", None, None), // no level,
            ("rules", None, None), // and a field that is none
            ("mail", Some(15), Some(17)),
            ("state", None, None),
        ],
        "{text}"
    );
    let plain = String::from_utf8(home.output(&["check"]).stdout).unwrap();
    assert!(plain.contains("tokenwatch.toml:4:10: the format \"nginx-combine\""), "{plain}");
}

#[test]
fn a_fault_of_one_section_kept_the_others_from_being_checked() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/*.log\"]\n[geoip]\ncity = [\"none.mmdb\"]\n[rules]\ndisable = [\"unusal-use\"]\n\
         [mail]\nserver = \"smtps://mail.example.org\"\nuser = \"a\"\npassword_file = \"no-password\"\n\
         ca_file = \"no-ca.pem\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n[limits]\nmemry = \"1GiB\"\n",
    );
    home.append("logs/a.log", combined("/", "-", ""));
    fs::create_dir_all(home.path("conf.d")).unwrap();
    let drop_in = |text: &str| fs::write(home.path("conf.d/more.toml"), text).unwrap();
    let found = || {
        let output = home.output(&["check", "--json"]);
        assert_eq!(output.status.code(), Some(78));
        let text = String::from_utf8(output.stdout).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let bad = all.filter(|one| one["level"] != "ok" && one["check"] != "state");
        let told = bad.map(|one| {
            let file = one["file"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            (text("check"), format!("{file}:{}:{}", one["line"], one["column"]), text("message"))
        });
        told.collect::<Vec<_>>()
    };
    let at = |found: &[(String, String, String)], check: &str, place: &str, what: &str| {
        let is_it = |one: &&(String, String, String)| {
            one.0 == check && one.1 == place && one.2.contains(what)
        };
        assert_eq!(found.iter().filter(is_it).count(), 1, "{check} {place} {what}: {found:?}");
    };
    let all = found();
    at(&all, "configuration", "tokenwatch.toml:16:1", "memry");
    at(&all, "geoip", "tokenwatch.toml:5:9", "none.mmdb: no such file");
    at(&all, "rules", "tokenwatch.toml:7:12", "did you mean \"unusual-use\"?");
    at(&all, "mail", "tokenwatch.toml:11:17", "no-password cannot be read");
    at(&all, "mail", "tokenwatch.toml:12:11", "no-ca.pem cannot be read");
    assert_eq!(all.len(), 5, "{all:?}");
    // What has faults itself is not checked, and that is said.
    drop_in("[rules]\ndisable = [\"zzz\"]\n[mail]\nat_onc = \"high\"\n[geoip]\nctiy = 1\n");
    let all = found();
    at(&all, "rules", "more.toml:2:12", "\"zzz\"");
    at(&all, "mail", ":null:null", "not checked: `mail` has faults");
    at(&all, "geoip", ":null:null", "not checked: `geoip` has faults");
    assert_eq!(all.len(), 6, "{all:?}");
    home.configure("[[sorce]]\npaths = [\"logs/*.log\"]\n");
    fs::remove_file(home.path("conf.d/more.toml")).unwrap();
    let all = found();
    at(&all, "configuration", "tokenwatch.toml:2:3", "sorce");
    for part in ["source", "geoip", "mail"] {
        at(&all, part, ":null:null", "not checked: it may be what has an unknown name");
    }
    home.configure("[mail\n");
    at(&found(), "configuration", ":null:null", "nothing else is checked");
}

#[test]
fn a_state_directory_that_others_may_list_was_a_fault_of_which_the_daemon_said_nothing() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", combined("/", "-", ""));
    fs::create_dir(home.path("state")).unwrap();
    let level_of = |mode| {
        fs::set_permissions(home.path("state"), fs::Permissions::from_mode(mode)).unwrap();
        let text = String::from_utf8(home.output(&["check", "--json"]).stdout).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut state = all.filter(|one| one["check"] == "state");
        state.next().unwrap()["level"].as_str().unwrap().to_owned()
    };
    assert_eq!([0o700, 0o775, 0o755].map(level_of), ["ok", "fault", "warning"]);
    let daemon = home.run(&[]);
    wait_until("the line is committed", || home.committed_lines() == 1);
    let log = home.daemon_log();
    assert!(log.contains("Others have access to the state directory"), "{log}");
    assert!(daemon.terminate().success());
}

#[test]
fn a_database_and_a_key_that_others_may_read_were_followed_without_a_word() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", combined("/", "-", ""));
    let said = || home.daemon_log().matches("Others have access to this file").count();
    let run_once = || {
        let n_started = || home.daemon_log().matches("Started.").count();
        let before = n_started();
        let daemon = home.run(&[]);
        wait_until("it has started", || n_started() > before);
        assert!(daemon.terminate().success());
    };
    run_once();
    assert_eq!(said(), 0, "{}", home.daemon_log());
    for (name, mode) in [("tokenwatch.db", 0o644), ("seal.key", 0o640)] {
        let path = home.path("state").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let before = said();
        run_once();
        let log = home.daemon_log();
        assert_eq!(said(), before + 1, "{log}");
        let line = log.lines().rfind(|line| line.contains("access to this file")).unwrap();
        assert!(line.contains(name) && line.contains(&format!("{mode:04o}")), "{line}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn check_by_root_called_a_log_readable_that_the_daemon_may_not_open() {
    let home = Home::new("[[source]]\npaths = [\"logs/*.log\"]\n");
    home.append("logs/a.log", combined("/", "-", ""));
    fs::create_dir(home.path("state")).unwrap();
    let allow = |path: &str, mode| {
        fs::set_permissions(home.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    allow("state", 0o700);
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { 65_534 } else { rustix::process::geteuid().as_raw() };
    for path in ["", "state"].iter().filter(|_| is_root) {
        std::os::unix::fs::chown(home.path(path), Some(user), None).unwrap();
    }
    let faults = || {
        let output = home.output(&["check", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let faults: Vec<Value> = all.filter(|one| one["level"] == "fault").collect();
        assert_eq!(output.status.code(), Some(if faults.is_empty() { 0 } else { 78 }), "{text}");
        faults
    };
    allow("logs/a.log", 0o644);
    assert_eq!(faults(), [""; 0]);
    allow("logs/a.log", 0o000);
    let found = faults();
    assert_eq!(
        (found.len(), &found[0]["check"], &found[0]["line"]),
        (1, &json!("source"), &json!(3))
    );
    allow("logs/a.log", 0o644);
    // The configuration, and a directory above a log.
    if is_root {
        allow("tokenwatch.toml", 0o600);
        let found = faults();
        assert_eq!((found.len(), &found[0]["check"]), (1, &json!("configuration")));
        let hint = found[0]["hint"].as_str().unwrap();
        assert!(hint.contains("setfacl -m u:65534:r "), "{hint}");
        allow("tokenwatch.toml", 0o644);
        allow("logs", 0o700);
        let found = faults().remove(0);
        let message = found["message"].as_str().unwrap();
        assert!(
            message.contains("user 65534 may not read") && message.contains("0700"),
            "{message}"
        );
    }
}

#[test]
fn check_accepted_settings_that_mean_something_else() {
    let found = |config: &str| {
        let home = Home::new(config);
        home.append("logs/a.log", combined("/", "-", ""));
        let output = home.output(&["check", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told = all.filter(|one| one["level"] != "ok" && one["check"] != "mail").map(|one| {
            let line = one["line"].as_u64().unwrap_or(0);
            format!(
                "{}:{line}: {}",
                one["level"].as_str().unwrap(),
                one["message"].as_str().unwrap()
            )
        });
        (output.status.code(), told.collect::<Vec<_>>())
    };
    let logs = "[[source]]\npaths = [\"logs/*.log\"]\n";
    assert_eq!(found(logs), (Some(0), vec![]));
    for score in ["alert = 12", "alert = 5", "notice = 9", "critical = 6.5"] {
        let (code, told) = found(&format!("{logs}[detect.score]\n{score}\n"));
        assert_eq!((code, told.len()), (Some(78), 1), "{told:?}");
        assert!(
            told[0].starts_with("fault:5: ") && told[0].contains("notice <= alert"),
            "{told:?}"
        );
    }
    let ordered = "[detect.score]\nalert = 12\ncritical = 12\n";
    assert_eq!(found(&format!("{logs}{ordered}")), (Some(0), vec![]));
    let (code, told) = found("");
    assert_eq!((code, told.len()), (Some(0), 1), "{told:?}");
    assert!(told[0].starts_with("warning:0: no [[source]]"), "{told:?}");
    let other = "[[source]]\npaths = [\"logs/a.log\"]\n";
    assert_eq!(found(&format!("{logs}{other}")), (Some(0), vec![]), "both say the same");
    let (code, told) = found(&format!("{logs}{other}service = \"shop\"\n"));
    assert_eq!((code, told.len()), (Some(0), 1), "{told:?}");
    assert!(told[0].starts_with("warning:5: "), "{told:?}");
    assert!(
        told[0].contains("names it first") && told[0].ends_with("tokenwatch.toml:2"),
        "{told:?}"
    );
    for text in ["[[source]]\npaths = [\"~/logs/*.log\"]\n", "[geoip]\ncity = \"~/c.mmdb\"\n"] {
        let (code, mut told) = found(text);
        told.retain(|one| one.starts_with("fault"));
        assert_eq!((code, told.len()), (Some(78), 1), "{told:?}");
        assert!(told[0].contains("an absolute path"), "{told:?}");
    }
}

#[test]
fn check_is_content_with_a_good_site_and_warns_of_rejects() {
    let home = Home::new("[[source]]\npaths = [\"logs/*.log\"]\nformat = \"nginx-combined\"\n");
    home.append("logs/a.log", combined("/", "-", "") + "no request at all\n");
    let findings = home.json(&["check", "--json"]);
    let warnings: Vec<_> = findings.iter().filter(|one| one["level"] == "warning").collect();
    assert_eq!(warnings.len(), 2, "rejects, and no mail: {warnings:?}");
    assert!(warnings[0]["message"].as_str().unwrap().contains("1 of the first 2 lines fit"));
    home.configure("unknown = 1\n");
    let output = home.output(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let first = output.stdout.split(|byte| *byte == b'\n').next().unwrap();
    let fault: Value = serde_json::from_slice(first).unwrap();
    assert_eq!((&fault["check"], &fault["line"]), (&json!("configuration"), &json!(2)));
}

const OWN: &str = r#"title: Items are read
id: 5f0c8f6e-6a9f-4f0e-9d53-0a4c1b7e2d11
name: items-read
logsource: { product: tokenwatch, category: token_activity }
detection:
  selection: { url.path: /v1/items }
  condition: selection
level: low
examples:
  fire:
    - title: somebody reads orders
      log:
        - at: 2026-03-02T08:00:00Z
          line: '192.0.2.7 - - [{time}] "GET /v1/orders HTTP/1.1" 200 5 "-" "curl/8.5.0" "Bearer exk_5b1f0c92d7a8463e9c0fb7d1264e83a5"'
"#;

#[test]
fn rules_are_listed_shown_checked_and_tried() {
    let home = Home::new("");
    let listed = home.json(&["rules", "list", "--json"]);
    assert!(listed.iter().any(|one| one["rule"]["name"] == "new-country"));
    assert!(home.print(&["rules", "show", "new-country"]).contains("name: new-country"));
    assert_eq!(home.output(&["rules", "show", "none"]).status.code(), Some(2));
    assert!(home.print(&["rules", "test"]).contains(" 0 fail"));

    fs::write(home.path("own.yml"), OWN).unwrap();
    assert!(home.print(&["rules", "check", "own.yml"]).contains("no faults; rules: 1"));
    let said = home.json(&["rules", "check", "--json", "own.yml"]);
    assert_eq!(said, [json!({"rules": 1, "faults": 0})]);
    let output = home.output(&["rules", "test", "own.yml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.starts_with("own.yml: items-read: \"somebody reads orders\": did not fire"),
        "{text}"
    );

    fs::write(home.path("own.yml"), OWN.replace("/v1/orders", "/v1/items")).unwrap();
    assert!(home.print(&["rules", "test", "own.yml"]).contains("1 example passes, 0 fail"));
    fs::write(home.path("own.yml"), "title: [").unwrap();
    assert_eq!(home.output(&["rules", "check", "own.yml"]).status.code(), Some(1));
}

#[test]
fn a_directory_of_rules_was_none() {
    let home = Home::new("[rules]\ndir = \"rules.d\"\n");
    fs::create_dir_all(home.path("rules.d/empty")).unwrap();
    fs::write(home.path("rules.d/own.yml"), OWN).unwrap();
    fs::write(home.path("rules.d/notes.txt"), "title: [").unwrap();
    for directory in ["rules.d", "rules.d/", "./rules.d"] {
        let said = home.json(&["rules", "check", "--json", directory]);
        assert_eq!(said, [json!({"rules": 1, "faults": 0})], "{directory}");
        let output = home.output(&["rules", "test", directory]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("own.yml: items-read: \"somebody reads orders\""), "{text}");
    }
    let said = home.json(&["rules", "check", "--json", "rules.d/empty"]);
    assert_eq!(said, [json!({"rules": 0, "faults": 0})]);
    let output = home.output(&["rules", "check", "rules.d", "none"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("none: cannot be read"), "{text}");
}

#[test]
fn completions_and_manual_pages_need_no_valid_configuration() {
    let home = Home::new("unknown = 1\n");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(home.print(&["completions", shell]).contains("tokenwatch"), "{shell}");
    }
    assert!(home.print(&["man"]).contains(".TH tokenwatch 1"));
    home.print(&["man", "pages"]);
    assert!(home.path("pages/tokenwatch-replay.1").exists());
    assert!(home.path("pages/tokenwatch.1").exists());
}

#[test]
fn parse_shows_a_token_in_the_place_of_a_user_as_an_id_and_names_as_they_are() {
    let home = Home::new("");
    let token = ["glpat-", "Zq8xK2vN4mB6wR1tY7uP"].concat();
    let line = |user: &str| combined("/a", "-", "").replace(" ann ", &format!(" {user} "));
    let parsed = parse(&home, &line(&token))[0].clone();
    let id = format!("[{}]", parsed["tokens"][0]["id"].as_str().unwrap());
    assert_eq!(
        (&parsed["user"]["name"], &parsed["tokens"][0]["carrier"]),
        (&json!(id), &json!("user"))
    );
    for (user, shown) in [
        (format!("oauth2:{token}"), format!("oauth2:{id}")),
        (format!("{token}@example.org"), format!("{id}@example.org")),
        (SECRET.to_owned(), "[...]".to_owned()),
        ("ann lee".to_owned(), "ann lee".to_owned()),
        ("ann.lee@example.org".to_owned(), "ann.lee@example.org".to_owned()),
    ] {
        assert_eq!(parse(&home, &line(&user))[0]["user"]["name"], json!(shown));
    }
    // A use by whoever holds the token, under the token's own id.
    home.append("logs/access.log", line(&token));
    home.print(&["replay", "--save", "logs/access.log"]);
    let tokens = home.json(&["tokens", "list", "--json"]);
    assert_eq!((tokens.len(), &tokens[0]["principal"]), (1, &tokens[0]["token"]["id"]));
}

#[test]
fn check_shows_what_each_log_looks_like_and_the_first_line_that_does_not_fit() {
    let home = Home::new("[[source]]\npaths = [\"logs/*.log\"]\n");
    let mut log = "# a comment\n\n".to_owned();
    (0..70).for_each(|_| log.push_str(&combined("/", "-", "")));
    let offset = log.len();
    log.push_str(&format!("192.0.2.7 - - x12/Mar/2026 {SECRET}\n"));
    (0..59).for_each(|_| log.push_str(&combined("/", "-", "")));
    home.append("logs/a.log", &log);
    home.append("logs/b.log", "");
    home.append("logs/c.log", format!("{SECRET} 1\n{}", combined("/", "-", "")));
    let findings = home.json(&["check", "--json"]);
    let of = |name: &str| {
        let is_log = |one: &&Value| one["message"].as_str().unwrap().contains(name);
        findings.iter().find(is_log).unwrap().clone()
    };
    let (tokenless, empty, bad) = (of("a.log"), of("b.log"), of("c.log"));
    assert_eq!(
        (&tokenless["level"], &empty["level"], &bad["level"]),
        (&json!("warning"), &json!("ok"), &json!("warning"))
    );
    let log = &tokenless["log"];
    assert_eq!((&log["format"], &log["guess"]), (&json!("auto"), &json!("nginx-combined")));
    assert_eq!((&log["lines"], &log["fit"]), (&json!(130), &json!(129)));
    assert_eq!((&log["first"]["line"], &log["first"]["offset"]), (&json!(73), &json!(offset)));
    assert_eq!(log["first"]["column"], 15);
    assert!(empty.get("log").is_none());
    let text = home.print(&["check"]);
    assert!(text.contains("a.log: auto, looks like nginx-combined (99 %); 129 of the first 130 lines fit, none with a token, the first that does not is line 73"), "{text}");
    assert!(text.contains("where column 15 should be '[' before the time"), "{text}");
    assert!(!text.contains(&SECRET[..8]), "{text}");
}

#[test]
fn lines_of_an_older_log_format_were_read_without_a_word_about_their_tokens() {
    let template = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_authorization""#;
    let home =
        Home::new(&format!("[[source]]\npaths = [\"logs/a.log\"]\ntemplate = '{template}'\n"));
    let short = combined(&format!("/?api_key={SECRET}"), "-", "");
    home.append("logs/a.log", short.repeat(6));
    let findings = home.json(&["check", "--json"]);
    let log = findings.iter().find(|one| one.get("log").is_some()).unwrap();
    assert_eq!((&log["level"], &log["log"]["fit"]), (&json!("warning"), &json!(0)));
    assert_eq!(log["log"]["first"]["expected"], "the whole $http_authorization");
    let parsed = home.json(&["parse", "logs/a.log"]);
    assert_eq!(parsed[0]["tokens"][0]["carrier"], "query:api_key");
    assert!(
        parsed[0]["error"]["message"].as_str().unwrap().contains("the whole $http_authorization")
    );
    let explained = home.print(&["explain", "--line", "1", "logs/a.log"]);
    assert!(explained.contains("expected the whole $http_authorization"), "{explained}");
    assert!(explained.contains("query:api_key"), "{explained}");
    let alerts = home.json(&["replay", "--json", "--save", "logs/a.log"]);
    let of_log = alerts.iter().find(|one| one["facts"]["health.rejected"].is_u64());
    assert!(of_log.is_some(), "{alerts:?}");
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 1);
}

#[test]
fn check_did_not_look_for_the_sites_own_ids() {
    let template = r#"$remote_addr - - [$time_local] "$request" $status "$auth_sha256""#;
    let home = Home::new(&format!(
        "[[source]]\npaths = [\"logs/a.log\"]\ntemplate = '{template}'\n[tokens]\nids = [\"auth_sha256\"]\n"
    ));
    let line =
        r#"192.0.2.7 - - [12/Mar/2026:02:13:07 +0000] "GET / HTTP/1.1" 200 "0f3a9c77d1e2b4855a6b""#;
    home.append("logs/a.log", format!("{line}\n"));
    let text = home.print(&["check"]);
    assert!(text.contains("1 of the first 1 lines fit, 1 with a token"), "{text}");
}

#[test]
fn what_a_directory_holds_beside_logs_is_not_passed_over_in_silence() {
    let home = Home::new("");
    let line = "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /v1 HTTP/1.1\" 200 6\n";
    for name in ["app.json", "nginx.txt", "app.out", "access.log", "a.csv", "requests", "README"] {
        home.append(&format!("logs/{name}"), line);
    }
    home.append("logs/registry.csv", "token,name\n");
    let told =
        |arguments: &[&str]| String::from_utf8(home.output(arguments).stderr).expect("UTF-8");
    let line = "skipped by name: 2 files, the first is logs/a.csv; name a file to read it\n";
    for command in ["replay", "parse"] {
        let told = told(&[command, "logs"]);
        assert!(told.contains(line) && told.contains("4 lines"), "{told}");
    }
    for arguments in [["replay", "logs/a.csv"], ["replay", "logs/*.log"]] {
        let told = told(&arguments);
        assert!(!told.contains("skipped by name") && told.contains("1 line,"), "{told}");
    }
}
