//! `status`: shows how the daemon is doing: what was read, what is waiting, what is lost.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use crate::atlas::Layer;
use crate::cli::accounting::{Account, unaccounted};
use crate::cli::advice::Place;
use crate::cli::args::{Global, Status as Options};
use crate::cli::health::{Look, Trouble};
use crate::cli::lives::{self, Life, by_log, latest};
use crate::cli::mails::Mails;
use crate::cli::permit::Permit;
use crate::cli::print::{self, Printer};
use crate::cli::unseen::Unseen;
use crate::cli::{Context, advice, exit, health as troubles, state, table};
use crate::clock::now;
use crate::daemon::recovery;
use crate::daemon::site::Site;
use crate::daemon::worker::ROLL;
use crate::engine::commit::HouseRow;
use crate::engine::detect::{Health, rejected_percent};
use crate::engine::health::{Log, Roll};
use crate::engine::house::{House, Threshold};
use crate::engine::line::Tally;
use crate::engine::pulse::WINDOW_MINUTES;
use crate::engine::time::{SECOND, Timestamp};
use crate::engine::visible;
use crate::source::journal;
use crate::store::mend::Damage;
use crate::store::{Holder, Lock, Role, Standstill, Start, Stats, StreamStatus, backed_up};

/// The score from which a new actor on a token used only from hosting networks is mailed at once.
type Rented = f64;

/// What the database contains; all zero without a database.
#[derive(Default)]
struct State {
    is_there: bool,
    streams: Vec<StreamStatus>,
    stats: Stats,
    mails: Mails,
    threshold: Option<(Threshold, Rented)>,
    roll: Roll,
    given_up: Vec<SmolStr>,
    backed_up: Option<Timestamp>,
    backup_failed: Option<Timestamp>,
}

/// Incidents whose mails were given up that are named at most.
const MOST_NAMED: u32 = 3;

/// When the streams are examined, and what they are checked against.
struct At<'a> {
    global: &'a Global,
    health: Health,
    now: Timestamp,
}

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let now = now();
    let state = state_of(context, now)?;
    let layers = context.site.atlas().status();
    // `check` reports faults in the thresholds.
    let health = context.site.params().map(|params| params.health).unwrap_or_default();
    let lives = lives::look(&state.streams);
    let holder = Lock::holder(&context.site.state);
    let unseen = Unseen::of(&context.site, &lives, &Permit::of(&context.site.state, holder));
    let database = context.site.database();
    let look = Look {
        lives: &lives,
        blocked: is_blocked(&context.site, holder).then_some(&*database),
        unseen: &unseen,
        roll: &state.roll,
        outbox: context.site.config.mail.as_ref().map(|_| &state.stats.outbox),
        given_up: &state.given_up,
        global: &context.global,
        layers: &layers,
        params: &health,
        now,
    };
    let lost = Damage::last(&database, now);
    let lost = lost.map(|damage| troubles::lost(&database, recovery::told(&damage, &database)));
    let backup = troubles::backup(&database, state.backed_up, state.backup_failed, now);
    let is_running = matches!(holder, Some(Holder::Process(_, Role::Daemon)));
    let absent = absent(&context.site, &state, is_running);
    let is_new = !state.is_there && absent.is_none();
    let faulty = context.faulty.as_deref().map(troubles::misconfigured);
    let found = faulty.into_iter().chain(absent).chain(lost).chain(backup).chain(look.troubles());
    let at = At { global: &context.global, health, now };
    let found: Vec<_> = found.chain(unreadable(&lives, &at)).collect();
    let is_well = is_running && !found.iter().any(Trouble::is_under_way);
    let code = ExitCode::from(if options.check && !is_well { exit::CONDITION } else { 0 });
    let printer = &mut context.printer;
    if printer.is_json() {
        let mut status = status_json(&state, &lives, &layers, now);
        let alive = [("health", troubles::to_json(&found)), ("daemon", holder_json(holder))];
        print::extend(&mut status, alive);
        printer.json(&status)?;
        return Ok(code);
    }
    if is_new {
        let database = print::safe(database.to_string_lossy());
        printer
            .line(format_args!("no database yet: the daemon's first start creates {database}"))?;
    }
    print_logs(printer, &lives, now)?;
    troubles::print(printer, &found)?;
    print_holder(printer, holder)?;
    print_counts(printer, &state, context.site.config.mail.is_some(), now)?;
    if !state.streams.is_empty() {
        Account::of(&state.streams).print(printer)?;
    }
    if let Some(threshold) = &state.threshold {
        print_threshold(printer, threshold, context.site.policy().budget)?;
    }
    print_layers(printer, &layers, now)?;
    Ok(code)
}

/// Returns whether the daemon waits for its database.
fn is_blocked(site: &Site, holder: Option<Holder>) -> bool {
    matches!(holder, Some(Holder::Process(pid, Role::Daemon)) if Standstill::is_shown_by(pid, &site.state))
}

/// Returns the problem of a database that should be there.
fn absent(site: &Site, state: &State, is_running: bool) -> Option<Trouble> {
    let database = site.database();
    match (state.is_there, is_running) {
        (true, _) => None,
        (false, true) => Some(troubles::absent(&database)),
        (false, false) => {
            let was_there = Lock::last_start(&site.state) == Start::Later;
            was_there.then(|| troubles::removed(&database))
        }
    }
}

fn state_of(context: &Context, now: Timestamp) -> anyhow::Result<State> {
    let Some(reader) = state::reader_if_any(&context.site)? else { return Ok(State::default()) };
    let mut streams = reader.streams()?;
    streams.sort_by(|a, b| (&a.position.path, a.updated).cmp(&(&b.position.path, b.updated)));
    let stats = reader.stats()?;
    let mails = Mails::of(&reader, stats.outbox, context.site.config.mail.as_ref(), now)?;
    let house = reader.house()?;
    let roll = house.iter().find(|row| row.name == ROLL);
    Ok(State {
        is_there: true,
        streams,
        stats,
        mails,
        given_up: reader.lost_incidents(MOST_NAMED)?,
        backed_up: backed_up(reader.path()),
        backup_failed: reader.backup_failed()?,
        threshold: threshold(&context.site, &house),
        roll: roll.and_then(|row| Roll::decode(&row.body)).unwrap_or_default(),
    })
}

/// Returns the score from which an alert is mailed at once; `check` reports a faulty configuration.
fn threshold(site: &Site, house: &[HouseRow]) -> Option<(Threshold, Rented)> {
    let params = site.params().ok()?;
    let score = &params.profile.score;
    let (house, _) = House::restore(house);
    let threshold = house.threshold(site.policy().budget, score);
    Some((threshold, score.sooner(threshold.nats, score.rented_lead)))
}

/// Prints the threshold and its reason: `mailed at once    scores from 9.25 nats on (...): ...`.
fn print_threshold(
    printer: &mut Printer,
    (threshold, rented): &(Threshold, Rented),
    budget: f64,
) -> anyhow::Result<()> {
    let why = match (budget > 0.0, threshold.weekly, threshold.mailed) {
        (false, ..) => "no [alerts] budget is set".to_owned(),
        (true, Some(weekly), Some(mailed)) => format!(
            "[alerts] budget is {budget} a week; {weekly:.1} a week reach [detect.score] alert, {mailed:.1} reach this"
        ),
        (true, ..) => format!("[alerts] budget is {budget} a week; it takes a week of data first"),
    };
    let sooner = if rented < &threshold.nats {
        format!(" (from {rented} for somebody new with a token used only from hosting networks)")
    } else {
        String::new()
    };
    let text = format!(
        "scores from {} nats on (2.3 nats: ten times as unusual){sooner}: {why}",
        threshold.nats
    );
    Ok(print_wrapped(printer, "mailed at once", &text)?)
}

/// Returns the numbers of lines and of rejected lines in the log's latest ten minutes.
fn window(stream: &StreamStatus) -> Option<(u64, u64)> {
    Some(Log::decode(&stream.health)?.window.sums())
}

/// Returns the command that shows the first rejected line of the log's latest ten minutes.
fn look_at(stream: &StreamStatus, lives: &[Life<'_>], global: &Global) -> Option<String> {
    let origin = Log::decode(&stream.health)?.window.first()?.origin();
    let mut streams = lives.iter().map(|life| life.stream);
    let position = &streams.find(|one| one.stream == origin.stream)?.position;
    // A message of the journal cannot be found by its offset.
    (!journal::is_journal(position))
        .then(|| advice::explain(global, &position.path, &Place::Offset(origin.offset)))
}

/// Returns whether those ten minutes are past: nothing was read of the log since.
fn is_past(stream: &StreamStatus, now: Timestamp) -> bool {
    now.since(stream.updated) > WINDOW_MINUTES * 60 * SECOND
}

/// Prints a row for each log: how much of its files is read, and the totals over all their lives.
fn print_logs(printer: &mut Printer, lives: &[Life<'_>], now: Timestamp) -> anyhow::Result<()> {
    if lives.is_empty() {
        return Ok(());
    }
    let logs = by_log(lives);
    let rows = logs.iter().map(|(path, lives)| row(path, lives, now));
    if table::is_narrow() {
        for row in rows {
            print_log(printer, &row)?;
        }
    } else {
        let mut table = table::table(&HEADINGS);
        table.add_rows(rows);
        printer.line(table::coloured(&table, |_| None))?;
    }
    printer.line("")?;
    Ok(())
}

/// What is said of a log.
const HEADINGS: [&str; 8] =
    ["log", "size", "read", "lines", "rejected", "in 10 min", "missing", "lag"];

/// Prints a row below the log's path, for narrow terminals.
fn print_log(printer: &mut Printer, [path, rest @ ..]: &[String; 8]) -> std::io::Result<()> {
    printer.line(path)?;
    let named = HEADINGS.iter().skip(1).zip(rest).filter(|(_, text)| !text.is_empty());
    let all = named.map(|(name, text)| format!("{name} {text}")).collect::<Vec<_>>().join(", ");
    let room = usize::from(table::width()).saturating_sub(2);
    print::wrapped(&all, room).iter().try_for_each(|line| printer.line(format_args!("  {line}")))
}

fn row(path: &Path, lives: &[&Life<'_>], now: Timestamp) -> [String; 8] {
    let (mut tally, mut size, mut offset) = (Tally::default(), 0, 0);
    lives.iter().for_each(|life| tally.add(&life.stream.tally));
    for life in present(path, lives) {
        size += life.size();
        offset += life.stream.position.offset;
    }
    let is_gone = !path.exists() && lives.iter().all(|life| life.is_there() == Some(false));
    let latest = latest(lives).and_then(|life| window(life.stream));
    let lag = lives.iter().map(|life| life.lag(now)).max().unwrap_or_default();
    [
        print::safe(visible::path(path)),
        if is_gone { "gone".to_owned() } else { print::size(size) },
        percent(offset, size),
        print::number(tally.lines),
        percent(tally.rejected, tally.lines),
        latest.map_or_else(String::new, |(lines, rejected)| percent(rejected, lines)),
        print::size(tally.missing.discarded + tally.missing.gap + tally.missing.nuls),
        format!("{lag} s"),
    ]
}

/// Returns the files that determine how far a log is read: the one under its name, and those with unread bytes. If
/// there are none, the latest one.
fn present<'a>(path: &Path, lives: &[&'a Life<'a>]) -> Vec<&'a Life<'a>> {
    let is_log = |life: &&&Life<'_>| {
        life.is_there() == Some(true) && life.stream.position.path == path || life.has_rest()
    };
    let found: Vec<_> = lives.iter().filter(is_log).copied().collect();
    if found.is_empty() { latest(lives).into_iter().collect() } else { found }
}

/// Returns the logs with too many unreadable lines among the latest, and the command that shows why.
fn unreadable(lives: &[Life<'_>], at: &At<'_>) -> Vec<Trouble> {
    let logs = by_log(lives);
    let latest = logs.values().filter_map(|lives| latest(lives));
    let one = |life: &Life<'_>| {
        let window = window(life.stream).filter(|_| !is_past(life.stream, at.now));
        let (lines, rejected) =
            window.filter(|(lines, rejected)| at.health.is_bad(*lines, *rejected))?;
        let look = look_at(life.stream, lives, at.global);
        let look = look.unwrap_or_else(|| advice::command(at.global, "check"));
        let (share, lines) = (percent(rejected, lines), print::number(lines));
        let text =
            format!("{share} of the latest {lines} lines cannot be read; `{look}` shows the first");
        Some(troubles::rejected(&life.stream.position.path, text))
    };
    latest.filter_map(one).collect()
}

/// Returns a share, 0 to 1.
fn share(part: u64, all: u64) -> f64 {
    rejected_percent(all, part) / 100.0
}

/// Returns `12.3 %`, rounded down, so that only all of it is 100 %.
fn percent(part: u64, all: u64) -> String {
    if all == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(all);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Prints the counts. `has_mail` says whether the site has a mail server.
fn print_counts(
    printer: &mut Printer,
    state: &State,
    has_mail: bool,
    now: Timestamp,
) -> std::io::Result<()> {
    let stats = &state.stats;
    let counts = [
        ("usages", stats.usages),
        ("refused, unknown", stats.refused_unknown),
        ("tokens", stats.tokens),
        ("registered", stats.registered),
        ("principals", stats.principals),
        ("alerts", stats.alerts),
        ("incidents", stats.incidents),
    ];
    for (name, count) in counts {
        printer.line(format_args!("{name:<17} {}", print::number(count)))?;
    }
    printer.line(format_args!("{:<17} {}", "mails", state.mails.summary(has_mail, now)))?;
    for (name, text) in state.mails.details() {
        print_wrapped(printer, name, &text)?;
    }
    let backup = state.backed_up.map_or_else(
        || "no backup yet".to_owned(),
        |made| format!("backed up {}", print::ago(made, now)),
    );
    printer.line(format_args!("{:<17} {}, {backup}", "database", print::size(stats.bytes)))
}

/// Prints a text under a name, wrapped; nothing if it is empty.
fn print_wrapped(printer: &mut Printer, mut name: &str, text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let room = usize::from(table::width()).saturating_sub(18);
    for line in print::wrapped(&print::safe(text), room) {
        printer.line(format_args!("{name:<17} {line}"))?;
        name = "";
    }
    Ok(())
}

fn print_layers(printer: &mut Printer, layers: &[Layer], now: Timestamp) -> std::io::Result<()> {
    for layer in layers {
        let path = layer.path.as_ref().map(|path| path.display().to_string());
        let kind = layer.kind.clone().unwrap_or_default();
        let built = layer.built.and_then(|seconds| i64::try_from(seconds).ok());
        let built = built
            .map(|seconds| format!("built {}", print::ago(Timestamp::from_seconds(seconds), now)));
        let fault = layer.fault.as_ref().map(|fault| format!("not in use: {fault}"));
        let words = [path, Some(kind), built, fault];
        let words: Vec<String> =
            words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
        printer.line(format_args!("{:<17} {}", "geoip", print::safe(words.join(", "))))?;
    }
    Ok(())
}

fn status_json(state: &State, lives: &[Life<'_>], layers: &[Layer], now: Timestamp) -> Json {
    let stats = &state.stats;
    json!({
        "streams": lives.iter().map(|life| stream_json(life, now)).collect::<Vec<_>>(),
        "accounting": Account::of(&state.streams).to_json(),
        "usages": stats.usages,
        "refused_unknown": stats.refused_unknown,
        "tokens": stats.tokens,
        "registered": stats.registered,
        "principals": stats.principals,
        "alerts": stats.alerts,
        "incidents": stats.incidents,
        "outbox": state.mails.to_json(now),
        "threshold": state.threshold.map(|(of, rented)| {
            json!({"nats": of.nats, "rented": rented, "weekly": of.weekly, "mailed": of.mailed})
        }),
        "geoip": {"layers": layers.iter().map(layer_json).collect::<Vec<_>>()},
        "database": print::object([
            ("bytes", json!(stats.bytes)),
            ("backed_up", print::time(state.backed_up)),
        ]),
    })
}

fn print_holder(printer: &mut Printer, holder: Option<Holder>) -> std::io::Result<()> {
    match holder {
        Some(Holder::Process(pid, Role::Daemon)) => {
            printer.line(format_args!("{:<17} process {pid}", "daemon"))
        }
        Some(Holder::Process(pid, Role::Command)) => printer.line(format_args!(
            "{:<17} not running: nothing is watched; a command holds the state, process {pid}",
            "daemon"
        )),
        Some(Holder::Nobody) => {
            printer.line(format_args!("{:<17} not running: nothing is watched", "daemon"))
        }
        None => Ok(()),
    }
}

/// Whether the daemon runs, or a command works on the state; null if unknown.
fn holder_json(holder: Option<Holder>) -> Json {
    match holder {
        Some(Holder::Process(pid, Role::Daemon)) => json!({"running": true, "pid": pid}),
        Some(Holder::Process(pid, Role::Command)) => json!({"running": false, "command": pid}),
        Some(Holder::Nobody) => json!({"running": false}),
        None => Json::Null,
    }
}

fn stream_json(life: &Life<'_>, now: Timestamp) -> Json {
    let stream = life.stream;
    let tally = &stream.tally;
    json!({
        "path": visible::path(&stream.position.path),
        "present": life.is_there(),
        "offset": stream.position.offset,
        "size": life.size(),
        "lines": tally.lines,
        "parsed": tally.parsed,
        "rejected": tally.rejected,
        "rejected_share": share(tally.rejected, tally.lines),
        "latest": window(stream).map(|(lines, rejected)| json!({
            "minutes": WINDOW_MINUTES,
            "lines": lines,
            "rejected": rejected,
            "rejected_share": share(rejected, lines),
        })),
        "usages": tally.usages,
        "parsed_bytes": tally.parsed_bytes,
        "rejected_bytes": tally.rejected_bytes,
        "discarded": tally.missing.discarded,
        "gap_bytes": tally.missing.gap,
        "nul_bytes": tally.missing.nuls,
        "bad_time": Log::decode(&stream.health).map_or(0, |log| log.bad_times),
        "lag_seconds": life.lag(now),
        "updated": stream.updated.to_string(),
        "accounted": unaccounted(stream) == 0,
    })
}

fn layer_json(layer: &Layer) -> Json {
    let built = layer.built.and_then(|seconds| i64::try_from(seconds).ok());
    print::object([
        ("role", json!(layer.role)),
        ("path", json!(layer.path.as_ref().map(|path| path.to_string_lossy()))),
        ("kind", json!(layer.kind)),
        ("built", print::time(built.map(Timestamp::from_seconds))),
        ("fault", json!(layer.fault.as_ref().map(ToString::to_string))),
    ])
}
