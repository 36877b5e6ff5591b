//! The files' values: one slot for each existing key, filled file by file; the last value wins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;
use ipnet::IpNet;
use toml::de::DeTable;

use super::detect::DetectTable;
use super::fault::{At, Fault, File, Span};
use super::read::{Node, Reading, Section, Slot};
use super::scalar::{
    count, duration, flag, globs, level, mailbox, mailboxes, names, network, number, one_of, path,
    paths, requests, server, size, text, texts, time_of_day, zone,
};
use crate::engine::alert::Level;
use crate::engine::requests::Requests;
use crate::engine::smtp::Server;
use crate::engine::zone::Zone;

const DAY: Duration = Duration::from_hours(24);
/// A hundred years: anything kept longer is kept forever.
const CENTURY: Duration = Duration::from_hours(24 * 36_525);

/// All keys of all files.
#[derive(Default)]
pub(super) struct Raw {
    /// A part could not be read, so missing keys may in fact be there.
    pub(super) is_broken: bool,
    /// What has faults: see [`super::Config::faulty`].
    pub(super) faulty: BTreeSet<&'static str>,
    pub(super) state_dir: Slot<PathBuf>,
    pub(super) sources: Vec<RawSource>,
    pub(super) tokens: RawTokens,
    pub(super) geoip: RawGeoip,
    pub(super) detect: DetectTable,
    pub(super) rules: RawRules,
    pub(super) mail: RawMail,
    pub(super) output: RawOutput,
    pub(super) retention: RawRetention,
    pub(super) alerts: RawAlerts,
    pub(super) limits: RawLimits,
}

/// `[[source]]`
#[derive(Default)]
pub(super) struct RawSource {
    pub(super) span: Span,
    pub(super) paths: Slot<Vec<At<String>>>,
    pub(super) journal: Slot<String>,
    pub(super) journal_directory: Slot<PathBuf>,
    pub(super) format: Slot<String>,
    pub(super) template: Slot<String>,
    pub(super) fields: Slot<BTreeMap<String, At<String>>>,
    pub(super) read_from: Slot<&'static str>,
    pub(super) trusted_proxies: Slot<Vec<IpNet>>,
    pub(super) service: Slot<String>,
    pub(super) time_zone: Slot<Zone>,
    pub(super) poll: Slot<bool>,
}

/// `[tokens]`
#[derive(Default)]
pub(super) struct RawTokens {
    pub(super) query: Slot<Vec<String>>,
    pub(super) cookies: Slot<Vec<String>>,
    pub(super) headers: Slot<Vec<String>>,
    pub(super) ids: Slot<Vec<String>>,
    pub(super) principal_claims: Slot<Vec<String>>,
    pub(super) sensitive: Slot<Vec<Requests>>,
}

/// `[geoip]`
#[derive(Default)]
pub(super) struct RawGeoip {
    pub(super) city: Slot<Vec<At<PathBuf>>>,
    pub(super) country: Slot<Vec<At<PathBuf>>>,
    pub(super) asn: Slot<Vec<At<PathBuf>>>,
}

/// `[rules]`
#[derive(Default)]
pub(super) struct RawRules {
    pub(super) dir: Slot<PathBuf>,
    pub(super) disable: Slot<Vec<At<String>>>,
}

/// `[mail]`
#[derive(Default)]
pub(super) struct RawMail {
    pub(super) server: Slot<Server>,
    pub(super) user: Slot<String>,
    pub(super) password_file: Slot<PathBuf>,
    pub(super) credential: Slot<String>,
    pub(super) ca_file: Slot<PathBuf>,
    pub(super) from: Slot<String>,
    pub(super) to: Slot<Vec<String>>,
    pub(super) at_once: Slot<Level>,
    pub(super) digest: Slot<NaiveTime>,
    pub(super) max_per_hour: Slot<u64>,
    pub(super) hello_name: Slot<String>,
    /// Where the last section that set any of it begins.
    pub(super) span: Span,
}

/// `[output]`
#[derive(Default)]
pub(super) struct RawOutput {
    pub(super) journal: Slot<bool>,
    pub(super) stdout: Slot<bool>,
}

/// `[retention]`
#[derive(Default)]
pub(super) struct RawRetention {
    pub(super) activity: Slot<Duration>,
    pub(super) alerts: Slot<Duration>,
    pub(super) facets: Slot<Duration>,
    pub(super) profiles: Slot<Duration>,
}

/// `[alerts]`
#[derive(Default)]
pub(super) struct RawAlerts {
    pub(super) budget: Slot<f64>,
}

/// `[limits]`
#[derive(Default)]
pub(super) struct RawLimits {
    pub(super) memory: Slot<u64>,
    pub(super) commit_interval: Slot<Duration>,
}

impl Raw {
    /// Reads another file on top of the previous ones, and returns its faults.
    pub(super) fn read(&mut self, file: &Arc<File>, content: &str) -> Vec<Fault> {
        let (table, errors) = DeTable::parse_recoverable(content);
        let mut faults: Vec<_> = errors.iter().map(|error| syntax(file, error)).collect();
        let broken: Vec<_> = faults.iter().map(line).collect();
        let mut top = Section::of_file(file, &table);
        self.read_top(&mut top);
        self.faulty.extend(top.faulty());
        // The contents of an unreadable line are a guess, and so is the table of what is below a header that is one.
        let guessed = below_headers(content, &broken);
        let is_guess = |at: Option<usize>| broken.contains(&at) || guessed.contains(&at);
        faults.extend(top.finish().into_iter().filter(|fault| !is_guess(line(fault))));
        self.is_broken |= !broken.is_empty();
        faults
    }

    fn read_top(&mut self, top: &mut Section<'_>) {
        top.read("state_dir", &mut self.state_dir, path);
        top.sections("source", |section| self.sources.push(RawSource::read(section)));
        top.section("tokens", |section| self.tokens.read(section));
        top.section("geoip", |section| self.geoip.read(section));
        top.section("detect", |section| self.detect.read(section));
        top.section("rules", |section| self.rules.read(section));
        top.section("alerts", |section| self.alerts.read(section));
        top.section("mail", |section| self.mail.read(section));
        top.section("output", |section| self.output.read(section));
        top.section("retention", |section| self.retention.read(section));
        top.section("limits", |section| self.limits.read(section));
    }
}

/// Returns the lines, counted from 1, from the broken headers of tables to the next headers.
fn below_headers(content: &str, broken: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut is_below = false;
    let mut below = Vec::new();
    for (number, line) in (1..).zip(content.lines()) {
        if line.trim_start().starts_with('[') {
            is_below = broken.contains(&Some(number));
        }
        below.extend(is_below.then_some(Some(number)));
    }
    below
}

impl RawSource {
    fn read(section: &mut Section<'_>) -> Self {
        let mut raw = Self { span: section.span(), ..Self::default() };
        section.read("paths", &mut raw.paths, globs);
        section.read("journal", &mut raw.journal, text);
        section.read("journal_directory", &mut raw.journal_directory, path);
        section.read("format", &mut raw.format, text);
        section.read("template", &mut raw.template, text);
        section.read("fields", &mut raw.fields, fields);
        section.read("read_from", &mut raw.read_from, one_of(&["end", "start"]));
        section.read("trusted_proxies", &mut raw.trusted_proxies, |node| node.list(network));
        section.read("service", &mut raw.service, text);
        section.read("time_zone", &mut raw.time_zone, zone);
        section.read("poll", &mut raw.poll, flag);
        raw
    }
}

impl RawTokens {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("query", &mut self.query, names);
        section.read("cookies", &mut self.cookies, names);
        section.read("headers", &mut self.headers, names);
        section.read("ids", &mut self.ids, names);
        section.read("principal_claims", &mut self.principal_claims, names);
        section.read("sensitive", &mut self.sensitive, requests);
    }
}

impl RawGeoip {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("city", &mut self.city, paths);
        section.read("country", &mut self.country, paths);
        section.read("asn", &mut self.asn, paths);
    }
}

impl RawRules {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("dir", &mut self.dir, path);
        section.read("disable", &mut self.disable, texts);
    }
}

impl RawMail {
    fn read(&mut self, section: &mut Section<'_>) {
        section.refuse(
            "password",
            "`password_file` or `credential`",
            "write the password into a file that only root can read, and its path here: \
             password_file = \"/etc/tokenwatch/credentials/smtp-password\"",
        );
        section.read("server", &mut self.server, server);
        section.read("user", &mut self.user, text);
        section.read("password_file", &mut self.password_file, path);
        section.read("credential", &mut self.credential, credential);
        section.read("ca_file", &mut self.ca_file, path);
        section.read("from", &mut self.from, mailbox);
        section.read("to", &mut self.to, mailboxes);
        section.read("at_once", &mut self.at_once, level);
        section.read("digest", &mut self.digest, time_of_day);
        section.read("max_per_hour", &mut self.max_per_hour, count(1..=10_000));
        section.read("hello_name", &mut self.hello_name, text);
        self.span = section.span();
    }
}

impl RawOutput {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("journal", &mut self.journal, flag);
        section.read("stdout", &mut self.stdout, flag);
    }
}

impl RawRetention {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("activity", &mut self.activity, duration(DAY..=CENTURY));
        section.read("alerts", &mut self.alerts, duration(DAY..=CENTURY));
        section.read("facets", &mut self.facets, duration(DAY..=CENTURY));
        section.read("profiles", &mut self.profiles, duration(DAY..=CENTURY));
    }
}

impl RawAlerts {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("budget", &mut self.budget, number(0.0..=1000.0));
    }
}

impl RawLimits {
    fn read(&mut self, section: &mut Section<'_>) {
        section.read("memory", &mut self.memory, size(16 << 20..=1 << 40));
        let interval = Duration::from_millis(1)..=Duration::from_secs(60);
        section.read("commit_interval", &mut self.commit_interval, duration(interval));
    }
}

/// Reads a table from a record's field to its name in the log.
fn fields(node: Node<'_>) -> Reading<BTreeMap<String, At<String>>> {
    let Some(table) = node.table() else {
        return Err(node.wrong("a table", "write { status = \"code\", ... }"));
    };
    let (mut fields, mut faults) = (BTreeMap::new(), Vec::new());
    for (key, value) in table {
        match text(value) {
            Ok(name) => {
                fields.insert(key.to_owned(), At { value: name, span: value.span() });
            }
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(fields) } else { Err(faults) }
}

/// Reads the name of a systemd credential: a file in one folder, never a path out of it.
fn credential(node: Node<'_>) -> Reading<String> {
    let name = text(node)?;
    let is_file_name = !name.contains(['/', '\0']) && name != "." && name != "..";
    if is_file_name {
        return Ok(name);
    }
    Err(node.wrong("the name of a systemd credential", "for a path there is `password_file`"))
}

fn syntax(file: &Arc<File>, error: &toml::de::Error) -> Fault {
    let span = Span::new(file, error.span().unwrap_or_default());
    let message = error.message();
    match message.split_once(", expected ") {
        Some((found, expected)) => span.fault(found, expected, ""),
        None => span.fault(message, "", ""),
    }
}

fn line(fault: &Fault) -> Option<usize> {
    fault.span.line_and_column().map(|(line, _)| line)
}
