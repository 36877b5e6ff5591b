//! Digests: the mail about what was not mailed at once, queued once a day. Each begins where the previous one ended.

use std::collections::BTreeSet;

use crate::engine::alert::Level;
use crate::engine::mute::{EndedMute, Mute, Scope};
use crate::engine::time::Timestamp;
use rusqlite::{Connection, named_params, params};

use super::alerts;
use super::left;
use super::outbox::{About, Outgoing};
use super::storm::{self, Summary};
use super::{Reader, Store, StoreError, mutes};

/// Which alerts no mail tells. Whether a mail was due for an alert was decided by the settings of its time, so rows say
/// it, and today's `:at_once` does not.
///
/// The mail about an incident tells the alerts up to the one that was fixed when it was first sent. Beyond those, more
/// of what it named is no news if it is of a level that is mailed at once. Until it is fixed, it is sure to tell only
/// that level: it is dropped if others told that. A bundle tells what is less urgent only of the incidents that it
/// listed. A storm tells the incidents that had a mail coming and have no row of their own.
pub(super) const UNTOLD: &str = "NOT EXISTS (
       SELECT 1 FROM outbox AS mail
       WHERE mail.message_id > a.incident || '.' AND mail.message_id < a.incident || '/'
         AND mail.incident = a.incident AND mail.state IN ('waiting', 'sent')
         AND (a.number <= iif(mail.sent_in < 0, mail.upto_alert, mail.reported_upto)
           OR a.level >= :at_once AND (
           mail.reported_upto IS NULL OR EXISTS (
             SELECT 1 FROM alert AS told
             WHERE told.incident = a.incident AND told.rule = a.rule
               AND told.number <= mail.reported_upto))))
     AND NOT EXISTS (
       SELECT 1 FROM outbox AS storm JOIN incident AS i ON i.id = a.incident
       WHERE storm.message_id > 'storm.' AND storm.message_id < 'storm/'
         AND storm.state IN ('waiting', 'sent')
         AND storm.after_alert < a.number AND a.number <= storm.upto_alert AND i.revision > 0
         AND NOT EXISTS (
           SELECT 1 FROM outbox WHERE message_id = i.id || '.' || i.revision))";

impl Reader {
    /// Sums up the alerts of a digest that no other mail tells and that are neither muted nor acknowledged; for any
    /// other mail, none. Returns at most `most` of them in full. Repeating the same digest returns the same alerts,
    /// unless they were pruned, muted, acknowledged, or told by the mail about their incident in between.
    ///
    /// # Errors
    /// Any database error.
    pub fn digest_summary(
        &self,
        mail: &Outgoing,
        at_once: Level,
        most: usize,
    ) -> Result<Summary, StoreError> {
        let About::Digest { after, upto, .. } = &mail.about else { return Ok(Summary::default()) };
        self.read("summing up the alerts of a digest", |db| {
            let left = left::numbers();
            let condition = format!(
                "WHERE (a.number > :after AND a.number <= :upto OR a.number IN ({left}))
                   AND k.subject IS NULL AND {UNTOLD}
                 ORDER BY a.number"
            );
            let parameters = named_params! { ":after": after, ":upto": upto, ":at_once": at_once,
            ":digest": mail.id };
            storm::sum_up(db, &condition, parameters, &BTreeSet::new(), most)
        })
    }

    /// Returns the mutes that ended since the previous digest and covered something; for any other mail, none.
    ///
    /// # Errors
    /// Any database error.
    pub fn digest_mutes(&self, mail: &Outgoing) -> Result<Vec<EndedMute>, StoreError> {
        let About::Digest { .. } = &mail.about else { return Ok(Vec::new()) };
        self.read("reading the mutes of a digest", |db| {
            let mutes = mutes::all(db)?;
            let (over, lasting): (Vec<Mute>, Vec<Mute>) = mutes
                .into_iter()
                .partition(|mute| mute.until.is_some_and(|end| end <= mail.created));
            let before = digest_before(db, mail.created)?;
            let is_new = |mute: &&Mute| mute.until > Some(before);
            let ended = over.iter().filter(is_new).map(|mute| {
                // What several mutes covered is reported with the one that ended last.
                let end = |mute: &Mute| (mute.until, mute.id);
                let later = over.iter().filter(|other| end(other) > end(mute));
                ended(db, mute.clone(), &lasting.iter().chain(later).cloned().collect::<Vec<_>>())
            });
            let ended = ended.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ended.into_iter().filter(|ended| ended.n_alerts > 0).collect())
        })
    }
}

impl Reader {
    /// Returns whether the digest of a day was queued, or had nothing to report.
    fn has_digest(&self, day: &str) -> Result<bool, StoreError> {
        self.read("looking for a digest", |db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE message_id = 'digest.' || ?1)";
            db.prepare_cached(sql)?.query_row([day], |row| row.get(0))
        })
    }
}

impl Store {
    /// Queues the digest of a day, once a day: the alerts that were committed since the previous digest, or that
    /// earlier ones left to mails that did not tell them; and the mutes that ended since. Returns whether it was
    /// queued. A day without either has no mail. It is due at once.
    ///
    /// # Errors
    /// Any database error.
    pub fn queue_digest(
        &mut self,
        day: &str,
        at_once: Level,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // Called at every turn for the rest of the day: a write that changes nothing must not make anybody wait.
        if self.has_digest(day)? {
            return Ok(false);
        }
        self.write("queueing a digest", |db| {
            let after = end_of_digests(db, now)?;
            let last = "SELECT coalesce(max(number), 0) FROM alert";
            let upto = db.query_row(last, [], |row| row.get::<_, i64>(0))?.max(after);
            let left = left::numbers();
            let has_alerts: bool = db.query_row(
                &format!(
                    "SELECT EXISTS (SELECT 1 FROM alert AS a
                       WHERE (a.number > :after AND a.number <= :upto OR a.number IN ({left}))
                         AND {UNTOLD})"
                ),
                named_params! { ":after": after, ":upto": upto, ":at_once": at_once,
                ":digest": i64::MAX },
                |row| row.get(0),
            )?;
            let n_ended: i64 = db.query_row(
                "SELECT count(*) FROM mute WHERE until > ?1 AND until <= ?2",
                params![digest_before(db, now)?, now],
                |row| row.get(0),
            )?;
            let is_due = has_alerts || n_ended > 0;
            let state = if is_due { "waiting" } else { "empty" };
            let n_queued = db.execute(
                "INSERT INTO outbox (message_id, principal, day, after_alert, upto_alert,
                   created, due, state, attempts, error)
                 VALUES ('digest.' || ?1, '', ?1, ?2, ?3, ?4, ?4, ?5, 0, '')
                 ON CONFLICT (message_id) DO NOTHING",
                params![day, after, upto, now, state],
            )?;
            if n_queued > 0 && !is_due {
                left::note(db, db.last_insert_rowid())?;
            }
            Ok(n_queued > 0 && is_due)
        })
    }
}

/// Returns up to which alert the digests before a time reach. Of one that was given up since the last was queued,
/// nobody has read anything: the next one begins where it began.
fn end_of_digests(db: &Connection, now: Timestamp) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(
           min(after_alert) FILTER (WHERE state = 'dead' AND due >= ?1), max(upto_alert), 0)
         FROM outbox WHERE day IS NOT NULL";
    db.query_row(sql, [digest_before(db, now)?], |row| row.get(0))
}

/// Returns when the last digest before a time was queued; the epoch if there was none.
fn digest_before(db: &Connection, created: Timestamp) -> rusqlite::Result<Timestamp> {
    let sql =
        "SELECT coalesce(max(created), 0) FROM outbox WHERE day <> 'skipped' AND created < ?1";
    db.query_row(sql, [created], |row| row.get(0))
}

/// Sums up what a mute covered.
fn ended(db: &Connection, mute: Mute, lasting: &[Mute]) -> rusqlite::Result<EndedMute> {
    let Scope { rule, principal, .. } = mute.scope.clone();
    let (after, until) = (mute.after, mute.until);
    let parameters = named_params! { ":after": after, ":until": until,
    ":rule": rule.as_str(), ":principal": principal.as_str() };
    let mut ended =
        EndedMute { mute, n_alerts: 0, principals: BTreeSet::new(), level: Level::default() };
    alerts::each(
        db,
        "WHERE a.number > :after AND a.time < :until AND k.subject IS NULL
           AND :rule IN ('', a.rule) AND (:principal IN ('', a.principal)
             OR :principal = 'tw1_' || lower(hex(a.token))
             OR a.token IN (SELECT token FROM registry WHERE name = :principal))",
        parameters,
        |numbered| {
            if !mutes::covers(&ended.mute, &numbered) || mutes::cover(lasting, &numbered) {
                return;
            }
            let alert = numbered.alert;
            ended.n_alerts += 1;
            ended.level = ended.level.max(alert.rule.level);
            ended.principals.insert(alert.principal);
        },
    )?;
    Ok(ended)
}

/// Returns the number of the last alert of which no further digest will be composed: the rows that tell later ones must
/// stay, or a digest would take those for untold.
pub(super) fn settled_upto(db: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(
           min(after_alert) FILTER (WHERE state = 'waiting' OR give_up_at IS NOT NULL),
           max(upto_alert), 0)
         FROM outbox WHERE day IS NOT NULL";
    db.query_row(sql, [], |row| row.get(0))
}

/// Excludes the alerts so far from the next digest, by means of an empty digest that ends here.
pub(super) fn skip(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    // Replaces the row of an earlier skip: the newest digest is never pruned.
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
    use crate::engine::commit::{Commit, Notice};
    use crate::engine::time::{DAY, HOUR};
    use crate::engine::word::Verdict;
    use crate::store::sample::{NOON, alert, state};
    use crate::store::{Ack, Answers};

    #[test]
    fn what_a_mute_covered_is_told_once_it_has_ended() {
        let mut store = Store::in_memory().unwrap();
        let commit = |store: &mut Store, id, principal: &str, time| {
            let mut alert = alert(id, id, 1, time);
            (alert.rule.level, alert.principal) = (Level::High, principal.into());
            // What is not muted is told by a mail of its own.
            let notices = vec![Notice { incident: id.into(), revision: 1, delay: 0 }];
            let commit = Commit { alerts: vec![alert], notices, ..Commit::default() };
            store.commit(&commit, time).unwrap();
        };
        let mute = |store: &mut Store, scope, until| {
            let mute = Mute { scope, until: Some(until), since: NOON, ..Mute::default() };
            store.mute(&mute).unwrap()
        };
        // Queues the digest of a day that begins at a time. Returns whether it was queued, and its mutes.
        let digest = |store: &mut Store, day: &str, at| {
            let is_queued = store.queue_digest(day, Level::High, at).unwrap();
            let mails = store.due(at, 10).unwrap();
            let mail = mails.iter().find(|mail| mail.message_id.ends_with(day));
            let told = mail.map(|mail| store.digest_mutes(mail).unwrap()).unwrap_or_default();
            (is_queued, told)
        };
        commit(&mut store, "before", "ci", NOON);
        let of = |principal: &str| Scope { principal: principal.into(), ..Scope::default() };
        let first = mute(&mut store, of("ci"), NOON.plus(HOUR));
        mute(&mut store, of("quiet"), NOON.plus(HOUR));
        mute(&mut store, of("twice"), NOON.plus(HOUR));
        let lasting = mute(&mut store, of("twice"), NOON.plus(9 * DAY));
        for (id, principal) in [("a", "ci"), ("b", "ci"), ("c", "twice"), ("d", "ana")] {
            commit(&mut store, id, principal, NOON.plus(1));
        }
        commit(&mut store, "after", "ci", NOON.plus(HOUR));
        let said = Ack {
            subject: "b".into(),
            verdict: Verdict::Expected,
            note: String::new(),
            at: NOON.plus(HOUR),
        };
        store.ack(&said, None).unwrap();
        assert_eq!(digest(&mut store, "day-1", NOON.plus(1)), (false, vec![]), "it lasts");
        let (is_queued, told) = digest(&mut store, "day-2", NOON.plus(DAY));
        let told: Vec<_> = told
            .iter()
            .map(|ended| (ended.mute.id, ended.n_alerts, ended.level, &ended.principals))
            .collect();
        assert!(is_queued);
        assert_eq!(told, [(first, 1, Level::High, &BTreeSet::from(["ci".into()]))]);
        assert_eq!(digest(&mut store, "day-3", NOON.plus(2 * DAY)), (false, vec![]), "once");
        assert!(store.unmute(lasting, NOON.plus(2 * DAY + 1)).unwrap());
        let (_, told) = digest(&mut store, "day-4", NOON.plus(3 * DAY));
        assert_eq!(told.len(), 1, "what nothing else covers any more");
    }

    /// Commits one more alert of an incident, by a rule, and returns its number.
    fn commit_one(store: &mut Store, incident: &str, rule: &str, level: Level) -> i64 {
        let number = store.last_alert().unwrap() + 1;
        let mut one = alert(&format!("a{number}"), incident, 1, NOON);
        (one.rule.name, one.rule.level) = (rule.into(), level);
        store.commit(&Commit { alerts: vec![one], ..Commit::default() }, NOON).unwrap();
        number
    }

    /// Queues the mail about an incident, and returns it.
    fn queue_mail(store: &mut Store, incident: &str, revision: u32) -> Outgoing {
        let notices = vec![Notice { incident: incident.into(), revision, delay: 0 }];
        store.commit(&Commit { notices, ..Commit::default() }, NOON).unwrap();
        store.due(NOON, 10).unwrap().pop().unwrap()
    }

    /// Queues the mail about an incident as it is now, and sends it.
    fn mail(store: &mut Store, incident: &str, revision: u32) {
        let mail = queue_mail(store, incident, revision);
        store.fix(&[&mail], store.last_alert().unwrap()).unwrap();
        store.sent(mail.id, &Answers::default(), NOON).unwrap();
    }

    /// Returns the alerts of a digest of everything; none if there is none.
    fn digest_of_all(store: &mut Store, at_once: Level) -> Vec<SmolStr> {
        if !store.queue_digest("2026-11-23", at_once, NOON).unwrap() {
            return Vec::new();
        }
        let mails = store.due(NOON, 10).unwrap();
        let is_digest = |mail: &&Outgoing| matches!(mail.about, About::Digest { .. });
        let mail = mails.iter().find(is_digest).unwrap();
        let told = store.digest_summary(mail, at_once, 10).unwrap();
        told.alerts.into_iter().map(|alert| alert.id).collect()
    }

    #[test]
    fn an_alert_from_before_the_level_was_lowered_was_told_by_no_mail() {
        let mut store = Store::in_memory().unwrap();
        commit_one(&mut store, "i", "new-country", Level::High);
        assert_eq!(digest_of_all(&mut store, Level::High), ["a1"]);
    }

    #[test]
    fn an_alert_that_was_mailed_before_the_level_was_raised_was_told_again() {
        let mut store = Store::in_memory().unwrap();
        commit_one(&mut store, "i", "new-country", Level::High);
        mail(&mut store, "i", 1);
        assert_eq!(digest_of_all(&mut store, Level::Critical), [""; 0]);
    }

    #[test]
    fn a_digest_tells_what_came_after_a_mail_except_more_of_what_was_urgent() {
        let mut store = Store::in_memory().unwrap();
        commit_one(&mut store, "i", "new-client", Level::Medium);
        commit_one(&mut store, "i", "new-country", Level::High);
        mail(&mut store, "i", 1);
        commit_one(&mut store, "i", "new-client", Level::Medium);
        commit_one(&mut store, "i", "new-country", Level::High);
        commit_one(&mut store, "i", "travel", Level::High);
        commit_one(&mut store, "i.", "travel", Level::High);
        let told = digest_of_all(&mut store, Level::High);
        assert_eq!(told, ["a5", "a6", "a3"], "neither the mailed ones nor more of them");
    }

    #[test]
    fn a_digest_tells_what_a_waiting_mail_may_drop_or_a_mail_that_was_given_up_had_to_tell() {
        for (is_given_up, expected) in [(false, vec!["a1"]), (true, vec!["a2", "a1"])] {
            let mut store = Store::in_memory().unwrap();
            commit_one(&mut store, "i", "new-client", Level::Medium);
            commit_one(&mut store, "i", "new-country", Level::High);
            let mail = queue_mail(&mut store, "i", 1);
            if is_given_up {
                store.dead(&[&mail], "550", NOON).unwrap();
            }
            assert_eq!(digest_of_all(&mut store, Level::High), expected);
        }
    }

    #[test]
    fn what_other_mails_tell_is_found_by_an_index() {
        let store = Store::in_memory().unwrap();
        let plan = store.plan(&format!("SELECT 1 FROM alert AS a WHERE a.number > 1 AND {UNTOLD}"));
        assert!(!plan.contains("SCAN"), "{plan}");
    }

    #[test]
    fn a_digest_that_was_queued_was_asked_for_as_if_it_had_to_be_written() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        let mut queue = |day: &str| store.queue_digest(day, Level::High, NOON);
        assert!(!queue("2026-11-23").unwrap());
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(!queue("2026-11-23").unwrap(), "whoever writes is not waited for");
        assert!(queue("2026-11-24").is_err());
    }

    #[test]
    fn a_digest_held_every_alert_of_its_day() {
        let mut store = Store::in_memory().unwrap();
        let one = |n: usize| {
            let mut one = alert(&format!("a{n}"), &format!("i{}", n / 2), 1, NOON);
            one.rule.level = if n == 45 { Level::Medium } else { Level::Low };
            one
        };
        let commit = Commit { alerts: (0..50).map(one).collect(), ..Commit::default() };
        store.commit(&commit, NOON).unwrap();
        assert!(store.queue_digest("2026-11-23", Level::High, NOON).unwrap());
        let mail = store.due(NOON, 1).unwrap().remove(0);
        let told = store.digest_summary(&mail, Level::High, 3).unwrap();
        assert_eq!((told.n_alerts, told.n_incidents), (50, 25), "the totals are exact");
        let ids: Vec<&str> = told.alerts.iter().map(|alert| alert.id.as_str()).collect();
        assert_eq!(ids, ["a45", "a0", "a1"], "the heaviest, then the first");
    }

    #[test]
    fn a_digest_tells_each_alert_once_and_not_at_all_on_quiet_days() {
        let mut store = Store::in_memory().unwrap();
        let commit = |store: &mut Store, names: &[&str], level| {
            let mut alerts: Vec<_> = names.iter().map(|name| alert(name, "i", 1, NOON)).collect();
            alerts.iter_mut().for_each(|alert| alert.rule.level = level);
            let commit = Commit { alerts, ..Commit::default() };
            store.commit(&commit, NOON).unwrap();
        };
        let queue =
            |store: &mut Store, day: &str| store.queue_digest(day, Level::High, NOON).unwrap();
        commit(&mut store, &["a", "b"], Level::Medium);
        commit_one(&mut store, "loud", "new-country", Level::High);
        mail(&mut store, "loud", 1);
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
            .map(|mail| store.digest_summary(mail, Level::High, 10).unwrap())
            .map(|summary| summary.alerts.into_iter().map(|alert| alert.id).collect())
            .collect();
        assert_eq!(told, [vec!["a", "b"], vec!["c"]]);
        let mails = store.due(NOON, 10).unwrap().into_iter();
        let ids: Vec<SmolStr> = mails.map(|mail| mail.message_id).collect();
        assert_eq!(ids, ["digest.2026-11-23", "digest.2026-11-25"]);
    }
}
