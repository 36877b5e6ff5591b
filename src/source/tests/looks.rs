//! How often files are looked at: each once a sweep, and what is at rest once a minute.

use super::*;

/// Counts the looks at files and directories while something is done.
fn n_looks(act: impl FnOnce()) -> usize {
    let n = Rc::new(Cell::new(0));
    let count = Rc::clone(&n);
    meanwhile(move || count.set(count.get() + 1), act);
    n.get()
}

/// Follows a log and what it was rotated to, all read.
fn with_rotated(patterns: &[&str], n_rotated: usize) -> Bench {
    let mut bench = Bench::start(patterns);
    for n in 0..n_rotated {
        bench.write("a", format!("{n}\n"));
        bench.poll();
        bench.rename("a", &format!("a-2026{n:04}"));
    }
    bench.write("a", "last\n");
    bench.rest();
    assert_eq!(bench.take().len(), n_rotated + 1);
    bench
}

#[test]
fn a_sweep_looks_at_each_file_once_however_often_a_log_was_rotated() {
    for pattern in ["a", "a*"] {
        let mut bench = with_rotated(&[pattern], 40);
        bench.follower.set_watches(bench.watches.clone());
        bench.poll();
        bench.follower.set_watches(bench.watches.clone());
        let n = n_looks(|| bench.poll());
        assert!((41..50).contains(&n), "{pattern}: {n} looks at 41 files");
    }
}
