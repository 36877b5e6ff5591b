//! `alerts`: what was told and why, what people said of it, and what they want to hear no more of.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value as Json, json};

use crate::cli::advice::{self, Place};
use crate::cli::args::{Alerts, AlertsAck, AlertsList, AlertsMute, Global};
use crate::cli::exit::usage;
use crate::cli::history::incident_json;
use crate::cli::print::{self, Printer};
use crate::cli::tokens::field;
use crate::cli::{Context, state, table, when};
use crate::clock::now;
use crate::deliver::stdout::alert_json;
use crate::engine::alert::{Alert, Level};
use crate::engine::line::StreamId;
use crate::engine::mute::Mute;
use crate::engine::time::Timestamp;
use crate::engine::usage::Origin;
use crate::source::journal::UnitWatch;
use crate::store::{Ack, AlertFilter, Found, Reader, StoredAlert, StoredIncident, Verdict, Who};

/// Narrower terminals get a table of fewer columns.
const NARROW: u16 = 110;

/// How much of an alert's id a table shows: enough to name one among millions, `al_` and 10 digits.
const SHORT_ID: usize = 13;

pub(super) fn run(context: &mut Context, options: &Alerts) -> anyhow::Result<ExitCode> {
    match options {
        Alerts::List(options) => list(context, options),
        Alerts::Show { id } => show(context, id),
        Alerts::Ack(options) => ack(context, options),
        Alerts::Mute(options) => mute(context, options),
        Alerts::Unmute { id } => unmute(context, *id),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(context: &mut Context, options: &AlertsList) -> anyhow::Result<()> {
    let now = now();
    let time =
        |text: &Option<String>| text.as_deref().map(|text| when::instant(text, now)).transpose();
    let mut filter = AlertFilter {
        since: time(&options.since)?,
        until: time(&options.until)?,
        level: options.level.unwrap_or_default(),
        rule: options.rule.clone(),
        only_unacked: options.open,
        limit: Some(options.limit),
        ..AlertFilter::default()
    };
    let reader = state::reader(&context.site)?;
    if let Some(name) = &options.principal {
        state::refuse_secret(name)?;
        match reader.resolve(name)? {
            Found::One(Who::Token(id)) => filter.token = Some(id),
            _ => filter.principal = Some(name.clone()),
        }
    }
    let alerts = reader.alerts(&filter)?;
    let printer = &mut context.printer;
    if printer.is_json() {
        let paths = state::paths(&reader)?;
        return Ok(alerts
            .iter()
            .try_for_each(|alert| printer.json(&stored_json(alert, &paths)))?);
    }
    if alerts.is_empty() {
        return Ok(printer.line("no alerts")?);
    }
    let drawn = if table::width() < NARROW { narrow(&alerts, now) } else { wide(&alerts) };
    printer.line(table::coloured(&drawn, |word| Level::parse(word).map(print::style)))?;
    if u32::try_from(alerts.len()).is_ok_and(|n| options.limit <= n) {
        writeln!(anstream::stderr(), "{} shown; -n for more", options.limit)?;
    }
    Ok(())
}

fn wide(alerts: &[StoredAlert]) -> comfy_table::Table {
    let mut table =
        table::table(&["level", "time", "principal", "rule", "why", "where", "said", "id"]);
    for stored in alerts {
        let alert = &stored.alert;
        table.add_row([
            alert.rule.level.as_str().to_owned(),
            print::minute(alert.time),
            print::safe(&alert.principal),
            print::safe(&alert.rule.name),
            print::safe(&alert.reason),
            print::safe(place(alert)),
            said(stored),
            short(&alert.id),
        ]);
    }
    table
}

fn narrow(alerts: &[StoredAlert], now: Timestamp) -> comfy_table::Table {
    let mut table = table::table(&["level", "time", "what", "id"]);
    for stored in alerts {
        let alert = &stored.alert;
        let what = format!("{}: {} {}", alert.principal, alert.rule.name, said(stored));
        table.add_row([
            alert.rule.level.as_str().to_owned(),
            print::ago(alert.time, now),
            print::safe(what.trim()),
            short(&alert.id),
        ]);
    }
    table
}

fn short(id: &str) -> String {
    print::safe(id.chars().take(SHORT_ID).collect::<String>())
}

/// Returns where a client was: country and address, in as few words as a table has room for.
fn place(alert: &Alert) -> String {
    let country = alert.place.country.map(|country| country.to_string());
    let client = alert.client.map(|client| client.to_string());
    country.into_iter().chain(client).collect::<Vec<_>>().join(" ")
}

/// Returns what people have to say of an alert, in a word or two.
fn said(stored: &StoredAlert) -> String {
    let verdict = stored.ack.as_ref().map(|ack| ack.verdict.as_str());
    let muted = stored.is_muted.then_some("muted");
    verdict.into_iter().chain(muted).collect::<Vec<_>>().join(", ")
}

fn stored_json(stored: &StoredAlert, paths: &BTreeMap<StreamId, String>) -> Json {
    let mut json = alert_json(&stored.alert, &|stream| paths.get(&stream).cloned());
    if let Some(fields) = json.as_object_mut() {
        fields.insert("ack".to_owned(), ack_json(stored.ack.as_ref()));
        fields.insert("muted".to_owned(), json!(stored.is_muted));
    }
    json
}

fn ack_json(ack: Option<&Ack>) -> Json {
    ack.map_or(Json::Null, |ack| {
        print::object([
            ("id", json!(ack.subject)),
            ("verdict", json!(ack.verdict.as_str())),
            ("note", json!(ack.note)),
            ("@timestamp", print::time(ack.at)),
        ])
    })
}

/// What an id of an alert or an incident stands for.
enum Subject {
    Alert(Box<StoredAlert>),
    Incident(StoredIncident),
}

fn find(reader: &Reader, id: &str) -> anyhow::Result<Subject> {
    if id.is_empty() {
        return Err(usage("the id is empty: `tokenwatch alerts list` shows ids"));
    }
    let ids = match (reader.alert(id)?, reader.incident(id)?) {
        (Found::One(alert), Found::None) => return Ok(Subject::Alert(Box::new(alert))),
        (Found::None, Found::One(incident)) => return Ok(Subject::Incident(incident)),
        (Found::None, Found::None) => bail!(
            "no alert or incident has the id \"{}\": `tokenwatch alerts list` shows ids",
            print::safe(id)
        ),
        (alerts, incidents) => {
            let alerts = several(alerts).into_iter().map(|stored| stored.alert.id);
            let incidents = several(incidents).into_iter().map(|stored| stored.incident.id);
            alerts.chain(incidents).map(print::safe).collect::<Vec<_>>()
        }
    };
    bail!("{} may mean {}: give more of it", print::safe(id), ids.join(", "))
}

fn several<T>(found: Found<T>) -> Vec<T> {
    match found {
        Found::One(one) => vec![one],
        Found::Many(many) => many,
        Found::None => Vec::new(),
    }
}

fn show(context: &mut Context, id: &str) -> anyhow::Result<()> {
    let reader = state::reader(&context.site)?;
    let subject = find(&reader, id)?;
    let paths = state::paths(&reader)?;
    let printer = &mut context.printer;
    match subject {
        Subject::Alert(stored) if printer.is_json() => {
            printer.json(&shown_json(&stored, &paths))?;
        }
        Subject::Alert(stored) => show_alert(printer, &stored, &paths, &context.global)?,
        Subject::Incident(stored) if printer.is_json() => {
            let mut json = incident_json(&stored.incident);
            if let Some(fields) = json.as_object_mut() {
                let alerts = stored.alerts.iter().map(|stored| shown_json(stored, &paths));
                fields.insert("alerts".to_owned(), alerts.collect());
                fields.insert("ack".to_owned(), ack_json(stored.ack.as_ref()));
            }
            printer.json(&json)?;
        }
        Subject::Incident(stored) => show_incident(printer, &stored, &paths, &context.global)?,
    }
    Ok(())
}

/// An alert with what else it rests on: the weight of each reason, the request.
fn shown_json(stored: &StoredAlert, paths: &BTreeMap<StreamId, String>) -> Json {
    let alert = &stored.alert;
    let mut json = stored_json(stored, paths);
    let more = print::object([
        ("reasons", json!(alert.reasons)),
        (
            "user_agent",
            print::object([
                ("name", json!(alert.agent.family)),
                ("version", json!(alert.agent.version)),
            ]),
        ),
        ("route", json!(alert.route)),
        (
            "http",
            print::object([("response", print::object([("status_code", json!(alert.status))]))]),
        ),
    ]);
    if let (Some(fields), Json::Object(more)) = (json.as_object_mut(), more) {
        fields.extend(more);
    }
    json
}

fn show_incident(
    printer: &mut Printer,
    stored: &StoredIncident,
    paths: &BTreeMap<StreamId, String>,
    global: &Global,
) -> anyhow::Result<()> {
    let incident = &stored.incident;
    let level = print::level(incident.level, 0);
    let name = print::bold(format_args!("incident {}", print::Safe(&incident.id)));
    printer.line(format_args!("{level}  {name}"))?;
    field(printer, "principal", &incident.principal)?;
    field(printer, "opened", incident.opened.to_string())?;
    field(printer, "last", incident.last.to_string())?;
    field(printer, "alerts", incident.alerts.to_string())?;
    show_ack(printer, stored.ack.as_ref())?;
    for alert in &stored.alerts {
        printer.line("")?;
        show_alert(printer, alert, paths, global)?;
    }
    Ok(())
}

fn show_alert(
    printer: &mut Printer,
    stored: &StoredAlert,
    paths: &BTreeMap<StreamId, String>,
    global: &Global,
) -> anyhow::Result<()> {
    let alert = &stored.alert;
    let (rule, title) = (print::safe(&alert.rule.name), print::safe(&alert.rule.title));
    let level = print::level(alert.rule.level, 0);
    printer.line(format_args!("{level}  {}  {title}", print::bold(rule)))?;
    field(printer, "alert", format!("{} of incident {}", alert.id, alert.incident))?;
    field(printer, "time", alert.time.to_string())?;
    if let Some(token) = &alert.token {
        let id = token.id.to_string();
        field(printer, "token", [token.name.as_str(), &id, &token.kind, &token.hint].join(" "))?;
    }
    field(printer, "principal", &alert.principal)?;
    field(printer, "client", client(alert))?;
    let agent = [alert.agent.family.as_str(), &alert.agent.version].join(" ");
    field(printer, "with", agent)?;
    let status = alert.status.map(|status| format!(" -> {status}")).unwrap_or_default();
    field(printer, "request", format!("{}{status}", alert.route))?;
    field(printer, "why", &alert.reason)?;
    field(printer, "risk", format!("{} of 100", alert.risk))?;
    show_ack(printer, stored.ack.as_ref())?;
    field(printer, "muted", if stored.is_muted { "yes" } else { "" })?;
    show_reasons(printer, alert)?;
    show_facts(printer, alert)?;
    for origin in &alert.evidence {
        let path = paths.get(&origin.stream).map_or("(file unknown)", String::as_str);
        field(printer, "evidence", format!("{path}:{}", origin.offset))?;
    }
    Ok(field(printer, "look", look(alert, paths, global).unwrap_or_default())?)
}

/// Returns the command that shows the first line of the evidence; the journal has no offsets.
fn look(alert: &Alert, paths: &BTreeMap<StreamId, String>, global: &Global) -> Option<String> {
    let in_file = |origin: &Origin| {
        let path = Path::new(paths.get(&origin.stream)?);
        let place = Place::Offset(origin.offset);
        UnitWatch::named(path).is_none().then(|| advice::explain(global, path, &place))
    };
    alert.evidence.iter().find_map(in_file)
}

/// Returns all that is known of where a client was.
fn client(alert: &Alert) -> String {
    let place = &alert.place;
    let where_to =
        [place.city.to_string(), place.country.map(|c| c.to_string()).unwrap_or_default()];
    let number = place.asn.map(|asn| format!("AS{asn}")).unwrap_or_default();
    let network = [number, place.organization.to_string()];
    let words = |words: &[String]| {
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    };
    let client = alert.client.map(|client| client.to_string()).unwrap_or_default();
    let parts = [client, words(&where_to), words(&network)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn show_ack(printer: &mut Printer, ack: Option<&Ack>) -> std::io::Result<()> {
    let Some(ack) = ack else { return Ok(()) };
    let note = if ack.note.is_empty() { String::new() } else { format!(": {}", ack.note) };
    field(printer, "said", format!("{} on {}{note}", ack.verdict.as_str(), print::minute(ack.at)))
}

/// Shows the arithmetic: each reason with its weight, and their sum.
fn show_reasons(printer: &mut Printer, alert: &Alert) -> std::io::Result<()> {
    if alert.reasons.is_empty() {
        return Ok(());
    }
    let sum: f32 = alert.reasons.iter().map(|reason| reason.nats).sum();
    let heading = if sum == 0.0 { "reasons" } else { "evidence in nats" };
    printer.line(format_args!("  {}", print::bold(heading)))?;
    for reason in &alert.reasons {
        let weight = if reason.nats == 0.0 { String::new() } else { format!("{:.2}", reason.nats) };
        let kind = if reason.kind == alert.rule.name {
            String::new()
        } else {
            format!(" ({})", reason.kind)
        };
        let text = print::safe(format!("{}{kind}", reason.text));
        printer.line(format_args!("    {weight:>6}  {text}"))?;
    }
    if sum == 0.0 {
        return Ok(());
    }
    printer.line(format_args!("    {sum:>6.2}  in all"))
}

fn show_facts(printer: &mut Printer, alert: &Alert) -> std::io::Result<()> {
    if alert.facts.is_empty() {
        return Ok(());
    }
    let mut table = table::table(&["  fact", "measured", "usual"]);
    for (name, value) in &alert.facts {
        let usual = alert.usual.get(name).map(|usual| print::safe(usual.to_string()));
        let name = format!("  {}", print::Safe(name));
        table.add_row([name, print::safe(value.to_string()), usual.unwrap_or_default()]);
    }
    printer.line(table::coloured(&table, |_| None))
}

fn ack(context: &mut Context, options: &AlertsAck) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    let id = match find(&state::reader(site)?, &options.id)? {
        Subject::Alert(stored) => stored.alert.id,
        Subject::Incident(stored) => stored.incident.id,
    };
    let verdict = if options.confirmed { Verdict::Confirmed } else { Verdict::Expected };
    let ack = Ack { subject: id, verdict, note: options.note.clone(), at: now() };
    site.store()?.ack(&ack)?;
    if printer.is_json() {
        return Ok(printer.json(&ack_json(Some(&ack)))?);
    }
    Ok(printer.line(format_args!("{}: {}", print::Safe(&ack.subject), verdict.as_str()))?)
}

fn mute(context: &mut Context, options: &AlertsMute) -> anyhow::Result<()> {
    let now = now();
    if options.rule.is_none() && options.principal.is_none() {
        if options.lasting.is_some() || options.reason.is_some() {
            return Err(usage("a mute of everything is none: give --rule, --principal or both"));
        }
        return list_mutes(context, now);
    }
    let Context { site, printer, .. } = context;
    let Some(reason) = options.reason.clone().filter(|reason| !reason.trim().is_empty()) else {
        let why = "a mute needs --reason, for those who will wonder why nobody was told";
        return Err(usage(why));
    };
    if let Some(rule) = &options.rule
        && !site.rules()?.0.rules().iter().any(|known| known.head.name == *rule)
    {
        let rule = print::safe(rule);
        let why = format!("no rule is named \"{rule}\": `tokenwatch rules list` shows all");
        return Err(usage(why));
    }
    let until = options.lasting.as_deref().map(when::duration).transpose()?;
    let mut store = site.store()?;
    let principal = match &options.principal {
        Some(name) => state::principal(&store, name, now)?,
        None => Default::default(),
    };
    let mute = Mute {
        id: 0,
        rule: options.rule.clone().unwrap_or_default(),
        principal,
        reason,
        since: now,
        until: until.map(|lasting| now.plus(lasting)),
    };
    let id = store.mute(&mute)?;
    let mute = Mute { id, ..mute };
    if printer.is_json() {
        return Ok(printer.json(&mute_json(&mute, now))?);
    }
    let end = mute
        .until
        .map_or_else(|| "for good".to_owned(), |end| format!("until {}", print::minute(end)));
    Ok(printer
        .line(format_args!("mute {id}: {} {end}; `alerts unmute {id}` ends it", covered(&mute)))?)
}

fn covered(mute: &Mute) -> String {
    let rule = if mute.rule.is_empty() { "every rule" } else { mute.rule.as_str() };
    let whom = if mute.principal.is_empty() { "everybody" } else { mute.principal.as_str() };
    print::safe(format!("{rule} for {whom}"))
}

fn list_mutes(context: &mut Context, now: Timestamp) -> anyhow::Result<()> {
    let mut mutes = state::reader(&context.site)?.mutes()?;
    let printer = &mut context.printer;
    if printer.is_json() {
        return Ok(mutes.iter().try_for_each(|mute| printer.json(&mute_json(mute, now)))?);
    }
    mutes.retain(|mute| is_open(mute, now));
    if mutes.is_empty() {
        return Ok(printer.line("no mutes")?);
    }
    let mut table = table::table(&["id", "what", "reason", "since", "until"]);
    for mute in &mutes {
        let until = mute.until.map_or_else(|| "unmuted".to_owned(), print::minute);
        let since = print::minute(mute.since);
        table.add_row([
            mute.id.to_string(),
            covered(mute),
            print::safe(&mute.reason),
            since,
            until,
        ]);
    }
    Ok(printer.line(table::coloured(&table, |_| None))?)
}

fn is_open(mute: &Mute, now: Timestamp) -> bool {
    mute.until.is_none_or(|until| now < until)
}

fn mute_json(mute: &Mute, now: Timestamp) -> Json {
    print::object([
        ("id", json!(mute.id)),
        ("rule", json!(mute.rule)),
        ("principal", json!(mute.principal)),
        ("reason", json!(mute.reason)),
        ("since", print::time(mute.since)),
        ("until", print::time(mute.until)),
        ("open", json!(is_open(mute, now))),
    ])
}

fn unmute(context: &mut Context, id: i64) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    state::reader(site)?;
    if !site.store()?.unmute(id)? {
        bail!("there is no mute {id}: `tokenwatch alerts mute` lists them");
    }
    if printer.is_json() {
        return Ok(printer.json(&json!({"id": id, "open": false}))?);
    }
    Ok(printer.line(format_args!("mute {id} is gone"))?)
}
