//! The page for people at `/`: what was spent and saved, which model answered and why, how the routing stands, and who saw what.
//!
//! Plain HTML without scripts and without anything from elsewhere, under a policy that forbids both. [`render`] makes it from a
//! [`PageData`]; nothing here asks anything else. The second page, [`forget`], asks before the record is deleted.

mod amounts;
mod chart;
mod data;
mod decisions;
mod forget;
mod frame;
mod sections;
mod style;
#[cfg(test)]
mod tests;

pub use data::{Budget, BundleInUse, Certificate, Health, PageData, Party, Ready, Sums};
pub use forget::forget;
pub use frame::response;

use maud::{Markup, html};

/// The page.
#[must_use]
pub fn render(data: &PageData) -> Markup {
    let content = html! {
        p { "As of " (data.now) ". The gateway has run since " (data.started) ". " a href="/" { "Reload" } }
        (sections::money(data))
        (chart::day(data))
        (decisions::table(&data.decisions))
        (sections::routing(data))
        (sections::seen(data))
        section aria-labelledby="forget" {
            h2 id="forget" { "The record" }
            p { "It has numbers and names of models, and never a prompt or an answer. It stays on this machine." }
            p { a href="/forget" { "Forget…" } }
        }
    };
    frame::page("blindroute gateway", &content)
}
