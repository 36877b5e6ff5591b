//! Tests of following units: names, cursors, a journalctl that keeps ending.

use super::super::follow::{Follower, Options};
use super::*;

fn watch(unit: &str) -> UnitWatch {
    let read_from = ReadFrom::Start;
    UnitWatch { source: 0, unit: whole_name(unit), directory: None, read_from }
}

#[test]
fn a_unit_that_two_sources_name_is_read_once() {
    let follower = Follower::new(Vec::new(), Vec::new(), Options::default());
    let watches = vec![watch("nginx"), watch("nginx.service"), watch("haproxy")];
    let journals = Journals::new(watches, &[], follower.waker());
    let units: Vec<_> = journals.units.iter().map(|unit| unit.watch.unit.as_str()).collect();
    assert_eq!(units, ["nginx.service", "haproxy.service"]);
}

#[test]
fn the_path_of_a_unit_names_it() {
    let mut unit = watch("nginx");
    for (directory, path) in
        [(None, "journal:nginx.service"), (Some("/j/x"), "journal:/j/x/nginx.service")]
    {
        unit.directory = directory.map(PathBuf::from);
        assert_eq!(unit.path(), Path::new(path));
        let named = UnitWatch::named(Path::new(path)).unwrap();
        assert_eq!((&named.unit, &named.directory), (&unit.unit, &unit.directory));
    }
    assert_eq!(UnitWatch::named(Path::new("journal:nginx")).unwrap().unit, "nginx.service");
    assert_eq!(UnitWatch::named(Path::new("/var/log/journal:nginx")), None);
}

#[test]
fn a_journalctl_that_keeps_ending_was_told_of_every_five_seconds() {
    let mut retry = Retry::default();
    let mut now = Duration::from_secs(100);
    let mut waits = Vec::new();
    for n in 0..40 {
        assert_eq!(retry.ended(now), n == 0);
        waits.push((retry.start_at - now).as_secs());
        now = retry.start_at;
    }
    assert_eq!(waits[..6], [5, 10, 20, 40, 60, 60]);
    assert_eq!(waits[39], 60);
    // A message or a long life ends the series.
    assert!(retry.is_well() && !retry.is_well());
    assert!(retry.ended(now));
    assert!(!retry.ended(retry.start_at));
    assert!(retry.ended(retry.start_at + MAX_RETRY));
}

#[test]
fn a_message_that_was_cut_has_its_cursor_all_the_same() {
    let whole = b"{\"__CURSOR\":\"s=1;i=1\",\"MESSAGE\":\"a\"}\n{\"MESSAGE\":\"b\",\"__CURSOR\":\"s=1;i=2\"}\n";
    assert_eq!(cursor_of(whole).as_deref(), Some("s=1;i=2"));
    let cut = br#"{"__CURSOR":"s=1;i=3","MESSAGE":"\"__CURSOR\":\"x\" and on"#;
    assert_eq!(cursor_of(cut).as_deref(), Some("s=1;i=3"));
    assert_eq!(cursor_of(br#"{"MESSAGE":"\"__CURSOR\":\"x\""#), None);
    assert_eq!(cursor_of(b""), None);
}
