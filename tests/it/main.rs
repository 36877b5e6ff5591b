//! Runs the real program and its outer parts against real files and real servers on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test that cannot go on must end, and waits by the clock"
)]

mod accounting;
mod again;
mod answers;
mod audit;
mod beyond;
mod canary;
mod clocks;
mod commands;
mod daemon;
mod disliked;
mod dump;
mod eyes;
mod forged;
mod forgetting;
mod health;
mod incidents;
mod inspect;
mod journal;
mod lines;
mod live;
mod mail;
mod mail_transport;
mod mistakes;
mod postponed;
mod program;
mod pump;
mod refusing;
mod registering;
mod rekey;
#[path = "../../src/atlas/sample.rs"]
mod sample;
mod scan;
mod scripted;
mod silence;
mod smtp;
mod stories;
mod unnoted;
mod unread;
mod updates;
mod words;
mod zone;
