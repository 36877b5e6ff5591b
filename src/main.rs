//! Calls the command line, once a crash can leave nothing behind; nothing else happens here.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One thread reads, another one judges, and a third one commits and frees the memory, which glibc's allocator handles
/// slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leave_no_core();
    tokenwatch::cli::run()
}

/// Has a crash leave no core file: it would contain tokens as they stand in the logs.
///
/// The limit is one byte. A file needs a page, so it is as good as none, and at this very limit the kernel starts no
/// handler either that `core_pattern` names behind a `|` (fs/coredump.c), which at 0 it does. A process without
/// `PR_SET_DUMPABLE` leaves none as well, but hides its files in /proc from its own user.
fn leave_no_core() {
    let most = Some(getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1)));
    // Nobody is refused a lower limit.
    setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).ok();
}
