//! What `train pool`, `train pool-router` and `train pool-slim` have in common: their tasks, the options of the router, and the checkpoint's place.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use blindroute_lab::classifiers::{ClassifierError, LabelledFiles, LabelledTexts, RoutingOptions, TaskReading};
use blindroute_routing::bundle::{Bundle, Router};
use blindroute_routing::program::NetworkEstimate;
use blindroute_routing::tokenizer::MAX_TOKENS;
use blindroute_runtime::scene::SceneName;

/// Tasks, and how their router is trained.
#[derive(clap::Args, Debug)]
pub(super) struct RoutingArgs {
    /// A task: its name, and files of JSON lines with the fields text, label and, for pairs, text2. Labels that are numbers with
    /// fractions are rounded. Without development texts, a tenth of the training texts is held out. Can be repeated.
    #[arg(long, value_name = "NAME=TRAIN[,DEV[,TEST]]", required = true)]
    task: Vec<String>,
    /// The longest text or pair, in tokens; longer ones are truncated.
    #[arg(long, default_value_t = 128)]
    pub(super) longest: usize,
    /// The network between the servers for which the time of a text is estimated: loopback, lan, metro or wan.
    #[arg(long, default_value_t = SceneName::Loopback, value_name = "NETWORK")]
    network: SceneName,
    /// λ: how much the time of a text counts against accuracy when shares are chosen. Both are from 0 to 1; the time is relative to that
    /// of the last exit.
    #[arg(long, default_value_t = RoutingOptions::default().lambda)]
    lambda: f64,
    /// β: how much the expected time of a text counts when a gate over the exits is trained.
    #[arg(long, default_value_t = RoutingOptions::default().cost, value_name = "BETA")]
    cost: f64,
    /// α: how much the distance from the wanted mix of exits counts when a gate is trained.
    #[arg(long, default_value_t = RoutingOptions::default().balance, value_name = "ALPHA")]
    balance: f64,
    /// The wanted share of texts that leave at each exit, with the sum 1 [default: half of those that come to the exit].
    #[arg(long, value_delimiter = ',', value_name = "SHARE,...")]
    mix: Option<Vec<f64>>,
    /// The seed of all random choices.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Where the state of the training is kept; after an interruption it continues from there [default: OUT.checkpoint].
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// What the texts are and under which licence, for people; kept in the bundle.
    #[arg(long, default_value = "not stated", value_name = "TEXT")]
    source: String,
}

impl RoutingArgs {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if !(5..=MAX_TOKENS).contains(&self.longest) {
            bail!("unsupported --longest {}: expected 5 to {MAX_TOKENS}", self.longest);
        }
        for (option, value) in [("--lambda", self.lambda), ("--cost", self.cost), ("--balance", self.balance)] {
            if !(value.is_finite() && value >= 0.0) {
                bail!("unsupported {option} {value}: expected a number of 0 or more");
            }
        }
        Ok(())
    }

    /// Checks these and what a training of layers takes besides.
    pub(super) fn check_training(&self, tokens: usize, rate: f64) -> anyhow::Result<()> {
        self.check()?;
        let longest = self.longest;
        if tokens < 2 * longest {
            bail!("--longest {longest} and --tokens {tokens} do not fit: expected --tokens at least twice as large");
        }
        if !(rate.is_finite() && rate > 0.0) {
            bail!("unsupported --rate {rate}: expected a number above 0, such as 0.0001");
        }
        Ok(())
    }

    pub(super) fn options(&self) -> RoutingOptions {
        RoutingOptions {
            balance: self.balance,
            cost: self.cost,
            mix: self.mix.clone(),
            network: estimate(self.network),
            lambda: self.lambda,
        }
    }

    pub(super) fn network(&self) -> &'static str {
        self.network.name()
    }

    /// What people are told of the texts, in one line.
    pub(super) fn source(&self) -> String {
        self.source.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn checkpoint(&self, out: &Path) -> PathBuf {
        self.checkpoint.clone().unwrap_or_else(|| {
            let mut name = out.to_owned().into_os_string();
            name.push(".checkpoint");
            name.into()
        })
    }

    /// The texts of all tasks, each read by `read` from its name and files.
    pub(super) fn texts(&self, bundle: &Bundle, read: Read<'_>) -> anyhow::Result<Vec<LabelledTexts>> {
        let tokenizer = bundle.tokenizer()?;
        let how = TaskReading { tokenizer: &tokenizer, longest: self.longest, seed: self.seed };
        let mut tasks = Vec::with_capacity(self.task.len());
        for task in &self.task {
            let (name, files) = parsed(task)?;
            let texts = read(name, &files, how)?;
            let (train, dev) = (texts.train.texts.len(), texts.dev.texts.len());
            tracing::info!("task {name}: {} labels, {train} texts to train on, {dev} to develop", texts.labels.len());
            if texts.rounded > 0 {
                tracing::warn!("task {name}: {} labels are rounded to the nearest whole number", texts.rounded);
            }
            tasks.push(texts);
        }
        Ok(tasks)
    }
}

/// How a task of this name is read from these files.
type Read<'a> = &'a dyn Fn(&str, &LabelledFiles, TaskReading<'_>) -> Result<LabelledTexts, ClassifierError>;

/// The network of a scene; none for loopback.
pub(in crate::commands) fn estimate(scene: SceneName) -> Option<NetworkEstimate> {
    scene.scene().map(|scene| NetworkEstimate { delay: scene.delay, megabits: scene.megabits })
}

/// The name and the files of a task.
fn parsed(task: &str) -> anyhow::Result<(&str, LabelledFiles)> {
    let wrong = || format!("unsupported --task {task:?}: expected NAME=TRAIN.jsonl[,DEV.jsonl[,TEST.jsonl]]");
    let (name, files) = task.split_once('=').with_context(wrong)?;
    Router::check_name(name)?;
    let files: Vec<&str> = files.split(',').collect();
    if files.len() > 3 || files[0].is_empty() {
        bail!(wrong());
    }
    // An empty name leaves a file out, as that of DEV where only TEST is given.
    let file = |place: usize| files.get(place).filter(|file| !file.is_empty()).map(PathBuf::from);
    Ok((name, LabelledFiles { train: PathBuf::from(files[0]), dev: file(1), test: file(2) }))
}
