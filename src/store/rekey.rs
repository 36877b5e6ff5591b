//! What hangs on the seal key: ids are keyed hashes of secrets, so that another key gives all of them others.

use rusqlite::Connection;

use super::codec::get_count;
use super::{Reader, Store, StoreError};

/// What another key leaves behind, and what goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens whose history stays under ids that do not come again.
    pub tokens: u64,
    /// Profiles of tokens that have no other name than their id: they are learned anew.
    pub profiles: u64,
    /// Profiles under a name, registered or said by the token itself: they go on.
    pub named: u64,
    /// Registry rows of tokens: what they say has to be registered again, from the secrets.
    pub registered: u64,
    /// Registry rows by name: they hold as they are.
    pub by_name: u64,
    /// Mutes of a token that has no other name than its id.
    pub mutes: u64,
}

impl Reader {
    /// Counts what hangs on the key.
    ///
    /// # Errors
    /// What the database says.
    pub fn bound_to_key(&self) -> Result<Bound, StoreError> {
        self.read("counting what hangs on the key", |db: &Connection| {
            let one = |sql| db.query_row(sql, [], |row| get_count(row, "n"));
            Ok(Bound {
                tokens: one("SELECT count(*) AS n FROM token")?,
                profiles: one("SELECT count(*) AS n FROM profile WHERE principal GLOB 'tw1_*'")?,
                named: one("SELECT count(*) AS n FROM profile WHERE principal NOT GLOB 'tw1_*'")?,
                registered: one("SELECT count(*) AS n FROM registry WHERE token IS NOT NULL")?,
                by_name: one("SELECT count(*) AS n FROM registry WHERE token IS NULL")?,
                mutes: one("SELECT count(*) AS n FROM mute WHERE principal GLOB 'tw1_*'")?,
            })
        })
    }
}

impl Store {
    /// Expects no more of principals that have no other name than an id of the old key: that they are silent from now on is
    /// no news. One that is used all the same is expected again from then on.
    ///
    /// # Errors
    /// What the database says.
    pub fn expect_no_ids(&mut self) -> Result<(), StoreError> {
        self.write("expecting no old ids", |db| {
            let sql =
                "UPDATE profile SET due = NULL WHERE principal GLOB 'tw1_*' AND due IS NOT NULL";
            db.execute(sql, []).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::commit::Commit;
    use crate::engine::registry::Registered;
    use crate::engine::secret::TokenId;
    use crate::store::sample::{NOON, commit_of, subject};

    use super::*;

    #[test]
    fn what_has_no_name_but_its_id_hangs_on_the_key_and_is_expected_no_more() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&Commit { subjects: Vec::new(), ..commit_of(&[1, 2, 3]) }, NOON).unwrap();
        let id = TokenId([7; 16]);
        let own = subject(&id.to_string(), 7);
        let subjects = vec![own, subject("ci", 7), subject("jwt:https://id.example.org:ana", 7)];
        store.commit(&Commit { subjects, ..Commit::default() }, NOON).unwrap();
        let by_id = Registered { token: Some(id), name: "ci".into(), ..Registered::default() };
        let by_name = Registered { name: "jwt:x:y".into(), ..Registered::default() };
        store.register(&[by_id, by_name], "", NOON).unwrap();
        let bound = Bound { tokens: 3, profiles: 1, named: 2, registered: 1, by_name: 1, mutes: 0 };
        assert_eq!(store.bound_to_key().unwrap(), bound);
        store.expect_no_ids().unwrap();
        let due = store.due_subjects(7, |_| false).unwrap();
        assert_eq!(
            due.iter()
                .map(|row| row.principal.as_str())
                .filter(|name| name.starts_with("tw1_"))
                .count(),
            0
        );
        assert_eq!(due.len(), 2);
    }
}
