//! Tests of subjects: whom and what a mail is about, in a line.

use super::tests::{context, mail};
use super::*;
use crate::deliver::sample;
use crate::engine::alert::{Alert, Value};
use crate::engine::reserved::Reserved;

#[test]
fn the_subject_says_level_name_and_kinds() {
    assert_eq!(
        mail().subject,
        "[tokenwatch] HIGH ci-deploy: unusual use, new country, new network"
    );
}

#[test]
fn a_token_without_a_name_is_known_by_its_id() {
    let mut alert = sample::alert();
    alert.token.as_mut().unwrap().name = "".into();
    alert.principal = "jwt:https://idp.example.org:alice".into();
    let mail = incident(&sample::incident(), &[alert], &context(&[]));
    assert!(mail.subject.contains("HIGH token tw1_e7e7e7e7e7: "), "{}", mail.subject);
    assert!(mail.text.contains("tokenwatch history tw1_e7e7"), "{}", mail.text);
}

#[test]
fn an_alert_about_a_log_is_known_by_its_file() {
    let alert =
        Alert { token: None, principal: "log:/var/log/nginx/access.log".into(), ..sample::alert() };
    let mail = incident(&sample::incident(), &[alert], &context(&[]));
    assert!(mail.subject.contains("HIGH log access.log: "), "{}", mail.subject);
    assert!(
        !mail.text.contains("  Token  ") && !mail.text.contains("tokens revoke"),
        "{}",
        mail.text
    );
    assert!(mail.text.contains("tokenwatch check"), "{}", mail.text);
}

#[test]
fn an_alert_without_token_and_log_is_known_by_what_it_is_about() {
    for (principal, name) in [
        ("source:203.0.113.0/24", "source 203.0.113.0/24"),
        ("fleet", "many tokens"),
        ("geoip:/var/lib/GeoIP/City.mmdb", "GeoIP file City.mmdb"),
        ("database:1772400000", "the database"),
        ("mails", "the mails"),
        ("jwt:https://idp.example.org:alice", "a principal"),
        ("alice", "a principal"),
    ] {
        let alert = Alert { token: None, principal: principal.into(), ..sample::alert() };
        let mail = incident(&sample::incident(), &[alert], &context(&[]));
        assert!(mail.subject.contains(&format!("HIGH {name}: ")), "{}", mail.subject);
        assert!(!mail.text.contains("tokenwatch check"), "{}", mail.text);
    }
}

#[test]
fn a_program_that_guesses_chose_words_of_the_subject() {
    for (source, name) in [
        ("2001:db8:1:2::/64", "source 2001:db8:1:2::/64"),
        ("2001:db8:1::/48", "source 2001:db8:1::/48"),
        ("AS64500", "source AS64500"),
        ("security-alert.evil.example/1 GET /id/for-help", "many sources"),
        ("AS64500 GET /id/for-help", "many sources"),
        ("203.0.113.0/24 GET /id/for-help", "many sources"),
        ("evil.example/24", "many sources"),
        ("ASevil.example", "many sources"),
        ("AS", "many sources"),
    ] {
        let principal = Reserved::Source(source).to_string().into();
        let alert = Alert { token: None, principal, ..sample::alert() };
        let mail = incident(&sample::incident(), &[alert], &context(&[]));
        assert!(mail.subject.contains(&format!("HIGH {name}: ")), "{}", mail.subject);
    }
}

#[test]
fn the_subject_says_what_is_wrong_with_a_log_and_what_was_not_allowed() {
    let named = |name: &str, title: &str, fact: &str| {
        let mut alert = sample::alert();
        alert.rule.name = name.into();
        alert.rule.title = title.into();
        alert.facts = [(fact.into(), Value::Bool(true))].into_iter().collect();
        incident(&sample::incident(), &[alert], &context(&[])).subject
    };
    let health = named("monitor-health", "Log cannot be read", "health.rejected");
    assert!(health.ends_with(": log cannot be read"), "{health}");
    let own = named("monitor-health", "Überwachung steht still", "health.rejected");
    assert!(own.ends_with(": überwachung steht still"), "{own}");
    let pinned = named("new-network", "", "pinned.network");
    assert!(pinned.ends_with(": network not allowed"), "{pinned}");
}

#[test]
fn the_subject_named_the_signs_and_not_that_the_country_is_not_allowed() {
    let mut pinned = sample::earlier();
    pinned.rule.name = "new-country".into();
    pinned.facts = [("pinned.country".into(), Value::Text("NG".into()))].into_iter().collect();
    let subject = |alerts: &[Alert]| incident(&sample::incident(), alerts, &context(&[])).subject;
    let told = subject(&[sample::alert(), pinned.clone()]);
    assert!(told.ends_with(": country not allowed, unusual use, new country"), "{told}");
    let leaked = subject(&[named("leaked-token-used"), sample::alert(), pinned]);
    assert!(leaked.ends_with(": leaked token used, country not allowed, unusual use"), "{leaked}");
}

fn named(rule: &str) -> Alert {
    let mut alert = sample::alert();
    alert.rule.name = rule.into();
    alert
}

#[test]
fn the_subject_named_all_that_degrades_the_monitoring_and_not_what_does() {
    let rules = include_str!("../../../rules/monitor-health.yml");
    let subject_of = |id: &str, fact: &str, value: i64| {
        let mut alert = sample::alert();
        alert.rule.id = id.into();
        alert.rule.name = "monitor-health".into();
        alert.rule.title = "Monitoring degraded: clock, lag".into();
        alert.facts = [(fact.into(), Value::Int(value))].into_iter().collect();
        incident(&sample::incident(), &[alert], &context(&[])).subject
    };
    let subject = |id: &str, fact: &str| subject_of(id, fact, 7);
    let built_in = "71c4d9e8-2f35-4a60-9b81-d60e5f3a7c12";
    assert!(rules.contains(&format!("\nid: {built_in}\n")));
    for (fact, words) in [
        ("health.skew_seconds", ": lines are dated in the future"),
        ("health.lag_seconds", ": lines are not read in time"),
        ("health.geoip_days", ": GeoIP data is old"),
        ("health.mail_minutes", ": mails are not sent"),
        ("health.database", ": database was lost"),
    ] {
        assert!(rules.contains(fact), "{fact}");
        let subject = subject(built_in, fact);
        assert!(subject.ends_with(words), "{subject}");
    }
    let behind = subject_of(built_in, "health.skew_seconds", -18_000);
    assert!(behind.ends_with(": lines are dated in the past"), "{behind}");
    // A user's own rule keeps its title.
    let own = subject("0c2d9e8a-2f35-4a60-9b81-d60e5f3a7c12", "health.lag_seconds");
    assert!(own.contains(": monitoring degraded"), "{own}");
}
