//! AWS' load balancers, application and classic.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(|input: &[u8]| tokenwatch_fuzz::read_as(&["alb", "elb"], input));
