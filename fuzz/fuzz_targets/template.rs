//! A template, then lines: both syntaxes, compiled and read.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_template(input));
