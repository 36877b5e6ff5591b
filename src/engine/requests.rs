//! Sets of requests, by method and path: what a scope permits, and where a second factor is needed.

use smol_str::SmolStr;

use crate::engine::route::route;

/// Methods of RFC 9110, `WebDAV` and caches.
const METHODS: [&str; 28] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MERGE",
    "ACL",
    "CHECKOUT",
    "MKACTIVITY",
    "MKCALENDAR",
    "PURGE",
    "BAN",
    "QUERY",
    "LINK",
    "UNLINK",
];

/// The safe ones: RFC 9110, section 9.2.1, and IANA's registry of methods.
const SAFE: [&str; 8] =
    ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"];

/// Returns the known method that a text is, in upper case.
#[must_use]
pub fn method(text: &[u8]) -> Option<&'static str> {
    METHODS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(text)).copied()
}

/// A set of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All.
    All,
    /// Those that only read, by their method.
    Reading,
    /// Those for one path, or also for what is below it.
    For {
        /// The method; `None` for any. GET includes HEAD.
        method: Option<&'static str>,
        /// The path, shortened as routes are, without a slash at its end.
        path: SmolStr,
        /// Whether what is below it is included.
        has_below: bool,
    },
}

const METHOD: &str = "a method of HTTP before the path, as in GET:/v1/items/*";
const PATH: &str = "a path, which begins with /, alone or after a method, as in GET:/v1/items/*";
const STAR: &str = "* only as the last segment of a path, as in GET:/v1/items/*";
const QUERY: &str = "a path without a query, as in GET:/v1/items";

impl Requests {
    /// Parses `/path` or `METHOD:/path`; `/*` at the end includes what is below.
    ///
    /// # Errors
    /// Returns what is expected instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (method, path) = match text.split_once(':') {
            Some((name, path)) if !name.starts_with('/') => {
                (Some(method(name.as_bytes()).ok_or(METHOD)?), path)
            }
            _ => (None, text),
        };
        if !path.starts_with('/') {
            return Err(PATH);
        }
        let has_below = path.ends_with("/*");
        let path = path.strip_suffix('*').filter(|_| has_below).unwrap_or(path);
        if path.contains('*') {
            return Err(STAR);
        }
        if path.contains(['?', '#']) {
            return Err(QUERY);
        }
        let path = SmolStr::new(route(path.as_bytes()).trim_end_matches('/'));
        Ok(Self::For { method, path, has_below })
    }

    /// Returns whether a request is one of them.
    #[must_use]
    pub fn contains(&self, asked: &str, route: &str) -> bool {
        match self {
            Self::All => true,
            Self::Reading => SAFE.contains(&asked),
            Self::For { method, path, has_below } => {
                let is_method = |known: &str| known == asked || (known, asked) == ("GET", "HEAD");
                let rest = route.strip_prefix(path.as_str());
                let is_there = |rest: &str| match rest {
                    "" | "/" => true,
                    _ => *has_below && rest.starts_with('/'),
                };
                method.is_none_or(is_method) && rest.is_some_and(is_there)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns which of these requests a text means: a method and a target each.
    fn meant<'a>(text: &str, asked: &[&'a str]) -> Vec<&'a str> {
        let requests = Requests::parse(text).unwrap();
        let is_meant = |request: &&&str| {
            let (method, target) = request.split_once(' ').unwrap();
            requests.contains(method, &route(target.as_bytes()))
        };
        asked.iter().filter(is_meant).copied().collect()
    }

    #[test]
    fn paths_are_compared_by_segment() {
        let asked = [
            "GET /v1/items",
            "GET /v1/items/",
            "GET /v1/items?page=2",
            "GET /v1/items/42",
            "PUT /v1/items/42/tags/new",
            "GET /v1/items2",
            "GET /v1",
            "GET /v2/v1/items",
        ];
        assert_eq!(meant("/v1/items", &asked), asked[..3]);
        assert_eq!(meant("/v1/items/*", &asked), asked[..5]);
        assert_eq!(meant("/v1/items/42", &asked), asked[3..4]);
        assert_eq!(meant("/v1/items/{id}", &asked), asked[3..4], "a route as alerts show it");
        assert_eq!(meant("/v1/items/{id}/*", &asked), asked[3..5]);
        assert_eq!(meant("/*", &asked), asked);
        assert_eq!(meant("/", &asked), [""; 0]);
        assert_eq!(meant("/", &["GET /", "GET https://api.example.org"]).len(), 2);
    }

    #[test]
    fn a_method_counts_if_it_is_named() {
        let asked = ["GET /a", "HEAD /a", "POST /a", "DELETE /a"];
        assert_eq!(meant("GET:/a", &asked), asked[..2], "HEAD is GET without the content");
        assert_eq!(meant("get:/a", &asked), asked[..2]);
        assert_eq!(meant("HEAD:/a", &asked), asked[1..2]);
        assert_eq!(meant("DELETE:/*", &asked), asked[3..]);
        assert_eq!(meant("/a", &asked), asked);
    }

    #[test]
    fn reading_is_what_http_calls_safe() {
        let n_of = |of: Requests| METHODS.iter().filter(|method| of.contains(method, "/a")).count();
        assert_eq!((n_of(Requests::Reading), n_of(Requests::All)), (SAFE.len(), METHODS.len()));
        for (method, reads) in [("GET", true), ("HEAD", true), ("POST", false), ("PURGE", false)] {
            assert_eq!(Requests::Reading.contains(method, "/a"), reads, "{method}");
        }
    }

    #[test]
    fn a_path_deeper_than_any_route_means_what_is_below_its_route() {
        let deep = "/a/b/c/d/e/f/g/h/i/j/k";
        assert_eq!(meant(&format!("{deep}/*"), &[&format!("GET {deep}/l")]).len(), 1);
        assert_eq!(meant("/a/b/*", &[&format!("GET {deep}")]).len(), 1);
        let word = "a-segment-of-24-letters-";
        let long = format!("/{word}/{word}/{word}/{word}/{word}");
        assert_eq!(meant(&format!("{long}/*"), &[&format!("GET {long}/x")]).len(), 1);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_what_to_write() {
        for (text, expected) in [
            ("", PATH),
            ("items", PATH),
            ("GET", PATH),
            ("GET:items", PATH),
            ("GET:", PATH),
            ("GET:*", PATH),
            ("*", PATH),
            ("GETT:/v1", METHOD),
            (":/v1", METHOD),
            ("https://api.example.org/v1", METHOD),
            ("/v1/*/tags", STAR),
            ("/v1/item*", STAR),
            ("/v1/**", STAR),
            ("/v1/items?page=2", QUERY),
            ("/v1/items#top", QUERY),
        ] {
            assert_eq!(Requests::parse(text), Err(expected), "{text}");
        }
    }
}
