//! `blindroute distil`: an MPC-friendly encoder, trained to imitate another.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blindroute_lab::data::Split;
use blindroute_lab::encoders::student::{Corpus, Course, Lessons, Options, Progress, Tie, distil};
use blindroute_routing::{
    bundle::{Activation, Attention, Bundle, EncoderConfig, Matrix, Norms, Precision},
    tokenizer::{MAX_TOKENS, Tokenizer},
};
use indicatif::ProgressStyle;

use blindroute_console::bundles::Shipped;

use blindroute_console::files::{check_out, print, write_bundle};

use super::bundle_import::one_of;
use blindroute_lab::routers::router_for;

/// Teach a cheaper encoder to give the embeddings of a teacher's, and put it into a bundle without routers, or, with
/// --routing, with the router whose projection was trained too.
#[derive(clap::Args, Debug)]
pub(crate) struct DistilArgs {
    /// The bundle of the teacher (`bundle import --exact`), from whose weights the student starts
    /// [default: the shipped bundles/minilm.blindroute].
    #[arg(long, value_name = "FILE")]
    teacher: Option<PathBuf>,
    /// Texts to learn from: JSON lines with the field text or prompt; lines of another split than train are skipped.
    #[arg(long, value_name = "FILE", required = true)]
    text: Vec<PathBuf>,
    /// A bundle whose encoder the student starts from, as an earlier student's [default: the teacher's].
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,
    /// A routing data set that the student learns from as well, with the projection of a CSCR router of the teacher's bundle.
    #[arg(long, value_name = "DIR")]
    routing: Option<PathBuf>,
    /// That router's name.
    #[arg(long, default_value = "cscr", value_name = "NAME", requires = "routing")]
    router: String,
    /// How much staying near the teacher counts beside routing.
    #[arg(long, default_value_t = 1.0, value_name = "NUMBER", requires = "routing", conflicts_with = "trust")]
    beta: f64,
    /// How far from the teacher the student may go, as the whole loss without routing; the weight of staying near follows from it.
    #[arg(long, value_name = "NUMBER", requires = "routing")]
    trust: Option<f64>,
    /// The student's attention: 2relu divides rows by their sum; linear is a polynomial, without a matrix of all pairs of
    /// tokens.
    #[arg(long, default_value = "2relu", value_parser = one_of::<Attention>(&["softmax", "2relu", "linear"]))]
    attention: Attention,
    /// The non-linearity of the student's feed-forward network.
    #[arg(long, default_value = "relu", value_parser = one_of::<Activation>(&["gelu", "relu", "square"]))]
    ffn: Activation,
    /// Where the student's layers divide rows by their deviation: after attention too, or after the feed-forward network only.
    #[arg(long, default_value = "both", value_parser = one_of::<Norms>(&["both", "output"]))]
    norms: Norms,
    /// A bundle for whose widths (`bundle widths`) the student is trained, with linear attention: rounding as the secure program
    /// does, and within half of the ranges.
    #[arg(long, value_name = "FILE")]
    widths: Option<PathBuf>,
    /// The student's layers [default: the teacher's].
    #[arg(long)]
    layers: Option<usize>,
    /// The width of the student's feed-forward network [default: the teacher's].
    #[arg(long)]
    ffn_width: Option<usize>,
    /// Training steps.
    #[arg(long, default_value_t = 2000)]
    steps: usize,
    /// Tokens per training step, with padding.
    #[arg(long, default_value_t = 2048)]
    tokens: usize,
    /// The longest text, in tokens; longer texts are truncated.
    #[arg(long, default_value_t = MAX_TOKENS)]
    longest: usize,
    /// The largest learning rate.
    #[arg(long, default_value_t = 3e-4)]
    rate: f64,
    /// The part of the steps, from 0 to 1, during which the student's program gradually replaces that of the encoder it starts
    /// from.
    #[arg(long, default_value_t = 0.25)]
    blend: f64,
    /// How much values beyond what the secure program has room for count, with linear attention.
    #[arg(long, default_value_t = 1.0)]
    penalty: f64,
    /// The seed of the order of the texts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bits of a stored weight of the student's layers; training rounds to them at every step.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=16))]
    bits: u8,
    /// Where the state of the training is kept; after an interruption it continues from there [default: OUT.checkpoint].
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// What the texts are and under which licence, for people; kept in the bundle.
    #[arg(long, default_value = "not stated", value_name = "TEXT")]
    source: String,
    /// Where to write the student's bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was made as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Trains, writes the bundle, and says how close the student is to its teacher.
pub(crate) fn run(args: &DistilArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let teacher = blindroute_console::bundles::open_or(args.teacher.as_deref(), Shipped::MiniLm)?;
    let options = options(args, &teacher.parts().encoder)?;
    if !(2..=MAX_TOKENS).contains(&args.longest) || args.tokens < 2 * args.longest {
        anyhow::bail!(
            "--longest {} and --tokens {} do not fit: expected --longest from 2 to {MAX_TOKENS}, and --tokens at least twice that",
            args.longest,
            args.tokens
        );
    }
    let tokenizer = teacher.tokenizer().context("the teacher")?;
    let corpus = Corpus::read(&args.text, &tokenizer, args.longest)?;
    tracing::info!("{} texts", corpus.len());
    let start = args.start.as_deref().map(|path| blindroute_console::bundles::open(Some(path))).transpose()?;
    let lessons = args.routing.as_deref().map(|folder| lessons(args, folder, &teacher, &tokenizer)).transpose()?;
    let course = Course { teacher: &teacher, corpus: &corpus, start: start.as_ref(), lessons: lessons.as_ref() };
    let checkpoint = args.checkpoint.clone().unwrap_or_else(|| {
        let mut name = args.out.clone().into_os_string();
        name.push(".checkpoint");
        name.into()
    });

    let bar = blindroute_console::terminal::bar(args.steps as u64);
    bar.set_style(ProgressStyle::with_template("distilling {wide_bar} {pos}/{len} {eta} {msg}")?);
    let mut mean = Smoothed::default();
    let student = distil(&course, &options, Some(&checkpoint), &mut |progress| {
        mean.add(progress);
        bar.set_position(progress.step as u64);
        bar.set_message(mean.describe());
        if progress.step.is_multiple_of(50) {
            tracing::info!(step = progress.step, "{}", mean.describe());
        }
    });
    bar.finish_and_clear();
    let student = student.context("could not train the student")?;
    let mut parts = student.into_parts();
    let source = args.source.split_whitespace().collect::<Vec<_>>().join(" ");
    let shape =
        format!("{} layers, {} attention, {}", parts.encoder.layers, parts.encoder.attention, parts.encoder.activation);
    parts.origin = format!("{}\nstudent ({shape}): distilled on {source}", teacher.parts().origin);
    let student = blindroute_routing::bundle::Bundle::new(parts)?;
    let bytes = write_bundle(&student, &args.out)?;
    let digest = student.digest();
    print(&if args.json {
        serde_json::json!({
            "out": args.out, "bytes": bytes, "digest": digest.to_string(), "steps": args.steps, "texts": corpus.len(),
            "loss": {"hidden": mean.hidden, "embedding": mean.embedding, "similarity": mean.similarity, "excess": mean.excess, "routing": mean.routing},
        })
        .to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\n{}", args.out.display(), mean.describe())
    })
}

/// The student and its training, as the arguments say.
fn options(args: &DistilArgs, theirs: &EncoderConfig) -> anyhow::Result<Options> {
    let mut encoder = EncoderConfig {
        attention: args.attention,
        activation: args.ffn,
        norms: args.norms,
        layers: args.layers.unwrap_or(theirs.layers),
        ffn: args.ffn_width.unwrap_or(theirs.ffn),
        ..theirs.clone()
    };
    if let Some(path) = &args.widths {
        if args.attention != Attention::Linear {
            anyhow::bail!("--widths is for --attention linear, and not for {}", args.attention);
        }
        encoder.widths = blindroute_console::bundles::open(Some(path))?.parts().encoder.widths;
    }
    let mut options = Options::new(encoder);
    options.rounding = args.widths.is_some();
    (options.steps, options.tokens, options.rate, options.seed) = (args.steps, args.tokens, args.rate, args.seed);
    (options.blend, options.penalty) = (args.blend, args.penalty);
    if let Precision::Bits { layers, .. } = &mut options.precision {
        *layers = args.bits;
    }
    if !(args.rate.is_finite() && args.rate > 0.0) {
        anyhow::bail!("unsupported --rate {}: expected a number above 0, such as 0.0003", args.rate);
    }
    if !(0.0..=1.0).contains(&args.blend) {
        anyhow::bail!("unsupported --blend {}: expected a number from 0 to 1", args.blend);
    }
    if !(args.penalty.is_finite() && args.penalty >= 0.0) {
        anyhow::bail!("unsupported --penalty {}: expected a number from 0", args.penalty);
    }
    Ok(options)
}

/// The train split of the routing table, as training examples.
fn lessons(args: &DistilArgs, folder: &Path, teacher: &Bundle, tokenizer: &Tokenizer) -> anyhow::Result<Lessons> {
    let dataset = super::train::load(folder)?;
    let router = router_for(teacher, &dataset, &args.router)?;
    let places = dataset.places(Split::Train);
    let scores = dataset.scores();
    let scores = Matrix::from_fn(places.len(), scores.columns(), |row, model| scores.row(places[row])[model]);
    let texts: Vec<&str> = places.iter().map(|place| dataset.prompts()[*place].text.as_str()).collect();
    let corpus = Corpus::tokenised(&texts, tokenizer, args.longest)?;
    let tie = args.trust.map_or(Tie::Weight(args.beta), Tie::Trust);
    Ok(Lessons::new(corpus, scores, router, tokenizer, tie)?)
}

/// The loss, smoothed over about the last fifty steps, since one step has few texts.
#[derive(Default)]
struct Smoothed {
    weight: f64,
    hidden: f64,
    embedding: f64,
    similarity: f64,
    excess: Option<f64>,
    routing: Option<f64>,
    beta: f64,
}

impl Smoothed {
    fn add(&mut self, progress: &Progress) {
        self.weight = self.weight.mul_add(0.98, 1.0);
        let share = 1.0 / self.weight;
        self.hidden += (progress.hidden - self.hidden) * share;
        self.embedding += (progress.embedding - self.embedding) * share;
        self.similarity += (progress.similarity - self.similarity) * share;
        if let Some(excess) = progress.excess {
            let mean = self.excess.get_or_insert(0.0);
            *mean += (excess - *mean) * share;
        }
        if let Some((routing, beta)) = progress.routing {
            let mean = self.routing.get_or_insert(0.0);
            *mean += (routing - *mean) * share;
            self.beta = beta;
        }
    }

    fn describe(&self) -> String {
        let mut near =
            format!("hidden {:.4}, 1 − cosine {:.4}, similarities {:.5}", self.hidden, self.embedding, self.similarity);
        if let Some(excess) = self.excess {
            near.push_str(&format!(", excess {excess:.4}"));
        }
        match self.routing {
            Some(routing) => format!("{near}, routing {routing:.4}, β {:.3}", self.beta),
            None => near,
        }
    }
}
