//! Tests of migrations: from every version, and cut short.

use super::*;
use crate::engine::ledger::{Facet, Seen};
use crate::store::sample::id;
use crate::store::{Store, Who};

fn shape(db: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn every_version_upgrades_to_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let fresh = Connection::open_in_memory().unwrap();
    upgrade(&fresh, Path::new("fresh")).unwrap();
    for from in 0..=MIGRATIONS.len() {
        let path = directory.path().join(format!("{from}.db"));
        let old = Connection::open(&path).unwrap();
        MIGRATIONS[..from].iter().for_each(|migration| migration.run(&old).unwrap());
        old.pragma_update(None, "user_version", i64::try_from(from).unwrap()).unwrap();
        drop(old);
        drop(Store::open(&path).unwrap());
        let new = Connection::open(&path).unwrap();
        assert_eq!(version(&new, &path).unwrap(), known());
        assert_eq!(shape(&new), shape(&fresh));
    }
}

#[test]
fn the_values_of_tokens_are_those_of_the_rows_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("6.db");
    let old = Connection::open(&path).unwrap();
    MIGRATIONS[..6].iter().for_each(|migration| migration.run(&old).unwrap());
    old.pragma_update(None, "user_version", 6).unwrap();
    old.execute_batch(
        "INSERT INTO facet VALUES
               (1, 0, '192.0.2.7', 5, 9, 3), (1, 2, 'DE', 5, 9, 3),
               (7, 0, '', 1, 4, 2), (7, 0, '192.0.2.9', 2, 2, 1), (7, 99, 'no facet', 2, 2, 1)",
    )
    .unwrap();
    drop(old);
    let store = Store::open(&path).unwrap();
    let values = |number| {
        let seen = facets::of_token(&store.db, number, &Facet::ALL).unwrap().into_iter();
        let row = |Seen { facet, value, span }: Seen| {
            (facet, value.to_string(), [span.first.0, span.last.0], span.count)
        };
        seen.map(row).collect::<Vec<_>>()
    };
    let address = |text: &str, span, count| (Facet::Address, text.to_owned(), span, count);
    let country = (Facet::Country, "DE".to_owned(), [5, 9], 3);
    assert_eq!(values(1), [address("192.0.2.7", [5, 9], 3), country]);
    assert_eq!(values(7), [address("", [1, 4], 2), address("192.0.2.9", [2, 2], 1)]);
    assert_eq!(values(2), []);
}

#[test]
fn alerts_from_before_an_index_are_found_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("8.db");
    let old = Connection::open(&path).unwrap();
    MIGRATIONS[..8].iter().for_each(|migration| migration.run(&old).unwrap());
    old.pragma_update(None, "user_version", 8).unwrap();
    let own = id(1).to_string();
    for (alert, principal) in [("own", own.as_str()), ("other", "ci")] {
        let sql = "INSERT INTO alert (id, incident, time, level, rule, principal, token, body)
                VALUES (?1, 'i', 5, 3, 'new-country', ?2, ?3, '{}')";
        old.execute(sql, (alert, principal, id(1))).unwrap();
    }
    drop(old);
    let mut store = Store::open(&path).unwrap();
    let intact: String =
        store.db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!((intact.as_str(), store.stats().unwrap().alerts), ("ok", 2));
    assert!(store.forget(&Who::Principal("ci".into())).unwrap());
    assert_eq!(store.stats().unwrap().alerts, 1);
    assert!(store.forget(&Who::Principal(own.into())).unwrap());
    assert_eq!(store.stats().unwrap().alerts, 0);
}

#[test]
fn an_upgrade_cut_short_leaves_the_old_version() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("half.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db.execute_batch(V1).unwrap();
    drop(db);
    let db = Connection::open(&path).unwrap();
    assert_eq!(version(&db, &path).unwrap(), 0);
    assert_eq!(upgrade(&db, &path).unwrap(), 0);
    assert_eq!(upgrade(&db, &path).unwrap(), known());
}

#[test]
fn newer_and_foreign_databases_are_left_alone() {
    let db = Connection::open_in_memory().unwrap();
    let path = Path::new("here");
    upgrade(&db, path).unwrap();
    db.pragma_update(None, "user_version", known() + 1).unwrap();
    assert!(matches!(upgrade(&db, path), Err(StoreError::Newer { .. })));
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE somebody (elses)").unwrap();
    assert!(matches!(upgrade(&db, path), Err(StoreError::Foreign { .. })));
}
