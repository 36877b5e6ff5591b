//! A searcher and what it finds, for the tests of this module.

use std::io;
use std::path::Path;

use super::{Scan, Tally, Whereabouts};
use crate::engine::secret::SealKey;
use crate::engine::token::{Searcher, Spot};

/// A made-up key in a vendor's form.
pub(super) const STRIPE: &str = "sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz";

pub(super) fn searcher() -> Searcher {
    Searcher::new(SealKey::new(b"key"), Vec::new())
}

/// Returns what a scan tells, counts, and notes as faults.
pub(super) fn scanned(
    act: impl FnOnce(&mut Scan<'_>) -> io::Result<()>,
) -> (Vec<(Whereabouts, Spot)>, Tally, Vec<String>) {
    let searcher = searcher();
    let mut told = Vec::new();
    let mut tell = |at: &Whereabouts, spot: &Spot| {
        told.push((at.clone(), spot.clone()));
        Ok(())
    };
    let mut scan = Scan::new(&searcher, &mut tell);
    act(&mut scan).unwrap();
    let (tally, faults) = (scan.tally, scan.faults.iter().map(ToString::to_string).collect());
    (told, tally, faults)
}

/// Returns the places, in the form `path:line:column`.
pub(super) fn found(told: &[(Whereabouts, Spot)], below: &Path) -> Vec<String> {
    let place = |at: &Whereabouts| {
        let path = at.path.strip_prefix(below).unwrap_or(&at.path).display();
        format!("{path}:{}:{}", at.line.unwrap_or_default(), at.column.unwrap_or_default())
    };
    told.iter().map(|(at, _)| place(at)).collect()
}
