//! Tests of forgetting: what is gone, in tables and in the bytes of the files, and what must stay.

use serde_json::json;

use super::*;
use crate::engine::commit::HouseRow;
use crate::engine::detect::Health;
use crate::engine::health::Log;
use crate::engine::line::Tally;
use crate::engine::profile::tests::usage;
use crate::engine::registry::Registered;
use crate::engine::usage::Usage;
use crate::engine::word::Verdict;
use crate::store::Ack;
use crate::store::sample::{NOON, commit_of, id, incident_commit, registered, state, subject};

const TABLES: [&str; 10] = [
    "token",
    "profile",
    "activity",
    "facets",
    "registry",
    "lifecycle",
    "alert",
    "incident",
    "outbox",
    "ack",
];

fn rows(store: &Store) -> Vec<(&'static str, i64)> {
    let count = |table: &&'static str| {
        let sql = format!("SELECT count(*) FROM {table}");
        (*table, store.db.query_row(&sql, [], |row| row.get(0)).unwrap())
    };
    TABLES.iter().map(count).filter(|(_, n_rows)| *n_rows > 0).collect()
}

#[test]
fn nothing_remains_of_a_forgotten_token_and_everything_of_others() {
    let mut store = Store::in_memory().unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    store.register(&[registered(Some(1), "")], "", NOON).unwrap();
    store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
    let ack = |subject: &str| Ack {
        subject: subject.into(),
        verdict: Verdict::Expected,
        note: String::new(),
        at: NOON,
    };
    store.ack(&ack("i"), None).unwrap();
    let before = rows(&store);
    assert_eq!(before.len(), TABLES.len());
    assert!(!store.forget(&Who::Token(id(2))).unwrap());
    assert_eq!(rows(&store), before);
    assert!(store.forget(&Who::Token(id(1))).unwrap());
    assert_eq!(rows(&store), []);
    assert_eq!(store.registry_version().unwrap(), 2);
}

/// Returns the files of a directory that contain a text.
fn files_with(directory: &std::path::Path, text: &str) -> Vec<std::ffi::OsString> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let has = |path: std::path::PathBuf| {
        memchr::memmem::find(&std::fs::read(path).unwrap(), text.as_bytes()).is_some()
    };
    files.filter(|file| has(file.path())).map(|file| file.file_name()).collect()
}

#[test]
fn what_was_forgotten_could_still_be_read_in_the_files() {
    const NAME: &str = "the-bot-of-ann";
    let (directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    // Somebody else has the database open: closing this connection alone moves nothing.
    let other = Store::open(&path).unwrap();
    let mut commit = commit_of(&[1]);
    commit.subjects.push(subject(NAME, 1));
    store.commit(&commit, NOON).unwrap();
    store.register(&[registered(Some(1), NAME)], "", NOON).unwrap();
    assert!(!files_with(directory.path(), NAME).is_empty());
    store.forget(&Who::Principal(NAME.into())).unwrap();
    store.forget_again().unwrap();
    assert_eq!(files_with(directory.path(), NAME), [""; 0]);
    drop(other);
}

#[test]
fn earlier_versions_of_what_was_forgotten_stayed_in_unused_parts_of_the_database() {
    const NAME: &str = "the-bot-of-ann";
    let (directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    for n in 0..50 {
        let name = format!("{NAME}-{n}");
        let mut commit = commit_of(&[1]);
        commit.subjects = vec![subject(&name, 1)];
        commit.subjects[0].blob = name.repeat(1 + n * 20).into_bytes();
        store.commit(&commit, NOON).unwrap();
        let notes = "at will ".repeat(n * 7 % 50).into();
        store.register(&[Registered { notes, ..registered(Some(1), &name) }], "", NOON).unwrap();
    }
    store.forget(&Who::Token(id(1))).unwrap();
    assert!(!store.is_compaction_due().unwrap(), "it is forgotten once more first");
    store.forget_again().unwrap();
    assert_eq!(files_with(directory.path(), NAME), ["tokenwatch.db"]);
    assert!(store.is_compaction_due().unwrap());
    assert!(store.compact().unwrap());
    assert!(!store.is_compaction_due().unwrap());
    assert_eq!(files_with(directory.path(), NAME), [""; 0]);
    assert!(store.verify().is_ok());
}

#[test]
fn what_is_counted_of_many_held_addresses_and_names_of_forgotten_ones() {
    const ADDRESS: &str = "198.51.100.77";
    let changes = |name: &str, shared: Option<(i64, i64)>| {
        let arrivals = [json!({"who": 7, "name": name, "at": 29_923_920})];
        json!({"arrivals": &arrivals[..name.len().min(1)], "shared": shared})
    };
    let body =
        json!({"network:64500": changes("ann", None), "client:7": changes("", Some((1, 2)))});
    let mut log = Log::default();
    let used = Usage { client: ADDRESS.parse().ok(), ..usage(NOON.0) };
    log.callers.call(&used, || 7, &Health::default());
    let mut commit = commit_of(&[1, 2]);
    commit.streams[0].health = log.encode();
    assert!(commit.streams[0].health.contains(ADDRESS));
    commit.house =
        vec![HouseRow { name: "changes".into(), body: serde_json::to_vec(&body).unwrap() }];
    let mut store = Store::in_memory().unwrap();
    let held = |store: &Store| {
        let health = store.streams().unwrap().remove(0).health;
        let house = String::from_utf8(store.house().unwrap().remove(0).body).unwrap();
        let is_shared = house.contains("client:7");
        (health.contains(ADDRESS), house.contains("ann"), is_shared, Log::decode(&health).is_some())
    };
    store.commit(&commit, NOON).unwrap();
    assert!(!store.forget(&Who::Token(id(3))).unwrap());
    assert_eq!(held(&store), (true, true, true, true), "nobody was forgotten");
    store.forget(&Who::Token(id(1))).unwrap();
    assert_eq!(held(&store), (false, false, true, true));
    // Whoever has them in memory writes them once more.
    commit.streams[0].before = commit.streams[0].position.offset;
    commit.streams[0].tally = Tally::default();
    store.commit(&commit, NOON).unwrap();
    assert!(store.forget_again().unwrap());
    assert_eq!(held(&store), (false, false, true, true));
    assert!(!store.forget_again().unwrap());
}

#[test]
fn what_was_still_in_memory_came_back_with_the_next_commit() {
    let mut commit = commit_of(&[1, 2]);
    commit.subjects = vec![subject("billing", 1)];
    commit.ledger.tokens.get_mut(&id(1)).unwrap().principal = "billing".into();
    for who in [Who::Token(id(1)), Who::Principal("billing".into())] {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit, NOON).unwrap();
        assert!(store.forget(&who).unwrap());
        store.commit(&commit, NOON).unwrap();
        let left = |store: &Store| {
            let n_profiles = store.recall_subjects(&["billing".into()]).unwrap().len();
            (n_profiles, store.stats().unwrap().tokens)
        };
        assert_eq!(left(&store), (1, 2));
        store.forget_again().unwrap();
        assert_eq!(left(&store), (0, 1), "{who:?}");
        // It is over: what is used from now on is new.
        store.commit(&commit, NOON).unwrap();
        store.forget_again().unwrap();
        assert_eq!(left(&store), (1, 2));
    }
}

#[test]
fn what_was_registered_after_it_was_forgotten_went_too() {
    let mut store = Store::in_memory().unwrap();
    let rows = [registered(Some(1), "ci"), registered(Some(2), "web")];
    store.register(&rows, "", NOON).unwrap();
    store.commit(&commit_of(&[1, 2]), NOON).unwrap();
    store.forget(&Who::Principal("ci".into())).unwrap();
    store.forget(&Who::Token(id(2))).unwrap();
    let again = [registered(Some(3), "ci"), registered(Some(2), "web")];
    store.register(&again, "", NOON).unwrap();
    store.commit(&commit_of(&[1, 2]), NOON).unwrap();
    store.forget_again().unwrap();
    assert_eq!((store.registry().unwrap().len(), store.stats().unwrap().tokens), (2, 1));
}

#[test]
fn an_alert_of_many_that_names_a_forgotten_principal_goes_with_it() {
    let mut store = Store::in_memory().unwrap();
    store.register(&[registered(None, "web"), registered(None, "ci")], "", NOON).unwrap();
    let mut commit = incident_commit("i", 1, 1);
    for alert in &mut commit.alerts {
        (alert.principal, alert.token) = ("fleet".into(), None);
        alert.reason = "is used by 3 principals so far: ci-2, web, web-2; a thief".into();
    }
    store.commit(&commit, NOON).unwrap();
    let has_alerts = |store: &Store| rows(store).iter().any(|(table, _)| *table == "alert");
    store.forget(&Who::Principal("ci".into())).unwrap();
    assert!(has_alerts(&store), "ci-2 is somebody else");
    store.forget(&Who::Principal("web".into())).unwrap();
    assert!(!has_alerts(&store));
}

#[test]
fn a_long_name_and_the_fifth_of_more_stayed_in_alerts_of_many() {
    let long = format!("jwt:https://login.example.com/{0}/v2.0:{0}", "0".repeat(36));
    let cut: String = long.chars().take(64).collect();
    let reason = format!("by 9 principals so far: a, {cut}, b, c, ci and 4 more; a thief");
    for (name, is_named) in [
        (long.as_str(), true),
        ("ci", true),
        ("a", true),
        ("jwt:https://login.example.com/", false),
        ("c", true),
        ("9", false),
        ("more", false),
    ] {
        let mut store = Store::in_memory().unwrap();
        let mut commit = incident_commit("i", 1, 1);
        for alert in &mut commit.alerts {
            (alert.principal, alert.token) = ("fleet".into(), None);
            alert.reason.clone_from(&reason);
        }
        store.commit(&commit, NOON).unwrap();
        store.forget(&Who::Principal(name.into())).unwrap();
        assert_eq!(store.stats().unwrap().alerts == 0, is_named, "{name}");
    }
}

#[test]
fn the_alerts_of_a_forgotten_principal_go_whatever_token_they_are_of() {
    let of = |token: Option<u8>, principal: &str| {
        let mut store = Store::in_memory().unwrap();
        let mut commit = incident_commit("i", token.unwrap_or_default(), 1);
        for alert in &mut commit.alerts {
            alert.principal = principal.into();
            alert.token = alert.token.take().filter(|_| token.is_some());
        }
        store.commit(&commit, NOON).unwrap();
        move |who: &Who| {
            store.forget(who).unwrap();
            rows(&store).iter().all(|(table, _)| *table != "alert")
        }
    };
    let named = |name: &str| Who::Principal(name.into());
    let own = id(1).to_string();
    for token in [None, Some(1), Some(2)] {
        for principal in [own.as_str(), "ci"] {
            assert!(of(token, principal)(&named(principal)), "{token:?} {principal}");
            assert!(!of(token, principal)(&named("web")), "{token:?} {principal}");
        }
    }
    assert!(!of(Some(1), "ci")(&named(&own)));
}

#[test]
fn the_alerts_of_one_principal_are_found_without_walking_over_all() {
    let store = Store::in_memory().unwrap();
    for (sql, index) in [
        (DROP_OTHER, "alert_principal"),
        (DROP_MENTIONS, "alert_principal"),
        (DROP_OWN, "alert_token"),
    ] {
        let plan = store.plan(sql);
        assert!(plan.contains(&format!("SEARCH alert USING INDEX {index}")), "{plan}");
    }
}

#[test]
fn a_shared_principal_stays_until_its_last_token_goes() {
    let mut store = Store::in_memory().unwrap();
    let mut commit = commit_of(&[1, 2]);
    commit.subjects = vec![subject("billing", 1)];
    for token in commit.ledger.tokens.values_mut() {
        token.principal = "billing".into();
    }
    store.commit(&commit, NOON).unwrap();
    let rows = [registered(Some(1), "billing"), registered(Some(2), "billing")];
    store.register(&rows, "", NOON).unwrap();
    let profiles = |store: &Store| store.recall_subjects(&["billing".into()]).unwrap().len();
    store.forget(&Who::Token(id(1))).unwrap();
    assert_eq!((profiles(&store), store.stats().unwrap().tokens), (1, 1));
    store.forget(&Who::Token(id(2))).unwrap();
    assert_eq!((profiles(&store), store.stats().unwrap().tokens), (0, 0));
}

#[test]
fn a_forgotten_name_takes_all_its_tokens_with_it() {
    let mut store = Store::in_memory().unwrap();
    let mut commit = commit_of(&[1, 2]);
    commit.subjects.push(subject("billing", 1));
    store.commit(&commit, NOON).unwrap();
    let named = [registered(Some(1), "billing"), registered(Some(2), "billing")];
    store.register(&named, "", NOON).unwrap();
    store.register(&[registered(None, "billing")], "", NOON).unwrap();
    assert!(store.forget(&Who::Principal("billing".into())).unwrap());
    assert_eq!(rows(&store), []);
}
