//! Logs that become other files, and rotated files that others are copied into: each line is read once.

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
