//! Lines under columns that lines above them name.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_as(&["w3c", "auto"], input));
