//! `blindroute eval`: cost and quality of routers on a data set.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use blindroute_lab::data::{Dataset, Reading, Split, units_warning};
use blindroute_lab::encoders::Embedded;
use blindroute_lab::evaluation::{
    About, Bootstrap, Curve, Evaluation, Group, Run, SourceOnly, TestSet, evaluate, lambdas, pairs, references, run_of,
};
use blindroute_lab::routers::baselines::{boosting, knn, mlp};
use blindroute_lab::routers::direct;
use blindroute_routing::bundle::{Bundle, Matrix, Model, Router, Rule};
use clap::Args;

use super::train::{embed, load};
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

/// A bundle with the data set as its encoder sees it.
struct Side {
    group: Group,
    bundle: Bundle,
    embedded: Embedded,
}

/// Measures, writes the files that were asked for, and prints the table.
pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    [&args.html, &args.csv].into_iter().flatten().try_for_each(|path| check_out(path))?;
    let dataset = load(&args.data)?;
    let open = |group: Group, path: Option<&Path>| -> anyhow::Result<(Group, Bundle)> {
        let bundle = bundles::open(path)?;
        check_pool(&bundle, dataset.models(), path)?;
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
        let embedded = embed(&bundle, &dataset, cache.as_deref())?;
        sides.push(Side { group, bundle, embedded });
    }

    let working = terminal::spinner();
    working.set_message("measuring routers and baselines");
    let evaluation = measure(args, &dataset, &sides);
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

/// An error unless the bundle has routers for the data set's models.
pub(super) fn check_pool(bundle: &Bundle, models: &[Model], path: Option<&Path>) -> anyhow::Result<()> {
    let parts = bundle.parts();
    let name = path.map_or_else(|| "the default bundle".to_owned(), |path| path.display().to_string());
    if parts.routers.is_empty() {
        bail!("{name} has no router; put one into it with `blindroute train`");
    }
    if parts.models != models {
        let names = |models: &[Model]| {
            let first: Vec<&str> = models.iter().take(3).map(|model| model.name.as_str()).collect();
            format!("{} models ({}, …)", models.len(), first.join(", "))
        };
        bail!(
            "the routers of {name} choose among {}, the data set has {}: names, order and prices must agree; \
             train routers on this data set with `blindroute train`, or name the one they were trained on",
            names(&parts.models),
            names(models)
        );
    }
    Ok(())
}

/// An error if no bundle has a router that is named.
pub(super) fn check_names<'a>(named: &[String], bundles: impl Iterator<Item = &'a Bundle>) -> anyhow::Result<()> {
    let mut known: Vec<&str> = Vec::new();
    for router in bundles.flat_map(|bundle| &bundle.parts().routers) {
        if !known.contains(&router.name.as_str()) {
            known.push(&router.name);
        }
    }
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("there is no router {name:?}; there are {}", known.join(", ")),
        None => Ok(()),
    }
}

fn measure(args: &EvalArgs, dataset: &Dataset, sides: &[Side]) -> anyhow::Result<Evaluation> {
    let mut curves: Vec<Curve> = Vec::new();
    for side in sides {
        let tokenizer = side.bundle.tokenizer()?;
        let routers = side.bundle.parts().routers.iter();
        for router in routers.filter(|router| args.router.is_empty() || args.router.contains(&router.name)) {
            let Router { name, lambda, lexical, rule } = router;
            let samples = dataset.samples(args.split, &side.embedded.inputs(&tokenizer, *lexical))?;
            let known = curves.iter_mut().find(|curve| curve.group == side.group && curve.name == *name);
            match known {
                // Another bundle's router of this name: another seed.
                Some(curve) => curve.runs.push(run_of(rule, &samples, &weights(sides, name))),
                None => {
                    let runs = vec![run_of(rule, &samples, &weights(sides, name))];
                    curves.push(Curve { name: name.clone(), group: side.group, lambda: Some(*lambda), runs });
                }
            }
        }
    }
    let mut notes = Vec::new();
    match args.split {
        Split::Train => {
            notes.push("Routers and baselines were trained on these prompts, so their results are too good.")
        }
        Split::Valid => notes.push(
            "Settings of routers were chosen on these prompts, and baselines were trained on them, so their results are too good.",
        ),
        Split::Test => (),
    }
    // In the clear one would use the encoder as published.
    let plain = sides.iter().find(|side| side.group == Group::Original).or(sides.first());
    let plain = plain.context("no bundle was opened; please report this")?;
    notes.push(if plain.group == Group::Original {
        "k-NN, MLP, boosting and ridge read the original encoder's embeddings."
    } else {
        "k-NN, MLP, boosting and ridge read the same encoder's embeddings as the private routers."
    });
    let texts: Vec<&str> = dataset.places(args.split).iter().map(|at| dataset.prompts()[*at].text.as_str()).collect();
    let mut readings = sides.iter().map(|side| Reading::by(&side.bundle, &texts)).collect::<Result<Vec<_>, _>>()?;
    readings.dedup();
    let told = readings.iter().flat_map(|reading| [vec![reading.describe()], reading.warnings()].concat());
    let told = told.map(|sentence| format!("{sentence}."));
    let about = About {
        data: args.data.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned()),
        split: args.split.to_string(),
        date: Some(today()),
        source: args.source.clone(),
        notes: notes.into_iter().map(str::to_owned).chain(told).chain(units_warning(dataset.models())).collect(),
        readings: readings.clone(),
    };
    let set = TestSet::of_split(about, dataset, args.split)?;
    let mut blind = references(set.outcomes(), set.models(), &lambdas());
    // The oracle and the hull first, then what reads prompts.
    let rest = blind.split_off(2);
    curves.extend(blind);
    curves.extend(trained(args, dataset, plain.embedded.embeddings())?);
    curves.push(SourceOnly::curve(dataset, args.split));
    curves.extend(rest);
    let bootstrap = Bootstrap { resamples: args.bootstrap, seed: args.seed };
    Ok(evaluate(&set, &curves, &pairs(&curves), bootstrap)?)
}

/// The baselines that read prompts, fitted on train and valid.
fn trained(args: &EvalArgs, dataset: &Dataset, embeddings: &Matrix) -> anyhow::Result<[Curve; 4]> {
    let both = dataset.tuning_samples(embeddings)?;
    let samples = dataset.samples(args.split, embeddings)?;
    let (cost, seed) = (dataset.relative_costs(), args.seed);
    let near = knn::train(&both, &cost, &knn::Options { seed, ..Default::default() })?;
    let ridge = direct::train(&both, &cost, &direct::Options { seed, ..Default::default() }, &mut |_, _| ())?;
    let network = mlp::train(&both, &cost, &mlp::Options { seed, ..Default::default() })?;
    let boosted = boosting::train(&both, &cost, &boosting::Options { seed, ..Default::default() })?;
    let curve = |name: String, run: Run| Curve { name, group: Group::Baseline, lambda: None, runs: vec![run] };
    Ok([
        curve(format!("k-NN (k = {})", near.neighbours), near.run(&samples, &lambdas())),
        curve(format!("MLP (width {})", network.settings.width), network.run(&samples, &lambdas())?),
        curve(format!("boosting ({} trees)", boosted.trees), boosted.run(&samples, &lambdas())),
        curve(
            format!("ridge (penalty {})", ridge.chosen.penalty),
            run_of(&Rule::Direct(ridge.router), &samples, &lambdas()),
        ),
    ])
}

/// The weights of cost of every curve, and those that routers of this name are used with: each is asked at all of them.
fn weights(sides: &[Side], name: &str) -> Vec<f32> {
    let routers = sides.iter().flat_map(|side| &side.bundle.parts().routers).filter(|router| router.name == name);
    let mut all: Vec<f32> = lambdas().into_iter().chain(routers.map(|router| router.lambda)).collect();
    all.sort_by(f32::total_cmp);
    all.dedup();
    all
}
