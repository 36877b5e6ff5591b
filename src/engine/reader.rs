//! Steps 2 to 5: bytes become usages. Pure, so that threads may share one Reader: the directives above a batch come
//! with the batch, and how far its log has come is passed on in the reading.

use std::path::Path;

use ipnet::IpNet;
use smol_str::SmolStr;

use crate::engine::arrival::{Arrival, BadTimes};
use crate::engine::line::{Batch, Line, StreamId, Tally};
use crate::engine::pulse::{Gap, Pulse};
use crate::engine::record::{
    Columns, Format, Record, Reject, client_behind, client_beyond_private, is_error_log,
};
use crate::engine::time::Timestamp;
use crate::engine::token::{Finder, Sealer};
use crate::engine::usage::{Origin, Usage};
use crate::engine::zone::{Reach, Zone};

/// Room is reserved in advance for one usage per this many bytes of a batch: a growing list would be copied repeatedly.
/// Most lines are about this long, but not every line has a token. A batch of one line reserves room for one or two.
const BYTES_A_USAGE: usize = 256;

/// The most rejected lines that a reading keeps with their reasons; the rest are only counted.
const MAX_REJECTS: usize = 8;

/// How the lines of one configured source are read.
#[derive(Clone, Debug)]
pub struct Source {
    /// The format of its lines.
    pub format: Format,
    /// Proxies that are trusted to state the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// The service's name, or empty to use the host in each line.
    pub service: SmolStr,
    /// The clock of times without a zone; `None` is the one by which a line's envelope was written, else UTC.
    pub zone: Option<Zone>,
}

/// Reads batches.
#[derive(Debug)]
pub struct Reader {
    finder: Finder,
    sealer: Sealer,
    sources: Vec<Source>,
    /// The same sources, for their error logs.
    error_logs: Vec<Source>,
}

/// The contents of a batch.
#[derive(Debug, Default)]
pub struct Reading {
    /// Offset of its first byte in the stream.
    pub from: u64,
    /// The usages in the order of their lines.
    pub usages: Vec<Usage>,
    /// What became of the bytes.
    pub tally: Tally,
    /// The first lines that match no format, or not to its end, by offset.
    pub rejects: Vec<(u64, Reject)>,
    /// Which lines were read and which were not.
    pub pulse: Pulse,
    /// How far the log has come with this batch.
    pub reach: Reach,
    /// Lines with an impossible time.
    pub bad_times: BadTimes,
    /// The newest time of lines that name no zone.
    pub local: Option<Timestamp>,
}

impl Reading {
    /// Counts a line that was not read, or not whole.
    fn reject(&mut self, line: &Line<'_>, why: Reject) {
        self.tally.rejected += 1;
        self.tally.rejected_bytes += line.length;
        if self.rejects.len() < MAX_REJECTS {
            self.rejects.push((line.offset, why));
        }
    }
}

impl Reader {
    /// Creates a reader of these sources; batches refer to theirs by index.
    #[must_use]
    pub fn new(finder: Finder, sealer: Sealer, sources: Vec<Source>) -> Self {
        let error_logs = sources.iter().map(Source::for_error_logs).collect();
        Self { finder, sealer, sources, error_logs }
    }

    /// Returns a source as it reads a file.
    #[must_use]
    pub fn source(&self, index: usize, path: &Path) -> Option<&Source> {
        let sources = if is_error_log(path) { &self.error_logs } else { &self.sources };
        sources.get(index)
    }

    /// Returns the sources, in the order of their indices.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Returns the finder of credentials.
    #[must_use]
    pub const fn finder(&self) -> &Finder {
        &self.finder
    }

    /// Returns the sealer of credentials.
    #[must_use]
    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Reads a batch without any clock but its log's. Lines of a nonexistent source are rejected.
    #[must_use]
    pub fn read(&self, batch: &Batch) -> Reading {
        self.read_into(batch, &mut Arrival::Unknown, Vec::new())
    }

    /// Reads a batch of a followed log; `now` is when the batch came.
    #[must_use]
    pub fn read_now(&self, batch: &Batch, now: Timestamp) -> Reading {
        self.read_into(batch, &mut Arrival::Now(now), Vec::new())
    }

    /// Reads a batch, whose lines take the `arrival` of its log further. Reuses the list of an earlier reading's
    /// usages, so that frequent calls do not allocate one of this size each time.
    #[must_use]
    pub fn read_into(
        &self,
        batch: &Batch,
        arrival: &mut Arrival,
        mut usages: Vec<Usage>,
    ) -> Reading {
        usages.clear();
        usages.reserve(batch.bytes.len().div_ceil(BYTES_A_USAGE));
        let mut reading = Reading {
            from: batch.from,
            usages,
            tally: Tally { missing: batch.missing, ..Tally::default() },
            reach: batch.reach,
            ..Reading::default()
        };
        if let Some(loss) = batch.loss {
            reading.pulse.lose(Gap { offset: batch.from, bytes: batch.missing.gap, loss });
        }
        let source = self.source(batch.source, &batch.position.path);
        let mut columns = Columns::new(&batch.directives);
        for line in batch.lines() {
            columns.note(&line.bytes);
            reading.tally.lines += 1;
            match self.read_line(source, batch.stream, &line, &columns, arrival, &mut reading) {
                Ok((time, None)) => {
                    reading.pulse.read(time);
                    reading.tally.parsed += 1;
                    reading.tally.parsed_bytes += line.length;
                }
                Ok((time, Some(lack))) => {
                    reading.pulse.read_in_part(time, line.offset, &lack);
                    reading.reject(&line, *lack);
                }
                Err(reject) => {
                    reading.pulse.reject(line.offset, &reject);
                    reading.reject(&line, reject);
                }
            }
        }
        reading.tally.usages = reading.usages.len() as u64;
        reading
    }

    /// Returns the time of a line of a file if its source can parse it with these columns, in a log that has come this
    /// far.
    #[must_use]
    pub fn time_of(
        &self,
        source: usize,
        path: &Path,
        line: &[u8],
        columns: &Columns,
        mut reach: Reach,
    ) -> Option<Timestamp> {
        self.source(source, path)?.parse(line, columns, &mut reach).ok()?.time
    }

    /// Adds the usages of a line. Returns its time, and what it lacks of its template.
    fn read_line(
        &self,
        source: Option<&Source>,
        stream: StreamId,
        line: &Line<'_>,
        columns: &Columns,
        arrival: &mut Arrival,
        reading: &mut Reading,
    ) -> Result<(Option<Timestamp>, Option<Box<Reject>>), Reject> {
        let source = source
            .ok_or_else(|| Reject::new(1, "a line of a configured source", "one of another"))?;
        let mut parsed = source.record(&line.bytes, columns, &mut reading.reach);
        let record = match &mut parsed {
            Ok(Some(record)) => record,
            Ok(None) => return Ok((None, None)),
            Err(_) => return parsed.map(|_| (None, None)),
        };
        record.time = record.time.map(|said| {
            arrival.believe(said).unwrap_or_else(|came| {
                reading.bad_times.note(said);
                came
            })
        });
        if record.is_local {
            reading.local = reading.local.max(record.time);
        }
        let origin = Origin { stream, offset: line.offset };
        let mut sightings = Vec::new();
        self.finder.find(record, &mut sightings);
        self.sealer.seal(record, &sightings, origin, &source.service, &mut reading.usages);
        drop(sightings);
        Ok((record.time, record.lack.take()))
    }
}

impl Source {
    /// Creates a source of which only the format is known.
    #[must_use]
    pub fn of(format: Format) -> Self {
        Self { format, trusted_proxies: Vec::new(), service: SmolStr::default(), zone: None }
    }

    /// Parses one line, and converts a time without a zone by the source's clock.
    fn parse<'a>(
        &self,
        line: &'a [u8],
        columns: &Columns,
        reach: &mut Reach,
    ) -> Result<Record<'a>, Reject> {
        let mut parsed = self.format.parse_under(line, columns);
        if let Ok(record) = &mut parsed {
            if record.is_local {
                let written = record.written;
                let zone_of = |time| self.zone.or_else(|| Some(Zone::of_clock(time, written?)));
                record.time =
                    record.time.map(|time| zone_of(time).unwrap_or_default().instant(time, *reach));
            }
            if self.zone.is_some_and(|zone| zone.is_named()) {
                record.time.into_iter().for_each(|time| reach.note(time));
            }
        }
        parsed
    }

    /// Returns the source as it reads error logs.
    #[must_use]
    pub fn for_error_logs(&self) -> Self {
        Self { format: self.format.for_error_logs(), ..self.clone() }
    }

    /// Parses one line under the columns that lines above it name, and replaces the peer by the client behind the
    /// trusted proxies. Returns `None` for a line that [contains nothing](Format::is_silent) or is a message of the
    /// [server's own](Reject::is_of_server). Advances `reach`, which is how far its log has come.
    ///
    /// # Errors
    /// Reports why the line does not match.
    pub fn record<'a>(
        &self,
        line: &'a [u8],
        columns: &Columns,
        reach: &mut Reach,
    ) -> Result<Option<Record<'a>>, Reject> {
        // Changed in place: a record is 400 bytes, and each `?` would move it.
        let mut parsed = self.parse(line, columns, reach);
        match &mut parsed {
            Ok(record) => self.look_behind(record),
            Err(reject) if reject.is_of_server() || self.format.is_silent(line) => return Ok(None),
            Err(_) => {}
        }
        parsed.map(Some)
    }

    /// Replaces the peer by the client behind the proxies.
    fn look_behind(&self, record: &mut Record<'_>) {
        if !self.trusted_proxies.is_empty() {
            let forwarded = record.forwarded();
            record.client = client_behind(record.client, forwarded, &self.trusted_proxies);
        } else if record.is_forwarded {
            record.client = client_beyond_private(record.client, record.forwarded());
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
