//! Compacting the database after something was forgotten: when its size allows that, and what is said of it.

use tracing::{info, warn};

use crate::daemon::recovery;
use crate::store::{Reader, Store, StoreError};

/// Rewrites the database if unused parts of it may still hold what was forgotten. Logs what is in the way of that.
///
/// # Errors
/// The database is damaged, or cannot be read.
pub fn compact(store: &mut Store) -> Result<(), StoreError> {
    if !store.is_compaction_due()? {
        return Ok(());
    }
    match store.compact() {
        Ok(true) => info!("The database was rewritten without what was forgotten."),
        Ok(false) => {
            warn!(
                "Unused parts of the database still hold what was forgotten: somebody kept reading it."
            );
        }
        Err(error) if error.is_damage_of(store.path()) => return Err(error),
        Err(error) => warn!(%error, "Unused parts of the database still hold what was forgotten."),
    }
    Ok(())
}

/// The same for a database that is not too large to do so beside the loop, whose commits wait.
///
/// # Errors
/// As for [`compact`].
pub fn compact_beside_loop(reader: &Reader) -> Result<(), StoreError> {
    if !reader.is_compaction_due()? || !reader.is_compacted_beside_daemon()? {
        return Ok(());
    }
    compact(&mut Store::open(reader.path())?)
}

/// The same for one that is too large for that, before the loop begins.
///
/// # Errors
/// As for [`compact`].
pub fn compact_before_loop(store: &mut Store) -> Result<(), StoreError> {
    if !store.is_compaction_due()? || store.is_compacted_beside_daemon()? {
        return Ok(());
    }
    recovery::ask_for_time();
    info!("The database is being rewritten without what was forgotten; the start waits.");
    compact(store)
}
