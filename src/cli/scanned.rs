//! What the state knows about a token that `scan` found: whose it is, and whether it is in use.

use anstyle::{AnsiColor, Style};
use serde_json::{Value as Json, json};

use crate::cli::print::{self, counted};
use crate::cli::tokens::Rows;
use crate::engine::ledger::Activity;
use crate::engine::posture::{self, Listing};
use crate::engine::registry::Registered;
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, Timestamp};
use crate::store::{History, HourRow, Reader, StoreError, TokenState, TokenSummary, Who};

/// A token is in use if a request with it was accepted within this time: a job that runs once a month is.
const IN_USE: i64 = 31 * DAY;

/// How certain it is that a secret matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relevance {
    /// It was accepted lately.
    InUse,
    /// The token is known, but not in use, or its use is over.
    Known,
    /// It only looks like a secret.
    Unknown,
}

impl Relevance {
    /// Returns words in the colour of the case.
    pub(super) fn styled(self, words: &str) -> String {
        let style = match self {
            Self::InUse => AnsiColor::Red.on_default().bold(),
            Self::Known => AnsiColor::Yellow.on_default(),
            Self::Unknown => Style::new(),
        };
        format!("{style}{words}{style:#}")
    }
}

/// A known token.
pub(super) struct Known {
    pub(super) token: TokenSummary,
    pub(super) relevance: Relevance,
    /// Since when its state has been what it is, if that is known.
    since: Option<Timestamp>,
    leaked_at: Option<Timestamp>,
    /// The last request that was accepted. Those are counted by the hour, so it may have been up to an hour earlier.
    accepted: Option<Timestamp>,
    /// Requests since [`IN_USE`].
    requests: u64,
}

impl Known {
    /// Reads what is known about a token; `None` if it was forgotten just now.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn of(
        reader: &Reader,
        registry: &Rows<'_>,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let mut history = reader.history(&Who::Token(id), None, None, now)?;
        let Some(token) = history.tokens.pop() else { return Ok(None) };
        let row = registry.of_token(&token);
        let leaked_at = row.and_then(|row| row.leaked_at).filter(|at| *at <= now);
        let since = match token.state {
            TokenState::Leaked => leaked_at,
            TokenState::Revoked => row.and_then(|row| row.revoked_at),
            TokenState::Rotated => row.and_then(|row| row.rotated_at),
            TokenState::Expired => token.expires_at,
            TokenState::Decoy | TokenState::Unregistered | TokenState::Active => None,
        };
        let accepted = accepted(&token, &history);
        let begin = now.plus(-IN_USE);
        let of_late = |row: &&HourRow| begin <= row.hour;
        let requests = history.hours.iter().filter(of_late).map(|row| row.activity.requests).sum();
        let end = ended_at(&token, row, now);
        let is_over = |at: Timestamp| end.is_some_and(|end| at <= end);
        let last = if has_answers(&token) { accepted } else { token.last_seen };
        let is_live = last.is_some_and(|last| begin <= last && !is_over(last));
        let relevance = if is_live { Relevance::InUse } else { Relevance::Known };
        Ok(Some(Self { token, relevance, since, leaked_at, accepted, requests }))
    }

    /// Returns why it must not be marked as leaked.
    pub(super) fn unmarkable(&self) -> Option<String> {
        if self.token.state == TokenState::Decoy {
            return Some("a decoy is meant to be found".to_owned());
        }
        self.leaked_at.map(|at| format!("it is marked as leaked since {}", at.to_words()))
    }

    /// Returns whose it is, its state, and when it was used last.
    pub(super) fn words(&self, now: Timestamp) -> String {
        let mut words: Vec<String> = self.name().map(print::safe).into_iter().collect();
        words.extend(self.state());
        let ago = |time| match print::ago(time, now).as_str() {
            "now" => "just now".to_owned(),
            ago => ago.to_owned(),
        };
        words.push(match (self.accepted, self.token.last_seen) {
            (Some(at), _) if self.relevance == Relevance::InUse => {
                format!("last accepted {}", ago(at))
            }
            (_, Some(at)) if !has_answers(&self.token) => {
                format!("last used {}, answers unknown", ago(at))
            }
            (_, Some(at)) => format!("last used {}", ago(at)),
            (_, None) => "never used".to_owned(),
        });
        if self.relevance == Relevance::InUse {
            words.push(format!("{} in {} days", counted(self.requests, "request"), IN_USE / DAY));
        }
        let head = if self.relevance == Relevance::InUse { "in use" } else { "known" };
        format!("{head}: {}", words.join(", "))
    }

    /// Returns the registered name, else the principal that the token states.
    fn name(&self) -> Option<&str> {
        let TokenSummary { token, name, principal, .. } = &self.token;
        let own = token.map(|id| id.to_string()).unwrap_or_default();
        let name = if name.is_empty() { principal } else { name };
        (*name != own).then_some(name.as_str())
    }

    fn state(&self) -> Option<String> {
        let state = match self.token.state {
            TokenState::Active => return None,
            TokenState::Unregistered => "not registered",
            TokenState::Decoy => "a decoy",
            other => other.as_str(),
        };
        let since = self.since.map(|at| format!(" since {}", at.to_words())).unwrap_or_default();
        Some(format!("{state}{since}"))
    }

    /// Returns the fields of the token that say whether it is in use.
    pub(super) fn json(&self) -> Json {
        print::object([
            ("in_use", json!(self.relevance == Relevance::InUse)),
            ("principal", json!(self.token.principal)),
            ("state", json!(self.token.state.as_str())),
            ("state_since", print::time(self.since)),
            ("last_seen", print::time(self.token.last_seen)),
            ("last_accepted", print::time(self.accepted)),
            ("requests_of_month", json!(self.requests)),
        ])
    }
}

/// Returns when a token's use was over. Not by its state: a token that leaked is usually revoked, too.
fn ended_at(token: &TokenSummary, row: Option<&Registered>, now: Timestamp) -> Option<Timestamp> {
    let listing = row.map(|row| Listing {
        revoked_at: row.revoked_at,
        rotated_at: row.rotated_at,
        ..Listing::default()
    });
    let expires_at = token.expires_at;
    posture::Standing { listing, expires_at, ..posture::Standing::default() }.ended_at(now)
}

/// Returns whether the logs say how the token's requests were answered; those without a status do not.
const fn has_answers(token: &TokenSummary) -> bool {
    let Activity { ok, denied, failed, .. } = token.activity;
    0 < ok + denied + failed
}

/// Returns when a request with a token was accepted last, at the latest: they are counted by the hour.
fn accepted(token: &TokenSummary, history: &History) -> Option<Timestamp> {
    let hour = history.hours.iter().rev().find(|row| 0 < row.activity.ok)?.hour;
    Some(token.last_seen.map_or(hour, |last| last.min(hour.plus(HOUR))))
}
