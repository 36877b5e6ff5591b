//! Forgetting beside a daemon: what its memory, unused parts of the files and the backup still held.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::SystemTime;

use rusqlite::Connection;

use crate::program::{CONFIG, Home, enlarge, wait_until};

fn line(n: u8, second: u8) -> String {
    format!(
        "198.51.100.{n} - - [12/Mar/2026:02:00:{second:02} +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer {}\"\n",
        secret(n)
    )
}

fn secret(n: u8) -> String {
    format!("exk_{n:03}a5d0c81e7b93f24")
}

/// Waits until the daemon has forgotten what it had in memory.
fn wait_until_forgotten(home: &Home) {
    let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
    let sql = "SELECT count(*) FROM forgotten";
    let n_left = || database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    wait_until("it is forgotten", || n_left() == 0);
}

#[test]
fn the_statistics_of_a_log_held_the_addresses_of_forgotten_tokens() {
    let home = Home::new(CONFIG);
    let held = || {
        let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
        let sql = "SELECT health FROM stream";
        let health: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
        (10..40).filter(|n| health.contains(&format!("198.51.100.{n}\""))).collect::<Vec<u8>>()
    };
    home.append("logs/a.log", line(10, 1) + &line(11, 2));
    let daemon = home.run(&[]);
    wait_until("both are read", || home.committed_lines() == 2);
    assert_eq!(held(), [10, 11]);
    let list = home.json(&["tokens", "list", "--json"]);
    home.print(&["tokens", "forget", list[0]["token"]["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(held(), [0; 0]);
    wait_until_forgotten(&home);
    // The daemon does not write them once more from its memory.
    home.append("logs/a.log", line(12, 3));
    wait_until("the next is read", || home.committed_lines() == 3);
    assert_eq!(held(), [12]);
    assert!(daemon.terminate().success());
}

const NAME: &str = "the-bot-of-ann";

/// Registers a token; returns what its rows can be found by in the files.
fn register(home: &Home) -> [Vec<u8>; 4] {
    let added = home.output_with(&["tokens", "add", NAME], &secret(77));
    let id = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    let raw = u128::from_str_radix(id.strip_prefix("tw1_").unwrap(), 16).unwrap();
    [NAME.into(), "198.51.100.77".into(), id.clone().into(), raw.to_be_bytes().into()]
}

/// Changes its row again and again: rows that grow leave their earlier versions behind as they move.
fn change(home: &Home) {
    for n in 0..40 {
        let notes = format!("notes={}", "at will ".repeat(n * 7 % 50));
        home.print(&["tokens", "set", NAME, &notes]);
    }
}

/// Returns the files of the state that hold any of these traces.
fn holding(home: &Home, traces: &[Vec<u8>]) -> Vec<String> {
    let files = fs::read_dir(home.path("state")).unwrap().map(|file| file.unwrap());
    let holds = |file: &fs::DirEntry| {
        let bytes = fs::read(file.path()).unwrap();
        traces.iter().any(|trace| memchr::memmem::find(&bytes, trace).is_some())
    };
    let names = files.filter(holds).map(|file| file.file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn what_was_forgotten_beside_a_daemon_stayed_in_unused_parts_of_the_database() {
    let home = Home::new(CONFIG);
    let traces = register(&home);
    let daemon = home.run(&[]);
    change(&home);
    for n in 0..40 {
        home.append("logs/a.log", line(77, n) + &line(n, n));
    }
    wait_until("all is read", || home.committed_lines() == 80);
    home.print(&["tokens", "forget", NAME, "--yes"]);
    wait_until_forgotten(&home);
    assert!(holding(&home, &traces).contains(&"tokenwatch.db".to_owned()), "nothing to compact");
    assert!(daemon.terminate().success());
    // The database is too young for a backup, unless there is an old one.
    let backup = File::create(home.path("state/tokenwatch.db.backup")).unwrap();
    backup.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let daemon = home.run(&[]);
    wait_until("it is made anew", || {
        home.daemon_log().contains("A backup of the database was made.")
    });
    assert_eq!(holding(&home, &traces), [""; 0]);
    home.append("logs/a.log", line(12, 50));
    wait_until("it goes on", || home.committed_lines() == 81);
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 40);
    assert!(daemon.terminate().success());
}

#[test]
fn what_was_forgotten_beside_a_large_database_stayed_in_it_for_good() {
    let home = Home::new(CONFIG);
    let traces = register(&home);
    change(&home);
    let daemon = home.run(&[]);
    home.append("logs/a.log", line(77, 1));
    wait_until("all is read", || home.committed_lines() == 1);
    enlarge(&home.path("state/tokenwatch.db"), 65);
    let forgot = home.output(&["tokens", "forget", NAME, "--yes"]);
    let told = String::from_utf8(forgot.stderr).unwrap();
    assert!(told.contains("beside a daemon, which does so when it next starts"), "{told}");
    wait_until_forgotten(&home);
    assert!(daemon.terminate().success());
    assert_eq!(holding(&home, &traces), ["tokenwatch.db"]);
    let daemon = home.run(&[]);
    wait_until("it is rewritten", || {
        home.daemon_log().contains("The database was rewritten without what was forgotten.")
    });
    assert_eq!(holding(&home, &traces), [""; 0]);
    home.append("logs/a.log", line(12, 50));
    wait_until("it goes on", || home.committed_lines() == 2);
    assert!(daemon.terminate().success());
    let daemon = home.run(&[]);
    wait_until("it starts once more", || home.daemon_log().matches("Started.").count() == 3);
    let n_rewritten = home.daemon_log().matches("was rewritten").count();
    assert_eq!(n_rewritten, 1, "nothing was forgotten since");
    assert!(daemon.terminate().success());
}

#[test]
fn what_was_forgotten_beside_a_replay_stayed_in_unused_parts_of_the_database() {
    let home = Home::new(CONFIG);
    let traces = register(&home);
    change(&home);
    let mut command = home.command(&["replay", "--save", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut replay = command.spawn().unwrap();
    let input = replay.stdin.take().unwrap();
    wait_until("it has the lock", || {
        let holder = fs::read_to_string(home.path("state/tokenwatch.lock")).unwrap_or_default();
        holder.lines().next() == Some(replay.id().to_string().as_str())
    });
    home.print(&["tokens", "forget", NAME, "--yes"]);
    assert!(!holding(&home, &traces).is_empty(), "nothing to compact");
    drop(input);
    let ended = replay.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("The database was rewritten without what was forgotten."), "{told}");
    assert_eq!(holding(&home, &traces), [""; 0]);
}
