//! How well logs are read: what prevents the monitor from seeing is reported for the log.

use std::path::Path;

use smol_str::{SmolStr, format_smolstr};

use crate::engine::alert::{Alert, Facts};
use crate::engine::detect::{About, Eye, Strain, crowded, gone, misread, missing, strained};
use crate::engine::health::{Log, Roll, hashed, path_of, principal};
use crate::engine::incident::{Desk, Joined, Match, key_of, key_of_log, stable_id};
use crate::engine::judge::{Judge, stated};
use crate::engine::line::StreamId;
use crate::engine::memory::Memory;
use crate::engine::pulse::{Gap, Pulse, Spell};
use crate::engine::rule::view::View;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Origin, Outcome, Usage};

/// A log whose lines were read, and the clock for lines without a time.
#[derive(Clone, Copy, Debug)]
pub struct Followed<'a> {
    /// Where it is followed.
    pub path: &'a Path,
    /// The file that was read: it may be rotated.
    pub file: &'a Path,
    /// The stream of the lines.
    pub stream: StreamId,
    /// The current time.
    pub now: Timestamp,
}

/// A finding about a log.
struct Finding {
    time: Timestamp,
    /// What distinguishes it from other findings of the log; empty if nothing does for as long as the rule says.
    what: SmolStr,
    facts: Facts,
    evidence: Vec<Origin>,
    /// Whether it can be mailed: not if mail itself fails.
    is_mailed: bool,
}

impl Judge {
    /// Judges how well the lines of a log were read. Leaves its findings in `memory`.
    pub fn check(&self, memory: &mut Memory, log: &mut Log, of: Followed<'_>, pulse: &Pulse) {
        let health = &self.params.health;
        for stretch in pulse.stretches() {
            let is_bad = |lines, rejected| health.is_bad(lines, rejected);
            let spells = log.window.count(of.stream, stretch, of.now, is_bad);
            for spell in spells.into_iter().flatten() {
                let found = self.misread(&spell, of.path);
                self.tell_of_log(memory, &mut log.desk, &principal(of.path), &found);
            }
        }
        if let Some(gap) = pulse.gap() {
            self.tell_of_log(memory, &mut log.desk, &principal(of.path), &lost(gap, of));
        }
    }

    /// Judges where the usages of a log come from.
    pub fn count(&self, memory: &mut Memory, log: &mut Log, of: Followed<'_>, usages: &[Usage]) {
        // Somebody who guesses tokens comes from one address, too.
        let accepted = |usage: &&Usage| usage.outcome() == Outcome::Ok && usage.is_used();
        for usage in usages.iter().filter(accepted) {
            let whose = || hashed(&self.registry.principal(usage));
            let Some(crowd) = log.callers.call(usage, whose, &self.params.health) else { continue };
            let found = Finding {
                time: usage.time,
                what: format_smolstr!("proxy {}", crowd.address),
                facts: crowded(&crowd, &of.path.to_string_lossy()),
                evidence: vec![usage.origin],
                is_mailed: true,
            };
            self.tell_of_log(memory, &mut log.desk, &principal(of.path), &found);
        }
    }

    /// Looks for logs that have fallen silent among those that are to have more lines, and that no other log of their
    /// source continues. Call it when everything available of any log has been judged.
    pub fn look(
        &self,
        memory: &mut Memory,
        roll: &mut Roll,
        has_more: impl Fn(&str) -> bool,
        source_of: impl Fn(&str) -> Option<usize>,
    ) {
        for (principal, found) in roll.missing(has_more, source_of, &self.params.health) {
            let Some(desk) = roll.tell(&principal) else { continue };
            let found = Finding {
                time: found.time,
                what: "silent".into(),
                facts: missing(&found, &path_of(&principal).to_string_lossy()),
                evidence: Vec::new(),
                is_mailed: true,
            };
            self.tell_of_log(memory, desk, &principal, &found);
        }
    }

    /// Reports what has begun to exceed its limit; `now` is the clock's time.
    pub fn strain(&self, memory: &mut Memory, roll: &mut Roll, strains: &[Strain], now: Timestamp) {
        for strain in roll.strained(strains, &self.params.health) {
            let Some(desk) = roll.spell(strain) else { continue };
            let found = Finding {
                time: now,
                what: if strain.eye == Eye::Lag { "lag" } else { "strain" }.into(),
                facts: strained(strain),
                evidence: Vec::new(),
                is_mailed: strain.eye != Eye::Mail,
            };
            self.tell_of_log(memory, desk, &strain.principal, &found);
        }
    }

    fn misread(&self, spell: &Spell, path: &Path) -> Finding {
        Finding {
            time: spell.time,
            what: SmolStr::default(),
            facts: misread(spell, &path.to_string_lossy(), &self.params.health),
            evidence: vec![spell.first.origin()],
            is_mailed: true,
        }
    }

    fn tell_of_log(&self, memory: &mut Memory, desk: &mut Desk, principal: &str, found: &Finding) {
        let view = View { about: About::Logs, usage: None, principal, facts: &found.facts };
        for rule in self.rules.matching(&view) {
            let key = match found.what.as_str() {
                "" => key_of_log(rule),
                what => key_of(rule, what),
            };
            let (time, within) = (found.time, rule.once.within);
            let this = Match { rule, principal, time, key, within };
            if desk.is_news(&this, &self.policy.words) {
                let mut alert = alert(&this, found);
                let joined = desk.join(&mut alert, &self.policy);
                let notice = joined.notice.filter(|_| found.is_mailed);
                let joined = Joined { notice, ..joined };
                memory.tell(alert, joined);
            }
        }
    }
}

/// Reports a gap. Each is news of its own: the transaction that reports it also records it, so it is found once.
fn lost(gap: &Gap, of: Followed<'_>) -> Finding {
    Finding {
        time: of.now,
        what: format_smolstr!("gap {} {}", of.stream.0, gap.offset),
        facts: gone(gap, &of.file.to_string_lossy()),
        evidence: vec![Origin { stream: of.stream, offset: gap.offset }],
        is_mailed: true,
    }
}

fn alert(this: &Match<'_>, found: &Finding) -> Alert {
    let Finding { time, what, facts, evidence, .. } = found;
    let apart = match what.as_str() {
        // The file says when a gap was found; its time is when it was looked at.
        gap if gap.starts_with("gap ") => gap.to_owned(),
        // Two kinds of faults of one log may be found in the same second.
        what => format!("{what} {}", time.0),
    };
    let id = stable_id("al", &[&this.rule.head.id, this.principal, &apart]);
    Alert { id, evidence: evidence.clone(), ..stated(this, facts) }
}
