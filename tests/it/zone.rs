//! Times without a zone, from a clock with daylight saving time.

use serde_json::Value;
use tokenwatch::engine::time::{DAY, HOUR, MINUTE, Timestamp};

use crate::program::{Home, wait_until};

const CONFIG: &str =
    "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\ntime_zone = \"Europe/Berlin\"\n";

/// One request at each of these times of the day.
fn lines(day: &str, times: &[&str]) -> String {
    let line = |time: &&str| {
        format!(
            "{{\"time\":\"{day} {time}\",\"remote_addr\":\"192.0.2.7\",\"request\":\"GET /v1 HTTP/1.1\",\"status\":200,\
             \"http_authorization\":\"Bearer exk_0123456789abcdef0123456789abcdef\"}}\n"
        )
    };
    times.iter().map(line).collect()
}

/// The requests of each hour in UTC.
fn hours(home: &Home) -> Vec<(String, u64)> {
    let token = home.json(&["tokens", "list", "--json"]).remove(0);
    let id = token["token"]["id"].as_str().unwrap().to_owned();
    let history = home.json(&["history", &id, "--json"]).remove(0);
    let hour = |row: &Value| {
        let hour = row["hour"].as_str().unwrap()[5..16].to_owned();
        (hour, row["requests"].as_u64().unwrap())
    };
    history["hours"].as_array().unwrap().iter().map(hour).collect()
}

fn expected(hours: &[(&str, u64)]) -> Vec<(String, u64)> {
    hours.iter().map(|(hour, requests)| ((*hour).to_owned(), *requests)).collect()
}

/// The clock is set back at 03:00: what came before it, and what came behind.
const BEFORE: [&str; 4] = ["01:59:00", "02:10:00", "02:40:00", "02:59:58"];
const BEHIND: [&str; 5] = ["02:00:01", "02:19:00", "02:25:00", "02:59:00", "03:00:00"];
const HOURS: [(&str, u64); 4] =
    [("10-24T23:00", 1), ("10-25T00:00", 3), ("10-25T01:00", 4), ("10-25T02:00", 1)];

#[test]
fn a_replay_tells_the_two_passes_of_the_doubled_hour_apart() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", lines("2026-10-25", &BEFORE));
    home.append("logs/a.log", lines("2026-10-25", &BEHIND));
    // A second log, so that both are merged by time.
    home.append("logs/b.log", lines("2026-10-25", &["02:30:00", "02:30:00"]));
    home.print(&["replay", "--save", "logs"]);
    let [before, first, second, behind] = HOURS;
    assert_eq!(hours(&home), expected(&[before, (first.0, 5), second, behind]));
    assert_eq!(home.json(&["alerts", "list", "--json"]), Vec::<Value>::new());
    // One line by itself has what stands above it, too.
    let parsed = home.json(&["parse", "--line", "7", "logs/a.log"]);
    assert_eq!(parsed[0]["@timestamp"], "2026-10-25T01:25:00Z");
}

#[test]
fn a_restart_and_a_rotation_in_the_doubled_hour_do_not_begin_it_again() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", lines("2026-10-25", &BEFORE));
    home.append("logs/a.log", lines("2026-10-25", &BEHIND[..2]));
    let daemon = home.run(&[]);
    wait_until("the first lines are committed", || home.committed_lines() == 6);
    daemon.kill();
    home.append("logs/a.log", lines("2026-10-25", &BEHIND[2..3]));
    let daemon = home.run(&[]);
    wait_until("the line behind the restart is committed", || home.committed_lines() == 7);
    std::fs::rename(home.path("logs/a.log"), home.path("logs/a.log.1")).unwrap();
    home.append("logs/a.log", lines("2026-10-25", &BEHIND[3..]));
    wait_until("all lines are committed", || home.committed_lines() == 9);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(hours(&home), expected(&HOURS));
    assert_eq!(home.json(&["alerts", "list", "--json"]), Vec::<Value>::new());
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

/// The times of a log that says something every 40 minutes, as its clock shows them: for four weeks, then over the
/// night in which the clock is set back at 01:00 UTC, and a day more. It shows 02:10, 02:50, 02:30.
fn quiet() -> String {
    let (start, turn) = (at("2026-09-28T00:10:00Z"), at("2026-10-25T01:00:00Z"));
    let end = turn.plus(DAY);
    let times = (0..).map(|n| start.plus(n * 40 * MINUTE)).take_while(|time| time.0 < end.0);
    let shown = |time: Timestamp| {
        let shown = time.plus(if time.0 < turn.0 { 2 * HOUR } else { HOUR }).to_rfc3339(0);
        lines(&shown[..10], &[&shown[11..19]])
    };
    times.map(shown).collect()
}

#[test]
fn a_quiet_log_goes_through_the_doubled_hour_without_a_jump() {
    let home = Home::new(CONFIG);
    home.append("logs/a.log", quiet());
    let night = quiet();
    let around: Vec<&str> = night.lines().filter(|line| line.contains("10-25 02:")).collect();
    assert!(around.len() == 3, "{around:?}");
    home.print(&["replay", "--save", "logs"]);
    let times: Vec<i64> = home
        .json(&["parse", "logs/a.log"])
        .iter()
        .map(|line| at(line["@timestamp"].as_str().unwrap()).0)
        .collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 40 * MINUTE), "{around:?}");
    assert_eq!(home.json(&["alerts", "list", "--json"]), Vec::<Value>::new());
}

#[test]
fn the_hour_that_does_not_exist_is_of_the_clock_before_it() {
    let home = Home::new(CONFIG);
    home.append(
        "logs/a.log",
        lines("2026-03-29", &["01:59:00", "02:10:00", "03:20:00", "04:00:00"]),
    );
    home.print(&["replay", "--save", "logs"]);
    assert_eq!(
        hours(&home),
        expected(&[("03-29T00:00", 1), ("03-29T01:00", 2), ("03-29T02:00", 1)])
    );
}

#[test]
fn a_zone_that_is_none_is_told_with_the_nearest_name() {
    let home = Home::new(&CONFIG.replace("Berlin", "Berlyn"));
    let output = home.output(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    let text =
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("tokenwatch.toml:5:13"), "{text}");
    assert!(text.contains("did you mean \"Europe/Berlin\"?"), "{text}");
}

#[test]
fn old_logs_elsewhere_were_replayed_without_their_sources_settings_and_nobody_was_told() {
    let config = CONFIG.replace("\ntime_zone", "\ntrusted_proxies = [\"192.0.2.7\"]\ntime_zone");
    let home = Home::new(&config);
    let line = lines("2026-07-15", &["12:00:00"])
        .replace("\"request\"", "\"http_x_forwarded_for\":\"203.0.113.9\",\"request\"");
    std::fs::create_dir(home.path("old")).unwrap();
    home.append("old/a.log", &line);
    let seen = |args: &[&str], input: &str| {
        let output = home.output_with(&[&["parse"], args].concat(), input);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (said["@timestamp"].to_string(), said["source"]["ip"].to_string())
    };
    let (utc, berlin) = ("\"2026-07-15T12:00:00Z\"", "\"2026-07-15T10:00:00Z\"");
    let is = |time: &str, client: &str| (time.to_owned(), format!("\"{client}\""));
    let like = home.path("logs/a.log");
    let like = ["--as", like.to_str().unwrap()];
    assert_eq!(seen(&["old/a.log"], ""), is(utc, "192.0.2.7"));
    assert_eq!(seen(&[&like[..], &["old/a.log"]].concat(), ""), is(berlin, "203.0.113.9"));
    assert_eq!(seen(&[&like[..], &["-"]].concat(), &line), is(berlin, "203.0.113.9"));

    let replayed = |args: &[&str]| {
        // Who reads no standard input may have ended before it is written.
        let input = if args.contains(&"-") { &line } else { "" };
        let output = home.output_with(&[&["replay"], args].concat(), input);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for path in ["old/a.log", "-"] {
        let (code, said) = replayed(&[path]);
        let told = said.lines().filter(|line| line.starts_with("no [[source]] names ")).count();
        assert_eq!((code, told), (Some(0), 1), "{said}");
        assert!(said.contains("--as LOG"), "{said}");
        let (code, said) = replayed(&[&like[..], &[path]].concat());
        assert_eq!((code, said.contains("[[source]]")), (Some(0), false), "{said}");
    }
    // Nor is it told of what a source names, or where a format says how.
    home.append("logs/a.log", &line);
    for args in [&["logs/a.log"][..], &["--format", "json", "old"]] {
        assert!(!replayed(args).1.contains("[[source]]"), "{args:?}");
    }
    let (code, said) = replayed(&["--as", "/var/log/other.log", "old"]);
    assert_eq!((code, said.contains("no [[source]] names this log")), (Some(2), true), "{said}");
}
