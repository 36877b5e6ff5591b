//! What the Judge looks up before it judges a batch: thousands of keys with one prepared statement.

use rusqlite::{CachedStatement, Connection, Result, Row};
use smol_str::SmolStr;

use crate::engine::commit::{HouseRow, SubjectRow};
use crate::engine::secret::TokenId;

use super::codec::{get_text, legible};
use super::slot::{self, Slot};
use super::{Reader, StoreError};

/// Finds a token's row for [`slot::find`].
pub(super) const FIND_TOKEN: &str =
    "SELECT number, id FROM token WHERE number BETWEEN ?1 AND ?2 ORDER BY number";

/// Finds what is remembered about a principal.
const FIND_SUBJECT: &str = "SELECT principal, body, due FROM profile
    WHERE number BETWEEN ?1 AND ?1 + 255 AND principal = ?2";

impl Reader {
    /// Returns what is remembered about the given principals; unknown ones are left out.
    ///
    /// # Errors
    /// Any database error.
    pub fn recall_subjects(&self, principals: &[SmolStr]) -> Result<Vec<SubjectRow>, StoreError> {
        self.read("recalling profiles", |db| {
            let mut find = db.prepare_cached(FIND_SUBJECT)?;
            let mut known = Vec::new();
            for principal in principals {
                known.extend(subject_by(&mut find, principal)?);
            }
            Ok(known)
        })
    }

    /// Returns what is remembered about the principals whose silence is due to be judged in one of the site's hours or
    /// an earlier one, except those that `is_known` selects, about which memory has newer data: between two commits of
    /// a replay, nearly all that were active.
    ///
    /// # Errors
    /// Any database error.
    pub fn due_subjects(
        &self,
        beat: u32,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Vec<SubjectRow>, StoreError> {
        self.read("recalling silent principals", |db| {
            let mut all = db.prepare_cached(
                "SELECT principal, body, due FROM profile WHERE due <= ?1 ORDER BY due, number",
            )?;
            let rows = all.query_map([beat], |row| {
                let principal = row.get_ref("principal")?.as_str()?;
                (!is_known(principal)).then(|| subject_row(row)).transpose()
            })?;
            Ok(legible("a profile", rows)?.into_iter().flatten().collect())
        })
    }

    /// Returns everything that is known beyond one principal.
    ///
    /// # Errors
    /// Any database error.
    pub fn house(&self) -> Result<Vec<HouseRow>, StoreError> {
        self.read("recalling the house", house)
    }

    /// Returns those of the given tokens that were used before.
    ///
    /// # Errors
    /// Any database error.
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

/// Returns everything that is known beyond one principal.
pub(super) fn house(db: &Connection) -> Result<Vec<HouseRow>> {
    let mut all = db.prepare_cached("SELECT name, body FROM house ORDER BY name")?;
    let row = |row: &Row<'_>| Ok(HouseRow { name: get_text(row, "name")?, body: row.get("body")? });
    legible("a part of the house", all.query_map([], row)?)
}

/// Returns what is remembered about one principal.
pub(super) fn subject(db: &Connection, principal: &str) -> Result<Option<SubjectRow>> {
    subject_by(&mut db.prepare_cached(FIND_SUBJECT)?, principal)
}

fn subject_by(find: &mut CachedStatement<'_>, principal: &str) -> Result<Option<SubjectRow>> {
    let mut rows = find.query((slot::of_principal(principal), principal))?;
    rows.next()?.map(subject_row).transpose()
}

fn subject_row(row: &Row<'_>) -> Result<SubjectRow> {
    Ok(SubjectRow {
        principal: get_text(row, "principal")?,
        blob: row.get("body")?,
        due: row.get("due")?,
    })
}

/// Returns the number of a token's row, if there is one.
pub(super) fn token_number(db: &Connection, id: TokenId) -> Result<Option<i64>> {
    let mut find = db.prepare_cached(FIND_TOKEN)?;
    match slot::find(&mut find, slot::of_token(id), &id.0)? {
        Slot::Taken(number) => Ok(Some(number)),
        Slot::Free(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::commit::Commit;
    use crate::store::Store;
    use crate::store::sample::{NOON, subject};

    #[test]
    fn who_falls_due_is_found_by_the_index_until_it_does_no_more() {
        let mut store = Store::in_memory().unwrap();
        let mut subjects = vec![subject("c", 7), subject("a", 9), subject("b", 8)];
        store.commit(&Commit { subjects: subjects.clone(), ..Commit::default() }, NOON).unwrap();
        let due = |store: &Store, beat| {
            let rows = store.due_subjects(beat, |_| false).unwrap();
            rows.into_iter().map(|row| row.principal.to_string()).collect::<Vec<_>>()
        };
        assert_eq!((due(&store, 6).len(), due(&store, 8)), (0, vec!["c".into(), "b".into()]));
        assert_eq!(store.due_subjects(7, |_| false).unwrap(), subjects[..1]);
        assert_eq!(store.due_subjects(8, |principal| principal == "c").unwrap(), subjects[2..]);
        subjects[0].due = None;
        store.commit(&Commit { subjects, ..Commit::default() }, NOON).unwrap();
        assert_eq!(due(&store, u32::MAX), ["b", "a"]);
        let plan = store
            .plan("SELECT principal, body, due FROM profile WHERE due <= 7 ORDER BY due, number");
        assert!(plan.contains("profile_due"), "{plan}");
    }
}
