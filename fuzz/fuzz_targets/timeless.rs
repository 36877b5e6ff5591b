//! Formats that have no time, bare and in an envelope that lends them one.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_timeless);
