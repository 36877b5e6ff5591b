//! Calls the command line, once a crash can leave nothing behind; nothing else happens here.

use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

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
/// handler either that `core_pattern` names behind a `|` (fs/coredump.c), which at 0 it does. Only who was given a
/// limit of 0 without the right to raise it is refused this one, and gives up `PR_SET_DUMPABLE` for it: then the kernel
/// dumps nothing, but hides the process's files in /proc from its own user.
fn leave_no_core() {
    let one = Some(1);
    if setrlimit(Resource::Core, Rlimit { current: one, maximum: one }).is_err() {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    }
}
