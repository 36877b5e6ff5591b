//! A site: its configuration, its state directory, and the parts that are assembled from them.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use smol_str::SmolStr;

use crate::atlas::{Reloading, Settings};
use crate::config::ReadFrom as ConfiguredReadFrom;
use crate::config::{
    At, Config, Fault, Faults, FormatChoice, Source as ConfiguredSource, SourceFrom,
};
use crate::engine::detect::Params;
use crate::engine::incident::Policy;
use crate::engine::judge::Judge;
use crate::engine::reader::{Reader, Source};
use crate::engine::record::Format;
use crate::engine::registry::Registry;
use crate::engine::rule::{RuleFault, RuleSet};
use crate::engine::token::{Finder, Names, Sealer};
use crate::engine::word::Words;
use crate::source::follow::{ReadFrom, Watch};
use crate::source::journal::{UnitWatch, whole_name};
use crate::store::{self, Store, backed_up};

/// The database's name in the state directory.
const DATABASE: &str = "tokenwatch.db";

/// What the process takes beside subjects and tokens, about: the program, the built-in places, buffers, SQLite's caches, and
/// while a replay commits, what is judged meanwhile; the allocator keeps some of what is free.
const REST_BYTES: u64 = 136 << 20;

/// A configuration and where its state is.
#[derive(Clone, Debug)]
pub struct Site {
    /// What the files say.
    pub config: Config,
    /// Where database and key are.
    pub state: PathBuf,
}

impl Site {
    /// Reads the configuration. `state` is what the command line says of the state directory,
    /// `environment` and `home` what is used if nobody says anything.
    ///
    /// # Errors
    /// Everything that is wrong in the files.
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

    /// Reads the same, and returns what can be understood of it beside everything that is wrong in the files.
    #[must_use]
    pub fn draft(
        config: Option<&Path>,
        state: Option<PathBuf>,
        fallback: impl FnOnce() -> PathBuf,
    ) -> (Option<Self>, Faults) {
        let (config, faults) = Config::draft(config);
        let site = config.map(|config| {
            let state = state.or_else(|| config.state_dir.clone()).unwrap_or_else(fallback);
            Self { config, state }
        });
        (site, faults)
    }

    /// Returns where the database is.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join(DATABASE)
    }

    /// Opens the database for writing; makes it at first need.
    ///
    /// # Errors
    /// What the store says.
    pub fn store(&self) -> anyhow::Result<Store> {
        // So that a database without a key is always one that lost it.
        self.key_text()?;
        // A new one in the place of a lost one would keep the daemon from restoring it.
        let is_there = fs::metadata(self.database()).is_ok_and(|file| file.len() > 0);
        anyhow::ensure!(
            is_there || backed_up(&self.database()).is_none(),
            "the database {} is gone or empty, but its backup is not: start the daemon, which restores it",
            self.database().display()
        );
        Ok(Store::open(&self.database())?)
    }

    /// Returns the names of places where tokens stand.
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

    /// Returns how the configured sources are read, in their order.
    ///
    /// # Errors
    /// Every format that cannot be understood.
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
        if faults.is_empty() { Ok(sources) } else { Err(faults.into_iter().collect()) }
    }

    /// Makes a reader of these sources, with the site's names.
    ///
    /// # Errors
    /// The key's.
    pub fn reader(&self, sources: Vec<Source>) -> anyhow::Result<Reader> {
        let names = self.names();
        let sources = sources.into_iter().map(|source| {
            let format = source.format.with_ids(&names.ids);
            Source { format, ..source }
        });
        let sources = sources.collect();
        Ok(Reader::new(Finder::new(&names), Sealer::new(self.key()?, &names), sources))
    }

    /// Returns which files are followed: those of source N with the index N.
    #[must_use]
    pub fn watches(&self) -> Vec<Watch> {
        let sources = self.config.sources.iter().enumerate();
        sources
            .filter_map(|(index, source)| match &source.from {
                SourceFrom::Files(paths) => Some(Watch {
                    source: index,
                    patterns: paths.iter().map(|path| PathBuf::from(&path.value)).collect(),
                    read_from: read_from(source),
                    is_polled: source.is_polled,
                }),
                SourceFrom::Journal { .. } => None,
            })
            .collect()
    }

    /// Returns which units of the journal are followed: that of source N with the index N.
    #[must_use]
    pub fn units(&self) -> Vec<UnitWatch> {
        let sources = self.config.sources.iter().enumerate();
        sources
            .filter_map(|(index, source)| match &source.from {
                SourceFrom::Journal { unit, directory } => Some(UnitWatch {
                    source: index,
                    unit: whole_name(&unit.value),
                    directory: directory.clone(),
                    read_from: read_from(source),
                }),
                SourceFrom::Files(_) => None,
            })
            .collect()
    }

    /// Returns the detectors' parameters.
    ///
    /// # Errors
    /// Every key that no detector has, and every value that is none.
    pub fn params(&self) -> Result<Params, Faults> {
        let mut table = self.config.detect.clone();
        let mut params = Params::default();
        for parameter in Params::list() {
            let range = 0.0..=f64::MAX;
            if let Some(value) = table.number(parameter.section, parameter.key, range) {
                // The name comes from the list and the value from its range: nothing is left to refuse.
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

    /// Returns the rules in force, and what is wrong with those of the site.
    ///
    /// # Errors
    /// The rules' folder is named and cannot be read.
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
        let disabled: Vec<String> =
            self.config.rules.disable.iter().map(|name| name.value.clone()).collect();
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(RuleSet::new(files, &disabled))
    }

    /// Returns from which level on incidents are mailed at once; without mail, the default.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let policy = Policy::default();
        let at_once = self.config.mail.as_ref().map(|mail| mail.at_once).or(policy.at_once);
        Policy { at_once, budget: self.config.alerts.budget, ..policy }
    }

    /// Makes a judge with the rules and parameters of the site.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn judge(&self, registry: Registry, policy: Policy) -> anyhow::Result<Judge> {
        let params = self.params()?;
        let (rules, faults) = self.rules()?;
        anyhow::ensure!(faults.is_empty(), FaultyRules(faults));
        Ok(Judge::new(params, rules, registry, policy))
    }

    /// Makes a judge that knows what the state says: registry, mutes, what people said of alerts.
    ///
    /// # Errors
    /// Everything that is wrong with rules and parameters, and what the store says.
    pub fn judge_of(&self, store: &store::Reader) -> anyhow::Result<Judge> {
        let words = Words::new(store.words()?);
        let policy = Policy { mutes: store.mutes()?, words, ..self.policy() };
        self.judge(Registry::new(store.registry()?), policy)
    }

    /// Opens the GeoIP files, configured or found at the usual places. Never fails: what cannot be
    /// read is told by the atlas, and the built-in table answers.
    #[must_use]
    pub fn atlas(&self) -> Reloading {
        let geoip = &self.config.geoip;
        let paths =
            |files: &[At<PathBuf>]| files.iter().map(|at| at.value.clone()).collect::<Vec<_>>();
        let city = [paths(&geoip.city), paths(&geoip.country)].concat();
        Reloading::open(Settings { city, asn: paths(&geoip.asn), ..Settings::default() })
    }

    /// Returns how many bytes of memory subjects and tokens may take.
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        let memory = self.config.limits.memory;
        let bound = memory.saturating_sub(REST_BYTES).max(memory / 4);
        usize::try_from(bound).unwrap_or(usize::MAX)
    }
}

/// Rules of the site that are not understood: without them, what they would tell is not told, in silence.
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

const fn read_from(source: &ConfiguredSource) -> ReadFrom {
    match source.read_from {
        ConfiguredReadFrom::End => ReadFrom::End,
        ConfiguredReadFrom::Start => ReadFrom::Start,
    }
}

/// Compiles what a source says of its format.
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

/// Compiles what the command line says of a format: a preset's name or a template.
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

fn rule_files(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
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
