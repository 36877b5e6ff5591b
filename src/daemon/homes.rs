//! The stream with whose row the state of a log is stored: of its files, the one that was read last.
//!
//! The state takes some 2 KB, and thousands of rotated files are remembered. Stored with each of them, it would fill
//! the page cache, and be read and thrown away at each start.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::daemon::worker::ByLog;
use crate::engine::line::StreamId;

/// The homes of logs' states.
#[derive(Debug, Default)]
pub(super) struct Homes {
    by_log: ByLog<StreamId>,
    /// Streams that were a home, and whose rows still contain the state of that time.
    left: BTreeSet<StreamId>,
}

impl Homes {
    /// Records that the state of a log is stored with this stream from now on.
    pub(super) fn move_to(&mut self, log: &Arc<Path>, stream: StreamId) {
        let left = self.by_log.insert(Arc::clone(log), stream);
        self.left.extend(left.filter(|left| *left != stream));
    }

    /// Returns whether the state of a log is stored with this stream.
    pub(super) fn is_home(&self, log: &Path, stream: StreamId) -> bool {
        self.by_log.get(log) == Some(&stream)
    }

    /// Returns the logs whose state is stored with one of these streams.
    pub(super) fn among(&self, streams: &BTreeSet<StreamId>) -> BTreeSet<Arc<Path>> {
        let at_home = self.by_log.iter().filter(|(_, home)| streams.contains(*home));
        at_home.map(|(log, _)| Arc::clone(log)).collect()
    }

    /// Takes the streams whose rows need not contain a state any more.
    pub(super) fn take_left(&mut self) -> Vec<StreamId> {
        let mut left = std::mem::take(&mut self.left);
        if !left.is_empty() {
            // A file may have been renamed to that of another log, or have become the latest again.
            for home in self.by_log.values() {
                left.remove(home);
            }
        }
        left.into_iter().collect()
    }

    /// Forgets the logs that are not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Path) -> bool) {
        self.by_log.retain(|log, _| is_kept(log));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_left_once_no_log_is_at_home_there() {
        let [one, other]: [Arc<Path>; 2] = ["/a.log", "/b.log"].map(|path| Path::new(path).into());
        let mut homes = Homes::default();
        homes.move_to(&one, StreamId(1));
        homes.move_to(&one, StreamId(1));
        assert_eq!(homes.take_left(), []);
        homes.move_to(&one, StreamId(2));
        assert!(homes.is_home(&one, StreamId(2)) && !homes.is_home(&one, StreamId(1)));
        let among = |streams: &[i64]| homes.among(&streams.iter().copied().map(StreamId).collect());
        assert_eq!((among(&[1, 3]), among(&[1, 2])), ([].into(), [Arc::clone(&one)].into()));
        assert_eq!(homes.take_left(), [StreamId(1)]);
        assert_eq!(homes.take_left(), [], "once");
        // There and back before anybody asks.
        homes.move_to(&one, StreamId(1));
        homes.move_to(&one, StreamId(2));
        assert_eq!(homes.take_left(), [StreamId(1)]);
        // The second file is renamed to that of another log, and the first log goes on in a third one.
        homes.move_to(&other, StreamId(2));
        homes.move_to(&one, StreamId(3));
        assert_eq!(homes.take_left(), [], "it is the other log's home");
        homes.retain(|log| log == &*other);
        assert!(homes.is_home(&other, StreamId(2)) && !homes.is_home(&one, StreamId(3)));
    }
}
