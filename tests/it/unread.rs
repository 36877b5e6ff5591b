//! Output that nobody reads.

use std::io::Read as _;

use serde_json::Value;

use crate::program::{CONFIG, Home, wait_until};

/// More than a pipe and the queue before it hold.
const N_ALERTS: u32 = 2500;

fn token(n: u32) -> String {
    format!("exk_{n:08}0123456789abcdefgh")
}

/// A request of a registered token, which stands in the URL: an alert.
fn leak(n: u32) -> String {
    format!(
        "198.18.{}.{} - - [02/Mar/2026:08:00:{:02} +0000] \"GET /v1/feed?access_token={} HTTP/1.1\" 200 612 \
         \"-\" \"curl/8.5.0\"\n",
        n / 256,
        n % 256,
        n * 60 / N_ALERTS,
        token(n),
    )
}

#[test]
fn whoever_did_not_read_standard_output_kept_the_daemon_from_its_logs() {
    let home = Home::new(CONFIG);
    let rows: String = (0..N_ALERTS).map(|n| format!("{},app-{n}\n", token(n))).collect();
    let csv = format!("token,name\n{rows}");
    assert!(home.output_with(&["tokens", "import", "-"], &csv).status.success());
    home.append("logs/a.log", (0..N_ALERTS).map(leak).collect::<String>());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let daemon = home.run_with(&["--json"], |command| {
        command.stdout(writer);
    });
    wait_until("all lines are committed", || home.committed_lines() == u64::from(N_ALERTS));
    wait_until("it is told", || home.daemon_log().contains("Nobody reads standard output"));
    assert!(daemon.end_as_promised().success(), "{}", home.daemon_log());
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    // The last one may be cut.
    let whole = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let alerts: Vec<Value> = whole.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!alerts.is_empty() && alerts.len() < N_ALERTS as usize, "{}", alerts.len());
    assert!(alerts.iter().all(|alert| alert["rule"]["name"] == "token-in-url"));
    // Nothing of it is lost.
    let told = home.json(&["alerts", "list", "--json", "-n", "10000"]);
    assert_eq!(told.len(), N_ALERTS as usize);
}

#[test]
fn a_condition_was_not_told_to_who_closed_standard_error() {
    let home = Home::new("");
    let csv = format!("token,name\n{},ci\n{},sue\n{},sue\n", token(0), token(1), token(2));
    assert!(home.output_with(&["tokens", "import", "-"], &csv).status.success());
    // More lines than `explain` shows.
    home.append("logs/a.log", leak(0).repeat(21));
    let commands: [(&[&str], i32); 4] = [
        (&["replay", "--fail-on", "low", "logs/a.log"], 1),
        (&["tokens", "revoke", "sue"], 2),
        (&["parse", "logs/a.log", "logs/none.log"], 70),
        (&["explain", "logs/a.log", "logs/none.log"], 70),
    ];
    for (arguments, code) in commands {
        assert_eq!(home.output(arguments).status.code(), Some(code), "{arguments:?}");
        let (reader, closed) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = home.command(arguments).stderr(closed).output().expect("start");
        assert_eq!(output.status.code(), Some(code), "{arguments:?} without standard error");
    }
}
