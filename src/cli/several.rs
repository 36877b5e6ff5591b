//! Chooses between tokens of the same name: rotation keeps the name, and a mark must not hit the successor.

use crate::cli::exit::usage;
use crate::cli::print;
use crate::engine::registry::Registered;
use crate::engine::time::Timestamp;
use crate::store::{Reader, TokenSummary, Who};

/// Tokens that are listed at most where one has to be chosen.
const MOST: usize = 20;

/// How many tokens of a name to choose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    One,
    All,
}

impl From<bool> for Extent {
    fn from(is_all: bool) -> Self {
        if is_all { Self::All } else { Self::One }
    }
}

/// Returns the tokens to change. If several share the name: the only one for which `holds` is false, or with `All` each
/// of these; all of them if it is true for all.
///
/// # Errors
/// It is not clear which token is meant: they are listed.
pub(super) fn meant(
    reader: &Reader,
    who: Who,
    extent: Extent,
    now: Timestamp,
    holds: impl Fn(&Registered) -> bool,
) -> anyhow::Result<Vec<Who>> {
    let rows = match &who {
        Who::Token(_) => return Ok(vec![who]),
        Who::Principal(_) => reader.registered(&who)?,
    };
    if rows.len() < 2 {
        return Ok(vec![who]);
    }
    let open: Option<Vec<Who>> =
        rows.iter().filter(|row| !holds(row)).map(|row| row.token.map(Who::Token)).collect();
    match (extent, open) {
        (Extent::One, Some(open)) if open.len() == 1 => Ok(open),
        (Extent::One, _) => Err(unclear(reader, &who, &rows, now)?),
        (Extent::All, Some(open)) if !open.is_empty() && open.len() < rows.len() => Ok(open),
        (Extent::All, _) => Ok(vec![who]),
    }
}

/// Lists the tokens of a name on standard error, and returns the error that asks for one of them.
fn unclear(
    reader: &Reader,
    who: &Who,
    rows: &[Registered],
    now: Timestamp,
) -> anyhow::Result<anyhow::Error> {
    let name = print::safe(super::state::name(who));
    let n_rows = print::counted(rows.len() as u64, "token");
    print::say(format_args!("{name} is the name of {n_rows}:"));
    for row in rows.iter().take(MOST) {
        let Some(token) = row.token else {
            print::say(format_args!("  {name}, registered by its name"));
            continue;
        };
        let line = reader.token(token, now)?.as_ref().map(line).unwrap_or_default();
        print::say(format_args!("  {token}{line}"));
    }
    if MOST < rows.len() {
        let n_more = print::number((rows.len() - MOST) as u64);
        print::say(format_args!("  and {n_more} more"));
    }
    Ok(usage("nothing was changed: give the id of one token, or --all"))
}

/// Returns what tells a token from others: ` ghp_...4f2a  revoked, first used 2026-03-02 00:05Z, last ...`.
fn line(token: &TokenSummary) -> String {
    let hint = print::safe(&token.hint);
    let gap = if hint.is_empty() { "" } else { " " };
    let used = match (token.first_seen, token.last_seen) {
        (Some(first), Some(last)) => {
            format!("first used {}, last {}", print::minute(first), print::minute(last))
        }
        _ => "never used".to_owned(),
    };
    format!("{gap}{hint}  {}, {used}", token.state.as_str())
}
