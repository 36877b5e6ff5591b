//! The daemon as a service: signals, reloads, readiness, files that appear, disappear and shrink, a busy database.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;

use rusqlite::Connection;
use serde_json::Value;
use tokenwatch::engine::registry::Registered;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::time::Timestamp;
use tokenwatch::store::Store;

use crate::program::{CONFIG, Home, PATIENCE, Running, wait_until};

/// A request with a token of 30 characters; `n` tells them apart.
fn line(n: u32, token: &str) -> String {
    let (minute, second) = (n / 60 % 60, n % 60);
    format!(
        "192.0.2.7 - - [02/Mar/2026:08:{minute:02}:{second:02} +0000] \"GET /v1/items/{n} HTTP/1.1\" \
         200 612 \"-\" \"curl/8.5.0\" \"Bearer {token}\"\n"
    )
}

fn token(n: u32) -> String {
    format!("exk_{n:08}0123456789abcdefgh")
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| line(n, &token(1))).collect()
}

fn wait_for_lines(home: &Home, n: u64) {
    wait_until("the lines are committed", || home.committed_lines() >= n);
    assert_eq!(home.committed_lines(), n, "{}", home.daemon_log());
}

fn wait_for_log(home: &Home, text: &str) {
    wait_until(text, || home.daemon_log().contains(text));
}

/// Waits until the daemon of this home has started for the `n`th time.
fn wait_for_start(home: &Home, n: usize) {
    wait_until("the daemon runs", || home.daemon_log().matches("Started.").count() == n);
}

/// Requests of all tokens, as the database has them.
fn requests(home: &Home) -> i64 {
    let database = Connection::open(home.path("state/tokenwatch.db")).expect("database");
    let sql = "SELECT coalesce(sum(requests), 0) FROM token";
    database.query_row(sql, [], |row| row.get(0)).expect("requests")
}

fn register(home: &Home, columns: &[(&str, &str)]) {
    let key = SealKey::new(fs::read(home.path("state/seal.key")).expect("key").trim_ascii());
    let mut row = Registered::default();
    for (column, text) in columns {
        row.set(column, text, &key).expect(column);
    }
    let mut store = Store::open(&home.path("state/tokenwatch.db")).expect("database");
    store.register(&[row], "", Timestamp::from_seconds(1_772_000_000)).expect("register");
}

#[test]
fn a_source_that_is_polled_has_every_line_once_over_rotations_and_a_kill() {
    let home =
        Home::new("[[source]]\npaths = [\"logs/*.log\"]\nread_from = \"start\"\npoll = true\n");
    let line = |n: u64| {
        format!(
            "192.0.2.7 - - [12/Mar/2026:08:{:02}:{:02} +0000] \"GET /v1 HTTP/1.1\" 200 {n}\n",
            n / 60,
            n % 60
        )
    };
    let mut daemon = home.run(&[]);
    for n in 0..6 {
        for m in 0..50 {
            home.append("logs/a.log", line(n * 100 + m));
        }
        // A log that never stood under its name at a look was never there to be rotated.
        wait_until("the log is seen", || n > 0 || home.committed_lines() == 50);
        std::fs::rename(home.path("logs/a.log"), home.path(format!("logs/a.log.{n}"))).unwrap();
        home.append(&format!("logs/a.log.{n}"), line(n * 100 + 50));
        if n == 3 {
            daemon.kill();
            daemon = home.run(&[]);
        }
        wait_until("all so far is committed", || home.committed_lines() == (n + 1) * 51);
    }
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(home.committed_lines(), 306);
}

#[test]
fn sigterm_ends_soon_with_everything_committed() {
    let home = Home::new(&CONFIG.replace("5ms", "60s"));
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    home.append("logs/access.log", lines(0..2000));
    // Whatever was read by then is committed; the rest is read by the next run, and none twice.
    assert!(daemon.end_as_promised().success(), "{}", home.daemon_log());
    println!("ended with {} lines committed", home.committed_lines());
    assert!(home.daemon_log().contains("Stopped."));
    // The first run could commit by its end only; this one need not wait so long.
    home.configure(CONFIG);
    let daemon = home.run(&[]);
    wait_for_start(&home, 2);
    wait_for_lines(&home, 2000);
    assert!(daemon.terminate().success());
    assert_eq!(requests(&home), 2000);
}

#[test]
fn what_a_daemon_had_in_memory_of_a_forgotten_token_came_back() {
    let home = Home::new(CONFIG);
    home.append("logs/access.log", lines(0..1));
    let daemon = home.run(&[]);
    wait_for_lines(&home, 1);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    home.configure(&CONFIG.replace("5ms", "60s"));
    let _daemon = home.run(&["-v"]);
    wait_for_start(&home, 2);
    home.append("logs/access.log", lines(1..2));
    wait_for_log(&home, "lines=1");
    assert_eq!(home.committed_lines(), 1, "the second is in memory");
    let list = home.json(&["tokens", "list", "--json"]);
    let id = list[0]["token"]["id"].as_str().expect("an id");
    home.print(&["tokens", "forget", id, "--yes"]);
    // What a command changes is looked for at every turn; before it is used, all is committed.
    wait_for_lines(&home, 2);
    wait_until("it is forgotten", || home.print(&["tokens", "list"]) == "no tokens\n");
}

#[test]
fn a_broken_configuration_is_told_and_the_old_one_stays() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    home.configure("[[source]]\npaths = [\"logs/*.log\"]\nread_form = \"start\"\n");
    daemon.signal("HUP");
    wait_for_log(&home, "the old one stays in force");
    let log = home.daemon_log();
    assert!(log.contains("tokenwatch.toml:4:1: "), "{log}");
    assert!(log.contains("read_form"), "{log}");
    home.append("logs/access.log", lines(0..5));
    wait_for_lines(&home, 5);
    assert!(daemon.terminate().success());
}

#[test]
fn a_new_source_is_followed_after_a_reload() {
    let home = Home::new(CONFIG);
    fs::create_dir(home.path("other")).expect("directory");
    home.append("other/api.log", lines(0..3));
    home.append("logs/access.log", lines(3..5));
    let daemon = home.run(&[]);
    wait_for_lines(&home, 2);
    let more = "[[source]]\npaths = [\"other/api.log\"]\nread_from = \"start\"\n";
    home.configure(&format!("{more}{CONFIG}"));
    daemon.signal("HUP");
    wait_for_lines(&home, 5);
    home.append("logs/access.log", lines(5..6));
    home.append("other/api.log", lines(6..7));
    wait_for_lines(&home, 7);
    assert!(home.daemon_log().contains("The configuration was reloaded."));
    assert!(daemon.terminate().success());
}

#[test]
fn a_reload_that_leaves_changes_to_the_next_start_said_that_all_was_reloaded() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    home.configure(&CONFIG.replace("5ms", "6ms"));
    daemon.signal("HUP");
    wait_for_log(&home, "The configuration was reloaded.");
    assert!(!home.daemon_log().contains("next start"), "{}", home.daemon_log());
    let changed = CONFIG.replace("journal = false", "journal = true");
    let changed = changed.replace("[limits]", "[limits]\nmemory = \"300MiB\"");
    home.configure(&format!(
        "{changed}[retention]\nalerts = \"90d\"\n[geoip]\ncity = [\"a.mmdb\"]\n"
    ));
    daemon.signal("HUP");
    wait_for_log(&home, "Some changes take effect at the next start only.");
    let log = home.daemon_log();
    assert!(log.contains("[limits] memory, [retention], [geoip], [output]"), "{log}");
    assert!(daemon.terminate().success());
}

#[test]
fn a_second_daemon_on_the_same_state_exits_75() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    let second = home.output(&["run"]);
    assert_eq!(second.status.code(), Some(75), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(!second.stderr.is_empty());
    assert!(daemon.terminate().success());
    // The lock ends with its holder.
    let daemon = home.run(&[]);
    wait_for_start(&home, 2);
    assert!(daemon.terminate().success());
}

#[test]
fn a_replay_that_keeps_was_taken_for_the_daemon() {
    let home = Home::new(CONFIG);
    let mut replay = home
        .command(&["replay", "--save", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    // It holds the state for as long as somebody may write.
    let daemon = || home.json(&["status", "--json"])[0]["daemon"].clone();
    let pid = replay.id();
    wait_until("it holds the state", || daemon()["command"] == pid);
    assert_eq!(daemon()["running"], false);
    let status = home.output(&["status", "--check"]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert_eq!(status.status.code(), Some(1), "{text}");
    let said = format!("not running: nothing is watched; a command holds the state, process {pid}");
    assert!(text.contains(&said), "{text}");
    let daemon = home.output(&["run"]);
    let text = String::from_utf8_lossy(&daemon.stderr);
    assert_eq!(daemon.status.code(), Some(75), "{text}");
    assert!(
        text.contains(&format!("held by another command, process {pid}; end it first")),
        "{text}"
    );
    drop(replay.stdin.take());
    assert!(replay.wait().expect("an end").success());
}

#[test]
fn a_bad_configuration_exits_78_and_names_every_fault() {
    let home =
        Home::new("[mail]\nserver = \"ftp://mail.example.org\"\n[limits]\nbatch = \"much\"\n");
    let output = home.output(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.contains("tokenwatch.toml:3:"), "{text}");
    assert!(text.contains("tokenwatch.toml:5:"), "{text}");
}

#[test]
fn systemd_is_told_of_readiness_life_reload_and_the_end() {
    let home = Home::new(CONFIG);
    let socket = UnixDatagram::bind(home.path("notify")).expect("socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let told = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            // A signal may come between: other tests stop and trace processes.
            let length = loop {
                match socket.recv(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    received => break received.unwrap_or_else(|_| panic!("no {wanted}")),
                }
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
        }
    };
    let path = home.path("notify");
    let daemon = home.run_with(&[], |command| {
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "300000");
    });
    told("READY=1");
    for _ in 0..3 {
        told("WATCHDOG=1");
    }
    daemon.signal("HUP");
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="));
    told("READY=1");
    let end = std::thread::spawn(move || daemon.terminate());
    told("STOPPING=1");
    assert!(end.join().expect("the daemon ends").success());
}

/// Starts a command with its output in a pipe.
fn piped(home: &Home, arguments: &[&str]) -> Child {
    home.command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(home.path("daemon.log")).expect("log"))
        .spawn()
        .expect("start")
}

/// Starts `run` on files, whose output is read line by line while it runs.
fn printed(arguments: &[&str], check: impl FnOnce(&dyn Fn() -> String)) {
    let home = Home::new("[output]\njournal = false\n");
    home.append("access.log", lines(0..3));
    let mut child = piped(&home, arguments);
    let output = BufReader::new(child.stdout.take().expect("stdout"));
    let (sender, receiver) = channel();
    let reading = std::thread::spawn(move || {
        output.lines().map_while(Result::ok).for_each(|line| sender.send(line).unwrap_or(()));
    });
    let next = || receiver.recv_timeout(PATIENCE).expect("a line is printed while it runs");
    home.append(
        "access.log",
        line(4, "-").replace("/4 HTTP", "/4?access_token=exk_00000009fedcba98765432 HTTP"),
    );
    check(&next);
    child.kill().expect("kill");
    child.wait().expect("wait");
    reading.join().expect("reading");
}

#[test]
fn alerts_of_named_files_are_printed_as_they_come() {
    printed(&["run", "access.log"], |next| {
        let line = next();
        assert!(line.starts_with("2026-03-02 08:00Z high"), "{line}");
        assert!(line.contains("token-in-url"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    });
}

#[test]
fn alerts_are_printed_as_json_if_asked_for() {
    printed(&["run", "--json", "access.log"], |next| {
        let alert: Value = serde_json::from_str(&next()).expect("JSON");
        assert_eq!(alert["rule"]["name"], "token-in-url");
        assert!(alert["evidence"][0]["file"].as_str().expect("file").ends_with("access.log"));
    });
}

/// Runs on a named file by means of another program, which becomes the daemon.
fn run_by(home: &Home, program: &[&str]) -> Running {
    home.run_with(&["-v", "access.log"], |command| {
        let mut by = std::process::Command::new(program[0]);
        by.args(&program[1..]).arg(command.get_program()).args(command.get_args());
        let log = File::options().append(true).open(home.path("daemon.log")).expect("log");
        by.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(home.path(""));
        *command = by;
    })
}

#[test]
fn a_run_on_named_files_outlived_its_terminal() {
    let home = Home::new("[output]\njournal = false\n");
    home.append("access.log", lines(0..3));
    // The tests themselves may run with nohup.
    let run = run_by(&home, &["env", "--default-signal=HUP"]);
    wait_for_start(&home, 1);
    run.signal("HUP");
    assert!(run.wait().success(), "{}", home.daemon_log());
    assert_eq!(requests(&home), 3);
    // With nohup it is to outlive it.
    let run = run_by(&home, &["nohup"]);
    wait_for_start(&home, 2);
    run.signal("HUP");
    wait_for_log(&home, "The configuration was reloaded");
    home.append("access.log", lines(3..4));
    wait_for_lines(&home, 4);
    assert!(run.terminate().success());
}

#[test]
fn a_run_on_named_files_outlived_its_reader() {
    let home = Home::new("[output]\njournal = false\n");
    home.append(
        "access.log",
        line(4, "-").replace("/4 HTTP", &format!("/4?access_token={} HTTP", token(9))),
    );
    let mut run = piped(&home, &["run", "access.log"]);
    let mut line = String::new();
    BufReader::new(run.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    assert!(line.contains("token-in-url"), "{line}");
    // Nobody reads any more, and no further alert is there to be printed.
    wait_until("it ends", || run.try_wait().expect("wait").is_some());
    assert!(run.wait().expect("wait").success());
    assert!(!home.daemon_log().contains("WARN"), "{}", home.daemon_log());
}

#[test]
fn a_run_that_waited_for_the_state_outlived_its_reader() {
    let home = Home::new("[output]\njournal = false\n");
    home.append("access.log", lines(0..1));
    home.print(&["replay", "--save", "access.log"]);
    // Somebody else has the database for himself, as a tool that copies it may.
    let other = Connection::open(home.path("state/tokenwatch.db")).expect("a database");
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM setting;")
        .expect("a lock");
    let mut run = piped(&home, &["run", "access.log"]);
    home.append("access.log", lines(1..2));
    wait_for_log(&home, "the start waits until it can");
    drop(run.stdout.take());
    wait_until("it ends", || run.try_wait().expect("wait").is_some());
    assert!(run.wait().expect("wait").success(), "{}", home.daemon_log());
    drop(other);
    assert_eq!(home.committed_lines(), 1, "it had not begun");
}

#[test]
fn copytruncate_loses_nothing_while_the_daemon_keeps_up() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    let mut total = 0;
    for round in 0..20_u32 {
        let n = 1 + round % 7;
        home.append("logs/access.log", lines(round * 10..round * 10 + n));
        total += u64::from(n);
        wait_for_lines(&home, total);
        fs::copy(home.path("logs/access.log"), home.path(format!("logs/access.log.{round}")))
            .expect("copy");
        File::options()
            .write(true)
            .open(home.path("logs/access.log"))
            .and_then(|file| file.set_len(0))
            .expect("truncate");
    }
    assert!(daemon.terminate().success());
    assert_eq!(requests(&home), i64::try_from(total).unwrap());
}

#[test]
fn a_file_that_comes_later_and_matches_is_followed_from_its_beginning() {
    let home = Home::new(&CONFIG.replace("read_from = \"start\"\n", ""));
    home.append("logs/old.log", lines(0..10));
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    home.append("logs/ignored.txt", lines(0..10));
    home.append("logs/new.log", lines(10..13));
    wait_for_lines(&home, 3);
    home.append("logs/old.log", lines(13..14));
    wait_for_lines(&home, 4);
    assert!(daemon.terminate().success());
}

#[test]
fn a_log_that_was_created_while_down_under_a_pattern_without_a_file_was_taken_for_history() {
    let end = CONFIG.replace("read_from = \"start\"\n", "");
    let home = Home::new(&end);
    let daemon = home.run(&[]);
    wait_for_start(&home, 1);
    wait_until("the pattern is noted", || !followed(&home).is_empty());
    daemon.kill();
    home.append("logs/new.log", lines(0..5));
    // Another pattern, which comes with the same restart, finds only history.
    home.configure(&end.replace("\"logs/*.log\"", "\"logs/*.log\", \"other/*\""));
    fs::create_dir(home.path("other")).expect("directory");
    home.append("other/old", lines(5..15));
    let daemon = home.run(&[]);
    wait_for_lines(&home, 5);
    wait_until("both patterns are noted", || followed(&home).len() == 2);
    home.append("other/old", lines(15..16));
    wait_for_lines(&home, 6);
    assert!(daemon.terminate().success());
    // One that is taken out is forgotten: what comes under it meanwhile is history.
    home.configure(&end.replace("logs/*.log", "other/*"));
    let daemon = home.run(&[]);
    wait_until("one pattern is left", || followed(&home) == [home.path("other/*")]);
    assert!(daemon.terminate().success());
    assert_eq!(home.committed_lines(), 6);
}

/// Returns the patterns of which the daemon has noted that it follows them.
fn followed(home: &Home) -> Vec<PathBuf> {
    let Ok(database) = Connection::open_with_flags(
        home.path("state/tokenwatch.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    ) else {
        return Vec::new();
    };
    let sql = "SELECT substr(name, 10) FROM setting WHERE name LIKE 'followed:%' ORDER BY 1";
    let mut statement = database.prepare(sql).expect("settings");
    let names = statement.query_map([], |row| row.get::<_, String>(0)).expect("settings");
    names.map(|name| PathBuf::from(name.expect("name"))).collect()
}

#[test]
fn a_directory_is_followed_as_check_and_replay_read_it() {
    let home = Home::new(&CONFIG.replace("logs/*.log", "logs"));
    fs::create_dir(home.path("logs/shop")).expect("directory");
    home.append("logs/access.log", lines(0..10));
    home.append("logs/shop/access.log", lines(10..15));
    home.append("logs/requests", lines(0..10));
    let checked = home.print(&["check"]);
    for log in ["access.log", "shop/access.log"] {
        let log = home.path("logs").join(log);
        assert!(checked.contains(&format!("{}: auto", log.display())), "{checked}");
    }
    assert!(!checked.contains("requests"), "{checked}");
    let daemon = home.run(&[]);
    wait_for_lines(&home, 15);
    home.append("logs/shop/access.log", lines(15..16));
    home.append("logs/shop/new.log", lines(16..18));
    wait_for_lines(&home, 18);
    assert!(daemon.terminate().success());
    home.print(&["replay", "--save", "logs"]);
    assert_eq!(home.committed_lines(), 18);
}

#[test]
fn a_directory_on_the_command_line_is_followed() {
    let home = Home::new("");
    home.append("logs/access.log", lines(0..10));
    let daemon = home.run(&["logs/"]);
    wait_for_lines(&home, 10);
    home.append("logs/access.log", lines(10..11));
    wait_for_lines(&home, 11);
    assert!(daemon.terminate().success());
    assert!(!home.daemon_log().contains("No such log exists yet"), "{}", home.daemon_log());
}

#[test]
fn a_directory_without_logs_does_not_pass_for_a_quiet_log() {
    let home = Home::new(&CONFIG.replace("logs/*.log", "logs"));
    home.append("logs/requests", lines(0..10));
    let checked = home.print(&["check"]);
    assert!(checked.contains("no log is there"), "{checked}");
    let daemon = home.run(&[]);
    wait_for_log(&home, "No such log exists yet");
    home.append("logs/access.log", lines(0..3));
    wait_for_lines(&home, 3);
    assert!(daemon.terminate().success());
}

#[test]
fn a_change_of_the_registry_is_taken_up_without_a_restart() {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    home.append("logs/access.log", line(0, &token(7)));
    wait_for_lines(&home, 1);
    register(&home, &[("token", &token(7)), ("name", "bait"), ("decoy", "true")]);
    // When the loop has seen it, cannot be seen from outside: use the token until it is noticed.
    let mut n = 0;
    wait_until("the decoy is noticed", || {
        n += 1;
        home.append("logs/access.log", line(n, &token(7)));
        wait_until("the line is committed", || home.committed_lines() > u64::from(n));
        home.output(&["alerts", "list", "--json"])
            .stdout
            .windows(15)
            .any(|w| w == b"honeytoken-used")
    });
    assert!(daemon.terminate().success());
}

/// Starts a daemon that has read ten lines, with its database locked by somebody else.
fn locked() -> (Home, Running, Connection) {
    let home = Home::new(CONFIG);
    let daemon = home.run(&[]);
    home.append("logs/access.log", lines(0..10));
    wait_for_lines(&home, 10);
    let other = Connection::open(home.path("state/tokenwatch.db")).expect("database");
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    (home, daemon, other)
}

#[test]
fn a_locked_database_delays_and_loses_nothing() {
    let (home, daemon, other) = locked();
    home.append("logs/access.log", lines(10..500));
    wait_for_log(&home, "The database cannot be used");
    assert_eq!(home.committed_lines(), 10);
    home.append("logs/access.log", lines(500..600));
    other.execute_batch("COMMIT").expect("unlock");
    wait_for_lines(&home, 600);
    wait_for_log(&home, "The database works again.");
    assert!(daemon.terminate().success());
    assert_eq!(requests(&home), 600);
}

#[test]
fn a_locked_database_does_not_hold_up_the_end() {
    let (home, daemon, other) = locked();
    home.append("logs/access.log", lines(10..20));
    wait_for_log(&home, "The database cannot be used");
    daemon.end_as_promised();
    other.execute_batch("ROLLBACK").expect("unlock");
    let daemon = home.run(&[]);
    wait_for_lines(&home, 20);
    assert!(daemon.terminate().success());
    assert_eq!(requests(&home), 20);
}

#[test]
fn a_file_followed_from_its_end_is_accounted_for() {
    let home = Home::new("[[source]]\npaths = [\"logs/access.log\"]\n[output]\njournal = false\n");
    let line = |second: u8| {
        format!("192.0.2.1 - - [12/Mar/2026:02:13:0{second} +0000] \"GET / HTTP/1.1\" 200 5\n")
    };
    home.append("logs/access.log", (0..5).map(line).collect::<String>());
    let daemon = home.run(&[]);
    let streams = || home.json(&["status", "--json"])[0]["streams"].clone();
    wait_until("the file is followed", || {
        home.path("state/tokenwatch.db").exists() && streams()[0]["offset"].as_u64() > Some(0)
    });
    home.append("logs/access.log", line(9));
    wait_until("the new line is committed", || home.committed_lines() == 1);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    assert_eq!(streams()[0]["accounted"], true, "{}", streams());
}

#[test]
fn a_named_file_was_read_without_its_source_and_its_old_lines_were_mailed() {
    for (arguments, n_mails) in
        [(&["logs/odd.log"][..], 0), (&["logs"], 0), (&["--mail", "logs"], 1)]
    {
        let home = Home::new(
            "[[source]]\npaths = [\"logs/*.log\"]\n\
             template = '$time_iso8601|$remote_addr|$request|$status'\n\
             [mail]\nserver = \"smtp+insecure://127.0.0.1:9\"\nfrom = \"tokenwatch@example.org\"\n\
             to = [\"ops@example.org\"]\n[output]\njournal = false\n",
        );
        home.append(
            "logs/odd.log",
            "2026-03-02T08:00:07Z|192.0.2.7|GET /v1?access_token=exk_00000009fedcba98765432 HTTP/1.1|200\n",
        );
        let daemon = home.run(arguments);
        wait_until("the line is committed", || home.committed_lines() == 1);
        daemon.terminate();
        let status = &home.json(&["status", "--json"])[0];
        assert_eq!((&status["alerts"], &status["streams"][0]["parsed"]), (&1.into(), &1.into()));
        assert_eq!(status["outbox"]["waiting"], n_mails, "{arguments:?}");
    }
}

#[test]
fn a_named_directory_below_a_source_was_read_without_it() {
    for paths in ["logs", "logs/*/odd.log", "logs/**/*.log"] {
        let home = Home::new(&format!(
            "[[source]]\npaths = [\"{paths}\"]\ntemplate = '$time_iso8601|$remote_addr|$request|$status'\n\
             [output]\njournal = false\n"
        ));
        fs::create_dir(home.path("logs/site1")).expect("directory");
        let line = "2026-03-02T08:00:07Z|192.0.2.7|GET /v1?access_token=exk_00000009fedcba98765432 HTTP/1.1|200\n";
        home.append("logs/site1/odd.log", line);
        let daemon = home.run(&["logs/site1"]);
        wait_until("the line is committed", || home.committed_lines() == 1);
        daemon.terminate();
        let status = &home.json(&["status", "--json"])[0];
        assert_eq!(status["streams"][0]["parsed"], 1, "{paths}");
    }
}
