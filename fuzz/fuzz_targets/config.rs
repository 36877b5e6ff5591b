//! Configuration files.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_config);
