//! `tokens add, import, set, revoke, leak, decoy`: commands that change the registry.

use std::path::Path;

use anyhow::bail;
use serde_json::{Value as Json, json};

use crate::cli::args::{Global, TokensAdd, TokensMark, TokensSet};
use crate::cli::exit::usage;
use crate::cli::print::{self, Printer};
use crate::cli::registry::{self, read_registry};
use crate::cli::several::{self, Extent};
use crate::cli::tokens::registered_json;
use crate::cli::{Context, advice, scopes, state, used, when};
use crate::clock::now;
use crate::engine::registry::{COLUMNS, Changes, Registered, free_name};
use crate::engine::secret::SealKey;
use crate::engine::time::Timestamp;
use crate::store::{Changed, Store, Who};

pub(super) fn add(context: &mut Context, options: &TokensAdd) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    state::refuse_secret(&options.name)?;
    let changes = changes(&options.columns, &site.key()?)?;
    let name = free_name(&options.name).map_err(|fault| usage(fault.to_string()))?;
    let mut row = Registered { name, ..Registered::default() };
    // A principal that states its own identity is registered by it, whatever tokens it uses.
    if options.secret_file.is_some() || !state::is_identity(&row.name) {
        row.token = Some(match &options.secret_file {
            Some(path) => state::seal_file(site, path)?,
            None => state::seal(site, std::io::stdin().lock())?,
        });
    }
    if changes.has("name") {
        return Err(usage("column name: the name is the first argument"));
    }
    let now = now();
    changes.apply(&mut row, now);
    let mut store = site.store()?;
    let is_same =
        |old: &&Registered| old.token == row.token && (row.token.is_some() || old.name == row.name);
    if let Some(old) = store.registry()?.iter().find(is_same) {
        let id = old.token.map_or_else(String::new, |id| format!(" {id}"));
        bail!(
            "the token{id} is already registered as \"{}\": change it with `tokens set`",
            print::safe(&old.name)
        );
    }
    store.register(std::slice::from_ref(&row), "", now)?;
    scopes::say_doubts(&row.scopes);
    if printer.is_json() {
        return Ok(printer.json(&registered_json(&row))?);
    }
    match row.token {
        Some(id) => printer.line(id)?,
        None => printer.line(print::Safe(&row.name))?,
    }
    Ok(())
}

pub(super) fn import(context: &mut Context, file: &Path) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    let file = read_registry(file, &site.key()?)?;
    file.expect_valid(|| state::registry(site))?;
    let mut store = site.store()?;
    let rows = file.meant(&store.registry()?)?;
    let changed = store.import(&rows, "", now())?;
    let (n_rows, n_changed) = (rows.len(), changed.len());
    if printer.is_json() {
        let taken_back = changed.iter().filter_map(taken_back_json).collect::<Vec<_>>();
        let said = json!({"rows": n_rows, "changed": n_changed, "taken_back": taken_back});
        return Ok(printer.json(&said)?);
    }
    let (read, n_changed) = (print::counted(n_rows as u64, "row"), print::number(n_changed as u64));
    printer.line(format_args!("{read} read, {n_changed} of them new or changed"))?;
    Ok(changed.iter().filter_map(taken_back).try_for_each(|said| printer.line(said))?)
}

/// Returns a line that lists the marks that an import undid; `None` if it undid none.
pub(super) fn taken_back(changed: &Changed) -> Option<String> {
    let columns = marks_taken_back(changed);
    let named = || format!("{}: no longer has {}", called(&changed.after), columns.join(", "));
    (!columns.is_empty()).then(named)
}

fn taken_back_json(changed: &Changed) -> Option<Json> {
    let columns = marks_taken_back(changed);
    let Registered { token, name, .. } = &changed.after;
    (!columns.is_empty()).then(|| json!({"token": token, "name": name, "columns": columns}))
}

/// Returns the columns whose mark is gone.
fn marks_taken_back(changed: &Changed) -> Vec<&'static str> {
    let marks = |row: &Registered| {
        [
            ("leaked_at", row.leaked_at.is_some()),
            ("revoked_at", row.revoked_at.is_some()),
            ("rotated_at", row.rotated_at.is_some()),
            ("decoy", row.decoy),
        ]
    };
    let Some(before) = &changed.before else { return Vec::new() };
    let gone = marks(before).into_iter().zip(marks(&changed.after));
    gone.filter(|((_, was), (_, is))| *was && !is).map(|((column, _), _)| column).collect()
}

/// Columns of a single token; the others may apply to all tokens of a name.
const OF_ONE: [&str; 7] =
    ["issued_at", "expires_at", "revoked_at", "rotated_to", "rotated_at", "decoy", "leaked_at"];

pub(super) fn set(context: &mut Context, options: &TokensSet) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    let TokensSet { token, columns, principal, all } = options;
    state::expect_database_for(site, token)?;
    let changes = changes(columns, &site.key()?)?;
    let mut store = site.store()?;
    let now = now();
    let mut who = state::meant(site, &store, token)?;
    if *principal {
        who = state::principal_of(&store, who, now)?;
    }
    if changes.has("name") && !has_token(&store, &who)? {
        bail!("{} is registered by its name, which cannot change", print::safe(state::name(&who)));
    }
    let is_of_one = OF_ONE.iter().any(|column| changes.has(column));
    let extent = if is_of_one { (*all).into() } else { Extent::All };
    let tokens = several::meant(&store, who, extent, now, |_| false)?;
    let mut rows = Vec::new();
    for who in &tokens {
        rows.extend(store.amend(who, "", now, |row| changes.apply(row, now))?);
    }
    if let Some(row) = rows.first().filter(|_| changes.has("scopes")) {
        scopes::say_doubts(&row.scopes);
    }
    say(printer, &rows, "changed")
}

/// Parses the columns of a command line; the error lists all faults.
fn changes(texts: &[String], key: &SealKey) -> anyhow::Result<Changes> {
    let mut changes = Changes::default();
    let mut faults = Vec::new();
    for text in texts {
        let (name, value) = text.split_once('=').unwrap_or(("", text));
        state::refuse_secret(name)?;
        state::refuse_secret(value)?;
        faults.extend(take(&mut changes, text, key).err());
    }
    if faults.is_empty() { Ok(changes) } else { Err(usage(faults.join("; "))) }
}

fn columns() -> String {
    COLUMNS.iter().filter(|name| **name != "token").copied().collect::<Vec<_>>().join(", ")
}

fn like(name: &str) -> String {
    const LIKE: f64 = 0.8;
    let likeness = |column: &&&str| strsim::jaro_winkler(name, column);
    let best = COLUMNS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let best = best.filter(|column| LIKE <= likeness(column) && **column != "token");
    best.map_or_else(|| ":".to_owned(), |column| format!(", did you mean \"{column}\"?"))
}

/// Applies one `COLUMN=VALUE`, or returns what is wrong with it.
fn take(changes: &mut Changes, text: &str, key: &SealKey) -> Result<(), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!(
            "expected COLUMN=VALUE, with one of the columns {}; a secret comes on standard input: one that was given \
             here is in the shell's history now",
            columns()
        ));
    };
    if name == "token" || !COLUMNS.contains(&name) {
        let (name, like) = (print::safe(name), like(name));
        return Err(format!(
            "no column to set is named \"{name}\"{like} columns are {}",
            columns()
        ));
    }
    if changes.has(name) {
        return Err(format!("column {name}: given twice"));
    }
    registry::set(changes, name, value, key)
}

fn has_token(store: &Store, who: &Who) -> anyhow::Result<bool> {
    Ok(match who {
        Who::Token(_) => true,
        Who::Principal(_) => store.registered(who)?.iter().any(|row| row.token.is_some()),
    })
}

/// A mark that one command sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Revoked,
    Leaked,
    Decoy,
}

impl Mark {
    /// Returns whether a row already has the mark, and it is in force.
    fn holds(self, row: &Registered, now: Timestamp) -> bool {
        let is_past = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        match self {
            Self::Revoked => is_past(row.revoked_at),
            Self::Leaked => is_past(row.leaked_at),
            Self::Decoy => row.decoy,
        }
    }

    /// Sets the mark as of a time.
    pub(super) fn apply(self, row: &mut Registered, at: Timestamp) {
        match self {
            Self::Revoked => row.revoked_at = Some(at),
            Self::Leaked => row.leaked_at = Some(at),
            Self::Decoy => row.decoy = true,
        }
    }
}

pub(super) fn mark(context: &mut Context, options: &TokensMark, mark: Mark) -> anyhow::Result<()> {
    let Context { site, printer, global, .. } = context;
    let now = now();
    if mark == Mark::Decoy && options.at.is_some() {
        return Err(usage("a decoy is bait at any time: leave out --at"));
    }
    let at = options.at.as_deref().map_or(Ok(now), |text| when::instant(text, now))?;
    state::refuse_secret_in("note", &options.note)?;
    state::expect_database_for(site, &options.token)?;
    let mut store = site.store()?;
    let mut who = state::meant(site, &store, &options.token)?;
    if options.principal {
        who = state::principal_of(&store, who, now)?;
    }
    let tokens = several::meant(&store, who, options.all.into(), now, |row| mark.holds(row, now))?;
    let note = options.note.as_str();
    let mut rows = Vec::new();
    for who in &tokens {
        rows.extend(store.amend(who, note, now, |row| mark.apply(row, at))?);
    }
    let (what, since) = match mark {
        Mark::Revoked => (since("revoked", at, now), at),
        Mark::Leaked => (since("leaked", at, now), at),
        Mark::Decoy => ("a decoy; its use is an alert from now on".to_owned(), used::EVER),
    };
    for row in &rows {
        let used = used::since(&store, row, since, now)?;
        if printer.is_json() {
            let mut json = registered_json(row);
            print::extend(&mut json, [("used", used.json())]);
            let is_name = row.token.is_none();
            print::extend(&mut json, is_name.then(|| ("tokens", json!(used.n_tokens()))));
            printer.json(&json)?;
            continue;
        }
        printer.line(format_args!("{}: {what}", called(row)))?;
        let mut lines: Vec<String> = of_name(row, used.n_tokens()).into_iter().collect();
        lines.extend(if at <= now { used.lines(row, global) } else { Vec::new() });
        lines.extend((mark == Mark::Decoy && used.is_used()).then(|| not_bait(row, global)));
        lines.iter().try_for_each(|line| printer.line(format_args!("  {line}")))?;
    }
    Ok(())
}

/// Returns which tokens a mark is about that was set on a name; `None` for the mark of one token.
fn of_name(row: &Registered, n_tokens: u64) -> Option<String> {
    let known = match n_tokens {
        0 => "no token of it is known yet: about those issued from now on".to_owned(),
        1 => "about its one known token, and those issued from now on".to_owned(),
        _ => {
            let tokens = print::counted(n_tokens, "token");
            format!("about all {tokens} of it, and those issued from now on")
        }
    };
    row.token.is_none().then_some(known)
}

/// Returns what to do about a decoy that somebody uses: it is nearly always another token than was meant.
fn not_bait(row: &Registered, global: &Global) -> String {
    let name = row.token.map_or_else(|| row.name.to_string(), |id| id.to_string());
    let set = format!("tokens set {} decoy=", advice::quoted(std::ffi::OsStr::new(&name)));
    format!("bait is used by nobody; if another one was meant: {}", advice::command(global, &set))
}

/// Returns from when on a mark is in force; it may be in the future.
fn since(what: &str, at: Timestamp, now: Timestamp) -> String {
    let time = at.to_words();
    match at <= now {
        true => format!("{what} since {time}; its use is an alert from now on"),
        false => format!("{what} from {time} on; its use is an alert from then on"),
    }
}

/// Prints what was done to registry rows, one line each.
fn say(printer: &mut Printer, rows: &[Registered], what: &str) -> anyhow::Result<()> {
    for row in rows {
        if printer.is_json() {
            printer.json(&registered_json(row))?;
            continue;
        }
        printer.line(format_args!("{}: {what}", called(row)))?;
    }
    Ok(())
}

/// Returns the label of a registry row: its name and its id, whichever it has.
pub(super) fn called(row: &Registered) -> String {
    let id = row.token.map(|id| id.to_string()).unwrap_or_default();
    let parts = [print::safe(&row.name), id];
    let parts: Vec<&str> =
        parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_for_later_is_not_said_to_hold_from_now_on() {
        let now = Timestamp::from_seconds(1_795_453_833); // 2026-11-23T17:10:33Z
        let later = now.plus(crate::engine::time::DAY);
        assert_eq!(
            since("revoked", now, now),
            "revoked since 2026-11-23 17:10:33 UTC; its use is an alert from now on"
        );
        assert_eq!(
            since("revoked", later, now),
            "revoked from 2026-11-24 17:10:33 UTC on; its use is an alert from then on"
        );
    }
}
