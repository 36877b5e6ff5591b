//! The command line of `audit`.

use std::path::PathBuf;

use clap::Args;

use super::parsers::finding;
use crate::engine::posture::Kind;

/// Returns the findings that there are, the worst first, and how `audit` ends.
pub(super) fn findings() -> String {
    let width = Kind::ALL.map(|kind| kind.as_str().len()).into_iter().max().unwrap_or_default();
    let rows = Kind::ALL.map(|kind| {
        let (name, level) = (kind.as_str(), kind.level().as_str());
        format!("  {name:width$}  {level:13}  {}", kind.remedy())
    });
    format!(
        "Findings, and what to do about each:\n{}\n\nExit status: 0, whatever was found; 1 --fail-on names a finding that a token has.",
        rows.join("\n")
    )
}

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Only tokens with this finding, such as in-url; may be repeated.
    #[arg(long = "finding", value_name = "FINDING", value_parser = finding)]
    pub findings: Vec<Kind>,
    /// A token is to be rotated at this age.
    #[arg(long, value_name = "AGE", default_value = "365d")]
    pub max_age: String,
    /// A token is unused after so long without use.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub unused: String,
    /// List at most this many, the worst first [default: 50; 1000 with --html; without it, --json prints all that have
    /// a finding, as they are read].
    #[arg(long, short = 'n', value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Write the audit to this file as one HTML page, which only you may read; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Exit with status 1 if any token has this finding; may be repeated.
    #[arg(long, value_name = "FINDING", value_parser = finding)]
    pub fail_on: Vec<Kind>,
}
