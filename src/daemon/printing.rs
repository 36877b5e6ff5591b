//! Alerts on standard output, by a thread of its own: whoever does not read there must not keep the loop from the logs.

use std::io::Write;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tracing::warn;

use crate::clock::monotonic;
use crate::deliver::render::Files;
use crate::engine::alert::Alert;

/// How alerts are printed.
pub struct Sink {
    /// Returns what is printed of an alert.
    pub text: fn(&Alert, &Files<'_>) -> String,
    /// Where it is printed. Writing there may take for ever, and fails once nobody reads any more.
    pub out: Box<dyn Write + Send>,
}

/// How many alerts wait to be printed, at most: about a MiB of JSON.
const QUEUE: usize = 1024;

/// How long the loop waits, after each commit, for a reader who is slow. Once that is over, nobody waits for him until
/// he reads again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The interval between looks whether there is room in the queue.
const LOOK: Duration = Duration::from_millis(10);

/// Whether anybody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As far as is known.
    Going,
    /// Never again.
    Over,
}

/// What is printed, and what is not.
pub(super) struct Printing {
    text: fn(&Alert, &Files<'_>) -> String,
    /// `None` only while it is dropped.
    queue: Option<SyncSender<String>>,
    /// Its other end goes with the thread.
    end: Receiver<()>,
    n_left_out: u64,
}

impl Printing {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(sink: Sink) -> anyhow::Result<Self> {
        let Sink { text, mut out } = sink;
        let (queue, waiting) = sync_channel::<String>(QUEUE);
        let (is_over, end) = channel::<()>();
        let work = move || {
            let _is_over = is_over;
            // Once nobody reads, what comes is refused.
            while waiting.recv().is_ok_and(|text| out.write_all(text.as_bytes()).is_ok()) {}
        };
        // Nobody waits for it: it may hang in a write for ever.
        let _thread = thread::Builder::new()
            .name("print".to_owned())
            .spawn(work)
            .context("starting the thread that prints alerts")?;
        Ok(Self { text, queue: Some(queue), end, n_left_out: 0 })
    }

    /// Prints alerts, or leaves them out if nobody reads.
    pub(super) fn tell(&mut self, alerts: &[Alert], files: &Files<'_>) -> Reading {
        // Of one who stalled, nothing is expected.
        let patience = if self.n_left_out == 0 { PATIENCE } else { Duration::ZERO };
        let until = monotonic() + patience;
        let text = self.text;
        let is_over = |alert| self.print(text(alert, files), until) == Reading::Over;
        if alerts.iter().any(is_over) { Reading::Over } else { Reading::Going }
    }

    /// Prints an alert, unless there is no room before `until`.
    fn print(&mut self, mut text: String, until: Duration) -> Reading {
        let Some(queue) = &self.queue else { return Reading::Over };
        loop {
            match queue.try_send(text) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Reading::Over,
                Err(TrySendError::Full(_)) if until <= monotonic() => {
                    self.leave_out();
                    return Reading::Going;
                }
                Err(TrySendError::Full(again)) => text = again,
            }
            thread::sleep(LOOK);
        }
        if self.n_left_out > 0 {
            let alerts = std::mem::take(&mut self.n_left_out);
            warn!(alerts, "Standard output is read again; alerts were not printed there.");
        }
        Reading::Going
    }

    fn leave_out(&mut self) {
        if self.n_left_out == 0 {
            warn!(
                "Nobody reads standard output; alerts are not printed there until somebody does."
            );
        }
        self.n_left_out += 1;
    }
}

impl Drop for Printing {
    /// Waits a moment until what is queued is printed.
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) || self.n_left_out > 0
        {
            warn!("The last alerts were not printed: nobody reads standard output.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Passes on what is written, each once it may.
    struct Gate {
        may: Receiver<()>,
        told: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.may.recv().map_err(io::Error::other)?;
            self.told.send(String::from_utf8_lossy(text).into()).map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Prints the ids of alerts.
    fn printing() -> (Printing, Sender<()>, Receiver<String>) {
        let ((go, may), (told, heard)) = (channel(), channel());
        let text = |alert: &Alert, _: &Files<'_>| alert.id.to_string();
        let out = Box::new(Gate { may, told });
        (Printing::start(Sink { text, out }).unwrap(), go, heard)
    }

    fn alert(n: usize) -> Alert {
        Alert { id: n.to_string().into(), ..Alert::default() }
    }

    #[test]
    fn what_nobody_reads_is_counted_and_what_is_read_again_is_printed() {
        let (mut printing, go, heard) = printing();
        let n_kept = (0..).take_while(|n| {
            printing.tell(&[alert(*n)], &|_| None);
            printing.n_left_out == 0
        });
        let n_kept = n_kept.count();
        assert!((QUEUE..=QUEUE + 1).contains(&n_kept), "{n_kept}");
        assert_eq!(printing.tell(&[alert(7)], &|_| None), Reading::Going);
        assert_eq!(printing.n_left_out, 2);
        for n in 0..n_kept {
            go.send(()).unwrap();
            assert_eq!(heard.recv().unwrap(), n.to_string(), "in their order");
        }
        assert_eq!(printing.tell(&[alert(8)], &|_| None), Reading::Going);
        assert_eq!(printing.n_left_out, 0);
        go.send(()).unwrap();
        drop(printing);
        assert_eq!(heard.try_recv().unwrap(), "8", "the end waits for what is queued");
    }

    #[test]
    fn a_slow_reader_was_waited_for_once_for_each_alert() {
        let (mut printing, go, heard) = printing();
        // One alert a second is read, and each makes room for one.
        let reader = thread::spawn(move || {
            while go.send(()).is_ok() && heard.recv().is_ok() {
                thread::sleep(PATIENCE / 2);
            }
        });
        let alerts: Vec<Alert> = (0..2 * QUEUE).map(alert).collect();
        assert_eq!(printing.tell(&alerts, &|_| None), Reading::Going);
        assert!(printing.n_left_out > 0);
        drop(printing);
        drop(reader);
    }

    #[test]
    fn it_is_over_once_nobody_can_read() {
        let (mut printing, go, heard) = printing();
        drop((go, heard));
        while printing.tell(&[alert(1)], &|_| None) == Reading::Going {}
        assert_eq!(printing.n_left_out, 0);
    }
}
