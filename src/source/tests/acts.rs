//! Whatever happens to a log, in any order, with crashes in between: each line is read once.

use proptest::prelude::*;

use super::*;

#[test]
fn a_rotated_file_is_found_after_a_crash_that_left_only_its_younger_copies_known() {
    let mut bench = Bench::start(&["a.log"]);
    bench.options.max_open = 1;
    bench.restart();
    bench.write("a.log", "");
    bench.poll();
    let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
    for act in [
        Act::Rename,
        Act::CopyTruncate,
        Act::CopyTruncate,
        Act::Write(1),
        Act::Rename,
        Act::Crash(2),
    ] {
        writer.play(&act);
    }
    writer.write(1);
    writer.bench.rest();
    assert_eq!(writer.bench.take(), ["line 0", "line 1"]);
    assert_eq!(writer.bench.missing, Missing::default());
}

#[derive(Clone, Debug)]
enum Act {
    Write(u8),
    Half,
    Poll,
    Rest,
    Restart,
    Crash(u8),
    Rename,
    CopyTruncate,
    Gzip,
    Refuse,
    Grant,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..40_u8).prop_map(Act::Write),
        2 => Just(Act::Half),
        4 => Just(Act::Poll),
        1 => Just(Act::Rest),
        1 => Just(Act::Restart),
        2 => (0..4_u8).prop_map(Act::Crash),
        2 => Just(Act::Rename),
        2 => Just(Act::CopyTruncate),
        2 => Just(Act::Gzip),
        1 => Just(Act::Refuse),
        1 => Just(Act::Grant),
    ]
}

/// A writer of numbered lines and its logrotate.
struct Writer {
    bench: Bench,
    n_lines: u32,
    is_half: bool,
    n_rotated: u32,
}

impl Writer {
    fn write(&mut self, n_lines: u8) {
        let mut text = String::new();
        for _ in 0..n_lines {
            if !std::mem::take(&mut self.is_half) {
                text.push_str("line ");
            }
            text.push_str(&format!("{}\n", self.n_lines));
            self.n_lines += 1;
        }
        self.bench.write("a.log", text);
    }

    fn half(&mut self) {
        if !std::mem::replace(&mut self.is_half, true) {
            self.bench.write("a.log", "line ");
        }
    }

    fn rotated(&mut self) -> String {
        if self.is_half {
            self.write(1);
        }
        self.n_rotated += 1;
        format!("a.log.{}", self.n_rotated)
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Write(n_lines) => self.write(*n_lines),
            Act::Half => self.half(),
            Act::Poll => self.bench.poll(),
            Act::Rest => self.bench.rest(),
            Act::Restart => self.bench.restart(),
            Act::Crash(n_committed) => self.bench.crash(usize::from(*n_committed)),
            Act::Rename => {
                let to = self.rotated();
                self.bench.rename("a.log", &to);
                self.bench.write("a.log", "");
            }
            Act::CopyTruncate => {
                let to = self.rotated();
                self.bench.copy("a.log", &to);
                self.bench.truncate("a.log");
            }
            Act::Gzip => {
                let name = format!("a.log.{}", self.n_rotated);
                if self.bench.path(&name).exists() {
                    // Compressed only after the program had a look at it, as with delaycompress.
                    self.bench.poll();
                    self.bench.gzip(&name);
                }
            }
            Act::Refuse => refuse(Errno::MFILE),
            Act::Grant => grant(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn each_line_comes_once_whatever_happens(
        acts in proptest::collection::vec(act(), 1..40),
        is_glob in any::<bool>(),
        max_open in 1..4_usize,
    ) {
        grant();
        let mut bench = Bench::start(&[if is_glob { "a.log*" } else { "a.log" }]);
        bench.options.max_open = max_open;
        bench.restart();
        bench.write("a.log", "");
        bench.poll();
        let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
        for act in &acts {
            writer.play(act);
        }
        grant();
        writer.write(1);
        writer.bench.rest();
        let mut lines = writer.bench.take();
        lines.sort();
        let mut expected: Vec<String> = (0..writer.n_lines).map(|n| format!("line {n}")).collect();
        expected.sort();
        prop_assert_eq!(lines, expected);
        prop_assert_eq!(writer.bench.missing, Missing::default());
    }
}

#[test]
fn a_log_that_was_copied_and_then_renamed_is_found_after_crashes_that_left_its_copies_known() {
    let mut bench = Bench::start(&["a.log"]);
    bench.write("a.log", "");
    bench.poll();
    let mut writer = Writer { bench, n_lines: 0, is_half: false, n_rotated: 0 };
    for act in [
        Act::Rename,
        Act::CopyTruncate,
        Act::CopyTruncate,
        Act::Write(1),
        Act::Crash(1),
        Act::Crash(1),
        Act::Rename,
    ] {
        writer.play(&act);
    }
    writer.write(1);
    writer.bench.rest();
    assert_eq!(writer.bench.take(), ["line 0", "line 1"]);
}
