//! The scripts of `.ci`, with a `cargo` that only says what a real one would.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and runs a script in its own environment"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Has `.ci/repeat` run `lib` and `it` twice; returns whether it calls that good, and its table. `says` is the part of
/// a shell's `case` that answers for each target.
fn repeat(says: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a directory");
    let cargo = folder.path().join("cargo");
    fs::write(
        &cargo,
        format!("#!/bin/sh\n[ \"$CI\" = true ] || exit 9\ncase \"$*\" in\n*--no-run*) ;;\n{says}\nesac\n"),
    )
    .expect("a script");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = std::env::var("PATH").expect("a path");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/repeat");
    let mut command = Command::new(script);
    command.args(["2", "lib", "it"]);
    command.env("PATH", format!("{}:{path}", folder.path().display()));
    command.env("CARGO_TARGET_DIR", folder.path());
    let output = command.output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let table = text.lines().filter(|line| line.starts_with("| `"));
    (output.status.success(), table.collect::<Vec<_>>().join("\n"))
}

const LIB_IS_FINE: &str = "*--lib*) echo 'test result: ok. 9 passed' ;;";

#[test]
fn what_passes_each_time_is_good() {
    let it = "*--test=it*) echo 'test result: ok. 7 passed' ;;";
    let table = "| `lib`: all | 0 | 0 | 0 | 2 |\n| `it`: all | 0 | 0 | 0 | 2 |";
    assert_eq!(repeat(&format!("{LIB_IS_FINE}\n{it}")), (true, table.to_owned()));
}

#[test]
fn what_fails_is_named_and_no_success() {
    let it = "*--test=it*) echo 'test mail::it_comes ... FAILED'; echo 'test result: FAILED. 6 passed'; exit 101 ;;";
    let table = "| `lib`: all | 0 | 0 | 0 | 2 |\n| `it`: all | 2 | 0 | 0 | 2 |\n| `it`: `mail::it_comes` | 2 | 0 | | 2 |";
    assert_eq!(repeat(&format!("{LIB_IS_FINE}\n{it}")), (false, table.to_owned()));
}

#[test]
fn what_did_not_run_was_green() {
    let it = "*--test=it*) echo 'NOT RUN: case 48: no `strace`' >&2; echo 'test result: ok. 7 passed' ;;";
    let table = "| `lib`: all | 0 | 0 | 0 | 2 |\n| `it`: all | 0 | 2 | 0 | 2 |\n| `it`: `case 48: no strace` | 0 | 2 | | 2 |";
    assert_eq!(repeat(&format!("{LIB_IS_FINE}\n{it}")), (false, table.to_owned()));
}

#[test]
fn a_run_that_was_aborted_did_not_count() {
    let it = "*--test=it*) echo 'running 7 tests'; kill -9 $$ ;;";
    let table = "| `lib`: all | 0 | 0 | 0 | 2 |\n| `it`: all | 0 | 0 | 2 | 2 |";
    assert_eq!(repeat(&format!("{LIB_IS_FINE}\n{it}")), (false, table.to_owned()));
}

/// Has `.ci/instructions` run where there is no valgrind, and no cargo either; returns whether it calls that good, and
/// what it says.
fn instructions_without_valgrind(is_ci: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a directory");
    for program in ["bash", "dirname"] {
        let output = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        let path = String::from_utf8(output.expect("a shell").stdout).expect("a path");
        std::os::unix::fs::symlink(path.trim(), folder.path().join(program)).expect("a link");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/instructions");
    let mut command = Command::new(script);
    command.env("PATH", folder.path()).env("CI", is_ci);
    let output = command.output().expect("a shell");
    (output.status.success(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn instructions_that_ci_could_not_count_were_green() {
    let says = "instructions: valgrind is missing, and .ci/run installs it.\n";
    assert_eq!(instructions_without_valgrind("true"), (false, says.to_owned()));
    let says = "NOT RUN: instructions: valgrind is missing.\n";
    assert_eq!(instructions_without_valgrind("false"), (true, says.to_owned()));
}
