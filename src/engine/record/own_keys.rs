//! JSON lines whose keys the site defines: in a table of fields, or in an nginx template that prints an object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Part, Slot};
use super::syntax::{Piece, Variable, nginx_pieces};
use super::template_fault::{TemplateFault, no_time};
use super::variables;

/// Compiles an nginx template that prints JSON (`escape=json`): the dotted path of each key, and where its
/// variable is stored. Returns `None` if the template is not JSON.
pub(super) fn nginx(template: &str) -> Result<Option<Vec<(String, Slot)>>, TemplateFault> {
    /// A number that replaces each variable, quoted or not, while the template is parsed as JSON.
    const MARK: usize = 7_316_500_000;
    if !template.trim_start().starts_with('{') {
        return Ok(None);
    }
    let mut slots = Vec::new();
    let mut text = String::new();
    for piece in nginx_pieces(template)? {
        match piece {
            Piece::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal)),
            Piece::Variable(Variable { slot, .. }) => {
                text.push_str(&(MARK + slots.len()).to_string());
                slots.push(slot);
            }
        }
    }
    let Ok(tree) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
    let mut own = Vec::new();
    walk(&tree, &mut String::new(), &mut |path, text| {
        let at = text.parse::<usize>().ok().and_then(|number| number.checked_sub(MARK));
        if let Some(slot) = at.and_then(|at| slots.get(at)) {
            own.push((path.to_owned(), slot.clone()));
        }
    });
    if own.iter().any(|(_, slot)| *slot == Slot::Part(Part::Time)) {
        return Ok(Some(own));
    }
    Err(no_time(template))
}

/// Calls `show` for each plain value of a tree with its dotted path.
fn walk(tree: &Value, path: &mut String, show: &mut impl FnMut(&str, &str)) {
    match tree {
        Value::Object(object) => {
            for (key, value) in object {
                let length = path.len();
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(key);
                walk(value, path, show);
                path.truncate(length);
            }
        }
        Value::String(text) => show(path, text),
        Value::Number(number) => show(path, &number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) => {}
    }
}

/// Compiles a site's table of JSON keys.
pub(super) fn fields(
    fields: &BTreeMap<String, String>,
) -> Result<Vec<(String, Slot)>, TemplateFault> {
    fields
        .iter()
        .map(|(name, path)| match variables::field(name) {
            Some(slot) if !path.is_empty() => Ok((path.clone(), slot)),
            Some(_) => {
                Err(field_fault(name, "no key", "a dotted key such as request.headers.Host"))
            }
            None => Err(field_fault(name, "no field of ours", variables::FIELD_NAMES)),
        })
        .collect()
}

fn field_fault(name: &str, found: &str, expected: &str) -> TemplateFault {
    TemplateFault {
        column: 1,
        found: format!("\"{name}\": {found}"),
        expected: expected.to_owned(),
        hint: "our names stand left, the log's keys right; others go under header.NAME, cookie.NAME, id.NAME"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_offered_is_one_of_ours() {
        for name in variables::FIELD_NAMES.split(", ") {
            assert!(variables::field(name).is_some(), "{name}");
        }
    }
}
