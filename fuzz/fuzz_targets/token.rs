//! Names and values in every carrier, for the finder, the seal and the redaction.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_token(input));
