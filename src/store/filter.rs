//! Which alerts a query returns.

use rusqlite::{ToSql, named_params};
use smol_str::SmolStr;

use crate::engine::alert::Level;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

/// Which alerts to return. The default returns all.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Of usages from this time on.
    pub since: Option<Timestamp>,
    /// Of usages before this time.
    pub until: Option<Timestamp>,
    /// Of this level or higher.
    pub level: Level,
    /// Of one rule, by name.
    pub rule: Option<SmolStr>,
    /// Of one principal, and of the tokens that are registered under its name, whatever they were called then.
    pub principal: Option<SmolStr>,
    /// Of one token.
    pub token: Option<TokenId>,
    /// Only those that nobody has acknowledged.
    pub only_unacked: bool,
    /// At most this many; `None` for no limit.
    pub limit: Option<u32>,
}

/// The alerts of a filter, where `a` is the alert and `k` its acknowledgement.
pub(super) const FILTERED: &str = "WHERE (:since IS NULL OR a.time >= :since)
    AND (:until IS NULL OR a.time < :until)
    AND a.level >= :level
    AND (:rule IS NULL OR a.rule = :rule)
    AND (:principal IS NULL OR a.principal = :principal
      OR a.token IN (SELECT token FROM registry WHERE name = :principal))
    AND (:token IS NULL OR a.token = :token)
    AND (NOT :only_unacked OR k.subject IS NULL)";

impl AlertFilter {
    /// Passes on the parameters of [`FILTERED`], and the limit.
    pub(super) fn with_parameters<T>(&self, ask: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
        ask(named_params! {
            ":since": self.since,
            ":until": self.until,
            ":level": self.level,
            ":rule": self.rule.as_deref(),
            ":principal": self.principal.as_deref(),
            ":token": self.token,
            ":only_unacked": self.only_unacked,
            ":limit": self.limit.map_or(-1, i64::from),
        })
    }
}
