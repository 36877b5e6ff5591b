//! What a token may be used for: permissions, which are compared with requests, and labels, which are only shown.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::requests::{Requests, method};

/// One scope of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SmolStr", into = "SmolStr")]
pub struct Scope {
    text: SmolStr,
    /// What it permits; `None` for a label.
    permitted: Option<Requests>,
}

impl Scope {
    /// Parses a permission (`read`, `write`, `*`, `/path`, `METHOD:/path`, with or without `/*`), or else takes the
    /// text as a label: `billing`, `repo:status`.
    ///
    /// # Errors
    /// It is meant as a permission, but is none. Returns what is expected instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let permitted = match text.to_ascii_lowercase().as_str() {
            "read" => Some(Requests::Reading),
            "write" | "*" => Some(Requests::All),
            _ if is_label(text) => None,
            _ => Some(Requests::parse(text)?),
        };
        Ok(Self { text: SmolStr::new(text), permitted })
    }

    /// Returns what it permits; `None` for a label.
    #[must_use]
    pub const fn permitted(&self) -> Option<&Requests> {
        self.permitted.as_ref()
    }
}

/// Returns whether a text says nothing about requests. So do `delete:users` and `https://api.example.org/auth/items`,
/// which are scopes of OAuth servers; `DELETE:users` and `GET` are meant to.
fn is_label(text: &str) -> bool {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let has_path = rest.starts_with('/') && !rest.starts_with("//");
    !has_path && !name.starts_with('/') && method(name.as_bytes()) != Some(name)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What was stored before permissions were known may be none; it remains as a label.
impl From<SmolStr> for Scope {
    fn from(text: SmolStr) -> Self {
        Self::parse(&text).unwrap_or(Self { text, permitted: None })
    }
}

impl From<Scope> for SmolStr {
    fn from(scope: Scope) -> Self {
        scope.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_permission(text: &str) -> bool {
        Scope::parse(text).unwrap().permitted().is_some()
    }

    #[test]
    fn scopes_of_oauth_servers_are_labels() {
        for text in [
            "billing",
            "repo:status",
            "read:items",
            "delete:users",
            "get",
            "User.Read.All",
            "s3:GetObject",
            "https://api.example.org/auth/items.readonly",
            "urn:example:scope",
            "api://0f1e/items",
        ] {
            assert!(!is_permission(text), "{text}");
        }
    }

    #[test]
    fn what_names_requests_is_a_permission() {
        for text in ["read", "Write", "*", "/v1/*", "/v1/a:b", "GET:/v1", "get:/v1", "PURGE:/"] {
            assert!(is_permission(text), "{text}");
        }
        for text in ["GET:items", "DELETE:users", "GET", "GETT:/v1", "/v1/*/tags"] {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_that_was_stored_as_anything_is_read_as_it_was() {
        let stored = r#"["read","GET:items","repo:status"]"#;
        let scopes: Vec<Scope> = serde_json::from_str(stored).unwrap();
        let permissions = scopes.iter().filter(|scope| scope.permitted().is_some()).count();
        assert_eq!((permissions, serde_json::to_string(&scopes).unwrap().as_str()), (1, stored));
    }
}
