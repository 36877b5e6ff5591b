//! Formats: the compiled reader of one kind of log, its presets, and the one that recognises each line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::columns::Columns;
use super::combined::{self, Tail};
use super::family::{FAMILIES, Family, TIMELESS};
use super::scan::{Miss, word};
use super::syslog::Envelope;
use super::template::{self, Template, TemplateFault};
use super::time::Time;
use super::{Record, Reject, json, syntax, syslog};

/// Envelopes that may stand in one another: a container's around a syslog daemon's.
const MAX_ENVELOPES: usize = 3;

/// The compiled reader of one log format. Reading is stateless: a line is read the same wherever it stands.
#[derive(Clone, Debug)]
pub struct Format {
    name: Cow<'static, str>,
    reader: Reader,
}

#[derive(Clone, Debug)]
enum Reader {
    Auto(json::Own),
    Columns,
    Combined(Tail),
    Family(&'static Family),
    Timeless(&'static Family),
    Json(json::Own),
    Template(Template),
}

/// The presets that are no [`Family`]: name, and what it reads.
const PRESETS: &[(&str, &str)] = &[
    ("auto", "recognises each line by itself"),
    ("nginx-combined", "nginx' combined, with any further fields"),
    ("apache-combined", "Apache's combined, with any further fields; also: combined"),
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
    /// Returns the presets: name, and what it reads. All of them take off syslog and container envelopes.
    pub fn presets() -> impl Iterator<Item = (&'static str, &'static str)> {
        let families = FAMILIES.iter().chain(TIMELESS);
        let families = families.map(|family| (family.name, family.about));
        PRESETS.iter().copied().chain(families)
    }

    /// Returns a preset by its name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let name = if name == "combined" { "apache-combined" } else { name };
        let (name, _) = Self::presets().find(|(known, _)| *known == name)?;
        let named = |families: &'static [Family]| families.iter().find(|f| f.name == name);
        let reader = match name {
            "w3c" => Reader::Columns,
            _ if let Some(family) = named(FAMILIES) => Reader::Family(family),
            _ if let Some(family) = named(TIMELESS) => Reader::Timeless(family),
            "auto" => Reader::Auto(json::Own::default()),
            "common" => Reader::Combined(Tail::Common),
            "traefik" => Reader::Combined(Tail::Traefik),
            _ if JSON.contains(&name) => Reader::Json(json::Own::default()),
            _ => Reader::Combined(Tail::Combined),
        };
        Some(Self { name: Cow::Borrowed(name), reader })
    }

    /// Compiles an nginx `log_format` string.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn nginx(template: &str) -> Result<Self, TemplateFault> {
        let reader = match template::nginx_json(template)? {
            Some(own) => Reader::Json(json::Own { paths: own, ..json::Own::default() }),
            None => Reader::Template(Template::nginx(template)?),
        };
        Ok(Self { name: Cow::Borrowed("nginx template"), reader })
    }

    /// Compiles an Apache `LogFormat` string.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn apache(template: &str) -> Result<Self, TemplateFault> {
        let reader = Reader::Template(Template::apache(template)?);
        Ok(Self { name: Cow::Borrowed("apache template"), reader })
    }

    /// Compiles a template of either syntax: with a `$` variable it is nginx', else Apache's.
    ///
    /// # Errors
    ///
    /// Says at which column the template asks for what cannot be read.
    pub fn template(template: &str) -> Result<Self, TemplateFault> {
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
        let own = json::Own { paths: template::fields(fields)?, ..json::Own::default() };
        Ok(Self { name: Cow::Borrowed("json"), reader: Reader::Json(own) })
    }

    /// Returns the same format, which reads JSON keys and template variables of these names as ids of tokens.
    /// Letter case and `-` against `_` do not count. Fields of the combined family have no names of their own;
    /// headers keep theirs, for the [`Finder`](crate::engine::token::Finder) to know.
    #[must_use]
    pub fn with_ids(mut self, names: &[SmolStr]) -> Self {
        match &mut self.reader {
            Reader::Auto(own) | Reader::Json(own) => own.ids = names.to_vec(),
            Reader::Template(template) => template.name_ids(names),
            Reader::Columns | Reader::Combined(_) | Reader::Family(_) | Reader::Timeless(_) => {}
        }
        self
    }

    /// Returns the template that this was compiled from, if it was.
    #[must_use]
    pub fn template_text(&self) -> Option<&str> {
        match &self.reader {
            Reader::Template(template) => Some(template.text()),
            _ => None,
        }
    }

    /// Returns the variables of the template that a line fills, and their values, up to where they part.
    #[must_use]
    pub fn trail<'f, 'a>(&'f self, line: &'a [u8]) -> Vec<(&'f str, &'a [u8])> {
        match &self.reader {
            Reader::Template(template) => template.trail(line),
            _ => Vec::new(),
        }
    }

    /// Returns the preset's name, or what kind of template this is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether a line holds nothing to be read and is no fault: a directive.
    #[must_use]
    pub fn is_silent(&self, line: &[u8]) -> bool {
        matches!(self.reader, Reader::Auto(_) | Reader::Columns) && line.starts_with(b"#")
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
        self.read(line, Around { columns, lent: None, depth: MAX_ENVELOPES })
    }

    /// Reads a line in its envelopes. What begins like an envelope is one, unless it begins like a line of a
    /// family: a host name may be followed by anything, so that the combined family would take `Oct 11 ...`
    /// for a client's name.
    fn read<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        let is_template = matches!(self.reader, Reader::Template(_));
        let is_own = || FAMILIES.iter().any(|family| (family.is_likely)(line));
        if !is_template && syslog::is_likely(line) && !is_own() {
            return self
                .peeled(line, around)
                .or_else(|inner| self.bare(line, around).map_err(|outer| furthest(inner, outer)));
        }
        match self.bare(line, around) {
            Ok(record) => Ok(record),
            Err(outer) => self.peeled(line, around).map_err(|inner| furthest(inner, outer)),
        }
    }

    /// Reads what is inside the line's envelope. A line that has no time gets that of the innermost envelope
    /// that has one: when the line was written, which is when its request was answered.
    fn peeled<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        let none = Reject::new(0, "", "");
        let Some(depth) = around.depth.checked_sub(1) else { return Err(none) };
        let within = |time: Option<Time>| Around { lent: time.or(around.lent), depth, ..around };
        if let Some(log) = syslog::docker(line) {
            let Envelope { line: inside, time } = log.map_err(|()| none)?;
            // The line inside is escaped: its columns are not those of the line as given.
            return self
                .read(&inside, within(time))
                .map(|record| lend(record.into_owned(), time))
                .map_err(|reject| Reject { column: 1, ..reject });
        }
        let Envelope { line: inside, time } = syslog::peel(line).ok_or(none)?;
        let shift = line.len() - inside.len();
        self.read(inside, within(time))
            .map(|record| lend(record, time))
            .map_err(|reject| Reject { column: reject.column + shift, ..reject })
    }

    /// Reads a line that has no envelope.
    #[inline]
    fn bare<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        if self.is_silent(line) {
            return Err(directive());
        }
        match &self.reader {
            Reader::Auto(own) => auto(line, own, around),
            Reader::Columns => around.columns.read(line).map_err(|m| m.reject(line)),
            Reader::Combined(tail) => combined::read(line, *tail).map_err(|m| m.reject(line)),
            Reader::Family(family) => (family.read)(line).map_err(|m| m.reject(line)),
            Reader::Timeless(family) => {
                timeless(family, line, around.lent).map_err(|m| m.reject(line))
            }
            Reader::Json(own) => json::read(line, own, around.lent),
            Reader::Template(template) => template.read(line),
        }
    }
}

/// What is known of a line before it is looked at.
#[derive(Clone, Copy)]
struct Around<'c> {
    /// What the lines above say.
    columns: &'c Columns,
    /// The time of the envelopes around it.
    lent: Option<Time>,
    /// How many envelopes it may still have.
    depth: usize,
}

/// A directive is no record. Who counts rejects asks [`Format::is_silent`] first.
fn directive() -> Reject {
    Reject::new(1, "a request", "a directive")
}

/// Gives a record without a time the time of its envelope.
fn lend(mut record: Record<'_>, time: Option<Time>) -> Record<'_> {
    if let (None, Some(time)) = (record.time, time) {
        record.time = Some(time.at);
        record.time_digits = time.digits;
    }
    record
}

/// Reads a line as what it looks like. Formats whose lines begin as no others do come before the combined
/// family, which would take a forged `[time] "request" status` behind many a beginning for its own. Of
/// several rejects, the one that got furthest is told.
#[inline]
fn auto<'a>(line: &'a [u8], own: &json::Own, around: Around<'_>) -> Result<Record<'a>, Reject> {
    if line.first() == Some(&b'{') {
        return json::read(line, own, around.lent);
    }
    let mut best: Option<Miss> = None;
    if !around.columns.is_empty() {
        match around.columns.read(line) {
            Ok(record) => return Ok(record),
            Err(miss) => best = Some(miss),
        }
    }
    // Most lines begin with a client and a dash, as no family's do: they need not be asked.
    let families = if word(line).0.starts_with(b"- ") { &[] } else { FAMILIES };
    for family in families.iter().filter(|family| (family.is_likely)(line)) {
        match (family.read)(line) {
            Ok(record) => return Ok(record),
            Err(miss) => best = Some(best.map_or(miss, |best| best.further(miss))),
        }
    }
    for family in TIMELESS.iter().filter(|family| (family.is_likely)(line)) {
        match timeless(family, line, around.lent) {
            Ok(record) => return Ok(record),
            Err(miss) => best = Some(best.map_or(miss, |best| best.further(miss))),
        }
    }
    let miss = match combined::read(line, Tail::Combined) {
        Ok(record) => return Ok(record),
        Err(miss) => best.map_or(miss, |best| best.further(miss)),
    };
    combined::read_bare(line).map_err(|_| miss.reject(line))
}

/// Reads a line of a format that has no time; one must have been lent.
fn timeless<'a>(family: &Family, line: &'a [u8], lent: Option<Time>) -> Result<Record<'a>, Miss> {
    let record = (family.read)(line)?;
    match lent {
        Some(_) => Ok(record),
        None => Err(Miss {
            rest: 0,
            expected: "a time: use a format that has one, or log through an envelope that has \
                       (RFC 5424, rsyslog's ISO times, a container runtime)",
        }),
    }
}

/// Of two rejects returns the one that got further; of equals, the first.
fn furthest(one: Reject, other: Reject) -> Reject {
    if other.column > one.column { other } else { one }
}
