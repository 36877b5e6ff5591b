//! A program that always calls stops between two runs: the second run reads what the first stored.

use serde_json::Value;

use crate::program::Home;

const START: i64 = 1_772_409_600; // 2 March 2026

/// A line an hour of one token.
fn lines(token: &str, hours: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    hours.map(move |hour| {
        let time = chrono::DateTime::from_timestamp(START + hour * 3600, 0).unwrap();
        let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
        format!(
            "192.0.2.7 - - [{time}] \"GET /v1/orders HTTP/1.1\" 200 512 \"-\" \"sync/2.1\" \"Bearer exk_{token}b1f0c92d7a8463e9c0fb7d1264e83a\"\n"
        )
    })
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
    let silence = |log: &str| -> Vec<Value> {
        let told = home.json(&["replay", "--json", "--save", log]);
        told.into_iter().filter(|alert| alert["rule"]["name"] == "silence").collect()
    };
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
