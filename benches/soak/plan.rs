//! What happens to logs, reader and mail server, and when: the same seed gives the same plan.

use std::time::Duration;

use crate::program::Random;

/// How a log is rotated. Each log keeps to one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Renamed to `.1`, the others shifted, a new file created.
    Create,
    /// The same, and what was `.1` is compressed.
    DelayCompress,
    /// Renamed to a name with the time in it.
    Dated,
    /// Copied to `.1` and cut, while nobody writes.
    CopyTruncate,
    /// A new file renamed over it; the old one keeps a second name, `.1`.
    Over,
    /// The watched name is a link, which is pointed to a new file.
    Link,
    /// Renamed, but a writer goes on in the old file for a while.
    Late,
}

/// All ways, in the order of the table.
pub(crate) const WAYS: [Way; 7] = [
    Way::Create,
    Way::DelayCompress,
    Way::Dated,
    Way::CopyTruncate,
    Way::Over,
    Way::Link,
    Way::Late,
];

/// How much is to be done, from which seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    /// Lines a second, of all writers.
    pub(crate) rate: u64,
    /// Pauses are shorter by this factor.
    pub(crate) haste: u32,
}

/// Of runs that are longer, the middle third has no kills, so that memory can be seen to stay.
const LONG: Duration = Duration::from_secs(15 * 60);

/// Nothing is done to anybody so soon: a file that was rotated before its log was ever seen is older than
/// the first start, for all that a reader can know.
const PEACE: Duration = Duration::from_secs(8);

/// What is done to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL, and a start after the rest.
    Kill,
    /// SIGSTOP, and SIGCONT after the rest.
    Stop,
}

/// One thing that is done, and for how long it lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble<T> {
    pub(crate) at: Duration,
    pub(crate) what: T,
    pub(crate) rest: Duration,
}

/// Returns when a log is rotated: mostly every 5 to 65 seconds, now and then twice within a second or so.
pub(crate) fn rotations(order: Order, log: usize) -> Vec<Duration> {
    let mut random = random_of(order, 1 + log as u64);
    times(order, || match random.below(8) {
        0 => between(&mut random, 500, 1_500),
        _ => between(&mut random, 5_000, 65_000),
    })
}

/// Returns what is done to the reader.
pub(crate) fn blows(order: Order) -> Vec<Trouble<Blow>> {
    let length = order.length;
    let mut random = random_of(order, 0x626c_6f77);
    let pauses = times(order, || between(&mut random, 10_000, 45_000));
    let mut random = random_of(order, 0x7265_7374);
    let mut blows: Vec<_> = pauses
        .into_iter()
        .map(|at| {
            let is_calm = LONG <= length && length / 3 < at && at < length * 2 / 3;
            let is_stop = random.below(3) == 0 || is_calm;
            let what = if is_stop { Blow::Stop } else { Blow::Kill };
            Trouble { at, what, rest: between(&mut random, 0, 10_000) / order.haste }
        })
        .collect();
    blows.retain(|blow| blow.at + blow.rest < length);
    blows
}

/// Returns when the mail server goes down.
pub(crate) fn silences(order: Order) -> Vec<Trouble<()>> {
    let mut random = random_of(order, 0x6d61_696c);
    let pauses = times(order, || between(&mut random, 25_000, 70_000));
    let rest = |at| Trouble { at, what: (), rest: between(&mut random, 3_000, 20_000) };
    pauses.into_iter().map(rest).collect()
}

/// Adds up pauses to times, up to the end.
fn times(order: Order, mut pause: impl FnMut() -> Duration) -> Vec<Duration> {
    let mut at = PEACE;
    let next = || {
        at += pause() / order.haste;
        (at < order.length).then_some(at)
    };
    std::iter::from_fn(next).collect()
}

fn between(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + random.below(to - from))
}

fn random_of(order: Order, what: u64) -> Random {
    Random(
        order.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ what.wrapping_mul(0xd6e8_feb8_6659_fd93),
    )
}
