//! Scenarios: what people and programs do over weeks, and which alerts that must and must not raise.
//!
//! Each `NAME.scn` is a story (README.md describes the grammar). It is written out as a log, with its own registry and
//! GeoIP files, and the real program replays it. From level medium on, every alert must be one that the scenario asks
//! for. `SCENARIO=NAME cargo test --test scenarios` runs one alone and prints all alerts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on must end"
)]

mod order;
mod play;
mod random;
#[path = "../../src/atlas/sample.rs"]
mod sample;
mod story;
mod told;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use story::Story;

/// Returns the scenarios' files, by name.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(root).expect("tests/scenarios").map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "scn")).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Writes a story out and has the program replay it; returns the alerts.
fn replay(story: &Story) -> Vec<Value> {
    let home = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| home.path().join(name);
    story.world.write(home.path());
    fs::write(path("registry.csv"), story.registry()).expect("registry");
    fs::write(path("access.log"), play::lines(story)).expect("log");
    let config = format!(
        "state_dir = \"state\"\n[tokens]\nsensitive = {:?}\n[geoip]\ncity = \"City.mmdb\"\nasn = \"ASN.mmdb\"\n",
        story.sensitive
    );
    fs::write(path("tokenwatch.toml"), config).expect("configuration");
    let output = Command::new(env!("CARGO_BIN_EXE_tokenwatch"))
        .arg("--config")
        .arg(path("tokenwatch.toml"))
        .args(["--json", "replay", "--registry"])
        .args([path("registry.csv"), path("access.log")])
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM")
        .stderr(Stdio::piped())
        .output()
        .expect("start");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", story.name);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Runs one scenario; returns what is wrong with it.
fn run(path: &Path, is_shown: bool) -> Vec<String> {
    let name = name(path);
    let story = match Story::parse(&name, &fs::read_to_string(path).expect("scenario")) {
        Ok(story) => story,
        Err(fault) => return vec![fault],
    };
    let alerts: Vec<told::Told> =
        replay(&story).iter().map(|a| told::Told::of(a, &story)).collect();
    if is_shown {
        alerts.iter().for_each(|alert| println!("{alert}"));
    }
    told::faults(&story, &alerts)
}

/// Runs all scenarios, or those that are asked for, in as many threads as there are processors.
fn for_all(run: impl Fn(&Path, bool) -> Vec<String> + Sync) {
    #[expect(clippy::disallowed_methods, reason = "which scenario to look at, no setting of ours")]
    let one = std::env::var("SCENARIO").ok();
    let is_asked = |path: &PathBuf| one.as_ref().is_none_or(|one| name(path).contains(one));
    let files: Vec<PathBuf> = files().into_iter().filter(is_asked).collect();
    assert!(!files.is_empty(), "no scenario of that name");
    let (queue, faults) = (Mutex::new(files), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = queue.lock().unwrap().pop();
            let Some(path) = next else { return };
            let wrong = run(&path, one.is_some());
            faults.lock().unwrap().extend(wrong);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_scenario_tells_what_it_must_and_nothing_else() {
    for_all(run);
}

#[test]
fn lines_that_come_in_another_order_or_twice_tell_the_same() {
    #[expect(clippy::disallowed_methods, reason = "how long to look, no setting of ours")]
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    for_all(|path, _| {
        let story = Story::parse(&name(path), &fs::read_to_string(path).expect("scenario"));
        story.map_or_else(|fault| vec![fault], |story| order::faults(&story, seeds))
    });
}

#[test]
fn every_alert_kind_has_a_scenario_in_which_it_must_be_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stories: Vec<Story> = files()
        .iter()
        .filter_map(|path| Story::parse(&name(path), &fs::read_to_string(path).unwrap()).ok())
        .collect();
    let asked: Vec<&str> = stories
        .iter()
        .flat_map(Story::wanted)
        .map(|expectation| expectation.rule.as_str())
        .collect();
    let rules = fs::read_dir(root.join("rules")).expect("rules").map(|entry| entry.unwrap().path());
    let missing: Vec<String> = rules
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .map(|path| name(&path))
        .filter(|rule| !asked.contains(&rule.as_str()))
        .collect();
    assert!(missing.is_empty(), "no scenario must tell {missing:?}");
}
