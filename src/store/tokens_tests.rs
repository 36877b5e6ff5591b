//! Tests of the list of tokens: what it holds, in which order, and under which filter.

use super::*;
use crate::engine::commit::Commit;
use crate::engine::ledger::Ledger;
use crate::engine::registry::Registered;
use crate::engine::time::{DAY, SECOND};
use crate::store::sample::{NOON, id, record, registered};
use crate::store::{Store, Who};

/// Tokens 1 to `n`: token N is used N times, the last time N seconds after noon.
fn used(n: u8) -> Store {
    let mut store = Store::in_memory().unwrap();
    let mut ledger = Ledger::default();
    for token in 1..=n {
        for times in 1..=token {
            let time = NOON.plus(i64::from(times) * SECOND);
            record(&mut ledger, id(token), time, "192.0.2.7");
        }
    }
    store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
    store
}

fn ids(tokens: &[TokenSummary]) -> Vec<TokenId> {
    tokens.iter().filter_map(|summary| summary.token).collect()
}

#[test]
fn states_are_those_at_the_given_time() {
    let mut store = used(1);
    let state_of = |row: &Registered| {
        let mut store = Store::in_memory().unwrap();
        store.register(std::slice::from_ref(row), "", NOON).unwrap();
        store.tokens(&TokenFilter::default(), NOON).unwrap()[0].state
    };
    let base = registered(Some(1), "billing");
    let (now, later) = (Some(NOON), Some(NOON.plus(1)));
    let cases = [
        (base.clone(), TokenState::Active),
        (Registered { expires_at: now, ..base.clone() }, TokenState::Expired),
        (Registered { expires_at: later, ..base.clone() }, TokenState::Active),
        (Registered { revoked_at: now, ..base.clone() }, TokenState::Revoked),
        (Registered { revoked_at: later, ..base.clone() }, TokenState::Active),
        (Registered { rotated_at: now, ..base.clone() }, TokenState::Rotated),
        (Registered { rotated_to: "next".into(), ..base.clone() }, TokenState::Active),
        (
            Registered { rotated_to: "next".into(), rotated_at: later, ..base.clone() },
            TokenState::Active,
        ),
        (Registered { leaked_at: now, revoked_at: now, ..base.clone() }, TokenState::Leaked),
        (Registered { decoy: true, leaked_at: now, ..base.clone() }, TokenState::Decoy),
    ];
    for (row, state) in cases {
        assert_eq!(state_of(&row), state, "{row:?}");
    }
    let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
    assert_eq!(tokens[0].state, TokenState::Unregistered);
    store.register(&[base], "", NOON).unwrap();
    let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
    assert_eq!(tokens.len(), 1, "registered and used is one token");
    assert_eq!((tokens[0].state, tokens[0].activity.requests), (TokenState::Active, 1));
    assert_eq!(tokens[0].principal, "billing");
    assert_eq!((tokens[0].distinct.addresses, tokens[0].distinct.countries), (1, 1));
}

#[test]
fn tokens_of_a_principal_registered_by_name_share_its_state() {
    let mut store = Store::in_memory().unwrap();
    let bob = Registered { revoked_at: Some(NOON), ..registered(None, "jwt:iss:bob") };
    store.register(&[bob, registered(None, "jwt:iss:never")], "", NOON).unwrap();
    let mut ledger = Ledger::default();
    for token in [1, 2] {
        record(&mut ledger, id(token), NOON, "192.0.2.7");
        ledger.tokens.get_mut(&id(token)).unwrap().principal = "jwt:iss:bob".into();
    }
    store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
    let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
    let shown: Vec<_> = tokens
        .iter()
        .map(|summary| (summary.principal.as_str(), summary.token, summary.state))
        .collect();
    let expected = [
        ("jwt:iss:bob", Some(id(1)), TokenState::Revoked),
        ("jwt:iss:bob", Some(id(2)), TokenState::Revoked),
        ("jwt:iss:never", None, TokenState::Active),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_last_used_come_first_and_the_never_used_last() {
    let mut store = used(3);
    let never = [registered(Some(20), "never"), registered(None, "jwt:iss:never")];
    store.register(&never, "", NOON).unwrap();
    let list = |limit| {
        let filter = TokenFilter { limit, ..TokenFilter::default() };
        let tokens = store.tokens(&filter, NOON).unwrap();
        tokens.into_iter().map(|summary| summary.token).collect::<Vec<_>>()
    };
    let whole = [Some(id(3)), Some(id(2)), Some(id(1)), Some(id(20)), None];
    assert_eq!((list(None), list(Some(2))), (whole.to_vec(), whole[..2].to_vec()));
}

#[test]
fn filters_hold_together() {
    let mut store = used(3);
    let expires_at = Some(NOON.plus(SECOND));
    let row = Registered { owner: "Ann".into(), expires_at, ..registered(Some(2), "Billing") };
    store.register(&[row, registered(Some(9), "spare")], "", NOON).unwrap();
    let list = |filter| ids(&store.tokens(&filter, NOON).unwrap());
    let text = |text: &str| TokenFilter { text: Some(text.into()), ..TokenFilter::default() };
    assert_eq!(list(text("bILL")), [id(2)]);
    assert_eq!(list(text("ann")), [id(2)]);
    assert_eq!(list(text("tw1_03")), [id(3)]);
    assert_eq!(list(text("%")), []);
    let state = |state| TokenFilter { state: Some(state), ..TokenFilter::default() };
    assert_eq!(list(state(TokenState::Active)), [id(2), id(9)]);
    assert_eq!(list(state(TokenState::Unregistered)), [id(3), id(1)]);
    let since = Some(NOON.plus(2 * SECOND));
    assert_eq!(list(TokenFilter { since, ..TokenFilter::default() }), [id(3), id(2)]);
    let unused = TokenFilter { unused_since: since, ..TokenFilter::default() };
    assert_eq!(list(unused.clone()), [id(1), id(9)]);
    assert_eq!(list(TokenFilter { limit: Some(1), ..unused }), [id(1)]);
    let expiring = TokenFilter { ends_by: expires_at, limit: Some(1), ..TokenFilter::default() };
    assert_eq!(list(expiring.clone()), [id(2)], "whatever else was used since");
    assert_eq!(list(TokenFilter { ends_by: Some(NOON), ..expiring.clone() }), []);
    assert_eq!(store.tokens(&expiring, NOON.plus(SECOND)).unwrap(), [], "it has expired");
}

#[test]
fn tokens_that_have_ended_were_listed_as_expiring() {
    let at = |days: i64| Some(NOON.plus(days * DAY));
    let until = |end| Registered { expires_at: at(9), ..end };
    let rows = [
        registered(Some(1), "endless"),
        until(registered(Some(2), "valid")),
        until(Registered { revoked_at: at(0), ..registered(Some(3), "revoked") }),
        until(Registered { rotated_at: at(-1), ..registered(Some(4), "rotated") }),
        until(Registered { leaked_at: at(-1), ..registered(Some(5), "leaked") }),
        until(Registered { decoy: true, ..registered(Some(6), "bait") }),
        Registered { revoked_at: at(5), ..registered(Some(7), "to be revoked") },
        Registered { revoked_at: at(0), leaked_at: at(-1), ..until(registered(Some(8), "dead")) },
    ];
    let mut store = Store::in_memory().unwrap();
    store.register(&rows, "", NOON).unwrap();
    let ending = |days| {
        let filter = TokenFilter { ends_by: at(days), ..TokenFilter::default() };
        ids(&store.tokens(&filter, NOON).unwrap())
    };
    assert_eq!(ending(9), [id(2), id(5), id(7)]);
    assert_eq!(ending(8), [id(7)]);
    assert_eq!(ending(4), []);
}

#[test]
fn a_token_registered_just_now_was_listed_as_unused() {
    let mut store = Store::in_memory().unwrap();
    let rows = [registered(Some(1), "ci"), registered(None, "jwt:iss:bob")];
    store.register(&rows, "", NOON).unwrap();
    let n_unused = |since: Timestamp| {
        let unused_since = Some(since);
        let filter = TokenFilter { unused_since, limit: Some(9), ..TokenFilter::default() };
        store.tokens(&filter, NOON.plus(DAY)).unwrap().len()
    };
    assert_eq!([n_unused(NOON), n_unused(NOON.plus(1))], [0, 2]);
}

#[test]
fn ids_are_those_of_used_and_of_registered_tokens() {
    let mut store = used(2);
    let rows = [registered(Some(2), "b"), registered(Some(9), "c"), registered(None, "d")];
    store.register(&rows, "", NOON).unwrap();
    let mut ids = store.token_ids().unwrap();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, [id(1), id(2), id(9)]);
}

#[test]
fn only_the_tokens_of_a_page_are_summed_up() {
    let store = used(1);
    let sums_up_all = |filter| store.plan(&listing(&filter)).contains("SCAN t;");
    let page = TokenFilter { limit: Some(50), ..TokenFilter::default() };
    assert!(!sums_up_all(page.clone()));
    assert!(!store.plan(&listing(&page)).contains("SCAN c;"), "no record is walked over for each");
    assert!(sums_up_all(TokenFilter { limit: None, ..page.clone() }));
    assert!(sums_up_all(TokenFilter { text: Some("ci".into()), ..page.clone() }));
    assert!(sums_up_all(TokenFilter { state: Some(TokenState::Active), ..page }));
}

#[test]
fn a_token_that_has_expired_was_listed_as_unused() {
    let mut store = used(3);
    let row = Registered { expires_at: Some(NOON), ..registered(Some(1), "over") };
    store.register(&[row], "", NOON).unwrap();
    let list = |filter| ids(&store.tokens(&filter, NOON).unwrap());
    let unused = TokenFilter {
        unused_since: Some(NOON.plus(3 * SECOND)),
        limit: Some(9),
        ..TokenFilter::default()
    };
    assert_eq!(list(unused.clone()), [id(2)]);
    assert_eq!(list(TokenFilter { state: Some(TokenState::Expired), ..unused }), [id(1)]);
}

#[test]
fn the_whole_history_was_read_to_look_up_one_token() {
    let mut store = used(2);
    store
        .register(&[registered(Some(2), "billing"), registered(Some(3), "spare")], "", NOON)
        .unwrap();
    let of_histories = [1, 2, 3, 9].map(|n| {
        let history = store.history(&Who::Token(id(n)), None, None, NOON).unwrap();
        history.tokens.into_iter().next()
    });
    store.db.execute_batch("DROP TABLE activity; DROP TABLE facets; DROP TABLE incident").unwrap();
    assert_eq!([1, 2, 3, 9].map(|n| store.token(id(n), NOON).unwrap()), of_histories);
    let names = of_histories.map(|token| token.map(|token| token.principal));
    assert_eq!(
        names,
        [Some(id(1).to_string().into()), Some("billing".into()), Some("spare".into()), None]
    );
}
