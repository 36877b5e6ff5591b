//! Lines that are incomplete or too long, or NULs.

use super::*;

#[test]
fn a_line_in_the_making_is_read_once_it_is_whole() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\r\ntw");
    bench.poll();
    assert_eq!(bench.take(), ["one"]);
    bench.restart();
    bench.poll();
    bench.now += Duration::from_secs(100);
    bench.poll();
    bench.write("a", "o\r");
    bench.poll();
    assert!(bench.take().is_empty());
    bench.write("a", "\n");
    bench.poll();
    assert_eq!(bench.take(), ["two"]);
}

#[test]
fn a_last_line_without_an_end_is_taken_when_the_file_was_rotated_and_is_silent() {
    for pattern in ["a", "a*"] {
        let mut bench = Bench::start(&[pattern]);
        bench.write("a", "one\ntwo");
        bench.poll();
        bench.rename("a", "a.1");
        bench.write("a", "three\nfour");
        bench.poll();
        assert_eq!(bench.take(), ["one", "three"]);
        bench.rest();
        assert_eq!(bench.take(), ["two"], "{pattern}");
        bench.restart();
        bench.rest();
        assert!(bench.take().is_empty());
    }
}

#[test]
fn an_over_long_line_is_cut_and_counted() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\n");
    for _ in 0..20 {
        bench.write("a", vec![b'x'; 1024 * 1024]);
        bench.poll();
    }
    assert_eq!(bench.take(), ["one"]);
    bench.restart();
    bench.poll();
    bench.write("a", "\ntwo\n");
    bench.poll();
    let lines = bench.take();
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, 3]);
    assert_eq!(bench.missing.discarded, 20 * 1024 * 1024 - MAX_LINE as u64 + 1);
}

#[test]
fn lines_about_the_limit_are_whole_or_cut_by_their_last_byte() {
    let mut bench = Bench::start(&["a"]);
    for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE, 0, 300 * 1024] {
        bench.write("a", [vec![b'x'; length], b"\n".to_vec()].concat());
    }
    bench.poll();
    let lengths: Vec<usize> = bench.take().iter().map(String::len).collect();
    assert_eq!(lengths, [MAX_LINE - 1, MAX_LINE, MAX_LINE, MAX_LINE, 0, MAX_LINE]);
    let cut = 1 + 1 + 2 * MAX_LINE + 1 + 300 * 1024 - MAX_LINE + 1;
    assert_eq!(bench.missing.discarded, cut as u64);
}

#[test]
fn leading_nuls_of_any_number_are_skipped_and_counted() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "before\n");
    bench.poll();
    let file = OpenOptions::new().write(true).open(bench.path("a")).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(b"one\n", 5_000_000_000).unwrap();
    bench.poll();
    file.write_all_at(b"two\n", 5_000_100_000).unwrap();
    bench.poll();
    file.set_len(5_000_200_000).unwrap();
    bench.poll();
    assert_eq!(bench.take(), ["before", "one", "two"]);
    assert_eq!(bench.missing.nuls, 5_000_000_000 + 100_000 - 4);
    file.write_all_at(b"three\n", 5_000_100_004).unwrap();
    bench.restart();
    bench.poll();
    assert_eq!(bench.take(), ["three"]);
}
