//! What is stored: its size, any cut, bytes that are damaged.

use super::*;

#[test]
fn a_full_profile_has_less_than_a_kilobyte_and_a_young_one_little() {
    let mut young = Life::default();
    young.live(&usage(0), &berlin());
    let young = young.profile.encode().len();
    let mut life = Life::default();
    for n in 0..60 * 1440i64 {
        let at = usize::try_from(n % 9).unwrap();
        let country = ["DE", "FR", "ES", "GB", "NL", "SE", "US", "SG", "CH"][at];
        let from = place(
            country,
            "Frankfurt am Main",
            (50.0, east(n)),
            4_200_000_000 + count(n % 12),
            NetworkKind::Hosting,
        );
        let agent = Agent {
            family: format!("agent-{}", n % 7).into(),
            version: (n % 11).to_string().into(),
        };
        let route = format!("/v1/things/{}", n % 50).into();
        let client = format!("203.0.{}.1", n % 40).parse().ok();
        let status = Some(if n % 10 == 0 { 404 } else { 200 });
        life.live(&Usage { agent, route, client, status, ..usage(n * MINUTE) }, &from);
        if n > 80_000 {
            life.profile.told().tell(count(n % 8), START.plus(n * MINUTE), HOUR);
        }
    }
    let full = life.profile.encode().len();
    println!("young {young} B, full {full} B");
    assert!(young <= 165 && full <= 1024, "young {young} B, full {full} B");
}

#[test]
fn other_bytes_are_no_profile() {
    let mut life = Life::default();
    life.steady(3);
    let bytes = life.profile.encode();
    assert_eq!(Profile::decode(&[]), Err(CodecError::Length));
    assert_eq!(Profile::decode(&[10]), Err(CodecError::Version(10)));
    for cut in 0..bytes.len() {
        assert!(Profile::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(Profile::decode(&[bytes.as_slice(), &[0]].concat()), Err(CodecError::Length));
    assert_eq!(Profile::decode(&Profile::default().encode()), Ok(Profile::default()));
}

/// One step of a random life: seconds since the last usage, and choices.
fn steps() -> impl Strategy<Value = Vec<(i64, u8, u8, u8, u16)>> {
    let status = prop_oneof![6 => Just(200u16), 1 => Just(401), 1 => Just(404), 1 => Just(500)];
    let pause =
        prop_oneof![20 => 0i64..2000, 5 => 0i64..90_000, 1 => -4000i64..0, 1 => 0i64..3_000_000];
    prop::collection::vec((pause, 0u8..6, 0u8..4, any::<u8>(), status), 1..400)
}

fn lived(step: (i64, u8, u8, u8, u16), clock: &mut i64) -> (Usage, Place) {
    let (pause, from, client, route, status) = step;
    *clock += pause * SECOND;
    let places = [berlin(), lagos(), rented(), Place::default(), berlin(), berlin()];
    let usage = Usage {
        client: (from != 3).then(|| format!("192.0.{from}.{}", route % 9).parse().unwrap()),
        agent: Agent {
            family: format!("c{client}").into(),
            version: (route % 3).to_string().into(),
        },
        route: format!("/{route}").into(),
        status: Some(status),
        ..usage(*clock)
    };
    (usage, places[usize::from(from)].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn storing_between_any_two_usages_changes_nothing(steps in steps()) {
        let (mut whole, mut cut, mut clock) = (Life::default(), Life::default(), 0);
        for step in steps {
            let (usage, place) = lived(step, &mut clock);
            let signals = whole.live(&usage, &place);
            prop_assert_eq!(&signals, &cut.live(&usage, &place));
            let bytes = cut.profile.encode();
            let decoded = Profile::decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, &cut.profile);
            prop_assert_eq!(&decoded.encode(), &bytes);
            // What `codec::tests::widest` takes; about 1 KB is usual.
            prop_assert!(bytes.len() <= 1740, "{} B", bytes.len());
            if signals.is_accepted {
                whole.profile.told().tell(u32::from(step.3), usage.time, HOUR);
                cut.profile.told().tell(u32::from(step.3), usage.time, HOUR);
            }
            cut.profile = Profile::decode(&cut.profile.encode()).unwrap();
        }
        prop_assert_eq!(whole.profile, cut.profile);
    }

    #[test]
    fn a_budget_mutes_nothing_critical_and_teaches_nothing(steps in steps(), threshold in 6.0..=10.0) {
        let (mut life, mut clock) = (Life::default(), 0);
        let mut within = Life { threshold: Some(threshold), ..Life::default() };
        for step in steps {
            let (usage, place) = lived(step, &mut clock);
            let (told, told_within) = (life.live(&usage, &place), within.live(&usage, &place));
            prop_assert_eq!(told.score, told_within.score);
            let is_critical = [told, told_within].map(|signals| signals.tier == Tier::Critical);
            prop_assert_eq!(is_critical[0], is_critical[1]);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1 + *first % 6;
        }
        if let Ok(profile) = Profile::decode(&bytes) {
            let stored = profile.encode();
            prop_assert_eq!(Profile::decode(&stored).unwrap(), profile);
        }
    }

    #[test]
    fn a_broken_profile_still_judges(steps in steps(), at in 1usize..600, byte in any::<u8>()) {
        let (mut life, mut clock) = (Life::default(), 0);
        let (first, rest) = steps.split_at(steps.len() / 2);
        first.iter().for_each(|step| {
            let (usage, place) = lived(*step, &mut clock);
            life.live(&usage, &place);
        });
        let mut bytes = life.profile.encode();
        if let Some(broken) = bytes.get_mut(at) {
            *broken = byte;
        }
        if let Ok(profile) = Profile::decode(&bytes) {
            life.profile = profile;
        }
        for step in rest {
            let (usage, place) = lived(*step, &mut clock);
            prop_assert!(life.live(&usage, &place).score.is_finite());
        }
    }
}
