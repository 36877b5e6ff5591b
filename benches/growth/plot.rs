//! The plot: µs per line against what grows, in panels of the same height.

use std::fmt::Write as _;

use crate::svg::{self, BLUE, ORANGE, Scale};

/// One thing that grows.
pub(crate) struct Panel {
    pub(crate) what: &'static str,
    pub(crate) points: Vec<Point>,
}

/// What a line costs where there are so many.
pub(crate) struct Point {
    pub(crate) count: f64,
    /// µs from the first line to the last, by line.
    pub(crate) wall: f64,
    /// µs on the processor, by line.
    pub(crate) processor: f64,
}

const LEFT: f64 = 60.0;
/// Pixels from one power of ten to the next.
const DECADE: f64 = 62.0;
const GAP: f64 = 70.0;

const LEGEND: &str = "<text x=\"10\" y=\"18\" class=\"name\">µs a line</text>\
    <line class=\"wall\" x1=\"90\" x2=\"120\" y1=\"14\" y2=\"14\"/><text x=\"126\" y=\"18\">from start to end</text>\
    <line class=\"processor\" x1=\"240\" x2=\"270\" y1=\"14\" y2=\"14\"/><text x=\"276\" y=\"18\">on the processor, both cores</text>\n";

/// Draws all panels beside each other.
pub(crate) fn draw(panels: &[Panel]) -> String {
    let most = panels.iter().flat_map(|panel| &panel.points);
    let most = most.map(|point| point.wall.max(point.processor)).fold(0.0, f64::max);
    let scale = Scale::new(most);
    let mut body = LEGEND.to_owned();
    let mut left = LEFT;
    for panel in panels {
        panel.draw(&mut body, left, &scale);
        left += panel.width() + GAP;
    }
    let style = format!(
        ".wall {{ stroke: {BLUE}; fill: none; stroke-width: 2 }}\
         .processor {{ stroke: {ORANGE}; fill: none; stroke-width: 2; stroke-dasharray: 5 3 }}\
         circle.wall {{ fill: {BLUE} }}\
         circle.processor {{ fill: {ORANGE}; stroke-dasharray: none }}"
    );
    let sentence = "Microseconds a line against principals, days and files";
    svg::figure(left - GAP + 40.0, sentence, &style, &body)
}

impl Panel {
    fn width(&self) -> f64 {
        let most = self.points.iter().map(|point| point.count).fold(1.0, f64::max);
        most.log10() * DECADE
    }

    fn draw(&self, out: &mut String, left: f64, scale: &Scale) {
        let x = |count: f64| left + count.log10() * DECADE;
        scale.draw(out, left, self.width());
        for point in &self.points {
            svg::below(out, "", x(point.count), 20.0, &crate::number(point.count));
        }
        svg::below(out, " class=\"name\"", left + self.width() / 2.0, 42.0, self.what);
        let walls: Vec<f64> = self.points.iter().map(|point| point.wall).collect();
        let processors: Vec<f64> = self.points.iter().map(|point| point.processor).collect();
        for (class, values) in [("wall", walls), ("processor", processors)] {
            let counts = self.points.iter().map(|point| point.count);
            let places: Vec<(f64, f64)> =
                counts.zip(values).map(|(count, value)| (x(count), scale.y(value))).collect();
            let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" ")).unwrap();
            for (x, y) in places {
                writeln!(out, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")
                    .unwrap();
            }
        }
    }
}
