//! JSON: all dialects share a parser; once more with keys that a site names.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_json(input));
