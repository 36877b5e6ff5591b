//! Steps 6 to 9: usages become alerts, and so do logs that cannot be read. Pure: its state is in [`Memory`],
//! everything else comes as arguments.

mod health;
mod silence;
#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::SeedableRandomState;
use smol_str::SmolStr;

use crate::engine::alert::{Alert, Facts, Level, Reason, TokenRef, Value, Values};
use crate::engine::detect::{About, Params, detect, found, guessed, risk, shared, walked};
use crate::engine::geo::{Atlas, Place};
use crate::engine::house::{Blame, House, Member};
use crate::engine::incident::{Desk, Joined, Match, Policy, key, stable_id, within};
use crate::engine::memory::{Handle, Memory, Recalled, makes_known};
use crate::engine::profile::{Keys, Placed, Profile, Signals, Taught, World};
use crate::engine::registry::{Registered, Registry};
use crate::engine::reserved::Reserved;
use crate::engine::rule::view::View;
use crate::engine::rule::{Rule, RuleSet};
use crate::engine::time::{DAY, Timestamp};
use crate::engine::usage::Usage;
use crate::engine::word::{Brought, Heard, Words};

pub use health::Followed;

/// Addresses whose place is cached.
const MAX_PLACES: usize = 64 * 1024;

/// Everything on which a judgement depends.
#[derive(Debug)]
pub struct Judge {
    /// Windows, floors and caps of the detectors.
    pub params: Params,
    /// Which facts make an alert.
    pub rules: Arc<RuleSet>,
    /// What the site knows about its tokens.
    pub registry: Registry,
    /// Who is notified of what, and what people said about it.
    pub policy: Policy,
    /// The latest time that a usage counts as of: its arrival and a little more, if that is known.
    pub latest: Timestamp,
    /// A cache: places by address.
    places: HashMap<IpAddr, Place, SeedableRandomState>,
}

impl Judge {
    /// Makes a judge.
    #[must_use]
    pub fn new(
        params: Params,
        rules: impl Into<Arc<RuleSet>>,
        registry: Registry,
        policy: Policy,
    ) -> Self {
        let places = HashMap::with_hasher(SeedableRandomState::fixed());
        Self { params, rules: rules.into(), registry, policy, latest: Timestamp(i64::MAX), places }
    }

    /// Hashes what clients choose in this way from now on. No result depends on it.
    pub fn hash_by(&mut self, by: SeedableRandomState) {
        self.places = HashMap::with_hasher(by);
    }

    /// Forgets the places of addresses: the atlas has changed.
    pub fn forget_places(&mut self) {
        self.places.clear();
    }

    /// Judges usages in their order. Leaves findings and what was learned in `memory`.
    pub fn judge(&mut self, memory: &mut Memory, usages: &[Usage], atlas: &dyn Atlas) {
        for usage in usages {
            // Nobody is missed in hours in which nothing came but what the server turned away.
            if makes_known(usage) && memory.house_mut().begin_hour(usage.time) {
                self.begin_hour(memory);
            }
            match memory.find(usage) {
                Some(handle) => self.judge_one(memory, handle, usage, atlas),
                None => self.judge_stranger(memory, usage, atlas),
            }
        }
    }

    /// Judges a use of an unknown token: it has no principal, only a source.
    fn judge_stranger(&mut self, memory: &mut Memory, usage: &Usage, atlas: &dyn Atlas) {
        let place = place(&mut self.places, usage.client, atlas);
        let placed = Placed::new(usage, place);
        let guessing = &self.params.guessing;
        let Some(guesses) = memory.house_mut().fail(&placed, guessing) else { return };
        let Some(desk) = memory.desk_of_source(guesses.key, usage.time) else { return };
        let facts = guessed(&guesses);
        let principal = Reserved::Source(&guesses.source).to_string();
        let of = Of::site(&principal, &facts);
        let told = told_of(&self.rules, &self.policy, desk, &placed, &of);
        told.into_iter().for_each(|(alert, joined)| memory.tell(alert, joined));
    }

    fn judge_one(&mut self, memory: &mut Memory, handle: Handle, usage: &Usage, atlas: &dyn Atlas) {
        let place = place(&mut self.places, usage.client, atlas);
        memory.record(handle, usage, place);
        let Some(Recalled { principal, subject, house, fleet }) = memory.subject(handle) else {
            return;
        };
        let placed = Placed::new(usage, place);
        let row = self.registry.row(usage);
        let profile = &mut subject.profile;
        // If the whole site is ahead, it is this machine's clock that is behind, as at a start before it was set.
        if house.hour().since(self.latest) <= DAY {
            let time = usage.time.min(self.latest);
            profile.correct_clock(time, self.latest, &self.params.profile);
        }
        let (before, due) = (profile.share(), profile.due());
        for taught in hear(&self.policy.words, principal, profile, usage, &self.params) {
            house.hear(member(principal, profile, row, usage), &taught, usage.time.day());
        }
        let heard = heard(&self.policy.words, principal, &placed, &self.params);
        let threshold = threshold(house, &self.policy, &self.params);
        let peers = &house.others(member(principal, profile, row, usage), &self.params.fleet);
        let world = World { atlas, peers, heard, threshold, latest: self.latest };
        let signals = profile.compare(&placed, &self.params.profile, &world);
        let mut facts =
            detect(&placed, &signals, row, profile, house.exposures_mut(), &self.params);
        let mut changes = Vec::new();
        // A token exposed in a Referer was not used by this request: it says nothing about its principal's behaviour.
        if usage.is_used() {
            profile.call(usage, house.beat(), &self.params.profile.silence);
            let absorbed = profile.absorb(&placed, &signals, &self.params.profile);
            let member = member(principal, profile, row, usage);
            house.replace_share(before, profile.share());
            changes = house.absorb(member, &signals, absorbed, &self.params.fleet);
            let success = house.meet(&placed, &signals, &self.params.guessing);
            success.iter().for_each(|success| found(success, &placed, &mut facts));
            let blame = if signals.is_fault { Blame::Service } else { Blame::Asker };
            let walk = house.ask(principal, (usage, blame), &self.params.objects);
            walk.iter().for_each(|walk| walked(walk, &mut facts));
        }
        let of = Of {
            about: About::Usages,
            principal,
            facts: &facts,
            token: Some(token(usage, row)),
            brought: brought(&signals),
        };
        let is_due_anew = profile.due() != due;
        let mut told = told_of(&self.rules, &self.policy, &mut subject.desk, &placed, &of);
        for change in changes {
            let facts = shared(&change, &placed);
            // what they have in common, for a word that may follow
            let brought = Brought { novel: signals.novel, ..Brought::default() };
            let of = Of { brought, ..Of::site(Reserved::FLEET, &facts) };
            told.extend(told_of(&self.rules, &self.policy, fleet.change(), &placed, &of));
        }
        if is_due_anew {
            memory.note_due(handle);
        }
        told.into_iter().for_each(|(alert, joined)| memory.tell(alert, joined));
    }
}

/// Returns a principal as the house knows it: the registry says which are the site's own.
#[must_use]
pub fn member<'a>(
    principal: &'a str,
    profile: &Profile,
    row: Option<&Registered>,
    usage: &Usage,
) -> Member<'a> {
    let is_sound = row.is_some_and(|row| row.is_sound(usage.time));
    let counts = is_sound || profile.is_settled();
    Member { principal, token: usage.token, class: profile.class(), counts }
}

/// Applies the words that are due before a usage to a profile. The usage is not absorbed yet: a caller that keeps
/// a principal's share of the population must get it before.
pub fn hear(
    words: &Words,
    principal: &str,
    profile: &mut Profile,
    usage: &Usage,
    params: &Params,
) -> Vec<Taught> {
    if !usage.is_used() {
        return Vec::new();
    }
    let due = words.due(principal, profile.heard(), usage.time);
    due.map(|word| profile.hear(word, &params.profile)).collect()
}

/// Returns what people said about a usage's actor.
#[must_use]
pub fn heard(words: &Words, principal: &str, placed: &Placed<'_>, params: &Params) -> Heard {
    let actor = || Keys::of(placed).actors();
    let days = params.profile.learning.watch_days;
    words.about(principal, actor, placed.usage.time, days)
}

/// Returns the score from which a person is notified at once, if a mail budget sets it.
#[must_use]
pub fn threshold(house: &House, policy: &Policy, params: &Params) -> Option<f64> {
    let within = || house.threshold(policy.budget, &params.profile.score).nats;
    (policy.budget > 0.0).then(within)
}

/// Returns what a usage brought, for a word that may follow.
fn brought(signals: &Signals) -> Brought {
    let burst = signals.burst.as_ref();
    let turn = signals.turn.filter(|turn| turn.is_strange());
    Brought {
        novel: signals.novel,
        surprise: burst.map_or(0.0, |burst| burst.surprise),
        turn_with: turn.map(|turn| turn.stranger),
    }
}

/// A finding, and its subject.
struct Of<'a> {
    about: About,
    principal: &'a str,
    facts: &'a Facts,
    token: Option<TokenRef>,
    brought: Brought,
}

impl<'a> Of<'a> {
    /// Returns a finding that concerns no single principal, and no token.
    fn site(principal: &'a str, facts: &'a Facts) -> Self {
        let brought = Brought::default();
        Self { about: About::Site, principal, facts, token: None, brought }
    }
}

/// Returns the alerts that the rules make of facts, as far as they are news, each with what became of its incident.
fn told_of(
    rules: &RuleSet,
    policy: &Policy,
    desk: &mut Desk,
    placed: &Placed<'_>,
    of: &Of<'_>,
) -> Vec<(Alert, Joined)> {
    let Placed { usage, place, .. } = placed;
    let Of { about, principal, facts, .. } = of;
    let view = View { about: *about, usage: Some((usage, place)), principal, facts };
    let mut told = Vec::new();
    for rule in rules.matching(&view) {
        let (time, key) = (usage.time, key(rule, usage, facts));
        let found = Match { rule, principal, time, key, within: within(rule, facts) };
        if desk.is_news(&found, &policy.words) {
            let mut alert = alert(&found, placed, of);
            let joined = desk.join(&mut alert, policy);
            told.push((alert, joined));
        }
    }
    told
}

fn token(usage: &Usage, row: Option<&Registered>) -> TokenRef {
    TokenRef {
        id: usage.token,
        name: row.map(|row| row.name.clone()).unwrap_or_default(),
        kind: usage.kind.clone(),
        hint: usage.hint.clone(),
    }
}

fn place<'a>(
    places: &'a mut HashMap<IpAddr, Place, SeedableRandomState>,
    client: Option<IpAddr>,
    atlas: &dyn Atlas,
) -> &'a Place {
    static NOWHERE: Place = Place {
        country: None,
        city: SmolStr::new_static(""),
        point: None,
        asn: None,
        organization: SmolStr::new_static(""),
        network: None,
    };
    let Some(client) = client else { return &NOWHERE };
    if places.len() >= MAX_PLACES && !places.contains_key(&client) {
        places.clear();
    }
    places.entry(client).or_insert_with(|| atlas.place(client))
}

/// Makes the alert of a match.
fn alert(found: &Match<'_>, placed: &Placed<'_>, of: &Of<'_>) -> Alert {
    let usage = placed.usage;
    let Match { rule, principal, .. } = *found;
    let token = usage.token.to_string();
    let time = usage.time.0.to_string();
    // Logs have whole seconds: two alerts may share everything else.
    let key = found.key.to_string();
    Alert {
        id: stable_id("al", &[&rule.head.id, principal, &token, &time, &key]),
        token: of.token.clone(),
        client: usage.client,
        is_forgeable: usage.is_forgeable,
        place: placed.place.clone(),
        agent: usage.agent.clone(),
        route: smol_str::format_smolstr!("{} {}", usage.method, usage.route),
        status: usage.status,
        evidence: vec![usage.origin],
        brought: of.brought,
        ..stated(found, of.facts)
    }
}

/// Makes an alert of what a rule and facts say, without id, usage and evidence.
fn stated(found: &Match<'_>, facts: &Facts) -> Alert {
    let Match { rule, principal, time, .. } = *found;
    let reasons = reasons(rule, facts);
    Alert {
        time,
        rule: rule.head.clone(),
        principal: SmolStr::new(principal),
        risk: risk_of(rule, facts),
        reason: sentence(&reasons),
        reasons,
        facts: by_name(&facts.values),
        usual: by_name(&facts.usual),
        ..Alert::default()
    }
}

fn by_name(values: &[(&'static str, Value)]) -> Values {
    values.iter().map(|(name, value)| (SmolStr::new_static(name), value.clone())).collect()
}

/// Returns the reasons that support this rule, heaviest first; for a rule of the site's own its title, then all of
/// them. A place that the registry does not allow comes first: it is certain, and the first thing to know about a
/// score.
fn reasons(rule: &Rule, facts: &Facts) -> Vec<Reason> {
    let is_score = rule.head.is_score();
    let is_own =
        |reason: &&Reason| reason.kind == rule.head.name || (is_score && reason.is_pinned());
    let own: Vec<Reason> = facts.reasons.iter().filter(is_own).cloned().collect();
    let of_site = own.is_empty().then(|| Reason {
        kind: rule.head.name.clone(),
        text: rule.head.title.to_string(),
        ..Reason::default()
    });
    let mut reasons = if own.is_empty() { facts.reasons.clone() } else { own };
    reasons.sort_by(|a, b| b.is_pinned().cmp(&a.is_pinned()).then(b.nats.total_cmp(&a.nats)));
    of_site.into_iter().chain(reasons).collect()
}

fn sentence(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ")
}

/// Returns the score's risk for statistics, and for plain facts the risk of their level.
fn risk_of(rule: &Rule, facts: &Facts) -> u8 {
    let of_level = match rule.head.level {
        Level::Informational => 5,
        Level::Low => 20,
        Level::Medium => 40,
        Level::High => 75,
        Level::Critical => 95,
    };
    facts.score().filter(|_| rule.head.is_score()).map_or(of_level, risk)
}
