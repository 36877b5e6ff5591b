//! `completions` and `man`, generated from the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::print::Printer;

/// Prints the completion script of a shell.
pub(super) fn completions(printer: &mut Printer, shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tokenwatch", &mut script);
    print(printer, &script)
}

/// Prints the manual page, or writes one page per command to a directory, which is created if absent.
pub(super) fn man(printer: &mut Printer, directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut command = without_help(Cli::command());
    command.build();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return print(printer, &page);
    };
    let doing = || format!("writing manual pages into {}", directory.display());
    fs::create_dir_all(directory).with_context(doing)?;
    clap_mangen::generate_to(command, directory).with_context(doing)?;
    Ok(ExitCode::SUCCESS)
}

/// Removes the `help` of each command: a page on `help show` repeats the page on `show`.
fn without_help(command: Command) -> Command {
    let names = command.get_subcommands().map(|of| of.get_name().to_owned()).collect::<Vec<_>>();
    let command = command.disable_help_subcommand(true);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_help))
}

fn print(printer: &mut Printer, text: &[u8]) -> anyhow::Result<ExitCode> {
    printer.line(String::from_utf8_lossy(text).trim_end())?;
    printer.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_about_help() {
        let mut command = without_help(Cli::command());
        command.build();
        let alerts = command.find_subcommand("alerts").unwrap();
        assert!(
            alerts.find_subcommand("ack").is_some() && alerts.find_subcommand("help").is_none()
        );
        assert!(command.find_subcommand("help").is_none());
    }
}
