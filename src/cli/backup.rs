//! The backup after a command that gave something up: it must not keep that for a day.

use tracing::warn;

use crate::store::{Store, StoreError, backed_up, backup_of, remove_backup};

/// Makes a new backup in the place of the old one, if there is one: that contains what was given up since.
pub(super) fn renew(store: &Store) -> Result<(), StoreError> {
    let path = store.path();
    if backed_up(path).is_none() {
        return Ok(());
    }
    match store.backup(&backup_of(path)) {
        Err(error) if error.is_damage_of(path) => Err(error),
        Err(error) => {
            warn!(%error, "No backup can be made now; the old one is removed, and the daemon makes the next.");
            remove_backup(path)
        }
        Ok(()) => Ok(()),
    }
}
