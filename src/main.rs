//! Calls the command line; nothing else happens here.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenwatch::cli::run()
}
