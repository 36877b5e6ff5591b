//! Reads what `scan` reads: files, what git tells of a repository, reports of other scanners.

use std::io;
use std::path::Path;

use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::token::{Searcher, Spot};
use tokenwatch::scan::{Scan, Whereabouts};

use crate::CANARY;
use crate::files::kept;

/// Reads an input as the findings of another scanner.
pub fn read_report(input: &[u8]) {
    let path = kept("report", input);
    scanned(|scan| scan.report(&path), |_| {});
}

/// Reads an input as what `git log` tells. Each place is in the repository.
pub fn read_history(input: &[u8]) {
    let repository = Path::new("/srv/repository");
    scanned(
        |scan| scan.diffs(repository, input),
        |at| assert!(at.path.starts_with(repository), "{at:?}"),
    );
}

/// Reads an input as a file. Each place is in it.
pub fn read_file(input: &[u8]) {
    let path = kept("file", input);
    let n_lines = 1 + input.iter().filter(|byte| **byte == b'\n').count() as u64;
    scanned(
        |scan| scan.path(&path),
        |at| assert!(at.line.is_some_and(|line| 1 <= line && line <= n_lines), "{at:?}"),
    );
}

/// Scans. Neither what is told of a secret nor what is said of faults shows one.
fn scanned(scan: impl FnOnce(&mut Scan<'_>) -> io::Result<()>, check: impl Fn(&Whereabouts)) {
    let searcher = Searcher::new(SealKey::new(b"key"), Vec::new());
    let canary = String::from_utf8_lossy(CANARY);
    let mut tell = |at: &Whereabouts, spot: &Spot| {
        assert!(!spot.hint.contains(&*canary), "{spot:?}");
        check(at);
        Ok(())
    };
    let mut search = Scan::new(&searcher, &mut tell);
    scan(&mut search).expect("nothing is refused");
    assert!(search.faults.iter().all(|fault| !fault.to_string().contains(&*canary)));
}
