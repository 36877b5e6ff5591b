//! Determines, at the start of each of the site's hours, whose silence is news.

use smol_str::SmolStr;

use crate::engine::alert::{Alert, Facts, TokenRef};
use crate::engine::detect::{About, fell_silent, lost};
use crate::engine::incident::{Desk, Joined, Match, key_of_log, stable_id};
use crate::engine::judge::{Judge, stated};
use crate::engine::memory::{Handle, Memory, Recalled};
use crate::engine::profile::Silent;
use crate::engine::reserved::Reserved;
use crate::engine::rule::view::View;
use crate::engine::time::Timestamp;

impl Judge {
    /// Examines the silences that fall due, before the first usage of the hour is judged. Many at once are reported as
    /// one thing: a log that is lost, a network that is down.
    pub(super) fn begin_hour(&self, memory: &mut Memory) {
        let (beat, time) = (memory.house().beat(), memory.house().hour());
        let due = memory.due(beat).into_iter();
        let silent: Vec<(Handle, Silent)> =
            due.filter_map(|handle| Some((handle, self.silence(memory, handle)?))).collect();
        let principals = u32::try_from(silent.len()).unwrap_or(u32::MAX);
        let mut told = Vec::new();
        if f64::from(principals) < self.params.fleet.principals {
            for (handle, found) in silent {
                let Some(Recalled { principal, subject, .. }) = memory.subject(handle) else {
                    continue;
                };
                let facts = fell_silent(&found);
                told.extend(self.tell_silence(&mut subject.desk, principal, &facts, time));
            }
        } else {
            let silent: Vec<Silent> = silent.into_iter().map(|(_, found)| found).collect();
            memory.house_mut().lose(&silent.iter().map(|found| found.last).collect::<Vec<_>>());
            told = self.tell_silence(memory.fleet_desk(), Reserved::FLEET, &lost(&silent), time);
        }
        told.into_iter().for_each(|(alert, joined)| memory.tell(alert, joined));
    }

    /// Examines one silence at the start of the current hour; returns it if it is news. It is not if all tokens have
    /// ended, or if it is part of a report about many.
    fn silence(&self, memory: &mut Memory, handle: Handle) -> Option<Silent> {
        let Recalled { principal, subject, house, .. } = memory.subject(handle)?;
        let time = house.hour();
        let found = subject.profile.silence(house.beat(), time.hour(), house.leapt());
        let is_news = |found: &Silent| {
            !found.is_over && !house.is_lost(found.last) && !self.registry.is_over(principal, time)
        };
        let found = found.filter(is_news);
        memory.note_due(handle);
        found
    }

    fn token_of(&self, principal: &str, time: Timestamp) -> Option<TokenRef> {
        let id = self.registry.only_token(principal, time)?;
        let name = self.registry.token(id).map(|row| row.name.clone()).unwrap_or_default();
        Some(TokenRef { id, name, kind: SmolStr::default(), hint: SmolStr::default() })
    }

    fn tell_silence(
        &self,
        desk: &mut Desk,
        principal: &str,
        facts: &Facts,
        time: Timestamp,
    ) -> Vec<(Alert, Joined)> {
        let view = View { about: About::Site, usage: None, principal, facts };
        let mut told = Vec::new();
        for rule in self.rules.matching(&view) {
            let (key, within) = (key_of_log(rule), rule.once.within);
            let found = Match { rule, principal, time, key, within };
            if desk.is_news(&found, &self.policy.words) {
                let token = self.token_of(principal, time);
                let mut alert = Alert { token, ..alert(&found, facts) };
                let joined = desk.join(&mut alert, &self.policy);
                told.push((alert, joined));
            }
        }
        told
    }
}

/// Makes the alert of a silence. It has no usage, and so no line: that there is none is what it reports.
fn alert(found: &Match<'_>, facts: &Facts) -> Alert {
    let Match { rule, principal, time, .. } = *found;
    let id = stable_id("al", &[&rule.head.id, principal, &time.0.to_string()]);
    Alert { id, ..stated(found, facts) }
}
