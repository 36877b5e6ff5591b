//! Queries tokens: used, registered or both, with their state at a given time.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, ToSql, named_params};
use smol_str::SmolStr;

use crate::engine::ledger::Activity;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::{get_activity, get_count, get_text, legible};
use super::{Reader, StoreError};

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
    /// Not used at this time or later; of those never used, not registered at this time or later either.
    pub unused_since: Option<Timestamp>,
    /// Still valid, and ends at this time or before.
    pub ends_by: Option<Timestamp>,
    /// At most this many; `None` for no limit.
    pub limit: Option<u32>,
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
fn summaries(used_if: &str, unused_if: &str) -> String {
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
        && filter.ends_by.is_none()
        && filter.limit.is_some();
    let used = if is_told_by_row {
        &format!(
            "t.number IN (
               SELECT number FROM token
               WHERE {SINCE} AND (:unused_since IS NULL OR last_seen < :unused_since)
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
             OR coalesce(last_seen, registered_at, :unused_since - 1) < :unused_since)
           AND {SINCE}
         ORDER BY {KEY}, id LIMIT :limit",
        summaries(used, "true")
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

fn numbered(
    db: &Connection,
    sql: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<Vec<Numbered>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| {
        Ok(Numbered { number: row.get("number")?, summary: summary(row)? })
    })?;
    legible("a token", rows)
}

/// Reads a summary from its [`COLUMNS`].
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<TokenSummary> {
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
    use crate::engine::commit::Commit;
    use crate::engine::ledger::Ledger;
    use crate::engine::registry::Registered;
    use crate::engine::time::{DAY, SECOND};
    use crate::store::Store;
    use crate::store::sample::{NOON, id, record, registered};

    /// Tokens 1 to `n`: token N is used N times, the last time N seconds after noon.
    fn used(n: u8) -> Store {
        let mut store = Store::in_memory().unwrap();
        let mut ledger = Ledger::default();
        for token in 1..=n {
            for times in 1..=token {
                let time = NOON.plus(i64::from(times) * SECOND);
                record(&mut ledger, id(token), time, "192.0.2.7");
            }
        }
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        store
    }

    fn ids(tokens: &[TokenSummary]) -> Vec<TokenId> {
        tokens.iter().filter_map(|summary| summary.token).collect()
    }

    #[test]
    fn states_are_those_at_the_given_time() {
        let mut store = used(1);
        let state_of = |row: &Registered| {
            let mut store = Store::in_memory().unwrap();
            store.register(std::slice::from_ref(row), "", NOON).unwrap();
            store.tokens(&TokenFilter::default(), NOON).unwrap()[0].state
        };
        let base = registered(Some(1), "billing");
        let (now, later) = (Some(NOON), Some(NOON.plus(1)));
        let cases = [
            (base.clone(), TokenState::Active),
            (Registered { expires_at: now, ..base.clone() }, TokenState::Expired),
            (Registered { expires_at: later, ..base.clone() }, TokenState::Active),
            (Registered { revoked_at: now, ..base.clone() }, TokenState::Revoked),
            (Registered { revoked_at: later, ..base.clone() }, TokenState::Active),
            (Registered { rotated_at: now, ..base.clone() }, TokenState::Rotated),
            (Registered { rotated_to: "next".into(), ..base.clone() }, TokenState::Active),
            (
                Registered { rotated_to: "next".into(), rotated_at: later, ..base.clone() },
                TokenState::Active,
            ),
            (Registered { leaked_at: now, revoked_at: now, ..base.clone() }, TokenState::Leaked),
            (Registered { decoy: true, leaked_at: now, ..base.clone() }, TokenState::Decoy),
        ];
        for (row, state) in cases {
            assert_eq!(state_of(&row), state, "{row:?}");
        }
        let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
        assert_eq!(tokens[0].state, TokenState::Unregistered);
        store.register(&[base], "", NOON).unwrap();
        let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
        assert_eq!(tokens.len(), 1, "registered and used is one token");
        assert_eq!((tokens[0].state, tokens[0].activity.requests), (TokenState::Active, 1));
        assert_eq!(tokens[0].principal, "billing");
        assert_eq!((tokens[0].distinct.addresses, tokens[0].distinct.countries), (1, 1));
    }

    #[test]
    fn tokens_of_a_principal_registered_by_name_share_its_state() {
        let mut store = Store::in_memory().unwrap();
        let bob = Registered { revoked_at: Some(NOON), ..registered(None, "jwt:iss:bob") };
        store.register(&[bob, registered(None, "jwt:iss:never")], "", NOON).unwrap();
        let mut ledger = Ledger::default();
        for token in [1, 2] {
            record(&mut ledger, id(token), NOON, "192.0.2.7");
            ledger.tokens.get_mut(&id(token)).unwrap().principal = "jwt:iss:bob".into();
        }
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
        let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
        let shown: Vec<_> = tokens
            .iter()
            .map(|summary| (summary.principal.as_str(), summary.token, summary.state))
            .collect();
        let expected = [
            ("jwt:iss:bob", Some(id(1)), TokenState::Revoked),
            ("jwt:iss:bob", Some(id(2)), TokenState::Revoked),
            ("jwt:iss:never", None, TokenState::Active),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_last_used_come_first_and_the_never_used_last() {
        let mut store = used(3);
        let never = [registered(Some(20), "never"), registered(None, "jwt:iss:never")];
        store.register(&never, "", NOON).unwrap();
        let list = |limit| {
            let filter = TokenFilter { limit, ..TokenFilter::default() };
            let tokens = store.tokens(&filter, NOON).unwrap();
            tokens.into_iter().map(|summary| summary.token).collect::<Vec<_>>()
        };
        let whole = [Some(id(3)), Some(id(2)), Some(id(1)), Some(id(20)), None];
        assert_eq!((list(None), list(Some(2))), (whole.to_vec(), whole[..2].to_vec()));
    }

    #[test]
    fn filters_hold_together() {
        let mut store = used(3);
        let expires_at = Some(NOON.plus(SECOND));
        let row = Registered { owner: "Ann".into(), expires_at, ..registered(Some(2), "Billing") };
        store.register(&[row, registered(Some(9), "spare")], "", NOON).unwrap();
        let list = |filter| ids(&store.tokens(&filter, NOON).unwrap());
        let text = |text: &str| TokenFilter { text: Some(text.into()), ..TokenFilter::default() };
        assert_eq!(list(text("bILL")), [id(2)]);
        assert_eq!(list(text("ann")), [id(2)]);
        assert_eq!(list(text("tw1_03")), [id(3)]);
        assert_eq!(list(text("%")), []);
        let state = |state| TokenFilter { state: Some(state), ..TokenFilter::default() };
        assert_eq!(list(state(TokenState::Active)), [id(2), id(9)]);
        assert_eq!(list(state(TokenState::Unregistered)), [id(3), id(1)]);
        let since = Some(NOON.plus(2 * SECOND));
        assert_eq!(list(TokenFilter { since, ..TokenFilter::default() }), [id(3), id(2)]);
        let unused = TokenFilter { unused_since: since, ..TokenFilter::default() };
        assert_eq!(list(unused.clone()), [id(1), id(9)]);
        assert_eq!(list(TokenFilter { limit: Some(1), ..unused }), [id(1)]);
        let expiring =
            TokenFilter { ends_by: expires_at, limit: Some(1), ..TokenFilter::default() };
        assert_eq!(list(expiring.clone()), [id(2)], "whatever else was used since");
        assert_eq!(list(TokenFilter { ends_by: Some(NOON), ..expiring.clone() }), []);
        assert_eq!(store.tokens(&expiring, NOON.plus(SECOND)).unwrap(), [], "it has expired");
    }

    #[test]
    fn tokens_that_have_ended_were_listed_as_expiring() {
        let at = |days: i64| Some(NOON.plus(days * DAY));
        let until = |end| Registered { expires_at: at(9), ..end };
        let rows = [
            registered(Some(1), "endless"),
            until(registered(Some(2), "valid")),
            until(Registered { revoked_at: at(0), ..registered(Some(3), "revoked") }),
            until(Registered { rotated_at: at(-1), ..registered(Some(4), "rotated") }),
            until(Registered { leaked_at: at(-1), ..registered(Some(5), "leaked") }),
            until(Registered { decoy: true, ..registered(Some(6), "bait") }),
            Registered { revoked_at: at(5), ..registered(Some(7), "to be revoked") },
            Registered {
                revoked_at: at(0),
                leaked_at: at(-1),
                ..until(registered(Some(8), "dead"))
            },
        ];
        let mut store = Store::in_memory().unwrap();
        store.register(&rows, "", NOON).unwrap();
        let ending = |days| {
            let filter = TokenFilter { ends_by: at(days), ..TokenFilter::default() };
            ids(&store.tokens(&filter, NOON).unwrap())
        };
        assert_eq!(ending(9), [id(2), id(5), id(7)]);
        assert_eq!(ending(8), [id(7)]);
        assert_eq!(ending(4), []);
    }

    #[test]
    fn a_token_registered_just_now_was_listed_as_unused() {
        let mut store = Store::in_memory().unwrap();
        let rows = [registered(Some(1), "ci"), registered(None, "jwt:iss:bob")];
        store.register(&rows, "", NOON).unwrap();
        let n_unused = |since: Timestamp| {
            let unused_since = Some(since);
            let filter = TokenFilter { unused_since, limit: Some(9), ..TokenFilter::default() };
            store.tokens(&filter, NOON.plus(DAY)).unwrap().len()
        };
        assert_eq!([n_unused(NOON), n_unused(NOON.plus(1))], [0, 2]);
    }

    #[test]
    fn ids_are_those_of_used_and_of_registered_tokens() {
        let mut store = used(2);
        let rows = [registered(Some(2), "b"), registered(Some(9), "c"), registered(None, "d")];
        store.register(&rows, "", NOON).unwrap();
        let mut ids = store.token_ids().unwrap();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, [id(1), id(2), id(9)]);
    }

    #[test]
    fn one_token_is_found_without_walking_over_all() {
        let store = used(1);
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

    #[test]
    fn only_the_tokens_of_a_page_are_summed_up() {
        let store = used(1);
        let sums_up_all = |filter| store.plan(&listing(&filter)).contains("SCAN t;");
        let page = TokenFilter { limit: Some(50), ..TokenFilter::default() };
        assert!(!sums_up_all(page.clone()));
        assert!(
            !store.plan(&listing(&page)).contains("SCAN c;"),
            "no record is walked over for each"
        );
        assert!(sums_up_all(TokenFilter { limit: None, ..page.clone() }));
        assert!(sums_up_all(TokenFilter { text: Some("ci".into()), ..page.clone() }));
        assert!(sums_up_all(TokenFilter { state: Some(TokenState::Active), ..page }));
    }
}
