//! The lines that `parse` and `explain` show: the source of each log, and which lines are selected.

use std::path::{Path, PathBuf};
use std::{fs, iter};

use crate::cli::args::Lines as Options;
use crate::cli::choice::Choice;
use crate::cli::exit::usage;
use crate::cli::print::counted;
use crate::cli::replay::{Manner, assign, say_passed_over};
use crate::daemon::site::Site;
use crate::engine::line::{Batch, Line};
use crate::engine::reader::Reader;
use crate::engine::record::Columns;
use crate::engine::zone::Reach;
use crate::source::journal::{self, UnitWatch};
use crate::source::listing::Listing;
use crate::source::replay::{Input, Replay};
use crate::source::rotation::unrotated;

/// The logs that a command line names: files in the order given, then units of the journal.
pub(super) struct Logs {
    /// Reads the logs.
    pub reader: Reader,
    logs: Vec<Log>,
    choice: Choice,
    faults: Vec<String>,
}

enum Log {
    File(Input),
    /// The last messages of a unit, or the one with this cursor.
    Unit(UnitWatch, Option<String>),
}

/// One line of a log.
pub(super) struct Numbered<'a> {
    /// The log; `-` is standard input.
    pub path: &'a Path,
    /// Index of its source.
    pub source: usize,
    /// The line's number in its log, counted from 1.
    pub number: u64,
    /// The line.
    pub line: Line<'a>,
    /// The columns that the lines above it define.
    pub columns: &'a Columns,
    /// The newest time in the log above this line.
    pub reach: Reach,
}

/// What a command does with lines: something for each line, and something after each batch.
pub(super) trait Visit {
    /// Visits a line.
    fn line(&mut self, reader: &Reader, line: &Numbered<'_>) -> anyhow::Result<()>;
    /// Called when the next line may take a while.
    fn pause(&mut self) -> anyhow::Result<()>;
}

/// Rotated files that a hint lists at most.
const MAX_ROTATED: usize = 3;

/// Returns a hint that lists a log's rotated files: the line that an alert points at may be in one of them.
fn rotated(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let names = entries.map(|entry| PathBuf::from(entry.file_name()));
    let is_older = |name: &PathBuf| {
        let log = path.file_name().map(Path::new);
        Some(name.as_path()) != log && Some(unrotated(name).as_path()) == log
    };
    let mut names: Vec<_> = names.filter(is_older).collect();
    names.sort_unstable();
    names.truncate(MAX_ROTATED);
    let names: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("; it was rotated, so the line may be in {}", names.join(", "))
}

impl Logs {
    /// Finds the logs; standard input if none is named.
    pub(super) fn find(site: &Site, options: &Options) -> anyhow::Result<Self> {
        let (units, mut paths): (Vec<_>, Vec<_>) =
            options.paths.iter().cloned().partition(|path| UnitWatch::named(path).is_some());
        if options.paths.is_empty() {
            paths.push(PathBuf::from("-"));
        }
        let Listing { paths, faults, passed_over, .. } = Listing::of(&paths, Some(&site.state));
        say_passed_over(&passed_over);
        let manner = Manner::of(site, options.format.as_deref(), options.like.as_deref())?;
        let (sources, inputs) = assign(site.sources()?, &site.watches(), paths, manner)?;
        let unnamed = sources.len() - 1;
        let mut logs: Vec<_> = inputs.into_iter().map(Log::File).collect();
        let watches = site.units();
        for named in units.iter().filter_map(|path| UnitWatch::named(path)) {
            let is_same = |watch: &&UnitWatch| watch.path() == named.path();
            let source = match manner {
                Manner::Found => watches.iter().find(is_same).map_or(unnamed, |w| w.source),
                Manner::Format(_) => unnamed,
                Manner::Source(source) => source,
            };
            logs.push(Log::Unit(UnitWatch { source, ..named }, options.cursor.clone()));
        }
        let choice = Choice::new(options);
        refuse_vague(&logs, &choice, options)?;
        let faults = faults.iter().map(ToString::to_string).collect();
        Ok(Self { reader: site.reader(sources)?, logs, choice, faults })
    }

    /// Returns whether lines must name their file.
    pub(super) const fn is_many(&self) -> bool {
        self.logs.len() > 1
    }

    /// Returns whether all lines are selected.
    pub(super) fn is_whole(&self) -> bool {
        self.choice == Choice::All
    }

    /// Visits the selected lines, file after file.
    ///
    /// # Errors
    /// The visitor's error, at once; at the end, everything that could not be read.
    pub(super) fn read(&self, visitor: &mut impl Visit) -> anyhow::Result<()> {
        let mut faults = self.faults.clone();
        for log in &self.logs {
            self.read_one(log, visitor, &mut faults)?;
        }
        anyhow::ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(())
    }

    fn read_one(
        &self,
        log: &Log,
        visitor: &mut impl Visit,
        faults: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let path = log.path();
        let mut passed = Passed::default();
        let n_faults = faults.len();
        for batch in log.batches() {
            match batch {
                Err(fault) => faults.push(fault),
                Ok(batch) => {
                    self.show(&path, &batch, &mut passed, visitor)?;
                    visitor.pause()?;
                    // The next batch may take a while, and no line of it is selected.
                    if self.choice.ends_before(passed.n_lines, passed.n_bytes) {
                        break;
                    }
                }
            }
        }
        if !self.is_whole() && !passed.is_found && faults.len() == n_faults {
            let Passed { n_lines, n_bytes, .. } = passed;
            let (shown, rotated) = (path.display(), rotated(&path));
            let lines = counted(n_lines, "line");
            faults.push(format!("no such line: {shown} has {lines} in {n_bytes} bytes{rotated}"));
        }
        Ok(())
    }

    /// Visits the selected lines of a batch.
    fn show(
        &self,
        path: &Path,
        batch: &Batch,
        passed: &mut Passed,
        visitor: &mut impl Visit,
    ) -> anyhow::Result<()> {
        let source = batch.source;
        let whole = batch.from + batch.bytes.len() as u64;
        let mut columns = Columns::new(&batch.directives);
        let above = passed.n_lines;
        for line in batch.lines() {
            let number = above + line.nth as u64 + 1;
            columns.note(&line.bytes);
            let mut end = line.offset + line.length;
            if end == whole {
                // The bytes cut off an overlong line belong to it.
                end += batch.missing.discarded;
            }
            passed.n_bytes = end;
            if self.choice.takes(number, line.offset..end) {
                passed.is_found = true;
                let (line, columns) = (line.clone(), &columns);
                let line = Numbered { path, source, number, line, columns, reach: passed.reach };
                visitor.line(&self.reader, &line)?;
            }
            self.pass(path, source, &line.bytes, &columns, passed);
        }
        // A line in parts spans several lines of the log.
        passed.n_lines += batch.bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
        Ok(())
    }

    /// Notes the newest time of a log if the time zone of later lines depends on it.
    fn pass(
        &self,
        path: &Path,
        source: usize,
        line: &[u8],
        columns: &Columns,
        passed: &mut Passed,
    ) {
        if self
            .reader
            .sources()
            .get(source)
            .is_some_and(|source| source.zone.is_some_and(|zone| zone.is_named()))
        {
            let time = self.reader.time_of(source, path, line, columns, passed.reach);
            time.into_iter().for_each(|time| passed.reach.note(time));
        }
    }
}

impl Log {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(input) => input.path.clone(),
            Self::Unit(watch, _) => watch.path(),
        }
    }

    fn batches(&self) -> Box<dyn Iterator<Item = Result<Batch, String>>> {
        match self {
            // A single file is not merged by time, so no times are needed.
            Self::File(input) => Box::new(
                Replay::open(vec![input.clone()], |_, _, _, _| None)
                    .map(|batch| batch.map_err(|fault| fault.to_string())),
            ),
            Self::Unit(watch, cursor) => {
                let read = match cursor {
                    Some(cursor) => journal::message(watch, cursor),
                    None => journal::sample(watch),
                };
                let batch = |bytes| Batch { source: watch.source, bytes, ..Batch::default() };
                let fault = |fault| format!("{}: {fault}", watch.path().display());
                Box::new(iter::once(read.map(batch).map_err(fault)))
            }
        }
    }
}

/// Refuses options that name a place in one log if there are several logs, or if the log has no such places.
fn refuse_vague(logs: &[Log], choice: &Choice, options: &Options) -> anyhow::Result<()> {
    let is_narrow = *choice != Choice::All || options.cursor.is_some();
    if is_narrow && logs.len() > 1 {
        return Err(usage("--line, --offset and --cursor name a place in one log: give one PATH"));
    }
    let is_unit = matches!(logs.first(), Some(Log::Unit(..)));
    if is_unit && options.offset.is_some() {
        return Err(usage("the journal's messages have no offsets: give --cursor or --line"));
    }
    if !is_unit && options.cursor.is_some() {
        return Err(usage("--cursor names a message of a unit: give PATH as journal:UNIT"));
    }
    Ok(())
}

/// How much of a log was read.
#[derive(Default)]
struct Passed {
    n_lines: u64,
    n_bytes: u64,
    is_found: bool,
    reach: Reach,
}

/// Returns bytes of a log as text; those that are not UTF-8 become `\xNN`.
pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
    }
    shown.into()
}
