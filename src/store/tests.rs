//! Tests of opening, reading and writing, and of what a fault leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::connection::{CACHE_KIB, CHECKPOINT_PAGES};
use super::*;
use crate::engine::time::Timestamp;
use crate::store::sample::{NOON, commit_of, state};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn state_is_for_its_owner_only() {
    let (directory, _) = state();
    let path = directory.path().join("a/b/tokenwatch.db");
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    assert!(store.is_new());
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for ending in ["", "-wal", "-shm"] {
        let file = path.with_file_name(format!("tokenwatch.db{ending}"));
        assert_eq!(mode(&file), 0o600, "{ending}");
    }
    assert!(!Store::open(&path).unwrap().is_new());
}

#[test]
fn a_writer_is_durable_and_in_wal_mode() {
    let (_directory, path) = state();
    let store = Store::open(&path).unwrap();
    let ask = |sql| store.db.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(ask("PRAGMA journal_mode").unwrap(), "wal".to_owned().into());
    assert_eq!(ask("PRAGMA synchronous").unwrap(), 2.into());
    assert_eq!(ask("PRAGMA wal_autocheckpoint").unwrap(), CHECKPOINT_PAGES.into());
}

#[test]
fn a_daemon_kept_as_many_pages_as_a_replay() {
    let (_directory, path) = state();
    let store = Store::open(&path).unwrap();
    let cache = || store.db.query_row("PRAGMA cache_size", [], |row| row.get::<_, i64>(0));
    assert_eq!(cache().unwrap(), -CACHE_KIB);
    store.keep_few_pages().unwrap();
    assert_eq!(cache().unwrap(), -DAEMON_CACHE_KIB);
}

#[test]
fn pages_that_a_statement_might_restore_were_written_to_a_file() {
    let (_directory, path) = state();
    let store = Store::open(&path).unwrap();
    let twin = store.twin().unwrap().unwrap();
    let temp_store = |store: &Store| {
        store.db.query_row("PRAGMA temp_store", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    // 0 is a file if it is large; 2 is memory, however large.
    assert_eq!((temp_store(&store), temp_store(&twin)), (0, 2));
}

#[test]
fn a_reader_tells_apart_what_it_cannot_read() {
    let (_directory, path) = state();
    assert!(matches!(Reader::open(&path), Err(StoreError::Absent { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Reader::open(&path), Err(StoreError::Absent { .. })));
    std::fs::write(&path, "hello, world ".repeat(1000)).unwrap();
    assert!(matches!(Reader::open(&path), Err(StoreError::Corrupt { .. })));
    assert!(matches!(Store::open(&path), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_directory, path) = state();
    let store = Store::open(&path).unwrap();
    store.db.pragma_update(None, "user_version", 999).unwrap();
    drop(store);
    for fault in [Store::open(&path).unwrap_err(), Reader::open(&path).unwrap_err()] {
        assert!(matches!(fault, StoreError::Newer { found: 999, .. }), "{fault}");
        assert!(!fault.is_temporary());
    }
}

#[test]
fn readers_see_the_last_commit_while_a_write_is_open() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    let open = store.db.unchecked_transaction().unwrap();
    open.execute("DELETE FROM token", []).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.stats().unwrap().tokens, 1);
    drop(open);
    store.commit(&commit_of(&[2]), NOON).unwrap();
    assert_eq!(reader.stats().unwrap().tokens, 2);
}

#[test]
fn readers_work_without_a_daemon_and_cannot_write() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    drop(store);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.stats().unwrap().tokens, 1);
    assert!(reader.db.execute("DELETE FROM token", []).is_err());
}

#[test]
fn a_transaction_that_dies_leaves_nothing() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    store.db.execute_batch("BEGIN IMMEDIATE; DELETE FROM token; DELETE FROM stream").unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.stats().unwrap().tokens, 1);
    assert_eq!(store.positions().unwrap().len(), 1);
}

#[test]
fn a_locked_database_is_waited_for_and_the_same_commit_succeeds_later() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.db.busy_timeout(Duration::from_millis(1)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let commit = commit_of(&[1, 2]);
    let fault = store.commit(&commit, NOON).unwrap_err();
    assert!(matches!(fault, StoreError::Busy { .. }) && fault.is_temporary(), "{fault}");
    assert!(Reader::open(&path).unwrap().positions().unwrap().is_empty());
    other.execute_batch("COMMIT").unwrap();
    store.commit(&commit, NOON).unwrap();
    assert_eq!(store.stats().unwrap().tokens, 2);
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_commit_succeeds_later() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    let pages: i64 = store.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages).unwrap();
    let ids: Vec<u8> = (0..200).collect();
    let mut commit = commit_of(&ids);
    commit.subjects.iter_mut().for_each(|row| row.blob = vec![7; 1000]);
    let fault = store.commit(&commit, NOON).unwrap_err();
    assert!(matches!(fault, StoreError::Full { .. }) && fault.is_temporary(), "{fault}");
    assert!(store.positions().unwrap().is_empty());
    store.db.pragma_update(None, "max_page_count", 1 << 20).unwrap();
    store.commit(&commit, NOON).unwrap();
    assert_eq!(store.stats().unwrap().tokens, 200);
    assert_eq!(store.stats().unwrap().usages, 200);
}

#[test]
fn a_damaged_database_is_told_apart_and_set_aside() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&[1]), NOON).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte = 0xa5);
    std::fs::write(&path, bytes).unwrap();
    let fault = Store::open(&path).unwrap_err();
    assert!(matches!(fault, StoreError::Corrupt { .. }) && !fault.is_temporary(), "{fault}");
    let aside = backup::set_aside(&path, Timestamp::from_seconds(7)).unwrap();
    assert!(aside.to_string_lossy().ends_with("tokenwatch.db.damaged-7") && aside.exists());
    assert!(Store::open(&path).unwrap().is_new());
}
