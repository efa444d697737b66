//! The frame of a chart: its size, its axes and their names.

use super::escape::escape;
use super::scale::Scale;
use std::fmt::Write as _;

pub(crate) const WIDTH: f64 = 880.0;
pub(crate) const HEIGHT: f64 = 520.0;
pub(crate) const LEFT: f64 = 62.0;
pub(crate) const RIGHT: f64 = WIDTH - 16.0;
pub(crate) const TOP: f64 = 14.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 54.0;

/// Draws both axes with a grid at round values, and the names of the horizontal and the vertical one.
pub(crate) fn axes(svg: &mut String, x: &Scale, y: &Scale, (across, up): (&str, &str)) {
    for (value, text) in x.ticks(10) {
        let at = x.at(value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            BOTTOM + 17.0
        );
    }
    for (value, text) in y.ticks(8) {
        let at = y.at(value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 7.0,
            at + 4.0
        );
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>");
    let middle = (LEFT + RIGHT) / 2.0;
    let _ = writeln!(
        svg,
        "<text class=\"name\" x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        HEIGHT - 12.0,
        escape(across)
    );
    let middle = (TOP + BOTTOM) / 2.0;
    let _ = writeln!(
        svg,
        "<text class=\"name\" transform=\"translate(15 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escape(up)
    );
}
