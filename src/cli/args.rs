//! The command line as it is typed: commands, options, help.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use smol_str::SmolStr;

use crate::cli::choice;
use crate::engine::alert::Level;
use crate::engine::geo::Country;
use crate::engine::mute::Scope;
use crate::engine::record::Format;
use crate::telemetry::LogFormat;

/// Watches server logs for API tokens used in unusual ways, and mails what it finds.
#[derive(Debug, Parser)]
#[command(name = "tokenwatch", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Begin with: tokenwatch replay /var/log/nginx/access.log*\n\
    Exit status: 0 fine; 1 the asked-for condition holds; 2 usage; 70 failed; 75 another daemon holds \
    the state; 78 configuration.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that may stand before or after the command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Read this configuration [default: what `TOKENWATCH_CONFIG` names, else /etc/tokenwatch/tokenwatch.toml, if
    /// it is there].
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The variable that names the configuration, where the command line does not. Clap would take one that is
    /// empty for an option without its value.
    #[arg(skip)]
    pub config_variable: Option<&'static str>,
    /// Keep database and key here [default: as configured, else /var/lib/tokenwatch for root, else in
    /// your state directory].
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: When,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say less; twice for errors only.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// How log messages look.
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

/// What a directory stands for: `source::discover`.
const LOGS_OF_DIRECTORIES: &str = "\
A directory stands for the logs in it and in those below: for files whose names contain .log or access, or end with .json, .jsonl, \
.ndjson, .txt or .out, whatever rotation and compression put behind it (.1, -20260101, .gz, ...); not for hidden ones and README*, nor \
for what links to directories lead to. A file that is named itself, or by a pattern, is read whatever its name.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow logs and alert: the daemon.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Run(Run),
    /// Read old logs as if they were live.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Replay(Replay),
    /// Show how each line is read.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Parse(Lines),
    /// Walk lines through all steps: the last 20, with -v all, or those that --line or --offset name.
    #[command(after_long_help = LOGS_OF_DIRECTORIES)]
    Explain(Lines),
    /// Check configuration, formats, rules, GeoIP and permissions.
    Check,
    /// Tokens: what is known of them, and what you say of them.
    #[command(subcommand)]
    Tokens(Tokens),
    /// What a token did.
    History(History),
    /// Alerts: what was told, and why.
    #[command(subcommand)]
    Alerts(Alerts),
    /// Rules in force.
    #[command(subcommand)]
    Rules(Rules),
    /// How the daemon is doing.
    Status(Status),
    /// Send one mail through the configured server.
    TestMail,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page a command into a directory.
    Man {
        /// Where to write pages.
        directory: Option<PathBuf>,
    },
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Follow these files, or the logs in these directories, instead of what is configured, and print alerts.
    #[arg(value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Files, patterns, or directories for the logs in them; - is standard input. May be packed (.gz, .zst, .bz2, .xz).
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Read every line in this format, instead of recognising it.
    #[arg(long, value_name = "FORMAT", long_help = formats("Read every line in this format, instead of recognising it"))]
    pub format: Option<String>,
    /// Keep what was learned: this is how a new installation gets its baselines before its first day.
    #[arg(long)]
    pub save: bool,
    /// Use this registry (CSV or JSON lines) for this run; with --save, import it [default: without --save, each
    /// registry.csv in the directories].
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,
    /// Exit with 1 if there is an alert of this level or above.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub fail_on: Option<Level>,
}

/// Options of `parse` and `explain`.
#[derive(Debug, Args)]
pub struct Lines {
    /// Files, packed ones too, or directories for the logs in them; - or none is standard input; journal:UNIT the
    /// unit's last messages.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A preset such as nginx-combined, or an nginx `log_format` or Apache `LogFormat` in quotes.
    #[arg(long, value_name = "FORMAT", long_help = formats("How lines are read, instead of recognising them"))]
    pub format: Option<String>,
    /// Only this line, counted from 1, or these: 10..20 (both ends are meant), 10..
    #[arg(long, value_name = "N", value_parser = choice::numbers)]
    pub line: Option<RangeInclusive<u64>>,
    /// Only the line that holds this byte, as alerts name it; of a packed log, a byte of what is in it.
    #[arg(long, value_name = "BYTE", conflicts_with = "line")]
    pub offset: Option<u64>,
    /// Only the message of journal:UNIT that has this cursor.
    #[arg(long, conflicts_with_all = ["line", "offset"])]
    pub cursor: Option<String>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Exit with 1 unless the daemon runs and nothing keeps it from seeing: for health checks. What is over, bytes
    /// that were lost and lines with a wrong time, does not count.
    #[arg(long)]
    pub check: bool,
}

/// `tokens ...`
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// List tokens, the last used first.
    List(TokensList),
    /// Show one token.
    Show {
        /// A name, an id or its beginning, or - to read the secret from standard input.
        token: String,
    },
    /// Register a token: reads the secret from standard input.
    Add(TokensAdd),
    /// Register the tokens of a CSV or JSON-lines file.
    ///
    /// Columns that the file does not have stay as they are. An empty cell clears its column; the output names each leak,
    /// revocation, rotation or decoy that this took back.
    Import {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Change what is registered of a token: tokens set NAME owner=ops expires_at=2027-01-01
    ///
    /// A column without a value is cleared, which takes back what was said of a token: `leaked_at= revoked_at= decoy=`.
    /// One that was rotated away has `rotated_at=TIME`, and `rotated_to=` names its successor; `rotated_at= rotated_to=` take
    /// that back.
    Set {
        /// A name, an id or its beginning, or -.
        token: String,
        /// Columns of the registry with their values.
        #[arg(value_name = "COLUMN=VALUE", required = true)]
        columns: Vec<String>,
        /// Also where several tokens bear that name, and a column speaks of the life of one: `expires_at` and the like.
        #[arg(long)]
        all: bool,
    },
    /// A token was revoked: its use is an alert from now on. Says whether it was used since.
    ///
    /// To take that back: `tokens set TOKEN revoked_at=`
    Revoke(TokensMark),
    /// A token became known to others: its use is an alert from now on. Says whether it was used since.
    ///
    /// To take that back: `tokens set TOKEN leaked_at=`
    Leak(TokensMark),
    /// A token is bait: any use of it is an alert.
    ///
    /// To take that back: `tokens set TOKEN decoy=`
    Decoy(TokensMark),
    /// Forget everything of a token or principal: profile, history, alerts, and what was said of it.
    ///
    /// Says what that is, and does it only with --yes. A revocation or leak is forgotten with it: later use is no alert any
    /// more.
    Forget {
        /// A name, an id or its beginning, or -.
        token: String,
        /// Where several tokens bear that name: all of them.
        #[arg(long)]
        all: bool,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Make a new seal key, once somebody else may have the old one: every secret gets a new id.
    ///
    /// Says what that costs, and does it only with --yes and while no daemon runs. Profiles under a name go on; history
    /// and alerts of tokens stay under their old ids; what was registered of a token has to be registered again from its secret.
    /// The old key is kept as seal.key.old.
    Rekey {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Print the id of the secret on standard input.
    Id {
        /// Always -: secrets do not belong on a command line.
        #[arg(default_value = "-", value_parser = ["-"])]
        from: String,
    },
}

/// Options of `tokens list`.
#[derive(Debug, Args)]
pub struct TokensList {
    /// Only those whose name, id or owner contains this.
    pub text: Option<SmolStr>,
    /// Only those in this state: active, expired, revoked, rotated, leaked, decoy, unregistered.
    #[arg(long)]
    pub state: Option<String>,
    /// Only those used since then.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// How many to list.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub limit: u32,
}

/// Options of `tokens add`.
#[derive(Debug, Args)]
pub struct TokensAdd {
    /// The principal's name; several tokens may share it.
    pub name: SmolStr,
    /// Read the secret from this file, not from standard input.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Further columns of the registry with their values.
    #[arg(value_name = "COLUMN=VALUE")]
    pub columns: Vec<String>,
}

/// Options of `tokens revoke`, `leak`, `decoy`.
#[derive(Debug, Args)]
pub struct TokensMark {
    /// A name, an id or its beginning, or - to read the secret from standard input.
    pub token: String,
    /// Since when [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Why, where, who.
    #[arg(long, default_value = "")]
    pub note: String,
    /// Where several tokens bear that name: all of which it does not hold already. Without it, that has to be one.
    #[arg(long)]
    pub all: bool,
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// A name, an id or its beginning, or - to read the secret from standard input.
    pub token: String,
    /// From then on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Until then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `alerts ...`
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// List alerts, the newest first.
    List(AlertsList),
    /// Show an alert or incident with everything it rests on.
    Show {
        /// The id of an alert or incident, or its beginning.
        id: String,
    },
    /// Say what an alert or incident was: the baseline learns from it.
    Ack(AlertsAck),
    /// Do not mail alerts of a rule, principal, network, country, client, or of several of these at once; alone,
    /// list the mutes in force.
    Mute(AlertsMute),
    /// End a mute.
    Unmute {
        /// Its number, as `alerts mute` shows it.
        id: i64,
    },
}

/// Options of `alerts list`.
#[derive(Debug, Args)]
pub struct AlertsList {
    /// From then on: 2h, yesterday, 2026-03-02 (days begin at midnight UTC), RFC 3339, or as printed.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Until then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// This level and above.
    #[arg(long, value_parser = level)]
    pub level: Option<Level>,
    /// Of this rule.
    #[arg(long)]
    pub rule: Option<SmolStr>,
    /// Of this principal.
    #[arg(long)]
    pub principal: Option<SmolStr>,
    /// Only those nobody has said anything of.
    #[arg(long)]
    pub open: bool,
    /// How many to list.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub limit: u32,
}

/// Options of `alerts ack`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true)))]
pub struct AlertsAck {
    /// The ids of alerts or incidents, or their beginnings.
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// It was in order: who it was is learned, and not told again.
    #[arg(long, group = "verdict")]
    pub expected: bool,
    /// It was misuse: who it was is forgotten, never learned, and watched for 30 days.
    #[arg(long, group = "verdict")]
    pub confirmed: bool,
    /// In words; without it, an earlier note stays [empty: none].
    #[arg(long)]
    pub note: Option<String>,
}

/// Options of `alerts mute`.
#[derive(Debug, Args)]
pub struct AlertsMute {
    /// Of this rule.
    #[arg(long)]
    pub rule: Option<SmolStr>,
    /// Of this principal.
    #[arg(long)]
    pub principal: Option<SmolStr>,
    /// From this network: AS64500.
    #[arg(long, value_name = "AS", value_parser = network)]
    pub network: Option<u32>,
    /// From this country: DE.
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub country: Option<Country>,
    /// By this client, as alerts name it: curl.
    #[arg(long, value_name = "NAME")]
    pub client: Option<SmolStr>,
    /// At this method and route, as alerts name it: "GET /v1/items/{id}".
    #[arg(long, value_parser = route)]
    pub route: Option<SmolStr>,
    /// For how long: 8h, 30d [default: 30d].
    #[arg(long = "for", value_name = "DURATION")]
    pub lasting: Option<String>,
    /// Until it is ended.
    #[arg(long, conflicts_with = "lasting")]
    pub forever: bool,
    /// Why; required.
    #[arg(long)]
    pub reason: Option<SmolStr>,
}

/// `rules ...`
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// List the rules in force and where each comes from.
    List,
    /// Show a rule: its text as it is in force.
    Show {
        /// Its name.
        name: String,
    },
    /// Check rule files; without any, those in force.
    Check {
        /// Files.
        files: Vec<PathBuf>,
    },
    /// Run the examples that rules carry; without files, those of all rules in force.
    Test {
        /// Files.
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
        format!("levels are {names}")
    })
}

fn network(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    let number = number.parse().ok().filter(|number| 0 < *number);
    number.ok_or_else(|| "a network is an autonomous system: AS64500".to_owned())
}

fn country(text: &str) -> Result<Country, String> {
    let code = Country::parse(&text.to_ascii_uppercase());
    code.ok_or_else(|| "a country is a code of two letters: DE".to_owned())
}

fn route(text: &str) -> Result<SmolStr, String> {
    let why = "a route is a method and a path, as alerts name it: \"GET /v1/items/{id}\"";
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
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["tokenwatch", "status", "--json", "--state-dir", "/s"]);
        assert!(cli.global.json);
        assert_eq!(cli.global.state_dir, Some("/s".into()));
    }
}
