//! `scan`: what is found where, what is said about it, and what never is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::program::Home;

/// A made-up token that is used in the log.
const USED: &str = "exk-sue-0123456789abcdef0123";
/// A made-up token in a vendor's form, which nobody uses.
const STRIPE: &str = "sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz";

/// A home whose state knows one token, used a minute ago.
fn home() -> Home {
    let home = Home::new("");
    let time = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
    let request = "\"GET /v1/items/17 HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\"";
    home.append("logs/access.log", format!("192.0.2.7 - - [{time}] {request} \"Bearer {USED}\"\n"));
    home.print(&["replay", "--save", "logs/access.log"]);
    home
}

fn write(home: &Home, name: &str, text: impl AsRef<[u8]>) {
    let path = home.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn id(home: &Home, secret: &str) -> String {
    let output = home.output_with(&["tokens", "id", "-"], secret);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a scan prints, says and ends with. No secret is in it.
fn scanned(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    for secret in [USED, STRIPE] {
        assert!(!out.contains(secret) && !errors.contains(secret), "{out}{errors}");
    }
    (out, errors, output.status.code())
}

fn scan(home: &Home, arguments: &[&str]) -> (String, String, Option<i32>) {
    scanned(&home.output(&[&["scan"], arguments].concat()))
}

fn git(repository: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository).args(["-c", "commit.gpgSign=false"]).args(arguments);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "Ann"),
        ("GIT_AUTHOR_EMAIL", "ann@example.org"),
        ("GIT_COMMITTER_NAME", "Ann"),
        ("GIT_COMMITTER_EMAIL", "ann@example.org"),
    ] {
        command.env(name, value);
    }
    command.env_remove("GIT_DIR");
    command.output().is_ok_and(|output| output.status.success())
}

/// Makes a repository; `None` without git.
#[expect(clippy::print_stderr, reason = "a test that shows nothing says so")]
fn repository(home: &Home) -> Option<std::path::PathBuf> {
    let path = home.path("repo");
    fs::create_dir(&path).unwrap();
    if git(&path, &["init", "--quiet", "--initial-branch=main"]) {
        return Some(path);
    }
    eprintln!("git is not installed: nothing was tested");
    None
}

fn commit(repository: &Path, message: &str) -> String {
    assert!(git(repository, &["add", "--all"]));
    assert!(git(repository, &["commit", "--quiet", "--allow-empty", "-m", message]));
    let output =
        Command::new("git").arg("-C").arg(repository).args(["rev-parse", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_token_in_a_file_is_said_to_be_in_use_and_another_to_be_unknown() {
    let home = home();
    let (used, stripe) = (id(&home, USED), id(&home, STRIPE));
    write(&home, "code/.env", format!("# settings\nAPI_KEY='{USED}'\n"));
    write(&home, "code/pay/x.py", format!("key = \"{STRIPE}\"\n"));
    write(&home, "code/logo.png", format!("\0{STRIPE}"));
    let (out, errors, code) = scan(&home, &["code"]);
    let expected = format!(
        "code/.env:2:10: opaque ...0123 ({used}): in use: not registered, last accepted 1 min ago, 1 request in 31 days\n\
         code/pay/x.py:1:8: stripe-live sk_live_...WxYz ({stripe}): not known here\n"
    );
    assert_eq!(out, expected);
    let summary = "2 files (100 B) read, 1 binary skipped; 2 secrets in 2 places: 1 in use, 0 known, 1 not known here\n";
    assert_eq!((errors.as_str(), code), (summary, Some(1)));
    let (out, _, code) = scan(&home, &["--known", "code/pay"]);
    assert_eq!((out.as_str(), code), ("", Some(0)));
    let found = home.output(&["scan", "--json", "code"]);
    let (out, ..) = scanned(&found);
    let objects: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["token"], json!({"id": used, "kind": "opaque", "hint": "...0123"}));
    assert_eq!(objects[0]["file"]["path"], "code/.env");
    let place = (&objects[0]["line"], &objects[0]["column"], &objects[0]["in_use"]);
    assert_eq!(place, (&json!(2), &json!(10), &json!(true)));
    assert_eq!((&objects[1]["known"], &objects[1]["in_use"]), (&json!(false), &Value::Null));
}

#[test]
fn what_is_known_of_a_token_that_is_over_or_was_never_used_is_said() {
    let home = home();
    let used = id(&home, USED);
    home.print(&["tokens", "set", &used, "name=sue", "revoked_at=2026-01-02"]);
    let text = format!("{USED}\n");
    let (out, ..) = scanned(&home.output_with(&["scan", "-"], &text));
    // Somebody still accepts it.
    let status = "in use: sue, revoked since 2026-01-02 00:00:00 UTC, last accepted 1 min ago";
    assert!(out.starts_with("-:1:1: ") && out.contains(status), "{out}");
    home.print(&["tokens", "revoke", "sue"]);
    let (out, errors, _) = scanned(&home.output_with(&["scan", "-"], &text));
    assert!(
        out.contains(": known: sue, revoked since 20") && out.contains("last used 1 min ago"),
        "{out}"
    );
    assert!(errors.contains("0 in use, 1 known, 0 not known here"), "{errors}");
    home.output_with(&["tokens", "add", "pay"], STRIPE);
    let (out, ..) = scanned(&home.output_with(&["scan", "-"], STRIPE));
    assert!(out.contains(": known: pay, never used\n"), "{out}");
}

#[test]
fn a_token_of_a_log_without_a_status_is_in_use_if_it_is_used() {
    let home = Home::new("");
    let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
    let line = format!("192.0.2.7 [{time}] \"GET /v1/items HTTP/1.1\" \"Bearer {USED}\"\n");
    home.append("logs/access.log", line);
    let format = "$remote_addr [$time_iso8601] \"$request\" \"$http_authorization\"";
    home.print(&["replay", "--save", "--format", format, "logs/access.log"]);
    let (out, ..) = scanned(&home.output_with(&["scan", "-"], USED));
    let status =
        "in use: not registered, last used just now, answers unknown, 1 request in 31 days";
    assert!(out.contains(status), "{out}");
}

#[test]
fn without_a_state_shapes_are_found_and_nothing_is_created() {
    let home = Home::new("");
    let (out, errors, code) = scanned(&home.output_with(&["scan", "-"], STRIPE));
    assert_eq!(out, "-:1:1: stripe-live sk_live_...WxYz: not known here\n");
    assert_eq!(errors.matches("nothing is known of any token").count(), 1, "{errors}");
    assert_eq!(code, Some(1));
    assert!(!home.path("state").exists());
}

#[test]
fn places_of_one_secret_are_limited_and_counted() {
    let home = home();
    let stripe = id(&home, STRIPE);
    write(&home, "x", format!("{STRIPE}\n").repeat(13));
    let (out, errors, _) = scan(&home, &["x"]);
    assert_eq!(out.lines().count(), 11);
    let last = format!("stripe-live sk_live_...WxYz ({stripe}): and 3 more places");
    assert_eq!(out.lines().last(), Some(last.as_str()));
    assert!(errors.contains("1 secret in 13 places"), "{errors}");
    assert_eq!(home.output(&["scan", "--json", "x"]).stdout.split(|b| *b == b'\n').count(), 14);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_read() {
    let home = home();
    write(&home, "a", USED);
    let (_, errors, code) = scan(&home, &["gone", "a"]);
    assert!(errors.contains("tokenwatch: opening gone: No such file"), "{errors}");
    assert_eq!(code, Some(1));
    let (out, _, code) = scan(&home, &["gone"]);
    assert_eq!((out.as_str(), code), ("", Some(70)));
    for wrong in [&["scan"][..], &["scan", "--git", "-"], &["scan", "-", "--findings", "-"]] {
        assert_eq!(home.output(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn hostile_names_move_no_cursor_and_show_no_secret() {
    let home = home();
    write(&home, "code/\x1b[2J\n\u{202e}x", USED);
    write(&home, &format!("code/{STRIPE}"), STRIPE);
    let (out, ..) = scan(&home, &["code"]);
    assert_eq!(out.lines().count(), 2);
    assert!(out.contains("code/\\x1b[2J\\x0a\\u{202e}x:1:1: "), "{out}");
    let (out, ..) = scan(&home, &["--json", "code"]);
    assert_eq!(out.lines().count(), 2);
    let (_, errors, _) = scan(&home, &[&format!("gone/{STRIPE}")]);
    assert!(errors.contains("tokenwatch: opening gone/[...]: "), "{errors}");
}

#[test]
fn a_secret_that_a_later_commit_removed_is_found_in_the_history() {
    let home = home();
    let Some(repository) = repository(&home) else { return };
    write(&home, "repo/src/a b.py", "one\ntwo\n");
    commit(&repository, "first");
    write(&home, "repo/src/a b.py", format!("one\nkey = '{USED}'\ntwo\n"));
    let leak = commit(&repository, "second");
    write(&home, "repo/src/a b.py", "one\ntwo\n");
    commit(&repository, "third");
    assert!(git(&repository, &["checkout", "--quiet", "-b", "other", "HEAD~2"]));
    // On another branch, in a file with an odd name, in lines that look like those of a diff.
    write(&home, "repo/\"q\"\t\u{e9}", format!("++ b/x\n@@ -1 +1 @@\n{STRIPE}\n"));
    let other = commit(&repository, "fourth");
    assert!(git(&repository, &["checkout", "--quiet", "main"]));
    assert_eq!(scan(&home, &["repo"]).2, Some(0), "the files as they are");
    let (out, errors, code) = scan(&home, &["--git", "repo"]);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!((lines.len(), code), (2, Some(1)), "{out}{errors}");
    let odd = "repo/\"q\"\\x09\u{e9}:3:1: stripe-live sk_live_...WxYz (";
    assert!(lines[0].starts_with(odd), "{out}");
    assert!(lines[0].contains(&format!("), commit {}: not known here", &other[..12])), "{out}");
    assert!(lines[1].starts_with("repo/src/a b.py:2:8: opaque ...0123 ("), "{out}");
    assert!(lines[1].contains(&format!(", commit {}: in use: ", &leak[..12])), "{out}");
    assert!(errors.starts_with("4 commits ("), "{errors}");
}

#[test]
fn a_secret_that_only_a_merge_added_is_found_once() {
    let home = home();
    let Some(repository) = repository(&home) else { return };
    write(&home, "repo/x", "one\n");
    commit(&repository, "first");
    assert!(git(&repository, &["checkout", "--quiet", "-b", "other"]));
    write(&home, "repo/y", format!("{STRIPE}\n"));
    commit(&repository, "on a branch");
    assert!(git(&repository, &["checkout", "--quiet", "main"]));
    write(&home, "repo/x", "one\ntwo\n");
    commit(&repository, "on main");
    assert!(git(&repository, &["merge", "--quiet", "--no-commit", "other"]));
    write(&home, "repo/x", format!("one\ntwo\n{USED}\n"));
    let merge = commit(&repository, "merge");
    let (out, errors, _) = scan(&home, &["--git", "repo"]);
    assert_eq!(out.lines().count(), 2, "{out}{errors}");
    assert!(out.contains("repo/x:3:1: ") && out.contains(&merge[..12]), "{out}");
}

#[test]
fn a_repository_runs_no_program_and_hides_no_commit_by_its_configuration() {
    let home = home();
    let Some(repository) = repository(&home) else { return };
    let evil = home.path("evil");
    let ran = home.path("ran");
    write(&home, "evil", format!("#!/bin/sh\ntouch '{}'\ncat \"$@\"\n", ran.display()));
    assert!(Command::new("chmod").arg("+x").arg(&evil).status().unwrap().success());
    write(&home, "repo/.gitattributes", "* diff=evil\n");
    write(&home, "repo/x", format!("{STRIPE}\n"));
    commit(&repository, "first");
    let evil = evil.display().to_string();
    for (name, value) in [
        ("core.fsmonitor", evil.as_str()),
        ("core.pager", &evil),
        ("pager.log", &evil),
        ("diff.external", &evil),
        ("diff.evil.command", &evil),
        ("diff.evil.textconv", &evil),
        ("gpg.program", &evil),
        ("log.showSignature", "true"),
        ("log.showRoot", "false"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.orderFile", "/dev/full/none"),
        ("core.bigFileThreshold", "1"),
        ("color.ui", "always"),
        ("format.pretty", "oneline"),
    ] {
        assert!(git(&repository, &["config", name, value]));
    }
    let (out, errors, code) = scan(&home, &["--git", "repo"]);
    assert!(out.starts_with("repo/x:1:1: stripe-live "), "{out}{errors}");
    assert_eq!(code, Some(1));
    assert!(!ran.exists(), "a program of the repository ran");
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_git_was_waited_for() {
    let home = home();
    let Some(repository) = repository(&home) else { return };
    write(&home, "repo/x", format!("{STRIPE}\n"));
    commit(&repository, "first");
    let make_pipe = |name: &str| {
        let path = repository.join(name);
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    // Those of the working tree are not opened.
    for name in [".gitattributes", ".mailmap", ".gitmodules", "pipe"] {
        make_pipe(name);
    }
    let (out, errors, _) = scan(&home, &["--git", "repo"]);
    assert!(out.starts_with("repo/x:1:1: stripe-live "), "{out}{errors}");
    make_pipe(".git/packed-refs");
    let (out, errors, code) = scan(&home, &["--git", "repo"]);
    assert!(errors.contains("repo/.git/packed-refs: neither a file nor a directory"), "{errors}");
    assert_eq!((out.as_str(), code), ("", Some(70)));
}

#[test]
fn what_is_no_repository_is_said() {
    let home = home();
    if repository(&home).is_none() {
        return;
    }
    write(&home, "repo/below/x", USED);
    let (out, errors, code) = scan(&home, &["--git", "repo/below"]);
    assert!(errors.contains("git log in repo/below: fatal: not a git repository"), "{errors}");
    assert!(errors.contains(": give the top directory of the repository"), "{errors}");
    assert_eq!((out.as_str(), code), ("", Some(70)));
    let (out, errors, code) = scan(&home, &["--git", "logs"]);
    assert!(
        errors.contains("tokenwatch: git log in logs: fatal: not a git repository"),
        "{errors}"
    );
    assert_eq!((out.as_str(), code), ("", Some(70)));
    let mut command = home.command(&["scan", "--git", "repo"]);
    let output = command.env("PATH", home.path("logs")).output().unwrap();
    let (_, errors, code) = scanned(&output);
    assert!(errors.contains("running git, which reads the history"), "{errors}");
    assert_eq!(code, Some(70));
}

#[test]
fn findings_of_other_scanners_are_looked_up() {
    let home = home();
    let report = json!([
        {"RuleID": "generic-api-key", "Secret": USED, "File": "a.py", "StartLine": 3, "StartColumn": 7,
         "Commit": "8d3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f"},
        {"RuleID": "password", "Secret": "correct horse battery", "File": "b.py", "StartLine": 1},
        {"RuleID": "x", "Secret": "REDACTED", "File": "c.py", "StartLine": 1},
    ]);
    write(&home, "gitleaks.json", report.to_string());
    let (out, errors, code) = scan(&home, &["--findings", "gitleaks.json"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("a.py:3:7: opaque ...0123 (tw1_"), "{out}");
    let origin = "), commit 8d3f2a1b0c9d, gitleaks generic-api-key: in use: ";
    assert!(lines[0].contains(origin), "{out}");
    assert!(lines[1].starts_with("b.py:1: opaque ... (tw1_"), "{out}");
    assert!(!out.contains("horse") && lines.len() == 2, "{out}");
    let summary = "3 reported by another scanner, 1 of them masked, so that they cannot be looked up; 2 secrets";
    assert!(errors.starts_with(summary), "{errors}");
    assert_eq!(code, Some(1));
    write(&home, "other.json", "{\"results\":[]}");
    let (_, errors, code) = scan(&home, &["--findings", "other.json"]);
    assert!(
        errors.contains("expected the JSON that gitleaks, trufflehog or kingfisher writes"),
        "{errors}"
    );
    assert_eq!(code, Some(70));
}

#[test]
fn tokens_that_were_found_are_marked_as_leaked_once_and_decoys_are_not() {
    let home = home();
    let used = id(&home, USED);
    home.output_with(&["tokens", "add", "bait", "decoy=true"], STRIPE);
    write(&home, "code/a", format!("{USED} {STRIPE}"));
    let (out, errors, code) = scan(&home, &["--leaked", "code"]);
    assert!(out.contains(&format!("{used}: leaked since 20")), "{out}");
    assert!(errors.contains(": left as it is, a decoy is meant to be found"), "{errors}");
    assert_eq!(code, Some(1));
    let shown = home.print(&["history", &used]);
    assert!(shown.contains("found by scan: code/a:1:1"), "{shown}");
    let leaked = home.json(&["tokens", "list", "--state", "leaked", "--json"]);
    assert_eq!(leaked.len(), 1);
    let (_, errors, _) = scan(&home, &["--leaked", "code"]);
    assert!(errors.contains(": left as it is, it is marked as leaked since 20"), "{errors}");
}

#[test]
fn findings_that_are_all_masked_are_no_success() {
    let home = home();
    write(&home, "masked.json", r#"[{"RuleID":"x","Secret":"REDACTED","File":"c.py"}]"#);
    let (out, errors, code) = scan(&home, &["--findings", "masked.json"]);
    assert_eq!((out.as_str(), code), ("", Some(70)), "{errors}");
    assert!(errors.contains("1 of them masked") && errors.contains("; nothing was searched"));
}

#[test]
fn a_token_that_leaked_and_was_revoked_is_not_in_use() {
    let home = home();
    let used = id(&home, USED);
    home.print(&["tokens", "revoke", &used]);
    home.print(&["tokens", "leak", &used]);
    let (out, errors, _) = scanned(&home.output_with(&["scan", "-"], USED));
    assert!(out.contains(": known: leaked since 20"), "{out}");
    assert!(errors.contains("0 in use, 1 known"), "{errors}");
}

#[test]
fn known_tokens_are_not_looked_for_without_a_state() {
    let home = Home::new("");
    for option in ["--known", "--leaked"] {
        let (out, errors, code) = scanned(&home.output_with(&["scan", option, "-"], STRIPE));
        assert_eq!((out.as_str(), code), ("", Some(70)), "{option}");
        assert!(errors.contains("no token is known") && !errors.contains("no secrets found"));
    }
}

#[test]
fn known_tokens_are_blanked_wherever_a_report_has_them() {
    let home = home();
    let used = id(&home, USED);
    let long = "x/".repeat(5000);
    let report = json!([
        {"RuleID": format!("of {USED}"), "Secret": USED, "File": format!("{long}{USED}.py"), "StartLine": 3,
         "Commit": USED},
        {"RuleID": "x", "Secret": USED, "File": format!("a/{USED}.py"), "StartLine": 3, "Commit": USED},
    ]);
    write(&home, "gitleaks.json", report.to_string());
    let (out, _, code) = scan(&home, &["--leaked", "--findings", "gitleaks.json"]);
    assert!(out.contains(&format!("a/[{used}].py:3: ")), "{out}");
    assert!(out.contains(&format!(", gitleaks of [{used}]: ")), "{out}");
    assert!(out.lines().all(|line| line.len() < 4096 + 300), "{out}");
    assert_eq!(code, Some(1));
    let shown = home.print(&["history", &used]);
    let note = shown.lines().find(|line| line.contains("found by scan: ")).unwrap();
    assert!(note.len() < 400 && !shown.contains(USED), "{shown}");
    let (out, _, _) = scan(&home, &["--json", "--findings", "gitleaks.json"]);
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn json_has_one_kind_of_object_though_tokens_are_marked() {
    let home = home();
    let used = id(&home, USED);
    write(&home, "code/a", USED);
    let (out, errors, _) = scan(&home, &["--leaked", "--json", "code"]);
    let objects: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 1, "{out}");
    assert_eq!(objects[0]["file"]["path"], "code/a");
    assert!(errors.contains(&format!("{used}: marked as leaked\n")), "{errors}");
    assert_eq!(home.json(&["tokens", "list", "--state", "leaked", "--json"]).len(), 1);
}

#[test]
fn attributes_of_a_repository_hide_no_file_and_binary_ones_are_named() {
    let home = home();
    let Some(repository) = repository(&home) else { return };
    write(&home, "repo/.gitattributes", "* -diff\n");
    write(&home, "repo/x", format!("{STRIPE}\n"));
    write(&home, "repo/logo", "\0\x01");
    commit(&repository, "first");
    let (out, errors, code) = scan(&home, &["--git", "repo"]);
    assert!(out.starts_with("repo/x:1:1: stripe-live "), "{out}{errors}");
    assert_eq!(code, Some(1));
    assert!(errors.contains("git takes repo/logo for binary: it was not searched"), "{errors}");
    assert!(errors.contains("1 binary skipped"), "{errors}");
}

#[test]
fn a_repository_that_git_refuses_is_said_with_the_cure() {
    let home = home();
    if repository(&home).is_none() {
        return;
    }
    let mut command = home.command(&["scan", "--git", "repo"]);
    command.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let (_, errors, code) = scanned(&command.output().unwrap());
    assert!(errors.contains("run tokenwatch as its owner, with --state-dir, or git"), "{errors}");
    assert!(errors.contains("config --global --add safe.directory /"), "{errors}");
    assert_eq!(code, Some(70));
}

#[test]
fn a_summary_counts_what_was_asked_for() {
    let home = home();
    write(&home, "none.json", "[]");
    fs::create_dir(home.path("empty")).unwrap();
    let (_, errors, code) = scan(&home, &["--findings", "none.json"]);
    assert_eq!(errors, "0 reported by another scanner; nothing was searched\n");
    assert_eq!(code, Some(0));
    let (_, errors, _) = scan(&home, &["empty"]);
    assert_eq!(errors, "0 files (0 B) read; nothing was searched\n");
    assert_eq!(scan(&home, &["--git", "--findings", "none.json"]).2, Some(2));
}
