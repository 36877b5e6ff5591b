//! The error logs of nginx, Apache and lighttpd.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_as(
    &["nginx-error", "apache-error", "lighttpd-error"],
    input
));
