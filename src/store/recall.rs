//! What the Judge asks before it judges a batch: thousands of keys, one prepared statement.

use rusqlite::{Connection, Result, Row};
use smol_str::SmolStr;

use crate::engine::commit::{HouseRow, SubjectRow};
use crate::engine::secret::TokenId;

use super::codec::get_text;
use super::slot::{self, Slot};
use super::{Reader, StoreError};

/// Finds a token's row for [`slot::find`].
pub(super) const FIND_TOKEN: &str =
    "SELECT number, id FROM token WHERE number BETWEEN ?1 AND ?2 ORDER BY number";

impl Reader {
    /// Returns what is remembered of the given principals; those unknown are left out.
    ///
    /// # Errors
    /// What the database says.
    pub fn recall_subjects(&self, principals: &[SmolStr]) -> Result<Vec<SubjectRow>, StoreError> {
        self.read("recalling profiles", |db| {
            let mut known = Vec::with_capacity(principals.len());
            for principal in principals {
                if let Some(blob) = subject(db, principal)? {
                    known.push(SubjectRow { principal: principal.clone(), blob });
                }
            }
            Ok(known)
        })
    }

    /// Returns all that is known beyond one principal.
    ///
    /// # Errors
    /// What the database says.
    pub fn house(&self) -> Result<Vec<HouseRow>, StoreError> {
        self.read("recalling the house", |db| {
            let mut all = db.prepare_cached("SELECT name, body FROM house ORDER BY name")?;
            let row = |row: &Row<'_>| {
                Ok(HouseRow { name: get_text(row, "name")?, body: row.get("body")? })
            };
            all.query_map([], row)?.collect()
        })
    }

    /// Returns those of the given tokens that have been used before.
    ///
    /// # Errors
    /// What the database says.
    pub fn known_tokens(&self, ids: &[TokenId]) -> Result<Vec<TokenId>, StoreError> {
        self.read("looking up tokens", |db| {
            let mut find = db.prepare_cached(FIND_TOKEN)?;
            let mut known = Vec::new();
            for id in ids {
                let slot = slot::find(&mut find, slot::of_token(*id), &id.0)?;
                if matches!(slot, Slot::Taken(_)) {
                    known.push(*id);
                }
            }
            Ok(known)
        })
    }
}

/// Returns what is remembered of one principal.
pub(super) fn subject(db: &Connection, principal: &str) -> Result<Option<Vec<u8>>> {
    let mut find = db.prepare_cached(
        "SELECT body FROM profile WHERE number BETWEEN ?1 AND ?1 + 255 AND principal = ?2",
    )?;
    let mut rows = find.query((slot::of_principal(principal), principal))?;
    rows.next()?.map(|row| Ok(row.get_ref(0)?.as_blob()?.to_vec())).transpose()
}

/// Returns the number of a token's row, if it has one.
pub(super) fn token_number(db: &Connection, id: TokenId) -> Result<Option<i64>> {
    let mut find = db.prepare_cached(FIND_TOKEN)?;
    match slot::find(&mut find, slot::of_token(id), &id.0)? {
        Slot::Taken(number) => Ok(Some(number)),
        Slot::Free(_) => Ok(None),
    }
}
