//! The daemon under rotation and SIGKILL: its counts, profiles and alerts equal those of one replay.

use std::collections::BTreeMap;
use std::fs;

use crate::dump::dump;
use crate::program::{Home, Random, wait_until};

const CONFIG: &str = r#"
[[source]]
paths = ["logs/access.log"]
read_from = "start"
[tokens]
query = ["widget"]
[limits]
commit_interval = "5ms"
[output]
journal = false
"#;

/// Ten days of seven tokens, one of them stolen, one in the URL, one revoked; and lines that are no requests.
fn story(random: &mut Random) -> Vec<String> {
    let mut lines = Vec::new();
    for minute in (0..10 * 24 * 60).step_by(20) {
        let token = random.below(7);
        let (day, hour) = (2 + minute / 1440, minute / 60 % 24);
        let time =
            format!("{day:02}/Mar/2026:{hour:02}:{:02}:{:02} +0000", minute % 60, random.below(60));
        let is_theft = minute > 9 * 24 * 60 && token == 3;
        let client = if is_theft {
            "105.112.7.9".into()
        } else {
            format!("84.150.{token}.{}", 1 + random.below(3))
        };
        let agent = if is_theft { "python-requests/2.31" } else { "curl/8.5.0" };
        let (target, auth) = match token {
            5 => (format!("/v1/feed?widget=tok-{token}-0123456789abcdef0123"), "-".into()),
            _ => (
                format!("/v1/items/{}", random.below(500)),
                format!("Bearer tok-{token}-0123456789abcdef0123"),
            ),
        };
        let status = [200, 200, 200, 404, 401][usize::try_from(random.below(5)).unwrap()];
        lines.push(format!(
            "{client} - - [{time}] \"GET {target} HTTP/1.1\" {status} {} \"-\" \"{agent}\" \"{auth}\"\n",
            random.below(9000)
        ));
        if random.below(40) == 0 {
            lines.push("no request at all\n".into());
        }
    }
    lines
}

#[test]
fn kills_and_rotations_change_nothing() {
    let is_full = std::env::var("TORTURE").is_ok_and(|how| how == "full");
    let rounds = if is_full { 50 } else { 15 };
    for seed in 0..rounds {
        round(seed);
    }
}

fn round(seed: u64) {
    let mut random = Random(seed);
    let lines = story(&mut random);
    let home = Home::new(CONFIG);
    let mut live = live_run(&home, &mut random, &lines);
    for part in live.get_mut("house").expect("the house") {
        // A replay follows nothing.
        *part = part.replace("\"is_followed\":true", "\"is_followed\":false");
    }

    let quiet = Home::new(CONFIG);
    fs::create_dir_all(quiet.path("state")).expect("state");
    fs::copy(home.path("state/seal.key"), quiet.path("state/seal.key")).expect("key");
    let log = quiet.path("logs/access.log");
    fs::write(&log, lines.concat()).expect("log");
    quiet.print(&["replay", "--save", log.to_str().expect("text")]);
    let replay = dump(&quiet.path("state/tokenwatch.db"));

    assert!(!replay["alerts"].is_empty(), "the story has alerts");
    for table in ["tokens", "activity", "facets", "profiles", "incidents", "alerts", "house"] {
        let pairs = live[table].iter().zip(&replay[table]);
        let first = pairs.into_iter().find(|(live, replay)| live != replay);
        assert!(
            first.is_none() && live[table].len() == replay[table].len(),
            "round {seed}: {table} differ: {} live, {} replayed rows; {first:?}\n{}",
            live[table].len(),
            replay[table].len(),
            home.daemon_log()
        );
    }
}

/// Writes the lines in pieces, rotating and killing at random, and returns the final database.
fn live_run(home: &Home, random: &mut Random, lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut daemon = home.run(&["-v"]);
    // A file that was rotated away before the first start is not followed: begin with one that is.
    let (first, mut rest) = lines.split_at(1);
    home.append("logs/access.log", first.concat());
    wait_until("the first line is committed", || home.committed_lines() == 1);
    let mut rotations = 0;
    while !rest.is_empty() {
        let n = usize::try_from(1 + random.below(60)).unwrap().min(rest.len());
        let (now, later) = rest.split_at(n);
        rest = later;
        let bytes = now.concat();
        // A write may end in the middle of a line.
        let cut = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        home.append("logs/access.log", &bytes[..cut]);
        match random.below(8) {
            0 => {
                daemon.kill();
                daemon = home.run(&["-v"]);
            }
            1 => std::thread::sleep(std::time::Duration::from_millis(random.below(30))),
            _ => {}
        }
        home.append("logs/access.log", &bytes[cut..]);
        if random.below(6) == 0 {
            rotations += 1;
            rotate(home, rotations);
        }
    }
    let total = lines.len() as u64;
    wait_until("all lines are committed", || home.committed_lines() >= total);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    dump(&home.path("state/tokenwatch.db"))
}

/// As logrotate does it with `create`: the youngest old file is `.1`.
fn rotate(home: &Home, rotations: u32) {
    for n in (1..rotations).rev() {
        let (from, to) = (format!("logs/access.log.{n}"), format!("logs/access.log.{}", n + 1));
        fs::rename(home.path(from), home.path(to)).expect("rename");
    }
    fs::rename(home.path("logs/access.log"), home.path("logs/access.log.1")).expect("rename");
}
