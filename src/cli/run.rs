//! `run`: the daemon.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::args::Run as Options;
use crate::cli::exit::usage;
use crate::cli::{Context, credentials, host, load, print};
use crate::daemon::lifetime::Lifetime;
use crate::daemon::printing::Sink;
use crate::daemon::run::{Followed, Output, Setup, run as run_daemon};
use crate::daemon::site::{Site, format_of};
use crate::deliver::render::Files;
use crate::deliver::stdout::alert_json;
use crate::engine::alert::Alert;
use crate::engine::line::ReadFrom;
use crate::engine::reader::Source;
use crate::source::follow::Watch;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let Context { site, printer, global, .. } = context;
    let files = options.files.clone();
    let is_mailing = options.mail || files.is_empty();
    site.is_mailing = is_mailing;
    let (sources, followed) = inputs(site, &files)?;
    if followed.watches.is_empty() && followed.units.is_empty() {
        return Err(usage(
            "nothing to follow: name logs (tokenwatch run PATH...), or add a [[source]] to the configuration",
        ));
    }
    let sink = match (printer.is_json() || site.config.output.stdout, files.is_empty()) {
        (true, _) => Some(Sink { text: json, out: Box::new(output()?) }),
        // In colours where they can be shown.
        (false, false) => {
            Some(Sink { text: words, out: Box::new(anstream::AutoStream::auto(output()?)) })
        }
        (false, true) => None,
    };
    let journal = site.config.output.journal && files.is_empty();
    let lifetime = if files.is_empty() { Lifetime::Service } else { Lifetime::Command };
    let output = Output { sink, journal, lifetime };
    let host = host(global, site);
    let global = global.clone();
    let load = Box::new(move || {
        let mut site = load(&global)?;
        site.is_mailing = is_mailing;
        let (sources, followed) = inputs(&site, &files)?;
        Ok((site, sources, followed))
    });
    let credentials = credentials();
    run_daemon(site, Setup { sources, followed, output, load, credentials, host })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the configured sources, or the logs that the command line names, read from their start: each as the source
/// says that names it, others in the format of each line.
fn inputs(site: &Site, files: &[PathBuf]) -> anyhow::Result<(Vec<Source>, Followed)> {
    if files.is_empty() {
        return Ok((site.sources()?, Followed { watches: site.watches(), units: site.units() }));
    }
    let mut sources = site.sources()?;
    let like = site.watches();
    let watch = Watch {
        source: sources.len(),
        patterns: files.iter().map(std::path::absolute).collect::<Result<_, _>>()?,
        read_from: ReadFrom::Start,
        is_polled: like.iter().any(|watch| watch.is_polled),
        like,
    };
    sources.push(Source::of(format_of("auto")?));
    Ok((sources, Followed { watches: vec![watch], units: Vec::new() }))
}

/// Returns an alert as JSON, in one line.
fn json(alert: &Alert, files: &Files<'_>) -> String {
    format!("{}\n", print::JsonSafe(&alert_json(alert, files).to_string()))
}

/// Returns an alert in words, in one line.
fn words(alert: &Alert, _: &Files<'_>) -> String {
    let level = print::level(alert.rule.level, 13);
    let (who, why) = (print::safe(&alert.principal), print::safe(&alert.reason));
    let (time, rule) = (print::minute(alert.time), &alert.rule.name);
    format!("{time} {level} {who}: {rule}: {why}\n")
}

/// Returns standard output without its lock: who prints may hang in a write while the program ends.
fn output() -> anyhow::Result<File> {
    let output = io::stdout().as_fd().try_clone_to_owned();
    Ok(output.context("using standard output")?.into())
}
