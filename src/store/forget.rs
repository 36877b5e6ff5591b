//! Forgetting: removes everything stored about a token or a principal, in one transaction, and overwrites it.
//!
//! SQLite leaves what is deleted in the file until the room is used again. Rows that are deleted here are overwritten, and
//! the write-ahead log is emptied. Earlier versions of rows, and copies of them from when pages were split, remain until
//! the database is [compacted](Store::compact).

use rusqlite::{Connection, params};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::house::short_name;
use crate::engine::reserved::Reserved;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::commit::bump;
use super::recall::token_number;
use super::registry::{self, Who};
use super::{Store, StoreError, postponed, slot, tokens, words};

/// Deletes the alerts of a principal that is not the alert's own token. Separate from [`DROP_OWN`], since each uses an
/// index of its own.
const DROP_OTHER: &str = "DELETE FROM alert
    WHERE principal = ?1 AND principal <> 'tw1_' || lower(hex(token))";

/// Deletes the alerts of a principal that is the alert's own token.
const DROP_OWN: &str = "DELETE FROM alert WHERE principal = ?1 AND token = ?2";

const DROP_MENTIONS: &str = "DELETE FROM alert
    WHERE principal = ?2 AND principal <> 'tw1_' || lower(hex(token)) AND (
      instr(body, ': ' || ?1 || ',') OR instr(body, ', ' || ?1 || ',')
      OR instr(body, ', ' || ?1 || ';') OR instr(body, ': ' || ?1 || ';')
      OR instr(body, ', ' || ?1 || ' and '))";

impl Store {
    /// Removes a token, or a principal with all its tokens: registry, lifecycle, history, profile, alerts, mutes and
    /// mails. What several tokens share stays until the last of them is forgotten. Returns whether there was anything
    /// to remove.
    ///
    /// The version of the registry grows: a running daemon commits what it has in memory, drops it, and
    /// [forgets this once more](Self::forget_again).
    ///
    /// # Errors
    /// Any database error.
    pub fn forget(&mut self, who: &Who) -> Result<bool, StoreError> {
        self.overwrite("forgetting", |db| {
            let n_gone = erase(db, who, Extent::All)?;
            if n_gone > 0 {
                note(db, who)?;
            }
            bump(db, "registry_version", u64::from(n_gone > 0))?;
            Ok(n_gone > 0)
        })
    }

    /// Removes what was committed after it was forgotten, by somebody who still had it in memory. Whoever commits calls
    /// this when nothing of it is in memory any more. What people said since stays.
    ///
    /// # Errors
    /// Any database error.
    pub fn forget_again(&mut self) -> Result<(), StoreError> {
        // Usually there is nothing to write, and the disk may be full.
        let noted = self.read("reading what was forgotten", noted)?;
        if noted.is_empty() {
            return Ok(());
        }
        self.overwrite("forgetting once more", |db| {
            for who in &noted {
                erase(db, who, Extent::Committed)?;
            }
            db.execute("DELETE FROM forgotten", []).map(drop)
        })
    }

    /// Rewrites the database, so that its file holds nothing but what is stored. Whoever else wants to write waits as long as
    /// copying it takes.
    ///
    /// # Errors
    /// Any database error; [`StoreError::Full`] if there is no room for a copy. The database stays as it was.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let done = self.db.execute_batch("VACUUM").and_then(|()| empty_log(&self.db));
        done.map_err(|source| StoreError::database(self.path(), "compacting the database", source))
    }

    /// Makes a change that overwrites what it deletes, in the database and in its write-ahead log.
    fn overwrite<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let fault = |store: &Self, source| StoreError::database(store.path(), doing, source);
        let secure = |store: &Self, is_on: bool| {
            let done = store.db.pragma_update(None, "secure_delete", is_on);
            done.map_err(|source| fault(store, source))
        };
        secure(self, true)?;
        let answer = self.write(doing, |db| change(db));
        // Everything else that is deleted all day long would cost more writes.
        secure(self, false)?;
        let answer = answer?;
        empty_log(&self.db).map_err(|source| fault(self, source))?;
        Ok(answer)
    }
}

/// Moves the write-ahead log into the database and empties it. If others read for longer than a call waits, it is emptied
/// later: the next time that all of it was moved and it is written to.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn note(db: &Connection, who: &Who) -> rusqlite::Result<()> {
    let (token, principal) = match who {
        Who::Token(token) => (Some(*token), None),
        Who::Principal(name) => (None, Some(name.as_str())),
    };
    let sql = "INSERT INTO forgotten (token, principal) VALUES (?1, ?2)";
    db.execute(sql, params![token, principal]).map(drop)
}

fn noted(db: &Connection) -> rusqlite::Result<Vec<Who>> {
    let mut find = db.prepare("SELECT token, principal FROM forgotten")?;
    let rows = find.query_map([], |row| {
        let name: Option<String> = row.get("principal")?;
        Ok(match name {
            Some(name) => Who::Principal(name.into()),
            None => Who::Token(row.get("token")?),
        })
    })?;
    rows.collect()
}

/// What is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Everything.
    All,
    /// What is committed with lines, and nothing that a person said: not the registry, mutes and acknowledgements.
    Committed,
}

/// Removes a token or a principal. Returns how many rows were removed.
fn erase(db: &Connection, who: &Who, extent: Extent) -> rusqlite::Result<usize> {
    let n_gone = match who {
        Who::Token(token) => forget_token(db, *token, extent)?,
        Who::Principal(name) => {
            let mut n_gone = 0;
            for found in tokens::of_principal(db, name, Timestamp::default())? {
                if let Some(token) = found.summary.token {
                    n_gone += forget_token(db, token, extent)?;
                }
            }
            if extent == Extent::All {
                n_gone += db.execute("DELETE FROM registry WHERE name = ?1", [name.as_str()])?;
            }
            n_gone + forget_principal(db, name, extent)?
        }
    };
    sweep_incidents(db)?;
    Ok(n_gone)
}

/// Removes a token. Returns how many rows were removed.
fn forget_token(db: &Connection, token: TokenId, extent: Extent) -> rusqlite::Result<usize> {
    let mut principals = vec![token.to_smolstr()];
    principals.extend(registry::of(db, &Who::Token(token))?.into_iter().map(|row| row.name));
    let mut n_gone = 0;
    if let Some(number) = token_number(db, token)? {
        principals.push(stored_principal(db, number)?);
        n_gone += drop_history(db, number)?;
    }
    n_gone += db.prepare_cached("DELETE FROM alert WHERE token = ?1")?.execute([token])?;
    if extent == Extent::All {
        for sql in
            ["DELETE FROM registry WHERE token = ?1", "DELETE FROM lifecycle WHERE token = ?1"]
        {
            n_gone += db.prepare_cached(sql)?.execute([token])?;
        }
    }
    for principal in principals.iter().filter(|name| !name.is_empty()) {
        if !registry::is_in_use(db, principal)? {
            n_gone += forget_principal(db, principal, extent)?;
        }
    }
    Ok(n_gone)
}

/// Removes a token's row with its hours and facets. Returns how many rows were removed.
pub(super) fn drop_history(db: &Connection, number: i64) -> rusqlite::Result<usize> {
    let mut n_gone = 0;
    for sql in [
        "DELETE FROM activity WHERE token = ?1",
        "DELETE FROM facets WHERE token = ?1",
        "DELETE FROM token WHERE number = ?1",
    ] {
        n_gone += db.prepare_cached(sql)?.execute([number])?;
    }
    Ok(n_gone)
}

/// Removes a principal's profile. Returns whether it had one.
pub(super) fn drop_profile(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    let n_gone = db
        .prepare_cached(
            "DELETE FROM profile WHERE number BETWEEN ?1 AND ?1 + 255 AND principal = ?2",
        )?
        .execute((slot::of_principal(name), name))?;
    Ok(n_gone > 0)
}

/// Returns the principal stored in a token's row; empty for the token itself.
pub(super) fn stored_principal(db: &Connection, number: i64) -> rusqlite::Result<SmolStr> {
    db.prepare_cached("SELECT principal FROM token WHERE number = ?1")?
        .query_row([number], |row| super::codec::get_text(row, "principal"))
}

fn forget_principal(db: &Connection, name: &str, extent: Extent) -> rusqlite::Result<usize> {
    let mut n_gone = usize::from(drop_profile(db, name)?);
    let sql = "DELETE FROM incident WHERE principal = ?1";
    n_gone += db.prepare_cached(sql)?.execute([name])?;
    n_gone += postponed::drop_mails(db, "principal = ?1", [name])?;
    n_gone += drop_alerts(db, name)? + drop_mentions(db, name)?;
    if extent == Extent::All {
        n_gone += forget_said(db, name)?;
    }
    Ok(n_gone)
}

/// Removes what people said of a principal.
fn forget_said(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM lifecycle WHERE name = ?1 AND token IS NULL";
    let n_gone = db.prepare_cached(sql)?.execute([name])?;
    let n_mutes = db.prepare_cached("DELETE FROM mute WHERE principal = ?1")?.execute([name])?;
    bump(db, "mutes_version", u64::from(n_mutes > 0))?;
    Ok(n_gone + n_mutes + words::forget(db, name)?)
}

/// Removes the alerts of a principal.
fn drop_alerts(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let mut n_gone = db.prepare_cached(DROP_OTHER)?.execute([name])?;
    if let Ok(token) = name.parse::<TokenId>() {
        n_gone += db.prepare_cached(DROP_OWN)?.execute(params![name, token])?;
    }
    Ok(n_gone)
}

/// Removes alerts about many tokens at once that name a principal: whole names in a list, as `detect::fleet` writes it.
/// Long names are shortened; two that begin alike cannot be told apart.
fn drop_mentions(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    let quoted = serde_json::Value::from(short_name(name).as_str()).to_string();
    db.prepare_cached(DROP_MENTIONS)?.execute([quoted.trim_matches('"'), Reserved::FLEET])
}

/// Removes incidents, mails and acknowledgements whose alerts are gone.
fn sweep_incidents(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM incident WHERE NOT EXISTS (
           SELECT 1 FROM alert WHERE alert.incident = incident.id);",
    )?;
    let without = "incident IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM incident WHERE incident.id = outbox.incident)";
    postponed::drop_mails(db, without, [])?;
    sweep_acks(db)
}

/// Removes acknowledgements of alerts and incidents that are gone.
pub(super) fn sweep_acks(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM ack WHERE NOT EXISTS (SELECT 1 FROM alert WHERE alert.id = ack.subject)
           AND NOT EXISTS (SELECT 1 FROM incident WHERE incident.id = ack.subject)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::registry::Registered;
    use crate::engine::word::Verdict;
    use crate::store::Ack;
    use crate::store::sample::{NOON, commit_of, id, incident_commit, registered, state, subject};

    const TABLES: [&str; 10] = [
        "token",
        "profile",
        "activity",
        "facets",
        "registry",
        "lifecycle",
        "alert",
        "incident",
        "outbox",
        "ack",
    ];

    fn rows(store: &Store) -> Vec<(&'static str, i64)> {
        let count = |table: &&'static str| {
            let sql = format!("SELECT count(*) FROM {table}");
            (*table, store.db.query_row(&sql, [], |row| row.get(0)).unwrap())
        };
        TABLES.iter().map(count).filter(|(_, n_rows)| *n_rows > 0).collect()
    }

    #[test]
    fn nothing_remains_of_a_forgotten_token_and_everything_of_others() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&commit_of(&[1]), NOON).unwrap();
        store.register(&[registered(Some(1), "")], "", NOON).unwrap();
        store.commit(&incident_commit("i", 1, 1), NOON).unwrap();
        let ack = |subject: &str| Ack {
            subject: subject.into(),
            verdict: Verdict::Expected,
            note: String::new(),
            at: NOON,
        };
        store.ack(&ack("i"), None).unwrap();
        let before = rows(&store);
        assert_eq!(before.len(), TABLES.len());
        assert!(!store.forget(&Who::Token(id(2))).unwrap());
        assert_eq!(rows(&store), before);
        assert!(store.forget(&Who::Token(id(1))).unwrap());
        assert_eq!(rows(&store), []);
        assert_eq!(store.registry_version().unwrap(), 2);
    }

    /// Returns the files of a directory that contain a text.
    fn files_with(directory: &std::path::Path, text: &str) -> Vec<std::ffi::OsString> {
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let has = |path: std::path::PathBuf| {
            memchr::memmem::find(&std::fs::read(path).unwrap(), text.as_bytes()).is_some()
        };
        files.filter(|file| has(file.path())).map(|file| file.file_name()).collect()
    }

    #[test]
    fn what_was_forgotten_could_still_be_read_in_the_files() {
        const NAME: &str = "the-bot-of-ann";
        let (directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        // Somebody else has the database open: closing this connection alone moves nothing.
        let other = Store::open(&path).unwrap();
        let mut commit = commit_of(&[1]);
        commit.subjects.push(subject(NAME, 1));
        store.commit(&commit, NOON).unwrap();
        store.register(&[registered(Some(1), NAME)], "", NOON).unwrap();
        assert!(!files_with(directory.path(), NAME).is_empty());
        store.forget(&Who::Principal(NAME.into())).unwrap();
        store.forget_again().unwrap();
        assert_eq!(files_with(directory.path(), NAME), [""; 0]);
        drop(other);
    }

    #[test]
    fn earlier_versions_of_what_was_forgotten_stayed_in_unused_parts_of_the_database() {
        const NAME: &str = "the-bot-of-ann";
        let (directory, path) = state();
        let mut store = Store::open(&path).unwrap();
        for n in 0..50 {
            let name = format!("{NAME}-{n}");
            let mut commit = commit_of(&[1]);
            commit.subjects = vec![subject(&name, 1)];
            commit.subjects[0].blob = name.repeat(1 + n * 20).into_bytes();
            store.commit(&commit, NOON).unwrap();
            let notes = "at will ".repeat(n * 7 % 50).into();
            store
                .register(&[Registered { notes, ..registered(Some(1), &name) }], "", NOON)
                .unwrap();
        }
        store.forget(&Who::Token(id(1))).unwrap();
        store.forget_again().unwrap();
        assert_eq!(files_with(directory.path(), NAME), ["tokenwatch.db"]);
        store.compact().unwrap();
        assert_eq!(files_with(directory.path(), NAME), [""; 0]);
        assert!(store.verify().is_ok());
    }

    #[test]
    fn what_was_still_in_memory_came_back_with_the_next_commit() {
        let mut commit = commit_of(&[1, 2]);
        commit.subjects = vec![subject("billing", 1)];
        commit.ledger.tokens.get_mut(&id(1)).unwrap().principal = "billing".into();
        for who in [Who::Token(id(1)), Who::Principal("billing".into())] {
            let mut store = Store::in_memory().unwrap();
            store.commit(&commit, NOON).unwrap();
            assert!(store.forget(&who).unwrap());
            store.commit(&commit, NOON).unwrap();
            let left = |store: &Store| {
                let n_profiles = store.recall_subjects(&["billing".into()]).unwrap().len();
                (n_profiles, store.stats().unwrap().tokens)
            };
            assert_eq!(left(&store), (1, 2));
            store.forget_again().unwrap();
            assert_eq!(left(&store), (0, 1), "{who:?}");
            // It is over: what is used from now on is new.
            store.commit(&commit, NOON).unwrap();
            store.forget_again().unwrap();
            assert_eq!(left(&store), (1, 2));
        }
    }

    #[test]
    fn what_was_registered_after_it_was_forgotten_went_too() {
        let mut store = Store::in_memory().unwrap();
        let rows = [registered(Some(1), "ci"), registered(Some(2), "web")];
        store.register(&rows, "", NOON).unwrap();
        store.commit(&commit_of(&[1, 2]), NOON).unwrap();
        store.forget(&Who::Principal("ci".into())).unwrap();
        store.forget(&Who::Token(id(2))).unwrap();
        let again = [registered(Some(3), "ci"), registered(Some(2), "web")];
        store.register(&again, "", NOON).unwrap();
        store.commit(&commit_of(&[1, 2]), NOON).unwrap();
        store.forget_again().unwrap();
        assert_eq!((store.registry().unwrap().len(), store.stats().unwrap().tokens), (2, 1));
    }

    #[test]
    fn an_alert_of_many_that_names_a_forgotten_principal_goes_with_it() {
        let mut store = Store::in_memory().unwrap();
        store.register(&[registered(None, "web"), registered(None, "ci")], "", NOON).unwrap();
        let mut commit = incident_commit("i", 1, 1);
        for alert in &mut commit.alerts {
            (alert.principal, alert.token) = ("fleet".into(), None);
            alert.reason = "is used by 3 principals so far: ci-2, web, web-2; a thief".into();
        }
        store.commit(&commit, NOON).unwrap();
        let has_alerts = |store: &Store| rows(store).iter().any(|(table, _)| *table == "alert");
        store.forget(&Who::Principal("ci".into())).unwrap();
        assert!(has_alerts(&store), "ci-2 is somebody else");
        store.forget(&Who::Principal("web".into())).unwrap();
        assert!(!has_alerts(&store));
    }

    #[test]
    fn a_long_name_and_the_fifth_of_more_stayed_in_alerts_of_many() {
        let long = format!("jwt:https://login.example.com/{0}/v2.0:{0}", "0".repeat(36));
        let cut: String = long.chars().take(64).collect();
        let reason = format!("by 9 principals so far: a, {cut}, b, c, ci and 4 more; a thief");
        for (name, is_named) in [
            (long.as_str(), true),
            ("ci", true),
            ("a", true),
            ("jwt:https://login.example.com/", false),
            ("c", true),
            ("9", false),
            ("more", false),
        ] {
            let mut store = Store::in_memory().unwrap();
            let mut commit = incident_commit("i", 1, 1);
            for alert in &mut commit.alerts {
                (alert.principal, alert.token) = ("fleet".into(), None);
                alert.reason.clone_from(&reason);
            }
            store.commit(&commit, NOON).unwrap();
            store.forget(&Who::Principal(name.into())).unwrap();
            assert_eq!(store.stats().unwrap().alerts == 0, is_named, "{name}");
        }
    }

    #[test]
    fn the_alerts_of_a_forgotten_principal_go_whatever_token_they_are_of() {
        let of = |token: Option<u8>, principal: &str| {
            let mut store = Store::in_memory().unwrap();
            let mut commit = incident_commit("i", token.unwrap_or_default(), 1);
            for alert in &mut commit.alerts {
                alert.principal = principal.into();
                alert.token = alert.token.take().filter(|_| token.is_some());
            }
            store.commit(&commit, NOON).unwrap();
            move |who: &Who| {
                store.forget(who).unwrap();
                rows(&store).iter().all(|(table, _)| *table != "alert")
            }
        };
        let named = |name: &str| Who::Principal(name.into());
        let own = id(1).to_string();
        for token in [None, Some(1), Some(2)] {
            for principal in [own.as_str(), "ci"] {
                assert!(of(token, principal)(&named(principal)), "{token:?} {principal}");
                assert!(!of(token, principal)(&named("web")), "{token:?} {principal}");
            }
        }
        assert!(!of(Some(1), "ci")(&named(&own)));
    }

    #[test]
    fn the_alerts_of_one_principal_are_found_without_walking_over_all() {
        let store = Store::in_memory().unwrap();
        for (sql, index) in [
            (DROP_OTHER, "alert_principal"),
            (DROP_MENTIONS, "alert_principal"),
            (DROP_OWN, "alert_token"),
        ] {
            let plan = store.plan(sql);
            assert!(plan.contains(&format!("SEARCH alert USING INDEX {index}")), "{plan}");
        }
    }

    #[test]
    fn a_shared_principal_stays_until_its_last_token_goes() {
        let mut store = Store::in_memory().unwrap();
        let mut commit = commit_of(&[1, 2]);
        commit.subjects = vec![subject("billing", 1)];
        for token in commit.ledger.tokens.values_mut() {
            token.principal = "billing".into();
        }
        store.commit(&commit, NOON).unwrap();
        let rows = [registered(Some(1), "billing"), registered(Some(2), "billing")];
        store.register(&rows, "", NOON).unwrap();
        let profiles = |store: &Store| store.recall_subjects(&["billing".into()]).unwrap().len();
        store.forget(&Who::Token(id(1))).unwrap();
        assert_eq!((profiles(&store), store.stats().unwrap().tokens), (1, 1));
        store.forget(&Who::Token(id(2))).unwrap();
        assert_eq!((profiles(&store), store.stats().unwrap().tokens), (0, 0));
    }

    #[test]
    fn a_forgotten_name_takes_all_its_tokens_with_it() {
        let mut store = Store::in_memory().unwrap();
        let mut commit = commit_of(&[1, 2]);
        commit.subjects.push(subject("billing", 1));
        store.commit(&commit, NOON).unwrap();
        let named = [registered(Some(1), "billing"), registered(Some(2), "billing")];
        store.register(&named, "", NOON).unwrap();
        store.register(&[registered(None, "billing")], "", NOON).unwrap();
        assert!(store.forget(&Who::Principal("billing".into())).unwrap());
        assert_eq!(rows(&store), []);
    }
}
