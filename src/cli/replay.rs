//! `replay`: processes old logs as if they were live, and prints what was found.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use smol_str::SmolStr;

use crate::cli::args::Replay as Options;
use crate::cli::print::{self, Printer};
use crate::cli::{Context, exit, registries, state};
use crate::clock::{monotonic, now};
use crate::daemon::compaction::compact;
use crate::daemon::opening::set_apart;
use crate::daemon::recovery;
use crate::daemon::replay::{Summary, replay};
use crate::daemon::site::{Site, format_of};
use crate::daemon::worker::{Delivery, Worker};
use crate::deliver::stdout::printed;
use crate::engine::alert::{Alert, Level};
use crate::engine::arrival::{Arrival, BadTimes};
use crate::engine::line::Directives;
use crate::engine::reader::{Reader, Source};
use crate::engine::record::Columns;
use crate::engine::time::Timestamp;
use crate::engine::zone::Reach;
use crate::source::SourceError;
use crate::source::follow::{self, Watch};
use crate::source::journal::UnitWatch;
use crate::source::listing::Listing;
use crate::source::replay::{Input, Replay, STDIN};
use crate::store::{Lock, Role, Store};

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let ended = learn(context, options);
    if options.save {
        recovery::note_end(&context.site, &ended);
    }
    ended
}

fn learn(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let began = monotonic();
    let Context { site, printer, .. } = context;
    let (paths, faults) = logs(options, &site.state)?;
    let (sources, inputs) = inputs(site, options, paths)?;
    let reader = site.reader(sources)?;
    let key = site.key()?;
    let files = registries::read(options, site, &key)?;
    let mut lock = options.save.then(|| Lock::take(&site.state, Role::Command)).transpose()?;
    let mut store = store_of(site, lock.as_mut())?;
    if lock.is_none() {
        register_known(site, &mut store)?;
    }
    registries::import(files, &mut store, options)?;
    set_apart(&mut store, site)?;
    let judge = site.judge_of(&store)?;
    let atlas = Arc::new(site.atlas_with_warnings());
    let mut worker = Worker::new(judge, store, atlas, Delivery::Past, site.memory_bound())?;

    let arrival = arrival(options);
    let time_of = times(&reader, arrival);
    let known = worker.store.positions()?.into_iter().map(|(_, position)| position).collect();
    let batches = match options.save {
        true => Replay::resume(inputs, known, time_of),
        false => Replay::open(inputs, time_of),
    };
    let unread: Vec<PathBuf> = batches.unread().map(Path::to_owned).collect();
    let mut incidents = Incidents::default();
    let mut told = Ok(());
    let replayed = replay(&reader, &mut worker, batches, &unread, arrival, now, |alert, files| {
        if !printer.is_json() {
            return incidents.add(alert);
        }
        incidents.count_in(&alert);
        if told.is_ok() {
            told = printer.json(&printed(&alert, files));
        }
    });
    // Printed even after a failure: what was committed is not found again.
    told?;
    incidents.print(printer)?;
    printer.flush()?;
    let mut summary = replayed?;
    summary.faults.extend(faults);
    // What a command forgot meanwhile was still in memory.
    worker.store.forget_again()?;
    compact(&mut worker.store)?;
    drop(lock);
    say(&summary, &worker.store, incidents.count(), monotonic().saturating_sub(began))?;
    let must_fail = options.fail_on.is_some_and(|level| incidents.worst() >= Some(level));
    Ok(ExitCode::from(match must_fail {
        true => exit::CONDITION,
        // Anything may be in the files that could not be read.
        false if !summary.faults.is_empty() => exit::FAILED,
        false => 0,
    }))
}

/// Returns what is known of when lines came. If nothing is kept, that is nothing: the same logs give the same result on
/// every machine, at any time, and also if they were made for a time to come.
fn arrival(options: &Options) -> Arrival {
    if options.save { Arrival::Before { now: now(), newest: None } } else { Arrival::Unknown }
}

/// Returns the times by which lines are merged: those that are possible.
fn times(
    reader: &Reader,
    arrival: Arrival,
) -> impl Fn(&Input, &[u8], &Directives, Reach) -> Option<Timestamp> {
    // Called for every line if files overlap in time, mostly under the same directives.
    let last = Mutex::new((Directives::default(), Columns::default()));
    move |input, line, above, reach| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != *above {
            *last = (above.clone(), Columns::new(above));
        }
        let time = reader.time_of(input.source, &input.path, line, &last.1, reach);
        time.filter(|said| arrival.allows(*said))
    }
}

/// Returns the database of the locked state, else one in memory for this run.
fn store_of(site: &Site, lock: Option<&mut Lock>) -> anyhow::Result<Store> {
    let Some(lock) = lock else { return Ok(Store::in_memory()?) };
    recovery::announce(site);
    let mut store = recovery::open(site, lock)?;
    store.forget_again()?;
    Ok(store)
}

/// Imports the registry of the state into a run that saves nothing, and reports that on standard error.
fn register_known(site: &Site, store: &mut Store) -> anyhow::Result<()> {
    let known = state::registry(site)?;
    if !known.is_empty() {
        store.register(&known, "", now())?;
        let name = print::safe(site.database().to_string_lossy());
        let n_rows = print::counted(known.len() as u64, "row");
        print::say(format_args!("registry: {name}: {n_rows} for this run"));
    }
    Ok(())
}

/// Lists the selected logs, at least one, and the faults of those that were not found.
fn logs(options: &Options, state: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<SourceError>)> {
    let Listing { paths, faults, passed_over, .. } = Listing::of(&options.paths, Some(state));
    say_passed_over(&passed_over);
    anyhow::ensure!(!paths.is_empty(), "{}", join(&faults));
    // Saved paths must be found from everywhere, and by the daemon.
    let paths = if options.save { paths.into_iter().map(whole).collect() } else { paths };
    Ok((paths, faults))
}

/// Reports on standard error how many files in directories were skipped because their names are not those of logs.
pub(super) fn say_passed_over(files: &BTreeSet<PathBuf>) {
    let is_used = |path: &Path| path.file_name().is_some_and(|name| name == registries::REGISTRY);
    let files: Vec<_> = files.iter().filter(|path| !is_used(path)).collect();
    let Some(first) = files.first() else { return };
    let n_files = print::counted(files.len() as u64, "file");
    let first = print::safe(first.to_string_lossy());
    print::say(format_args!(
        "skipped by name: {n_files}, the first is {first}; name a file to read it"
    ));
}

/// Returns a file's path as the daemon knows it.
fn whole(path: PathBuf) -> PathBuf {
    if path.as_os_str() == STDIN { path } else { std::path::absolute(&path).unwrap_or(path) }
}

/// Returns the sources, and each file with its source.
fn inputs(
    site: &Site,
    options: &Options,
    paths: Vec<PathBuf>,
) -> anyhow::Result<(Vec<Source>, Vec<Input>)> {
    let manner = Manner::of(site, options.format.as_deref(), options.like.as_deref())?;
    let (sources, inputs) = assign(site.sources()?, &site.watches(), paths, manner)?;
    if manner == Manner::Found {
        say_unnamed(&inputs, sources.len() - 1);
    }
    Ok((sources, inputs))
}

/// How files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner<'a> {
    /// Each by the configured source that names it or the log that it was rotated from; the others by detecting the
    /// format of each line.
    Found,
    /// All in this format.
    Format(&'a str),
    /// All by this source.
    Source(usize),
}

impl<'a> Manner<'a> {
    /// Returns how the command line asks for files to be read: in a format, or like a log.
    pub(super) fn of(
        site: &Site,
        format: Option<&'a str>,
        like: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let Some(log) = like else { return Ok(format.map_or(Self::Found, Self::Format)) };
        let source = match UnitWatch::named(log) {
            Some(unit) => {
                let units = site.units();
                units.iter().find(|watch| watch.path() == unit.path()).map(|watch| watch.source)
            }
            None => source_of(&site.watches(), log),
        };
        source.map(Self::Source).ok_or_else(|| {
            exit::usage(format!("--as {}: no [[source]] names this log", log.display()))
        })
    }
}

/// Returns the configured source that names a file, or the log that it was rotated from.
pub(super) fn source_of(watches: &[Watch], path: &Path) -> Option<usize> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    follow::source_of(watches, &path)
}

/// Assigns a source to each file. The last source is that of files that no configured one names.
pub(super) fn assign(
    mut sources: Vec<Source>,
    watches: &[Watch],
    paths: Vec<PathBuf>,
    manner: Manner<'_>,
) -> anyhow::Result<(Vec<Source>, Vec<Input>)> {
    let other = sources.len();
    let name = if let Manner::Format(name) = manner { name } else { "auto" };
    let format = format_of(name).map_err(|why| exit::usage(format!("{why:#}")))?;
    sources.push(Source::of(format));
    let source_of = |path: &Path| match manner {
        Manner::Found => source_of(watches, path).unwrap_or(other),
        Manner::Format(_) => other,
        Manner::Source(source) => source,
    };
    let inputs = paths.into_iter().map(|path| Input { source: source_of(&path), path });
    let inputs = inputs.collect();
    Ok((sources, inputs))
}

/// Reports on standard error which files no configured source names, and how they are read. `other` is the index behind
/// the last configured source.
fn say_unnamed(inputs: &[Input], other: usize) {
    let unnamed: Vec<_> = inputs.iter().filter(|input| input.source == other).collect();
    let Some(first) = unnamed.first().filter(|_| other > 0) else { return };
    let more = match unnamed.len() {
        1 => String::new(),
        n => format!(" and {} more", print::number(n as u64 - 1)),
    };
    let first = print::safe(first.path.to_string_lossy());
    print::say(format_args!(
        "no [[source]] names {first}{more}: read as auto, in UTC, without trusted proxies; --as LOG reads all files \
         like a log of a [[source]]"
    ));
}

/// Incidents printed at most, the worst ones: nobody reads more, and memory must not grow with a flood.
const MAX_PRINTED: usize = 10_000;

/// The alerts of a replay, reduced to what is printed about the worst incidents.
#[derive(Default)]
struct Incidents {
    told: BTreeMap<SmolStr, Told>,
    /// The hashes of the ids of all incidents.
    seen: HashSet<u64, FixedState>,
    /// The worst level of all alerts.
    worst: Option<Level>,
}

/// An incident: its worst alert, and the rules of all its alerts.
struct Told {
    opened: Timestamp,
    worst: (Level, u8),
    principal: SmolStr,
    reason: String,
    rules: BTreeSet<SmolStr>,
}

impl Incidents {
    /// Counts an alert without keeping more of it.
    fn count_in(&mut self, alert: &Alert) {
        self.seen.insert(FixedState::default().hash_one(&alert.incident));
        self.worst = self.worst.max(Some(alert.rule.level));
    }

    fn add(&mut self, alert: Alert) {
        self.count_in(&alert);
        let worst = (alert.rule.level, alert.risk);
        let told = self.told.entry(alert.incident).or_insert_with(|| Told {
            opened: alert.time,
            worst,
            principal: alert.principal,
            reason: alert.reason.clone(),
            rules: BTreeSet::new(),
        });
        told.rules.insert(alert.rule.name);
        if worst > told.worst {
            (told.worst, told.reason) = (worst, alert.reason);
        }
        // Rarely, so that sorting costs little per alert.
        if self.told.len() > 2 * MAX_PRINTED {
            self.keep_worst();
        }
    }

    fn keep_worst(&mut self) {
        let mut worst: Vec<(Level, u8)> = self.told.values().map(|told| told.worst).collect();
        worst.sort_unstable_by(|a, b| b.cmp(a));
        let Some(last) = worst.get(MAX_PRINTED).copied() else { return };
        // As many of the lowest kept rank as fit, in the order of their ids.
        let mut room = MAX_PRINTED - worst.partition_point(|rank| *rank > last);
        self.told.retain(|_, told| {
            let is_last = told.worst == last && room > 0;
            room -= usize::from(is_last);
            told.worst > last || is_last
        });
    }

    fn count(&self) -> usize {
        self.seen.len()
    }

    const fn worst(&self) -> Option<Level> {
        self.worst
    }

    fn print(&mut self, printer: &mut Printer) -> anyhow::Result<()> {
        if printer.is_json() {
            return Ok(());
        }
        self.keep_worst();
        let mut all: Vec<&Told> = self.told.values().collect();
        all.sort_by_key(|told| told.opened);
        for Told { opened, worst, principal, reason, rules } in &all {
            let rules = rules.iter().map(SmolStr::as_str).collect::<Vec<_>>().join(", ");
            let (who, why) = (print::safe(principal), print::safe(reason));
            let level = print::level(worst.0, 13);
            let head = print::bold(format_args!("{who}: {rules}"));
            printer.line(format_args!("{} {level} {head}", print::minute(*opened)))?;
            printer.line(format_args!("    {why}"))?;
        }
        let n_more = self.count().saturating_sub(all.len());
        if n_more > 0 {
            let more = match n_more {
                1 => "1 more incident that is no worse".to_owned(),
                n => format!("{} more incidents that are no worse", print::number(n as u64)),
            };
            printer.line(format_args!("... and {more}; --json prints all alerts"))?;
        }
        Ok(())
    }
}

/// Prints the closing summary on standard error.
fn say(summary: &Summary, store: &Store, incidents: usize, took: Duration) -> anyhow::Result<()> {
    let seconds = took.as_secs_f64();
    let tally = &summary.tally;
    for fault in &summary.faults {
        print::say(format_args!("tokenwatch: {}", print::safe(fault.to_string())));
    }
    for (position, offset, why) in &summary.rejects {
        let place = format!("{}, byte {offset}, column {}", position.path.display(), why.column);
        let (place, why) = (print::safe(place), print::safe(why.to_string()));
        print::say(format_args!("rejected: {place}: {why}"));
    }
    if tally.bytes() == 0 && summary.faults.is_empty() && !store.positions()?.is_empty() {
        print::say("Nothing new: what was read before is not read again.");
    }
    say_ahead(summary);
    let lines = u32::try_from(tally.lines).map_or(f64::INFINITY, f64::from);
    print::say(format_args!(
        "{}, {} rejected, {}, {}, {} in {}; {seconds:.2} s, {} lines/s{}",
        print::counted(tally.lines, "line"),
        print::number(tally.rejected),
        print::counted(tally.usages, "usage"),
        print::counted(store.stats()?.tokens, "token"),
        print::counted(summary.alerts as u64, "alert"),
        print::counted(incidents as u64, "incident"),
        print::number(rate(lines, seconds)),
        peak_memory()
            .map(|bytes| format!(", {} peak memory", print::size(bytes)))
            .unwrap_or_default(),
    ));
    Ok(())
}

/// Reports lines that are dated in the future. They count as of that time only if nothing is kept.
fn say_ahead(summary: &Summary) {
    let BadTimes { lines, newest } = summary.bad_times;
    if let Some(newest) = newest {
        let (lines, newest) = (print::counted(lines, "line"), print::minute(newest));
        print::say(format_args!(
            "dated more than a day in the future: {lines}, up to {newest}; counted as of the lines above"
        ));
    }
    let clock = Arrival::Now(now());
    if let Some(newest) = summary.newest.filter(|newest| !clock.allows(*newest)) {
        let newest = print::minute(newest);
        print::say(format_args!(
            "dated more than a day in the future: lines up to {newest}; with --save they count as of the lines above"
        ));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people, cut to its range"
)]
fn rate(lines: f64, seconds: f64) -> u64 {
    (lines / seconds.max(1e-3)) as u64
}

/// Returns the peak memory of this process, as the kernel counts it (proc(5), `VmHWM`).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn join(faults: &[SourceError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_worst_incidents_are_printed_and_all_are_counted() {
        let alert = |n: u32, level, risk| {
            let mut alert =
                Alert { incident: format!("in_{n:06}").into(), risk, ..Alert::default() };
            alert.rule.level = level;
            alert
        };
        let mut incidents = Incidents::default();
        (0..50_000).for_each(|n| incidents.add(alert(n, Level::Low, u8::from(n % 5 == 4))));
        (0..100).for_each(|n| incidents.add(alert(n * 499, Level::High, 75)));
        assert!(incidents.told.len() <= 2 * MAX_PRINTED);
        incidents.keep_worst();
        let of = |worst| incidents.told.values().filter(|told| told.worst == worst).count();
        assert_eq!([(Level::High, 75), (Level::Low, 1)].map(of), [100, MAX_PRINTED - 100]);
        assert_eq!((incidents.count(), incidents.worst()), (50_000, Some(Level::High)));
    }
}
