//! The page of an audit: one HTML file without scripts, links or anything remote.
//!
//! Labels have passed `cli::print` already; everything is escaped once more for HTML.

use std::fmt::{self, Write as _};

use crate::engine::numbers::{counted, number};
use crate::engine::posture::{Finding, Kind};
use crate::engine::time::Timestamp;
use crate::engine::visible::html;

use super::audit::{Audit, Subject};

/// Height of a bar with its gap, in pixels.
const BAR: usize = 24;

/// Where bars begin: right of the longest name of a finding.
const LEFT: usize = 170;

/// Length of the longest bar.
const LONGEST: usize = 460;

/// Room for a number at the end of the longest bar.
const RIGHT: usize = 90;

/// Every browser is told to load nothing, whatever the page contained.
const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>Tokenwatch audit</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 4px 14px 4px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8886;
  overflow-wrap: anywhere; }
td ul { margin: 0; padding-left: 1.1em; }
.n, time { white-space: nowrap; }
small { opacity: .75; }
svg { max-width: 100%; height: auto; }
text { fill: currentColor; font-size: 14px; }
.critical { fill: #c0392b; } .high { fill: #d9731a; } .medium { fill: #b39015; } .low { fill: #4a7fbf; }
.informational { fill: #888; }
</style>
</head>
<body>
";

/// Makes the page.
#[must_use]
pub fn page(audit: &Audit, host: &str, now: Timestamp) -> String {
    let mut out = String::from(HEAD);
    // Writing to a string cannot fail.
    write(&mut out, audit, host, now).ok();
    out
}

fn write(out: &mut String, audit: &Audit, host: &str, now: Timestamp) -> fmt::Result {
    let (n_tokens, n_subjects, n_found) = audit.totals();
    writeln!(out, "<h1>Tokens of {}</h1>", html(host))?;
    let time = now.to_words();
    let tokens = counted(n_tokens, "token");
    let found = number(n_found);
    let of = number(n_subjects);
    writeln!(
        out,
        "<p>{time}: {tokens}; {found} of {of} tokens and principals have something to mend.</p>"
    )?;
    chart(out, audit)?;
    remedies(out, audit)?;
    groups(out, audit)?;
    subjects(out, audit)?;
    out.write_str("</body>\n</html>\n")
}

fn chart(out: &mut String, audit: &Audit) -> fmt::Result {
    let counts: Vec<(Kind, u64)> = audit.counts().collect();
    let Some(most) = counts.iter().map(|(_, count)| *count).max() else { return Ok(()) };
    let (width, height) = (LEFT + LONGEST + RIGHT, BAR * counts.len());
    writeln!(
        out,
        "<h2>Findings</h2>\n<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Tokens by finding\">"
    )?;
    for (n, (kind, count)) in counts.into_iter().enumerate() {
        let length = scaled(count, most);
        let (y, baseline, end) = (n * BAR, n * BAR + 16, LEFT + length + 8);
        let (name, level, count) = (kind.as_str(), kind.level(), number(count));
        writeln!(
            out,
            "<text x=\"0\" y=\"{baseline}\">{name}</text>\
             <rect class=\"{level}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"20\" rx=\"2\"/>\
             <text x=\"{end}\" y=\"{baseline}\">{count}</text>"
        )?;
    }
    out.write_str("</svg>\n")
}

/// Returns the length of a bar; what is there at all is visible.
fn scaled(count: u64, most: u64) -> usize {
    let length = u128::from(count) * LONGEST as u128 / u128::from(most.max(1));
    usize::try_from(length).unwrap_or(LONGEST).clamp(2, LONGEST)
}

fn remedies(out: &mut String, audit: &Audit) -> fmt::Result {
    out.write_str("<h2>What to do</h2>\n<table>\n<tr><th>finding</th><th>level</th><th>tokens</th><th>what to do</th></tr>\n")?;
    for (kind, count) in audit.counts() {
        let (name, level, count) = (kind.as_str(), kind.level(), number(count));
        let remedy = html(kind.remedy());
        writeln!(
            out,
            "<tr><td class=\"n\">{name}</td><td>{level}</td><td class=\"n\">{count}</td><td>{remedy}</td></tr>"
        )?;
    }
    out.write_str("</table>\n")
}

fn groups(out: &mut String, audit: &Audit) -> fmt::Result {
    let groups = audit.groups();
    if groups.is_empty() {
        return Ok(());
    }
    out.write_str(
        "<h2>Unregistered</h2>\n<table>\n<tr><th>kind or issuer</th><th>tokens</th></tr>\n",
    )?;
    for (group, count) in groups {
        writeln!(out, "<tr><td>{}</td><td class=\"n\">{}</td></tr>", html(group), number(count))?;
    }
    out.write_str("</table>\n")
}

fn subjects(out: &mut String, audit: &Audit) -> fmt::Result {
    out.write_str("<h2>Tokens, the worst first</h2>\n<table>\n<tr><th>token</th><th>state</th><th>last used</th><th>findings</th></tr>\n")?;
    for Subject { label, state, last_seen, findings, .. } in audit.worst() {
        let last = last_seen.map_or_else(|| "never".to_owned(), Timestamp::to_words);
        write!(
            out,
            "<tr><td>{}</td><td>{state}</td><td><time>{last}</time></td><td><ul>",
            html(label)
        )?;
        findings.iter().try_for_each(|finding| item(out, finding))?;
        out.write_str("</ul></td></tr>\n")?;
    }
    out.write_str("</table>\n")?;
    match audit.n_more() {
        0 => Ok(()),
        more => writeln!(out, "<p>{} more: raise -n, or use --json.</p>", number(more)),
    }
}

fn item(out: &mut String, finding: &Finding) -> fmt::Result {
    let name = finding.kind.as_str();
    match finding.detail.as_str() {
        "" => write!(out, "<li>{name}</li>"),
        detail => write!(out, "<li>{name} <small>{}</small></li>", html(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alert::Level;

    #[test]
    fn bars_are_as_long_as_their_counts_and_never_invisible() {
        assert_eq!(
            [scaled(0, 0), scaled(1, 100_000), scaled(1, 2), scaled(2, 2)],
            [2, 2, 230, 460]
        );
        assert_eq!(scaled(u64::MAX, u64::MAX), LONGEST);
    }

    #[test]
    fn every_level_has_a_colour() {
        for level in Level::ALL {
            assert!(HEAD.contains(&format!(".{level} {{ fill")), "{level}");
        }
    }

    #[test]
    fn what_others_wrote_is_escaped() {
        let hostile = "<script>alert(1)</script>\"'&";
        let mut audit = Audit::new(1, std::collections::BTreeSet::new());
        let finding = Finding { kind: Kind::Unregistered, since: None, detail: hostile.to_owned() };
        audit.count(1, std::slice::from_ref(&finding), || hostile.to_owned());
        let (label, findings) = (hostile.to_owned(), vec![finding]);
        audit.list(Subject {
            label,
            state: "unregistered",
            is_registered: false,
            last_seen: None,
            findings,
            json: None,
        });
        let page = page(&audit, hostile, Timestamp(0));
        assert_eq!(
            page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;").count(),
            4
        );
        assert!(!page.contains("<script") && !page.contains("http:"), "{page}");
    }
}
