//! Section a, continued: logs that become other files, or are copied into files that were there before.

use std::fs;

use crate::site::{Site, append};

/// Gives a file this name and content at once, as a pull of logs does.
fn bring(site: &Site, name: &str, content: &[u8]) {
    append(&site.home.path("logs/coming"), content);
    site.rename("logs/coming", name);
}

#[test]
fn a_log_that_is_another_file_after_each_restart_is_read_once() {
    let mut site = Site::new();
    for _ in 0..4 {
        site.append("logs/a.log", 5);
        let daemon = site.start();
        site.append("logs/a.log", 3);
        site.wait();
        daemon.kill();
        bring(&site, "logs/a.log", &fs::read(site.home.path("logs/a.log")).unwrap());
    }
    site.append("logs/a.log", 2);
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}
