//! The systemd journal as a source: real journal files, read by the real journalctl.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lines::{named_command, paste};
use crate::program::{Home, wait_until};

/// Writes journal files from the export format (Debian: systemd-journal-remote).
const WRITER: &str = "/lib/systemd/systemd-journal-remote";

const CONFIG: &str = r#"
[[source]]
journal = "nginx"
journal_directory = "journal"
read_from = "start"
[output]
journal = false
"#;

/// Tells whether the programs are there; a machine without systemd has neither.
/// Says so if not, also where the test's output is captured since it passes; `.ci/run` installs both.
fn has_journal() -> bool {
    let is_there =
        Path::new(WRITER).exists() && Command::new("journalctl").arg("--version").output().is_ok();
    if !is_there {
        let why = format!("journalctl and {WRITER} are not both here");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}, and .ci/run installs them");
        writeln!(std::io::stderr(), "NOT RUN: {why}").expect("standard error");
    }
    is_there
}

/// One message in the export format (systemd.io, "Journal Export Formats").
fn message(number: u64, unit: &str, line: &str) -> String {
    let time = 1_772_438_400_000_000 + number * 1_000_000;
    let boot = "b".repeat(32);
    format!(
        "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID={boot}\n\
         _SYSTEMD_UNIT={unit}\nMESSAGE={line}\n\n"
    )
}

fn request(number: u64) -> String {
    let time = chrono::DateTime::from_timestamp(1_772_438_400 + number.cast_signed(), 0).unwrap();
    let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
    format!(
        "192.0.2.7 - - [{time}] \"GET /v1/items?api_key=exk_0123456789abcdef HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\""
    )
}

/// The requests of these numbers, and one of another unit between them.
fn messages(numbers: std::ops::Range<u64>) -> String {
    let mut export = String::new();
    for number in numbers {
        export += &message(number, "nginx.service", &request(number));
        write!(export, "{}", message(number, "other.service", &request(number))).unwrap();
    }
    export
}

/// Adds a journal file with the requests of these numbers.
fn write(home: &Home, file: &str, numbers: std::ops::Range<u64>) {
    write_messages(home, file, &messages(numbers));
}

fn write_messages(home: &Home, file: &str, export: &str) {
    fs::create_dir_all(home.path("journal")).unwrap();
    fs::write(home.path("export"), export).unwrap();
    let output = Command::new(WRITER)
        .arg("-o")
        .arg(home.path(format!("journal/{file}.journal")))
        .arg(home.path("export"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_units_messages_are_read_once_across_a_kill() {
    if !has_journal() {
        return;
    }
    let home = Home::new(CONFIG);
    write(&home, "one", 0..5);
    let daemon = home.run(&[]);
    wait_until("the first messages are committed", || home.committed_lines() >= 5);
    daemon.kill();
    write(&home, "two", 5..9);
    let daemon = home.run(&[]);
    wait_until("the others are committed", || home.committed_lines() >= 9);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(home.committed_lines(), 9, "{}", home.daemon_log());
    let tokens = home.json(&["tokens", "list", "--json"]);
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0]["requests"], 9);
    let status = home.json(&["status", "--json"]);
    let stream = &status[0]["streams"][0];
    assert_eq!(stream["rejected"], 0);
    assert!(stream["path"].as_str().unwrap().ends_with("journal/nginx.service"), "{stream}");
}

#[test]
fn check_says_what_the_journal_looks_like() {
    if !has_journal() {
        return;
    }
    let home = Home::new(CONFIG);
    write(&home, "one", 0..5);
    let said = home.print(&["check"]);
    assert!(said.contains("journal/nginx"), "{said}");
    assert!(
        said.contains("looks like nginx-combined (100 %); 5 of the first 5 lines fit"),
        "{said}"
    );
}

#[test]
fn a_message_that_check_names_can_be_looked_at() {
    if !has_journal() {
        return;
    }
    let home = Home::new(CONFIG);
    let odd = message(7, "nginx.service", "no request at all");
    write_messages(&home, "one", &(messages(0..5) + &odd + &messages(8..12)));
    let found = home.json(&["check", "--json"]);
    let hint = found.iter().find_map(|one| one["hint"].as_str()).unwrap();
    assert!(hint.contains("--cursor"), "{hint}");
    let output = paste(&home, named_command(hint));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{hint}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("no request at all"), "{text}");
    assert_eq!(text.matches(", line ").count(), 1, "{text}");

    let path = format!("journal:{}/nginx", home.path("journal").display());
    assert_eq!(home.json(&["parse", &path]).len(), 10);
    let gone = home.output(&["explain", &path, "--cursor", "s=1;i=1"]);
    assert_eq!(gone.status.code(), Some(70));
}

/// A request at the begin of each half hour of these.
fn half_hours(numbers: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    numbers.map(|number| request(number * 1800).replace("api_key", "page"))
}

#[test]
fn a_unit_that_falls_silent_is_told_once_and_one_that_speaks_on_is_not() {
    if !has_journal() {
        return;
    }
    let files = "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\n";
    let other = CONFIG.replace("\"nginx\"", "\"other\"").replace("[output]\njournal = false\n", "");
    let home = Home::new(&format!("{files}{other}{CONFIG}"));
    let said = |unit: &str, to: u64| -> String {
        half_hours(0..to).zip(0..).map(|(line, n)| message(n * 1800, unit, &line)).collect()
    };
    write_messages(&home, "one", &said("nginx.service", 400));
    write_messages(&home, "two", &said("other.service", 480));
    home.append("logs/a.log", half_hours(0..480).map(|line| line + "\n").collect::<String>());
    let daemon = home.run(&[]);
    wait_until("all is committed", || home.committed_lines() == 1360);
    // A unit is known to be silent only after half a minute, and asked for with the next hour; the other one misses no
    // more than that hour.
    let committed = Instant::now();
    wait_until("both have said nothing for long", || committed.elapsed() > Duration::from_secs(35));
    home.append("logs/a.log", half_hours(480..481).map(|line| line + "\n").collect::<String>());
    let told = || home.json(&["alerts", "list", "--rule", "monitor-health", "--json"]);
    wait_until("it is told", || !told().is_empty());
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    let principal = told[0]["principal"].as_str().unwrap();
    assert!(
        principal.starts_with("log:journal:") && principal.ends_with("/nginx.service"),
        "{principal}"
    );
    assert_eq!(told[0]["facts"]["health.silent_hours"], 2);
    let status = home.json(&["status", "--json"]).remove(0);
    assert_eq!(status["health"][0]["kind"], "silent", "{status}");
}
