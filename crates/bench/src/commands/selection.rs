//! `bench select`: selection alone.

use crate::measure::selection::Setting;
use crate::measure::start;
use crate::options::Options;
use crate::report::print;
use crate::report::selection_table::table;
use blindroute_console::bundles;
use blindroute_console::terminal::spinner;
use blindroute_routing::program::SelectMethod;
use clap::Args;

/// Measure selections.
#[derive(Debug, Args)]
pub struct BenchSelectArgs {
    /// Candidates
    #[arg(long, default_value_t = 112)]
    candidates: usize,
    /// How many candidates the search keeps
    #[arg(long, default_value_t = 4)]
    k: usize,
    /// Selections, comma-separated: maximum, maximum-tree, hnsw, bitonic, kona, brute-force, unsorted (ours); all if
    /// none is named
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    method: Vec<SelectMethod>,
    #[command(flatten)]
    common: Options,
}

/// Runs the measurements.
pub(crate) fn run(args: &BenchSelectArgs) -> anyhow::Result<()> {
    let bundle = bundles::open(args.common.bundle.as_deref())?;
    let methods = if args.method.is_empty() { SelectMethod::ALL.to_vec() } else { args.method.clone() };
    let bar = spinner();
    let router = start(&bundle, args.common.scene, &|step| bar.set_message(step.to_owned()))?;
    let mut rows = Vec::with_capacity(methods.len());
    for method in methods {
        let setting = Setting { candidates: args.candidates, k: args.k, method, scene: args.common.scene };
        let row = setting.measure(&router, args.common.runs, &|step| bar.set_message(step))?;
        if args.common.json {
            bar.suspend(|| print(true, &row, ""))?;
        }
        row.figures.confirm(&format!("selection by {method}"))?;
        if !row.exact && !method.approximate() {
            anyhow::bail!("{method} does not choose what unsorted top-k chooses; please report this");
        }
        rows.push(row);
    }
    bar.finish_and_clear();
    if !args.common.json {
        print(false, &(), &table(args.candidates, args.k, args.common.runs, &rows))?;
    }
    Ok(())
}
