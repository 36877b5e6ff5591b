//! Says which scopes of a token are permissions, and which are labels: what is misspelt is a label, without a fault.

use crate::cli::print;
use crate::engine::registry::Scope;

/// Permissions that are plain words.
const WORDS: [&str; 2] = ["read", "write"];

/// Returns the scopes that permit requests, in a line.
pub(super) fn permissions(scopes: &[Scope]) -> String {
    joined(scopes.iter().filter(|scope| scope.permitted().is_some()))
}

/// Returns the scopes that are only shown, in a line.
pub(super) fn labels(scopes: &[Scope]) -> String {
    joined(labels_of(scopes))
}

fn labels_of(scopes: &[Scope]) -> impl Iterator<Item = &Scope> {
    scopes.iter().filter(|scope| scope.permitted().is_none())
}

fn joined<'a>(scopes: impl Iterator<Item = &'a Scope>) -> String {
    scopes.map(|scope| print::safe(scope.to_string())).collect::<Vec<_>>().join(" ")
}

/// Says on standard error what somebody who sets these scopes may not expect.
pub(super) fn say_doubts(scopes: &[Scope]) {
    doubts(scopes).iter().for_each(print::say);
}

fn doubts(scopes: &[Scope]) -> Vec<String> {
    let (permitted, labels) = (permissions(scopes), labels(scopes));
    let is_mixed = !permitted.is_empty() && !labels.is_empty();
    let mixed =
        is_mixed.then(|| format!("permits: {permitted}; labels, which permit nothing: {labels}"));
    mixed.into_iter().chain(labels_of(scopes).filter_map(misspelt)).collect()
}

fn misspelt(label: &Scope) -> Option<String> {
    let label = print::safe(label.to_string());
    let lower = label.to_ascii_lowercase();
    let meant = WORDS.iter().find(|word| strsim::damerau_levenshtein(&lower, word) == 1)?;
    Some(format!("\"{label}\" is a label, which permits nothing: did you mean \"{meant}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_that_is_misspelt_was_a_label_without_a_word() {
        let doubts = |texts: &[&str]| {
            let scopes: Vec<Scope> = texts.iter().map(|text| Scope::parse(text).unwrap()).collect();
            doubts(&scopes)
        };
        let none: [&str; 0] = [];
        for sure in [&["read", "Write", "/v1"][..], &["billing", "repo:status"], &[]] {
            assert_eq!(doubts(sure), none, "{sure:?}");
        }
        let mixed = "permits: read POST:/graphql; labels, which permit nothing: billing";
        assert_eq!(doubts(&["read", "billing", "POST:/graphql"]), [mixed]);
        for (label, meant) in [("reed", "read"), ("Raed", "read"), ("writ", "write")] {
            let told =
                format!("\"{label}\" is a label, which permits nothing: did you mean \"{meant}\"?");
            assert_eq!(doubts(&[label]), [told]);
        }
    }
}
