//! `tokens forget`: shows what would be deleted, and deletes it.

use serde_json::json;
use tracing::warn;

use crate::cli::exit::usage;
use crate::cli::print::{self, Printer};
use crate::cli::registering::called;
use crate::cli::several::{self, Extent};
use crate::cli::{Context, backup, state};
use crate::clock::now;
use crate::daemon::compaction::compact;
use crate::engine::registry::Registered;
use crate::store::{History, Lock, Role, StoreError, Who, remove_backup};

/// Whether something is only shown beforehand, or done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Planned,
    Done,
}

impl From<bool> for Deed {
    fn from(is_sure: bool) -> Self {
        if is_sure { Self::Done } else { Self::Planned }
    }
}

pub(super) fn run(
    context: &mut Context,
    text: &str,
    extent: Extent,
    deed: Deed,
) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    // No database is created only to find nothing in it.
    let reader = state::reader(site)?;
    let now = now();
    let who = state::known(site, &reader, text)?;
    several::meant(&reader, who.clone(), extent, now, |_| false)?;
    let history = reader.history(&who, None, None, now)?;
    if deed == Deed::Planned {
        say(printer, &who, &history, deed)?;
        lost_words(printer, &reader.registered(&who)?)?;
        printer.flush()?;
        print::say("nothing was forgotten: give --yes to forget it");
        return Ok(());
    }
    let mut store = site.store()?;
    if !store.forget(&who)? {
        return Err(usage(format!("nothing is known about {}", print::safe(state::name(&who)))));
    }
    match Lock::take(&site.state, Role::Command) {
        Ok(_held) => {
            store.forget_again()?;
            compact(&mut store)?;
            backup::renew(&store)?;
        }
        // Whoever holds it forgets it once more; a daemon compacts, and makes the next backup, within a minute.
        Err(StoreError::Locked { holder, .. }) => {
            remove_backup(store.path())?;
            // `replay --save` compacts a database of any size, at its end.
            let is_replay = matches!(holder, Some((_, Role::Command)));
            if !is_replay && !store.is_compacted_beside_daemon()? {
                warn!(
                    "Unused parts of the database may still hold what was forgotten: it is too large to be rewritten beside a daemon, which does so when it next starts."
                );
            }
        }
        Err(error) => return Err(error.into()),
    }
    say(printer, &who, &history, deed)
}

fn say(printer: &mut Printer, who: &Who, history: &History, deed: Deed) -> anyhow::Result<()> {
    let requests = history.tokens.iter().map(|token| token.activity.requests).sum();
    let (n_tokens, n_incidents) = (history.tokens.len(), history.incidents.len());
    if printer.is_json() {
        let counts = json!({"tokens": n_tokens, "requests": requests, "incidents": n_incidents});
        let (field, name) = match who {
            Who::Token(id) => ("token", json!({"id": id})),
            Who::Principal(name) => ("principal", json!(name)),
        };
        let what = match deed {
            Deed::Planned => "to_forget",
            Deed::Done => "forgotten",
        };
        return Ok(printer.json(&json!({field: name, what: counts}))?);
    }
    let name = print::safe(state::name(who));
    let [n_tokens, n_incidents] = [n_tokens, n_incidents].map(|n| print::number(n as u64));
    let requests = print::number(requests);
    let head = match deed {
        Deed::Planned => "would forget",
        Deed::Done => "forgot",
    };
    Ok(printer.line(format_args!(
        "{head} {name}: tokens {n_tokens}, requests {requests}, incidents {n_incidents}"
    ))?)
}

/// Reports the deleted marks: later use of these tokens is no longer an alert for that.
fn lost_words(printer: &mut Printer, rows: &[Registered]) -> anyhow::Result<()> {
    if printer.is_json() {
        return Ok(());
    }
    for row in rows {
        let words = [
            ("decoy", row.decoy),
            ("leaked", row.leaked_at.is_some()),
            ("revoked", row.revoked_at.is_some()),
            ("rotated", row.rotated_at.is_some()),
        ];
        let words: Vec<_> = words.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
        if !words.is_empty() {
            let words = words.join(", ");
            let name = called(row);
            printer.line(format_args!(
                "  and that {name} is {words}: its use would no longer be an alert for that"
            ))?;
        }
    }
    Ok(())
}
