//! The graph of the day: what was spent in each hour.

use super::amounts::usd;
use super::data::PageData;
use crate::money::Amount;
use maud::{Markup, html};

/// The size of the graph, and of its part for the bars.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 160;
const BARS: u64 = 130;

pub(super) fn day(data: &PageData) -> Markup {
    let most = data.hours.iter().map(|hour| hour.amount).max().unwrap_or(Amount::ZERO);
    let step = WIDTH / 24;
    html! {
        section aria-labelledby="day" {
            h2 id="day" { "Today by hour (UTC)" }
            @if most == Amount::ZERO { p { "Nothing was spent today." } }
            @else {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img" aria-labelledby="graph" {
                    title id="graph" { "What was spent in each hour of the day; the most in an hour is " (usd(most)) }
                    @for hour in data.hours.iter().filter(|hour| hour.amount > Amount::ZERO) {
                        @let height = height(hour.amount, most);
                        rect class="online" x=(u64::from(hour.hour) * step + 3) y=(BARS - height) width=(step - 6) height=(height) {
                            title { (clock(hour.hour)) ": " (usd(hour.amount)) ", " (hour.calls) " calls" }
                        }
                    }
                    line class="axis" x1="0" y1=(BARS) x2=(WIDTH) y2=(BARS) {}
                    @for hour in [0_u8, 6, 12, 18] {
                        text x=(u64::from(hour) * step + 3) y=(BARS + 18) { (clock(hour)) }
                    }
                }
                details {
                    summary { "As a table" }
                    table {
                        thead { tr {
                            th scope="col" { "Hour" } th.number scope="col" { "Calls" } th.number scope="col" { "Spent" }
                        } }
                        tbody { @for hour in data.hours.iter().filter(|hour| hour.calls > 0) { tr {
                            th scope="row" { (clock(hour.hour)) }
                            td.number { (hour.calls) }
                            td.number { (usd(hour.amount)) }
                        } } }
                    }
                }
            }
        }
    }
}

fn clock(hour: u8) -> String {
    format!("{hour:02}:00")
}

/// The height of a bar. What is not nothing is seen.
fn height(amount: Amount, most: Amount) -> u64 {
    let (amount, most) = (u128::from(amount.pico()), u128::from(most.pico()));
    let height = (amount * u128::from(BARS - 10)).checked_div(most).unwrap_or(0) as u64;
    if amount > 0 { height.max(2) } else { 0 }
}
