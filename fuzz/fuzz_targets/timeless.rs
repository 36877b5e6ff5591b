//! Formats that have no time, bare and in an envelope that lends them one.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_timeless(input));
