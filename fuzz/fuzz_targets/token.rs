//! Names and values in every carrier, for the finder, the seal and the redaction.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_token);
