//! What is counted of many tokens at once, and still holds the address or the name of each for a while: the callers of
//! a log, and who took to something new.
//!
//! None of it is found by a token. When one is forgotten, all of it goes, and counting begins anew.

use rusqlite::{Connection, params};

use crate::engine::health::Log;
use crate::engine::house::House;

use super::codec::get_lossy;
use super::{commit, recall};

/// Forgets these addresses and names. What cannot be read is left to whoever resets it.
pub(super) fn forget_names(db: &Connection) -> rusqlite::Result<()> {
    let (mut house, _) = House::restore(&recall::house(db)?);
    house.forget_names();
    commit::furnish(db, &house.take())?;
    forget_callers(db)
}

fn forget_callers(db: &Connection) -> rusqlite::Result<()> {
    let mut find = db.prepare("SELECT stream, health FROM stream WHERE health <> ''")?;
    let rows = find.query_map([], |row| Ok((row.get("stream")?, get_lossy(row, "health")?)))?;
    let rows: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
    let mut put = db.prepare("UPDATE stream SET health = ?2 WHERE stream = ?1")?;
    for (stream, health) in rows {
        if let Some(mut log) = Log::decode(&health) {
            log.callers.forget_addresses();
            put.execute(params![stream, log.encode()])?;
        }
    }
    Ok(())
}
