//! The command line of `alerts`.

use clap::{Args, Subcommand};
use smol_str::SmolStr;

use super::parsers::{country, level, mute, network, route};
use crate::engine::alert::Level;
use crate::engine::geo::Country;

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
    /// List the incidents of these alerts, with the ids that mails name.
    #[arg(long)]
    pub incidents: bool,
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
