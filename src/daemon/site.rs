//! A site: its configuration, its state directory, and the parts assembled from them.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use smol_str::SmolStr;
use tracing::warn;

use crate::atlas::{Reloading, Settings};
use crate::config::{
    At, Config, Fault, Faults, FormatChoice, Mail, Source as ConfiguredSource, SourceFrom,
};
use crate::engine::detect::Params;
use crate::engine::incident::Policy;
use crate::engine::judge::Judge;
use crate::engine::reader::{Reader, Source};
use crate::engine::record::Format;
use crate::engine::registry::Registry;
use crate::engine::rule::{Disabled, RuleFault, RuleSet, Spot};
use crate::engine::token::{Finder, Names, Sealer};
use crate::engine::word::Words;
use crate::source::follow::Watch;
use crate::source::journal::{UnitWatch, whole_name};
use crate::store::{self, Store, backed_up};

/// The name of the database in the state directory.
pub const DATABASE: &str = "tokenwatch.db";

/// Approximate memory of the process besides subjects and tokens: the program, the built-in places, buffers, SQLite's
/// caches, what is judged while a replay commits, and free memory that the allocator keeps.
const REST_BYTES: u64 = 136 << 20;

/// A configuration and its state directory.
#[derive(Clone, Debug)]
pub struct Site {
    /// The contents of the files.
    pub config: Config,
    /// The directory of the database and the key.
    pub state: PathBuf,
    /// Whether alerts are mailed, if there is a server: they are not while somebody looks at old logs.
    pub is_mailing: bool,
}

impl Site {
    /// Reads the configuration. `state` is the command line's state directory; `fallback` returns the default if
    /// neither the command line nor the configuration names one.
    ///
    /// # Errors
    /// All faults in the files.
    pub fn load(
        config: Option<&Path>,
        state: Option<PathBuf>,
        fallback: impl FnOnce() -> PathBuf,
    ) -> Result<Self, Faults> {
        match Self::draft(config, state, fallback) {
            (Some(site), faults) if faults.is_empty() => Ok(site),
            (_, faults) => Err(faults),
        }
    }

    /// Reads as much of the configuration as can be understood, and returns all faults in the files.
    #[must_use]
    pub fn draft(
        config: Option<&Path>,
        state: Option<PathBuf>,
        fallback: impl FnOnce() -> PathBuf,
    ) -> (Option<Self>, Faults) {
        let (config, faults) = Config::draft(config);
        let site = config.map(|config| {
            let state = state.or_else(|| config.state_dir.clone()).unwrap_or_else(fallback);
            Self { config, state, is_mailing: true }
        });
        (site, faults)
    }

    /// Returns the path of the database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join(DATABASE)
    }

    /// Opens the database for writing, and creates it if there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn store(&self) -> anyhow::Result<Store> {
        // Ensures that a database without a key has lost it.
        self.key_text()?;
        // A new database in place of a lost one would keep the daemon from restoring it.
        let is_there = fs::metadata(self.database()).is_ok_and(|file| file.len() > 0);
        anyhow::ensure!(
            is_there || backed_up(&self.database()).is_none(),
            "the database {} is gone or empty, but its backup is not: start the daemon, which restores it",
            self.database().display()
        );
        Ok(Store::open(&self.database())?)
    }

    /// Returns the names of fields that contain tokens.
    #[must_use]
    pub fn names(&self) -> Names {
        let tokens = &self.config.tokens;
        let list = |names: &[String]| names.iter().map(SmolStr::new).collect();
        Names {
            query: list(&tokens.query),
            cookies: list(&tokens.cookies),
            headers: list(&tokens.headers),
            ids: list(&tokens.ids),
            principal_claims: list(&tokens.principal_claims),
        }
    }

    /// Returns the configured sources, in their order, with the site's names of ids.
    ///
    /// # Errors
    /// Every invalid format.
    pub fn sources(&self) -> Result<Vec<Source>, Faults> {
        let mut faults = Vec::new();
        let mut sources = Vec::new();
        for source in &self.config.sources {
            match format(source) {
                Ok(format) => sources.push(Source {
                    format,
                    trusted_proxies: source.trusted_proxies.clone(),
                    service: SmolStr::new(&source.service),
                    zone: source.zone,
                }),
                Err(fault) => faults.push(*fault),
            }
        }
        if faults.is_empty() {
            Ok(self.with_ids(sources))
        } else {
            Err(faults.into_iter().collect())
        }
    }

    /// Returns the sources with the site's names of ids.
    fn with_ids(&self, sources: Vec<Source>) -> Vec<Source> {
        let ids = self.names().ids;
        let with_ids = |source: Source| {
            let format = source.format.with_ids(&ids);
            Source { format, ..source }
        };
        sources.into_iter().map(with_ids).collect()
    }

    /// Creates a reader of these sources, with the site's names: a format that a command names has none yet.
    ///
    /// # Errors
    /// Those of the key.
    pub fn reader(&self, sources: Vec<Source>) -> anyhow::Result<Reader> {
        let names = self.names();
        let sources = self.with_ids(sources);
        Ok(Reader::new(Finder::new(&names), Sealer::new(self.key()?, &names), sources))
    }

    /// Returns the files to follow; those of source N have the index N.
    #[must_use]
    pub fn watches(&self) -> Vec<Watch> {
        let sources = self.config.sources.iter().enumerate();
        sources
            .filter_map(|(index, source)| match &source.from {
                SourceFrom::Files(paths) => Some(Watch {
                    source: index,
                    patterns: paths.iter().map(|path| PathBuf::from(&path.value)).collect(),
                    read_from: source.read_from,
                    is_polled: source.is_polled,
                    like: Vec::new(),
                }),
                SourceFrom::Journal { .. } => None,
            })
            .collect()
    }

    /// Returns the units of the journal to follow; that of source N has the index N.
    #[must_use]
    pub fn units(&self) -> Vec<UnitWatch> {
        let sources = self.config.sources.iter().enumerate();
        sources
            .filter_map(|(index, source)| match &source.from {
                SourceFrom::Journal { unit, directory } => Some(UnitWatch {
                    source: index,
                    unit: whole_name(&unit.value),
                    directory: directory.clone(),
                    read_from: source.read_from,
                }),
                SourceFrom::Files(_) => None,
            })
            .collect()
    }

    /// Returns the detectors' parameters, with the requests that take a second factor.
    ///
    /// # Errors
    /// Every unknown key and every invalid value.
    pub fn params(&self) -> Result<Params, Faults> {
        let mut table = self.config.detect.clone();
        let sensitive = self.config.tokens.sensitive.clone();
        let mut params = Params { sensitive, ..Params::default() };
        for parameter in Params::list() {
            let range = 0.0..=f64::MAX;
            if let Some(value) = table.number(parameter.section, parameter.key, range) {
                // The name comes from the list and the value from its range, so `set` accepts both.
                params.set(parameter.section, parameter.key, value).ok();
            }
        }
        let score = params.profile.score;
        if !score.is_ordered() {
            let (notice, alert, critical) = (score.notice, score.alert, score.critical);
            let expected = format!(
                "notice <= alert <= critical in [detect.score], which are {notice}, {alert} and {critical}"
            );
            for key in ["notice", "alert", "critical"] {
                table.refuse("score", key, &expected);
            }
        }
        table.finish().map(|()| params)
    }

    /// Returns the rules in force, and the faults in the site's rules.
    ///
    /// # Errors
    /// The configured folder of rules cannot be read.
    pub fn rules(&self) -> anyhow::Result<(RuleSet, Vec<RuleFault>)> {
        let folder = &self.config.rules.dir;
        let files = rule_files(&folder.value);
        let files = match files {
            Err(error) if error.kind() == ErrorKind::NotFound && folder.span.path().is_none() => {
                Vec::new()
            }
            files => {
                files.with_context(|| format!("reading rules in {}", folder.value.display()))?
            }
        };
        let disabled = self.config.rules.disable.iter().map(|At { value, span }| Disabled {
            name: value.into(),
            file: span.path().map(Path::to_string_lossy).unwrap_or_default().into(),
            at: span.line_and_column().map(|(line, column)| Spot { line, column }),
        });
        let disabled: Vec<Disabled> = disabled.collect();
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(RuleSet::new(files, &disabled))
    }

    /// Returns how to send mails; `None` if nothing is mailed.
    #[must_use]
    pub fn mail(&self) -> Option<&Mail> {
        self.config.mail.as_ref().filter(|_| self.is_mailing)
    }

    /// Returns from which level incidents are mailed at once; without mail, the default.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let policy = Policy::default();
        let at_once = self.config.mail.as_ref().map(|mail| mail.at_once).or(policy.at_once);
        Policy { at_once, budget: self.config.alerts.budget, ..policy }
    }

    /// Creates a judge with the site's rules and parameters.
    ///
    /// # Errors
    /// All faults in them.
    pub fn judge(&self, registry: Registry, policy: Policy) -> anyhow::Result<Judge> {
        let params = self.params()?;
        let (rules, faults) = self.rules()?;
        anyhow::ensure!(faults.is_empty(), FaultyRules(faults));
        Ok(Judge::new(params, rules, registry, policy))
    }

    /// Creates a judge that knows the state: registry, mutes and words.
    ///
    /// # Errors
    /// All faults in rules and parameters, and those of the store.
    pub fn judge_of(&self, store: &store::Reader) -> anyhow::Result<Judge> {
        let words = Words::new(store.words()?);
        let policy = Policy { mutes: store.mutes()?, words, ..self.policy() };
        self.judge(Registry::new(store.registry()?), policy)
    }

    /// Opens the GeoIP files, configured or in the usual places. Never fails: the atlas reports files that it cannot
    /// read, and the built-in table is used instead.
    #[must_use]
    pub fn atlas(&self) -> Reloading {
        let geoip = &self.config.geoip;
        let paths =
            |files: &[At<PathBuf>]| files.iter().map(|at| at.value.clone()).collect::<Vec<_>>();
        let city = [paths(&geoip.city), paths(&geoip.country)].concat();
        Reloading::open(Settings { city, asn: paths(&geoip.asn), ..Settings::default() })
    }

    /// Opens the GeoIP files as [`Self::atlas`] does, and logs those that cannot be used.
    #[must_use]
    pub fn atlas_with_warnings(&self) -> Reloading {
        let atlas = self.atlas();
        for layer in atlas.faults() {
            let path = layer.path.unwrap_or_default();
            let fault = layer.fault.map(|fault| fault.to_string()).unwrap_or_default();
            warn!(path = %path.display(), fault, "A GeoIP file cannot be used.");
        }
        atlas
    }

    /// Returns how many bytes of memory subjects and tokens may take: what the limit leaves, but at least a quarter of
    /// it. With fewer, a daemon would do little else than recall them; and it rarely takes all of [`REST_BYTES`].
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        let memory = self.config.limits.memory;
        let bound = memory.saturating_sub(REST_BYTES).max(memory / 4);
        usize::try_from(bound).unwrap_or(usize::MAX)
    }
}

/// Invalid rules of the site: without them, their alerts would be missing silently.
#[derive(Debug, thiserror::Error)]
pub struct FaultyRules(Vec<RuleFault>);

impl fmt::Display for FaultyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, more)) = self.0.split_first() else { return Ok(()) };
        write!(f, "{first}")?;
        match more.len() {
            0 => Ok(()),
            n => write!(f, ", and {n} more (`tokenwatch check` shows all)"),
        }
    }
}

/// Compiles the format of a source.
fn format(source: &ConfiguredSource) -> Result<Format, Box<Fault>> {
    let At { value, span } = &source.format;
    match value {
        FormatChoice::Preset(name) => Format::preset(name).ok_or_else(|| {
            let names = Format::presets().map(|(name, _)| name);
            let expected = format!("one of {}", names.collect::<Vec<_>>().join(", "));
            Box::new(span.fault(format!("the format \"{name}\""), expected, suggestion(name)))
        }),
        FormatChoice::Template(text) => Format::template(text).map_err(|fault| {
            let found = format!("{} at column {} of the template", fault.found, fault.column);
            Box::new(span.fault(found, fault.expected, fault.hint))
        }),
        FormatChoice::Fields { fields, .. } => {
            let fields =
                fields.iter().map(|(name, key)| (name.clone(), key.value.clone())).collect();
            Format::json(&fields)
                .map_err(|fault| Box::new(span.fault(fault.found, fault.expected, fault.hint)))
        }
    }
}

fn suggestion(name: &str) -> String {
    let near: Vec<String> = Format::near(name).iter().map(|near| format!("\"{near}\"")).collect();
    if near.is_empty() { String::new() } else { format!("did you mean {}?", near.join(" or ")) }
}

/// Compiles the format of a command line: a preset's name or a template.
///
/// # Errors
/// It is neither.
pub fn format_of(text: &str) -> anyhow::Result<Format> {
    if let Some(format) = Format::preset(text) {
        return Ok(format);
    }
    if text.contains(['$', '%']) {
        return Ok(Format::template(text)?);
    }
    let suggestion = suggestion(text);
    let suggestion = if suggestion.is_empty() { ".".to_owned() } else { format!(", {suggestion}") };
    let names: Vec<&str> = Format::presets().map(|(name, _)| name).collect();
    anyhow::bail!(
        "no format is named {text:?}{suggestion} There are {}; or a template in quotes, such as '$remote_addr \
         [$time_local] \"$request\" $status'",
        names.join(", ")
    )
}

/// Reads the rule files in a directory, each with its path.
///
/// # Errors
/// One of them, or the directory, cannot be read.
pub fn rule_files(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            files.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_memory_that_is_not_kept_was_said_to_be() {
        for (mebibytes, bound, is_kept) in
            [(16, 4, false), (96, 24, false), (181, 45, false), (182, 46, true), (256, 120, true)]
        {
            let mut config = Config::default();
            config.limits.memory = mebibytes << 20;
            let site = Site { config, state: PathBuf::new(), is_mailing: true };
            let most = u64::try_from(site.memory_bound()).unwrap();
            assert_eq!(most >> 20, bound, "{mebibytes} MiB");
            assert_eq!(most + REST_BYTES <= mebibytes << 20, is_kept, "{mebibytes} MiB");
        }
    }
}
