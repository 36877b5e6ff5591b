//! The daemon at work: the time from a line to an alert and to a mail, and the cost of waiting.
//! `cargo bench --bench live [-- SECONDS] [RATE]`
//!
//! Logs, database and mail server are real, on the same machine. Prints tables; asserts nothing.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark may fail, prints, and counts"
)]

#[path = "../log.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod log;
#[path = "../measure.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod measure;
#[path = "../../tests/it/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the program")]
mod program;
mod resources;
#[path = "../../tests/it/smtp/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the program")]
mod smtp;
mod way;

use std::process::{Child, Command};
use std::time::Duration;

/// A daemon; it is killed when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let seconds = Duration::from_secs(numbers.next().unwrap_or(60));
    let rate = numbers.next().unwrap_or(5_000);
    println!("{}", measure::machine());
    way::measure(seconds, rate);
    resources::measure();
}
