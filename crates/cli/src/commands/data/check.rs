//! `blindroute data check`: a report on a data set.

use std::{fmt::Write as _, path::PathBuf};

use blindroute_lab::data::{Check, Dataset, Missing, ModelCheck, PerSplit, Reading, Repeated, Split, check};
use blindroute_lab::evaluation::{SourceOnly, wrapped};
use blindroute_routing::tokenizer::{Tokenizer, Window};
use serde::Serialize;

use blindroute_console::bundles;
use blindroute_console::files::print;
use blindroute_console::terminal::plain_line;

/// How many sources, and how many repeated prompts, the table lists; JSON has more.
const LISTED: usize = 20;
const GROUPS: usize = 3;

/// Report on a data set.
#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// The data set: a folder with prompts.jsonl, models.json and outcomes.csv
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The bundle whose encoder would read the prompts; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Print all that was found as one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks, and says what was found. Warnings are no failure; a set that cannot be read is.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let bundle = bundles::open(args.bundle.as_deref())?;
    let parts = bundle.parts();
    let own = parts.encoder.window;
    let windows = std::iter::once(own).chain(Window::ALL.into_iter().filter(|window| *window != own));
    let tokenizers = windows.map(|window| Tokenizer::from_json(&parts.tokenizer, window));
    let check = check(&args.data, &tokenizers.collect::<Result<Vec<_>, _>>()?)?;
    // A set that cannot be trained on has a warning in its place.
    let source_only =
        Dataset::load(&args.data).ok().map(|dataset| SourceOnly::of(&dataset, Split::Valid)).transpose()?;
    let found = Found { check, source_only };
    print(&if args.json { serde_json::to_string(&found)? } else { wrapped(&describe(&found)) })
}

/// What was found.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    check: Check,
    /// What the prompts' sources alone tell; none if the set cannot be trained on.
    source_only: Option<SourceOnly>,
}

fn describe(found: &Found) -> String {
    let Found { check, source_only } = found;
    let mut text = format!("{} prompts, {} models\n", check.prompts, check.models.len());
    sources(&mut text, check);
    models(&mut text, &check.models);
    let _ = writeln!(
        text,
        "every model scores the same: {} of the train prompts ({:.1} %)",
        check.undecided.prompts,
        100.0 * check.undecided.share
    );
    match check.query_costs {
        None => text.push_str("costs per query: none\n"),
        Some(Missing { missing }) => {
            let _ = writeln!(text, "costs per query: yes, {missing} missing");
        }
    }
    readings(&mut text, &check.readings);
    if let Some(found) = source_only {
        let _ = writeln!(text, "{}", found.describe());
    }
    repeated(&mut text, "texts that occur again", &check.repeated);
    repeated(&mut text, "of these, in more than one split", &check.across_splits);
    for warning in &check.warnings {
        let _ = writeln!(text, "warning: {}", plain_line(warning));
    }
    if check.warnings.is_empty() {
        text.push_str("no warnings\n");
    }
    text.truncate(text.trim_end().len());
    text
}

/// How the bundle's encoder reads the prompts, and what the other windows would change.
fn readings(text: &mut String, readings: &[Reading]) {
    let Some((own, others)) = readings.split_first() else { return };
    let _ = write!(text, "read by the encoder: {}", own.describe());
    for other in others.iter().filter(|_| own.truncated > 0) {
        let _ = write!(text, ", with window {} {}", other.window, other.distinct);
    }
    text.push('\n');
}

fn sources(text: &mut String, check: &Check) {
    let names = check.sources.keys().take(LISTED).map(|name| plain_line(name).chars().count());
    let width = names.max().unwrap_or(0).max("source".len());
    let _ = writeln!(text, "\n{:width$}  {:>6}  {:>6}  {:>6}", "source", "train", "valid", "test");
    let mut row = |name: &str, counts: &PerSplit| {
        let name = plain_line(name);
        let _ = writeln!(text, "{name:width$}  {:>6}  {:>6}  {:>6}", counts.train, counts.valid, counts.test);
    };
    for (name, counts) in check.sources.iter().take(LISTED) {
        row(name, counts);
    }
    row("all", &check.splits);
    if check.sources.len() > LISTED {
        let _ = writeln!(text, "({} more sources; --json lists all)", check.sources.len() - LISTED);
    }
}

fn models(text: &mut String, models: &[ModelCheck]) {
    let width = models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0).max("model".len());
    let unit = models.first().map_or("", |model| model.cost_unit.as_str());
    let unit = match unit {
        _ if models.iter().any(|model| model.cost_unit != unit) => "in several units",
        "" => "no unit given",
        unit => unit,
    };
    let _ = writeln!(text, "\nscores and wins on train; a win means the cheapest of the best; costs: {unit}");
    let _ = writeln!(text, "{:width$}  {:>10}  {:>6}  {:>6}  {:>7}", "model", "cost", "score", "wins", "missing");
    for model in models {
        let score = model.mean_score.map_or("-".to_owned(), |score| format!("{score:.4}"));
        let cost = cost(model.cost);
        let _ = write!(text, "{:width$}  {cost:>10}  {score:>6}  {:>6}  {:>7}", model.name, model.wins, model.missing);
        if model.constant {
            text.push_str("  always the same score");
        }
        if let Some(other) = &model.dominated_by {
            let _ = write!(text, "  dominated by {other}");
        }
        text.push('\n');
    }
    text.push('\n');
}

/// Four significant digits.
fn cost(cost: f64) -> String {
    if cost == 0.0 || (0.001..100_000.0).contains(&cost) {
        let digits = if cost > 0.0 { (3 - cost.log10().floor() as i32).max(0) as usize } else { 0 };
        let text = format!("{cost:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{cost:.3e}")
    }
}

fn repeated(text: &mut String, what: &str, repeated: &Repeated) {
    let _ = write!(text, "{what}: {}", repeated.texts);
    if repeated.texts > 0 {
        let group = |group: &Vec<_>| {
            let ids =
                |prompt: &blindroute_lab::data::PromptRef| format!("{} ({})", plain_line(&prompt.id), prompt.split);
            let more = if group.len() > 4 { " = …" } else { "" };
            group.iter().take(4).map(ids).collect::<Vec<_>>().join(" = ") + more
        };
        let groups: Vec<String> = repeated.groups.iter().take(GROUPS).map(group).collect();
        let more = if repeated.texts > GROUPS { "; …" } else { "" };
        let _ = write!(text, ", {} prompts: {}{more}", repeated.prompts, groups.join("; "));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_have_four_digits() {
        for (number, text) in [
            (0.0, "0"),
            (0.2, "0.2"),
            (0.00502429, "0.005024"),
            (0.000123233, "1.232e-4"),
            (46.7, "46.7"),
            (13.0, "13"),
            (100.0, "100"),
            (12345.6, "12346"),
            (1e6, "1.000e6"),
        ] {
            assert_eq!(cost(number), text);
        }
    }
}
