//! Tests of whole mails: what people read.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::deliver::sample::{self, NOW};
use crate::engine::alert::{Alert, Incident, Level, Value};
use crate::engine::mute::{EndedMute, Mute, Scope};
use crate::engine::registry::{Background, Mark};
use crate::engine::time::MINUTE;

use super::*;

pub(super) fn context<'a>(history: &'a [String]) -> Context<'a> {
    Context { host: &sample::HOST, date: NOW, files: &sample::files, history, background: None }
}

pub(super) fn mail() -> Mail {
    let history = ["12,345 requests since 2026-08-14, from 2 countries".to_owned()];
    incident(&sample::incident(), &[sample::alert(), sample::earlier()], &context(&history))
}

#[test]
fn an_incident_is_told_in_text() {
    insta::assert_snapshot!(mail().text);
}

#[test]
fn whom_to_ask_and_why_it_was_revoked_was_not_said() {
    let mark = |what, since, successor: &str, note: &str| Mark {
        what,
        since,
        successor: successor.into(),
        note: note.into(),
    };
    let background = Background {
        owner: "platform".into(),
        notes: "runs the nightly import".into(),
        marks: vec![
            mark("revoked", Some(NOW.plus(-MINUTE)), "", "INC-7"),
            mark("rotated", None, "ci-2", ""),
            mark("expired", Some(NOW), "", ""),
        ],
    };
    let context = Context { background: Some(&background), ..context(&[]) };
    let told = incident(&sample::incident(), &[sample::alert()], &context).text;
    let (_, told) = told.split_once("Principal").unwrap();
    let rows: Vec<_> = told.lines().skip(1).take(5).map(str::trim).collect();
    assert_eq!(
        rows,
        [
            "Owner      platform",
            "Notes      runs the nightly import",
            "Revoked    since 2026-11-23 17:09:33 UTC: INC-7",
            "Rotated    to ci-2",
            "Expired    since 2026-11-23 17:10:33 UTC",
        ]
    );
}

#[test]
fn an_incident_is_told_in_html() {
    insta::assert_snapshot!(mail().html);
}

/// The text of a mail about the sample alert with other facts and usual values.
pub(super) fn told(facts: &[(&str, Value)], usual: &[(&str, Value)]) -> String {
    let map = |of: &[(&str, Value)]| {
        of.iter().map(|(name, value)| (SmolStr::new(name), value.clone())).collect()
    };
    let alert = Alert { facts: map(facts), usual: map(usual), ..sample::alert() };
    incident(&sample::incident(), &[alert], &context(&[])).text
}

#[test]
fn what_is_usual_holds_no_limits_no_blanks_and_nothing_twice() {
    let text = |text: &str| Value::Text(text.into());
    let usual = [
        ("dead.seconds", Value::Int(0)),
        ("new.client", text("1 other")),
        ("new.country", text("DE")),
        ("new.network", text("")),
        ("revoked.accepted", Value::Bool(false)),
        ("unusual.country", text("DE")),
        ("unusual.score", Value::Float(0.0)),
    ];
    let told = told(&[], &usual);
    assert!(told.contains("What is usual\n  country  DE\n\n"), "{told}");
}

#[test]
fn a_token_of_which_only_the_id_is_known_is_shown_by_it() {
    let mut alert = sample::alert();
    let token = alert.token.as_mut().unwrap();
    (token.kind, token.hint) = ("".into(), "".into());
    let mail = incident(&sample::incident(), &[alert], &context(&[]));
    assert!(!mail.text.contains("()"), "{}", mail.text);
}

#[test]
fn a_repeat_has_the_same_message_id_and_an_update_has_the_same_thread() {
    let (first, again) = (mail(), mail());
    assert_eq!(first, again);
    assert_eq!(first.message_id, "<in_2c5ea4c0f00dcafe.1@log1.example.org>");
    let later = Incident { revision: 2, level: Level::Critical, ..sample::incident() };
    let update = incident(&later, &[sample::alert(), sample::earlier()], &context(&[]));
    assert_eq!(update.message_id, "<in_2c5ea4c0f00dcafe.2@log1.example.org>");
    assert_eq!(update.thread.as_deref(), Some("<in_2c5ea4c0f00dcafe.0@log1.example.org>"));
    assert_eq!(update.thread, first.thread);
    assert!(update.subject.ends_with(" (update)"), "{}", update.subject);
}

#[test]
fn an_update_says_first_what_is_new() {
    let later = Incident { revision: 2, ..sample::incident() };
    let text = incident(&later, &[sample::alert(), sample::earlier()], &context(&[])).text;
    let news =
        "New since the incident began\n  2026-11-23 17:10:33 UTC  unusual-use (high): country NG";
    assert!(text.contains(news), "{text}");
    assert!(text.find("New since") < text.find("Principal"), "{text}");
}

#[test]
fn an_incident_whose_alerts_are_gone_is_still_told() {
    let mail = incident(&sample::incident(), &[], &context(&[]));
    assert_eq!(mail.subject, "[tokenwatch] HIGH incident");
    assert!(mail.text.contains("alerts ack in_2c5ea4c0f00dcafe --expected"), "{}", mail.text);
}

#[test]
fn where_the_stranger_is_was_not_said_at_the_owners_use() {
    let text = |text: &str| Value::Text(text.into());
    let turns = |stranger| {
        let facts = [
            ("concurrent.here", text("DE (AS64496)")),
            ("concurrent.there", text("SG (AS64999)")),
            ("concurrent.stranger", text(stranger)),
        ];
        told(&facts, &[]).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let from = "From 203.0.113.7, Lagos, NG";
    let both = format!("{from} (the known place; the unknown one: SG (AS64999)) Network");
    assert!(turns("there").contains(&both), "{}", turns("there"));
    assert!(turns("here").contains(&format!("{from} Network")), "{}", turns("here"));
}

/// An alert of the sample incident, with the sentence of another rule.
fn rides(rule: &str, level: Level, text: &str) -> Alert {
    let mut alert = Alert { reason: text.into(), ..sample::earlier() };
    (alert.rule.name, alert.rule.level) = (rule.into(), level);
    alert.reasons.truncate(1);
    alert.reasons[0].text = text.into();
    alert
}

#[test]
fn what_a_milder_rule_says_was_told_by_no_mail() {
    let scope = "accepted for DELETE /v1/items/{id}, which none of its scopes permits: read";
    let end = "expires in 12 days, and has no successor in the registry";
    let alerts = [
        sample::alert(),
        rides("scope-violation", Level::Medium, scope),
        rides("scope-violation", Level::Medium, "a further one"),
        sample::earlier(),
        rides("lifecycle", Level::Low, end),
    ];
    let text = incident(&sample::incident(), &alerts, &context(&[])).text;
    let also = format!(
        "\nAlso\n  scope-violation (medium): accepted for DELETE /v1/items/{{id}}, which none of\n  \
         its scopes permits: read\n  lifecycle (low): {end}\n\n"
    );
    assert!(text.contains(&also), "{text}");
    let row = text.lines().find(|line| line.contains("  lifecycle  ")).unwrap();
    assert!(!row.contains("203.0.113.7") && !row.contains("NG"), "{row}");
    let later = Incident { revision: 2, ..sample::incident() };
    let told = [sample::alert(), Alert { time: NOW, ..rides("lifecycle", Level::Low, end) }];
    for alerts in [&alerts[..], &told] {
        let update = incident(&later, alerts, &context(&[])).text;
        let update = update.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(update.matches(end).count(), 1, "{update}");
    }
    assert!(!mail().text.contains("\nAlso\n"), "the new country is under Why");
}

#[test]
fn a_mail_names_a_rule_that_many_alerts_of_another_kept_out_of_its_table() {
    let mut alerts = vec![sample::alert(); 12];
    alerts.push(rides("lifecycle", Level::Low, "expires in 12 days"));
    assert_eq!(named(&alerts), BTreeSet::from(["unusual-use", "lifecycle"]));
    let text = incident(&sample::incident(), &alerts, &context(&[])).text;
    assert!(text.contains("\nAlso\n  lifecycle (low): expires in 12 days\n"), "{text}");
}

#[test]
fn long_lists_end_with_how_many_are_missing() {
    let mut alert = sample::alert();
    alert.evidence = vec![alert.evidence[0]; 8];
    alert.reasons = vec![alert.reasons[0].clone(); 20];
    let alerts = vec![alert; 30];
    let all = Incident { alerts: 5000, ..sample::incident() };
    let text = incident(&all, &alerts, &context(&[])).text;
    for more in ["and 3 more", "and 8 more", "and 4990 more"] {
        assert!(text.contains(more), "{more}: {text}");
    }
}

fn many() -> Vec<Alert> {
    let numbered = |n: i64| Alert {
        incident: format!("in_{n:04}").into(),
        principal: format!("client-{}", n % 25).into(),
        time: NOW.plus(n * MINUTE),
        ..if n % 3 == 0 { sample::alert() } else { sample::earlier() }
    };
    (0..60).map(numbered).collect()
}

#[test]
fn a_digest_counts_and_lists() {
    let alerts = [sample::earlier(), sample::alert(), many().swap_remove(7)];
    let daily = Digest {
        id: "digest.2026-11-23",
        bundle: Bundle::Daily { day: "2026-11-23", mutes: &[] },
        alerts: &alerts,
        n_alerts: 3,
        n_incidents: 2,
    };
    let mail = digest(&daily, &context(&[]));
    assert_eq!(mail.subject, "[tokenwatch] HIGH Daily digest of 2026-11-23: 3 alerts");
    assert_eq!(mail.message_id, "<digest.2026-11-23@log1.example.org>");
    insta::assert_snapshot!(mail.text);
}

/// A mute that has ended, of one principal or of several.
pub(super) fn ended(
    scope: Scope,
    reason: &str,
    n_alerts: u64,
    principals: &[&str],
    level: Level,
) -> EndedMute {
    let (since, until) = (NOW.plus(-MINUTE), Some(NOW));
    let mute = Mute { id: 3, scope, reason: reason.into(), since, until, after: 0 };
    let principals = principals.iter().map(|name| (*name).into()).collect();
    EndedMute { mute, n_alerts, principals, level }
}

#[test]
fn a_digest_says_what_mutes_kept_back_once_they_have_ended() {
    let rule = Scope { rule: "new-client".into(), ..Scope::default() };
    let whom = Scope { principal: "deploy-bot".into(), ..Scope::default() };
    let mutes = [
        ended(rule, "new release", 12, &["ana", "deploy-bot"], Level::Low),
        ended(whom, "migration", 2, &["deploy-bot"], Level::Critical),
    ];
    let bundle = Bundle::Daily { day: "2026-11-23", mutes: &mutes };
    let none = Digest { id: "d", bundle, alerts: &[], n_alerts: 0, n_incidents: 0 };
    let mail = digest(&none, &context(&[]));
    assert_eq!(
        mail.subject,
        "[tokenwatch] CRITICAL Daily digest of 2026-11-23: 0 alerts and 14 muted"
    );
    insta::assert_snapshot!(mail.text);
}

#[test]
fn a_digest_of_many_is_bounded_and_exact() {
    let alerts = many();
    let overflow = Digest {
        id: "overflow.1",
        bundle: Bundle::Overflow(20),
        alerts: &alerts,
        n_alerts: 100_000,
        n_incidents: 90_000,
    };
    let mail = digest(&overflow, &context(&[]));
    assert_eq!(mail.subject, "[tokenwatch] HIGH 90,000 incidents beyond 20 mails per hour");
    assert!(mail.text.contains("100,000 alerts in 90,000 incidents"), "{}", mail.text);
    assert!(
        mail.text.contains("and 89,950 incidents and 99,940 further alerts more"),
        "{}",
        mail.text
    );
    assert!(mail.text.contains("and 5 more"), "{}", mail.text);
    assert!(mail.html.len() < 100_000);
    assert_eq!(mail.alerts.len(), MAX_IDS);
}

/// Alerts of one incident, one of each rule.
fn of_rules(incident: &str, rules: &[&str]) -> Vec<Alert> {
    let of = |rule: &&str| {
        let mut alert = Alert { incident: incident.into(), ..sample::alert() };
        alert.rule.name = (*rule).into();
        alert
    };
    rules.iter().map(of).collect()
}

#[test]
fn what_a_score_consists_of_hid_a_rule_in_the_line_of_a_digest() {
    let alerts = of_rules("in", &["unusual-use", "a", "b", "c"]);
    let bundle = Bundle::Overflow(5);
    let of = Digest { id: "d", bundle, alerts: &alerts, n_alerts: 4, n_incidents: 1 };
    let text = digest(&of, &context(&[])).text;
    assert!(text.contains("  a, b, c, unusual use  "), "{text}");
    assert_eq!(listed(&alerts, &alerts), BTreeSet::from(["in".into()]));
}

#[test]
fn a_digest_did_not_say_what_happened_nor_how_to_answer() {
    let client = "client Firefox, never seen in 12 active days";
    let end = "expires in 12 days, and has no successor in the registry";
    let named = |incident: &str, alert| Alert { incident: incident.into(), ..alert };
    let alerts = [
        named("in_00112233445566aa", rides("new-client", Level::Low, client)),
        named("in_ffeeddccbbaa9988", rides("lifecycle", Level::Low, end)),
    ];
    let bundle = Bundle::Daily { day: "2026-11-23", mutes: &[] };
    let of = Digest { id: "d", bundle, alerts: &alerts, n_alerts: 2, n_incidents: 2 };
    let text = digest(&of, &context(&[])).text;
    let row = |what: &str| {
        let row = text.lines().find(|line| line.contains(what)).unwrap();
        row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    let since = "2026-11-23 17:00";
    let first = ["low", "ci-deploy", "new client", client, "Lagos, NG", "1", "in_0011223344"];
    assert_eq!(row("Firefox"), [&[since], &first[..]].concat());
    let cut = "expires in 12 days, and has no successor in the ...";
    let second = ["low", "ci-deploy", "lifecycle", cut, "1", "in_ffeeddccbb"];
    assert_eq!(row("expires"), [&[since], &second[..]].concat());
    assert!(text.contains("  tokenwatch alerts ack INCIDENT --expected\n"), "{text}");
}

#[test]
fn a_digest_lists_incidents_whose_rules_it_all_names() {
    let names: Vec<String> = (0..9).map(|n| format!("rule-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (eight, nine) = (of_rules("eight", &names[..8]), of_rules("nine", &names));
    let both = [eight.as_slice(), &nine].concat();
    assert_eq!(listed(&both, &both), BTreeSet::from(["eight".into()]), "nine do not fit");
    assert_eq!(listed(&eight[..7], &eight), BTreeSet::new(), "one is not among the heaviest");
    let twice = [eight.as_slice(), &eight].concat();
    assert_eq!(listed(&eight, &twice), BTreeSet::from(["eight".into()]), "its rule is named");
    let many = many();
    assert_eq!(listed(&many, &many).len(), 50, "the others are only counted");
}

#[test]
fn a_digest_of_nothing_is_a_mail_too() {
    let none = Digest {
        id: "d",
        bundle: Bundle::Daily { day: "2026-11-23", mutes: &[] },
        alerts: &[],
        n_alerts: 0,
        n_incidents: 0,
    };
    let mail = digest(&none, &context(&[]));
    assert_eq!(mail.subject, "[tokenwatch] Daily digest of 2026-11-23: 0 alerts");
}

#[test]
fn the_digest_before_a_replay_was_called_the_daily_digest_of_until() {
    let day = format!("{UNTIL}{NOW}");
    let bundle = Bundle::Daily { day: &day, mutes: &[] };
    let of = Digest { id: "d", bundle, alerts: &[sample::alert()], n_alerts: 3, n_incidents: 1 };
    let subject = digest(&of, &context(&[])).subject;
    assert_eq!(subject, "[tokenwatch] HIGH Digest up to 2026-11-23T17:10:33Z: 3 alerts");
}

#[test]
fn the_test_mail_says_what_it_is() {
    let mail = test("7", &context(&[]));
    assert_eq!(mail.message_id, "<test.7@log1.example.org>");
    insta::assert_snapshot!(mail.text);
}

#[test]
fn the_mail_of_a_database_that_takes_nothing_says_what_that_means() {
    let why = "/var/lib/tokenwatch/tokenwatch.db: committing: the disk is full";
    insta::assert_snapshot!(blocked(why, &context(&[])).text);
}
