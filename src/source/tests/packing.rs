//! Logs that are compressed soon after they were renamed, at any moment between two looks: each line is read once.

use proptest::prelude::*;

use super::*;

/// A log of which each file is compressed one rotation later, one step after the other: `a`, `a.1`, `a.2.gz`, `a.3.gz`.
struct Packed {
    dir: PathBuf,
    n_rotated: usize,
    /// Steps still to be done in the current rotation, the next one last.
    pending: Vec<Turn>,
    written: Vec<String>,
    is_empty: bool,
}

/// A step of a rotation with compression.
enum Turn {
    Rename(String, String),
    Create,
    /// As gzip does it: an empty file, its contents, its time; then the original goes.
    Begin,
    Fill,
    Date,
    Remove,
}

impl Packed {
    fn new(dir: &Path) -> Self {
        let (dir, written) = (dir.to_owned(), Vec::new());
        Self { dir, n_rotated: 0, pending: Vec::new(), written, is_empty: true }
    }

    fn write(&mut self, n_lines: usize) {
        self.go(usize::MAX);
        let mut file =
            OpenOptions::new().append(true).create(true).open(self.dir.join("a")).unwrap();
        for _ in 0..n_lines {
            let line = format!("{:06}", self.written.len());
            writeln!(file, "{line}").unwrap();
            self.written.push(line);
        }
        self.is_empty = false;
    }

    /// Continues a rotation, or begins one, by at most so many steps.
    fn rotate(&mut self, n_steps: usize) {
        if self.pending.is_empty() && !self.is_empty {
            self.pending = vec![Turn::Create];
            if self.n_rotated > 0 {
                self.pending =
                    vec![Turn::Remove, Turn::Date, Turn::Fill, Turn::Begin, Turn::Create];
            }
            let rename = |from: &str, to: &str| Turn::Rename(from.to_owned(), to.to_owned());
            self.pending.push(rename("a", "a.1"));
            self.pending.push(rename("a.1", "a.2"));
            for n in 2..=self.n_rotated {
                self.pending.push(rename(&format!("a.{n}.gz"), &format!("a.{}.gz", n + 1)));
            }
            self.n_rotated += 1;
        }
        self.go(n_steps);
    }

    fn go(&mut self, n_steps: usize) {
        let (from, to) = (self.dir.join("a.2"), self.dir.join("a.2.gz"));
        for _ in 0..n_steps {
            match self.pending.pop() {
                Some(Turn::Rename(from, to)) => {
                    fs::rename(self.dir.join(from), self.dir.join(to)).ok();
                }
                Some(Turn::Create) => {
                    File::create(self.dir.join("a")).unwrap();
                    self.is_empty = true;
                }
                Some(Turn::Begin) => drop(File::create(&to).unwrap()),
                Some(Turn::Fill) => fs::write(&to, gzip(&fs::read(&from).unwrap())).unwrap(),
                Some(Turn::Date) => {
                    let time = fs::metadata(&from).unwrap().modified().unwrap();
                    File::options().append(true).open(&to).unwrap().set_modified(time).unwrap();
                }
                Some(Turn::Remove) => fs::remove_file(&from).unwrap(),
                None => return,
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Pace {
    Write(u8),
    Rotate(u8),
    /// Polls a second later or at once, with one step before each of these looks at a file: lines are written, or the
    /// rotation goes on.
    Poll(bool, Vec<(u8, u8)>),
}

fn pace() -> impl Strategy<Value = Pace> {
    let steps = proptest::collection::vec((0..12_u8, 0..8_u8), 0..8);
    prop_oneof![
        4 => (1..4_u8).prop_map(Pace::Write),
        5 => (1..16_u8).prop_map(Pace::Rotate),
        4 => (any::<bool>(), steps).prop_map(|(is_later, steps)| Pace::Poll(is_later, steps)),
    ]
}

fn packed_at_any_moment(pattern: &str, paces: &[Pace]) -> Result<(), TestCaseError> {
    let mut bench = Bench::start(&[pattern]);
    let log = Rc::new(RefCell::new(Packed::new(bench.dir.path())));
    log.borrow_mut().write(1);
    bench.poll();
    for pace in paces {
        match pace {
            Pace::Write(n_lines) => log.borrow_mut().write(usize::from(*n_lines)),
            Pace::Rotate(n_steps) => log.borrow_mut().rotate(usize::from(*n_steps)),
            Pace::Poll(is_later, steps) => {
                let log = Rc::clone(&log);
                let mut steps = steps.clone().into_iter();
                let mut next = steps.next();
                let step = move || match &mut next {
                    Some((0, n_steps)) => {
                        match n_steps {
                            0 => log.borrow_mut().write(1),
                            n_steps => log.borrow_mut().rotate(usize::from(*n_steps)),
                        }
                        next = steps.next();
                    }
                    Some((n_looks, _)) => *n_looks -= 1,
                    None => {}
                };
                meanwhile(step, || if *is_later { bench.poll() } else { bench.read() });
            }
        }
    }
    log.borrow_mut().write(1);
    // Nothing is left to a restart, and nothing is read again after one.
    for _ in 0..2 {
        bench.rest();
        bench.lines.sort();
        prop_assert_eq!(&bench.lines, &log.borrow().written);
        prop_assert_eq!(bench.missing, Missing::default());
        bench.restart();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5000, ..ProptestConfig::default() })]
    #[test]
    fn files_that_are_compressed_at_any_moment_are_read_once(
        paces in proptest::collection::vec(pace(), 1..40),
    ) {
        packed_at_any_moment("a", &paces)?;
    }

    #[test]
    fn files_that_are_compressed_at_any_moment_are_read_once_under_a_pattern(
        paces in proptest::collection::vec(pace(), 1..40),
    ) {
        packed_at_any_moment("a*", &paces)?;
    }
}

#[test]
fn a_file_that_was_compressed_while_the_names_of_a_pattern_were_looked_at_is_read() {
    let steps = vec![(5, 0), (0, 3), (3, 1), (2, 3), (3, 3)];
    let paces = [
        Pace::Rotate(1),
        Pace::Write(1),
        Pace::Rotate(1),
        Pace::Poll(true, steps),
        Pace::Write(1),
        Pace::Rotate(12),
        Pace::Write(1),
        Pace::Rotate(10),
    ];
    packed_at_any_moment("a*", &paces).unwrap();
}

#[test]
fn a_file_that_was_deleted_once_compressed_between_two_looks_was_read_twice() {
    let paces = [
        Pace::Write(4),
        Pace::Poll(true, vec![(0, 2), (0, 1)]),
        Pace::Write(1),
        Pace::Rotate(1),
        Pace::Write(1),
        Pace::Poll(true, vec![(0, 7), (4, 0)]),
    ];
    packed_at_any_moment("a*", &paces).unwrap();
}

#[test]
fn what_was_compressed_unseen_after_a_file_that_was_first_seen_rotated_was_not_read() {
    for (patterns, is_watched) in [(&["a*"][..], true), (&["a", "a.1"], true), (&["a.1"], false)] {
        let mut bench = Bench::start(patterns);
        bench.write("a", "one\n");
        bench.rename("a", "a.1");
        bench.poll();
        bench.rename("a.1", "a.9");
        bench.gzip("a.9");
        for (line, name) in [("two\n", "a.8"), ("three\n", "a.7")] {
            bench.write("a", line);
            bench.rename("a", name);
            bench.gzip(name);
        }
        bench.write("a", "four\n");
        for _ in 0..2 {
            bench.rest();
            let all = ["one", "two", "three", "four"];
            // Files that no watch names are left alone.
            assert_eq!(bench.lines, if is_watched { &all[..] } else { &all[..1] }, "{patterns:?}");
            assert_eq!(bench.missing, Missing::default());
            bench.restart();
        }
    }
}
