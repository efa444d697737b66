//! Deferral curves as SVG.

use super::super::{Evaluation, Group, HULL, ORACLE, Point, Row, hull, pareto};
use super::axes::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes};
use super::escape::escape;
use super::labels::{Dot, LONGEST, place};
use super::scale::Scale;
use super::table::shortened;
use std::fmt::Write as _;

/// The smallest distance between markers of a curve. Points without a marker still have a tooltip.
const APART: f64 = 22.0;
/// In larger pools than this, the chart names only the models on the hull.
const NAMED: usize = 24;
/// The number of colours and markers in the style sheet and in [`marker`].
pub(super) const STYLES: usize = 8;

/// The part of the score axis that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The range of the routers and the hull.
    Close,
    /// The range with the oracle and every single model.
    Whole,
}

impl Evaluation {
    /// A chart of the curves.
    pub(super) fn chart(&self, view: View) -> String {
        let rows = || self.rows.iter().filter(move |row| !row.one_point && (view == View::Whole || row.name != ORACLE));
        let mut shown: Vec<Point> = rows().flat_map(|row| pareto(&of(row))).collect();
        if view == View::Whole || shown.is_empty() {
            shown.extend(self.singles.iter().map(|single| single.point));
        }
        let extreme = |start: f64, pick: fn(f64, f64) -> f64| shown.iter().map(|point| point.score).fold(start, pick);
        let (low, high) = (extreme(f64::INFINITY, f64::min), extreme(f64::NEG_INFINITY, f64::max));
        let margin = (high - low) * 0.06;
        let largest = shown.iter().map(|point| point.cost).fold(1.0, f64::max);
        let x = Scale::new(0.0, largest, (LEFT, RIGHT));
        let y = Scale::new((low - margin).max(0.0), high + margin, (BOTTOM, TOP));

        let what = match view {
            View::Close => "Deferral curves of the routers",
            View::Whole => "Deferral curves with the oracle and all single models",
        };
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{what}\">\n");
        axes(&mut svg, &x, &y, (self.cost_axis(), "mean score (0 to 1)"));
        let mut lines = Vec::new();
        // The most important curves are drawn last, on top.
        let drawn = [Group::Baseline, Group::Original, Group::Private];
        for row in drawn.into_iter().flat_map(|group| rows().filter(move |row| row.group == group)) {
            self.curve(&mut svg, row, &x, &y);
            let corner = |point: &Point| (x.at(point.cost), y.at(point.score));
            let corners: Vec<(f64, f64)> = pareto(&of(row)).iter().map(corner).collect();
            corners.windows(2).for_each(|pair| lines.extend(between(pair[0], pair[1])));
        }
        self.models(&mut svg, &x, &y, &lines);
        svg.push_str("</svg>\n");
        svg
    }

    fn curve(&self, svg: &mut String, row: &Row, x: &Scale, y: &Scale) {
        let kept = pareto(&of(row));
        let (Some(first), Some(last)) = (kept.first(), kept.last()) else { return };
        let place = |point: &Point| (x.at(point.cost), y.at(point.score));
        let style = self.style(row);
        let _ = writeln!(svg, "<g class=\"{}\">", style.class);
        let ends = (place(first), place(last));
        let _ = writeln!(svg, "<path class=\"flat\" d=\"M{LEFT} {:.1}H{:.1}\"/>", ends.0.1, ends.0.0);
        let _ = writeln!(
            svg,
            "<path class=\"flat\" d=\"M{:.1} {:.1}H{:.1}\"/>",
            ends.1.0,
            ends.1.1,
            x.at(1.0).max(ends.1.0)
        );
        let corners: Vec<String> = kept.iter().map(&place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(svg, "<path class=\"line\" d=\"M{}\"/>", corners.join("L"));
        let mut drawn: Option<(f64, f64)> = None;
        for point in &kept {
            let at = place(point);
            let lambda = row.points.iter().find(|other| other.point == *point).and_then(|other| other.lambda);
            let lambda = lambda.map(|lambda| format!(", λ {lambda:.4}")).unwrap_or_default();
            let title =
                format!("{} ({}){lambda}: score {:.4}, cost {:.4}", row.name, row.group, point.score, point.cost);
            let _ = write!(svg, "<g class=\"point\"><title>{}</title>", escape(&title));
            let _ = write!(svg, "<circle class=\"touch\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"7\"/>", at.0, at.1);
            if drawn.is_none_or(|(x, y)| (at.0 - x).hypot(at.1 - y) >= APART) {
                svg.push_str(&style.marker.map(|shape| marker(shape, at)).unwrap_or_default());
                drawn = Some(at);
            }
            svg.push_str("</g>\n");
        }
        if let Some(default) = &row.default {
            let at = place(&default.point);
            let title = format!(
                "{} ({}) at its default λ {:.4}: score {:.4}, cost {:.4}",
                row.name,
                row.group,
                default.lambda.unwrap_or_default(),
                default.point.score,
                default.point.cost
            );
            let _ = writeln!(
                svg,
                "<circle class=\"ring\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"8.5\"><title>{}</title></circle>",
                at.0,
                at.1,
                escape(&title)
            );
        }
        svg.push_str("</g>\n");
    }

    /// The single models and the random model, with names that avoid the points of `lines`.
    fn models(&self, svg: &mut String, x: &Scale, y: &Scale, lines: &[(f64, f64)]) {
        let points: Vec<Point> = self.singles.iter().map(|single| single.point).collect();
        let corners = hull(&points);
        let random = self.rows.iter().filter(|row| row.one_point && row.name == "random");
        let random = random.filter_map(|row| Some(("a random model", row.points.first()?.point, true)));
        let named = |point: &Point| self.singles.len() <= NAMED || corners.contains(point);
        let singles = self.singles.iter().map(|single| (single.model.as_str(), single.point, named(&single.point)));
        let visible: Vec<(&str, Point, bool)> =
            singles.chain(random).filter(|(_, point, _)| y.holds(point.score) && x.holds(point.cost)).collect();
        let dot = |(name, point, named): &(&str, Point, bool)| Dot {
            x: x.at(point.cost),
            y: y.at(point.score),
            name: if *named { (*name).to_owned() } else { String::new() },
        };
        let dots: Vec<Dot> = visible.iter().map(dot).collect();
        let labels = place(&dots, lines, (LEFT + 2.0, RIGHT, TOP, BOTTOM - 2.0));
        svg.push_str("<g class=\"models\">\n");
        for ((dot, label), (name, point, _)) in dots.iter().zip(&labels).zip(&visible) {
            let title = escape(&format!("{name}: score {:.4}, cost {:.4}", point.score, point.cost));
            if let Some(label) = label.as_ref().filter(|label| label.far) {
                let end =
                    if label.x > dot.x { label.x - 1.0 } else { label.x + label.text.chars().count() as f64 * 6.4 };
                let _ =
                    writeln!(svg, "<path class=\"lead\" d=\"M{:.1} {:.1}L{end:.1} {:.1}\"/>", dot.x, dot.y, label.y);
            }
            let _ = writeln!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{title}</title></circle>",
                dot.x, dot.y
            );
            if let Some(label) = label {
                let _ = writeln!(
                    svg,
                    "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    label.x,
                    label.y + 4.0,
                    escape(&label.text)
                );
            }
        }
        svg.push_str("</g>\n");
    }

    /// The style of a curve: colour and marker by name, dashes and filling by group.
    fn style(&self, row: &Row) -> Style {
        if row.name == HULL || row.name == ORACLE {
            return Style {
                class: if row.name == HULL { "curve hull" } else { "curve oracle" }.to_owned(),
                marker: None,
            };
        }
        let mut names: Vec<&str> = Vec::new();
        for other in self.rows.iter().filter(|other| !other.one_point && other.name != HULL && other.name != ORACLE) {
            if !names.contains(&other.name.as_str()) {
                names.push(&other.name);
            }
        }
        let index = names.iter().position(|name| *name == row.name).unwrap_or_default() % STYLES;
        Style { class: format!("curve s{index} {}", row.group), marker: Some(index) }
    }

    /// The legend of the curves.
    pub(super) fn legend(&self) -> String {
        let mut html = String::from("<ul class=\"legend\">\n");
        let mut entry = |inside: &str, text: &str| {
            let _ = writeln!(
                html,
                "<li><svg viewBox=\"0 0 46 16\" width=\"46\" height=\"16\" aria-hidden=\"true\">{inside}</svg>{}</li>",
                escape(text)
            );
        };
        for row in self.rows.iter().filter(|row| !row.one_point) {
            let style = self.style(row);
            let marker = style.marker.map(|shape| marker(shape, (23.0, 8.0))).unwrap_or_default();
            let inside = format!("<g class=\"{}\"><path class=\"line\" d=\"M2 8H44\"/>{marker}</g>", style.class);
            let group = if row.group == Group::Baseline { String::new() } else { format!(" ({})", row.group) };
            entry(&inside, &format!("{}{group}", shortened(&row.name, LONGEST)));
        }
        entry(
            "<g class=\"models\"><circle class=\"dot\" cx=\"23\" cy=\"8\" r=\"3.5\"/></g>",
            "one model for every prompt",
        );
        if self.rows.iter().any(|row| row.default.is_some()) {
            entry(
                "<g class=\"curve\"><circle class=\"ring\" cx=\"23\" cy=\"8\" r=\"6.5\"/></g>",
                "at a router's default λ",
            );
        }
        html.push_str("</ul>\n");
        html
    }
}

struct Style {
    class: String,
    marker: Option<usize>,
}

fn of(row: &Row) -> Vec<Point> {
    row.points.iter().map(|point| point.point).collect()
}

/// Points along a straight line, a few units apart.
fn between(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = (f64, f64)> {
    let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 4.0).ceil().max(1.0);
    (0..=steps as u32).map(move |step| {
        let part = f64::from(step) / steps;
        (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1))
    })
}

/// A marker with one of [`STYLES`] shapes.
pub(crate) fn marker(shape: usize, (x, y): (f64, f64)) -> String {
    let polygon = |corners: &[(f64, f64)]| {
        let corners: Vec<String> = corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!("<polygon class=\"marker\" points=\"{}\"/>", corners.join(" "))
    };
    match shape % STYLES {
        0 => format!("<circle class=\"marker\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"),
        1 => polygon(&[(-3.7, -3.7), (3.7, -3.7), (3.7, 3.7), (-3.7, 3.7)]),
        2 => polygon(&[(0.0, -4.8), (4.5, 3.5), (-4.5, 3.5)]),
        3 => polygon(&[(0.0, -5.2), (5.2, 0.0), (0.0, 5.2), (-5.2, 0.0)]),
        4 => polygon(&[(0.0, 4.8), (4.5, -3.5), (-4.5, -3.5)]),
        5 => polygon(&[(-5.2, -2.0), (5.2, -2.0), (5.2, 2.0), (-5.2, 2.0)]),
        6 => polygon(&[(-2.0, -5.2), (2.0, -5.2), (2.0, 5.2), (-2.0, 5.2)]),
        _ => polygon(&[(-4.6, 0.0), (-2.3, -4.0), (2.3, -4.0), (4.6, 0.0), (2.3, 4.0), (-2.3, 4.0)]),
    }
}
