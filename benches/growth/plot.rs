//! The plot: µs per line against what grows, in panels of the same height. Its grey is readable on white and on black.

use std::fmt::Write as _;

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

const TOP: f64 = 50.0;
const BOTTOM: f64 = 250.0;
const LEFT: f64 = 60.0;
/// Pixels from one power of ten to the next.
const DECADE: f64 = 62.0;
const GAP: f64 = 70.0;

const STYLE: &str = "<style>\
    text { font: 12px system-ui, sans-serif; fill: #767676 }\
    .name { font-weight: 600 }\
    .grid { stroke: #767676; stroke-opacity: 0.25 }\
    .wall { stroke: #2f80d0; fill: none; stroke-width: 2 }\
    .processor { stroke: #c8700a; fill: none; stroke-width: 2; stroke-dasharray: 5 3 }\
    circle.wall { fill: #2f80d0 }\
    circle.processor { fill: #c8700a; stroke-dasharray: none }\
    </style>";

/// Draws all panels beside each other.
pub(crate) fn draw(panels: &[Panel]) -> String {
    let most = panels.iter().flat_map(|panel| &panel.points);
    let most = most.map(|point| point.wall.max(point.processor)).fold(0.0, f64::max);
    let step = step(most);
    let top = (most / step).ceil() * step;
    let mut body = String::new();
    let mut left = LEFT;
    for panel in panels {
        let width = panel.width();
        panel.draw(&mut body, left, top, step);
        left += width + GAP;
    }
    let width = left - GAP + 40.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} 300\" role=\"img\" \
         aria-label=\"Microseconds a line against principals, days and files\">{STYLE}\n\
         <text x=\"10\" y=\"18\" class=\"name\">µs a line</text>\
         <line class=\"wall\" x1=\"90\" x2=\"120\" y1=\"14\" y2=\"14\"/><text x=\"126\" y=\"18\">from start to end</text>\
         <line class=\"processor\" x1=\"240\" x2=\"270\" y1=\"14\" y2=\"14\"/><text x=\"276\" y=\"18\">on the processor, both cores</text>\n\
         {body}</svg>\n"
    )
}

impl Panel {
    fn width(&self) -> f64 {
        let most = self.points.iter().map(|point| point.count).fold(1.0, f64::max);
        most.log10() * DECADE
    }

    fn draw(&self, out: &mut String, left: f64, top: f64, step: f64) {
        let width = self.width();
        let y = |value: f64| BOTTOM - value / top * (BOTTOM - TOP);
        let x = |count: f64| left + count.log10() * DECADE;
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let (at, right) = (y(value), left + width);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                left - 10.0,
                at + 4.0
            )
            .unwrap();
            value += step;
        }
        for point in &self.points {
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(point.count),
                BOTTOM + 20.0,
                crate::number(point.count)
            )
            .unwrap();
        }
        writeln!(
            out,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            left + width / 2.0,
            BOTTOM + 42.0,
            self.what
        )
        .unwrap();
        let walls: Vec<f64> = self.points.iter().map(|point| point.wall).collect();
        let processors: Vec<f64> = self.points.iter().map(|point| point.processor).collect();
        for (class, values) in [("wall", walls), ("processor", processors)] {
            let counts = self.points.iter().map(|point| point.count);
            let places: Vec<(f64, f64)> =
                counts.zip(values).map(|(count, value)| (x(count), y(value))).collect();
            let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" ")).unwrap();
            for (x, y) in places {
                writeln!(out, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")
                    .unwrap();
            }
        }
    }
}

/// A round step of which about five make the whole.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|by| by * power)
        .find(|step| rough <= *step)
        .unwrap_or(rough)
}
