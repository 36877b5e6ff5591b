//! Reads a log line by line and as batches, and asserts what must hold of each.

use std::borrow::Cow;
use std::hint::black_box;

use tokenwatch::engine::line::{Batch, Directives, Tally, settled};
use tokenwatch::engine::reader::Reader;
use tokenwatch::engine::record::{Columns, Format, Reject};

use crate::{CANARY, token};

/// Reads an input as a log with the first source of a reader.
pub fn check(reader: &Reader, input: &[u8]) {
    let format = &reader.sources()[0].format;
    let batch = Batch { bytes: input.to_vec(), ..Batch::default() };
    let (mut columns, mut directives) = (Columns::default(), Directives::default());
    for line in batch.lines() {
        columns.note(&line.bytes);
        directives.note(&line.bytes);
        check_line(reader, format, &line.bytes, &columns);
    }
    check_directives(&directives, input);
    check_batch(reader, &batch);
}

/// Directives are the same whether they are noted line by line or all at once, and once stored.
fn check_directives(noted: &Directives, input: &[u8]) {
    let mut all = Directives::default();
    all.note_all(input);
    assert_eq!(all, *noted);
    assert_eq!(Directives::from_lines(&all.to_lines()), all);
}

fn check_line(reader: &Reader, format: &Format, line: &[u8], columns: &Columns) {
    let first = format.parse_under(line, columns);
    assert_eq!(first, format.parse_under(line, columns), "the same line is read the same");
    for (_, value) in format.trail(line) {
        assert!(value.len() <= line.len());
    }
    match first {
        Ok(record) => {
            assert!(matches!(record.time_digits, 0 | 3 | 6), "{record:?}");
            assert!(record.status.is_none_or(|status| status < 1000), "{record:?}");
            assert_eq!(record.clone().into_owned(), record);
            token::check(reader.finder(), reader.sealer(), &record);
        }
        Err(reject) => {
            check_reject(&reject, line);
            black_box(format.is_silent(line));
        }
    }
}

/// The longest key of a time that is known.
const MAX_KEY: usize = 64;

/// A reject points into the line, and shows no more of it than one character or the key of a time: what it says is
/// kept.
fn check_reject(reject: &Reject, line: &[u8]) {
    assert!(1 <= reject.column && reject.column <= line.len() + 1, "{reject:?}");
    let is_brief = match &reject.found {
        Cow::Borrowed(_) => true,
        Cow::Owned(text) => match text.as_bytes() {
            [b'\'', _, b'\''] => true,
            [b'b', b'y', b't', b'e', b' ', b'0', b'x', _, _] => true,
            _ => text.strip_prefix("something else under ").is_some_and(is_key),
        },
    };
    assert!(is_brief, "{reject:?}");
    // A template's reject says what the template has there.
    let is_known = matches!(reject.expected, Cow::Borrowed(_)) || reject.template.is_some();
    assert!(is_known, "{reject:?}");
}

fn is_key(shown: &str) -> bool {
    let canary = String::from_utf8_lossy(CANARY);
    shown.len() <= MAX_KEY
        && shown.bytes().all(|byte| byte.is_ascii_graphic())
        && !shown.contains(&*canary)
}

/// Every byte is accounted for, and a cut where the source may make one changes nothing: between two lines, and not
/// between the parts of one.
fn check_batch(reader: &Reader, batch: &Batch) {
    let whole = reader.read(batch);
    let tally = &whole.tally;
    assert_eq!(tally.bytes(), batch.bytes.len() as u64);
    assert_eq!(tally.lines, tally.parsed + tally.rejected);
    assert_eq!(tally.usages, whole.usages.len() as u64);
    for (offset, _) in &whole.rejects {
        assert!(*offset < batch.bytes.len() as u64);
    }

    let middle = batch.bytes.len() / 2;
    let Some(end) = batch.bytes[middle..].iter().position(|byte| *byte == b'\n') else { return };
    let seam = settled(&batch.bytes[..=middle + end]);
    let (head, tail) = batch.bytes.split_at(seam);
    let mut directives = Directives::default();
    directives.note_all(head);
    let head = Batch { bytes: head.to_vec(), ..Batch::default() };
    let from = head.bytes.len() as u64;
    let head = reader.read(&head);
    let reach = head.reach;
    let tail = Batch { from, bytes: tail.to_vec(), directives, reach, ..Batch::default() };
    let tail = reader.read(&tail);
    let mut sum = Tally::default();
    sum.add(&head.tally);
    sum.add(&tail.tally);
    assert_eq!(sum, whole.tally, "a cut changed what was read");
    assert_eq!([head.usages, tail.usages].concat(), whole.usages, "a cut changed a usage");
}
