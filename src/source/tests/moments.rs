//! Rotations at any moment, between any two looks at files: nothing is lost, and the order is kept.

use proptest::prelude::*;

use super::*;

/// What happens to a log and its reader if rotations come at any moment.
#[derive(Clone, Debug)]
enum Beat {
    Write(u8),
    /// Continues the rotation: so many renames, of as many files as there are.
    Rename(u8),
    /// Polls while the log changes: one step before each of these looks at a file.
    Poll(Vec<(u8, Step)>),
    /// Commits so many batches of such a poll; then the program is killed.
    Crash(u8, Vec<(u8, Step)>),
    /// Copies the log and cuts it.
    Cut,
}

/// What happens to the log between two looks.
#[derive(Clone, Debug)]
enum Step {
    Write,
    Rename(u8),
    Cut,
}

fn beat() -> impl Strategy<Value = Beat> {
    let step = prop_oneof![
        2 => Just(Step::Write),
        3 => (1..12_u8).prop_map(Step::Rename),
    ];
    let steps = proptest::collection::vec((0..12_u8, step), 0..8);
    prop_oneof![
        4 => (1..4_u8).prop_map(Beat::Write),
        5 => (1..12_u8).prop_map(Beat::Rename),
        2 => steps.clone().prop_map(Beat::Poll),
        3 => ((0..6_u8), steps).prop_map(|(n, steps)| Beat::Crash(n, steps)),
    ]
}

/// Runs `act` while the steps of a log happen between its looks at files.
fn amid<T>(log: &Rc<RefCell<Shifted>>, steps: Vec<(u8, Step)>, act: impl FnOnce() -> T) -> T {
    let mut steps = steps.into_iter();
    let (log, mut next) = (Rc::clone(log), steps.next());
    let step = move || match &mut next {
        Some((0, step)) => {
            match step {
                Step::Write => log.borrow_mut().write(1),
                Step::Rename(n_renames) => log.borrow_mut().rotate(usize::from(*n_renames)),
                Step::Cut => log.borrow_mut().cut(),
            }
            next = steps.next();
        }
        Some((n_looks, _)) => *n_looks -= 1,
        None => {}
    };
    meanwhile(step, act)
}

/// A log that is rotated as by logrotate, one rename after the other: the youngest is `a.1`. Files get the times that
/// the system sets, so that many share one tick of its clock.
struct Shifted {
    dir: PathBuf,
    n_rotated: usize,
    /// Renames still to be done in the current rotation.
    pending: Vec<usize>,
    written: Vec<String>,
    /// Its files get distinct times instead.
    is_timed: bool,
    n_touched: u64,
}

impl Shifted {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            n_rotated: 0,
            pending: Vec::new(),
            written: Vec::new(),
            is_timed: false,
            n_touched: 0,
        }
    }

    /// A log in which each change is later than the previous one by the clock.
    fn timed(dir: &Path) -> Self {
        Self { is_timed: true, ..Self::new(dir) }
    }

    fn name(&self, n: usize) -> PathBuf {
        self.dir.join(if n == 0 { "a".to_owned() } else { format!("a.{n}") })
    }

    fn write(&mut self, n_lines: usize) {
        self.rename(usize::MAX);
        let mut text = String::new();
        for _ in 0..n_lines {
            let line = format!("{:06}", self.written.len());
            text.push_str(&line);
            text.push('\n');
            self.written.push(line);
        }
        let mut file = OpenOptions::new().append(true).create(true).open(self.name(0)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(0);
    }

    /// Continues a rotation by at most so many renames.
    fn rename(&mut self, n_renames: usize) {
        for _ in 0..n_renames {
            let Some(n) = self.pending.pop() else { return };
            fs::rename(self.name(n), self.name(n + 1)).unwrap();
        }
    }

    /// Rotates like `copytruncate`, between two looks.
    fn cut(&mut self) {
        self.rename(usize::MAX);
        if !self.name(0).exists() {
            return;
        }
        for n in (1..=self.n_rotated).rev() {
            fs::rename(self.name(n), self.name(n + 1)).unwrap();
        }
        self.n_rotated += 1;
        fs::copy(self.name(0), self.name(1)).unwrap();
        self.touch(1);
        File::options().write(true).open(self.name(0)).unwrap().set_len(0).unwrap();
        self.touch(0);
    }

    fn touch(&mut self, n: usize) {
        if self.is_timed {
            self.n_touched += 1;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + self.n_touched);
            File::options().append(true).open(self.name(n)).unwrap().set_modified(time).unwrap();
        }
    }

    fn rotate(&mut self, n_renames: usize) {
        if self.pending.is_empty() && self.name(0).exists() {
            self.pending = (0..=self.n_rotated).collect();
            self.n_rotated += 1;
        }
        self.rename(n_renames);
    }
}

/// A log that is copied and cut at any moment.
fn beat_with_cuts() -> impl Strategy<Value = Beat> {
    let step = prop_oneof![2 => Just(Step::Write), 2 => Just(Step::Cut)];
    let steps = proptest::collection::vec((0..12_u8, step), 0..8);
    prop_oneof![
        4 => (1..4_u8).prop_map(Beat::Write),
        3 => Just(Beat::Cut),
        2 => steps.clone().prop_map(Beat::Poll),
        3 => ((0..6_u8), steps).prop_map(|(n, steps)| Beat::Crash(n, steps)),
    ]
}

fn rotated_at_any_moment(
    pattern: &str,
    new: fn(&Path) -> Shifted,
    beats: &[Beat],
) -> Result<(), TestCaseError> {
    let mut bench = Bench::start(&[pattern]);
    let log = Rc::new(RefCell::new(new(bench.dir.path())));
    log.borrow_mut().write(1);
    bench.poll();
    for beat in beats {
        match beat {
            Beat::Write(n_lines) => log.borrow_mut().write(usize::from(*n_lines)),
            Beat::Rename(n_renames) => log.borrow_mut().rotate(usize::from(*n_renames)),
            Beat::Cut => log.borrow_mut().cut(),
            Beat::Poll(steps) => amid(&log, steps.clone(), || bench.poll()),
            Beat::Crash(n_committed, steps) => {
                amid(&log, steps.clone(), || bench.crash(usize::from(*n_committed)));
            }
        }
    }
    log.borrow_mut().write(1);
    bench.poll();
    bench.poll();
    if log.borrow().is_timed {
        // If looks come during a cut, the copy may become known after the log.
        bench.lines.sort();
    }
    prop_assert_eq!(&bench.lines, &log.borrow().written);
    prop_assert_eq!(bench.missing, Missing::default());
    Ok(())
}

/// The clock of the file system: exact, like most, or as coarse as the oldest.
fn tick() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(4_000_000), Just(1_000_000_000)]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5000, ..ProptestConfig::default() })]
    #[test]
    fn rotations_at_any_moment_and_crashes_keep_the_order(
        beats in proptest::collection::vec(beat(), 1..40),
        tick in tick(),
    ) {
        TICK.set(tick);
        rotated_at_any_moment("a", Shifted::new, &beats)?;
    }

    #[test]
    fn copies_and_cuts_at_any_moment_and_crashes_lose_nothing(
        beats in proptest::collection::vec(beat_with_cuts(), 1..40),
    ) {
        rotated_at_any_moment("a", Shifted::timed, &beats)?;
    }

    #[test]
    fn rotations_of_files_that_a_pattern_names_keep_the_order(
        beats in proptest::collection::vec(beat(), 1..40),
        tick in tick(),
    ) {
        TICK.set(tick);
        rotated_at_any_moment("a*", Shifted::new, &beats)?;
    }
}

#[test]
fn what_follows_a_file_that_was_rotated_unread_is_no_copy_of_it() {
    let mut bench = Bench::start(&["a"]);
    let mut log = Shifted::new(bench.dir.path());
    log.write(1);
    bench.poll();
    log.rotate(usize::MAX);
    log.write(1);
    // Seen, but not read.
    bench.crash(0);
    bench.crash(2);
    log.write(1);
    for _ in 0..3 {
        log.rotate(usize::MAX);
        log.write(1);
    }
    bench.poll();
    assert_eq!(bench.lines, log.written);
}
