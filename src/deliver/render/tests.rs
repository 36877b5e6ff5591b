//! Tests of whole mails: what people read, and what attackers cannot make them read.

use smol_str::SmolStr;

use crate::deliver::sample::{self, HOSTILE, NOW};
use crate::engine::alert::{Alert, Incident, Level, Value};
use crate::engine::mute::{EndedMute, Mute, Scope};
use crate::engine::registry::{Background, Mark};
use crate::engine::secret::TokenId;
use crate::engine::time::MINUTE;

use super::*;

fn context<'a>(history: &'a [String]) -> Context<'a> {
    Context { host: &sample::HOST, date: NOW, files: &sample::files, history, background: None }
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

fn mail() -> Mail {
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

/// The text of a mail about the sample alert with other facts and usual values.
fn told(facts: &[(&str, Value)], usual: &[(&str, Value)]) -> String {
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
fn what_to_do_promises_what_the_words_do() {
    let flag = |name: &'static str| (name, Value::Bool(true));
    let usual = told(&[flag("unusual.accepted")], &[]);
    assert!(usual.contains("if this was you: it is learned as normal"), "{usual}");
    let revoked = told(&[flag("revoked.accepted")], &[]);
    assert!(revoked.contains("such use of the token is reported again"), "{revoked}");
    assert!(!revoked.contains("alerts mute"), "{revoked}");
    let exposed = told(&[flag("url.accepted")], &[]);
    let mute = "alerts mute --rule unusual-use --principal ci-deploy --route 'GET /v1/items/{id}'";
    assert!(exposed.contains(mute), "{exposed}");
    let stolen = told(&[flag("url.accepted"), flag("unusual.accepted")], &[]);
    assert!(stolen.contains("it is learned as normal"), "{stolen}");
    assert!(!stolen.contains("alerts mute"), "{stolen}");
    let fleet = told(&[("fleet.change", Value::Text("network".into()))], &[]);
    assert!(
        fleet.contains("it no longer counts as evidence") && !fleet.contains("learned"),
        "{fleet}"
    );
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
fn ended(
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

/// Checks that a mail about hostile text shows it and nothing more.
fn check(mail: &Mail) {
    let headers = [&mail.subject, &mail.message_id, mail.thread.as_ref().unwrap_or(&mail.subject)];
    for header in headers {
        assert!(!header.contains(|c: char| c.is_control() || c == '\u{202e}'), "{header:?}");
        assert!(!header.contains("<script"), "{header:?}");
    }
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains(['\r', '\u{202e}', '\u{1b}']), "{part}");
        assert!(!part.lines().any(|line| line.starts_with("Bcc")), "{part}");
        assert!(!part.contains("https://"), "{part}");
    }
    assert!(!mail.html.contains("<script") && !mail.html.contains("\"'&\\u"), "{}", mail.html);
    assert!(!mail.html.contains("href") && !mail.html.contains("src="), "{}", mail.html);
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let hostile = Incident {
        id: HOSTILE.into(),
        principal: HOSTILE.into(),
        revision: 2,
        ..sample::incident()
    };
    let (history, host) = ([HOSTILE.to_owned()], sample::named(HOSTILE));
    let background = sample::hostile_background();
    let context = Context {
        host: &host,
        files: &|_| Some(HOSTILE.to_owned()),
        background: Some(&background),
        ..context(&history)
    };
    let alerts = [sample::hostile(), sample::alert(), sample::hostile()];
    let told = incident(&hostile, &alerts, &context);
    check(&told);
    let shown = "evil@example.org\\u{d}\\u{a}\\u{d}\\u{a}<script>alert(1)</script>\"'&\\u{202e}gpj";
    assert!(told.text.contains(shown), "{}", told.text);
    assert!(told.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u{202e}"));
    let scope = Scope { rule: HOSTILE.into(), client: HOSTILE.into(), ..Scope::default() };
    let mutes = [ended(scope, HOSTILE, 1, &[HOSTILE], Level::High)];
    let bundle = Bundle::Daily { day: HOSTILE, mutes: &mutes };
    let (id, n_alerts, n_incidents) = (HOSTILE, 2, 2);
    check(&digest(&Digest { id, bundle, alerts: &alerts, n_alerts, n_incidents }, &context));
    check(&test(HOSTILE, &context));
    check(&blocked(HOSTILE, &context));
}

#[test]
fn commands_cannot_carry_what_a_shell_would_read() {
    let hostile = Incident { id: "$(id)".into(), ..sample::incident() };
    let mut alert = sample::alert();
    alert.token.as_mut().unwrap().name = "`id`; rm -rf /".into();
    let text = incident(&hostile, &[alert], &context(&[])).text;
    let commands = text.lines().filter(|line| line.trim_start().starts_with("tokenwatch "));
    assert!(commands.clone().count() == 2, "{text}");
    for command in commands {
        assert!(!command.contains(['$', '`', ';']), "{command}");
    }
}
