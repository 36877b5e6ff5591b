//! The one transaction: everything that a batch of lines led to, or nothing.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Result, ToSql, params, params_from_iter};

use crate::engine::alert::{Alert, Incident};
use crate::engine::commit::{Commit, HouseRow, Notice, SubjectRow};
use crate::engine::time::{MINUTE, Timestamp};

use super::codec::to_json;
use super::{Store, StoreError, alerts, digest, ledger, setting, slot, storm, streams};

/// What a commit added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Alerts.
    pub alerts: usize,
    /// Mails to be sent.
    pub notices: usize,
    /// Tokens never seen before.
    pub tokens: usize,
}

impl Store {
    /// Commits a batch: positions and everything that they vouch for.
    ///
    /// Existing alerts and notices are left as they are, incidents never go back to a lower revision, and counters are
    /// added. After an error nothing has changed; if [`StoreError::is_temporary`] is true, the same commit may be
    /// retried.
    ///
    /// # Errors
    /// Any database error.
    pub fn commit(&mut self, commit: &Commit, now: Timestamp) -> Result<Committed, StoreError> {
        self.write("committing", |db| {
            streams::add(db, &commit.streams, now)?;
            streams::empty(db, &commit.left)?;
            remember(db, &commit.subjects)?;
            let tokens = ledger::add(db, &commit.ledger)?;
            furnish(db, &commit.house)?;
            put_incidents(db, &commit.incidents)?;
            let last = last_alert(db)?;
            let alerts = put_alerts(db, &commit.alerts)?;
            let notices = put_notices(db, &commit.notices, last, now)?;
            let usages = commit.streams.iter().map(|update| update.tally.usages).sum();
            setting::bump(db, setting::USAGES, usages)?;
            setting::bump(db, setting::REFUSED_UNKNOWN, commit.ledger.refused_unknown)?;
            if commit.is_past {
                digest::skip(db, now)?;
            }
            Ok(Committed { alerts, notices, tokens })
        })
    }
}

pub(super) fn remember(db: &Connection, subjects: &[SubjectRow]) -> Result<()> {
    let mut sorted: Vec<_> =
        subjects.iter().map(|row| (slot::of_principal(&row.principal), row)).collect();
    sorted.sort_unstable_by_key(|(base, _)| *base);
    let mut find = db.prepare_cached(
        "SELECT number, principal FROM profile WHERE number BETWEEN ?1 AND ?2 ORDER BY number",
    )?;
    let mut put = db.prepare_cached(
        "INSERT INTO profile (number, principal, body, due) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (number) DO UPDATE SET body = excluded.body, due = excluded.due",
    )?;
    for (base, row) in sorted {
        let slot = slot::find(&mut find, base, row.principal.as_bytes())?;
        put.execute(params![slot.number(), row.principal.as_str(), row.blob, row.due])?;
    }
    Ok(())
}

pub(super) fn furnish(db: &Connection, house: &[HouseRow]) -> Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO house (name, body) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET body = excluded.body",
    )?;
    for row in house {
        put.execute(params![row.name.as_str(), row.body])?;
    }
    Ok(())
}

/// Inserts or updates incidents. Their ids include principal and opening time: the indexes of both are not touched as
/// an incident grows.
fn put_incidents(db: &Connection, incidents: &[Incident]) -> Result<usize> {
    put_rows(
        db,
        "INSERT INTO incident (id, principal, opened, last, level, revision, alerts) VALUES",
        "ON CONFLICT (id) DO UPDATE SET
           last = max(last, excluded.last), level = excluded.level, revision = excluded.revision,
           alerts = max(alerts, excluded.alerts)
         WHERE revision <= excluded.revision",
        incidents,
        |incident| {
            Ok([
                incident.id.as_str().into(),
                incident.principal.as_str().into(),
                incident.opened.to_sql()?,
                incident.last.to_sql()?,
                incident.level.to_sql()?,
                incident.revision.into(),
                incident.alerts.into(),
            ])
        },
    )
}

fn put_alerts(db: &Connection, new: &[Alert]) -> Result<usize> {
    put_rows(
        db,
        "INSERT INTO alert (id, incident, time, level, rule, principal, token, body) VALUES",
        "ON CONFLICT (id) DO NOTHING",
        new,
        |alert| {
            Ok([
                alert.id.as_str().into(),
                alert.incident.as_str().into(),
                alert.time.to_sql()?,
                alert.rule.level.to_sql()?,
                alert.rule.name.as_str().into(),
                alert.principal.as_str().into(),
                token(alert).into(),
                to_json(&alerts::finite(alert))?.into(),
            ])
        },
    )
}

/// How many rows one statement inserts: it opens each index of its table, and stores the last number, only once. Eight
/// save a quarter of the cost of an alert's row (counted); more save little more.
const AT_ONCE: usize = 8;

/// Inserts rows of `N` columns. Returns how many are new or have changed.
fn put_rows<'a, T, const N: usize>(
    db: &Connection,
    insert: &str,
    on_conflict: &str,
    rows: &'a [T],
    columns: impl Fn(&'a T) -> Result<[ToSqlOutput<'a>; N]>,
) -> Result<usize> {
    let row = format!("({})", ["?"; N].join(", "));
    let put = |rows: &'a [T]| {
        let marks = vec![row.as_str(); rows.len()].join(", ");
        let values = rows.iter().map(&columns).collect::<Result<Vec<_>>>()?;
        db.prepare_cached(&format!("{insert} {marks} {on_conflict}"))?
            .execute(params_from_iter(values.iter().flatten()))
    };
    // Two statements are cached, not one for each number of rows.
    let (full, rest) = rows.as_chunks::<AT_ONCE>();
    let chunks = full.iter().map(<[T; AT_ONCE]>::as_slice).chain(rest.chunks(1));
    chunks.map(put).sum()
}

/// Returns the bytes of the token's id; none if the alert is not about a token.
fn token(alert: &Alert) -> &[u8] {
    alert.token.as_ref().map_or(&[], |token| token.id.0.as_slice())
}

/// Returns the number of the newest alert, or 0.
pub(super) fn last_alert(db: &Connection) -> Result<i64> {
    db.prepare_cached("SELECT coalesce(max(number), 0) FROM alert")?.query_row([], |row| row.get(0))
}

/// An update that is due sooner than this may already be on its way.
const SENDING: i64 = MINUTE;

/// Queues a mail for each notice as long as few are waiting; the others share one, about the alerts after `last`.
fn put_notices(db: &Connection, notices: &[Notice], last: i64, now: Timestamp) -> Result<usize> {
    if notices.is_empty() {
        return Ok(0);
    }
    let (mut room, mut own) = (storm::Room::left(db)?, Vec::new());
    for notice in notices {
        own.extend(room.take(db, &notice.incident)?.then_some(notice));
    }
    let n_shared = notices.len() - own.len();
    if n_shared > 0 {
        storm::grow(db, last, now)?;
    }
    let mut put = db.prepare_cached(
        "INSERT INTO outbox
           (message_id, principal, incident, revision, created, due, state, attempts, error)
         VALUES (?1, coalesce((SELECT principal FROM incident WHERE id = ?2), ''), ?2, ?3, ?4, ?5,
           'waiting', 0, '')
         ON CONFLICT (message_id) DO NOTHING",
    )?;
    // An update that is still gathering reports this one as well, at the earlier of both times; not one that may be on
    // its way.
    let mut join = db.prepare_cached(
        "UPDATE outbox SET due = min(due, ?2)
         WHERE incident = ?1 AND state = 'waiting' AND reported_upto IS NULL AND due > ?3",
    )?;
    let mut added = n_shared;
    for notice in own {
        let Notice { incident, revision, delay } = notice;
        let due = now.plus(*delay);
        let is_first = *revision <= 1;
        if !is_first && join.execute(params![incident.as_str(), due, now.plus(SENDING)])? > 0 {
            continue;
        }
        let message_id = format!("{incident}.{revision}");
        added += put.execute(params![message_id, incident.as_str(), revision, now, due])?;
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::line::{StreamId, Tally};
    use crate::store::sample::{
        NOON, alert, commit_of, id, incident, incident_commit, position, state, subject,
    };
    use smol_str::{SmolStr, ToSmolStr};

    #[test]
    fn what_was_committed_is_recalled_after_a_restart() {
        let (_directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        let mut commit = commit_of(&[1, 0, 255]);
        commit.subjects.push(subject("", 9));
        commit.subjects.push(subject("jwt:https://id.example.org:ann", 8));
        let committed = store.commit(&commit, NOON).unwrap();
        assert_eq!(committed, Committed { alerts: 0, notices: 0, tokens: 3 });
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.positions().unwrap(), [(StreamId(1), position(300))]);
        let mut names: Vec<SmolStr> =
            commit.subjects.iter().map(|row| row.principal.clone()).collect();
        names.push("nobody".into());
        assert_eq!(store.recall_subjects(&names).unwrap(), commit.subjects);
        assert_eq!(store.known_tokens(&[id(0), id(7), id(255)]).unwrap(), [id(0), id(255)]);
        assert_eq!(store.known_tokens(&[]).unwrap(), []);
    }

    #[test]
    fn all_files_of_a_log_said_how_it_was_read() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit_of(&[1, 2]), NOON).unwrap();
        let mut later = commit_of(&[3]);
        later.streams[0].stream = StreamId(2);
        later.left = vec![StreamId(1), StreamId(7)];
        store.commit(&later, NOON).unwrap();
        let streams = store.streams().unwrap();
        assert_eq!([&*streams[0].health, &*streams[1].health], ["", r#"{"a":1}"#]);
        assert_eq!(streams[0].tally.lines, 2, "nothing else of it is lost");
    }

    #[test]
    fn what_is_only_known_to_be_there_does_not_count_as_read() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit_of(&[1]), NOON).unwrap();
        let mut seen = commit_of(&[]);
        seen.streams[0].tally = Tally::default();
        seen.streams[0].position.offset = store.positions().unwrap()[0].1.offset;
        seen.streams[0].position.size += 5;
        let size = seen.streams[0].position.size;
        for (gap, updated) in [(0, NOON), (1, NOON.plus(5))] {
            seen.streams[0].tally.missing.gap = gap;
            store.commit(&seen, NOON.plus(5)).unwrap();
            let stream = store.streams().unwrap().remove(0);
            assert_eq!((stream.position.size, stream.updated), (size, updated), "{gap}");
        }
    }

    #[test]
    fn positions_are_replaced_and_counters_added() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit_of(&[1]), NOON).unwrap();
        let mut next = commit_of(&[1, 2]);
        next.streams[0].position = position(777);
        next.streams[0].tally.missing.gap = u64::MAX;
        next.subjects[0].blob = vec![2, 2, 2];
        next.streams[0].health = "as it was read since".to_owned();
        store.commit(&next, NOON.plus(5)).unwrap();
        let streams = store.streams().unwrap();
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].position, position(777));
        assert_eq!(streams[0].tally.lines, 3);
        assert_eq!(streams[0].tally.missing.gap, (1 << 53) - 1);
        assert_eq!(streams[0].updated, NOON.plus(5));
        assert_eq!(streams[0].health, "as it was read since");
        let recalled = store.recall_subjects(&[id(1).to_smolstr()]).unwrap();
        assert_eq!(recalled[0].blob, [2, 2, 2]);
        assert_eq!(store.path_of(StreamId(1)).unwrap(), Some(position(777).path));
        let mut healths = Vec::new();
        store.healths(|stream, path, health| healths.push((stream, path, health))).unwrap();
        assert_eq!(healths, [(StreamId(1), position(777).path, "as it was read since".to_owned())]);
        assert_eq!(store.forget_streams(&[StreamId(1), StreamId(2)], &[]).unwrap(), 1);
        assert_eq!(store.forget_streams(&[StreamId(1)], &[]).unwrap(), 0);
        assert_eq!(store.path_of(StreamId(1)).unwrap(), None);
        assert_eq!(store.stats().unwrap().usages, 3, "what was read stays counted");
    }

    #[test]
    fn alerts_and_notices_take_effect_once() {
        let mut store = Store::in_memory().unwrap();
        let commit = incident_commit("i", 1, 1);
        let committed = store.commit(&commit, NOON).unwrap();
        assert_eq!((committed.alerts, committed.notices), (1, 1));
        let again = store.commit(&commit, NOON.plus(1)).unwrap();
        assert_eq!(again, Committed::default());
        let stats = store.stats().unwrap();
        assert_eq!((stats.alerts, stats.incidents, stats.outbox.waiting), (1, 1, 1));
        assert_eq!(stats.outbox.oldest, Some(NOON));
    }

    #[test]
    fn of_many_alerts_each_is_put_once_and_in_its_place() {
        let mut store = Store::in_memory().unwrap();
        let many = u8::try_from(2 * AT_ONCE + 3).unwrap();
        let commit = |numbers: &[u8]| Commit {
            alerts: numbers.iter().map(|n| alert(&n.to_string(), "i", *n, NOON)).collect(),
            incidents: numbers.iter().map(|n| incident(&n.to_string(), *n, 1)).collect(),
            ..Commit::default()
        };
        let odd: Vec<u8> = (0..many).filter(|n| n % 2 == 1).collect();
        let all: Vec<u8> = (0..many).rev().collect();
        assert_eq!(store.commit(&commit(&odd), NOON).unwrap().alerts, odd.len());
        assert_eq!(store.commit(&commit(&all), NOON).unwrap().alerts, all.len() - odd.len());
        assert_eq!(store.stats().unwrap().incidents, u64::from(many));
        let mut ids = store.db.prepare("SELECT id FROM alert ORDER BY number").unwrap();
        let ids: Vec<String> =
            ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let even = all.iter().filter(|n| *n % 2 == 0);
        assert_eq!(ids, odd.iter().chain(even).map(u8::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn an_incident_grows_and_never_goes_back() {
        let mut store = Store::in_memory().unwrap();
        for revision in [1, 3, 2] {
            let incidents = vec![incident("i", 1, revision)];
            let commit = Commit { incidents, ..Commit::default() };
            store.commit(&commit, NOON).unwrap();
        }
        let crate::store::Found::One(found) = store.incident("i").unwrap() else { panic!() };
        assert_eq!(found.incident, incident("i", 1, 3));
    }

    #[test]
    fn a_commit_with_a_fault_in_it_leaves_nothing_behind() {
        let mut store = Store::in_memory().unwrap();
        store.db.execute_batch("DROP TABLE outbox").unwrap();
        let mut commit = commit_of(&[1]);
        commit.notices = incident_commit("i", 1, 1).notices;
        assert!(!store.commit(&commit, NOON).unwrap_err().is_temporary());
        assert!(store.positions().unwrap().is_empty());
        assert!(store.known_tokens(&[id(1)]).unwrap().is_empty());
    }
}
