//! Tests of queries for alerts: acknowledgements, mutes, filters, beginnings of ids.

use super::*;
use crate::engine::alert::Level;
use crate::engine::commit::Commit;
use crate::engine::geo::Country;
use crate::engine::mute::{Mute, Scope};
use crate::engine::time::HOUR;
use crate::engine::word::Known;
use crate::store::sample::{NOON, alert, id, incident, incident_commit, state};

fn store() -> Store {
    let mut store = Store::in_memory().unwrap();
    store.commit(&incident_commit("i1", 1, 1), NOON).unwrap();
    store.commit(&incident_commit("i2", 2, 1), NOON).unwrap();
    let mut late = alert("late", "i2", 2, NOON.plus(HOUR));
    late.rule.name = "unusual-use".into();
    late.rule.level = Level::High;
    store.commit(&Commit { alerts: vec![late], ..Commit::default() }, NOON).unwrap();
    store
}

fn ids(store: &Store, filter: &AlertFilter) -> Vec<SmolStr> {
    store.alerts(filter).unwrap().into_iter().map(|stored| stored.alert.id).collect()
}

#[test]
fn alerts_come_back_whole() {
    let store = store();
    let Found::One(found) = store.alert("i1-").unwrap() else { panic!() };
    assert_eq!(found.alert, alert("i1-a", "i1", 1, NOON));
    assert_eq!((found.ack, found.is_muted), (None, false));
}

#[test]
fn filters_choose_and_the_newest_comes_first() {
    let store = store();
    let all = AlertFilter::default();
    assert_eq!(ids(&store, &all), ["late", "i2-a", "i1-a"]);
    assert_eq!(ids(&store, &AlertFilter { limit: Some(1), ..all.clone() }), ["late"]);
    let since = AlertFilter { since: Some(NOON.plus(1)), ..all.clone() };
    assert_eq!(ids(&store, &since), ["late"]);
    let until = AlertFilter { until: Some(NOON.plus(HOUR)), ..all.clone() };
    assert_eq!(ids(&store, &until), ["i2-a", "i1-a"]);
    assert_eq!(ids(&store, &AlertFilter { level: Level::High, ..all.clone() }), ["late"]);
    let rule = AlertFilter { rule: Some("new-country".into()), ..all.clone() };
    assert_eq!(ids(&store, &rule), ["i2-a", "i1-a"]);
    let principal = AlertFilter { principal: Some(id(1).to_smolstr()), ..all.clone() };
    assert_eq!(ids(&store, &principal), ["i1-a"]);
    assert_eq!(ids(&store, &AlertFilter { token: Some(id(2)), ..all }), ["late", "i2-a"]);
}

#[test]
fn what_is_said_of_an_incident_holds_for_its_alerts_unless_they_have_their_own() {
    let mut store = store();
    let said = |subject: &str, verdict| Ack {
        subject: subject.into(),
        verdict,
        note: "it was me".to_owned(),
        at: NOON.plus(HOUR),
    };
    store.ack(&said("i2", Verdict::Confirmed), None).unwrap();
    store.ack(&said("i2", Verdict::Expected), None).unwrap();
    store.ack(&said("late", Verdict::Confirmed), None).unwrap();
    let Found::One(found) = store.incident("i2").unwrap() else { panic!() };
    assert_eq!(found.ack, Some(said("i2", Verdict::Expected)));
    let acks: Vec<_> = found.alerts.into_iter().map(|stored| stored.ack).collect();
    let [own, late] = [said("i2", Verdict::Expected), said("late", Verdict::Confirmed)];
    assert_eq!(acks, [Some(own), Some(late)]);
    let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
    assert_eq!(ids(&store, &open), ["i1-a"]);
}

#[test]
fn a_late_line_after_an_acknowledgement_counted_as_acknowledged() {
    let mut store = store();
    let ack =
        |at| Ack { subject: "i2".into(), verdict: Verdict::Expected, note: String::new(), at };
    let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
    let come = |store: &mut Store, name, time| {
        let alerts = vec![alert(name, "i2", 2, time)];
        store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
    };
    store.ack(&ack(NOON.plus(2 * HOUR)), None).unwrap();
    assert_eq!(ids(&store, &open), ["i1-a"]);
    come(&mut store, "after", NOON.plus(3 * HOUR));
    come(&mut store, "shipped", NOON.plus(HOUR));
    assert_eq!(ids(&store, &open), ["after", "shipped", "i1-a"]);
    // A log may be ahead of the clock: the verdict applies to all that was there.
    store.ack(&ack(NOON), None).unwrap();
    assert_eq!(ids(&store, &open), ["i1-a"]);
}

#[test]
fn acknowledgements_from_before_cover_what_they_covered() {
    let (_directory, path) = state();
    let mut store = Store::open(&path).unwrap();
    for (name, time) in [("a", NOON), ("b", NOON.plus(HOUR)), ("c", NOON.plus(2 * HOUR))] {
        let alerts = vec![alert(name, "i", 1, time)];
        store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
    }
    for subject in ["i", "gone"] {
        let (verdict, at) = (Verdict::Expected, NOON.plus(HOUR));
        let ack = Ack { subject: subject.into(), verdict, note: String::new(), at };
        store.ack(&ack, None).unwrap();
    }
    let back = "ALTER TABLE ack DROP COLUMN upto_alert; DROP TABLE forgotten;
            DROP INDEX outbox_bundled; DROP INDEX outbox_postponed;
            ALTER TABLE outbox DROP COLUMN postponed; ALTER TABLE outbox DROP COLUMN give_up_at;
            ALTER TABLE outbox DROP COLUMN reported_upto;
            PRAGMA user_version = 11";
    store.db.execute_batch(back).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    let open = AlertFilter { only_unacked: true, ..AlertFilter::default() };
    assert_eq!(ids(&store, &open), ["c"]);
}

#[test]
fn a_word_says_of_which_incident_it_is_and_how_far_that_had_come() {
    let mut store = store();
    let word = Word {
        number: 0,
        at: NOON,
        principal: "ci".into(),
        verdict: Verdict::Expected,
        actors: Vec::new(),
        about: None,
    };
    store.commit(&incident_commit("i1", 1, 4), NOON).unwrap();
    for subject in ["i1", "i2-a", "pruned"] {
        let (subject, note) = (subject.into(), String::new());
        let ack = Ack { subject, verdict: Verdict::Expected, note, at: NOON };
        store.ack(&ack, Some(&word)).unwrap();
    }
    let known = |incident: &str, n_alerts| Some(Known { incident: incident.into(), n_alerts });
    let about: Vec<_> = store.words().unwrap().into_iter().map(|word| word.about).collect();
    assert_eq!(about, [known("i1", 4), known("i2", 1), None]);
}

#[test]
fn an_incident_as_of_an_alert_is_without_those_that_came_later() {
    let mut store = store();
    let mut worse = alert("worse", "i2", 2, NOON.plus(2 * HOUR));
    worse.rule.level = Level::Critical;
    let grown =
        Incident { last: worse.time, level: Level::Critical, alerts: 3, ..incident("i2", 2, 1) };
    let (alerts, incidents) = (vec![worse], vec![grown.clone()]);
    store.commit(&Commit { alerts, incidents, ..Commit::default() }, NOON).unwrap();
    let Found::One(found) = store.incident("i2").unwrap() else { panic!() };
    let as_of = |upto| {
        let StoredIncident { incident, alerts, .. } = found.clone().as_of(upto);
        assert_eq!(alerts.len(), incident.alerts as usize);
        (incident.alerts, incident.level, incident.last)
    };
    assert_eq!(found.clone().as_of(4).incident, grown);
    assert_eq!(as_of(3), (2, Level::High, NOON.plus(HOUR)));
    assert_eq!(as_of(2), (1, Level::Medium, NOON));
    assert_eq!(as_of(1), (0, Level::default(), NOON));
}

#[test]
fn beginnings_of_ids_are_enough_and_an_exact_one_wins() {
    let mut store = store();
    store.commit(&incident_commit("i", 3, 1), NOON).unwrap();
    assert!(matches!(store.incident("i").unwrap(), Found::One(found) if found.incident.id == "i"));
    assert!(matches!(store.alert("i").unwrap(), Found::Many(found) if found.len() == 3));
    assert_eq!(store.alert("x").unwrap(), Found::None);
    assert_eq!(store.incident("i2-").unwrap(), Found::None);
}

#[test]
fn mutes_are_kept_shown_and_taken_back() {
    let mut store = store();
    let mute = Mute {
        id: 0,
        scope: Scope {
            rule: "new-country".into(),
            principal: id(1).to_smolstr(),
            ..Scope::default()
        },
        reason: "ann travels".into(),
        since: NOON,
        until: Some(NOON.plus(HOUR)),
        after: 0,
    };
    let number = store.mute(&mute).unwrap();
    let after = 3;
    assert_eq!(store.mutes().unwrap(), [Mute { id: number, after, ..mute }]);
    let muted = |store: &Store| -> Vec<bool> {
        let all = store.alerts(&AlertFilter::default()).unwrap();
        all.into_iter().map(|stored| stored.is_muted).collect()
    };
    assert_eq!(muted(&store), [false; 3], "what was before it was said is told");
    store.db.execute("UPDATE mute SET after_alert = 0", []).unwrap();
    assert_eq!(muted(&store), [false, false, true]);
    // What it covered before it ended stays muted.
    assert!(store.unmute(number, NOON.plus(HOUR - 1)).unwrap());
    assert!(!store.unmute(number, NOON.plus(HOUR)).unwrap());
    assert_eq!(muted(&store), [false, false, true]);
    assert_eq!(store.mutes_version().unwrap(), 2);
    let scope = Scope {
        network: Some(64_500),
        country: Country::parse("DE"),
        client: "curl".into(),
        route: "GET /v1/items/{id}".into(),
        ..Scope::default()
    };
    store.mute(&Mute { scope: scope.clone(), ..Mute::default() }).unwrap();
    assert_eq!(store.mutes().unwrap()[1].scope, scope);
}

#[test]
fn numbers_that_json_cannot_write_do_not_hide_an_alert() {
    let mut store = Store::in_memory().unwrap();
    let mut odd = alert("odd", "i", 1, NOON);
    odd.reasons[0].nats = f32::NAN;
    let ratio = ("ratio".into(), Value::Float(f64::INFINITY));
    odd.facts = [ratio, ("country.is_new".into(), Value::Bool(true))].into_iter().collect();
    store.commit(&Commit { alerts: vec![odd], ..Commit::default() }, NOON).unwrap();
    let Found::One(found) = store.alert("odd").unwrap() else { panic!() };
    assert_eq!(found.alert.facts, alert("odd", "i", 1, NOON).facts);
}
