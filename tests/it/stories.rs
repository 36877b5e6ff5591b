//! The sample logs, replayed, raise exactly the alerts of their stories.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it stories` rewrites the expected alerts (`stories/NAME.json`); review the
//! changes before you commit them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::program::Home;

/// Ids depend on the seal key, so the stories have one of their own.
const KEY: &str = "the seal key of the stories";

/// From the least to the worst.
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// What is told of one incident, as `stories/NAME.json` has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Incident {
    opened: String,
    principal: String,
    level: String,
    rules: Vec<String>,
    reason: String,
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs")
}

/// Returns the directories of the stories, by name.
fn stories() -> Vec<PathBuf> {
    let entries = fs::read_dir(samples()).expect("sample-logs").map(|entry| entry.unwrap().path());
    let mut stories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    stories.sort();
    stories
}

/// Replays into a fresh state and returns the incidents, by time.
fn replay(path: &Path) -> Vec<Incident> {
    let home = Home::new("");
    fs::create_dir(home.path("state")).expect("state");
    fs::write(home.path("state/seal.key"), KEY).expect("key");
    let alerts = home.json(&["--json", "replay", path.to_str().expect("UTF-8")]);
    let mut by_incident: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for alert in alerts {
        by_incident.entry(text(&alert["incident"])).or_default().push(alert);
    }
    let mut incidents: Vec<Incident> = by_incident.values().map(|alerts| told(alerts)).collect();
    incidents.sort();
    incidents
}

/// What the alerts of one incident come to: the reason is that of the worst, of equals the riskiest.
fn told(alerts: &[Value]) -> Incident {
    let level = |alert: &Value| {
        LEVELS.iter().position(|level| alert["rule"]["level"] == **level).expect("level")
    };
    let worst = alerts
        .iter()
        .rev()
        .max_by_key(|alert| (level(alert), alert["event"]["risk_score"].as_u64()))
        .expect("an incident has an alert");
    let mut rules: Vec<String> = alerts.iter().map(|alert| text(&alert["rule"]["name"])).collect();
    rules.sort();
    rules.dedup();
    Incident {
        opened: alerts.iter().map(|alert| text(&alert["@timestamp"])).min().expect("time"),
        principal: text(&worst["principal"]),
        level: text(&worst["rule"]["level"]),
        rules,
        reason: text(&worst["event"]["reason"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text expected, found {value}")).to_owned()
}

/// Returns the file that says what a story is expected to tell.
fn file_of(story: &Path) -> PathBuf {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stories");
    files.join(story.file_name().expect("a name")).with_extension("json")
}

fn expected(story: &Path) -> Vec<Incident> {
    let path = file_of(story);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn each_story_tells_what_is_expected_and_nothing_else() {
    #[expect(clippy::disallowed_methods, reason = "asks a test to write, no setting of ours")]
    let is_update = std::env::var("UPDATE_EXPECTED").is_ok();
    let stories = stories();
    assert!(stories.len() >= 8, "{stories:?}");
    for story in stories {
        let incidents = replay(&story);
        if is_update {
            let text = serde_json::to_string_pretty(&incidents).expect("JSON");
            fs::write(file_of(&story), text + "\n").expect("what is expected");
        }
        assert_eq!(incidents, expected(&story), "{}", story.display());
    }
}

/// How unusual something is depends on who else is there, so levels may differ; who is told of, and for what,
/// may not.
#[test]
fn all_stories_together_tell_what_each_tells_alone() {
    fn told(incidents: &[Incident]) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut told = BTreeMap::<&str, BTreeSet<&str>>::new();
        for Incident { principal, rules, .. } in incidents {
            told.entry(principal).or_default().extend(rules.iter().map(String::as_str));
        }
        told
    }
    let apart: Vec<Incident> = stories().iter().flat_map(|story| expected(story)).collect();
    assert!(!apart.is_empty());
    assert_eq!(told(&replay(&samples())), told(&apart));
}

#[test]
fn the_quiet_week_is_quiet_and_the_others_are_not() {
    for story in stories() {
        let is_quiet = story.file_name().is_some_and(|name| name == "quiet-week");
        assert_eq!(expected(&story).is_empty(), is_quiet, "{}", story.display());
    }
}
