//! `scan`: secrets in files, in the history of repositories and in the reports of other scanners, and which of them are
//! in use.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value as Json, json};

use crate::cli::args::{Scan as Options, TokensMark};
use crate::cli::print::{self, Printer, counted, number, size};
use crate::cli::registering::{self, Mark};
use crate::cli::scanned::{Known, Relevance};
use crate::cli::tokens::Rows;
use crate::cli::{Context, advice, exit, state};
use crate::clock::now;
use crate::daemon::site::Site;
use crate::engine::registry::Registered;
use crate::engine::secret::{SealKey, TokenId};
use crate::engine::time::Timestamp;
use crate::engine::token::{Finder, Replaced, Searcher, Spot};
use crate::scan::{MAX_FILE, STDIN, Scan, ScanError, Tally, Whereabouts};
use crate::store::{Reader, StoreError, Who};

/// How many places of one secret are shown; the others are counted. JSON shows all.
const MAX_PLACES: u64 = 10;

/// How many different secrets are counted, and their places limited: each takes some hundred bytes.
const MAX_SECRETS: usize = 100_000;

/// How much of a path, a rule or a fault is shown: the longest path of Linux (`PATH_MAX`). A report may state any.
const MAX_SHOWN: usize = 4096;

/// How much of a place is kept as the note of a mark.
const MAX_NOTE: usize = 200;

/// How much of a commit's hash is shown: enough for the largest repositories.
const SHORT_HASH: usize = 12;

pub(super) fn run(context: &mut Context, options: &Options) -> anyhow::Result<ExitCode> {
    refuse_mixed(options)?;
    let lore = Lore::of(&context.site, options)?;
    let mut telling = Telling::new(&mut context.printer, &lore, options);
    let mut tell = |at: &Whereabouts, spot: &Spot| telling.tell(at, spot);
    let mut scan = Scan::new(&lore.searcher, &mut tell);
    for path in &options.paths {
        if options.git { scan.history(path) } else { scan.path(path) }?;
    }
    for file in &options.findings {
        scan.report(file)?;
    }
    let Scan { tally, faults, n_faults, binary, .. } = scan;
    telling.say_more()?;
    let Telling { secrets, n_places, found, .. } = telling;
    context.printer.flush()?;
    say_faults(&lore, &faults, n_faults);
    if let Some(binary) = binary {
        let binary = print::safe(lore.shown(binary.as_os_str()));
        print::say(format_args!("tokenwatch: git takes {binary} for binary: it was not searched"));
    }
    let found_words = summary(&tally, &secrets, n_places);
    print::say(format_args!("{}; {found_words}", read(&tally, options)));
    if options.leaked {
        mark(context, found)?;
    }
    Ok(ExitCode::from(match (n_places, n_faults + tally.masked) {
        (0, 0) => 0,
        // Anything may be in what could not be read or was masked.
        (0, _) => exit::FAILED,
        _ => exit::CONDITION,
    }))
}

/// Says what could not be read. A path may contain a secret.
fn say_faults(lore: &Lore, faults: &[ScanError], n_faults: u64) {
    for fault in faults {
        let cure = cure(fault).unwrap_or_default();
        let fault = lore.shown(OsStr::new(&format!("{fault}{cure}")));
        print::say(format_args!("tokenwatch: {}", print::safe(fault)));
    }
    let n_more = n_faults.saturating_sub(faults.len() as u64);
    if 0 < n_more {
        print::say(format_args!("tokenwatch: {} more could not be read", number(n_more)));
    }
}

/// Returns what to do about a repository that git does not read.
fn cure(fault: &ScanError) -> Option<String> {
    let ScanError::Git { path, said } = fault else { return None };
    if said.contains("not a git repository") {
        return Some(": give the top directory of the repository".to_owned());
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.clone());
    let path = advice::quoted(path.as_os_str());
    said.contains("dubious ownership").then(|| {
        format!(
            ": run tokenwatch as its owner, with --state-dir, or \
             git config --global --add safe.directory {path}"
        )
    })
}

/// Refuses a command line that could read standard input twice, or the history of it.
fn refuse_mixed(options: &Options) -> anyhow::Result<()> {
    let is_stdin = |path: &&std::path::PathBuf| path.as_os_str() == STDIN;
    let n_paths = options.paths.iter().filter(is_stdin).count();
    if options.git && 0 < n_paths {
        return Err(exit::usage("--git reads repositories: standard input is none"));
    }
    if options.git && options.paths.is_empty() {
        return Err(exit::usage("--git reads repositories: give one"));
    }
    if 1 < n_paths + options.findings.iter().filter(is_stdin).count() {
        return Err(exit::usage("standard input can be read only once: give - once"));
    }
    Ok(())
}

/// What the state knows about tokens; nothing of it is created or changed.
struct Lore {
    reader: Option<Reader>,
    registry: Vec<Registered>,
    /// There is a seal key, so that ids mean something.
    has_key: bool,
    searcher: Searcher,
}

impl Lore {
    /// Opens the state, and makes a searcher for its tokens. Says what is missing, or fails if what is asked for needs
    /// it.
    fn of(site: &Site, options: &Options) -> anyhow::Result<Self> {
        let key = site.key_if_any()?;
        let reader = state::reader_if_any(site)?.filter(|_| key.is_some());
        let (registry, ids) = match &reader {
            Some(reader) => (reader.registry()?, reader.token_ids()?),
            None => (Vec::new(), Vec::new()),
        };
        if reader.is_none() {
            let missing = if key.is_some() { "database" } else { "seal.key" };
            let state = print::safe(site.state.to_string_lossy());
            if options.known || options.leaked {
                bail!("no {missing} in {state}: no token is known, so none can be found or marked");
            }
            print::say(format_args!(
                "no {missing} in {state}: nothing is known of any token, only what has the shape of one is found"
            ));
        }
        let has_key = key.is_some();
        // Without a key, ids only tell the secrets of this run apart, and are not shown.
        let key = key.unwrap_or_else(|| SealKey::new(b"none"));
        Ok(Self { reader, registry, has_key, searcher: Searcher::new(key, ids) })
    }

    fn known(
        &self,
        rows: &Rows<'_>,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        Known::of(reader, rows, id, now)
    }

    /// Returns text from outside without known tokens and what has the shape of a secret, up to a limit.
    fn shown(&self, text: &OsStr) -> String {
        let mut shown = self.without_known(text.as_bytes());
        shown = Finder::default().hide(&shown).into_owned();
        // Not earlier: a part of a token is no longer known as one.
        shown.truncate(MAX_SHOWN);
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn without_known(&self, text: &[u8]) -> Vec<u8> {
        let mut spots = Vec::new();
        self.searcher.search(text, &mut spots);
        let mut clean = Replaced::new(text);
        for spot in spots.into_iter().filter(|spot| spot.is_known) {
            clean.replace(spot.bytes, format!("[{}]", spot.id).as_bytes());
        }
        clean.text().into_owned()
    }
}

/// A secret that was found.
struct Secret {
    n_places: u64,
    relevance: Relevance,
    /// `stripe-live sk_live_...WxYz (tw1_...)`
    label: String,
}

/// Prints places as they are found, and counts secrets.
struct Telling<'p> {
    printer: &'p mut Printer,
    lore: &'p Lore,
    rows: Rows<'p>,
    now: Timestamp,
    is_known_only: bool,
    secrets: BTreeMap<TokenId, Secret>,
    n_places: u64,
    /// The known tokens among them, each with its first place.
    found: BTreeMap<TokenId, (Known, String)>,
}

impl<'p> Telling<'p> {
    fn new(printer: &'p mut Printer, lore: &'p Lore, options: &Options) -> Self {
        Self {
            printer,
            lore,
            rows: Rows::of(&lore.registry),
            now: now(),
            is_known_only: options.known,
            secrets: BTreeMap::new(),
            n_places: 0,
            found: BTreeMap::new(),
        }
    }

    fn tell(&mut self, at: &Whereabouts, spot: &Spot) -> io::Result<()> {
        if self.is_known_only && !spot.is_known {
            return Ok(());
        }
        self.n_places += 1;
        let at = &Shown::of(self.lore, at);
        if spot.is_known && !self.found.contains_key(&spot.id) {
            let known = self.lore.known(&self.rows, spot.id, self.now);
            let known = known.map_err(io::Error::other)?;
            self.found.extend(known.map(|known| (spot.id, (known, at.place()))));
        }
        let known = self.found.get(&spot.id).map(|(known, _)| known);
        let (kind, hint) = kind_and_hint(spot, known);
        let id = self.lore.has_key.then_some(spot.id);
        let shown_id = id.map(|id| format!(" ({id})")).unwrap_or_default();
        let label = format!("{} {}{shown_id}", print::safe(kind), print::safe(hint));
        let relevance = known.map_or(Relevance::Unknown, |known| known.relevance);
        if self.printer.is_json() {
            let object = object(at, id, (kind, hint), known);
            self.count(spot.id, relevance, label);
            return self.printer.json(&object);
        }
        let words = known.map_or_else(|| "not known here".to_owned(), |k| k.words(self.now));
        let (place, origin) = (at.place(), at.origin());
        let line = format!("{place}: {label}{origin}: {}", relevance.styled(&words));
        if self.count(spot.id, relevance, label) { self.printer.line(line) } else { Ok(()) }
    }

    /// Counts a place of a secret. Returns whether it is one of those to show.
    fn count(&mut self, id: TokenId, relevance: Relevance, label: String) -> bool {
        if !self.secrets.contains_key(&id) && MAX_SECRETS <= self.secrets.len() {
            return true;
        }
        let secret = self.secrets.entry(id).or_insert(Secret { n_places: 0, relevance, label });
        secret.n_places += 1;
        secret.n_places <= MAX_PLACES
    }

    /// Prints how many places of each secret were not shown.
    fn say_more(&mut self) -> io::Result<()> {
        if self.printer.is_json() {
            return Ok(());
        }
        for secret in self.secrets.values().filter(|secret| MAX_PLACES < secret.n_places) {
            let n_more = counted(secret.n_places - MAX_PLACES, "more place");
            self.printer.line(format_args!("{}: and {n_more}", secret.label))?;
        }
        Ok(())
    }
}

/// Where a secret is, without the secrets in the names: those of a report are anybody's text.
struct Shown {
    path: String,
    line: Option<u64>,
    column: Option<u64>,
    commit: String,
    rule: String,
}

impl Shown {
    fn of(lore: &Lore, at: &Whereabouts) -> Self {
        let shown = |text: &str| lore.shown(OsStr::new(text));
        let path = lore.shown(at.path.as_os_str());
        let (commit, rule) = (shown(&at.commit), shown(&at.rule));
        Self { path, line: at.line, column: at.column, commit, rule }
    }

    /// Returns `path:line:column`, as far as it is known, safe for a terminal.
    fn place(&self) -> String {
        let path = match self.path.as_str() {
            "" => "unknown file".to_owned(),
            path => print::safe(path),
        };
        [self.line, self.column].into_iter().flatten().fold(path, |place, n| format!("{place}:{n}"))
    }

    /// Returns the commit and the other scanner's rule, if there are any.
    fn origin(&self) -> String {
        let commit: String = self.commit.chars().take(SHORT_HASH).collect();
        let commit = if commit.is_empty() { commit } else { format!(", commit {commit}") };
        let rule = match self.rule.as_str() {
            "" => String::new(),
            rule => format!(", {rule}"),
        };
        print::safe(format!("{commit}{rule}"))
    }
}

/// Returns a place as JSON, with what is known of its token.
fn object(
    at: &Shown,
    id: Option<TokenId>,
    (kind, hint): (&str, &str),
    known: Option<&Known>,
) -> Json {
    let token = [
        ("id", json!(id)),
        ("name", json!(known.map(|known| known.token.name.as_str()))),
        ("kind", json!(kind)),
        ("hint", json!(hint)),
    ];
    let mut object = print::object([
        ("file", print::object([("path", json!(at.path))])),
        ("line", json!(at.line)),
        ("column", json!(at.column)),
        ("commit", json!(at.commit)),
        ("rule", print::object([("name", json!(at.rule))])),
        ("token", print::object(token)),
        ("known", json!(known.is_some())),
    ]);
    if let (Json::Object(object), Some(Json::Object(more))) = (&mut object, known.map(Known::json))
    {
        object.extend(more);
    }
    object
}

/// Returns the kind and the hint that the logs show, else those of the secret itself.
fn kind_and_hint<'t>(spot: &'t Spot, known: Option<&'t Known>) -> (&'t str, &'t str) {
    match known.map(|known| &known.token).filter(|token| !token.hint.is_empty()) {
        Some(token) => (&token.kind, &token.hint),
        None => (spot.kind, &spot.hint),
    }
}

/// Returns what was read, in words.
fn read(tally: &Tally, options: &Options) -> String {
    let mut parts = Vec::new();
    if options.git {
        parts.push(format!("{} ({}) read", counted(tally.commits, "commit"), size(tally.bytes)));
    } else if !options.paths.is_empty() {
        parts.push(format!("{} ({}) read", counted(tally.files, "file"), size(tally.bytes)));
    }
    let of = |n: u64, what: &str| (0 < n).then(|| format!("{} {what}", number(n)));
    let large = format!("larger than {} skipped", size(MAX_FILE));
    parts.extend(of(tally.binary, "binary skipped"));
    parts.extend(of(tally.large, &large));
    if !options.findings.is_empty() {
        parts.push(format!("{} reported by another scanner", number(tally.reported)));
    }
    parts.extend(of(tally.masked, "of them masked, so that they cannot be looked up"));
    parts.join(", ")
}

/// Returns what was found, in words.
fn summary(tally: &Tally, secrets: &BTreeMap<TokenId, Secret>, n_places: u64) -> String {
    if n_places == 0 && tally.files + tally.commits + tally.reported == tally.masked {
        return "nothing was searched".to_owned();
    }
    if n_places == 0 {
        return "no secrets found".to_owned();
    }
    let n_of =
        |relevance| secrets.values().filter(|secret| secret.relevance == relevance).count() as u64;
    let least = if MAX_SECRETS <= secrets.len() { "at least " } else { "" };
    format!(
        "{least}{} in {}: {} in use, {} known, {} not known here",
        counted(secrets.len() as u64, "secret"),
        counted(n_places, "place"),
        number(n_of(Relevance::InUse)),
        number(n_of(Relevance::Known)),
        number(n_of(Relevance::Unknown)),
    )
}

/// Returns the last bytes of a text, since a place says most at its end.
fn end_of(text: &str, most: usize) -> &str {
    let start = text.len().saturating_sub(most);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(start..).unwrap_or_default()
}

/// Marks the found tokens as leaked. A decoy is meant to be found; what is marked already keeps its time.
fn mark(context: &mut Context, found: BTreeMap<TokenId, (Known, String)>) -> anyhow::Result<()> {
    for (id, (known, place)) in found {
        if let Some(why) = known.unmarkable() {
            print::say(format_args!("{id}: left as it is, {why}"));
            continue;
        }
        // A file may be named after the secret in it.
        let note = match state::holds_secret(&place) {
            true => "found by scan".to_owned(),
            false => format!("found by scan: {}", end_of(&place, MAX_NOTE)),
        };
        if context.printer.is_json() {
            // Standard output lists places only, so that a program reads one kind of object.
            let now = now();
            let mut store = context.site.store()?;
            store.amend(&Who::Token(id), &note, now, |row| Mark::Leaked.apply(row, now))?;
            print::say(format_args!("{id}: marked as leaked"));
            continue;
        }
        let options =
            TokensMark { token: id.to_string(), at: None, note, principal: false, all: false };
        registering::mark(context, &options, Mark::Leaked)?;
    }
    Ok(())
}
