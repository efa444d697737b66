//! The second page, which asks before the record is deleted.

use super::frame;
use crate::guard::Forms;
use maud::{Markup, html};

/// The page with the question. Its form is sent to `/forget`, with the token that [`Forms::check`] looks for.
#[must_use]
pub fn forget(forms: &Forms) -> Markup {
    let content = html! {
        section aria-labelledby="question" {
            h2 id="question" { "Delete the record of decisions and spending?" }
            p { "All decisions, sums and graphs are deleted. That cannot be undone." }
            p { "What the current budgets have spent still counts: to forget does not raise a budget." }
            form method="post" action="/forget" {
                input type="hidden" name=(crate::guard::FORM_FIELD) value=(forms.token());
                p { button type="submit" { "Delete the record" } }
            }
            p { a href="/" { "Keep it, and go back" } }
        }
    };
    frame::page("Forget", &content)
}
