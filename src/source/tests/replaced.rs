//! Logs that become other files, and rotated files that others are copied into: each line is read once.

use super::looks::pass_a_tick;
use super::*;

/// A log becomes another file with the same contents: it is restored, moved, or pulled from another machine.
fn replace(bench: &mut Bench, name: &str) {
    bench.copy(name, "new");
    bench.rename("new", name);
}

#[test]
fn a_log_that_became_another_file_twice_was_read_again_after_a_restart() {
    for n_changes in 1..4 {
        for ending in ["", ".1", ".1.gz"] {
            let mut bench = Bench::start(&["a"]);
            let mut expected = Vec::new();
            for round in 0..5 {
                bench.write("a", format!("{round} read\n"));
                bench.poll();
                (0..n_changes).for_each(|_| replace(&mut bench, "a"));
                bench.write("a", format!("{round} unread\n"));
                expected.extend(["read", "unread"].map(|text| format!("{round} {text}")));
                if round == 3 && !ending.is_empty() {
                    bench.rename("a", "a.1");
                    bench.write("a", "next\n");
                    expected.push("next".to_owned());
                }
                if round == 3 && ending == ".1.gz" {
                    bench.gzip("a.1");
                }
                bench.restart();
                bench.rest();
            }
            assert_eq!(bench.take(), expected, "{n_changes} {ending}");
            assert_eq!(bench.missing, Missing::default(), "{n_changes} {ending}");
        }
    }
}

/// Rotates `a` by copying it into `a.1`, which keeps being the same file, with a look after each step that `looks`
/// selects.
fn copy_and_cut(bench: &mut Bench, looks: u8) {
    let look = |bench: &mut Bench, n: u8| {
        if looks & (1 << n) != 0 {
            bench.poll();
        }
    };
    fs::write(bench.path("a.1"), "").unwrap();
    look(bench, 0);
    bench.copy("a", "a.1");
    look(bench, 1);
    bench.truncate("a");
    look(bench, 2);
}

#[test]
fn a_log_that_was_copied_into_the_file_of_its_last_copy_was_read_again() {
    for looks in 0..16_u8 {
        for (pattern, next) in [("a", "new\n"), ("a*", "new, and longer than all before by far\n")]
        {
            let mut bench = Bench::start(&[pattern]);
            for round in 0..4 {
                bench.write("a", format!("{round} read\n"));
                bench.poll();
                bench.write("a", format!("{round} unread\n"));
                copy_and_cut(&mut bench, looks);
                bench.write("a", format!("{round} {next}"));
                if looks & 8 != 0 {
                    bench.restart();
                }
                bench.rest();
                let expected = ["read", "unread", next.trim_end()];
                let expected = expected.map(|text| format!("{round} {text}"));
                assert_eq!(bench.take(), expected, "{pattern} {looks}");
            }
            bench.restart();
            bench.rest();
            assert_eq!((bench.take(), bench.missing), (Vec::new(), Missing::default()), "{looks}");
        }
    }
}

#[test]
fn a_kill_while_a_log_is_copied_into_the_file_of_its_last_copy_repeats_nothing() {
    for n_committed in 0..5 {
        let mut bench = Bench::start(&["a"]);
        let mut expected = Vec::new();
        for round in 0..3 {
            let text = ["read", "unread", "new"].map(|text| format!("{round} {text}"));
            bench.write("a", format!("{}\n", text[0]));
            bench.poll();
            bench.write("a", format!("{}\n", text[1]));
            copy_and_cut(&mut bench, 0);
            bench.write("a", format!("{}\n", text[2]));
            bench.crash(n_committed);
            bench.rest();
            expected.extend(text);
        }
        assert_eq!(bench.take(), expected, "{n_committed}");
        assert_eq!(bench.missing, Missing::default(), "{n_committed}");
    }
}

#[test]
fn copies_that_were_shifted_by_copying_were_read_again() {
    for is_down in [false, true] {
        let mut bench = Bench::start(&["a"]);
        for round in 0..5 {
            bench.write("a", format!("{round} read\n"));
            bench.poll();
            bench.write("a", format!("{round} unread\n"));
            if round > 1 {
                bench.copy("a.2", "a.3");
            }
            if round > 0 {
                bench.copy("a.1", "a.2");
            }
            copy_and_cut(&mut bench, 0);
            bench.write("a", format!("{round} new\n"));
            if is_down {
                bench.restart();
            }
            bench.rest();
            let expected = ["read", "unread", "new"].map(|text| format!("{round} {text}"));
            assert_eq!(bench.take(), expected, "{is_down}");
        }
        assert_eq!(bench.missing, Missing::default(), "{is_down}");
    }
}

#[test]
fn a_copy_that_was_made_anew_of_a_log_that_goes_on_was_read_and_a_gap() {
    for looks in 0..4_u8 {
        for pattern in ["a", "a*"] {
            let mut bench = Bench::start(&[pattern]);
            for round in 0..4 {
                bench.write("a", format!("{round}\n"));
                bench.poll();
                fs::write(bench.path("a.1"), "").unwrap();
                if looks & 1 != 0 {
                    bench.poll();
                }
                bench.copy("a", "a.1");
                bench.poll();
                if looks & 2 != 0 {
                    bench.restart();
                }
                bench.rest();
                assert_eq!(bench.take(), [round.to_string()], "{pattern} {looks}");
            }
            bench.truncate("a");
            bench.write("a", "next\n");
            bench.rest();
            assert_eq!(bench.take(), ["next"], "{pattern} {looks}");
            assert_eq!(bench.missing, Missing::default(), "{pattern} {looks}");
        }
    }
}

#[test]
fn another_file_written_over_a_rotated_one_is_read() {
    let mut bench = Bench::start(&["a*"]);
    bench.write("a.1", "one\n");
    bench.write("a", "two\n");
    bench.rest();
    for round in 0..3 {
        fs::write(bench.path("a.1"), "").unwrap();
        bench.write("a.1", format!("{round} over it, and longer\n"));
        bench.write("a", format!("{round}\n"));
        bench.rest();
    }
    let mut read = bench.take();
    read.sort();
    let expected = ["0", "0 over it, and longer", "1", "1 over it, and longer", "2"];
    assert_eq!(read, [&expected[..], &["2 over it, and longer", "one", "two"]].concat());
}

#[test]
fn the_rest_of_a_replaced_log_came_under_another_name_and_was_lost() {
    for name in ["a.1", "a.1.gz", "old/a.1", "old/a.1.gz"] {
        for (seen, rest) in [("one\ntwo\n", "late\n"), ("one\ntw", "o\nlate\n"), ("one\ntwo\n", "")]
        {
            for pattern in ["a", "a*"] {
                let mut bench = Bench::start(&[pattern]);
                fs::create_dir(bench.path("old")).unwrap();
                bench.write("a", seen);
                bench.poll();
                // As a pull does it: each file is complete when it gets its name.
                bench.write("new", "three\n");
                bench.rename("new", "a");
                bench.poll();
                bench.write("rotated", format!("{seen}{rest}"));
                if name.ends_with(".gz") {
                    bench.gzip("rotated");
                    bench.rename("rotated.gz", name);
                } else {
                    bench.rename("rotated", name);
                }
                bench.rest();
                bench.restart();
                bench.rest();
                let mut read = bench.take();
                read.sort();
                let mut expected = vec!["one", "three", "two"];
                if !rest.is_empty() {
                    expected.insert(0, "late");
                }
                assert_eq!(read, expected, "{name} {seen:?} {pattern}");
                assert_eq!(bench.missing, Missing::default(), "{name} {seen:?} {pattern}");
            }
        }
    }
}

#[test]
fn a_deleted_log_of_which_only_the_heading_was_read_brings_back_no_file_from_before() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a.1", "#heading\nbefore the first start\n");
    pass_a_tick(&bench);
    bench.write("a", "#heading\n");
    bench.poll();
    fs::remove_file(bench.path("a")).unwrap();
    bench.poll();
    bench.rest();
    assert!(bench.places().all(|place| place == Place::Gone));
    assert_eq!(bench.take(), ["#heading"]);
}
