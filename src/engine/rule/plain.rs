//! Whether a rule can match a usage about which no detector stated a fact. Most cannot, so an ordinary usage needs no
//! evaluation.

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, Modifier, SigmaValue};

use crate::engine::rule::view;

/// Returns whether a rule may match without any fact. In doubt, it may.
pub(super) fn is_plain(detections: &Detections) -> bool {
    detections.conditions.iter().any(|condition| can_hold(condition, detections))
}

/// Returns whether a condition may be true.
fn can_hold(condition: &ConditionExpr, detections: &Detections) -> bool {
    match condition {
        ConditionExpr::And(parts) => parts.iter().all(|part| can_hold(part, detections)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| can_hold(part, detections)),
        ConditionExpr::Not(part) => can_fail(part, detections),
        ConditionExpr::Identifier(name) => detections.named.get(name).is_none_or(can_match),
        ConditionExpr::Selector { .. } => detections.named.values().any(can_match),
    }
}

/// Returns whether a condition may be false.
fn can_fail(condition: &ConditionExpr, detections: &Detections) -> bool {
    match condition {
        ConditionExpr::And(parts) => parts.iter().any(|part| can_fail(part, detections)),
        ConditionExpr::Or(parts) => parts.iter().all(|part| can_fail(part, detections)),
        ConditionExpr::Not(part) => can_hold(part, detections),
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => true,
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
