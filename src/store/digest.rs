//! Digests: the mail about what was not mailed at once, queued once a day. Each begins where the one before ended.

use rusqlite::{Connection, params};

use crate::engine::alert::Level;
use crate::engine::time::Timestamp;

use super::alerts::{self, StoredAlert};
use super::outbox::{About, Outgoing};
use super::{Reader, Store, StoreError};

impl Reader {
    /// Returns the alerts of a digest below a level, by time; of another mail, none. A repeat of the
    /// same digest has the same alerts, unless they were pruned, muted or acknowledged meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub fn digest_alerts(
        &self,
        mail: &Outgoing,
        below: Level,
    ) -> Result<Vec<StoredAlert>, StoreError> {
        let About::Digest { after, upto, .. } = &mail.about else { return Ok(Vec::new()) };
        self.read("reading the alerts of a digest", |db| alerts::between(db, *after, *upto, below))
    }
}

impl Store {
    /// Queues the digest of a day, once a day, about the alerts below a level that were committed
    /// since the digest before; tells whether it was queued. A day without such alerts has no mail.
    ///
    /// # Errors
    /// What the database says.
    pub fn queue_digest(
        &mut self,
        day: &str,
        below: Level,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write("queueing a digest", |db| {
            let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
            let after =
                number("SELECT coalesce(max(upto_alert), 0) FROM outbox WHERE day IS NOT NULL")?;
            let upto = number("SELECT coalesce(max(number), 0) FROM alert")?.max(after);
            let n_alerts: i64 = db.query_row(
                "SELECT count(*) FROM alert WHERE number > ?1 AND number <= ?2 AND level < ?3",
                params![after, upto, below],
                |row| row.get(0),
            )?;
            let state = if n_alerts > 0 { "waiting" } else { "empty" };
            let n_queued = db.execute(
                "INSERT INTO outbox (message_id, principal, day, after_alert, upto_alert,
                   created, due, state, attempts, error)
                 VALUES ('digest.' || ?1, '', ?1, ?2, ?3, ?4, ?5, ?6, 0, '')
                 ON CONFLICT (message_id) DO NOTHING",
                params![day, after, upto, now, due, state],
            )?;
            Ok(n_queued > 0 && n_alerts > 0)
        })
    }
}

/// Keeps the alerts that there are so far out of the next digest: as a digest of nothing, which ends here.
pub(super) fn skip(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    // The row of the one before goes: the newest digest is the one that is never pruned.
    let sql = "INSERT OR REPLACE INTO outbox (message_id, principal, day, after_alert, upto_alert,
            created, due, state, attempts, error)
        SELECT 'digest.skipped', '', 'skipped', coalesce(max(number), 0), coalesce(max(number), 0),
            ?1, ?1, 'empty', 0, '' FROM alert";
    db.prepare_cached(sql)?.execute([now]).map(drop)
}

#[cfg(test)]
mod tests {
    use smol_str::SmolStr;

    use super::*;
    use crate::store::sample::{NOON, alert};

    #[test]
    fn a_digest_tells_each_alert_once_and_not_at_all_on_quiet_days() {
        let mut store = Store::in_memory().unwrap();
        let commit = |store: &mut Store, names: &[&str], level| {
            let mut alerts: Vec<_> = names.iter().map(|name| alert(name, "i", 1, NOON)).collect();
            alerts.iter_mut().for_each(|alert| alert.rule.level = level);
            let commit = crate::engine::commit::Commit { alerts, ..Default::default() };
            store.commit(&commit, NOON).unwrap();
        };
        let queue = |store: &mut Store, day: &str| {
            store.queue_digest(day, Level::High, NOON, NOON).unwrap()
        };
        commit(&mut store, &["a", "b"], Level::Medium);
        commit(&mut store, &["loud"], Level::High);
        assert!(queue(&mut store, "2026-11-23"));
        assert!(!queue(&mut store, "2026-11-23"), "once a day");
        assert!(!queue(&mut store, "2026-11-24"), "nothing new");
        commit(&mut store, &["c"], Level::Low);
        assert!(!queue(&mut store, "2026-11-24"), "the day was quiet when it was asked");
        assert!(queue(&mut store, "2026-11-25"));
        let told: Vec<Vec<SmolStr>> = store
            .due(NOON, 10)
            .unwrap()
            .iter()
            .map(|mail| store.digest_alerts(mail, Level::High).unwrap())
            .map(|alerts| alerts.into_iter().map(|stored| stored.alert.id).collect())
            .collect();
        assert_eq!(told, [vec!["a", "b"], vec!["c"]]);
        let mails = store.due(NOON, 10).unwrap().into_iter();
        let ids: Vec<SmolStr> = mails.map(|mail| mail.message_id).collect();
        assert_eq!(ids, ["digest.2026-11-23", "digest.2026-11-25"]);
    }
}
