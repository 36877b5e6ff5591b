//! Which log a file is of, whatever it is called by now.
//!
//! Each batch asks, and of logs that overlap a batch may be a line: to work it out each time would take as long as to judge the line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::FixedState;
use smol_str::SmolStr;

use crate::engine::health::principal;
use crate::engine::line::StreamId;
use crate::source::rotation::unrotated;

/// Streams whose names are at hand; with more, all are worked out anew.
const MAX_STREAMS: usize = 4096;

/// The logs of streams.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<StreamId, (OsString, Name), FixedState>);

/// What a log is called.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// Where it is followed.
    pub(super) log: Arc<Path>,
    /// Of alerts about it.
    pub(super) principal: SmolStr,
}

impl Names {
    /// Returns the name of the log whose stream is in this file.
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
    /// Returns the name of the log that a file is of.
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
