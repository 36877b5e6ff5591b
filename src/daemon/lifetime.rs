//! How long `run` lasts: a service until it is stopped, a command on files as long as somebody is there for it.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::sleep;

use crate::daemon::systemd::Asked;

/// Interval between looks at who is still there: nobody waits for the end.
const LOOK: Duration = Duration::from_secs(1);

/// How long `run` lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is stopped.
    Service,
    /// As long as its terminal and the reader of its standard output: without both, nobody knows that it still runs and
    /// holds the state.
    Command,
}

impl Lifetime {
    /// Returns what SIGHUP asks for. Must be called before anybody listens for it.
    #[must_use]
    pub fn on_hangup(self) -> Asked {
        match self {
            Self::Command if !is_hangup_ignored() => Asked::End,
            _ => Asked::Reload,
        }
    }

    /// Returns whether nobody can read standard output any more, and that is the end.
    #[must_use]
    pub fn is_over(self) -> bool {
        self == Self::Command && is_unread(std::io::stdout())
    }

    /// Waits until it is over.
    pub async fn end(self) {
        while !self.is_over() {
            sleep(LOOK).await;
        }
    }
}

/// Returns whether whoever started this process had it ignore SIGHUP, as `nohup` does.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit is that of signal 1.
    mask.is_some_and(|mask| mask & 1 != 0)
}

/// Returns whether a pipe or a terminal has nobody at its other end. A write would reveal that too, but the next alert
/// may never come.
fn is_unread(output: impl AsFd) -> bool {
    let mut outputs = [PollFd::new(&output, PollFlags::empty())];
    let is_asked = poll(&mut outputs, Some(&Timespec::default())).is_ok();
    let is_gone =
        |output: &PollFd<'_>| output.revents().intersects(PollFlags::ERR | PollFlags::HUP);
    is_asked && outputs.iter().any(is_gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_unread_once_its_reader_is_gone() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(!is_unread(&writer));
        drop(reader);
        assert!(is_unread(&writer));
        assert!(!is_unread(tempfile::tempfile().unwrap()));
    }
}
