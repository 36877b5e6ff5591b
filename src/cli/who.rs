//! `who`: which tokens were used from an address, a network, an operator or a country.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use crate::cli::args::Who as Options;
use crate::cli::grouped::label_of;
use crate::cli::history::{counted, facet_json, plural, seen, shown};
use crate::cli::tokens::{style, token_json};
use crate::cli::{Context, print, state, table, when};
use crate::clock::now;
use crate::engine::ledger::{Facet, Span};
use crate::engine::time::Timestamp;
use crate::store::{FACET_LIMIT, FacetRow, TokenState, TokenSummary, Visitor, Whence, Window};

/// The most tokens that are looked up; those used there last.
const MOST: u32 = 20_000;

/// The tokens of one principal that were used there: it may have a new JWT every hour.
struct Group {
    /// The one used there last.
    token: TokenSummary,
    n_tokens: u64,
    /// Values from which they were used.
    values: BTreeMap<SmolStr, Span>,
    span: Span,
}

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let now = now();
    let (since, until) = when::window(options.since.as_deref(), options.until.as_deref(), now)?;
    let (whence, window) = (options.whence, Window::new(since, until));
    let found = state::reader(&context.site)?.visitors(whence, window, MOST, now)?;
    let mut groups = grouped(found.visitors);
    let (n_groups, limit) = (groups.len(), usize::try_from(options.limit)?);
    groups.truncate(limit);
    let printer = &mut context.printer;
    if printer.is_json() {
        groups.iter().try_for_each(|group| printer.json(&group.json(whence)))?;
    } else if n_groups == 0 {
        printer.line("no known token was used from there")?;
    } else {
        printer.line(drawn(whence, &groups, now))?;
        if since.or(until).is_some() {
            printer.line(
                "used from there in that period, or before and after it; counts are for all time",
            )?;
        }
    }
    if n_groups > limit {
        let [shown, all] = [limit, n_groups].map(|n| print::number(n as u64));
        print::say(format_args!("{shown} of {all} shown; -n for more"));
    }
    if found.n_folded > 0 {
        let (tokens, kept) = (print::counted(found.n_folded as u64, "token"), FACET_LIMIT);
        let values = plural(whence.facet());
        print::say(format_args!("of {tokens} only the latest {kept} or more {values} are known"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Joins the tokens of each principal, in the order of their last use.
fn grouped(visitors: Vec<Visitor>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: BTreeMap<SmolStr, usize> = BTreeMap::new();
    for visitor in visitors {
        let at = *known.entry(visitor.token.principal.clone()).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.add(&visitor),
            None => groups.push(Group::of(visitor)),
        }
    }
    groups
}

impl Group {
    fn of(Visitor { token, values, span }: Visitor) -> Self {
        let values = values.into_iter().map(|row| (row.value, row.span)).collect();
        Self { token, n_tokens: 1, values, span }
    }

    fn add(&mut self, visitor: &Visitor) {
        self.n_tokens += 1;
        self.span = self.span.and(visitor.span);
        for FacetRow { value, span } in &visitor.values {
            let sum = self.values.entry(value.clone()).or_insert(Span { count: 0, ..*span });
            *sum = sum.and(*span);
        }
    }

    /// Returns the values, most used first.
    fn rows(&self) -> Vec<FacetRow> {
        let rows =
            self.values.iter().map(|(value, span)| FacetRow { value: value.clone(), span: *span });
        let mut rows: Vec<FacetRow> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.span.count));
        rows
    }

    /// Returns the last token, and what its principal's tokens did there.
    fn json(&self, whence: Whence) -> Json {
        let mut of_token = token_json(&self.token);
        let mut own = |name: &str| of_token.get_mut(name).map(Json::take).unwrap_or_default();
        let from = self.rows();
        let from: Vec<Json> = from.iter().map(|row| facet_json(whence.facet(), row)).collect();
        json!({
            "token": own("token"), "principal": own("principal"), "state": own("state"),
            "tokens": self.n_tokens, "requests": self.span.count,
            "first_seen": self.span.first.to_string(), "last_seen": self.span.last.to_string(),
            "from": from,
        })
    }
}

/// Draws a table; requests and times are those from there.
fn drawn(whence: Whence, groups: &[Group], now: Timestamp) -> String {
    let mut table =
        table::table(&["state", "token", "from", "requests", "first seen", "last seen"]);
    for group in groups {
        let from = match group.rows().as_slice() {
            [one] => shown(whence.facet(), &one.value),
            several if whence.facet() == Facet::Address => {
                counted(several.len() as u64, Facet::Address)
            }
            several => print::counted(several.len() as u64, "name"),
        };
        let Span { first, last, count } = group.span;
        table.add_row([
            group.token.state.as_str().to_owned(),
            label_of(&group.token, group.n_tokens),
            from,
            print::number(count),
            seen(first, now),
            seen(last, now),
        ]);
    }
    table::coloured(&table, |word| TokenState::parse(word).map(style))
}
