//! What the site knows about its tokens, and a record of every change.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::commit::SubjectRow;
use crate::engine::registry::{Changes, Registered};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::{get_json, get_text, legible, to_json};
use super::commit::remember;
use super::forget::drop_profile;
use super::{Reader, Store, StoreError, mutes, recall, setting, slot, words};

/// What a command is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// One token.
    Token(TokenId),
    /// A principal: a registered name with all its tokens, or `jwt:ISS:SUB` and the like.
    Principal(SmolStr),
}

/// A registry row that is new or has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The row before, if there was one.
    pub before: Option<Registered>,
    /// The row after.
    pub after: Registered,
}

/// One change of a token or principal in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleRow {
    /// The token; `None` for a principal that is registered by name.
    pub token: Option<TokenId>,
    /// The registered name at that time; may be empty.
    pub name: SmolStr,
    /// When it takes effect.
    pub time: Timestamp,
    /// `registered`, `changed`, `renamed`, `rotated`, `revoked`, `leaked`, `decoy`; or taken back: `unrotated`,
    /// `unrevoked`, `unleaked`, `no decoy`.
    pub what: SmolStr,
    /// By whom and why, in that person's own words.
    pub note: String,
    /// When it was recorded.
    pub noted: Timestamp,
    /// When a later entry replaced it: its opposite, or the same with another time.
    pub taken_back: Option<Timestamp>,
}

impl LifecycleRow {
    /// Returns what an entry and its opposite have in common; `None` for what cannot be taken back.
    fn subject(&self) -> Option<&str> {
        match self.what.as_str() {
            "revoked" | "unrevoked" => Some("revoked"),
            "leaked" | "unleaked" => Some("leaked"),
            "rotated" | "unrotated" => Some("rotated"),
            "decoy" | "no decoy" => Some("decoy"),
            _ => None,
        }
    }
}

const SELECT: &str = "SELECT token, name, owner, issued_at, expires_at, revoked_at, rotated_to,
    rotated_at, scopes, networks, countries, mfa, decoy, leaked_at, notes FROM registry";

impl Reader {
    /// Returns the whole registry, by name and token.
    ///
    /// # Errors
    /// Any database error.
    pub fn registry(&self) -> Result<Vec<Registered>, StoreError> {
        self.read("reading the registry", |db| {
            rows(db, &format!("{SELECT} ORDER BY name, token"), [])
        })
    }

    /// Returns the row of a token, or all those of a name, by token.
    ///
    /// # Errors
    /// Any database error.
    pub fn registered(&self, who: &Who) -> Result<Vec<Registered>, StoreError> {
        self.read("reading rows of the registry", |db| of(db, who))
    }

    /// Returns a number that grows with each change to the registry.
    ///
    /// # Errors
    /// Any database error.
    pub fn registry_version(&self) -> Result<u64, StoreError> {
        self.read("reading the version of the registry", |db| {
            setting::count(db, setting::REGISTRY_VERSION)
        })
    }
}

impl Store {
    /// Registers tokens and principals: each row replaces the one with its token or, without a token, the one with its
    /// name. The resulting changes are added to its lifecycle. Returns how many rows are new or have changed.
    ///
    /// # Errors
    /// Any database error.
    pub fn register(
        &mut self,
        new: &[Registered],
        note: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write("registering", |db| put_all(db, new, note, now))
    }

    /// Imports what a file states about tokens and principals, row by row; fields that it does not name stay as they
    /// are. Returns the rows that are new or have changed.
    ///
    /// # Errors
    /// Any database error.
    pub fn import(
        &mut self,
        file: &[Changes],
        note: &str,
        now: Timestamp,
    ) -> Result<Vec<Changed>, StoreError> {
        self.write("registering", |db| {
            let mut changed = Vec::new();
            for said in file {
                let (token, name) = said.subject();
                let before = standing(db, token, name)?;
                let new = || Registered { token, name: name.into(), ..Registered::default() };
                let mut after = before.clone().unwrap_or_else(new);
                said.apply(&mut after, now);
                if put(db, &after, note, now)? {
                    changed.push(Changed { before, after });
                }
            }
            setting::bump(db, setting::REGISTRY_VERSION, u64::from(!changed.is_empty()))?;
            Ok(changed)
        })
    }

    /// Changes the registry rows of a token, or all those of a name, and returns them. If there is none, one is created
    /// first. `change` may rename a token, but not turn one row into another: a row without a token keeps its name.
    ///
    /// # Errors
    /// Any database error.
    pub fn amend(
        &mut self,
        who: &Who,
        note: &str,
        now: Timestamp,
        change: impl Fn(&mut Registered),
    ) -> Result<Vec<Registered>, StoreError> {
        self.write("changing the registry", |db| {
            let mut found = of(db, who)?;
            if found.is_empty() {
                found.push(match who {
                    Who::Token(token) => {
                        Registered { token: Some(*token), ..Registered::default() }
                    }
                    Who::Principal(name) => {
                        Registered { name: name.clone(), ..Registered::default() }
                    }
                });
            }
            found.iter_mut().for_each(&change);
            put_all(db, &found, note, now)?;
            Ok(found)
        })
    }
}

/// Returns the registry rows of a token or a name.
pub(super) fn of(db: &Connection, who: &Who) -> rusqlite::Result<Vec<Registered>> {
    match who {
        Who::Token(token) => rows(db, &format!("{SELECT} WHERE token = ?1"), [token]),
        Who::Principal(name) => {
            rows(db, &format!("{SELECT} WHERE name = ?1 ORDER BY token"), [name.as_str()])
        }
    }
}

/// Returns the lifecycle of the given tokens and of a name, in the order in which it was recorded.
pub(super) fn lifecycle(
    db: &Connection,
    tokens: &[TokenId],
    name: &str,
) -> rusqlite::Result<Vec<LifecycleRow>> {
    let mut by_token = db.prepare_cached(
        "SELECT token, name, time, what, note, noted FROM lifecycle WHERE token = ?1 ORDER BY number",
    )?;
    let mut by_name = db.prepare_cached(
        "SELECT token, name, time, what, note, noted FROM lifecycle
         WHERE name = ?1 AND name <> '' AND token IS NULL ORDER BY number",
    )?;
    let what = "a row of a lifecycle";
    let mut found = taken_back(legible(what, by_name.query_map([name], lifecycle_row)?)?);
    for token in tokens {
        found.extend(taken_back(legible(what, by_token.query_map([token], lifecycle_row)?)?));
    }
    found.sort_by_key(|row| row.noted);
    Ok(found)
}

/// Marks the entries of one token, or one name, that were taken back later.
fn taken_back(mut said: Vec<LifecycleRow>) -> Vec<LifecycleRow> {
    let mut later = BTreeMap::new();
    for row in said.iter_mut().rev() {
        let Some(subject) = row.subject().map(str::to_owned) else { continue };
        let next = later.insert(subject, row.noted);
        let is_word = row.subject() == Some(&row.what);
        row.taken_back = next.filter(|_| is_word);
    }
    said
}

fn rows(db: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<Vec<Registered>> {
    legible("a row of the registry", db.prepare_cached(sql)?.query_map(parameters, registered)?)
}

impl Store {
    /// Drops the profiles of principals to which nothing belongs any more.
    ///
    /// # Errors
    /// Any database error.
    pub fn drop_unused(&mut self, principals: &BTreeSet<SmolStr>) -> Result<(), StoreError> {
        if principals.is_empty() {
            return Ok(());
        }
        self.write("dropping the profiles of old names", |db| {
            for principal in principals {
                disown(db, principal)?;
                if !is_in_use(db, principal)? {
                    drop_profile(db, principal)?;
                }
            }
            Ok(())
        })
    }
}

fn put_all(
    db: &Connection,
    new: &[Registered],
    note: &str,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut n_changed = 0;
    for row in new {
        n_changed += usize::from(put(db, row, note, now)?);
    }
    setting::bump(db, setting::REGISTRY_VERSION, u64::from(n_changed > 0))?;
    Ok(n_changed)
}

/// Lets a token that gets, changes or loses its name keep its baseline. What was learned under its id, or under its old
/// name if no other token has that name, moves to what it is called now, unless that has a baseline already; and so do
/// mutes and people's words.
fn inherit(db: &Connection, old: Option<&Registered>, row: &Registered) -> rusqlite::Result<()> {
    let Some(token) = row.token else { return Ok(()) };
    let called = |row: &Registered| match row.name.as_str() {
        "" => token.to_smolstr(),
        _ => row.name.clone(),
    };
    let (before, after) = (old.map_or_else(|| token.to_smolstr(), called), called(row));
    if before == after {
        return Ok(());
    }
    disown(db, &before)?;
    if is_in_use(db, &before)? {
        return Ok(());
    }
    let subject = recall::subject(db, &before)?;
    // Nobody uses the old name any more, and its silence is no news.
    drop_profile(db, &before)?;
    if recall::subject(db, &after)?.is_some() {
        return Ok(());
    }
    if let Some(subject) = subject {
        // Whether a token without a name states one itself is known from its next use on: until then it is not
        // expected.
        let due = subject.due.filter(|_| !row.name.is_empty());
        remember(db, &[SubjectRow { principal: after.clone(), due, ..subject }])?;
    }
    mutes::rename(db, &before, &after)?;
    words::rename(db, &before, &after)
}

/// Takes a name from the tokens that lost it, whose own rows name it until their next use.
fn disown(db: &Connection, name: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE token SET principal = '' WHERE principal = ?1 AND principal <> ''
        AND id IN (SELECT token FROM registry WHERE token IS NOT NULL AND name = '')";
    db.prepare_cached(sql)?.execute([name]).map(drop)
}

/// Returns the row of a token or, without one, that of a name.
fn standing(
    db: &Connection,
    token: Option<TokenId>,
    name: &str,
) -> rusqlite::Result<Option<Registered>> {
    let found = match token {
        Some(token) => rows(db, &format!("{SELECT} WHERE token = ?1"), [token])?,
        None => rows(db, &format!("{SELECT} WHERE token IS NULL AND name = ?1"), [name])?,
    };
    Ok(found.into_iter().next())
}

/// Stores one row. Returns whether that changed anything.
fn put(db: &Connection, row: &Registered, note: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let name = row.name.as_str();
    let old = standing(db, row.token, name)?;
    let old = old.as_ref();
    if old == Some(row) {
        return Ok(false);
    }
    db.prepare_cached(
        "DELETE FROM registry WHERE token IS ?1 AND (token IS NOT NULL OR name = ?2)",
    )?
    .execute(params![row.token, name])?;
    insert(db, row)?;
    inherit(db, old, row)?;
    for (what, time) in changes(old, row) {
        db.prepare_cached(
            "INSERT INTO lifecycle (token, name, time, what, note, noted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![row.token, name, time.unwrap_or(now), what, note, now])?;
    }
    Ok(true)
}

fn insert(db: &Connection, row: &Registered) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO registry (token, slot, name, owner, issued_at, expires_at, revoked_at,
           rotated_to, rotated_at, scopes, networks, countries, mfa, decoy, leaked_at, notes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        row.token,
        row.token.map(slot::of_token),
        row.name.as_str(),
        row.owner.as_str(),
        row.issued_at,
        row.expires_at,
        row.revoked_at,
        row.rotated_to.as_str(),
        row.rotated_at,
        to_json(&row.scopes)?,
        to_json(&row.networks)?,
        to_json(&row.countries)?,
        row.mfa,
        row.decoy,
        row.leaked_at,
        row.notes.as_str(),
    ])?;
    Ok(())
}

/// Returns what changed in a row, and when, if the row itself states it.
fn changes(old: Option<&Registered>, new: &Registered) -> Vec<(&'static str, Option<Timestamp>)> {
    let fresh = Registered::default();
    let before = old.unwrap_or(&fresh);
    let mut said = Vec::new();
    if old.is_none() {
        said.push(("registered", None));
    } else if before.name != new.name {
        said.push(("renamed", None));
    }
    let rotation = |row: &Registered| (row.rotated_at, row.rotated_to.clone());
    if rotation(before) != rotation(new) {
        let is_rotated = rotation(new) != rotation(&fresh);
        said.push((if is_rotated { "rotated" } else { "unrotated" }, new.rotated_at));
    }
    if before.revoked_at != new.revoked_at {
        let is_revoked = new.revoked_at.is_some();
        said.push((if is_revoked { "revoked" } else { "unrevoked" }, new.revoked_at));
    }
    if before.leaked_at != new.leaked_at {
        let is_leaked = new.leaked_at.is_some();
        said.push((if is_leaked { "leaked" } else { "unleaked" }, new.leaked_at));
    }
    if before.decoy != new.decoy {
        said.push((if new.decoy { "decoy" } else { "no decoy" }, None));
    }
    if said.is_empty() {
        said.push(("changed", None));
    }
    said
}

fn registered(row: &Row<'_>) -> rusqlite::Result<Registered> {
    Ok(Registered {
        token: row.get("token")?,
        name: get_text(row, "name")?,
        owner: get_text(row, "owner")?,
        issued_at: row.get("issued_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        rotated_to: get_text(row, "rotated_to")?,
        rotated_at: row.get("rotated_at")?,
        scopes: get_json(row, "scopes")?,
        networks: get_json(row, "networks")?,
        countries: get_json(row, "countries")?,
        mfa: row.get("mfa")?,
        decoy: row.get("decoy")?,
        leaked_at: row.get("leaked_at")?,
        notes: get_text(row, "notes")?,
    })
}

fn lifecycle_row(row: &Row<'_>) -> rusqlite::Result<LifecycleRow> {
    Ok(LifecycleRow {
        token: row.get("token")?,
        name: get_text(row, "name")?,
        time: row.get("time")?,
        what: get_text(row, "what")?,
        note: row.get("note")?,
        noted: row.get("noted")?,
        taken_back: None,
    })
}

/// Returns whether anything but its profile still belongs to a principal. A token belongs to the principal that the
/// registry names; its own row names it only from its next use on.
pub(super) fn is_in_use(db: &Connection, principal: &str) -> rusqlite::Result<bool> {
    let found = db
        .prepare_cached(
            "SELECT 1 FROM token AS t LEFT JOIN registry AS r ON r.token = t.id
             WHERE t.principal = ?1 AND t.principal <> '' AND coalesce(r.name, '') IN ('', ?1)
             UNION ALL SELECT 1 FROM registry WHERE name = ?1 LIMIT 1",
        )?
        .query_row([principal], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
