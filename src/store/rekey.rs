//! What depends on the seal key: ids are keyed hashes of secrets, so another key changes all of them.

use rusqlite::Connection;

use super::codec::get_count;
use super::{Reader, Store, StoreError};

/// What is lost with another key, and what continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens whose history stays under ids that will not occur again.
    pub tokens: u64,
    /// Profiles of tokens with no name other than their id: they are learned again.
    pub profiles: u64,
    /// Profiles under a name, registered or stated by the token itself: they continue.
    pub named: u64,
    /// Registry rows of tokens: these have to be registered again, from the secrets.
    pub registered: u64,
    /// Registry rows by name: they stay valid.
    pub by_name: u64,
    /// Mutes of a token with no name other than its id.
    pub mutes: u64,
}

impl Reader {
    /// Counts what depends on the key.
    ///
    /// # Errors
    /// Any database error.
    pub fn bound_to_key(&self) -> Result<Bound, StoreError> {
        self.read("counting what depends on the key", |db: &Connection| {
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
    /// Stops expecting principals that only ids of the old key lead to, which are those ids and the names registered
    /// for tokens: from now on, their silence is not reported. One that is used nevertheless is expected again from
    /// then on.
    ///
    /// # Errors
    /// Any database error.
    pub fn expect_no_ids(&mut self) -> Result<(), StoreError> {
        self.write("ending the expectation of old ids", |db| {
            let sql = "UPDATE profile SET due = NULL WHERE due IS NOT NULL AND (
                principal GLOB 'tw1_*'
                OR (principal IN (SELECT name FROM registry WHERE token IS NOT NULL)
                  AND principal NOT IN (SELECT name FROM registry WHERE token IS NULL)))";
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
    fn what_hangs_on_the_key_is_expected_no_more() {
        let mut store = Store::in_memory().unwrap();
        store.commit(&Commit { subjects: Vec::new(), ..commit_of(&[1, 2, 3]) }, NOON).unwrap();
        let id = TokenId([7; 16]);
        let own = subject(&id.to_string(), 7);
        let subjects = vec![own, subject("ci", 7), subject("jwt:https://id.example.org:ana", 7)];
        store.commit(&Commit { subjects, ..Commit::default() }, NOON).unwrap();
        let other = Some(TokenId([8; 16]));
        let by_id = Registered { token: other, name: "ci".into(), ..Registered::default() };
        let by_name = Registered { name: "jwt:x:y".into(), ..Registered::default() };
        store.register(&[by_id, by_name], "", NOON).unwrap();
        let bound = Bound { tokens: 3, profiles: 1, named: 2, registered: 1, by_name: 1, mutes: 0 };
        assert_eq!(store.bound_to_key().unwrap(), bound);
        store.expect_no_ids().unwrap();
        let due = store.due_subjects(7, |_| false).unwrap();
        let due: Vec<&str> = due.iter().map(|row| row.principal.as_str()).collect();
        assert_eq!(due, ["jwt:https://id.example.org:ana"]);
    }
}
