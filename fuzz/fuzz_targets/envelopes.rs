//! Lines as given, and in the envelopes of syslog, containers, journals and terminals.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_enveloped(input));
