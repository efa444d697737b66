//! `blindroute eval-pool`: accuracy and cost of a nested pool of classifiers on labelled texts.

mod clear;
mod private;
mod subject;

use super::eval::parse_resamples;
use anyhow::{Context, bail};
use blindroute_console::bundles::{self, Shipped};
use blindroute_console::date::today;
use blindroute_console::files::{check_out, print, write_file};
use blindroute_console::{program, signals, terminal};
use blindroute_lab::classifiers::evaluate::{PoolEvaluation, TaskAnswers, TaskEvaluation};
use blindroute_lab::evaluation::Bootstrap;
use blindroute_placement::{ClassifyOptions, PrivateRouter};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::BundlePlan;
use blindroute_runtime::SceneName;
use clap::Args;
use std::path::{Path, PathBuf};
use subject::{MOST_TEXTS, Subject, TaskFile};

/// Measure a pool of classifiers on labelled texts: each exit alone, routing at several capacities, random choice and an oracle.
///
/// The classifiers run in the clear, in the same program and sessions that run under MPC. With --private, the first texts of each
/// task also run under MPC, with a dealer and two servers as child processes: sessions with the task's own capacities and sessions
/// of the last exit alone, in turn.
#[derive(Args, Debug)]
pub(crate) struct EvalPoolArgs {
    /// A task of the pool, and a file of lines {"text", "label"}, with "text2" for pairs; may be given several times
    #[arg(long, value_name = "NAME=TEST.jsonl", required = true)]
    task: Vec<String>,
    /// A bundle with a pool of classifiers; pool.blindroute beside this program if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// N texts of one size (bucket) share a session, at most 4096 padded tokens such as 16 texts of 256
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = parse_batch, allow_hyphen_values = true)]
    batch: usize,
    /// Run the first N texts of each task, or all, under MPC too
    #[arg(long, value_name = "N|all", value_parser = parse_private, allow_hyphen_values = true)]
    private: Option<Private>,
    /// Network between all parties, emulated: loopback (none), lan (0.1 ms one way, 10 Gbit/s), metro (0.5 ms, 1 Gbit/s) or wan
    /// (20 ms, 400 Mbit/s)
    #[arg(long, value_name = "SCENE", default_value_t, requires = "private")]
    scene: SceneName,
    /// How many bootstrap resamples of the texts the intervals come from; 0 for none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples, value_parser = parse_resamples)]
    bootstrap: usize,
    /// The seed of all random choices: the order of sessions, random routing, resamples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write comma-separated values, one line per task, method and capacities
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the report with its charts as one page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// How many texts of a task run under MPC.
#[derive(Clone, Copy, Debug)]
enum Private {
    First(usize),
    All,
}

impl Private {
    fn of(self, texts: usize) -> usize {
        match self {
            Self::First(number) => number.min(texts),
            Self::All => texts,
        }
    }
}

fn parse_private(text: &str) -> Result<Private, String> {
    if text == "all" {
        return Ok(Private::All);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Private::First).ok_or_else(|| "expected a number of texts above 0, or all".to_owned())
}

fn parse_batch(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (2..=MOST_TEXTS).contains(number));
    number.ok_or_else(|| {
        format!("expected a number from 2 to {MOST_TEXTS}: between fewer than 2 texts there is nothing to choose")
    })
}

/// Measures each task, writes the files that were asked for, and prints the table.
pub(crate) fn run(args: &EvalPoolArgs) -> anyhow::Result<()> {
    [&args.csv, &args.html].into_iter().flatten().try_for_each(|path| check_out(path))?;
    let named = args.task.iter().map(|task| parsed(task)).collect::<anyhow::Result<Vec<_>>>()?;
    let bundle = bundles::open_or(args.bundle.as_deref(), Shipped::Pool)?;
    let plan = BundlePlan::of(&bundle);
    // All tasks and files are checked before anything is measured.
    for (name, _) in &named {
        ClassifyOptions::default().with_task(*name).check(&plan)?;
    }
    let pool = bundle.parts().pool.as_ref().context("the bundle has no pool of classifiers; please report this")?;
    let tokenizer = bundle.tokenizer()?;
    let read = |(name, path): &(&str, &Path)| {
        let task = pool.tasks.iter().map(|classifier| &classifier.task).find(|task| task.name == *name);
        TaskFile::read(path, task.context("the pool has no such task; please report this")?, &tokenizer)
    };
    let files = named.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let router = open(args, &bundle)?;
    let bootstrap = Bootstrap { resamples: args.bootstrap, seed: args.seed };
    let mut tasks = Vec::with_capacity(files.len());
    for file in &files {
        let subject = Subject { router: &router, exits: &pool.exits, file, batch: args.batch, seed: args.seed };
        let answers = answers(&subject, args.private)?;
        let working = terminal::spinner();
        working.set_message(format!("{}: measuring", file.task.name));
        tasks.push(TaskEvaluation::of(&answers, bootstrap));
        working.finish_and_clear();
    }
    let name = args.bundle.as_ref().map_or_else(|| Shipped::Pool.name().to_owned(), |path| path.display().to_string());
    let scene = args.private.map(|_| args.scene.name().to_owned());
    let about = (name, bundle.digest().to_string(), today());
    let evaluation = PoolEvaluation::new(about, args.batch, scene, bootstrap, tasks);
    let files =
        [(&args.html, PoolEvaluation::to_html as fn(&PoolEvaluation) -> String), (&args.csv, PoolEvaluation::to_csv)];
    for (path, text) in files {
        let Some(path) = path else { continue };
        write_file(text(&evaluation).as_bytes(), path)?;
        tracing::info!("wrote {}", path.display());
    }
    print(&if args.json { serde_json::to_string(&evaluation)? } else { evaluation.to_text() })
}

/// The name and the file of a task.
fn parsed(task: &str) -> anyhow::Result<(&str, &Path)> {
    match task.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name, Path::new(path))),
        _ => bail!("unsupported --task {task:?}: expected NAME=TEST.jsonl"),
    }
}

/// A router that runs in the clear, and under MPC if that was asked for.
fn open(args: &EvalPoolArgs, bundle: &Bundle) -> anyhow::Result<PrivateRouter> {
    if args.private.is_none() {
        return Ok(PrivateRouter::local(bundle)?);
    }
    signals::clean_up()?;
    let children = program::children()?.in_scene(args.scene.scene());
    let bar = terminal::spinner();
    let router = PrivateRouter::with_children(bundle, &children, &|step| bar.set_message(step.to_owned()))?;
    bar.finish_and_clear();
    Ok(router)
}

fn answers<'a>(subject: &Subject<'a>, private: Option<Private>) -> anyhow::Result<TaskAnswers<'a>> {
    let clear = clear::answers(subject)?;
    let texts = private.map(|private| private.of(subject.file.texts.texts().len()));
    let private = texts.map(|texts| private::answers(subject, &clear, texts)).transpose()?;
    Ok(TaskAnswers { private, ..clear })
}
