//! Whole logs of any format, read as a site without a configured format does.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read("auto", input));
