//! The text formats that `auto` recognises by how their lines begin, one entry each.

use smol_str::SmolStr;

use super::scan::Miss;
use super::{
    Record, apache_error, columns, elb, envoy, haproxy, lighttpd_error, logfmt, morgan,
    nginx_error, npm, s3, squid, uvicorn, uwsgi, zoraxy,
};

/// One text format: its preset, and how `auto` recognises a line.
#[derive(Debug)]
pub(super) struct Family {
    /// The preset's name.
    pub(super) name: &'static str,
    /// What it reads, in a few words.
    pub(super) about: &'static str,
    /// Returns whether a line begins like this format's lines. Examines only the first words, since `auto` calls it
    /// for every line.
    pub(super) is_likely: fn(&[u8]) -> bool,
    /// Whether it is an error log.
    pub(super) is_error: bool,
    /// The function that parses its lines.
    read: Read,
}

/// A function that parses a line.
#[derive(Debug)]
enum Read {
    /// The position alone determines the meaning of a field.
    Line(for<'a> fn(&'a [u8]) -> Result<Record<'a>, Miss>),
    /// Fields have names; the second argument is the site's own names of token ids.
    Named(for<'a> fn(&'a [u8], &[SmolStr]) -> Result<Record<'a>, Miss>),
}

impl Family {
    /// Parses a line. `ids` are the site's own names of fields that contain a token's id.
    pub(super) fn read<'a>(&self, line: &'a [u8], ids: &[SmolStr]) -> Result<Record<'a>, Miss> {
        let mut read = match self.read {
            Read::Line(read) => read(line),
            Read::Named(read) => read(line, ids),
        };
        if let Ok(record) = &mut read {
            record.is_unanswered |= self.is_error;
        }
        read
    }
}

/// All families. If several are likely, the first that parses the line wins.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "haproxy",
        about: "HAProxy's option httplog or httpslog",
        is_likely: haproxy::is_likely,
        is_error: false,
        read: Read::Line(haproxy::read),
    },
    Family {
        name: "w3c",
        about: "columns named by a #Fields line: IIS, CloudFront, any W3C extended log; Zeek's http.log",
        is_likely: columns::is_likely,
        is_error: false,
        read: Read::Named(columns::read),
    },
    Family {
        name: "envoy",
        about: "Envoy's default text format, and Istio's",
        is_likely: envoy::is_likely,
        is_error: false,
        read: Read::Line(envoy::read),
    },
    Family {
        name: "alb",
        about: "AWS Application Load Balancer",
        is_likely: elb::is_likely_application,
        is_error: false,
        read: Read::Line(elb::read_application),
    },
    Family {
        name: "elb",
        about: "AWS Classic Load Balancer",
        is_likely: elb::is_likely_classic,
        is_error: false,
        read: Read::Line(elb::read_classic),
    },
    Family {
        name: "s3",
        about: "Amazon S3's server access log",
        is_likely: s3::is_likely,
        is_error: false,
        read: Read::Line(s3::read),
    },
    Family {
        name: "squid",
        about: "Squid's native format; its common and combined are those",
        is_likely: squid::is_likely,
        is_error: false,
        read: Read::Line(squid::read),
    },
    Family {
        name: "npm",
        about: "Nginx Proxy Manager's access log",
        is_likely: npm::is_likely,
        is_error: false,
        read: Read::Line(npm::read),
    },
    Family {
        name: "npmplus",
        about: "NPMplus' access log",
        is_likely: npm::is_likely_plus,
        is_error: false,
        read: Read::Line(npm::read_plus),
    },
    Family {
        name: "uwsgi",
        about: "uWSGI's own request log",
        is_likely: uwsgi::is_likely,
        is_error: false,
        read: Read::Line(uwsgi::read),
    },
    Family {
        name: "zoraxy",
        about: "Zoraxy's access log",
        is_likely: zoraxy::is_likely,
        is_error: false,
        read: Read::Line(zoraxy::read),
    },
    Family {
        name: "nginx-error",
        about: "nginx' error log",
        is_likely: nginx_error::is_likely,
        is_error: true,
        read: Read::Line(nginx_error::read),
    },
    Family {
        name: "apache-error",
        about: "Apache's error log, with ModSecurity's lines",
        is_likely: apache_error::is_likely,
        is_error: true,
        read: Read::Line(apache_error::read),
    },
    Family {
        name: "lighttpd-error",
        about: "lighttpd's error log",
        is_likely: lighttpd_error::is_likely,
        is_error: true,
        read: Read::Line(lighttpd_error::read),
    },
    Family {
        name: logfmt::NAME,
        about: "key=value pairs: Heroku, Go's loggers, Grafana's services",
        is_likely: logfmt::is_likely,
        is_error: false,
        read: Read::Named(logfmt::read),
    },
];

/// Formats whose lines have no time: they use the envelope's, and without one they are rejected.
pub(super) const TIMELESS: &[Family] = &[
    Family {
        name: "uvicorn",
        about: "Uvicorn's access log, in an envelope with a time",
        is_likely: uvicorn::is_likely,
        is_error: false,
        read: Read::Line(uvicorn::read),
    },
    Family {
        name: "morgan-dev",
        about: "morgan's dev, in an envelope with a time",
        is_likely: morgan::is_likely_dev,
        is_error: false,
        read: Read::Line(morgan::read_dev),
    },
    Family {
        name: "morgan-short",
        about: "morgan's short, in an envelope with a time",
        is_likely: morgan::is_likely_short,
        is_error: false,
        read: Read::Line(morgan::read_short),
    },
    Family {
        name: "morgan-tiny",
        about: "morgan's tiny, in an envelope with a time",
        is_likely: morgan::is_likely_tiny,
        is_error: false,
        read: Read::Line(morgan::read_tiny),
    },
];
