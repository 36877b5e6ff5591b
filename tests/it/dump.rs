//! The contents of a database, to compare with another.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

/// Everything that the database holds of tokens, principals and alerts, without the places of the lines; what waits to be mailed
/// or was; how far streams were read.
pub(crate) fn dump(database: &Path) -> BTreeMap<String, Vec<String>> {
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
        (
            "outbox",
            // `after_alert` depends on when a bundle of what exceeded the cap was made, by the clock.
            "SELECT message_id, principal, incident, revision, day, state, upto_alert FROM outbox WHERE day IS NULL ORDER BY id",
        ),
        (
            "streams",
            "SELECT offset, generation, size, lines, parsed, rejected, usages, parsed_bytes, rejected_bytes, discarded, gap, nuls, began FROM stream ORDER BY offset",
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

/// Fails where the tables of two databases differ.
pub(crate) fn assert_same(one: &Path, other: &Path, why: &str) {
    let (one, other) = (dump(one), dump(other));
    for (table, rows) in &one {
        let first = rows.iter().zip(&other[table]).find(|(one, other)| one != other);
        assert!(
            first.is_none() && rows.len() == other[table].len(),
            "{why}: {table} differ: {} and {} rows; {first:?}",
            rows.len(),
            other[table].len(),
        );
    }
}
