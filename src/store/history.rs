//! The history of a token or principal: hours, places, clients, routes, incidents, and its lifecycle in the registry.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, named_params, params};
use smol_str::SmolStr;

use crate::engine::alert::Incident;
use crate::engine::ledger::{Activity, Facet, Seen, Span};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::{get_activity, get_count, legible};
use super::registry::{self, LifecycleRow, Who};
use super::summary::{self, TokenSummary};
use super::{Reader, StoreError, alerts, facets, slot};

/// What is stored about a token, or about all tokens of one principal together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The tokens, most recently used first.
    pub tokens: Vec<TokenSummary>,
    /// Hours with usages, in order.
    pub hours: Vec<HourRow>,
    /// Values seen, by facet, most used first; the empty value is the sum of the folded ones.
    pub facets: BTreeMap<Facet, Vec<FacetRow>>,
    /// Incidents, in order.
    pub incidents: Vec<Incident>,
    /// Its entries in the registry's record, in the order in which they were made. In a window, also those that take
    /// effect within it.
    pub lifecycle: Vec<LifecycleRow>,
}

/// What happened in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRow {
    /// The hour's beginning.
    pub hour: Timestamp,
    /// What happened.
    pub activity: Activity,
}

/// One value of a facet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRow {
    /// The value; empty for the sum of the folded ones.
    pub value: SmolStr,
    /// When it was seen, and how often.
    pub span: Span,
}

/// What a few lines say about a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// First usage.
    pub first_seen: Option<Timestamp>,
    /// All usages.
    pub requests: u64,
    /// Countries and clients, as in [`History::facets`].
    pub facets: BTreeMap<Facet, Vec<FacetRow>>,
}

/// From one time to before another; by default all time.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    since: Timestamp,
    until: Timestamp,
}

impl Default for Window {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Window {
    /// Creates a window from `since` to before `until`; without one of them it is open.
    #[must_use]
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self {
            since: since.unwrap_or(Timestamp(i64::MIN)),
            until: until.unwrap_or(Timestamp(i64::MAX)),
        }
    }

    /// Returns whether something was seen within it, as far as its first and last time say.
    pub(super) fn meets(self, span: Span) -> bool {
        self.since <= span.last && span.first < self.until
    }

    fn holds(self, time: Timestamp) -> bool {
        self.since <= time && time < self.until
    }
}

impl Reader {
    /// Returns the history of a token or principal from `since` to before `until`, including hours that overlap. Facets
    /// are those seen within; their counts are of all time. Empty throughout if it is unknown.
    ///
    /// # Errors
    /// Any database error.
    pub fn history(
        &self,
        who: &Who,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        let window = Window::new(since, until);
        self.read("reading a history", |db| {
            let found = match who {
                Who::Token(id) => summary::of_token(db, *id, slot::of_token(*id), now)?,
                Who::Principal(name) => summary::of_principal(db, name, now)?,
            };
            let ids: Vec<TokenId> = found.iter().filter_map(|row| row.summary.token).collect();
            let name = match who {
                Who::Token(_) => "",
                Who::Principal(name) => name.as_str(),
            };
            let mut lifecycle = registry::lifecycle(db, &ids, name)?;
            lifecycle.retain(|row| window.holds(row.noted) || window.holds(row.time));
            let numbers: Vec<i64> = found.iter().filter_map(|row| row.number).collect();
            Ok(History {
                hours: hours(db, &numbers, window)?,
                facets: facets(db, &numbers, &Facet::ALL, window)?,
                incidents: incidents(db, &ids, name, window)?,
                lifecycle,
                tokens: found.into_iter().map(|row| row.summary).collect(),
            })
        })
    }
}

impl Reader {
    /// Returns the outline of all that is stored about a token or principal. Reads no hours and no incidents: a
    /// principal whose tokens change by the hour has tens of thousands of both.
    ///
    /// # Errors
    /// Any database error.
    pub fn outline(&self, who: &Who) -> Result<Outline, StoreError> {
        self.read("reading the outline of a history", |db| {
            let mut outline = Outline::default();
            let mut numbers = Vec::new();
            for (number, first_seen, requests) in used(db, who)? {
                outline.first_seen =
                    Some(outline.first_seen.map_or(first_seen, |known| known.min(first_seen)));
                outline.requests = outline.requests.saturating_add(requests);
                numbers.push(number);
            }
            let wanted = [Facet::Country, Facet::Client];
            outline.facets = facets(db, &numbers, &wanted, Window::default())?;
            Ok(outline)
        })
    }
}

/// Returns the number, the first usage and the count of usages of each token that was used.
fn used(db: &Connection, who: &Who) -> rusqlite::Result<Vec<(i64, Timestamp, u64)>> {
    let read = |row: &Row<'_>| {
        Ok((row.get("number")?, row.get("first_seen")?, get_count(row, "requests")?))
    };
    let select = "SELECT number, first_seen, requests FROM token WHERE number";
    match who {
        Who::Token(id) => {
            let sql = format!("{select} BETWEEN :slot AND :slot + 255 AND id = :id");
            let of = named_params! { ":slot": slot::of_token(*id), ":id": id };
            legible("a token", db.prepare_cached(&sql)?.query_map(of, read)?)
        }
        Who::Principal(name) => {
            let sql = format!("{select} IN ({})", summary::NUMBERS_OF_PRINCIPAL);
            let of = named_params! { ":name": name.as_str() };
            legible("a token", db.prepare_cached(&sql)?.query_map(of, read)?)
        }
    }
}

fn hours(db: &Connection, numbers: &[i64], window: Window) -> rusqlite::Result<Vec<HourRow>> {
    let mut statement = db.prepare_cached(
        "SELECT hour, requests, ok, denied, failed, bytes FROM activity
         WHERE token = ?1 AND hour BETWEEN ?2 AND ?3",
    )?;
    let (first, last) = (window.since.hour(), window.until.plus(-1).hour());
    let mut hours: BTreeMap<i64, Activity> = BTreeMap::new();
    for number in numbers {
        let mut rows = statement.query(params![number, first, last])?;
        while let Some(row) = rows.next()? {
            let sum = hours.entry(row.get("hour")?).or_default();
            *sum = sum.and(get_activity(row)?);
        }
    }
    let row = |(hour, activity): (i64, Activity)| HourRow {
        hour: Timestamp::from_seconds(hour.saturating_mul(3600)),
        activity,
    };
    Ok(hours.into_iter().map(row).collect())
}

fn facets(
    db: &Connection,
    numbers: &[i64],
    wanted: &[Facet],
    window: Window,
) -> rusqlite::Result<BTreeMap<Facet, Vec<FacetRow>>> {
    let mut spans: BTreeMap<(Facet, SmolStr), Span> = BTreeMap::new();
    for number in numbers {
        for Seen { facet, value, span } in facets::of_token(db, *number, wanted)? {
            if window.meets(span) {
                let sum = spans.entry((facet, value)).or_insert(Span { count: 0, ..span });
                *sum = sum.and(span);
            }
        }
    }
    let mut facets: BTreeMap<Facet, Vec<FacetRow>> =
        wanted.iter().map(|facet| (*facet, Vec::new())).collect();
    for ((facet, value), span) in spans {
        facets.entry(facet).or_default().push(FacetRow { value, span });
    }
    for rows in facets.values_mut() {
        rows.sort_by(|a, b| (b.span.count, &a.value).cmp(&(a.span.count, &b.value)));
    }
    Ok(facets)
}

/// Returns the incidents that involve one of the tokens or the principal itself.
fn incidents(
    db: &Connection,
    tokens: &[TokenId],
    principal: &str,
    window: Window,
) -> rusqlite::Result<Vec<Incident>> {
    let mut by_token = db.prepare_cached(
        "SELECT id, principal, opened, last, level, revision, alerts FROM incident
         WHERE id IN (SELECT incident FROM alert WHERE token = ?1) AND last >= ?2 AND opened < ?3",
    )?;
    let mut by_principal = db.prepare_cached(
        "SELECT id, principal, opened, last, level, revision, alerts FROM incident
         WHERE principal = ?1 AND last >= ?2 AND opened < ?3",
    )?;
    let Window { since, until } = window;
    let mut found = BTreeMap::new();
    let what = "an incident";
    let of = params![principal, since, until];
    for incident in legible(what, by_principal.query_map(of, alerts::incident)?)? {
        found.insert((incident.opened, incident.id.clone()), incident);
    }
    for token in tokens {
        let of = params![token, since, until];
        for incident in legible(what, by_token.query_map(of, alerts::incident)?)? {
            found.insert((incident.opened, incident.id.clone()), incident);
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::commit::Commit;
    use crate::engine::ledger::Ledger;
    use crate::engine::time::HOUR;
    use crate::store::sample::{NOON, id, incident, incident_commit, record, registered};
    use crate::store::{Store, TokenState};

    /// Two tokens named billing: one used at noon, both an hour later, from two countries.
    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        let rows = [registered(Some(1), "billing"), registered(Some(2), "billing")];
        store.register(&rows, "import", NOON).unwrap();
        let mut ledger = Ledger::default();
        record(&mut ledger, id(1), NOON, "192.0.2.7");
        record(&mut ledger, id(1), NOON.plus(HOUR), "2001:db8::1");
        record(&mut ledger, id(2), NOON.plus(HOUR), "192.0.2.7");
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
        store
    }

    #[test]
    fn a_name_tells_the_life_of_all_its_tokens() {
        let store = store();
        let who = Who::Principal("billing".into());
        let history = store.history(&who, None, None, NOON).unwrap();
        assert_eq!(history.tokens.len(), 2);
        assert!(history.tokens.iter().all(|token| token.state == TokenState::Active));
        let hours: Vec<_> =
            history.hours.iter().map(|row| (row.hour, row.activity.requests)).collect();
        assert_eq!(hours, [(NOON, 1), (NOON.plus(HOUR), 2)]);
        let addresses = &history.facets[&Facet::Address];
        let counts: Vec<_> =
            addresses.iter().map(|row| (row.value.as_str(), row.span.count)).collect();
        assert_eq!(counts, [("192.0.2.7", 2), ("2001:db8::1", 1)]);
        assert_eq!(addresses[0].span.first, NOON);
        assert_eq!(addresses[0].span.last, NOON.plus(HOUR));
        assert_eq!(history.facets[&Facet::Route], []);
        assert_eq!(history.incidents, [incident("i", 1, 1)]);
        assert_eq!(history.lifecycle.len(), 2);
    }

    #[test]
    fn an_outline_read_every_hour_and_incident() {
        let store = store();
        for who in [Who::Principal("billing".into()), Who::Token(id(1)), Who::Token(id(9))] {
            let mut history = store.history(&who, None, None, NOON).unwrap();
            history.facets.retain(|facet, _| matches!(facet, Facet::Country | Facet::Client));
            let tokens = history.tokens.iter();
            let whole = Outline {
                first_seen: tokens.clone().filter_map(|token| token.first_seen).min(),
                requests: tokens.map(|token| token.activity.requests).sum(),
                facets: history.facets,
            };
            assert_eq!(store.outline(&who).unwrap(), whole);
        }
        store.db.execute_batch("DROP TABLE activity; DROP TABLE incident").unwrap();
        let outline = store.outline(&Who::Principal("billing".into())).unwrap();
        assert_eq!((outline.first_seen, outline.requests), (Some(NOON), 3));
    }

    #[test]
    fn one_token_tells_its_own_life_only() {
        let store = store();
        let history = store.history(&Who::Token(id(2)), None, None, NOON).unwrap();
        assert_eq!((history.tokens.len(), history.hours.len()), (1, 1));
        assert_eq!(history.incidents, []);
        let nobody = store.history(&Who::Token(id(9)), None, None, NOON).unwrap();
        assert!(nobody.tokens.is_empty() && nobody.hours.is_empty());
    }

    #[test]
    fn a_window_holds_its_beginning_and_not_its_end() {
        let store = store();
        let who = Who::Token(id(1));
        let n_hours = |since, until| {
            let history = store.history(&who, since, until, NOON).unwrap();
            (history.hours.len(), history.incidents.len(), history.facets[&Facet::Address].len())
        };
        assert_eq!(n_hours(Some(NOON), Some(NOON.plus(HOUR))), (1, 1, 1));
        assert_eq!(n_hours(Some(NOON.plus(1)), None), (2, 0, 1));
        assert_eq!(n_hours(None, Some(NOON)), (0, 0, 0));
        assert_eq!(n_hours(Some(NOON), Some(NOON.plus(HOUR + 1))), (2, 1, 2));
    }
}
