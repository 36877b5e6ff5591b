//! `alerts mute` and `alerts unmute`: which alerts people do not want to receive, for how long, and why.

use serde_json::{Value as Json, json};

use crate::cli::args::AlertsMute;
use crate::cli::exit::usage;
use crate::cli::print;
use crate::cli::{Context, state, table, when};
use crate::clock::now;
use crate::daemon::site::Site;
use crate::engine::alert::Level;
use crate::engine::detect::nearest;
use crate::engine::mute::{Mute, Scope};
use crate::engine::time::{DAY, Timestamp};

/// The default duration of a mute: long enough for a journey, short enough to be reconsidered.
const LASTING: i64 = 30 * DAY;

pub(super) fn run(context: &mut Context, options: &AlertsMute) -> anyhow::Result<()> {
    let now = now();
    let mut scope = Scope {
        rule: options.rule.clone().unwrap_or_default(),
        principal: options.principal.clone().unwrap_or_default(),
        network: options.network,
        country: options.country,
        client: options.client.clone().unwrap_or_default(),
        route: options.route.clone().unwrap_or_default(),
    };
    if scope.is_everything() {
        if options.lasting.is_some() || options.reason.is_some() || options.forever {
            let scopes = "--rule, --principal, --network, --country, --client, --route";
            return Err(usage(format!(
                "refusing to mute everything: give at least one of {scopes}"
            )));
        }
        return list(context, now);
    }
    let Context { site, printer, .. } = context;
    let Some(reason) = options.reason.clone().filter(|reason| !reason.trim().is_empty()) else {
        let why = "a mute needs --reason, for those who will wonder why they were not alerted";
        return Err(usage(why));
    };
    refuse_secrets(&scope, &reason)?;
    let hears_critical = check(site, &scope)?;
    let lasting = options.lasting.as_deref().map(when::duration).transpose()?;
    if !scope.principal.is_empty() {
        state::expect_database_for(site, &scope.principal)?;
    }
    let mut store = site.store()?;
    if !scope.principal.is_empty() {
        scope.principal = state::principal(&store, &scope.principal, now)?;
    }
    let until = (!options.forever).then(|| now.plus(lasting.unwrap_or(LASTING)));
    let mute = Mute { scope, reason, since: now, until, ..Mute::default() };
    let id = store.mute(&mute)?;
    let mute = Mute { id, ..mute };
    if printer.is_json() {
        return Ok(printer.json(&mute_json(&mute, now))?);
    }
    let end = mute
        .until
        .map_or_else(|| "without end".to_owned(), |end| format!("until {}", end.to_words()));
    let what = print::safe(mute.scope.to_string());
    printer.line(format_args!("mute {id}: {what} {end}; `alerts unmute {id}` ends it"))?;
    if hears_critical {
        printer
            .line("  critical alerts are still mailed: give --principal to mute those as well")?;
    }
    Ok(())
}

/// Refuses secrets in what is stored as it is; the principal's name is looked up.
fn refuse_secrets(scope: &Scope, reason: &str) -> anyhow::Result<()> {
    let texts = [
        ("reason", reason),
        ("rule", &scope.rule),
        ("client", &scope.client),
        ("route", &scope.route),
    ];
    texts.into_iter().try_for_each(|(what, text)| state::refuse_secret_in(what, text))
}

/// Refuses a scope that can match nothing. Returns whether critical alerts are delivered despite the mute.
fn check(site: &Site, scope: &Scope) -> anyhow::Result<bool> {
    let (rules, _) = site.rules()?;
    let named = |name: &str| scope.rule.is_empty() || scope.rule == name;
    let levels: Vec<Level> = rules
        .rules()
        .iter()
        .filter(|rule| named(&rule.head.name))
        .map(|rule| rule.head.level)
        .collect();
    if levels.is_empty() {
        known_rule(site, &scope.rule)?;
    }
    let rule = print::safe(&scope.rule);
    let is_open = scope.principal.is_empty();
    if is_open && levels.iter().all(|level| *level == Level::Critical) {
        let why = format!("alerts of {rule} are critical: give the --principal to mute them for");
        return Err(usage(why));
    }
    Ok(is_open && levels.contains(&Level::Critical))
}

/// Refuses the name of a rule that is not in force.
pub(super) fn known_rule(site: &Site, name: &str) -> anyhow::Result<()> {
    let (rules, _) = site.rules()?;
    let names: Vec<&str> = rules.rules().iter().map(|rule| rule.head.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let near = nearest(name, names);
    let near = near.map_or_else(|| ":".to_owned(), |near| format!(", did you mean \"{near}\"?"));
    let name = print::safe(name);
    Err(usage(format!("no rule is named \"{name}\"{near} `tokenwatch rules list` shows all")))
}

fn list(context: &mut Context, now: Timestamp) -> anyhow::Result<()> {
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
            print::safe(mute.scope.to_string()),
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
    let Scope { rule, principal, network, country, client, route } = &mute.scope;
    print::object([
        ("id", json!(mute.id)),
        ("rule", json!(rule)),
        ("principal", json!(principal)),
        ("network", json!(network)),
        ("country", json!(country)),
        ("client", json!(client)),
        ("route", json!(route)),
        ("reason", json!(mute.reason)),
        ("since", print::time(mute.since)),
        ("until", print::time(mute.until)),
        ("open", json!(is_open(mute, now))),
    ])
}

pub(super) fn end(context: &mut Context, id: i64, now: Timestamp) -> anyhow::Result<()> {
    let Context { site, printer, .. } = context;
    state::reader(site)?;
    if !site.store()?.unmute(id, now)? {
        let why = format!("no mute {id} is in force: `tokenwatch alerts mute` lists them");
        return Err(usage(why));
    }
    if printer.is_json() {
        return Ok(printer.json(&json!({"id": id, "open": false}))?);
    }
    Ok(printer.line(format_args!("mute {id} has ended"))?)
}
