//! Old logs are read once, however often they are replayed, and a daemon continues after them.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::program::{Home, wait_until};

const CONFIG: &str = "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\n";

fn lines(from: usize, to: usize) -> String {
    let line = |n: usize| {
        format!(
            "192.0.2.7 - - [12/Mar/2026:08:{:02}:{:02} +0000] \"GET /v1/{n} HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_0123456789abcdef\"\n",
            n / 60,
            n % 60
        )
    };
    (from..to).map(line).collect()
}

/// The lines that were committed, and the requests that were counted.
fn counts(home: &Home) -> (u64, u64) {
    let token = home.json(&["tokens", "list", "--json"]).remove(0);
    (home.committed_lines(), token["requests"].as_u64().unwrap())
}

fn replay(home: &Home) -> String {
    let output = home.output(&["replay", "--save", "logs"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_second_replay_counts_what_is_new_and_a_daemon_goes_on_behind_it() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log.1", lines(0, 300));
    home.append("logs/a.log", lines(300, 400));
    home.append("logs/b.log", lines(0, 50));
    replay(&home);
    assert_eq!(counts(&home), (450, 450));
    let said = replay(&home);
    assert!(said.contains("Nothing new"), "{said}");
    assert_eq!(counts(&home), (450, 450));
    // What was added, be it that the file was rotated and packed meanwhile.
    home.append("logs/a.log", lines(400, 420));
    fs::rename(home.path("logs/a.log.1"), home.path("logs/a.log.2")).unwrap();
    fs::rename(home.path("logs/a.log"), home.path("logs/a.log.1")).unwrap();
    assert!(Command::new("gzip").arg(home.path("logs/a.log.2")).status().unwrap().success());
    home.append("logs/a.log", lines(420, 430));
    assert!(!replay(&home).contains("Nothing new"));
    assert_eq!(counts(&home), (480, 480));
    replay(&home);
    assert_eq!(counts(&home), (480, 480));
    home.append("logs/a.log", lines(430, 440));
    let daemon = home.run(&[]);
    wait_until("the daemon goes on", || home.committed_lines() == 490);
    home.append("logs/a.log", lines(440, 450));
    wait_until("the daemon follows", || home.committed_lines() == 500);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    // What the daemon read, a replay does not read again either.
    replay(&home);
    assert_eq!(counts(&home), (500, 500));
}

#[test]
fn a_last_line_in_the_making_is_left_to_the_daemon() {
    let home = Home::new(CONFIG);
    let (whole, next) = (lines(0, 10), lines(10, 11));
    let (begin, rest) = next.split_at(next.len() - 12);
    home.append("logs/a.log", format!("{whole}{begin}"));
    // Rotated: nobody writes its end any more.
    home.append("logs/a.log.1", lines(20, 21).trim_end());
    replay(&home);
    assert_eq!(counts(&home), (11, 11));
    home.append("logs/a.log", rest);
    let daemon = home.run(&[]);
    wait_until("the daemon goes on", || home.committed_lines() == 12);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(counts(&home), (12, 12));
    assert_eq!(home.json(&["tokens", "list", "--json"]).len(), 1);
}

#[test]
fn a_file_that_was_written_anew_is_read_from_its_start() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", lines(0, 30));
    replay(&home);
    // In place: the same file, other bytes, and more of them.
    fs::write(home.path("logs/a.log"), lines(100, 200)).unwrap();
    replay(&home);
    replay(&home);
    assert_eq!(counts(&home), (130, 130));
    let daemon = home.run(&[]);
    home.append("logs/a.log", lines(200, 210));
    wait_until("the daemon goes on", || home.committed_lines() == 140);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(counts(&home), (140, 140));
}

#[test]
fn what_stood_in_a_log_before_it_was_followed_is_learned_by_a_replay_once() {
    let home = Home::new(&CONFIG.replace("\"start\"", "\"end\""));
    home.append("logs/a.log", lines(0, 100));
    let daemon = home.run(&[]);
    let began = lines(0, 100).len();
    wait_until("the log is followed", || {
        home.path("state/tokenwatch.db").exists()
            && home.json(&["status", "--json"])[0]["streams"][0]["offset"] == began
    });
    assert!(daemon.terminate().success());
    home.append("logs/a.log", lines(100, 120));
    let daemon = home.run(&[]);
    wait_until("the daemon reads what is new", || home.committed_lines() == 20);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    home.append("logs/a.log", lines(120, 130));
    for _ in 0..2 {
        replay(&home);
        assert_eq!(counts(&home), (130, 130));
    }
    home.append("logs/a.log", lines(130, 140));
    let daemon = home.run(&[]);
    wait_until("the daemon goes on", || home.committed_lines() == 140);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(counts(&home), (140, 140));
    let stream = home.json(&["status", "--json"])[0]["streams"].clone();
    assert_eq!(stream.as_array().unwrap().len(), 1, "one file has one position: {stream}");
    assert_eq!(stream[0]["accounted"], true, "{stream}");
    let status = home.json(&["status", "--json"]).remove(0);
    assert_eq!(status["health"], serde_json::json!([]), "{status}");
}

#[test]
fn what_stood_in_a_log_before_it_was_followed_is_learned_of_its_copies_too() {
    let home = Home::new(&CONFIG.replace("\"start\"", "\"end\""));
    home.append("logs/a.log", lines(0, 100));
    let daemon = home.run(&[]);
    wait_until("the log is followed", || home.daemon_log().contains("Started."));
    home.append("logs/a.log", lines(100, 120));
    wait_until("the daemon reads what is new", || home.committed_lines() == 20);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    let rotated = home.path("logs/a.log.1");
    fs::rename(home.path("logs/a.log"), &rotated).unwrap();
    assert!(Command::new("gzip").arg("--keep").arg(&rotated).status().unwrap().success());
    home.append("logs/a.log", lines(120, 125));
    for _ in 0..2 {
        replay(&home);
        assert_eq!(counts(&home), (125, 125));
    }
    fs::remove_file(rotated).unwrap();
    replay(&home);
    assert_eq!(counts(&home), (125, 125));
}

/// Lines with a token each in their URL, which is an alert each if it is registered.
fn exposed(from: usize, to: usize) -> String {
    let line = |n: usize| {
        format!(
            "192.0.2.7 - - [12/Mar/2026:08:00:00 +0000] \"GET /v1/items?access_token={} HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n",
            token(n)
        )
    };
    (from..to).map(line).collect()
}

fn token(n: usize) -> String {
    format!("exk_{n:08}0123456789abcdefgh")
}

#[test]
fn a_replay_that_fails_half_way_prints_the_alerts_that_it_committed() {
    for is_json in [true, false] {
        let home = Home::new(CONFIG);
        let rows: String = (0..18_000).map(|n| format!("{},app-{n}\n", token(n))).collect();
        let csv = format!("token,name\n{rows}");
        assert!(home.output_with(&["tokens", "import", "-"], &csv).status.success());
        let how = if is_json { "--json" } else { "--quiet" };
        let mut command = home.command(&["replay", "--save", how, "-"]);
        let printed = fs::File::create(home.path("printed")).unwrap();
        command.stdin(Stdio::piped()).stdout(printed).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // More alerts than a commit waits for, and fewer than two do.
        input.write_all(exposed(0, 10_500).as_bytes()).unwrap();
        let count = || {
            let database = Connection::open(home.path("state/tokenwatch.db")).ok()?;
            let sql = "SELECT count(*) FROM alert";
            database.query_row(sql, [], |row| row.get::<_, u32>(0)).ok()
        };
        wait_until("alerts are committed", || count() > Some(0));
        // As a disk that fails would have it.
        let database = Connection::open(home.path("state/tokenwatch.db")).unwrap();
        database.execute_batch("DROP TABLE token").unwrap();
        input.write_all(exposed(10_500, 18_000).as_bytes()).ok();
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(70));
        let n_committed = count().unwrap() as usize;
        let n_lines = fs::read_to_string(home.path("printed")).unwrap().lines().count();
        // Of an incident there are two lines.
        let n_told = if is_json { n_lines } else { n_lines / 2 };
        assert_eq!(n_told, n_committed, "{is_json}");
        // Nor are they news for the next digest, as those of a replay that ends well are not.
        let is_skipped = "SELECT max(upto_alert) = (SELECT max(number) FROM alert) FROM outbox";
        assert!(database.query_row(is_skipped, [], |row| row.get::<_, bool>(0)).unwrap());
    }
}

/// A request in each half hour of some days in March.
fn half_hours(range: std::ops::Range<u32>) -> String {
    let line = |n: u32| {
        let (day, hour, minute) = (1 + n / 48, n / 2 % 24, n % 2 * 30);
        format!(
            "192.0.2.7 - - [{day:02}/Mar/2026:{hour:02}:{minute:02}:00 +0000] \"GET /v1 HTTP/1.1\" 200 {n}\n"
        )
    };
    range.map(line).collect()
}

#[test]
fn a_replay_that_reads_nothing_tells_nothing_of_logs_that_ended() {
    let home = Home::new("");
    home.append("logs/a.log", half_hours(0..480));
    home.append("logs/ended.log", half_hours(0..400));
    home.append("logs/packed.log", half_hours(0..470));
    // At its end a packed log says that it is, each time.
    let packed = Command::new("gzip").arg(home.path("logs/packed.log")).status();
    assert!(packed.expect("gzip").success());
    let replay = || home.json(&["replay", "--save", "--json", "logs"]);
    assert_eq!([replay(), replay(), replay()], [const { Vec::<Value>::new() }; 3]);
    // The silence of a log that goes on is told.
    let home = Home::new("");
    home.append("logs/a.log", half_hours(0..480));
    home.append("logs/ended.log", half_hours(0..400) + &half_hours(460..461));
    assert_eq!(home.json(&["replay", "--save", "--json", "logs"]).len(), 1);
}

#[test]
fn a_pipe_that_was_named_had_no_lines() {
    let home = Home::new("");
    let pipe = home.path("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, lines(0, 3_000))
    });
    let said = home.output(&["replay", pipe.to_str().unwrap()]);
    writer.join().unwrap().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("3,000 lines"), "{said}");
}
