//! What all figures have in common: one height, a scale from zero with round steps, two colours. Their grey is readable
//! on white and on black.

use std::fmt::Write as _;

/// The top and the bottom of what is drawn.
pub(crate) const TOP: f64 = 50.0;
pub(crate) const BOTTOM: f64 = 250.0;

/// The colours of what is compared.
pub(crate) const BLUE: &str = "#2f80d0";
pub(crate) const ORANGE: &str = "#c8700a";

const STYLE: &str = "text { font: 12px system-ui, sans-serif; fill: #767676 }\
    .name { font-weight: 600 }\
    .grid { stroke: #767676; stroke-opacity: 0.25 }";

/// Makes a figure of what was drawn: so wide, with a sentence for who cannot see it and a style of its own.
pub(crate) fn figure(width: f64, sentence: &str, style: &str, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} 300\" role=\"img\" \
         aria-label=\"{sentence}\"><style>{STYLE}{style}</style>\n{body}</svg>\n"
    )
}

/// Where values stand between top and bottom.
pub(crate) struct Scale {
    most: f64,
    step: f64,
}

impl Scale {
    /// Makes a scale that ends with the first step at or above the largest value.
    pub(crate) fn new(most: f64) -> Self {
        let step = step(most);
        Self { most: (most / step).ceil() * step, step }
    }

    /// Returns how low a value stands.
    pub(crate) fn y(&self, value: f64) -> f64 {
        BOTTOM - value / self.most * (BOTTOM - TOP)
    }

    /// Draws a line and a number for each step.
    pub(crate) fn draw(&self, out: &mut String, left: f64, width: f64) {
        let decimals = self.step.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
        let mut value = 0.0;
        while value <= self.most + self.step / 2.0 {
            let (at, right) = (self.y(value), left + width);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.decimals$}</text>",
                left - 10.0,
                at + 4.0
            )
            .unwrap();
            value += self.step;
        }
    }
}

/// Writes something below the scale.
pub(crate) fn below(out: &mut String, class: &str, x: f64, by: f64, text: &str) {
    writeln!(
        out,
        "<text{class} x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
        BOTTOM + by
    )
    .unwrap();
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
