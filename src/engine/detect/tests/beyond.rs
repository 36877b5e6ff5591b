//! Scenes for what a token is accepted for: by its scopes, and without a second factor.

use super::*;
use crate::engine::registry::Scope;
use crate::engine::requests::Requests;

fn asked(micros: i64, request: &str, status: u16) -> Usage {
    let (method, route) = request.split_once(' ').unwrap();
    Usage { method: method.into(), route: route.into(), status: Some(status), ..usage(micros) }
}

fn with_scopes(scopes: &[&str]) -> Registered {
    let scopes = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    Registered { scopes, ..row() }
}

/// Returns whether one request of a token with these scopes is told.
fn violates(scopes: &[&str], request: &str, status: u16) -> bool {
    let row = with_scopes(scopes);
    let facts = Life::default().judged(&asked(0, request, status), &berlin(), Some(&row));
    has(&facts, "scope.request")
}

#[test]
fn what_no_scope_permits_is_told_with_what_they_permit() {
    let row = with_scopes(&["billing", "read", "POST:/v1/orders/*"]);
    let mut life = Life::default();
    for permitted in ["GET /v1/items/{id}", "HEAD /v1/items", "POST /v1/orders/{id}"] {
        let facts = life.judged(&asked(0, permitted, 200), &berlin(), Some(&row));
        assert!(!has(&facts, "scope.request"), "{permitted}");
    }
    let facts = life.judged(&asked(1, "DELETE /v1/orders/{id}", 204), &berlin(), Some(&row));
    assert_eq!(facts.get("scope.request"), Some(&Value::Text("DELETE /v1/orders/{id}".into())));
    assert_eq!(
        reasons(&facts, "scope-violation"),
        [
            "accepted for DELETE /v1/orders/{id}, which none of its scopes permits: read, POST:/v1/orders/*"
        ]
    );
}

#[test]
fn what_was_refused_redirected_or_cannot_be_compared_violates_no_scope() {
    for status in [200, 204, 304, 101] {
        assert!(violates(&["POST:/v1/*"], "GET /v1/items", status), "{status}");
    }
    for status in [301, 302, 307, 308, 401, 403, 404, 500] {
        assert!(!violates(&["POST:/v1/*"], "GET /v1/items", status), "{status}");
    }
    for request in ["- /v1/items", "DELETE {other}", "DELETE *", "OPTIONS /v1/items"] {
        assert!(!violates(&["GET:/v1/orders"], request, 200), "{request}");
    }
    for scopes in [&[][..], &["billing", "repo:status"], &["write"]] {
        assert!(!violates(scopes, "DELETE /v1/items", 200), "{scopes:?}");
    }
    let unknown = Usage { status: None, ..asked(0, "DELETE /v1/items", 200) };
    let facts = Life::default().judged(&unknown, &berlin(), Some(&with_scopes(&["read"])));
    assert!(!has(&facts, "scope.request"), "the log has no status");
    let facts = Life::default().judged(&asked(0, "DELETE /v1/items", 200), &berlin(), None);
    assert!(!has(&facts, "scope.request"), "nobody registered it");
}

#[test]
fn a_client_with_the_wrong_token_is_told_five_times_a_day_and_once_that_there_is_more() {
    let row = with_scopes(&["read"]);
    let mut life = Life::default();
    for day in 0..2 {
        let mut told = Vec::new();
        for n in 0..500 {
            let sent = asked(day * DAY + n * SECOND, &format!("POST /v1/a{n}"), 200);
            told.extend(reasons(&life.judged(&sent, &berlin(), Some(&row)), "scope-violation"));
            let again = asked(day * DAY + n * SECOND, "POST /v1/a0", 200);
            let facts = life.judged(&again, &berlin(), Some(&row));
            assert!(!has(&facts, "scope.request"), "the same on the same day");
        }
        assert_eq!(told.len(), 6, "day {day}: {told:?}");
        assert!(told[5].contains(" and further requests, which "), "{told:?}");
    }
}

/// Needs a second factor to delete, and for all that administrators do.
fn strict() -> Params {
    let sensitive = ["/admin/*", "DELETE:/v1/*"].map(|text| Requests::parse(text).unwrap());
    Params { sensitive: sensitive.into(), ..Params::default() }
}

fn signed_in(second_factor: Option<bool>, request: &str) -> Usage {
    let claims = Claims { second_factor, ..Claims::default() };
    Usage { claims, ..asked(0, request, 200) }
}

/// Returns according to what a second factor is missing, if it is told.
fn missing(usage: &Usage, row: Option<&Registered>, params: &Params) -> Option<Value> {
    let facts = Life::default().judged_by(usage, &berlin(), row, params);
    facts.get("mfa.according_to").cloned()
}

#[test]
fn a_sensitive_route_without_a_second_factor_is_told_by_the_token_or_the_registry() {
    let with = |mfa| Registered { mfa, ..row() };
    let told = |said, registered| {
        let usage = signed_in(said, "DELETE /v1/items/{id}");
        match missing(&usage, Some(&with(registered)), &strict()) {
            Some(Value::Text(by)) => by.to_string(),
            None => String::new(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(Some(false), None), "token");
    assert_eq!(told(Some(false), Some(true)), "token", "this time it was not used");
    assert_eq!(told(None, Some(false)), "registry");
    assert_eq!(told(Some(true), Some(false)), "");
    assert_eq!(told(None, Some(true)), "");
    assert_eq!(told(None, None), "", "nothing says so");
    let facts = Life::default().judged_by(
        &signed_in(Some(false), "GET /admin/users"),
        &berlin(),
        None,
        &strict(),
    );
    assert_eq!(
        reasons(&facts, "mfa-missing"),
        ["accepted for GET /admin/users without a second factor, according to the token itself"]
    );
}

#[test]
fn other_routes_and_refusals_need_no_second_factor() {
    let is_told = |usage: &Usage, params: &Params| missing(usage, None, params).is_some();
    let delete = signed_in(Some(false), "DELETE /v1/items/{id}");
    assert!(is_told(&delete, &strict()));
    assert!(!is_told(&delete, &Params::default()), "nothing is configured");
    assert!(!is_told(&signed_in(Some(false), "GET /v1/items/{id}"), &strict()));
    assert!(!is_told(&signed_in(Some(false), "OPTIONS /admin/users"), &strict()));
    for status in [307, 401, 403, 404] {
        let refused = Usage { status: Some(status), ..delete.clone() };
        assert!(!is_told(&refused, &strict()), "{status}");
    }
}

#[test]
fn made_up_tokens_on_a_public_page_are_told_a_few_times_an_hour() {
    let (mut exposures, params) = (Exposures::default(), strict());
    let mut told = 0;
    for n in 0..200 {
        let usage = Usage { token: TokenId([n; 16]), ..signed_in(Some(false), "GET /admin/login") };
        let (mut life, place) = (Life::default(), berlin());
        let (placed, signals) = (Placed::new(&usage, &place), life.compare(&usage, &place));
        let facts = detect(&placed, &signals, None, &mut life.profile, &mut exposures, &params);
        told += usize::from(has(&facts, "mfa.request"));
    }
    assert_eq!(told, 21);
}
