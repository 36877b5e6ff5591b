//! Secrets in texts that are no logs.

use proptest::prelude::*;

use super::{KEY, RANDOM, STRIPE, STRIPE_ID, jwt_of};
use crate::engine::secret::{SealKey, Secret, TokenId};
use crate::engine::token::{LONGEST_WORD, Searcher, Spot, is_of_word};

fn id(secret: &str) -> TokenId {
    SealKey::new(KEY).seal(&Secret::new(secret.as_bytes()))
}

fn spots(known: &[&str], text: &str) -> Vec<Spot> {
    let known = known.iter().map(|secret| id(secret)).collect();
    let mut spots = Vec::new();
    Searcher::new(SealKey::new(KEY), known).search(text.as_bytes(), &mut spots);
    spots
}

/// The parts of a text that are secrets, known ones in brackets.
fn found(known: &[&str], text: &str) -> Vec<String> {
    let show = |spot: Spot| {
        let secret = text.get(spot.bytes).unwrap();
        if spot.is_known { format!("[{secret}]") } else { secret.to_owned() }
    };
    spots(known, text).into_iter().map(show).collect()
}

#[test]
fn a_known_token_is_found_whatever_it_is_written_in() {
    let base64 = "q8Wz3Lp0/t6Yc1Nb+Zk==";
    let dotted = "q8Wz3Lp0.t6Yc1Nb.Zk9";
    let bot = "12345678:q8Wz3Lp0Vt6Yc1Nb";
    for (secret, text) in [
        (RANDOM, "T"),
        (RANDOM, "API_KEY=T"),
        (RANDOM, "export API_KEY='T';"),
        (RANDOM, "  \"api_key\": \"T\","),
        (RANDOM, "key:T"),
        (RANDOM, "<key>T</key>"),
        (RANDOM, "curl -H 'Authorization: Bearer T'"),
        (RANDOM, "https://example.org/x?a=1&token=T&b=2#top"),
        (RANDOM, "https://example.org/hooks/T/run"),
        (RANDOM, "A token was T."),
        (RANDOM, "(T)"),
        (RANDOM, "x = f(`T`)"),
        (RANDOM, "\\\"T\\\""),
        (RANDOM, "a=b=T"),
        (RANDOM, "\"first\\nT\\nlast\""),
        (RANDOM, "\\tT"),
        (RANDOM, "\x1b[31mT\x1b[0m"),
        (RANDOM, "\x1b[1;31mT\x1b[0m"),
        (STRIPE, "\"first\\nT\""),
        (base64, "secret: T"),
        (base64, "KEY=T"),
        (base64, "[\"T\"]"),
        (dotted, "KEY=T"),
        (dotted, "https://example.org/T/x"),
        (dotted, "It was T."),
        (bot, "bot=T"),
        (STRIPE, "const key = \"T\""),
    ] {
        let text = text.replace('T', secret);
        assert_eq!(found(&[secret], &text), [format!("[{secret}]")], "{text}");
    }
    assert_eq!(found(&["a+b/c=dd"], "?token=a%2Bb%2Fc=dd"), ["[a%2Bb%2Fc=dd]"]);
}

#[test]
fn a_part_of_a_token_is_not_the_token() {
    let longer = format!("{RANDOM}x");
    assert_eq!(found(&[RANDOM], &longer), [""; 0]);
    assert_eq!(found(&[&longer], RANDOM), [""; 0]);
    assert_eq!(found(&["secrets"], "secrets"), [""; 0], "shorter than what is compared");
}

#[test]
fn what_has_the_shape_of_a_token_is_found_though_nobody_knows_it() {
    let jwt = jwt_of(r#"{"alg":"HS256"}"#, r#"{"sub":"ann"}"#);
    let text = format!("a={STRIPE}\nb=\"{jwt}\"\n{RANDOM}");
    assert_eq!(found(&[], &text), [STRIPE.to_owned(), jwt]);
    let spot = spots(&[], STRIPE).remove(0);
    assert_eq!(spot.id.to_string(), STRIPE_ID);
    assert_eq!((spot.kind, spot.hint.as_str()), ("stripe-live", "sk_live_...WxYz"));
    assert_eq!(spots(&[STRIPE], STRIPE).len(), 1, "known and shaped is one");
}

#[test]
fn what_was_never_issued_is_not_found_unless_it_is_known() {
    let wrong = format!("ghp_{}", "q8Wz3Lp0Vt6Y".repeat(3));
    assert_eq!(found(&[], &wrong), [""; 0]);
    assert_eq!(found(&[&wrong], &wrong), [format!("[{wrong}]")]);
    assert_eq!(found(&[], "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), [""; 0]);
}

#[test]
fn a_password_in_a_url_is_found_and_nothing_of_it_shown() {
    let text = "db: postgres://app:q8Wz3Lp0@db.example.org/app";
    let spot = spots(&[], text).remove(0);
    assert_eq!((text.get(spot.bytes).unwrap(), spot.kind), ("app:q8Wz3Lp0", "basic"));
    assert_eq!(spot.hint, "...");
    // The id is that of `Authorization: Basic`.
    assert_eq!(spot.id, id("YXBwOnE4V3ozTHAw"));
    assert_eq!(found(&[], "redis://:q8Wz3Lp0@cache:6379"), [":q8Wz3Lp0"]);
    let token = format!("https://oauth2:{STRIPE}@git.example.org/x");
    assert_eq!(found(&[], &token), [STRIPE], "the token says more than the pair");
    let second = "https://example.org/?to=https://app:q8Wz3Lp0@db.example.org/";
    assert_eq!(found(&[], second), ["app:q8Wz3Lp0"], "not only of the first URL");
    let short = "https://app:short@example.org/";
    assert_eq!(found(&["YXBwOnNob3J0"], short), ["[app:short]"], "known, so however short");
    for none in [
        short,
        "https://app:****@example.org/",
        "https://app:$PASSWORD@example.org/",
        "https://app:%PASSWORD%@example.org/",
        "https://user:password@example.org/",
        "https://app@example.org/",
        "https://example.org/@ann:q8Wz3Lp0",
    ] {
        assert_eq!(found(&[], none), [""; 0], "{none}");
    }
}

#[test]
fn a_known_pair_of_basic_authentication_is_found_as_curl_takes_it() {
    for text in
        ["curl -u app:q8Wz3Lp0 https://example.org/", "AUTH='app:q8Wz3Lp0'", "AUTH=app:q8Wz3Lp0"]
    {
        assert_eq!(found(&["YXBwOnE4V3ozTHAw"], text), ["[app:q8Wz3Lp0]"], "{text}");
        assert_eq!(found(&[], text), [""; 0], "{text}");
    }
}

#[test]
fn a_word_is_compared_up_to_a_limit_and_its_parts_beyond_it() {
    let most = "x7".repeat(LONGEST_WORD / 2);
    assert_eq!(found(&[&most], &most).len(), 1);
    let more = format!("{most}x");
    assert_eq!(found(&[&more], &more).len(), 0);
    let url = format!("https://example.org/?a={most}&b={RANDOM}&c={STRIPE}");
    assert_eq!(found(&[RANDOM], &url), [format!("[{RANDOM}]"), STRIPE.to_owned()]);
}

#[test]
fn what_another_scanner_found_is_judged_as_a_whole_and_in_parts() {
    let key = || SealKey::new(KEY);
    let searcher = Searcher::new(key(), vec![id("two words"), id(RANDOM)]);
    let judge = |secret: &str| searcher.judge(secret.as_bytes());
    assert!(judge("two words").unwrap().is_known);
    assert!(judge(&format!("{STRIPE} {RANDOM}")).unwrap().is_known);
    assert_eq!(judge(&format!("key={STRIPE}")).unwrap().kind, "stripe-live");
    let unknown = judge("correct horse battery").unwrap();
    assert_eq!((unknown.kind, unknown.hint.as_str()), ("opaque", "..."));
    for mask in ["", "REDACTED", "****"] {
        assert_eq!(judge(mask), None, "{mask}");
    }
}

proptest! {
    #[test]
    fn spots_are_in_order_and_apart_and_show_no_secret(
        text in "(sk_live_|ghp_|eyJ|key=|https://a:|[ -~]|\\PC|[A-Za-z0-9./=@:]{0,40}){0,30}",
    ) {
        let spots = spots(&[RANDOM], &text);
        let mut end = 0;
        for spot in &spots {
            prop_assert!(end <= spot.bytes.start && spot.bytes.end <= text.len());
            end = spot.bytes.end;
            let secret = text.get(spot.bytes.clone()).unwrap();
            prop_assert!(!spot.hint.contains(secret), "{}", spot.hint);
        }
        let again = found(&[RANDOM], &text);
        prop_assert_eq!(again.len(), spots.len());
    }

    #[test]
    fn a_known_token_among_other_words_is_always_found(
        secret in "[A-Za-z0-9_-]{8,60}",
        before in "\\PC{0,20}",
        after in "\\PC{0,20}",
        open in prop::sample::select(vec![" ", "\"", "'", "=", ": ", "(", ",", "/", "\t", ">"]),
        close in prop::sample::select(vec![" ", "\"", "'", ".", ";", ")", ",", "/", "\n", "<"]),
    ) {
        let text = format!("{before}{open}{secret}{close}{after}");
        let is_there = |spot: &Spot| spot.is_known && spot.id == id(&secret);
        prop_assert!(spots(&[&secret], &text).iter().any(is_there), "{}", text);
    }

    #[test]
    fn a_text_that_is_cut_beside_a_word_has_the_same_secrets(
        text in "(key=|[ \"',]|q8Wz3Lp0Vt6Yc1Nb|sk_live_51H8xYzAbCdEfGhIjKlMn|[a-z.]{0,6}){0,20}",
        at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(text.len() + 1);
        let cut = text.as_bytes()[..at].iter().rposition(|b| !is_of_word(*b)).map_or(0, |at| at + 1);
        let (first, second) = text.split_at(cut);
        let whole = found(&[RANDOM], &text);
        let parts = [found(&[RANDOM], first), found(&[RANDOM], second)].concat();
        prop_assert_eq!(whole, parts);
    }
}
