//! Rotated files that are compressed: read on once from where their reading stopped.

use super::*;

#[test]
fn a_compressed_file_in_the_making_is_not_read_beside_its_original() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.poll();
    bench.rename("a", "a.1");
    bench.poll();
    let part = gzip(b"one\n");
    bench.write("a.1.gz", &part[..part.len() / 2]);
    bench.write("a", "two\n");
    bench.poll();
    fs::remove_file(bench.path("a.1.gz")).unwrap();
    bench.gzip("a.1");
    bench.poll();
    bench.restart();
    bench.rest();
    assert_eq!(bench.take(), ["one", "two"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_compressed_while_down_is_read_on_from_its_offset_once() {
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
    for _ in 0..3 {
        bench.restart();
        bench.poll();
    }
    assert_eq!(bench.take(), ["one", "two", "three", "four"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_file_that_was_compressed_before_anything_of_it_was_read_is_read_once() {
    // The second time, it is written to after it was seen.
    for late in ["", "late\n"] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.crash(1);
        assert!(bench.lines.is_empty() && bench.known.len() == 1, "{:?}", bench.known);
        bench.write("a", late);
        bench.rename("a", "a.2");
        bench.gzip("a.2");
        bench.write("a", "two\n");
        bench.rename("a", "a.1");
        bench.gzip("a.1");
        bench.write("a", "three\n");
        for _ in 0..6 {
            bench.crash(1);
        }
        bench.rest();
        let expected = ["one\n", late, "two\n", "three\n"].concat();
        assert_eq!(bench.take().concat(), expected.replace('\n', ""));
        assert_eq!(bench.missing, Missing::default());
    }
}

#[test]
fn files_that_were_compressed_unseen_are_read_once_whatever_was_committed_of_younger_ones() {
    for n_committed in 1..6 {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.poll();
        bench.restart();
        for (line, name) in [("two\n", "a.9"), ("three\n", "a.8"), ("four\n", "a.7")] {
            bench.rename("a", name);
            bench.gzip(name);
            bench.write("a", line);
        }
        bench.rename("a", "a.6");
        bench.write("a", "five\n");
        bench.crash(n_committed);
        bench.gzip("a.6");
        bench.rename("a", "a.5");
        bench.gzip("a.5");
        bench.write("a", "six\n");
        for _ in 0..8 {
            bench.crash(n_committed);
        }
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three", "four", "five", "six"], "{n_committed}");
        assert_eq!(bench.missing, Missing::default());
    }
}

/// Names of one log's files, oldest first: shifted numbers, and dates.
const ROTATIONS: [[&str; 4]; 2] =
    [["a.4", "a.3", "a.2", "a.1"], ["a-20260301", "a-20260302", "a-20260303", "a-20260304"]];

#[test]
fn files_of_one_tick_of_the_clock_that_were_compressed_unseen_are_read_once() {
    for [before, names @ ..] in ROTATIONS {
        for n_committed in 1..6 {
            let mut bench = Bench::start(&["a"]);
            let write = |bench: &mut Bench, line: &str| {
                bench.written = 0;
                bench.write("a", line);
            };
            write(&mut bench, "zero\n");
            bench.rename("a", before);
            bench.gzip(before);
            write(&mut bench, "one\n");
            bench.poll();
            bench.restart();
            for (name, line) in names.into_iter().zip(["two\n", "three\n", "four\n"]) {
                bench.rename("a", name);
                bench.gzip(name);
                write(&mut bench, line);
            }
            for _ in 0..8 {
                bench.crash(n_committed);
            }
            bench.rest();
            let lines = bench.take();
            assert_eq!(lines, ["one", "two", "three", "four"], "{names:?} {n_committed}");
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn files_that_were_compressed_with_whole_seconds_of_their_time_are_read_once() {
    for is_read in [false, true] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.set_time("a", 700);
        if is_read {
            bench.poll();
        } else {
            bench.crash(1);
        }
        for (name, line, millis) in [("a.2", "two\n", 800), ("a.1", "three\n", 900)] {
            bench.rename("a", name);
            bench.gzip(name);
            bench.set_time(&format!("{name}.gz"), 0);
            bench.write("a", line);
            bench.set_time("a", millis);
        }
        bench.rest();
        bench.restart();
        bench.rest();
        assert_eq!(bench.take(), ["one", "two", "three"], "{is_read}");
        assert_eq!(bench.missing, Missing::default(), "{is_read}");
    }
}

/// Shifts the names `a.3.gz` to `a.1.gz` by one before the look with this number.
fn shift_before(n_looks: usize, dir: PathBuf) -> impl FnMut() + 'static {
    let mut n_left = n_looks;
    move || {
        if n_left == 0 {
            for n in (1..=3).rev() {
                let name = |n: usize| dir.join(format!("a.{n}.gz"));
                fs::rename(name(n), name(n + 1)).unwrap();
            }
        }
        n_left = n_left.wrapping_sub(1);
    }
}

#[test]
fn compressed_files_whose_names_are_shifted_while_they_are_looked_for_are_read_once() {
    for n_looks in 0..80 {
        for n_committed in [0, 1, 9] {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", "one\n");
            bench.poll();
            for (line, name) in [("two\n", "a.3"), ("three\n", "a.2"), ("four\n", "a.1")] {
                bench.rename("a", name);
                bench.gzip(name);
                bench.write("a", line);
            }
            bench.restart();
            let dir = bench.dir.path().to_owned();
            meanwhile(shift_before(n_looks, dir), || bench.crash(n_committed));
            bench.poll();
            bench.restart();
            bench.rest();
            assert_eq!(bench.take(), ["one", "two", "three", "four"], "{n_looks} {n_committed}");
            assert_eq!(bench.missing, Missing::default());
        }
    }
}

#[test]
fn of_files_that_are_gone_the_oldest_are_forgotten_and_none_is_read_again() {
    let mut bench = Bench::start(&["a"]);
    bench.options.max_gone = 3;
    bench.restart();
    let mut n_forgotten = 0;
    for n in 0..12 {
        bench.write("a", format!("{n}\n"));
        bench.rest();
        // The compressed files remain; of those that were renamed, only the compressed form does.
        bench.rename("a", &format!("a.{}", 50 - n));
        bench.write("a", "");
        bench.gzip(&format!("a.{}", 50 - n));
        bench.rest();
        for stream in bench.follower.take_forgotten() {
            n_forgotten += 1;
            bench.known.remove(&stream);
            bench.counted.remove(&stream);
        }
        if n % 3 == 2 {
            bench.restart();
        }
    }
    bench.write("a", "12\n");
    bench.rest();
    let expected: Vec<String> = (0..13).map(|n| n.to_string()).collect();
    assert_eq!((&bench.lines, bench.missing), (&expected, Missing::default()));
    assert!(n_forgotten >= 8 && bench.known.len() <= 6, "{n_forgotten}, {:?}", bench.known);
}

#[test]
fn a_compressed_file_that_is_removed_after_it_was_read_is_no_gap() {
    // Nothing of the first file was read when it was compressed; or one line of one and a half.
    for (first, more) in [("one\ntwo\n", ""), ("one\ntw", "o\n")] {
        for n_committed in 1..6 {
            let mut bench = Bench::start(&["a"]);
            bench.write("a", first);
            bench.crash(n_committed);
            bench.write("a", more);
            bench.rename("a", "a.2");
            bench.gzip("a.2");
            bench.write("a", "three\n");
            bench.rename("a", "a.1");
            bench.gzip("a.1");
            bench.write("a", "four\n");
            for _ in 0..8 {
                bench.crash(n_committed);
            }
            for name in ["a.2.gz", "a.1.gz"] {
                fs::remove_file(bench.path(name)).unwrap();
                bench.restart();
                bench.rest();
            }
            assert_eq!(bench.take(), ["one", "two", "three", "four"], "{first} {n_committed}");
            assert_eq!(bench.missing, Missing::default(), "{first} {n_committed}");
        }
    }
}

#[test]
fn a_file_that_was_removed_unread_is_not_taken_for_another_that_was_compressed_unread() {
    // The second time, it is written to after it was seen.
    for late in ["", "late\n"] {
        let mut bench = Bench::start(&["a"]);
        let mut names = ["first", "second"];
        names.iter().for_each(|name| bench.write(name, ""));
        // The one with the lower number is searched for first.
        names.sort_by_key(|name| fs::metadata(bench.path(name)).unwrap().ino());
        bench.rename(names[0], "a");
        bench.write("a", "longer\n");
        bench.crash(1);
        bench.rename("a", "a.1");
        bench.rename(names[1], "a");
        bench.write("a", "two\n");
        bench.crash(1);
        assert!(bench.lines.is_empty() && bench.known.len() == 2, "{:?}", bench.known);
        fs::remove_file(bench.path("a.1")).unwrap();
        bench.write("a", late);
        bench.compress_unseen("three\n");
        let expected = ["two\n", late, "three\n"].concat();
        assert_eq!(bench.take().concat(), expected.replace('\n', ""));
        assert_eq!(bench.missing.gap, 7, "the first file alone was lost");
    }
}

#[test]
fn a_file_that_was_cut_unread_and_then_compressed_is_read() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    bench.crash(1);
    assert!(bench.lines.is_empty() && bench.known.len() == 1, "{:?}", bench.known);
    bench.truncate("a");
    bench.write("a", "longer than one\n");
    bench.compress_unseen("three\n");
    assert_eq!(bench.take(), ["longer than one", "three"]);
    assert_eq!(bench.missing.gap, 4, "what was cut");
}

#[test]
fn a_file_that_was_read_in_its_compressed_form_takes_no_other_file_s_away() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "zero\n");
    bench.poll();
    for (first, more) in [("one\n", "two\n"), ("three\n", "four\n")] {
        bench.rename("a", "a.0");
        fs::remove_file(bench.path("a.0")).unwrap();
        bench.poll();
        bench.write("a", first);
        // Known from now on, with nothing of it read.
        bench.crash(1);
        bench.write("a", more);
        bench.rename("a", "a.1");
        bench.gzip("a.1");
        bench.rename("a.1.gz", if first == "one\n" { "a.2.gz" } else { "a.1.gz" });
        bench.write("a", "");
        bench.rest();
        bench.restart();
    }
    bench.rest();
    let lines = bench.take();
    assert_eq!(lines, ["zero", "one", "two", "three", "four"]);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn the_youngest_file_of_a_log_that_was_away_was_forgotten_and_read_again() {
    let mut bench = Bench::start(&["*", "sub/*"]);
    bench.options.max_gone = 3;
    bench.restart();
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/a", "one\n");
    bench.rest();
    bench.rename("sub", ".away");
    bench.rest();
    for name in ["b", "c", "d", "e", "f"] {
        bench.write(name, format!("{name}\n"));
        bench.rest();
        fs::remove_file(bench.path(name)).unwrap();
        bench.rest();
    }
    let n_forgotten = bench.follower.take_forgotten().len();
    bench.rename(".away", "sub");
    bench.write("sub/a", "two\n");
    bench.rest();
    assert_eq!(bench.take(), ["one", "b", "c", "d", "e", "f", "two"]);
    assert_eq!((n_forgotten, bench.missing), (3, Missing::default()));
}

#[test]
fn of_many_compressed_files_one_is_open_at_a_time() {
    let mut bench = Bench::start(&["a"]);
    bench.options.max_open = 16;
    bench.restart();
    bench.write("a", "0\n");
    bench.rest();
    for n in 1..=30 {
        let name = format!("a.{}", 50 - n);
        bench.rename("a", &name);
        bench.gzip(&name);
        bench.write("a", format!("{n}\n"));
    }
    bench.restart();
    let dir = bench.dir.path().to_owned();
    let is_packed = move |file: &fs::DirEntry| {
        let path = fs::read_link(file.path()).unwrap_or_default();
        path.starts_with(&dir) && path.extension().is_some_and(|ending| ending == "gz")
    };
    let n_open =
        move || fs::read_dir("/proc/self/fd").unwrap().flatten().filter(&is_packed).count();
    let most = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    meanwhile(move || seen.set(seen.get().max(n_open())), || bench.poll());
    bench.rest();
    let expected: Vec<String> = (0..=30).map(|n| n.to_string()).collect();
    assert_eq!((bench.take(), bench.missing), (expected, Missing::default()));
    assert!((1..=6).contains(&most.get()), "{}", most.get());
}

#[test]
fn a_file_that_was_compressed_while_it_was_open_and_unread_was_read_twice() {
    for late in ["", "late\n"] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", "one\n");
        bench.rest();
        bench.rename("a", "a.4");
        bench.write("a", "");
        // Open from now on, and empty.
        bench.poll();
        let mut writer = OpenOptions::new().append(true).open(bench.path("a")).unwrap();
        bench.write("a", "# heading\n");
        bench.rename("a", "a.3");
        bench.gzip("a.3");
        writer.write_all(late.as_bytes()).unwrap();
        // The beginning is the same, but it is a different file.
        bench.write("a", "# heading\ntwo\n");
        bench.rename("a", "a.2");
        bench.gzip("a.2");
        bench.write("a", "three\n");
        bench.rest();
        bench.restart();
        bench.rest();
        let mut read = bench.take();
        read.sort();
        read.retain(|line| line != "late");
        let expected = ["# heading", "# heading", "one", "three", "two"];
        assert_eq!(read, expected, "{late}");
        assert_eq!(bench.missing, Missing::default());
    }
}
