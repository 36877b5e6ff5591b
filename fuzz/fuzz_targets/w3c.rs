//! Lines under columns that lines above them name.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read_as(&["w3c", "auto"], input));
