//! A log that cannot be read is reported once; a readable one is not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;

use mail_parser::MessageParser;
use serde_json::Value;

use crate::program::{CONFIG, Home, PATIENCE, Random, wait_until};
use crate::smtp::{Encryption, Options, SmtpServer};

/// Stands in every line that cannot be read: none of them may be repeated.
const SECRET: &str = "q8Wz3Lp0Vt6Yc1Nb";

fn config(server: &SmtpServer) -> String {
    format!(
        "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\n[output]\njournal = false\nstdout = true\n\
         [mail]\nserver = \"smtp+insecure://127.0.0.1:{}\"\nfrom = \"tokenwatch@example.org\"\n\
         to = [\"security@example.org\"]\ndigest = \"00:00\"\n",
        server.port()
    )
}

fn server() -> SmtpServer {
    SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() })
}

/// Lines a second apart, of which each Nth is none; `from` is the first one's number.
fn lines(from: usize, to: usize, one_in: usize) -> String {
    let line = |n: usize| match n % one_in {
        0 => format!("no request at all {SECRET}\n"),
        _ => format!(
            "192.0.2.7 - - [12/Mar/2026:{:02}:{:02}:{:02} +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n",
            2 + n / 3600,
            n / 60 % 60,
            n % 60
        ),
    };
    (from..to).map(line).collect()
}

/// Runs the daemon until it has committed so many lines, all mails are sent, and it has ended.
fn run(home: &Home, n_lines: u64, n_mails: usize, server: &SmtpServer) {
    let daemon = home.run_with(&[], |command| {
        let out = File::options().create(true).append(true).open(home.path("out")).unwrap();
        command.stdout(Stdio::from(out));
    });
    wait_until("all lines are committed", || home.committed_lines() == n_lines);
    server.wait_for(n_mails, PATIENCE);
    // A mail that was taken and not yet noted as sent goes out again: once more is allowed, and not meant here.
    wait_until("all mails are noted as sent", || n_waiting(home) == 0);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

fn health(home: &Home) -> Vec<Value> {
    home.json(&["alerts", "list", "--rule", "monitor-health", "--json"])
}

/// What `status` says is wrong, by kind.
fn troubles(home: &Home) -> Vec<String> {
    let status = home.json(&["status", "--json"]).remove(0);
    let kind = |one: &Value| one["kind"].as_str().unwrap().to_owned();
    status["health"].as_array().unwrap().iter().map(kind).collect()
}

/// How many mails wait.
fn n_waiting(home: &Home) -> u64 {
    home.json(&["status", "--json"])[0]["outbox"]["waiting"].as_u64().unwrap()
}

#[test]
fn a_log_with_garbage_is_one_alert_and_one_mail_whatever_the_daemon_goes_through() {
    let server = server();
    let home = Home::new(&config(&server));
    // 4 of 99 lines are too few to tell; with those after the restart they are enough.
    home.append("logs/broken.log", lines(1, 100, 20));
    run(&home, 99, 0, &server);
    assert_eq!(health(&home).len(), 0);
    home.append("logs/broken.log", lines(100, 1000, 20));
    run(&home, 999, 1, &server);
    home.append("logs/broken.log", lines(1000, 3000, 20));
    run(&home, 2999, 1, &server);

    let alerts = health(&home);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    let path = home.path("logs/broken.log").canonicalize().unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(alert["rule"]["level"], "high");
    assert_eq!(alert["principal"], format!("log:{path}"));
    assert_eq!(alert.get("token"), None);
    assert_eq!(alert["@timestamp"], "2026-03-12T02:01:39Z");
    assert_eq!(alert["facts"]["health.rejected_share"], 5.0);
    assert_eq!(alert["facts"]["health.rejected"], 5);
    assert_eq!(alert["facts"]["health.lines"], 100);
    let first = lines(1, 20, 20).len();
    assert_eq!(alert["evidence"][0]["file"], path);
    assert_eq!(alert["evidence"][0]["offset"], first);
    let column = alert["facts"]["health.column"].as_u64().unwrap();
    let expected = alert["facts"]["health.expected"].as_str().unwrap();
    let reason = format!(
        "5 of 100 lines of {path} within 10 min (5.0 %) fit no format, the first at offset {first}, \
         where column {column} should be {expected}"
    );
    assert_eq!(alert["event"]["reason"], reason);

    assert_eq!(server.messages().len(), 1);
    let bytes = &server.messages()[0].bytes;
    let mail = MessageParser::default().parse(bytes).unwrap();
    assert_eq!(mail.subject().unwrap(), "[tokenwatch] HIGH log broken.log: log cannot be read");
    let text = mail.body_text(0).unwrap();
    assert!(text.contains("5 of 100 lines of"), "{text}");
    assert!(text.contains(&format!("{path}:{first}")), "{text}");

    let printed = std::fs::read_to_string(home.path("out")).unwrap();
    let printed: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((printed.len(), &printed[0]["alert"]), (1, &alert["alert"]));
    let shown = home.print(&["alerts", "show", alert["alert"].as_str().unwrap()]);
    assert!(shown.contains("health.expected") && !shown.contains("token "), "{shown}");
    // No line is repeated anywhere, and a log is no principal with a profile.
    let status = home.json(&["status", "--json"]).remove(0);
    assert_eq!((&status["tokens"], &status["principals"]), (&0.into(), &0.into()));
    for text in [shown, home.daemon_log(), text.into_owned(), format!("{alert}")] {
        assert!(!text.contains(&SECRET[..6]), "{text}");
    }
}

#[test]
fn logs_with_few_odd_lines_are_no_alert() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/busy.log", lines(1, 6001, 200));
    let mut quiet = lines(1, 40, 100);
    quiet.push_str(&"\u{fffd} odd\n".repeat(3));
    home.append("logs/quiet.log", quiet);
    run(&home, 6042, 0, &server);
    assert_eq!((health(&home).len(), n_waiting(&home), server.messages().len()), (0, 0, 0));
}

#[test]
fn a_rotated_log_is_the_same_log() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/a.log", lines(1, 1000, 10));
    run(&home, 999, 1, &server);
    std::fs::rename(home.path("logs/a.log"), home.path("logs/a.log.1")).unwrap();
    home.append("logs/a.log.1", lines(1000, 1100, 10));
    home.append("logs/a.log", lines(1100, 2000, 10));
    run(&home, 1999, 1, &server);
    assert_eq!((health(&home).len(), n_waiting(&home), server.messages().len()), (1, 0, 1));
}

#[test]
fn a_muted_alert_is_kept_and_not_mailed() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/a.log", lines(1, 2, 10));
    run(&home, 1, 0, &server);
    home.print(&["alerts", "mute", "--rule", "monitor-health", "--reason", "known"]);
    home.append("logs/a.log", lines(2, 1000, 10));
    run(&home, 999, 0, &server);
    let alerts = health(&home);
    assert_eq!((alerts.len(), &alerts[0]["muted"]), (1, &true.into()));
    assert_eq!((n_waiting(&home), server.messages().len()), (0, 0));
}

#[test]
fn a_replay_tells_what_the_daemon_would_have() {
    let server = server();
    let live = Home::new(&config(&server));
    live.append("logs/a.log", lines(1, 1000, 20));
    run(&live, 999, 1, &server);
    let told = health(&live).remove(0);
    let home = Home::new("");
    home.append("logs/a.log", lines(1, 1000, 20));
    let replayed = home.json(&["replay", "--json", "logs"]);
    assert_eq!(replayed.len(), 1);
    for key in ["@timestamp", "facts", "rule"] {
        assert_eq!(replayed[0][key], told[key], "{key}");
    }
    // Of a file without any time, the clock's is the only one there is.
    home.append("logs/b.log", "no request at all\n".repeat(500));
    let replayed = home.json(&["replay", "--json", "logs/b.log"]);
    assert_eq!(replayed[0]["facts"]["health.lines"], 5);
    assert!(replayed[0]["@timestamp"].as_str().unwrap() > "2026-03-12");
    assert_eq!(home.output(&["replay", "--fail-on", "high", "logs/b.log"]).status.code(), Some(1));
}

#[test]
fn thresholds_are_configuration() {
    let home = Home::new("[detect.health]\nrejected_percent = 0.1\nleast_rejected = 5\n");
    home.append("logs/a.log", lines(1, 6001, 100));
    let replayed = home.json(&["replay", "--json", "logs"]);
    assert_eq!(replayed[0]["facts"]["health.rejected"], 5);
    home.configure("[detect.health]\nrejected_percent = 10\n");
    assert_eq!(home.json(&["replay", "--json", "logs"]).len(), 0);
}

#[test]
fn the_status_shows_the_share_of_rejected_lines_of_each_log() {
    let home = Home::new("");
    home.append("logs/a.log", lines(1, 2001, 20));
    home.append("logs/b.log", lines(1, 2001, 200));
    home.print(&["replay", "--save", "logs"]);
    let status = home.json(&["status", "--json"]).remove(0);
    let streams = status["streams"].as_array().unwrap();
    let of = |name: &str| {
        streams.iter().find(|one| one["path"].as_str().unwrap().ends_with(name)).unwrap()
    };
    assert_eq!(of("a.log")["rejected_share"], 0.05);
    assert_eq!(of("b.log")["rejected_share"], 0.005);
    let latest = &of("a.log")["latest"];
    assert_eq!((&latest["minutes"], &latest["rejected_share"]), (&10.into(), &0.05.into()));
    assert!(latest["lines"].as_u64().unwrap() <= 600, "{latest}");
    let text = home.print(&["status"]);
    assert!(
        text.contains("in 10 min") && text.contains("5.0 %") && text.contains("0.5 %"),
        "{text}"
    );
    let bad: Vec<&str> = text.lines().filter(|line| line.contains("cannot be read")).collect();
    assert!(bad.len() == 1 && bad[0].contains("a.log"), "{text}");
}

#[test]
fn lines_that_cannot_be_read_were_no_problem_to_a_status_that_is_asked_for_a_check() {
    let home = Home::new(CONFIG);
    let check = || home.output(&["status", "--check"]).status.code();
    home.append("logs/a.log", lines(1, 401, 200));
    let daemon = home.run(&[]);
    wait_until("it is read", || home.committed_lines() == 400);
    assert_eq!((troubles(&home), check()), (vec![], Some(0)), "a scanner's lines");
    home.append("logs/a.log", lines(401, 801, 20));
    wait_until("it is read", || home.committed_lines() == 800);
    assert_eq!((troubles(&home), check()), (vec!["rejected".to_owned()], Some(1)));
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn a_configured_geoip_file_that_cannot_be_used_was_silent() {
    let home = Home::new(&format!(
        "{CONFIG}[geoip]\ncity = [\"missing.mmdb\"]\nasn = [\"broken.mmdb\"]\n"
    ));
    home.append("broken.mmdb", "no such data");
    home.append("logs/access.log", lines(1, 4, 9));
    let told = |text: &str| {
        ["missing.mmdb: no such file", "broken.mmdb: no MMDB metadata"].map(|part| {
            let (file, why) = part.split_once(": ").unwrap();
            text.lines().any(|line| line.contains(file) && line.contains(why))
        })
    };
    let replayed = home.output(&["replay", "logs/access.log"]);
    assert_eq!(told(&String::from_utf8_lossy(&replayed.stderr)), [true, true], "{replayed:?}");
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == 3);
    assert_eq!(told(&home.daemon_log()), [true, true], "{}", home.daemon_log());
    assert_eq!(troubles(&home), ["geoip", "geoip"]);
    assert_eq!(told(&home.print(&["status"])), [true, true]);
    assert_eq!(home.output(&["status", "--check"]).status.code(), Some(1));
    assert!(daemon.terminate().success());
}

#[test]
fn bytes_that_are_gone_are_one_alert_whenever_the_daemon_is_killed() {
    let server = server();
    let home = Home::new(&config(&server));
    let log = home.path("logs/a.log");
    home.append("logs/a.log", lines(1, 10, 100) + "192.0.2.7 - - [12/Mar");
    run(&home, 9, 0, &server);
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    home.append("logs/a.log", lines(10, 12, 100));
    let mut random = Random(7);
    for _ in 0..12 {
        let daemon = home.run(&[]);
        std::thread::sleep(std::time::Duration::from_millis(random.below(60)));
        daemon.kill();
    }
    run(&home, 11, 1, &server);
    // The file goes with the end of its last line unread.
    home.append("logs/a.log", lines(12, 13, 100) + "192.0.2.7 - -");
    run(&home, 12, 1, &server);
    let path = log.canonicalize().unwrap();
    std::fs::remove_file(&log).unwrap();
    for _ in 0..3 {
        let daemon = home.run(&[]);
        wait_until("both are told", || {
            home.path("state/tokenwatch.db").exists() && health(&home).len() == 2
        });
        daemon.kill();
    }
    assert_eq!(troubles(&home), ["gap"]);
    assert!(home.print(&["status"]).contains("a.log: 34 B were lost before they could be read"));
    let told = health(&home);
    assert_eq!(told.len(), 2, "{told:?}");
    let of = |cause: &str| {
        told.iter().find(|alert| alert["facts"]["health.gap_cause"] == cause).unwrap().clone()
    };
    let (truncated, removed) = (of("truncated"), of("removed"));
    assert_eq!(
        (&truncated["facts"]["health.gap_bytes"], &removed["facts"]["health.gap_bytes"]),
        (&21.into(), &13.into())
    );
    let n_read = lines(1, 10, 100).len();
    let reason = format!(
        "21 bytes of {} were never read: the file was truncated before they could be; it was read up to offset {n_read}",
        path.display()
    );
    assert_eq!(truncated["event"]["reason"], reason);
    assert_eq!(truncated["evidence"][0]["offset"], n_read);
    assert_eq!(truncated["rule"]["level"], "high");
    // Killed before a mail was noted as sent, the daemon sends it again.
    let messages = server.messages();
    let parsed = messages.iter().map(|one| MessageParser::default().parse(&one.bytes).unwrap());
    let ids: BTreeSet<String> = parsed.map(|mail| mail.message_id().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1, "one incident within the hour");
}

#[test]
fn what_stood_in_a_file_before_it_was_truncated_is_not_behind_what_stands_there_now() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    home.append("logs/a.log", lines(1, 10, 100));
    wait_until("the first life is read", || home.committed_lines() == 9);
    fs::copy(home.path("logs/a.log"), home.path("logs/a.log.1")).unwrap();
    File::options().write(true).open(home.path("logs/a.log")).unwrap().set_len(0).unwrap();
    home.append("logs/a.log", lines(10, 40, 100));
    wait_until("the second life is read", || home.committed_lines() == 39);
    let is_behind = |stream: &&Value| stream["offset"] != stream["size"];
    let behind = || {
        let status = home.json(&["status", "--json"]).remove(0);
        let streams = status["streams"].as_array().unwrap().clone();
        assert!(streams.len() >= 2, "{status}");
        streams.iter().filter(is_behind).count()
    };
    assert_eq!(behind(), 0);
    assert!(daemon.terminate().success());
    assert_eq!(behind(), 0);
    // What is written to the present life while nobody reads is behind.
    home.append("logs/a.log", lines(40, 41, 100));
    assert_eq!(behind(), 1);
    // Once no file is left, the log is gone, whatever became of its first life.
    let is_gone = || home.print(&["status"]).contains("/a.log  gone  ");
    assert!(!is_gone());
    fs::remove_file(home.path("logs/a.log")).unwrap();
    fs::remove_file(home.path("logs/a.log.1")).unwrap();
    assert!(is_gone(), "{}", home.print(&["status"]));
}

#[test]
fn a_log_is_one_row_of_the_status_however_often_it_was_rotated() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    home.append("logs/other.log", lines(1, 6, 100));
    for n in 1..4 {
        home.append("logs/a.log", lines(10 * n, 10 * n + 9, 100));
        wait_until("it is read", || home.committed_lines() == 9 * n as u64 + 5);
        fs::rename(home.path("logs/a.log"), home.path(format!("logs/a.log.{n}"))).unwrap();
    }
    home.append("logs/a.log", lines(40, 42, 100));
    wait_until("it is read", || home.committed_lines() == 34);
    let rows = |name: &str| {
        let text = home.print(&["status"]);
        let rows = text.lines().filter(|line| line.contains(&format!("{name} ")));
        rows.map(|row| row.split_whitespace().map(str::to_owned).collect()).collect::<Vec<Vec<_>>>()
    };
    let size = lines(40, 42, 100).len().to_string();
    let row = rows("/a.log").remove(0);
    assert_eq!(row[1..6], [&size, "B", "100.0", "%", "29"], "{row:?}");
    assert_eq!([rows("/a.log").len(), rows("/other.log").len()], [1, 1]);
    // Each file is an object still, and says which is there.
    let present = || {
        let status = home.json(&["status", "--json"]).remove(0);
        let streams = status["streams"].as_array().unwrap();
        let there = |one: &&Value| {
            one["present"] == true && one["path"].as_str().unwrap().ends_with("/a.log")
        };
        (streams.len(), streams.iter().filter(there).count())
    };
    assert_eq!(present(), (5, 1));
    assert!(daemon.terminate().success());
    fs::remove_file(home.path("logs/other.log")).unwrap();
    assert_eq!((&rows("/other.log")[0][1], &rows("/a.log")[0][1]), (&"gone".to_owned(), &size));
    // What nobody has read yet counts.
    home.append("logs/a.log", lines(42, 43, 100));
    assert_eq!(rows("/a.log")[0][3], "66.6");
}

/// A line at the begin of each half hour since a day in March.
fn half_hours(from: usize, to: usize) -> String {
    let line = |n: usize| {
        let (day, hour, minute) = (1 + n / 48, n / 2 % 24, n % 2 * 30);
        format!(
            "192.0.2.7 - - [{day:02}/Mar/2026:{hour:02}:{minute:02}:00 +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n"
        )
    };
    (from..to).map(line).collect()
}

#[test]
fn a_log_that_falls_silent_is_told_once_whatever_the_daemon_goes_through() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/other.log", half_hours(0, 400));
    home.append("logs/silent.log", half_hours(0, 400));
    run(&home, 800, 0, &server);
    // Two hours, and not yet a line behind them.
    home.append("logs/other.log", half_hours(400, 404));
    run(&home, 804, 0, &server);
    assert_eq!(health(&home).len(), 0);
    home.append("logs/other.log", half_hours(404, 405));
    let daemon = home.run(&[]);
    wait_until("it is told", || health(&home).len() == 1);
    daemon.kill();
    home.append("logs/other.log", half_hours(405, 480));
    run(&home, 880, 1, &server);
    let told = health(&home);
    assert_eq!(told.len(), 1, "{told:?}");
    let path = home.path("logs/silent.log").canonicalize().unwrap();
    assert_eq!(told[0]["principal"], format!("log:{}", path.display()));
    assert_eq!(told[0]["@timestamp"], "2026-03-09T10:00:00Z");
    assert_eq!(told[0]["facts"]["health.silent_hours"], 2);
    let reason = format!(
        "no line of {} since 2026-03-09T08:00:00Z, for 2 h in which other logs had some; in the week \
         before it had lines in 168 of 168 such hours",
        path.display()
    );
    assert_eq!(told[0]["event"]["reason"], reason);
    assert_eq!(troubles(&home), ["silent"]);

    // A replay cannot know that a log was to have more lines, until it has some; then it tells the same.
    assert_eq!(home.json(&["replay", "--json", "logs"]).len(), 0);
    home.append("logs/silent.log", half_hours(460, 480));
    let replayed = home.json(&["replay", "--json", "logs"]);
    assert_eq!(replayed.len(), 1, "{replayed:?}");
    for key in ["@timestamp", "facts", "rule"] {
        assert_eq!(replayed[0][key], told[0][key], "{key}");
    }
}

#[test]
fn a_log_that_ended_with_its_month_was_called_silent() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/other.log", half_hours(0, 400));
    home.append("logs/month-03.log", half_hours(0, 400));
    run(&home, 800, 0, &server);
    home.append("logs/other.log", half_hours(400, 480));
    home.append("logs/month-04.log", half_hours(400, 480));
    run(&home, 960, 0, &server);
    assert_eq!(health(&home).len(), 0);
    assert_eq!(troubles(&home), [""; 0]);
}

#[test]
fn a_log_of_a_past_replay_is_not_called_silent() {
    let home = Home::new("");
    home.append("logs/other.log", half_hours(0, 480));
    home.append("logs/silent.log", half_hours(0, 400));
    home.print(&["replay", "--save", "logs"]);
    assert_eq!(troubles(&home), [""; 0]);
    // Followed from then on, it is.
    home.configure("[[source]]\npaths = [\"logs/*.log\"]\n");
    let daemon = home.run(&[]);
    wait_until("it is told", || health(&home).len() == 1);
    assert_eq!(troubles(&home), ["silent"]);
    assert!(daemon.terminate().success());
}

#[test]
fn the_silence_of_a_log_that_nobody_follows_is_no_news() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/other.log", half_hours(0, 400));
    home.append("logs/silent.log", half_hours(0, 400));
    run(&home, 800, 0, &server);
    home.configure(&config(&server).replace("*.log", "other.log"));
    home.append("logs/other.log", half_hours(400, 480));
    run(&home, 880, 0, &server);
    assert_eq!(health(&home).len(), 0);
}

#[test]
fn a_proxy_that_is_not_declared_is_told_once_over_a_restart_and_a_kill() {
    let server = server();
    let home = Home::new(&config(&server));
    let line = |n: usize| {
        format!(
            "192.0.2.1 - - [12/Mar/2026:02:{:02}:{:02} +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_{:02}a5d0c81e7b93f24\"\n",
            n / 60 % 60,
            n % 60,
            n % 12
        )
    };
    let lines = |from: usize, to: usize| (from..to).map(line).collect::<String>();
    home.append("logs/a.log", lines(0, 990));
    run(&home, 990, 0, &server);
    home.append("logs/a.log", lines(990, 1000));
    let daemon = home.run(&[]);
    wait_until("it is told", || health(&home).len() == 1);
    daemon.kill();
    home.append("logs/a.log", lines(1000, 3000));
    run(&home, 3000, 1, &server);
    let told = health(&home);
    assert_eq!((told.len(), &told[0]["facts"]["health.proxy_address"]), (1, &"192.0.2.1".into()));
    assert_eq!(told[0]["@timestamp"], "2026-03-12T02:16:39Z");
    let reason = told[0]["event"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("12 of 12 principals of "), "{reason}");
    assert!(reason.contains("trusted_proxies = [\"192.0.2.1\"]"), "{reason}");
    assert_eq!(told[0]["evidence"][0]["offset"], line(0).len() * 999);
    assert_eq!(troubles(&home), ["proxy"]);
}

#[test]
fn a_clock_that_is_ahead_is_told_once_and_shown_by_the_status() {
    let server = server();
    let home = Home::new(&config(&server));
    home.append("logs/a.log", lines(1, 10, 100).replace("/2026:", "/2096:"));
    run(&home, 9, 1, &server);
    assert_eq!(troubles(&home), ["bad_time"]);
    // Restarted, and with more of the same, it is told no more.
    home.append("logs/a.log", lines(10, 20, 100).replace("/2026:", "/2096:"));
    run(&home, 19, 1, &server);
    let told = health(&home);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["facts"]["health.skew_seconds"].as_u64() > Some(120), "{told:?}");
}

#[test]
fn a_clock_that_was_set_right_was_still_shown_as_ahead() {
    let server = server();
    let home = Home::new(&config(&server));
    let line = |hours: i64| {
        let time = chrono::Utc::now() + chrono::TimeDelta::hours(hours);
        format!("time={} method=GET path=/v1 status=200\n", time.format("%FT%T"))
    };
    home.append("logs/a.log", line(2));
    run(&home, 1, 1, &server);
    assert_eq!(troubles(&home), ["skew"]);
    let reason = health(&home)[0]["event"]["reason"].to_string();
    assert!(reason.contains("a clock 2 h ahead, set time_zone"), "{reason}");
    home.append("logs/a.log", line(0));
    run(&home, 2, 1, &server);
    assert_eq!(troubles(&home), [""; 0]);
}
