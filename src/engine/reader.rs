//! Steps 2 to 5: bytes become usages. Pure, so that threads may share one Reader: the directives above a batch come
//! with the batch, and how far its log has come is passed on in the reading.

use std::path::Path;

use ipnet::IpNet;
use smol_str::SmolStr;

use crate::engine::line::{Batch, Line, StreamId, Tally};
use crate::engine::pulse::{Gap, Pulse};
use crate::engine::record::{
    Columns, Format, Record, Reject, client_behind, client_beyond_private, is_error_log,
};
use crate::engine::time::{DAY, Timestamp};
use crate::engine::token::{Finder, Sealer};
use crate::engine::usage::{Origin, Usage};
use crate::engine::zone::{Reach, Zone};

/// Room is reserved in advance for one usage per this many bytes of a batch: a growing list would be copied repeatedly.
/// Most lines are about this long, but not every line has a token. A batch of one line reserves room for one or two.
const BYTES_A_USAGE: usize = 256;

/// The most rejected lines that a reading keeps with their reasons; the rest are only counted.
const MAX_REJECTS: usize = 8;

/// A line further ahead of the clock than this has an impossible time: no two zones differ by more than 26 hours, and
/// clocks that are wrong by less are reported.
const TOO_FAR_AHEAD: i64 = DAY;

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

/// Lines with a time more than a day ahead of the clock, which count as of their [`Arrival`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadTimes {
    /// How many.
    pub lines: u64,
    /// The newest such time.
    pub newest: Option<Timestamp>,
}

impl BadTimes {
    fn note(&mut self, said: Timestamp) {
        self.lines += 1;
        self.newest = self.newest.max(Some(said));
    }

    /// Adds those of another reading.
    pub fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.newest = self.newest.max(other.newest);
    }
}

/// What is known of when the next lines of a log came, apart from what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing: they are believed.
    #[default]
    Unknown,
    /// They come now.
    Now(Timestamp),
    /// They came before now, after lines whose newest time is `newest`.
    Before {
        /// The present.
        now: Timestamp,
        /// The newest possible time of the lines above.
        newest: Option<Timestamp>,
    },
}

impl Arrival {
    /// Returns whether lines may have been written at this time.
    #[must_use]
    pub fn allows(self, said: Timestamp) -> bool {
        match self {
            Self::Unknown => true,
            Self::Now(now) | Self::Before { now, .. } => said.since(now) <= TOO_FAR_AHEAD,
        }
    }

    /// Returns the time of the next line, or, if what it says is impossible, the time as of which it counts.
    fn believe(&mut self, said: Timestamp) -> Result<Timestamp, Timestamp> {
        let is_possible = self.allows(said);
        match self {
            Self::Now(now) if !is_possible => Err(*now),
            Self::Before { now, newest } if !is_possible => Err(newest.unwrap_or(*now).min(*now)),
            Self::Before { newest, .. } => {
                *newest = (*newest).max(Some(said));
                Ok(said)
            }
            Self::Unknown | Self::Now(_) => Ok(said),
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

    /// Reads a batch, whose lines take the `arrival` of its log further. Reuses the list of an earlier reading's usages,
    /// so that frequent calls do not allocate one of this size each time.
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
        let record = source.record(&line.bytes, columns, &mut reading.reach)?;
        let Some(mut record) = record else { return Ok((None, None)) };
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
        self.finder.find(&record, &mut sightings);
        self.sealer.seal(&record, &sightings, origin, &source.service, &mut reading.usages);
        drop(sightings);
        Ok((record.time, record.lack))
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
        let mut record = match self.parse(line, columns, reach) {
            Ok(record) => record,
            Err(reject) if reject.is_of_server() || self.format.is_silent(line) => return Ok(None),
            Err(reject) => return Err(reject),
        };
        let forwarded = record.forwarded();
        if !self.trusted_proxies.is_empty() {
            record.client = client_behind(record.client, forwarded, &self.trusted_proxies);
        } else if record.is_forwarded {
            record.client = client_beyond_private(record.client, forwarded);
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::secret::SealKey;
    use crate::engine::token::Names;

    fn reader() -> Reader {
        let names = Names::default();
        let source = Source {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Source::of(Format::preset("auto").unwrap())
        };
        let sealer = Sealer::new(SealKey::new(b"key"), &names);
        Reader::new(Finder::new(&names), sealer, vec![source])
    }

    fn line() -> impl Strategy<Value = String> {
        let combined = (0..60u32, 0..3u8).prop_map(|(second, token)| {
            format!(
                "192.0.2.{token} - - [02/Mar/2026:08:00:{second:02} +0000] \"GET /v1/items HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_{token}123456789abcdef\"\n"
            )
        });
        let json = (0..60u32).prop_map(|second| {
            format!("{{\"time\":\"2026-03-02T08:00:{second:02}Z\",\"remote_addr\":\"192.0.2.9\",\"request\":\"GET /?api_key=exk_0123456789abcdef HTTP/1.1\",\"status\":200}}\r\n")
        });
        prop_oneof![combined, json, "[ -~]{0,40}\n"]
    }

    proptest! {
        #[test]
        fn cuts_between_lines_change_nothing(
            lines in prop::collection::vec(line(), 1..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let reader = reader();
            let batch = |from: usize, lines: &[String]| Batch {
                from: from as u64,
                bytes: lines.concat().into_bytes(),
                ..Batch::default()
            };
            let whole = reader.read(&batch(0, &lines));
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(lines.len())).collect();
            at.extend([0, lines.len()]);
            at.sort_unstable();
            let (mut usages, mut tally, mut offset) = (Vec::new(), Tally::default(), 0);
            for pair in at.windows(2) {
                let part = &lines[pair[0]..pair[1]];
                let reading = reader.read(&batch(offset, part));
                offset += part.concat().len();
                usages.extend(reading.usages);
                tally.add(&reading.tally);
            }
            prop_assert_eq!(&usages, &whole.usages);
            prop_assert_eq!(tally, whole.tally);
            prop_assert_eq!(tally.bytes(), offset as u64);
        }
    }

    #[test]
    fn a_log_without_a_peer_has_the_client_beyond_the_sites_own_hops() {
        let line = br#"[2026-03-02T08:00:00.000Z] "GET / HTTP/1.1" 200 - 0 5 1 1 "203.0.113.9, 192.168.7.7" "c/1" "id" "example.org" "10.0.0.5:80""#;
        let mut source = Source::of(Format::preset("auto").unwrap());
        let record = |source: &Source| {
            source.record(line, &Columns::default(), &mut Reach::default()).unwrap()
        };
        let client = |source: &Source| record(source).unwrap().client;
        assert_eq!(client(&source), Some("203.0.113.9".parse().unwrap()));
        // Once trusted proxies are configured, nothing else is trusted.
        source.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(client(&source), Some("192.168.7.7".parse().unwrap()));
    }

    #[test]
    fn the_client_behind_a_trusted_proxy_takes_its_place() {
        let line = br#"{"time":"2026-03-02T08:00:00Z","remote_addr":"10.1.2.3","http_x_forwarded_for":"192.0.2.7, 10.9.9.9","request":"GET / HTTP/1.1","status":200}"#;
        let reader = reader();
        let record = reader.sources()[0]
            .record(line, &Columns::default(), &mut Reach::default())
            .unwrap()
            .unwrap();
        assert_eq!(record.client, Some("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn a_time_of_more_than_a_day_ahead_is_that_of_its_coming_where_there_is_a_clock() {
        let line = |ahead: &str| {
            format!(
                "192.0.2.7 - - [{ahead}] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \"Bearer exk_0123456789abcdef\"\n"
            )
        };
        let now: Timestamp =
            "2026-03-02T08:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
        let cases = [
            ("02/Mar/2026:08:00:00 +0000", "2026-03-02T08:00:00Z"),
            ("03/Mar/2026:08:00:00 +0000", "2026-03-03T08:00:00Z"),
            ("03/Mar/2026:08:00:01 +0000", "2026-03-02T08:00:00Z"),
            ("31/Dec/9999:23:59:60 +0000", "2026-03-02T08:00:00Z"),
            ("01/Mar/2026:23:59:60 +0000", "2026-03-02T00:00:00Z"),
            ("01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"),
        ];
        let bytes = cases.map(|(said, _)| line(said)).concat().into_bytes();
        let batch = Batch { bytes, ..Batch::default() };
        let reading = reader().read_now(&batch, now);
        let times: Vec<_> = reading.usages.iter().map(|usage| usage.time.to_rfc3339(0)).collect();
        assert_eq!(times, cases.map(|(_, believed)| believed));
        assert_eq!((reading.tally.parsed, reading.bad_times.lines), (6, 2));
        assert_eq!(reading.bad_times.newest.unwrap().to_rfc3339(0), "+10000-01-01T00:00:00Z");
        assert!(reading.pulse.newest().unwrap().since(now) <= DAY);
        let replayed = reader().read(&batch);
        assert_eq!(replayed.bad_times, BadTimes::default());
        assert_eq!(replayed.usages[2].time.to_rfc3339(0), "2026-03-03T08:00:01Z");
    }

    #[test]
    fn cuts_in_the_doubled_hour_change_nothing() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let names = Names::default();
        let source = Source { zone: Some(zone), ..Source::of(Format::preset("auto").unwrap()) };
        let sealer = Sealer::new(SealKey::new(b"key"), &names);
        let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
        let lines: Vec<String> = ["01:50:00", "02:10:00", "02:59:00", "02:01:00", "02:20:00", "02:59:00", "03:00:00"]
            .map(|clock| format!("time=2026-10-25T{clock} method=GET path=/ status=200 authorization=\"Bearer exk_0123456789abcdef\"\n"))
            .to_vec();
        let times = |cuts: &[usize]| {
            let (mut reach, mut times) = (Reach::default(), Vec::new());
            for cut in cuts.windows(2) {
                let bytes = lines[cut[0]..cut[1]].concat().into_bytes();
                let reading = reader.read(&Batch { bytes, reach, ..Batch::default() });
                reach = reading.reach;
                times.extend(reading.usages.iter().map(|usage| usage.time.to_rfc3339(0)));
            }
            times
        };
        let expected =
            ["24T23:50", "25T00:10", "25T00:59", "25T01:01", "25T01:20", "25T01:59", "25T02:00"]
                .map(|time| format!("2026-10-{time}:00Z"));
        assert_eq!(times(&[0, 7]), expected);
        for cut in 1..7 {
            assert_eq!(times(&[0, cut, 7]), expected, "{cut}");
        }
    }

    #[test]
    fn the_zone_that_a_lines_envelope_names_was_not_used() {
        let haproxy = |clock: &str| {
            format!(
                "192.0.2.1:58430 [27/Nov/2026:{clock}.100] web~ api/a 0/0/1/2/3 200 5 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""
            )
        };
        let json =
            |clock: &str| format!(r#"{{"time":"2026-11-27 {clock}","uri":"/","status":200}}"#);
        let iso = |clock: &str| {
            format!("2026-11-27T09:54:00.123456+01:00 lb1 haproxy[1]: {}", haproxy(clock))
        };
        let rfc5424 = |clock: &str| {
            format!("<134>1 2026-11-27T08:54:00Z lb1 haproxy 1 - - {}", haproxy(clock))
        };
        let cri = |clock: &str| format!("2026-11-27T08:54:00.5Z stdout F {}", json(clock));
        let docker = |clock: &str| {
            serde_json::json!({"log": haproxy(clock), "stream": "stdout", "time": "2026-11-27T08:54:00.5Z"}).to_string()
        };
        let journal = |clock: &str| {
            serde_json::json!({"MESSAGE": haproxy(clock), "__REALTIME_TIMESTAMP": "1795769640500000"}).to_string()
        };
        let shipped = |clock: &str| {
            serde_json::json!({"message": haproxy(clock), "agent": {"type": "filebeat"}, "@timestamp": "2026-11-27T08:54:00.5Z"}).to_string()
        };
        let bsd = |clock: &str| format!("Nov 27 09:54:00 lb1 haproxy[1]: {}", haproxy(clock));
        let time_by = |source: &Source, line: &str| {
            let record = source.record(line.as_bytes(), &Columns::default(), &mut Reach::default());
            record.unwrap().unwrap().time.unwrap().to_rfc3339(0)
        };
        let auto = Source::of(Format::preset("auto").unwrap());
        let time = |line: &str| time_by(&auto, line);
        for (shown, utc) in [
            // Berlin, New York, Kolkata, UTC; and a request that took a minute.
            ("09:54:00", "08:54:00"),
            ("03:54:00", "08:54:00"),
            ("14:24:00", "08:54:00"),
            ("08:54:00", "08:54:00"),
            ("09:53:00", "08:53:00"),
            // Requests that took twelve minutes, and twenty: hours off would be too late to be judged.
            ("03:42:00", "08:42:00"),
            ("09:34:00", "08:49:00"),
        ] {
            let utc = format!("2026-11-27T{utc}Z");
            for line in [iso(shown), rfc5424(shown), cri(shown), docker(shown), journal(shown)] {
                assert_eq!(time(&line), utc, "{line}");
            }
            // A shipper may come long after, and an envelope without a zone knows no better.
            for line in [shipped(shown), bsd(shown), haproxy(shown)] {
                assert_eq!(time(&line), format!("2026-11-27T{shown}Z"), "{line}");
            }
        }
        // What is configured counts, and so does what the line says.
        for zone in [Zone::named("UTC"), Some(Zone::Fixed(0))] {
            let source = Source { zone, ..Source::of(Format::preset("auto").unwrap()) };
            assert_eq!(time_by(&source, &iso("09:54:00")), "2026-11-27T09:54:00Z");
        }
        let zoned = "2026-11-27T08:54:00.5Z stdout F {\"time\":\"2026-11-27T09:54:00Z\",\"uri\":\"/\",\"status\":200}";
        assert_eq!(time(zoned), "2026-11-27T09:54:00Z");
    }

    #[test]
    fn a_time_without_a_zone_is_of_the_sources_clock() {
        let hour = 3600;
        let cases = [
            (
                "2026/03/02 09:00:00 [error] 7#7: *1 open() \"/x\" failed (2: No such file), client: 192.0.2.7, server: _, request: \"GET /?api_key=x HTTP/1.1\"",
                8,
            ),
            ("time=2026-03-02T09:00:00 method=GET path=/ status=200", 8),
            ("date=2026-03-02 time=09:00:00 method=GET path=/ status=200", 8),
            (
                "{\"time\":\"2026-03-02 09:00:00,5\",\"request\":\"GET / HTTP/1.1\",\"status\":200}",
                8,
            ),
            ("2026-03-02 09:00:00,537 {\"method\":\"GET\",\"path\":\"/\",\"status\":200}", 8),
            ("time=2026-03-02T09:00:00Z method=GET path=/ status=200", 9),
            ("time=2026-03-02T09:00:00-02:00 method=GET path=/ status=200", 11),
            ("ts=1772442000 method=GET path=/ status=200", 9),
        ];
        let auto = || Source::of(Format::preset("auto").unwrap());
        let (utc, berlin) = (auto(), Source { zone: Some(Zone::Fixed(hour)), ..auto() });
        for (line, expected) in cases {
            let at = |source: &Source| {
                let record = source
                    .record(line.as_bytes(), &Columns::default(), &mut Reach::default())
                    .unwrap();
                record.unwrap().time.unwrap().hour_of_day()
            };
            assert_eq!(at(&berlin), expected, "{line}");
            assert_eq!(at(&utc), if expected == 8 { 9 } else { expected }, "{line}");
        }
        // W3C's times are in UTC anyway.
        for (clock, expected) in [("time", 9), ("time-local", 8)] {
            let mut columns = Columns::default();
            columns.note(format!("#Fields: date {clock} c-ip cs-uri-stem sc-status").as_bytes());
            let record = berlin
                .record(b"2026-03-02 09:00:00 192.0.2.7 / 200", &columns, &mut Reach::default())
                .unwrap();
            assert_eq!(record.unwrap().time.unwrap().hour_of_day(), expected, "{clock}");
        }
    }
}
