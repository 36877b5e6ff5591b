//! The lines that `parse` and `explain` are given: which source each file is of, and line numbers.

use std::path::{Path, PathBuf};

use crate::cli::args::Lines as Options;
use crate::cli::replay::assign;
use crate::daemon::site::Site;
use crate::engine::line::Line;
use crate::engine::reader::Reader;
use crate::engine::record::Columns;
use crate::source::replay::{Input, Replay, list};

/// The logs that a command line names, in its order.
pub(super) struct Logs {
    /// What reads them.
    pub reader: Reader,
    inputs: Vec<Input>,
    faults: Vec<String>,
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
    /// The columns that lines above it name.
    pub columns: &'a Columns,
}

/// What a command does with lines: each in turn, and something after each batch.
pub(super) trait Visit {
    /// Sees a line.
    fn line(&mut self, reader: &Reader, line: &Numbered<'_>) -> anyhow::Result<()>;
    /// Sees that the next line may be long in coming.
    fn pause(&mut self) -> anyhow::Result<()>;
}

impl Logs {
    /// Finds the files; none named is standard input.
    pub(super) fn find(site: &Site, options: &Options) -> anyhow::Result<Self> {
        let stdin = [PathBuf::from("-")];
        let paths = if options.paths.is_empty() { &stdin[..] } else { &options.paths };
        let (paths, faults) = list(paths, Some(&site.state));
        let format = options.format.as_deref();
        let (sources, inputs) = assign(site.sources()?, &site.watches(), paths, format)?;
        let faults = faults.iter().map(ToString::to_string).collect();
        Ok(Self { reader: site.reader(sources)?, inputs, faults })
    }

    /// Tells whether lines have to name their file.
    pub(super) const fn is_many(&self) -> bool {
        self.inputs.len() > 1
    }

    /// Shows all lines, file after file.
    ///
    /// # Errors
    /// The visitor's at once; at the end, everything that could not be read.
    pub(super) fn read(&self, visitor: &mut impl Visit) -> anyhow::Result<()> {
        let mut faults = self.faults.clone();
        for input in &self.inputs {
            let (source, path) = (input.source, &input.path);
            let mut number = 0;
            // One file at a time is not merged by time, and no time is asked for.
            for batch in Replay::open(vec![input.clone()], |_, _, _| None) {
                match batch {
                    Err(fault) => faults.push(fault.to_string()),
                    Ok(batch) => {
                        let mut columns = Columns::new(&batch.directives);
                        for line in batch.lines() {
                            number += 1;
                            columns.note(line.bytes);
                            let line = Numbered { path, source, number, line, columns: &columns };
                            visitor.line(&self.reader, &line)?;
                        }
                        visitor.pause()?;
                    }
                }
            }
        }
        anyhow::ensure!(faults.is_empty(), "{}", faults.join("; "));
        Ok(())
    }
}

/// Returns bytes of a log as text: what is not UTF-8 as `\xNN`.
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
