//! Keeps the source in the shape that ARCHITECTURE.md promises.
//!
//! One crate has no walls, so this test is the wall: which module may import which, what the pure part may name, how
//! long a file may be. It reads `src/` as text, and asks the program only how its facts are named.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokenwatch::engine::{detect::ALL, rule::view::FIELDS};

/// Every module and the modules it may import, lowest layer first.
///
/// A module may list only modules above it in this table, so the table cannot describe a cycle.
const LAYERS: &[(&str, &[&str])] = &[
    // Pure: values in, values out. In the order of flow.
    ("engine::time", &[]),
    ("engine::zone", &["engine::time"]),
    ("engine::secret", &[]),
    ("engine::geo", &[]),
    ("engine::line", &["engine::zone"]),
    ("engine::stats", &[]),
    ("engine::numbers", &[]),
    ("engine::reserved", &[]),
    ("engine::visible", &[]),
    ("engine::smtp", &[]),
    ("engine::record", &["engine::time", "engine::line"]),
    ("engine::usage", &["engine::time", "engine::secret", "engine::line"]),
    ("engine::pulse", &["engine::time", "engine::line", "engine::record", "engine::usage"]),
    ("engine::shape", &["engine::secret"]),
    ("engine::agent", &["engine::shape", "engine::usage"]),
    ("engine::route", &["engine::shape"]),
    ("engine::requests", &["engine::route"]),
    (
        "engine::token",
        &[
            "engine::time",
            "engine::secret",
            "engine::shape",
            "engine::record",
            "engine::usage",
            "engine::agent",
            "engine::route",
            "engine::requests",
            "engine::visible",
        ],
    ),
    ("engine::arrival", &["engine::time"]),
    (
        "engine::reader",
        &[
            "engine::time",
            "engine::arrival",
            "engine::zone",
            "engine::secret",
            "engine::line",
            "engine::record",
            "engine::usage",
            "engine::pulse",
            "engine::token",
        ],
    ),
    (
        "engine::registry",
        &[
            "engine::time",
            "engine::secret",
            "engine::geo",
            "engine::usage",
            "engine::reserved",
            "engine::requests",
        ],
    ),
    ("engine::profile", &["engine::time", "engine::stats", "engine::geo", "engine::usage"]),
    (
        "engine::alert",
        &["engine::time", "engine::secret", "engine::geo", "engine::usage", "engine::profile"],
    ),
    (
        "engine::word",
        &["engine::time", "engine::stats", "engine::geo", "engine::profile", "engine::alert"],
    ),
    ("engine::ledger", &["engine::time", "engine::secret", "engine::usage"]),
    ("engine::posture", &["engine::time", "engine::numbers", "engine::alert", "engine::ledger"]),
    ("engine::commit", &["engine::line", "engine::ledger", "engine::alert"]),
    (
        "engine::house",
        &[
            "engine::time",
            "engine::secret",
            "engine::stats",
            "engine::geo",
            "engine::usage",
            "engine::profile",
            "engine::commit",
        ],
    ),
    (
        "engine::detect",
        &[
            "engine::time",
            "engine::zone",
            "engine::stats",
            "engine::numbers",
            "engine::geo",
            "engine::usage",
            "engine::pulse",
            "engine::requests",
            "engine::registry",
            "engine::posture",
            "engine::alert",
            "engine::profile",
            "engine::house",
        ],
    ),
    ("engine::mute", &["engine::time", "engine::geo", "engine::alert"]),
    (
        "engine::rule",
        &[
            "engine::time",
            "engine::geo",
            "engine::usage",
            "engine::requests",
            "engine::alert",
            "engine::detect",
        ],
    ),
    (
        "engine::incident",
        &[
            "engine::time",
            "engine::geo",
            "engine::usage",
            "engine::alert",
            "engine::profile",
            "engine::word",
            "engine::mute",
            "engine::commit",
            "engine::rule",
        ],
    ),
    (
        "engine::health",
        &[
            "engine::time",
            "engine::zone",
            "engine::stats",
            "engine::usage",
            "engine::pulse",
            "engine::reserved",
            "engine::detect",
            "engine::incident",
        ],
    ),
    (
        "engine::memory",
        &[
            "engine::time",
            "engine::secret",
            "engine::geo",
            "engine::usage",
            "engine::registry",
            "engine::alert",
            "engine::profile",
            "engine::ledger",
            "engine::commit",
            "engine::house",
            "engine::incident",
        ],
    ),
    (
        "engine::judge",
        &[
            "engine::time",
            "engine::geo",
            "engine::line",
            "engine::usage",
            "engine::pulse",
            "engine::reserved",
            "engine::registry",
            "engine::alert",
            "engine::profile",
            "engine::word",
            "engine::house",
            "engine::detect",
            "engine::rule",
            "engine::incident",
            "engine::health",
            "engine::memory",
        ],
    ),
    ("engine::trial", &["engine::*"]),
    ("engine", &["engine::*"]),
    // Adapters: each touches one part of the world and knows only the engine.
    ("clock", &["engine::time"]),
    ("telemetry", &["engine::visible"]),
    ("mount", &[]),
    ("atlas", &["engine::geo"]),
    (
        "config",
        &["engine::alert", "engine::line", "engine::requests", "engine::smtp", "engine::zone"],
    ),
    ("source", &["engine::line", "engine::time", "engine::zone", "mount"]),
    ("store", &["engine::*", "mount"]),
    ("deliver", &["engine::*"]),
    ("report", &["engine::*"]),
    ("scan", &["engine::token"]),
    // Wiring.
    (
        "daemon",
        &["engine::*", "clock", "telemetry", "atlas", "config", "source", "store", "deliver"],
    ),
    (
        "cli",
        &[
            "engine::*",
            "clock",
            "telemetry",
            "atlas",
            "config",
            "source",
            "store",
            "deliver",
            "report",
            "scan",
            "daemon",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Names that would let the outside world into `src/engine`.
const IMPURE: &[&str] = &[
    "tokio",
    "rusqlite",
    "lettre",
    "notify::",
    "tracing",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "SystemTime",
    "Instant",
    "Utc::now",
    "Local::now",
    "rand::",
    "async fn",
];

/// The files that may look at a secret: those that make an id of it, find and seal it, or remove it from texts; and the
/// one that logs in with the mail server's password.
const EXPOSING: &[&str] = &[
    "src/engine/secret.rs",
    "src/engine/token/seal.rs",
    "src/engine/token/redact.rs",
    "src/deliver/email/mod.rs",
];

/// The parts of the source that name facts: nothing but this test connects them with the detectors that state those.
const NAMING: &[&str] = &[
    "src/engine/alert.rs",
    "src/engine/judge/",
    "src/engine/posture/",
    "src/engine/profile/",
    "src/engine/rule/values.rs",
    "src/engine/word.rs",
    "src/deliver/",
    "src/cli/alerts/",
    "src/cli/explain/",
];

/// What looks there like the name of a fact, and is none.
const NO_FACTS: &[&str] = &["www."];

const MAX_LINES: usize = 500;

/// The width of a comment, in characters; rustfmt sees to that of code.
const MAX_WIDTH: usize = 120;

#[test]
fn layers_have_no_cycle() {
    for (i, (module, deps)) in LAYERS.iter().enumerate() {
        let (above, rest) = LAYERS.split_at(i);
        for dep in *deps {
            let known = match dep.strip_suffix('*') {
                Some(prefix) => !rest.iter().skip(1).any(|(m, _)| m.starts_with(prefix)),
                None => above.iter().any(|(m, _)| m == dep),
            };
            assert!(known, "{module} lists {dep}, which is not above it");
        }
    }
}

#[test]
fn every_module_stands_in_the_map_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("readable page");
    let map = page.split("\n## Code map\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = map.unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
    let first = |row: &'_ str| row.split('|').nth(1).unwrap_or_default().to_owned();
    let mapped = rows.map(first).collect::<Vec<_>>().join(",");
    let mapped: Vec<&str> = mapped.split(',').map(|name| name.trim().trim_matches('`')).collect();
    // The folder of all others, and what `main` and `lib` do stands above the table.
    let modules = LAYERS.iter().map(|(module, _)| *module);
    let modules = modules.filter(|module| !["engine", "lib", "main"].contains(module));
    let modules: Vec<&str> = modules.collect();
    for module in &modules {
        assert!(mapped.contains(module), "the map in ARCHITECTURE.md lacks `{module}`");
    }
    for module in mapped {
        assert!(modules.contains(&module), "`{module}` of the map in ARCHITECTURE.md is no module");
    }
}

#[test]
fn imports_follow_the_layers() {
    let mut faults = Vec::new();
    for file in sources() {
        let module = file.module();
        let Some((_, allowed)) = LAYERS.iter().find(|(m, _)| *m == module) else {
            faults.push(format!("{}: module `{module}` is not in LAYERS", file.shown()));
            continue;
        };
        for (n, line) in file.code() {
            for path in line.split("crate::").skip(1) {
                let target = target(path);
                let own = target == module || target.starts_with(&format!("{module}::"));
                let ok = own
                    || allowed.iter().any(|a| match a.strip_suffix("::*") {
                        Some(prefix) => target.starts_with(prefix) && target != prefix,
                        None => *a == target,
                    });
                if !ok {
                    faults.push(format!(
                        "{}:{n}: `{module}` may not import `{target}`",
                        file.shown()
                    ));
                }
            }
            if line.contains("super::super") || (file.is_mod_rs() && line.contains("super::")) {
                faults.push(format!("{}:{n}: name the module from `crate::`", file.shown()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn engine_is_pure() {
    let mut faults = Vec::new();
    for file in sources().into_iter().filter(|f| f.module().starts_with("engine")) {
        for (n, line) in file.code() {
            for word in IMPURE.iter().filter(|w| line.contains(**w)) {
                faults.push(format!("{}:{n}: the engine may not name `{word}`", file.shown()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn secrets_are_looked_at_in_few_places() {
    let mut faults = Vec::new();
    let mut exposing = Vec::new();
    for file in sources() {
        for (n, line) in file.code() {
            if line.contains(".expose()") {
                exposing.push(file.shown());
                if !EXPOSING.contains(&file.shown().as_str()) {
                    faults.push(format!("{}:{n}: may not look at a secret", file.shown()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    for file in EXPOSING {
        assert!(exposing.iter().any(|path| path == file), "{file} no longer looks at a secret");
    }
}

#[test]
fn every_fact_that_is_named_is_stated_by_a_detector() {
    let facts: Vec<&str> =
        ALL.iter().flat_map(|detector| detector.facts).map(|fact| fact.name).collect();
    let is_known = |name: &str| {
        let is_family = name.ends_with('.') && facts.iter().any(|fact| fact.starts_with(name));
        let is_field = FIELDS.iter().any(|(ecs, _)| *ecs == name);
        is_family || is_field || facts.contains(&name) || NO_FACTS.contains(&name)
    };
    let is_word = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let looks_so = |text: &str| {
        let parts = text.split_once('.');
        parts.is_some_and(|(of, rest)| !of.is_empty() && is_word(of) && is_word(rest))
    };
    let (mut faults, mut n_named) = (Vec::new(), 0);
    let files = sources();
    for part in NAMING {
        assert!(files.iter().any(|file| file.shown().starts_with(part)), "{part} is gone");
    }
    let is_naming = |file: &&Source| NAMING.iter().any(|part| file.shown().starts_with(part));
    for file in files.iter().filter(is_naming) {
        for (n, line) in file.code() {
            for name in line.split('"').skip(1).step_by(2).filter(|text| looks_so(text)) {
                n_named += 1;
                if !is_known(name) {
                    faults.push(format!("{}:{n}: no detector states `{name}`", file.shown()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(60 <= n_named, "{n_named} names");
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for file in sources() {
        if !file.text.starts_with("//!") {
            faults.push(format!("{}: first line must be a `//!` duty line", file.shown()));
        }
        let lines = file.code().len();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines, at most {MAX_LINES}", file.shown()));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn comments_fit_the_width() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for Source { path, text } in files(&root, |_| true) {
            for (n, line) in (1..).zip(text.lines()) {
                // The rows of a table cannot be wrapped.
                let is_row = line.trim_start_matches([' ', '/', '!']).starts_with('|');
                let is_comment = line.trim_start().starts_with("//");
                if is_comment && !is_row && MAX_WIDTH < line.chars().count() {
                    faults.push(format!("{folder}/{}:{n}: too wide a comment", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Returns the module of the file: `engine/record/json.rs` is in `engine::record`; `store/schema.rs` in `store`.
    fn module(&self) -> String {
        let parts: Vec<&str> = self.path.iter().filter_map(|p| p.to_str()).collect();
        let stem = |s: &str| s.trim_end_matches(".rs").to_owned();
        match parts.as_slice() {
            [file] => stem(file),
            ["engine", "mod.rs"] => "engine".to_owned(),
            ["engine", inner, ..] => format!("engine::{}", stem(inner)),
            [outer, ..] => (*outer).to_owned(),
            [] => String::new(),
        }
    }

    fn is_mod_rs(&self) -> bool {
        self.path.ends_with("mod.rs")
    }

    fn shown(&self) -> String {
        format!("src/{}", self.path.display())
    }

    /// Returns the numbered lines without comments and without what only tests have.
    fn code(&self) -> Vec<(usize, String)> {
        let without_comment = |line: &str| line.split("//").next().unwrap_or("").to_owned();
        let lines = outside_tests(&self.text).into_iter();
        lines.map(|(n, line)| (n, without_comment(line))).collect()
    }
}

/// Returns the numbered lines outside the items that only tests have: each of those ends with its line, if it is a
/// declaration, else with the brace at the beginning of a line. What follows it is the program's again.
fn outside_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        if !line.starts_with("#[cfg(test)]") {
            kept.push((i + 1, line));
            continue;
        }
        let item = lines.by_ref().map(|(_, line)| line).find(|line| !line.starts_with('#'));
        if item.is_some_and(|line| line.ends_with('{')) {
            lines.by_ref().find(|(_, line)| line.starts_with('}'));
        }
    }
    kept
}

#[test]
fn what_follows_the_declaration_of_tests_was_not_looked_at() {
    let text = "\
//! Finds.
mod find;
#[cfg(test)]
mod sample;
#[cfg(test)]
#[path = \"find_tests.rs\"]
mod tests;
mod word;

#[cfg(test)]
pub(crate) use word::{
    Word,
};
use crate::engine::secret;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = \"exact\")]
mod tests {
    use crate::engine::time;

    fn one() {
    }
}
const ONE: u32 = 1;
";
    let lines = outside_tests(text);
    let numbers: Vec<usize> = lines.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, [1, 2, 8, 9, 14, 23]);
    assert_eq!(lines.get(4), Some(&(14, "use crate::engine::secret;")));
    let file = Source { path: "engine/house/mod.rs".into(), text: text.to_owned() };
    assert_eq!(file.code().last(), Some(&(23, "const ONE: u32 = 1;".to_owned())));
}

/// Returns the module that a path after `crate::` refers to.
fn target(path: &str) -> String {
    let mut idents = path
        .split("::")
        .map(|s| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>());
    let outer = idents.next().unwrap_or_default();
    let inner = idents.next().unwrap_or_default();
    let nested = format!("{outer}::{inner}");
    if LAYERS.iter().any(|(m, _)| *m == nested) { nested } else { outer }
}

/// Returns the program's own files.
fn sources() -> Vec<Source> {
    let is_program = |path: &Path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        !matches!(stem, "tests" | "sample") && !stem.ends_with("_tests")
    };
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), is_program)
}

/// Returns the files below a folder whose names, and those of the folders that they are in, are wanted.
fn files(root: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).expect("readable directory").flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| is_wanted(path)) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("readable source");
                let path = path.strip_prefix(root).expect("below the root").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn every_fuzz_target_is_built_and_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("readable text");
    let (manifest, readme) = (text("Cargo.toml"), text("README.md"));
    let mut n_targets = 0;
    for entry in fs::read_dir(folder.join("fuzz_targets")).expect("readable directory").flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml lacks {name}");
        assert!(readme.contains(&format!("`{name}`")), "fuzz/README.md lacks {name}");
        n_targets += 1;
    }
    assert_eq!(manifest.matches("[[bin]]").count(), n_targets, "each [[bin]] has its file");
}
