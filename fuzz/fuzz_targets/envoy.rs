//! Envoy's and Istio's default lines.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read("envoy", input));
