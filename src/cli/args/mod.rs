//! The command line as it is typed: commands, options, help.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use smol_str::SmolStr;

use crate::cli::choice;
use crate::cli::country::unknown;
use crate::engine::alert::Level;
use crate::engine::geo::Country;
use crate::engine::mute::Scope;
use crate::engine::record::Format;
use crate::telemetry::LogFormat;

/// Watches server logs for API tokens used in unusual ways, and mails what it finds.
#[derive(Debug, Parser)]
#[command(name = "tokenwatch", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Begin with: tokenwatch replay /var/log/nginx/access.log*\n\
    Exit status: 0 success; 1 alert found (replay --fail-on), unhealthy (status --check) or faulty rule (rules check, \
    rules test); 2 usage; 70 failure; 75 another process holds the state; 78 configuration.")]
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
    /// Show, acknowledge and mute alerts.
    #[command(subcommand)]
    Alerts(Alerts),
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
    /// Follow these files, or the logs in these directories, instead of the configured sources, and print alerts.
    #[arg(value_name = "PATH")]
    pub files: Vec<PathBuf>,
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
    /// Read every file like this log: with the format, time zone, trusted proxies and service of the configured source that
    /// names it. For old files elsewhere and for standard input; journal:UNIT stands for a unit's source.
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
    #[arg(long, value_name = "LEVEL", value_parser = level)]
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
    Set {
        /// A name, an id or its first characters, or - to read the secret from standard input.
        token: String,
        /// Registry columns with their new values.
        #[arg(value_name = "COLUMN=VALUE", required = true)]
        columns: Vec<String>,
        /// Allow columns of a single token (`expires_at`, `revoked_at`, ...) to be set on every token of that name.
        #[arg(long)]
        all: bool,
    },
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
    /// Other registry columns with their values.
    #[arg(value_name = "COLUMN=VALUE")]
    pub columns: Vec<String>,
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
    /// If several tokens share the name, mark every one that is not marked yet. Without --all there must be exactly
    /// one.
    #[arg(long)]
    pub all: bool,
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// A name, an id or its first characters, or - to read the secret from standard input.
    pub token: String,
    /// Only from this time on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `alerts ...`
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// List alerts, newest first.
    List(AlertsList),
    /// Show an alert or incident with all its evidence.
    Show {
        /// The id of an alert or incident, or its first characters.
        id: String,
    },
    /// Say whether an alert or incident was expected or misuse; the baseline learns from it.
    Ack(AlertsAck),
    /// Do not mail alerts of a rule, principal, network, country, client or route, or of a combination of these;
    /// without options, list the mutes in force.
    Mute(AlertsMute),
    /// End a mute.
    Unmute {
        /// Its number, as `alerts mute` lists it.
        #[arg(value_parser = mute)]
        id: i64,
    },
}

/// Options of `alerts list`.
#[derive(Debug, Args)]
pub struct AlertsList {
    /// Only from this time on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only this level and above.
    #[arg(long, value_parser = level)]
    pub level: Option<Level>,
    /// Only alerts of this rule.
    #[arg(long)]
    pub rule: Option<SmolStr>,
    /// Only alerts about this principal.
    #[arg(long)]
    pub principal: Option<SmolStr>,
    /// Only alerts that are not acknowledged.
    #[arg(long)]
    pub open: bool,
    /// List at most this many.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub limit: u32,
}

/// Options of `alerts ack`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true)))]
pub struct AlertsAck {
    /// The ids of alerts or incidents, or their first characters.
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// It was legitimate: the actor is learned and no longer reported.
    #[arg(long, group = "verdict")]
    pub expected: bool,
    /// It was misuse: the actor is forgotten, never learned, and watched for 30 days.
    #[arg(long, group = "verdict")]
    pub confirmed: bool,
    /// A note. Without this option an earlier note is kept; an empty one removes it.
    #[arg(long)]
    pub note: Option<String>,
}

/// Options of `alerts mute`.
#[derive(Debug, Args)]
pub struct AlertsMute {
    /// Alerts of this rule.
    #[arg(long)]
    pub rule: Option<SmolStr>,
    /// Alerts about this principal.
    #[arg(long)]
    pub principal: Option<SmolStr>,
    /// Alerts from this network: AS64500.
    #[arg(long, value_name = "AS", value_parser = network)]
    pub network: Option<u32>,
    /// Alerts from this country: DE.
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub country: Option<Country>,
    /// Alerts about this client, as alerts name it: curl.
    #[arg(long, value_name = "NAME")]
    pub client: Option<SmolStr>,
    /// Alerts about this method and route, as alerts name it: "GET /v1/items/{id}".
    #[arg(long, value_parser = route)]
    pub route: Option<SmolStr>,
    /// For how long: 8h, 30d [default: 30d].
    #[arg(long = "for", value_name = "DURATION")]
    pub lasting: Option<String>,
    /// Until `alerts unmute` ends it.
    #[arg(long, conflicts_with = "lasting")]
    pub forever: bool,
    /// Why; required to mute.
    #[arg(long)]
    pub reason: Option<SmolStr>,
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
        /// Rule files.
        files: Vec<PathBuf>,
    },
    /// Run the examples of rule files, or of the rules in force if none are given.
    Test {
        /// Rule files.
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

fn level(name: &str) -> Result<Level, String> {
    Level::parse(name).ok_or_else(|| {
        let names = Level::ALL.map(Level::as_str).join(", ");
        format!("expected one of {names}")
    })
}

fn mute(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected the number of a mute, as `alerts mute` lists it".to_owned())
}

fn network(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    let number = number.parse().ok().filter(|number| 0 < *number);
    number.ok_or_else(|| "expected an autonomous system such as AS64500".to_owned())
}

fn country(text: &str) -> Result<Country, String> {
    let code = Country::parse(&text.to_ascii_uppercase());
    let code = code.ok_or("expected a country code of two letters such as DE")?;
    unknown(code).map_or(Ok(code), Err)
}

fn route(text: &str) -> Result<SmolStr, String> {
    let why = "expected a method and a path as alerts name them, such as \"GET /v1/items/{id}\"";
    Scope::is_route(text).then(|| text.into()).ok_or_else(|| why.to_owned())
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
    fn a_mute_of_a_country_that_does_not_exist_muted_nothing() {
        assert_eq!(country("gb"), Ok(Country::parse("GB").unwrap()));
        let gb = "no country has the code UK: the United Kingdom is GB";
        assert_eq!(country("uk"), Err(gb.to_owned()));
        assert!(country("XX").is_err() && country("DEU").is_err());
    }

    #[test]
    fn a_mute_that_is_no_number_was_an_invalid_digit() {
        assert_eq!((mute("7"), mute("-7")), (Ok(7), Ok(-7)));
        assert!(mute("xx").is_err_and(|why| why.starts_with("expected the number of a mute")));
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["tokenwatch", "status", "--json", "--state-dir", "/s"]);
        assert!(cli.global.json);
        assert_eq!(cli.global.state_dir, Some("/s".into()));
    }
}
