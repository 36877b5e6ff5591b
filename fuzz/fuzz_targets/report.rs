//! What other scanners found: JSON and JSON lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_report(input));
