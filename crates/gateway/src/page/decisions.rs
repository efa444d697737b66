//! The last decisions: which model, why, and where the time went.

use crate::store::{Decision, Recorded, Why};
use maud::{Markup, html};

/// The width of the longest bar.
const WIDTH: u64 = 160;

pub(super) fn table(decisions: &[Recorded]) -> Markup {
    let longest = decisions.iter().map(|recorded| whole(&recorded.decision)).max().unwrap_or(0);
    html! {
        section aria-labelledby="decisions" {
            h2 id="decisions" { "Decisions" }
            @if decisions.is_empty() { p { "There are none yet." } }
            @else {
                (legend())
                div.wide tabindex="0" role="region" aria-label="Table of decisions" {
                    table {
                        thead { tr {
                            th scope="col" { "Time" }
                            th scope="col" { "Model" }
                            th scope="col" { "Why" }
                            th scope="col" { "Router" }
                            th scope="col" { "Where the time went" }
                            th.number scope="col" { "Altogether" }
                            th.number scope="col" { "Status" }
                        } }
                        tbody { @for recorded in decisions { (row(recorded, longest)) } }
                    }
                }
            }
        }
    }
}

fn row(recorded: &Recorded, longest: u64) -> Markup {
    let decision = &recorded.decision;
    html! { tr {
        td.short { (recorded.at) }
        th scope="row" { (decision.model) }
        td {
            (sentence(decision.why))
            @if let Some(previous) = decision.previous.as_ref().filter(|previous| **previous != decision.model) {
                " " span.soft { "before: " (previous) }
            }
        }
        td { (decision.router) " " span.soft { (decision.placement) } }
        td { (bar(decision, longest)) }
        td.number.short { (decision.total_ms) " ms" }
        td.number { span.(if decision.status < 400 { "good" } else { "bad" }) { (decision.status) } }
    } }
}

fn sentence(why: Why) -> &'static str {
    match why {
        Why::Routed => "Routed: a conversation began",
        Why::Pinned => "Pinned: the conversation could not change its model",
        Why::Kept => "Kept: a switch would not have paid",
        Why::Switched => "Switched: the saving is more than the lost cache",
        Why::Named => "Named by the caller",
        Why::Fallback => "Fallback: the model before it could not answer",
        Why::Default => "Default: routing failed",
    }
}

/// The parts of the time: their class, their name and their milliseconds.
fn parts(decision: &Decision) -> [(&'static str, &'static str, u64); 4] {
    let [waiting, online, upstream] = [decision.waited_ms, decision.online_ms, decision.upstream_ms].map(u64::from);
    let other = u64::from(decision.total_ms).saturating_sub(waiting + online + upstream);
    [
        ("waiting", "waiting", waiting),
        ("online", "MPC online", online),
        ("upstream", "provider", upstream),
        ("other", "other", other),
    ]
}

fn whole(decision: &Decision) -> u64 {
    parts(decision).iter().map(|(.., ms)| ms).sum()
}

/// The bars of all rows have one scale.
fn bar(decision: &Decision, longest: u64) -> Markup {
    let parts = parts(decision);
    let said = parts.map(|(_, name, ms)| format!("{name} {ms} ms")).join(", ");
    let edge = |ms: u64| ms * WIDTH / longest.max(1);
    let mut begin = 0;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " 14" } width=(WIDTH) height="14" role="img" aria-label=(said) {
            title { (said) }
            @for (class, _, ms) in parts {
                @let (from, to) = (edge(begin), edge(begin + ms));
                @if to > from { rect class=(class) x=(from) y="1" width=(to - from) height="12" {} }
                ({ begin += ms; "" })
            }
        }
    }
}

fn legend() -> Markup {
    let names =
        [("waiting", "waiting for a session"), ("online", "MPC online"), ("upstream", "provider"), ("other", "other")];
    html! {
        ul.legend { @for (class, name) in names {
            li { svg width="12" height="12" aria-hidden="true" { rect class=(class) width="12" height="12" {} } (name) }
        } }
    }
}
