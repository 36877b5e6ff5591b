//! Torture: the real daemon with faults provoked by real means: renames, real SIGKILL, full disks, locked databases,
//! missing permissions. SECURITY.md, section "Faults", numbers them and names the test of each.
//!
//! If the machine refuses what a case needs (root, namespaces, tracing), the case says so on standard error ("NOT RUN")
//! and passes. The same holds for a missing program, unless `CI` is `true`: `.ci/run` installs them all. Slow cases are
//! sampled; `TORTURE=full` (`just torture`) runs them completely.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on must end, and says what it left out"
)]

mod compacting;
mod content;
mod copies;
#[path = "../it/dump.rs"]
#[allow(dead_code, reason = "shared with the other tests of the program")]
mod dump;
mod files;
mod gaps;
#[path = "../../src/atlas/sample.rs"]
#[allow(dead_code, reason = "shared with the atlas")]
mod geo;
mod load;
#[path = "../it/program.rs"]
#[allow(dead_code, reason = "shared with the other tests of the program")]
mod program;
mod reads;
mod recovery;
mod site;
#[path = "../it/smtp/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests of the program")]
mod smtp;
mod steps;
mod storage;
mod system;
