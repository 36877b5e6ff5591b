//! Calls the command line; nothing else happens here.

fn main() {}
