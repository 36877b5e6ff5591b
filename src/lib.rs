//! Tokenwatch watches server logs for API tokens used in unusual ways.
//!
//! Bytes become a mail in ten steps, each passing on one type; `ARCHITECTURE.md` shows them. [`engine`] is pure and
//! contains steps 2 to 9. The adapters around it, [`source`], [`store`], [`scan`], [`deliver`], [`report`], [`atlas`]
//! and [`config`], each touch one part of the outside world and know only the engine. [`daemon`] connects them, and
//! [`cli`] is the user interface.

pub mod atlas;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod engine;
pub mod mount;
pub mod report;
pub mod scan;
pub mod source;
pub mod store;
pub mod telemetry;
