//! nginx's values of the upstream servers contacted for one response: a list that contains spaces.
//!
//!     server{, server}{ : server{, server}}
//!
//! A comma precedes another server of the same group, a colon the group chosen by an internal redirect
//! (`ngx_http_upstream_module`, `$upstream_addr`). A redirect that contacted none leaves the place after the colon
//! empty.

/// Variables that are lists.
const LISTS: &[&str] = &[
    "$upstream_addr",
    "$upstream_bytes_received",
    "$upstream_bytes_sent",
    "$upstream_cache_status",
    "$upstream_connect_time",
    "$upstream_header_time",
    "$upstream_response_length",
    "$upstream_response_time",
    "$upstream_status",
];

const REDIRECT: &[u8] = b" : ";

/// Returns whether a variable, as written in a template, is a list.
pub(super) fn is_list(written: &str) -> bool {
    LISTS.contains(&written)
}

/// Returns whether a literal ends a list at a space, which then need not be the first space.
pub(super) fn is_ended_by(literal: &[u8]) -> bool {
    literal.starts_with(b" ") && !literal.starts_with(REDIRECT)
}

/// Returns the length of the list at the beginning of a text.
pub(super) fn length(text: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let word = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (server, behind) = rest.split_at_checked(word).unwrap_or_default();
        end += word;
        if behind.is_empty() {
            return end;
        } else if server.ends_with(b",") {
            end += 1;
        } else if behind.starts_with(REDIRECT) {
            end += REDIRECT.len();
        } else {
            return end;
        }
    }
}

/// Finds the space before the list at the end of a text.
pub(super) fn space_before(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let space = memchr::memrchr(b' ', text.get(..end)?)?;
        let before = text.get(..space)?;
        end = match before.strip_suffix(b" :") {
            Some(group) => group.len(),
            None if before.ends_with(b",") => before.len(),
            None => return Some(space),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_measured_from_both_ends() {
        for list in ["a:80", "-", "a, b", "a : b", "a, b : unix:/run/c, -", "a : "] {
            assert_eq!(length(format!("{list} c").as_bytes()), list.len(), "{list}");
            assert_eq!(length(list.as_bytes()), list.len(), "{list}");
            assert_eq!(space_before(format!("c {list}").as_bytes()), Some(1), "{list}");
            assert_eq!(space_before(list.as_bytes()), None, "{list}");
        }
        for cut in ["", "a,", "a, "] {
            assert_eq!(length(cut.as_bytes()), cut.len(), "{cut}");
        }
    }
}
