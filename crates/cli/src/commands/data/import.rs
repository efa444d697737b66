//! `blindroute data import`: public sets to the native format.

use std::path::PathBuf;

use blindroute_lab::data::DataError;
use blindroute_lab::data::import::mixinstruct::{self, Scale};
use blindroute_lab::data::import::{Imported, Job, embedllm, routerbench};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use blindroute_console::files::print;

/// Read a public set as its authors publish it, and write it as a data set.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ImportCommand {
    /// EmbedLLM: a folder with train.csv, val.csv and test.csv
    Embedllm {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        partial: PartialArgs,
    },
    /// MixInstruct: a folder with train_data_prepared.jsonl, val_data_prepared.jsonl and test_data_prepared.jsonl
    Mixinstruct {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        partial: PartialArgs,
        /// Which of the set's metrics is the score
        #[arg(long, default_value = "bartscore")]
        metric: String,
        /// How it becomes a number from 0 to 1: min-max scales from the least to the largest on train, exp takes it as the
        /// logarithm of a likelihood
        #[arg(long, default_value_t, value_parser = scales())]
        scale: Scale,
    },
    /// RouterBench: a CSV file made from its pickle
    ///
    /// Make the CSV file with
    /// python -c "import pandas as p; d = p.read_pickle('routerbench_0shot.pkl');
    /// d.drop(columns=[c for c in d if c.endswith('|model_response')]).to_csv('routerbench.csv', index=False)"
    Routerbench {
        #[command(flatten)]
        common: CommonArgs,
        /// The seed of the splits: 70 % train, 10 % valid, 20 % test, by the hash of each prompt's text
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct CommonArgs {
    /// The published files
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The folder to write: a new or an empty one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print what was written as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct PartialArgs {
    /// What the models cost: a CSV file with model_name, cost and cost_unit [default: the sizes in the models' names]
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Leave out prompts that lack a model's score, instead of refusing the data set
    #[arg(long)]
    drop_incomplete: bool,
}

fn scales() -> impl clap::builder::TypedValueParser<Value = Scale> {
    PossibleValuesParser::new(["min-max", "exp"]).try_map(|name| name.parse().map_err(|()| "no such scale"))
}

/// Imports, and says what was written.
pub(crate) fn run(command: ImportCommand) -> anyhow::Result<()> {
    match command {
        ImportCommand::Embedllm { common, partial } => report(&common, || embedllm::import(&job(&common, partial))),
        ImportCommand::Mixinstruct { common, partial, metric, scale } => {
            report(&common, || mixinstruct::import(&job(&common, partial), &metric, scale))
        }
        ImportCommand::Routerbench { common, seed } => {
            report(&common, || routerbench::import(&common.from, &common.out, seed))
        }
    }
}

fn report(common: &CommonArgs, import: impl FnOnce() -> Result<Imported, DataError>) -> anyhow::Result<()> {
    let spinner = blindroute_console::terminal::spinner();
    spinner.set_message(format!("reading {}", common.from.display()));
    let imported = import();
    spinner.finish_and_clear();
    let imported = imported?;
    print(&if common.json { serde_json::to_string(&imported)? } else { describe(&imported) })
}

fn job(common: &CommonArgs, partial: PartialArgs) -> Job {
    Job {
        from: common.from.clone(),
        out: common.out.clone(),
        prices: partial.prices,
        drop_incomplete: partial.drop_incomplete,
    }
}

fn describe(imported: &Imported) -> String {
    let Imported { out, models, cost_unit, query_costs, splits, dropped, averaged } = imported;
    let mut text = format!(
        "{}: {} train, {} valid and {} test prompts, {models} models, costs in {cost_unit}",
        out.display(),
        splits.train,
        splits.valid,
        splits.test
    );
    if *query_costs {
        text.push_str(", also per query (costs.csv)");
    }
    if *averaged > 0 {
        text.push_str(&format!("\n{averaged} scores are the mean of several values for one prompt and model"));
    }
    if *dropped > 0 {
        text.push_str(&format!("\n{dropped} prompts lack a model's score and are left out"));
    }
    text.push_str(&format!("\nnext: blindroute data check --data {}", out.display()));
    text
}
