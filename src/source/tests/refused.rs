//! Compressed files that cannot be opened: retried until they can be, while nothing waits for them.

use super::super::rotation::Seen;
use super::*;

#[test]
fn a_compressed_file_that_could_not_be_opened_was_lost() {
    for fault in [Errno::MFILE, Errno::ACCESS] {
        // Of the first file one line was read; of the second nothing, and it was never seen.
        for (n_refused, n_restarts) in [(0, 0), (1, 0), (1, 1), (3, 2)] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", "one\n");
            bench.poll();
            bench.write("a", "two\n");
            bench.rename("a", "a.2");
            bench.gzip("a.2");
            bench.write("a", "three\n");
            bench.rename("a", "a.1");
            bench.gzip("a.1");
            bench.write("a", "four\n");
            bench.restart();
            refuse(fault);
            for _ in 0..n_refused {
                bench.poll();
            }
            bench.write("a", "five\n");
            bench.poll();
            for _ in 0..n_restarts {
                bench.restart();
                bench.rest();
            }
            assert_eq!(bench.lines, ["one", "four", "five"], "others do not wait");
            assert_eq!(bench.missing, Missing::default(), "it is not lost");
            grant();
            bench.rest();
            bench.restart();
            bench.rest();
            let case = (fault, n_refused, n_restarts);
            assert_eq!(bench.take(), ["one", "four", "five", "two", "three"], "{case:?}");
            assert_eq!(bench.missing, Missing::default(), "{case:?}");
        }
    }
}

#[test]
fn archives_of_before_the_first_start_stay_unread_while_a_file_is_sought() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a.3", "older\n");
    bench.write("a.2", "old\n");
    let born = |bench: &Bench, name: &str| Seen::at(&bench.path(name)).unwrap().identity.born;
    bench.write("a", "one\n");
    // In a later tick of the clock.
    while born(&bench, "a") <= born(&bench, "a.2") {
        fs::remove_file(bench.path("a")).unwrap();
        bench.write("a", "one\n");
    }
    bench.poll();
    bench.write("a", "two\n");
    bench.rename("a", "a.1");
    bench.gzip("a.1");
    bench.write("a", "three\n");
    bench.restart();
    refuse(Errno::ACCESS);
    bench.rest();
    grant();
    bench.rest();
    assert_eq!(bench.take(), ["one", "three", "two"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn what_was_seen_of_a_file_that_never_could_be_opened_is_a_gap_once_it_is_removed() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write_unread("a", "lost\n");
    bench.rename("a", "a.1");
    bench.gzip("a.1");
    bench.write("a", "two\n");
    bench.restart();
    refuse(Errno::ACCESS);
    bench.rest();
    assert_eq!(bench.missing.gap, 0);
    fs::remove_file(bench.path("a.1.gz")).unwrap();
    bench.rest();
    grant();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing.gap, 5 + 1, "what was seen, and at least a byte of what nobody saw");
}

#[test]
fn a_compressed_file_that_holds_nothing_new_is_not_sought_though_it_cannot_be_opened() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.rest();
    bench.rename("a", "a.1");
    bench.write("a", "two\n");
    bench.rest();
    bench.gzip("a.1");
    refuse(Errno::ACCESS);
    for _ in 0..2 {
        bench.rest();
        assert!(bench.places().all(|place| place != Place::Sought));
        bench.restart();
    }
    grant();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_log_that_was_cut_waits_while_there_are_no_descriptors_for_its_copy() {
    for (fault, expected, gap) in
        [(Errno::MFILE, &["one", "two", "three"][..], 0), (Errno::ACCESS, &["one", "three"], 4)]
    {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.write_unread("a", "two\n");
        bench.copy("a", "a.1");
        bench.truncate("a");
        bench.gzip("a.1");
        bench.write("a", "three\n");
        bench.restart();
        refuse(fault);
        bench.rest();
        grant();
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), expected);
        assert_eq!(bench.missing.gap, gap);
    }
}

#[test]
fn what_is_compressed_in_an_unknown_way_was_read_as_lines() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write_unread("a", "lost");
    fs::remove_file(bench.path("a")).unwrap();
    bench.write("a.2.lz4", b"\x04\x22\x4d\x18\nno line\n");
    bench.write("a.1.zip", b"PK\x03\x04\nno line\n");
    bench.write("a", "two\n");
    for _ in 0..2 {
        bench.restart();
        bench.rest();
    }
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing.gap, 4);
}
