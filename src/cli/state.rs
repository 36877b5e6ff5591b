//! What commands read of the state: the database, and the token that a command line names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use smol_str::SmolStr;
use zeroize::Zeroizing;

use crate::cli::exit::usage;
use crate::cli::{alike, print};
use crate::daemon::site::Site;
use crate::engine::health;
use crate::engine::line::StreamId;
use crate::engine::registry::Registered;
use crate::engine::reserved::Reserved;
use crate::engine::secret::{Secret, TokenId};
use crate::engine::shape;
use crate::engine::time::Timestamp;
use crate::engine::token::is_ever_found;
use crate::engine::usage::Identity;
use crate::engine::visible;
use crate::store::{Found, Reader, StoreError, TokenFilter, Who, backed_up};

/// The maximal length of a secret; a longer text is the wrong file.
const MAX_SECRET: u64 = 64 << 10;

/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The warning about a secret that will never be found in a log.
pub(super) const NEVER_FOUND: &str = "no use of this secret will be found: it is shorter than 4 characters, one \
    repeated character, or looks masked or truncated";

/// Tokens whose principals an unknown name is compared with at most: the last used ones.
const MAX_COMPARED: u32 = 10_000;

/// The kind of a token that is the id of a key, not the key: the latter is never sent.
const AWS_KEY_ID: &str = "aws-access-key";

/// Opens the database for reading; works while the daemon writes.
pub(super) fn reader(site: &Site) -> anyhow::Result<Reader> {
    match reader_if_any(site)? {
        Some(reader) => Ok(reader),
        None => Err(none_yet(site)),
    }
}

fn none_yet(site: &Site) -> anyhow::Error {
    anyhow::anyhow!(
        "no database in {} yet: run `tokenwatch replay --save PATH...` or the daemon",
        site.state.display()
    )
}

/// Refuses a name if no database could know it: a mistyped name creates neither a database nor a key.
pub(super) fn expect_database_for(site: &Site, name: &str) -> anyhow::Result<()> {
    refuse_secret(name)?;
    let database = site.database();
    // A lost database is for the daemon to restore.
    let is_absent = || {
        let found = Reader::open(&database);
        matches!(found, Err(StoreError::Absent { .. })) && backed_up(&database).is_none()
    };
    let may_be_new = name == "-" || is_new(name);
    if !may_be_new && is_absent() { Err(none_yet(site)) } else { Ok(()) }
}

/// Opens the database for reading, if there is one.
pub(super) fn reader_if_any(site: &Site) -> anyhow::Result<Option<Reader>> {
    match Reader::open(&site.database()) {
        Ok(reader) => Ok(Some(reader)),
        Err(StoreError::Absent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the registry, empty if there is no database yet.
pub(super) fn registry(site: &Site) -> anyhow::Result<Vec<Registered>> {
    Ok(reader_if_any(site)?.map_or_else(|| Ok(Vec::new()), |reader| reader.registry())?)
}

/// Returns the last known path of each stream.
pub(super) fn paths(reader: &Reader) -> anyhow::Result<BTreeMap<StreamId, String>> {
    let path = |(stream, position): (StreamId, crate::engine::line::Position)| {
        (stream, visible::path(&position.path))
    };
    Ok(reader.positions()?.into_iter().map(path).collect())
}

/// Finds the named token or principal, which must be known.
pub(super) fn known(site: &Site, reader: &Reader, text: &str) -> anyhow::Result<Who> {
    match find(site, reader, text)? {
        (_, Some(who)) => Ok(who),
        (Some(Who::Token(id)), None) => {
            Err(usage(format!("nothing is known about the token {id}")))
        }
        _ => Err(unknown(reader, text)?),
    }
}

/// Finds the named token or principal. A whole id, a secret or a principal such as `jwt:ISS:SUB` may be new.
pub(super) fn meant(site: &Site, reader: &Reader, text: &str) -> anyhow::Result<Who> {
    match find(site, reader, text)? {
        (_, Some(who)) => Ok(who),
        (Some(who), None) => {
            if let Who::Principal(name) = &who {
                alike::warn(name, &known_names(reader)?);
            }
            Ok(who)
        }
        (None, None) => Err(unknown(reader, text)?),
    }
}

/// Returns whether a principal's name is its own statement: `jwt:ISS:SUB` and the like.
pub(super) fn is_identity(name: &str) -> bool {
    Identity::is_name(name)
}

/// Returns the named principal, or that of the named token. One that states its own identity need not be known yet, but
/// is warned of; any other unknown name is a mistake, and would mute nothing.
pub(super) fn principal(reader: &Reader, name: &str, now: Timestamp) -> anyhow::Result<SmolStr> {
    refuse_secret(name)?;
    let name = &alike::as_logged(reader, name)?;
    match reader.resolve(name)? {
        Found::One(Who::Token(id)) => {
            Ok(reader.token(id, now)?.map_or_else(|| name.clone(), |token| token.principal))
        }
        Found::One(Who::Principal(principal)) => Ok(principal),
        Found::None if is_identity(name) => {
            alike::warn(name, &known_names(reader)?);
            Ok(name.clone())
        }
        Found::None if is_new(name) => Ok(name.clone()),
        Found::None => of_no_token(reader, name),
        Found::Many(_) => Err(unknown(reader, name)?),
    }
}

/// Returns the principal of a token, if that is another name than its own id.
pub(super) fn principal_of(reader: &Reader, who: Who, now: Timestamp) -> anyhow::Result<Who> {
    let Who::Token(id) = who else { return Ok(who) };
    match reader.token(id, now)? {
        Some(token) if token.principal != id.to_string() => Ok(Who::Principal(token.principal)),
        Some(_) => Ok(who),
        None => Err(usage(format!("nothing is known about the token {id}"))),
    }
}

/// Returns whether a name may be that of an unknown principal: a whole id, or its own statement.
fn is_new(name: &str) -> bool {
    name.parse::<TokenId>().is_ok() || is_identity(name)
}

/// Returns the principal without tokens that is named: a source of guesses, the fleet, a log, a part of the monitor.
fn of_no_token(reader: &Reader, name: &SmolStr) -> anyhow::Result<SmolStr> {
    let exists = match Reserved::parse(name) {
        Some(Reserved::Source(source)) => return alike::source(reader, source),
        Some(Reserved::Fleet | Reserved::Mails) => true,
        Some(Reserved::Log(_)) => logs(reader)?.contains(name),
        Some(Reserved::Geoip(of) | Reserved::Database(of)) => !of.is_empty(),
        None => false,
    };
    if exists { Ok(name.clone()) } else { Err(unknown(reader, name)?) }
}

/// Returns the principals of alerts about logs.
fn logs(reader: &Reader) -> anyhow::Result<Vec<SmolStr>> {
    Ok(reader.positions()?.iter().map(|(_, position)| health::principal(&position.path)).collect())
}

/// Returns what the text means by itself, and which known token or principal it means.
fn find(site: &Site, reader: &Reader, text: &str) -> anyhow::Result<(Option<Who>, Option<Who>)> {
    refuse_secret(text)?;
    let (exact, text) = if text == "-" {
        let id = seal(site, std::io::stdin().lock())?;
        (Some(Who::Token(id)), id.to_string())
    } else if let Ok(id) = text.parse() {
        (Some(Who::Token(id)), text.to_owned())
    } else {
        let text = alike::as_logged(reader, text)?;
        (is_identity(&text).then(|| Who::Principal(text.clone())), text.to_string())
    };
    match reader.resolve(&text)? {
        Found::One(who) => Ok((exact, Some(who))),
        Found::None => Ok((exact, None)),
        Found::Many(all) => Err(ambiguous(&text, &all)),
    }
}

fn ambiguous(text: &str, all: &[Who]) -> anyhow::Error {
    usage(format!("{} is ambiguous: it may mean {}", print::safe(text), candidates(all)))
}

fn candidates(all: &[Who]) -> String {
    let names: Vec<String> = all.iter().map(name).collect();
    let more = if all.len() < Found::<Who>::MOST { "" } else { " and perhaps others" };
    format!("{}{more}", names.join(", "))
}

/// Returns the name of a token or principal; not made safe.
pub(super) fn name(who: &Who) -> String {
    match who {
        Who::Token(id) => id.to_string(),
        Who::Principal(name) => name.to_string(),
    }
}

/// Returns the error about an unknown name, with what it was changed to, or else the known names most like it.
fn unknown(reader: &Reader, text: &str) -> anyhow::Result<anyhow::Error> {
    let called = reader.renamed(text)?;
    if !called.is_empty() {
        return Ok(renamed(text, &called));
    }
    Ok(nobody(text, &known_names(reader)?))
}

/// Returns the names that an unknown one is compared with.
fn known_names(reader: &Reader) -> anyhow::Result<Vec<SmolStr>> {
    let filter = TokenFilter { limit: Some(MAX_COMPARED), ..TokenFilter::default() };
    let tokens = reader.tokens(&filter, Timestamp::default())?;
    let mut known: Vec<SmolStr> = tokens.into_iter().map(|token| token.principal).collect();
    known.extend(reader.registry()?.into_iter().map(|row| row.name));
    known.extend(logs(reader)?);
    Ok(known)
}

/// Returns the error about a former name. Alerts and mails from then still show it.
fn renamed(text: &str, called: &[SmolStr]) -> anyhow::Error {
    usage(format!(
        "no token or principal is known as {} any more: it was renamed, and is called {} now",
        quoted(text),
        listed(called)
    ))
}

pub(super) fn listed(names: &[SmolStr]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("\"{}\"", print::safe(name))).collect();
    names.join(" or ")
}

/// Returns a text in quotation marks. One as random as a secret may be one, in a place where it must not be repeated.
fn quoted(text: &str) -> String {
    if !text.starts_with(TokenId::PREFIX) && shape::is_secretive(text.as_bytes()) {
        "what was given".to_owned()
    } else {
        format!("\"{}\"", print::safe(text))
    }
}

fn nobody(text: &str, known: &[SmolStr]) -> anyhow::Error {
    let shown = quoted(text);
    let hint = alike::hint(text, known).unwrap_or_else(|| ":".to_owned());
    usage(format!(
        "no token or principal is known as {shown}{hint} expected a name, an id (tw1_...) or its \
         beginning, or - with the secret on standard input; `tokenwatch tokens list` shows all"
    ))
}

/// Refuses a secret on the command line, where the shell's history and the process list show it.
pub(super) fn refuse_secret(text: &str) -> anyhow::Result<()> {
    if holds_secret(text) {
        return Err(usage(
            "this looks like a secret, which does not belong on a command line: give - in its \
             place and pass it on standard input",
        ));
    }
    Ok(())
}

/// Refuses a secret in a text that is stored and shown as it is, such as a note.
pub(super) fn refuse_secret_in(what: &str, text: &str) -> anyhow::Result<()> {
    if holds_secret(text) {
        return Err(usage(format!(
            "the {what} contains what looks like a secret, and would be stored in clear: give its id \
             instead, which `tokenwatch tokens id` prints"
        )));
    }
    Ok(())
}

/// Returns whether a text is a secret by its shape; an id is none.
pub(super) fn is_secret(text: &str) -> bool {
    !text.starts_with(TokenId::PREFIX) && shape::is_token_shaped(text.as_bytes())
}

/// Returns whether a text is a secret, or contains one. The id of an AWS key is public, and a name that somebody chose
/// may begin like a vendor's tokens.
pub(super) fn holds_secret(text: &str) -> bool {
    let is_public = |word: &[u8]| shape::vendor(word).is_some_and(|kind| kind.name == AWS_KEY_ID);
    let is_certain = |word: &[u8]| shape::is_random(word) && !is_public(word);
    let holds = || shape::apart(text.as_bytes()).any(is_certain);
    is_secret(text) && is_certain(text.as_bytes()) || !is_identity(text) && holds()
}

/// Reads a secret and returns its id; an id instead of the secret, or the beginning of a known one, is that id.
pub(super) fn seal(site: &Site, from: impl Read) -> anyhow::Result<TokenId> {
    let secret = read_secret(from)?;
    if let Some(text) =
        std::str::from_utf8(&secret).ok().filter(|text| text.starts_with(TokenId::PREFIX))
    {
        return whole_id(site, text);
    }
    if !is_ever_found(&secret) {
        print::warn(NEVER_FOUND);
    }
    Ok(site.key()?.seal(&Secret::new(&secret)))
}

/// Returns the id that a text is, or that alone begins with it: sealed as a secret, a shortened or mistyped id would be
/// that of a token that nobody uses.
fn whole_id(site: &Site, text: &str) -> anyhow::Result<TokenId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let reader = reader_if_any(site)?;
    match reader.map_or(Ok(Found::None), |reader| reader.resolve(text))? {
        Found::One(Who::Token(id)) => Ok(id),
        Found::Many(all) => Err(ambiguous(text, &all)),
        _ => Err(usage(
            "this begins like an id, and no known one begins so: give the secret, or the whole id, \
             tw1_ and 32 hex digits",
        )),
    }
}

/// Seals the secret in a file.
pub(super) fn seal_file(site: &Site, path: &Path) -> anyhow::Result<TokenId> {
    let doing = || format!("reading the secret in {}", path.display());
    let file = std::fs::File::open(path).with_context(doing)?;
    seal(site, file).with_context(doing)
}

fn read_secret(from: impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // Allocated at full size: growing would leave copies behind.
    let capacity = usize::try_from(MAX_SECRET + 1).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    from.take(MAX_SECRET + 1).read_to_end(&mut text).context("reading the secret")?;
    if u64::try_from(text.len()).is_ok_and(|length| MAX_SECRET < length) {
        return Err(usage(format!("the secret is longer than {}", print::size(MAX_SECRET))));
    }
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    if text.is_empty() {
        return Err(usage(
            "the secret is empty: pass it on standard input, as in `printf %s \"$TOKEN\" | ...`",
        ));
    }
    if text.iter().any(u8::is_ascii_whitespace) {
        return Err(usage(
            "the secret contains white space: give one token, without words such as Bearer",
        ));
    }
    if let [first @ (b'"' | b'\''), .., last] = text.as_slice()
        && first == last
    {
        return Err(usage("the secret is in quotation marks: give it without"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_no_part_of_a_secret() {
        for (text, secret) in [("abc", "abc"), ("abc\n", "abc"), ("\u{feff}abc\r\n", "abc")] {
            assert_eq!(read_secret(text.as_bytes()).unwrap().as_slice(), secret.as_bytes());
        }
        for text in ["", "\n", "abc\n\n", "Bearer abc", " abc", "abc\t", "\"abc\"", "'abc'\n"] {
            assert!(read_secret(text.as_bytes()).is_err(), "{text:?}");
        }
        let most = usize::try_from(MAX_SECRET).unwrap();
        assert!(read_secret("x".repeat(most).as_bytes()).is_ok());
        assert!(read_secret("x".repeat(most + 1).as_bytes()).is_err());
    }

    #[test]
    fn secrets_are_refused_and_never_repeated() {
        let secret = format!("glpat-{}", "Zq8xK2vN4mB6wR1tY7uP");
        let error = refuse_secret(&secret).unwrap_err().to_string();
        assert!(error.contains("standard input") && !error.contains(&secret), "{error}");
        refuse_secret("tw1_00112233445566778899aabbccddeeff").unwrap();
        refuse_secret("jwt:https://id.example.org:ann").unwrap();
        refuse_secret("aws:AKIAIOSFODNN7EXAMPLE").unwrap();
        refuse_secret("AKIAIOSFODNN7EXAMPLE").unwrap();
        refuse_secret_in("note", "key AKIAIOSFODNN7EXAMPLE of the batch job").unwrap();
        refuse_secret_in("name", "glpat-terraform-production").unwrap();
        refuse_secret_in("note", &format!("AKIAIOSFODNN7EXAMPLE {secret}")).unwrap_err();
        let error = refuse_secret_in("note", &format!("was {secret}.")).unwrap_err().to_string();
        assert!(error.contains("the note contains") && !error.contains(&secret), "{error}");
        refuse_secret_in("note", "INC-7, tw1_00112233445566778899aabbccddeeff").unwrap();
        let random = "f3a9c17e5b8d2046fe71";
        assert!(!nobody(random, &[]).to_string().contains(random));
        assert!(nobody("c\x1bi", &[]).to_string().contains("x1bi"));
        let near = nobody("deploy-bto", &["ana".into(), "deploy-bot".into()]).to_string();
        assert!(near.contains("as \"deploy-bto\", did you mean \"deploy-bot\"?"), "{near}");
    }
}
