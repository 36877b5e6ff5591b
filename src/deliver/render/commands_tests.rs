//! Tests of what a mail says is to be done, and of what it promises.

use smol_str::SmolStr;

use super::tests::{context, mail, told};
use super::*;
use crate::deliver::sample;
use crate::engine::alert::{Alert, Value};
use crate::engine::profile::Family;
use crate::engine::secret::TokenId;
use crate::engine::word::Brought;

/// The text of a mail about the sample token with one fact, by a rule.
fn of_rule(rule: &str, fact: &str) -> String {
    let mut alert = sample::alert();
    alert.rule.name = rule.into();
    let fact = (!fact.is_empty()).then(|| (SmolStr::new(fact), Value::Bool(true)));
    alert.facts = fact.into_iter().collect();
    incident(&sample::incident(), &[alert], &context(&[])).text
}

#[test]
fn commands_are_named_as_they_work_for_this_daemon() {
    let program = "tokenwatch --config '/srv/a b.toml'".to_owned();
    let host = Host { program, ..sample::named("log1") };
    let context = Context { host: &host, ..context(&[]) };
    let alerts = [sample::alert()];
    let incident = incident(&sample::incident(), &alerts, &context);
    let bundle = Bundle::Daily { day: "2026-11-23", mutes: &[] };
    let digest = Digest { id: "d", bundle, alerts: &alerts, n_alerts: 1, n_incidents: 1 };
    for text in [incident.text, super::digest(&digest, &context).text] {
        let commands: Vec<&str> =
            text.lines().filter(|line| line.starts_with("  tokenwatch")).collect();
        let named = |line: &&str| line.contains("tokenwatch --config '/srv/a b.toml' ");
        assert!(!commands.is_empty() && commands.iter().all(named), "{text}");
    }
}

#[test]
fn nobody_is_asked_to_revoke_what_is_revoked_or_a_decoy() {
    for fact in ["revoked.seconds", "dead.seconds", "decoy.used"] {
        let told = told(&[(fact, Value::Bool(true))], &[]);
        assert!(!told.contains("tokens revoke") && told.contains("history"), "{told}");
    }
}

#[test]
fn a_live_token_is_to_be_revoked_though_another_of_the_incident_is_dead() {
    let ended = [(SmolStr::new("dead.seconds"), Value::Int(60))];
    let mut dead = Alert { facts: ended.into_iter().collect(), ..sample::earlier() };
    let told = |dead: &Alert| {
        let alerts = [sample::alert(), dead.clone()];
        incident(&sample::incident(), &alerts, &context(&[])).text
    };
    assert!(!told(&dead).contains("tokens revoke"), "one token: {}", told(&dead));
    dead.token.as_mut().unwrap().id = TokenId([1; 16]);
    assert!(told(&dead).contains("tokens revoke tw1_e7e7"), "{}", told(&dead));
}

#[test]
fn the_commands_about_a_user_of_jwts_reached_one_of_the_tokens() {
    let mut alert = sample::alert();
    let principal = "jwt:https://idp.example.org:alice";
    let mut text = |name: &str, principal: &str, fact: &str| {
        alert.token.as_mut().unwrap().name = name.into();
        alert.principal = principal.into();
        alert.facts = [(fact.into(), Value::Bool(true))].into_iter().collect();
        incident(&sample::incident(), std::slice::from_ref(&alert), &context(&[])).text
    };
    let id = format!("tw1_{}", "e7".repeat(16));
    let lines = |of: [String; 2]| of.map(|command| format!("  tokenwatch {command}\n"));
    let [history, revoke] =
        lines([format!("history {id} --principal"), format!("tokens revoke {id} --principal")]);
    for name in ["", principal] {
        let text = text(name, principal, "unusual.accepted");
        assert!(text.contains(&history) && text.contains(&revoke), "{text}");
        assert!(text.contains("everything its principal did"), "{text}");
    }
    // One token of a name that no shell reads as it is.
    let [one, own] = lines([format!("tokens revoke {id}"), format!("history {id}")]);
    let named = text("CI, nightly", "CI, nightly", "unusual.accepted");
    assert!(named.contains(&history) && named.contains(&one), "{named}");
    let opaque = text("", &id, "pinned.network");
    assert!(opaque.contains(&own) && opaque.contains(&one), "{opaque}");
    let set = format!("  tokenwatch tokens set {id} networks=\"...\"\n");
    assert!(opaque.contains(&set), "{opaque}");
}

#[test]
fn a_mail_did_not_say_what_to_mend_nor_name_who() {
    let expired = of_rule("expired-token-accepted", "expired.seconds");
    let remedy = "\nWhat to mend\n  dead-but-accepted: make the server refuse it: something does not check its\n  end\n";
    assert!(expired.contains(remedy), "{expired}");
    assert!(!expired.contains("tokens revoke"), "{expired}");
    let who = "  tokenwatch who 203.0.113.7\n      which tokens were used from there\n";
    assert!(expired.contains(who), "{expired}");
    let bait = of_rule("honeytoken-used", "decoy.used");
    assert!(bait.contains("  decoy-used: find out who has it, and what else was in"), "{bait}");
    let end = of_rule("lifecycle", "lifecycle.days");
    assert!(end.contains("  long-lived: ") && !end.contains("tokenwatch who"), "{end}");
    assert!(!mail().text.contains("What to mend"), "{}", mail().text);
}

#[test]
fn where_mails_wait_the_command_that_says_why_is_named() {
    let told = told(&[("health.mail_minutes", Value::Int(70))], &[]);
    assert!(told.contains("  tokenwatch status\n"), "{told}");
}

#[test]
fn of_a_log_or_a_source_nothing_is_said_to_be_learned() {
    for principal in ["log:/var/log/nginx/access.log", "source:203.0.113.0/24"] {
        let alert = Alert { token: None, principal: principal.into(), ..sample::alert() };
        let text = incident(&sample::incident(), &[alert], &context(&[])).text;
        assert!(!text.contains("learned") && !text.contains("--confirmed"), "{text}");
        assert!(text.contains("no longer listed as open"), "{text}");
    }
}

#[test]
fn what_to_do_promises_what_the_words_do() {
    let flag = |name: &'static str| (name, Value::Bool(true));
    let usual = told(&[flag("unusual.accepted")], &[]);
    assert!(usual.contains("if this was you: it is learned as normal\n"), "{usual}");
    let revoked = told(&[flag("revoked.accepted")], &[]);
    assert!(revoked.contains("such use of the token is reported again"), "{revoked}");
    assert!(!revoked.contains("alerts mute"), "{revoked}");
    let exposed = told(&[flag("url.accepted")], &[]);
    let mute = "alerts mute --rule unusual-use --principal ci-deploy --route 'GET /v1/items/{id}'";
    assert!(exposed.contains(mute), "{exposed}");
    let stolen = told(&[flag("url.accepted"), flag("unusual.accepted")], &[]);
    let both = "it is learned as normal; such use of the token is reported again\n";
    assert!(stolen.contains(both), "{stolen}");
    assert!(!stolen.contains("alerts mute"), "{stolen}");
    let fleet = told(&[("fleet.change", Value::Text("network".into()))], &[]);
    assert!(
        fleet.contains("it no longer counts as evidence") && !fleet.contains("learned"),
        "{fleet}"
    );
}

#[test]
fn of_an_unknown_place_whose_use_no_alert_shows_it_was_said_that_it_is_watched() {
    let turns = |stranger: &str| {
        let facts = [("concurrent.stranger".into(), Value::Text(stranger.into()))];
        Alert { facts: facts.into_iter().collect(), ..sample::alert() }
    };
    let told = |alerts: &[Alert]| {
        let text = incident(&sample::incident(), alerts, &context(&[])).text;
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let watched = "it is forgotten, and all tokens are watched for it";
    let unseen = told(&[turns("there")]);
    assert!(!unseen.contains(watched) && !unseen.contains("learned as normal"), "{unseen}");
    assert!(
        unseen.contains("if the unknown place is yours, too: this turn is settled"),
        "{unseen}"
    );
    assert!(unseen.contains("if it is not: its next turn is reported, but"), "{unseen}");
    assert!(told(&[turns("here")]).contains(watched));
    let novel = [Family::Network].into_iter().collect();
    let brought = Brought { novel, ..Brought::default() };
    let seen = Alert { brought, ..sample::earlier() };
    assert!(told(&[turns("there"), seen]).contains(watched), "the stranger's own alert");
}

#[test]
fn what_the_registry_or_a_rule_of_the_site_forbids_was_said_to_be_learned() {
    let set = "tokenwatch tokens set ci-deploy";
    let mute = "tokenwatch alerts mute --rule";
    for (rule, fact, what, command) in [
        ("new-country", "pinned.country", "use from outside its registered countries", "countries"),
        ("new-network", "pinned.network", "use from outside its registered networks", "networks"),
        ("scope-violation", "scope.request", "use beyond its registered scopes", "scopes"),
    ] {
        let text = of_rule(rule, fact);
        let promise = format!("if this was you: who it was is learned; {what} is reported again\n");
        assert!(text.contains(&promise), "{text}");
        assert!(text.contains(&format!("  {set} {command}=\"...\"\n")), "{text}");
        assert!(!text.contains(mute), "{text}");
    }
    for (rule, fact) in [
        ("mfa-missing", "mfa.request"),
        ("weak-token", "weak.bits"),
        ("lifecycle", "lifecycle.days"),
    ] {
        let text = of_rule(rule, fact);
        assert!(text.contains("such use of the token is reported again\n"), "{text}");
        let whole = format!("  {mute} {rule} --principal ci-deploy --reason \"...\"\n");
        assert!(text.contains(&whole), "{text}");
    }
    let unsigned = of_rule("jwt-alg-none", "unsigned.is_new");
    assert!(unsigned.contains("such use of the token is reported again\n"), "{unsigned}");
    assert!(!unsigned.contains(mute), "{unsigned}");
    let own = of_rule("night-shift", "");
    assert!(own.contains("what a rule of your own matches is reported again\n"), "{own}");
    assert!(own.contains(&format!("  {mute} night-shift --principal ci-deploy --reason")), "{own}");
}
