//! The contents of a database, to compare with another.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

/// Everything that the database holds of tokens, principals, alerts, people's words on them and the house, without the
/// places of the lines; what waits to be mailed or was; how far streams were read, and what is remembered of logs.
pub(crate) fn dump(path: &Path) -> BTreeMap<String, Vec<String>> {
    let database = Connection::open(path).expect("database");
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
        ("words", "SELECT number, principal, body FROM word ORDER BY 1"),
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
    // Logs are named by their paths: those of another home are the same as in this one.
    let home = path.ancestors().nth(2).expect("a state in a home").display().to_string();
    for (name, parts) in [("house", house(&database)), ("health", health(&database))] {
        all.insert(name.into(), parts.iter().map(|part| part.replace(&home, "HOME")).collect());
    }
    all
}

/// What is known beyond one principal, in its parts.
fn house(database: &Connection) -> Vec<String> {
    let sql = "SELECT name || ' ' || CAST(body AS TEXT) FROM house ORDER BY name";
    texts(database, sql)
}

/// What is remembered of each log, without how its lines came beside the clock.
fn health(database: &Connection) -> Vec<String> {
    let logs = texts(database, "SELECT health FROM stream WHERE health <> ''");
    let mut logs: Vec<String> = logs.iter().map(|log| without(log, &["skew"])).collect();
    logs.sort_unstable();
    logs
}

/// A JSON text without the values of these names, however deep.
pub(crate) fn without(text: &str, names: &[&str]) -> String {
    let mut value = serde_json::from_str(text).expect("JSON");
    remove(&mut value, names);
    value.to_string()
}

fn remove(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !names.contains(&name.as_str()));
            object.values_mut().for_each(|value| remove(value, names));
        }
        Value::Array(array) => array.iter_mut().for_each(|value| remove(value, names)),
        _ => {}
    }
}

fn texts(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).expect(sql);
    let rows = statement.query_map([], |row| row.get(0)).expect(sql);
    rows.map(|row| row.expect("text")).collect()
}

fn alerts(database: &Connection) -> Vec<String> {
    texts(database, "SELECT body FROM alert ORDER BY id")
        .iter()
        .map(|body| {
            let mut alert: Value = serde_json::from_str(body).expect("JSON");
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
