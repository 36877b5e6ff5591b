//! Lines as given, and in the envelopes of syslog, containers, journals and terminals.

#![cfg_attr(feature = "libfuzzer-sys", no_main)]

tokenwatch_fuzz::target!(tokenwatch_fuzz::read_enveloped);
