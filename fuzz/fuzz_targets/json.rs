//! JSON: all dialects share a parser; once more with keys that a site names.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_json);
