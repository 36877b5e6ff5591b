//! Estimators in constant memory, with results that are identical to the bit on every machine.
//!
//! All arithmetic is IEEE basic operations, of which the square root is one, and `libm`. Whatever is kept between two
//! usages is an integer or an `f32`, so that storing it and reading it back changes nothing.

mod counts;
mod days;
mod key;
mod maxima;
mod most;
mod num;
mod sketch;

pub use counts::{least_count, surprise};
pub use days::Days;
pub use key::key;
pub use maxima::Maxima;
pub use most::{Most, log};
pub use num::{Nats, narrow, units, whole};
pub use sketch::Sketch;
