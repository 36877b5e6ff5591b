//! Looks for inputs that are read slowly. Run without the fuzzer's instrumentation:
//! `cargo run --release --manifest-path fuzz/Cargo.toml --example pace -- PRESET PATH...`, or a template for the
//! preset.
//!
//! Each file is read as it is, and its lines, its words and its marks are repeated to 64 KiB, in one line and in
//! many. Prints the slowest and every one that takes longer than [`LIMIT`].

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokenwatch::engine::line::{Batch, MAX_LINE};
use tokenwatch::engine::reader::Reader;
use tokenwatch_fuzz::reader_of;

/// What 64 KiB may take.
const LIMIT: Duration = Duration::from_millis(5);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().expect("a preset");
    let reader = reader_of(&preset);
    let mut files = Vec::new();
    arguments.for_each(|path| collect(Path::new(&path), &mut files));
    let (mut worst, mut n_inputs) = ((Duration::ZERO, Vec::new()), 0);
    for file in files {
        for input in inputs(&std::fs::read(file).expect("a readable file")) {
            n_inputs += 1;
            let mut taken = time(&reader, &input);
            if taken > worst.0.min(LIMIT) {
                // Others use the machine too.
                taken = (0..4).map(|_| time(&reader, &input)).fold(taken, Duration::min);
            }
            if taken > LIMIT {
                println!("{taken:?} {}", shown(&input));
            }
            if taken > worst.0 {
                worst = (taken, input);
            }
        }
    }
    println!("{preset}: {n_inputs} inputs, slowest {:?}: {}", worst.0, shown(&worst.1));
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a readable folder");
        entries.flatten().for_each(|entry| collect(&entry.path(), files));
    } else {
        files.push(path.to_owned());
    }
}

/// What is made of one file.
fn inputs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = vec![repeated(bytes)];
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        inputs.push(repeated(line));
        inputs.push(repeated(&[line, b"\n"].concat()));
        let cuts = line.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_alphanumeric());
        for (at, _) in cuts.step_by(1 + line.len() / 64) {
            let (head, tail) = line.split_at(at);
            for length in [1, 2, 3, 8].into_iter().filter(|length| *length <= tail.len()) {
                inputs.push([head, &repeated(&tail[..length])].concat());
            }
        }
    }
    inputs
}

fn repeated(piece: &[u8]) -> Vec<u8> {
    let n_times = MAX_LINE / piece.len().max(1);
    piece.repeat(n_times.max(1))
}

fn time(reader: &Reader, input: &[u8]) -> Duration {
    let batch = Batch { bytes: input.to_vec(), ..Batch::default() };
    let start = Instant::now();
    std::hint::black_box(reader.read(&batch));
    start.elapsed()
}

fn shown(input: &[u8]) -> String {
    let end = input.len().min(240);
    input[..end].escape_ascii().to_string()
}
