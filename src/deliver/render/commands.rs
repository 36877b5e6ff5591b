//! What a mail about an incident says is to be done: the commands to run next, and what each of them does.

use std::collections::BTreeSet;

use crate::engine::alert::{Alert, Incident, TokenRef, Value};
use crate::engine::detect::Until;
use crate::engine::mute::Scope;
use crate::engine::posture::Kind;
use crate::engine::reserved::Reserved;
use crate::engine::usage::Identity;
use crate::engine::word::{Verdict, Word};

use super::Host;
use super::page::Step;
use super::safe::is_shell_word;

/// Returns the commands to run next. Names that a shell would interpret are replaced by the token's id.
pub(super) fn commands(incident: &Incident, alerts: &[Alert], host: &Host) -> Vec<Step> {
    let mut commands = Vec::new();
    let heaviest = alerts.first();
    if let Some(alert) = heaviest {
        let token = alert.token.as_ref();
        commands.extend(token.into_iter().flat_map(|token| on_token(alert, token, alerts, host)));
        commands.extend(who(alert, host));
    }
    if heaviest.is_some_and(is_about_log) {
        let check = "the format each log is read in, and the first line that does not fit";
        commands.push((host.command("check"), check.into()));
    }
    if heaviest.is_some_and(|alert| alert.facts.contains("health.mail_minutes")) {
        let status = "how many mails are waiting, and the last error";
        commands.push((host.command("status"), status.into()));
    }
    if is_shell_word(&incident.id) {
        commands.extend(words_on(incident, alerts, host));
        let show = host.command(&format!("alerts show {}", incident.id));
        commands.push((show, "all its facts".into()));
    }
    commands
}

fn is_about_log(alert: &Alert) -> bool {
    matches!(Reserved::parse(&alert.principal), Some(Reserved::Log(_)))
}

/// Returns what is to be mended about the tokens of alerts, the worst first, in the words of an audit.
pub(super) fn mend(alerts: &[Alert]) -> Vec<String> {
    let found: BTreeSet<Kind> = alerts.iter().filter_map(Kind::of_alert).collect();
    found.into_iter().map(|kind| format!("{}: {}", kind.as_str(), kind.remedy())).collect()
}

/// Returns the commands about the token of the heaviest alert, and about its principal.
fn on_token(alert: &Alert, token: &TokenRef, alerts: &[Alert], host: &Host) -> Vec<Step> {
    let called = called(alert, token);
    let whose = if called.ends_with(WHOLE) { "its principal" } else { "this token" };
    let history = host.command(&format!("history {called}"));
    let mut commands = vec![(history, format!("everything {whose} did").into())];
    let is_of_it = |alert: &&Alert| alert.token.as_ref().is_some_and(|of| of.id == token.id);
    if alerts.iter().filter(is_of_it).any(is_about_end) {
        return commands;
    }
    // The tokens of a name end one by one; those that state their principal come and go by the hour.
    let (extent, purpose) = match Identity::is_name(&alert.principal) {
        true => {
            (WHOLE, "after you lock it out at its issuer: later use of its tokens raises an alert")
        }
        false => ("", "after you revoke it at its issuer: later use raises an alert"),
    };
    let revoke = host.command(&format!("tokens revoke {}{extent}", token.id));
    commands.push((revoke, purpose.into()));
    commands
}

/// Widens a token's id to its principal. What a token states of that must not stand in a command.
const WHOLE: &str = " --principal";

/// Returns what commands call the principal of an alert.
fn called(alert: &Alert, token: &TokenRef) -> String {
    let id = token.id.to_string();
    if is_shell_word(&token.name) {
        token.name.to_string()
    } else if alert.principal == id {
        id
    } else {
        id + WHOLE
    }
}

/// Returns the command that shows what else was used from the address of an alert, unless that is the owner's.
fn who(alert: &Alert, host: &Host) -> Option<Step> {
    let client = alert.client.filter(|_| !alert.is_about_token() && !is_of_owner(alert))?;
    Some((host.command(&format!("who {client}")), "which tokens were used from there".into()))
}

/// Returns whether two places took turns, and the alert's use is from the known one.
pub(super) fn is_of_owner(alert: &Alert) -> bool {
    let stranger = alert.facts.get("concurrent.stranger");
    matches!(stranger, Some(Value::Text(place)) if place == "there")
}

/// Returns whether an alert is about a token that has ended already, or about a decoy, which gives access to nothing.
/// That says nothing about the principal's other tokens: a thief may try an old one beside one that works.
fn is_about_end(alert: &Alert) -> bool {
    let ends = ["revoked.seconds", "expired.seconds", "dead.seconds", "decoy.used"];
    ends.iter().any(|fact| alert.facts.contains(fact))
}

/// Returns the commands that record a verdict, and what each of them does. A log or a source has no baseline that could
/// learn, and what many tokens do belongs to none of them.
fn words_on(incident: &Incident, alerts: &[Alert], host: &Host) -> Vec<Step> {
    let ack = |verdict: &str| host.command(&format!("alerts ack {} --{verdict}", incident.id));
    let heaviest = alerts.first();
    if heaviest.is_some_and(|alert| alert.facts.contains("fleet.change")) {
        let (expected, confirmed) = (
            "if it is legitimate: it no longer counts as evidence",
            "if it is not: all tokens are watched for it; confirm each token's own incident as well",
        );
        return vec![(ack("expected"), expected.into()), (ack("confirmed"), confirmed.into())];
    }
    if heaviest.is_some_and(|alert| alert.token.is_none()) {
        let expected = "once it is dealt with: it is no longer listed as open";
        return vec![(ack("expected"), expected.into())];
    }
    let untils = Until::of(alerts);
    let (mut expected, confirmed) = effects(alerts, &untils);
    for what in Until::again(&untils) {
        expected += &format!("; {what} is reported again");
    }
    let mut steps = vec![(ack("expected"), expected.into()), (ack("confirmed"), confirmed.into())];
    steps.extend(heaviest.into_iter().flat_map(|alert| until_then(alert, &untils, host)));
    steps
}

/// Returns what the words `expected` and `confirmed` do about the alerts of a token.
fn effects(alerts: &[Alert], untils: &BTreeSet<Until>) -> (String, String) {
    if is_stranger_unseen(alerts) {
        return (
            "if the unknown place is yours, too: this turn is settled, and the place is learned in days of use".into(),
            "if it is not: its next turn is reported, but no alert shows a use there that could be forgotten or \
             watched for"
                .into(),
        );
    }
    let (learned, forgotten) = if untils.is_empty() || untils.contains(&Until::Learned) {
        ("it is learned as normal", "it is forgotten")
    } else {
        ("who it was is learned", "who it was is forgotten")
    };
    (
        format!("if this was you: {learned}"),
        format!("if it was not: {forgotten}, and all tokens are watched for it"),
    )
}

/// Returns whether two places took turns, and all that the alerts show is the owner's use.
fn is_stranger_unseen(alerts: &[Alert]) -> bool {
    let is_stranger = |alert: &Alert| {
        let word = Word::of(Verdict::Confirmed, alert.time, &[alert]);
        word.as_ref().is_some_and(Word::has_stranger)
    };
    alerts.iter().any(is_of_owner) && !alerts.iter().any(is_stranger)
}

/// Returns the commands that end what a word does not: the registry permits it, or nobody is mailed of it.
fn until_then(alert: &Alert, untils: &BTreeSet<Until>, host: &Host) -> Vec<Step> {
    let Some(token) = &alert.token else { return Vec::new() };
    let permit = |until: &Until| match until {
        Until::Permitted { column, .. } => {
            let command =
                host.command(&format!("tokens set {} {column}=\"...\"", called(alert, token)));
            let purpose = format!("if it may do that: all its {column}, and what this was");
            Some((command, purpose.into()))
        }
        _ => None,
    };
    let mut steps: Vec<Step> = untils.iter().filter_map(permit).collect();
    // A mute would hide what else the incident is.
    let is_only = |of: &[Until]| untils.iter().all(|until| of.contains(until));
    if is_only(&[Until::Mended, Until::Unmatched]) {
        steps.extend(mute(alert, token, untils, host));
    }
    steps
}

/// Returns the command that stops such alerts of one principal from being mailed.
fn mute(alert: &Alert, token: &TokenRef, untils: &BTreeSet<Until>, host: &Host) -> Option<Step> {
    let (rule, principal) = (&alert.rule.name, &alert.principal);
    let whom = if is_shell_word(principal) { principal.to_string() } else { token.id.to_string() };
    let route = if is_exposure(alert) { route(alert)? } else { String::new() };
    let command = format!("alerts mute --rule {rule} --principal {whom}{route} --reason \"...\"");
    let purpose = if untils.contains(&Until::Unmatched) {
        "if it is in order: not mailed for 30 days"
    } else {
        "if it cannot be fixed soon: not mailed for 30 days"
    };
    is_shell_word(rule).then(|| (host.command(&command), purpose.into()))
}

/// Returns whether an alert only says how a client sends its token, on one route: the next one may be worse.
fn is_exposure(alert: &Alert) -> bool {
    let is_of =
        |fact: &str| ["url.", "referer.", "transport."].iter().any(|of| fact.starts_with(of));
    !alert.facts.is_empty() && alert.facts.iter().all(|(fact, _)| is_of(fact))
}

/// Returns the option that limits a mute to the route of an alert, if a shell reads it as it is.
fn route(alert: &Alert) -> Option<String> {
    let is_quotable = |c: char| (c == ' ' || c.is_ascii_graphic()) && c != '\'';
    let route = &alert.route;
    let is_safe = Scope::is_route(route) && route.chars().all(is_quotable);
    is_safe.then(|| format!(" --route '{route}'"))
}
