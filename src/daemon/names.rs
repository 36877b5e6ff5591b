//! The log that a file belongs to, whatever the file's name is now.
//!
//! Called for each batch, and a batch of overlapping logs may be a single line: computing the name each time would take
//! as long as judging the line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::FixedState;
use smol_str::SmolStr;

use crate::engine::health::principal;
use crate::engine::line::StreamId;
use crate::source::rotation::unrotated;

/// Streams whose names are cached; with more, the cache is cleared.
const MAX_STREAMS: usize = 4096;

/// The logs of streams.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<StreamId, (OsString, Name), FixedState>);

/// The names of a log.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// The path where it is followed.
    pub(super) log: Arc<Path>,
    /// The principal of alerts about it.
    pub(super) principal: SmolStr,
}

impl Names {
    /// Returns the name of a stream's log; the stream is in this file now.
    pub(super) fn of(&mut self, stream: StreamId, file: &Path) -> &Name {
        if self.0.len() >= MAX_STREAMS && !self.0.contains_key(&stream) {
            self.0.clear();
        }
        let named = || (file.as_os_str().to_owned(), Name::of(file));
        let known = self.0.entry(stream).or_insert_with(named);
        if known.0 != file.as_os_str() {
            *known = named();
        }
        &known.1
    }
}

impl Name {
    /// Returns the name of the log that a file belongs to.
    pub(super) fn of(file: &Path) -> Self {
        let log = unrotated(file);
        let principal = principal(&log);
        Self { log: log.into(), principal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_of_the_log_that_its_file_is_called_by_now() {
        let mut names = Names::default();
        for (file, log) in [
            ("/var/log/access.log", "/var/log/access.log"),
            ("/var/log/access.log.1", "/var/log/access.log"),
            ("/var/log/old.log", "/var/log/old.log"),
            ("/var/log/access.log", "/var/log/access.log"),
        ] {
            let name = names.of(StreamId(3), Path::new(file));
            assert_eq!(&*name.log, Path::new(log), "{file}");
            assert_eq!(name.principal, format!("log:{log}"), "{file}");
        }
        assert_eq!(names.0.len(), 1);
    }

    #[test]
    fn few_streams_are_kept_at_hand_however_many_there_are() {
        let mut names = Names::default();
        for n in 0..3 * MAX_STREAMS {
            let stream = StreamId(i64::try_from(n).unwrap());
            let log = format!("/var/log/{n}.log");
            assert_eq!(&*names.of(stream, Path::new(&log)).log, Path::new(&log));
            assert!(names.0.len() <= MAX_STREAMS);
        }
    }
}
