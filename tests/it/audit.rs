//! `audit`: what is to be mended about tokens, in a terminal, as JSON and as a page.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::program::{CONFIG, Home, wait_until};

/// Registered, and later known to have leaked.
const LEAKED: &str = "exk-ci-0123456789abcdef0123";
/// Registered, revoked, and accepted all the same.
const REVOKED: &str = "exk-old-89abcdef0123456789ab";
/// Sent in a query.
const IN_URL: &str = "exk_5b1f0c92d7a8463e9c0fb7d1264e83a5";
/// Nobody registered it.
const STRAY: &str = "exk-web-fedcba98765432100";

fn line(hour: u8, target: &str, secret: &str) -> String {
    format!(
        "192.0.2.7 - - [14/Mar/2026:{hour:02}:05:00 +0000] \"GET {target} HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\" \"{secret}\"\n"
    )
}

/// A home with one token of each kind.
fn home() -> Home {
    let home = Home::new("");
    for (name, secret) in [("ci", LEAKED), ("old-bot", REVOKED), ("orders", IN_URL)] {
        let columns = ["owner=ops", "expires_at=2099-01-01"];
        let added = home.output_with(&[&["tokens", "add", name], &columns[..]].concat(), secret);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    let mut log = String::new();
    for hour in 0..6 {
        for secret in [LEAKED, REVOKED, STRAY] {
            log += &line(hour, "/v1/items", &format!("Bearer {secret}"));
        }
        log += &line(hour, &format!("/v1/items?api_key={IN_URL}"), "-");
    }
    home.append("logs/access.log", log);
    home.print(&["replay", "--save", "logs/access.log"]);
    home.print(&["tokens", "leak", "ci", "--at", "2026-03-14T02:00:00Z"]);
    home.print(&["tokens", "revoke", "old-bot", "--at", "2026-03-14T03:00:00Z"]);
    home
}

/// The token's name or principal, and the names of its findings.
fn found(objects: &[Value]) -> Vec<(String, Vec<String>)> {
    let names = |object: &Value| {
        let findings = object["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut found: Vec<(String, Vec<String>)> = objects
        .iter()
        .map(|object| {
            (object["token"]["name"].as_str().unwrap_or_default().to_owned(), names(object))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn an_audit_says_what_to_mend_the_worst_first() {
    let home = home();
    let mut command = home.command(&["audit", "--unused", "9999d", "--max-age", "9999d"]);
    let output = command.env("COLUMNS", "160").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    insta::with_settings!({ filters => vec![
        (r"tw1_[0-9a-f]{8}", "[short id]"),
        (r"\d+ d ago *", "[ago] "),
        (r"last seen *", "last seen  "),
    ] }, { insta::assert_snapshot!(text); });
}

#[test]
fn an_audit_as_json_has_the_fields_of_a_list_and_the_findings() {
    let home = home();
    let all = home.json(&["audit", "--unused", "9999d", "--max-age", "9999d", "--json"]);
    let expected = [
        ("", vec!["unregistered"]),
        ("ci", vec!["leaked-in-use"]),
        ("old-bot", vec!["dead-but-accepted"]),
        ("orders", vec!["in-url"]),
    ];
    let expected = expected.map(|(name, findings)| {
        (name.to_owned(), findings.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(found(&all), expected);
    let ci = all.iter().find(|object| object["token"]["name"] == "ci").unwrap();
    let finding = &ci["findings"][0];
    assert_eq!(
        (&finding["level"], &finding["since"]),
        (&"critical".into(), &"2026-03-14T02:00:00Z".into())
    );
    assert_eq!(finding["detail"], "last accepted in the hour of 2026-03-14 05:00Z");
    assert_eq!(
        (&ci["state"], &ci["requests"], &ci["tokens"]),
        (&"leaked".into(), &6.into(), &1.into())
    );
    let listed = home.json(&["tokens", "list", "ci", "--json"]);
    let fields =
        ["principal", "first_seen", "last_seen", "ok", "denied", "failed", "bytes", "expires_at"];
    assert!(fields.iter().all(|field| ci[field] == listed[0][field]), "{ci} {}", listed[0]);
    let some = home.json(&["audit", "--finding", "in-url", "--finding", "leaked-in-use", "--json"]);
    assert_eq!(some.len(), 2);
    let two = home.json(&["audit", "-n", "2", "--json"]);
    let names: Vec<_> = two.iter().map(|object| &object["token"]["name"]).collect();
    assert_eq!(names, ["ci", "old-bot"], "the worst first");
    let list = home.json(&["audit", "-n", "9", "--unused", "9999d", "--json"]);
    let names: Vec<_> = list.iter().map(|object| &object["token"]["name"]).collect();
    assert_eq!(names, ["ci", "old-bot", "orders"], "the list leaves out who is only unregistered");
}

#[test]
fn an_audit_fails_on_the_findings_that_it_is_asked_about() {
    let home = home();
    let code = |finding: &str| home.output(&["audit", "--fail-on", finding]).status.code();
    assert_eq!([code("in-url"), code("decoy-used"), code("hit")], [Some(1), Some(0), Some(2)]);
    assert_eq!(home.output(&["audit", "--max-age", "old"]).status.code(), Some(2));
}

#[test]
fn the_help_of_an_audit_lists_the_findings_and_says_how_it_ends() {
    let help = Home::new("").print(&["audit", "--help"]);
    for words in
        ["decoy-used ", "no-owner ", "low ", "revoke it, if nobody needs it", "; 1 --fail-on"]
    {
        assert!(help.contains(words), "{words}: {help}");
    }
}

#[test]
fn an_audit_without_a_database_says_how_to_get_one() {
    let output = Home::new("").output(&["audit"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no database in ") && errors.contains("replay --save"), "{errors}");
    assert_eq!(output.status.code(), Some(70));
}

#[test]
fn the_page_of_an_audit_is_whole_private_and_loads_nothing() {
    let home = home();
    home.append("audit.html", "what was there before");
    let said = home.print(&["audit", "--html", "audit.html"]);
    assert!(said.ends_with("written: audit.html\n"), "{said}");
    let page = fs::read_to_string(home.path("audit.html")).unwrap();
    let mode = fs::metadata(home.path("audit.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for text in ["ci</td>", "leaked-in-use", "dead-but-accepted", "<svg", "1 alert"] {
        assert!(page.contains(text), "{text}");
    }
    for remote in ["<script", "http://", "https://", "src=", "href=", "url("] {
        assert!(!page.contains(remote), "{remote}");
    }
    let refused = home.output(&["audit", "--html", "absent/audit.html"]);
    assert_eq!(refused.status.code(), Some(70));
    assert!(!home.path("audit.html.new1").exists());
}

#[test]
fn a_page_took_the_place_of_a_pipe() {
    let home = home();
    let [pipe, link] = ["pipe", "link"].map(|name| home.path(name));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    symlink(&pipe, &link).unwrap();
    for name in ["pipe", "link"] {
        let from = pipe.clone();
        let reader = thread::spawn(move || fs::read_to_string(from).unwrap());
        home.print(&["audit", "--html", name]);
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo(), "{name}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{name}");
        let page = reader.join().unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
    }
    home.append("file", "whole");
    fs::remove_file(&link).unwrap();
    symlink(home.path("file"), &link).unwrap();
    for name in ["link", "logs"] {
        let refused = home.output(&["audit", "--html", name]);
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(error.contains(&format!("writing {name}: expected a regular file")), "{error}");
        assert_eq!(refused.status.code(), Some(70));
    }
    assert_eq!(fs::read_to_string(home.path("file")).unwrap(), "whole");
}

#[test]
fn a_page_goes_to_standard_output_alone() {
    let home = home();
    let page = home.print(&["audit", "--html", "-"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
    assert!(!home.path("-").exists());
    let refused = home.output(&["audit", "--html", "-", "--json"]);
    assert_eq!((refused.stdout, refused.status.code()), (Vec::new(), Some(2)));
}

#[test]
fn a_page_deleted_what_was_named_like_its_draft() {
    let home = home();
    for draft in ["audit.html.new", "audit.html.new1"] {
        home.append(draft, "of somebody else");
    }
    home.print(&["audit", "--html", "audit.html"]);
    for draft in ["audit.html.new", "audit.html.new1"] {
        assert_eq!(fs::read_to_string(home.path(draft)).unwrap(), "of somebody else");
    }
    assert!(home.path("audit.html").exists() && !home.path("audit.html.new2").exists());
}

#[test]
fn hostile_names_are_text_in_the_page_and_on_the_terminal() {
    let home = home();
    let name = "x<img src=x onerror=alert(1)>\"'\u{202e}\u{1b}[2J";
    home.append(
        "registry.jsonl",
        format!("{}\n", serde_json::json!({ "token": STRAY, "name": name })),
    );
    home.print(&["tokens", "import", "registry.jsonl"]);
    let shown = home.print(&["audit"]);
    assert!(shown.contains("x<img src=x") && shown.contains("\\u{202e}\\x1b[2J"), "{shown}");
    assert!(!shown.contains(['\u{202e}', '\u{1b}']), "{shown}");
    home.print(&["audit", "--html", "audit.html"]);
    let page = fs::read_to_string(home.path("audit.html")).unwrap();
    assert!(
        page.contains("x&lt;img src=x onerror=alert(1)&gt;&quot;&#39;\\u{202e}\\x1b[2J"),
        "{page}"
    );
    assert!(!page.contains("<img") && !page.contains(['\u{202e}', '\u{1b}']), "{page}");
    let json = home.print(&["audit", "--json"]);
    assert!(!json.contains(['\u{202e}', '\u{1b}']), "{json}");
}

#[test]
fn an_audit_reads_while_the_daemon_writes() {
    let home = home();
    home.configure(CONFIG);
    let daemon = home.run(&[]);
    let late = "exk-new-0246813579abcdef0246";
    home.append("logs/access.log", line(7, &format!("/v1/items?api_key={late}"), "-"));
    let args = ["audit", "--unused", "9999d", "--finding", "in-url", "--json"];
    let in_url = || home.json(&args).len();
    wait_until("the audit knows of the new token", || in_url() == 2);
    assert!(daemon.terminate().success());
}
