//! Torture: the real daemon against faults provoked by real means: renames, real SIGKILL, full disks, locked
//! databases, no rights. SECURITY.md, section "Faults", numbers them and names the test of each.
//!
//! What a case needs and this machine refuses (root, namespaces, tracing) is said on standard error ("NOT RUN"), and the case
//! passes. So is a program that is missing, unless `CI` is `true`: `.ci/run` installs them all. Slow cases are sampled; `TORTURE=full` (`just torture`) runs them whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on must end, and says what it left out"
)]

mod content;
#[path = "../it/dump.rs"]
#[allow(dead_code, reason = "shared with the other tests of the program")]
mod dump;
mod files;
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
mod storage;
mod system;
