//! When a rule matches. A rule is asked only if one of the facts is there without which it cannot match: of
//! each usage few detectors speak, so most rules need not be asked.

use rsigma_eval::compiler::eval_condition;
use rsigma_eval::{CompiledRule, EvalError, compile_rule};
use rsigma_parser::SigmaRule;

use crate::engine::rule::plain;
use crate::engine::rule::view::{self, View};

/// What makes a rule match, compiled.
pub(super) struct Condition {
    rule: CompiledRule,
    /// Facts, without all of which it cannot match; `None` if it may match without any.
    facts: Option<Vec<String>>,
}

impl Condition {
    /// Compiles the condition of a rule.
    ///
    /// # Errors
    /// What the evaluator does not understand.
    pub(super) fn of(sigma: &SigmaRule) -> Result<Self, EvalError> {
        let facts = || view::facts_of(&sigma.detection);
        let facts = (!plain::is_plain(&sigma.detection)).then(facts);
        Ok(Self { rule: compile_rule(sigma)?, facts })
    }

    /// Tells whether it may hold of a usage of which no detector had anything to say.
    pub(super) const fn is_plain(&self) -> bool {
        self.facts.is_none()
    }

    /// Tells whether it holds.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        let is_there = |fact: &String| view.facts.get(fact).is_some();
        if self.facts.as_ref().is_some_and(|facts| !facts.iter().any(is_there)) {
            return false;
        }
        let CompiledRule { conditions, detections, .. } = &self.rule;
        conditions.iter().any(|one| eval_condition(one, detections, view, &mut Vec::new()))
    }
}
