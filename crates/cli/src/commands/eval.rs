//! `blindroute eval`: cost and quality of routers on a data set.

use std::path::{Path, PathBuf};

use blindroute_lab::Stop;
use blindroute_lab::comparison::{Options, Side, check_names, check_pool, measure};
use blindroute_lab::data::Split;
use blindroute_lab::evaluation::{Bootstrap, Evaluation, Group};
use blindroute_routing::bundle::Bundle;
use clap::Args;

use super::train::load;
use blindroute_console::date::today;
use blindroute_console::files::{check_out, print, write_file};
use blindroute_console::{bundles, terminal};

/// Measure a bundle's routers on a routing data set, beside baselines and with intervals.
#[derive(Args, Debug)]
pub(crate) struct EvalArgs {
    /// The data set: a folder with prompts.jsonl, models.json and outcomes.csv.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The bundle whose routers are measured; the default one if none is named. May be given several times, for routers of
    /// the same names that were trained with other seeds.
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// A bundle on the encoder as published (softmax, gelu), to compare routers of the same name with; may be given several
    /// times, in the order of the private ones: choices are compared seed by seed.
    #[arg(long, value_name = "FILE")]
    bundle_original: Vec<PathBuf>,
    /// The prompts to measure on: train, valid or test.
    #[arg(long, default_value_t = Split::Test, value_parser = parse_split)]
    split: Split,
    /// A router to measure; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    router: Vec<String>,
    /// A file that keeps embeddings, so that an interrupted embedding is continued, and the next one is quick.
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// The same for the original bundle's encoder.
    #[arg(long, value_name = "FILE", requires = "bundle_original")]
    embeddings_original: Option<PathBuf>,
    /// How many bootstrap resamples of the prompts the intervals come from; 0 for none.
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples, value_parser = parse_resamples)]
    bootstrap: usize,
    /// The seed of all random choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What the data are and under which licence, for the reader of the report.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Write the report with its charts as one page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write comma-separated values, one line per method.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn parse_split(name: &str) -> Result<Split, String> {
    name.parse().map_err(|()| "expected train, valid or test".to_owned())
}

pub(super) fn parse_resamples(number: &str) -> Result<usize, String> {
    let parsed = number.parse().ok().filter(|number| *number <= 100_000);
    parsed.ok_or_else(|| "expected a number from 0 to 100000".to_owned())
}

/// Measures, writes the files that were asked for, and prints the table.
pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    [&args.html, &args.csv].into_iter().flatten().try_for_each(|path| check_out(path))?;
    let dataset = load(&args.data)?;
    let open = |group: Group, path: Option<&Path>| -> anyhow::Result<(Group, Bundle)> {
        let bundle = bundles::open(path)?;
        check_pool(&bundle, dataset.models(), &named(path))?;
        Ok((group, bundle))
    };
    let mut opened = Vec::new();
    if args.bundle.is_empty() {
        opened.push(open(Group::Private, None)?);
    }
    for (group, paths) in [(Group::Private, &args.bundle), (Group::Original, &args.bundle_original)] {
        for path in paths {
            opened.push(open(group, Some(path))?);
        }
    }
    // Checked before minutes are spent on embeddings.
    check_names(&args.router, opened.iter().map(|(_, bundle)| bundle))?;
    let mut sides = Vec::new();
    for (group, bundle) in opened {
        let cache = if group == Group::Private { &args.embeddings } else { &args.embeddings_original };
        let mut shown = super::embedding::watch();
        sides.push(Side::embed((group, bundle), &dataset, cache.as_deref(), &mut shown, &Stop::never())?);
    }

    let working = terminal::spinner();
    let options = Options {
        split: args.split,
        routers: args.router.clone(),
        bootstrap: Bootstrap { resamples: args.bootstrap, seed: args.seed },
        data: args.data.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned()),
        date: Some(today()),
        source: args.source.clone(),
    };
    let mut on_step =
        |done, all| working.set_message(format!("measuring routers and baselines, {done} of {all} curves"));
    let evaluation = measure(&dataset, &sides, &options, &mut on_step, &Stop::never());
    working.finish_and_clear();
    let evaluation = evaluation?;
    let files = [(&args.html, Evaluation::to_html as fn(&Evaluation) -> String), (&args.csv, Evaluation::to_csv)];
    for (path, text) in files {
        let Some(path) = path else { continue };
        write_file(text(&evaluation).as_bytes(), path)?;
        tracing::info!("wrote {}", path.display());
    }
    print(&if args.json { serde_json::to_string(&evaluation)? } else { evaluation.to_text() })
}

/// The name of a bundle in errors.
pub(super) fn named(path: Option<&Path>) -> String {
    path.map_or_else(|| "the default bundle".to_owned(), |path| path.display().to_string())
}
