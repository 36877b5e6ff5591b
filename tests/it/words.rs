//! Acknowledging alerts while the daemon runs.

use serde_json::Value;

use crate::program::{CONFIG, Home, wait_until};

/// Address and client of a stranger.
const STRANGER: (&str, &str) = ("105.112.7.9", "python-requests/2.32.0");

/// Waits until so many lines are committed beyond those of the twelve days.
fn wait_for(home: &Home, n: u64) {
    wait_until("the lines are committed", || home.committed_lines() == 3 * 288 + n);
}

/// A request of a token so many hours from now. What people say counts by the clock, so that these lines have real
/// times.
fn request(token: &str, hours: i64, (address, client): (&str, &str)) -> String {
    let time = chrono::Utc::now() + chrono::TimeDelta::hours(hours) + chrono::TimeDelta::seconds(1);
    let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
    format!(
        "{address} - - [{time}] \"GET /v1/items HTTP/1.1\" 200 612 \"-\" \"{client}\" \"Bearer {token}\"\n"
    )
}

/// What was told of a token's unusual use.
fn told(home: &Home, token: &str) -> Vec<Value> {
    let id = home.output_with(&["tokens", "id", "-"], token).stdout;
    let id = String::from_utf8(id).expect("an id");
    home.json(&["alerts", "list", "--rule", "unusual-use", "--json", "--principal", id.trim()])
}

/// Says something of the only thing that was told of a token.
fn say(home: &Home, token: &str, verdict: &str) {
    let told = told(home, token);
    assert_eq!(told.len(), 1, "{told:?}");
    home.print(&["alerts", "ack", told[0]["alert"].as_str().expect("an id"), verdict]);
}

/// The lines of three tokens: used at home for twelve days, until 26 hours before an hour from now, and the first two
/// then from elsewhere.
fn visits(end: i64) -> (String, [String; 3]) {
    let tokens = [1, 2, 3].map(|n| format!("exk_{n:08}0123456789abcdefgh"));
    let own = ("84.150.1.9", "curl/8.5.0");
    let days = (-314..-26).flat_map(|hour| tokens.iter().map(move |token| (token, hour, own)));
    let visits = tokens.iter().take(2).map(|token| (token, -26, STRANGER));
    let log = days.chain(visits).map(|(token, hour, who)| request(token, end + hour, who));
    (log.collect(), tokens)
}

/// A running daemon that read of them.
fn visited() -> (Home, impl Drop, [String; 3]) {
    let home = Home::new(CONFIG);
    let (log, tokens) = visits(0);
    home.append("logs/access.log", log);
    let daemon = home.run(&[]);
    wait_for(&home, 2);
    (home, daemon, tokens)
}

#[test]
fn what_is_expected_holds_for_the_next_line_of_a_running_daemon() {
    let (home, _daemon, [expected, other, _]) = visited();
    say(&home, &expected, "--expected");
    // The network is there again, with another client.
    for token in [&expected, &other] {
        home.append("logs/access.log", request(token, 0, (STRANGER.0, "Go-http-client/1.1")));
    }
    wait_for(&home, 4);
    assert_eq!([&expected, &other].map(|token| told(&home, token).len()), [1, 2]);
}

#[test]
fn a_word_on_old_logs_did_not_hold_for_what_was_read_of_them_next() {
    let last_year = -400 * 24;
    let (log, [expected, other, misused]) = visits(last_year);
    let home = Home::new(CONFIG);
    let replay = |name: &str, log: &str| {
        home.append(name, log);
        home.print(&["replay", "--save", name]);
    };
    replay("logs/first.log", &log);
    say(&home, &expected, "--expected");
    say(&home, &other, "--confirmed");
    let (back, same) = ((STRANGER.0, "Go-http-client/1.1"), STRANGER);
    let next = [(&expected, back), (&other, back), (&misused, same)];
    let next = next.map(|(token, who)| request(token, last_year, who)).concat();
    replay("logs/next.log", &next);
    let tokens = [&expected, &other, &misused];
    assert_eq!(tokens.map(|token| told(&home, token).len()), [1, 2, 1]);
    let watched = told(&home, &misused)[0]["facts"]["unusual.watched"].clone();
    assert!(watched.is_number(), "the month of watching is that of the log");
}

#[test]
fn a_word_on_a_token_that_gets_a_name_was_lost() {
    for is_named_first in [true, false] {
        let (home, _daemon, [expected, other, _]) = visited();
        let name = |token: &str, name| {
            assert!(home.output_with(&["tokens", "add", name], token).status.success());
        };
        if is_named_first {
            name(&expected, "billing");
            name(&other, "export");
        }
        say(&home, &expected, "--expected");
        if !is_named_first {
            name(&expected, "billing");
            name(&other, "export");
        }
        for token in [&expected, &other] {
            home.append("logs/access.log", request(token, 0, (STRANGER.0, "Go-http-client/1.1")));
        }
        wait_for(&home, 4);
        // A name has the alerts of its token from before, too.
        let told = |name| {
            let list = ["alerts", "list", "--rule", "unusual-use", "--json", "--principal", name];
            home.json(&list).len()
        };
        assert_eq!(["billing", "export"].map(told), [1, 2], "{is_named_first}");
    }
}

#[test]
fn confirmed_misuse_is_looked_for_at_other_tokens_by_a_running_daemon() {
    let (home, _daemon, [stolen, _, third]) = visited();
    say(&home, &stolen, "--confirmed");
    home.append("logs/access.log", request(&third, 0, STRANGER));
    wait_for(&home, 3);
    let told = told(&home, &third);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["facts"]["unusual.watched"].is_number(), "{told:?}");
}
