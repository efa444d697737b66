//! Money, routing, and who saw what.

use super::amounts::{difference, per_cent, usd};
use super::data::{BundleInUse, Certificate, Health, PageData, Party, Ready};
use crate::clock::Moment;
use maud::{Markup, html};

/// The days before its end in which a certificate is marked.
const SOON_DAYS: u32 = 30;

/// The milliseconds of a day.
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

pub(super) fn money(data: &PageData) -> Markup {
    html! {
        section aria-labelledby="money" {
            h2 id="money" { "Spending and savings" }
            div.wide tabindex="0" role="region" aria-label="Table of spending and savings" {
                table {
                    caption {
                        @match &data.reference {
                            Some(model) => { "Saved against calling " (model) " always, with the cost of lost prompt caches" }
                            None => { "No reference_model is configured, so nothing is compared" }
                        }
                    }
                    thead { tr {
                        th scope="col" { "Period" }
                        th.number scope="col" { "Calls" }
                        th.number scope="col" { "Spent" }
                        th.number scope="col" { "Saved" }
                        th.number scope="col" { "Calls not compared" }
                    } }
                    tbody { @for sums in &data.sums { tr {
                        th scope="row" { (sums.period) }
                        td.number { (sums.spent.calls) }
                        td.number { (usd(sums.spent.amount)) }
                        td.number {
                            @if sums.saved.compared == 0 { "–" }
                            @else {
                                span.(if sums.saved.saved_pico < 0 { "bad" } else { "good" }) {
                                    (difference(sums.saved.saved_pico))
                                }
                            }
                        }
                        td.number { (sums.saved.not_compared.calls) }
                    } } }
                }
            }
            (budgets(data))
        }
    }
}

fn budgets(data: &PageData) -> Markup {
    html! {
        h2 { "Budgets" }
        @if let Some(limit) = data.session_budget { p { "Each conversation: at most " (usd(limit)) " in a month." } }
        @if data.budgets.is_empty() && data.session_budget.is_none() { p { "There is no budget. Set one under [budget] in the configuration." } }
        @else { dl { @for budget in &data.budgets {
            @let used = per_cent(budget.spent, budget.limit);
            dt { (budget.period) }
            dd {
                progress max="100" value=(used) aria-label={ (budget.period) ": part of the budget that is used" } { (used) " %" }
                " " (usd(budget.limit.minus(budget.spent))) " left of " (usd(budget.limit))
                @if budget.spent >= budget.limit { " " span.bad { "Used up: calls are refused" } }
            }
        } } }
    }
}

pub(super) fn routing(data: &PageData) -> Markup {
    html! {
        section aria-labelledby="routing" {
            h2 id="routing" { "Private routing" }
            dl {
                dt { "Placement" } dd { (data.placement) }
                dt { "Bundle" } dd { (bundle(data.bundle.as_ref())) }
            }
            (ready(&data.ready))
            (parties(&data.parties, data.now))
            (certificates(&data.certificates, data.now))
        }
    }
}

fn bundle(bundle: Option<&BundleInUse>) -> Markup {
    html! {
        @match bundle {
            Some(bundle) => { (bundle.name) ", digest " code { (bundle.digest) } }
            None => { "none is loaded" }
        }
    }
}

fn ready(pool: &[Ready]) -> Markup {
    html! {
        @if pool.is_empty() { p { "No sessions are kept ready." } }
        @else { table {
            caption { "Sessions kept ready" }
            thead { tr {
                th scope="col" { "Prompts" } th.number scope="col" { "Ready" } th.number scope="col" { "Wanted" }
            } }
            tbody { @for row in pool { tr {
                th scope="row" { (row.name) }
                td.number { span.(if row.ready == 0 && row.wanted > 0 { "bad" } else { "good" }) { (row.ready) } }
                td.number { (row.wanted) }
            } } }
        } }
    }
}

fn parties(parties: &[Party], now: Moment) -> Markup {
    html! {
        @if parties.is_empty() { p { "No server takes part: the router runs on this machine." } }
        @else { div.wide tabindex="0" role="region" aria-label="Table of parties" { table {
            caption { "Servers and dealer" }
            thead { tr {
                th scope="col" { "Party" } th scope="col" { "Address" } th scope="col" { "Health" }
                th scope="col" { "Certificate ends" }
            } }
            tbody { @for party in parties { tr {
                th scope="row" { (party.name) }
                td { code { (party.address) } }
                td { (health(&party.health)) }
                td { (certificate(party.certificate, now)) }
            } } }
        } } }
    }
}

fn health(health: &Health) -> Markup {
    html! {
        @match health {
            Health::Answers { ms } => { span.good { "answers" } " in " (ms) " ms" }
            Health::Silent { reason } => { span.bad { "does not answer" } ": " (reason) }
            Health::Answered { at } => { span.good { "answered" } " at " span.short { (at) } }
            Health::NotAsked => { span.soft { "not asked yet" } }
        }
    }
}

fn certificates(certificates: &[Certificate], now: Moment) -> Markup {
    html! {
        @if !certificates.is_empty() { table {
            caption { "Certificates here, with which servers are called" }
            thead { tr {
                th scope="col" { "Whose" } th.number scope="col" { "Days left" } th scope="col" { "Ends" }
            } }
            tbody { @for of in certificates { tr {
                th scope="row" { (of.name) }
                td.number { (of.ends.millis().saturating_sub(now.millis()).max(0) / DAY_MILLIS) }
                td { (certificate(Some(of.ends), now)) }
            } } }
        } }
    }
}

fn certificate(ends: Option<Moment>, now: Moment) -> Markup {
    html! {
        @match ends {
            None => { "has none" }
            Some(ends) => {
                span.short { (ends) }
                @if ends <= now { " " span.bad { "Has ended: make a new one" } }
                @else if ends.days_before(SOON_DAYS) <= now { " " span.bad { "Ends soon: make a new one" } }
            }
        }
    }
}

pub(super) fn seen(data: &PageData) -> Markup {
    html! {
        section aria-labelledby="seen" {
            h2 id="seen" { "Who saw what" }
            @match &data.seen {
                Some(seen) => { ul { @for part in seen.split("; ") { li { (part) } } } }
                None => { p { "Nothing was routed yet." } }
            }
            p { "The provider of the chosen model sees the prompt that it answers." }
        }
    }
}
