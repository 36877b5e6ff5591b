//! Impossible times, and times in every unit: the daemon accepts plausible times, and keeps judging the present.

use serde_json::Value;
use tokenwatch::clock;
use tokenwatch::engine::time::{DAY, HOUR, MINUTE, Timestamp};

use crate::program::{CONFIG, Home, wait_until};

/// A request of a token at a time that is written so.
fn line(time: &str, token: &str) -> String {
    format!(
        "{{\"time\":{time},\"remote_addr\":\"192.0.2.7\",\"request\":\"GET /v1/items HTTP/1.1\",\"status\":200,\
         \"http_user_agent\":\"curl/8.5.0\",\"http_authorization\":\"Bearer exk_{token}0123456789abcdef\"}}\n"
    )
}

fn quoted(time: Timestamp) -> String {
    format!("\"{}\"", time.to_rfc3339(0))
}

/// The token of the lines with this name, as `tokens list` has it.
fn token(home: &Home, name: &str) -> Value {
    let output = home.output_with(&["tokens", "id", "-"], &format!("exk_{name}0123456789abcdef"));
    let id = String::from_utf8(output.stdout).unwrap();
    let mut all = home.json(&["tokens", "list", "--json"]);
    all.retain(|token| token["token"]["id"] == id.trim());
    all.remove(0)
}

fn time(json: &Value) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(json.as_str().unwrap()).unwrap().to_utc().into()
}

#[test]
fn a_time_of_more_than_a_day_ahead_is_counted_once_as_of_its_coming_and_moves_nothing() {
    let home = Home::new(CONFIG);
    let now = clock::now();
    let bad = [
        "\"9999-12-31T23:59:59Z\"".to_owned(),
        "\"2999-06-30T23:59:60Z\"".to_owned(),
        quoted(now.plus(DAY + HOUR)),
        "99999999999".to_owned(),
    ];
    let daemon = home.run(&[]);
    home.append("logs/a.log", line(&quoted(now), "good"));
    home.append("logs/a.log", bad.iter().map(|time| line(time, "bad")).collect::<String>());
    wait_until("the lines are committed", || home.committed_lines() == 5);
    daemon.kill();
    let daemon = home.run(&[]);
    home.append("logs/a.log", line("\"1970-01-01T00:00:00Z\"", "old"));
    home.append("logs/a.log", line(&quoted(now.plus(23 * HOUR)), "soon"));
    // What happens now is told now, and nothing else is.
    let leak = line(&quoted(clock::now()), "good")
        .replace("/items", "?access_token=exk_leak0123456789abcdef");
    home.append("logs/a.log", leak);
    wait_until("the lines are committed", || home.committed_lines() == 8);
    let (came, told) = (token(&home, "bad"), token(&home, "soon"));
    assert_eq!(came["requests"], 4);
    for key in ["first_seen", "last_seen"] {
        let seen = time(&came[key]);
        assert!(now.plus(-MINUTE) <= seen && seen <= clock::now(), "{key}: {came}");
    }
    assert_eq!(time(&told["last_seen"]).seconds(), now.plus(23 * HOUR).seconds());
    assert_eq!(token(&home, "old")["last_seen"], "1970-01-01T00:00:00Z");
    assert!(time(&token(&home, "good")["last_seen"]) <= clock::now());
    let status = home.json(&["status", "--json"]).remove(0);
    let stream = &status["streams"][0];
    assert_eq!((&stream["bad_time"], &stream["parsed"]), (&4.into(), &8.into()), "{status}");
    let text = home.print(&["status"]);
    assert!(text.contains("bad_time: ") && text.contains("4 lines are dated more than"), "{text}");
    let alerts = home.json(&["alerts", "list", "--json"]);
    let about: Vec<&Value> =
        alerts.iter().filter(|alert| alert["rule"]["name"] != "monitor-health").collect();
    assert_eq!(about.len(), 1, "{alerts:?}");
    assert_eq!(about[0]["rule"]["name"], "token-in-url");
    assert!(time(&about[0]["@timestamp"]).since(now).abs() < MINUTE, "{about:?}");
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

#[test]
fn an_epoch_is_read_in_whatever_unit_it_is() {
    let home = Home::new(CONFIG);
    let seconds = clock::now().seconds() - 60;
    let forms = [
        format!("{seconds}"),
        format!("{seconds}.000"),
        format!("{seconds}000"),
        format!("{seconds}000000"),
        format!("{seconds}000000000"),
        format!("\"{seconds}\""),
    ];
    home.append("logs/a.log", forms.iter().map(|form| line(form, "a")).collect::<String>());
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == 6);
    let token = token(&home, "a");
    assert_eq!(token["requests"], 6);
    for key in ["first_seen", "last_seen"] {
        assert_eq!(time(&token[key]).seconds(), seconds, "{key}: {token}");
    }
    assert_eq!(home.json(&["status", "--json"])[0]["streams"][0]["bad_time"], 0);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
}

/// Replays thirty days of a token, and a last line that is so far ahead; then the service sees a theft. Returns what it
/// reports.
fn told_after_a_line_ahead(ahead: i64, is_live: bool) -> Vec<Value> {
    let home = Home::new(CONFIG);
    let now = clock::now();
    let days = (1..=30).rev().map(|day| now.plus(-day * DAY));
    home.append("old.log", days.map(|time| line(&quoted(time), "own")).collect::<String>());
    let log = if is_live { "logs/a.log" } else { "old.log" };
    home.append(log, line(&quoted(now.plus(ahead)), "own"));
    let output = home.output(&["replay", "--save", "old.log"]);
    assert!(output.status.success(), "{output:?}");
    let daemon = home.run(&[]);
    if is_live {
        wait_until("the line is committed", || home.committed_lines() == 31);
    }
    // The clock stays ahead for the owner's uses.
    home.append("logs/a.log", line(&quoted(clock::now().plus(ahead.min(8 * HOUR))), "own"));
    let theft = line(&quoted(clock::now()), "own")
        .replace("192.0.2.7", "198.51.100.7")
        .replace("curl/8.5.0", "python-requests/2.31");
    home.append("logs/a.log", theft);
    wait_until("the theft is committed", || home.committed_lines() == 33);
    let told = home.json(&["alerts", "list", "--json", "--rule", "unusual-use"]);
    daemon.kill();
    told
}

#[test]
fn a_clock_that_was_ahead_does_not_blind_until_the_calendar_catches_up() {
    for (ahead, is_live) in [(3 * DAY, false), (8 * HOUR, false), (8 * HOUR, true)] {
        let told = told_after_a_line_ahead(ahead, is_live);
        assert_eq!(told.len(), 1, "{} h, live: {is_live}: {told:?}", ahead / HOUR);
    }
}

/// How many lines with an impossible time `status` counts.
fn n_bad(home: &Home) -> u64 {
    let status = home.json(&["status", "--json"]).remove(0);
    let streams = status["streams"].as_array().unwrap().iter();
    streams.map(|stream| stream["bad_time"].as_u64().unwrap()).sum()
}

/// Replays the logs; returns what is said of them.
fn said_of_replay(home: &Home, options: &[&str]) -> String {
    let output = home.output(&[&["replay", "logs"], options].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_line_of_next_year_was_stored_as_it_is_by_a_replay() {
    let home = Home::new(CONFIG);
    let now = clock::now();
    let then = Timestamp::from_seconds(now.plus(-10 * DAY).seconds());
    for (time, token) in [(then, "good"), (now.plus(364 * DAY), "bad"), (then.plus(-HOUR), "old")] {
        home.append("logs/a.log", line(&quoted(time), token));
    }
    home.append("logs/a.log", line(&quoted(now.plus(365 * DAY)), "worse"));
    // Another log does not say when the lines of this one came.
    home.append("logs/b.log", line(&quoted(now.plus(DAY + HOUR)), "first"));
    home.append("logs/b.log", line(&quoted(then.plus(HOUR)), "other"));
    let said = said_of_replay(&home, &["--save"]);
    assert!(said.contains("dated more than a day in the future: 3 lines, up to "), "{said}");
    let expected = [
        ("good", then),
        ("bad", then),
        ("old", then.plus(-HOUR)),
        ("worse", then),
        ("other", then.plus(HOUR)),
    ];
    for (name, expected) in expected {
        for key in ["first_seen", "last_seen"] {
            assert_eq!(time(&token(&home, name)[key]), expected, "{name} {key}");
        }
    }
    let first = time(&token(&home, "first")["last_seen"]);
    assert!(now.plus(-MINUTE) <= first && first <= clock::now(), "{first:?}");
    assert_eq!(n_bad(&home), 3);
    let text = home.print(&["status"]);
    assert!(text.contains("lines are dated more than a day in the future"), "{text}");
}

#[test]
fn a_log_of_next_year_is_saved_as_of_now_and_shown_as_it_is_with_a_word_about_it() {
    let home = Home::new(CONFIG);
    let now = clock::now();
    let times = (0..3).map(|n| now.plus(364 * DAY + n * HOUR));
    home.append("logs/a.log", times.map(|time| line(&quoted(time), "bad")).collect::<String>());
    let query = line(&quoted(now.plus(365 * DAY)), "bad")
        .replace("/items", "?access_token=exk_leak0123456789abcdef");
    home.append("logs/a.log", query);
    let said = said_of_replay(&home, &[]);
    assert!(said.contains("dated more than a day in the future: lines up to "), "{said}");
    let told = home.json(&["replay", "--json", "logs"]);
    assert!(time(&told[0]["@timestamp"]).since(now) > 300 * DAY, "{told:?}");
    let said = said_of_replay(&home, &["--save"]);
    assert!(said.contains("dated more than a day in the future: 4 lines, up to "), "{said}");
    for key in ["first_seen", "last_seen"] {
        let seen = time(&token(&home, "bad")[key]);
        assert!(now.plus(-MINUTE) <= seen && seen <= clock::now(), "{key}: {seen:?}");
    }
    let told = home.json(&["alerts", "list", "--json"]);
    assert!(time(&told[0]["@timestamp"]).since(now) < MINUTE, "{told:?}");
    assert_eq!(n_bad(&home), 4);
}
