//! Which known name is meant by one that is not known.

use std::collections::BTreeSet;
use std::net::IpAddr;

use smol_str::{SmolStr, ToSmolStr as _};

use crate::cli::exit::usage;
use crate::cli::{print, state};
use crate::engine::detect::nearest;
use crate::engine::geo::{Prefix, is_network};
use crate::engine::reserved::Reserved;
use crate::store::{AlertFilter, Found, Reader};

/// Alerts whose sources an unknown one is compared with at most: the latest.
const MAX_ALERTS: u32 = 1000;

/// Letters in which two identities differ that one slip makes of another: one changed, or two exchanged or added.
const MAX_SLIP: usize = 2;

/// Returns a name as logs and alerts have it. Mails break what would be a link; a name copied from there is read back,
/// unless somebody is called so. If both are known, none is taken: whoever chooses a name could choose one that a mail
/// shows of another.
pub(super) fn as_logged(reader: &Reader, name: &str) -> anyhow::Result<SmolStr> {
    let read = name.replace("[:]//", "://").replace("[.]", ".");
    let is_known = |name: &str| Ok::<_, anyhow::Error>(reader.resolve(name)? != Found::None);
    if read == name || !is_known(name)? {
        return Ok(read.into());
    }
    if is_known(&read)? {
        return Err(usage(format!(
            "\"{}\" is ambiguous: somebody is called so, and mails show \"{}\" so; name that one in this way, the \
             other by the id of a token, which `tokenwatch tokens list` shows",
            print::safe(name),
            print::safe(&read)
        )));
    }
    Ok(name.into())
}

/// Warns of a name that is taken at its word although nothing has it yet.
pub(super) fn warn(name: &str, known: &[SmolStr]) {
    let hint = hint(name, known).unwrap_or_default();
    let name = print::safe(name);
    print::warn(format_args!("nothing is known as \"{name}\" so far{hint}"));
}

/// Returns the principal of a source of guesses, by an address of it or as alerts name it; warns if no alert does.
pub(super) fn source(reader: &Reader, text: &str) -> anyhow::Result<SmolStr> {
    let name = source_name(reader, text)?;
    if !is_told(reader, &name)? {
        let filter = AlertFilter { limit: Some(MAX_ALERTS), ..AlertFilter::default() };
        let alerts = reader.alerts(&filter)?.into_iter().map(|stored| stored.alert.principal);
        let is_source = |name: &SmolStr| matches!(Reserved::parse(name), Some(Reserved::Source(_)));
        warn(&name, &alerts.filter(is_source).collect::<Vec<_>>());
    }
    Ok(name)
}

/// Returns the principal of a source of guesses, by an address of it or as alerts name it, or may.
pub(super) fn source_name(reader: &Reader, text: &str) -> anyhow::Result<SmolStr> {
    let name = Reserved::Source(text).to_smolstr();
    if is_told(reader, &name)? {
        return Ok(name);
    }
    let source = source_of(text).ok_or_else(|| {
        usage(format!(
            "\"source:{}\" names no source: expected source: and an address or its network (/24, of IPv6 /64 or /48), \
             an operator, or a client and a route, such as source:203.0.113.0/24, source:2001:db8:1:2::/64, \
             source:AS64500 or \"source:curl GET /v1/items\"",
            print::safe(text)
        ))
    })?;
    Ok(Reserved::Source(&source).to_smolstr())
}

/// Returns whether an alert is about a principal.
pub(super) fn is_told(reader: &Reader, name: &SmolStr) -> anyhow::Result<bool> {
    let principal = Some(name.clone());
    let filter = AlertFilter { principal, limit: Some(1), ..AlertFilter::default() };
    Ok(!reader.alerts(&filter)?.is_empty())
}

/// Returns how alerts name a source: of an address, its network; `None` if they name none so.
fn source_of(text: &str) -> Option<SmolStr> {
    match text.split('/').next()?.parse::<IpAddr>() {
        Ok(address) if !text.contains('/') => Some(Prefix::subscriber(address)),
        // A client and a route have a space between them.
        Err(_) if text.contains(' ') => Some(text.into()),
        _ => is_network(text).then(|| text.into()),
    }
}

/// Returns `, did you mean "..."?` with the known names most like an unknown one, if any is.
pub(super) fn hint(text: &str, known: &[SmolStr]) -> Option<String> {
    let mut meant = of_subject(text, known);
    if meant.is_empty() {
        meant.extend(most_like(text, known));
    }
    (!meant.is_empty()).then(|| format!(", did you mean {}?", state::listed(&meant)))
}

/// Returns the known name most like a text. All users of an issuer are alike in most of their names, and so are all
/// sources: of such, only what a slip makes of another.
fn most_like(text: &str, known: &[SmolStr]) -> Option<SmolStr> {
    if !state::is_identity(text) && Reserved::parse(text).is_none() {
        return nearest(text, known.iter().map(SmolStr::as_str).collect()).map(SmolStr::from);
    }
    let distance = |name: &&SmolStr| strsim::osa_distance(text, name);
    let best = known.iter().min_by_key(distance)?;
    (distance(&best) <= MAX_SLIP).then(|| best.clone())
}

/// Returns the principals whose own name is a text: the subject of a JWT, the user, the key id.
fn of_subject(text: &str, known: &[SmolStr]) -> Vec<SmolStr> {
    /// As many as are read before they are copied.
    const MOST: usize = 3;
    let is_of = |name: &&SmolStr| {
        let issuer = name.strip_suffix(text).and_then(|before| before.strip_suffix(':'));
        !text.is_empty() && state::is_identity(name) && issuer.is_some()
    };
    let found: BTreeSet<&SmolStr> = known.iter().filter(is_of).collect();
    found.into_iter().take(MOST).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_was_not_found_by_the_own_name() {
        let issuer = "jwt:https://id.example.org:";
        let known = [
            format!("{issuer}ann").into(),
            format!("{issuer}ann").into(),
            format!("{issuer}anna:2").into(),
            "basic:ann".into(),
            "basic:bob".into(),
            "aws:AKIAIOSFODNN7EXAMPLE".into(),
            "job:carl".into(),
        ];
        for (text, meant) in [
            ("ann", format!("\"basic:ann\" or \"{issuer}ann\"")),
            ("bob", "\"basic:bob\"".to_owned()),
            ("anna:2", format!("\"{issuer}anna:2\"")),
            ("AKIAIOSFODNN7EXAMPLE", "\"aws:AKIAIOSFODNN7EXAMPLE\"".to_owned()),
        ] {
            assert_eq!(hint(text, &known), Some(format!(", did you mean {meant}?")), "{text}");
        }
        for text in ["", "carl", "an"] {
            assert_eq!(of_subject(text, &known), [""; 0], "{text}");
        }
    }

    #[test]
    fn another_user_of_the_same_issuer_is_no_slip() {
        let issuer = "jwt:https://id.example.org:";
        let known = [format!("{issuer}kim").into(), "source:203.0.113.0/24".into()];
        let meant = format!(", did you mean \"{issuer}kim\"?");
        for text in [format!("{issuer}kin"), "jwt:http://id.example.org:kim".to_owned()] {
            assert_eq!(hint(&text, &known), Some(meant.clone()), "{text}");
        }
        assert_eq!(hint(&format!("{issuer}alexis"), &known), None);
        let meant = ", did you mean \"source:203.0.113.0/24\"?".to_owned();
        assert_eq!(hint("source:203.0.112.0/24", &known), Some(meant));
        assert_eq!(hint("source:198.51.100.0/24", &known), None);
    }

    #[test]
    fn a_source_is_named_by_an_address_or_as_alerts_may_name_it() {
        for (text, source) in [
            ("203.0.113.7", Some("203.0.113.0/24")),
            ("203.0.113.0/24", Some("203.0.113.0/24")),
            ("2001:db8:1:2:3::4", Some("2001:db8:1:2::/64")),
            ("2001:db8:1:2::/64", Some("2001:db8:1:2::/64")),
            ("2001:db8:1::/48", Some("2001:db8:1::/48")),
            ("AS64500", Some("AS64500")),
            ("curl GET /v1/orders", Some("curl GET /v1/orders")),
            ("203.0.113.0/16", None),
            ("203.0.113.7/24", None),
            ("203.0.113.7/", None),
            ("203.0.113.0/24/24", None),
            ("203.0.113", None),
            ("2001:db8:1:2::/48", None),
            ("2001:db8::/32", None),
            ("AS", None),
            ("ASN64500", None),
            ("kim", None),
            ("", None),
        ] {
            assert_eq!(source_of(text).as_deref(), source, "{text}");
        }
    }
}
