//! What a person does not want to hear of: by rule, by principal, or both, with a reason and an end.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::alert::Alert;
use crate::engine::time::Timestamp;

/// Keeps alerts from being mailed. They are still kept, and shown as muted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Number of the mute, to end it by.
    pub id: i64,
    /// A rule's name; empty for every rule.
    pub rule: SmolStr,
    /// A principal; empty for everybody.
    pub principal: SmolStr,
    /// Why.
    pub reason: SmolStr,
    /// When it was said.
    pub since: Timestamp,
    /// When it ends; `None` for never.
    pub until: Option<Timestamp>,
}

impl Mute {
    /// Tells whether this mute covers an alert, by the time of the alert's usage.
    #[must_use]
    pub fn covers(&self, alert: &Alert) -> bool {
        let rule = self.rule.is_empty() || self.rule == alert.rule.name;
        let principal = self.principal.is_empty() || self.principal == alert.principal;
        let open = self.until.is_none_or(|until| alert.time < until);
        rule && principal && open
    }
}
