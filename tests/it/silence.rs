//! A program that always calls, over several runs: it stops, or it goes on under another name or id.

use serde_json::Value;

use crate::program::Home;

const START: i64 = 1_772_409_600; // 2 March 2026

fn secret(token: &str) -> String {
    format!("exk_{token}b1f0c92d7a8463e9c0fb7d1264e83a")
}

/// A line an hour of one token.
fn lines(token: &str, hours: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    hours.map(move |hour| {
        let time = chrono::DateTime::from_timestamp(START + hour * 3600, 0).unwrap();
        let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
        format!(
            "192.0.2.7 - - [{time}] \"GET /v1/orders HTTP/1.1\" 200 512 \"-\" \"sync/2.1\" \"Bearer {}\"\n",
            secret(token)
        )
    })
}

/// What is told of silences in a log.
fn silences(home: &Home, log: &str) -> Vec<Value> {
    let told = home.json(&["replay", "--json", "--save", log]);
    told.into_iter().filter(|alert| alert["rule"]["name"] == "silence").collect()
}

#[test]
fn a_program_that_lost_its_name_or_got_another_id_was_missed() {
    let home = Home::new("");
    let go_on = |log: &str, hours: std::ops::Range<i64>| {
        for hour in hours {
            for token in ["aa", "bb"] {
                home.append(log, lines(token, hour..hour + 1).collect::<String>());
            }
        }
        assert_eq!(silences(&home, log), [Value::Null; 0], "{log}");
    };
    go_on("logs/a.log", 0..480);
    let added = home.output_with(&["tokens", "add", "sync"], &secret("aa"));
    let id = String::from_utf8(added.stdout).unwrap();
    go_on("logs/b.log", 480..485);
    home.print(&["tokens", "set", "sync", "name="]);
    go_on("logs/c.log", 485..500);
    home.print(&["tokens", "set", id.trim(), "name=sync"]);
    go_on("logs/d.log", 500..505);
    home.print(&["tokens", "rekey", "--yes"]);
    go_on("logs/e.log", 505..520);
}

#[test]
fn a_program_that_stopped_before_a_restart_is_told_after_it_and_shown_in_words() {
    let home = Home::new("");
    for hour in 0..480 {
        home.append("logs/a.log", lines("aa", hour..hour + 1).collect::<String>());
        home.append("logs/a.log", lines("bb", hour..hour + 1).collect::<String>());
    }
    home.append("logs/b.log", lines("bb", 480..500).collect::<String>());
    home.append("logs/c.log", lines("bb", 500..520).collect::<String>());
    let silence = |log: &str| silences(&home, log);
    assert!(silence("logs/a.log").is_empty());
    let told = silence("logs/b.log");
    assert_eq!((told.len(), silence("logs/c.log").len()), (1, 0));
    assert_eq!(told[0]["@timestamp"], "2026-03-22T03:00:00Z");
    assert_eq!(told[0]["facts"]["silence.hours"], 3);
    assert_eq!(told[0]["rule"]["level"], "low");
    let shown = home.print(&["alerts", "show", told[0]["alert"].as_str().unwrap()]);
    let why = "no request for 3 h in which others called; on the 15 active days before that it called in every such hour";
    assert!(shown.contains(why), "{shown}");
    assert!(shown.contains("silence.longest_gap_hours"), "{shown}");
    let file = home.path("logs/c.log");
    let explained = home.print(&["explain", "--line", "1", file.to_str().unwrap()]);
    let within = "expected to call within 3 h in which others do";
    assert!(explained.contains(within), "{explained}");
}
