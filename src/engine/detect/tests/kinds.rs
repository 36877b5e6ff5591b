//! What is known of each alert kind elsewhere, by its name: a new detector has to be decided on here.

use super::*;
use crate::engine::alert::Alert;
use crate::engine::posture::Kind;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    /// The token: anybody could have been the next to use it.
    Token,
    /// Its use.
    Use,
}
use Of::{Token, Use};

/// A detector and some facts of its: what its alert is about, and what is to be mended, whoever used the token.
type Told = (&'static str, Vec<(&'static str, Value)>, Of, Option<Kind>);

/// All detectors of usages.
fn told() -> Vec<Told> {
    let none = Vec::new;
    let is = |fact, value: &'static str| vec![(fact, Value::Text(value.into()))];
    let accepted = |is_so| vec![("leaked.accepted", Value::Bool(is_so))];
    vec![
        ("honeytoken-used", none(), Use, Some(Kind::DecoyUsed)),
        ("leaked-token-used", none(), Use, Some(Kind::LeakedInUse)),
        ("leaked-token-used", accepted(true), Use, Some(Kind::LeakedInUse)),
        ("leaked-token-used", accepted(false), Use, Some(Kind::LeakedNotRevoked)),
        ("token-in-url", none(), Use, Some(Kind::InUrl)),
        ("token-in-referer", none(), Use, Some(Kind::InReferer)),
        ("expired-token-accepted", none(), Use, Some(Kind::DeadButAccepted)),
        ("revoked-token-used", none(), Use, Some(Kind::DeadButAccepted)),
        ("rotated-token-used", none(), Use, Some(Kind::DeadButAccepted)),
        ("dead-token-tried", none(), Use, None),
        ("unusual-use", none(), Use, None),
        ("impossible-travel", none(), Use, None),
        ("concurrent-use", none(), Use, None),
        ("fan-out", none(), Use, None),
        ("new-country", is("new.country", "NG"), Use, None),
        ("new-country", is("pinned.country", "NG"), Use, Some(Kind::OutsidePins)),
        ("new-network", is("new.network_name", "Example"), Use, None),
        ("new-network", is("pinned.network", "192.0.2.1"), Use, Some(Kind::OutsidePins)),
        ("new-client", none(), Use, None),
        ("rate-spike", none(), Use, None),
        ("volume-spike", none(), Use, None),
        ("dormant-token-woke", none(), Use, None),
        ("insecure-transport", none(), Use, Some(Kind::PlainHttp)),
        ("scope-violation", none(), Use, Some(Kind::BeyondScopes)),
        ("mfa-missing", none(), Use, Some(Kind::NoMfa)),
        ("success-after-guessing", none(), Use, None),
        ("object-enumeration", none(), Use, None),
        ("jwt-alg-none", none(), Use, Some(Kind::Unsigned)),
        ("weak-token", none(), Token, Some(Kind::Weak)),
        ("lifecycle", is("lifecycle.what", "expires"), Token, Some(Kind::ExpiresSoon)),
        ("lifecycle", is("lifecycle.what", "expires-soon"), Token, Some(Kind::ExpiresSoon)),
        ("lifecycle", is("lifecycle.what", "lives-long"), Token, Some(Kind::LongLived)),
        ("lifecycle", is("lifecycle.what", "lives-too-long"), Token, Some(Kind::LongLived)),
        ("lifecycle", is("lifecycle.what", "never-expires"), Token, Some(Kind::LongLived)),
    ]
}

#[test]
fn it_is_decided_of_every_detector_of_usages_what_its_alerts_ask_to_be_mended() {
    let of_usages = ALL.iter().filter(|detector| detector.of() == About::Usages);
    let known: BTreeSet<&str> = of_usages.map(|detector| detector.name).collect();
    assert_eq!(told().iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>(), known);
    for (name, facts, of, kind) in told() {
        let facts = facts.iter().map(|(fact, value)| (SmolStr::new(fact), value.clone()));
        let mut alert = Alert { facts: facts.collect(), ..Alert::default() };
        alert.rule.name = name.into();
        assert_eq!(Kind::of_alert(&alert), kind, "{alert:?}");
        assert_eq!(alert.is_about_token(), of == Token, "{name}");
    }
}

#[test]
fn every_value_of_a_closed_list_is_decided_on_if_one_is() {
    let facts: Vec<(&str, Value)> = told().into_iter().flat_map(|(_, facts, ..)| facts).collect();
    for (name, _) in &facts {
        let listed = ALL.iter().flat_map(|detector| detector.facts);
        let fact = listed.into_iter().find(|fact| fact.name == *name).expect("a detector's fact");
        let of_it = facts.iter().filter(|(of, _)| of == name);
        let values: BTreeSet<String> = of_it.map(|(_, value)| value.to_string()).collect();
        let all: BTreeSet<String> = fact.values.iter().map(ToString::to_string).collect();
        assert!(all.is_empty() || values == all, "{name}: {values:?}");
    }
}
