//! The error logs of nginx, Apache and lighttpd.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read_as(
    &["nginx-error", "apache-error", "lighttpd-error"],
    input
));
