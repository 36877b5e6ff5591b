//! The combined family: nginx, Apache, lighttpd, LiteSpeed, Traefik, with and without a virtual host.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read_as(tokenwatch_fuzz::COMBINED, input));
