//! Resolves what a person types: names, principals, ids and prefixes of ids.

use rusqlite::{Connection, OptionalExtension, params};
use smol_str::SmolStr;

use crate::engine::secret::TokenId;

use super::recall::token_number;
use super::registry::{self, Who};
use super::slot;
use super::{Reader, StoreError};

/// What a name or the prefix of an id refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// Exactly one.
    One(T),
    /// Several; the first [`Found::MOST`] of them.
    Many(Vec<T>),
    /// Nothing.
    None,
}

impl<T> Found<T> {
    /// How many are returned at most.
    pub const MOST: usize = 20;

    /// Returns the exact match if there is one, else all candidates.
    pub(super) fn unless_exact(mut found: Vec<T>, is_exact: impl Fn(&T) -> bool) -> Self {
        if let Some(at) = found.iter().position(is_exact) {
            return Self::One(found.swap_remove(at));
        }
        match found.len() {
            0 => Self::None,
            1 => found.pop().map_or(Self::None, Self::One),
            _ => Self::Many(found),
        }
    }
}

impl Reader {
    /// Finds the token or principal that a TOKEN argument refers to: a registered name, a principal, an id, or the
    /// prefix of an id (`tw1_` and at least one digit).
    ///
    /// # Errors
    /// Any database error.
    pub fn resolve(&self, text: &str) -> Result<Found<Who>, StoreError> {
        self.read("looking up a token", |db| {
            if let Ok(id) = text.parse::<TokenId>() {
                let is_known = token_number(db, id)?.is_some()
                    || !registry::of(db, &Who::Token(id))?.is_empty();
                return Ok(if is_known { Found::One(Who::Token(id)) } else { Found::None });
            }
            if is_principal(db, text)? {
                return Ok(Found::One(Who::Principal(SmolStr::new(text))));
            }
            let Some((low, high)) = range(text) else { return Ok(Found::None) };
            let found = between(db, low, high)?;
            Ok(Found::unless_exact(found.into_iter().map(Who::Token).collect(), |_| false))
        })
    }
}

impl Reader {
    /// Returns what the tokens are called now that once had a name: their names, or the ids of those without. At most
    /// [`Found::MOST`] of them.
    ///
    /// # Errors
    /// Any database error.
    pub fn renamed(&self, name: &str) -> Result<Vec<SmolStr>, StoreError> {
        self.read("looking for a former name", |db| {
            let mut statement = db.prepare_cached(
                "SELECT DISTINCT coalesce(nullif(r.name, ''), 'tw1_' || lower(hex(r.token))) AS called
                 FROM lifecycle AS l JOIN registry AS r ON r.token = l.token
                 WHERE l.name = ?1 AND l.name <> '' AND r.name <> ?1 ORDER BY called LIMIT ?2",
            )?;
            let most = i64::try_from(Found::<Who>::MOST).unwrap_or(i64::MAX);
            let called = statement.query_map(params![name, most], |row| row.get::<_, String>(0))?;
            called.map(|called| called.map(SmolStr::from)).collect()
        })
    }
}

/// Returns whether there is a principal of this name: with a token, a registry row or a profile.
fn is_principal(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    if name.is_empty() {
        return Ok(false);
    }
    let found = db
        .prepare_cached(
            "SELECT 1 FROM registry WHERE name = ?1
             UNION ALL SELECT 1 FROM token WHERE principal = ?1 AND principal <> ''
             UNION ALL SELECT 1 FROM profile
               WHERE number BETWEEN ?2 AND ?2 + 255 AND principal = ?1
             LIMIT 1",
        )?
        .query_row(params![name, slot::of_principal(name)], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Returns the first and the last id that begin with a text.
fn range(text: &str) -> Option<(TokenId, TokenId)> {
    let digits = text.strip_prefix(TokenId::PREFIX)?;
    if digits.is_empty() {
        return None;
    }
    let low = format!("{}{digits:0<32}", TokenId::PREFIX).parse().ok()?;
    let high = format!("{}{digits:f<32}", TokenId::PREFIX).parse().ok()?;
    Some((low, high))
}

/// Returns the first tokens, used or registered, from one id to another. Numbers are in the order of ids, so a range of
/// ids is a range of numbers too.
fn between(db: &Connection, low: TokenId, high: TokenId) -> rusqlite::Result<Vec<TokenId>> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM (
           SELECT id FROM (SELECT id FROM token WHERE number BETWEEN ?1 AND ?2 + 255
             AND id BETWEEN ?3 AND ?4 ORDER BY number LIMIT ?5)
           UNION
           SELECT id FROM (SELECT token AS id FROM registry WHERE token BETWEEN ?3 AND ?4
             ORDER BY token LIMIT ?5))
         ORDER BY id LIMIT ?5",
    )?;
    let most = i64::try_from(Found::<Who>::MOST).unwrap_or(i64::MAX);
    let ends = params![slot::of_token(low), slot::of_token(high), low, high, most];
    statement.query_map(ends, |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_a_range() {
        let (low, high) = range("tw1_e7").unwrap();
        assert_eq!(low.to_string(), format!("tw1_e7{:0<30}", ""));
        assert_eq!(high.to_string(), format!("tw1_e7{:f<30}", ""));
        for text in ["", "tw1_", "e7", "tw1_xy", "tw1_e7-"] {
            assert_eq!(range(text), None, "{text}");
        }
        assert_eq!(range(&format!("tw1_{:0<33}", "")), None);
    }

    #[test]
    fn a_former_name_leads_to_what_its_tokens_are_called_now() {
        use crate::store::Store;
        use crate::store::sample::{NOON, id, registered};
        let mut store = Store::in_memory().unwrap();
        let rows = [(1, "ci"), (2, "ci"), (3, "billing")];
        let rows = rows.map(|(first, name)| registered(Some(first), name));
        store.register(&rows, "", NOON).unwrap();
        assert_eq!(store.renamed("ci").unwrap(), [""; 0], "it is called that");
        store.amend(&Who::Token(id(1)), "", NOON, |row| row.name = "deploy".into()).unwrap();
        store.amend(&Who::Token(id(2)), "", NOON, |row| row.name = "".into()).unwrap();
        assert_eq!(store.renamed("ci").unwrap(), ["deploy", &*id(2).to_string()]);
        store.amend(&Who::Token(id(1)), "", NOON, |row| row.name = "deploy-bot".into()).unwrap();
        for name in ["ci", "deploy"] {
            assert!(store.renamed(name).unwrap().contains(&"deploy-bot".into()), "{name}");
        }
        for name in ["", "deploy-bot", "nobody"] {
            assert_eq!(store.renamed(name).unwrap(), [""; 0], "{name}");
        }
    }

    #[test]
    fn names_principals_ids_and_beginnings_are_found() {
        use crate::store::Store;
        use crate::store::sample::{NOON, commit_of, id, registered, subject};
        let mut store = Store::in_memory().unwrap();
        let mut commit = commit_of(&[0x01, 0x02, 0x80, 0xff]);
        commit.subjects.push(subject("jwt:iss:ann", 1));
        store.commit(&commit, NOON).unwrap();
        store.register(&[registered(Some(0x0a), "billing")], "", NOON).unwrap();
        let token = |first| Who::Token(id(first));
        let principal = |name: &str| Found::One(Who::Principal(name.into()));
        let cases = [
            ("billing", principal("billing")),
            ("jwt:iss:ann", principal("jwt:iss:ann")),
            ("tw1_80", Found::One(token(0x80))),
            ("tw1_8", Found::One(token(0x80))),
            ("tw1_f", Found::One(token(0xff))),
            ("tw1_0A", Found::One(token(0x0a))),
            ("tw1_0", Found::Many(vec![token(0x01), token(0x02), token(0x0a)])),
            ("tw1_7", Found::None),
            ("tw1_", Found::None),
            ("", Found::None),
            ("bill", Found::None),
            ("O'Hara\"; --", Found::None),
        ];
        for (text, expected) in cases {
            assert_eq!(store.resolve(text).unwrap(), expected, "{text}");
        }
        for (first, expected) in [(0xff, Found::One(token(0xff))), (0x33, Found::None)] {
            assert_eq!(store.resolve(&id(first).to_string()).unwrap(), expected);
        }
    }
}
