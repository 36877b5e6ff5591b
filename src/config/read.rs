//! Reads TOML tables key by key and collects all faults, where serde would stop at the first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::UNKNOWN;
use super::fault::{At, Fault, File, Span};

/// A parsed value, or all its faults.
pub(super) type Reading<T> = Result<T, Vec<Fault>>;

/// The value of one key in the files. A key that is present but faulty is not reported as missing.
#[derive(Debug, Default)]
pub(super) enum Slot<T> {
    /// Nothing.
    #[default]
    Absent,
    /// A faulty value; the fault is already reported.
    Faulty,
    /// A value.
    Set(At<T>),
}

impl<T> Slot<T> {
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns the place of the value.
    pub(super) const fn span(&self) -> Option<&Span> {
        match self {
            Self::Set(at) => Some(&at.span),
            _ => None,
        }
    }

    pub(super) fn at(self) -> Option<At<T>> {
        match self {
            Self::Set(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn value(self) -> Option<T> {
        self.at().map(|at| at.value)
    }

    pub(super) fn or(self, default: T) -> T {
        self.value().unwrap_or(default)
    }

    pub(super) fn or_default(self) -> T
    where
        T: Default,
    {
        self.value().unwrap_or_default()
    }
}

/// One value of a file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    file: &'a Arc<File>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
    pub(super) fn span(self) -> Span {
        Span::new(self.file, self.value.span())
    }

    /// Creates the fault for a value that is not what was expected.
    pub(super) fn wrong(self, expected: impl Into<String>, hint: impl Into<String>) -> Vec<Fault> {
        let found = match self.value.get_ref() {
            DeValue::Table(_) => "found a table".to_owned(),
            DeValue::Array(_) => "found a list".to_owned(),
            _ => format!("found {}", self.span().text()),
        };
        vec![self.span().fault(found, expected, hint)]
    }

    /// Returns the value with its TOML type.
    pub(super) fn raw(self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub(super) fn is_scalar(self) -> bool {
        !matches!(self.raw(), DeValue::Table(_) | DeValue::Array(_))
    }

    /// Returns the entries of a table, if it is one.
    pub(super) fn table(self) -> Option<impl Iterator<Item = (&'a str, Node<'a>)>> {
        let file = self.file;
        let entries = self.raw().as_table()?.iter();
        Some(entries.map(move |(key, value)| (key.get_ref().as_ref(), Node { file, value })))
    }

    /// Reads all items of the list, even if some are faulty.
    pub(super) fn list<T>(self, read: impl Fn(Node<'a>) -> Reading<T>) -> Reading<Vec<T>> {
        let items = self.raw().as_array().ok_or_else(|| {
            let hint = format!("write [{}]", self.span().text());
            self.wrong("a list", if self.is_scalar() { hint } else { String::new() })
        })?;
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for value in items {
            match read(Node { file: self.file, value }) {
                Ok(value) => values.push(value),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    /// Makes a path absolute, relative to the folder of the file that names it.
    pub(super) fn resolve(self, path: &str) -> PathBuf {
        self.file.path().parent().unwrap_or(Path::new("")).join(path)
    }
}

impl Span {
    /// Parses the value at this place again, now that its type is known.
    pub(super) fn read<T>(&self, read: impl Fn(Node<'_>) -> Reading<T>) -> Reading<T> {
        let Some(file) = &self.file else { return Err(Vec::new()) };
        let value = DeValue::parse(self.text()).map_err(|error| {
            vec![self.fault(format!("found {}", self.text()), error.message(), "")]
        })?;
        let value = Spanned::new(self.range.clone(), value.into_inner());
        read(Node { file, value: &value })
    }
}

/// One table of a file, read key by key.
pub(super) struct Section<'a> {
    file: &'a Arc<File>,
    /// As in `[mail]`; empty for the file itself.
    name: &'a str,
    span: Range<usize>,
    table: BTreeMap<&'a str, (Range<usize>, &'a Spanned<DeValue<'a>>)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
    /// The keys of the values with faults.
    faulty: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn of_file(file: &'a Arc<File>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(file, "", table.span(), table.get_ref())
    }

    fn new(file: &'a Arc<File>, name: &'a str, span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        let entry = |(key, value): (&'a Spanned<DeString<'a>>, _)| {
            (key.get_ref().as_ref(), (key.span(), value))
        };
        let table = table.iter().map(entry).collect();
        Self { file, name, span, table, known: Vec::new(), faults: Vec::new(), faulty: Vec::new() }
    }

    /// Returns where the table begins.
    pub(super) fn span(&self) -> Span {
        Span::new(self.file, self.span.clone())
    }

    fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let (_, value) = self.table.remove(key)?;
        Some(Node { file: self.file, value })
    }

    /// Reads a key into its slot; it replaces the value of an earlier file.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        slot: &mut Slot<T>,
        read: impl FnOnce(Node<'a>) -> Reading<T>,
    ) {
        let Some(node) = self.take(key) else { return };
        *slot = match read(node) {
            Ok(value) => Slot::Set(At { value, span: node.span() }),
            Err(faults) => {
                self.faults.extend(faults);
                self.faulty.push(key);
                Slot::Faulty
            }
        };
    }

    /// Returns the keys of the values with faults, and [`UNKNOWN`] if there are keys that were not read.
    pub(super) fn faulty(&self) -> impl Iterator<Item = &'static str> {
        let unknown = (!self.table.is_empty()).then_some(UNKNOWN);
        self.faulty.iter().copied().chain(unknown)
    }

    /// Reads a table within this one.
    pub(super) fn section(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'a>)) {
        let Some(node) = self.take(key) else { return };
        let n_before = self.faults.len();
        self.enter(key, node, read);
        self.faulty.extend((self.faults.len() > n_before).then_some(key));
    }

    /// Reads tables written as `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str, mut read: impl FnMut(&mut Section<'a>)) {
        let Some(node) = self.take(key) else { return };
        let DeValue::Array(items) = node.raw() else {
            self.faults.extend(node.wrong("a list of tables", format!("write [[{key}]]")));
            self.faulty.push(key);
            return;
        };
        let n_before = self.faults.len();
        for value in items {
            self.enter(key, Node { file: self.file, value }, &mut read);
        }
        self.faulty.extend((self.faults.len() > n_before).then_some(key));
    }

    /// Reads every table within this one, regardless of its name.
    pub(super) fn each_section(&mut self, mut read: impl FnMut(&'a str, &mut Section<'a>)) {
        for (key, (_, value)) in std::mem::take(&mut self.table) {
            self.enter(key, Node { file: self.file, value }, |section| read(key, section));
        }
    }

    /// Returns every value of this table with its key and the place of the key.
    pub(super) fn each_value(&mut self) -> impl Iterator<Item = (&'a str, Span, Node<'a>)> {
        let file = self.file;
        std::mem::take(&mut self.table)
            .into_iter()
            .map(move |(key, (range, value))| (key, Span::new(file, range), Node { file, value }))
    }

    fn enter(&mut self, key: &'a str, node: Node<'a>, read: impl FnOnce(&mut Section<'a>)) {
        let DeValue::Table(table) = node.raw() else {
            self.faults.extend(node.wrong(format!("a table [{key}]"), ""));
            return;
        };
        let mut section = Section::new(self.file, key, node.value.span(), table);
        read(&mut section);
        self.faults.extend(section.finish());
    }

    /// Reports a key that is not allowed, with the reason.
    pub(super) fn refuse(&mut self, key: &'static str, expected: &str, hint: &str) {
        if let Some((range, _)) = self.table.remove(key) {
            let fault = Span::new(self.file, range).fault(format!("found `{key}`"), expected, hint);
            self.faults.push(fault);
        }
    }

    /// Returns all faults: those of the values, and the keys that were not read.
    pub(super) fn finish(self) -> Vec<Fault> {
        let mut faults = self.faults;
        for (key, (range, _)) in self.table {
            let span = Span::new(self.file, range);
            faults.push(unknown(&span, "key", key, self.name, &self.known));
        }
        faults
    }
}

/// Creates the fault of an unknown name, with the most similar known one.
pub(super) fn unknown(span: &Span, what: &str, name: &str, place: &str, known: &[&str]) -> Fault {
    let place = if place.is_empty() { String::new() } else { format!(" in [{place}]") };
    let likely = nearest(name, known).map(|name| format!("did you mean \"{name}\"?"));
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    let expected = match known.as_slice() {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        many => format!("one of {}", many.join(", ")),
    };
    span.fault(format!("unknown {what} \"{name}\"{place}"), expected, likely.unwrap_or_default())
}

/// Returns the known name that is most similar to a misspelt one, if any is similar enough.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    /// Below this, Jaro-Winkler matches words that merely share letters.
    const LIKE: f64 = 0.75;
    let lower = name.to_lowercase();
    let like = |known: &&'k str| (strsim::jaro_winkler(&lower, known), *known);
    let best = known.iter().map(like).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= LIKE).map(|(_, name)| name)
}
