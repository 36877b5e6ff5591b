//! `history`: what a token did since its first use.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::cli::args::History as Options;
use crate::cli::print::{self, Printer};
use crate::cli::tokens::{self, token_json};
use crate::cli::{Context, state, table, when};
use crate::clock::now;
use crate::engine::alert::Incident;
use crate::engine::ledger::{Activity, Facet, read_address};
use crate::engine::time::{DAY, HOUR, Timestamp};
use crate::store::{FacetRow, History, HourRow, LifecycleRow, TokenSummary, Who};

/// Rows shown of each table; JSON has all of them.
const MOST: usize = 20;

/// Values seen, by facet.
type Facets = BTreeMap<Facet, Vec<FacetRow>>;

/// Columns before a sparkline on narrow terminals.
const MARGIN: u16 = 4;

/// The longest sparkline.
const LONGEST: u16 = 72;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let now = now();
    let (since, until) = when::window(options.since.as_deref(), options.until.as_deref(), now)?;
    let reader = state::reader(&context.site)?;
    let mut who = state::known(&context.site, &reader, &options.token)?;
    if options.principal {
        who = state::principal_of(&reader, who, now)?;
    }
    let history = reader.history(&who, since, until, now)?;
    let printer = &mut context.printer;
    if printer.is_json() {
        // The facets of several tokens are counted over all time, like their requests.
        let whole = since.or(until).map(|_| reader.history(&who, None, None, now)).transpose()?;
        let facets = &whole.as_ref().unwrap_or(&history).facets;
        printer.json(&history_json(&who, &history, facets))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_tokens(printer, &who, &history, now)?;
    print_hours(printer, &history.hours)?;
    if since.or(until).is_some() && history.facets.values().any(|rows| !rows.is_empty()) {
        printer.line("")?;
        printer
            .line("seen in that period; request counts and the summary above are for all time:")?;
    }
    print_facets(printer, &history, now)?;
    print_incidents(printer, &history.incidents)?;
    print_lifecycle(printer, &history.lifecycle)?;
    Ok(ExitCode::SUCCESS)
}

fn print_tokens(
    printer: &mut Printer,
    who: &Who,
    history: &History,
    now: Timestamp,
) -> anyhow::Result<()> {
    match history.tokens.as_slice() {
        [] => printer.line(print::bold(print::Safe(state::name(who))))?,
        [token] => tokens::head(printer, token, now)?,
        several => {
            let sum = sum(several);
            let n_tokens = print::counted(several.len() as u64, "token");
            let requests = print::counted(sum.requests, "request");
            let name = print::bold(print::safe(state::name(who)));
            printer.line(format_args!("{name}: {n_tokens}, {requests}"))?;
            let shown = several.get(..MOST).unwrap_or(several);
            printer.line(tokens::drawn(shown, now))?;
            more(printer, several.len())?;
        }
    }
    Ok(())
}

/// Adds up the activity of tokens.
fn sum(tokens: &[TokenSummary]) -> Activity {
    tokens.iter().fold(Activity::default(), |sum, token| sum.and(token.activity))
}

fn print_hours(printer: &mut Printer, hours: &[HourRow]) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return Ok(()) };
    let width = usize::from(table::width().saturating_sub(MARGIN).clamp(1, LONGEST));
    let (unit, counts) = buckets(hours, width);
    let most = print::number(counts.iter().copied().max().unwrap_or_default());
    let (from, to) = (print::minute(first.hour), print::minute(last.hour.plus(HOUR)));
    printer.line("")?;
    printer.line(print::bold(format_args!("requests {}", unit_name(unit))))?;
    printer.line(format_args!("  {}", print::sparkline(&counts)))?;
    printer.line(format_args!("  {from} to {to}, at most {most}"))?;
    Ok(())
}

/// Adds up requests by hour, by day, or by as many days as leave at most `most` sums. Returns the unit too.
fn buckets(hours: &[HourRow], most: usize) -> (i64, Vec<u64>) {
    let at = |unit: i64, row: &HourRow| row.hour.0.div_euclid(unit);
    let span = |unit| match (hours.first(), hours.last()) {
        (Some(first), Some(last)) => {
            usize::try_from(at(unit, last) - at(unit, first)).unwrap_or(0) + 1
        }
        _ => 0,
    };
    let mut unit = HOUR;
    while most.max(1) < span(unit) {
        unit = match unit {
            HOUR => DAY,
            DAY => 7 * DAY,
            longer => longer.saturating_mul(2),
        };
    }
    let mut counts = vec![0_u64; span(unit)];
    for row in hours {
        let index = hours.first().map(|first| at(unit, row) - at(unit, first));
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(count) = index.and_then(|index| counts.get_mut(index)) {
            *count = count.saturating_add(row.activity.requests);
        }
    }
    (unit, counts)
}

fn unit_name(unit: i64) -> String {
    match unit {
        HOUR => "per hour".to_owned(),
        DAY => "per day".to_owned(),
        weeks if weeks == 7 * DAY => "per week".to_owned(),
        weeks => format!("per {} weeks", weeks / (7 * DAY)),
    }
}

/// Returns the name of several values of a facet.
pub(super) const fn plural(facet: Facet) -> &'static str {
    match facet {
        Facet::Address => "addresses",
        Facet::Network => "networks",
        Facet::Country => "countries",
        Facet::Client => "clients",
        Facet::Route => "routes",
    }
}

/// Returns how many values of a facet there are: `1 address`, `2 addresses`.
pub(super) fn counted(n_values: u64, facet: Facet) -> String {
    print::counted_as(n_values, facet.as_str(), plural(facet))
}

fn print_facets(printer: &mut Printer, history: &History, now: Timestamp) -> anyhow::Result<()> {
    for (facet, rows) in &history.facets {
        if rows.is_empty() {
            continue;
        }
        // A narrow one has no room for dates.
        let (times, seen): (&[_], fn(_, _) -> _) = match table::is_narrow() {
            true => (&["first", "last seen"], print::ago),
            false => (&["first seen", "last seen"], seen),
        };
        let mut table = table::table(&[&[plural(*facet), "requests"], times].concat());
        for FacetRow { value, span } in rows.iter().take(MOST) {
            let value = shown(*facet, value);
            let [first, last] = [span.first, span.last].map(|time| seen(time, now));
            table.add_row([value, print::number(span.count), first, last]);
        }
        printer.line("")?;
        printer.line(table::coloured(&table, |_| None))?;
        more(printer, rows.len())?;
    }
    Ok(())
}

/// Returns a value of a facet for people.
pub(super) fn shown(facet: Facet, value: &str) -> String {
    match facet {
        _ if value.is_empty() => "(others)".to_owned(),
        Facet::Address => match read_address(value) {
            (address, true) => format!("{} (forgeable)", print::safe(address)),
            (address, false) => print::safe(address),
        },
        _ => print::safe(value),
    }
}

/// Returns a time as a date and as an age.
pub(super) fn seen(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", print::minute(time), print::ago(time, now))
}

fn more(printer: &mut Printer, n_rows: usize) -> std::io::Result<()> {
    match n_rows.saturating_sub(MOST) {
        0 => Ok(()),
        more => {
            let more = print::number(more as u64);
            printer.line(format_args!(" and {more} more, which --json shows"))
        }
    }
}

fn print_incidents(printer: &mut Printer, incidents: &[Incident]) -> anyhow::Result<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    printer.line("")?;
    printer.line(print::bold("incidents"))?;
    for incident in incidents {
        let level = print::level(incident.level, 8);
        let opened = print::minute(incident.opened);
        let (id, alerts) = (print::safe(&incident.id), print::counted(incident.alerts, "alert"));
        printer.line(format_args!("  {opened}  {level} {id}, {alerts}"))?;
    }
    Ok(())
}

fn print_lifecycle(printer: &mut Printer, lifecycle: &[LifecycleRow]) -> anyhow::Result<()> {
    if lifecycle.is_empty() {
        return Ok(());
    }
    printer.line("")?;
    printer.line(print::bold("lifecycle"))?;
    for row in lifecycle {
        let said = print::minute(row.noted);
        printer.line(format_args!("  {said}  {}", print::safe(word(row))))?;
    }
    Ok(())
}

/// Returns a row in words: `leaked ci, as of 2026-03-01 00:00:00 UTC, taken back 2026-03-02 09:00:00 UTC: in a gist`.
fn word(row: &LifecycleRow) -> String {
    let mut text = format!("{} {}", row.what, row.name).trim().to_owned();
    if row.time != row.noted {
        text += &format!(", as of {}", row.time.to_words());
    }
    if let Some(time) = row.taken_back {
        text += &format!(", taken back {}", time.to_words());
    }
    let note = row.note.trim();
    if note.is_empty() { text } else { format!("{text}: {note}") }
}

fn history_json(who: &Who, history: &History, facets: &Facets) -> Json {
    let mut json = match history.tokens.as_slice() {
        [token] => token_json(token),
        tokens => sum_json(who, tokens, facets),
    };
    let hours = history.hours.iter().map(|row| {
        let Activity { requests, ok, denied, failed, bytes } = row.activity;
        json!({"hour": row.hour.to_string(), "requests": requests, "ok": ok, "denied": denied,
            "failed": failed, "bytes": bytes})
    });
    let facets = Facet::ALL.into_iter().map(|facet| {
        let rows = history.facets.get(&facet).map(Vec::as_slice).unwrap_or_default();
        (facet.as_str().to_owned(), rows.iter().map(|row| facet_json(facet, row)).collect())
    });
    let tail = [
        ("hours", hours.collect()),
        ("facets", Json::Object(facets.collect())),
        ("incidents", history.incidents.iter().map(incident_json).collect()),
        ("lifecycle", history.lifecycle.iter().map(lifecycle_json).collect()),
    ];
    print::extend(&mut json, tail);
    json
}

/// Returns the fields of a principal's tokens: those of the last used one, with counts over all of them, and each token
/// under `tokens`.
fn sum_json(who: &Who, tokens: &[TokenSummary], facets: &Facets) -> Json {
    let Activity { requests, ok, denied, failed, bytes } = sum(tokens);
    let first = tokens.iter().filter_map(|token| token.first_seen).min();
    let distinct = |facet| json!(distinct(facets, facet));
    let mut json = tokens.first().map_or_else(|| json!({}), token_json);
    let all = [
        ("principal", json!(state::name(who))),
        ("requests", json!(requests)),
        ("ok", json!(ok)),
        ("denied", json!(denied)),
        ("failed", json!(failed)),
        ("bytes", json!(bytes)),
        ("countries", distinct(Facet::Country)),
        ("networks", distinct(Facet::Network)),
        ("addresses", distinct(Facet::Address)),
        ("tokens", tokens.iter().map(token_json).collect()),
    ];
    print::extend(&mut json, all);
    print::extend(&mut json, first.map(|first| ("first_seen", print::time(first))));
    json
}

/// Returns how many different values of a facet are known; folded values are not.
pub(super) fn distinct(facets: &Facets, facet: Facet) -> usize {
    let rows = facets.get(&facet).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| !row.value.is_empty()).count()
}

/// Returns a value of a facet as JSON.
pub(super) fn facet_json(facet: Facet, FacetRow { value, span }: &FacetRow) -> Json {
    let (value, is_forgeable) =
        if facet == Facet::Address { read_address(value) } else { (value.as_str(), false) };
    let mut json = json!({"value": value, "first": span.first.to_string(),
        "last": span.last.to_string(), "count": span.count});
    print::extend(&mut json, is_forgeable.then_some(("forgeable", json!(true))));
    json
}

/// Returns an incident as JSON.
pub(super) fn incident_json(incident: &Incident) -> Json {
    json!({"id": incident.id, "principal": incident.principal, "opened": incident.opened.to_string(),
        "last": incident.last.to_string(), "level": incident.level, "alerts": incident.alerts})
}

/// Returns a change in the registry as JSON.
pub(super) fn lifecycle_json(row: &LifecycleRow) -> Json {
    print::object([
        ("@timestamp", print::time(row.time)),
        ("what", json!(row.what)),
        ("token", print::object([("id", json!(row.token)), ("name", json!(row.name))])),
        ("note", json!(row.note)),
        ("noted", print::time(row.noted)),
        ("taken_back", print::time(row.taken_back)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ledger::Span;

    fn row(hour: i64, requests: u64) -> HourRow {
        let activity = Activity { requests, ..Activity::default() };
        HourRow { hour: Timestamp(hour * HOUR), activity }
    }

    #[test]
    fn what_was_folded_away_counted_as_one_value_more() {
        let span = Span::once(Timestamp(0));
        let rows = ["DE", "NG", ""].map(|value| FacetRow { value: value.into(), span }).to_vec();
        let facets = Facets::from([(Facet::Country, rows)]);
        assert_eq!([Facet::Country, Facet::Network].map(|of| distinct(&facets, of)), [2, 0]);
    }

    #[test]
    fn the_unit_grows_until_the_line_fits() {
        assert_eq!(buckets(&[], 5), (HOUR, vec![]));
        assert_eq!(buckets(&[row(7, 1)], 5), (HOUR, vec![1]));
        assert_eq!(buckets(&[row(7, 1), row(11, 2)], 5), (HOUR, vec![1, 0, 0, 0, 2]));
        assert_eq!(buckets(&[row(7, 1), row(12, 2), row(24, 4)], 5), (DAY, vec![3, 4]));
        assert_eq!(buckets(&[row(0, 1), row(24 * 30, 2)], 5), (7 * DAY, vec![1, 0, 0, 0, 2]));
        let ages = [row(-24 * 365_000, 1), row(24 * 365_000, u64::MAX), row(24 * 365_000, 1)];
        let (unit, counts) = buckets(&ages, 5);
        assert!(counts.len() <= 5, "{unit}");
        assert_eq!(counts.last(), Some(&u64::MAX));
    }
}
