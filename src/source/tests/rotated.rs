//! Files that are renamed, replaced, deleted and linked: each line is read once, in order.

use super::*;

#[test]
fn fifty_renames_under_a_busy_writer_lose_nothing() {
    let mut bench = Bench::start(&["a"]);
    let mut expected = Vec::new();
    for round in 0..50 {
        for line in 0..3 {
            expected.push(format!("{round} {line}"));
            bench.write("a", format!("{round} {line}\n"));
        }
        if round % 3 != 2 {
            bench.poll();
        }
        bench.rename("a", &format!("a.{}", 100 - round));
        if round % 4 == 0 {
            expected.push(format!("{round} late"));
            bench.write(&format!("a.{}", 100 - round), format!("{round} late\n"));
        }
    }
    bench.write("a", "last\n");
    expected.push("last".into());
    bench.poll();
    assert_eq!(bench.lines, expected);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_renamed_while_down_is_read_to_its_end_before_the_new_one() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        bench.write("a", "one\n");
        bench.poll();
        bench.write("a", "two\n");
        bench.rename("a", "a.2");
        bench.write("a", "three\n");
        bench.rename("a", "a.1");
        bench.write("a", "four\n");
        bench.restart();
        bench.poll();
        assert_eq!(bench.take(), ["one", "two", "three", "four"], "{pattern}");
        bench.restart();
        bench.write("a.1", "late\n");
        bench.poll();
        assert_eq!(bench.take(), ["late"], "{pattern}");
    }
}

#[test]
fn a_file_that_came_and_went_after_its_predecessor_was_seen_rotated_is_read() {
    for has_restart in [false, true] {
        for names in [["a.3", "a.2", "a.1"], ["a-20260101", "a-20260102", "a-20260103"]] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", "one\n");
            bench.poll();
            bench.rename("a", names[0]);
            // A look while no file has the watched name.
            bench.poll();
            bench.write(names[0], "late\n");
            bench.poll();
            for (name, line) in [(names[1], "two\n"), (names[2], "three\n")] {
                bench.write("a", line);
                bench.rename("a", name);
            }
            bench.write("a", "four\n");
            if has_restart {
                bench.restart();
            }
            bench.poll();
            let expected = ["one", "late", "two", "three", "four"];
            assert_eq!(bench.take(), expected, "{names:?} {has_restart}");
            bench.restart();
            bench.rest();
            assert!(bench.take().is_empty());
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn a_burst_of_rotations_that_leaves_no_file_under_the_watched_name_is_read_in_order() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "0\n");
    bench.poll();
    for round in 1..=12 {
        for n in (1..round).rev() {
            bench.rename(&format!("a.{n}"), &format!("a.{}", n + 1));
        }
        bench.rename("a", "a.1");
        if round == 1 {
            bench.poll();
        }
        if round < 12 {
            bench.write("a", format!("{round}\n"));
        }
    }
    bench.poll();
    let expected: Vec<String> = (0..12).map(|round| round.to_string()).collect();
    assert_eq!(bench.take(), expected);
}

#[test]
fn files_rotated_before_the_first_start_stay_unread_when_the_log_rotates() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a.2", "oldest\n");
    bench.write("a.1", "old\n");
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a", "a.0");
    bench.poll();
    bench.write("a", "two\n");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn a_rotated_log_with_a_number_in_its_name_is_read_on_and_its_neighbour_left_alone() {
    for (log, other) in [("n-1.log", "n-2.log"), ("access_8080.log", "access_8081.log")] {
        let mut bench = Bench::start(&[log]);
        let rotated = format!("{log}.1");
        bench.write(log, "one\n");
        bench.poll();
        bench.rename(log, &rotated);
        bench.write(&rotated, "two\n");
        bench.write(other, "not ours\n");
        bench.poll();
        bench.restart();
        bench.write(&rotated, "three\n");
        bench.write(log, "four\n");
        bench.rename(&rotated, &format!("{log}.2"));
        bench.rename(log, &rotated);
        bench.write(log, "five\n");
        bench.poll();
        bench.write(other, "not ours\n");
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three", "four", "five"], "{log}");
    }
}

#[test]
fn a_rotated_file_deleted_before_it_was_read_is_one_gap() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntw");
    bench.poll();
    bench.restart();
    fs::remove_file(bench.path("a")).unwrap();
    bench.write("a", "three\n");
    for _ in 0..2 {
        bench.poll();
        bench.restart();
    }
    assert_eq!(bench.take(), ["one", "three"]);
    // The part of the second line that had been seen when the first one was committed.
    assert_eq!(bench.missing.gap, 2);
}

#[test]
fn an_unlinked_file_that_is_still_written_is_read_to_its_end() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    bench.poll();
    fs::remove_file(bench.path("a")).unwrap();
    writer.write_all(b"two\n").unwrap();
    bench.poll();
    writer.write_all(b"three").unwrap();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
    bench.rest();
    assert_eq!(bench.take(), ["three"]);
    assert!(bench.places().all(|place| place == Place::Gone));
}

#[test]
fn an_inode_used_again_is_another_file() {
    let mut bench = Bench::start(&["a"]);
    for round in 0..20 {
        bench.write("a", format!("{round}\n"));
        bench.poll();
        if round % 2 == 0 {
            bench.restart();
        }
        fs::remove_file(bench.path("a")).unwrap();
    }
    let expected: Vec<String> = (0..20).map(|round| round.to_string()).collect();
    assert_eq!(bench.take(), expected);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_replaced_by_rename_is_read_to_its_end_first() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.write("a", "two\n");
    bench.write("new", "three\n");
    bench.rename("new", "a");
    bench.poll();
    assert_eq!(bench.take(), ["one", "two", "three"]);
}

#[test]
fn a_log_replaced_twice_by_a_longer_copy_of_itself_was_no_longer_read() {
    // A look after each replacement, or after the last one only; the second time, within a line.
    for looks in 0..8_u8 {
        for half in ["", "two, "] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", format!("one\n{half}"));
            bench.poll();
            for (n, line) in ["two\n", "three\n", "four\n"].into_iter().enumerate() {
                bench.copy("a", "new");
                bench.write("new", line);
                bench.rename("new", "a");
                if looks & (1 << n) != 0 {
                    bench.poll();
                }
            }
            bench.rest();
            bench.restart();
            bench.rest();
            let two = format!("{half}two");
            assert_eq!(bench.take(), ["one", &two, "three", "four"], "{looks}");
            assert_eq!(bench.missing, Missing::default(), "{looks}");
        }
    }
}

#[test]
fn a_file_whose_longer_copy_replaced_it_is_read_on_while_it_is_written() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    bench.poll();
    bench.copy("a", "new");
    bench.write("new", "two\n");
    // Only in the original, before and after it lost its name.
    writer.write_all(b"thr").unwrap();
    bench.poll();
    bench.rename("new", "a");
    bench.poll();
    writer.write_all(b"ee\nfour").unwrap();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two", "three", "four"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn both_targets_of_a_link_that_was_pointed_elsewhere_are_read() {
    let mut bench = Bench::start(&["link"]);
    fs::create_dir(bench.path("pods")).unwrap();
    bench.write("pods/0.log", "one\n");
    std::os::unix::fs::symlink(bench.path("pods/0.log"), bench.path("link")).unwrap();
    bench.poll();
    bench.write("pods/0.log", "two\n");
    bench.rename("pods/0.log", "pods/0.log.20260101-120000");
    bench.write("pods/0.log", "three\n");
    bench.restart();
    bench.poll();
    bench.write("pods/1.log", "five\n");
    bench.write("pods/0.log", "four\n");
    fs::remove_file(bench.path("link")).unwrap();
    std::os::unix::fs::symlink(bench.path("pods/1.log"), bench.path("link")).unwrap();
    bench.poll();
    let mut lines = bench.take();
    lines[3..].sort();
    assert_eq!(lines, ["one", "two", "three", "five", "four"]);
}

#[test]
fn two_names_of_one_file_count_once() {
    let mut bench = Bench::start(&["*.log"]);
    bench.write("a.log", "one\n");
    fs::hard_link(bench.path("a.log"), bench.path("b.log")).unwrap();
    bench.poll();
    bench.write("b.log", "two\n");
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.poll();
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["one", "two"]);
}

#[test]
fn files_that_begin_alike_are_told_apart() {
    let mut bench = Bench::start(&["*"]);
    let head = "#Software: a server\n#Fields: date time c-ip\n".repeat(40);
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        bench.write(name, &head);
        bench.poll();
    }
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        bench.write(name, format!("{name}\n"));
    }
    bench.poll();
    bench.restart();
    bench.poll();
    let lines = bench.take();
    assert_eq!(lines.len(), 4 * 81);
    for name in ["a.log", "b.log", "n-1.log", "n-2.log"] {
        assert_eq!(lines.iter().filter(|line| *line == name).count(), 1, "{name}");
    }
}

#[test]
fn a_file_that_is_renamed_before_it_is_opened_is_not_overtaken() {
    // The rename comes before the first look, then before the second one, and so on.
    for n_looks in 0..40 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.write("a", "two\n");
        bench.rename("a", "a.1");
        bench.write("a", "three\n");
        bench.restart();
        let (from, to) = (bench.path("a.1"), bench.path("a.2"));
        let mut n = 0;
        let step = move || {
            if n == n_looks {
                fs::rename(&from, &to).unwrap();
            }
            n += 1;
        };
        meanwhile(step, || bench.poll());
        bench.poll();
        assert_eq!(bench.take(), ["one", "two", "three"], "{n_looks}");
    }
}

#[test]
fn a_late_write_to_a_rotated_file_hides_nothing_that_came_after_it() {
    for names in [["a.3", "a.2", "a.1"], ["a-20260101", "a-20260102", "a-20260103"]] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        for (name, line) in names.iter().zip(["two\n", "three\n", "four\n"]) {
            bench.rename("a", name);
            bench.write("a", line);
        }
        bench.write(names[0], "late\n");
        bench.restart();
        bench.poll();
        assert_eq!(bench.take(), ["one", "late", "two", "three", "four"], "{names:?}");
    }
}

#[test]
fn a_file_deleted_before_its_first_line_was_read_is_read_beside_its_successor() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "");
    bench.poll();
    let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
    // Read to its end, hence open.
    writer.write_all(b"o").unwrap();
    bench.poll();
    fs::remove_file(bench.path("a")).unwrap();
    writer.write_all(b"ne\n").unwrap();
    bench.write("a", "two\n");
    bench.rename("a", "a.1");
    bench.write("a", "three\n");
    bench.rest();
    assert_eq!(bench.take(), ["one", "two", "three"]);
}

#[test]
fn a_neighbour_with_a_number_in_its_name_was_taken_for_a_rotated_file() {
    for is_down in [false, true] {
        let mut bench = Bench::start(&["access.log"]);
        bench.write("access.log", "one\n");
        bench.poll();
        bench.write("access-8080.log", "other\n");
        bench.rename("access.log", "access.log.1");
        if is_down {
            bench.restart();
        } else {
            bench.poll();
        }
        bench.write("access-8080.log", "other\n");
        bench.write("access.log", "two\n");
        bench.rest();
        bench.copy("access.log", "access.log.2");
        bench.truncate("access.log");
        bench.write("access-8080.log", "other\n");
        bench.rest();
        assert_eq!(bench.take(), ["one", "two"], "{is_down}");
    }
}

#[test]
fn of_a_log_that_is_rotated_to_such_names_those_unseen_are_read() {
    let mut bench = Bench::start(&["app.log"]);
    bench.write("app.log", "one\n");
    bench.poll();
    bench.rename("app.log", "app-2.log");
    bench.write("app.log", "two\n");
    bench.rename("app.log", "app-1.log");
    bench.write("app.log", "three\n");
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two", "three"]);
}

#[test]
fn a_line_in_two_pieces_of_a_log_with_a_number_in_its_name_was_torn() {
    let mut bench = Bench::start(&["*.log"]);
    bench.write("access.log", "one\n");
    bench.write("access-8080.log", "two\nthr");
    bench.rest();
    bench.rest();
    bench.write("access-8080.log", "ee\n");
    bench.rest();
    assert_eq!(bench.take(), ["two", "one", "three"]);
    // The last line of a file that had the log's own name is taken.
    bench.write("access.log", "last");
    bench.poll();
    bench.rename("access.log", "access-1.log");
    bench.write("access.log", "four\n");
    bench.rest();
    assert_eq!(bench.take(), ["four", "last"]);
}

#[test]
fn the_rest_of_a_file_renamed_while_down_to_a_name_without_a_number_was_lost() {
    for name in ["a.log.old", "a.log.bak", "a.log~", "old-a.log", "a.log.1"] {
        let mut bench = Bench::start(&["a.log"]);
        bench.write("a.log", "one\n");
        bench.poll();
        bench.write("a.log", "two\n");
        bench.rename("a.log", name);
        bench.write("a.log", "three\n");
        bench.restart();
        bench.poll();
        assert_eq!(bench.take(), ["one", "two", "three"], "{name}");
        bench.restart();
        bench.write(name, "late\n");
        bench.poll();
        assert_eq!(bench.take(), ["late"], "{name}");
        fs::remove_file(bench.path(name)).unwrap();
        bench.rest();
        bench.restart();
        bench.rest();
        assert!(bench.take().is_empty(), "{name}");
        assert_eq!(bench.missing, Missing::default(), "{name}");
    }
}

#[test]
fn what_was_moved_to_a_directory_below_while_down_was_lost() {
    for (pattern, is_packed) in [("logs/a*", false), ("logs/a*", true), ("logs/**/*", true)] {
        let mut bench = Bench::start(&[pattern]);
        fs::create_dir_all(bench.path("logs/old")).unwrap();
        bench.write("logs/a", "one\n");
        bench.poll();
        bench.write("logs/a", "two\n");
        bench.rename("logs/a", "logs/old/a.1");
        if is_packed {
            bench.gzip("logs/old/a.1");
        } else {
            // Its writer still has it open.
            bench.write("logs/old/a.1", "three\n");
        }
        bench.write("logs/a", "four\n");
        for _ in 0..3 {
            bench.restart();
            bench.rest();
        }
        let mut read = bench.take();
        read.sort();
        let expected = ["four", "one", "three", "two"];
        let expected = expected.into_iter().filter(|line| !is_packed || *line != "three");
        assert_eq!(read, Vec::from_iter(expected), "{pattern}");
        assert_eq!(bench.missing, Missing::default());
    }
}
