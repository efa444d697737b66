//! Accuracy against layers as SVG.

use super::super::{Kind, MethodResult, Metric, TaskEvaluation};
use crate::evaluation::write::{BOTTOM, HEIGHT, LEFT, RIGHT, Scale, TOP, WIDTH, axes, escape, marker};
use std::fmt::Write as _;

/// The curves: which methods, their style, marker and name. The last is drawn on top.
const CURVES: [(Kind, &str, usize, &str); 3] = [
    (Kind::Exit, "curve s7 original", 1, "all texts at one exit"),
    (Kind::Random, "curve s1 baseline", 2, "random texts go on"),
    (Kind::Routing, "curve s0", 0, "routing by predicted gain"),
];

/// A method with its layers and accuracy.
type Placed<'a> = (&'a MethodResult, f64, f64);

impl TaskEvaluation {
    /// The chart of a task. The line of each curve goes through the methods that no cheaper one equals.
    pub(super) fn chart(&self) -> String {
        let place = |method: &'_ MethodResult| Some((method.layers.value?, method.measure(Metric::Accuracy).value?));
        let all: Vec<Placed<'_>> =
            self.methods.iter().filter_map(|method| place(method).map(|(x, y)| (method, x, y))).collect();
        let ends = |of: fn(&Placed<'_>) -> f64| {
            let low = all.iter().map(of).fold(f64::INFINITY, f64::min);
            (low, all.iter().map(of).fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (low, high)) = (ends(|placed| placed.1), ends(|placed| placed.2));
        let margin = ((high - low) * 0.06).max(0.002);
        let x = Scale::new(left - (right - left) * 0.03, right + (right - left) * 0.03, (LEFT, RIGHT));
        let y = Scale::new(low - margin, high + margin, (BOTTOM, TOP));
        let what = escape(&format!("Accuracy against layers per text, task {}", self.task));
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{what}\">\n");
        axes(&mut svg, &x, &y, ("layers per text, in the mean", "accuracy"));
        for (kind, class, shape, _) in CURVES {
            let mut curve: Vec<&Placed<'_>> = all.iter().filter(|placed| placed.0.kind == kind).collect();
            curve.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)));
            let _ = writeln!(svg, "<g class=\"{class}\">");
            let better = |best: &mut f64, placed: &&Placed<'_>| {
                let is = placed.2 > *best;
                *best = best.max(placed.2);
                Some(is.then(|| format!("{:.1} {:.1}", x.at(placed.1), y.at(placed.2))))
            };
            let corners: Vec<String> = curve.iter().scan(f64::NEG_INFINITY, better).flatten().collect();
            let _ = writeln!(svg, "<path class=\"line\" d=\"M{}\"/>", corners.join("L"));
            curve.iter().for_each(|placed| point(&mut svg, placed, (x.at(placed.1), y.at(placed.2)), shape));
            svg.push_str("</g>\n");
        }
        for placed in all.iter().filter(|placed| placed.0.kind == Kind::Oracle) {
            svg.push_str("<g class=\"curve s3\">\n");
            point(&mut svg, placed, (x.at(placed.1), y.at(placed.2)), 3);
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A method's marker with its numbers, and a ring if its capacities are the task's own.
fn point(svg: &mut String, (method, layers, accuracy): &Placed<'_>, at: (f64, f64), shape: usize) {
    let title = escape(&format!("{}: {layers:.2} layers, accuracy {accuracy:.4}", method.name()));
    let _ = write!(svg, "<g class=\"point\"><title>{title}</title>");
    let _ = write!(svg, "<circle class=\"touch\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"7\"/>{}", at.0, at.1, marker(shape, at));
    if method.own && method.kind == Kind::Routing {
        let _ = write!(svg, "<circle class=\"ring\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"8.5\"/>", at.0, at.1);
    }
    svg.push_str("</g>\n");
}

/// The legend of all charts.
pub(super) fn legend() -> String {
    let mut html = String::from("<ul class=\"legend\">\n");
    let mut entry = |class: &str, inside: &str, text: &str| {
        let _ = writeln!(
            html,
            "<li><svg viewBox=\"0 0 46 16\" width=\"46\" height=\"16\" aria-hidden=\"true\"><g class=\"{class}\">{inside}</g>\
             </svg>{text}</li>"
        );
    };
    for (_, class, shape, name) in CURVES {
        entry(class, &format!("<path class=\"line\" d=\"M2 8H44\"/>{}", marker(shape, (23.0, 8.0))), name);
    }
    entry("curve s3", &marker(3, (23.0, 8.0)), "oracle");
    entry("curve s0", "<circle class=\"ring\" cx=\"23\" cy=\"8\" r=\"6.5\"/>", "the task's own capacities");
    html.push_str("</ul>\n");
    html
}
