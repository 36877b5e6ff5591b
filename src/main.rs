//! Calls the command line; nothing else happens here.

use std::process::ExitCode;

/// What one thread reads another one judges and a third one commits and frees, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tokenwatch::cli::run()
}
