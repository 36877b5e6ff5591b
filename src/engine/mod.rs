//! The pure part: bytes in, alerts out. No I/O, no clock, no randomness; time, keys, rules and geography are
//! arguments.

pub mod agent;
pub mod alert;
pub mod arrival;
pub mod commit;
pub mod detect;
pub mod geo;
pub mod health;
pub mod house;
pub mod incident;
pub mod judge;
pub mod ledger;
pub mod line;
pub mod memory;
pub mod mute;
pub mod numbers;
pub mod posture;
pub mod profile;
pub mod pulse;
pub mod reader;
pub mod record;
pub mod registry;
pub mod requests;
pub mod reserved;
pub mod route;
pub mod rule;
pub mod secret;
pub mod shape;
pub mod stats;
pub mod time;
pub mod token;
pub mod trial;
pub mod usage;
pub mod visible;
pub mod word;
pub mod zone;
