//! Formats: the compiled parser of one kind of log, its presets, and the preset that recognises each line.

use std::collections::BTreeMap;
use std::path::Path;

use smol_str::SmolStr;

use super::columns::Columns;
use super::combined::Tail;
use super::directive::{self, Syntax};
use super::escape::Escape;
use super::family::{FAMILIES, Family, TIMELESS};
use super::template::Template;
use super::template_fault::TemplateFault;
use super::{Record, Reject, json, open, own_keys, syntax, syslog};
use crate::engine::line::comment;

/// The compiled parser of one log format. Parsing is stateless: a line's result does not depend on its position,
/// only on the directives above it, which are passed in.
#[derive(Clone, Debug)]
pub struct Format {
    name: &'static str,
    parser: Parser,
    /// The site's own names of fields that contain a token's id, for lines that include field names.
    ids: Vec<SmolStr>,
}

/// The parser for the lines of a format.
#[derive(Clone, Debug)]
pub(super) enum Parser {
    Auto(json::Own),
    Columns,
    Combined(Tail),
    Family(&'static Family),
    Timeless(&'static Family),
    /// Any error log, whose lines may be followed by a client's text.
    Errors,
    Json(json::Own),
    Template(Template),
}

impl Parser {
    /// Returns whether a line defines how others are parsed.
    pub(super) fn is_directive(&self, line: &[u8]) -> bool {
        matches!(self, Self::Auto(_) | Self::Columns) && line.starts_with(b"#")
    }
}

/// The presets that are no [`Family`]: the name, and what it reads.
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

/// Other common names of formats, each with the preset that reads it.
const ALIASES: &[(&str, &str)] = &[
    ("combined", "apache-combined"),
    ("apache", "apache-combined"),
    // nginx.conf in nginx.org's packages: combined plus `"$http_x_forwarded_for"`.
    ("nginx-main", "nginx-combined"),
    ("main", "nginx-combined"),
    ("nginx", "nginx-combined"),
    ("ingress-nginx", "nginx-combined"),
    ("clf", "common"),
    ("caddy", "caddy-json"),
    ("iis", "w3c"),
    ("cloudfront", "w3c"),
];

/// The JSON presets. One table of keys serves them all; the separate names are for users.
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

    /// Returns the presets: the name, and what it reads. All of them remove syslog and container envelopes.
    pub fn presets() -> impl Iterator<Item = (&'static str, &'static str)> {
        let families = FAMILIES.iter().chain(TIMELESS);
        let families = families.map(|family| (family.name, family.about));
        PRESETS.iter().copied().chain(families)
    }

    /// Returns the other names of presets: the name, and its preset.
    pub fn aliases() -> impl Iterator<Item = (&'static str, &'static str)> {
        ALIASES.iter().copied()
    }

    /// Returns the names, aliases included, that are most similar to an unknown one, most similar first.
    #[must_use]
    pub fn near(name: &str) -> Vec<&'static str> {
        /// As many as fit on a line.
        const MOST: usize = 3;
        /// Below this, Jaro-Winkler matches words that merely share letters.
        const LIKE: f64 = 0.75;
        let lower = name.to_lowercase();
        let names = Self::presets().chain(Self::aliases()).map(|(known, _)| known);
        let like = |known: &'static str| (strsim::jaro_winkler(&lower, known), known);
        let mut near: Vec<_> = names.map(like).filter(|(likeness, _)| LIKE <= *likeness).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(MOST).map(|(_, known)| known).collect()
    }

    /// Returns a preset by its name or alias.
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
    /// Reports the column at which the template contains something that cannot be parsed.
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
    /// Reports the column at which the template contains something that cannot be parsed.
    pub fn apache(template: &str) -> Result<Self, TemplateFault> {
        let parser = Parser::Template(Template::apache(template)?);
        Ok(Self::new("apache template", parser))
    }

    /// Compiles a template of either syntax, alone or in the directive of a server's configuration. One with a `$`
    /// variable is nginx's, else it is Apache's.
    ///
    /// # Errors
    ///
    /// Reports the column at which the template contains something that cannot be parsed.
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

    /// Compiles a table of the site's own JSON keys: our name of a field to the dotted path of its key. The usual
    /// keys are still recognised. Our names: `time`, `client`, `request`, `method`, `target`, `query`, `version`,
    /// `status`, `bytes`, `referer`, `agent`, `user`, `host`, `scheme`, `tls`, `forwarded`, `authorization`, `id`,
    /// and `header.NAME`, `cookie.NAME`, `id.NAME`.
    ///
    /// # Errors
    ///
    /// Names a field that is not one of ours.
    pub fn json(fields: &BTreeMap<String, String>) -> Result<Self, TemplateFault> {
        let own = json::Own { paths: own_keys::fields(fields)?, ..json::Own::default() };
        Ok(Self::new("json", Parser::Json(own)))
    }

    /// Returns the format for error logs, in which `auto` accepts lines of error logs only.
    ///
    /// nginx writes the decoded path of a request into its error log, line ends included, so a client could forge whole
    /// lines of an access log there.
    #[must_use]
    pub fn for_error_logs(&self) -> Self {
        let is_auto = matches!(self.parser, Parser::Auto(_));
        if is_auto { Self::new("auto", Parser::Errors) } else { self.clone() }
    }

    /// Returns the same format, which reads JSON and logfmt keys, W3C columns and template variables with these
    /// names as ids of tokens. Letter case is ignored, and `-` equals `_`. Fields of the combined family have no
    /// names; headers keep theirs, for the [`Finder`](crate::engine::token::Finder).
    #[must_use]
    pub fn with_ids(mut self, names: &[SmolStr]) -> Self {
        match &mut self.parser {
            Parser::Auto(own) | Parser::Json(own) => own.ids = names.to_vec(),
            Parser::Template(template) => template.name_ids(names),
            Parser::Columns
            | Parser::Combined(_)
            | Parser::Family(_)
            | Parser::Timeless(_)
            | Parser::Errors => {}
        }
        self.ids = names.to_vec();
        self
    }

    /// Returns the template that the format was compiled from, if any.
    #[must_use]
    pub fn template_text(&self) -> Option<&str> {
        match &self.parser {
            Parser::Template(template) => Some(template.text()),
            _ => None,
        }
    }

    /// Returns the template's variables that match a line, with their values, up to the first mismatch.
    #[must_use]
    pub fn trail<'f, 'a>(&'f self, line: &'a [u8]) -> Vec<(&'f str, &'a [u8])> {
        match &self.parser {
            Parser::Template(template) => template.trail(line),
            _ => Vec::new(),
        }
    }

    /// Returns the preset's name, or the kind of template.
    #[must_use]
    pub const fn name(&self) -> &str {
        self.name
    }

    /// Returns whether an unreadable line contains nothing to parse and is no fault: an empty line, or a directive,
    /// with or without an envelope. For `auto`, so is any field of a journal export except the message.
    #[must_use]
    pub fn is_silent(&self, line: &[u8]) -> bool {
        let is_field = || matches!(self.parser, Parser::Auto(_)) && syslog::is_field(line);
        let is_comment = || comment(line).is_some_and(|text| self.parser.is_directive(&text));
        line.trim_ascii().is_empty() || self.parser.is_directive(line) || is_field() || is_comment()
    }

    /// Parses a line (without its line end) that has no directives above it.
    ///
    /// # Errors
    ///
    /// Reports what did not match, and its column in the given line.
    pub fn parse<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        self.parse_under(line, &Columns::default())
    }

    /// Parses a line (without its line end) with the columns that lines above it name.
    ///
    /// # Errors
    ///
    /// Reports what did not match, and its column in the given line.
    pub fn parse_under<'a>(&self, line: &'a [u8], columns: &Columns) -> Result<Record<'a>, Reject> {
        open::read(&self.parser, line, &self.ids, columns)
    }
}

/// Returns whether a file is named as an error log, such as `error.log.1` or `ssl_error_log`; a journal's unit never
/// is.
#[must_use]
pub fn is_error_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let endings = ["error.log", "errors.log", "error_log", "error-log"];
    !name.contains(':') && endings.iter().any(|ending| name.contains(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_forged_an_access_line_in_an_error_log() {
        let auto = Format::preset("auto").unwrap();
        let forged = br#"192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] "GET /v1 HTTP/1.1" 200 5 "-" "-" "Bearer exk_0""#;
        let own = br#"2026/03/02 08:00:00 [error] 7#7: *1 open() "/srv/x" failed (2: No such file or directory), client: 192.0.2.7, server: api.example.com, request: "GET /x HTTP/1.1", host: "api.example.com""#;
        for name in ["error.log", "error.log.2.gz", "ssl_error_log", "api.example.com-Error.log"] {
            assert!(is_error_log(&Path::new("/var/log/nginx").join(name)), "{name}");
        }
        for name in
            ["access.log", "error-pages.access.log", "errors.example.com.log", "api.log", "-"]
        {
            assert!(!is_error_log(&Path::new("/var/log/errors").join(name)), "{name}");
        }
        let format = auto.for_error_logs();
        assert!(format.parse(own).is_ok());
        let reject = format.parse(forged).unwrap_err();
        assert!(reject.expected.contains("error log"), "{reject:?}");
        let named = Format::preset("nginx-combined").unwrap();
        assert!(named.for_error_logs().parse(forged).is_ok(), "the site says so");
    }

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
