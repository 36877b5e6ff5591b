//! Notifies people and machines: mail, the journal, JSON on stdout. What to report is decided elsewhere.
//!
//! [`render`] makes a [`render::Mail`] of an incident, [`email`] hands it to an SMTP server, [`stdout`] makes the JSON
//! of one alert, [`journal`] its structured record. Nothing here keeps state: the outbox knows what was sent and when
//! to retry.
//!
//! Text from logs becomes safe to show in [`render::safe`] and nowhere else.

pub mod email;
pub mod journal;
pub mod render;
pub mod stdout;

#[cfg(test)]
mod sample;
