//! Commands that are named to the user, ready to be pasted into a shell.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::cli::args::Global;
use crate::cli::print::is_unsafe;

/// Where a line stands in its log.
pub(super) enum Place {
    /// Its number, counted from 1.
    Line(u64),
    /// One of its bytes, counted from 0.
    Offset(u64),
    /// Its cursor in the journal.
    Cursor(String),
}

/// Returns the command that walks a line through all steps.
pub(super) fn explain(global: &Global, path: &Path, place: &Place) -> String {
    let place = match place {
        Place::Line(number) => format!("--line {number}"),
        Place::Offset(byte) => format!("--offset {byte}"),
        Place::Cursor(cursor) => format!("--cursor {}", quoted(OsStr::new(cursor))),
    };
    format!("{} explain {} {place}", program(global), quoted(path.as_os_str()))
}

/// Returns the command that checks everything.
pub(super) fn check(global: &Global) -> String {
    format!("{} check", program(global))
}

/// The program under the configuration and state of this command.
fn program(global: &Global) -> String {
    let mut program = "tokenwatch".to_owned();
    for (option, path) in [("--config", &global.config), ("--state-dir", &global.state_dir)] {
        if let Some(path) = path {
            program += &format!(" {option} {}", quoted(path.as_os_str()));
        }
    }
    program
}

/// Returns a word as a shell reads it (POSIX.1-2024, Shell Command Language, 2.2 Quoting). What would not
/// survive being shown on a terminal stands as `\NNN` in dollar-single-quotes.
pub(super) fn quoted(word: &OsStr) -> String {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+:@%,".contains(b);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| is_plain(&b)) => text.to_owned(),
        Some(text) if !text.contains(is_unsafe) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut shown = "$'".to_owned();
            for byte in word.as_bytes() {
                match byte {
                    byte if is_plain(byte) => shown.push(char::from(*byte)),
                    byte => write!(shown, "\\{byte:03o}").unwrap_or_default(),
                }
            }
            shown + "'"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_every_word() {
        let words: [&[u8]; 8] = [
            b"/var/log/nginx/access.log",
            b"",
            b"a b",
            b"it's",
            b"$(id) `id` \"x\" \\ !*?[~#&;|<>",
            "Zugriffe-Süd.log".as_bytes(),
            b"a\nb\x1b[2Jc1",
            b"\xff\xfe0",
        ];
        for word in words {
            let quoted = quoted(OsStr::from_bytes(word));
            assert!(!quoted.contains(is_unsafe), "{quoted}");
            let script = format!("printf %s {quoted}");
            let output = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
            assert_eq!(output.stdout, word, "{quoted}");
        }
    }
}
