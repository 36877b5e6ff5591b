//! The peer under test: rsyslogd with imfile and its own configuration, which writes the serial number of each line to
//! a file.
//!
//! It is configured as its documentation advises against loss: files by a wildcard, from their start, read again after
//! a truncation; positions written after each batch is handed on; no queue, so that nothing waits in memory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::reader::Reader;

/// rsyslogd, and how often each line came out of it.
pub(crate) struct Peer {
    home: TempDir,
    output: Option<BufReader<File>>,
    torn: String,
    n_read: u64,
    times: Vec<u8>,
}

impl Reader for Peer {
    fn name(&self) -> String {
        let output = Command::new("rsyslogd").arg("-v").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let line = text.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        let words = line.split("(aka").next().unwrap_or_default().split_whitespace();
        format!("{}, imfile", words.collect::<Vec<_>>().join(" "))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("rsyslogd");
        command.arg("-n").arg("-f").arg(self.path("rsyslog.conf")).arg("-i").arg(self.path("pid"));
        command
    }

    /// Reads the lines that have come out since the last call.
    fn n_read(&mut self) -> u64 {
        if self.output.is_none() {
            self.output = File::open(self.path("out")).ok().map(BufReader::new);
        }
        while let Some(output) = &mut self.output {
            let n = output.read_line(&mut self.torn).unwrap();
            if n == 0 || !self.torn.ends_with('\n') {
                break;
            }
            let serial = self.torn.trim().rsplit('/').next().and_then(|serial| serial.parse().ok());
            self.torn.clear();
            self.n_read += 1;
            let Some(serial) = serial else { continue };
            if self.times.len() <= serial {
                self.times.resize(serial + 1, 0);
            }
            self.times[serial] = self.times[serial].saturating_add(1);
        }
        self.n_read
    }
}

impl Peer {
    /// Makes a home with a configuration.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let peer = Self { home, output: None, torn: String::new(), n_read: 0, times: Vec::new() };
        for folder in ["logs", "work"] {
            std::fs::create_dir(peer.path(folder)).unwrap();
        }
        let config = format!(
            r#"global(workDirectory="{work}")
module(load="imfile" mode="inotify")
main_queue(queue.type="Direct")
template(name="serial" type="string" string="%msg:F,32:7%\n")
input(type="imfile" File="{logs}/*.log" Tag="soak" reopenOnTruncate="on" freshStartTail="off"
      persistStateInterval="100" persistStateAfterSubmission="on")
action(type="omfile" file="{out}" template="serial" asyncWriting="off" flushOnTXEnd="on")
"#,
            work = peer.path("work").display(),
            logs = peer.path("logs").display(),
            out = peer.path("out").display(),
        );
        std::fs::write(peer.path("rsyslog.conf"), config).unwrap();
        peer
    }

    /// A path below its home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Lines that never came, and how many came too often.
    pub(crate) fn lost_and_doubled(&self, written: u64) -> (u64, u64) {
        let came = self.times.iter().filter(|times| **times > 0).count() as u64;
        let again = self.times.iter().map(|times| u64::from(times.saturating_sub(1))).sum();
        (written - came, again)
    }
}
