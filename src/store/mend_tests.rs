//! Tests of opening what may be damaged: what replaces it, what is kept of it, and that a kill at any step is repaired.

use std::time::SystemTime;

use super::*;
use crate::engine::time::HOUR;
use crate::store::sample::{NOON, commit_of, state};

/// A database of 200 tokens, and its backup with 100 of them.
fn lived() -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    store.commit(&commit_of(&(0..100).collect::<Vec<u8>>()), NOON).unwrap();
    store.backup(&backup_of(&path)).unwrap();
    store.commit(&commit_of(&(100..200).collect::<Vec<u8>>()), NOON).unwrap();
    (directory, path)
}

fn damage(path: &Path, from: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(from).for_each(|byte| *byte = 0xa5);
    fs::write(path, bytes).unwrap();
}

fn tokens(path: &Path) -> (u64, Option<Outcome>) {
    let (store, damage) = open(path, Start::Later, NOON).unwrap();
    (store.stats().unwrap().tokens, damage.map(|damage| damage.outcome))
}

#[test]
fn a_whole_database_is_opened_as_it_is() {
    let (_directory, path) = lived();
    assert_eq!(tokens(&path), (200, None));
    assert!(Damage::last(&path, NOON).is_none());
    // A database that was suspected, or replaced by hand since, is checked, and that is all.
    let why = StoreError::Absent { path: path.clone() };
    suspect(&path, &why).unwrap();
    assert!(is_suspect(&path));
    assert_eq!(tokens(&path), (200, None));
    assert!(!is_suspect(&path));
}

#[test]
fn damage_that_no_check_finds_twice_in_a_row_brings_the_backup_back_once() {
    let (_directory, path) = lived();
    let why = StoreError::Absent { path: path.clone() };
    suspect(&path, &why).unwrap();
    assert_eq!(tokens(&path), (200, None));
    absolve(&path).unwrap();
    suspect(&path, &why).unwrap();
    assert_eq!(tokens(&path), (200, None), "a run between them ended well");
    suspect(&path, &why).unwrap();
    let made = backed_up(&path).unwrap();
    assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))));
    assert_eq!(Damage::last(&path, NOON).unwrap().detail, why.to_string());
    for _ in 0..3 {
        suspect(&path, &why).unwrap();
        assert_eq!(tokens(&path), (100, None), "the same backup is of no use");
    }
}

#[test]
fn without_a_backup_what_no_check_finds_is_left_as_it_is() {
    let (_directory, path) = lived();
    fs::remove_file(backup_of(&path)).unwrap();
    for _ in 0..3 {
        suspect(&path, &StoreError::Absent { path: path.clone() }).unwrap();
        assert_eq!(tokens(&path), (200, None));
    }
}

#[test]
fn the_backup_takes_the_place_of_what_is_damaged_empty_or_gone() {
    for how in ["head", "middle", "empty", "gone"] {
        let (_directory, path) = lived();
        match how {
            "head" => damage(&path, 0),
            "middle" => damage(&path, 8192),
            "empty" => fs::write(&path, "").unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        let made = backed_up(&path).unwrap();
        assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))), "{how}");
        let noted = Damage::last(&path, NOON).unwrap();
        assert_eq!(noted.aside(&path).is_some(), ["head", "middle"].contains(&how));
        assert_eq!(tokens(&path), (100, None), "{how}");
        fs::remove_file(aside_of(&path, NOON)).ok();
        assert_eq!(Damage::last(&path, NOON).is_none(), noted.found == Ruin::Damaged);
        assert!(Damage::last(&path, NOON.plus(SHOWN)).is_none());
    }
}

#[test]
fn without_a_whole_backup_a_new_one_begins_and_says_so() {
    let (_directory, path) = lived();
    damage(&path, 0);
    damage(&backup_of(&path), 8192);
    assert_eq!(tokens(&path), (0, Some(Outcome::AnewForBadBackup)));
    fs::remove_file(&path).unwrap();
    fs::remove_file(aside_of(&backup_of(&path), NOON)).unwrap();
    assert_eq!(tokens(&path), (0, Some(Outcome::Anew)));
    fs::remove_file(&path).unwrap();
    let (_, first) = open(&path, Start::First, NOON).unwrap();
    assert_eq!(first, None, "a first start is no loss");
}

#[test]
fn a_damaged_backup_went_on_counting_as_the_backup_for_a_day() {
    let (_directory, path) = lived();
    damage(&path, 0);
    damage(&backup_of(&path), 8192);
    let damaged = fs::read(backup_of(&path)).unwrap();
    let (mut store, lost) = open(&path, Start::Later, NOON).unwrap();
    let aside = lost.unwrap().aside_backup(&path).unwrap();
    assert_eq!(aside, beside(&path, &format!(".backup.damaged-{}", NOON.seconds())));
    assert_eq!(fs::read(aside).unwrap(), damaged);
    assert_eq!(backed_up(&path), None);
    store.commit(&commit_of(&[1]), NOON).unwrap();
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    let since = made.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let made = Timestamp::from_seconds(i64::try_from(since).unwrap());
    assert!(!store.is_backup_due(made.plus(HOUR / 2)).unwrap());
    assert!(store.is_backup_due(made.plus(2 * HOUR)).unwrap(), "as after a first start");
}

#[test]
fn a_damaged_backup_that_was_moved_before_a_kill_is_still_told() {
    let (_directory, path) = lived();
    damage(&path, 0);
    damage(&backup_of(&path), 8192);
    let found = look(&path, Start::Later, NOON).unwrap().unwrap();
    found.write(&path).unwrap();
    set_aside(&path, NOON).unwrap();
    assert_eq!(
        restore(&path, NOON, &found).unwrap(),
        Outcome::AnewForBadBackup,
        "killed before this is noted"
    );
    assert_eq!(tokens(&path), (0, Some(Outcome::AnewForBadBackup)));
}

#[test]
fn what_was_cut_short_is_finished_wherever_it_was_cut() {
    let (_directory, path) = lived();
    damage(&path, 4096);
    fs::write(beside(&path, "-wal"), "what it held").unwrap();
    let note =
        Damage { time: NOON, found: Ruin::Damaged, detail: String::new(), outcome: Outcome::Open };
    let aside = aside_of(&path, NOON);
    let steps: [&dyn Fn(); 5] = [
        &|| note.write(&path).unwrap(),
        &|| fs::rename(beside(&path, "-wal"), beside(&aside, "-wal")).unwrap(),
        &|| fs::rename(&path, &aside).unwrap(),
        &|| fs::write(beside(&path, ".restoring"), "half a copy").unwrap(),
        &|| fs::rename(beside(&path, ".restoring"), &path).unwrap(),
    ];
    let damaged = fs::read(&path).unwrap();
    for n in 1..=steps.len() {
        steps.iter().take(n).for_each(|step| step());
        if n == steps.len() {
            fs::copy(backup_of(&path), &path).unwrap();
        }
        let (n_tokens, outcome) = tokens(&path);
        assert_eq!(n_tokens, 100, "{n}");
        assert!(matches!(outcome, Some(Outcome::Restored(_))), "{n}");
        assert_eq!(fs::read(&aside).unwrap(), damaged, "{n}");
        assert_eq!(fs::read(beside(&aside, "-wal")).unwrap(), b"what it held", "{n}");
        fs::rename(&aside, &path).unwrap();
        fs::rename(beside(&aside, "-wal"), beside(&path, "-wal")).unwrap();
    }
}

#[test]
fn a_database_that_was_gone_is_restored_once_wherever_that_was_cut() {
    let (_directory, path) = lived();
    fs::remove_file(&path).unwrap();
    let note =
        Damage { time: NOON, found: Ruin::Gone, detail: String::new(), outcome: Outcome::Open };
    let steps: [&dyn Fn(); 4] = [
        &|| note.write(&path).unwrap(),
        &|| fs::write(beside(&path, ".restoring"), "half a copy").unwrap(),
        &|| {
            fs::copy(backup_of(&path), beside(&path, ".restoring")).unwrap();
        },
        &|| fs::rename(beside(&path, ".restoring"), &path).unwrap(),
    ];
    let made = backed_up(&path).unwrap();
    for n in 1..=steps.len() {
        steps.iter().take(n).for_each(|step| step());
        assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))), "{n}");
        assert!(!aside_of(&path, NOON).exists(), "{n}: the copy stays");
        fs::remove_file(&path).unwrap();
    }
}

/// Leaves a database that has no write-ahead log as a kill in the middle of a change would: half changed, beside what
/// undoes that.
fn leave_half_changed(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    // More than the cache holds, so that some of it reaches the file before the end.
    db.execute_batch(
        "PRAGMA cache_size = 10; BEGIN; DELETE FROM token; CREATE TABLE half AS
             WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             SELECT hex(randomblob(100)) FROM n;",
    )
    .unwrap();
    let parts = ["", "-journal"].map(|part| beside(path, part));
    let left = parts.each_ref().map(|part| fs::read(part).unwrap());
    drop(db);
    for (part, bytes) in parts.iter().zip(left) {
        fs::write(part, bytes).unwrap();
    }
}

#[test]
fn a_restored_database_that_was_half_changed_at_a_kill_kept_every_start_away() {
    let (_directory, path) = lived();
    leave_half_changed(&path);
    assert!(matches!(Reader::open(&path), Err(StoreError::Open { .. })));
    assert_eq!(tokens(&path), (200, None));
    assert!(!beside(&path, "-journal").exists());
}

#[test]
fn what_undoes_a_change_of_a_damaged_database_is_set_aside_with_it() {
    let (_directory, path) = lived();
    leave_half_changed(&path);
    fs::write(&path, "no database at all").unwrap();
    let made = backed_up(&path).unwrap();
    assert_eq!(tokens(&path), (100, Some(Outcome::Restored(made))));
    assert_eq!(tokens(&path), (100, None));
}

#[test]
fn what_this_program_does_not_know_is_not_damaged() {
    let (_directory, path) = lived();
    let store = Store::open(&path).unwrap();
    store.db.pragma_update(None, "user_version", 999).unwrap();
    drop(store);
    assert!(matches!(open(&path, Start::Later, NOON), Err(StoreError::Newer { .. })));
    assert!(!beside(&path, ".damage").exists());
}
