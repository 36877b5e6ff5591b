//! Old logs, packed in any way, and the journal's cursors.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_old(input));
