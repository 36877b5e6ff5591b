//! Compressed files that cannot be read to their end: by an error of the device, or because they are damaged.

use super::*;

/// Lines of which half of the compressed form contains many.
fn numbered() -> Vec<String> {
    let line = |n: u64| format!("line {n} {:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..20_000).map(line).collect()
}

/// Reads the first of these lines, then the log is rotated and compressed unseen. Returns the compressed bytes.
fn compress_unseen(bench: &mut Bench, lines: &[String]) -> Vec<u8> {
    bench.write("a", format!("{}\n", lines[0]));
    bench.poll();
    bench.write("a", format!("{}\n", lines[1..].join("\n")));
    compress(bench)
}

/// The same with all lines seen.
fn compress_seen(bench: &mut Bench, lines: &[String]) -> Vec<u8> {
    bench.write("a", format!("{}\n", lines[0]));
    bench.poll();
    bench.write_unread("a", format!("{}\n", lines[1..].join("\n")));
    compress(bench)
}

fn compress(bench: &mut Bench) -> Vec<u8> {
    bench.rename("a", "a.1");
    bench.gzip("a.1");
    fs::read(bench.path("a.1.gz")).unwrap()
}

/// Leaves half of a compressed file, as if it were still being written.
fn halve(bench: &mut Bench, packed: &[u8]) {
    fs::write(bench.path("a.1.gz"), "").unwrap();
    bench.write("a.1.gz", &packed[..packed.len() / 2]);
}

#[test]
fn an_error_of_the_device_amid_a_compressed_file_lost_the_rest_until_a_restart() {
    for nth in 1..6 {
        let mut bench = Bench::start(&["a"]);
        let mut lines = numbered();
        compress_unseen(&mut bench, &lines);
        bench.restart();
        FAILURE.set(nth);
        bench.rest();
        assert_eq!(FAILURE.replace(0), 0, "{nth}: there was no such reading");
        bench.rest();
        let mut read = bench.take();
        lines.sort();
        read.sort();
        assert_eq!(read.len(), lines.len(), "{nth}");
        assert!(read == lines, "{nth}: each once");
        assert_eq!(bench.missing, Missing::default(), "{nth}");
    }
}

#[test]
fn a_compressed_file_that_was_completed_later_was_read_on_only_after_a_restart() {
    let mut bench = Bench::start(&["a"]);
    let lines = numbered();
    let packed = compress_unseen(&mut bench, &lines);
    halve(&mut bench, &packed);
    bench.restart();
    bench.rest();
    let n_read = bench.lines.len();
    assert!(1 < n_read && n_read < lines.len(), "{n_read}");
    bench.now += Duration::from_secs(30);
    bench.rest();
    bench.write("a.1.gz", &packed[packed.len() / 2..]);
    bench.rest();
    assert!(bench.take() == lines);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn what_cannot_be_unpacked_was_no_gap() {
    let lines = numbered();
    let size = lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
    for is_seen in [false, true] {
        let mut bench = Bench::start(&["a"]);
        let compress = if is_seen { compress_seen } else { compress_unseen };
        let packed = compress(&mut bench, &lines);
        halve(&mut bench, &packed);
        bench.restart();
        bench.rest();
        assert_eq!(bench.missing.gap, 0, "it may still be written");
        for _ in 0..2 {
            bench.now += Duration::from_mins(2);
            bench.rest();
            bench.restart();
            bench.rest();
        }
        let n_read = bench.take().iter().map(|line| line.len() as u64 + 1).sum::<u64>();
        let expected = if is_seen { size - n_read } else { 1 };
        assert_eq!(bench.missing.gap, expected, "what was seen, or at least a byte; once");
    }
}

#[test]
fn a_damaged_file_that_is_removed_is_a_gap_at_once() {
    let mut bench = Bench::start(&["a"]);
    let packed = compress_unseen(&mut bench, &numbered());
    halve(&mut bench, &packed);
    bench.restart();
    bench.rest();
    fs::remove_file(bench.path("a.1.gz")).unwrap();
    bench.rest();
    assert_eq!(bench.missing.gap, 1);
}

#[test]
fn a_compressed_file_that_is_cut_short_before_what_was_read_of_its_log_was_no_copy_of_it() {
    let lines = numbered();
    for is_restarted in [false, true] {
        let mut bench = Bench::start(&["a"]);
        bench.write("a", format!("{}\n", lines[..15_000].join("\n")));
        bench.poll();
        bench.write("a", format!("{}\n", lines[15_000..].join("\n")));
        bench.rename("a", "a.1");
        bench.gzip("a.1");
        let packed = fs::read(bench.path("a.1.gz")).unwrap();
        halve(&mut bench, &packed);
        bench.write("a", "next\n");
        bench.restart();
        bench.rest();
        assert_eq!(bench.lines.len(), 15_000 + 1);
        if is_restarted {
            bench.restart();
            bench.rest();
        }
        bench.write("a.1.gz", &packed[packed.len() / 2..]);
        bench.rest();
        bench.restart();
        bench.rest();
        let mut read = bench.take();
        read.retain(|line| line != "next");
        assert!(read == lines, "{is_restarted}: {}", read.len());
        assert_eq!(bench.missing, Missing::default(), "{is_restarted}");
    }
}

#[test]
fn a_compressed_file_of_which_all_was_read_is_no_gap_though_it_is_cut_short() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", format!("{}\n", numbered().join("\n")));
    bench.rest();
    bench.gzip("a");
    let packed = fs::read(bench.path("a.gz")).unwrap();
    let path = bench.path("a.gz");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(written).unwrap();
    bench.write("a", "next\n");
    bench.restart();
    for _ in 0..3 {
        bench.now += Duration::from_mins(2);
        bench.rest();
    }
    assert_eq!(bench.take().len(), 20_000 + 1);
    assert_eq!(bench.missing, Missing::default());
}

#[test]
fn a_compressed_file_that_was_completed_after_it_was_given_up_was_left_unread() {
    let lines = numbered();
    let mut bench = Bench::start(&["a"]);
    let packed = compress_unseen(&mut bench, &lines);
    halve(&mut bench, &packed);
    bench.restart();
    for _ in 0..3 {
        bench.now += Duration::from_mins(2);
        bench.rest();
    }
    assert_eq!(bench.missing.gap, 1, "told once");
    bench.write("a.1.gz", &packed[packed.len() / 2..]);
    bench.now += Duration::from_mins(1);
    bench.rest();
    assert!(bench.take() == lines);
    fs::remove_file(bench.path("a.1.gz")).unwrap();
    bench.rest();
    assert_eq!(bench.missing.gap, 1, "and not again");
}

#[test]
fn a_compressed_file_that_was_given_up_was_forgotten_by_a_restart() {
    let lines = numbered();
    for is_completed_while_down in [false, true] {
        let mut bench = Bench::start(&["a"]);
        let packed = compress_unseen(&mut bench, &lines);
        halve(&mut bench, &packed);
        for _ in 0..3 {
            bench.restart();
            for _ in 0..2 {
                bench.now += Duration::from_mins(2);
                bench.rest();
            }
            assert_eq!(bench.missing.gap, 1, "told once");
        }
        if is_completed_while_down {
            bench.write("a.1.gz", &packed[packed.len() / 2..]);
            bench.restart();
        } else {
            bench.restart();
            bench.rest();
            bench.write("a.1.gz", &packed[packed.len() / 2..]);
        }
        bench.now += Duration::from_mins(1);
        bench.rest();
        let read = bench.take();
        assert!(read == lines, "{is_completed_while_down}: {} of {}", read.len(), lines.len());
        bench.restart();
        bench.rest();
        assert!(bench.follower.drains.is_empty(), "it is done");
        assert_eq!((bench.take().len(), bench.missing.gap), (0, 1));
    }
}
