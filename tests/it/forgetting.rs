//! Forgetting beside a daemon: what its memory, unused parts of the files and the backup still held.

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
