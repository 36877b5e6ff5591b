//! Commands in texts for the user, ready to be pasted into a shell.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::config::DEFAULT_PATH;
use crate::engine::visible::is_visible;

/// Where a line is in its log.
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

/// Returns a command of plain words, with the configuration and state of this one.
pub(super) fn command(global: &Global, words: &str) -> String {
    format!("{} {words}", program(global))
}

/// Returns the program's name with the configuration and state of this command.
fn program(global: &Global) -> String {
    call(global.config.as_deref(), global.state_dir.as_deref())
}

/// Returns the program's name with the configuration of this command and `state`, for somebody in another directory
/// with another environment. `found` lists the state directories that the program finds by itself; these are left out.
pub(super) fn from_anywhere(global: &Global, state: &Path, found: &[PathBuf]) -> String {
    // Only an empty path, or one below a deleted directory, has no absolute form.
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let config = global.config.as_deref().map(whole);
    let config = config.filter(|path| path != Path::new(DEFAULT_PATH));
    let state = Some(whole(state)).filter(|state| !found.contains(state));
    call(config.as_deref(), state.as_deref())
}

fn call(config: Option<&Path>, state: Option<&Path>) -> String {
    let mut program = "tokenwatch".to_owned();
    for (option, path) in [("--config", config), ("--state-dir", state)] {
        if let Some(path) = path {
            program += &format!(" {option} {}", quoted(path.as_os_str()));
        }
    }
    program
}

/// Quotes a word for a shell (POSIX.1-2024, Shell Command Language, 2.2 Quoting). Bytes that are unsafe on a terminal
/// become `\NNN` in dollar-single-quotes.
pub(super) fn quoted(word: &OsStr) -> String {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+:@%,".contains(b);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| is_plain(&b)) => text.to_owned(),
        Some(text) if text.chars().all(is_visible) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
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
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn commands_for_others_name_what_the_program_would_not_find_by_itself() {
        let here = std::env::current_dir().unwrap();
        let below = |name: &str| quoted(here.join(name).as_os_str());
        let found = [PathBuf::from("/var/lib/tokenwatch"), PathBuf::from("/home/u/state")];
        let cases: [(&[&str], &str, String); 6] = [
            (&[], "/var/lib/tokenwatch", String::new()),
            (&["--config", "/etc/tokenwatch/tokenwatch.toml"], "/home/u/state", String::new()),
            (&["--config", "/srv/a b.toml"], "/home/u/state", " --config '/srv/a b.toml'".into()),
            (
                &["--config", "own.toml"],
                "/home/u/state",
                format!(" --config {}", below("own.toml")),
            ),
            (&[], "/srv/state", " --state-dir /srv/state".into()),
            (
                &["--config", "/c.toml", "--state-dir", "st"],
                "st",
                format!(" --config /c.toml --state-dir {}", below("st")),
            ),
        ];
        for (typed, state, options) in cases {
            let typed = ["tokenwatch"].iter().chain(typed).chain(&["status"]);
            let global = Cli::parse_from(typed).global;
            let named = from_anywhere(&global, Path::new(state), &found);
            assert_eq!(named, format!("tokenwatch{options}"));
        }
    }

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
            assert!(quoted.chars().all(is_visible), "{quoted}");
            let script = format!("printf %s {quoted}");
            let output = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
            assert_eq!(output.stdout, word, "{quoted}");
        }
    }
}
