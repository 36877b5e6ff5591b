//! `who`: which tokens were used from an address, a network, an operator or a country.

use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::cli::args::Who as Options;
use crate::cli::history::{facet_json, shown};
use crate::cli::print;
use crate::cli::tokens::{label, style, token_json};
use crate::cli::{Context, state, table, when};
use crate::clock::now;
use crate::engine::ledger::Facet;
use crate::engine::time::Timestamp;
use crate::store::{TokenState, Visitor, Whence, Window};

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let now = now();
    let (since, until) = when::window(options.since.as_deref(), options.until.as_deref(), now)?;
    let reader = state::reader(&context.site)?;
    let visitors =
        reader.visitors(options.whence, Window::new(since, until), options.limit, now)?;
    let printer = &mut context.printer;
    if printer.is_json() {
        visitors.iter().try_for_each(|one| printer.json(&visitor_json(options.whence, one)))?;
    } else if visitors.is_empty() {
        printer.line("no token was used from there")?;
    } else {
        printer.line(drawn(options.whence, &visitors, now))?;
        if since.or(until).is_some() {
            printer.line("seen in that period; request counts are for all time")?;
        }
    }
    print::say_limit(visitors.len(), options.limit);
    Ok(ExitCode::SUCCESS)
}

/// Draws a table; requests and times are those from there.
fn drawn(whence: Whence, visitors: &[Visitor], now: Timestamp) -> String {
    let mut table =
        table::table(&["state", "token", "from", "requests", "first seen", "last seen"]);
    for Visitor { token, values, span } in visitors {
        let from = match values.as_slice() {
            [one] => shown(whence.facet(), &one.value),
            several if whence.facet() == Facet::Address => format!("{} addresses", several.len()),
            several => print::counted(several.len() as u64, "name"),
        };
        table.add_row([
            token.state.as_str().to_owned(),
            label(token),
            from,
            print::number(span.count),
            print::ago(span.first, now),
            print::ago(span.last, now),
        ]);
    }
    table::coloured(&table, |word| TokenState::parse(word).map(style))
}

/// Returns the fields of a token, with the values from which it was used under `from`.
fn visitor_json(whence: Whence, Visitor { token, values, .. }: &Visitor) -> Json {
    let mut json = token_json(token);
    let from: Vec<Json> = values.iter().map(|row| facet_json(whence.facet(), row)).collect();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("from".to_owned(), json!(from));
    }
    json
}
