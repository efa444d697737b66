//! `blindroute agreement`: does a private route choose what the clear one does, on a whole split?

mod journal;
mod report;

use super::eval::{named, parse_split};
use super::train::load;
use anyhow::{Context, bail};
use blindroute_bench::cosine;
use blindroute_console::files::{check_out, print};
use blindroute_console::{bundles, program, signals, terminal};
use blindroute_lab::Stop;
use blindroute_lab::comparison::{check_names, check_pool};
use blindroute_lab::data::{Dataset, Split};
use blindroute_lab::encoders::{ClearEmbedder, embed_all};
use blindroute_lab::evaluation::{lambdas, wrapped};
use blindroute_placement::{PlacementError, PrivateRouter, check_lambda, choice};
use blindroute_protocol::Output;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{Measurement, SessionRequest, Task, embedding, split_output, stack_inputs};
use clap::Args;
use indicatif::ProgressStyle;
use journal::{Answer, Choices, Journal, RouterSubject, Subject};
use report::Agreement;
use std::path::PathBuf;

/// Route a data set's prompts with a dealer and two servers of its own, and compare with the clear interpreter.
///
/// Each prompt is routed in full by each router at its default weight of cost; for the areas under the curves, its embedding is
/// made under MPC too, and the router's rule chooses from it under MPC with every weight of cost of the curve up to 15, the
/// largest that a router takes.
#[derive(Args, Debug)]
pub(crate) struct AgreementArgs {
    /// The data set: a folder with prompts.jsonl, models.json and outcomes.csv.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The router bundle [default: the default bundle].
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The prompts: train, valid or test.
    #[arg(long, default_value_t = Split::Test, value_parser = parse_split)]
    split: Split,
    /// A router to look at; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    router: Vec<String>,
    /// Use only every N-th prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Keep each prompt's choices in this file, by id, and continue from it.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The prompts that are compared, and by which routers.
struct Work {
    dataset: Dataset,
    bundle: Bundle,
    /// Of the data set.
    places: Vec<usize>,
    /// Of the bundle.
    routers: Vec<usize>,
}

impl Work {
    fn new(args: &AgreementArgs) -> anyhow::Result<Self> {
        let dataset = load(&args.data)?;
        let bundle = bundles::open(args.bundle.as_deref())?;
        check_pool(&bundle, dataset.models(), &named(args.bundle.as_deref()))?;
        check_names(&args.router, std::iter::once(&bundle))?;
        let named = |name: &String| args.router.is_empty() || args.router.contains(name);
        let routers = bundle.parts().routers.iter().enumerate();
        let routers = routers.filter(|(_, router)| named(&router.name)).map(|(index, _)| index).collect();
        let places: Vec<usize> = dataset.places(args.split).into_iter().step_by(args.every as usize).collect();
        if places.is_empty() {
            bail!("the split {} has no prompt; name another with --split", args.split);
        }
        Ok(Self { dataset, bundle, places, routers })
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| self.dataset.prompts()[*place].text.as_str())
    }

    /// The weights of cost of a router's curve, its own first.
    fn grid(&self, router: usize) -> Vec<f32> {
        let own = self.bundle.parts().routers[router].lambda;
        let others = lambdas().into_iter().filter(|lambda| check_lambda(*lambda).is_ok() && *lambda != own);
        std::iter::once(own).chain(others).collect()
    }

    fn subject(&self) -> Subject {
        let routers = self.routers.iter().map(|index| RouterSubject {
            name: self.bundle.parts().routers[*index].name.clone(),
            lambdas: self.grid(*index).len(),
        });
        Subject {
            bundle: self.bundle.digest().to_string(),
            prompts: self.dataset.prompts_digest().to_string(),
            models: self.dataset.models().len(),
            routers: routers.collect(),
        }
    }
}

/// Routes all prompts, except those in the journal, and prints how far the choices agree.
pub(crate) fn run(args: &AgreementArgs) -> anyhow::Result<()> {
    let work = Work::new(args)?;
    if let Some(path) = &args.journal {
        check_out(path)?;
    }
    let mut journal = Journal::open(args.journal.as_deref(), &work.subject())?;
    let tokenizer = work.bundle.tokenizer()?;
    let embedder = ClearEmbedder::new(&work.bundle).map_err(|fault| anyhow::anyhow!(fault))?;
    let clear = embed_all(work.texts(), &tokenizer, &embedder, &mut super::embedding::watch(), &Stop::never())?;
    let bar = terminal::bar(work.places.len() as u64);
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?);

    signals::clean_up()?;
    // It compares embeddings too, of a bundle that is here in the clear.
    let children = program::children()?.dangerously_serve_measurements();
    let router = PrivateRouter::with_children(&work.bundle, &children, &|step| bar.set_message(step.to_owned()))?;
    bar.reset();
    bar.set_message("routing privately");
    for (index, text) in work.texts().enumerate() {
        let id = &work.dataset.prompts()[work.places[index]].id;
        if !journal.has(id) {
            let answer = answer(&router, &work, id, text, clear.embeddings().row(index));
            journal.keep(answer.with_context(|| format!("the prompt {id:?}"))?)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let agreement = Agreement::new(args.split, &work, &clear, &journal)?;
    print(&if args.json { serde_json::to_string(&agreement)? } else { wrapped(&agreement.to_text()) })
}

/// What a prompt's private routes choose.
fn answer(router: &PrivateRouter, work: &Work, id: &str, text: &str, clear: &[f32]) -> Result<Answer, PlacementError> {
    let tokens = router.tokens(text)?;
    let bucket = tokens.bucket();
    let embedded = router.private(
        SessionRequest::new(Measurement::Embed { bucket }),
        &router.encoder_inputs(&tokens.ids, bucket)?.tensors,
    )?;
    let row: Vec<f32> = embedding(&embedded.output).iter().map(|x| *x as f32).collect();
    let mut routers = Vec::new();
    for &index in &work.routers {
        let grid = work.grid(index);
        let route = SessionRequest::new(Task::route(index, bucket));
        let whole = router.private(route, &router.route_inputs(index, &tokens.ids, bucket, grid[0])?)?;
        let task = Task::head(index);
        let mut head = Vec::with_capacity(grid.len());
        for lambdas in grid.chunks(task.most_prompts()) {
            let inputs: Vec<_> =
                lambdas.iter().map(|lambda| router.head_inputs(index, &tokens.ids, &row, *lambda)).collect();
            let batch = inputs.len();
            let found = router.private(SessionRequest::new(task).with_batch(batch), &stack_inputs(&inputs)?)?;
            for output in split_output(&found.output, batch)? {
                head.push(choice(&output)?);
            }
        }
        routers.push(Choices { whole: choice(&whole.output)?, head });
    }
    let clear = Output { values: vec![clear.iter().map(|x| f64::from(*x)).collect()], bits: Vec::new() };
    Ok(Answer { id: id.to_owned(), bucket, cosine: cosine(&embedded.output, &clear), routers })
}
