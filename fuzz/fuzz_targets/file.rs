//! A file that is searched for secrets, in any encoding.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_file);
