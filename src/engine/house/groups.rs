//! What sources of guesses have in common: a /48, an operator, or client and route.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::sources::{
    Guesses, Guessing, Manner, Named, Visit, bit, guesses, key_of_source, seconds,
};
use super::table::Entry;
use super::telling::Telling;
use super::window::{Limits, Window};
use crate::engine::profile::Placed;
use crate::engine::stats::key;
use crate::engine::usage::Usage;

/// In seconds.
const DAY: i64 = 86_400;

/// Sources that have a /48, an operator, or client and route in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) window: Window,
    /// Its sources, as bits.
    sources: u64,
    last: i64,
    pub(super) told: Option<Telling>,
}

impl Entry for Group {
    fn worth(&self, now: i64) -> impl Ord {
        let is_live = now.saturating_sub(self.last).abs() < DAY;
        let strange = if is_live { self.window.strange.count() } else { 0 };
        (Telling::lasts(self.told, now).is_some(), strange, self.window.usual(), self.last)
    }
}

impl Group {
    pub(super) fn fail(&mut self, visit: &Visit, params: &Guessing) {
        let Visit { source, who, now, .. } = *visit;
        Telling::follow(&mut self.told, who, now);
        let (is_over, _) = self.window.fail(who, now, seconds(params.spread_minutes));
        self.sources = bit(key(&[&source.to_le_bytes()])) | if is_over { 0 } else { self.sources };
        self.last = now;
    }

    pub(super) fn is_guessing(&mut self, params: &Guessing) -> bool {
        let Guessing { spread_tokens, spread_sources, usual_factor, .. } = *params;
        let limits = Limits { strange: spread_tokens, tries: spread_tokens, times: usual_factor };
        spread_sources <= f64::from(self.sources.count_ones()) && self.window.is_strange(&limits)
    }

    pub(super) fn tell(&mut self, named: Named, now: i64) -> Guesses {
        self.told = Some(Telling::new(false, &self.window, now));
        let sources = self.sources.count_ones();
        Guesses { sources, ..guesses(named, Manner::Spread, &self.window, now) }
    }
}

/// Returns what a source may have in common with others, the narrowest first.
pub(super) fn keys_of_groups(placed: &Placed<'_>) -> [Option<u64>; 3] {
    const SITE: u64 = 1 << 56;
    const OPERATOR: u64 = 2 << 56;
    const MANNER: u64 = 3 << 56;
    let v6 = placed.usage.client.filter(IpAddr::is_ipv6);
    let site = v6.map(|address| SITE | key_of_source(address) >> 16);
    let operator = placed.place.asn.map(|asn| OPERATOR | u64::from(asn));
    let Usage { agent, method, route, .. } = placed.usage;
    let manner = key(&[agent.family.as_bytes(), method.as_bytes(), route.as_bytes()]);
    [site, operator, Some(MANNER | u64::from(manner))]
}

pub(super) fn name_of_group(at: usize, placed: &Placed<'_>) -> SmolStr {
    let Usage { agent, method, route, .. } = placed.usage;
    match (at, placed.prefix, placed.place.asn) {
        (0, Some(prefix), _) => format_smolstr!("{prefix}"),
        (1, _, Some(asn)) => format_smolstr!("AS{asn}"),
        _ => format_smolstr!("{} {method} {route}", agent.family).trim_start().into(),
    }
}
