//! Amazon S3's server access log.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read("s3", input));
