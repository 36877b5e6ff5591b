//! Walks one line through the Reader and the Judge, and notes what each step hands on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::sketch::sketch;
use super::{Explained, Parting, Rejected, Step};
use crate::atlas::{Layer, Reloading};
use crate::cli::lines::{Numbered, text};
use crate::cli::parse::{Shown, Token};
use crate::cli::print::safe;
use crate::cli::scrub::{Cleaner, scrub};
use crate::daemon::site::Site;
use crate::engine::alert::{Alert, Facts, UNUSUAL_USE};
use crate::engine::commit::Commit;
use crate::engine::detect::{About, detect, risk};
use crate::engine::geo::{Atlas as _, Place};
use crate::engine::incident::Policy;
use crate::engine::judge::{self, Judge};
use crate::engine::line::MAX_LINE;
use crate::engine::memory::Memory;
use crate::engine::profile::{Placed, Profile, World};
use crate::engine::reader::{Reader, Source};
use crate::engine::record::{Record, Reject, guess};
use crate::engine::registry::Registry;
use crate::engine::rule::view::View;
use crate::engine::token::Sighting;
use crate::engine::usage::{Origin, Usage};
use crate::source::listing::sample;
use crate::store::{self, AlertFilter, StoreError};

/// Characters of a rejected line shown before and after the place where it stopped matching.
const AROUND: usize = 90;

/// Characters shown of a line that does not match from its first byte on: the fault may be anywhere in it, such as in
/// the message in an envelope of JSON.
const WHOLE: usize = 600;

/// Everything needed to walk a line through the steps. What it learns stays in memory and is dropped.
pub(super) struct Walk {
    judge: Judge,
    memory: Memory,
    atlas: Reloading,
    /// The stored state; `None` if there is none yet.
    store: Option<store::Reader>,
    /// What the first lines of each file look like.
    looks: BTreeMap<PathBuf, Option<String>>,
}

impl Walk {
    pub(super) fn new(site: &Site) -> anyhow::Result<Self> {
        let store = match store::Reader::open(&site.database()) {
            Ok(store) => Some(store),
            Err(StoreError::Absent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut memory = Memory::new(site.memory_bound());
        let judge = match &store {
            Some(store) => {
                if let Some(part) = memory.furnish(&store.house()?).first() {
                    anyhow::bail!("reading the site-wide statistics: {part} is damaged");
                }
                site.judge_of(store)?
            }
            None => site.judge(Registry::default(), site.policy())?,
        };
        Ok(Self { judge, memory, atlas: site.atlas(), store, looks: BTreeMap::new() })
    }

    /// Walks one line through all steps.
    pub(super) fn explain(
        &mut self,
        reader: &Reader,
        seen: &Numbered<'_>,
    ) -> anyhow::Result<Explained> {
        let mut explained = Explained {
            file: seen.path.to_string_lossy().into_owned(),
            line: seen.number,
            steps: vec![read(seen), split(seen)],
            usages: Vec::new(),
            reject: None,
        };
        let Some(source) = reader.source(seen.source, seen.path) else { return Ok(explained) };
        let mut parse = Step::new(3, "parse");
        parse.say("format", source.format.name());
        if let Some(looks) = self.looks_like(seen) {
            parse.say("looks like", looks);
        }
        let record = match source.record(&seen.line.bytes, seen.columns, &mut { seen.reach }) {
            Ok(Some(record)) => record,
            Ok(None) => {
                parse.say("holds nothing", "skipped, as by the daemon");
                explained.steps.push(parse);
                return Ok(explained);
            }
            Err(reject) => {
                explained.steps.push(parse);
                explained.reject = Some(rejected(reader, source, &seen.line.bytes, &reject));
                return Ok(explained);
            }
        };
        if let Some(template) = source.format.template_text() {
            parse.say("template", template);
        }
        let mut sightings = Vec::new();
        reader.finder().find(&record, &mut sightings);
        fields(&mut parse, reader, &record, &sightings);
        explained.steps.push(parse);
        let lack = record.lack.as_deref();
        explained.reject = lack.map(|lack| rejected(reader, source, &seen.line.bytes, lack));
        explained.steps.push(found(reader, &sightings));
        let usages = seal(reader, source, &record, &sightings, seen.line.offset);
        for usage in &usages {
            explained.usages.push(self.usage(usage)?);
        }
        if usages.is_empty() {
            let mut step = Step::new(5, "seal");
            let why = if sightings.is_empty() { "no token" } else { "the line has no time" };
            step.say("no usage", why);
            explained.steps.push(step);
        }
        Ok(explained)
    }

    /// Adds the alerts raised when the line was read. The walk itself uses today's knowledge, which may have learned
    /// from the line.
    fn told_before(&self, step: &mut Step, usage: &Usage) -> anyhow::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let filter = AlertFilter {
            since: Some(usage.time),
            until: Some(usage.time.plus(1)),
            token: Some(usage.token),
            ..AlertFilter::default()
        };
        let is_here = |alert: &Alert| {
            alert.evidence.iter().any(|origin| origin.offset == usage.origin.offset)
        };
        let alerts = store.alerts(&filter)?.into_iter().map(|stored| stored.alert);
        for alert in alerts.filter(is_here) {
            let (name, id) = (&alert.rule.name, &alert.id);
            step.say(
                format!("reported {name}"),
                format!("when the line was read: `alerts show {id}`"),
            );
        }
        Ok(())
    }

    /// Returns what a file looks like by its first lines; for standard input, by this line.
    fn looks_like(&mut self, seen: &Numbered<'_>) -> Option<String> {
        if seen.path == Path::new("-") {
            return looks(&seen.line.bytes);
        }
        let look = || looks(&sample(seen.path).ok()?);
        self.looks.entry(seen.path.to_owned()).or_insert_with(look).clone()
    }

    /// Walks one usage through steps 5 to 10.
    fn usage(&mut self, usage: &Usage) -> anyhow::Result<Vec<Step>> {
        let principal = self.judge.registry.principal(usage);
        let mut steps = vec![sealed(usage, &principal)];
        let place = usage.client.map(|client| self.atlas.place(client)).unwrap_or_default();
        steps.push(placed(&place, usage, &self.atlas));
        self.recall(std::slice::from_ref(usage))?;
        let mut compare = Step::new(7, "compare");
        let Some(handle) = self.memory.find(usage) else {
            compare.say("profile", "none: an unknown token that was refused is only counted");
            steps.push(compare);
            return Ok(steps);
        };
        let profile = self.memory.subject(handle).map(|of| of.subject.profile.clone());
        let profile = profile.unwrap_or_default();
        known(&mut compare, &profile);
        steps.push(compare);
        let facts = self.facts(usage, &place, profile);
        steps.push(detected(&facts));
        let mut rule = Step::new(9, "rule");
        let view = View {
            about: About::Usages,
            usage: Some((usage, &place)),
            principal: &principal,
            facts: &facts,
        };
        let matching = self.judge.rules.matching(&view);
        for matched in &matching {
            rule.say(matched.head.name.as_str(), matched.head.level.as_str());
        }
        if matching.is_empty() {
            rule.say("matching", "none");
        }
        let has_matches = !matching.is_empty();
        self.judge.judge(&mut self.memory, std::slice::from_ref(usage), &self.atlas);
        let commit = self.memory.take();
        tell(&mut rule, &commit, &self.judge.policy, has_matches);
        self.told_before(&mut rule, usage)?;
        steps.push(rule);
        let mut end = Step::new(10, "commit");
        end.say("saved", "nothing: this was a dry run");
        steps.push(end);
        Ok(steps)
    }

    /// Loads the stored principals of these usages into memory.
    fn recall(&mut self, usages: &[Usage]) -> anyhow::Result<()> {
        let Some(store) = &self.store else {
            self.memory.admit(usages, &[], &self.judge.registry);
            return Ok(());
        };
        let known = store.known_tokens(&self.memory.missing_tokens(usages))?;
        let principals = self.memory.unknown_principals(usages, &known, &self.judge.registry);
        let rows = store.recall_subjects(&principals)?;
        self.memory.admit(usages, &known, &self.judge.registry);
        if let Some((principal, fault)) = self.memory.remember(rows).first() {
            anyhow::bail!("reading the profile of {principal}: {fault}");
        }
        Ok(())
    }

    /// Returns the facts that the Judge will find.
    fn facts(&self, usage: &Usage, place: &Place, mut profile: Profile) -> Facts {
        let placed = Placed::new(usage, place);
        let Judge { registry, params, policy, .. } = &self.judge;
        let principal = registry.principal(usage);
        judge::hear(&policy.words, &principal, &mut profile, usage, params);
        let heard = judge::heard(&policy.words, &principal, &placed, params);
        let threshold = judge::threshold(self.memory.house(), policy, params);
        let row = registry.row(usage);
        let member = judge::member(&principal, &profile, row, usage);
        let peers = &self.memory.house().others(member, &params.fleet);
        let world =
            World { atlas: &self.atlas, peers, heard, threshold, latest: self.judge.latest };
        let signals = profile.compare(&placed, &params.profile, &world);
        let mut exposures = self.memory.house().exposures().clone();
        detect(&placed, &signals, row, &mut profile, &mut exposures, params)
    }
}

fn read(seen: &Numbered<'_>) -> Step {
    let mut step = Step::new(1, "read");
    step.say("offset", seen.line.offset);
    step
}

fn split(seen: &Numbered<'_>) -> Step {
    let mut step = Step::new(2, "split");
    step.say("bytes", seen.line.bytes.len());
    if seen.line.bytes.len() >= MAX_LINE {
        step.say("cut", format!("after {MAX_LINE} bytes"));
    }
    step
}

fn looks(bytes: &[u8]) -> Option<String> {
    let lines = bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let guess = guess(lines);
    let share = guess.share * 100.0;
    (guess.lines > 0 && guess.lines > guess.rejected)
        .then(|| format!("{}, {share:.0} % of {} lines", guess.name, guess.lines))
}

/// Adds the record, field by field.
fn fields(step: &mut Step, reader: &Reader, record: &Record<'_>, sightings: &[Sighting<'_>]) {
    let cleaner = Cleaner::new(reader, sightings);
    let shown = serde_json::to_value(Shown::new(record, &cleaner)).unwrap_or_default();
    flatten(step, "", &shown);
    if !record.fields.is_empty() {
        step.say("further fields", record.fields.len());
    }
}

fn flatten(step: &mut Step, path: &str, value: &Json) {
    let Json::Object(object) = value else {
        step.say(path, value.clone());
        return;
    };
    for (key, value) in object {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        flatten(step, &path, value);
    }
}

fn found(reader: &Reader, sightings: &[Sighting<'_>]) -> Step {
    let mut step = Step::new(4, "find");
    let sealed: Vec<_> = sightings
        .iter()
        .flat_map(|one| reader.sealer().tokens(std::slice::from_ref(one)))
        .collect();
    let tokens: Vec<Json> = sealed.iter().map(|one| json!(Token::new(one))).collect();
    for (sealed, token) in sealed.iter().zip(&tokens) {
        let words = ["kind", "hint", "id"].map(|key| token.get(key).and_then(Json::as_str));
        step.say(sealed.carrier.to_string(), words.map(Option::unwrap_or_default).join("  "));
    }
    if sealed.is_empty() {
        step.say("tokens", "none");
    }
    step
}

fn seal(
    reader: &Reader,
    source: &Source,
    record: &Record<'_>,
    sightings: &[Sighting<'_>],
    offset: u64,
) -> Vec<Usage> {
    let mut usages = Vec::new();
    let origin = Origin { offset, ..Origin::default() };
    reader.sealer().seal(record, sightings, origin, &source.service, &mut usages);
    usages
}

fn sealed(usage: &Usage, principal: &str) -> Step {
    let mut step = Step::new(5, "seal");
    step.say("token", usage.token.to_string());
    step.say("principal", principal);
    step.say("agent", format!("{} {}", usage.agent.family, usage.agent.version).trim());
    step.say("route", format!("{} {}", usage.method, usage.route));
    step.say("outcome", json!(usage.outcome()));
    step.say("transport", json!(usage.transport));
    if !usage.service.is_empty() {
        step.say("service", usage.service.as_str());
    }
    let claims = &usage.claims;
    for (name, time) in [("issued at", claims.issued_at), ("expires at", claims.expires_at)] {
        if let Some(time) = time {
            step.say(name, time.to_words());
        }
    }
    if let Some(was_used) = claims.second_factor {
        step.say("second factor", if was_used { "yes" } else { "no" });
    }
    step
}

fn placed(place: &Place, usage: &Usage, atlas: &Reloading) -> Step {
    let mut step = Step::new(6, "place");
    let Some(client) = usage.client else {
        step.say("client", "the line has no address");
        return step;
    };
    step.say("client", client.to_string());
    if usage.is_forgeable {
        step.say("forgeable", "the log names no peer: the address is what X-Forwarded-For says");
    }
    if let Some(country) = place.country {
        step.say("country", country.as_str());
    }
    if !place.city.is_empty() {
        step.say("city", place.city.as_str());
    }
    if let Some(asn) = place.asn {
        step.say("network", format!("AS{asn} {}", place.organization).trim_end());
    }
    if let Some(kind) = place.network {
        step.say("kind of network", json!(kind));
    }
    let layers: Vec<String> = atlas.knowing(client).iter().map(layer).collect();
    let layers = if layers.is_empty() { "no GeoIP layer".to_owned() } else { layers.join(", ") };
    step.say("known to", layers);
    step
}

fn layer(layer: &Layer) -> String {
    let kind = layer.kind.clone().unwrap_or_default();
    match &layer.path {
        Some(path) => format!("{kind} ({})", path.display()),
        None => kind,
    }
}

fn known(step: &mut Step, profile: &Profile) {
    match profile.last_seen() {
        None => step.say("profile", "new: nothing is known about this principal"),
        Some(last) => {
            step.say("active days", profile.active_days());
            step.say("last seen", last.to_rfc3339(0));
            if let Some(hours) = profile.patience() {
                let text = format!("expected to call within {hours} h in which others do");
                step.say("silence", text);
            }
        }
    }
}

fn detected(facts: &Facts) -> Step {
    let mut step = Step::new(8, "detect");
    for (name, value) in &facts.values {
        step.say(*name, json!(value));
    }
    for (name, value) in &facts.usual {
        step.say(format!("usual {name}"), json!(value));
    }
    for (at, reason) in facts.reasons.iter().enumerate() {
        let how = if reason.how.is_empty() { String::new() } else { format!(" = {}", reason.how) };
        let nats = match reason.nats > 0.0 || !how.is_empty() {
            true => format!(" ({:+.1}{how} nats)", reason.nats),
            false => String::new(),
        };
        step.say(format!("reason {}", at + 1), format!("{}: {}{nats}", reason.kind, reason.text));
    }
    if let Some(score) = facts.score() {
        let sum = facts.reasons.iter().filter(|reason| reason.kind == UNUSUAL_USE);
        let sum: Vec<String> = sum.map(|reason| format!("{:.1}", reason.nats)).collect();
        let risk = risk(score);
        step.say("score", format!("{} = {score:.1} nats, risk {risk} %", sum.join(" + ")));
    }
    if facts.is_empty() {
        step.say("facts", "none");
    }
    step
}

/// Adds how a person would be notified.
fn tell(step: &mut Step, commit: &Commit, policy: &Policy, has_matches: bool) {
    for alert in &commit.alerts {
        let is_mailed = commit.notices.iter().any(|notice| notice.incident == alert.incident);
        let is_urgent = policy.at_once.is_some_and(|least| alert.rule.level >= least);
        let how = match alert {
            _ if policy.mutes.iter().any(|mute| mute.covers(alert)) => "muted",
            _ if is_urgent && is_mailed => "mailed at once",
            _ if is_urgent => "in a mail that was sent recently",
            _ if is_mailed => "in a mail with a worse alert",
            _ => "in the digest",
        };
        step.say(format!("alert {}", alert.rule.name), format!("{how}: {}", alert.reason));
    }
    if commit.alerts.is_empty() {
        let why = if has_matches { "nothing: it was reported recently" } else { "nothing" };
        step.say("reported", why);
    }
}

/// Returns the part of a rejected line around the place where it stopped matching, without what may be secret.
fn rejected(reader: &Reader, source: &Source, line: &[u8], reject: &Reject) -> Rejected {
    let before = line.get(..reject.column.saturating_sub(1)).unwrap_or(line);
    let (whole, before) = (scrub(reader, line), scrub(reader, before));
    let is_object = line.first() == Some(&b'{') && source.format.template_text().is_none();
    // If the column is inside a secret, the caret is under its beginning.
    let same = whole.iter().zip(&before).take_while(|(a, b)| a == b).count();
    let (left, right) = whole.split_at_checked(same).unwrap_or((&whole, b""));
    let (left, right) = (safe(text(left)), safe(text(right)));
    let skipped = left.chars().count().saturating_sub(AROUND);
    let mark = if skipped > 0 { "..." } else { "" };
    let shown: String = left.chars().skip(skipped).collect();
    let most = if reject.column <= 1 { WHOLE } else { AROUND };
    let rest: String = right.chars().take(most).collect();
    let end = if rest.len() < right.len() { "..." } else { "" };
    Rejected {
        at: mark.len() + shown.chars().count(),
        text: format!("{mark}{shown}{rest}{end}"),
        column: reject.column,
        expected: reject.expected.to_string(),
        found: reject.found.to_string(),
        template: parting(reader, source, line, reject),
        sketch: (source.format.name() == "auto" && !is_object).then(|| sketch(line)).flatten(),
        is_object,
    }
}

/// Returns the template that a line does not match, and the values of the variables before the mismatch.
fn parting(reader: &Reader, source: &Source, line: &[u8], reject: &Reject) -> Option<Parting> {
    let template = source.format.template_text()?;
    let fits = reject.template.unwrap_or(1).saturating_sub(1);
    let before: String = template.chars().take(fits).collect();
    let shown = |value: &[u8]| {
        let whole = safe(text(&scrub(reader, value)));
        whole.chars().take(AROUND).collect()
    };
    let trail = source.format.trail(line).into_iter();
    Some(Parting {
        at: safe(&before).chars().count(),
        column: fits + 1,
        template: template.to_owned(),
        values: trail.map(|(name, value)| (name.to_owned(), shown(value))).collect(),
    })
}
