//! Every committed byte is accounted for, whatever happened to it.

use std::fs::{self, File};

use rusqlite::Connection;
use serde_json::Value;

use crate::program::{CONFIG, Home, wait_until};

const LINE: &str =
    "192.0.2.7 - - [12/Mar/2026:02:13:00 +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n";
const CUT: &str = "192.0.2.7 - - [12/Mar/2026:02:1";

fn account(home: &Home) -> Value {
    home.json(&["status", "--json"])[0]["accounting"].clone()
}

/// Runs the daemon until it has committed so many lines.
fn run(home: &Home, n_lines: u64) {
    let daemon = home.run(&[]);
    wait_until("all lines are committed", || home.committed_lines() == n_lines);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

/// A home of which one log had lines of every kind, and lost some.
fn home_with_losses() -> Home {
    let home = Home::new("[[source]]\npaths = [\"logs/a.log\"]\n[output]\njournal = false\n");
    home.append("logs/a.log", LINE.repeat(2));
    let daemon = home.run(&[]);
    wait_until("the file is followed", || {
        home.path("state/tokenwatch.db").exists()
            && account(&home)["left_out"] == LINE.len() as u64 * 2
    });
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    let long = "x".repeat(70 * 1024);
    home.append("logs/a.log", format!("{LINE}no request at all\n{long}\n{CUT}"));
    run(&home, 3);
    File::options().write(true).open(home.path("logs/a.log")).unwrap().set_len(0).unwrap();
    home.append("logs/a.log", format!("\0\0\0\0\0{LINE}"));
    run(&home, 4);
    home
}

#[test]
fn what_was_piped_in_twice_did_not_add_up() {
    let home = Home::new("");
    for n in [1_u64, 2] {
        let input = LINE.repeat(usize::try_from(3 - n).unwrap());
        assert!(home.output_with(&["replay", "--save", "-"], &input).status.success());
        let account = account(&home);
        assert_eq!(account["holds"], true, "{account}");
        assert_eq!(account["committed"], LINE.len() as u64 * (n + 1), "{account}");
    }
}

#[test]
fn whatever_becomes_of_bytes_they_add_up() {
    let home = home_with_losses();
    let account = account(&home);
    let rest = 70 * 1024 + 1 - 64 * 1024;
    let line = LINE.len() as u64;
    for (name, bytes) in [
        ("parsed", 2 * line),
        ("rejected", 18 + 64 * 1024),
        ("discarded", rest),
        ("gap", CUT.len() as u64),
        ("nul", 5),
        ("left_out", 2 * line),
        ("committed", 4 * line + 18 + 70 * 1024 + 1 + CUT.len() as u64 + 5),
    ] {
        assert_eq!(account[name], bytes, "{name}: {account}");
    }
    assert_eq!((&account["holds"], account["wrong"].as_array().unwrap().len()), (&true.into(), 0));
    let text = home.print(&["status"]);
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("accounting")).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert!(told[0].contains("adds up: ") && told[0].contains("5 NULs"), "{text}");
}

#[test]
fn what_was_read_under_another_name_was_said_to_be_before_the_start() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", LINE.repeat(2));
    run(&home, 2);
    home.append("logs/a.log", LINE);
    fs::copy(home.path("logs/a.log"), home.path("logs/a.log.1")).unwrap();
    File::options().write(true).open(home.path("logs/a.log")).unwrap().set_len(0).unwrap();
    home.append("logs/a.log", LINE);
    run(&home, 4);
    let bytes = 2 * LINE.len() as u64;
    let account = account(&home);
    assert_eq!((&account["holds"], &account["left_out"]), (&true.into(), &bytes.into()));
    let text = home.print(&["status"]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = format!("{bytes} before the start or read under another name");
    assert!(words.contains(&told), "{text}");
}

#[test]
fn a_byte_that_nothing_accounts_for_is_shown_with_its_file() {
    let home = home_with_losses();
    let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
    for (change, told) in [(7, "7 B counted twice"), (-12, "5 B not accounted for")] {
        let sql = "UPDATE stream SET parsed_bytes = parsed_bytes + ?1 WHERE generation = 1";
        assert_eq!(database.execute(sql, [change]).unwrap(), 1);
        let text = home.print(&["status"]);
        let path = fs::canonicalize(home.path("logs/a.log")).unwrap();
        let line = text.lines().find(|line| line.starts_with("accounting")).unwrap();
        assert!(line.contains(&format!("does not add up: {}: {told}", path.display())), "{text}");
    }
    let account = account(&home);
    assert_eq!((&account["holds"], &account["wrong"][0]["bytes"]), (&false.into(), &5.into()));
}
