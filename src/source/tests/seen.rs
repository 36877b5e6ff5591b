//! Bytes that were seen and not taken are a gap once they are gone, and none as long as any file holds them.

use super::*;

/// Reads a line, then sees the beginning of the next one.
fn torn() -> Bench {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write("a", "tor");
    bench.poll();
    assert_eq!(bench.take(), ["one"]);
    bench
}

#[test]
fn a_torn_line_that_was_written_by_itself_was_no_gap_once_it_was_gone() {
    for is_restarted in [false, true] {
        for is_cut in [true, false] {
            let mut bench = torn();
            if is_restarted {
                bench.restart();
            }
            if is_cut {
                bench.truncate("a");
            } else {
                fs::remove_file(bench.path("a")).unwrap();
            }
            bench.write("a", "two\n");
            bench.rest();
            bench.restart();
            bench.rest();
            let case = format!("restarted {is_restarted}, cut {is_cut}");
            // Removed under the program, it is still open, and read.
            let is_read = !is_restarted && !is_cut;
            assert_eq!(bench.missing.gap, if is_read { 0 } else { 3 }, "{case}");
            assert_eq!(bench.take().contains(&"tor".to_owned()), is_read, "{case}");
        }
    }
}

#[test]
fn the_first_line_of_a_log_is_a_gap_too_if_it_is_cut_before_its_end() {
    for is_restarted in [false, true] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "");
        bench.poll();
        bench.write("a", "tor");
        bench.poll();
        if is_restarted {
            bench.restart();
        }
        bench.truncate("a");
        bench.rest();
        bench.write("a", "two\n");
        bench.rest();
        assert_eq!((bench.take(), bench.missing.gap), (vec!["two".to_owned()], 3));
    }
}

#[test]
fn what_was_seen_of_a_torn_line_is_no_gap_wherever_it_is_completed() {
    type Act = fn(&mut Bench);
    let steps: [(&str, &[Act]); 5] = [
        ("a late writer", &[|bench| bench.rename("a", "a.1"), |bench| bench.write("a.1", "n\n")]),
        (
            "compressed",
            &[
                |bench| bench.write("a", "n\n"),
                |bench| bench.rename("a", "a.1"),
                |bench| bench.gzip("a.1"),
            ],
        ),
        (
            "compressed at once",
            &[|bench| {
                bench.write("a", "n\n");
                bench.rename("a", "a.1");
                bench.gzip("a.1");
            }],
        ),
        (
            "copied and cut",
            &[
                |bench| bench.write("a", "n\n"),
                |bench| bench.copy("a", "a.1"),
                |bench| bench.truncate("a"),
            ],
        ),
        (
            "replaced by what continues it",
            &[|bench| {
                bench.write("new", "one\ntorn\n");
                bench.rename("new", "a");
            }],
        ),
    ];
    for (case, acts) in steps {
        for is_restarted in [false, true] {
            let mut bench = torn();
            for act in acts {
                act(&mut bench);
                if is_restarted {
                    bench.restart();
                }
                bench.poll();
            }
            bench.write("a", "two\n");
            for _ in 0..2 {
                bench.rest();
                bench.restart();
            }
            bench.rest();
            let mut lines = bench.take();
            // Of a replaced log, what the open file ends with is a line of its own.
            lines.retain(|line| line != "tor");
            assert_eq!(lines, ["torn", "two"], "{case}, restarted {is_restarted}");
            assert_eq!(bench.missing, Missing::default(), "{case}, restarted {is_restarted}");
        }
    }
}

#[test]
fn a_torn_line_whose_file_was_copied_and_cut_is_taken_in_the_copy() {
    for is_restarted in [false, true] {
        let mut bench = torn();
        bench.copy("a", "a.1");
        bench.truncate("a");
        bench.write("a", "two\n");
        if is_restarted {
            bench.restart();
        }
        bench.rest();
        bench.rest();
        bench.restart();
        bench.rest();
        let mut lines = bench.take();
        lines.sort();
        assert_eq!((lines, bench.missing.gap), (vec!["tor".to_owned(), "two".to_owned()], 0));
    }
}

#[test]
fn a_torn_last_line_of_a_log_that_is_read_from_its_end_is_a_gap_and_its_history_is_none() {
    for (is_refused, gap) in [(false, 3), (true, 0)] {
        let mut bench = Bench::new(&["a"], ReadFrom::End);
        bench.write("a", "history\ntor");
        if is_refused {
            refuse_all(Errno::ACCESS);
        }
        bench.poll();
        bench.poll();
        bench.truncate("a");
        bench.poll();
        fs::remove_file(bench.path("a")).unwrap();
        bench.rest();
        grant();
        bench.restart();
        bench.rest();
        assert_eq!(bench.missing.gap, gap, "refused {is_refused}");
    }
}

#[test]
fn a_log_that_grew_while_it_could_not_be_read_was_no_gap_once_it_was_removed() {
    for n_read in [0, 1] {
        for is_restarted in [false, true] {
            for is_cut in [false, true] {
                let mut bench = Bench::start(&["a"]);
                if n_read > 0 {
                    bench.write("a", "one\n");
                    bench.poll();
                }
                bench.restart();
                refuse_all(Errno::ACCESS);
                for _ in 0..3 {
                    bench.write("a", "lost\n");
                    bench.poll();
                }
                if is_restarted {
                    bench.restart();
                    bench.poll();
                }
                bench.rename("a", "a.1");
                bench.poll();
                if is_cut {
                    bench.truncate("a.1");
                    bench.poll();
                }
                fs::remove_file(bench.path("a.1")).unwrap();
                bench.rest();
                grant();
                bench.restart();
                bench.rest();
                let case = format!("read {n_read}, restarted {is_restarted}, cut {is_cut}");
                assert_eq!(bench.missing.gap, 15, "{case}");
            }
        }
    }
}

#[test]
fn what_follows_a_truncation_is_no_gap_though_it_is_longer_than_what_was_read() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.truncate("a");
    bench.write("a", "a line that is longer\ntor");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "a line that is longer"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn space_that_was_allocated_in_advance_was_a_gap() {
    for text in ["", "one\n", "one\ntor"] {
        for is_long in [false, true] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", text);
            let path = bench.path("a");
            let size = if is_long { 1 << 20 } else { 1 << 10 };
            OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
            bench.poll();
            bench.restart();
            bench.poll();
            bench.restart();
            fs::remove_file(path).unwrap();
            bench.rest();
            let torn = text.len() - text.rfind('\n').map_or(0, |end| end + 1);
            assert_eq!(bench.missing.gap, torn as u64, "{text:?}, long {is_long}");
        }
    }
}

#[test]
fn a_line_was_completed_in_space_that_was_taken_for_its_own() {
    for size in [1 << 10, 1 << 20] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\ntor");
        let path = bench.path("a");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        bench.poll();
        let written = |bench: &Bench| bench.known.values().map(|position| position.size).max();
        assert_eq!(written(&bench), Some(7), "without what is only allocated");
        file.write_all_at(b"n\ntwo\nthr", 7).unwrap();
        bench.poll();
        assert_eq!(bench.take(), ["one", "torn", "two"], "{size}");
        assert_eq!(written(&bench), Some(16));
        file.set_len(16).unwrap();
        bench.restart();
        bench.write("a", "ee\n");
        bench.poll();
        assert_eq!(bench.take(), ["three"], "{size}");
        assert_eq!((bench.missing.gap, bench.missing.discarded), (0, 0));
    }
}

#[test]
fn a_busy_log_has_one_batch_a_look_and_a_torn_line_by_itself_one_announcement() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    let look = |bench: &mut Bench, text: &str| {
        bench.write("a", text);
        bench.now += Duration::from_secs(1);
        let batches = bench.follower.poll(bench.now);
        let n_batches = batches.len();
        batches.into_iter().for_each(|batch| bench.commit(batch));
        n_batches
    };
    for text in ["two\n", "three\nfo", "ur\nfi", "ve\n", "tor"] {
        assert_eq!(look(&mut bench, text), 1, "{text:?}");
    }
    for _ in 0..3 {
        assert_eq!(look(&mut bench, ""), 0);
    }
    let [position] = bench.known.values().collect::<Vec<_>>()[..] else { panic!("one file") };
    assert_eq!(position.size, position.offset + 3);
}

#[test]
fn what_was_seen_since_the_last_look_is_announced_at_the_end() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    while bench.follower.wait(Duration::ZERO) {}
    bench.write("a", "tor");
    assert!(bench.follower.wait(Duration::from_secs(60)));
    bench.now += Duration::from_millis(1);
    bench.read();
    assert!(bench.known.values().all(|position| position.size == 4), "not yet");
    let last = bench.follower.end();
    last.into_iter().for_each(|batch| bench.commit(batch));
    bench.restart();
    bench.truncate("a");
    bench.rest();
    assert_eq!(bench.missing.gap, 3);
}
