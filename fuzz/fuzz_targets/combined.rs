//! The combined family: nginx, Apache, lighttpd, LiteSpeed, Traefik, with and without a virtual host.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_as(
    tokenwatch_fuzz::COMBINED,
    input
));
