//! What is remembered about one log: how many of its latest lines were readable, and what was reported about it.
//!
//! A log is everything that is followed under one path: file after file, across rotations. It has no profile. What is
//! remembered about all logs together is their [`Roll`].

mod callers;
mod hours;
mod roll;
mod skew;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

pub use callers::{Callers, hashed};
pub use roll::Roll;
pub use skew::Skew;

use crate::engine::incident::Desk;
use crate::engine::pulse::Window;
use crate::engine::reserved::Reserved;
use crate::engine::zone::Reach;

/// What is remembered about one log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// Its latest ten minutes.
    pub window: Window,
    /// What has been reported.
    pub desk: Desk,
    /// Its callers and their addresses.
    #[serde(default)]
    pub callers: Callers,
    /// How far it has come, if its clock shows an hour twice.
    #[serde(default, skip_serializing_if = "Reach::is_empty")]
    pub reach: Reach,
    /// How its clock stands to the moments at which its lines arrive, if it is followed.
    #[serde(default)]
    pub skew: Skew,
    /// Lines with an impossible time.
    #[serde(default, skip_serializing_if = "is_none")]
    pub bad_times: u64,
}

const fn is_none(n: &u64) -> bool {
    *n == 0
}

impl Log {
    /// Packs it as JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Unpacks the result of [`Log::encode`]; `None` if it is damaged or of a later version.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Returns the log that a principal names.
#[must_use]
pub fn path_of(principal: &str) -> &Path {
    Path::new(match Reserved::parse(principal) {
        Some(Reserved::Log(path)) => path,
        _ => principal,
    })
}

/// Returns the principal of alerts about a log: `log:/var/log/nginx/access.log`.
#[must_use]
pub fn principal(path: &Path) -> SmolStr {
    Reserved::Log(&path.to_string_lossy()).to_smolstr()
}
