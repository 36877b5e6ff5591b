//! Queries alerts and incidents: with people's acknowledgements, and whether they are muted.

use std::borrow::Cow;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, ToSql, named_params, params};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::alert::{Alert, Incident, Level, Value};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::engine::word::{Verdict, Word};

use super::codec::{get_json, get_text, get_u32, legible};
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

/// Which alerts to return. The default returns all.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Of usages from this time on.
    pub since: Option<Timestamp>,
    /// Of usages before this time.
    pub until: Option<Timestamp>,
    /// Of this level or higher.
    pub level: Level,
    /// Of one rule, by name.
    pub rule: Option<SmolStr>,
    /// Of one principal, and of the tokens that are registered under its name, whatever they were called then.
    pub principal: Option<SmolStr>,
    /// Of one token.
    pub token: Option<TokenId>,
    /// Only those that nobody has acknowledged.
    pub only_unacked: bool,
    /// At most this many; `None` for no limit.
    pub limit: Option<u32>,
}

/// The alerts of a filter.
const FILTERED: &str = "WHERE (:since IS NULL OR a.time >= :since)
    AND (:until IS NULL OR a.time < :until)
    AND a.level >= :level
    AND (:rule IS NULL OR a.rule = :rule)
    AND (:principal IS NULL OR a.principal = :principal
      OR a.token IN (SELECT token FROM registry WHERE name = :principal))
    AND (:token IS NULL OR a.token = :token)
    AND (NOT :only_unacked OR k.subject IS NULL)";

/// What a query for alerts selects. An acknowledgement of an incident applies to the alerts that
/// it had by then: one that was committed later is news, whatever the verdict on the incident and whatever its own
/// time.
const SELECT: &str = "SELECT a.number, a.body, k.subject, k.verdict, k.note, k.at,
    (SELECT name FROM registry WHERE registry.token = a.token) AS name";

/// Alerts with their acknowledgements.
const ALERTS: &str = "FROM alert AS a
    LEFT JOIN ack AS own ON own.subject = a.id
    LEFT JOIN ack AS k ON k.subject = coalesce(own.subject, a.incident)
      AND (own.subject IS NOT NULL OR a.number <= k.upto_alert)";

impl AlertFilter {
    /// Passes on the parameters of [`FILTERED`], and the limit.
    fn with_parameters<T>(&self, ask: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
        ask(named_params! {
            ":since": self.since,
            ":until": self.until,
            ":level": self.level,
            ":rule": self.rule.as_deref(),
            ":principal": self.principal.as_deref(),
            ":token": self.token,
            ":only_unacked": self.only_unacked,
            ":limit": self.limit.map_or(-1, i64::from),
        })
    }
}

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
mod tests {
    use super::*;
    use crate::engine::commit::Commit;
    use crate::engine::geo::Country;
    use crate::engine::mute::{Mute, Scope};
    use crate::engine::time::HOUR;
    use crate::engine::word::Known;
    use crate::store::sample::{NOON, alert, id, incident, incident_commit, state};

    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        store.commit(&incident_commit("i1", 1, 1), NOON).unwrap();
        store.commit(&incident_commit("i2", 2, 1), NOON).unwrap();
        let mut late = alert("late", "i2", 2, NOON.plus(HOUR));
        late.rule.name = "unusual-use".into();
        late.rule.level = Level::High;
        store.commit(&Commit { alerts: vec![late], ..Commit::default() }, NOON).unwrap();
        store
    }

    fn ids(store: &Store, filter: &AlertFilter) -> Vec<SmolStr> {
        store.alerts(filter).unwrap().into_iter().map(|stored| stored.alert.id).collect()
    }

    #[test]
    fn alerts_come_back_whole() {
        let store = store();
        let Found::One(found) = store.alert("i1-").unwrap() else { panic!() };
        assert_eq!(found.alert, alert("i1-a", "i1", 1, NOON));
        assert_eq!((found.ack, found.is_muted), (None, false));
    }

    #[test]
    fn filters_choose_and_the_newest_comes_first() {
        let store = store();
        let all = AlertFilter::default();
        assert_eq!(ids(&store, &all), ["late", "i2-a", "i1-a"]);
        assert_eq!(ids(&store, &AlertFilter { limit: Some(1), ..all.clone() }), ["late"]);
        let since = AlertFilter { since: Some(NOON.plus(1)), ..all.clone() };
        assert_eq!(ids(&store, &since), ["late"]);
        let until = AlertFilter { until: Some(NOON.plus(HOUR)), ..all.clone() };
        assert_eq!(ids(&store, &until), ["i2-a", "i1-a"]);
        assert_eq!(ids(&store, &AlertFilter { level: Level::High, ..all.clone() }), ["late"]);
        let rule = AlertFilter { rule: Some("new-country".into()), ..all.clone() };
        assert_eq!(ids(&store, &rule), ["i2-a", "i1-a"]);
        let principal = AlertFilter { principal: Some(id(1).to_smolstr()), ..all.clone() };
        assert_eq!(ids(&store, &principal), ["i1-a"]);
        assert_eq!(ids(&store, &AlertFilter { token: Some(id(2)), ..all }), ["late", "i2-a"]);
    }

    #[test]
    fn what_is_said_of_an_incident_holds_for_its_alerts_unless_they_have_their_own() {
        let mut store = store();
        let said = |subject: &str, verdict| Ack {
            subject: subject.into(),
            verdict,
            note: "it was me".to_owned(),
            at: NOON.plus(HOUR),
        };
        store.ack(&said("i2", Verdict::Confirmed), None).unwrap();
        store.ack(&said("i2", Verdict::Expected), None).unwrap();
        store.ack(&said("late", Verdict::Confirmed), None).unwrap();
        let Found::One(found) = store.incident("i2").unwrap() else { panic!() };
        assert_eq!(found.ack, Some(said("i2", Verdict::Expected)));
        let acks: Vec<_> = found.alerts.into_iter().map(|stored| stored.ack).collect();
        let [own, late] = [said("i2", Verdict::Expected), said("late", Verdict::Confirmed)];
        assert_eq!(acks, [Some(own), Some(late)]);
        let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
        assert_eq!(ids(&store, &open), ["i1-a"]);
    }

    #[test]
    fn a_late_line_after_an_acknowledgement_counted_as_acknowledged() {
        let mut store = store();
        let ack =
            |at| Ack { subject: "i2".into(), verdict: Verdict::Expected, note: String::new(), at };
        let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
        let come = |store: &mut Store, name, time| {
            let alerts = vec![alert(name, "i2", 2, time)];
            store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
        };
        store.ack(&ack(NOON.plus(2 * HOUR)), None).unwrap();
        assert_eq!(ids(&store, &open), ["i1-a"]);
        come(&mut store, "after", NOON.plus(3 * HOUR));
        come(&mut store, "shipped", NOON.plus(HOUR));
        assert_eq!(ids(&store, &open), ["after", "shipped", "i1-a"]);
        // A log may be ahead of the clock: the verdict applies to all that was there.
        store.ack(&ack(NOON), None).unwrap();
        assert_eq!(ids(&store, &open), ["i1-a"]);
    }

    #[test]
    fn acknowledgements_from_before_cover_what_they_covered() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        for (name, time) in [("a", NOON), ("b", NOON.plus(HOUR)), ("c", NOON.plus(2 * HOUR))] {
            let alerts = vec![alert(name, "i", 1, time)];
            store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
        }
        for subject in ["i", "gone"] {
            let (verdict, at) = (Verdict::Expected, NOON.plus(HOUR));
            let ack = Ack { subject: subject.into(), verdict, note: String::new(), at };
            store.ack(&ack, None).unwrap();
        }
        let back = "ALTER TABLE ack DROP COLUMN upto_alert; DROP TABLE forgotten;
            DROP INDEX outbox_bundled; DROP INDEX outbox_postponed;
            ALTER TABLE outbox DROP COLUMN postponed; ALTER TABLE outbox DROP COLUMN give_up_at;
            ALTER TABLE outbox DROP COLUMN reported_upto;
            PRAGMA user_version = 11";
        store.db.execute_batch(back).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
        assert_eq!(ids(&store, &open), ["c"]);
    }

    #[test]
    fn a_word_says_of_which_incident_it_is_and_how_far_that_had_come() {
        let mut store = store();
        let word = Word {
            number: 0,
            at: NOON,
            principal: "ci".into(),
            verdict: Verdict::Expected,
            actors: Vec::new(),
            about: None,
        };
        store.commit(&incident_commit("i1", 1, 4), NOON).unwrap();
        for subject in ["i1", "i2-a", "pruned"] {
            let (subject, note) = (subject.into(), String::new());
            let ack = Ack { subject, verdict: Verdict::Expected, note, at: NOON };
            store.ack(&ack, Some(&word)).unwrap();
        }
        let known = |incident: &str, n_alerts| Some(Known { incident: incident.into(), n_alerts });
        let about: Vec<_> = store.words().unwrap().into_iter().map(|word| word.about).collect();
        assert_eq!(about, [known("i1", 4), known("i2", 1), None]);
    }

    #[test]
    fn an_incident_as_of_an_alert_is_without_those_that_came_later() {
        let mut store = store();
        let mut worse = alert("worse", "i2", 2, NOON.plus(2 * HOUR));
        worse.rule.level = Level::Critical;
        let grown = Incident {
            last: worse.time,
            level: Level::Critical,
            alerts: 3,
            ..incident("i2", 2, 1)
        };
        let (alerts, incidents) = (vec![worse], vec![grown.clone()]);
        store.commit(&Commit { alerts, incidents, ..Commit::default() }, NOON).unwrap();
        let Found::One(found) = store.incident("i2").unwrap() else { panic!() };
        let as_of = |upto| {
            let StoredIncident { incident, alerts, .. } = found.clone().as_of(upto);
            assert_eq!(alerts.len(), incident.alerts as usize);
            (incident.alerts, incident.level, incident.last)
        };
        assert_eq!(found.clone().as_of(4).incident, grown);
        assert_eq!(as_of(3), (2, Level::High, NOON.plus(HOUR)));
        assert_eq!(as_of(2), (1, Level::Medium, NOON));
        assert_eq!(as_of(1), (0, Level::default(), NOON));
    }

    #[test]
    fn beginnings_of_ids_are_enough_and_an_exact_one_wins() {
        let mut store = store();
        store.commit(&incident_commit("i", 3, 1), NOON).unwrap();
        assert!(
            matches!(store.incident("i").unwrap(), Found::One(found) if found.incident.id == "i")
        );
        assert!(matches!(store.alert("i").unwrap(), Found::Many(found) if found.len() == 3));
        assert_eq!(store.alert("x").unwrap(), Found::None);
        assert_eq!(store.incident("i2-").unwrap(), Found::None);
    }

    #[test]
    fn mutes_are_kept_shown_and_taken_back() {
        let mut store = store();
        let mute = Mute {
            id: 0,
            scope: Scope {
                rule: "new-country".into(),
                principal: id(1).to_smolstr(),
                ..Scope::default()
            },
            reason: "ann travels".into(),
            since: NOON,
            until: Some(NOON.plus(HOUR)),
            after: 0,
        };
        let number = store.mute(&mute).unwrap();
        let after = 3;
        assert_eq!(store.mutes().unwrap(), [Mute { id: number, after, ..mute }]);
        let muted = |store: &Store| -> Vec<bool> {
            let all = store.alerts(&AlertFilter::default()).unwrap();
            all.into_iter().map(|stored| stored.is_muted).collect()
        };
        assert_eq!(muted(&store), [false; 3], "what was before it was said is told");
        store.db.execute("UPDATE mute SET after_alert = 0", []).unwrap();
        assert_eq!(muted(&store), [false, false, true]);
        // What it covered before it ended stays muted.
        assert!(store.unmute(number, NOON.plus(HOUR - 1)).unwrap());
        assert!(!store.unmute(number, NOON.plus(HOUR)).unwrap());
        assert_eq!(muted(&store), [false, false, true]);
        assert_eq!(store.mutes_version().unwrap(), 2);
        let scope = Scope {
            network: Some(64_500),
            country: Country::parse("DE"),
            client: "curl".into(),
            route: "GET /v1/items/{id}".into(),
            ..Scope::default()
        };
        store.mute(&Mute { scope: scope.clone(), ..Mute::default() }).unwrap();
        assert_eq!(store.mutes().unwrap()[1].scope, scope);
    }

    #[test]
    fn numbers_that_json_cannot_write_do_not_hide_an_alert() {
        let mut store = Store::in_memory().unwrap();
        let mut odd = alert("odd", "i", 1, NOON);
        odd.reasons[0].nats = f32::NAN;
        let ratio = ("ratio".into(), Value::Float(f64::INFINITY));
        odd.facts = [ratio, ("country.is_new".into(), Value::Bool(true))].into_iter().collect();
        store.commit(&Commit { alerts: vec![odd], ..Commit::default() }, NOON).unwrap();
        let Found::One(found) = store.alert("odd").unwrap() else { panic!() };
        assert_eq!(found.alert.facts, alert("odd", "i", 1, NOON).facts);
    }
}
