//! Removes old rows, a bounded number at a time, so that no commit waits long.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::engine::time::Timestamp;

use super::facets;
use super::forget::{drop_history, drop_profile, stored_principal, sweep_acks};
use super::registry::is_in_use;
use super::{Reader, Store, StoreError, digest, setting};

/// How many tokens one call looks at: a few milliseconds of work.
const TOKENS_A_CALL: i64 = 256;

/// The maximum number of alerts, of incidents and of mails that one call removes.
const ROWS_A_CALL: i64 = 1_000;

/// Uses the index on `opened`: an incident ends within an hour of its opening, and its end, which each alert moves, has
/// none.
const DROP_INCIDENTS: &str = "DELETE FROM incident WHERE id IN (
    SELECT id FROM incident WHERE opened < ?1 AND last < ?1 ORDER BY opened LIMIT ?2)";

/// How long data is kept after it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Hours of a token's activity.
    pub activity: Duration,
    /// Addresses, networks, countries, clients and routes of a token.
    pub facets: Duration,
    /// Alerts, incidents, their acknowledgements, mutes that have ended.
    pub alerts: Duration,
    /// Tokens that are not registered, and the profiles of principals without any token left.
    pub tokens: Duration,
    /// Mails that were sent or given up.
    pub mails: Duration,
}

/// What one call removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Hours and facets.
    pub history: usize,
    /// Tokens.
    pub tokens: usize,
    /// Alerts and incidents.
    pub alerts: usize,
    /// Mails.
    pub mails: usize,
    /// Whether the walk over all tokens has reached its end and nothing else is left to remove: no need to call again
    /// soon.
    pub is_done: bool,
}

impl Reader {
    /// Returns when pruning was last done, if ever.
    ///
    /// # Errors
    /// Any database error.
    pub fn pruned(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("reading when old history was pruned", |db| setting::get(db, setting::PRUNED))
    }
}

impl Store {
    /// Removes some of the data that is older than its retention. Each call continues where the last one stopped,
    /// across restarts too. Call it now and then, and repeat until it is done.
    ///
    /// Mails are removed at the end of the walk over the tokens: no index knows the old ones, and each search for them
    /// looks at the whole outbox.
    ///
    /// # Errors
    /// Any database error.
    pub fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, StoreError> {
        self.write("pruning", |db| {
            let mut pruned = Pruned::default();
            let has_ended = walk(db, retention, now, &mut pruned)?;
            let alerts_full = prune_alerts(db, before(now, retention.alerts), &mut pruned)?;
            let mails_full =
                has_ended && prune_mails(db, before(now, retention.mails), &mut pruned)?;
            pruned.is_done = has_ended && !alerts_full && !mails_full;
            if pruned.is_done {
                end_walk(db, now)?;
            }
            Ok(pruned)
        })
    }
}

/// Returns the time before which data is old.
fn before(now: Timestamp, kept: Duration) -> Timestamp {
    i64::try_from(kept.as_micros()).map_or(Timestamp(i64::MIN), |micros| now.plus(-micros))
}

/// Looks at the next tokens after the cursor, and moves it. Returns whether it reached the last one.
fn walk(
    db: &Connection,
    retention: &Retention,
    now: Timestamp,
    pruned: &mut Pruned,
) -> rusqlite::Result<bool> {
    let cursor: Option<i64> = setting::get(db, setting::PRUNE_CURSOR)?;
    let next: Vec<(i64, Timestamp)> = db
        .prepare_cached(
            "SELECT number, last_seen FROM token WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?
        .query_map(params![cursor.unwrap_or(i64::MIN), TOKENS_A_CALL], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (number, last_seen) in &next {
        if *last_seen < before(now, retention.tokens) && !is_registered(db, *number)? {
            drop_token(db, *number)?;
            pruned.tokens += 1;
        } else {
            pruned.history += prune_history(db, *number, retention, now)?;
        }
    }
    if let Some((number, _)) = next.last() {
        setting::put(db, setting::PRUNE_CURSOR, *number)?;
    }
    Ok(i64::try_from(next.len()).is_ok_and(|n_seen| n_seen < TOKENS_A_CALL))
}

/// Lets the next walk begin at the first token.
fn end_walk(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    setting::remove(db, setting::PRUNE_CURSOR)?;
    setting::put(db, setting::PRUNED, now)
}

fn is_registered(db: &Connection, number: i64) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM registry JOIN token ON registry.token = token.id
           WHERE token.number = ?1)",
    )?
    .query_row([number], |row| row.get(0))
}

fn drop_token(db: &Connection, number: i64) -> rusqlite::Result<()> {
    let principal = stored_principal(db, number)?;
    let own = db
        .prepare_cached("SELECT 'tw1_' || lower(hex(id)) FROM token WHERE number = ?1")?
        .query_row([number], |row| row.get::<_, String>(0))?;
    drop_history(db, number)?;
    for name in [principal.as_str(), own.as_str()] {
        if !name.is_empty() && !is_in_use(db, name)? {
            drop_profile(db, name)?;
        }
    }
    Ok(())
}

fn prune_history(
    db: &Connection,
    number: i64,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let n_hours = db
        .prepare_cached("DELETE FROM activity WHERE token = ?1 AND hour < ?2")?
        .execute(params![number, before(now, retention.activity).hour()])?;
    let (n_facets, left) = facets::prune(db, number, before(now, retention.facets))?;
    if n_facets > 0 {
        let [addresses, networks, countries, clients, routes] = left;
        db.prepare_cached(
            "UPDATE token SET addresses = ?2, networks = ?3, countries = ?4, clients = ?5, routes = ?6
             WHERE number = ?1",
        )?
        .execute(params![number, addresses, networks, countries, clients, routes])?;
    }
    Ok(n_hours + n_facets)
}

/// Removes old alerts, incidents and mutes. Returns whether there may be more to remove.
fn prune_alerts(db: &Connection, before: Timestamp, pruned: &mut Pruned) -> rusqlite::Result<bool> {
    let n_alerts = db
        .prepare_cached(
            "DELETE FROM alert WHERE number IN (
               SELECT number FROM alert WHERE time < ?1 ORDER BY time LIMIT ?2)",
        )?
        .execute(params![before, ROWS_A_CALL])?;
    let n_incidents = db.prepare_cached(DROP_INCIDENTS)?.execute(params![before, ROWS_A_CALL])?;
    let n_mutes =
        db.prepare_cached("DELETE FROM mute WHERE until < ?1")?.execute(params![before])?;
    setting::bump(db, setting::MUTES_VERSION, u64::from(n_mutes > 0))?;
    if n_alerts + n_incidents > 0 {
        sweep_acks(db)?;
    }
    pruned.alerts = n_alerts + n_incidents;
    Ok([n_alerts, n_incidents].iter().any(|n_gone| i64::try_from(*n_gone) == Ok(ROWS_A_CALL)))
}

/// Removes old mails, but not the newest digest: the next one begins where it ends; nor those that told what it may
/// take for untold. Returns whether there may be more.
fn prune_mails(db: &Connection, before: Timestamp, pruned: &mut Pruned) -> rusqlite::Result<bool> {
    pruned.mails = db
        .prepare_cached(
            "DELETE FROM outbox WHERE id IN (
               SELECT id FROM outbox WHERE state <> 'waiting' AND coalesce(sent_at, created) < ?1
                 AND give_up_at IS NULL
                 AND max(coalesce(reported_upto, 0), coalesce(upto_alert, 0)) <= ?3
                 AND id <> coalesce((SELECT max(id) FROM outbox WHERE day IS NOT NULL), 0)
               ORDER BY id LIMIT ?2)",
        )?
        .execute(params![before, ROWS_A_CALL, digest::settled_upto(db)?])?;
    Ok(i64::try_from(pruned.mails) == Ok(ROWS_A_CALL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alert::Level;
    use crate::engine::commit::Commit;
    use crate::engine::ledger::Ledger;
    use crate::engine::mute::Mute;
    use crate::engine::secret::TokenId;
    use crate::engine::time::{DAY, HOUR};
    use crate::store::sample::{NOON, alert, commit_of, id, incident_commit, record, registered};
    use crate::store::{Answers, TokenFilter, Who};

    const WEEK: Duration = Duration::from_hours(7 * 24);

    const FOREVER: Retention = Retention {
        activity: Duration::MAX,
        facets: Duration::MAX,
        alerts: Duration::MAX,
        tokens: Duration::MAX,
        mails: Duration::MAX,
    };

    #[test]
    fn old_hours_and_facets_go_and_new_ones_stay() {
        let mut store = Store::in_memory().unwrap();
        let mut ledger = Ledger::default();
        record(&mut ledger, id(1), NOON.plus(-8 * DAY), "2001:db8::1");
        record(&mut ledger, id(1), NOON.plus(-7 * DAY), "192.0.2.8");
        record(&mut ledger, id(1), NOON, "192.0.2.7");
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        let kept = store.prune(&FOREVER, NOON).unwrap();
        assert_eq!(kept, Pruned { is_done: true, ..Pruned::default() });
        let retention = Retention { activity: WEEK, facets: WEEK, ..FOREVER };
        let pruned = store.prune(&retention, NOON).unwrap();
        assert_eq!(pruned.history, 3, "an hour, an address and a country");
        let history = store.history(&Who::Token(id(1)), None, None, NOON).unwrap();
        assert_eq!(history.hours.len(), 2);
        assert_eq!(history.tokens[0].distinct.addresses, 2);
        assert_eq!(history.tokens[0].distinct.countries, 1);
        assert_eq!(history.tokens[0].activity.requests, 3, "totals are for good");
    }

    #[test]
    fn tokens_go_with_their_profiles_unless_somebody_registered_them() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit_of(&[1, 2]), NOON.plus(-30 * DAY)).unwrap();
        store.register(&[registered(Some(2), "")], "", NOON).unwrap();
        let retention = Retention { tokens: WEEK, ..FOREVER };
        assert_eq!(store.prune(&retention, NOON).unwrap().tokens, 0);
        let later = NOON.plus(7 * DAY + 1);
        assert_eq!(store.prune(&retention, later).unwrap().tokens, 1);
        let stats = store.stats().unwrap();
        assert_eq!((stats.tokens, stats.principals), (1, 1));
        assert_eq!(store.known_tokens(&[id(1), id(2)]).unwrap(), [id(2)]);
    }

    #[test]
    fn each_call_is_bounded_and_goes_on_where_the_last_one_stopped() {
        let mut store = Store::in_memory().unwrap();
        let mut ledger = Ledger::default();
        for n in 0..600_u128 {
            let token = TokenId((n << 64).to_be_bytes());
            record(&mut ledger, token, NOON, "192.0.2.7");
        }
        for n in 0..600_u128 {
            let token = TokenId((n << 100).to_be_bytes());
            record(&mut ledger, token, NOON.plus(30 * DAY), "192.0.2.7");
        }
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        let retention = Retention { tokens: WEEK, ..FOREVER };
        let mut gone = Vec::new();
        loop {
            let pruned = store.prune(&retention, NOON.plus(30 * DAY)).unwrap();
            gone.push(pruned.tokens);
            if pruned.is_done {
                break;
            }
        }
        assert_eq!(gone.len(), 5, "1199 tokens, 256 a call");
        assert_eq!(gone.iter().sum::<usize>(), 599);
        let left = store.tokens(&TokenFilter::default(), NOON).unwrap();
        assert!(left.iter().all(|token| token.last_seen == Some(NOON.plus(30 * DAY))));
    }

    #[test]
    fn each_piece_of_a_walk_searched_the_whole_outbox() {
        let mut store = Store::in_memory().unwrap();
        let mut ledger = Ledger::default();
        for n in 0..300_u128 {
            record(&mut ledger, TokenId((n << 100).to_be_bytes()), NOON, "192.0.2.7");
        }
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        let n_mails = usize::try_from(ROWS_A_CALL).unwrap() + 1;
        let sql = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT ?1)
            INSERT INTO outbox (message_id, principal, created, due, state, attempts, error, sent_at)
            SELECT n, '', ?2, ?2, 'sent', 1, '', ?2 FROM n";
        store.write("queueing", |db| db.execute(sql, params![ROWS_A_CALL + 1, NOON])).unwrap();
        let retention = Retention { mails: WEEK, ..FOREVER };
        let now = NOON.plus(8 * DAY);
        let mut pieces = Vec::new();
        while pieces.last().is_none_or(|piece: &Pruned| !piece.is_done) {
            assert_eq!(store.pruned().unwrap(), None);
            pieces.push(store.prune(&retention, now).unwrap());
        }
        let mails: Vec<usize> = pieces.iter().map(|piece| piece.mails).collect();
        assert_eq!(
            mails,
            [0, n_mails - 1, 1],
            "none before the end, and no second walk for the rest"
        );
        assert_eq!(store.pruned().unwrap(), Some(now));
    }

    #[test]
    fn alerts_go_with_all_that_was_said_of_them() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
        let recent = alert("recent", "j", 1, NOON.plus(HOUR));
        store.commit(&Commit { alerts: vec![recent], ..Commit::default() }, NOON).unwrap();
        let mute = |until| Mute { since: NOON, until, ..Mute::default() };
        store.mute(&mute(Some(NOON))).unwrap();
        store.mute(&mute(None)).unwrap();
        let retention = Retention { alerts: WEEK, mails: WEEK, ..FOREVER };
        let pruned = store.prune(&retention, NOON.plus(7 * DAY + 1)).unwrap();
        assert_eq!((pruned.alerts, pruned.mails), (2, 0), "a waiting mail stays");
        let stats = store.stats().unwrap();
        assert_eq!((stats.alerts, stats.incidents), (1, 0));
        assert_eq!(store.mutes().unwrap().len(), 1);
    }

    #[test]
    fn an_incident_stays_until_its_last_alert_is_old() {
        let mut store = Store::in_memory().unwrap();
        let mut commit = incident_commit("i", 1, 1);
        commit.incidents.iter_mut().for_each(|incident| incident.last = NOON.plus(HOUR - 1));
        commit.alerts.push(alert("late", "i", 1, NOON.plus(HOUR - 1)));
        store.commit(&commit, NOON).unwrap();
        let retention = Retention { alerts: WEEK, ..FOREVER };
        let mut left = |now| {
            store.prune(&retention, now).unwrap();
            let stats = store.stats().unwrap();
            (stats.alerts, stats.incidents)
        };
        assert_eq!(left(NOON.plus(7 * DAY + 1)), (1, 1));
        assert_eq!(left(NOON.plus(7 * DAY + HOUR)), (0, 0));
        let plan = store.plan(DROP_INCIDENTS);
        assert!(plan.contains("incident_opened (opened<?)") && !plan.contains("SORT"), "{plan}");
    }

    #[test]
    fn the_newest_digest_stays_so_that_nothing_is_told_twice() {
        let mut store = Store::in_memory().unwrap();
        for (day, name) in ["a", "b"].into_iter().enumerate() {
            let alerts = vec![alert(name, "i", 1, NOON)];
            store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
            store.queue_digest(&day.to_string(), Level::High, NOON).unwrap();
        }
        let due: Vec<i64> = store.due(NOON, 10).unwrap().iter().map(|mail| mail.id).collect();
        store.sent_bundled(&due, 0, &Answers::default(), NOON).unwrap();
        let retention = Retention { mails: WEEK, ..FOREVER };
        assert_eq!(store.prune(&retention, NOON.plus(8 * DAY)).unwrap().mails, 1);
        assert!(!store.queue_digest("9", Level::High, NOON).unwrap());
    }

    #[test]
    fn a_mail_stays_until_a_digest_knows_that_it_told_its_alerts() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
        let mail = store.due(NOON, 1).unwrap().remove(0);
        store.fix(&[&mail], 1).unwrap();
        store.sent(mail.id, &Answers::default(), NOON).unwrap();
        let retention = Retention { mails: WEEK, ..FOREVER };
        let now = NOON.plus(8 * DAY);
        assert_eq!(store.prune(&retention, now).unwrap().mails, 0);
        assert!(!store.queue_digest("1", Level::Critical, now).unwrap(), "nothing to tell");
        assert_eq!(store.prune(&retention, now).unwrap().mails, 1);
    }
}
