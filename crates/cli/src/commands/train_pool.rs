//! `blindroute train pool`: a nested pool of classifiers.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use blindroute_lab::classifiers::{
    LabelledFiles, LabelledTexts, PoolOptions, PoolProgress, SplitReport, TaskReport, train_pool,
};
use blindroute_routing::bundle::{Bundle, Router};
use blindroute_routing::tokenizer::MAX_TOKENS;

use blindroute_console::files::{check_out, print, write_bundle};
use blindroute_console::terminal;

/// Train a pool of classifiers.
#[derive(clap::Args, Debug)]
pub(crate) struct PoolArgs {
    /// The bundle whose encoder the training starts from. Its attention is linear.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// A task: its name, and files of JSON lines with the fields text, label and, for pairs, text2. Without development texts, a
    /// tenth of the training texts is held out. Can be repeated.
    #[arg(long, value_name = "NAME=TRAIN[,DEV[,TEST]]", required = true)]
    task: Vec<String>,
    /// After how many layers texts may leave; the last is the encoder's number of layers.
    #[arg(long, value_delimiter = ',', value_name = "N,...", required = true)]
    exits: Vec<usize>,
    /// Training steps.
    #[arg(long, default_value_t = 2000)]
    steps: usize,
    /// Tokens per training step, with padding.
    #[arg(long, default_value_t = 1024)]
    tokens: usize,
    /// The longest text or pair, in tokens; longer ones are truncated.
    #[arg(long, default_value_t = 128)]
    longest: usize,
    /// The largest learning rate of the layers; that of the heads is ten times as large.
    #[arg(long, default_value_t = 1e-4)]
    rate: f64,
    /// The seed of all random choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bits of a stored weight of the layers; training rounds to them at every step.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=16))]
    bits: u8,
    /// Where the state of the training is kept; after an interruption it continues from there [default: OUT.checkpoint].
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// What the texts are and under which licence, for people; kept in the bundle.
    #[arg(long, default_value = "not stated", value_name = "TEXT")]
    source: String,
    /// Where to write the bundle with the pool.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Trains, writes the bundle, and prints how good each task is.
pub(crate) fn run(args: &PoolArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    check(args)?;
    let start = blindroute_console::bundles::open(Some(&args.from))?;
    let tokenizer = start.tokenizer()?;
    let mut tasks = Vec::with_capacity(args.task.len());
    for task in &args.task {
        let (name, files) = parsed(task)?;
        let texts = LabelledTexts::read(name, &files, &tokenizer, args.longest, args.seed)?;
        let (train, dev) = (texts.train.texts.len(), texts.dev.texts.len());
        tracing::info!("task {name}: {} labels, {train} texts to train on, {dev} to develop", texts.labels.len());
        tasks.push(texts);
    }
    let mut options = PoolOptions::new(args.exits.clone());
    (options.steps, options.tokens, options.rate) = (args.steps, args.tokens, args.rate);
    (options.seed, options.bits) = (args.seed, Some(args.bits));
    let checkpoint = args.checkpoint.clone().unwrap_or_else(|| {
        let mut name = args.out.clone().into_os_string();
        name.push(".checkpoint");
        name.into()
    });
    let bar = terminal::bar(args.steps as u64);
    let mut mean = Mean::default();
    let trained = train_pool(&start, &tasks, &options, Some(&checkpoint), &mut |progress| {
        mean.add(progress);
        bar.set_position(progress.step as u64);
        if progress.step.is_multiple_of(50) {
            tracing::info!(step = progress.step, "{}", mean.described());
            mean = Mean::default();
        }
    });
    bar.finish_and_clear();
    let trained = trained.context("could not train the pool")?;
    let mut parts = trained.bundle.into_parts();
    let source = args.source.split_whitespace().collect::<Vec<_>>().join(" ");
    parts.origin = format!("{}\npool (exits after {:?} layers): trained on {source}", parts.origin, args.exits);
    let bundle = Bundle::new(parts)?;
    let bytes = write_bundle(&bundle, &args.out)?;
    let digest = bundle.digest().to_string();
    print(&if args.json {
        let (out, exits, tasks) = (&args.out, &args.exits, &trained.reports);
        serde_json::json!({"out": out, "bytes": bytes, "digest": digest, "exits": exits, "tasks": tasks}).to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\n{}", args.out.display(), table(&trained.reports, &args.exits)?)
    })
}

fn check(args: &PoolArgs) -> anyhow::Result<()> {
    if !(5..=MAX_TOKENS).contains(&args.longest) || args.tokens < 2 * args.longest {
        bail!(
            "--longest {} and --tokens {} do not fit: expected --longest from 5 to {MAX_TOKENS}, and --tokens at least twice that",
            args.longest,
            args.tokens
        );
    }
    if !(args.rate.is_finite() && args.rate > 0.0) {
        bail!("unsupported --rate {}: expected a number above 0, such as 0.0001", args.rate);
    }
    Ok(())
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

fn table(reports: &[TaskReport], exits: &[usize]) -> anyhow::Result<String> {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut text = String::new();
    for report in reports {
        writeln!(text, "\ntask {}: {} labels, {} training texts", report.task, report.labels, report.train)?;
        let mut split = |name: &str, of: &SplitReport| -> std::fmt::Result {
            let accuracies =
                exits.iter().zip(&of.exits).map(|(exit, share)| format!("{exit} layers {}", percent(*share)));
            writeln!(text, "  {name}, {} texts: {}", of.texts, accuracies.collect::<Vec<_>>().join(", "))?;
            let route = &of.chosen;
            writeln!(
                text,
                "    shares {:?}, {:.2} layers: by gain {}, at random {}, by confidence {}",
                route.shares,
                route.layers,
                percent(route.gain),
                percent(route.random),
                percent(route.confidence)
            )
        };
        split("dev", &report.dev)?;
        if let Some(test) = &report.test {
            split("test", test)?;
        }
    }
    Ok(text)
}

/// The mean of what the steps since the last line say.
#[derive(Default)]
struct Mean {
    steps: f64,
    entropies: Vec<f64>,
    excess: f64,
}

impl Mean {
    fn add(&mut self, progress: &PoolProgress) {
        self.steps += 1.0;
        self.entropies.resize(progress.entropies.len(), 0.0);
        self.entropies.iter_mut().zip(&progress.entropies).for_each(|(sum, entropy)| *sum += entropy);
        self.excess += progress.excess.unwrap_or(0.0);
    }

    fn described(&self) -> String {
        let entropies = self.entropies.iter().map(|sum| format!("{:.4}", sum / self.steps));
        let entropies = entropies.collect::<Vec<_>>().join(", ");
        format!("cross entropies by exit {entropies}, excess {:.5}", self.excess / self.steps)
    }
}
