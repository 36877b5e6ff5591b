//! What mails about incidents have reported: their alerts up to one that is fixed before a mail is first sent.
//!
//! So a mail that is sent again, after a restart too, is the same under its Message-ID, and an update can tell what
//! the mails before it did not.

use rusqlite::{OptionalExtension, params};

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

    /// Returns the last alert up to which another mail has reported the incident of this one, be it of its own or one
    /// about many; `None` if none has.
    ///
    /// # Errors
    /// Any database error.
    pub fn reported(&self, mail: &Outgoing) -> Result<Option<i64>, StoreError> {
        let About::Incident { incident, .. } = &mail.about else { return Ok(None) };
        self.read("reading what was mailed of an incident", |db| {
            // The Message-IDs, which an index has, begin with the incident and a dot; a slash comes next.
            let sql = "SELECT max(reported_upto) FROM outbox
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
}
