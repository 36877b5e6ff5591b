//! Lists tokens: used, registered or both.

use rusqlite::named_params;

use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::legible;
use super::summary::{TokenState, TokenSummary, numbered, of_token, summaries};
use super::{Reader, StoreError, slot};

/// Which tokens to return. The default returns all.
#[derive(Clone, Debug, Default)]
pub struct TokenFilter {
    /// Occurs in the name, owner, principal, kind or hint (ignoring the case of ASCII letters), or is a prefix of the
    /// id.
    pub text: Option<String>,
    /// In this state.
    pub state: Option<TokenState>,
    /// Used at this time or later.
    pub since: Option<Timestamp>,
    /// Not used at this time or later; of those never used, not registered at this time or later either. Of a token
    /// that has expired nobody expects use: only if `state` asks for such.
    pub unused_since: Option<Timestamp>,
    /// Still valid, and ends at this time or before.
    pub ends_by: Option<Timestamp>,
    /// At most this many; `None` for no limit.
    pub limit: Option<u32>,
}

impl Reader {
    /// Returns tokens that were used and tokens that are registered, with their state at `now`.
    ///
    /// # Errors
    /// Any database error.
    pub fn tokens(
        &self,
        filter: &TokenFilter,
        now: Timestamp,
    ) -> Result<Vec<TokenSummary>, StoreError> {
        let sql = listing(filter);
        let limit = filter.limit.map_or(-1, i64::from);
        self.read("listing tokens", |db| {
            let found = numbered(
                db,
                &sql,
                named_params! {
                    ":now": now,
                    ":state": filter.state.map(TokenState::as_str),
                    ":since": filter.since,
                    ":unused_since": filter.unused_since,
                    ":ends_by": filter.ends_by,
                    ":text": filter.text,
                    ":limit": limit,
                },
            )?;
            Ok(found.into_iter().map(|numbered| numbered.summary).collect())
        })
    }

    /// Returns a token that was used or is registered, with its state at `now`.
    ///
    /// # Errors
    /// Any database error.
    pub fn token(&self, id: TokenId, now: Timestamp) -> Result<Option<TokenSummary>, StoreError> {
        self.read("looking up a token", |db| {
            let found = of_token(db, id, slot::of_token(id), now)?;
            Ok(found.into_iter().next().map(|numbered| numbered.summary))
        })
    }

    /// Returns the ids of all tokens that were used or are registered, in no order: 16 bytes each, where a token's row
    /// and profile have some hundreds.
    ///
    /// # Errors
    /// Any database error.
    pub fn token_ids(&self) -> Result<Vec<TokenId>, StoreError> {
        self.read("listing the ids of tokens", |db| {
            let mut all = db.prepare_cached(
                "SELECT id FROM token
                 UNION ALL SELECT token AS id FROM registry WHERE token IS NOT NULL",
            )?;
            legible("the id of a token", all.query_map([], |row| row.get("id"))?)
        })
    }
}

/// Builds the query of a list. Needs `:now` and all values of the filter.
///
/// If their rows alone decide which used tokens may be on the page, only those are summarised: looking at each row
/// takes a quarter of the time. An index on `last_seen` would save even that, but changes at each use: a replay of
/// 100,000 tokens in turn took a tenth longer with it (measured).
fn listing(filter: &TokenFilter) -> String {
    // Most recently used first, never used last.
    const KEY: &str = "coalesce(-last_seen, 9223372036854775807)";
    const SINCE: &str = "(:since IS NULL OR last_seen >= :since)";
    let is_told_by_row = filter.text.is_none()
        && filter.state.is_none()
        && filter.unused_since.is_none()
        && filter.ends_by.is_none()
        && filter.limit.is_some();
    let used = if is_told_by_row {
        &format!(
            "t.number IN (
               SELECT number FROM token
               WHERE {SINCE}
               ORDER BY {KEY}, id LIMIT :limit)"
        )
    } else {
        "true"
    };
    format!(
        "{} WHERE (:state IS NULL OR state = :state)
           AND (:text IS NULL
             OR instr(lower(name || ' ' || owner || ' ' || principal || ' ' || kind || ' '
               || hint), lower(:text)) > 0
             OR instr('tw1_' || lower(hex(token)), lower(:text)) = 1)
           AND (:ends_by IS NULL OR :now < ends_at AND ends_at <= :ends_by)
           AND (:unused_since IS NULL
             OR coalesce(last_seen, registered_at, :unused_since - 1) < :unused_since
               AND (:state IS NOT NULL OR state <> 'expired'))
           AND {SINCE}
         ORDER BY {KEY}, id LIMIT :limit",
        summaries(used, "true")
    )
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
