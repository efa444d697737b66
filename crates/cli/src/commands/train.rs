//! `blindroute train`: routers from outcomes, and pools of classifiers.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blindroute_lab::Stop;
use blindroute_lab::data::{Dataset, units_warning};
use blindroute_lab::encoders::{Embedded, embed_dataset};
use blindroute_lab::evaluation::wrapped;
use blindroute_lab::routers::fingerprint::Fingerprints;
use blindroute_lab::routers::{
    LambdaRule, Method, StartFrom, TrainReport, Training, Validation, cscr, direct, train_best, uniroute,
};
use blindroute_routing::bundle::{Bundle, Router};
use serde::Serialize;

use super::train_pool::{self, PoolArgs, PoolRouterArgs, PoolSlimArgs};
use super::train_progress::TrainProgress;
use super::train_reading::ReadingArgs;
use blindroute_console::files::{check_out, print, write_bundle};
use blindroute_console::terminal;

/// Train a router on a routing data set, or a pool of classifiers on labelled texts, and put it into a bundle.
#[derive(clap::Args, Debug)]
pub(crate) struct TrainArgs {
    #[command(subcommand)]
    router: RouterArgs,
}

#[derive(clap::Subcommand, Debug)]
enum RouterArgs {
    /// UniRoute: clusters of prompts, and how often each model fails in each. Becomes the bundle's default router.
    Uniroute {
        #[command(flatten)]
        common: CommonArgs,
        /// How prompts find their cluster: the nearest of K-means, or, where that is better, centroids trained on the
        /// outcomes (UniRoute's LearnedMap; tried where there is one clustering).
        #[arg(long, value_enum, default_value = "kmeans")]
        map: MapArg,
        /// The numbers of clusters to try.
        #[arg(long, value_delimiter = ',', value_name = "K,...")]
        k: Option<Vec<usize>>,
        /// The numbers of clusterings to try. With several, the errors in a prompt's clusters are averaged.
        #[arg(long, value_delimiter = ',', value_name = "N,...")]
        clusterings: Option<Vec<usize>>,
        /// The weights of a model's overall error in each cluster, in prompts, to try.
        #[arg(long, value_delimiter = ',', value_name = "N,...")]
        smoothing: Option<Vec<f32>>,
        /// A UniRoute router whose centroids to keep, as that of the encoder's teacher: only the errors are counted again.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["k", "clusterings"])]
        fine_tune: Option<String>,
        /// The bundle that holds it [default: that of --bundle].
        #[arg(long, value_name = "FILE", requires = "fine_tune")]
        from: Option<PathBuf>,
        /// The seed of all random choices.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Each model's score, predicted from the embedding by ridge regression.
    Direct {
        #[command(flatten)]
        common: CommonArgs,
        /// Penalties to try, relative to the mean square of the inputs.
        #[arg(long, value_delimiter = ',', value_name = "P,...")]
        penalty: Option<Vec<f64>>,
        /// The seed of the folds.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// CSCR: a projection that brings prompts near the descriptors of models that answer them, trained by contrast.
    Cscr {
        #[command(flatten)]
        common: CommonArgs,
        /// Use the published rule: a search keeps the K models with the largest similarities, and similarities are weighed
        /// against costs as they are. By default scores are predicted from them, and all models are compared.
        #[arg(long, value_name = "K", conflicts_with = "mixture")]
        k: Option<usize>,
        /// Widths of the models' outcome fingerprints to try.
        #[arg(long, value_delimiter = ',', value_name = "D,...")]
        descriptor: Option<Vec<usize>>,
        /// The models' fingerprints, from `blindroute fingerprint`, instead of outcome fingerprints.
        #[arg(long, value_name = "FILE.json", conflicts_with = "descriptor")]
        descriptors: Option<PathBuf>,
        /// A CSCR router whose projection and descriptors to start from, as after `distil --routing`.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["descriptor", "descriptors"])]
        fine_tune: Option<String>,
        /// The bundle that holds it [default: that of --bundle].
        #[arg(long, value_name = "FILE", requires = "fine_tune")]
        from: Option<PathBuf>,
        /// The largest number of passes over the train split.
        #[arg(long, default_value_t = cscr::Options::default().passes)]
        passes: usize,
        /// The largest learning rate.
        #[arg(long, default_value_t = cscr::Options::default().rate)]
        rate: f64,
        /// The seed of all random choices.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// A nested pool of classifiers on an encoder that texts may leave after several numbers of layers, instead of a router.
    Pool(Box<PoolArgs>),
    /// The gains and the shares of an existing pool of classifiers, which decide which texts go on past an exit.
    PoolRouter(Box<PoolRouterArgs>),
    /// A cheaper pool from an existing one: fewer bits, units and exits, trained with the cost under MPC in the objective.
    PoolSlim(Box<PoolSlimArgs>),
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum MapArg {
    Kmeans,
    Learned,
}

#[derive(clap::Args, Debug)]
struct CommonArgs {
    /// The data set: a folder with prompts.jsonl, models.json and outcomes.csv.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The bundle whose encoder reads the prompts.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Where to write the bundle with the router; may be the same file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The router's name in the bundle; a router of this name is replaced [default: the method's name].
    #[arg(long)]
    name: Option<String>,
    /// Choose the default weight of cost by the largest score − ALPHA · cost on the valid split, instead of the cheapest
    /// that scores as well as the best single model.
    #[arg(long, conflicts_with = "slack")]
    alpha: Option<f64>,
    /// How far the mean score at the default weight of cost may be below that of the best single model.
    #[arg(long, default_value_t = 0.0)]
    slack: f64,
    /// Divide the train and valid splits into this many folds, to choose settings and to compare the router with the
    /// prompt-blind hull [default: 5, for cscr 4].
    #[arg(long, value_name = "N")]
    folds: Option<usize>,
    /// How many times to do so, each time with other folds and random draws [default: 3, for cscr 1].
    #[arg(long, value_name = "N")]
    validations: Option<usize>,
    /// Mix the router with the prompt-blind hull, as much as cross-validation needs to be sure that the mixture is not
    /// worse than the hull.
    #[arg(long)]
    mixture: bool,
    /// What the data are and under which licence, for people; kept in the bundle [default: the folder's name].
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// A file that keeps embeddings, so that an interrupted embedding is continued, and the next one is quick. Encoders and data
    /// sets can share it. A file of another kind is refused.
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl CommonArgs {
    fn validation(&self, default: Validation) -> Validation {
        Validation { folds: self.folds.unwrap_or(default.folds), seeds: self.validations.unwrap_or(default.seeds) }
    }

    fn lambda(&self) -> LambdaRule {
        match self.alpha {
            Some(alpha) => LambdaRule::Utility { alpha },
            None => LambdaRule::MatchBestSingle { slack: self.slack },
        }
    }
}

/// Trains, writes the bundle, and prints cost and quality on the test split.
pub(crate) fn run(args: TrainArgs) -> anyhow::Result<()> {
    let mut given = Given::default();
    let (common, method) = match args.router {
        RouterArgs::Pool(args) => return train_pool::run(&args),
        RouterArgs::PoolRouter(args) => return train_pool::run_router(&args),
        RouterArgs::PoolSlim(args) => return train_pool::run_slim(&args),
        RouterArgs::Uniroute { common, map, k, clusterings, smoothing, fine_tune, from, seed } => {
            (given.fine_tune, given.from) = (fine_tune, from);
            let map = match map {
                MapArg::Kmeans => uniroute::Map::KMeans,
                MapArg::Learned => uniroute::Map::Learned,
            };
            let mut options = uniroute::Options { map, seed, lambda: common.lambda(), ..Default::default() };
            options.validation = common.validation(options.validation);
            options.mixture = common.mixture;
            options.clusters = k.unwrap_or(options.clusters);
            options.clusterings = clusterings.unwrap_or(options.clusterings);
            options.smoothing = smoothing.unwrap_or(options.smoothing);
            (common, Method::UniRoute(options))
        }
        RouterArgs::Direct { common, penalty, seed } => {
            let mut options = direct::Options { seed, lambda: common.lambda(), ..Default::default() };
            options.validation = common.validation(options.validation);
            options.mixture = common.mixture;
            options.penalties = penalty.unwrap_or(options.penalties);
            (common, Method::Direct(options))
        }
        RouterArgs::Cscr { common, k, descriptor, descriptors, fine_tune, from, passes, rate, seed } => {
            given.fingerprints = descriptors.as_deref().map(Fingerprints::read).transpose()?;
            (given.fine_tune, given.from) = (fine_tune, from);
            let mut options = cscr::Options { passes, rate, seed, lambda: common.lambda(), ..Default::default() };
            options.validation = common.validation(options.validation);
            (options.mixture, options.search) = (common.mixture, k);
            options.widths = descriptor.unwrap_or(options.widths);
            (common, Method::Cscr(options))
        }
    };
    train(common, method, &given)
}

/// What training reads from files besides the data set.
#[derive(Default)]
struct Given {
    fingerprints: Option<Fingerprints>,
    fine_tune: Option<String>,
    from: Option<PathBuf>,
}

/// The report of a training, and where the bundle was written.
#[derive(Serialize)]
struct Written<'a> {
    out: &'a Path,
    bytes: usize,
    #[serde(flatten)]
    report: TrainReport<'a>,
}

fn train(common: CommonArgs, mut method: Method, given: &Given) -> anyhow::Result<()> {
    check_out(&common.out)?;
    method.check()?;
    Router::check_name(common.name.as_deref().unwrap_or(method.kind()))?;
    let dataset = load(&common.data)?;
    let read = Bundle::open(&common.bundle)
        .with_context(|| format!("could not use {} as a bundle", common.bundle.display()))?;
    for name in &read.unknown {
        let name = terminal::plain_line(name);
        tracing::warn!("{}: {name} is not known to this version and is left out", common.bundle.display());
    }
    if let (Some(fingerprints), Method::Cscr(options)) = (&given.fingerprints, &mut method) {
        options.descriptors = Some(fingerprints.descriptors(dataset.models())?);
    }
    let other = given.from.as_deref().map(|path| blindroute_console::bundles::open(Some(path))).transpose()?;
    let folder = common.data.file_name().map(|name| name.to_string_lossy().into_owned());
    let source = common.source.or(folder).unwrap_or_else(|| "not stated".to_owned());
    let training = Training {
        name: common.name.as_deref(),
        source: &source,
        method: &method,
        start: given.fine_tune.as_deref().map(|router| StartFrom { router, bundle: other.as_ref() }),
        windows: &common.reading.window,
        lexical: &common.reading.lexical,
        embeddings: common.embeddings.as_deref(),
    };
    let best = {
        let mut shown = TrainProgress::new(method.kind());
        train_best(read.bundle, &dataset, &training, &mut |event| shown.show(event), &Stop::never())?
    };
    for router in &best.other_window {
        let window = best.chosen.window;
        tracing::warn!(
            "the router {router} was trained with another window than {window} and is left out; train it again"
        );
    }
    for router in &best.trained.dropped {
        tracing::warn!("the router {router} was for other models and is left out");
    }
    let bytes = write_bundle(&best.trained.bundle, &common.out)?;
    tracing::info!("wrote {bytes} bytes to {}", common.out.display());
    let report = TrainReport::new(&best, &dataset)?;
    print(&if common.json {
        serde_json::to_string(&Written { out: &common.out, bytes, report })?
    } else {
        wrapped(&report.to_text())
    })
}

/// Reads a data set, and warns of prices that cannot be compared.
pub(super) fn load(folder: &Path) -> anyhow::Result<Dataset> {
    let dataset = Dataset::load(folder)?;
    if let Some(warning) = units_warning(dataset.models()) {
        tracing::warn!("{warning}");
    }
    Ok(dataset)
}

/// The data set's prompts by the bundle's encoder. Shows progress.
pub(super) fn embed(bundle: &Bundle, dataset: &Dataset, cache: Option<&Path>) -> anyhow::Result<Embedded> {
    Ok(embed_dataset(bundle, dataset, cache, &mut super::embedding::watch(), &Stop::never())?)
}
