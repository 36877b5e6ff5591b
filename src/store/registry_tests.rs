//! Tests of the registry: what is kept, changed, inherited.

use smol_str::SmolStr;

use super::*;
use crate::engine::alert::Alert;
use crate::engine::commit::Commit;
use crate::engine::geo::Country;
use crate::engine::ledger::Ledger;
use crate::engine::mute::{Mute, Scope};
use crate::engine::time::DAY;
use crate::engine::word::{Verdict, Word};
use crate::store::sample::{NOON, alert, id, record, registered, state};
use crate::store::{Ack, AlertFilter};

fn full() -> Registered {
    Registered {
        token: Some(id(1)),
        name: "billing".into(),
        owner: "ann@example.org".into(),
        issued_at: Some(NOON.plus(-DAY)),
        expires_at: Some(NOON.plus(DAY)),
        revoked_at: Some(NOON.plus(1)),
        rotated_to: "billing-2".into(),
        rotated_at: Some(NOON.plus(2)),
        scopes: ["read:items", "GET:/v1/*"].map(|scope| SmolStr::new(scope).into()).into(),
        networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        countries: vec![Country::parse("DE").unwrap()],
        mfa: Some(false),
        decoy: true,
        leaked_at: Some(NOON.plus(3)),
        notes: "made by hand; \"quoted\"".into(),
    }
}

#[test]
fn every_column_is_read_back_as_it_was() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    let rows = [full(), registered(Some(2), "billing"), registered(None, "jwt:iss:ann")];
    assert_eq!(store.register(&rows, "import", NOON).unwrap(), 3);
    drop(store);
    assert_eq!(Reader::open(&path).unwrap().registry().unwrap(), rows);
}

#[test]
fn a_row_takes_the_place_of_the_one_with_its_token_or_else_its_name() {
    let mut store = Store::in_memory().unwrap();
    let rows = [registered(Some(1), "a"), registered(None, "a"), registered(None, "b")];
    store.register(&rows, "", NOON).unwrap();
    let version = store.registry_version().unwrap();
    assert_eq!(store.register(&rows, "", NOON).unwrap(), 0, "nothing has changed");
    assert_eq!(store.registry_version().unwrap(), version);
    let renamed = registered(Some(1), "z");
    let owned = Registered { owner: "bob".into(), ..registered(None, "a") };
    assert_eq!(store.register(&[renamed.clone(), owned.clone()], "", NOON).unwrap(), 2);
    assert_eq!(store.registry().unwrap(), [owned, registered(None, "b"), renamed]);
    assert_eq!(store.registry_version().unwrap(), version + 1);
}

#[test]
fn what_happens_to_a_token_is_written_down() {
    let mut store = Store::in_memory().unwrap();
    let rows = [registered(Some(1), "billing"), registered(Some(2), "billing")];
    store.register(&rows, "import", NOON).unwrap();
    let name = Who::Principal("billing".into());
    let revoke = |row: &mut Registered| row.revoked_at = Some(NOON.plus(5));
    let changed = store.amend(&name, "offboarding", NOON.plus(9), revoke).unwrap();
    assert_eq!(changed.len(), 2, "a name stands for all its tokens");
    let leak = |row: &mut Registered| row.leaked_at = Some(NOON.plus(-5));
    store.amend(&Who::Token(id(1)), "found in a repository", NOON, leak).unwrap();
    store.amend(&Who::Token(id(7)), "bait", NOON, |row| row.decoy = true).unwrap();
    store.amend(&Who::Token(id(7)), "no", NOON.plus(1), |row| row.decoy = false).unwrap();
    let life = |token| -> Vec<(Timestamp, String, String)> {
        let rows = lifecycle(&store.db, &[id(token)], "").unwrap();
        rows.into_iter().map(|row| (row.time, row.what.to_string(), row.note)).collect()
    };
    let row =
        |time: i64, what: &str, note: &str| (NOON.plus(time), what.to_owned(), note.to_owned());
    let leaked = row(-5, "leaked", "found in a repository");
    let [new, revoked] = [row(0, "registered", "import"), row(5, "revoked", "offboarding")];
    assert_eq!(life(1), [new.clone(), leaked, revoked.clone()]);
    assert_eq!(life(2), [new, revoked]);
    let bait = [row(0, "registered", "bait"), row(0, "decoy", "bait")];
    assert_eq!(life(7), [bait[0].clone(), bait[1].clone(), row(1, "no decoy", "no")]);
    assert_eq!(store.registry().unwrap()[0].token, Some(id(7)));
}

#[test]
fn what_was_taken_back_stood_as_if_it_held() {
    let mut store = Store::in_memory().unwrap();
    let (a, at) = (Who::Token(id(1)), |n| NOON.plus(n));
    store.amend(&a, "a slip", at(1), |row| row.leaked_at = Some(at(90))).unwrap();
    store.amend(&a, "", at(2), |row| row.leaked_at = None).unwrap();
    store.amend(&a, "in a gist", at(3), |row| row.leaked_at = Some(at(-90))).unwrap();
    store.amend(&a, "", at(4), |row| row.leaked_at = Some(at(-80))).unwrap();
    store.amend(&a, "", at(5), |row| row.revoked_at = Some(at(5))).unwrap();
    let life = |since: i64, until| {
        let history = store.history(&a, Some(at(since)), until, NOON).unwrap();
        let row = |row: LifecycleRow| (row.what.to_string(), row.taken_back.map(|t| t.since(NOON)));
        history.lifecycle.into_iter().map(row).collect::<Vec<_>>()
    };
    let row = |what: &str, taken_back| (what.to_owned(), taken_back);
    let all = [
        row("registered", None),
        row("leaked", Some(2)),
        row("unleaked", None),
        row("leaked", Some(4)),
        row("leaked", None),
        row("revoked", None),
    ];
    assert_eq!(life(0, None), all);
    // The time of recording counts as well as the time of taking effect.
    assert_eq!(life(80, None), [row("leaked", Some(2))]);
    assert_eq!(life(-90, Some(at(-85))), [row("leaked", Some(4))]);
    assert_eq!(life(5, Some(at(6))), [row("revoked", None)]);
}

#[test]
fn a_token_that_was_used_lost_its_baseline_with_its_name() {
    let mut store = Store::in_memory().unwrap();
    let named = |n: u8, name: &str| Registered {
        token: Some(id(n)),
        name: name.into(),
        ..Registered::default()
    };
    store.register(&[named(1, "bea"), named(2, "ci"), named(3, "ci")], "", NOON).unwrap();
    for (n, name) in [(1, "bea"), (2, "ci"), (3, "ci")] {
        let subject = SubjectRow { principal: name.into(), blob: vec![n], due: None };
        let mut ledger = Ledger::default();
        record(&mut ledger, id(n), NOON, "192.0.2.7");
        ledger.tokens.values_mut().for_each(|used| used.principal = name.into());
        let commit = Commit { subjects: vec![subject], ledger, ..Commit::default() };
        store.commit(&commit, NOON).unwrap();
    }
    let blob = |store: &Store, name: &str| {
        let found = store.recall_subjects(&[name.into()]).unwrap().pop();
        found.map(|subject| subject.blob)
    };
    store.register(&[named(1, "bea-laptop")], "", NOON).unwrap();
    assert_eq!((blob(&store, "bea"), blob(&store, "bea-laptop")), (None, Some(vec![1])));
    // Another token still has that name.
    store.register(&[named(2, "deploy")], "", NOON).unwrap();
    assert_eq!((blob(&store, "ci"), blob(&store, "deploy")), (Some(vec![3]), None));
    // A late write under the old name, by a writer that did not know the new one.
    let late = SubjectRow { principal: "bea".into(), blob: vec![9], due: Some(7) };
    store.commit(&Commit { subjects: vec![late], ..Commit::default() }, NOON).unwrap();
    store.drop_unused(&["bea".into(), "ci".into()].into()).unwrap();
    assert_eq!((blob(&store, "bea"), blob(&store, "ci")), (None, Some(vec![3])));
}

#[test]
fn a_token_that_is_named_keeps_its_baseline() {
    let mut store = Store::in_memory().unwrap();
    let id = TokenId([7; 16]);
    let row = |principal: &str| SubjectRow {
        principal: principal.into(),
        blob: vec![1, 2, 3],
        due: Some(7),
    };
    let subjects = vec![row(&id.to_string())];
    store.commit(&Commit { subjects, ..Commit::default() }, Timestamp(0)).unwrap();
    let named =
        |name: &str| Registered { token: Some(id), name: name.into(), ..Registered::default() };
    let recall = |store: &Store, name: &str| store.recall_subjects(&[name.into()]).unwrap();
    store.register(&[named("ci")], "", Timestamp(0)).unwrap();
    assert_eq!(recall(&store, "ci"), [row("ci")]);
    assert!(recall(&store, &id.to_string()).is_empty());
    store.register(&[named("deploy")], "", Timestamp(0)).unwrap();
    assert_eq!(recall(&store, "deploy"), [row("deploy")]);
    assert!(recall(&store, "ci").is_empty());
}

/// A token that is used under a name, with a baseline, a mute and a word.
fn used_as(name: &str) -> Store {
    let mut store = Store::in_memory().unwrap();
    store.register(&[registered(Some(1), name)], "", NOON).unwrap();
    commit_as(&mut store, name);
    let scope = Scope { principal: name.into(), ..Scope::default() };
    store.mute(&Mute { scope, since: NOON, ..Mute::default() }).unwrap();
    let word = Word {
        number: 0,
        at: NOON,
        principal: name.into(),
        verdict: Verdict::Expected,
        actors: Vec::new(),
        about: None,
    };
    let ack = Ack { subject: "a".into(), verdict: word.verdict, note: String::new(), at: word.at };
    store.ack(&ack, Some(&word)).unwrap();
    store
}

/// Commits a use under a name.
fn commit_as(store: &mut Store, name: &str) {
    let subject = SubjectRow { principal: name.into(), blob: vec![1], due: Some(7) };
    let mut ledger = Ledger::default();
    record(&mut ledger, id(1), NOON, "192.0.2.7");
    ledger.tokens.values_mut().for_each(|used| used.principal = name.into());
    let commit = Commit { subjects: vec![subject], ledger, ..Commit::default() };
    store.commit(&commit, NOON).unwrap();
}

/// Everybody who has a baseline, and in which hour its silence is news.
type Baselines = Vec<(String, Option<u32>)>;

/// Returns the baselines, whom mutes are about, and words.
fn about(store: &Store) -> (Baselines, Vec<SmolStr>, Vec<SmolStr>) {
    let mut all =
        store.db.prepare("SELECT principal, due FROM profile ORDER BY principal").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mutes = store.mutes().unwrap().into_iter().map(|mute| mute.scope.principal);
    let words = store.words().unwrap().into_iter().map(|word| word.principal);
    (rows.map(Result::unwrap).collect(), mutes.collect(), words.collect())
}

#[test]
fn a_token_that_lost_its_name_lost_its_baseline_and_was_missed_under_the_name() {
    let mut store = used_as("ci");
    let cleared = registered(Some(1), "");
    store.register(&[cleared], "", NOON).unwrap();
    let own = id(1).to_smolstr();
    let baseline = vec![(own.to_string(), None)];
    let expected = (baseline.clone(), vec![own.clone()], vec![own.clone()]);
    assert_eq!(about(&store), expected);
    // A daemon commits what it has in memory, before it knows of the change.
    commit_as(&mut store, "ci");
    store.drop_unused(&["ci".into()].into()).unwrap();
    assert_eq!(about(&store).0, baseline);
    // It gets the name back.
    store.register(&[registered(Some(1), "ci")], "", NOON).unwrap();
    let expected = (vec![("ci".to_owned(), None)], vec!["ci".into()], vec!["ci".into()]);
    assert_eq!(about(&store), expected);
}

#[test]
fn a_name_that_another_token_has_keeps_its_baseline_when_one_loses_it() {
    let mut store = used_as("ci");
    let version = store.mutes_version().unwrap();
    store.register(&[registered(Some(2), "ci"), registered(Some(1), "")], "", NOON).unwrap();
    let expected = (vec![("ci".to_owned(), Some(7))], vec!["ci".into()], vec!["ci".into()]);
    assert_eq!(about(&store), expected);
    assert_eq!(store.mutes_version().unwrap(), version);
}

#[test]
fn the_mutes_of_a_token_that_was_renamed_held_no_longer() {
    let mut store = used_as("ci");
    let told = Alert { principal: "ci".into(), ..alert("a", "i", 1, NOON) };
    store.commit(&Commit { alerts: vec![told], ..Commit::default() }, NOON).unwrap();
    for name in ["deploy", ""] {
        let version = store.mutes_version().unwrap();
        store.register(&[registered(Some(1), name)], "", NOON).unwrap();
        let called = if name.is_empty() { id(1).to_smolstr() } else { name.into() };
        let (_, mutes, words) = about(&store);
        assert_eq!((&mutes, &words), (&vec![called.clone()], &vec![called]));
        assert_eq!(store.mutes_version().unwrap(), version + 1);
        // What it covered under the old name stays muted.
        let alerts = store.alerts(&AlertFilter::default()).unwrap();
        assert!(alerts.iter().all(|stored| stored.is_muted) && alerts.len() == 1, "{name}");
    }
}

#[test]
fn a_token_that_joined_others_was_missed_under_its_old_name() {
    let mut store = used_as("ci");
    let subjects = vec![SubjectRow { principal: "web".into(), blob: vec![9], due: Some(9) }];
    store.commit(&Commit { subjects, ..Commit::default() }, NOON).unwrap();
    store.register(&[registered(Some(2), "web"), registered(Some(1), "web")], "", NOON).unwrap();
    assert_eq!(about(&store).0, [("web".to_owned(), Some(9))]);
}
