//! When a rule matches. A rule is evaluated only if one of the facts without which it cannot match is present. Few
//! detectors state facts about a usage, so most rules need not be evaluated.

use rsigma_eval::compiler::eval_condition;
use rsigma_eval::{CompiledRule, EvalError, compile_rule};
use rsigma_parser::{ConditionExpr, Detection, SigmaRule};

use crate::engine::rule::plain;
use crate::engine::rule::view::{self, View};

/// The name of a selection that is compiled by itself.
const ALONE: &str = "alone";

/// The compiled condition of a rule.
pub(super) struct Condition {
    rule: CompiledRule,
    /// Facts of which it needs at least one to match; `None` if it may match without any.
    facts: Option<Vec<String>>,
}

impl Condition {
    /// Compiles the condition of a rule.
    ///
    /// # Errors
    /// Reports what the evaluator does not understand.
    pub(super) fn of(sigma: &SigmaRule) -> Result<Self, EvalError> {
        let facts = || view::facts_of(&sigma.detection);
        let facts = (!plain::is_plain(&sigma.detection)).then(facts);
        Ok(Self { rule: compile_rule(sigma)?, facts })
    }

    /// Returns the fields that the evaluator does not understand, each with its reason.
    pub(super) fn faulty_fields(sigma: &SigmaRule) -> Vec<(String, EvalError)> {
        let mut faulty = Vec::new();
        // One rule for all of them, and without what the compiler copies: a rule may have thousands.
        let mut alone = sigma.clone();
        alone.custom_attributes.clear();
        alone.detection.conditions = vec![ConditionExpr::Identifier(ALONE.to_owned())];
        for item in view::items_of(&sigma.detection) {
            let Some(name) = &item.field.name else { continue };
            alone.detection.named =
                [(ALONE.to_owned(), Detection::AllOf(vec![item.clone()]))].into();
            faulty.extend(compile_rule(&alone).err().map(|error| (name.clone(), error)));
        }
        faulty.sort_by(|(a, _), (b, _)| a.cmp(b)); // they come from a hash map
        faulty
    }

    /// Returns whether it may match a usage about which no detector stated a fact.
    pub(super) const fn is_plain(&self) -> bool {
        self.facts.is_none()
    }

    /// Returns whether it matches.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        let is_there = |fact: &String| view.facts.get(fact).is_some();
        if self.facts.as_ref().is_some_and(|facts| !facts.iter().any(is_there)) {
            return false;
        }
        let CompiledRule { conditions, detections, .. } = &self.rule;
        conditions.iter().any(|one| eval_condition(one, detections, view, &mut Vec::new()))
    }
}
