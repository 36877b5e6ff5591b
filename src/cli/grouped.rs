//! The rows of a list of tokens: one for each, or one for the tokens of a principal that states its own name.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::cli::{print, state};
use crate::engine::time::Timestamp;
use crate::store::{TokenState, TokenSummary};

/// One token; or several, with the sum of their requests, the first of their first uses and of their ends, and of the
/// rest that of the last used.
pub(super) struct Row {
    pub(super) token: TokenSummary,
    pub(super) n_tokens: u64,
}

impl Row {
    fn of(token: TokenSummary) -> Self {
        Self { token, n_tokens: 1 }
    }

    fn add(&mut self, other: &TokenSummary) {
        let sum = &mut self.token;
        sum.activity = sum.activity.and(other.activity);
        sum.first_seen = first(sum.first_seen, other.first_seen);
        sum.ends_at = first(sum.ends_at, other.ends_at);
        self.n_tokens += 1;
    }

    pub(super) fn label(&self) -> String {
        label_of(&self.token, self.n_tokens)
    }
}

fn first(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Returns the label of a token; or, if it stands for several of one principal, its name and how many these are.
pub(super) fn label_of(token: &TokenSummary, n_tokens: u64) -> String {
    match n_tokens {
        1 => label(token),
        n => format!("{} ({})", print::safe(&token.principal), print::counted(n, "token")),
    }
}

/// Returns the label of a token: its name, else its hint and its id.
pub(super) fn label(token: &TokenSummary) -> String {
    let id = token.token.map(|id| id.to_string()).unwrap_or_default();
    if !token.name.is_empty() {
        return print::safe(&token.name);
    }
    let own = if token.principal == id { token.hint.as_str() } else { token.principal.as_str() };
    let short: String = id.chars().take(12).collect();
    if own.is_empty() { short } else { format!("{} ({short})", print::safe(own)) }
}

/// Returns a row for each token.
pub(super) fn each(tokens: &[TokenSummary]) -> Vec<Row> {
    tokens.iter().cloned().map(Row::of).collect()
}

/// Returns one row for the tokens of a principal that states its own name and that are in one state, in the order of
/// the first of each; others, and those that stand `alone` in the registry, have a row each. Some issue tokens by the
/// minute: one by one, those of a single user would fill the list.
pub(super) fn grouped(tokens: &[TokenSummary], alone: impl Fn(&TokenSummary) -> bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places: BTreeMap<(SmolStr, &str), usize> = BTreeMap::new();
    for token in tokens {
        if alone(token) || !state::is_identity(&token.principal) {
            rows.push(Row::of(token.clone()));
            continue;
        }
        let group = (token.principal.clone(), TokenState::as_str(token.state));
        match places.get(&group).and_then(|place| rows.get_mut(*place)) {
            Some(row) => row.add(token),
            None => {
                places.insert(group, rows.len());
                rows.push(Row::of(token.clone()));
            }
        }
    }
    rows
}
