//! The command line: one file per command, and the parts that they share.

mod accounting;
mod advice;
mod alerts;
mod alike;
pub mod args;
mod audit;
mod backup;
mod check;
mod choice;
mod country;
pub mod exit;
mod explain;
mod forget;
mod generate;
mod grouped;
mod headings;
mod health;
mod history;
mod lines;
mod lives;
mod mails;
mod parse;
mod permit;
pub mod print;
mod registering;
mod registries;
pub mod registry;
mod rekey;
mod replay;
mod rules;
mod run;
mod sample;
mod scan;
mod scanned;
mod scopes;
mod scrub;
mod several;
mod state;
mod status;
pub mod table;
mod test_mail;
mod tokens;
mod unseen;
mod used;
pub mod when;
mod who;

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Alerts, Cli, Command, Global, Tokens, When};
use crate::cli::print::Printer;
use crate::cli::registry::BadRows;
use crate::config::{Colour, Config, Fault, Faults};
use crate::daemon::{
    self,
    site::{DATABASE, Site},
};
use crate::deliver::render::Host;
use crate::store::StoreError;
use crate::telemetry;

/// The state directory of root, and therefore of the system service.
const ROOT_STATE: &str = "/var/lib/tokenwatch";

/// Runs the command that the command line names and returns the exit status.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => Cli { global: completed(cli.global), ..cli },
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    start_logging(&cli.global);
    let color = cli.global.color;
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            report(&error, color);
            ExitCode::from(exit::of(&error))
        }
    }
}

/// What every command works with.
struct Context {
    site: Site,
    printer: Printer,
    /// As typed, for the commands that texts tell the user to run.
    global: Global,
    /// The first fault of the configuration, if this command works all the same.
    faulty: Option<String>,
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    let mut printer = Printer::new(global.color, global.json);
    let on = |(site, faulty), printer, act: &mut dyn FnMut(&mut Context) -> _| {
        let mut context = Context { site, printer, global: global.clone(), faulty };
        let code = act(&mut context)?;
        context.printer.flush()?;
        Ok(code)
    };
    let on_site =
        |printer, act: &mut dyn FnMut(&mut Context) -> _| on((load(&global)?, None), printer, act);
    let on_state =
        |printer, act: &mut dyn FnMut(&mut Context) -> _| on(load_to_show(&global)?, printer, act);
    match command {
        // These work even if the configuration is faulty.
        Command::Completions { shell } => generate::completions(&mut printer, shell),
        Command::Man { directory } => generate::man(&mut printer, directory.as_deref()),
        Command::Check => {
            let (site, faults) = draft(&global);
            check::run(&mut printer, site.as_ref(), &faults, &global)
        }
        Command::Run(options) => on_site(printer, &mut |at| run::run(at, &options)),
        Command::Replay(options) => on_site(printer, &mut |at| replay::run(at, &options)),
        Command::Parse(options) => on_site(printer, &mut |at| parse::run(at, &options)),
        Command::Explain(options) => on_site(printer, &mut |at| explain::run(at, &options)),
        Command::Tokens(options @ (Tokens::List(_) | Tokens::Show { .. })) => {
            on_state(printer, &mut |at| tokens::run(at, &options))
        }
        Command::Tokens(options) => on_site(printer, &mut |at| tokens::run(at, &options)),
        Command::History(options) => on_state(printer, &mut |at| history::run(at, &options)),
        Command::Who(options) => on_state(printer, &mut |at| who::run(at, &options)),
        Command::Scan(options) => on_state(printer, &mut |at| scan::run(at, &options)),
        Command::Alerts(options @ (Alerts::List(_) | Alerts::Show { .. })) => {
            on_state(printer, &mut |at| alerts::run(at, &options))
        }
        Command::Alerts(options) => on_site(printer, &mut |at| alerts::run(at, &options)),
        Command::Audit(options) => on_state(printer, &mut |at| audit::run(at, &options)),
        Command::Rules(options) => on_site(printer, &mut |at| rules::run(at, &options)),
        Command::Status(options) => on_state(printer, &mut |at| status::run(at, &options)),
        Command::TestMail => on_site(printer, &mut test_mail::run),
    }
}

/// The variable that names the configuration if the command line does not.
const CONFIG_VARIABLE: &str = "TOKENWATCH_CONFIG";

/// Adds the settings of the environment to the typed options. An empty variable counts as unset.
fn completed(global: Global) -> Global {
    if global.config.is_some() {
        return global;
    }
    let config = variable(CONFIG_VARIABLE);
    Global { config_variable: config.is_some().then_some(CONFIG_VARIABLE), config, ..global }
}

/// Reads the configuration that the command line names.
fn load(global: &Global) -> Result<Site, Faults> {
    let site = Site::load(global.config.as_deref(), global.state_dir.clone(), default_state);
    site.map_err(|faults| traced(global, faults))
}

/// Reads the configuration for a command that only shows the state: a daemon runs on with its old configuration when
/// the new one is faulty, and what it found must be visible. The faults become a warning, of which the first is
/// returned, if it is known where the state is.
fn load_to_show(global: &Global) -> Result<(Site, Option<String>), Faults> {
    let (site, faults) = draft(global);
    let is_known = |site: &Site| {
        global.state_dir.is_some() || site.config.state_dir.is_some() || faults.is_empty()
    };
    let site = match (site, &global.state_dir) {
        (Some(site), _) if is_known(&site) => site,
        (None, Some(state)) if is_text(&faults) => {
            Site { config: Config::default(), state: state.clone(), is_mailing: true }
        }
        _ if !is_text(&faults) => return Err(faults),
        _ => {
            suggest_state_dir();
            return Err(faults);
        }
    };
    let first = faults.iter().next().map(ToString::to_string);
    first.iter().for_each(|first| warn_of(first, faults.iter().count(), &site));
    Ok((site, first))
}

/// Says how to see the state although the configuration does not tell where it is.
fn suggest_state_dir() {
    let state = advice::quoted(default_state().as_os_str());
    print::say(format_args!(
        "tokenwatch: what is in the state can be shown all the same: add --state-dir DIR, usually {state}"
    ));
}

/// Says that the configuration is faulty, and which state is shown.
fn warn_of(first: &str, n_faults: usize, site: &Site) {
    let more = match n_faults.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {} more: `tokenwatch check`)", print::number(more as u64)),
    };
    print::warn(format_args!(
        "the configuration is faulty: {}{more}; this is the state in {}",
        print::safe(first),
        print::safe(site.state.display().to_string())
    ));
}

/// Returns whether all faults are in what was read: a file that is not there is another mistake.
fn is_text(faults: &Faults) -> bool {
    faults.iter().all(|fault| fault.span.line_and_column().is_some())
}

/// Reads as much of the configuration as can be understood, and returns all its faults.
fn draft(global: &Global) -> (Option<Site>, Faults) {
    let (site, faults) =
        Site::draft(global.config.as_deref(), global.state_dir.clone(), default_state);
    (site, traced(global, faults))
}

/// Adds to the fault of a file that cannot be read, and that nobody typed, the variable that its name comes from.
fn traced(global: &Global, faults: Faults) -> Faults {
    let Some(variable) = global.config_variable else { return faults };
    let add = |fault: Fault| {
        if fault.span.line_and_column().is_some() {
            return fault;
        }
        let more = format!("{variable} names the configuration");
        let hint = if fault.hint.is_empty() { more } else { format!("{}; {more}", fault.hint) };
        Fault { hint, ..fault }
    };
    faults.into_iter().map(add).collect()
}

/// Returns the directory of systemd's credentials (systemd.exec(5), LoadCredential=).
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn start_logging(global: &Global) {
    let steps = i8::try_from(global.verbose).unwrap_or(2) - i8::try_from(global.quiet).unwrap_or(2);
    telemetry::init(global.log_format, steps, global.log_filter.as_deref());
}

/// Returns the default state directory: the one that systemd made for the service, else the user's.
fn default_state() -> PathBuf {
    service_state().unwrap_or_else(user_state)
}

/// Returns the directory that systemd made for the service (`StateDirectory=` of systemd.exec(5)).
fn service_state() -> Option<PathBuf> {
    variable("STATE_DIRECTORY")
}

/// Returns the default state directory of a program started by hand: the system's for root, else the user's (XDG base
/// directories).
fn user_state() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from(ROOT_STATE);
    }
    let home = || variable("HOME").unwrap_or_default().join(".local/state");
    variable("XDG_STATE_HOME").unwrap_or_else(home).join("tokenwatch")
}

/// Returns the path in a variable. An empty variable counts as unset (XDG base directories).
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name);
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns what mails say about this host. The commands in the mails of a service are for root.
fn host(global: &Global, site: &Site) -> Host {
    let root = service_state().map(|_| PathBuf::from(ROOT_STATE));
    let found = site.config.state_dir.clone().map_or_else(
        || root.into_iter().chain([user_state()]).collect(),
        |configured| vec![configured],
    );
    Host { name: daemon::run::host(), program: advice::from_anywhere(global, &site.state, &found) }
}

/// Reports an error on standard error. A closed pipe is not reported.
fn report(error: &anyhow::Error, color: When) {
    if exit::of(error) == 0 {
        return;
    }
    let mut stderr = anstream::stderr();
    if let Some(faults) = error.chain().find_map(|cause| cause.downcast_ref::<Faults>()) {
        let is_coloured = match color {
            When::Auto => io::stderr().is_terminal(),
            When::Always => true,
            When::Never => false,
        };
        let colour = if is_coloured { Colour::Ansi } else { Colour::None };
        writeln!(stderr, "{}", faults.render(colour, usize::from(table::width()))).ok();
        return;
    }
    if let Some(rows) = error.chain().find_map(|cause| cause.downcast_ref::<BadRows>()) {
        rows.lines().for_each(|line| {
            writeln!(stderr, "{}", print::safe(line)).ok();
        });
    }
    writeln!(stderr, "tokenwatch: {}", print::safe(sentence(error))).ok();
}

/// Returns an error with its causes, each once: an adapter's error may already end with its cause. Then what helps, if
/// only commands have to say so.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&format!(": {cause}")) {
            text = format!("{text}: {cause}");
        }
    }
    if error.chain().any(is_damage) {
        text.push_str("; the daemon's next start restores the backup, or starts over without one");
    }
    text
}

/// Returns whether an error is that the database itself is damaged, and no copy of it.
fn is_damage(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Corrupt { path, .. }) if path.ends_with(DATABASE))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_cause_that_an_error_names_is_said_once() {
        let (path, doing) = (PathBuf::from("/s/tokenwatch.db"), "opening");
        let source = io::Error::other("no room");
        let error = anyhow::Error::new(StoreError::File { path, doing, source });
        assert_eq!(
            sentence(&error.context("starting")),
            "starting: /s/tokenwatch.db: opening: no room"
        );
    }

    #[test]
    fn whoever_finds_the_database_damaged_is_told_what_helps() {
        let said = |path: &str| {
            let (path, detail) = (PathBuf::from(path), "no database".to_owned());
            sentence(&StoreError::Corrupt { path, doing: "opening", detail }.into())
        };
        assert_eq!(
            said("/s/tokenwatch.db"),
            "/s/tokenwatch.db: opening: the database is damaged: no database; the daemon's next start restores the \
             backup, or starts over without one"
        );
        assert!(!said("/s/tokenwatch.db.backup.partial").contains("next start"));
    }
}
