//! Queries alerts and incidents: with people's acknowledgements, and whether they are muted.

use std::borrow::Cow;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, ToSql, named_params, params};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::alert::{Alert, Incident, Value};
use crate::engine::time::Timestamp;
use crate::engine::word::{Verdict, Word};

use super::codec::{get_json, get_text, get_u32, legible};
use super::filter::{AlertFilter, FILTERED};
use super::resolve::Found;
use super::{Reader, Store, StoreError, mutes, words};

impl FromSql for Verdict {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// A person's verdict on an alert, or on an incident and so on the alerts that it had by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The id of an alert or an incident.
    pub subject: SmolStr,
    /// The verdict.
    pub verdict: Verdict,
    /// An explanation; may be empty.
    pub note: String,
    /// When it was given.
    pub at: Timestamp,
}

/// An alert as it was committed, and what has become of it since.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAlert {
    /// Its number in the order of commits.
    pub number: i64,
    /// The alert.
    pub alert: Alert,
    /// Its own acknowledgement, else that of its incident.
    pub ack: Option<Ack>,
    /// Whether a mute covers it.
    pub is_muted: bool,
}

/// An incident with its alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredIncident {
    /// The incident.
    pub incident: Incident,
    /// Its alerts, by time.
    pub alerts: Vec<StoredAlert>,
    /// Its acknowledgement.
    pub ack: Option<Ack>,
}

impl StoredIncident {
    /// Returns the incident as it was with an alert: without those that were committed later.
    #[must_use]
    pub fn as_of(mut self, upto: i64) -> Self {
        let n_all = self.alerts.len();
        self.alerts.retain(|stored| stored.number <= upto);
        let n_later = n_all.saturating_sub(self.alerts.len());
        if n_later > 0 {
            let Incident { opened, level, last, alerts, .. } = &mut self.incident;
            let left = || self.alerts.iter().map(|stored| &stored.alert);
            *level = left().map(|alert| alert.rule.level).max().unwrap_or_default();
            *last = left().map(|alert| alert.time).max().unwrap_or(*opened);
            *alerts = alerts.saturating_sub(u32::try_from(n_later).unwrap_or(u32::MAX));
        }
        self
    }
}

/// What a query for alerts selects. An acknowledgement of an incident applies to the alerts that
/// it had by then: one that was committed later is news, whatever the verdict on the incident and whatever its own
/// time.
const SELECT: &str = "SELECT a.number, a.body, k.subject, k.verdict, k.note, k.at,
    (SELECT name FROM registry WHERE registry.token = a.token) AS name";

/// Alerts with their acknowledgements.
pub(super) const ALERTS: &str = "FROM alert AS a
    LEFT JOIN ack AS own ON own.subject = a.id
    LEFT JOIN ack AS k ON k.subject = coalesce(own.subject, a.incident)
      AND (own.subject IS NOT NULL OR a.number <= k.upto_alert)";

impl Reader {
    /// Returns alerts, newest first.
    ///
    /// # Errors
    /// Any database error.
    pub fn alerts(&self, filter: &AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        let sql = format!(
            "{SELECT} {ALERTS} {FILTERED} ORDER BY a.time DESC, a.number DESC LIMIT :limit"
        );
        self.read("reading alerts", |db| {
            filter.with_parameters(|parameters| stored(db, &sql, parameters))
        })
    }

    /// Returns the incidents of alerts, newest first, each with all its alerts.
    ///
    /// # Errors
    /// Any database error.
    pub fn incidents(&self, filter: &AlertFilter) -> Result<Vec<StoredIncident>, StoreError> {
        let sql = format!(
            "SELECT id, principal, opened, last, level, revision, alerts FROM incident
             WHERE id IN (SELECT a.incident {ALERTS} {FILTERED})
             ORDER BY opened DESC, id LIMIT :limit"
        );
        self.read("reading incidents", |db| {
            let found = filter.with_parameters(|parameters| {
                let mut statement = db.prepare_cached(&sql)?;
                let rows = statement.query_map(parameters, incident)?;
                legible("an incident", rows)
            })?;
            found.into_iter().map(|incident| with_alerts(db, incident)).collect()
        })
    }

    /// Returns an alert by its id or a prefix of it.
    ///
    /// # Errors
    /// Any database error.
    pub fn alert(&self, id: &str) -> Result<Found<StoredAlert>, StoreError> {
        let sql = format!(
            "{SELECT} {ALERTS} WHERE a.id BETWEEN :id AND :id || char(1114111)
             ORDER BY a.id LIMIT {}",
            Found::<StoredAlert>::MOST
        );
        self.read("looking up an alert", |db| {
            let found = stored(db, &sql, named_params! { ":id": id })?;
            Ok(Found::unless_exact(found, |stored| stored.alert.id == id))
        })
    }

    /// Returns an incident with its alerts, by its id or a prefix of it.
    ///
    /// # Errors
    /// Any database error.
    pub fn incident(&self, id: &str) -> Result<Found<StoredIncident>, StoreError> {
        let sql = format!(
            "SELECT id, principal, opened, last, level, revision, alerts FROM incident
             WHERE id BETWEEN ?1 AND ?1 || char(1114111) ORDER BY id LIMIT {}",
            Found::<StoredIncident>::MOST
        );
        self.read("looking up an incident", |db| {
            let found =
                legible("an incident", db.prepare_cached(&sql)?.query_map([id], incident)?)?;
            let with_alerts = found.into_iter().map(|incident| with_alerts(db, incident));
            let found = with_alerts.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Found::unless_exact(found, |stored| stored.incident.id == id))
        })
    }
}

impl Store {
    /// Stores a person's verdict on an alert, or on an incident as it is now, in place of an earlier one, and adds its
    /// word for the Judge after all others.
    ///
    /// # Errors
    /// Any database error.
    pub fn ack(&mut self, ack: &Ack, word: Option<&Word>) -> Result<(), StoreError> {
        self.write("acknowledging", |db| {
            word.map(|word| words::keep(db, word, &ack.subject)).transpose()?;
            db.execute(
                "INSERT INTO ack (subject, verdict, note, at, upto_alert)
                 VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(number), 0) FROM alert))
                 ON CONFLICT (subject) DO UPDATE SET
                   verdict = excluded.verdict, note = excluded.note, at = excluded.at,
                   upto_alert = excluded.upto_alert",
                params![ack.subject.as_str(), ack.verdict.as_str(), ack.note, ack.at],
            )?;
            Ok(())
        })
    }
}

/// An alert with its number and what its token is called by now: its name, else its id; empty if it is about no token.
pub(super) struct Numbered {
    pub(super) number: i64,
    pub(super) alert: Alert,
    pub(super) called: SmolStr,
}

/// Visits the alerts that meet a condition one by one. Unreadable ones are logged and skipped.
pub(super) fn each(
    db: &Connection,
    condition: &str,
    parameters: &[(&str, &dyn ToSql)],
    mut visit: impl FnMut(Numbered),
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(&format!("{SELECT} {ALERTS} {condition}"))?;
    for row in statement.query_map(parameters, numbered)? {
        legible("an alert", std::iter::once(row))?.into_iter().for_each(&mut visit);
    }
    Ok(())
}

fn numbered(row: &Row<'_>) -> rusqlite::Result<Numbered> {
    let alert: Alert = get_json(row, "body")?;
    let name = row.get::<_, Option<String>>("name")?.filter(|name| !name.is_empty());
    let id = || alert.token.as_ref().map(|token| token.id.to_smolstr());
    let called = name.map(SmolStr::from).or_else(id).unwrap_or_default();
    Ok(Numbered { number: row.get("number")?, alert, called })
}

/// Reads the row of an incident.
pub(super) fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        id: get_text(row, "id")?,
        principal: get_text(row, "principal")?,
        opened: row.get("opened")?,
        last: row.get("last")?,
        level: row.get("level")?,
        revision: get_u32(row, "revision")?,
        alerts: get_u32(row, "alerts")?,
    })
}

/// Returns an alert without the numbers that JSON cannot represent (infinite, not a number).
pub(super) fn finite(alert: &Alert) -> Cow<'_, Alert> {
    let is_finite = |value: &Value| !matches!(value, Value::Float(float) if !float.is_finite());
    let mut values = alert.facts.iter().chain(alert.usual.iter()).map(|(_, value)| value);
    if values.all(is_finite) && alert.reasons.iter().all(|reason| reason.nats.is_finite()) {
        return Cow::Borrowed(alert);
    }
    let mut alert = alert.clone();
    alert.facts.retain(is_finite);
    alert.usual.retain(is_finite);
    for reason in alert.reasons.iter_mut().filter(|reason| !reason.nats.is_finite()) {
        reason.nats = 0.0;
    }
    Cow::Owned(alert)
}

fn stored(
    db: &Connection,
    sql: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<Vec<StoredAlert>> {
    let mutes = mutes::all(db)?;
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| {
        let numbered = numbered(row)?;
        let is_muted = mutes::cover(&mutes, &numbered);
        let Numbered { number, alert, .. } = numbered;
        Ok(StoredAlert { number, alert, ack: ack(row)?, is_muted })
    })?;
    legible("an alert", rows)
}

fn ack(row: &Row<'_>) -> rusqlite::Result<Option<Ack>> {
    if row.get_ref("subject")? == ValueRef::Null {
        return Ok(None);
    }
    Ok(Some(Ack {
        subject: get_text(row, "subject")?,
        verdict: row.get("verdict")?,
        note: row.get("note")?,
        at: row.get("at")?,
    }))
}

fn with_alerts(db: &Connection, incident: Incident) -> rusqlite::Result<StoredIncident> {
    let sql = format!("{SELECT} {ALERTS} WHERE a.incident = :incident ORDER BY a.time, a.number");
    let alerts = stored(db, &sql, named_params! { ":incident": incident.id.as_str() })?;
    let mut said =
        db.prepare_cached("SELECT subject, verdict, note, at FROM ack WHERE subject = ?1")?;
    let said = said.query_map([incident.id.as_str()], ack)?;
    let ack = legible("an acknowledgement", said)?.into_iter().flatten().next();
    Ok(StoredIncident { incident, alerts, ack })
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
