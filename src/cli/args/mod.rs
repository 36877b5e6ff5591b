//! The command line as it is typed: commands, options, help.

mod alerts;
mod audit;
mod parsers;
mod scan;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use smol_str::SmolStr;

pub use alerts::{Alerts, AlertsAck, AlertsList, AlertsMute};
pub use audit::Audit;
pub use scan::Scan;

use crate::cli::choice;
use crate::engine::alert::Level;
use crate::engine::record::Format;
use crate::store::Whence;
use crate::telemetry::LogFormat;

/// Watches server logs for API tokens used in unusual ways, and mails what it finds.
#[derive(Debug, Parser)]
#[command(name = "tokenwatch", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Begin with: tokenwatch replay /var/log/nginx/access.log*\n\
    Exit status: 0 success; 1 alert found (replay --fail-on), finding made (audit --fail-on), secret found (scan), \
    unhealthy (status --check) or faulty rule (rules check, rules test); 2 usage; 70 failure; 75 another process holds \
    the state; 78 configuration.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that may be given before or after the command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Read this configuration file [default: `$TOKENWATCH_CONFIG`, else /etc/tokenwatch/tokenwatch.toml if it
    /// exists].
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The variable that names the configuration if the command line does not. Clap would take an empty one for an
    /// option without a value.
    #[arg(skip)]
    pub config_variable: Option<&'static str>,
    /// Keep the database and the key in this directory [default: as configured, else /var/lib/tokenwatch for root,
    /// else your XDG state directory].
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Print JSON, one object per line.
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: When,
    /// Log more; -vv for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log less; -qq for errors only.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Format of log messages.
    #[arg(long, value_name = "FORMAT", global = true, default_value = "auto")]
    pub log_format: LogFormat,
    /// Which log messages to show, by module, as `tracing` filters do.
    #[arg(long, value_name = "FILTER", global = true, env = "TOKENWATCH_LOG", hide = true)]
    pub log_filter: Option<String>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a directory contains, by the rules of `source::discover`.
const LOGS_OF_DIRECTORIES: &str = "\
A directory stands for the logs in it and in its subdirectories: files whose names contain .log or access, or end in .json, .jsonl, \
.ndjson, .txt or .out, plus whatever rotation and compression append (.1, -20260101, .gz, ...). Hidden files and README* are skipped, and \
links to directories are not followed. A file given by name or matched by a pattern is read whatever its name.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow logs and raise alerts: the daemon.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Run(Run),
    /// Read old logs as if they were live.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Replay(Replay),
    /// Show how each line is parsed.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Parse(Lines),
    /// Walk lines through every step: the last 20, all with -v, or those that --line, --offset or --cursor select.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Explain(Lines),
    /// Check the configuration, formats, rules, GeoIP data and permissions.
    Check,
    /// Show, register and mark tokens.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Show what a token did.
    History(History),
    /// Show which tokens were used from an address, a network, an operator or a country. Unknown tokens that the server
    /// refused are not kept.
    Who(Who),
    /// Find known tokens, and what has the shape of one, in code, configuration and git history.
    #[command(after_help = scan::ABOUT_SCAN)]
    Scan(Scan),
    /// Show, acknowledge and mute alerts.
    #[command(subcommand)]
    Alerts(Alerts),
    /// Show what is to be mended about tokens: leaked or dead ones that are accepted, tokens in URLs, without expiry,
    /// overdue, unused, unregistered.
    ///
    /// Each token has a list of findings; those of one principal that nobody registered are audited as one. Tokens of
    /// which nothing is known but that nobody registered or uses them are counted, but not listed, unless --finding
    /// asks for them; --json without -n prints them, too.
    #[command(after_long_help = audit::findings())]
    Audit(Audit),
    /// Show, check and test rules.
    #[command(subcommand)]
    Rules(Rules),
    /// Show how the daemon is doing.
    Status(Status),
    /// Send a test mail through the configured server.
    TestMail,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page per command to a directory.
    Man {
        /// Directory for the pages.
        directory: Option<PathBuf>,
    },
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Follow these files, or the logs in these directories, instead of the configured sources, and print alerts
    /// instead of mailing them. They are read from their start, as if all their lines came now: for old ones, use
    /// `replay`. A log that a configured source names is read as that source says.
    #[arg(value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Mail the alerts about PATH, too.
    #[arg(long, requires = "files")]
    pub mail: bool,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Files, patterns, or directories of logs; - is standard input. Compressed logs are read too (.gz, .zst, .bz2,
    /// .xz).
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Read every line in this format instead of detecting it.
    #[arg(long, value_name = "FORMAT", long_help = formats("Read every line in this format instead of detecting it"))]
    pub format: Option<String>,
    /// Read every file like this log: with the format, time zone, trusted proxies and service of the configured source
    /// that names it. For old files elsewhere and for standard input; journal:UNIT stands for a unit's source.
    #[arg(long = "as", value_name = "LOG", conflicts_with = "format")]
    pub like: Option<PathBuf>,
    /// Keep what was learned, so that a new installation has baselines before its first day.
    #[arg(long)]
    pub save: bool,
    /// Import this registry (CSV or JSON lines) on top of what is registered in the state: for this run only, or for
    /// good with --save [default: without --save, each registry.csv in the directories].
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,
    /// Exit with status 1 if there is an alert of this level or above.
    #[arg(long, value_name = "LEVEL", value_parser = parsers::level)]
    pub fail_on: Option<Level>,
}

/// Options of `parse` and `explain`.
#[derive(Debug, Args)]
pub struct Lines {
    /// Files, compressed ones too, or directories of logs; standard input if none or -; journal:UNIT for the unit's
    /// last messages.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A preset such as nginx-combined, or an nginx `log_format` or Apache `LogFormat` in quotes.
    #[arg(long, value_name = "FORMAT", long_help = formats("Read lines in this format instead of detecting it"))]
    pub format: Option<String>,
    /// Read lines like those of this log, with all settings of the configured source that names it.
    #[arg(long = "as", value_name = "LOG", conflicts_with = "format")]
    pub like: Option<PathBuf>,
    /// Only this line, counted from 1, or this range: 10..20 (inclusive), 10..
    #[arg(long, value_name = "N", value_parser = choice::numbers)]
    pub line: Option<RangeInclusive<u64>>,
    /// Only the line at this byte offset, as alerts give it; in a compressed log, an offset in the uncompressed text.
    #[arg(long, value_name = "BYTE", conflicts_with = "line")]
    pub offset: Option<u64>,
    /// Only the message of journal:UNIT with this cursor.
    #[arg(long, conflicts_with_all = ["line", "offset"])]
    pub cursor: Option<String>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// For health checks: exit with status 1 unless the daemon is running and has no current problem. Bytes lost and
    /// wrong timestamps in the past do not count.
    #[arg(long)]
    pub check: bool,
}

/// `tokens ...`
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// List tokens, the most recently used first.
    List(TokensList),
    /// Show one token.
    Show {
        /// A name, an id or its first characters, or - to read the secret from standard input.
        token: String,
    },
    /// Register a token; its secret is read from standard input.
    Add(TokensAdd),
    /// Register tokens from a CSV or JSON-lines file.
    ///
    /// Columns that the file does not have keep their values. An empty cell clears its column; the output names each
    /// leak, revocation, rotation or decoy mark that this undid.
    Import {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Change registry columns of a token: tokens set NAME owner=ops expires_at=2027-01-01
    ///
    /// An empty value clears its column, which undoes a mark: `leaked_at= revoked_at= decoy=`. To mark a token as
    /// rotated, name its successor with `rotated_to=`, and give `rotated_at=TIME` if that was not just now;
    /// `rotated_at= rotated_to=` undoes it.
    Set(TokensSet),
    /// Mark a token as revoked and alert on any later use. Reports whether it was used since.
    ///
    /// To undo: `tokens set TOKEN revoked_at=`
    Revoke(TokensMark),
    /// Mark a token as leaked and alert on any later use. Reports whether it was used since.
    ///
    /// To undo: `tokens set TOKEN leaked_at=`
    Leak(TokensMark),
    /// Mark a token as a decoy and alert on any use.
    ///
    /// To undo: `tokens set TOKEN decoy=`
    Decoy(TokensMark),
    /// Delete everything known about a token or principal: profile, history, alerts and registry rows.
    ///
    /// Without --yes, only reports what would be deleted. Its marks are deleted too: later use of a token that was
    /// revoked or leaked is no longer an alert for that.
    Forget {
        /// A name, an id or its first characters, or - to read the secret from standard input.
        token: String,
        /// If several tokens share the name, delete all of them.
        #[arg(long)]
        all: bool,
        /// Delete it.
        #[arg(long)]
        yes: bool,
    },
    /// Replace the seal key once somebody else may have it: every secret gets a new id.
    ///
    /// Without --yes, only reports what that costs; the daemon must be stopped. Profiles under a name continue; history
    /// and alerts of tokens stay under their old ids; tokens must be registered again from their secrets. The old key
    /// is kept as seal.key.old.
    Rekey {
        /// Replace it.
        #[arg(long)]
        yes: bool,
    },
    /// Print the id of a secret read from standard input.
    Id {
        /// Always -: secrets do not belong on a command line.
        #[arg(default_value = "-", value_parser = ["-"])]
        from: String,
    },
}

/// Options of `tokens list`.
#[derive(Debug, Args)]
pub struct TokensList {
    /// Only tokens with this text in their name, owner, principal, kind or hint, or at the beginning of their id.
    pub text: Option<SmolStr>,
    /// Only tokens in this state: active, expired, revoked, rotated, leaked, decoy, unregistered.
    #[arg(long)]
    pub state: Option<String>,
    /// Only tokens used since this time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only tokens not used since this time, such as 90d; of those never used, only those registered before it. Expired
    /// ones only with `--state expired`.
    #[arg(long, value_name = "TIME")]
    pub unused: Option<String>,
    /// Only valid tokens that expire, or are to be revoked or rotated, by this time, such as 30d from now.
    #[arg(long, value_name = "TIME")]
    pub expiring: Option<String>,
    /// List each token. Without --each, those that one JWT subject, user or AWS key has in one state, and that are not
    /// registered one by one, have one line. JSON has each in any case.
    #[arg(long)]
    pub each: bool,
    /// List at most this many.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub limit: u32,
}

/// Options of `tokens add`.
#[derive(Debug, Args)]
pub struct TokensAdd {
    /// The principal's name; several tokens may share it.
    pub name: SmolStr,
    /// Read the secret from this file instead of standard input.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Other registry columns with their values. `scopes` takes permissions (`read`, `write`, `/v1/items/*`,
    /// `GET:/v1/items`), beyond which a use is an alert, and labels, which are only shown:
    /// `scopes="read;POST:/graphql;billing"`
    #[arg(value_name = "COLUMN=VALUE")]
    pub columns: Vec<String>,
}

/// Options of `tokens set`.
#[derive(Debug, Args)]
pub struct TokensSet {
    /// A name, an id or its first characters, or - to read the secret from standard input.
    pub token: String,
    /// Registry columns with their new values.
    #[arg(value_name = "COLUMN=VALUE", required = true)]
    pub columns: Vec<String>,
    /// Mean the principal of that token, such as the user of a JWT.
    #[arg(long)]
    pub principal: bool,
    /// Allow columns of a single token (`expires_at`, `revoked_at`, ...) to be set on every token of that name.
    #[arg(long)]
    pub all: bool,
}

/// Options of `tokens revoke`, `leak`, `decoy`.
#[derive(Debug, Args)]
pub struct TokensMark {
    /// A name, an id or its first characters, or - to read the secret from standard input.
    pub token: String,
    /// When it happened [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Why, where, who.
    #[arg(long, default_value = "")]
    pub note: String,
    /// Mark the principal of that token, such as the user of a JWT: all its tokens, and those issued from now on.
    #[arg(long)]
    pub principal: bool,
    /// If several tokens share the name, mark every one that is not marked yet. Without --all there must be exactly
    /// one.
    #[arg(long)]
    pub all: bool,
}

/// Options of `who`.
#[derive(Debug, Args)]
pub struct Who {
    /// An address, a network such as 203.0.113.0/24, an operator such as AS64500, or a country such as NG.
    #[arg(value_name = "ADDRESS|NETWORK|AS|COUNTRY", value_parser = parsers::whence)]
    pub whence: Whence,
    /// Only use from this time on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only use before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// List at most this many principals.
    #[arg(long, short = 'n', default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// A name, an id or its first characters, or - to read the secret from standard input.
    pub token: String,
    /// Show all tokens of the principal of that token, such as the user of a JWT.
    #[arg(long)]
    pub principal: bool,
    /// Only from this time on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `rules ...`
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// List the rules in force and where each comes from.
    List,
    /// Show the text of a rule in force.
    Show {
        /// Its name.
        name: String,
    },
    /// Check rule files, or the rules in force if none are given.
    Check {
        /// Rule files, or directories of them.
        #[arg(value_name = "PATH")]
        files: Vec<PathBuf>,
    },
    /// Run the examples of rule files, or of the rules in force if none are given.
    Test {
        /// Rule files, or directories of them.
        #[arg(value_name = "PATH")]
        files: Vec<PathBuf>,
    },
}

/// Returns the help of `--format`, with all presets.
fn formats(what: &str) -> String {
    let width = Format::presets().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = Format::presets().map(|(name, reads)| format!("- {name:width$}  {reads}"));
    let rows: Vec<String> = rows.collect();
    let others = Format::aliases().map(|(name, preset)| format!("{name} ({preset})"));
    let others: Vec<String> = others.collect();
    format!(
        "{what}: an nginx `log_format` or Apache `LogFormat` in quotes, or a preset:\n\n{}\n\nOther names: {}",
        rows.join("\n"),
        others.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_a_format_lists_every_preset() {
        for command in ["parse", "explain", "replay"] {
            let help = Cli::try_parse_from(["tokenwatch", command, "--help"]).unwrap_err();
            let help = help.to_string();
            for (name, _) in Format::presets() {
                assert!(help.contains(&format!("- {name} ")), "{command}: {name}");
            }
            let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("nginx-main (nginx-combined)"), "{command}: {words}");
        }
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["tokenwatch", "status", "--json", "--state-dir", "/s"]);
        assert!(cli.global.json);
        assert_eq!(cli.global.state_dir, Some("/s".into()));
    }
}
