//! `audit`: what is to be mended about tokens, whether or not they are used in an unusual way.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value as Json, json};

use crate::cli::args::Audit as Options;
use crate::cli::exit::usage;
use crate::cli::grouped::label_of;
use crate::cli::print::{self, Printer};
use crate::cli::tokens::token_json;
use crate::cli::{Context, exit, state, table, when};
use crate::clock::now;
use crate::daemon::run::host;
use crate::daemon::site::Site;
use crate::engine::alert::Level;
use crate::engine::detect::LEEWAY;
use crate::engine::posture::{Finding, Limits};
use crate::engine::time::{HOUR, SECOND, Timestamp};
use crate::report::audit::{Audit, Subject};
use crate::report::page::page;
use crate::store::{Audited, TokenSummary, private};

/// The name of standard output, where a file is expected.
const STANDARD_OUTPUT: &str = "-";

/// How many subjects a terminal shows.
const ON_TERMINAL: u32 = 50;

/// How many subjects a page shows: more than anybody reads, and still quick to open.
const ON_PAGE: u32 = 1000;

/// How many groups of unregistered tokens are named. Issuers are claims: there could be any number.
const NAMED_GROUPS: usize = 10;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    let now = now();
    let html = options.html.as_deref();
    if context.printer.is_json() && html.is_some_and(is_standard_output) {
        return Err(usage("--html - and --json both write to standard output"));
    }
    let limits = limits(&context.site, options)?;
    let reader = state::reader(&context.site)?;
    let n_most = options.limit.unwrap_or(match html {
        Some(_) => ON_PAGE,
        None => ON_TERMINAL,
    });
    let mut audit =
        Audit::new(usize::try_from(n_most)?, options.findings.iter().copied().collect());
    let printer = &mut context.printer;
    let lists_worst = options.limit.is_some();
    let mut printed = Ok(());
    reader.audit(&limits, now, &mut |audited| {
        audit.count(audited.n_tokens, &audited.findings, || group(&audited.token));
        if printer.is_json() && !lists_worst && audit.wants(&audited.findings) {
            printed = printer.json(&audited_json(&audited));
        }
        if audit.lists(audited.is_registered, &audited.findings) {
            let json = (printer.is_json() && lists_worst).then(|| audited_json(&audited));
            audit.list(subject(audited, json));
        }
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    printed?;
    audit.worst().filter_map(|one| one.json.as_ref()).try_for_each(|json| printer.json(json))?;
    tell(printer, &audit, html, now)?;
    let has_failed = audit.has_any(&options.fail_on);
    Ok(if has_failed { ExitCode::from(exit::CONDITION) } else { ExitCode::SUCCESS })
}

fn is_standard_output(file: &Path) -> bool {
    file.as_os_str() == STANDARD_OUTPUT
}

/// Prints the audit, unless it was printed as JSON, and writes its page, if one is wanted.
fn tell(
    printer: &mut Printer,
    audit: &Audit,
    html: Option<&Path>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let is_text = !printer.is_json();
    match html {
        Some(file) if is_standard_output(file) => {
            printer.line(page(audit, &host(), now).trim_end())?;
        }
        Some(file) => {
            let named = print::safe(file.to_string_lossy());
            save(file, &page(audit, &host(), now)).with_context(|| format!("writing {named}"))?;
            if is_text {
                sums(printer, audit)?;
                printer.line(format_args!("written: {named}"))?;
            }
        }
        None if is_text => {
            sums(printer, audit)?;
            worst(printer, audit, now)?;
        }
        None => {}
    }
    Ok(())
}

/// Returns the limits of the command line and those of the rules about dead tokens. With a faulty configuration, these
/// are the defaults.
fn limits(site: &Site, options: &Options) -> anyhow::Result<Limits> {
    let params = site.params().unwrap_or_default();
    let lifecycle = &params.lifecycle;
    #[expect(clippy::cast_possible_truncation, reason = "a cast to an integer saturates")]
    let span = |count: f64, unit: i64| (count as i64).saturating_mul(unit);
    Ok(Limits {
        max_age: when::duration(&options.max_age)?,
        unused: when::duration(&options.unused)?,
        soon: [lifecycle.notice_days, lifecycle.soon_days, lifecycle.last_days]
            .map(|days| span(days * 24.0, HOUR)),
        long: span(lifecycle.too_long_days * 24.0, HOUR),
        leeway: LEEWAY * SECOND,
        expired: span(params.expired.grace_seconds, SECOND),
        revoked: span(params.revoked.grace_seconds, SECOND),
        rotated: span(params.rotated.overlap_hours, HOUR),
    })
}

/// Returns what a token that nobody registered is counted under: who issued it, as far as it says so, else its kind.
fn group(token: &TokenSummary) -> String {
    let issuer = token.principal.strip_prefix("jwt:").and_then(|rest| rest.rsplit_once(':'));
    match issuer {
        Some((issuer, _)) => format!("jwt of {}", print::safe(issuer)),
        None => print::safe(&token.kind),
    }
}

fn subject(audited: Audited, json: Option<Json>) -> Subject {
    let Audited { token, n_tokens, is_registered, findings } = audited;
    let label = label_of(&token, n_tokens);
    let (state, last_seen) = (token.state.as_str(), token.last_seen);
    Subject { label, state, is_registered, last_seen, findings, json }
}

/// Returns the token as `tokens list --json` prints it; the places of several tokens cannot be added up.
fn audited_json(audited: &Audited) -> Json {
    let mut json = token_json(&audited.token);
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|name, _| !["countries", "networks", "addresses"].contains(&name.as_str()));
    }
    let findings = audited.findings.iter().map(finding_json).collect();
    print::extend(&mut json, [("tokens", json!(audited.n_tokens)), ("findings", findings)]);
    json
}

fn finding_json(finding: &Finding) -> Json {
    print::object([
        ("name", json!(finding.kind.as_str())),
        ("level", json!(finding.kind.level())),
        ("since", print::time(finding.since)),
        ("detail", json!(finding.detail)),
    ])
}

/// Prints how many tokens have which findings, and what to do about each.
fn sums(printer: &mut Printer, audit: &Audit) -> io::Result<()> {
    let (n_tokens, n_subjects, n_found) = audit.totals();
    printer.line(format_args!(
        "{}: {} of {} tokens and principals have something to mend",
        print::counted(n_tokens, "token"),
        print::number(n_found),
        print::number(n_subjects),
    ))?;
    if n_found == 0 {
        return Ok(());
    }
    let mut table = table::table(&["level", "finding", "tokens", "what to do"]);
    for (kind, count) in audit.counts() {
        let (name, level) = (kind.as_str(), kind.level().as_str());
        table.add_row([level, name, &print::number(count), kind.remedy()]);
    }
    printer.line("")?;
    printer.line(coloured(&table))?;
    match audit.groups().as_slice() {
        [] => Ok(()),
        groups => printer.line(format_args!("\nunregistered: {}", largest(groups))),
    }
}

/// Names the largest groups of those that are sorted by size, and how many there are besides.
fn largest(groups: &[(&str, u64)]) -> String {
    let named = groups.iter().take(NAMED_GROUPS);
    let named = named.map(|(group, count)| format!("{} {group}", print::number(*count)));
    let named = named.collect::<Vec<_>>().join(", ");
    match groups.len().saturating_sub(NAMED_GROUPS) {
        0 => named,
        n_more => format!("{named}, and {}", print::counted(n_more as u64, "further group")),
    }
}

fn worst(printer: &mut Printer, audit: &Audit, now: Timestamp) -> io::Result<()> {
    let mut table = table::table(&["level", "token", "state", "last seen", "findings"]);
    for Subject { label, state, last_seen, findings, .. } in audit.worst() {
        let level = findings.iter().map(|finding| finding.kind.level()).max().unwrap_or_default();
        let names: Vec<&str> = findings.iter().map(|finding| finding.kind.as_str()).collect();
        let last = last_seen.map_or_else(|| "never".to_owned(), |last| print::ago(last, now));
        table.add_row([level.as_str(), label, state, &last, &names.join(", ")]);
    }
    if table.is_empty() {
        return Ok(());
    }
    printer.line("")?;
    printer.line(coloured(&table))?;
    if 0 < audit.n_more() {
        print::say(format_args!("{} more; -n or --json for them", print::number(audit.n_more())));
    }
    Ok(())
}

fn coloured(table: &comfy_table::Table) -> String {
    table::coloured(table, |word| Level::parse(word).map(print::style))
}

/// Writes the page: into a file, or through a pipe or a character device, which a file must not replace.
fn save(file: &Path, text: &str) -> io::Result<()> {
    match fs::symlink_metadata(file) {
        Ok(there) if !there.is_file() => write_through(file, text),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => replace(file, text),
    }
}

fn write_through(file: &Path, text: &str) -> io::Result<()> {
    expect_stream(&fs::metadata(file)?)?;
    let mut stream = OpenOptions::new().write(true).open(file)?;
    // Another one may have taken its place.
    expect_stream(&stream.metadata()?)?;
    stream.write_all(text.as_bytes())
}

fn expect_stream(there: &Metadata) -> io::Result<()> {
    let kind = there.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        return Ok(());
    }
    let expected = "expected a regular file (no link to one), a pipe, or - for standard output";
    Err(io::Error::new(ErrorKind::InvalidInput, expected))
}

/// Writes a file that only its owner may read: whole, or not at all.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let (path, mut new) = make_beside(file)?;
    let written = new.write_all(text.as_bytes()).and_then(|()| new.sync_all());
    let renamed = written.and_then(|()| fs::rename(&path, file));
    if renamed.is_err() {
        // The first error says more than that nothing could be removed.
        fs::remove_file(&path).ok();
    }
    renamed
}

/// Makes a file beside another, under a name that nobody has: `audit.html.new1`.
fn make_beside(file: &Path) -> io::Result<(PathBuf, File)> {
    /// More than interrupted commands leave behind.
    const MAX_NAMES: u32 = 100;
    for n in 1..=MAX_NAMES {
        let mut path = OsString::from(file);
        path.push(format!(".new{n}"));
        let path = PathBuf::from(path);
        match private::make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|new| (path, new)),
        }
    }
    let why = format!("all names up to {}.new{MAX_NAMES} are taken", file.display());
    Err(io::Error::new(ErrorKind::AlreadyExists, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_groups_are_named_and_further_ones_counted() {
        let groups: Vec<(&str, u64)> = (0..11).map(|n| ("opaque", 20 - n)).collect();
        assert_eq!(largest(&groups[..2]), "20 opaque, 19 opaque");
        assert!(largest(&groups[..10]).ends_with(" 11 opaque"));
        assert!(largest(&groups).ends_with(" 11 opaque, and 1 further group"));
    }
}
