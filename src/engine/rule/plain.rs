//! Whether a rule can match a usage about which no detector stated a fact. Most cannot, so an ordinary usage needs no
//! evaluation.

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, Modifier, SigmaValue};

use crate::engine::rule::view;

/// Returns whether a rule may match without any fact. In doubt, it may.
pub(super) fn is_plain(detections: &Detections) -> bool {
    detections.conditions.iter().any(|condition| can_be(true, condition, detections))
}

/// Returns whether a condition may evaluate to `wanted`.
fn can_be(wanted: bool, condition: &ConditionExpr, detections: &Detections) -> bool {
    let can = |part: &ConditionExpr| can_be(wanted, part, detections);
    match condition {
        ConditionExpr::And(parts) if wanted => parts.iter().all(can),
        ConditionExpr::Or(parts) if !wanted => parts.iter().all(can),
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(can),
        ConditionExpr::Not(part) => can_be(!wanted, part, detections),
        ConditionExpr::Identifier(name) => {
            !wanted || detections.named.get(name).is_none_or(can_match)
        }
        ConditionExpr::Selector { .. } => !wanted || detections.named.values().any(can_match),
    }
}

fn can_match(detection: &Detection) -> bool {
    match detection {
        Detection::AllOf(items) => !items.iter().any(needs_fact),
        Detection::AnyOf(parts) => parts.iter().any(can_match),
        Detection::And(parts) => parts.iter().all(can_match),
        _ => true,
    }
}

/// Returns whether an item requires a fact.
fn needs_fact(item: &DetectionItem) -> bool {
    let is_absence = |value: &SigmaValue| match value {
        SigmaValue::Null => true,
        SigmaValue::Bool(is_there) => !is_there && item.field.has_modifier(Modifier::Exists),
        _ => false,
    };
    item.field.name.as_deref().is_some_and(view::is_fact) && !item.values.iter().any(is_absence)
}
