//! Formats: the compiled parser of one kind of log, its presets, and the one that recognises each line.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::columns::Columns;
use super::combined::Tail;
use super::directive::{self, Syntax};
use super::draft::Escape;
use super::family::{FAMILIES, Family, TIMELESS};
use super::template::Template;
use super::template_fault::TemplateFault;
use super::{Record, Reject, json, open, own_keys, syntax, syslog};
use crate::engine::line::comment;

/// The compiled parser of one log format. Reading is stateless: a line is read the same wherever
/// it stands, but for what the directives above it say, which are handed in.
#[derive(Clone, Debug)]
pub struct Format {
    name: &'static str,
    parser: Parser,
    /// The site's own names of fields that hold a token's id, where a line brings its names along.
    ids: Vec<SmolStr>,
}

/// What reads the lines of a format.
#[derive(Clone, Debug)]
pub(super) enum Parser {
    Auto(json::Own),
    Columns,
    Combined(Tail),
    Family(&'static Family),
    Timeless(&'static Family),
    Json(json::Own),
    Template(Template),
}

impl Parser {
    /// Says whether a line tells how others are to be read.
    pub(super) fn is_directive(&self, line: &[u8]) -> bool {
        matches!(self, Self::Auto(_) | Self::Columns) && line.starts_with(b"#")
    }
}

/// The presets that are no [`Family`]: name, and what it reads.
const PRESETS: &[(&str, &str)] = &[
    ("auto", "recognises each line by itself"),
    ("nginx-combined", "nginx' combined, with any further fields"),
    ("apache-combined", "Apache's combined, with any further fields"),
    ("common", "Common Log Format, with any further fields"),
    ("vhost-combined", "combined with the virtual host in front"),
    ("lighttpd", "lighttpd's combined, with the host as its second word"),
    ("litespeed", "LiteSpeed's combined, with or without a virtual host in front"),
    ("nginx-json", "JSON with keys named after nginx variables"),
    ("json", "JSON with the usual names, ECS included"),
    ("caddy-json", "Caddy's access log"),
    ("traefik-json", "Traefik's access log in JSON"),
    ("envoy-json", "Envoy's and Istio's access log in JSON"),
    ("kong-json", "Kong's file-log and http-log; APISIX' loggers"),
    ("aws-api-gateway", "AWS API Gateway's access log in JSON"),
    ("cloudflare", "Cloudflare Logpush: http_requests"),
    ("akamai", "Akamai DataStream 2 in JSON"),
    ("google-cloud", "Google Cloud's LogEntry with an httpRequest"),
    ("azure", "Azure Application Gateway and Front Door"),
    ("ecs", "Elastic Common Schema, nested or flat"),
    ("pino", "pino-http and bunyan"),
    ("traefik", "Traefik's access log in its own text form"),
];

/// Other names that people know formats by, each with the preset that reads it.
const ALIASES: &[(&str, &str)] = &[
    ("combined", "apache-combined"),
    ("apache", "apache-combined"),
    // nginx.conf as nginx.org's packages bring it: combined with `"$http_x_forwarded_for"` behind.
    ("nginx-main", "nginx-combined"),
    ("main", "nginx-combined"),
    ("nginx", "nginx-combined"),
    ("ingress-nginx", "nginx-combined"),
    ("clf", "common"),
    ("caddy", "caddy-json"),
    ("iis", "w3c"),
    ("cloudfront", "w3c"),
];

/// The presets that are JSON. One table of keys serves them all; the names are for people.
const JSON: &[&str] = &[
    "nginx-json",
    "json",
    "caddy-json",
    "traefik-json",
    "envoy-json",
    "kong-json",
    "aws-api-gateway",
    "cloudflare",
    "akamai",
    "google-cloud",
    "azure",
    "ecs",
    "pino",
];

impl Format {
    const fn new(name: &'static str, parser: Parser) -> Self {
        Self { name, parser, ids: Vec::new() }
    }

    /// Returns the presets: name, and what it reads. All of them take off syslog and container envelopes.
    pub fn presets() -> impl Iterator<Item = (&'static str, &'static str)> {
        let families = FAMILIES.iter().chain(TIMELESS);
        let families = families.map(|family| (family.name, family.about));
        PRESETS.iter().copied().chain(families)
    }

    /// Returns the other names that presets are known by: name, and the preset.
    pub fn aliases() -> impl Iterator<Item = (&'static str, &'static str)> {
        ALIASES.iter().copied()
    }

    /// Returns the names, other names included, that are most like one that is none, the likest first.
    #[must_use]
    pub fn near(name: &str) -> Vec<&'static str> {
        /// As many as fit a line.
        const MOST: usize = 3;
        /// Below this, Jaro-Winkler pairs words that merely share letters.
        const LIKE: f64 = 0.75;
        let lower = name.to_lowercase();
        let names = Self::presets().chain(Self::aliases()).map(|(known, _)| known);
        let like = |known: &'static str| (strsim::jaro_winkler(&lower, known), known);
        let mut near: Vec<_> = names.map(like).filter(|(likeness, _)| LIKE <= *likeness).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(MOST).map(|(_, known)| known).collect()
    }

    /// Returns a preset by its name, or by another that it is known by.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, preset)| *preset);
        let (name, _) = Self::presets().find(|(known, _)| *known == name)?;
        let named = |families: &'static [Family]| families.iter().find(|f| f.name == name);
        let parser = match name {
            "w3c" => Parser::Columns,
            _ if let Some(family) = named(FAMILIES) => Parser::Family(family),
            _ if let Some(family) = named(TIMELESS) => Parser::Timeless(family),
            "auto" => Parser::Auto(json::Own::default()),
            "common" => Parser::Combined(Tail::Common),
            "traefik" => Parser::Combined(Tail::Traefik),
            _ if JSON.contains(&name) => Parser::Json(json::Own::default()),
            _ => Parser::Combined(Tail::Combined),
        };
        Some(Self::new(name, parser))
    }

    /// Compiles an nginx `log_format` string.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn nginx(template: &str) -> Result<Self, TemplateFault> {
        Self::nginx_escaped(template, Escape::Backslash)
    }

    fn nginx_escaped(template: &str, escape: Escape) -> Result<Self, TemplateFault> {
        let parser = match own_keys::nginx(template)? {
            Some(own) => Parser::Json(json::Own { paths: own, ..json::Own::default() }),
            None => Parser::Template(Template::nginx(template, escape)?),
        };
        Ok(Self::new("nginx template", parser))
    }

    /// Compiles an Apache `LogFormat` string.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn apache(template: &str) -> Result<Self, TemplateFault> {
        let parser = Parser::Template(Template::apache(template)?);
        Ok(Self::new("apache template", parser))
    }

    /// Compiles a template of either syntax, alone or in the directive of a server's configuration: with a `$`
    /// variable it is nginx', else Apache's.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn template(template: &str) -> Result<Self, TemplateFault> {
        if let Some(pasted) = directive::template_of(template)? {
            return match pasted.syntax {
                Syntax::Nginx => Self::nginx_escaped(&pasted.text, pasted.escape),
                Syntax::Apache => Self::apache(&pasted.text),
            }
            .map_err(|fault| pasted.locate(fault));
        }
        if syntax::is_nginx(template) { Self::nginx(template) } else { Self::apache(template) }
    }

    /// Compiles a table of the site's own JSON keys: our name of a field to the dotted path of its key. The
    /// usual names are known beside it. Our names: `time`, `client`, `request`, `method`, `target`, `query`,
    /// `version`, `status`, `bytes`, `referer`, `agent`, `user`, `host`, `scheme`, `tls`, `forwarded`,
    /// `authorization`, `id`, and `header.NAME`, `cookie.NAME`, `id.NAME`.
    ///
    /// # Errors
    ///
    /// Names a field that is none of ours.
    pub fn json(fields: &BTreeMap<String, String>) -> Result<Self, TemplateFault> {
        let own = json::Own { paths: own_keys::fields(fields)?, ..json::Own::default() };
        Ok(Self::new("json", Parser::Json(own)))
    }

    /// Returns the same format, which reads keys of JSON and logfmt, columns of W3C logs and variables of
    /// templates of these names as ids of tokens. Letter case and `-` against `_` do not count. Fields of the combined family have no names of their own;
    /// headers keep theirs, for the [`Finder`](crate::engine::token::Finder) to know.
    #[must_use]
    pub fn with_ids(mut self, names: &[SmolStr]) -> Self {
        match &mut self.parser {
            Parser::Auto(own) | Parser::Json(own) => own.ids = names.to_vec(),
            Parser::Template(template) => template.name_ids(names),
            Parser::Columns | Parser::Combined(_) | Parser::Family(_) | Parser::Timeless(_) => {}
        }
        self.ids = names.to_vec();
        self
    }

    /// Returns the template that this was compiled from, if it was.
    #[must_use]
    pub fn template_text(&self) -> Option<&str> {
        match &self.parser {
            Parser::Template(template) => Some(template.text()),
            _ => None,
        }
    }

    /// Returns the variables of the template that a line fills, and their values, up to where they part.
    #[must_use]
    pub fn trail<'f, 'a>(&'f self, line: &'a [u8]) -> Vec<(&'f str, &'a [u8])> {
        match &self.parser {
            Parser::Template(template) => template.trail(line),
            _ => Vec::new(),
        }
    }

    /// Returns the preset's name, or what kind of template this is.
    #[must_use]
    pub const fn name(&self) -> &str {
        self.name
    }

    /// Tells whether a line that cannot be read holds nothing to be read, and is no fault: an empty one, a
    /// directive, in an envelope or not; of what is recognised by itself, another field of a journal's export than the message.
    #[must_use]
    pub fn is_silent(&self, line: &[u8]) -> bool {
        let is_field = || matches!(self.parser, Parser::Auto(_)) && syslog::is_field(line);
        let is_comment = || comment(line).is_some_and(|text| self.parser.is_directive(&text));
        line.trim_ascii().is_empty() || self.parser.is_directive(line) || is_field() || is_comment()
    }

    /// Reads a line (without its line end) above which no directives stand.
    ///
    /// # Errors
    ///
    /// Says what did not fit, at which column of the line as it was given.
    pub fn parse<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        self.parse_under(line, &Columns::default())
    }

    /// Reads a line (without its line end) under the columns that lines above it name.
    ///
    /// # Errors
    ///
    /// Says what did not fit, at which column of the line as it was given.
    pub fn parse_under<'a>(&self, line: &'a [u8], columns: &Columns) -> Result<Record<'a>, Reject> {
        open::read(&self.parser, line, &self.ids, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_name_is_of_a_preset_and_hides_none() {
        let is_preset = |name: &str| Format::presets().any(|(known, _)| known == name);
        for (alias, preset) in Format::aliases() {
            assert!(is_preset(preset) && !is_preset(alias), "{alias}");
            assert_eq!(Format::preset(alias).unwrap().name(), preset);
        }
    }

    #[test]
    fn the_format_of_nginx_packages_is_read_with_whom_it_was_forwarded_for() {
        let line = br#"10.0.0.1 - ann [12/Mar/2026:02:13:07 +0000] "GET /v1 HTTP/1.1" 200 612 "-" "curl/8.5.0" "203.0.113.9""#;
        for name in ["nginx-main", "auto"] {
            let record = Format::preset(name).unwrap().parse(line).unwrap();
            assert_eq!(record.forwarded(), Some(&b"203.0.113.9"[..]), "{name}");
        }
    }
}
