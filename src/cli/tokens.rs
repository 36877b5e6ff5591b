//! `tokens`: what is known about tokens. The commands that change the registry are in `registering`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::bail;
use serde_json::{Value as Json, json};

use crate::cli::args::{Tokens, TokensList};
use crate::cli::exit::usage;
use crate::cli::grouped::{self, Row, label};
use crate::cli::history::{counted, lifecycle_json};
use crate::cli::print::{self, Printer, field};
use crate::cli::registering::{self, Mark};
use crate::cli::{Context, advice, forget, rekey, scopes, state, table, when};
use crate::clock::now;
use crate::engine::ledger::Facet;
use crate::engine::registry::Registered;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::store::{LifecycleRow, TokenFilter, TokenState, TokenSummary};

pub(super) fn run(context: &mut Context, options: &Tokens) -> anyhow::Result<ExitCode> {
    match options {
        Tokens::List(options) => list(context, options),
        Tokens::Show { token } => show(context, token),
        Tokens::Add(options) => registering::add(context, options),
        Tokens::Import { file } => registering::import(context, file),
        Tokens::Set(options) => registering::set(context, options),
        Tokens::Revoke(options) => registering::mark(context, options, Mark::Revoked),
        Tokens::Leak(options) => registering::mark(context, options, Mark::Leaked),
        Tokens::Decoy(options) => registering::mark(context, options, Mark::Decoy),
        Tokens::Forget { token, all, yes } => {
            forget::run(context, token, (*all).into(), (*yes).into())
        }
        Tokens::Rekey { yes } => rekey::run(context, (*yes).into()),
        Tokens::Id { .. } => {
            let id = state::seal(&context.site, std::io::stdin().lock())?;
            if context.printer.is_json() {
                context.printer.json(&json!({"token": {"id": id}}))
            } else {
                context.printer.line(id)
            }
            .map_err(Into::into)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Rows of the database read for each line of a list at most: tokens of one user have one line together.
const ROWS_A_LINE: u32 = 200;

/// Tokens of one principal shown at most; JSON has all of them.
const MOST_SHOWN: usize = 20;

fn list(context: &mut Context, options: &TokensList) -> anyhow::Result<()> {
    let now = now();
    let is_each = options.each || context.printer.is_json();
    let n_read = if is_each { options.limit } else { options.limit.saturating_mul(ROWS_A_LINE) };
    let text = options.text.as_deref();
    text.map_or(Ok(()), state::refuse_secret)?;
    let filter = TokenFilter {
        text: text.map(str::to_owned),
        state: options.state.as_deref().map(state_of).transpose()?,
        since: options.since.as_deref().map(|text| when::instant(text, now)).transpose()?,
        unused_since: options.unused.as_deref().map(|text| when::instant(text, now)).transpose()?,
        ends_by: options.expiring.as_deref().map(|text| when::ahead(text, now)).transpose()?,
        limit: Some(n_read),
    };
    let reader = state::reader(&context.site)?;
    let tokens = reader.tokens(&filter, now)?;
    let registry = reader.registry()?;
    let rows = Rows::of(&registry);
    let printer = &mut context.printer;
    if printer.is_json() {
        let json = |token| with_registered(token_json(token), rows.of_token(token));
        tokens.iter().try_for_each(|token| printer.json(&json(token)))?;
        print::say_limit(tokens.len(), options.limit);
        return Ok(());
    }
    if tokens.is_empty() {
        return Ok(printer.line("no tokens")?);
    }
    let alone = |token: &TokenSummary| is_each || rows.has_own(token);
    let mut lines = grouped::grouped(&tokens, alone);
    lines.truncate(usize::try_from(options.limit).unwrap_or(usize::MAX));
    let beside = if filter.ends_by.is_some() { Beside::End } else { Beside::FirstUse };
    printer.line(table_of(&lines, beside, now))?;
    let is_cut = u32::try_from(tokens.len()).is_ok_and(|n| n_read <= n);
    let n_lines = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    print::say_limit(lines.len(), if is_cut { n_lines } else { options.limit });
    Ok(())
}

fn state_of(name: &str) -> anyhow::Result<TokenState> {
    match TokenState::parse(name) {
        Some(state) => Ok(state),
        None => {
            let names = TokenState::ALL.map(TokenState::as_str).join(", ");
            let name = print::safe(name);
            Err(usage(format_args!("no state is named \"{name}\": states are {names}")))
        }
    }
}

/// Draws a table of tokens that fits the terminal.
pub(super) fn drawn(tokens: &[TokenSummary], now: Timestamp) -> String {
    table_of(&grouped::each(tokens), Beside::FirstUse, now)
}

/// The time that a wide table shows beside the last use. A narrow one has room for one: the end, if it was asked for.
#[derive(Clone, Copy)]
enum Beside {
    FirstUse,
    End,
}

impl Beside {
    const fn name(self) -> &'static str {
        match self {
            Self::FirstUse => "first seen",
            Self::End => "ends",
        }
    }

    fn of(self, token: &TokenSummary, now: Timestamp) -> String {
        match self {
            Self::FirstUse => seen(token.first_seen, now),
            Self::End => seen(token.ends_at, now),
        }
    }
}

fn table_of(rows: &[Row], beside: Beside, now: Timestamp) -> String {
    let table =
        if table::is_narrow() { narrow(rows, beside, now) } else { wide(rows, beside, now) };
    table::coloured(&table, |word| TokenState::parse(word).map(style))
}

fn wide(rows: &[Row], beside: Beside, now: Timestamp) -> comfy_table::Table {
    let mut table = table::table(&[
        "state",
        "token",
        "kind",
        "requests",
        "ok/denied/failed",
        "countries",
        "networks",
        "addresses",
        beside.name(),
        "last seen",
    ]);
    for row in rows {
        let token = &row.token;
        let (activity, distinct) = (&token.activity, &token.distinct);
        // The places of several tokens cannot be added up.
        let places = |n| if row.n_tokens == 1 { print::number(n) } else { String::new() };
        let outcomes = [activity.ok, activity.denied, activity.failed].map(print::number).join("/");
        table.add_row([
            token.state.as_str().to_owned(),
            row.label(),
            print::safe(&token.kind),
            print::number(activity.requests),
            outcomes,
            places(distinct.countries),
            places(distinct.networks),
            places(distinct.addresses),
            beside.of(token, now),
            seen(token.last_seen, now),
        ]);
    }
    table
}

fn narrow(rows: &[Row], beside: Beside, now: Timestamp) -> comfy_table::Table {
    let (name, time): (_, fn(&TokenSummary) -> Option<Timestamp>) = match beside {
        Beside::FirstUse => ("last seen", |token| token.last_seen),
        Beside::End => ("ends", |token| token.ends_at),
    };
    let mut table = table::table(&["state", "token", "requests", name]);
    for row in rows {
        let token = &row.token;
        let requests = print::number(token.activity.requests);
        let time = seen(time(token), now);
        table.add_row([token.state.as_str().to_owned(), row.label(), requests, time]);
    }
    table
}

fn seen(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "never".to_owned(), |time| print::ago(time, now))
}

/// Returns the colour of a state.
pub(super) const fn style(state: TokenState) -> Style {
    match state {
        TokenState::Decoy | TokenState::Leaked => AnsiColor::Red.on_default().bold(),
        TokenState::Revoked => AnsiColor::Red.on_default(),
        TokenState::Rotated | TokenState::Expired => AnsiColor::Yellow.on_default(),
        TokenState::Unregistered => AnsiColor::Cyan.on_default(),
        TokenState::Active => AnsiColor::Green.on_default(),
    }
}

/// Returns a token as `tokens list --json` prints it.
pub(super) fn token_json(token: &TokenSummary) -> Json {
    let (activity, distinct) = (&token.activity, &token.distinct);
    print::object([
        (
            "token",
            print::object([
                ("id", json!(token.token)),
                ("name", json!(token.name)),
                ("kind", json!(token.kind)),
                ("hint", json!(token.hint)),
            ]),
        ),
        ("principal", json!(token.principal)),
        ("state", json!(token.state.as_str())),
        ("first_seen", print::time(token.first_seen)),
        ("last_seen", print::time(token.last_seen)),
        ("expires_at", print::time(token.expires_at)),
        ("requests", json!(activity.requests)),
        ("ok", json!(activity.ok)),
        ("denied", json!(activity.denied)),
        ("failed", json!(activity.failed)),
        ("bytes", json!(activity.bytes)),
        ("countries", json!(distinct.countries)),
        ("networks", json!(distinct.networks)),
        ("addresses", json!(distinct.addresses)),
    ])
}

fn show(context: &mut Context, text: &str) -> anyhow::Result<()> {
    let now = now();
    let reader = state::reader(&context.site)?;
    let who = state::known(&context.site, &reader, text)?;
    let history = reader.history(&who, None, None, now)?;
    let registry = reader.registry()?;
    let rows = Rows::of(&registry);
    let Context { printer, global, .. } = context;
    if history.tokens.is_empty() {
        bail!("{}: a principal without tokens", print::safe(state::name(&who)));
    }
    let most = if printer.is_json() { usize::MAX } else { MOST_SHOWN };
    for (n, token) in history.tokens.iter().take(most).enumerate() {
        let row = rows.of_token(token);
        let said = said_of(row, &history.lifecycle);
        if printer.is_json() {
            let mut json = with_registered(token_json(token), row);
            print::extend(
                &mut json,
                row.map(|_| ("lifecycle", said.map(lifecycle_json).collect())),
            );
            printer.json(&json)?;
            continue;
        }
        if n > 0 {
            printer.line("")?;
        }
        card(printer, token, now)?;
        if let Some(row) = row {
            print_row(printer, row, &said.collect::<Vec<_>>())?;
        }
    }
    let n_more = history.tokens.len().saturating_sub(most);
    if n_more > 0 {
        let words =
            format!("tokens list {} --each", advice::quoted(OsStr::new(&state::name(&who))));
        let command = advice::command(global, &words);
        printer.line("")?;
        printer
            .line(format_args!("and {} used earlier: {command}", print::number(n_more as u64)))?;
    }
    Ok(())
}

/// The rows of the registry: those of tokens, and those of names.
pub(super) struct Rows<'a> {
    by_token: BTreeMap<TokenId, &'a Registered>,
    by_name: BTreeMap<&'a str, &'a Registered>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(registry: &'a [Registered]) -> Self {
        let named = registry.iter().filter(|row| row.token.is_none());
        Self {
            by_token: registry.iter().filter_map(|row| Some((row.token?, row))).collect(),
            by_name: named.map(|row| (row.name.as_str(), row)).collect(),
        }
    }

    /// Returns whether a token has a row of its own; what was never seen is nothing but its row.
    fn has_own(&self, token: &TokenSummary) -> bool {
        token.token.is_none_or(|id| self.by_token.contains_key(&id))
    }

    /// Returns the row that applies to a token: its own, else that of its principal's name.
    pub(super) fn of_token(&self, token: &TokenSummary) -> Option<&'a Registered> {
        let own = token.token.and_then(|id| self.by_token.get(&id));
        own.or_else(|| self.by_name.get(token.principal.as_str())).copied()
    }
}

/// Returns what was recorded of a row of the registry.
fn said_of<'a>(
    row: Option<&'a Registered>,
    lifecycle: &'a [LifecycleRow],
) -> impl Iterator<Item = &'a LifecycleRow> {
    lifecycle.iter().filter(move |said| row.is_some_and(|row| said.token == row.token))
}

/// Adds its row of the registry, if it has one.
fn with_registered(mut token: Json, row: Option<&Registered>) -> Json {
    print::extend(&mut token, row.map(|row| ("registered", registered_json(row))));
    token
}

/// Prints the first lines about a token: its identity, since when and how much it was used.
pub(super) fn head(
    printer: &mut Printer,
    token: &TokenSummary,
    now: Timestamp,
) -> std::io::Result<()> {
    let style = style(token.state);
    printer.line(format_args!(
        "{}  {style}{}{style:#}",
        print::bold(label(token)),
        token.state.as_str()
    ))?;
    if let Some(id) = token.token {
        field(printer, "id", id.to_string())?;
    }
    field(printer, "kind", format!("{} {}", token.kind, token.hint))?;
    field(printer, "principal", &token.principal)?;
    field(printer, "owner", &token.owner)?;
    let time = |time: Option<Timestamp>| {
        let words = |time: Timestamp| format!("{} ({})", time.to_words(), print::ago(time, now));
        time.map(words).unwrap_or_default()
    };
    field(printer, "issued", time(token.issued_at))?;
    field(printer, "expires", time(token.expires_at))?;
    field(printer, "first seen", time(token.first_seen))?;
    field(printer, "last seen", time(token.last_seen))?;
    let [requests, ok, denied, failed] = {
        let a = &token.activity;
        [a.requests, a.ok, a.denied, a.failed].map(print::number)
    };
    let bytes = print::size(token.activity.bytes);
    let all = format!("{requests}: {ok} ok, {denied} denied, {failed} failed");
    field(printer, "requests", all)?;
    field(printer, "sent", bytes)
}

fn card(printer: &mut Printer, token: &TokenSummary, now: Timestamp) -> std::io::Result<()> {
    head(printer, token, now)?;
    let d = &token.distinct;
    let from = [
        (d.countries, Facet::Country),
        (d.networks, Facet::Network),
        (d.addresses, Facet::Address),
    ];
    let with = [(d.clients, Facet::Client), (d.routes, Facet::Route)];
    let words = |counts: &[(u64, Facet)]| {
        counts.iter().map(|(n, facet)| counted(*n, *facet)).collect::<Vec<_>>().join(", ")
    };
    field(printer, "from", words(&from))?;
    field(printer, "with", words(&with))
}

/// Prints what the registry says of a token.
fn print_row(
    printer: &mut Printer,
    row: &Registered,
    said: &[&LifecycleRow],
) -> std::io::Result<()> {
    field(printer, "revoked", marked("revoked", row.revoked_at, said))?;
    field(printer, "leaked", marked("leaked", row.leaked_at, said))?;
    field(printer, "rotated", marked("rotated", row.rotated_at, said))?;
    field(printer, "rotated to", &row.rotated_to)?;
    field(printer, "permits", scopes::permissions(&row.scopes))?;
    field(printer, "labels", scopes::labels(&row.scopes))?;
    field(printer, "only from", pinned(row))?;
    field(printer, "mfa", row.mfa.map(|mfa| if mfa { "yes" } else { "no" }).unwrap_or_default())?;
    field(printer, "notes", &row.notes)
}

/// Returns the time of a mark, and why, where or by whom it was made: `2026-03-11 08:00:00 UTC: INC-7`.
fn marked(what: &str, at: Option<Timestamp>, said: &[&LifecycleRow]) -> String {
    let Some(at) = at else { return String::new() };
    let last = said.iter().rfind(|said| said.what == what && said.time == at);
    match last.map(|said| said.note.trim()).unwrap_or_default() {
        "" => at.to_words(),
        note => format!("{}: {note}", at.to_words()),
    }
}

fn pinned(row: &Registered) -> String {
    format!("{} {}", joined(&row.countries), joined(&row.networks))
}

fn joined(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Returns a registry row as JSON.
pub(super) fn registered_json(row: &Registered) -> Json {
    let list = |is_empty: bool, list: Json| if is_empty { Json::Null } else { list };
    print::object([
        ("token", json!(row.token)),
        ("name", json!(row.name)),
        ("owner", json!(row.owner)),
        ("issued_at", print::time(row.issued_at)),
        ("expires_at", print::time(row.expires_at)),
        ("revoked_at", print::time(row.revoked_at)),
        ("rotated_to", json!(row.rotated_to)),
        ("rotated_at", print::time(row.rotated_at)),
        ("scopes", list(row.scopes.is_empty(), json!(row.scopes))),
        ("networks", list(row.networks.is_empty(), json!(row.networks))),
        ("countries", list(row.countries.is_empty(), json!(row.countries))),
        ("mfa", json!(row.mfa)),
        ("decoy", json!(row.decoy)),
        ("leaked_at", print::time(row.leaked_at)),
        ("notes", json!(row.notes)),
    ])
}
