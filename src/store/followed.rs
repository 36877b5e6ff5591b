//! Which patterns are followed, and since when: what was created after that is no history, even if no run has seen it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::params;

use crate::engine::time::Timestamp;

use super::{Reader, Store, StoreError};

/// What the name of such a setting begins with; the pattern follows.
const PREFIX: &str = "followed:";

impl Reader {
    /// Returns the patterns that the last run followed, and since when they have been followed without a break.
    ///
    /// # Errors
    /// Any database error.
    pub fn followed(&self) -> Result<BTreeMap<PathBuf, Timestamp>, StoreError> {
        self.read("reading what was followed", |db| {
            let sql = "SELECT substr(name, 1 + length(?1)) AS pattern, value FROM setting
                WHERE substr(name, 1, length(?1)) = ?1";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map([PREFIX], |row| {
                let pattern: String = row.get("pattern")?;
                Ok((PathBuf::from(pattern), Timestamp(row.get("value")?)))
            })?;
            rows.collect()
        })
    }
}

impl Store {
    /// Records that these patterns are followed, and no others: new ones since `now`.
    ///
    /// # Errors
    /// Any database error.
    pub fn note_followed(
        &mut self,
        patterns: &BTreeSet<PathBuf>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.followed()?;
        if known.keys().eq(patterns) {
            return Ok(());
        }
        self.write("noting what is followed", |db| {
            let mut forget = db.prepare_cached("DELETE FROM setting WHERE name = ?1")?;
            for gone in known.keys().filter(|known| !patterns.contains(*known)) {
                forget.execute([name(gone)])?;
            }
            let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)";
            let mut note = db.prepare_cached(sql)?;
            for new in patterns.iter().filter(|pattern| !known.contains_key(*pattern)) {
                note.execute(params![name(new), now.0])?;
            }
            Ok(())
        })
    }
}

/// Returns the name of a pattern's setting. All patterns are UTF-8, as the configuration and the `glob` crate are.
fn name(pattern: &Path) -> String {
    format!("{PREFIX}{}", pattern.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_followed_since_it_was_last_new() {
        let mut store = Store::in_memory().unwrap();
        let set = |names: &[&str]| names.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        for (time, patterns, expected) in [
            (1, &["/a*", "/b"][..], &[("/a*", 1), ("/b", 1)][..]),
            (2, &["/a*", "/b"], &[("/a*", 1), ("/b", 1)]),
            (3, &["/a*", "/\u{e9}_%"], &[("/a*", 1), ("/\u{e9}_%", 3)]),
            (4, &["/b"], &[("/b", 4)]),
            (5, &[], &[]),
        ] {
            store.note_followed(&set(patterns), Timestamp(time)).unwrap();
            let expected = expected.iter().map(|(name, time)| (name.into(), Timestamp(*time)));
            assert_eq!(store.followed().unwrap(), expected.collect(), "{time}");
        }
    }
}
