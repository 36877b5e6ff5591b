//! The figure: what each reader missed and counted twice, of the same plan, from the tables that two runs printed.

use std::fmt::Write as _;
use std::path::Path;

use crate::measure::number;
use crate::svg::{self, BLUE, ORANGE, Scale};

const LEFT: f64 = 60.0;
const BAR: f64 = 90.0;
/// Between the bars of a group, at both sides of it, and between groups.
const GAP: f64 = 40.0;
const GROUP: f64 = 2.0 * BAR + 3.0 * GAP;
const GROUPS: [&str; 2] = ["missing", "counted twice"];
const COLOURS: [&str; 2] = [BLUE, ORANGE];

/// What a run printed.
struct Outcome {
    name: String,
    plan: String,
    lines: f64,
    /// In the order of [`GROUPS`].
    wrong: [f64; 2],
}

/// Draws `docs/soak.svg` from the tables in two files.
pub(crate) fn draw(files: [&Path; 2]) {
    let outcomes = files.map(|file| read(&std::fs::read_to_string(file).unwrap()));
    assert_eq!(outcomes[0].plan, outcomes[1].plan, "these runs had not the same plan");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/soak.svg");
    std::fs::write(&path, figure(&outcomes)).unwrap();
    println!("{}", path.display());
}

/// Reads a table as `report` prints it.
fn read(text: &str) -> Outcome {
    let row = |name: &str| {
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
        let mut values = rows.filter(|(what, _)| what.contains(name)).map(|(_, value)| value);
        values.next().unwrap_or_else(|| panic!("no row of {name}")).to_owned()
    };
    let first = |text: &str| text.split(' ').next().unwrap_or_default().parse().unwrap();
    let wrong = row("missing, ");
    let (missing, twice) = wrong.split_once(", ").expect("two numbers");
    Outcome {
        name: row("soak"),
        plan: row("length, seed"),
        lines: first(&row("lines")),
        wrong: [first(missing), first(twice)],
    }
}

fn figure(outcomes: &[Outcome; 2]) -> String {
    let shares =
        outcomes.each_ref().map(|outcome| outcome.wrong.map(|n| n / outcome.lines * 100.0));
    let scale = Scale::new(shares.as_flattened().iter().copied().fold(0.001, f64::max));
    let mut body = "<text x=\"10\" y=\"18\" class=\"name\">% of lines</text>\n".to_owned();
    for (place, outcome) in outcomes.iter().enumerate() {
        let x = 110.0 + 110.0 * place as f64;
        writeln!(
            body,
            "<rect x=\"{x:.1}\" y=\"9\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{:.1}\" y=\"18\">{}</text>",
            COLOURS[place],
            x + 16.0,
            outcome.name
        )
        .unwrap();
    }
    scale.draw(&mut body, LEFT, 2.0 * GROUP);
    for (group, what) in GROUPS.iter().enumerate() {
        let left = LEFT + GROUP * group as f64;
        for (place, outcome) in outcomes.iter().enumerate() {
            let middle = left + GAP + BAR / 2.0 + (BAR + GAP) * place as f64;
            bar(&mut body, middle, scale.y(shares[place][group]), COLOURS[place]);
            svg::below(&mut body, "", middle, 20.0, &number(outcome.wrong[group]));
        }
        svg::below(&mut body, " class=\"name\"", left + GROUP / 2.0, 42.0, what);
    }
    svg::figure(LEFT + 2.0 * GROUP + 20.0, &sentence(outcomes), "", &body)
}

fn bar(out: &mut String, middle: f64, top: f64, colour: &str) {
    let (left, height) = (middle - BAR / 2.0, svg::BOTTOM - top);
    writeln!(
        out,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{BAR}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    )
    .unwrap();
}

/// Says the same to whoever cannot see it.
fn sentence(outcomes: &[Outcome; 2]) -> String {
    let each = outcomes.iter().map(|Outcome { name, lines, wrong: [missing, twice], .. }| {
        let [lines, missing, twice] = [*lines, *missing, *twice].map(number);
        format!("{name}: {missing} of {lines} lines missing, {twice} counted twice")
    });
    each.collect::<Vec<_>>().join("; ")
}
