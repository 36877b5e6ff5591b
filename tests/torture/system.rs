//! Section f: signals in a storm, rules that would cost time, secrets in what the program says of itself.

use std::fs;
use std::time::{Duration, Instant};

use crate::program::Home;
use crate::site::Site;

/// What `check` may take for rules that are meant to be slow. Generous: debug builds on busy machines.
const LONGEST_CHECK: Duration = Duration::from_secs(30);

#[test]
fn a_storm_of_reloads_disturbs_no_count() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    for n in 0..200 {
        daemon.signal("HUP");
        site.append("logs/a.log", 1 + n % 3);
    }
    site.wait();
    site.wait_for_word("The configuration was reloaded.");
    site.prove(daemon);
}

#[test]
fn an_end_in_the_middle_of_commits_is_exact() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    for n in 0..20 {
        let daemon = site.start();
        for _ in 0..n {
            site.append("logs/a.log", 10);
        }
        assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    }
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

/// A rule whose condition is a regular expression.
fn rule(expression: &str) -> String {
    format!(
        "title: Slow\nid: 5f0c8f6e-6a9f-4f0e-9d53-0a4c1b7e2d11\nname: slow\n\
         logsource: {{ product: tokenwatch, category: token_activity }}\n\
         detection:\n  selection:\n    url.path|re: '{expression}'\n  condition: selection\nlevel: low\n"
    )
}

#[test]
fn rules_that_would_cost_time_or_memory_are_refused_or_linear() {
    let home = Home::new("[rules]\ndir = \"rules.d\"\n");
    fs::create_dir(home.path("rules.d")).unwrap();
    // Exponential for an engine that goes back; this one reads each byte once.
    for (expression, status) in [
        ("(a+)+$".to_owned(), 0),
        ("((a{1000}){1000}){1000}".to_owned(), 78),
        ("x".repeat(50_000), 0),
        ("x".repeat(10 << 20), 78),
    ] {
        fs::write(home.path("rules.d/own.yml"), rule(&expression)).unwrap();
        let began = Instant::now();
        let output = home.output(&["check"]);
        let head = &expression[..expression.len().min(30)];
        assert_eq!(
            output.status.code(),
            Some(status),
            "{head}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        println!("{head}: {:?}", began.elapsed());
        assert!(began.elapsed() < LONGEST_CHECK, "{head}: {:?}", began.elapsed());
    }
}

#[test]
fn a_hostile_line_under_a_nested_rule_is_judged_at_once() {
    let home = Home::new("[rules]\ndir = \"rules.d\"\n");
    fs::create_dir(home.path("rules.d")).unwrap();
    fs::write(home.path("rules.d/own.yml"), rule("(a+)+$")).unwrap();
    let path = "a".repeat(60_000);
    let line = format!(
        "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /{path}! HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \
         \"Bearer exk_5b1f0c92d7a8463e9c0fb7d1264e83a5\"\n"
    );
    home.append("logs/a.log", line.repeat(20));
    let began = Instant::now();
    home.print(&["replay", "logs"]);
    assert!(began.elapsed() < LONGEST_CHECK, "{:?}", began.elapsed());
}
