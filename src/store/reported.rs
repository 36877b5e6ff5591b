//! What mails about incidents have reported: their alerts up to one that is fixed before a mail is first sent.
//!
//! So a mail that is sent again, after a restart too, is the same under its Message-ID, and an update can tell what
//! the mails before it did not.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};
use smol_str::SmolStr;

use super::outbox::{About, Outgoing, SELECT, outgoing};
use super::{Reader, Store, StoreError, commit};

impl Reader {
    /// Returns the number of the newest alert, or 0.
    ///
    /// # Errors
    /// Any database error.
    pub fn last_alert(&self) -> Result<i64, StoreError> {
        self.read("looking for the newest alert", commit::last_alert)
    }

    /// Returns the last alert up to which another mail has reported the incident of this one; `None` if none has. One
    /// about many counts if it listed the incident with all its rules.
    ///
    /// # Errors
    /// Any database error.
    pub fn reported(&self, mail: &Outgoing) -> Result<Option<i64>, StoreError> {
        let About::Incident { incident, .. } = &mail.about else { return Ok(None) };
        self.read("reading what was mailed of an incident", |db| {
            // The Message-IDs, which an index has, begin with the incident and a dot; a slash comes next.
            let sql = "SELECT max(iif(sent_in < 0, upto_alert, reported_upto)) FROM outbox
                 WHERE message_id > ?1 || '.' AND message_id < ?1 || '/' AND incident = ?1
                   AND id <> ?2 AND state = 'sent'";
            let mut statement = db.prepare_cached(sql)?;
            let found = statement.query_row(params![incident.as_str(), mail.id], |row| row.get(0));
            found.optional().map(Option::flatten)
        })
    }

    /// Returns the updates that wait about the incident of a mail and were never sent.
    ///
    /// # Errors
    /// Any database error.
    pub fn updates_beside(&self, mail: &Outgoing) -> Result<Vec<Outgoing>, StoreError> {
        let About::Incident { incident, .. } = &mail.about else { return Ok(Vec::new()) };
        self.read("looking for updates", |db| {
            let sql = format!(
                "{SELECT} FROM outbox AS mail
                 WHERE state = 'waiting' AND principal = ?1 AND incident = ?2 AND id <> ?3
                   AND reported_upto IS NULL"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let key = params![mail.principal.as_str(), incident.as_str(), mail.id];
            statement.query_map(key, outgoing)?.collect()
        })
    }
}

impl Store {
    /// Fixes up to which alert a mail for these rows reports their incidents, before it is first sent.
    ///
    /// # Errors
    /// Any database error.
    pub fn fix(&mut self, mails: &[&Outgoing], upto: i64) -> Result<(), StoreError> {
        let is_open = |mail: &&&Outgoing| matches!(mail.about, About::Incident { upto: None, .. });
        let open: Vec<i64> = mails.iter().filter(is_open).map(|mail| mail.id).collect();
        if open.is_empty() {
            return Ok(());
        }
        self.write("noting what a mail reports", |db| {
            let sql = "UPDATE outbox SET reported_upto = coalesce(reported_upto, ?2) WHERE id = ?1";
            let mut fix = db.prepare_cached(sql)?;
            open.iter().try_for_each(|id| fix.execute(params![id, upto]).map(drop))
        })
    }

    /// Notes of which incidents a bundle for these rows names all rules. The others it only counts, or in part; of
    /// those, a waiting update is still to be sent.
    ///
    /// # Errors
    /// Any database error.
    pub fn note_listed(
        &mut self,
        mails: &[&Outgoing],
        listed: &BTreeSet<SmolStr>,
    ) -> Result<(), StoreError> {
        self.write("noting what a bundle lists", |db| {
            let sql = "UPDATE outbox SET upto_alert = iif(?2, reported_upto, NULL)
                 WHERE id = ?1 AND incident IS NOT NULL";
            let mut note = db.prepare_cached(sql)?;
            mails.iter().try_for_each(|mail| {
                let About::Incident { incident, .. } = &mail.about else { return Ok(()) };
                note.execute(params![mail.id, listed.contains(incident)]).map(drop)
            })
        })
    }

    /// Drops mails that others told. That was found out when `upto` was the newest alert: a mail that has got another
    /// one since keeps waiting.
    ///
    /// # Errors
    /// Any database error.
    pub fn drop_told(&mut self, mails: &[&Outgoing], upto: i64) -> Result<(), StoreError> {
        if mails.is_empty() {
            return Ok(());
        }
        self.write("dropping mails that others told", |db| {
            let sql = "UPDATE outbox SET state = 'empty'
                 WHERE id = ?1 AND state = 'waiting' AND due = ?2 AND NOT EXISTS (
                   SELECT 1 FROM alert WHERE incident = outbox.incident AND number > ?3)";
            let mut drop_one = db.prepare_cached(sql)?;
            mails
                .iter()
                .try_for_each(|mail| drop_one.execute(params![mail.id, mail.due, upto]).map(drop))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alert::Level;
    use crate::engine::time::MINUTE;
    use crate::store::sample::{NOON, alert, incident_commit};
    use crate::store::{Answers, Outgoing};

    /// A mail about the incident `i` that is due, and an update of it that gathers.
    fn mail_and_update(store: &mut Store) -> (Outgoing, Outgoing) {
        for (revision, delay) in [(1, 0), (2, 5 * MINUTE)] {
            grow(store, revision, delay);
        }
        let mail = store.due(NOON, 1).unwrap().remove(0);
        let update = store.updates_beside(&mail).unwrap().remove(0);
        (mail, update)
    }

    /// Adds an alert to the incident `i`, and a mail about it.
    fn grow(store: &mut Store, revision: u32, delay: i64) {
        let mut commit = incident_commit("i", 1, revision);
        commit.alerts = vec![alert(&format!("i-{revision}"), "i", 1, NOON)];
        commit.notices.iter_mut().for_each(|notice| notice.delay = delay);
        store.commit(&commit, NOON).unwrap();
    }

    #[test]
    fn an_alert_that_joined_an_update_just_found_told_was_lost() {
        let mut store = Store::in_memory().unwrap();
        let (mail, update) = mail_and_update(&mut store);
        store.sent(mail.id, &Answers::default(), NOON).unwrap();
        let upto = store.last_alert().unwrap();
        grow(&mut store, 3, 2 * MINUTE);
        store.drop_told(&[&update], upto).unwrap();
        let joined = store.updates_beside(&mail).unwrap();
        let due: Vec<_> = joined.iter().map(|mail| (mail.id, mail.due)).collect();
        assert_eq!(due, [(update.id, NOON.plus(2 * MINUTE))], "it waits, with the alert");
        store.drop_told(&[&update], upto + 1).unwrap();
        assert_eq!(store.updates_beside(&mail).unwrap().len(), 1, "it is due at another time");
        store.drop_told(&[&joined[0]], upto + 1).unwrap();
        assert_eq!(store.updates_beside(&mail).unwrap(), []);
    }

    #[test]
    fn a_bundle_reports_the_incidents_that_it_lists() {
        for (listed, expected) in [("i", Some(2)), ("j", None)] {
            let mut store = Store::in_memory().unwrap();
            let (mail, update) = mail_and_update(&mut store);
            let upto = store.last_alert().unwrap();
            store.fix(&[&mail], upto).unwrap();
            // A try before this one listed another one.
            store.note_listed(&[&mail], &BTreeSet::from(["i".into()])).unwrap();
            store.note_listed(&[&mail], &BTreeSet::from([listed.into()])).unwrap();
            assert_eq!(store.reported(&update).unwrap(), None, "not before it is sent");
            store.sent_bundled(&[mail.id], 0, &Answers::default(), NOON).unwrap();
            assert_eq!(store.reported(&update).unwrap(), expected, "{listed}");
            let is_for_the_day = store.queue_digest("2026-11-23", Level::High, NOON).unwrap();
            assert_eq!(is_for_the_day, expected.is_none(), "{listed}: it is not urgent");
        }
    }

    #[test]
    fn a_mail_of_its_own_reports_its_incident_whatever_a_bundle_would_have_listed() {
        let mut store = Store::in_memory().unwrap();
        let (mail, update) = mail_and_update(&mut store);
        store.fix(&[&mail], 1).unwrap();
        store.note_listed(&[&mail], &BTreeSet::new()).unwrap();
        store.sent(mail.id, &Answers::default(), NOON).unwrap();
        assert_eq!(store.reported(&update).unwrap(), Some(1));
    }
}
