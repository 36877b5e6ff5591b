//! AWS' load balancers, application and classic.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenwatch_fuzz::read_as(&["alb", "elb"], input));
