//! The monitor's own problems, by the clock, with the real daemon: logs that are read too late, old GeoIP data, mails
//! that cannot be sent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::program::{Home, PATIENCE, wait_until};
use crate::sample::MmdbWriter;
use crate::smtp::{Encryption, Options, SmtpServer};

const LOGS: &str = "[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\n";

fn line(n: usize) -> String {
    format!(
        "192.0.2.7 - - [12/Mar/2026:08:00:{n:02} +0000] \"GET /v1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n"
    )
}

/// What was told, by the facts' name.
fn told(home: &Home, fact: &str) -> Vec<Value> {
    let mut told = home.json(&["alerts", "list", "--rule", "monitor-health", "--json"]);
    told.retain(|alert| alert["facts"].get(fact).is_some());
    told
}

/// What `status` says is wrong, by kind.
fn troubles(home: &Home) -> Vec<String> {
    let status = home.json(&["status", "--json"]).remove(0);
    let kind = |one: &Value| one["kind"].as_str().unwrap().to_owned();
    status["health"].as_array().unwrap().iter().map(kind).collect()
}

/// Tells whether the daemon has taken note that nothing is too far off any more.
fn is_over(home: &Home) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(home.path("state/tokenwatch.db"), flags).unwrap();
    let sql = "SELECT body FROM house WHERE name = 'logs'";
    let roll: Vec<u8> = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let roll: Value = serde_json::from_slice(&roll).unwrap();
    let spells = roll["strains"].as_object().unwrap();
    !spells.is_empty() && spells.values().all(|spell| spell["is_open"] == false)
}

#[test]
fn a_log_that_is_not_read_is_told_and_shown_until_it_is() {
    let home = Home::new(&format!("{LOGS}[detect.health]\nlag_seconds = 1\n"));
    let allow = |mode| {
        fs::set_permissions(home.path("logs/a.log"), fs::Permissions::from_mode(mode)).unwrap();
    };
    home.append("logs/a.log", line(1) + "no end");
    let daemon = home.run(&[]);
    wait_until("the first line is committed", || home.committed_lines() == 1);
    assert!(daemon.terminate().success());
    home.append("logs/a.log", "\n".to_owned() + &line(2));
    allow(0o000);
    // The superuser may read all: the daemon is nobody then.
    let is_root = rustix::process::geteuid().is_root();
    let give = |path: &str| {
        if is_root {
            std::os::unix::fs::chown(home.path(path), Some(65_534), Some(65_534)).unwrap();
        }
    };
    for path in ["", "logs", "logs/a.log", "state", "daemon.log"] {
        give(path);
    }
    for entry in fs::read_dir(home.path("state")).unwrap() {
        give(entry.unwrap().path().to_str().unwrap());
    }
    let as_nobody = |command: &mut Command| {
        if is_root {
            command.uid(65_534).gid(65_534);
        }
    };
    let daemon = home.run_with(&[], as_nobody);
    // Before, a command of another user could be the one who makes the files beside the database.
    wait_until("it runs", || home.daemon_log().matches("Started.").count() == 2);
    wait_until("it is told", || told(&home, "health.lag_seconds").len() == 1);
    assert_eq!(troubles(&home), ["unreadable"]);
    let mut status = home.command(&["status"]);
    as_nobody(&mut status);
    let status = String::from_utf8(status.output().unwrap().stdout).unwrap();
    assert!(status.contains("/logs/a.log: cannot be opened: Permission denied"), "{status}");
    let alert = told(&home, "health.lag_seconds").remove(0);
    let path = home.path("logs/a.log").canonicalize().unwrap();
    assert_eq!(alert["principal"], format!("log:{}", path.display()));
    assert_eq!(alert["rule"]["level"], "high");
    let reason = alert["event"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(&format!("bytes of {} have not been read for ", path.display())),
        "{reason}"
    );
    assert!(reason.contains("cannot be opened: Permission denied"), "{reason}");
    allow(0o644);
    wait_until("all is read", || home.committed_lines() == 3);
    wait_until("it is over", || is_over(&home));
    assert_eq!(troubles(&home), [""; 0]);
    assert_eq!(told(&home, "health.lag_seconds").len(), 1);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn the_status_did_not_know_a_log_that_was_never_opened() {
    let home = Home::new(&format!("{LOGS}[output]\njournal = false\n"));
    let check = || home.output(&["status", "--check"]).status.code();
    home.append("logs/a.log", line(1));
    let allow = |mode| {
        fs::set_permissions(home.path("logs/a.log"), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(home.path("state")).unwrap();
    fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    for path in ["", "logs", "logs/a.log", "state"].iter().filter(|_| is_root) {
        std::os::unix::fs::chown(home.path(path), Some(65_534), Some(65_534)).unwrap();
    }
    allow(0o000);
    let daemon = home.run_with(&[], |command| {
        if is_root {
            command.uid(65_534).gid(65_534);
        }
    });
    wait_until("it runs", || home.daemon_log().contains("Started."));
    assert_eq!((troubles(&home), check()), (vec!["unreadable".to_owned()], Some(1)));
    let text = home.print(&["status"]);
    assert!(text.contains("/logs/a.log: cannot be opened: "), "{text}");
    allow(0o400);
    wait_until("it is read", || home.committed_lines() == 1);
    assert_eq!((troubles(&home), check()), (vec![], Some(0)));
    fs::remove_file(home.path("logs/a.log")).unwrap();
    assert_eq!(troubles(&home), [""; 0], "a log that was there is being rotated");
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn a_pattern_that_matches_nothing_was_no_problem_to_the_status() {
    let more = "[[source]]\npaths = [\"elsewhere/*.log\"]\n";
    let home = Home::new(&format!("{LOGS}{more}"));
    home.append("logs/a.log", line(1));
    let daemon = home.run(&[]);
    wait_until("the line is committed", || home.committed_lines() == 1);
    assert_eq!(troubles(&home), ["absent"]);
    assert_eq!(home.output(&["status", "--check"]).status.code(), Some(1));
    let text = home.print(&["status"]);
    assert!(text.contains("/elsewhere/*.log: no file matches"), "{text}");
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn old_geoip_data_is_told_once_until_it_is_replaced() {
    let home = Home::new(&format!("{LOGS}[geoip]\ncity = \"City.mmdb\"\n"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let write = |days: u64| {
        let city = MmdbWriter::new(4, "GeoLite2-City");
        let city = city.with("198.51.100.0/24", &json!({"country": {"iso_code": "DE"}}));
        let built = u32::try_from(now - days * 86_400).unwrap();
        MmdbWriter { built, ..city }.write(&home.path(""), "City.mmdb");
    };
    home.append("logs/a.log", line(1));
    write(40);
    for n in 1..=2 {
        let daemon = home.run(&[]);
        wait_until("it is told", || {
            home.committed_lines() > 0 && told(&home, "health.geoip_days").len() == 1
        });
        // What the first run left is there before the second one heeds signals.
        wait_until("it runs", || home.daemon_log().matches("Started.").count() == n);
        assert!(daemon.terminate().success());
    }
    let alert = told(&home, "health.geoip_days").remove(0);
    assert_eq!(alert["facts"]["health.geoip_days"], 40);
    assert!(alert["principal"].as_str().unwrap().ends_with("/City.mmdb"), "{alert}");
    assert_eq!(troubles(&home), ["geoip"]);

    write(1);
    assert_eq!(troubles(&home), [""; 0]);
    let daemon = home.run(&[]);
    wait_until("it is over", || is_over(&home));
    assert!(daemon.terminate().success());
    // Old once more within the day is no news.
    write(40);
    let daemon = home.run(&[]);
    wait_until("it is seen", || !is_over(&home));
    assert!(daemon.terminate().success());
    assert_eq!(told(&home, "health.geoip_days").len(), 1);
    // How old it may be is configuration, for `status` too.
    home.configure(&format!(
        "{LOGS}[geoip]\ncity = \"City.mmdb\"\n[detect.health]\ngeoip_days = 50\n"
    ));
    assert_eq!(troubles(&home), [""; 0]);
}

#[test]
fn mails_that_nobody_takes_are_told_in_the_journal_and_come_when_the_server_does() {
    let mut server =
        SmtpServer::start(Options { tls: Encryption::Off, is_down: true, ..Options::default() });
    let home = Home::new(&format!(
        "{LOGS}[detect.health]\nmail_hours = 0\n[mail]\nserver = \"smtp+insecure://127.0.0.1:{}\"\n\
         from = \"tokenwatch@example.org\"\nto = [\"security@example.org\"]\n",
        server.port()
    ));
    // A mail about something else is what waits.
    home.append(
        "logs/a.log",
        (0..5).map(line).collect::<String>() + &"no request at all\n".repeat(20),
    );
    let daemon = home.run(&[]);
    wait_until("a mail waits", || {
        home.committed_lines() == 25 && told(&home, "health.rejected").len() == 1
    });
    wait_until("it is told", || told(&home, "health.mail_minutes").len() == 1);
    assert_eq!(troubles(&home), ["mail", "rejected"]);
    wait_until("the log says so", || home.daemon_log().contains("the oldest mail has waited"));
    server.restart();
    let mail = server.wait_for(1, PATIENCE).remove(0);
    let text = String::from_utf8(mail.bytes).unwrap();
    assert!(text.contains("a.log") && !text.contains("has waited"), "{text}");
    wait_until("it is over", || is_over(&home));
    assert_eq!(troubles(&home), ["rejected"]);
    // Of its own failing there is no mail.
    assert_eq!(server.messages().len(), 1);
    assert_eq!(told(&home, "health.mail_minutes").len(), 1);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}
