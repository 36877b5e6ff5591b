//! The arithmetic of a score: each reason with its weight and what is usual, the sum, and the tiers.

use serde_json::{Value as Json, json};

use crate::cli::print::{self, Printer};
use crate::cli::table;
use crate::daemon::site::Site;
use crate::engine::alert::{Alert, SCORE, Value};
use crate::engine::profile::Score;

/// Narrower terminals get no column for what is usual: the facts show it.
const WIDE: u16 = 110;

/// Returns the scores of the tiers; `check` reports a faulty configuration.
pub(super) fn scores(site: &Site) -> Score {
    site.params().map(|params| params.profile.score).unwrap_or_default()
}

/// Returns the score of an alert, and the threshold from which it was mailed at once.
fn of(alert: &Alert) -> Option<(f64, Option<f64>)> {
    let fact = |name| match alert.facts.get(name) {
        Some(Value::Float(nats)) => Some(*nats),
        _ => None,
    };
    let is_sum = alert.is_score();
    Some((fact(SCORE).filter(|_| is_sum)?, fact("unusual.threshold")))
}

/// Returns the tiers' scores, with the threshold of the alert's time, not today's.
fn tiers(threshold: Option<f64>, scores: &Score) -> [f64; 3] {
    [scores.notice, threshold.unwrap_or(scores.alert), scores.critical]
}

pub(super) fn json(alert: &Alert, scores: &Score) -> Json {
    of(alert).map_or(Json::Null, |(nats, threshold)| {
        let [medium, high, critical] = tiers(threshold, scores);
        json!({"nats": nats, "medium": medium, "high": high, "critical": critical, "risk": alert.risk})
    })
}

pub(super) fn show(printer: &mut Printer, alert: &Alert, scores: &Score) -> std::io::Result<()> {
    if alert.reasons.is_empty() {
        return Ok(());
    }
    let score = of(alert);
    let sum: f32 = alert.reasons.iter().map(|reason| reason.nats).sum();
    if sum == 0.0 && score.is_none() {
        printer.line(format_args!("  {}", print::bold("reasons")))?;
        let texts = alert.reasons.iter().map(|reason| print::safe(&reason.text));
        return texts.into_iter().try_for_each(|text| printer.line(format_args!("    {text}")));
    }
    let is_wide = table::width() >= WIDE;
    let mut table = if is_wide {
        table::table(&["  evidence", "usual", "", "nats"])
    } else {
        table::table(&["  evidence", "", "nats"])
    };
    for reason in &alert.reasons {
        let usual = alert.usual.get(&reason.fact).map(ToString::to_string).unwrap_or_default();
        let nats = format!("{:>+6.1}", reason.nats);
        row(&mut table, is_wide, [&reason.text, &usual, &reason.how, &nats]);
    }
    let risk = format!("risk {} %", alert.risk);
    let (name, sum) = match score {
        Some((nats, _)) => ("score", format!("{nats:>6.1}")),
        None => ("sum", format!("{sum:>6.1}")),
    };
    row(&mut table, is_wide, [name, "", "", &sum]);
    printer.line(table::coloured(&table, |_| None))?;
    let Some((_, threshold)) = score else { return Ok(()) };
    let tiers = reachable(tiers(threshold, scores));
    printer.line(format_args!("    {tiers}; {risk}; 2.3 nats: ten times as unusual"))
}

/// Names the tiers that a score can reach; a tier that begins where a higher one does is never reported.
fn reachable([medium, high, critical]: [f64; 3]) -> String {
    let all = [("medium", medium, high.min(critical)), ("high", high, critical)];
    let told = all.into_iter().filter(|(_, from, next)| from < next);
    let told = told.map(|(name, from, _)| format!("{name} {from}"));
    told.chain([format!("critical {critical}")]).collect::<Vec<_>>().join(", ")
}

fn row(table: &mut comfy_table::Table, is_wide: bool, [text, usual, how, nats]: [&str; 4]) {
    let text = print::safe(format!("  {text}"));
    let (usual, how) = (print::safe(usual), print::safe(how));
    let cells = if is_wide { vec![text, usual, how] } else { vec![text, how] };
    table.add_row(cells.into_iter().chain([nats.to_owned()]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_that_nothing_reaches_was_named() {
        for (tiers, text) in [
            ([6.0, 8.0, 10.0], "medium 6, high 8, critical 10"),
            ([6.0, 6.0, 10.0], "high 6, critical 10"),
            ([6.0, 10.0, 10.0], "medium 6, critical 10"),
            ([10.0, 10.0, 10.0], "critical 10"),
        ] {
            assert_eq!(reachable(tiers), text);
        }
    }
}
