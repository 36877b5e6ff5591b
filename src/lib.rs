//! Tokenwatch watches server logs for API tokens used in unusual ways.
//!
//! Bytes become a mail in ten steps, each handing on one type; `ARCHITECTURE.md` draws them. [`engine`]
//! is pure and holds steps 2 to 9. The adapters around it, [`source`], [`store`], [`deliver`], [`atlas`]
//! and [`config`], each touch one part of the world and know only the engine. [`daemon`] joins them, and
//! [`cli`] is how people reach it.

pub mod atlas;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod engine;
pub mod mount;
pub mod source;
pub mod store;
pub mod telemetry;
