//! The cost of a command: wall time, processor time, peak memory. Also the median of several runs.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Ticks of the processor a second, in what the kernel tells (`USER_HZ`).
const TICKS: f64 = 100.0;

/// How often memory is looked at. The kernel keeps the peak; only what grows in the last moment is missed.
const LOOK: Duration = Duration::from_millis(5);

/// What a run took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds on the processor, of all its threads.
    pub(crate) processor: f64,
    /// The most memory that it had, in bytes.
    pub(crate) memory: f64,
    /// What it said on standard error.
    pub(crate) said: String,
}

/// Runs a command to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> Cost {
    let start = Instant::now();
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let mut said = String::new();
    let mut errors = child.stderr.take().unwrap();
    let (wall, memory) = std::thread::scope(|scope| {
        // Ended, but still there to be asked.
        let end = scope.spawn(move || {
            let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), how).unwrap();
            start.elapsed()
        });
        scope.spawn(|| errors.read_to_string(&mut said).unwrap());
        let mut memory = 0;
        while !end.is_finished() {
            memory = memory.max(kib(child.id(), "VmHWM").unwrap_or_default());
            std::thread::sleep(LOOK);
        }
        (end.join().unwrap(), memory)
    });
    let processor = processor(child.id()).unwrap_or_default();
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?} ended with {status}: {said}");
    Cost { wall: wall.as_secs_f64(), processor, memory: memory as f64 * 1024.0, said }
}

/// Seconds that a process was on the processor, with all its threads.
pub(crate) fn processor(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name: state is field 3, user and system time are 14 and 15 (proc(5)).
    let mut fields = stat.rsplit(") ").next()?.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// A number of KiB from `/proc/PID/status`.
pub(crate) fn kib(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Which machine this is, for whoever reads the figures.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| Some(line.split_once(": ")?.1)).unwrap_or("unknown").to_owned()
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{cores} cores: {}, family {}, model {}; load before: {}",
        of("model name"),
        of("cpu family"),
        of("model\t"),
        load.split(' ').next().unwrap_or("unknown")
    )
}

/// `1234567` as `1,234,567`.
pub(crate) fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
