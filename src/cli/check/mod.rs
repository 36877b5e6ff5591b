//! `check`: reports all problems that can be found before the daemon starts, at once.

mod report;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::advice::Place;
use crate::cli::args::Global;
use crate::cli::check::report::{Level, Outcome, Report, outcome};
use crate::cli::permit::{Permit, Refusal};
use crate::cli::print::Printer;
use crate::cli::sample::{Sample, lines};
use crate::cli::{advice, credentials, exit, print};
use crate::config::{At, Config, Faults, Geoip, PasswordFrom, Source, SourceFrom, Span, UNKNOWN};
use crate::daemon::post::mailer;
use crate::daemon::site::Site;
use crate::deliver::email::Timeouts;
use crate::engine::detect::Health;
use crate::engine::reader::Source as Reading;
use crate::engine::record::{guess, is_error_log};
use crate::engine::rule::is_built_in;
use crate::engine::token::Finder;
use crate::engine::trial::try_rule;
use crate::source::listing::{list, sample};
use crate::source::{SourceError, journal};
use crate::store::{Lock, Reader, StoreError, private};

/// Checks a site. If its configuration has faults, checks whatever still can be checked. `site` is `None` if the files
/// make no sense at all.
pub(super) fn run(
    printer: &mut Printer,
    site: Option<&Site>,
    faults: &Faults,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    report.faults("configuration", faults);
    match site {
        Some(site) => check(&mut report, site, global),
        None => report.warn("configuration", "nothing else is checked until that is mended"),
    }
    for finding in &report.0 {
        finding.print(printer)?;
    }
    let is_faulty = report.0.iter().any(|finding| finding.level == Level::Fault);
    printer.flush()?;
    Ok(ExitCode::from(if is_faulty { exit::CONFIGURATION } else { 0 }))
}

fn check(report: &mut Report, site: &Site, global: &Global) {
    let Config { files, sources: logs, mail: server, geoip: atlas, state_dir, .. } = &site.config;
    if site.config.faulty.is_empty() {
        let files = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let from = if files.is_empty() { "built-in defaults".to_owned() } else { files.join(", ") };
        report.ok("configuration", from);
    }
    let params = site.params();
    let health = params.as_ref().map(|params| params.health).unwrap_or_default();
    let permit = Permit::of(&site.state, Lock::holder(&site.state));
    own_files(report, site, &permit);
    let readings = formats(report, site);
    if is_sure(report, site, "source", &["source", "tokens"], !logs.is_empty()) {
        let bounds = Bounds { global, health, finder: Finder::new(&site.names()), permit };
        sources(report, site, readings.as_deref(), &bounds);
    }
    match params {
        Err(faults) => report.faults("detect", &faults),
        Ok(_) if site.config.faulty.contains("detect") => {}
        Ok(_) => report.ok("detect", "parameters"),
    }
    rules(report, site);
    if is_sure(report, site, "geoip", &["geoip"], atlas != &Geoip::default()) {
        geoip(report, site);
    }
    if is_sure(report, site, "mail", &["mail"], server.is_some()) {
        mail(report, site, global);
    }
    if is_sure(report, site, "state", &["state_dir"], state_dir.is_some()) {
        state(report, site);
        database(report, site);
    }
}

/// Returns whether what was read is all that the files say about a part; otherwise reports that it is not checked. A
/// misspelt name of a section may stand for any part that is not configured.
fn is_sure(
    report: &mut Report,
    site: &Site,
    part: &'static str,
    sections: &[&'static str],
    is_configured: bool,
) -> bool {
    let faulty = &site.config.faulty;
    let own = sections.iter().find(|section| faulty.contains(*section));
    let why = match own {
        Some(section) => format!("`{section}` has faults"),
        None if faulty.contains(UNKNOWN) && !is_configured => {
            "it may be what has an unknown name".to_owned()
        }
        None => return true,
    };
    report.warn(part, format!("not checked: {why}"));
    false
}

/// Checks the GeoIP files, each at its place in the configuration.
fn geoip(report: &mut Report, site: &Site) {
    let Geoip { city, country, asn } = &site.config.geoip;
    for layer in site.atlas().status() {
        let mut named = [city, country, asn].into_iter().flatten();
        let at = named.find(|at| Some(&at.value) == layer.path.as_ref());
        report.layer(&layer, &at.map(|at| at.span.clone()).unwrap_or_default());
    }
}

/// Checks whether the daemon may read its configuration and its password file, whoever runs the check: root may read
/// everything.
fn own_files(report: &mut Report, site: &Site, permit: &Permit) {
    for path in &site.config.files {
        if let Some(refusal) = permit.refusal(path) {
            report.0.push(refused("configuration", path, &refusal));
        }
    }
    let password = site.config.mail.as_ref().and_then(|mail| mail.password.as_ref());
    // systemd reads a credential.
    if let Some(At { value: PasswordFrom::File(path), span }) = password
        && let Some(refusal) = permit.refusal(path)
    {
        report.0.push(refused("mail", path, &refusal).at(span));
    }
}

/// Returns the result for a file that the daemon cannot read.
fn refused(check: &'static str, path: &Path, refusal: &Refusal) -> Outcome {
    let level = match refusal {
        Refusal::Unsure(_) => Level::Warning,
        Refusal::Denied(_) | Refusal::Closed(_) => Level::Fault,
    };
    let message = format!("{}: {refusal}", path.display());
    Outcome { hint: refusal.remedy(), ..outcome(check, level, message) }
}

/// What logs are checked against.
struct Bounds<'a> {
    global: &'a Global,
    health: Health,
    finder: Finder,
    permit: Permit,
}

/// A source, and how to read its lines if its format is valid.
type Known<'a> = (&'a Source, Option<&'a Reading>);

/// Returns how to read each source, if all formats are valid.
fn formats(report: &mut Report, site: &Site) -> Option<Vec<Reading>> {
    match site.sources() {
        Ok(readings) => {
            let n_sources = readings.len() as u64;
            report.ok("format", format!("formats of {}", print::counted(n_sources, "source")));
            Some(readings)
        }
        Err(faults) => {
            report.faults("format", &faults);
            None
        }
    }
}

fn sources(report: &mut Report, site: &Site, readings: Option<&[Reading]>, bounds: &Bounds<'_>) {
    if site.config.sources.is_empty() {
        report.warn(
            "source",
            "no [[source]]: there is nothing to follow, so the daemon does not start",
        );
    }
    let mut first = BTreeMap::new();
    for (at, source) in site.config.sources.iter().enumerate() {
        let known = (source, readings.and_then(|readings| readings.get(at)));
        match &source.from {
            SourceFrom::Journal { unit, .. } => unit_of(report, site, known, bounds, (at, unit)),
            SourceFrom::Files(patterns) => {
                for pattern in patterns {
                    let named = (pattern.value.as_str(), &pattern.span);
                    for path in pattern_of(report, site, known, bounds, named) {
                        let known = *first.entry(path.clone()).or_insert(source);
                        if !is_same(known, source) {
                            report.0.push(named_twice(&path, known).at(&pattern.span));
                        }
                    }
                }
            }
        }
    }
}

/// Checks the latest messages of the unit that a source names.
fn unit_of(
    report: &mut Report,
    site: &Site,
    known: Known<'_>,
    bounds: &Bounds<'_>,
    (at, unit): (usize, &At<String>),
) {
    let units = site.units();
    let Some(watch) = units.iter().find(|watch| watch.source == at) else { return };
    match journal::sample(watch) {
        Ok(bytes) => log(report, known, bounds, &watch.path(), &bytes),
        Err(fault) => {
            let message = format!("journal of {}: {fault}", unit.value);
            report.0.push(outcome("source", Level::Fault, message).at(&unit.span));
        }
    }
}

/// Returns whether two sources read a file in the same way.
fn is_same(a: &Source, b: &Source) -> bool {
    let like = |source: &Source| Source {
        from: a.from.clone(),
        span: a.span.clone(),
        format: At { span: a.format.span.clone(), value: source.format.value.clone() },
        ..source.clone()
    };
    like(a) == like(b)
}

/// Returns the warning about a file that another source, with other settings, names first.
fn named_twice(path: &Path, first: &Source) -> Outcome {
    let place = first.span.line_and_column().map_or(0, |(line, _)| line);
    let file = first.span.path().map(|path| path.display().to_string()).unwrap_or_default();
    let message = format!(
        "{}: another [[source]] with other settings names it first and takes precedence: {file}:{place}",
        path.display()
    );
    outcome("source", Level::Warning, message)
}

/// Checks the files that a source's pattern matches, and returns them.
fn pattern_of(
    report: &mut Report,
    site: &Site,
    known: Known<'_>,
    bounds: &Bounds<'_>,
    (pattern, span): (&str, &Span),
) -> Vec<PathBuf> {
    let (paths, faults) = list(&[PathBuf::from(pattern)], Some(&site.state));
    for fault in &faults {
        let is_absent = matches!(
            fault, SourceError::Access { cause, .. } if cause.kind() == ErrorKind::NotFound
        );
        let level = if is_absent { Level::Warning } else { Level::Fault };
        report.0.push(outcome("source", level, fault.to_string()).at(span));
    }
    for path in &paths {
        if let Some(refusal) = bounds.permit.refusal(path) {
            report.0.push(refused("source", path, &refusal).at(span));
            if !matches!(refusal, Refusal::Unsure(_)) {
                continue;
            }
        }
        match sample(path) {
            Err(fault) => {
                report.0.push(outcome("source", Level::Fault, fault.to_string()).at(span));
            }
            Ok(bytes) => log(report, known, bounds, path, &bytes),
        }
    }
    paths
}

/// Reports which format a log looks like, how many of its first lines fit, and the first that does not.
fn log(
    report: &mut Report,
    (source, reading): Known<'_>,
    bounds: &Bounds<'_>,
    path: &Path,
    bytes: &[u8],
) {
    let shown = path.display();
    let Some(reading) = reading else {
        let guess = guess(lines(bytes).map(|(_, _, line)| line));
        report.ok("source", format!("{shown}: readable, looks like {}", guess.name));
        return;
    };
    let Some(sample) = Sample::new(reading, &bounds.finder, path, bytes) else {
        report.ok("source", format!("{shown}: readable, no lines yet"));
        return;
    };
    let mut outcome = outcome("source", Level::Ok, sample.to_string());
    let see = sample.first.as_ref().map(|first| {
        let place = place(&source.from, bytes, first.line);
        format!("see `{}`", advice::explain(bounds.global, path, &place))
    });
    let hints = see.into_iter().chain(hints(&sample, source, path, bounds.global));
    outcome.hint = hints.collect::<Vec<_>>().join("; ");
    // However few lines there are: a check of the configuration should warn early.
    let is_rejected = sample.rejected_percent() > bounds.health.rejected_percent;
    // Servers write few tokens into the logs of their errors.
    let is_doubtful = sample.is_doubtful() && !is_error_log(path);
    if is_rejected || sample.is_incomplete() || is_doubtful || sample.proxy.is_some() {
        outcome = Outcome { level: Level::Warning, ..outcome }.at(&source.format.span);
    }
    report.0.push(Outcome { log: Some(sample), ..outcome });
}

/// Returns what to do about a log whose lines fit.
fn hints(sample: &Sample, source: &Source, path: &Path, global: &Global) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(proxy) = sample.proxy {
        hints.push(format!(
            "nearly all lines come from {proxy} for other clients: if it is your proxy, set \
             trusted_proxies = [\"{proxy}\"]"
        ));
    }
    if sample.is_doubtful() {
        let section = sample.section();
        hints.push(format!("the format may not log the token: docs/formats.md#{section}"));
    }
    let is_file = matches!(source.from, SourceFrom::Files(_));
    if sample.is_tokenless() && sample.first.is_none() && is_file {
        let parse = format!("parse {}", advice::quoted(path.as_os_str()));
        hints.push(format!("`{}` shows what is seen", advice::command(global, &parse)));
    }
    hints
}

/// Returns where to find a line again. Messages of the journal have no lasting numbers.
fn place(from: &SourceFrom, bytes: &[u8], number: u64) -> Place {
    let line = || lines(bytes).find(|(known, _, _)| *known == number);
    let cursor = match from {
        SourceFrom::Journal { .. } => line().and_then(|(_, _, line)| journal::cursor_of(line)),
        SourceFrom::Files(_) => None,
    };
    cursor.map_or(Place::Line(number), Place::Cursor)
}

fn rules(report: &mut Report, site: &Site) {
    let (rules, faults) = match site.rules() {
        Ok(rules) => rules,
        Err(error) => {
            let outcome = outcome("rules", Level::Fault, format!("{error:#}"));
            report.0.push(outcome.at(&site.config.rules.dir.span));
            return;
        }
    };
    faults.iter().for_each(|fault| report.rule(fault));
    let rules = Arc::new(rules);
    let mut held = 0_u64;
    // The built-in rules' examples passed when the program was built.
    for rule in rules.rules().iter().filter(|rule| !is_built_in(&rule.file)) {
        for trial in try_rule(rule, &rules) {
            let Some(fault) = trial.fault else {
                held += 1;
                continue;
            };
            let message = format!("{}: example {:?}: {fault}", rule.head.name, trial.title);
            let outcome = outcome("rules", Level::Fault, message);
            report.0.push(Outcome { file: Some(rule.file.to_string()), ..outcome });
        }
    }
    let [one, many] = ["example of your own passes", "examples of your own pass"];
    let own = match held {
        0 => String::new(),
        n => format!(", {}", print::counted_as(n, one, many)),
    };
    report.ok("rules", format!("{} rules{own}", rules.rules().len()));
}

fn mail(report: &mut Report, site: &Site, global: &Global) {
    let Some(mail) = &site.config.mail else {
        report.warn("mail", "no [mail]: no mail is sent");
        return;
    };
    match mailer(mail, credentials().as_deref(), Timeouts::PATIENT) {
        Ok(mailer) => {
            let to = mailer.recipients().collect::<Vec<_>>().join(", ");
            let test = advice::command(global, "test-mail");
            report.ok("mail", format!("{} to {to}; `{test}` sends a test mail", mail.server.value));
        }
        Err(error) => match error.downcast_ref::<Faults>() {
            Some(faults) => report.faults("mail", faults),
            None => {
                report.0.push(
                    outcome("mail", Level::Fault, format!("{error:#}")).at(&mail.server.span),
                );
            }
        },
    }
}

/// Reports a database that no command can read: the daemon cannot continue with it.
fn database(report: &mut Report, site: &Site) {
    match Reader::open(&site.database()) {
        // The daemon upgrades an older one when it starts. `state` reports one that cannot be opened.
        Ok(_)
        | Err(StoreError::Absent { .. } | StoreError::Older { .. } | StoreError::File { .. }) => {}
        Err(error) => report.fault("state", error.to_string(), ""),
    }
}

/// Checks that the database and the key are accessible to the daemon alone: 0600, in a directory of mode 0700. That
/// others may list the directory is worth a warning: its files are closed to them, unless they may replace them.
fn state(report: &mut Report, site: &Site) {
    let key = site.state.join("seal.key");
    let is_keyed = key.exists();
    for (path, most) in [(site.state.clone(), 0o700), (site.database(), 0o600), (key, 0o600)] {
        access(report, &path, most);
    }
    owners(report, site);
    // Only if there is a key: `key()` would create one.
    if let Some(error) = is_keyed.then(|| site.key().err()).flatten() {
        report.fault("state", format!("{error:#}"), "");
    }
}

/// Checks that the mode of a file grants at most `most`.
fn access(report: &mut Report, path: &Path, most: u32) {
    let name = path.display();
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return report.ok("state", format!("{name}: does not exist yet"));
        }
        Err(error) => return report.fault("state", format!("{name}: {error}"), ""),
        Ok(metadata) => metadata,
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !most == 0 {
        return report.ok("state", format!("{name}: {mode:04o}"));
    }
    let hint = format!("chmod {most:04o} {}", advice::quoted(path.as_os_str()));
    let found = format!("{name}: {mode:04o}, expected {most:04o}: others have access");
    let is_closed = metadata.is_dir() && mode & 0o022 == 0;
    let level = if is_closed { Level::Warning } else { Level::Fault };
    report.0.push(Outcome { hint, ..outcome("state", level, found) });
}

/// Reports files of another user in the state directory, such as root's: the daemon cannot read them. `state` reports a
/// directory that cannot be listed.
fn owners(report: &mut Report, site: &Site) {
    let state = site.state.display();
    let reference = advice::quoted(site.state.as_os_str());
    for (file, user) in private::foreign(&site.state).unwrap_or_default() {
        let shown = file.display();
        let found = format!(
            "{shown}: owned by user {user}, unlike {state}: the daemon may be unable to read it"
        );
        // -h: that user may put a link there before the command is pasted.
        let hint = format!("chown -h --reference={reference} {}", advice::quoted(file.as_os_str()));
        report.fault("state", found, &hint);
    }
}
