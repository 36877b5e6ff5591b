//! Watches the reader as it runs, and carries out the plan on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::plan::{self, Blow, Order, Trouble};
use crate::reader::{Process, Reader};
use crate::smtp::SmtpServer;
use crate::writer::Shared;

const SECOND: Duration = Duration::from_secs(1);

/// Files may be removed while the reader is no further behind.
const NEAR: Duration = Duration::from_secs(20);

/// Memory is told for stretches of so many seconds.
pub(crate) const STRETCH: u64 = 300;

/// How many times what it was in the second stretch memory may be in the last full one: what is remembered of files
/// that are gone grows up to 4,096 of them, and the first stretch learns the tokens.
pub(crate) const MOST_GROWTH: f64 = 1.2;

/// What was seen, second by second.
pub(crate) struct Watch {
    begun: Instant,
    process: Option<Process>,
    server: Option<SmtpServer>,
    blows: VecDeque<Trouble<Blow>>,
    silences: VecDeque<Trouble<()>>,
    /// When the mail server comes back.
    mail_back: Option<Instant>,
    next: Instant,
    /// How much was written when, of what was not read yet.
    unread: VecDeque<(Instant, u64)>,
    n_written: u64,
    n_read: u64,
    pub(crate) lags: Vec<Duration>,
    /// Resident memory in KiB, and when that was.
    pub(crate) memory: Vec<(Duration, u64)>,
    pub(crate) n_silences: u64,
    /// From the last line written to the last one read.
    pub(crate) took: Duration,
}

impl Watch {
    pub(crate) fn new(order: Order, process: Process, server: Option<SmtpServer>) -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            process: Some(process),
            server,
            blows: plan::blows(order).into(),
            silences: plan::silences(order).into(),
            mail_back: None,
            next: now,
            unread: VecDeque::new(),
            n_written: 0,
            n_read: 0,
            lags: Vec::new(),
            memory: Vec::new(),
            n_silences: 0,
            took: Duration::ZERO,
        }
    }

    /// Does what is due, and once a second measures.
    pub(crate) fn look(&mut self, reader: &mut dyn Reader, shared: &Shared) {
        let now = Instant::now();
        self.n_written = shared.written.load(Ordering::Relaxed);
        self.unread.push_back((now, self.n_written));
        self.trouble_mail(now);
        let since = now - self.begun;
        let Some(process) = &mut self.process else { return };
        process.recover(reader, now);
        if let Some(blow) = self.blows.pop_front_if(|blow| blow.at <= since) {
            process.hit(blow, now);
        }
        if self.next <= now {
            self.next = now + SECOND;
            if let Some(memory) = process.sample().filter(|_| process.is_settled(now)) {
                self.memory.push((since, memory));
            }
            self.measure(reader, shared, now);
        }
    }

    fn measure(&mut self, reader: &mut dyn Reader, shared: &Shared, now: Instant) {
        self.n_read = reader.n_read();
        while self.unread.front().is_some_and(|(_, n)| *n <= self.n_read) {
            self.unread.pop_front();
        }
        let lag = self.unread.front().map_or(Duration::ZERO, |(written, _)| now - *written);
        self.lags.push(lag);
        shared.may_prune.store(lag < NEAR, Ordering::Relaxed);
    }

    fn trouble_mail(&mut self, now: Instant) {
        let Some(server) = &mut self.server else { return };
        if self.mail_back.is_some_and(|back| back <= now) {
            self.mail_back = None;
            server.restart();
        }
        let since = now - self.begun;
        if let Some(silence) = self.silences.pop_front_if(|silence| silence.at <= since)
            && self.mail_back.is_none()
        {
            self.n_silences += 1;
            self.mail_back = Some(now + silence.rest);
            server.stop();
        }
    }

    /// Ends all trouble.
    pub(crate) fn calm(&mut self, reader: &dyn Reader) {
        self.blows.clear();
        self.silences.clear();
        let Some(process) = &mut self.process else { return };
        while !process.is_up() {
            process.recover(reader, Instant::now());
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(server) = &mut self.server {
            server.restart();
        }
        self.mail_back = None;
    }

    /// Hands back what runs.
    pub(crate) fn take(&mut self) -> (Process, Option<SmtpServer>) {
        self.took = self.begun.elapsed();
        (self.process.take().expect("taken once"), self.server.take())
    }

    /// The least, the middle and the most memory of each stretch, in KiB, by when it begins.
    pub(crate) fn stretches(&self) -> BTreeMap<u64, [u64; 3]> {
        let mut stretches = BTreeMap::<u64, Vec<u64>>::new();
        for (since, memory) in &self.memory {
            stretches.entry(since.as_secs() / STRETCH * STRETCH).or_default().push(*memory);
        }
        let summed = stretches.into_iter().map(|(from, mut values)| {
            values.sort_unstable();
            (from, [values[0], values[values.len() / 2], values[values.len() - 1]])
        });
        summed.collect()
    }

    /// How many times what it was in the second stretch the middle memory of the last full one is, if there are as
    /// many.
    pub(crate) fn growth(&self, length: Duration) -> Option<f64> {
        let (from, to) = (STRETCH, length.as_secs().checked_sub(STRETCH)?);
        let full = self.stretches().into_iter().filter(|(begin, _)| from <= *begin && *begin <= to);
        let mut middles = full.map(|(_, [_, middle, _])| middle as f64);
        let second = middles.next()?;
        Some(middles.next_back()? / second)
    }

    /// Whether memory stays, as far as this run can tell.
    pub(crate) fn memory_stays(&self, length: Duration) -> bool {
        self.growth(length).is_none_or(|growth| growth <= MOST_GROWTH)
    }

    pub(crate) const fn n_written(&self) -> u64 {
        self.n_written
    }

    pub(crate) const fn n_read(&self) -> u64 {
        self.n_read
    }
}
