//! Calls the command line; nothing else happens here.

use std::process::ExitCode;

/// One thread reads, another one judges, and a third one commits and frees the memory, which glibc's allocator handles
/// slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tokenwatch::cli::run()
}
