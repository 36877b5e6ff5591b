//! Reads registry files: CSV with a heading, or JSON lines with the same names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::print::{self, counted, number, safe};
use crate::cli::state::{self, NEVER_FOUND, is_identity};
use crate::cli::{country, headings};
use crate::engine::registry::{COLUMNS, Changes, Registered};
use crate::engine::secret::{SealKey, Secret, TokenId};
use crate::engine::token::is_ever_found;

/// A larger file is the wrong file.
const MAX_FILE: u64 = 256 << 20;

/// The shortest text that may be a secret, in bytes.
const SHORTEST_SECRET: usize = 4;

/// What is expected where a secret was found.
const NO_SECRET: &str = "no secret, which would be stored in clear: it belongs in the column token, its id \
    (`tokenwatch tokens id`) may be anywhere";

/// Faults that an error lists at most.
const MAX_FAULTS: usize = 20;

/// A registry file that was read.
#[derive(Debug)]
pub struct RegistryFile {
    path: PathBuf,
    /// Rows with their lines; of invalid ones, what can be read.
    rows: Vec<(u64, Changes)>,
    /// Why rows are invalid.
    faults: Vec<Fault>,
    key: SealKey,
}

/// Reads a registry file; `-` is standard input. Secrets in it are sealed at once. Invalid rows are told by
/// [`RegistryFile::meant`], together with what only the known tokens show.
///
/// # Errors
/// The file cannot be read.
pub fn read_registry(path: &Path, key: &SealKey) -> anyhow::Result<RegistryFile> {
    let doing = || format!("reading the registry {}", path.display());
    let text = if path.as_os_str() == "-" {
        whole(std::io::stdin().lock(), MAX_FILE)
    } else {
        std::fs::File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(|file| whole(file, MAX_FILE))
    };
    let text = text.with_context(doing)?;
    let text = text.trim_start_matches('\u{feff}');
    let Found { rows, faults, doubts } = match text.trim_start().chars().next() {
        Some('{') => json(text, key),
        Some('[') => Found::of_nothing("expected JSON objects, one per line, found an array"),
        _ => csv(text, key),
    };
    for line in doubts.into_iter().filter(|_| faults.is_empty()) {
        let file = safe(path.to_string_lossy());
        print::warn(format_args!("{file}:{line}: {NEVER_FOUND}"));
    }
    Ok(RegistryFile { path: path.to_owned(), rows, faults, key: key.clone() })
}

impl RegistryFile {
    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many rows it has.
    #[must_use]
    pub const fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// Tells of invalid rows before a database is made, of which nothing would come. `known` are those of a database
    /// that there is already.
    ///
    /// # Errors
    /// Rows are invalid: as [`Self::meant`] tells it.
    pub fn expect_valid(
        &self,
        known: impl FnOnce() -> anyhow::Result<Vec<Registered>>,
    ) -> anyhow::Result<()> {
        if !self.faults.is_empty() {
            self.meant(&known()?)?;
        }
        Ok(())
    }

    /// Returns the rows. One with a name alone is about the only token of that name, unless the name is a principal's
    /// own statement: no usage ever has another name by itself, and the row would apply to nothing. A successor that is
    /// the secret of a known token is sealed.
    ///
    /// # Errors
    /// Invalid rows, rows with the name of no token or of several, or that contradict another one's: all of these, with
    /// their lines.
    pub fn meant(&self, known: &[Registered]) -> Result<Vec<Changes>, BadRows> {
        let names = names_by_token(known, &self.rows);
        let tokens = tokens_by_name(&names);
        let (mut meant, mut faults) = (Vec::new(), self.faults.clone());
        let invalid: BTreeSet<u64> = faults.iter().map(|fault| fault.line).collect();
        for (line, row) in &self.rows {
            match meant_by(row, &tokens) {
                Ok(row) => meant.push((*line, with_successor(row, &names, &self.key))),
                Err(fault) => faults.push(Fault::new(*line, fault)),
            }
        }
        // What an invalid row lacks is no contradiction.
        meant.retain(|(line, _)| !invalid.contains(line));
        faults.extend(contradictions(&meant));
        faults.sort_by_key(|fault| fault.line);
        if !faults.is_empty() {
            return Err(BadRows { path: self.path.clone(), faults });
        }
        Ok(meant.into_iter().map(|(_, row)| row).collect())
    }
}

/// Returns the name of each token, as it will be once these rows are imported; empty if it has none.
fn names_by_token<'a>(
    known: &'a [Registered],
    rows: &'a [(u64, Changes)],
) -> BTreeMap<TokenId, &'a str> {
    let mut names: BTreeMap<TokenId, &str> =
        known.iter().filter_map(|row| Some((row.token?, row.name.as_str()))).collect();
    for (_, row) in rows {
        let Some(token) = row.subject().0 else { continue };
        let name = names.entry(token).or_default();
        *name = row.name().unwrap_or(name);
    }
    names
}

fn tokens_by_name<'a>(names: &BTreeMap<TokenId, &'a str>) -> BTreeMap<&'a str, Vec<TokenId>> {
    let mut tokens = BTreeMap::<&str, Vec<TokenId>>::new();
    names.iter().for_each(|(token, name)| tokens.entry(name).or_default().push(*token));
    tokens
}

/// Returns a row with the id of its successor in place of the secret. One of an unknown shape may be a name; that it is
/// a secret is certain once the token is registered.
fn with_successor(row: Changes, names: &BTreeMap<TokenId, &str>, key: &SealKey) -> Changes {
    let id = row.successor().map(|text| key.seal(&Secret::new(text.as_bytes())));
    match id.filter(|id| names.contains_key(id)) {
        Some(id) => row.rotated_to(id),
        None => row,
    }
}

/// Returns a row about the token that it means, or why that is unclear.
fn meant_by(row: &Changes, tokens: &BTreeMap<&str, Vec<TokenId>>) -> Result<Changes, String> {
    let (None, name) = row.subject() else { return Ok(row.clone()) };
    if is_identity(name) {
        return Ok(row.clone());
    }
    match tokens.get(name).map(Vec::as_slice) {
        Some([token]) => Ok(row.clone().of_token(*token)),
        Some(tokens) => {
            let n_tokens = number(tokens.len() as u64);
            Err(format!("expected one token and not only a name that {n_tokens} tokens have"))
        }
        None => Err("expected a token and not only a name that no token has".to_owned()),
    }
}

/// Reads everything. More than `most` bytes are refused: a truncated row would look like another.
fn whole(from: impl Read, most: u64) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(most + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= most, "a registry has at most {most} B");
    Ok(text)
}

/// Invalid rows: nothing of the file is imported.
#[derive(Debug, thiserror::Error)]
#[error("{}: {} cannot be read; nothing was imported", .path.display(), counted(n_rows(.faults), "row"))]
pub struct BadRows {
    path: PathBuf,
    faults: Vec<Fault>,
}

/// Returns how many rows have faults.
fn n_rows(faults: &[Fault]) -> u64 {
    faults.iter().map(|fault| fault.line).collect::<BTreeSet<u64>>().len() as u64
}

/// A fault in a row. Contains no text of the row: a secret may be in the wrong column.
#[derive(Clone, Debug)]
struct Fault {
    line: u64,
    /// In characters, if known.
    column: Option<usize>,
    message: String,
}

impl BadRows {
    /// Returns the first faults, one per line: `FILE:LINE: what was expected`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.faults.iter().take(MAX_FAULTS).map(|Fault { line, column, message }| {
            let column = column.map(|column| format!(":{column}")).unwrap_or_default();
            format!("{}:{line}{column}: {message}", self.path.display())
        })
    }
}

impl Fault {
    fn new(line: u64, message: impl Into<String>) -> Self {
        Self { line, column: None, message: message.into() }
    }
}

/// What a file contains.
#[derive(Default)]
struct Found {
    /// Rows with their lines; of those with faults, what can be read.
    rows: Vec<(u64, Changes)>,
    faults: Vec<Fault>,
    /// The lines of secrets that will never be found in a log.
    doubts: Vec<u64>,
}

impl Found {
    fn of_nothing(why: &str) -> Self {
        Self { faults: vec![Fault::new(1, why)], ..Self::default() }
    }

    fn fail(&mut self, line: u64, message: impl Into<String>) {
        self.faults.push(Fault::new(line, message));
    }

    /// Adds the row on a line, and its faults.
    fn add<'a>(
        &mut self,
        line: u64,
        columns: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        key: &SealKey,
    ) {
        let is_doubtful = |(column, text): (&str, &str)| column == "token" && is_never_found(text);
        self.doubts.extend(columns.clone().any(is_doubtful).then_some(line));
        let (row, faults) = row(line, columns, key);
        self.rows.extend(row.map(|row| (line, row)));
        self.faults.extend(faults.into_iter().map(|fault| Fault::new(line, fault)));
    }

    /// Adds a row whose cells may be those of other columns: only that it may name a token counts.
    fn add_shifted<'a>(
        &mut self,
        line: u64,
        columns: impl Iterator<Item = (&'a str, &'a str)>,
        key: &SealKey,
    ) {
        let (row, _) = row(line, columns, key);
        self.rows.extend(row.map(|row| (line, of_some_token(row, line))));
    }
}

/// Returns whether a cell contains a secret that will never be found in a log; an id is no secret.
fn is_never_found(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.parse::<TokenId>().is_err() && !is_ever_found(text.as_bytes())
}

/// Finds rows that contradict a row above with the same subject: it is unclear which of the two is right.
fn contradictions(rows: &[(u64, Changes)]) -> Vec<Fault> {
    let mut first = BTreeMap::new();
    let mut faults = Vec::new();
    for (line, row) in rows {
        let (token, name) = row.subject();
        let (above, other) = *first.entry((token, name)).or_insert((*line, row));
        if other != row {
            let whose = if token.is_some() { "token" } else { "name" };
            let message = format!(
                "repeats the {whose} of line {above} with other values: keep one of the two"
            );
            faults.push(Fault::new(*line, message));
        }
    }
    faults
}

fn csv(text: &str, key: &SealKey) -> Found {
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let (mut found, mut lines) = (Found::default(), Lines::of(text));
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => {
            found.fail(1, error.to_string());
            return found;
        }
    };
    let line = lines.at(headings.position());
    headings::faults(&headings).into_iter().for_each(|fault| found.fail(line, fault));
    if !found.faults.is_empty() {
        return found;
    }
    for record in reader.records() {
        let Ok(record) = record else {
            found.fail(lines.line, "expected a row of text in UTF-8");
            break;
        };
        let line = lines.at(record.position());
        let columns = headings.iter().zip(record.iter());
        if record.len() == headings.len() {
            found.add(line, columns, key);
            continue;
        }
        let (expected, n_columns) = (counted(headings.len() as u64, "column"), record.len());
        let unequal = format!("expected {expected}, as the heading has, found {n_columns}");
        found.fail(line, unequal);
        found.add_shifted(line, columns, key);
    }
    found
}

/// Counts the lines up to a row. The reader's own count adds to a row the empty lines before it and the rest of the
/// CRLF that ends the row before, and misses some lines.
struct Lines<'t> {
    rest: &'t [u8],
    byte: u64,
    line: u64,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        Self { rest: text.as_bytes(), byte: 0, line: 1 }
    }

    /// Returns the line where the row at a position begins; positions must be ascending.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.map_or(self.byte, csv::Position::byte);
        let before = usize::try_from(byte.saturating_sub(self.byte)).unwrap_or(usize::MAX);
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let n_ends = self.rest.iter().skip(before).take_while(|byte| is_end(byte)).count();
        let (passed, rest) = self.rest.split_at(self.rest.len().min(before.saturating_add(n_ends)));
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.byte += passed.len() as u64;
        self.rest = rest;
        self.line
    }
}

fn json(text: &str, key: &SealKey) -> Found {
    let (mut found, mut unknown) = (Found::default(), BTreeSet::new());
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let object = match serde_json::from_str::<BTreeMap<String, Value>>(text) {
            Ok(object) => object,
            // The parser's message may quote the text, which may be a secret.
            Err(error) => {
                let fault = Fault::new(line, "expected a JSON object on one line");
                found.faults.push(Fault { column: Some(error.column()), ..fault });
                continue;
            }
        };
        for name in object.keys().filter(|name| !COLUMNS.contains(&name.as_str())) {
            // Once: it is likely to be in each row.
            if unknown.insert(name.clone()) {
                found.fail(line, headings::unknown_key(name));
            }
        }
        let columns: Vec<(String, Zeroizing<String>)> =
            object.into_iter().map(|(name, value)| (name, Zeroizing::new(plain(value)))).collect();
        found.add(line, columns.iter().map(|(name, value)| (name.as_str(), value.as_str())), key);
    }
    found
}

fn plain(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(items) => items.into_iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Returns what can be read of a row, unless it is about nothing, and everything that is wrong with it. A column that
/// is unknown may be about a token, and was told already.
fn row<'a>(
    line: u64,
    columns: impl Iterator<Item = (&'a str, &'a str)>,
    key: &SealKey,
) -> (Option<Changes>, Vec<String>) {
    let (mut row, mut faults) = (Changes::default(), Vec::new());
    let (mut is_about_some, mut has_some_token) = (false, false);
    for (column, text) in columns {
        let is_known = COLUMNS.contains(&column);
        let fault = is_known.then(|| set(&mut row, column, text, key).err()).flatten();
        has_some_token |= !is_known || column == "token" && fault.is_some();
        is_about_some |= !is_known || matches!(column, "token" | "name") && !text.trim().is_empty();
        faults.extend(fault);
    }
    if !is_about_some {
        faults.push("expected a token or a name, found neither".to_owned());
        return (None, faults);
    }
    (Some(if has_some_token { of_some_token(row, line) } else { row }), faults)
}

/// Returns a row that cannot be imported as one about a token that nobody has, unless it is about one: so others of its
/// name are not about a name that no token has.
fn of_some_token(row: Changes, line: u64) -> Changes {
    let stand_in = TokenId(u128::from(line).to_be_bytes());
    if row.subject().0.is_some() { row } else { row.of_token(stand_in) }
}

/// Sets one column of a row, or returns what is wrong with its text. A successor that is a secret is sealed; in other
/// columns, one would be stored and shown as it is.
pub(super) fn set(
    row: &mut Changes,
    column: &str,
    text: &str,
    key: &SealKey,
) -> Result<(), String> {
    let text = text.trim();
    let sealed = (column == "rotated_to" && state::is_secret(text))
        .then(|| key.seal(&Secret::new(text.as_bytes())).to_string());
    let text = sealed.as_deref().unwrap_or(text);
    if column != "token" && state::holds_secret(text) {
        return Err(format!("column {column}: expected {NO_SECRET}"));
    }
    row.set(column, text, key).map_err(|fault| match is_no_secret(text.trim()) {
        true => format!("{fault}, found {:?}", text.trim()),
        false => fault.to_string(),
    })?;
    let countries = if column == "countries" { row.countries() } else { &[] };
    let unknown = countries.iter().find_map(|country| country::unknown(*country));
    unknown.map_or(Ok(()), |why| Err(format!("column countries: {why}")))
}

/// Returns whether a text in the wrong column may be quoted: it is too short for a secret, or a numeric date.
fn is_no_secret(text: &str) -> bool {
    const MOST_DIGITS: usize = 14;
    let is_mark = |c: char| matches!(c, '-' | '.' | '/' | ':' | ' ');
    let n_digits = text.chars().filter(char::is_ascii_digit).count();
    let n_marks = text.chars().filter(|c| is_mark(*c)).count();
    let is_of_both = n_digits + n_marks == text.chars().count() && 0 < n_marks;
    let is_date = is_of_both && (1..=MOST_DIGITS).contains(&n_digits) && n_marks <= n_digits;
    is_date || (1..SHORTEST_SECRET).contains(&text.len())
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
