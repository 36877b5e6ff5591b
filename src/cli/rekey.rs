//! `tokens rekey`: replaces the seal key, or shows what that costs.

use crate::cli::forget::Deed;
use crate::cli::print::{self, Printer};
use crate::cli::{Context, backup, state};
use crate::store::{Bound, Lock, Role};
use serde_json::json;

pub(super) fn run(context: &mut Context, deed: Deed) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    // Without a database nothing depends on the key, and none is created only to find nothing in it.
    let reader = state::reader(site)?;
    if deed == Deed::Planned {
        say(printer, &reader.bound_to_key()?, deed)?;
        printer.flush()?;
        print::say("nothing was changed: give --yes to make a new key");
        return Ok(());
    }
    let lock = Lock::take(&site.state, Role::Command)?;
    let mut store = site.store()?;
    let bound = store.bound_to_key()?;
    // First: after a kill in between, a principal that is used again is expected again.
    store.expect_no_ids()?;
    // The old one expects the old ids, and lacks what was registered since.
    backup::renew(&store)?;
    site.rekey()?;
    drop(lock);
    say(printer, &bound, deed)
}

/// Prints what is kept and what is not.
fn say(printer: &mut Printer, bound: &Bound, deed: Deed) -> anyhow::Result<()> {
    let Bound { tokens, profiles, named, registered, by_name, mutes } = bound;
    if printer.is_json() {
        return Ok(printer.json(&json!({
            "rekeyed": deed == Deed::Done,
            "tokens": tokens,
            "profiles": {"kept": named, "left_behind": profiles},
            "registered": {"kept": by_name, "left_behind": registered},
            "mutes": {"left_behind": mutes},
        }))?);
    }
    let head = match deed {
        Deed::Planned => {
            "a new seal key gives every secret a new id, which cannot be matched with the old one"
        }
        Deed::Done => {
            "the new seal key takes effect at the next start of the daemon; the old one is kept as seal.key.old"
        }
    };
    printer.line(head)?;
    let rows = [
        (named, "profiles under a name (registered, JWT subject, user, AWS key id) continue"),
        (by_name, "principals registered by name stay registered"),
        (tokens, "tokens keep their history and alerts, under old ids that will not be seen again"),
        (profiles, "profiles of tokens without a name start over, which takes days"),
        (
            registered,
            "tokens have to be registered again from their secrets, with names, revocations, leaks and decoys; \
                      under the same name a profile continues",
        ),
        (mutes, "mutes of tokens without a name have to be made again"),
    ];
    for (count, text) in rows {
        printer.line(format_args!("{:>9}  {text}", print::number(*count)))?;
    }
    Ok(printer.line("servers and scripts that log ids themselves need the new key")?)
}
