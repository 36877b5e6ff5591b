//! The configuration: the meaning of its files with every default filled in, or all their faults.
//!
//! Two stages: `raw` contains the files' values key by key; this file interprets them. Only [`Config::draft`],
//! [`Mail::password`] and [`Mail::ca_pem`] read files.

mod detect;
mod fault;
mod mail;
mod raw;
mod read;
mod scalar;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use self::raw::{Raw, RawLimits, RawRetention, RawSource, RawTokens};
use self::read::Slot;
use crate::engine::line::ReadFrom;
use crate::engine::requests::Requests;
use crate::engine::zone::Zone;

pub use self::detect::DetectTable;
pub use self::fault::{At, Colour, Fault, Faults, File, Span};
pub use self::mail::{DEFAULT_CREDENTIAL, Mail, PasswordFrom};
pub use self::value::{Wrong, duration, show_duration, show_size, size};

/// The configuration file, unless another one is named.
pub const DEFAULT_PATH: &str = "/etc/tokenwatch/tokenwatch.toml";
/// The folder next to the main file whose `*.toml` are read after it, in lexical order.
const DROP_INS: &str = "conf.d";
/// The limit of a file; a larger one is the wrong file.
const MAX_FILE: u64 = 1 << 20;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The files it was read from, in order; empty for the defaults.
    pub files: Vec<PathBuf>,
    /// The directory of the state, if the files name it.
    pub state_dir: Option<PathBuf>,
    /// The logs to read.
    pub sources: Vec<Source>,
    /// Where tokens are, besides the built-in places.
    pub tokens: Tokens,
    /// The files that locate addresses.
    pub geoip: Geoip,
    /// The settings of the detectors.
    pub detect: DetectTable,
    /// The rules in force.
    pub rules: Rules,
    /// How mail is sent; `None` if it is not sent.
    pub mail: Option<Mail>,
    /// Where else alerts go.
    pub output: Output,
    /// How long data is kept.
    pub retention: Retention,
    /// How many mails per week are wanted.
    pub alerts: Alerts,
    /// Limits of resources.
    pub limits: Limits,
    /// The sections and the keys outside of sections that have faults, so that something may be missing here; also
    /// [`UNKNOWN`], if one has an unknown name.
    pub faulty: BTreeSet<&'static str>,
}

/// Stands in [`Config::faulty`] for what has an unknown name.
pub const UNKNOWN: &str = "";

/// `[[source]]`: logs of one format.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Where they come from.
    pub from: SourceFrom,
    /// How their lines are parsed.
    pub format: At<FormatChoice>,
    /// Where reading of an unknown file begins.
    pub read_from: ReadFrom,
    /// Peers that are trusted to state the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// The service of the logs; empty if not configured.
    pub service: String,
    /// The clock of times without a zone.
    pub zone: Option<Zone>,
    /// Finds changes of files by looking once a second, without the kernel's notifications.
    pub is_polled: bool,
    /// Where the table begins.
    pub span: Span,
}

/// Where logs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceFrom {
    /// Files, by absolute paths and patterns in the syntax of the `glob` crate.
    Files(Vec<At<String>>),
    /// A unit's messages in the systemd journal: this host's, or the one in a directory.
    Journal {
        /// The unit's name.
        unit: At<String>,
        /// The directory of the journal files, if they are not this host's.
        directory: Option<PathBuf>,
    },
}

/// How lines are parsed. The caller, which knows the formats, checks names and templates and reports faults with
/// [`Span::fault`].
#[derive(Clone, Debug, PartialEq)]
pub enum FormatChoice {
    /// By a name such as `nginx-combined`; `auto` recognises the format.
    Preset(String),
    /// By an nginx `log_format` or an Apache `LogFormat`.
    Template(String),
    /// As JSON with the keys named here for the record's fields, on top of a preset's, if one is named.
    Fields {
        /// The preset below the fields.
        preset: Option<At<String>>,
        /// From a record's field to the log's key.
        fields: BTreeMap<String, At<String>>,
    },
}

/// `[tokens]`: names of places that contain tokens, added to the built-in ones, and what takes more than a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Query parameters.
    pub query: Vec<String>,
    /// Cookies.
    pub cookies: Vec<String>,
    /// Headers, in lower case.
    pub headers: Vec<String>,
    /// Log fields that contain a token's id instead of the secret.
    pub ids: Vec<String>,
    /// The JWT claims that identify the principal, `iss` and `sub` by default.
    pub principal_claims: Vec<String>,
    /// Requests that take a second factor.
    pub sensitive: Vec<Requests>,
}

/// `[geoip]`: MMDB files; the first one that knows an address is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geoip {
    /// With cities.
    pub city: Vec<At<PathBuf>>,
    /// With countries.
    pub country: Vec<At<PathBuf>>,
    /// With networks.
    pub asn: Vec<At<PathBuf>>,
}

/// `[rules]`
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The folder of the site's own rules; it need not exist, unless the files name it.
    pub dir: At<PathBuf>,
    /// Names of disabled rules.
    pub disable: Vec<At<String>>,
}

/// `[output]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Alerts go to the systemd journal.
    pub journal: bool,
    /// Alerts go to standard output, as JSON.
    pub stdout: bool,
}

/// `[retention]`: how long data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Usage of tokens by hour.
    pub activity: Duration,
    /// Alerts and incidents, counted from their last change.
    pub alerts: Duration,
    /// Addresses, networks, clients and routes of tokens, counted from when they were last seen.
    pub facets: Duration,
    /// What is normal for a principal, counted from when it was last seen.
    pub profiles: Duration,
}

/// `[alerts]`
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alerts {
    /// The most scores to mail per week; 0 for no limit.
    pub budget: f64,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The approximate limit of the process's memory in bytes. One of less than 182 MiB may be exceeded: profiles and
    /// tokens then take a quarter of it, besides the 136 MiB of the program itself.
    pub memory: u64,
    /// How long data that was read may wait for its transaction.
    pub commit_interval: Duration,
}

impl Default for Config {
    /// Returns the configuration of a machine without any file.
    fn default() -> Self {
        let (config, _) = Self::mean(Raw::default(), Vec::new(), Path::new(DEFAULT_PATH));
        config
    }
}

impl Config {
    /// Reads the named file, else the default one if it exists; then `conf.d/*.toml` next to it. Of a repeated key
    /// the last value wins; `[[source]]` tables add up.
    ///
    /// Returns everything that could be interpreted besides all faults, so that more of it can be checked at once;
    /// `None` if a file cannot be read or is not TOML.
    #[must_use]
    pub fn draft(path: Option<&Path>) -> (Option<Self>, Faults) {
        let main = path.unwrap_or(Path::new(DEFAULT_PATH));
        let main = std::path::absolute(main).unwrap_or_else(|_| main.to_owned());
        let mut files = Vec::new();
        let mut faults = Vec::new();
        match read(&main) {
            Ok(text) => files.push((main.clone(), text)),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => faults.push(unreadable(&main, &error)),
        }
        for path in drop_ins(&main).unwrap_or_else(|(path, error)| {
            faults.push(unreadable(&path, &error));
            Vec::new()
        }) {
            match read(&path) {
                Ok(text) => files.push((path, text)),
                Err(error) => faults.push(unreadable(&path, &error)),
            }
        }
        Self::parse_all(files, &main, faults)
    }

    /// Parses a text as if it were in the file `path`.
    ///
    /// # Errors
    /// Returns everything that is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Faults> {
        let files = vec![(path.to_owned(), text.as_bytes().to_vec())];
        match Self::parse_all(files, path, Vec::new()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    fn parse_all(
        files: Vec<(PathBuf, Vec<u8>)>,
        main: &Path,
        mut faults: Vec<Fault>,
    ) -> (Option<Self>, Faults) {
        let is_readable = faults.is_empty();
        let mut raw = Raw::default();
        for (path, bytes) in &files {
            let lossy = String::from_utf8_lossy(bytes);
            let file = File::new(path, &lossy);
            match std::str::from_utf8(bytes) {
                Ok(text) => faults.extend(raw.read(&file, text)),
                Err(error) => {
                    let at = error.valid_up_to();
                    let span = Span::new(&file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
                    faults.push(span.fault("found bytes that are not UTF-8", "UTF-8", ""));
                }
            }
        }
        let paths: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
        let is_broken = raw.is_broken;
        let (config, more) = Self::mean(raw, paths.clone(), main);
        if !is_broken {
            faults.extend(more);
        }
        let nth = |span: &Span| paths.iter().position(|path| Some(path.as_path()) == span.path());
        faults.sort_by_key(|fault| (nth(&fault.span), fault.span.line_and_column()));
        ((is_readable && !is_broken).then_some(config), faults.into_iter().collect())
    }

    /// Combines the slots into a configuration.
    fn mean(raw: Raw, files: Vec<PathBuf>, main: &Path) -> (Self, Vec<Fault>) {
        let (mut faults, mut faulty) = (Vec::new(), raw.faulty);
        let sources = raw.sources.into_iter().filter_map(|raw| Source::new(raw, &mut faults));
        let sources = sources.collect();
        faulty.extend((!faults.is_empty()).then_some("source"));
        let n_before = faults.len();
        let mail = Mail::new(raw.mail, &mut faults);
        faulty.extend((faults.len() > n_before).then_some("mail"));
        let default_rules = At {
            value: main.parent().unwrap_or(Path::new("")).join("rules.d"),
            span: Span::default(),
        };
        let config = Self {
            files,
            state_dir: raw.state_dir.value(),
            sources,
            tokens: Tokens::new(raw.tokens),
            geoip: Geoip {
                city: raw.geoip.city.or_default(),
                country: raw.geoip.country.or_default(),
                asn: raw.geoip.asn.or_default(),
            },
            detect: raw.detect,
            rules: Rules {
                dir: raw.rules.dir.at().unwrap_or(default_rules),
                disable: raw.rules.disable.or_default(),
            },
            mail,
            output: Output {
                journal: raw.output.journal.or(true),
                stdout: raw.output.stdout.or(false),
            },
            retention: Retention::new(raw.retention),
            alerts: Alerts { budget: raw.alerts.budget.or_default() },
            limits: Limits::new(raw.limits),
            faulty,
        };
        (config, faults)
    }
}

impl Tokens {
    fn new(raw: RawTokens) -> Self {
        let mut headers = raw.headers.or_default();
        headers.iter_mut().for_each(|name| name.make_ascii_lowercase());
        let claims = || vec!["iss".to_owned(), "sub".to_owned()];
        Self {
            query: raw.query.or_default(),
            cookies: raw.cookies.or_default(),
            headers,
            ids: raw.ids.or_default(),
            principal_claims: raw.principal_claims.value().unwrap_or_else(claims),
            sensitive: raw.sensitive.or_default(),
        }
    }
}

impl Retention {
    /// Sets the defaults: a year, and enough more to compare it with the same week of the previous one.
    fn new(raw: RawRetention) -> Self {
        const KEPT: Duration = Duration::from_hours(24 * 400);
        Self {
            activity: raw.activity.or(KEPT),
            alerts: raw.alerts.or(KEPT),
            facets: raw.facets.or(KEPT),
            profiles: raw.profiles.or(KEPT),
        }
    }
}

impl Limits {
    fn new(raw: RawLimits) -> Self {
        Self {
            memory: raw.memory.or(256 << 20),
            commit_interval: raw.commit_interval.or(Duration::from_millis(200)),
        }
    }
}

impl Source {
    fn new(raw: RawSource, faults: &mut Vec<Fault>) -> Option<Self> {
        let span = raw.span.clone();
        let format = format(raw.format, raw.template, raw.fields, faults);
        let directory = raw.journal_directory.at().map(|at| at.value);
        let from = match (raw.paths, raw.journal) {
            (Slot::Set(_), Slot::Set(journal)) => {
                let found = "both `paths` and `journal`";
                let hint = "write a [[source]] for each";
                faults.push(journal.span.fault(found, "one of them", hint));
                return None;
            }
            (Slot::Absent, Slot::Absent) => {
                let found = "[[source]] without `paths` or `journal`";
                let hint = "add paths = [\"/var/log/nginx/*access.log\"]";
                faults.push(span.fault(found, "one of them", hint));
                return None;
            }
            (Slot::Set(paths), _) if paths.value.is_empty() => {
                faults.push(paths.span.fault("found []", "at least one path", ""));
                return None;
            }
            (Slot::Set(paths), _) => SourceFrom::Files(paths.value),
            (_, Slot::Set(unit)) => {
                if let Some(poll) = raw.poll.span() {
                    let hint = "leave it out: the journal is not looked at as files are";
                    faults.push(poll.fault(
                        "`poll` beside `journal`",
                        "`poll` beside `paths`",
                        hint,
                    ));
                }
                SourceFrom::Journal { unit, directory }
            }
            _ => return None,
        };
        let is_start = raw.read_from.or("end") == "start";
        Some(Self {
            from,
            format,
            read_from: if is_start { ReadFrom::Start } else { ReadFrom::End },
            trusted_proxies: raw.trusted_proxies.or_default(),
            service: raw.service.or_default(),
            zone: raw.time_zone.value(),
            is_polled: raw.poll.or_default(),
            span,
        })
    }
}

/// Combines preset, template and fields: one of them, or fields on top of a preset.
fn format(
    preset: Slot<String>,
    template: Slot<String>,
    fields: Slot<BTreeMap<String, At<String>>>,
    faults: &mut Vec<Fault>,
) -> At<FormatChoice> {
    let other = preset.span().map(|_| "`format`").or(fields.span().map(|_| "`fields`"));
    if let (Slot::Set(template), Some(other)) = (&template, other) {
        let found = format!("both `template` and {other}");
        faults.push(template.span.fault(found, "one of them", "a template says it all"));
    }
    match (preset.at(), template.at(), fields.at()) {
        (_, Some(At { value, span }), _) => At { value: FormatChoice::Template(value), span },
        (preset, None, Some(At { value, span })) => {
            At { value: FormatChoice::Fields { preset, fields: value }, span }
        }
        (Some(At { value, span }), None, None) => At { value: FormatChoice::Preset(value), span },
        (None, None, None) => {
            At { value: FormatChoice::Preset("auto".to_owned()), span: Span::default() }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1MiB"));
    }
    Ok(bytes)
}

/// Returns `conf.d/*.toml` next to the main file, in lexical order. Hidden files belong to an editor.
fn drop_ins(main: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let folder = main.parent().unwrap_or(Path::new("")).join(DROP_INS);
    let named = |error| (folder.clone(), error);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(named(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(named)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "the user that runs tokenwatch must be able to read it",
        _ => "",
    };
    let span = Span::new(&File::new(path, ""), 0..0);
    span.fault(format!("the file cannot be read: {error}"), "", hint)
}

#[cfg(test)]
mod tests;
