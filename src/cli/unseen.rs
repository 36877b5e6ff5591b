//! Configured logs that the daemon does not see: patterns without a file, and files that it may not open. The database
//! does not know them, since nothing was read of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::lives::Life;
use crate::cli::permit::{Permit, Refusal};
use crate::daemon::site::Site;
use crate::source::listing::{list, names};

/// The unseen logs.
#[derive(Default)]
pub(super) struct Unseen {
    /// Patterns without a file of which nothing was ever read.
    pub absent: Vec<PathBuf>,
    /// Files that the daemon certainly may not open.
    pub refused: BTreeMap<PathBuf, Refusal>,
}

impl Unseen {
    /// Finds the unseen logs of all sources.
    pub(super) fn of(site: &Site, lives: &[Life<'_>], permit: &Permit) -> Self {
        let mut unseen = Self::default();
        for pattern in site.watches().into_iter().flat_map(|watch| watch.patterns) {
            let (paths, _) = list(std::slice::from_ref(&pattern), Some(&site.state));
            let is_known = |life: &Life<'_>| names(&pattern, &life.stream.position.path);
            if paths.is_empty() && !lives.iter().any(is_known) {
                unseen.absent.push(pattern);
                continue;
            }
            for path in paths {
                match permit.refusal(&path) {
                    Some(Refusal::Unsure(_)) | None => {}
                    Some(refusal) => drop(unseen.refused.insert(path, refusal)),
                }
            }
        }
        unseen
    }
}
