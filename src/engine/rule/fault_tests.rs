//! How faulty rules are reported.

use super::read::MAX_FILE;
use super::tests::{ID, rule, set};
use super::*;

#[test]
fn a_value_that_a_field_never_has_is_a_fault() {
    for (detection, expected) in [
        ("event.outcome: success", "one of ok, redirected, denied, failed, unknown"),
        ("event.outcome: [ok, denyed]", "did you mean `denied`?"),
        ("new.network_kind: home", "one of residential, mobile, hosting, vpn, business"),
        ("source.geo.country_iso_code: germany", "a country code of two letters"),
        ("source.as.number: AS64500", "a number, as in 64500"),
        ("sc-status: forbidden", "a number, as in 403"),
        ("lifecycle.what: [expires, never-expire]", "did you mean `never-expires`?"),
        ("transport.scheme: https", "one of http, old-tls"),
        ("dead.how: gone", "one of expired, revoked, rotated"),
        ("objects.order: 5", "one of rising, falling, scattered"),
        ("url.carrier: header", "one of query, path, userinfo"),
        ("url.accepted: maybe", "one of true, false"),
        (
            "source.geo.country_iso_code|cased: de",
            "never \"de\": it is a country code of two letters",
        ),
        ("event.outcome|cased: OK", "one of ok, redirected"),
        ("user_agent.name: ''", "it is absent then, as in `user_agent.name: null`"),
        ("new.country: [ng, null]", "write `new.country: null` as a selection of its own"),
        (
            "url.accepted|exists: 'false'",
            "`url.accepted|exists` is `true` or `false`, without quotes",
        ),
        ("url.accepted|exists: no", "`true` or `false`"),
    ] {
        let (_, faults) = set(&[("own.yml", &rule("new.country: NG", detection))], &[]);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{detection}: {faults:?}");
    }
    for detection in [
        "event.outcome: [OK, denied]",
        "event.outcome|contains: den",
        "new.country: null",
        "url.parameter: ''",
        "url.accepted: 'true'",
        "url.accepted|exists: false",
        "transport.scheme: [HTTP, old-tls]",
        "source.geo.country_iso_code|cased: DE",
        "source.as.number: 64500",
        "source.geo.country_iso_code: '*'",
        "url.path: /v1/export/{id}",
    ] {
        let (_, faults) = set(&[("own.yml", &rule("new.country: NG", detection))], &[]);
        assert_eq!(faults, [""; 0], "{detection}");
    }
}

#[test]
fn of_two_own_rules_with_one_id_the_first_stays_and_the_second_is_told() {
    let (a, b) = (rule("", ""), rule("name: own", "name: other"));
    let (set, faults) = set(&[("a.yml", &a), ("b.yml", &b)], &[]);
    assert_eq!(faults, [format!("b.yml: rule other: the id {ID} is that of own in a.yml already")]);
    assert_eq!(set.rules().last().unwrap().head.name, "own");
}

#[test]
fn faulty_rules_are_left_out_and_told() {
    let id_line = format!("id: {ID}\n");
    let cases = [
        (id_line.as_str(), "", "`id` has to be a UUID"),
        ("name: own\n", "", "`name` has to be a name such as `new-country`"),
        ("level: high\n", "", "`level` has to be one of informational, low"),
        ("level: high", "level: hihg", "`level` has to be one of informational, low"),
        (
            "level: high",
            "level: high\nonce: [token]",
            "unknown key `once`, did you mean `once_per`?",
        ),
        ("new.country: NG", "new.country|re: '([a'", "regex parse error: ([a ^ error: unclosed"),
        ("level: high", "level: high\nonce_per: [tokens]", "once_per: unknown variant `tokens`"),
        ("level: high", "level: high\nonce_per: token", "once_per: invalid type"),
        (
            "level: high",
            "level: high\nwithin: 1y",
            "within: expected a duration such as 24h, found \"1y\"",
        ),
        ("level: high", "level: high\nwithin: 24", "within: invalid type"),
        ("level: high", "level: high\nexamples: { fires: [] }", "examples: unknown field `fires`"),
        (
            "new.country:",
            "new.county:",
            "unknown field or fact `new.county`, did you mean `new.country`?",
        ),
        (
            "product: tokenwatch",
            "product: windows, service: security",
            "logsource: expected product tokenwatch, or category webserver or proxy, found product windows, service security",
        ),
        ("product: tokenwatch", "product: apache, category: webserver", "found product apache"),
        ("product: tokenwatch", "product: tokenwatch, category: webserver", "found product"),
        ("product: tokenwatch", "product: tokenwatch, service: api", "service api"),
        ("product: tokenwatch", "category: process_creation", "found category process_creation"),
        ("{ product: tokenwatch }", "{}", "logsource"),
        ("new.country:", "cs-uri-query:", "unknown field or fact `cs-uri-query`"),
        ("new.country:", "new.country|contians:", "contians"),
        ("condition: selection", "condition: selction", "selction"),
        ("title: Own", "title: [", ""),
    ];
    for (from, to, expected) in cases {
        let text = rule(from, to);
        let (set, faults) = set(&[("own.yml", &text)], &[]);
        assert!(faults.iter().any(|fault| fault.starts_with("own.yml:")), "{to}: {faults:?}");
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{to}: {faults:?}");
        assert!(set.rules().iter().all(|rule| rule.head.name != "own"), "{to}");
    }
}

#[test]
fn all_that_is_wrong_with_a_rule_is_told_where_it_stands() {
    let text = rule("level: high", "level: hihg\nwithin: 1y\nfalsepositive: [x]");
    let text = text.replace("new.country:", "new.county:");
    let (_, faults) = set(&[("own.yml", &text)], &[]);
    for (key, expected) in [
        ("level:", "`level` has to be one of"),
        ("within:", "within: expected a duration"),
        ("falsepositive:", "unknown key `falsepositive`, did you mean `falsepositives`?"),
        ("new.county:", "unknown field or fact `new.county`"),
    ] {
        let line = 1 + text.lines().position(|line| line.trim_start().starts_with(key)).unwrap();
        let column = if key.starts_with("new.") { 5 } else { 1 };
        let place = format!("own.yml:{line}:{column}: rule \"Own\": ");
        let is_told = |fault: &String| fault.starts_with(&place) && fault.contains(expected);
        assert!(faults.iter().any(is_told), "{place}{expected}: {faults:#?}");
    }
}

#[test]
fn a_modifier_that_is_none_hid_all_other_faults_of_its_rule() {
    let text = rule("level: high", "level: hihg\nwithn: 24h");
    let text =
        text.replace("new.country: NG", "new.country|startwith: N\n    new.county|contians: G");
    let text = text.replace("condition: selection", "condition: selction");
    let (set, mut faults) = set(&[("own.yml", &text)], &[]);
    faults.sort();
    let expected = [
        "own.yml:10:1: rule \"Own\": `level` has to be one of informational, low, medium, high, critical",
        "own.yml:11:1: rule \"Own\": unknown key `withn`, did you mean `within`?",
        "own.yml:7:17: unknown modifier `startwith`, did you mean `startswith`?",
        "own.yml:8:16: unknown modifier `contians`, did you mean `contains`?",
        "own.yml:8:5: rule \"Own\": unknown field or fact `new.county`, did you mean `new.country`?",
        "own.yml:9:3: rule \"Own\": unknown detection identifier: selction",
    ];
    assert_eq!(faults, expected);
    assert!(set.rules().iter().all(|rule| rule.head.name != "own"));
}

#[test]
fn a_rule_is_not_in_force_without_a_modifier_that_is_none() {
    let faulty = rule("new.country:", "new.country|startwith:");
    let whole = faulty.replace("startwith", "startswith").replace("0f0b7f2e", "0f0b7f2f");
    let two = format!("{faulty}---\n{}", whole.replace("name: own", "name: other"));
    let (set, faults) = set(&[("own.yml", &two)], &[]);
    assert_eq!(faults, ["own.yml:7:17: unknown modifier `startwith`, did you mean `startswith`?"]);
    let is_there = |name| set.rules().iter().any(|rule| rule.head.name == name);
    assert!(!is_there("own") && is_there("other"));
}

#[test]
fn keys_that_are_alike_without_a_modifier_are_told_no_fault_that_they_do_not_have() {
    let two = "new.country|contians: N\n    new.country: G";
    let (_, faults) = set(&[("own.yml", &rule("new.country: NG", two))], &[]);
    assert_eq!(faults, ["own.yml: Unknown modifier 'contians'"]);
}

#[test]
fn many_modifiers_that_are_none_are_told_in_bounded_time() {
    let fields: String = (0..4000).map(|n| format!("    f{n}|m{n}: NG\n")).collect();
    let text = rule("    new.country: NG\n", &fields);
    let (_, faults) = set(&[("own.yml", &text)], &[]);
    let is_of_modifier = |fault: &&String| fault.to_lowercase().contains("unknown modifier");
    assert_eq!(faults.iter().filter(is_of_modifier).count(), 17);
}

#[test]
fn no_fault_is_placed_at_a_line_of_another_rule_or_of_another_key() {
    let id = format!("id: {ID}\n");
    let related = format!("related:\n  - {id}    type: derived\n");
    let nameless = rule("name: own\n", "");
    let other = rule(ID, "6d0c0f53-5a0e-4f3b-8f0e-1b7f0a4c9e21");
    let two = format!("# Two.\n---\n{nameless}---\n{other}");
    let field = rule("new.country:", "level:").replace("level: high", "level: hihg");
    for (text, expected) in [
        (rule(&id, &related), "own.yml: rule \"Own\": `id` has to be a UUID"),
        (two, "own.yml: rule \"Own\": `name` has to be"),
        (
            format!("---\n{}", rule("level: high", "level: hihg")),
            "own.yml:10:1: rule \"Own\": `level`",
        ),
        (field.clone(), "own.yml:9:1: rule \"Own\": `level` has to be"),
        (field, "own.yml:7:5: rule \"Own\": unknown field or fact `level`"),
    ] {
        let (_, faults) = set(&[("own.yml", &text)], &[]);
        let is_told = |fault: &String| fault.starts_with(expected);
        assert!(faults.iter().any(is_told), "{expected}: {faults:#?}");
    }
}

#[test]
fn what_is_not_a_plain_rule_is_told() {
    let correlation = "title: Many\nid: 11f6f35d-8c35-4a53-8a51-0e07ad7d1c77\nname: many\n\
        correlation:\n  type: event_count\n  rules: [own]\n  group-by: [principal]\n  timespan: 1h\n  \
        condition:\n    gte: 10\n";
    let filter = "title: Not ours\nlogsource: { product: tokenwatch }\n\
        filter:\n  rules: [own]\n  selection:\n    principal: ci\n  condition: not selection\n";
    let (_, faults) = set(&[("many.yml", correlation), ("filter.yml", filter)], &[]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("correlation rules are not supported"), "{faults:?}");
    assert!(faults[1].contains("filter rules are not supported"), "{faults:?}");
}

#[test]
fn a_fault_of_the_yaml_names_its_line() {
    let text = rule("name: own", "name: own\n  status: stable");
    let (_, faults) = RuleSet::new([("own.yml", text.as_str())], &[]);
    let is_there = |fault: &RuleFault| fault.at.is_some_and(|at| (3..=4).contains(&at.line));
    assert!(faults.iter().any(is_there), "{faults:?}");
}

#[test]
fn a_file_beyond_the_bound_is_refused_unread() {
    let text = format!("title: {}\n", "x".repeat(MAX_FILE));
    let (_, faults) = RuleSet::new([("own.yml", text.as_str())], &[]);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.ends_with("a rule file has 131072 at most"), "{}", faults[0]);
}

#[test]
fn what_the_evaluator_does_not_understand_had_no_place() {
    for (field, expected) in [
        ("source.ip|cidr: 10.0.0.0/99", "`source.ip`: invalid CIDR"),
        ("url.path|re: '(['", "`url.path`: invalid regex pattern"),
        ("url.count|gte: many", "`url.count`: expected numeric value: many"),
    ] {
        let (set, faults) = set(&[("own.yml", &rule("new.country: NG", field))], &[]);
        let expected = format!("own.yml:7:5: rule \"Own\": {expected}");
        assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{faults:?}");
        assert!(set.rules().iter().all(|rule| rule.head.name != "own"));
    }
}

#[test]
fn a_place_within_a_condition_was_taken_for_a_line_of_the_file() {
    for (condition, expected) in [
        (
            "selection and",
            "own.yml:8:27: condition: expected `1 of`, the name of a selection, or `not`",
        ),
        ("'selection | count() > 5'", "own.yml:8:25: condition: expected the end, `or`, or `and`"),
        ("selection and other", "own.yml:8:3: rule \"Own\": unknown detection identifier: other"),
    ] {
        let text = rule("condition: selection", &format!("condition: {condition}"));
        let (_, faults) = set(&[("own.yml", &text)], &[]);
        assert_eq!(faults, [expected]);
    }
}

#[test]
fn a_fact_of_another_category_was_called_unknown() {
    let (_, faults) = set(&[("own.yml", &rule("new.country: NG", "fleet.change: rate"))], &[]);
    let expected = "own.yml:7:5: rule \"Own\": unknown field or fact `fleet.change`: rules with \
        `category: site_activity` have it";
    assert_eq!(faults, [expected]);
}
