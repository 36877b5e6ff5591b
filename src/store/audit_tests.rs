//! Tests of the audit: what is one subject, what is a finding about it, and that a walk in pages leaves nothing out.

use super::*;
use crate::engine::alert::{Level, Value, Values};
use crate::engine::commit::Commit;
use crate::engine::ledger::Ledger;
use crate::engine::registry::Registered;
use crate::engine::time::DAY;
use crate::engine::word::Verdict;
use crate::store::sample::{NOON, alert, id, record, registered};
use crate::store::{Ack, Store};

/// Tokens with these principals; an empty one is the token itself. Each is used at noon.
fn used(principals: &[(u8, &str)]) -> Store {
    let mut store = Store::in_memory().unwrap();
    let mut ledger = Ledger::default();
    for (token, principal) in principals {
        record(&mut ledger, id(*token), NOON, "192.0.2.7");
        if !principal.is_empty() {
            let entry = ledger.tokens.get_mut(&id(*token)).unwrap();
            entry.principal = (*principal).into();
            entry.kind = "jwt".into();
            entry.expires_at = Some(NOON.plus(DAY));
        }
    }
    store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
    store
}

/// Each subject: its principal, how many tokens, the names of its findings.
fn audit(store: &Store, now: Timestamp) -> Vec<(String, u64, Vec<&'static str>)> {
    let mut found = Vec::new();
    let mut pass = |audited: Audited| {
        let names = audited.findings.iter().map(|finding| finding.kind.as_str()).collect();
        found.push((audited.token.principal.to_string(), audited.n_tokens, names));
        ControlFlow::Continue(())
    };
    store.audit(&Limits::default(), now, &mut pass).unwrap();
    found
}

#[test]
fn tokens_of_one_principal_are_audited_as_one_and_registered_ones_alone() {
    let store = used(&[(1, "jwt:i:ann"), (2, "jwt:i:bob"), (3, "jwt:i:ann"), (4, "jwt:i:ann")]);
    let mut store = store;
    store.register(&[registered(Some(3), "ann's own")], "", NOON).unwrap();
    let subjects: Vec<_> = audit(&store, NOON).into_iter().map(|(name, n, _)| (name, n)).collect();
    let expected = [("ann's own", 1), ("jwt:i:ann", 2), ("jwt:i:bob", 1)];
    assert_eq!(subjects, expected.map(|(name, n)| (name.to_owned(), n)));
}

#[test]
fn only_where_others_are_registered_a_token_is_unregistered() {
    let mut store = used(&[(1, "")]);
    assert_eq!(audit(&store, NOON)[0].2, [""; 0]);
    let row = Registered { owner: "ops".into(), ..registered(Some(9), "spare") };
    store.register(&[row], "", NOON).unwrap();
    let found = audit(&store, NOON);
    assert_eq!(
        found.iter().map(|found| found.2.as_slice()).collect::<Vec<_>>(),
        [["no-expiry"], ["unregistered"]]
    );
}

#[test]
fn marks_and_kept_alerts_are_findings_about_their_token() {
    let mut store = used(&[(1, ""), (2, ""), (3, ""), (5, ""), (6, "")]);
    let owned = |token, name| Registered {
        owner: "ops".into(),
        expires_at: Some(NOON.plus(400 * DAY)),
        ..registered(Some(token), name)
    };
    let leaked = Registered { leaked_at: Some(NOON.plus(-DAY)), ..owned(1, "leaked") };
    let revoked = Registered { revoked_at: Some(NOON.plus(-DAY)), ..owned(2, "revoked") };
    let bait = Registered { decoy: true, ..owned(4, "bait") };
    let rows = [leaked, revoked, owned(3, "url"), bait, owned(5, "abroad"), owned(6, "writer")];
    store.register(&rows, "", NOON).unwrap();
    let mut in_url = alert("a1", "in_1", 3, NOON);
    in_url.rule.name = "token-in-url".into();
    let other = alert("a2", "in_1", 1, NOON);
    let of = |id, token, rule: &str, level| {
        let mut alert = alert(id, "in_1", token, NOON);
        alert.rule.name = rule.into();
        alert.rule.level = level;
        alert
    };
    let mut abroad = of("a3", 5, "new-country", Level::Low);
    let pinned = ("pinned.country".into(), Value::Text("NG".into()));
    abroad.facts = Values::from_iter([pinned]);
    let beyond = of("a4", 6, "scope-violation", Level::Medium);
    // A site may raise the level of a rule.
    let elsewhere = of("a5", 6, "new-network", Level::High);
    let alerts = vec![in_url, other, abroad, beyond, elsewhere];
    store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
    let found = audit(&store, NOON.plus(DAY));
    let found: Vec<_> = found.iter().map(|found| (found.0.as_str(), &found.2[..])).collect();
    assert_eq!(
        found,
        [
            ("bait", &[][..]),
            ("leaked", &["leaked-in-use"]),
            ("revoked", &["dead-but-accepted"]),
            ("url", &["in-url"]),
            ("abroad", &["outside-pins"]),
            ("writer", &["beyond-scopes"]),
        ]
    );
}

#[test]
fn what_was_never_used_is_unused_since_it_was_registered() {
    let mut store = used(&[]);
    let row = Registered { owner: "ops".into(), ..registered(None, "jwt:i:never") };
    store.register(&[row], "", NOON).unwrap();
    assert_eq!(audit(&store, NOON.plus(89 * DAY))[0].2, [""; 0]);
    assert_eq!(audit(&store, NOON.plus(90 * DAY))[0].2, ["unused"]);
}

#[test]
fn nothing_is_sorted_and_no_record_is_walked_over_for_each_token() {
    let store = used(&[(1, "")]);
    for query in queries() {
        let plan = store.plan(&query);
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN c"), "{plan}");
        assert!(!plan.contains("SCAN a") && !plan.contains("SCAN p"), "{plan}");
    }
    assert!(store.plan(ALERTS).contains("alert_token"), "{}", store.plan(ALERTS));
}

#[test]
fn a_walk_of_several_pages_holds_no_transaction_and_passes_on_all_once() {
    let mut store = used(&[]);
    for start in 0..3_u8 {
        let mut ledger = Ledger::default();
        for n in 0..=255 {
            for (who, principal) in ["", "jwt:i:ann", "jwt:i:bob"].iter().enumerate() {
                let mut token = id(n);
                token.0[1] = start;
                token.0[2] = u8::try_from(who).unwrap();
                record(&mut ledger, token, NOON, "192.0.2.7");
                ledger.tokens.get_mut(&token).unwrap().principal = (*principal).into();
            }
        }
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
    }
    let mut n_alone = 0;
    let mut several = Vec::new();
    let mut pass = |audited: Audited| {
        assert!(store.db.is_autocommit());
        match audited.n_tokens {
            1 => n_alone += 1,
            n => several.push((audited.token.principal.to_string(), n)),
        }
        ControlFlow::Continue(())
    };
    store.audit(&Limits::default(), NOON, &mut pass).unwrap();
    assert_eq!(n_alone, 768);
    assert_eq!(several, [("jwt:i:ann".to_owned(), 768), ("jwt:i:bob".to_owned(), 768)]);
}

#[test]
fn a_token_that_is_first_used_while_others_are_passed_on_is_told_once() {
    let use_of = |token| {
        let mut ledger = Ledger::default();
        record(&mut ledger, id(token), NOON, "192.0.2.7");
        Commit { ledger, ..Commit::default() }
    };
    // Before and behind what is being read.
    for first_used in [3, 9] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokenwatch.db");
        let mut store = Store::open(&path).unwrap();
        store.commit(&use_of(5), NOON).unwrap();
        let rows = [registered(Some(first_used), "new"), registered(Some(7), "spare")];
        store.register(&rows, "", NOON).unwrap();
        let mut names = Vec::new();
        let mut daemon = Store::open(&path).unwrap();
        let mut pass = |audited: Audited| {
            names.push(audited.token.name.to_string());
            daemon.commit(&use_of(first_used), NOON).unwrap();
            ControlFlow::Continue(())
        };
        store.audit(&Limits::default(), NOON, &mut pass).unwrap();
        names.sort();
        assert_eq!(names, ["", "new", "spare"]);
    }
}

#[test]
fn an_alert_that_was_expected_is_no_finding_until_the_next() {
    let mut store = used(&[(1, "")]);
    let in_url = |name: &str| {
        let mut alert = alert(name, "in_1", 1, NOON);
        alert.rule.name = "token-in-url".into();
        Commit { alerts: vec![alert], ..Commit::default() }
    };
    let ack = |verdict| Ack { subject: "in_1".into(), verdict, note: String::new(), at: NOON };
    store.commit(&in_url("a1"), NOON).unwrap();
    store.ack(&ack(Verdict::Confirmed), None).unwrap();
    assert_eq!(audit(&store, NOON)[0].2, ["in-url"]);
    store.ack(&ack(Verdict::Expected), None).unwrap();
    assert_eq!(audit(&store, NOON)[0].2, [""; 0]);
    store.commit(&in_url("a2"), NOON).unwrap();
    assert_eq!(audit(&store, NOON)[0].2, ["in-url"]);
}

#[test]
fn an_audit_that_is_broken_off_ends() {
    let store = used(&[(1, ""), (2, "jwt:i:ann"), (3, "jwt:i:bob")]);
    let mut n = 0;
    let mut pass = |_| {
        n += 1;
        ControlFlow::Break(())
    };
    store.audit(&Limits::default(), NOON, &mut pass).unwrap();
    assert_eq!(n, 1);
}
