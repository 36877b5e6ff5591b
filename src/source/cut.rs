//! Determines what is at the start of unread bytes: whole lines, NULs, an over-long line, or too little.

use crate::engine::line::{MAX_LINE, settled};

/// What the bytes at the start of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// This many bytes of whole lines: none of them over-long, beginning with NUL, or a part whose last part may
    /// still come.
    Lines(usize),
    /// This many NULs where a line should start; more may follow after the given bytes.
    Nuls(usize),
    /// A line of more than [`MAX_LINE`] bytes, not counting its end.
    Long,
    /// A line without its end, or with parts still to come; or nothing at all.
    Partial,
}

/// Examines `bytes`, which begin at the start of a line.
///
/// Takes two searches, one for a NUL after a line end, and one from each 64 KiB mark back to the previous line end,
/// instead of examining each line.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
    if nuls > 0 {
        return Cut::Nuls(nuls);
    }
    let clean = memchr::memmem::find(bytes, b"\n\0").map_or(bytes.len(), |at| at + 1);
    let mut rest = bytes.get(..clean).unwrap_or_default();
    let mut whole = 0;
    loop {
        let window = rest.get(..=MAX_LINE).unwrap_or(rest);
        match memchr::memrchr(b'\n', window) {
            Some(at) => {
                whole += at + 1;
                rest = rest.get(at + 1..).unwrap_or_default();
            }
            // Anything that cannot be a part ends the wait for the other parts.
            None if whole > 0 && (window.len() > MAX_LINE || clean < bytes.len()) => {
                return Cut::Lines(whole);
            }
            None if whole > 0 => {
                let lines = bytes.get(..whole).unwrap_or_default();
                return Some(settled(lines)).filter(|n| *n > 0).map_or(Cut::Partial, Cut::Lines);
            }
            None if window.len() > MAX_LINE => return Cut::Long,
            None => return Cut::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::engine::line::{Batch, Tally};
    use crate::engine::reader::{Reader, Reading, Source};
    use crate::engine::record::Format;
    use crate::engine::secret::SealKey;
    use crate::engine::token::{Finder, Names, Sealer};

    #[test]
    fn only_whole_lines_pass() {
        assert_eq!(cut(b""), Cut::Partial);
        assert_eq!(cut(b"a"), Cut::Partial);
        assert_eq!(cut(b"\n"), Cut::Lines(1));
        assert_eq!(cut(b"a\nb\nc"), Cut::Lines(4));
        assert_eq!(cut(b"a\r\nb\r"), Cut::Lines(3));
        assert_eq!(cut(b"\0\0a\n"), Cut::Nuls(2));
        assert_eq!(cut(b"a\n\0b\n"), Cut::Lines(2));
        assert_eq!(cut(b"a\0b\n"), Cut::Lines(4));
    }

    #[test]
    fn a_line_of_the_limit_passes_and_one_more_byte_does_not() {
        let line = |n: usize| [vec![b'x'; n], b"\n".to_vec()].concat();
        assert_eq!(cut(&line(MAX_LINE)), Cut::Lines(MAX_LINE + 1));
        assert_eq!(cut(&line(MAX_LINE + 1)), Cut::Long);
        assert_eq!(cut(&vec![b'x'; MAX_LINE]), Cut::Partial);
        assert_eq!(cut(&vec![b'x'; MAX_LINE + 1]), Cut::Long);
        let two = [line(MAX_LINE), line(MAX_LINE), line(MAX_LINE + 1)].concat();
        assert_eq!(cut(&two), Cut::Lines(2 * (MAX_LINE + 1)));
    }

    const HEAD: &str = "2026-03-02T08:00:00.5Z";

    fn request(token: u8) -> String {
        format!(
            "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /v1?api_key=exk_{token}123456789abcdef HTTP/1.1\" 200 5 \"-\" \"c/1\""
        )
    }

    /// Lines of a container: whole, in parts, parts without a beginning or an end, with enough between them to abandon
    /// some. Other lines between them. All end with LF or CRLF, and some have a lone CR somewhere.
    fn written() -> impl Strategy<Value = String> {
        let output = prop_oneof![Just("stdout"), Just("stderr")];
        let end = prop_oneof![Just("\n"), Just("\r\n")];
        let parts = (output.clone(), 0..9u8, any::<Index>(), any::<[bool; 2]>(), end.clone());
        let parts = parts.prop_map(|(output, token, at, [has_first, has_last], end)| {
            let request = request(token);
            let (first, last) = request.split_at(at.index(request.len()));
            let first = format!("{HEAD} {output} P {first}{end}");
            let last = format!("{HEAD} {output} F {last}{end}");
            let of = |part: String, has: bool| if has { part } else { String::new() };
            of(first, has_first) + &of(last, has_last)
        });
        let whole = (output, 0..9u8, end.clone())
            .prop_map(|(output, token, end)| format!("{HEAD} {output} F {}{end}", request(token)));
        let plain = (0..9u8, any::<Index>(), any::<bool>(), end);
        let plain = plain.prop_map(|(token, at, has_cr, end)| {
            let mut line = request(token);
            if has_cr {
                line.insert(at.index(line.len()), '\r');
            }
            line + end
        });
        let long = "x".repeat(16_000);
        let docker = (0..9u8).prop_map(move |token| {
            let begin = format!("{}{long}{long}", request(token).replace('"', "\\\""));
            let object = |text: &str| format!("{{\"log\":\"{text}\",\"stream\":\"stdout\"}}\n");
            object(&begin) + &object("end\\n")
        });
        let filler = Just(format!("{HEAD} stderr F {}\n", "y".repeat(20_000)).repeat(4));
        prop_oneof![4 => parts, 2 => whole, 2 => plain, 1 => docker, 1 => filler]
    }

    /// Reads bytes as they arrive, so many more each time, and the rest at the end.
    fn read_in(reader: &Reader, log: &[u8], more: &[usize]) -> Vec<Reading> {
        let (mut readings, mut from, mut until) = (Vec::new(), 0, 0);
        let mut more = more.iter().cycle();
        loop {
            let there = &log[from..until];
            let n = match cut(there) {
                Cut::Lines(n) => n,
                Cut::Partial if until == log.len() => there.len(),
                // The sources keep no more than this.
                _ => {
                    assert!(there.len() < 200 * 1024, "{}", there.len());
                    until = log.len().min(until + more.next().unwrap());
                    continue;
                }
            };
            if n == 0 {
                return readings;
            }
            let bytes = log[from..from + n].to_vec();
            readings.push(reader.read(&Batch { from: from as u64, bytes, ..Batch::default() }));
            from += n;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn cuts_between_the_parts_of_a_line_change_nothing(
            log in prop::collection::vec(written(), 1..30),
            more in prop::collection::vec(prop_oneof![1..300usize, 300..60_000usize], 1..40),
        ) {
            let names = Names::default();
            let source = Source::of(Format::preset("auto").unwrap());
            let sealer = Sealer::new(SealKey::new(b"key"), &names);
            let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
            let log = log.concat();
            let whole = reader.read(&Batch { bytes: log.clone().into_bytes(), ..Batch::default() });
            let (mut usages, mut tally, mut rejects) = (Vec::new(), Tally::default(), Vec::new());
            for reading in read_in(&reader, log.as_bytes(), &more) {
                usages.extend(reading.usages);
                tally.add(&reading.tally);
                rejects.extend(reading.rejects);
            }
            rejects.truncate(whole.rejects.len());
            prop_assert_eq!(&usages, &whole.usages);
            prop_assert_eq!(tally, whole.tally);
            prop_assert_eq!(rejects, whole.rejects);
            prop_assert_eq!(tally.bytes(), log.len() as u64);
        }
    }
}
