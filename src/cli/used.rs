//! Whether a token was used since a time: the first question when a leak is discovered late.

use serde_json::{Value as Json, json};

use crate::cli::args::Global;
use crate::cli::{advice, history, print};
use crate::engine::ledger::{Activity, Facet};
use crate::engine::registry::Registered;
use crate::engine::time::{HOUR, Timestamp};
use crate::store::{History, Reader, StoreError, Who};

/// Since a token was first used.
pub(super) const EVER: Timestamp = Timestamp(0);

/// The use of a registry row's tokens since a time. Requests are stored by hour, so those of the hour of that time are
/// counted from its beginning, unless the tokens were first used later.
pub(super) struct Used {
    since: Timestamp,
    /// The known tokens, used or not.
    n_tokens: u64,
    counted_from: Timestamp,
    requests: Activity,
    /// The hour of the first counted request, and the requests in it.
    first_hour: Option<(Timestamp, u64)>,
    /// The last request, even if before that time.
    last: Option<Timestamp>,
    networks: Distinct,
    countries: Distinct,
}

/// The number of different values seen.
#[derive(Clone, Copy)]
struct Distinct {
    known: u64,
    /// Some were folded: there may have been more.
    is_least: bool,
}

/// Reads the use of a token, or of all tokens of a registered name, since a time or [`EVER`].
///
/// # Errors
/// Those of the database.
pub(super) fn since(
    reader: &Reader,
    row: &Registered,
    since: Timestamp,
    now: Timestamp,
) -> Result<Used, StoreError> {
    let who = row.token.map_or_else(|| Who::Principal(row.name.clone()), Who::Token);
    let history = reader.history(&who, Some(since), None, now)?;
    let last = history.tokens.iter().filter_map(|token| token.last_seen).max();
    let is_unused = last.is_none_or(|last| last < since);
    let hours = if is_unused { &[] } else { history.hours.as_slice() };
    let first_hour = hours.first().map(|row| (row.hour, row.activity.requests));
    let is_new = history.tokens.iter().all(|token| token.first_seen.is_none_or(|at| since <= at));
    Ok(Used {
        since,
        n_tokens: history.tokens.iter().filter(|token| token.token.is_some()).count() as u64,
        counted_from: first_hour
            .map_or(since, |(hour, _)| if is_new { since } else { hour.min(since) }),
        requests: hours.iter().fold(Activity::default(), |sum, row| sum.and(row.activity)),
        first_hour,
        last,
        networks: distinct(&history, Facet::Network),
        countries: distinct(&history, Facet::Country),
    })
}

fn distinct(history: &History, facet: Facet) -> Distinct {
    let rows = history.facets.get(&facet).map(Vec::as_slice).unwrap_or_default();
    let known = history::distinct(&history.facets, facet) as u64;
    Distinct { known, is_least: rows.iter().any(|row| row.value.is_empty()) }
}

impl Distinct {
    fn words(self, facet: Facet) -> Option<String> {
        let least = if self.is_least { "at least " } else { "" };
        (0 < self.known).then(|| format!("{least}{}", history::counted(self.known, facet)))
    }
}

impl Used {
    pub(super) fn is_used(&self) -> bool {
        self.last.is_some_and(|last| self.since <= last)
    }

    /// Returns how many tokens are known; what is registered by its name has tokens to come, too.
    pub(super) const fn n_tokens(&self) -> u64 {
        self.n_tokens
    }

    /// Returns the use in words, with the command that shows all of it.
    pub(super) fn lines(&self, row: &Registered, global: &Global) -> Vec<String> {
        let Some(last) = self.last else {
            return vec!["never used, as far as is known".to_owned()];
        };
        if !self.is_used() {
            return vec![format!("not used since then; the last use was {}", last.to_words())];
        }
        let from = [self.networks.words(Facet::Network), self.countries.words(Facet::Country)];
        let from = from.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let from = if from.is_empty() { from } else { format!(", from {from}") };
        let requests = print::counted(self.requests.requests, "request");
        let accepted = self.accepted();
        let when = if self.since == EVER { "so far" } else { "since then" };
        let mut lines = vec![format!("used {when}: {requests}, {accepted}{from}")];
        let last = last.to_words();
        lines.extend(self.first_hour.map(|(hour, requests)| {
            let (from, end) = (print::minute(hour), print::minute(hour.plus(HOUR)));
            if self.counted_from < self.since {
                let some = print::number(requests);
                return format!(
                    "the last {last}; requests are counted by the hour: {some} between {from} and {end} may be earlier"
                );
            }
            format!("the first between {from} and {end}, the last {last}")
        }));
        lines.push(advice::command(global, &history_of(row, self.since)));
        lines
    }

    /// `12 accepted`, or that a log without a status does not say so.
    fn accepted(&self) -> String {
        let Activity { ok, denied, failed, .. } = self.requests;
        match ok + denied + failed {
            0 => "answers unknown".to_owned(),
            _ => format!("{} accepted", print::number(ok)),
        }
    }

    pub(super) fn json(&self) -> Json {
        let since = Some(self.since).filter(|since| *since != EVER);
        if !self.is_used() {
            return print::object([
                ("since", print::time(since)),
                ("requests", json!(0)),
                ("last", print::time(self.last)),
            ]);
        }
        print::object([
            ("since", print::time(since)),
            ("counted_from", print::time(since.map(|_| self.counted_from))),
            ("requests", json!(self.requests.requests)),
            ("ok", json!(self.requests.ok)),
            ("first_hour", print::time(self.first_hour.map(|(hour, _)| hour))),
            ("last", print::time(self.last)),
            ("networks", json!(self.networks.known)),
            ("countries", json!(self.countries.known)),
        ])
    }
}

fn history_of(row: &Registered, since: Timestamp) -> String {
    let name = row.token.map_or_else(|| row.name.to_string(), |id| id.to_string());
    let name = advice::quoted(std::ffi::OsStr::new(&name));
    if since == EVER {
        format!("history {name}")
    } else {
        format!("history {name} --since {since}")
    }
}
