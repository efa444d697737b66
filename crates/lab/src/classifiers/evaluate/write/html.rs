//! A self-contained HTML page.

use super::super::{PoolEvaluation, PrivateResult, TaskEvaluation};
use super::chart::legend;
use super::listed;
use crate::evaluation::write::{cell, difference, escape, estimate, page};
use std::fmt::Write as _;

impl PoolEvaluation {
    /// The report as an HTML page, without scripts, external fonts or external images.
    #[must_use]
    pub fn to_html(&self) -> String {
        let about = format!("Bundle {}, digest {}. {}.", self.bundle, self.digest, self.date);
        let mut html = format!("<p>{}</p>\n", escape(&about));
        for sentence in self.summary_lines() {
            let _ = writeln!(html, "<p>{}.</p>", escape(&sentence));
        }
        for note in self.notes() {
            let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(&note));
        }
        for task in &self.tasks {
            task.section(&mut html);
        }
        page("A pool of classifiers", &html)
    }
}

impl TaskEvaluation {
    fn section(&self, html: &mut String) {
        let _ = writeln!(html, "<h2>{}</h2>\n<p>{}</p>", escape(&self.task), escape(&self.describe()));
        let caption = "The line of each curve goes through the methods that no cheaper one equals. The accuracy axis does not \
                       begin at 0. Move the pointer to a mark to see its numbers.";
        let _ = writeln!(html, "{}<figure>{}<figcaption>{caption}</figcaption></figure>", legend(), self.chart());
        self.table(html);
        if let Some(unanswered) = self.unanswered() {
            let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(&unanswered));
        }
        if let Some(private) = &self.private {
            under_mpc(private, html);
        }
    }

    fn table(&self, html: &mut String) {
        let metrics = self.metrics();
        let headings = metrics
            .iter()
            .flat_map(|metric| [metric.heading().to_owned(), format!("{} − last exit", metric.heading())]);
        let headings: Vec<String> = ["method".to_owned(), "layers".to_owned()].into_iter().chain(headings).collect();
        head(html, &headings);
        for method in &self.methods {
            let best = if method.own { " class=\"best\"" } else { "" };
            let _ = write!(html, "<tr{best}><th scope=\"row\">{}</th>", escape(&method.name()));
            let _ = write!(html, "<td>{}</td>", cell(&estimate(&method.layers)));
            for metric in &metrics {
                let less = method.difference.get(metric).map(difference).unwrap_or_default();
                let _ = write!(html, "<td>{}</td><td>{}</td>", cell(&estimate(&method.measure(*metric))), cell(&less));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table></div>\n");
    }
}

/// Begins a table with these headings.
fn head(html: &mut String, headings: &[String]) {
    html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for heading in headings {
        let _ = write!(html, "<th scope=\"col\">{heading}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
}

fn under_mpc(private: &PrivateResult, html: &mut String) {
    let headings = [
        "under MPC",
        "accuracy",
        "labels equal to the clear ones",
        "online, ms per text",
        "offline, ms per text",
        "total, ms per text",
        "openings per session",
        "servers, bytes per text",
        "client, bytes per text",
        "material, bytes per text",
    ];
    head(html, &headings.map(str::to_owned));
    for (way, method) in private.ways() {
        let took = &method.per_text;
        let _ = write!(html, "<tr><th scope=\"row\">{way}</th>");
        for share in [&method.accuracy, &method.equal_labels] {
            let _ = write!(html, "<td>{}</td>", cell(&estimate(share)));
        }
        for figure in [took.online_ms, took.offline_ms, took.total_ms, took.openings] {
            let _ = write!(html, "<td>{figure:.2}</td>");
        }
        for bytes in [took.server_bytes, took.client_bytes, took.material_bytes] {
            let _ = write!(html, "<td>{bytes:.0}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
    let note = format!("The first {} texts of the file. {}", private.texts, private.compared());
    let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(&note));
    for (way, method) in private.ways().into_iter().filter(|way| !way.1.unanswered_lines.is_empty()) {
        let _ = writeln!(html, "<p class=\"note\">{way}: without an answer {}</p>", listed(&method.unanswered_lines));
    }
}
