//! Forgetting beside a daemon: what its memory, unused parts of the files and the backup still held.

use std::fs::{self, File};
use std::time::SystemTime;

use rusqlite::Connection;

use crate::program::{CONFIG, Home, wait_until};

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

#[test]
fn what_was_forgotten_beside_a_daemon_stayed_in_unused_parts_of_the_database() {
    const NAME: &str = "the-bot-of-ann";
    let home = Home::new(CONFIG);
    let added = home.output_with(&["tokens", "add", NAME], &secret(77));
    let id = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    let raw: u128 = u128::from_str_radix(id.strip_prefix("tw1_").unwrap(), 16).unwrap();
    let traces = [NAME.as_bytes(), b"198.51.100.77", id.as_bytes(), &raw.to_be_bytes()];
    let holding = || {
        let files = fs::read_dir(home.path("state")).unwrap().map(|file| file.unwrap());
        let holds = |file: &fs::DirEntry| {
            let bytes = fs::read(file.path()).unwrap();
            traces.iter().any(|trace| bytes.windows(trace.len()).any(|part| part == *trace))
        };
        let names = files.filter(holds).map(|file| file.file_name().into_string().unwrap());
        names.collect::<Vec<String>>()
    };
    let daemon = home.run(&[]);
    // Rows that grow leave their earlier versions behind as they move.
    for n in 0..40 {
        let notes = format!("notes={}", "at will ".repeat(usize::from(n) * 7 % 50));
        home.print(&["tokens", "set", NAME, &notes]);
        home.append("logs/a.log", line(77, n) + &line(n, n));
    }
    wait_until("all is read", || home.committed_lines() == 80);
    home.print(&["tokens", "forget", NAME, "--yes"]);
    wait_until_forgotten(&home);
    assert!(holding().contains(&"tokenwatch.db".to_owned()), "nothing to compact");
    assert!(daemon.terminate().success());
    // The database is too young for a backup, unless there is an old one.
    let backup = File::create(home.path("state/tokenwatch.db.backup")).unwrap();
    backup.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let daemon = home.run(&[]);
    wait_until("it is made anew", || {
        home.daemon_log().contains("A backup of the database was made.")
    });
    assert_eq!(holding(), [""; 0]);
    home.append("logs/a.log", line(12, 50));
    wait_until("it goes on", || home.committed_lines() == 81);
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 40);
    assert!(daemon.terminate().success());
}
