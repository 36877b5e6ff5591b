//! Which rules are in force, and which ones match.

use std::collections::BTreeSet;

use rsigma_parser::parse_sigma_yaml;

use super::*;
use crate::engine::alert::{Facts, Level, Value};
use crate::engine::detect::{self, About};
use crate::engine::geo::Place;
use crate::engine::profile::tests::usage;
use crate::engine::usage::{Carrier, Usage};

pub(super) const ID: &str = "0f0b7f2e-6a53-4c53-9a14-3f7c5d2c7a10";

/// A rule of the site's own, with one line replaced by another.
pub(super) fn rule(from: &str, to: &str) -> String {
    let text = format!(
        "title: Own\nid: {ID}\nname: own\nlogsource: {{ product: tokenwatch }}\n\
         detection:\n  selection:\n    new.country: NG\n  condition: selection\nlevel: high\n"
    );
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

pub(super) fn set(files: &[(&str, &str)], disabled: &[&str]) -> (RuleSet, Vec<String>) {
    let disabled = disabled.iter().zip(1..).map(|(name, column)| {
        let at = Some(Spot { line: 2, column });
        Disabled { name: (*name).into(), file: "site.toml".into(), at }
    });
    let disabled: Vec<Disabled> = disabled.collect();
    let (set, faults) = RuleSet::new(files.iter().copied(), &disabled);
    (set, faults.iter().map(ToString::to_string).collect())
}

fn matching<'a>(set: &'a RuleSet, values: &[(&'static str, Value)]) -> Vec<(&'a str, Level)> {
    let facts = Facts { values: values.to_vec(), ..Facts::default() };
    let (usage, place) = (usage(0), Place::default());
    let view = View {
        about: About::Usages,
        usage: Some((&usage, &place)),
        principal: "orders",
        facts: &facts,
    };
    set.matching(&view).iter().map(|rule| (rule.head.name.as_str(), rule.head.level)).collect()
}

#[test]
fn the_built_in_rules_are_whole() {
    let (set, faults) = set(&[], &[]);
    assert_eq!(faults, [""; 0]);
    assert!(set.rules().len() >= BUILT_IN.len());
    for rule in set.rules() {
        let name = rule.head.name.as_str();
        assert_eq!(rule.file, format!("{name}.yml"));
        assert!(detect::ALL.iter().any(|detector| detector.name == name), "no detector: {name}");
        assert_eq!(
            (rule.head.id.len(), rule.head.id.find("-4")),
            (36, Some(13)),
            "{name}: not a UUID v4"
        );
        assert!(!rule.once.per.is_empty() && rule.once.within > 0, "{name}");
    }
    let ids: BTreeSet<&str> = set.rules().iter().map(|rule| rule.head.id.as_str()).collect();
    assert_eq!(ids.len(), set.rules().len(), "an id twice");
}

#[test]
fn the_built_in_rules_say_what_they_are_for() {
    let files = BUILT_IN.iter().map(|(_, text)| parse_sigma_yaml(text).unwrap());
    let rules: Vec<_> = files.flat_map(|file| file.rules).collect();
    assert_eq!(rules.len(), RuleSet::built_in().rules().len());
    for rule in rules {
        let name = rule.name.unwrap();
        assert!(rule.description.is_some_and(|text| !text.is_empty()), "{name}");
        assert!(!rule.falsepositives.is_empty(), "{name}");
        assert!(rule.tags.iter().any(|tag| tag.starts_with("attack.t")), "{name}");
    }
}

#[test]
fn every_detector_has_a_rule() {
    let set = RuleSet::built_in();
    for detector in detect::ALL {
        assert!(
            set.rules().iter().any(|rule| rule.head.name == detector.name),
            "{}",
            detector.name
        );
    }
}

#[test]
fn a_rule_about_logs_names_facts_of_logs_only_and_sees_no_usage() {
    let own = |category: &str, field: &str| {
        format!(
            "title: Own\nid: 7b1f4f0e-3f0c-4a39-b7a0-6c1b9a1f2d34\nname: own\n\
             logsource: {{product: tokenwatch, category: {category}}}\n\
             detection: {{selection: {{{field}}}, condition: selection}}\nlevel: low\n"
        )
    };
    let faults = |category, field| set(&[("own.yml", &own(category, field))], &[]).1;
    assert_eq!(faults("monitor_health", "health.lines|gte: 5"), [""; 0]);
    assert_eq!(faults("monitor_health", "principal|contains: nginx"), [""; 0]);
    assert!(
        faults("monitor_health", "url.path: /")[0].contains("unknown field or fact `url.path`")
    );
    assert!(faults("token_activity", "health.lines|gte: 5")[0].contains("unknown field or fact"));
    // A rule without facts is no reason to evaluate every usage.
    let (rules, _) = set(&[("own.yml", &own("monitor_health", "principal|contains: n"))], &[]);
    assert!(!rules.has_plain);
}

#[test]
fn a_rule_of_the_site_joins_the_built_in_ones() {
    let text = rule("", "");
    let (set, faults) = set(&[("own.yml", &text)], &[]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(set.rules().len(), RuleSet::built_in().rules().len() + 1);
    let own = set.rules().last().unwrap();
    assert_eq!(
        (own.head.name.as_str(), own.head.level, &own.once),
        ("own", Level::High, &Once::default())
    );
    let told = matching(&set, &[("new.country", Value::Text("NG".into()))]);
    assert_eq!(told, [("own", Level::High), ("new-country", Level::Low)]);
    assert_eq!(
        matching(&set, &[("new.country", Value::Text("PT".into()))]),
        [("new-country", Level::Low)]
    );
    assert_eq!(matching(&set, &[]), []);
}

#[test]
fn a_rule_with_a_known_id_replaces_the_built_in_one() {
    let built_in = RuleSet::built_in();
    let known = built_in.rules().iter().find(|rule| rule.head.name == "new-client").unwrap();
    let text = rule(ID, &known.head.id);
    let (set, faults) = set(&[("own.yml", &text)], &[]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(set.rules().len(), built_in.rules().len());
    assert!(set.rules().iter().all(|rule| rule.head.name != "new-client"));
    assert_eq!(matching(&set, &[("new.client", Value::Text("curl".into()))]), []);
}

#[test]
fn a_disabled_name_takes_all_its_rules_out() {
    let (without, faults) = set(&[], &["unusual-use", "unusal-use", "zzz"]);
    assert_eq!(
        faults,
        [
            "site.toml:2:2: no rule is named \"unusal-use\", did you mean \"unusual-use\"?",
            "site.toml:2:3: no rule is named \"zzz\"; `tokenwatch rules list` shows the names"
        ]
    );
    assert!(without.rules().iter().all(|rule| rule.head.name != "unusual-use"));
    assert_eq!(without.rules().len() + 3, RuleSet::built_in().rules().len());
}

#[test]
fn rules_for_web_servers_and_proxies_are_for_us_too() {
    for source in
        ["product: tokenwatch, category: token_activity", "category: webserver", "category: proxy"]
    {
        let text = rule("product: tokenwatch", source);
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [""; 0], "{source}");
        assert_eq!(set.rules().last().unwrap().head.name, "own");
    }
}

#[test]
fn rules_of_one_name_count_once_at_their_worst() {
    let set = RuleSet::built_in();
    let both = [
        ("new.country", Value::Text("NG".into())),
        ("pinned.country", Value::Text("NG".into())),
        ("revoked.accepted", Value::Bool(true)),
    ];
    assert_eq!(
        matching(&set, &both),
        [("revoked-token-used", Level::Critical), ("new-country", Level::High)]
    );
}

#[test]
fn the_levels_of_unusual_use_follow_the_tiers_whatever_the_score() {
    let set = RuleSet::built_in();
    for (tier, level) in [(1, Level::Medium), (2, Level::High), (3, Level::Critical)] {
        for score in [3.0, 6.0, 8.0, 10.0, 20.0] {
            let facts =
                [("unusual.score", Value::Float(score)), ("unusual.tier", Value::Int(tier))];
            assert_eq!(matching(&set, &facts), [("unusual-use", level)], "{score}");
        }
    }
}

#[test]
fn fields_go_by_their_ecs_and_their_sigma_names() {
    for field in [
        "source.ip: 192.0.2.10",
        "c-ip|cidr: 192.0.2.0/24",
        "cs-method: GET",
        "cs-uri-stem|startswith: /v1/",
        "sc-status: 200",
        "sc-bytes|gte: 600",
        "cs-user-agent: orders-sync",
        "cs-username: orders",
        "cs-host: api",
        "event.outcome: ok",
        "token.kind: opaque",
        "token.carrier: 'header:authorization'",
    ] {
        let text = rule("new.country: NG", field);
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [""; 0], "{field}");
        assert_eq!(matching(&set, &[]), [("own", Level::High)], "{field}");
    }
}

#[test]
fn only_rules_that_need_no_fact_are_asked_about_a_usual_usage() {
    assert!(!RuleSet::built_in().has_plain);
    let is_plain = |detection: &str, condition: &str| {
        let text = rule("new.country: NG", detection)
            .replace("condition: selection", &format!("condition: {condition}"));
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [""; 0], "{detection}, {condition}");
        set.has_plain
    };
    assert!(is_plain("url.path: /admin", "selection"));
    assert!(is_plain("new.country: NG", "not selection"));
    assert!(is_plain("new.country|exists: false", "selection"));
    assert!(is_plain("new.country: null", "selection"));
    assert!(!is_plain("new.country: NG", "selection"));
    assert!(!is_plain("new.country: NG", "1 of selection*"));
    assert!(!is_plain("new.country: NG\n    url.path: /admin", "selection"));
    let both = "new.country: NG\n  place:\n    url.path: /admin";
    assert!(!is_plain(both, "selection and not place"));
    assert!(is_plain(both, "selection or place"));
}

/// The evaluator, which evaluates every rule, gives the same result.
#[test]
fn a_rule_that_is_not_asked_would_not_have_matched() {
    let known = [
        ("new.country", Value::Text("NG".into())),
        ("new.country", Value::Text("PT".into())),
        ("new.client", Value::Text("curl".into())),
        ("url.count", Value::Int(3)),
    ];
    let one = "new.country: NG";
    let two = "new.country: NG\n  other:\n    new.client|exists: true";
    let absent = "new.country: NG\n  other:\n    new.client: null";
    for (detection, condition) in [
        (one, "selection"),
        (one, "not selection"),
        ("new.country: NG\n    url.path|startswith: /", "selection"),
        ("new.country: null", "selection"),
        ("url.count|gt: 2", "selection"),
        (two, "selection and other"),
        (two, "selection or other"),
        (two, "other and not selection"),
        (two, "1 of them"),
        (two, "not 1 of them"),
        (two, "all of them"),
        (absent, "selection and other"),
        (absent, "selection or other"),
        ("new.country: NG\n  words:\n    - curl", "words"),
        ("new.country: NG\n  words:\n    - curl", "selection and not words"),
    ] {
        let text = rule(one, detection)
            .replace("condition: selection", &format!("condition: {condition}"));
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [""; 0], "{text}");
        let sigma = parse_sigma_yaml(&text).unwrap();
        let compiled = rsigma_eval::compile_rule(&sigma.rules[0]).unwrap();
        for which in 0..1 << known.len() {
            let values = known.iter().enumerate().filter(|(n, _)| which >> n & 1 == 1);
            let values = values.map(|(_, fact)| fact.clone()).collect();
            let facts = Facts { values, ..Facts::default() };
            let (usage, place) = (usage(0), Place::default());
            let usage = Some((&usage, &place));
            let view = View { about: About::Usages, usage, principal: "orders", facts: &facts };
            let is_told = set.matching(&view).iter().any(|rule| rule.head.name == "own");
            let matches = rsigma_eval::evaluate_rule(&compiled, &view).is_some();
            assert_eq!(is_told, matches, "{detection}, {condition}: {facts:?}");
        }
    }
}

/// The tables in `rules/README.md` match the program; a failure lists the rows to insert.
#[test]
fn the_readme_names_all_facts_fields_and_rules() {
    let mut rows = Vec::new();
    for rule in RuleSet::built_in().rules() {
        rows.push(format!("| `{}` | {} | {} |", rule.head.name, rule.head.level, rule.head.title));
    }
    for detector in detect::ALL {
        let facts = detector.facts.iter();
        rows.extend(
            facts.map(|fact| format!("| `{}` | {} | `{}` |", fact.name, fact.about, detector.name)),
        );
    }
    for (ecs, sigma) in view::FIELDS {
        let sigma = if sigma.is_empty() { "" } else { &format!("`{sigma}`") };
        rows.push(format!("| `{ecs}` | {sigma} |"));
    }
    let readme = include_str!("../../../rules/README.md");
    rows.retain(|row| !readme.lines().any(|line| line.starts_with(row.as_str())));
    assert!(rows.is_empty(), "missing:\n{}", rows.join("\n"));
}

/// The worked example in `rules/README.md` is a rule, and its examples are met.
#[test]
fn the_worked_example_of_the_readme_works() {
    let readme = include_str!("../../../rules/README.md");
    let text = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (with_it, faults) = set(&[("own.yml", text)], &[]);
    assert_eq!(faults, [""; 0]);
    let with_it = std::sync::Arc::new(with_it);
    let outcomes = crate::engine::trial::try_rule(with_it.rules().last().unwrap(), &with_it);
    assert!(outcomes.len() >= 3);
    assert!(outcomes.iter().all(|outcome| outcome.fault.is_none()), "{outcomes:?}");
}

#[test]
fn a_token_in_a_referer_was_taken_for_a_use_by_a_sites_own_rule() {
    let judges = |detection: &str, carrier: &Carrier| {
        let text = rule("new.country: NG", detection);
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [""; 0], "{detection}");
        let used = Usage { carrier: carrier.clone(), ..usage(0) };
        let (place, facts) = (Place::default(), Facts::default());
        let usage = Some((&used, &place));
        let view = View { about: About::Usages, usage, principal: "orders", facts: &facts };
        set.matching(&view).iter().any(|rule| rule.head.name == "own")
    };
    let [header, referer] = [Carrier::Header, Carrier::Referer].map(|of| of("token".into()));
    let export = "url.path|startswith: /v1";
    assert!(judges(export, &header) && !judges(export, &referer));
    let carrier = "token.carrier|startswith: referer";
    assert!(judges(carrier, &referer) && !judges(carrier, &header));
}
