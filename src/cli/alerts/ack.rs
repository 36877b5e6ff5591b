//! `alerts ack`: records a person's word, and shows its effects.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::slice;

use anyhow::Context as _;
use serde_json::{Value as Json, json};
use smol_str::{SmolStr, ToSmolStr};

use super::{Subject, ack_json, find};
use crate::cli::args::AlertsAck;
use crate::cli::print::{self, Printer};
use crate::cli::{Context, advice, state};
use crate::clock::now;
use crate::engine::alert::Alert;
use crate::engine::detect::{Until, client_name, network_name};
use crate::engine::geo::Prefix;
use crate::engine::house::House;
use crate::engine::memory;
use crate::engine::profile::{Families, Family};
use crate::engine::secret::TokenId;
use crate::engine::time::{HOUR, Timestamp};
use crate::engine::word::{Sighting, Verdict, Word};
use crate::store::{Ack, Reader, Store, Who};

/// Acknowledges all named alerts and incidents, once all are found.
pub(super) fn run(context: &mut Context, options: &AlertsAck) -> anyhow::Result<()> {
    state::refuse_secret_in("note", options.note.as_deref().unwrap_or_default())?;
    let reader = state::reader(&context.site)?;
    let end = end_of_log(&reader)?;
    let mut subjects = Vec::new();
    for id in &options.ids {
        let subject = find(&reader, id)?;
        if subjects.iter().all(|other: &Subject| other.id() != subject.id()) {
            subjects.push(subject);
        }
    }
    // Anything that can fail comes before the first acknowledgement.
    let days = context.site.params().context("reading [detect]")?.profile.learning.watch_days;
    let mut store = context.site.store()?;
    let printer = &mut context.printer;
    let spoken = Spoken { options, at: now(), end, watch_days: days };
    let mut said = |subject| acknowledge(printer, &mut store, subject, &spoken);
    subjects.into_iter().try_for_each(&mut said)
}

/// What was said, and when.
struct Spoken<'a> {
    options: &'a AlertsAck,
    at: Timestamp,
    /// When what was read of the logs ends, at the latest; `None` if nothing was.
    end: Option<Timestamp>,
    /// How long misuse is watched for.
    watch_days: f64,
}

impl Spoken<'_> {
    /// Returns a word that holds from now on; of old logs, from what was read of them on: what is read next is old,
    /// too, and a word of now would not hold for it.
    fn dated(&self, store: &Store, word: Word) -> anyhow::Result<Word> {
        let Some(end) = self.end.filter(|end| *end < word.at) else { return Ok(word) };
        let rows = store.recall_subjects(slice::from_ref(&word.principal))?;
        let subject = rows.first().and_then(|row| memory::Subject::decode(&row.blob).ok());
        let used = subject.and_then(|subject| subject.profile.last_seen());
        let alerted = word.actors.iter().map(|seen| seen.time).max();
        let read = used.max(alerted).unwrap_or(end);
        Ok(Word { at: word.at.min(read.plus(1)), ..word })
    }
}

/// Returns the end of the last hour that was read of the logs; `None` if there is none.
fn end_of_log(reader: &Reader) -> anyhow::Result<Option<Timestamp>> {
    let (house, _) = House::restore(&reader.house()?);
    Ok((house.beat() > 0).then(|| house.hour().plus(HOUR)))
}

/// Says one.
fn acknowledge(
    printer: &mut Printer,
    store: &mut Store,
    subject: Subject,
    spoken: &Spoken<'_>,
) -> anyhow::Result<()> {
    let Spoken { options, at, watch_days, .. } = *spoken;
    let (id, before, mut stored) = match subject {
        Subject::Alert(stored) => {
            let before = stored.ack.clone().filter(|ack| ack.subject == stored.alert.id);
            (stored.alert.id.clone(), before, vec![*stored])
        }
        Subject::Incident(stored) => (stored.incident.id, stored.ack, stored.alerts),
    };
    let verdict = if options.confirmed { Verdict::Confirmed } else { Verdict::Expected };
    let is_repeated = before.as_ref().is_some_and(|before| before.verdict == verdict);
    let said = before.map(|before| before.note).unwrap_or_default();
    let is_noted = options.note.as_ref().is_some_and(|note| *note != said);
    let ack = Ack { subject: id, verdict, note: options.note.clone().unwrap_or(said), at };
    if is_repeated {
        // Of an incident that has grown since, only the rest is new.
        stored.retain(|stored| stored.ack.is_none());
    }
    let is_repeated = is_repeated && stored.is_empty();
    let alerts: Vec<Alert> = stored.into_iter().map(|stored| stored.alert).collect();
    let word = Word::of(verdict, at, &alerts.iter().collect::<Vec<&Alert>>());
    let word = word.map(|word| renamed(store, word, &alerts)).transpose()?;
    let word = word.map(|word| spoken.dated(store, word)).transpose()?;
    store.ack(&ack, word.as_ref())?;
    let effects = match &word {
        _ if is_repeated && is_noted => {
            vec!["already acknowledged; only the note is new".to_owned()]
        }
        _ if is_repeated => vec!["already acknowledged; nothing is new".to_owned()],
        None => vec!["noted; there is no baseline to learn from it".to_owned()],
        Some(word) if alerts.iter().all(|alert| alert.token.is_none()) => of_many(word, watch_days),
        Some(word) => {
            let mut effects = effects(word, watch_days);
            if verdict == Verdict::Expected {
                effects.extend(again(&alerts, &word.principal));
            }
            effects
        }
    };
    if printer.is_json() {
        let mut json = ack_json(Some(&ack));
        if let Json::Object(fields) = &mut json {
            fields.insert("effects".to_owned(), json!(effects));
        }
        return Ok(printer.json(&json)?);
    }
    printer.line(format_args!("{}: {}", print::Safe(&ack.subject), verdict.as_str()))?;
    effects.iter().try_for_each(|effect| printer.line(print::safe(format!("  {effect}"))))?;
    Ok(())
}

/// Returns a word about the name that the tokens of its alerts have by now: alerts keep the one that they had. If some
/// still have it, or have different ones, the word stays about that.
fn renamed(store: &Store, word: Word, alerts: &[Alert]) -> anyhow::Result<Word> {
    let tokens = alerts.iter().filter_map(|alert| alert.token.as_ref());
    let tokens: BTreeSet<TokenId> = tokens.map(|token| token.id).collect();
    let mut names = BTreeSet::new();
    for token in tokens {
        names.insert(called(store, token, &word.principal)?);
    }
    let only = names.pop_first().filter(|_| names.is_empty());
    Ok(Word { principal: only.unwrap_or(word.principal), ..word })
}

/// Returns the name that a token has by now; `before` is the one that it had.
fn called(store: &Store, token: TokenId, before: &SmolStr) -> anyhow::Result<SmolStr> {
    let row = store.registered(&Who::Token(token))?.into_iter().next();
    Ok(match row {
        Some(row) if !row.name.is_empty() => row.name,
        // Its name was cleared, unless it states one itself.
        Some(_) if !state::is_identity(before) => token.to_smolstr(),
        _ => before.clone(),
    })
}

/// Returns the effects of a word on many tokens at once: it is about no single baseline.
fn of_many(word: &Word, watch_days: f64) -> Vec<String> {
    let all = Family::IDENTITY.into_iter().collect();
    let seen = word.actors.iter().map(|seen| names(seen, all)).collect::<Vec<_>>().join("; and ");
    let each = "acknowledge each token's own incident as well";
    match word.verdict {
        Verdict::Expected => vec![
            format!("{seen} do not count as evidence, or no longer do"),
            format!(
                "each token learns what is new to it in three days of use; to do so sooner, {each}"
            ),
        ],
        Verdict::Confirmed => vec![
            format!(
                "for {watch_days} days {seen} count as evidence for all principals that do not use both, however many do"
            ),
            format!(
                "to make a token forget them and never learn them, {each}; and revoke the tokens"
            ),
        ],
    }
}

/// Returns the effects of a word, one sentence each.
fn effects(word: &Word, watch_days: f64) -> Vec<String> {
    let principal = &word.principal;
    let all = Family::IDENTITY.into_iter().collect();
    let named = |of: fn(&Sighting) -> Families| {
        let actors = word.actors.iter().map(|seen| names(seen, of(seen))).collect::<Vec<_>>();
        actors.into_iter().filter(|names| !names.is_empty()).collect::<Vec<_>>()
    };
    let mut effects = Vec::new();
    match word.verdict {
        Verdict::Expected => {
            let seen = word.actors.iter().map(|seen| names(seen, all)).collect::<Vec<_>>();
            effects
                .push(format!("from its next use on, {principal} knows {}", seen.join("; and ")));
            let n_families = word.families().iter().count();
            if n_families > 0 {
                effects.push(
                    "what was new counts as a change by the owner: such changes weigh less".into(),
                );
            }
            if word.surprise() > 0.0 {
                effects.push("the request rate of that day counts as usual".to_owned());
            }
        }
        Verdict::Confirmed => {
            let forgotten = named(|seen| seen.novel);
            if !forgotten.is_empty() {
                let forgotten = forgotten.join("; and ");
                effects.push(format!("{principal} forgets {forgotten}, if it has learned that"));
            }
            if word.actors.iter().any(|seen| !seen.turns_with.is_empty()) {
                effects.push("a turn with the unknown place is reported again".to_owned());
            }
            if word.has_stranger() {
                effects
                    .push(format!("{principal} never learns from this network and client again"));
                effects.push(format!(
                    "for {watch_days} days they count as evidence for all principals that do not use both"
                ));
            } else {
                effects.push(format!(
                    "nothing distinguishes it from {principal}'s own use, so nothing is watched: revoke the token"
                ));
            }
        }
    }
    effects
}

/// Returns what is reported again nevertheless, and what ends that, one sentence each.
fn again(alerts: &[Alert], principal: &str) -> Vec<String> {
    let untils = Until::of(alerts);
    let again = Until::again(&untils).into_iter().map(|what| format!("{what} is reported again"));
    let name = advice::quoted(OsStr::new(principal));
    let permit = untils.iter().filter_map(|until| match until {
        Until::Permitted { column, .. } => Some(format!(
            "to permit it: `tokens set {name} {column}=...`, with all its {column} and what this was"
        )),
        _ => None,
    });
    let is_own = untils.contains(&Until::Unmatched);
    let mute = format!("to have no mail of it: `alerts mute --principal {name} --rule RULE`");
    again.chain(permit).chain(is_own.then_some(mute)).collect()
}

/// Returns an actor's values of some families in words.
fn names(seen: &Sighting, families: Families) -> String {
    let named = |family: Family| match family {
        Family::Country => seen.place.country.map(|country| format!("country {country}")),
        Family::Kind => seen.place.network.map(|kind| format!("{} networks", kind.as_str())),
        Family::Network => seen.place.asn.map(|_| network_name(&seen.place)),
        Family::Prefix => seen.client.map(|ip| format!("addresses {}", Prefix::of(ip))),
        Family::Client => Some(client_name(&seen.agent.family)),
        Family::Version => {
            let version = &seen.agent.version;
            (!version.is_empty()).then(|| format!("its version {version}"))
        }
        _ => None,
    };
    families.iter().filter_map(named).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alert::Value;

    #[test]
    fn what_the_registry_forbids_was_said_to_be_known_and_nothing_else() {
        let told = |rule: &str, facts: &[&str]| {
            let named = |fact: &&str| (SmolStr::new(fact), Value::Bool(true));
            let mut alert = Alert { facts: facts.iter().map(named).collect(), ..Alert::default() };
            alert.rule.name = rule.into();
            again(&[alert], "ci bot")
        };
        let pinned = told("new-country", &["pinned.country", "unusual.country"]);
        let permit = "to permit it: `tokens set 'ci bot' countries=...`, with all its countries and what this was";
        let outside = "use from outside its registered countries is reported again";
        assert_eq!(pinned, [outside, permit]);
        assert_eq!(
            told("token-in-url", &["url.route"]),
            ["such use of the token is reported again"]
        );
        let own = told("night-shift", &["new.client"]);
        let mute = "to have no mail of it: `alerts mute --principal 'ci bot' --rule RULE`";
        assert_eq!(own, ["what a rule of your own matches is reported again", mute]);
        assert!(told("new-client", &["new.client"]).is_empty());
    }

    #[test]
    fn of_many_tokens_it_is_said_what_is_watched_and_what_to_do_for_each() {
        let seen = Sighting {
            time: Timestamp(0),
            client: None,
            place: crate::engine::geo::Place::default(),
            agent: crate::engine::usage::Agent { family: "curl".into(), version: "8.5".into() },
            novel: Families::default(),
            families: Families::default(),
            surprise: 0.0,
            turns_with: BTreeSet::new(),
        };
        let said = |verdict| {
            let word = Word {
                number: 0,
                at: Timestamp(0),
                principal: "fleet".into(),
                verdict,
                actors: vec![seen.clone()],
                about: None,
            };
            of_many(&word, 30.0).join("\n")
        };
        for verdict in [Verdict::Expected, Verdict::Confirmed] {
            assert!(said(verdict).contains("acknowledge each token's own incident"));
            assert!(!said(verdict).contains("fleet"));
        }
        let watched =
            "for 30 days client curl, its version 8.5 count as evidence for all principals";
        assert!(said(Verdict::Confirmed).starts_with(watched));
    }
}
