//! Recovery of a lost database: the daemon opens the best replacement, and reports it until a person has seen it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::{error, warn};

use crate::clock::now;
use crate::daemon::site::Site;
use crate::daemon::systemd::notify;
use crate::store::mend::{self, Damage, Outcome, Ruin};
use crate::store::{Lock, Store, StoreError};

/// Time to check a database and copy its backup, or to rewrite it: a terabyte on a slow disk takes longer, and then
/// systemd tries again.
const LONGEST: Duration = Duration::from_hours(1);

/// Opens the site's database for the holder of the lock. A damaged, empty or missing one is replaced first; if there
/// never was one, this is a first start.
///
/// # Errors
/// Those of the store.
pub fn open(site: &Site, lock: &mut Lock) -> anyhow::Result<Store> {
    // Ensures that a database without a key has lost it.
    site.key()?;
    site.tidy_keys()?;
    let path = site.database();
    let (store, damage) = mend::open(&path, lock.start(), now())?;
    if let Some(damage) = damage {
        error!(what = told(&damage, &path), "The database was lost.");
    }
    lock.note_run(&site.state)?;
    Ok(store)
}

/// Announces that opening will take a while, if it will.
pub fn announce(site: &Site) {
    let path = site.database();
    if mend::is_suspect(&path) {
        ask_for_time();
        warn!(database = %path.display(), "Damage was found in the database; all of it is checked.");
    }
}

/// Asks systemd for more time to start.
pub fn ask_for_time() {
    let micros = u32::try_from(LONGEST.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Makes the next start check the whole database if its damage ended this run; if that happens twice in a row, the
/// backup is used even if the check finds nothing. A clean end removes the mark.
pub fn note_end<T>(site: &Site, ended: &anyhow::Result<T>) {
    let path = site.database();
    let Err(ended) = ended else {
        if let Err(error) = mend::absolve(&path) {
            warn!(%error, "A mark of an earlier check of the database cannot be removed.");
        }
        return;
    };
    let store = ended.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    let Some(damage) = store.filter(|error| error.is_damage_of(&path)) else { return };
    if let Err(error) = mend::suspect(&path, damage) {
        error!(%error, "The damage cannot be recorded, so the next start may not find it.");
    }
}

/// Returns what happened to a database, in one sentence without a full stop.
#[must_use]
pub fn told(damage: &Damage, path: &Path) -> String {
    let was = match damage.found {
        Ruin::Damaged => format!("was damaged ({})", damage.detail.replace('\n', " ")),
        Ruin::Empty => "was empty".to_owned(),
        Ruin::Gone => "was gone".to_owned(),
    };
    let kept_as = |aside: Option<PathBuf>| {
        aside.map_or_else(String::new, |aside| format!(", and is kept as {}", aside.display()))
    };
    let became = match damage.outcome {
        Outcome::Restored(made) => format!(
            "it was replaced by its backup of {made}; logs are read again from where they were then, and whatever \
             was registered, muted or acknowledged since then must be entered again"
        ),
        Outcome::Anew | Outcome::Open => format!("there was no backup, so {ANEW}"),
        Outcome::AnewForBadBackup => {
            format!("its backup was damaged too{}, so {ANEW}", kept_as(damage.aside_backup(path)))
        }
    };
    format!("the database {} {was}{}: {became}", path.display(), kept_as(damage.aside(path)))
}

/// The consequences of having no backup.
const ANEW: &str = "everything starts over: logs are read as on a first start, and tokens must be registered again";
