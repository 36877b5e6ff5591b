//! What the registry states about the subject of an alert: the alert is a record, and this is read when somebody looks
//! at it.

use rusqlite::{Connection, OptionalExtension};
use smol_str::SmolStr;

use crate::engine::registry::{Background, Mark, Registered};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::recall::token_number;
use super::registry::{self, LifecycleRow, Who};
use super::{Reader, StoreError};

impl Reader {
    /// Returns what is registered about a token or, without one, about all tokens of a principal. Only a token has
    /// marks: those that are in effect `at` a time.
    ///
    /// # Errors
    /// Any database error.
    pub fn background(
        &self,
        token: Option<TokenId>,
        principal: &str,
        at: Timestamp,
    ) -> Result<Background, StoreError> {
        self.read("reading the registry rows of an alert", |db| {
            let rows = rows(db, token, principal)?;
            let marks = token.map(|token| marks(db, token, rows.first(), at)).transpose()?;
            Ok(Background {
                owner: joined(rows.iter().map(|row| &row.owner)),
                notes: joined(rows.iter().map(|row| &row.notes)),
                marks: marks.unwrap_or_default(),
            })
        })
    }
}

/// Returns the row of a token, else that of its principal's name; without a token, all rows of the name.
fn rows(
    db: &Connection,
    token: Option<TokenId>,
    principal: &str,
) -> rusqlite::Result<Vec<Registered>> {
    let own = token.map(|token| registry::of(db, &Who::Token(token))).transpose()?;
    match own {
        Some(own) if !own.is_empty() => return Ok(own),
        _ if principal.is_empty() => return Ok(Vec::new()),
        _ => {}
    }
    let mut named = registry::of(db, &Who::Principal(principal.into()))?;
    named.retain(|row| token.is_none() || row.token.is_none());
    Ok(named)
}

/// Joins the different texts, each once.
fn joined<'a>(texts: impl Iterator<Item = &'a SmolStr>) -> SmolStr {
    let mut different: Vec<&str> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !different.contains(&text.as_str()) {
            different.push(text);
        }
    }
    different.join(", ").into()
}

fn marks(
    db: &Connection,
    token: TokenId,
    row: Option<&Registered>,
    at: Timestamp,
) -> rusqlite::Result<Vec<Mark>> {
    let fresh = Registered::default();
    let row = row.unwrap_or(&fresh);
    let name = if row.token.is_none() { row.name.as_str() } else { "" };
    let said = registry::lifecycle(db, row.token.as_slice(), name)?;
    let mark = |what, since: Option<Timestamp>| {
        let word = word(&said, what, since);
        let note = word.map(|word| word.note.clone()).unwrap_or_default();
        Mark { what, since, successor: SmolStr::default(), note }
    };
    let mut marks = Vec::new();
    if row.decoy {
        let since = word(&said, "decoy", None).map(|word| word.time);
        marks.push(mark("decoy", since));
    }
    let held = |time: &Option<Timestamp>| time.is_some_and(|time| time <= at);
    for (what, since) in [("leaked", row.leaked_at), ("revoked", row.revoked_at)] {
        marks.extend(held(&since).then(|| mark(what, since)));
    }
    if held(&row.rotated_at) {
        let successor = row.rotated_to.clone();
        marks.push(Mark { successor, ..mark("rotated", row.rotated_at) });
    }
    let expiry = row.expires_at.map_or_else(|| own_expiry(db, token), |time| Ok(Some(time)))?;
    marks.extend(held(&expiry).then(|| mark("expired", expiry)));
    Ok(marks)
}

/// Returns the last entry of a kind or, if a time is given, the last one about that time.
fn word<'a>(
    said: &'a [LifecycleRow],
    what: &str,
    time: Option<Timestamp>,
) -> Option<&'a LifecycleRow> {
    let is_meant =
        |row: &&LifecycleRow| row.what == what && time.is_none_or(|time| row.time == time);
    said.iter().filter(is_meant).max_by_key(|row| row.noted)
}

/// Returns the expiry time that the token itself states.
fn own_expiry(db: &Connection, token: TokenId) -> rusqlite::Result<Option<Timestamp>> {
    let Some(number) = token_number(db, token)? else { return Ok(None) };
    let found = db
        .prepare_cached("SELECT expires_at FROM token WHERE number = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::DAY;
    use crate::store::Store;
    use crate::store::sample::{NOON, id, registered};

    #[test]
    fn who_reads_an_alert_is_told_whom_to_ask_and_what_was_said() {
        let mut store = Store::in_memory().unwrap();
        let owned = |n: u8, owner: &str| Registered {
            owner: owner.into(),
            notes: "until the migration".into(),
            ..registered(Some(n), "ci")
        };
        store.register(&[owned(1, "ann"), owned(2, "bob")], "", NOON).unwrap();
        let who = Who::Token(id(1));
        let mut revoke = |at, note, now| {
            store.amend(&who, note, now, |row| row.revoked_at = Some(at)).unwrap();
        };
        revoke(NOON.plus(-DAY), "a slip", NOON);
        revoke(NOON.plus(1), "INC-7", NOON.plus(2));
        let told = |token, at| store.background(token, "ci", at).unwrap();
        let revoked = Mark {
            what: "revoked",
            since: Some(NOON.plus(1)),
            successor: SmolStr::default(),
            note: "INC-7".to_owned(),
        };
        let notes = SmolStr::from("until the migration");
        let of =
            |owner: &str, marks| Background { owner: owner.into(), notes: notes.clone(), marks };
        assert_eq!(told(Some(id(1)), NOON.plus(1)), of("ann", vec![revoked]));
        // It was valid at that time, and the other one still is.
        assert_eq!(told(Some(id(1)), NOON), of("ann", vec![]));
        assert_eq!(told(Some(id(2)), NOON.plus(9)), of("bob", vec![]));
        // A principal that fell silent has no token to name.
        assert_eq!(told(None, NOON.plus(9)), of("ann, bob", vec![]));
        assert_eq!(store.background(Some(id(9)), "ci", NOON).unwrap(), Background::default());
        assert_eq!(store.background(None, "", NOON).unwrap(), Background::default());
    }

    #[test]
    fn what_is_registered_by_name_speaks_of_its_tokens() {
        let mut store = Store::in_memory().unwrap();
        let ann = Who::Principal("jwt:iss:ann".into());
        let change = |row: &mut Registered| {
            row.owner = "ann".into();
            row.rotated_to = "ann-2".into();
            row.rotated_at = Some(NOON.plus(-DAY));
            row.decoy = true;
        };
        store.amend(&ann, "moved", NOON, change).unwrap();
        let told = store.background(Some(id(3)), "jwt:iss:ann", NOON.plus(-DAY)).unwrap();
        let marks: Vec<_> =
            told.marks.iter().map(|mark| (mark.what, mark.since, mark.note.as_str())).collect();
        assert_eq!(
            marks,
            [("decoy", Some(NOON), "moved"), ("rotated", Some(NOON.plus(-DAY)), "moved")]
        );
        assert_eq!((told.owner.as_str(), told.marks[1].successor.as_str()), ("ann", "ann-2"));
    }
}
