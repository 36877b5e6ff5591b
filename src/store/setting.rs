//! The program's own numbers, one row each: counters, and when something was last done. What is followed is kept in the
//! same table, by `followed`.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Result, ToSql, params};

use super::codec;

/// Usages judged since the beginning.
pub(super) const USAGES: &str = "usages";

/// Refused usages of unknown tokens, which are only counted.
pub(super) const REFUSED_UNKNOWN: &str = "refused_unknown";

/// Grows with each change to the registry.
pub(super) const REGISTRY_VERSION: &str = "registry_version";

/// Grows with each change to the mutes.
pub(super) const MUTES_VERSION: &str = "mutes_version";

/// Grows with each change to people's words on alerts.
pub(super) const WORDS_VERSION: &str = "words_version";

/// Counts how often something was forgotten.
pub(super) const FORGOTTEN: &str = "forgotten";

/// The value of [`FORGOTTEN`] of which no unused part of the file holds anything any more.
pub(super) const COMPACTED: &str = "compacted";

/// When pruning was last done.
pub(super) const PRUNED: &str = "pruned";

/// The last token that pruning looked at, unless it looked at all.
pub(super) const PRUNE_CURSOR: &str = "prune_cursor";

/// When the last attempt at a backup failed, if none has succeeded since.
pub(super) const BACKUP_FAILED: &str = "backup_failed";

/// When the last bundle of what exceeded the hourly cap was sent.
pub(super) const MAILS_BUNDLED: &str = "mails_bundled";

/// When somebody last accepted a bundle that they had postponed.
pub(super) const BUNDLE_REPEATED: &str = "bundle_repeated";

/// Adds to a counter.
pub(super) fn bump(db: &Connection, name: &str, by: u64) -> Result<()> {
    if by == 0 {
        return Ok(());
    }
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)
        ON CONFLICT (name) DO UPDATE SET value = min(value + excluded.value, 9007199254740991)";
    db.prepare_cached(sql)?.execute(params![name, codec::count(by)]).map(drop)
}

/// Returns a counter.
pub(super) fn count(db: &Connection, name: &str) -> Result<u64> {
    let value: Option<i64> = get(db, name)?;
    Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default())
}

/// Returns a number or a time, if there is one.
pub(super) fn get<T: FromSql>(db: &Connection, name: &str) -> Result<Option<T>> {
    let mut statement = db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
    statement.query_row([name], |row| row.get("value")).optional()
}

/// Replaces a number or a time.
pub(super) fn put(db: &Connection, name: &str, value: impl ToSql) -> Result<()> {
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute(params![name, value]).map(drop)
}

/// Removes a number or a time.
pub(super) fn remove(db: &Connection, name: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM setting WHERE name = ?1")?.execute([name]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Timestamp;
    use crate::store::Store;
    use crate::store::codec::MAX_COUNT;
    use crate::store::sample::NOON;

    #[test]
    fn a_counter_begins_at_zero_and_stops_at_its_limit() {
        let mut store = Store::in_memory().unwrap();
        let counted = store.write("counting", |db| {
            let mut counted = vec![count(db, USAGES)?];
            for by in [2, 0, 3, u64::MAX, 1] {
                bump(db, USAGES, by)?;
                counted.push(count(db, USAGES)?);
            }
            Ok(counted)
        });
        let most = u64::try_from(MAX_COUNT).unwrap();
        assert_eq!(counted.unwrap(), [0, 2, 2, 5, most, most]);
    }

    #[test]
    fn a_time_is_replaced_and_removed() {
        let mut store = Store::in_memory().unwrap();
        store
            .write("noting", |db| {
                assert_eq!(get::<Timestamp>(db, PRUNED)?, None);
                for time in [NOON, Timestamp(-1)] {
                    put(db, PRUNED, time)?;
                    assert_eq!(get(db, PRUNED)?, Some(time));
                }
                remove(db, PRUNED)?;
                assert_eq!(get::<i64>(db, PRUNED)?, None);
                remove(db, PRUNED)
            })
            .unwrap();
    }
}
