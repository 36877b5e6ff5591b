//! The daemon under rotation and SIGKILL: what it has counted, learned and told equals one replay.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

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

/// Everything that the database holds of tokens, principals and alerts, without the places of the lines.
fn dump(database: &Path) -> BTreeMap<String, Vec<String>> {
    let database = Connection::open(database).expect("database");
    let mut all = BTreeMap::new();
    for (name, query) in [
        (
            "tokens",
            "SELECT id, kind, hint, principal, first_seen, last_seen, requests, ok, denied, failed, bytes FROM token ORDER BY id",
        ),
        (
            "activity",
            "SELECT t.id, a.hour, a.requests, a.ok, a.denied, a.failed, a.bytes FROM activity a JOIN token t ON t.number = a.token ORDER BY 1, 2",
        ),
        (
            "facets",
            "SELECT t.id, f.body FROM facets f JOIN token t ON t.number = f.token ORDER BY 1",
        ),
        ("profiles", "SELECT principal, body FROM profile ORDER BY 1"),
        (
            "incidents",
            "SELECT id, principal, opened, last, level, revision, alerts FROM incident ORDER BY 1",
        ),
    ] {
        let mut statement = database.prepare(query).expect(name);
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let mut text = String::new();
            for column in 0..columns {
                write!(text, "{:?} ", row.get_ref(column)?).expect("text");
            }
            Ok(text)
        });
        all.insert(name.to_owned(), rows.expect(name).map(|row| row.expect(name)).collect());
    }
    all.insert("alerts".into(), alerts(&database));
    all
}

fn alerts(database: &Connection) -> Vec<String> {
    let mut statement = database.prepare("SELECT body FROM alert ORDER BY id").expect("alerts");
    let bodies = statement.query_map([], |row| row.get::<_, String>(0)).expect("alerts");
    bodies
        .map(|body| {
            let mut alert: Value = serde_json::from_str(&body.expect("alert")).expect("JSON");
            alert.as_object_mut().expect("object").remove("evidence");
            alert.to_string()
        })
        .collect()
}

#[test]
fn kills_and_rotations_change_nothing() {
    const ROUNDS: u64 = 50;
    for seed in 0..ROUNDS {
        round(seed);
    }
}

fn round(seed: u64) {
    let mut random = Random(seed);
    let lines = story(&mut random);
    let home = Home::new(CONFIG);
    let live = live_run(&home, &mut random, &lines);

    let quiet = Home::new(CONFIG);
    fs::create_dir_all(quiet.path("state")).expect("state");
    fs::copy(home.path("state/seal.key"), quiet.path("state/seal.key")).expect("key");
    fs::write(quiet.path("all.log"), lines.concat()).expect("log");
    quiet.print(&["replay", "--save", "all.log"]);
    let replay = dump(&quiet.path("state/tokenwatch.db"));

    assert!(!replay["alerts"].is_empty(), "the story has alerts");
    for table in ["tokens", "activity", "facets", "profiles", "incidents", "alerts"] {
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
