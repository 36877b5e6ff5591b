//! What docs/detection.md says of detectors and parameters is what the program has.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use tokenwatch::engine::detect::{ALL, Params};

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/detection.md")).unwrap()
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
