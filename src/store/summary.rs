//! The summaries of tokens, used, registered or both, with their state at a given time: what lists, histories and
//! audits have in common.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, ToSql, named_params};
use smol_str::SmolStr;

use crate::engine::ledger::Activity;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::{get_activity, get_count, get_text, legible};

/// The state of a token at a given time. If several apply, the first in this order is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Bait.
    Decoy,
    /// Known to others.
    Leaked,
    /// Revoked.
    Revoked,
    /// Replaced by a successor.
    Rotated,
    /// Past its expiry time, as the registry or the token itself states it.
    Expired,
    /// Used, but not registered.
    Unregistered,
    /// Registered and valid.
    Active,
}

impl TokenState {
    /// All states, in order of precedence.
    pub const ALL: [Self; 7] = [
        Self::Decoy,
        Self::Leaked,
        Self::Revoked,
        Self::Rotated,
        Self::Expired,
        Self::Unregistered,
        Self::Active,
    ];

    /// Returns the state's name, as used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decoy => "decoy",
            Self::Leaked => "leaked",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
            Self::Active => "active",
        }
    }

    /// Parses a state's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl FromSql for TokenState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// How many different values of a token are stored, by facet. Beyond [`super::FACET_LIMIT`] there may have been more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Client addresses.
    pub addresses: u64,
    /// Networks.
    pub networks: u64,
    /// Countries.
    pub countries: u64,
    /// Clients.
    pub clients: u64,
    /// Methods and routes.
    pub routes: u64,
}

/// One token, or one principal that is registered by name and was never seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSummary {
    /// Its id; `None` for a principal that is registered by name and was never seen.
    pub token: Option<TokenId>,
    /// Its registered name; may be empty.
    pub name: SmolStr,
    /// Whom to ask; may be empty.
    pub owner: SmolStr,
    /// Its kind; empty if never used.
    pub kind: SmolStr,
    /// What a person may see of it; empty if never used.
    pub hint: SmolStr,
    /// Its principal: the registered name, else the one that the token states itself, else its id.
    pub principal: SmolStr,
    /// Its state.
    pub state: TokenState,
    /// When it was issued, according to the registry, else to the token.
    pub issued_at: Option<Timestamp>,
    /// When it expires, according to the registry, else to the token.
    pub expires_at: Option<Timestamp>,
    /// When it ends: the first of its expiry, revocation and rotation, in the past or not. `None` for bait.
    pub ends_at: Option<Timestamp>,
    /// First usage.
    pub first_seen: Option<Timestamp>,
    /// Last usage.
    pub last_seen: Option<Timestamp>,
    /// All usages.
    pub activity: Activity,
    /// How many different places, clients and routes it has.
    pub distinct: Distinct,
}

/// A summary and the number of the token's row, if it has one.
pub(super) struct Numbered {
    pub(super) number: Option<i64>,
    pub(super) summary: TokenSummary,
}

/// Selects used tokens `t` under a condition, each with the number of its registry row: its own, else the one of its
/// principal's name.
pub(super) fn used(condition: &str) -> String {
    format!(
        "SELECT t.number, t.id AS token, t.kind, t.hint, t.principal, t.issued_at, t.expires_at,
           t.first_seen, t.last_seen, t.requests, t.ok, t.denied, t.failed, t.bytes, t.addresses,
           t.networks, t.countries, t.clients, t.routes, coalesce(o.number, p.number) AS row
         FROM token AS t
         LEFT JOIN registry AS o ON o.token = t.id
         LEFT JOIN registry AS p
           ON p.token IS NULL AND p.name = t.principal AND t.principal <> ''
         WHERE {condition}"
    )
}

/// Selects never used registry rows `r` under a condition; the columns are those of [`used`].
pub(super) fn unused(condition: &str) -> String {
    format!(
        "SELECT NULL AS number, r.token, '' AS kind, '' AS hint, '' AS principal,
           NULL AS issued_at, NULL AS expires_at, NULL AS first_seen, NULL AS last_seen,
           0 AS requests, 0 AS ok, 0 AS denied, 0 AS failed, 0 AS bytes, 0 AS addresses,
           0 AS networks, 0 AS countries, 0 AS clients, 0 AS routes, r.number AS row
         FROM registry AS r
         WHERE {condition} AND CASE WHEN r.token IS NULL
           THEN NOT EXISTS (
             SELECT 1 FROM token WHERE principal = r.name AND principal <> '')
           ELSE NOT EXISTS (
             SELECT 1 FROM token WHERE number BETWEEN r.slot AND r.slot + 255 AND id = r.token)
           END"
    )
}

/// The columns of a summary, of a listed token `l` and its registry row `g`. Need `:now`.
pub(super) const COLUMNS: &str = "
    l.number, l.token, l.kind, l.hint, coalesce(g.name, '') AS name, coalesce(g.owner, '') AS owner,
    coalesce(nullif(g.name, ''), nullif(l.principal, ''), 'tw1_' || lower(hex(l.token)))
      AS principal,
    coalesce(g.issued_at, l.issued_at) AS issued_at,
    coalesce(g.expires_at, l.expires_at) AS expires_at,
    CASE WHEN g.decoy THEN NULL ELSE nullif(min(
      coalesce(g.expires_at, l.expires_at, 9223372036854775807),
      coalesce(g.revoked_at, 9223372036854775807),
      coalesce(g.rotated_at, 9223372036854775807)), 9223372036854775807) END AS ends_at,
    l.first_seen, l.last_seen, l.requests, l.ok, l.denied, l.failed, l.bytes, l.addresses,
    l.networks, l.countries, l.clients, l.routes,
    CASE
      WHEN g.decoy THEN 'decoy'
      WHEN g.leaked_at <= :now THEN 'leaked'
      WHEN g.revoked_at <= :now THEN 'revoked'
      WHEN g.rotated_at <= :now THEN 'rotated'
      WHEN coalesce(g.expires_at, l.expires_at) <= :now THEN 'expired'
      WHEN g.number IS NULL THEN 'unregistered'
      ELSE 'active'
    END AS state";

/// Builds the query that summarises used tokens `t` and never used registry rows `r`, each under its own condition.
/// Needs `:now`.
pub(super) fn summaries(used_if: &str, unused_if: &str) -> String {
    format!(
        "WITH listed AS ({} UNION ALL {}), summary AS (
           SELECT {COLUMNS}, coalesce(l.token, CAST(g.name AS BLOB)) AS id,
             CASE WHEN l.last_seen IS NULL THEN {} END AS registered_at
           FROM listed AS l LEFT JOIN registry AS g ON g.number = l.row
         )
         SELECT number, token, kind, hint, name, owner, principal, issued_at, expires_at, ends_at,
           first_seen, last_seen, requests, ok, denied, failed, bytes, addresses, networks, countries, clients,
           routes, state
         FROM summary",
        used(used_if),
        unused(unused_if),
        last_noted("registered"),
    )
}

/// Selects when the registry row `g` was last changed in a way. The plus sign keeps SQLite from looking through all
/// records of tokens for those without one.
pub(super) fn last_noted(what: &str) -> String {
    format!(
        "coalesce(
           (SELECT max(c.time) FROM lifecycle AS c WHERE c.token = g.token AND c.what = '{what}'),
           (SELECT max(c.time) FROM lifecycle AS c WHERE g.token IS NULL AND c.name = g.name
             AND +c.token IS NULL AND c.what = '{what}'))"
    )
}

/// Returns the summary of one token, if it was used or is registered.
pub(super) fn of_token(
    db: &Connection,
    id: TokenId,
    base: i64,
    now: Timestamp,
) -> rusqlite::Result<Vec<Numbered>> {
    let used = "t.number BETWEEN :slot AND :slot + 255 AND t.id = :token";
    let sql = summaries(used, "r.token = :token");
    numbered(db, &sql, named_params! { ":now": now, ":slot": base, ":token": id })
}

/// The numbers of a principal's tokens that were used. Needs `:name`.
pub(super) const NUMBERS_OF_PRINCIPAL: &str = "
    SELECT number FROM token WHERE principal = :name AND principal <> ''
    UNION SELECT s.number FROM registry AS n
      JOIN token AS s ON s.number BETWEEN n.slot AND n.slot + 255 AND s.id = n.token
      WHERE n.name = :name";

/// Returns the summaries of a principal's tokens: those whose rows name it, and those registered under its name; most
/// recently used first.
pub(super) fn of_principal(
    db: &Connection,
    name: &str,
    now: Timestamp,
) -> rusqlite::Result<Vec<Numbered>> {
    let sql = format!(
        "{} ORDER BY coalesce(-last_seen, 9223372036854775807), id",
        summaries(&format!("t.number IN ({NUMBERS_OF_PRINCIPAL})"), "r.name = :name")
    );
    numbered(db, &sql, named_params! { ":now": now, ":name": name })
}

/// Returns the summary of the token in a row.
pub(super) fn of_number(
    db: &Connection,
    number: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<TokenSummary>> {
    let sql = summaries("t.number = :number", "false");
    let found = numbered(db, &sql, named_params! { ":now": now, ":number": number })?;
    Ok(found.into_iter().next().map(|numbered| numbered.summary))
}

pub(super) fn numbered(
    db: &Connection,
    sql: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<Vec<Numbered>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| {
        Ok(Numbered { number: row.get("number")?, summary: read(row)? })
    })?;
    legible("a token", rows)
}

/// Reads a summary from its [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<TokenSummary> {
    Ok(TokenSummary {
        token: row.get("token")?,
        name: get_text(row, "name")?,
        owner: get_text(row, "owner")?,
        kind: get_text(row, "kind")?,
        hint: get_text(row, "hint")?,
        principal: get_text(row, "principal")?,
        state: row.get("state")?,
        issued_at: row.get("issued_at")?,
        expires_at: row.get("expires_at")?,
        ends_at: row.get("ends_at")?,
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        activity: get_activity(row)?,
        distinct: Distinct {
            addresses: get_count(row, "addresses")?,
            networks: get_count(row, "networks")?,
            countries: get_count(row, "countries")?,
            clients: get_count(row, "clients")?,
            routes: get_count(row, "routes")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn one_token_is_found_without_walking_over_all() {
        let store = Store::in_memory().unwrap();
        let walks = |used: &str, unused: &str| {
            let sql = format!("EXPLAIN QUERY PLAN {}", summaries(used, unused));
            let mut plan = store.db.prepare(&sql).unwrap();
            let steps = plan.query_map(named_params! { ":now": 0 }, |row| row.get("detail"));
            let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
            ["SCAN t", "SCAN r"].map(|walk| steps.iter().any(|step| step == walk))
        };
        assert_eq!(walks("true", "true"), [true, true]);
        let used = "t.number BETWEEN 1 AND 2 AND t.id = x'00'";
        assert_eq!(walks(used, "r.token = x'00'"), [false, false]);
    }
}
