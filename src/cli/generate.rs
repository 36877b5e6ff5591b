//! `completions` and `man`: made from the definition of the command line.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::print::Printer;

/// Prints the script that completes our commands in a shell.
pub(super) fn completions(printer: &mut Printer, shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tokenwatch", &mut script);
    print(printer, &script)
}

/// Prints the manual page, or writes one page a command into a directory, which is made if absent.
pub(super) fn man(printer: &mut Printer, directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
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

fn print(printer: &mut Printer, text: &[u8]) -> anyhow::Result<ExitCode> {
    printer.line(String::from_utf8_lossy(text).trim_end())?;
    printer.flush()?;
    Ok(ExitCode::SUCCESS)
}
