//! The posture of every token: one walk over tokens and registry, which keeps nothing but a page and the subject at
//! hand.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, Row, named_params};
use smol_str::SmolStr;

use crate::engine::alert::Alert;
use crate::engine::ledger::Span;
use crate::engine::posture::{Finding, Kind, Limits, Listing, Posture, Standing};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::codec::{get_count, get_json, get_text, is_passed_over};
use super::summary::{self, COLUMNS, TokenSummary};
use super::{Reader, StoreError};

/// What is audited as one: a token, or the unregistered tokens of one principal, which may get a new JWT every hour.
#[derive(Clone, Debug)]
pub struct Audited {
    /// The token; of several, the one used last, with the requests of all.
    pub token: TokenSummary,
    /// How many tokens.
    pub n_tokens: u64,
    /// Somebody registered it, by itself or by its principal's name.
    pub is_registered: bool,
    /// What is to be mended, the worst first; may be empty.
    pub findings: Vec<Finding>,
}

/// Passes on what is audited.
type Pass<'a> = dyn FnMut(Audited) -> ControlFlow<()> + 'a;

/// How many rows are read at once. Whoever reads the findings may stall, and a transaction that stays open keeps the
/// daemon's write-ahead log from being reused: nothing is passed on within one.
const PAGE: usize = 1000;

/// Tokens that are their own principals, after a place; the one of all is ''.
const ALONE: &str = "t.principal = :principal AND t.number > :after";

/// Tokens that state a principal, after a place. Sorted by its name, by means of the index, so that those of one follow
/// each other.
const TOGETHER: &str = "t.principal <> '' AND (t.principal, t.number) > (:principal, :after)";

/// Registry rows that were never used, after a place; the principal of all is ''.
const UNUSED: &str = "r.number > :after AND :principal = ''";

/// The row after which a page begins.
struct Place {
    principal: Value,
    number: i64,
}

impl Reader {
    /// Passes on every token and every registry row with its findings, until `pass` breaks off.
    ///
    /// # Errors
    /// Any database error.
    pub fn audit(
        &self,
        limits: &Limits,
        now: Timestamp,
        pass: &mut Pass<'_>,
    ) -> Result<(), StoreError> {
        let doing = "auditing tokens";
        let has_rows = "SELECT EXISTS (SELECT 1 FROM registry)";
        let is_row_expected =
            self.read(doing, |db| db.query_row(has_rows, [], |row| row.get(0)))?;
        let (open, ended, unused) = (None, Vec::new(), Vec::new());
        let mut walk = Walk { limits, now, is_row_expected, open, ended, unused };
        for query in queries() {
            let first = Place { principal: Value::Text(String::new()), number: i64::MIN };
            let mut next = Some(first);
            while let Some(after) = next {
                next = self.read(doing, |db| walk.read_page(db, &query, &after))?;
                if walk.ended.drain(..).try_for_each(&mut *pass).is_break() {
                    return Ok(());
                }
            }
        }
        walk.end_open();
        // There is nothing left to break off.
        let _ended = walk.ended.drain(..).try_for_each(pass);
        Ok(())
    }
}

/// Selects the tokens and registry rows, each from a place on. Between pages, a token may be used for the first time:
/// so its row is read before tokens are, or it would be in neither.
fn queries() -> [String; 3] {
    [
        query(&summary::unused(UNUSED), "l.row"),
        query(&summary::used(ALONE), "l.number"),
        query(&summary::used(TOGETHER), "l.principal, l.number"),
    ]
}

/// Selects what an audit must know of a page of listed tokens `l`. Needs `:now`, and the place as `:principal` and
/// `:after`.
///
/// Only of tokens that leaked or have ended it matters when they were last accepted: the others' hours are left alone.
fn query(listed: &str, order: &str) -> String {
    format!(
        "SELECT {COLUMNS}, l.principal AS stated, coalesce(l.number, l.row) AS place, l.row AS listed,
           l.issued_at AS own_issued_at,
           l.expires_at AS own_expires_at, g.number IS NOT NULL AS is_registered,
           g.token IS NOT NULL AS is_own_row, g.issued_at AS row_issued_at,
           g.expires_at AS row_expires_at, g.revoked_at, g.rotated_at, g.leaked_at, g.mfa,
           CASE WHEN g.decoy THEN coalesce({}, 0) END AS decoy_since,
           CASE WHEN l.last_seen IS NULL THEN {} END AS registered_at,
           CASE WHEN l.ok > 0 AND l.last_seen >= min(
             coalesce(g.leaked_at, {NEVER}), coalesce(g.revoked_at, {NEVER}),
             coalesce(g.rotated_at, {NEVER}), coalesce(g.expires_at, {NEVER}),
             coalesce(l.expires_at, {NEVER}))
           THEN (
             SELECT hour FROM activity AS a WHERE a.token = l.number AND a.ok > 0
             ORDER BY hour DESC LIMIT 1) END AS last_ok_hour
         FROM ({listed}) AS l LEFT JOIN registry AS g ON g.number = l.row
         ORDER BY {order} LIMIT {PAGE}",
        summary::last_noted("decoy"),
        summary::last_noted("registered"),
    )
}

/// Later than all times.
const NEVER: i64 = i64::MAX;

/// The kept alerts of a token that nobody expected.
const ALERTS: &str = "SELECT a.rule, a.time, a.body FROM alert AS a
    LEFT JOIN ack AS own ON own.subject = a.id
    LEFT JOIN ack AS k ON k.subject = coalesce(own.subject, a.incident)
      AND (own.subject IS NOT NULL OR a.number <= k.upto_alert)
    WHERE a.token = :token AND k.verdict IS NOT 'expected'";

struct Walk<'a> {
    limits: &'a Limits,
    now: Timestamp,
    is_row_expected: bool,
    /// The principal to which the next token may belong.
    open: Option<Open>,
    /// The subjects of this page that are whole.
    ended: Vec<Audited>,
    /// The registry rows that were unused when they were read, ascending: tokens that are used since are known.
    unused: Vec<i64>,
}

/// A subject; more of its tokens may follow.
struct Open {
    /// The principal that its tokens state; empty if there is only one.
    stated: SmolStr,
    token: TokenSummary,
    n_tokens: u64,
    is_registered: bool,
    posture: Posture,
}

impl Walk<'_> {
    /// Reads a page and returns after which row the next one begins, if there may be one.
    fn read_page(
        &mut self,
        db: &Connection,
        query: &str,
        after: &Place,
    ) -> rusqlite::Result<Option<Place>> {
        let mut statement = db.prepare_cached(query)?;
        let mut alerts = db.prepare_cached(ALERTS)?;
        let place = named_params! {
            ":now": self.now, ":principal": after.principal, ":after": after.number,
        };
        let mut rows = statement.query(place)?;
        let (mut last, mut n_rows) = (None, 0);
        while let Some(row) = rows.next()? {
            last = Some(Place { principal: row.get("stated")?, number: row.get("place")? });
            n_rows += 1;
            if self.is_known(row)? {
                continue;
            }
            let read =
                || Ok((summary::read(row)?, stated(row)?, standing(row, self.is_row_expected)?));
            let read = read();
            if is_passed_over("a token", &read) {
                continue;
            }
            let (token, stated, mut standing) = read?;
            standing.alerts =
                token.token.map_or(Ok(BTreeMap::new()), |id| alerts_of(&mut alerts, id))?;
            self.add(token, stated, &standing);
        }
        Ok(last.filter(|_| n_rows == PAGE))
    }

    /// Returns whether the registry row of a token was passed on as unused, and notes each that is.
    fn is_known(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let Some(listed) = row.get::<_, Option<i64>>("listed")? else { return Ok(false) };
        let is_used = row.get::<_, Option<i64>>("number")?.is_some();
        if !is_used {
            self.unused.push(listed);
        }
        Ok(is_used && self.unused.binary_search(&listed).is_ok())
    }

    fn add(&mut self, token: TokenSummary, stated: SmolStr, standing: &Standing) {
        if let Some(open) = self.open.as_mut().filter(|open| open.stated == stated) {
            open.n_tokens += 1;
            open.posture.add(standing, self.limits, self.now);
            merge(&mut open.token, token);
            return;
        }
        let posture = Posture::of(standing, self.limits, self.now);
        let is_registered = standing.listing.is_some();
        let is_alone = stated.is_empty();
        let subject = Open { stated, token, n_tokens: 1, is_registered, posture };
        if is_alone {
            self.end(subject);
        } else {
            self.end_open();
            self.open = Some(subject);
        }
    }

    fn end_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.end(open);
        }
    }

    fn end(&mut self, subject: Open) {
        let Open { token, n_tokens, is_registered, posture, .. } = subject;
        let findings = posture.findings(self.limits, self.now);
        self.ended.push(Audited { token, n_tokens, is_registered, findings });
    }
}

/// Adds a token to the summary of its principal's: the one used last, with the requests of all.
fn merge(all: &mut TokenSummary, token: TokenSummary) {
    let activity = all.activity.and(token.activity);
    let first_seen = all.first_seen.into_iter().chain(token.first_seen).min();
    let last = if all.last_seen < token.last_seen { token } else { all.clone() };
    *all = TokenSummary { activity, first_seen, ..last };
}

/// Returns the principal that a token states; empty if the token is a subject of its own, as a registered one is.
fn stated(row: &Row<'_>) -> rusqlite::Result<SmolStr> {
    let is_own_row: bool = row.get("is_own_row")?;
    if is_own_row { Ok(SmolStr::default()) } else { get_text(row, "stated") }
}

fn standing(row: &Row<'_>, is_row_expected: bool) -> rusqlite::Result<Standing> {
    let is_registered: bool = row.get("is_registered")?;
    Ok(Standing {
        listing: is_registered.then(|| listing(row)).transpose()?,
        is_row_expected,
        is_jwt: get_text(row, "kind")? == "jwt",
        issued_at: row.get("own_issued_at")?,
        expires_at: row.get("own_expires_at")?,
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        is_accepted: 0 < get_count(row, "ok")?,
        last_ok_hour: row.get("last_ok_hour")?,
        alerts: BTreeMap::new(),
    })
}

fn listing(row: &Row<'_>) -> rusqlite::Result<Listing> {
    Ok(Listing {
        is_own: row.get("is_own_row")?,
        has_owner: !get_text(row, "owner")?.is_empty(),
        mfa: row.get("mfa")?,
        decoy_since: row.get("decoy_since")?,
        registered_at: row.get("registered_at")?,
        issued_at: row.get("row_issued_at")?,
        expires_at: row.get("row_expires_at")?,
        revoked_at: row.get("revoked_at")?,
        rotated_at: row.get("rotated_at")?,
        leaked_at: row.get("leaked_at")?,
    })
}

fn alerts_of(
    statement: &mut CachedStatement<'_>,
    token: TokenId,
) -> rusqlite::Result<BTreeMap<Kind, Span>> {
    let mut rows = statement.query(named_params! { ":token": token })?;
    let mut alerts = BTreeMap::<Kind, Span>::new();
    while let Some(row) = rows.next()? {
        let rule = row.get_ref("rule")?.as_str()?;
        // What this version cannot read is listed without its facts.
        let facts = || get_json::<Alert>(row, "body").map(|alert| alert.facts).unwrap_or_default();
        let Some(kind) = Kind::told_by(rule, facts) else { continue };
        let time = row.get("time")?;
        let span = alerts.entry(kind).or_insert(Span { count: 0, ..Span::once(time) });
        span.extend(time);
    }
    Ok(alerts)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
