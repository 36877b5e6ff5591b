//! Logs that are copied and cut: unread contents are read from the copy.

use super::*;

#[test]
fn copytruncate_is_followed_and_its_copy_not_read_again() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        for round in 0..6 {
            bench.write("a", format!("{round} read\n"));
            bench.poll();
            bench.write("a", format!("{round} unread\n"));
            if round == 3 {
                bench.poll();
            }
            bench.copy("a", &format!("a.{}", 9 - round));
            if round % 2 == 0 {
                bench.poll();
            }
            bench.truncate("a");
            if round % 3 == 0 {
                bench.poll();
            }
            bench.write("a", format!("{round} new, and longer than before by far\n"));
            if round == 4 {
                bench.restart();
            }
            bench.poll();
            let expected = ["read", "unread", "new, and longer than before by far"];
            assert_eq!(bench.take(), expected.map(|text| format!("{round} {text}")), "{pattern}");
        }
        bench.restart();
        bench.rest();
        assert!(bench.take().is_empty());
        assert_eq!(bench.missing, Missing::default());
    }
}

#[test]
fn a_log_that_begins_as_another_one_that_is_whole_was_never_read() {
    let heading = "#Software: a server\n#Fields: date time c-ip\n";
    for (day, next) in [("ex-20261126.log", "ex-20261127.log"), ("node-1.log", "node-2.log")] {
        let mut bench = Bench::start(&["*.log"]);
        bench.write(day, heading);
        bench.poll();
        // The same for now, so it may be a copy in progress.
        bench.write(next, heading);
        bench.poll();
        bench.take();
        bench.write(next, "one\n");
        bench.poll();
        assert_eq!(bench.take().last().map(String::as_str), Some("one"), "{next}");
        bench.restart();
        bench.write(next, "two\n");
        bench.write(day, "late\n");
        bench.poll();
        let mut read = bench.take();
        read.sort();
        assert_eq!(read, ["late", "two"]);
    }
}

#[test]
fn a_copy_in_the_making_is_not_taken_for_a_log() {
    let mut bench = Bench::start(&["a*"]);
    let text = "a line that is long enough to be told apart from others\n".repeat(50);
    bench.write("a", &text);
    bench.poll();
    let n_lines = bench.take().len();
    for length in [0, 10, 60, 1500] {
        fs::write(bench.path("a.1"), &text.as_bytes()[..length]).unwrap();
        bench.poll();
    }
    bench.write("a", "unread\n");
    bench.copy("a", "a.1");
    bench.poll();
    bench.truncate("a");
    bench.poll();
    assert_eq!((n_lines, bench.take()), (50, vec!["unread".to_owned()]));
}

#[test]
fn a_truncated_file_without_a_copy_is_one_gap_and_read_from_its_start() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntwo\nthr");
    bench.poll();
    bench.truncate("a");
    bench.write("a", "4\n");
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two", "4"]);
    assert_eq!(bench.missing.gap, 3);
    bench.restart();
    bench.poll();
    assert!(bench.take().is_empty());
    assert_eq!(bench.missing.gap, 3);
    let generations: Vec<_> = bench.known.values().map(|position| position.generation).collect();
    assert_eq!(generations.iter().max(), Some(&1));
}

#[test]
fn regrowth_past_the_offset_with_the_same_first_line_is_noticed() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "#head\nm1\nm2\n");
    bench.poll();
    bench.restart();
    bench.truncate("a");
    bench.write("a", "#head\nn1\nn2\nn3\nn4\n");
    bench.poll();
    assert_eq!(bench.take(), ["#head", "m1", "m2", "#head", "n1", "n2", "n3", "n4"]);
}

#[test]
fn a_log_that_is_copied_and_cut_before_its_first_bytes_are_read_is_read_whole() {
    // It happens before the first look, then before the second one, and so on.
    for n_looks in 0.. {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.copy("a", "a.1");
        bench.truncate("a");
        bench.write("a", "two\n");
        bench.restart();
        let [log, first, second] = ["a", "a.1", "a.2"].map(|name| bench.path(name));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&first, &second).unwrap();
                let mut time = fs::metadata(&log).unwrap().modified().unwrap();
                let mut next = || {
                    time += Duration::from_secs(1);
                    time
                };
                fs::write(&first, fs::read(&log).unwrap()).unwrap();
                File::options().append(true).open(&first).unwrap().set_modified(next()).unwrap();
                fs::write(&log, "three\n").unwrap();
                File::options().append(true).open(&log).unwrap().set_modified(next()).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        if !bench.path("a.2").exists() {
            assert!(n_looks > 5, "there are some looks");
            return;
        }
        bench.written += 2;
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
        assert_eq!(bench.missing, Missing::default(), "{n_looks}");
    }
}

/// A heading within the markers, and one beyond them.
fn headings() -> [String; 2] {
    [60, 1100].map(|length| format!("#{}\n", "h".repeat(length)))
}

#[test]
fn what_was_copied_and_cut_while_down_was_lost_if_only_the_heading_had_been_read() {
    for heading in headings() {
        for (pattern, is_packed) in [("a", false), ("a*", false), ("a", true), ("a*", true)] {
            let mut bench = Bench::start(&[pattern]);
            bench.write("a", &heading);
            bench.rest();
            for (line, copy) in [("one\n", "a.2"), ("two, longer\n", "a.1")] {
                bench.write("a", line);
                bench.copy("a", copy);
                if is_packed {
                    bench.gzip(copy);
                }
                bench.truncate("a");
                bench.write("a", &heading);
            }
            bench.write("a", "three\n");
            for _ in 0..2 {
                bench.restart();
                bench.rest();
            }
            let mut read = bench.take();
            read.retain(|line| !line.starts_with('#'));
            assert_eq!(read, ["one", "two, longer", "three"], "{pattern} {is_packed}");
            assert_eq!(bench.missing, Missing::default(), "{pattern} {is_packed}");
        }
    }
}

#[test]
fn a_log_that_was_copied_while_down_but_not_cut_is_read_on() {
    for heading in headings() {
        for pattern in ["a.log", "a*.log*"] {
            let mut bench = Bench::start(&[pattern]);
            bench.write("a.log", &heading);
            bench.rest();
            bench.write("a.log", "one\n");
            bench.copy("a.log", "a.log.1");
            bench.write("a.log", "two\n");
            // Another log.
            bench.write("a-8080.log", format!("{heading}other\n"));
            bench.restart();
            bench.rest();
            let mut read = bench.take();
            read.retain(|line| !line.starts_with('#') && line != "other");
            assert_eq!(read, ["one", "two"], "{pattern}");
            let generations = bench.known.values().map(|position| position.generation);
            assert_eq!(generations.max(), Some(0), "{pattern}");
        }
    }
}

#[test]
fn copies_whose_names_are_shifted_while_the_log_begins_anew_are_all_read() {
    // Names are looked at in order: the tenth before the ninth.
    for n_looks in 0..40 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        for (copy, next) in [("a.10", "two\n"), ("a.9", "three\n")] {
            bench.copy("a", copy);
            bench.truncate("a");
            bench.write("a", next);
        }
        bench.restart();
        let [ninth, tenth, last] = ["a.9", "a.10", "a.11"].map(|name| bench.path(name));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&tenth, &last).unwrap();
                fs::rename(&ninth, &tenth).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
        assert_eq!(bench.missing, Missing::default(), "{n_looks}");
    }
}

#[test]
fn copies_made_before_the_first_start_stay_unread_when_the_log_is_renamed() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "oldest\n");
    bench.copy("a", "a.1");
    bench.truncate("a");
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a.1", "a.2");
    bench.rename("a", "a.1");
    bench.write("a", "two\n");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_copy_in_a_directory_below_was_read_again() {
    // A look at any moment of the rotation, and a restart.
    for looks in 0..16_u8 {
        let mut bench = Bench::start(&["logs/**/*"]);
        let look = |bench: &mut Bench, n: u8| {
            if looks & (1 << n) != 0 {
                bench.poll();
            }
        };
        fs::create_dir_all(bench.path("logs/old")).unwrap();
        for round in 0..3 {
            bench.write("logs/a", format!("{round} read\n"));
            bench.poll();
            bench.write("logs/a", format!("{round} unread\n"));
            look(&mut bench, 0);
            bench.copy("logs/a", &format!("logs/old/a.{}", 9 - round));
            look(&mut bench, 1);
            bench.truncate("logs/a");
            look(&mut bench, 2);
            bench.write("logs/a", format!("{round} new, and longer than before by far\n"));
            if looks & 8 != 0 {
                bench.restart();
            }
            bench.rest();
            let mut read = bench.take();
            read.sort();
            let expected = ["new, and longer than before by far", "read", "unread"];
            assert_eq!(read, expected.map(|text| format!("{round} {text}")), "{looks}");
        }
        bench.restart();
        bench.rest();
        assert_eq!((bench.take(), bench.missing), (Vec::new(), Missing::default()), "{looks}");
    }
}

#[test]
fn a_copy_of_the_same_name_in_a_directory_below_was_read_again() {
    for is_restarted in [false, true] {
        let mut bench = Bench::start(&["logs/**/*"]);
        fs::create_dir_all(bench.path("logs/backup")).unwrap();
        for round in 0..3 {
            bench.write("logs/a", format!("{round} read\n"));
            bench.poll();
            bench.copy("logs/a", "logs/backup/a");
            if is_restarted {
                bench.restart();
            }
            bench.rest();
            bench.write("logs/a", format!("{round} later\n"));
            bench.rest();
            assert_eq!(bench.take(), ["read", "later"].map(|text| format!("{round} {text}")));
        }
        // What only the copy holds is read there.
        bench.write("logs/a", "unread\n");
        bench.copy("logs/a", "logs/backup/a");
        bench.truncate("logs/a");
        bench.write("logs/a", "new\n");
        bench.rest();
        bench.restart();
        bench.rest();
        let mut read = bench.take();
        read.sort();
        assert_eq!(read, ["new", "unread"]);
        assert_eq!(bench.missing, Missing::default());
    }
}

#[test]
fn a_copy_in_the_making_at_a_restart_was_read_as_a_log() {
    let text = "a line that is long enough to be told apart from others\n".repeat(50);
    let mut bench = Bench::start(&["a*"]);
    bench.write("a", &text);
    bench.poll();
    assert_eq!(bench.take().len(), 50);
    bench.write("a.1", &text.as_bytes()[..1500]);
    bench.restart();
    bench.rest();
    assert!(bench.take().is_empty());
    bench.write("a", "unread\n");
    bench.copy("a", "a.1");
    bench.truncate("a");
    bench.rest();
    assert_eq!(bench.take(), ["unread"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_log_below_that_begins_as_one_above_is_read() {
    let mut bench = Bench::start(&["logs/**/*"]);
    fs::create_dir_all(bench.path("logs/other")).unwrap();
    bench.write("logs/a", "# heading\n");
    bench.poll();
    bench.write("logs/other/a.1", "# heading\none\n");
    bench.write("logs/other/a", "# heading\ntwo\n");
    bench.rest();
    let mut read = bench.take();
    read.sort();
    assert_eq!(read, ["# heading", "# heading", "# heading", "one", "two"]);
}
