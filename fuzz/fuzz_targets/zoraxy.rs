//! Zoraxy's access log.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read("zoraxy", input));
