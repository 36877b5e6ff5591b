//! The detectors and parameters of docs/detection.md, and the formats of docs/formats.md, are those of the program.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, iter};

use tokenwatch::engine::detect::{ALL, Params};
use tokenwatch::engine::record::{Columns, Format};
use tokenwatch::engine::token::{Finder, Names};

fn page() -> String {
    text("docs/detection.md")
}

fn text(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn every_parameter_is_listed_with_its_default_unit_and_source() {
    let page = page();
    let wrong: Vec<String> = Params::list()
        .iter()
        .map(|of| {
            let source = of.source.replace("docs/detection.md, ", "above, ");
            let about = of.about.trim_end_matches('.');
            format!(
                "| `{}.{}` | {} {} | {about} | {source} |",
                of.section, of.key, of.default, of.unit
            )
        })
        .filter(|row| !page.contains(row.as_str()))
        .collect();
    assert!(wrong.is_empty(), "docs/detection.md lacks\n{}", wrong.join("\n"));
    let names = Params::list().into_iter().map(|of| format!("\n| `{}.{}` |", of.section, of.key));
    let twice: Vec<String> =
        names.filter(|name| page.matches(name.as_str()).count() != 1).collect();
    assert!(twice.is_empty(), "docs/detection.md does not list once:{}", twice.concat());
}

#[test]
fn every_detector_is_listed_with_its_facts() {
    let page = page();
    for detector in ALL {
        let begins = format!("| `{}` |", detector.name);
        let rows = page.lines().filter(|line| line.starts_with(&begins));
        let row = rows.max_by_key(|row| row.matches('|').count()).unwrap_or_default();
        for fact in detector.facts {
            assert!(row.contains(&format!("`{}`", fact.name)), "{}: {}", detector.name, fact.name);
        }
    }
}

#[test]
fn every_section_that_sources_name_is_there() {
    let page = page();
    let sources = Params::list().into_iter().map(|of| of.source);
    for section in sources.filter_map(|source| source.strip_prefix("docs/detection.md, ")) {
        let name = section.split(':').next().unwrap_or_default();
        assert!(page.contains(&format!("\n## {name}\n")), "{name}");
    }
}

#[test]
fn every_preset_stands_in_the_table_of_formats() {
    let rows = rows();
    let names = rows.iter().flat_map(|row| quoted(row.split('|').nth(1).unwrap_or_default()));
    // `combined` is a second name of a preset.
    let listed: BTreeSet<&str> = names.filter(|name| *name != "combined").collect();
    let presets: BTreeSet<&str> = Format::presets().map(|(name, _)| name).collect();
    assert_eq!(listed, presets);
}

#[test]
fn a_preset_with_a_recipe_stands_under_its_heading() {
    let rows = rows();
    let page = rows.iter().fold(text("docs/formats.md"), |page, row| page.replace(row, ""));
    for row in &rows {
        for link in row.split("(#").skip(1) {
            let anchor = link.split(')').next().unwrap_or_default();
            let sections = page.split("\n## ").skip(1);
            let found = sections.filter(|section| anchor_of(section) == anchor).count();
            assert_eq!(found, 1, "docs/formats.md#{anchor}");
        }
        let is_linked = row.contains("(#");
        for name in quoted(row.split('|').nth(1).unwrap_or_default()) {
            assert!(!is_linked || page.contains(&format!("`{name}`")), "docs/formats.md: {name}");
        }
    }
}

#[test]
fn every_line_that_a_recipe_makes_is_read_with_its_token() {
    let ids = vec!["x-token-id".into()];
    let finder = Finder::new(&Names { ids, ..Names::default() });
    let format = Format::preset("auto").unwrap();
    let page = text("docs/formats.md");
    let mut n_lines = 0;
    for (carrier, lines) in
        blocks(&page).filter_map(|(head, text)| Some((head.strip_prefix("log ")?, text)))
    {
        let mut columns = Columns::default();
        for line in lines.lines() {
            columns.note(line.as_bytes());
            if format.is_silent(line.as_bytes()) {
                continue;
            }
            let record = format.parse_under(line.as_bytes(), &columns);
            let record = record.unwrap_or_else(|reject| panic!("{reject:?}: {line}"));
            assert!(record.time.is_some() && record.client.is_some(), "{line}");
            let mut sightings = Vec::new();
            finder.find(&record, &mut sightings);
            // Of several ids in a line, such as a credential's and its consumer's, the first counts.
            let first = sightings.first().map(|sighting| sighting.carrier.to_string());
            assert_eq!(first.as_deref(), Some(carrier), "{line}");
            n_lines += 1;
        }
    }
    assert!(20 <= n_lines, "{n_lines} lines");
}

#[test]
fn the_recipe_of_the_readme_is_that_of_the_page() {
    let (readme, page) = (text("README.md"), text("docs/formats.md"));
    let recipes = blocks(&readme).filter(|(head, _)| ["js", "nginx"].contains(head));
    let recipes: Vec<&str> = recipes.map(|(_, text)| text).collect();
    assert_eq!(recipes.len(), 2);
    assert!(recipes.iter().all(|recipe| page.contains(recipe)), "{recipes:?}");
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there() {
    let page = text("SECURITY.md");
    let (_, section) = page.split_once("\n## Faults\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| no. |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(50 <= rows.len(), "{} rows", rows.len());
    let sources = ["src", "tests"].map(|folder| sources(Path::new(folder))).concat();
    for row in rows {
        let names: Vec<&str> = quoted(row.split('|').nth(4).unwrap_or_default()).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            let is_test = || sources.iter().any(|text| text.contains(&format!("fn {name}(")));
            let is_there = if name.contains('/') { Path::new(name).exists() } else { is_test() };
            assert!(is_there, "{name}");
        }
    }
}

/// The texts of a folder's Rust files.
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(end) if end == "rs" => vec![fs::read_to_string(&path).unwrap()],
        _ => Vec::new(),
    });
    texts.flatten().collect()
}

/// The rows of the table of all formats.
fn rows() -> Vec<String> {
    let page = text("docs/formats.md");
    let (_, section) = page.split_once("\n## All formats\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| name |")).skip(2);
    rows.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The anchor of a section, by its heading.
fn anchor_of(section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

/// The fenced blocks of a page: what their first line says, and their text.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = page.split("```").skip(1);
    iter::from_fn(move || {
        let block = parts.next()?;
        parts.next();
        block.split_once('\n')
    })
}
