//! The accounting equation that `status` shows: each committed byte was read, rejected or passed over, or was in the
//! file before it was followed, or was read under another name.

use anstyle::AnsiColor;
use serde_json::{Value as Json, json};

use crate::cli::print::{self, Printer};
use crate::cli::table;
use crate::engine::line::Tally;
use crate::engine::visible;
use crate::store::StreamStatus;

/// Where all bytes went.
pub(super) struct Account<'a> {
    /// The position of the files, plus the bytes lost before they could be read.
    committed: u64,
    /// The committed bytes before the position where reading began, except those that a replay read later: they were
    /// there before the file was followed, or were read from the file of which this one is a copy, plain or compressed.
    left_out: u64,
    tally: Tally,
    /// The files whose bytes do not add up, each with the missing number of bytes.
    wrong: Vec<(&'a StreamStatus, i128)>,
}

/// Returns how many committed bytes of a stream are unaccounted for; negative if more were counted than committed.
pub(super) fn unaccounted(stream: &StreamStatus) -> i128 {
    i128::from(stream.position.committed()) - i128::from(stream.tally.committed())
}

impl<'a> Account<'a> {
    /// Adds up all streams.
    pub(super) fn of(streams: &'a [StreamStatus]) -> Self {
        let mut tally = Tally::default();
        streams.iter().for_each(|stream| tally.add(&stream.tally));
        let sum = |of: fn(&StreamStatus) -> u64| streams.iter().map(of).sum::<u64>();
        let wrong = streams.iter().map(|stream| (stream, unaccounted(stream)));
        Self {
            committed: sum(|stream| stream.position.offset) + tally.missing.gap,
            left_out: sum(|stream| stream.position.began.saturating_sub(stream.position.early)),
            tally,
            wrong: wrong.filter(|(_, bytes)| *bytes != 0).collect(),
        }
    }

    /// Prints one line: the equation, or the files whose bytes do not add up and by how much.
    pub(super) fn print(&self, printer: &mut Printer) -> std::io::Result<()> {
        let room = usize::from(table::width()).saturating_sub(18);
        let mut name = "accounting";
        for line in print::wrapped(&self.sentence(), room) {
            let red = AnsiColor::Red.on_default();
            if self.wrong.is_empty() {
                printer.line(format_args!("{name:<17} {line}"))?;
            } else {
                printer.line(format_args!("{name:<17} {red}{line}{red:#}"))?;
            }
            name = "";
        }
        Ok(())
    }

    fn sentence(&self) -> String {
        if !self.wrong.is_empty() {
            let each = self.wrong.iter().map(|(stream, bytes)| {
                let n = print::number(u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX));
                let path = print::safe(visible::path(&stream.position.path));
                let what = if *bytes > 0 { "not accounted for" } else { "counted twice" };
                format!("{path}: {n} B {what}")
            });
            return format!("does not add up: {}", each.collect::<Vec<_>>().join("; "));
        }
        let Tally { parsed_bytes, rejected_bytes, missing, .. } = self.tally;
        let terms = [
            (parsed_bytes, "read"),
            (rejected_bytes, "rejected"),
            (missing.discarded, "discarded"),
            (missing.gap, "lost"),
            (missing.nuls, "NULs"),
            (self.left_out, "before the start or read under another name"),
        ];
        let terms = terms.map(|(bytes, name)| format!("{} {name}", print::number(bytes)));
        format!("adds up: {} B committed = {}", print::number(self.committed), terms.join(" + "))
    }

    /// Returns the equation as JSON.
    pub(super) fn to_json(&self) -> Json {
        let wrong = self.wrong.iter().map(
            |(stream, bytes)| json!({"path": visible::path(&stream.position.path), "bytes": bytes}),
        );
        json!({
            "holds": self.wrong.is_empty(),
            "committed": self.committed,
            "parsed": self.tally.parsed_bytes,
            "rejected": self.tally.rejected_bytes,
            "discarded": self.tally.missing.discarded,
            "gap": self.tally.missing.gap,
            "nul": self.tally.missing.nuls,
            "left_out": self.left_out,
            "wrong": wrong.collect::<Vec<_>>(),
        })
    }
}
