//! Envoy's and Istio's default lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read("envoy", input));
