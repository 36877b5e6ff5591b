//! The monitor's own problems, by the clock: lines from a wrong clock, logs that are read too late, old GeoIP data,
//! mails that cannot be sent. A replay has no clock of arrival, and checks none of these.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use smol_str::ToSmolStr;

use crate::atlas::Reloading;
use crate::daemon::recovery;
use crate::daemon::worker::{Delivery, Worker};
use crate::engine::detect::{Eye, Strain};
use crate::engine::health::principal;
use crate::engine::reader::Reading;
use crate::engine::reserved::Reserved;
use crate::engine::time::Timestamp;
use crate::engine::visible;
use crate::store::StoreError;
use crate::store::mend::Damage;

/// Interval between checks.
const EVERY: Duration = Duration::from_secs(10);

/// The watched parts, and what was found since the last check.
pub struct Strains {
    atlas: Arc<Reloading>,
    /// By how many microseconds each log's latest batch was ahead of the clock, if it had an impossible time.
    pub(super) heard: BTreeMap<Arc<Path>, Option<i64>>,
    asked: Option<Duration>,
    /// A lost database; the loop's first turn reports it.
    lost: Option<Strain>,
}

impl Strains {
    /// Watches this atlas, and checks whether the database was lost.
    #[must_use]
    pub fn new(atlas: Arc<Reloading>, database: &Path, now: Timestamp) -> Self {
        // Each loss has its own principal: a restored backup may know of an earlier one.
        let lost = Damage::last(database, now).map(|damage| Strain {
            principal: Reserved::Database(&damage.time.seconds().to_string()).to_smolstr(),
            eye: Eye::Database,
            about: recovery::told(&damage, database),
            cause: String::new(),
            micros: 1,
        });
        Self { atlas, heard: BTreeMap::new(), asked: None, lost }
    }

    /// Forgets logs that are not to be kept.
    pub fn drop_logs(&mut self, is_kept: impl Fn(&Path) -> bool) {
        self.heard.retain(|path, _| is_kept(path));
    }

    /// Notes how far the impossible times of a log's batch are ahead of the clock.
    pub fn note(&mut self, log: Arc<Path>, reading: &Reading, now: Timestamp) {
        if reading.tally.lines == 0 {
            // What has no lines says nothing about their times.
            return;
        }
        let ahead = reading.bad_times.newest.map(|newest| newest.since(now));
        self.heard.insert(log, ahead);
    }

    /// Reports new problems to the worker, every ten seconds. `lags` returns how far behind each log is.
    ///
    /// # Errors
    /// Those of the store.
    pub fn ask(
        &mut self,
        worker: &mut Worker,
        lags: impl FnOnce(Duration) -> BTreeMap<PathBuf, Duration>,
        monotonic: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.asked.is_some_and(|asked| monotonic < asked + EVERY) {
            return Ok(());
        }
        // Without a mail server, mails queued earlier wait for one, and that is no problem.
        let queued = match worker.delivery {
            Delivery::Mail => worker.store.oldest_mail()?,
            Delivery::Silent | Delivery::Past => None,
        };
        self.asked = Some(monotonic);
        let of_log = |eye: Eye, path: &Path, micros: i64| Strain {
            principal: principal(path),
            eye,
            about: visible::path(path),
            cause: String::new(),
            micros,
        };
        let of_clock = |(path, ahead): (&Arc<Path>, &Option<i64>)| {
            of_log(Eye::Clock, path, ahead.unwrap_or_else(|| worker.skew(path)))
        };
        let mut strains: Vec<Strain> = self.heard.iter().map(of_clock).collect();
        strains.extend(lags(monotonic).into_iter().map(|(path, lag)| {
            let micros = i64::try_from(lag.as_micros()).unwrap_or(i64::MAX);
            let cause = if lag.is_zero() { String::new() } else { refusal(&path) };
            Strain { cause, ..of_log(Eye::Lag, &path, micros) }
        }));
        // The built-in table is as old as the program, so only a configured file can be too old.
        strains.extend(self.atlas.files().into_iter().filter_map(|layer| {
            let about = layer.path?.to_string_lossy().into_owned();
            let built = Timestamp::from_seconds(i64::try_from(layer.built?).ok()?);
            let principal = Reserved::Geoip(&about).to_smolstr();
            let (eye, cause) = (Eye::Atlas, String::new());
            Some(Strain { principal, eye, about, cause, micros: now.since(built) })
        }));
        strains.push(Strain {
            principal: Reserved::Mails.to_smolstr(),
            eye: Eye::Mail,
            about: "mails".to_owned(),
            cause: String::new(),
            micros: queued.map_or(0, |queued| now.since(queued)),
        });
        strains.extend(self.lost.clone());
        worker.strain(&strains, now);
        Ok(())
    }
}

/// Returns why a log cannot be opened; empty if it can, or if it is not a regular file: opening a pipe waits for its
/// writer.
fn refusal(path: &Path) -> String {
    let opened = match fs::metadata(path) {
        Ok(found) if found.is_file() => File::open(path).map(drop),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    opened.err().map(|error| error.to_string()).unwrap_or_default()
}
