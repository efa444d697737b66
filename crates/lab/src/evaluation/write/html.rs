//! A self-contained HTML page, without scripts, external fonts or external images.

use super::super::{Evaluation, Group, Measure, Measures, Task};
use super::chart::View;
use super::escape::escape;
use super::page::page;
use super::{difference, number, percent};
use std::fmt::Write as _;

impl Evaluation {
    /// The report as an HTML page.
    pub fn to_html(&self) -> String {
        let about = &self.about;
        let mut html = String::new();
        let date = about.date.as_ref().map(|date| format!(" {date}.")).unwrap_or_default();
        let _ = writeln!(
            html,
            "<p>{} prompts, {} models.{} Score: the mean outcome, 0 to 1. Cost: {}.</p>",
            self.prompts,
            self.singles.len(),
            escape(&date),
            escape(&self.cost_meaning())
        );
        let source = about.source.iter().map(|source| format!("Data and licence: {source}"));
        for note in source.chain(about.notes.iter().cloned()) {
            let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(&note));
        }
        self.charts(&mut html);
        self.measures(&mut html);
        self.compared(&mut html);
        self.by_task(&mut html);
        self.pool(&mut html);
        self.explained(&mut html);
        page(&format!("Routing on {}, {} split", about.data, about.split), &html)
    }

    fn charts(&self, html: &mut String) {
        html.push_str("<h2>Deferral curves</h2>\n");
        html.push_str(&self.legend());
        let caption = "Each point is one weight of cost λ. Points that another point beats are left out. Thin lines are the \
                       flat ends that AUDC includes. The score axis does not begin at 0. Move the pointer to a mark to see its \
                       numbers.";
        let _ = writeln!(html, "<figure>{}<figcaption>{caption}</figcaption></figure>", self.chart(View::Close));
        let caption = "The same curves with the oracle, which knows the outcomes, and with each single model.";
        let _ = writeln!(html, "<figure>{}<figcaption>{caption}</figcaption></figure>", self.chart(View::Whole));
    }

    fn measures(&self, html: &mut String) {
        html.push_str("<h2>Measures</h2>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">method</th>");
        for measure in Measure::ALL {
            let _ = write!(html, "<th scope=\"col\">{}</th>", measure.heading());
        }
        html.push_str("</tr></thead>\n");
        for group in Group::ALL {
            if self.group(group).next().is_none() {
                continue;
            }
            let columns = Measure::ALL.len() + 1;
            let _ = writeln!(
                html,
                "<tbody>\n<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{columns}\">{group}</th></tr>"
            );
            for (index, row) in self.group(group) {
                let best = if self.best_private == Some(index) { " class=\"best\"" } else { "" };
                let seeds = if row.seeds > 1 { format!(" ({} seeds)", row.seeds) } else { String::new() };
                let _ = write!(html, "<tr{best}><th scope=\"row\">{}{seeds}</th>", escape(&row.name));
                for measure in Measure::ALL {
                    let _ = write!(html, "<td>{}</td>", cell(&self.measured(row, measure)));
                }
                html.push_str("</tr>\n");
            }
            html.push_str("</tbody>\n");
        }
        let _ = writeln!(
            html,
            "</table></div>\n<p class=\"note\">{}</p>",
            self.interval_note("In brackets:", "– means unbounded")
        );
        let best = self.best_private.map(|_| "Bold: the private router with the largest hull area here.");
        for note in self.mark_note().into_iter().chain(best) {
            let _ = writeln!(html, "<p class=\"note\">{note}</p>");
        }
    }

    fn compared(&self, html: &mut String) {
        if self.differences.is_empty() {
            return;
        }
        html.push_str("<h2>Differences on the same prompts</h2>\n<div class=\"wide\"><table>\n<thead><tr>");
        for (heading, class) in [
            ("router", "text"),
            ("minus", "text"),
            ("AUDC", "number"),
            ("peak", "number"),
            ("hull area", "number"),
            ("same choices", "number"),
        ] {
            let _ = write!(html, "<th scope=\"col\" class=\"{class}\">{heading}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for found in &self.differences {
            let best = if self.best_private == Some(found.of) { " class=\"best\"" } else { "" };
            let name = |row: usize| escape(&format!("{} ({})", self.rows[row].name, self.rows[row].group));
            let _ = write!(
                html,
                "<tr{best}><th scope=\"row\">{}</th><td class=\"text\">{}</td>",
                name(found.of),
                name(found.from)
            );
            for measure in [&found.measures.audc, &found.measures.peak, &found.measures.hull_area] {
                let _ = write!(html, "<td>{}</td>", cell(&difference(measure)));
            }
            let _ = writeln!(html, "<td>{}</td></tr>", found.same_choices.map(percent).unwrap_or_default());
        }
        html.push_str(
            "</tbody>\n</table></div>\n<p class=\"note\">Same choices: the share of prompts for which both routers choose the \
             same model, at the default weight of cost of the second. If an interval does not include 0, other prompts of this kind would \
             rarely reverse the difference. The best of several routers on these prompts looks better than it is.</p>\n",
        );
    }

    fn by_task(&self, html: &mut String) {
        if self.tasks.is_empty() {
            return;
        }
        html.push_str("<h2>By task</h2>\n");
        self.task_table(html, Measure::Audc);
        self.task_table(html, Measure::Peak);
        html.push_str(
            "<p class=\"note\">Measured on the prompts of one task, with the best single model and the hull of that task. Results on few prompts are uncertain.</p>\n",
        );
    }

    fn task_table(&self, html: &mut String, measure: Measure) {
        let columns: Vec<usize> = (0..self.rows.len()).filter(|row| !self.rows[*row].one_point).collect();
        let _ = write!(
            html,
            "<div class=\"wide\"><table>\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">task</th><th scope=\"col\">prompts</th>\
             <th scope=\"col\">best single</th>",
            measure.heading()
        );
        for row in &columns {
            let row = &self.rows[*row];
            let group = if row.group == Group::Baseline { String::new() } else { format!(" ({})", row.group) };
            let _ = write!(html, "<th scope=\"col\">{}{group}</th>", escape(&row.name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for task in &self.tasks {
            let Task { name, prompts, best_single, measures } = task;
            let _ = write!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{prompts}</td><td>{:.4}<small>{}</small></td>",
                escape(name),
                best_single.point.score,
                escape(&best_single.model)
            );
            for row in &columns {
                let _ = write!(html, "<td>{}</td>", number(*Measures::get(&measures[*row], measure)));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table></div>\n");
    }

    fn pool(&self, html: &mut String) {
        html.push_str(
            "<h2>Models alone</h2>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">model</th><th scope=\"col\">score</th>\
             <th scope=\"col\">cost</th></tr></thead>\n<tbody>\n",
        );
        let mut order: Vec<usize> = (0..self.singles.len()).collect();
        order.sort_by(|a, b| self.singles[*b].point.score.total_cmp(&self.singles[*a].point.score));
        for model in order {
            let single = &self.singles[model];
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{:.4}</td><td>{:.4}</td></tr>",
                escape(&single.model),
                single.point.score,
                single.point.cost
            );
        }
        html.push_str("</tbody>\n</table></div>\n");
    }

    fn explained(&self, html: &mut String) {
        html.push_str("<h2>What the measures mean</h2>\n<dl>\n");
        for measure in Measure::ALL {
            let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", measure.heading(), escape(measure.meaning()));
        }
        let others = [
            (
                "prompt-blind hull",
                "The best random mixtures of single models, without seeing the prompt (ZeroRouter). They are chosen with the \
                 mean scores on these prompts, and on each resample with the means of that resample. The curve is the line through \
                 the corners of the hull.",
            ),
            ("oracle", "For each prompt the model with the largest actual score − λ·cost. No router can be better."),
            (
                "best single, cheapest, random",
                "A single point without a weight of cost. There is no curve, so there is no area (with flat ends it would equal \
                 the score). The best single model is the best one on these prompts, and the same in each resample.",
            ),
            (
                "intervals and ±",
                "The middle 95 % of a paired bootstrap over prompts: every method sees the same resamples. Routers are not \
                 trained again. ± is the sample standard deviation over seeds. The numbers are then means over the seeds, also on \
                 each resample.",
            ),
        ];
        for (what, meaning) in others {
            let _ = writeln!(html, "<dt>{what}</dt><dd>{}</dd>", escape(meaning));
        }
        html.push_str("</dl>\n");
    }
}

/// A table cell with a number, and its interval on the line below.
pub(crate) fn cell(text: &str) -> String {
    match text.split_once(" [") {
        Some((value, interval)) => format!("{value}<small>[{interval}</small>"),
        None => text.to_owned(),
    }
}
