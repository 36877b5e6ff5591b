//! Section f: tokens without number.

use crate::program::{Random, wait_until};
use crate::site::{CONFIG, Site, is_full, line_of};

/// Memory of the whole process, in KiB: what `[limits] memory` says by default.
const MEMORY: u64 = 256 * 1024;

/// Writes lines of random tokens that the server answered so, `n_full` in a full run, a piece at a time; returns the peak of memory.
fn flood(status: u16, n_full: u32) -> (Site, u64) {
    // A sample is too short for the default to matter: about 4,000 principals stay.
    let memory = if is_full() { "" } else { "\nmemory = \"64MiB\"" };
    let limits = format!("commit_interval = \"5ms\"{memory}");
    let mut site = Site::with(&CONFIG.replace("commit_interval = \"5ms\"", &limits));
    site.append("logs/a.log", 20);
    let daemon = site.start();
    site.wait();
    let mut random = Random(63);
    let (n_pieces, n_lines) = if is_full() { (100, n_full / 100) } else { (20, 1_000) };
    for piece in 1..=n_pieces {
        let lines: String = (0..n_lines)
            .map(|n| {
                let token =
                    format!("exk_{:016x}{:016x}", random.below(u64::MAX), random.below(u64::MAX));
                line_of(piece * 60 + n / 200, &token, status)
            })
            .collect();
        site.home.append("logs/a.log", lines);
        site.wait_with(u64::from(piece * n_lines));
    }
    let peak = site.peak_memory();
    eprintln!("status {status}: {peak} KiB");
    daemon.terminate();
    (site, peak)
}

#[test]
fn invented_tokens_that_are_refused_leave_no_row_and_one_alert() {
    let (site, peak) = flood(401, 1_000_000);
    assert!(peak < MEMORY, "{peak} KiB");
    let one = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM token"), 20);
    assert_eq!(one("SELECT count(*) FROM profile"), 20);
    let told = site.home.json(&["alerts", "list", "--json"]);
    let names: Vec<&str> = told.iter().filter_map(|alert| alert["rule"]["name"].as_str()).collect();
    assert_eq!(names, ["token-guessing"]);
}

#[test]
fn invented_tokens_that_a_public_page_answers_stay_within_memory() {
    let (site, peak) = flood(200, 200_000);
    assert!(peak < MEMORY, "{peak} KiB");
    wait_until("the commands answer", || !site.home.print(&["status"]).is_empty());
}
