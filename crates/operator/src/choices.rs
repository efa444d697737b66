//! `choices`: the counts of chosen models that were revealed so far.

use blindroute_console::date::minute;
use blindroute_console::files::print;
use blindroute_console::terminal::plain_line;
use blindroute_runtime::choices::{Choices, Revealed};
use blindroute_runtime::config::{Configuration, ServerConfig};
use clap::Args;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::path::PathBuf;

/// Say how often each model was chosen, as far as clients report it.
///
/// The two servers add up what clients report that have `report_choices = true`, and reveal only sums of many reports: see `[choices]` in
/// the configuration of a server. The server may be running. The other operator's server shows the same.
#[derive(Debug, Args)]
pub struct ChoicesArgs {
    /// Configuration of the server (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the counts.
///
/// # Errors
/// The configuration or the counts cannot be read.
pub fn run(args: &ChoicesArgs) -> anyhow::Result<()> {
    let config = ServerConfig::load(&args.config)?.config;
    let revealed = Choices::read_revealed(&config.choices_folder())?;
    if args.json {
        return print(&serde_json::json!({ "batches": revealed }).to_string());
    }
    if revealed.is_empty() {
        let why = match config.choices {
            None => "this server counts no choices: set a table [choices] in the configurations of both servers",
            Some(_) => "no counts are revealed so far: there are too few reports, or they are added up still",
        };
        eprintln!("{why}");
        return Ok(());
    }
    print(&revealed.iter().map(table).collect::<Vec<_>>().join("\n\n"))
}

/// The counts of one batch, the most frequent model first.
fn table(batch: &Revealed) -> String {
    let Revealed { deployment, began, revealed, reports, models, counts, .. } = batch;
    let mut rows: Vec<(Cow<'_, str>, u64)> =
        models.iter().map(|model| plain_line(model)).zip(counts.iter().copied()).collect();
    rows.sort_by_key(|(_, count)| Reverse(*count));
    let width = rows.iter().map(|(model, _)| model.chars().count()).max().unwrap_or_default();
    let share = |count: u64| 100.0 * count as f64 / (*reports).max(1) as f64;
    let row = |(model, count): (Cow<'_, str>, u64)| format!("  {model:width$}  {count:>6}  {:>5.1} %", share(count));
    let rows = rows.into_iter().map(row).collect::<Vec<_>>().join("\n");
    let short = deployment.get(..12).unwrap_or(deployment);
    format!("{} to {}, {reports} reports, version {short}\n{rows}", minute(*began), minute(*revealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_most_frequent_model_first() {
        let batch = Revealed {
            batch: "00".repeat(16),
            deployment: "ab".repeat(32),
            began: 1_800_000_000,
            revealed: 1_800_086_400,
            reports: 200,
            models: ["small", "a larger one"].map(str::to_owned).to_vec(),
            counts: vec![50, 150],
        };
        let expected = "2027-01-15 08:00 to 2027-01-16 08:00, 200 reports, version abababababab\n  \
                        a larger one     150   75.0 %\n  small             50   25.0 %";
        assert_eq!(table(&batch), expected);
    }
}
